use super::*;
use crate::edit::sample::{HOUR_MS, NINE_MS, days, edit, event, invitation, invitee, meeting, record, times};
use crate::model::{Answer, DAY_MS, Key, Problem};

fn update(change: impl FnOnce(&mut Fields)) -> Intent {
    let mut fields = Fields::default();
    change(&mut fields);
    Intent::Update(fields)
}

fn parked(edit: OpenEdit, kind: &str) -> OpenEdit {
    let problem = Problem { kind: kind.to_owned(), status: None, code: None, at_ms: 0 };
    OpenEdit { state: EditState::Parked, problem: Some(problem), ..edit }
}

fn details(shown: &Shown) -> &Details {
    shown.record.details.as_deref().unwrap()
}

#[test]
fn a_created_event_is_a_row_of_its_own() {
    let fields = Fields {
        subject: Some("Lunch".into()),
        times: Some(Times { zone: Some("Europe/Berlin".into()), ..days(20_731, 2) }),
        attendees: Some(vec![invitee("a@x.test")]),
        body: Some("x".repeat(300)),
        ..Fields::default()
    };
    let shown = overlay(None, &[&edit(1, Intent::Create(fields.clone()))]).unwrap();
    assert_eq!((shown.pending, shown.is_hidden, shown.is_conflict), (Pending::Create, false, false));
    assert_eq!((shown.record.kind, shown.record.remote_id.as_str()), (EventKind::Single, ""));
    assert!(details(&shown).is_all_day && details(&shown).is_organizer);
    assert_eq!(details(&shown).body_preview.as_ref().map(String::len), Some(255));
    assert!(crate::edit::has_landed(&Intent::Create(fields), &shown.record));
}

