use calmirror::api::{Act, ActAnswer, ReminderItem, ReminderState, RemindersCall, SnoozeCall};
use chrono::{DateTime, NaiveDate};
use clap::{Args, Subcommand};

use crate::args::Globals;
use crate::command::agenda::print_footer;
use crate::command::fields::carry_out;
use crate::output::{Output, Tone, cell, plain_table};
use crate::setup::{Failure, Setup};
use crate::text::{clean, plural};

/// List reminders, put them off, end them
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Reminders {
    #[command(subcommand)]
    act: Option<RemindersCommand>,
    /// Only those that are due
    #[arg(long)]
    due: bool,
    /// Those that come within this time; a day unless said otherwise
    #[arg(long, value_name = "DUR")]
    within: Option<String>,
    /// Show times in this zone
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
}

#[derive(Debug, Subcommand)]
enum RemindersCommand {
    /// Remind again after this time from now
    Snooze {
        /// The event's id, or the beginning of one
        id: String,
        /// As 10m or 1h
        dur: String,
    },
    /// Do not remind of this event or occurrence any more
    Dismiss {
        /// The event's id, or the beginning of one
        id: String,
    },
}

impl Reminders {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let act = match self.act {
            Some(RemindersCommand::Snooze { id, dur }) => Act::Snooze(SnoozeCall { id, span: dur }),
            Some(RemindersCommand::Dismiss { id }) => Act::Dismiss(id),
            None => {
                let call = RemindersCall { is_due: self.due, within: self.within, tz: self.tz };
                let answer = setup.mirrors.reminders(&setup.account()?, &call)?;
                if output.is_json() {
                    output.json(&answer)?;
                    return Ok(0);
                }
                print_list(output, &answer.items)?;
                let count = plural(answer.items.len().try_into().unwrap_or(u64::MAX), "reminder");
                let facts = [count, clean(&answer.time_zone)];
                print_footer(output, &facts, answer.as_of.as_deref(), answer.fresh, setup.mirrors.now_ms())?;
                return Ok(0);
            }
        };
        let ActAnswer::Reminder(item) = carry_out(&setup, &act)? else { return Ok(0) };
        if output.is_json() {
            output.json(&item)?;
            return Ok(0);
        }
        let subject = subject(&item);
        output.line(match item.due_at.as_deref() {
            Some(at) => format!("\"{subject}\": comes again {}.", time_text(at)),
            None => format!("\"{subject}\": no more reminders."),
        })?;
        Ok(0)
    }
}

fn print_list(output: &mut Output, items: &[ReminderItem]) -> Result<(), Failure> {
    let mut table = plain_table(4, &[0, 1]);
    for item in items {
        let (state, tone) = match item.state {
            ReminderState::Due => ("due", Tone::Bad),
            ReminderState::Snoozed => ("snoozed", Tone::Warning),
            ReminderState::Upcoming => ("upcoming", Tone::Plain),
            ReminderState::Dismissed => ("dismissed", Tone::Faint),
        };
        let place = item.location.as_deref().map(|place| format!(" · {}", clean(place))).unwrap_or_default();
        table.add_row([
            cell(item.due_at.as_deref().map(time_text).unwrap_or_default(), Tone::Plain),
            cell(state, tone),
            cell(format!("{}{place}", subject(item)), Tone::Plain),
            cell(format!("begins {}", time_text(&item.start)), Tone::Faint),
        ]);
    }
    output.table(&mut table)
}

fn subject(item: &ReminderItem) -> String {
    let subject = item.subject.as_deref().map(clean).filter(|subject| !subject.is_empty());
    subject.unwrap_or_else(|| "(no subject)".to_owned())
}

fn time_text(at: &str) -> String {
    match (DateTime::parse_from_rfc3339(at), at.parse::<NaiveDate>()) {
        (Ok(at), _) => at.format("%-d %b %H:%M").to_string(),
        (Err(_), Ok(day)) => day.format("%-d %b").to_string(),
        (Err(_), Err(_)) => clean(at),
    }
}
