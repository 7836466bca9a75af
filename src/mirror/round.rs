//! Full rounds under way. A round of changes needs no row: it starts again from the delta link it came from.

use rusqlite::{Connection, OptionalExtension};

use crate::mirror::removal::RoundPlace;
use crate::mirror::{Doing, Mirror, MirrorError, account, calendar, event};
use crate::model::{Link, Window};

const BEGIN: &str =
    "INSERT INTO round (calendar_id, gen, window_from_ms, window_to_ms, started_at_ms, events_before)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (calendar_id) DO UPDATE SET gen = excluded.gen, window_from_ms = excluded.window_from_ms,
        window_to_ms = excluded.window_to_ms, next_link = NULL, pages = 0, skipped = 0,
        started_at_ms = excluded.started_at_ms, events_before = excluded.events_before";
const ADVANCE: &str =
    "UPDATE round SET next_link = ?2, pages = pages + 1, skipped = skipped + ?3 WHERE calendar_id = ?1";
const FORGET: &str = "DELETE FROM round WHERE calendar_id = ?1";
const SELECT: &str = "SELECT gen, window_from_ms, window_to_ms, next_link, pages, skipped, started_at_ms,
    coalesce(events_before, 0) FROM round WHERE calendar_id = ?1";

/// How far a full round came, stored with the rows of each page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor<'l> {
    /// Nothing to store: previews, rounds of changes, re-reads, and the last page of a round.
    Keep,
    /// The next page of the full round, and the rows of this one that could not be read.
    Next {
        /// Where it is.
        link: &'l Link,
        /// Rows left out.
        skipped: u64,
    },
}

/// A full round under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundRow {
    /// Its generation; the number below it belongs to its preview.
    pub generation: i64,
    /// Its window.
    pub window: Window,
    /// The next page; `None` before the first answer.
    pub next_link: Option<Link>,
    /// Pages so far.
    pub pages: u64,
    /// Rows that could not be read so far.
    pub skipped: u64,
    /// When it began.
    pub started_at_ms: i64,
    /// Events shown when it began.
    pub events_before: u64,
}

/// The end of a round of either kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundEnd<'l> {
    /// Where it happened.
    pub place: RoundPlace,
    /// Whether the whole window was compared.
    pub is_full: bool,
    /// Where the next round starts; `None` when there is no delta (snapshots).
    pub delta_link: Option<&'l Link>,
    /// Rows that could not be read.
    pub skipped: u64,
    /// Rows whose staged removal the server would neither confirm nor deny: they stay staged.
    pub unproven: &'l [i64],
}

impl Mirror {
    /// Begins a full round beside the live generation; a former unfinished one is given up.
    pub fn begin_round(
        &mut self,
        calendar_id: i64,
        window: Window,
        now_ms: i64,
    ) -> Result<RoundRow, MirrorError> {
        let tx = self.conn.transaction().doing("beginning a round")?;
        let generation = account::take_generation(&tx)?;
        let events_before = event::count(&tx, calendar_id)?;
        tx.prepare_cached(BEGIN)
            .and_then(|mut s| {
                s.execute((calendar_id, generation, window.from_ms, window.to_ms, now_ms, events_before))
            })
            .doing("beginning a round")?;
        tx.commit().doing("beginning a round")?;
        Ok(RoundRow {
            generation,
            window,
            next_link: None,
            pages: 0,
            skipped: 0,
            started_at_ms: now_ms,
            events_before,
        })
    }

    /// The full round of a calendar that is under way.
    pub fn round(&self, calendar_id: i64) -> Result<Option<RoundRow>, MirrorError> {
        self.conn
            .prepare_cached(SELECT)
            .and_then(|mut s| {
                s.query_row([calendar_id], |row| {
                    Ok(RoundRow {
                        generation: row.get(0)?,
                        window: Window { from_ms: row.get(1)?, to_ms: row.get(2)? },
                        next_link: row.get::<_, Option<String>>(3)?.map(Link::new),
                        pages: row.get(4)?,
                        skipped: row.get(5)?,
                        started_at_ms: row.get(6)?,
                        events_before: row.get(7)?,
                    })
                })
                .optional()
            })
            .doing("reading a round")
    }

    /// Gives the unfinished full round of a calendar up; the live generation stands.
    pub fn forget_round(&mut self, calendar_id: i64) -> Result<(), MirrorError> {
        forget(&self.conn, calendar_id)
    }
}

pub(crate) fn forget(conn: &Connection, calendar_id: i64) -> Result<(), MirrorError> {
    conn.prepare_cached(FORGET)
        .and_then(|mut s| s.execute([calendar_id]))
        .map(|_| ())
        .doing("forgetting a round")
}

pub(crate) fn advance(conn: &Connection, calendar_id: i64, cursor: &Cursor<'_>) -> Result<(), MirrorError> {
    match cursor {
        Cursor::Keep => Ok(()),
        Cursor::Next { link, skipped } => conn
            .prepare_cached(ADVANCE)
            .and_then(|mut s| s.execute((calendar_id, link.as_str(), skipped)))
            .map(|_| ())
            .doing("noting the next page"),
    }
}

pub(crate) fn end(conn: &Connection, end: &RoundEnd<'_>, now_ms: i64) -> Result<(), MirrorError> {
    if end.is_full {
        forget(conn, end.place.calendar_id)?;
    }
    calendar::end_round(conn, end, now_ms)
}
