//! The questions of the doors, asked of a mirror that SQL has filled.

// The helpers below are tests, too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::PathBuf;

use calmirror::api::{
    AccountFacts, AgendaAsk, BusyAsk, CalendarState, ErrorKind, FreeAsk, Look, NetworkState, SearchAsk,
    WorkingHours, open_mirror, resolve_time, resolve_zone,
};
use calmirror::mirror::Reader;
use calmirror::model::Key;
use calmirror::zones::{Zone, Zones};
use chrono::{NaiveTime, Weekday};
use rusqlite::{Connection, params};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// A data directory with one mirror, the zone of the answers, and the time it is.
struct World {
    directory: tempfile::TempDir,
    writer: Connection,
    zones: Zones,
    zone: Zone,
    now_ms: i64,
}

fn utc_ms(text: &str) -> i64 {
    resolve_time(&Zone::utc(), text).unwrap()
}

impl World {
    fn new(zone: &str, now: &str) -> World {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Connection::open(directory.path().join("mirror.db")).unwrap();
        writer.pragma_update(None, "journal_mode", "wal").unwrap();
        embedded::migrations::runner().run(&mut writer).unwrap();
        let zones = Zones::bundled();
        let zone = resolve_zone(&zones, zone).unwrap();
        let world = World { directory, writer, zones, now_ms: resolve_time(&zone, now).unwrap(), zone };
        for (id, name) in [(1, "Calendar"), (2, "Team"), (3, "Team holidays")] {
            world
                .writer
                .execute(
                    "INSERT INTO calendar (id, key, remote_id, name, is_default, can_edit, page_size, gen, pulled_at_ms, \
                     window_from_ms, window_to_ms, full_at_ms, cursor_at_ms) \
                     VALUES (?1, ?2, ?3, ?3, ?1 = 1, 1, 200, 1, ?4, ?5, ?6, ?4, ?4)",
                    params![
                        id,
                        Key::of_remote(name).as_bytes(),
                        name,
                        world.now_ms - 60_000,
                        world.now_ms - 400 * 86_400_000,
                        world.now_ms + 400 * 86_400_000
                    ],
                )
                .unwrap();
        }
        world.run(&format!("UPDATE account SET reached_at_ms = {}, user = 'anna@contoso.com'", world.now_ms));
        world
    }

    fn run(&self, sql: &str) {
        self.writer.execute_batch(sql).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("mirror.db")
    }

    /// Times are read in the world's zone; dates make an all-day event.
    fn put(&self, calendar: i64, subject: &str, start: &str, end: &str, show_as: &str) {
        let is_all_day = start.len() == 10;
        let zone = if is_all_day { Zone::utc() } else { self.zone.clone() };
        self.writer
            .execute(
                "INSERT INTO event (key, calendar_id, kind, is_present, seen_gen, remote_id, fingerprint, start_ms, \
                 end_ms, is_all_day, show_as, subject, original_time_zone, response, sensitivity) \
                 VALUES (?1, ?2, 'single', 1, 1, ?3, x'', ?4, ?5, ?6, ?7, ?3, 'W. Europe Standard Time', 'accepted', \
                 'private')",
                params![
                    Key::of_remote(subject).as_bytes(),
                    calendar,
                    subject,
                    resolve_time(&zone, start).unwrap(),
                    resolve_time(&zone, end).unwrap(),
                    is_all_day,
                    show_as,
                ],
            )
            .unwrap();
        self.run("INSERT OR IGNORE INTO text_queue SELECT id FROM event");
    }

    fn reader(&self) -> Reader {
        open_mirror(&self.path()).unwrap().unwrap()
    }

    fn look<'w>(&'w self, mirror: Option<&'w Reader>) -> Look<'w> {
        Look {
            mirror,
            zones: &self.zones,
            zone: &self.zone,
            now_ms: self.now_ms,
            source: calmirror::model::SourceKind::Microsoft365,
        }
    }

    fn at(&self, text: &str) -> Option<i64> {
        Some(resolve_time(&self.zone, text).unwrap())
    }
}

fn subjects(items: &[calmirror::api::Event]) -> Vec<&str> {
    items.iter().filter_map(|event| event.subject.as_deref()).collect()
}

