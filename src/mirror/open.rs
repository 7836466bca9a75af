use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::mirror::account::REBUILT;
use crate::mirror::alias::Aliases;
use crate::mirror::error::is_damage;
use crate::mirror::{Doing, MirrorError, account, change, salvage, schema};
use crate::zones::Zones;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Pages of 4 KiB the write-ahead log may collect before it is copied back: larger pays twice on a first sync.
const WAL_PAGES: u32 = 16_000;
/// The page cache in KiB. With the log it bounds the memory of a sync.
const CACHE_KIB: u32 = 12_000;
/// Prepared statements kept.
const STATEMENTS_MAX: usize = 64;
/// How long the writer waits for whoever records an edit, and for a reader that holds a lock it needs (checkpoints).
const BUSY_MS: u64 = 5_000;

/// The one writer of an account's mirror.
pub struct Mirror {
    pub(crate) conn: Connection,
    pub(super) aliases: Aliases,
    pub(super) zones: Zones,
    path: PathBuf,
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirror").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// A mirror that continues.
    Continued,
    /// No file: an empty mirror was made.
    Created,
    /// A damaged file was set aside and an empty mirror made.
    Rebuilt {
        /// Where the damaged file is now.
        set_aside: PathBuf,
    },
}

impl Mirror {
    /// Opens the mirror at `path` for writing, makes or migrates it, and sets a damaged one aside.
    ///
    /// The caller holds the engine lock of the data directory. Needs no network.
    ///
    /// # Errors
    /// [`MirrorError::Newer`] when a newer program wrote the file; it is left untouched.
    pub fn open(path: &Path, now_ms: i64) -> Result<(Mirror, Opening), MirrorError> {
        let existed = path.exists();
        match Mirror::open_as_is(path) {
            Ok(mirror) if existed => Ok((mirror, Opening::Continued)),
            Ok(mirror) => {
                change::begin_feed(&mirror.conn, now_ms)?;
                Ok((mirror, Opening::Created))
            }
            Err(error) if existed && error.is_damage() => {
                let set_aside = set_aside(path, now_ms)?;
                let mut mirror = Mirror::open_as_is(path)?;
                change::begin_feed(&mirror.conn, now_ms)?;
                mirror.note_fault(REBUILT, now_ms)?;
                salvage::salvage(&mut mirror, &set_aside, now_ms)?;
                Ok((mirror, Opening::Rebuilt { set_aside }))
            }
            Err(error) => Err(error),
        }
    }

    fn open_as_is(path: &Path) -> Result<Mirror, MirrorError> {
        make_private_file(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_with_flags(path, flags).doing("opening")?;
        conn.busy_timeout(std::time::Duration::from_millis(BUSY_MS)).doing("opening")?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        plan_once(&conn).doing("opening")?;
        let mode: String =
            conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).doing("switching to WAL")?;
        if mode != "wal" {
            return Err(MirrorError::Io {
                path: path.to_path_buf(),
                source: std::io::Error::other("the file system has no shared memory (a network share?)"),
            });
        }
        conn.execute_batch(&format!(
            "PRAGMA foreign_keys = ON;
             PRAGMA synchronous = NORMAL;
             PRAGMA wal_autocheckpoint = {WAL_PAGES};
             PRAGMA cache_size = -{CACHE_KIB};
             PRAGMA temp_store = MEMORY;
             PRAGMA trusted_schema = OFF;"
        ))
        .doing("setting up")?;
        check_version(&conn, path)?;
        embedded::migrations::runner().run(&mut conn).map_err(|error| {
            let source = std::error::Error::source(&error)
                .and_then(|s| s.downcast_ref::<rusqlite::Error>())
                .is_some_and(is_damage);
            if source {
                MirrorError::Damaged { path: path.to_path_buf() }
            } else {
                MirrorError::Migration { path: path.to_path_buf(), source: Box::new(error) }
            }
        })?;
        // A file that was not closed in order has its pages checked: damage shows now, not in the middle of a round.
        if !account::is_clean(&conn)? {
            let verdict: String =
                conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).doing("checking the pages")?;
            if verdict != "ok" {
                return Err(MirrorError::Damaged { path: path.to_path_buf() });
            }
        }
        account::set_clean(&conn, false)?;
        // Edits are written by others: a transaction that reads first must not find itself overtaken.
        conn.set_transaction_behavior(TransactionBehavior::Immediate);
        let aliases = Aliases::load(&conn)?;
        Ok(Mirror { conn, aliases, zones: Zones::bundled(), path: path.to_path_buf() })
    }

    /// Uses these zones to show how an edit of a series moves its instances.
    #[must_use]
    pub fn with_zones(mut self, zones: Zones) -> Mirror {
        self.zones = zones;
        self
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes in order: the next open trusts the pages.
    pub fn close(self) -> Result<(), MirrorError> {
        account::set_clean(&self.conn, true)?;
        // No `PRAGMA optimize`: with statistics, SQLite reads the whole mirror to look for removals that are not
        // there (14 ms in 10,000 rows, 220 ms in 100,000, each round). The statements are planned by their text.
        self.conn.close().map_err(|(_, source)| MirrorError::Sqlite { doing: "closing", source })
    }
}

