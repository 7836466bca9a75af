//! Zones and days. Names are Windows or IANA; the data is the copy bundled with jiff, so that a seed means the
//! same on every machine.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use strum::IntoEnumIterator;
use windows_timezones::WindowsTimezone;

pub(crate) const DAY_MS: i64 = 86_400_000;
const DAYS_OF_ERA: i32 = 146_097;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The zone of a Windows or IANA name; `tzone://Microsoft/Utc` and `UTC` are UTC.
pub(crate) fn resolve(name: &str) -> Option<TimeZone> {
    if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("tzone://Microsoft/Utc") {
        return Some(TimeZone::UTC);
    }
    let iana = name.parse::<WindowsTimezone>().map_or(name, |zone| zone.tzdb_id());
    ZONES.get(iana).ok()
}

/// The Windows name of a zone, if it has one, else the name itself.
pub(crate) fn windows_name(name: &str) -> String {
    let is_it = |zone: &WindowsTimezone| zone.tzdb_id() == name;
    WindowsTimezone::iter().find(is_it).map_or_else(|| name.to_owned(), |zone| zone.name().to_owned())
}

/// The wall time of an instant.
pub(crate) fn wall(ms: i64, zone: &TimeZone) -> DateTime {
    zone.to_datetime(timestamp(ms))
}

/// The instant of a wall time; in a gap the time after it, in a fold the first one.
pub(crate) fn instant(wall: DateTime, zone: &TimeZone) -> i64 {
    zone.to_ambiguous_timestamp(wall).compatible().map_or_else(|_| as_utc(wall), Timestamp::as_millisecond)
}

/// A wall time read as if it were UTC.
pub(crate) fn as_utc(wall: DateTime) -> i64 {
    let time = wall.time();
    i64::from(day_of(wall.date())) * DAY_MS
        + i64::from(time.hour()) * 3_600_000
        + i64::from(time.minute()) * 60_000
        + i64::from(time.second()) * 1_000
        + i64::from(time.millisecond())
}

