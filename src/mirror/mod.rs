//! What the server said, in SQLite: one file an account, one writer, any number of readers.
//!
//! Each table is written by the file named after it and by nothing else. A public method of [`Mirror`] that
//! writes is one fact in one short transaction; no transaction is open while a caller waits for something.
//! A row that left is deleted: its local id is made from its remote id, so it is the same when it comes back.
//!
//! Beside what the server said stands what the user wants: [`Editor`] writes the outbox, from any process, and
//! [`Mirror`] says what became of each edit. The rows of events stay the server's; what is shown instead of them is
//! drawn into drafts in the transaction that changes a row or an edit, and readers lay those over.
//!
//! Durability: `synchronous = NORMAL`. A power cut may lose the last commits, which the server sends again;
//! rows and cursor are lost together. Edits, and that one is about to be sent, are written with `FULL`.

mod account;
mod alias;
mod calendar;
mod change;
mod conflict;
mod draft;
mod editor;
mod error;
mod event;
mod event_body;
mod event_text;
mod hydration;
mod mailbox_settings;
mod open;
mod outbox;
mod presence;
mod presence_journal;
mod read_outbox;
mod read_rows;
mod read_search;
mod reader;
mod record;
mod reminder;
mod removal;
mod round;
mod salvage;
pub mod schema;
mod settle;

pub use account::{AccountRow, MailboxId};
pub use calendar::{CalendarChoice, CalendarRow, PAGE_SIZE};
pub use conflict::{ClashRow, ConflictRow, NewConflict};
pub use editor::{Editor, Session, TargetRow};
pub use error::MirrorError;
pub use event::Committed;
pub use hydration::{HydrationRow, Need};
pub use mailbox_settings::MailboxAsked;
pub use open::{Mirror, Opening};
pub use outbox::{NewEdit, OPEN_EDITS_MAX, OutboxCounts, Postponed, Replacement};
pub use presence::{ChannelRow, OwnedCalendar, PresenceRow, Slot};
pub use presence_journal::{JOURNAL_LINES_MAX, JournalKind, JournalRow};
pub use read_search::Question;
pub use reader::{AccountView, CalendarView, ChangeView, FailureView, Found, KEY_PREFIX_MIN, Reader};
pub use reminder::{ReminderRow, ToldRow};
pub use removal::{Ended, RoundPlace, StagedRow, Suspects};
pub use round::{Cursor, RoundEnd, RoundRow};
pub use settle::Settled;

pub(crate) use error::Doing;

#[cfg(test)]
mod outbox_tests;
#[cfg(test)]
mod reader_tests;
