//! What a user says about an event, as it was typed, and what it means.

use chrono::{Days, NaiveDate, NaiveTime};

use crate::api::{Error, ErrorKind, resolve_time};
use crate::edit::Refusal;
use crate::model::{DAY_MS, Fields, Importance, Invitee, Reminder, Sensitivity, ShowAs, Times};
use crate::zones::{TimeError, Zone, parse_date, parse_time};

/// What to say about an event; `None` leaves a field alone, an empty text or list clears it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FieldsCall {
    /// The subject.
    pub subject: Option<String>,
    /// The body as plain text.
    pub body: Option<String>,
    /// Start: RFC 3339, or a date or wall time in the zone of the call; of an all-day event a date.
    pub start: Option<String>,
    /// End, exclusive, in the same forms.
    pub end: Option<String>,
    /// Whether it is made of whole days.
    pub all_day: Option<bool>,
    /// The displayed place.
    pub location: Option<String>,
    /// free, tentative, busy, oof or working_elsewhere.
    pub show_as: Option<String>,
    /// normal, personal, private or confidential.
    pub sensitivity: Option<String>,
    /// low, normal or high.
    pub importance: Option<String>,
    /// All category names.
    pub categories: Option<Vec<String>>,
    /// Everybody invited.
    pub attendees: Option<Vec<Invitee>>,
    /// The reminder.
    pub reminder: Option<Reminder>,
}

impl std::fmt::Debug for FieldsCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FieldsCall(…)")
    }
}

/// The zone that times are read in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'r> {
    pub zone: &'r Zone,
    /// The caller named it: an event whose times change is meant in it from then on.
    pub is_named: bool,
}

impl FieldsCall {
    /// The fields of a new event.
    ///
    /// # Errors
    /// `Usage` for what cannot be read, `Refused` for a rule that is broken.
    pub(super) fn for_new(&self, reading: Reading<'_>) -> Result<Fields, Error> {
        Ok(Fields { times: Some(self.new_times(reading)?), ..self.plain()? })
    }

    /// The fields that change in an event of such times.
    ///
    /// # Errors
    /// As [`FieldsCall::for_new`].
    pub(super) fn for_change(&self, reading: Reading<'_>, was: &Times) -> Result<Fields, Error> {
        Ok(Fields { times: self.changed_times(reading, was)?, ..self.plain()? })
    }

    /// Everything but the times.
    fn plain(&self) -> Result<Fields, Error> {
        Ok(Fields {
            subject: self.subject.clone(),
            body: self.body.clone(),
            times: None,
            location: self.location.clone(),
            show_as: code(&self.show_as, "show_as", ShowAs::from_code, ShowAs::CODES)?,
            sensitivity: code(&self.sensitivity, "sensitivity", Sensitivity::from_code, Sensitivity::CODES)?,
            importance: code(&self.importance, "importance", Importance::from_code, Importance::CODES)?,
            categories: self.categories.clone(),
            attendees: self.attendees.clone(),
            reminder: self.reminder,
        })
    }

    fn new_times(&self, reading: Reading<'_>) -> Result<Times, Error> {
        let start = self.start.as_deref().ok_or(Refusal::NoTimes)?;
        let is_all_day = self.all_day == Some(true);
        let start_ms = read(start, is_all_day, reading.zone)?;
        let end_ms = match (&self.end, is_all_day) {
            (Some(end), _) => read(end, is_all_day, reading.zone)?,
            (None, true) => start_ms.saturating_add(DAY_MS),
            (None, false) => return Err(Refusal::NoTimes.into()),
        };
        Ok(Times { start_ms, end_ms, is_all_day, zone: Some(reading.zone.name().to_owned()) })
    }

