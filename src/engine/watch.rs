use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::api::{Error, ErrorKind};
use crate::engine::desk::Desk;
use crate::engine::{Edges, SyncOrder, SyncReport, Weather};
use crate::flow::Progress;
use crate::flow::cadence::{AFTER_EDIT, Hints, Last, next_poll};

/// Messages that may wait for the engine; a door that finds the queue full tells its caller to come back.
const INBOX_MAX: usize = 64;
/// The longest a poll is put off, whatever the server asked for: the wall clock is looked at again then.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

/// What the host knows about the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// A network came up.
    NetworkUp,
    /// The machine woke up.
    Resumed,
    /// An edit was queued.
    Edited,
    /// Somebody looks at the calendar, or nobody does.
    Hidden(bool),
    /// The machine runs on battery, or not.
    OnBattery(bool),
    /// The connection is metered, or not.
    Metered(bool),
}

/// How urgent a sync is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Somebody asked for it.
    Asked,
    /// A poll.
    Polled,
    /// A poll because something came back: the program, the network, the machine. Edits that were put off are tried.
    Woken,
}

pub(super) enum Message {
    Sync { account: String, order: SyncOrder, reply: oneshot::Sender<Result<SyncReport, Error>> },
    Hint(Hint),
}

/// What reaches the engine from other threads. Stopping has a way of its own: it overtakes every message.
pub(super) struct Inbox {
    messages: mpsc::Receiver<Message>,
    stopping: watch::Receiver<bool>,
    stop: Arc<watch::Sender<bool>>,
}

impl Inbox {
    /// Runs `work` until it ends or somebody asks to stop, which drops it where it waits; `None` then. A wish from
    /// before counts, and is used up by being followed.
    pub(super) async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let done = tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stops| *stops) => None,
            done = work => Some(done),
        };
        if done.is_none() {
            self.stop.send_replace(false);
        }
        done
    }
}

/// Talks to a watching engine from any thread.
#[derive(Debug, Clone)]
pub struct Handle {
    sender: mpsc::Sender<Message>,
    stop: Arc<watch::Sender<bool>>,
}

pub(super) fn channel() -> (Handle, Inbox) {
    let (sender, messages) = mpsc::channel(INBOX_MAX);
    let (stop, stopping) = watch::channel(false);
    let stop = Arc::new(stop);
    (Handle { sender, stop: stop.clone() }, Inbox { messages, stopping, stop })
}

/// What is seen while an engine watches.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'s> {
    /// A sync of an account does this.
    Progress(&'s str, &'s Progress),
    /// A sync of an account ended like this.
    Done(&'s str, &'s SyncReport),
}

impl Handle {
    /// Asks for a sync and waits for its end.
    ///
    /// # Errors
    /// As [`crate::engine::Engine::sync`]; `Busy` when too many callers wait or the engine stops.
    pub async fn sync(&self, account: &str, order: SyncOrder) -> Result<SyncReport, Error> {
        let (reply, answer) = oneshot::channel();
        let message = Message::Sync { account: account.to_owned(), order, reply };
        self.sender.try_send(message).map_err(|_| {
            Error::new(ErrorKind::Busy, "the engine has too much to do; try again in a moment")
        })?;
        answer.await.map_err(|_| Error::new(ErrorKind::Busy, "the engine is stopping"))?
    }

    /// Tells what the host knows. Dropped when the queue is full: the next poll comes anyway.
    pub fn hint(&self, hint: Hint) {
        let _ = self.sender.try_send(Message::Hint(hint));
    }

    /// Makes [`crate::engine::Engine::watch`] return at once, also in the middle of a sync or a pause: what is
    /// written is whole, and the next sync goes on from there. Also ends an [`crate::engine::Engine::sync`].
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// What a watch did, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WatchReport {
    /// How often the engine woke up, for whatever reason.
    pub wake_ups: u64,
    /// Of these, polls.
    pub polls: u64,
}

struct Schedule {
    next_at_ms: i64,
    failures: u32,
    /// Something came back since the last sync.
    is_woken: bool,
}

