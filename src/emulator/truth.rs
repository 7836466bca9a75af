//! What is really there, to compare a mirror with.

use serde::Serialize;
use serde_json::Value;

use super::ident::Form;
use super::mailbox::RowKind;
use super::recurrence;
use super::world::World;

/// What an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceKind {
    /// A single event.
    Single,
    /// An unchanged occurrence.
    Occurrence,
    /// A changed one.
    Exception,
}

/// One thing in a calendar, complete: a single event, or an occurrence or exception with its series' fields.
/// Enumerations are Graph's own words (`workingElsewhere`, `tentativelyAccepted`).
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// The immutable id.
    pub id: String,
    /// The series master's immutable id.
    pub series: Option<String>,
    /// What it is.
    pub kind: InstanceKind,
    /// The change key of its own row; an occurrence's stands in its ETag only.
    pub change_key: String,
    /// Start; all-day: the date's midnight as if it were UTC.
    pub start_ms: i64,
    /// End, exclusive.
    pub end_ms: i64,
    /// The slot of an occurrence or exception in its series.
    pub original_start_ms: Option<i64>,
    /// Whether start and end are dates.
    pub is_all_day: bool,
    /// The subject, as the mailbox may see it.
    pub subject: Option<String>,
    /// The first characters of the body.
    pub body_preview: String,
    /// The whole body as text.
    pub body_text: String,
    /// The place.
    pub location: String,
    /// Whether the organizer cancelled it.
    pub is_cancelled: bool,
    /// Whether the mailbox owner organizes it.
    pub is_organizer: bool,
    /// `free`, `busy`, …
    pub show_as: String,
    /// `normal`, `private`, …
    pub sensitivity: String,
    /// `low`, `normal`, `high`.
    pub importance: String,
    /// The owner's answer.
    pub response: String,
    /// Categories.
    pub categories: Vec<String>,
    /// The organizer's address.
    pub organizer: String,
    /// Address, part and answer of everybody invited.
    pub attendees: Vec<(String, String, String)>,
    /// Minutes before the start, if a reminder is set.
    pub reminder_minutes: Option<i32>,
    /// Whether it is held online.
    pub is_online: bool,
    /// Where to join.
    pub join_url: Option<String>,
    /// The zone shown: Windows, IANA, `tzone://…` or nothing.
    pub zone: String,
    /// The iCalendar UID.
    pub uid: String,
    /// The client-chosen id of its creation.
    pub transaction_id: Option<String>,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("start_ms", &self.start_ms)
            .field("end_ms", &self.end_ms)
            .finish_non_exhaustive()
    }
}

/// A calendar as it really is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrueCalendar {
    /// The id, in the form clients with `IdType="ImmutableId"` see.
    pub id: String,
    /// The name.
    pub name: String,
    /// The mailbox's default calendar.
    pub is_default: bool,
    /// Whether the user may write.
    pub can_edit: bool,
    /// Whether somebody else owns it.
    pub is_shared: bool,
    /// Whether delta denies its second page.
    pub denies_page_two: bool,
    /// How many single events and series it holds.
    pub items: usize,
}

impl World {
    /// A user's calendars, the default one first.
    pub fn calendars(&self, user: usize) -> Vec<TrueCalendar> {
        let Some(mailbox) = self.mailboxes.get(user) else { return Vec::new() };
        let mut all: Vec<_> = mailbox.calendars.values().collect();
        all.sort_by_key(|c| (c.serial != mailbox.default_calendar, c.serial));
        let one = |c: &super::mailbox::Calendar| TrueCalendar {
            id: mailbox.calendar_id(c.serial, Form::Immutable),
            name: c.name.clone(),
            is_default: c.serial == mailbox.default_calendar,
            can_edit: c.can_edit,
            is_shared: c.is_shared(),
            denies_page_two: c.denies_page_two,
            items: c.items.len(),
        };
        all.into_iter().map(one).collect()
    }

