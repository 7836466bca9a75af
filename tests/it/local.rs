use std::sync::Arc;
use std::thread::JoinHandle;

use calmirror::api::Mirrors;
use calmirror::config::Config;
use calmirror::emulator::{Options, Running, Seeding, Source, serve};
use calmirror::engine::{Edges, Engine, Handle, OtherMailbox, SyncOrder};
use calmirror::http::HttpClient;
use calmirror::local::{Announcement, Door, Listen};
use calmirror::ports::Clock;
use calmirror::system::{SystemClock, SystemEntropy};
use calmirror::vault::NoKeyring;
use calmirror::zones::Zones;
use serde_json::Value;

use crate::stage::{HttpReply, config_of, speak};

/// An engine that watches, its door, and the emulator it watches.
pub struct House {
    pub announcement: Announcement,
    pub handle: Handle,
    config: Config,
    watching: Option<JoinHandle<()>>,
    running: Option<Running>,
    emulator: tokio::runtime::Runtime,
    pub _dir: tempfile::TempDir,
}

impl House {
    pub fn open() -> House {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let emulator =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let seeding = Seeding { seed: 3, events: 60, now_ms: clock.now_ms() };
        let options = Options {
            listen: "127.0.0.1:0".parse().unwrap(),
            source: Source::Seeded(seeding),
            clock: clock.clone(),
        };
        let running = emulator.block_on(serve(options)).unwrap();
        let config = Config::parse(&config_of(&running.origin())).unwrap();
        let edges = Edges {
            http: HttpClient::new().unwrap(),
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
            keyring: Arc::new(NoKeyring),
        };
        let mut engine = Engine::open(config.clone(), dir.path(), edges).unwrap();
        engine.sign_in("anna", OtherMailbox::Refuse, &mut |_| {}).unwrap();
        engine.sync("anna", &SyncOrder::default(), &mut |_| {}).unwrap();
        let mirrors = Mirrors::new(config.clone(), dir.path().to_path_buf(), clock, Zones::bundled(), None);
        let handle = engine.handle();
        let door = engine
            .runtime()
            .block_on(Door::open(Listen::default(), Arc::new(mirrors), handle.clone()))
            .unwrap();
        let announcement = Announcement::read(dir.path()).unwrap().unwrap();
        assert_eq!(&announcement, door.announcement());
        let watching = std::thread::spawn(move || {
            engine.watch(&mut |_| {}).unwrap();
            engine.runtime().block_on(door.close());
        });
        House {
            announcement,
            handle,
            config,
            watching: Some(watching),
            running: Some(running),
            emulator,
            _dir: dir,
        }
    }

    /// The same mirrors as another process has them.
    pub fn mirrors(&self) -> Mirrors {
        Mirrors::new(
            self.config.clone(),
            self._dir.path().to_path_buf(),
            Arc::new(SystemClock),
            Zones::bundled(),
            None,
        )
    }

    pub fn ask(&self, verb: &str, path: &str, headers: &[(&str, &str)]) -> HttpReply {
        let mut request = format!("{verb} {path} HTTP/1.1\r\nconnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        speak(&self.announcement.address.to_string(), &request)
    }

    /// The same, whatever is answered.
    pub fn raw(&self, verb: &str, path: &str) -> HttpReply {
        let host = self.announcement.address.to_string();
        let token = format!("Bearer {}", self.announcement.token.expose());
        self.ask(verb, path, &[("host", &host), ("authorization", &token), ("content-length", "0")])
    }

    /// As a program that may ask.
    pub fn may(&self, verb: &str, path: &str) -> (u16, Value) {
        let host = self.announcement.address.to_string();
        let token = format!("Bearer {}", self.announcement.token.expose());
        let reply =
            self.ask(verb, path, &[("host", &host), ("authorization", &token), ("content-length", "0")]);
        assert!(reply.head.contains("cache-control: no-store"), "{}", reply.head);
        let kind = if reply.status == 200 { "application/json" } else { "application/problem+json" };
        assert!(reply.head.contains(&format!("content-type: {kind}")), "{}", reply.head);
        (reply.status, serde_json::from_str(&reply.body).unwrap())
    }
}

impl House {
    /// A link to the page, as a program gets it.
    pub fn link(&self) -> String {
        self.may("POST", "/v1/page/link").1["link"].as_str().unwrap().to_owned()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(watching) = self.watching.take() {
            watching.join().unwrap();
        }
        if let Some(running) = self.running.take() {
            self.emulator.block_on(running.stop());
        }
    }
}

#[test]
fn strangers_are_turned_away_before_anything_is_answered() {
    let house = House::open();
    let host = house.announcement.address.to_string();
    let token = format!("Bearer {}", house.announcement.token.expose());
    let good = [("host", host.as_str()), ("authorization", token.as_str())];
    type Row<'r> = (&'r str, Vec<(&'r str, &'r str)>, u16, &'r str);
    let rows: Vec<Row<'_>> = vec![
        ("no token", vec![good[0]], 401, "no_token"),
        ("a wrong token", vec![good[0], ("authorization", "Bearer 00")], 401, "no_token"),
        ("a foreign host", vec![("host", "evil.example"), good[1]], 421, "foreign_host"),
        (
            "a foreign page with the token",
            vec![good[0], good[1], ("origin", "https://evil.example")],
            403,
            "foreign_origin",
        ),
    ];
    for (name, headers, status, kind) in rows {
        // Also where there is nothing: whoever may not ask does not learn what exists.
        for path in ["/v1/status", "/v1/nothing"] {
            let reply = house.ask("GET", path, &headers);
            assert_eq!(reply.status, status, "{name}");
            let problem: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(problem["kind"], kind, "{name}");
            assert_eq!(problem["status"], status, "{name}");
        }
    }
    assert_eq!(house.ask("GET", "/v1/status", &good).status, 200);
}

