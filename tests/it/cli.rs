use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::Arc;

use calmirror::ports::Vault;
use calmirror::vault::{FileVault, NoKeyring};
use serde_json::{Value, json};

use crate::stage::{Emulator, PROGRAM, Place, config_of, first_line};

/// A signed-in, synced place and its emulator.
fn synced(events: &str) -> (Place, Emulator) {
    let place = Place::new("");
    let emulator = Emulator::start(place.dir.path(), &["--seed", "7", "--events", events]);
    std::fs::write(place.config_path(), config_of(&emulator.origin)).unwrap();
    place.run(&["login", "--device-code"]).ended(0);
    place.run(&["sync"]).ended(0);
    (place, emulator)
}

/// The day after so many days, `YYYY-MM-DD`.
fn day_in(days: i64) -> String {
    (chrono::Utc::now() + chrono::TimeDelta::days(days)).date_naive().to_string()
}

/// Creates an event of an hour on a day, as another client would.
fn create(emulator: &Emulator, subject: &str, day: &str) {
    let time = |text: &str| json!({"dateTime": format!("{day}T{text}"), "timeZone": "UTC"});
    let event = json!({"subject": subject, "start": time("09:00:00"), "end": time("10:00:00")});
    emulator.control("/edits", &json!({"edit": "create", "event": event}));
}

#[test]
fn help_lists_the_commands_of_this_version() {
    let place = Place::new("");
    insta::assert_snapshot!(place.run(&["--help"]).ended(0).stdout);
}

