//! Both versions of what could not be merged. Kept after the decision, so that it can be taken back.

use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::Value;

use crate::edit::Clash;
use crate::mirror::outbox::{json, parsed, parsed_opt};
use crate::mirror::{Doing, MirrorError};
use crate::model::{ConflictKind, EventRecord, Intent, Keep, Key, OpenEdit, RemoteId};

/// The most conflicts that are kept; the oldest decided ones go first.
const KEPT_MAX: i64 = 10_000;

macro_rules! select {
    () => {
        "SELECT n, event_key, series_key, calendar_key, calendar_remote_id, remote_id, kind, mine, base, theirs, fields, \
         resolution, outbox_n, at_ms, resolved_at_ms FROM conflict "
    };
}

pub(super) const ALL: &str = concat!(select!(), "ORDER BY n");
pub(super) const BY_N: &str = concat!(select!(), "WHERE n = ?1");
const PUT: &str = "INSERT INTO conflict (event_key, series_key, calendar_key, calendar_remote_id, remote_id, kind, mine, base,
        theirs, fields, resolution, outbox_n, at_ms, resolved_at_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
const RESOLVE: &str =
    "UPDATE conflict SET resolution = ?2, resolved_at_ms = ?3, outbox_n = NULL WHERE n = ?1";
const NUMBERS: &str = "SELECT n FROM conflict ORDER BY n";
const DROP: &str = "DELETE FROM conflict WHERE n = ?1";
const FORGET: &str = "DELETE FROM conflict WHERE resolution IS NOT NULL
    AND n <= (SELECT n FROM conflict ORDER BY n DESC LIMIT 1 OFFSET ?1)";

/// A conflict to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConflict {
    /// What the two sides did.
    pub kind: ConflictKind,
    /// What the server has; none when the event is gone there.
    pub theirs: Option<Box<EventRecord>>,
    /// The fields that both changed.
    pub clashes: Vec<Clash>,
    /// What the policy decided; none: the user is asked.
    pub resolution: Option<Keep>,
}

/// A field that both sides changed, with the values of the event's JSON (times in milliseconds).
#[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ClashRow {
    /// Its name.
    pub name: String,
    /// What it was.
    pub base: Value,
    /// What was wanted here.
    pub mine: Value,
    /// What the server has.
    pub theirs: Value,
}

impl std::fmt::Debug for ClashRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClashRow").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One conflict.
#[derive(Debug, Clone, PartialEq)]
pub struct ConflictRow {
    /// Its number.
    pub n: i64,
    /// The local identity of the event.
    pub event: Key,
    /// The local identity of its series.
    pub series: Option<Key>,
    /// The local identity of its calendar.
    pub calendar: Key,
    /// The server's id of that calendar.
    pub calendar_remote: RemoteId,
    /// The server's id of the event.
    pub remote: Option<RemoteId>,
    /// What the two sides did.
    pub kind: ConflictKind,
    /// What was wanted here.
    pub mine: Intent,
    /// What the server said when it was wanted.
    pub base: Option<Box<EventRecord>>,
    /// What the server had; none when the event was gone there.
    pub theirs: Option<Box<EventRecord>>,
    /// The fields that both changed.
    pub clashes: Vec<ClashRow>,
    /// What was decided.
    pub resolution: Option<Keep>,
    /// The parked edit, while nobody has decided.
    pub outbox_n: Option<i64>,
    /// When it was found.
    pub at_ms: i64,
    /// When it was decided.
    pub resolved_at_ms: Option<i64>,
}

pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<ConflictRow> {
    let kind: String = row.get(6)?;
    Ok(ConflictRow {
        n: row.get(0)?,
        event: Key::from_bytes(row.get(1)?),
        series: row.get::<_, Option<[u8; 16]>>(2)?.map(Key::from_bytes),
        calendar: Key::from_bytes(row.get(3)?),
        calendar_remote: RemoteId::new(row.get::<_, String>(4)?),
        remote: row.get::<_, Option<String>>(5)?.map(RemoteId::new),
        kind: ConflictKind::from_code(&kind).unwrap_or(ConflictKind::BothChanged),
        mine: parsed(row.get_ref(7)?.as_str()?, 7)?,
        base: parsed_opt(row, 8)?,
        theirs: parsed_opt(row, 9)?,
        clashes: parsed(row.get_ref(10)?.as_str()?, 10)?,
        resolution: row.get_ref(11)?.as_str_or_null()?.and_then(Keep::from_code),
        outbox_n: row.get(12)?,
        at_ms: row.get(13)?,
        resolved_at_ms: row.get(14)?,
    })
}

pub(super) fn by_n(conn: &Connection, n: i64) -> Result<Option<ConflictRow>, MirrorError> {
    conn.prepare_cached(BY_N).and_then(|mut s| s.query_row([n], row).optional()).doing("reading a conflict")
}

pub(super) fn all(conn: &Connection) -> Result<Vec<ConflictRow>, MirrorError> {
    conn.prepare_cached(ALL).and_then(|mut s| s.query_map([], row)?.collect()).doing("reading the conflicts")
}

/// Records a conflict of an edit, which is parked unless a policy has decided already.
pub(super) fn put(
    conn: &Connection,
    edit: &OpenEdit,
    new: &NewConflict,
    now_ms: i64,
) -> Result<i64, MirrorError> {
    let clashes: Vec<ClashRow> = new
        .clashes
        .iter()
        .map(|clash| ClashRow {
            name: clash.name.to_owned(),
            base: clash.base.clone(),
            mine: clash.mine.clone(),
            theirs: clash.theirs.clone(),
        })
        .collect();
    let (mine, fields) = (json(&edit.intent)?, json(&clashes)?);
    let base = edit.base.as_deref().map(json).transpose()?;
    let theirs = new.theirs.as_deref().map(json).transpose()?;
    let n = conn
        .prepare_cached(PUT)
        .and_then(|mut s| {
            s.insert((
                edit.event.as_bytes(),
                edit.series.as_ref().map(Key::as_bytes),
                edit.calendar.as_bytes(),
                edit.calendar_remote.as_str(),
                edit.remote.as_ref().map(RemoteId::as_str),
                new.kind.code(),
                mine,
                base,
                theirs,
                fields,
                new.resolution.map(Keep::code),
                new.resolution.is_none().then_some(edit.n),
                now_ms,
                new.resolution.is_some().then_some(now_ms),
            ))
        })
        .doing("recording a conflict")?;
    conn.prepare_cached(FORGET).and_then(|mut s| s.execute([KEPT_MAX])).doing("forgetting old conflicts")?;
    Ok(n)
}

pub(super) fn numbers(conn: &Connection) -> Result<Vec<i64>, MirrorError> {
    conn.prepare_cached(NUMBERS)
        .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
        .doing("listing the conflicts")
}

pub(super) fn forget(conn: &Connection, n: i64) -> Result<(), MirrorError> {
    conn.prepare_cached(DROP).and_then(|mut s| s.execute([n])).map(|_| ()).doing("forgetting a conflict")
}

pub(super) fn resolve(conn: &Connection, n: i64, keep: Keep, now_ms: i64) -> Result<(), MirrorError> {
    conn.prepare_cached(RESOLVE)
        .and_then(|mut s| s.execute((n, keep.code(), now_ms)))
        .map(|_| ())
        .doing("resolving a conflict")
}
