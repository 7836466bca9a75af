//! The engine whole: lock, sign-in, sync, watching, on the emulator in memory and a clock that only moves when
//! somebody waits.

use std::sync::{Arc, Mutex};

use calmirror::api::ErrorKind;
use calmirror::config::Config;
use calmirror::emulator::{InMemory, Quirks, RequestKind, Rule, Seeding, What, World};
use calmirror::engine::{Edges, Engine, Hint, OtherMailbox, Seen, SyncOrder, Weather};
use calmirror::ports::Clock;
use calmirror::sim::{SeededEntropy, VirtualClock};
use calmirror::vault::NoKeyring;

const NOW_MS: i64 = 1_772_438_400_000;
const HOUR_MS: i64 = 3_600_000;

struct House {
    server: InMemory,
    clock: Arc<VirtualClock>,
    dir: tempfile::TempDir,
}

impl House {
    fn new() -> House {
        let clock = Arc::new(VirtualClock::at(NOW_MS));
        let mut world = World::seeded(Seeding { seed: 11, events: 60, now_ms: NOW_MS });
        world.set_quirks(Quirks {
            deny_shared_page_two: false,
            empty_first_page_rate: 0.0,
            ..Quirks::default()
        });
        House { server: InMemory::new(world, clock.clone()), clock, dir: tempfile::tempdir().unwrap() }
    }

    fn config(&self, group: &str) -> Config {
        let text = format!(
            r#"
            [[graph_app]]
            display_name = "App"
            application_id = "00000000-0000-0000-0000-000000000000"
            directory_id = "contoso.example"
            graph_url = "https://graph.emulated.test"
            authority_url = "https://login.emulated.test"
            [[group]]
            name = "berlin"
            {group}
            [[account]]
            name = "anna"
            group = "berlin"
            source = "microsoft365"
            "#
        );
        Config::parse(&text).unwrap()
    }

    fn open(&self) -> Engine {
        self.try_open("method = \"client\"\nallow_office365 = true\ngraph_app = \"App\"").unwrap()
    }

    fn try_open(&self, group: &str) -> Result<Engine, calmirror::api::Error> {
        let edges = Edges {
            http: Arc::new(self.server.clone()),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::from_seed(3)),
            keyring: Arc::new(NoKeyring),
        };
        Engine::open(self.config(group), self.dir.path(), edges)
    }

    fn sign_in(&self, engine: &mut Engine) {
        let mut code = String::new();
        engine.sign_in("anna", OtherMailbox::Refuse, &mut |prompt| code = prompt.user_code.clone()).unwrap();
        assert!(!code.is_empty());
    }
}

fn sync(engine: &mut Engine) -> calmirror::engine::SyncReport {
    engine.sync("anna", &SyncOrder::default(), &mut |_| {}).unwrap()
}

#[test]
fn two_engines_cannot_own_one_data_directory() {
    let house = House::new();
    let _first = house.open();
    let second = house.try_open("method = \"client\"");
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Busy);
}

#[test]
fn without_a_sign_in_a_sync_says_so_and_asks_nobody() {
    let house = House::new();
    let mut engine = house.open();
    assert_eq!(sync(&mut engine).weather, Some(Weather::SignInNeeded));
    assert_eq!(house.server.with(|world| world.requests()), 0);
}

#[test]
fn a_sign_in_by_device_code_is_enough_for_a_sync_and_for_the_next_process() {
    let house = House::new();
    let mut engine = house.open();
    house.sign_in(&mut engine);
    let report = sync(&mut engine);
    assert_eq!((report.weather, report.done.failed), (None, 0));
    assert!(report.done.upserted >= 60, "{:?}", report.done);
    drop(engine);
    let mut engine = house.open();
    assert_eq!(sync(&mut engine).weather, None);
}

#[test]
fn an_expired_access_token_is_renewed_once_and_nobody_notices() {
    let house = House::new();
    let mut engine = house.open();
    house.sign_in(&mut engine);
    sync(&mut engine);
    let before = house.server.with(|world| world.count(RequestKind::Token));
    house.server.with(|world| world.expire_access_tokens());
    assert_eq!(sync(&mut engine).weather, None);
    assert_eq!(house.server.with(|world| world.count(RequestKind::Token)) - before, 1);
}

#[test]
fn a_revoked_sign_in_is_asked_for_once_and_the_mirror_goes_on() {
    let house = House::new();
    let mut engine = house.open();
    house.sign_in(&mut engine);
    sync(&mut engine);
    house.server.with(|world| {
        world.expire_access_tokens();
        world.revoke_refresh_tokens();
    });
    assert_eq!(sync(&mut engine).weather, Some(Weather::SignInNeeded));
    let tokens = house.server.with(|world| world.count(RequestKind::Token));
    assert_eq!(sync(&mut engine).weather, Some(Weather::SignInNeeded));
    assert_eq!(
        house.server.with(|world| world.count(RequestKind::Token)),
        tokens,
        "a refusal is not repeated"
    );
    let reader = calmirror::mirror::Reader::open(&house.dir.path().join("anna/mirror.db")).unwrap();
    assert!(reader.counts().unwrap().iter().any(|(_, events)| *events > 0));
    house.sign_in(&mut engine);
    assert_eq!(sync(&mut engine).weather, None);
}

