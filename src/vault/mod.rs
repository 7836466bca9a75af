//! Where tokens are kept: never in the configuration, the mirror, a log or an error text.
//!
//! One file an account, `<data-dir>/<account>/tokens.json`, readable by its user alone, replaced in one step
//! and made durable before a token in it is used: a refresh token that was rotated and then lost would force
//! a new sign-in. A file that others may read is refused rather than corrected: its tokens may be known.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::ports::{Tokens, Vault, VaultError};
use crate::system::{create_private_dir, is_exposed, write_private};

/// The most bytes of a token file; tokens of a few kilobytes are common.
const TOKEN_BYTES_MAX: u64 = 256 * 1024;

/// Keeps the tokens of one account in a file.
#[derive(Debug, Clone)]
pub struct FileVault {
    path: PathBuf,
}

impl FileVault {
    /// The vault of `account` in `data_dir`. Touches nothing yet.
    pub fn new(data_dir: &Path, account: &str) -> FileVault {
        FileVault { path: data_dir.join(account).join("tokens.json") }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn io(&self, source: std::io::Error) -> VaultError {
        VaultError::Io { path: self.path.clone(), source }
    }

    fn damaged(&self) -> VaultError {
        VaultError::Damaged { path: self.path.clone() }
    }
}

impl Vault for FileVault {
    fn load(&self) -> Result<Option<Tokens>, VaultError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io(error)),
        };
        // Asked of the open file: the path may be replaced meanwhile.
        if is_exposed(&file.metadata().map_err(|error| self.io(error))?) {
            return Err(VaultError::Exposed { path: self.path.clone() });
        }
        let mut bytes = Vec::new();
        file.take(TOKEN_BYTES_MAX.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| self.io(error))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > TOKEN_BYTES_MAX) {
            return Err(self.damaged());
        }
        // The reader's own message may quote the text, so it is dropped.
        serde_json::from_slice(&bytes).map(Some).map_err(|_| self.damaged())
    }

    fn store(&self, tokens: &Tokens) -> Result<(), VaultError> {
        let bytes = serde_json::to_vec(tokens).map_err(|_| self.damaged())?;
        if let Some(folder) = self.path.parent() {
            create_private_dir(folder).map_err(|error| self.io(error))?;
        }
        write_private(&self.path, &bytes).map_err(|error| self.io(error))
    }

    fn remove(&self) -> Result<(), VaultError> {
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.io(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    fn tokens(access: &str) -> Tokens {
        Tokens {
            access: Secret::new(access),
            expires_at_ms: 1_700_000_000_000,
            refresh: Some(Secret::new("refresh")),
            scopes: vec!["Calendars.ReadWrite".into()],
            ended: None,
        }
    }

    #[test]
    fn tokens_survive_a_restart_and_are_forgotten_on_request() {
        let dir = tempfile::tempdir().unwrap();
        let vault = FileVault::new(dir.path(), "anna");
        assert_eq!(vault.load().unwrap(), None);
        vault.store(&tokens("one")).unwrap();
        vault.store(&tokens("two")).unwrap();
        assert_eq!(FileVault::new(dir.path(), "anna").load().unwrap(), Some(tokens("two")));
        assert_eq!(FileVault::new(dir.path(), "ben").load().unwrap(), None);
        vault.remove().unwrap();
        vault.remove().unwrap();
        assert_eq!(vault.load().unwrap(), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_token_file_that_others_may_read_is_refused_with_the_fix() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let vault = FileVault::new(dir.path(), "anna");
        vault.store(&tokens("one")).unwrap();
        assert_eq!(fs::metadata(vault.path()).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(vault.path(), fs::Permissions::from_mode(0o644)).unwrap();
        let error = vault.load().unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_damaged_token_file_is_named_and_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let vault = FileVault::new(dir.path(), "anna");
        for text in ["", "{\"access\":\"sesame\"", "{\"access\":\"sesame\",\"expires_at_ms\":\"sesame\"}"] {
            create_private_dir(vault.path().parent().unwrap()).unwrap();
            write_private(vault.path(), text.as_bytes()).unwrap();
            let error = vault.load().unwrap_err();
            assert!(matches!(error, VaultError::Damaged { .. }));
            assert!(!format!("{error} {error:?}").contains("sesame"));
        }
        write_private(vault.path(), &vec![b' '; 300_000]).unwrap();
        assert!(matches!(vault.load(), Err(VaultError::Damaged { .. })));
    }
}
