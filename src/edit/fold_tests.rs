use super::*;
use crate::edit::sample::{NINE_MS, edit, event, invitation, invitee, person, record, times, with};
use crate::model::{Problem, Reminder};

fn subject(text: &str) -> Intent {
    Intent::Update(Fields { subject: Some(text.to_owned()), ..Fields::default() })
}

fn location(text: &str) -> Fields {
    Fields { location: Some(text.to_owned()), ..Fields::default() }
}

fn create() -> Intent {
    Intent::Create(Fields { times: Some(times(NINE_MS, 1)), ..Fields::default() })
}

fn respond(answer: Answer, is_silent: bool) -> Intent {
    Intent::Respond { answer, comment: String::new(), is_silent }
}

fn forward() -> Intent {
    Intent::Forward { to: vec![person("c@x.test")], comment: String::new() }
}

fn sending(edit: OpenEdit) -> OpenEdit {
    OpenEdit { state: EditState::Sending, ..edit }
}

fn parked(edit: OpenEdit, kind: &str, status: Option<u16>) -> OpenEdit {
    let problem = Problem { kind: kind.to_owned(), status, code: None, at_ms: 0 };
    OpenEdit { state: EditState::Parked, attempts: 1, problem: Some(problem), ..edit }
}

/// An edit of an instance of the event's series.
fn of_instance(n: i64, intent: Intent) -> OpenEdit {
    OpenEdit { event: Key::of_remote("instance"), series: Some(event()), ..edit(n, intent) }
}

fn append(intent: Intent) -> Fold {
    Fold::Append { intent, drop: Vec::new() }
}

fn instead_of(drop: &[i64], intent: Intent) -> Fold {
    Fold::Append { intent, drop: drop.to_vec() }
}

fn put(open: &[OpenEdit], wish: &Intent) -> Fold {
    fold(event(), open, wish, Some(&record())).unwrap()
}

fn put_invited(open: &[OpenEdit], wish: &Intent) -> Fold {
    fold(event(), open, wish, Some(&invitation())).unwrap()
}

#[test]
fn a_wish_for_what_is_so_already_leaves_no_trace() {
    assert_eq!(put(&[], &subject("Review ")), Fold::Drop { ns: vec![] });
    assert_eq!(put(&[edit(1, subject("New"))], &subject("New")), Fold::Drop { ns: vec![] });
    assert_eq!(put(&[sending(edit(1, subject("New")))], &subject("New")), Fold::Drop { ns: vec![] });
}

#[test]
fn only_what_differs_is_recorded() {
    let wish = Intent::Update(Fields { subject: Some("Review".into()), ..location("Room 2") });
    assert_eq!(put(&[], &wish), append(Intent::Update(location("Room 2"))));
}

#[test]
fn updates_become_one_and_an_undone_one_none() {
    let open = [edit(1, subject("New"))];
    let both = Intent::Update(Fields { subject: Some("New".into()), ..location("Room 2") });
    assert_eq!(put(&open, &Intent::Update(location("Room 2"))), Fold::Replace { n: 1, intent: both.clone() });
    assert_eq!(put(&open, &subject("Newer")), Fold::Replace { n: 1, intent: subject("Newer") });
    assert_eq!(put(&open, &subject("Review")), Fold::Drop { ns: vec![1] });
    let half = Fold::Replace { n: 1, intent: Intent::Update(location("Room 2")) };
    assert_eq!(put(&[edit(1, both)], &subject("Review")), half);
}

