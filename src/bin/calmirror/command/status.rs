use calmirror::api::{AccountStatus, CalendarState, CalendarStatus, NetworkState, SignInWay};
use calmirror::config::SourceKind;
use chrono::DateTime;
use clap::Args;

use crate::args::Globals;
use crate::output::{Output, Tone, cell, plain_table};
use crate::setup::{Failure, Setup};
use crate::text::{clean, grouped, plural, rough_span};

/// Show the health of every account, and what to do next
#[derive(Debug, Args)]
pub struct Status {}

impl Status {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let status = setup.mirrors.status(globals.account.as_deref())?;
        if output.is_json() {
            output.json(&status)?;
            return Ok(0);
        }
        let now_ms = setup.mirrors.now_ms();
        for account in &status.accounts {
            print_account(output, account, now_ms)?;
            output.line("")?;
        }
        if status.accounts.is_empty() {
            output.line(format!(
                "No account is configured: add an [[account]] to {}.",
                setup.config_path.display()
            ))?;
            output.line("")?;
        }
        let engine = match (status.engine.running, status.engine.pid) {
            (true, Some(pid)) => output.tone(format!("running (process {pid})"), Tone::Good),
            (true, None) => output.tone("running", Tone::Good),
            (false, _) => output.tone("not running", Tone::Faint),
        };
        output.line(format!("engine {engine} · calmirror {}", status.engine.version))?;
        Ok(0)
    }
}

fn print_account(output: &mut Output, account: &AccountStatus, now_ms: i64) -> Result<(), Failure> {
    let name = output.tone(&account.name, Tone::Heading);
    let user = output.tone(clean(account.user.as_deref().unwrap_or("any mailbox")), Tone::Plain);
    if !needs_sign_in(account) {
        let source = output.tone(format!("source {}", clean(&account.source)), Tone::Faint);
        output.line(format!("{name}  {user} · {source}"))?;
        return print_advice(output, account, now_ms);
    }
    let sign_in = match (account.signed_in, account.sign_in) {
        (true, SignInWay::Application) if account.source == SourceKind::Exchange.code() => {
            output.tone("password in the configuration", Tone::Good)
        }
        (false, SignInWay::Application) if account.source == SourceKind::Exchange.code() => {
            output.tone("password refused", Tone::Warning)
        }
        (true, SignInWay::Application) => output.tone("application signed in", Tone::Good),
        (false, SignInWay::Application) => output.tone("application refused", Tone::Warning),
        (true, SignInWay::User | SignInWay::None) => output.tone("signed in", Tone::Good),
        (false, SignInWay::User | SignInWay::None) => output.tone("not signed in", Tone::Warning),
    };
    let network = match (account.network, account.throttled_until.as_deref()) {
        (NetworkState::Online, _) => output.tone("online", Tone::Good),
        (NetworkState::Offline, _) if account.attempted_at.is_none() => {
            output.tone("not tried yet", Tone::Faint)
        }
        (NetworkState::Offline, _) => output.tone("offline", Tone::Warning),
        (NetworkState::Throttled, until) => {
            let until = until.and_then(|at| DateTime::parse_from_rfc3339(at).ok());
            let until = until.map(|at| format!(" until {}", at.format("%H:%M:%S"))).unwrap_or_default();
            output.tone(format!("throttled{until}"), Tone::Warning)
        }
    };
    output.line(format!("{name}  {user} · {sign_in} · {network}"))?;

    if !account.calendars.is_empty() {
        let is_narrow = output.is_narrow();
        let mut table = if is_narrow { plain_table(4, &[2, 3]) } else { plain_table(5, &[2, 3, 4]) };
        let head = ["calendar", "state", "events", "pulled", "compared"];
        let columns = if is_narrow { 4 } else { 5 };
        table.add_row(head.into_iter().take(columns).map(|text| cell(text, Tone::Faint)));
        for calendar in &account.calendars {
            let (state, tone) = state_text(calendar);
            let age = |at: Option<&str>| if is_narrow { short_age(at, now_ms) } else { ago(at, now_ms) };
            let cells = [
                cell(clean(&calendar.name), Tone::Plain),
                cell(state, tone),
                cell(grouped(calendar.events), Tone::Plain).set_alignment(comfy_table::CellAlignment::Right),
                cell(age(calendar.last_pull.as_deref()), Tone::Plain),
                cell(age(calendar.last_full_check.as_deref()), Tone::Plain),
            ];
            table.add_row(cells.into_iter().take(columns));
        }
        output.indented("  ", |output| output.table(&mut table))?;
    }
    if outbox_text(account).is_some() || account.conflicts > 0 {
        let text = outbox_text(account).unwrap_or_else(|| "outbox empty".to_owned());
        output.line(format!("  {text}"))?;
    }
    print_advice(output, account, now_ms)
}

/// "outbox 3 waiting, 1 stopped; the oldest is 2 hours old".
fn outbox_text(account: &AccountStatus) -> Option<String> {
    let outbox = &account.outbox;
    let parts = [(outbox.waiting, "waiting"), (outbox.sending, "under way"), (outbox.parked, "stopped")];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", grouped(*count)))
        .collect();
    let age = outbox.oldest_age_s.map(|age| format!("; the oldest is {} old", rough_span(age)));
    (!parts.is_empty()).then(|| format!("outbox {}{}", parts.join(", "), age.unwrap_or_default()))
}

/// Whether anybody signs in for it: Microsoft 365 and Exchange ask for that.
pub fn needs_sign_in(account: &AccountStatus) -> bool {
    [SourceKind::Microsoft365, SourceKind::Exchange].iter().any(|kind| account.source == kind.code())
}

