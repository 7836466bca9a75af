//! How commands get an engine and wait: the one place that builds the real edges.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use calmirror::api::{Error, ErrorKind};
use calmirror::config::Config;
use calmirror::engine::{Edges, Engine};
use calmirror::http::HttpClient;
use calmirror::local::Announcement;
use calmirror::system::{StopSignals, SystemEntropy, system_clock};
use calmirror::vault::system_keyring;

use crate::setup::Failure;

/// The exit code of a process that was interrupted before it could end in order.
pub const INTERRUPTED: i32 = 130;

/// The real world.
pub fn edges() -> Result<Edges, Failure> {
    Ok(Edges {
        http: HttpClient::new()
            .map_err(|error| Error::because(ErrorKind::Failed, error.to_string(), error))?,
        clock: system_clock(),
        entropy: Arc::new(SystemEntropy),
        keyring: system_keyring(),
    })
}

/// Takes the data directory.
pub fn open(config: Config, data_dir: &Path) -> Result<Engine, Failure> {
    let engine = Engine::open(config, data_dir, edges()?)?;
    // Whoever announced itself here is gone: the lock is ours.
    Announcement::forget(data_dir);
    Ok(engine)
}

/// The same for a command that changes who is signed in: it cannot share the data directory with an engine.
pub fn open_alone(config: Config, data_dir: &Path) -> Result<Engine, Failure> {
    open(config, data_dir).map_err(|failure| match failure {
        Failure::Api(error) if error.kind() == ErrorKind::Busy => {
            let text = format!("{error}; stop it, run this command again, then start it again");
            Failure::Api(Error::because(ErrorKind::Busy, text, error))
        }
        failure => failure,
    })
}

/// A configuration of one account alone.
pub fn only(config: &Config, account: &str) -> Config {
    let mut config = config.clone();
    config.accounts.retain(|known| known.name == account);
    config
}

/// A runtime of this thread, for commands without an engine.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| {
        Failure::Api(Error::because(ErrorKind::Failed, "the runtime could not be started", error))
    })
}

/// The user's wish to stop: Ctrl-C or a signal. The second one ends the process at once.
#[derive(Clone)]
pub struct Stop {
    state: Arc<(Mutex<bool>, Condvar)>,
}

impl Stop {
    /// Listens from now on; `on_stop` is called once, on a thread of its own.
    pub fn listen(on_stop: impl FnOnce() + Send + 'static) -> Result<Stop, Failure> {
        let stop = Stop { state: Arc::new((Mutex::new(false), Condvar::new())) };
        let (runtime, state) = (runtime()?, stop.state.clone());
        let mut signals = {
            let _inside = runtime.enter();
            StopSignals::listen()?
        };
        std::thread::Builder::new().name("calmirror-stop".to_owned()).spawn(move || {
            runtime.block_on(signals.next());
            *state.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            state.1.notify_all();
            on_stop();
            runtime.block_on(signals.next());
            std::process::exit(INTERRUPTED);
        })?;
        Ok(stop)
    }

    /// Waits for `duration`; whether the user asked to stop before or meanwhile.
    pub fn wait(&self, duration: Duration) -> bool {
        let (stopped, changed) = (&self.state.0, &self.state.1);
        let stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        match changed.wait_timeout_while(stopped, duration, |stopped| !*stopped) {
            Ok((stopped, _)) => *stopped,
            Err(poisoned) => *poisoned.into_inner().0,
        }
    }
}
