//! Each habit of the service, by name.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::world_tests::{Got, ask, call, get};
use super::*;

const NOW_MS: i64 = 1_780_000_000_000; // 2026-05-28
const RESTING: i64 = NOW_MS + 60_000;
const VIEW: &str =
    "/v1.0/me/calendarView/delta?startDateTime=2026-05-01T00:00:00Z&endDateTime=2026-08-01T00:00:00Z";
const BIG: &str = "odata.maxpagesize=500, IdType=\"ImmutableId\"";

fn empty(quirks: Quirks) -> World {
    let mut world =
        World::new(1, &[("Anna", "anna@contoso.example"), ("Bela", "bela@contoso.example")], "Europe/Berlin");
    world.set_asks_for_tokens(false);
    world.set_quirks(quirks);
    world
}

/// The real service's habits, without the dice.
fn steady() -> Quirks {
    Quirks {
        absent_master_rate: 0.0,
        empty_first_page_rate: 0.0,
        duplicate_rate: 0.0,
        shuffle_rate: 0.0,
        ..Quirks::default()
    }
}

fn members(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn event(subject: &str, start: &str, end: &str) -> Value {
    json!({"subject": subject, "start": {"dateTime": start, "timeZone": "Europe/Berlin"},
        "end": {"dateTime": end, "timeZone": "Europe/Berlin"}})
}

fn series(subject: &str, start: &str, end: &str) -> Value {
    let mut value = event(subject, start, end);
    value["recurrence"] = json!({"pattern": {"type": "daily", "interval": 1}, "range": {"type": "noEnd"}});
    value
}

fn create(world: &mut World, value: Value) -> String {
    let edit = Edit::Create { calendar: None, event: members(value) };
    world.edit(0, edit, NOW_MS).unwrap().id
}

/// A whole round: its rows, and the link of the next one.
fn round(world: &mut World, target: &str) -> (Vec<Value>, String) {
    round_at(world, target, RESTING)
}

fn round_at(world: &mut World, target: &str, now_ms: i64) -> (Vec<Value>, String) {
    let (mut target, mut rows) = (target.to_owned(), Vec::new());
    loop {
        let got = ask(world, &call("GET", &target, BIG, ""), now_ms);
        assert_eq!(got.status, 200, "{}", got.body);
        rows.extend(got.rows().to_vec());
        match got.link("@odata.deltaLink") {
            Some(link) => return (rows, link),
            None => target = got.link("@odata.nextLink").unwrap(),
        }
    }
}

fn of_type<'a>(rows: &'a [Value], kind: &str) -> Vec<&'a Value> {
    rows.iter().filter(|r| r["type"] == kind).collect()
}

fn removed(rows: &[Value]) -> Vec<String> {
    rows.iter()
        .filter(|r| r.get("@removed").is_some())
        .map(|r| r["id"].as_str().unwrap().to_owned())
        .collect()
}

fn send(world: &mut World, method: &str, target: &str, body: Value) -> Got {
    ask(world, &call(method, target, "IdType=\"ImmutableId\"", &body.to_string()), RESTING)
}

fn event_path(id: &str) -> String {
    format!("/v1.0/me/events/{}", super::wire::percent_encoded(id))
}

// ---- delta ---------------------------------------------------------------------------------------------------

#[test]
fn an_occurrence_is_a_stub_of_seven_members() {
    let mut world = empty(steady());
    create(&mut world, series("S", "2026-05-04T09:00:00", "2026-05-04T09:30:00"));
    let (rows, _) = round(&mut world, VIEW);
    let stubs = of_type(&rows, "occurrence");
    assert_eq!(stubs.len(), 89);
    for stub in stubs {
        let names: BTreeSet<&str> = stub.as_object().unwrap().keys().map(String::as_str).collect();
        let wanted = ["@odata.etag", "@odata.type", "end", "id", "seriesMasterId", "start", "type"];
        assert_eq!(names, BTreeSet::from(wanted));
    }
}

#[test]
fn a_master_comes_along_as_a_ghost_at_its_first_occurrence() {
    let mut world = empty(steady());
    create(&mut world, series("S", "2024-01-08T09:00:00", "2024-01-08T09:30:00"));
    let (rows, _) = round(&mut world, VIEW);
    let masters = of_type(&rows, "seriesMaster");
    assert_eq!(masters.len(), 1);
    assert_eq!(masters[0]["start"]["dateTime"], "2024-01-08T08:00:00.0000000");
    assert_eq!(masters[0]["recurrence"]["range"]["endDate"], "0001-01-01");
    let view = get(
        &mut world,
        "/v1.0/me/calendarView?startDateTime=2026-05-01T00:00:00Z&endDateTime=2026-05-05T00:00:00Z",
    );
    assert!(of_type(view.rows(), "seriesMaster").is_empty());
    assert_eq!(view.rows()[0]["subject"], "S");
}

#[test]
fn a_master_may_be_absent() {
    let mut world = empty(Quirks { absent_master_rate: 1.0, ..steady() });
    create(&mut world, series("S", "2024-01-08T09:00:00", "2024-01-08T09:30:00"));
    let (rows, _) = round(&mut world, VIEW);
    assert!(of_type(&rows, "seriesMaster").is_empty());
    assert_eq!(of_type(&rows, "occurrence").len(), 92);
}

