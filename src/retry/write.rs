use std::time::Duration;

use crate::model::{Broken, Fault, Unreadable};
use crate::retry::{THROTTLED_WAIT, is_mailbox_gone};

/// Tries of one edit that the server failed at, spread over a day, before the user is asked.
pub const WRITE_ATTEMPTS_MAX: u32 = 8;
/// The waits between them: together a little less than a day. The first is short: most failures pass at once.
const WAITS: [Duration; WRITE_ATTEMPTS_MAX as usize - 1] = [
    Duration::from_millis(500),
    Duration::from_secs(20),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(3_600),
    Duration::from_secs(5 * 3_600),
    Duration::from_secs(17 * 3_600),
];
/// How far a wait may be lengthened, so that many machines do not come back together.
const LONGER: f64 = 0.2;

/// What to do about a write that failed.
///
/// A write differs from a read in one thing: it may have happened although it failed. So nothing here says "again":
/// either the server is known not to have done it, or it is looked up first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteVerdict {
    /// It never got to the server, or not to the mailbox: the edit is as before, and others need not be tried.
    NotSent,
    /// Turned away because the mailbox is throttled: nothing is sent before this time is over.
    Wait {
        /// How long.
        after: Duration,
    },
    /// It may have happened or not: look it up before it is sent again.
    Look {
        /// What the server asked to wait before another try, if it did.
        after: Option<Duration>,
    },
    /// The event has another version than the one the edit was made on: read it and merge.
    Reread,
    /// The event is not there.
    Gone,
    /// It will be refused again: the user decides.
    Park,
    /// The user has to sign in.
    SignIn,
}

/// Judges the failure of a write.
pub fn judge_write(fault: &Fault) -> WriteVerdict {
    match fault {
        Fault::SignInNeeded => WriteVerdict::SignIn,
        Fault::Unreachable(broken) => match broken {
            Broken::Connect | Broken::Tls => WriteVerdict::NotSent,
            Broken::Timeout | Broken::Reset | Broken::Protocol => WriteVerdict::Look { after: None },
        },
        Fault::Unreadable(unreadable) => match unreadable {
            // Whoever sends elsewhere has not done it.
            Unreadable::Redirect => WriteVerdict::NotSent,
            // The status said yes; what it said yes to is to be read.
            Unreadable::WebPage
            | Unreadable::Shape
            | Unreadable::TooLarge
            | Unreadable::Encoding
            | Unreadable::Empty
            | Unreadable::Links => WriteVerdict::Look { after: None },
        },
        Fault::LinkRefused(_) | Fault::EndlessPages => WriteVerdict::Look { after: None },
        Fault::Refused { status, code, retry_after, .. } => {
            judge_write_status(*status, code.as_deref(), *retry_after)
        }
    }
}

fn judge_write_status(status: u16, code: Option<&str>, retry_after: Option<Duration>) -> WriteVerdict {
    let is = |known: &str| code.is_some_and(|code| code.eq_ignore_ascii_case(known));
    match status {
        401 => WriteVerdict::SignIn,
        404 | 410 if is_mailbox_gone(code) => WriteVerdict::NotSent,
        404 | 410 => WriteVerdict::Gone,
        412 => WriteVerdict::Reread,
        // Exchange has named a stale version with other statuses too.
        400 | 409 if is("ErrorIrresolvableConflict") || is("ErrorStaleObject") => WriteVerdict::Reread,
        // Two writers at once, or a create that was there already.
        409 => WriteVerdict::Look { after: None },
        429 => WriteVerdict::Wait { after: retry_after.unwrap_or(THROTTLED_WAIT) },
        500 if is("ErrorCorruptData") => WriteVerdict::Park,
        501 | 505 | 507 => WriteVerdict::Park,
        408 | 423 | 425 | 500..=599 => WriteVerdict::Look { after: retry_after },
        400..=499 => WriteVerdict::Park,
        _ => WriteVerdict::Look { after: None },
    }
}