/// The nearest instant between the years 1 and 9909.
pub(crate) fn timestamp(ms: i64) -> Timestamp {
    let ms = ms.clamp(-719_000 * DAY_MS, 2_900_000 * DAY_MS);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Days since 1970-01-01.
pub(crate) fn day_of(date: Date) -> i32 {
    day(i32::from(date.year()), i32::from(date.month()), i32::from(date.day()))
}

/// The date of a day number.
pub(crate) fn date_of(day: i32) -> Date {
    let (y, m, d) = civil(day);
    let narrow = |v: i32| i8::try_from(v).unwrap_or(1);
    Date::new(i16::try_from(y).unwrap_or(i16::MAX), narrow(m), narrow(d)).unwrap_or(Date::MAX)
}

/// Day number of a proleptic Gregorian date (Howard Hinnant's `days_from_civil`).
pub(crate) fn day(year: i32, month: i32, day: i32) -> i32 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * DAYS_OF_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a day number.
pub(crate) fn civil(day: i32) -> (i32, i32, i32) {
    let z = day + 719_468;
    let era = z.div_euclid(DAYS_OF_ERA);
    let doe = z.rem_euclid(DAYS_OF_ERA);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i32::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// Days of a month.
pub(crate) fn month_days(year: i32, month: i32) -> i32 {
    let (y, m) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    day(y, m, 1) - day(year, month, 1)
}

/// 0 is Sunday.
pub(crate) fn weekday(day: i32) -> u8 {
    u8::try_from((day + 4).rem_euclid(7)).unwrap_or(0)
}

/// The day an instant lies in, in UTC.
pub(crate) fn utc_day(ms: i64) -> i32 {
    i32::try_from(ms.div_euclid(DAY_MS))
        .unwrap_or(if ms < 0 { -719_000 } else { 2_900_000 })
        .clamp(-719_000, 2_900_000)
}

/// `2026-05-07T08:00:00.0000000`, as Graph prints a dateTimeTimeZone.
pub(crate) fn seven_digits(wall: DateTime) -> String {
    format!("{}.{:07}", wall.strftime("%Y-%m-%dT%H:%M:%S"), wall.subsec_nanosecond() / 100)
}

/// `2026-05-07T08:00:00.0000000Z`, as Graph prints a DateTimeOffset; the last digits vary like a real clock's.
pub(crate) fn stamp(ms: i64, digits: u64) -> String {
    let wall = wall(ms, &TimeZone::UTC);
    format!("{}.{:03}{:04}Z", wall.strftime("%Y-%m-%dT%H:%M:%S"), ms.rem_euclid(1000), digits % 10_000)
}

/// `2026-05-07T08:00:00Z`.
pub(crate) fn whole_seconds(ms: i64) -> String {
    format!("{}Z", wall(ms, &TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S"))
}

/// An HTTP date.
pub(crate) fn http_date(ms: i64) -> String {
    wall(ms, &TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads `YYYY-MM-DD[THH:MM[:SS[.f…]]][Z|±hh:mm]`; the offset, if any, in minutes.
pub(crate) fn parse(text: &str) -> Option<(DateTime, Option<i32>)> {
    let text = text.trim();
    let (date, rest) = match text.split_once(['T', 't', ' ']) {
        Some((date, rest)) => (date, rest),
        None => (text, ""),
    };
    let date = parse_date(date)?;
    let split = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, offset) = rest.split_at_checked(split)?;
    let offset = match offset {
        "" => None,
        "Z" | "z" => Some(0),
        text => Some(parse_offset(text)?),
    };
    let mut parts = clock.splitn(3, ':');
    let hour: i8 = whole(parts.next().filter(|p| !p.is_empty()).unwrap_or("0"))?;
    let minute: i8 = whole(parts.next().unwrap_or("0"))?;
    let seconds = parts.next().unwrap_or("0");
    let (second, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    let time = Time::new(hour, minute, whole(second)?, nanos).ok()?;
    Some((DateTime::from_parts(date, time), offset))
}

fn whole(text: &str) -> Option<i8> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn parse_offset(text: &str) -> Option<i32> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = digits.get(2..4).unwrap_or("0").parse().ok()?;
    Some(sign * (hours * 60 + minutes))
}

/// Reads `YYYY-MM-DD`.
pub(crate) fn parse_date(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let year: i16 = parts.next()?.parse().ok()?;
    Date::new(year, whole(parts.next()?)?, whole(parts.next()?)?).ok()
}

/// Reads an instant as `startDateTime` takes it: without an offset it is UTC.
pub(crate) fn parse_instant(text: &str) -> Option<i64> {
    let (wall, offset) = parse(text)?;
    Some(as_utc(wall) - i64::from(offset.unwrap_or(0)) * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_numbers_and_dates_agree_with_jiff() {
        let first = Date::new(1899, 12, 30).unwrap();
        for step in 0..80_000 {
            let date = first.saturating_add(jiff::Span::new().days(step));
            let number = day_of(date);
            assert_eq!(date_of(number), date);
            assert_eq!(i32::from(weekday(number)), i32::from(date.weekday().to_sunday_zero_offset()));
        }
        assert_eq!(day(1970, 1, 1), 0);
    }

    #[test]
    fn windows_and_iana_names_are_known_and_others_are_not() {
        for name in ["W. Europe Standard Time", "Europe/Berlin", "UTC", "tzone://Microsoft/Utc"] {
            assert!(resolve(name).is_some(), "{name}");
        }
        for name in ["", "Atlantis Standard Time", "tzone://Microsoft/Custom"] {
            assert!(resolve(name).is_none(), "{name}");
        }
    }

    #[test]
    fn times_are_read_with_any_number_of_digits_and_offsets() {
        let noon = parse_instant("2026-05-07T12:00:00Z").unwrap();
        for text in [
            "2026-05-07T12:00",
            "2026-05-07T12:00:00.0000000",
            "2026-05-07T12:00:00.000000000Z",
            "2026-05-07T14:00:00+02:00",
            "2026-05-07T05:00:00-0700",
        ] {
            assert_eq!(parse_instant(text), Some(noon), "{text}");
        }
        for text in ["", "x", "2026-13-01", "2026-05-07T25:00", "2026-05-07T12:00:00.0000000000"] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }
}