#[test]
fn removed_is_also_said_of_events_outside_the_window() {
    let mut world = empty(steady());
    let (_, link) = round(&mut world, VIEW);
    let far = create(&mut world, event("far", "2031-05-04T09:00:00", "2031-05-04T09:30:00"));
    let (rows, _) = round(&mut world, &link);
    assert_eq!(removed(&rows), [far]);
    let mut tame = empty(Quirks { removed_outside_window: false, ..steady() });
    let (_, link) = round(&mut tame, VIEW);
    create(&mut tame, event("far", "2031-05-04T09:00:00", "2031-05-04T09:30:00"));
    assert!(round(&mut tame, &link).0.is_empty());
}

#[test]
fn an_event_that_moves_out_of_the_window_is_removed_and_one_that_moves_in_is_a_row() {
    let mut world = empty(steady());
    let id = create(&mut world, event("x", "2026-06-04T09:00:00", "2026-06-04T09:30:00"));
    let (_, link) = round(&mut world, VIEW);
    let at = |world: &mut World, start: &str, end: &str| {
        let mut patch = event("x", start, end);
        patch.as_object_mut().unwrap().remove("subject");
        world.edit(0, Edit::Update { id: id.clone(), patch: members(patch) }, RESTING).unwrap();
    };
    at(&mut world, "2029-06-04T09:00:00", "2029-06-04T09:30:00");
    let (rows, link) = round(&mut world, &link);
    assert_eq!(removed(&rows), std::slice::from_ref(&id));
    at(&mut world, "2026-06-05T09:00:00", "2026-06-05T09:30:00");
    let (rows, _) = round(&mut world, &link);
    assert_eq!(rows[0]["id"], json!(id));
    assert!(removed(&rows).is_empty());
}

#[test]
fn a_deleted_occurrence_leaves_no_tombstone_and_changes_its_master() {
    let mut world = empty(steady());
    let master = create(&mut world, series("S", "2026-05-04T09:00:00", "2026-05-04T09:30:00"));
    let (rows, link) = round(&mut world, VIEW);
    let victim = of_type(&rows, "occurrence")[3]["id"].as_str().unwrap().to_owned();
    assert_eq!(send(&mut world, "DELETE", &event_path(&victim), json!({})).status, 204);
    let (rows, _) = round(&mut world, &link);
    assert!(removed(&rows).is_empty());
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0]["type"].as_str(), rows[0]["id"].as_str()), (Some("seriesMaster"), Some(&*master)));
    assert_eq!(get(&mut world, &event_path(&victim)).code(), "ErrorItemNotFound");
    let shown = get(&mut world, &format!("{}?$select=id,cancelledOccurrences", event_path(&master)));
    let cancelled = shown.body["cancelledOccurrences"][0].as_str().unwrap();
    assert_eq!(cancelled, format!("OID.{master}.2026-05-07"));
    assert!(get(&mut world, &event_path(&master)).body.get("cancelledOccurrences").is_none());
}

#[test]
fn a_service_with_tombstones_says_so() {
    let mut world = empty(Quirks { occurrence_tombstones: true, series_tombstones: true, ..steady() });
    let master = create(&mut world, series("S", "2026-05-04T09:00:00", "2026-05-04T09:30:00"));
    let (rows, link) = round(&mut world, VIEW);
    let victim = of_type(&rows, "occurrence")[3]["id"].as_str().unwrap().to_owned();
    send(&mut world, "DELETE", &event_path(&victim), json!({}));
    let (rows, link) = round(&mut world, &link);
    assert_eq!(removed(&rows), std::slice::from_ref(&victim));
    send(&mut world, "DELETE", &event_path(&master), json!({}));
    let gone = removed(&round(&mut world, &link).0);
    assert!(gone.contains(&master) && gone.len() > 80, "{}", gone.len());
}

#[test]
fn a_deleted_series_leaves_one_tombstone_for_its_master() {
    let mut world = empty(steady());
    let master = create(&mut world, series("S", "2026-05-04T09:00:00", "2026-05-04T09:30:00"));
    let (_, link) = round(&mut world, VIEW);
    send(&mut world, "DELETE", &event_path(&master), json!({}));
    let (rows, _) = round(&mut world, &link);
    assert_eq!(removed(&rows), [master]);
    let names: BTreeSet<&str> = rows[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["@odata.type", "@removed", "id"]));
}

#[test]
fn an_unchanged_occurrence_is_not_sent_again() {
    let mut world = empty(steady());
    let master = create(&mut world, series("S", "2026-05-04T09:00:00", "2026-05-04T09:30:00"));
    let (_, link) = round(&mut world, VIEW);
    send(&mut world, "PATCH", &event_path(&master), json!({"subject": "T"}));
    let (rows, link) = round(&mut world, &link);
    assert!(of_type(&rows, "occurrence").is_empty());
    assert_eq!(of_type(&rows, "seriesMaster")[0]["subject"], "T");
    let times = event("T", "2026-05-04T10:00:00", "2026-05-04T10:30:00");
    send(&mut world, "PATCH", &event_path(&master), times);
    assert_eq!(of_type(&round(&mut world, &link).0, "occurrence").len(), 89);
}

#[test]
fn a_first_page_may_be_empty_and_still_lead_on() {
    let mut world = empty(Quirks { empty_first_page_rate: 1.0, ..steady() });
    create(&mut world, event("x", "2026-06-04T09:00:00", "2026-06-04T09:30:00"));
    let first = get(&mut world, VIEW);
    assert!(first.rows().is_empty());
    let second = get(&mut world, &first.link("@odata.nextLink").unwrap());
    assert_eq!(second.rows().len(), 1);
    assert!(second.link("@odata.deltaLink").is_some());
}

