use calmirror::api::{Act, RemoveCall};
use clap::Args;

use crate::args::Globals;
use crate::command::fields::edit_and_print;
use crate::output::Output;
use crate::setup::{Failure, Setup};

/// Delete an event, or call a meeting off
///
/// It leaves the agenda at once. Of an organizer's meeting the server mails a cancellation to everybody invited;
/// how many people that are is said before it is sent.
#[derive(Debug, Args)]
pub struct Rm {
    /// Its id, or the beginning of one; a series' id means the series
    id: String,
    /// The whole series that it belongs to
    #[arg(long)]
    series: bool,
    /// Call the meeting off with these words
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    comment: Option<String>,
}

impl Rm {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let act = Act::Remove(RemoveCall { id: self.id, is_series: self.series, comment: self.comment });
        edit_and_print(&setup, &act, "Deleted", output)
    }
}
