//! The full-text index. Rows wait in `text_queue` until [`Mirror::index_text`] works them off in batches; a
//! search reads waiting rows directly, so it is never behind.

use rusqlite::{CachedStatement, Connection};

use crate::mirror::{Doing, Mirror, MirrorError};

/// Rows indexed in one transaction.
const BATCH: usize = 1_000;

const QUEUE: &str = "INSERT OR IGNORE INTO text_queue (event_id) VALUES (?1)";
const WAITING: &str =
    "SELECT q.event_id, e.is_present, e.subject, e.location, coalesce(b.body, e.body_preview),
        e.organizer_name, e.organizer_address, e.attendees, e.categories
    FROM text_queue q LEFT JOIN event e ON e.id = q.event_id LEFT JOIN event_body b ON b.event_id = q.event_id
    ORDER BY q.event_id LIMIT ?1";
const UNINDEX: &str = "DELETE FROM event_text WHERE rowid = ?1";
const INDEX: &str = "INSERT INTO event_text (rowid, subject, location, body, people, categories) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
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

/// The texts of one row.
struct Waiting {
    event_id: i64,
    is_present: bool,
    columns: [Option<String>; 7],
}

/// The text of a stored JSON list of people or categories: punctuation is no word to the tokenizer, but the
/// member names of an attendee are, so only the values are kept.
pub(crate) fn list_text(json: &str) -> String {
    fn collect(value: &serde_json::Value, out: &mut String) {
        match value {
            serde_json::Value::String(text) => {
                out.push_str(text);
                out.push(' ');
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, out)),
            serde_json::Value::Object(members) => {
                for name in ["name", "address"] {
                    if let Some(member) = members.get(name) {
                        collect(member, out);
                    }
                }
            }
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
        }
    }
    let mut out = String::new();
    if let Ok(value) = serde_json::from_str(json) {
        collect(&value, &mut out);
    }
    out
}

impl Mirror {
    /// Indexes up to one batch of waiting rows. Answers whether more are waiting.
    pub fn index_text(&mut self) -> Result<bool, MirrorError> {
        let tx = self.conn.transaction().doing("indexing texts")?;
        let waiting = {
            let mut statement = tx.prepare_cached(WAITING).doing("reading the text queue")?;
            let rows = statement.query_map([BATCH as i64], |row| {
                Ok(Waiting {
                    event_id: row.get(0)?,
                    is_present: row.get::<_, Option<bool>>(1)?.unwrap_or(false),
                    columns: [
                        row.get(2)?,
                        row.get(3)?,
                        row.get(4)?,
                        row.get(5)?,
                        row.get(6)?,
                        row.get(7)?,
                        row.get(8)?,
                    ],
                })
            });
            rows.and_then(Iterator::collect::<Result<Vec<_>, _>>).doing("reading the text queue")?
        };
        {
            let mut unindex = tx.prepare_cached(UNINDEX).doing("indexing texts")?;
            let mut index = tx.prepare_cached(INDEX).doing("indexing texts")?;
            let mut done = tx.prepare_cached(DONE).doing("indexing texts")?;
            for row in &waiting {
                unindex.execute([row.event_id]).doing("indexing texts")?;
                if row.is_present {
                    let [subject, location, body, name, address, attendees, categories] = &row.columns;
                    let mut people = String::new();
                    for part in [name, address].into_iter().flatten() {
                        people.push_str(part);
                        people.push(' ');
                    }
                    if let Some(json) = attendees {
                        people.push_str(&list_text(json));
                    }
                    let categories = categories.as_deref().map(list_text);
                    index
                        .execute((row.event_id, subject, location, body, people, categories))
                        .doing("indexing texts")?;
                }
                done.execute([row.event_id]).doing("indexing texts")?;
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
