//! The program: translates arguments to calls and answers to text. Holds no rule and no SQL.
//!
//! A command is a file in `command`; the doc comment of its arguments is its help.

mod args;
mod browser;
mod command;
mod engine;
mod output;
mod progress;
mod setup;
mod text;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Arguments;
use crate::output::Output;
use crate::setup::Failure;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Also whoever mistyped gets a document, when documents were asked for.
        Err(error) if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") => {
            let failure = Failure::usage(error.render().to_string().trim().to_owned());
            Output::new(true).complain(&failure);
            return ExitCode::from(failure.exit_code());
        }
        Err(error) => error.exit(),
    };
    setup::start_logging(&arguments.globals);
    let mut output = Output::new(arguments.globals.json);
    match command::run(arguments, &mut output).and_then(|code| Ok(output.flush().map(|()| code)?)) {
        Ok(code) => ExitCode::from(code),
        // Whoever reads has enough: `calmirror agenda | head`.
        Err(Failure::PipeClosed) => ExitCode::SUCCESS,
        Err(failure) => {
            let code = failure.exit_code();
            output.complain(&failure);
            ExitCode::from(code)
        }
    }
}
