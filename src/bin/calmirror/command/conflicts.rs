use calmirror::api::{Act, ActAnswer, ConflictItem, ResolveCall};
use calmirror::model::{ConflictKind, Keep};
use chrono::DateTime;
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::args::Globals;
use crate::command::fields::carry_out;
use crate::output::{Output, Tone, cell, plain_table};
use crate::setup::{Failure, Setup};
use crate::text::{clean, rough_span};

/// Show what was changed here and on the server, and decide which version stays
#[derive(Debug, Args)]
pub struct Conflicts {
    #[command(subcommand)]
    act: Option<ConflictsCommand>,
}

#[derive(Debug, Subcommand)]
enum ConflictsCommand {
    /// List the conflicts, open ones first
    List,
    /// Show one with all versions
    Show {
        /// Its number
        n: i64,
    },
    /// Decide one, or decide it otherwise than before
    Resolve {
        /// Its number
        n: i64,
        /// mine, theirs or both (theirs stays, mine becomes a new event)
        #[arg(long, value_name = "WHICH", value_parser = keep)]
        keep: Keep,
    },
}

fn keep(text: &str) -> Result<Keep, String> {
    Keep::from_code(text).ok_or_else(|| format!("one of {}", Keep::CODES.join(", ")))
}

impl Conflicts {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        let now_ms = setup.mirrors.now_ms();
        match self.act.unwrap_or(ConflictsCommand::List) {
            ConflictsCommand::List => {
                let items = setup.mirrors.conflicts(&account)?;
                if output.is_json() {
                    output.json(&items)?;
                    return Ok(0);
                }
                if items.is_empty() {
                    output.line("No conflicts: nobody changed on the server what was changed here.")?;
                }
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        output.line("")?;
                    }
                    print(output, item, now_ms)?;
                }
            }
            ConflictsCommand::Show { n } => {
                let item = setup.mirrors.conflict(&account, n)?;
                if output.is_json() {
                    output.json(&item)?;
                } else {
                    print(output, &item, now_ms)?;
                }
            }
            ConflictsCommand::Resolve { n, keep } => {
                let act = Act::Resolve(ResolveCall { n, keep });
                let ActAnswer::Conflict(item) = carry_out(&setup, &act)? else { return Ok(0) };
                if output.is_json() {
                    output.json(&item)?;
                } else {
                    print(output, &item, now_ms)?;
                }
            }
        }
        Ok(0)
    }
}

fn print(output: &mut Output, item: &ConflictItem, now_ms: i64) -> Result<(), Failure> {
    let subject = item.subject.as_deref().map(clean).filter(|subject| !subject.is_empty());
    let subject = subject.unwrap_or_else(|| "(no subject)".to_owned());
    let at = DateTime::parse_from_rfc3339(&item.at).map(|at| at.timestamp_millis()).unwrap_or(now_ms);
    let age = rough_span(now_ms.saturating_sub(at) / 1_000);
    let heading = output.tone(format!("Conflict {}", item.n), Tone::Heading);
    let what = match item.kind {
        ConflictKind::BothChanged => "was changed here and on the server",
        ConflictKind::DeletedThere => "was changed here and deleted on the server",
        ConflictKind::DeletedHere => "was deleted here and changed on the server",
    };
    output.line(format!("{heading}: \"{subject}\" {what}, found {age} ago"))?;
    if !item.fields.is_empty() {
        let mut table = plain_table(4, &[0]);
        table.add_row(["  field", "before", "mine", "theirs"].map(|text| cell(text, Tone::Faint)));
        for field in &item.fields {
            table.add_row([
                cell(format!("  {}", clean(&field.name).replace('_', " ")), Tone::Plain),
                cell(value_text(&field.base), Tone::Faint),
                cell(value_text(&field.mine), Tone::Plain),
                cell(value_text(&field.theirs), Tone::Plain),
            ]);
        }
        output.table(&mut table)?;
    }
    let n = item.n;
    let arrow = output.tone("→", Tone::Warning);
    let line = match item.resolution {
        None => format!("  {arrow} decide: calmirror conflicts resolve {n} --keep mine|theirs|both"),
        Some(Keep::Mine) => {
            format!("  {arrow} mine was kept; otherwise: calmirror conflicts resolve {n} --keep theirs")
        }
        Some(Keep::Theirs) => {
            format!("  {arrow} theirs was kept; otherwise: calmirror conflicts resolve {n} --keep mine")
        }
        Some(Keep::Both) => format!("  {arrow} both were kept"),
    };
    output.line(line)
}

/// A value as a person reads it.
fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => match DateTime::parse_from_rfc3339(text) {
            Ok(at) => at.format("%-d %b %Y %H:%M").to_string(),
            Err(_) => clean(text),
        },
        Value::Array(all) => all.iter().map(value_text).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let named = ["name", "address"].iter().find_map(|name| members.get(*name)?.as_str());
            named.map_or_else(|| clean(&value.to_string()), clean)
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
