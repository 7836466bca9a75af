//! Keeps accounts in step: who is next, how many at once, and for how long.
//!
//! So many mailboxes are at work at once, on the caller's thread; of those that are due the one that has waited
//! longest is next. A first sync that takes long makes room after its share of pages when others wait, and goes on
//! from its last committed page. With many accounts a mirror is open only while it works.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::api::{Error, ErrorKind};
use crate::config::ConfigFile;
use crate::engine::bell::{Bell, ReminderTick};
use crate::engine::desk::Desk;
use crate::engine::notice::Hub;
use crate::engine::office::Office;
use crate::engine::sign_in::{SignIn, Visit, Way};
use crate::engine::switchboard::{Evaluated, SETTLED_MS, Switchboard};
use crate::engine::{Edges, OtherMailbox, PresenceTick, SignOut, SyncOrder, SyncReport, Weather};
use crate::flow::Progress;
use crate::flow::cadence::{AFTER_EDIT, Hints, Last, next_poll};

/// Messages that may wait for the engine; a door that finds the queue full tells its caller to come back.
const INBOX_MAX: usize = 64;
/// Mailboxes at work at once. Their network waits overlap; their writes do not.
pub const MAILBOXES_AT_ONCE: usize = 4;
/// Up to so many accounts keep their mirrors open between two turns; of more each is closed after its turn, so that
/// an idle mailbox costs neither page cache nor open files.
pub const MIRRORS_OPEN_MAX: usize = 8;
/// The share of one turn while others wait: pages of a full round,
const SLICE_PAGES: u32 = 10;
/// or this time, whichever comes first.
const SLICE_TIME: Duration = Duration::from_secs(15);
/// Between two syncs because a receiver of presence knows a newer state of the calendars.
const AFTER_STALE: Duration = Duration::from_secs(60);
/// The longest a poll is put off, whatever the server asked for: the wall clock is looked at again then.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

/// What the host knows about the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// A network came up.
    NetworkUp,
    /// There is none any more.
    NetworkDown,
    /// The machine woke up.
    Resumed,
    /// An edit was queued.
    Edited,
    /// A profile was chosen by hand, a forwarding reported, a command answered, or the presence policy edited.
    PresenceChanged,
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
    Asked(Asked),
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
    notices: Hub,
}

pub(super) fn channel(notices: Hub) -> (Handle, Inbox) {
    let (sender, messages) = mpsc::channel(INBOX_MAX);
    let (stop, stopping) = watch::channel(false);
    let stop = Arc::new(stop);
    (Handle { sender, stop: stop.clone(), notices }, Inbox { messages, stopping, stop })
}

/// What is seen while an engine watches.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'s> {
    /// A sync of an account does this.
    Progress(&'s str, &'s Progress),
    /// A sync of an account ended like this.
    Done(&'s str, &'s SyncReport),
    /// An evaluation of an account's presence changed what is shown, or sent commands.
    Presence(&'s str, &'s PresenceTick),
    /// Reminders of an account came due; they count as told.
    Reminder(&'s str, &'s ReminderTick),
    /// A sign-in that [`Handle::sign_in`] began ended.
    SignIn(&'s str, Result<(), ErrorKind>),
}

impl Handle {
    /// Where to subscribe to what happens.
    pub fn notices(&self) -> &Hub {
        &self.notices
    }

