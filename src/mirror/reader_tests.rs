use std::path::PathBuf;

use rusqlite::{Connection, params};

use super::*;
use crate::mirror::read_rows::{
    BODY, BY_IDS, BY_KEYS, BY_KEYS_UNDRAFTED, DRAFTS_BY_KEYS, DRAFTS_OVERLAPPING, DRAFTS_UPCOMING,
    OVERLAPPING, OVERLAPPING_UNDRAFTED, UPCOMING_ALL_DAY, UPCOMING_ALL_DAY_UNDRAFTED, UPCOMING_TIMED,
    UPCOMING_TIMED_UNDRAFTED,
};
use crate::mirror::read_search::{HITS, HITS_UNDRAFTED, QUEUED};
use crate::mirror::reader::{ACCOUNT, CALENDARS, CHANGES, COUNTS, NEWEST_CHANGE};
use crate::model::{DAY_MS, EventKind, EventView, Key, Window};

mod embedded {
    refinery::embed_migrations!("migrations");
}

const HOUR: i64 = 3_600_000;
/// 2026-03-02 00:00 UTC, a Monday.
const MONDAY: i64 = 20_514 * DAY_MS;

/// A mirror as a writer leaves it, filled by SQL.
struct Mirror {
    directory: tempfile::TempDir,
    writer: Connection,
}

/// A row to put; the rest is made up.
#[derive(Clone)]
struct Put<'p> {
    name: &'p str,
    calendar: i64,
    kind: &'p str,
    series: Option<&'p str>,
    start_ms: i64,
    end_ms: i64,
    is_all_day: bool,
}

fn put(name: &str, start_ms: i64, end_ms: i64) -> Put<'_> {
    Put { name, calendar: 1, kind: "single", series: None, start_ms, end_ms, is_all_day: false }
}

