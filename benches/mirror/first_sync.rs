//! First sync of a mailbox over loopback, ours beside the bare pipeline, each in a process of its own so that its
//! peak memory is its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::bare::{self, Width};
use crate::child;
use crate::data::CALENDAR_ID;
use crate::machine::{self, Runs};
use crate::ours;
use crate::server::{Server, control};
use crate::table::{Line, Table, percent, thousands};

/// Megabytes a first sync may take.
const PEAK_MAX_KIB: f64 = 64.0 * 1_024.0;
/// How much more a mailbox ten times the size may take.
const PEAK_GROWTH_MAX: f64 = 1.2;
/// The part of the bare pipeline's speed that is asked for.
const SPEED_MIN: f64 = 0.6;

/// What one run tells its parent.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    pub rows: u64,
    pub seconds: f64,
    pub peak_kib: Option<u64>,
    pub file_bytes: u64,
}

/// The child: one first sync into a fresh file.
pub fn run_child(what: &str, address: SocketAddr, file: &Path) -> Told {
    let began;
    let rows;
    match what {
        "ours" => {
            let mut session = ours::Session::start(address, file);
            began = Instant::now();
            session.pull();
            let seconds = began.elapsed().as_secs_f64();
            session.close();
            return told(count(file), seconds, file);
        }
        "bare" | "bare-wide" => {
            let width = if what == "bare" { Width::Narrow } else { Width::Wide };
            let runtime = ours::runtime();
            let client = bare::client();
            let link = format!(
                "http://{address}/v1.0/me/calendars/{CALENDAR_ID}/calendarView/delta?startDateTime=a&endDateTime=b"
            );
            began = Instant::now();
            rows = runtime.block_on(bare::sync(&client, link, file, width));
        }
        other => panic!("no such run: {other}"),
    }
    told(rows, began.elapsed().as_secs_f64(), file)
}

fn told(rows: u64, seconds: f64, file: &Path) -> Told {
    // The size on disk is told when the log is copied back.
    let conn = rusqlite::Connection::open(file).unwrap();
    let peak_kib = machine::peak_kib();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    Told { rows, seconds, peak_kib, file_bytes: std::fs::metadata(file).unwrap().len() }
}

/// Rows of a mirror, masters included.
fn count(file: &Path) -> u64 {
    let conn = rusqlite::Connection::open(file).unwrap();
    conn.query_row("SELECT count(*) FROM event WHERE is_present = 1", [], |row| row.get(0)).unwrap()
}

/// What the memory of one size came to.
pub struct Peak {
    pub items: usize,
    pub kib: Runs,
}

/// Measures one mailbox in one encoding.
pub fn measure(
    table: &mut Table,
    server: &Server,
    items: usize,
    is_gzip: bool,
    runs: usize,
    dir: &Path,
    peaks: &mut Vec<Peak>,
) {
    let encoding = if is_gzip { "gzip" } else { "plain" };
    control(server.address, encoding);
    let mut speeds = [Runs::default(), Runs::default(), Runs::default()];
    let mut kib = [Runs::default(), Runs::default(), Runs::default()];
    let mut sizes = [0; 3];
    for _ in 0..runs {
        for (place, what) in ["bare", "ours", "bare-wide"].into_iter().enumerate() {
            let file = fresh(dir);
            let told: Told =
                child::run(&["first-sync", what, &server.address.to_string(), file.to_str().unwrap()]);
            let asked = control(server.address, "tell");
            assert!(asked.unknown.is_empty(), "nothing was prepared for {:?}", asked.unknown);
            assert_eq!(told.rows, items as u64, "{what} wrote another number of rows");
            speeds[place].push(told.rows as f64 / told.seconds);
            kib[place].extend(told.peak_kib.map(|kib| kib as f64));
            sizes[place] = told.file_bytes;
            remove(&file);
        }
    }
    let [bare, ours, wide] = &speeds;
    let ratio = ours.median() / bare.median();
    let name = format!("first sync, {} items, {encoding}", thousands(items as f64));
    table.add(Line {
        measure: name.clone(),
        bound: format!("{}/s", thousands(bare.median())),
        ours: format!("{}/s", thousands(ours.median())),
        ratio: format!("{ratio:.2}"),
        reach: format!("≥ {SPEED_MIN}"),
        holds: Some(ratio >= SPEED_MIN),
        noise: format!("{} / {}", percent(bare.spread()), percent(ours.spread())),
    });
    table.add(Line {
        measure: format!("{name}, against a bound that keeps the same texts"),
        bound: format!("{}/s", thousands(wide.median())),
        ours: format!("{}/s", thousands(ours.median())),
        ratio: format!("{:.2}", ours.median() / wide.median()),
        reach: String::new(),
        holds: None,
        noise: percent(wide.spread()),
    });
    table.add(Line {
        measure: format!("{name}, file"),
        bound: format!("{} MB ({} MB)", sizes[0] / 1_000_000, sizes[2] / 1_000_000),
        ours: format!("{} MB", sizes[1] / 1_000_000),
        ratio: format!("{:.2}", sizes[1] as f64 / sizes[0] as f64),
        reach: String::new(),
        holds: None,
        noise: String::new(),
    });
    let [bare_kib, ours_kib, _] = kib;
    if ours_kib.len() > 0 {
        table.add(Line {
            measure: format!("{name}, peak memory"),
            bound: mib(bare_kib.median()),
            ours: mib(ours_kib.max()),
            ratio: format!("{:.2}", ours_kib.max() / bare_kib.median()),
            reach: "≤ 64 MiB".to_owned(),
            holds: Some(ours_kib.max() <= PEAK_MAX_KIB),
            noise: percent(ours_kib.spread()),
        });
    }
    match peaks.iter_mut().find(|peak| peak.items == items) {
        Some(peak) => peak.kib = if ours_kib.max() > peak.kib.max() { ours_kib } else { peak.kib.clone() },
        None => peaks.push(Peak { items, kib: ours_kib }),
    }
}

/// Compares the peaks of the smallest and the largest mailbox.
pub fn compare_peaks(table: &mut Table, peaks: &[Peak]) {
    let [small, .., large] = peaks else { return };
    let ratio = large.kib.max() / small.kib.max();
    table.add(Line {
        measure: format!(
            "peak memory, {} against {} items",
            thousands(large.items as f64),
            thousands(small.items as f64)
        ),
        bound: mib(small.kib.max()),
        ours: mib(large.kib.max()),
        ratio: format!("{ratio:.2}"),
        reach: format!("≤ {PEAK_GROWTH_MAX}"),
        holds: Some(ratio <= PEAK_GROWTH_MAX),
        noise: percent(large.kib.spread()),
    });
}

/// Judges the peak of a sync together with the text index that follows it.
pub fn judge_peak(table: &mut Table, items: usize, kib: f64) {
    table.add(Line {
        measure: format!("first sync and text index, {} items, peak memory", thousands(items as f64)),
        ours: mib(kib),
        reach: "≤ 64 MiB".to_owned(),
        holds: Some(kib <= PEAK_MAX_KIB),
        ..Line::default()
    });
}

fn mib(kib: f64) -> String {
    format!("{:.1} MiB", kib / 1_024.0)
}

/// A file name that is not taken.
pub fn fresh(dir: &Path) -> PathBuf {
    let taken = std::fs::read_dir(dir).unwrap().count();
    dir.join(format!("{taken}-{}.db", fastrand::Rng::new().u32(..)))
}

pub fn remove(file: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        // A side file that does not exist needs no removing.
        let _ = std::fs::remove_file(name);
    }
}
