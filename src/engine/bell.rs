//! When the reminders of each account are looked at while an engine watches.
//!
//! What is due follows from the mirror and the time alone ([`crate::flow::reminder`]), and is noted as told before it is
//! told: so it is enough to look when the next one comes, and whenever something was written.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::engine::desk::MIRROR_FILE;
use crate::engine::office::Office;
use crate::engine::watch::MIRRORS_OPEN_MAX;
use crate::flow::reminder::{next_due_ms, take_due};
use crate::mirror::{Editor, MirrorError, Reader};
use crate::model::{DAY_MS, Key};
use crate::zones::Zone;

/// After a look that failed.
const AGAIN_MS: i64 = 15 * 60_000;
/// Between two looks that nobody asked for: a bound for mistakes.
const PAUSE_MS: i64 = 1_000;

/// Reminders that came due, in one list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReminderTick {
    /// The events, and since when each is due (UTC epoch milliseconds); by that time.
    pub due: Vec<(Key, i64)>,
    /// How many more came due: `reminders --due` lists them all.
    pub more: usize,
}

impl ReminderTick {
    /// As doors tell it, with times in `zone`.
    pub fn to_json(&self, zone: &Zone) -> Value {
        let item = |(event, due_ms): &(Key, i64)| json!({ "event": event, "due_at": zone.rfc3339(*due_ms) });
        let items: Vec<Value> = self.due.iter().map(item).collect();
        json!({ "items": items, "more": self.more })
    }
}

/// The accounts whose reminders are told.
pub(super) struct Bell {
    lines: BTreeMap<String, Line>,
}

/// One of them.
struct Line {
    /// What the wall clock showed at the last look.
    since_ms: i64,
    look_at_ms: i64,
    /// Something is known to come then.
    is_waiting: bool,
    is_failing: bool,
}

impl Bell {
    /// Of `accounts`; where they are many, only those that somebody signs in to.
    pub(super) fn open(office: &Office, accounts: &[String], now_ms: i64) -> Bell {
        let are_many = accounts.len() > MIRRORS_OPEN_MAX;
        let has_user = |name: &&String| {
            !are_many || office.effective(name).is_ok_and(|account| !account.is_application())
        };
        let line = Line { since_ms: now_ms, look_at_ms: now_ms, is_waiting: false, is_failing: false };
        let lines = accounts.iter().filter(has_user).map(|name| (name.clone(), Line { ..line }));
        Bell { lines: lines.collect() }
    }

    /// Whether a reminder is known to come: then a change of the wall clock matters.
    pub(super) fn is_waiting(&self) -> bool {
        self.lines.values().any(|line| line.is_waiting)
    }

    /// Has an account looked at by `at_ms`.
    pub(super) fn want(&mut self, account: &str, at_ms: i64) {
        if let Some(line) = self.lines.get_mut(account) {
            line.want(at_ms);
        }
    }

    /// Has all accounts looked at by `at_ms`.
    pub(super) fn want_all(&mut self, at_ms: i64) {
        self.lines.values_mut().for_each(|line| line.want(at_ms));
    }

    /// When to wake for the next account. Where nothing comes within a day, whatever wakes then has it looked at.
    pub(super) fn next_at_ms(&self) -> Option<i64> {
        self.lines.values().filter(|line| line.is_waiting).map(|line| line.look_at_ms).min()
    }

    /// What came due since it was last looked at, by account. It counts as told.
    pub(super) fn ring(&mut self, office: &Office, now_ms: i64) -> Vec<(String, ReminderTick)> {
        let mut rung = Vec::new();
        for (account, line) in &mut self.lines {
            if now_ms < line.look_at_ms && line.since_ms <= now_ms {
                continue;
            }
            let looked = look(office, account, now_ms);
            line.since_ms = now_ms;
            let was_failing = std::mem::replace(&mut line.is_failing, looked.is_err());
            match looked {
                Ok((tick, next_ms)) => {
                    line.is_waiting = next_ms.is_some();
                    let next_ms = next_ms.unwrap_or_else(|| now_ms.saturating_add(DAY_MS));
                    line.look_at_ms = next_ms.max(now_ms.saturating_add(PAUSE_MS));
                    if !tick.due.is_empty() {
                        rung.push((account.clone(), tick));
                    }
                }
                Err(error) => {
                    line.look_at_ms = now_ms.saturating_add(AGAIN_MS);
                    if !was_failing {
                        tracing::warn!(account = %account, error = %error, "reminders could not be looked at; it is tried again");
                    }
                }
            }
        }
        rung
    }
}

impl Line {
    fn want(&mut self, at_ms: i64) {
        self.look_at_ms = self.look_at_ms.min(at_ms);
        self.is_waiting = true;
    }
}

/// What is due and was not told, and when the next one comes.
fn look(office: &Office, account: &str, now_ms: i64) -> Result<(ReminderTick, Option<i64>), MirrorError> {
    let nothing = || Ok((ReminderTick::default(), None));
    let Ok(effective) = office.effective(account) else { return nothing() };
    let path = office.data_dir.join(account).join(MIRROR_FILE);
    let reader = match Reader::open(&path) {
        Ok(reader) => reader,
        // Its first commit has it looked at.
        Err(MirrorError::Absent { .. }) => return nothing(),
        Err(error) => return Err(error),
    };
    let zone = office.zone(&effective);
    let next_ms = next_due_ms(&reader, &zone, now_ms)?;
    if next_ms.is_none_or(|next_ms| next_ms > now_ms) {
        return Ok((ReminderTick::default(), next_ms));
    }
    let mut editor = match Editor::open(&path) {
        Ok(editor) => editor,
        // Only the engine's own turn brings an older file up, and tells.
        Err(MirrorError::Outdated { .. }) => return nothing(),
        Err(error) => return Err(error),
    };
    let told = take_due(&reader, &mut editor, &zone, now_ms)?;
    let due = told.items.iter().map(|one| (one.entry.event.key, one.due_ms)).collect();
    // They count as told: whatever happens to the rest, they are.
    let next_ms = next_due_ms(&reader, &zone, now_ms).unwrap_or(Some(now_ms.saturating_add(AGAIN_MS)));
    Ok((ReminderTick { due, more: told.more }, next_ms))
}
