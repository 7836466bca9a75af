//! One property: its line read by the crate `icalendar`, its value by its kind.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use icalendar::parser::{ParseString, Property as Parsed};

use crate::source::ical::text::unquoted;

/// The most parameters of a property that count.
const PARAMETERS_MAX: usize = 64;
/// Years that a date may have.
const YEARS: std::ops::RangeInclusive<i32> = 1601..=4500;

/// A property.
#[derive(Clone, Default)]
pub(super) struct Property {
    /// Its name in capitals.
    pub(super) name: String,
    /// Its value: texts with their escapes undone, lists as they are.
    pub(super) value: String,
    /// Its parameters, names in capitals.
    parameters: Vec<(String, String)>,
}

impl std::fmt::Debug for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Property").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Property {
    /// Reads a content line; `None` for one that is none.
    pub(super) fn read(line: &str, charset: Option<&str>) -> Option<Property> {
        let name_end = line.find([':', ';'])?;
        let (name, rest) = line.split_at_checked(name_end)?;
        // Groups of vCard (`item1.URL`) have been seen in calendars.
        let name = name.rsplit('.').next()?.trim().to_ascii_uppercase();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte))
        {
            return None;
        }
        // The library undoes escapes by the name in capitals.
        let line = format!("{name}{rest}");
        let parsed = Parsed::try_from(line.as_str()).ok()?;
        // Parameters that it cannot read make it answer a name without a value.
        let value = parsed.val.as_str();
        if value.is_empty() && !line.trim_end().ends_with(':') {
            return None;
        }
        let parameters: Vec<(String, String)> = parsed
            .params
            .iter()
            .take(PARAMETERS_MAX)
            .map(|parameter| {
                let value = parameter.val.as_ref().map(|value| value.as_str().trim_matches('"').to_owned());
                (parameter.key.as_str().to_ascii_uppercase(), value.unwrap_or_default())
            })
            .collect();
        let mut property = Property { name, value: value.to_owned(), parameters };
        let is_quoted_printable = property.parameters.iter().any(|(key, value)| {
            [key, value].iter().any(|text| text.eq_ignore_ascii_case("QUOTED-PRINTABLE"))
        });
        if is_quoted_printable {
            property.value = unquoted(&property.value, property.parameter("CHARSET").or(charset));
        }
        Some(property)
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.parameter(name).is_some_and(|own| own.eq_ignore_ascii_case(value))
    }

    /// The range of a RECURRENCE-ID.
    pub(super) fn is_this_and_future(&self) -> bool {
        self.is("RANGE", "THISANDFUTURE")
    }

    /// The texts of a list (`a\,b,c` are two), escapes undone.
    pub(super) fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut text = String::new();
        let mut is_escaped = false;
        for c in self.value.chars() {
            match c {
                ',' if !is_escaped => texts.push(std::mem::take(&mut text)),
                _ => text.push(c),
            }
            is_escaped = c == '\\' && !is_escaped;
        }
        texts.push(text);
        texts
            .into_iter()
            .map(|text| ParseString::from(text).unescape_text().as_str().trim().to_owned())
            .filter(|text| !text.is_empty())
            .collect()
    }

    /// The stamp of a property that has one.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.stamp_of(&self.value)
    }

    /// A stamp of a list, in this property's zone.
    pub(super) fn stamp_of(&self, text: &str) -> Option<Stamp> {
        let (when, is_utc) = date_or_time(text)?;
        Some(match when {
            When::Date(date) => Stamp::Date(date),
            When::Time(time) if self.is("VALUE", "DATE") => Stamp::Date(time.date()),
            When::Time(wall) if is_utc => Stamp::Utc(wall),
            When::Time(wall) => Stamp::Wall { wall, zone: self.parameter("TZID").map(str::to_owned) },
        })
    }
}

/// A date or a time as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stamp {
    /// A date.
    Date(NaiveDate),
    /// A time in UTC.
    Utc(NaiveDateTime),
    /// A wall time in a zone; without one it floats.
    Wall {
        /// What the clock on the wall shows.
        wall: NaiveDateTime,
        /// The zone's name as it is written.
        zone: Option<String>,
    },
}

