//! When the presence of each account is evaluated while an engine watches.
//!
//! An evaluation follows from the mirror, the policy and the time alone. Its answer holds from its instant to its next
//! wake; outside of that, or when something is told that it depends on, it is made anew. So nothing is replayed after
//! a pause, and a clock that was set needs no special case. Every account is evaluated by a future of its own: what a
//! slow receiver or server does to one delays neither the others nor a poll.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::engine::PresenceTick;
use crate::engine::office::Office;
use crate::flow::presence::{Due, Keeper, Ticked};
use crate::mirror::MirrorError;
use crate::presence::PresenceSettings;

/// After a commit: what is written together is evaluated together.
pub(super) const SETTLED_MS: i64 = 2_000;
/// After an evaluation that failed, or found no mirror.
const AGAIN_MS: i64 = 60_000;
/// After an evaluation that asks for another one at once, which it should not: a bound for mistakes.
const PAUSE_MS: i64 = 1_000;
/// The longest that stopping waits for the baseline to be put back.
const SHUT_DOWN_MAX: Duration = Duration::from_secs(5);

/// The accounts whose presence is kept.
pub(super) struct Switchboard {
    /// All that are kept in step.
    accounts: Vec<String>,
    lines: BTreeMap<String, Line>,
}

/// One of them.
struct Line {
    keeper: Arc<Keeper>,
    /// What the keeper was made of.
    settings: PresenceSettings,
    zone: String,
    is_started: bool,
    is_running: bool,
    is_failing: bool,
    /// What the wall clock showed at the last evaluation.
    since_ms: i64,
    /// When it stops to hold.
    next_at_ms: i64,
    /// When something asked for another one.
    wanted_at_ms: Option<i64>,
}

/// One evaluation that ended.
pub(super) struct Evaluated {
    pub(super) account: String,
    answer: Result<Option<Ticked>, MirrorError>,
}

impl Switchboard {
    /// Of `accounts` those whose policy says anything.
    pub(super) fn open(office: &Office, accounts: &[String], now_ms: i64) -> Switchboard {
        let mut switchboard = Switchboard { accounts: accounts.to_vec(), lines: BTreeMap::new() };
        switchboard.follow(office, now_ms);
        switchboard
    }

    /// Makes anew what the configuration, or the zone of the machine, changed: evaluated at once. An account that loses
    /// its profiles stays, so that what was forwarded is given back.
    pub(super) fn follow(&mut self, office: &Office, now_ms: i64) {
        for account in &self.accounts {
            let effective = match office.effective(account) {
                Ok(effective) => effective,
                Err(_gone) => continue,
            };
            let zone = office.zone(&effective).name().to_owned();
            let known = self.lines.get_mut(account);
            let is_same = |line: &&mut Line| line.zone == zone && line.settings == effective.presence;
            if (known.is_none() && !effective.has_presence()) || known.as_ref().is_some_and(is_same) {
                continue;
            }
            let keeper = match office.keeper(&effective) {
                Ok(keeper) => Arc::new(keeper),
                Err(error) => {
                    tracing::warn!(account = %account, error = %error, "the presence of this account is not kept");
                    continue;
                }
            };
            let settings = effective.presence;
            match known {
                Some(line) => {
                    (line.keeper, line.settings, line.zone) = (keeper, settings, zone);
                    line.want(now_ms);
                }
                None => drop(self.lines.insert(account.clone(), Line::new(keeper, settings, zone, now_ms))),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Has an account evaluated at `at_ms`, unless it is before.
    pub(super) fn want(&mut self, account: &str, at_ms: i64) {
        if let Some(line) = self.lines.get_mut(account) {
            line.want(at_ms);
        }
    }

    /// Has all accounts evaluated at `at_ms`, unless they are before.
    pub(super) fn want_all(&mut self, at_ms: i64) {
        self.lines.values_mut().for_each(|line| line.want(at_ms));
    }

    /// When the next account is due that is not being evaluated.
    pub(super) fn next_at_ms(&self) -> Option<i64> {
        self.lines.values().filter(|line| !line.is_running).map(Line::due_at_ms).min()
    }

    /// The evaluations that are due; each is to be run, and its end told.
    pub(super) fn due(&mut self, now_ms: i64) -> Vec<impl Future<Output = Evaluated> + use<>> {
        let due = self.lines.iter_mut().filter(|(_, line)| line.is_due(now_ms));
        due.map(|(account, line)| {
            let due = if line.is_started { Due::Usual } else { Due::Started };
            line.is_started = true;
            line.is_running = true;
            line.since_ms = now_ms;
            line.wanted_at_ms = None;
            let (account, keeper) = (account.clone(), line.keeper.clone());
            async move { Evaluated { answer: keeper.tick(due, now_ms).await, account } }
        })
        .collect()
    }

    /// Notes the end of an evaluation. Answers what it did, if that is to be told.
    pub(super) fn note(&mut self, ended: Evaluated, now_ms: i64) -> Option<PresenceTick> {
        let Evaluated { account, answer } = ended;
        let line = self.lines.get_mut(&account)?;
        line.is_running = false;
        let was_failing = std::mem::replace(&mut line.is_failing, answer.is_err());
        let ticked = match answer {
            Ok(Some(ticked)) => ticked,
            // The engine makes the mirror, and its first commit is told.
            Ok(None) => {
                line.is_started = false;
                line.next_at_ms = now_ms.saturating_add(AGAIN_MS);
                return None;
            }
            Err(error) => {
                if !was_failing {
                    tracing::warn!(account = %account, error = %error, "presence could not be evaluated; it is tried again");
                }
                // What was under way then gets no answer any more: the next one begins anew.
                line.is_started = false;
                line.next_at_ms = now_ms.saturating_add(AGAIN_MS);
                return None;
            }
        };
        line.next_at_ms = match ticked.next_wake_ms > ticked.at_ms {
            true => ticked.next_wake_ms,
            false => now_ms.saturating_add(PAUSE_MS),
        };
        (ticked.is_changed || !ticked.sent.is_empty()).then(|| PresenceTick::from(ticked))
    }

    /// What stopping does, for all accounts at once and within [`SHUT_DOWN_MAX`]. What is not done then is owed.
    pub(super) async fn shut_down(&self, now_ms: i64) {
        let releases = self.lines.iter().map(|(account, line)| async move {
            match tokio::time::timeout(SHUT_DOWN_MAX, line.keeper.shut_down(now_ms)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(account = %account, error = %error, "forwarding was not given back; it is at the next start");
                }
                Err(_) => {
                    tracing::warn!(account = %account, "nobody answered in time; forwarding is given back at the next start");
                }
            }
        });
        join_all(releases).await;
    }
}

impl Line {
    fn new(keeper: Arc<Keeper>, settings: PresenceSettings, zone: String, now_ms: i64) -> Line {
        Line {
            keeper,
            settings,
            zone,
            is_started: false,
            is_running: false,
            is_failing: false,
            since_ms: now_ms,
            next_at_ms: now_ms,
            wanted_at_ms: None,
        }
    }

    fn want(&mut self, at_ms: i64) {
        self.wanted_at_ms = Some(self.wanted_at_ms.map_or(at_ms, |wanted_ms| wanted_ms.min(at_ms)));
    }

    fn due_at_ms(&self) -> i64 {
        self.wanted_at_ms.map_or(self.next_at_ms, |wanted_ms| wanted_ms.min(self.next_at_ms))
    }

    fn is_due(&self, now_ms: i64) -> bool {
        !self.is_running && (self.due_at_ms() <= now_ms || now_ms < self.since_ms)
    }
}
