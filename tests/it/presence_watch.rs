//! Presence kept by a running engine: emulator, local API and programs are real, the clock is turned by hand.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use calmirror::api::{Act, AddCall, ChooseCall, FieldsCall, Mirrors};
use calmirror::config::{Config, ConfigFile};
use calmirror::emulator::{Options, Running, Source, World, serve};
use calmirror::engine::{
    Edges, Engine, Handle, Hint, OtherMailbox, PresenceTick, ReminderTick, Seen, SyncOrder, WatchReport,
};
use calmirror::http::HttpClient;
use calmirror::local::{Announcement, Door, Listen};
use calmirror::ports::{Clock, Pending};
use calmirror::system::SystemEntropy;
use calmirror::vault::NoKeyring;
use calmirror::zones::Zones;
use serde_json::{Value, json};

use crate::stage::{HttpReply, config_of, speak};

/// The longest that anything is waited for; nothing is expected to take it.
const PATIENCE: Duration = Duration::from_secs(15);

/// While time flows, a second passes when nothing happened for so long; and no more than so many.
const BREATH: Duration = Duration::from_millis(50);
const FLOW_SECONDS_MAX: u64 = 300;

const POLICY: &str = r#"
base_profile = "AVAIL"
working_hours = { days = ["mon","tue","wed","thu","fri"], start = "08:00", end = "17:00" }
profile = [
  { name = "AVAIL", availability = "available" },
  { name = "BUSY", availability = "busy", forwarding = { target = "voicemail" } },
  { name = "OOF", availability = "out_of_office", forwarding = { target = "200" } },
]
rule = [{ name = "free", when = { show_as = ["free"] }, ignore = true }, { name = "rest", profile = "BUSY" }]
"#;

/// Shows what a test turned it to. While it is held, who sleeps on it wakes by that alone.
struct HandClock {
    now: tokio::sync::watch::Sender<i64>,
    is_held: AtomicBool,
}

impl Clock for HandClock {
    fn now_ms(&self) -> i64 {
        *self.now.borrow()
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        Box::pin(async move {
            if !self.is_held.load(Ordering::SeqCst) {
                let by_ms = i64::try_from(duration.as_millis()).unwrap();
                self.now.send_modify(|now_ms| *now_ms += by_ms);
                return tokio::task::yield_now().await;
            }
            let mut now = self.now.subscribe();
            let until_ms = self.now_ms() + i64::try_from(duration.as_millis()).unwrap();
            now.wait_for(|now_ms| *now_ms >= until_ms).await.unwrap();
        })
    }

    /// As a system that tells when its clock is set.
    fn until(&self, at_ms: i64) -> Pending<'_, bool> {
        Box::pin(async move {
            let mut now = self.now.subscribe();
            let from_ms = self.now_ms();
            let now_ms = *now.wait_for(|now_ms| *now_ms >= at_ms || *now_ms < from_ms).await.unwrap();
            now_ms < from_ms || now_ms > at_ms + 10_000
        })
    }
}

/// A time of the 10th of March 2026 in Berlin.
fn at_ms(clock: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(&format!("2026-03-10T{clock}:00+01:00")).unwrap().timestamp_millis()
}

fn event(subject: &str, start: &str, end: &str) -> Value {
    let at = |clock| json!({"dateTime": format!("2026-03-10T{clock}:00"), "timeZone": "Europe/Berlin"});
    json!({"subject": subject, "start": at(start), "end": at(end), "showAs": "busy", "isReminderOn": false})
}

/// A synced mailbox, and what is needed to watch it.
struct House {
    clock: Arc<HandClock>,
    dir: tempfile::TempDir,
    text: String,
    config: Config,
    running: Option<Running>,
    emulator: tokio::runtime::Runtime,
}

/// An engine that watches.
struct Watching {
    handle: Handle,
    announcement: Announcement,
    ticks: Receiver<(String, PresenceTick)>,
    reminders: Receiver<ReminderTick>,
    thread: JoinHandle<WatchReport>,
}

impl House {
    /// `more` is the rest of the configuration; `{program}` in it names the program that keeps its commands.
    fn open(now: &str, events: &[Value], more: &str) -> House {
        House::open_with(now, events, more, |text| text)
    }

