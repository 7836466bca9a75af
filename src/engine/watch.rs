use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::api::{Error, ErrorKind};
use crate::engine::desk::Desk;
use crate::engine::{Edges, SyncOrder, SyncReport, Weather};
use crate::flow::Progress;
use crate::flow::cadence::{Hints, Last, next_poll};

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
}

pub(super) enum Message {
    Sync { account: String, order: SyncOrder, reply: oneshot::Sender<Result<SyncReport, Error>> },
    Hint(Hint),
    Stop,
}

pub(super) type Inbox = mpsc::Receiver<Message>;

/// Talks to a watching engine from any thread.
#[derive(Debug, Clone)]
pub struct Handle {
    sender: mpsc::Sender<Message>,
}

pub(super) fn channel() -> (Handle, Inbox) {
    let (sender, inbox) = mpsc::channel(INBOX_MAX);
    (Handle { sender }, inbox)
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

    /// Makes [`crate::engine::Engine::watch`] return after the step it is in.
    pub fn stop(&self) {
        if self.sender.try_send(Message::Stop).is_err() {
            tracing::warn!("the engine's queue is full; it stops when it has been worked off");
            let sender = self.sender.clone();
            std::thread::spawn(move || sender.blocking_send(Message::Stop));
        }
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
}

/// Sleeps until the next poll or message, for ever.
pub(super) async fn run(
    desks: &mut BTreeMap<String, Desk>,
    edges: &Edges,
    inbox: &mut Inbox,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> WatchReport {
    let mut report = WatchReport::default();
    let mut hints = Hints::default();
    let mut schedules: BTreeMap<String, Schedule> = desks
        .keys()
        .map(|name| (name.clone(), Schedule { next_at_ms: edges.clock.now_ms(), failures: 0 }))
        .collect();
    loop {
        let now_ms = edges.clock.now_ms();
        let next_at_ms = schedules.values().map(|s| s.next_at_ms).min().unwrap_or(i64::MAX);
        let wait = u64::try_from(next_at_ms.saturating_sub(now_ms)).unwrap_or(0);
        let wait = Duration::from_millis(wait).min(SLEEP_MAX);
        let message = if wait.is_zero() {
            inbox.try_recv().ok()
        } else {
            tokio::select! {
                biased;
                message = inbox.recv() => message,
                () = edges.clock.sleep(wait) => None,
            }
        };
        report.wake_ups += 1;
        match message {
            Some(Message::Stop) => return report,
            Some(Message::Hint(hint)) => {
                let is_due = note(&mut hints, hint);
                let now_ms = edges.clock.now_ms();
                for schedule in schedules.values_mut() {
                    let by_hints = in_ms(next_poll(hints, last(schedule.failures), edges.entropy.roll()));
                    let latest = if is_due { now_ms } else { now_ms.saturating_add(by_hints) };
                    schedule.next_at_ms = schedule.next_at_ms.min(latest);
                }
            }
            Some(Message::Sync { account, order, reply }) => {
                let answer = match desks.get_mut(&account) {
                    Some(desk) => desk.sync(&order, Urgency::Asked, progress).await,
                    None => Err(super::unknown_account(&account)),
                };
                if let Some(schedule) = schedules.get_mut(&account) {
                    plan_next(schedule, answer.as_ref().ok(), hints, edges);
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
                    let answer = desk.sync(&SyncOrder::default(), Urgency::Polled, progress).await;
                    if let Err(error) = &answer {
                        tracing::warn!(account = %name, error = %error, "a poll failed");
                    }
                    plan_next(schedule, answer.as_ref().ok(), hints, edges);
                }
            }
        }
    }
}

/// Notes a hint. Answers whether polling is due at once.
fn note(hints: &mut Hints, hint: Hint) -> bool {
    match hint {
        Hint::NetworkUp | Hint::Resumed => true,
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

fn plan_next(schedule: &mut Schedule, answer: Option<&SyncReport>, hints: Hints, edges: &Edges) {
    let is_complete = answer.is_some_and(|report| report.weather.is_none());
    schedule.failures = if is_complete { 0 } else { schedule.failures.saturating_add(1) };
    let delay = next_poll(hints, last(schedule.failures), edges.entropy.roll());
    let by_cadence = edges.clock.now_ms().saturating_add(in_ms(delay));
    let by_server = match answer.and_then(|report| report.weather.as_ref()) {
        Some(Weather::Throttled { until_ms }) => *until_ms,
        Some(Weather::SignInNeeded | Weather::Unreachable(_)) | None => 0,
    };
    schedule.next_at_ms = by_cadence.max(by_server);
}

fn in_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
