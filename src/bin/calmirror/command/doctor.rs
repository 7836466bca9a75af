mod registration;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use calmirror::api::{CalendarState, CalendarStatus, ErrorKind, mirror_error};
use calmirror::config::{Config, Effective, Origin, SourceKind};
use calmirror::engine::{Edges, sign_in_site};
use calmirror::local::ENGINE_FILE;
use calmirror::mirror::MirrorError;
use calmirror::ports::{Method, Reply, Request, Vault, VaultError};
use calmirror::system::{Holder, create_private_dir, engine_holder, network_share, write_private};
use calmirror::vault::{FileVault, glance};
use chrono::DateTime;
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::Globals;
use crate::command::accounts;
use crate::engine::{edges, runtime};
use crate::output::{Output, Tone, cell, plain_table};
use crate::setup::{Failure, Setup, config_path, data_dir, new_mirrors, read_config};
use crate::text::{clean, plural, policy_text, rough_span};

/// The longest a server is waited for.
const REACH_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of its answer.
const REACH_BYTES_MAX: usize = 1 << 20;
/// Clocks further apart are worth a warning, and from the second on sign-in and TLS fail.
const CLOCK_WARN_S: i64 = 60;
const CLOCK_FAIL_S: i64 = 300;

/// Check configuration, data, clock, reachability and sign-in, and say what to do
///
/// Asks the sign-in server about the registration without signing in, and the mailbox for its calendars; changes
/// nothing there. Ends with 1 when a check fails.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Also write what support needs to a file: no tokens, subjects, names or addresses
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warn,
    Fail,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    /// What was looked at.
    check: &'static str,
    /// Of which account; null when it concerns all.
    account: Option<String>,
    state: State,
    /// What was found.
    message: String,
    /// What to do; null when nothing is.
    todo: Option<String>,
}

/// Collects checks.
#[derive(Debug, Default)]
struct Checks {
    account: Option<String>,
    all: Vec<Check>,
}

impl Checks {
    fn add(&mut self, check: &'static str, state: State, message: impl Into<String>, todo: Option<String>) {
        self.all.push(Check { check, account: self.account.clone(), state, message: message.into(), todo });
    }

    fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, State::Ok, message, None);
    }

    fn warn(&mut self, check: &'static str, message: impl Into<String>, todo: impl Into<String>) {
        self.add(check, State::Warn, message, Some(todo.into()));
    }

    fn fail(&mut self, check: &'static str, message: impl Into<String>, todo: impl Into<String>) {
        self.add(check, State::Fail, message, Some(todo.into()));
    }
}

impl Doctor {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let mut checks = Checks::default();
        let data_dir = data_dir(globals)?;
        let config = check_config(globals, &mut checks)?;
        check_data_dir(&data_dir, &mut checks);
        check_engine(&data_dir, &mut checks);
        let mut accounts = Vec::new();
        if let Some(config) = config {
            let data_dir = data_dir.clone();
            let setup = Setup {
                globals: globals.clone(),
                config_path: config_path(globals)?,
                mirrors: new_mirrors(config, &data_dir),
                data_dir,
            };
            accounts = setup.accounts()?;
            let edges = edges()?;
            for account in &accounts {
                checks.account = Some(account.name.clone());
                check_account(&setup, account, &edges, &mut checks);
                check_servers(&setup, account, &edges, &mut checks)?;
            }
            checks.account = None;
            if let Some(path) = &self.bundle {
                write_bundle(path, &checks.all, &accounts, &setup)?;
            }
        } else if let Some(path) = &self.bundle {
            write_private(path, bundle_head(&checks.all, &Names::of(&data_dir, &[])).to_string().as_bytes())?;
        }
        print(output, &checks.all, accounts.len() > 1)?;
        if let Some(path) = &self.bundle {
            output.note(format!("The bundle is in {}; look through it before you send it.", path.display()));
        }
        let has_failed = checks.all.iter().any(|check| check.state == State::Fail);
        Ok(if has_failed { ErrorKind::Failed.exit_code() } else { 0 })
    }
}

