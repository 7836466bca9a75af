use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::model::{
    Attendee, AttendeeType, Change, DAY_MS, Details, EventKind, EventRecord, Importance, OnlineMeeting,
    OnlineProvider, Person, RemoteId, Response, Sensitivity, ShowAs, Skipped,
};
use crate::source::graph::{json, text, time};

/// The most bytes an id may have; Microsoft's have 150 to 300.
pub const ID_BYTES_MAX: usize = 2048;
/// The most characters of a subject that are kept; Outlook allows 255.
pub const SUBJECT_CHARS_MAX: usize = 1024;
/// The most characters of a place that are kept.
pub const LOCATION_CHARS_MAX: usize = 1024;
/// The most characters of a body that are kept.
pub const BODY_CHARS_MAX: usize = 32 * 1024;
/// The most characters of a body preview that are kept; the server cuts at 255.
pub const PREVIEW_CHARS_MAX: usize = 512;
/// The most characters of a name, an address, a category or another short text that are kept.
pub const NAME_CHARS_MAX: usize = 320;
/// The most bytes of a web address; a longer one is left out, for half of one opens nothing.
pub const ADDRESS_BYTES_MAX: usize = 8192;
/// The most attendees that are kept; Exchange allows 500.
pub const ATTENDEES_MAX: usize = 500;
/// The most categories that are kept.
pub const CATEGORIES_MAX: usize = 50;

/// One row as it stands in a page, borrowed from it. Every member may be missing or `null`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Row<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(rename = "@removed")]
    removed: Option<IgnoredAny>,
    #[serde(borrow, rename = "@odata.etag")]
    etag: Option<Text<'a>>,
    #[serde(borrow)]
    change_key: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    series_master_id: Option<Text<'a>>,
    recurrence: Option<IgnoredAny>,
    #[serde(borrow)]
    start: Option<When<'a>>,
    #[serde(borrow)]
    end: Option<When<'a>>,
    #[serde(borrow)]
    original_start: Option<Text<'a>>,
    #[serde(borrow)]
    last_modified_date_time: Option<Text<'a>>,
    #[serde(borrow)]
    i_cal_u_id: Option<Text<'a>>,
    #[serde(borrow)]
    subject: Option<Text<'a>>,
    #[serde(borrow)]
    body: Option<Body<'a>>,
    #[serde(borrow)]
    body_preview: Option<Text<'a>>,
    #[serde(borrow)]
    location: Option<Place<'a>>,
    is_all_day: Option<bool>,
    is_cancelled: Option<bool>,
    is_organizer: Option<bool>,
    #[serde(borrow)]
    show_as: Option<Text<'a>>,
    #[serde(borrow)]
    sensitivity: Option<Text<'a>>,
    #[serde(borrow)]
    importance: Option<Text<'a>>,
    #[serde(borrow)]
    response_status: Option<Answer<'a>>,
    #[serde(borrow)]
    categories: Option<Capped<Option<Text<'a>>, CATEGORIES_MAX>>,
    #[serde(borrow)]
    organizer: Option<Invited<'a>>,
    #[serde(borrow)]
    attendees: Option<Capped<Option<Invited<'a>>, ATTENDEES_MAX>>,
    is_reminder_on: Option<bool>,
    reminder_minutes_before_start: Option<i64>,
    is_online_meeting: Option<bool>,
    #[serde(borrow)]
    online_meeting_provider: Option<Text<'a>>,
    #[serde(borrow)]
    online_meeting: Option<Join<'a>>,
    #[serde(borrow)]
    online_meeting_url: Option<Text<'a>>,
    #[serde(borrow)]
    web_link: Option<Text<'a>>,
    #[serde(borrow)]
    original_start_time_zone: Option<Text<'a>>,
    #[serde(borrow)]
    transaction_id: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct When<'a> {
    #[serde(borrow, rename = "dateTime", alias = "DateTime")]
    date_time: Option<Text<'a>>,
    #[serde(borrow, rename = "timeZone", alias = "TimeZone")]
    time_zone: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    content_type: Option<Text<'a>>,
    #[serde(borrow)]
    content: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Place<'a> {
    #[serde(borrow)]
    display_name: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer<'a> {
    #[serde(borrow)]
    response: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Invited<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Answer<'a>>,
    #[serde(borrow)]
    email_address: Option<Mail<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Mail<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    address: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Join<'a> {
    #[serde(borrow)]
    join_url: Option<Text<'a>>,
}

