//! Rounds after the first: without changes, and of a hundred changes.
//!
//! A round is what the engine does at a poll: the pull and the upkeep after it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::data::{CALENDAR_ID, CHANGE_ROUNDS, CHANGED_ROWS};
use crate::machine::{self, Runs};
use crate::server::{Asked, Server, control};
use crate::table::{Line, Table, percent, seconds, thousands};
use crate::{bare, child, ours};

/// Processor time a round without changes may take beyond the request itself.
const QUIET_CPU_MAX_S: f64 = 0.001;
/// How much more a hundred changes may cost in a mailbox ten times the size.
const GROWTH_MAX: f64 = 1.15;
const QUIET_BATCHES: usize = 20;
const QUIET_A_BATCH: usize = 25;
/// Rounds of changes before the measured ones: statements prepared, pages cached.
const WARM_UP: usize = 10;

/// Seconds a round, one number a batch.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Quiet {
    bare_wall: Vec<f64>,
    bare_cpu: Vec<f64>,
    pull_wall: Vec<f64>,
    pull_cpu: Vec<f64>,
    poll_wall: Vec<f64>,
    poll_cpu: Vec<f64>,
    rounds: u64,
    asked: Asked,
}

/// Seconds a round of a hundred changes: small mailbox, large mailbox.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Changed {
    pull: [Vec<f64>; 2],
    poll: [Vec<f64>; 2],
    cpu: [Vec<f64>; 2],
}

/// What filling a mirror tells.
#[derive(Debug, Serialize, Deserialize)]
pub struct Filled {
    /// Seconds the upkeep took.
    pub upkeep: f64,
    pub peak_kib: Option<u64>,
}

/// The child: fills a mirror for the other measures, with its text index.
pub fn fill(address: SocketAddr, file: &Path) -> Filled {
    let mut session = ours::Session::start(address, file);
    session.pull();
    let began = Instant::now();
    session.keep_up();
    let upkeep = began.elapsed().as_secs_f64();
    session.close();
    Filled { upkeep, peak_kib: machine::peak_kib() }
}

/// The child: rounds without changes, beside the bare request.
pub fn quiet_child(address: SocketAddr, file: &Path) -> Quiet {
    let runtime = Arc::new(ours::runtime());
    let mut session = ours::Session::start_on(Arc::clone(&runtime), address, file);
    let client = bare::client();
    let link =
        format!("http://{address}/v1.0/me/calendars/{CALENDAR_ID}/calendarView/delta?$deltatoken=quiet");
    let mut told = Quiet::default();
    control(address, "quiet");
    for batch in 0..=QUIET_BATCHES {
        let (bare_wall, bare_cpu) = timed(|| {
            runtime.block_on(bare::fetch(&client, &link));
        });
        control(address, "tell");
        let (pull_wall, pull_cpu) = timed(|| {
            session.pull();
        });
        let (poll_wall, poll_cpu) = timed(|| {
            session.pull();
            session.keep_up();
        });
        let asked = control(address, "tell");
        // The first batch warms up.
        if batch > 0 {
            told.asked.deltas += asked.deltas;
            told.asked.others += asked.others;
            told.rounds += 2 * QUIET_A_BATCH as u64;
            told.bare_wall.push(bare_wall);
            told.bare_cpu.extend(bare_cpu);
            told.pull_wall.push(pull_wall);
            told.pull_cpu.extend(pull_cpu);
            told.poll_wall.push(poll_wall);
            told.poll_cpu.extend(poll_cpu);
        }
    }
    session.close();
    told
}

/// Mean seconds of a batch on the wall and, where the system tells, on the processor. The processor time of a
/// running thread is told late, so single rounds are too short to be timed.
fn timed(mut act: impl FnMut()) -> (f64, Option<f64>) {
    let cpu = machine::cpu_ns();
    let began = Instant::now();
    for _ in 0..QUIET_A_BATCH {
        act();
    }
    let wall = began.elapsed().as_secs_f64();
    let cpu = cpu.zip(machine::cpu_ns()).map(|(from, to)| (to - from) as f64 / 1e9 / QUIET_A_BATCH as f64);
    (wall / QUIET_A_BATCH as f64, cpu)
}

