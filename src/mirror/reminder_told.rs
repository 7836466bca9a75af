//! Which reminders were told.

use std::collections::BTreeMap;

use crate::mirror::{Doing, MirrorError, Reader, Session};
use crate::model::Key;

const ALL: &str = "SELECT event_key, due_ms FROM reminder_told";
const PUT: &str = "INSERT INTO reminder_told (event_key, due_ms) VALUES (?1, ?2)
    ON CONFLICT (event_key) DO UPDATE SET due_ms = excluded.due_ms";
const CLEAR: &str = "DELETE FROM reminder_told WHERE event_key = ?1";

impl Reader {
    /// The reminders that were told, and when each was due.
    ///
    /// # Errors
    /// As every reading.
    pub fn told_reminders(&self) -> Result<BTreeMap<Key, i64>, MirrorError> {
        if !self.has_presence()? {
            return Ok(BTreeMap::new());
        }
        self.prepared(ALL, "reading the told reminders", |statement| {
            statement.query_map([], |row| Ok((Key::from_bytes(row.get(0)?), row.get(1)?)))?.collect()
        })
    }
}

impl Session<'_> {
    /// Notes that a reminder is told.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_told_reminder(&self, event: Key, due_ms: i64) -> Result<(), MirrorError> {
        self.conn()
            .prepare_cached(PUT)
            .and_then(|mut s| s.execute((event.as_bytes(), due_ms)))
            .map(|_| ())
            .doing("noting a told reminder")
    }

    /// Forgets one that is over.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn clear_told_reminder(&self, event: Key) -> Result<(), MirrorError> {
        self.conn()
            .prepare_cached(CLEAR)
            .and_then(|mut s| s.execute([event.as_bytes()]))
            .map(|_| ())
            .doing("forgetting a told reminder")
    }
}
