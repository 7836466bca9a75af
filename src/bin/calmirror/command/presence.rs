use calmirror::api::{
    Act, ActAnswer, ChooseCall, ObserveCall, PresenceAnswer, PresenceCall, SegmentAnswer, ShowCall,
    TimelineAnswer, TimelineCall, WhyAnswer,
};
use calmirror::model::Key;
use calmirror::presence::Level;
use chrono::DateTime;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::args::Globals;
use crate::command::fields::carry_out;
use crate::command::sync::sent_json;
use crate::engine::{only, open};
use crate::output::{Output, Tone, cell, plain_table};
use crate::setup::{Failure, Setup};
use crate::text::{age, clean};

/// The cells of a drawn timeline: its dates beside it, it fits eighty columns.
const DRAWN_CELLS: i64 = 48;

/// What is shown and where calls go: now, later, and why
#[derive(Debug, Args)]
pub struct Presence {
    #[command(subcommand)]
    act: PresenceCommand,
}

/// At which instant.
#[derive(Debug, Clone, Default, Args)]
struct At {
    /// As if it were then
    #[arg(long, value_name = "T")]
    at: Option<String>,
    /// Read and show times in this zone
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
}

/// Which stretch.
#[derive(Debug, Clone, Default, Args)]
struct Stretch {
    /// First instant
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// First instant after
    #[arg(long, value_name = "T")]
    to: Option<String>,
    #[command(flatten)]
    at: At,
}

#[derive(Debug, Subcommand)]
enum PresenceCommand {
    /// What is shown and forwarded now
    Now(At),
    /// The same over a stretch of time: today unless said otherwise
    Timeline(Stretch),
    /// The timeline with the commands that would be issued, without issuing them: of the coming week
    Preview(Stretch),
    /// Why it is so
    Why(At),
    /// Choose a profile by hand; without an end it dismisses the appointments that run now
    Set {
        /// The profile
        profile: String,
        /// Until then
        #[arg(long, value_name = "T", conflicts_with_all = ["span", "until_changed"])]
        until: Option<String>,
        /// For so long
        #[arg(long = "for", value_name = "DUR", conflicts_with = "until_changed")]
        span: Option<String>,
        /// Until it is changed
        #[arg(long)]
        until_changed: bool,
        #[command(flatten)]
        at: At,
    },
    /// Take the manual choice back
    Clear(At),
    /// Report what somebody set at the telephone
    Observe {
        #[command(subcommand)]
        what: Observed,
    },
    /// Evaluate now, try each due command once, and end
    Tick(At),
    /// What happened, oldest first
    Journal {
        /// The newest so many lines
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Show times in this zone
        #[arg(long, value_name = "ZONE")]
        tz: Option<String>,
    },
    /// What is wrong, or looks wrong, with the profiles and rules
    Check,
}

