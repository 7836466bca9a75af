//! The vault on a real Secret Service (gnome-keyring) on a bus of its own: `tests/vault/run` starts the bus and
//! runs these. They kill and stop the keyring of their session, so they refuse to run anywhere else.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use calmirror::model::Secret;
use calmirror::ports::{KeyringError, Tokens, Vault, VaultError};
use calmirror::vault::{FileVault, KeyPlace, glance, system_keyring};
use zeroize::Zeroizing;

/// What the longest wait for a keyring may take here, with room for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A keyring daemon of this test's own, on the bus of `tests/vault/run`.
struct Daemon {
    pid: String,
}

impl Daemon {
    /// Starts one whose default collection is open.
    fn start() -> Daemon {
        let home = std::env::var_os("CALMIRROR_TEST_KEYRING_HOME")
            .map(PathBuf::from)
            .expect("run tests/vault/run: these tests need a session of their own");
        let mut child = Command::new("gnome-keyring-daemon")
            .args(["--daemonize", "--unlock", "--components=secrets", "--control-directory"])
            .arg(home.join("control"))
            .env("HOME", &home)
            .env("XDG_DATA_HOME", home.join("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"a password").unwrap();
        assert!(child.wait().unwrap().success());
        let until = Instant::now() + PATIENCE;
        let pid = loop {
            if let Some(pid) = ask_bus("GetConnectionUnixProcessID") {
                break pid;
            }
            assert!(Instant::now() < until, "the keyring did not come up");
        };
        Daemon { pid }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.pid]).status().unwrap().success());
    }

    fn lock() {
        let output = Command::new("dbus-send")
            .args(["--session", "--print-reply", "--dest=org.freedesktop.secrets"])
            .args(["/org/freedesktop/secrets", "org.freedesktop.Secret.Service.Lock"])
            .arg("array:objpath:/org/freedesktop/secrets/collection/login")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("/collection/login"), "{text}");
    }

    /// Ends it at once, as a crash would.
    fn vanish(self) {
        drop(self);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", &self.pid]).status();
        while ask_bus("GetConnectionUnixProcessID").as_ref() == Some(&self.pid) {}
    }
}

