use std::fs::{self, File};
use std::io::{ErrorKind as IoKind, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::api::{Error, ErrorKind};
use crate::model::Secret;
use crate::system::{is_exposed, write_private};

/// The file in which a serving engine says where it is.
pub const ENGINE_FILE: &str = "engine.json";
/// The most bytes of that file.
const ENGINE_FILE_BYTES_MAX: u64 = 4_096;

/// Where a serving engine is, and what to show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Host and port, on loopback.
    pub address: SocketAddr,
    /// The token that every request must bear.
    pub token: Secret,
    /// Its process.
    pub pid: u32,
    /// The socket, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
}

impl Announcement {
    /// Reads what the engine of a data directory announced; `None` when there is nothing usable.
    ///
    /// # Errors
    /// `Failed` when the file can be read by others or cannot be read at all.
    pub fn read(data_dir: &Path) -> Result<Option<Announcement>, Error> {
        let path = data_dir.join(ENGINE_FILE);
        let fail = |error: std::io::Error| {
            Error::because(ErrorKind::Failed, format!("{} cannot be read: {error}", path.display()), error)
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == IoKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        if is_exposed(&file.metadata().map_err(fail)?) {
            let message =
                format!("{} can be read by other users; stop the engine and remove it", path.display());
            return Err(Error::new(ErrorKind::Failed, message));
        }
        let mut bytes = Vec::new();
        file.take(ENGINE_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(fail)?;
        let read: Option<Announcement> = serde_json::from_slice(&bytes).ok();
        // The token goes to this machine alone, whatever the file says.
        Ok(read.filter(|announcement| announcement.address.ip().is_loopback()))
    }

    /// Removes what an engine left that did not end in order. The caller must own the data directory's engine.
    pub fn forget(data_dir: &Path) {
        // One that stays behind names an address where nobody answers.
        let _ = fs::remove_file(data_dir.join(ENGINE_FILE));
    }

    /// Writes it for other programs of this user.
    pub(super) fn write(&self, data_dir: &Path) -> Result<Written, Error> {
        let path = data_dir.join(ENGINE_FILE);
        let bytes = serde_json::to_vec(self).map_err(|error| {
            Error::because(ErrorKind::Failed, "the announcement cannot be written", error)
        })?;
        write_private(&path, &bytes).map_err(|error| {
            Error::because(ErrorKind::Failed, format!("{} cannot be written: {error}", path.display()), error)
        })?;
        Ok(Written { path })
    }
}

/// An announcement that stands; taken back when dropped.
#[derive(Debug)]
pub(super) struct Written {
    path: PathBuf,
}

impl Drop for Written {
    fn drop(&mut self) {
        // One that stays behind names an address where nobody answers.
        let _ = fs::remove_file(&self.path);
    }
}
