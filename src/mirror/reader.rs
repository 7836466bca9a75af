//! Reads a mirror: a connection that cannot write, needs no lock, and works beside the writer and any number of
//! other readers, in this process or another.
//!
//! Other programs read the file itself, read-only, and only through these views. Columns are only ever added.
//!
//! Ids (`id`, `calendar`, `series_id`, `event`) are 32 lower-case hexadecimal digits, the same as in JSON. Names
//! ending in `_ms` are UTC epoch milliseconds. Flags are 0 or 1. A text the server left out is NULL.
//!
//! | view | columns |
//! |---|---|
//! | `v1_calendars` | `id` `remote_id` `name` `color` `owner_name` `owner_address` `is_default` `can_edit` `window_from_ms` `window_to_ms` (what is mirrored; NULL before the first round) `last_pull_ms` `last_full_check_ms` `held_removals` `skipped` `error_kind` `error_at_ms` |
//! | `v1_events` | what the server said, one row an event, occurrences joined with their series: `id` `remote_id` `ical_uid` `change_key` `calendar` `source` (always "microsoft365", also of Exchange and iCalendar accounts: ask the configuration) `kind` `series_id` `subject` `body` `body_preview` `location` `start_ms` `end_ms` `all_day` `start_date` `end_date` `original_time_zone` (the server's own text) `show_as` `sensitivity` `importance` `response` `cancelled` `organizer_name` `organizer_address` `attendees` (JSON array of `{name,address,type,response}`, or NULL) `categories` (JSON array of texts, or NULL) `reminder_minutes` `online_meeting_provider` `online_meeting_join_url` `web_link` `pending` `conflict` `unconfirmed` |
//! | `v1_agenda` | what the agenda shows, pending edits included: `id` `calendar` `kind` `series_id` `subject` `body_preview` `location` `start_ms` `end_ms` `all_day` `start_date` `end_date` `original_time_zone` `show_as` `sensitivity` `importance` `response` `cancelled` `organizer_name` `organizer_address` `categories` `reminder_minutes` `online_meeting_provider` `online_meeting_join_url` `web_link` `pending` `conflict` `unconfirmed` |
//! | `v1_outbox` | `n` `event` `op` `fields` (JSON array) `state` `attempts` `next_attempt_ms` `last_problem_kind` `last_problem_status` `last_problem_code` `last_problem_at_ms` `notifies` `created_at_ms` |
//! | `v1_conflicts` | `n` `event` `fields` (JSON array of `{name,base,mine,theirs}`) `kind` `resolution` `at_ms` |
//! | `v1_sync_state` | one row: `user` `as_of_ms` (oldest last complete pull; NULL while a calendar was never pulled) `attempted_at_ms` `reached_at_ms` `throttled_until_ms` `error_kind` `error_at_ms` `edits_lost` `calendars` `held_removals` `details_missing` (series whose details are still to be fetched) `last_seq` |
//! | `v1_changes` | `seq` (grows, never reused) `event` `what` (`put`, `remove`) `at_ms` |
//!
//! Of an all-day event (`all_day` = 1) `start_ms` and `end_ms` are the midnights of its dates as if they were UTC;
//! `start_date` and the exclusive `end_date` say them as text, and are NULL for others. To read a range, ask
//! `start_ms >= from - longest AND start_ms < to AND end_ms > from`: `start_ms` is indexed, and without its lower
//! bound half the table is read.

use std::cell::Cell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, Row, Transaction, named_params};

use crate::mirror::{MirrorError, schema};
use crate::model::{EventView, Key, Window};

/// A writer holds the file for one short transaction at a time; a checkpoint may take longer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// More statements than a reader has.
const STATEMENTS_KEPT: usize = 32;
/// The rows of a busy week lie on about 3 MB of pages, more than SQLite keeps by itself.
const CACHE_KIB: i64 = 8_192;
/// The shortest prefix of an id that may stand for it.
pub const KEY_PREFIX_MIN: usize = 4;
/// Digits of an id.
const KEY_DIGITS: usize = 32;

const SCHEMA_TABLE: &str =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'refinery_schema_history'";
const SCHEMA_VERSION: &str = "SELECT coalesce(max(version), 0) FROM refinery_schema_history";

pub(super) const CALENDARS: &str = "SELECT c.key, c.name, c.is_default, c.can_edit, c.window_from_ms, \
     c.window_to_ms, c.pulled_at_ms, c.full_at_ms, c.cursor_at_ms, c.skipped, c.error_kind, c.error_at_ms, \
     EXISTS (SELECT 1 FROM round r WHERE r.calendar_id = c.id), \
     (SELECT count(*) FROM removal x WHERE x.calendar_id = c.id AND x.is_held = 1) \
     FROM calendar c WHERE c.is_present = 1 ORDER BY c.is_default DESC, c.name, c.key";

