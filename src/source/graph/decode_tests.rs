//! Fixtures of one oddity each, and the two readers held against each other.

use proptest::prelude::*;

use crate::model::{
    AttendeeType, Change, DAY_MS, Details, EventKind, EventRecord, Importance, Next, OnlineProvider,
    Response, Sensitivity, ShowAs,
};
use crate::source::graph::decode::{Listing, page};
use crate::source::graph::event::{Row, change, row_of};
use crate::source::graph::time;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../fixtures/graph/", $name, ".json")).as_slice()
    };
}

fn records(body: &[u8]) -> Vec<EventRecord> {
    let page = page(body, Listing::Delta).unwrap();
    assert_eq!(page.skipped, []);
    assert_eq!(page.bytes, body.len());
    let record = |change| match change {
        Change::Put(record) => record,
        Change::Gone(id) => panic!("{id:?} is gone"),
    };
    page.changes.into_iter().map(record).collect()
}

fn only(body: &[u8]) -> EventRecord {
    let mut records = records(body);
    assert_eq!(records.len(), 1);
    records.remove(0)
}

fn ms(text: &str) -> i64 {
    time::decode(text).unwrap().utc_ms()
}

fn details(record: &EventRecord) -> &Details {
    record.details.as_deref().unwrap()
}

#[test]
fn a_full_event_is_read_member_by_member() {
    let record = only(fixture!("page_with_full_event"));
    assert_eq!(record.remote_id.as_str(), "AAMkAGI1/+AAA=");
    assert_eq!(record.kind, EventKind::Single);
    assert_eq!(record.change_key.as_deref(), Some("ZlnW=="));
    assert_eq!(record.series, None);
    assert_eq!((record.start_ms, record.end_ms), (ms("2026-05-07T08:00:00"), ms("2026-05-07T09:00:00")));
    assert_eq!(record.modified_ms, Some(ms("2026-05-04T09:11:03.112")));
    assert_eq!(record.original_start_ms, None);
    let details = details(&record);
    assert_eq!(details.ical_uid.as_deref(), Some("040000008200E000"));
    assert_eq!(details.subject.as_deref(), Some("Plan"));
    assert_eq!(details.body.as_deref(), Some("First\nline"));
    assert_eq!(details.body_preview.as_deref(), Some("First\nline"));
    assert_eq!(details.location.as_deref(), Some("R1"));
    assert_eq!(details.original_time_zone.as_deref(), Some("W. Europe Standard Time"));
    assert_eq!(details.transaction_id.as_deref(), Some("4c3f1d0e"));
    assert_eq!(details.web_link.as_deref(), Some("https://outlook.example/owa/?itemid=1"));
    assert_eq!((details.is_all_day, details.is_cancelled, details.is_organizer), (false, false, true));
    assert_eq!(details.show_as, ShowAs::Oof);
    assert_eq!(details.sensitivity, Sensitivity::Private);
    assert_eq!(details.importance, Importance::High);
    assert_eq!(details.response, Response::Organizer);
    assert_eq!(details.categories, ["Blue category"]);
    assert_eq!(details.reminder_minutes, Some(15));
    assert_eq!(details.organizer.as_ref().unwrap().address.as_deref(), Some("a@x.test"));
    let attendee = &details.attendees[0];
    assert_eq!(attendee.person.name.as_deref(), Some("B"));
    assert_eq!((attendee.kind, attendee.response), (AttendeeType::Optional, Response::Tentative));
    let meeting = details.online_meeting.as_ref().unwrap();
    assert_eq!(meeting.provider, OnlineProvider::Teams);
    assert_eq!(meeting.join_url.as_deref(), Some("https://teams.example/l/1"));
}

#[test]
fn a_bare_occurrence_has_no_details_of_its_own() {
    let record = only(fixture!("page_with_bare_occurrence"));
    assert_eq!(record.kind, EventKind::Occurrence);
    assert_eq!(record.series.as_ref().unwrap().as_str(), "AAMkmaster");
    assert_eq!(record.change_key.as_deref(), Some("DwAAABYAAAC9"), "the content of the ETag");
    assert_eq!(record.details, None);
}

#[test]
fn a_full_occurrence_keeps_its_details() {
    let record = only(fixture!("page_with_full_occurrence"));
    assert_eq!(record.kind, EventKind::Occurrence);
    assert_eq!(details(&record).show_as, ShowAs::Busy);
    assert_eq!(details(&record).subject, None);
}

