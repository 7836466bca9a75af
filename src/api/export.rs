//! Events as iCalendar (RFC 5545), written by the crate `icalendar`.
//!
//! The mirror knows the occurrences of a series and not its rule, so each occurrence is an event with a UID of its
//! own: every program shows those, while few understand occurrences without their series. Times are in UTC, which
//! needs no VTIMEZONE; all-day events are dates.

use icalendar::{Alarm, Calendar, Component, Event, EventLike, Property};

use crate::agenda::Entry;
use crate::api::look::Look;
use crate::api::{Error, ErrorKind};
use crate::flow::look::{self, AgendaAsk};
use crate::model::{
    Attendee, AttendeeType, Details, EventKind, EventView, Importance, OnlineProvider, Person, Response,
    Sensitivity, ShowAs, Window,
};
use crate::zones::{Zone, date_text};

/// The product that wrote it.
const PRODUCT: &str = concat!("-//calmirror//", env!("CARGO_PKG_VERSION"), "//EN");
/// The most events of one export.
const EVENTS_MAX: usize = 100_000;

impl Look<'_> {
    /// The events of a range as one calendar in iCalendar; without a range all that is mirrored.
    pub(super) fn export(&self, ask: &AgendaAsk) -> Result<String, Error> {
        let mut calendar = Calendar::empty();
        for (key, value) in
            [("PRODID", PRODUCT), ("VERSION", "2.0"), ("CALSCALE", "GREGORIAN"), ("METHOD", "PUBLISH")]
        {
            calendar.append_property(Property::new(key, value));
        }
        if let Some(reader) = self.mirror {
            let mut calendars = reader.calendars().map_err(Error::from)?;
            calendars.retain(|calendar| ask.calendars.is_empty() || ask.calendars.contains(&calendar.key));
            if let [only] = calendars.as_slice() {
                calendar.append_property(Property::new("X-WR-CALNAME", escaped(&only.name)));
            }
            let windows = calendars.iter().filter_map(|calendar| calendar.window);
            let all = windows.reduce(|one, other| Window {
                from_ms: one.from_ms.min(other.from_ms),
                to_ms: one.to_ms.max(other.to_ms),
            });
            if let Some(all) = all {
                let ask = AgendaAsk {
                    from_ms: ask.from_ms.or(Some(all.from_ms)),
                    to_ms: ask.to_ms.or(Some(all.to_ms)),
                    ..ask.clone()
                };
                let listing = look::agenda(reader, self.zone, &ask, self.now_ms)?;
                if listing.entries.len() > EVENTS_MAX {
                    let message = format!("these are more than {EVENTS_MAX} events; export a shorter range");
                    return Err(Error::new(ErrorKind::Usage, message));
                }
                for Entry { mut event, .. } in listing.entries {
                    event.details.body = reader
                        .body(event.key)
                        .map_err(Error::from)?
                        .or_else(|| event.details.body_preview.clone());
                    calendar.push(written(&event, self.now_ms));
                }
            }
        }
        Ok(calendar.to_string())
    }
}

fn written(view: &EventView, now_ms: i64) -> Event {
    let details = &*view.details;
    let mut event = Event::new();
    let mut put = |key: &str, value: String| {
        event.append_property(Property::new(key, value));
    };
    put("UID", uid(view));
    put("DTSTAMP", instant(now_ms));
    put("SUMMARY", plain(details.subject.as_deref()));
    for (key, text) in
        [("DESCRIPTION", &details.body), ("LOCATION", &details.location), ("URL", &details.web_link)]
    {
        if text.is_some() {
            put(key, plain(text.as_deref()));
        }
    }
    put("CLASS", class(details.sensitivity).to_owned());
    put("TRANSP", if details.show_as == ShowAs::Free { "TRANSPARENT" } else { "OPAQUE" }.to_owned());
    put("STATUS", status(details).to_owned());
    if let Some(busy) = busy_status(details.show_as) {
        put("X-MICROSOFT-CDO-BUSYSTATUS", busy.to_owned());
    }
    match details.importance {
        Importance::High => put("PRIORITY", "1".to_owned()),
        Importance::Low => put("PRIORITY", "9".to_owned()),
        Importance::Normal => {}
    }
    for (key, ms) in [("DTSTART", view.start_ms), ("DTEND", view.end_ms)] {
        let mut property = match details.is_all_day {
            true => Property::new(key, date_text(ms).replace('-', "")),
            false => Property::new(key, instant(ms)),
        };
        if details.is_all_day {
            property.add_parameter("VALUE", "DATE");
        }
        event.append_property(property);
    }
    if let Some(organizer) = &details.organizer {
        event.append_property(person("ORGANIZER", organizer));
    }
    for attendee in &details.attendees {
        event.append_multi_property(invited(attendee));
    }
    for category in &details.categories {
        event.append_multi_property(Property::new("CATEGORIES", escaped(category)));
    }
    let join_url = details
        .online_meeting
        .as_ref()
        .and_then(|meeting| Some((meeting.provider, meeting.join_url.as_ref()?)));
    if let Some((provider, url)) = join_url {
        let mut property = match provider {
            OnlineProvider::Teams => Property::new("X-MICROSOFT-SKYPETEAMSMEETINGURL", url),
            OnlineProvider::SkypeBusiness | OnlineProvider::SkypeConsumer | OnlineProvider::Other => {
                Property::new("CONFERENCE", url)
            }
        };
        if property.key() == "CONFERENCE" {
            property.add_parameter("VALUE", "URI");
        }
        event.append_property(property);
    }
    if let Some(minutes) = details.reminder_minutes {
        let before = chrono::TimeDelta::minutes(i64::from(minutes));
        event.alarm(Alarm::display(&plain(details.subject.as_deref()), -before));
    }
    event
}

