use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::model::Fault;
use crate::ports::Clock;
use crate::source::graph::refusal::RETRY_AFTER_MAX;

/// Requests in flight for one mailbox. Exchange refuses the fifth; one is left for other programs.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 3;
/// Requests in flight for all mailboxes that share one application.
pub const APPLICATION_IN_FLIGHT_MAX: usize = 8;
/// Requests a second for all mailboxes that share one application. Microsoft counts 2,000 a second for an
/// application over all its tenants, and 10,000 in ten minutes for a mailbox.
pub const APPLICATION_REQUESTS_PER_SECOND_MAX: u32 = 100;
/// So many mailboxes under a pause at once mean that the application is throttled, not they: all others pause, too.
pub const THROTTLED_TOGETHER: usize = 4;
/// The longest pause a request waits out; a longer one is told to the caller instead.
pub const PAUSE_WAITED_MAX: Duration = Duration::from_secs(30);

const PAUSE_MAX_MS: i64 = RETRY_AFTER_MAX.as_secs() as i64 * 1000;
const SECOND_MS: i64 = 1_000;

/// Every request of a mailbox passes here: so many at a time, and none while the server asked for a pause.
pub(in crate::source) struct Gate {
    places: Semaphore,
    pause: Pause,
    /// The mailboxes of one application pass a second gate together.
    limits: Option<Member>,
}

/// Leave to send one request.
pub(in crate::source) struct Pass<'g> {
    _place: Option<SemaphorePermit<'g>>,
    _shared: Option<SemaphorePermit<'g>>,
}

impl Gate {
    pub fn new(limits: Option<Member>) -> Gate {
        Gate { places: Semaphore::new(REQUESTS_IN_FLIGHT_MAX), pause: Pause::default(), limits }
    }

    /// Waits for a place and for the end of a short pause.
    ///
    /// # Errors
    /// `Refused` with status 429 and the time left when the pause is a long one; nothing is to be sent.
    pub async fn enter(&self, clock: &dyn Clock) -> Result<Pass<'_>, Fault> {
        self.wait_out(clock).await?;
        // Never closed, so there is always a place in the end.
        let place = self.places.acquire().await.ok();
        let shared = match &self.limits {
            Some(member) => member.limits.places.acquire().await.ok(),
            None => None,
        };
        // Another request may have brought a pause meanwhile.
        self.wait_out(clock).await?;
        if let Some(member) = &self.limits {
            while let Some(wait) = member.limits.wait(clock.now_ms()) {
                clock.sleep(wait).await;
            }
        }
        Ok(Pass { _place: place, _shared: shared })
    }

    async fn wait_out(&self, clock: &dyn Clock) -> Result<(), Fault> {
        while let Some(left) = self.left(clock.now_ms()) {
            if left > PAUSE_WAITED_MAX {
                return Err(Fault::Refused {
                    status: 429,
                    code: None,
                    retry_after: Some(left),
                    claims: None,
                });
            }
            clock.sleep(left).await;
        }
        Ok(())
    }

    /// Time left of this mailbox's pause or the application's at `now_ms`.
    fn left(&self, now_ms: i64) -> Option<Duration> {
        let shared = self.limits.as_ref().and_then(|member| member.limits.pause.left(now_ms));
        self.pause.left(now_ms).max(shared)
    }

    /// The end of the pause, if there is one at `now_ms`.
    pub fn paused_until_ms(&self, now_ms: i64) -> Option<i64> {
        let left_ms = i64::try_from(self.left(now_ms)?.as_millis()).unwrap_or(PAUSE_MAX_MS);
        Some(now_ms.saturating_add(left_ms))
    }

    /// Starts or lengthens the pause of this mailbox.
    pub fn pause_until(&self, until_ms: i64, now_ms: i64) {
        self.pause.until(until_ms, now_ms);
        if let Some(member) = &self.limits {
            member.note_pause(until_ms, now_ms);
        }
    }
}

/// Until when nothing is sent.
struct Pause(AtomicI64);

impl Default for Pause {
    fn default() -> Pause {
        Pause(AtomicI64::new(i64::MIN))
    }
}

impl Pause {
    /// Time left at `now_ms`. A clock set back must not make a pause longer than a server may ask for: what is left
    /// beyond that is cut off.
    fn left(&self, now_ms: i64) -> Option<Duration> {
        let until_ms = self.0.load(Ordering::Relaxed);
        let latest_ms = now_ms.saturating_add(PAUSE_MAX_MS);
        if until_ms > latest_ms {
            self.0.store(latest_ms, Ordering::Relaxed);
        }
        let left_ms = u64::try_from(until_ms.min(latest_ms).saturating_sub(now_ms)).ok()?;
        (left_ms > 0).then(|| Duration::from_millis(left_ms))
    }

    fn until(&self, until_ms: i64, now_ms: i64) {
        let until_ms = until_ms.min(now_ms.saturating_add(PAUSE_MAX_MS));
        self.0.fetch_max(until_ms, Ordering::Relaxed);
    }
}

/// What the mailboxes of one application share: requests in flight and a second, and the pause of an application
/// that is throttled as a whole. One mailbox's own pause stops no other.
pub struct Limits {
    places: Semaphore,
    second: Mutex<Second>,
    pause: Pause,
    /// The ends of the mailboxes' own pauses.
    paused: Mutex<BTreeMap<String, i64>>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            places: Semaphore::new(APPLICATION_IN_FLIGHT_MAX),
            second: Mutex::default(),
            pause: Pause::default(),
            paused: Mutex::default(),
        }
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("places", &self.places.available_permits()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Second {
    from_ms: i64,
    sent: u32,
}

/// One mailbox among those of its application.
pub(in crate::source) struct Member {
    /// Its path: a mailbox whose client was closed and opened again is still the same.
    pub mailbox: String,
    pub limits: Arc<Limits>,
}

impl Limits {
    /// Takes one request out of this second's, or says how long to wait for the next.
    fn wait(&self, now_ms: i64) -> Option<Duration> {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let age_ms = now_ms.saturating_sub(second.from_ms);
        if !(0..SECOND_MS).contains(&age_ms) {
            *second = Second { from_ms: now_ms, sent: 0 };
        } else if second.sent >= APPLICATION_REQUESTS_PER_SECOND_MAX {
            return u64::try_from(SECOND_MS - age_ms).ok().map(Duration::from_millis);
        }
        second.sent += 1;
        None
    }
}

impl Member {
    fn note_pause(&self, until_ms: i64, now_ms: i64) {
        let mut paused = self.limits.paused.lock().unwrap_or_else(PoisonError::into_inner);
        paused.retain(|_, until_ms| *until_ms > now_ms);
        if until_ms > now_ms {
            paused.insert(self.mailbox.clone(), until_ms);
        }
        if paused.len() >= THROTTLED_TOGETHER {
            self.limits.pause.until(until_ms, now_ms);
        }
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
