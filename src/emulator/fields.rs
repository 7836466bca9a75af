//! What an event says, and how a Graph body changes it.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::text;
use super::wire::Refusal;
use super::zone::{self, DAY_MS};

const ATTENDEES_MAX: usize = 500;
const SHOW_AS: [&str; 7] =
    ["free", "tentative", "busy", "oof", "workingElsewhere", "unknown", "unknownFutureValue"];
const SENSITIVITY: [&str; 4] = ["normal", "personal", "private", "confidential"];
const IMPORTANCE: [&str; 3] = ["low", "normal", "high"];
const RESPONSES: [&str; 6] =
    ["none", "organizer", "tentativelyAccepted", "accepted", "declined", "notResponded"];
const ATTENDEE_TYPES: [&str; 3] = ["required", "optional", "resource"];
const PROVIDERS: [&str; 4] = ["teamsForBusiness", "skypeForBusiness", "skypeForConsumer", "unknown"];

/// Members a client may send and the service keeps to itself.
const IGNORED: [&str; 22] = [
    "id",
    "changeKey",
    "createdDateTime",
    "lastModifiedDateTime",
    "iCalUId",
    "uid",
    "type",
    "seriesMasterId",
    "originalStart",
    "originalStartTimeZone",
    "originalEndTimeZone",
    "bodyPreview",
    "webLink",
    "isDraft",
    "onlineMeeting",
    "onlineMeetingUrl",
    "hasAttachments",
    "attachments",
    "extensions",
    "occurrenceId",
    "exceptionOccurrences",
    "instances",
];

/// Who changes something: a client through Graph, or the world itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    Client,
    Server,
}

#[derive(Clone, PartialEq)]
pub(crate) struct Person {
    pub name: String,
    pub address: String,
}

#[derive(Clone, PartialEq)]
pub(crate) struct Attendee {
    pub person: Person,
    pub kind: &'static str,
    pub response: &'static str,
    /// When the answer came; 0 prints the service's year-one sentinel.
    pub answered_ms: i64,
}

#[derive(Clone, PartialEq)]
pub(crate) enum Body {
    /// Made up from a seed whenever it is shown, so that a hundred thousand events stay small.
    Seeded(u64),
    Stored {
        is_html: bool,
        content: String,
    },
}

#[derive(Clone, PartialEq)]
pub(crate) struct Fields {
    pub subject: Option<String>,
    pub body: Body,
    /// All-day: midnight as if it were UTC.
    pub start_ms: i64,
    pub end_ms: i64,
    /// The zone it was made in; series repeat at its wall time.
    pub zone: TimeZone,
    /// The name shown for it: Windows, IANA, `tzone://…` or nothing.
    pub zone_label: String,
    pub is_all_day: bool,
    pub location: String,
    pub attendees: Vec<Attendee>,
    /// `None`: the mailbox owner.
    pub organizer: Option<Person>,
    pub show_as: &'static str,
    pub sensitivity: &'static str,
    pub importance: &'static str,
    pub response: &'static str,
    pub categories: Vec<String>,
    pub is_cancelled: bool,
    pub is_reminder_on: bool,
    pub reminder_minutes: i32,
    pub is_online: bool,
    pub provider: &'static str,
    pub join_url: Option<String>,
    pub response_requested: bool,
    pub allow_new_time: bool,
    pub hide_attendees: bool,
    pub has_attachments: bool,
    pub transaction_id: Option<String>,
}

impl Fields {
    pub fn new(start_ms: i64, end_ms: i64) -> Fields {
        Fields {
            subject: Some(String::new()),
            body: Body::Stored { is_html: true, content: String::new() },
            start_ms,
            end_ms,
            zone: TimeZone::UTC,
            zone_label: "UTC".into(),
            is_all_day: false,
            location: String::new(),
            attendees: Vec::new(),
            organizer: None,
            show_as: "busy",
            sensitivity: "normal",
            importance: "normal",
            response: "organizer",
            categories: Vec::new(),
            is_cancelled: false,
            is_reminder_on: true,
            reminder_minutes: 15,
            is_online: false,
            provider: "unknown",
            join_url: None,
            response_requested: true,
            allow_new_time: true,
            hide_attendees: false,
            has_attachments: false,
            transaction_id: None,
        }
    }

