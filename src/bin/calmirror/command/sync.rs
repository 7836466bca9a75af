use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use calmirror::api::{Error, ErrorKind};
use calmirror::config::ConfigFile;
use calmirror::engine::{Accept, Engine, PresenceTick, Seen, SyncReport};
use calmirror::flow::Progress;
use calmirror::local::{Announcement, Door, Listen, SyncAnswer, SyncCall, WeatherAnswer};
use calmirror::model::Broken;
use calmirror::ports::{HttpError, Method, Request};
use calmirror::system::{Holder, engine_holder};
use calmirror::zones::Zone;
use clap::Args;
use serde_json::{Value, json};

use crate::args::Globals;
use crate::engine::{Stop, edges, only, open, runtime};
use crate::output::{Output, Tone};
use crate::progress::Bar;
use crate::setup::{Failure, Setup, new_mirrors};
use crate::text::{age, clean, grouped, plural, rough_span};

/// The longest a sync by another process is waited for.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(6 * 3_600);
/// The longest a process without a door is waited for.
const WAIT_MAX: Duration = Duration::from_secs(30 * 60);
/// Between two looks at it.
const WAIT_STEP: Duration = Duration::from_millis(200);
/// The most bytes of its answer.
const REMOTE_BYTES_MAX: usize = 64 * 1024;

/// Send what was edited, then pull everything that changed into the mirror
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
        let is_idle_accept = call.accepts_removals && held_before(&setup, &call)? == 0;
        let answer = sync_or_ask(&setup, &call, output)?;
        print_answer(output, &answer, None, setup.mirrors.now_ms())?;
        if is_idle_accept && !output.is_json() {
            output.line(match call.calendar {
                Some(_) => "  no removal was held back in this calendar",
                None => "  no removal was held back",
            })?;
        }
        Ok(answer.exit_code())
    }
}

/// How many removals wait to be accepted where the call accepts them.
fn held_before(setup: &Setup, call: &SyncCall) -> Result<u64, Failure> {
    let (account, order) = call.order(&setup.mirrors)?;
    let status = setup.mirrors.status(Some(&account))?;
    let calendars = status.accounts.into_iter().flat_map(|account| account.calendars);
    let meant = calendars.filter(|calendar| match &order.accept_removals {
        Accept::None => false,
        Accept::All => true,
        Accept::Calendar(key) => *key == calendar.id,
    });
    Ok(meant.map(|calendar| calendar.held_removals).sum())
}

/// Syncs; where another process runs the engine, has it sync; where that one has no door (it only syncs, too) or is
/// about to stop, waits for it and syncs then.
fn sync_or_ask(setup: &Setup, call: &SyncCall, output: &mut Output) -> Result<SyncAnswer, Failure> {
    let account = setup.mirrors.account(call.account.as_deref())?;
    let mut waited = Duration::ZERO;
    loop {
        let busy = match open(only(setup.mirrors.config(), &account.name), &setup.data_dir) {
            Ok(engine) => return sync_here(engine, setup, call, output),
            Err(Failure::Api(error)) if error.kind() == ErrorKind::Busy => error,
            Err(failure) => return Err(failure),
        };
        if let Some(door) = announced(&setup.data_dir)?
            && let Some(answer) = ask_other(&door, call, &busy)?
        {
            return Ok(answer);
        }
        if waited.is_zero() && !setup.globals.quiet {
            output.note(format!("calmirror: {busy}; waiting for it"));
        }
        // At least once, so that a door that refuses is not asked in a loop.
        loop {
            if waited >= WAIT_MAX {
                let minutes = WAIT_MAX.as_secs() / 60;
                let text =
                    format!("{busy}; it was waited for {minutes} minutes: stop it, or try again later");
                return Err(Failure::new(ErrorKind::Busy, text));
            }
            std::thread::sleep(WAIT_STEP);
            waited += WAIT_STEP;
            let is_held = engine_holder(&setup.data_dir).is_ok_and(|holder| holder != Holder::Nobody);
            if !is_held || announced(&setup.data_dir)?.is_some() {
                break;
            }
        }
    }
}

fn sync_here(
    mut engine: Engine,
    setup: &Setup,
    call: &SyncCall,
    output: &mut Output,
) -> Result<SyncAnswer, Failure> {
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
    Ok(SyncAnswer::new(report?, &setup.mirrors.zone(&setup.mirrors.account(Some(&account))?)))
}

