//! Readers of the views and of the local API, in other processes, while a first sync writes.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::stage::PROGRAM;

#[test]
fn readers_in_other_processes_see_whole_states_while_a_sync_writes() {
    let has =
        |program: &str| Command::new(program).arg("--version").output().is_ok_and(|ran| ran.status.success());
    let is_required = std::env::var_os("CALMIRROR_REQUIRE_REAL").is_some();
    if !has("python3") || (is_required && !has("sqlite3")) {
        assert!(!is_required, "python3 and sqlite3 are required");
        println!("skipped: python3 is not here");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/views/hammer.py");
    let ran = Command::new("python3").arg(script).args([PROGRAM, "1500"]).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
    let figures: Value = serde_json::from_str(told.trim()).unwrap();
    assert!(figures["events"].as_u64().unwrap() >= 1_000, "{figures}");
}
