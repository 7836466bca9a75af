use std::fmt;

use crate::model::EventRecord;

/// A server's id: opaque, case-sensitive, kept byte for byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct RemoteId(String);

impl RemoteId {
    /// Wraps the server's text.
    pub fn new(text: impl Into<String>) -> RemoteId {
        RemoteId(text.into())
    }

    /// The server's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RemoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteId({})", crate::model::Key::of_remote(&self.0))
    }
}

/// A state link (next page or delta): an opaque URL that is stored and sent back byte for byte.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Link(String);

impl Link {
    /// Wraps the server's text, unchecked; the client checks host and scheme before every use.
    pub fn new(text: impl Into<String>) -> Link {
        Link(text.into())
    }

    /// The server's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({} bytes)", self.0.len())
    }
}

/// What one row of a page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The row is in the window, with this content.
    Put(EventRecord),
    /// The row is not in this window: deleted, moved out, or never in it.
    Gone(RemoteId),
}

/// How a page ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// More pages follow.
    Page(Link),
    /// The round is complete; the next one starts here.
    Delta(Link),
    /// The listing is complete and has no cursor (snapshots, instances).
    End,
}

/// Why a row of a page was left out; the rest of the page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skipped {
    /// No usable id.
    Id,
    /// No usable start or end.
    Times,
    /// An occurrence or exception without a usable series, or its own master.
    Series,
    /// Not an object, or unreadable as one.
    Shape,
}

/// One decoded reply of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The rows, in the server's order.
    pub changes: Vec<Change>,
    /// Rows that were left out.
    pub skipped: Vec<Skipped>,
    /// What follows.
    pub next: Next,
    /// Bytes of the inflated reply.
    pub bytes: usize,
}

/// What a look-up of one id found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The row.
    Found(Box<EventRecord>),
    /// The server does not have it.
    Missing,
    /// The row is there and cannot be read.
    Unreadable(Skipped),
}
