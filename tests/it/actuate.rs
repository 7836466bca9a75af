//! Commands carried out for real: programs that run, web services on loopback, Teams at the emulator.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use calmirror::actuate::{
    Actuator, Actuators, Cause, Host, Outcome, SIGNATURE_HEADER, Surroundings, Teams, Webhook,
};
use calmirror::emulator::{
    Options, PresenceAct, RequestKind, Rule, Running, SignIn, Source, What, When, World, serve,
};
use calmirror::http::HttpClient;
use calmirror::model::{AutomaticReplies, Fault, Secret};
use calmirror::ports::{Bearer, Clock, Http, HttpError, Pending, Reply, Request};
use calmirror::presence::{self, ActuatorKind, Availability, Channel, Command, Value};
use calmirror::source::graph::{Graph, GraphSite};
use calmirror::system::SystemEntropy;
use calmirror::zones::{Zone, Zones};
use serde_json::json;

/// 10 March 2026, 10:00 in Berlin.
const NOW_MS: i64 = 1_773_133_200_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Enough for a program of the test to start and end on a busy machine.
const AMPLE: Duration = Duration::from_secs(30);
/// For programs and servers that never answer.
const SCARCE: Duration = Duration::from_millis(300);

fn berlin() -> Zone {
    Zones::bundled().resolve("Europe/Berlin").unwrap()
}

fn command(channel: Channel, set: Value) -> Command {
    Command {
        id: "c1".into(),
        idempotency_key: "key-1".into(),
        channel,
        set: Some(set),
        is_release: false,
        valid_from_ms: NOW_MS,
        valid_until_ms: Some(NOW_MS + HOUR_MS),
        as_of_ms: Some(NOW_MS - MINUTE_MS),
        generation: 7,
    }
}

fn forwarding() -> Command {
    command(Channel::Forwarding, Value::forwarded_to("+49301234"))
}

fn shown(availability: Availability) -> Command {
    command(Channel::Presence, Value::Presence { profile: "P".into(), availability })
}

fn told(text: Option<&str>) -> Command {
    command(Channel::Text, Value::Text { text: text.map(str::to_owned) })
}

/// Stands at one time until it is put forward.
struct Hands(AtomicI64);

impl Hands {
    fn at(now_ms: i64) -> Arc<Hands> {
        Arc::new(Hands(AtomicI64::new(now_ms)))
    }
    fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

// ---- programs -------------------------------------------------------------------------------------------------

#[cfg(unix)]
mod programs {
    use std::ffi::OsString;
    use std::time::Instant;

    use calmirror::actuate::Program;
    use calmirror::system::program_environment;

    use super::*;

    fn program(folder: &Path, program: &[&str], timeout: Duration) -> Program {
        Program {
            program: program.iter().map(|part| (*part).to_owned()).collect(),
            folder: folder.to_path_buf(),
            environment: program_environment(),
            timeout,
            zone: berlin(),
        }
    }

    async fn run(folder: &Path, script: &str, timeout: Duration) -> Outcome {
        program(folder, &["sh", "-c", script], timeout).apply(&forwarding()).await
    }

    #[tokio::test]
    async fn a_program_gets_the_command_as_one_line_in_a_plain_environment() {
        let folder = tempfile::tempdir().unwrap();
        let mut program =
            program(folder.path(), &["sh", "-c", "cat > got; pwd -P > where; env > environment"], AMPLE);
        program.environment.push((OsString::from("MARK"), OsString::from("here")));
        assert_eq!(program.apply(&forwarding()).await, Outcome::APPLIED);
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let got = read("got");
        assert_eq!(got.matches('\n').count(), 1);
        let got: serde_json::Value = serde_json::from_str(&got).unwrap();
        let expected = json!({
            "id": "c1", "idempotency_key": "key-1", "channel": "forwarding",
            "set": {"target": "+49301234", "scope": "all", "condition": "always"}, "release": false,
            "valid_from": "2026-03-10T10:00:00+01:00", "valid_until": "2026-03-10T11:00:00+01:00",
            "as_of": "2026-03-10T09:59:00+01:00", "generation": 7,
        });
        assert_eq!(got, expected);
        assert_eq!(Path::new(read("where").trim()), folder.path().canonicalize().unwrap());
        let environment = read("environment");
        assert!(environment.lines().any(|line| line == "MARK=here"), "{environment}");
        assert!(environment.lines().any(|line| line.starts_with("PATH=")), "{environment}");
        assert!(!environment.contains("CARGO"), "what this program was given for itself is not handed on");
    }

