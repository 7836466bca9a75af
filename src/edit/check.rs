use crate::edit::Refusal;
use crate::edit::names::{names_of, times_of};
use crate::edit::same::{by_person, identity};
use crate::model::{
    DAY_MS, Details, EventRecord, Fields, Intent, Invitee, Person, Reminder, Response, ShowAs, Times,
};
use crate::zones::Zones;

/// The most characters of a subject, a place or a category (Exchange).
pub(super) const TEXT_CHARS_MAX: usize = 255;
/// The most bytes of a body.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes of a comment.
pub(super) const COMMENT_BYTES_MAX: usize = 32 * 1024;
/// The most people invited, or forwarded to at once (Graph, "Create event").
pub(super) const ATTENDEES_MAX: usize = 500;
/// The most categories; the mirror keeps as many.
pub(super) const CATEGORIES_MAX: usize = 50;
/// The longest event (Exchange, five years).
pub(super) const DAYS_MAX: i64 = 1825;
/// Four weeks of minutes.
pub(super) const REMINDER_MINUTES_MAX: i32 = 40_320;
/// The longest mail address (RFC 5321: 64 + 1 + 255).
const ADDRESS_CHARS_MAX: usize = 320;
/// 1601-01-01 and 4501-01-01, between which Outlook's times lie.
const FIRST_MS: i64 = -11_644_473_600_000;
const LAST_MS: i64 = 79_872_220_800_000;

/// What a wish is about.
#[derive(Debug, Clone, Copy)]
pub struct Target<'t> {
    /// Whether the user may write into its calendar.
    pub calendar_can_edit: bool,
    /// The event as it is shown, an occurrence's details filled in; `None` for a create.
    pub record: Option<&'t EventRecord>,
    /// Whether it is a whole series, and the record its master.
    pub is_series: bool,
}

/// Whether a wish may be recorded. What it says is not compared with the event here: see
/// [`fold`](crate::edit::fold).
///
/// # Errors
/// The first rule that it breaks.
pub fn check(intent: &Intent, target: &Target<'_>, zones: &Zones, now_ms: i64) -> Result<(), Refusal> {
    if !target.calendar_can_edit {
        return Err(Refusal::ReadOnlyCalendar);
    }
    match intent {
        Intent::Create(fields) => {
            if fields.times.is_none() {
                return Err(Refusal::NoTimes);
            }
            check_fields(fields, None, zones)
        }
        Intent::Update(fields) => {
            if fields.is_empty() {
                return Err(Refusal::EmptyUpdate);
            }
            let (record, details) = complete(target)?;
            check_owner(fields, record, details)?;
            check_fields(fields, Some(record), zones)?;
            match &fields.times {
                Some(times) if target.is_series => check_day(times, record, zones),
                Some(_) | None => Ok(()),
            }
        }
        Intent::Delete => Ok(()),
        Intent::Cancel { comment } => {
            let (_, details) = complete(target)?;
            check_comment(comment)?;
            if !is_organizer(details) {
                return Err(Refusal::CancelNotOrganizer);
            }
            check_alive(details)?;
            if details.attendees.is_empty() { Err(Refusal::NothingToCancel) } else { Ok(()) }
        }
        Intent::Respond { comment, .. } => {
            let (_, details) = complete(target)?;
            check_comment(comment)?;
            let is_meeting =
                !details.attendees.is_empty() || !details.is_organizer && details.organizer.is_some();
            match (is_meeting, is_organizer(details)) {
                (false, _) => Err(Refusal::NoInvitation),
                (true, true) => Err(Refusal::OwnMeeting),
                (true, false) => check_alive(details),
            }
        }
        Intent::Forward { to, comment } => {
            let (_, details) = complete(target)?;
            check_comment(comment)?;
            check_alive(details)?;
            match to.len() {
                0 => Err(Refusal::NobodyToForward),
                1..=ATTENDEES_MAX => to.iter().try_for_each(check_person),
                _ => Err(Refusal::TooManyPeople),
            }
        }
        Intent::Snooze { until_ms } => {
            if *until_ms <= now_ms {
                return Err(Refusal::SnoozeInPast);
            }
            check_range(*until_ms)
        }
        Intent::Dismiss => Ok(()),
    }
}

/// Whether the mailbox owner organizes it.
pub(super) fn is_organizer(details: &Details) -> bool {
    details.is_organizer || details.response == Response::Organizer
}

/// The fields that are an attendee's own; the organizer's next update overwrites every other.
fn without_personal(fields: &Fields) -> Fields {
    Fields { show_as: None, categories: None, reminder: None, ..fields.clone() }
}

fn complete<'t>(target: &Target<'t>) -> Result<(&'t EventRecord, &'t Details), Refusal> {
    let record = target.record.ok_or(Refusal::NotFetched)?;
    let details = record.details.as_deref().ok_or(Refusal::NotFetched)?;
    Ok((record, details))
}

fn check_alive(details: &Details) -> Result<(), Refusal> {
    if details.is_cancelled { Err(Refusal::EventCancelled) } else { Ok(()) }
}

fn check_owner(fields: &Fields, record: &EventRecord, details: &Details) -> Result<(), Refusal> {
    let shared = without_personal(fields);
    if shared.is_empty() {
        return Ok(());
    }
    check_alive(details)?;
    if is_organizer(details) {
        return Ok(());
    }
    let mut fields = names_of(&shared, Some(record));
    if fields.is_empty() {
        fields = names_of(&shared, None);
    }
    Err(Refusal::NotOrganizer { fields: fields.join(", ") })
}