    /// Asks for a sync and waits for its end.
    ///
    /// # Errors
    /// As [`crate::engine::Engine::sync`]; `Busy` when too many callers wait or the engine stops.
    pub async fn sync(&self, account: &str, order: SyncOrder) -> Result<SyncReport, Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(account, Errand::Sync(order, reply))?;
        answer.await.map_err(|_| stopping())?
    }

    /// Begins to sign a user in; blocks until there is something to show. The other accounts are kept in step
    /// meanwhile. Dropping the answer gives up.
    ///
    /// # Errors
    /// As [`crate::engine::Engine::sign_in`] and [`crate::engine::Engine::sign_in_with_browser`]; `Busy` as
    /// [`Handle::sync`].
    pub fn sign_in(&self, account: &str, way: Way, other: OtherMailbox) -> Result<SignIn, Error> {
        let (visit, begun) = SignIn::plan(way, other);
        self.ask(account, Errand::Visit(visit))?;
        begun.begin()
    }

    /// Forgets the tokens of an account, and its mirror when asked.
    ///
    /// # Errors
    /// As [`crate::engine::Engine::sign_out`]; `Busy` as [`Handle::sync`].
    pub async fn sign_out(&self, account: &str, what: SignOut) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(account, Errand::Visit(Visit::SignOut { what, reply }))?;
        answer.await.map_err(|_| stopping())?
    }

    fn ask(&self, account: &str, errand: Errand) -> Result<(), Error> {
        let asked = Asked { account: account.to_owned(), errand };
        self.sender.try_send(Message::Asked(asked)).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => stopping(),
            mpsc::error::TrySendError::Full(_) => {
                Error::new(ErrorKind::Busy, "the engine has too much to do; try again in a moment")
            }
        })
    }

    /// Tells what the host knows. Dropped when the queue is full: the next poll comes anyway.
    pub fn hint(&self, hint: Hint) {
        let _ = self.sender.try_send(Message::Hint(hint));
    }

    /// Makes [`crate::engine::Engine::watch`] return at once, also in the middle of a sync or a pause: what is
    /// written is whole, and the next sync goes on from there. Only for a forwarding that is to be given back it is
    /// waited some seconds. Also ends an [`crate::engine::Engine::sync`].
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// What a watch did, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WatchReport {
    /// How often the engine woke up, for whatever reason.
    pub wake_ups: u64,
    /// Polls.
    pub polls: u64,
    /// Evaluations of presence.
    pub evaluations: u64,
}

/// When an account is next looked at.
struct Schedule {
    next_at_ms: i64,
    /// When the last sync ended.
    done_at_ms: i64,
    failures: u32,
    /// Something came back since the last sync.
    is_woken: bool,
    is_running: bool,
}

/// An account's place: its desk is open while it works, and between two turns if there are few.
struct Seat {
    desk: tokio::sync::Mutex<Option<Desk>>,
}

impl Seat {
    /// Whether an edit may wait here: one that is at work, or closed, cannot be asked.
    fn may_have_edits(&self) -> bool {
        self.desk
            .try_lock()
            .map_or(true, |desk| desk.as_ref().is_none_or(|desk| desk.next_edit_due_ms().is_some()))
    }
}

/// Who waits for the end of a sync.
type Reply = oneshot::Sender<Result<SyncReport, Error>>;

/// What somebody asked for.
pub(super) struct Asked {
    account: String,
    errand: Errand,
}

enum Errand {
    Sync(SyncOrder, Reply),
    Visit(Visit),
}

impl Errand {
    fn refuse(self, error: Error) {
        match self {
            Errand::Sync(_, reply) => drop(reply.send(Err(error))),
            Errand::Visit(visit) => visit.refuse(error),
        }
    }
}

pub(super) fn stopping() -> Error {
    Error::new(ErrorKind::Busy, "the engine is stopping")
}

/// One turn of an account that ended.
struct Turn {
    account: String,
    reply: Option<Reply>,
    end: TurnEnd,
    /// When its next edit is to be sent.
    due_ms: Option<i64>,
    /// The mailbox said something about its user's time.
    has_mailbox_news: bool,
}

enum TurnEnd {
    Done(Box<Result<SyncReport, Error>>),
    /// Others waited; it goes on from the page it has committed.
    Sliced,
    /// Somebody signed in or out.
    Visited,
}

