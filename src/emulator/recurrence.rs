//! The six patterns and three ranges of Graph, expanded by date arithmetic: a query costs what it returns, not
//! the distance from the series' start.
//!
//! Slots are days in the series' own zone. Exchange clamps day 31 to the month's last day, and several days in
//! a relative pattern mean the n-th day that is any of them.

use serde_json::{Value, json};

use super::wire::Refusal;
use super::zone;

/// What a numbered range may count.
const NUMBERED_MAX: u32 = 999;
/// What one expansion may return.
const SLOTS_MAX: usize = 20_000;
/// No slot lies after 9990.
const LAST_DAY: i32 = 2_929_000;
const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const INDEXES: [&str; 5] = ["first", "second", "third", "fourth", "last"];

/// A set of weekdays; bit 0 is Sunday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weekdays(pub u8);

impl Weekdays {
    fn contains(self, day: i32) -> bool {
        self.0 & (1 << zone::weekday(day)) != 0
    }

    fn names(self) -> Vec<&'static str> {
        DAYS.iter().enumerate().filter(|(n, _)| self.0 & (1 << n) != 0).map(|(_, name)| *name).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    Daily,
    Weekly {
        days: Weekdays,
        first: u8,
    },
    AbsoluteMonthly {
        day: i32,
    },
    /// `index` 0–3 count from the first, 4 is the last.
    RelativeMonthly {
        days: Weekdays,
        index: usize,
    },
    AbsoluteYearly {
        month: i32,
        day: i32,
    },
    RelativeYearly {
        month: i32,
        days: Weekdays,
        index: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    NoEnd,
    /// The last day, inclusive.
    EndDate(i32),
    Numbered(u32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recurrence {
    pub pattern: Pattern,
    pub interval: i32,
    pub range: Range,
    /// No slot lies before it.
    pub start_day: i32,
    /// As the client named it.
    pub zone_name: String,
    /// No slot lies after it.
    last_day: i32,
}

impl Recurrence {
    pub fn new(pattern: Pattern, interval: i32, range: Range, start_day: i32, zone_name: &str) -> Recurrence {
        let mut this = Recurrence {
            pattern,
            interval: interval.max(1),
            range,
            start_day,
            zone_name: zone_name.into(),
            last_day: LAST_DAY,
        };
        this.last_day = match range {
            Range::NoEnd => LAST_DAY,
            Range::EndDate(day) => day.min(LAST_DAY),
            Range::Numbered(count) => {
                let count = usize::try_from(count.clamp(1, NUMBERED_MAX)).unwrap_or(1);
                this.walk(start_day, LAST_DAY, count).last().copied().unwrap_or(start_day)
            }
        };
        this
    }

    /// The slots of `from..=to`, ascending.
    pub fn slots(&self, from: i32, to: i32) -> Vec<i32> {
        self.walk(from, to, SLOTS_MAX)
    }

    /// The first slot.
    pub fn first(&self) -> Option<i32> {
        self.walk(self.start_day, LAST_DAY, 1).first().copied()
    }

    /// The same slots, counted from the first one: it lies in a period of the pattern, so the rhythm stays.
    pub fn starting(self, first: i32) -> Recurrence {
        Recurrence { start_day: first, ..self }
    }

    /// Whether the day is a slot.
    pub fn contains(&self, day: i32) -> bool {
        self.walk(day, day, 1).first() == Some(&day)
    }

    /// The neighbours of a slot, bounds for moving an exception.
    pub fn neighbours(&self, slot: i32) -> (Option<i32>, Option<i32>) {
        let reach = 366 * self.interval.min(100) * 2;
        let before = self.slots(slot.saturating_sub(reach), slot - 1).last().copied();
        (before, self.walk(slot + 1, slot.saturating_add(reach), 1).first().copied())
    }

    fn walk(&self, from: i32, to: i32, limit: usize) -> Vec<i32> {
        let from = from.max(self.start_day);
        let to = to.min(self.last_day);
        let mut out = Vec::new();
        if from > to {
            return out;
        }
        let mut period = self.period_before(from);
        while out.len() < limit {
            let (first, days) = self.period(period);
            if first > to {
                break;
            }
            for day in days {
                if day >= from && day <= to && out.len() < limit {
                    out.push(day);
                }
            }
            period += 1;
        }
        out
    }

    /// The number of a period that starts no later than `day`, counted from the series' own.
    fn period_before(&self, day: i32) -> i32 {
        let (year, month, _) = zone::civil(day);
        let (start_year, start_month, _) = zone::civil(self.start_day);
        let distance = match self.pattern {
            Pattern::Daily => day - self.start_day,
            Pattern::Weekly { first, .. } => (day - week_start(self.start_day, first)) / 7,
            Pattern::AbsoluteMonthly { .. } | Pattern::RelativeMonthly { .. } => {
                (year - start_year) * 12 + month - start_month
            }
            Pattern::AbsoluteYearly { .. } | Pattern::RelativeYearly { .. } => year - start_year,
        };
        (distance / self.interval).max(0)
    }

    /// The first day a period could have, and the days it has.
    fn period(&self, number: i32) -> (i32, Vec<i32>) {
        let steps = number.saturating_mul(self.interval);
        let (start_year, start_month, _) = zone::civil(self.start_day);
        match self.pattern {
            Pattern::Daily => {
                let day = self.start_day.saturating_add(steps);
                (day, vec![day])
            }
            Pattern::Weekly { days, first } => {
                let week = week_start(self.start_day, first).saturating_add(steps.saturating_mul(7));
                (week, (week..week.saturating_add(7)).filter(|d| days.contains(*d)).collect())
            }
            Pattern::AbsoluteMonthly { day } => {
                let (year, month) = month_after(start_year, start_month, steps);
                (zone::day(year, month, 1), vec![clamped(year, month, day)])
            }
            Pattern::RelativeMonthly { days, index } => {
                let (year, month) = month_after(start_year, start_month, steps);
                (zone::day(year, month, 1), nth(year, month, days, index))
            }
            Pattern::AbsoluteYearly { month, day } => {
                let year = start_year.saturating_add(steps).min(9_995);
                (zone::day(year, 1, 1), vec![clamped(year, month, day)])
            }
            Pattern::RelativeYearly { month, days, index } => {
                let year = start_year.saturating_add(steps).min(9_995);
                (zone::day(year, 1, 1), nth(year, month, days, index))
            }
        }
    }
}

fn week_start(day: i32, first: u8) -> i32 {
    day - i32::from((zone::weekday(day) + 7 - first % 7) % 7)
}

fn month_after(year: i32, month: i32, steps: i32) -> (i32, i32) {
    let months = (month - 1).saturating_add(steps);
    ((year + months.div_euclid(12)).min(9_995), months.rem_euclid(12) + 1)
}

fn clamped(year: i32, month: i32, day: i32) -> i32 {
    zone::day(year, month, day.min(zone::month_days(year, month)))
}

fn nth(year: i32, month: i32, days: Weekdays, index: usize) -> Vec<i32> {
    let first = zone::day(year, month, 1);
    let mut fitting = (first..first + zone::month_days(year, month)).filter(|d| days.contains(*d));
    let found = if index >= 4 { fitting.next_back() } else { fitting.nth(index) };
    found.into_iter().collect()
}

/// Reads a patternedRecurrence. `start_day` is the event's own first day in its zone, `zone_name` its zone.
pub(crate) fn decode(value: &Value, start_day: i32, zone_name: &str) -> Result<Recurrence, Refusal> {
    let bad = |what: &str| {
        Refusal::new(
            400,
            "ErrorPropertyValidationFailure",
            format!("At least one property failed validation: {what}."),
        )
    };
    let pattern = value.get("pattern").ok_or_else(|| bad("recurrence.pattern"))?;
    let range = value.get("range").ok_or_else(|| bad("recurrence.range"))?;
    let number = |name: &str| pattern.get(name).and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok());
    let interval = number("interval").unwrap_or(1);
    if !(1..=999).contains(&interval) {
        return Err(bad("recurrence.pattern.interval"));
    }
    let days = || -> Result<Weekdays, Refusal> {
        let mut mask = 0;
        for name in pattern.get("daysOfWeek").and_then(Value::as_array).into_iter().flatten() {
            let name = name.as_str().unwrap_or("");
            let bit =
                DAYS.iter().position(|d| d.eq_ignore_ascii_case(name)).ok_or_else(|| bad("daysOfWeek"))?;
            mask |= 1 << bit;
        }
        if mask == 0 { Err(bad("recurrence.pattern.daysOfWeek")) } else { Ok(Weekdays(mask)) }
    };
    let day = || number("dayOfMonth").filter(|d| (1..=31).contains(d)).ok_or_else(|| bad("dayOfMonth"));
    let month = || number("month").filter(|m| (1..=12).contains(m)).ok_or_else(|| bad("month"));
    let index = || {
        let name = pattern.get("index").and_then(Value::as_str).unwrap_or("first");
        INDEXES.iter().position(|i| i.eq_ignore_ascii_case(name)).ok_or_else(|| bad("index"))
    };
    let kind = pattern.get("type").and_then(Value::as_str).unwrap_or("");
    let pattern = match kind.to_ascii_lowercase().as_str() {
        "daily" => Pattern::Daily,
        "weekly" => {
            let first = pattern.get("firstDayOfWeek").and_then(Value::as_str).unwrap_or("sunday");
            let first = DAYS
                .iter()
                .position(|d| d.eq_ignore_ascii_case(first))
                .ok_or_else(|| bad("firstDayOfWeek"))?;
            Pattern::Weekly { days: days()?, first: u8::try_from(first).unwrap_or(0) }
        }
        "absolutemonthly" => Pattern::AbsoluteMonthly { day: day()? },
        "relativemonthly" => Pattern::RelativeMonthly { days: days()?, index: index()? },
        "absoluteyearly" => Pattern::AbsoluteYearly { month: month()?, day: day()? },
        "relativeyearly" => Pattern::RelativeYearly { month: month()?, days: days()?, index: index()? },
        _ => return Err(bad("recurrence.pattern.type")),
    };
    let date =
        |name: &str| range.get(name).and_then(Value::as_str).and_then(zone::parse_date).map(zone::day_of);
    let end = match range.get("type").and_then(Value::as_str).unwrap_or("").to_ascii_lowercase().as_str() {
        "noend" => Range::NoEnd,
        "enddate" => {
            Range::EndDate(date("endDate").filter(|d| *d >= start_day).ok_or_else(|| bad("endDate"))?)
        }
        "numbered" => {
            let count =
                range.get("numberOfOccurrences").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
            Range::Numbered(
                count.filter(|n| (1..=NUMBERED_MAX).contains(n)).ok_or_else(|| bad("numberOfOccurrences"))?,
            )
        }
        _ => return Err(bad("recurrence.range.type")),
    };
    if date("startDate").is_some_and(|d| d != start_day) {
        return Err(bad("recurrence.range.startDate has to be the date of the event's start"));
    }
    let named = range.get("recurrenceTimeZone").and_then(Value::as_str).filter(|n| !n.is_empty());
    Ok(Recurrence::new(pattern, interval, end, start_day, named.unwrap_or(zone_name)))
}

/// Prints a patternedRecurrence with zeros and defaults for what its type does not use, as the service does.
pub(crate) fn encode(recurrence: &Recurrence) -> Value {
    let (kind, month, day, days, first, index) = match recurrence.pattern {
        Pattern::Daily => ("daily", 0, 0, Weekdays(0), 0, 0),
        Pattern::Weekly { days, first } => ("weekly", 0, 0, days, first, 0),
        Pattern::AbsoluteMonthly { day } => ("absoluteMonthly", 0, day, Weekdays(0), 0, 0),
        Pattern::RelativeMonthly { days, index } => ("relativeMonthly", 0, 0, days, 0, index),
        Pattern::AbsoluteYearly { month, day } => ("absoluteYearly", month, day, Weekdays(0), 0, 0),
        Pattern::RelativeYearly { month, days, index } => ("relativeYearly", month, 0, days, 0, index),
    };
    let (range, end, count) = match recurrence.range {
        Range::NoEnd => ("noEnd", "0001-01-01".to_owned(), 0),
        Range::EndDate(day) => ("endDate", zone::date_of(day).to_string(), 0),
        Range::Numbered(count) => ("numbered", "0001-01-01".to_owned(), count),
    };
    let mut pattern = json!({
        "type": kind, "interval": recurrence.interval, "month": month, "dayOfMonth": day,
        "firstDayOfWeek": DAYS.get(usize::from(first)).copied().unwrap_or("sunday"),
        "index": INDEXES.get(index).copied().unwrap_or("first"),
    });
    if days != Weekdays(0)
        && let Some(members) = pattern.as_object_mut()
    {
        members.insert("daysOfWeek".into(), json!(days.names()));
    }
    json!({
        "pattern": pattern,
        "range": {"type": range, "startDate": zone::date_of(recurrence.start_day).to_string(), "endDate": end,
            "recurrenceTimeZone": recurrence.zone_name, "numberOfOccurrences": count}
    })
}

#[cfg(test)]
#[path = "recurrence_tests.rs"]
mod tests;
