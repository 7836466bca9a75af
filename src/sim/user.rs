use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::DateTime;

use crate::api::{
    AddCall, AgendaCall, EditCall, Error, ErrorKind, Event, FieldsCall, Mirrors, RangeCall, RemoveCall,
    ResolveCall, RespondCall,
};
use crate::config::{Config, Effective};
use crate::emulator::InMemory;
use crate::mirror::Reader;
use crate::model::{
    Answer, AttendeeType, EditState, EventKind, Invitee, Keep, Key, Person, Policy, Reminder, Response,
    ShowAs,
};
use crate::ports::{Clock, Entropy};
use crate::zones::Zones;

/// Folder and name of the only account.
pub(super) const ACCOUNT: &str = "anna";
const CONFIG: &str = r#"
[[graph_app]]
display_name = "calendar"
application_id = "00000000-0000-0000-0000-000000000001"
directory_id = "contoso.example"
[[group]]
name = "all"
graph_app = "calendar"
[[account]]
name = "anna"
group = "all"
user = "anna@contoso.example"
"#;
/// How far the user looks back and ahead.
const LOOK_MS: (i64, i64) = (-5 * crate::model::DAY_MS, 25 * crate::model::DAY_MS);
const QUARTER_MS: i64 = 15 * 60_000;

/// A word that stands in one wish and nowhere else, and what has to become of it.
#[derive(Debug, Clone)]
struct Wish {
    event: Key,
    field: &'static str,
    /// It need not arrive: the user thought better of it.
    is_over: bool,
}

/// A user who edits through the doors, with or without network, and remembers every wish.
pub(super) struct User {
    mirrors: Mirrors,
    account: Effective,
    pub policy: Policy,
    wishes: BTreeMap<String, Wish>,
    /// Single events that the user deleted, and did not decide about again.
    deleted: BTreeSet<Key>,
    /// Which of the user's devices this is: no two write the same word.
    number: u64,
}

/// Every request body that was on its way, to find a wish in what the server applied.
pub(super) type Sent = Arc<Mutex<Vec<(String, String)>>>;

impl User {
    pub(super) fn new(
        dir: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        policy: Policy,
        number: u64,
    ) -> Result<User, String> {
        let config = Config::parse(CONFIG).map_err(|_| "the world's configuration is valid".to_owned())?;
        let account = config.resolve(ACCOUNT).ok_or("the account is configured")?;
        let mirrors =
            Mirrors::new(config, dir.to_path_buf(), clock, Zones::bundled(), Some("UTC".to_owned()))
                .with_entropy(entropy);
        Ok(User { mirrors, account, policy, wishes: BTreeMap::new(), deleted: BTreeSet::new(), number })
    }

    /// One act. What a rule of the product refuses is an outcome, too.
    pub(super) fn act(&mut self, rng: &mut fastrand::Rng) -> Result<(), String> {
        let act = rng.u32(0..100);
        let done = match act {
            0..30 => self.add(rng),
            30..62 => self.edit(rng),
            62..72 => self.remove(rng),
            72..82 => self.respond(rng),
            82..88 => self.edit_series(rng),
            88..93 => self.discard_or_retry(rng),
            _ => self.resolve(rng),
        };
        match done {
            Ok(()) => Ok(()),
            Err(error) => match error.kind() {
                ErrorKind::Refused | ErrorKind::NotFound => Ok(()),
                _ => Err(format!("a door failed: {error}")),
            },
        }
    }

    fn mark(&mut self, event: Key, field: &'static str) -> String {
        let word = format!("wish{}x{:04}x", self.number, self.wishes.len());
        // A later word for the same field of the same event takes the place of the earlier one.
        for wish in self.wishes.values_mut().filter(|wish| wish.event == event && wish.field == field) {
            wish.is_over = true;
        }
        self.wishes.insert(word.clone(), Wish { event, field, is_over: false });
        word
    }

    fn give_up(&mut self, event: Key) {
        for wish in self.wishes.values_mut().filter(|wish| wish.event == event) {
            wish.is_over = true;
        }
    }

    fn add(&mut self, rng: &mut fastrand::Rng) -> Result<(), Error> {
        let start_ms =
            (self.mirrors.now_ms() + rng.i64(-LOOK_MS.1 / 8..LOOK_MS.1)).div_euclid(QUARTER_MS) * QUARTER_MS;
        let attendees = (0..rng.u32(0..3)).map(|number| Invitee {
            person: Person { name: None, address: Some(format!("guest{number}@contoso.example")) },
            kind: AttendeeType::Required,
        });
        // The key is not known before, so the word is made first and the wish named afterwards.
        let word = self.mark(Key::from_bytes([0; 16]), "none");
        let fields = FieldsCall {
            subject: Some(word.clone()),
            start: Some(text(start_ms)),
            end: Some(text(start_ms + rng.i64(1..8) * QUARTER_MS)),
            attendees: Some(attendees.collect()),
            ..FieldsCall::default()
        };
        let added = self.mirrors.add(&self.account, &AddCall { fields, ..AddCall::default() });
        match added {
            Ok(answer) => {
                let wish = Wish { event: answer.event.id, field: "subject", is_over: false };
                self.wishes.insert(word, wish);
                Ok(())
            }
            Err(error) => {
                self.wishes.remove(&word);
                Err(error)
            }
        }
    }

