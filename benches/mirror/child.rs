//! Runs a case in a process of its own: this same program with `child` as its first argument.

use std::process::{Command, Stdio};

/// Runs a case and reads the one line it prints.
pub fn run<T: serde::de::DeserializeOwned>(args: &[&str]) -> T {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).arg("child").args(args).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{args:?} ended with {}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}