    /// The zone its wall times are in; all-day events float.
    pub fn wall_zone(&self) -> TimeZone {
        if self.is_all_day { TimeZone::UTC } else { self.zone.clone() }
    }

    pub fn start_day(&self) -> i32 {
        zone::day_of(zone::wall(self.start_ms, &self.wall_zone()).date())
    }

    /// Applies a Graph event body: what is absent stays.
    pub fn apply(&mut self, patch: &Map<String, Value>, trust: Trust) -> Result<(), Refusal> {
        self.apply_times(patch, trust)?;
        for (name, value) in patch {
            self.apply_member(name, value, trust)?;
        }
        Ok(())
    }

    fn apply_times(&mut self, patch: &Map<String, Value>, trust: Trust) -> Result<(), Refusal> {
        let start = patch.get("start").filter(|v| !v.is_null()).map(decode_time).transpose()?;
        let end = patch.get("end").filter(|v| !v.is_null()).map(decode_time).transpose()?;
        let is_all_day = match patch.get("isAllDay") {
            None => self.is_all_day,
            Some(value) => value.as_bool().unwrap_or(false),
        };
        if start.is_none() && end.is_none() && is_all_day == self.is_all_day {
            return Ok(());
        }
        let to_ms = |time: &Moment| {
            if is_all_day { zone::as_utc(time.wall) } else { zone::instant(time.wall, &time.zone) }
        };
        let (start_ms, end_ms) = match (&start, &end) {
            (Some(start), Some(end)) => (to_ms(start), to_ms(end)),
            // Exchange moves the end along with the start.
            (Some(start), None) => (to_ms(start), to_ms(start) + self.end_ms - self.start_ms),
            (None, Some(end)) => (self.start_ms, to_ms(end)),
            (None, None) => (self.start_ms, self.end_ms),
        };
        if end_ms < start_ms {
            return Err(Refusal::new(
                400,
                "ErrorPropertyValidationFailure",
                "At least one property failed validation: the end has to be after the start.",
            ));
        }
        if is_all_day
            && (start_ms.rem_euclid(DAY_MS) != 0 || end_ms.rem_euclid(DAY_MS) != 0 || start_ms == end_ms)
        {
            return Err(Refusal::invalid(
                "The Event.Start property for an all-day event needs to be set to midnight, and it has to last whole days.",
            ));
        }
        self.is_all_day = is_all_day;
        self.start_ms = start_ms;
        self.end_ms = end_ms;
        if let Some(start) = start
            && (trust == Trust::Client || !start.label.is_empty())
        {
            self.zone = start.zone;
            self.zone_label = start.label;
        }
        Ok(())
    }

