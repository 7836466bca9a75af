use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use crate::emulator::{Edit, InMemory, Instance};
use crate::model::DAY_MS;
use crate::zones::Zone;

/// Stands in every subject that anybody may see.
pub(super) const OPEN_WORD: &str = "meeting";
/// Stands in every subject of a private appointment.
pub(super) const PRIVATE_WORD: &str = "physician";
const QUARTER_MS: i64 = 15 * 60_000;
/// How far from now appointments are made and changed: what is further away plays no part in a short world.
const REACH_MS: i64 = 3 * DAY_MS;
const WAYS: [&str; 8] = ["busy", "busy", "busy", "busy", "oof", "tentative", "workingElsewhere", "free"];

/// Does something to the appointments near `now`, as other clients would.
pub(super) fn change(server: &InMemory, rng: &mut fastrand::Rng, now_ms: i64) {
    let near = near(server, now_ms);
    let chosen = rng.choice(near.iter());
    match (rng.u32(0..100), chosen) {
        (0..30, _) | (_, None) => create(server, rng, now_ms),
        (30..36, _) => create_series(server, rng, now_ms),
        (36..42, _) => create_days(server, rng, now_ms),
        (42..60, Some(instance)) => shift(server, rng, instance, now_ms),
        (60..68, Some(instance)) => update(server, instance, json!({"showAs": any(rng)}), now_ms),
        (68..74, Some(instance)) => make_private(server, rng, instance, now_ms),
        (74..82, Some(instance)) => edit(server, Edit::Delete { id: instance.id.clone() }, now_ms),
        (82..88, Some(instance)) => edit(server, Edit::Cancel { id: instance.id.clone() }, now_ms),
        (88..94, Some(instance)) => {
            let answers = ["accepted", "declined", "tentativelyAccepted", "notResponded"];
            let response = rng.choice(answers).unwrap_or("accepted").to_owned();
            edit(server, Edit::Respond { id: instance.id.clone(), attendee: None, response }, now_ms);
        }
        (_, Some(_)) => {
            server.with(|world| world.random_edit(0, rng, now_ms));
        }
    }
}

/// What a service may refuse is no change.
fn edit(server: &InMemory, edit: Edit, now_ms: i64) {
    let _ = server.with(|world| world.edit(0, edit, now_ms));
}

fn update(server: &InMemory, instance: &Instance, patch: Value, now_ms: i64) {
    edit(server, Edit::Update { id: instance.id.clone(), patch: members(patch) }, now_ms);
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn any(rng: &mut fastrand::Rng) -> &'static str {
    rng.choice(WAYS).unwrap_or("busy")
}

fn at(ms: i64) -> Value {
    json!({"dateTime": text(ms).trim_end_matches('Z'), "timeZone": "UTC"})
}