    /// Everything in a calendar (by id, either form) that overlaps `[from_ms, to_ms)`, ordered by start, end and
    /// id. Call [`World::settle`] first if something may be due. An unknown calendar is empty.
    pub fn truth(&self, user: usize, calendar: &str, from_ms: i64, to_ms: i64) -> Vec<Instance> {
        let Some(mailbox) = self.mailboxes.get(user) else { return Vec::new() };
        let Some(calendar) = mailbox.find_calendar(calendar).ok().and_then(|c| mailbox.calendars.get(&c))
        else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for event in calendar.items.iter().filter_map(|(_, serial)| mailbox.events.get(serial)) {
            for kind in event.instances(from_ms, to_ms) {
                out.push(self.instance(user, event, kind, !calendar.can_view_private));
            }
        }
        out.sort_by(|a, b| (a.start_ms, a.end_ms, &a.id).cmp(&(b.start_ms, b.end_ms, &b.id)));
        out
    }

    /// The recurrence of a series as Graph prints it, by any id of the series; none for a single event.
    pub fn recurrence(&self, user: usize, id: &str) -> Option<Value> {
        let mailbox = self.mailboxes.get(user)?;
        let (serial, _) = mailbox.find(id).ok()?;
        let series = mailbox.events.get(&serial)?.series.as_ref()?;
        Some(recurrence::encode(&series.recurrence))
    }

    fn instance(
        &self,
        user: usize,
        event: &super::mailbox::Event,
        kind: RowKind,
        hides_private: bool,
    ) -> Instance {
        let fields = event.row(kind);
        let mailbox = self.mailboxes.get(user);
        let id = |kind| mailbox.map(|m| m.id(event, kind, Form::Immutable)).unwrap_or_default();
        let slot = match kind {
            RowKind::Occurrence(slot) | RowKind::Exception(slot) => Some(slot),
            RowKind::Single | RowKind::Master => None,
        };
        let hides = hides_private && fields.sensitivity == "private";
        let owner = mailbox.and_then(|m| m.calendars.get(&event.calendar)).and_then(|c| c.owner.clone());
        let owner = owner.map(|p| p.address).or_else(|| mailbox.map(|m| m.user.address.clone()));
        let attendees = fields.attendees.iter();
        let attendees =
            attendees.map(|a| (a.person.address.clone(), a.kind.to_owned(), a.response.to_owned()));
        Instance {
            id: id(kind),
            series: slot.map(|_| id(RowKind::Master)),
            kind: match kind {
                RowKind::Single | RowKind::Master => InstanceKind::Single,
                RowKind::Occurrence(_) => InstanceKind::Occurrence,
                RowKind::Exception(_) => InstanceKind::Exception,
            },
            change_key: mailbox.map(|m| m.ids.change_key(event.row_key(kind))).unwrap_or_default(),
            start_ms: fields.start_ms,
            end_ms: fields.end_ms,
            original_start_ms: slot.map(|s| event.slot_times(s).0),
            is_all_day: fields.is_all_day,
            subject: if hides { None } else { fields.subject.clone() },
            body_preview: if hides { String::new() } else { fields.preview() },
            body_text: if hides { String::new() } else { fields.content(true).1 },
            location: if hides { String::new() } else { fields.location.clone() },
            is_cancelled: fields.is_cancelled,
            is_organizer: fields.organizer.is_none(),
            show_as: fields.show_as.into(),
            sensitivity: fields.sensitivity.into(),
            importance: fields.importance.into(),
            response: fields.response.into(),
            categories: if hides { Vec::new() } else { fields.categories.clone() },
            organizer: fields.organizer.as_ref().map(|p| p.address.clone()).or(owner).unwrap_or_default(),
            attendees: if hides { Vec::new() } else { attendees.collect() },
            reminder_minutes: fields.is_reminder_on.then_some(fields.reminder_minutes),
            is_online: fields.is_online,
            join_url: if hides { None } else { fields.join_url.clone() },
            zone: fields.zone_label.clone(),
            uid: mailbox.map(|m| m.ids.uid(event.serial)).unwrap_or_default(),
            transaction_id: fields.transaction_id.clone(),
        }
    }
}