#[test]
fn rows_come_twice_and_in_any_order() {
    let mut world = empty(Quirks { duplicate_rate: 0.5, shuffle_rate: 1.0, ..steady() });
    for n in 0..30 {
        create(&mut world, event(&n.to_string(), "2026-06-04T09:00:00", "2026-06-04T09:30:00"));
    }
    let (rows, _) = round(&mut world, VIEW);
    let ids: BTreeSet<&str> = rows.iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 30);
    assert!(rows.len() > 30);
    let subjects: Vec<&str> = rows.iter().map(|r| r["subject"].as_str().unwrap()).collect();
    assert_ne!(&subjects[..3], ["0", "1", "2"]);
}

#[test]
fn a_page_size_is_a_hint_where_a_series_is_concerned() {
    let target =
        |world: &mut World, prefer: &str| ask(world, &call("GET", VIEW, prefer, ""), RESTING).rows().len();
    let mut world = empty(steady());
    create(&mut world, series("S", "2026-05-04T09:00:00", "2026-05-04T09:30:00"));
    assert_eq!(target(&mut world, "odata.maxpagesize=5"), 90);
    let mut exact = empty(Quirks { whole_series_pages: false, ..steady() });
    create(&mut exact, series("S", "2026-05-04T09:00:00", "2026-05-04T09:30:00"));
    assert_eq!(target(&mut exact, "odata.maxpagesize=5"), 5);
    assert_eq!(target(&mut exact, ""), 10);
    let (rows, _) = round(&mut exact, VIEW);
    assert_eq!(rows.len(), 90);
}

#[test]
fn the_window_is_frozen_in_the_link() {
    let mut world = empty(steady());
    let (_, link) = round(&mut world, VIEW);
    create(&mut world, event("in", "2026-06-04T09:00:00", "2026-06-04T09:30:00"));
    create(&mut world, event("out", "2031-06-04T09:00:00", "2031-06-04T09:30:00"));
    let wider = format!("{link}&startDateTime=2020-01-01T00:00:00Z&endDateTime=2032-01-01T00:00:00Z");
    let (rows, _) = round(&mut world, &wider);
    assert_eq!(of_type(&rows, "singleInstance").len(), 1);
    assert_eq!(removed(&rows).len(), 1);
}

#[test]
fn a_link_may_be_asked_again_and_says_the_same() {
    let mut world = empty(Quirks { duplicate_rate: 0.3, shuffle_rate: 1.0, ..steady() });
    for n in 0..30 {
        create(&mut world, event(&n.to_string(), "2026-06-04T09:00:00", "2026-06-04T09:30:00"));
    }
    let first = get(&mut world, VIEW);
    let next = first.link("@odata.nextLink").unwrap();
    let (one, two) = (get(&mut world, &next), get(&mut world, &next));
    assert_eq!(one.rows(), two.rows());
}

#[test]
fn other_lines_of_links_push_an_old_one_out() {
    let mut world = empty(Quirks { token_lines_max: 3, ..steady() });
    let (_, link) = round(&mut world, VIEW);
    let (_, used) = round(&mut world, VIEW);
    for _ in 0..2 {
        let (_, _) = round(&mut world, VIEW);
        round(&mut world, &used);
    }
    let lost = get(&mut world, &link);
    assert!(matches!(lost.status, 410 | 400), "{}", lost.body);
    assert_eq!(get(&mut world, &used).status, 200);
}

#[test]
fn a_lost_link_is_answered_in_several_ways() {
    let mut seen = BTreeSet::new();
    let mut world = empty(steady());
    for _ in 0..60 {
        let (_, link) = round(&mut world, VIEW);
        world.evict_links();
        let lost = get(&mut world, &link);
        if let Some((_, place)) = lost.answer.headers.iter().find(|(n, _)| n == "location") {
            let again = place.strip_prefix("http://graph.test").unwrap();
            assert_eq!(get(&mut world, again).status, 200);
        }
        seen.insert((lost.status, lost.code().to_owned()));
    }
    let wanted = [
        (400, "ErrorInvalidRequest"),
        (400, "InvalidDeltaToken"),
        (410, "SyncStateInvalid"),
        (410, "SyncStateNotFound"),
        (410, "resyncRequired"),
    ];
    assert_eq!(seen, wanted.iter().map(|(s, c)| (*s, (*c).to_owned())).collect());
    let mut plain = empty(Quirks { token_loss_variants: false, ..steady() });
    let (_, link) = round(&mut plain, VIEW);
    plain.evict_links();
    assert_eq!(get(&mut plain, &link).code(), "SyncStateNotFound");
}

#[test]
fn a_strict_service_refuses_a_link_that_was_changed() {
    let mut world = empty(Quirks { strict_links: true, ..steady() });
    let (_, link) = round(&mut world, VIEW);
    assert_eq!(get(&mut world, &link.replace("$deltatoken", "%24deltatoken")).code(), "InvalidDeltaToken");
    assert_eq!(get(&mut world, &format!("{link}&x=1")).code(), "InvalidDeltaToken");
    assert_eq!(get(&mut world, &link).status, 200);
}