/// The last word of the bus's answer about the Secret Service.
fn ask_bus(method: &str) -> Option<String> {
    let output = Command::new("dbus-send")
        .args(["--session", "--print-reply", "--dest=org.freedesktop.DBus", "/"])
        .args([&format!("org.freedesktop.DBus.{method}"), "string:org.freedesktop.secrets"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    output.status.success().then(|| text.split_whitespace().next_back().unwrap().to_owned())
}

fn tokens(access: &str) -> Tokens {
    Tokens {
        access: Secret::new(access),
        expires_at_ms: 1_700_000_000_000,
        refresh: Some(Secret::new("r".repeat(4_000))),
        scopes: vec!["Calendars.ReadWrite".to_owned()],
        ended: None,
        owner: None,
    }
}

fn vault(dir: &tempfile::TempDir, account: &str) -> FileVault {
    FileVault::new(dir.path(), account, system_keyring())
}

fn text(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

#[test]
#[ignore = "needs a Secret Service of its own: tests/vault/run"]
fn a_text_is_kept_replaced_given_back_and_forgotten() {
    let _daemon = Daemon::start();
    let keyring = system_keyring();
    assert_eq!(keyring.name(), "Secret Service");
    assert_eq!(keyring.get("anna 1").unwrap(), None);
    keyring.set("anna 1", "A label", &text("one")).unwrap();
    keyring.set("anna 1", "A label", &text("two")).unwrap();
    keyring.set("anna 2", "A label", &text("other")).unwrap();
    assert_eq!(keyring.get("anna 1").unwrap(), Some(text("two")));
    keyring.remove("anna 1").unwrap();
    keyring.remove("anna 1").unwrap();
    assert_eq!(keyring.get("anna 1").unwrap(), None);
    assert_eq!(keyring.get("anna 2").unwrap(), Some(text("other")));
    keyring.remove("anna 2").unwrap();
}

#[test]
#[ignore = "needs a Secret Service of its own: tests/vault/run"]
fn tokens_are_sealed_with_a_key_that_another_program_finds_in_the_keyring() {
    let _daemon = Daemon::start();
    let dir = tempfile::tempdir().unwrap();
    vault(&dir, "sealed").store(&tokens("one")).unwrap();
    assert!(!dir.path().join("vault.key").exists());
    assert_eq!(glance(dir.path(), "sealed").unwrap().unwrap().key, Some(KeyPlace::Keyring));
    let search = || {
        let tool = Command::new("secret-tool").args(["search", "--all", "service", "calmirror"]).output();
        String::from_utf8(tool.unwrap().stdout).unwrap()
    };
    let found = search();
    assert!(found.contains("label = calmirror: key of the tokens of sealed"), "{found}");
    let found = found.split("label = ").find(|item| item.contains("of sealed")).unwrap();
    let key = found.lines().find_map(|line| line.strip_prefix("secret = ")).unwrap();
    assert_eq!(key.len(), 64);
    assert_eq!(vault(&dir, "sealed").load().unwrap(), Some(tokens("one")));
    vault(&dir, "sealed").remove().unwrap();
    let left = search();
    assert!(!left.contains("of sealed"), "{left}");
}

#[test]
#[ignore = "needs a Secret Service of its own: tests/vault/run"]
fn a_flow_inside_either_runtime_gets_its_tokens() {
    let _daemon = Daemon::start();
    let dir = tempfile::tempdir().unwrap();
    let one = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    one.block_on(async { vault(&dir, "anna").store(&tokens("one")) }).unwrap();
    assert_eq!(one.block_on(async { vault(&dir, "anna").load() }).unwrap(), Some(tokens("one")));
    let many = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let anna = Arc::new(vault(&dir, "anna"));
    let loaded = many.block_on(many.spawn(async move { anna.load() })).unwrap();
    assert_eq!(loaded.unwrap(), Some(tokens("one")));
    vault(&dir, "anna").remove().unwrap();
}

#[test]
#[ignore = "needs a Secret Service of its own: tests/vault/run"]
fn a_locked_keyring_is_said_and_never_replaced_by_a_key_file() {
    let daemon = Daemon::start();
    let dir = tempfile::tempdir().unwrap();
    let running = vault(&dir, "anna");
    running.store(&tokens("one")).unwrap();
    Daemon::lock();
    // Who has the key goes on.
    running.store(&tokens("two")).unwrap();
    let began = Instant::now();
    for error in
        [vault(&dir, "anna").load().unwrap_err(), vault(&dir, "ben").store(&tokens("x")).unwrap_err()]
    {
        println!("{error}");
        let VaultError::Keyring { source, .. } = &error else { panic!("{error}") };
        assert!(matches!(source, KeyringError::Locked(_) | KeyringError::Silent { .. }), "{error}");
    }
    assert!(began.elapsed() < PATIENCE);
    assert!(!dir.path().join("vault.key").exists());
    assert!(glance(dir.path(), "anna").unwrap().is_some());
    daemon.vanish();
    let _daemon = Daemon::start();
    assert_eq!(vault(&dir, "anna").load().unwrap(), Some(tokens("two")));
    vault(&dir, "anna").remove().unwrap();
}

#[test]
#[ignore = "needs a Secret Service of its own: tests/vault/run"]
fn a_keyring_that_vanishes_is_said_and_a_new_sign_in_uses_a_key_file() {
    let daemon = Daemon::start();
    let dir = tempfile::tempdir().unwrap();
    let running = vault(&dir, "anna");
    running.store(&tokens("one")).unwrap();
    daemon.vanish();
    running.store(&tokens("two")).unwrap();
    assert_eq!(running.load().unwrap(), Some(tokens("two")));
    let error = vault(&dir, "anna").load().unwrap_err();
    println!("{error}");
    assert!(matches!(error, VaultError::Keyring { source: KeyringError::Absent, .. }), "{error}");
    vault(&dir, "ben").store(&tokens("ben")).unwrap();
    assert_eq!(glance(dir.path(), "ben").unwrap().unwrap().key, Some(KeyPlace::KeyFile));
    let _daemon = Daemon::start();
    assert_eq!(vault(&dir, "anna").load().unwrap(), Some(tokens("two")));
    assert_eq!(vault(&dir, "ben").load().unwrap(), Some(tokens("ben")));
    vault(&dir, "anna").remove().unwrap();
}

#[test]
#[ignore = "needs a Secret Service of its own: tests/vault/run"]
fn a_keyring_that_hangs_is_given_up_and_used_again_when_it_answers() {
    let daemon = Daemon::start();
    let dir = tempfile::tempdir().unwrap();
    vault(&dir, "anna").store(&tokens("one")).unwrap();
    daemon.signal("-STOP");
    let began = Instant::now();
    let error = vault(&dir, "anna").load().unwrap_err();
    println!("{error}");
    assert!(matches!(error, VaultError::Keyring { source: KeyringError::Silent { .. }, .. }), "{error}");
    assert!(began.elapsed() < PATIENCE);
    daemon.signal("-CONT");
    assert_eq!(vault(&dir, "anna").load().unwrap(), Some(tokens("one")));
    vault(&dir, "anna").remove().unwrap();
}
