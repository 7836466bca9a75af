//! What an instance is opened with, typed or as one JSON object.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::api::{Error, ErrorKind};
use crate::config::{CONFIG_BYTES_MAX, Config};
use crate::engine::Edges;
use crate::http::HttpClient;
use crate::system::{SystemClock, SystemEntropy, ZONE_DIR, default_config_path, default_data_dir};
use crate::vault::{NoKeyring, system_keyring};
use crate::zones::Zones;

/// The most bytes of the JSON object: a configuration, escaped, and its paths.
pub const OPTIONS_BYTES_MAX: usize = 4 * CONFIG_BYTES_MAX;
/// Mistakes of a configuration that are told at once.
const PROBLEMS_MAX: usize = 5;

/// Whether an instance keeps its mirrors in step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It owns the data directory and syncs; one process at a time can.
    #[default]
    Engine,
    /// It answers, and records edits for the process that syncs.
    Reader,
}

/// What an instance is opened with.
#[derive(Clone)]
pub struct Options {
    /// The accounts.
    pub config: Config,
    /// Where the mirrors are.
    pub data_dir: PathBuf,
    /// Whether it syncs.
    pub role: Role,
    /// The outside world.
    pub edges: Edges,
    /// The zone rules.
    pub zones: Zones,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("role", &self.role).finish_non_exhaustive()
    }
}

/// The JSON object of [`Options::read`].
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wire {
    config: Option<String>,
    config_file: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    role: Role,
    keyring: Option<bool>,
}

impl Options {
    /// The real world: this machine's clock, network, keyring and zone rules.
    ///
    /// # Errors
    /// `Failed` when the HTTP client cannot be set up.
    pub fn new(config: Config, data_dir: PathBuf) -> Result<Options, Error> {
        let http =
            HttpClient::new().map_err(|error| Error::because(ErrorKind::Failed, error.to_string(), error))?;
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let edges = Edges { http, clock, entropy, keyring: system_keyring() };
        let zones = Zones::newest(Some(Path::new(ZONE_DIR)));
        Ok(Options { config, data_dir, role: Role::Engine, edges, zones })
    }

    /// Reads a JSON object: `config` (the configuration's TOML text) or `config_file`, `data_dir`, `role` (`engine` or
    /// `reader`), `keyring` (false: the key of the tokens lies in a file). All may be left out: the paths are the
    /// platform's then, as the program's. Relative paths in a `config` text are relative to `data_dir`.
    ///
    /// # Errors
    /// `Usage` for an unknown member or a configuration with mistakes; as [`Options::new`].
    pub fn read(bytes: &[u8]) -> Result<Options, Error> {
        if bytes.len() > OPTIONS_BYTES_MAX {
            return Err(usage(format!("the options are longer than {OPTIONS_BYTES_MAX} bytes")));
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| {
            // Its text may repeat a value: the place and the names that are known suffice.
            let (line, column) = (error.line(), error.column());
            usage(format!(
                "the options are not understood from line {line}, column {column} on: a JSON object of `config` or \
                 `config_file`, `data_dir`, `role` and `keyring`"
            ))
        })?;
        let data_dir = wire.data_dir.or_else(default_data_dir).ok_or_else(|| no_home("data_dir"))?;
        let config = match (wire.config, wire.config_file) {
            (Some(_), Some(_)) => return Err(usage("say either `config` or `config_file`")),
            (Some(text), None) => {
                let mut config = parse(&text)?;
                config.rebase(&std::path::absolute(&data_dir).unwrap_or_else(|_| data_dir.clone()));
                config
            }
            (None, file) => {
                let file = file.or_else(default_config_path).ok_or_else(|| no_home("config_file"))?;
                let mut config = parse(&read_file(&file)?)?;
                let file = std::path::absolute(&file).unwrap_or(file);
                if let Some(folder) = file.parent() {
                    config.rebase(folder);
                }
                config
            }
        };
        let mut options = Options { role: wire.role, ..Options::new(config, data_dir)? };
        if wire.keyring == Some(false) {
            options.edges.keyring = Arc::new(NoKeyring);
        }
        Ok(options)
    }
}

fn usage(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, message)
}

fn no_home(name: &str) -> Error {
    usage(format!("there is no home directory: say `{name}`"))
}

fn parse(text: &str) -> Result<Config, Error> {
    Config::parse(text).map_err(|problems| {
        let told: Vec<String> = problems.iter().take(PROBLEMS_MAX).map(ToString::to_string).collect();
        usage(format!("the configuration has mistakes: {}", told.join("; ")))
    })
}

fn read_file(path: &Path) -> Result<String, Error> {
    let unread = |error: std::io::Error| {
        let message = format!("the configuration {} cannot be read: {error}", path.display());
        Error::because(ErrorKind::Usage, message, error)
    };
    let limit = u64::try_from(CONFIG_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(unread)?.take(limit).read_to_end(&mut bytes).map_err(unread)?;
    String::from_utf8(bytes).map_err(|_| usage("the configuration is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_refused_with_a_reason() {
        let options = Options::read(br#"{"config":"","data_dir":"data","role":"reader"}"#).unwrap();
        assert_eq!((options.role, options.data_dir), (Role::Reader, PathBuf::from("data")));
        for (text, expected) in [
            ("", "a JSON object"),
            ("7", "a JSON object"),
            (r#"{"colour":1}"#, "a JSON object"),
            (r#"{"role":"boss"}"#, "`role`"),
            (r#"{"config":"","config_file":"x","data_dir":"d"}"#, "either"),
            (r#"{"config":"colour = 1","data_dir":"d"}"#, "line 1"),
            (r#"{"config_file":"/nowhere/there","data_dir":"d"}"#, "cannot be read"),
        ] {
            let error = Options::read(text.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
        let long = vec![b' '; OPTIONS_BYTES_MAX + 1];
        assert!(Options::read(&long).unwrap_err().to_string().contains("longer"));
    }
}
