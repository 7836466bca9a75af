//! Ten thousand queued edits: recorded one by one, each on the disk before it is answered, and sent to the emulator
//! one by one. Half of them make new events, half change events that are there.
//!
//! The bound of recording is a row of the same bytes in one table, committed as durably; the bound of sending are the
//! same requests in a bare loop, each reply read whole, against an emulator of its own that began the same. Both
//! emulators run in the parent: memory and processor time of the child are ours.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use calmirror::api::{AddCall, EditCall, FieldsCall, Mirrors};
use calmirror::config::Config;
use calmirror::emulator::{Edit, Options, Quirks, Running, Source, World, serve};
use calmirror::flow::Progress;
use calmirror::flow::pull::{PullOrder, PullPorts, pull};
use calmirror::flow::push::{PushOrder, PushPorts, PushReport, push};
use calmirror::flow::sign_in::fixed_bearer;
use calmirror::http::HttpClient;
use calmirror::mirror::{Mirror, Reader};
use calmirror::model::{Intent, OpenEdit, Policy, Secret, Window};
use calmirror::ports::Http;
use calmirror::sim::VirtualClock;
use calmirror::source::graph::{Graph, GraphSite, encode_create, encode_patch};
use calmirror::system::SystemEntropy;
use calmirror::zones::Zones;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::data::{DAY_MS, NOW_MS};
use crate::table::{Line, Table, seconds, thousands};
use crate::{bare, child, machine, ours};

const EDITS: usize = 10_000;
const HOUR_MS: i64 = 3_600_000;
/// Sent before the memory of the rest is looked at.
const WARM_UP: u64 = 1_000;
/// How much more memory the rest may take.
const MEMORY_GROWTH_MAX: f64 = 1.2;
/// How many pushes find nothing.
const EMPTY_PUSHES: u32 = 10_000;
const ACCOUNT: &str = "anna";

/// Seconds for all edits.
#[derive(Debug, Serialize, Deserialize)]
pub struct Recorded {
    bare: f64,
    ours: f64,
    bare_sent: f64,
    bare_sent_cpu: Option<f64>,
}

/// Seconds for all edits, and memory.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sent {
    took: f64,
    cpu: Option<f64>,
    peak_before_kib: Option<u64>,
    peak_warm_kib: Option<u64>,
    peak_kib: Option<u64>,
    /// One push of an empty outbox.
    empty: f64,
}

/// An emulator with half as many events as there will be edits.
fn emulator(runtime: &Runtime) -> (Running, String) {
    let mut world = World::new(7, &[("Anna Berg", "anna@contoso.example")], "Europe/Berlin");
    world.set_quirks(Quirks::tame());
    for number in 0..EDITS / 2 {
        let (start, end) = times(number);
        let event = json!({
            "subject": format!("Meeting {number}"), "body": {"contentType": "text", "content": "As agreed."},
            "start": {"dateTime": wall(start), "timeZone": "UTC"}, "end": {"dateTime": wall(end), "timeZone": "UTC"}
        });
        let event = event.as_object().unwrap().clone();
        world.edit(0, Edit::Create { calendar: None, event }, NOW_MS).unwrap();
    }
    let token = world.grant_access(0, NOW_MS);
    let options = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        source: Source::World(Arc::new(Mutex::new(world))),
        clock: Arc::new(VirtualClock::at(NOW_MS)),
    };
    (runtime.block_on(serve(options)).unwrap(), token)
}

fn times(number: usize) -> (i64, i64) {
    let start_ms = NOW_MS + i64::try_from(number).unwrap() * HOUR_MS / 4;
    (start_ms, start_ms + HOUR_MS)
}

fn wall(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms).unwrap().format("%Y-%m-%dT%H:%M:%S").to_string()
}

/// The account of the child.
struct Desk {
    mirror: Mirror,
    graph: Graph,
    clock: Arc<VirtualClock>,
    runtime: Runtime,
}

impl Desk {
    fn open(origin: &str, token: &str, file: &Path) -> Desk {
        let (mirror, _) = Mirror::open(file, NOW_MS).unwrap();
        let clock = Arc::new(VirtualClock::at(NOW_MS));
        let graph = Graph::new(
            GraphSite::new(origin, None).unwrap(),
            HttpClient::new().unwrap() as Arc<dyn Http>,
            fixed_bearer(Secret::new(token)),
            clock.clone(),
            Arc::new(SystemEntropy),
        );
        Desk { mirror, graph, clock, runtime: ours::runtime() }
    }

    fn pull(&mut self) {
        let Desk { mirror, graph, clock, runtime } = self;
        let ports = PullPorts { clock: clock.clone(), entropy: Arc::new(SystemEntropy) };
        let order = PullOrder { is_full: false, is_asked: false, past_ms: DAY_MS, future_ms: 200 * DAY_MS };
        let report = runtime.block_on(pull(mirror, graph, &ports, order, &mut |_| {})).unwrap();
        assert!(report.fault.is_none() && report.failed == 0, "{report:?}");
    }

