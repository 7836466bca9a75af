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
    let mut out = Members::default();
    out.put("@odata.etag", format!("W/\"{change_key}\""));
    out.put("id", id);
    out.put("changeKey", change_key);
    out.put("iCalUId", mailbox.ids.uid(event.serial));
    out.put("transactionId", fields.transaction_id.clone());
    out.put("type", type_of(kind));
    out.put("seriesMasterId", series_id);
    let recurrence = match (&event.series, kind) {
        (Some(series), RowKind::Master) => recurrence::encode(&series.recurrence),
        _ => Value::Null,
    };
    out.put("recurrence", recurrence);
    out.put("createdDateTime", zone::stamp(event.created_ms, mix(event.serial, 1)));
    out.put("lastModifiedDateTime", zone::stamp(modified_ms, mix(event.row_key(kind), 2)));
    out.put("subject", fields.subject.clone());
    out.put("bodyPreview", fields.preview());
    let mut body = Members::default();
    body.put("contentType", if is_html { "html" } else { "text" });
    body.put("content", content);
    out.put("body", body.0);
    out.put("start", time(fields.start_ms, fields.is_all_day, prefer));
    out.put("end", time(fields.end_ms, fields.is_all_day, prefer));
    out.put("originalStartTimeZone", fields.zone_label.as_str());
    out.put("originalEndTimeZone", fields.zone_label.as_str());
    out.put("isAllDay", fields.is_all_day);
    out.put("isCancelled", fields.is_cancelled);
    out.put("isDraft", false);
    out.put("isOrganizer", fields.organizer.is_none());
    out.put("responseRequested", fields.response_requested);
    out.put("allowNewTimeProposals", fields.allow_new_time);
    out.put("hideAttendees", fields.hide_attendees);
    out.put("hasAttachments", fields.has_attachments);
    out.put("showAs", fields.show_as);
    out.put("sensitivity", fields.sensitivity);
    out.put("importance", fields.importance);
    out.put("categories", fields.categories.clone());
    out.put("isReminderOn", fields.is_reminder_on);
    out.put("reminderMinutesBeforeStart", fields.reminder_minutes);
    out.put("isOnlineMeeting", fields.is_online);
    out.put("onlineMeetingProvider", fields.provider);
    out.put("onlineMeetingUrl", Value::Null);
    out.put("onlineMeeting", fields.join_url.as_ref().map(|url| json!({"joinUrl": url})));
    let (slot_id, slot_start) = match kind {
        RowKind::Occurrence(slot) | RowKind::Exception(slot) => {
            let start = zone::whole_seconds(event.slot_times(slot).0);
            (Some(occurrence_id(mailbox, event, slot, prefer.form)), Some(start))
        }
        RowKind::Single | RowKind::Master => (None, None),
    };
    out.put("occurrenceId", slot_id);
    if let Some(start) = slot_start {
        out.put("originalStart", start);
    }
    out.put("location", location(&fields.location));
    let locations = if fields.location.is_empty() { Vec::new() } else { vec![location(&fields.location)] };
    out.put("locations", locations);
    out.put("organizer", mail_address(organizer).0);
    out.put("attendees", fields.attendees.iter().map(attendee).collect::<Vec<_>>());
    let mut status = Members::default();
    status.put("response", fields.response);
    status.put("time", NO_TIME);
    out.put("responseStatus", status.0);
    let item = percent_encoded(&plain_id);
    let page = format!("https://outlook.office365.com/owa/?itemid={item}&exvsurl=1&path=/calendar/item");
    out.put("webLink", page);
    if calendar.is_some_and(|c| !c.can_view_private) && fields.sensitivity == "private" {
        hide_private(&mut out.0);
    }
    Value::Object(out.0)
}

/// Members under construction: values move in, where `json!` would copy them.
#[derive(Default)]
struct Members(Map<String, Value>);

impl Members {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
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
    let mut out = Members::default();
    out.put("dateTime", zone::seven_digits(wall));
    out.put("timeZone", prefer.zone_label.as_str());
    Value::Object(out.0)
}

fn location(name: &str) -> Value {
    if name.is_empty() {
        return json!({"displayName": "", "locationType": "default", "uniqueIdType": "unknown", "address": {}, "coordinates": {}});
    }
    json!({"displayName": name, "locationType": "default", "uniqueId": name, "uniqueIdType": "private"})
}

fn address(person: &Person) -> Value {
    let mut out = Members::default();
    out.put("name", person.name.as_str());
    out.put("address", person.address.as_str());
    Value::Object(out.0)
}

fn mail_address(person: &Person) -> Members {
    let mut out = Members::default();
    out.put("emailAddress", address(person));
    out
}

fn attendee(attendee: &Attendee) -> Value {
    let mut status = Members::default();
    status.put("response", attendee.response);
    match attendee.answered_ms {
        0 => status.put("time", NO_TIME),
        ms => status.put("time", zone::whole_seconds(ms)),
    }
    let mut out = mail_address(&attendee.person);
    out.put("type", attendee.kind);
    out.put("status", status.0);
    Value::Object(out.0)
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
