//! Push, situation by situation: edits queued as a door queues them, sent by the real flow from a real mirror to the
//! emulator in memory.

use std::path::Path;
use std::sync::{Arc, Mutex};

use calmirror::config::Config;
use calmirror::edit::{Fold, fold, names, notifies};
use calmirror::emulator::{Edit, InMemory, Instance, Quirks, RequestKind, Rule, What, When, World};
use calmirror::engine::{Edges, Engine, Hint, OtherMailbox, Seen, SyncOrder, Weather};
use calmirror::flow::pull::{PullOrder, PullPorts, PullReport, pull};
use calmirror::flow::push::{PushOrder, PushPorts, PushReport, push};
use calmirror::flow::sign_in::fixed_bearer;
use calmirror::mirror::{ConflictRow, Editor, Mirror, NewEdit, Reader, Replacement};
use calmirror::model::{
    Answer, AttendeeType, ConflictKind, DAY_MS, EditState, EventView, Fields, Intent, Invitee, Keep, Key,
    OpenEdit, Pending, Person, Policy, Reminder, Secret, Times, Window,
};
use calmirror::ports::{Clock, Entropy};
use calmirror::sim::{SeededEntropy, VirtualClock};
use calmirror::source::graph::{Graph, GraphSite};
use calmirror::vault::NoKeyring;
use calmirror::zones::Zones;
use serde_json::{Value, json};

/// Monday 2 March 2026, 08:00 UTC.
const NOW_MS: i64 = 1_772_438_400_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const ORDER: PushOrder =
    PushOrder { policy: Policy::Theirs, confirm_mail_after_ms: 72 * HOUR_MS, is_asked: false };

/// A server with one mailbox, an engine's desk beside it, and a user at a door.
struct Desk {
    server: InMemory,
    clock: Arc<VirtualClock>,
    entropy: Arc<SeededEntropy>,
    graph: Option<Graph>,
    mirror: Option<Mirror>,
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        let clock = Arc::new(VirtualClock::at(NOW_MS));
        let mut world = World::new(7, &[("Anna Berg", "anna@contoso.example")], "Europe/Berlin");
        world.set_asks_for_tokens(false);
        world.set_quirks(Quirks {
            empty_first_page_rate: 0.0,
            absent_master_rate: 0.0,
            key_rotation_ms: 0,
            ..Quirks::default()
        });
        let mut desk = Desk {
            server: InMemory::new(world, clock.clone()),
            clock,
            entropy: Arc::new(SeededEntropy::from_seed(5)),
            graph: None,
            mirror: None,
            dir: tempfile::tempdir().unwrap(),
        };
        desk.pull();
        desk
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("mirror.db")
    }

    /// Somebody else changes the mailbox.
    fn theirs(&self, edit: Edit) -> String {
        let now_ms = self.clock.now_ms();
        self.server.with(|world| world.edit(0, edit, now_ms)).unwrap().id
    }

    fn there(&self, event: Value) -> String {
        self.theirs(Edit::Create { calendar: None, event: members(event) })
    }

    fn change_there(&self, id: &str, patch: Value) {
        self.theirs(Edit::Update { id: id.to_owned(), patch: members(patch) });
    }

    fn single(&self, subject: &str) -> String {
        self.there(
            json!({"subject": subject, "start": time(NOW_MS + HOUR_MS), "end": time(NOW_MS + 2 * HOUR_MS)}),
        )
    }

    /// A meeting of somebody else's, which Anna is invited to.
    fn invitation(&self, subject: &str) -> String {
        self.there(json!({
            "subject": subject, "start": time(NOW_MS + HOUR_MS), "end": time(NOW_MS + 2 * HOUR_MS),
            "organizer": {"emailAddress": {"name": "Boss", "address": "boss@contoso.example"}},
            "responseStatus": {"response": "notResponded", "time": "0001-01-01T00:00:00Z"},
            "attendees": [{"type": "required", "emailAddress": {"name": "Anna Berg", "address": "anna@contoso.example"}}]
        }))
    }

    fn open(&mut self) -> (Mirror, Graph) {
        let (path, now_ms) = (self.path(), self.clock.now_ms());
        let mirror = self.mirror.take().unwrap_or_else(|| Mirror::open(&path, now_ms).unwrap().0);
        let graph = self.graph.get_or_insert_with(|| {
            Graph::new(
                GraphSite::new("https://graph.emulated.test", None).unwrap(),
                Arc::new(self.server.clone()),
                fixed_bearer(Secret::new("token")),
                self.clock.clone(),
                Arc::new(SeededEntropy::from_seed(1)),
            )
        });
        (mirror, graph.clone())
    }

    fn pull(&mut self) -> PullReport {
        let (mut mirror, graph) = self.open();
        let ports = PullPorts { clock: self.clock.clone(), entropy: self.entropy.clone() };
        let order =
            PullOrder { is_full: false, is_asked: true, past_ms: 30 * DAY_MS, future_ms: 60 * DAY_MS };
        let report = block_on(pull(&mut mirror, &graph, &ports, order, &mut |_| {})).unwrap();
        assert_eq!((&report.fault, report.failed), (&None, 0));
        self.mirror = Some(mirror);
        report
    }

    fn push_ports(&self) -> PushPorts {
        PushPorts {
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            zones: Arc::new(Zones::bundled()),
        }
    }

    fn push_with(&mut self, order: PushOrder) -> PushReport {
        let (mut mirror, graph) = self.open();
        let report = block_on(push(&mut mirror, &graph, &self.push_ports(), order, &mut |_| {})).unwrap();
        self.mirror = Some(mirror);
        report
    }

    fn push(&mut self) -> PushReport {
        self.push_with(ORDER)
    }

    /// The engine is killed: nothing is closed, and the next flow opens everything anew.
    fn kill(&mut self) {
        self.mirror = None;
        self.graph = None;
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.path()).unwrap()
    }

    fn rows(&self) -> Vec<EventView> {
        let window = Window { from_ms: NOW_MS - 30 * DAY_MS, to_ms: NOW_MS + 60 * DAY_MS };
        let mut rows = self.reader().overlapping(window, &[]).unwrap();
        rows.sort_by_key(|row| (row.start_ms, row.key));
        rows
    }

    /// The only row.
    #[track_caller]
    fn row(&self) -> EventView {
        let mut rows = self.rows();
        assert_eq!(rows.len(), 1, "{:?}", rows.iter().map(subject_of).collect::<Vec<_>>());
        rows.remove(0)
    }

    fn subjects(&self) -> Vec<String> {
        self.rows().iter().map(subject_of).collect()
    }

    fn key(&self, id: &str) -> Key {
        Key::of_remote(id)
    }

    fn edits(&self) -> Vec<OpenEdit> {
        self.reader().outbox().unwrap()
    }

    /// The only open edit.
    #[track_caller]
    fn open_edit(&self) -> OpenEdit {
        let mut edits = self.edits();
        assert_eq!(edits.len(), 1);
        edits.remove(0)
    }

    #[track_caller]
    fn problem(&self) -> String {
        let edit = self.open_edit();
        assert_eq!(edit.state, EditState::Parked);
        edit.problem.unwrap().kind
    }

    fn conflicts(&self) -> Vec<ConflictRow> {
        self.reader().conflicts().unwrap()
    }

    /// Somebody wants something of an event.
    fn wish(&self, event: Key, intent: Intent) {
        wish_at(&self.path(), self.clock.now_ms(), event, intent);
    }

    fn rename(&self, event: Key, text: &str) {
        self.wish(event, Intent::Update(subject(text)));
    }

    /// A new event, an hour long.
    fn add(&self, fields: Fields) -> Key {
        let times = Times {
            start_ms: NOW_MS + 5 * HOUR_MS,
            end_ms: NOW_MS + 6 * HOUR_MS,
            is_all_day: false,
            zone: Some("Europe/Berlin".to_owned()),
        };
        let intent = Intent::Create(Fields { times: fields.times.clone().or(Some(times)), ..fields });
        let event = Key::from_bytes(self.entropy.bytes());
        let mut editor = Editor::open(&self.path()).unwrap();
        let session = editor.begin(self.clock.now_ms()).unwrap();
        let calendar = session.calendar(None).unwrap().unwrap();
        session
            .put(&NewEdit {
                event,
                series: None,
                calendar: calendar.key,
                calendar_remote: calendar.remote_id,
                remote: None,
                fields: names(&intent, None),
                notifies: notifies(&intent, None),
                intent,
                base: None,
                body: None,
                transaction_id: Some(format!("made-{}", Key::from_bytes(self.entropy.bytes()))),
            })
            .unwrap();
        session.redraw(event).unwrap();
        session.commit().unwrap();
        event
    }

    fn retry(&self, n: i64) {
        let mut editor = Editor::open(&self.path()).unwrap();
        let session = editor.begin(self.clock.now_ms()).unwrap();
        assert!(session.retry(n).unwrap());
        session.commit().unwrap();
    }

    fn fault(&self, rule: Rule) {
        self.server.with(|world| world.add_fault(rule));
    }

    fn next(&self, kind: RequestKind, what: What) {
        self.fault(Rule::next(kind, what));
    }

    /// Requests of a kind so far.
    fn count(&self, kind: RequestKind) -> u64 {
        self.server.with(|world| world.count(kind))
    }

    fn sent(&self) -> u64 {
        self.server.with(|world| world.requests())
    }

    fn mails(&self, what: &str) -> usize {
        self.server.with(|world| world.mails(0).iter().filter(|mail| mail.what == what).count())
    }

    /// What is really there.
    fn truth(&self) -> Vec<Instance> {
        let now_ms = self.clock.now_ms();
        self.server.with(|world| {
            world.settle(now_ms);
            let calendar = world.calendars(0)[0].id.clone();
            world.truth(0, &calendar, NOW_MS - 30 * DAY_MS, NOW_MS + 60 * DAY_MS)
        })
    }

    #[track_caller]
    fn true_event(&self) -> Instance {
        let mut truth = self.truth();
        assert_eq!(truth.len(), 1);
        truth.remove(0)
    }

    /// After a pull the mirror says what the server says, and nothing is left to be sent.
    #[track_caller]
    fn converges(&mut self) {
        self.clock.turn(10_000);
        self.pull();
        assert_eq!(self.edits(), []);
        let mut there: Vec<_> = self
            .truth()
            .into_iter()
            .map(|event| (event.id, event.subject, event.start_ms, event.location))
            .collect();
        let mut here: Vec<_> = self
            .rows()
            .into_iter()
            .map(|row| {
                assert_eq!((row.pending, row.is_in_conflict), (None, false));
                let id = row.remote_id.unwrap().as_str().to_owned();
                (id, row.details.subject, row.start_ms, row.details.location.unwrap_or_default())
            })
            .collect();
        there.sort();
        here.sort();
        assert_eq!(here, there);
    }
}

