//! What happened, for listeners that come and go and may be slow: nobody waits for them.
//!
//! Each listener has a queue with a limit. Of changes it holds the newest place in the feed only, so that a listener who
//! sleeps through a first sync misses nothing; of the rest the oldest are dropped, and it learns that. What the engine
//! writes is told at once; what other programs write is looked for twice a second, only while somebody listens.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::api::ErrorKind;
use crate::engine::{PresenceTick, ReminderTick, Seen, SyncReport};
use crate::mirror::{MirrorError, Reader};

/// Notices that wait for one listener.
pub const NOTICES_MAX: usize = 256;
/// How late a commit of another program is told at most; one of this engine is told at once.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A mirror is opened anew after so many looks: it may have been set aside and rebuilt meanwhile.
const LOOKS_MAX: u32 = 60;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// In which account.
    pub account: Arc<str>,
    /// What.
    pub what: What,
}

/// The kinds of notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The change feed has grown. Also told once to a new listener.
    Change {
        /// Up to this place.
        seq: i64,
    },
    /// Something else is shown or forwarded, or commands were sent.
    Presence(PresenceTick),
    /// Reminders came due: after a pause all at once, and none twice.
    Reminder(ReminderTick),
    /// A sync ended.
    Sync(Box<SyncReport>),
    /// A sign-in beside the engine ended; if not well, by what kind of problem.
    SignIn(Result<(), ErrorKind>),
}

/// What a listener finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A notice.
    Notice(Notice),
    /// Notices were dropped, because this listener did not take them: what it knows may be old.
    Lost,
    /// Nothing came in time.
    Late,
    /// Nothing will come any more.
    Closed,
}

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Notice>,
    has_lost: bool,
    is_closed: bool,
}

/// One listener's queue.
struct Queue {
    /// Only of this account.
    account: Option<String>,
    /// Its feeds were not looked at yet.
    is_new: AtomicBool,
    waiting: Mutex<Waiting>,
    came: Condvar,
    came_async: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants(&self, account: &str) -> bool {
        self.account.as_deref().is_none_or(|wanted| wanted == account)
    }

    fn push(&self, notice: &Notice) {
        let mut waiting = self.lock();
        let known = waiting
            .queue
            .iter_mut()
            .find(|known| known.account == notice.account && matches!(known.what, What::Change { .. }));
        match (known, &notice.what) {
            (Some(known), What::Change { .. }) => known.what = notice.what.clone(),
            (None, What::Change { .. })
            | (_, What::Presence(_) | What::Reminder(_) | What::Sync(_) | What::SignIn(_)) => {
                if waiting.queue.len() >= NOTICES_MAX {
                    waiting.queue.pop_front();
                    waiting.has_lost = true;
                }
                waiting.queue.push_back(notice.clone());
            }
        }
        drop(waiting);
        self.came.notify_one();
        self.came_async.notify_one();
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.came.notify_all();
        self.came_async.notify_one();
    }

    fn take(&self, waiting: &mut Waiting) -> Option<Heard> {
        if std::mem::take(&mut waiting.has_lost) {
            return Some(Heard::Lost);
        }
        match waiting.queue.pop_front() {
            Some(notice) => Some(Heard::Notice(notice)),
            None if waiting.is_closed => Some(Heard::Closed),
            None => None,
        }
    }
}

/// Listens until it is dropped. One task or thread takes from it.
pub struct Subscription {
    queue: Arc<Queue>,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("account", &self.queue.account).finish_non_exhaustive()
    }
}

impl Subscription {
    /// The next notice, waited for on this thread at most so long; `None`: for ever. Needs no runtime.
    pub fn next(&self, timeout: Option<Duration>) -> Heard {
        // A wait so long that no clock holds its end is one for ever.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut waiting = self.queue.lock();
        loop {
            if let Some(heard) = self.queue.take(&mut waiting) {
                return heard;
            }
            waiting = match until {
                None => self.queue.came.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(until) => match until.checked_duration_since(Instant::now()) {
                    None | Some(Duration::ZERO) => return Heard::Late,
                    Some(left) => {
                        self.queue.came.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0
                    }
                },
            };
        }
    }

    /// Ends it for whoever waits: what is in the queue is dropped.
    pub fn end(&self) {
        *self.queue.lock() = Waiting { is_closed: true, ..Waiting::default() };
        self.queue.close();
    }

