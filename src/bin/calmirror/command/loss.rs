//! Edits that the server does not have are never given up without a clear yes.

use std::io::{self, BufRead, IsTerminal};

use calmirror::api::{ErrorKind, OutboxItem};
use calmirror::config::Effective;

use crate::command::outbox::{ago, event_text};
use crate::output::{Output, Tone, cell, plain_table};
use crate::setup::{Failure, Setup};

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1_024;

/// What became of the question.
pub enum Loss {
    /// Go on; so many edits are given up.
    Accepted(usize),
    /// Stop: these would be lost.
    Refused(Vec<OutboxItem>),
}

/// Lists what deleting the mirror would lose, and asks; `force` is a yes given before. The engine's lock is held by
/// the caller, so that nothing is recorded between the list and the deed.
pub fn accept_loss(
    setup: &Setup,
    account: &Effective,
    force: bool,
    output: &mut Output,
) -> Result<Loss, Failure> {
    let items = match setup.mirrors.outbox(account) {
        Ok(items) => items,
        // What cannot be read cannot be listed; a yes given before counts for it too.
        Err(_) if force => return Ok(Loss::Accepted(0)),
        Err(error) => return Err(Failure::Api(error)),
    };
    if items.is_empty() {
        return Ok(Loss::Accepted(0));
    }
    if !output.is_json() {
        list(&items, force, setup.mirrors.now_ms(), output)?;
    }
    if force {
        return Ok(Loss::Accepted(items.len()));
    }
    if !output.is_json() && io::stdin().is_terminal() && output.is_terminal() {
        output.line(format!("Type `{}` to give them up, anything else to keep everything:", account.name))?;
        output.flush()?;
        if is_yes(&account.name, &mut io::stdin().lock()) {
            return Ok(Loss::Accepted(items.len()));
        }
    }
    Ok(Loss::Refused(items))
}

/// The failure of a refusal.
pub fn refused(items: &[OutboxItem]) -> Failure {
    let (count, verb) = if items.len() == 1 { ("1 edit", "is") } else { ("some edits", "are") };
    Failure::new(
        ErrorKind::Refused,
        format!(
            "{count} {verb} not on the server and would be lost: `calmirror sync` sends, `calmirror outbox` decides one by one, --force gives all up"
        ),
    )
}

fn list(items: &[OutboxItem], force: bool, now_ms: i64, output: &mut Output) -> Result<(), Failure> {
    let fate = if force { "are given up" } else { "would be lost" };
    output.line(format!("These edits are not on the server and {fate}:"))?;
    let mut table = plain_table(4, &[0, 1, 3]);
    for item in items {
        table.add_row([
            cell(item.n, Tone::Plain),
            cell(item.action, Tone::Plain),
            cell(event_text(item), Tone::Plain),
            cell(ago(&item.created_at, now_ms), Tone::Faint),
        ]);
    }
    output.table(&mut table)
}

/// Whether the user typed the account's name, and nothing else.
fn is_yes(name: &str, answers: &mut dyn BufRead) -> bool {
    let mut line = String::new();
    let read = io::Read::take(answers, ANSWER_BYTES_MAX).read_line(&mut line);
    read.is_ok() && line.trim() == name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_accounts_name_is_a_yes() {
        for (typed, expected) in [
            ("anna\n", true),
            (" anna \r\n", true),
            ("anna", true),
            ("", false),
            ("\n", false),
            ("yes\n", false),
            ("Anna\n", false),
            ("anna anna\n", false),
        ] {
            assert_eq!(is_yes("anna", &mut typed.as_bytes()), expected, "{typed:?}");
        }
    }
}
