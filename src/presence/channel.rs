//! The machine of one channel: ownership and baseline, the one pending command, retries, yields.
//!
//! Total and pure. The caller stores what [`ChannelState::step`] returns before it sends, marks the sending, and
//! hands the answer in; [`ChannelState::due`] says what to send. A step never depends on how often there were steps
//! before: [`Input::Evaluate`] twice in a row queues nothing twice.

use serde::{Deserialize, Serialize};

use crate::presence::command::{Command, Value, is_same};
use crate::presence::timeline::Wanted;
use crate::presence::{Channel, OnShutdown};

/// Waits between tries; the last one repeats.
const RETRY_MS: [i64; 5] = [1_000, 2_000, 5_000, 15_000, 60_000];
/// Up to a fifth is added to a wait, so that devices do not knock together.
const JITTER_PART: i64 = 5;

/// What is stored about a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelState {
    /// Which.
    pub channel: Channel,
    /// What the last accepted command or the last report says; none: never reported.
    pub in_force: Option<Value>,
    /// Whether a command got no answer and was perhaps applied: then `in_force` is not believed.
    pub is_unclear: bool,
    /// Ownership, on forwarding alone.
    pub owned: Option<Owned>,
    /// What the last evaluation wanted.
    pub wanted: Option<Value>,
    /// Somebody else decides for a while.
    pub yielded: Option<Yielded>,
    /// The one command under way.
    pub pending: Option<Pending>,
    /// How many commands there were.
    pub generation: u64,
}

/// That this engine switched the forwarding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// What was in force before; none: nothing was.
    pub baseline: Option<Value>,
}

/// That somebody switched over our value: it stays until something else is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Yielded {
    /// What was wanted then.
    pub wanted: Option<Value>,
    /// When that was last still so.
    pub seen_ms: i64,
}

/// A command until its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// What to send.
    pub command: Command,
    /// How often it was sent.
    pub attempts: u32,
    /// When to send it next.
    pub due_ms: i64,
    /// Sent, and not answered yet.
    pub is_in_flight: bool,
    /// Refused because the receiver knows a newer mirror: it waits for one here.
    pub is_stale: bool,
}

/// What became of a command that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Applied.
    Applied,
    /// Refused; nothing changed.
    Refused,
    /// Refused because the receiver acted on a newer mirror: sync, then evaluate.
    Stale,
    /// No answer: perhaps applied.
    Lost,
}

/// What happens to a channel.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// The engine starts: a command that is in flight will not be answered any more.
    Started,
    /// What is wanted now.
    Evaluate(&'a Wanted),
    /// The due command goes out now.
    Sending,
    /// Its answer. `roll` is random, for the next wait.
    Answered {
        /// Whose.
        id: &'a str,
        /// Which.
        answer: Answer,
        /// Any number.
        roll: u64,
    },
    /// Somebody reports what is in force. `wanted`: what was wanted at the time of the report.
    Observed {
        /// It.
        value: &'a Value,
        /// [`crate::presence::Timeline::wanted`] at the time of the report.
        wanted: &'a Wanted,
    },
    /// The engine stops.
    Shutdown(OnShutdown),
}

/// What a step did, for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A command is to be sent.
    Queued(Command),
    /// It was applied.
    Applied(Command),
    /// It was refused.
    Refused(Command),
    /// The receiver knows a newer mirror.
    Stale(Command),
    /// It got no answer.
    Lost(Command),
    /// It is not wanted any more.
    Dropped(Command),
    /// Somebody else decides now.
    Yielded,
    /// Nobody else decides any more.
    YieldEnded,
}

/// The outcome of a step: store the state before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The new state.
    pub state: ChannelState,
    /// What happened.
    pub notes: Vec<Note>,
}

/// What a channel should be set to.
struct Aim {
    set: Option<Value>,
    is_release: bool,
    /// None: longer ago than the timeline looks back.
    since_ms: Option<i64>,
    valid_until_ms: Option<i64>,
    as_of_ms: Option<i64>,
}

impl ChannelState {
    /// A channel that nothing is known about.
    pub fn new(channel: Channel) -> ChannelState {
        ChannelState {
            channel,
            in_force: None,
            is_unclear: false,
            owned: None,
            wanted: None,
            yielded: None,
            pending: None,
            generation: 0,
        }
    }

    /// The command to send at `now`.
    pub fn due(&self, now_ms: i64) -> Option<&Command> {
        self.pending.as_ref().filter(|pending| pending.is_due(now_ms)).map(|pending| &pending.command)
    }

