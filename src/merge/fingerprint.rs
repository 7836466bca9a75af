use crate::model::{Details, EventKind, EventRecord, Person};

/// The hash of what a row says: equal content, equal fingerprint, whatever its version.
pub type Fingerprint = [u8; 16];

/// The fingerprint of a normalized row.
///
/// Left out on purpose: the change key and the modification time (they rotate without a change), the iCalendar
/// UID and the web link (they differ between a series and its instances), and a master's times (those of its
/// first occurrence, which say nothing about the window).
pub fn fingerprint(record: &EventRecord) -> Fingerprint {
    let mut ink = Ink(blake3::Hasher::new());
    ink.text(Some(record.kind.code()));
    if record.kind != EventKind::Master {
        ink.number(Some(record.start_ms));
        ink.number(Some(record.end_ms));
    }
    match record.kind {
        EventKind::Single => {}
        EventKind::Master => {}
        EventKind::Occurrence => ink.text(record.series.as_ref().map(|s| s.as_str())),
        EventKind::Exception => {
            ink.text(record.series.as_ref().map(|s| s.as_str()));
            ink.number(record.original_start_ms);
        }
    }
    if let Some(details) = &record.details {
        ink.details(details);
    }
    let mut out = [0; 16];
    ink.0.finalize_xof().fill(&mut out);
    out
}

/// Feeds values so that neighbours cannot run together: each has a tag and, where needed, a length.
struct Ink(blake3::Hasher);

impl Ink {
    fn text(&mut self, text: Option<&str>) {
        match text {
            None => {
                self.0.update(&[0]);
            }
            Some(text) => {
                self.0.update(&[1]);
                self.0.update(&(text.len() as u64).to_le_bytes());
                self.0.update(text.as_bytes());
            }
        }
    }

    fn number(&mut self, number: Option<i64>) {
        match number {
            None => {
                self.0.update(&[2]);
            }
            Some(number) => {
                self.0.update(&[3]);
                self.0.update(&number.to_le_bytes());
            }
        }
    }

    fn person(&mut self, person: Option<&Person>) {
        self.text(person.and_then(|p| p.name.as_deref()));
        self.text(person.and_then(|p| p.address.as_deref()));
    }

    fn details(&mut self, details: &Details) {
        // Named field by field, so that a new field cannot be forgotten silently.
        let Details {
            ical_uid: _,
            subject,
            body,
            body_preview,
            location,
            is_all_day,
            is_cancelled,
            is_organizer,
            show_as,
            sensitivity,
            importance,
            response,
            categories,
            organizer,
            attendees,
            reminder_minutes,
            online_meeting,
            web_link: _,
            original_time_zone,
            transaction_id: _,
        } = details;
        self.text(subject.as_deref());
        self.text(body.as_deref());
        self.text(body_preview.as_deref());
        self.text(location.as_deref());
        self.number(Some(
            i64::from(*is_all_day) | i64::from(*is_cancelled) << 1 | i64::from(*is_organizer) << 2,
        ));
        self.text(Some(show_as.code()));
        self.text(Some(sensitivity.code()));
        self.text(Some(importance.code()));
        self.text(Some(response.code()));
        self.number(Some(categories.len() as i64));
        for category in categories {
            self.text(Some(category));
        }
        self.person(organizer.as_ref());
        self.number(Some(attendees.len() as i64));
        for attendee in attendees {
            self.person(Some(&attendee.person));
            self.text(Some(attendee.kind.code()));
            self.text(Some(attendee.response.code()));
        }
        self.number(reminder_minutes.map(i64::from));
        self.text(online_meeting.as_ref().map(|m| m.provider.code()));
        self.text(online_meeting.as_ref().and_then(|m| m.join_url.as_deref()));
        self.text(original_time_zone.as_deref());
    }
}
