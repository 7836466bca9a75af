//! What is still to be fetched before a series is complete. Durable, so that a crash or an outage forgets nothing:
//! an occurrence stub is sent once and never again.

use rusqlite::Connection;

use crate::mirror::{Doing, Mirror, MirrorError, RoundPlace};
use crate::model::{Key, RemoteId};

const QUEUE: &str = "INSERT INTO hydration (event_id, calendar_id, need, since_ms) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (event_id) DO UPDATE SET calendar_id = excluded.calendar_id,
        attempts = CASE WHEN excluded.need = 'series' OR calendar_id <> excluded.calendar_id THEN 0 ELSE attempts END,
        next_at_ms = CASE WHEN excluded.need = 'series' OR calendar_id <> excluded.calendar_id THEN 0 ELSE next_at_ms END,
        need = CASE WHEN excluded.need = 'series' THEN 'series' ELSE need END";
/// Masters that a full round left out while it delivered instances of them: delta does not always bring them, and
/// what changed about them silently shows nowhere else.
const QUEUE_UNSEEN: &str = "INSERT INTO hydration (event_id, calendar_id, need, since_ms)
    SELECT m.id, ?1, 'master', ?3 FROM event m
    WHERE m.kind = 'master' AND m.seen_gen < ?2
      AND EXISTS (SELECT 1 FROM event i WHERE i.series_id = m.id AND i.calendar_id = ?1 AND i.seen_gen >= ?2)
    ON CONFLICT DO NOTHING";
const FINISH: &str = "DELETE FROM hydration WHERE event_id = ?1 AND need = ?2";
const POSTPONE: &str = "UPDATE hydration SET attempts = attempts + 1, next_at_ms = ?2 WHERE event_id = ?1";
/// A wait of more than two days was never asked for: the clock was put back.
const DUE: &str = "SELECT h.event_id, e.key, e.remote_id, h.need, h.attempts FROM hydration h
    JOIN event e ON e.id = h.event_id
    WHERE h.calendar_id = ?1 AND (h.next_at_ms <= ?2 OR h.next_at_ms > ?2 + 172800000) ORDER BY h.since_ms, h.event_id LIMIT ?3";

/// What a series needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The details of its master.
    Master,
    /// Everything again: something about it changed, and not every change is told.
    Series,
}

impl Need {
    const fn code(self) -> &'static str {
        match self {
            Need::Master => "master",
            Need::Series => "series",
        }
    }
}

/// A series that waits to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HydrationRow {
    /// The master's row.
    pub event_id: i64,
    /// Its identity.
    pub key: Key,
    /// Its server's id.
    pub remote_id: RemoteId,
    /// What it needs.
    pub need: Need,
    /// How often that failed.
    pub attempts: u32,
}

pub(crate) fn queue(
    conn: &Connection,
    event_id: i64,
    calendar_id: i64,
    need: Need,
    now_ms: i64,
) -> Result<(), MirrorError> {
    conn.prepare_cached(QUEUE)
        .and_then(|mut s| s.execute((event_id, calendar_id, need.code(), now_ms)))
        .map(|_| ())
        .doing("queueing a series")
}

pub(crate) fn finish(conn: &Connection, event_id: i64, need: Need) -> Result<(), MirrorError> {
    conn.prepare_cached(FINISH)
        .and_then(|mut s| s.execute((event_id, need.code())))
        .map(|_| ())
        .doing("finishing a series")
}

impl Mirror {
    /// The first `limit` series of a calendar that are due, oldest first.
    pub fn due_hydrations(
        &self,
        calendar_id: i64,
        now_ms: i64,
        limit: u32,
    ) -> Result<Vec<HydrationRow>, MirrorError> {
        let mut statement = self.conn.prepare_cached(DUE).doing("listing series to fetch")?;
        statement
            .query_map((calendar_id, now_ms, limit), |row| {
                let need: String = row.get(3)?;
                Ok(HydrationRow {
                    event_id: row.get(0)?,
                    key: Key::from_bytes(row.get(1)?),
                    remote_id: RemoteId::new(row.get::<_, String>(2)?),
                    need: if need == Need::Series.code() { Need::Series } else { Need::Master },
                    attempts: row.get(4)?,
                })
            })
            .and_then(Iterator::collect)
            .doing("listing series to fetch")
    }

    /// Queues the masters that a full round has not delivered although it delivered instances of them.
    pub fn queue_unseen_masters(&mut self, place: &RoundPlace, now_ms: i64) -> Result<(), MirrorError> {
        self.run(QUEUE_UNSEEN, (place.calendar_id, place.generation, now_ms), "queueing series")
    }

    /// Takes a series off the queue.
    pub fn finish_hydration(&mut self, event_id: i64, need: Need) -> Result<(), MirrorError> {
        finish(&self.conn, event_id, need)
    }

    /// Puts a series that failed off until `next_at_ms`.
    pub fn postpone_hydration(&mut self, event_id: i64, next_at_ms: i64) -> Result<(), MirrorError> {
        self.run(POSTPONE, (event_id, next_at_ms), "putting a series off")
    }
}
