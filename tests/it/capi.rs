//! The C library as a C compiler sees it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stage::{Emulator, PROGRAM, Place, config_of};

/// The library for C, brought up to date: cargo knows what it is made of, and this test is run by one.
fn library() -> PathBuf {
    let profile_dir = Path::new(PROGRAM).parent().unwrap();
    let profile = match profile_dir.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        name => name,
    };
    let mut cargo = Command::new(env!("CARGO"));
    // What the cargo that runs this test tells of its package would look like a new environment to build scripts.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"]
            .iter()
            .any(|told| name.to_string_lossy().starts_with(told))
        {
            cargo.env_remove(name);
        }
    }
    let built = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--locked", "--offline", "--example", "calmirror_c", "--profile", profile])
        .arg("--target-dir")
        .arg(profile_dir.parent().unwrap())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    profile_dir.join("examples")
}

#[test]
fn a_host_in_c_uses_the_engine_and_is_refused_what_would_harm_it() {
    let place = Place::new("");
    let emulator = Emulator::start(place.dir.path(), &["--seed", "3", "--events", "60"]);
    std::fs::write(place.config_path(), config_of(&emulator.origin)).unwrap();
    let (library, host) = (library(), place.dir.path().join("host"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let compiled = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g"])
        .arg("-I")
        .arg(root.join("include"))
        .arg(root.join("tests/capi/example.c"))
        .arg("-o")
        .arg(&host)
        .arg("-L")
        .arg(&library)
        .args(["-lcalmirror_c", &format!("-Wl,-rpath,{}", library.display())])
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));

    let ran = Command::new(&host)
        .env_clear()
        .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
        .env("HOME", place.dir.path())
        .args([place.config_path(), place.data_dir()])
        .output()
        .unwrap();
    let (told, problems) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{told}\n{problems}");
    assert!(told.contains(&format!("calmirror {}", env!("CARGO_PKG_VERSION"))), "{told}");

    // What the host did is in the mirror that any other program reads.
    let agenda = place.run(&["--json", "agenda", "--days", "14"]).ended(0).json();
    assert!(!agenda["items"].as_array().unwrap().is_empty());
    let status = place.run(&["--json", "status"]).ended(0).json();
    assert_eq!(
        (&status["engine"]["running"], &status["accounts"][0]["signed_in"]),
        (&false.into(), &true.into())
    );
}
