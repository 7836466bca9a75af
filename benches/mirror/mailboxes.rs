//! Two hundred mailboxes in one process, against the emulator: what an idle one costs, and whether all are served alike.
//!
//! They are reached as a server does it, with an application's token. One of them is large: the others must not wait
//! for its first sync.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use calmirror::config::Config;
use calmirror::emulator::{Options, Quirks, Registration, Seeding, SignIn, Source, World, serve};
use calmirror::engine::{Edges, Engine, Hint, Seen};
use calmirror::http::HttpClient;
use calmirror::ports::Clock;
use calmirror::system::{SystemClock, SystemEntropy, write_private};
use calmirror::vault::NoKeyring;
use serde::{Deserialize, Serialize};

use crate::table::{Line, Table, seconds, thousands};
use crate::{child, machine};

/// Mailboxes in the process.
const MAILBOXES: usize = 200;
/// Events of each, and of the last.
const EVENTS: usize = 50;
const EVENTS_LARGE: usize = 10_000;
/// Rounds without changes after the first, all due at the same moment.
const ROUNDS: usize = 3;
const CLIENT: &str = "bench";
const SECRET: &str = "bench~secret";

#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    /// Memory in use when all are idle.
    idle_kib: Option<u64>,
    peak_kib: Option<u64>,
    /// From the start to the end of the first sync: the last small mailbox, and the large one.
    first_small: f64,
    first_large: f64,
    /// One round of all without changes.
    round: f64,
    /// The mean time between two rounds, of the mailbox served most often and of the one served least.
    fastest: f64,
    slowest: f64,
}

/// The child: `mailboxes` accounts, each synced once and then `ROUNDS` times more.
pub fn run_child(address: SocketAddr, dir: &Path, mailboxes: usize) -> Told {
    std::fs::create_dir_all(dir).unwrap();
    let secret = dir.join("secret");
    write_private(&secret, SECRET.as_bytes()).unwrap();
    let mut config = format!(
        "[[graph_app]]\ndisplay_name = \"Bench\"\napplication_id = \"{CLIENT}\"\ndirectory_id = \"t\"\ngraph_url = \"http://{address}\"\nauthority_url = \"http://{address}\"\nclient_secret_file = '{}'\n[[group]]\nname = \"all\"\nmethod = \"server\"\n",
        secret.display()
    );
    for n in 0..mailboxes {
        config.push_str(&format!("[[account]]\nname = \"a{n}\"\nuser = \"user{n}@contoso.example\"\n"));
    }
    let edges = Edges {
        http: HttpClient::new().unwrap(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        keyring: Arc::new(NoKeyring),
    };
    let mut engine = Engine::open(Config::parse(&config).unwrap(), &dir.join("data"), edges).unwrap();
    let (handle, started) = (engine.handle(), Instant::now());
    let ends: Mutex<BTreeMap<String, Vec<f64>>> = Mutex::default();
    let mut told = None;
    engine
        .watch(&mut |seen| {
            let Seen::Done(account, report) = seen else { return };
            assert!(report.weather.is_none() && report.done.failed == 0, "{account}: {report:?}");
            let mut ends = ends.lock().unwrap();
            let own = ends.entry(account.to_owned()).or_default();
            own.push(started.elapsed().as_secs_f64());
            let rounds = own.len();
            if ends.len() < mailboxes || ends.values().any(|own| own.len() < rounds) {
                return;
            }
            if rounds <= ROUNDS {
                handle.hint(Hint::NetworkUp);
            } else {
                told = Some(tell(&ends));
                handle.stop();
            }
        })
        .unwrap();
    told.unwrap()
}

fn tell(ends: &BTreeMap<String, Vec<f64>>) -> Told {
    let first = |name: &str| ends[name][0];
    let large = format!("a{}", MAILBOXES - 1);
    let small = ends.keys().filter(|name| **name != large).map(|name| first(name));
    // The first round is the first sync, in which everybody waits for everybody.
    let mean = |own: &Vec<f64>| (own[own.len() - 1] - own[1]) / (own.len() - 2) as f64;
    let means: Vec<f64> = ends.values().map(mean).collect();
    let last_of = |round: usize| ends.values().map(|own| own[round]).fold(0.0, f64::max);
    Told {
        idle_kib: machine::resident_kib(),
        peak_kib: machine::peak_kib(),
        first_small: small.fold(0.0, f64::max),
        first_large: ends.get(&large).map_or(0.0, |own| own[0]),
        round: (last_of(ROUNDS) - last_of(0)) / ROUNDS as f64,
        fastest: means.iter().copied().fold(f64::INFINITY, f64::min),
        slowest: means.iter().copied().fold(0.0, f64::max),
    }
}

pub fn measure(table: &mut Table, dir: &Path) {
    let clock = Arc::new(SystemClock);
    let seeding = Seeding { seed: 9, events: EVENTS, now_ms: clock.now_ms() };
    let mut world = World::company(seeding, MAILBOXES);
    world.fill(MAILBOXES - 1, Seeding { events: EVENTS_LARGE, ..seeding });
    world.set_quirks(Quirks::tame());
    let registration =
        Registration { client_id: CLIENT.to_owned(), secret: Some(SECRET.to_owned()), certificate: None };
    world.set_sign_in(SignIn { applications: vec![registration], ..SignIn::default() });
    let world = Arc::new(Mutex::new(world));
    let runtime = crate::ours::runtime();
    let running = runtime
        .block_on(serve(Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            source: Source::World(world),
            clock,
        }))
        .unwrap();
    let run = |mailboxes: usize| -> Told {
        let dir = dir.join(format!("mailboxes-{mailboxes}"));
        let count = mailboxes.to_string();
        child::run(&["mailboxes", &running.address().to_string(), dir.to_str().unwrap(), &count])
    };
    let (one, all) = (run(1), run(MAILBOXES));
    let title = |what: &str| format!("{MAILBOXES} mailboxes, {what}");
    if let (Some(one), Some(all)) = (one.idle_kib, all.idle_kib) {
        let each = all.saturating_sub(one) as f64 / (MAILBOXES - 1) as f64;
        table.add(Line {
            measure: title("memory of an idle one"),
            bound: format!("{} MiB with one", one / 1024),
            ours: format!("{each:.0} KiB ({} MiB with all)", all / 1024),
            reach: "≤ 256 KiB".to_owned(),
            holds: Some(each <= 256.0),
            ..Line::default()
        });
    }
    if let Some(peak) = all.peak_kib {
        table.add(Line {
            measure: title("peak memory"),
            ours: format!("{} MiB", peak / 1024),
            ..Line::default()
        });
    }
    table.add(Line {
        measure: title("a round without changes"),
        ours: format!(
            "{} ({} mailboxes a second)",
            seconds(all.round),
            thousands(MAILBOXES as f64 / all.round)
        ),
        ..Line::default()
    });
    let ratio = all.slowest / all.fastest;
    table.add(Line {
        measure: title("time between two rounds, slowest / fastest"),
        bound: seconds(all.fastest),
        ours: seconds(all.slowest),
        ratio: format!("{ratio:.2}"),
        reach: "≤ 1.5".to_owned(),
        holds: Some(ratio <= 1.5),
        ..Line::default()
    });
    table.add(Line {
        measure: title(&format!(
            "first sync: last of {EVENTS} events / the one of {}",
            thousands(EVENTS_LARGE as f64)
        )),
        bound: seconds(all.first_large),
        ours: seconds(all.first_small),
        ratio: format!("{:.2}", all.first_small / all.first_large),
        ..Line::default()
    });
}
