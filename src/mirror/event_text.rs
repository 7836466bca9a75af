//! The full-text index. Rows wait in `text_queue` until [`Mirror::index_text`] works them off in batches; a
//! search reads waiting rows directly, so it is never behind.

use rusqlite::{CachedStatement, Connection};

use crate::mirror::{Doing, Mirror, MirrorError};

/// Rows indexed in one transaction.
const BATCH: usize = 1_000;

const QUEUE: &str = "INSERT OR IGNORE INTO text_queue (event_id) VALUES (?1)";
const WAITING: &str = "SELECT event_id FROM text_queue ORDER BY event_id LIMIT ?1";
const UNINDEX: &str = "DELETE FROM event_text WHERE rowid = ?1";
/// The texts of the row `e`, in the order of the columns of `event_text`: what the index holds of it.
macro_rules! texts {
    () => {
        "e.subject, e.location, \
         coalesce((SELECT b.body FROM event_body b WHERE b.event_id = e.id), e.body_preview), \
         concat_ws(' ', e.organizer_name, e.organizer_address, \
             (SELECT group_concat(concat_ws(' ', a.value ->> 'name', a.value ->> 'address'), ' ') \
              FROM json_each(e.attendees) a)), \
         (SELECT group_concat(k.value, ' ') FROM json_each(e.categories) k)"
    };
}
pub(super) use texts;

pub(super) const INDEX: &str = concat!(
    "INSERT INTO event_text (rowid, subject, location, body, people, categories) SELECT e.id, ",
    texts!(),
    " FROM event e WHERE e.id = ?1 AND e.is_present = 1"
);
const DONE: &str = "DELETE FROM text_queue WHERE event_id = ?1";

/// Queues rows for the index inside somebody's transaction.
pub(crate) struct Texts<'c> {
    queue: CachedStatement<'c>,
}

impl<'c> Texts<'c> {
    pub(crate) fn new(conn: &'c Connection) -> Result<Texts<'c>, MirrorError> {
        Ok(Texts { queue: conn.prepare_cached(QUEUE).doing("preparing the text queue")? })
    }

    pub(crate) fn queue(&mut self, event_id: i64) -> Result<(), MirrorError> {
        self.queue.execute([event_id]).map(|_| ()).doing("queueing a text")
    }
}

impl Mirror {
    /// Indexes up to one batch of waiting rows. Answers whether more are waiting.
    pub fn index_text(&mut self) -> Result<bool, MirrorError> {
        let tx = self.conn.transaction().doing("indexing texts")?;
        let waiting: Vec<i64> = tx
            .prepare_cached(WAITING)
            .and_then(|mut s| s.query_map([BATCH as i64], |row| row.get(0)).and_then(Iterator::collect))
            .doing("reading the text queue")?;
        {
            let mut unindex = tx.prepare_cached(UNINDEX).doing("indexing texts")?;
            let mut index = tx.prepare_cached(INDEX).doing("indexing texts")?;
            let mut done = tx.prepare_cached(DONE).doing("indexing texts")?;
            for event_id in &waiting {
                for statement in [&mut unindex, &mut index, &mut done] {
                    statement.execute([event_id]).doing("indexing texts")?;
                }
            }
        }
        tx.commit().doing("indexing texts")?;
        Ok(waiting.len() == BATCH)
    }
}

/// Takes a row out of the index and the queue, inside somebody's transaction.
pub(crate) fn forget(conn: &Connection, event_id: i64) -> Result<(), MirrorError> {
    for sql in [UNINDEX, DONE] {
        conn.prepare_cached(sql)
            .and_then(|mut s| s.execute([event_id]))
            .doing("taking a text out of the index")?;
    }
    Ok(())
}