pub(super) const ACCOUNT: &str = "SELECT user, attempted_at_ms, reached_at_ms, throttled_until_ms, error_kind, \
     error_at_ms, edits_lost FROM account";

/// Walks an index, never the table.
pub(super) const COUNTS: &str = "SELECT c.key, n.events FROM ( \
     SELECT e.calendar_id, count(*) AS events FROM event e \
     WHERE e.is_present = 1 AND e.kind <> 'master' GROUP BY e.calendar_id) n \
     CROSS JOIN calendar c ON c.id = n.calendar_id AND c.is_present = 1 ORDER BY c.key";

const HAS_DRAFTS: &str = "SELECT EXISTS (SELECT 1 FROM draft)";

/// How many more events each calendar shows than its rows say: new ones, less those that will be deleted.
pub(super) const COUNTS_OF_DRAFTS: &str = "SELECT d.calendar_key, sum(d.is_hidden = 0) - sum(EXISTS ( \
         SELECT 1 FROM event e WHERE e.key = d.key AND e.is_present = 1 AND e.kind <> 'master')) \
     FROM draft d \
     GROUP BY d.calendar_key";

pub(super) const CHANGES: &str =
    "SELECT seq, event_key, what = 'remove', at_ms FROM change WHERE seq > :since ORDER BY seq LIMIT :limit";

pub(super) const NEWEST_CHANGE: &str = "SELECT coalesce(max(seq), 0) FROM change";

/// A read-only connection to one account's mirror.
pub struct Reader {
    pub(super) connection: Connection,
    path: PathBuf,
    has_outbox: Cell<bool>,
}

/// One calendar with its sync state.
#[derive(Clone, PartialEq, Eq)]
pub struct CalendarView {
    /// The local identity.
    pub key: Key,
    /// The displayed name.
    pub name: String,
    /// The mailbox's default calendar.
    pub is_default: bool,
    /// Whether the user may write into it.
    pub can_edit: bool,
    /// What is mirrored; none before the first round.
    pub window: Option<Window>,
    /// Last complete pull.
    pub pulled_at_ms: Option<i64>,
    /// Last complete comparison of the whole window.
    pub full_at_ms: Option<i64>,
    /// When the cursor of the next round was given out.
    pub cursor_at_ms: Option<i64>,
    /// Rows of the last round that could not be read.
    pub skipped: u64,
    /// The last failure, until a success clears it.
    pub failure: Option<FailureView>,
    /// A full round is under way.
    pub is_in_round: bool,
    /// Removals held back.
    pub held_removals: u64,
}

impl std::fmt::Debug for CalendarView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CalendarView")
            .field("key", &self.key)
            .field("pulled_at_ms", &self.pulled_at_ms)
            .finish_non_exhaustive()
    }
}

/// A failure with its stable kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureView {
    /// See `Fault::kind`.
    pub kind: String,
    /// When.
    pub at_ms: i64,
}

/// What concerns the whole mailbox.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountView {
    /// Whose mailbox it is, once known.
    pub user: Option<String>,
    /// Last attempt to reach the server.
    pub attempted_at_ms: Option<i64>,
    /// Last answer of the server.
    pub reached_at_ms: Option<i64>,
    /// No request before this.
    pub throttled_until_ms: Option<i64>,
    /// The last failure, until a success clears it.
    pub failure: Option<FailureView>,
    /// Open edits lost with a damaged mirror.
    pub edits_lost: u64,
}

impl std::fmt::Debug for AccountView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountView")
            .field("reached_at_ms", &self.reached_at_ms)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

/// One line of the change feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeView {
    /// Its place.
    pub seq: i64,
    /// Which event.
    pub key: Key,
    /// It left the view; otherwise it is new or differs.
    pub is_removal: bool,
    /// When it was committed.
    pub at_ms: i64,
}

/// What a key or the beginning of one leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Exactly this.
    One(Box<EventView>),
    /// Nothing that is shown.
    None,
    /// Several begin like this.
    Many,
}

