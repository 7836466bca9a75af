//! The real program, killed at random moments while it syncs and while it records edits. After each kill it starts
//! again and comes to rest, and then the server has every accepted edit once and the mirror what the server has.
//!
//! `CALMIRROR_KILLS=N` kills N times, `CALMIRROR_SEED=S` draws other moments. What is drawn follows from the seed; how
//! far a process gets meanwhile does not, so a failure comes back only by chance.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use calmirror::emulator::{Edit, Instance, Options, Quirks, Running, Source, World, serve};
use calmirror::mirror::Reader;
use calmirror::model::{Action, DAY_MS, EditState, EventView, OpenEdit, Window};
use calmirror::ports::{Clock, Pending};
use calmirror::system::SystemClock;
use serde_json::{Value, json};

use crate::stage::{Place, config_of};

const KILLS_DEFAULT: u64 = 20;
const SEED_DEFAULT: u64 = 1;
const QUARTER_MS: i64 = 15 * 60_000;
/// How many syncs may pass until nothing is left to be sent.
const RESTS_MAX: u32 = 10;
/// Events that are edited again; older ones are left as they are.
const REMEMBERED_MAX: usize = 200;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number: {text}")))
}

/// The emulator's clock, which is asked once a request, before anything is done: it kills the armed process at the
/// request that was drawn, at once or a little later.
#[derive(Default)]
struct Trap {
    armed: Mutex<Option<Armed>>,
}

struct Armed {
    child: Arc<Mutex<Child>>,
    /// Requests that pass before.
    passing: u32,
    /// None: the process is dead before the server does what it was asked for.
    after: Option<Duration>,
}

impl Trap {
    fn arm(&self, armed: Armed) {
        *self.armed.lock().unwrap() = Some(armed);
    }

    fn disarm(&self) {
        self.armed.lock().unwrap().take();
    }
}

impl Clock for Trap {
    fn now_ms(&self) -> i64 {
        let mut armed = self.armed.lock().unwrap();
        if let Some(mut this) = armed.take() {
            if this.passing > 0 {
                this.passing -= 1;
                *armed = Some(this);
            } else if let Some(after) = this.after {
                std::thread::spawn(move || {
                    std::thread::sleep(after);
                    kill(&this.child);
                });
            } else {
                kill(&this.child);
            }
        }
        SystemClock.now_ms()
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        SystemClock.sleep(duration)
    }
}

fn kill(child: &Mutex<Child>) {
    // One that has ended is not killed.
    let _ = child.lock().unwrap().kill();
}

/// An event that the user made, as it has to be: of several values one, where an edit was killed.
#[derive(Debug, Default)]
struct Made {
    id: String,
    /// The word its subject begins with, which no other has.
    mark: String,
    subjects: Vec<String>,
    places: Vec<String>,
    has_guest: bool,
    /// Whether it may be there, and may be gone.
    may_be: (bool, bool),
}

/// An invitation that the user answered.
#[derive(Debug)]
struct Answered {
    remote: String,
    is_accepted: bool,
}

/// What happened, to see that the test tests something.
#[derive(Debug, Default)]
struct Sum {
    kills: u64,
    ended_before: u64,
    killed_while_sending: u64,
    killed_with_edits_waiting: u64,
    edits_accepted: u64,
    edits_killed: u64,
    replays: usize,
    parked_answers: u64,
}

struct House {
    rng: fastrand::Rng,
    trap: Arc<Trap>,
    place: Place,
    running: Running,
    _emulator: tokio::runtime::Runtime,
    made: Vec<Made>,
    answered: Vec<Answered>,
    words: u32,
    /// How long an edit takes that nobody kills.
    usual_edit: Duration,
    sum: Sum,
}

