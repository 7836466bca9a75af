//! The bound: what the same bytes cost when nothing but the work itself is done.
//!
//! One table in the best layout known here (integer row id, unique 16-byte hash of the remote id, three indexes,
//! WAL, `synchronous = NORMAL`, checkpoints every 20,000 pages, a page cache of 32 MB), one prepared upsert, one transaction a page;
//! the next page is fetched, inflated and decoded on one core while the other one writes. It keeps neither
//! attendees nor bodies, has no feed, no series, no cursor, and cannot tell a change from a repetition.

use std::path::Path;
use std::sync::mpsc;

use rusqlite::{Connection, params};
use serde::Deserialize;

const SCHEMA: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 20000;
PRAGMA cache_size = -32000;
CREATE TABLE event (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, remote_id TEXT NOT NULL, kind TEXT, change_key TEXT,
    series_key BLOB, start_ms INTEGER, end_ms INTEGER, modified_ms INTEGER, is_all_day INTEGER,
    is_cancelled INTEGER, is_organizer INTEGER, show_as TEXT, sensitivity TEXT, importance TEXT, response TEXT,
    reminder_minutes INTEGER, ical_uid TEXT, subject TEXT, body_preview TEXT, location TEXT, time_zone TEXT,
    organizer TEXT, categories TEXT, join_url TEXT, web_link TEXT
) STRICT;
CREATE INDEX event_by_start ON event (start_ms, end_ms);
CREATE INDEX event_by_end ON event (end_ms);
CREATE INDEX event_by_series ON event (series_key, start_ms);";
const UPSERT: &str = "INSERT INTO event (key, remote_id, kind, change_key, series_key, start_ms, end_ms, modified_ms,
    is_all_day, is_cancelled, is_organizer, show_as, sensitivity, importance, response, reminder_minutes, ical_uid,
    subject, body_preview, location, time_zone, organizer, categories, join_url, web_link)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
    ?24, ?25)
ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, change_key = excluded.change_key,
    series_key = excluded.series_key, start_ms = excluded.start_ms, end_ms = excluded.end_ms,
    modified_ms = excluded.modified_ms, is_all_day = excluded.is_all_day, is_cancelled = excluded.is_cancelled,
    is_organizer = excluded.is_organizer, show_as = excluded.show_as, sensitivity = excluded.sensitivity,
    importance = excluded.importance, response = excluded.response, reminder_minutes = excluded.reminder_minutes,
    ical_uid = excluded.ical_uid, subject = excluded.subject, body_preview = excluded.body_preview,
    location = excluded.location, time_zone = excluded.time_zone, organizer = excluded.organizer,
    categories = excluded.categories, join_url = excluded.join_url,
    web_link = excluded.web_link";
/// The same with what else an agenda shows, for comparison only.
const WIDE_SCHEMA: &str =
    "CREATE TABLE more (event_id INTEGER PRIMARY KEY, attendees TEXT, body TEXT) STRICT;";
const WIDE: &str = "INSERT OR REPLACE INTO more (event_id, attendees, body) VALUES (?1, ?2, ?3)";