impl Reader {
    /// Opens the mirror at `path` for reading. Needs no network and no lock.
    ///
    /// # Errors
    /// `Absent` when there is no mirror yet, `Newer` when a newer program wrote it, `Damaged` when it is no
    /// database, `Sqlite` for anything else that SQLite refuses.
    pub fn open(path: &Path) -> Result<Reader, MirrorError> {
        if !path.exists() {
            return Err(MirrorError::Absent { path: path.to_path_buf() });
        }
        let unusable = |source| MirrorError::Io { path: path.to_path_buf(), source };
        // Asked without opening it: a process that closes a file loses all locks it has on it, SQLite's too, and
        // whoever else closes the mirror then takes it for unused and removes its log.
        if std::fs::metadata(path).map_err(unusable)?.is_dir() {
            return Err(unusable(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
        }
        match Reader::open_with(path, path.as_os_str(), OpenFlags::empty()) {
            Err(MirrorError::Sqlite { source, .. }) if is_not_writable(&source) => {
                // SQLite names no cause: a missing permission is said by the system. No lock is lost where none
                // could be had.
                std::fs::File::open(path).map_err(unusable)?;
                Reader::open_resting(path, source)
            }
            opened => opened,
        }
    }

    fn open_with(path: &Path, name: &OsStr, more: OpenFlags) -> Result<Reader, MirrorError> {
        // A Connection never leaves its thread while in use: SQLite's own mutexes would be idle.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
        let doing = "opening it for reading";
        let connection =
            Connection::open_with_flags(Path::new(name), flags).map_err(|e| named(path, doing, e))?;
        let reader = Reader { connection, path: path.to_path_buf(), has_outbox: Cell::new(false) };
        reader.prepare().map_err(|e| named(path, doing, e))?;
        reader.check_version()?;
        Ok(reader)
    }

    /// Opens a file where no side files can be made (a backup, a read-only disk): nobody writes there, so that
    /// it is read without any. What lies in a log beside it would be missing: then it is refused, with the cause.
    fn open_resting(path: &Path, refused: rusqlite::Error) -> Result<Reader, MirrorError> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            let text = "its folder cannot be written, and its last changes lie in the -wal file beside it: make the \
                 folder writable, or copy both files to where they can be";
            return Err(MirrorError::Io { path: path.to_path_buf(), source: std::io::Error::other(text) });
        }
        match resting_name(path) {
            Some(name) => Reader::open_with(path, OsStr::new(&name), OpenFlags::SQLITE_OPEN_URI),
            None => Err(named(path, "opening it for reading", refused)),
        }
    }

