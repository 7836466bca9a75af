//! Turns what the engine does into notices.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{ChangesCall, Error, Mirrors};
use crate::embed::notice::Board;
use crate::engine::{PresenceTick, Seen, SyncAnswer, SyncReport};

/// The most reads of the change feed at once: more than a mirror holds.
const READS_MAX: usize = 1_000;

/// Tells the board.
pub(super) struct Teller {
    mirrors: Arc<Mirrors>,
    board: Arc<Board>,
    /// The last line of each account's feed that was told.
    told: Mutex<BTreeMap<String, i64>>,
}

impl Teller {
    /// Tells from now on.
    pub(super) fn new(mirrors: Arc<Mirrors>, board: Arc<Board>) -> Teller {
        let teller = Teller { mirrors, board, told: Mutex::default() };
        for account in &teller.mirrors.config().accounts {
            teller.read(&account.name, |_| {});
        }
        teller
    }

    pub(super) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    pub(super) fn seen(&self, seen: Seen<'_>) {
        match seen {
            Seen::Progress(..) => {}
            Seen::Done(account, report) => {
                self.changes(account);
                self.synced(account, report);
            }
            Seen::Presence(account, tick) => self.presence(account, tick),
        }
    }

    /// Tells what is new in an account's change feed.
    pub(super) fn changes(&self, account: &str) {
        self.read(account, |line| self.tell("change", account, &line));
    }

    /// Tells how a sign-in ended.
    pub(super) fn signed_in(&self, account: &str, ended: &Result<(), Error>) {
        let problem = ended.as_ref().err().map(Error::problem);
        self.tell("sign_in", account, &json!({ "signed_in": ended.is_ok(), "problem": problem }));
    }

    fn synced(&self, account: &str, report: &SyncReport) {
        let Ok(effective) = self.mirrors.account(Some(account)) else { return };
        let mut answer = SyncAnswer::new(report.clone(), &self.mirrors.zone(&effective));
        answer.done.as_of = None;
        self.tell("sync", account, &answer);
    }

    fn presence(&self, account: &str, tick: &PresenceTick) {
        let sent = tick.sent.iter().map(
            |sent| json!({ "channel": sent.channel.code(), "release": sent.is_release, "state": sent.state }),
        );
        let sent: Vec<Value> = sent.collect();
        self.tell(
            "presence",
            account,
            &json!({ "profile": tick.profile, "changed": tick.is_changed, "sent": sent }),
        );
    }

    fn tell(&self, notice: &str, account: &str, what: &impl Serialize) {
        let Ok(Value::Object(members)) = serde_json::to_value(what) else { return };
        let mut told = json!({ "notice": notice, "account": account });
        if let Some(told) = told.as_object_mut() {
            told.extend(members);
        }
        self.board.tell(&told);
    }

    fn read(&self, account: &str, mut each: impl FnMut(crate::api::ChangeLine)) {
        let Ok(effective) = self.mirrors.account(Some(account)) else { return };
        // Held meanwhile: lines are told once and in order, whoever reads them.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let since = told.entry(account.to_owned()).or_default();
        for _ in 0..READS_MAX {
            let call = ChangesCall { since: *since, limit: None };
            match self.mirrors.changes(&effective, call) {
                Ok(lines) if lines.is_empty() => return,
                Ok(lines) => {
                    for line in lines {
                        *since = line.seq;
                        each(line);
                    }
                }
                Err(error) => {
                    tracing::debug!(account = %account, error = %error, "the change feed could not be read");
                    return;
                }
            }
        }
    }
}
