//! Edits through the program and the local door: recorded without a network, refused by named rules, sent once.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::stage::{Emulator, HttpReply, Place, config_of, first_line, speak};

/// A mailbox with one of each: an own appointment, an own meeting, an invitation, a series, a read-only calendar.
fn mailbox() -> Value {
    let zone = "W. Europe Standard Time";
    let at = |day: &str, clock: &str| json!({"dateTime": format!("{day}T{clock}:00"), "timeZone": zone});
    let event = |subject: &str, day: &str, start: &str, end: &str, more: Value| {
        let mut event =
            json!({"subject": subject, "start": at(day, start), "end": at(day, end), "isReminderOn": false});
        let (Some(members), Value::Object(more)) = (event.as_object_mut(), more) else { panic!("no object") };
        members.extend(more);
        event
    };
    let person = |name: &str, address: &str| json!({"name": name, "address": address});
    let guests = json!([
        {"type": "required", "emailAddress": person("Bela Baum", "bela@contoso.example")},
        {"type": "optional", "emailAddress": person("Eva Engel", "eva@contoso.example")},
    ]);
    let invitation = json!({
        "isOrganizer": false,
        "organizer": {"emailAddress": person("Eva Engel", "eva@contoso.example")},
        "attendees": [{"type": "required", "emailAddress": person("Anna Albrecht", "anna@contoso.example")}],
        "responseStatus": {"response": "notResponded", "time": "0001-01-01T00:00:00Z"},
        "isReminderOn": true,
        "reminderMinutesBeforeStart": 15,
    });
    let daily =
        json!({"recurrence": {"pattern": {"type": "daily", "interval": 1}, "range": {"type": "noEnd"}}});
    json!({
        "users": [{
            "name": "Anna Albrecht", "address": "anna@contoso.example", "time_zone": zone,
            "calendars": [
                {"name": "Calendar", "default": true, "events": [
                    event("Plan", "{today+1}", "09:00", "10:00", json!({})),
                    event("Board", "{today+1}", "11:00", "12:00", json!({"attendees": guests})),
                    event("Town hall", "{today+1}", "14:00", "15:00", invitation),
                    event("Stand-up", "{today-1}", "08:30", "08:45", daily),
                ]},
                {"name": "Team", "events": []},
                {"name": "Project", "events": []},
                {"name": "Bela (shared)", "can_edit": false,
                 "owner": {"name": "Bela Baum", "address": "bela@contoso.example"},
                 "events": [event("Bela's own", "{today+1}", "16:00", "17:00", json!({}))]},
            ],
        }],
        "quirks": "tame",
    })
}

/// The day that everything is on.
fn tomorrow() -> String {
    (chrono::Utc::now().with_timezone(&chrono::FixedOffset::east_opt(3_600).unwrap())
        + chrono::TimeDelta::days(1))
    .date_naive()
    .to_string()
}

struct House {
    place: Place,
    emulator: Emulator,
    ids: BTreeMap<String, String>,
    day: String,
}

impl House {
    fn open(more: &str) -> House {
        let place = Place::new("");
        let file = place.dir.path().join("mailbox.json");
        std::fs::write(&file, mailbox().to_string()).unwrap();
        let emulator = Emulator::start(place.dir.path(), &["--mailbox", file.to_str().unwrap()]);
        let config = config_of(&emulator.origin).replace("[presence]", &format!("{more}\n[presence]"));
        std::fs::write(place.config_path(), config).unwrap();
        place.run(&["login", "--device-code"]).ended(0);
        place.run(&["sync"]).ended(0);
        let mut house = House { place, emulator, ids: BTreeMap::new(), day: tomorrow() };
        for item in house.agenda() {
            house.ids.insert(text(&item, "subject"), text(&item, "id"));
        }
        house
    }

    fn id(&self, subject: &str) -> &str {
        &self.ids[subject]
    }

