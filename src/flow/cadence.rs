//! When to poll next. Pure: what the host said and how the last pull ended, in; a delay, out.

use std::time::Duration;

/// While somebody looks.
const ACTIVE: Duration = Duration::from_secs(90);
/// While nobody looks, or on battery.
const HIDDEN: Duration = Duration::from_secs(12 * 60);
/// On a metered connection, or when the host says that there is none, and the longest wait after failures.
const SLOWEST: Duration = Duration::from_secs(30 * 60);
/// After an own write: the server rotates change keys some seconds later.
const AFTER_WRITE: Duration = Duration::from_secs(8);
/// After an edit was queued: the next keystrokes of the same wish fold into it.
pub const AFTER_EDIT: Duration = Duration::from_secs(1);
/// How far a delay may be moved each way, so that many machines do not poll together.
const JITTER: f64 = 0.2;

/// What the host said about the machine and its user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hints {
    /// Nobody looks at the calendar.
    pub is_hidden: bool,
    /// The machine runs on battery.
    pub is_on_battery: bool,
    /// The connection is metered.
    pub is_metered: bool,
    /// There is no network.
    pub is_cut_off: bool,
}

/// What happened last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// A pull completed.
    Complete,
    /// So many pulls in a row did not.
    Failed(u32),
    /// An edit of ours reached the server.
    Wrote,
}

/// The time until the next poll; `roll` in `[0, 1)` moves it by a fifth each way.
pub fn next_poll(hints: Hints, last: Last, roll: f64) -> Duration {
    let calm = match hints {
        Hints { is_metered: true, .. } | Hints { is_cut_off: true, .. } => SLOWEST,
        Hints { is_hidden: true, .. } | Hints { is_on_battery: true, .. } => HIDDEN,
        Hints { is_hidden: false, is_on_battery: false, is_metered: false, is_cut_off: false } => ACTIVE,
    };
    let delay = match last {
        Last::Complete => calm,
        Last::Wrote => AFTER_WRITE,
        Last::Failed(times) => calm.saturating_mul(1 << times.min(5)).min(SLOWEST),
    };
    delay.mul_f64(1.0 - JITTER + 2.0 * JITTER * roll.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_situation_has_its_delay() {
        let calm = Hints::default();
        let hidden = Hints { is_hidden: true, ..calm };
        let metered = Hints { is_metered: true, ..hidden };
        let battery = Hints { is_on_battery: true, ..calm };
        let cases = [
            ("somebody looks", calm, Last::Complete, 90),
            ("nobody looks", hidden, Last::Complete, 720),
            ("on battery", battery, Last::Complete, 720),
            ("metered", metered, Last::Complete, 1800),
            ("cut off", Hints { is_cut_off: true, ..calm }, Last::Complete, 1800),
            ("after an own write", calm, Last::Wrote, 8),
            ("one failure", calm, Last::Failed(1), 180),
            ("many failures", calm, Last::Failed(40), 1800),
            ("hidden and failing", hidden, Last::Failed(2), 1800),
        ];
        for (name, hints, last, seconds) in cases {
            assert_eq!(next_poll(hints, last, 0.5), Duration::from_secs(seconds), "{name}");
        }
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        for roll in [0.0, 0.25, 0.999] {
            let delay = next_poll(Hints::default(), Last::Complete, roll);
            assert!(delay >= Duration::from_secs(72) && delay <= Duration::from_secs(108), "{delay:?}");
        }
    }
}
