use std::fmt;

use crate::model::{Details, EventKind, Key, Pending, RemoteId};

/// One event as a reader of the mirror sees it: an occurrence has its series' details. Never a series master.
#[derive(Clone, PartialEq, Eq)]
pub struct EventView {
    /// The local identity.
    pub key: Key,
    /// The local identity of its calendar.
    pub calendar: Key,
    /// Single, occurrence or exception.
    pub kind: EventKind,
    /// The local identity of its series.
    pub series: Option<Key>,
    /// The server's id; none before the server knows it.
    pub remote_id: Option<RemoteId>,
    /// The server's version of this row; an occurrence may have none.
    pub change_key: Option<String>,
    /// Start. All-day: the date's midnight as if it were UTC.
    pub start_ms: i64,
    /// End, exclusive. All-day: the midnight after the last day, as if it were UTC.
    pub end_ms: i64,
    /// Everything else. The body is read only on demand. Boxed: rows are sorted and handed on by the hundred.
    pub details: Box<Details>,
    /// Its removal is held back.
    pub is_unconfirmed: bool,
    /// An edit of it is not on the server yet: it is shown as it will be.
    pub pending: Option<Pending>,
    /// An edit of it waits for a decision between two versions.
    pub is_in_conflict: bool,
}

impl fmt::Debug for EventView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventView")
            .field("key", &self.key)
            .field("kind", &self.kind)
            .field("start_ms", &self.start_ms)
            .field("end_ms", &self.end_ms)
            .finish_non_exhaustive()
    }
}
