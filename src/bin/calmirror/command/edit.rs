use calmirror::api::{Act, EditCall};
use clap::Args;

use crate::args::Globals;
use crate::command::fields::{FieldsArgs, edit_and_print};
use crate::output::Output;
use crate::setup::{Failure, Setup};

/// Change an event, or move it into another calendar
///
/// What is not named stays. A start alone moves the event and keeps its length; an empty text clears a field. The
/// agenda shows it at once; it goes to the server with the next sync.
#[derive(Debug, Args)]
pub struct Edit {
    /// Its id, or the beginning of one; a series' id means the series
    id: String,
    /// The whole series that it belongs to
    #[arg(long)]
    series: bool,
    #[command(flatten)]
    fields: FieldsArgs,
}

impl Edit {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let fields = self.fields.call()?;
        let act = Act::Edit(EditCall {
            id: self.id,
            is_series: self.series,
            calendar: self.fields.calendar,
            tz: self.fields.tz,
            fields,
        });
        edit_and_print(&setup, &act, "Changed", output)
    }
}
