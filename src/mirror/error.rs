use std::path::PathBuf;

/// Why a mirror cannot be used. Breakage, not weather.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// SQLite refused a statement.
    #[error("the mirror failed while {doing}: {source}")]
    Sqlite {
        /// What was being done, as a participle phrase.
        doing: &'static str,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// The file was written by a newer program.
    #[error(
        "{path} was written by a newer program (schema {found}, this one knows {known}); update calmirror"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// The schema version in the file.
        found: i32,
        /// The newest this program knows.
        known: i32,
    },
    /// The file was written by an older program and not brought up yet; only the engine does that.
    #[error(
        "{path} is of an older program (schema {found}, this one needs {known}); run `calmirror sync` once"
    )]
    Outdated {
        /// Which file.
        path: PathBuf,
        /// The schema version in the file.
        found: i32,
        /// The one needed.
        known: i32,
    },
    /// No more edits are taken.
    #[error("{max} edits wait to be sent already; connect and run `calmirror sync`, or discard some of them")]
    OutboxFull {
        /// The most that may wait.
        max: u64,
    },
    /// A migration failed.
    #[error("the mirror {path} could not be brought to this program's schema: {source}")]
    Migration {
        /// Which file.
        path: PathBuf,
        /// The migration runner's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is not a database, or its pages are damaged.
    #[error("the mirror {path} is damaged; the next `sync` sets it aside and rebuilds it")]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// There is no mirror yet.
    #[error("there is no mirror at {path} yet; run `calmirror sync`")]
    Absent {
        /// Which file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{path} cannot be used: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It holds another mailbox than the configuration or the tokens name now.
    #[error(
        "the mirror of this account belongs to another mailbox; `calmirror login --replace`, or `calmirror logout --wipe`, deletes the mirror and starts anew, and an account of another name leaves it alone"
    )]
    OtherMailbox,
    /// A rule of the mirror's own does not hold: a bug.
    #[error("the mirror broke its own rule: {0}")]
    Invariant(&'static str),
}

impl MirrorError {
    /// Whether SQLite found the file itself damaged, so that it must be set aside and rebuilt.
    pub fn is_damage(&self) -> bool {
        match self {
            MirrorError::Damaged { .. } => true,
            MirrorError::Sqlite { source, .. } => is_damage(source),
            MirrorError::Newer { .. }
            | MirrorError::Outdated { .. }
            | MirrorError::OutboxFull { .. }
            | MirrorError::Migration { .. }
            | MirrorError::Absent { .. }
            | MirrorError::Io { .. }
            | MirrorError::OtherMailbox
            | MirrorError::Invariant(_) => false,
        }
    }
}

impl MirrorError {
    /// The stable name of what a user can do something about.
    pub fn kind(&self) -> &'static str {
        match self {
            MirrorError::Newer { .. } => "mirror_newer",
            MirrorError::OutboxFull { .. } => "outbox_full",
            _ if self.is_damage() => "mirror_damaged",
            MirrorError::Damaged { .. }
            | MirrorError::Sqlite { .. }
            | MirrorError::Outdated { .. }
            | MirrorError::Migration { .. }
            | MirrorError::Absent { .. }
            | MirrorError::Io { .. }
            | MirrorError::OtherMailbox
            | MirrorError::Invariant(_) => "mirror_unusable",
        }
    }

    /// Whether the disk has no room: the transaction was undone and nothing is lost.
    pub fn is_full_disk(&self) -> bool {
        match self {
            MirrorError::Sqlite { source, .. } => {
                source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
            }
            MirrorError::Io { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
            MirrorError::Newer { .. }
            | MirrorError::Outdated { .. }
            | MirrorError::OutboxFull { .. }
            | MirrorError::Migration { .. }
            | MirrorError::Damaged { .. }
            | MirrorError::Absent { .. }
            | MirrorError::OtherMailbox
            | MirrorError::Invariant(_) => false,
        }
    }
}

/// Whether SQLite says that the file is no database or a broken one.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
    )
}

/// Says what was being done when a statement failed.
pub(crate) trait Doing<T> {
    /// Names the act, as a participle phrase.
    fn doing(self, what: &'static str) -> Result<T, MirrorError>;
}

impl<T> Doing<T> for Result<T, rusqlite::Error> {
    fn doing(self, what: &'static str) -> Result<T, MirrorError> {
        self.map_err(|source| MirrorError::Sqlite { doing: what, source })
    }
}
