//! The steps of the demo.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use calmirror::api::{
    AddCall, AgendaCall, ChangeLine, ChangesCall, EditCall, Error, ErrorKind, Event, FieldsCall, Mirrors,
    ShowCall,
};
use calmirror::config::{Config, Effective};
use calmirror::emulator::{Edit, Options, Running, Source};
use calmirror::engine::{DevicePrompt, Edges, Engine, Handle, OtherMailbox, SyncOrder};
use calmirror::local::{Door, Listen, SyncAnswer};
use calmirror::model::{EventKind, Key, Response};
use calmirror::ports::Clock;
use calmirror::system::{SystemClock, create_private_dir, secret_hex};
use calmirror::vault::NoKeyring;
use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use crate::args::Globals;
use crate::command::agenda::{self, Listed};
use crate::command::demo::compare::compare;
use crate::command::demo::mailbox::{CANCELLED, MOVED, SERIES, document, meeting, times};
use crate::command::demo::teller::Teller;
use crate::command::emulate::start;
use crate::command::event_table::{marks, short_span};
use crate::command::sync::{print_answer, print_json_line, progress_json};
use crate::engine::{INTERRUPTED, Stop, edges};
use crate::output::{Output, Tone};
use crate::progress::Bar;
use crate::setup::{Failure, new_mirrors};
use crate::text::{clean, grouped, plural};

/// The account's name in the demo.
const ACCOUNT: &str = "anna";
/// The zone of the demo's mailbox and agenda.
const ZONE: &str = "Europe/Berlin";
/// What its appointments make of presence and calls.
const PRESENCE: &str = include_str!("presence.toml");
/// Makes ids and tokens of the emulator.
const SEED: u64 = 7;
/// Edits that other clients make while the network is cut.
const EDITS_OFFLINE: usize = 40;
/// What the user adds without a network.
const ADDED: &str = "Call the tax adviser";
/// Where the user moves a meeting to without a network.
const PLACE: &str = "Room 4.01";
/// Change lines that are shown one by one.
const LINES_SHOWN_MAX: usize = 6;
/// Asked so often to say how long an answer takes.
const ASKED_TIMES: u32 = 20;

/// How often a directory is tried to be removed while something is still written into it.
const REMOVE_TRIES: u32 = 10;
/// Between two tries.
const REMOVE_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// The emulator, a throw-away directory, and the engine in it. Dropped in this order.
pub struct Stage {
    teller: Teller,
    engine: Engine,
    mirrors: Mirrors,
    account: Effective,
    running: Running,
    _emulator: tokio::runtime::Runtime,
    directory: Throwaway,
    today: NaiveDate,
    since: i64,
    /// The event that both sides change, and the name that others give it.
    merged: Option<(Key, String)>,
}

/// A directory that is removed with everything in it, also when the user interrupts: then the process ends, unless
/// there is an engine to stop in order.
struct Throwaway {
    path: PathBuf,
    engine: Arc<Mutex<Option<Handle>>>,
}