fn check_config(globals: &Globals, checks: &mut Checks) -> Result<Option<Config>, Failure> {
    let path = config_path(globals)?;
    let failure = match read_config(&path) {
        Ok(text) => match Config::parse(&text) {
            Ok(config) if config.accounts.is_empty() => {
                let todo = format!("add an [[account]] to {}", path.display());
                checks.warn("config", "no account is configured", todo);
                return Ok(Some(config));
            }
            Ok(config) => {
                checks.ok("config", format!("{} is in order", path.display()));
                return Ok(Some(config));
            }
            Err(problems) => Failure::Config { path: path.clone(), problems },
        },
        Err(failure) => failure,
    };
    match &failure {
        Failure::Config { problems, .. } => {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            let message = format!("{}: {}", path.display(), clean(&first));
            checks.fail("config", message, "correct it; `calmirror config check` lists every mistake");
        }
        Failure::Api(error) => checks.fail("config", error.to_string(), "name a file with --config FILE"),
        Failure::PipeClosed => {}
    }
    Ok(None)
}

fn check_data_dir(data_dir: &Path, checks: &mut Checks) {
    let shown = data_dir.display();
    let probe = data_dir.join(".doctor");
    let written = create_private_dir(data_dir).and_then(|()| write_private(&probe, b"calmirror doctor"));
    // A probe that stays behind is overwritten by the next.
    let _ = std::fs::remove_file(&probe);
    if let Err(error) = written {
        let todo = "make it writable for this user, or choose another with --data-dir DIR";
        checks.fail("data_dir", format!("{shown} cannot be written: {error}"), todo);
        return;
    }
    if let Some(kind) = network_share(data_dir) {
        let message = format!("{shown} lies on a network share ({kind}), where SQLite's locks do not hold");
        checks.warn("data_dir", message, "choose a local disk with --data-dir DIR");
        return;
    }
    let is_open = std::fs::metadata(data_dir).is_ok_and(|metadata| calmirror::system::is_exposed(&metadata));
    if is_open {
        let message = format!("{shown} can be read by other users");
        checks.warn("data_dir", message, format!("chmod 700 {shown}"));
        return;
    }
    checks.ok("data_dir", format!("{shown} is writable, local and private"));
}

fn check_engine(data_dir: &Path, checks: &mut Checks) {
    match engine_holder(data_dir) {
        Ok(Holder::Engine { pid: Some(pid) }) => {
            checks.ok("engine", format!("process {pid} runs the engine"))
        }
        Ok(Holder::Engine { pid: None }) => checks.ok("engine", "another process runs the engine"),
        Ok(Holder::Nobody) if data_dir.join(ENGINE_FILE).exists() => {
            let message = format!("no engine runs, and a former one left {ENGINE_FILE}");
            checks.warn("engine", message, "nothing: the next `calmirror sync` or `serve` removes it");
        }
        Ok(Holder::Nobody) => checks.ok("engine", "no engine runs; `calmirror sync` starts one for itself"),
        Err(error) => checks.fail("engine", error.to_string(), "make the file usable for this user"),
    }
}

