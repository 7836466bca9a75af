//! An hour in which nothing happens: how often the engine wakes up and what it asks the server.
//!
//! The hour passes on a clock that runs ahead whenever the engine sleeps, against the real server. What a sleeping
//! engine does on the real clock is counted by the system: the times its threads were switched to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use calmirror::config::Config;
use calmirror::engine::{Edges, Engine, Handle, SyncOrder, WatchReport};
use calmirror::http::HttpClient;
use calmirror::model::Secret;
use calmirror::ports::{Clock, Pending, Tokens, Vault};
use calmirror::vault::{FileVault, NoKeyring};
use serde::{Deserialize, Serialize};

use crate::data::{DAY_MS, NOW_MS};
use crate::ours::Even;
use crate::presence::POLICY;
use crate::server::{Asked, Server, control};
use crate::table::{Line, Table};
use crate::{child, machine};

const HOUR_MS: i64 = 3_600_000;
/// How long the sleeping engine is watched on the real clock.
const WATCHED: Duration = Duration::from_secs(10);
/// The calendars are listed again once an hour.
const LISTINGS_MAX: u64 = 2;
const ACCOUNT: &str = "idle";

#[derive(Debug, Serialize, Deserialize)]
pub struct Idle {
    wake_ups: u64,
    polls: u64,
    asked: Asked,
    /// Switches to a thread of the process while the engine slept.
    switches: Option<u64>,
    /// The same hour with a presence policy: wake-ups, polls, evaluations.
    presence: (u64, u64, u64),
}

/// Runs ahead by every sleep; at the end of the hour it stops the engine.
struct Ahead {
    now_ms: AtomicI64,
    end: Mutex<Option<(i64, Handle)>>,
}

impl Clock for Ahead {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        let ms = i64::try_from(duration.as_millis()).unwrap();
        let now_ms = self.now_ms.fetch_add(ms, Ordering::SeqCst) + ms;
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, handle)) = end.take_if(|(end_ms, _)| now_ms >= *end_ms) {
            handle.stop();
        }
        Box::pin(tokio::task::yield_now())
    }

    /// As Linux does it: it tells when the clock is set, and nobody has to look.
    fn until(&self, at_ms: i64) -> Pending<'_, bool> {
        let wait_ms = u64::try_from(at_ms - self.now_ms()).unwrap_or(0);
        Box::pin(async move {
            self.sleep(Duration::from_millis(wait_ms)).await;
            false
        })
    }
}

/// The real clock, shifted to the instant of the measures.
struct Real(Instant);

impl Clock for Real {
    fn now_ms(&self) -> i64 {
        NOW_MS + i64::try_from(self.0.elapsed().as_millis()).unwrap()
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

fn engine(address: SocketAddr, dir: &Path, clock: Arc<dyn Clock>, more: &str) -> Engine {
    let config = format!(
        "[[graph_app]]\ndisplay_name = \"Bench\"\napplication_id = \"1\"\ndirectory_id = \"t\"\ngraph_url = \"http://{address}\"\n[[account]]\nname = \"{ACCOUNT}\"\n{more}"
    );
    let edges = Edges {
        http: HttpClient::new().unwrap(),
        clock,
        entropy: Arc::new(Even),
        keyring: Arc::new(NoKeyring),
    };
    Engine::open(Config::parse(&config).unwrap(), dir, edges).unwrap()
}

/// The child: a sync, then the hour, then the watched sleep.
pub fn run_child(address: SocketAddr, dir: &Path) -> Idle {
    let tokens = Tokens {
        access: Secret::new("bench"),
        expires_at_ms: NOW_MS + 30 * DAY_MS,
        refresh: None,
        scopes: vec!["Calendars.ReadWrite".to_owned()],
        ended: None,
        owner: None,
    };
    FileVault::new(dir, ACCOUNT, Arc::new(NoKeyring)).store(&tokens).unwrap();
    control(address, "quiet");
    let clock = Arc::new(Ahead { now_ms: AtomicI64::new(NOW_MS), end: Mutex::new(None) });
    let mut idle = engine(address, dir, clock.clone(), "");
    let report = idle.sync(ACCOUNT, &SyncOrder::default(), &mut |_| {}).unwrap();
    assert!(report.weather.is_none(), "{report:?}");
    control(address, "tell");
    *clock.end.lock().unwrap() = Some((clock.now_ms() + HOUR_MS, idle.handle()));
    let WatchReport { wake_ups, polls, .. } = idle.watch(&mut |_| {}).unwrap();
    let asked = control(address, "tell");
    drop(idle);

    let mut keeping = engine(address, dir, clock.clone(), POLICY);
    *clock.end.lock().unwrap() = Some((clock.now_ms() + HOUR_MS, keeping.handle()));
    let kept = keeping.watch(&mut |_| {}).unwrap();
    let presence = (kept.wake_ups, kept.polls, kept.evaluations);
    drop(keeping);

    let mut asleep = engine(address, dir, Arc::new(Real(Instant::now())), "");
    let handle = asleep.handle();
    let thread = std::thread::spawn(move || asleep.watch(&mut |_| {}).map(|report| report.polls));
    // The poll at the start, and what its connection has to do afterwards.
    std::thread::sleep(Duration::from_secs(2));
    let from = machine::switches();
    std::thread::sleep(WATCHED);
    // One switch is this thread's own.
    let switches = from.zip(machine::switches()).map(|(from, to)| (to - from).saturating_sub(1));
    handle.stop();
    thread.join().unwrap().unwrap();
    Idle { wake_ups, polls, asked, switches, presence }
}

pub fn measure(table: &mut Table, server: &Server, dir: &Path) {
    let dir = dir.join("idle");
    let told: Idle = child::run(&["idle", &server.address.to_string(), dir.to_str().unwrap()]);
    let Idle { wake_ups, polls, asked, switches, presence: (kept_ups, kept_polls, evaluations) } = told;
    let others = wake_ups.saturating_sub(polls);
    table.add(Line {
        measure: "idle hour of serve: wake-ups beside polls".to_owned(),
        bound: format!("{polls} polls"),
        ours: format!("{wake_ups} wake-ups"),
        ratio: format!("+{others}"),
        reach: "+0".to_owned(),
        holds: Some(others == 0),
        ..Line::default()
    });
    table.add(Line {
        measure: "the same hour with presence".to_owned(),
        bound: format!("{kept_polls} polls"),
        ours: format!("{kept_ups} wake-ups, {evaluations} evaluations"),
        ratio: format!("+{}", kept_ups.saturating_sub(kept_polls)),
        ..Line::default()
    });
    table.add(Line {
        measure: "idle hour of serve: requests".to_owned(),
        bound: format!("{polls} polls"),
        ours: format!("{} rounds, {} listings", asked.deltas, asked.others),
        ratio: format!("+{}", (asked.deltas + asked.others).saturating_sub(polls)),
        reach: format!("≤ +{LISTINGS_MAX}"),
        holds: Some(asked.deltas == polls && asked.others <= LISTINGS_MAX),
        ..Line::default()
    });
    if let Some(switches) = switches {
        table.add(Line {
            measure: format!("asleep between polls: thread switches in {} s", WATCHED.as_secs()),
            bound: "0".to_owned(),
            ours: switches.to_string(),
            ratio: format!("+{switches}"),
            reach: "+0".to_owned(),
            holds: Some(switches == 0),
            ..Line::default()
        });
    }
}
