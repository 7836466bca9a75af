//! The local API: the agenda of a day over HTTP beside the library call, how soon a stream tells a commit, and what
//! listeners cost that only wait.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use calmirror::api::{Act, AgendaCall, Call, Mirrors};
use calmirror::config::Config;
use calmirror::engine::{Edges, Engine};
use calmirror::http::HttpClient;
use calmirror::local::{Door, Listen};
use calmirror::ports::{Clock, Pending};
use calmirror::vault::NoKeyring;
use calmirror::zones::Zones;
use serde::{Deserialize, Serialize};

use crate::data::NOW_MS;
use crate::ours::Even;
use crate::table::{Line, Table, seconds, thousands};
use crate::{child, machine};

const ASKED: usize = 2_000;
const COMMITS: usize = 200;
const LISTENERS: usize = 50;
const ACCOUNT: &str = "bench";

#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    /// p50 and p99 of each.
    library: (f64, f64),
    http: (f64, f64),
    told: (f64, f64),
    listeners_kib: Option<u64>,
}

/// Stands still, and sleeps for real.
struct Still;

impl Clock for Still {
    fn now_ms(&self) -> i64 {
        NOW_MS
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

fn percentiles(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn timed(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

/// One request on a connection that stays.
fn ask(connection: &mut BufReader<TcpStream>, head: &str) -> usize {
    connection.get_mut().write_all(head.as_bytes()).unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).unwrap();
        if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    length
}

fn listen(address: SocketAddr, credentials: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET /v1/stream HTTP/1.1\r\n{credentials}\r\n").as_bytes()).unwrap();
    let mut reader = BufReader::with_capacity(512, stream);
    // Its beginning: from there on it listens.
    wait_for(&mut reader, "retry:");
    reader
}

fn wait_for(reader: &mut BufReader<TcpStream>, beginning: &str) {
    let mut line = String::new();
    while !line.starts_with(beginning) {
        line.clear();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "the stream ended");
    }
}

/// The child: `file` is a filled mirror.
pub fn run_child(file: &Path, dir: &Path) -> Told {
    std::fs::create_dir_all(dir.join(ACCOUNT)).unwrap();
    std::fs::copy(file, dir.join(ACCOUNT).join("mirror.db")).unwrap();
    let config = Config::parse(&format!(
        "[[graph_app]]\ndisplay_name = \"Bench\"\napplication_id = \"1\"\ndirectory_id = \"t\"\n[[account]]\nname = \"{ACCOUNT}\"\n"
    ))
    .unwrap();
    let edges = Edges {
        http: HttpClient::new().unwrap(),
        clock: Arc::new(Still),
        entropy: Arc::new(Even),
        keyring: Arc::new(NoKeyring),
    };
    let engine = Engine::open(config.clone(), dir, edges).unwrap();
    let mirrors = Arc::new(Mirrors::new(config, dir.to_path_buf(), Arc::new(Still), Zones::bundled(), None));
    let door =
        engine.runtime().block_on(Door::open(Listen::default(), mirrors.clone(), engine.handle())).unwrap();
    let address = door.announcement().address;
    let token = door.announcement().token.expose();
    let credentials = format!("host: {address}\r\nauthorization: Bearer {token}\r\n");

    let call = Call::Agenda(AgendaCall { day: Some("today".to_owned()), ..AgendaCall::default() });
    let head = format!("GET /v1/agenda?day=today HTTP/1.1\r\n{credentials}\r\n");
    let mut connection = BufReader::new(TcpStream::connect(address).unwrap());
    connection.get_ref().set_nodelay(true).unwrap();
    let (mut library, mut http) = (Vec::new(), Vec::new());
    for _ in 0..ASKED {
        library.push(timed(|| {
            let answer = mirrors.answer(None, &call).unwrap();
            std::hint::black_box(serde_json::to_vec(&answer).unwrap());
        }));
        http.push(timed(|| assert!(ask(&mut connection, &head) > 100)));
    }

    let from = machine::resident_kib();
    let mut listeners: Vec<_> = (0..LISTENERS).map(|_| listen(address, &credentials)).collect();
    let listeners_kib = from.zip(machine::resident_kib()).map(|(from, to)| to.saturating_sub(from));
    let mut told = Vec::new();
    for n in 0..COMMITS {
        let body = format!(
            "{{\"subject\":\"Told {n}\",\"start\":\"2026-06-01T10:00\",\"end\":\"2026-06-01T11:00\"}}"
        );
        let act = Act::read("add", "", body.as_bytes()).unwrap();
        mirrors.act(None, &act).unwrap();
        // As the door does after an act, and the engine after a page.
        told.push(timed(|| {
            engine.handle().notices().look();
            wait_for(&mut listeners[n % LISTENERS], "event: change");
        }));
        for (at, listener) in listeners.iter_mut().enumerate() {
            if at != n % LISTENERS {
                wait_for(listener, "event: change");
            }
        }
    }
    drop(listeners);
    engine.runtime().block_on(door.close());
    Told { library: percentiles(library), http: percentiles(http), told: percentiles(told), listeners_kib }
}

pub fn measure(table: &mut Table, items: usize, file: &Path, dir: &Path) {
    let dir = dir.join(format!("door-{items}"));
    let told: Told = child::run(&["door", file.to_str().unwrap(), dir.to_str().unwrap()]);
    let Told { library, http, told, listeners_kib } = told;
    for (name, library, http) in [("p50", library.0, http.0), ("p99", library.1, http.1)] {
        table.add(Line {
            measure: format!("agenda of a day at {} items over HTTP, {name}", thousands(items as f64)),
            bound: seconds(library),
            ours: seconds(http),
            ratio: format!("{:.2}", http / library),
            ..Line::default()
        });
    }
    table.add(Line {
        measure: format!("commit to client by the stream, {LISTENERS} listeners, p50 and p99"),
        ours: format!("{} / {}", seconds(told.0), seconds(told.1)),
        ..Line::default()
    });
    if let Some(kib) = listeners_kib {
        table.add(Line {
            measure: format!("memory of {LISTENERS} listeners that wait, both ends"),
            ours: format!("{} KiB", thousands(kib as f64)),
            ..Line::default()
        });
    }
}