    fn apply_member(&mut self, name: &str, value: &Value, trust: Trust) -> Result<(), Refusal> {
        match name {
            "start" | "end" | "isAllDay" | "recurrence" | "transactionId" | "locations" => {}
            "subject" => self.subject = value.as_str().map(str::to_owned),
            "body" => {
                self.body = decode_body(value)?;
                self.keep_meeting(trust);
            }
            "location" => {
                self.location = value.get("displayName").and_then(Value::as_str).unwrap_or("").to_owned();
            }
            "attendees" => self.attendees = decode_attendees(value, &self.attendees)?,
            "showAs" => self.show_as = code(&SHOW_AS, name, value, trust)?,
            "sensitivity" => self.sensitivity = code(&SENSITIVITY, name, value, trust)?,
            "importance" => self.importance = code(&IMPORTANCE, name, value, trust)?,
            "categories" => self.categories = texts(value),
            "isReminderOn" => self.is_reminder_on = truth(name, value)?,
            "reminderMinutesBeforeStart" => {
                let minutes = value.as_i64().and_then(|m| i32::try_from(m).ok());
                self.reminder_minutes = minutes.ok_or_else(|| unfit(name))?;
            }
            "isOnlineMeeting" => {
                // It cannot go back to false.
                self.is_online |= truth(name, value)?;
                if self.is_online && self.provider == "unknown" {
                    self.provider = "teamsForBusiness";
                }
            }
            "onlineMeetingProvider" => {
                if self.join_url.is_none() {
                    self.provider = code(&PROVIDERS, name, value, trust)?;
                }
            }
            "responseRequested" => self.response_requested = truth(name, value)?,
            "allowNewTimeProposals" => self.allow_new_time = truth(name, value)?,
            "hideAttendees" => self.hide_attendees = truth(name, value)?,
            "isCancelled" if trust == Trust::Server => self.is_cancelled = truth(name, value)?,
            "hasAttachments" if trust == Trust::Server => self.has_attachments = truth(name, value)?,
            "responseStatus" if trust == Trust::Server => {
                self.response = code(&RESPONSES, name, value.get("response").unwrap_or(value), trust)?;
            }
            "organizer" if trust == Trust::Server => self.organizer = decode_person(value),
            "originalStartTimeZone" if trust == Trust::Server => {
                self.zone_label = value.as_str().unwrap_or("").to_owned();
            }
            "isCancelled" | "responseStatus" | "organizer" | "isOrganizer" | "cancelledOccurrences" => {}
            name if name.starts_with('@') || name.contains("@odata.") || IGNORED.contains(&name) => {}
            name => {
                return Err(Refusal::new(
                    400,
                    "RequestBodyRead",
                    format!(
                        "The property '{name}' does not exist on type 'microsoft.graph.event'. Make sure to only use property names that are defined by the type."
                    ),
                ));
            }
        }
        Ok(())
    }

    /// A client that sends a body without the block of the online meeting ends the meeting. The block itself is not
    /// kept with the body but shown with it.
    fn keep_meeting(&mut self, trust: Trust) {
        let (Some(url), Body::Stored { content, .. }) = (&self.join_url, &mut self.body) else { return };
        let block = text::meeting_block(url);
        if content.contains(&block) {
            *content = content.replace(&block, "");
        } else if trust == Trust::Client {
            self.is_online = false;
            self.join_url = None;
            self.provider = "unknown";
        }
    }

    /// The content and whether it is HTML.
    pub fn content(&self, as_text: bool) -> (bool, String) {
        let (is_html, mut content) = self.own_content(as_text);
        match (&self.join_url, is_html) {
            (None, _) => {}
            (Some(url), false) => content.push_str(&text::meeting_text(url)),
            (Some(url), true) => {
                let at = content.rfind("</body>").unwrap_or(content.len());
                content.insert_str(at, &text::meeting_block(url));
            }
        }
        (is_html, content)
    }

    fn own_content(&self, as_text: bool) -> (bool, String) {
        match &self.body {
            Body::Seeded(seed) if as_text => (false, text::plain_body(*seed)),
            Body::Seeded(seed) => (true, text::html_body(*seed)),
            Body::Stored { is_html: true, content } if as_text => (false, text::without_tags(content)),
            Body::Stored { is_html: false, content } if !as_text => (true, text::as_html(content)),
            Body::Stored { is_html, content } => (*is_html, content.clone()),
        }
    }

    /// The first 255 characters of the text.
    pub fn preview(&self) -> String {
        match &self.body {
            Body::Seeded(seed) => text::preview(*seed),
            Body::Stored { .. } => self.content(true).1.chars().take(255).collect(),
        }
    }
}

struct Moment {
    wall: DateTime,
    zone: TimeZone,
    label: String,
}