    /// The same with a configuration that was changed first.
    fn open_with(now: &str, events: &[Value], more: &str, change: impl Fn(String) -> String) -> House {
        let dir = tempfile::tempdir().unwrap();
        // Signing in takes a while.
        let clock = tokio::sync::watch::Sender::new(at_ms(now) - 600_000);
        let clock = Arc::new(HandClock { now: clock, is_held: AtomicBool::new(false) });
        let emulator =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mailbox = json!({
            "users": [{
                "name": "Anna Albrecht", "address": "anna@contoso.example", "time_zone": "W. Europe Standard Time",
                "calendars": [{"name": "Calendar", "default": true, "events": events}],
            }],
            "quirks": "tame",
        });
        let source = Source::Document { text: mailbox.to_string(), seed: 1 };
        let options = Options { listen: "127.0.0.1:0".parse().unwrap(), source, clock: clock.clone() };
        let running = emulator.block_on(serve(options)).unwrap();
        let program = dir.path().join("telephone");
        let log = dir.path().join("log");
        write_program(&program, &format!("cat >> {}", log.display()));
        let text = format!("{}{POLICY}{more}", config_of(&running.origin()))
            .replace("{program}", &program.display().to_string());
        let text = change(text);
        let config = Config::parse(&text).unwrap();
        let house = House { clock, dir, text, config, running: Some(running), emulator };
        let mut engine = house.engine();
        for account in &house.config.accounts {
            engine.sign_in(&account.name, OtherMailbox::Refuse, &mut |_| {}).unwrap();
            let report = engine.sync(&account.name, &SyncOrder::default(), &mut |_| {}).unwrap();
            assert_eq!(report.weather, None);
        }
        drop(engine);
        house.clock.is_held.store(true, Ordering::SeqCst);
        house.turn(now);
        house
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn engine(&self) -> Engine {
        let edges = Edges {
            http: HttpClient::new().unwrap(),
            clock: self.clock.clone(),
            entropy: Arc::new(SystemEntropy),
            keyring: Arc::new(NoKeyring),
        };
        Engine::open(self.config.clone(), &self.data_dir(), edges).unwrap()
    }

    fn emulated<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        self.running.as_ref().unwrap().with(act)
    }

    fn mirrors(&self) -> Mirrors {
        Mirrors::new(self.config.clone(), self.data_dir(), self.clock.clone(), Zones::bundled(), None)
    }

    fn watch(&self) -> Watching {
        self.watch_with(self.engine())
    }

    fn watch_with(&self, mut engine: Engine) -> Watching {
        let handle = engine.handle();
        let door = Door::open(
            Listen::default(),
            Arc::new(self.mirrors().following(engine.config())),
            handle.clone(),
        );
        let door = engine.runtime().block_on(door).unwrap();
        let announcement = door.announcement().clone();
        let (tell, ticks) = channel();
        let (remind, reminders) = channel();
        let thread = std::thread::spawn(move || {
            let report = engine.watch(&mut |seen| match seen {
                Seen::Presence(account, tick) => {
                    let _nobody_listens = tell.send((account.to_owned(), tick.clone()));
                }
                Seen::Reminder(_, tick) => {
                    let _nobody_listens = remind.send(tick.clone());
                }
                Seen::Progress(..) | Seen::Done(..) | Seen::SignIn(..) => {}
            });
            drop(door);
            report.unwrap()
        });
        Watching { handle, announcement, ticks, reminders, thread }
    }

    fn turn(&self, clock: &str) {
        self.clock.now.send_replace(at_ms(clock));
    }

    /// Lets time pass, second by second, until an evaluation shows `profile`. Answers how many seconds that took.
    #[track_caller]
    fn flows_until(&self, watching: &Watching, profile: &str) -> u64 {
        for seconds in 0..FLOW_SECONDS_MAX {
            match watching.ticks.recv_timeout(BREATH) {
                Ok((_, tick)) if tick.profile == profile => return seconds,
                Ok(_) => {}
                Err(_) => self.clock.now.send_modify(|now_ms| *now_ms += 1_000),
            }
        }
        panic!("nothing shows {profile}");
    }

    /// The commands the telephone got on a channel.
    fn got(&self, channel: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let commands = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let commands = commands.filter(|command| command["channel"] == channel);
        commands.map(|command| said(&command)).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.emulator.block_on(running.stop());
        }
    }
}

impl Watching {
    /// Waits until an evaluation of `account` shows `profile`.
    #[track_caller]
    fn shows(&self, account: &str, profile: &str) -> PresenceTick {
        loop {
            let (of, tick) = self.ticks.recv_timeout(PATIENCE).expect(profile);
            if of == account && tick.profile == profile && tick.is_changed {
                return tick;
            }
        }
    }

