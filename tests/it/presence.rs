//! Presence through the real program: a synced mirror, the policy of the design, fixed times, a program as actuator.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::stage::{Emulator, Place, config_of};

/// Profiles and rules of the design, and a program that keeps every command.
const POLICY: &str = r#"
working_hours = { days = ["mon","tue","wed","thu","fri","sat","sun"], start = "08:00", end = "17:00" }
merge_gap = "5m"
base_profile = "AVAIL"
trust = { timed = "72h", all_day = "14d" }
profile = [
  { name = "AVAIL", availability = "available", status_text = "generic" },
  { name = "TENT", availability = "busy", rank = 20, status_text = "generic" },
  { name = "BUSY", availability = "busy", rank = 30, forwarding = { target = "voicemail" }, status_text = "subject" },
  { name = "CUST", availability = "busy", rank = 30, forwarding = { target = "200" }, status_text = "subject" },
  { name = "OOF", availability = "out_of_office", rank = 50, forwarding = { target = "DEPUTY" }, status_text = "generic" },
  { name = "DND", availability = "do_not_disturb", rank = 60, forwarding = { target = "voicemail" }, status_text = "generic" },
]
rule = [
  { name = "cancelled", when = { cancelled = true }, ignore = true },
  { name = "declined", when = { response = ["declined","not_responded"] }, ignore = true },
  { name = "free", when = { show_as = ["free"] }, ignore = true },
  { name = "oof", when = { show_as = ["oof"] }, profile = "OOF" },
  { name = "tentative", when = { show_as = ["tentative"] }, profile = "TENT" },
  { name = "customers", when = { subject_prefix = ["Kunde:"] }, profile = "CUST" },
  { name = "rest", profile = "BUSY" },
  { name = "late", when = { show_as = ["busy"] }, profile = "DND" },
]
[[presence.actuator]]
channels = ["forwarding", "text", "presence"]
kind = "command"
program = ["./telephone"]
"#;

struct House {
    place: Place,
    _emulator: Emulator,
    day: String,
}

fn event(subject: &str, start: &str, end: &str, more: Value) -> Value {
    let at = |clock: &str| json!({"dateTime": format!("{{today+1}}T{clock}:00"), "timeZone": "W. Europe Standard Time"});
    let mut event = json!({"subject": subject, "start": at(start), "end": at(end), "isReminderOn": false});
    let (Some(members), Value::Object(more)) = (event.as_object_mut(), more) else { panic!("no object") };
    members.extend(more);
    event
}

impl House {
    fn open(events: &[Value], shared: &[Value], telephone: &str) -> House {
        let mailbox = json!({
            "users": [{
                "name": "Anna Albrecht", "address": "anna@contoso.example", "time_zone": "W. Europe Standard Time",
                "calendars": [
                    {"name": "Calendar", "default": true, "events": events},
                    {"name": "Bela (shared)", "can_edit": true,
                     "owner": {"name": "Bela Baum", "address": "bela@contoso.example"}, "events": shared},
                ],
            }],
            "quirks": "tame",
        });
        let place = Place::new("");
        let file = place.dir.path().join("mailbox.json");
        std::fs::write(&file, mailbox.to_string()).unwrap();
        let emulator = Emulator::start(place.dir.path(), &["--mailbox", file.to_str().unwrap()]);
        std::fs::write(place.config_path(), format!("{}{POLICY}", config_of(&emulator.origin))).unwrap();
        let program = place.dir.path().join("telephone");
        std::fs::write(&program, telephone.replace("{log}", place.dir.path().join("log").to_str().unwrap()))
            .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        place.run(&["login", "--device-code"]).ended(0);
        place.run(&["sync"]).ended(0);
        let day = (chrono::Utc::now().with_timezone(&chrono::FixedOffset::east_opt(3_600).unwrap())
            + chrono::TimeDelta::days(1))
        .date_naive()
        .to_string();
        House { place, _emulator: emulator, day }
    }

