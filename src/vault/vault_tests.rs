use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::model::Secret;

fn tokens(access: &str) -> Tokens {
    Tokens {
        access: Secret::new(access),
        expires_at_ms: 1_700_000_000_000,
        refresh: Some(Secret::new("sesame-refresh")),
        scopes: vec!["Calendars.ReadWrite".into()],
        ended: None,
        owner: None,
    }
}

/// A keyring in memory that can be locked or taken away, and counts how often it was asked.
#[derive(Default)]
struct Fake {
    entries: Mutex<BTreeMap<String, String>>,
    trouble: Mutex<Option<KeyringError>>,
    asked: AtomicUsize,
}

impl Fake {
    fn is_now(&self, trouble: Option<KeyringError>) {
        *self.trouble.lock().unwrap() = trouble;
    }

    fn entries(&self) -> Vec<String> {
        self.entries.lock().unwrap().keys().cloned().collect()
    }

    fn ask(&self) -> Result<(), KeyringError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.trouble.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

impl Keyring for Fake {
    fn name(&self) -> &'static str {
        "Fake Keyring"
    }

    fn get(&self, entry: &str) -> Result<Option<Zeroizing<String>>, KeyringError> {
        self.ask()?;
        Ok(self.entries.lock().unwrap().get(entry).cloned().map(Zeroizing::new))
    }

    fn set(&self, entry: &str, _: &str, text: &Zeroizing<String>) -> Result<(), KeyringError> {
        self.ask()?;
        self.entries.lock().unwrap().insert(entry.to_owned(), text.to_string());
        Ok(())
    }

    fn remove(&self, entry: &str) -> Result<(), KeyringError> {
        self.ask()?;
        self.entries.lock().unwrap().remove(entry);
        Ok(())
    }
}

struct Room {
    dir: tempfile::TempDir,
    keyring: Arc<Fake>,
}

impl Room {
    fn new() -> Room {
        Room { dir: tempfile::tempdir().unwrap(), keyring: Arc::default() }
    }

    /// As a process that has just started.
    fn vault(&self, account: &str) -> FileVault {
        FileVault::new(self.dir.path(), account, self.keyring.clone())
    }

    fn without_keyring(&self, account: &str) -> FileVault {
        FileVault::new(self.dir.path(), account, Arc::new(NoKeyring))
    }

    fn key_file(&self) -> PathBuf {
        self.dir.path().join("vault.key")
    }

    fn write_plain(&self, account: &str, text: &[u8]) -> PathBuf {
        let folder = self.dir.path().join(account);
        create_private_dir(&folder).unwrap();
        write_private(&folder.join(PLAIN_FILE), text).unwrap();
        folder.join(PLAIN_FILE)
    }
}

const LOCKED: KeyringError = KeyringError::Locked("Fake Keyring");

#[test]
fn tokens_survive_a_restart_and_are_forgotten_on_request() {
    let room = Room::new();
    for open in [Room::vault, Room::without_keyring] {
        let vault = open(&room, "anna");
        assert_eq!(vault.load().unwrap(), None);
        vault.store(&tokens("one")).unwrap();
        vault.store(&tokens("two")).unwrap();
        assert_eq!(open(&room, "anna").load().unwrap(), Some(tokens("two")));
        assert_eq!(open(&room, "ben").load().unwrap(), None);
        vault.remove().unwrap();
        vault.remove().unwrap();
        assert_eq!(vault.load().unwrap(), None);
        assert!(room.keyring.entries().is_empty());
    }
}

#[test]
fn with_a_keyring_the_key_is_there_and_in_no_file() {
    let room = Room::new();
    let vault = room.vault("anna");
    vault.store(&tokens("sesame-access")).unwrap();
    assert!(!room.key_file().exists());
    let file = fs::read(vault.path()).unwrap();
    assert!(!String::from_utf8_lossy(&file).contains("sesame"));
    let entries = room.keyring.entries();
    assert!(entries.len() == 1 && entries[0].starts_with("anna "), "{entries:?}");
    let glance = glance(room.dir.path(), "anna").unwrap().unwrap();
    assert_eq!(glance.kept("Secret Service"), "encrypted file, key in the Secret Service");
    assert_eq!((glance.scopes, glance.is_renewable), (tokens("").scopes, true));
}

#[test]
fn without_any_keyring_all_accounts_share_one_private_key_file() {
    let room = Room::new();
    for account in ["anna", "ben"] {
        room.without_keyring(account).store(&tokens(account)).unwrap();
    }
    for account in ["anna", "ben"] {
        assert_eq!(room.without_keyring(account).load().unwrap(), Some(tokens(account)));
    }
    assert!(!is_exposed(&fs::metadata(room.key_file()).unwrap()));
    let glance = glance(room.dir.path(), "ben").unwrap().unwrap();
    assert_eq!(glance.kept("Secret Service"), "encrypted file, key file");
}

