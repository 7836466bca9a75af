use std::fs;

use super::*;
use crate::mirror::{Editor, NewEdit, Opening, Reader};
use crate::model::{CalendarRecord, Fields, Intent, Key, RemoteId, Times};

const NOW_MS: i64 = 1_000_000;

fn intent(subject: &str) -> Intent {
    let times = Times { start_ms: 5_000, end_ms: 6_000, is_all_day: false, zone: None };
    let body = Some("long ".repeat(200));
    Intent::Create(Fields {
        subject: Some(subject.to_owned()),
        times: Some(times),
        body,
        ..Fields::default()
    })
}

/// A mirror with `count` open creates.
fn fill(path: &Path, count: usize) {
    let (mut mirror, _) = Mirror::open(path, 0).unwrap();
    let calendar = CalendarRecord {
        remote_id: RemoteId::new("home"),
        name: "home".to_owned(),
        color: None,
        owner_name: None,
        owner_address: None,
        is_default: true,
        can_edit: true,
    };
    mirror.put_calendars(&[calendar], NOW_MS).unwrap();
    crate::mirror::alias::put(&mirror.conn, Key::of_remote("remote"), Key::of_remote("local")).unwrap();
    let mut editor = Editor::open(path).unwrap();
    let session = editor.begin(NOW_MS).unwrap();
    for n in 0..count {
        let calendar = session.calendar(None).unwrap().unwrap();
        let event = Key::of_remote(&format!("event {n}"));
        let new = NewEdit {
            event,
            series: None,
            calendar: calendar.key,
            calendar_remote: calendar.remote_id,
            remote: None,
            intent: intent(&format!("subject {n}")),
            base: None,
            fields: vec!["subject"],
            body: None,
            transaction_id: Some(format!("t{n}")),
            notifies: 0,
        };
        let number = session.put(&new).unwrap();
        if number % 10 == 0 {
            session.drop_edits(&[number]).unwrap();
        } else {
            session.redraw(event).unwrap();
        }
        session.put_reminder(event, 5_000, None).unwrap();
    }
    session.commit().unwrap();
    mirror.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    // Dropped without `close`, as a killed process leaves it.
}

/// Fills pages that hold this text, in the file itself, with garbage.
fn spoil(path: &Path, text: &str) -> usize {
    let mut bytes = fs::read(path).unwrap();
    let mut spoiled = 0;
    for page in bytes.chunks_mut(4096).skip(1) {
        if page.windows(text.len()).any(|found| found == text.as_bytes()) {
            page.fill(0xa5);
            spoiled += 1;
        }
    }
    fs::write(path, bytes).unwrap();
    spoiled
}

fn reopen(path: &Path) -> (Mirror, Reader) {
    let (mirror, opening) = Mirror::open(path, NOW_MS).unwrap();
    assert!(matches!(opening, Opening::Rebuilt { .. }), "{opening:?}");
    (mirror, Reader::open(path).unwrap())
}

#[test]
fn edits_outlive_a_mirror_whose_other_pages_are_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mirror.db");
    fill(&path, 50);
    // The page of the calendars is named by what stands on it.
    let mirror = rusqlite::Connection::open(&path).unwrap();
    let page: usize = mirror
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'draft'", [], |row| row.get(0))
        .unwrap();
    drop(mirror);
    let mut bytes = fs::read(&path).unwrap();
    bytes[(page - 1) * 4096..page * 4096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let (mirror, reader) = reopen(&path);
    assert_eq!(reader.outbox().unwrap().len(), 45);
    assert_eq!(reader.account().unwrap().edits_lost, 0);
    assert_eq!(reader.reminders().unwrap().len(), 50);
    assert_eq!(mirror.local_key(&RemoteId::new("remote")), Key::of_remote("local"));
    // They are shown before the server is asked, and numbers go on.
    let window = crate::model::Window { from_ms: 0, to_ms: 10_000 };
    assert_eq!(reader.overlapping(window, &[]).unwrap().len(), 45);
    let newest: i64 = mirror
        .conn
        .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(newest, 50);
}

#[test]
fn edits_on_damaged_pages_are_counted_and_all_others_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mirror.db");
    fill(&path, 200);
    // Drafts hold the texts, too; those are drawn again.
    assert!(spoil(&path, "subject 101\"") > 0);
    let (_, reader) = reopen(&path);
    let (kept, lost) = (reader.outbox().unwrap().len() as u64, reader.account().unwrap().edits_lost);
    assert_eq!(kept + lost, 180);
    assert!((1..=10).contains(&lost), "{lost}");
}

#[test]
fn a_file_of_which_nothing_is_left_says_that_edits_may_be_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mirror.db");
    fs::write(&path, vec![b'x'; 8192]).unwrap();
    let (_, reader) = reopen(&path);
    assert_eq!(reader.account().unwrap().edits_lost, 1);
    assert_eq!(reader.outbox().unwrap(), []);
}

#[test]
fn every_column_of_a_table_that_survives_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let (mirror, _) = Mirror::open(&dir.path().join("mirror.db"), 0).unwrap();
    for table in [ALIAS, OUTBOX, CONFLICT, REMINDER, PRESENCE, CHANNEL, JOURNAL, REMINDER_TOLD] {
        let there: BTreeSet<String> = mirror
            .conn
            .prepare("SELECT name FROM pragma_table_info(?1)")
            .unwrap()
            .query_map([table.name], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let copied: BTreeSet<String> = table.columns.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(there, copied, "{}", table.name);
    }
}
