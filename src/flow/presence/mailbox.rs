//! Asks the mailbox for its automatic replies and working hours.

use crate::mirror::{MailboxAsked, Mirror, MirrorError};
use crate::ports::Clock;
use crate::source::graph::Graph;

/// The pause between two questions; one that was refused is asked again a day later.
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Asks when it is due, and stores the answer. Whatever goes wrong on the way is weather of this question alone: the
/// next sync asks again. Answers whether the mailbox said something.
///
/// # Errors
/// A mirror that cannot be read or written.
pub async fn look_at_mailbox(
    mirror: &mut Mirror,
    graph: &Graph,
    clock: &dyn Clock,
) -> Result<bool, MirrorError> {
    if !is_due(mirror.mailbox_asked()?, clock.now_ms()) {
        return Ok(false);
    }
    match graph.mailbox_settings().await {
        Ok(settings) => {
            mirror.put_mailbox_settings(settings.as_ref(), clock.now_ms())?;
            Ok(settings.is_some())
        }
        Err(fault) => {
            tracing::debug!(kind = fault.kind(), "the mailbox was not asked for its settings");
            Ok(false)
        }
    }
}

/// A clock that was put back must not put the question off.
fn is_due(asked: Option<MailboxAsked>, now_ms: i64) -> bool {
    let Some(MailboxAsked { at_ms, is_allowed }) = asked else { return true };
    let pause_ms = if is_allowed { HOUR_MS } else { DAY_MS };
    now_ms < at_ms || now_ms.saturating_sub(at_ms) >= pause_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mailbox_is_asked_hourly_and_daily_once_it_has_refused() {
        let asked = |is_allowed| Some(MailboxAsked { at_ms: 2 * DAY_MS, is_allowed });
        for (name, asked, after_ms, expected) in [
            ("never asked", None, 0, true),
            ("just now", asked(true), 0, false),
            ("before the hour", asked(true), HOUR_MS - 1, false),
            ("after the hour", asked(true), HOUR_MS, true),
            ("refused an hour ago", asked(false), HOUR_MS, false),
            ("refused a day ago", asked(false), DAY_MS, true),
            ("asked in the future", asked(false), -1, true),
        ] {
            assert_eq!(is_due(asked, 2 * DAY_MS + after_ms), expected, "{name}");
        }
    }
}