#[test]
fn an_unknown_command_or_option_ends_with_2() {
    let place = Place::new("");
    for arguments in
        [&["bogus"][..], &["agenda", "--bogus"], &[], &["add"], &["presence", "now"], &["outbox"]]
    {
        let ran = place.run(arguments).ended(2);
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
}

#[test]
fn completions_and_manual_need_no_configuration() {
    let place = Place::new("broken = = toml");
    for arguments in [&["completions", "bash"][..], &["completions", "zsh"], &["man"], &["--version"]] {
        assert!(!place.run(arguments).ended(0).stdout.is_empty());
    }
}

#[test]
fn before_the_first_sync_every_question_is_answered_with_nothing_known() {
    let place = Place::new(&config_of("http://127.0.0.1:9"));
    let agenda = place.run(&["agenda", "--json"]).ended(0).json();
    assert_eq!(agenda["as_of"], Value::Null);
    assert_eq!(agenda["fresh"], false);
    assert_eq!(agenda["time_zone"], "Europe/Berlin");
    for command in [&["search", "x"][..], &["free"], &["busy"]] {
        let answer = place.run(&[command, &["--json"]].concat()).ended(0).json();
        assert_eq!(answer["items"], json!([]));
    }
    assert_eq!(place.run(&["changes"]).ended(0).stdout, "");
    place.run(&["show", "0123456789abcdef"]).ended(5);
    let status = place.run(&["status", "--json"]).ended(0).json();
    assert_eq!(status["accounts"][0]["signed_in"], false);
    assert_eq!(status["engine"]["running"], false);
}

#[test]
fn an_event_is_opened_by_its_handle_or_its_handles_are_printed() {
    let (place, _emulator) = synced("20");
    let items = place.run(&["agenda", "--days", "60", "--json"]).ended(0).json()["items"].take();
    let event = items.as_array().unwrap().iter().find(|event| event["web_link"].is_string()).unwrap();
    let (id, link) = (event["id"].as_str().unwrap(), event["web_link"].as_str().unwrap());
    let handle = json!({"kind": "web", "target": link});

    let printed = place.run(&["open", id, "--print", "--json"]).ended(0).json();
    assert_eq!(printed, json!({"handles": [handle], "opened": null}));
    let opened = place.run_with(&["open", id, "--json"], &[("BROWSER", PROGRAM)]).ended(0).json();
    assert_eq!(opened, json!({"handles": [handle], "opened": handle}));
    let none = place.run_with(&["open", id], &[("BROWSER", "no-such-browser")]).ended(1).stdout;
    assert!(none.contains(link), "{none}");

    let new =
        place.run(&["add", "--subject", "new", "--start", &day_in(1), "--all-day", "--json"]).ended(0).json();
    place.run(&["open", new["id"].as_str().unwrap()]).ended(5);
    place.run(&["open", "0123456789abcdef"]).ended(5);
}

#[test]
fn a_sync_without_sign_in_ends_with_3() {
    let place = Place::new(&config_of("http://127.0.0.1:9"));
    place.run(&["sync"]).ended(3);
}

#[test]
fn a_sign_in_without_a_server_ends_with_4() {
    let place = Place::new(&config_of("http://127.0.0.1:9"));
    place.run(&["login", "--device-code"]).ended(4);
}

#[test]
fn a_mailbox_comes_down_and_answers() {
    let (place, emulator) = synced("200");
    let sync = place.run(&["sync", "--json"]).ended(0).json_lines();
    let done = sync.last().unwrap();
    assert_eq!(done["event"], "done");
    assert_eq!(done["upserted"], 0);
    assert!(done["calendars"].as_u64().unwrap() >= 10);
    assert_eq!(done["weather"], Value::Null);

    let agenda = place.run(&["agenda", "--days", "30", "--json"]).ended(0).json();
    let items = agenda["items"].as_array().unwrap();
    assert!(!items.is_empty() && agenda["fresh"] == true);
    let id = items[0]["id"].as_str().unwrap();
    assert_eq!(place.run(&["show", id, "--json"]).ended(0).json()["id"], id);
    assert!(place.run(&["show", &id[..8]]).ended(0).stdout.contains(id));
    let next = place.run(&["agenda", "--next", "3", "--json"]).ended(0).json();
    assert_eq!(next["items"].as_array().unwrap().len(), 3);

    let status = place.run(&["status", "--json"]).ended(0).json();
    assert_eq!(status["accounts"][0]["network"], "online");
    let calendar = status["accounts"][0]["calendars"][0]["id"].as_str().unwrap();
    place.run(&["agenda", "--calendar", calendar]).ended(0);
    place.run(&["agenda", "--calendar", "there is none"]).ended(5);
    let accounts = place.run(&["accounts", "--json"]).ended(0).json();
    assert_eq!(accounts[0]["signed_in"], true);
    assert_eq!(accounts[0]["scopes_missing"], json!([]));

    let changes = place.run(&["changes", "--since", "0", "--json"]).ended(0).json_lines();
    let last = changes.last().unwrap()["seq"].as_i64().unwrap().to_string();
    create(&emulator, "Zeppelin inspection", &day_in(7));
    place.run(&["sync"]).ended(0);
    let changes = place.run(&["changes", "--since", &last, "--json"]).ended(0).json_lines();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0]["what"], "put");
    let found = place.run(&["search", "zeppel", "--json"]).ended(0).json();
    assert_eq!(found["items"][0]["id"], changes[0]["event"]);

    for command in [&["free", "--hours", "inside", "--min", "30m"][..], &["busy"]] {
        let answer = place.run(&[command, &["--json"]].concat()).ended(0).json();
        assert_eq!(answer["fresh"], true);
        assert!(place.run(command).ended(0).stdout.contains("Europe/Berlin"));
    }
}

#[test]
fn without_a_network_sync_ends_with_4_and_the_agenda_with_0() {
    let (place, emulator) = synced("50");
    let before = place.run(&["agenda", "--days", "7", "--json"]).ended(0).json();
    emulator.control("/network", &json!({"down": true}));
    let sync = place.run(&["sync"]).ended(4);
    assert!(sync.stdout.contains("Not synced"), "{}", sync.stdout);
    let after = place.run(&["agenda", "--days", "7", "--json"]).ended(0).json();
    assert_eq!(before["items"], after["items"]);
    assert_eq!(after["fresh"], false);
    assert!(place.run(&["agenda"]).ended(0).stdout.contains("as of"));
    let status = place.run(&["status"]).ended(0);
    assert!(status.stdout.contains("offline"), "{}", status.stdout);
    emulator.control("/network", &json!({"down": false}));
    place.run(&["sync"]).ended(0);
}

