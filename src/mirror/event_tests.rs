use super::*;
use crate::merge::{RemovalVerdict, plan, prepare};
use crate::mirror::{RoundEnd, RoundPlace};
use crate::model::{CalendarRecord, Change, Importance, Link, Response, Sensitivity, ShowAs, Window};

const NOW_MS: i64 = 1_000_000;
const WINDOW: Window = Window { from_ms: 0, to_ms: 100_000_000 };

struct Desk {
    mirror: Mirror,
    _dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let (mut mirror, _) = Mirror::open(&dir.path().join("mirror.db"), 0).unwrap();
        let listing: Vec<_> = ["home", "work"].into_iter().map(calendar).collect();
        mirror.put_calendars(&listing, NOW_MS).unwrap();
        Desk { mirror, _dir: dir }
    }

    fn commit(&mut self, frame: Frame, changes: Vec<Change>) -> Committed {
        let incoming = prepare(changes, frame.pass);
        let stored = self.mirror.stored(incoming.iter().map(crate::merge::Incoming::key)).unwrap();
        let plan = plan(frame, incoming, &stored);
        self.mirror.commit_page(&plan, &Cursor::Keep, NOW_MS).unwrap()
    }

    fn end(&mut self, generation: i64, verdict: RemovalVerdict) -> crate::mirror::Ended {
        let place = RoundPlace { calendar_id: 1, generation, window: WINDOW };
        let link = Link::new("https://h/delta");
        let end = RoundEnd { place, is_full: false, delta_link: Some(&link), skipped: 0, unproven: &[] };
        self.mirror.end_round(&end, verdict, NOW_MS).unwrap()
    }

    fn count(&self, sql: &str) -> i64 {
        self.mirror.conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn calendar(id: &str) -> CalendarRecord {
    CalendarRecord {
        remote_id: RemoteId::new(id),
        name: id.to_owned(),
        color: None,
        owner_name: None,
        owner_address: None,
        is_default: id == "home",
        can_edit: true,
    }
}

fn details(subject: &str) -> Details {
    Details {
        ical_uid: None,
        subject: Some(subject.to_owned()),
        body: Some("the whole body".to_owned()),
        body_preview: Some("the whole".to_owned()),
        location: None,
        is_all_day: false,
        is_cancelled: false,
        is_organizer: true,
        show_as: ShowAs::Busy,
        sensitivity: Sensitivity::Normal,
        importance: Importance::Normal,
        response: Response::Organizer,
        categories: vec!["Blue".to_owned()],
        organizer: None,
        attendees: vec![],
        reminder_minutes: Some(0),
        online_meeting: None,
        web_link: None,
        original_time_zone: None,
        transaction_id: None,
    }
}

fn record(id: &str, kind: EventKind, subject: &str) -> EventRecord {
    EventRecord {
        remote_id: RemoteId::new(id),
        kind,
        change_key: Some("v1".to_owned()),
        series: matches!(kind, EventKind::Occurrence | EventKind::Exception).then(|| RemoteId::new("series")),
        start_ms: 5_000,
        end_ms: 6_000,
        original_start_ms: None,
        modified_ms: None,
        details: (kind != EventKind::Occurrence).then(|| Box::new(details(subject))),
    }
}

fn single(id: &str) -> Change {
    Change::Put(record(id, EventKind::Single, id))
}

const DELTA: Frame = Frame { calendar_id: 1, generation: 4, pass: Pass::Delta };

#[test]
fn a_page_replayed_changes_nothing_and_tells_nobody() {
    let mut desk = Desk::new();
    let page = vec![single("a"), single("b")];
    assert_eq!(desk.commit(DELTA, page.clone()).inserted, 2);
    assert_eq!(desk.commit(DELTA, page), Committed::default());
    assert_eq!(desk.count("SELECT count(*) FROM change"), 2);
    assert_eq!(desk.count("SELECT count(*) FROM event_body"), 2);
}

#[test]
fn a_version_that_rotates_alone_is_no_change() {
    let mut desk = Desk::new();
    desk.commit(DELTA, vec![single("a")]);
    let mut rotated = record("a", EventKind::Single, "a");
    rotated.change_key = Some("v2".to_owned());
    let committed = desk.commit(DELTA, vec![Change::Put(rotated)]);
    assert_eq!((committed.rekeyed, committed.rewritten), (1, 0));
    assert_eq!(desk.count("SELECT count(*) FROM change"), 1);
    assert_eq!(desk.count("SELECT count(*) FROM event WHERE change_key = 'v2'"), 1);
}

#[test]
fn an_occurrence_before_its_master_waits_for_it_and_then_tells_again() {
    let mut desk = Desk::new();
    desk.commit(DELTA, vec![Change::Put(record("o", EventKind::Occurrence, ""))]);
    assert_eq!(desk.count("SELECT count(*) FROM hydration WHERE need = 'series'"), 1);
    let feed = desk.count("SELECT count(*) FROM change");
    let recheck = Frame { pass: Pass::Recheck, ..DELTA };
    desk.commit(recheck, vec![Change::Put(record("series", EventKind::Master, "Standup"))]);
    assert_eq!(desk.count("SELECT count(*) FROM change"), feed + 1);
    assert_eq!(desk.count("SELECT count(*) FROM event WHERE kind = 'master' AND is_present = 1"), 1);
    assert_eq!(desk.count("SELECT count(*) FROM event WHERE kind = 'occurrence' AND subject IS NULL"), 1);
}

#[test]
fn a_master_on_the_page_of_its_occurrences_needs_no_fetching() {
    for master_first in [true, false] {
        let mut desk = Desk::new();
        let mut page = vec![
            Change::Put(record("o", EventKind::Occurrence, "")),
            Change::Put(record("series", EventKind::Master, "Standup")),
        ];
        if master_first {
            page.reverse();
        }
        desk.commit(Frame { pass: Pass::Full, ..DELTA }, page);
        assert_eq!(desk.count("SELECT count(*) FROM hydration"), 0, "master first: {master_first}");
        assert_eq!(desk.count("SELECT count(*) FROM event WHERE kind = 'master' AND is_present = 1"), 1);
    }
}

#[test]
fn an_event_that_moves_between_calendars_keeps_its_row_and_is_not_removed_by_the_old_one() {
    let mut desk = Desk::new();
    let later = Frame { calendar_id: 2, generation: 9, pass: Pass::Delta };
    desk.commit(later, vec![single("a")]);
    // Into the calendar with the older generation, and only then the tombstone of the newer one.
    desk.commit(DELTA, vec![single("a")]);
    desk.commit(later, vec![Change::Gone(RemoteId::new("a"))]);
    assert_eq!(desk.count("SELECT count(*) FROM removal"), 0);
    assert_eq!(desk.count("SELECT calendar_id FROM event"), 1);
    // The calendar that has it now may remove it.
    desk.commit(DELTA, vec![Change::Gone(RemoteId::new("a"))]);
    assert_eq!(desk.end(4, RemovalVerdict::Apply).removed, 1);
}

#[test]
fn a_removal_waits_for_the_end_of_the_round_and_a_new_delivery_ends_it() {
    let mut desk = Desk::new();
    desk.commit(DELTA, vec![single("a"), single("b")]);
    desk.commit(DELTA, vec![Change::Gone(RemoteId::new("a")), Change::Gone(RemoteId::new("b"))]);
    assert_eq!(desk.count("SELECT count(*) FROM event"), 2);
    desk.commit(DELTA, vec![single("b")]);
    assert_eq!(desk.end(4, RemovalVerdict::Apply).removed, 1);
    assert_eq!(desk.count("SELECT count(*) FROM event"), 1);
    assert_eq!(desk.count("SELECT count(*) FROM change WHERE what = 'remove'"), 1);
    assert_eq!(desk.count("SELECT count(*) FROM event_body"), 1);
}

#[test]
fn held_removals_stay_visible_until_accepted_or_delivered_again() {
    let mut desk = Desk::new();
    desk.commit(DELTA, vec![single("a"), single("b")]);
    desk.commit(DELTA, vec![Change::Gone(RemoteId::new("a")), Change::Gone(RemoteId::new("b"))]);
    assert_eq!(desk.end(4, RemovalVerdict::Hold).held, 2);
    assert_eq!(desk.mirror.count_held().unwrap(), 2);
    assert_eq!(desk.count("SELECT count(*) FROM event"), 2);
    desk.commit(DELTA, vec![single("b")]);
    assert_eq!(desk.mirror.count_held().unwrap(), 1);
    assert_eq!(desk.mirror.accept_removals(1, NOW_MS).unwrap(), 1);
    assert_eq!(desk.count("SELECT count(*) FROM event"), 1);
}

#[test]
fn a_series_that_is_gone_takes_its_instances_along() {
    let mut desk = Desk::new();
    let full = Frame { pass: Pass::Full, ..DELTA };
    desk.commit(
        full,
        vec![
            Change::Put(record("series", EventKind::Master, "Standup")),
            Change::Put(record("o", EventKind::Occurrence, "")),
            Change::Put(record("x", EventKind::Exception, "Standup, later")),
        ],
    );
    let recheck = Frame { pass: Pass::Recheck, ..DELTA };
    desk.commit(recheck, vec![Change::Gone(RemoteId::new("series"))]);
    assert_eq!(desk.end(4, RemovalVerdict::Apply).removed, 2);
    assert_eq!(desk.count("SELECT count(*) FROM event"), 0);
}

#[test]
fn an_id_that_comes_back_is_the_same_id() {
    let mut desk = Desk::new();
    desk.commit(DELTA, vec![single("a")]);
    let before: Vec<u8> = desk.mirror.conn.query_row("SELECT key FROM event", [], |row| row.get(0)).unwrap();
    desk.commit(DELTA, vec![Change::Gone(RemoteId::new("a"))]);
    desk.end(4, RemovalVerdict::Apply);
    desk.commit(DELTA, vec![single("a")]);
    let after: Vec<u8> = desk.mirror.conn.query_row("SELECT key FROM event", [], |row| row.get(0)).unwrap();
    assert_eq!(before, after);
}

#[test]
fn the_text_index_follows_rows_in_and_out() {
    let mut desk = Desk::new();
    desk.commit(DELTA, vec![Change::Put(record("a", EventKind::Single, "Größe"))]);
    while desk.mirror.index_text().unwrap() {}
    let hits = "SELECT count(*) FROM event_text WHERE event_text MATCH 'grosse OR groß* OR große'";
    assert_eq!(desk.count("SELECT count(*) FROM text_queue"), 0);
    assert_eq!(
        desk.count("SELECT count(*) FROM event_text WHERE event_text MATCH 'große OR größe'"),
        1,
        "{hits}"
    );
    desk.commit(DELTA, vec![Change::Gone(RemoteId::new("a"))]);
    desk.end(4, RemovalVerdict::Apply);
    assert_eq!(desk.count("SELECT count(*) FROM event_text WHERE event_text MATCH 'größe'"), 0);
}

#[test]
fn folding_the_feed_keeps_the_newest_row_of_each_event_and_waits_until_it_is_worth_it() {
    let mut desk = Desk::new();
    for n in 0..5 {
        desk.commit(DELTA, vec![Change::Put(record("a", EventKind::Single, &format!("{n}")))]);
    }
    desk.commit(DELTA, vec![single("b")]);
    desk.mirror.fold_feed().unwrap();
    assert_eq!(desk.count("SELECT count(*) FROM change"), 6, "a short feed is left alone");
    desk.mirror.conn.execute("UPDATE account SET folded_seq = -200000", []).unwrap();
    desk.mirror.fold_feed().unwrap();
    assert_eq!(desk.count("SELECT count(*) FROM change"), 2);
    assert_eq!(desk.count("SELECT max(seq) FROM change"), 6);
}

#[test]
fn rows_that_name_each_other_or_a_single_as_their_series_can_all_go() {
    let mut desk = Desk::new();
    let of = |id: &str, series: &str| {
        let mut row = record(id, EventKind::Occurrence, "");
        row.series = Some(RemoteId::new(series));
        Change::Put(row)
    };
    let full = Frame { pass: Pass::Full, ..DELTA };
    desk.commit(full, vec![single("s"), of("o", "s"), of("x", "y"), of("y", "x"), of("z", "z")]);
    desk.mirror.remove_calendar(1, NOW_MS).unwrap();
    assert_eq!(desk.count("SELECT count(*) FROM event"), 0);
}

#[test]
fn a_window_that_rolls_past_a_row_others_refer_to_goes_on() {
    let mut desk = Desk::new();
    let mut row = record("o", EventKind::Occurrence, "");
    row.series = Some(RemoteId::new("s"));
    row.start_ms = 50_000;
    row.end_ms = 60_000;
    let full = Frame { pass: Pass::Full, ..DELTA };
    desk.commit(full, vec![single("s"), Change::Put(row.clone())]);
    let later = Frame { generation: 8, ..full };
    desk.commit(later, vec![Change::Put(row)]);
    let window = Window { from_ms: 20_000, to_ms: 100_000 };
    let place = RoundPlace { calendar_id: 1, generation: 8, window };
    let end = RoundEnd { place, is_full: true, delta_link: None, skipped: 0, unproven: &[] };
    desk.mirror.end_round(&end, RemovalVerdict::Apply, NOW_MS).unwrap();
    assert_eq!(desk.count("SELECT count(*) FROM event"), 1);
}
