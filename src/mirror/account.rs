use rusqlite::{Connection, OptionalExtension};

use crate::mirror::{Doing, Mirror, MirrorError};

/// Whose mailbox a mirror holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxId {
    /// The user's directory, where it is known.
    pub tenant_id: Option<String>,
    /// The server's id of the user.
    pub object_id: String,
}

impl MailboxId {
    /// Whether both name one mailbox: a directory that one of them does not know contradicts nothing.
    pub fn is_same(&self, other: &MailboxId) -> bool {
        let is_one_tenant = match (&self.tenant_id, &other.tenant_id) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            (None, _) | (_, None) => true,
        };
        is_one_tenant && self.object_id.eq_ignore_ascii_case(&other.object_id)
    }
}

/// What concerns the whole mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// The mailbox this mirror was filled from, once known.
    pub mailbox: Option<MailboxId>,
    /// When the calendars were last listed.
    pub listed_at_ms: Option<i64>,
    /// When something was last tried.
    pub attempted_at_ms: Option<i64>,
    /// When the server last answered usefully.
    pub reached_at_ms: Option<i64>,
    /// No request before this.
    pub throttled_until_ms: Option<i64>,
    /// The last failure of the whole account and its time, until a success clears it.
    pub fault: Option<(String, i64)>,
}

const SELECT: &str = "SELECT object_id, listed_at_ms, attempted_at_ms, reached_at_ms, throttled_until_ms,
    error_kind, error_at_ms, tenant_id FROM account WHERE one = 1";
const NOTE_ATTEMPT: &str = "UPDATE account SET attempted_at_ms = ?1 WHERE one = 1";
/// The kind that says that a damaged mirror was set aside; it stays for a day, since it is no failure of the server.
pub(crate) const REBUILT: &str = "mirror_rebuilt";

const NOTE_REACHED: &str = "UPDATE account SET reached_at_ms = ?1,
    error_kind = CASE WHEN error_kind = 'mirror_rebuilt' AND error_at_ms > ?1 - 86400000 THEN error_kind END,
    error_at_ms = CASE WHEN error_kind = 'mirror_rebuilt' AND error_at_ms > ?1 - 86400000 THEN error_at_ms END,
    throttled_until_ms = CASE WHEN throttled_until_ms <= ?1 THEN NULL ELSE throttled_until_ms END WHERE one = 1";
const NOTE_FAULT: &str = "UPDATE account SET error_kind = ?1, error_at_ms = ?2 WHERE one = 1";
const NOTE_LISTED: &str = "UPDATE account SET listed_at_ms = ?1 WHERE one = 1";
const NOTE_THROTTLED: &str = "UPDATE account SET throttled_until_ms = ?1 WHERE one = 1";
const BIND: &str =
    "UPDATE account SET object_id = ?1, user = coalesce(?2, user), tenant_id = coalesce(tenant_id, ?3)
    WHERE one = 1 AND (object_id IS NULL OR object_id = ?1)";
const TAKE_GENERATION: &str =
    "UPDATE account SET next_gen = next_gen + 2 WHERE one = 1 RETURNING next_gen - 1";
const FOLDED: &str = "SELECT folded_seq FROM account WHERE one = 1";
const SET_FOLDED: &str = "UPDATE account SET folded_seq = ?1 WHERE one = 1";
const ADD_LOST: &str = "UPDATE account SET edits_lost = edits_lost + ?1 WHERE one = 1";
const SET_CLEAN: &str = "UPDATE account SET is_clean = ?1 WHERE one = 1";

impl Mirror {
    /// What concerns the whole mailbox.
    pub fn account(&self) -> Result<AccountRow, MirrorError> {
        self.conn
            .prepare_cached(SELECT)
            .and_then(|mut statement| {
                statement.query_row([], |row| {
                    let object_id: Option<String> = row.get(0)?;
                    let kind: Option<String> = row.get(5)?;
                    let at: Option<i64> = row.get(6)?;
                    let tenant_id = row.get(7)?;
                    Ok(AccountRow {
                        mailbox: object_id.map(|object_id| MailboxId { tenant_id, object_id }),
                        listed_at_ms: row.get(1)?,
                        attempted_at_ms: row.get(2)?,
                        reached_at_ms: row.get(3)?,
                        throttled_until_ms: row.get(4)?,
                        fault: kind.zip(at),
                    })
                })
            })
            .doing("reading the account")
    }

