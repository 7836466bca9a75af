use calmirror::api::{Act, RespondCall};
use calmirror::model::Answer;
use clap::Args;

use crate::args::Globals;
use crate::command::fields::edit_and_print;
use crate::output::Output;
use crate::setup::{Failure, Setup};

/// Answer an invitation
#[derive(Debug, Args)]
pub struct Respond {
    /// Its id, or the beginning of one; a series' id means the series
    id: String,
    /// accept, tentative or decline
    #[arg(value_name = "ANSWER", value_parser = answer)]
    answer: Answer,
    /// The whole series that it belongs to
    #[arg(long)]
    series: bool,
    /// What the organizer reads
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    comment: Option<String>,
    /// Tell nobody
    #[arg(long)]
    silent: bool,
}

fn answer(text: &str) -> Result<Answer, String> {
    Answer::from_code(text).ok_or_else(|| format!("one of {}", Answer::CODES.join(", ")))
}

impl Respond {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let act = Act::Respond(RespondCall {
            id: self.id,
            is_series: self.series,
            answer: self.answer,
            comment: self.comment.unwrap_or_default(),
            is_silent: self.silent,
        });
        edit_and_print(&setup, &act, "Answered", output)
    }
}