    /// A start alone moves the event and keeps its length; an end alone keeps the start.
    fn changed_times(&self, reading: Reading<'_>, was: &Times) -> Result<Option<Times>, Error> {
        let is_all_day = self.all_day.unwrap_or(was.is_all_day);
        if self.start.is_none() && self.end.is_none() && is_all_day == was.is_all_day {
            return Ok(None);
        }
        let zone = reading.zone;
        let take =
            |text: &Option<String>| text.as_deref().map(|text| read(text, is_all_day, zone)).transpose();
        let (start, end) = (take(&self.start)?, take(&self.end)?);
        let (old_start_ms, old_end_ms) = match (was.is_all_day, is_all_day) {
            (true, true) | (false, false) => (was.start_ms, was.end_ms),
            (false, true) => days_of(was, zone),
            // Whole days do not say at which hours.
            (true, false) if start.is_none() || end.is_none() => return Err(Refusal::NoTimes.into()),
            (true, false) => (was.start_ms, was.end_ms),
        };
        let start_ms = start.unwrap_or(old_start_ms);
        let end_ms = match (start, end) {
            (_, Some(end_ms)) => end_ms,
            (Some(_), None) => start_ms.saturating_add(old_end_ms.saturating_sub(old_start_ms)),
            (None, None) => old_end_ms,
        };
        let own = if reading.is_named { None } else { was.zone.clone() };
        let zone = own.unwrap_or_else(|| zone.name().to_owned());
        Ok(Some(Times { start_ms, end_ms, is_all_day, zone: Some(zone) }))
    }
}

fn read(text: &str, is_all_day: bool, zone: &Zone) -> Result<i64, Error> {
    if !is_all_day {
        return resolve_time(zone, text);
    }
    match parse_date(text) {
        Ok(date) => Ok(date_ms(date)),
        Err(TimeError::NoSuchTime) => Err(Error::new(ErrorKind::Usage, TimeError::NoSuchTime.to_string())),
        Err(TimeError::Form) => match parse_time(text, zone) {
            Ok(_) => Err(Refusal::AllDayWithTime.into()),
            Err(problem) => Err(Error::new(ErrorKind::Usage, problem.to_string())),
        },
    }
}

/// The whole days that a timed event touches on the wall there.
fn days_of(times: &Times, zone: &Zone) -> (i64, i64) {
    let first = zone.date(times.start_ms);
    let last = zone.date(times.end_ms.saturating_sub(1).max(times.start_ms));
    let after = last.checked_add_days(Days::new(1)).unwrap_or(last);
    (date_ms(first), date_ms(after))
}

fn date_ms(date: NaiveDate) -> i64 {
    date.and_time(NaiveTime::MIN).and_utc().timestamp_millis()
}