impl Mirror {
    fn new() -> Mirror {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Connection::open(directory.path().join("mirror.db")).unwrap();
        writer.pragma_update(None, "journal_mode", "wal").unwrap();
        embedded::migrations::runner().run(&mut writer).unwrap();
        for (id, name) in [(1, "Calendar"), (2, "Team")] {
            writer
                .execute(
                    "INSERT INTO calendar (id, key, remote_id, name, is_default, can_edit, page_size, gen) \
                     VALUES (?1, ?2, ?3, ?3, ?1 = 1, 1, 200, 1)",
                    params![id, Key::of_remote(name).as_bytes(), name],
                )
                .unwrap();
        }
        Mirror { directory, writer }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("mirror.db")
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.path()).unwrap()
    }

    fn run(&self, sql: &str) {
        self.writer.execute_batch(sql).unwrap();
    }

    /// An occurrence has no details of its own, as the contract of the table says.
    fn put(&self, row: &Put<'_>) {
        let is_stub = row.kind == "occurrence";
        let own = |text: String| (!is_stub).then_some(text);
        self.writer
            .prepare_cached(
                "INSERT INTO event (key, calendar_id, kind, is_present, seen_gen, remote_id, fingerprint, series_id, \
                 start_ms, end_ms, is_all_day, show_as, subject, location, body_preview, organizer_name, attendees, \
                 categories, ical_uid, original_time_zone) \
                 VALUES (?1, ?2, ?3, 1, 1, ?4, x'00', (SELECT id FROM event WHERE key = ?5), ?6, ?7, ?8, ?9, ?10, ?11, \
                 ?12, ?13, ?14, ?15, ?16, ?17)",
            )
            .unwrap()
            .execute(params![
                Key::of_remote(row.name).as_bytes(),
                row.calendar,
                row.kind,
                row.name,
                row.series.map(|series| *Key::of_remote(series).as_bytes()),
                row.start_ms,
                row.end_ms,
                (!is_stub).then_some(row.is_all_day),
                own("busy".to_owned()),
                own(format!("subject of {}", row.name)),
                own("Room Zürich".to_owned()),
                own("preview".to_owned()),
                own("Anna Müller".to_owned()),
                own(
                    r#"[{"name":"Bob","address":"bob@contoso.com","type":"optional","response":"accepted"}]"#
                        .to_owned()
                ),
                own(r#"["Red","Blau"]"#.to_owned()),
                own(format!("uid of {}", row.name)),
                own("W. Europe Standard Time".to_owned()),
            ])
            .unwrap();
    }

    fn put_all(&self, rows: &[Put<'_>]) {
        rows.iter().for_each(|row| self.put(row));
    }

    /// Moves every waiting text into the index, as the writer does.
    fn index(&self, name: &str) {
        let id: i64 = self
            .writer
            .query_row("SELECT id FROM event WHERE key = ?1", [Key::of_remote(name).as_bytes()], |row| {
                row.get(0)
            })
            .unwrap();
        self.writer.execute("DELETE FROM event_text WHERE rowid = ?1", [id]).unwrap();
        self.writer.execute(crate::mirror::event_text::INDEX, [id]).unwrap();
        self.writer.execute("DELETE FROM text_queue WHERE event_id = ?1", [id]).unwrap();
    }

    fn queue(&self, name: &str) {
        self.writer
            .execute(
                "INSERT INTO text_queue SELECT id FROM event WHERE key = ?1",
                [Key::of_remote(name).as_bytes()],
            )
            .unwrap();
    }
}

/// The names of the rows, which are their remote ids, sorted.
fn names(events: &[EventView]) -> Vec<&str> {
    let mut names: Vec<&str> =
        events.iter().map(|event| event.remote_id.as_ref().unwrap().as_str()).collect();
    names.sort_unstable();
    names
}

fn day() -> Window {
    Window { from_ms: MONDAY, to_ms: MONDAY + DAY_MS }
}

#[test]
fn a_range_holds_what_overlaps_it_however_long() {
    let mirror = Mirror::new();
    let at = |hours: i64| MONDAY + hours * HOUR;
    mirror.put_all(&[
        put("inside", at(9), at(10)),
        put("instant at the first", at(0), at(0)),
        put("reaches in", at(-1), at(1)),
        put("a day long", at(-23), at(1)),
        put("two days long", at(-47), at(1)),
        put("a year long", at(-300 * 24), at(100 * 24)),
        put("reaches out", at(23), at(40)),
        put("ends before", at(-2), at(0)),
        put("ended long ago", at(-500), at(-1)),
        put("begins after", at(24), at(25)),
        put("instant at the end", at(24), at(24)),
        put("instant before", at(-1), at(-1)),
    ]);
    let found = mirror.reader().overlapping(day(), &[]).unwrap();
    // What lies at midnights may be all-day, and is left to the pure room.
    let found: Vec<EventView> = found.into_iter().filter(|e| day().overlaps(e.start_ms, e.end_ms)).collect();
    assert_eq!(
        names(&found),
        [
            "a day long",
            "a year long",
            "inside",
            "instant at the first",
            "reaches in",
            "reaches out",
            "two days long"
        ]
    );
}

#[test]
fn a_range_is_exact_for_timed_rows_and_wide_for_dates() {
    let mirror = Mirror::new();
    let date = |name, days: i64, length: i64| Put {
        is_all_day: true,
        ..put(name, MONDAY + days * DAY_MS, MONDAY + (days + length) * DAY_MS)
    };
    mirror.put_all(&[
        put("timed before", MONDAY - 2 * HOUR, MONDAY - HOUR),
        put("timed after", MONDAY + 25 * HOUR, MONDAY + 26 * HOUR),
        date("yesterday", -1, 1),
        date("today", 0, 1),
        date("tomorrow", 1, 1),
        date("in two days", 2, 1),
        date("last week and yesterday", -8, 8),
        date("last week", -8, 7),
        date("around", -8, 16),
    ]);
    let found = mirror.reader().overlapping(day(), &[]).unwrap();
    assert_eq!(names(&found), ["around", "last week and yesterday", "today", "tomorrow", "yesterday"]);
}

#[test]
fn masters_husks_and_rows_of_lost_calendars_are_never_shown() {
    let mirror = Mirror::new();
    let row = |name, kind| Put { kind, ..put(name, MONDAY, MONDAY + HOUR) };
    mirror.put_all(&[
        row("master", "master"),
        row("husk", "single"),
        Put { calendar: 2, ..row("of a lost calendar", "single") },
        row("here", "single"),
    ]);
    mirror.run("UPDATE event SET is_present = 0 WHERE remote_id = 'husk'");
    mirror.run("UPDATE calendar SET is_present = 0 WHERE id = 2");
    let reader = mirror.reader();
    assert_eq!(names(&reader.overlapping(day(), &[]).unwrap()), ["here"]);
    assert_eq!(names(&reader.next(Window { to_ms: i64::MAX, ..day() }, &[], 9).unwrap()), ["here"]);
    for hidden in ["master", "husk", "of a lost calendar"] {
        assert_eq!(reader.event(Key::of_remote(hidden)).unwrap(), None, "{hidden}");
    }
    assert!(reader.event(Key::of_remote("here")).unwrap().is_some());
    assert_eq!(reader.calendars().unwrap().len(), 1);
    assert_eq!(reader.counts().unwrap(), [(Key::of_remote("Calendar"), 1)]);
}

#[test]
fn an_occurrence_has_the_details_of_its_series_and_an_exception_its_own() {
    let mirror = Mirror::new();
    mirror.put_all(&[
        Put { kind: "master", is_all_day: true, ..put("series", MONDAY - 7 * DAY_MS, MONDAY - 6 * DAY_MS) },
        Put { kind: "occurrence", series: Some("series"), ..put("plain", MONDAY, MONDAY + DAY_MS) },
        Put { kind: "exception", series: Some("series"), ..put("moved", MONDAY + HOUR, MONDAY + 2 * HOUR) },
        Put { kind: "occurrence", ..put("orphan", MONDAY + 3 * HOUR, MONDAY + 4 * HOUR) },
    ]);
    mirror.run("INSERT INTO event_body SELECT id, 'the whole body' FROM event WHERE remote_id = 'series'");
    mirror.run("UPDATE event SET change_key = 'ck' WHERE remote_id = 'moved'");
    let reader = mirror.reader();
    let event = |name| reader.event(Key::of_remote(name)).unwrap().unwrap();

    let plain = event("plain");
    assert_eq!(plain.kind, EventKind::Occurrence);
    assert_eq!(plain.series, Some(Key::of_remote("series")));
    assert_eq!(plain.details.subject.as_deref(), Some("subject of series"));
    assert_eq!(plain.details.ical_uid.as_deref(), Some("uid of series"));
    assert_eq!(plain.change_key, None);
    assert!(plain.details.is_all_day);
    assert_eq!(plain.details.categories, ["Red", "Blau"]);
    assert_eq!(plain.details.attendees.len(), 1);
    assert_eq!(plain.details.attendees[0].kind.code(), "optional");
    assert_eq!(reader.body(plain.key).unwrap().as_deref(), Some("the whole body"));

    let moved = event("moved");
    assert_eq!(moved.series, Some(Key::of_remote("series")));
    assert_eq!(moved.details.subject.as_deref(), Some("subject of moved"));
    assert_eq!(moved.change_key.as_deref(), Some("ck"));
    assert!(!moved.details.is_all_day);
    assert_eq!(reader.body(moved.key).unwrap(), None);

    let orphan = event("orphan");
    assert_eq!(orphan.series, None);
    assert_eq!(orphan.details.subject, None);
    assert_eq!(orphan.details.show_as.code(), "unknown");
}

#[test]
fn the_next_rows_are_what_runs_and_what_begins_first() {
    let mirror = Mirror::new();
    let now = MONDAY + 10 * HOUR;
    mirror.put_all(&[
        put("over", now - 2 * HOUR, now),
        put("running", now - HOUR, now + HOUR),
        put("running for weeks", now - 300 * HOUR, now + 300 * HOUR),
        put("first", now, now + HOUR),
        put("second", now + HOUR, now + 2 * HOUR),
        put("second, too", now + HOUR, now + 3 * HOUR),
        put("third", now + 2 * HOUR, now + 3 * HOUR),
        Put { is_all_day: true, ..put("tomorrow", MONDAY + DAY_MS, MONDAY + 2 * DAY_MS) },
        Put { is_all_day: true, ..put("in three days", MONDAY + 3 * DAY_MS, MONDAY + 4 * DAY_MS) },
        Put { calendar: 2, ..put("of the team", now + HOUR / 2, now + HOUR) },
    ]);
    let reader = mirror.reader();
    let window = Window { from_ms: now, to_ms: i64::MAX };
    // Where the zone is not known, tomorrow may begin before the second one ends this list.
    assert_eq!(
        names(&reader.next(window, &[Key::of_remote("Calendar")], 2).unwrap()),
        ["first", "running", "running for weeks", "second", "second, too", "tomorrow"]
    );
    assert_eq!(names(&reader.next(window, &[Key::of_remote("Team")], 2).unwrap()), ["of the team"]);
    assert_eq!(reader.next(window, &[], 100).unwrap().len(), 9);
    assert_eq!(
        names(&reader.next(window, &[], 0).unwrap()),
        ["first", "running", "running for weeks", "tomorrow"]
    );
}

#[test]
fn a_prefix_finds_one_row_or_says_that_there_are_several() {
    let mirror = Mirror::new();
    mirror.put_all(&[put("a", MONDAY, MONDAY), put("b", MONDAY, MONDAY), put("c", MONDAY, MONDAY)]);
    for (name, key) in [("a", "abcd0"), ("b", "abcd1"), ("c", "ffff")] {
        mirror.run(&format!("UPDATE event SET key = unhex('{key:0<32}') WHERE remote_id = '{name}'"));
    }
    let reader = mirror.reader();
    let found = |prefix: &str| match reader.event_by_prefix(prefix).unwrap() {
        Found::One(event) => event.remote_id.unwrap().as_str().to_owned(),
        Found::None => "none".to_owned(),
        Found::Many => "many".to_owned(),
    };
    for (prefix, expected) in [
        ("abcd0", "a"),
        ("ABCD1", "b"),
        ("abcd", "many"),
        ("ffff", "c"),
        ("fff", "none"),
        ("", "none"),
        ("fffe", "none"),
        ("ffff' OR 1", "none"),
        ("ffff0000000000000000000000000000", "c"),
        ("ffff00000000000000000000000000000", "none"),
    ] {
        assert_eq!(found(prefix), expected, "{prefix}");
    }
}

#[test]
fn search_finds_words_in_the_index_and_in_the_queue_alike() {
    let mirror = Mirror::new();
    mirror.put_all(&[put("Über-Meeting", MONDAY, MONDAY + HOUR), put("other", MONDAY, MONDAY + HOUR)]);
    mirror.run(
        "INSERT INTO event_body SELECT id, 'Agenda: cafe\u{301} talk, Straße 5' FROM event WHERE subject LIKE '%Meeting'",
    );
    let found = |text: &str| {
        let window = Window { from_ms: i64::MIN, to_ms: i64::MAX };
        let question = Question { text, window, calendars: &[], limit: 10, near_ms: MONDAY };
        let found = mirror.reader().search(&question).unwrap();
        names(&found).join("+")
    };
    let both = "other+Über-Meeting";
    let one = "Über-Meeting";
    let table = [
        ("meeting", one),
        ("uber meeting", one),
        ("ÜBER", one),
        ("über-meet", one),
        ("meet", one),
        ("meet uber", ""),
        ("zurich", both),
        ("ZÜR", both),
        ("muller", both),
        ("bob@contoso.com", both),
        ("contoso", both),
        ("blau", both),
        ("optional", ""),
        ("accepted", ""),
        ("café", one),
        ("cafe talk", one),
        ("talk cafe", one),
        ("straße", one),
        ("preview", "other"),
        ("subject other", "other"),
        ("subject \u{2014} other", "other"),
        ("", ""),
        ("   ", ""),
        ("\u{2014}", ""),
        ("\"", ""),
        ("\"bob", both),
        ("bob\" OR \"x", ""),
        ("NOT bob", ""),
        ("subject:other", ""),
        ("of:other", "other"),
        ("bo*", both),
        ("b\0ob", both),
        ("(bob", both),
        ("^bob", both),
    ];
    for name in ["Über-Meeting", "other"] {
        mirror.queue(name);
    }
    for (text, expected) in table {
        assert_eq!(found(text), expected, "queued: {text}");
    }
    for name in ["Über-Meeting", "other"] {
        mirror.index(name);
    }
    for (text, expected) in table {
        assert_eq!(found(text), expected, "indexed: {text}");
    }
    // A changed row waits again: its old words are gone at once.
    mirror.run("UPDATE event SET subject = 'new words' WHERE remote_id = 'other'");
    mirror.queue("other");
    assert_eq!(found("subject other"), "");
    assert_eq!(found("new words"), "other");
    assert_eq!(found(&"word ".repeat(100_000)), "");
    assert_eq!(found(&"x".repeat(1_000_000)), "");
}

#[test]
fn search_answers_the_occurrences_of_a_series_in_the_range_and_the_nearest_first() {
    let mirror = Mirror::new();
    mirror.put(&Put { kind: "master", ..put("Standup", MONDAY, MONDAY + HOUR) });
    let occurrences: Vec<String> = (0..20).map(|week| format!("occurrence {week:02}")).collect();
    for (week, name) in (0..).zip(&occurrences) {
        let start_ms = MONDAY + week * 7 * DAY_MS;
        mirror.put(&Put {
            kind: "occurrence",
            series: Some("Standup"),
            ..put(name, start_ms, start_ms + HOUR)
        });
    }
    mirror.put(&Put { kind: "exception", series: Some("Standup"), ..put("Retro", MONDAY, MONDAY + HOUR) });
    mirror.index("Standup");
    mirror.queue("Retro");
    let reader = mirror.reader();
    let found = |text, window, limit, near_ms| {
        let question = Question { text, window, calendars: &[], limit, near_ms };
        let found = reader.search(&question).unwrap();
        names(&found).iter().map(|name| (*name).to_owned()).collect::<Vec<String>>()
    };
    let weeks =
        |from: i64, to: i64| Window { from_ms: MONDAY + from * 7 * DAY_MS, to_ms: MONDAY + to * 7 * DAY_MS };
    assert_eq!(found("standup", weeks(0, 100), 100, 0), occurrences);
    assert_eq!(found("standup", weeks(3, 5), 100, 0), ["occurrence 03", "occurrence 04"]);
    assert_eq!(
        found("standup", weeks(0, 100), 3, MONDAY + 70 * DAY_MS),
        ["occurrence 09", "occurrence 10", "occurrence 11"]
    );
    assert_eq!(found("retro", weeks(0, 100), 100, 0), ["Retro"]);
    let question = Question {
        text: "standup",
        window: weeks(0, 100),
        calendars: &[Key::of_remote("Team")],
        limit: 9,
        near_ms: 0,
    };
    assert_eq!(reader.search(&question).unwrap(), []);
}

#[test]
fn the_change_feed_is_read_in_order_from_any_place() {
    let mirror = Mirror::new();
    mirror.put(&put("a", MONDAY, MONDAY));
    mirror.run(
        "INSERT INTO change (event_key, what, at_ms) SELECT key, 'put', 5 FROM event;
         INSERT INTO change (event_key, what, at_ms) SELECT key, 'remove', 6 FROM event;",
    );
    let reader = mirror.reader();
    let changes = reader.changes(0, 10).unwrap();
    let expected = [(1, false, 5), (2, true, 6)];
    assert_eq!(changes.iter().map(|c| (c.seq, c.is_removal, c.at_ms)).collect::<Vec<_>>(), expected);
    assert_eq!(reader.changes(1, 10).unwrap().len(), 1);
    assert_eq!(reader.changes(0, 1).unwrap().len(), 1);
    assert_eq!(reader.changes(2, 10).unwrap(), []);
}

#[test]
fn held_removals_mark_their_rows_and_count_for_their_calendar() {
    let mirror = Mirror::new();
    mirror.put_all(&[put("held", MONDAY, MONDAY + HOUR), put("staged", MONDAY, MONDAY + HOUR)]);
    mirror.run(
        "INSERT INTO removal (event_id, calendar_id, gen, is_held, at_ms)
         SELECT id, calendar_id, 1, remote_id = 'held', 0 FROM event",
    );
    let reader = mirror.reader();
    assert!(reader.event(Key::of_remote("held")).unwrap().unwrap().is_unconfirmed);
    assert!(!reader.event(Key::of_remote("staged")).unwrap().unwrap().is_unconfirmed);
    let held: Vec<u64> = reader.calendars().unwrap().iter().map(|calendar| calendar.held_removals).collect();
    assert_eq!(held, [1, 0]);
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mirror.db");
    assert!(matches!(Reader::open(&path), Err(MirrorError::Absent { .. })));
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(Reader::open(&path), Err(MirrorError::Absent { .. })));
    std::fs::write(&path, b"this is not a database, and long enough to look at its header ".repeat(40))
        .unwrap();
    assert!(matches!(Reader::open(&path), Err(MirrorError::Damaged { .. })));

    let mirror = Mirror::new();
    mirror.run("UPDATE refinery_schema_history SET version = 999 WHERE version = 3");
    assert!(matches!(
        Reader::open(&mirror.path()),
        Err(MirrorError::Newer { found: 999, known: schema::KNOWN, .. })
    ));
}

