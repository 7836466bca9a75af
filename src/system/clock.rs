use std::time::Duration;

use crate::ports::{Clock, Entropy, Pending};

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now_ms(&self) -> i64 {
        chrono::Utc::now().timestamp_millis()
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    /// Linux wakes by the wall clock and says when that was set or the machine woke up: nobody has to look.
    #[cfg(target_os = "linux")]
    fn until(&self, at_ms: i64) -> Pending<'_, bool> {
        Box::pin(async move {
            match wall::until(at_ms).await {
                Ok(has_jumped) => has_jumped,
                Err(_not_here) => crate::ports::look_until(self, at_ms).await,
            }
        })
    }
}

/// A timer of the wall clock.
#[cfg(target_os = "linux")]
mod wall {
    use std::io;

    use rustix::io::Errno;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::net::unix::pipe;

    /// Waits until the wall clock shows `at_ms`, or was set. Answers whether it was.
    pub(super) async fn until(at_ms: i64) -> io::Result<bool> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        // Nought would disarm it.
        let at_ms = at_ms.max(1);
        let at = Timespec {
            tv_sec: at_ms.div_euclid(1_000),
            tv_nsec: at_ms.rem_euclid(1_000).saturating_mul(1_000_000),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &once)?;
        // Read like a pipe, which is all that tokio has for descriptors of other kinds without unsafe code.
        let timer = pipe::Receiver::from_owned_fd_unchecked(timer)?;
        loop {
            timer.readable().await?;
            match timer.try_read(&mut [0_u8; 8]) {
                Ok(_) => return Ok(false),
                Err(error) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => {
                    return Ok(true);
                }
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The machine's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that draws randomness")]
    fn roll(&self) -> f64 {
        fastrand::f64()
    }

    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(secret_bytes()).for_each(|(to, from)| *to = from);
        bytes
    }
}

/// 32 unguessable bytes as 64 hexadecimal digits.
pub fn secret_hex() -> String {
    blake3::Hash::from_bytes(secret_bytes()).to_hex().to_string()
}

/// Three version 4 UUIDs hashed: each brings 122 bits from the operating system, so that all 32 bytes are
/// unguessable. fastrand is not: it is for jitter.
#[expect(clippy::disallowed_methods, reason = "this is the one place that draws randomness")]
fn secret_bytes() -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for _ in 0..3 {
        hasher.update(uuid::Uuid::new_v4().as_bytes());
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_secrets_differ_and_have_64_digits() {
        let (one, two) = (secret_hex(), secret_hex());
        assert_eq!(one.len(), 64);
        assert_ne!(one, two);
        assert_ne!(SystemEntropy.bytes(), SystemEntropy.bytes());
    }

    #[tokio::test]
    async fn a_wait_for_a_time_ends_at_it_and_one_for_a_time_that_is_over_at_once() {
        let (clock, from_ms) = (SystemClock, SystemClock.now_ms());
        for at_ms in [from_ms + 20, from_ms, 0, i64::MIN] {
            let has_jumped = clock.until(at_ms).await;
            assert!(!has_jumped && clock.now_ms() >= at_ms, "{at_ms}");
        }
    }

    #[test]
    fn a_roll_is_below_one() {
        assert!((0..1_000).all(|_| (0.0..1.0).contains(&SystemEntropy.roll())));
    }
}