    /// When there is something to send.
    pub fn next_due_ms(&self) -> Option<i64> {
        let pending = self.pending.as_ref()?;
        (!pending.is_in_flight && !pending.is_stale).then_some(pending.due_ms)
    }

    /// What the channel becomes. `account` enters the names of commands and keeps mailboxes apart.
    pub fn step(&self, account: &str, now_ms: i64, input: Input<'_>) -> Step {
        let mut step = Step { state: self.clone(), notes: Vec::new() };
        match input {
            Input::Started => step.started(now_ms),
            Input::Evaluate(wanted) => step.evaluate(account, now_ms, wanted),
            Input::Sending => step.sending(),
            Input::Answered { id, answer, roll } => step.answered(now_ms, id, answer, roll),
            Input::Observed { value, wanted } => step.observed(now_ms, value, wanted),
            Input::Shutdown(OnShutdown::Keep) => {}
            Input::Shutdown(OnShutdown::Release) => step.shut_down(account, now_ms),
        }
        step
    }
}

impl Pending {
    /// A wait that is longer than any can be comes from a clock that was put back since.
    fn is_due(&self, now_ms: i64) -> bool {
        let is_far = self.due_ms.saturating_sub(now_ms) > wait_ms(u32::MAX, u64::MAX);
        !self.is_in_flight && !self.is_stale && (self.due_ms <= now_ms || is_far)
    }

    /// A command whose time is over is another one, also when the same is wanted again: the receiver may have
    /// carried it out long ago, and would not do it again for its key.
    fn is_for(&self, aim: &Aim, now_ms: i64) -> bool {
        let is_outdated = self.is_stale && self.command.as_of_ms < aim.as_of_ms;
        let is_over = self.command.valid_until_ms.is_some_and(|until_ms| until_ms <= now_ms);
        self.command.is_release == aim.is_release
            && is_same(self.command.set.as_ref(), aim.set.as_ref())
            && !is_outdated
            && !is_over
    }
}

impl Step {
    fn started(&mut self, now_ms: i64) {
        if let Some(pending) = self.state.pending.as_mut().filter(|pending| pending.is_in_flight) {
            pending.is_in_flight = false;
            pending.due_ms = now_ms;
            self.state.is_unclear = true;
            self.notes.push(Note::Lost(pending.command.clone()));
        }
    }

    fn evaluate(&mut self, account: &str, now_ms: i64, wanted: &Wanted) {
        self.state.wanted.clone_from(&wanted.value);
        if self.keeps_yielding(now_ms, wanted) {
            return;
        }
        let aim = |set, is_release| Aim {
            set,
            is_release,
            since_ms: wanted.from_ms,
            valid_until_ms: wanted.until_ms,
            as_of_ms: wanted.as_of_ms,
        };
        let has_baseline = self.state.channel == Channel::Forwarding;
        let aim = match (&wanted.value, &self.state.owned, has_baseline) {
            (Some(value), None, true) => {
                self.state.owned = Some(Owned { baseline: self.state.in_force.clone() });
                Some(aim(Some(value.clone()), false))
            }
            (Some(value), Some(_), true) | (Some(value), _, false) => Some(aim(Some(value.clone()), false)),
            (None, Some(owned), true) => Some(aim(owned.baseline.clone(), true)),
            (None, None, true) | (None, _, false) => None,
        };
        self.aim(account, now_ms, aim);
    }

    /// Whether somebody else still decides: while the same is wanted without interruption.
    fn keeps_yielding(&mut self, now_ms: i64, wanted: &Wanted) -> bool {
        let Some(yielded) = self.state.yielded.as_mut() else { return false };
        let is_stretch = wanted.from_ms.is_none_or(|from_ms| from_ms <= yielded.seen_ms);
        if is_stretch && is_same(yielded.wanted.as_ref(), wanted.value.as_ref()) {
            yielded.seen_ms = yielded.seen_ms.max(now_ms);
            return true;
        }
        self.state.yielded = None;
        self.notes.push(Note::YieldEnded);
        false
    }

