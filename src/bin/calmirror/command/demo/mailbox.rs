//! The mailbox of the demo: a plausible working day around today, in a year of meetings.

use chrono::{Datelike, Days, NaiveDate, Weekday};
use serde_json::{Map, Value, json};

/// The zone of the mailbox, by the name the service uses.
const ZONE: &str = "W. Europe Standard Time";
/// Single meetings in the year around today.
const SINGLES: u32 = 640;
/// How far they reach back and ahead.
const PAST_DAYS: u64 = 28;
const SPAN_DAYS: u32 = 380;

const SUBJECTS: [&str; 12] = [
    "Design review",
    "Customer call",
    "Interview",
    "Sprint planning",
    "Retrospective",
    "Contract talk",
    "Release check",
    "Budget round",
    "Onboarding",
    "Security review",
    "Roadmap",
    "Support handover",
];
const PROJECTS: [&str; 6] = ["Atlas", "Vega", "Lumen", "Quartz", "Mistral", "Zenit"];
const PLACES: [&str; 5] = ["Room 2.17", "Studio", "Terrace", "Client site", "Room 1.04"];

/// The subject of the meeting that moves.
pub const MOVED: &str = "Budget review";
/// The subject of the meeting that is cancelled.
pub const CANCELLED: &str = "Vendor demo";
/// The subject of the series of which today's occurrence moves.
pub const SERIES: &str = "Stand-up";

/// The mailbox document.
pub fn document(today: NaiveDate) -> String {
    let monday =
        today.checked_sub_days(Days::new(today.weekday().num_days_from_monday().into())).unwrap_or(today);
    let mut own = day_of_meetings(today);
    own.extend(series(monday));
    own.extend(singles(today));
    let document = json!({
        "users": [{
            "name": "Anna Albrecht",
            "address": "anna@contoso.example",
            "time_zone": ZONE,
            "calendars": [
                { "name": "Calendar", "default": true, "events": own },
                { "name": "Team", "events": team(today, monday) },
                {
                    "name": "Bela (shared)",
                    "can_edit": false,
                    "owner": { "name": "Bela Baum", "address": "bela@contoso.example" },
                    "events": [
                        meeting(today, "10:30", 60, "Architecture board", &[("location", place("Studio"))]),
                        meeting(today, "15:00", 30, "Phone screen", &[]),
                    ],
                },
            ],
        }],
        "quirks": "default",
        "sign_in": { "access_token_s": 3600 },
    });
    document.to_string()
}

fn day_of_meetings(today: NaiveDate) -> Vec<Value> {
    let online = || [("isOnlineMeeting", json!(true)), ("onlineMeetingProvider", json!("teamsForBusiness"))];
    let organizer = |name: &str, address: &str| {
        [
            ("organizer", json!({ "emailAddress": { "name": name, "address": address } })),
            ("attendees", json!([attendee("Anna Albrecht", "anna@contoso.example")])),
        ]
    };
    let response =
        |text: &str| ("responseStatus", json!({ "response": text, "time": "0001-01-01T00:00:00Z" }));
    let mut kunde = organizer("Clara Meyer", "clara@fabrikam.example").to_vec();
    kunde.extend(online());
    kunde.push(response("accepted"));
    let mut vendor = organizer("Dario Rossi", "dario@wingtip.example").to_vec();
    vendor.push(response("tentativelyAccepted"));
    vendor.push(("showAs", json!("tentative")));
    let mut town_hall = organizer("Eva Engel", "eva@contoso.example").to_vec();
    town_hall.extend(online());
    town_hall.push(response("notResponded"));
    town_hall.push(("showAs", json!("tentative")));
    vec![
        meeting(today, "10:00", 60, MOVED, &[("location", place("Room 2.17"))]),
        meeting(today, "11:30", 45, "Kunde: Meyer", &kunde),
        meeting(today, "13:30", 45, CANCELLED, &vendor),
        meeting(today, "14:30", 90, "Focus time", &[("sensitivity", json!("private"))]),
        meeting(today, "16:30", 30, "Town hall", &town_hall),
    ]
}

