//! What leaves the service as JSON.

use serde_json::{Map, Value, json};

use super::fields::{Attendee, Person};
use super::ident::{Form, mix};
use super::mailbox::{Calendar, Event, Mailbox, RowKind};
use super::prefer::Preferences;
use super::recurrence;
use super::wire::percent_encoded;
use super::zone;

const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// One event as the service prints it in full.
pub(crate) fn event(mailbox: &Mailbox, event: &Event, kind: RowKind, prefer: &Preferences) -> Value {
    let fields = event.row(kind);
    let fields = &fields;
    let calendar = mailbox.calendars.get(&event.calendar);
    let id = mailbox.id(event, kind, prefer.form);
    let plain_id = mailbox.id(event, kind, Form::Plain);
    let change_key = mailbox.ids.change_key(event.row_key(kind));
    let series_id = match kind {
        RowKind::Single | RowKind::Master => Value::Null,
        RowKind::Occurrence(_) | RowKind::Exception(_) => {
            json!(mailbox.id(event, RowKind::Master, prefer.form))
        }
    };
    let owner = calendar
        .and_then(|c| c.owner.clone())
        .unwrap_or_else(|| Person { name: mailbox.user.name.clone(), address: mailbox.user.address.clone() });
    let organizer = fields.organizer.as_ref().unwrap_or(&owner);
    let (is_html, content) = fields.content(prefer.as_text);
    let modified_ms = match kind {
        RowKind::Exception(slot) => event
            .series
            .as_ref()
            .and_then(|s| s.exceptions.get(&slot))
            .map_or(event.modified_ms, |e| e.modified_ms),
        RowKind::Single | RowKind::Master | RowKind::Occurrence(_) => event.modified_ms,
    };
    let mut out = json!({
        "@odata.etag": format!("W/\"{change_key}\""),
        "id": id,
        "changeKey": change_key,
        "iCalUId": mailbox.ids.uid(event.serial),
        "transactionId": fields.transaction_id,
        "type": type_of(kind),
        "seriesMasterId": series_id,
        "recurrence": match (&event.series, kind) {
            (Some(series), RowKind::Master) => recurrence::encode(&series.recurrence),
            _ => Value::Null,
        },
        "createdDateTime": zone::stamp(event.created_ms, mix(event.serial, 1)),
        "lastModifiedDateTime": zone::stamp(modified_ms, mix(event.row_key(kind), 2)),
        "subject": fields.subject,
        "bodyPreview": fields.preview(),
        "body": {"contentType": if is_html { "html" } else { "text" }, "content": content},
        "start": time(fields.start_ms, fields.is_all_day, prefer),
        "end": time(fields.end_ms, fields.is_all_day, prefer),
        "originalStartTimeZone": fields.zone_label,
        "originalEndTimeZone": fields.zone_label,
    });
    let more = json!({
        "isAllDay": fields.is_all_day,
        "isCancelled": fields.is_cancelled,
        "isDraft": false,
        "isOrganizer": fields.organizer.is_none(),
        "responseRequested": fields.response_requested,
        "allowNewTimeProposals": fields.allow_new_time,
        "hideAttendees": fields.hide_attendees,
        "hasAttachments": fields.has_attachments,
        "showAs": fields.show_as,
        "sensitivity": fields.sensitivity,
        "importance": fields.importance,
        "categories": fields.categories,
        "isReminderOn": fields.is_reminder_on,
        "reminderMinutesBeforeStart": fields.reminder_minutes,
        "isOnlineMeeting": fields.is_online,
        "onlineMeetingProvider": fields.provider,
        "onlineMeetingUrl": Value::Null,
        "onlineMeeting": fields.join_url.as_ref().map(|url| json!({"joinUrl": url})),
        "occurrenceId": match kind {
            RowKind::Occurrence(slot) | RowKind::Exception(slot) => json!(occurrence_id(mailbox, event, slot, prefer.form)),
            RowKind::Single | RowKind::Master => Value::Null,
        },
        "location": location(&fields.location),
        "locations": if fields.location.is_empty() { json!([]) } else { json!([location(&fields.location)]) },
        "organizer": {"emailAddress": address(organizer)},
        "attendees": fields.attendees.iter().map(attendee).collect::<Vec<_>>(),
        "responseStatus": {"response": fields.response, "time": NO_TIME},
        "webLink": format!("https://outlook.office365.com/owa/?itemid={}&exvsurl=1&path=/calendar/item", percent_encoded(&plain_id)),
    });
    if let (Some(members), Value::Object(more)) = (out.as_object_mut(), more) {
        members.extend(more);
        if let RowKind::Exception(slot) | RowKind::Occurrence(slot) = kind {
            members.insert("originalStart".into(), json!(zone::whole_seconds(event.slot_times(slot).0)));
        }
        if calendar.is_some_and(|c| !c.can_view_private) && fields.sensitivity == "private" {
            hide_private(members);
        }
    }
    out
}

