use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;
use tokio::sync::Notify;

use crate::actuate::{Actuator, Cause, Outcome};
use crate::ports::Pending;
use crate::presence::{Channel, Command};
use crate::zones::Zone;

/// Where calls go when nobody has ever said anything.
pub(super) const NOWHERE: &str = "none";

/// How the telephone system takes a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Carries it out and says so.
    Works,
    /// Refuses: nothing changes.
    Refuses,
    /// Does nothing and says nothing.
    Silent,
    /// Carries it out and says nothing.
    Swallows,
}

/// A telephone system that shows what it was told. It knows nothing of the engine: it tells commands apart by their
/// idempotency keys, and may refuse what comes from an older mirror than it has acted on.
#[derive(Debug, Default)]
pub(super) struct Telephone {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// What each channel shows: the member of `set` that tells it.
    shown: BTreeMap<Channel, String>,
    /// What the user set with their own hands.
    by_hand: Option<String>,
    done: BTreeSet<String>,
    acted_as_of: BTreeMap<Channel, String>,
    is_strict: bool,
    mood: Option<(Mood, u32)>,
    /// Somebody may honestly not know what is shown, so that telling it again is no mistake.
    is_in_doubt: BTreeSet<Channel>,
    /// Commands that changed nothing although nobody was in doubt.
    repeated: Vec<String>,
    effects: u64,
    failures: u64,
    told: Vec<String>,
}

impl Telephone {
    pub(super) fn new(is_strict: bool) -> Telephone {
        Telephone { inner: Mutex::new(Inner { is_strict, ..Inner::default() }) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a channel shows; of the forwarding, where calls go.
    pub(super) fn shown(&self, channel: Channel) -> Option<String> {
        let shown = self.inner().shown.get(&channel).cloned();
        if channel == Channel::Forwarding { shown.or_else(|| Some(NOWHERE.to_owned())) } else { shown }
    }

    /// Where calls go by the user's own hands.
    pub(super) fn by_hand(&self) -> String {
        self.inner().by_hand.clone().unwrap_or_else(|| NOWHERE.to_owned())
    }

    /// The user sets the forwarding at the telephone.
    pub(super) fn set_by_hand(&self, target: &str) {
        let mut inner = self.inner();
        inner.shown.insert(Channel::Forwarding, target.to_owned());
        inner.by_hand = Some(target.to_owned());
        inner.is_in_doubt.insert(Channel::Forwarding);
    }

    /// The next `count` commands are taken like this.
    pub(super) fn set_mood(&self, mood: Mood, count: u32) {
        self.inner().mood = Some((mood, count));
    }

    pub(super) fn heal(&self) {
        self.inner().mood = None;
    }

    pub(super) fn is_well(&self) -> bool {
        self.inner().mood.is_none()
    }

    /// Somebody crashed before it heard what became of a command.
    fn note_doubt(&self, channel: Channel) {
        self.inner().is_in_doubt.insert(channel);
    }

    /// Commands that came twice without a reason.
    pub(super) fn repeated(&self) -> Vec<String> {
        self.inner().repeated.clone()
    }

    /// How often something changed, and how often a command was not answered with yes.
    pub(super) fn counts(&self) -> (u64, u64) {
        let inner = self.inner();
        (inner.effects, inner.failures)
    }

    /// Every command as it came.
    pub(super) fn told(&self) -> Vec<String> {
        self.inner().told.clone()
    }

    fn take(&self, command: &Command) -> Outcome {
        let mut inner = self.inner();
        let wire = command.wire(&Zone::utc());
        inner.told.push(wire.to_string());
        if inner.done.contains(&command.idempotency_key) {
            return Outcome::APPLIED;
        }
        let as_of = wire.get("as_of").and_then(Json::as_str).unwrap_or_default().to_owned();
        let acted = inner.acted_as_of.get(&command.channel);
        if inner.is_strict && acted.is_some_and(|acted| *acted > as_of) {
            inner.failures += 1;
            return Outcome::Refused(Cause::Stale);
        }
        let mood = match inner.mood {
            Some((mood, count)) => {
                inner.mood = count.checked_sub(1).filter(|left| *left > 0).map(|left| (mood, left));
                mood
            }
            None => Mood::Works,
        };
        inner.failures += u64::from(mood != Mood::Works);
        match mood {
            Mood::Works => {
                inner.act(command, &wire, as_of);
                Outcome::APPLIED
            }
            Mood::Refuses => Outcome::Refused(Cause::ProgramRefused(1)),
            Mood::Silent => {
                inner.is_in_doubt.insert(command.channel);
                Outcome::Unclear(Cause::ProgramEnded)
            }
            Mood::Swallows => {
                inner.act(command, &wire, as_of);
                inner.is_in_doubt.insert(command.channel);
                Outcome::Unclear(Cause::ProgramEnded)
            }
        }
    }
}

impl Inner {
    fn act(&mut self, command: &Command, wire: &Json, as_of: String) {
        let channel = command.channel;
        let name = match channel {
            Channel::Forwarding => "target",
            Channel::Presence => "profile",
            Channel::Text => "text",
        };
        let value = wire.get("set").and_then(|set| set.get(name)).and_then(Json::as_str);
        let value = value.unwrap_or_default().to_owned();
        self.done.insert(command.idempotency_key.clone());
        self.acted_as_of.insert(channel, as_of);
        let is_in_doubt = self.is_in_doubt.remove(&channel);
        if self.shown.get(&channel) == Some(&value) && !is_in_doubt {
            self.repeated.push(format!("{} {value}", channel.code()));
        }
        self.shown.insert(channel, value);
        self.effects += 1;
    }
}

/// Where a crash cuts the way of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Snap {
    /// It never arrives.
    Before,
    /// It has arrived; nobody hears the answer.
    After,
}

/// The way from one engine's process to the telephone.
pub(super) struct Line {
    telephone: Arc<Telephone>,
    crash: Mutex<Option<(u32, Snap)>>,
    crashed: Arc<Notify>,
}

impl Line {
    pub(super) fn new(telephone: Arc<Telephone>) -> Line {
        Line { telephone, crash: Mutex::new(None), crashed: Arc::default() }
    }

    /// The process ends at the command after `commands` others. Answers who is told when it does.
    pub(super) fn crash_after(&self, commands: u32, snap: Snap) -> Arc<Notify> {
        *self.crash.lock().unwrap_or_else(PoisonError::into_inner) = Some((commands, snap));
        Arc::clone(&self.crashed)
    }

    /// Whether the process ends at this command, and how.
    fn snaps(&self) -> Option<Snap> {
        let mut crash = self.crash.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, snap) = crash.as_mut()?;
        match left.checked_sub(1) {
            Some(fewer) => {
                *left = fewer;
                None
            }
            None => Some(*snap),
        }
    }
}

impl Actuator for Line {
    fn apply<'a>(&'a self, command: &'a Command) -> Pending<'a, Outcome> {
        Box::pin(async move {
            let snap = self.snaps();
            if snap.is_some() {
                self.telephone.note_doubt(command.channel);
            }
            let outcome = if snap == Some(Snap::Before) { None } else { Some(self.telephone.take(command)) };
            if snap.is_some() {
                // An effect clears the doubt that this process leaves behind.
                self.telephone.note_doubt(command.channel);
                self.crashed.notify_one();
                std::future::pending::<()>().await;
            }
            outcome.unwrap_or(Outcome::Waiting)
        })
    }
}
