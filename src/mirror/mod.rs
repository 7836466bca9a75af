//! What the server said, in SQLite: one file an account, one writer, any number of readers.
//!
//! Each table is written by the file named after it and by nothing else. A public method of [`Mirror`] that
//! writes is one fact in one short transaction; no transaction is open while a caller waits for something.
//! A row that left is deleted: its local id is made from its remote id, so it is the same when it comes back.
//!
//! Durability: `synchronous = NORMAL`. A power cut may lose the last commits, which the server sends again;
//! rows and cursor are lost together.

mod account;
mod calendar;
mod change;
mod error;
mod event;
mod event_body;
mod event_text;
mod hydration;
mod open;
mod read_rows;
mod read_search;
mod reader;
mod removal;
mod round;
pub mod schema;

pub use account::{AccountRow, MailboxId};
pub use calendar::{CalendarRow, PAGE_SIZE};
pub use error::MirrorError;
pub use event::Committed;
pub use hydration::{HydrationRow, Need};
pub use open::{Mirror, Opening};
pub use read_search::Question;
pub use reader::{AccountView, CalendarView, ChangeView, FailureView, Found, KEY_PREFIX_MIN, Reader};
pub use removal::{Ended, RoundPlace, StagedRow, Suspects};
pub use round::{Cursor, RoundEnd, RoundRow};

pub(crate) use error::Doing;

#[cfg(test)]
mod reader_tests;