#[test]
fn the_keyring_is_asked_once_and_may_be_locked_or_vanish_afterwards() {
    let room = Room::new();
    room.vault("anna").store(&tokens("one")).unwrap();
    let vault = room.vault("anna");
    vault.load().unwrap();
    let asked = room.keyring.asked.load(Ordering::Relaxed);
    for trouble in [LOCKED, KeyringError::Absent] {
        room.keyring.is_now(Some(trouble));
        vault.store(&tokens("two")).unwrap();
        assert_eq!(vault.load().unwrap(), Some(tokens("two")));
    }
    assert_eq!(room.keyring.asked.load(Ordering::Relaxed), asked);
    room.keyring.is_now(None);
    assert_eq!(room.vault("anna").load().unwrap(), Some(tokens("two")));
}

#[test]
fn a_keyring_in_trouble_is_an_error_and_never_a_reason_for_a_key_file() {
    let room = Room::new();
    let silent = KeyringError::Silent { name: "Fake Keyring", waited: std::time::Duration::from_secs(5) };
    let failed = KeyringError::Failed { name: "Fake Keyring", reason: "it left".to_owned() };
    for (trouble, advice) in [(LOCKED, "unlock it"), (silent, "enter it"), (failed, "see that it runs")] {
        room.keyring.is_now(Some(trouble.clone()));
        let error = room.vault("anna").store(&tokens("sesame")).unwrap_err();
        assert!(matches!(&error, VaultError::Keyring { source, .. } if *source == trouble));
        assert!(error.to_string().contains(advice), "{error}");
        assert!(!room.key_file().exists() && !room.dir.path().join("anna/tokens.enc").exists());
    }
    room.keyring.is_now(None);
    room.vault("anna").store(&tokens("one")).unwrap();
    room.keyring.is_now(Some(LOCKED));
    assert!(matches!(room.vault("anna").load(), Err(VaultError::Keyring { .. })));
    // What is known without the key is still known, and nobody is asked for a password.
    assert!(glance(room.dir.path(), "anna").unwrap().is_some());
    room.keyring.is_now(None);
    assert_eq!(room.vault("anna").load().unwrap(), Some(tokens("one")));
}

#[test]
fn a_session_without_the_keyring_of_the_key_says_where_to_go_and_a_new_sign_in_helps() {
    let room = Room::new();
    room.vault("anna").store(&tokens("one")).unwrap();
    let error = room.without_keyring("anna").load().unwrap_err();
    assert!(error.to_string().contains("run this where you signed in"), "{error}");
    room.without_keyring("anna").store(&tokens("two")).unwrap();
    assert_eq!(room.without_keyring("anna").load().unwrap(), Some(tokens("two")));
    // The key stays where it was put, also when there is a keyring again.
    assert_eq!(room.vault("anna").load().unwrap(), Some(tokens("two")));
}

#[test]
fn a_key_that_is_gone_or_exchanged_is_said_and_a_new_sign_in_gets_a_new_one() {
    let room = Room::new();
    room.vault("anna").store(&tokens("one")).unwrap();
    for text in [None, Some("rubbish".to_owned()), Some("0".repeat(64))] {
        let mut entries = room.keyring.entries.lock().unwrap();
        match text {
            None => entries.clear(),
            Some(text) => entries.values_mut().for_each(|value| value.clone_from(&text)),
        }
        drop(entries);
        let error = room.vault("anna").load().unwrap_err();
        assert!(matches!(error, VaultError::KeyLost { .. }));
        assert!(error.to_string().contains("Fake Keyring") && error.to_string().contains("calmirror login"));
        room.vault("anna").store(&tokens("two")).unwrap();
        assert_eq!(room.vault("anna").load().unwrap(), Some(tokens("two")));
    }
    room.without_keyring("ben").store(&tokens("one")).unwrap();
    fs::remove_file(room.key_file()).unwrap();
    let error = room.without_keyring("ben").load().unwrap_err();
    assert!(error.to_string().contains("vault.key"), "{error}");
}

#[test]
fn signing_out_deletes_the_key_and_goes_through_without_the_keyring() {
    let room = Room::new();
    room.vault("anna").store(&tokens("one")).unwrap();
    room.vault("anna").remove().unwrap();
    assert!(room.keyring.entries().is_empty());
    room.vault("anna").store(&tokens("two")).unwrap();
    room.keyring.is_now(Some(LOCKED));
    room.vault("anna").remove().unwrap();
    assert_eq!(room.vault("anna").load().unwrap(), None);
}

