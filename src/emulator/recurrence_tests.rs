use serde_json::json;

use super::*;

const WEEKDAYS: [&str; 7] = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"];

fn any(rng: &mut fastrand::Rng) -> Recurrence {
    let start = zone::day(rng.i32(1995..2035), rng.i32(1..13), rng.i32(1..29)) + rng.i32(0..4);
    let days = Weekdays(rng.u8(1..128));
    let month = rng.i32(1..13);
    let day = if rng.bool() { rng.i32(1..32) } else { rng.i32(28..32) };
    let index = rng.usize(0..5);
    let pattern = match rng.u32(0..6) {
        0 => Pattern::Daily,
        1 => Pattern::Weekly { days, first: rng.u8(0..7) },
        2 => Pattern::AbsoluteMonthly { day },
        3 => Pattern::RelativeMonthly { days, index },
        4 => Pattern::AbsoluteYearly { month, day },
        _ => Pattern::RelativeYearly { month, days, index },
    };
    let range = match rng.u32(0..3) {
        0 => Range::NoEnd,
        1 => Range::EndDate(start + rng.i32(0..4_000)),
        _ => Range::Numbered(rng.u32(1..120)),
    };
    Recurrence::new(pattern, rng.i32(1..7), range, start, "UTC")
}

/// The same rule in RFC 5545's words, on wall time labelled UTC.
fn as_rule(rule: &Recurrence) -> String {
    let set = |days: Weekdays| {
        let named = WEEKDAYS.iter().enumerate().filter(|(n, _)| days.0 & (1 << n) != 0).map(|(_, d)| *d);
        named.collect::<Vec<_>>().join(",")
    };
    // Exchange clamps to the month's last day.
    let clamped = |day: i32| {
        let days: Vec<String> = (day.min(28)..=day).map(|d| d.to_string()).collect();
        format!("BYMONTHDAY={};BYSETPOS=-1", days.join(","))
    };
    let position = |index: usize| if index >= 4 { -1 } else { i32::try_from(index).unwrap() + 1 };
    let pattern = match rule.pattern {
        Pattern::Daily => "FREQ=DAILY".to_owned(),
        Pattern::Weekly { days, first } => {
            format!("FREQ=WEEKLY;BYDAY={};WKST={}", set(days), WEEKDAYS[usize::from(first)])
        }
        Pattern::AbsoluteMonthly { day } => format!("FREQ=MONTHLY;{}", clamped(day)),
        Pattern::RelativeMonthly { days, index } => {
            format!("FREQ=MONTHLY;BYDAY={};BYSETPOS={}", set(days), position(index))
        }
        Pattern::AbsoluteYearly { month, day } => format!("FREQ=YEARLY;BYMONTH={month};{}", clamped(day)),
        Pattern::RelativeYearly { month, days, index } => {
            format!("FREQ=YEARLY;BYMONTH={month};BYDAY={};BYSETPOS={}", set(days), position(index))
        }
    };
    let compact = |day: i32| zone::date_of(day).to_string().replace('-', "");
    let range = match rule.range {
        Range::NoEnd => String::new(),
        Range::EndDate(day) => format!(";UNTIL={}T235959Z", compact(day)),
        Range::Numbered(count) => format!(";COUNT={count}"),
    };
    let start = compact(rule.start_day);
    format!("DTSTART:{start}T090000Z\nRRULE:{pattern};INTERVAL={}{range}", rule.interval)
}

#[test]
fn slots_agree_with_an_independent_expander() {
    let mut rng = fastrand::Rng::with_seed(6);
    for n in 0..600 {
        let rule = any(&mut rng);
        let text = as_rule(&rule);
        let set: rrule::RRuleSet = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        let wanted: Vec<i32> = set
            .all(60)
            .dates
            .iter()
            .map(|d| zone::parse_date(&d.format("%Y-%m-%d").to_string()).map(zone::day_of).unwrap())
            .collect();
        let last = wanted.last().copied().unwrap_or(rule.start_day + 400);
        assert_eq!(rule.slots(rule.start_day, last), wanted, "rule {n}: {text}");
    }
}

#[test]
fn a_window_sees_the_same_slots_as_the_whole_series() {
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..400 {
        let rule = any(&mut rng);
        let from = rule.start_day + rng.i32(-100..4_000);
        let to = from + rng.i32(0..900);
        let whole = rule.slots(rule.start_day, rule.start_day + 6_000);
        let wanted: Vec<i32> = whole.into_iter().filter(|d| (from..=to).contains(d)).collect();
        assert_eq!(rule.slots(from, to), wanted, "{rule:?} {from}..={to}");
        for slot in wanted {
            assert!(rule.contains(slot));
        }
    }
}

#[test]
fn what_is_printed_is_read_back() {
    let mut rng = fastrand::Rng::with_seed(8);
    for _ in 0..300 {
        let rule = any(&mut rng);
        let read = decode(&encode(&rule), rule.start_day, "UTC").unwrap();
        assert_eq!(read, rule);
    }
}

#[test]
fn a_far_window_of_an_old_endless_series_is_found_without_walking_there() {
    let rule = Recurrence::new(Pattern::Daily, 1, Range::NoEnd, zone::day(1700, 1, 1), "UTC");
    let day = zone::day(2900, 1, 1);
    assert_eq!(rule.slots(day, day + 2), vec![day, day + 1, day + 2]);
    assert!(rule.slots(i32::MAX - 10, i32::MAX).is_empty());
}

#[test]
fn day_31_is_the_last_day_of_shorter_months() {
    let rule = Recurrence::new(
        Pattern::AbsoluteMonthly { day: 31 },
        1,
        Range::Numbered(4),
        zone::day(2027, 1, 31),
        "UTC",
    );
    let dates: Vec<String> =
        rule.slots(0, 100_000).into_iter().map(|d| zone::date_of(d).to_string()).collect();
    assert_eq!(dates, ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30"]);
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let fine = json!({"pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]},
        "range": {"type": "noEnd", "startDate": "2026-01-05"}});
    let monday = zone::day(2026, 1, 5);
    assert!(decode(&fine, monday, "UTC").is_ok());
    let cases = [
        ("/pattern/type", json!("hourly")),
        ("/pattern/interval", json!(0)),
        ("/pattern/daysOfWeek", json!([])),
        ("/pattern/daysOfWeek", json!(["noday"])),
        ("/range/type", json!("forever")),
        ("/range/startDate", json!("2026-01-06")),
        ("/pattern", json!(null)),
        ("/range", json!(null)),
    ];
    for (place, value) in cases {
        let mut rule = fine.clone();
        *rule.pointer_mut(place).unwrap() = value;
        assert!(decode(&rule, monday, "UTC").is_err(), "{place}");
    }
}
