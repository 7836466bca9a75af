use calmirror::api::{FreeCall, RangeCall};
use clap::{Args, ValueEnum};

use crate::args::Globals;
use crate::command::busy::print_slots;
use crate::command::range::Range;
use crate::output::Output;
use crate::setup::{Failure, Setup};

/// List free slots: of the next seven days, unless said otherwise
#[derive(Debug, Args)]
pub struct Free {
    #[command(flatten)]
    range: Range,
    /// Only slots at least this long: 30m, 2h
    #[arg(long, value_name = "DUR", allow_hyphen_values = true)]
    min: Option<String>,
    /// Only inside the account's working hours
    #[arg(long)]
    hours: Option<Hours>,
}

/// Which part of the day counts.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Hours {
    Any,
    Inside,
}

impl Free {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        let hours = self.hours.map(|hours| match hours {
            Hours::Any => "any".to_owned(),
            Hours::Inside => "inside".to_owned(),
        });
        let call = FreeCall { range: RangeCall::from(self.range), min: self.min, hours };
        let answer = setup.mirrors.free(&account, &call)?;
        if output.is_json() {
            output.json(&answer)?;
        } else {
            print_slots(output, &answer, "free slot", setup.mirrors.now_ms())?;
        }
        Ok(0)
    }
}
