use std::sync::Arc;

use calmirror::config::ConfigFile;
use calmirror::local::{Door, Listen};
use clap::Args;
use serde_json::json;

use crate::args::Globals;
use crate::engine::{Stop, only, open};
use crate::output::{Output, Tone};
use crate::setup::{Failure, Setup, new_mirrors};

/// Keep every account in step and answer on a loopback address until stopped
///
/// Where to ask and with which token stands in <data-dir>/engine.json, which only this user can read.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen: a loopback address; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: Listen,
}

impl Serve {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let config = match &globals.account {
            Some(_) => only(setup.mirrors.config(), &setup.account()?.name),
            None => setup.mirrors.config().clone(),
        };
        let mut engine = open(config.clone(), &setup.data_dir)?;
        engine.follow(ConfigFile::new(&setup.config_path));
        let mirrors = Arc::new(new_mirrors(config, &setup.data_dir).following(engine.config()));
        let door = engine.runtime().block_on(Door::open(self.listen, mirrors, engine.handle()))?;
        let handle = engine.handle();
        let _stop = Stop::listen(move || handle.stop())?;
        let announcement = door.announcement();
        if output.is_json() {
            output.json_line(&json!({
                "event": "serving",
                "address": announcement.address,
                "pid": announcement.pid,
            }))?;
        } else {
            let address = output.tone(format!("http://{}", announcement.address), Tone::Heading);
            output.line(format!(
                "Serving {address} until Ctrl-C; the token is in {}.",
                setup.data_dir.join(calmirror::local::ENGINE_FILE).display()
            ))?;
        }
        output.flush()?;
        let report = engine.watch(&mut |seen| tracing::debug!(?seen, "watching"))?;
        tracing::info!(wake_ups = report.wake_ups, polls = report.polls, "stopped");
        drop(door);
        Ok(0)
    }
}