#[derive(Debug, Subcommand)]
enum Observed {
    /// Calls are forwarded to TARGET, or not at all: none
    Forwarding {
        /// A number, voicemail or none
        target: String,
        #[command(flatten)]
        at: At,
    },
    /// The user is on a call, or not any more: it is shown, and changes no forwarding
    Call {
        /// Whether
        state: Switch,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl From<At> for PresenceCall {
    fn from(at: At) -> PresenceCall {
        PresenceCall { at: at.at, tz: at.tz }
    }
}

impl From<Stretch> for TimelineCall {
    fn from(stretch: Stretch) -> TimelineCall {
        TimelineCall { from: stretch.from, to: stretch.to, place: stretch.at.into() }
    }
}

impl Presence {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        match self.act {
            PresenceCommand::Now(at) => {
                let answer = setup.mirrors.presence(&account, &at.into())?;
                print_now(&setup, output, &answer)?;
            }
            PresenceCommand::Timeline(stretch) => {
                let answer = setup.mirrors.presence_timeline(&account, &stretch.into())?;
                print_timeline(&setup, output, &answer)?;
            }
            PresenceCommand::Preview(stretch) => {
                let answer = setup.mirrors.presence_preview(&account, &stretch.into())?;
                print_timeline(&setup, output, &answer)?;
            }
            PresenceCommand::Why(at) => {
                let answer = setup.mirrors.presence_why(&account, &at.into())?;
                print_why(&setup, output, &answer)?;
            }
            PresenceCommand::Set { profile, until, span, until_changed, at } => {
                let call =
                    ChooseCall { profile, until, span, is_until_changed: until_changed, place: at.into() };
                act(&setup, output, &Act::Choose(call))?;
            }
            PresenceCommand::Clear(at) => act(&setup, output, &Act::ClearChoice(at.into()))?,
            PresenceCommand::Observe { what: Observed::Forwarding { target, at } } => {
                act(&setup, output, &Act::Observe(ObserveCall { target, call: None, place: at.into() }))?;
            }
            PresenceCommand::Observe { what: Observed::Call { state, at } } => {
                let call = Some(state == Switch::On);
                act(
                    &setup,
                    output,
                    &Act::Observe(ObserveCall { call, place: at.into(), ..ObserveCall::default() }),
                )?;
            }
            PresenceCommand::Tick(at) => return tick(&setup, output, &at.into()),
            PresenceCommand::Journal { limit, tz } => {
                let lines = setup.mirrors.presence_journal(&account, limit, tz.as_deref())?;
                if output.is_json() {
                    output.json(&lines)?;
                    return Ok(0);
                }
                if lines.is_empty() {
                    output.line("Nothing happened yet. `calmirror presence tick` evaluates once, `calmirror serve` goes on.")?;
                    return Ok(0);
                }
                let mut table = plain_table(4, &[0, 1, 2]);
                for line in lines {
                    let channel = line.channel.map(calmirror::presence::Channel::code).unwrap_or_default();
                    table.add_row([
                        cell(time_text(&line.at), Tone::Faint),
                        cell(line.kind.code(), Tone::Accent),
                        cell(channel, Tone::Plain),
                        cell(detail_text(&line.detail), Tone::Plain),
                    ]);
                }
                output.table(&mut table)?;
            }
            PresenceCommand::Check => {
                let findings = setup.mirrors.presence_check(&account)?;
                let is_wrong = findings.iter().any(|finding| finding.level == Level::Error);
                if output.is_json() {
                    output.json(&findings)?;
                } else if findings.is_empty() {
                    output.line("The profiles and rules are in order.")?;
                } else {
                    for finding in &findings {
                        let tone = if finding.level == Level::Error { Tone::Bad } else { Tone::Warning };
                        let level = output.tone(finding.level.code(), tone);
                        output.line(format!(
                            "{level} {}: {}",
                            clean(&finding.key),
                            clean(&finding.message)
                        ))?;
                    }
                }
                return Ok(if is_wrong { 2 } else { 0 });
            }
        }
        Ok(0)
    }
}

fn act(setup: &Setup, output: &mut Output, act: &Act) -> Result<(), Failure> {
    match carry_out(setup, act)? {
        ActAnswer::Presence(answer) => print_now(setup, output, &answer),
        ActAnswer::Event(_) | ActAnswer::Outbox(_) | ActAnswer::Conflict(_) | ActAnswer::Reminder(_) => {
            Ok(())
        }
    }
}

/// Evaluates in this process. Another one that runs the engine evaluates by itself.
fn tick(setup: &Setup, output: &mut Output, call: &PresenceCall) -> Result<u8, Failure> {
    let account = setup.account()?;
    let at_ms = setup.mirrors.presence_instant(&account, call)?;
    let mut engine = open(only(setup.mirrors.config(), &account.name), &setup.data_dir)?;
    let tick = engine.presence_tick(&account.name, at_ms)?;
    let answer = setup.mirrors.presence(&account, call)?;
    if output.is_json() {
        let mut document = serde_json::to_value(&answer).map_err(Failure::bug)?;
        if let Some(members) = document.as_object_mut() {
            members.insert("sent".to_owned(), sent_json(&tick).into());
            members.insert("changed".to_owned(), tick.is_changed.into());
        }
        output.json(&document)?;
        return Ok(0);
    }
    print_now(setup, output, &answer)?;
    for sent in &tick.sent {
        let what = if sent.is_release { "released" } else { "set" };
        output.line(format!("  {} {what}: {}", sent.channel.code(), sent.state))?;
    }
    Ok(0)
}

fn print_now(setup: &Setup, output: &mut Output, answer: &PresenceAnswer) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(answer);
    }
    let profile = output.tone(clean(&answer.segment.profile), Tone::Heading);
    let until = match &answer.next_change {
        Some(at) => format!(" until {}", time_text(at)),
        None => String::new(),
    };
    output.line(format!("{profile} ({}){until}", answer.segment.availability.code()))?;
    if let Some(since) = &answer.on_call_since {
        output.line(format!("  on a call since {}", time_text(since)))?;
    }
    output.line(format!("  calls: {}", forwarding_text(&answer.segment)))?;
    output.line(format!("  why: {}", reason_text(setup, &answer.segment)))?;
    let age = output.tone(age(answer.as_of.as_deref(), setup.mirrors.now_ms()), Tone::Faint);
    output.line(format!("  mirror: {age}"))
}