#[test]
fn a_ghost_master_is_told_by_its_kind() {
    let record = only(fixture!("page_with_ghost_master"));
    assert_eq!(record.kind, EventKind::Master);
    assert_eq!(record.series, None);
    assert_eq!(record.start_ms, ms("2024-01-08T09:00:00"));
    assert_eq!(details(&record).subject.as_deref(), Some("Standup"));
}

#[test]
fn an_exception_knows_its_slot() {
    let records = records(fixture!("page_with_exception"));
    assert_eq!(records[0].kind, EventKind::Exception);
    assert_eq!(records[0].original_start_ms, Some(ms("2026-07-20T07:00:00")));
    assert_eq!(records[1].original_start_ms, Some(ms("2026-07-27T07:00:00")));
}

#[test]
fn what_was_removed_is_gone_for_any_reason() {
    let page = page(fixture!("page_with_removed"), Listing::Delta).unwrap();
    let gone = |change: &Change| match change {
        Change::Gone(id) => id.as_str().to_owned(),
        Change::Put(_) => panic!("not gone"),
    };
    assert_eq!(page.changes.iter().map(gone).collect::<Vec<_>>(), ["AAMkgone", "AAMkgone2"]);
}

#[test]
fn all_day_events_are_whole_days_that_are_never_converted() {
    let day = ms("2026-05-14T00:00:00");
    let spans: Vec<_> = records(fixture!("page_with_all_day"))
        .iter()
        .map(|record| (record.start_ms - day, record.end_ms - day, details(record).is_all_day))
        .collect();
    assert_eq!(spans, [(0, 2 * DAY_MS, true), (0, DAY_MS, true), (0, DAY_MS, true)]);
}

#[test]
fn null_is_the_same_as_missing() {
    let record = only(fixture!("page_with_nulls"));
    let details = details(&record);
    assert_eq!(record.change_key.as_deref(), Some("k"));
    assert_eq!((&details.subject, &details.body, &details.location), (&None, &None, &None));
    assert_eq!((details.show_as, details.response), (ShowAs::Unknown, Response::None));
    assert!(details.attendees.is_empty() && details.categories.is_empty() && details.organizer.is_none());
    assert_eq!((details.reminder_minutes, &details.online_meeting), (None, &None));
}

#[test]
fn values_of_the_future_read_as_unknown() {
    let record = only(fixture!("page_with_unknown_values"));
    assert_eq!(record.start_ms, ms("2026-05-07T08:00:00"), "capitalised members are read too");
    let details = details(&record);
    assert_eq!(details.show_as, ShowAs::Unknown);
    assert_eq!(details.sensitivity, Sensitivity::Normal);
    assert_eq!(details.importance, Importance::Normal);
    assert_eq!(details.attendees[0].kind, AttendeeType::Required);
    assert_eq!(details.online_meeting.as_ref().unwrap().provider, OnlineProvider::Other);
}

#[test]
fn no_reminder_is_not_a_reminder_at_the_start() {
    let minutes: Vec<_> = records(fixture!("page_with_reminders"))
        .iter()
        .map(|record| details(record).reminder_minutes)
        .collect();
    assert_eq!(minutes, [None, Some(0)]);
}

#[test]
fn an_html_body_is_read_as_text() {
    let record = only(fixture!("page_with_html_body"));
    assert_eq!(details(&record).body.as_deref(), Some("Agenda & notes\none\ntwo"));
}

#[test]
fn an_empty_first_page_goes_on() {
    let page = page(fixture!("empty_first_page"), Listing::Delta).unwrap();
    assert!(page.changes.is_empty());
    let Next::Page(link) = page.next else { panic!("ended") };
    assert!(link.as_str().ends_with("?$skiptoken=R0usmc~-_%2b"));
}

