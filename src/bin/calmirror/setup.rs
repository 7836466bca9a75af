//! What a command stands on: configuration, paths, the account meant, and how it may fail.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use calmirror::api::{Error, ErrorKind, Mirrors};
use calmirror::config::{CONFIG_BYTES_MAX, Config, Effective, Problem};
use calmirror::system;
use calmirror::zones::Zones;
use serde_json::{Value, json};

use crate::args::Globals;

/// Why a command ended without its result.
#[derive(Debug)]
pub enum Failure {
    /// What the engine says.
    Api(Error),
    /// A configuration with mistakes.
    Config { path: PathBuf, problems: Vec<Problem> },
    /// Nobody reads stdout any more.
    PipeClosed,
}

impl Failure {
    /// A failure of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Failure {
        Failure::Api(Error::new(kind, message))
    }

    /// A wrong argument.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(ErrorKind::Usage, message)
    }

    /// Something that cannot happen.
    pub fn bug(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
        Failure::Api(Error::because(ErrorKind::Failed, format!("internal error: {error}"), error))
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Api(error) => error.kind().exit_code(),
            Failure::Config { .. } => ErrorKind::Usage.exit_code(),
            Failure::PipeClosed => 0,
        }
    }

    pub fn to_json(&self) -> Value {
        match self {
            Failure::Api(error) => {
                let mut members = json!({"kind": error.kind().code(), "message": error.to_string()});
                if let (Some(rule), Some(members)) = (error.rule(), members.as_object_mut()) {
                    members.insert("rule".to_owned(), rule.into());
                }
                json!({ "error": members })
            }
            Failure::Config { path, problems } => json!({"error": {
                "kind": ErrorKind::Usage.code(),
                "message": format!("the configuration {} has mistakes", path.display()),
                "problems": problems,
            }}),
            Failure::PipeClosed => Value::Null,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Api(error) => write!(f, "calmirror: {error}"),
            Failure::Config { path, problems } => {
                write!(f, "calmirror: the configuration {} has mistakes:", path.display())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
            Failure::PipeClosed => Ok(()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Api(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::PipeClosed
        } else {
            Failure::Api(Error::because(ErrorKind::Failed, format!("cannot write: {error}"), error))
        }
    }
}

/// What most commands stand on.
pub struct Setup {
    pub globals: Globals,
    pub config_path: PathBuf,
    pub data_dir: PathBuf,
    pub mirrors: Mirrors,
}

impl Setup {
    /// Reads the configuration.
    pub fn load(globals: &Globals) -> Result<Setup, Failure> {
        let config_path = config_path(globals)?;
        let text = read_config(&config_path)?;
        let mut config = Config::parse(&text)
            .map_err(|problems| Failure::Config { path: config_path.clone(), problems })?;
        let beside = std::path::absolute(&config_path).unwrap_or_else(|_| config_path.clone());
        if let Some(folder) = beside.parent() {
            config.rebase(folder);
        }
        let data_dir = data_dir(globals)?;
        if data_dir.exists() && !data_dir.is_dir() {
            let shown = data_dir.display();
            return Err(Failure::usage(format!("{shown} is no directory: name one with --data-dir DIR")));
        }
        let mirrors = new_mirrors(config, &data_dir);
        Ok(Setup { config_path, mirrors, data_dir, globals: globals.clone() })
    }

    /// The account meant: the named one, else the only one.
    pub fn account(&self) -> Result<Effective, Failure> {
        Ok(self.mirrors.account(self.globals.account.as_deref())?)
    }

    /// The accounts meant: the named one, else all.
    pub fn accounts(&self) -> Result<Vec<Effective>, Failure> {
        if self.globals.account.is_some() {
            return Ok(vec![self.account()?]);
        }
        let config = self.mirrors.config();
        Ok(config.accounts.iter().filter_map(|account| config.resolve(&account.name)).collect())
    }
}

/// The mirrors, on this machine's clock and the newer of its two zone databases.
pub fn new_mirrors(config: Config, data_dir: &Path) -> Mirrors {
    let zones = Zones::newest(Some(Path::new(calmirror::system::ZONE_DIR)));
    Mirrors::new(config, data_dir.to_path_buf(), system::system_clock(), zones, system::time_zone_name())
}

/// The configuration file meant.
pub fn config_path(globals: &Globals) -> Result<PathBuf, Failure> {
    globals.config.clone().or_else(system::default_config_path).ok_or_else(|| {
        Failure::usage("there is no home directory: say where the configuration is with --config FILE")
    })
}

/// The data directory meant.
pub fn data_dir(globals: &Globals) -> Result<PathBuf, Failure> {
    globals.data_dir.clone().or_else(system::default_data_dir).ok_or_else(|| {
        Failure::usage("there is no home directory: say where to keep data with --data-dir DIR")
    })
}

/// Reads a configuration file within its limit.
pub fn read_config(path: &Path) -> Result<String, Failure> {
    use std::io::Read;
    let shown = path.display();
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::usage(format!(
                "there is no configuration at {shown}; write one (see the README), name one with --config FILE, \
                 or try `calmirror demo`, which needs none"
            )));
        }
        Err(error) => {
            return Err(Failure::usage(format!("the configuration {shown} cannot be read: {error}")));
        }
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(CONFIG_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("the configuration {shown} cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|b| **b == b'\n').count();
        let message = "is not UTF-8 text".to_owned();
        let problems = vec![Problem { line: line.saturating_add(1), key: String::new(), message }];
        Failure::Config { path: path.to_path_buf(), problems }
    })
}

/// A variable of the environment.
#[expect(clippy::disallowed_methods, reason = "the program is where the environment is read")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Sends log lines to stderr: `CALMIRROR_LOG` decides, else `-v` and `-q`.
pub fn start_logging(globals: &Globals) {
    let level = match (globals.quiet, globals.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "calmirror=info,warn",
        (false, _) => "calmirror=debug,info",
    };
    let filter = match environment("CALMIRROR_LOG").filter(|text| !text.is_empty()) {
        Some(text) => tracing_subscriber::EnvFilter::try_new(text),
        None => tracing_subscriber::EnvFilter::try_new(level),
    };
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(
            io::IsTerminal::is_terminal(&io::stderr())
                && environment("NO_COLOR").is_none_or(|v| v.is_empty()),
        )
        .with_target(false)
        .init();
}