    /// The next notice, for tasks; never [`Heard::Late`]. Nothing is lost when the future is dropped.
    pub async fn heard(&self) -> Heard {
        loop {
            let came = self.queue.came_async.notified();
            if let Some(heard) = self.queue.take(&mut self.queue.lock()) {
                return heard;
            }
            came.await;
        }
    }
}

#[derive(Default)]
struct Listeners {
    queues: Vec<Weak<Queue>>,
    is_nudged: bool,
    is_looking: bool,
    is_closed: bool,
}

impl Listeners {
    fn live(&mut self) -> Vec<Arc<Queue>> {
        self.queues.retain(|queue| queue.strong_count() > 0);
        self.queues.iter().filter_map(Weak::upgrade).collect()
    }
}

struct Room {
    /// The mirrors, by account.
    mirrors: BTreeMap<Arc<str>, PathBuf>,
    listeners: Mutex<Listeners>,
    nudge: Condvar,
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, notice: &Notice) {
        let queues = self.lock().live();
        for queue in queues.iter().filter(|queue| queue.wants(&notice.account)) {
            queue.push(notice);
        }
    }
}

/// Where everybody subscribes to what happens in one data directory.
#[derive(Clone)]
pub struct Hub {
    room: Arc<Room>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    /// For these accounts and the files of their mirrors.
    pub(super) fn new<'a>(mirrors: impl Iterator<Item = (&'a str, PathBuf)>) -> Hub {
        let mirrors = mirrors.map(|(account, path)| (Arc::from(account), path)).collect();
        Hub { room: Arc::new(Room { mirrors, listeners: Mutex::default(), nudge: Condvar::new() }) }
    }

    /// Listens from now on, to one account or to all.
    pub fn subscribe(&self, account: Option<&str>) -> Subscription {
        let queue = Arc::new(Queue {
            account: account.map(str::to_owned),
            is_new: AtomicBool::new(true),
            waiting: Mutex::default(),
            came: Condvar::new(),
            came_async: Notify::new(),
        });
        let mut listeners = self.room.lock();
        if listeners.is_closed {
            queue.close();
            return Subscription { queue };
        }
        listeners.live();
        listeners.queues.push(Arc::downgrade(&queue));
        // The new one is told where the feed is: nothing falls between its subscribing and the first look.
        listeners.is_nudged = true;
        if !listeners.is_looking {
            let room = self.room.clone();
            let started = std::thread::Builder::new()
                .name("calmirror-look".to_owned())
                .spawn(move || keep_looking(&room));
            match started {
                Ok(_) => listeners.is_looking = true,
                Err(error) => {
                    tracing::warn!(error = %error, "changes are not told: no thread could be started")
                }
            }
        }
        drop(listeners);
        self.room.nudge.notify_all();
        Subscription { queue }
    }

    /// Tells what the engine saw.
    pub(super) fn seen(&self, seen: Seen<'_>) {
        let (account, what) = match seen {
            Seen::Progress(..) => return self.look(),
            Seen::Done(account, report) => {
                self.look();
                (account, What::Sync(Box::new(report.clone())))
            }
            Seen::Presence(account, tick) => (account, What::Presence(tick.clone())),
            Seen::Reminder(account, tick) => (account, What::Reminder(tick.clone())),
            Seen::SignIn(account, ended) => (account, What::SignIn(ended)),
        };
        self.tell(account, what);
    }

    /// Tells something.
    pub fn tell(&self, account: &str, what: What) {
        self.room.tell(&Notice { account: Arc::from(account), what });
    }

    /// Something was written: the feeds are looked at now.
    pub fn look(&self) {
        self.room.lock().is_nudged = true;
        self.room.nudge.notify_all();
    }

    /// Tells all that nothing more comes.
    pub(super) fn close(&self) {
        let mut listeners = self.room.lock();
        listeners.is_closed = true;
        for queue in listeners.live() {
            queue.close();
        }
        drop(listeners);
        self.room.nudge.notify_all();
    }
}

