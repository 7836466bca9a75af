use calmirror::api::{Act, AddCall};
use clap::Args;

use crate::args::Globals;
use crate::command::fields::{FieldsArgs, edit_and_print};
use crate::output::Output;
use crate::setup::{Failure, Setup};

/// Make a new event
///
/// It is in the agenda at once and goes to the server with the next sync; needs neither network nor sign-in.
#[derive(Debug, Args)]
pub struct Add {
    #[command(flatten)]
    fields: FieldsArgs,
}

impl Add {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let fields = self.fields.call()?;
        let act = Act::Add(AddCall { calendar: self.fields.calendar, tz: self.fields.tz, fields });
        edit_and_print(&setup, &act, "Added", output)
    }
}
