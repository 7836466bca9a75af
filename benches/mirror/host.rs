//! One call through the C library beside the same question to the library itself.
#![allow(unsafe_code, reason = "it calls as a host in C does")]

use std::ffi::CStr;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use calmirror::api::{AgendaCall, RangeCall};
use calmirror::config::Config;
use calmirror::embed::{Instance, Options, Role};
use calmirror::ffi::{calmirror_call, calmirror_close, calmirror_free, calmirror_last_error, calmirror_open};
use chrono::{Days, NaiveDate};

use crate::machine::Runs;
use crate::table::{Line, Table, percent, seconds, thousands};

const CONFIG: &str = "[[graph_app]]\ndisplay_name = \"Bench\"\napplication_id = \"1\"\ndirectory_id = \"t\"\n[[account]]\nname = \"anna\"\nuser = \"anna@contoso.example\"\n";
const DAYS: u64 = 120;
const PASSES: usize = 10;

/// Agenda of a day, all over the mailbox, 1,200 times.
pub fn measure(table: &mut Table, items: usize, file: &Path, dir: &Path) {
    let data = dir.join(format!("host-{items}"));
    std::fs::create_dir_all(data.join("anna")).unwrap();
    std::fs::copy(file, data.join("anna/mirror.db")).unwrap();
    let config = Config::parse(CONFIG).unwrap();
    let options = Options { role: Role::Reader, ..Options::new(config, data.clone()).unwrap() };
    let library = Instance::open(options).unwrap();
    let account = library.mirrors().account(None).unwrap();
    let text = serde_json::json!({ "config": CONFIG, "data_dir": data, "role": "reader" }).to_string();
    // SAFETY: the pointer and the length are those of one text.
    let handle = unsafe { calmirror_open(text.as_ptr().cast(), text.len()) };
    assert!(handle != 0, "{:?}", unsafe { CStr::from_ptr(calmirror_last_error()) });

    let first = NaiveDate::from_ymd_opt(2026, 9, 24).unwrap();
    let (mut typed, mut calls) = (Runs::default(), Runs::default());
    for pass in 0..=PASSES {
        for day in 0..DAYS {
            let day = (first + Days::new(day)).to_string();
            let range = RangeCall { tz: Some("UTC".into()), ..RangeCall::default() };
            let ask = AgendaCall { range, day: Some(day.clone()), ..AgendaCall::default() };
            let began = Instant::now();
            let found = black_box(library.mirrors().agenda(&account, &ask).unwrap()).items.len();
            let bare = began.elapsed().as_secs_f64();

            let call = format!(r#"{{"call":"agenda","day":"{day}","tz":"UTC"}}"#);
            let began = Instant::now();
            // SAFETY: the pointer and the length are those of one text; the answer is freed once.
            let text = unsafe { calmirror_call(handle, call.as_ptr().cast(), call.len()) };
            let bytes = black_box(unsafe { CStr::from_ptr(text) }.count_bytes());
            unsafe { calmirror_free(text) };
            let through = began.elapsed().as_secs_f64();
            assert!(bytes > found * 100, "an answer of {bytes} bytes for {found} events");
            if pass > 0 {
                typed.push(bare);
                calls.push(through);
            }
        }
    }
    assert_eq!(calmirror_close(handle), 0);
    for (share, at) in [("p50", 0.5), ("p99", 0.99)] {
        let (bare, ours) = (typed.at(at), calls.at(at));
        table.add(Line {
            measure: format!(
                "agenda of a day by the C library at {} items, {share}",
                thousands(items as f64)
            ),
            bound: seconds(bare),
            ours: seconds(ours),
            ratio: format!("{:.2}", ours / bare),
            noise: format!("{} / {}", percent(typed.core_spread()), percent(calls.core_spread())),
            ..Line::default()
        });
    }
}
