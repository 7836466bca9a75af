//! Open edits, conflicts and decided reminders, as a reader sees them.

use rusqlite::OptionalExtension;

use crate::mirror::conflict::{self, ConflictRow};
use crate::mirror::outbox::{self, OPEN_EDITS_MAX, OutboxCounts};
use crate::mirror::reminder::{self, ReminderRow};
use crate::mirror::{MirrorError, Reader};
use crate::model::OpenEdit;

impl Reader {
    /// The open edits by number; bodies left out.
    ///
    /// # Errors
    /// As every reading.
    pub fn outbox(&self) -> Result<Vec<OpenEdit>, MirrorError> {
        if !self.has_outbox()? {
            return Ok(Vec::new());
        }
        self.prepared(outbox::ALL, "reading the outbox", |statement| {
            statement.query_map([i64::try_from(OPEN_EDITS_MAX).unwrap_or(i64::MAX)], outbox::edit)?.collect()
        })
    }

    /// An open edit.
    ///
    /// # Errors
    /// As every reading.
    pub fn edit(&self, n: i64) -> Result<Option<OpenEdit>, MirrorError> {
        if self.has_outbox()? { outbox::by_n(&self.connection, n) } else { Ok(None) }
    }

    /// How the outbox stands.
    ///
    /// # Errors
    /// As every reading.
    pub fn outbox_counts(&self) -> Result<OutboxCounts, MirrorError> {
        if !self.has_outbox()? {
            return Ok(OutboxCounts::default());
        }
        outbox::counts(&self.connection).map_err(|e| self.named("counting edits", e))
    }

    /// All conflicts, decided ones too, oldest first.
    ///
    /// # Errors
    /// As every reading.
    pub fn conflicts(&self) -> Result<Vec<ConflictRow>, MirrorError> {
        if !self.has_outbox()? {
            return Ok(Vec::new());
        }
        self.prepared(conflict::ALL, "reading the conflicts", |statement| {
            statement.query_map([], conflict::row)?.collect()
        })
    }

    /// A conflict.
    ///
    /// # Errors
    /// As every reading.
    pub fn conflict(&self, n: i64) -> Result<Option<ConflictRow>, MirrorError> {
        if !self.has_outbox()? {
            return Ok(None);
        }
        self.prepared(conflict::BY_N, "reading a conflict", |statement| {
            statement.query_row([n], conflict::row).optional()
        })
    }

    /// What was decided about reminders, in order of the events' starts.
    ///
    /// # Errors
    /// As every reading.
    pub fn reminders(&self) -> Result<Vec<ReminderRow>, MirrorError> {
        if !self.has_outbox()? {
            return Ok(Vec::new());
        }
        self.prepared(reminder::ALL, "reading the reminders", |statement| {
            statement.query_map([], reminder::row)?.collect()
        })
    }
}
