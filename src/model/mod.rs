//! The nouns: plain values that every room shares. Nothing here does I/O, reads a clock or knows a server.
//!
//! Times are UTC epoch milliseconds (`_ms`). An all-day event is two dates; in this crate a date is held as
//! the epoch milliseconds of its midnight *as if it were UTC* and is never converted between zones.

mod address;
mod calendar;
pub(crate) mod coded;
mod edit;
mod event;
mod fault;
mod key;
mod mailbox;
mod page;
mod secret;
mod source_kind;
pub(crate) mod span;
mod view;
mod window;

pub use address::{guarded_url, is_loopback, plain_url};
pub use calendar::CalendarRecord;
pub use edit::{
    Action, Answer, ConflictKind, EditState, Fields, Intent, Invitee, Keep, OpenEdit, Pending, Policy,
    Problem, Reminder, Times,
};
pub use event::{
    Attendee, AttendeeType, Details, EventKind, EventRecord, HandleKind, Importance, OnlineMeeting,
    OnlineProvider, Person, Response, Sensitivity, ShowAs,
};
pub use fault::{Broken, Fault, LinkProblem, Unreadable};
pub use key::{Key, KeyError};
pub use mailbox::{AutomaticReplies, MailboxHours, MailboxSettings};
pub use page::{Change, Link, Lookup, Next, Page, RemoteId, Skipped};
pub use secret::Secret;
pub use source_kind::SourceKind;
pub use span::{SpanError, parse_span, span_text};
pub use view::EventView;
pub use window::{DAY_MS, Window};