#[test]
fn a_create_takes_the_changes_until_it_was_tried() {
    let Intent::Create(fields) = create() else { unreachable!() };
    let wish = Intent::Update(location("Room 2"));
    let merged = Intent::Create(location("Room 2").over(fields));
    let put = |open: OpenEdit| fold(event(), &[open], &wish, None).unwrap();
    let fresh = edit(1, create());
    assert_eq!(put(fresh.clone()), Fold::Replace { n: 1, intent: merged.clone() });
    assert_eq!(put(sending(fresh.clone())), append(wish.clone()));
    assert_eq!(put(OpenEdit { attempts: 1, ..fresh.clone() }), append(wish.clone()));
    assert_eq!(put(parked(fresh.clone(), "refused", Some(400))), Fold::Replace { n: 1, intent: merged });
    for status in [None, Some(408), Some(409), Some(503)] {
        assert_eq!(put(parked(fresh.clone(), "too_old", status)), append(wish.clone()), "{status:?}");
    }
}

#[test]
fn a_created_and_deleted_event_leaves_no_trace_until_it_was_tried() {
    let gone = |open: &[OpenEdit]| fold(event(), open, &Intent::Delete, None).unwrap();
    assert_eq!(gone(&[edit(1, create()), edit(2, forward())]), Fold::Drop { ns: vec![1, 2] });
    let tried = OpenEdit { attempts: 1, ..edit(1, create()) };
    assert_eq!(gone(&[tried.clone(), edit(2, subject("New"))]), instead_of(&[2], Intent::Delete));
    assert_eq!(gone(&[sending(tried)]), append(Intent::Delete));
}

#[test]
fn an_edit_under_way_is_never_touched() {
    for under_way in [sending(edit(1, subject("New"))), OpenEdit { attempts: 2, ..edit(1, subject("New")) }] {
        assert_eq!(put(std::slice::from_ref(&under_way), &subject("Newer")), append(subject("Newer")));
        // Back to what the server has is a change by then.
        assert_eq!(put(std::slice::from_ref(&under_way), &subject("Review")), append(subject("Review")));
        assert_eq!(put(&[under_way], &Intent::Delete), append(Intent::Delete));
    }
}

#[test]
fn a_parked_edit_is_fixed_by_the_next() {
    let refused = parked(edit(1, subject("Bad")), "refused", Some(400));
    assert_eq!(put(&[refused], &subject("Good")), Fold::Replace { n: 1, intent: subject("Good") });
    let held = parked(OpenEdit { attempts: 0, ..edit(1, subject("Bad")) }, "needs_confirmation", None);
    let held = OpenEdit { attempts: 0, ..held };
    assert_eq!(put(&[held], &subject("Good")), Fold::Replace { n: 1, intent: subject("Good") });
}

#[test]
fn a_deletion_makes_changes_needless_but_keeps_what_others_are_to_be_told() {
    let update = || edit(1, subject("New"));
    assert_eq!(
        put(&[update(), edit(2, Intent::Dismiss)], &Intent::Delete),
        instead_of(&[1, 2], Intent::Delete)
    );
    let cancel = Intent::Cancel { comment: "Sorry".into() };
    assert_eq!(put(&[update()], &cancel), instead_of(&[1], cancel.clone()));
    let cases = [
        ("an accept", respond(Answer::Accept, false), vec![1]),
        ("a decline", respond(Answer::Decline, false), vec![]),
        ("a silent decline", respond(Answer::Decline, true), vec![1]),
        ("an attendee's forward", forward(), vec![]),
    ];
    for (name, earlier, drop) in cases {
        assert_eq!(
            put_invited(&[edit(1, earlier)], &Intent::Delete),
            instead_of(&drop, Intent::Delete),
            "{name}"
        );
    }
    assert_eq!(
        put(&[edit(1, forward())], &Intent::Delete),
        instead_of(&[1], Intent::Delete),
        "an organizer's"
    );
}

#[test]
fn a_later_answer_takes_the_place_of_the_earlier() {
    let accept = respond(Answer::Accept, false);
    let decline = respond(Answer::Decline, false);
    assert_eq!(put_invited(&[], &accept), append(accept.clone()));
    assert_eq!(put_invited(&[edit(1, decline.clone())], &accept), instead_of(&[1], accept.clone()));
    assert_eq!(put_invited(&[sending(edit(1, decline.clone()))], &accept), append(accept.clone()));
    let accepted = with(|details| details.response = crate::model::Response::Accepted);
    let undone = fold(event(), &[edit(1, decline)], &accept, Some(&accepted)).unwrap();
    assert_eq!(undone, Fold::Drop { ns: vec![1] });
}