    #[tokio::test]
    async fn an_exit_code_is_an_answer_and_a_crash_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |code| Outcome::Refused(Cause::ProgramRefused(code));
        for (script, expected) in [
            ("exit 0", Outcome::APPLIED),
            ("exec 0<&-; exit 0", Outcome::APPLIED),
            ("exit 1", refused(1)),
            ("exit 75", refused(75)),
            ("no-such-program-anywhere 2>/dev/null", refused(127)),
            ("kill -9 $$", Outcome::Unclear(Cause::ProgramEnded)),
            ("kill -15 $$", Outcome::Unclear(Cause::ProgramEnded)),
        ] {
            assert_eq!(run(folder.path(), script, AMPLE).await, expected, "{script}");
        }
    }

    #[tokio::test]
    async fn a_program_that_cannot_start_is_refused_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "#!/bin/sh\n").unwrap();
        let plain = plain.to_str().unwrap();
        for (line, expected) in [
            (vec!["no-such-program-anywhere"], Cause::ProgramMissing),
            (vec!["/no/such/program"], Cause::ProgramMissing),
            (vec![], Cause::ProgramMissing),
            (vec![plain], Cause::ProgramNotStarted(std::io::ErrorKind::PermissionDenied)),
        ] {
            let outcome = program(folder.path(), &line, AMPLE).apply(&forwarding()).await;
            assert_eq!(outcome, Outcome::Refused(expected), "{line:?}");
        }
    }

    #[tokio::test]
    async fn a_program_that_floods_its_output_is_let_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let flood = "head -c 50000000 /dev/zero; head -c 50000000 /dev/zero >&2";
        assert_eq!(run(folder.path(), flood, AMPLE).await, Outcome::APPLIED);
        assert_eq!(
            run(folder.path(), &format!("{flood}; exit 3"), AMPLE).await,
            Outcome::Refused(Cause::ProgramRefused(3))
        );
        assert_eq!(run(folder.path(), "yes", SCARCE).await, Outcome::Unclear(Cause::ProgramSlow(SCARCE)));
    }

    #[tokio::test]
    async fn what_a_program_leaves_running_does_not_hold_its_answer_up() {
        let folder = tempfile::tempdir().unwrap();
        let outcome = run(folder.path(), "sleep 600 & echo $! > left; exit 0", AMPLE).await;
        assert_eq!(outcome, Outcome::APPLIED);
        let left = std::fs::read_to_string(folder.path().join("left")).unwrap();
        assert!(is_running(left.trim()), "a program may start another and be done");
        assert!(std::process::Command::new("kill").arg(left.trim()).status().unwrap().success());
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap '' TERM; sleep 600 & echo $! > left; echo $$ > own; wait; wait";
        assert_eq!(
            run(folder.path(), script, SCARCE * 3).await,
            Outcome::Unclear(Cause::ProgramSlow(SCARCE * 3))
        );
        for name in ["own", "left"] {
            assert_ends(std::fs::read_to_string(folder.path().join(name)).unwrap().trim());
        }
    }

    #[tokio::test]
    async fn a_program_ends_with_the_engine_that_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(
            folder.path(),
            &["sh", "-c", "sleep 600 & echo $! > left.part; mv left.part left; wait"],
            AMPLE,
        );
        let command = forwarding();
        let left = folder.path().join("left");
        let begun = async {
            while !left.exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            outcome = program.apply(&command) => panic!("{outcome:?}"),
            () = begun => {}
        }
        assert_ends(std::fs::read_to_string(left).unwrap().trim());
    }

    /// Whether it runs and is no exit that nobody has collected yet.
    fn is_running(pid: &str) -> bool {
        let state = std::process::Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap();
        let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
        !state.is_empty() && !state.starts_with('Z')
    }

    fn assert_ends(pid: &str) {
        let begin = Instant::now();
        while is_running(pid) {
            assert!(begin.elapsed() < AMPLE, "it still runs");
        }
    }
}

// ---- web services ---------------------------------------------------------------------------------------------