fn check_account(setup: &Setup, account: &Effective, edges: &Edges, checks: &mut Checks) {
    let name = &account.name;
    if let Some(reason) = policy_text(account) {
        let message = format!("not synchronized: {reason}");
        checks.warn("policy", message, "nothing, if that is meant: queries go on answering");
    }
    let needs_sign_in = matches!(account.source.value, SourceKind::Microsoft365 | SourceKind::Exchange);
    match setup.mirrors.is_sound(name) {
        Ok(None) if !needs_sign_in => checks.ok("mirror", "none is needed yet"),
        Ok(Some(true)) => checks.ok("mirror", "its pages are in order"),
        Ok(Some(false)) => checks.fail(
            "mirror",
            "it is damaged",
            format!("calmirror sync --account {name}: sets it aside and fills a new one"),
        ),
        Ok(None) => checks.warn("mirror", "there is none yet", format!("calmirror sync --account {name}")),
        Err(error) => {
            let todo = match mirror_error(&error).map(MirrorError::kind) {
                Some("mirror_newer") => "update calmirror to the version that wrote it, or newer".to_owned(),
                Some("mirror_damaged") => {
                    format!("calmirror sync --account {name}: sets it aside and fills a new one")
                }
                Some(_) | None => {
                    let path = setup.mirrors.mirror_path(name);
                    format!("make {} and its folder usable for this user", path.display())
                }
            };
            checks.fail("mirror", error.to_string(), todo);
        }
    }
    if !needs_sign_in {
        let source = account.source.value.code();
        checks.ok("tokens", format!("not applicable: the source {source} needs no sign-in"));
        return;
    }
    check_status(setup, name, checks);
    if account.is_application() {
        match accounts::row(setup, account).problem {
            Some(problem) => {
                checks.fail("tokens", clean(&problem), "correct its credential in the configuration")
            }
            None if account.source.value == SourceKind::Exchange => {
                checks.ok("tokens", "the configuration says where the password is");
            }
            None => checks.ok("tokens", "the application signs in by itself"),
        }
        return;
    }
    let login = format!("calmirror login --account {name}");
    match FileVault::new(&setup.data_dir, name, edges.keyring.clone()).load() {
        Err(error @ VaultError::Keyring { .. }) => {
            checks.fail("tokens", error.to_string(), "open the keyring, then calmirror doctor again");
        }
        Err(error @ VaultError::Exposed { .. }) => {
            let todo = format!("as it says; if somebody else may have read it, remove it, then {login}");
            checks.fail("tokens", error.to_string(), todo);
        }
        Err(error) => checks.fail("tokens", error.to_string(), login),
        Ok(None) => checks.fail("tokens", "not signed in", login),
        Ok(Some(tokens)) if tokens.ended.is_some() => checks.fail("tokens", "the sign-in is over", login),
        Ok(Some(tokens)) => {
            let kept = glance(&setup.data_dir, name).ok().flatten();
            let kept = kept.map(|kept| format!("; tokens: {}", kept.kept(edges.keyring.name())));
            checks.ok("tokens", format!("signed in{}", kept.unwrap_or_default()));
            if tokens.refresh.is_none() {
                checks.warn("tokens", "without a refresh token the sign-in ends within hours", login);
            }
            let row = accounts::row(setup, account);
            if row.scopes_missing.is_empty() {
                checks.ok("scopes", "everything asked for was granted");
            } else {
                let message = format!("not granted: {}", clean(&row.scopes_missing.join(", ")));
                let url = sign_in_site(account).admin_consent_url();
                checks.warn("scopes", message, registration::consent_todo(name, &url));
            }
        }
    }
}

/// What `status` found, in counts: names of calendars do not belong in a bundle.
fn check_status(setup: &Setup, name: &str, checks: &mut Checks) {
    let Ok(status) = setup.mirrors.status(Some(name)) else { return };
    for account in &status.accounts {
        if let Some(until) = &account.throttled_until {
            checks.warn(
                "throttled",
                format!("the server asked for a pause until {until}"),
                "nothing: it is kept",
            );
        }
        if let Some(error) = &account.last_error
            && error.kind != "throttled"
            && !error.kind.starts_with("mirror_")
        {
            let message = format!("the last attempt ended with {} at {}", clean(&error.kind), error.at);
            checks.warn(
                "last_sync",
                message,
                format!("calmirror sync --account {name}; the checks below say more"),
            );
        }
        let failed = |calendar: &&CalendarStatus| calendar.state == CalendarState::Failed;
        let failed: Vec<&CalendarStatus> = account.calendars.iter().filter(failed).collect();
        if !failed.is_empty() {
            let kinds: BTreeSet<String> = failed
                .iter()
                .filter_map(|calendar| Some(clean(&calendar.last_error.as_ref()?.kind)))
                .collect();
            let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
            let count = plural(u64::try_from(failed.len()).unwrap_or(u64::MAX), "calendar");
            let message = format!("{count} could not be completed ({kinds})");
            checks.warn("calendars", message, "calmirror status names them; the next sync tries again");
        }
        let held: u64 = account.calendars.iter().map(|calendar| calendar.held_removals).sum();
        if held > 0 {
            let message = format!("{} held back, nothing was removed", plural(held, "removal"));
            let todo = format!("if that is right: calmirror sync --accept-removals --account {name}");
            checks.warn("removals", message, todo);
        }
    }
}

fn check_servers(
    setup: &Setup,
    account: &Effective,
    edges: &Edges,
    checks: &mut Checks,
) -> Result<(), Failure> {
    let graph = account.graph_url.value.clone();
    if graph.is_empty() || account.source.value != SourceKind::Microsoft365 {
        return Ok(());
    }
    let runtime = runtime()?;
    // Without a token: a 401 shows that the server is there.
    let mut server_date = None;
    match runtime.block_on(edges.http.send(probe(&format!("{graph}/v1.0/me")))) {
        Ok(reply) => {
            let date = reply.header("date").and_then(|text| DateTime::parse_from_rfc2822(text).ok());
            server_date = date.map(|date| date.timestamp_millis());
            judge_reply("graph", &reply, checks);
        }
        Err(error) => checks.fail(
            "graph",
            format!("not reachable: {error}"),
            "check network, proxy (HTTPS_PROXY, NO_PROXY) and name resolution",
        ),
    }
    runtime.block_on(async {
        registration::check_registration(account, edges, checks).await;
        match (account.is_synchronized(), account.is_application()) {
            (true, true) => registration::check_mailbox_of_application(account, edges, checks).await,
            (true, false) => registration::check_mailbox(setup, account, edges, checks).await,
            (false, _) => {}
        }
    });
    if let Some(server_ms) = server_date {
        let apart_s = edges.clock.now_ms().saturating_sub(server_ms) / 1_000;
        judge_clock(apart_s, checks);
    }
    Ok(())
}

