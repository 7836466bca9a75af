//! What is written: request bodies, versions, and whether a failed write may have landed.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::model::{
    AttendeeType, Broken, Fault, Fields, Importance, Invitee, Person, Reminder, Sensitivity, ShowAs, Times,
    Unreadable,
};
use crate::source::graph::{batch, time};
use crate::zones::Zones;

/// The wait when the sign-in's server fails without naming one.
const TOKEN_WAIT: Duration = Duration::from_secs(10);

/// The body of a create. Made once, when the wish is recorded: each try sends the same bytes.
pub fn encode_create(fields: &Fields, transaction_id: &str, zones: &Zones) -> Vec<u8> {
    let mut members = members(fields, zones, None);
    // Nobody is left to be uninvited.
    if fields.attendees.as_ref().is_some_and(Vec::is_empty) {
        members.remove("attendees");
    }
    members.insert("transactionId".to_owned(), transaction_id.into());
    Value::Object(members).to_string().into_bytes()
}

/// The body of a change: the fields that are set and nothing else. `html` is sent in place of the body's text; it
/// comes from [`super::meeting_body`].
pub fn encode_patch(fields: &Fields, zones: &Zones, html: Option<&str>) -> Vec<u8> {
    Value::Object(members(fields, zones, html)).to_string().into_bytes()
}

fn members(fields: &Fields, zones: &Zones, html: Option<&str>) -> Map<String, Value> {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    if let Some(subject) = &fields.subject {
        put("subject", subject.as_str().into());
    }
    // Never null: the server refuses that.
    match (html, &fields.body) {
        (Some(html), _) => put("body", json!({"contentType": "html", "content": html})),
        (None, Some(text)) => put("body", json!({"contentType": "text", "content": text})),
        (None, None) => {}
    }
    if let Some(times) = &fields.times {
        let (start, end) = both_ends(times, zones);
        put("start", start);
        put("end", end);
        put("isAllDay", times.is_all_day.into());
    }
    if let Some(location) = &fields.location {
        put("location", json!({ "displayName": location }));
    }
    if let Some(show_as) = fields.show_as.and_then(show_as) {
        put("showAs", show_as.into());
    }
    if let Some(sensitivity) = fields.sensitivity {
        put("sensitivity", sensitivity_code(sensitivity).into());
    }
    if let Some(importance) = fields.importance {
        put("importance", importance_code(importance).into());
    }
    if let Some(categories) = &fields.categories {
        put("categories", categories.as_slice().into());
    }
    if let Some(attendees) = &fields.attendees {
        put("attendees", attendees.iter().map(attendee).collect());
    }
    match fields.reminder {
        Some(Reminder::Off) => put("isReminderOn", false.into()),
        Some(Reminder::Minutes(minutes)) => {
            put("isReminderOn", true.into());
            put("reminderMinutesBeforeStart", minutes.into());
        }
        None => {}
    }
    members
}

fn both_ends(times: &Times, zones: &Zones) -> (Value, Value) {
    let named = times.zone.as_deref().and_then(|text| {
        let zone = zones.resolve(text)?;
        // The name that every server knows, if there is one.
        let name = zones.windows_name(text).map_or_else(|| zone.name().to_owned(), str::to_owned);
        Some((zone, name))
    });
    let moment = |ms: i64| match &named {
        // Dates float: midnight is midnight in whichever zone, and both ends name the same one.
        Some((_, name)) if times.is_all_day => when(time::wall(ms), name),
        Some((zone, name)) if zone.is_unambiguous(ms) => {
            when(time::wall(zone.wall(ms).and_utc().timestamp_millis()), name)
        }
        // Servers disagree about which of two equal wall times is meant; UTC has no such hour.
        Some(_) | None => when(time::wall(ms), "UTC"),
    };
    (moment(times.start_ms), moment(times.end_ms))
}

fn when(wall: String, zone: &str) -> Value {
    json!({"dateTime": wall, "timeZone": zone})
}

fn attendee(invitee: &Invitee) -> Value {
    let kind = match invitee.kind {
        AttendeeType::Required => "required",
        AttendeeType::Optional => "optional",
        AttendeeType::Resource => "resource",
    };
    json!({"type": kind, "emailAddress": mail(&invitee.person, "name", "address")})
}

fn mail(person: &Person, name: &str, address: &str) -> Value {
    let mut mail = Map::new();
    if let Some(text) = &person.name {
        mail.insert(name.to_owned(), text.as_str().into());
    }
    if let Some(text) = &person.address {
        mail.insert(address.to_owned(), text.as_str().into());
    }
    Value::Object(mail)
}