#[test]
fn delta_needs_both_ends_of_its_window_and_at_most_1825_days() {
    let mut world = empty(steady());
    let ask = |world: &mut World, query: &str| {
        get(world, &format!("/v1.0/me/calendarView/delta{query}")).code().to_owned()
    };
    assert_eq!(ask(&mut world, ""), "ErrorInvalidParameter");
    assert_eq!(ask(&mut world, "?startDateTime=2026-05-01"), "ErrorInvalidParameter");
    assert_eq!(ask(&mut world, "?startDateTime=x&endDateTime=2026-05-02"), "ErrorInvalidParameter");
    assert_eq!(ask(&mut world, "?startDateTime=2020-05-01&endDateTime=2026-05-02"), "ErrorInvalidRequest");
    assert_eq!(ask(&mut world, "?startDateTime=2020-05-01&endDateTime=2025-04-30"), "");
}

#[test]
fn changes_of_silence_are_found_by_looking_only() {
    let mut world = empty(Quirks { silent_change_rate: 1.0, ..steady() });
    let id = create(&mut world, event("x", "2026-06-04T09:00:00", "2026-06-04T09:30:00"));
    let (_, link) = round(&mut world, VIEW);
    send(&mut world, "PATCH", &event_path(&id), json!({"subject": "y"}));
    assert!(round(&mut world, &link).0.is_empty());
    assert_eq!(get(&mut world, &event_path(&id)).body["subject"], "y");
}

#[test]
fn events_delta_is_minimal_and_beta_only_unless_switched_on() {
    let mut world = empty(steady());
    create(&mut world, series("S", "2026-05-04T09:00:00", "2026-05-04T09:30:00"));
    create(&mut world, event("x", "2026-06-04T09:00:00", "2026-06-04T09:30:00"));
    assert_eq!(get(&mut world, "/v1.0/me/calendar/events/delta").status, 400);
    let (rows, _) = round(&mut world, "/beta/me/calendar/events/delta");
    assert_eq!(rows.len(), 2);
    assert!(rows[0].get("subject").is_none());
    world.set_quirks(Quirks { events_delta_v1: true, ..steady() });
    assert_eq!(get(&mut world, "/v1.0/me/events/delta?startDateTime=").code(), "ErrorInvalidParameter");
    assert_eq!(round(&mut world, "/v1.0/me/events/delta").0.len(), 2);
}

#[test]
fn a_shared_calendar_may_deny_page_two() {
    let mut world = World::seeded(Seeding { seed: 3, events: 400, now_ms: NOW_MS });
    world.set_asks_for_tokens(false);
    let room = world.calendars(0).into_iter().find(|c| c.denies_page_two).unwrap();
    let base = format!("/v1.0/me/calendars/{}/calendarView", super::wire::percent_encoded(&room.id));
    let window = "startDateTime=2026-05-01T00:00:00Z&endDateTime=2026-08-01T00:00:00Z";
    let first = get(&mut world, &format!("{base}/delta?{window}"));
    assert_eq!(first.status, 200);
    let second = get(&mut world, &first.link("@odata.nextLink").unwrap());
    assert_eq!((second.status, second.code()), (403, "ErrorAccessDenied"));
    assert_eq!(get(&mut world, &format!("{base}?{window}")).status, 200);
}

// ---- calendars and shares ----------------------------------------------------------------------------------------

#[test]
fn calendars_are_listed_in_pages_of_ten() {
    let mut world = World::seeded(Seeding { seed: 3, events: 20, now_ms: NOW_MS });
    world.set_asks_for_tokens(false);
    let first = get(&mut world, "/v1.0/me/calendars");
    assert_eq!(first.rows().len(), 10);
    assert_eq!(first.rows()[0]["isDefaultCalendar"], true);
    let second = get(&mut world, &first.link("@odata.nextLink").unwrap());
    assert_eq!(second.rows().len(), 2);
    assert!(second.link("@odata.nextLink").is_none());
    assert!(first.rows().iter().chain(second.rows()).any(|c| c["canEdit"] == false));
}

#[test]
fn items_of_a_shared_calendar_are_reached_below_it_only_and_are_not_written() {
    let mut world = World::seeded(Seeding { seed: 3, events: 400, now_ms: NOW_MS });
    world.set_asks_for_tokens(false);
    let shared = world.calendars(0).into_iter().find(|c| c.is_shared && !c.can_edit).unwrap();
    let (from, to) = (NOW_MS - 20 * 86_400_000, NOW_MS + 300 * 86_400_000);
    let item =
        world.truth(0, &shared.id, from, to).into_iter().find(|i| i.kind == InstanceKind::Single).unwrap();
    assert_eq!(get(&mut world, &event_path(&item.id)).status, 404);
    let (calendar, id) = (super::wire::percent_encoded(&shared.id), super::wire::percent_encoded(&item.id));
    let path = format!("/v1.0/me/calendars/{calendar}/events/{id}");
    assert_eq!(get(&mut world, &path).status, 200);
    assert_eq!(send(&mut world, "PATCH", &path, json!({"subject": "x"})).code(), "ErrorAccessDenied");
}

