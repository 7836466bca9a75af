//! What `add` and `edit` take, and what every command does after it recorded something.

use std::io::Read;
use std::time::Duration;

use calmirror::api::{Act, ActAnswer, EditAnswer, ErrorKind, FieldsCall, read_invitee};
use calmirror::model::Reminder;
use calmirror::ports::{Method, Request};
use clap::Args;

use crate::command::agenda::calendar_names;
use crate::command::show;
use crate::command::sync::announced;
use crate::engine::{edges, runtime};
use crate::output::{Output, Tone};
use crate::setup::{Failure, Setup};
use crate::text::clean;

/// The most bytes of a body on stdin; what is longer than a body may be is refused as such.
const BODY_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// The longest the running engine is waited for; the edit is recorded in any case.
const POKE_TIMEOUT: Duration = Duration::from_secs(2);
/// The most bytes of its answer.
const POKE_BYTES_MAX: usize = 4 * 1024;

/// What to say about an event.
#[derive(Debug, Clone, Default, Args)]
pub struct FieldsArgs {
    /// The subject
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    subject: Option<String>,
    /// Start: RFC 3339, or a date or wall time in --tz
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    start: Option<String>,
    /// End, exclusive; of an all-day event the day after the last
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    end: Option<String>,
    /// Read and show times in this zone
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub tz: Option<String>,
    /// Whole days: start and end are dates (`=false` ends that)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    all_day: Option<bool>,
    /// The place
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    location: Option<String>,
    /// The text; `-` reads it from stdin
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    body: Option<String>,
    /// free, tentative, busy, oof or working_elsewhere
    #[arg(long, value_name = "CODE")]
    show_as: Option<String>,
    /// normal, personal, private or confidential
    #[arg(long, value_name = "CODE")]
    sensitivity: Option<String>,
    /// low, normal or high
    #[arg(long, value_name = "CODE")]
    importance: Option<String>,
    /// A category; may be repeated, an empty one alone clears all
    #[arg(long = "category", value_name = "NAME", allow_hyphen_values = true)]
    categories: Vec<String>,
    /// Somebody to invite: `a@b` or `Name <a@b>`, also behind `optional:` or `resource:`; may be repeated, an empty
    /// one alone clears all
    #[arg(long = "attendee", value_name = "WHO", allow_hyphen_values = true)]
    attendees: Vec<String>,
    /// Minutes before the start, or `none`
    #[arg(long, value_name = "MIN", value_parser = reminder, allow_negative_numbers = true)]
    reminder: Option<Reminder>,
    /// The calendar, by id or name
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub calendar: Option<String>,
}

fn reminder(text: &str) -> Result<Reminder, String> {
    match text {
        "none" => Ok(Reminder::Off),
        minutes => minutes.parse().map(Reminder::Minutes).map_err(|_| "whole minutes, or `none`".to_owned()),
    }
}

impl FieldsArgs {
    pub fn call(&self) -> Result<FieldsCall, Failure> {
        let list = |given: &[String]| match given {
            [] => None,
            [only] if only.trim().is_empty() => Some(Vec::new()),
            all => Some(all.to_vec()),
        };
        let body = match self.body.as_deref() {
            Some("-") => Some(read_body()?),
            Some(text) => Some(text.to_owned()),
            None => None,
        };
        Ok(FieldsCall {
            subject: self.subject.clone(),
            body,
            start: self.start.clone(),
            end: self.end.clone(),
            all_day: self.all_day,
            location: self.location.clone(),
            show_as: self.show_as.clone(),
            sensitivity: self.sensitivity.clone(),
            importance: self.importance.clone(),
            categories: list(&self.categories),
            attendees: list(&self.attendees).map(|all| all.iter().map(|who| read_invitee(who)).collect()),
            reminder: self.reminder,
        })
    }
}

fn read_body() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(BODY_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("the body on stdin cannot be read: {error}")))?;
    // The line end of the last line is the shell's, not the text's.
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}

/// Records an act, and tells the running engine, if there is one.
pub fn carry_out(setup: &Setup, act: &Act) -> Result<ActAnswer, Failure> {
    let account = setup.account()?;
    let answer = setup.mirrors.act(Some(&account.name), act)?;
    poke(setup, if act.is_of_presence() { "presence" } else { "outbox" });
    Ok(answer)
}

/// Records an act that concerns an event, and prints the event.
pub fn edit_and_print(setup: &Setup, act: &Act, done: &str, output: &mut Output) -> Result<u8, Failure> {
    let ActAnswer::Event(answer) = carry_out(setup, act)? else {
        return Err(Failure::new(
            ErrorKind::Failed,
            "internal error: an edit was answered with something else",
        ));
    };
    if !setup.globals.quiet {
        for warning in &answer.warnings {
            output.note(format!("calmirror: {warning}"));
        }
    }
    if output.is_json() {
        output.json(&answer)?;
        return Ok(0);
    }
    let calendars = calendar_names(&setup.mirrors, &setup.account()?)?;
    let calendar = calendars.get(&answer.event.calendar).map(|name| clean(name)).unwrap_or_default();
    show::print(output, &answer.event, &calendar)?;
    output.line("")?;
    let line = said(&answer, done);
    let tone = if answer.outbox.is_empty() { Tone::Faint } else { Tone::Warning };
    output.line(output.tone(line, tone))?;
    Ok(0)
}

/// "Recorded; goes out with the next sync. `calmirror outbox discard 12` takes it back."
fn said(answer: &EditAnswer, done: &str) -> String {
    let Some(last) = answer.outbox.last() else {
        return "Nothing is left to be sent: the server has it so, or never knew of it.".to_owned();
    };
    let mail = match answer.notifies {
        0 => String::new(),
        1 => " and mails 1 person".to_owned(),
        people => format!(" and mails {people} people"),
    };
    let first = answer.outbox.first().unwrap_or(last);
    format!(
        "{done} here; it goes out with the next sync{mail}. `calmirror outbox discard {first}` takes it back."
    )
}

/// Best effort: an engine that does not hear it looks by itself.
fn poke(setup: &Setup, place: &str) {
    let Ok(Some(engine)) = announced(&setup.data_dir) else { return };
    let request = Request {
        method: Method::Post,
        url: format!("http://{}/v1/{place}", engine.address),
        headers: vec![("content-length", "0".to_owned())],
        bearer: Some(engine.token.clone()),
        body: Some(Vec::new()),
        reply_bytes_max: POKE_BYTES_MAX,
        timeout: POKE_TIMEOUT,
    };
    let (Ok(edges), Ok(runtime)) = (edges(), runtime()) else { return };
    if runtime.block_on(edges.http.send(request)).is_err() {
        tracing::debug!("the running engine was not told; it looks by itself");
    }
}