/// The door of the engine that holds the data directory now; one that a former engine left is none.
pub fn announced(data_dir: &Path) -> Result<Option<Announcement>, Failure> {
    let holder = engine_holder(data_dir).unwrap_or(Holder::Nobody);
    let announcement = Announcement::read(data_dir)?;
    Ok(announcement.filter(|door| match holder {
        Holder::Nobody => false,
        // Some systems do not let others read a locked file.
        Holder::Engine { pid } => pid.is_none_or(|pid| pid == door.pid),
    }))
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
        Progress::Pushed { edits } => json!({"event": "pushed", "edits": edits}),
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

/// Prints how a sync ended, and of which account when there are several.
pub fn print_answer(
    output: &mut Output,
    answer: &SyncAnswer,
    account: Option<&str>,
    now_ms: i64,
) -> Result<(), Failure> {
    if output.is_json() {
        return output.json_line(answer);
    }
    let done = &answer.done;
    let who = account.map(|account| format!("{} · ", clean(account))).unwrap_or_default();
    let seconds = Duration::from_millis(done.duration_ms).as_secs_f64();
    let age = age(done.as_of.as_deref(), now_ms);
    let reason = answer.weather.as_ref().map(|weather| reason(weather, now_ms));
    match reason {
        Some(reason) if done.pages == 0 => {
            let word = output.tone("Not synced", Tone::Warning);
            output.line(format!("{who}{word}: {reason} · {age}"))?;
        }
        reason => {
            let word = match (&reason, done.failed) {
                (None, 0) => output.tone("Synced", Tone::Good),
                (Some(_), _) | (None, _) => output.tone("Not complete", Tone::Warning),
            };
            output.line(format!(
                "{who}{word}: {}, {} read, {} written, {} removed, in {seconds:.1} s · {age}",
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
    if done.pushed > 0 {
        output.line(format!("  {} sent", plural(done.pushed, "edit")))?;
    }
    if done.parked > 0 {
        let parked = plural(done.parked, "edit");
        output.line(format!("  {parked} could not be sent; calmirror outbox says why and what to do"))?;
    }
    if done.conflicts > 0 {
        let conflicts = plural(done.conflicts, "conflict");
        output.line(format!(
            "  {conflicts} with changes on the server; calmirror conflicts shows both versions"
        ))?;
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
        ("application_refused", _) => {
            clean(weather.message.as_deref().unwrap_or("the application is refused"))
        }
        ("sign_in_needed", _) => "sign-in is needed: calmirror login".to_owned(),
        ("throttled", Some(until)) => {
            let wait = until.timestamp_millis().saturating_sub(now_ms).saturating_add(999) / 1_000;
            format!("the server asked for a pause of {}", rough_span(wait))
        }
        ("access_denied", _) => {
            "access is denied: `calmirror accounts` lists permissions that were not granted, `calmirror login` asks for them".to_owned()
        }
        ("offline" | "connection_lost" | "timeout" | "tls" | "not_http", _) => {
            format!("the server cannot be reached ({kind}); the mirror goes on answering")
        }
        (_, _) => format!("the server could not be read: {kind}"),
    }
}

/// Asks the process that owns the data directory. `None` when it stops, so that it can be waited for.
fn ask_other(engine: &Announcement, call: &SyncCall, busy: &Error) -> Result<Option<SyncAnswer>, Failure> {
    let request = Request {
        method: Method::Post,
        url: format!("http://{}/v1/sync?{}", engine.address, call.to_query()),
        headers: vec![("content-length", "0".to_owned())],
        bearer: Some(engine.token.clone()),
        body: Some(Vec::new()),
        reply_bytes_max: REMOTE_BYTES_MAX,
        timeout: REMOTE_TIMEOUT,
    };
    let http = edges()?.http;
    let reply = match runtime()?.block_on(http.send(request)) {
        Ok(reply) => reply,
        // It goes, or is gone: refused, or cut in the middle.
        Err(HttpError::Broken(Broken::Connect | Broken::Reset | Broken::Protocol)) => return Ok(None),
        Err(error) => {
            let text =
                format!("{busy}, and its local API does not answer ({error}); wait for it, or stop it");
            return Err(Failure::Api(Error::because(ErrorKind::Busy, text, error)));
        }
    };
    if reply.status == 200 {
        return serde_json::from_slice(&reply.body).map(Some).map_err(|error| {
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
    if kind == ErrorKind::Busy {
        return Ok(None);
    }
    Err(Failure::new(kind, format!("the running engine says: {}", clean(&text("detail")))))
}

fn watch(setup: &Setup, output: &mut Output) -> Result<u8, Failure> {
    let config = match &setup.globals.account {
        Some(_) => only(setup.mirrors.config(), &setup.account()?.name),
        None => setup.mirrors.config().clone(),
    };
    let has_several = config.accounts.len() > 1;
    let mut engine = open(config.clone(), &setup.data_dir)?;
    // Others ask here for a sync, as they ask `serve`.
    engine.follow(ConfigFile::new(&setup.config_path));
    let mirrors = Arc::new(new_mirrors(config, &setup.data_dir).following(engine.config()));
    let door = engine.runtime().block_on(Door::open(Listen::default(), mirrors, engine.handle()))?;
    let handle = engine.handle();
    let _stop = Stop::listen(move || handle.stop())?;
    if !output.is_json() && !setup.globals.quiet {
        output.note("Keeping in step; Ctrl-C stops.");
    }
    let mut bar = Bar::new(output);
    // Whoever reads may go; the engine stays until it is stopped.
    let report = engine.watch(&mut |seen| match seen {
        Seen::Progress(account, progress) => {
            bar.show(progress);
            if output.is_json() {
                let _ = output.json_line(&of_account(account, progress_json(progress)));
            }
        }
        Seen::Done(account, report) => {
            let _ = print_done(setup, output, account, report, has_several);
        }
        Seen::Presence(account, tick) => {
            if output.is_json() {
                let _ = output.json_line(&of_account(account, presence_json(tick)));
            }
        }
        Seen::Reminder(account, tick) => {
            if output.is_json() {
                let zone =
                    setup.mirrors.account(Some(account)).map(|effective| setup.mirrors.zone(&effective));
                let mut line = tick.to_json(&zone.unwrap_or_else(|_| Zone::utc()));
                if let Some(line) = line.as_object_mut() {
                    line.insert("event".to_owned(), json!("reminder"));
                }
                let _ = output.json_line(&of_account(account, line));
            } else {
                let count = tick.due.len().saturating_add(tick.more);
                let (what, them) = if count == 1 { ("reminder", "it") } else { ("reminders", "them") };
                output.note(format!(
                    "{account}: {count} {what} came due; calmirror reminders --due lists {them}."
                ));
            }
        }
        // By another program, which has its answer.
        Seen::SignIn(..) => {}
    });
    bar.clear();
    drop(door);
    let report = report?;
    tracing::info!(wake_ups = report.wake_ups, polls = report.polls, "stopped");
    Ok(0)
}

/// What an evaluation of presence did, as a line of JSON.
fn presence_json(tick: &PresenceTick) -> Value {
    json!({"event": "presence", "profile": tick.profile, "changed": tick.is_changed, "sent": sent_json(tick)})
}

/// The commands that were sent, as in `presence tick --json`.
pub fn sent_json(tick: &PresenceTick) -> Vec<Value> {
    let sent = tick.sent.iter();
    sent.map(|sent| json!({"channel": sent.channel, "state": sent.state, "release": sent.is_release}))
        .collect()
}

/// How one of many syncs ended. A terminal shows the bar instead.
fn print_done(
    setup: &Setup,
    output: &mut Output,
    account: &str,
    report: &SyncReport,
    has_several: bool,
) -> Result<(), Failure> {
    let zone = setup.mirrors.zone(&setup.mirrors.account(Some(account))?);
    let answer = SyncAnswer::new(report.clone(), &zone);
    if output.is_json() {
        let value = serde_json::to_value(&answer).map_err(Failure::bug)?;
        return output.json_line(&of_account(account, value));
    }
    if output.is_terminal() {
        return Ok(());
    }
    print_answer(output, &answer, has_several.then_some(account), setup.mirrors.now_ms())?;
    Ok(output.flush()?)
}

/// The same object, saying whose it is.
fn of_account(account: &str, mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.insert("account".to_owned(), Value::from(account));
    }
    value
}