fn probe(url: &str) -> Request {
    Request {
        method: Method::Get,
        url: url.to_owned(),
        headers: vec![("accept", "application/json".to_owned())],
        bearer: None,
        body: None,
        reply_bytes_max: REACH_BYTES_MAX,
        timeout: REACH_TIMEOUT,
    }
}

fn judge_reply(check: &'static str, reply: &Reply, checks: &mut Checks) {
    let is_page = reply.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    match reply.status {
        200..300 if is_page => checks.fail(
            check,
            "a web page answers in its place",
            "sign in to the network (hotel, guest Wi-Fi), or ask about the proxy",
        ),
        200..300 | 400..500 => checks.ok(check, "reachable"),
        status => checks.warn(check, format!("it answers with status {status}"), "try again later"),
    }
}

fn judge_clock(apart_s: i64, checks: &mut Checks) {
    let (distance, direction) = (rough_span(apart_s.abs()), if apart_s > 0 { "ahead" } else { "behind" });
    let message = format!("this machine's clock is {distance} {direction} of the server's");
    match apart_s.abs() {
        0..CLOCK_WARN_S => checks.ok("clock", "agrees with the server's"),
        CLOCK_WARN_S..CLOCK_FAIL_S => checks.warn("clock", message, "turn on time synchronization"),
        _ => checks.fail("clock", message, "turn on time synchronization: sign-in and TLS need it"),
    }
}

fn print(output: &mut Output, checks: &[Check], has_several: bool) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&json!({ "checks": checks }));
    }
    let mut table = plain_table(3, &[0, 1]);
    for check in checks {
        let (word, tone) = match check.state {
            State::Ok => ("ok", Tone::Good),
            State::Warn => ("warn", Tone::Warning),
            State::Fail => ("fail", Tone::Bad),
        };
        let what = match (&check.account, has_several) {
            (Some(account), true) => format!("{} ({account})", check.check),
            _ => check.check.to_owned(),
        };
        table.add_row([cell(word, tone), cell(what, Tone::Plain), cell(clean(&check.message), Tone::Plain)]);
        if let Some(todo) = &check.todo {
            table.add_row([
                cell("", Tone::Plain),
                cell("", Tone::Plain),
                cell(format!("→ {}", clean(todo)), tone),
            ]);
        }
    }
    output.table(&mut table)
}

/// Words that say who uses this program and where, and what a bundle says instead.
struct Names(Vec<(String, String)>);

impl Names {
    fn of(data_dir: &Path, accounts: &[Effective]) -> Names {
        let mut names = vec![(data_dir.to_string_lossy().into_owned(), "<data>".to_owned())];
        let home = calmirror::system::home_dir().map(|home| home.to_string_lossy().into_owned());
        names.extend(home.map(|home| (home, "~".to_owned())));
        for (number, account) in accounts.iter().enumerate() {
            let mut add =
                |word: &str, kind: &str| names.push((word.to_owned(), format!("<{kind} {number}>")));
            add(&account.name, "account");
            add(account.user.as_deref().unwrap_or_default(), "user");
            add(account.graph_app.as_ref().map(|app| app.value.as_str()).unwrap_or_default(), "application");
            add(&account.client_id, "application id");
            add(&account.tenant, "directory");
        }
        // The longest first: an address holds names.
        names.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        Names(names)
    }

    /// `text` with other words in place of the names, where they stand for themselves.
    fn hidden(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (word, instead)| replaced(&text, word, instead))
    }
}

/// `text` with `instead` for each `word` that no letter or digit continues.
fn replaced(text: &str, word: &str, instead: &str) -> String {
    if word.len() < 2 {
        return text.to_owned();
    }
    let mut parts = text.split(word);
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_inside = all.chars().next_back().is_some_and(char::is_alphanumeric)
            || part.chars().next().is_some_and(char::is_alphanumeric);
        all.push_str(if is_inside { word } else { instead });
        all.push_str(part);
    }
    all
}

