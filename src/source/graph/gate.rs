use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::model::Fault;
use crate::ports::Clock;
use crate::source::graph::refusal::RETRY_AFTER_MAX;

/// Requests in flight for one mailbox. Exchange refuses the fifth; one is left for other programs.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 3;
/// The longest pause a request waits out; a longer one is told to the caller instead.
pub const PAUSE_WAITED_MAX: Duration = Duration::from_secs(30);

const PAUSE_MAX_MS: i64 = RETRY_AFTER_MAX.as_secs() as i64 * 1000;

/// Every request of a mailbox passes here: so many at a time, and none while the server asked for a pause.
pub(super) struct Gate {
    places: Semaphore,
    paused_until_ms: AtomicI64,
}

/// Leave to send one request.
pub(super) struct Pass<'g> {
    _place: Option<SemaphorePermit<'g>>,
}

impl Gate {
    pub fn new() -> Gate {
        Gate { places: Semaphore::new(REQUESTS_IN_FLIGHT_MAX), paused_until_ms: AtomicI64::new(i64::MIN) }
    }

    /// Waits for a place and for the end of a short pause.
    ///
    /// # Errors
    /// `Refused` with status 429 and the time left when the pause is a long one; nothing is to be sent.
    pub async fn enter(&self, clock: &dyn Clock) -> Result<Pass<'_>, Fault> {
        self.wait_out(clock).await?;
        // Never closed, so there is always a place in the end.
        let place = self.places.acquire().await.ok();
        // Another request may have brought a pause meanwhile.
        self.wait_out(clock).await?;
        Ok(Pass { _place: place })
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

    /// Time left of the pause at `now_ms`. A clock set back must not make a pause longer than a server may ask
    /// for: what is left beyond that is cut off.
    fn left(&self, now_ms: i64) -> Option<Duration> {
        let until_ms = self.paused_until_ms.load(Ordering::Relaxed);
        let latest_ms = now_ms.saturating_add(PAUSE_MAX_MS);
        if until_ms > latest_ms {
            self.paused_until_ms.store(latest_ms, Ordering::Relaxed);
        }
        let left_ms = u64::try_from(until_ms.min(latest_ms).saturating_sub(now_ms)).ok()?;
        (left_ms > 0).then(|| Duration::from_millis(left_ms))
    }

    /// The end of the pause, if there is one at `now_ms`.
    pub fn paused_until_ms(&self, now_ms: i64) -> Option<i64> {
        self.left(now_ms).map(|_| self.paused_until_ms.load(Ordering::Relaxed))
    }

    /// Starts or lengthens the pause.
    pub fn pause_until(&self, until_ms: i64, now_ms: i64) {
        let until_ms = until_ms.min(now_ms.saturating_add(PAUSE_MAX_MS));
        self.paused_until_ms.fetch_max(until_ms, Ordering::Relaxed);
    }
}
