//! Reminders that were put off or done with, by occurrence. They work offline, whether or not the server is told.

use rusqlite::{Connection, Row};

use crate::mirror::{Doing, MirrorError};
use crate::model::{DAY_MS, Key};

/// A dismissal is kept this long after its event began; the event is not due any more then.
const KEPT_MS: i64 = 60 * DAY_MS;

pub(super) const ALL: &str =
    "SELECT event_key, start_ms, until_ms, at_ms FROM reminder ORDER BY start_ms, event_key";
const PUT: &str = "INSERT INTO reminder (event_key, start_ms, until_ms, at_ms) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (event_key) DO UPDATE SET start_ms = excluded.start_ms, until_ms = excluded.until_ms,
        at_ms = excluded.at_ms";
const CLEAR: &str = "DELETE FROM reminder WHERE event_key = ?1";
const FORGET: &str = "DELETE FROM reminder WHERE start_ms < ?1 AND (until_ms IS NULL OR until_ms < ?1)";

/// What was decided about the reminder of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReminderRow {
    /// Which event; of a series the occurrence.
    pub event: Key,
    /// When the event began when that was decided: an event that moves is reminded of anew.
    pub start_ms: i64,
    /// When the reminder comes again; `None`: never.
    pub until_ms: Option<i64>,
    /// When that was decided.
    pub at_ms: i64,
}

pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<ReminderRow> {
    Ok(ReminderRow {
        event: Key::from_bytes(row.get(0)?),
        start_ms: row.get(1)?,
        until_ms: row.get(2)?,
        at_ms: row.get(3)?,
    })
}

/// Notes a decision, and forgets those that nobody asks about any more.
pub(super) fn put(conn: &Connection, reminder: &ReminderRow) -> Result<(), MirrorError> {
    let ReminderRow { event, start_ms, until_ms, at_ms } = reminder;
    conn.prepare_cached(PUT)
        .and_then(|mut s| s.execute((event.as_bytes(), start_ms, until_ms, at_ms)))
        .doing("noting a reminder")?;
    conn.prepare_cached(FORGET)
        .and_then(|mut s| s.execute([at_ms.saturating_sub(KEPT_MS)]))
        .map(|_| ())
        .doing("forgetting old reminders")
}

pub(super) fn clear(conn: &Connection, event: Key) -> Result<(), MirrorError> {
    conn.prepare_cached(CLEAR)
        .and_then(|mut s| s.execute([event.as_bytes()]))
        .map(|_| ())
        .doing("clearing a reminder")
}
