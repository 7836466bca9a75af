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

    #[test]
    fn a_roll_is_below_one() {
        assert!((0..1_000).all(|_| (0.0..1.0).contains(&SystemEntropy.roll())));
    }
}