    /// Waits until an evaluation sends something on a channel; answers what became of it.
    #[track_caller]
    fn sends(&self, account: &str, channel: &str) -> &'static str {
        loop {
            let (of, tick) = self.ticks.recv_timeout(PATIENCE).expect(channel);
            let sent = tick.sent.iter().find(|sent| of == account && sent.channel.code() == channel);
            if let Some(sent) = sent {
                return sent.state;
            }
        }
    }

    fn ask(&self, verb: &str, path: &str, body: &str) -> HttpReply {
        let Announcement { address, token, .. } = &self.announcement;
        let (token, length) = (token.expose(), body.len());
        let request = format!(
            "{verb} {path} HTTP/1.1\r\nconnection: close\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        speak(&address.to_string(), &request)
    }

    fn stop(self) -> WatchReport {
        self.handle.stop();
        self.thread.join().unwrap()
    }
}

fn said(command: &Value) -> String {
    let set = &command["set"];
    let value = ["target", "profile", "text"].iter().find_map(|name| set[name].as_str());
    let release = if command["release"] == true { " release" } else { "" };
    format!("{}{release}", value.unwrap_or("null"))
}

fn write_program(path: &Path, body: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
}

const TELEPHONE: &str = "actuator = [{ channels = [\"forwarding\", \"presence\"], kind = \"command\", program = [\"{program}\"] }]\n";

#[test]
fn reminders_come_when_they_are_due_after_a_sleep_in_one_list_and_never_twice() {
    let with_reminder = |mut event: Value, minutes: i64| {
        event["isReminderOn"] = json!(true);
        event["reminderMinutesBeforeStart"] = json!(minutes);
        event
    };
    let events = [
        with_reminder(event("First", "10:00", "11:00"), 15),
        with_reminder(event("Second", "10:30", "13:00"), 15),
        with_reminder(event("Third", "12:00", "13:00"), 0),
    ];
    let house = House::open("09:30", &events, TELEPHONE);
    let watching = house.watch();
    let due = |watching: &Watching| -> Vec<i64> {
        let tick = watching.reminders.recv_timeout(PATIENCE).expect("a reminder");
        tick.due.iter().map(|(_, due_ms)| *due_ms).collect()
    };
    watching.shows("anna", "AVAIL");
    house.turn("09:45");
    assert_eq!(due(&watching), [at_ms("09:45")]);
    // It slept, and is itself again.
    house.turn("12:00");
    assert_eq!(due(&watching), [at_ms("10:15"), at_ms("12:00")]);
    watching.shows("anna", "BUSY");
    watching.stop();
    let again = house.watch();
    house.turn("13:00");
    again.shows("anna", "AVAIL");
    again.handle.stop();
    again.thread.join().unwrap();
    assert_eq!(again.reminders.try_iter().count(), 0, "none is told twice");
}

#[test]
fn a_meeting_forwards_at_its_start_and_gives_back_at_its_end_without_anybody_asking() {
    let house = House::open("09:30", &[event("Quarterly", "10:00", "11:00")], TELEPHONE);
    let watching = house.watch();
    watching.shows("anna", "AVAIL");
    house.turn("09:59");
    house.turn("10:00");
    watching.shows("anna", "BUSY");
    assert_eq!(house.got("forwarding"), ["voicemail"]);
    house.turn("11:00");
    watching.shows("anna", "AVAIL");
    assert_eq!(house.got("forwarding"), ["voicemail", "none release"]);
    assert_eq!(house.got("presence"), ["AVAIL", "BUSY", "AVAIL"]);
    let report = watching.stop();
    assert!(report.evaluations >= 3, "{report:?}");
    assert_eq!(house.got("forwarding").len(), 2, "nothing is left to be given back");
}

#[test]
fn an_appointment_that_another_process_adds_switches_at_once_and_offline() {
    let house = House::open("10:10", &[], TELEPHONE);
    let watching = house.watch();
    watching.shows("anna", "AVAIL");
    house.emulated(|world| world.set_network_down(true));
    let fields = FieldsCall {
        subject: Some("Called in".to_owned()),
        start: Some("2026-03-10T10:00".to_owned()),
        end: Some("2026-03-10T11:00".to_owned()),
        ..FieldsCall::default()
    };
    let add = Act::Add(AddCall { fields, tz: Some("Europe/Berlin".to_owned()), ..AddCall::default() });
    house.mirrors().act(Some("anna"), &add).unwrap();
    assert_eq!(watching.ask("POST", "/v1/outbox", "").status, 202);
    // What is edited together is evaluated together: two seconds later.
    house.flows_until(&watching, "BUSY");
    assert_eq!(house.got("forwarding"), ["voicemail"]);
    watching.stop();
}