/// Sleeps until the next poll or message, until it is stopped.
pub(super) async fn run(
    desks: &mut BTreeMap<String, Desk>,
    edges: &Edges,
    inbox: &mut Inbox,
    seen: &mut (dyn FnMut(Seen<'_>) + Send),
) -> WatchReport {
    let mut report = WatchReport::default();
    let mut hints = Hints::default();
    let mut schedules: BTreeMap<String, Schedule> = desks
        .keys()
        .map(|name| {
            let next_at_ms = edges.clock.now_ms();
            (name.clone(), Schedule { next_at_ms, failures: 0, is_woken: true })
        })
        .collect();
    loop {
        let now_ms = edges.clock.now_ms();
        // A clock that was put back must not put polls off: none is further away than this.
        let latest_ms = now_ms.saturating_add(in_ms(SLEEP_MAX));
        for schedule in schedules.values_mut() {
            schedule.next_at_ms = schedule.next_at_ms.min(latest_ms);
        }
        let next_at_ms = schedules.values().map(|s| s.next_at_ms).min().unwrap_or(latest_ms);
        let wait = u64::try_from(next_at_ms.saturating_sub(now_ms)).unwrap_or(0);
        let message = match inbox.next(edges, Duration::from_millis(wait)).await {
            Next::Stop => return report,
            Next::Message(message) => Some(message),
            Next::Time => None,
        };
        report.wake_ups += 1;
        match message {
            Some(Message::Hint(Hint::Edited)) => {
                let soon_ms = edges.clock.now_ms().saturating_add(in_ms(AFTER_EDIT));
                for (name, schedule) in &mut schedules {
                    if desks.get(name).is_some_and(|desk| desk.next_edit_due_ms().is_some()) {
                        schedule.next_at_ms = schedule.next_at_ms.min(soon_ms);
                    }
                }
            }
            Some(Message::Hint(hint)) => {
                let is_due = note(&mut hints, hint);
                let now_ms = edges.clock.now_ms();
                for schedule in schedules.values_mut() {
                    schedule.is_woken |= matches!(hint, Hint::NetworkUp | Hint::Resumed);
                    let by_hints = in_ms(next_poll(hints, last(schedule.failures), edges.entropy.roll()));
                    let latest = if is_due { now_ms } else { now_ms.saturating_add(by_hints) };
                    schedule.next_at_ms = schedule.next_at_ms.min(latest);
                }
            }
            Some(Message::Sync { account, order, reply }) => {
                let answer = match desks.get_mut(&account) {
                    Some(desk) => {
                        let mut tell = |progress| seen(Seen::Progress(&account, &progress));
                        let work = desk.sync(&order, Urgency::Asked, &mut tell);
                        // Who asked is told by the dropped reply.
                        let Some(answer) = inbox.unless_stopped(work).await else { return report };
                        answer
                    }
                    None => Err(super::unknown_account(&account)),
                };
                if let Ok(report) = &answer {
                    seen(Seen::Done(&account, report));
                }
                if let Some(schedule) = schedules.get_mut(&account) {
                    let due_ms = desks.get(&account).and_then(Desk::next_edit_due_ms);
                    plan_next(schedule, answer.as_ref().ok(), due_ms, hints, edges);
                }
                // A caller who went away has its answer in `status`.
                let _ = reply.send(answer);
            }
            None => {
                let now_ms = edges.clock.now_ms();
                for (name, desk) in desks.iter_mut() {
                    let Some(schedule) = schedules.get_mut(name) else { continue };
                    if schedule.next_at_ms > now_ms {
                        continue;
                    }
                    report.polls += 1;
                    let order = SyncOrder::default();
                    let mut tell = |progress| seen(Seen::Progress(name, &progress));
                    let urgency = if schedule.is_woken { Urgency::Woken } else { Urgency::Polled };
                    let work = desk.sync(&order, urgency, &mut tell);
                    let Some(answer) = inbox.unless_stopped(work).await else { return report };
                    match &answer {
                        Ok(done) => seen(Seen::Done(name, done)),
                        Err(error) => tracing::warn!(account = %name, error = %error, "a poll failed"),
                    }
                    plan_next(schedule, answer.as_ref().ok(), desk.next_edit_due_ms(), hints, edges);
                }
            }
        }
    }
}

enum Next {
    Stop,
    Message(Message),
    Time,
}

impl Inbox {
    /// The next thing to do, after `wait` at the latest.
    async fn next(&mut self, edges: &Edges, wait: Duration) -> Next {
        let next = tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stops| *stops) => Next::Stop,
            Some(message) = self.messages.recv() => Next::Message(message),
            () = async { if !wait.is_zero() { edges.clock.sleep(wait).await } } => Next::Time,
        };
        if matches!(next, Next::Stop) {
            self.stop.send_replace(false);
        }
        next
    }
}

/// Notes a hint. Answers whether polling is due at once.
fn note(hints: &mut Hints, hint: Hint) -> bool {
    match hint {
        Hint::NetworkUp | Hint::Resumed => true,
        // Concerns the accounts that have one: seen to by the caller.
        Hint::Edited => false,
        Hint::Hidden(is_hidden) => {
            hints.is_hidden = is_hidden;
            !is_hidden
        }
        Hint::OnBattery(is_on_battery) => {
            hints.is_on_battery = is_on_battery;
            false
        }
        Hint::Metered(is_metered) => {
            hints.is_metered = is_metered;
            false
        }
    }
}

fn last(failures: u32) -> Last {
    if failures == 0 { Last::Complete } else { Last::Failed(failures) }
}

/// Plans the next sync of an account. `due_ms` is when its next edit is to be sent.
fn plan_next(
    schedule: &mut Schedule,
    answer: Option<&SyncReport>,
    due_ms: Option<i64>,
    hints: Hints,
    edges: &Edges,
) {
    let is_complete = answer.is_some_and(|report| report.weather.is_none());
    schedule.is_woken = false;
    schedule.failures = if is_complete { 0 } else { schedule.failures.saturating_add(1) };
    let last = match last(schedule.failures) {
        Last::Complete if answer.is_some_and(|report| report.done.pushed > 0) => Last::Wrote,
        last @ (Last::Complete | Last::Failed(_) | Last::Wrote) => last,
    };
    let delay = next_poll(hints, last, edges.entropy.roll());
    let now_ms = edges.clock.now_ms();
    let by_cadence = now_ms.saturating_add(in_ms(delay));
    let by_edit = due_ms
        .filter(|_| answer.is_some())
        .map_or(i64::MAX, |due_ms| due_ms.max(now_ms.saturating_add(in_ms(AFTER_EDIT))));
    let by_server = match answer.and_then(|report| report.weather.as_ref()) {
        Some(Weather::Throttled { until_ms }) => *until_ms,
        Some(Weather::SignInNeeded | Weather::Unreachable(_)) | None => 0,
    };
    schedule.next_at_ms = by_cadence.min(by_edit).max(by_server);
}

fn in_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
