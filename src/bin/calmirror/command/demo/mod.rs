//! The main job, end to end, over real HTTP to the emulator in this process.

mod compare;
mod mailbox;
mod stage;
mod teller;

use clap::Args;

use crate::args::Globals;
use crate::output::Output;
use crate::setup::Failure;

use stage::Stage;

/// Show the whole job on the built-in emulator; nothing to configure
///
/// Starts a Graph server on a loopback port and works in a throw-away directory: sign-in, first sync, today's
/// agenda, changes that arrive by delta, edits while the network is cut, and convergence.
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep running with the local API until Ctrl-C
    #[arg(long)]
    serve: bool,
}

impl Demo {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let mut stage = Stage::set(output)?;
        stage.sign_in(output)?;
        stage.first_sync(output)?;
        stage.agenda(output)?;
        stage.changes_arrive(output)?;
        stage.network_cut(output)?;
        stage.reconnect(output)?;
        stage.summary(output)?;
        if self.serve {
            stage.serve(globals, output)?;
        }
        Ok(0)
    }
}
