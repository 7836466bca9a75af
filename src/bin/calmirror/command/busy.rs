use calmirror::api::{ListAnswer, RangeCall, Slot};
use chrono::{DateTime, NaiveDate};
use clap::Args;

use crate::args::Globals;
use crate::command::agenda::{print_footer, unknown_text};
use crate::command::event_table::day_text;
use crate::command::range::Range;
use crate::output::{Output, Tone};
use crate::setup::{Failure, Setup};
use crate::text::{clean, plural};

/// List merged busy blocks: of the next seven days, unless said otherwise
#[derive(Debug, Args)]
pub struct Busy {
    #[command(flatten)]
    range: Range,
}

impl Busy {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        let answer = setup.mirrors.busy(&account, &RangeCall::from(self.range))?;
        if output.is_json() {
            output.json(&answer)?;
        } else {
            print_slots(output, &answer, "busy block", setup.mirrors.now_ms())?;
        }
        Ok(0)
    }
}

/// Prints stretches of time under their days.
pub fn print_slots(
    output: &mut Output,
    answer: &ListAnswer<Slot>,
    unit: &str,
    now_ms: i64,
) -> Result<(), Failure> {
    let mut day: Option<NaiveDate> = None;
    for slot in &answer.items {
        let read = |text: &str| DateTime::parse_from_rfc3339(text).ok();
        let (Some(start), Some(end)) = (read(&slot.start), read(&slot.end)) else { continue };
        let first = start.naive_local().date();
        if day != Some(first) {
            if day.is_some() {
                output.line("")?;
            }
            let heading = output.tone(day_text(first), Tone::Heading);
            output.line(heading)?;
            day = Some(first);
        }
        let last = end.naive_local().date();
        let to = if last == first {
            end.format("%H:%M").to_string()
        } else if Some(last) == first.succ_opt() && end.naive_local().time() == chrono::NaiveTime::MIN {
            "24:00".to_owned()
        } else {
            end.format("%H:%M, %-d %b").to_string()
        };
        let length = output.tone(length_text((end - start).num_minutes()), Tone::Faint);
        output.line(format!("  {} – {to}  {length}", start.format("%H:%M")))?;
    }
    if answer.items.is_empty() {
        output.line(format!("No {unit}s."))?;
    }
    output.line("")?;
    let unknown = unknown_text(answer.from.as_deref(), answer.to.as_deref(), answer.known.as_ref());
    if let Some(unknown) = unknown {
        let unknown = output.tone(unknown, Tone::Warning);
        output.line(unknown)?;
    }
    let count = plural(answer.items.len().try_into().unwrap_or(u64::MAX), unit);
    let facts = [count, clean(&answer.time_zone)];
    print_footer(output, &facts, answer.as_of.as_deref(), answer.fresh, now_ms)
}

/// "45 min", "2 h", "1 h 30 min".
fn length_text(minutes: i64) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
