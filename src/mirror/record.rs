//! A stored row as the complete record that an edit is made against: the details of an occurrence are its series'.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::mirror::read_rows::{EVENT_COLUMNS_COUNT, event_columns, view};
use crate::mirror::{Doing, Mirror, MirrorError};
use crate::model::{EventKind, EventRecord, Key, RemoteId};

const BY_KEY: &str = concat!(
    "SELECT ",
    event_columns!(),
    ", e.original_start_ms, e.modified_ms, coalesce(e.transaction_id, m.transaction_id), \
     (SELECT k.remote_id FROM event k WHERE k.id = e.series_id), \
     (SELECT b.body FROM event_body b WHERE b.event_id = CASE e.kind WHEN 'occurrence' THEN e.series_id ELSE e.id END) \
     FROM event e CROSS JOIN calendar c ON c.id = e.calendar_id \
     LEFT JOIN event m ON m.id = e.series_id AND e.kind = 'occurrence' \
     WHERE e.key = ?1 AND e.is_present = 1"
);

/// A row with what an edit needs to know about its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundRecord {
    pub(super) record: EventRecord,
    pub(super) calendar: Key,
    pub(super) series: Option<Key>,
}

pub(super) fn by_key(conn: &Connection, key: Key) -> Result<Option<FoundRecord>, MirrorError> {
    conn.prepare_cached(BY_KEY)
        .and_then(|mut s| s.query_row([key.as_bytes()], found).optional())
        .doing("reading an event")
}

fn found(row: &Row<'_>) -> rusqlite::Result<FoundRecord> {
    let event = view(row)?;
    let more = EVENT_COLUMNS_COUNT;
    let mut details = event.details;
    details.transaction_id = row.get(more + 2)?;
    // A body that says no more than its preview is kept once.
    details.body = row.get::<_, Option<String>>(more + 4)?.or_else(|| details.body_preview.clone());
    let is_instance = matches!(event.kind, EventKind::Occurrence | EventKind::Exception);
    let record = EventRecord {
        remote_id: event.remote_id.unwrap_or_else(|| RemoteId::new("")),
        kind: event.kind,
        change_key: event.change_key,
        series: row.get::<_, Option<String>>(more + 3)?.filter(|_| is_instance).map(RemoteId::new),
        start_ms: event.start_ms,
        end_ms: event.end_ms,
        original_start_ms: row.get(more)?,
        modified_ms: row.get(more + 1)?,
        details: Some(details),
    };
    Ok(FoundRecord { record, calendar: event.calendar, series: event.series })
}

impl Mirror {
    /// The server's row of an event or a series, complete.
    pub fn record(&self, key: Key) -> Result<Option<EventRecord>, MirrorError> {
        Ok(by_key(&self.conn, key)?.map(|found| found.record))
    }
}