#[test]
fn reminders_replace_each_other_and_forwards_do_not() {
    let snooze = Intent::Snooze { until_ms: 5 };
    assert_eq!(put(&[edit(1, snooze.clone())], &Intent::Dismiss), instead_of(&[1], Intent::Dismiss));
    assert_eq!(put(&[edit(1, Intent::Dismiss)], &snooze), instead_of(&[1], snooze.clone()));
    assert_eq!(put(&[edit(1, forward())], &forward()), append(forward()));
}

#[test]
fn an_answer_in_between_keeps_its_place() {
    let open = [
        edit(1, Intent::Update(Fields { reminder: Some(Reminder::Off), ..Fields::default() })),
        edit(2, respond(Answer::Accept, false)),
    ];
    let wish = Intent::Update(Fields { categories: Some(vec![]), ..Fields::default() });
    assert_eq!(put_invited(&open, &wish), append(wish));
}

#[test]
fn a_field_that_others_changed_since_needs_a_base_of_its_own() {
    // The earlier edit was made when the place was still Room 1.
    let mut now = with(|details| details.location = Some("Room 2".into()));
    now.change_key = Some("v2".into());
    let open = [edit(1, subject("New"))];
    let back = Intent::Update(location("Room 1"));
    assert_eq!(fold(event(), &open, &back, Some(&now)).unwrap(), append(back));
    let newer = fold(event(), &open, &subject("Newer"), Some(&now)).unwrap();
    assert_eq!(newer, Fold::Replace { n: 1, intent: subject("Newer") });
}

#[test]
fn edits_of_series_and_instances_keep_their_order() {
    let open = [edit(1, subject("New")), of_instance(2, subject("Own"))];
    assert_eq!(put(&open, &subject("Newer")), append(subject("Newer")));
    assert_eq!(put(&open, &Intent::Delete), instead_of(&[1, 2], Intent::Delete));
    let of_series = [edit(1, subject("New"))];
    let own = fold(Key::of_remote("instance"), &of_series, &subject("Review"), Some(&record())).unwrap();
    assert_eq!(own, append(subject("Review")), "the series will say something else by then");
}

#[test]
fn what_will_be_deleted_takes_no_more_edits() {
    let put = |event: Key, open: &[OpenEdit]| fold(event, open, &subject("New"), Some(&record()));
    assert_eq!(put(event(), &[edit(7, Intent::Delete)]), Err(Refusal::BeingDeleted { n: 7 }));
    assert_eq!(
        put(Key::of_remote("instance"), &[edit(7, Intent::Delete)]),
        Err(Refusal::BeingDeleted { n: 7 })
    );
    // One instance less is no obstacle for its series.
    assert!(put(event(), &[of_instance(7, Intent::Delete)]).is_ok());
}

#[test]
fn an_event_in_conflict_waits_for_the_decision() {
    let open = [parked(edit(3, subject("Mine")), "conflict", Some(412))];
    for wish in [subject("New"), Intent::Delete] {
        assert_eq!(fold(event(), &open, &wish, Some(&record())), Err(Refusal::InConflict { n: 3 }));
    }
}

#[test]
fn the_same_guests_in_another_order_are_no_change() {
    let base = crate::edit::sample::meeting(&["a@x.test", "b@x.test"]);
    let wish = Intent::Update(Fields {
        attendees: Some(vec![invitee("B@x.test"), invitee("a@x.test")]),
        ..Fields::default()
    });
    assert_eq!(fold(event(), &[], &wish, Some(&base)).unwrap(), Fold::Drop { ns: vec![] });
}