impl House {
    fn open(seed: u64) -> House {
        let trap = Arc::new(Trap::default());
        let mut world = World::new(seed, &[("Anna Berg", "anna@contoso.example")], "Europe/Berlin");
        // What takes effect later than it was answered cannot be compared at once.
        world.set_quirks(Quirks { queued_ms: 0, empty_first_page_rate: 0.0, ..Quirks::default() });
        world.edit(0, Edit::AddCalendar { name: "Team".to_owned() }, SystemClock.now_ms()).unwrap();
        let emulator =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let source = Source::World(Arc::new(Mutex::new(world)));
        let running = emulator.block_on(serve(Options { listen, source, clock: trap.clone() })).unwrap();
        let place = Place::new(&config_of(&running.origin()));
        place.run(&["login", "--device-code"]).ended(0);
        place.run(&["sync"]).ended(0);
        House {
            rng: fastrand::Rng::with_seed(seed),
            trap,
            place,
            running,
            _emulator: emulator,
            made: Vec::new(),
            answered: Vec::new(),
            words: 0,
            usual_edit: Duration::from_millis(20),
            sum: Sum::default(),
        }
    }

    fn word(&mut self) -> String {
        self.words += 1;
        format!("word{:05}", self.words)
    }

    fn mirror_path(&self) -> PathBuf {
        self.place.data_dir().join("anna/mirror.db")
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.mirror_path()).unwrap()
    }

    fn soon_ms(&mut self) -> i64 {
        let from_ms = SystemClock.now_ms().div_euclid(QUARTER_MS) * QUARTER_MS;
        from_ms + self.rng.i64(100..2_000) * QUARTER_MS
    }

    /// What other people and other devices do: an invitation comes, an event has a new version.
    fn others(&mut self) {
        let start_ms = self.soon_ms();
        let subject = format!("{} from Bela", self.word());
        let event = json!({
            "subject": subject, "start": utc(start_ms), "end": utc(start_ms + QUARTER_MS),
            "organizer": {"emailAddress": {"name": "Bela", "address": "bela@contoso.example"}},
            "attendees": [{"emailAddress": {"address": "anna@contoso.example"}, "type": "required"}],
            "responseStatus": {"response": "notResponded"}
        });
        let event = event.as_object().unwrap().clone();
        let touched = self.rng.choice(self.made.iter()).map(|made| made.mark.clone());
        let there = self.truth();
        let touched =
            touched.and_then(|mark| there.iter().find(|i| is_marked(i, &mark)).map(|i| i.id.clone()));
        let now_ms = SystemClock.now_ms();
        self.running.with(|world| {
            world.edit(0, Edit::Create { calendar: None, event }, now_ms).unwrap();
            if let Some(id) = touched {
                world.edit(0, Edit::Touch { id }, now_ms).unwrap();
            }
        });
    }

    /// One edit through the program; one in four is killed before it could end.
    fn edit(&mut self) {
        match self.rng.u32(0..100) {
            0..40 => self.add(),
            40..75 => self.change(),
            75..88 => self.remove(),
            _ => self.respond(),
        }
    }

    /// Whether the program said that it is done; its answer.
    fn ask(&mut self, arguments: &[&str]) -> Option<Value> {
        let is_killed = self.rng.u32(0..4) == 0;
        let wait = self.usual_edit.mul_f64(self.rng.f64());
        let mut command = self.place.command(&[arguments, &["--json", "--quiet"]].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = std::time::Instant::now();
        let mut child = command.spawn().unwrap();
        if is_killed {
            std::thread::sleep(wait);
            let _ = child.kill();
        }
        let output = child.wait_with_output().unwrap();
        match output.status.code() {
            Some(0) => {
                if !is_killed {
                    self.usual_edit = began.elapsed();
                }
                self.sum.edits_accepted += 1;
                Some(serde_json::from_slice(&output.stdout).unwrap())
            }
            None if is_killed => {
                self.sum.edits_killed += 1;
                None
            }
            code => panic!("{arguments:?}: {code:?} {}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    fn add(&mut self) {
        let (mark, subject) = (self.word(), self.word());
        let subject = format!("{mark} {subject}");
        let start_ms = self.soon_ms();
        let has_guest = self.rng.u32(0..3) == 0;
        let (start, end) = (text(start_ms), text(start_ms + QUARTER_MS));
        let mut arguments = vec!["add", "--subject", &subject, "--start", &start, "--end", &end];
        if has_guest {
            arguments.extend(["--attendee", "cem@contoso.example"]);
        }
        let answer = self.ask(&arguments);
        self.made.push(Made {
            id: answer.as_ref().map(|answer| answer["id"].as_str().unwrap().to_owned()).unwrap_or_default(),
            mark,
            subjects: vec![subject],
            places: vec![String::new()],
            has_guest,
            may_be: (true, answer.is_none()),
        });
    }

    /// An event that is surely there.
    fn choose(&mut self) -> Option<usize> {
        let from = self.made.len().saturating_sub(REMEMBERED_MAX);
        let there: Vec<usize> =
            (from..self.made.len()).filter(|at| self.made[*at].may_be == (true, false)).collect();
        // The latest are met more often: their creates may be under way.
        let latest = there.iter().rev().take(3).copied().collect();
        let among = if self.rng.bool() { latest } else { there };
        self.rng.choice(among)
    }

    fn change(&mut self) {
        let Some(at) = self.choose() else { return };
        let (id, word) = (self.made[at].id.clone(), self.word());
        if self.rng.bool() {
            let subject = format!("{} {word}", self.made[at].mark);
            let is_accepted = self.ask(&["edit", &id, "--subject", &subject]).is_some();
            note(&mut self.made[at].subjects, subject, is_accepted);
        } else {
            let is_accepted = self.ask(&["edit", &id, "--location", &word]).is_some();
            note(&mut self.made[at].places, word, is_accepted);
        }
    }

    fn remove(&mut self) {
        let Some(at) = self.choose() else { return };
        let id = self.made[at].id.clone();
        let is_accepted = self.ask(&["rm", &id]).is_some();
        self.made[at].may_be = (!is_accepted, true);
    }

    /// Answers an invitation that nobody has tried to answer.
    fn respond(&mut self) {
        let invited = self.agenda().into_iter().find(|event| {
            let subject = event.details.subject.as_deref().unwrap_or_default();
            let remote = event.remote_id.as_ref().map(|id| id.as_str()).unwrap_or_default();
            subject.ends_with("from Bela") && self.answered.iter().all(|answered| answered.remote != remote)
        });
        let Some(invited) = invited else { return };
        let (id, comment) = (invited.key.to_string(), self.word());
        let answer = if self.rng.bool() { "accept" } else { "tentative" };
        let is_accepted = self.ask(&["respond", &id, answer, "--comment", &comment]).is_some();
        let remote = invited.remote_id.unwrap().as_str().to_owned();
        self.answered.push(Answered { remote, is_accepted });
    }

    fn window() -> Window {
        let now_ms = SystemClock.now_ms();
        Window { from_ms: now_ms, to_ms: now_ms + 60 * DAY_MS }
    }

    fn agenda(&self) -> Vec<EventView> {
        self.reader().overlapping(House::window(), &[]).unwrap()
    }

    fn truth(&self) -> Vec<Instance> {
        let Window { from_ms, to_ms } = House::window();
        self.running.with(|world| {
            let calendars = world.calendars(0);
            calendars.iter().flat_map(|calendar| world.truth(0, &calendar.id, from_ms, to_ms)).collect()
        })
    }

    /// Edits wait, an engine starts, edits go on beside it, and it is killed.
    fn kill_once(&mut self) {
        self.others();
        let queued = self.rng.u32(0..4);
        (0..queued).for_each(|_| self.edit());
        let is_serving = self.rng.u32(0..4) == 0;
        let mut command = self.place.command(if is_serving { &["serve"] } else { &["sync"] });
        // Edits are sent first; the half of the kills meets them, the other half what comes then.
        let passing = if self.rng.bool() { self.rng.u32(0..queued.max(1)) } else { self.rng.u32(0..12) };
        let after = self.rng.bool().then(|| Duration::from_micros(self.rng.u64(0..6_000)));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let child = Arc::new(Mutex::new(child));
        self.trap.arm(Armed { child: child.clone(), passing, after });
        let beside = self.rng.u32(0..4);
        (0..beside).for_each(|_| self.edit());
        if is_serving {
            // It never ends of its own accord, and what it has to send may be less than was drawn.
            kill(&child);
        }
        stdout.read_to_end(&mut Vec::new()).unwrap();
        let status = child.lock().unwrap().wait().unwrap();
        self.trap.disarm();
        match status.code() {
            None => self.sum.kills += 1,
            Some(code) => {
                assert_eq!(code, 0);
                self.sum.ended_before += 1;
            }
        }
        let open = self.reader().outbox().unwrap();
        let is_met = |edit: &OpenEdit| edit.state == EditState::Sending && edit.problem.is_none();
        self.sum.killed_while_sending += u64::from(open.iter().any(is_met));
        let waits = |edit: &OpenEdit| edit.state == EditState::Waiting;
        self.sum.killed_with_edits_waiting += u64::from(open.iter().any(waits));
    }

    /// Syncs until nothing is left to be sent. An answer that may have been mailed is only looked up, for half a
    /// minute: it takes effect late.
    fn rest(&mut self) {
        for _ in 0..RESTS_MAX {
            self.place.run(&["sync"]).ended(0);
            if self.reader().outbox().unwrap().iter().all(|edit| {
                edit.state == EditState::Parked
                    || edit.state == EditState::Sending && edit.intent.action() == Action::Respond
            }) {
                return;
            }
        }
        panic!("the outbox does not come to rest: {:?}", self.reader().outbox().unwrap());
    }

    fn check(&mut self) {
        self.check_file();
        self.check_mirror();
        self.check_writes();
        let there = self.truth();
        for made in &mut self.made {
            let found: Vec<&Instance> = there.iter().filter(|one| is_marked(one, &made.mark)).collect();
            assert!(found.len() <= 1, "{made:?} is there {} times", found.len());
            let Some(found) = found.first() else {
                assert!(made.may_be.1, "{made:?} is lost");
                made.may_be = (false, true);
                continue;
            };
            assert!(made.may_be.0, "{made:?} is back");
            // From now on it is what it is; one whose id nobody has heard is not edited.
            made.may_be = (true, made.id.is_empty());
            for (may_be, is) in [
                (&mut made.subjects, found.subject.clone().unwrap_or_default()),
                (&mut made.places, found.location.clone()),
            ] {
                assert!(may_be.contains(&is), "{is} of {} must be one of {may_be:?}", made.mark);
                *may_be = vec![is];
            }
            if made.has_guest {
                let invited = self.running.with(|world| world.mail_count(0, &found.id, "invite"));
                assert_eq!(invited, 1, "{made:?}");
            }
        }
        // What was made is left alone after a while: it was checked often enough.
        let settled = self.made.len().saturating_sub(2 * REMEMBERED_MAX);
        self.made.drain(..settled);
        self.check_answers();
    }

    /// Each answer reached the organizer once; one whose fate nobody can find out is the user's to decide.
    fn check_answers(&mut self) {
        let open = self.reader().outbox().unwrap();
        assert!(self.reader().conflicts().unwrap().is_empty());
        for edit in &open {
            assert!(edit.problem.is_some(), "{edit:?} is open without a reason");
            let remote = edit.remote.as_ref().unwrap();
            assert!(
                self.answered.iter().any(|answered| answered.remote == remote.as_str()),
                "only an answer may be open: {edit:?}"
            );
            if edit.state == EditState::Parked {
                self.sum.parked_answers += 1;
                self.place.run(&["outbox", "discard", &edit.n.to_string()]).ended(0);
            }
        }
        let is_open = |remote: &str| {
            open.iter().any(|edit| edit.remote.as_ref().is_some_and(|id| id.as_str() == remote))
        };
        for Answered { remote, is_accepted } in &mut self.answered {
            let mails = self.running.with(|world| world.mail_count(0, remote, "respond"));
            let may_be_missing = !*is_accepted || is_open(remote);
            assert!(mails == 1 || (mails == 0 && may_be_missing), "{mails} answers of {remote}");
            *is_accepted = mails == 1;
        }
    }

    fn check_file(&self) {
        let file = rusqlite::Connection::open(self.mirror_path()).unwrap();
        let sound: String = file.query_row("PRAGMA quick_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        let orphans: i64 =
            file.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
        assert_eq!(orphans, 0);
        // Whoever only followed the feed has the agenda.
        let mut told = BTreeSet::new();
        let mut feed = file.prepare("SELECT lower(hex(event_key)), what FROM change ORDER BY seq").unwrap();
        let mut rows = feed.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let id: String = row.get(0).unwrap();
            if row.get::<_, String>(1).unwrap() == "put" {
                told.insert(id);
            } else {
                told.remove(&id);
            }
        }
        let mut agenda = file.prepare("SELECT id FROM v1_agenda").unwrap();
        let shown: BTreeSet<String> =
            agenda.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(told, shown, "the feed and the agenda");
    }

    fn check_mirror(&self) {
        let open: Vec<_> = self.reader().outbox().unwrap().iter().map(|edit| edit.event).collect();
        let mut here = BTreeMap::new();
        let mut left_out = BTreeSet::new();
        for event in self.agenda() {
            let EventView { key, remote_id, start_ms, end_ms, details, pending, .. } = event;
            let remote =
                remote_id.unwrap_or_else(|| panic!("{key} is not on the server")).as_str().to_owned();
            if open.contains(&key) {
                left_out.insert(remote);
                continue;
            }
            assert_eq!(pending, None, "{key}");
            let response = details.response.code().replace('_', "").to_lowercase();
            let texts = (details.subject.unwrap_or_default(), details.location.unwrap_or_default());
            let seen = (start_ms, end_ms, texts, response, details.attendees.len());
            assert_eq!(here.insert(remote, seen), None, "{key} is there twice");
        }
        let there: BTreeMap<_, _> = self
            .truth()
            .into_iter()
            .filter(|one| !left_out.contains(&one.id))
            .map(|one| {
                let response = one.response.replace("tentativelyAccepted", "tentative").to_lowercase();
                let texts = (one.subject.unwrap_or_default(), one.location);
                (one.id, (one.start_ms, one.end_ms, texts, response, one.attendees.len()))
            })
            .collect();
        assert_eq!(here, there, "the mirror and the server");
    }

    /// Nothing was done twice: every body has a word of its own, and an event goes once.
    fn check_writes(&mut self) {
        let mut done = BTreeMap::new();
        let replays = self.running.with(|world| {
            for write in world.writes(0).filter(|write| !write.is_replay) {
                let what = if write.what == "delete" { &write.event } else { &write.digest };
                *done.entry((write.what.clone(), what.clone())).or_insert(0) += 1;
            }
            for write in world.writes(0) {
                if let Some(transaction) = &write.transaction_id {
                    assert!(world.created_count(0, transaction) <= 1, "{write:?}");
                }
            }
            let mut mails = BTreeMap::new();
            for mail in world.mails(0).iter().filter(|mail| mail.what != "update") {
                *mails.entry((mail.event.clone(), mail.what)).or_insert(0) += 1;
            }
            let twice: Vec<_> = mails.iter().filter(|(_, times)| **times > 1).collect();
            assert!(twice.is_empty(), "mailed twice: {twice:?}");
            world.writes(0).filter(|write| write.is_replay).count()
        });
        let twice: Vec<_> = done.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "done twice: {twice:?}");
        self.sum.replays = replays;
    }
}

/// An accepted value is the only one; one that may not have been recorded is one more.
fn note(may_be: &mut Vec<String>, value: String, is_accepted: bool) {
    if is_accepted {
        may_be.clear();
    }
    may_be.push(value);
}

fn is_marked(instance: &Instance, mark: &str) -> bool {
    instance.subject.as_deref().is_some_and(|subject| subject.starts_with(mark))
}

fn text(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms).unwrap().to_rfc3339()
}

fn utc(at_ms: i64) -> Value {
    let at = chrono::DateTime::from_timestamp_millis(at_ms).unwrap();
    json!({"dateTime": at.format("%Y-%m-%dT%H:%M:%S").to_string(), "timeZone": "UTC"})
}

#[test]
fn a_killed_program_loses_no_accepted_edit_and_sends_none_twice() {
    let kills = number("CALMIRROR_KILLS", KILLS_DEFAULT);
    let seed = number("CALMIRROR_SEED", SEED_DEFAULT);
    let mut house = House::open(seed);
    while house.sum.kills < kills {
        house.kill_once();
        house.rest();
        house.check();
    }
    println!("{:?}", house.sum);
    // Kills that meet nothing prove nothing.
    assert!(house.sum.killed_while_sending > 0 && house.sum.edits_killed > 0, "{:?}", house.sum);
}