#[test]
fn the_tokens_of_one_account_are_of_no_use_to_another() {
    let room = Room::new();
    for account in ["anna", "ben"] {
        room.without_keyring(account).store(&tokens(account)).unwrap();
    }
    fs::copy(room.dir.path().join("anna/tokens.enc"), room.dir.path().join("ben/tokens.enc")).unwrap();
    assert!(matches!(room.without_keyring("ben").load(), Err(VaultError::Damaged { .. })));
}

#[test]
fn a_data_directory_that_moves_keeps_its_sign_ins() {
    let room = Room::new();
    room.vault("anna").store(&tokens("one")).unwrap();
    let other = Room { dir: tempfile::tempdir().unwrap(), keyring: room.keyring.clone() };
    fs::rename(room.dir.path().join("anna"), other.dir.path().join("anna")).unwrap();
    assert_eq!(other.vault("anna").load().unwrap(), Some(tokens("one")));
}

#[test]
fn a_plain_file_of_an_earlier_version_is_sealed_once_and_removed() {
    let room = Room::new();
    let plain = room.write_plain("anna", &serde_json::to_vec(&tokens("one")).unwrap());
    let seen = glance(room.dir.path(), "anna").unwrap().unwrap();
    assert_eq!((seen.key, seen.expires_at_ms), (None, tokens("").expires_at_ms));
    assert!(plain.exists());
    room.keyring.is_now(Some(LOCKED));
    assert!(room.vault("anna").load().is_err());
    assert!(plain.exists());
    room.keyring.is_now(None);
    assert_eq!(room.vault("anna").load().unwrap(), Some(tokens("one")));
    assert!(!plain.exists());
    // A sealing that was cut short before the removal.
    let plain = room.write_plain("anna", &serde_json::to_vec(&tokens("older")).unwrap());
    assert_eq!(room.vault("anna").load().unwrap(), Some(tokens("one")));
    assert!(!plain.exists());
}

#[cfg(unix)]
#[test]
fn every_file_that_others_may_read_is_refused_with_the_fix() {
    use std::os::unix::fs::PermissionsExt;
    let room = Room::new();
    let vault = room.without_keyring("anna");
    vault.store(&tokens("one")).unwrap();
    let plain = room.write_plain("ben", &serde_json::to_vec(&tokens("one")).unwrap());
    for (path, account) in [(vault.path(), "anna"), (&room.key_file(), "anna"), (&plain, "ben")] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = room.without_keyring(account).load().unwrap_err();
        assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())), "{error}");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(room.without_keyring(account).load().unwrap().is_some());
    }
}

#[test]
fn damaged_files_are_named_and_not_quoted() {
    let room = Room::new();
    let vault = room.without_keyring("anna");
    vault.store(&tokens("one")).unwrap();
    let whole = fs::read(vault.path()).unwrap();
    let cut = &whole[..whole.len() - 1];
    for text in [b"".as_slice(), b"\n", b"{\"access\":\"sesame\"", cut, &vec![b' '; 300_000]] {
        write_private(vault.path(), text).unwrap();
        let error = room.without_keyring("anna").load().unwrap_err();
        assert!(matches!(error, VaultError::Damaged { .. }));
        assert!(!format!("{error} {error:?}").contains("sesame"));
    }
    write_private(vault.path(), &whole).unwrap();
    write_private(&room.key_file(), b"sesame").unwrap();
    let error = room.without_keyring("anna").load().unwrap_err();
    assert!(error.to_string().contains("vault.key is damaged"), "{error}");
    room.write_plain("ben", b"{\"access\":\"sesame\",\"expires_at_ms\":\"sesame\"}");
    let error = room.without_keyring("ben").load().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sesame"));
}

#[test]
fn two_processes_that_create_the_key_file_at_once_use_the_same_key() {
    let room = Room::new();
    let accounts: Vec<String> = (0..8).map(|number| format!("account-{number}")).collect();
    std::thread::scope(|scope| {
        for account in &accounts {
            scope.spawn(|| room.without_keyring(account).store(&tokens(account)).unwrap());
        }
    });
    for account in &accounts {
        assert_eq!(room.without_keyring(account).load().unwrap(), Some(tokens(account)));
    }
}

#[test]
fn a_vault_shows_neither_key_nor_tokens() {
    let room = Room::new();
    let vault = room.without_keyring("anna");
    vault.store(&tokens("sesame")).unwrap();
    let key = fs::read_to_string(room.key_file()).unwrap();
    let shown = format!("{vault:?} {:?}", vault.load().unwrap());
    assert!(!shown.contains(&key) && !shown.contains("sesame"), "{shown}");
}
