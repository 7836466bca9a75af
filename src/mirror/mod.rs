//! What the server said, in SQLite: one file an account, one writer, any number of readers.

mod error;
mod read_rows;
mod read_search;
mod reader;
pub mod schema;

pub use error::MirrorError;
pub use read_search::{INDEXED_TEXTS, Question};
pub use reader::{AccountView, CalendarView, ChangeView, FailureView, Found, KEY_PREFIX_MIN, Reader};

#[cfg(test)]
mod reader_tests;