    /// Whether SQLite finds its pages in order. Reads the whole file.
    ///
    /// # Errors
    /// `Damaged` when it cannot even be read.
    pub fn is_sound(&self) -> Result<bool, MirrorError> {
        let doing = "checking its pages";
        let verdict: String = self
            .connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|e| named(&self.path, doing, e))?;
        Ok(verdict == "ok")
    }

    fn prepare(&self) -> rusqlite::Result<()> {
        let connection = &self.connection;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        // The file may have been made to harm: nothing in its schema gets to run functions that reach out of it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.pragma_update(None, "cache_size", CACHE_KIB.saturating_neg())?;
        connection.pragma_update(None, "query_only", true)
    }

    fn check_version(&self) -> Result<(), MirrorError> {
        let found = self.version()?;
        if found > schema::KNOWN {
            return Err(MirrorError::Newer { path: self.path.clone(), found, known: schema::KNOWN });
        }
        // Created a moment ago and not migrated yet, or left by an older program: the next sync brings it up.
        if found < schema::READABLE_SINCE {
            return Err(MirrorError::Absent { path: self.path.clone() });
        }
        self.has_outbox.set(found >= schema::OUTBOX_SINCE);
        Ok(())
    }

    /// The schema version of the file; zero before its first migration.
    pub(super) fn version(&self) -> Result<i32, MirrorError> {
        version_of(&self.connection).map_err(|e| self.named("reading its schema version", e))
    }

    /// Whether the file can hold edits. An engine may have brought it up since it was opened.
    pub(super) fn has_outbox(&self) -> Result<bool, MirrorError> {
        if !self.has_outbox.get() {
            self.has_outbox.set(self.version()? >= schema::OUTBOX_SINCE);
        }
        Ok(self.has_outbox.get())
    }

    /// Whether the file remembers presence.
    pub(super) fn has_presence(&self) -> Result<bool, MirrorError> {
        Ok(self.version()? >= schema::PRESENCE_SINCE)
    }

    /// Whether an edit is open that readers see.
    pub(super) fn has_drafts(&self) -> Result<bool, MirrorError> {
        if !self.has_outbox()? {
            return Ok(false);
        }
        self.prepared(HAS_DRAFTS, "looking for drafts", |statement| statement.query_row([], |row| row.get(0)))
    }

    /// The calendars that the server lists: the default first, then by name.
    ///
    /// # Errors
    /// As every reading: a damaged file, or SQLite's refusal.
    pub fn calendars(&self) -> Result<Vec<CalendarView>, MirrorError> {
        self.prepared(CALENDARS, "reading the calendars", |statement| {
            statement.query_map([], calendar)?.collect()
        })
    }

    /// What concerns the whole mailbox.
    ///
    /// # Errors
    /// As every reading.
    pub fn account(&self) -> Result<AccountView, MirrorError> {
        self.prepared(ACCOUNT, "reading the account", |statement| {
            statement.query_row([], |row| {
                Ok(AccountView {
                    user: row.get(0)?,
                    attempted_at_ms: row.get(1)?,
                    reached_at_ms: row.get(2)?,
                    throttled_until_ms: row.get(3)?,
                    failure: failure(row.get(4)?, row.get(5)?),
                    edits_lost: count(row, 6)?,
                })
            })
        })
    }

    /// How many events each calendar shows; calendars without any are left out.
    ///
    /// # Errors
    /// As every reading.
    pub fn counts(&self) -> Result<Vec<(Key, u64)>, MirrorError> {
        let _snapshot = self.snapshot()?;
        let mut counts: Vec<(Key, u64)> = self.prepared(COUNTS, "counting events", |statement| {
            statement.query_map([], |row| Ok((Key::from_bytes(row.get(0)?), count(row, 1)?)))?.collect()
        })?;
        if !self.has_drafts()? {
            return Ok(counts);
        }
        let more: Vec<(Key, i64)> = self.prepared(COUNTS_OF_DRAFTS, "counting edits", |statement| {
            statement.query_map([], |row| Ok((Key::from_bytes(row.get(0)?), row.get(1)?)))?.collect()
        })?;
        for (calendar, more) in more {
            match counts.iter_mut().find(|(key, _)| *key == calendar) {
                Some((_, events)) => *events = events.saturating_add_signed(more),
                None => counts.push((calendar, u64::try_from(more).unwrap_or(0))),
            }
        }
        counts.retain(|(_, events)| *events > 0);
        counts.sort_unstable();
        Ok(counts)
    }

    /// The event with this key.
    ///
    /// # Errors
    /// As every reading.
    pub fn event(&self, key: Key) -> Result<Option<EventView>, MirrorError> {
        Ok(self.between(key, key)?.pop())
    }

    /// The event whose id begins with `prefix`: at least [`KEY_PREFIX_MIN`] hexadecimal digits, in any case.
    ///
    /// # Errors
    /// As every reading.
    pub fn event_by_prefix(&self, prefix: &str) -> Result<Found, MirrorError> {
        let Some((first, last)) = prefix_range(prefix) else { return Ok(Found::None) };
        let mut found = self.between(first, last)?;
        Ok(match (found.pop(), found.pop()) {
            (Some(event), None) => Found::One(Box::new(event)),
            (None, _) => Found::None,
            (Some(_), Some(_)) => Found::Many,
        })
    }

    /// The lines of the change feed after `since`, `limit` at most, in order.
    ///
    /// # Errors
    /// As every reading.
    pub fn changes(&self, since: i64, limit: usize) -> Result<Vec<ChangeView>, MirrorError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.prepared(CHANGES, "reading the change feed", |statement| {
            statement
                .query_map(named_params! { ":since": since, ":limit": limit }, |row| {
                    Ok(ChangeView {
                        seq: row.get(0)?,
                        key: Key::from_bytes(row.get(1)?),
                        is_removal: row.get(2)?,
                        at_ms: row.get(3)?,
                    })
                })?
                .collect()
        })
    }

    /// A number that differs from the one before when another connection has written meanwhile.
    ///
    /// # Errors
    /// As every reading.
    pub fn data_version(&self) -> Result<i64, MirrorError> {
        self.prepared("PRAGMA data_version", "asking whether it was written", |statement| {
            statement.query_row([], |row| row.get(0))
        })
    }

    /// The place of the newest line of the change feed; 0 when there is none.
    ///
    /// # Errors
    /// As every reading.
    pub fn newest_change(&self) -> Result<i64, MirrorError> {
        self.prepared(NEWEST_CHANGE, "reading the change feed", |statement| {
            statement.query_row([], |row| row.get(0))
        })
    }

    /// One state of the file for several statements, until it is dropped.
    pub(super) fn snapshot(&self) -> Result<Transaction<'_>, MirrorError> {
        self.connection.unchecked_transaction().map_err(|e| self.named("beginning to read", e))
    }

    /// Runs `read` on the cached statement for `sql`.
    pub(super) fn prepared<T>(
        &self,
        sql: &'static str,
        doing: &'static str,
        read: impl FnOnce(&mut CachedStatement<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, MirrorError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| read(&mut statement))
            .map_err(|e| self.named(doing, e))
    }

    pub(super) fn named(&self, doing: &'static str, source: rusqlite::Error) -> MirrorError {
        named(&self.path, doing, source)
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The schema version of a file; zero before its first migration.
pub(super) fn version_of(conn: &Connection) -> rusqlite::Result<i32> {
    let one = |sql| conn.query_row(sql, [], |row| row.get::<_, i32>(0));
    if one(SCHEMA_TABLE)? == 0 { Ok(0) } else { one(SCHEMA_VERSION) }
}

/// Whether SQLite could not make what it needs beside the file.
fn is_not_writable(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// The path as an address of a file that does not change while it is open; `None` when it is no text.
fn resting_name(path: &Path) -> Option<String> {
    let mut name = "file:".to_owned();
    let text = path.to_str()?;
    // A drive letter follows an empty host.
    if cfg!(windows) {
        name.push_str("///");
    }
    for letter in text.chars() {
        match letter {
            '%' => name.push_str("%25"),
            '?' => name.push_str("%3f"),
            '#' => name.push_str("%23"),
            '\\' if cfg!(windows) => name.push('/'),
            other => name.push(other),
        }
    }
    name.push_str("?immutable=1");
    Some(name)
}

fn named(path: &Path, doing: &'static str, source: rusqlite::Error) -> MirrorError {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            MirrorError::Damaged { path: path.to_path_buf() }
        }
        Some(_) | None => MirrorError::Sqlite { doing, source },
    }
}

