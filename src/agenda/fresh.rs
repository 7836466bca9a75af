/// An answer younger than this counts as fresh.
pub const FRESH_MS: i64 = 15 * 60_000;

/// What a calendar's last pulls left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulled {
    /// The last complete one.
    pub at_ms: Option<i64>,
    /// The last attempt failed.
    pub is_failing: bool,
}

/// How old an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// The oldest last complete pull; none while a calendar was never pulled.
    pub as_of_ms: Option<i64>,
    /// Younger than [`FRESH_MS`], and no last attempt failed.
    pub is_fresh: bool,
}

/// The freshness of an answer from these calendars.
pub fn freshness(calendars: &[Pulled], now_ms: i64) -> Freshness {
    let as_of_ms = calendars
        .iter()
        .map(|pulled| pulled.at_ms)
        .reduce(|oldest, at| match (oldest, at) {
            (Some(oldest), Some(at)) => Some(oldest.min(at)),
            (None, _) | (_, None) => None,
        })
        .flatten();
    // A pull from the future means that the clock was set back: its age is not known.
    let is_young = as_of_ms.is_some_and(|at| now_ms.saturating_sub(at).saturating_abs() < FRESH_MS);
    Freshness { as_of_ms, is_fresh: is_young && !calendars.iter().any(|pulled| pulled.is_failing) }
}
