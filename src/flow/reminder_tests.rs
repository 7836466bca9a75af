//! Told once, whatever happens between.

use super::*;
use crate::merge::{Frame, Incoming, Pass, plan, prepare};
use crate::mirror::{Cursor, Mirror};
use crate::model::{
    CalendarRecord, Change, Details, EventKind, EventRecord, EventView, Importance, RemoteId, Sensitivity,
    ShowAs,
};
use crate::zones::Zones;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
const START_MS: i64 = 100 * HOUR_MS;

fn details(reminder_minutes: Option<i32>) -> Details {
    Details {
        ical_uid: None,
        subject: None,
        body: None,
        body_preview: None,
        location: None,
        is_all_day: false,
        is_cancelled: false,
        is_organizer: true,
        show_as: ShowAs::Busy,
        sensitivity: Sensitivity::Normal,
        importance: Importance::Normal,
        response: Response::Organizer,
        categories: Vec::new(),
        organizer: None,
        attendees: Vec::new(),
        reminder_minutes,
        online_meeting: None,
        web_link: None,
        original_time_zone: None,
        transaction_id: None,
    }
}

fn entry(reminder_minutes: Option<i32>) -> Entry {
    let event = EventView {
        key: Key::of_remote("a"),
        calendar: Key::of_remote("c"),
        kind: EventKind::Single,
        series: None,
        remote_id: None,
        change_key: None,
        start_ms: START_MS,
        end_ms: START_MS + HOUR_MS,
        details: Box::new(details(reminder_minutes)),
        is_unconfirmed: false,
        pending: None,
        is_in_conflict: false,
    };
    agenda::place(event, &|ms| ms)
}

#[test]
fn a_reminder_stands_where_its_event_and_the_user_put_it() {
    use ReminderState::{Due, Snoozed, Upcoming};
    let row = |start_ms, until_ms| ReminderRow { event: Key::of_remote("a"), start_ms, until_ms, at_ms: 0 };
    let lead_ms = HOUR_MS / 4;
    type Row = (&'static str, Option<i32>, Option<ReminderRow>, i64, Option<(i64, ReminderState)>);
    let rows: Vec<Row> = vec![
        ("none", None, None, START_MS, None),
        ("none is not zero", Some(0), None, START_MS - 1, Some((START_MS, Upcoming))),
        ("at its start", Some(0), None, START_MS, Some((START_MS, Due))),
        ("ahead", Some(15), None, START_MS - lead_ms, Some((START_MS - lead_ms, Due))),
        ("not yet", Some(15), None, START_MS - lead_ms - 1, Some((START_MS - lead_ms, Upcoming))),
        ("while it runs", Some(15), None, START_MS + HOUR_MS - 1, Some((START_MS - lead_ms, Due))),
        ("over", Some(15), None, START_MS + HOUR_MS, None),
        ("put off", Some(15), Some(row(START_MS, Some(9))), 8, Some((9, Snoozed))),
        (
            "put off and due, also when over",
            Some(15),
            Some(row(START_MS, Some(9))),
            START_MS * 2,
            Some((9, Due)),
        ),
        ("done with", Some(15), Some(row(START_MS, None)), START_MS, None),
        ("moved since", Some(0), Some(row(1, None)), START_MS, Some((START_MS, Due))),
    ];
    for (name, minutes, put_off, now_ms, expected) in rows {
        let found = judge(entry(minutes), put_off.as_ref(), now_ms);
        assert_eq!(found.map(|found| (found.due_ms, found.state)), expected, "{name}");
    }
    let mut declined = entry(Some(0));
    declined.event.details.response = Response::Declined;
    assert_eq!(judge(declined, None, START_MS), None);
    // Without length it would be over before anybody hears of it.
    let mut short = entry(Some(0));
    short.end_ms = START_MS;
    assert_eq!(judge(short.clone(), None, START_MS + SHORT_MS - 1).unwrap().state, Due);
    assert_eq!(judge(short, None, START_MS + SHORT_MS), None);
}

/// A mirror with one calendar.
struct Desk {
    mirror: Mirror,
    dir: tempfile::TempDir,
    zone: Zone,
}

impl Desk {
    fn new() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let (mut mirror, _) = Mirror::open(&dir.path().join("mirror.db"), 0).unwrap();
        let calendar = CalendarRecord {
            remote_id: RemoteId::new("home"),
            name: "home".to_owned(),
            color: None,
            owner_name: None,
            owner_address: None,
            is_default: true,
            can_edit: true,
        };
        mirror.put_calendars(&[calendar], 0).unwrap();
        Desk { mirror, dir, zone: Zones::bundled().resolve("Europe/Berlin").unwrap() }
    }

    fn put(&mut self, id: &str, start_ms: i64, minutes: Option<i32>, more: impl FnOnce(&mut EventRecord)) {
        let mut record = EventRecord {
            remote_id: RemoteId::new(id),
            change_key: None,
            kind: EventKind::Single,
            series: None,
            original_start_ms: None,
            modified_ms: None,
            start_ms,
            end_ms: start_ms + HOUR_MS,
            details: Some(Box::new(details(minutes))),
        };
        more(&mut record);
        let frame = Frame { calendar_id: 1, generation: 1, pass: Pass::Delta };
        let incoming = prepare(vec![Change::Put(record)], frame.pass);
        let stored = self.mirror.stored(incoming.iter().map(Incoming::key)).unwrap();
        self.mirror.commit_page(&plan(frame, incoming, &stored), &Cursor::Keep, 0).unwrap();
    }

    fn put_off(&self, id: &str, start_ms: i64, until_ms: Option<i64>) {
        let mut editor = self.editor();
        let session = editor.begin(0).unwrap();
        session.put_reminder(Key::of_remote(id), start_ms, until_ms).unwrap();
        session.commit().unwrap();
    }

    fn editor(&self) -> Editor {
        Editor::open(&self.dir.path().join("mirror.db")).unwrap()
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.dir.path().join("mirror.db")).unwrap()
    }

    /// Every call has connections of its own, as after a restart.
    fn take(&self, now_ms: i64) -> Vec<Key> {
        let due = take_due(&self.reader(), &mut self.editor(), &self.zone, now_ms).unwrap();
        due.items.into_iter().map(|item| item.entry.event.key).collect()
    }

    fn next(&self, now_ms: i64) -> Option<i64> {
        next_due_ms(&self.reader(), &self.zone, now_ms).unwrap()
    }
}

