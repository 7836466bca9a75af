use super::*;
use crate::model::{
    DAY_MS, Details, EventKind, EventView, Importance, Key, Response, Sensitivity, ShowAs, Window,
};

const HOUR: i64 = 3_600_000;

fn event(name: &str, start_ms: i64, end_ms: i64) -> EventView {
    EventView {
        key: Key::of_remote(name),
        calendar: Key::of_remote("calendar"),
        kind: EventKind::Single,
        series: None,
        remote_id: None,
        change_key: None,
        start_ms,
        end_ms,
        is_unconfirmed: false,
        pending: None,
        is_in_conflict: false,
        details: Box::new(Details {
            ical_uid: None,
            subject: Some(name.to_owned()),
            body: None,
            body_preview: None,
            location: None,
            is_all_day: false,
            is_cancelled: false,
            is_organizer: false,
            show_as: ShowAs::Busy,
            sensitivity: Sensitivity::Normal,
            importance: Importance::Normal,
            response: Response::None,
            categories: Vec::new(),
            organizer: None,
            attendees: Vec::new(),
            reminder_minutes: None,
            online_meeting: None,
            web_link: None,
            original_time_zone: None,
            transaction_id: None,
        }),
    }
}

fn all_day(name: &str, first_day: i64, days: i64) -> EventView {
    let mut event = event(name, first_day * DAY_MS, (first_day + days) * DAY_MS);
    event.details.is_all_day = true;
    event
}

/// A zone two hours ahead of UTC.
fn ahead(date_ms: i64) -> i64 {
    date_ms - 2 * HOUR
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().filter_map(|entry| entry.event.details.subject.as_deref()).collect()
}

fn window(from_ms: i64, to_ms: i64) -> Window {
    Window { from_ms, to_ms }
}

#[test]
fn an_event_belongs_to_a_range_that_it_shares_an_instant_with() {
    let day = window(100 * HOUR, 124 * HOUR);
    for (name, start, end, belongs) in [
        ("inside", 101, 102, true),
        ("ends at the first instant", 99, 100, false),
        ("begins at the last", 124, 125, false),
        ("reaches in", 99, 101, true),
        ("reaches out", 123, 130, true),
        ("covers all", 0, 1000, true),
        ("without length at the first instant", 100, 100, true),
        ("without length inside", 110, 110, true),
        ("without length at the end", 124, 124, false),
        ("ends before it begins", 110, 90, true),
        ("ends before it begins, outside", 90, 80, false),
    ] {
        let found = overlapping(vec![event(name, start * HOUR, end * HOUR)], day, &ahead);
        assert_eq!(!found.is_empty(), belongs, "{name}");
    }
}

#[test]
fn an_all_day_event_belongs_to_the_local_days_of_its_dates() {
    // The local day 10 of a zone two hours ahead.
    let day = window(ahead(10 * DAY_MS), ahead(11 * DAY_MS));
    for (name, first, days, belongs) in [
        ("day before", 9, 1, false),
        ("the day", 10, 1, true),
        ("day after", 11, 1, false),
        ("three", 9, 3, true),
    ] {
        assert_eq!(!overlapping(vec![all_day(name, first, days)], day, &ahead).is_empty(), belongs, "{name}");
    }
}

#[test]
fn entries_come_by_start_then_all_day_first_then_end_then_id() {
    let midnight = ahead(10 * DAY_MS);
    let (one, two) = if Key::of_remote("x") < Key::of_remote("y") { ("x", "y") } else { ("y", "x") };
    let events = vec![
        event("later", midnight + HOUR, midnight + 2 * HOUR),
        event(two, midnight, midnight + 2 * HOUR),
        event(one, midnight, midnight + 2 * HOUR),
        event("short", midnight, midnight + HOUR),
        all_day("two days", 10, 2),
        all_day("one day", 10, 1),
        event("earlier", midnight - HOUR, midnight + 9 * HOUR),
    ];
    let found = overlapping(events.clone(), window(midnight, midnight + DAY_MS), &ahead);
    assert_eq!(names(&found), ["earlier", "one day", "two days", "short", one, two, "later"]);
    let next = next(events, window(midnight, i64::MAX), 3, &ahead);
    assert_eq!(names(&next), ["earlier", "one day", "two days"]);
}

