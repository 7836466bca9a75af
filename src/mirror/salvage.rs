//! Brings what the user wanted from a damaged file into its new one, row by row: the server can be asked again, the
//! user cannot.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use crate::mirror::alias::Aliases;
use crate::mirror::change::Feed;
use crate::mirror::draft::{Painter, Told};
use crate::mirror::{Doing, Mirror, MirrorError, account, conflict, outbox};

/// The most rows that are read of a table: a damaged one may lead in circles.
const ROWS_MAX: u32 = 1_000_000;

/// A table that survives: its key first.
struct Kept {
    name: &'static str,
    columns: &'static [&'static str],
}

const ALIAS: Kept = Kept { name: "alias", columns: &["remote_key", "key"] };
const OUTBOX: Kept = Kept {
    name: "outbox",
    columns: &[
        "n",
        "event_key",
        "series_key",
        "calendar_key",
        "calendar_remote_id",
        "remote_id",
        "action",
        "intent",
        "base",
        "fields",
        "body",
        "transaction_id",
        "state",
        "attempts",
        "next_attempt_ms",
        "problem_kind",
        "problem_status",
        "problem_code",
        "problem_at_ms",
        "notifies",
        "is_confirmed",
        "created_at_ms",
        "after_n",
    ],
};
const CONFLICT: Kept = Kept {
    name: "conflict",
    columns: &[
        "n",
        "event_key",
        "series_key",
        "calendar_key",
        "calendar_remote_id",
        "remote_id",
        "kind",
        "mine",
        "base",
        "theirs",
        "fields",
        "resolution",
        "outbox_n",
        "at_ms",
        "resolved_at_ms",
    ],
};
const REMINDER: Kept = Kept { name: "reminder", columns: &["event_key", "start_ms", "until_ms", "at_ms"] };

const PRESENCE: Kept =
    Kept { name: "presence", columns: &["one", "chosen", "evaluated_at_ms", "told", "call_since_ms"] };
const CHANNEL: Kept = Kept { name: "presence_channel", columns: &["channel", "state", "is_handed"] };
const JOURNAL: Kept =
    Kept { name: "presence_journal", columns: &["n", "at_ms", "kind", "channel", "detail"] };
const REMINDER_TOLD: Kept = Kept {
    name: "reminder_told",
    columns: &["n", "event_key", "start_ms", "end_ms", "minutes", "put_off_ms"],
};
/// The empty row makes room for the old one.
const CLEAR_PRESENCE: &str = "DELETE FROM presence";
const REFILL_PRESENCE: &str = "INSERT OR IGNORE INTO presence (one) VALUES (1)";

const HAS_OUTBOX: &str =
    "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'outbox')";
/// Another copy of the numbers: it tells how many there were when the table cannot.
const NUMBERS: &str = "SELECT n FROM outbox INDEXED BY outbox_by_state ORDER BY state, n";
const SEQUENCE: &str = "SELECT seq FROM sqlite_sequence WHERE name = ?1";
/// A number is never used again.
const RAISE: &str = "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1";
const BEGIN_SEQUENCE: &str = "INSERT INTO sqlite_sequence (name, seq)
    SELECT ?1, 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)";
const FORGET_EDIT: &str = "UPDATE conflict SET outbox_n = NULL
    WHERE outbox_n IS NOT NULL AND outbox_n NOT IN (SELECT n FROM outbox)";

/// What waited for an edit that could not be read is given to the user: the deletion of a move must not go out without
/// its copy.
const PARK_FOLLOWERS: &str =
    "UPDATE outbox SET state = 'parked', problem_kind = 'unclear', problem_at_ms = ?1
    WHERE after_n IS NOT NULL AND after_n NOT IN (SELECT n FROM outbox)";

/// Fills the outbox of a new file from the damaged one, and counts the edits that could not be read.
pub(super) fn salvage(mirror: &mut Mirror, damaged: &Path, now_ms: i64) -> Result<(), MirrorError> {
    let Mirror { conn, aliases, zones, .. } = mirror;
    conn.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = FULL").doing("saving edits")?;
    let tx = conn.transaction().doing("saving edits")?;
    let lost = match open(damaged).and_then(|old| Ok((has_outbox(&old)?, old))) {
        Ok((true, old)) => copy_all(&old, &tx)?,
        Ok((false, _)) => 0,
        // Nothing says how many there were: one stands for the question.
        Err(_) => 1,
    };
    account::add_lost_edits(&tx, lost)?;
    if lost > 0 {
        tx.execute(PARK_FOLLOWERS, [now_ms]).doing("saving edits")?;
    }
    {
        let painter = Painter { conn: &tx, zones };
        let mut feed = Feed::new(&tx, now_ms)?;
        for event in outbox::events(&tx)? {
            painter.redraw(&mut feed, event, Told::Nothing)?;
        }
    }
    tx.commit().doing("saving edits")?;
    conn.execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = NORMAL").doing("saving edits")?;
    *aliases = Aliases::load(conn)?;
    if lost > 0 {
        tracing::warn!(lost, "edits could not be read from the damaged mirror");
    }
    Ok(())
}