type Watcher<'s> = Mutex<&'s mut (dyn FnMut(Seen<'_>) + Send)>;

/// How far a turn has come in a round that can be continued: a full round, which stores the link to its next page.
struct Slice {
    started_ms: i64,
    is_full_round: bool,
    pages: u32,
}

impl Slice {
    /// Whether the turn has had its share after `progress`.
    fn is_over(&mut self, progress: &Progress, now_ms: i64) -> bool {
        match progress {
            Progress::Round { is_full, .. } => {
                self.is_full_round = *is_full;
                false
            }
            Progress::Page { .. } if self.is_full_round => {
                self.pages = self.pages.saturating_add(1);
                self.pages >= SLICE_PAGES || now_ms.saturating_sub(self.started_ms) >= in_ms(SLICE_TIME)
            }
            Progress::Page { .. }
            | Progress::Calendars { .. }
            | Progress::Pushed { .. }
            | Progress::Waiting { .. }
            | Progress::Complete { .. }
            | Progress::Failed { .. } => false,
        }
    }
}

/// Sleeps until the next poll or message, until it is stopped.
pub(super) async fn run(
    office: &Office,
    file: Option<&mut ConfigFile>,
    desks: &mut BTreeMap<String, Desk>,
    accounts: Vec<String>,
    inbox: &mut Inbox,
    seen: &mut (dyn FnMut(Seen<'_>) + Send),
) -> WatchReport {
    let seat = |name: String| {
        let desk = tokio::sync::Mutex::new(desks.remove(&name));
        (name, Seat { desk })
    };
    let mut policy = PolicyFile(file);
    policy.look(office);
    let mut switchboard = Switchboard::open(office, &accounts, office.edges.clock.now_ms());
    let seats: BTreeMap<String, Seat> = accounts.into_iter().map(seat).collect();
    let report = keep_in_step(office, &seats, (&mut switchboard, policy), inbox, &Mutex::new(seen)).await;
    switchboard.shut_down(office.edges.clock.now_ms()).await;
    desks.extend(seats.into_iter().filter_map(|(name, seat)| Some((name, seat.desk.into_inner()?))));
    report
}

async fn keep_in_step(
    office: &Office,
    seats: &BTreeMap<String, Seat>,
    (switchboard, mut policy): (&mut Switchboard, PolicyFile<'_>),
    inbox: &mut Inbox,
    seen: &Watcher<'_>,
) -> WatchReport {
    let edges = &office.edges;
    let mut report = WatchReport::default();
    let accounts: Vec<String> = seats.keys().cloned().collect();
    let mut bell = Bell::open(office, &accounts, edges.clock.now_ms());
    let mut hints = Hints::default();
    let next_at_ms = edges.clock.now_ms();
    let mut schedules: BTreeMap<String, Schedule> = seats
        .keys()
        .map(|name| {
            (
                name.clone(),
                Schedule { next_at_ms, done_at_ms: i64::MIN, failures: 0, is_running: false, is_woken: true },
            )
        })
        .collect();
    let mut asked: VecDeque<Asked> = VecDeque::new();
    // Whether somebody waits for a place: then a long round makes room after its share.
    let others_wait = AtomicBool::new(false);
    let mut running: FuturesUnordered<LocalBoxFuture<'_, Turn>> = FuturesUnordered::new();
    let mut evaluating = FuturesUnordered::new();
    loop {
        if inbox.takes_stop() {
            return report;
        }
        // To begin is to wake up.
        report.wake_ups = report.wake_ups.max(1);
        let now_ms = edges.clock.now_ms();
        // A clock that was put back must not put polls off: none is further away than this.
        let latest_ms = now_ms.saturating_add(in_ms(SLEEP_MAX));
        for schedule in schedules.values_mut() {
            schedule.next_at_ms = schedule.next_at_ms.min(latest_ms);
        }
        for (account, tick) in bell.ring(office, now_ms) {
            tell(seen, Seen::Reminder(&account, &tick));
        }
        let due = switchboard.due(now_ms);
        report.evaluations = report.evaluations.saturating_add(u64::try_from(due.len()).unwrap_or(0));
        evaluating.extend(due);
        while running.len() < MAILBOXES_AT_ONCE {
            let (account, errand) = match next_asked(&mut asked, &schedules) {
                Some(Asked { account, errand }) => (account, Some(errand)),
                None => match longest_waiting(&schedules, now_ms) {
                    Some(account) => (account, None),
                    None => break,
                },
            };
            let (Some(seat), Some(schedule)) = (seats.get(&account), schedules.get_mut(&account)) else {
                if let Some(errand) = errand {
                    errand.refuse(super::unknown_account(&account));
                }
                continue;
            };
            schedule.is_running = true;
            let (order, reply) = match errand {
                None => (SyncOrder::default(), None),
                Some(Errand::Sync(order, reply)) => (order, Some(reply)),
                Some(Errand::Visit(visit)) => {
                    running.push(Box::pin(receive(office, seat, account, visit, seen)));
                    continue;
                }
            };
            let is_woken = schedule.is_woken;
            report.polls += u64::from(reply.is_none());
            let urgency = match (&reply, is_woken) {
                (Some(_), _) => Urgency::Asked,
                (None, true) => Urgency::Woken,
                (None, false) => Urgency::Polled,
            };
            let turn = turn(office, seat, account, (order, urgency), reply, seen, &others_wait);
            running.push(Box::pin(turn));
        }
        let next_at_ms = next_due(&schedules);
        let has_due = next_at_ms.is_some_and(|next_at_ms| next_at_ms <= now_ms);
        others_wait.store(has_due || !asked.is_empty(), Ordering::Relaxed);
        let poll_at_ms = match next_at_ms {
            // All places are taken: the next that is free wakes us.
            Some(_) if has_due => None,
            Some(next_at_ms) => Some(next_at_ms),
            None if running.is_empty() => Some(latest_ms),
            None => None,
        };
        let wake = Wake {
            at_ms: poll_at_ms.into_iter().chain(switchboard.next_at_ms()).chain(bell.next_at_ms()).min(),
            follows_clock: !switchboard.is_empty() || bell.is_waiting(),
        };
        let next = inbox.next(edges, wake, asked.len() < INBOX_MAX, &mut evaluating, &mut running).await;
        match &next {
            Next::Time { .. } | Next::Message(_) => {
                policy.look(office);
                switchboard.follow(office, edges.clock.now_ms());
            }
            Next::Stop | Next::Evaluated(_) | Next::Turn(_) => {}
        }
        match next {
            Next::Stop => return report,
            Next::Time { has_jumped } => {
                report.wake_ups += 1;
                if has_jumped {
                    // It may have slept, and be elsewhere.
                    let now_ms = edges.clock.now_ms();
                    switchboard.want_all(now_ms);
                    bell.want_all(now_ms);
                    for schedule in schedules.values_mut() {
                        schedule.is_woken = true;
                        schedule.next_at_ms = schedule.next_at_ms.min(now_ms);
                    }
                }
            }
            Next::Evaluated(evaluated) => {
                let account = evaluated.account.clone();
                if let Some(tick) = switchboard.note(evaluated, edges.clock.now_ms()) {
                    tell(seen, Seen::Presence(&account, &tick));
                    if let Some(schedule) = schedules.get_mut(&account).filter(|_| tick.is_stale()) {
                        let soon_ms = schedule.done_at_ms.saturating_add(in_ms(AFTER_STALE));
                        schedule.next_at_ms = schedule.next_at_ms.min(soon_ms.max(edges.clock.now_ms()));
                        schedule.is_woken = true;
                    }
                }
            }
            Next::Message(Message::Hint(Hint::Edited)) => {
                report.wake_ups += 1;
                let now_ms = edges.clock.now_ms();
                switchboard.want_all(now_ms.saturating_add(SETTLED_MS));
                bell.want_all(now_ms.saturating_add(SETTLED_MS));
                let soon_ms = now_ms.saturating_add(in_ms(AFTER_EDIT));
                for (name, schedule) in &mut schedules {
                    if seats.get(name).is_some_and(|seat| seat.may_have_edits()) {
                        schedule.next_at_ms = schedule.next_at_ms.min(soon_ms);
                    }
                }
            }
            Next::Message(Message::Hint(Hint::PresenceChanged)) => {
                report.wake_ups += 1;
                switchboard.want_all(edges.clock.now_ms());
                bell.want_all(edges.clock.now_ms());
            }
            Next::Message(Message::Hint(hint)) => {
                report.wake_ups += 1;
                let is_due = note(&mut hints, hint);
                let now_ms = edges.clock.now_ms();
                if matches!(hint, Hint::NetworkUp | Hint::Resumed) {
                    switchboard.want_all(now_ms);
                    bell.want_all(now_ms);
                }
                for schedule in schedules.values_mut() {
                    schedule.is_woken |= matches!(hint, Hint::NetworkUp | Hint::Resumed);
                    let by_hints = in_ms(next_poll(hints, last(schedule.failures), edges.entropy.roll()));
                    let by_hints_ms = now_ms.saturating_add(by_hints);
                    schedule.next_at_ms = match hint {
                        // A host that is wrong costs a slow poll, not the mirror.
                        Hint::NetworkDown => schedule.next_at_ms.max(by_hints_ms),
                        _ if is_due => schedule.next_at_ms.min(now_ms),
                        _ => schedule.next_at_ms.min(by_hints_ms),
                    };
                }
            }
            Next::Message(Message::Asked(what)) => {
                report.wake_ups += 1;
                asked.push_back(what);
            }
            Next::Turn(Turn { account, reply, end, due_ms, has_mailbox_news }) => {
                if has_mailbox_news {
                    switchboard.want(&account, edges.clock.now_ms());
                    bell.want(&account, edges.clock.now_ms());
                }
                if let (Some(seat), true) = (seats.get(&account), seats.len() > MIRRORS_OPEN_MAX) {
                    close(&account, seat).await;
                }
                let Some(schedule) = schedules.get_mut(&account) else { continue };
                schedule.is_running = false;
                let answer = match end {
                    // Due again at once, behind everybody who has waited longer.
                    TurnEnd::Sliced => {
                        schedule.next_at_ms = edges.clock.now_ms();
                        switchboard.want(&account, schedule.next_at_ms.saturating_add(SETTLED_MS));
                        bell.want(&account, schedule.next_at_ms.saturating_add(SETTLED_MS));
                        continue;
                    }
                    TurnEnd::Visited => {
                        schedule.failures = 0;
                        schedule.is_woken = true;
                        schedule.next_at_ms = edges.clock.now_ms();
                        continue;
                    }
                    TurnEnd::Done(answer) => *answer,
                };
                if let Some(pause_ms) = evaluation_after(schedule, answer.as_ref().ok()) {
                    switchboard.want(&account, edges.clock.now_ms().saturating_add(pause_ms));
                    bell.want(&account, edges.clock.now_ms().saturating_add(pause_ms));
                }
                match &answer {
                    Ok(done) => tell(seen, Seen::Done(&account, done)),
                    Err(error) if reply.is_none() => {
                        tracing::warn!(account = %account, error = %error, "a poll failed");
                    }
                    Err(_) => {}
                }
                plan_next(schedule, answer.as_ref().ok(), due_ms, hints, edges);
                if let Some(reply) = reply {
                    // A caller who went away has its answer in `status`.
                    let _ = reply.send(answer);
                }
            }
        }
    }
}

/// The file that the presence policy follows.
struct PolicyFile<'f>(Option<&'f mut ConfigFile>);

impl PolicyFile<'_> {
    /// Takes over what it says by now; a broken one is told once, and changes nothing.
    fn look(&mut self, office: &Office) {
        let Some(file) = &mut self.0 else { return };
        match file.news() {
            Ok(Some(config)) => {
                if office.config.replace_presence(&config) {
                    tracing::info!("the presence policy of the configuration counts from now on");
                }
            }
            Ok(None) => {}
            Err(problem) => {
                let path = file.path();
                if office.config.note_problem(problem.clone()) {
                    tracing::warn!(file = %path.display(), problem, "the presence policy stays as it was");
                }
            }
        }
    }
}

/// How long after a sync presence is evaluated, if it may depend on what the sync did: a mirror without news is only
/// younger, and that is read when its age counts.
fn evaluation_after(schedule: &Schedule, answer: Option<&SyncReport>) -> Option<i64> {
    let report = answer?;
    let done = &report.done;
    let news = done.upserted + done.removed + done.pushed + done.parked + done.conflicts;
    let is_back = report.weather.is_none() && (schedule.failures > 0 || schedule.is_woken);
    match (news > 0, is_back) {
        (true, _) => Some(SETTLED_MS),
        (false, true) => Some(0),
        (false, false) => None,
    }
}

/// The first that was asked for whose account is not at work already.
fn next_asked(asked: &mut VecDeque<Asked>, schedules: &BTreeMap<String, Schedule>) -> Option<Asked> {
    let is_free = |asked: &Asked| schedules.get(&asked.account).is_none_or(|schedule| !schedule.is_running);
    let place = asked.iter().position(is_free)?;
    asked.remove(place)
}

/// When the next account is due that is not at work.
fn next_due(schedules: &BTreeMap<String, Schedule>) -> Option<i64> {
    let idle = schedules.values().filter(|schedule| !schedule.is_running);
    idle.map(|schedule| schedule.next_at_ms).min()
}

/// The account that is due and has waited longest.
fn longest_waiting(schedules: &BTreeMap<String, Schedule>, now_ms: i64) -> Option<String> {
    let due = schedules.iter().filter(|(_, schedule)| !schedule.is_running && schedule.next_at_ms <= now_ms);
    due.min_by_key(|(name, schedule)| (schedule.next_at_ms, *name)).map(|(name, _)| name.clone())
}

fn tell(seen: &Watcher<'_>, what: Seen<'_>) {
    seen.lock().unwrap_or_else(PoisonError::into_inner)(what);
}

async fn turn(
    office: &Office,
    seat: &Seat,
    account: String,
    (order, urgency): (SyncOrder, Urgency),
    reply: Option<Reply>,
    seen: &Watcher<'_>,
    others_wait: &AtomicBool,
) -> Turn {
    let mut desk = seat.desk.lock().await;
    let desk = match &mut *desk {
        Some(desk) => desk,
        closed => match office.open(&account) {
            Ok(opened) => closed.insert(opened),
            Err(error) => {
                let end = TurnEnd::Done(Box::new(Err(error)));
                return Turn { account, reply, end, due_ms: None, has_mailbox_news: false };
            }
        },
    };
    if let Ok(effective) = office.effective(&account) {
        desk.follow(effective.presence);
    }
    let clock = &office.edges.clock;
    let mut slice = Slice { started_ms: clock.now_ms(), is_full_round: false, pages: 0 };
    let share_used = Notify::new();
    let mut on_progress = |progress: Progress| {
        tell(seen, Seen::Progress(&account, &progress));
        let is_over = slice.is_over(&progress, clock.now_ms());
        // Who asked waits for the end.
        if is_over && urgency != Urgency::Asked && others_wait.load(Ordering::Relaxed) {
            share_used.notify_one();
        }
    };
    let work = desk.sync(&order, urgency, &mut on_progress);
    let end = tokio::select! {
        biased;
        answer = work => TurnEnd::Done(Box::new(answer)),
        // Dropped where it waits: what is written is whole.
        () = share_used.notified() => TurnEnd::Sliced,
    };
    let (due_ms, has_mailbox_news) = (desk.next_edit_due_ms(), desk.take_mailbox_news());
    Turn { account, reply, end, due_ms, has_mailbox_news }
}

async fn receive(office: &Office, seat: &Seat, account: String, visit: Visit, seen: &Watcher<'_>) -> Turn {
    if let Some(ended) = visit.run(office, &account, &mut *seat.desk.lock().await).await {
        tell(seen, Seen::SignIn(&account, ended));
    }
    Turn { account, reply: None, end: TurnEnd::Visited, due_ms: None, has_mailbox_news: false }
}

/// Closes the mirror of an account between two turns: its page cache and files are needed elsewhere.
async fn close(account: &str, seat: &Seat) {
    let open = seat.desk.lock().await.take();
    if let Some(Err(error)) = open.map(Desk::close) {
        tracing::warn!(account, error = %error, "the mirror was not closed in order; it will be checked");
    }
}

enum Next {
    Stop,
    Message(Message),
    Evaluated(Evaluated),
    Turn(Turn),
    /// `has_jumped`: the wall clock was set, or the machine slept.
    Time {
        has_jumped: bool,
    },
}

/// When to wake.
#[derive(Clone, Copy)]
struct Wake {
    at_ms: Option<i64>,
    /// A change of the wall clock matters meanwhile.
    follows_clock: bool,
}

impl Inbox {
    /// The next thing to do: what came in, an evaluation or a turn that ended, or that it is time.
    async fn next<E: Future<Output = Evaluated>, F: Future<Output = Turn>>(
        &mut self,
        edges: &Edges,
        wake: Wake,
        takes_messages: bool,
        evaluating: &mut FuturesUnordered<E>,
        running: &mut FuturesUnordered<F>,
    ) -> Next {
        let sleep = async {
            let Some(at_ms) = wake.at_ms else { return std::future::pending().await };
            let wait_ms = at_ms.saturating_sub(edges.clock.now_ms());
            let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
            match wake.follows_clock {
                _ if wait.is_zero() => false,
                true => edges.clock.until(at_ms).await,
                false => {
                    edges.clock.sleep(wait).await;
                    false
                }
            }
        };
        let next = tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stops| *stops) => Next::Stop,
            Some(message) = self.messages.recv(), if takes_messages => Next::Message(message),
            Some(evaluated) = evaluating.next(), if !evaluating.is_empty() => Next::Evaluated(evaluated),
            Some(turn) = running.next(), if !running.is_empty() => Next::Turn(turn),
            has_jumped = sleep => Next::Time { has_jumped },
        };
        if matches!(next, Next::Stop) {
            self.stop.send_replace(false);
        }
        next
    }

    /// Whether somebody has asked to stop; the wish is used up by being followed.
    fn takes_stop(&self) -> bool {
        let stops = *self.stopping.borrow();
        if stops {
            self.stop.send_replace(false);
        }
        stops
    }
}

/// Notes a hint. Answers whether polling is due at once.
fn note(hints: &mut Hints, hint: Hint) -> bool {
    match hint {
        Hint::NetworkUp | Hint::Resumed => {
            hints.is_cut_off = false;
            true
        }
        Hint::NetworkDown => {
            hints.is_cut_off = true;
            false
        }
        // Concern the accounts that have one: seen to by the caller.
        Hint::Edited | Hint::PresenceChanged => false,
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
    schedule.done_at_ms = now_ms;
    let by_cadence = now_ms.saturating_add(in_ms(delay));
    let by_edit = due_ms
        .filter(|_| answer.is_some())
        .map_or(i64::MAX, |due_ms| due_ms.max(now_ms.saturating_add(in_ms(AFTER_EDIT))));
    let by_server = match answer.and_then(|report| report.weather.as_ref()) {
        Some(Weather::Throttled { until_ms }) => *until_ms,
        Some(Weather::SignInNeeded | Weather::ApplicationRefused { .. } | Weather::Unreachable(_)) | None => {
            0
        }
    };
    schedule.next_at_ms = by_cadence.min(by_edit).max(by_server);
}

fn in_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
