use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate};

use crate::model::DAY_MS;
use crate::zones::Zones;

/// Years a calendar can hold. Outside stand the sentinels `0001-01-01` ("no value") and `9999-12-31`.
const YEARS: std::ops::RangeInclusive<i32> = 1601..=4500;
/// Days from 0001-01-01 to 1970-01-01, plus one, as `chrono` counts them.
const EPOCH_DAY: i64 = 719_163;
const MINUTE_MS: i64 = 60_000;

/// A time as Graph writes it: a wall clock reading, and the offset if one was written behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) struct Written {
    /// The wall clock as if it were UTC.
    pub wall_ms: i64,
    /// The written offset; `Z` is zero.
    pub offset_ms: Option<i64>,
}

impl Written {
    /// The instant, reading a time without offset as UTC.
    pub fn utc_ms(self) -> i64 {
        self.wall_ms - self.offset_ms.unwrap_or(0)
    }
}

/// Reads `2026-05-07T08:00:00.0000000` with or without seconds, zero to nine fraction digits, `Z` or `±hh:mm`.
/// A bare date is its midnight. `None` for impossible dates and for the sentinels.
pub(in crate::source) fn decode(text: &str) -> Option<Written> {
    let mut scan = Scan { rest: text.trim_ascii().as_bytes() };
    let year = scan.digits(4)?;
    scan.expect(b'-')?;
    let month = scan.digits(2)?;
    scan.expect(b'-')?;
    let day = scan.digits(2)?;
    let year = i32::try_from(year).ok().filter(|year| YEARS.contains(year))?;
    let date = NaiveDate::from_ymd_opt(year, month, day)?;
    let mut wall_ms = (i64::from(chrono::Datelike::num_days_from_ce(&date)) - EPOCH_DAY) * DAY_MS;
    if scan.rest.is_empty() {
        return Some(Written { wall_ms, offset_ms: None });
    }
    if scan.expect(b'T').is_none() && scan.expect(b't').is_none() {
        scan.expect(b' ')?;
    }
    let hour = scan.digits(2).filter(|hour| *hour < 24)?;
    scan.expect(b':')?;
    let minute = scan.digits(2).filter(|minute| *minute < 60)?;
    wall_ms += i64::from(hour) * 60 * MINUTE_MS + i64::from(minute) * MINUTE_MS;
    if scan.expect(b':').is_some() {
        let second = scan.digits(2).filter(|second| *second <= 60)?;
        wall_ms += i64::from(second.min(59)) * 1000;
        if scan.expect(b'.').is_some() {
            wall_ms += scan.fraction_ms()?;
        }
    }
    let offset_ms = scan.offset_ms()?;
    Some(Written { wall_ms, offset_ms })
}

struct Scan<'a> {
    rest: &'a [u8],
}

impl Scan<'_> {
    fn digits(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        let mut value = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            value = value * 10 + u32::from(digit - b'0');
        }
        self.rest = rest;
        Some(value)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        if *first != byte {
            return None;
        }
        self.rest = rest;
        Some(())
    }

    /// Up to nine digits, cut to milliseconds.
    fn fraction_ms(&mut self) -> Option<i64> {
        let count = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at_checked(count)?;
        if digits.len() > 9 {
            return None;
        }
        self.rest = rest;
        let mut value = 0;
        for place in 0..3 {
            value = value * 10 + i64::from(digits.get(place).map_or(0, |digit| digit - b'0'));
        }
        Some(value)
    }

    /// The offset and the end of the text; `None` when something else follows.
    fn offset_ms(&mut self) -> Option<Option<i64>> {
        match self.rest {
            [] => Some(None),
            [b'Z' | b'z'] => Some(Some(0)),
            [sign @ (b'+' | b'-'), ..] => {
                let sign = if *sign == b'-' { -1 } else { 1 };
                self.rest = self.rest.get(1..)?;
                let hours = self.digits(2).filter(|hours| *hours <= 18)?;
                let _ = self.expect(b':');
                let minutes = self.digits(2).filter(|minutes| *minutes < 60)?;
                self.rest.is_empty().then_some(Some(sign * i64::from(hours * 60 + minutes) * MINUTE_MS))
            }
            _ => None,
        }
    }
}

