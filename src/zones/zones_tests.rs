use std::path::Path;

use super::*;
use crate::model::DAY_MS;

fn zone(name: &str) -> Zone {
    Zones::bundled().resolve(name).unwrap_or_else(|| panic!("{name} is unknown"))
}

fn ms(text: &str) -> i64 {
    parse_time(text, &Zone::utc()).unwrap()
}

#[test]
fn every_way_to_name_a_zone_is_understood() {
    let zones = Zones::bundled();
    for (text, iana) in [
        ("W. Europe Standard Time", Some("Europe/Berlin")),
        ("w. europe standard time", Some("Europe/Berlin")),
        (" Romance Standard Time ", Some("Europe/Paris")),
        ("Pacific Standard Time (Mexico)", Some("America/Tijuana")),
        ("UTC-11", Some("Etc/GMT+11")),
        ("Europe/Berlin", Some("Europe/Berlin")),
        ("europe/berlin", Some("Europe/Berlin")),
        ("Asia/Kolkata", Some("Asia/Kolkata")),
        ("UTC", Some("UTC")),
        ("tzone://Microsoft/Utc", Some("UTC")),
        ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", Some("Europe/Berlin")),
        ("(GMT+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", Some("Europe/Berlin")),
        ("(UTC) Coordinated Universal Time", Some("Etc/UTC")),
        ("tzone://Microsoft/Custom", None),
        ("Customized Time Zone", None),
        ("", None),
        ("Middle-earth Standard Time", None),
        ("../../etc/passwd", None),
        ("Europe/\0Berlin", None),
        ("right/Europe/Berlin", None),
    ] {
        assert_eq!(zones.iana_name(text).as_deref(), iana, "{text}");
    }
    assert_eq!(zones.iana_name(&"x".repeat(1_000_000)), None);
}

#[test]
fn every_windows_name_leads_to_a_zone() {
    use strum::IntoEnumIterator;
    let zones = Zones::bundled();
    for windows in windows_timezones::WindowsTimezone::iter() {
        assert!(zones.resolve(windows.name()).is_some(), "{}", windows.name());
        let by_display = zones.resolve(windows.description());
        assert!(by_display.is_some(), "{}", windows.description());
    }
}

#[test]
fn the_laws_of_2026_are_known() {
    for (name, text) in [
        ("America/Vancouver", "2026-12-15T05:00:00-07:00"),
        ("Pacific Standard Time", "2026-12-15T04:00:00-08:00"),
        ("America/Edmonton", "2026-12-15T06:00:00-06:00"),
        ("Africa/Casablanca", "2026-12-15T12:00:00+00:00"),
    ] {
        assert_eq!(zone(name).rfc3339(ms("2026-12-15T12:00:00Z")), text, "{name}");
    }
}

#[test]
fn instants_are_written_with_the_offset_of_the_zone() {
    for (name, instant, text) in [
        ("UTC", "2026-07-01T09:00:00Z", "2026-07-01T09:00:00+00:00"),
        ("Europe/Berlin", "2026-07-01T09:00:00Z", "2026-07-01T11:00:00+02:00"),
        ("Asia/Kathmandu", "2026-07-01T09:00:00.25Z", "2026-07-01T14:45:00.250+05:45"),
        ("America/St_Johns", "2026-01-01T00:00:00Z", "2025-12-31T20:30:00-03:30"),
        // Local mean time, +00:53:28: the minute is cut and the instant stays.
        ("Europe/Berlin", "1890-01-01T00:00:00Z", "1890-01-01T00:53:00+00:53"),
    ] {
        assert_eq!(zone(name).rfc3339(ms(instant)), text, "{name}");
        assert_eq!(ms(text), ms(instant), "{text}");
    }
    for far in [i64::MIN, i64::MAX] {
        assert_eq!(zone("Pacific/Kiritimati").rfc3339(far).len(), 25);
        assert_eq!(zone("Pacific/Kiritimati").midnight_ms(far), zone("UTC").midnight_ms(far));
        assert_eq!(date_text(far).len(), 10);
    }
}

#[test]
fn a_wall_time_in_a_gap_moves_on_and_one_in_a_fold_is_the_first() {
    for (name, wall, instant) in [
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T03:30:00+02:00"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T02:30:00+02:00"),
        ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T03:00:00+01:00"),
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T01:30:00-04:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-04T02:45:00+11:00"),
    ] {
        let zone = zone(name);
        assert_eq!(zone.rfc3339(parse_time(wall, &zone).unwrap()), instant, "{name} {wall}");
    }
}

