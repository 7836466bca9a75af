//! What the mailbox says about its user's time.

use rusqlite::OptionalExtension;

use crate::mirror::{Doing, Mirror, MirrorError};
use crate::model::MailboxSettings;

const PUT: &str = "INSERT INTO mailbox_settings (one, settings, at_ms) VALUES (1, ?1, ?2)
    ON CONFLICT (one) DO UPDATE SET settings = excluded.settings, at_ms = excluded.at_ms";
const AGE: &str = "SELECT at_ms FROM mailbox_settings WHERE one = 1";

impl Mirror {
    /// Stores what the mailbox says; none: it does not allow to read that.
    pub fn put_mailbox_settings(
        &mut self,
        settings: Option<&MailboxSettings>,
        now_ms: i64,
    ) -> Result<(), MirrorError> {
        let text = settings
            .map(serde_json::to_string)
            .transpose()
            .map_err(|_| MirrorError::Invariant("settings are plain data"))?;
        self.conn
            .prepare_cached(PUT)
            .and_then(|mut s| s.execute((text, now_ms)))
            .map(|_| ())
            .doing("storing the mailbox's settings")
    }

    /// When the mailbox was last asked.
    pub fn mailbox_settings_at_ms(&self) -> Result<Option<i64>, MirrorError> {
        self.conn
            .prepare_cached(AGE)
            .and_then(|mut s| s.query_row([], |row| row.get(0)).optional())
            .doing("reading the age of the mailbox's settings")
    }
}