    /// Queues what leads to `aim`, unless it is there or under way.
    fn aim(&mut self, account: &str, now_ms: i64, aim: Option<Aim>) {
        // First, for it decides whether `in_force` is believed: a command that is replaced in flight.
        let under_way = self
            .state
            .pending
            .as_mut()
            .zip(aim.as_ref())
            .filter(|(pending, aim)| pending.is_for(aim, now_ms));
        match under_way {
            Some((pending, aim)) if pending.is_in_flight => {
                pending.command.valid_until_ms = aim.valid_until_ms;
                return;
            }
            Some(_) => {}
            None => self.drop_pending(),
        }
        let state = &mut self.state;
        let missing =
            aim.filter(|aim| state.is_unclear || !is_same(state.in_force.as_ref(), aim.set.as_ref()));
        let Some(aim) = missing else {
            if state.wanted.is_none() {
                state.owned = None;
            }
            self.drop_pending();
            return;
        };
        if let Some(pending) = state.pending.as_mut() {
            pending.command.valid_until_ms = aim.valid_until_ms;
            return;
        }
        let state = &mut self.state;
        state.generation = state.generation.saturating_add(1);
        let command = Command::named(
            account,
            aim.since_ms,
            Command {
                id: String::new(),
                idempotency_key: String::new(),
                channel: state.channel,
                set: aim.set,
                is_release: aim.is_release,
                valid_from_ms: aim.since_ms.map_or(now_ms, |since_ms| since_ms.min(now_ms)),
                valid_until_ms: aim.valid_until_ms,
                as_of_ms: aim.as_of_ms,
                generation: state.generation,
            },
        );
        self.notes.push(Note::Queued(command.clone()));
        state.pending =
            Some(Pending { command, attempts: 0, due_ms: now_ms, is_in_flight: false, is_stale: false });
    }

    /// A command that is dropped while in flight was perhaps applied.
    fn drop_pending(&mut self) {
        if let Some(pending) = self.state.pending.take() {
            self.state.is_unclear |= pending.is_in_flight;
            self.notes.push(Note::Dropped(pending.command));
        }
    }

    fn sending(&mut self) {
        if let Some(pending) = self.state.pending.as_mut() {
            pending.is_in_flight = true;
            pending.attempts = pending.attempts.saturating_add(1);
        }
    }

    /// An answer to a command that was replaced meanwhile says nothing that is not taken as unclear already.
    fn answered(&mut self, now_ms: i64, id: &str, answer: Answer, roll: u64) {
        let state = &mut self.state;
        let Some(mut pending) = state.pending.take_if(|pending| pending.command.id == id) else { return };
        let command = pending.command.clone();
        pending.is_in_flight = false;
        pending.due_ms = now_ms.saturating_add(wait_ms(pending.attempts, roll));
        let note = match answer {
            Answer::Applied => {
                state.in_force.clone_from(&command.set);
                state.is_unclear = false;
                if command.is_release {
                    state.owned = None;
                }
                self.notes.push(Note::Applied(command));
                return;
            }
            Answer::Refused => Note::Refused(command),
            Answer::Stale => {
                pending.is_stale = true;
                Note::Stale(command)
            }
            Answer::Lost => {
                state.is_unclear = true;
                Note::Lost(command)
            }
        };
        state.pending = Some(pending);
        self.notes.push(note);
    }

    fn observed(&mut self, now_ms: i64, value: &Value, wanted: &Wanted) {
        let state = &mut self.state;
        let is_news = state.is_unclear || !is_same(state.in_force.as_ref(), Some(value));
        let is_ours = is_same(wanted.value.as_ref(), Some(value)) && wanted.value.is_some();
        // A report of what was there before settles whether an unanswered command was applied; it is nobody's doing.
        let is_old = is_same(state.in_force.as_ref(), Some(value));
        state.in_force = Some(value.clone());
        state.is_unclear = false;
        if state.owned.is_some() && is_news && !is_ours && !is_old {
            state.owned = None;
            state.yielded = Some(Yielded { wanted: wanted.value.clone(), seen_ms: now_ms });
            self.notes.push(Note::Yielded);
            if let Some(pending) = self.state.pending.take() {
                self.notes.push(Note::Dropped(pending.command));
            }
        }
    }

    fn shut_down(&mut self, account: &str, now_ms: i64) {
        let Some(owned) = &self.state.owned else { return };
        let aim = Aim {
            set: owned.baseline.clone(),
            is_release: true,
            since_ms: Some(now_ms),
            valid_until_ms: None,
            as_of_ms: self.state.pending.as_ref().and_then(|pending| pending.command.as_of_ms),
        };
        self.state.wanted = None;
        self.aim(account, now_ms, Some(aim));
    }
}

/// The wait after the `attempts`th try.
fn wait_ms(attempts: u32, roll: u64) -> i64 {
    let at = usize::try_from(attempts.saturating_sub(1))
        .unwrap_or(usize::MAX)
        .min(RETRY_MS.len().saturating_sub(1));
    let wait = RETRY_MS.get(at).copied().unwrap_or(60_000);
    let part = i64::try_from(roll % 1_001).unwrap_or(0);
    wait.saturating_add(wait.saturating_mul(part).div_euclid(JITTER_PART * 1_000))
}
