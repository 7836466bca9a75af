//! The mailbox every measure runs on: deterministic, three years, pages pre-rendered.
//!
//! 70 % singles (the series masters are taken from this share), 25 % occurrence stubs of seven members, 5 %
//! exceptions; a full row is 3.8 KB of JSON on average.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fastrand::Rng;

/// The instant everything is measured at: 2026-11-23T12:00:00Z.
pub const NOW_MS: i64 = 1_795_435_200_000;
pub const DAY_MS: i64 = 86_400_000;
/// How far the mailbox reaches from [`NOW_MS`] in either direction.
pub const REACH_DAYS: i64 = 547;
pub const PAGE_ROWS: usize = 200;
/// Rows of a round of changes.
pub const CHANGED_ROWS: usize = 100;
/// Different rounds of changes that are served in turn.
pub const CHANGE_ROUNDS: usize = 70;
pub const CALENDAR_ID: &str = "AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A5c7rJ0mQ8kqB3v1aYw2nTAAAAAABBwAA";

const INSTANCES_A_SERIES: usize = 50;
const ID_HEAD: &str =
    "AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A5c7rJ0mQ8kqB3v1aYw2nTAAAAAABDQAA5c7rJ0mQ8kqB3v1aYw2nTAAB";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const WORDS: [&str; 48] = [
    "review",
    "planning",
    "budget",
    "release",
    "customer",
    "design",
    "quarter",
    "team",
    "weekly",
    "status",
    "draft",
    "contract",
    "please",
    "agenda",
    "minutes",
    "project",
    "interview",
    "training",
    "roadmap",
    "launch",
    "delivery",
    "and",
    "with",
    "for",
    "the",
    "open",
    "questions",
    "numbers",
    "before",
    "after",
    "office",
    "supplier",
    "quality",
    "report",
    "figures",
    "travel",
    "booking",
    "Zürich",
    "München",
    "Café",
    "follow-up",
    "decision",
    "architecture",
    "migration",
    "security",
    "audit",
    "workshop",
    "retrospective",
];
const NAMES: [&str; 16] = [
    "Anna Müller",
    "Ben Okafor",
    "Chloé Martin",
    "David Kim",
    "Elena Rossi",
    "Farid Haddad",
    "Grace Lee",
    "Hugo Novák",
    "Ines Alvarez",
    "Jonas Berg",
    "Kira Sato",
    "Liam Walsh",
    "Maya Patel",
    "Noah Weiss",
    "Olga Petrova",
    "Pedro Silva",
];

/// The rows as JSON objects in the server's order, and what the look-ups need.
pub struct Mailbox {
    pub rows: Vec<String>,
    /// Series masters by id.
    pub masters: BTreeMap<String, String>,
    /// Rows of a round of changes, one list a round.
    pub changed: Vec<Vec<String>>,
    /// Bytes of the full rows, for the mean.
    pub full_bytes: usize,
    pub full_rows: usize,
}

struct Single {
    id: String,
    start_ms: i64,
    minutes: i64,
}

impl Mailbox {
    pub fn generate(items: usize) -> Mailbox {
        let mut rng = Rng::with_seed(0xca1_0000 + items as u64);
        let occurrences = items / 4;
        let exceptions = items / 20;
        let series = (occurrences + exceptions).div_ceil(INSTANCES_A_SERIES);
        let singles: Vec<Single> = (0..items - occurrences - exceptions - series)
            .map(|_| Single {
                id: remote_id(&mut rng),
                start_ms: working_hour(&mut rng),
                minutes: [15, 30, 30, 60, 60, 90, 120, 240, 1_440][rng.usize(..9)],
            })
            .collect();
        let mut rows = Vec::with_capacity(items);
        let (mut full_bytes, mut full_rows) = (0, 0);
        let mut full = |row: String, rows: &mut Vec<String>| {
            full_bytes += row.len();
            full_rows += 1;
            rows.push(row);
        };
        for single in &singles {
            full(full_row(&mut rng, single, &Kind::Single), &mut rows);
        }
        let mut masters = BTreeMap::new();
        let mut left = (occurrences, exceptions);
        for number in 0..series {
            let id = remote_id(&mut rng);
            let first_ms = working_hour(&mut rng) - INSTANCES_A_SERIES as i64 * 7 * DAY_MS / 2;
            let step_days = [1, 7, 7, 14][rng.usize(..4)];
            let minutes = [15, 30, 60][rng.usize(..3)];
            let master =
                full_row(&mut rng, &Single { id: id.clone(), start_ms: first_ms, minutes }, &Kind::Master);
            // Most masters come before their instances; not all do.
            let is_late = number % 10 == 9;
            if !is_late {
                full(master.clone(), &mut rows);
            }
            for place in 0..INSTANCES_A_SERIES as i64 {
                let start_ms = within_reach(first_ms + place * step_days * DAY_MS);
                let instance = Single { id: remote_id(&mut rng), start_ms, minutes };
                if left.1 > 0 && place % 6 == 5 {
                    left.1 -= 1;
                    full(full_row(&mut rng, &instance, &Kind::Exception(&id)), &mut rows);
                } else if left.0 > 0 {
                    left.0 -= 1;
                    rows.push(stub(&mut rng, &instance, &id));
                } else if left.1 > 0 {
                    left.1 -= 1;
                    full(full_row(&mut rng, &instance, &Kind::Exception(&id)), &mut rows);
                }
            }
            if is_late {
                full(master.clone(), &mut rows);
            }
            masters.insert(id, master);
        }
        let changed = (0..CHANGE_ROUNDS)
            .map(|_| {
                (0..CHANGED_ROWS)
                    .map(|_| {
                        let single = &singles[rng.usize(..singles.len())];
                        full_row(&mut rng, single, &Kind::Single)
                    })
                    .collect()
            })
            .collect();
        Mailbox { rows, masters, changed, full_bytes, full_rows }
    }
}

