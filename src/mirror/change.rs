//! The change feed: one row for each visible change, in the transaction that made it.

use rusqlite::{CachedStatement, Connection};

use crate::mirror::{Doing, Mirror, MirrorError, account};

/// Feed rows that may come before the feed is folded again: folding reads all of it.
const UNFOLDED_MAX: i64 = 100_000;

const APPEND: &str = "INSERT INTO change (event_key, what, at_ms) VALUES (?1, ?2, ?3)";
const APPEND_OCCURRENCES: &str = "INSERT INTO change (event_key, what, at_ms)
    SELECT key, 'put', ?2 FROM event WHERE series_id = ?1 AND kind = 'occurrence' AND is_present = 1 ORDER BY start_ms, id";
const BEGIN: &str = "INSERT INTO sqlite_sequence (name, seq) VALUES ('change', ?1)";
const NEWEST: &str = "SELECT coalesce(max(seq), 0) FROM change";
const FOLD: &str = "DELETE FROM change WHERE seq NOT IN (SELECT max(seq) FROM change GROUP BY event_key)";

/// Begins the feed of a new file at the present in milliseconds, which is above every number an earlier file of
/// this account gave out: a number is never used again, not even after a rebuild.
pub(crate) fn begin_feed(conn: &Connection, now_ms: i64) -> Result<(), MirrorError> {
    conn.execute(BEGIN, [now_ms.max(0)]).doing("beginning the feed")?;
    account::set_folded_seq(conn, now_ms.max(0))
}

/// What happened to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// It is new or says something else.
    Put,
    /// It is no longer shown.
    Remove,
}

/// Appends to the feed inside somebody's transaction.
pub(crate) struct Feed<'c> {
    append: CachedStatement<'c>,
    append_occurrences: CachedStatement<'c>,
    now_ms: i64,
}

impl<'c> Feed<'c> {
    pub(crate) fn new(conn: &'c Connection, now_ms: i64) -> Result<Feed<'c>, MirrorError> {
        Ok(Feed {
            append: conn.prepare_cached(APPEND).doing("preparing the feed")?,
            append_occurrences: conn.prepare_cached(APPEND_OCCURRENCES).doing("preparing the feed")?,
            now_ms,
        })
    }

    pub(crate) fn append(&mut self, event: &[u8; 16], what: What) -> Result<(), MirrorError> {
        let code = match what {
            What::Put => "put",
            What::Remove => "remove",
        };
        self.append.execute((event, code, self.now_ms)).map(|_| ()).doing("appending to the feed")
    }

    /// The details of a series changed: so did each of its plain occurrences.
    pub(crate) fn append_occurrences(&mut self, series_id: i64) -> Result<(), MirrorError> {
        self.append_occurrences.execute((series_id, self.now_ms)).map(|_| ()).doing("appending to the feed")
    }
}

impl Mirror {
    /// Folds the feed when it has grown enough: of each event the newest row stays, whatever its age, so that a
    /// reader who comes back after any time misses no event.
    pub fn fold_feed(&mut self) -> Result<(), MirrorError> {
        let newest: i64 = self
            .conn
            .prepare_cached(NEWEST)
            .and_then(|mut s| s.query_row([], |row| row.get(0)))
            .doing("folding the feed")?;
        if newest - account::folded_seq(&self.conn)? <= UNFOLDED_MAX {
            return Ok(());
        }
        let tx = self.conn.transaction().doing("folding the feed")?;
        tx.prepare_cached(FOLD).and_then(|mut s| s.execute([])).doing("folding the feed")?;
        account::set_folded_seq(&tx, newest)?;
        tx.commit().doing("folding the feed")
    }
}
