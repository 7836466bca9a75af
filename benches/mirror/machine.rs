//! What the operating system says about this process, and what repetition says about the machine.

use std::fs;

/// The most memory this process ever had, in KiB. `None` where the system does not tell.
pub fn peak_kib() -> Option<u64> {
    status_kib("VmHWM:")
}

/// The memory this process has now, in KiB.
pub fn resident_kib() -> Option<u64> {
    status_kib("VmRSS:")
}

fn status_kib(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Nanoseconds the living threads of this process have run. `None` where the system does not tell.
pub fn cpu_ns() -> Option<u64> {
    let mut total = 0;
    for task in fs::read_dir("/proc/self/task").ok()? {
        let path = task.ok()?.path().join("schedstat");
        // A thread that ended in between has nothing left to say.
        let Ok(text) = fs::read_to_string(path) else { continue };
        total += text.split_ascii_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(total)
}

/// How often a thread of this process went to sleep of its own accord: it woke up as often.
pub fn switches() -> Option<u64> {
    let mut total = 0;
    for task in fs::read_dir("/proc/self/task").ok()? {
        let Ok(text) = fs::read_to_string(task.ok()?.path().join("status")) else { continue };
        let count = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        total += count.trim().parse::<u64>().ok()?;
    }
    Some(total)
}

/// Repetitions of one measure.
#[derive(Debug, Clone, Default)]
pub struct Runs(Vec<f64>);

impl Runs {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => self.0[middle],
            _ => f64::midpoint(self.0[middle - 1], self.0[middle]),
        }
    }

    /// The value below which this share of them lies.
    pub fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn min(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// How far the repetitions lie apart, against their middle.
    pub fn spread(&self) -> f64 {
        (self.max() - self.min()) / self.median()
    }

    /// The middle half, against the middle: what is left when single stalls are left out.
    pub fn core_spread(&self) -> f64 {
        let at = |part: usize| self.0.get(self.0.len() * part / 4).copied().unwrap_or(f64::NAN);
        (at(3) - at(1)) / self.median()
    }
}

impl Extend<f64> for Runs {
    fn extend<T: IntoIterator<Item = f64>>(&mut self, values: T) {
        for value in values {
            self.push(value);
        }
    }
}
