//! Recurrence rules, expanded in wall time by the crate `rrule`, within bounds.

use chrono::{Datelike, NaiveDateTime, TimeDelta, TimeZone};
use rrule::{Frequency, RRule, Tz, Unvalidated};

use crate::source::ical::property::{When, date_or_time};
use crate::source::ical::{RULE_STEPS_MAX, STEPS_MAX};

/// The longest rule; the longest of RFC 5545 has 130.
const RULE_BYTES_MAX: usize = 2_000;
/// Times of one day that a rule may name: every quarter of an hour. The library builds them for all days of a year
/// at once, so `BYHOUR=0,…;BYMINUTE=0,…;BYSECOND=0,…` would take hundreds of megabytes.
const TIMES_A_DAY_MAX: usize = 96;
/// Years that rules are expanded in.
const YEARS: std::ops::Range<i32> = 1_601..2_500;
/// What a rule is charged that runs dry: the library looks 100,000 times before it gives up, which costs more than as
/// many dates. A hundred such rules use a file's budget up.
const DRY_STEPS: u64 = 400_000;

/// What rules may still cost.
#[derive(Debug)]
pub(super) struct Budget {
    steps: u64,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { steps: STEPS_MAX }
    }
}

/// Why a rule ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Short {
    /// It cannot be read, or is denser than allowed.
    Refused,
    /// It costs more than allowed: what it answered comes first.
    Long,
}

/// The last moment of a rule as it is written: the caller knows which wall time an instant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// A wall time, or a date's last.
    Wall(NaiveDateTime),
    /// An instant.
    Utc(NaiveDateTime),
}

/// A rule that was read.
#[derive(Debug)]
pub(super) struct Rule {
    rule: RRule<Unvalidated>,
    pub(super) until: Option<Until>,
}

impl Rule {
    /// Reads the value of an RRULE. Tolerated: blanks, a `RRULE:` in front, empty parts, lower case, `X-` parts, UNTIL
    /// together with COUNT (COUNT counts, as in Outlook).
    pub(super) fn read(text: &str) -> Option<Rule> {
        let text: String =
            text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase();
        let text = text.strip_prefix("RRULE:").unwrap_or(&text);
        // The library cuts texts by bytes.
        if text.len() > RULE_BYTES_MAX || !text.is_ascii() {
            return None;
        }
        let mut until = None;
        let mut parts = Vec::new();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=')?;
            match key {
                "UNTIL" => {
                    until = Some(match date_or_time(value)? {
                        (When::Date(date), _) => Until::Wall(date.and_hms_opt(23, 59, 59)?),
                        (When::Time(time), true) => Until::Utc(time),
                        (When::Time(time), false) => Until::Wall(time),
                    });
                }
                "FREQ" | "INTERVAL" | "COUNT" | "WKST" | "BYSETPOS" | "BYMONTH" | "BYMONTHDAY"
                | "BYYEARDAY" | "BYWEEKNO" | "BYDAY" | "BYHOUR" | "BYMINUTE" | "BYSECOND" => parts.push(part),
                _ if key.starts_with("X-") => {}
                // RSCALE and SKIP (RFC 7529) mean other dates; guessing is worse than saying so.
                _ => return None,
            }
        }
        let rule: RRule<Unvalidated> = parts.join(";").parse().ok()?;
        if rule.get_interval() == 0 || rule.get_count() == Some(0) {
            return None;
        }
        let times = [rule.get_by_hour(), rule.get_by_minute(), rule.get_by_second()];
        let times: usize = times.iter().map(|list| list.len().max(1)).product();
        if times > TIMES_A_DAY_MAX {
            return None;
        }
        let until = until.filter(|_| rule.get_count().is_none());
        Some(Rule { rule, until })
    }

    /// The wall times of the rule from `start` on that lie in `[from, to)`, at most `most`; `until` is this rule's as
    /// a wall time.
    pub(super) fn dates(
        &self,
        start: NaiveDateTime,
        until: Option<NaiveDateTime>,
        (from, to): (NaiveDateTime, NaiveDateTime),
        most: usize,
        budget: &mut Budget,
    ) -> (Vec<NaiveDateTime>, Option<Short>) {
        let mut dates = Vec::new();
        if !YEARS.contains(&start.year()) || until.is_some_and(|until| until < start) || to <= from {
            return (dates, None);
        }
        let end = until.map_or(to, |until| to.min(until + TimeDelta::seconds(1)));
        let start = if self.rule.get_count().is_none() { self.nearer(start, from) } else { start };
        if end <= start {
            return (dates, None);
        }
        let utc = |wall: NaiveDateTime| Tz::UTC.from_utc_datetime(&wall);
        if budget.steps == 0 {
            return (dates, Some(Short::Long));
        }
        let Ok(set) = self.rule.clone().build(utc(start)) else { return (dates, Some(Short::Refused)) };
        let set = set.limit();
        let period = self.period_s();
        let (mut before, mut steps, mut seen, mut is_dry) = (start, 0_u64, 0_u32, true);
        for date in &set {
            let date = date.naive_utc();
            let passed = (date - before).num_seconds().max(0).unsigned_abs() / period;
            before = date;
            steps += passed + 1;
            seen = seen.saturating_add(1);
            if date >= end {
                is_dry = false;
                break;
            }
            if date >= from {
                if dates.len() >= most {
                    return (dates, Some(Short::Long));
                }
                dates.push(date);
            }
            if steps > RULE_STEPS_MAX || steps > budget.steps {
                budget.steps = budget.steps.saturating_sub(steps);
                return (dates, Some(Short::Long));
            }
        }
        // The last date of a rule with an end is no drought.
        let is_dry = is_dry
            && match self.rule.get_count() {
                Some(count) => seen < count,
                None => until.is_none() || seen == 0,
            };
        budget.steps = budget.steps.saturating_sub(if is_dry { DRY_STEPS } else { steps });
        (dates, None)
    }

    /// Seconds between two steps of the rule, the shortest.
    fn period_s(&self) -> u64 {
        let each = match self.rule.get_freq() {
            Frequency::Yearly => 365 * 86_400,
            Frequency::Monthly => 28 * 86_400,
            Frequency::Weekly => 7 * 86_400,
            Frequency::Daily => 86_400,
            Frequency::Hourly => 3_600,
            Frequency::Minutely => 60,
            Frequency::Secondly => 1,
        };
        each * u64::from(self.rule.get_interval().max(1))
    }

    /// A start of the same rule nearer to `from`: whole periods later, so that nothing but the walk changes. Months
    /// and years are few, and their days are not those of the start.
    fn nearer(&self, start: NaiveDateTime, from: NaiveDateTime) -> NaiveDateTime {
        let unit_s = match self.rule.get_freq() {
            Frequency::Yearly | Frequency::Monthly => return start,
            Frequency::Weekly
            | Frequency::Daily
            | Frequency::Hourly
            | Frequency::Minutely
            | Frequency::Secondly => i64::try_from(self.period_s()).unwrap_or(i64::MAX),
        };
        // One period is kept before the range: the first may begin in the middle of its week.
        let periods = (from - start).num_seconds() / unit_s - 1;
        if periods <= 0 {
            return start;
        }
        TimeDelta::try_seconds(periods * unit_s)
            .and_then(|delta| start.checked_add_signed(delta))
            .unwrap_or(start)
    }
}