#[test]
fn a_private_event_in_a_share_hides_what_it_is_about() {
    let mut world = World::seeded(Seeding { seed: 3, events: 2_000, now_ms: NOW_MS });
    world.set_asks_for_tokens(false);
    let shared = world.calendars(0).into_iter().find(|c| c.is_shared && !c.can_edit).unwrap();
    let (from, to) = (NOW_MS - 20 * 86_400_000, NOW_MS + 300 * 86_400_000);
    let single = |i: &Instance| i.kind == InstanceKind::Single;
    let item = world.truth(0, &shared.id, from, to).into_iter().find(single).unwrap();
    let patch = members(json!({"sensitivity": "private"}));
    world.edit(0, Edit::Update { id: item.id.clone(), patch }, NOW_MS).unwrap();
    let seen = world.truth(0, &shared.id, from, to).into_iter().find(|i| i.id == item.id).unwrap();
    assert_eq!(seen.subject, None);
    let (calendar, id) = (super::wire::percent_encoded(&shared.id), super::wire::percent_encoded(&item.id));
    let row = get(&mut world, &format!("/v1.0/me/calendars/{calendar}/events/{id}")).body;
    assert_eq!((&row["subject"], &row["body"]), (&Value::Null, &Value::Null));
}

#[test]
fn ids_change_on_a_move_between_calendars_unless_immutable() {
    let mut world = empty(steady());
    let id = create(&mut world, event("x", "2026-06-04T09:00:00", "2026-06-04T09:30:00"));
    let plain = |world: &mut World| {
        let got = ask(world, &call("GET", &event_path(&id), "", ""), RESTING);
        got.body["id"].as_str().unwrap().to_owned()
    };
    let before = plain(&mut world);
    let team = world.edit(0, Edit::AddCalendar { name: "Team".into() }, NOW_MS).unwrap().id;
    let (_, link) = round(&mut world, VIEW);
    world.edit(0, Edit::Move { id: id.clone(), calendar: team }, RESTING).unwrap();
    assert_eq!(removed(&round(&mut world, &link).0), std::slice::from_ref(&id));
    assert_ne!(plain(&mut world), before);
    assert_eq!(get(&mut world, &event_path(&before)).status, 404);
    assert_eq!(get(&mut world, &event_path(&id)).body["id"], json!(id));
}

// ---- writes ------------------------------------------------------------------------------------------------------

#[test]
fn a_create_with_the_same_transaction_makes_one_event() {
    let mut world = empty(steady());
    let mut body = event("x", "2026-06-04T09:00:00", "2026-06-04T09:30:00");
    body["transactionId"] = json!("4c3f1d0e-6d0c-4a5b-9c1e-2f3b7a9d1e10");
    let one = send(&mut world, "POST", "/v1.0/me/events", body.clone());
    let two = send(&mut world, "POST", "/v1.0/me/events", body);
    assert_eq!((one.status, two.status), (201, 201));
    assert_eq!(one.body["id"], two.body["id"]);
    assert_eq!(get(&mut world, "/v1.0/me/events").rows().len(), 1);
    let path = event_path(one.body["id"].as_str().unwrap());
    let refused = send(&mut world, "PATCH", &path, json!({"transactionId": "other"}));
    assert_eq!(refused.code(), "ErrorInvalidRequest");
}

#[test]
fn a_change_key_rotates_by_itself_after_a_create_and_a_stale_one_is_refused() {
    let mut world = empty(steady());
    let body = event("x", "2026-06-04T09:00:00", "2026-06-04T09:30:00");
    let made = send(&mut world, "POST", "/v1.0/me/events", body);
    let (id, etag) = (made.body["id"].as_str().unwrap(), made.body["@odata.etag"].as_str().unwrap());
    let patch = |world: &mut World, etag: &str, now_ms: i64| {
        let mut call = call("PATCH", &event_path(id), "", "{\"subject\":\"y\"}");
        call.headers.push(("if-match".into(), etag.into()));
        let got = ask(world, &call, now_ms);
        (got.status, got.code().to_owned())
    };
    let later = RESTING + 10_000;
    assert_eq!(patch(&mut world, etag, later), (412, "ErrorIrresolvableConflict".into()));
    let fresh = ask(&mut world, &call("GET", &event_path(id), "", ""), later);
    let fresh = fresh.body["@odata.etag"].as_str().unwrap();
    assert_ne!(fresh, etag);
    assert_eq!(patch(&mut world, "garbage", later).1, "malformedEntityTag");
    assert_eq!(patch(&mut world, fresh, later).0, 200);
    assert_eq!(patch(&mut world, fresh, later).0, 412);
    assert_eq!(patch(&mut world, "*", later).0, 200);
}

#[test]
fn a_patched_occurrence_becomes_an_exception_with_its_series_fields() {
    let mut world = empty(steady());
    let master = create(&mut world, series("S", "2026-05-04T09:00:00", "2026-05-04T09:30:00"));
    let (rows, link) = round(&mut world, VIEW);
    let id = of_type(&rows, "occurrence")[5]["id"].as_str().unwrap().to_owned();
    let got = send(&mut world, "PATCH", &event_path(&id), json!({"location": {"displayName": "R"}}));
    assert_eq!((got.body["type"].as_str(), got.body["id"].as_str()), (Some("exception"), Some(&*id)));
    assert_eq!(
        (&got.body["subject"], &got.body["originalStart"]),
        (&json!("S"), &json!("2026-05-09T07:00:00Z"))
    );
    let (rows, _) = round(&mut world, &link);
    assert_eq!(of_type(&rows, "exception").len(), 1);
    assert_eq!(of_type(&rows, "seriesMaster").len(), 1);
    let shown =
        get(&mut world, &format!("{}?$expand=exceptionOccurrences($select=id,subject)", event_path(&master)));
    assert_eq!(shown.body["exceptionOccurrences"][0]["id"], json!(id));
    send(&mut world, "PATCH", &event_path(&master), json!({"subject": "T"}));
    assert_eq!(get(&mut world, &event_path(&id)).body["subject"], "T");
    let crossing = event("T", "2026-05-11T09:00:00", "2026-05-11T10:00:00");
    assert_eq!(
        send(&mut world, "PATCH", &event_path(&id), crossing).code(),
        "ErrorOccurrenceCrossingBoundary"
    );
}