#[test]
fn today_is_the_local_day_in_the_zone_asked_for() {
    // The day on which summer time begins: 23 hours.
    let world = World::new("Europe/Berlin", "2026-03-29T12:00");
    world.put(1, "late yesterday", "2026-03-28T23:00", "2026-03-29T00:00", "busy");
    world.put(1, "over midnight", "2026-03-28T23:30", "2026-03-29T00:30", "busy");
    world.put(1, "leave", "2026-03-29", "2026-03-30", "oof");
    world.put(2, "breakfast", "2026-03-29T09:00", "2026-03-29T10:00", "free");
    world.put(1, "last", "2026-03-29T23:59", "2026-03-30T00:30", "busy");
    world.put(1, "tomorrow", "2026-03-30", "2026-03-31", "busy");
    world.put(1, "early tomorrow", "2026-03-30T00:00", "2026-03-30T01:00", "busy");
    let reader = world.reader();
    let answer = world.look(Some(&reader)).agenda(&AgendaAsk::default()).unwrap();
    assert_eq!(answer.from, "2026-03-29T00:00:00+01:00");
    assert_eq!(answer.to, "2026-03-30T00:00:00+02:00");
    assert_eq!(answer.time_zone, "Europe/Berlin");
    assert!(answer.fresh);
    assert_eq!(answer.as_of.as_deref(), Some("2026-03-29T11:59:00+02:00"));
    assert_eq!(subjects(&answer.items), ["over midnight", "leave", "breakfast", "last"]);

    let leave = &answer.items[1];
    assert_eq!((leave.start.as_ref(), leave.end.as_ref()), (None, None));
    assert_eq!(leave.start_date.as_deref(), Some("2026-03-29"));
    assert_eq!(leave.end_date.as_deref(), Some("2026-03-30"));
    let breakfast = &answer.items[2];
    assert_eq!(breakfast.start.as_deref(), Some("2026-03-29T09:00:00+02:00"));
    assert_eq!(breakfast.original_time_zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(breakfast.calendar, Key::of_remote("Team"));
    assert_eq!(breakfast.start_date, None);

    let team = AgendaAsk { calendars: vec![Key::of_remote("Team")], ..AgendaAsk::default() };
    let look = world.look(Some(&reader));
    assert_eq!(subjects(&look.agenda(&team).unwrap().items), ["breakfast"]);

    // Seen from Los Angeles the same leave is still the 29th, nine hours later.
    let far = resolve_zone(&world.zones, "Pacific Standard Time").unwrap();
    let ask = AgendaAsk { from_ms: Some(resolve_time(&far, "2026-03-29").unwrap()), ..AgendaAsk::default() };
    let answer = Look { zone: &far, ..look }.agenda(&ask).unwrap();
    assert_eq!(subjects(&answer.items), ["leave", "breakfast", "last", "early tomorrow"]);
    assert_eq!(answer.items[1].start.as_deref(), Some("2026-03-29T00:00:00-07:00"));
}

#[test]
fn the_next_events_are_what_runs_and_what_comes_with_dates_at_local_midnight() {
    let world = World::new("Pacific/Auckland", "2026-07-01T12:00");
    world.put(1, "running", "2026-07-01T11:00", "2026-07-01T13:00", "busy");
    world.put(1, "today", "2026-07-01", "2026-07-02", "free");
    world.put(1, "tonight", "2026-07-01T23:00", "2026-07-01T23:30", "busy");
    world.put(1, "tomorrow all day", "2026-07-02", "2026-07-03", "free");
    world.put(1, "tomorrow early", "2026-07-02T00:30", "2026-07-02T01:00", "busy");
    world.put(1, "over", "2026-07-01T10:00", "2026-07-01T12:00", "busy");
    let reader = world.reader();
    let next = |count, to_ms| {
        let ask = AgendaAsk { next: Some(count), to_ms, ..AgendaAsk::default() };
        let answer = world.look(Some(&reader)).agenda(&ask).unwrap();
        (subjects(&answer.items).join(", "), answer.from, answer.to)
    };
    let from = "2026-07-01T12:00:00+12:00".to_owned();
    assert_eq!(
        next(4, None),
        (
            "today, running, tonight, tomorrow all day".to_owned(),
            from.clone(),
            "2026-07-03T00:00:00+12:00".to_owned()
        )
    );
    assert_eq!(next(2, None).0, "today, running");
    assert_eq!(next(0, None).0, "");
    assert_eq!(next(99, None).0, "today, running, tonight, tomorrow all day, tomorrow early");
    let to = world.at("2026-07-02");
    assert_eq!(
        next(99, to),
        ("today, running, tonight".to_owned(), from, "2026-07-02T00:00:00+12:00".to_owned())
    );
}

#[test]
fn an_event_is_shown_by_its_id_or_the_only_beginning_of_one() {
    let world = World::new("UTC", "2026-07-01T12:00");
    world.put(1, "lunch", "2026-07-01T12:00", "2026-07-01T13:00", "busy");
    let reader = world.reader();
    let look = world.look(Some(&reader));
    let id = Key::of_remote("lunch").to_string();
    for text in [&id, &id[..8], &id.to_uppercase(), &format!(" {id} ")] {
        assert_eq!(look.show(text).unwrap().subject.as_deref(), Some("lunch"), "{text}");
    }
    world.run("UPDATE event SET body_preview = 'short'");
    assert_eq!(look.show(&id).unwrap().body.as_deref(), Some("short"));
    world.run("INSERT INTO event_body SELECT id, 'short and the rest of it' FROM event");
    assert_eq!(look.show(&id).unwrap().body.as_deref(), Some("short and the rest of it"));
    let answer = look.agenda(&AgendaAsk::default()).unwrap();
    assert_eq!(answer.items[0].body, None);
    for text in ["", "abc", &id[..3], "ffffffffffffffffffffffffffffffff", "lunch"] {
        assert_eq!(look.show(text).unwrap_err().kind(), ErrorKind::NotFound, "{text}");
    }
}

#[test]
fn free_slots_are_what_busy_leaves_of_the_working_hours() {
    // A Friday; the next working day is Monday.
    let world = World::new("Europe/Berlin", "2026-07-03T10:00");
    world.put(1, "running", "2026-07-03T09:30", "2026-07-03T10:30", "busy");
    world.put(2, "overlapping", "2026-07-03T10:15", "2026-07-03T11:00", "tentative");
    world.put(1, "reachable", "2026-07-03T13:00", "2026-07-03T14:00", "working_elsewhere");
    world.put(1, "late", "2026-07-03T16:00", "2026-07-03T20:00", "oof");
    world.put(1, "declined", "2026-07-03T12:00", "2026-07-03T13:00", "busy");
    world.put(1, "cancelled", "2026-07-03T12:00", "2026-07-03T13:00", "busy");
    world.put(1, "leave", "2026-07-06", "2026-07-07", "oof");
    world.run("UPDATE event SET response = 'declined' WHERE subject = 'declined'");
    world.run("UPDATE event SET is_cancelled = 1 WHERE subject = 'cancelled'");
    let reader = world.reader();
    let look = world.look(Some(&reader));
    let text = |slots: Vec<calmirror::api::Slot>| {
        let text = |slot: &calmirror::api::Slot| format!("{} {}", &slot.start[5..16], &slot.end[5..16]);
        slots.iter().map(text).collect::<Vec<_>>()
    };
    let busy = look.busy(&BusyAsk::default()).unwrap();
    assert!(busy.fresh);
    assert_eq!(
        text(busy.items),
        ["07-03T10:00 07-03T11:00", "07-03T16:00 07-03T20:00", "07-06T00:00 07-07T00:00"]
    );
    let hours = WorkingHours {
        zone: world.zone.clone(),
        days: vec![Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri],
        start: NaiveTime::from_hms_opt(8, 0, 0).unwrap(),
        end: NaiveTime::from_hms_opt(17, 0, 0).unwrap(),
    };
    let range = BusyAsk { to_ms: world.at("2026-07-08"), ..BusyAsk::default() };
    let ask = FreeAsk { busy: range.clone(), min_ms: 3_600_000, hours: Some(hours.clone()) };
    assert_eq!(text(look.free(&ask).unwrap().items), ["07-03T11:00 07-03T16:00", "07-07T08:00 07-07T17:00"]);
    // Hours over midnight belong to the day on which they begin.
    let night = WorkingHours {
        days: vec![Weekday::Fri],
        start: NaiveTime::from_hms_opt(22, 0, 0).unwrap(),
        end: NaiveTime::from_hms_opt(6, 0, 0).unwrap(),
        ..hours
    };
    let ask = FreeAsk { busy: range, min_ms: 0, hours: Some(night) };
    assert_eq!(text(look.free(&ask).unwrap().items), ["07-03T22:00 07-04T06:00"]);
}

#[test]
fn search_answers_by_start_in_the_range_asked_for() {
    let world = World::new("Europe/Berlin", "2026-07-01T12:00");
    world.put(1, "Planung Zürich", "2026-07-02T09:00", "2026-07-02T10:00", "busy");
    world.put(2, "planung ZURICH, again", "2026-07-01T09:00", "2026-07-01T10:00", "busy");
    world.put(1, "Planung Zürich all day", "2026-07-05", "2026-07-06", "busy");
    let reader = world.reader();
    let look = world.look(Some(&reader));
    let search = |ask: SearchAsk| subjects(&look.search(&ask).unwrap().items).join("|");
    let text = "planung zür".to_owned();
    assert_eq!(
        search(SearchAsk { text: text.clone(), ..SearchAsk::default() }),
        "planung ZURICH, again|Planung Zürich|Planung Zürich all day"
    );
    assert_eq!(
        search(SearchAsk {
            text: text.clone(),
            from_ms: world.at("2026-07-02"),
            to_ms: world.at("2026-07-05"),
            ..SearchAsk::default()
        }),
        "Planung Zürich"
    );
    assert_eq!(
        search(SearchAsk { text: text.clone(), limit: Some(1), ..SearchAsk::default() }),
        "planung ZURICH, again"
    );
    assert_eq!(
        search(SearchAsk { text, calendars: vec![Key::of_remote("Team")], ..SearchAsk::default() }),
        "planung ZURICH, again"
    );
}

#[test]
fn a_range_that_cannot_be_meant_is_refused() {
    let world = World::new("UTC", "2026-07-01T12:00");
    let reader = world.reader();
    for mirror in [Some(&reader), None] {
        let look = world.look(mirror);
        for (from, to) in [("2026-07-02", "2026-07-01"), ("2000-01-01", "2026-07-01")] {
            let (from_ms, to_ms) = (world.at(from), world.at(to));
            let agenda = look.agenda(&AgendaAsk { from_ms, to_ms, ..AgendaAsk::default() });
            let busy = look.busy(&BusyAsk { from_ms, to_ms, ..BusyAsk::default() });
            assert_eq!(agenda.err().unwrap().kind(), ErrorKind::Usage);
            assert_eq!(busy.err().unwrap().kind(), ErrorKind::Usage);
        }
        let empty = AgendaAsk {
            from_ms: world.at("2026-07-01"),
            to_ms: world.at("2026-07-01"),
            ..AgendaAsk::default()
        };
        assert!(look.agenda(&empty).unwrap().items.is_empty());
    }
    assert_eq!(resolve_zone(&world.zones, "Mars/Olympus").unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(resolve_time(&world.zone, "soon").unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn calendars_are_named_by_id_or_name_or_their_beginnings() {
    let world = World::new("UTC", "2026-07-01T12:00");
    let reader = world.reader();
    let look = world.look(Some(&reader));
    let id = Key::of_remote("Team holidays").to_string();
    for (text, name) in [
        ("Calendar", "Calendar"),
        ("calendar", "Calendar"),
        ("cal", "Calendar"),
        // A whole name wins over the beginning of another.
        ("team", "Team"),
        ("Team h", "Team holidays"),
        (&id, "Team holidays"),
        (&id[..6], "Team holidays"),
        (&id.to_uppercase(), "Team holidays"),
    ] {
        assert_eq!(look.calendar(text).unwrap(), Key::of_remote(name), "{text}");
    }
    assert_eq!(look.calendar("tea").unwrap_err().kind(), ErrorKind::Refused);
    for text in ["", "  ", "Nothing"] {
        assert_eq!(look.calendar(text).unwrap_err().kind(), ErrorKind::NotFound, "{text}");
    }
    assert_eq!(world.look(None).calendar("team").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn freshness_follows_the_calendars_asked_for() {
    let world = World::new("UTC", "2026-07-01T12:00");
    let reader = world.reader();
    let fresh = |calendars: &[&str]| {
        let calendars = calendars.iter().map(|name| Key::of_remote(name)).collect();
        let answer =
            world.look(Some(&reader)).agenda(&AgendaAsk { calendars, ..AgendaAsk::default() }).unwrap();
        (answer.fresh, answer.as_of)
    };
    let at = |text: &str| Some(text.to_owned());
    assert_eq!(fresh(&[]), (true, at("2026-07-01T11:59:00+00:00")));
    world.run(&format!("UPDATE calendar SET pulled_at_ms = {} WHERE id = 2", utc_ms("2026-07-01T08:00Z")));
    assert_eq!(fresh(&[]), (false, at("2026-07-01T08:00:00+00:00")));
    assert_eq!(fresh(&["Calendar"]), (true, at("2026-07-01T11:59:00+00:00")));
    world.run("UPDATE calendar SET pulled_at_ms = NULL WHERE id = 3");
    assert_eq!(fresh(&[]), (false, None));
    world.run("UPDATE calendar SET error_kind = 'server_error', error_at_ms = 0 WHERE id = 1");
    assert_eq!(fresh(&["Calendar"]), (false, at("2026-07-01T11:59:00+00:00")));
    world.run(
        "UPDATE calendar SET error_kind = NULL; UPDATE account SET error_kind = 'offline', error_at_ms = 0",
    );
    assert_eq!(fresh(&["Calendar"]), (false, at("2026-07-01T11:59:00+00:00")));
}

#[test]
fn status_says_what_each_calendar_is_doing() {
    let world = World::new("UTC", "2026-07-01T12:00");
    world.put(2, "one", "2026-07-01T12:00", "2026-07-01T13:00", "busy");
    world.put(2, "two", "2026-07-01T12:00", "2026-07-01T13:00", "busy");
    let reader = world.reader();
    let facts = AccountFacts {
        name: "anna".to_owned(),
        source: "microsoft365".to_owned(),
        user: None,
        is_signed_in: true,
        sign_in: calmirror::api::SignInWay::User,
    };
    let status = || world.look(Some(&reader)).account_status(&facts).unwrap();
    let team = || status().calendars.into_iter().find(|calendar| calendar.name == "Team").unwrap();
    assert_eq!(status().user.as_deref(), Some("anna@contoso.com"));
    assert_eq!((team().state, team().events, team().cursor_age_s), (CalendarState::Ok, 2, Some(60)));
    assert_eq!(team().last_pull.as_deref(), Some("2026-07-01T11:59:00+00:00"));
    assert_eq!(status().network, NetworkState::Online);

    for (sql, state) in [
        (
            "INSERT INTO round (calendar_id, gen, window_from_ms, window_to_ms, started_at_ms) VALUES (2, 2, 0, 1, 0)",
            CalendarState::Resync,
        ),
        ("UPDATE calendar SET pulled_at_ms = NULL WHERE id = 2", CalendarState::Initial),
        ("INSERT INTO removal SELECT id, 2, 1, 0, 0 FROM event LIMIT 1", CalendarState::Initial),
        ("UPDATE removal SET is_held = 1", CalendarState::Held),
        (
            "UPDATE calendar SET error_kind = 'server_error', error_at_ms = 0 WHERE id = 2",
            CalendarState::Failed,
        ),
    ] {
        world.run(sql);
        assert_eq!(team().state, state, "{sql}");
    }
    assert_eq!(team().held_removals, 1);
    let future = utc_ms("2026-07-01T12:05Z");
    for (sql, network) in [
        ("UPDATE account SET error_kind = 'server_error', error_at_ms = 0".to_owned(), NetworkState::Online),
        ("UPDATE account SET error_kind = 'captive_portal'".to_owned(), NetworkState::Offline),
        (format!("UPDATE account SET throttled_until_ms = {future}"), NetworkState::Throttled),
        ("UPDATE account SET throttled_until_ms = 5, error_kind = NULL".to_owned(), NetworkState::Online),
        ("UPDATE account SET reached_at_ms = NULL".to_owned(), NetworkState::Offline),
    ] {
        world.run(&sql);
        assert_eq!(status().network, network, "{sql}");
        let until = status().throttled_until;
        assert_eq!(until.is_some(), network == NetworkState::Throttled, "{sql}");
    }
}

#[test]
fn where_there_is_no_mirror_yet_answers_are_empty_and_say_so() {
    let world = World::new("UTC", "2026-07-01T12:00");
    assert!(open_mirror(&world.directory.path().join("none.db")).unwrap().is_none());
    let look = world.look(None);
    let agenda = look.agenda(&AgendaAsk::default()).unwrap();
    assert_eq!((agenda.as_of, agenda.fresh, agenda.items.len()), (None, false, 0));
    assert_eq!(agenda.from, "2026-07-01T00:00:00+00:00");
    let next = look.agenda(&AgendaAsk { next: Some(3), ..AgendaAsk::default() }).unwrap();
    assert_eq!(next.from, next.to);
    assert!(
        look.search(&SearchAsk { text: "x".to_owned(), ..SearchAsk::default() }).unwrap().items.is_empty()
    );
    assert!(look.busy(&BusyAsk::default()).unwrap().items.is_empty());
    assert!(look.free(&FreeAsk::default()).unwrap().items.is_empty());
    assert!(look.changes(0, 10).unwrap().is_empty());
    assert_eq!(look.show("00000000").unwrap_err().kind(), ErrorKind::NotFound);
    let facts = AccountFacts {
        name: "anna".to_owned(),
        source: "microsoft365".to_owned(),
        user: None,
        is_signed_in: false,
        sign_in: calmirror::api::SignInWay::User,
    };
    let status = look.account_status(&facts).unwrap();
    assert_eq!((status.network, status.calendars.len()), (NetworkState::Offline, 0));
}

#[test]
fn the_event_object_has_its_published_shape() {
    let world = World::new("Europe/Berlin", "2026-07-01T12:00");
    world.put(1, "lunch", "2026-07-01T12:00", "2026-07-01T13:00", "busy");
    world.run(
        r#"UPDATE event SET ical_uid = 'uid', change_key = 'ck', body_preview = 'hello', location = 'Canteen',
            importance = 'high', is_cancelled = 1, organizer_name = 'Anna', organizer_address = 'anna@contoso.com',
            attendees = '[{"name":null,"address":"bob@contoso.com","type":"resource","response":"declined"}]',
            categories = '["Red"]', reminder_minutes = 0, online_provider = 'teams',
            online_join_url = 'https://teams.example/1', web_link = 'https://outlook.example/1',
            original_time_zone = 'tzone://Microsoft/Custom';
        INSERT INTO removal SELECT id, calendar_id, 1, 1, 0 FROM event;"#,
    );
    let reader = world.reader();
    let answer = world.look(Some(&reader)).agenda(&AgendaAsk::default()).unwrap();
    insta::assert_json_snapshot!(answer);
}

#[test]
fn only_time_that_every_calendar_asked_for_mirrors_can_be_free() {
    let world = World::new("Europe/Berlin", "2026-07-01T12:00");
    let reader = world.reader();
    let look = world.look(Some(&reader));
    let edge_ms = world.now_ms + 3 * 3_600_000;
    world.run(&format!("UPDATE calendar SET window_to_ms = {edge_ms} WHERE id = 2"));
    let free = look.free(&FreeAsk::default()).unwrap();
    assert_eq!(free.items.len(), 1);
    assert_eq!(free.items[0].end, "2026-07-01T15:00:00+02:00");
    assert_eq!(free.known.unwrap().to, "2026-07-01T15:00:00+02:00");
    // The narrow one does not matter where it was not asked for.
    let first = Key::of_remote("Calendar");
    let ask =
        FreeAsk { busy: BusyAsk { calendars: vec![first], ..BusyAsk::default() }, ..FreeAsk::default() };
    assert_eq!(look.free(&ask).unwrap().items[0].end, "2026-07-08T00:00:00+02:00");
    // A first sync that is not complete knows nothing for sure.
    world.run("UPDATE calendar SET pulled_at_ms = NULL WHERE id = 2");
    let free = look.free(&FreeAsk::default()).unwrap();
    assert_eq!((free.items.len(), free.as_of, free.known), (0, None, None));
}

#[test]
fn a_pause_that_the_server_asked_for_is_no_failure_of_a_calendar() {
    let world = World::new("Europe/Berlin", "2026-07-01T12:00");
    world.run("UPDATE calendar SET error_kind = 'throttled', error_at_ms = 0 WHERE id = 1");
    world.run(
        "UPDATE calendar SET error_kind = 'throttled', error_at_ms = 0, pulled_at_ms = NULL WHERE id = 2",
    );
    world.run("UPDATE calendar SET error_kind = 'timeout', error_at_ms = 0 WHERE id = 3");
    let reader = world.reader();
    let facts = AccountFacts {
        name: "anna".into(),
        source: "microsoft365".into(),
        user: None,
        is_signed_in: true,
        sign_in: calmirror::api::SignInWay::User,
    };
    let status = world.look(Some(&reader)).account_status(&facts).unwrap();
    let states: Vec<CalendarState> = status.calendars.iter().map(|calendar| calendar.state).collect();
    assert_eq!(states, [CalendarState::Ok, CalendarState::Initial, CalendarState::Failed]);
}
