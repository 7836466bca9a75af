use std::sync::Arc;
use std::time::Duration;

use calmirror::api::{Error, ErrorKind};
use calmirror::config::ConfigFile;
use calmirror::local::{Door, Listen};
use calmirror::ports::{Method, Request};
use clap::Args;
use serde_json::{Value, json};

use crate::args::Globals;
use crate::command::sync::announced;
use crate::engine::{Stop, edges, only, open, runtime};
use crate::output::{Output, Tone};
use crate::setup::{Failure, Setup, new_mirrors};

/// Keep every account in step and answer on a loopback address until stopped
///
/// Where to ask and with which token stands in <data-dir>/engine.json, which only this user can read. The link that is
/// printed opens the page in one browser, once and within ten minutes.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen: a loopback address; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: Listen,

    /// Print a further link to the page of the engine that runs already, and end
    #[arg(long, conflicts_with = "listen")]
    link: bool,
}

/// The most bytes of the answer to the question for a link, and the longest it may take.
const LINK_BYTES_MAX: usize = 4_096;
const LINK_TIMEOUT: Duration = Duration::from_secs(10);

impl Serve {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        if self.link {
            return print_link(&setup, output);
        }
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
                "link": door.invite(),
            }))?;
        } else {
            let address = output.tone(format!("http://{}", announcement.address), Tone::Heading);
            output.line(format!(
                "Serving {address} until Ctrl-C; the token is in {}.",
                setup.data_dir.join(calmirror::local::ENGINE_FILE).display()
            ))?;
            output.note(format!("The page, once and within ten minutes: {}", door.invite().expose()));
        }
        output.flush()?;
        let report = engine.watch(&mut |seen| tracing::debug!(?seen, "watching"))?;
        tracing::info!(wake_ups = report.wake_ups, polls = report.polls, "stopped");
        engine.runtime().block_on(door.close());
        Ok(0)
    }
}

/// Asks the engine that runs for a link.
fn print_link(setup: &Setup, output: &mut Output) -> Result<u8, Failure> {
    let engine = announced(&setup.data_dir)?.ok_or_else(|| {
        Failure::new(ErrorKind::Failed, "no engine serves this data directory; start `calmirror serve`")
    })?;
    let request = Request {
        method: Method::Post,
        url: format!("http://{}/v1/page/link", engine.address),
        headers: vec![("content-length", "0".to_owned())],
        bearer: Some(engine.token.clone()),
        body: Some(Vec::new()),
        reply_bytes_max: LINK_BYTES_MAX,
        timeout: LINK_TIMEOUT,
    };
    let reply = runtime()?.block_on(edges()?.http.send(request)).map_err(|error| {
        Failure::Api(Error::because(ErrorKind::Failed, "the running engine does not answer", error))
    })?;
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let link = answer.get("link").and_then(Value::as_str).ok_or_else(|| {
        Failure::new(ErrorKind::Failed, "the running engine knows no page; it may be of another version")
    })?;
    if output.is_json() {
        output.json(&json!({ "link": link }))?;
    } else {
        output.line(link)?;
    }
    Ok(0)
}