#[test]
fn an_outage_never_signs_out() {
    let house = House::new();
    let mut engine = house.open();
    house.sign_in(&mut engine);
    sync(&mut engine);
    house.server.with(|world| {
        world.expire_access_tokens();
        world.set_network_down(true);
    });
    house.clock.turn(100 * HOUR_MS);
    assert!(matches!(sync(&mut engine).weather, Some(Weather::Unreachable(_))));
    house.server.with(|world| world.set_network_down(false));
    assert_eq!(sync(&mut engine).weather, None);
}

#[test]
fn a_policy_that_forbids_it_is_said_with_who_can_change_it() {
    let house = House::new();
    let cases = [
        ("method = \"off\"\nallow_office365 = true\ngraph_app = \"App\"", "method"),
        ("method = \"client\"\nallow_office365 = false\ngraph_app = \"App\"", "Office 365"),
    ];
    for (group, names) in cases {
        let mut engine = house.try_open(group).unwrap();
        let error = engine.sync("anna", &SyncOrder::default(), &mut |_| {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains(names) && error.to_string().contains("administrator"), "{error}");
    }
}

/// Watches until `hours` have passed on the virtual clock. Answers what was counted, and the requests.
fn watch(house: &House, engine: &mut Engine, hours: i64) -> (calmirror::engine::WatchReport, u64) {
    let (handle, clock) = (engine.handle(), house.clock.clone());
    let end_ms = clock.now_ms() + hours * HOUR_MS;
    let before = house.server.with(|world| world.requests());
    let has_stopped = Mutex::new(false);
    let report = engine
        .watch(&mut move |_: Seen<'_>| {
            let mut has_stopped = has_stopped.lock().unwrap();
            if clock.now_ms() >= end_ms && !*has_stopped {
                *has_stopped = true;
                handle.stop();
            }
        })
        .unwrap();
    (report, house.server.with(|world| world.requests()) - before)
}

#[test]
fn an_idle_hour_wakes_for_polls_alone() {
    let house = House::new();
    let mut engine = house.open();
    house.sign_in(&mut engine);
    sync(&mut engine);
    let calendars = house.server.with(|world| world.calendars(0).len()) as u64;
    let (report, requests) = watch(&house, &mut engine, 1);
    println!("idle hour, somebody looks: {report:?}, {requests} requests for {calendars} calendars");
    // Every 90 s, moved by at most a fifth; one wake-up a poll.
    assert!((33..=52).contains(&report.polls), "{report:?}");
    assert_eq!(report.wake_ups, report.polls);
    // One request a calendar and poll, and one listing of the calendars (two pages) an hour.
    assert!(requests <= report.polls * calendars + 4, "{requests}");
}

#[test]
fn a_hidden_idle_hour_polls_five_times() {
    let house = House::new();
    let mut engine = house.open();
    house.sign_in(&mut engine);
    sync(&mut engine);
    engine.handle().hint(Hint::Hidden(true));
    let (report, requests) = watch(&house, &mut engine, 1);
    println!("idle hour, nobody looks: {report:?}, {requests} requests");
    assert!((5..=8).contains(&report.polls), "{report:?}");
}

#[test]
fn failing_polls_become_rare_and_a_network_that_comes_up_is_noticed_at_once() {
    let house = House::new();
    let mut engine = house.open();
    house.sign_in(&mut engine);
    sync(&mut engine);
    house.server.with(|world| {
        world.add_fault(Rule::any(0, What::Status { status: 500, code: None, body: Default::default() }))
    });
    let (report, _) = watch(&house, &mut engine, 10);
    assert!((18..=35).contains(&report.polls), "{report:?}");
    house.server.with(World::clear_faults);
    engine.handle().hint(Hint::NetworkUp);
    let before_ms = house.clock.now_ms();
    let (report, _) = watch(&house, &mut engine, 0);
    assert!(report.polls >= 1 && house.clock.now_ms() - before_ms < HOUR_MS);
}

#[test]
fn a_stop_overtakes_a_sync_and_the_messages_that_wait() {
    let house = House::new();
    let mut engine = house.open();
    house.sign_in(&mut engine);
    let handle = engine.handle();
    for _ in 0..1_000 {
        handle.hint(Hint::Hidden(true));
    }
    handle.stop();
    assert_eq!(engine.watch(&mut |_| {}).unwrap().wake_ups, 0);
    // In the middle of a sync: the first page is the last thing seen, and the next sync goes on.
    let handle = engine.handle();
    let mut pages = 0;
    let stopped = engine.sync("anna", &SyncOrder::default(), &mut |progress| {
        if let calmirror::flow::Progress::Page { .. } = progress {
            pages += 1;
            handle.stop();
        }
    });
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Busy);
    assert!(pages <= 2, "{pages}");
    assert_eq!(sync(&mut engine).weather, None);
}

#[test]
fn a_clock_that_is_put_back_does_not_put_polls_off() {
    let house = House::new();
    let mut engine = house.open();
    house.sign_in(&mut engine);
    sync(&mut engine);
    let (handle, clock) = (engine.handle(), house.clock.clone());
    let mut done = 0;
    engine
        .watch(&mut move |seen| {
            let Seen::Done(account, _) = seen else { return };
            assert_eq!(account, "anna");
            done += 1;
            match done {
                1 => clock.turn(-30 * 24 * HOUR_MS),
                _ => handle.stop(),
            }
        })
        .unwrap();
    let late_ms = house.clock.now_ms() - (NOW_MS - 30 * 24 * HOUR_MS);
    assert!(late_ms < 2 * HOUR_MS, "{late_ms}");
}