fn code<T>(
    text: &Option<String>,
    name: &str,
    from_code: fn(&str) -> Option<T>,
    codes: &[&str],
) -> Result<Option<T>, Error> {
    let Some(text) = text else { return Ok(None) };
    match from_code(text) {
        Some(value) => Ok(Some(value)),
        None => Err(Error::new(ErrorKind::Usage, format!("`{name}` must be one of {}", codes.join(", ")))),
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::broken(refusal.kind(), refusal.to_string())
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::zones::Zones;

    fn ms(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    fn said(start: Option<&str>, end: Option<&str>, all_day: Option<bool>) -> FieldsCall {
        FieldsCall {
            start: start.map(str::to_owned),
            end: end.map(str::to_owned),
            all_day,
            ..FieldsCall::default()
        }
    }

    fn rule(error: &Error) -> (ErrorKind, Option<&'static str>) {
        (error.kind(), error.rule())
    }

    #[test]
    fn a_new_event_is_read_in_the_zone_of_the_call() {
        let zone = Zones::bundled().resolve("Europe/Berlin").unwrap();
        let reading = Reading { zone: &zone, is_named: false };
        let times = |call: FieldsCall| call.for_new(reading).map(|fields| fields.times.unwrap());
        let timed = times(said(Some("2026-03-02 09:00"), Some("2026-03-02T10:00:00Z"), None)).unwrap();
        assert_eq!((timed.start_ms, timed.end_ms), (ms("2026-03-02T08:00:00Z"), ms("2026-03-02T10:00:00Z")));
        assert_eq!((timed.is_all_day, timed.zone.as_deref()), (false, Some("Europe/Berlin")));
        let days = times(said(Some("2026-03-02"), None, Some(true))).unwrap();
        assert_eq!((days.start_ms, days.end_ms), (ms("2026-03-02T00:00:00Z"), ms("2026-03-03T00:00:00Z")));
        for (call, expected) in [
            (said(None, Some("2026-03-02"), None), (ErrorKind::Refused, Some("no_times"))),
            (said(Some("2026-03-02T09:00"), None, None), (ErrorKind::Refused, Some("no_times"))),
            (
                said(Some("2026-03-02T09:00"), Some("2026-03-03"), Some(true)),
                (ErrorKind::Refused, Some("all_day_with_time")),
            ),
            (said(Some("tomorrow"), None, Some(true)), (ErrorKind::Usage, None)),
            (said(Some("2026-02-30"), None, Some(true)), (ErrorKind::Usage, None)),
            (said(Some("2026-03-02T25:00"), Some("2026-03-03"), None), (ErrorKind::Usage, None)),
        ] {
            assert_eq!(rule(&times(call.clone()).unwrap_err()), expected, "{:?}", call.start);
        }
    }

    #[test]
    fn what_is_not_said_of_a_time_stays() {
        let zone = Zones::bundled().resolve("Europe/Berlin").unwrap();
        let was = Times {
            start_ms: ms("2026-03-02T08:00:00Z"),
            end_ms: ms("2026-03-02T09:00:00Z"),
            is_all_day: false,
            zone: Some("America/New_York".to_owned()),
        };
        let days = Times {
            start_ms: ms("2026-03-02T00:00:00Z"),
            end_ms: ms("2026-03-04T00:00:00Z"),
            is_all_day: true,
            zone: None,
        };
        let change = |call: FieldsCall, was: &Times, is_named| {
            call.for_change(Reading { zone: &zone, is_named }, was).map(|fields| fields.times)
        };
        assert_eq!(change(said(None, None, None), &was, true).unwrap(), None);
        assert_eq!(change(said(None, None, Some(false)), &was, false).unwrap(), None);
        let moved = change(said(Some("2026-03-03T15:00"), None, None), &was, false).unwrap().unwrap();
        assert_eq!((moved.start_ms, moved.end_ms), (ms("2026-03-03T14:00:00Z"), ms("2026-03-03T15:00:00Z")));
        assert_eq!(moved.zone, was.zone);
        let longer = change(said(None, Some("2026-03-02T11:00"), None), &was, true).unwrap().unwrap();
        assert_eq!((longer.start_ms, longer.end_ms), (was.start_ms, ms("2026-03-02T10:00:00Z")));
        assert_eq!(longer.zone.as_deref(), Some("Europe/Berlin"));
        let whole = change(said(None, None, Some(true)), &was, false).unwrap().unwrap();
        assert_eq!((whole.start_ms, whole.end_ms), (ms("2026-03-02T00:00:00Z"), ms("2026-03-03T00:00:00Z")));
        let later = change(said(Some("2026-03-10"), None, None), &days, false).unwrap().unwrap();
        assert_eq!((later.start_ms, later.end_ms), (ms("2026-03-10T00:00:00Z"), ms("2026-03-12T00:00:00Z")));
        let error = change(said(Some("2026-03-10T09:00"), None, None), &days, false).unwrap_err();
        assert_eq!(rule(&error), (ErrorKind::Refused, Some("all_day_with_time")));
        let error = change(said(Some("2026-03-10T09:00"), None, Some(false)), &days, false).unwrap_err();
        assert_eq!(rule(&error), (ErrorKind::Refused, Some("no_times")));
    }
}