fn check_fields(fields: &Fields, record: Option<&EventRecord>, zones: &Zones) -> Result<(), Refusal> {
    let Fields {
        subject,
        body,
        times,
        location,
        show_as,
        sensitivity: _,
        importance: _,
        categories,
        attendees,
        reminder,
    } = fields;
    if let Some(times) = times {
        check_times(times, record, zones)?;
    }
    for (field, text) in [("subject", subject), ("location", location)] {
        if let Some(text) = text {
            check_line(field, text)?;
        }
    }
    if let Some(body) = body {
        if body.len() > BODY_BYTES_MAX {
            return Err(Refusal::BodyTooLong);
        }
        check_lines("body", body)?;
    }
    if *show_as == Some(ShowAs::Unknown) {
        return Err(Refusal::UnknownShowAs);
    }
    if let Some(categories) = categories {
        if categories.len() > CATEGORIES_MAX {
            return Err(Refusal::TooManyCategories);
        }
        for category in categories {
            if category.trim().is_empty() {
                return Err(Refusal::EmptyCategory);
            }
            check_line("categories", category)?;
        }
    }
    if let Some(attendees) = attendees {
        check_attendees(attendees, record)?;
    }
    match reminder {
        Some(Reminder::Minutes(minutes)) if !(0..=REMINDER_MINUTES_MAX).contains(minutes) => {
            Err(Refusal::BadReminder)
        }
        Some(Reminder::Minutes(_) | Reminder::Off) | None => Ok(()),
    }
}

fn check_times(times: &Times, record: Option<&EventRecord>, zones: &Zones) -> Result<(), Refusal> {
    check_range(times.start_ms)?;
    check_range(times.end_ms)?;
    if times.end_ms < times.start_ms {
        return Err(Refusal::EndBeforeStart);
    }
    if times.is_all_day {
        if times.start_ms.rem_euclid(DAY_MS) != 0 || times.end_ms.rem_euclid(DAY_MS) != 0 {
            return Err(Refusal::AllDayWithTime);
        }
        if times.end_ms == times.start_ms {
            return Err(Refusal::AllDayEmpty);
        }
    }
    if times.end_ms.saturating_sub(times.start_ms) > DAYS_MAX.saturating_mul(DAY_MS) {
        return Err(Refusal::TooLong);
    }
    let Some(zone) = times.zone.as_deref() else { return Ok(()) };
    // A custom zone that the event has already is the server's own word.
    let is_its_own = record.is_some_and(|record| times_of(record).zone.as_deref() == Some(zone));
    if is_its_own || zones.resolve(zone).is_some() { Ok(()) } else { Err(Refusal::UnknownZone) }
}

fn check_range(ms: i64) -> Result<(), Refusal> {
    if (FIRST_MS..LAST_MS).contains(&ms) { Ok(()) } else { Err(Refusal::OutOfRange) }
}

/// A series on another day needs another recurrence rule, which no field says.
fn check_day(times: &Times, master: &EventRecord, zones: &Zones) -> Result<(), Refusal> {
    let was = times_of(master);
    let new = Times { zone: times.zone.clone().or_else(|| was.zone.clone()), ..times.clone() };
    let day = |times: &Times| crate::edit::shift::wall_start(times, zones).date();
    if day(&was) == day(&new) { Ok(()) } else { Err(Refusal::SeriesDay) }
}

fn check_attendees(attendees: &[Invitee], record: Option<&EventRecord>) -> Result<(), Refusal> {
    if attendees.len() > ATTENDEES_MAX {
        return Err(Refusal::TooManyPeople);
    }
    // Somebody without an address who is on the list already came from the server and may stay.
    let details = record.and_then(|record| record.details.as_deref());
    let invited: Vec<Invitee> =
        details.map(|details| details.attendees.iter().map(Invitee::from).collect()).unwrap_or_default();
    let invited = by_person(&invited);
    let new = attendees.iter().filter(|invitee| !invited.contains_key(&identity(&invitee.person)));
    new.map(|invitee| &invitee.person).try_for_each(check_person)
}

fn check_person(person: &Person) -> Result<(), Refusal> {
    if let Some(name) = &person.name {
        check_line("attendees", name)?;
    }
    let address = person.address.as_deref().unwrap_or_default();
    let is_plain = address.chars().count() <= ADDRESS_CHARS_MAX
        && !address
            .contains(|c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';'));
    match address.rsplit_once('@') {
        Some((name, domain)) if is_plain && !name.is_empty() && !domain.is_empty() => Ok(()),
        Some(_) | None => Err(Refusal::BadAddress),
    }
}

fn check_comment(comment: &str) -> Result<(), Refusal> {
    if comment.len() > COMMENT_BYTES_MAX {
        return Err(Refusal::CommentTooLong);
    }
    check_lines("comment", comment)
}

fn check_line(field: &'static str, text: &str) -> Result<(), Refusal> {
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(Refusal::TextTooLong { field });
    }
    if text.contains(char::is_control) { Err(Refusal::ControlCharacters { field }) } else { Ok(()) }
}

fn check_lines(field: &'static str, text: &str) -> Result<(), Refusal> {
    let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.contains(is_bad) { Err(Refusal::ControlCharacters { field }) } else { Ok(()) }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
