//! A VEVENT: when it is, how it repeats, and what it says.

use crate::model::{
    Attendee, AttendeeType, Details, Importance, OnlineMeeting, OnlineProvider, Person, Response,
    Sensitivity, ShowAs,
};
use crate::source::graph::{
    ADDRESS_BYTES_MAX, ATTENDEES_MAX, BODY_CHARS_MAX, CATEGORIES_MAX, ID_BYTES_MAX, LOCATION_CHARS_MAX,
    NAME_CHARS_MAX, PREVIEW_CHARS_MAX, SUBJECT_CHARS_MAX, text,
};
use crate::source::ical::Reading;
use crate::source::ical::component::Block;
use crate::source::ical::place::{Book, Moment};
use crate::source::ical::problem::{ProblemKind, Problems};
use crate::source::ical::property::{Length, Property, Stamp, duration};

/// Dates added to or taken from a series that count.
const DATES_MAX: usize = 20_000;
/// Rules of one series that count: RFC 5545 advises against more than one.
const RULES_MAX: usize = 8;
/// Alarms of one event that count.
const ALARMS_MAX: usize = 100;
/// A UID longer than this is known by its hash.
const UID_BYTES_MAX: usize = 512;
const DAY_MS: i64 = 86_400_000;
/// Outlook's preview has as many characters.
const PREVIEW_CHARS: usize = 255;

/// A component that was read.
pub(super) struct Event {
    pub(super) line: u64,
    /// Its UID; of one without, a hash of what it says.
    pub(super) uid: String,
    pub(super) start: Moment,
    pub(super) length: Length,
    /// The slot of an exception.
    pub(super) slot: Option<Moment>,
    /// The exception counts for its slot and all later ones.
    pub(super) is_this_and_future: bool,
    /// RRULE values.
    pub(super) rules: Vec<String>,
    /// RDATE: moments, with their own length when they have one.
    pub(super) added: Vec<(Moment, Option<Length>)>,
    /// EXDATE.
    pub(super) removed: Vec<Moment>,
    pub(super) details: Details,
    /// SEQUENCE, then DTSTAMP or LAST-MODIFIED: which of two versions is newer.
    pub(super) version: (i64, i64),
    pub(super) modified_ms: Option<i64>,
}

impl Event {
    pub(super) fn read(
        block: &Block,
        book: &Book<'_>,
        reading: &Reading<'_>,
        problems: &mut Problems,
    ) -> Result<Event, ProblemKind> {
        let stamp = block.get("DTSTART").and_then(Property::stamp).ok_or(ProblemKind::Start)?;
        let mut start = book.moment(&stamp);
        let mut end = None;
        if let Some(property) = block.get("DTEND") {
            end = property.stamp().map(|stamp| book.moment(&stamp));
            if end.is_none() {
                problems.note(block, ProblemKind::End);
            }
        }
        let is_guess = start.is_guess || end.as_ref().is_some_and(|end| end.is_guess);
        if is_guess {
            problems.note(block, ProblemKind::Zone);
        }
        // Outlook writes all-day events as times at midnight of the zone they were made in; Notes by a type.
        let is_marked_all_day = block.code("X-MICROSOFT-CDO-ALLDAYEVENT").is_some_and(|code| code == "TRUE")
            || block.code("X-MICROSOFT-MSNCALENDAR-ALLDAYEVENT").is_some_and(|code| code == "TRUE");
        let is_midnight = |moment: &Moment| moment.is_date || moment.wall.time() == chrono::NaiveTime::MIN;
        if is_marked_all_day
            && !start.is_date
            && is_midnight(&start)
            && end.as_ref().is_none_or(|end| is_midnight(end) && end.wall > start.wall)
        {
            start = book.moment(&Stamp::Date(start.wall.date()));
            end = end.map(|end| book.moment(&Stamp::Date(end.wall.date())));
        }
        let own_duration = match block.get("DURATION") {
            Some(property) => {
                let read = duration(&property.value).filter(|length| length.ms() >= 0);
                if read.is_none() && end.is_none() {
                    problems.note(block, ProblemKind::End);
                }
                read
            }
            None => None,
        };
        let length = length(&start, end.as_ref(), own_duration).unwrap_or_else(|| {
            problems.note(block, ProblemKind::End);
            Length::Exact(if start.is_date { DAY_MS } else { 0 })
        });
        let slot = match block.get("RECURRENCE-ID") {
            Some(property) => Some(book.moment(&property.stamp().ok_or(ProblemKind::RecurrenceId)?)),
            None => None,
        };
        let time = |name: &str| block.get(name).and_then(Property::stamp).map(|stamp| book.moment(&stamp).ms);
        let modified_ms = time("LAST-MODIFIED").or_else(|| time("DTSTAMP"));
        let sequence =
            block.get("SEQUENCE").and_then(|property| property.value.trim().parse().ok()).unwrap_or(0);
        let details = details(block, &start, length, reading);
        let uid = match block.uid() {
            Some(uid) if uid.len() <= UID_BYTES_MAX => uid.to_owned(),
            Some(uid) => format!("long-{}", blake3::hash(uid.as_bytes()).to_hex()),
            None => nameless(&start, &details),
        };
        Ok(Event {
            line: block.line,
            uid,
            length,
            slot,
            is_this_and_future: block.get("RECURRENCE-ID").is_some_and(Property::is_this_and_future),
            rules: block.all("RRULE").take(RULES_MAX).map(|property| property.value.clone()).collect(),
            added: added(block, book, problems),
            removed: removed(block, book, problems),
            details,
            version: (sequence, modified_ms.unwrap_or(i64::MIN)),
            modified_ms,
            start,
        })
    }
}

