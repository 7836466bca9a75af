//! Items of a calendar, as the mirror's rows.

use std::sync::LazyLock;

use crate::model::{
    Attendee, AttendeeType, DAY_MS, Details, EventKind, EventRecord, Importance, OnlineMeeting,
    OnlineProvider, Person, RemoteId, Response, Sensitivity, ShowAs, Skipped, Window,
};
use crate::source::ews::request::TRANSACTION;
use crate::source::ews::xml::Element;
use crate::source::graph::{
    ADDRESS_BYTES_MAX, ATTENDEES_MAX, BODY_CHARS_MAX, CATEGORIES_MAX, ID_BYTES_MAX, LOCATION_CHARS_MAX,
    NAME_CHARS_MAX, PREVIEW_CHARS_MAX, SUBJECT_CHARS_MAX, text, time,
};
use crate::zones::Zones;

/// Half a day: midnight anywhere from twelve hours west to almost twelve east of Greenwich, rounded, is its date.
const HALF_DAY_MS: i64 = DAY_MS / 2;
/// Changed instances of a series that are looked at for its reach.
const MODIFIED_MAX: usize = 10_000;

/// An item that was asked for by id.
#[derive(PartialEq, Eq)]
pub(super) struct Item {
    /// Its row. An occurrence or exception does not say which series it belongs to: that is asked for separately.
    pub record: EventRecord,
    /// The iCalendar UID, which instances share with their series.
    pub uid: Option<String>,
    /// The folder it lies in.
    pub folder: Option<RemoteId>,
    /// From its first to its last instant, all instances of a series included.
    reach: (i64, i64),
}

impl Item {
    /// Whether anything of it may lie in `window`.
    pub fn touches(&self, window: Window) -> bool {
        window.overlaps(self.reach.0, self.reach.1)
    }
}

/// A row of a view: when something is, and hardly more.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub remote_id: RemoteId,
    pub change_key: Option<String>,
    pub kind: EventKind,
    pub uid: Option<String>,
    pub start_ms: i64,
    pub end_ms: i64,
    /// Its start as the server orders it: of an all-day event the instant of that midnight.
    pub begins_ms: i64,
}

/// Reads a row of a view.
pub(super) fn slot(item: &Element) -> Result<Slot, Skipped> {
    let (remote_id, change_key) = identity(item)?;
    let is_all_day = item.truth_at(&["IsAllDayEvent"]).unwrap_or(false);
    let (start_ms, end_ms) = times(item, is_all_day).ok_or(Skipped::Times)?;
    let begins_ms = instant(item, &["Start"]).ok_or(Skipped::Times)?;
    Ok(Slot { remote_id, change_key, kind: kind(item), uid: uid(item), start_ms, end_ms, begins_ms })
}

/// Reads an item that was asked for in full.
pub(super) fn item(item: &Element) -> Result<Item, Skipped> {
    let (remote_id, change_key) = identity(item)?;
    let kind = kind(item);
    let is_all_day = item.truth_at(&["IsAllDayEvent"]).unwrap_or(false);
    let (start_ms, end_ms) = match (times(item, is_all_day), kind) {
        (Some(times), _) => times,
        // A series is never shown; its details carry its occurrences.
        (None, EventKind::Master) => (0, 0),
        (None, _) => return Err(Skipped::Times),
    };
    let original_start_ms = match kind {
        EventKind::Exception => {
            instant(item, &["OriginalStart"]).or_else(|| instant(item, &["RecurrenceId"]))
        }
        EventKind::Single | EventKind::Occurrence | EventKind::Master => None,
    };
    let reach = match kind {
        EventKind::Master => reach(item),
        EventKind::Single | EventKind::Occurrence | EventKind::Exception => (start_ms, end_ms),
    };
    let folder = item.at(&["ParentFolderId"]).and_then(|id| id.attribute("Id")).and_then(usable_id);
    let record = EventRecord {
        remote_id,
        kind,
        change_key,
        series: None,
        start_ms,
        end_ms,
        original_start_ms,
        modified_ms: instant(item, &["LastModifiedTime"]),
        details: Some(Box::new(details(item, is_all_day))),
    };
    Ok(Item { record, uid: uid(item), folder, reach })
}

/// An id that can be kept byte for byte.
pub(super) fn usable_id(text: &str) -> Option<RemoteId> {
    let is_usable =
        !text.is_empty() && text.len() <= ID_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic());
    is_usable.then(|| RemoteId::new(text))
}

/// Id and version.
pub(super) fn identity(item: &Element) -> Result<(RemoteId, Option<String>), Skipped> {
    let id = item.child("ItemId").ok_or(Skipped::Id)?;
    let remote_id = id.attribute("Id").and_then(usable_id).ok_or(Skipped::Id)?;
    let change_key = id.attribute("ChangeKey").and_then(|key| text::line(key, NAME_CHARS_MAX));
    Ok((remote_id, change_key))
}

