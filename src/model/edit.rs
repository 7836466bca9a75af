use std::fmt;

use crate::model::coded::coded;
use crate::model::{
    Attendee, AttendeeType, EventRecord, Importance, Key, Person, RemoteId, Response, Sensitivity, ShowAs,
};

coded! {
    /// What an edit does.
    Action {
        /// A new event.
        Create = "create",
        /// Changes of some fields.
        Update = "update",
        /// The event goes; an organizer's deletion is mailed to everybody invited.
        Delete = "delete",
        /// The organizer calls the meeting off, with a comment.
        Cancel = "cancel",
        /// An answer to an invitation.
        Respond = "respond",
        /// The invitation is sent on to others.
        Forward = "forward",
        /// The reminder comes again later.
        Snooze = "snooze",
        /// The reminder is done with.
        Dismiss = "dismiss",
    }

    /// The mark of an event with an unsent edit.
    Pending {
        /// It is not on the server yet.
        Create = "create",
        /// Fields differ from the server's.
        Update = "update",
        /// It will be deleted or cancelled.
        Delete = "delete",
        /// An answer, or another message about it, is to be sent.
        Respond = "respond",
    }

    /// An answer to an invitation, as a user gives it.
    Answer {
        /// Comes.
        Accept = "accept",
        /// May come.
        Tentative = "tentative",
        /// Does not come.
        Decline = "decline",
    }

    /// Where an edit stands.
    EditState {
        /// To be sent.
        Waiting = "waiting",
        /// Its request is under way, or was when the program ended: looked up before it is sent again.
        Sending = "sending",
        /// Not sent until somebody decides.
        Parked = "parked",
    }

    /// What two sides did to one event.
    ConflictKind {
        /// Both changed the same field.
        BothChanged = "both_changed",
        /// Deleted on the server, edited here.
        DeletedThere = "deleted_there",
        /// Deleted here, changed on the server.
        DeletedHere = "deleted_here",
    }

    /// Which version stays.
    Keep {
        /// What was edited here.
        Mine = "mine",
        /// What the server has.
        Theirs = "theirs",
        /// Theirs under the old id, mine as a new event.
        Both = "both",
    }

    /// What happens when both sides changed the same field.
    Policy {
        /// The server's version stays; mine is kept in the conflict.
        Theirs = "theirs",
        /// Mine is sent; theirs is kept in the conflict.
        Mine = "mine",
        /// The user decides.
        Ask = "ask",
    }
}

impl Action {
    /// The mark on the event while such an edit is open.
    pub const fn pending(self) -> Pending {
        match self {
            Action::Create => Pending::Create,
            Action::Update | Action::Snooze | Action::Dismiss => Pending::Update,
            Action::Delete | Action::Cancel => Pending::Delete,
            Action::Respond | Action::Forward => Pending::Respond,
        }
    }
}

impl Answer {
    /// The response the event shows with this answer.
    pub const fn response(self) -> Response {
        match self {
            Answer::Accept => Response::Accepted,
            Answer::Tentative => Response::Tentative,
            Answer::Decline => Response::Declined,
        }
    }
}

/// When an event is, as one value: its ends are merged together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Times {
    /// Start. All-day: the date's midnight as if it were UTC.
    pub start_ms: i64,
    /// End, exclusive. All-day: the midnight after the last day, as if it were UTC.
    pub end_ms: i64,
    /// Whether start and end are dates.
    pub is_all_day: bool,
    /// The zone it is meant in: an IANA name, or the server's own text; `None`: not known.
    pub zone: Option<String>,
}

/// When the reminder comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reminder {
    /// Never, which is not the same as zero minutes.
    Off,
    /// So many minutes before the start.
    Minutes(i32),
}

/// Somebody to invite.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Invitee {
    /// Who.
    pub person: Person,
    /// In which part.
    pub kind: AttendeeType,
}

impl fmt::Debug for Invitee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitee").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl From<&Attendee> for Invitee {
    fn from(attendee: &Attendee) -> Invitee {
        Invitee { person: attendee.person.clone(), kind: attendee.kind }
    }
}

/// What an edit says about an event, field by field; `None` leaves the field alone. An empty text clears it.
#[derive(Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fields {
    /// The subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The body as plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// When it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
    /// The displayed place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// How the time shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_as: Option<ShowAs>,
    /// Who may see the details.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Sensitivity>,
    /// Importance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub importance: Option<Importance>,
    /// All category names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub categories: Option<Vec<String>>,
    /// Everybody invited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attendees: Option<Vec<Invitee>>,
    /// The reminder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminder: Option<Reminder>,
}