#[test]
fn what_blocks_a_time_is_what_free_busy_says() {
    let range = window(0, DAY_MS);
    let with = |change: &dyn Fn(&mut Details), blocking| {
        let mut event = event("e", HOUR, 2 * HOUR);
        change(&mut event.details);
        !busy(&overlapping(vec![event], range, &ahead), range, blocking).is_empty()
    };
    let usual = Blocking::default();
    let strict = Blocking { tentative: true, working_elsewhere: true };
    let loose = Blocking { tentative: false, working_elsewhere: false };
    let shown = |show_as, blocking| with(&move |d: &mut Details| d.show_as = show_as, blocking);
    for (show_as, by_usual, by_strict, by_loose) in [
        (ShowAs::Busy, true, true, true),
        (ShowAs::Oof, true, true, true),
        (ShowAs::Unknown, true, true, true),
        (ShowAs::Tentative, true, true, false),
        (ShowAs::WorkingElsewhere, false, true, false),
        (ShowAs::Free, false, false, false),
    ] {
        assert_eq!(shown(show_as, usual), by_usual, "{show_as:?}");
        assert_eq!(shown(show_as, strict), by_strict, "{show_as:?}");
        assert_eq!(shown(show_as, loose), by_loose, "{show_as:?}");
    }
    assert!(!with(&|d| d.is_cancelled = true, strict));
    assert!(!with(&|d| d.response = Response::Declined, strict));
    assert!(with(&|d| d.response = Response::NotResponded, usual));
}

#[test]
fn busy_blocks_are_cut_to_the_range_and_merged() {
    let range = window(10 * HOUR, 20 * HOUR);
    let events = vec![
        event("reaches in", 8 * HOUR, 11 * HOUR),
        event("touches", 11 * HOUR, 12 * HOUR),
        event("within", 10 * HOUR, 11 * HOUR),
        event("apart", 14 * HOUR, 15 * HOUR),
        event("instant", 16 * HOUR, 16 * HOUR),
        event("reaches out", 19 * HOUR, 30 * HOUR),
    ];
    let blocks = busy(&overlapping(events, range, &ahead), range, Blocking::default());
    let expected = [window(10 * HOUR, 12 * HOUR), window(14 * HOUR, 15 * HOUR), window(19 * HOUR, 20 * HOUR)];
    assert_eq!(blocks, expected);

    assert_eq!(free(&blocks, range, 0, None), [window(12 * HOUR, 14 * HOUR), window(15 * HOUR, 19 * HOUR)]);
    assert_eq!(free(&blocks, range, 3 * HOUR, None), [window(15 * HOUR, 19 * HOUR)]);
    let hours = [window(9 * HOUR, 13 * HOUR), window(14 * HOUR, 18 * HOUR)];
    assert_eq!(
        free(&blocks, range, HOUR, Some(&hours)),
        [window(12 * HOUR, 13 * HOUR), window(15 * HOUR, 18 * HOUR)]
    );
    assert_eq!(free(&[], range, HOUR, None), [range]);
    assert_eq!(free(&[range], range, HOUR, None), []);
}

#[test]
fn an_all_day_absence_takes_the_whole_local_day() {
    let range = window(0, 20 * DAY_MS);
    let blocks = busy(&overlapping(vec![all_day("leave", 10, 2)], range, &ahead), range, Blocking::default());
    assert_eq!(blocks, [window(ahead(10 * DAY_MS), ahead(12 * DAY_MS))]);
}

#[test]
fn an_answer_is_as_old_as_its_oldest_calendar() {
    let pulled = |at_ms, is_failing| Pulled { at_ms, is_failing };
    let now = 100 * FRESH_MS;
    for (name, calendars, as_of_ms, is_fresh) in [
        ("none asked", vec![], None, false),
        ("just now", vec![pulled(Some(now), false)], Some(now), true),
        ("almost old", vec![pulled(Some(now - FRESH_MS + 1), false)], Some(now - FRESH_MS + 1), true),
        ("old", vec![pulled(Some(now - FRESH_MS), false)], Some(now - FRESH_MS), false),
        ("one never pulled", vec![pulled(Some(now), false), pulled(None, false)], None, false),
        ("never first", vec![pulled(None, false), pulled(Some(now), false)], None, false),
        ("the oldest counts", vec![pulled(Some(now), false), pulled(Some(9), false)], Some(9), false),
        ("failing", vec![pulled(Some(now), true)], Some(now), false),
        ("clock set back", vec![pulled(Some(now * 2), false)], Some(now * 2), false),
    ] {
        assert_eq!(freshness(&calendars, now), Freshness { as_of_ms, is_fresh }, "{name}");
    }
}