fn kind(item: &Element) -> EventKind {
    match item.text_at(&["CalendarItemType"]) {
        Some("Occurrence") => EventKind::Occurrence,
        Some("Exception") => EventKind::Exception,
        Some("RecurringMaster") => EventKind::Master,
        Some("Single") => EventKind::Single,
        Some(_) | None if item.child("Recurrence").is_some() => EventKind::Master,
        Some(_) | None => EventKind::Single,
    }
}

fn uid(item: &Element) -> Option<String> {
    item.text_at(&["UID"]).and_then(|uid| text::line(uid, ID_BYTES_MAX))
}

fn instant(item: &Element, path: &[&str]) -> Option<i64> {
    time::decode(item.text_at(path)?).map(time::Written::utc_ms)
}

/// Start and end; an end before the start counts as the start. All-day: whole days that are never converted.
///
/// Exchange keeps an all-day event as the instants of two midnights in the zone it was made in.
fn times(item: &Element, is_all_day: bool) -> Option<(i64, i64)> {
    let (start_ms, end_ms) = (instant(item, &["Start"])?, instant(item, &["End"])?);
    if !is_all_day {
        return Some((start_ms, end_ms.max(start_ms)));
    }
    let zone = zone_name(item);
    let from_ms = date(start_ms, zone);
    Some((from_ms, date(end_ms, zone).max(from_ms.saturating_add(DAY_MS))))
}

/// The date whose midnight an instant is.
fn date(ms: i64, zone: Option<&str>) -> i64 {
    static ZONES: LazyLock<Zones> = LazyLock::new(Zones::bundled);
    let midnight = zone.and_then(|name| ZONES.resolve(name)).map(|zone| {
        let wall_ms = zone.wall(ms).and_utc().timestamp_millis();
        (wall_ms, wall_ms.rem_euclid(DAY_MS) == 0)
    });
    match midnight {
        Some((wall_ms, true)) => wall_ms,
        // An unknown zone, or one whose rules changed since.
        Some((_, false)) | None => ms.saturating_add(HALF_DAY_MS).div_euclid(DAY_MS).saturating_mul(DAY_MS),
    }
}

/// The zone as the server names it.
fn zone_name(item: &Element) -> Option<&str> {
    let zone = item.child("StartTimeZone");
    zone.and_then(|zone| zone.attribute("Id").or_else(|| zone.attribute("Name")))
        .filter(|name| !name.is_empty())
        .or_else(|| item.text_at(&["StartTimeZoneId"]))
}

/// From the start of a series to its end; one without an end reaches for ever.
fn reach(item: &Element) -> (i64, i64) {
    let first = instant(item, &["FirstOccurrence", "Start"]).or_else(|| instant(item, &["Start"]));
    let mut from_ms = first.unwrap_or(i64::MIN);
    let mut to_ms = instant(item, &["LastOccurrence", "End"]).unwrap_or(i64::MAX);
    let modified = item.child("ModifiedOccurrences").map_or(&[] as &[Element], |list| &list.children);
    for occurrence in modified.iter().take(MODIFIED_MAX) {
        from_ms = instant(occurrence, &["Start"]).map_or(from_ms, |start_ms| start_ms.min(from_ms));
        to_ms = instant(occurrence, &["End"]).map_or(to_ms, |end_ms| end_ms.max(to_ms));
    }
    // All-day instances are dates somewhere within a day of these instants.
    (from_ms.saturating_sub(DAY_MS), to_ms.saturating_add(DAY_MS))
}

fn details(item: &Element, is_all_day: bool) -> Details {
    let line = |path: &[&str], max| item.text_at(path).and_then(|value| text::line(value, max));
    let is_meeting = item.truth_at(&["IsMeeting"]).unwrap_or(false);
    let response = match response(item.text_at(&["MyResponseType"])) {
        // An appointment of one's own has no answer, and nobody else organizes it.
        Response::None if !is_meeting => Response::Organizer,
        response => response,
    };
    let categories = item.child("Categories").map_or(&[] as &[Element], |list| &list.children);
    let is_reminder_on = item.truth_at(&["ReminderIsSet"]).unwrap_or(false);
    let minutes = item.text_at(&["ReminderMinutesBeforeStart"]).and_then(|minutes| minutes.parse().ok());
    Details {
        ical_uid: uid(item),
        subject: line(&["Subject"], SUBJECT_CHARS_MAX),
        body: item.child("Body").and_then(body),
        body_preview: item.text_at(&["Preview"]).and_then(|value| text::block(value, PREVIEW_CHARS_MAX)),
        location: line(&["Location"], LOCATION_CHARS_MAX),
        is_all_day,
        is_cancelled: item.truth_at(&["IsCancelled"]).unwrap_or(false),
        is_organizer: response == Response::Organizer,
        show_as: show_as(item.text_at(&["LegacyFreeBusyStatus"])),
        sensitivity: sensitivity(item.text_at(&["Sensitivity"])),
        importance: importance(item.text_at(&["Importance"])),
        response,
        categories: categories
            .iter()
            .take(CATEGORIES_MAX)
            .filter_map(|name| text::line(name.text.trim_ascii(), NAME_CHARS_MAX))
            .collect(),
        organizer: item.at(&["Organizer"]).and_then(person),
        attendees: attendees(item),
        reminder_minutes: minutes.filter(|_| is_reminder_on),
        online_meeting: online_meeting(item),
        web_link: item
            .text_at(&["WebClientReadFormQueryString"])
            .and_then(|link| text::web_address(link, ADDRESS_BYTES_MAX)),
        original_time_zone: zone_name(item).and_then(|name| text::line(name, NAME_CHARS_MAX)),
        transaction_id: transaction(item),
    }
}

