//! Removals: staged while a round runs, decided together at its end, held when they are too many.

use rusqlite::Connection;

use crate::merge::RemovalVerdict;
use crate::mirror::change::{Feed, What};
use crate::mirror::draft::Painter;
use crate::mirror::event::Gone;
use crate::mirror::{Doing, Mirror, MirrorError, event, round};
use crate::model::{RemoteId, Window};

/// A row that an interrupted round of an older generation staged is staged by this one now; a held one stays held.
const STAGE: &str = "INSERT INTO removal (event_id, calendar_id, gen, at_ms) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (event_id) DO UPDATE SET calendar_id = excluded.calendar_id, gen = excluded.gen WHERE is_held = 0";
/// Instances that have moved to another calendar are that calendar's.
const STAGE_INSTANCES: &str = "INSERT INTO removal (event_id, calendar_id, gen, at_ms)
    SELECT id, calendar_id, ?2, ?3 FROM event WHERE series_id = ?1 AND calendar_id = ?4
    ON CONFLICT (event_id) DO UPDATE SET calendar_id = excluded.calendar_id, gen = excluded.gen WHERE is_held = 0";
const STAGE_MISSING_INSTANCES: &str = "INSERT INTO removal (event_id, calendar_id, gen, at_ms)
    SELECT id, calendar_id, ?2, ?3 FROM event
    WHERE series_id = ?1 AND calendar_id = ?4 AND start_ms < ?6 AND end_ms > ?5
      AND id NOT IN (SELECT value FROM json_each(?7))
    ON CONFLICT (event_id) DO UPDATE SET calendar_id = excluded.calendar_id, gen = excluded.gen WHERE is_held = 0";
/// Reads every row of the mirror: a full round has just done so too.
const STAGE_UNSEEN: &str = "INSERT INTO removal (event_id, calendar_id, gen, at_ms)
    SELECT id, calendar_id, ?2, ?3 FROM event
    WHERE calendar_id = ?1 AND seen_gen < ?2 AND kind <> 'master'
      AND start_ms < ?5 AND (end_ms > ?4 OR (start_ms = end_ms AND start_ms >= ?4))
    ON CONFLICT (event_id) DO UPDATE SET calendar_id = excluded.calendar_id, gen = excluded.gen WHERE is_held = 0";
const OUTSIDE: &str = "SELECT id FROM event
    WHERE calendar_id = ?1 AND seen_gen < ?2 AND kind <> 'master'
      AND NOT (start_ms < ?4 AND (end_ms > ?3 OR (start_ms = end_ms AND start_ms >= ?3)))
    ORDER BY id";
/// Series of which nothing is left in the window, and which the round did not deliver.
const GHOSTS: &str =
    "SELECT m.id FROM event m WHERE m.calendar_id = ?1 AND m.seen_gen < ?2 AND m.kind = 'master'
    AND NOT EXISTS (SELECT 1 FROM event i WHERE i.series_id = m.id) ORDER BY m.id";
const END: &str = "DELETE FROM removal WHERE event_id = ?1 RETURNING is_held";
const COUNT: &str = "SELECT count(*) FROM removal r CROSS JOIN event e ON e.id = r.event_id
    WHERE r.calendar_id = ?1 AND r.gen = ?2 AND r.is_held = 0 AND e.kind <> 'master'";
const NEAREST: &str = "SELECT e.id, e.remote_id FROM removal r CROSS JOIN event e ON e.id = r.event_id
    WHERE r.calendar_id = ?1 AND r.gen = ?5 AND r.is_held = 0
      AND (e.kind = 'single' OR (?4 AND e.kind <> 'master'))
    ORDER BY abs(e.start_ms - ?2), e.id LIMIT ?3";
/// Instances before their masters: a master may only go when nothing refers to it.
const LIST: &str = "SELECT r.event_id FROM removal r CROSS JOIN event e ON e.id = r.event_id
    WHERE r.calendar_id = ?1 AND r.is_held = ?2 AND (?2 OR r.gen = ?3) ORDER BY e.kind = 'master', r.event_id";
const HOLD: &str = "UPDATE removal SET is_held = 1 WHERE calendar_id = ?1 AND gen = ?2 AND is_held = 0";
/// What interrupted rounds of older generations staged was compared anew by a full round.
const FORGET_STALE: &str = "DELETE FROM removal WHERE calendar_id = ?1 AND gen < ?2 AND is_held = 0";
const HELD_KEYS: &str = "SELECT e.key FROM removal r CROSS JOIN event e ON e.id = r.event_id
    WHERE r.calendar_id = ?1 AND r.gen = ?2 AND r.is_held = 0 AND e.kind <> 'master' ORDER BY r.event_id";
const COUNT_HELD: &str = "SELECT count(*) FROM removal r CROSS JOIN event e ON e.id = r.event_id
    WHERE r.is_held = 1 AND e.kind <> 'master'";