impl Throwaway {
    fn new() -> Result<Throwaway, Failure> {
        let name = format!("calmirror-demo-{}", secret_hex().get(..16).unwrap_or_default());
        let path = std::env::temp_dir().join(name);
        let engine: Arc<Mutex<Option<Handle>>> = Arc::default();
        let (doomed, watching) = (path.clone(), engine.clone());
        Stop::listen(move || match &*watching.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(handle) => handle.stop(),
            None => {
                remove(&doomed);
                std::process::exit(INTERRUPTED);
            }
        })?;
        create_private_dir(&path)?;
        Ok(Throwaway { path, engine })
    }

    /// From now on an interruption stops this engine.
    fn stops(&self, handle: Handle) {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes a directory that may still be written to.
fn remove(path: &Path) {
    for _ in 0..REMOVE_TRIES {
        // The system's own cleaning takes what cannot be removed.
        let _ = std::fs::remove_dir_all(path);
        if !path.exists() {
            return;
        }
        std::thread::sleep(REMOVE_AGAIN_AFTER);
    }
}

impl Stage {
    /// Starts the server and opens an engine beside it.
    pub fn set(output: &mut Output) -> Result<Stage, Failure> {
        let mut teller = Teller::default();
        if !output.is_json() {
            let name = output.tone("calmirror demo", Tone::Heading);
            output.line(format!("{name} · a Microsoft 365 mailbox in SQLite, with or without a network"))?;
        }
        let clock = Arc::new(SystemClock);
        let zone = calmirror::zones::Zones::bundled()
            .resolve(ZONE)
            .ok_or_else(|| Failure::new(ErrorKind::Failed, "the demo's time zone is unknown"))?;
        let today = zone.date(clock.now_ms());
        let emulator = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let source = Source::Document { text: document(today), seed: SEED };
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let running = emulator.block_on(start(Options { listen, source, clock }))?;
        let origin = running.origin();

        teller.step(output, "A Microsoft Graph server on this machine")?;
        let text = format!("{origin} · the emulator, with the habits of the real service");
        teller.give(output, "server", &text, &json!({ "graph_url": origin }))?;

        let config = Config::parse(&config_text(&origin))
            .map_err(|problems| Failure::Config { path: PathBuf::from("demo"), problems })?;
        let directory = Throwaway::new()?;
        // A sign-in that lives for a minute leaves nothing in the user's own keyring.
        let edges = Edges { keyring: Arc::new(NoKeyring), ..edges()? };
        let engine = Engine::open(config.clone(), directory.path(), edges)?;
        let mirrors = new_mirrors(config, directory.path());
        let account = mirrors.account(Some(ACCOUNT))?;
        Ok(Stage {
            teller,
            engine,
            mirrors,
            account,
            running,
            _emulator: emulator,
            directory,
            today,
            since: 0,
            merged: None,
        })
    }

    /// Device code; the emulator approves by itself.
    pub fn sign_in(&mut self, output: &mut Output) -> Result<(), Failure> {
        self.teller.step(output, "Sign in by device code")?;
        let mut shown: Option<DevicePrompt> = None;
        self.engine.sign_in(ACCOUNT, OtherMailbox::Refuse, &mut |prompt| shown = Some(prompt.clone()))?;
        if let Some(prompt) = shown {
            let (url, code) = (clean(&prompt.verification_url), clean(&prompt.user_code));
            let code_text = output.tone(&code, Tone::Accent);
            let text = format!("open {url} and enter {code_text}");
            let value = json!({ "verification_url": url, "user_code": code });
            self.teller.give(output, "device_code", &text, &value)?;
        }
        let done = output.tone("approved", Tone::Good);
        self.teller.say(output, &format!("{done}; the tokens are in a file that only this user can read"))
    }

    /// Everything comes down.
    pub fn first_sync(&mut self, output: &mut Output) -> Result<(), Failure> {
        self.teller.step(output, "First sync")?;
        let before = self.running.with(|world| world.requests());
        let answer = self.sync(output, &SyncOrder::default())?;
        self.expect_complete(&answer)?;
        let requests = self.running.with(|world| world.requests()).saturating_sub(before);
        let status = self.mirrors.status(Some(ACCOUNT))?;
        let calendars = status.accounts.iter().flat_map(|account| &account.calendars);
        let events: u64 = calendars.map(|calendar| calendar.events).sum();
        self.since = self.last_seq()?;
        self.teller.keep(format!(
            "{} in {} mirrored with {}, by Graph delta queries",
            plural(events, "event"),
            plural(answer.done.calendars, "calendar"),
            plural(requests, "request"),
        ));
        Ok(())
    }

    /// Today, from the mirror.
    pub fn agenda(&mut self, output: &mut Output) -> Result<(), Failure> {
        self.teller.step(output, "Today's agenda, answered from the mirror")?;
        self.print_agenda(output)
    }

    /// Somebody else changes the calendar.
    pub fn changes_arrive(&mut self, output: &mut Output) -> Result<(), Failure> {
        self.teller.step(output, "Others change the calendar; one delta round brings it")?;
        for (text, edit) in self.edits()? {
            self.edit(edit)?;
            self.teller.say(output, &format!("server: {text}"))?;
        }
        let answer = self.sync(output, &SyncOrder::default())?;
        self.expect_complete(&answer)?;
        let changes = self.print_changes(output)?;
        self.teller.keep(format!(
            "changes on the server arrived by delta: {}, each in the change feed",
            plural(changes, "event")
        ));
        Ok(())
    }

    /// The network goes; answers stay.
    pub fn network_cut(&mut self, output: &mut Output) -> Result<(), Failure> {
        self.teller.step(output, "The network is cut")?;
        self.running.with(|world| world.set_network_down(true));
        let answer = self.sync(output, &SyncOrder::default())?;
        if answer.weather.is_none() {
            return Err(Failure::new(
                ErrorKind::Failed,
                "the demo's network was cut and the sync did not notice",
            ));
        }
        let status = self.mirrors.status(Some(ACCOUNT))?;
        let network = status.accounts.first().map(|account| json!(account.network)).unwrap_or_default();
        let text = format!("status: {}", network.as_str().unwrap_or_default());
        self.teller.give(output, "network", &text, &network)?;
        let others = self.others_edit();
        self.edit_offline(output, &others)?;
        self.print_agenda(output)?;
        let took = self.time_an_answer()?;
        let text = format!("each answer takes {:.1} ms, and no request", took.as_secs_f64() * 1_000.0);
        let value = json!({ "ms": took.as_secs_f64() * 1_000.0 });
        self.teller.give(output, "answer_time", &text, &value)?;

        self.teller
            .say(output, &format!("meanwhile others make {EDITS_OFFLINE} more edits on the server"))?;
        self.teller.keep("without a network the agenda answered, and said how old it was");
        Ok(())
    }

    /// Other clients edit the mailbox. Which events they touched.
    fn others_edit(&mut self) -> BTreeSet<String> {
        let now_ms = self.mirrors.now_ms();
        let mut random = fastrand::Rng::with_seed(SEED);
        self.running
            .with(|world| (0..EDITS_OFFLINE).map(|_| world.random_edit(0, &mut random, now_ms).id).collect())
    }

    /// The user edits, too; one event that others change as well, elsewhere than they do.
    fn edit_offline(&mut self, output: &mut Output, others: &BTreeSet<String>) -> Result<(), Failure> {
        let today = self.today;
        let time = |clock: &str| Some(format!("{today}T{clock}"));
        let fields = FieldsCall {
            subject: Some(ADDED.to_owned()),
            start: time("18:00"),
            end: time("18:30"),
            ..FieldsCall::default()
        };
        let added = self.mirrors.add(&self.account, &AddCall { fields, ..AddCall::default() })?.event;
        let text = format!("you: \"{ADDED}\" is new at 18:00, without a network");
        self.teller.give(output, "edit", &text, &json!({ "act": "add", "subject": ADDED }))?;

        let answer = self.mirrors.agenda(&self.account, &AgendaCall::default())?;
        let is_untouched = |event: &Event| {
            event.calendar == added.calendar
                && event.response == Response::Organizer
                && event.kind == EventKind::Single
                && !event.all_day
                && !event.cancelled
                && event.subject.is_some()
                && event.remote_id.as_ref().is_some_and(|id| !others.contains(id))
        };
        let Some(event) = answer.items.into_iter().find(is_untouched) else { return Ok(()) };
        let (subject, id) = (clean(&event.subject.clone().unwrap_or_default()), event.id.to_string());
        let fields = FieldsCall { location: Some(PLACE.to_owned()), ..FieldsCall::default() };
        self.mirrors.edit(&self.account, &EditCall { id, fields, ..EditCall::default() })?;
        let text = format!("you: \"{subject}\" is in {PLACE} now");
        self.teller.give(output, "edit", &text, &json!({ "act": "edit", "location": PLACE }))?;
        let renamed = format!("{subject} (moderated)");
        let patch = Map::from_iter([("subject".to_owned(), json!(renamed))]);
        self.edit(Edit::Update { id: event.remote_id.unwrap_or_default(), patch })?;
        self.teller.say(output, &format!("meanwhile others rename \"{subject}\" to \"{renamed}\""))?;
        self.merged = Some((event.id, renamed));
        Ok(())
    }

    /// Whether the server has each edit once, and both sides of the merged one.
    fn expect_landed(&mut self, output: &mut Output, answer: &SyncAnswer) -> Result<(), Failure> {
        let bug = |text: &str| Err(Failure::new(ErrorKind::Failed, format!("{text}; this is a bug")));
        let (edits, now_ms) = (answer.done.pushed, self.mirrors.now_ms());
        let outbox = self.mirrors.outbox(&self.account)?;
        if answer.done.parked > 0 || answer.done.conflicts > 0 || !outbox.is_empty() {
            return bug("an offline edit of the demo did not arrive");
        }
        let span_ms = 2 * calmirror::model::DAY_MS;
        let copies = self.running.with(|world| {
            let calendars = world.calendars(0);
            let there = |id: &str| world.truth(0, id, now_ms - span_ms, now_ms + span_ms);
            let all = calendars.iter().flat_map(|calendar| there(&calendar.id));
            all.filter(|instance| instance.subject.as_deref() == Some(ADDED)).count()
        });
        if copies != 1 {
            return bug("the server does not have the demo's new event once");
        }
        if let Some((id, renamed)) = self.merged.take() {
            let event = self.mirrors.show(&self.account, &ShowCall { id: id.to_string(), tz: None })?;
            let both = (event.subject.as_deref(), event.location.as_deref(), event.pending);
            if both != (Some(renamed.as_str()), Some(PLACE), None) {
                return bug("two edits of different fields were not merged");
            }
            let text = format!("\"{}\" has their name and your place", clean(&renamed));
            self.teller.give(output, "merge", &text, &json!({ "event": id }))?;
        }
        self.teller.keep(format!(
            "edits made without a network were in the agenda at once and reached the server once: {}",
            plural(edits, "edit")
        ));
        Ok(())
    }

    /// The network comes back; both sides agree.
    pub fn reconnect(&mut self, output: &mut Output) -> Result<(), Failure> {
        self.teller.step(output, "The network is back")?;
        self.running.with(|world| world.set_network_down(false));
        self.since = self.last_seq()?;
        let answer = self.sync(output, &SyncOrder::default())?;
        self.expect_complete(&answer)?;
        self.expect_landed(output, &answer)?;
        let compared = compare(&self.running, &self.mirrors, &self.account)?;
        let value = json!({
            "server": compared.server,
            "mirror": compared.mirror,
            "different": compared.different,
        });
        let (server, mirror) = (to_u64(compared.server), to_u64(compared.mirror));
        let verdict = if compared.different == 0 {
            output.tone("equal", Tone::Good)
        } else {
            output.tone(format!("{} different", compared.different), Tone::Bad)
        };
        let text = format!("server {} · mirror {} · {verdict}", grouped(server), grouped(mirror));
        self.teller.give(output, "comparison", &text, &value)?;
        if compared.different > 0 {
            return Err(Failure::new(ErrorKind::Failed, "the mirror differs from the server; this is a bug"));
        }
        self.teller.keep(format!(
            "after reconnection the mirror equals the server: {} compared",
            plural(server, "event")
        ));
        Ok(())
    }

    /// What it was about.
    pub fn summary(&mut self, output: &mut Output) -> Result<(), Failure> {
        self.teller.keep("every answer named its age; nothing was configured, and nothing is left behind");
        self.teller.summary(output)
    }

    /// Keeps the engine in step and its door open.
    pub fn serve(mut self, globals: &Globals, output: &mut Output) -> Result<(), Failure> {
        let mirrors = Arc::new(new_mirrors(self.mirrors.config().clone(), self.directory.path()));
        let handle = self.engine.handle();
        let door = self.engine.runtime().block_on(Door::open(Listen::default(), mirrors, handle.clone()))?;
        self.directory.stops(handle);
        let announcement = door.announcement();
        let value = json!({
            "address": announcement.address,
            "data_dir": self.directory.path(),
            "control_url": self.running.control_url(),
            "link": door.invite(),
        });
        if output.is_json() {
            output.json_line(&json!({ "event": "serving", "value": value }))?;
        } else {
            output.line("")?;
            let address = output.tone(format!("http://{}", announcement.address), Tone::Heading);
            output.line(format!("    Serving {address} until Ctrl-C"))?;
            output.line(format!("    page     {}", door.invite().expose()))?;
            output.line(format!("    token    {}", self.directory.path().join("engine.json").display()))?;
            output.line(format!("    control  {}", self.running.control_url()))?;
        }
        output.flush()?;
        let is_quiet = globals.quiet;
        self.engine.watch(&mut |seen| {
            if !is_quiet {
                tracing::debug!(?seen, "watching");
            }
        })?;
        drop(door);
        Ok(())
    }

    fn sync(&mut self, output: &mut Output, order: &SyncOrder) -> Result<SyncAnswer, Failure> {
        let is_json = output.is_json();
        output.flush()?;
        let mut bar = Bar::new(output);
        let report = self.engine.sync(ACCOUNT, order, &mut |progress| {
            bar.show(&progress);
            if is_json {
                // Noticed at the next line, where it can be reported.
                let _ = print_json_line(&progress_json(&progress));
            }
        });
        bar.clear();
        let answer = SyncAnswer::new(report?, &self.mirrors.zone(&self.account));
        if is_json {
            output.json_line(&json!({ "event": "sync", "value": answer }))?;
        } else {
            output.indented("    ", |output| print_answer(output, &answer, None, self.mirrors.now_ms()))?;
        }
        Ok(answer)
    }

    fn expect_complete(&self, answer: &SyncAnswer) -> Result<(), Failure> {
        match &answer.weather {
            None if answer.done.failed == 0 => Ok(()),
            _ => Err(Failure::new(ErrorKind::Failed, "the demo's sync did not complete; this is a bug")),
        }
    }

    fn print_agenda(&self, output: &mut Output) -> Result<(), Failure> {
        let answer = self.mirrors.agenda(&self.account, &AgendaCall::default())?;
        if output.is_json() {
            return output.json_line(&json!({ "event": "agenda", "value": answer }));
        }
        output.indented("    ", |output| {
            agenda::print(output, &self.mirrors, &self.account, &answer, Listed::EveryDay)
        })
    }

    /// Prints the newest line of every event that changed. How many there are.
    fn print_changes(&mut self, output: &mut Output) -> Result<u64, Failure> {
        let lines = self.mirrors.changes(&self.account, ChangesCall { since: self.since, limit: None })?;
        let newest: BTreeMap<Key, &ChangeLine> = lines.iter().map(|line| (line.event, line)).collect();
        let mut newest: Vec<&ChangeLine> = newest.into_values().collect();
        newest.sort_by_key(|line| line.seq);
        for (place, line) in newest.iter().enumerate() {
            self.since = self.since.max(line.seq);
            if output.is_json() {
                output.json_line(&json!({ "event": "change", "value": line }))?;
            } else if place < LINES_SHOWN_MAX {
                self.print_change(output, line)?;
            }
        }
        if newest.len() > LINES_SHOWN_MAX && !output.is_json() {
            let more = to_u64(newest.len().saturating_sub(LINES_SHOWN_MAX));
            output.line(format!("    and {} more", grouped(more)))?;
        }
        Ok(to_u64(newest.len()))
    }

    fn print_change(&self, output: &mut Output, line: &ChangeLine) -> Result<(), Failure> {
        let shown = self.mirrors.show(&self.account, &ShowCall { id: line.event.to_string(), tz: None });
        let text = match (line.what, shown) {
            ("put", Ok(event)) => {
                let subject = clean(event.subject.as_deref().unwrap_or("(no subject)"));
                let what = output.tone("put   ", Tone::Good);
                let marks = output.tone(marks(&event).join(", "), Tone::Warning);
                format!("{what} {}  {subject}  {marks}", short_span(&event))
            }
            _ => output.tone("remove", Tone::Bad),
        };
        let seq = output.tone(format!("feed {:>5}", line.seq), Tone::Faint);
        output.line(format!("    {seq}  {}", text.trim_end()))
    }

    fn last_seq(&self) -> Result<i64, Failure> {
        let mut since = self.since;
        loop {
            let lines = self.mirrors.changes(&self.account, ChangesCall { since, limit: None })?;
            match lines.last() {
                Some(line) => since = line.seq,
                None => return Ok(since),
            }
        }
    }

    fn time_an_answer(&self) -> Result<Duration, Failure> {
        let started = Instant::now();
        for _ in 0..ASKED_TIMES {
            self.mirrors.agenda(&self.account, &AgendaCall::default())?;
        }
        Ok(started.elapsed() / ASKED_TIMES)
    }

    /// What others do, in words and as edits.
    fn edits(&self) -> Result<Vec<(String, Edit)>, Failure> {
        let patch = |start: &str, minutes: u32| {
            let (start, end) = times(self.today, start, minutes);
            Map::from_iter([("start".to_owned(), start), ("end".to_owned(), end)])
        };
        let lunch_talk = meeting(
            self.today,
            "12:00",
            30,
            "Release call",
            &[("isOnlineMeeting", json!(true)), ("onlineMeetingProvider", json!("teamsForBusiness"))],
        );
        let Value::Object(event) = lunch_talk else {
            return Err(Failure::new(ErrorKind::Failed, "the demo's new event is no object"));
        };
        Ok(vec![
            (
                format!("\"{MOVED}\" moves from 10:00 to 15:00"),
                Edit::Update { id: self.find(MOVED)?, patch: patch("15:00", 60) },
            ),
            (
                format!("today's \"{SERIES}\" alone moves to 09:45"),
                Edit::Update { id: self.find(SERIES)?, patch: patch("09:45", 15) },
            ),
            (format!("\"{CANCELLED}\" is cancelled"), Edit::Cancel { id: self.find(CANCELLED)? }),
            ("\"Release call\" is new at 12:00".to_owned(), Edit::Create { calendar: None, event }),
        ])
    }

    /// The server's id of today's event with this subject.
    fn find(&self, subject: &str) -> Result<String, Failure> {
        let answer = self.mirrors.agenda(&self.account, &AgendaCall::default())?;
        let event = answer.items.into_iter().find(|event| event.subject.as_deref() == Some(subject));
        event.and_then(|event| event.remote_id).ok_or_else(|| {
            Failure::new(ErrorKind::Failed, "the demo's mailbox misses an event; this is a bug")
        })
    }

    fn edit(&self, edit: Edit) -> Result<(), Failure> {
        let now_ms = self.mirrors.now_ms();
        self.running
            .with(|world| world.edit(0, edit, now_ms))
            .map(|_| ())
            .map_err(|error| Failure::Api(Error::because(ErrorKind::Failed, error.to_string(), error)))
    }
}

fn config_text(origin: &str) -> String {
    format!(
        "[[graph_app]]\n\
         display_name = \"Demo\"\n\
         application_id = \"00000000-0000-0000-0000-000000000000\"\n\
         directory_id = \"contoso.example\"\n\
         graph_url = \"{origin}\"\n\
         authority_url = \"{origin}\"\n\
         [[account]]\n\
         name = \"{ACCOUNT}\"\n\
         user = \"anna@contoso.example\"\n\
         conflicts = \"ask\"\n\
         [presence]\n\
         time_zone = \"{ZONE}\"\n\
         {PRESENCE}"
    )
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