    /// Notes that something is being tried.
    pub fn note_attempt(&mut self, now_ms: i64) -> Result<(), MirrorError> {
        self.run(NOTE_ATTEMPT, [now_ms], "noting an attempt")
    }

    /// Notes that the server answered usefully; clears the account's failure.
    pub fn note_reached(&mut self, now_ms: i64) -> Result<(), MirrorError> {
        self.run(NOTE_REACHED, [now_ms], "noting an answer")
    }

    /// Notes a failure of the whole account by its stable kind.
    pub fn note_fault(&mut self, kind: &str, now_ms: i64) -> Result<(), MirrorError> {
        self.run(NOTE_FAULT, rusqlite::params![kind, now_ms], "noting a failure")
    }

    /// Notes how long the server asked to wait, so that a restart honours it too.
    pub fn note_throttled(&mut self, until_ms: i64) -> Result<(), MirrorError> {
        self.run(NOTE_THROTTLED, [until_ms], "noting a pause")
    }

    /// Notes that the calendars were listed.
    pub(crate) fn note_listed(&mut self, now_ms: i64) -> Result<(), MirrorError> {
        self.run(NOTE_LISTED, [now_ms], "noting a listing")
    }

    /// Binds an empty mirror to a mailbox, and completes what is known of the one it is bound to. Answers the
    /// mailbox it is bound to afterwards.
    pub fn bind(&mut self, mailbox: &MailboxId, user: Option<&str>) -> Result<MailboxId, MirrorError> {
        self.run(BIND, rusqlite::params![mailbox.object_id, user, mailbox.tenant_id], "binding the mailbox")?;
        self.account()?.mailbox.ok_or(MirrorError::Invariant("a bound mirror names its mailbox"))
    }

    /// Runs one statement that changes one row.
    pub(crate) fn run<P: rusqlite::Params>(
        &mut self,
        sql: &'static str,
        params: P,
        what: &'static str,
    ) -> Result<(), MirrorError> {
        self.conn.prepare_cached(sql).and_then(|mut s| s.execute(params)).map(|_| ()).doing(what)
    }
}

/// Takes the next generation number; the number below it belongs to the preview of the same round.
pub(crate) fn take_generation(conn: &Connection) -> Result<i64, MirrorError> {
    conn.prepare_cached(TAKE_GENERATION)
        .and_then(|mut s| s.query_row([], |row| row.get(0)))
        .doing("taking a generation")
}

/// The newest feed row when the feed was last folded.
pub(crate) fn folded_seq(conn: &Connection) -> Result<i64, MirrorError> {
    conn.prepare_cached(FOLDED)
        .and_then(|mut s| s.query_row([], |row| row.get(0)))
        .doing("reading the account")
}

/// Notes that the feed was folded up to `seq`.
pub(crate) fn set_folded_seq(conn: &Connection, seq: i64) -> Result<(), MirrorError> {
    conn.prepare_cached(SET_FOLDED).and_then(|mut s| s.execute([seq])).map(|_| ()).doing("noting the feed")
}

/// Counts edits that a damaged file took along.
pub(super) fn add_lost_edits(conn: &Connection, lost: u64) -> Result<(), MirrorError> {
    conn.execute(ADD_LOST, [lost]).map(|_| ()).doing("counting lost edits")
}

/// Whether the last writer closed in order.
pub(crate) fn is_clean(conn: &Connection) -> Result<bool, MirrorError> {
    let clean: Option<bool> = conn
        .query_row("SELECT is_clean FROM account WHERE one = 1", [], |row| row.get(0))
        .optional()
        .doing("reading the account")?;
    clean.ok_or(MirrorError::Invariant("the account table has its one row"))
}

/// Notes whether a writer has the file open.
pub(crate) fn set_clean(conn: &Connection, is_clean: bool) -> Result<(), MirrorError> {
    conn.execute(SET_CLEAN, [is_clean]).map(|_| ()).doing("noting the writer")
}