/// How long an event is; `None` when its end says nothing.
fn length(start: &Moment, end: Option<&Moment>, own: Option<Length>) -> Option<Length> {
    match (end, own) {
        (Some(end), _) if start.is_date || end.is_date => {
            let days = (end.wall.date() - start.wall.date()).num_days();
            // An all-day event that ends when it starts is one day, as every program shows it.
            let days = if start.is_date && days == 0 { 1 } else { days };
            (days >= 0).then_some(Length::Wall(days.saturating_mul(DAY_MS)))
        }
        // On the clock on the wall, so that a daily meeting of an hour is one on the days of the change, too.
        (Some(end), _) if end.place == start.place && end.wall >= start.wall && end.ms >= start.ms => {
            Some(Length::Wall((end.wall - start.wall).num_milliseconds()))
        }
        (Some(end), _) => (end.ms >= start.ms).then_some(Length::Exact(end.ms.saturating_sub(start.ms))),
        (None, Some(length)) if start.is_date => {
            Some(Length::Wall(length.ms().div_euclid(DAY_MS).max(1).saturating_mul(DAY_MS)))
        }
        (None, Some(length)) => Some(length),
        (None, None) => Some(if start.is_date { Length::Wall(DAY_MS) } else { Length::Exact(0) }),
    }
}

fn nameless(start: &Moment, details: &Details) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&start.ms.to_le_bytes());
    for text in [&details.subject, &details.location, &details.body] {
        let text = text.as_deref().unwrap_or_default();
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    format!("nameless-{}", hasher.finalize().to_hex().get(..32).unwrap_or_default())
}

fn added(block: &Block, book: &Book<'_>, problems: &mut Problems) -> Vec<(Moment, Option<Length>)> {
    let mut added = Vec::new();
    for property in block.all("RDATE") {
        for text in property.value.split(',').filter(|text| !text.trim().is_empty()) {
            if added.len() >= DATES_MAX {
                problems.note(block, ProblemKind::RuleLong);
                return added;
            }
            let (from, to) = match text.split_once('/') {
                Some((from, to)) => (from, Some(to)),
                None => (text, None),
            };
            let Some(from) = property.stamp_of(from).map(|stamp| book.moment(&stamp)) else {
                problems.note(block, ProblemKind::Date);
                continue;
            };
            let own = to.and_then(|to| match property.stamp_of(to) {
                Some(to) => length(&from, Some(&book.moment(&to)), None),
                None => duration(to).filter(|length| length.ms() >= 0),
            });
            added.push((from, own));
        }
    }
    added
}

fn removed(block: &Block, book: &Book<'_>, problems: &mut Problems) -> Vec<Moment> {
    let mut removed = Vec::new();
    for property in block.all("EXDATE") {
        // vCalendar 1.0 separates by semicolons.
        for text in property.value.split([',', ';']).filter(|text| !text.trim().is_empty()) {
            if removed.len() >= DATES_MAX {
                problems.note(block, ProblemKind::RuleLong);
                return removed;
            }
            match property.stamp_of(text) {
                Some(stamp) => removed.push(book.moment(&stamp)),
                None => problems.note(block, ProblemKind::Date),
            }
        }
    }
    removed
}