    fn push(&mut self, progress: &mut (dyn FnMut(Progress) + Send)) -> PushReport {
        let Desk { mirror, graph, clock, runtime } = self;
        let ports = PushPorts {
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
            zones: Arc::new(Zones::bundled()),
        };
        let order = PushOrder { policy: Policy::Theirs, confirm_mail_after_ms: 3 * DAY_MS, is_asked: false };
        runtime.block_on(push(mirror, graph, &ports, order, progress)).unwrap()
    }
}

/// The first child: fills the outbox, and sends the same in a bare loop.
pub fn record_child(origin: &str, token: &str, bare_origin: &str, bare_token: &str, dir: &Path) -> Recorded {
    let file = dir.join(ACCOUNT).join("mirror.db");
    let mut desk = Desk::open(origin, token, &file);
    desk.pull();
    let ours = enqueue(dir, &file);
    let edits = Reader::open(&file).unwrap().outbox().unwrap();
    assert_eq!(edits.len(), EDITS);
    let bare = bare_enqueue(&dir.join("bare.db"), &edits);
    let requests = edits.iter().map(Asked::of).collect();
    let (bare_sent, bare_sent_cpu) = bare_drain(&desk.runtime, bare_origin, bare_token, requests);
    desk.mirror.close().unwrap();
    Recorded { bare, ours, bare_sent, bare_sent_cpu }
}

/// The second child: sends what the first one left.
pub fn send_child(origin: &str, token: &str, dir: &Path) -> Sent {
    let mut desk = Desk::open(origin, token, &dir.join(ACCOUNT).join("mirror.db"));
    let peak_before_kib = machine::peak_kib();
    let mut peak_warm_kib = None;
    let (took, cpu) = timed(|| {
        let report = desk.push(&mut |progress| {
            if matches!(progress, Progress::Pushed { edits } if edits == WARM_UP) {
                peak_warm_kib = machine::peak_kib();
            }
        });
        assert_eq!(report, PushReport { pushed: EDITS as u64, ..PushReport::default() });
    });
    let peak_kib = machine::peak_kib();
    let (empty, _) = timed(|| {
        for _ in 0..EMPTY_PUSHES {
            desk.push(&mut |_| {});
        }
    });
    desk.mirror.close().unwrap();
    let empty = empty / f64::from(EMPTY_PUSHES);
    Sent { took, cpu, peak_before_kib, peak_warm_kib, peak_kib, empty }
}

fn timed(act: impl FnOnce()) -> (f64, Option<f64>) {
    let cpu = machine::cpu_ns();
    let began = Instant::now();
    act();
    let wall = began.elapsed().as_secs_f64();
    let cpu = cpu.zip(machine::cpu_ns()).map(|(from, to)| to.saturating_sub(from) as f64 / 1e9);
    (wall, cpu)
}

/// Records every edit as a door does: opened anew each time, for each may come from another process.
fn enqueue(dir: &Path, file: &Path) -> f64 {
    let config = format!(
        "[[graph_app]]\ndisplay_name = \"Bench\"\napplication_id = \"1\"\ndirectory_id = \"t\"\n[[account]]\nname = \"{ACCOUNT}\"\n"
    );
    let config = Config::parse(&config).unwrap();
    let account = config.resolve(ACCOUNT).unwrap();
    let clock = Arc::new(VirtualClock::at(NOW_MS));
    let mirrors =
        Mirrors::new(config, dir.to_path_buf(), clock, Zones::bundled(), Some("Europe/Berlin".to_owned()));
    let reader = Reader::open(file).unwrap();
    let window = Window { from_ms: NOW_MS, to_ms: NOW_MS + 200 * DAY_MS };
    let there = reader.overlapping(window, &[]).unwrap();
    assert_eq!(there.len(), EDITS / 2);
    drop(reader);
    let (wall, _) = timed(|| {
        for (number, event) in there.iter().enumerate() {
            let (start_ms, end_ms) = times(number);
            let fields = FieldsCall {
                subject: Some(format!("New {number}")),
                start: Some(format!("{}Z", wall(start_ms))),
                end: Some(format!("{}Z", wall(end_ms))),
                location: Some("Room 4".to_owned()),
                ..FieldsCall::default()
            };
            mirrors.add(&account, &AddCall { fields, ..AddCall::default() }).unwrap();
            let fields = FieldsCall { location: Some(format!("Room {number}")), ..FieldsCall::default() };
            let call = EditCall { id: event.key.to_string(), fields, ..EditCall::default() };
            mirrors.edit(&account, &call).unwrap();
        }
    });
    wall
}