    /// An event of the agenda.
    fn choose(&self, rng: &mut fastrand::Rng) -> Result<Option<Event>, Error> {
        let now_ms = self.mirrors.now_ms();
        let range = RangeCall {
            from: Some(text(now_ms + LOOK_MS.0)),
            to: Some(text(now_ms + LOOK_MS.1)),
            ..RangeCall::default()
        };
        let mut items =
            self.mirrors.agenda(&self.account, &AgendaCall { range, ..AgendaCall::default() })?.items;
        // Those the user just worked on are met more often.
        if rng.bool() && items.iter().any(|event| event.pending.is_some()) {
            items.retain(|event| event.pending.is_some());
        }
        Ok(if items.is_empty() { None } else { Some(items.swap_remove(rng.usize(0..items.len()))) })
    }

    fn edit(&mut self, rng: &mut fastrand::Rng) -> Result<(), Error> {
        let Some(event) = self.choose(rng)? else { return Ok(()) };
        let mut fields = FieldsCall::default();
        let mut word = None;
        match rng.u32(0..10) {
            0..3 => fields.subject = word.insert(self.mark(event.id, "subject")).clone().into(),
            3..6 => fields.location = word.insert(self.mark(event.id, "location")).clone().into(),
            6 => fields.categories = Some(vec![word.insert(self.mark(event.id, "categories")).clone()]),
            7 => fields.reminder = Some(Reminder::Minutes(rng.i32(0..90))),
            8 => {
                let ways = [ShowAs::Free, ShowAs::Busy, ShowAs::Oof, ShowAs::Tentative];
                fields.show_as = rng.choice(ways).map(|way| way.code().to_owned());
            }
            _ => {
                let moved = |at: &Option<String>, by_ms| {
                    let at = DateTime::parse_from_rfc3339(at.as_deref()?).ok()?.timestamp_millis();
                    Some(text(at + by_ms))
                };
                let by_ms = rng.i64(1..8) * QUARTER_MS;
                fields.start = moved(&event.start, by_ms);
                fields.end = moved(&event.end, by_ms);
            }
        }
        let id = event.id.to_string();
        let done = self.mirrors.edit(&self.account, &EditCall { id, fields, ..EditCall::default() });
        if done.is_err()
            && let Some(word) = word
        {
            self.wishes.remove(&word);
        }
        done.map(|_| ())
    }

    fn edit_series(&mut self, rng: &mut fastrand::Rng) -> Result<(), Error> {
        let Some(event) = self.choose(rng)? else { return Ok(()) };
        let Some(series) = event.series_id else { return Ok(()) };
        let word = self.mark(series, "location");
        let fields = FieldsCall { location: Some(word.clone()), ..FieldsCall::default() };
        let call = EditCall { id: event.id.to_string(), is_series: true, fields, ..EditCall::default() };
        let done = self.mirrors.edit(&self.account, &call);
        if done.is_err() {
            self.wishes.remove(&word);
        }
        done.map(|_| ())
    }

    fn remove(&mut self, rng: &mut fastrand::Rng) -> Result<(), Error> {
        let Some(event) = self.choose(rng)? else { return Ok(()) };
        let call = RemoveCall { id: event.id.to_string(), ..RemoveCall::default() };
        self.mirrors.remove(&self.account, &call)?;
        self.give_up(event.id);
        if event.kind == EventKind::Single {
            self.deleted.insert(event.id);
        }
        Ok(())
    }

    fn respond(&mut self, rng: &mut fastrand::Rng) -> Result<(), Error> {
        let Some(event) = self.choose(rng)? else { return Ok(()) };
        if matches!(event.response, Response::Organizer) {
            return Ok(());
        }
        let answer =
            rng.choice([Answer::Accept, Answer::Tentative, Answer::Decline]).unwrap_or(Answer::Accept);
        // An answer that nobody is told may be given again: it bears no word.
        let is_silent = rng.bool();
        let word = if is_silent { String::new() } else { self.mark(event.id, "response") };
        let call = RespondCall {
            id: event.id.to_string(),
            is_series: false,
            answer,
            comment: word.clone(),
            is_silent,
        };
        let done = self.mirrors.respond(&self.account, &call);
        // An answer that is there already is none to send: these words are only counted.
        if let Some(wish) = self.wishes.get_mut(&word) {
            wish.is_over = true;
        }
        if answer == Answer::Decline && done.is_ok() {
            self.give_up(event.id);
        }
        done.map(|_| ())
    }