enum Kind<'a> {
    Single,
    Master,
    Exception(&'a str),
}

fn text(rng: &mut Rng, bytes: usize) -> String {
    let mut out = String::with_capacity(bytes + 16);
    for _ in 0..bytes {
        out.push(char::from(ALPHABET[rng.usize(..64)]));
    }
    out
}

fn remote_id(rng: &mut Rng) -> String {
    format!("{ID_HEAD}{}AAA=", text(rng, 54))
}

fn words(rng: &mut Rng, bytes: usize) -> String {
    let mut out = String::with_capacity(bytes + 16);
    while out.len() < bytes {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(WORDS[rng.usize(..WORDS.len())]);
    }
    out
}

fn working_hour(rng: &mut Rng) -> i64 {
    let midnight = NOW_MS - DAY_MS / 2;
    midnight + rng.i64(-REACH_DAYS..REACH_DAYS) * DAY_MS + rng.i64(28..72) * 900_000
}

/// Moves a start that lies outside the mailbox's three years to the other end.
fn within_reach(start_ms: i64) -> i64 {
    let from = NOW_MS - REACH_DAYS * DAY_MS;
    from + (start_ms - from).rem_euclid(2 * REACH_DAYS * DAY_MS)
}

/// `YYYY-MM-DDThh:mm:ss` of an instant.
pub fn stamp(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms).unwrap().format("%Y-%m-%dT%H:%M:%S").to_string()
}

