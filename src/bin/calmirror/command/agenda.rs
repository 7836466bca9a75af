use std::collections::BTreeMap;

use calmirror::api::{AgendaAnswer, AgendaCall, Mirrors, RangeCall, WindowAnswer};
use calmirror::config::Effective;
use calmirror::model::Key;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime, TimeDelta};
use clap::Args;

use crate::args::Globals;
use crate::command::event_table::{Frame, day_text, print_by_day};
use crate::command::range::Range;
use crate::output::{Output, Tone};
use crate::setup::{Failure, Setup};
use crate::text::{age, clean, plural};

/// List events: today in the account's zone, unless said otherwise
///
/// Answers from the mirror alone, with or without a network. Cancelled and declined events are listed and
/// marked so.
#[derive(Debug, Args)]
pub struct Agenda {
    #[command(flatten)]
    range: Range,
    /// This day: YYYY-MM-DD, today, tomorrow or yesterday
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    day: Option<String>,
    /// So many days, from --day, --from or today
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    days: Option<u32>,
    /// Only the next N events
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    next: Option<u32>,
}

impl Agenda {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        let is_next = self.next.is_some();
        let call = AgendaCall {
            range: RangeCall::from(self.range),
            day: self.day,
            days: self.days,
            next: self.next,
        };
        let answer = setup.mirrors.agenda(&account, &call)?;
        if output.is_json() {
            output.json(&answer)?;
        } else {
            let listed = if is_next { Listed::Once } else { Listed::EveryDay };
            print(output, &setup.mirrors, &account, &answer, listed)?;
        }
        Ok(0)
    }
}

/// The displayed names of an account's calendars.
pub fn calendar_names(mirrors: &Mirrors, account: &Effective) -> Result<BTreeMap<Key, String>, Failure> {
    let status = mirrors.status(Some(&account.name))?;
    let calendars = status.accounts.into_iter().flat_map(|account| account.calendars);
    Ok(calendars.map(|calendar| (calendar.id, calendar.name)).collect())
}

/// On which days an event of several days is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// On the first of the range.
    Once,
    /// On every day it touches.
    EveryDay,
}

/// Prints an agenda for people.
pub fn print(
    output: &mut Output,
    mirrors: &Mirrors,
    account: &Effective,
    answer: &AgendaAnswer,
    listed: Listed,
) -> Result<(), Failure> {
    let calendars = calendar_names(mirrors, account)?;
    let (first, last) = days_between(&answer.from, &answer.to);
    let last_listed = if listed == Listed::Once { NaiveDate::MIN } else { last };
    let frame = Frame { calendars: &calendars, first, last: last_listed, now_ms: mirrors.now_ms() };
    let unknown = unknown_text(Some(&answer.from), Some(&answer.to), answer.known.as_ref());
    let days = print_by_day(output, &answer.items, &frame)?;
    if days == 0 {
        let what = if first == last {
            day_text(first)
        } else {
            format!("{} – {}", day_text(first), day_text(last))
        };
        let heading = output.tone(what, Tone::Heading);
        output.line(heading)?;
        output.line(match (&answer.as_of, &unknown) {
            (None, _) => "  Nothing is known yet.",
            (Some(_), Some(_)) => "  Nothing is known.",
            (Some(_), None) => "  Nothing planned.",
        })?;
    }
    output.line("")?;
    if let Some(unknown) = unknown {
        let unknown = output.tone(unknown, Tone::Warning);
        output.line(unknown)?;
    }
    let count = plural(answer.items.len().try_into().unwrap_or(u64::MAX), "event");
    print_footer(
        output,
        &[count, clean(&answer.time_zone)],
        answer.as_of.as_deref(),
        answer.fresh,
        frame.now_ms,
    )
}

/// "Nothing is known before 25 October 2026", when a range reaches out of what is mirrored. Of a mirror that is not
/// complete the footer says so.
pub fn unknown_text(from: Option<&str>, to: Option<&str>, known: Option<&WindowAnswer>) -> Option<String> {
    let read = |text: &str| DateTime::parse_from_rfc3339(text).ok();
    let (first, last) = (read(&known?.from)?, read(&known?.to)?);
    let say = |word: &str, at: DateTime<FixedOffset>| {
        let is_midnight = at.naive_local().time() == NaiveTime::MIN;
        let form = if is_midnight { "%-d %B %Y" } else { "%-d %B %Y, %H:%M" };
        format!("{word} {}", at.format(form))
    };
    let before = from.and_then(read).filter(|from| *from < first).map(|_| say("before", first));
    let after = to.and_then(read).filter(|to| *to > last).map(|_| say("after", last));
    let sides: Vec<String> = [before, after].into_iter().flatten().collect();
    (!sides.is_empty()).then(|| format!("Nothing is known {}.", sides.join(" and ")))
}

/// "3 events · Europe/Berlin · as of 12 minutes ago".
pub fn print_footer(
    output: &mut Output,
    parts: &[String],
    as_of: Option<&str>,
    is_fresh: bool,
    now_ms: i64,
) -> Result<(), Failure> {
    let age = output.tone(age(as_of, now_ms), if is_fresh { Tone::Good } else { Tone::Warning });
    let facts = output.tone(parts.join(" · "), Tone::Faint);
    output.line(format!("{facts} · {age}"))
}

/// First and last day of a half-open range.
pub fn days_between(from: &str, to: &str) -> (NaiveDate, NaiveDate) {
    let read = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|at| at.naive_local());
    let first = read(from).map(|at| at.date()).unwrap_or_default();
    let last = read(to)
        .and_then(|at| at.checked_sub_signed(TimeDelta::milliseconds(1)))
        .map(|at| at.date())
        .unwrap_or(first);
    (first, last.max(first))
}
