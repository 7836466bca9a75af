//! The measures of the mirror, each beside its bound in the same run.
//!
//! `cargo bench --bench mirror` runs everything, `cargo bench --bench mirror -- --quick` the small mailbox alone.
//! Figures move by tens of percent from run to run; ratios are what to compare.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench stops at the first surprise and prints what it found"
)]

mod bare;
mod child;
mod data;
mod door;
mod first_sync;
mod host;
mod idle;
mod machine;
mod mailboxes;
mod ours;
mod outbox;
mod presence;
mod reads;
mod rounds;
mod server;
mod table;

use std::path::{Path, PathBuf};

use crate::data::Mailbox;
use crate::server::Server;
use crate::table::{Line, Table, seconds, thousands};

/// What to run.
struct Order {
    is_quick: bool,
    /// Only cases whose name contains this.
    only: Option<String>,
    runs: usize,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|a| a == "child") {
        return run_child(&args[1..]);
    }
    if let [first, items, ..] = args.as_slice()
        && first == "serve"
    {
        // For a profiler: run `child …` against it by hand.
        let server = Server::start(Mailbox::generate(items.parse().unwrap()));
        println!("{}", server.address);
        loop {
            std::thread::park();
        }
    }
    let order = read(&args);
    let dir = tempfile::tempdir().unwrap();
    let sizes: &[usize] = if order.is_quick { &[10_000] } else { &[10_000, 100_000] };
    let mut table = Table::default();
    let servers: Vec<(usize, Server)> = sizes
        .iter()
        .map(|&items| {
            let mailbox = Mailbox::generate(items);
            let mean = mailbox.full_bytes / mailbox.full_rows;
            let server = Server::start(mailbox);
            eprintln!(
                "{items} items: {mean} bytes a full row, {} MB of pages, {} MB gzipped",
                server.page_bytes / 1_000_000,
                server.packed_bytes / 1_000_000
            );
            (items, server)
        })
        .collect();
    let wants = |case: &str| order.only.as_deref().is_none_or(|only| case.contains(only));
    if wants("first-sync") {
        let mut peaks = Vec::new();
        for (items, server) in &servers {
            for is_gzip in [false, true] {
                first_sync::measure(&mut table, server, *items, is_gzip, order.runs, dir.path(), &mut peaks);
            }
        }
        first_sync::compare_peaks(&mut table, &peaks);
    }
    // The other measures share one filled mirror a size.
    let files: Vec<PathBuf> = servers
        .iter()
        .map(|(items, server)| {
            let file = dir.path().join(format!("filled-{items}.db"));
            if ["quiet", "changes", "agenda", "open", "host", "door", "presence"].into_iter().any(wants) {
                let filled: rounds::Filled =
                    child::run(&["fill", &server.address.to_string(), file.to_str().unwrap()]);
                table.add(Line {
                    measure: format!("text index of {} items, after the sync", thousands(*items as f64)),
                    ours: seconds(filled.upkeep),
                    ..Line::default()
                });
                if let Some(kib) = filled.peak_kib {
                    first_sync::judge_peak(&mut table, *items, kib as f64);
                }
            }
            file
        })
        .collect();
    for ((items, server), file) in servers.iter().zip(&files) {
        if wants("agenda") {
            reads::measure_agenda(&mut table, *items, file);
        }
        if wants("open") {
            reads::measure_open(&mut table, *items, file);
        }
        if wants("presence") {
            presence::measure(&mut table, *items, file);
        }
        if wants("host") {
            host::measure(&mut table, *items, file, dir.path());
        }
        if wants("door") {
            door::measure(&mut table, *items, file, dir.path());
        }
        if wants("quiet") {
            rounds::measure_quiet(&mut table, server, *items, file);
        }
    }
    if let ([(_, small), (_, large)], [small_file, large_file]) = (servers.as_slice(), files.as_slice())
        && wants("changes")
    {
        rounds::measure_changed(&mut table, [small, large], [small_file, large_file]);
    }
    if wants("presence") {
        presence::measure_crowd(&mut table, &files[0]);
        presence::measure_boundaries(&mut table, &files[0], dir.path());
    }
    if wants("idle") {
        let (_, server) = &servers[0];
        idle::measure(&mut table, server, dir.path());
    }
    if wants("mailboxes") {
        mailboxes::measure(&mut table, dir.path());
    }
    if wants("outbox") {
        outbox::measure(&mut table, dir.path());
    }
    table.print();
    let missed = table.missed();
    if missed > 0 {
        println!("\n{missed} missed");
    }
}

fn read(args: &[String]) -> Order {
    let mut order = Order { is_quick: false, only: None, runs: 3 };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => order.is_quick = true,
            "--only" => order.only = args.next().cloned(),
            "--runs" => order.runs = args.next().and_then(|n| n.parse().ok()).unwrap_or(order.runs),
            // What cargo adds.
            "--bench" => {}
            other => panic!("unknown argument {other}; there are --quick, --only CASE and --runs N"),
        }
    }
    order
}

fn run_child(args: &[String]) {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let told = match args.as_slice() {
        ["first-sync", what, address, file] => {
            serde_json::to_string(&first_sync::run_child(what, address.parse().unwrap(), Path::new(file)))
        }
        ["fill", address, file] => {
            serde_json::to_string(&rounds::fill(address.parse().unwrap(), Path::new(file)))
        }
        ["door", file, folder] => serde_json::to_string(&door::run_child(Path::new(file), Path::new(folder))),
        ["quiet", address, file] => {
            serde_json::to_string(&rounds::quiet_child(address.parse().unwrap(), Path::new(file)))
        }
        ["idle", address, folder] => {
            serde_json::to_string(&idle::run_child(address.parse().unwrap(), Path::new(folder)))
        }
        ["mailboxes", address, folder, count] => serde_json::to_string(&mailboxes::run_child(
            address.parse().unwrap(),
            Path::new(folder),
            count.parse().unwrap(),
        )),
        ["record", origin, token, bare_origin, bare_token, dir] => serde_json::to_string(
            &outbox::record_child(origin, token, bare_origin, bare_token, Path::new(dir)),
        ),
        ["send", origin, token, dir] => {
            serde_json::to_string(&outbox::send_child(origin, token, Path::new(dir)))
        }
        ["changes", small, small_file, large, large_file] => serde_json::to_string(&rounds::changed_child(
            [small, large].map(|address| address.parse().unwrap()),
            [Path::new(small_file), Path::new(large_file)],
        )),
        other => panic!("no such case: {other:?}"),
    };
    println!("{}", told.unwrap());
}