fn time(ms: i64) -> String {
    format!(r#"{{"dateTime":"{}.0000000","timeZone":"UTC"}}"#, stamp(ms))
}

fn stub(rng: &mut Rng, instance: &Single, series: &str) -> String {
    format!(
        r##"{{"@odata.type":"#microsoft.graph.event","@odata.etag":"W/\"{}\"","id":"{}","seriesMasterId":"{series}","type":"occurrence","start":{},"end":{}}}"##,
        text(rng, 40),
        instance.id,
        time(instance.start_ms),
        time(instance.start_ms + instance.minutes * 60_000),
    )
}

fn full_row(rng: &mut Rng, single: &Single, kind: &Kind<'_>) -> String {
    let change_key = text(rng, 28);
    let mut row = String::with_capacity(4_600);
    let (type_name, series, original, recurrence) = match kind {
        Kind::Single => ("singleInstance", "null".to_owned(), String::new(), "null".to_owned()),
        Kind::Master => ("seriesMaster", "null".to_owned(), String::new(), recurrence(single.start_ms)),
        Kind::Exception(id) => (
            "exception",
            format!("\"{id}\""),
            format!(r#""originalStart":"{}Z","#, stamp(single.start_ms)),
            "null".to_owned(),
        ),
    };
    let is_all_day = single.minutes == 1_440;
    let start_ms = if is_all_day { single.start_ms.div_euclid(DAY_MS) * DAY_MS } else { single.start_ms };
    let end_ms = start_ms + single.minutes * 60_000;
    let length = [0, 0, 80, 160, 240, 600, 900, 1_200, 1_600, 2_000][rng.usize(..10)];
    let body = words(rng, length);
    let preview: String = body.chars().take(255).collect();
    let subject_length = 12 + rng.usize(..40);
    let subject = words(rng, subject_length);
    let modified_ms = NOW_MS - rng.i64(1..400) * DAY_MS + rng.i64(0..DAY_MS);
    let uid = text(rng, 108);
    let id = &single.id;
    write!(
        row,
        r##"{{"@odata.type":"#microsoft.graph.event","@odata.etag":"W/\"{change_key}\"","id":"{id}","createdDateTime":"{}.5473219Z","lastModifiedDateTime":"{}.1129945Z","changeKey":"{change_key}","categories":[{}],"transactionId":null,"originalStartTimeZone":"W. Europe Standard Time","originalEndTimeZone":"W. Europe Standard Time","iCalUId":"040000008200E00074C5B7101A82E008{uid}","reminderMinutesBeforeStart":15,"isReminderOn":true,"hasAttachments":false,"subject":"{subject}","bodyPreview":"{preview}","importance":"normal","sensitivity":"{}","isAllDay":{is_all_day},"isCancelled":false,"isOrganizer":{},"isDraft":false,"responseRequested":true,"seriesMasterId":{series},"showAs":"{}","type":"{type_name}",{original}"webLink":"https://outlook.office365.com/owa/?itemid={id}&exvsurl=1&path=/calendar/item","onlineMeetingUrl":null,"hideAttendees":false,"allowNewTimeProposals":true,"recurrence":{recurrence},"responseStatus":{{"response":"{}","time":"0001-01-01T00:00:00Z"}},"body":{{"contentType":"text","content":"{body}"}},"start":{},"end":{},"##,
        stamp(modified_ms - DAY_MS),
        stamp(modified_ms),
        ["", "", r#""Blue category""#, r#""Customer","Project""#][rng.usize(..4)],
        ["normal", "normal", "normal", "private"][rng.usize(..4)],
        rng.bool(),
        ["busy", "busy", "tentative", "free", "oof"][rng.usize(..5)],
        ["organizer", "accepted", "notResponded", "tentativelyAccepted"][rng.usize(..4)],
        time(start_ms),
        time(end_ms),
    )
    .unwrap();
    let room = format!("Room {} / {}", rng.u32(1..9), WORDS[rng.usize(..WORDS.len())]);
    write!(
        row,
        r#""location":{{"displayName":"{room}","locationType":"default","uniqueId":"{room}","uniqueIdType":"private"}},"locations":[{{"displayName":"{room}","locationType":"default","uniqueId":"{room}","uniqueIdType":"private"}}],"attendees":["#
    )
    .unwrap();
    for place in 0..[0, 1, 2, 3, 4, 5, 6, 8][rng.usize(..8)] {
        let name = NAMES[rng.usize(..NAMES.len())];
        write!(
            row,
            r#"{}{{"type":"{}","status":{{"response":"{}","time":"0001-01-01T00:00:00Z"}},"emailAddress":{{"name":"{name}","address":"person.{}@contoso.example"}}}}"#,
            if place == 0 { "" } else { "," },
            ["required", "required", "optional"][rng.usize(..3)],
            ["none", "accepted", "declined"][rng.usize(..3)],
            rng.u32(..100_000),
        )
        .unwrap();
    }
    let organizer = NAMES[rng.usize(..NAMES.len())];
    write!(
        row,
        r#"],"organizer":{{"emailAddress":{{"name":"{organizer}","address":"person.{}@contoso.example"}}}},"#,
        rng.u32(..100_000)
    )
    .unwrap();
    if rng.u8(..3) == 0 {
        row.push_str(r#""isOnlineMeeting":false,"onlineMeetingProvider":"unknown","onlineMeeting":null}"#);
    } else {
        let thread = text(rng, 90);
        write!(
            row,
            r#""isOnlineMeeting":true,"onlineMeetingProvider":"teamsForBusiness","onlineMeeting":{{"joinUrl":"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{thread}%40thread.v2/0?context=%7b%22Tid%22%3a%22{}%22%7d"}}}}"#,
            text(rng, 36)
        )
        .unwrap();
    }
    row
}

fn recurrence(start_ms: i64) -> String {
    let date = stamp(start_ms);
    let date = &date[..10];
    format!(
        r#"{{"pattern":{{"type":"weekly","interval":1,"month":0,"dayOfMonth":0,"daysOfWeek":["monday"],"firstDayOfWeek":"sunday","index":"first"}},"range":{{"type":"noEnd","startDate":"{date}","endDate":"0001-01-01","recurrenceTimeZone":"W. Europe Standard Time","numberOfOccurrences":0}}}}"#
    )
}