fn details(block: &Block, start: &Moment, length: Length, reading: &Reading<'_>) -> Details {
    let line =
        |name: &str, max: usize| block.get(name).and_then(|property| text::line(property.value.trim(), max));
    let body = block
        .get("DESCRIPTION")
        .and_then(|property| text::block(&property.value, BODY_CHARS_MAX))
        .or_else(|| {
            let html = block.get("X-ALT-DESC")?;
            text::of_html(&html.value, BODY_CHARS_MAX)
        });
    let body = body.map(|body| body.trim_end().to_owned()).filter(|body| !body.is_empty());
    let body_preview = body.as_deref().and_then(|body| {
        let preview: String = body.chars().take(PREVIEW_CHARS.min(PREVIEW_CHARS_MAX)).collect();
        text::block(&preview, PREVIEW_CHARS_MAX)
    });
    let organizer = block.get("ORGANIZER").and_then(person);
    let attendees: Vec<Attendee> = block.all("ATTENDEE").filter_map(attendee).take(ATTENDEES_MAX).collect();
    let is_user = |person: &Person| {
        let own = reading.user.zip(person.address.as_deref());
        own.is_some_and(|(user, address)| user.eq_ignore_ascii_case(address))
    };
    // A calendar's own appointments name nobody; those that name an organizer are somebody's meetings.
    let is_organizer = match &organizer {
        Some(organizer) => is_user(organizer),
        None => attendees.is_empty(),
    };
    let own_answer = attendees.iter().find(|attendee| is_user(&attendee.person)).map(|own| own.response);
    let response = if is_organizer { Response::Organizer } else { own_answer.unwrap_or(Response::None) };
    let status = block.code("STATUS");
    let is_cancelled = status.as_deref() == Some("CANCELLED") || block.is_cancellation;
    Details {
        ical_uid: block.uid().and_then(|uid| text::line(uid, ID_BYTES_MAX)),
        subject: line("SUMMARY", SUBJECT_CHARS_MAX),
        body,
        body_preview,
        location: line("LOCATION", LOCATION_CHARS_MAX),
        is_all_day: start.is_date,
        is_cancelled,
        is_organizer,
        show_as: show_as(block, status.as_deref()),
        sensitivity: sensitivity(block),
        importance: importance(block),
        response,
        categories: categories(block),
        organizer,
        attendees,
        reminder_minutes: reminder_minutes(block, start, length),
        online_meeting: online_meeting(block),
        web_link: block
            .get("URL")
            .and_then(|property| text::web_address(property.value.trim(), ADDRESS_BYTES_MAX)),
        original_time_zone: (!start.is_floating).then(|| start.place.name().to_owned()),
        transaction_id: None,
    }
}

/// Outlook's own property is the finest; TRANSP knows free and not free; STATUS knows tentative.
fn show_as(block: &Block, status: Option<&str>) -> ShowAs {
    let outlook = |name: &str| match block.code(name)?.as_str() {
        "FREE" => Some(ShowAs::Free),
        "TENTATIVE" => Some(ShowAs::Tentative),
        "BUSY" => Some(ShowAs::Busy),
        "OOF" => Some(ShowAs::Oof),
        "WORKINGELSEWHERE" => Some(ShowAs::WorkingElsewhere),
        _ => None,
    };
    // What the organizer intends is what will be shown once it is accepted; it counts when nothing else is said.
    if let Some(said) =
        outlook("X-MICROSOFT-CDO-BUSYSTATUS").or_else(|| outlook("X-MICROSOFT-MSNCALENDAR-BUSYSTATUS"))
    {
        return said;
    }
    // vCalendar 1.0 has numbers: 0 blocks the time, more does not.
    match block.code("TRANSP").as_deref() {
        Some("TRANSPARENT" | "1") => ShowAs::Free,
        _ if status == Some("TENTATIVE") => ShowAs::Tentative,
        Some(_) => ShowAs::Busy,
        None => outlook("X-MICROSOFT-CDO-INTENDEDSTATUS").unwrap_or(ShowAs::Busy),
    }
}

/// An unknown class is treated as private (RFC 5545, 3.8.1.3).
fn sensitivity(block: &Block) -> Sensitivity {
    match block.code("CLASS").as_deref() {
        None | Some("PUBLIC" | "") => Sensitivity::Normal,
        Some("CONFIDENTIAL") => Sensitivity::Confidential,
        Some("X-PERSONAL" | "PERSONAL") => Sensitivity::Personal,
        Some(_) => Sensitivity::Private,
    }
}

fn importance(block: &Block) -> Importance {
    let outlook = block.code("X-MICROSOFT-CDO-IMPORTANCE");
    match (outlook.as_deref(), block.code("PRIORITY").as_deref()) {
        (Some("2"), _) => Importance::High,
        (Some("0"), _) => Importance::Low,
        (Some("1"), _) => Importance::Normal,
        (_, Some("1" | "2" | "3" | "4")) => Importance::High,
        (_, Some("6" | "7" | "8" | "9")) => Importance::Low,
        _ => Importance::Normal,
    }
}

