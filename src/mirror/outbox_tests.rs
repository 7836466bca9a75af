use std::path::PathBuf;

use super::*;
use crate::edit::Clash;
use crate::merge::{Frame, Incoming, Pass, RemovalVerdict, plan, prepare};
use crate::model::{
    Answer, CalendarRecord, Change, ConflictKind, DAY_MS, Details, EditState, EventKind, EventRecord,
    EventView, Fields, Importance, Intent, Keep, Key, Link, OpenEdit, Pending, Problem, RemoteId, Response,
    Sensitivity, ShowAs, Times, Window,
};

const NOW_MS: i64 = 1_000_000;
const HOUR: i64 = 3_600_000;
const WINDOW: Window = Window { from_ms: 0, to_ms: 100 * DAY_MS };
const DELTA: Frame = Frame { calendar_id: 1, generation: 4, pass: Pass::Delta };

/// A mirror with one calendar, the door that records edits, and one that reads.
struct Desk {
    mirror: Mirror,
    editor: Editor,
    reader: Reader,
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mirror.db");
        let (mut mirror, _) = Mirror::open(&path, 0).unwrap();
        mirror.put_calendars(&[calendar()], NOW_MS).unwrap();
        let editor = Editor::open(&path).unwrap();
        let reader = Reader::open(&path).unwrap();
        Desk { mirror, editor, reader, dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("mirror.db")
    }

    fn pull(&mut self, changes: Vec<Change>) -> Committed {
        self.pull_as(DELTA, changes)
    }

    fn pull_as(&mut self, frame: Frame, changes: Vec<Change>) -> Committed {
        let incoming = prepare(changes, frame.pass);
        let stored = self.mirror.stored(incoming.iter().map(Incoming::key)).unwrap();
        self.mirror.commit_page(&plan(frame, incoming, &stored), &Cursor::Keep, NOW_MS).unwrap()
    }

    fn end(&mut self, generation: i64, window: Window, is_full: bool) -> Ended {
        let place = RoundPlace { calendar_id: 1, generation, window };
        let link = Link::new("https://h/delta");
        let end = RoundEnd { place, is_full, delta_link: Some(&link), skipped: 0, unproven: &[] };
        self.mirror.end_round(&end, RemovalVerdict::Apply, NOW_MS).unwrap()
    }

    /// What the server removed.
    fn remove(&mut self, id: &str) {
        self.pull(vec![Change::Gone(RemoteId::new(id))]);
        self.end(4, WINDOW, false);
    }

    fn edit(&mut self, event: Key, intent: Intent) -> i64 {
        let session = self.editor.begin(NOW_MS).unwrap();
        let target = session.target(event).unwrap();
        let (calendar, base, remote, series) = match target {
            Some(target) => (target.calendar, target.record, target.remote, target.series),
            None => (session.calendar(None).unwrap().unwrap(), None, None, None),
        };
        let new = NewEdit {
            event,
            series,
            calendar: calendar.key,
            calendar_remote: calendar.remote_id,
            remote,
            fields: crate::edit::names(&intent, base.as_ref()),
            base: base.map(Box::new),
            body: None,
            transaction_id: matches!(intent, Intent::Create(_)).then(|| format!("transaction of {event}")),
            notifies: 0,
            intent,
        };
        let n = session.put(&new).unwrap();
        session.redraw(event).unwrap();
        session.commit().unwrap();
        n
    }

    fn next(&self) -> Option<i64> {
        self.mirror.next_edit(NOW_MS).unwrap().map(|edit| edit.n)
    }

    fn agenda(&self) -> Vec<EventView> {
        let mut found = self.reader.overlapping(WINDOW, &[]).unwrap();
        found.sort_by_key(|event| (event.start_ms, event.key));
        found
    }

    /// Subjects in order of time, with the mark of what is pending.
    fn shown(&self) -> Vec<String> {
        let agenda = self.agenda();
        agenda
            .iter()
            .map(|event| {
                let mark = event.pending.map_or("", Pending::code);
                let text = format!("{} {mark}", event.details.subject.as_deref().unwrap_or("-"));
                text.trim().to_owned()
            })
            .collect()
    }

    fn feed(&self) -> Vec<(Key, bool)> {
        self.reader.changes(0, 1_000).unwrap().iter().map(|change| (change.key, change.is_removal)).collect()
    }

    fn text(&self, sql: &str) -> String {
        self.mirror
            .conn
            .query_row(sql, [], |row| row.get::<_, Option<String>>(0))
            .unwrap()
            .unwrap_or_default()
    }