#[derive(Deserialize)]
struct Page {
    value: Vec<Event>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    change_key: Option<String>,
    series_master_id: Option<String>,
    start: Time,
    end: Time,
    last_modified_date_time: Option<String>,
    is_all_day: Option<bool>,
    is_cancelled: Option<bool>,
    is_organizer: Option<bool>,
    show_as: Option<String>,
    sensitivity: Option<String>,
    importance: Option<String>,
    response_status: Option<ResponseStatus>,
    reminder_minutes_before_start: Option<i32>,
    #[serde(rename = "iCalUId")]
    ical_uid: Option<String>,
    subject: Option<String>,
    body_preview: Option<String>,
    body: Option<Body>,
    location: Option<Location>,
    original_start_time_zone: Option<String>,
    organizer: Option<Recipient>,
    attendees: Option<Vec<Attendee>>,
    categories: Option<Vec<String>>,
    online_meeting: Option<OnlineMeeting>,
    web_link: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Time {
    date_time: String,
}

#[derive(Deserialize)]
struct ResponseStatus {
    response: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    display_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnlineMeeting {
    join_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    email_address: Address,
}

#[derive(Deserialize, serde::Serialize)]
struct Address {
    name: Option<String>,
    address: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attendee {
    r#type: Option<String>,
    email_address: Address,
}

#[derive(serde::Serialize)]
struct StoredAttendee<'a> {
    name: Option<&'a str>,
    address: Option<&'a str>,
    r#type: Option<&'a str>,
}

/// What the bound writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// One table of 25 columns.
    Narrow,
    /// That, and attendees and bodies in a side table: all the texts ours keeps.
    Wide,
}

/// Reads every page from `link` on into a fresh file. Answers the rows written.
pub async fn sync(client: &reqwest::Client, link: String, file: &Path, width: Width) -> u64 {
    let (sender, receiver) = mpsc::sync_channel::<Vec<Event>>(1);
    let conn = Connection::open(file).unwrap();
    conn.execute_batch(SCHEMA).unwrap();
    if width == Width::Wide {
        conn.execute_batch(WIDE_SCHEMA).unwrap();
    }
    let writer = std::thread::spawn(move || write(conn, &receiver, width));
    let mut link = Some(link);
    while let Some(asked) = link {
        let page = fetch(client, &asked).await;
        let page: Page = serde_json::from_str(std::str::from_utf8(&page).unwrap()).unwrap();
        link = page.next;
        sender.send(page.value).unwrap();
    }
    drop(sender);
    writer.join().unwrap()
}

/// One bare request: the inflated bytes.
pub async fn fetch(client: &reqwest::Client, link: &str) -> Vec<u8> {
    let reply = client
        .get(link)
        .bearer_auth("bench")
        .header("prefer", "odata.maxpagesize=200, outlook.timezone=\"UTC\", outlook.body-content-type=\"text\", IdType=\"ImmutableId\"")
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 200);
    reply.bytes().await.unwrap().to_vec()
}

fn write(mut conn: Connection, pages: &mpsc::Receiver<Vec<Event>>, width: Width) -> u64 {
    let mut rows = 0;
    for page in pages {
        let tx = conn.transaction().unwrap();
        {
            let mut upsert = tx.prepare_cached(UPSERT).unwrap();
            let mut put_more = (width == Width::Wide).then(|| tx.prepare_cached(WIDE).unwrap());
            for event in &page {
                upsert
                    .execute(params![
                        hash(&event.id),
                        event.id,
                        event.kind,
                        event.change_key,
                        event.series_master_id.as_deref().map(hash),
                        instant(&event.start.date_time),
                        instant(&event.end.date_time),
                        event.last_modified_date_time.as_deref().map(instant),
                        event.is_all_day,
                        event.is_cancelled,
                        event.is_organizer,
                        event.show_as,
                        event.sensitivity,
                        event.importance,
                        event.response_status.as_ref().map(|r| &r.response),
                        event.reminder_minutes_before_start,
                        event.ical_uid,
                        event.subject,
                        event.body_preview,
                        event.location.as_ref().map(|l| &l.display_name),
                        event.original_start_time_zone,
                        event.organizer.as_ref().map(|o| &o.email_address.address),
                        event.categories.as_ref().map(|c| c.join("\n")),
                        event.online_meeting.as_ref().map(|m| &m.join_url),
                        event.web_link,
                    ])
                    .unwrap();
                if let (Some(put), Some(people)) = (&mut put_more, &event.attendees) {
                    let body = event.body.as_ref().map(|b| b.content.as_str());
                    let body = body.filter(|body| event.body_preview.as_deref() != Some(*body));
                    put.execute((tx.last_insert_rowid(), attendees(people), body)).unwrap();
                }
            }
        }
        tx.commit().unwrap();
        rows += page.len() as u64;
    }
    rows
}

/// The client of both pipelines.
pub fn client() -> reqwest::Client {
    // Another part of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

fn hash(id: &str) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..16]);
    out
}

fn attendees(list: &[Attendee]) -> String {
    let stored: Vec<StoredAttendee<'_>> = list
        .iter()
        .map(|a| StoredAttendee {
            name: a.email_address.name.as_deref(),
            address: a.email_address.address.as_deref(),
            r#type: a.r#type.as_deref(),
        })
        .collect();
    serde_json::to_string(&stored).unwrap()
}

/// `YYYY-MM-DDThh:mm:ss…` in UTC as epoch milliseconds; the bound trusts its input.
fn instant(text: &str) -> i64 {
    let number = |from: usize, to: usize| text[from..to].parse::<u32>().unwrap();
    chrono::NaiveDate::from_ymd_opt(number(0, 4) as i32, number(5, 7), number(8, 10))
        .unwrap()
        .and_hms_opt(number(11, 13), number(14, 16), number(17, 19))
        .unwrap()
        .and_utc()
        .timestamp_millis()
}
