//! Mailboxes that are reached with an application's own permissions: many in one process, one token, one limit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use calmirror::api::ErrorKind;
use calmirror::config::Config;
use calmirror::emulator::{
    InMemory, Quirks, Registration, RequestKind, Rule, Seeding, SignIn, What, When, World,
};
use calmirror::engine::{Edges, Engine, MIRRORS_OPEN_MAX, Seen, SyncOrder, SyncReport, Weather};
use calmirror::mirror::Reader;
use calmirror::ports::Clock;
use calmirror::sim::SeededEntropy;
use calmirror::source::graph::{APPLICATION_IN_FLIGHT_MAX, THROTTLED_TOGETHER};
use calmirror::system::{SystemClock, write_private};
use calmirror::vault::NoKeyring;
use serde_json::json;

use crate::stage::{Emulator, Place};

const SECRET: &str = "a~secret.of-the_registration";
const CLIENT: &str = "11111111-2222-3333-4444-555555555555";

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/application").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// A company whose mailboxes one application may reach.
struct Company {
    server: InMemory,
    dir: tempfile::TempDir,
}

impl Company {
    fn new(users: usize, events: usize) -> Company {
        let clock = Arc::new(SystemClock);
        let mut world = World::company(Seeding { seed: 5, events, now_ms: clock.now_ms() }, users);
        world.set_quirks(Quirks::tame());
        let company = Company { server: InMemory::new(world, clock), dir: tempfile::tempdir().unwrap() };
        company.register(Some(SECRET), None);
        company.write_secret(SECRET);
        company
    }

    fn register(&self, secret: Option<&str>, certificate: Option<&str>) {
        let registration = Registration {
            client_id: CLIENT.to_owned(),
            secret: secret.map(str::to_owned),
            certificate: certificate.map(str::to_owned),
        };
        let sign_in = SignIn { applications: vec![registration], ..SignIn::default() };
        self.server.with(|world| world.set_sign_in(sign_in));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write_secret(&self, secret: &str) {
        // With the line end of an editor.
        write_private(&self.path("secret"), format!("{secret}\n").as_bytes()).unwrap();
    }

    fn config(&self, credential: &str, users: &[(String, String)]) -> Config {
        let mut text = format!(
            "[[graph_app]]\ndisplay_name = \"Server\"\napplication_id = \"{CLIENT}\"\ndirectory_id = \"contoso.example\"\n\
             graph_url = \"https://graph.emulated.test\"\nauthority_url = \"https://login.emulated.test\"\n{credential}\n\
             [[group]]\nname = \"all\"\nmethod = \"server\"\n"
        );
        for (account, user) in users {
            text.push_str(&format!("[[account]]\nname = \"{account}\"\nuser = \"{user}\"\n"));
        }
        let mut config = Config::parse(&text).unwrap();
        config.rebase(self.dir.path());
        config
    }

    fn open_with(&self, credential: &str, users: &[(String, String)]) -> Engine {
        let edges = Edges {
            http: Arc::new(self.server.clone()),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SeededEntropy::from_seed(3)),
            keyring: Arc::new(NoKeyring),
        };
        Engine::open(self.config(credential, users), &self.path("data"), edges).unwrap()
    }

    fn open(&self, users: usize) -> Engine {
        self.open_with("client_secret_file = \"secret\"", &accounts(users))
    }

    fn tokens(&self) -> u64 {
        self.server.with(|world| world.count(RequestKind::Token))
    }

    fn events(&self, account: &str) -> u64 {
        let reader = Reader::open(&self.path("data").join(account).join("mirror.db")).unwrap();
        reader.counts().unwrap().iter().map(|(_, events)| *events).sum()
    }
}

fn accounts(users: usize) -> Vec<(String, String)> {
    (0..users).map(|n| (format!("account{n}"), format!("user{n}@contoso.example"))).collect()
}