/// A date, or a date and a time.
pub(super) enum When {
    Date(NaiveDate),
    Time(NaiveDateTime),
}

/// `20260310`, `20260310T090000`, the same with `Z`, and with the separators of ISO 8601; whether it is UTC.
pub(super) fn date_or_time(text: &str) -> Option<(When, bool)> {
    let text = text.trim();
    if text.len() > 40 || !text.is_ascii() {
        return None;
    }
    let plain: String = text.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let (plain, is_utc) = match plain.strip_suffix(['Z', 'z']) {
        Some(plain) => (plain, true),
        None => (plain.as_str(), false),
    };
    let (date, time) = match plain.split_once(['T', 't']) {
        Some((date, time)) => (date, Some(time)),
        None => (plain, None),
    };
    let date = ymd(date)?;
    match time {
        None => Some((When::Date(date), false)),
        Some(time) => {
            let number = |at: std::ops::Range<usize>| time.get(at)?.parse::<u32>().ok();
            let (hour, minute) = (number(0..2)?, number(2..4)?);
            let second = if time.len() >= 6 { number(4..6)? } else { 0 };
            // 240000 is the midnight after, and a leap second is none here.
            let (date, hour) = if hour == 24 { (date.succ_opt()?, 0) } else { (date, hour) };
            let time = NaiveTime::from_hms_opt(hour, minute, second.min(59))?;
            Some((When::Time(date.and_time(time)), is_utc))
        }
    }
}

fn ymd(text: &str) -> Option<NaiveDate> {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let year: i32 = text.get(..4)?.parse().ok()?;
    let (month, day) = (text.get(4..6)?.parse().ok()?, text.get(6..8)?.parse().ok()?);
    YEARS.contains(&year).then(|| NaiveDate::from_ymd_opt(year, month, day))?
}

/// How long something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many milliseconds.
    Exact(i64),
    /// So many milliseconds on the clock on the wall: a day of 23 hours counts as one.
    Wall(i64),
}

impl Length {
    pub(super) const fn ms(self) -> i64 {
        match self {
            Length::Exact(ms) | Length::Wall(ms) => ms,
        }
    }
}

/// The longest duration: longer ones have not been seen, and sums of them must not overflow.
const LENGTH_DAYS_MAX: i64 = 36_600;

/// `PT1H30M`, `-P1D`, `P2W`. Days and weeks are those of the calendar (RFC 5545, 3.3.6).
pub(super) fn duration(text: &str) -> Option<Length> {
    let text = text.trim();
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let text = text.strip_prefix(['P', 'p'])?;
    let (mut total, mut number, mut has_time, mut has_part) = (0_i64, String::new(), false, false);
    let mut exact_part = 0_i64;
    for c in text.chars() {
        match c.to_ascii_uppercase() {
            'T' => has_time = true,
            digit @ '0'..='9' if number.len() < 9 => number.push(digit),
            unit => {
                let each = match (unit, has_time) {
                    ('W', _) => 7 * 86_400_000,
                    ('D', _) => 86_400_000,
                    ('H', true) => 3_600_000,
                    ('M', true) => 60_000,
                    ('S', true) => 1_000,
                    _ => return None,
                };
                let ms = number.parse::<i64>().ok()?.checked_mul(each)?;
                number.clear();
                has_part = true;
                total = total.checked_add(ms)?;
                if each < 86_400_000 {
                    exact_part += ms;
                }
            }
        }
    }
    if !number.is_empty() || !has_part || total > LENGTH_DAYS_MAX * 86_400_000 {
        return None;
    }
    Some(if exact_part > 0 || total == 0 { Length::Exact(sign * total) } else { Length::Wall(sign * total) })
}

/// `+0100`, `-053000`, in milliseconds.
pub(super) fn offset(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let number = |at: std::ops::Range<usize>| digits.get(at)?.parse::<i64>().ok();
    let (hours, minutes) = (number(0..2)?, number(2..4)?);
    let seconds = number(4..6).unwrap_or(0);
    (hours <= 24 && minutes < 60 && seconds < 60)
        .then_some(sign * (hours * 3_600 + minutes * 60 + seconds) * 1_000)
}
