use chrono::format::ParseErrorKind;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

use crate::zones::Zone;

/// Longer texts are no times.
const TIME_BYTES_MAX: usize = 64;
/// Without an offset. Seconds may have a fraction.
const WALL_FORMS: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
/// With an offset: RFC 3339, and the same without seconds.
const INSTANT_FORMS: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M%:z"];

/// Why a text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// It is written in no form that is understood.
    #[error("write a time as 2026-03-29, 2026-03-29T09:30 or 2026-03-29T09:30:00+02:00")]
    Form,
    /// The form is right, and there is no such day or hour.
    #[error("there is no such day or time of day")]
    NoSuchTime,
}

/// Reads RFC 3339, or a wall time or date in `zone`, as UTC epoch milliseconds. A date means its first instant.
/// A space may stand for the `T`; seconds may be left out. Fractions are cut at milliseconds.
///
/// # Errors
/// See [`TimeError`].
pub fn parse_time(text: &str, zone: &Zone) -> Result<i64, TimeError> {
    let text = shaped(text)?;
    if text.len() == "YYYY-MM-DD".len() {
        let date = parse_date(&text)?;
        return Ok(zone.instant_ms(date.and_time(NaiveTime::MIN)));
    }
    let has_offset = text.get(11..).is_some_and(|time| time.contains(['+', '-']));
    let mut last = TimeError::Form;
    let forms = if has_offset { INSTANT_FORMS } else { WALL_FORMS };
    for form in forms {
        let read = if has_offset {
            DateTime::parse_from_str(&text, form).map(|t| t.timestamp_millis())
        } else {
            NaiveDateTime::parse_from_str(&text, form).map(|wall| zone.instant_ms(wall))
        };
        match read {
            Ok(ms) => return Ok(ms),
            Err(problem) => last = worse(last, problem.kind()),
        }
    }
    Err(last)
}

/// Reads `YYYY-MM-DD`.
///
/// # Errors
/// See [`TimeError`].
pub fn parse_date(text: &str) -> Result<NaiveDate, TimeError> {
    let text = shaped(text)?;
    NaiveDate::parse_from_str(&text, "%Y-%m-%d").map_err(|problem| worse(TimeError::Form, problem.kind()))
}

/// Trimmed, with `T` between date and time and `Z` written out, if it looks like a time at all: chrono alone
/// would also read years of six digits, signs and inner spaces.
fn shaped(text: &str) -> Result<String, TimeError> {
    let text = text.trim();
    let is_date = |at: usize, byte: u8| match at {
        4 | 7 => byte == b'-',
        0..10 => byte.is_ascii_digit(),
        10 => matches!(byte, b'T' | b't' | b' '),
        _ => byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'+' | b'-' | b'Z' | b'z'),
    };
    if text.len() < 10
        || text.len() > TIME_BYTES_MAX
        || !text.bytes().enumerate().all(|(at, b)| is_date(at, b))
    {
        return Err(TimeError::Form);
    }
    let upper = text.to_ascii_uppercase().replace(' ', "T");
    Ok(match upper.strip_suffix('Z') {
        Some(utc) => format!("{utc}+00:00"),
        None => upper,
    })
}

fn worse(problem: TimeError, kind: ParseErrorKind) -> TimeError {
    match kind {
        ParseErrorKind::OutOfRange | ParseErrorKind::Impossible => TimeError::NoSuchTime,
        _ => problem,
    }
}
