//! Which schemas of the file this program knows.

/// The newest migration of this program: it writes this one, and refuses anything above.
pub const KNOWN: i32 = 4;

/// The oldest a reader understands; the writer brings older files up.
pub const READABLE_SINCE: i32 = 1;

/// The first that holds edits.
pub(crate) const OUTBOX_SINCE: i32 = 3;

/// The first that remembers presence.
pub(crate) const PRESENCE_SINCE: i32 = 4;
