use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::ports::{Clock, Entropy, Pending};

/// A clock that moves only when somebody waits on it, or is told to.
#[derive(Debug)]
pub struct VirtualClock {
    now_ms: AtomicI64,
}

impl VirtualClock {
    /// A clock that shows `now_ms`.
    pub fn at(now_ms: i64) -> VirtualClock {
        VirtualClock { now_ms: AtomicI64::new(now_ms) }
    }

    /// Puts it forward, or back.
    pub fn turn(&self, by_ms: i64) {
        self.now_ms.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        Box::pin(async move {
            self.turn(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
            tokio::task::yield_now().await;
        })
    }

    /// Only a test turns this clock, and it wakes whom it wants to wake.
    fn until(&self, at_ms: i64) -> Pending<'_, bool> {
        Box::pin(async move {
            let wait_ms = at_ms.saturating_sub(self.now_ms()).max(0);
            self.sleep(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))).await;
            false
        })
    }
}

/// Randomness from a seed.
#[derive(Debug)]
pub struct SeededEntropy {
    rng: Mutex<fastrand::Rng>,
}

impl SeededEntropy {
    /// Randomness that follows from `seed`.
    pub fn from_seed(seed: u64) -> SeededEntropy {
        SeededEntropy { rng: Mutex::new(fastrand::Rng::with_seed(seed)) }
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Entropy for SeededEntropy {
    fn roll(&self) -> f64 {
        self.draw(fastrand::Rng::f64)
    }

    fn bytes(&self) -> [u8; 16] {
        self.draw(|rng| rng.u128(..).to_be_bytes())
    }
}