#[test]
fn a_series_keeps_its_wall_time_across_summer_time() {
    let mut world = empty(steady());
    create(&mut world, series("S", "2026-10-20T09:00:00", "2026-10-20T09:30:00"));
    let calendar = world.calendars(0)[0].id.clone();
    let day = |text: &str| super::zone::parse_instant(text).unwrap();
    let truth = world.truth(0, &calendar, day("2026-10-24"), day("2026-10-27"));
    let starts: Vec<i64> = truth.iter().map(|i| i.start_ms).collect();
    assert_eq!(
        starts,
        [day("2026-10-24T07:00:00Z"), day("2026-10-25T08:00:00Z"), day("2026-10-26T08:00:00Z")]
    );
}

#[test]
fn all_day_midnights_float_and_others_follow_the_preferred_zone() {
    let mut world = empty(steady());
    let day = json!({"subject": "d", "isAllDay": true, "start": {"dateTime": "2026-06-04T00:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-06-05T00:00:00", "timeZone": "UTC"}});
    let (all_day, timed) = (
        create(&mut world, day),
        create(&mut world, event("t", "2026-06-04T09:00:00", "2026-06-04T09:30:00")),
    );
    let tokyo = "outlook.timezone=\"Tokyo Standard Time\", outlook.body-content-type=\"text\"";
    let got = ask(&mut world, &call("GET", &event_path(&all_day), tokyo, ""), RESTING);
    assert_eq!(got.body["start"]["dateTime"], "2026-06-04T00:00:00.0000000");
    let got = ask(&mut world, &call("GET", &event_path(&timed), tokyo, ""), RESTING);
    assert_eq!(got.body["start"]["dateTime"], "2026-06-04T16:00:00.0000000");
    assert_eq!(got.body["start"]["timeZone"], "Tokyo Standard Time");
    assert_eq!(got.body["body"]["contentType"], "text");
    let applied: Vec<&str> = got
        .answer
        .headers
        .iter()
        .filter(|(n, _)| n == "preference-applied")
        .map(|(_, v)| v.as_str())
        .collect();
    assert!(applied[0].contains("outlook.body-content-type=\"text\""));
    let patched = ask(&mut world, &call("PATCH", &event_path(&timed), tokyo, "{\"subject\":\"u\"}"), RESTING);
    assert_eq!(patched.body["start"]["dateTime"], "2026-06-04T07:00:00.0000000");
}

#[test]
fn bodies_that_are_wrong_are_refused_with_graphs_codes() {
    let mut world = empty(steady());
    let fine = event("x", "2026-06-04T09:00:00", "2026-06-04T09:30:00");
    let cases = [
        (
            "end",
            json!({"dateTime": "2026-06-04T08:00:00", "timeZone": "Europe/Berlin"}),
            "ErrorPropertyValidationFailure",
        ),
        (
            "start",
            json!({"dateTime": "2026-06-04T08:00:00", "timeZone": "Mars"}),
            "TimeZoneNotSupportedException",
        ),
        ("start", json!({"dateTime": "soon", "timeZone": "UTC"}), "ErrorInvalidParameter"),
        ("body", Value::Null, "ErrorInvalidRequest"),
        ("isAllDay", json!(true), "ErrorInvalidRequest"),
        ("showAs", json!("asleep"), "RequestBodyRead"),
        ("colour", json!("red"), "RequestBodyRead"),
        ("attendees", json!([{"emailAddress": {"address": "nobody"}}]), "ErrorInvalidRecipients"),
        (
            "recurrence",
            json!({"pattern": {"type": "weekly", "interval": 1}}),
            "ErrorPropertyValidationFailure",
        ),
    ];
    for (name, value, code) in cases {
        let mut body = fine.clone();
        body[name] = value;
        assert_eq!(send(&mut world, "POST", "/v1.0/me/events", body).code(), code, "{name}");
    }
    assert!(get(&mut world, "/v1.0/me/events").rows().is_empty());
}

#[test]
fn an_attendees_copy_of_a_cancelled_meeting_stays_and_says_so() {
    let mut world = empty(steady());
    let mut body = event("Meet", "2026-06-04T09:00:00", "2026-06-04T09:30:00");
    body["organizer"] = json!({"emailAddress": {"name": "Bela", "address": "bela@contoso.example"}});
    let id = create(&mut world, body);
    let (_, link) = round(&mut world, VIEW);
    world.edit(0, Edit::Cancel { id: id.clone() }, RESTING).unwrap();
    let (rows, _) = round(&mut world, &link);
    assert_eq!((&rows[0]["isCancelled"], &rows[0]["subject"]), (&json!(true), &json!("Canceled: Meet")));
    assert_eq!(rows[0]["isOrganizer"], false);
}