fn sync(engine: &mut Engine, account: &str) -> SyncReport {
    engine.sync(account, &SyncOrder::default(), &mut |_| {}).unwrap()
}

/// Watches until every one of `accounts` has ended a sync. Answers the order of their first ends, and each end.
fn first_round(engine: &mut Engine, accounts: usize) -> (Vec<String>, BTreeMap<String, SyncReport>) {
    let handle = engine.handle();
    let done = Mutex::new((Vec::new(), BTreeMap::new()));
    engine
        .watch(&mut |seen| {
            let Seen::Done(account, report) = seen else { return };
            let mut done = done.lock().unwrap();
            if done.1.insert(account.to_owned(), report.clone()).is_none() {
                done.0.push(account.to_owned());
            }
            if done.1.len() == accounts {
                handle.stop();
            }
        })
        .unwrap();
    done.into_inner().unwrap()
}

#[test]
fn two_hundred_mailboxes_are_mirrored_with_one_token_and_within_one_limit() {
    let company = Company::new(200, 3);
    company.server.with(|world| world.add_fault(Rule::any(0, What::Slow { ms: 2 })));
    let mut engine = company.open(200);
    let (_, ends) = first_round(&mut engine, 200);
    assert!(ends.values().all(|report| report.weather.is_none() && report.done.failed == 0));
    assert!(ends.values().all(|report| report.done.upserted >= 3));
    assert_eq!(company.tokens(), 1);
    let most = company.server.with(|world| world.in_flight_most());
    assert!((2..=APPLICATION_IN_FLIGHT_MAX as u32).contains(&most), "{most}");
    // Idle mirrors are closed: a closed one leaves no log beside it.
    let open = (0..200).filter(|n| company.path(&format!("data/account{n}/mirror.db-wal")).exists()).count();
    assert!(open <= MIRRORS_OPEN_MAX, "{open}");
}

#[test]
fn a_wrong_secret_is_said_once_with_who_must_act_and_a_corrected_one_is_used_at_once() {
    let company = Company::new(5, 3);
    company.write_secret("wrong~one");
    let mut engine = company.open(5);
    for n in 0..5 {
        let report = sync(&mut engine, &format!("account{n}"));
        let Some(Weather::ApplicationRefused { message }) = report.weather else { panic!("{report:?}") };
        assert!(message.contains("administrator") && message.contains("“Server”"), "{message}");
        assert!(message.contains("client_secret_file") && !message.contains("wrong~one"), "{message}");
    }
    assert_eq!(company.tokens(), 1, "a refusal is not repeated for each mailbox");
    company.write_secret(SECRET);
    assert_eq!(sync(&mut engine, "account0").weather, None);
    assert_eq!(company.tokens(), 2);
    assert_eq!(sync(&mut engine, "account1").weather, None);
    assert_eq!(company.tokens(), 2);
}

#[test]
fn a_young_token_is_not_replaced_whatever_a_server_says_of_it() {
    let company = Company::new(3, 3);
    let mut engine = company.open(3);
    sync(&mut engine, "account0");
    company.server.with(|world| world.expire_access_tokens());
    // A token that is young is not what is wrong, whatever a server says.
    assert!(matches!(sync(&mut engine, "account1").weather, Some(Weather::ApplicationRefused { .. })));
    assert_eq!(company.tokens(), 1);
}

