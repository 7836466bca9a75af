//! Presence: what an evaluation costs, how often an idle hour wakes for it, and how late a boundary is.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use calmirror::api::{Act, AddCall, FieldsCall, Mirrors, open_mirror};
use calmirror::config::Config;
use calmirror::engine::{Edges, Engine, Hint, Seen};
use calmirror::flow::presence::{Inputs, policy};
use calmirror::http::HttpClient;
use calmirror::model::Window;
use calmirror::ports::{Clock, Pending};
use calmirror::presence::Policy;
use calmirror::vault::NoKeyring;
use calmirror::zones::{Zone, Zones};

use crate::data::{DAY_MS, NOW_MS};
use crate::machine::Runs;
use crate::ours::Even;
use crate::table::{Line, Table, percent, seconds, thousands};

pub const POLICY: &str = r#"
[presence]
time_zone = "Europe/Berlin"
base_profile = "AVAIL"
merge_gap = "0m"
profile = [
  { name = "AVAIL", availability = "available" },
  { name = "BUSY", availability = "busy", forwarding = { target = "voicemail" } },
  { name = "OOF", availability = "out_of_office" },
]
[presence.simple]
busy = "BUSY"
oof = "OOF"
tentative = "BUSY"
"#;
const TWO_DAYS_MS: i64 = 2 * DAY_MS;
/// What an evaluation reads around its range.
const AROUND_MS: i64 = 41 * DAY_MS;
const CROWD: usize = 5_000;
const PASSES: i64 = 40;
/// Boundaries on the real clock.
const BOUNDARIES: i64 = 6;
const BOUNDARY_MS: i64 = 2_000;
const PATIENCE: Duration = Duration::from_secs(30);

fn config() -> Config {
    Config::parse(&format!("[[graph_app]]\ndisplay_name = \"Bench\"\napplication_id = \"1\"\ndirectory_id = \"t\"\n[[account]]\nname = \"anna\"\nuser = \"anna@contoso.example\"\n{POLICY}"))
        .unwrap()
}

fn compiled(zone: &Zone) -> Policy {
    policy(&config().resolve("anna").unwrap().presence, zone)
}

/// 48 hours from a large mirror, beside reading the same rows alone.
pub fn measure(table: &mut Table, items: usize, file: &Path) {
    let reader = open_mirror(file).unwrap().unwrap();
    let zone = Zones::bundled().resolve("Europe/Berlin").unwrap();
    let policy = compiled(&zone);
    let (mut rows, mut whole, mut pure, mut count) =
        (Runs::default(), Runs::default(), Runs::default(), Runs::default());
    for pass in 0..=PASSES {
        let now_ms = NOW_MS + (pass % 10) * DAY_MS;
        let range = Window { from_ms: now_ms, to_ms: now_ms + TWO_DAYS_MS };
        let around = Window { from_ms: range.from_ms - AROUND_MS, to_ms: range.to_ms + AROUND_MS };
        let began = Instant::now();
        black_box(reader.overlapping(around, &[]).unwrap());
        let bare = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let inputs = Inputs::read(&reader, Some("anna@contoso.example"), range).unwrap();
        let read = began.elapsed().as_secs_f64();
        let began = Instant::now();
        black_box(inputs.scene(&policy, now_ms).timeline(range).segments());
        let computed = began.elapsed().as_secs_f64();
        if pass > 0 {
            rows.push(bare);
            whole.push(read + computed);
            pure.push(computed);
            count.push(inputs.events.len() as f64);
        }
    }
    table.add(Line {
        measure: format!(
            "presence of 48 h from {} rows ({} events around)",
            thousands(items as f64),
            thousands(count.median())
        ),
        bound: seconds(rows.median()),
        ours: format!("{} ({} of it computing)", seconds(whole.median()), seconds(pure.median())),
        ratio: format!("{:.2}", whole.median() / rows.median()),
        noise: format!("{} / {}", percent(rows.core_spread()), percent(whole.core_spread())),
        ..Line::default()
    });
}

/// 48 hours in which 5,000 occurrences lie, computed alone.
pub fn measure_crowd(table: &mut Table, file: &Path) {
    let reader = open_mirror(file).unwrap().unwrap();
    let zone = Zones::bundled().resolve("Europe/Berlin").unwrap();
    let policy = compiled(&zone);
    let range = Window { from_ms: NOW_MS, to_ms: NOW_MS + TWO_DAYS_MS };
    let mut inputs = Inputs::read(&reader, Some("anna@contoso.example"), range).unwrap();
    let step_ms = TWO_DAYS_MS / CROWD as i64;
    let known = std::mem::take(&mut inputs.events);
    let timed: Vec<_> = known.iter().filter(|event| !event.is_all_day).collect();
    let crowd = timed.iter().cycle().take(CROWD).enumerate().map(|(at, event)| {
        let mut event = (*event).clone();
        let length_ms = event.end_ms - event.start_ms;
        event.start_ms = NOW_MS + at as i64 * step_ms;
        event.end_ms = event.start_ms + length_ms;
        event.identity.uid = format!("crowd-{at}");
        event
    });
    inputs.events = crowd.collect();
    let mut runs = Runs::default();
    let mut segments = 0;
    for pass in 0..=PASSES {
        let began = Instant::now();
        segments = black_box(inputs.scene(&policy, NOW_MS).timeline(range).segments()).len();
        if pass > 0 {
            runs.push(began.elapsed().as_secs_f64());
        }
    }
    table.add(Line {
        measure: format!(
            "presence of 48 h over {} occurrences ({segments} segments)",
            thousands(CROWD as f64)
        ),
        ours: seconds(runs.median()),
        noise: percent(runs.core_spread()),
        ..Line::default()
    });
}