fn print_timeline(setup: &Setup, output: &mut Output, answer: &TimelineAnswer) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(answer);
    }
    for line in drawing(&answer.segments) {
        output.line(line)?;
    }
    let mut table = plain_table(5, &[0, 1, 2]);
    for (place, segment) in answer.segments.iter().enumerate() {
        table.add_row([
            cell(letter(place), Tone::Faint),
            cell(format!("{} – {}", time_text(&segment.start), time_text(&segment.end)), Tone::Plain),
            cell(clean(&segment.profile), Tone::Heading),
            cell(forwarding_text(segment), Tone::Plain),
            cell(reason_text(setup, segment), Tone::Faint),
        ]);
    }
    output.table(&mut table)?;
    for command in answer.commands.iter().flatten() {
        let what = if command.release { "release" } else { "set" };
        let set = clean(&command.set.to_string());
        output.line(format!("  {} {} {what} {set}", time_text(&command.at), command.channel.code()))?;
    }
    let age = age(answer.as_of.as_deref(), setup.mirrors.now_ms());
    output.line(output.tone(format!("{} · {age}", clean(&answer.time_zone)), Tone::Faint))
}

fn print_why(setup: &Setup, output: &mut Output, answer: &WhyAnswer) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(answer);
    }
    let profile = output.tone(clean(&answer.segment.profile), Tone::Heading);
    output.line(format!(
        "{profile} at {}: {}",
        time_text(&answer.at),
        reason_text(setup, &answer.segment)
    ))?;
    if let Some(until) = &answer.until {
        output.line(format!("  until {}", time_text(until)))?;
    }
    output.line(format!("  calls: {}", forwarding_text(&answer.segment)))?;
    let known = &answer.forwarding_state;
    for (is_so, text) in [
        (known.owned, "switched by calmirror, and given back afterwards"),
        (known.yielded, "somebody switched it at the telephone: left alone until something else is wanted"),
        (known.unclear, "the last command got no answer: it is sent again"),
    ] {
        if is_so {
            output.line(format!("    {text}"))?;
        }
    }
    if let Some(since) = &answer.on_call_since {
        output.line(format!("  on a call since {}: shown, and changes no forwarding", time_text(since)))?;
    }
    for layer in &answer.layers {
        let calls = if layer.forwarding { ", decides where calls go" } else { "" };
        output.line(format!("  layer {}: {}{calls}", layer.layer.code(), clean(&layer.profile)))?;
    }
    for loser in &answer.losers {
        let event = match (loser.event, loser.private) {
            (Some(event), _) => event_text(setup, event),
            (None, true) => "private appointment".to_owned(),
            (None, false) => "automatic reply".to_owned(),
        };
        let profile = loser.profile.as_deref().map(clean).unwrap_or_else(|| "no claim".to_owned());
        output.line(format!("  not {profile} ({event}): {}", loser.because))?;
    }
    if let Some(command) = &answer.command {
        let (channel, state) = (command.channel.code(), command.state);
        output.line(format!("  command on {channel}: {state}, sent {} times", command.attempts))?;
    }
    let age = age(answer.as_of.as_deref(), setup.mirrors.now_ms());
    output.line(output.tone(format!("  mirror: {age}"), Tone::Faint))
}