fn open(damaged: &Path) -> rusqlite::Result<Connection> {
    // Not for writing: what was set aside stays as it is.
    Connection::open_with_flags(damaged, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

fn has_outbox(old: &Connection) -> rusqlite::Result<bool> {
    old.query_row(HAS_OUTBOX, [], |row| row.get(0))
}

/// Copies what can be read. Answers how many edits cannot.
fn copy_all(old: &Connection, new: &Connection) -> Result<u64, MirrorError> {
    copy(old, new, &ALIAS)?;
    let is_whole = copy(old, new, &OUTBOX)?;
    let saved = readable_edits(new)?;
    let mut known = BTreeSet::new();
    let has_numbers = numbers(old, &mut known).is_ok();
    let missing = known.difference(&saved).count() as u64;
    let lost = if missing == 0 && !is_whole && !has_numbers { 1 } else { missing };
    copy(old, new, &CONFLICT)?;
    drop_unreadable_conflicts(new)?;
    new.execute(FORGET_EDIT, []).doing("saving conflicts")?;
    copy(old, new, &REMINDER)?;
    new.execute(CLEAR_PRESENCE, []).doing("saving presence")?;
    for table in [&PRESENCE, &CHANNEL, &JOURNAL, &REMINDER_TOLD] {
        copy(old, new, table)?;
    }
    new.execute(REFILL_PRESENCE, []).doing("saving presence")?;
    for table in [OUTBOX.name, CONFLICT.name] {
        let newest: Option<i64> =
            old.query_row(SEQUENCE, [table], |row| row.get(0)).optional().ok().flatten();
        let newest = newest.or(known.last().copied().filter(|_| table == OUTBOX.name)).unwrap_or(0);
        new.execute(BEGIN_SEQUENCE, [table]).doing("saving edits")?;
        new.execute(RAISE, (table, newest)).doing("saving edits")?;
    }
    Ok(lost)
}

/// Copies the readable rows of a table: from its beginning up to the first damage, then from its end. Answers whether
/// that was all.
fn copy(old: &Connection, new: &Connection, table: &Kept) -> Result<bool, MirrorError> {
    let columns = table.columns.join(", ");
    let places: Vec<String> = (1..=table.columns.len()).map(|at| format!("?{at}")).collect();
    let put = format!("INSERT OR IGNORE INTO {} ({columns}) VALUES ({})", table.name, places.join(", "));
    let mut put = new.prepare(&put).doing("saving edits")?;
    let key = table.columns.first().copied().unwrap_or("n");
    for order in ["ASC", "DESC"] {
        let sql = format!("SELECT {columns} FROM {} ORDER BY {key} {order} LIMIT {ROWS_MAX}", table.name);
        if read_rows(old, &sql, table.columns.len(), |row| {
            put.execute(rusqlite::params_from_iter(row)).map(|_| ()).doing("saving edits")
        })? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Hands every row to `take` until one cannot be read; answers whether all could.
fn read_rows(
    old: &Connection,
    sql: &str,
    width: usize,
    mut take: impl FnMut(Vec<Value>) -> Result<(), MirrorError>,
) -> Result<bool, MirrorError> {
    let Ok(mut statement) = old.prepare(sql) else { return Ok(false) };
    let Ok(mut rows) = statement.query([]) else { return Ok(false) };
    loop {
        match rows.next() {
            Ok(None) => return Ok(true),
            Ok(Some(row)) => match values(row, width) {
                Ok(row) => take(row)?,
                Err(_) => return Ok(false),
            },
            Err(_) => return Ok(false),
        }
    }
}

fn values(row: &Row<'_>, width: usize) -> rusqlite::Result<Vec<Value>> {
    (0..width).map(|at| row.get(at)).collect()
}

/// The numbers of the edits that arrived and say something; what is garbage goes.
fn readable_edits(new: &Connection) -> Result<BTreeSet<i64>, MirrorError> {
    let mut arrived = BTreeSet::new();
    numbers(new, &mut arrived).doing("saving edits")?;
    let mut readable = BTreeSet::new();
    for n in arrived {
        match outbox::by_n(new, n) {
            Ok(Some(_)) => {
                readable.insert(n);
            }
            Ok(None) | Err(_) => outbox::drop_edit(new, n)?,
        }
    }
    Ok(readable)
}

fn drop_unreadable_conflicts(new: &Connection) -> Result<(), MirrorError> {
    for n in conflict::numbers(new)? {
        if conflict::by_n(new, n).is_err() {
            conflict::forget(new, n)?;
        }
    }
    Ok(())
}

fn numbers(conn: &Connection, into: &mut BTreeSet<i64>) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(NUMBERS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        into.insert(row.get(0)?);
    }
    Ok(())
}

#[cfg(test)]
#[path = "salvage_tests.rs"]
mod tests;
