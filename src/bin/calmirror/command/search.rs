use calmirror::api::{RangeCall, SearchCall};
use chrono::NaiveDate;
use clap::Args;

use crate::args::Globals;
use crate::command::agenda::{calendar_names, print_footer};
use crate::command::event_table::{Frame, print_by_day};
use crate::command::range::Range;
use crate::output::{Output, Tone};
use crate::setup::{Failure, Setup};
use crate::text::{clean, plural};

/// Find events by words in subject, place, people, categories or text
#[derive(Debug, Args)]
pub struct Search {
    /// The words: all must occur, the last may be a beginning
    #[arg(required = true, num_args = 1.., value_name = "TEXT")]
    text: Vec<String>,
    #[command(flatten)]
    range: Range,
    /// The most events: those nearest to now
    #[arg(long, value_name = "N", default_value_t = 100, allow_negative_numbers = true)]
    limit: u32,
}

impl Search {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        let limit = Some(self.limit);
        let call = SearchCall { text: self.text.join(" "), range: RangeCall::from(self.range), limit };
        let answer = setup.mirrors.search(&account, &call)?;
        if output.is_json() {
            output.json(&answer)?;
            return Ok(0);
        }
        let calendars = calendar_names(&setup.mirrors, &account)?;
        let frame = Frame {
            calendars: &calendars,
            first: NaiveDate::MIN,
            // Found events are listed once, on their first day.
            last: NaiveDate::MIN,
            now_ms: setup.mirrors.now_ms(),
        };
        print_by_day(output, &answer.items, &frame)?;
        if answer.items.is_empty() {
            output.line("Nothing found.")?;
        }
        output.line("")?;
        let count = plural(answer.items.len().try_into().unwrap_or(u64::MAX), "event");
        let facts = [count, clean(&answer.time_zone)];
        if answer.more {
            let nearest = "there are more: these are the nearest to now; see --limit, --from and --to";
            output.line(output.tone(nearest, Tone::Warning))?;
        }
        print_footer(output, &facts, answer.as_of.as_deref(), answer.fresh, frame.now_ms)?;
        Ok(0)
    }
}