#[test]
fn a_certificate_signs_in_and_another_key_or_registration_does_not() {
    let company = Company::new(1, 3);
    let users = accounts(1);
    company.register(None, Some(&fixture("application.crt")));
    write_private(&company.path("app.crt"), fixture("application.crt").as_bytes()).unwrap();
    for name in ["application.key", "other.key", "elliptic.key"] {
        write_private(&company.path(name), fixture(name).as_bytes()).unwrap();
    }
    let credential = |key: &str| format!("certificate_file = \"app.crt\"\nprivate_key_file = \"{key}\"");
    let refusal = |key: &str| {
        let mut engine = company.open_with(&credential(key), &users);
        match sync(&mut engine, "account0").weather {
            Some(Weather::ApplicationRefused { message }) => message,
            other => panic!("{key}: {other:?}"),
        }
    };
    assert!(refusal("other.key").contains("another certificate"));
    assert!(refusal("elliptic.key").contains("RSA"));
    assert!(refusal("app.crt").contains("no private key"));
    assert!(refusal("nothing.key").contains("cannot be read"));
    assert_eq!(company.tokens(), 0);
    let mut engine = company.open_with(&credential("application.key"), &users);
    let report = sync(&mut engine, "account0");
    assert_eq!(report.weather, None);
    assert!(report.done.upserted >= 3);
    drop(engine);
    // The registration knows no certificate any more.
    company.register(Some(SECRET), None);
    assert!(refusal("application.key").contains("certificate"));
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_can_read_is_refused_with_the_fix() {
    use std::os::unix::fs::PermissionsExt;
    let company = Company::new(1, 3);
    let mut engine = company.open(1);
    std::fs::set_permissions(company.path("secret"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let report = sync(&mut engine, "account0");
    let Some(Weather::ApplicationRefused { message }) = report.weather else { panic!("{report:?}") };
    assert!(message.contains("chmod 600"), "{message}");
    assert_eq!(company.tokens(), 0);
    std::fs::set_permissions(company.path("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(sync(&mut engine, "account0").weather, None);
}

#[test]
fn huge_mailboxes_make_room_for_tiny_ones_and_lose_nothing() {
    let company = Company::new(10, 3);
    let (huge, now_ms) = (2_600, SystemClock.now_ms());
    company.server.with(|world| {
        for user in 0..4 {
            world.fill(user, Seeding { seed: 6, events: huge, now_ms });
        }
    });
    let mut engine = company.open(10);
    let (order, ends) = first_round(&mut engine, 10);
    assert!(ends.values().all(|report| report.weather.is_none()));
    let place = |n: usize| order.iter().position(|name| *name == format!("account{n}")).unwrap();
    let last_tiny = (4..10).map(place).max().unwrap();
    let first_huge = (0..4).map(place).min().unwrap();
    assert!(last_tiny < first_huge, "{order:?}");
    for n in 0..4 {
        assert!(company.events(&format!("account{n}")) >= huge as u64, "{n}");
    }
}

#[test]
fn a_mailbox_that_is_missing_and_one_that_is_throttled_stop_no_other() {
    let company = Company::new(4, 3);
    company.server.with(|world| {
        world.take_mailbox(1);
        world.add_fault(Rule {
            when: When { path: Some("user2".to_owned()), ..When::default() },
            ..Rule::any(0, What::Throttle { retry_after: Some("120".to_owned()), status: 429 })
        });
    });
    let mut engine = company.open(4);
    let (_, ends) = first_round(&mut engine, 4);
    let weather = |n: usize| ends[&format!("account{n}")].weather.clone();
    assert_eq!((weather(0), weather(3)), (None, None));
    assert_eq!(weather(1), Some(Weather::Unreachable("not_found")));
    assert!(matches!(weather(2), Some(Weather::Throttled { .. })), "{:?}", weather(2));
}

#[test]
fn an_application_that_is_throttled_as_a_whole_pauses_all_its_mailboxes() {
    let company = Company::new(THROTTLED_TOGETHER + 1, 3);
    let throttle = What::Throttle { retry_after: Some("120".to_owned()), status: 429 };
    company.server.with(|world| {
        let when = When { path: Some("/users/".to_owned()), ..When::default() };
        world.add_fault(Rule { when, ..Rule::any(0, throttle) });
    });
    let mut engine = company.open(THROTTLED_TOGETHER + 1);
    for n in 0..THROTTLED_TOGETHER {
        sync(&mut engine, &format!("account{n}"));
    }
    let before = company.server.with(|world| world.requests());
    let report = sync(&mut engine, &format!("account{THROTTLED_TOGETHER}"));
    assert!(matches!(report.weather, Some(Weather::Throttled { .. })), "{report:?}");
    assert_eq!(company.server.with(|world| world.requests()), before, "nothing was sent");
}

#[test]
fn an_account_that_names_another_mailbox_than_before_keeps_its_mirror_apart() {
    let company = Company::new(2, 3);
    let credential = "client_secret_file = \"secret\"";
    let named = |user: &str| vec![("account".to_owned(), format!("{user}@contoso.example"))];
    let mut engine = company.open_with(credential, &named("user0"));
    assert_eq!(sync(&mut engine, "account").weather, None);
    drop(engine);
    let mut engine = company.open_with(credential, &named("user1"));
    let error = engine.sync("account", &SyncOrder::default(), &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("another mailbox"), "{error}");
}

#[test]
fn the_program_mirrors_without_a_sign_in_and_says_which_way() {
    let place = Place::new("");
    let emulator = Emulator::start(place.dir.path(), &["--events", "20"]);
    emulator
        .control("/tokens", &json!({"sign_in": {"applications": [{"client_id": CLIENT, "secret": SECRET}]}}));
    let origin = &emulator.origin;
    let config = format!(
        "[[graph_app]]\ndisplay_name = \"Server\"\napplication_id = \"{CLIENT}\"\ndirectory_id = \"contoso.example\"\n\
         graph_url = \"{origin}\"\nauthority_url = \"{origin}\"\nclient_secret_env = \"CALENDAR_SECRET\"\n\
         [[group]]\nname = \"all\"\nmethod = \"server\"\n\
         [[account]]\nname = \"bela\"\nuser = \"bela@contoso.example\"\n"
    );
    std::fs::write(place.config_path(), config).unwrap();
    let ran = place.run(&["sync"]).ended(3);
    assert!((ran.stdout + &ran.stderr).contains("CALENDAR_SECRET"));
    assert_eq!(place.run(&["accounts", "--json"]).ended(0).json()[0]["signed_in"], false);
    let wrong = place.run_with(&["sync", "-v"], &[("CALENDAR_SECRET", "some~other")]).ended(3);
    let told = wrong.stdout + &wrong.stderr;
    assert!(told.contains("administrator") && !told.contains("some~other"), "{told}");
    let status = place.run(&["status"]).ended(0).stdout;
    assert!(status.contains("application refused") && !status.contains("calmirror login"), "{status}");

    let known = [("CALENDAR_SECRET", SECRET)];
    let doctor = place.run_with(&["doctor"], &[("CALENDAR_SECRET", "some~other")]).ended(1).stdout;
    assert!(doctor.contains("the application is refused") && doctor.contains("administrator"), "{doctor}");
    let doctor = place.run_with(&["doctor", "--json"], &known).json();
    let checks = doctor["checks"].as_array().unwrap();
    assert_eq!(checks.iter().find(|check| check["check"] == "mailbox").unwrap()["state"], "ok", "{doctor}");

    let login = place.run_with(&["login"], &known).ended(0);
    assert!(login.stdout.contains("needs no sign-in"), "{}", login.stdout);
    let synced = place.run_with(&["sync", "-v"], &known).ended(0);
    assert!(!(synced.stdout + &synced.stderr).contains(SECRET));
    // Asked without the variable: what the last attempt found counts.
    let row = &place.run(&["accounts", "--json"]).ended(0).json()[0];
    assert_eq!((&row["signed_in"], &row["sign_in"]), (&json!(true), &json!("application")));
    let status = place.run(&["status", "--json"]).ended(0).json();
    let account = &status["accounts"][0];
    assert_eq!((&account["signed_in"], &account["sign_in"]), (&json!(true), &json!("application")));
    assert!(place.run(&["status"]).ended(0).stdout.contains("application signed in"));
}
