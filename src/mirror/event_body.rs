//! Plain-text bodies that say more than their preview.

use rusqlite::{CachedStatement, Connection};

use crate::mirror::{Doing, MirrorError};
use crate::model::Details;

const PUT: &str = "INSERT INTO event_body (event_id, body) VALUES (?1, ?2)
    ON CONFLICT (event_id) DO UPDATE SET body = excluded.body";
const REMOVE: &str = "DELETE FROM event_body WHERE event_id = ?1";

/// Writes bodies inside somebody's transaction.
pub(crate) struct Bodies<'c> {
    put: CachedStatement<'c>,
    remove: CachedStatement<'c>,
}

impl<'c> Bodies<'c> {
    pub(crate) fn new(conn: &'c Connection) -> Result<Bodies<'c>, MirrorError> {
        Ok(Bodies {
            put: conn.prepare_cached(PUT).doing("preparing the bodies")?,
            remove: conn.prepare_cached(REMOVE).doing("preparing the bodies")?,
        })
    }

    /// Keeps the body of a row, or drops the one it had; `is_new` spares the look for an old one.
    pub(crate) fn put(
        &mut self,
        event_id: i64,
        details: Option<&Details>,
        is_new: bool,
    ) -> Result<(), MirrorError> {
        let body = details.and_then(|d| d.body.as_deref());
        match body {
            Some(body) if details.and_then(|d| d.body_preview.as_deref()) != Some(body) => {
                self.put.execute((event_id, body)).map(|_| ()).doing("writing a body")
            }
            Some(_) | None if is_new => Ok(()),
            Some(_) | None => self.remove(event_id),
        }
    }

    pub(crate) fn remove(&mut self, event_id: i64) -> Result<(), MirrorError> {
        self.remove.execute([event_id]).map(|_| ()).doing("removing a body")
    }
}
