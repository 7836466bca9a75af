use std::net::SocketAddr;
use std::path::PathBuf;

use calmirror::api::{Error, ErrorKind};
use calmirror::emulator::{Options, Running, Seeding, Source, serve};
use calmirror::system::{stop_requested, system_clock};
use clap::Args;

use crate::engine::runtime;
use crate::output::Output;
use crate::setup::Failure;

/// The largest mailbox document that is read.
const DOCUMENT_BYTES_MAX: u64 = 256 << 20;

/// The most events that are made up: they are kept in memory.
const EVENTS_MAX: i64 = 500_000;

/// Run the Graph and OAuth emulator until stopped
///
/// The first line on stdout is JSON: {"graph_url","authority_url","control_url","ews_url","users"}. Sign-in approves itself
/// as the first user unless login_hint names another. Faults and edits are scripted through the control URL.
#[derive(Debug, Args)]
pub struct Emulate {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Serve the mailboxes of this document instead of made-up ones
    #[arg(long, value_name = "FILE", conflicts_with = "events")]
    mailbox: Option<PathBuf>,
    /// Makes up the same mailboxes every time
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many events the first mailbox holds
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(..=EVENTS_MAX))]
    events: u32,
}

impl Emulate {
    pub fn run(self, output: &mut Output) -> Result<u8, Failure> {
        let clock = system_clock();
        let source = match &self.mailbox {
            Some(path) => Source::Document { text: read_document(path)?, seed: self.seed },
            None => {
                let events = usize::try_from(self.events).unwrap_or(usize::MAX);
                Source::Seeded(Seeding { seed: self.seed, events, now_ms: clock.now_ms() })
            }
        };
        let options = Options { listen: self.listen, source, clock };
        runtime()?.block_on(async {
            let running = start(options).await?;
            output.json_line(&running.first_line())?;
            stop_requested().await?;
            running.stop().await;
            Ok(0)
        })
    }
}

/// Starts an emulator.
pub async fn start(options: Options) -> Result<Running, Failure> {
    serve(options)
        .await
        .map_err(|error| Failure::Api(Error::because(ErrorKind::Usage, error.to_string(), error)))
}

fn read_document(path: &std::path::Path) -> Result<String, Failure> {
    let failed = |reason: String| Failure::usage(format!("{} cannot be read: {reason}", path.display()));
    let bytes = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if bytes > DOCUMENT_BYTES_MAX {
        return Err(failed(format!("it is larger than {DOCUMENT_BYTES_MAX} bytes")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))
}