/// Queues an edit as a door does.
fn wish_at(path: &Path, now_ms: i64, event: Key, intent: Intent) {
    let mut editor = Editor::open(path).unwrap();
    let session = editor.begin(now_ms).unwrap();
    let target = session.target(event).unwrap().unwrap();
    let record = target.record.as_ref();
    match fold(event, &target.edits, &intent, record).unwrap() {
        Fold::Append { intent, drop } => {
            session.drop_edits(&drop).unwrap();
            session
                .put(&NewEdit {
                    event,
                    series: target.series,
                    calendar: target.calendar.key,
                    calendar_remote: target.calendar.remote_id.clone(),
                    remote: target.remote.clone(),
                    fields: names(&intent, record),
                    notifies: notifies(&intent, record),
                    intent,
                    base: record.cloned().map(Box::new),
                    body: None,
                    transaction_id: None,
                })
                .unwrap();
        }
        Fold::Replace { n, intent } => {
            let fields = names(&intent, record);
            let notifies = notifies(&intent, record);
            session
                .replace(n, &Replacement { intent: &intent, fields: &fields, notifies, body: None })
                .unwrap();
        }
        Fold::Drop { ns } => session.drop_edits(&ns).unwrap(),
    }
    session.redraw(event).unwrap();
    session.commit().unwrap();
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn subject_of(row: &EventView) -> String {
    row.details.subject.clone().unwrap_or_default()
}

fn subject(text: &str) -> Fields {
    Fields { subject: Some(text.to_owned()), ..Fields::default() }
}

fn place(text: &str) -> Fields {
    Fields { location: Some(text.to_owned()), ..Fields::default() }
}

fn guest(address: &str) -> Invitee {
    Invitee { person: Person { name: None, address: Some(address.to_owned()) }, kind: AttendeeType::Required }
}

fn answer(answer: Answer) -> Intent {
    Intent::Respond { answer, comment: String::new(), is_silent: false }
}

fn time(ms: i64) -> Value {
    let text = calmirror::zones::Zone::utc().rfc3339(ms);
    json!({"dateTime": text.trim_end_matches("+00:00"), "timeZone": "UTC"})
}

fn members(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn status(status: u16) -> What {
    What::Status { status, code: None, body: Default::default() }
}

/// Hits every request about an event, for ever.
fn always(id: &str, what: What) -> Rule {
    Rule { when: When { path: Some(encoded(id)), ..When::default() }, count: 0, what }
}

fn encoded(id: &str) -> String {
    id.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

#[test]
fn an_empty_outbox_asks_nobody() {
    let mut desk = Desk::new();
    let before = desk.sent();
    assert_eq!(desk.push(), PushReport::default());
    assert_eq!(desk.sent(), before);
}

#[test]
fn a_new_event_lands_once_and_keeps_its_local_id() {
    let mut desk = Desk::new();
    let key = desk.add(Fields { reminder: Some(Reminder::Minutes(15)), ..subject("new") });
    assert_eq!((desk.row().key, desk.row().pending), (key, Some(Pending::Create)));
    assert_eq!(desk.push().pushed, 1);
    assert_eq!((desk.row().key, desk.row().pending), (key, None));
    assert_eq!(desk.true_event().reminder_minutes, Some(15));
    desk.converges();
    assert_eq!(desk.row().key, key);
    assert_eq!(desk.count(RequestKind::Create), 1);
}

#[test]
fn a_create_is_sent_once_although_the_reply_is_lost() {
    let mut desk = Desk::new();
    let key = desk.add(Fields { attendees: Some(vec![guest("b@x.test")]), ..subject("new") });
    desk.next(RequestKind::Create, What::LoseReply);
    assert_eq!(desk.push().pushed, 1);
    assert_eq!((desk.count(RequestKind::Create), desk.mails("invite")), (1, 1));
    desk.converges();
    assert_eq!(desk.row().key, key);
}

#[test]
fn a_create_that_never_arrived_is_sent_again() {
    let mut desk = Desk::new();
    desk.add(Fields { attendees: Some(vec![guest("b@x.test")]), ..subject("new") });
    desk.next(RequestKind::Create, What::Drop);
    assert_eq!(desk.push().pushed, 1);
    assert_eq!((desk.count(RequestKind::Create), desk.mails("invite"), desk.truth().len()), (2, 1, 1));
    desk.converges();
}

#[test]
fn a_reply_lost_after_landing_is_not_sent_twice() {
    let mut desk = Desk::new();
    let id = desk.single("before");
    desk.pull();
    desk.rename(desk.key(&id), "after");
    desk.next(RequestKind::Patch, What::LoseReply);
    assert_eq!(desk.push().pushed, 1);
    assert_eq!(desk.count(RequestKind::Patch), 1);
    assert_eq!(desk.conflicts(), []);
    desk.converges();
}

#[test]
fn a_change_that_never_arrived_is_sent_again() {
    let mut desk = Desk::new();
    let id = desk.single("before");
    desk.pull();
    desk.rename(desk.key(&id), "after");
    desk.next(RequestKind::Patch, What::Drop);
    assert_eq!(desk.push().pushed, 1);
    assert_eq!(desk.true_event().subject.as_deref(), Some("after"));
    desk.converges();
}

#[test]
fn a_deletion_whose_reply_is_lost_is_done() {
    let mut desk = Desk::new();
    let id = desk.single("before");
    desk.pull();
    desk.wish(desk.key(&id), Intent::Delete);
    assert_eq!(desk.subjects(), [""; 0]);
    desk.next(RequestKind::Delete, What::LoseReply);
    assert_eq!(desk.push().pushed, 1);
    assert_eq!(desk.count(RequestKind::Delete), 1);
    desk.converges();
}

#[test]
fn a_rotated_key_is_adopted_and_the_edit_sent() {
    let mut desk = Desk::new();
    let id = desk.single("before");
    desk.pull();
    desk.rename(desk.key(&id), "after");
    desk.theirs(Edit::Touch { id });
    assert_eq!(desk.push(), PushReport { pushed: 1, ..PushReport::default() });
    assert_eq!(desk.count(RequestKind::Patch), 2);
    desk.converges();
}

#[test]
fn a_version_refused_without_cause_is_tried_a_few_times_and_then_later() {
    let mut desk = Desk::new();
    let id = desk.single("before");
    desk.pull();
    desk.rename(desk.key(&id), "after");
    desk.fault(Rule {
        when: When { kind: Some(RequestKind::Patch), ..When::default() },
        count: 12,
        what: What::Conflict,
    });
    assert_eq!(desk.push().pushed, 0);
    let edit = desk.open_edit();
    assert_eq!((edit.state, edit.attempts > 0), (EditState::Waiting, true));
    assert_eq!(edit.problem.unwrap().kind, "changed_meanwhile");
    desk.clock.turn(HOUR_MS);
    assert_eq!(desk.push().pushed, 1);
    desk.converges();
}

#[test]
fn disjoint_edits_of_two_people_are_merged() {
    let mut desk = Desk::new();
    let id = desk.single("before");
    desk.pull();
    desk.rename(desk.key(&id), "after");
    desk.change_there(&id, json!({"location": {"displayName": "room 5"}}));
    assert_eq!(desk.push(), PushReport { pushed: 1, ..PushReport::default() });
    let event = desk.true_event();
    assert_eq!((event.subject.as_deref(), event.location.as_str()), (Some("after"), "room 5"));
    assert_eq!(desk.row().details.location.as_deref(), Some("room 5"));
    desk.converges();
}

#[test]
fn two_people_who_invite_different_guests_both_succeed() {
    let mut desk = Desk::new();
    let id = desk.single("party");
    desk.pull();
    let mine = Fields { attendees: Some(vec![guest("b@x.test")]), ..Fields::default() };
    desk.wish(desk.key(&id), Intent::Update(mine));
    desk.change_there(
        &id,
        json!({"attendees": [{"type": "required", "emailAddress": {"address": "c@x.test"}}]}),
    );
    assert_eq!(desk.push(), PushReport { pushed: 1, ..PushReport::default() });
    let mut guests: Vec<String> = desk.true_event().attendees.into_iter().map(|(who, _, _)| who).collect();
    guests.sort();
    assert_eq!(guests, ["b@x.test", "c@x.test"]);
    desk.converges();
}

/// Both sides renamed it, and the user moved it to another room.
fn clash(policy: Policy) -> (Desk, String, PushReport) {
    let mut desk = Desk::new();
    let id = desk.single("before");
    desk.pull();
    desk.wish(
        desk.key(&id),
        Intent::Update(Fields { location: Some("room 5".to_owned()), ..subject("mine") }),
    );
    desk.change_there(&id, json!({"subject": "theirs"}));
    let report = desk.push_with(PushOrder { policy, ..ORDER });
    (desk, id, report)
}

fn versions(conflict: &ConflictRow) -> Vec<(String, Value, Value, Value)> {
    conflict
        .clashes
        .iter()
        .map(|c| (c.name.clone(), c.base.clone(), c.mine.clone(), c.theirs.clone()))
        .collect()
}

#[test]
fn overlapping_edits_keep_both_versions() {
    let both = [("subject".to_owned(), json!("before"), json!("mine"), json!("theirs"))];

    let (mut desk, _, report) = clash(Policy::Theirs);
    assert_eq!((report.pushed, report.parked, report.conflicts), (1, 0, 1));
    let conflict = desk.conflicts().remove(0);
    assert_eq!((conflict.kind, conflict.resolution), (ConflictKind::BothChanged, Some(Keep::Theirs)));
    assert_eq!(versions(&conflict), both);
    let event = desk.true_event();
    assert_eq!((event.subject.as_deref(), event.location.as_str()), (Some("theirs"), "room 5"));
    desk.converges();

    let (mut desk, _, report) = clash(Policy::Mine);
    assert_eq!((report.pushed, report.parked, report.conflicts), (1, 0, 1));
    let conflict = desk.conflicts().remove(0);
    assert_eq!((conflict.resolution, versions(&conflict).as_slice()), (Some(Keep::Mine), both.as_slice()));
    let event = desk.true_event();
    assert_eq!((event.subject.as_deref(), event.location.as_str()), (Some("mine"), "room 5"));
    desk.converges();

    let (mut desk, _, report) = clash(Policy::Ask);
    assert_eq!((report.pushed, report.parked, report.conflicts), (0, 0, 1));
    let conflict = desk.conflicts().remove(0);
    assert_eq!((conflict.resolution, versions(&conflict).as_slice()), (None, both.as_slice()));
    assert_eq!(desk.problem(), "conflict");
    assert_eq!((subject_of(&desk.row()), desk.row().is_in_conflict), ("mine".to_owned(), true));
    assert_eq!(desk.true_event().subject.as_deref(), Some("theirs"));
    // Nothing is sent until somebody decides.
    assert_eq!(desk.push(), PushReport::default());
    desk.pull();
    assert_eq!(subject_of(&desk.row()), "mine");
}

#[test]
fn an_edit_follows_its_event_to_the_calendar_that_another_device_moved_it_to() {
    let fields = |subject: &str| Fields { subject: Some(subject.to_owned()), ..Fields::default() };
    let accept = Intent::Respond { answer: Answer::Accept, comment: String::new(), is_silent: false };
    for intent in [Intent::Update(fields("mine")), Intent::Delete, accept] {
        let mut desk = Desk::new();
        let team = desk.theirs(Edit::AddCalendar { name: "Team".to_owned() });
        let id = match &intent {
            Intent::Respond { .. } => desk.invitation("before"),
            _ => desk.single("before"),
        };
        desk.pull();
        let key = desk.key(&id);
        desk.wish(key, intent.clone());
        desk.theirs(Edit::Move { id: id.clone(), calendar: team.clone() });
        let report = desk.push();
        assert_eq!((report.pushed, report.parked, report.conflicts), (1, 0, 0), "{intent:?}");
        assert_eq!(desk.reader().outbox().unwrap(), []);
        if let Some(row) = desk.rows().first() {
            assert_eq!((row.key, row.calendar), (key, Key::of_remote(&team)), "{intent:?}");
        }
        desk.clock.turn(HOUR_MS);
        desk.pull();
        match intent {
            Intent::Delete => assert_eq!(desk.rows(), []),
            Intent::Update(_) => {
                assert_eq!((subject_of(&desk.row()), desk.row().key), ("mine".to_owned(), key))
            }
            _ => assert_eq!(desk.row().details.response.code(), "accepted"),
        }
    }
}

#[test]
fn deleted_there_keeps_the_edit() {
    for policy in [Policy::Theirs, Policy::Mine, Policy::Ask] {
        let mut desk = Desk::new();
        let id = desk.single("before");
        desk.pull();
        desk.rename(desk.key(&id), "mine");
        desk.theirs(Edit::Delete { id: id.clone() });
        let report = desk.push_with(PushOrder { policy, ..ORDER });
        assert_eq!((report.pushed, report.conflicts), (0, 1));
        desk.pull();
        let row = desk.row();
        assert_eq!((subject_of(&row), row.is_in_conflict), ("mine".to_owned(), true));
        assert_eq!(desk.conflicts()[0].kind, ConflictKind::DeletedThere);
        assert_eq!(desk.problem(), "conflict");
        assert_eq!(desk.truth().len(), 0);
    }
}

#[test]
fn deleted_here_changed_there() {
    let cases = [
        (Policy::Theirs, Some(Keep::Theirs), vec!["theirs"], 1),
        (Policy::Mine, Some(Keep::Mine), vec![], 0),
        (Policy::Ask, None, vec!["theirs"], 1),
    ];
    for (policy, resolution, shown, there) in cases {
        let mut desk = Desk::new();
        let id = desk.single("before");
        desk.pull();
        desk.wish(desk.key(&id), Intent::Delete);
        desk.change_there(&id, json!({"subject": "theirs"}));
        let report = desk.push_with(PushOrder { policy, ..ORDER });
        assert_eq!(report.conflicts, 1, "{policy:?}");
        let conflict = desk.conflicts().remove(0);
        assert_eq!((conflict.kind, conflict.resolution), (ConflictKind::DeletedHere, resolution));
        desk.pull();
        assert_eq!(desk.subjects(), shown, "{policy:?}");
        assert_eq!(desk.truth().len(), there, "{policy:?}");
    }
}

#[test]
fn a_deletion_of_what_others_only_answered_is_no_conflict() {
    let mut desk = Desk::new();
    let id = desk.there(json!({
        "subject": "mine", "start": time(NOW_MS), "end": time(NOW_MS + HOUR_MS),
        "attendees": [{"type": "required", "emailAddress": {"address": "b@x.test"}}]
    }));
    desk.pull();
    desk.wish(desk.key(&id), Intent::Delete);
    desk.theirs(Edit::Respond { id, attendee: Some("b@x.test".to_owned()), response: "accepted".to_owned() });
    assert_eq!(desk.push(), PushReport { pushed: 1, ..PushReport::default() });
    assert_eq!(desk.mails("cancel"), 1);
    desk.converges();
}

#[test]
fn an_offline_try_is_no_attempt() {
    let mut desk = Desk::new();
    let id = desk.single("before");
    desk.pull();
    desk.rename(desk.key(&id), "after");
    desk.server.with(|world| world.set_network_down(true));
    for _ in 0..20 {
        let report = desk.push();
        assert_eq!((report.pushed, report.fault.map(|fault| fault.kind())), (0, Some("offline")));
        let edit = desk.open_edit();
        assert_eq!((edit.state, edit.attempts), (EditState::Waiting, 0));
        desk.clock.turn(2 * HOUR_MS);
    }
    desk.server.with(|world| world.set_network_down(false));
    assert_eq!(desk.push().pushed, 1);
    desk.converges();
}

#[test]
fn a_connection_that_breaks_each_time_is_no_attempt_and_holds_back_no_other_event() {
    let mut desk = Desk::new();
    let id = desk.single("before");
    desk.pull();
    desk.rename(desk.key(&id), "after");
    desk.add(subject("new"));
    desk.fault(always(&id, What::Drop));
    for _ in 0..12 {
        desk.push_with(PushOrder { is_asked: true, ..ORDER });
        desk.clock.turn(HOUR_MS);
    }
    let edit = desk.open_edit();
    assert_eq!((edit.state, edit.attempts), (EditState::Sending, 0));
    assert_eq!(desk.count(RequestKind::Create), 1);
    desk.server.with(|world| world.clear_faults());
    assert_eq!(desk.push().pushed, 1);
    desk.converges();
}

#[test]
fn retry_after_survives_a_restart() {
    let mut desk = Desk::new();
    let id = desk.single("before");
    desk.pull();
    desk.rename(desk.key(&id), "after");
    desk.next(RequestKind::Patch, What::Throttle { retry_after: Some("600".to_owned()), status: 429 });
    assert_eq!(desk.push().fault.map(|fault| fault.kind()), Some("throttled"));
    assert_eq!(desk.open_edit().attempts, 0);
    let before = desk.sent();
    desk.kill();
    for _ in 0..9 {
        desk.clock.turn(MINUTE_MS);
        let report = desk.push_with(PushOrder { is_asked: true, ..ORDER });
        assert_eq!(report.fault.map(|fault| fault.kind()), Some("throttled"));
    }
    assert_eq!(desk.sent(), before);
    desk.clock.turn(2 * MINUTE_MS);
    assert_eq!(desk.push().pushed, 1);
    desk.converges();
}

#[test]
fn a_short_pause_is_waited_for() {
    let mut desk = Desk::new();
    let id = desk.single("before");
    desk.pull();
    desk.rename(desk.key(&id), "after");
    desk.next(RequestKind::Patch, What::Throttle { retry_after: Some("2.5".to_owned()), status: 429 });
    assert_eq!(desk.push(), PushReport { pushed: 1, ..PushReport::default() });
    desk.converges();
}

#[test]
fn a_refused_edit_is_parked_and_lets_others_pass() {
    let mut desk = Desk::new();
    let (bad, good) = (desk.single("bad"), desk.single("good"));
    desk.pull();
    desk.rename(desk.key(&bad), "bad, renamed");
    desk.rename(desk.key(&good), "good, renamed");
    desk.fault(Rule {
        when: When { kind: Some(RequestKind::Patch), path: Some(encoded(&bad)), ..When::default() },
        count: 0,
        what: What::Status {
            status: 400,
            code: Some("ErrorInvalidRequest".to_owned()),
            body: Default::default(),
        },
    });
    let report = desk.push();
    assert_eq!((report.pushed, report.parked, report.fault), (1, 1, None));
    let edit = desk.open_edit();
    let problem = edit.problem.unwrap();
    assert_eq!(
        (edit.state, problem.kind.as_str(), problem.status, problem.code.as_deref()),
        (EditState::Parked, "refused", Some(400), Some("ErrorInvalidRequest"))
    );
    assert_eq!(edit.attempts, 1);
    // It stays visible, also after a pull, and is not sent again until the user says so.
    desk.pull();
    let mut subjects = desk.subjects();
    subjects.sort();
    assert_eq!(subjects, ["bad, renamed", "good, renamed"]);
    assert_eq!(desk.push(), PushReport::default());
    desk.server.with(|world| world.clear_faults());
    desk.retry(edit.n);
    assert_eq!(desk.push().pushed, 1);
    desk.converges();
}

#[test]
fn a_5xx_for_ever_is_parked_after_the_cap() {
    for status in [500, 503] {
        let mut desk = Desk::new();
        let (bad, good) = (desk.single("bad"), desk.single("good"));
        desk.pull();
        desk.rename(desk.key(&bad), "bad, renamed");
        desk.rename(desk.key(&good), "good, renamed");
        desk.fault(always(&bad, What::Status { status, code: None, body: Default::default() }));
        assert_eq!(desk.push().pushed, 1, "the others pass");
        let mut parked = 0;
        for _ in 0..200 {
            if parked > 0 {
                break;
            }
            desk.clock.turn(10 * MINUTE_MS);
            parked += desk.push().parked;
        }
        assert_eq!(desk.problem(), "server_error");
        assert_eq!(desk.open_edit().attempts, 8);
        let hours = (desk.clock.now_ms() - NOW_MS) / HOUR_MS;
        assert!((20..30).contains(&hours), "{hours}");
    }
}

#[test]
fn asking_for_a_sync_costs_an_edit_no_try() {
    let mut desk = Desk::new();
    let id = desk.single("before");
    desk.pull();
    desk.rename(desk.key(&id), "after");
    desk.fault(always(&id, status(503)));
    desk.push();
    let attempts = desk.open_edit().attempts;
    assert!(attempts > 0);
    for _ in 0..50 {
        desk.push_with(PushOrder { is_asked: true, ..ORDER });
    }
    let edit = desk.open_edit();
    assert_eq!((edit.state != EditState::Parked, edit.attempts), (true, attempts));
    desk.server.with(|world| world.clear_faults());
    assert_eq!(desk.push_with(PushOrder { is_asked: true, ..ORDER }).pushed, 1);
    desk.converges();
}

#[test]
fn a_server_that_is_down_is_not_asked_about_every_edit() {
    let mut desk = Desk::new();
    for _ in 0..40 {
        desk.add(subject("new"));
    }
    desk.fault(Rule::any(0, status(503)));
    let before = desk.sent();
    let report = desk.push();
    assert_eq!(report.fault.map(|fault| fault.kind()), Some("server_error"));
    assert!(desk.sent() - before < 20, "{}", desk.sent() - before);
    desk.server.with(|world| world.clear_faults());
    desk.clock.turn(HOUR_MS);
    assert_eq!(desk.push().pushed, 40);
    desk.converges();
}

#[test]
fn an_old_invitation_waits_for_confirmation() {
    let mut desk = Desk::new();
    desk.add(Fields { attendees: Some(vec![guest("b@x.test"), guest("c@x.test")]), ..subject("new") });
    desk.add(subject("alone"));
    desk.clock.turn(73 * HOUR_MS);
    let report = desk.push();
    assert_eq!((report.pushed, report.parked), (1, 1));
    assert_eq!((desk.problem().as_str(), desk.open_edit().notifies), ("needs_confirmation", 2));
    assert_eq!(desk.mails("invite"), 0);
    desk.retry(desk.open_edit().n);
    assert_eq!(desk.push().pushed, 1);
    assert_eq!(desk.mails("invite"), 1);
    desk.converges();
}

#[test]
fn an_old_edit_of_what_became_a_meeting_meanwhile_waits_for_confirmation() {
    let mut desk = Desk::new();
    let id = desk.single("alone");
    desk.pull();
    desk.rename(desk.key(&id), "after");
    assert_eq!(desk.open_edit().notifies, 0);
    desk.change_there(
        &id,
        json!({"attendees": [{"type": "required", "emailAddress": {"address": "c@x.test"}}]}),
    );
    desk.server.with(|world| world.clear_writes());
    desk.clock.turn(73 * HOUR_MS);
    let report = desk.push();
    assert_eq!((report.pushed, report.parked), (0, 1));
    assert_eq!((desk.problem().as_str(), desk.open_edit().notifies), ("needs_confirmation", 1));
    assert_eq!(desk.mails("update"), 0);
    desk.retry(desk.open_edit().n);
    assert_eq!(desk.push().pushed, 1);
    assert_eq!(desk.mails("update"), 1);
    desk.converges();
}

#[test]
fn an_answer_whose_reply_is_lost_is_found_and_not_sent_again() {
    let mut desk = Desk::new();
    let id = desk.invitation("review");
    desk.pull();
    desk.wish(desk.key(&id), answer(Answer::Accept));
    desk.next(RequestKind::Action, What::LoseReply);
    // The server carries it out a little later than it answers.
    assert_eq!(desk.push().pushed, 0);
    desk.clock.turn(MINUTE_MS);
    assert_eq!(desk.push().pushed, 1);
    assert_eq!((desk.mails("respond"), desk.true_event().response.as_str()), (1, "accepted"));
    desk.converges();
}

#[test]
fn an_answer_with_an_unclear_end_is_not_sent_again() {
    let mut desk = Desk::new();
    let id = desk.invitation("review");
    desk.pull();
    desk.wish(desk.key(&id), answer(Answer::Accept));
    desk.next(RequestKind::Action, What::Drop);
    let mut parked = desk.push().parked;
    for _ in 0..20 {
        desk.clock.turn(MINUTE_MS);
        parked += desk.push().parked;
    }
    assert_eq!((parked, desk.count(RequestKind::Action), desk.mails("respond")), (1, 1, 0));
    assert_eq!(desk.problem(), "unclear");
    desk.retry(desk.open_edit().n);
    assert_eq!(desk.push().pushed, 1);
    assert_eq!(desk.mails("respond"), 1);
    desk.converges();
}

#[test]
fn a_forward_with_an_unclear_end_is_not_sent_again() {
    let mut desk = Desk::new();
    let id = desk.single("talk");
    desk.pull();
    let to = vec![Person { name: None, address: Some("c@x.test".to_owned()) }];
    desk.wish(desk.key(&id), Intent::Forward { to, comment: "please come".to_owned() });
    desk.next(RequestKind::Action, What::LoseReply);
    for _ in 0..10 {
        desk.push();
        desk.clock.turn(MINUTE_MS);
    }
    assert_eq!((desk.problem().as_str(), desk.mails("forward")), ("unclear", 1));
}

#[test]
fn an_answer_shows_at_once_and_does_not_flicker() {
    let mut desk = Desk::new();
    let id = desk.invitation("review");
    desk.pull();
    desk.wish(desk.key(&id), answer(Answer::Tentative));
    let shown = |desk: &Desk| (desk.row().details.response.code(), desk.row().pending);
    assert_eq!(shown(&desk), ("tentative", Some(Pending::Respond)));
    assert_eq!(desk.push().pushed, 1);
    assert_eq!(shown(&desk), ("tentative", None));
    desk.converges();
    assert_eq!(shown(&desk), ("tentative", None));
}

#[test]
fn a_decline_that_removes_the_event_is_success() {
    for loses in [false, true] {
        let mut desk = Desk::new();
        let id = desk.invitation("review");
        desk.pull();
        desk.wish(desk.key(&id), answer(Answer::Decline));
        if loses {
            desk.next(RequestKind::Action, What::LoseReply);
        }
        let mut report = desk.push();
        desk.clock.turn(MINUTE_MS);
        report.pushed += desk.push().pushed;
        assert_eq!((report.pushed, report.parked, report.conflicts), (1, 0, 0), "{loses}");
        assert_eq!((desk.mails("respond"), desk.conflicts()), (1, vec![]));
        desk.converges();
        assert_eq!(desk.rows(), []);
    }
}

#[test]
fn an_answer_to_a_meeting_that_is_gone_is_a_decided_conflict() {
    let mut desk = Desk::new();
    let id = desk.invitation("review");
    desk.pull();
    desk.wish(desk.key(&id), answer(Answer::Accept));
    desk.theirs(Edit::Delete { id });
    assert_eq!(desk.push().conflicts, 1);
    assert_eq!(desk.conflicts()[0].resolution, Some(Keep::Theirs));
    desk.converges();
}

#[test]
fn a_meeting_called_off_mails_its_guests_once() {
    let mut desk = Desk::new();
    let id = desk.there(json!({
        "subject": "mine", "start": time(NOW_MS), "end": time(NOW_MS + HOUR_MS),
        "attendees": [{"type": "required", "emailAddress": {"address": "b@x.test"}}]
    }));
    desk.pull();
    desk.wish(desk.key(&id), Intent::Cancel { comment: "sorry".to_owned() });
    desk.next(RequestKind::Action, What::LoseReply);
    let mut pushed = 0;
    for _ in 0..5 {
        pushed += desk.push().pushed;
        desk.clock.turn(MINUTE_MS);
    }
    assert_eq!((pushed, desk.mails("cancel")), (1, 1));
    desk.converges();
}

#[test]
fn a_silent_answer_mails_nobody_and_may_be_repeated() {
    let mut desk = Desk::new();
    let id = desk.invitation("review");
    desk.pull();
    let intent = Intent::Respond { answer: Answer::Accept, comment: String::new(), is_silent: true };
    desk.wish(desk.key(&id), intent);
    desk.next(RequestKind::Action, What::Drop);
    assert_eq!(desk.push().pushed, 1);
    assert_eq!(desk.mails("respond"), 0);
    desk.converges();
    assert_eq!(desk.row().details.response.code(), "accepted");
}

#[test]
fn attendees_are_only_sent_when_changed() {
    let mut desk = Desk::new();
    let id = desk.there(json!({
        "subject": "mine", "start": time(NOW_MS), "end": time(NOW_MS + HOUR_MS),
        "attendees": [{"type": "required", "emailAddress": {"address": "b@x.test"}}]
    }));
    desk.pull();
    let categories = Some(vec!["Blue".to_owned()]);
    let mine = Fields { categories, reminder: Some(Reminder::Off), ..Fields::default() };
    desk.wish(desk.key(&id), Intent::Update(mine));
    assert_eq!(desk.open_edit().notifies, 0);
    assert_eq!(desk.push().pushed, 1);
    assert_eq!(desk.mails("update"), 0);
    let more = Fields { attendees: Some(vec![guest("b@x.test"), guest("c@x.test")]), ..Fields::default() };
    desk.wish(desk.key(&id), Intent::Update(more));
    assert_eq!(desk.push().pushed, 1);
    // Only the new guest is told, since nothing but the list of guests was sent.
    let mails = desk
        .server
        .with(|world| world.mails(0).iter().map(|mail| (mail.what, mail.recipients)).collect::<Vec<_>>());
    assert_eq!(mails, [("update", 1)]);
    desk.converges();
}

#[test]
fn edits_to_a_pending_create_follow_it() {
    let mut desk = Desk::new();
    let key = desk.add(subject("new"));
    // Tried, and not known whether it landed: a later edit is no part of it any more.
    desk.fault(Rule {
        when: When { kind: Some(RequestKind::Create), ..When::default() },
        count: 0,
        what: What::LoseReply,
    });
    desk.fault(Rule {
        when: When { kind: Some(RequestKind::View), ..When::default() },
        count: 0,
        what: status(503),
    });
    assert_eq!(desk.push().pushed, 0);
    desk.rename(key, "newer");
    assert_eq!(desk.edits().len(), 2);
    assert_eq!(desk.subjects(), ["newer"]);
    desk.server.with(|world| world.clear_faults());
    desk.clock.turn(HOUR_MS);
    assert_eq!(desk.push().pushed, 2);
    assert_eq!((desk.count(RequestKind::Create), desk.count(RequestKind::Patch)), (1, 1));
    assert_eq!(desk.true_event().subject.as_deref(), Some("newer"));
    desk.converges();
    assert_eq!(desk.row().key, key);
}

#[test]
fn edits_of_a_create_that_was_never_tried_are_part_of_it() {
    let mut desk = Desk::new();
    let key = desk.add(subject("new"));
    desk.rename(key, "newer");
    desk.wish(key, Intent::Update(place("room 5")));
    assert_eq!(desk.push().pushed, 1);
    assert_eq!((desk.count(RequestKind::Create), desk.count(RequestKind::Patch)), (1, 0));
    let event = desk.true_event();
    assert_eq!((event.subject.as_deref(), event.location.as_str()), (Some("newer"), "room 5"));
    let gone = desk.add(subject("gone"));
    desk.wish(gone, Intent::Delete);
    assert_eq!((desk.edits(), desk.push()), (vec![], PushReport::default()));
    desk.converges();
}

#[test]
fn the_edits_of_one_event_go_in_order_and_hold_up_no_other() {
    let mut desk = Desk::new();
    let (meeting, other) = (desk.invitation("review"), desk.single("other"));
    desk.pull();
    desk.wish(desk.key(&meeting), answer(Answer::Accept));
    desk.wish(
        desk.key(&meeting),
        Intent::Update(Fields { categories: Some(vec!["Blue".to_owned()]), ..Fields::default() }),
    );
    desk.rename(desk.key(&other), "other, renamed");
    assert_eq!(desk.edits().len(), 3);
    desk.next(RequestKind::Action, status(400));
    let report = desk.push();
    assert_eq!((report.pushed, report.parked), (1, 1), "the parked answer holds back its own event");
    assert_eq!(desk.count(RequestKind::Patch), 1);
    let head = desk.edits().remove(0);
    desk.retry(head.n);
    assert_eq!(desk.push().pushed, 2);
    let order: Vec<RequestKind> = desk.server.with(|world| {
        world
            .log()
            .filter(|seen| matches!(seen.kind, RequestKind::Action | RequestKind::Patch))
            .map(|seen| seen.kind)
            .collect()
    });
    assert_eq!(order, [RequestKind::Action, RequestKind::Patch, RequestKind::Action, RequestKind::Patch]);
    desk.converges();
}

#[test]
fn an_edit_that_comes_while_one_is_under_way_is_not_lost() {
    let mut desk = Desk::new();
    let id = desk.single("before");
    desk.pull();
    let key = desk.key(&id);
    desk.rename(key, "first");
    stopped_while_sending(&mut desk, RequestKind::Patch);
    assert_eq!(desk.open_edit().state, EditState::Sending);
    desk.rename(key, "second");
    assert_eq!(desk.subjects(), ["second"]);
    assert_eq!(desk.push().pushed, 2);
    assert_eq!(desk.true_event().subject.as_deref(), Some("second"));
    assert_eq!(desk.conflicts(), []);
    desk.converges();
}

/// The push is dropped while it waits for the reply of a request that the server carries out.
fn stopped_while_sending(desk: &mut Desk, kind: RequestKind) {
    desk.next(kind, What::Slow { ms: 1_000 });
    let (mut mirror, graph) = desk.open();
    let ports = desk.push_ports();
    let mut quiet = |_| {};
    block_on(async {
        tokio::select! {
            biased;
            _ = push(&mut mirror, &graph, &ports, ORDER, &mut quiet) => panic!("it should have waited"),
            () = std::future::ready(()) => {}
        }
    });
    drop(mirror);
    desk.kill();
}

#[test]
fn stop_in_the_middle_of_a_push_leaves_a_row_that_is_looked_up() {
    let mut desk = Desk::new();
    let id = desk.single("before");
    desk.pull();
    desk.rename(desk.key(&id), "after");
    stopped_while_sending(&mut desk, RequestKind::Patch);
    assert_eq!((desk.open_edit().state, desk.count(RequestKind::Patch)), (EditState::Sending, 1));
    assert_eq!(desk.push().pushed, 1);
    assert_eq!(desk.count(RequestKind::Patch), 1);
    desk.converges();

    let key = desk.add(Fields { attendees: Some(vec![guest("b@x.test")]), ..subject("new") });
    stopped_while_sending(&mut desk, RequestKind::Create);
    assert_eq!(desk.push().pushed, 1);
    assert_eq!((desk.count(RequestKind::Create), desk.mails("invite")), (1, 1));
    desk.converges();
    assert!(desk.rows().iter().any(|row| row.key == key));
}

#[test]
fn a_series_is_edited_as_a_whole_and_one_instance_alone() {
    let mut desk = Desk::new();
    let id = desk.there(json!({
        "subject": "daily",
        "start": {"dateTime": "2026-03-02T09:00:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2026-03-02T09:30:00", "timeZone": "Europe/Berlin"},
        "recurrence": {
            "pattern": {"type": "daily", "interval": 1},
            "range": {"type": "numbered", "startDate": "2026-03-02", "numberOfOccurrences": 5}
        }
    }));
    desk.pull();
    desk.rename(desk.key(&id), "standup");
    assert_eq!(desk.subjects(), ["standup"; 5]);
    assert_eq!(desk.push().pushed, 1);
    desk.converges();
    assert_eq!(desk.subjects(), ["standup"; 5]);
    let third = desk.rows()[2].key;
    desk.rename(third, "retro");
    assert_eq!(desk.subjects(), ["standup", "standup", "retro", "standup", "standup"]);
    assert_eq!(desk.push().pushed, 1);
    desk.converges();
    let second = desk.rows()[1].key;
    desk.wish(second, Intent::Delete);
    assert_eq!(desk.push().pushed, 1);
    desk.converges();
    assert_eq!(desk.subjects(), ["standup", "retro", "standup", "standup"]);
    desk.wish(desk.key(&id), Intent::Delete);
    assert_eq!(desk.subjects(), [""; 0]);
    assert_eq!(desk.push().pushed, 1);
    desk.converges();
}

#[test]
fn an_all_day_event_keeps_its_days() {
    let mut desk = Desk::new();
    let day_ms = NOW_MS - NOW_MS.rem_euclid(DAY_MS);
    let times = Times {
        start_ms: day_ms + 2 * DAY_MS,
        end_ms: day_ms + 4 * DAY_MS,
        is_all_day: true,
        zone: Some("Europe/Berlin".to_owned()),
    };
    desk.add(Fields { times: Some(times.clone()), ..subject("fair") });
    assert_eq!(desk.push().pushed, 1);
    desk.converges();
    let event = desk.true_event();
    assert_eq!((event.start_ms, event.end_ms, event.is_all_day), (times.start_ms, times.end_ms, true));
}

#[test]
fn a_calendar_that_is_gone_parks_what_was_to_be_created_in_it() {
    let mut desk = Desk::new();
    desk.add(subject("new"));
    desk.fault(Rule {
        when: When { kind: Some(RequestKind::Create), ..When::default() },
        count: 0,
        what: status(404),
    });
    desk.fault(Rule {
        when: When { kind: Some(RequestKind::View), ..When::default() },
        count: 0,
        what: status(404),
    });
    assert_eq!(desk.push().parked, 1);
    assert_eq!(desk.problem(), "not_found");
    assert_eq!(desk.subjects(), ["new"]);
}

#[test]
fn a_create_that_cannot_be_found_is_repeated_byte_for_byte() {
    let mut desk = Desk::new();
    desk.add(Fields { attendees: Some(vec![guest("b@x.test")]), ..subject("new") });
    desk.next(RequestKind::Create, What::LoseReply);
    let body = r#"{"value":[]}"#.to_owned();
    desk.fault(Rule {
        when: When { kind: Some(RequestKind::View), ..When::default() },
        count: 2,
        what: What::Raw { status: 200, headers: Vec::new(), body },
    });
    assert_eq!(desk.push().pushed, 1);
    let writes = desk.server.with(|world| world.writes(0).cloned().collect::<Vec<_>>());
    let told: Vec<_> = writes.iter().map(|write| (write.what.as_str(), write.is_replay)).collect();
    assert_eq!(told, [("create", false), ("create", true)]);
    assert_eq!(writes[0].digest, writes[1].digest);
    assert_eq!((desk.mails("invite"), desk.truth().len()), (1, 1));
    desk.converges();
}

#[test]
fn an_error_after_the_deed_is_looked_up() {
    let cases = [
        (RequestKind::Create, 503),
        (RequestKind::Create, 409),
        (RequestKind::Patch, 500),
        (RequestKind::Patch, 409),
        (RequestKind::Delete, 504),
    ];
    for (kind, status) in cases {
        let mut desk = Desk::new();
        let id = desk.single("before");
        desk.pull();
        match kind {
            RequestKind::Create => {
                desk.add(subject("new"));
            }
            RequestKind::Delete => desk.wish(desk.key(&id), Intent::Delete),
            _ => desk.rename(desk.key(&id), "after"),
        }
        desk.next(kind, What::FailAfter { status, code: None });
        assert_eq!(desk.push(), PushReport { pushed: 1, ..PushReport::default() }, "{kind:?} {status}");
        assert_eq!(desk.count(kind), 1, "{kind:?} {status}");
        desk.converges();
    }
}

#[test]
fn changes_and_deletions_are_conditional_and_say_only_what_changed() {
    let mut desk = Desk::new();
    let (one, two) = (desk.single("one"), desk.single("two"));
    desk.pull();
    desk.rename(desk.key(&one), "one, renamed");
    desk.wish(desk.key(&two), Intent::Delete);
    assert_eq!(desk.push().pushed, 2);
    let writes = desk.server.with(|world| world.writes(0).cloned().collect::<Vec<_>>());
    let told: Vec<_> =
        writes.iter().map(|w| (w.what.as_str(), w.is_conditional, w.members.clone())).collect();
    assert_eq!(told, [("patch", true, vec!["subject".to_owned()]), ("delete", true, vec![])]);
    desk.converges();
}

#[test]
fn the_body_of_an_online_meeting_is_edited_and_its_link_stays() {
    let mut desk = Desk::new();
    let id = desk.there(json!({
        "subject": "online", "start": time(NOW_MS), "end": time(NOW_MS + HOUR_MS),
        "isOnlineMeeting": true, "onlineMeetingProvider": "teamsForBusiness",
        "body": {"contentType": "text", "content": "agenda"}
    }));
    desk.clock.turn(10_000);
    desk.pull();
    assert!(desk.row().details.online_meeting.is_some());
    let mine = Fields { body: Some("another agenda".to_owned()), ..Fields::default() };
    desk.wish(desk.key(&id), Intent::Update(mine));
    assert_eq!(desk.push(), PushReport { pushed: 1, ..PushReport::default() });
    let event = desk.true_event();
    assert!(event.is_online && event.body_text.contains("another agenda"), "{}", event.body_text);
    assert!(event.join_url.is_some());
    desk.converges();
}

#[test]
fn a_crash_between_any_two_steps_sends_nothing_twice() {
    let mut crashes = 0;
    for commits in 0..24 {
        let mut desk = Desk::new();
        let (one, two, meeting) = (desk.single("one"), desk.single("two"), desk.invitation("review"));
        desk.pull();
        let key = desk.add(Fields { attendees: Some(vec![guest("b@x.test")]), ..subject("new") });
        desk.rename(desk.key(&one), "one, renamed");
        desk.theirs(Edit::Touch { id: one });
        desk.wish(desk.key(&two), Intent::Delete);
        desk.wish(desk.key(&meeting), answer(Answer::Accept));
        let (mut mirror, graph) = desk.open();
        mirror.break_after(commits);
        let ended = block_on(push(&mut mirror, &graph, &desk.push_ports(), ORDER, &mut |_| {}));
        crashes += u32::from(ended.is_err());
        drop(mirror);
        desk.kill();
        for _ in 0..5 {
            desk.push();
            desk.clock.turn(MINUTE_MS);
        }
        assert_eq!(desk.edits(), [], "{commits}");
        assert_eq!((desk.mails("invite"), desk.mails("respond")), (1, 1), "{commits}");
        let patches = desk.server.with(|world| world.writes(0).filter(|write| write.what == "patch").count());
        assert_eq!((patches, desk.conflicts()), (1, vec![]), "{commits}");
        desk.converges();
        assert!(desk.rows().iter().any(|row| row.key == key), "{commits}");
    }
    assert!(crashes > 8, "{crashes}");
}

/// A whole engine, signed in and in step, and one event.
struct House {
    server: InMemory,
    clock: Arc<VirtualClock>,
    dir: tempfile::TempDir,
    key: Key,
}

impl House {
    fn new() -> (House, Engine) {
        let clock = Arc::new(VirtualClock::at(NOW_MS));
        let mut world = World::new(7, &[("Anna Berg", "anna@contoso.example")], "Europe/Berlin");
        world.set_quirks(Quirks { empty_first_page_rate: 0.0, ..Quirks::default() });
        let event = json!({"subject": "before", "start": time(NOW_MS), "end": time(NOW_MS + HOUR_MS)});
        let id = world.edit(0, Edit::Create { calendar: None, event: members(event) }, NOW_MS).unwrap().id;
        let server = InMemory::new(world, clock.clone());
        let dir = tempfile::tempdir().unwrap();
        let config = "[[graph_app]]\ndisplay_name = \"App\"\napplication_id = \"00000000-0000-0000-0000-000000000000\"\n\
            directory_id = \"contoso.example\"\ngraph_url = \"https://graph.emulated.test\"\n\
            authority_url = \"https://login.emulated.test\"\n[[account]]\nname = \"anna\"\n";
        let edges = Edges {
            http: Arc::new(server.clone()),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::from_seed(3)),
            keyring: Arc::new(NoKeyring),
        };
        let mut engine = Engine::open(Config::parse(config).unwrap(), dir.path(), edges).unwrap();
        engine.sign_in("anna", OtherMailbox::Refuse, &mut |_| {}).unwrap();
        // The new event's version has been rotated by then.
        clock.turn(60_000);
        engine.sync("anna", &SyncOrder::default(), &mut |_| {}).unwrap();
        (House { server, clock, dir, key: Key::of_remote(&id) }, engine)
    }

    fn rename(&self, text: &str) {
        let path = self.dir.path().join("anna/mirror.db");
        wish_at(&path, self.clock.now_ms(), self.key, Intent::Update(subject(text)));
    }

    /// When the first request of a kind since `seq` was answered.
    fn first(&self, kind: RequestKind, seq: u64) -> Option<(u64, i64)> {
        self.server.with(|world| {
            world.log().find(|seen| seen.kind == kind && seen.seq > seq).map(|seen| (seen.seq, seen.at_ms))
        })
    }

    fn seq(&self) -> u64 {
        self.server.with(|world| world.log().last().map_or(0, |seen| seen.seq))
    }
}

#[test]
fn sync_pushes_before_it_pulls() {
    let (house, mut engine) = House::new();
    house.rename("after");
    let seq = house.seq();
    let report = engine.sync("anna", &SyncOrder::default(), &mut |_| {}).unwrap();
    assert_eq!((report.done.pushed, report.done.parked, report.done.conflicts), (1, 0, 0));
    assert_eq!(report.weather, None);
    let (patch, delta) = (house.first(RequestKind::Patch, seq), house.first(RequestKind::Delta, seq));
    assert!(patch.unwrap().0 < delta.unwrap().0);
    // The echo of what was written is no change.
    assert_eq!(report.done.upserted, 0);
}

#[test]
fn a_sync_that_cannot_send_says_why_and_pulls_all_the_same() {
    let (house, mut engine) = House::new();
    house.rename("after");
    let what = What::Throttle { retry_after: Some("600".to_owned()), status: 429 };
    house.server.with(|world| world.add_fault(Rule::next(RequestKind::Patch, what)));
    let report = engine.sync("anna", &SyncOrder::default(), &mut |_| {}).unwrap();
    assert_eq!(report.weather, Some(Weather::Throttled { until_ms: house.clock.now_ms() + 600_000 }));
}

/// Watches until an edit that was queued before is sent. Answers after how many milliseconds that was.
fn sent_after(house: &House, engine: &mut Engine) -> i64 {
    let (handle, start_ms) = (engine.handle(), house.clock.now_ms());
    let rounds = Mutex::new(0);
    engine
        .watch(&mut |seen| {
            let Seen::Done(_, report) = seen else { return };
            let mut rounds = rounds.lock().unwrap();
            *rounds += 1;
            if report.done.pushed > 0 || *rounds > 100 {
                handle.stop();
            }
        })
        .unwrap();
    house.clock.now_ms() - start_ms
}

#[test]
fn an_edit_is_sent_seconds_after_it_was_queued() {
    let (house, mut engine) = House::new();
    let handle = engine.handle();
    let mut syncs = 0;
    let mut queued_ms = 0;
    engine
        .watch(&mut |seen| {
            let Seen::Done(_, report) = seen else { return };
            syncs += 1;
            if syncs == 1 {
                house.rename("after");
                queued_ms = house.clock.now_ms();
                handle.hint(Hint::Edited);
            }
            if report.done.pushed > 0 || syncs > 10 {
                handle.stop();
            }
        })
        .unwrap();
    assert_eq!(syncs, 2);
    let wait_ms = house.clock.now_ms() - queued_ms;
    assert!((0..5_000).contains(&wait_ms), "{wait_ms}");
}

#[test]
fn an_edit_that_was_put_off_is_tried_when_it_is_due_and_not_at_the_next_poll() {
    let (house, mut engine) = House::new();
    house.rename("after");
    house.server.with(|world| {
        world.add_fault(Rule {
            when: When { kind: Some(RequestKind::Patch), ..When::default() },
            count: 2,
            what: What::Status { status: 503, code: None, body: Default::default() },
        });
    });
    let after_ms = sent_after(&house, &mut engine);
    assert!((20_000..40_000).contains(&after_ms), "{after_ms}");
}

#[test]
fn edits_that_wait_offline_do_not_keep_the_engine_awake() {
    let (house, mut engine) = House::new();
    house.rename("after");
    house.server.with(|world| world.set_network_down(true));
    let (handle, clock) = (engine.handle(), house.clock.clone());
    let end_ms = clock.now_ms() + 10 * HOUR_MS;
    let report = engine
        .watch(&mut move |seen| {
            if matches!(seen, Seen::Done(..)) && clock.now_ms() >= end_ms {
                handle.stop();
            }
        })
        .unwrap();
    assert!(report.polls <= 40, "{report:?}");
    house.server.with(|world| world.set_network_down(false));
    engine.handle().hint(Hint::NetworkUp);
    assert!(sent_after(&house, &mut engine) < MINUTE_MS);
}