/// The real clock, put forward by a sleep of the machine.
struct Machine {
    began: Instant,
    slept_ms: AtomicI64,
}

impl Clock for Machine {
    fn now_ms(&self) -> i64 {
        let passed_ms = i64::try_from(self.began.elapsed().as_millis()).unwrap();
        NOW_MS + passed_ms + self.slept_ms.load(Ordering::SeqCst)
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// How late the engine evaluates: at boundaries while it is awake, and after the machine woke up.
pub fn measure_boundaries(table: &mut Table, file: &Path, dir: &Path) {
    let data = dir.join("boundaries");
    std::fs::create_dir_all(data.join("anna")).unwrap();
    std::fs::copy(file, data.join("anna/mirror.db")).unwrap();
    let clock = Arc::new(Machine { began: Instant::now(), slept_ms: AtomicI64::new(DAY_MS / 2) });
    let edges = Edges {
        http: HttpClient::new().unwrap(),
        clock: clock.clone(),
        entropy: Arc::new(Even),
        keyring: Arc::new(NoKeyring),
    };
    // Only what is added here speaks.
    let text = format!("[[graph_app]]\ndisplay_name = \"Bench\"\napplication_id = \"1\"\ndirectory_id = \"t\"\ngraph_url = \"http://127.0.0.1:9\"\n[[account]]\nname = \"anna\"\n{POLICY}")
        .replace("[presence.simple]\nbusy = \"BUSY\"\noof = \"OOF\"\ntentative = \"BUSY\"\n", "[[presence.rule]]\nname = \"bench\"\nwhen = { subject_prefix = [\"boundary\"] }\nprofile = \"BUSY\"\n[[presence.rule]]\nname = \"rest\"\nignore = true\n");
    let config = Config::parse(&text).unwrap();
    let mirrors = Mirrors::new(config.clone(), data.clone(), clock.clone(), Zones::bundled(), None);
    let zone = Zones::bundled().resolve("Europe/Berlin").unwrap();
    let first_ms = (clock.now_ms() / 1_000 + 6) * 1_000;
    let mut wanted: Vec<i64> = Vec::new();
    for n in 0..BOUNDARIES / 2 {
        let from_ms = first_ms + n * 2 * BOUNDARY_MS;
        add(&mirrors, &zone, from_ms, from_ms + BOUNDARY_MS);
        wanted.extend([from_ms, from_ms + BOUNDARY_MS]);
    }
    let later_ms = first_ms + DAY_MS / 8;
    add(&mirrors, &zone, later_ms, later_ms + DAY_MS / 24);
    let mut engine = Engine::open(config, &data, edges).unwrap();
    let handle = engine.handle();
    let (tell, told) = channel();
    let at = clock.clone();
    let thread = std::thread::spawn(move || {
        engine.watch(&mut |seen| {
            if let Seen::Presence(_, tick) = seen
                && tick.is_changed
            {
                let _ = tell.send(at.now_ms());
            }
        })
    });
    // The first is that of the start.
    told.recv_timeout(PATIENCE).unwrap();
    let mut late = Runs::default();
    for boundary_ms in wanted {
        late.push((told.recv_timeout(PATIENCE).unwrap() - boundary_ms) as f64 / 1_000.0);
    }
    // The machine sleeps into the later event.
    clock.slept_ms.fetch_add(later_ms + 60_000 - clock.now_ms(), Ordering::SeqCst);
    let began = clock.now_ms();
    handle.hint(Hint::Resumed);
    let resumed = (told.recv_timeout(PATIENCE).unwrap() - began) as f64 / 1_000.0;
    handle.stop();
    thread.join().unwrap().unwrap();
    table.add(Line {
        measure: format!("presence changed after its boundary, {BOUNDARIES} times"),
        ours: format!("{} (worst {})", seconds(late.median()), seconds(late.max())),
        ..Line::default()
    });
    table.add(Line {
        measure: "presence changed after waking up within a meeting".to_owned(),
        ours: seconds(resumed),
        ..Line::default()
    });
}

fn add(mirrors: &Mirrors, zone: &Zone, from_ms: i64, to_ms: i64) {
    let fields = FieldsCall {
        subject: Some("boundary".to_owned()),
        start: Some(zone.rfc3339(from_ms)),
        end: Some(zone.rfc3339(to_ms)),
        ..FieldsCall::default()
    };
    mirrors.act(Some("anna"), &Act::Add(AddCall { fields, ..AddCall::default() })).unwrap();
}
