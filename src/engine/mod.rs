//! Owns the data directory: its lock, the clock, randomness, HTTP, the runtime. Doors talk to it through `api`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::api::{Error, SyncDone};
use crate::config::Config;
use crate::model::Key;
use crate::ports::{Clock, Entropy, Http};

/// The outside world, handed in by the program (or by a test).
#[derive(Clone)]
pub struct Edges {
    /// Sends requests.
    pub http: Arc<dyn Http>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Draws randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// What `sync` is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncOrder {
    /// Compare the whole window, whatever the last full check.
    pub is_full: bool,
    /// Carry out held removals.
    pub accept_removals: Accept,
}

/// Which held removals to carry out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Accept {
    /// None.
    #[default]
    None,
    /// Those of every calendar.
    All,
    /// Those of this calendar.
    Calendar(Key),
}

/// What a sync is doing; for progress bars and the event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The calendars are known.
    Calendars {
        /// How many.
        count: u64,
    },
    /// A round begins.
    Round {
        /// The calendar.
        calendar: Key,
        /// Its place, from 1.
        place: u64,
        /// Whether the whole window is compared.
        is_full: bool,
    },
    /// A page is committed.
    Page {
        /// The calendar.
        calendar: Key,
        /// Rows on it.
        rows: u64,
        /// Rows of this sync so far.
        rows_total: u64,
    },
    /// The server asked to wait, or a retry is due.
    Waiting {
        /// How long.
        duration: Duration,
        /// The fault's stable kind.
        kind: &'static str,
    },
    /// A calendar is complete.
    Complete {
        /// The calendar.
        calendar: Key,
    },
    /// A calendar could not be completed.
    Failed {
        /// The calendar.
        calendar: Key,
        /// The fault's stable kind.
        kind: &'static str,
    },
}

/// How a sync ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReport {
    /// The numbers.
    pub done: SyncDone,
    /// Why it is not complete, if it is not.
    pub weather: Option<Weather>,
}

/// Why a sync is not complete: a value, not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weather {
    /// Sign-in is needed (exit 3).
    SignInNeeded,
    /// The server cannot be reached or refused (exit 4); the fault's stable kind.
    Unreachable(&'static str),
    /// The server asked to wait longer than a sync waits (exit 4).
    Throttled {
        /// UTC epoch milliseconds.
        until_ms: i64,
    },
}

/// What to show a user who signs in by device code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePrompt {
    /// Where to go.
    pub verification_url: String,
    /// What to type there.
    pub user_code: String,
    /// How long it is valid.
    pub valid: Duration,
}

/// The engine of one data directory. At most one process holds it; readers need none.
pub struct Engine {
    data_dir: PathBuf,
}

impl Engine {
    /// Takes the data directory's lock and prepares the configured accounts. Needs no network and no sign-in.
    ///
    /// # Errors
    /// `Refused` when another process holds the lock, `Mirror` when a mirror cannot be used.
    pub fn open(_config: Config, data_dir: &Path, _edges: Edges) -> Result<Engine, Error> {
        Ok(Engine { data_dir: data_dir.to_path_buf() })
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }
}