#[test]
fn pages_that_are_garbage_make_a_damaged_mirror_not_a_wrong_answer() {
    let mirror = Mirror::new();
    let rows: Vec<String> = (0..2000).map(|n| format!("row {n}")).collect();
    for name in &rows {
        mirror.put(&put(name, MONDAY, MONDAY + HOUR));
    }
    mirror.run("PRAGMA wal_checkpoint(TRUNCATE)");
    let path = mirror.path();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40_960..].fill(0xA5);
    let other = mirror.directory.path().join("other.db");
    std::fs::write(&other, bytes).unwrap();
    let read = Reader::open(&other).and_then(|reader| reader.overlapping(day(), &[]).map(|rows| rows.len()));
    assert!(matches!(read, Err(MirrorError::Damaged { .. })), "{read:?}");
}

#[test]
fn readers_work_beside_a_writer_in_the_middle_of_a_transaction() {
    let mirror = Mirror::new();
    mirror.put(&put("committed", MONDAY, MONDAY + HOUR));
    let before = mirror.reader();
    mirror.run("BEGIN IMMEDIATE");
    mirror.put(&put("not yet", MONDAY, MONDAY + HOUR));
    let during = mirror.reader();
    for reader in [&before, &during] {
        assert_eq!(names(&reader.overlapping(day(), &[]).unwrap()), ["committed"]);
    }
    mirror.run("COMMIT");
    for reader in [&before, &during] {
        assert_eq!(names(&reader.overlapping(day(), &[]).unwrap()), ["committed", "not yet"]);
    }
}

