use calmirror::engine::SignOut;
use clap::Args;
use serde_json::json;

use crate::args::Globals;
use crate::engine::{only, open};
use crate::output::Output;
use crate::setup::{Failure, Setup};

/// Forget an account's tokens
///
/// Queries go on answering from the mirror, unless it is wiped.
#[derive(Debug, Args)]
pub struct Logout {
    /// Delete the mirror too
    #[arg(long)]
    wipe: bool,
}

impl Logout {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        let mut engine = open(only(setup.mirrors.config(), &account.name), &setup.data_dir)?;
        engine.sign_out(&account.name, if self.wipe { SignOut::Wipe } else { SignOut::Keep })?;
        if output.is_json() {
            output.json(&json!({"name": account.name, "signed_in": false, "wiped": self.wipe}))?;
        } else if self.wipe {
            output.line(format!("Signed out: {}. Its mirror is deleted.", account.name))?;
        } else {
            output.line(format!("Signed out: {}. Its mirror still answers.", account.name))?;
        }
        Ok(0)
    }
}