fn forwarding_text(segment: &SegmentAnswer) -> String {
    match (&segment.forwarding, segment.forwarding_skipped) {
        (_, Some(problem)) => format!("not forwarded: {}", problem.text()),
        (Some(forwarding), None) => {
            format!("to {} ({})", clean(&forwarding.target), forwarding.condition.code())
        }
        (None, None) => "as they were".to_owned(),
    }
}

/// The members of a journal's line that say something, as `name value`.
fn detail_text(detail: &serde_json::Value) -> String {
    let Some(members) = detail.as_object() else { return clean(&detail.to_string()) };
    let is_telling = |value: &serde_json::Value| !value.is_null() && *value != json!(false);
    let told = members
        .iter()
        .filter(|(name, value)| !matches!(name.as_str(), "id" | "enabled") && is_telling(value));
    let mut words: Vec<String> = told
        .map(|(name, value)| match value {
            serde_json::Value::String(text) => format!("{name} {text}"),
            serde_json::Value::Bool(_) => name.clone(),
            serde_json::Value::Object(_) => {
                let word = ["target", "profile"].iter().find_map(|key| value.get(key)?.as_str());
                format!("{name} {}", word.map_or_else(|| value.to_string(), ToOwned::to_owned))
            }
            other => format!("{name} {other}"),
        })
        .collect();
    if detail.get("enabled") == Some(&json!(false)) {
        words.push("switched off".to_owned());
    }
    clean(&words.join(", "))
}

fn reason_text(setup: &Setup, segment: &SegmentAnswer) -> String {
    let reason = &segment.reason;
    let what = match (reason.event, reason.private) {
        (Some(event), _) => format!(" · {}", event_text(setup, event)),
        (None, true) => " · private appointment".to_owned(),
        (None, false) => String::new(),
    };
    let rule = reason.rule.as_deref().map(|rule| format!(" · rule {}", clean(rule))).unwrap_or_default();
    format!("{}{rule}{what}", reason.layer.code())
}

/// An event that is not private, as a person knows it.
fn event_text(setup: &Setup, event: Key) -> String {
    let id = event.to_string();
    let call = ShowCall { id: id.clone(), tz: None };
    let found =
        setup.account().and_then(|account| setup.mirrors.show(&account, &call).map_err(Failure::from));
    match found.ok().and_then(|event| event.subject) {
        Some(subject) => format!("{} ({})", clean(&subject), id.get(..8).unwrap_or(&id)),
        None => id,
    }
}

/// A bar with a letter a segment, and when it begins and ends.
fn drawing(segments: &[SegmentAnswer]) -> Vec<String> {
    let read = |text: &str| DateTime::parse_from_rfc3339(text).ok();
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else { return Vec::new() };
    let (Some(from), Some(to)) = (read(&first.start), read(&last.end)) else { return Vec::new() };
    let whole_ms = (to - from).num_milliseconds().max(1);
    let bar: String = (0..DRAWN_CELLS)
        .map(|place| {
            let at = from + chrono::TimeDelta::milliseconds(whole_ms.saturating_mul(place) / DRAWN_CELLS);
            let is_around = |segment: &&SegmentAnswer| read(&segment.end).is_some_and(|end| at < end);
            let place = segments.iter().position(|segment| is_around(&segment)).unwrap_or(0);
            letter(place)
        })
        .collect();
    vec![format!("{} |{bar}| {}", from.format("%-d %b %H:%M"), to.format("%-d %b %H:%M"))]
}

/// a to z, over and over.
fn letter(place: usize) -> char {
    u8::try_from(place % 26).map_or('?', |place| char::from(b'a'.saturating_add(place)))
}

fn time_text(at: &str) -> String {
    match DateTime::parse_from_rfc3339(at) {
        Ok(at) => at.format("%-d %b %H:%M").to_string(),
        Err(_) => clean(at),
    }
}
