use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::ports::VaultError;
use crate::system::{create_private_dir, write_private_once};
use crate::vault::read_private;
use crate::vault::seal::Key;

/// The file of the key in a data directory.
const KEY_FILE: &str = "vault.key";

/// The key of a data directory that has no keyring; one for all its accounts.
pub(super) struct KeyFile {
    data_dir: PathBuf,
    path: PathBuf,
}

impl KeyFile {
    pub(super) fn new(data_dir: &Path) -> KeyFile {
        KeyFile { data_dir: data_dir.to_path_buf(), path: data_dir.join(KEY_FILE) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The key; `None` when there is no file.
    pub(super) fn read(&self) -> Result<Option<Key>, VaultError> {
        let Some(bytes) = read_private(&self.path)? else { return Ok(None) };
        let key = std::str::from_utf8(&bytes).ok().and_then(Key::from_text);
        key.map(Some).ok_or_else(|| VaultError::Damaged { path: self.path.clone() })
    }

    /// The key that is there, else `key`. Two processes that create it at once end up with the same one.
    pub(super) fn read_or_create(&self, key: Key) -> Result<Key, VaultError> {
        if let Some(key) = self.read()? {
            return Ok(key);
        }
        let io = |source| VaultError::Io { path: self.path.clone(), source };
        create_private_dir(&self.data_dir).map_err(io)?;
        match write_private_once(&self.path, key.to_text().as_bytes()) {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.read()?.ok_or_else(|| io(ErrorKind::NotFound.into()))
            }
            Err(error) => Err(io(error)),
        }
    }
}