    fn discard_or_retry(&mut self, rng: &mut fastrand::Rng) -> Result<(), Error> {
        let open = self.mirrors.outbox(&self.account)?;
        if open.is_empty() {
            return Ok(());
        }
        let Some(edit) = open.get(rng.usize(0..open.len())) else { return Ok(()) };
        if rng.bool() {
            self.mirrors.retry_edit(&self.account, edit.n)?;
        } else {
            self.mirrors.discard_edit(&self.account, edit.n)?;
            self.give_up(edit.event);
            self.deleted.remove(&edit.event);
        }
        Ok(())
    }

    fn resolve(&mut self, rng: &mut fastrand::Rng) -> Result<(), Error> {
        let conflicts = self.mirrors.conflicts(&self.account)?;
        if conflicts.is_empty() {
            return Ok(());
        }
        let Some(conflict) = conflicts.get(rng.usize(0..conflicts.len())) else { return Ok(()) };
        let keep = rng.choice([Keep::Mine, Keep::Theirs, Keep::Both]).unwrap_or(Keep::Theirs);
        self.mirrors.resolve_conflict(&self.account, ResolveCall { n: conflict.n, keep })?;
        self.give_up(conflict.event);
        self.deleted.remove(&conflict.event);
        Ok(())
    }

    /// The edits that are left, if there is one that nobody but the engine is to decide about.
    pub(super) fn unsent(&self, path: &Path) -> Result<Option<String>, String> {
        let open =
            Reader::open(path).and_then(|reader| reader.outbox()).map_err(|error| error.to_string())?;
        if !open.iter().any(|edit| edit.state != EditState::Parked && !waits_behind_parked(edit, &open)) {
            return Ok(None);
        }
        let mut left = format!("edits are left at {}:", self.mirrors.now_ms());
        for edit in &open {
            let (action, state) = (edit.intent.action().code(), edit.state.code());
            left += &format!(
                "\n  {} {action} of {} (series {:?}, on the server: {}) {state}, tries {}, not before {:?}, {:?}",
                edit.n,
                edit.event,
                edit.series,
                edit.remote.is_some(),
                edit.attempts,
                edit.next_attempt_ms,
                edit.problem
            );
        }
        Ok(Some(left))
    }

    /// Each wish arrived once, or is kept with a reason; nobody was mailed twice.
    pub(super) fn check(&self, server: &InMemory, path: &Path, sent: &Sent) -> Result<(), String> {
        let reader = Reader::open(path).map_err(|error| error.to_string())?;
        let open = reader.outbox().map_err(|error| error.to_string())?;
        let conflicts = reader.conflicts().map_err(|error| error.to_string())?;
        if let Some(edit) = open.iter().find(|edit| edit.state == EditState::Parked && edit.problem.is_none())
        {
            return Err(format!("edit {} is parked without a reason", edit.n));
        }
        let writes: Vec<_> = server.with(|world| world.writes(0).cloned().collect());
        let mut applied: BTreeMap<&str, u32> = BTreeMap::new();
        for write in writes.iter().filter(|write| !write.is_replay) {
            *applied.entry(write.digest.as_str()).or_default() += 1;
        }
        let creates: BTreeSet<&str> =
            writes.iter().filter_map(|write| write.transaction_id.as_deref()).collect();
        for transaction in creates {
            let count = server.with(|world| world.created_count(0, transaction));
            if count > 1 {
                return Err(format!("the create {transaction} was done {count} times"));
            }
        }
        for key in &self.deleted {
            let is_shown = reader.event(*key).map_err(|error| error.to_string())?.is_some();
            let is_kept = open.iter().any(|edit| edit.event == *key)
                || conflicts.iter().any(|conflict| conflict.event == *key);
            if is_shown && !is_kept {
                return Err(format!("{key} was deleted here and is there again without a word"));
            }
        }
        let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        for (word, wish) in &self.wishes {
            let digests: BTreeSet<&str> = sent
                .iter()
                .filter(|(body, _)| body.contains(word.as_str()))
                .map(|(_, digest)| digest.as_str())
                .collect();
            for digest in &digests {
                let times = applied.get(digest).copied().unwrap_or(0);
                if times > 1 {
                    return Err(format!("{word} ({}) was applied {times} times", wish.field));
                }
            }
            let has_arrived = digests.iter().any(|digest| applied.contains_key(digest));
            let is_in =
                |json: serde_json::Result<String>| json.is_ok_and(|json| json.contains(word.as_str()));
            let is_kept = open.iter().any(|edit| is_in(serde_json::to_string(&edit.intent)))
                || conflicts.iter().any(|conflict| is_in(serde_json::to_string(&conflict.mine)));
            if !wish.is_over && !has_arrived && !is_kept {
                return Err(format!("{word} ({} of {}) is lost", wish.field, wish.event));
            }
        }
        Ok(())
    }
}

/// Whether an earlier edit of the same event waits for the user.
fn waits_behind_parked(edit: &crate::model::OpenEdit, open: &[crate::model::OpenEdit]) -> bool {
    let is_related = |other: &crate::model::OpenEdit| other.event == edit.event;
    open.iter().any(|other| other.n < edit.n && other.state == EditState::Parked && is_related(other))
}

fn text(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().to_rfc3339()
}