#[test]
fn a_choice_by_hand_in_another_process_counts_at_once() {
    let house = House::open("10:10", &[event("Quarterly", "10:00", "11:00")], TELEPHONE);
    let watching = house.watch();
    watching.shows("anna", "BUSY");
    let choice = ChooseCall { profile: "AVAIL".to_owned(), ..ChooseCall::default() };
    house.mirrors().act(Some("anna"), &Act::Choose(choice)).unwrap();
    assert_eq!(watching.ask("POST", "/v1/presence", "").status, 202);
    watching.shows("anna", "AVAIL");
    assert_eq!(house.got("forwarding"), ["voicemail", "none release"]);
    assert_eq!(watching.ask("DELETE", "/v1/presence/override", "").status, 200);
    watching.shows("anna", "BUSY");
    watching.stop();
}

#[test]
fn a_stop_gives_the_forwarding_back_and_a_start_in_the_meeting_takes_it_again() {
    let house = House::open("10:10", &[event("Quarterly", "10:00", "11:00")], TELEPHONE);
    let watching = house.watch();
    watching.shows("anna", "BUSY");
    watching.stop();
    assert_eq!(house.got("forwarding"), ["voicemail", "none release"]);
    let watching = house.watch();
    assert_eq!(watching.sends("anna", "forwarding"), "applied");
    house.turn("11:00");
    watching.shows("anna", "AVAIL");
    watching.stop();
    assert_eq!(house.got("forwarding"), ["voicemail", "none release", "voicemail", "none release"]);
    assert_eq!(house.got("presence"), ["BUSY", "AVAIL"]);
}

#[test]
fn a_stop_that_keeps_leaves_the_release_to_the_next_start() {
    let more = format!("on_shutdown = \"keep\"\n{TELEPHONE}");
    let house = House::open("10:10", &[event("Quarterly", "10:00", "11:00")], &more);
    let watching = house.watch();
    watching.shows("anna", "BUSY");
    watching.stop();
    house.turn("12:00");
    assert_eq!(house.got("forwarding"), ["voicemail"]);
    let watching = house.watch();
    watching.shows("anna", "AVAIL");
    watching.stop();
    assert_eq!(house.got("forwarding"), ["voicemail", "none release"]);
}

#[test]
fn what_the_host_is_to_do_is_shown_until_it_is_acknowledged() {
    let more = "actuator = [{ channels = [\"forwarding\"], kind = \"host\" }]\n";
    let house = House::open("10:10", &[event("Quarterly", "10:00", "11:00")], more);
    let watching = house.watch();
    assert_eq!(watching.sends("anna", "forwarding"), "handed");
    let shown: Value = serde_json::from_str(&watching.ask("GET", "/v1/presence", "").body).unwrap();
    assert_eq!(said(&shown["commands"][0]), "voicemail", "{shown}");
    let id = shown["commands"][0]["id"].as_str().unwrap();
    let acknowledged = watching.ask("POST", &format!("/v1/presence/commands/{id}/ack"), "{\"applied\":true}");
    assert_eq!(acknowledged.status, 200, "{}", acknowledged.body);
    let shown: Value = serde_json::from_str(&watching.ask("GET", "/v1/presence", "").body).unwrap();
    assert_eq!(shown["commands"], json!([]));
    house.turn("11:00");
    assert_eq!(watching.sends("anna", "forwarding"), "handed");
    let shown: Value = serde_json::from_str(&watching.ask("GET", "/v1/presence", "").body).unwrap();
    assert_eq!(said(&shown["commands"][0]), "none release", "{shown}");
    watching.stop();
}

#[test]
fn a_program_that_hangs_delays_its_own_account_alone() {
    let house = House::open("09:50", &[event("Quarterly", "10:00", "11:00")], TELEPHONE);
    let hanging = house.dir.path().join("hanging");
    write_program(&hanging, "read line\ncase $line in *'\"release\":true'*) exit 0;; esac\nexec sleep 600");
    let mut house = house;
    let text = format!(
        "{}[[account]]\nname = \"stuck\"\n[account.presence]\n\
         actuator = [{{ channels = [\"forwarding\"], kind = \"command\", program = [\"{}\"], timeout = \"60s\" }}]\n",
        house.text,
        hanging.display()
    );
    house.config = Config::parse(&text).unwrap();
    house.clock.is_held.store(false, Ordering::SeqCst);
    let mut engine = house.engine();
    engine.sign_in("stuck", OtherMailbox::Refuse, &mut |_| {}).unwrap();
    engine.sync("stuck", &SyncOrder::default(), &mut |_| {}).unwrap();
    house.clock.is_held.store(true, Ordering::SeqCst);
    house.turn("09:59");
    let watching = house.watch_with(engine);
    watching.shows("anna", "AVAIL");
    house.turn("10:00");
    watching.shows("anna", "BUSY");
    house.turn("11:00");
    watching.shows("anna", "AVAIL");
    assert_eq!(house.got("forwarding"), ["voicemail", "none release"]);
    // The one that hangs is ended by the stop.
    watching.stop();
}