pub fn measure_quiet(table: &mut Table, server: &Server, items: usize, file: &Path) {
    let told: Quiet = child::run(&["quiet", &server.address.to_string(), file.to_str().unwrap()]);
    let runs = |values: Vec<f64>| {
        let mut runs = Runs::default();
        runs.extend(values);
        runs
    };
    let name = format!("round without changes, {} items", thousands(items as f64));
    let a_round = (told.asked.deltas + told.asked.others) as f64 / told.rounds as f64;
    table.add(Line {
        measure: format!("{name}: requests a calendar"),
        bound: "1".to_owned(),
        ours: format!("{a_round}"),
        ratio: format!("{a_round:.2}"),
        reach: "= 1".to_owned(),
        holds: Some(told.asked.deltas == told.rounds && told.asked.others == 0),
        noise: String::new(),
    });
    let (bare, poll) = (runs(told.bare_cpu), runs(told.poll_cpu));
    if poll.len() > 0 {
        let own = poll.median() - bare.median();
        table.add(Line {
            measure: format!("{name}: processor time, pull and upkeep"),
            bound: seconds(bare.median()),
            ours: seconds(poll.median()),
            ratio: format!("+{}", seconds(own)),
            reach: "≤ 1 ms own".to_owned(),
            holds: Some(own <= QUIET_CPU_MAX_S),
            noise: percent(poll.core_spread()),
        });
    }
    let (bare, pull, poll) = (runs(told.bare_wall), runs(told.pull_wall), runs(told.poll_wall));
    table.add(Line {
        measure: format!("{name}: time"),
        bound: seconds(bare.median()),
        ours: format!("{} (pull alone {})", seconds(poll.median()), seconds(pull.median())),
        ratio: format!("{:.2}", poll.median() / bare.median()),
        reach: String::new(),
        holds: None,
        noise: format!("{} / {}", percent(bare.core_spread()), percent(poll.core_spread())),
    });
}

/// The child: rounds of a hundred changes, in turn in a small and a large mailbox.
pub fn changed_child(servers: [SocketAddr; 2], files: [&Path; 2]) -> Changed {
    let runtime = Arc::new(ours::runtime());
    let mut sessions = [0, 1].map(|i| ours::Session::start_on(Arc::clone(&runtime), servers[i], files[i]));
    let mut told = Changed::default();
    for server in servers {
        control(server, "changes");
    }
    for round in 0..CHANGE_ROUNDS {
        // Who goes first changes, so that neither always finds the caches of the other.
        for turn in 0..2 {
            let which = (turn + round) % 2;
            let session = &mut sessions[which];
            let cpu = machine::cpu_ns();
            let began = Instant::now();
            let report = session.pull();
            let pull = began.elapsed().as_secs_f64();
            session.keep_up();
            let poll = began.elapsed().as_secs_f64();
            let cpu = cpu.zip(machine::cpu_ns()).map(|(from, to)| (to - from) as f64 / 1e9);
            let written = report.committed.rewritten;
            assert!(written * 10 >= CHANGED_ROWS as u64 * 9, "only {written} rows were changed");
            if round >= WARM_UP {
                told.pull[which].push(pull);
                told.poll[which].push(poll);
                told.cpu[which].extend(cpu);
            }
        }
    }
    for server in servers {
        control(server, "quiet");
    }
    for session in sessions {
        session.close();
    }
    told
}

pub fn measure_changed(table: &mut Table, servers: [&Server; 2], files: [&Path; 2]) {
    let told: Changed = child::run(&[
        "changes",
        &servers[0].address.to_string(),
        files[0].to_str().unwrap(),
        &servers[1].address.to_string(),
        files[1].to_str().unwrap(),
    ]);
    let lines = [
        ("pull and upkeep", told.poll, true),
        ("pull alone", told.pull, false),
        ("processor time", told.cpu, false),
    ];
    for (what, values, is_judged) in lines {
        let [small, large] = values.map(|values| {
            let mut runs = Runs::default();
            runs.extend(values);
            runs
        });
        let ratio = large.median() / small.median();
        table.add(Line {
            measure: format!("round of 100 changes, 100,000 against 10,000 items: {what}"),
            bound: seconds(small.median()),
            ours: seconds(large.median()),
            ratio: format!("{ratio:.2}"),
            reach: if is_judged { format!("≤ {GROWTH_MAX}") } else { String::new() },
            holds: is_judged.then_some(ratio <= GROWTH_MAX),
            noise: format!("{} / {}", percent(small.core_spread()), percent(large.core_spread())),
        });
    }
}