#[test]
fn answers_are_queued_and_a_declined_meeting_leaves() {
    let mut world = empty(steady());
    let mut body = event("Meet", "2026-06-04T09:00:00", "2026-06-04T09:30:00");
    body["organizer"] = json!({"emailAddress": {"name": "Bela", "address": "bela@contoso.example"}});
    let id = create(&mut world, body);
    let post = |world: &mut World, action: &str| {
        send(world, "POST", &format!("{}/{action}", event_path(&id)), json!({})).status
    };
    assert_eq!(post(&mut world, "accept"), 202);
    assert_eq!(get(&mut world, &event_path(&id)).body["responseStatus"]["response"], "organizer");
    let read = |world: &mut World| ask(world, &call("GET", &event_path(&id), "", ""), RESTING + 5_000);
    assert_eq!(read(&mut world).body["responseStatus"]["response"], "accepted");
    assert_eq!(post(&mut world, "cancel"), 400);
    assert_eq!(post(&mut world, "decline"), 202);
    assert_eq!(ask(&mut world, &call("GET", &event_path(&id), "", ""), RESTING + 9_000).status, 404);
    assert_eq!(world.mails(0).iter().filter(|m| m.what == "respond").count(), 2);
}

#[test]
fn an_online_meeting_gets_its_join_address_a_little_later() {
    let mut world = empty(steady());
    let mut body = event("Meet", "2026-06-04T09:00:00", "2026-06-04T09:30:00");
    body["isOnlineMeeting"] = json!(true);
    let made = send(&mut world, "POST", "/v1.0/me/events", body);
    assert_eq!(made.body["onlineMeeting"], Value::Null);
    let path = event_path(made.body["id"].as_str().unwrap());
    let got = ask(&mut world, &call("GET", &path, "", ""), RESTING + 5_000);
    assert!(got.body["onlineMeeting"]["joinUrl"].as_str().unwrap().starts_with("https://"));
}

// ---- lists, batches, faults --------------------------------------------------------------------------------------

#[test]
fn instances_hide_their_original_start_unless_it_is_selected() {
    let mut world = empty(steady());
    let master = create(&mut world, series("S", "2026-05-04T09:00:00", "2026-05-04T09:30:00"));
    let base = format!("{}/instances?startDateTime=2026-06-01&endDateTime=2026-06-04", event_path(&master));
    let got = get(&mut world, &base);
    assert_eq!(got.rows().len(), 3);
    assert!(got.rows()[0].get("originalStart").is_none());
    let got = get(&mut world, &format!("{base}&$select=id,originalStart"));
    let names: Vec<&str> = got.rows()[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["@odata.etag", "id", "originalStart"]);
}

#[test]
fn a_plain_view_pages_exactly_and_completely() {
    let mut world = empty(steady());
    create(&mut world, series("S", "2026-05-04T09:00:00", "2026-05-04T09:30:00"));
    for n in 0..17 {
        create(&mut world, event(&n.to_string(), "2026-06-04T09:00:00", "2026-06-04T09:30:00"));
    }
    for order in ["", "&$orderby=start/dateTime"] {
        let window = "startDateTime=2026-06-01&endDateTime=2026-07-01";
        let mut target = Some(format!("/v1.0/me/calendarView?{window}&$top=8&$select=id{order}"));
        let (mut ids, mut sizes) = (BTreeSet::new(), Vec::new());
        while let Some(link) = target {
            let got = get(&mut world, &link);
            sizes.push(got.rows().len());
            ids.extend(got.rows().iter().map(|r| r["id"].as_str().unwrap().to_owned()));
            target = got.link("@odata.nextLink");
        }
        assert_eq!((ids.len(), sizes.iter().sum::<usize>()), (47, 47), "{order}");
        assert!(sizes[..5].iter().all(|s| *s == 8), "{sizes:?}");
    }
}

#[test]
fn a_batch_answers_each_item_by_its_own_and_may_throttle_one() {
    let mut world = empty(steady());
    let id = create(&mut world, event("x", "2026-06-04T09:00:00", "2026-06-04T09:30:00"));
    world.add_fault(Rule {
        when: When { path: Some("calendars".into()), ..When::default() },
        count: 1,
        what: What::Throttle { retry_after: Some("7".into()), status: 429 },
    });
    let url = event_path(&id).replace("/v1.0", "");
    let body = json!({"requests": [
        {"id": "1", "method": "GET", "url": url, "headers": {"Prefer": "IdType=\"ImmutableId\""}},
        {"id": "2", "method": "GET", "url": "/me/calendars"},
        {"id": "3", "method": "GET", "url": "/me", "dependsOn": ["2"]},
        {"id": "4", "method": "PATCH", "url": url, "body": {"subject": "y"}, "headers": {"Content-Type": "application/json"}},
    ]});
    let got = send(&mut world, "POST", "/v1.0/$batch", body);
    assert_eq!(got.status, 200);
    let of = |id: &str| got.body["responses"].as_array().unwrap().iter().find(|r| r["id"] == id).unwrap();
    assert_eq!(of("1")["body"]["id"], json!(id));
    assert_eq!((&of("2")["status"], &of("2")["headers"]["Retry-After"]), (&json!(429), &json!("7")));
    assert_eq!(of("3")["status"], 424);
    assert_eq!(of("4")["body"]["subject"], "y");
    let many: Vec<Value> =
        (0..21).map(|n| json!({"id": n.to_string(), "method": "GET", "url": "/me"})).collect();
    assert_eq!(send(&mut world, "POST", "/v1.0/$batch", json!({"requests": many})).status, 400);
}