fn series(monday: NaiveDate) -> Vec<Value> {
    let begun = monday.checked_sub_days(Days::new(21)).unwrap_or(monday);
    let every = |pattern: Value| ("recurrence", json!({ "pattern": pattern, "range": { "type": "noEnd" } }));
    let online = [("isOnlineMeeting", json!(true)), ("onlineMeetingProvider", json!("teamsForBusiness"))];
    let mut stand_up = vec![every(json!({ "type": "daily", "interval": 1 }))];
    stand_up.extend(online);
    let lunch = [
        every(json!({
            "type": "weekly", "interval": 1, "firstDayOfWeek": "monday",
            "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
        })),
        ("showAs", json!("free")),
    ];
    let one_to_one = [every(
        json!({ "type": "weekly", "interval": 2, "firstDayOfWeek": "monday", "daysOfWeek": ["thursday"] }),
    )];
    vec![
        meeting(begun, "09:00", 15, SERIES, &stand_up),
        meeting(begun, "12:30", 45, "Lunch", &lunch),
        meeting(following(begun, Weekday::Thu), "09:30", 30, "1:1 with Eva", &one_to_one),
    ]
}

fn team(today: NaiveDate, monday: NaiveDate) -> Vec<Value> {
    let tomorrow = today.succ_opt().unwrap_or(today);
    let weekly = json!({
        "pattern": { "type": "weekly", "interval": 1, "firstDayOfWeek": "monday", "daysOfWeek": ["tuesday"] },
        "range": { "type": "noEnd" },
    });
    vec![
        json!({
            "subject": "Bela: out of office",
            "isAllDay": true,
            "showAs": "oof",
            "start": { "dateTime": format!("{today}T00:00:00"), "timeZone": ZONE },
            "end": { "dateTime": format!("{tomorrow}T00:00:00"), "timeZone": ZONE },
        }),
        meeting(following(monday, Weekday::Tue), "17:00", 45, "Team retro", &[("recurrence", weekly)]),
    ]
}

/// A year of single meetings on working days, none of them today. Plain arithmetic: the same every time.
fn singles(today: NaiveDate) -> Vec<Value> {
    let first = today.checked_sub_days(Days::new(PAST_DAYS)).unwrap_or(today);
    let mut meetings = Vec::new();
    for number in 0..SINGLES {
        let spread = number.wrapping_mul(7_919) % SPAN_DAYS;
        let day = first.checked_add_days(Days::new(spread.into())).unwrap_or(first);
        if day == today || matches!(day.weekday(), Weekday::Sat | Weekday::Sun) {
            continue;
        }
        let pick = |list: &[&'static str], step: u32| {
            let place = usize::try_from(number / step).unwrap_or(0) % list.len().max(1);
            list.get(place).copied().unwrap_or_default()
        };
        let subject = format!("{}: {}", pick(&SUBJECTS, 1), pick(&PROJECTS, 5));
        let start = format!("{:02}:{:02}", 8 + number % 9, 15 * (number / 3 % 4));
        let extra = [("location", place(pick(&PLACES, 2)))];
        meetings.push(meeting(day, &start, 30 + 15 * (number % 3), &subject, &extra));
    }
    meetings
}

fn following(day: NaiveDate, weekday: Weekday) -> NaiveDate {
    day.iter_days().take(7).find(|day| day.weekday() == weekday).unwrap_or(day)
}

fn place(name: &str) -> Value {
    json!({ "displayName": name })
}

fn attendee(name: &str, address: &str) -> Value {
    json!({ "emailAddress": { "name": name, "address": address }, "type": "required" })
}

/// One event as Graph writes it; `start` as `HH:MM`.
pub fn meeting(day: NaiveDate, start: &str, minutes: u32, subject: &str, extra: &[(&str, Value)]) -> Value {
    let (start, end) = times(day, start, minutes);
    let mut event = Map::new();
    event.insert("subject".to_owned(), json!(subject));
    event.insert("start".to_owned(), start);
    event.insert("end".to_owned(), end);
    event.insert("showAs".to_owned(), json!("busy"));
    for (key, value) in extra {
        event.insert((*key).to_owned(), value.clone());
    }
    Value::Object(event)
}

/// Start and end as Graph writes them.
pub fn times(day: NaiveDate, start: &str, minutes: u32) -> (Value, Value) {
    let start = start.parse::<chrono::NaiveTime>().unwrap_or_default();
    let from = day.and_time(start);
    let to = from.checked_add_signed(chrono::TimeDelta::minutes(minutes.into())).unwrap_or(from);
    let text = |at: chrono::NaiveDateTime| json!({ "dateTime": at.format("%Y-%m-%dT%H:%M:%S").to_string(), "timeZone": ZONE });
    (text(from), text(to))
}
