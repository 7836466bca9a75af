use calmirror::api::ErrorKind;
use calmirror::config::SourceKind;
use calmirror::engine::{DevicePrompt, OtherMailbox};
use clap::Args;

use crate::args::Globals;
use crate::command::accounts;
use crate::engine::{only, open};
use crate::output::{Output, Tone};
use crate::setup::{Failure, Setup};
use crate::text::{clean, rough_span};

/// Sign an account in
///
/// By device code: open the address shown on stderr in any browser and type the code there. Tokens are kept in a
/// file of mode 0600 in the data directory.
#[derive(Debug, Args)]
pub struct Login {
    /// Sign in by device code (the only way in this version)
    #[arg(long)]
    device_code: bool,
    /// Allow another mailbox than the mirror's, whose mirror is then deleted
    #[arg(long)]
    replace: bool,
}

impl Login {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        if account.source.value != SourceKind::Microsoft365 {
            let source = account.source.value.code();
            return Err(Failure::usage(format!("an account of source {source} needs no sign-in")));
        }
        if !self.device_code {
            output.note("calmirror: signing in by device code; this version opens no browser");
        }
        let other = if self.replace { OtherMailbox::Replace } else { OtherMailbox::Refuse };
        let mut engine = open(only(setup.mirrors.config(), &account.name), &setup.data_dir)?;
        let mut prompt = |prompt: &DevicePrompt| eprint_prompt(prompt);
        engine.sign_in(&account.name, other, &mut prompt)?;
        drop(engine);

        let row = accounts::row(&setup, &account);
        if let Some(problem) = row.problem {
            return Err(Failure::new(ErrorKind::Failed, problem));
        }
        if output.is_json() {
            output.json(&row)?;
            return Ok(0);
        }
        let done = output.tone("Signed in", Tone::Good);
        output.line(format!("{done}: {}.", account.name))?;
        if !row.scopes_missing.is_empty() {
            let missing = row.scopes_missing.join(", ");
            output.line(format!("Not granted: {}. Ask an administrator for consent.", clean(&missing)))?;
        }
        output.line("Next: calmirror sync")?;
        Ok(0)
    }
}

/// The prompt is for a person at stderr, whatever stdout is for.
#[expect(clippy::print_stderr, reason = "the prompt is shown while the engine waits, from inside its call")]
fn eprint_prompt(prompt: &DevicePrompt) {
    let (url, code) = (clean(&prompt.verification_url), clean(&prompt.user_code));
    let valid = rough_span(i64::try_from(prompt.valid.as_secs()).unwrap_or(i64::MAX));
    eprintln!("To sign in, open {url} and enter the code {code} (valid for {valid}).");
}
