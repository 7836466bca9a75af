//! Where tokens are kept: never in the configuration, the mirror, a log or an error text.
//!
//! The tokens of an account are in `<data-dir>/<account>/tokens.enc`, sealed with a key of 32 random bytes, for
//! its user alone, replaced in one step and made durable before a token in it is used: a refresh token that was
//! rotated and then lost would force a new sign-in.
//!
//! The **key**, not the tokens, is in the operating system's keyring (an entry for each sign-in, named by the
//! account and the key's id). Tokens outgrow what a keyring takes (Credential Manager: 2,560 bytes) and change
//! every hour; a key is small and changes never, so that the keyring is asked once in a process's life and one
//! that is locked or vanishes later costs nothing. The id of the key stands in the file, so that a data directory
//! may be moved or copied, and two of them never share a key.
//!
//! The key is in `<data-dir>/vault.key`, for this user alone, only when a new sign-in finds no keyring in the
//! session at all. A keyring that is locked, silent or broken is an error that says so: it is never a reason to
//! put the key elsewhere. A key file protects the tokens in a copy of the account's folder, not from somebody who
//! can read the whole data directory.
//!
//! A file that others may read is refused rather than corrected: its content may be known. `tokens.json` of an
//! earlier version is sealed when it is first read, and removed.

mod key_file;
mod keyring;
mod seal;

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::ports::{Keyring, KeyringError, Tokens, Vault, VaultError};
use crate::system::{create_private_dir, is_exposed, write_private};
use key_file::KeyFile;
pub use keyring::{NoKeyring, system_keyring};
pub use seal::KeyPlace;
use seal::{FILE_BYTES_MAX, Head, Key, read_head, seal, unseal};

/// The sealed tokens in an account's folder.
const SEALED_FILE: &str = "tokens.enc";
/// The tokens as earlier versions kept them.
const PLAIN_FILE: &str = "tokens.json";

/// Keeps the tokens of one account in a sealed file.
pub struct FileVault {
    account: String,
    paths: Paths,
    key_file: KeyFile,
    keyring: Arc<dyn Keyring>,
    /// The key, once it was found.
    held: Mutex<Option<Held>>,
}

struct Paths {
    folder: PathBuf,
    sealed: PathBuf,
    plain: PathBuf,
}

impl Paths {
    fn new(data_dir: &Path, account: &str) -> Paths {
        let folder = data_dir.join(account);
        Paths { sealed: folder.join(SEALED_FILE), plain: folder.join(PLAIN_FILE), folder }
    }
}

#[derive(Clone)]
struct Held {
    key: Key,
    place: KeyPlace,
}

/// What can be said of an account's tokens without their key: nothing here asks a keyring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// When the access token ends, UTC epoch milliseconds.
    pub expires_at_ms: i64,
    /// Whether there is a refresh token.
    pub is_renewable: bool,
    /// Granted scopes as the server named them.
    pub scopes: Vec<String>,
    /// The OAuth error that ended the sign-in, when only a new one helps.
    pub ended: Option<String>,
    /// Where the key is; `None` for a file of an earlier version that is not sealed yet.
    pub key: Option<KeyPlace>,
}

impl Glance {
    /// How the tokens are kept, in words; `keyring` is the keyring's name.
    pub fn kept(&self, keyring: &str) -> String {
        match self.key {
            Some(KeyPlace::Keyring) => format!("encrypted file, key in the {keyring}"),
            Some(KeyPlace::KeyFile) => "encrypted file, key file".to_owned(),
            None => "plain file, encrypted when next used".to_owned(),
        }
    }
}