#[test]
fn what_happened_while_the_machine_slept_is_settled_by_what_is_so_now() {
    let house =
        House::open("09:50", &[event("Early", "10:00", "10:30"), event("Late", "11:00", "12:00")], TELEPHONE);
    let watching = house.watch();
    watching.shows("anna", "AVAIL");
    house.turn("10:40");
    watching.handle.hint(Hint::Resumed);
    // Missed entirely: nothing was forwarded.
    house.turn("11:20");
    watching.shows("anna", "BUSY");
    assert_eq!(house.got("forwarding"), ["voicemail"]);
    // A clock that is put back far is believed.
    house.turn("10:50");
    watching.handle.hint(Hint::PresenceChanged);
    watching.shows("anna", "AVAIL");
    house.turn("12:30");
    watching.handle.hint(Hint::Resumed);
    watching.stop();
    assert_eq!(house.got("forwarding"), ["voicemail", "none release"]);
}

#[test]
fn an_automatic_reply_of_the_mailbox_counts_once_it_was_asked_for() {
    let asked = |house: &House| {
        house.emulated(|world| world.log().filter(|seen| seen.target.contains("mailboxSettings")).count())
    };
    // Without the permission nobody asks.
    let house = House::open("09:30", &[], TELEPHONE);
    assert_eq!(asked(&house), 0);
    let scopes = "scopes = [\"User.Read\", \"Calendars.ReadWrite\", \"MailboxSettings.Read\"]\n[[account]]\nname = \"anna\"";
    let house = House::open_with("09:30", &[], TELEPHONE, |text| {
        text.replace("[[account]]\nname = \"anna\"", scopes)
    });
    let watching = house.watch();
    watching.shows("anna", "AVAIL");
    assert_eq!(asked(&house), 1);
    house.emulated(|world| {
        let always = json!({"automaticRepliesSetting": {"status": "alwaysEnabled"}});
        world.set_mailbox_settings(0, &always).unwrap();
    });
    house.turn("10:31");
    watching.shows("anna", "OOF");
    assert_eq!(house.got("forwarding"), ["200"]);
    let why: Value = serde_json::from_str(&watching.ask("GET", "/v1/presence/why", "").body).unwrap();
    assert_eq!(why["segment"]["reason"]["layer"], "mailbox", "{why}");
    house.emulated(|world| {
        let off = json!({"automaticRepliesSetting": {"status": "disabled"}});
        world.set_mailbox_settings(0, &off).unwrap();
    });
    house.turn("11:40");
    watching.shows("anna", "AVAIL");
    assert_eq!(house.got("forwarding"), ["200", "none release"]);
    watching.stop();
}

#[test]
fn an_edited_policy_counts_live_and_a_broken_one_changes_nothing() {
    let house = House::open("10:10", &[event("Quarterly", "10:00", "11:00")], TELEPHONE);
    let path = house.dir.path().join("config.toml");
    std::fs::write(&path, &house.text).unwrap();
    let mut engine = house.engine();
    engine.follow(ConfigFile::new(&path));
    let watching = house.watch_with(engine);
    watching.shows("anna", "BUSY");
    std::fs::write(&path, house.text.replace("profile = \"BUSY\" }]", "profile = \"OOF\" }]")).unwrap();
    watching.handle.hint(Hint::PresenceChanged);
    watching.shows("anna", "OOF");
    let shown: Value = serde_json::from_str(&watching.ask("GET", "/v1/presence", "").body).unwrap();
    assert_eq!(shown["profile"], "OOF", "the door follows too");
    std::fs::write(&path, "[presence]\nenabld = true\n").unwrap();
    watching.handle.hint(Hint::PresenceChanged);
    house.turn("11:00");
    watching.shows("anna", "AVAIL");
    assert_eq!(house.got("forwarding"), ["voicemail", "200", "none release"]);
    let status: Value = serde_json::from_str(&watching.ask("GET", "/v1/status", "").body).unwrap();
    assert!(status["engine"]["config_problem"].as_str().unwrap().contains("line 2"), "{status}");
    std::fs::write(&path, house.text.replace("base_profile = \"AVAIL\"", "base_profile = \"OOF\"")).unwrap();
    watching.handle.hint(Hint::PresenceChanged);
    watching.shows("anna", "OOF");
    watching.stop();
}
