//! The schema version this program knows, shared by the writer and the readers.

/// The newest migration in `migrations/`.
pub const KNOWN: i32 = 1;