fn keys(ids: &[&str]) -> Vec<Key> {
    ids.iter().map(|id| Key::of_remote(id)).collect()
}

#[test]
fn what_came_during_sleep_comes_in_one_list_and_once() {
    let mut desk = Desk::new();
    desk.put("over", START_MS - 3 * HOUR_MS, Some(15), |_| {});
    desk.put("none", START_MS, None, |_| {});
    desk.put("b", START_MS + HOUR_MS, Some(90), |_| {});
    desk.put("a", START_MS, Some(15), |_| {});
    desk.put("cancelled", START_MS, Some(0), |record| {
        record.details.as_mut().unwrap().is_cancelled = true;
    });
    desk.put("later", START_MS + 3 * HOUR_MS, Some(0), |_| {});
    assert_eq!(desk.take(START_MS - HOUR_MS), keys(&[]));
    assert_eq!(desk.next(START_MS - HOUR_MS), Some(START_MS - 30 * MINUTE_MS));
    assert_eq!(desk.next(START_MS), Some(START_MS), "what waits is due now");
    assert_eq!(desk.take(START_MS), keys(&["b", "a"]), "by the time they came");
    for now_ms in [START_MS, START_MS - 2 * HOUR_MS, START_MS + HOUR_MS / 2] {
        assert_eq!(desk.take(now_ms), keys(&[]), "also with the clock put back");
    }
    assert_eq!(desk.next(START_MS), Some(START_MS + 3 * HOUR_MS));
    assert_eq!(desk.next(START_MS + 4 * HOUR_MS), None);
}

#[test]
fn a_reminder_comes_anew_when_its_event_moved_or_it_was_put_off_and_not_when_it_was_dismissed() {
    let mut desk = Desk::new();
    desk.put("a", START_MS, Some(15), |_| {});
    assert_eq!(desk.take(START_MS), keys(&["a"]));
    desk.put("a", START_MS, Some(30), |_| {});
    assert_eq!(desk.take(START_MS), keys(&[]), "an earlier reminder of what was told says nothing new");
    desk.put("a", START_MS, Some(5), |_| {});
    assert_eq!(desk.take(START_MS), keys(&["a"]), "a later one does");
    desk.put("a", START_MS + HOUR_MS, Some(5), |_| {});
    assert_eq!(desk.take(START_MS), keys(&[]));
    assert_eq!(desk.take(START_MS + HOUR_MS), keys(&["a"]), "moved");
    desk.put_off("a", START_MS + HOUR_MS, Some(START_MS + 9 * HOUR_MS));
    assert_eq!(desk.next(START_MS + HOUR_MS), Some(START_MS + 9 * HOUR_MS));
    assert_eq!(desk.take(START_MS + 9 * HOUR_MS), keys(&["a"]), "put off, and its event is over");
    assert_eq!(desk.take(START_MS + 10 * HOUR_MS), keys(&[]));
    desk.put("b", START_MS, Some(15), |_| {});
    desk.put_off("b", START_MS, None);
    assert_eq!(desk.take(START_MS), keys(&[]), "dismissed");
}

#[test]
fn an_all_day_event_reminds_before_its_local_midnight() {
    let mut desk = Desk::new();
    let date_ms = 10 * DAY_MS;
    desk.put("day", date_ms, Some(15), |record| {
        record.end_ms = date_ms + DAY_MS;
        record.details.as_mut().unwrap().is_all_day = true;
    });
    // January 1970 in Berlin: an hour ahead.
    let due_ms = date_ms - HOUR_MS - 15 * MINUTE_MS;
    assert_eq!(desk.next(date_ms - DAY_MS), Some(due_ms));
    assert_eq!((desk.take(due_ms - 1), desk.take(due_ms)), (keys(&[]), keys(&["day"])));
    desk.zone = Zones::bundled().resolve("America/New_York").unwrap();
    assert_eq!(desk.take(date_ms + 5 * HOUR_MS), keys(&[]), "a journey tells nothing anew");
}

#[test]
fn of_very_many_reminders_the_rest_is_counted_and_told_too() {
    let mut desk = Desk::new();
    for n in 0..i64::try_from(DUE_MAX).unwrap() + 7 {
        desk.put(&format!("e{n:03}"), START_MS + n, Some(0), |_| {});
    }
    let now_ms = START_MS + HOUR_MS / 2;
    let due = take_due(&desk.reader(), &mut desk.editor(), &desk.zone, now_ms).unwrap();
    assert_eq!((due.items.len(), due.more), (DUE_MAX, 7));
    assert_eq!(due.items.first().unwrap().due_ms, START_MS + 7);
    assert_eq!(desk.take(now_ms), keys(&[]));
    assert_eq!(list(&desk.reader(), &desk.zone, 0, now_ms).unwrap().len(), DUE_MAX + 7, "due all the same");
}
