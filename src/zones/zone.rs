use std::fmt;

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

use crate::model::{DAY_MS, Window};

/// 0001-01-02 and 9999-12-30, UTC: instants outside cannot be written with four digits of year in every zone, and
/// are shown as the nearest that can.
const FIRST_MS: i64 = -62_135_510_400_000;
const LAST_MS: i64 = 253_402_128_000_000;

/// One time zone.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    time_zone: TimeZone,
}

impl Zone {
    pub(super) fn new(name: String, time_zone: TimeZone) -> Zone {
        Zone { name, time_zone }
    }

    /// UTC.
    pub fn utc() -> Zone {
        Zone { name: "UTC".to_owned(), time_zone: TimeZone::UTC }
    }

    /// The IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The instant as RFC 3339 with this zone's offset, with milliseconds only where there are any.
    pub fn rfc3339(&self, ms: i64) -> String {
        let instant = timestamp(ms);
        // RFC 3339 knows no seconds in offsets, which zones had before about 1920: the wall time gives way.
        let minutes = self.time_zone.to_offset(instant).seconds().div_euclid(60);
        let wall = civil(instant.as_millisecond().saturating_add(i64::from(minutes) * 60_000));
        let mut text = String::with_capacity(29);
        push_date(&mut text, wall.date());
        text.push('T');
        push_two(&mut text, wall.hour().unsigned_abs());
        text.push(':');
        push_two(&mut text, wall.minute().unsigned_abs());
        text.push(':');
        push_two(&mut text, wall.second().unsigned_abs());
        let millisecond = wall.millisecond().unsigned_abs();
        if millisecond > 0 {
            text.push('.');
            text.push(digit(millisecond / 100));
            text.push(digit(millisecond / 10));
            text.push(digit(millisecond));
        }
        text.push(if minutes < 0 { '-' } else { '+' });
        let minutes = minutes.unsigned_abs();
        push_two(&mut text, u8::try_from(minutes / 60).unwrap_or(0));
        text.push(':');
        push_two(&mut text, u8::try_from(minutes % 60).unwrap_or(0));
        text
    }

    /// The instant of a wall time here (gaps and folds: see [`crate::zones`]).
    pub fn instant_ms(&self, wall: NaiveDateTime) -> i64 {
        let date = wall.date();
        self.compatible_ms(wall.and_utc().timestamp_millis(), || {
            let day = civil_date(date)?;
            let time = wall.time();
            let (hour, minute) = (i8::try_from(time.hour()).ok()?, i8::try_from(time.minute()).ok()?);
            let second = i8::try_from(time.second()).ok()?;
            let nanosecond = i32::try_from(time.nanosecond().min(999_999_999)).ok()?;
            Some(day.at(hour, minute, second, nanosecond))
        })
    }

    /// The first instant of a date that is given as its midnight as if it were UTC. Where midnight falls into a
    /// gap, the day begins after it.
    pub fn midnight_ms(&self, date_ms: i64) -> i64 {
        self.compatible_ms(date_ms, || Some(civil(date_ms)))
    }

    /// The date that a calendar on the wall here shows at `ms`.
    pub fn date(&self, ms: i64) -> NaiveDate {
        let instant = timestamp(ms);
        let date = self.time_zone.to_offset(instant).to_datetime(instant).date();
        NaiveDate::from_ymd_opt(
            i32::from(date.year()),
            u32::from(date.month().unsigned_abs()),
            u32::from(date.day().unsigned_abs()),
        )
        .unwrap_or_default()
    }

    /// The wall time here at `ms`.
    pub fn wall(&self, ms: i64) -> NaiveDateTime {
        let instant = timestamp(ms);
        let wall = self.time_zone.to_offset(instant).to_datetime(instant);
        let time = NaiveTime::from_hms_milli_opt(
            u32::from(wall.hour().unsigned_abs()),
            u32::from(wall.minute().unsigned_abs()),
            u32::from(wall.second().unsigned_abs()),
            u32::from(wall.millisecond().unsigned_abs()),
        );
        self.date(ms).and_time(time.unwrap_or_default())
    }

    /// Whether the wall time here at `ms` names that instant and no other: not so in the hour that a clock set back
    /// shows twice.
    pub fn is_unambiguous(&self, ms: i64) -> bool {
        let instant = timestamp(ms);
        let wall = self.time_zone.to_offset(instant).to_datetime(instant);
        !self.time_zone.to_ambiguous_timestamp(wall).is_ambiguous()
    }

    /// The `[from, to)` of a local day: 23, 24 or 25 hours, and empty for the rare day that a zone left out.
    pub fn day(&self, date: NaiveDate) -> Window {
        self.days(date, 1)
    }

    /// The `[from, to)` of `count` local days from `date` on.
    pub fn days(&self, date: NaiveDate, count: u32) -> Window {
        let first_ms = date.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
        let after_ms = first_ms.saturating_add(DAY_MS.saturating_mul(i64::from(count)));
        Window { from_ms: self.midnight_ms(first_ms), to_ms: self.midnight_ms(after_ms) }
    }

    fn compatible_ms(&self, as_utc_ms: i64, wall: impl FnOnce() -> Option<DateTime>) -> i64 {
        if !(FIRST_MS..=LAST_MS).contains(&as_utc_ms) {
            return as_utc_ms.clamp(FIRST_MS, LAST_MS);
        }
        wall()
            .and_then(|wall| self.time_zone.to_ambiguous_timestamp(wall).compatible().ok())
            .map_or(as_utc_ms, Timestamp::as_millisecond)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

/// `YYYY-MM-DD` of a date that is given as its midnight as if it were UTC.
pub fn date_text(date_ms: i64) -> String {
    let mut text = String::with_capacity(10);
    push_date(&mut text, civil(date_ms).date());
    text
}

fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms.clamp(FIRST_MS, LAST_MS)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The date and time that `ms` is in UTC.
fn civil(ms: i64) -> DateTime {
    Offset::UTC.to_datetime(timestamp(ms))
}

fn civil_date(date: NaiveDate) -> Option<Date> {
    let (month, day) = (i8::try_from(date.month()).ok()?, i8::try_from(date.day()).ok()?);
    Date::new(i16::try_from(date.year()).ok()?, month, day).ok()
}

fn push_date(text: &mut String, date: Date) {
    let year = date.year().unsigned_abs();
    push_two(text, u8::try_from(year / 100).unwrap_or(99));
    push_two(text, u8::try_from(year % 100).unwrap_or(99));
    text.push('-');
    push_two(text, date.month().unsigned_abs());
    text.push('-');
    push_two(text, date.day().unsigned_abs());
}

fn push_two(text: &mut String, number: u8) {
    text.push(digit(u16::from(number / 10)));
    text.push(digit(u16::from(number)));
}

fn digit(number: u16) -> char {
    char::from(b'0' + u8::try_from(number % 10).unwrap_or(0))
}