/// A private event in somebody else's calendar: times and availability only.
fn hide_private(members: &mut Map<String, Value>) {
    members.insert("subject".into(), Value::Null);
    members.insert("bodyPreview".into(), json!(""));
    members.insert("body".into(), Value::Null);
    members.insert("location".into(), Value::Null);
    for list in ["locations", "attendees", "categories"] {
        members.insert(list.into(), json!([]));
    }
    members.insert("onlineMeeting".into(), Value::Null);
}

/// The seven members an occurrence has in delta.
pub(crate) fn stub(mailbox: &Mailbox, event: &Event, kind: RowKind, prefer: &Preferences) -> Value {
    let (start_ms, end_ms) = event.times(kind);
    json!({
        "@odata.type": "#microsoft.graph.event",
        "@odata.etag": format!("W/\"{}\"", mailbox.ids.change_key(event.row_key(kind))),
        "id": mailbox.id(event, kind, prefer.form),
        "seriesMasterId": mailbox.id(event, RowKind::Master, prefer.form),
        "type": type_of(kind),
        "start": time(start_ms, event.fields.is_all_day, prefer),
        "end": time(end_ms, event.fields.is_all_day, prefer),
    })
}

/// The row of `/events/delta`.
pub(crate) fn minimal(mailbox: &Mailbox, event: &Event, kind: RowKind, prefer: &Preferences) -> Value {
    let (start_ms, end_ms) = event.times(kind);
    json!({
        "@odata.type": "#microsoft.graph.event",
        "@odata.etag": format!("W/\"{}\"", mailbox.ids.change_key(event.row_key(kind))),
        "id": mailbox.id(event, kind, prefer.form),
        "type": type_of(kind),
        "start": time(start_ms, event.fields.is_all_day, prefer),
        "end": time(end_ms, event.fields.is_all_day, prefer),
    })
}

pub(crate) fn type_of(kind: RowKind) -> &'static str {
    match kind {
        RowKind::Single => "singleInstance",
        RowKind::Master => "seriesMaster",
        RowKind::Occurrence(_) => "occurrence",
        RowKind::Exception(_) => "exception",
    }
}

/// `OID.{master}.{date}`; the date is the slot's in the series' zone.
pub(crate) fn occurrence_id(mailbox: &Mailbox, event: &Event, slot: i32, form: Form) -> String {
    format!("OID.{}.{}", mailbox.id(event, RowKind::Master, form), zone::date_of(slot))
}

fn time(ms: i64, is_all_day: bool, prefer: &Preferences) -> Value {
    // All-day events float: midnight stays midnight whatever zone was asked for.
    let wall =
        if is_all_day { zone::wall(ms, &jiff::tz::TimeZone::UTC) } else { zone::wall(ms, &prefer.zone) };
    json!({"dateTime": zone::seven_digits(wall), "timeZone": prefer.zone_label})
}

fn location(name: &str) -> Value {
    if name.is_empty() {
        return json!({"displayName": "", "locationType": "default", "uniqueIdType": "unknown", "address": {}, "coordinates": {}});
    }
    json!({"displayName": name, "locationType": "default", "uniqueId": name, "uniqueIdType": "private"})
}

fn address(person: &Person) -> Value {
    json!({"name": person.name, "address": person.address})
}

fn attendee(attendee: &Attendee) -> Value {
    let time = if attendee.answered_ms == 0 {
        NO_TIME.to_owned()
    } else {
        zone::whole_seconds(attendee.answered_ms)
    };
    json!({"type": attendee.kind, "status": {"response": attendee.response, "time": time},
        "emailAddress": address(&attendee.person)})
}

pub(crate) fn calendar(mailbox: &Mailbox, calendar: &Calendar, form: Form) -> Value {
    let mine = Person { name: mailbox.user.name.clone(), address: mailbox.user.address.clone() };
    let owner = calendar.owner.as_ref().unwrap_or(&mine);
    json!({
        "id": mailbox.calendar_id(calendar.serial, form),
        "name": calendar.name,
        "color": calendar.color,
        "hexColor": calendar.hex_color,
        "isDefaultCalendar": calendar.serial == mailbox.default_calendar,
        "changeKey": mailbox.ids.change_key(calendar.key ^ (1 << 42)),
        "canShare": calendar.owner.is_none(),
        "canViewPrivateItems": calendar.can_view_private,
        "canEdit": calendar.can_edit,
        "allowedOnlineMeetingProviders": if calendar.can_edit { json!(["teamsForBusiness"]) } else { json!([]) },
        "defaultOnlineMeetingProvider": if calendar.can_edit { "teamsForBusiness" } else { "unknown" },
        "isTallyingResponses": calendar.can_edit,
        "isRemovable": calendar.is_removable,
        "owner": address(owner),
    })
}

/// Keeps the selected members and the annotations.
pub(crate) fn select(mut value: Value, selected: Option<&str>) -> Value {
    let Some(selected) = selected.filter(|s| !s.trim().is_empty() && s.trim() != "*") else { return value };
    let names: Vec<&str> = selected.split(',').map(|n| n.trim().split('/').next().unwrap_or("")).collect();
    if let Some(members) = value.as_object_mut() {
        members.retain(|name, _| {
            name.starts_with('@') || name == "id" || names.iter().any(|n| n.eq_ignore_ascii_case(name))
        });
    }
    value
}
