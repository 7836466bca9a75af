use calmirror::api::RangeCall;
use clap::Args;
use serde_json::json;

use crate::args::Globals;
use crate::command::range::Range;
use crate::output::Output;
use crate::setup::{Failure, Setup};

/// Write events as iCalendar: all that is mirrored, unless said otherwise
///
/// Private events are written whole, marked private: the calendar is the user's own. Keep the file accordingly.
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    range: Range,
}

impl Export {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        let text = setup.mirrors.export(&account, &RangeCall::from(self.range))?;
        if output.is_json() {
            output.json(&json!({ "icalendar": text }))?;
        } else {
            output.raw(text.as_bytes())?;
        }
        Ok(0)
    }
}