#[test]
fn a_reader_cannot_write() {
    let mirror = Mirror::new();
    let reader = mirror.reader();
    for sql in
        ["DELETE FROM event", "CREATE TABLE x (y)", "PRAGMA user_version = 3", "CREATE TEMP TABLE x (y)"]
    {
        assert!(reader.connection.execute_batch(sql).is_err(), "{sql}");
    }
}

#[test]
fn no_query_reads_a_large_table_from_end_to_end() {
    let mirror = Mirror::new();
    let reader = mirror.reader();
    let views = [
        "SELECT * FROM v1_agenda WHERE start_ms >= ?1 AND start_ms < ?2 AND end_ms > ?3 ORDER BY start_ms",
        "SELECT * FROM v1_events WHERE start_ms >= ?1 AND start_ms < ?2",
        "SELECT * FROM v1_changes WHERE seq > ?1 ORDER BY seq",
    ];
    let queries = [OVERLAPPING, UPCOMING_TIMED, UPCOMING_ALL_DAY, BY_KEYS, BY_IDS, BODY, HITS];
    let feeds = [CHANGES, NEWEST_CHANGE, QUEUED, CALENDARS, ACCOUNT];
    let beside_drafts = [
        OVERLAPPING_UNDRAFTED,
        UPCOMING_TIMED_UNDRAFTED,
        UPCOMING_ALL_DAY_UNDRAFTED,
        BY_KEYS_UNDRAFTED,
        HITS_UNDRAFTED,
        DRAFTS_OVERLAPPING,
        DRAFTS_UPCOMING,
        DRAFTS_BY_KEYS,
    ];
    for sql in queries.iter().chain(&feeds).chain(&views).chain(&beside_drafts) {
        for step in plan(&reader, sql) {
            let is_scan =
                ["SCAN e", "SCAN m", "SCAN o", "SCAN s", "SCAN b", "SCAN ch", "SCAN d", "SCAN event"]
                    .iter()
                    .any(|scan| step == *scan || step.starts_with(&format!("{scan} ")));
            assert!(!is_scan, "{step} in {sql}");
            assert!(
                !step.contains("TEMP B-TREE") || *sql == HITS || *sql == HITS_UNDRAFTED || *sql == CALENDARS,
                "{step} in {sql}"
            );
        }
    }
    // Counting has to walk something: the index, which is a tenth of the table.
    for step in plan(&reader, COUNTS) {
        assert!(!step.starts_with("SCAN e") || step.contains("INDEX"), "{step}");
    }
}

