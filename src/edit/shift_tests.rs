use super::*;
use crate::edit::sample::{HOUR_MS, NINE_MS};
use crate::model::DAY_MS;

fn berlin(start: &str, minutes: i64) -> Times {
    in_zone("Europe/Berlin", start, minutes)
}

fn in_zone(zone: &str, start: &str, minutes: i64) -> Times {
    let wall = start.parse::<NaiveDateTime>().unwrap();
    let start_ms = Zones::bundled().resolve(zone).unwrap().instant_ms(wall);
    Times { start_ms, end_ms: start_ms + minutes * 60_000, is_all_day: false, zone: Some(zone.to_owned()) }
}

fn dates(start: &str, days: i64) -> Times {
    let start_ms = start
        .parse::<chrono::NaiveDate>()
        .unwrap()
        .and_hms_opt(0, 0, 0)
        .unwrap()
        .and_utc()
        .timestamp_millis();
    Times {
        start_ms,
        end_ms: start_ms + days * DAY_MS,
        is_all_day: true,
        zone: Some("Europe/Berlin".to_owned()),
    }
}

#[test]
fn the_wall_clock_counts_across_daylight_saving_time() {
    let (from, to) = (berlin("2026-10-05T09:00:00", 60), berlin("2026-10-05T10:30:00", 30));
    let winter = berlin("2026-11-02T09:00:00", 60);
    assert_eq!(shift(&winter, &from, &to, &Zones::bundled()), berlin("2026-11-02T10:30:00", 30));
}

#[test]
fn another_zone_keeps_its_own_daylight_saving_time() {
    let from = berlin("2026-10-05T15:00:00", 60);
    let to = in_zone("America/New_York", "2026-10-05T09:00:00", 60);
    // Between the two changes New York is an hour closer.
    let instance = berlin("2026-10-26T15:00:00", 60);
    let moved = shift(&instance, &from, &to, &Zones::bundled());
    assert_eq!(moved, in_zone("America/New_York", "2026-10-26T09:00:00", 60));
}

#[test]
fn a_timed_series_becomes_dates_and_returns() {
    let (timed, dated) = (berlin("2026-10-05T09:00:00", 60), dates("2026-10-05", 1));
    let (instance, day) = (berlin("2026-11-02T09:00:00", 60), dates("2026-11-02", 1));
    let zones = Zones::bundled();
    assert_eq!(shift(&instance, &timed, &dated, &zones), day);
    assert_eq!(shift(&day, &dated, &timed, &zones), instance);
}

#[test]
fn a_zone_that_nobody_knows_counts_as_utc() {
    let custom = |start_ms| Times {
        start_ms,
        end_ms: start_ms + HOUR_MS,
        is_all_day: false,
        zone: Some("tzone://Microsoft/Custom".to_owned()),
    };
    let moved =
        shift(&custom(NINE_MS + 7 * DAY_MS), &custom(NINE_MS), &custom(NINE_MS + HOUR_MS), &Zones::bundled());
    assert_eq!(moved, custom(NINE_MS + 7 * DAY_MS + HOUR_MS));
}