fn print_advice(output: &mut Output, account: &AccountStatus, now_ms: i64) -> Result<(), Failure> {
    for advice in advice(account, now_ms) {
        let arrow = output.tone("→", Tone::Warning);
        output.line(format!("  {arrow} {advice}"))?;
    }
    Ok(())
}

fn state_text(calendar: &CalendarStatus) -> (String, Tone) {
    let mut text = match calendar.state {
        CalendarState::Ok => "in step".to_owned(),
        CalendarState::Initial => "first sync not complete".to_owned(),
        CalendarState::Resync => "comparing everything".to_owned(),
        CalendarState::Held => format!("{} held", plural(calendar.held_removals, "removal")),
        CalendarState::Failed => {
            let kind = calendar.last_error.as_ref().map(|error| clean(&error.kind));
            format!("failed: {}", kind.unwrap_or_default().replace('_', " "))
        }
    };
    if calendar.skipped > 0 {
        text.push_str(&format!(", {} unreadable", grouped(calendar.skipped)));
    }
    let tone = match calendar.state {
        CalendarState::Ok => Tone::Good,
        CalendarState::Initial | CalendarState::Resync => Tone::Accent,
        CalendarState::Held | CalendarState::Failed => Tone::Warning,
    };
    (text, tone)
}

/// What to do next, most urgent first.
fn advice(account: &AccountStatus, now_ms: i64) -> Vec<String> {
    let name = clean(&account.name);
    let mut advice = Vec::new();
    let is_broken = account.last_error.as_ref().is_some_and(|error| BROKEN.contains(&error.kind.as_str()));
    if !needs_sign_in(account) {
        // Nothing is pulled for it.
    } else if !account.signed_in && account.sign_in == SignInWay::Application {
        advice.push(format!("an administrator must act; this says why: calmirror sync --account {name}"));
    } else if !account.signed_in {
        advice.push(format!("sign in: calmirror login --account {name}"));
    } else if account.calendars.is_empty() && !is_broken {
        advice.push(format!("nothing is mirrored yet: calmirror sync --account {name}"));
    }
    let outbox = &account.outbox;
    if outbox.parked > 0 {
        advice.push(format!(
            "{} cannot be sent by itself: calmirror outbox --account {name}",
            plural(outbox.parked, "edit")
        ));
    }
    if account.conflicts > 0 {
        advice.push(format!(
            "{} to decide: calmirror conflicts --account {name}",
            plural(account.conflicts, "conflict")
        ));
    }
    let held: u64 = account.calendars.iter().map(|calendar| calendar.held_removals).sum();
    if held > 0 {
        advice.push(format!(
            "the server no longer lists {}; nothing was removed. If that is right: \
             calmirror sync --accept-removals --account {name}",
            plural(held, "event")
        ));
    }
    if let Some(error) = &account.last_error {
        let kind = clean(&error.kind);
        let at = ago(Some(&error.at), now_ms);
        advice.push(match kind.as_str() {
            "sign_in_needed" if account.sign_in == SignInWay::Application => refused_text(&at),
            "sign_in_needed" if account.signed_in => {
                format!("the sign-in was refused ({at}); this says why: calmirror sync --account {name}")
            }
            "sign_in_needed" | "unauthorized" => {
                format!("the sign-in ended ({at}): calmirror login --account {name}")
            }
            "captive_portal" => {
                format!("a web page answered instead of the server ({at}): sign in to the network")
            }
            "throttled" => format!("the server asked for a pause ({at}); it is kept by itself"),
            "mirror_damaged" => {
                format!(
                    "the mirror is damaged: calmirror sync --account {name} sets it aside and fills a new one"
                )
            }
            "mirror_newer" => "a newer calmirror wrote the mirror: update calmirror".to_owned(),
            "mirror_unusable" => "the mirror cannot be read: calmirror doctor says why".to_owned(),
            "mirror_rebuilt" => format!("the mirror was damaged and has been rebuilt ({at})"),
            "tls" => format!("no trusted TLS connection ({at}): check the clock and the root certificates"),
            "access_denied" => format!("access was denied ({at}): check the application's permissions"),
            _ => format!("last failure: {} ({at}); calmirror doctor looks closer", kind.replace('_', " ")),
        });
    }
    if account.edits_lost > 0 {
        advice
            .push(format!("{} could not be read from a damaged mirror", plural(account.edits_lost, "edit")));
    }
    advice
}

/// What the application's last refusal was, for those who look after it.
fn refused_text(at: &str) -> String {
    format!("the application got no token ({at}); the mirror goes on answering")
}

/// Why an account without calendars has none.
const BROKEN: [&str; 3] = ["mirror_damaged", "mirror_newer", "mirror_unusable"];

/// "12 min", "3 h", "never".
fn short_age(at: Option<&str>, now_ms: i64) -> String {
    let Some(at) = at.and_then(|at| DateTime::parse_from_rfc3339(at).ok()) else { return "never".to_owned() };
    match now_ms.saturating_sub(at.timestamp_millis()) / 1_000 {
        seconds @ ..60 => format!("{} s", seconds.max(0)),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

fn ago(at: Option<&str>, now_ms: i64) -> String {
    match at.and_then(|at| DateTime::parse_from_rfc3339(at).ok()) {
        None => "never".to_owned(),
        Some(at) => format!("{} ago", rough_span(now_ms.saturating_sub(at.timestamp_millis()) / 1_000)),
    }
}