    fn agenda(&self) -> Vec<Value> {
        let day = if self.day.is_empty() { tomorrow() } else { self.day.clone() };
        let answer = self.place.run(&["agenda", "--day", &day, "--json"]).ended(0).json();
        answer["items"].as_array().unwrap().clone()
    }

    /// The event with this subject, as the agenda shows it.
    fn shown(&self, subject: &str) -> Option<Value> {
        self.agenda().into_iter().find(|item| item["subject"] == subject)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.place.run(&[arguments, &["--json"]].concat()).ended(0).json()
    }

    fn outbox(&self) -> Vec<Value> {
        self.json(&["outbox", "list"]).as_array().unwrap().clone()
    }

    /// The server's own row of this subject.
    fn truth(&self, subject: &str) -> Vec<Value> {
        let (from, to) = (format!("{}T00:00:00Z", self.day), format!("{}T23:59:59Z", self.day));
        let mut found = Vec::new();
        for calendar in ["Calendar", "Team"] {
            let path = format!("/truth?calendar={calendar}&from={from}&to={to}");
            let url = format!("{}{path}", self.emulator.control);
            let rest = url.strip_prefix("http://").unwrap();
            let (host, path) = rest.split_once('/').unwrap();
            let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            let answer: Value = serde_json::from_str(&speak(host, &request).body).unwrap();
            found.extend(
                answer["items"].as_array().unwrap().iter().filter(|i| i["subject"] == subject).cloned(),
            );
        }
        found
    }

    fn change_there(&self, subject: &str, patch: &Value) {
        let id = self.truth(subject)[0]["id"].clone();
        self.emulator.control("/edits", &json!({"edit": "update", "id": id, "patch": patch}));
    }

    fn delete_there(&self, subject: &str) {
        let id = self.truth(subject)[0]["id"].clone();
        self.emulator.control("/edits", &json!({"edit": "delete", "id": id}));
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} of {value}")).to_owned()
}

/// The same with what differs from run to run named.
fn fixed(value: &Value, house: &House) -> Value {
    let mut json = value.to_string();
    for (subject, id) in &house.ids {
        json = json.replace(id, &format!("<{subject}>"));
    }
    let mut value: Value = serde_json::from_str(&json.replace(&house.day, "<day>")).unwrap();
    let keys = ["created_at", "at"];
    for row in value.as_array_mut().unwrap() {
        for (name, member) in row.as_object_mut().unwrap() {
            if keys.contains(&name.as_str()) {
                *member = "<now>".into();
            }
        }
        if row["event"].as_str().is_some_and(|event| !event.starts_with('<')) {
            row["event"] = "<new>".into();
        }
    }
    // Summer or winter.
    serde_json::from_str(&value.to_string().replace("+02:00", "+01:00")).unwrap()
}