pub(super) fn text(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// An instant on a quarter of an hour, mostly within hours.
pub(super) fn soon(rng: &mut fastrand::Rng, now_ms: i64) -> i64 {
    let away_ms = if rng.f64() < 0.7 { rng.i64(-3..8) * 3_600_000 } else { rng.i64(-REACH_MS..REACH_MS) };
    (now_ms + away_ms).div_euclid(QUARTER_MS) * QUARTER_MS + rng.i64(0..4) * QUARTER_MS
}

pub(super) fn length(rng: &mut fastrand::Rng) -> i64 {
    rng.choice([1, 2, 2, 4, 4, 4, 6, 8, 16, 40]).unwrap_or(4) * QUARTER_MS
}

fn described(rng: &mut fastrand::Rng, mut event: Value) -> Map<String, Value> {
    let is_private = rng.f64() < 0.2;
    let word = if is_private { PRIVATE_WORD } else { OPEN_WORD };
    if let Some(members) = event.as_object_mut() {
        members.insert("subject".to_owned(), json!(format!("{word} {}", rng.u16(..))));
        members.insert("sensitivity".to_owned(), json!(if is_private { "private" } else { "normal" }));
        members.insert("showAs".to_owned(), json!(any(rng)));
    }
    members(event)
}

fn create(server: &InMemory, rng: &mut fastrand::Rng, now_ms: i64) {
    let start_ms = soon(rng, now_ms);
    let event = json!({"start": at(start_ms), "end": at(start_ms + length(rng))});
    let event = described(rng, event);
    edit(server, Edit::Create { calendar: None, event }, now_ms);
}

fn create_series(server: &InMemory, rng: &mut fastrand::Rng, now_ms: i64) {
    let start_ms = soon(rng, now_ms - DAY_MS);
    let start = text(start_ms);
    let date = start.get(..10).unwrap_or_default().to_owned();
    let event = json!({
        "start": at(start_ms),
        "end": at(start_ms + length(rng).min(DAY_MS / 2)),
        "recurrence": {
            "pattern": {"type": "daily", "interval": rng.u32(1..3)},
            "range": {"type": "numbered", "startDate": date, "numberOfOccurrences": rng.u32(2..12)},
        },
    });
    let event = described(rng, event);
    edit(server, Edit::Create { calendar: None, event }, now_ms);
}

fn create_days(server: &InMemory, rng: &mut fastrand::Rng, now_ms: i64) {
    let first_ms = now_ms.div_euclid(DAY_MS) * DAY_MS + rng.i64(-1..3) * DAY_MS;
    let last_ms = first_ms + rng.i64(1..3) * DAY_MS;
    let event = json!({"isAllDay": true, "start": at(first_ms), "end": at(last_ms)});
    let event = described(rng, event);
    edit(server, Edit::Create { calendar: None, event }, now_ms);
}

fn shift(server: &InMemory, rng: &mut fastrand::Rng, instance: &Instance, now_ms: i64) {
    let step_ms = if instance.is_all_day { DAY_MS } else { QUARTER_MS };
    let by_ms = rng.i64(-6..7) * step_ms;
    let longer_ms = if rng.bool() { 0 } else { rng.i64(-1..3) * step_ms };
    let end_ms = (instance.end_ms + by_ms + longer_ms).max(instance.start_ms + by_ms + step_ms);
    let patch = json!({"start": at(instance.start_ms + by_ms), "end": at(end_ms)});
    update(server, instance, patch, now_ms);
}

fn make_private(server: &InMemory, rng: &mut fastrand::Rng, instance: &Instance, now_ms: i64) {
    let subject = format!("{PRIVATE_WORD} {}", rng.u16(..));
    update(server, instance, json!({"sensitivity": "private", "subject": subject}), now_ms);
}

/// Every instance near an instant, of all calendars of the user.
fn near(server: &InMemory, now_ms: i64) -> Vec<Instance> {
    server.with(|world| {
        let own = world.calendars(0).into_iter().filter(|calendar| calendar.can_edit && !calendar.is_shared);
        own.flat_map(|calendar| world.truth(0, &calendar.id, now_ms - REACH_MS, now_ms + REACH_MS)).collect()
    })
}

/// What the policy of these worlds shows at an instant when nobody chose anything and nothing is bridged: the
/// strongest appointment that the server has. Written without a look at how the engine does it.
pub(super) fn strongest(server: &InMemory, zone: &Zone, now_ms: i64) -> (&'static str, Option<&'static str>) {
    let around = near(server, now_ms);
    let runs = around.iter().filter(|instance| {
        let local = |ms| if instance.is_all_day { zone.midnight_ms(ms) } else { ms };
        local(instance.start_ms) <= now_ms && now_ms < local(instance.end_ms)
    });
    let profiles = runs.filter_map(|instance| {
        let is_out = instance.is_cancelled
            || ["declined", "notResponded"].contains(&instance.response.as_str())
            || instance.show_as == "free";
        if is_out {
            return None;
        }
        Some(match instance.show_as.as_str() {
            "oof" => (50, "OOF", Some("DEPUTY")),
            "workingElsewhere" => (10, "WE", Some("HOME")),
            "tentative" => (20, "TENT", None),
            _ if instance.response == "tentativelyAccepted" => (20, "TENT", None),
            _ if instance.is_all_day => (25, "BUSYDAY", None),
            _ => (30, "BUSY", Some("voicemail")),
        })
    });
    profiles.max().map_or(("AVAIL", None), |(_, profile, target)| (profile, target))
}