#[test]
fn a_subject_with_escape_sequences_reaches_no_terminal() {
    let (place, emulator) = synced("20");
    let subject = "\u{1b}]0;owned\u{7}\u{1b}[31mPay\u{202e}roll\u{9b}2J\nsecond";
    let date = day_in(8);
    create(&emulator, subject, &date);
    place.run(&["sync"]).ended(0);
    let day = ["--day", date.as_str()];
    let is_harmful = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    let human = place.run(&[&["agenda"][..], &day].concat()).ended(0).stdout;
    assert!(!human.contains(is_harmful), "{human:?}");
    assert!(human.contains("Payroll2J second"), "{human:?}");
    let document = place.run(&[&["agenda", "--json"][..], &day].concat()).ended(0);
    assert!(!document.stdout.contains(is_harmful));
    let id = document.json()["items"].as_array().unwrap().iter().find_map(|item| {
        item["subject"]
            .as_str()
            .filter(|text| text.contains("Pay"))
            .map(|_| item["id"].as_str().unwrap().to_owned())
    });
    assert!(!place.run(&["show", &id.unwrap()]).ended(0).stdout.contains(is_harmful));
}

#[test]
fn tables_fit_the_width_and_pipes_get_no_colors() {
    let (place, _emulator) = synced("300");
    for width in [40_usize, 72, 120] {
        for command in [&["agenda", "--days", "20"][..], &["status"], &["config", "show"]] {
            let ran = place.run_with(command, &[("COLUMNS", &width.to_string())]).ended(0);
            for line in ran
                .stdout
                .lines()
                .filter(|line| !line.starts_with("configuration") && !line.starts_with("data"))
            {
                let is_table = line.starts_with("  ") && !line.contains('→');
                assert!(!is_table || line.chars().count() <= width, "{width}: {line}");
            }
            assert!(!ran.stdout.contains('\u{1b}'));
        }
    }
    assert!(!place.run_with(&["agenda"], &[("NO_COLOR", "1")]).ended(0).stdout.contains('\u{1b}'));
}

#[test]
fn a_reader_that_goes_away_ends_the_program_quietly() {
    let place = Place::new(&config_of("http://127.0.0.1:9"));
    for command in [&["completions", "bash"][..], &["config", "show"], &["agenda", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = place.command(command).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{command:?}");
    }
}

#[test]
fn a_newer_mirror_ends_with_6_and_is_left_alone() {
    let (place, _emulator) = synced("20");
    let path = place.data_dir().join("anna/mirror.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute(
            "INSERT INTO refinery_schema_history SELECT 9999, 'future', applied_on, checksum FROM refinery_schema_history LIMIT 1",
            [],
        )
        .unwrap();
    drop(connection);
    let ran = place.run(&["agenda"]).ended(6);
    assert!(ran.stderr.contains("newer"), "{}", ran.stderr);
    place.run(&["sync"]).ended(6);
    assert!(path.exists());
    assert_eq!(last_error(&place), "mirror_newer");
    assert!(place.run(&["status"]).ended(0).stdout.contains("update calmirror"));
    let doctor = place.run(&["doctor", "--json"]).ended(1).json();
    let mirror =
        doctor["checks"].as_array().unwrap().iter().find(|check| check["check"] == "mirror").unwrap();
    assert!(mirror["todo"].as_str().unwrap().contains("update"), "{mirror}");
}

fn last_error(place: &Place) -> String {
    let status = place.run(&["status", "--json"]).ended(0).json();
    let account = &status["accounts"][0];
    assert_eq!(account["calendars"], json!([]));
    account["last_error"]["kind"].as_str().unwrap().to_owned()
}

#[test]
fn a_mirror_that_cannot_be_read_is_its_accounts_error_and_no_end_of_status() {
    let place = Place::new(&config_of("http://127.0.0.1:9"));
    let path = place.data_dir().join("anna/mirror.db");
    std::fs::create_dir_all(&path).unwrap();
    assert_eq!(last_error(&place), "mirror_unusable");
    place.run(&["agenda"]).ended(6);
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, vec![7; 8_192]).unwrap();
    assert_eq!(last_error(&place), "mirror_damaged");
    assert!(place.run(&["status"]).ended(0).stdout.contains("sets it aside"));
}