fn plan(reader: &Reader, sql: &str) -> Vec<String> {
    let mut statement = reader.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let mut steps = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get(3).unwrap());
    }
    steps
}

#[test]
fn every_view_has_the_columns_that_its_documentation_lists() {
    let mirror = Mirror::new();
    let reader = mirror.reader();
    let document = include_str!("reader.rs");
    for view in
        ["v1_calendars", "v1_events", "v1_agenda", "v1_outbox", "v1_conflicts", "v1_sync_state", "v1_changes"]
    {
        let line = document.lines().find(|line| line.contains(&format!("| `{view}` |"))).unwrap();
        let statement = reader.connection.prepare(&format!("SELECT * FROM {view}")).unwrap();
        let listed: Vec<&str> =
            line.split('`').skip(3).step_by(2).filter(|word| !word.contains('{')).collect();
        let listed: Vec<&str> = listed.into_iter().filter(|word| !["put", "remove"].contains(word)).collect();
        assert_eq!(statement.column_names().collect::<Vec<_>>(), listed, "{view}");
    }
}

#[test]
fn the_views_show_what_the_reader_reads() {
    let mirror = Mirror::new();
    mirror.put_all(&[
        Put { kind: "master", is_all_day: true, ..put("series", MONDAY, MONDAY + DAY_MS) },
        Put { kind: "occurrence", series: Some("series"), ..put("plain", MONDAY, MONDAY + DAY_MS) },
        put("husk", MONDAY, MONDAY + HOUR),
    ]);
    mirror.run(
        "UPDATE event SET is_present = 0 WHERE remote_id = 'husk';
         INSERT INTO change (event_key, what, at_ms) SELECT key, 'put', 7 FROM event WHERE remote_id = 'plain';",
    );
    let reader = mirror.reader();
    let text = |sql: &str| -> String { reader.connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    let id = Key::of_remote("plain").to_string();
    for view in ["v1_events", "v1_agenda"] {
        let concise = format!(
            "SELECT group_concat(concat_ws(' ', id, series_id, subject, all_day, start_date, end_date)) FROM {view}"
        );
        let series = Key::of_remote("series");
        assert_eq!(text(&concise), format!("{id} {series} subject of series 1 2026-03-02 2026-03-03"));
    }
    assert_eq!(text("SELECT calendar FROM v1_events"), Key::of_remote("Calendar").to_string());
    assert_eq!(
        text("SELECT concat_ws(' ', seq, event, what, at_ms) FROM v1_changes"),
        format!("1 {id} put 7")
    );
    assert_eq!(text("SELECT count(*) || '' FROM v1_outbox"), "0");
    assert_eq!(text("SELECT count(*) || '' FROM v1_conflicts"), "0");
    assert_eq!(text("SELECT calendars || ' ' || last_seq FROM v1_sync_state"), "2 1");
}

/// Run with `--release -- --ignored --nocapture`: prints the medians beside those of the bare statement.
#[test]
#[ignore = "fills a mirror with 100,000 rows"]
fn a_range_of_a_large_mirror_costs_little_more_than_its_sql() {
    let mirror = Mirror::new();
    let filling = std::time::Instant::now();
    mirror.run("BEGIN");
    let names: Vec<String> =
        (0..100_000).map(|n| format!("AAMkAGI1LongEnoughToLookLikeAnId{n:0>80}")).collect();
    for series in 0..200 {
        mirror.put(&Put { kind: "master", ..put(&format!("series {series}"), MONDAY, MONDAY + HOUR) });
    }
    for (n, name) in (0_i64..).zip(&names) {
        // Three years around Monday, in no order of time, as a server's pages are.
        let quarter = (n * 7919) % (3 * 365 * 96) - 365 * 96 * 3 / 2;
        let start_ms = MONDAY + quarter * HOUR / 4;
        let series = format!("series {}", n % 200);
        let end_ms = if n % 500 == 0 { start_ms + 5 * DAY_MS } else { start_ms + HOUR / 2 };
        let row = put(name, start_ms, end_ms);
        mirror.put(&match n % 20 {
            0..14 => Put { is_all_day: false, ..row },
            14..19 => Put { kind: "occurrence", series: Some(&series), ..row },
            _ => Put { kind: "exception", series: Some(&series), ..row },
        });
    }
    mirror.run("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
    println!("filling: {:?}", filling.elapsed());
    let reader = mirror.reader();
    let bare = "SELECT e.*, m.* FROM event e LEFT JOIN event m ON m.id = e.series_id \
        WHERE e.is_present = 1 AND e.kind <> 'master' AND e.start_ms >= ?1 - 86400000 AND e.start_ms < ?2 AND e.end_ms > ?1";
    let bare_next = "SELECT e.*, m.* FROM event e LEFT JOIN event m ON m.id = e.series_id \
        WHERE e.is_present = 1 AND e.kind <> 'master' AND e.start_ms >= ?1 ORDER BY e.start_ms LIMIT ?2";
    let run_bare = |sql: &str, one: i64, two: i64| {
        let mut statement = reader.connection.prepare_cached(sql).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([one, two]).unwrap();
        let (mut count, mut bytes) = (0, 0);
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                bytes +=
                    row.get_ref(column).unwrap().as_str_or_null().map_or(8, |text| text.map_or(0, str::len));
            }
            count += 1;
        }
        assert!(bytes > 0);
        count
    };
    for (what, days) in [("day", 1), ("week", 7)] {
        let window = Window { from_ms: MONDAY, to_ms: MONDAY + days * DAY_MS };
        let rows = reader.overlapping(window, &[]).unwrap().len();
        let ours = median(|| reader.overlapping(window, &[]).unwrap().len());
        let sql = median(|| run_bare(bare, window.from_ms, window.to_ms));
        println!(
            "{what}: {rows} rows, {ours:?}, bare {} rows {sql:?}",
            run_bare(bare, window.from_ms, window.to_ms)
        );
    }
    let window = Window { from_ms: MONDAY + 9 * HOUR, to_ms: i64::MAX };
    let rows = reader.next(window, &[], 10).unwrap().len();
    let ours = median(|| reader.next(window, &[], 10).unwrap().len());
    let sql = median(|| run_bare(bare_next, window.from_ms, 10));
    println!("next: {rows} rows, {ours:?}, bare {sql:?}");
    println!("counts: {:?}", median(|| reader.counts().unwrap().len()));
    println!("calendars: {:?}", median(|| reader.calendars().unwrap().len()));
    println!("account: {:?}", median(|| usize::from(reader.account().unwrap().user.is_some()) + 1));
    println!(
        "by key: {:?}",
        median(|| usize::from(reader.event(Key::of_remote(&names[5])).unwrap().is_some()))
    );
    println!("open and first day: {:?}", median(|| mirror.reader().overlapping(day(), &[]).unwrap().len()));
    println!(
        "bare open and first day: {:?}",
        median(|| {
            let connection = Connection::open(mirror.path()).unwrap();
            let mut statement = connection.prepare(bare).unwrap();
            let mut rows = statement.query([MONDAY, MONDAY + DAY_MS]).unwrap();
            let mut count = 0;
            while let Some(row) = rows.next().unwrap() {
                count += usize::from(row.get_ref(0).is_ok());
            }
            count
        })
    );
}

fn median(mut run: impl FnMut() -> usize) -> std::time::Duration {
    let mut times: Vec<std::time::Duration> = (0..51)
        .map(|_| {
            let start = std::time::Instant::now();
            assert!(run() > 0);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[25]
}
