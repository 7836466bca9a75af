//! The commands, one a file.

pub mod accounts;
pub mod add;
pub mod agenda;
pub mod busy;
pub mod changes;
pub mod completions;
pub mod config;
pub mod conflicts;
#[cfg(feature = "emulator")]
pub mod demo;
pub mod doctor;
pub mod edit;
#[cfg(feature = "emulator")]
pub mod emulate;
pub mod forward;
pub mod free;
pub mod login;
pub mod logout;
pub mod man;
pub mod open;
pub mod outbox;
pub mod presence;
pub mod reminders;
pub mod respond;
pub mod rm;
pub mod search;
pub mod serve;
pub mod show;
pub mod status;
pub mod sync;

mod event_table;
mod fields;
mod loss;
mod range;

use crate::args::{Arguments, Command};
use crate::output::Output;
use crate::setup::Failure;

/// Runs the command; the exit code it ends with.
pub fn run(arguments: Arguments, output: &mut Output) -> Result<u8, Failure> {
    let globals = &arguments.globals;
    match arguments.command {
        #[cfg(feature = "emulator")]
        Command::Demo(command) => command.run(globals, output),
        #[cfg(feature = "emulator")]
        Command::Emulate(command) => command.run(output),
        Command::Login(command) => command.run(globals, output),
        Command::Logout(command) => command.run(globals, output),
        Command::Accounts(command) => command.run(globals, output),
        Command::Sync(command) => command.run(globals, output),
        Command::Agenda(command) => command.run(globals, output),
        Command::Show(command) => command.run(globals, output),
        Command::Search(command) => command.run(globals, output),
        Command::Free(command) => command.run(globals, output),
        Command::Busy(command) => command.run(globals, output),
        Command::Add(command) => command.run(globals, output),
        Command::Edit(command) => command.run(globals, output),
        Command::Rm(command) => command.run(globals, output),
        Command::Respond(command) => command.run(globals, output),
        Command::Forward(command) => command.run(globals, output),
        Command::Outbox(command) => command.run(globals, output),
        Command::Conflicts(command) => command.run(globals, output),
        Command::Reminders(command) => command.run(globals, output),
        Command::Presence(command) => command.run(globals, output),
        Command::Changes(command) => command.run(globals, output),
        Command::Open(command) => command.run(globals, output),
        Command::Status(command) => command.run(globals, output),
        Command::Doctor(command) => command.run(globals, output),
        Command::Serve(command) => command.run(globals, output),
        Command::Config(command) => command.run(globals, output),
        Command::Completions(command) => command.run(output),
        Command::Man(command) => command.run(output),
    }
}
