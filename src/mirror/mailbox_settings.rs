//! What the mailbox says about its user's time.

use rusqlite::OptionalExtension;

use crate::mirror::{Doing, Mirror, MirrorError};
use crate::model::MailboxSettings;

const PUT: &str =
    "INSERT INTO mailbox_settings (one, settings, at_ms, asked_at_ms, is_allowed) VALUES (1, ?1, ?2, ?2, 1)
    ON CONFLICT (one) DO UPDATE SET settings = excluded.settings, at_ms = excluded.at_ms,
    asked_at_ms = excluded.asked_at_ms, is_allowed = 1";
/// What was told before stays: it is only older.
const PUT_DENIED: &str = "INSERT INTO mailbox_settings (one, asked_at_ms, is_allowed) VALUES (1, ?1, 0)
    ON CONFLICT (one) DO UPDATE SET asked_at_ms = excluded.asked_at_ms, is_allowed = 0";
const ASKED: &str = "SELECT asked_at_ms, is_allowed FROM mailbox_settings WHERE one = 1";
const ASK_AGAIN: &str = "UPDATE mailbox_settings SET asked_at_ms = 0 WHERE one = 1";

/// When the mailbox was last asked about its user's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxAsked {
    /// When.
    pub at_ms: i64,
    /// Whether it allowed to read that.
    pub is_allowed: bool,
}

impl Mirror {
    /// Stores what the mailbox says; none: it does not allow to read that, and what it said before stays.
    pub fn put_mailbox_settings(
        &mut self,
        settings: Option<&MailboxSettings>,
        now_ms: i64,
    ) -> Result<(), MirrorError> {
        let doing = "storing the mailbox's settings";
        let Some(settings) = settings else { return self.run(PUT_DENIED, [now_ms], doing) };
        let text =
            serde_json::to_string(settings).map_err(|_| MirrorError::Invariant("settings are plain data"))?;
        self.run(PUT, (text, now_ms), doing)
    }

    /// When the mailbox was last asked; none: never.
    pub fn mailbox_asked(&self) -> Result<Option<MailboxAsked>, MirrorError> {
        self.conn
            .prepare_cached(ASKED)
            .and_then(|mut s| {
                s.query_row([], |row| Ok(MailboxAsked { at_ms: row.get(0)?, is_allowed: row.get(1)? }))
                    .optional()
            })
            .doing("reading when the mailbox was asked")
    }

    /// Has the mailbox asked soon: somebody signed in, perhaps with more permissions.
    pub fn ask_mailbox_again(&mut self) -> Result<(), MirrorError> {
        self.run(ASK_AGAIN, [], "noting a sign-in")
    }
}