#[test]
fn bad_input_is_refused_before_it_is_queued_and_names_the_rule() {
    let house = House::open("");
    let (plan, board, shared) = (house.id("Plan"), house.id("Board"), house.id("Bela's own"));
    let start = format!("{}T09:00", house.day);
    let earlier = format!("{}T08:00", house.day);
    let long = "x".repeat(100_000);
    let mut crowd = vec!["edit".to_owned(), plan.to_owned()];
    crowd.extend((0..501).map(|n| format!("--attendee=a{n}@contoso.example")));
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    let nobody = "ffffffffffffffffffffffffffffffff";
    let rows: Vec<(&str, Vec<&str>)> = vec![
        ("end_before_start", vec!["add", "--start", &start, "--end", &earlier]),
        ("end_before_start", vec!["edit", plan, "--end", &earlier]),
        ("no_times", vec!["add", "--subject", "x", "--start", &start]),
        ("all_day_with_time", vec!["add", "--all-day", "--start", &start]),
        ("all_day_empty", vec!["add", "--all-day", "--start", &house.day, "--end", &house.day]),
        ("unknown_zone", vec!["add", "--start", &start, "--end", &start, "--tz", "Mars/Olympus"]),
        ("unknown_zone", vec!["edit", plan, "--start", &start, "--tz", "Mars/Olympus"]),
        ("too_many_people", crowd),
        ("text_too_long", vec!["edit", plan, "--subject", &long]),
        ("control_characters", vec!["edit", plan, "--subject", "a\u{7}b"]),
        ("control_characters", vec!["edit", plan, "--body", "a\u{1b}[2J"]),
        ("bad_address", vec!["edit", plan, "--attendee", "somebody"]),
        ("bad_address", vec!["forward", board, "nobody"]),
        ("bad_reminder", vec!["edit", plan, "--reminder", "-1"]),
        ("unknown_show_as", vec!["edit", plan, "--show-as", "unknown"]),
        ("empty_update", vec!["edit", plan]),
        ("read_only_calendar", vec!["edit", shared, "--subject", "mine now"]),
        ("read_only_calendar", vec!["rm", shared]),
        (
            "read_only_calendar",
            vec!["add", "--start", &earlier, "--end", &start, "--calendar", "Bela (shared)"],
        ),
        ("not_organizer", vec!["edit", house.id("Town hall"), "--location", "here"]),
        ("not_organizer", vec!["edit", house.id("Town hall"), "--calendar", "Team"]),
        ("own_meeting", vec!["respond", board, "accept"]),
        ("no_invitation", vec!["respond", plan, "accept"]),
        ("nothing_to_cancel", vec!["rm", plan, "--comment", "sorry"]),
        ("series_move", vec!["edit", house.id("Stand-up"), "--calendar", "Team"]),
        ("series_day", vec!["edit", house.id("Stand-up"), "--series", "--start", "2027-01-01T08:30"]),
        ("no_series", vec!["rm", plan, "--series"]),
        ("no_reminder", vec!["reminders", "snooze", plan, "10m"]),
        ("not_found", vec!["edit", nobody, "--subject", "x"]),
        ("not_found", vec!["rm", nobody]),
        ("not_found", vec!["respond", nobody, "accept"]),
        ("not_found", vec!["reminders", "dismiss", nobody]),
        ("not_found", vec!["outbox", "retry", "7"]),
        ("not_found", vec!["outbox", "discard", "7"]),
        ("not_found", vec!["conflicts", "resolve", "7", "--keep", "mine"]),
    ];
    for (rule, arguments) in rows {
        let ran = house.place.run(&[&arguments[..], &["--json"]].concat()).ended(5);
        assert_eq!(ran.stdout, "", "{rule}");
        let error =
            serde_json::from_str::<Value>(ran.stderr.lines().last().unwrap()).unwrap()["error"].clone();
        let found = error.get("rule").unwrap_or(&error["kind"]);
        assert_eq!(found, rule, "{error}");
        assert!(!error["message"].as_str().unwrap().is_empty() && !ran.stderr.contains(&long[..1_000]));
    }
    for (why, arguments) in [
        ("no time", vec!["add", "--start", "soon", "--end", &start]),
        ("no code", vec!["edit", plan, "--show-as", "sleeping"]),
        ("no answer", vec!["respond", plan, "maybe"]),
        ("no span", vec!["reminders", "snooze", plan, "later"]),
    ] {
        assert_eq!(house.place.run(&arguments).code, 2, "{why}");
    }
    assert_eq!(house.outbox(), Vec::<Value>::new());
    assert!(house.agenda().iter().all(|item| item["pending"].is_null()));
}

