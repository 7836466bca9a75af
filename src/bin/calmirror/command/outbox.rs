use calmirror::api::{Act, ActAnswer, OutboxAct, OutboxCall, OutboxItem};
use calmirror::model::EditState;
use chrono::{DateTime, NaiveDate};
use clap::{Args, Subcommand};

use crate::args::Globals;
use crate::command::fields::carry_out;
use crate::output::{Output, Tone, cell, plain_table};
use crate::setup::{Failure, Setup};
use crate::text::{clean, rough_span};

/// Show what waits to be sent, and decide about what does not go out
#[derive(Debug, Args)]
pub struct Outbox {
    #[command(subcommand)]
    act: Option<OutboxCommand>,
}

#[derive(Debug, Subcommand)]
enum OutboxCommand {
    /// List the edits that the server does not have
    List,
    /// Show one edit with what it wants
    Show {
        /// Its number
        n: i64,
    },
    /// Send one again now, also if that mails people late
    Retry {
        /// Its number
        n: i64,
    },
    /// Drop one: the event shows the server's version again
    Discard {
        /// Its number
        n: i64,
    },
}

impl Outbox {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        let now_ms = setup.mirrors.now_ms();
        match self.act.unwrap_or(OutboxCommand::List) {
            OutboxCommand::List => {
                let items = setup.mirrors.outbox(&account)?;
                if output.is_json() {
                    output.json(&items)?;
                } else {
                    print_list(output, &items, now_ms)?;
                }
            }
            OutboxCommand::Show { n } => {
                let item = setup.mirrors.outbox_edit(&account, n)?;
                if output.is_json() {
                    output.json(&item)?;
                } else {
                    print_one(output, &item, now_ms)?;
                }
            }
            OutboxCommand::Retry { n } => {
                let act = OutboxCall { n, act: OutboxAct::Retry };
                decide(&setup, act, "is sent with the next sync", output)?;
            }
            OutboxCommand::Discard { n } => {
                let act = OutboxCall { n, act: OutboxAct::Discard };
                decide(&setup, act, "was dropped; the event shows the server's version again", output)?;
            }
        }
        Ok(0)
    }
}

fn decide(setup: &Setup, call: OutboxCall, done: &str, output: &mut Output) -> Result<(), Failure> {
    let ActAnswer::Outbox(item) = carry_out(setup, &Act::Outbox(call))? else { return Ok(()) };
    if output.is_json() {
        return output.json(&item);
    }
    output.line(format!("{}: {done}.", title(&item)))?;
    if call.act == OutboxAct::Discard && item.state == EditState::Sending {
        output.note("calmirror: it was under way: if the server has it, the next sync shows it");
    }
    if call.act == OutboxAct::Retry && item.notifies > 0 && !setup.globals.quiet {
        output.note(format!("calmirror: {}", mails(item.notifies)));
    }
    Ok(())
}

fn print_list(output: &mut Output, items: &[OutboxItem], now_ms: i64) -> Result<(), Failure> {
    if items.is_empty() {
        return output.line("Nothing waits: the server has every edit.");
    }
    let mut table = plain_table(5, &[0, 1, 3, 4]);
    table.add_row(["edit", "act", "event", "recorded", "state"].map(|text| cell(text, Tone::Faint)));
    for item in items {
        let (state, tone) = state(item, now_ms);
        table.add_row([
            cell(item.n, Tone::Plain),
            cell(item.action, Tone::Plain),
            cell(event_text(item), Tone::Plain),
            cell(ago(&item.created_at, now_ms), Tone::Faint),
            cell(state, tone),
        ]);
    }
    output.table(&mut table)?;
    for item in items.iter().filter(|item| needs_words(item)) {
        output.line("")?;
        print_words(output, item, now_ms)?;
    }
    Ok(())
}

fn print_one(output: &mut Output, item: &OutboxItem, now_ms: i64) -> Result<(), Failure> {
    let heading = output.tone(title(item), Tone::Heading);
    output.line(heading)?;
    let (state, _) = state(item, now_ms);
    let mut table = plain_table(2, &[0]);
    let mut lines = vec![
        ("event".to_owned(), item.event.to_string()),
        ("recorded".to_owned(), ago(&item.created_at, now_ms)),
        ("state".to_owned(), state),
        ("tries".to_owned(), item.attempts.to_string()),
        ("mails".to_owned(), if item.notifies == 0 { "nobody".to_owned() } else { mails(item.notifies) }),
    ];
    for (name, value) in item.wanted.iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), clean);
        lines.push((name.clone(), clean(&text)));
    }
    for (name, text) in lines {
        table.add_row([cell(format!("  {name}"), Tone::Faint), cell(text, Tone::Plain)]);
    }
    output.table(&mut table)?;
    if needs_words(item) {
        output.line("")?;
        print_words(output, item, now_ms)?;
    }
    Ok(())
}

/// What, when, why and what now.
fn print_words(output: &mut Output, item: &OutboxItem, now_ms: i64) -> Result<(), Failure> {
    let problem = item.last_problem.as_ref();
    let kind = problem.map(|problem| problem.kind.as_str()).unwrap_or_default();
    let at = problem.map(|problem| format!(" ({})", ago(&problem.at, now_ms))).unwrap_or_default();
    let status =
        problem.and_then(|problem| problem.status).map(|s| format!(", HTTP {s}")).unwrap_or_default();
    let heading = output.tone(format!("Edit {}", item.n), Tone::Heading);
    output.line(format!("{heading}: {}{status}{at}.", why(kind, item)))?;
    for line in what_now(kind, item) {
        let arrow = output.tone("→", Tone::Warning);
        output.line(format!("  {arrow} {line}"))?;
    }
    Ok(())
}

