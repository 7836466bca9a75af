use calmirror::engine::SignOut;
use clap::Args;
use serde_json::json;

use crate::args::Globals;
use crate::command::loss::{Loss, accept_loss, refused};
use crate::engine::{only, open_alone};
use crate::output::Output;
use crate::setup::{Failure, Setup};

/// Forget an account's tokens
///
/// Queries go on answering from the mirror, unless it is wiped. Edits that the server does not have are listed before
/// they are given up with the mirror, and the account's name must be typed; where nobody can type it, wiping is
/// refused (exit 5) without --force.
#[derive(Debug, Args)]
pub struct Logout {
    /// Delete the mirror too
    #[arg(long)]
    wipe: bool,
    /// Give up edits that were not sent, without asking
    #[arg(long, requires = "wipe")]
    force: bool,
}

impl Logout {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        let mut engine = open_alone(only(setup.mirrors.config(), &account.name), &setup.data_dir)?;
        let mut lost = 0;
        if self.wipe {
            match accept_loss(&setup, &account, self.force, output)? {
                Loss::Accepted(count) => lost = count,
                Loss::Refused(items) => {
                    if output.is_json() {
                        output.json(&json!({"name": account.name, "wiped": false, "pending": items}))?;
                    }
                    return Err(refused(&items));
                }
            }
        }
        engine.sign_out(&account.name, if self.wipe { SignOut::Wipe } else { SignOut::Keep })?;
        if output.is_json() {
            output.json(&json!({
                "name": account.name, "signed_in": false, "wiped": self.wipe, "edits_lost": lost,
            }))?;
        } else if self.wipe {
            let edits = if lost == 0 { "" } else { " and the edits that were not sent are given up" };
            output.line(format!("Signed out: {}. Its mirror is deleted{edits}.", account.name))?;
        } else {
            output.line(format!("Signed out: {}. Its mirror still answers.", account.name))?;
        }
        Ok(0)
    }
}