fn body(body: &Element) -> Option<String> {
    let is_html = body.attribute("BodyType").is_some_and(|kind| kind.eq_ignore_ascii_case("html"));
    if is_html { text::of_html(&body.text, BODY_CHARS_MAX) } else { text::block(&body.text, BODY_CHARS_MAX) }
}

fn person(holder: &Element) -> Option<Person> {
    let member =
        |name: &str| holder.text_at(&["Mailbox", name]).and_then(|value| text::line(value, NAME_CHARS_MAX));
    // Within the organization the address may be an X.500 name, which nobody can write to.
    let is_smtp =
        holder.text_at(&["Mailbox", "RoutingType"]).is_none_or(|kind| kind.eq_ignore_ascii_case("smtp"));
    let (name, address) = (member("Name"), member("EmailAddress").filter(|_| is_smtp));
    (name.is_some() || address.is_some()).then_some(Person { name, address })
}

fn attendees(item: &Element) -> Vec<Attendee> {
    let lists = [
        ("RequiredAttendees", AttendeeType::Required),
        ("OptionalAttendees", AttendeeType::Optional),
        ("Resources", AttendeeType::Resource),
    ];
    let mut attendees = Vec::new();
    for (name, kind) in lists {
        let list = item.child(name).map_or(&[] as &[Element], |list| &list.children);
        attendees.extend(list.iter().filter_map(|attendee| {
            let response = response(attendee.text_at(&["ResponseType"]));
            Some(Attendee { person: person(attendee)?, kind, response })
        }));
    }
    attendees.truncate(ATTENDEES_MAX);
    attendees
}

fn online_meeting(item: &Element) -> Option<OnlineMeeting> {
    let join_url =
        item.text_at(&["JoinOnlineMeetingUrl"]).and_then(|url| text::web_address(url, ADDRESS_BYTES_MAX));
    if join_url.is_none() && item.truth_at(&["IsOnlineMeeting"]) != Some(true) {
        return None;
    }
    // The protocol names no provider; the address tells the two that an organization has.
    let provider = match join_url.as_deref() {
        Some(url) if url.contains("teams.") => OnlineProvider::Teams,
        Some(url) if url.contains("/meet/") || url.contains("lync") => OnlineProvider::SkypeBusiness,
        Some(_) | None => OnlineProvider::Other,
    };
    Some(OnlineMeeting { provider, join_url })
}

fn transaction(item: &Element) -> Option<String> {
    let properties = item.children.iter().filter(|child| child.name == "ExtendedProperty");
    let is_it = |property: &&Element| {
        property.child("ExtendedFieldURI").and_then(|field| field.attribute("PropertyName"))
            == Some(TRANSACTION)
    };
    properties.take(8).find(is_it)?.text_at(&["Value"]).and_then(|value| text::line(value, NAME_CHARS_MAX))
}

fn show_as(code: Option<&str>) -> ShowAs {
    match code {
        Some("Free") => ShowAs::Free,
        Some("Tentative") => ShowAs::Tentative,
        Some("Busy") => ShowAs::Busy,
        Some("OOF") => ShowAs::Oof,
        Some("WorkingElsewhere") => ShowAs::WorkingElsewhere,
        Some(_) | None => ShowAs::Unknown,
    }
}

fn sensitivity(code: Option<&str>) -> Sensitivity {
    match code {
        Some("Personal") => Sensitivity::Personal,
        Some("Private") => Sensitivity::Private,
        Some("Confidential") => Sensitivity::Confidential,
        Some(_) | None => Sensitivity::Normal,
    }
}

fn importance(code: Option<&str>) -> Importance {
    match code {
        Some("Low") => Importance::Low,
        Some("High") => Importance::High,
        Some(_) | None => Importance::Normal,
    }
}

fn response(code: Option<&str>) -> Response {
    match code {
        Some("Organizer") => Response::Organizer,
        Some("Tentative") => Response::Tentative,
        Some("Accept") => Response::Accepted,
        Some("Decline") => Response::Declined,
        Some("NoResponseReceived") => Response::NotResponded,
        Some(_) | None => Response::None,
    }
}

#[cfg(test)]
#[path = "item_tests.rs"]
mod tests;