/// The wait after try number `attempts` (from 1) failed; `None`: there were enough. `roll` in `[0, 1)` lengthens it.
pub fn write_wait(attempts: u32, roll: f64) -> Option<Duration> {
    let place = usize::try_from(attempts.max(1) - 1).ok()?;
    WAITS.get(place).map(|wait| wait.mul_f64(1.0 + LONGER * roll.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: Option<&str>, retry_after_s: Option<u64>) -> Fault {
        Fault::Refused {
            status,
            code: code.map(str::to_owned),
            retry_after: retry_after_s.map(Duration::from_secs),
            claims: None,
        }
    }

    #[test]
    fn every_failed_write_has_one_verdict() {
        use WriteVerdict::{Gone, Look, NotSent, Park, Reread, SignIn, Wait};
        let look = Look { after: None };
        let second = Duration::from_secs;
        let cases = [
            ("no connection", Fault::Unreachable(Broken::Connect), NotSent),
            ("no trust", Fault::Unreachable(Broken::Tls), NotSent),
            ("cut", Fault::Unreachable(Broken::Reset), look),
            ("timed out", Fault::Unreachable(Broken::Timeout), look),
            ("not HTTP", Fault::Unreachable(Broken::Protocol), look),
            ("a hotel's page", Fault::Unreadable(Unreadable::WebPage), look),
            ("sent elsewhere", Fault::Unreadable(Unreadable::Redirect), NotSent),
            ("done, and garbage", Fault::Unreadable(Unreadable::Shape), look),
            ("done, and nothing", Fault::Unreadable(Unreadable::Empty), look),
            ("done, and too much", Fault::Unreadable(Unreadable::TooLarge), look),
            ("done, and badly packed", Fault::Unreadable(Unreadable::Encoding), look),
            ("signed out", Fault::SignInNeeded, SignIn),
            ("endless", Fault::EndlessPages, look),
            ("400", refused(400, Some("ErrorInvalidRequest"), None), Park),
            ("400 across a neighbour", refused(400, Some("ErrorOccurrenceCrossingBoundary"), None), Park),
            ("400 stale", refused(400, Some("errorirresolvableconflict"), None), Reread),
            ("401", refused(401, None, None), SignIn),
            ("403", refused(403, Some("ErrorAccessDenied"), None), Park),
            ("404", refused(404, Some("ErrorItemNotFound"), None), Gone),
            ("404 no mailbox", refused(404, Some("MailboxNotEnabledForRESTAPI"), None), NotSent),
            ("405", refused(405, None, None), Park),
            ("408", refused(408, None, None), look),
            ("409", refused(409, None, None), look),
            ("409 stale", refused(409, Some("ErrorIrresolvableConflict"), None), Reread),
            ("410", refused(410, None, None), Gone),
            ("412", refused(412, Some("ErrorIrresolvableConflict"), None), Reread),
            ("412 without a code", refused(412, None, None), Reread),
            ("413", refused(413, None, None), Park),
            ("418", refused(418, None, None), Park),
            ("429", refused(429, None, None), Wait { after: THROTTLED_WAIT }),
            ("429 with a time", refused(429, None, Some(7)), Wait { after: second(7) }),
            ("500", refused(500, None, None), look),
            ("500 corrupt", refused(500, Some("ErrorCorruptData"), None), Park),
            ("501", refused(501, None, None), Park),
            ("503", refused(503, Some("ErrorInternalServerTransientError"), None), look),
            ("503 with a time", refused(503, None, Some(3)), Look { after: Some(second(3)) }),
            ("504", refused(504, None, None), look),
            ("507", refused(507, Some("ErrorQuotaExceeded"), None), Park),
        ];
        for (name, fault, expected) in cases {
            assert_eq!(judge_write(&fault), expected, "{name}");
        }
    }

    #[test]
    fn the_tries_of_an_edit_are_spread_over_a_day_and_then_end() {
        let waits: Vec<Duration> = (1..100).map_while(|attempts| write_wait(attempts, 0.0)).collect();
        assert_eq!(waits.len() + 1, WRITE_ATTEMPTS_MAX as usize);
        assert!(waits.windows(2).all(|pair| pair[0] < pair[1]));
        let day = waits.iter().sum::<Duration>().as_secs() / 3_600;
        assert!((20..=24).contains(&day), "{day}");
        assert_eq!(write_wait(0, 0.0), write_wait(1, 0.0));
        assert!(write_wait(2, 0.999).unwrap() <= Duration::from_secs(24));
    }
}
