use calmirror::api::{ErrorKind, Handle, ShowCall};
use clap::Args;
use serde_json::json;

use crate::args::Globals;
use crate::browser;
use crate::output::{Output, Tone, cell, plain_table};
use crate::setup::{Failure, Setup};
use crate::text::clean;

/// Open an event in the program that it belongs to
///
/// An event has handles, the best first; the first that a program on this machine takes is opened.
#[derive(Debug, Args)]
pub struct Open {
    /// Its id, or the beginning of one
    id: String,
    /// Print the handles instead
    #[arg(long)]
    print: bool,
}

impl Open {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        let handles = setup.mirrors.handles(&account, &ShowCall { id: self.id, tz: None })?;
        let opened = match self.print {
            true => None,
            false => handles.iter().position(|handle| browser::open(&handle.target)),
        };
        if output.is_json() {
            output.json(&json!({ "handles": handles, "opened": opened.and_then(|at| handles.get(at)) }))?;
        } else if self.print {
            print(output, &handles)?;
        } else if let Some(handle) = opened.and_then(|at| handles.get(at)) {
            output.line(format!("Opened by its {} handle.", handle.kind.code()))?;
        } else {
            output.line("No program on this machine took it. Open one of these yourself:")?;
            print(output, &handles)?;
        }
        let is_done = self.print || opened.is_some();
        Ok(if is_done { 0 } else { ErrorKind::Failed.exit_code() })
    }
}

fn print(output: &mut Output, handles: &[Handle]) -> Result<(), Failure> {
    let mut table = plain_table(2, &[0]);
    for handle in handles {
        table.add_row([cell(handle.kind.code(), Tone::Faint), cell(clean(&handle.target), Tone::Plain)]);
    }
    output.table(&mut table)
}
