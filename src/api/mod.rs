//! The one contract behind every door: what a caller may ask and the exact JSON it gets.
//!
//! Doors (`bin`, `local`, later `ffi`) translate a request into a question to [`Look`] or an order to the engine, and
//! print the answer; none holds a rule.
//! Objects may grow fields, never lose or rename them. Timestamps are RFC 3339 with the offset of the zone
//! asked for; ids are text.

mod answer;
mod call;
mod error;
mod look;

pub use answer::{
    AccountStatus, AgendaAnswer, AttendeeAnswer, CalendarState, CalendarStatus, ChangeLine, EngineStatus,
    Event, LastError, ListAnswer, NetworkState, OnlineMeetingAnswer, OutboxStatus, SignInWay, Slot,
    StatusAnswer, SyncDone, WindowAnswer,
};
pub use call::{AgendaCall, Answer, Call, ChangesCall, FreeCall, Mirrors, RangeCall, SearchCall, ShowCall};
pub use error::{Error, ErrorKind};
pub use look::{AccountFacts, Look, mirror_error, open_mirror, resolve_time, resolve_zone};

pub use crate::agenda::Blocking;
pub use crate::flow::look::{AgendaAsk, BusyAsk, FreeAsk, SearchAsk, WorkingHours};