/// Looks whether `account` has tokens in `data_dir`, and what is known of them, without any keyring.
///
/// # Errors
/// A file that cannot be read, that others may read, or that is no token file.
pub fn glance(data_dir: &Path, account: &str) -> Result<Option<Glance>, VaultError> {
    let paths = Paths::new(data_dir, account);
    if let Some(file) = read_private(&paths.sealed)? {
        let (head, _) = read_head(&file).ok_or(VaultError::Damaged { path: paths.sealed })?;
        return Ok(Some(Glance {
            expires_at_ms: head.expires_at_ms,
            is_renewable: head.is_renewable,
            scopes: head.scopes,
            ended: head.ended,
            key: Some(head.key),
        }));
    }
    Ok(read_plain(&paths.plain)?.map(|tokens| Glance {
        expires_at_ms: tokens.expires_at_ms,
        is_renewable: tokens.refresh.is_some(),
        scopes: tokens.scopes,
        ended: tokens.ended.map(|ended| ended.code),
        key: None,
    }))
}

impl std::fmt::Debug for FileVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileVault").field("path", &self.paths.sealed).finish_non_exhaustive()
    }
}

impl FileVault {
    /// The vault of `account` in `data_dir`. Touches nothing yet.
    pub fn new(data_dir: &Path, account: &str, keyring: Arc<dyn Keyring>) -> FileVault {
        FileVault {
            account: account.to_owned(),
            paths: Paths::new(data_dir, account),
            key_file: KeyFile::new(data_dir),
            keyring,
            held: Mutex::default(),
        }
    }

    /// The file of the sealed tokens.
    pub fn path(&self) -> &Path {
        &self.paths.sealed
    }

    fn keyring_error(&self, source: KeyringError) -> VaultError {
        VaultError::Keyring { path: self.paths.sealed.clone(), source }
    }

    fn damaged(&self) -> VaultError {
        VaultError::Damaged { path: self.paths.sealed.clone() }
    }

    fn key_lost(&self, place: String) -> VaultError {
        VaultError::KeyLost { path: self.paths.sealed.clone(), place }
    }

    fn entry(&self, key_id: &str) -> String {
        format!("{} {key_id}", self.account)
    }

    /// The key that a sealed file names.
    fn find_key(&self, head: &Head, held: &mut Option<Held>) -> Result<Key, VaultError> {
        if let Some(Held { key, place }) = held.as_ref()
            && *place == head.key
            && key.id() == head.key_id
        {
            return Ok(key.clone());
        }
        let (key, place) = match head.key {
            KeyPlace::Keyring => {
                let text = patiently(|| self.keyring.get(&self.entry(&head.key_id)))
                    .map_err(|error| self.keyring_error(error))?;
                (text.and_then(|text| Key::from_text(&text)), self.keyring.name().to_owned())
            }
            KeyPlace::KeyFile => {
                (self.key_file.read()?, format!("key file {}", self.key_file.path().display()))
            }
        };
        let key = key.filter(|key| key.id() == head.key_id).ok_or_else(|| self.key_lost(place))?;
        *held = Some(Held { key: key.clone(), place: head.key });
        Ok(key)
    }

    /// The key for what is written next: the one at hand, that of the file in place, or a new one.
    fn choose_key(&self, held: &mut Option<Held>) -> Result<Held, VaultError> {
        if let Some(held) = held.as_ref() {
            return Ok(held.clone());
        }
        let former = read_private(&self.paths.sealed).ok().flatten().and_then(|file| read_head(&file));
        if let Some((head, _)) = former {
            match self.find_key(&head, held) {
                Ok(key) => return Ok(Held { key, place: head.key }),
                // Nobody can open the former content any more, here: what replaces it needs a key that is there.
                Err(
                    VaultError::KeyLost { .. } | VaultError::Keyring { source: KeyringError::Absent, .. },
                ) => {}
                Err(error) => return Err(error),
            }
        }
        let new = self.new_key()?;
        *held = Some(new.clone());
        Ok(new)
    }

    fn new_key(&self) -> Result<Held, VaultError> {
        let key =
            Key::draw().ok_or_else(|| self.io(std::io::Error::other("the system gives no randomness")))?;
        let (entry, label) =
            (self.entry(&key.id()), format!("calmirror: key of the tokens of {}", self.account));
        match patiently(|| self.keyring.set(&entry, &label, &key.to_text())) {
            Ok(()) => Ok(Held { key, place: KeyPlace::Keyring }),
            Err(KeyringError::Absent) => {
                let key = self.key_file.read_or_create(key)?;
                tracing::info!(account = %self.account, file = %self.key_file.path().display(), "there is no keyring in this session; the key of the tokens is kept in a file");
                Ok(Held { key, place: KeyPlace::KeyFile })
            }
            Err(error) => Err(self.keyring_error(error)),
        }
    }