#[test]
fn wrong_values_are_said_in_our_own_words_and_as_json_when_asked() {
    let place = Place::new(&config_of("http://127.0.0.1:9"));
    for (arguments, words) in [
        (&["changes", "--since", "-1"][..], "since"),
        (&["agenda", "--day", "-1"], "2026-03-29"),
        (&["agenda", "--day", "9999-12-31"], "year"),
        (&["agenda", "--from", "0001-01-01"], "year"),
        (&["search", "x", "--limit", "0"], "limit"),
        (&["emulate", "--events", "900000000"], "500000"),
    ] {
        let ran = place.run(arguments).ended(2);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
    }
    let ran = place.run(&["agenda", "--bogus", "--json"]).ended(2);
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["kind"], "usage");
    std::fs::write(place.data_dir(), "a file").unwrap();
    assert!(place.run(&["agenda"]).ended(2).stderr.contains("no directory"));
}

#[test]
fn what_is_not_mirrored_is_not_called_free_and_the_footer_says_so() {
    let (place, _emulator) = synced("20");
    let far = day_in(3_000);
    let free = place.run(&["free", "--from", &far, "--to", &day_in(3_005), "--json"]).ended(0).json();
    assert_eq!(free["items"], json!([]));
    assert!(free["known"]["to"].is_string(), "{free}");
    for command in ["free", "busy", "agenda"] {
        let human = place.run(&[command, "--from", &day_in(0), "--to", &far]).ended(0).stdout;
        assert!(human.contains("Nothing is known after"), "{human}");
    }
    assert!(place.run(&["agenda", "--day", &far]).ended(0).stdout.contains("Nothing is known."));
    let found = place.run(&["search", "a", "--limit", "1", "--json"]).ended(0).json();
    assert_eq!((found["items"].as_array().unwrap().len(), &found["more"]), (1, &json!(true)));
    assert!(place.run(&["search", "a", "--limit", "1"]).ended(0).stdout.contains("there are more"));
    let accepted = place.run(&["sync", "--accept-removals"]).ended(0).stdout;
    assert!(accepted.contains("no removal was held back"), "{accepted}");
}

