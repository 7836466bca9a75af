//! What happened, for listeners that come and go and may be slow: each has a queue with a limit, and nobody waits for it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde_json::json;

/// Notices that wait for one listener; the oldest go first, and their number is told.
pub const NOTICES_MAX: usize = 1_024;

/// What a listener finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A JSON object.
    Notice(Arc<str>),
    /// Nothing came in time.
    Late,
    /// Nothing will come any more.
    Closed,
}

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Arc<str>>,
    missed: u64,
    is_closed: bool,
}

/// A queue of notices. Several threads may take from one; each notice goes to one of them.
#[derive(Default)]
pub struct Notices {
    waiting: Mutex<Waiting>,
    came: Condvar,
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notices").finish_non_exhaustive()
    }
}

impl Notices {
    /// The next notice, waited for at most so long; `None`: for ever. One that tells how many were missed comes before
    /// those that were not.
    pub fn next(&self, timeout: Option<Duration>) -> Next {
        // A wait so long that no clock holds its end is one for ever.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if waiting.missed > 0 {
                let missed = std::mem::take(&mut waiting.missed);
                return Next::Notice(json!({ "notice": "missed", "count": missed }).to_string().into());
            }
            if let Some(notice) = waiting.queue.pop_front() {
                return Next::Notice(notice);
            }
            if waiting.is_closed {
                return Next::Closed;
            }
            waiting = match until {
                None => self.came.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(until) => match until.checked_duration_since(Instant::now()) {
                    None | Some(Duration::ZERO) => return Next::Late,
                    Some(left) => {
                        self.came.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0
                    }
                },
            };
        }
    }

    /// Ends it now: what waits is dropped.
    pub(crate) fn stop(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        (waiting.queue, waiting.missed) = (VecDeque::new(), 0);
        drop(waiting);
        self.close();
    }

    /// Ends it: what waits is still taken.
    fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.came.notify_all();
    }

    fn push(&self, notice: &Arc<str>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.queue.len() >= NOTICES_MAX {
            waiting.queue.pop_front();
            waiting.missed = waiting.missed.saturating_add(1);
        }
        waiting.queue.push_back(notice.clone());
        drop(waiting);
        self.came.notify_one();
    }
}

/// Hands every notice to everybody who listens.
#[derive(Default)]
pub(super) struct Board {
    listeners: Mutex<Vec<Weak<Notices>>>,
}

impl Board {
    /// A listener from now on, until it is dropped.
    pub(super) fn listen(&self) -> Arc<Notices> {
        let notices = Arc::new(Notices::default());
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&notices));
        notices
    }

    /// Tells all.
    pub(super) fn tell(&self, notice: &serde_json::Value) {
        let notice: Arc<str> = notice.to_string().into();
        for listener in self.all() {
            listener.push(&notice);
        }
    }

    /// Tells all that nothing more comes.
    pub(super) fn close(&self) {
        for listener in self.all() {
            listener.close();
        }
    }

    fn all(&self) -> Vec<Arc<Notices>> {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.iter().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

    #[test]
    fn every_listener_gets_every_notice_from_when_it_came() {
        let board = Board::default();
        board.tell(&json!(0));
        let (first, gone) = (board.listen(), board.listen());
        board.tell(&json!(1));
        drop(gone);
        let second = board.listen();
        board.tell(&json!(2));
        board.close();
        let all = |notices: &Notices| -> Vec<Next> { (0..3).map(|_| notices.next(None)).collect() };
        let notice = |text: &str| Next::Notice(text.into());
        assert_eq!(all(&first), [notice("1"), notice("2"), Next::Closed]);
        assert_eq!(all(&second), [notice("2"), Next::Closed, Next::Closed]);
    }

    #[test]
    fn a_listener_that_sleeps_loses_the_oldest_and_learns_how_many() {
        let board = Board::default();
        let notices = board.listen();
        assert_eq!(notices.next(AT_ONCE), Next::Late);
        for n in 0..NOTICES_MAX + 2 {
            board.tell(&json!(n));
        }
        assert_eq!(notices.next(AT_ONCE), Next::Notice(r#"{"count":2,"notice":"missed"}"#.into()));
        assert_eq!(notices.next(AT_ONCE), Next::Notice("2".into()));
    }

    #[test]
    fn closing_wakes_whoever_waits() {
        let board = Board::default();
        let notices = board.listen();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| notices.next(None));
            board.close();
            assert_eq!(waiting.join().unwrap(), Next::Closed);
        });
    }
}
