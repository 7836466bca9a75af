use std::time::Duration;

use calmirror::api::{Error, ErrorKind};
use calmirror::flow::Progress;
use calmirror::local::{Announcement, SyncAnswer, SyncCall, WeatherAnswer};
use calmirror::ports::{Method, Request};
use clap::Args;
use serde_json::{Value, json};

use crate::args::Globals;
use crate::engine::{Stop, edges, only, open, runtime};
use crate::output::{Output, Tone};
use crate::progress::Bar;
use crate::setup::{Failure, Setup};
use crate::text::{age, clean, grouped, plural, rough_span};

/// The longest a sync by another process is waited for.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(6 * 3_600);
/// The most bytes of its answer.
const REMOTE_BYTES_MAX: usize = 64 * 1024;

/// Pull everything that changed into the mirror
///
/// Waits up to 30 seconds when the server asks for patience, else ends with 4. If another process runs the
/// engine, asks it to sync and waits. Ctrl-C at any time leaves a mirror that continues.
#[derive(Debug, Args)]
pub struct Sync {
    /// Keep every account in step until stopped
    #[arg(long, conflicts_with_all = ["full", "accept_removals"])]
    watch: bool,
    /// Compare the whole window, not only what changed
    #[arg(long)]
    full: bool,
    /// Carry out removals that were held back
    #[arg(long)]
    accept_removals: bool,
    /// Only the held removals of this calendar, by id or name
    #[arg(long, value_name = "ID", requires = "accept_removals")]
    calendar: Option<String>,
}

impl Sync {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        if self.watch {
            return watch(&setup, output);
        }
        let account = setup.account()?.name;
        let call = SyncCall {
            account: Some(account.clone()),
            is_full: self.full,
            accepts_removals: self.accept_removals,
            calendar: self.calendar,
        };
        let answer = match open(only(setup.mirrors.config(), &account), &setup.data_dir) {
            Ok(mut engine) => {
                let (account, order) = call.order(&setup.mirrors)?;
                let mut bar = Bar::new(output);
                let is_json = output.is_json();
                let mut broken = None;
                let report = engine.sync(&account, &order, &mut |progress| {
                    bar.show(&progress);
                    if is_json && broken.is_none() {
                        broken = print_json_line(&progress_json(&progress)).err();
                    }
                });
                bar.clear();
                if let Some(broken) = broken {
                    return Err(broken);
                }
                SyncAnswer::from(report?)
            }
            Err(Failure::Api(error)) if error.kind() == ErrorKind::Busy => ask_other(&setup, &call, error)?,
            Err(failure) => return Err(failure),
        };
        print_answer(output, &answer, setup.mirrors.now_ms())?;
        Ok(answer.exit_code())
    }
}

/// Prints from inside the engine's call, where no `Output` can be borrowed.
pub fn print_json_line(value: &Value) -> Result<(), Failure> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", crate::text::escape_json(&value.to_string()))?;
    Ok(stdout.flush()?)
}

/// What a sync is doing, as a line of JSON.
pub fn progress_json(progress: &Progress) -> Value {
    match progress {
        Progress::Calendars { count } => json!({"event": "calendars", "count": count}),
        Progress::Round { calendar, place, is_full } => {
            json!({"event": "round", "calendar": calendar, "place": place, "full": is_full})
        }
        Progress::Page { calendar, rows, rows_total } => {
            json!({"event": "page", "calendar": calendar, "rows": rows, "rows_total": rows_total})
        }
        Progress::Waiting { duration, kind } => {
            json!({"event": "waiting", "duration_ms": duration.as_millis(), "kind": kind})
        }
        Progress::Complete { calendar } => json!({"event": "complete", "calendar": calendar}),
        Progress::Failed { calendar, kind } => json!({"event": "failed", "calendar": calendar, "kind": kind}),
    }
}