const HAS_INSTANCES: &str = "SELECT EXISTS (SELECT 1 FROM event WHERE series_id = ?1)";

/// A staged removal that may be worth a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedRow {
    /// The row.
    pub event_id: i64,
    /// Its server's id.
    pub remote_id: RemoteId,
}

/// Which staged removals are worth a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspects {
    /// Singles: the series of instances were read again in this round.
    Singles,
    /// All: a listing merely left them out.
    All,
}

/// How a round ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// Events removed.
    pub removed: u64,
    /// Removals newly held.
    pub held: u64,
}

pub(crate) fn stage(
    conn: &Connection,
    event_id: i64,
    calendar_id: i64,
    generation: i64,
    now_ms: i64,
) -> Result<(), MirrorError> {
    conn.prepare_cached(STAGE)
        .and_then(|mut s| s.execute((event_id, calendar_id, generation, now_ms)))
        .map(|_| ())
        .doing("staging a removal")
}

pub(crate) fn stage_instances(
    conn: &Connection,
    series_id: i64,
    calendar_id: i64,
    generation: i64,
    now_ms: i64,
) -> Result<(), MirrorError> {
    conn.prepare_cached(STAGE_INSTANCES)
        .and_then(|mut s| s.execute((series_id, generation, now_ms, calendar_id)))
        .map(|_| ())
        .doing("staging the instances of a series")
}

/// Ends a staged or held removal. Answers whether it was held, which a reader could see.
pub(crate) fn end(conn: &Connection, event_id: i64) -> Result<bool, MirrorError> {
    use rusqlite::OptionalExtension;
    conn.prepare_cached(END)
        .and_then(|mut s| s.query_row([event_id], |row| row.get::<_, bool>(0)).optional())
        .map(|held| held.unwrap_or(false))
        .doing("ending a removal")
}

impl Mirror {
    /// Stages the instances of a series that lie in the window and are not among `kept`.
    pub fn stage_missing_instances(
        &mut self,
        series_id: i64,
        calendar: &RoundPlace,
        kept: &[i64],
        now_ms: i64,
    ) -> Result<u64, MirrorError> {
        let kept = serde_json::to_string(kept)
            .map_err(|_| MirrorError::Invariant("row numbers have a JSON form"))?;
        let RoundPlace { calendar_id, generation, window } = calendar;
        self.conn
            .prepare_cached(STAGE_MISSING_INSTANCES)
            .and_then(|mut s| {
                s.execute((series_id, generation, now_ms, calendar_id, window.from_ms, window.to_ms, kept))
            })
            .map(|n| n as u64)
            .doing("staging missing instances")
    }

    /// Stages the rows of the window that a full round did not deliver.
    pub fn stage_unseen(&mut self, place: &RoundPlace, now_ms: i64) -> Result<u64, MirrorError> {
        let RoundPlace { calendar_id, generation, window } = place;
        self.conn
            .prepare_cached(STAGE_UNSEEN)
            .and_then(|mut s| s.execute((calendar_id, generation, now_ms, window.from_ms, window.to_ms)))
            .map(|n| n as u64)
            .doing("staging unseen rows")
    }

    /// Removals that a round has staged, masters left out.
    pub fn count_staged(&self, place: &RoundPlace) -> Result<u64, MirrorError> {
        self.conn
            .prepare_cached(COUNT)
            .and_then(|mut s| s.query_row([place.calendar_id, place.generation], |row| row.get(0)))
            .doing("counting removals")
    }

    /// The `limit` staged removals nearest to `now_ms`: of singles, and of instances when `which` says so.
    pub fn nearest_staged(
        &self,
        place: &RoundPlace,
        now_ms: i64,
        limit: u32,
        which: Suspects,
    ) -> Result<Vec<StagedRow>, MirrorError> {
        let mut statement = self.conn.prepare_cached(NEAREST).doing("listing removals")?;
        statement
            .query_map((place.calendar_id, now_ms, limit, which == Suspects::All, place.generation), |row| {
                Ok(StagedRow { event_id: row.get(0)?, remote_id: RemoteId::new(row.get::<_, String>(1)?) })
            })
            .and_then(Iterator::collect)
            .doing("listing removals")
    }