/// Looks at the feeds that somebody listens to, until nobody does.
fn keep_looking(room: &Room) {
    let mut feeds: BTreeMap<Arc<str>, Feed> = BTreeMap::new();
    loop {
        let mut listeners = room.lock();
        if !listeners.is_nudged && !listeners.is_closed {
            listeners = room
                .nudge
                .wait_timeout_while(listeners, LOOK_EVERY, |l| !l.is_nudged && !l.is_closed)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        listeners.is_nudged = false;
        let queues = listeners.live();
        if queues.is_empty() || listeners.is_closed {
            listeners.is_looking = false;
            return;
        }
        drop(listeners);
        for (account, path) in &room.mirrors {
            let wanted: Vec<&Arc<Queue>> = queues.iter().filter(|queue| queue.wants(account)).collect();
            if wanted.is_empty() {
                feeds.remove(account);
                continue;
            }
            let feed = feeds.entry(account.clone()).or_default();
            let has_grown = match feed.look(path) {
                Ok(has_grown) => has_grown,
                Err(error) => {
                    tracing::debug!(account = %account, error = %error, "the change feed could not be read");
                    *feed = Feed::default();
                    continue;
                }
            };
            let Some(seq) = feed.seq else { continue };
            let notice = Notice { account: account.clone(), what: What::Change { seq } };
            for queue in wanted {
                if queue.is_new.swap(false, Ordering::Relaxed) || has_grown {
                    queue.push(&notice);
                }
            }
        }
    }
}

/// What was last seen of one account's feed.
#[derive(Default)]
struct Feed {
    reader: Option<Reader>,
    looks: u32,
    version: Option<i64>,
    seq: Option<i64>,
}

impl Feed {
    /// Whether it has grown since the last look.
    fn look(&mut self, path: &Path) -> Result<bool, MirrorError> {
        if self.reader.is_none() || self.looks >= LOOKS_MAX {
            self.reader = match Reader::open(path) {
                Ok(reader) => Some(reader),
                Err(MirrorError::Absent { .. }) => None,
                Err(error) => return Err(error),
            };
            (self.looks, self.version) = (0, None);
        }
        let Some(reader) = &self.reader else { return Ok(false) };
        self.looks += 1;
        let version = Some(reader.data_version()?);
        if version == self.version {
            return Ok(false);
        }
        self.version = version;
        let seq = Some(reader.newest_change()?);
        let has_grown = seq != self.seq;
        self.seq = seq;
        Ok(has_grown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

    fn hub() -> Hub {
        Hub::new(std::iter::empty())
    }

    fn change(account: &str, seq: i64) -> Heard {
        Heard::Notice(Notice { account: account.into(), what: What::Change { seq } })
    }

    #[test]
    fn a_listener_hears_of_its_account_from_when_it_came() {
        let hub = hub();
        hub.tell("anna", What::Change { seq: 1 });
        let (all, bert) = (hub.subscribe(None), hub.subscribe(Some("bert")));
        hub.tell("anna", What::Change { seq: 2 });
        hub.tell("bert", What::Change { seq: 9 });
        hub.close();
        assert_eq!(
            [all.next(None), all.next(None), all.next(None)],
            [change("anna", 2), change("bert", 9), Heard::Closed]
        );
        assert_eq!([bert.next(None), bert.next(None)], [change("bert", 9), Heard::Closed]);
        assert_eq!(hub.subscribe(None).next(None), Heard::Closed);
    }

    #[test]
    fn changes_that_wait_become_one_and_nothing_of_them_is_lost() {
        let hub = hub();
        let listener = hub.subscribe(None);
        for seq in 1..=10_000 {
            hub.tell("anna", What::Change { seq });
        }
        assert_eq!(listener.next(AT_ONCE), change("anna", 10_000));
        assert_eq!(listener.next(AT_ONCE), Heard::Late);
    }

    #[test]
    fn a_listener_that_sleeps_learns_that_notices_were_dropped() {
        let hub = hub();
        let listener = hub.subscribe(None);
        for _ in 0..=NOTICES_MAX {
            hub.tell("anna", What::Presence(PresenceTick::default()));
        }
        assert_eq!(listener.next(AT_ONCE), Heard::Lost);
        for _ in 0..NOTICES_MAX {
            assert!(matches!(listener.next(AT_ONCE), Heard::Notice(_)));
        }
        assert_eq!(listener.next(AT_ONCE), Heard::Late);
    }

    #[test]
    fn waiting_ends_when_a_notice_comes_or_the_hub_closes() {
        let hub = hub();
        let (thread, task) = (hub.subscribe(None), hub.subscribe(None));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| (thread.next(None), thread.next(None)));
            let awaits = scope.spawn(|| runtime.block_on(async { (task.heard().await, task.heard().await) }));
            hub.tell("anna", What::Change { seq: 3 });
            hub.close();
            assert_eq!(waits.join().unwrap(), (change("anna", 3), Heard::Closed));
            assert_eq!(awaits.join().unwrap(), (change("anna", 3), Heard::Closed));
        });
    }
}