/// Prints how a sync ended.
pub fn print_answer(output: &mut Output, answer: &SyncAnswer, now_ms: i64) -> Result<(), Failure> {
    if output.is_json() {
        return output.json_line(answer);
    }
    let done = &answer.done;
    let seconds = Duration::from_millis(done.duration_ms).as_secs_f64();
    let age = age(done.as_of.as_deref(), now_ms);
    let reason = answer.weather.as_ref().map(|weather| reason(weather, now_ms));
    match reason {
        Some(reason) if done.pages == 0 => {
            let word = output.tone("Not synced", Tone::Warning);
            output.line(format!("{word}: {reason} · {age}"))?;
        }
        reason => {
            let word = match (&reason, done.failed) {
                (None, 0) => output.tone("Synced", Tone::Good),
                (Some(_), _) | (None, _) => output.tone("Not complete", Tone::Warning),
            };
            output.line(format!(
                "{word}: {}, {} read, {} written, {} removed, in {seconds:.1} s · {age}",
                plural(done.calendars, "calendar"),
                plural(done.pages, "page"),
                plural(done.upserted, "event"),
                grouped(done.removed),
            ))?;
            if let Some(reason) = reason {
                output.line(format!("  {reason}"))?;
            }
            if done.failed > 0 {
                let failed = plural(done.failed, "calendar");
                output.line(format!("  {failed} could not be completed; calmirror status says why"))?;
            }
        }
    }
    if done.held_removals > 0 {
        let held = plural(done.held_removals, "removal");
        output.line(format!("  {held} held back, nothing was removed; calmirror status says what to do"))?;
    }
    Ok(())
}

/// Why a sync is not complete, in words.
fn reason(weather: &WeatherAnswer, now_ms: i64) -> String {
    let until = weather.until.as_deref().and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok());
    let kind = clean(&weather.kind).replace('_', " ");
    match (weather.kind.as_str(), until) {
        ("sign_in_needed", _) => "sign-in is needed: calmirror login".to_owned(),
        ("throttled", Some(until)) => {
            let wait = until.timestamp_millis().saturating_sub(now_ms).saturating_add(999) / 1_000;
            format!("the server asked for a pause of {}", rough_span(wait))
        }
        ("offline" | "connection_lost" | "timeout" | "tls" | "not_http", _) => {
            format!("the server cannot be reached ({kind}); the mirror goes on answering")
        }
        (_, _) => format!("the server could not be read: {kind}"),
    }
}

/// Asks the process that owns the data directory.
fn ask_other(setup: &Setup, call: &SyncCall, busy: Error) -> Result<SyncAnswer, Failure> {
    let Some(engine) = Announcement::read(&setup.data_dir)? else {
        return Err(Failure::new(
            ErrorKind::Busy,
            format!("{busy}, and it has no local API to ask; wait for it, or stop it"),
        ));
    };
    let request = Request {
        method: Method::Post,
        url: format!("http://{}/v1/sync?{}", engine.address, call.to_query()),
        headers: vec![("content-length", "0".to_owned())],
        bearer: Some(engine.token),
        body: Some(Vec::new()),
        reply_bytes_max: REMOTE_BYTES_MAX,
        timeout: REMOTE_TIMEOUT,
    };
    let http = edges()?.http;
    let reply = runtime()?.block_on(http.send(request)).map_err(|error| {
        let text = format!("{busy}, and its local API does not answer ({error}); wait for it, or stop it");
        Failure::Api(Error::because(ErrorKind::Busy, text, error))
    })?;
    if reply.status == 200 {
        return serde_json::from_slice(&reply.body).map_err(|error| {
            Failure::Api(Error::because(
                ErrorKind::Failed,
                "the other process answered something else",
                error,
            ))
        });
    }
    let problem: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kinds = [
        ErrorKind::Failed,
        ErrorKind::Usage,
        ErrorKind::SignIn,
        ErrorKind::Unreachable,
        ErrorKind::Refused,
        ErrorKind::NotFound,
        ErrorKind::Mirror,
        ErrorKind::Busy,
    ];
    let kind = kinds.into_iter().find(|kind| kind.code() == text("kind")).unwrap_or(ErrorKind::Failed);
    Err(Failure::new(kind, format!("the running engine says: {}", clean(&text("detail")))))
}

fn watch(setup: &Setup, output: &mut Output) -> Result<u8, Failure> {
    let config = match &setup.globals.account {
        Some(_) => only(setup.mirrors.config(), &setup.account()?.name),
        None => setup.mirrors.config().clone(),
    };
    let mut engine = open(config, &setup.data_dir)?;
    let handle = engine.handle();
    let _stop = Stop::listen(move || handle.stop())?;
    if !output.is_json() {
        output.note("Keeping in step; Ctrl-C stops.");
    }
    let mut bar = Bar::new(output);
    let is_json = output.is_json();
    let report = engine.watch(&mut |progress| {
        bar.show(&progress);
        // Whoever reads may go; the engine stays until it is stopped.
        if is_json {
            let _ = print_json_line(&progress_json(&progress));
        }
    });
    bar.clear();
    let report = report?;
    tracing::info!(wake_ups = report.wake_ups, polls = report.polls, "stopped");
    Ok(0)
}
