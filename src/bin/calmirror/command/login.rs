use calmirror::api::ErrorKind;
use calmirror::config::{Effective, SourceKind};
use calmirror::engine::{BrowserPrompt, DevicePrompt, OtherMailbox};
use clap::Args;
use serde_json::json;

use crate::args::Globals;
use crate::browser;
use crate::command::accounts;
use crate::command::loss::{Loss, accept_loss, refused};
use crate::engine::{only, open_alone};
use crate::output::{Output, Tone};
use crate::setup::{Failure, Setup};
use crate::text::{clean, policy_text, rough_span};

/// Sign an account in
///
/// In your browser, which comes back to this program by itself; or by device code, in any browser on any machine.
/// Addresses and codes are shown on stderr. `BROWSER` names another browser than the desktop's.
#[derive(Debug, Args)]
pub struct Login {
    /// Sign in with another browser or machine: shows an address and a code
    #[arg(long)]
    device_code: bool,
    /// Start no browser: shows the address to open in a browser on this machine
    #[arg(long, conflicts_with = "device_code")]
    no_browser: bool,
    /// Allow another mailbox than the mirror's, whose mirror is then deleted
    #[arg(long)]
    replace: bool,
    /// Give up edits that were not sent, without asking, when another mailbox replaces the mirror
    #[arg(long, requires = "replace")]
    force: bool,
}

impl Login {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        if account.source.value != SourceKind::Microsoft365 {
            let source = account.source.value.code();
            return Err(Failure::usage(format!("an account of source {source} needs no sign-in")));
        }
        if account.is_application() {
            let row = accounts::row(&setup, &account);
            if let Some(problem) = row.problem {
                return Err(Failure::usage(problem));
            }
            if output.is_json() {
                output.json(&row)?;
            } else {
                output.line(format!(
                    "{} needs no sign-in: its method is server, so the application signs in by itself.",
                    account.name
                ))?;
                output.line("Next: calmirror sync")?;
            }
            return Ok(0);
        }
        let other = if self.replace { OtherMailbox::Replace } else { OtherMailbox::Refuse };
        if let Some(reason) = policy_text(&account) {
            return Err(Failure::new(ErrorKind::Refused, format!("account `{}`: {reason}", account.name)));
        }
        let mut engine = open_alone(only(setup.mirrors.config(), &account.name), &setup.data_dir)?;
        if !globals.quiet {
            note_permissions(output, &account);
        }
        if self.replace
            && let Loss::Refused(items) = accept_loss(&setup, &account, self.force, output)?
        {
            if output.is_json() {
                output.json(&json!({"name": account.name, "pending": items}))?;
            }
            return Err(refused(&items));
        }
        if self.device_code {
            engine.sign_in(&account.name, other, &mut |prompt| eprint_code(prompt))?;
        } else {
            let starts = !self.no_browser;
            engine
                .sign_in_with_browser(&account.name, other, &mut |prompt| eprint_address(prompt, starts))?;
        }
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
            output.line(format!(
                "Not granted: {}. `calmirror login` asks again; if the page asks for an administrator, mail them its address.",
                clean(&missing)
            ))?;
        }
        output.line("Next: calmirror sync")?;
        Ok(0)
    }
}

/// What the page is going to ask, and why.
fn note_permissions(output: &mut Output, account: &Effective) {
    output.note("The sign-in page asks for these permissions:");
    for (scope, purpose) in account.scope_purposes() {
        output.note(format!("  {} - {purpose}", clean(scope)));
    }
}

/// The prompt is for a person at stderr, whatever stdout is for.
#[expect(clippy::print_stderr, reason = "the prompt is shown while the engine waits, from inside its call")]
fn eprint_code(prompt: &DevicePrompt) {
    let (url, code) = (clean(&prompt.verification_url), clean(&prompt.user_code));
    let valid = rough_span(i64::try_from(prompt.valid.as_secs()).unwrap_or(i64::MAX));
    eprintln!("To sign in, open {url} and enter the code {code} (valid for {valid}).");
}

/// The address is shown in any case: a browser that was started may show nothing.
#[expect(clippy::print_stderr, reason = "the prompt is shown while the engine waits, from inside its call")]
fn eprint_address(prompt: &BrowserPrompt, starts: bool) {
    let url = clean(&prompt.authorize_url);
    let valid = rough_span(i64::try_from(prompt.valid.as_secs()).unwrap_or(i64::MAX));
    if starts && browser::open(&prompt.authorize_url) {
        eprintln!(
            "Your browser opens to sign you in. If it does not, open this address (valid for {valid}):"
        );
    } else {
        eprintln!("To sign in, open this address in a browser on this machine (valid for {valid}),");
        eprintln!("or use `calmirror login --device-code` with any other:");
    }
    eprintln!("{url}");
}
