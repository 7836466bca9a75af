/// Milliseconds of a day of 24 hours.
pub const DAY_MS: i64 = 86_400_000;

/// A half-open range of time, `[from, to)`, in UTC epoch milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first instant inside.
    pub from_ms: i64,
    /// The first instant after.
    pub to_ms: i64,
}

impl Window {
    /// The window around `now_ms`, aligned outwards to whole UTC days.
    pub fn around(now_ms: i64, past_ms: i64, future_ms: i64) -> Window {
        let from_ms = now_ms.saturating_sub(past_ms.max(0)).div_euclid(DAY_MS).saturating_mul(DAY_MS);
        let to_ms = now_ms
            .saturating_add(future_ms.max(0))
            .div_euclid(DAY_MS)
            .saturating_add(1)
            .saturating_mul(DAY_MS);
        Window { from_ms, to_ms }
    }

    /// Whether `[start_ms, end_ms)` shares an instant with this window; an empty span counts as its start.
    pub fn overlaps(&self, start_ms: i64, end_ms: i64) -> bool {
        start_ms < self.to_ms && (end_ms > self.from_ms || (start_ms == end_ms && start_ms >= self.from_ms))
    }
}
