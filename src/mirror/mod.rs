//! What the server said, in SQLite: one file an account, one writer, any number of readers.

mod error;

pub use error::MirrorError;
