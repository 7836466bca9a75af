//! Which schemas of the file this program knows.

/// The newest migration of this program: it writes this one, and refuses anything above.
pub const KNOWN: i32 = 2;

/// The oldest a reader understands; the writer brings older files up.
pub const READABLE_SINCE: i32 = 1;
