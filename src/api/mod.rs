//! The one contract behind every door: what a caller may ask and the exact JSON it gets.
//!
//! Doors (`bin`, `local`, `embed` and `ffi`) translate a request into a question to [`Look`] or an order to the engine, and
//! print the answer; none holds a rule.
//! Objects may grow fields, never lose or rename them. Timestamps are RFC 3339 with the offset of the zone
//! asked for; ids are text.

mod act;
mod answer;
mod body;
mod call;
mod conflict;
mod document;
mod edit;
mod error;
mod export;
mod handle;
mod look;
mod outbox;
mod presence;
mod reminder;
mod wish;

pub use act::{
    Act, ActAnswer, AddCall, EditAnswer, EditCall, ForwardCall, OutboxAct, OutboxCall, RemoveCall,
    ResolveCall, RespondCall, SnoozeCall,
};

pub use answer::{
    AccountStatus, AgendaAnswer, AttendeeAnswer, CalendarState, CalendarStatus, ChangeLine, EngineStatus,
    Event, LastError, ListAnswer, NetworkState, OnlineMeetingAnswer, OutboxStatus, SignInWay, Slot,
    StatusAnswer, SyncDone, WindowAnswer,
};
pub use body::read_invitee;
pub use call::{AgendaCall, Answer, Call, ChangesCall, FreeCall, Mirrors, RangeCall, SearchCall, ShowCall};
pub use conflict::{ConflictField, ConflictItem};
pub use document::{Ask, Document};
pub use error::{Error, ErrorKind};
pub use handle::Handle;
pub use look::{AccountFacts, Look, mirror_error, open_mirror, resolve_time, resolve_zone};

pub use outbox::{OutboxItem, ProblemAnswer};
pub(crate) use presence::mailbox_name;
pub use presence::{
    AckCall, ChooseCall, CommandState, ForwardingState, JournalLine, LayerAnswer, LoserAnswer, ObserveCall,
    PresenceAnswer, PresenceCall, PreviewLine, ReasonAnswer, SegmentAnswer, TimelineAnswer, TimelineCall,
    WhyAnswer,
};
pub use reminder::{ReminderItem, RemindersCall};
pub use wish::FieldsCall;

pub use crate::agenda::Blocking;
pub use crate::flow::look::{AgendaAsk, BusyAsk, FreeAsk, SearchAsk, WorkingHours};
pub use crate::flow::reminder::ReminderState;
