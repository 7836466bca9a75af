//! One evaluation: what is wanted now, stored, sent, and the answers stored.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::actuate::{Actuator, Actuators, Cause, Outcome};
use crate::flow::presence::{Inputs, journal};
use crate::mirror::{ChannelRow, Editor, JournalKind, JournalRow, MirrorError, Reader, Session};
use crate::model::Window;
use crate::ports::{Clock, Entropy};
use crate::presence::{
    Answer, Channel, Command, Input, OnShutdown, Policy, Step, Timeline, Value, Wanted, steady_now_ms,
};

/// All channels, in the order in which commands go out: what callers meet first.
const CHANNELS: [Channel; 3] = [Channel::Forwarding, Channel::Presence, Channel::Text];

/// Keeps an account's presence: evaluates, sends, remembers. Holds no connection between two evaluations.
pub struct Keeper {
    /// The account's name: enters the names of commands.
    pub account: String,
    /// The mailbox's address.
    pub user: Option<String>,
    /// The mirror's file.
    pub path: PathBuf,
    /// The compiled settings.
    pub policy: Policy,
    /// Who carries commands out.
    pub actuators: Arc<Actuators>,
    /// Draws the jitter of retries.
    pub entropy: Arc<dyn Entropy>,
    /// Tells when an answer came.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("account", &self.account).finish_non_exhaustive()
    }
}

/// What an evaluation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticked {
    /// When it evaluated; the clock may have been put back since.
    pub at_ms: i64,
    /// When to evaluate again.
    pub next_wake_ms: i64,
    /// The profile shown.
    pub profile: String,
    /// Whether something else is shown or forwarded than at the evaluation before.
    pub is_changed: bool,
    /// The commands that were sent, and what became of them.
    pub sent: Vec<(Command, Outcome)>,
}

/// At which moment an evaluation takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// The process begins: what was under way will not be answered any more.
    Started,
    /// Any other occasion.
    Usual,
}

/// What is decided at one instant.
struct Decided {
    now_ms: i64,
    timeline: Timeline,
}