#[test]
fn a_sync_beside_a_process_without_a_door_waits_for_it_and_says_so_once() {
    let place = Place::new(&config_of("http://127.0.0.1:9"));
    let lock = calmirror::system::EngineLock::take(&place.data_dir()).unwrap();
    // Left by an engine that did not end in order: nobody answers there, and nobody else is asked.
    let stale = json!({"address": "127.0.0.1:9", "token": "00", "pid": 1}).to_string();
    calmirror::system::write_private(&place.data_dir().join("engine.json"), stale.as_bytes()).unwrap();
    let mut waiting = place.command(&["sync"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stderr = BufReader::new(waiting.stderr.take().unwrap());
    let mut note = String::new();
    stderr.read_line(&mut note).unwrap();
    assert!(note.contains(&std::process::id().to_string()) && note.contains("waiting"), "{note}");
    let status = place.run(&["status", "--json"]).ended(0).json();
    assert_eq!(status["engine"]["running"], true);
    assert_eq!(status["engine"]["pid"], std::process::id());
    drop(lock);
    // Then it syncs itself, as far as it gets without a sign-in.
    assert_eq!(waiting.wait().unwrap().code(), Some(3));
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("waiting"), "{rest}");
    assert!(!place.data_dir().join("engine.json").exists());
}

#[cfg(unix)]
fn terminate(child: &mut std::process::Child) -> Option<i32> {
    let killed =
        std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    child.wait().unwrap().code()
}

#[cfg(unix)]
#[test]
fn a_watching_process_syncs_for_others_and_says_how_each_sync_ended() {
    let (place, emulator) = synced("50");
    let mut watching = place.command(&["sync", "--watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut dones = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let mut next_done = || dones.find(|line| line["event"] == "done").unwrap();
    assert_eq!(next_done()["account"], "anna");
    create(&emulator, "Asked by another", &day_in(7));
    let asked = place.run(&["sync", "--json"]).ended(0).json_lines();
    assert_eq!(asked.last().unwrap()["upserted"], 1);
    assert_eq!(next_done()["upserted"], 1);
    assert_eq!(terminate(&mut watching), Some(0));
    assert!(!place.data_dir().join("engine.json").exists());
}

#[cfg(unix)]
#[test]
fn a_watching_process_stops_at_once_in_the_middle_of_a_pause() {
    let (place, emulator) = synced("50");
    let refusing = json!({"what": {"do": "throttle", "retry_after": "25"}});
    emulator.control("/faults", &refusing);
    let mut watching = place.command(&["sync", "--watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("\"waiting\"")));
    let asked_at = std::time::Instant::now();
    assert_eq!(terminate(&mut watching), Some(0));
    assert!(asked_at.elapsed() < std::time::Duration::from_secs(15), "{:?}", asked_at.elapsed());
}

#[cfg(unix)]
#[test]
fn a_sync_asked_of_a_process_that_stops_is_done_all_the_same() {
    let (place, emulator) = synced("50");
    create(&emulator, "Asked of one that stops", &day_in(7));
    emulator.control("/faults", &json!({"what": {"do": "throttle", "retry_after": "2"}}));
    let mut watching = place.command(&["sync", "--watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("\"waiting\"")));
    let asking = place.command(&["sync"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(terminate(&mut watching), Some(0));
    assert_eq!(asking.wait_with_output().unwrap().status.code(), Some(0));
    let found = place.run(&["search", "stops", "--json"]).ended(0).json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
}

#[cfg(unix)]
#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let place = Place::new("broken = = toml");
    let mut demo = place.command(&["demo", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains("device_code")));
    assert_eq!(terminate(&mut demo), Some(130));
    let left: Vec<_> = std::fs::read_dir(place.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["config.toml"]);
}

#[cfg(unix)]
#[test]
fn a_serving_process_syncs_for_others_and_takes_its_announcement_back() {
    use std::os::unix::fs::PermissionsExt;
    let (place, emulator) = synced("50");
    let mut serving = place.command(&["serve", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let first: Value = serde_json::from_str(&first_line(&mut serving)).unwrap();
    assert_eq!(first["event"], "serving");
    let announced = place.data_dir().join("engine.json");
    assert_eq!(std::fs::metadata(&announced).unwrap().permissions().mode() & 0o777, 0o600);
    let engine: Value = serde_json::from_slice(&std::fs::read(&announced).unwrap()).unwrap();
    assert_eq!(engine["address"], first["address"]);
    assert_eq!(engine["pid"], serving.id());

    create(&emulator, "Asked by another", &day_in(7));
    let done = place.run(&["sync", "--json"]).ended(0).json_lines();
    assert_eq!(done.last().unwrap()["event"], "done");
    assert_eq!(
        place.run(&["search", "Asked", "--json"]).ended(0).json()["items"].as_array().unwrap().len(),
        1
    );
    emulator.control("/network", &json!({"down": true}));
    place.run(&["sync"]).ended(4);
    place.run(&["agenda"]).ended(0);

    assert_eq!(terminate(&mut serving), Some(0));
    assert!(!announced.exists());
}

#[test]
fn serving_on_an_address_of_the_network_is_refused() {
    let place = Place::new(&config_of("http://127.0.0.1:9"));
    for address in ["0.0.0.0:0", "192.0.2.1:80", "localhost"] {
        place.run(&["serve", "--listen", address]).ended(2);
    }
}

#[test]
fn signing_out_keeps_the_mirror_and_wiping_deletes_it() {
    let (place, _emulator) = synced("20");
    place.run(&["logout"]).ended(0);
    assert!(!place.data_dir().join("anna/tokens.enc").exists());
    assert_ne!(place.run(&["agenda", "--days", "60", "--json"]).ended(0).json()["as_of"], Value::Null);
    place.run(&["sync"]).ended(3);
    place.run(&["logout", "--wipe"]).ended(0);
    assert_eq!(place.run(&["agenda", "--json"]).ended(0).json()["as_of"], Value::Null);
}

#[test]
fn a_wipe_that_would_lose_edits_lists_them_and_needs_a_clear_yes() {
    let (place, _emulator) = synced("20");
    let day = day_in(3);
    let (start, end) = (format!("{day}T09:00:00Z"), format!("{day}T10:00:00Z"));
    place.run(&["add", "--subject", "Only here", "--start", &start, "--end", &end]).ended(0);
    let refused = place.run(&["logout", "--wipe"]).ended(5);
    assert!(refused.stdout.contains("Only here"), "{}", refused.stdout);
    assert!(
        refused.stderr.contains("--force") && !refused.stderr.contains("Only here"),
        "{}",
        refused.stderr
    );
    let refused = place.run(&["logout", "--wipe", "--json"]).ended(5).json();
    assert_eq!((&refused["wiped"], &refused["pending"][0]["op"]), (&json!(false), &json!("create")));
    place.run(&["login", "--replace"]).ended(5);
    assert_eq!(place.run(&["accounts", "--json"]).ended(0).json()[0]["signed_in"], true);
    assert_eq!(place.run(&["outbox", "--json"]).ended(0).json().as_array().unwrap().len(), 1);
    place.run(&["logout", "--force"]).ended(2);
    let wiped = place.run(&["logout", "--wipe", "--force"]).ended(0).stdout;
    assert!(wiped.contains("Only here") && wiped.contains("given up"), "{wiped}");
    assert!(!place.data_dir().join("anna/mirror.db").exists());
}

#[test]
fn a_group_that_does_not_allow_office_365_is_named_wherever_a_user_looks() {
    let (place, emulator) = synced("20");
    let config = config_of(&emulator.origin);
    std::fs::write(
        place.config_path(),
        config
            .replacen("[[account]]", "[[group]]\nname = \"closed\"\nallow_office365 = false\n[[account]]", 1)
            .replacen("name = \"anna\"", "name = \"anna\"\ngroup = \"closed\"", 1),
    )
    .unwrap();
    for (args, code) in [
        (["accounts"].as_slice(), 0),
        (&["login"], 5),
        (&["login", "--device-code"], 5),
        (&["sync"], 5),
        (&["doctor"], 0),
    ] {
        let ran = place.run(args).ended(code);
        let told = ran.stdout + &ran.stderr;
        assert!(
            told.contains("does not allow Office 365") && told.contains("administrator"),
            "{args:?}: {told}"
        );
        assert!(!told.contains("calmirror login") && !told.contains("asks for these permissions"), "{told}");
    }
    place.run(&["agenda"]).ended(0);
}

#[test]
fn an_application_that_is_refused_says_who_must_act_and_parks_no_edit() {
    let (place, emulator) = synced("20");
    let day = day_in(3);
    let (start, end) = (format!("{day}T09:00:00Z"), format!("{day}T10:00:00Z"));
    place.run(&["add", "--subject", "Waits", "--start", &start, "--end", &end]).ended(0);
    emulator.control("/tokens", &json!({"expire_access": true, "sign_in": {"registered": "web"}}));
    let ran = place.run(&["sync"]).ended(3);
    let told = ran.stdout + &ran.stderr;
    assert!(told.contains("Mobile and desktop applications") && told.contains("invalid_client"), "{told}");
    assert_eq!(told.matches("refuses this application").count(), 1, "asked once: {told}");
    let doctor = place.run(&["doctor"]).ended(1).stdout;
    assert!(doctor.contains("the tokens cannot be renewed"), "{doctor}");
    let outbox = place.run(&["outbox", "--json"]).ended(0).json();
    assert_eq!((&outbox[0]["state"], &outbox[0]["attempts"]), (&json!("waiting"), &json!(0)));
    emulator.control("/tokens", &json!({"sign_in": {"registered": "native"}}));
    let lines = place.run(&["sync", "--json"]).ended(0).json_lines();
    assert_eq!(lines.last().unwrap()["pushed"], 1);
}

#[test]
fn a_sign_in_beside_an_engine_says_what_to_do() {
    let (place, _emulator) = synced("20");
    let _lock = calmirror::system::EngineLock::take(&place.data_dir()).unwrap();
    for args in [["login", "--device-code"].as_slice(), &["logout"]] {
        let ran = place.run(args).ended(1);
        assert!(ran.stderr.contains("stop it, run this command again"), "{}", ran.stderr);
    }
}

#[cfg(unix)]
#[test]
fn a_bundle_names_no_account_in_the_path_of_an_open_token_store() {
    use std::os::unix::fs::PermissionsExt as _;
    let (place, _emulator) = synced("20");
    let tokens = place.data_dir().join("anna/tokens.enc");
    std::fs::set_permissions(&tokens, std::fs::Permissions::from_mode(0o644)).unwrap();
    let file = place.dir.path().join("bundle.json");
    let doctor = place.run(&["doctor", "--bundle", file.to_str().unwrap()]).ended(1).stdout;
    assert!(doctor.contains("chmod 600"), "{doctor}");
    let bundle = std::fs::read_to_string(&file).unwrap();
    assert!(bundle.contains("<data>/<account 0>/tokens.enc"), "{bundle}");
    assert!(!bundle.contains("anna") && !bundle.contains(place.data_dir().to_str().unwrap()), "{bundle}");
}

#[test]
fn doctor_names_what_is_wrong_and_what_to_do() {
    let place = Place::new(&config_of("http://127.0.0.1:9"));
    let checks = place.run(&["doctor", "--json"]).ended(1).json();
    let state = |checks: &Value, name: &str| {
        let all = checks["checks"].as_array().unwrap();
        let check = all.iter().find(|check| check["check"] == name).unwrap();
        assert_eq!(check["todo"].is_null(), check["state"] == "ok", "{check}");
        check["state"].as_str().unwrap().to_owned()
    };
    for (name, expected) in [
        ("config", "ok"),
        ("data_dir", "ok"),
        ("engine", "ok"),
        ("mirror", "warn"),
        ("tokens", "fail"),
        ("graph", "fail"),
        ("authority", "fail"),
    ] {
        assert_eq!(state(&checks, name), expected, "{name}");
    }
    std::fs::write(place.config_path(), "x = 1\n").unwrap();
    assert_eq!(state(&place.run(&["doctor", "--json"]).ended(1).json(), "config"), "fail");
}

#[test]
fn a_bundle_holds_no_subject_address_name_or_token() {
    let (place, _emulator) = synced("100");
    let file = place.dir.path().join("bundle.json");
    place.run(&["doctor", "--bundle", file.to_str().unwrap()]).ended(0);
    let bundle = std::fs::read_to_string(&file).unwrap();
    let read: Value = serde_json::from_str(&bundle).unwrap();
    assert!(read["accounts"][0]["calendars"][0]["events"].as_u64().is_some());
    let agenda = place.run(&["agenda", "--days", "60", "--json"]).ended(0).json();
    let mut secrets: Vec<String> = vec!["contoso".into(), "anna".into(), "Team".into()];
    for item in agenda["items"].as_array().unwrap() {
        secrets.extend(item["subject"].as_str().filter(|text| text.len() > 4).map(str::to_owned));
    }
    let tokens = FileVault::new(&place.data_dir(), "anna", Arc::new(NoKeyring)).load().unwrap().unwrap();
    secrets.extend([tokens.access, tokens.refresh.unwrap()].map(|token| token.expose().to_owned()));
    secrets.push(std::fs::read_to_string(place.data_dir().join("vault.key")).unwrap());
    for secret in secrets {
        assert!(!bundle.contains(&secret), "{secret}");
    }
}

#[test]
fn the_demo_shows_everything_and_leaves_nothing_behind() {
    let place = Place::new("broken = = toml");
    let human = place.run(&["demo"]).ended(0);
    for text in
        ["Sign in by device code", "First sync", "Stand-up", "network is cut", "equal", "What you saw"]
    {
        assert!(human.stdout.contains(text), "{text}: {}", human.stdout);
    }
    let lines = place.run(&["demo", "--json"]).ended(0).json_lines();
    assert_eq!(lines.last().unwrap()["event"], "done");
    let left: Vec<_> = std::fs::read_dir(place.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["config.toml"], "the demo must remove its directory");
}

#[test]
fn the_program_is_where_the_tests_look_for_it() {
    assert!(std::path::Path::new(PROGRAM).is_file());
}