#[test]
fn a_plain_listing_ends_without_a_link_and_a_delta_round_does_not() {
    let body = br#"{"value":[]}"#;
    assert_eq!(page(body, Listing::Plain).unwrap().next, Next::End);
    assert!(page(body, Listing::Delta).is_err());
    let cases = [
        ("https://g/v1.0/me/calendars/delta/calendarView?startDateTime=x", Listing::Plain),
        ("https://g/v1.0/me/calendars/a/calendarView?$skip=10", Listing::Plain),
        ("https://g/v1.0/me/calendars/a/events/b/instances?$skip=10", Listing::Plain),
        ("https://g/v1.0/me/calendarView/delta?startDateTime=x", Listing::Delta),
        ("https://g/v1.0/me/calendarView/delta()?$skiptoken=x", Listing::Delta),
        ("https://g/v1.0/me/calendarView/microsoft.graph.delta()?$deltaToken=x", Listing::Delta),
        ("https://g/v1.0/me/calendarView?$deltatoken=x", Listing::Delta),
        ("https://g/v1.0/opaque?$skip=10", Listing::Delta),
    ];
    for (link, listing) in cases {
        assert_eq!(Listing::of(link), listing, "{link}");
    }
}

/// The tolerant reader alone: a duplicate of the first member makes `serde_json` give up on the row.
fn tolerantly(slice: &str) -> Result<Change, crate::model::Skipped> {
    let doubled = slice.replacen('{', "{\"id\":null,\"id\":null,", 1);
    assert!(serde_json::from_str::<Row<'_>>(&doubled).is_err());
    row_of(&doubled).and_then(|row| change(&row))
}

#[test]
fn both_readers_say_the_same_of_every_fixture() {
    for body in [
        fixture!("page_with_full_event"),
        fixture!("page_with_bare_occurrence"),
        fixture!("page_with_full_occurrence"),
        fixture!("page_with_ghost_master"),
        fixture!("page_with_exception"),
        fixture!("page_with_removed"),
        fixture!("page_with_all_day"),
        fixture!("page_with_nulls"),
        fixture!("page_with_unknown_values"),
        fixture!("page_with_reminders"),
        fixture!("page_with_html_body"),
    ] {
        let page: serde_json::Value = serde_json::from_slice(body).unwrap();
        for row in page["value"].as_array().unwrap() {
            let slice = row.to_string();
            let fast = serde_json::from_str::<Row<'_>>(&slice).map(|row| change(&row)).unwrap();
            assert_eq!(fast, tolerantly(&slice));
            assert!(fast.is_ok());
        }
    }
}

/// A row of members that are mostly right.
fn any_row() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof![Just(serde_json::Value::Null), "[ -~é😀\\n\\\\\"]{0,12}".prop_map(Into::into)];
    let odd = prop_oneof![
        text.clone(),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        Just(serde_json::json!([])),
        Just(serde_json::json!({"dateTime": "2026-05-07T08:00:00", "displayName": "d", "content": "<p>c"})),
        Just(serde_json::json!([{"type": "resource", "emailAddress": {"name": "n"}}, null, 7])),
    ];
    let names = [
        "type",
        "seriesMasterId",
        "subject",
        "body",
        "location",
        "isAllDay",
        "showAs",
        "categories",
        "attendees",
        "organizer",
        "recurrence",
        "isReminderOn",
        "reminderMinutesBeforeStart",
        "onlineMeeting",
        "originalStart",
        "@odata.etag",
        "changeKey",
        "webLink",
        "@removed",
        "extra",
    ];
    (text, proptest::collection::vec((proptest::sample::select(names.to_vec()), odd), 0..8)).prop_map(
        |(id, members)| {
            let mut row = serde_json::json!({
                "id": id,
                "type": "singleInstance",
                "start": {"dateTime": "2026-05-07T08:00:00.0000000", "timeZone": "UTC"},
                "end": {"dateTime": "2026-05-07T09:00:00.0000000", "timeZone": "UTC"},
            });
            for (name, value) in members {
                row[name] = value;
            }
            row
        },
    )
}

proptest! {
    #[test]
    fn both_readers_say_the_same_of_any_row(row in any_row()) {
        let slice = row.to_string();
        if let Ok(fast) = serde_json::from_str::<Row<'_>>(&slice) {
            // An array reads as an object by position in serde; the tolerant reader takes it for nothing.
            prop_assert_eq!(change(&fast), tolerantly(&slice));
        }
    }

    #[test]
    fn no_bytes_make_a_page_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _any_end_will_do = page(&bytes, Listing::Delta);
    }

    #[test]
    fn no_damage_makes_a_page_panic(at in 0_usize..2000, byte in any::<u8>(), cut in 0_usize..2500) {
        let mut bytes = fixture!("page_with_full_event").to_vec();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        bytes.truncate(cut.max(1));
        let _any_end_will_do = page(&bytes, Listing::Delta);
    }
}
