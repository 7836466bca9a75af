//! Rows and edits for tests.

use crate::model::{
    Attendee, AttendeeType, DAY_MS, Details, EditState, EventKind, EventRecord, Importance, Intent, Invitee,
    Key, OpenEdit, Person, RemoteId, Response, Sensitivity, ShowAs, Times,
};

pub(super) const HOUR_MS: i64 = 3_600_000;
/// 2026-10-05T09:00:00Z, a Monday.
pub(super) const NINE_MS: i64 = 20_731 * DAY_MS + 9 * HOUR_MS;

pub(super) fn times(start_ms: i64, hours: i64) -> Times {
    Times { start_ms, end_ms: start_ms + hours * HOUR_MS, is_all_day: false, zone: None }
}

pub(super) fn days(first: i64, count: i64) -> Times {
    Times { start_ms: first * DAY_MS, end_ms: (first + count) * DAY_MS, is_all_day: true, zone: None }
}

pub(super) fn person(address: &str) -> Person {
    Person { name: None, address: Some(address.to_owned()) }
}

pub(super) fn invitee(address: &str) -> Invitee {
    Invitee { person: person(address), kind: AttendeeType::Required }
}

pub(super) fn details() -> Details {
    Details {
        ical_uid: Some("uid".to_owned()),
        subject: Some("Review".to_owned()),
        body: Some("Agenda".to_owned()),
        body_preview: Some("Agenda".to_owned()),
        location: Some("Room 1".to_owned()),
        is_all_day: false,
        is_cancelled: false,
        is_organizer: true,
        show_as: ShowAs::Busy,
        sensitivity: Sensitivity::Normal,
        importance: Importance::Normal,
        response: Response::Organizer,
        categories: vec!["red".to_owned()],
        organizer: Some(person("me@x.test")),
        attendees: Vec::new(),
        reminder_minutes: Some(15),
        online_meeting: None,
        web_link: None,
        original_time_zone: Some("W. Europe Standard Time".to_owned()),
        transaction_id: None,
    }
}

pub(super) fn record() -> EventRecord {
    EventRecord {
        remote_id: RemoteId::new("r1"),
        kind: EventKind::Single,
        change_key: Some("v1".to_owned()),
        series: None,
        start_ms: NINE_MS,
        end_ms: NINE_MS + HOUR_MS,
        original_start_ms: None,
        modified_ms: None,
        details: Some(Box::new(details())),
    }
}

pub(super) fn with(change: impl FnOnce(&mut Details)) -> EventRecord {
    let mut record = record();
    change(record.details.as_deref_mut().unwrap());
    record
}

/// The owner organizes it and invites these.
pub(super) fn meeting(addresses: &[&str]) -> EventRecord {
    with(|details| details.attendees = addresses.iter().map(|address| attendee(address)).collect())
}

/// Somebody else organizes it.
pub(super) fn invitation() -> EventRecord {
    with(|details| {
        details.is_organizer = false;
        details.response = Response::NotResponded;
        details.organizer = Some(person("boss@x.test"));
        details.attendees = vec![attendee("me@x.test"), attendee("b@x.test")];
    })
}

pub(super) fn attendee(address: &str) -> Attendee {
    Attendee { person: person(address), kind: AttendeeType::Required, response: Response::Accepted }
}

pub(super) fn event() -> Key {
    Key::of_remote("r1")
}

pub(super) fn edit(n: i64, intent: Intent) -> OpenEdit {
    let is_create = matches!(intent, Intent::Create(_));
    OpenEdit {
        n,
        event: event(),
        series: None,
        calendar: Key::of_remote("c"),
        calendar_remote: RemoteId::new("c"),
        remote: (!is_create).then(|| RemoteId::new("r1")),
        intent,
        base: (!is_create).then(|| Box::new(record())),
        body: None,
        transaction_id: None,
        state: EditState::Waiting,
        attempts: 0,
        next_attempt_ms: None,
        problem: None,
        notifies: 0,
        is_confirmed: false,
        created_at_ms: 0,
    }
}