#[test]
fn edits_need_no_network_no_sign_in_and_no_engine_and_arrive_once() {
    let house = House::open("");
    house.emulator.control("/network", &json!({"down": true}));
    house.place.run(&["logout"]).ended(0);
    let (day, plan, board) = (&house.day, house.id("Plan"), house.id("Board"));
    let (start, end) = (format!("{day}T18:00"), format!("{day}T18:30"));
    let added = house.json(&["add", "--subject", "Gym", "--start", &start, "--end", &end, "--reminder", "0"]);
    assert_eq!(
        (&added["pending"], &added["remote_id"], &added["notifies"]),
        (&json!("create"), &Value::Null, &json!(0))
    );
    let gym = text(&added, "id");
    house.json(&["edit", plan, "--location", "Room 4", "--reminder", "none"]);
    house.json(&["edit", plan, "--start", &format!("{day}T07:00")]);
    let removed = house.place.run(&["rm", board, "--json"]).ended(0);
    assert!(removed.stderr.contains("2 people will be mailed"), "{}", removed.stderr);
    assert_eq!((&removed.json()["pending"], &removed.json()["notifies"]), (&json!("delete"), &json!(2)));
    let answered = house.json(&["respond", house.id("Town hall"), "tentative", "--comment", "late"]);
    assert_eq!((&answered["response"], &answered["pending"]), (&json!("tentative"), &json!("respond")));
    // What is undone before it was sent leaves no trace.
    let gone = text(&house.json(&["add", "--subject", "Oops", "--start", &start, "--end", &end]), "id");
    assert_eq!(house.json(&["rm", &gone])["outbox"], json!([]));

    let outbox = house.json(&["outbox", "list"]);
    insta::assert_json_snapshot!("outbox_list", fixed(&outbox, &house));
    let agenda = house.agenda();
    let subjects: Vec<&str> = agenda.iter().map(|item| item["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["Plan", "Stand-up", "Town hall", "Bela's own", "Gym"]);
    assert!(house.place.run(&["agenda", "--day", day]).ended(0).stdout.contains("new (unsent)"));
    let human = house.place.run(&["outbox"]).ended(0).stdout;
    assert!(human.contains("Gym") && human.contains("waiting"), "{human}");
    let status = house.json(&["status"]);
    assert_eq!(status["accounts"][0]["outbox"]["waiting"], 4);
    assert!(house.place.run(&["status"]).ended(0).stdout.contains("outbox 4 waiting"));

    house.emulator.control("/network", &json!({"down": false}));
    house.place.run(&["login", "--device-code"]).ended(0);
    let sync = house.place.run(&["sync", "--json"]).ended(0).json_lines();
    let done = sync.last().unwrap();
    assert_eq!((&done["pushed"], &done["parked"], &done["conflicts"]), (&json!(4), &json!(0), &json!(0)));
    assert_eq!(house.outbox(), Vec::<Value>::new());
    assert_eq!((house.truth("Gym").len(), house.truth("Board").len(), house.truth("Oops").len()), (1, 0, 0));
    assert_eq!(house.truth("Plan")[0]["location"], "Room 4");
    let shown = house.json(&["show", &gym]);
    assert_eq!((&shown["id"], &shown["pending"]), (&json!(gym), &Value::Null));
    assert!(shown["remote_id"].is_string());
    house.place.run(&["sync"]).ended(0);
    assert_eq!(house.truth("Gym").len(), 1);
}

#[test]
fn a_discarded_edit_shows_the_servers_version_again() {
    let house = House::open("");
    let plan = house.id("Plan");
    let (start, end) = (format!("{}T18:00", house.day), format!("{}T18:30", house.day));
    let gym = house.json(&["add", "--subject", "Gym", "--start", &start, "--end", &end]);
    let edit = house.json(&["edit", plan, "--subject", "Plan B"]);
    assert!(house.shown("Plan B").is_some() && house.shown("Plan").is_none());
    let shown = house.json(&["outbox", "show", &edit["outbox"][0].to_string()]);
    assert_eq!((&shown["fields"], &shown["wanted"]), (&json!(["subject"]), &json!({"subject": "Plan B"})));
    let retried = house.json(&["outbox", "retry", &edit["outbox"][0].to_string()]);
    assert_eq!((&retried["state"], &retried["next_attempt_at"]), (&json!("waiting"), &Value::Null));
    house.json(&["outbox", "discard", &edit["outbox"][0].to_string()]);
    assert_eq!(house.shown("Plan").unwrap()["pending"], Value::Null);
    house.json(&["outbox", "discard", &gym["outbox"][0].to_string()]);
    assert!(house.shown("Gym").is_none());
    house.place.run(&["show", gym["id"].as_str().unwrap()]).ended(5);
    assert_eq!(house.outbox(), Vec::<Value>::new());
}

#[test]
fn wiping_a_mirror_does_not_take_unsent_edits_along_unasked() {
    let house = House::open("");
    house.json(&["edit", house.id("Plan"), "--subject", "Unsent"]);
    let refused = house.place.run(&["logout", "--wipe"]).ended(5);
    assert!(refused.stderr.contains("1 edit is not on the server"), "{}", refused.stderr);
    assert_eq!(house.outbox().len(), 1);
    house.place.run(&["sync"]).ended(0);
    house.json(&["edit", house.id("Plan"), "--subject", "Dropped"]);
    house.place.run(&["logout", "--wipe", "--force"]).ended(0);
    assert_eq!(house.outbox(), Vec::<Value>::new());
}

#[test]
fn a_move_to_another_calendar_costs_nothing_when_the_copy_is_refused() {
    let house = House::open("");
    let board = house.id("Board");
    let moved = house.place.run(&["edit", board, "--calendar", "Team", "--json"]).ended(0);
    assert!(moved.stderr.contains("cancellation and a new invitation"), "{}", moved.stderr);
    let moved = moved.json();
    assert_eq!((&moved["notifies"], &moved["outbox"]), (&json!(4), &json!([1, 2])));
    assert_eq!(house.agenda().iter().filter(|item| item["subject"] == "Board").count(), 1);
    let rule = json!({"when": {"kind": "create"}, "count": 0, "what": {"do": "status", "status": 400, "code": "ErrorInvalidRequest"}});
    house.emulator.control("/faults", &rule);
    let done = house.place.run(&["sync", "--json"]).ended(0).json_lines();
    assert_eq!(done.last().unwrap()["parked"], 1);
    assert_eq!(house.truth("Board").len(), 1, "the original stays while its copy is refused");
    let human = house.place.run(&["outbox"]).ended(0).stdout;
    assert!(human.contains("stopped") && human.contains("calmirror outbox discard 1"), "{human}");
    // Without the copy the original stays.
    house.json(&["outbox", "discard", "1"]);
    assert_eq!(house.outbox(), Vec::<Value>::new());
    assert_eq!(house.shown("Board").unwrap()["pending"], Value::Null);
}

#[test]
fn an_event_that_moves_twice_goes_only_when_its_last_copy_is_there() {
    let house = House::open("");
    let first = house.json(&["edit", house.id("Board"), "--calendar", "Team"]);
    let second = house.json(&["edit", &text(&first, "id"), "--calendar", "Project"]);
    assert_eq!(second["id"], first["id"]);
    let rule = json!({"when": {"kind": "create"}, "count": 0, "what": {"do": "status", "status": 400, "code": "ErrorInvalidRequest"}});
    house.emulator.control("/faults", &rule);
    house.place.run(&["sync"]).ended(0);
    assert_eq!(house.truth("Board").len(), 1, "the original stays while its copy is refused");
    assert_eq!(house.outbox().len(), 2);
}

#[test]
fn a_move_that_is_taken_back_before_it_is_sent_leaves_no_trace() {
    let house = House::open("");
    let board = house.id("Board");
    let copy = house.json(&["edit", board, "--calendar", "Team"]);
    let back = house.json(&["edit", &text(&copy, "id"), "--calendar", "Calendar"]);
    assert_eq!((&back["id"], &back["outbox"], &back["notifies"]), (&json!(board), &json!([]), &json!(0)));
    assert_eq!(house.outbox(), Vec::<Value>::new());
    assert_eq!(house.shown("Board").unwrap()["pending"], Value::Null);
}

#[test]
fn what_both_sides_changed_waits_for_the_user_when_the_policy_is_to_ask() {
    let house = House::open("conflicts = \"ask\"");
    let edit_both = |subject: &str| {
        house.json(&["edit", house.id(subject), "--location", "mine", "--show-as", "free"]);
        house.change_there(subject, &json!({"location": {"displayName": "theirs"}, "importance": "high"}));
    };
    edit_both("Plan");
    edit_both("Board");
    house.json(&["edit", house.id("Town hall"), "--show-as", "oof"]);
    house.delete_there("Town hall");
    let done = house.place.run(&["sync", "--json"]).ended(0).json_lines();
    assert_eq!(done.last().unwrap()["conflicts"], 3);
    let conflicts = house.json(&["conflicts", "list"]);
    insta::assert_json_snapshot!("conflicts_list", fixed(&conflicts, &house));
    assert_eq!(house.shown("Plan").unwrap()["conflict"], true);
    assert_eq!(house.json(&["status"])["accounts"][0]["conflicts"], 3);
    let human = house.place.run(&["conflicts"]).ended(0).stdout;
    assert!(human.contains("mine") && human.contains("--keep mine|theirs|both"), "{human}");
    let refused = house.place.run(&["edit", house.id("Plan"), "--subject", "x", "--json"]).ended(5);
    assert!(refused.stderr.contains("in_conflict"), "{}", refused.stderr);

    let of = |subject: &str| {
        let all = house.json(&["conflicts"]);
        let found = all.as_array().unwrap().iter().find(|item| item["event"] == house.id(subject)).cloned();
        found.unwrap()["n"].to_string()
    };
    let resolve = |n: &str, keep: &str| house.json(&["conflicts", "resolve", n, "--keep", keep]);
    assert_eq!(resolve(&of("Plan"), "mine")["resolution"], "mine");
    assert_eq!(resolve(&of("Board"), "both")["resolution"], "both");
    assert_eq!(resolve(&of("Town hall"), "theirs")["resolution"], "theirs");
    house.place.run(&["sync"]).ended(0);
    assert_eq!(house.outbox(), Vec::<Value>::new());
    let plan = &house.truth("Plan")[0];
    assert_eq!((&plan["location"], &plan["importance"]), (&json!("mine"), &json!("high")));
    let mut places: Vec<String> = house.truth("Board").iter().map(|row| text(row, "location")).collect();
    places.sort();
    assert_eq!(places, ["mine", "theirs"]);
    assert!(house.shown("Town hall").is_none());
}

#[test]
fn what_the_policy_decided_can_be_undone() {
    let house = House::open("");
    house.json(&["edit", house.id("Plan"), "--location", "mine"]);
    house.change_there("Plan", &json!({"location": {"displayName": "theirs"}}));
    house.place.run(&["sync"]).ended(0);
    assert_eq!(house.shown("Plan").unwrap()["location"], "theirs");
    let item = house.json(&["conflicts", "show", "1"]);
    assert_eq!((&item["kind"], &item["resolution"]), (&json!("both_changed"), &json!("theirs")));
    house.json(&["conflicts", "resolve", "1", "--keep", "mine"]);
    assert_eq!(house.shown("Plan").unwrap()["location"], "mine");
    house.place.run(&["sync"]).ended(0);
    assert_eq!(house.truth("Plan")[0]["location"], "mine");
    // And back again.
    house.json(&["conflicts", "resolve", "1", "--keep", "theirs"]);
    house.place.run(&["sync"]).ended(0);
    assert_eq!(house.truth("Plan")[0]["location"], "theirs");
    assert_eq!(house.json(&["conflicts", "resolve", "1", "--keep", "theirs"])["resolution"], "theirs");
}

#[test]
fn a_series_is_edited_through_one_of_its_occurrences() {
    let house = House::open("");
    let stand_up = house.id("Stand-up");
    let start = format!("{}T08:45", house.day);
    house.json(&["edit", stand_up, "--series", "--start", &start, "--location", "Kitchen"]);
    let days = house.json(&["agenda", "--day", &house.day, "--days", "3"]);
    let all: Vec<&Value> =
        days["items"].as_array().unwrap().iter().filter(|i| i["subject"] == "Stand-up").collect();
    assert_eq!(all.len(), 3);
    for item in all {
        assert_eq!((&item["location"], &item["pending"]), (&json!("Kitchen"), &json!("update")));
        assert!(text(item, "start").contains("T08:45:00"), "{item}");
    }
    house.place.run(&["sync"]).ended(0);
    let shown = house.shown("Stand-up").unwrap();
    assert_eq!((&shown["location"], &shown["pending"]), (&json!("Kitchen"), &Value::Null));
    assert!(text(&shown, "start").contains("T08:45:00"), "{shown}");
    house.json(&["rm", stand_up]);
    assert!(house.shown("Stand-up").is_none());
}

#[test]
fn a_series_does_not_move_over_unsent_changes_of_its_occurrences() {
    let house = House::open("");
    let stand_up = house.id("Stand-up");
    house.json(&["edit", stand_up, "--location", "Kitchen"]);
    let start = format!("{}T08:45", house.day);
    let refused = house.place.run(&["edit", stand_up, "--series", "--start", &start]).ended(5);
    assert!(refused.stderr.contains("edit 1 changes one occurrence"), "{}", refused.stderr);
    house.json(&["edit", stand_up, "--series", "--subject", "Stand-up"]);
    house.json(&["outbox", "discard", "1"]);
    let moved = house.json(&["edit", stand_up, "--series", "--start", &start]);
    assert!(moved["warnings"][0].as_str().unwrap().contains("the server resets them"), "{moved}");
}

#[test]
fn a_reminder_is_put_off_and_ended_for_one_event() {
    let house = House::open("");
    let hall = house.id("Town hall");
    let listed = house.json(&["reminders", "--within", "3d"]);
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "no reminder is not a reminder of zero minutes");
    assert_eq!((&items[0]["event"], &items[0]["state"]), (&json!(hall), &json!("upcoming")));
    let snoozed = house.json(&["reminders", "snooze", hall, "2h"]);
    assert_eq!(snoozed["state"], "snoozed");
    assert_eq!(house.json(&["reminders"])["items"][0]["due_at"], snoozed["due_at"]);
    assert_eq!(house.json(&["reminders", "--due"])["items"], json!([]));
    assert_eq!(house.json(&["reminders", "dismiss", hall])["state"], "dismissed");
    assert_eq!(house.json(&["reminders", "--within", "3d"])["items"], json!([]));
}

/// A serving process.
struct Serving {
    child: Child,
    address: String,
    token: String,
}

impl Serving {
    fn start(place: &Place) -> Serving {
        let mut child = place.command(&["serve", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
        first_line(&mut child);
        let file = std::fs::read_to_string(place.data_dir().join("engine.json")).unwrap();
        let engine: Value = serde_json::from_str(&file).unwrap();
        Serving { child, address: text(&engine, "address"), token: text(&engine, "token") }
    }

    fn ask(&self, verb: &str, path: &str, kind: &str, body: &str) -> HttpReply {
        let (address, token, length) = (&self.address, &self.token, body.len());
        let request = format!(
            "{verb} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        speak(address, &request)
    }

    fn json(&self, verb: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.ask(verb, path, "application/json", &body);
        (reply.status, serde_json::from_str(&reply.body).unwrap_or_default())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_local_door_takes_edits_in_the_words_of_the_event_object() {
    let house = House::open("");
    house.emulator.control("/network", &json!({"down": true}));
    let serving = Serving::start(&house.place);
    let day = &house.day;
    let body = json!({"subject": "Gym", "start": format!("{day}T18:00"), "end": format!("{day}T18:30"), "categories": ["a"],
        "attendees": [{"name": "Bela", "address": "bela@contoso.example", "type": "optional"}], "reminder_minutes": null});
    let (status, added) = serving.json("POST", "/v1/events", &body);
    assert_eq!(
        (status, &added["pending"], &added["notifies"]),
        (200, &json!("create"), &json!(1)),
        "{added}"
    );
    let gym = text(&added, "id");
    let (status, changed) =
        serving.json("PATCH", &format!("/v1/events/{gym}"), &json!({"location": "Hall", "categories": null}));
    assert_eq!((status, &changed["location"], &changed["categories"]), (200, &json!("Hall"), &json!([])));
    let (status, answered) = serving.json(
        "POST",
        &format!("/v1/events/{}/respond", house.id("Town hall")),
        &json!({"response": "decline", "silent": true}),
    );
    assert_eq!((status, &answered["response"], &answered["notifies"]), (200, &json!("declined"), &json!(0)));
    let (status, removed) =
        serving.json("DELETE", &format!("/v1/events/{}?comment=sorry", house.id("Board")), &Value::Null);
    assert_eq!((status, &removed["pending"], &removed["notifies"]), (200, &json!("delete"), &json!(2)));
    let (status, outbox) = serving.json("GET", "/v1/outbox", &Value::Null);
    assert_eq!(status, 200);
    let n = &outbox.as_array().unwrap().iter().find(|edit| edit["action"] == "cancel").unwrap()["n"];
    let (_, cancel) = serving.json("GET", &format!("/v1/outbox/{n}"), &Value::Null);
    assert_eq!(cancel["wanted"], json!({"comment": "sorry"}));
    assert_eq!(serving.json("POST", &format!("/v1/outbox/{n}"), &json!({"action": "discard"})).0, 200);
    assert_eq!(serving.json("GET", "/v1/conflicts", &Value::Null), (200, json!([])));
    assert_eq!(serving.json("GET", "/v1/reminders?within=3d", &Value::Null).0, 200);

    let megabyte = json!({"subject": "x".repeat(1_048_576)});
    let plan = format!("/v1/events/{}", house.id("Plan"));
    for (verb, path, body, status, kind, rule) in [
        ("PATCH", plan.as_str(), megabyte, 422, "refused", Some("text_too_long")),
        ("PATCH", &plan, json!({"subject": "a\u{0}"}), 422, "refused", Some("control_characters")),
        ("PATCH", &plan, json!({"colour": "red"}), 400, "usage", None),
        ("PATCH", &plan, json!([1]), 400, "usage", None),
        (
            "PATCH",
            "/v1/events/ffffffffffffffffffffffffffffffff",
            json!({"subject": "x"}),
            404,
            "not_found",
            None,
        ),
        ("POST", "/v1/events", json!({"subject": "x"}), 422, "refused", Some("no_times")),
        ("POST", "/v1/events?colour=red", json!({}), 400, "usage", None),
        ("POST", "/v1/outbox/999", json!({"action": "retry"}), 404, "not_found", None),
        ("POST", "/v1/outbox/x", json!({"action": "retry"}), 400, "usage", None),
        ("POST", "/v1/conflicts/1", json!({"keep": "ours"}), 400, "usage", None),
        ("DELETE", &format!("{plan}?colour=red"), Value::Null, 400, "usage", None),
        ("PUT", &plan, json!({}), 405, "usage", None),
    ] {
        let (found, problem) = serving.json(verb, path, &body);
        assert_eq!((found, &problem["kind"]), (status, &json!(kind)), "{verb} {path}: {problem}");
        assert_eq!(problem.get("rule").and_then(Value::as_str), rule, "{problem}");
    }
    let form = serving.ask("PATCH", &plan, "text/plain", "{}");
    assert_eq!(form.status, 415, "a page's form cannot be read as JSON");

    // Beside a running engine the command line records by itself, and the engine sends it.
    house.json(&["edit", house.id("Plan"), "--location", "Room 9"]);
    house.emulator.control("/network", &json!({"down": false}));
    assert_eq!(serving.json("POST", "/v1/outbox", &Value::Null), (202, Value::Null));
    let (status, done) = serving.json("POST", "/v1/sync", &Value::Null);
    assert_eq!((status, &done["weather"]), (200, &Value::Null), "{done}");
    assert_eq!(house.outbox(), Vec::<Value>::new());
    assert_eq!((house.truth("Gym").len(), &house.truth("Plan")[0]["location"]), (1, &json!("Room 9")));
}