/// The instant of a wall clock reading in the zone Graph names beside it; an unknown zone reads as UTC.
///
/// Every request asks for UTC, so another name means that a proxy or a server ignored the preference. The zones
/// compiled in will do for that.
pub(in crate::source) fn instant_ms(written: Written, zone: Option<&str>) -> i64 {
    static ZONES: LazyLock<Zones> = LazyLock::new(Zones::bundled);
    let named = zone.filter(|zone| written.offset_ms.is_none() && *zone != "UTC");
    let wall = DateTime::from_timestamp_millis(written.wall_ms);
    match (named.and_then(|zone| ZONES.resolve(zone)), wall) {
        (Some(zone), Some(wall)) => zone.instant_ms(wall.naive_utc()),
        _ => written.utc_ms(),
    }
}

/// The `…Z` form of a window bound; needs no percent-encoding.
pub(in crate::source) fn encode(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A wall clock reading, given as if it were UTC, as it stands beside a zone: without offset, milliseconds only where
/// there are any.
pub(in crate::source) fn wall(ms: i64) -> String {
    let form = if ms.rem_euclid(1000) == 0 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S%.3f" };
    DateTime::from_timestamp_millis(ms).unwrap_or_default().format(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_time_is_read() {
        let cases = [
            ("2026-05-07T08:00:00.0000000", 1_778_140_800_000, None),
            ("2026-05-07T08:00:00", 1_778_140_800_000, None),
            ("2026-05-07T08:00", 1_778_140_800_000, None),
            ("2026-05-07T08:00:00.1", 1_778_140_800_100, None),
            ("2026-05-07T08:00:00.1239999", 1_778_140_800_123, None),
            ("2026-05-07T08:00:00.123456789Z", 1_778_140_800_123, Some(0)),
            ("2026-05-07T08:00:00Z", 1_778_140_800_000, Some(0)),
            ("2026-05-07T08:00:00+02:00", 1_778_140_800_000, Some(7_200_000)),
            ("2026-05-07T08:00:00.0000000-0330", 1_778_140_800_000, Some(-12_600_000)),
            (" 2026-05-07 08:00:00 ", 1_778_140_800_000, None),
            ("2026-05-07", 1_778_112_000_000, None),
            ("1970-01-01T00:00:00Z", 0, Some(0)),
            ("2016-12-31T23:59:60Z", 1_483_228_799_000, Some(0)),
        ];
        for (text, wall_ms, offset_ms) in cases {
            assert_eq!(decode(text), Some(Written { wall_ms, offset_ms }), "{text}");
        }
        assert_eq!(decode("2026-05-07T08:00:00+02:00").unwrap().utc_ms(), 1_778_133_600_000);
    }

    #[test]
    fn sentinels_and_impossible_times_are_no_times() {
        for text in [
            "",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.9999999",
            "2026-02-30T00:00:00",
            "2026-13-01T00:00:00",
            "2026-05-07T24:00:00",
            "2026-05-07T08:60:00",
            "2026-05-07T08:00:00.1234567890",
            "2026-05-07T08:00:00 UTC",
            "2026-05-07T08:00:00+2",
            "2026-05-07T",
            "12026-05-07T08:00:00",
            "-001-05-07T08:00:00",
            "٢٠٢٦-05-07T08:00:00",
            "tomorrow",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_in_another_zone_than_utc_is_converted() {
        let noon = |zone, offset_ms| {
            let written = Written { wall_ms: 1_783_339_200_000, offset_ms };
            (instant_ms(written, zone) - written.wall_ms) / 3_600_000
        };
        assert_eq!(noon(Some("W. Europe Standard Time"), None), -2);
        assert_eq!(noon(Some("America/New_York"), None), 4);
        assert_eq!(noon(Some("W. Europe Standard Time"), Some(0)), 0, "a written offset counts");
        for zone in
            [None, Some("UTC"), Some("Utc"), Some("tzone://Microsoft/Utc"), Some(""), Some("Atlantis")]
        {
            assert_eq!(noon(zone, None), 0, "{zone:?}");
        }
    }

    #[test]
    fn window_bounds_are_written_in_utc() {
        assert_eq!(encode(1_778_140_800_000), "2026-05-07T08:00:00Z");
        assert_eq!(encode(-86_400_000), "1969-12-31T00:00:00Z");
    }
}