/// One request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// What the service does with a request.
#[derive(Clone)]
enum Does {
    Answers(u16, &'static str, String),
    Closes,
    Hangs,
}

fn answers(status: u16) -> Does {
    Does::Answers(status, "", String::new())
}

/// A service on loopback that answers one connection after the other.
struct Service {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Service {
    fn start(plan: Vec<Does>) -> Service {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&seen);
        std::thread::spawn(move || {
            for does in plan {
                let (mut stream, _) = listener.accept().unwrap();
                list.lock().unwrap().push(read(&mut stream));
                match does {
                    Does::Answers(status, headers, body) => {
                        let length = body.len();
                        let head = format!(
                            "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
                        );
                        stream.write_all((head + &body).as_bytes()).unwrap();
                    }
                    Does::Closes => {}
                    // Until the other side gives up.
                    Does::Hangs => drop(stream.read(&mut [0])),
                }
            }
        });
        Service { address, seen }
    }

    fn url(&self) -> String {
        format!("http://{}/hook?tenant=1", self.address)
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn read(stream: &mut TcpStream) -> Seen {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let mut lines = head.split("\r\n");
            let line = lines.next().unwrap().to_owned();
            let header = |line: &str| {
                line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            };
            let headers: Vec<_> = lines.filter_map(header).collect();
            let length = headers
                .iter()
                .find(|(name, _)| name == "content-length")
                .map_or(0, |(_, n)| n.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                let body = String::from_utf8(bytes[end + 4..end + 4 + length].to_vec()).unwrap();
                return Seen { line, headers, body };
            }
        }
        let mut part = [0; 4096];
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0, "the request ended early");
        bytes.extend_from_slice(&part[..count]);
    }
}

fn webhook(url: String) -> Webhook {
    Webhook {
        url,
        secret_env: None,
        secret_file: None,
        http: HttpClient::new().unwrap(),
        timeout: AMPLE,
        zone: berlin(),
    }
}

#[tokio::test]
async fn a_webhook_gets_the_same_signed_command_until_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("secret");
    calmirror::system::write_private(&secret_file, b"open sesame\n").unwrap();
    let service = Service::start(vec![answers(500), Does::Answers(200, "", "{}".into())]);
    let webhook = Webhook { secret_file: Some(secret_file), ..webhook(service.url()) };
    assert!(matches!(
        webhook.apply(&forwarding()).await,
        Outcome::Refused(Cause::Fault(Fault::Refused { status: 500, .. }))
    ));
    assert_eq!(webhook.apply(&forwarding()).await, Outcome::APPLIED);
    let seen = service.seen();
    assert_eq!(seen[0], seen[1], "a retry is the same to the byte");
    assert_eq!(seen[0].line, "POST /hook?tenant=1 HTTP/1.1");
    assert_eq!(seen[0].header("idempotency-key"), "key-1");
    assert_eq!(seen[0].header("content-type"), "application/json");
    let body: serde_json::Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!((body["id"].as_str(), body["set"]["target"].as_str()), (Some("c1"), Some("+49301234")));
    let hex = seen[0].header(SIGNATURE_HEADER).strip_prefix("sha256=").unwrap();
    let tag: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let key = |secret: &[u8]| ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    assert!(ring::hmac::verify(&key(b"open sesame"), seen[0].body.as_bytes(), &tag).is_ok());
    assert!(ring::hmac::verify(&key(b"another"), seen[0].body.as_bytes(), &tag).is_err());
}