fn decode_time(value: &Value) -> Result<Moment, Refusal> {
    let member =
        |name: &str, other: &str| value.get(name).or_else(|| value.get(other)).and_then(Value::as_str);
    let text = member("dateTime", "DateTime").ok_or_else(|| unfit("dateTime"))?;
    let label = member("timeZone", "TimeZone").unwrap_or("UTC");
    let (wall, offset) = zone::parse(text).ok_or_else(|| {
        Refusal::new(
            400,
            "ErrorInvalidParameter",
            "A date and time could not be read; it has to look like 2026-05-07T08:00:00.",
        )
    })?;
    if !(1_600..=9_900).contains(&wall.year()) {
        return Err(unfit("dateTime"));
    }
    if let Some(minutes) = offset {
        let ms = zone::as_utc(wall) - i64::from(minutes) * 60_000;
        return Ok(Moment { wall: zone::wall(ms, &TimeZone::UTC), zone: TimeZone::UTC, label: "UTC".into() });
    }
    let zone = zone::resolve(label).ok_or_else(|| {
        Refusal::new(
            400,
            "TimeZoneNotSupportedException",
            "A valid TimeZone value must be specified. The following TimeZone value is not supported.",
        )
    })?;
    Ok(Moment { wall, zone, label: label.to_owned() })
}

fn decode_body(value: &Value) -> Result<Body, Refusal> {
    if value.is_null() {
        return Err(Refusal::invalid("The body of the item is invalid."));
    }
    let kind = value.get("contentType").and_then(Value::as_str).unwrap_or("text");
    let content = value.get("content").and_then(Value::as_str).unwrap_or("");
    Ok(Body::Stored { is_html: kind.eq_ignore_ascii_case("html"), content: content.to_owned() })
}

fn decode_attendees(value: &Value, before: &[Attendee]) -> Result<Vec<Attendee>, Refusal> {
    let all = value.as_array().map_or(&[] as &[Value], Vec::as_slice);
    if all.len() > ATTENDEES_MAX {
        return Err(Refusal::new(400, "ErrorInvalidRecipients", "An event has at most 500 attendees."));
    }
    let mut out = Vec::with_capacity(all.len());
    for one in all {
        let person = decode_person(one).filter(|p| p.address.contains('@')).ok_or_else(|| {
            Refusal::new(400, "ErrorInvalidRecipients", "At least one recipient is not valid.")
        })?;
        let kind = one.get("type").filter(|v| !v.is_null());
        let kind = kind.map_or(Ok("required"), |k| code(&ATTENDEE_TYPES, "type", k, Trust::Client))?;
        let told = one.get("status").and_then(|s| s.get("response")).and_then(Value::as_str);
        let told = told.and_then(|t| RESPONSES.iter().find(|r| **r == t)).copied();
        // Answers belong to the service: who was invited before keeps theirs.
        let known = before.iter().find(|a| a.person.address.eq_ignore_ascii_case(&person.address));
        out.push(Attendee {
            person,
            kind,
            response: known.map_or(told.unwrap_or("none"), |a| a.response),
            answered_ms: known.map_or(0, |a| a.answered_ms),
        });
    }
    Ok(out)
}

fn decode_person(value: &Value) -> Option<Person> {
    let mail = value.get("emailAddress").or_else(|| value.get("EmailAddress"))?;
    let member = |name: &str, other: &str| mail.get(name).or_else(|| mail.get(other)).and_then(Value::as_str);
    let address = member("address", "Address")?.to_owned();
    Some(Person { name: member("name", "Name").unwrap_or(&address).to_owned(), address })
}

fn code(known: &[&'static str], name: &str, value: &Value, trust: Trust) -> Result<&'static str, Refusal> {
    let text = value.as_str().unwrap_or("");
    let found = known.iter().find(|k| k.eq_ignore_ascii_case(text)).copied();
    found.filter(|f| trust == Trust::Server || *f != "unknownFutureValue").ok_or_else(|| unfit(name))
}

fn truth(name: &str, value: &Value) -> Result<bool, Refusal> {
    value.as_bool().ok_or_else(|| unfit(name))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn unfit(name: &str) -> Refusal {
    Refusal::new(
        400,
        "RequestBodyRead",
        format!("Cannot convert the value of '{name}' to the expected type."),
    )
}
