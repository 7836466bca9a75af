use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::model::Secret;
use crate::system::is_exposed;

/// The most bytes a file with a secret, a certificate or a key may have.
pub const SECRET_FILE_BYTES_MAX: usize = 64 * 1024;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// This user alone: any other is a reason to refuse it.
    Owner,
    /// Anybody: it holds nothing secret.
    Anybody,
}

/// Why a secret could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretProblem {
    /// Other users can read it.
    Exposed,
    /// It has more than [`SECRET_FILE_BYTES_MAX`] bytes.
    Large,
    /// The system's reason.
    Io(io::ErrorKind),
}

/// The content of a small file. Its memory is overwritten when dropped.
///
/// # Errors
/// Why it cannot be read, or that others than its `readers` can.
pub fn read_secret_file(path: &Path, readers: Readers) -> Result<Zeroizing<Vec<u8>>, SecretProblem> {
    let io = |error: io::Error| SecretProblem::Io(error.kind());
    let file = File::open(path).map_err(io)?;
    // Asked of the open file: the path may be replaced meanwhile.
    let metadata = file.metadata().map_err(io)?;
    if readers == Readers::Owner && is_exposed(&metadata) {
        return Err(SecretProblem::Exposed);
    }
    // Of its full size from the start: a buffer that grows leaves copies of its content behind.
    let room = usize::try_from(metadata.len()).unwrap_or(usize::MAX).min(SECRET_FILE_BYTES_MAX) + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(SECRET_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() > SECRET_FILE_BYTES_MAX { Err(SecretProblem::Large) } else { Ok(bytes) }
}

/// The secret in a variable of the environment; `None` when it is not set or no text.
#[expect(clippy::disallowed_methods, reason = "this room is where the environment is read")]
pub fn secret_in_environment(name: &str) -> Option<Secret> {
    std::env::var(name).ok().map(Secret::new)
}