    fn json(&self, act: &[&str], clock: &str) -> Value {
        let at = format!("{}T{clock}", self.day);
        let arguments = [&["presence"], act, &["--at", &at, "--json"]].concat();
        self.place.run(&arguments).ended(0).json()
    }

    fn tick(&self, clock: &str) -> Value {
        self.json(&["tick"], clock)
    }

    /// The commands the telephone got on a channel: target, or profile, or text.
    fn got(&self, channel: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.place.dir.path().join("log")).unwrap_or_default();
        let commands = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        commands
            .filter(|command| command["channel"] == channel)
            .map(|command| {
                let set = &command["set"];
                let value = ["target", "profile", "text"].iter().find_map(|name| set[name].as_str());
                let release = if command["release"] == true { " release" } else { "" };
                format!("{}{release}", value.unwrap_or("null"))
            })
            .collect()
    }

    /// The timeline of the morning: profile and clock of the start.
    fn profiles(&self, clock: &str) -> Vec<String> {
        let (from, to) = (format!("{}T09:00", self.day), format!("{}T13:00", self.day));
        let answer = self.json(&["timeline", "--from", &from, "--to", &to], clock);
        let segments = answer["segments"].as_array().unwrap();
        for pair in segments.windows(2) {
            assert_eq!(pair[0]["end"], pair[1]["start"], "gap-free");
        }
        segments
            .iter()
            .map(|s| format!("{} {}", s["profile"].as_str().unwrap(), &s["start"].as_str().unwrap()[11..16]))
            .collect()
    }
}

const WORKS: &str = "#!/bin/sh\ncat >> {log}\n";

fn a() -> Value {
    event("Quarterly", "10:00", "11:00", json!({"showAs": "busy"}))
}

#[test]
fn a_meeting_forwards_at_its_start_and_gives_back_at_its_end() {
    let house = House::open(&[a()], &[], WORKS);
    assert_eq!(house.profiles("09:30"), ["AVAIL 09:00", "BUSY 10:00", "AVAIL 11:00"]);
    house.tick("09:30");
    assert_eq!(house.got("forwarding"), Vec::<String>::new());
    house.tick("10:00");
    // Twice sends nothing twice; each run is a process of its own.
    house.tick("10:20");
    assert_eq!(house.got("forwarding"), ["voicemail"]);
    house.tick("11:00");
    house.tick("11:05");
    assert_eq!(house.got("forwarding"), ["voicemail", "none release"]);
    assert_eq!(house.got("presence"), ["AVAIL", "BUSY", "AVAIL"]);
    let journal = house.place.run(&["presence", "journal", "--json"]).ended(0).json();
    let kinds: Vec<&str> =
        journal.as_array().unwrap().iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "segment").count(), 3, "{journal}");
    assert!(!journal.to_string().contains("Quarterly"), "{journal}");
}

#[test]
fn what_is_free_declined_shared_or_missed_claims_nothing() {
    let free = event("Free", "09:00", "10:00", json!({"showAs": "free"}));
    let shared = event("Bela's own", "10:00", "11:00", json!({"showAs": "busy"}));
    let tentative = event("Perhaps", "12:00", "12:30", json!({"showAs": "tentative"}));
    let house = House::open(&[free, tentative], &[shared], WORKS);
    assert_eq!(house.profiles("09:30"), ["AVAIL 09:00", "TENT 12:00", "AVAIL 12:30"]);
    for clock in ["09:30", "10:30", "12:10", "12:40"] {
        house.tick(clock);
    }
    assert_eq!(house.got("forwarding"), Vec::<String>::new());
    let why = house.json(&["why"], "10:30");
    assert_eq!(why["segment"]["reason"]["layer"], "base");
}

