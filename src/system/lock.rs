use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::system::create_private_dir;

/// The file whose lock an engine holds while it owns a data directory.
const LOCK_FILE: &str = "engine.lock";
/// [`engine_holder`] takes the lock for a moment to see whether it is free; so a taker asks more than once.
const TRIES_MAX: u32 = 5;
/// Between two tries.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// The most bytes of the process number.
const PID_BYTES_MAX: u64 = 20;

/// The right to own a data directory; given back when dropped, or by the system when the process ends.
#[derive(Debug)]
pub struct EngineLock {
    file: File,
}

/// Why a data directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another engine owns it.
    #[error("another process{} runs the engine of this data directory", .pid.map(|pid| format!(" ({pid})")).unwrap_or_default())]
    Held {
        /// Its process id, when it can be read.
        pid: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error("{path} cannot be used: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl EngineLock {
    /// Takes the data directory, which is created when it is missing.
    ///
    /// # Errors
    /// `Held` when another process (or another engine of this one) has it.
    pub fn take(data_dir: &Path) -> Result<EngineLock, LockError> {
        let path = data_dir.join(LOCK_FILE);
        let io = |source| LockError::Io { path: path.clone(), source };
        create_private_dir(data_dir).map_err(io)?;
        let mut file = open(&path, true).map_err(io)?;
        for attempt in 1..=TRIES_MAX {
            match file.try_lock() {
                Ok(()) => {
                    file.set_len(0).map_err(io)?;
                    file.seek(SeekFrom::Start(0)).map_err(io)?;
                    file.write_all(std::process::id().to_string().as_bytes()).map_err(io)?;
                    return Ok(EngineLock { file });
                }
                Err(TryLockError::WouldBlock) if attempt < TRIES_MAX => std::thread::sleep(TRY_AGAIN_AFTER),
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
        }
        Err(LockError::Held { pid: read_pid(&mut file) })
    }
}

impl Drop for EngineLock {
    fn drop(&mut self) {
        // A number left behind is harmless: it is read only while the lock is held.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// Who owns a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Nobody.
    Nobody,
    /// A running engine.
    Engine {
        /// Its process id, when it can be read.
        pid: Option<u32>,
    },
}

/// Who owns the data directory now.
///
/// # Errors
/// When the lock file exists and cannot be opened.
pub fn engine_holder(data_dir: &Path) -> Result<Holder, LockError> {
    let path = data_dir.join(LOCK_FILE);
    let io = |source| LockError::Io { path: path.clone(), source };
    let mut file = match open(&path, false) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Holder::Nobody),
        Err(source) => return Err(io(source)),
    };
    match file.try_lock_shared() {
        Ok(()) => {
            let _ = file.unlock();
            Ok(Holder::Nobody)
        }
        Err(TryLockError::WouldBlock) => Ok(Holder::Engine { pid: read_pid(&mut file) }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

fn open(path: &Path, is_taking: bool) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(is_taking).create(is_taking).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_has_one_engine_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("new");
        assert_eq!(engine_holder(&data_dir).unwrap(), Holder::Nobody);
        let lock = EngineLock::take(&data_dir).unwrap();
        let own = Some(std::process::id());
        assert!(matches!(EngineLock::take(&data_dir), Err(LockError::Held { pid }) if pid == own));
        assert_eq!(engine_holder(&data_dir).unwrap(), Holder::Engine { pid: own });
        drop(lock);
        assert_eq!(engine_holder(&data_dir).unwrap(), Holder::Nobody);
        EngineLock::take(&data_dir).unwrap();
    }
}