#[test]
fn local_days_have_the_hours_the_law_gives_them() {
    for (name, date, hours) in [
        ("Europe/Berlin", "2026-03-28", 24),
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        // Midnight itself is skipped: the day begins at one.
        ("America/Santiago", "2026-09-06", 23),
        ("Africa/Cairo", "2026-04-24", 23),
        // Samoa left the whole day out.
        ("Pacific/Apia", "2011-12-30", 0),
    ] {
        let day = zone(name).day(parse_date(date).unwrap());
        assert_eq!((day.to_ms - day.from_ms) / 3_600_000, hours, "{name} {date}");
        if hours > 0 {
            assert_eq!(zone(name).date(day.from_ms), parse_date(date).unwrap());
            assert_eq!(zone(name).date(day.to_ms - 1), parse_date(date).unwrap());
        }
    }
    let week = zone("Europe/Berlin").days(parse_date("2026-03-23").unwrap(), 7);
    assert_eq!(week.to_ms - week.from_ms, 7 * DAY_MS - 3_600_000);
}

#[test]
fn a_date_is_placed_at_its_local_midnight() {
    let date = ms("2026-07-01");
    assert_eq!(zone("Europe/Berlin").midnight_ms(date), ms("2026-06-30T22:00:00Z"));
    assert_eq!(zone("America/Santiago").midnight_ms(ms("2026-09-06")), ms("2026-09-06T04:00:00Z"));
    assert_eq!(date_text(date), "2026-07-01");
}

#[test]
fn times_are_read_in_every_promised_form() {
    let berlin = zone("Europe/Berlin");
    for (text, instant) in [
        ("2026-07-01", "2026-06-30T22:00:00Z"),
        ("2026-07-01T09:30", "2026-07-01T07:30:00Z"),
        ("2026-07-01 09:30", "2026-07-01T07:30:00Z"),
        ("2026-07-01T09:30:15", "2026-07-01T07:30:15Z"),
        ("2026-07-01T09:30:15.5", "2026-07-01T07:30:15.500Z"),
        ("2026-07-01T09:30Z", "2026-07-01T09:30:00Z"),
        ("2026-07-01t09:30:00z", "2026-07-01T09:30:00Z"),
        ("2026-07-01T09:30:00-05:00", "2026-07-01T14:30:00Z"),
        (" 2026-07-01 ", "2026-06-30T22:00:00Z"),
    ] {
        assert_eq!(parse_time(text, &berlin), Ok(ms(instant)), "{text}");
    }
    for (text, problem) in [
        ("", TimeError::Form),
        ("tomorrow", TimeError::Form),
        ("2026-7-1", TimeError::Form),
        ("2026-07-01T", TimeError::Form),
        ("2026-07-01T9", TimeError::Form),
        ("+12026-07-01", TimeError::Form),
        ("2026-07-01T09:30+", TimeError::Form),
        ("2026-07-01T09:30\u{2212}05:00", TimeError::Form),
        ("2026-02-30", TimeError::NoSuchTime),
        ("2026-13-01T09:30", TimeError::NoSuchTime),
        ("2026-07-01T25:00", TimeError::NoSuchTime),
    ] {
        assert_eq!(parse_time(text, &berlin), Err(problem), "{text}");
    }
}

#[test]
fn the_newer_database_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let with_version = |line: &str| {
        std::fs::write(directory.path().join("tzdata.zi"), line).unwrap();
        Zones::newest(Some(directory.path())).is_system()
    };
    let system = Path::new("/usr/share/zoneinfo/Europe/Berlin");
    if system.exists() {
        std::fs::create_dir(directory.path().join("Europe")).unwrap();
        std::fs::copy(system, directory.path().join("Europe/Berlin")).unwrap();
        assert!(with_version("# version 2099a\nR d 1\n"));
        assert!(with_version("# version 2026aa"));
    }
    assert!(!with_version("# version 2025b\n"));
    assert!(!with_version("# version 2026f\n"));
    assert!(!with_version("garbage"));
    assert!(!Zones::newest(Some(Path::new("/nowhere"))).is_system());
    assert!(!Zones::newest(None).is_system());
}

#[test]
fn a_zone_has_the_windows_name_that_stands_for_it_alone() {
    let zones = Zones::bundled();
    let cases = [
        ("Europe/Berlin", Some("W. Europe Standard Time")),
        ("w. europe standard time", Some("W. Europe Standard Time")),
        ("Asia/Kolkata", Some("India Standard Time")),
        ("UTC", None),
        ("Europe/Vienna", None),
        ("tzone://Microsoft/Custom", None),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(zones.windows_name(text), expected, "{text}");
    }
}

#[test]
fn a_wall_time_is_ambiguous_in_the_hour_that_comes_twice_only() {
    let berlin = Zones::bundled().resolve("Europe/Berlin").unwrap();
    // 2026-10-25T00:00:00Z, half past by half past: the clock shows two to three twice.
    let at = |half_hours: i64| berlin.is_unambiguous(1_792_886_400_000 + half_hours * 1_800_000);
    let told: Vec<bool> = (-1..5).map(at).collect();
    assert_eq!(told, [true, false, false, false, false, true]);
    assert!(Zones::bundled().utc().is_unambiguous(0));
}
