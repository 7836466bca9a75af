use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::command::{
    accounts, add, agenda, busy, changes, completions, config, conflicts, doctor, edit, forward, free, login,
    logout, man, open, outbox, presence, reminders, respond, rm, search, serve, show, status, sync,
};
#[cfg(feature = "emulator")]
use crate::command::{demo, emulate};

/// Mirrors Microsoft 365 calendars into SQLite, answers and edits there, with or without a network.
///
/// Try `calmirror demo`: it needs no configuration, no account and no network.
#[derive(Debug, Parser)]
#[command(name = "calmirror", version, propagate_version = true, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Globals {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "CALMIRROR_CONFIG", global = true, hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Where mirrors and tokens are kept
    #[arg(long, value_name = "DIR", env = "CALMIRROR_DATA_DIR", global = true, hide_env_values = true)]
    pub data_dir: Option<PathBuf>,
    /// Which account; may be left out when there is one
    #[arg(long, value_name = "NAME", global = true)]
    pub account: Option<String>,
    /// Print one JSON document (streaming commands: one a line)
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more on stderr; twice for everything
    #[arg(short, long, action = ArgAction::Count, global = true, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say nothing but errors on stderr
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    #[cfg(feature = "emulator")]
    Demo(demo::Demo),
    #[cfg(feature = "emulator")]
    Emulate(emulate::Emulate),
    Login(login::Login),
    Logout(logout::Logout),
    Accounts(accounts::Accounts),
    Sync(sync::Sync),
    Agenda(agenda::Agenda),
    Show(show::Show),
    Search(search::Search),
    Free(free::Free),
    Busy(busy::Busy),
    Add(add::Add),
    Edit(edit::Edit),
    Rm(rm::Rm),
    Respond(respond::Respond),
    Forward(forward::Forward),
    Outbox(outbox::Outbox),
    Conflicts(conflicts::Conflicts),
    Reminders(reminders::Reminders),
    Presence(presence::Presence),
    Changes(changes::Changes),
    Open(open::Open),
    Status(status::Status),
    Doctor(doctor::Doctor),
    Serve(serve::Serve),
    Config(config::ConfigCommand),
    Completions(completions::Completions),
    Man(man::Man),
}