#[test]
fn every_question_of_the_program_is_answered_in_the_same_words() {
    let house = House::open();
    let (status, agenda) = house.may("GET", "/v1/agenda?days=60&tz=America%2FNew_York");
    assert_eq!(status, 200);
    assert_eq!(agenda["time_zone"], "America/New_York");
    let items = agenda["items"].as_array().unwrap();
    assert!(!items.is_empty());
    let id = items[0]["id"].as_str().unwrap();
    assert_eq!(house.may("GET", &format!("/v1/events/{id}")).1["id"], id);
    let calendar = items[0]["calendar"].as_str().unwrap();
    let (_, of_one) = house.may("GET", &format!("/v1/agenda?days=60&calendar={calendar}"));
    assert!(of_one["items"].as_array().unwrap().iter().all(|item| item["calendar"] == calendar));
    assert_eq!(house.may("GET", "/v1/agenda?next=2").1["items"].as_array().unwrap().len(), 2);
    for path in ["/v1/free?hours=inside&min=30m", "/v1/busy", "/v1/search?text=review"] {
        assert!(house.may("GET", path).1["items"].is_array(), "{path}");
    }
    let (_, changes) = house.may("GET", "/v1/changes?since=0&limit=5");
    assert_eq!(changes.as_array().unwrap().len(), 5);
    let (_, status) = house.may("GET", "/v1/status");
    assert_eq!(status["accounts"][0]["name"], "anna");
    assert_eq!(status["engine"]["running"], true);
}

#[test]
fn a_sync_is_asked_of_the_engine_and_waited_for() {
    let house = House::open();
    let (status, done) = house.may("POST", "/v1/sync?full=true");
    assert_eq!((status, &done["event"], &done["weather"]), (200, &"done".into(), &Value::Null));
    house.running.as_ref().unwrap().with(|world| world.set_network_down(true));
    let (status, done) = house.may("POST", "/v1/sync");
    assert_eq!(status, 200);
    assert!(done["weather"]["kind"].is_string(), "{done}");
    assert_eq!(house.may("GET", "/v1/agenda").0, 200);
}

#[test]
fn wrong_questions_are_problems_with_a_stable_kind() {
    let house = House::open();
    for (verb, path, status, kind) in [
        ("GET", "/v1/agenda?bogus=1", 400, "usage"),
        ("GET", "/v1/agenda?day=x", 400, "usage"),
        ("GET", "/v1/agenda?day=2026-01-01&from=2026-01-01", 400, "usage"),
        ("GET", "/v1/agenda?from=2026-01-02&to=2026-01-01", 400, "usage"),
        ("GET", "/v1/agenda?tz=Mars", 400, "usage"),
        ("GET", "/v1/agenda?next=-1", 400, "usage"),
        ("GET", "/v1/agenda?account=carl", 400, "usage"),
        ("GET", "/v1/agenda?calendar=none", 404, "not_found"),
        ("GET", "/v1/events/ffffffffffffffffffffffffffffffff", 404, "not_found"),
        ("GET", "/v1/search", 400, "usage"),
        ("GET", "/v1/free?min=x", 400, "usage"),
        ("GET", "/v1/free?hours=outside", 400, "usage"),
        ("GET", "/v1/changes?since=x", 400, "usage"),
        ("GET", "/v1/changes?since=-1", 400, "usage"),
        ("GET", "/v1/search?text=x&limit=0", 400, "usage"),
        ("POST", "/v1/sync?calendar=x", 400, "usage"),
        ("POST", "/v1/agenda", 405, "usage"),
        ("GET", "/v1/sync", 405, "usage"),
        // These belong to later versions: absent, not pretended.
        ("GET", "/v1/stream?since=x", 400, "usage"),
        ("GET", "/v1/stream?day=today", 400, "usage"),
        ("GET", "/v1/stream?account=carl", 400, "usage"),
        ("POST", "/v1/stream", 405, "usage"),
        ("GET", "/v1/presence?at=never", 400, "usage"),
        ("GET", "/v1/presence/override", 405, "usage"),
        ("POST", "/v1/presence/commands/x/ack", 400, "usage"),
        ("POST", "/openapi.json", 405, "usage"),
    ] {
        let (found, problem) = house.may(verb, path);
        assert_eq!((found, problem["kind"].as_str().unwrap()), (status, kind), "{verb} {path}: {problem}");
    }
}

#[test]
fn a_door_that_closes_takes_its_announcement_with_it() {
    let house = House::open();
    let dir = house._dir.path().to_path_buf();
    assert!(Announcement::read(&dir).unwrap().is_some());
    house.handle.stop();
    let mut house = house;
    house.watching.take().unwrap().join().unwrap();
    assert!(Announcement::read(&dir).unwrap().is_none());
}