#[test]
fn overlapping_meetings_change_the_target_and_the_baseline_comes_back() {
    let customer = event("Kunde: Meyer", "10:30", "11:30", json!({"showAs": "busy"}));
    let house = House::open(&[a(), customer], &[], WORKS);
    house.json(&["observe", "forwarding", "MOBILE"], "09:00");
    for clock in ["10:00", "10:30", "11:30"] {
        house.tick(clock);
    }
    assert_eq!(house.got("forwarding"), ["voicemail", "200", "MOBILE release"]);
    let (from, to) = (format!("{}T09:00", house.day), format!("{}T13:00", house.day));
    let preview = house.json(&["preview", "--from", &from, "--to", &to], "09:00");
    let targets: Vec<&str> = preview["commands"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|command| command["channel"] == "forwarding")
        .map(|command| command["set"]["target"].as_str().unwrap())
        .collect();
    assert_eq!(targets, ["voicemail", "200", "MOBILE"]);
}

#[test]
fn a_manual_choice_dismisses_the_running_meeting_and_no_other() {
    let next = event("Next", "11:00", "12:00", json!({"showAs": "busy"}));
    let house = House::open(&[a(), next], &[], WORKS);
    house.tick("10:00");
    let chosen = house.json(&["set", "AVAIL"], "10:30");
    assert_eq!((&chosen["profile"], &chosen["reason"]["layer"]), (&json!("AVAIL"), &json!("override")));
    assert_eq!(
        house.profiles("10:30"),
        ["AVAIL 09:00", "BUSY 10:00", "AVAIL 10:30", "BUSY 11:00", "AVAIL 12:00"]
    );
    for clock in ["10:30", "11:00", "12:00"] {
        house.tick(clock);
    }
    assert_eq!(house.got("forwarding"), ["voicemail", "none release", "voicemail", "none release"]);
    house.json(&["clear"], "12:01");
    house.place.run(&["presence", "set", "NOBODY"]).ended(5);
}

#[test]
fn somebody_at_the_telephone_has_the_last_word_until_something_else_is_wanted() {
    let house = House::open(&[a()], &[], WORKS);
    house.tick("10:00");
    house.json(&["observe", "forwarding", "MOBILE"], "10:30");
    for clock in ["10:30", "11:00", "11:30"] {
        house.tick(clock);
    }
    assert_eq!(house.got("forwarding"), ["voicemail"]);
}

#[test]
fn a_program_that_refuses_is_tried_again_and_one_that_recovers_gets_one_command() {
    let house = House::open(&[a()], &[], "#!/bin/sh\n[ -e {log}.up ] || exit 1\ncat >> {log}\n");
    let sent = house.tick("10:00");
    assert!(sent["sent"].as_array().unwrap().iter().all(|sent| sent["state"] == "program_refused"), "{sent}");
    std::fs::write(house.place.dir.path().join("log.up"), "").unwrap();
    house.tick("10:30");
    house.tick("11:00");
    assert_eq!(house.got("forwarding"), ["voicemail", "none release"]);
}

#[test]
fn a_private_appointment_reaches_no_output() {
    let private = event(
        "Kunde: Arzt",
        "10:00",
        "11:00",
        json!({"showAs": "busy", "sensitivity": "private", "location": {"displayName": "Praxis"}}),
    );
    let house = House::open(&[private], &[], WORKS);
    house.tick("10:00");
    // No content rule matches it: BUSY, not CUST.
    assert_eq!(house.got("forwarding"), ["voicemail"]);
    let day = house.day.clone();
    let (at, from, to) = (format!("{day}T10:10"), format!("{day}T09:00"), format!("{day}T13:00"));
    let mut all = std::fs::read_to_string(house.place.dir.path().join("log")).unwrap();
    for arguments in [
        vec!["now", "--at", &at],
        vec!["why", "--at", &at],
        vec!["timeline", "--from", &from, "--to", &to],
        vec!["preview", "--from", &from, "--to", &to, "--at", &at],
        vec!["journal"],
    ] {
        for json in [&[][..], &["--json"][..]] {
            let ran = house.place.run(&[&["presence"], arguments.as_slice(), json].concat()).ended(0);
            all.push_str(&ran.stdout);
            all.push_str(&ran.stderr);
        }
    }
    assert!(!all.contains("Arzt") && !all.contains("Kunde") && !all.contains("Praxis"), "{all}");
    assert!(all.contains("private appointment"), "{all}");
}