    fn io(&self, source: std::io::Error) -> VaultError {
        VaultError::Io { path: self.paths.sealed.clone(), source }
    }

    fn seal_and_write(&self, tokens: &Tokens, held: &mut Option<Held>) -> Result<(), VaultError> {
        let Held { key, place } = self.choose_key(held)?;
        let file = seal(&key, place, &self.account, tokens)
            .ok_or_else(|| self.io(std::io::Error::other("the tokens are too large to keep")))?;
        create_private_dir(&self.paths.folder).map_err(|error| self.io(error))?;
        write_private(&self.paths.sealed, &file).map_err(|error| self.io(error))?;
        remove(&self.paths.plain)
    }
}

impl Vault for FileVault {
    fn load(&self) -> Result<Option<Tokens>, VaultError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = read_private(&self.paths.sealed)? {
            let (head, _) = read_head(&file).ok_or_else(|| self.damaged())?;
            let key = self.find_key(&head, &mut held)?;
            let tokens = unseal(&key, &self.account, &file).map_err(|_| self.damaged())?;
            // Left by a sealing that was cut short.
            remove(&self.paths.plain)?;
            return Ok(Some(tokens));
        }
        let tokens = read_plain(&self.paths.plain)?;
        if let Some(tokens) = &tokens {
            self.seal_and_write(tokens, &mut held)?;
        }
        Ok(tokens)
    }

    fn store(&self, tokens: &Tokens) -> Result<(), VaultError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        self.seal_and_write(tokens, &mut held)
    }

    fn remove(&self) -> Result<(), VaultError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let former = read_private(&self.paths.sealed).ok().flatten().and_then(|file| read_head(&file));
        remove(&self.paths.sealed)?;
        remove(&self.paths.plain)?;
        *held = None;
        // The key makes copies of the file readable, so it goes too. The file of keys stays: other accounts use it.
        if let Some((Head { key: KeyPlace::Keyring, key_id, .. }, _)) = former
            && let Err(error) = patiently(|| self.keyring.remove(&self.entry(&key_id)))
        {
            tracing::warn!(account = %self.account, error = %error, "the tokens are gone; their key, now of no use, is still in the keyring");
        }
        Ok(())
    }
}

/// Waits for a keyring without holding up the other tasks of this thread, where that can be done.
fn patiently<T>(call: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(call),
        Ok(_) | Err(_) => call(),
    }
}

fn read_plain(path: &Path) -> Result<Option<Tokens>, VaultError> {
    let Some(bytes) = read_private(path)? else { return Ok(None) };
    // The reader's own message may quote the text, so it is dropped.
    serde_json::from_slice(&bytes).map(Some).map_err(|_| VaultError::Damaged { path: path.to_path_buf() })
}

/// The content of a file that only this user may read; `None` when there is no file.
fn read_private(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    let io = |source| VaultError::Io { path: path.to_path_buf(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    // Asked of the open file: the path may be replaced meanwhile.
    let metadata = file.metadata().map_err(io)?;
    if is_exposed(&metadata) {
        return Err(VaultError::Exposed { path: path.to_path_buf() });
    }
    // Of its full size from the start: a buffer that grows leaves copies of its content behind.
    let room = usize::try_from(metadata.len()).unwrap_or(FILE_BYTES_MAX).min(FILE_BYTES_MAX) + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(VaultError::Damaged { path: path.to_path_buf() });
    }
    Ok(Some(bytes))
}

fn remove(path: &Path) -> Result<(), VaultError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(VaultError::Io { path: path.to_path_buf(), source }),
    }
}

#[cfg(test)]
#[path = "vault_tests.rs"]
mod tests;