fn needs_words(item: &OutboxItem) -> bool {
    item.state == EditState::Parked || item.last_problem.is_some()
}

/// "Edit 12, update of "Review" on 24 Nov 09:00 (subject, start)".
fn title(item: &OutboxItem) -> String {
    format!("Edit {}, {} of {}", item.n, item.action, event_text(item))
}

/// The event of an edit, in words.
pub fn event_text(item: &OutboxItem) -> String {
    let subject = item.subject.as_deref().map(clean).filter(|subject| !subject.is_empty());
    let subject = subject.unwrap_or_else(|| "(no subject)".to_owned());
    let when = item.start.as_deref().and_then(when_text).map(|when| format!(", {when}")).unwrap_or_default();
    let fields = if item.action == "update" && !item.fields.is_empty() {
        format!(" ({})", item.fields.join(", ").replace('_', " "))
    } else {
        String::new()
    };
    format!("{subject}{when}{fields}")
}

fn when_text(start: &str) -> Option<String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(start) {
        return Some(at.format("%-d %b %H:%M").to_string());
    }
    start.parse::<NaiveDate>().ok().map(|day| day.format("%-d %b").to_string())
}

fn state(item: &OutboxItem, now_ms: i64) -> (String, Tone) {
    match item.state {
        EditState::Sending => ("under way".to_owned(), Tone::Accent),
        EditState::Parked => ("stopped".to_owned(), Tone::Bad),
        EditState::Waiting => match item.next_attempt_at.as_deref().and_then(|at| seconds_to(at, now_ms)) {
            Some(seconds) => (format!("again in {}", rough_span(seconds)), Tone::Warning),
            None => ("waiting".to_owned(), Tone::Plain),
        },
    }
}

/// Why it was not taken, in words.
fn why(kind: &str, item: &OutboxItem) -> String {
    match kind {
        "" => "it has not been tried yet".to_owned(),
        "offline" | "tls" | "timeout" | "connection_lost" | "not_http" | "captive_portal" => {
            format!("the server could not be reached ({})", kind.replace('_', " "))
        }
        "throttled" => "the server asked for a pause".to_owned(),
        "server_error" => "the server failed".to_owned(),
        "sign_in_needed" | "unauthorized" => "sign-in is needed".to_owned(),
        "access_denied" => "the server does not allow it".to_owned(),
        "not_found" => "the server does not have this event any more".to_owned(),
        "changed_meanwhile" => "somebody else keeps changing this event".to_owned(),
        "conflict" => "others changed the same on the server".to_owned(),
        "unclear" => {
            "nobody can tell whether the server did it, and to repeat it could mail people twice".to_owned()
        }
        "needs_confirmation" => format!("it is old, and {}", mails(item.notifies)),
        "too_old" => "it was tried for a day without success".to_owned(),
        "meeting_body" => {
            "the text of an online meeting cannot be changed without losing how to join".to_owned()
        }
        "refused" => "the server refused what it says".to_owned(),
        other => clean(other).replace('_', " "),
    }
}

/// What a user can do now.
fn what_now(kind: &str, item: &OutboxItem) -> Vec<String> {
    let n = item.n;
    let retry = format!("send it again: calmirror outbox retry {n}");
    let discard = format!("drop it: calmirror outbox discard {n}");
    if item.state != EditState::Parked {
        return vec!["it is tried again by itself".to_owned(), discard];
    }
    match kind {
        "conflict" => vec!["see both versions and decide: calmirror conflicts".to_owned()],
        "needs_confirmation" => vec![format!("send it all the same: calmirror outbox retry {n}"), discard],
        "unclear" => {
            vec!["look into the mailbox whether it was done".to_owned(), format!("if not, {retry}"), discard]
        }
        "sign_in_needed" | "unauthorized" => vec!["calmirror login".to_owned(), retry, discard],
        "not_found" => vec![discard],
        _ if item.action == "create" || item.action == "update" => {
            vec![format!("fix it: calmirror edit {} …", item.event), retry, discard]
        }
        _ => vec![retry, discard],
    }
}

fn mails(people: u32) -> String {
    match people {
        1 => "1 person will be mailed when it is sent".to_owned(),
        _ => format!("{people} people will be mailed when it is sent"),
    }
}

fn seconds_to(at: &str, now_ms: i64) -> Option<i64> {
    let at = DateTime::parse_from_rfc3339(at).ok()?.timestamp_millis();
    (at > now_ms).then(|| at.saturating_sub(now_ms).saturating_add(999) / 1_000)
}

/// How long ago, in words.
pub fn ago(at: &str, now_ms: i64) -> String {
    let Ok(at) = DateTime::parse_from_rfc3339(at) else { return String::new() };
    let seconds = now_ms.saturating_sub(at.timestamp_millis()) / 1_000;
    if seconds < 2 { "just now".to_owned() } else { format!("{} ago", rough_span(seconds)) }
}