/// `Unknown` stands for what this version does not know and is left as the server has it.
fn show_as(show_as: ShowAs) -> Option<&'static str> {
    match show_as {
        ShowAs::Free => Some("free"),
        ShowAs::Tentative => Some("tentative"),
        ShowAs::Busy => Some("busy"),
        ShowAs::Oof => Some("oof"),
        ShowAs::WorkingElsewhere => Some("workingElsewhere"),
        ShowAs::Unknown => None,
    }
}

fn sensitivity_code(sensitivity: Sensitivity) -> &'static str {
    match sensitivity {
        Sensitivity::Normal => "normal",
        Sensitivity::Personal => "personal",
        Sensitivity::Private => "private",
        Sensitivity::Confidential => "confidential",
    }
}

fn importance_code(importance: Importance) -> &'static str {
    match importance {
        Importance::Low => "low",
        Importance::Normal => "normal",
        Importance::High => "high",
    }
}

/// The body of an answer to an invitation.
pub(super) fn encode_answer(comment: &str, is_silent: bool) -> Vec<u8> {
    json!({"comment": comment, "sendResponse": !is_silent}).to_string().into_bytes()
}

/// The body of a cancellation.
pub(super) fn encode_cancel(comment: &str) -> Vec<u8> {
    json!({ "Comment": comment }).to_string().into_bytes()
}

/// The body of a forward.
pub(super) fn encode_forward(to: &[Person], comment: &str) -> Vec<u8> {
    let to: Vec<Value> =
        to.iter().map(|person| json!({"EmailAddress": mail(person, "Name", "Address")})).collect();
    json!({"ToRecipients": to, "Comment": comment}).to_string().into_bytes()
}

/// The body of a snooze.
pub(super) fn encode_snooze(until_ms: i64) -> Vec<u8> {
    json!({"newReminderTime": when(time::wall(until_ms), "UTC")}).to_string().into_bytes()
}

/// The `If-Match` of a bare change key. What cannot stand in a header is left out: such a key matches nothing, and
/// the write is refused rather than made blindly.
pub(super) fn etag(key: &str) -> String {
    let plain: String = key.chars().filter(|letter| letter.is_ascii_graphic() && *letter != '"').collect();
    format!("W/\"{plain}\"")
}

/// Whether a write that failed took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// Surely not: it may be sent again.
    No,
    /// Nobody knows: look before anything is sent again.
    Maybe,
}

/// Whether the write that ended with `fault` may have taken effect.
pub fn reached(fault: &Fault) -> Reached {
    match fault {
        Fault::Unreachable(Broken::Connect | Broken::Tls) => Reached::No,
        Fault::Unreachable(Broken::Timeout | Broken::Reset | Broken::Protocol) => Reached::Maybe,
        Fault::Refused { status, code, retry_after, .. } => match status {
            408 => Reached::Maybe,
            // Throttled before it began; this one code says that it was at work.
            503 if retry_after.is_some() && !is_concurrent_save(code.as_deref()) => Reached::No,
            500.. => Reached::Maybe,
            _ => Reached::No,
        },
        // What answers with a web page or sends elsewhere is not Graph.
        Fault::Unreadable(Unreadable::WebPage | Unreadable::Redirect) => Reached::No,
        Fault::Unreadable(
            Unreadable::Shape
            | Unreadable::TooLarge
            | Unreadable::Encoding
            | Unreadable::Empty
            | Unreadable::Links,
        ) => Reached::Maybe,
        Fault::LinkRefused(_) | Fault::EndlessPages | Fault::SignInNeeded => Reached::No,
    }
}

fn is_concurrent_save(code: Option<&str>) -> bool {
    code.is_some_and(|code| code.eq_ignore_ascii_case("ConcurrentItemSave"))
}

/// Whether the server says that it does not have the event: a deletion is done, a change has nothing to change. A
/// 404 that speaks of the mailbox or the calendar is none.
pub fn is_gone(fault: &Fault) -> bool {
    match fault {
        Fault::Refused { status: 404, code, .. } => !batch::names_the_account(code.as_deref()),
        _ => false,
    }
}

/// The fault of a write that waited for a token in vain, told so that [`reached`] sees that nothing was sent.
pub(super) fn before_sending(fault: Fault) -> Fault {
    match fault {
        Fault::Unreachable(Broken::Timeout | Broken::Reset | Broken::Protocol) => {
            Fault::Unreachable(Broken::Connect)
        }
        Fault::Refused { status: 408 | 500.., code, retry_after, claims } => {
            Fault::Refused { status: 503, code, retry_after: Some(retry_after.unwrap_or(TOKEN_WAIT)), claims }
        }
        Fault::Unreadable(_) => Fault::Unreachable(Broken::Connect),
        other => other,
    }
}