fn categories(block: &Block) -> Vec<String> {
    let mut categories: Vec<String> = Vec::new();
    for category in block.all("CATEGORIES").flat_map(Property::texts) {
        if let Some(category) = text::line(&category, NAME_CHARS_MAX)
            && categories.len() < CATEGORIES_MAX
            && !categories.contains(&category)
        {
            categories.push(category);
        }
    }
    categories
}

/// A calendar user: `mailto:` or a bare address, and a name. Notes and others write names without an address.
fn person(property: &Property) -> Option<Person> {
    let value = property.value.trim();
    let address = match value.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => value.get(7..),
        _ => property
            .parameter("EMAIL")
            .or(Some(value))
            .filter(|value| value.contains('@') && !value.contains(':')),
    };
    let address = address.and_then(|address| text::line(address.trim(), ADDRESS_BYTES_MAX));
    let name = property.parameter("CN").and_then(|name| text::line(name.trim(), NAME_CHARS_MAX));
    (address.is_some() || name.is_some()).then_some(Person { name, address })
}

fn attendee(property: &Property) -> Option<Attendee> {
    let code = |name: &str| property.parameter(name).map(str::to_ascii_uppercase);
    let kind = match (code("CUTYPE").as_deref(), code("ROLE").as_deref()) {
        (Some("RESOURCE" | "ROOM"), _) => AttendeeType::Resource,
        (_, Some("OPT-PARTICIPANT" | "NON-PARTICIPANT")) => AttendeeType::Optional,
        _ => AttendeeType::Required,
    };
    let response = match code("PARTSTAT").or_else(|| code("STATUS")).as_deref() {
        Some("ACCEPTED" | "CONFIRMED") => Response::Accepted,
        Some("TENTATIVE") => Response::Tentative,
        Some("DECLINED") => Response::Declined,
        Some("NEEDS-ACTION" | "NEEDS ACTION") | None => Response::NotResponded,
        Some(_) => Response::None,
    };
    Some(Attendee { person: person(property)?, kind, response })
}

/// The alarm nearest to the start: the one that calls to the meeting. Alarms that mail, that are switched off, and
/// that come after the start are no reminders.
fn reminder_minutes(block: &Block, start: &Moment, length: Length) -> Option<i32> {
    let alarms = block.parts.iter().filter(|part| part.name == "VALARM").take(ALARMS_MAX);
    let minutes = alarms.filter_map(|alarm| {
        let action = alarm.code("ACTION");
        if matches!(action.as_deref(), Some("EMAIL" | "NONE")) {
            return None;
        }
        let trigger = alarm.get("TRIGGER")?;
        let before_ms = match duration(&trigger.value) {
            Some(offset) => {
                let is_from_end = trigger.parameter("RELATED").is_some_and(|r| r.eq_ignore_ascii_case("END"));
                let offset_ms =
                    if is_from_end { offset.ms().saturating_add(length.ms()) } else { offset.ms() };
                offset_ms.saturating_neg()
            }
            None => {
                let at = match trigger.stamp()? {
                    Stamp::Utc(utc) => utc.and_utc().timestamp_millis(),
                    Stamp::Date(_) | Stamp::Wall { .. } => return None,
                };
                start.ms.saturating_sub(at)
            }
        };
        // An absolute time years away (Apple writes 1976) is a placeholder.
        (0..=400 * DAY_MS).contains(&before_ms).then(|| i32::try_from(before_ms / 60_000).ok())?
    });
    minutes.min()
}

fn online_meeting(block: &Block) -> Option<OnlineMeeting> {
    let named = [
        ("X-MICROSOFT-SKYPETEAMSMEETINGURL", Some(OnlineProvider::Teams)),
        ("X-MICROSOFT-ONLINEMEETINGEXTERNALLINK", Some(OnlineProvider::SkypeBusiness)),
        ("X-GOOGLE-CONFERENCE", None),
        ("CONFERENCE", None),
    ];
    named.into_iter().find_map(|(name, provider)| {
        let url = text::web_address(block.get(name)?.value.trim(), ADDRESS_BYTES_MAX)?;
        let host = url.split('/').nth(2).unwrap_or_default().to_ascii_lowercase();
        let is_teams = host == "teams.microsoft.com" || host == "teams.live.com";
        let provider =
            if is_teams { OnlineProvider::Teams } else { provider.unwrap_or(OnlineProvider::Other) };
        Some(OnlineMeeting { provider, join_url: Some(url) })
    })
}
