use calmirror::api::{Act, ForwardCall, read_invitee};
use clap::Args;

use crate::args::Globals;
use crate::command::fields::edit_and_print;
use crate::output::Output;
use crate::setup::{Failure, Setup};

/// Send an invitation on to others
#[derive(Debug, Args)]
pub struct Forward {
    /// Its id, or the beginning of one; a series' id means the series
    id: String,
    /// To whom: `a@b` or `Name <a@b>`
    #[arg(required = true, num_args = 1.., value_name = "WHO")]
    to: Vec<String>,
    /// The whole series that it belongs to
    #[arg(long)]
    series: bool,
    /// What they read
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    comment: Option<String>,
}

impl Forward {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let act = Act::Forward(ForwardCall {
            id: self.id,
            is_series: self.series,
            to: self.to.iter().map(|who| read_invitee(who).person).collect(),
            comment: self.comment.unwrap_or_default(),
        });
        edit_and_print(&setup, &act, "Forwarded", output)
    }
}