/// A text that stays borrowed inside an `Option`, which a bare `Cow` does not.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Owned(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Owned(text))
            }
        }
        deserializer.deserialize_str(Reader).map(Text)
    }
}

/// The first `N` elements of an array; the rest is read over, so that its length costs no memory.
struct Capped<T, const N: usize>(Vec<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Capped<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T, const N: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Reader<T, N> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < N {
                    match elements.next_element()? {
                        Some(element) => kept.push(element),
                        None => return Ok(kept),
                    }
                }
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                Ok(kept)
            }
        }
        deserializer.deserialize_seq(Reader::<T, N>(PhantomData)).map(Capped)
    }
}

/// The row that `slice` holds, whatever is wrong with its members: one of another type reads as missing, of
/// several with one name the last counts.
pub(super) fn row_of(slice: &str) -> Result<Row<'_>, Skipped> {
    if let Ok(row) = serde_json::from_str(slice) {
        return Ok(row);
    }
    let mut row = Row::default();
    json::members(slice, |name, value| row.set(&name, value)).map_err(|json::Malformed| Skipped::Shape)?;
    Ok(row)
}

fn text<'a>(value: &'a str) -> Option<Text<'a>> {
    json::text_of(value).map(Text)
}

fn present(value: &str) -> Option<IgnoredAny> {
    (!json::is_null(value)).then_some(IgnoredAny)
}

impl<'a> Row<'a> {
    fn set(&mut self, name: &str, value: &'a str) {
        match name {
            "id" => self.id = text(value),
            "@removed" => self.removed = present(value),
            "@odata.etag" => self.etag = text(value),
            "changeKey" => self.change_key = text(value),
            "type" => self.kind = text(value),
            "seriesMasterId" => self.series_master_id = text(value),
            "recurrence" => self.recurrence = present(value),
            "start" => self.start = When::of(value),
            "end" => self.end = When::of(value),
            "originalStart" => self.original_start = text(value),
            "lastModifiedDateTime" => self.last_modified_date_time = text(value),
            "iCalUId" => self.i_cal_u_id = text(value),
            "subject" => self.subject = text(value),
            "body" => self.body = Body::of(value),
            "bodyPreview" => self.body_preview = text(value),
            "location" => self.location = Some(Place { display_name: member(value, "displayName") }),
            "isAllDay" => self.is_all_day = json::bool_of(value),
            "isCancelled" => self.is_cancelled = json::bool_of(value),
            "isOrganizer" => self.is_organizer = json::bool_of(value),
            "showAs" => self.show_as = text(value),
            "sensitivity" => self.sensitivity = text(value),
            "importance" => self.importance = text(value),
            "responseStatus" => self.response_status = Some(Answer { response: member(value, "response") }),
            "categories" => self.categories = Some(capped(value, text)),
            "organizer" => self.organizer = Some(Invited::of(value)),
            "attendees" => self.attendees = Some(capped(value, |value| Some(Invited::of(value)))),
            "isReminderOn" => self.is_reminder_on = json::bool_of(value),
            "reminderMinutesBeforeStart" => self.reminder_minutes_before_start = json::whole_of(value),
            "isOnlineMeeting" => self.is_online_meeting = json::bool_of(value),
            "onlineMeetingProvider" => self.online_meeting_provider = text(value),
            "onlineMeeting" => self.online_meeting = Some(Join { join_url: member(value, "joinUrl") }),
            "onlineMeetingUrl" => self.online_meeting_url = text(value),
            "webLink" => self.web_link = text(value),
            "originalStartTimeZone" => self.original_start_time_zone = text(value),
            "transactionId" => self.transaction_id = text(value),
            _ => {}
        }
    }
}