fn calendar(row: &Row<'_>) -> rusqlite::Result<CalendarView> {
    let window = match (row.get(4)?, row.get(5)?) {
        (Some(from_ms), Some(to_ms)) => Some(Window { from_ms, to_ms }),
        (Some(_), None) | (None, _) => None,
    };
    Ok(CalendarView {
        key: Key::from_bytes(row.get(0)?),
        name: row.get(1)?,
        is_default: row.get(2)?,
        can_edit: row.get(3)?,
        window,
        pulled_at_ms: row.get(6)?,
        full_at_ms: row.get(7)?,
        cursor_at_ms: row.get(8)?,
        skipped: count(row, 9)?,
        failure: failure(row.get(10)?, row.get(11)?),
        is_in_round: row.get(12)?,
        held_removals: count(row, 13)?,
    })
}

fn count(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0))
}

fn failure(kind: Option<String>, at_ms: Option<i64>) -> Option<FailureView> {
    kind.map(|kind| FailureView { kind, at_ms: at_ms.unwrap_or_default() })
}

/// The first and the last key that begin with these digits.
fn prefix_range(prefix: &str) -> Option<(Key, Key)> {
    let is_prefix = (KEY_PREFIX_MIN..=KEY_DIGITS).contains(&prefix.len())
        && prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_prefix {
        return None;
    }
    let filled = |digit: &str| format!("{prefix}{}", digit.repeat(KEY_DIGITS - prefix.len())).parse().ok();
    Some((filled("0")?, filled("f")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::Mirror;

    #[test]
    fn a_file_that_rests_is_read_without_side_files_and_one_with_a_log_is_refused_with_the_cause() {
        let dir = tempfile::tempdir().unwrap();
        // Letters that mean something in an address.
        let path = dir.path().join("a%41 b?c#d.db");
        Mirror::open(&path, 0).unwrap().0.close().unwrap();
        let refused = || rusqlite::Error::InvalidQuery;
        let reader = Reader::open_resting(&path, refused()).unwrap();
        assert!(reader.is_sound().unwrap());
        assert_eq!(reader.calendars().unwrap(), []);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no side files");
        std::fs::write(dir.path().join("a%41 b?c#d.db-wal"), b"changes").unwrap();
        let error = Reader::open_resting(&path, refused()).unwrap_err();
        assert!(error.to_string().contains("-wal"), "{error}");
    }

    #[test]
    fn a_folder_in_place_of_the_file_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let error = Reader::open(dir.path()).unwrap_err();
        assert_eq!(error.kind(), "mirror_unusable");
        assert!(error.to_string().contains("directory"), "{error}");
    }
}
