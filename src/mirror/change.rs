//! The change feed: one row for each visible change, in the transaction that made it.

use rusqlite::{CachedStatement, Connection};

use crate::mirror::{Doing, Mirror, MirrorError};

/// Feed rows kept beyond the newest of each event; older ones are folded into it.
const KEPT_MAX: i64 = 100_000;

const APPEND: &str = "INSERT INTO change (event_key, what, at_ms) VALUES (?1, ?2, ?3)";
const APPEND_OCCURRENCES: &str = "INSERT INTO change (event_key, what, at_ms)
    SELECT key, 'put', ?2 FROM event WHERE series_id = ?1 AND kind = 'occurrence' AND is_present = 1 ORDER BY start_ms, id";
const FOLD: &str = "DELETE FROM change WHERE seq <= (SELECT max(seq) FROM change) - ?1
    AND seq NOT IN (SELECT max(seq) FROM change GROUP BY event_key)";

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
    /// Folds old feed rows: of each event the newest stays, whatever its age, so that a reader who comes back
    /// after any time misses no event.
    pub fn fold_feed(&mut self) -> Result<(), MirrorError> {
        self.run(FOLD, [KEPT_MAX], "folding the feed")
    }
}
