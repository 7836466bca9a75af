//! `calmirror serve` as a real process through the nights in which the clocks of Berlin change, on a clock that runs
//! ahead: what the telephone is told, in which order, and for which instants.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use calmirror::ports::Clock;
use calmirror::system::{CLOCK_VARIABLE, SystemClock};
use serde_json::{Value, json};

use crate::stage::{Emulator, Place, config_of};

/// How many times faster the night passes than its watchers live.
const SPEED: i64 = 500;
const HOUR_MS: i64 = 3_600_000;
/// A night that takes longer than this is broken.
const WAIT_MAX: Duration = Duration::from_secs(180);
const POLICY: &str = r#"
working_hours = { days = ["mon","tue","wed","thu","fri"], start = "08:00", end = "17:00" }
base_profile = "AVAIL"
profile = [
  { name = "AVAIL", availability = "available" },
  { name = "BUSY", availability = "busy", rank = 30, forwarding = { target = "voicemail" } },
  { name = "OOF", availability = "out_of_office", rank = 50, forwarding = { target = "DEPUTY" } },
]
rule = [
  { name = "oof", when = { show_as = ["oof"] }, profile = "OOF" },
  { name = "rest", profile = "BUSY" },
]
[[presence.actuator]]
channels = ["forwarding"]
kind = "command"
program = ["./telephone"]
"#;

struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ms(utc: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(utc).unwrap().timestamp_millis()
}

/// Sets the staged clock: from now on it shows `shown_ms` and runs so many times faster.
fn set_clock(file: &Path, shown_ms: i64, speed: i64) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, format!("{} {shown_ms} {speed}", SystemClock.now_ms())).unwrap();
    std::fs::rename(beside, file).unwrap();
}

/// The commands that arrived: target, release, and from when to when they hold.
fn arrived(log: &Path) -> Vec<(String, bool, String, Option<String>)> {
    let lines = std::fs::read_to_string(log).unwrap_or_default();
    let command = |line: &str| {
        let command: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| command[name].as_str().map(ToOwned::to_owned);
        (
            command["set"]["target"].as_str().unwrap().to_owned(),
            command["release"] == true,
            text("valid_from").unwrap(),
            text("valid_until"),
        )
    };
    // A line that is still being written is read the next time.
    lines.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(command).collect()
}

/// Lives through a night with these meetings, and answers what the telephone was told until `count` commands came.
fn night(start: &str, meetings: &[(&str, &str, &str)], count: usize) -> (Vec<(String, bool, String)>, Value) {
    let place = Place::new("");
    let dir = place.dir.path().to_path_buf();
    let clock = dir.join("clock");
    set_clock(&clock, ms(start), 1);
    let variables = [(CLOCK_VARIABLE, clock.to_str().unwrap())];
    let events: Vec<Value> = meetings
        .iter()
        .map(|(start, end, show_as)| {
            let at = |utc: &str| json!({"dateTime": utc.trim_end_matches('Z'), "timeZone": "UTC"});
            json!({"subject": "Night shift", "start": at(start), "end": at(end), "showAs": show_as, "isReminderOn": false})
        })
        .collect();
    let mailbox = json!({
        "users": [{
            "name": "Anna Albrecht", "address": "anna@contoso.example", "time_zone": "W. Europe Standard Time",
            "calendars": [{"name": "Calendar", "default": true, "events": events}],
        }],
        "quirks": "tame",
    });
    let file = dir.join("mailbox.json");
    std::fs::write(&file, mailbox.to_string()).unwrap();
    let emulator = Emulator::start_with(&dir, &["--mailbox", file.to_str().unwrap()], &variables);
    std::fs::write(place.config_path(), format!("{}{POLICY}", config_of(&emulator.origin))).unwrap();
    let log: PathBuf = dir.join("log");
    let program = dir.join("telephone");
    std::fs::write(&program, format!("#!/bin/sh\ncat >> {}\n", log.display())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    place.run_with(&["login", "--device-code"], &variables).ended(0);
    place.run_with(&["sync"], &variables).ended(0);
    set_clock(&clock, ms(start), SPEED);
    let mut command = place.command(&["serve"]);
    let serving = command.envs(variables).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let serving = Serving(serving);
    let began = Instant::now();
    while arrived(&log).len() < count {
        assert!(began.elapsed() < WAIT_MAX, "{:?}", arrived(&log));
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(serving);
    let journal = place.run_with(&["presence", "journal", "--json"], &variables).ended(0).json();
    let told = arrived(&log).into_iter().map(|(target, release, from, _)| (target, release, from)).collect();
    (told, journal)
}

fn told(target: &str, is_release: bool, from: &str) -> (String, bool, String) {
    (target.to_owned(), is_release, from.to_owned())
}

/// Each command was applied after the instant from which it holds, and before the next one.
fn came_in_time(journal: &Value, told: &[(String, bool, String)]) {
    let applied: Vec<i64> = journal
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["kind"] == "command" && line["detail"]["state"] == "applied")
        .map(|line| ms(line["at"].as_str().unwrap()))
        .collect();
    assert!(applied.len() >= told.len() - 1, "{journal}");
    for (place, at_ms) in applied.iter().enumerate() {
        assert!(*at_ms >= ms(&told[place].2), "{journal}");
        if let Some(next) = told.get(place + 1) {
            assert!(*at_ms <= ms(&next.2) + HOUR_MS / 4, "{journal}");
        }
    }
}

#[test]
fn a_served_night_in_which_an_hour_is_missing_forwards_at_the_right_instants() {
    // 01:30 +01:00 to 03:30 +02:00 is one hour: the clock jumps from 02:00 to 03:00.
    let meetings = [
        ("2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "busy"),
        ("2026-03-29T02:00:00Z", "2026-03-29T02:30:00Z", "oof"),
    ];
    let (came, journal) = night("2026-03-28T23:50:00Z", &meetings, 4);
    assert_eq!(
        came,
        [
            told("voicemail", false, "2026-03-29T01:30:00+01:00"),
            told("none", true, "2026-03-29T03:30:00+02:00"),
            told("DEPUTY", false, "2026-03-29T04:00:00+02:00"),
            told("none", true, "2026-03-29T04:30:00+02:00"),
        ]
    );
    came_in_time(&journal, &came);
}

#[test]
fn a_served_night_with_an_hour_twice_tells_the_two_apart() {
    // 02:30 comes twice: at 00:30Z with +02:00, at 01:30Z with +01:00.
    let meetings = [
        ("2026-10-25T00:30:00Z", "2026-10-25T00:50:00Z", "busy"),
        ("2026-10-25T01:30:00Z", "2026-10-25T02:15:00Z", "oof"),
    ];
    let (came, journal) = night("2026-10-24T23:50:00Z", &meetings, 4);
    assert_eq!(
        came,
        [
            told("voicemail", false, "2026-10-25T02:30:00+02:00"),
            told("none", true, "2026-10-25T02:50:00+02:00"),
            told("DEPUTY", false, "2026-10-25T02:30:00+01:00"),
            told("none", true, "2026-10-25T03:15:00+01:00"),
        ]
    );
    came_in_time(&journal, &came);
}