    /// Ends a round in one transaction: carries out or holds its removals and makes its cursor the live one.
    pub fn end_round(
        &mut self,
        end: &round::RoundEnd<'_>,
        verdict: RemovalVerdict,
        now_ms: i64,
    ) -> Result<Ended, MirrorError> {
        let Mirror { conn, zones, .. } = self;
        let tx = conn.transaction().doing("ending a round")?;
        let mut ended = Ended::default();
        {
            let painter = Painter { conn: &tx, zones };
            let mut feed = Feed::new(&tx, now_ms)?;
            match verdict {
                RemovalVerdict::Apply => {
                    ended.removed = carry_out(
                        &painter,
                        &mut feed,
                        end.place.calendar_id,
                        Which::Staged(end.place.generation),
                        end.unproven,
                    )?;
                }
                RemovalVerdict::Hold => {
                    for key in keys(&tx, &end.place)? {
                        feed.append(&key, What::Put)?;
                        ended.held += 1;
                    }
                    tx.prepare_cached(HOLD)
                        .and_then(|mut s| s.execute([end.place.calendar_id, end.place.generation]))
                        .doing("holding removals")?;
                }
            }
            if end.is_full {
                // Rows that fell out of a window that moved: nobody removed them, so the brake does not count them.
                let RoundPlace { calendar_id, generation, window } = end.place;
                let outside: Vec<i64> = tx
                    .prepare_cached(OUTSIDE)
                    .and_then(|mut s| {
                        s.query_map((calendar_id, generation, window.from_ms, window.to_ms), |row| row.get(0))
                            .and_then(Iterator::collect)
                    })
                    .doing("listing rows outside the window")?;
                for id in outside {
                    event::delete(&painter, &mut feed, id, Gone::OutOfWindow)?;
                }
                tx.prepare_cached(FORGET_STALE)
                    .and_then(|mut s| s.execute((calendar_id, generation)))
                    .doing("ending a round")?;
                let ghosts: Vec<i64> = tx
                    .prepare_cached(GHOSTS)
                    .and_then(|mut s| {
                        s.query_map((calendar_id, generation), |row| row.get(0)).and_then(Iterator::collect)
                    })
                    .doing("listing empty series")?;
                for id in ghosts {
                    event::delete(&painter, &mut feed, id, Gone::OutOfWindow)?;
                }
            }
        }
        round::end(&tx, end, now_ms)?;
        tx.commit().doing("ending a round")?;
        Ok(ended)
    }

    /// Carries out the held removals of a calendar. Answers how many events went.
    pub fn accept_removals(&mut self, calendar_id: i64, now_ms: i64) -> Result<u64, MirrorError> {
        let Mirror { conn, zones, .. } = self;
        let tx = conn.transaction().doing("accepting removals")?;
        let removed = {
            let painter = Painter { conn: &tx, zones };
            let mut feed = Feed::new(&tx, now_ms)?;
            carry_out(&painter, &mut feed, calendar_id, Which::Held, &[])?
        };
        tx.commit().doing("accepting removals")?;
        Ok(removed)
    }

    /// Removals held over all calendars.
    pub fn count_held(&self) -> Result<u64, MirrorError> {
        self.conn
            .prepare_cached(COUNT_HELD)
            .and_then(|mut s| s.query_row([], |row| row.get(0)))
            .doing("counting held removals")
    }
}

/// Which removals to carry out.
#[derive(Debug, Clone, Copy)]
enum Which {
    /// Those the brake holds.
    Held,
    /// Those this generation's round has staged.
    Staged(i64),
}

/// Where a round happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundPlace {
    /// The calendar.
    pub calendar_id: i64,
    /// The generation.
    pub generation: i64,
    /// Its window.
    pub window: Window,
}

fn keys(conn: &Connection, place: &RoundPlace) -> Result<Vec<[u8; 16]>, MirrorError> {
    conn.prepare_cached(HELD_KEYS)
        .and_then(|mut s| {
            s.query_map([place.calendar_id, place.generation], |row| row.get(0)).and_then(Iterator::collect)
        })
        .doing("listing removals")
}

/// Removes what is staged, or what is held; `unproven` rows stay staged for the next round.
fn carry_out(
    painter: &Painter<'_>,
    feed: &mut Feed<'_>,
    calendar_id: i64,
    which: Which,
    unproven: &[i64],
) -> Result<u64, MirrorError> {
    let conn = painter.conn;
    let (is_held, generation) = match which {
        Which::Held => (true, 0),
        Which::Staged(generation) => (false, generation),
    };
    let ids: Vec<i64> = conn
        .prepare_cached(LIST)
        .and_then(|mut s| {
            s.query_map((calendar_id, is_held, generation), |row| row.get(0)).and_then(Iterator::collect)
        })
        .doing("listing removals")?;
    let mut removed = 0;
    for id in ids.into_iter().filter(|id| !unproven.contains(id)) {
        // A master that still has instances (they were delivered again, or their removal is held) stays.
        if has_instances(conn, id)? {
            end(conn, id)?;
            continue;
        }
        removed += u64::from(event::delete(painter, feed, id, Gone::There)?);
    }
    Ok(removed)
}

fn has_instances(conn: &Connection, event_id: i64) -> Result<bool, MirrorError> {
    conn.prepare_cached(HAS_INSTANCES)
        .and_then(|mut s| s.query_row([event_id], |row| row.get(0)))
        .doing("looking for instances")
}

#[cfg(test)]
#[path = "removal_tests.rs"]
mod tests;