impl Keeper {
    /// Evaluates at `now_ms` and tries each due command once. `None`: there is no mirror yet.
    ///
    /// # Errors
    /// A mirror that cannot be read or written. What actuators say is no error.
    pub async fn tick(&self, due: Due, now_ms: i64) -> Result<Option<Ticked>, MirrorError> {
        let Some(reader) = open(&self.path)? else { return Ok(None) };
        let mut editor = match Editor::open(&self.path) {
            Ok(editor) => editor,
            // Only the engine brings an older file up; it evaluates then.
            Err(MirrorError::Outdated { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let decided = self.decide(&reader, now_ms)?;
        let is_changed = self.store(&mut editor, due, &decided)?;
        let sent = self.send(&mut editor, &decided).await?;
        // What nobody carries out any more is not due: it is owed until somebody does.
        let channels = reader.presence_channels()?;
        let waits = |row: &&ChannelRow| !row.is_handed && self.actuators.reaches(row.state.channel);
        let next_due = channels.iter().filter(waits).filter_map(|row| row.state.next_due_ms()).min();
        let Decided { now_ms: at_ms, timeline } = decided;
        let wake_ms = timeline.next_wake_ms(at_ms);
        let next_wake_ms = next_due.map_or(wake_ms, |due_ms| due_ms.min(wake_ms));
        let profile = timeline.at(at_ms).map(|segment| segment.profile.to_string()).unwrap_or_default();
        Ok(Some(Ticked { at_ms, next_wake_ms, profile, is_changed, sent }))
    }

    /// What stops the program does to the forwarding: gives it back, or leaves the release owed.
    ///
    /// # Errors
    /// As [`Keeper::tick`].
    pub async fn shut_down(&self, now_ms: i64) -> Result<(), MirrorError> {
        let channel = Channel::Forwarding;
        if open(&self.path)?.is_none() || !self.actuators.reaches(channel) {
            return Ok(());
        }
        let mut editor = match Editor::open(&self.path) {
            Ok(editor) => editor,
            Err(MirrorError::Outdated { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let session = editor.begin(now_ms)?;
        let input = Input::Shutdown(self.policy.on_shutdown());
        let row = self.step(&session, channel, now_ms, input, None, None)?;
        session.commit()?;
        let is_release = row.state.due(now_ms).is_some_and(|command| command.is_release);
        if !is_release || self.policy.on_shutdown() == OnShutdown::Keep {
            return Ok(());
        }
        if let Some(command) = self.begin_sending(&mut editor, channel, now_ms)? {
            let (command, outcome, took_ms) = self.apply(&command).await;
            self.settle(&mut editor, command, &outcome, now_ms.saturating_add(took_ms))?;
        }
        Ok(())
    }

    fn decide(&self, reader: &Reader, now_ms: i64) -> Result<Decided, MirrorError> {
        let now_ms = steady_now_ms(reader.presence()?.evaluated_at_ms, now_ms);
        let range = Window { from_ms: now_ms, to_ms: now_ms.saturating_add(1) };
        let inputs = Inputs::read(reader, self.user.as_deref(), range)?;
        let timeline = inputs.scene(&inputs.completed(&self.policy), now_ms).timeline(range);
        Ok(Decided { now_ms, timeline })
    }

    /// What is wanted on each channel, on the disk before anything is sent. Answers whether it is news.
    fn store(&self, editor: &mut Editor, due: Due, decided: &Decided) -> Result<bool, MirrorError> {
        let Decided { now_ms, timeline } = decided;
        let session = editor.begin(*now_ms)?;
        let before = session.presence()?;
        let segment = timeline.at(*now_ms);
        let told = segment.map(|segment| journal::segment(segment, self.policy.is_enabled()));
        let text = told.as_ref().map(ToString::to_string).unwrap_or_default();
        let is_changed = before.told.as_deref() != Some(&text);
        if let Some(detail) = told.filter(|_| is_changed) {
            if let Some((segment, problem)) = segment.and_then(|s| Some((s, s.skipped?))) {
                let skip = JournalRow {
                    at_ms: *now_ms,
                    kind: JournalKind::Skip,
                    channel: Some(Channel::Forwarding),
                    detail: serde_json::json!({ "cause": problem.code(), "profile": &*segment.profile }),
                };
                session.put_journal(&skip)?;
            }
            session.put_journal(&JournalRow {
                at_ms: *now_ms,
                kind: JournalKind::Segment,
                channel: None,
                detail,
            })?;
        }
        for channel in CHANNELS {
            // Without anybody to carry it out no command is made.
            if !self.actuators.reaches(channel) {
                continue;
            }
            let is_handed = session.presence_channel(channel)?.is_handed;
            if due == Due::Started && !is_handed {
                self.step(&session, channel, *now_ms, Input::Started, None, None)?;
            }
            let wanted: Wanted = timeline.wanted(channel, *now_ms);
            self.step(&session, channel, *now_ms, Input::Evaluate(&wanted), None, None)?;
        }
        session.put_evaluated(*now_ms, &text)?;
        session.commit()?;
        Ok(is_changed)
    }

    /// Takes one step of a channel's machine and journals it. `is_handed` overrides what is known of the host.
    fn step(
        &self,
        session: &Session<'_>,
        channel: Channel,
        now_ms: i64,
        input: Input<'_>,
        outcome: Option<&Outcome>,
        is_handed: Option<bool>,
    ) -> Result<ChannelRow, MirrorError> {
        let row = session.presence_channel(channel)?;
        let Step { state, notes } = row.state.step(&self.account, now_ms, input);
        let is_same_command = row.state.pending.as_ref().map(|pending| &pending.command.id)
            == state.pending.as_ref().map(|pending| &pending.command.id);
        let is_handed = is_handed.unwrap_or(row.is_handed && is_same_command && state.pending.is_some());
        let next = ChannelRow { state, is_handed };
        if next != row {
            session.put_presence_channel(&next)?;
        }
        for note in &notes {
            session.put_journal(&journal::note(note, channel, now_ms, outcome))?;
        }
        Ok(next)
    }

    /// Sends what is due on all channels at once, so that a receiver that hangs on one delays no other; then keeps up
    /// what would end by itself on the rest.
    async fn send(
        &self,
        editor: &mut Editor,
        decided: &Decided,
    ) -> Result<Vec<(Command, Outcome)>, MirrorError> {
        let now_ms = decided.now_ms;
        let (mut due, mut resting) = (Vec::new(), Vec::new());
        for channel in CHANNELS.into_iter().filter(|channel| self.actuators.reaches(*channel)) {
            match self.begin_sending(editor, channel, now_ms)? {
                Some(command) => due.push(command),
                None => resting.push(channel),
            }
        }
        let mut answers: FuturesUnordered<_> = due.iter().map(|command| self.apply(command)).collect();
        let mut sent = Vec::new();
        while let Some((command, outcome, took_ms)) = answers.next().await {
            self.settle(editor, command, &outcome, now_ms.saturating_add(took_ms))?;
            sent.push((command.clone(), outcome));
        }
        sent.sort_by_key(|(command, _)| CHANNELS.iter().position(|channel| *channel == command.channel));
        for channel in resting {
            self.renew(editor, channel, decided).await?;
        }
        Ok(sent)
    }

    /// Marks the due command as being sent; on the disk before it is.
    fn begin_sending(
        &self,
        editor: &mut Editor,
        channel: Channel,
        now_ms: i64,
    ) -> Result<Option<Command>, MirrorError> {
        let session = editor.begin(now_ms)?;
        let Some(command) = session.presence_channel(channel)?.state.due(now_ms).cloned() else {
            return Ok(None);
        };
        self.step(&session, channel, now_ms, Input::Sending, None, None)?;
        session.commit()?;
        Ok(Some(command))
    }

    /// Has a command carried out. Answers how long that took: an evaluation "as if it were then" keeps its own time.
    async fn apply<'c>(&self, command: &'c Command) -> (&'c Command, Outcome, i64) {
        let started_ms = self.clock.now_ms();
        let outcome = self.actuators.apply(command).await;
        (command, outcome, self.clock.now_ms().saturating_sub(started_ms).max(0))
    }

    /// Stores what became of a command.
    fn settle(
        &self,
        editor: &mut Editor,
        command: &Command,
        outcome: &Outcome,
        now_ms: i64,
    ) -> Result<(), MirrorError> {
        let channel = command.channel;
        let answer = match outcome {
            Outcome::Applied { .. } => Some(Answer::Applied),
            Outcome::Waiting => None,
            Outcome::Refused(Cause::Stale) => Some(Answer::Stale),
            Outcome::Refused(_) => Some(Answer::Refused),
            Outcome::Unclear(_) => Some(Answer::Lost),
        };
        let session = editor.begin(now_ms)?;
        match answer {
            Some(answer) => {
                let input = Input::Answered { id: &command.id, answer, roll: roll(self.entropy.as_ref()) };
                self.step(&session, channel, now_ms, input, Some(outcome), None)?;
            }
            // The host has it as long as it is the one under way.
            None => {
                let mut row = session.presence_channel(channel)?;
                let is_it = row.state.pending.as_ref().is_some_and(|p| p.command.id == command.id);
                if is_it {
                    row.is_handed = true;
                    session.put_presence_channel(&row)?;
                }
            }
        }
        session.commit()
    }

    /// Keeps up what would end by itself.
    async fn renew(
        &self,
        editor: &mut Editor,
        channel: Channel,
        decided: &Decided,
    ) -> Result<(), MirrorError> {
        let now_ms = decided.now_ms;
        let state = {
            let session = editor.begin(now_ms)?;
            session.presence_channel(channel)?.state
        };
        let is_resting = state.pending.is_none() && !state.is_unclear && state.yielded.is_none();
        let Some(in_force) = state.in_force.filter(|_| is_resting) else { return Ok(()) };
        let until_ms = decided.timeline.wanted(channel, now_ms).until_ms;
        let renewed = self.actuators.renew(&in_force, until_ms).await;
        if let Some(Outcome::Refused(cause) | Outcome::Unclear(cause)) = renewed {
            let session = editor.begin(now_ms)?;
            session.put_journal(&JournalRow {
                at_ms: now_ms,
                kind: JournalKind::Skip,
                channel: Some(channel),
                detail: serde_json::json!({ "cause": cause.kind(), "state": "renewal" }),
            })?;
            session.commit()?;
        }
        Ok(())
    }

    /// The receiver's answer to the command `id`, which came by another way. `false`: there is no such command under
    /// way.
    ///
    /// # Errors
    /// A mirror that cannot be read or written.
    pub fn acknowledge(&self, id: &str, is_applied: bool, now_ms: i64) -> Result<bool, MirrorError> {
        let mut editor = Editor::open(&self.path)?;
        acknowledge(&mut editor, &self.account, id, is_applied, roll(self.entropy.as_ref()), now_ms)
    }
}

/// See [`Keeper::acknowledge`].
pub(crate) fn acknowledge(
    editor: &mut Editor,
    account: &str,
    id: &str,
    is_applied: bool,
    roll: u64,
    now_ms: i64,
) -> Result<bool, MirrorError> {
    let session = editor.begin(now_ms)?;
    let answer = if is_applied { Answer::Applied } else { Answer::Refused };
    for channel in CHANNELS {
        let row = session.presence_channel(channel)?;
        if row.state.pending.as_ref().is_none_or(|pending| pending.command.id != id) {
            continue;
        }
        let step = row.state.step(account, now_ms, Input::Answered { id, answer, roll });
        session.put_presence_channel(&ChannelRow { state: step.state, is_handed: false })?;
        for note in &step.notes {
            session.put_journal(&journal::note(note, channel, now_ms, None))?;
        }
        session.commit()?;
        return Ok(true);
    }
    Ok(false)
}

/// Somebody reports what is in force, after which the caller evaluates. `wanted` is what was wanted then.
pub(crate) fn observe(
    session: &Session<'_>,
    account: &str,
    value: &Value,
    wanted: &Wanted,
    now_ms: i64,
) -> Result<(), MirrorError> {
    let channel = Channel::Forwarding;
    let row = session.presence_channel(channel)?;
    let step = row.state.step(account, now_ms, Input::Observed { value, wanted });
    let is_handed = row.is_handed && step.state.pending.is_some();
    session.put_presence_channel(&ChannelRow { state: step.state, is_handed })?;
    for note in &step.notes {
        session.put_journal(&journal::note(note, channel, now_ms, None))?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<Option<Reader>, MirrorError> {
    match Reader::open(path) {
        Ok(reader) => Ok(Some(reader)),
        Err(MirrorError::Absent { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A number of the generator that jitter is drawn from.
pub(crate) fn roll(entropy: &dyn Entropy) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = entropy.bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
