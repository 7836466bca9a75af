use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::ports::{Clock, Pending};
use crate::system::SystemClock;

/// Names the file of a clock on a stage. Only builds with debug assertions look at it: a night with a clock change is
/// then lived through by the real program in seconds.
pub const CLOCK_VARIABLE: &str = "CALMIRROR_CLOCK";

/// A clock that a file sets: three numbers, the machine's time from which it counts, what it shows then (both UTC
/// epoch milliseconds), and how many times faster it runs. Read again whenever somebody asks for the time; a file
/// that cannot be read is the machine's own clock.
#[derive(Debug)]
struct StagedClock {
    file: PathBuf,
}

impl StagedClock {
    fn staging(&self) -> Option<(i64, i64, i64)> {
        let text = std::fs::read_to_string(&self.file).ok()?;
        let mut numbers = text.split_whitespace().map(str::parse::<i64>);
        let mut number = || numbers.next()?.ok();
        Some((number()?, number()?, number()?.max(1)))
    }
}

impl Clock for StagedClock {
    fn now_ms(&self) -> i64 {
        let real_ms = SystemClock.now_ms();
        match self.staging() {
            Some((from_ms, shown_ms, speed)) => {
                shown_ms.saturating_add(real_ms.saturating_sub(from_ms).saturating_mul(speed))
            }
            None => real_ms,
        }
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        let speed = self.staging().map_or(1, |(_, _, speed)| u32::try_from(speed).unwrap_or(u32::MAX));
        Box::pin(tokio::time::sleep(duration / speed))
    }
}

/// The clock of this process: the machine's, or in a test's build the one that [`CLOCK_VARIABLE`] names.
#[expect(clippy::disallowed_methods, reason = "this is the one place that chooses the clock")]
pub fn system_clock() -> Arc<dyn Clock> {
    let file = if cfg!(debug_assertions) { std::env::var_os(CLOCK_VARIABLE) } else { None };
    match file {
        Some(file) => Arc::new(StagedClock { file: file.into() }),
        None => Arc::new(SystemClock),
    }
}