/// The text member `wanted` of the object `value`.
fn member<'a>(value: &'a str, wanted: &str) -> Option<Text<'a>> {
    let mut found = None;
    let walked = json::members(value, |name, value| {
        if name == wanted {
            found = text(value);
        }
    });
    walked.ok().and(found)
}

fn capped<'a, T, const N: usize>(
    value: &'a str,
    decode: impl Fn(&'a str) -> Option<T>,
) -> Capped<Option<T>, N> {
    let mut kept = Vec::new();
    let walked = json::elements(value, |element| {
        kept.push(decode(element));
        kept.len() < N
    });
    Capped(if walked.is_ok() { kept } else { Vec::new() })
}

impl<'a> When<'a> {
    fn of(value: &'a str) -> Option<When<'a>> {
        let mut when = When::default();
        json::members(value, |name, value| match &*name {
            "dateTime" | "DateTime" => when.date_time = text(value),
            "timeZone" | "TimeZone" => when.time_zone = text(value),
            _ => {}
        })
        .ok()?;
        Some(when)
    }

    fn written(&self) -> Option<time::Written> {
        time::decode(&self.date_time.as_ref()?.0)
    }

    fn zone(&self) -> Option<&str> {
        self.time_zone.as_ref().map(|zone| &*zone.0)
    }
}

impl<'a> Body<'a> {
    fn of(value: &'a str) -> Option<Body<'a>> {
        Some(Body { content_type: member(value, "contentType"), content: member(value, "content") })
    }
}

impl<'a> Invited<'a> {
    fn of(value: &'a str) -> Invited<'a> {
        let mut invited = Invited::default();
        let _malformed_is_nobody = json::members(value, |name, value| match &*name {
            "type" => invited.kind = text(value),
            "status" => invited.status = Some(Answer { response: member(value, "response") }),
            "emailAddress" => {
                invited.email_address =
                    Some(Mail { name: member(value, "name"), address: member(value, "address") });
            }
            _ => {}
        });
        invited
    }
}

/// What the row says.
///
/// # Errors
/// The reason why it is left out; its page stands.
pub(super) fn change(row: &Row<'_>) -> Result<Change, Skipped> {
    let remote_id = remote_id(row.id.as_ref()).ok_or(Skipped::Id)?;
    if row.removed.is_some() {
        return Ok(Change::Gone(remote_id));
    }
    record(row, remote_id).map(Change::Put)
}

/// An id that can be kept byte for byte: not empty, not overlong, nothing lost in decoding.
pub(super) fn usable_id(text: &str) -> Option<RemoteId> {
    let is_usable = !text.trim().is_empty()
        && text.len() <= ID_BYTES_MAX
        && (text::is_plain(text) || !text.contains(char::is_control))
        && !text.contains(char::REPLACEMENT_CHARACTER);
    is_usable.then(|| RemoteId::new(text))
}

fn remote_id(text: Option<&Text<'_>>) -> Option<RemoteId> {
    usable_id(&text?.0)
}

fn record(row: &Row<'_>, remote_id: RemoteId) -> Result<EventRecord, Skipped> {
    let kind = kind(row);
    let series = match kind {
        EventKind::Single | EventKind::Master => None,
        EventKind::Occurrence | EventKind::Exception => {
            let series = remote_id_of_series(row).filter(|series| *series != remote_id);
            Some(series.ok_or(Skipped::Series)?)
        }
    };
    let is_all_day = row.is_all_day.unwrap_or(false);
    let (start_ms, end_ms) = match (times(row, is_all_day), kind) {
        (Some(times), _) => times,
        // A master is never shown; its details carry its occurrences, so its own times are not worth losing them.
        (None, EventKind::Master) => (0, 0),
        (None, _) => return Err(Skipped::Times),
    };
    let is_stub = kind == EventKind::Occurrence
        && row.subject.is_none()
        && row.is_all_day.is_none()
        && row.show_as.is_none();
    Ok(EventRecord {
        remote_id,
        kind,
        change_key: change_key(row),
        series,
        start_ms,
        end_ms,
        original_start_ms: instant(row.original_start.as_ref()),
        modified_ms: instant(row.last_modified_date_time.as_ref()),
        details: if is_stub { None } else { Some(Box::new(details(row, is_all_day))) },
    })
}

fn remote_id_of_series(row: &Row<'_>) -> Option<RemoteId> {
    remote_id(row.series_master_id.as_ref())
}

/// A kind this version does not know is guessed from the members that come with each known one.
fn kind(row: &Row<'_>) -> EventKind {
    match row.kind.as_ref().map(|kind| &*kind.0) {
        Some("singleInstance") => EventKind::Single,
        Some("occurrence") => EventKind::Occurrence,
        Some("exception") => EventKind::Exception,
        Some("seriesMaster") => EventKind::Master,
        Some(_) | None => {
            match (row.series_master_id.is_some(), row.recurrence.is_some(), row.subject.is_some()) {
                (true, _, true) => EventKind::Exception,
                (true, _, false) => EventKind::Occurrence,
                (false, true, _) => EventKind::Master,
                (false, false, _) => EventKind::Single,
            }
        }
    }
}

/// Start and end. An end before its start counts as the start: the appointment exists and takes no time.
/// All-day: whole days that are never converted, at least one.
fn times(row: &Row<'_>, is_all_day: bool) -> Option<(i64, i64)> {
    let (start, end) = (row.start.as_ref()?, row.end.as_ref()?);
    let (start_at, end_at) = (start.written()?, end.written()?);
    if is_all_day {
        let from_ms = start_at.wall_ms.div_euclid(DAY_MS) * DAY_MS;
        let to_ms = (end_at.wall_ms + DAY_MS - 1).div_euclid(DAY_MS) * DAY_MS;
        return Some((from_ms, to_ms.max(from_ms + DAY_MS)));
    }
    let start_ms = time::instant_ms(start_at, start.zone());
    let end_ms = time::instant_ms(end_at, end.zone());
    Some((start_ms, end_ms.max(start_ms)))
}

fn instant(text: Option<&Text<'_>>) -> Option<i64> {
    time::decode(&text?.0).map(time::Written::utc_ms)
}

/// `changeKey`, else the content of the ETag `W/"…"`, which is the same value.
fn change_key(row: &Row<'_>) -> Option<String> {
    let key = row.change_key.as_ref().map(|key| &*key.0).filter(|key| !key.is_empty());
    let key = key.or_else(|| {
        let etag = &*row.etag.as_ref()?.0;
        Some(etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"'))
    })?;
    text::line(key, NAME_CHARS_MAX)
}

fn short(text: Option<&Text<'_>>) -> Option<String> {
    text::line(&text?.0, NAME_CHARS_MAX)
}

fn web(text: Option<&Text<'_>>) -> Option<String> {
    text::web_address(&text?.0, ADDRESS_BYTES_MAX)
}

fn details(row: &Row<'_>, is_all_day: bool) -> Details {
    let categories = row.categories.iter().flat_map(|list| &list.0);
    let attendees = row.attendees.iter().flat_map(|list| &list.0);
    Details {
        ical_uid: row.i_cal_u_id.as_ref().and_then(|uid| text::line(&uid.0, ID_BYTES_MAX)),
        subject: row.subject.as_ref().and_then(|subject| text::line(&subject.0, SUBJECT_CHARS_MAX)),
        body: row.body.as_ref().and_then(body),
        body_preview: row
            .body_preview
            .as_ref()
            .and_then(|preview| text::block(&preview.0, PREVIEW_CHARS_MAX)),
        location: row
            .location
            .as_ref()
            .and_then(|place| text::line(&place.display_name.as_ref()?.0, LOCATION_CHARS_MAX)),
        is_all_day,
        is_cancelled: row.is_cancelled.unwrap_or(false),
        is_organizer: row.is_organizer.unwrap_or(false),
        show_as: show_as(row.show_as.as_ref()),
        sensitivity: sensitivity(row.sensitivity.as_ref()),
        importance: importance(row.importance.as_ref()),
        response: response(row.response_status.as_ref()),
        categories: categories.filter_map(|name| short(name.as_ref())).collect(),
        organizer: row.organizer.as_ref().and_then(person),
        attendees: attendees.filter_map(|invited| attendee(invited.as_ref()?)).collect(),
        reminder_minutes: reminder_minutes(row),
        online_meeting: online_meeting(row),
        web_link: web(row.web_link.as_ref()),
        original_time_zone: short(row.original_start_time_zone.as_ref()),
        transaction_id: short(row.transaction_id.as_ref()),
    }
}

fn body(body: &Body<'_>) -> Option<String> {
    let content = &*body.content.as_ref()?.0;
    let is_html = body.content_type.as_ref().is_some_and(|kind| kind.0.eq_ignore_ascii_case("html"));
    if is_html { text::of_html(content, BODY_CHARS_MAX) } else { text::block(content, BODY_CHARS_MAX) }
}

fn person(invited: &Invited<'_>) -> Option<Person> {
    let mail = invited.email_address.as_ref()?;
    let (name, address) = (short(mail.name.as_ref()), short(mail.address.as_ref()));
    (name.is_some() || address.is_some()).then_some(Person { name, address })
}

fn attendee(invited: &Invited<'_>) -> Option<Attendee> {
    let kind = match invited.kind.as_ref().map(|kind| &*kind.0) {
        Some("optional") => AttendeeType::Optional,
        Some("resource") => AttendeeType::Resource,
        Some(_) | None => AttendeeType::Required,
    };
    Some(Attendee { person: person(invited)?, kind, response: response(invited.status.as_ref()) })
}

fn reminder_minutes(row: &Row<'_>) -> Option<i32> {
    if row.is_reminder_on == Some(false) {
        return None;
    }
    let minutes = row.reminder_minutes_before_start?;
    Some(i32::try_from(minutes).unwrap_or(if minutes < 0 { i32::MIN } else { i32::MAX }))
}

fn online_meeting(row: &Row<'_>) -> Option<OnlineMeeting> {
    let join_url = web(row.online_meeting.as_ref().and_then(|join| join.join_url.as_ref()))
        .or_else(|| web(row.online_meeting_url.as_ref()));
    if join_url.is_none() && row.is_online_meeting != Some(true) {
        return None;
    }
    let provider = match row.online_meeting_provider.as_ref().map(|provider| &*provider.0) {
        Some("teamsForBusiness" | "teamsForConsumer") => OnlineProvider::Teams,
        Some("skypeForBusiness") => OnlineProvider::SkypeBusiness,
        Some("skypeForConsumer") => OnlineProvider::SkypeConsumer,
        Some(_) | None => OnlineProvider::Other,
    };
    Some(OnlineMeeting { provider, join_url })
}

fn show_as(text: Option<&Text<'_>>) -> ShowAs {
    match text.map(|text| &*text.0) {
        Some("free") => ShowAs::Free,
        Some("tentative") => ShowAs::Tentative,
        Some("busy") => ShowAs::Busy,
        Some("oof") => ShowAs::Oof,
        Some("workingElsewhere") => ShowAs::WorkingElsewhere,
        Some(_) | None => ShowAs::Unknown,
    }
}

fn sensitivity(text: Option<&Text<'_>>) -> Sensitivity {
    match text.map(|text| &*text.0) {
        Some("personal") => Sensitivity::Personal,
        Some("private") => Sensitivity::Private,
        Some("confidential") => Sensitivity::Confidential,
        Some(_) | None => Sensitivity::Normal,
    }
}

fn importance(text: Option<&Text<'_>>) -> Importance {
    match text.map(|text| &*text.0) {
        Some("low") => Importance::Low,
        Some("high") => Importance::High,
        Some(_) | None => Importance::Normal,
    }
}

fn response(answer: Option<&Answer<'_>>) -> Response {
    match answer.and_then(|answer| answer.response.as_ref()).map(|text| &*text.0) {
        Some("organizer") => Response::Organizer,
        Some("tentativelyAccepted") => Response::Tentative,
        Some("accepted") => Response::Accepted,
        Some("declined") => Response::Declined,
        Some("notResponded") => Response::NotResponded,
        Some(_) | None => Response::None,
    }
}