/// The bytes of every edit, each on the disk before the next.
fn bare_enqueue(file: &Path, edits: &[OpenEdit]) -> f64 {
    let rows: Vec<(String, Option<String>)> = edits
        .iter()
        .map(|edit| {
            let base = edit.base.as_ref().map(|base| serde_json::to_string(base).unwrap());
            (serde_json::to_string(&edit.intent).unwrap(), base)
        })
        .collect();
    let conn = Connection::open(file).unwrap();
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE edit (n INTEGER PRIMARY KEY, intent TEXT NOT NULL, base TEXT) STRICT;",
    )
    .unwrap();
    let mut put = conn.prepare("INSERT INTO edit (intent, base) VALUES (?1, ?2)").unwrap();
    let (wall, _) = timed(|| {
        for row in &rows {
            put.execute((&row.0, &row.1)).unwrap();
        }
    });
    wall
}

/// The request of an edit.
struct Asked {
    path: String,
    /// Of a change: the version it was made against.
    if_match: Option<String>,
    body: Vec<u8>,
}

impl Asked {
    fn of(edit: &OpenEdit) -> Asked {
        let zones = Zones::bundled();
        let calendar = format!("/v1.0/me/calendars/{}/events", encoded(edit.calendar_remote.as_str()));
        match &edit.intent {
            Intent::Create(fields) => Asked {
                path: calendar,
                if_match: None,
                body: encode_create(fields, edit.transaction_id.as_deref().unwrap(), &zones),
            },
            Intent::Update(fields) => Asked {
                path: format!("{calendar}/{}", encoded(edit.remote.as_ref().unwrap().as_str())),
                if_match: edit.base.as_ref().unwrap().change_key.as_ref().map(|key| format!("W/\"{key}\"")),
                body: encode_patch(fields, &zones, None),
            },
            other => panic!("nobody recorded {other:?}"),
        }
    }
}

fn encoded(id: &str) -> String {
    id.replace('=', "%3D").replace('+', "%2B").replace('/', "%2F")
}

fn bare_drain(runtime: &Runtime, origin: &str, token: &str, requests: Vec<Asked>) -> (f64, Option<f64>) {
    let client = bare::client();
    let send = async |asked: Asked| {
        let url = format!("{origin}{}", asked.path);
        let request = match &asked.if_match {
            None => client.post(url),
            Some(version) => client.patch(url).header("if-match", version),
        };
        let reply = request
            .bearer_auth(token)
            .header("content-type", "application/json")
            .header(
                "prefer",
                "outlook.timezone=\"UTC\", outlook.body-content-type=\"text\", IdType=\"ImmutableId\"",
            )
            .body(asked.body)
            .send()
            .await
            .unwrap();
        assert!(reply.status().is_success(), "{}", reply.status());
        reply.bytes().await.unwrap()
    };
    timed(|| {
        runtime.block_on(async {
            for asked in requests {
                assert!(!send(asked).await.is_empty());
            }
        });
    })
}

pub fn measure(table: &mut Table, dir: &Path) {
    let runtime = ours::runtime();
    let ((running, token), (bare_running, bare_token)) = (emulator(&runtime), emulator(&runtime));
    let dir = dir.join("outbox");
    let (origin, bare_origin, folder) = (running.origin(), bare_running.origin(), dir.to_str().unwrap());
    let recorded: Recorded = child::run(&["record", &origin, &token, &bare_origin, &bare_token, folder]);
    let sent: Sent = child::run(&["send", &origin, &token, folder]);
    let edits = EDITS as f64;
    let rate = |took: f64| format!("{} a second", thousands(edits / took));
    let name = thousands(edits);
    table.add(Line {
        measure: format!("{name} edits recorded through the api, synchronous = FULL"),
        bound: rate(recorded.bare),
        ours: rate(recorded.ours),
        ratio: format!("{:.2}", recorded.bare / recorded.ours),
        ..Line::default()
    });
    table.add(Line {
        measure: format!("{name} edits sent to the emulator"),
        bound: rate(recorded.bare_sent),
        ours: rate(sent.took),
        ratio: format!("{:.2}", recorded.bare_sent / sent.took),
        ..Line::default()
    });
    if let (Some(bare), Some(ours)) = (recorded.bare_sent_cpu, sent.cpu) {
        table.add(Line {
            measure: "the same: processor time an edit".to_owned(),
            bound: seconds(bare / edits),
            ours: seconds(ours / edits),
            ratio: format!("{:.2}", ours / bare),
            ..Line::default()
        });
    }
    if let (Some(before), Some(warm), Some(peak)) = (sent.peak_before_kib, sent.peak_warm_kib, sent.peak_kib)
    {
        let growth = peak as f64 / warm as f64;
        table.add(Line {
            measure: format!("peak memory: the first {} sent against all", thousands(WARM_UP as f64)),
            bound: format!("{} MiB", warm / 1024),
            ours: format!("{} MiB ({} before)", peak / 1024, before / 1024),
            ratio: format!("{growth:.2}"),
            reach: format!("≤ {MEMORY_GROWTH_MAX}"),
            holds: Some(growth <= MEMORY_GROWTH_MAX),
            ..Line::default()
        });
    }
    table.add(Line {
        measure: "push of an empty outbox".to_owned(),
        ours: seconds(sent.empty),
        ..Line::default()
    });
}
