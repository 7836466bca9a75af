//! Reminders that were put off or done with, by occurrence. They work offline, whether or not the server is told.

use rusqlite::{Connection, Row};

use crate::mirror::{Doing, MirrorError, Reader, Session};
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

/// So many marks of told reminders are kept, whatever the clock says; older ones while their event may still come.
const TOLD_KEPT: i64 = 2_000;
const TOLD: &str =
    "SELECT event_key, start_ms, end_ms, minutes, put_off_ms FROM reminder_told ORDER BY event_key";
const PUT_TOLD: &str =
    "INSERT OR REPLACE INTO reminder_told (event_key, start_ms, end_ms, minutes, put_off_ms)
    VALUES (?1, ?2, ?3, ?4, ?5)";
const FORGET_TOLD: &str = "DELETE FROM reminder_told
    WHERE end_ms < ?1 AND n <= (SELECT coalesce(max(n), 0) FROM reminder_told) - ?2";

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

/// That somebody was told of a reminder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldRow {
    /// Which event; of a series the occurrence.
    pub event: Key,
    /// When it began then.
    pub start_ms: i64,
    /// When it ended then.
    pub end_ms: i64,
    /// How many minutes before it began.
    pub minutes: i32,
    /// What it was put off to; `None`: it came as the event says.
    pub put_off_ms: Option<i64>,
}

fn told(row: &Row<'_>) -> rusqlite::Result<ToldRow> {
    Ok(ToldRow {
        event: Key::from_bytes(row.get(0)?),
        start_ms: row.get(1)?,
        end_ms: row.get(2)?,
        minutes: row.get(3)?,
        put_off_ms: row.get(4)?,
    })
}

impl Session<'_> {
    /// The reminders that were told, by event.
    pub fn told_reminders(&self) -> Result<Vec<ToldRow>, MirrorError> {
        self.conn()
            .prepare_cached(TOLD)
            .and_then(|mut s| s.query_map([], told)?.collect())
            .doing("reading the told reminders")
    }

    /// Notes that reminders are told, in place of what was told of the same events before, and forgets old notes.
    pub fn put_told_reminders(&self, rows: &[ToldRow], now_ms: i64) -> Result<(), MirrorError> {
        let put = || {
            let mut put = self.conn().prepare_cached(PUT_TOLD)?;
            for ToldRow { event, start_ms, end_ms, minutes, put_off_ms } in rows {
                put.execute((event.as_bytes(), start_ms, end_ms, minutes, put_off_ms))?;
            }
            self.conn()
                .prepare_cached(FORGET_TOLD)?
                .execute((now_ms.saturating_sub(KEPT_MS), TOLD_KEPT))
                .map(|_| ())
        };
        put().doing("noting told reminders")
    }
}

impl Reader {
    /// The reminders that were told, by event.
    ///
    /// # Errors
    /// As every reading.
    pub fn told_reminders(&self) -> Result<Vec<ToldRow>, MirrorError> {
        if !self.has_presence()? {
            return Ok(Vec::new());
        }
        self.prepared(TOLD, "reading the told reminders", |statement| {
            statement.query_map([], told)?.collect()
        })
    }
}