#[test]
fn rules_hit_as_often_as_they_say_and_only_what_they_mean() {
    let mut world = empty(steady());
    world.add_fault(Rule {
        when: When { kind: Some(RequestKind::Delta), skip: 1, every: 2, ..When::default() },
        count: 2,
        what: What::Status { status: 503, code: None, body: BodyKind::Empty },
    });
    let statuses: Vec<u16> = (0..8).map(|_| get(&mut world, VIEW).status).collect();
    assert_eq!(statuses, [200, 503, 200, 503, 200, 200, 200, 200]);
    assert_eq!(get(&mut world, "/v1.0/me").status, 200);
    assert!(world.faults().is_empty());
}

#[test]
fn a_lost_reply_is_applied_and_a_dropped_request_is_not() {
    let mut world = empty(steady());
    let body = event("x", "2026-06-04T09:00:00", "2026-06-04T09:30:00");
    for (what, count) in [(What::Drop, 0), (What::LoseReply, 1)] {
        world.add_fault(Rule::next(RequestKind::Create, what));
        let got = send(&mut world, "POST", "/v1.0/me/events", body.clone());
        assert_eq!(got.answer.transport, Transport::Drop);
        assert_eq!(get(&mut world, "/v1.0/me/events").rows().len(), count);
    }
}

#[test]
fn endless_rounds_never_show_a_delta_link() {
    for (what, is_same) in [(What::EndlessNext, false), (What::SameLink, true)] {
        let mut world = empty(steady());
        create(&mut world, event("x", "2026-06-04T09:00:00", "2026-06-04T09:30:00"));
        world.add_fault(Rule { when: When::default(), count: 0, what });
        let (mut target, mut links) = (VIEW.to_owned(), BTreeSet::new());
        for _ in 0..20 {
            let got = get(&mut world, &target);
            assert!(got.link("@odata.deltaLink").is_none());
            target = got.link("@odata.nextLink").unwrap();
            links.insert(target.clone());
        }
        assert_eq!(links.len(), if is_same { 1 } else { 20 });
    }
}

#[test]
fn a_removal_storm_removes_everything_and_nothing() {
    let mut world = empty(steady());
    for n in 0..30 {
        create(&mut world, event(&n.to_string(), "2026-06-04T09:00:00", "2026-06-04T09:30:00"));
    }
    let (_, link) = round(&mut world, VIEW);
    world.add_fault(Rule::next(RequestKind::Delta, What::RemovalStorm));
    let (rows, _) = round(&mut world, &link);
    assert_eq!(removed(&rows).len(), 30);
    assert_eq!(round(&mut world, VIEW).0.len(), 30);
}

#[test]
fn too_many_requests_of_ten_minutes_are_throttled() {
    let mut world = empty(Quirks { requests_max: 5, ..steady() });
    for _ in 0..5 {
        assert_eq!(get(&mut world, "/v1.0/me").status, 200);
    }
    let got = get(&mut world, "/v1.0/me");
    assert_eq!(got.status, 429);
    assert!(got.answer.headers.iter().any(|(n, _)| n == "retry-after"));
    assert_eq!(ask(&mut world, &call("GET", "/v1.0/me", "", ""), NOW_MS + 700_000).status, 200);
}

#[test]
fn a_mailbox_document_is_served_and_a_wrong_one_names_the_place() {
    let text = include_str!("CONTROL.md");
    let text = text.split("```json").nth(1).and_then(|t| t.split("```").next()).unwrap();
    let mut world = World::from_document(text, 1, NOW_MS).unwrap();
    world.set_asks_for_tokens(false);
    assert_eq!(get(&mut world, "/v1.0/me/calendars").rows().len(), 2);
    let calendar = world.calendars(0)[0].id.clone();
    let day = 86_400_000;
    let truth = world.truth(0, &calendar, NOW_MS - 7 * day, NOW_MS + 4 * day);
    let exceptions: Vec<&Instance> = truth.iter().filter(|i| i.kind == InstanceKind::Exception).collect();
    assert_eq!(exceptions.len(), 1);
    assert_eq!(exceptions[0].subject.as_deref(), Some("Standup, longer"));
    for (broken, place) in [
        (text.replace("\"subject\": \"Plan\"", "\"subjct\": \"Plan\""), "users[0].calendars[0].events[0]"),
        (text.replace("[\"{today+1}\"]", "[\"{today-99}\"]"), "users[0].calendars[0].events[1]"),
        (text.replace("\"quirks\"", "\"quarks\""), "the top"),
        (
            text.replace("\"name\": \"Calendar\", \"default\"", "\"nam\": \"Calendar\", \"default\""),
            "users[0].calendars[0]",
        ),
    ] {
        let problem = World::from_document(&broken, 1, NOW_MS).map(|_| ()).unwrap_err().to_string();
        assert!(problem.contains(place), "{problem}");
    }
}

#[test]
fn pages_of_a_hundred_thousand_events_cost_what_they_return() {
    let mut world = World::seeded(Seeding { seed: 1, events: 100_000, now_ms: NOW_MS });
    world.set_asks_for_tokens(false);
    world.set_quirks(Quirks { requests_max: 0, ..steady() });
    let (rows, link) =
        round(&mut world, "/v1.0/me/calendarView/delta?startDateTime=2026-06-01&endDateTime=2026-06-02");
    assert!((50..1_500).contains(&rows.len()), "{}", rows.len());
    assert!(round(&mut world, &link).0.is_empty());
}