#[test]
fn fields_that_nobody_named_stay_and_an_empty_text_clears() {
    let base = meeting(&["a@x.test"]);
    let edits = [
        edit(1, update(|fields| fields.subject = Some(String::new()))),
        edit(2, update(|fields| fields.attendees = Some(vec![invitee("A@x.test"), invitee("b@x.test")]))),
        edit(3, update(|fields| fields.reminder = Some(Reminder::Off))),
    ];
    let shown = overlay(Some(&base), &edits.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!(shown.pending, Pending::Update);
    let details = details(&shown);
    assert_eq!((details.subject.as_deref(), details.reminder_minutes), (None, None));
    assert_eq!(details.location.as_deref(), Some("Room 1"));
    let answers: Vec<Response> = details.attendees.iter().map(|attendee| attendee.response).collect();
    assert_eq!(answers, [Response::Accepted, Response::None]);
}

#[test]
fn a_deleted_event_is_hidden_until_its_edit_is_parked() {
    for intent in [Intent::Delete, Intent::Cancel { comment: String::new() }] {
        let deleted = edit(1, intent);
        let shown = overlay(Some(&record()), &[&deleted]).unwrap();
        assert_eq!((shown.pending, shown.is_hidden), (Pending::Delete, true));
        let shown = overlay(Some(&record()), &[&parked(deleted, "forbidden")]).unwrap();
        assert_eq!((shown.pending, shown.is_hidden, shown.is_conflict), (Pending::Delete, false, false));
    }
}

#[test]
fn a_declined_invitation_stays_and_is_marked() {
    let decline = Intent::Respond { answer: Answer::Decline, comment: String::new(), is_silent: true };
    let shown = overlay(Some(&invitation()), &[&edit(1, decline)]).unwrap();
    assert_eq!((shown.pending, shown.is_hidden), (Pending::Respond, false));
    assert_eq!(details(&shown).response, Response::Declined);
}

#[test]
fn an_edit_in_conflict_shows_mine_and_says_so() {
    let mine = parked(edit(1, update(|fields| fields.subject = Some("Mine".into()))), "conflict");
    let shown = overlay(Some(&record()), &[&mine]).unwrap();
    assert!(shown.is_conflict);
    assert_eq!(details(&shown).subject.as_deref(), Some("Mine"));
}

#[test]
fn an_event_that_is_gone_there_is_shown_from_the_edits_base() {
    let shown = overlay(None, &[&edit(1, update(|fields| fields.location = Some("Here".into())))]).unwrap();
    assert_eq!(details(&shown).subject.as_deref(), Some("Review"));
    assert_eq!(details(&shown).location.as_deref(), Some("Here"));
}

#[test]
fn nothing_is_shown_where_there_is_nothing() {
    assert_eq!(overlay(Some(&record()), &[]), None);
    let orphan = OpenEdit { base: None, ..edit(1, Intent::Delete) };
    assert_eq!(overlay(None, &[&orphan]), None);
}

#[test]
fn a_changed_occurrence_is_an_exception_at_its_old_slot() {
    let occurrence = EventRecord { kind: EventKind::Occurrence, ..record() };
    let moved = edit(1, update(|fields| fields.times = Some(times(NINE_MS + HOUR_MS, 1))));
    let shown = overlay(Some(&occurrence), &[&moved]).unwrap();
    assert_eq!((shown.record.kind, shown.record.original_start_ms), (EventKind::Exception, Some(NINE_MS)));
}

/// An instance a week later.
fn instance(kind: EventKind) -> EventRecord {
    let start_ms = NINE_MS + 7 * DAY_MS;
    EventRecord { kind, start_ms, end_ms: start_ms + HOUR_MS, ..record() }
}

fn master() -> EventRecord {
    EventRecord { kind: EventKind::Master, ..record() }
}

fn in_series(instance: &EventRecord, edits: &[&OpenEdit]) -> Shown {
    overlay_instance(instance, &master(), edits, &Zones::bundled()).unwrap()
}

#[test]
fn an_occurrence_follows_its_series_by_the_wall_clock() {
    // 11:00 in Berlin, two hours long from 12:30 on; the clocks change on October 25.
    let times = times(NINE_MS + HOUR_MS * 3 / 2, 2);
    let series = edit(1, update(|fields| (fields.times, fields.subject) = (Some(times), Some("New".into()))));
    let mut winter = instance(EventKind::Occurrence);
    winter.start_ms += 21 * DAY_MS + HOUR_MS;
    winter.end_ms += 21 * DAY_MS + HOUR_MS;
    let shown = in_series(&winter, &[&series]);
    assert_eq!(shown.record.start_ms, winter.start_ms + HOUR_MS * 3 / 2);
    assert_eq!(shown.record.end_ms, shown.record.start_ms + 2 * HOUR_MS);
    assert_eq!(shown.record.kind, EventKind::Occurrence);
    assert_eq!(details(&shown).subject.as_deref(), Some("New"));
}

#[test]
fn an_exception_keeps_what_is_its_own() {
    let series = edit(
        1,
        update(|fields| {
            fields.subject = Some("New".into());
            fields.location = Some("New room".into());
            fields.times = Some(times(NINE_MS + HOUR_MS, 1));
        }),
    );
    let mut renamed = instance(EventKind::Exception);
    renamed.original_start_ms = Some(renamed.start_ms);
    renamed.details.as_deref_mut().unwrap().subject = Some("Special".into());
    let shown = in_series(&renamed, &[&series]);
    assert_eq!(details(&shown).subject.as_deref(), Some("Special"));
    assert_eq!(details(&shown).location.as_deref(), Some("New room"));
    assert_eq!(shown.record.start_ms, renamed.start_ms + HOUR_MS);

    let mut moved = instance(EventKind::Exception);
    moved.original_start_ms = Some(moved.start_ms - HOUR_MS);
    let shown = in_series(&moved, &[&series]);
    assert_eq!((shown.record.start_ms, details(&shown).subject.as_deref()), (moved.start_ms, Some("New")));
}

#[test]
fn edits_of_the_series_and_of_its_instance_apply_in_their_order() {
    let subject = |text: &str| update(|fields| fields.subject = Some(text.to_owned()));
    let own = |n, text: &str| OpenEdit {
        event: Key::of_remote("instance"),
        series: Some(event()),
        ..edit(n, subject(text))
    };
    let shown = in_series(&instance(EventKind::Occurrence), &[&own(1, "Own"), &edit(2, subject("Series"))]);
    assert_eq!(details(&shown).subject.as_deref(), Some("Own"), "it is an exception by then");
    let shown = in_series(&instance(EventKind::Occurrence), &[&edit(1, subject("Series")), &own(2, "Own")]);
    assert_eq!(details(&shown).subject.as_deref(), Some("Own"));
    let shown = in_series(
        &instance(EventKind::Occurrence),
        &[&edit(1, subject("First")), &edit(2, subject("Second"))],
    );
    assert_eq!(details(&shown).subject.as_deref(), Some("Second"));
}

#[test]
fn a_deleted_series_hides_every_instance() {
    for kind in [EventKind::Occurrence, EventKind::Exception] {
        let shown = in_series(&instance(kind), &[&edit(1, Intent::Delete)]);
        assert_eq!((shown.pending, shown.is_hidden), (Pending::Delete, true));
    }
}