/// Plans do not depend on the values that are asked for: without this SQLite prepares many statements again for each
/// new value, which costs more than to run them.
pub(super) fn plan_once(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

/// Refuses a file whose schema is newer than this program's.
fn check_version(conn: &Connection, path: &Path) -> Result<(), MirrorError> {
    let has_history: bool = conn
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'refinery_schema_history'",
            [],
            |row| row.get(0),
        )
        .doing("reading the schema version")?;
    if !has_history {
        return Ok(());
    }
    let found: i32 = conn
        .query_row("SELECT coalesce(max(version), 0) FROM refinery_schema_history", [], |row| row.get(0))
        .doing("reading the schema version")?;
    if found > schema::KNOWN {
        return Err(MirrorError::Newer { path: path.to_path_buf(), found, known: schema::KNOWN });
    }
    Ok(())
}

/// Makes sure the file exists with mode 0600 before SQLite opens it: its side files take the same mode.
fn make_private_file(path: &Path) -> Result<(), MirrorError> {
    let failed = |source| MirrorError::Io { path: path.to_path_buf(), source };
    if let Some(dir) = path.parent() {
        make_private_dir(dir).map_err(failed)?;
    }
    // An existing file is not opened here: closing it would drop the locks that a reader of this process holds.
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Renames the damaged file and its side files to `<name>.damaged-<time>`.
fn set_aside(path: &Path, now_ms: i64) -> Result<PathBuf, MirrorError> {
    let with_suffix = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let target = with_suffix(&format!(".damaged-{}", now_ms.div_euclid(1000)));
    for side in ["", "-wal", "-shm"] {
        let from = with_suffix(side);
        if !from.exists() {
            continue;
        }
        let mut to = target.as_os_str().to_owned();
        to.push(side);
        fs::rename(&from, PathBuf::from(to))
            .map_err(|source| MirrorError::Io { path: from.clone(), source })?;
    }
    Ok(target)
}

/// A file as the program of an earlier schema left it.
#[cfg(test)]
pub(super) fn make_of_version(path: &Path, version: i32) {
    let mut conn = Connection::open(path).unwrap();
    conn.pragma_update(None, "journal_mode", "wal").unwrap();
    embedded::migrations::runner().set_target(refinery::Target::Version(version)).run(&mut conn).unwrap();
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;

#[cfg(feature = "emulator")]
impl Mirror {
    /// Lets `commits` transactions pass and refuses every later one, as a machine does that is killed between two
    /// of them. For seeded worlds.
    pub fn break_after(&mut self, commits: u32) {
        let mut left = commits;
        // A hook can only be refused by a closed connection, which this is not.
        let _ = self.conn.commit_hook(Some(move || {
            let is_refused = left == 0;
            left = left.saturating_sub(1);
            is_refused
        }));
    }

    /// Ends [`Mirror::break_after`].
    pub fn break_never(&mut self) {
        let _ = self.conn.commit_hook(None::<fn() -> bool>);
    }
}