/// An event without a UID of its own, or an occurrence that shares its series', is known by the local id.
fn uid(view: &EventView) -> String {
    match (&view.details.ical_uid, view.kind) {
        (Some(uid), EventKind::Single) => uid.clone(),
        (Some(uid), EventKind::Occurrence | EventKind::Exception | EventKind::Master) => {
            format!("{uid}_{}", view.key)
        }
        (None, _) => format!("{}@calmirror", view.key),
    }
}

fn instant(ms: i64) -> String {
    Zone::utc().wall(ms).format("%Y%m%dT%H%M%SZ").to_string()
}

fn plain(text: Option<&str>) -> String {
    text.unwrap_or_default().replace('\r', "")
}

/// A text of a property whose escapes the library leaves to its caller.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| *c != '\r') {
        match c {
            '\\' | ',' | ';' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn class(sensitivity: Sensitivity) -> &'static str {
    match sensitivity {
        Sensitivity::Normal => "PUBLIC",
        // Who does not know it treats it as private.
        Sensitivity::Personal => "X-PERSONAL",
        Sensitivity::Private => "PRIVATE",
        Sensitivity::Confidential => "CONFIDENTIAL",
    }
}

fn status(details: &Details) -> &'static str {
    match (details.is_cancelled, details.show_as) {
        (true, _) => "CANCELLED",
        (false, ShowAs::Tentative) => "TENTATIVE",
        (false, ShowAs::Free | ShowAs::Busy | ShowAs::Oof | ShowAs::WorkingElsewhere | ShowAs::Unknown) => {
            "CONFIRMED"
        }
    }
}

fn busy_status(show_as: ShowAs) -> Option<&'static str> {
    match show_as {
        ShowAs::Free => Some("FREE"),
        ShowAs::Tentative => Some("TENTATIVE"),
        ShowAs::Busy => Some("BUSY"),
        ShowAs::Oof => Some("OOF"),
        ShowAs::WorkingElsewhere => Some("WORKINGELSEWHERE"),
        ShowAs::Unknown => None,
    }
}

fn person(key: &str, person: &Person) -> Property {
    let name = person.name.as_deref().map(parameter);
    let address = match &person.address {
        Some(address) => format!("mailto:{}", plain(Some(address)).replace('\n', "")),
        None => "invalid:nomail".to_owned(),
    };
    let mut property = Property::new(key, address);
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        property.add_parameter("CN", &name);
    }
    property
}

/// A parameter has no escapes: quotes and line ends cannot be in it.
fn parameter(text: &str) -> String {
    text.chars().filter(|c| *c != '"' && !c.is_control()).collect()
}

fn invited(attendee: &Attendee) -> Property {
    let mut property = person("ATTENDEE", &attendee.person);
    let (role, kind) = match attendee.kind {
        AttendeeType::Required => ("REQ-PARTICIPANT", "INDIVIDUAL"),
        AttendeeType::Optional => ("OPT-PARTICIPANT", "INDIVIDUAL"),
        AttendeeType::Resource => ("NON-PARTICIPANT", "RESOURCE"),
    };
    let answer = match attendee.response {
        Response::Accepted | Response::Organizer => "ACCEPTED",
        Response::Tentative => "TENTATIVE",
        Response::Declined => "DECLINED",
        Response::None | Response::NotResponded => "NEEDS-ACTION",
    };
    for (key, value) in [("ROLE", role), ("CUTYPE", kind), ("PARTSTAT", answer)] {
        property.add_parameter(key, value);
    }
    property
}
