use std::fmt;

use crate::model::RemoteId;
use crate::model::coded::coded;

coded! {
    /// What a row is.
    EventKind {
        /// An appointment that does not repeat.
        Single = "single",
        /// One unchanged instance of a series; its details are its master's.
        Occurrence = "occurrence",
        /// One changed instance of a series, complete in itself.
        Exception = "exception",
        /// The series itself; never listed in an agenda.
        Master = "master",
    }
}

coded! {
    /// By which program an event is opened.
    HandleKind {
        /// A browser: the event's page in Outlook on the web.
        Web = "web",
    }
}

coded! {
    /// How the time shows to others.
    ShowAs {
        /// Free.
        Free = "free",
        /// Tentative.
        Tentative = "tentative",
        /// Busy.
        Busy = "busy",
        /// Out of office.
        Oof = "oof",
        /// Working elsewhere.
        WorkingElsewhere = "working_elsewhere",
        /// Unknown, or a value this version does not know.
        Unknown = "unknown",
    }
}

coded! {
    /// Who may see the details.
    Sensitivity {
        /// Normal; also what an unknown value reads as.
        Normal = "normal",
        /// Personal.
        Personal = "personal",
        /// Private.
        Private = "private",
        /// Confidential.
        Confidential = "confidential",
    }
}

coded! {
    /// Importance.
    Importance {
        /// Low.
        Low = "low",
        /// Normal; also what an unknown value reads as.
        Normal = "normal",
        /// High.
        High = "high",
    }
}

coded! {
    /// An answer to an invitation.
    Response {
        /// No answer is expected, or none is known.
        None = "none",
        /// The mailbox owner organizes the meeting.
        Organizer = "organizer",
        /// Tentatively accepted.
        Tentative = "tentative",
        /// Accepted.
        Accepted = "accepted",
        /// Declined.
        Declined = "declined",
        /// Invited and not yet answered.
        NotResponded = "not_responded",
    }
}

coded! {
    /// The part an attendee plays.
    AttendeeType {
        /// Required.
        Required = "required",
        /// Optional.
        Optional = "optional",
        /// A room or another resource.
        Resource = "resource",
    }
}

coded! {
    /// The system an online meeting is held in.
    OnlineProvider {
        /// Microsoft Teams.
        Teams = "teams",
        /// Skype for Business.
        SkypeBusiness = "skype_business",
        /// Skype.
        SkypeConsumer = "skype_consumer",
        /// Anything else.
        Other = "other",
    }
}

/// A name and an address; either may be missing.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Person {
    /// The displayed name.
    pub name: Option<String>,
    /// The mail address.
    pub address: Option<String>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person(…)")
    }
}

/// Somebody invited.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attendee {
    /// Who.
    pub person: Person,
    /// In which part.
    pub kind: AttendeeType,
    /// What they answered.
    pub response: Response,
}

impl fmt::Debug for Attendee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attendee")
            .field("kind", &self.kind)
            .field("response", &self.response)
            .finish_non_exhaustive()
    }
}

/// How to join a meeting online.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OnlineMeeting {
    /// The system.
    pub provider: OnlineProvider,
    /// The address to join, when known.
    pub join_url: Option<String>,
}

impl fmt::Debug for OnlineMeeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnlineMeeting").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// What a complete row says beside its identity and its times. Texts the server left out or left empty are `None`.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Details {
    /// The iCalendar UID; never a key (occurrences may share it or not).
    pub ical_uid: Option<String>,
    /// The subject.
    pub subject: Option<String>,
    /// The body as plain text, cut at the codec's limit.
    pub body: Option<String>,
    /// The first characters of the body, as the server cut them.
    pub body_preview: Option<String>,
    /// The displayed place.
    pub location: Option<String>,
    /// Whether start and end are dates.
    pub is_all_day: bool,
    /// Whether the organizer cancelled it.
    pub is_cancelled: bool,
    /// Whether the mailbox owner organizes it.
    pub is_organizer: bool,
    /// How the time shows.
    pub show_as: ShowAs,
    /// Who may see the details.
    pub sensitivity: Sensitivity,
    /// Importance.
    pub importance: Importance,
    /// The owner's answer.
    pub response: Response,
    /// Category names, in the server's order.
    pub categories: Vec<String>,
    /// The organizer.
    pub organizer: Option<Person>,
    /// The invited, in the server's order, cut at the codec's limit.
    pub attendees: Vec<Attendee>,
    /// Minutes before the start; `None` when no reminder is set, which is not the same as zero.
    pub reminder_minutes: Option<i32>,
    /// How to join online.
    pub online_meeting: Option<OnlineMeeting>,
    /// Opens the event in a browser.
    pub web_link: Option<String>,
    /// The zone it was created in: the server's own text (Windows or IANA name, `tzone://…`).
    pub original_time_zone: Option<String>,
    /// The client-chosen id of its creation.
    pub transaction_id: Option<String>,
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Details")
            .field("is_all_day", &self.is_all_day)
            .field("is_cancelled", &self.is_cancelled)
            .field("show_as", &self.show_as)
            .field("attendees", &self.attendees.len())
            .finish_non_exhaustive()
    }
}

/// One row of a server's calendar, decoded and normalized.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EventRecord {
    /// The server's id, case-sensitive and opaque.
    pub remote_id: RemoteId,
    /// What the row is.
    pub kind: EventKind,
    /// The version (`changeKey`, else the ETag's content); for equality only.
    pub change_key: Option<String>,
    /// The series of an occurrence or exception.
    pub series: Option<RemoteId>,
    /// Start. All-day: the date's midnight as if it were UTC.
    pub start_ms: i64,
    /// End, exclusive. All-day: the midnight after the last day, as if it were UTC.
    pub end_ms: i64,
    /// The slot of an exception in its series, when the server says it.
    pub original_start_ms: Option<i64>,
    /// Last change by the server's clock; for display and ties only.
    pub modified_ms: Option<i64>,
    /// Everything else; `None` for an occurrence stub, whose details are its master's.
    pub details: Option<Box<Details>>,
}

impl fmt::Debug for EventRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventRecord")
            .field("key", &crate::model::Key::of_remote(self.remote_id.as_str()))
            .field("kind", &self.kind)
            .field("start_ms", &self.start_ms)
            .field("end_ms", &self.end_ms)
            .field("is_stub", &self.details.is_none())
            .finish_non_exhaustive()
    }
}