fn bundle_head(checks: &[Check], names: &Names) -> Value {
    // Messages name paths and configured words; the words of a wrong configuration stay here.
    let checks: Vec<Value> = checks
        .iter()
        .map(|check| match (check.check, check.state) {
            ("config", _) => json!({ "check": check.check, "state": check.state }),
            _ => {
                json!({ "check": check.check, "state": check.state, "message": names.hidden(&check.message) })
            }
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "system": { "os": std::env::consts::OS, "architecture": std::env::consts::ARCH },
        "checks": checks,
    })
}

/// Everything is copied member by member: what is new in an answer is not in the bundle until somebody decides so.
fn write_bundle(path: &Path, checks: &[Check], accounts: &[Effective], setup: &Setup) -> Result<(), Failure> {
    let kept = ["method", "allow_office365", "source", "window.past", "window.future", "presence.time_zone"];
    let mut bundle = bundle_head(checks, &Names::of(&setup.data_dir, accounts));
    let mut described = Vec::new();
    for (number, account) in accounts.iter().enumerate() {
        let settings: Vec<Value> = account
            .shown()
            .into_iter()
            .filter(|shown| kept.contains(&shown.key.as_str()) && shown.origin != Origin::Default)
            .map(|shown| json!({ "key": shown.key, "value": shown.value, "origin": shown.origin }))
            .collect();
        let status = setup.mirrors.status(Some(&account.name)).ok();
        let status = status.and_then(|status| status.accounts.into_iter().next());
        let calendars: Vec<Value> = status
            .iter()
            .flat_map(|status| &status.calendars)
            .map(|calendar| {
                json!({
                    "id": calendar.id,
                    "window": calendar.window,
                    "last_pull": calendar.last_pull,
                    "last_full_check": calendar.last_full_check,
                    "cursor_age_s": calendar.cursor_age_s,
                    "events": calendar.events,
                    "state": calendar.state,
                    "held_removals": calendar.held_removals,
                    "skipped": calendar.skipped,
                    "last_error": calendar.last_error,
                })
            })
            .collect();
        described.push(json!({
            "account": number,
            "settings": settings,
            "signed_in": status.as_ref().map(|status| status.signed_in),
            "network": status.as_ref().map(|status| status.network),
            "throttled_until": status.as_ref().and_then(|status| status.throttled_until.clone()),
            "last_error": status.as_ref().and_then(|status| status.last_error.clone()),
            "calendars": calendars,
        }));
    }
    if let Value::Object(members) = &mut bundle {
        members.insert("accounts".to_owned(), Value::Array(described));
    }
    let text = serde_json::to_string_pretty(&bundle).map_err(Failure::bug)?;
    Ok(write_private(path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_hidden_where_it_stands_for_itself() {
        for (text, expected) in [
            ("store /data/anna/tokens.enc", "store /data/<0>/tokens.enc"),
            ("`anna`, anna", "`<0>`, <0>"),
            ("annalen, hanna", "annalen, hanna"),
            ("", ""),
        ] {
            assert_eq!(replaced(text, "anna", "<0>"), expected);
        }
        assert_eq!(replaced("as it is", "", "<0>"), "as it is");
    }

    #[test]
    fn clocks_are_judged_by_how_far_they_are_apart() {
        for (apart_s, state) in [
            (0, State::Ok),
            (-59, State::Ok),
            (60, State::Warn),
            (-299, State::Warn),
            (300, State::Fail),
            (-86_400, State::Fail),
        ] {
            let mut checks = Checks::default();
            judge_clock(apart_s, &mut checks);
            assert_eq!(checks.all[0].state, state, "{apart_s}");
        }
    }

    #[test]
    fn a_server_that_asks_for_a_token_is_reachable_and_a_web_page_is_not() {
        let reply = |status, kind: &str| Reply {
            status,
            headers: vec![("content-type".into(), kind.into())],
            body: Vec::new(),
        };
        for (check, status, kind, state) in [
            ("graph", 401, "application/json", State::Ok),
            ("graph", 200, "text/html; charset=utf-8", State::Fail),
            ("graph", 503, "text/html", State::Warn),
        ] {
            let mut checks = Checks::default();
            judge_reply(check, &reply(status, kind), &mut checks);
            assert_eq!(checks.all[0].state, state, "{check} {status} {kind}");
        }
    }
}