#[tokio::test]
async fn a_status_is_an_answer_and_that_of_a_gateway_is_none() {
    let refused =
        |outcome: &Outcome| matches!(outcome, Outcome::Refused(Cause::Fault(Fault::Refused { .. })));
    let unclear =
        |outcome: &Outcome| matches!(outcome, Outcome::Unclear(Cause::Fault(Fault::Refused { .. })));
    for status in [200, 201, 202, 204] {
        let service = Service::start(vec![answers(status)]);
        assert_eq!(webhook(service.url()).apply(&forwarding()).await, Outcome::APPLIED, "{status}");
    }
    for status in [400, 401, 404, 409, 410, 429, 500, 501, 503] {
        let service = Service::start(vec![answers(status)]);
        let outcome = webhook(service.url()).apply(&forwarding()).await;
        assert!(refused(&outcome), "{status}: {outcome:?}");
    }
    for status in [408, 502, 504] {
        let service = Service::start(vec![answers(status)]);
        let outcome = webhook(service.url()).apply(&forwarding()).await;
        assert!(unclear(&outcome), "{status}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_acted_on_a_newer_state_makes_the_command_stale() {
    for (body, is_stale) in [
        (r#"{"as_of":"2026-03-10T10:20:00+01:00"}"#, true),
        (r#"{"as_of":"2026-03-10T09:59:00+01:00"}"#, false),
        (r#"{"as_of":"2026-03-10T08:00:00Z"}"#, false),
        (r#"{"as_of":"soon"}"#, false),
        ("[]", false),
        ("", false),
    ] {
        let service = Service::start(vec![Does::Answers(409, "", body.to_owned())]);
        let outcome = webhook(service.url()).apply(&forwarding()).await;
        assert_eq!(outcome == Outcome::Refused(Cause::Stale), is_stale, "{body}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_webhook_that_sends_elsewhere_is_refused_and_nothing_goes_there() {
    let elsewhere = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let to = elsewhere.local_addr().unwrap();
    for status in [301, 302, 303, 307, 308] {
        let location: &'static str = format!("location: http://{to}/other\r\n").leak();
        let service = Service::start(vec![Does::Answers(status, location, String::new())]);
        let outcome = webhook(service.url()).apply(&forwarding()).await;
        let Outcome::Refused(cause) = outcome else { panic!("{status}: {outcome:?}") };
        assert_eq!(cause.kind(), "redirect_refused");
    }
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn silence_is_unclear_and_a_closed_door_is_a_refusal() {
    let slow = Service::start(vec![Does::Hangs]);
    let kind = |outcome: Outcome| match outcome {
        Outcome::Unclear(cause) => ("unclear", cause.kind()),
        Outcome::Refused(cause) => ("refused", cause.kind()),
        Outcome::Applied { .. } | Outcome::Waiting => panic!("{outcome:?}"),
    };
    let webhook_slow = Webhook { timeout: SCARCE, ..webhook(slow.url()) };
    assert_eq!(kind(webhook_slow.apply(&forwarding()).await), ("unclear", "timeout"));
    let cut = Service::start(vec![Does::Closes]);
    assert_eq!(kind(webhook(cut.url()).apply(&forwarding()).await), ("unclear", "connection_lost"));
    let huge = Service::start(vec![Does::Answers(200, "", "x".repeat(70_000))]);
    assert_eq!(kind(webhook(huge.url()).apply(&forwarding()).await), ("unclear", "reply_too_large"));
    let gone = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    assert_eq!(kind(webhook(format!("http://{gone}/")).apply(&forwarding()).await), ("refused", "offline"));
}

/// Whoever sends something is wrong.
struct NoHttp;

impl Http for NoHttp {
    fn send(&self, _: Request) -> Pending<'_, Result<Reply, HttpError>> {
        panic!("nothing is sent")
    }
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_or_without_its_signature() {
    let quiet = |url: &str| Webhook { http: Arc::new(NoHttp), ..webhook(url.to_owned()) };
    for url in [
        "http://hooks.example/x",
        "http://192.168.1.2/",
        "ftp://127.0.0.1/",
        "https://me@hooks.example/",
        "hooks.example",
        "",
    ] {
        assert_eq!(quiet(url).apply(&forwarding()).await, Outcome::Refused(Cause::AddressRefused), "{url}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| Some(folder.path().join(name));
    std::fs::write(folder.path().join("open"), "secret").unwrap();
    calmirror::system::write_private(&folder.path().join("empty"), b" \n").unwrap();
    let mut unreadable = vec![path("missing"), path("empty")];
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder.path().join("open"), std::fs::Permissions::from_mode(0o644)).unwrap();
        unreadable.push(path("open"));
    }
    for secret_file in unreadable {
        let webhook = Webhook { secret_file: secret_file.clone(), ..quiet("https://hooks.example/") };
        assert_eq!(
            webhook.apply(&forwarding()).await,
            Outcome::Refused(Cause::SecretMissing),
            "{secret_file:?}"
        );
    }
    let webhook =
        Webhook { secret_env: Some("CALMIRROR_NO_SUCH_VARIABLE".into()), ..quiet("https://hooks.example/") };
    assert_eq!(webhook.apply(&forwarding()).await, Outcome::Refused(Cause::SecretMissing));
}

// ---- Teams and the mailbox ------------------------------------------------------------------------------------

struct Fixed(String);

impl Bearer for Fixed {
    fn token<'a>(&'a self, _: Option<&'a Secret>, _: Option<&'a str>) -> Pending<'a, Result<Secret, Fault>> {
        Box::pin(std::future::ready(Ok(Secret::new(self.0.as_str()))))
    }
}

struct Cloud {
    running: Running,
    clock: Arc<Hands>,
}

impl Cloud {
    async fn start() -> Cloud {
        let clock = Hands::at(NOW_MS);
        let mut world = World::new(7, &[("Anna Berg", "anna@contoso.example")], "Europe/Berlin");
        world.set_sign_in(SignIn { access_token_s: 1_000_000, ..SignIn::default() });
        let source = Source::World(Arc::new(Mutex::new(world)));
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let running = serve(Options { listen, source, clock: Arc::clone(&clock) as _ }).await.unwrap();
        Cloud { running, clock }
    }

    fn graph(&self, scopes: &str) -> Graph {
        let token = self.running.with(|world| world.grant_access_to(0, scopes, NOW_MS));
        Graph::new(
            GraphSite::new(&self.running.origin(), None).unwrap(),
            HttpClient::new().unwrap(),
            Arc::new(Fixed(token)),
            Arc::clone(&self.clock) as _,
            Arc::new(SystemEntropy),
        )
    }

    fn teams(&self) -> Teams {
        Teams::new(self.graph("User.Read Presence.ReadWrite"), Arc::clone(&self.clock) as _)
    }

    fn acts(&self) -> Vec<PresenceAct> {
        self.running.with(|world| {
            let acts = world.presence_acts(0).cloned().collect();
            world.clear_presence_acts();
            acts
        })
    }

    fn shown(&self) -> (String, Option<String>) {
        let shown = self.running.with(|world| world.shown_presence(0, self.clock.now_ms())).unwrap();
        (shown.availability, shown.text)
    }
}

#[tokio::test]
async fn teams_shows_what_graph_can_set_and_says_what_it_cannot() {
    let cloud = Cloud::start().await;
    let teams = cloud.teams();
    for (availability, shows, instead) in [
        (Availability::Busy, "Busy", None),
        (Availability::DoNotDisturb, "DoNotDisturb", None),
        (Availability::BeRightBack, "BeRightBack", None),
        (Availability::Away, "Away", None),
        (Availability::Offline, "Offline", None),
        (Availability::OutOfOffice, "Away", Some("Away")),
        (Availability::WorkingElsewhere, "Available", Some("Available")),
        (Availability::Busy, "Busy", None),
        (Availability::Available, "Available", None),
    ] {
        assert_eq!(teams.apply(&shown(availability)).await, Outcome::Applied { instead }, "{availability:?}");
        assert_eq!(cloud.shown().0, shows, "{availability:?}");
    }
    let last = cloud.acts().pop().unwrap();
    assert_eq!(last.what, "clearUserPreferredPresence", "available is left to Teams itself");
    assert_eq!(teams.apply(&forwarding()).await, Outcome::Refused(Cause::NotPossible));
    assert!(cloud.acts().is_empty());
}

#[tokio::test]
async fn a_status_text_comes_and_goes() {
    let cloud = Cloud::start().await;
    let teams = cloud.teams();
    assert_eq!(teams.apply(&told(Some("In a \"meeting\" – é"))).await, Outcome::APPLIED);
    assert_eq!(cloud.shown().1.as_deref(), Some("In a \"meeting\" – é"));
    cloud.clock.advance(2 * HOUR_MS);
    assert_eq!(cloud.shown().1, None, "it ends by itself when nobody replaces it");
    teams.apply(&told(Some("again"))).await;
    assert_eq!(teams.apply(&told(None)).await, Outcome::APPLIED);
    assert_eq!(cloud.shown().1, None);
}

#[tokio::test]
async fn what_teams_would_forget_too_early_is_renewed_and_nothing_else() {
    let cloud = Cloud::start().await;
    let teams = cloud.teams();
    let busy = shown(Availability::Busy);
    let value = busy.set.clone().unwrap();
    let until_ms = NOW_MS + HOUR_MS;
    assert_eq!(teams.apply(&busy).await, Outcome::APPLIED);
    assert_eq!(cloud.acts()[0].until_ms, Some(until_ms + 15 * MINUTE_MS));
    cloud.clock.advance(55 * MINUTE_MS);
    assert_eq!(teams.renew(&value, Some(until_ms)).await, None, "it lasts to its end");
    assert_eq!(
        teams.renew(&value, Some(until_ms + HOUR_MS)).await,
        Some(Outcome::APPLIED),
        "the meeting goes on"
    );
    assert_eq!(cloud.acts()[0].until_ms, Some(until_ms + HOUR_MS + 15 * MINUTE_MS));
    assert_eq!(teams.renew(&value, None).await, None, "open ended, and still long enough");
    // Another process knows nothing of the former one.
    let teams = cloud.teams();
    assert_eq!(teams.renew(&value, None).await, Some(Outcome::APPLIED));
    let now_ms = cloud.clock.now_ms();
    assert_eq!(cloud.acts()[0].until_ms, Some(now_ms + 24 * HOUR_MS));
    for _ in 0..4 * 47 {
        cloud.clock.advance(15 * MINUTE_MS);
        teams.renew(&value, None).await;
        assert_eq!(cloud.shown().0, "Busy");
    }
    assert_eq!(cloud.acts().len(), 1, "in two days but two hours, asked each quarter of an hour");
    teams.apply(&shown(Availability::Available)).await;
    let available = shown(Availability::Available).set.unwrap();
    assert_eq!(teams.renew(&available, None).await, None, "what was cleared does not end");
}

#[tokio::test]
async fn a_missing_permission_and_a_lost_reply_are_told_apart() {
    let cloud = Cloud::start().await;
    let poor = Teams::new(cloud.graph("User.Read Presence.Read"), Arc::clone(&cloud.clock) as _);
    let missing = Outcome::Refused(Cause::PermissionMissing("Presence.ReadWrite"));
    assert_eq!(poor.apply(&shown(Availability::Busy)).await, missing);
    let teams = cloud.teams();
    let on = |what: What| Rule {
        when: When { path: Some("/presence/".into()), ..When::default() },
        count: 1,
        what,
    };
    cloud.running.with(|world| world.add_fault(on(What::LoseReply)));
    assert!(matches!(teams.apply(&shown(Availability::Busy)).await, Outcome::Unclear(Cause::Fault(_))));
    assert_eq!(cloud.shown().0, "Busy");
    cloud.running.with(|world| {
        world.add_fault(on(What::Status { status: 404, code: None, body: Default::default() }))
    });
    assert!(matches!(teams.apply(&shown(Availability::Away)).await, Outcome::Refused(Cause::Fault(_))));
    // Not knowing who it is about, nothing was asked of the presence.
    let fresh = cloud.teams();
    cloud.running.with(|world| world.add_fault(Rule::next(RequestKind::Mailbox, What::LoseReply)));
    assert!(matches!(fresh.apply(&shown(Availability::Away)).await, Outcome::Refused(Cause::Fault(_))));
    assert_eq!(fresh.apply(&shown(Availability::Away)).await, Outcome::APPLIED, "it is asked again");
}

#[tokio::test]
async fn the_mailbox_tells_its_automatic_replies_and_hours_where_it_may() {
    let cloud = Cloud::start().await;
    let graph = cloud.graph("MailboxSettings.Read");
    let settings = graph.mailbox_settings().await.unwrap().unwrap();
    assert_eq!(settings.automatic_replies, Some(AutomaticReplies::Off));
    assert_eq!(settings.time_zone.as_deref(), Some("Europe/Berlin"));
    let hours = settings.working_hours.unwrap();
    assert_eq!((hours.days, hours.start_minute, hours.end_minute), (vec![1, 2, 3, 4, 5], 480, 1_020));
    let at = |time: &str| json!({"dateTime": time, "timeZone": "W. Europe Standard Time"});
    let set = |members: serde_json::Value| {
        cloud.running.with(|world| world.set_mailbox_settings(0, &members).unwrap())
    };
    set(
        json!({"automaticRepliesSetting": {"status": "scheduled", "scheduledStartDateTime": at("2026-03-10T12:00:00"), "scheduledEndDateTime": at("2026-03-13T08:00:00")}}),
    );
    set(
        json!({"workingHours": {"daysOfWeek": ["sunday"], "timeZone": {"@odata.type": "#microsoft.graph.customTimeZone", "bias": -200, "name": "Customized Time Zone"}}}),
    );
    let settings = graph.mailbox_settings().await.unwrap().unwrap();
    let expected =
        AutomaticReplies::Scheduled { start_ms: NOW_MS + 2 * HOUR_MS, end_ms: NOW_MS + 70 * HOUR_MS };
    assert_eq!(settings.automatic_replies, Some(expected));
    let hours = settings.working_hours.unwrap();
    assert_eq!((hours.days, hours.start_minute, hours.time_zone), (vec![7], 480, None));
    set(json!({"automaticRepliesSetting": {"status": "alwaysEnabled"}}));
    let settings = graph.mailbox_settings().await.unwrap().unwrap();
    assert_eq!(settings.automatic_replies, Some(AutomaticReplies::Always));
    assert_eq!(
        cloud.graph("Calendars.ReadWrite").mailbox_settings().await,
        Ok(None),
        "not allowed is no fault"
    );
}

#[tokio::test]
async fn the_control_url_sets_automatic_replies_and_tells_what_was_shown() {
    let cloud = Cloud::start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let control = cloud.running.control_url();
    let post = async |path: &str, body: serde_json::Value| {
        let reply = client.post(format!("{control}/{path}")).body(body.to_string()).send().await.unwrap();
        let status = reply.status().as_u16();
        (status, serde_json::from_slice::<serde_json::Value>(&reply.bytes().await.unwrap()).unwrap())
    };
    let settings = json!({"automaticRepliesSetting": {"status": "alwaysEnabled"}});
    assert_eq!(post("mailbox_settings", settings.clone()).await, (200, settings));
    assert_eq!(post("mailbox_settings", json!({"automaticRepliesSetting": {"status": "x"}})).await.0, 400);
    let granted =
        post("tokens", json!({"grant": "anna@contoso.example", "scopes": "MailboxSettings.ReadWrite"}))
            .await
            .1;
    let url = format!("{}/v1.0/me/mailboxSettings", cloud.running.origin());
    let token = granted["access_token"].as_str().unwrap();
    let patch = client.patch(&url).bearer_auth(token).body(r#"{"timeZone":"Pacific Standard Time"}"#).send();
    let patched: serde_json::Value =
        serde_json::from_slice(&patch.await.unwrap().bytes().await.unwrap()).unwrap();
    assert_eq!(patched["timeZone"], "Pacific Standard Time");
    assert_eq!(patched["automaticRepliesSetting"]["status"], "alwaysEnabled");
    cloud.teams().apply(&shown(Availability::Busy)).await;
    let lines = client.get(format!("{control}/presence")).send().await.unwrap().bytes().await.unwrap();
    let lines: serde_json::Value = serde_json::from_slice(&lines).unwrap();
    assert_eq!((&lines["shown"]["availability"], &lines["count"]), (&json!("Busy"), &json!(1)));
    assert_eq!(lines["items"][0]["what"], "setUserPreferredPresence");
}

// ---- all of an account ----------------------------------------------------------------------------------------

/// Counts its calls and gives one answer.
struct Counting(AtomicUsize, Outcome);

impl Actuator for Counting {
    fn apply<'a>(&'a self, _: &'a Command) -> Pending<'a, Outcome> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(self.1.clone()))
    }
}

#[tokio::test]
async fn who_has_carried_a_command_out_is_not_asked_again_because_of_another() {
    let done = Arc::new(Counting(AtomicUsize::new(0), Outcome::APPLIED));
    let fails = Arc::new(Counting(AtomicUsize::new(0), Outcome::Refused(Cause::ProgramRefused(1))));
    let both = [Channel::Forwarding, Channel::Text];
    let actuators = Actuators::default()
        .with(&both, Arc::clone(&done) as _)
        .with(&[Channel::Forwarding], Arc::clone(&fails) as _);
    for _ in 0..3 {
        assert_eq!(actuators.apply(&forwarding()).await, Outcome::Unclear(Cause::Mixed));
    }
    let count = |one: &Counting| one.0.load(Ordering::SeqCst);
    assert_eq!((count(&done), count(&fails)), (1, 3));
    assert_eq!(actuators.apply(&told(None)).await, Outcome::APPLIED);
    actuators.apply(&Command { idempotency_key: "key-2".into(), ..forwarding() }).await;
    assert_eq!((count(&done), count(&fails)), (3, 4));
    assert!(!actuators.reaches(Channel::Presence));
    assert_eq!(actuators.apply(&shown(Availability::Busy)).await, Outcome::Refused(Cause::NoActuator));
}

#[tokio::test]
async fn the_configuration_names_the_actuators_of_each_channel() {
    let service = Service::start(vec![answers(200)]);
    let text = format!(
        "[[presence.actuator]]\nchannels = [\"forwarding\"]\nkind = \"webhook\"\nurl = \"{}\"\ntimeout = \"20s\"\n\
         [[presence.actuator]]\nchannels = [\"presence\"]\nkind = \"host\"\n\
         [[presence.actuator]]\nchannels = [\"text\"]\nkind = \"teams\"\n",
        service.url()
    );
    let config = calmirror::config::Config::parse(&text).unwrap();
    let settings: Vec<presence::Actuator> = config.presence.actuators.unwrap();
    assert_eq!((settings[1].kind, settings[0].timeout), (ActuatorKind::Host, Some(Duration::from_secs(20))));
    let around = Surroundings {
        http: HttpClient::new().unwrap(),
        graph: None,
        clock: Hands::at(NOW_MS),
        folder: std::env::temp_dir(),
        environment: Vec::new(),
        zone: berlin(),
        host: None,
    };
    let actuators = Actuators::new(&settings, &around);
    assert_eq!(actuators.apply(&forwarding()).await, Outcome::APPLIED);
    assert_eq!(service.seen().len(), 1);
    assert_eq!(actuators.apply(&shown(Availability::Busy)).await, Outcome::Waiting);
    assert_eq!(
        actuators.apply(&told(None)).await,
        Outcome::Refused(Cause::NotPossible),
        "without Microsoft 365"
    );
    assert_eq!(Host.apply(&forwarding()).await, Outcome::Waiting);
}

#[test]
fn a_secret_is_named_in_the_configuration_and_never_written_there() {
    let problems = |lines: &str| {
        let text = format!(
            "[[presence.actuator]]\nchannels = [\"text\"]\nkind = \"webhook\"\nurl = \"https://hooks.example/x\"\n{lines}"
        );
        calmirror::config::Config::parse(&text)
            .err()
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(problems("secret_env = \"HOOK_SECRET\"\n"), Vec::<String>::new());
    assert_eq!(problems("secret_file = \"hook.secret\"\ntimeout = \"60s\"\n"), Vec::<String>::new());
    for (lines, part) in [
        ("secret = \"hunter2\"\n", "`secret_env`"),
        ("secret_env = \"hunter-2\"\n", "not the secret itself"),
        ("secret_env = \"A\"\nsecret_file = \"b\"\n", "one too many"),
        ("timeout = \"61s\"\n", "between 1s and 60s"),
        ("timeout = \"0s\"\n", "between 1s and 60s"),
    ] {
        let found = problems(lines);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(part), "{found:?}");
        assert!(!found[0].contains("hunter"), "a secret is not repeated: {found:?}");
    }
    let text = "[[presence.actuator]]\nchannels = [\"text\"]\nkind = \"webhook\"\nurl = \"http://hooks.example/x?token=hunter2\"\n";
    let found = calmirror::config::Config::parse(text).unwrap_err();
    assert_eq!(found.len(), 1);
    assert!(!found[0].to_string().contains("hunter"));
}

#[test]
fn paths_of_actuators_are_relative_to_the_configuration() {
    let text = "[[presence.actuator]]\nchannels = [\"text\"]\nkind = \"command\"\nprogram = [\"./set\", \"./x\"]\nsecret_file = \"s\"\n\
                [[presence.actuator]]\nchannels = [\"text\"]\nkind = \"command\"\nprogram = [\"set\"]\n";
    let mut config = calmirror::config::Config::parse(text).unwrap();
    let folder = Path::new("/etc/cal");
    config.rebase(folder);
    let actuators = config.presence.actuators.unwrap();
    assert_eq!(Path::new(&actuators[0].program[0]), folder.join("./set"));
    assert_eq!(actuators[0].program[1], "./x");
    assert_eq!(actuators[0].secret_file.as_deref(), Some(folder.join("s").as_path()));
    assert_eq!(actuators[1].program[0], "set");
}
