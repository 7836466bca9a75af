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
    /// A rule of the mirror's own does not hold: a bug.
    #[error("the mirror broke its own rule: {0}")]
    Invariant(&'static str),
}

impl MirrorError {
    /// For `map_err`: a statement failed while `doing`.
    pub(crate) fn sqlite(doing: &'static str) -> impl Fn(rusqlite::Error) -> MirrorError {
        move |source| MirrorError::Sqlite { doing, source }
    }
}