#[test]
fn a_rule_that_no_event_reaches_is_found_and_a_target_that_is_none_refused() {
    let house = House::open(&[a()], &[], WORKS);
    let found = house.place.run(&["presence", "check", "--json"]).ended(0).json();
    let late =
        found.as_array().unwrap().iter().find(|finding| {
            finding["level"] == "warning" && finding["key"].as_str().unwrap().contains("late")
        });
    assert!(late.is_some(), "{found}");
    house.place.run(&["presence", "observe", "forwarding", " "]).ended(5);
    house.place.run(&["presence", "set", "BUSY", "--until", "1999-01-01"]).ended(5);
}

#[test]
fn the_own_line_is_not_forwarded_to_and_a_live_call_changes_nothing_but_what_is_shown() {
    let house = House::open(&[a()], &[], WORKS);
    let text = std::fs::read_to_string(house.place.config_path()).unwrap();
    let own = text.replace("merge_gap =", "own_numbers = [\"(0)200\"]\nmerge_gap =");
    let own = own.replace("target = \"voicemail\"", "target = \"200\"");
    std::fs::write(house.place.config_path(), own).unwrap();
    let sent = house.tick("10:00");
    assert_eq!((&sent["profile"], &sent["forwarding_skipped"]), (&json!("BUSY"), &json!("own_line")));
    assert_eq!((house.got("presence"), house.got("forwarding")), (vec!["BUSY".to_owned()], Vec::new()));
    let journal = house.place.run(&["presence", "journal"]).ended(0).stdout;
    assert!(journal.contains("skip") && journal.contains("own_line"), "{journal}");
    let found = house.place.run(&["presence", "check"]).ended(2).stdout;
    assert!(found.contains("presence.profile.BUSY.forwarding.target"), "{found}");

    std::fs::write(house.place.config_path(), text).unwrap();
    house.tick("10:10");
    let on = house.json(&["observe", "call", "on"], "10:50");
    assert!(on["on_call_since"].as_str().unwrap().contains("T10:50"), "{on}");
    house.json(&["observe", "call", "on"], "10:55");
    let why = house.json(&["why"], "11:00");
    assert!(why["on_call_since"].as_str().unwrap().contains("T10:50"), "{why}");
    assert_eq!(why["forwarding_state"]["owned"], true);
    house.tick("11:00");
    assert_eq!(house.json(&["observe", "call", "off"], "11:10")["on_call_since"], Value::Null);
    house.tick("11:10");
    assert_eq!(house.got("forwarding"), ["voicemail", "none release"]);
}

#[test]
fn what_the_group_locks_nobody_chooses_away_and_check_finds_what_vanished() {
    let house = House::open(&[a()], &[], WORKS);
    let text = std::fs::read_to_string(house.place.config_path()).unwrap();
    house.json(&["set", "TENT", "--until-changed"], "09:00");
    let locked = text.replace("merge_gap =", "admin_profile = \"OOF\"\nmerge_gap =");
    std::fs::write(house.place.config_path(), locked).unwrap();
    let now = house.json(&["now"], "10:00");
    assert_eq!((&now["profile"], &now["reason"]["layer"]), (&json!("OOF"), &json!("admin")));
    let gone = text.replace("\"TENT\"", "\"HALF\"").replace("./telephone", "./no-telephone");
    std::fs::write(house.place.config_path(), gone).unwrap();
    let found = house.place.run(&["presence", "check", "--json"]).ended(2).json().to_string();
    for key in ["presence.override", "presence.actuator.program", "presence.profile.BUSY.status_text"] {
        assert!(found.contains(key), "{key} in {found}");
    }
    assert_eq!(house.json(&["now"], "10:00")["profile"], "BUSY", "the safest reading: it does not count");
    let odd = text.replace("merge_gap =", "admin_profile = \"OOFF\"\nmerge_gap =");
    std::fs::write(house.place.config_path(), odd).unwrap();
    let ran = house.place.run(&["presence", "check"]).ended(2);
    assert!(ran.stderr.contains("did you mean \"OOF\"?"), "{}", ran.stderr);
}