impl Fields {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Fields::default()
    }

    /// Everything a row says, each field set.
    pub fn of(record: &EventRecord) -> Fields {
        let times =
            |is_all_day, zone| Times { start_ms: record.start_ms, end_ms: record.end_ms, is_all_day, zone };
        let Some(details) = record.details.as_deref() else {
            return Fields { times: Some(times(false, None)), ..Fields::default() };
        };
        let text = |text: &Option<String>| Some(text.clone().unwrap_or_default());
        Fields {
            subject: text(&details.subject),
            body: Some(details.body.clone().or_else(|| details.body_preview.clone()).unwrap_or_default()),
            times: Some(times(details.is_all_day, details.original_time_zone.clone())),
            location: text(&details.location),
            show_as: Some(details.show_as),
            sensitivity: Some(details.sensitivity),
            importance: Some(details.importance),
            categories: Some(details.categories.clone()),
            attendees: Some(details.attendees.iter().map(Invitee::from).collect()),
            reminder: Some(details.reminder_minutes.map_or(Reminder::Off, Reminder::Minutes)),
        }
    }
}

impl Fields {
    /// These fields, and where they say nothing, what `below` says.
    #[must_use]
    pub fn over(self, below: Fields) -> Fields {
        Fields {
            subject: self.subject.or(below.subject),
            body: self.body.or(below.body),
            times: self.times.or(below.times),
            location: self.location.or(below.location),
            show_as: self.show_as.or(below.show_as),
            sensitivity: self.sensitivity.or(below.sensitivity),
            importance: self.importance.or(below.importance),
            categories: self.categories.or(below.categories),
            attendees: self.attendees.or(below.attendees),
            reminder: self.reminder.or(below.reminder),
        }
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fields(…)")
    }
}

/// What the user wants of one event.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// A new event with these fields.
    Create(Fields),
    /// These fields are to say this.
    Update(Fields),
    /// The event is to go.
    Delete,
    /// The meeting is called off.
    Cancel {
        /// What everybody invited reads; may be empty.
        comment: String,
    },
    /// An answer to the invitation.
    Respond {
        /// Which.
        answer: Answer,
        /// What the organizer reads; may be empty.
        comment: String,
        /// Nobody is told.
        is_silent: bool,
    },
    /// The invitation is sent on.
    Forward {
        /// To whom.
        to: Vec<Person>,
        /// What they read; may be empty.
        comment: String,
    },
    /// The reminder comes again then, UTC epoch milliseconds.
    Snooze {
        /// When.
        until_ms: i64,
    },
    /// The reminder is done with.
    Dismiss,
}

impl Intent {
    /// What it does.
    pub const fn action(&self) -> Action {
        match self {
            Intent::Create(_) => Action::Create,
            Intent::Update(_) => Action::Update,
            Intent::Delete => Action::Delete,
            Intent::Cancel { .. } => Action::Cancel,
            Intent::Respond { .. } => Action::Respond,
            Intent::Forward { .. } => Action::Forward,
            Intent::Snooze { .. } => Action::Snooze,
            Intent::Dismiss => Action::Dismiss,
        }
    }
}

impl fmt::Debug for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Intent({})", self.action().code())
    }
}

/// Why an edit was not taken, the last time it was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The stable kind: a `Fault::kind`, or `conflict`, `unclear`, `needs_confirmation`, `too_old`.
    pub kind: String,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The server's code.
    pub code: Option<String>,
    /// When.
    pub at_ms: i64,
}

/// One row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenEdit {
    /// Its number; grows, never used again.
    pub n: i64,
    /// The local identity of the event.
    pub event: Key,
    /// The local identity of its series: an edit of a series and one of its instance wait for each other.
    pub series: Option<Key>,
    /// The local identity of its calendar (for a create: where it goes).
    pub calendar: Key,
    /// The server's id of that calendar.
    pub calendar_remote: RemoteId,
    /// The server's id of the event; none before its create was answered.
    pub remote: Option<RemoteId>,
    /// What is wanted.
    pub intent: Intent,
    /// What the server said when the edit was made, details filled in; none for a create.
    pub base: Option<Box<EventRecord>>,
    /// The request body of a create, byte for byte the same at each try.
    pub body: Option<Vec<u8>>,
    /// The client-chosen id of a create, made when the wish was recorded.
    pub transaction_id: Option<String>,
    /// Where it stands.
    pub state: EditState,
    /// Tries that reached the server.
    pub attempts: u32,
    /// Not before this.
    pub next_attempt_ms: Option<i64>,
    /// Why it was not taken yet.
    pub problem: Option<Problem>,
    /// How many people the server will mail.
    pub notifies: u32,
    /// The user has agreed to mail them although the edit is old.
    pub is_confirmed: bool,
    /// When the wish was recorded first.
    pub created_at_ms: i64,
}
