use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{Key, Response, Sensitivity, ShowAs, SourceKind, Window};
use crate::presence::{EventType, Role};
use crate::zones::Zone;

/// What stays the same about an occurrence wherever it is stored: neither the server's id, nor the calendar, nor
/// the time it has now.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The iCalUID of the appointment or of its series; while no server has given one, the local key as text.
    pub uid: String,
    /// Its original slot in the series (an all-day slot: the date's midnight as if it were UTC); none for an
    /// appointment that does not repeat.
    pub slot_ms: Option<i64>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("slot_ms", &self.slot_ms).finish_non_exhaustive()
    }
}

/// One appointment, occurrence or exception of the view (pending edits included), as the rules see it. Never a
/// series master.
///
/// What a caller with an `EventView` must add: the identity (the iCalUID of the series, and the slot: the stub's
/// own start for an occurrence, the original start for an exception), the kind of source, and what kind of entry it
/// is. A private event's content may be handed in; no rule or text looks at it.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The row.
    pub key: Key,
    /// Who it is.
    pub identity: Identity,
    /// Its calendar: one of [`crate::presence::Scene::calendars`], else the event does not take part.
    pub calendar: Key,
    /// Start. All-day: the date's midnight as if it were UTC.
    pub start_ms: i64,
    /// End, exclusive. All-day: the midnight after the last day, as if it were UTC.
    pub end_ms: i64,
    /// Whether start and end are dates.
    pub is_all_day: bool,
    /// Whether the organizer cancelled it.
    pub is_cancelled: bool,
    /// How the time shows.
    pub show_as: ShowAs,
    /// The owner's answer.
    pub response: Response,
    /// Who may see the details.
    pub sensitivity: Sensitivity,
    /// The owner's part.
    pub role: Role,
    /// What kind of entry it is.
    pub event_type: EventType,
    /// Where it comes from.
    pub source: SourceKind,
    /// What it is about.
    pub content: Content,
}

/// What an event is about. Not in `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The subject.
    pub subject: Option<String>,
    /// The displayed place.
    pub location: Option<String>,
    /// Category names, in order.
    pub categories: Vec<String>,
    /// Whether it can be joined online.
    pub is_online: bool,
    /// The organizer's address.
    pub organizer: Option<String>,
    /// How many are invited, the organizer apart.
    pub attendees: u32,
    /// Whether somebody of another domain than the owner's is invited or organizes.
    pub has_external: bool,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content(…)")
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("key", &self.key)
            .field("start_ms", &self.start_ms)
            .field("end_ms", &self.end_ms)
            .field("show_as", &self.show_as)
            .finish_non_exhaustive()
    }
}

impl Event {
    /// Whether its content is nobody's business (`personal` is not).
    pub fn is_private(&self) -> bool {
        match self.sensitivity {
            Sensitivity::Private | Sensitivity::Confidential => true,
            Sensitivity::Normal | Sensitivity::Personal => false,
        }
    }

    /// What it is about, unless that is private. The only way of this room to the content.
    pub fn content(&self) -> Option<&Content> {
        (!self.is_private()).then_some(&self.content)
    }

    /// The instants it covers; dates become local days of `zone`.
    pub fn span(&self, zone: &Zone) -> Window {
        if self.is_all_day {
            Window { from_ms: zone.midnight_ms(self.start_ms), to_ms: zone.midnight_ms(self.end_ms) }
        } else {
            Window { from_ms: self.start_ms, to_ms: self.end_ms }
        }
    }
}

impl Role {
    /// The owner's part in an event with this many invited.
    pub fn of(is_organizer: bool, attendees: usize) -> Role {
        match (is_organizer, attendees) {
            (true, 0) => Role::Single,
            (true, _) => Role::Organizer,
            (false, _) => Role::Attendee,
        }
    }
}

/// A calendar of the mirror.
#[derive(Clone, PartialEq, Eq)]
pub struct Calendar {
    /// Its local identity.
    pub key: Key,
    /// Its displayed name; rules may name it instead of the identity.
    pub name: String,
    /// Whether its owner's address is the account's user and it is editable.
    pub is_own: bool,
    /// Its last *complete* sync; failed and partial ones do not count.
    pub last_complete_ms: Option<i64>,
    /// The mirrored window; none before the first complete sync.
    pub window: Option<Window>,
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calendar")
            .field("key", &self.key)
            .field("is_own", &self.is_own)
            .field("last_complete_ms", &self.last_complete_ms)
            .finish_non_exhaustive()
    }
}

/// The mailbox's automatic replies, while they are switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoReply {
    /// From when to when; none: always on.
    pub scheduled: Option<Window>,
    /// When the mailbox last said so.
    pub read_ms: i64,
}
