use std::collections::BTreeMap;

use calmirror::api::ErrorKind;
use calmirror::config::{Config, Origin, Shown};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::args::Globals;
use crate::output::{Output, Tone, cell, plain_table};
use crate::setup::{Failure, Setup, config_path, data_dir, read_config};
use crate::text::{clean, plural};

/// Show what is configured, or check it
#[derive(Debug, Args)]
pub struct ConfigCommand {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show every effective value and where it came from
    Show,
    /// Check the file: every mistake with its line and key
    Check,
}

impl ConfigCommand {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        match self.command {
            What::Show => show(globals, output),
            What::Check => check(globals, output),
        }
    }
}

fn show(globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
    let setup = Setup::load(globals)?;
    let accounts = setup.accounts()?;
    if output.is_json() {
        let accounts: BTreeMap<String, Vec<Shown>> =
            accounts.iter().map(|account| (account.name.clone(), account.shown())).collect();
        output.json(&json!({
            "config": setup.config_path,
            "data_dir": setup.data_dir,
            "accounts": accounts,
        }))?;
        return Ok(0);
    }
    output.line(format!("configuration  {}", setup.config_path.display()))?;
    output.line(format!("data           {}", setup.data_dir.display()))?;
    if accounts.is_empty() {
        output.line("")?;
        output.line("No account is configured: add an [[account]].")?;
    }
    for account in accounts {
        output.line("")?;
        let heading = output.tone(format!("account {}", account.name), Tone::Heading);
        output.line(heading)?;
        let mut table = plain_table(3, &[0, 2]);
        for shown in account.shown() {
            let tone = if shown.origin == Origin::Default { Tone::Faint } else { Tone::Plain };
            table.add_row([
                cell(format!("  {}", shown.key), Tone::Plain),
                cell(clean(&written(&shown.value)), tone),
                cell(shown.origin.text(), Tone::Faint),
            ]);
        }
        output.table(&mut table)?;
    }
    Ok(0)
}

/// A value nearly as it stands in a file; lists of tables are counted.
fn written(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let name = |item: &Value| match item.get("name").or_else(|| item.get("kind")) {
                Some(Value::String(name)) => name.clone(),
                _ => "…".to_owned(),
            };
            items.iter().map(name).collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) => items.iter().map(written).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| format!("{key} {}", written(value));
            fields.iter().filter(|(_, value)| !value.is_null()).map(field).collect::<Vec<_>>().join(", ")
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn check(globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
    let path = config_path(globals)?;
    let text = match read_config(&path) {
        Ok(text) => text,
        Err(Failure::Config { problems, .. }) => return report(&path, &problems, output),
        Err(other) => return Err(other),
    };
    match Config::parse(&text) {
        Err(problems) => report(&path, &problems, output),
        Ok(config) => {
            if output.is_json() {
                output.json(&json!([]))?;
            } else {
                let accounts = plural(config.accounts.len().try_into().unwrap_or(u64::MAX), "account");
                output.line(format!("{} is in order: {accounts}.", path.display()))?;
                output.line(format!("Data is kept in {}.", data_dir(globals)?.display()))?;
            }
            Ok(0)
        }
    }
}

fn report(
    path: &std::path::Path,
    problems: &[calmirror::config::Problem],
    output: &mut Output,
) -> Result<u8, Failure> {
    if output.is_json() {
        let problems: Vec<Value> = problems
            .iter()
            .map(|problem| {
                json!({
                    "level": "error",
                    "line": problem.line,
                    "key": problem.key,
                    "message": problem.message,
                })
            })
            .collect();
        output.json(&problems)?;
    } else {
        for problem in problems {
            let level = output.tone("error", Tone::Bad);
            output.line(format!("{}: {level}: {}", path.display(), clean(&problem.to_string())))?;
        }
    }
    Ok(ErrorKind::Usage.exit_code())
}
