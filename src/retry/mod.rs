//! One judgement for every failure of a request. Pure: a fault, the step it happened in, how often, and a roll of the
//! dice, in; what to do, out.
//!
//! Sources: Graph's error tables (throttling, delta reset), and what clients met in the field: a lost token comes as
//! 410 or as one of several 400s; 401, 403, 429, 5xx and the network never mean a lost token.

use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff;

use crate::model::{Broken, Fault, Unreadable};

mod write;

pub use write::{WRITE_ATTEMPTS_MAX, WriteVerdict, judge_write, write_wait};

/// Where in the conversation a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Listing the calendars.
    Listing,
    /// The first page of a full round.
    FirstPage,
    /// A later page.
    NextPage,
    /// The delta link of a round of changes.
    DeltaLink,
    /// Looking rows up by id.
    Lookup,
    /// Asking for a token.
    Token,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The same again after this time.
    Again {
        /// How long to wait.
        after: Duration,
    },
    /// The cursor is lost: compare the whole window.
    Resync,
    /// The same with smaller pages.
    Shrink,
    /// Delta is not to be had here: list plainly.
    Snapshot,
    /// The user has to sign in.
    SignIn,
    /// Not in this pull.
    Stop,
}

/// Tries of one request in one pull, the first included.
pub const ATTEMPTS_MAX: u32 = 4;
/// The first wait.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait of our own choosing, jitter included.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// How far a wait may be moved each way.
const JITTER: f64 = 0.3;
/// The wait for a server that throttles without saying for how long.
const THROTTLED_WAIT: Duration = Duration::from_secs(10);

/// The wait before try number `attempt + 1`; `roll` in `[0, 1)` moves it.
///
/// The crate `backoff` only calculates here: its own randomness is off, and its jitter, which may go past the longest
/// interval, is replaced by ours, which may not.
pub fn wait(attempt: u32, roll: f64) -> Duration {
    let mut calculator = ExponentialBackoffBuilder::new()
        .with_initial_interval(FIRST_WAIT)
        .with_multiplier(2.0)
        .with_max_interval(WAIT_MAX)
        .with_randomization_factor(0.0)
        .with_max_elapsed_time(None)
        .build();
    let mut wait = FIRST_WAIT;
    for _ in 0..attempt.clamp(1, 16) {
        wait = calculator.next_backoff().unwrap_or(WAIT_MAX);
    }
    wait.mul_f64(1.0 - JITTER + 2.0 * JITTER * roll.clamp(0.0, 1.0)).min(WAIT_MAX)
}

/// Judges a failure; `attempt` counts failures of the same request, from 1.
pub fn judge(fault: &Fault, step: Step, attempt: u32, roll: f64) -> Verdict {
    match fault {
        Fault::SignInNeeded => Verdict::SignIn,
        Fault::EndlessPages => Verdict::Stop,
        // A refused link is the server's mistake in a cursor: start over. In a listing there is nothing to start over.
        Fault::LinkRefused(_) => match step {
            Step::NextPage | Step::DeltaLink => Verdict::Resync,
            Step::Listing | Step::FirstPage | Step::Lookup | Step::Token => Verdict::Stop,
        },
        Fault::Unreachable(broken) => match broken {
            // Nobody is there: waiting seconds does not help, the next poll does.
            Broken::Connect | Broken::Tls => Verdict::Stop,
            Broken::Timeout if is_page(step) && attempt == 2 => Verdict::Shrink,
            Broken::Timeout if attempt > 2 => Verdict::Stop,
            Broken::Timeout | Broken::Reset | Broken::Protocol => again(attempt, roll),
        },
        Fault::Unreadable(unreadable) => match unreadable {
            Unreadable::TooLarge if is_page(step) => Verdict::Shrink,
            Unreadable::TooLarge | Unreadable::WebPage | Unreadable::Redirect => Verdict::Stop,
            Unreadable::Shape | Unreadable::Encoding | Unreadable::Empty | Unreadable::Links => {
                if attempt < 3 { again(attempt, roll) } else { Verdict::Stop }
            }
        },
        Fault::Refused { status, code, retry_after, .. } => {
            judge_status(*status, code.as_deref(), *retry_after, step, attempt, roll)
        }
    }
}

fn judge_status(
    status: u16,
    code: Option<&str>,
    retry_after: Option<Duration>,
    step: Step,
    attempt: u32,
    roll: f64,
) -> Verdict {
    match status {
        401 => Verdict::SignIn,
        410 if is_page(step) => Verdict::Resync,
        400 | 404 if is_lost_token(code) && matches!(step, Step::NextPage | Step::DeltaLink) => {
            Verdict::Resync
        }
        // Whatever else a cursor is refused with: it will be refused again.
        400 if matches!(step, Step::NextPage | Step::DeltaLink) => Verdict::Resync,
        // A shared calendar may answer page one and deny every later link; elsewhere delta may be unknown altogether.
        403 if matches!(step, Step::NextPage | Step::DeltaLink) => Verdict::Snapshot,
        400 | 404 | 405 | 501 if step == Step::FirstPage && !is_gone(code) => Verdict::Snapshot,
        408 | 429 | 500..=599 if retry_after.is_some() => match retry_after {
            Some(after) if attempt < ATTEMPTS_MAX => Verdict::Again { after: after.max(FIRST_WAIT) },
            Some(_) | None => Verdict::Stop,
        },
        429 if attempt < ATTEMPTS_MAX => Verdict::Again { after: THROTTLED_WAIT.max(wait(attempt, roll)) },
        429 => Verdict::Stop,
        // Large pages have been answered with 503 and 504 for ever, and small ones not.
        500..=599 if is_page(step) && attempt == 2 => Verdict::Shrink,
        408 | 500..=599 => again(attempt, roll),
        _ => Verdict::Stop,
    }
}

fn again(attempt: u32, roll: f64) -> Verdict {
    if attempt < ATTEMPTS_MAX { Verdict::Again { after: wait(attempt, roll) } } else { Verdict::Stop }
}

fn is_page(step: Step) -> bool {
    match step {
        Step::FirstPage | Step::NextPage | Step::DeltaLink => true,
        Step::Listing | Step::Lookup | Step::Token => false,
    }
}

/// The codes a lost delta token has been refused with beside 410; compared without case.
fn is_lost_token(code: Option<&str>) -> bool {
    const LOST: [&str; 8] = [
        "SyncStateNotFound",
        "SyncStateInvalid",
        "ResyncRequired",
        "resyncApplyDifferences",
        "resyncUploadDifferences",
        "InvalidDeltaToken",
        "ErrorInvalidIdMalformed",
        "ErrorInvalidSyncStateData",
    ];
    code.is_some_and(|code| LOST.iter().any(|lost| lost.eq_ignore_ascii_case(code)))
}

/// The codes that say that the calendar or the mailbox is not there, which no other way of asking would change.
fn is_gone(code: Option<&str>) -> bool {
    const GONE: [&str; 3] = ["MailboxNotEnabledForRESTAPI", "ErrorInvalidUser", "ErrorSyncFolderNotFound"];
    code.is_some_and(|code| GONE.iter().any(|gone| gone.eq_ignore_ascii_case(code)))
}

/// The codes that concern the whole mailbox, whatever was asked of it.
fn is_mailbox_gone(code: Option<&str>) -> bool {
    const GONE: [&str; 2] = ["MailboxNotEnabledForRESTAPI", "ErrorInvalidUser"];
    code.is_some_and(|code| GONE.iter().any(|gone| gone.eq_ignore_ascii_case(code)))
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