    fn count(&self, sql: &str) -> i64 {
        self.mirror.conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn calendar() -> CalendarRecord {
    CalendarRecord {
        remote_id: RemoteId::new("home"),
        name: "home".to_owned(),
        color: None,
        owner_name: None,
        owner_address: None,
        is_default: true,
        can_edit: true,
    }
}

fn record(id: &str, kind: EventKind, subject: &str, start_ms: i64) -> EventRecord {
    let details = Details {
        ical_uid: None,
        subject: Some(subject.to_owned()),
        body: Some("the body".to_owned()),
        body_preview: Some("the body".to_owned()),
        location: None,
        is_all_day: false,
        is_cancelled: false,
        is_organizer: true,
        show_as: ShowAs::Busy,
        sensitivity: Sensitivity::Normal,
        importance: Importance::Normal,
        response: Response::Organizer,
        categories: vec![],
        organizer: None,
        attendees: vec![],
        reminder_minutes: None,
        online_meeting: None,
        web_link: None,
        original_time_zone: Some("UTC".to_owned()),
        transaction_id: None,
    };
    EventRecord {
        remote_id: RemoteId::new(id),
        kind,
        change_key: Some("v1".to_owned()),
        series: matches!(kind, EventKind::Occurrence | EventKind::Exception).then(|| RemoteId::new("series")),
        start_ms,
        end_ms: start_ms + HOUR,
        original_start_ms: None,
        modified_ms: None,
        details: (kind != EventKind::Occurrence).then(|| Box::new(details)),
    }
}

fn single(id: &str, subject: &str) -> Change {
    Change::Put(record(id, EventKind::Single, subject, HOUR))
}

fn subject(subject: &str) -> Intent {
    Intent::Update(Fields { subject: Some(subject.to_owned()), ..Fields::default() })
}

fn create(subject: &str) -> Intent {
    let times = Times { start_ms: HOUR, end_ms: 2 * HOUR, is_all_day: false, zone: Some("UTC".to_owned()) };
    Intent::Create(Fields { subject: Some(subject.to_owned()), times: Some(times), ..Fields::default() })
}

fn key(id: &str) -> Key {
    Key::of_remote(id)
}

/// The id of an event made here.
const LOCAL: Key = Key::from_bytes([7; 16]);

fn problem(kind: &str, status: Option<u16>) -> Problem {
    Problem { kind: kind.to_owned(), status, code: None, at_ms: NOW_MS }
}

/// The row that the server makes of a create.
fn made(id: &str, edit: &OpenEdit) -> EventRecord {
    let Intent::Create(fields) = &edit.intent else { panic!("no create") };
    let mut made = record(id, EventKind::Single, fields.subject.as_deref().unwrap(), HOUR);
    made.details.as_mut().unwrap().transaction_id = edit.transaction_id.clone();
    made
}

fn created(record: &EventRecord) -> Settled {
    Settled::Created { record: Box::new(record.clone()) }
}

fn updated(record: &EventRecord) -> Settled {
    Settled::Updated { record: Box::new(record.clone()) }
}

#[test]
fn an_edit_is_shown_at_once_and_the_servers_row_stays_as_it_was() {
    let mut desk = Desk::new();
    desk.pull(vec![single("a", "Lunch")]);
    desk.edit(key("a"), subject("Late lunch"));
    assert_eq!(desk.shown(), ["Late lunch update"]);
    assert_eq!(desk.reader.event(key("a")).unwrap().unwrap().details.subject.as_deref(), Some("Late lunch"));
    assert_eq!(desk.text("SELECT subject || pending FROM v1_events"), "Lunchupdate");
    assert_eq!(desk.text("SELECT subject || pending FROM v1_agenda"), "Late lunchupdate");
    assert_eq!(desk.feed(), [(key("a"), false), (key("a"), false)]);
    assert_eq!(desk.reader.counts().unwrap(), [(key("home"), 1)]);
}

#[test]
fn an_event_made_here_keeps_its_id_through_the_answer_and_its_echo_and_leaving_the_window() {
    let mut desk = Desk::new();
    let n = desk.edit(LOCAL, create("Dentist"));
    assert_eq!(desk.shown(), ["Dentist create"]);
    assert_eq!(desk.agenda()[0].remote_id, None);
    assert_eq!(desk.reader.counts().unwrap(), [(key("home"), 1)]);
    desk.mirror.begin_sending(n, |_| Some(b"body".to_vec())).unwrap();
    let edit = desk.mirror.edit(n).unwrap().unwrap();
    assert_eq!((edit.state, edit.body.as_deref()), (EditState::Sending, Some(&b"body"[..])));
    let row = made("remote", &edit);
    desk.mirror.settle(n, created(&row), NOW_MS).unwrap();
    assert_eq!((desk.shown(), desk.agenda()[0].key), (vec!["Dentist".to_owned()], LOCAL));
    assert_eq!(desk.agenda()[0].remote_id, Some(RemoteId::new("remote")));
    let before = desk.feed();
    assert_eq!(desk.pull(vec![Change::Put(row.clone())]), Committed::default());
    assert_eq!(desk.feed(), before, "the echo is no change");
    // It leaves the window, and comes back.
    let place = Window { from_ms: 50 * DAY_MS, to_ms: 60 * DAY_MS };
    desk.end(6, place, true);
    assert_eq!(desk.shown(), Vec::<String>::new());
    desk.pull_as(Frame { generation: 8, ..DELTA }, vec![Change::Put(row.clone())]);
    assert_eq!(desk.agenda()[0].key, LOCAL);
    // And for a program that opens the file anew.
    let Desk { mirror, dir, .. } = desk;
    mirror.close().unwrap();
    let (mirror, _) = Mirror::open(&dir.path().join("mirror.db"), 0).unwrap();
    assert_eq!(mirror.local_key(&RemoteId::new("remote")), LOCAL);
    assert_eq!(mirror.stored([key("remote")]).unwrap().iter().flatten().count(), 1);
}

#[test]
fn a_create_whose_answer_was_lost_lands_when_its_event_comes_by_pull() {
    let mut desk = Desk::new();
    let n = desk.edit(LOCAL, create("Dentist"));
    let later = desk.edit(LOCAL, subject("Dentist, 2nd floor"));
    desk.mirror.begin_sending(n, |_| Some(b"body".to_vec())).unwrap();
    let row = made("remote", &desk.mirror.edit(n).unwrap().unwrap());
    desk.pull(vec![Change::Put(row)]);
    assert_eq!(desk.shown(), ["Dentist, 2nd floor update"]);
    assert_eq!(desk.agenda()[0].key, LOCAL);
    let edits = desk.reader.outbox().unwrap();
    assert_eq!(edits.iter().map(|edit| edit.n).collect::<Vec<_>>(), [later]);
    assert_eq!(edits[0].remote, Some(RemoteId::new("remote")));
    assert_eq!(edits[0].base.as_ref().unwrap().remote_id.as_str(), "remote");
    assert_eq!(desk.mirror.local_key(&RemoteId::new("remote")), LOCAL);
}

#[test]
fn a_row_that_came_before_its_create_was_answered_takes_the_local_id() {
    let mut desk = Desk::new();
    let n = desk.edit(LOCAL, create("Dentist"));
    let mut row = made("remote", &desk.mirror.edit(n).unwrap().unwrap());
    row.details.as_mut().unwrap().transaction_id = None;
    desk.pull(vec![Change::Put(row.clone())]);
    assert_eq!(desk.agenda().len(), 2);
    desk.mirror.settle(n, created(&row), NOW_MS).unwrap();
    assert_eq!(desk.agenda().iter().map(|event| event.key).collect::<Vec<_>>(), [LOCAL]);
    assert!(desk.feed().contains(&(key("remote"), true)));
}

#[test]
fn an_edit_behind_a_create_waits_for_the_id_and_gets_it() {
    let mut desk = Desk::new();
    let first = desk.edit(LOCAL, create("Dentist"));
    let second = desk.edit(LOCAL, subject("Dentist, 2nd floor"));
    assert_eq!(desk.shown(), ["Dentist, 2nd floor create"]);
    assert_eq!(desk.next(), Some(first));
    let row = made("remote", &desk.mirror.edit(first).unwrap().unwrap());
    desk.mirror.settle(first, created(&row), NOW_MS).unwrap();
    let edit = desk.mirror.next_edit(NOW_MS).unwrap().unwrap();
    assert_eq!((edit.n, edit.remote), (second, Some(RemoteId::new("remote"))));
    assert_eq!(desk.shown(), ["Dentist, 2nd floor update"]);
}

#[test]
fn an_update_that_landed_is_the_base_of_the_next_and_others_changes_in_between_stay_theirs() {
    let mut desk = Desk::new();
    desk.pull(vec![single("a", "one"), single("b", "one")]);
    let first = desk.edit(key("a"), subject("two"));
    let second = desk.edit(key("a"), subject("three"));
    let row = record("a", EventKind::Single, "two", HOUR);
    desk.mirror.settle(first, updated(&row), NOW_MS).unwrap();
    let base = desk.mirror.edit(second).unwrap().unwrap().base.unwrap();
    assert_eq!(base.details.unwrap().subject.as_deref(), Some("two"));
    // Of the other event somebody changes the place between the two edits.
    let first = desk.edit(key("b"), subject("two"));
    let mut moved = record("b", EventKind::Single, "one", HOUR);
    moved.details.as_mut().unwrap().location = Some("there".to_owned());
    desk.pull(vec![Change::Put(moved.clone())]);
    let second = desk.edit(key("b"), subject("three"));
    let mut landed = moved.clone();
    landed.details.as_mut().unwrap().subject = Some("two".to_owned());
    landed.details.as_mut().unwrap().location = Some("elsewhere".to_owned());
    desk.mirror.settle(first, updated(&landed), NOW_MS).unwrap();
    let base = desk.mirror.edit(second).unwrap().unwrap().base.unwrap().details.unwrap();
    assert_eq!((base.subject.as_deref(), base.location.as_deref()), (Some("two"), Some("there")));
    assert_eq!(desk.shown(), ["three update", "three update"]);
}

#[test]
fn a_pull_draws_edited_events_anew_and_the_rest_as_ever() {
    let mut desk = Desk::new();
    desk.pull(vec![single("a", "Lunch"), single("b", "Other")]);
    desk.edit(key("a"), subject("Late lunch"));
    let mut changed = record("a", EventKind::Single, "Brunch", HOUR);
    changed.details.as_mut().unwrap().location = Some("Canteen".to_owned());
    desk.pull(vec![Change::Put(changed), single("b", "Another")]);
    let event = desk.reader.event(key("a")).unwrap().unwrap();
    assert_eq!(event.details.subject.as_deref(), Some("Late lunch"));
    assert_eq!(event.details.location.as_deref(), Some("Canteen"));
    assert_eq!(desk.shown(), ["Another", "Late lunch update"]);
    assert_eq!(desk.count("SELECT count(*) FROM draft"), 1);
}

#[test]
fn a_deleted_event_is_hidden_at_once_and_comes_back_when_the_deletion_is_parked() {
    let mut desk = Desk::new();
    desk.pull(vec![single("a", "Lunch")]);
    let n = desk.edit(key("a"), Intent::Delete);
    assert_eq!(desk.shown(), Vec::<String>::new());
    assert_eq!(desk.reader.event(key("a")).unwrap(), None);
    assert_eq!(desk.reader.counts().unwrap(), []);
    assert_eq!(desk.feed().last(), Some(&(key("a"), true)));
    // A change of the server does not bring it back.
    desk.pull(vec![single("a", "Brunch")]);
    assert_eq!(desk.feed().last(), Some(&(key("a"), true)));
    desk.mirror.park(n, &problem("refused", Some(403)), NOW_MS).unwrap();
    assert_eq!(desk.shown(), ["Brunch delete"]);
    assert_eq!(desk.feed().last(), Some(&(key("a"), false)));
    assert!(desk.editor.begin(NOW_MS).unwrap().retry(n).unwrap());
    desk.mirror.settle(n, Settled::Gone, NOW_MS).unwrap();
    assert_eq!((desk.shown(), desk.count("SELECT count(*) FROM event")), (vec![], 0));
    desk.remove("a");
    assert_eq!(desk.count("SELECT count(*) FROM outbox"), 0);
}

#[test]
fn an_event_removed_by_the_server_stays_visible_while_it_is_edited_and_its_deletion_is_done() {
    let mut desk = Desk::new();
    desk.pull(vec![single("a", "Lunch"), single("b", "Tea"), single("c", "Talk")]);
    let update = desk.edit(key("a"), subject("Late lunch"));
    desk.edit(key("b"), Intent::Delete);
    desk.edit(
        key("c"),
        Intent::Respond { answer: Answer::Decline, comment: String::new(), is_silent: false },
    );
    for id in ["a", "b", "c"] {
        desk.remove(id);
    }
    assert_eq!(desk.count("SELECT count(*) FROM event"), 0);
    let mut shown = desk.shown();
    shown.sort();
    assert_eq!(shown, ["Late lunch update", "Talk respond"]);
    assert_eq!(desk.count("SELECT count(*) FROM outbox"), 2);
    let last = desk.feed().into_iter().rfind(|(event, _)| *event == key("a")).unwrap();
    assert!(!last.1, "the feed ends with what is shown");
    let last = desk.feed().into_iter().rfind(|(event, _)| *event == key("b")).unwrap();
    assert!(last.1);
    let new =
        NewConflict { kind: ConflictKind::DeletedThere, theirs: None, clashes: vec![], resolution: None };
    desk.mirror.clash(update, &new, None, NOW_MS).unwrap();
    assert!(desk.reader.event(key("a")).unwrap().unwrap().is_in_conflict);
}

#[test]
fn an_edit_follows_its_event_into_another_calendar() {
    let mut desk = Desk::new();
    let work = CalendarRecord { remote_id: RemoteId::new("work"), is_default: false, ..calendar() };
    desk.mirror.put_calendars(&[calendar(), work], NOW_MS).unwrap();
    desk.pull(vec![single("a", "Lunch")]);
    let n = desk.edit(key("a"), subject("Late lunch"));
    desk.pull_as(Frame { calendar_id: 2, ..DELTA }, vec![single("a", "Lunch")]);
    let edit = desk.mirror.edit(n).unwrap().unwrap();
    assert_eq!((edit.calendar, edit.calendar_remote.as_str()), (key("work"), "work"));
    assert_eq!(desk.agenda()[0].calendar, key("work"));
    let row = record("a", EventKind::Single, "Late lunch", HOUR);
    desk.mirror.settle(n, updated(&row), NOW_MS).unwrap();
    assert_eq!(desk.agenda()[0].calendar, key("work"));
}

#[test]
fn a_new_body_is_read_whole_and_one_that_was_cleared_is_none() {
    let mut desk = Desk::new();
    desk.pull(vec![single("a", "Lunch")]);
    let body = |text: &str| Intent::Update(Fields { body: Some(text.to_owned()), ..Fields::default() });
    let long = "words ".repeat(100);
    let n = desk.edit(key("a"), body(&long));
    assert_eq!(desk.reader.body(key("a")).unwrap(), Some(long));
    desk.mirror.settle(n, Settled::Dropped, NOW_MS).unwrap();
    desk.edit(key("a"), body(""));
    assert_eq!(desk.reader.body(key("a")).unwrap(), None);
    assert_eq!(desk.agenda()[0].details.body_preview, None);
}

#[test]
fn a_row_that_leaves_the_window_takes_no_deletion_along() {
    let mut desk = Desk::new();
    desk.pull(vec![single("a", "Lunch")]);
    let n = desk.edit(key("a"), Intent::Delete);
    desk.end(6, Window { from_ms: 50 * DAY_MS, to_ms: 60 * DAY_MS }, true);
    assert_eq!(desk.count("SELECT count(*) FROM event"), 0);
    assert_eq!(desk.next(), Some(n));
}

fn series(desk: &mut Desk) {
    let day = |id, n: i64| Change::Put(record(id, EventKind::Occurrence, "", n * DAY_MS + HOUR));
    let master = Change::Put(record("series", EventKind::Master, "Standup", DAY_MS + HOUR));
    desk.pull_as(Frame { pass: Pass::Full, ..DELTA }, vec![master, day("o1", 1), day("o2", 2)]);
}

#[test]
fn an_edit_of_a_series_shows_on_every_instance_and_on_new_ones() {
    let mut desk = Desk::new();
    series(&mut desk);
    let times = Times {
        start_ms: DAY_MS + 3 * HOUR,
        end_ms: DAY_MS + 5 * HOUR,
        is_all_day: false,
        zone: Some("UTC".to_owned()),
    };
    let fields = Fields { subject: Some("Sit-down".to_owned()), times: Some(times), ..Fields::default() };
    let n = desk.edit(key("series"), Intent::Update(fields));
    assert_eq!(desk.shown(), ["Sit-down update", "Sit-down update"]);
    assert_eq!(desk.agenda()[1].start_ms, 2 * DAY_MS + 3 * HOUR);
    assert_eq!(desk.agenda()[1].end_ms, 2 * DAY_MS + 5 * HOUR);
    desk.pull(vec![Change::Put(record("o3", EventKind::Occurrence, "", 3 * DAY_MS + HOUR))]);
    assert_eq!(desk.shown().len(), 3);
    assert_eq!(desk.agenda()[2].start_ms, 3 * DAY_MS + 3 * HOUR);
    // An instance the server removes goes: the edit was of the series.
    desk.remove("o2");
    assert_eq!(desk.shown(), ["Sit-down update", "Sit-down update"]);
    // An edit of one instance waits for that of its series.
    let own = desk.edit(key("o1"), subject("Review"));
    assert_eq!(desk.shown(), ["Review update", "Sit-down update"]);
    assert_eq!(desk.next(), Some(n));
    let row = record("series", EventKind::Master, "Sit-down", DAY_MS + 3 * HOUR);
    desk.mirror.settle(n, updated(&row), NOW_MS).unwrap();
    assert_eq!(desk.shown(), ["Review update", "Sit-down"]);
    assert_eq!(desk.count("SELECT count(*) FROM hydration WHERE need = 'series'"), 1);
    let edit = desk.mirror.next_edit(NOW_MS).unwrap().unwrap();
    assert_eq!(edit.n, own);
    assert_eq!(edit.base.unwrap().details.unwrap().subject.as_deref(), Some("Sit-down"));
}

#[test]
fn a_series_whose_details_change_there_changes_its_edited_instances() {
    let mut desk = Desk::new();
    series(&mut desk);
    let fields = Fields { location: Some("Roof".to_owned()), ..Fields::default() };
    desk.edit(key("o1"), Intent::Update(fields));
    let changed = record("series", EventKind::Master, "Stand-up", DAY_MS + HOUR);
    desk.pull_as(Frame { pass: Pass::Recheck, ..DELTA }, vec![Change::Put(changed)]);
    assert_eq!(desk.shown(), ["Stand-up update", "Stand-up"]);
}

#[test]
fn a_deleted_series_hides_its_instances_and_goes_with_them() {
    let mut desk = Desk::new();
    series(&mut desk);
    let n = desk.edit(key("series"), Intent::Delete);
    assert_eq!(desk.shown(), Vec::<String>::new());
    desk.mirror.settle(n, Settled::Gone, NOW_MS).unwrap();
    assert_eq!(desk.count("SELECT count(*) FROM event"), 0);
    assert_eq!(desk.count("SELECT count(*) FROM draft"), 0);
}

#[test]
fn the_next_edit_is_the_oldest_that_nothing_holds_back() {
    let mut desk = Desk::new();
    series(&mut desk);
    desk.pull(vec![single("a", "a"), single("b", "b")]);
    assert_eq!((desk.next(), desk.mirror.next_edit_due_ms().unwrap()), (None, None));
    let a1 = desk.edit(key("a"), subject("a1"));
    let a2 = desk.edit(key("a"), subject("a2"));
    let b = desk.edit(key("b"), subject("b1"));
    let o1 = desk.edit(key("o1"), subject("o1"));
    let whole = desk.edit(key("series"), subject("all"));
    let o2 = desk.edit(key("o2"), subject("o2"));
    assert_eq!(desk.next(), Some(a1));
    // A blocked head holds back its own event only.
    desk.mirror.park(a1, &problem("refused", Some(400)), NOW_MS).unwrap();
    assert_eq!(desk.next(), Some(b));
    let later = |next_attempt_ms, is_unclear| Postponed {
        problem: problem("server", Some(503)),
        next_attempt_ms,
        counts: true,
        is_unclear,
    };
    desk.mirror.postpone(b, &later(Some(NOW_MS + 10), false)).unwrap();
    assert_eq!(desk.mirror.edit(b).unwrap().unwrap().attempts, 1);
    assert_eq!(desk.next(), Some(o1));
    assert_eq!(desk.mirror.next_edit(NOW_MS + 10).unwrap().unwrap().n, b);
    desk.mirror.settle(o1, Settled::Dropped, NOW_MS).unwrap();
    assert_eq!(desk.next(), Some(whole), "an edit of the series goes before a later one of an instance");
    // What is unclear comes first, also before older ones that wait.
    desk.mirror.begin_sending(whole, |_| None).unwrap();
    desk.mirror.postpone(b, &later(None, false)).unwrap();
    assert_eq!(desk.next(), Some(whole));
    desk.mirror.postpone(whole, &later(Some(NOW_MS + 50), true)).unwrap();
    assert_eq!(desk.next(), Some(b), "not due yet");
    desk.mirror.settle(b, Settled::Dropped, NOW_MS).unwrap();
    assert_eq!((desk.next(), desk.mirror.next_edit_due_ms().unwrap()), (None, Some(NOW_MS + 50)));
    // A clock that was put back far does not make it wait for ever.
    assert_eq!(desk.mirror.next_edit(NOW_MS - 3 * DAY_MS).unwrap().unwrap().n, whole);
    desk.mirror.unsend(whole).unwrap();
    desk.mirror.settle(whole, Settled::Dropped, NOW_MS).unwrap();
    assert_eq!(desk.next(), Some(o2));
    let counts = desk.mirror.outbox_counts().unwrap();
    assert_eq!((counts.waiting, counts.sending, counts.parked), (2, 0, 1));
    assert_eq!(desk.reader.outbox_counts().unwrap(), counts);
    let session = desk.editor.begin(NOW_MS).unwrap();
    assert!(session.retry(a1).unwrap());
    session.commit().unwrap();
    assert_eq!(desk.next(), Some(a1));
    assert_eq!(desk.mirror.edit(a2).unwrap().unwrap().state, EditState::Waiting);
}

#[test]
fn a_parked_edit_of_an_instance_holds_back_neither_its_series_nor_the_others() {
    let mut desk = Desk::new();
    series(&mut desk);
    let o1 = desk.edit(key("o1"), subject("o1"));
    let whole = desk.edit(key("series"), subject("all"));
    let again = desk.edit(key("o1"), Intent::Delete);
    let o2 = desk.edit(key("o2"), subject("o2"));
    desk.mirror.park(o1, &problem("refused", Some(400)), NOW_MS).unwrap();
    assert_eq!(desk.next(), Some(whole));
    desk.mirror.park(whole, &problem("refused", Some(400)), NOW_MS).unwrap();
    assert_eq!(desk.next(), Some(o2));
    assert!(again > o1, "and waits for the one before it");
}

#[test]
fn a_retry_looks_up_what_may_have_landed_and_never_touches_a_conflict() {
    let mut desk = Desk::new();
    desk.pull(vec![single("a", "a")]);
    let n = desk.edit(key("a"), subject("b"));
    let table = [
        (problem("refused", Some(400)), Some(EditState::Waiting)),
        (problem("server", Some(503)), Some(EditState::Sending)),
        (problem("unclear", Some(412)), Some(EditState::Sending)),
        (problem("needs_confirmation", None), Some(EditState::Waiting)),
        (problem("conflict", None), None),
    ];
    for (why, expected) in table {
        desk.mirror.unsend(n).unwrap();
        desk.mirror.park(n, &why, NOW_MS).unwrap();
        let session = desk.editor.begin(NOW_MS).unwrap();
        assert_eq!(session.retry(n).unwrap(), expected.is_some(), "{why:?}");
        let edit = session.edit(n).unwrap().unwrap();
        assert_eq!(edit.state, expected.unwrap_or(EditState::Parked), "{why:?}");
        session.commit().unwrap();
    }
}

#[test]
fn a_conflict_keeps_both_versions_and_what_is_left_is_sent_or_waits() {
    let mut desk = Desk::new();
    desk.pull(vec![single("a", "base")]);
    let n = desk.edit(key("a"), subject("mine"));
    let theirs = record("a", EventKind::Single, "theirs", HOUR);
    let clash =
        || Clash { name: "subject", base: "base".into(), mine: "mine".into(), theirs: "theirs".into() };
    let new = |resolution| NewConflict {
        kind: ConflictKind::BothChanged,
        theirs: Some(Box::new(theirs.clone())),
        clashes: vec![clash()],
        resolution,
    };
    let asked = desk.mirror.clash(n, &new(None), None, NOW_MS).unwrap();
    let event = desk.reader.event(key("a")).unwrap().unwrap();
    assert!(event.is_in_conflict);
    assert_eq!(event.details.subject.as_deref(), Some("mine"));
    assert_eq!(desk.text("SELECT subject || conflict FROM v1_events"), "theirs1");
    assert_eq!((desk.next(), desk.reader.outbox_counts().unwrap().conflicts), (None, 1));
    let row = desk.reader.conflict(asked).unwrap().unwrap();
    assert_eq!((row.mine, row.outbox_n, row.resolution), (subject("mine"), Some(n), None));
    assert_eq!(row.clashes[0].theirs, "theirs");
    let name = desk.text("SELECT fields ->> '$[0].name' || kind FROM v1_conflicts");
    assert_eq!(name, "subjectboth_changed");
    // The user keeps theirs.
    let session = desk.editor.begin(NOW_MS).unwrap();
    session.set_resolution(asked, Keep::Theirs).unwrap();
    session.drop_edits(&[n]).unwrap();
    session.redraw(key("a")).unwrap();
    session.commit().unwrap();
    assert_eq!(desk.shown(), ["theirs"]);
    // A policy decides at once: what does not clash is still sent.
    let n = desk.edit(key("a"), subject("mine"));
    let rest = Fields { location: Some("there".to_owned()), ..Fields::default() };
    desk.mirror.clash(n, &new(Some(Keep::Theirs)), Some(&rest), NOW_MS).unwrap();
    assert_eq!(desk.mirror.next_edit(NOW_MS).unwrap().unwrap().intent, Intent::Update(rest));
    assert_eq!(desk.shown(), ["theirs update"]);
    desk.mirror.clash(n, &new(Some(Keep::Theirs)), None, NOW_MS).unwrap();
    assert_eq!((desk.shown(), desk.reader.conflicts().unwrap().len()), (vec!["theirs".to_owned()], 3));
}

#[cfg(feature = "emulator")]
#[test]
fn a_kill_between_two_commits_leaves_an_edit_as_it_was_before_the_second() {
    let mut desk = Desk::new();
    let n = desk.edit(LOCAL, create("Dentist"));
    let row = made("remote", &desk.mirror.edit(n).unwrap().unwrap());
    desk.mirror.break_after(1);
    desk.mirror.begin_sending(n, |_| Some(b"body".to_vec())).unwrap();
    assert!(desk.mirror.settle(n, created(&row), NOW_MS).is_err());
    assert!(desk.mirror.park(n, &problem("refused", Some(400)), NOW_MS).is_err());
    desk.mirror.break_never();
    let edit = desk.mirror.next_edit(NOW_MS).unwrap().unwrap();
    assert_eq!((edit.state, edit.body.as_deref()), (EditState::Sending, Some(&b"body"[..])));
    assert_eq!(desk.mirror.local_key(&RemoteId::new("remote")), key("remote"));
    assert_eq!(desk.shown(), ["Dentist create"]);
}

#[test]
fn an_edit_that_is_not_committed_has_never_been() {
    let mut desk = Desk::new();
    desk.pull(vec![single("a", "Lunch")]);
    let feed = desk.feed();
    let session = desk.editor.begin(NOW_MS).unwrap();
    let calendar = session.calendar(None).unwrap().unwrap();
    let new = NewEdit {
        event: key("a"),
        series: None,
        calendar: calendar.key,
        calendar_remote: calendar.remote_id,
        remote: None,
        intent: subject("never"),
        base: None,
        fields: vec!["subject"],
        body: None,
        transaction_id: None,
        notifies: 0,
    };
    session.put(&new).unwrap();
    session.redraw(key("a")).unwrap();
    drop(session);
    assert_eq!((desk.shown(), desk.feed()), (vec!["Lunch".to_owned()], feed));
}

#[test]
fn folding_into_an_edit_makes_it_new_and_one_under_way_is_left_alone() {
    let mut desk = Desk::new();
    desk.pull(vec![single("a", "Lunch")]);
    let n = desk.edit(key("a"), subject("Late lunch"));
    desk.mirror.park(n, &problem("refused", Some(400)), NOW_MS).unwrap();
    let intent = subject("Early lunch");
    let to = Replacement { intent: &intent, fields: &["subject"], notifies: 2, body: None };
    let session = desk.editor.begin(NOW_MS).unwrap();
    session.replace(n, &to).unwrap();
    session.redraw(key("a")).unwrap();
    session.commit().unwrap();
    let edit = desk.reader.edit(n).unwrap().unwrap();
    assert_eq!((edit.state, edit.problem, edit.notifies, edit.attempts), (EditState::Waiting, None, 2, 0));
    assert_eq!(desk.shown(), ["Early lunch update"]);
    desk.mirror.begin_sending(n, |_| None).unwrap();
    assert!(desk.editor.begin(NOW_MS).unwrap().replace(n, &to).is_err());
}

#[test]
fn a_target_tells_what_an_edit_needs_to_know() {
    let mut desk = Desk::new();
    series(&mut desk);
    desk.edit(LOCAL, create("Dentist"));
    desk.edit(key("series"), subject("Sit-down"));
    desk.edit(key("o1"), subject("Review"));
    let session = desk.editor.begin(NOW_MS).unwrap();
    let target = |key| session.target(key).unwrap();
    assert_eq!(target(key("nobody")), None);
    let made = target(LOCAL).unwrap();
    assert_eq!((made.record.is_some(), made.is_series, made.edits.len()), (false, false, 1));
    assert_eq!(made.shown.unwrap().details.unwrap().subject.as_deref(), Some("Dentist"));
    let whole = target(key("series")).unwrap();
    assert!(whole.is_series);
    assert_eq!(whole.edits.len(), 2, "its own and its instance's");
    let subject = |record: EventRecord| record.details.unwrap().subject;
    assert_eq!(subject(whole.record.unwrap()).as_deref(), Some("Standup"));
    assert_eq!(subject(whole.shown.unwrap()).as_deref(), Some("Sit-down"));
    let one = target(key("o1")).unwrap();
    assert_eq!((one.series, one.edits.len()), (Some(key("series")), 2));
    assert_eq!(subject(one.record.unwrap()).as_deref(), Some("Standup"));
    assert_eq!(subject(one.shown.unwrap()).as_deref(), Some("Review"));
    let other = target(key("o2")).unwrap();
    assert_eq!(subject(other.shown.unwrap()).as_deref(), Some("Sit-down"));
}

#[test]
fn drafts_are_found_by_words_by_prefix_and_among_what_comes_next() {
    let mut desk = Desk::new();
    desk.pull(vec![
        single("a", "Lunch"),
        Change::Put(record("b", EventKind::Single, "Tea", 2 * HOUR)),
        Change::Put(record("c", EventKind::Single, "Talk", 5 * HOUR)),
    ]);
    while desk.mirror.index_text().unwrap() {}
    desk.edit(key("a"), subject("Größe"));
    desk.edit(LOCAL, create("Dentist"));
    desk.edit(key("b"), Intent::Delete);
    let search = |text| {
        let question = Question { text, window: WINDOW, calendars: &[], limit: 9, near_ms: 0 };
        let found = desk.reader.search(&question).unwrap();
        found.into_iter().filter_map(|event| event.details.subject).collect::<Vec<_>>()
    };
    assert_eq!(search("große"), ["Größe"]);
    assert_eq!(search("GROSSE"), Vec::<String>::new());
    assert_eq!(search("größe"), ["Größe"]);
    assert_eq!(search("lunch"), Vec::<String>::new(), "what it was is not there any more");
    assert_eq!(search("tea"), Vec::<String>::new());
    assert_eq!(search("dent"), ["Dentist"]);
    assert_eq!(search("talk"), ["Talk"]);
    let next = |count| {
        let window = Window { from_ms: 0, to_ms: WINDOW.to_ms };
        let mut found = desk.reader.next(window, &[], count).unwrap();
        found.sort_by_key(|event| (event.start_ms, event.details.subject.clone()));
        found.into_iter().filter_map(|event| event.details.subject).collect::<Vec<_>>()
    };
    assert_eq!(next(1), ["Dentist", "Größe"]);
    assert_eq!(next(3), ["Dentist", "Größe", "Talk"]);
    let Found::One(event) = desk.reader.event_by_prefix("0707").unwrap() else { panic!("not found") };
    assert_eq!(event.key, LOCAL);
    assert_eq!(desk.reader.overlapping(WINDOW, &[key("elsewhere")]).unwrap(), []);
    assert_eq!(desk.reader.overlapping(WINDOW, &[key("home")]).unwrap().len(), 3);
}

#[test]
fn an_engine_and_a_door_write_at_the_same_time_and_nothing_is_lost() {
    const EACH: usize = 60;
    let desk = Desk::new();
    let path = desk.path();
    let Desk { mut mirror, dir, .. } = desk;
    let door = std::thread::spawn(move || {
        let mut editor = Editor::open(&path).unwrap();
        for n in 0..EACH {
            let session = editor.begin(NOW_MS).unwrap();
            let calendar = session.calendar(None).unwrap().unwrap();
            let event = Key::of_remote(&format!("local {n}"));
            let new = NewEdit {
                event,
                series: None,
                calendar: calendar.key,
                calendar_remote: calendar.remote_id,
                remote: None,
                intent: create("made"),
                base: None,
                fields: vec!["subject"],
                body: None,
                transaction_id: None,
                notifies: 0,
            };
            session.put(&new).unwrap();
            session.redraw(event).unwrap();
            session.commit().unwrap();
        }
    });
    for n in 0..EACH {
        let incoming = prepare(vec![single(&format!("row {n}"), "pulled")], Pass::Delta);
        let stored = mirror.stored(incoming.iter().map(Incoming::key)).unwrap();
        mirror.commit_page(&plan(DELTA, incoming, &stored), &Cursor::Keep, NOW_MS).unwrap();
    }
    door.join().unwrap();
    let reader = Reader::open(&dir.path().join("mirror.db")).unwrap();
    assert_eq!(reader.overlapping(WINDOW, &[]).unwrap().len(), 2 * EACH);
    assert_eq!(reader.outbox().unwrap().len(), EACH);
}

#[test]
fn the_views_say_in_plain_sql_what_the_readers_say() {
    let mut desk = Desk::new();
    desk.pull(vec![single("a", "Lunch"), single("b", "Tea"), single("c", "Talk")]);
    desk.edit(key("a"), subject("Late lunch"));
    desk.edit(key("b"), Intent::Delete);
    let n = desk.edit(key("c"), Intent::Cancel { comment: "sorry".to_owned() });
    desk.edit(LOCAL, create("Dentist"));
    desk.mirror.park(n, &problem("refused", Some(403)), NOW_MS).unwrap();
    let shown = desk.text(
        "SELECT group_concat(subject || ' ' || pending, ', ' ORDER BY subject) FROM v1_agenda \
         WHERE start_ms >= 0 AND start_ms < 1e12",
    );
    assert_eq!(shown, "Dentist create, Late lunch update, Talk delete");
    assert_eq!(
        desk.text("SELECT group_concat(op || fields, ' ' ORDER BY n) FROM v1_outbox"),
        r#"update["subject"] delete[] delete["cancelled"] create["subject","start","end","all_day"]"#
    );
    assert_eq!(
        desk.text("SELECT event || state || last_problem_kind || last_problem_status FROM v1_outbox WHERE state = 'parked'"),
        format!("{}parkedrefused403", key("c"))
    );
    assert_eq!(desk.count("SELECT count(*) FROM v1_events"), 3);
}

#[test]
fn reminders_are_kept_by_occurrence_until_they_are_old() {
    let mut desk = Desk::new();
    let session = desk.editor.begin(NOW_MS).unwrap();
    session.put_reminder(key("old"), -100 * DAY_MS, None).unwrap();
    session.put_reminder(key("a"), HOUR, Some(HOUR / 2)).unwrap();
    session.put_reminder(key("a"), HOUR, None).unwrap();
    session.put_reminder(key("b"), HOUR, None).unwrap();
    session.clear_reminder(key("b")).unwrap();
    session.commit().unwrap();
    let row = ReminderRow { event: key("a"), start_ms: HOUR, until_ms: None, at_ms: NOW_MS };
    assert_eq!(desk.reader.reminders().unwrap(), [row]);
}

#[test]
fn the_outbox_takes_no_more_than_its_limit() {
    let mut desk = Desk::new();
    desk.mirror
        .conn
        .execute(
            "WITH RECURSIVE k (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < ?1)
             INSERT INTO outbox (event_key, calendar_key, calendar_remote_id, action, intent, fields, state, notifies,
                 created_at_ms)
             SELECT randomblob(16), zeroblob(16), 'home', 'delete', '\"delete\"', '[]', 'waiting', 0, 0 FROM k",
            [OPEN_EDITS_MAX],
        )
        .unwrap();
    let session = desk.editor.begin(NOW_MS).unwrap();
    assert_eq!(session.open_edits_count().unwrap(), OPEN_EDITS_MAX);
    let calendar = session.calendar(None).unwrap().unwrap();
    let new = NewEdit {
        event: LOCAL,
        series: None,
        calendar: calendar.key,
        calendar_remote: calendar.remote_id,
        remote: None,
        intent: create("one more"),
        base: None,
        fields: vec![],
        body: None,
        transaction_id: None,
        notifies: 0,
    };
    assert!(matches!(session.put(&new), Err(MirrorError::OutboxFull { max: OPEN_EDITS_MAX })));
}

#[test]
fn no_query_of_the_outbox_reads_a_table_for_each_row() {
    let desk = Desk::new();
    let plan = |sql: &str| -> Vec<String> {
        let mut statement = desk.mirror.conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
        let rows = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get(3)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    for sql in outbox::PLANNED.iter().chain(draft::PLANNED) {
        for step in plan(sql) {
            assert!(
                !step.starts_with("SCAN") || step == "SCAN CONSTANT ROW" || step.contains("COVERING INDEX"),
                "{step} in {sql}"
            );
            assert!(!step.contains("TEMP B-TREE FOR ORDER BY") || sql.contains("UNION"), "{step} in {sql}");
        }
    }
}

#[test]
fn a_file_of_the_last_program_is_read_as_it_is_and_brought_up_by_the_next_engine() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mirror.db");
    open::make_of_version(&path, 2);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.overlapping(WINDOW, &[]).unwrap(), []);
    assert_eq!((reader.outbox().unwrap(), reader.conflicts().unwrap()), (vec![], vec![]));
    assert_eq!(
        (reader.outbox_counts().unwrap(), reader.reminders().unwrap()),
        (OutboxCounts::default(), vec![])
    );
    let found = Editor::open(&path).unwrap_err();
    assert!(matches!(found, MirrorError::Outdated { found: 2, known: schema::KNOWN, .. }), "{found}");
    let (mut mirror, opening) = Mirror::open(&path, NOW_MS).unwrap();
    assert_eq!(opening, Opening::Continued);
    mirror.put_calendars(&[calendar()], NOW_MS).unwrap();
    let editor = Editor::open(&path).unwrap();
    // The reader from before sees edits, too.
    let mut desk = Desk { mirror, editor, reader, dir };
    desk.edit(LOCAL, create("Dentist"));
    assert_eq!(desk.shown(), ["Dentist create"]);
}
