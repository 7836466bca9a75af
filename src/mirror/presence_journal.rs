//! What presence did and why, for 90 days.

use rusqlite::Connection;

use crate::mirror::{Doing, MirrorError, Reader, Session};
use crate::model::DAY_MS;
use crate::model::coded::coded;
use crate::presence::Channel;

/// How long a line is kept.
const KEPT_MS: i64 = 90 * DAY_MS;
/// The most lines kept.
const LINES_MAX: i64 = 50_000;
/// The most lines read at once.
pub const JOURNAL_LINES_MAX: usize = 10_000;

const PUT: &str = "INSERT INTO presence_journal (at_ms, kind, channel, detail) VALUES (?1, ?2, ?3, ?4)";
const FORGET: &str = "DELETE FROM presence_journal WHERE at_ms < ?1
    OR n <= (SELECT coalesce(max(n), 0) FROM presence_journal) - ?2";
const NEWEST: &str = "SELECT at_ms, kind, channel, detail FROM presence_journal ORDER BY n DESC LIMIT ?1";

coded! {
    /// What a line of the journal tells.
    JournalKind {
        /// Something else is shown or forwarded from now on.
        Segment = "segment",
        /// A command was queued, sent or answered.
        Command = "command",
        /// Somebody else decides about the forwarding, or does not any more.
        Yield = "yield",
        /// A command was not wanted any more.
        Drop = "drop",
        /// A manual choice was made or taken back.
        Override = "override",
        /// Something that the policy asks for cannot be done.
        Skip = "skip",
    }
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// When.
    pub at_ms: i64,
    /// What.
    pub kind: JournalKind,
    /// On which channel.
    pub channel: Option<Channel>,
    /// A JSON object without anything private.
    pub detail: serde_json::Value,
}

fn put(conn: &Connection, row: &JournalRow) -> rusqlite::Result<()> {
    let channel = row.channel.map(Channel::code);
    conn.prepare_cached(PUT)?.execute((row.at_ms, row.kind.code(), channel, row.detail.to_string()))?;
    conn.prepare_cached(FORGET)?.execute([row.at_ms.saturating_sub(KEPT_MS), LINES_MAX])?;
    Ok(())
}

impl Session<'_> {
    /// Writes a line, and forgets those that are too old.
    pub fn put_journal(&self, row: &JournalRow) -> Result<(), MirrorError> {
        put(self.conn(), row).doing("writing the journal")
    }
}

impl Reader {
    /// The newest lines, oldest first; `limit` at most, cut at [`JOURNAL_LINES_MAX`].
    ///
    /// # Errors
    /// As every reading.
    pub fn presence_journal(&self, limit: usize) -> Result<Vec<JournalRow>, MirrorError> {
        if !self.has_presence()? {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(limit.min(JOURNAL_LINES_MAX)).unwrap_or(i64::MAX);
        let mut rows: Vec<JournalRow> = self.prepared(NEWEST, "reading the journal", |statement| {
            let rows = statement.query_map([limit], |row| {
                let kind: String = row.get(1)?;
                let channel: Option<String> = row.get(2)?;
                let detail: String = row.get(3)?;
                Ok(JournalRow {
                    at_ms: row.get(0)?,
                    kind: JournalKind::from_code(&kind).unwrap_or(JournalKind::Skip),
                    channel: channel.as_deref().and_then(Channel::from_code),
                    detail: serde_json::from_str(&detail).unwrap_or_default(),
                })
            })?;
            rows.collect()
        })?;
        rows.reverse();
        Ok(rows)
    }
}
