use super::*;
use crate::model::{
    Attendee, AttendeeType, Details, EventKind, Importance, Invitee, Key, Person, RemoteId, Response,
    Sensitivity, ShowAs,
};

const NOW_MS: i64 = 1_772_438_400_000;
const HOUR_MS: i64 = 3_600_000;
const CONFIRM_MS: i64 = 72 * HOUR_MS;

fn person(address: &str) -> Person {
    Person { name: None, address: Some(address.to_owned()) }
}

fn row(subject: &str, change_key: &str) -> EventRecord {
    EventRecord {
        remote_id: RemoteId::new("event"),
        kind: EventKind::Single,
        change_key: Some(change_key.to_owned()),
        series: None,
        start_ms: NOW_MS,
        end_ms: NOW_MS + HOUR_MS,
        original_start_ms: None,
        modified_ms: None,
        details: Some(Box::new(Details {
            ical_uid: None,
            subject: Some(subject.to_owned()),
            body: None,
            body_preview: None,
            location: None,
            is_all_day: false,
            is_cancelled: false,
            is_organizer: true,
            show_as: ShowAs::Busy,
            sensitivity: Sensitivity::Normal,
            importance: Importance::Normal,
            response: Response::NotResponded,
            categories: Vec::new(),
            organizer: None,
            attendees: Vec::new(),
            reminder_minutes: None,
            online_meeting: None,
            web_link: None,
            original_time_zone: Some("UTC".to_owned()),
            transaction_id: None,
        })),
    }
}

fn change(record: EventRecord, change: impl FnOnce(&mut Details)) -> EventRecord {
    let mut record = record;
    change(record.details.as_deref_mut().unwrap());
    record
}

fn edit(intent: Intent) -> OpenEdit {
    let is_create = matches!(intent, Intent::Create(_));
    OpenEdit {
        n: 1,
        event: Key::of_remote("event"),
        series: None,
        calendar: Key::of_remote("calendar"),
        calendar_remote: RemoteId::new("calendar"),
        remote: (!is_create).then(|| RemoteId::new("event")),
        intent,
        base: (!is_create).then(|| Box::new(row("before", "1"))),
        body: None,
        transaction_id: None,
        state: EditState::Waiting,
        attempts: 0,
        next_attempt_ms: None,
        problem: None,
        notifies: 0,
        is_confirmed: false,
        created_at_ms: NOW_MS,
    }
}

fn subject(text: &str) -> Fields {
    Fields { subject: Some(text.to_owned()), ..Fields::default() }
}

fn respond(answer: Answer, is_silent: bool) -> Intent {
    Intent::Respond { answer, comment: String::new(), is_silent }
}

fn forward(to: &str) -> Intent {
    Intent::Forward { to: vec![person(to)], comment: String::new() }
}

fn guest(address: &str) -> Attendee {
    Attendee { person: person(address), kind: AttendeeType::Required, response: Response::None }
}

#[test]
fn every_edit_begins_in_one_way() {
    let waiting = |intent| edit(intent);
    let update = || waiting(Intent::Update(subject("after")));
    let old = |edit: OpenEdit| OpenEdit { created_at_ms: NOW_MS - CONFIRM_MS - 1, ..edit };
    let mailing = |edit: OpenEdit| OpenEdit { notifies: 2, ..edit };
    let unversioned = |edit: OpenEdit| OpenEdit {
        base: Some(Box::new(EventRecord { change_key: None, ..row("before", "1") })),
        ..edit
    };
    let cases = [
        ("a create", waiting(Intent::Create(subject("a"))), Opening::Send),
        (
            "a create that failed before",
            OpenEdit { attempts: 1, ..waiting(Intent::Create(subject("a"))) },
            Opening::Look,
        ),
        ("an update", update(), Opening::Send),
        ("an update that failed before", OpenEdit { attempts: 3, ..update() }, Opening::Send),
        ("an update of a row without a version", unversioned(update()), Opening::Look),
        ("a deletion of a row without a version", unversioned(waiting(Intent::Delete)), Opening::Look),
        (
            "an answer to a row without a version",
            unversioned(waiting(respond(Answer::Accept, false))),
            Opening::Send,
        ),
        ("an event that never came to the server", OpenEdit { remote: None, ..update() }, Opening::Lost),
        ("a crash", OpenEdit { state: EditState::Sending, ..update() }, Opening::Look),
        (
            "a crash with an old mail",
            OpenEdit { state: EditState::Sending, ..old(mailing(update())) },
            Opening::Look,
        ),
        ("a mail", mailing(update()), Opening::Send),
        ("an old mail", old(mailing(update())), Opening::Confirm),
        (
            "an old mail that was confirmed",
            OpenEdit { is_confirmed: true, ..old(mailing(update())) },
            Opening::Send,
        ),
        ("an old edit that mails nobody", old(update()), Opening::Send),
        (
            "an edit from a clock that was put back",
            OpenEdit { created_at_ms: NOW_MS + CONFIRM_MS * 2, ..mailing(update()) },
            Opening::Send,
        ),
        ("a cancellation", waiting(Intent::Cancel { comment: String::new() }), Opening::Send),
        ("a forward", waiting(forward("c@x.test")), Opening::Send),
        ("a snooze", waiting(Intent::Snooze { until_ms: NOW_MS }), Opening::Send),
        ("a dismissal", waiting(Intent::Dismiss), Opening::Send),
    ];
    for (name, edit, expected) in cases {
        assert_eq!(open(&edit, NOW_MS, CONFIRM_MS), expected, "{name}");
    }
}

fn found(edit: &OpenEdit, theirs: &EventRecord, why: Why) -> &'static str {
    match weigh(edit, theirs, why) {
        Finding::Landed => "landed",
        Finding::Free => "free",
        Finding::Merged(_) => "merged",
        Finding::Clash(_) => "clash",
        Finding::DeletedHere => "deleted here",
        Finding::Untold => "untold",
    }
}

#[test]
fn every_row_says_one_thing_about_an_edit() {
    use Why::{NotDone, Unclear};
    let update = || edit(Intent::Update(subject("after")));
    let both = || {
        let guests = vec![Invitee { person: person("c@x.test"), kind: AttendeeType::Required }];
        edit(Intent::Update(Fields { attendees: Some(guests), ..subject("after") }))
    };
    let cancel = || edit(Intent::Cancel { comment: String::new() });
    let accept = || edit(respond(Answer::Accept, false));
    let silent = || edit(respond(Answer::Accept, true));
    let accepted = || change(row("before", "2"), |details| details.response = Response::Accepted);
    let cancelled = || change(row("before", "2"), |details| details.is_cancelled = true);
    let accept_again =
        |is_silent| OpenEdit { base: Some(Box::new(accepted())), ..edit(respond(Answer::Accept, is_silent)) };
    let cases = [
        ("an update that landed", update(), row("after", "2"), Unclear, "landed"),
        ("an update that did not", update(), row("before", "1"), Unclear, "free"),
        ("a key that was rotated", update(), row("before", "2"), NotDone, "free"),
        ("the same wish of somebody else", update(), row("after", "2"), NotDone, "landed"),
        (
            "another field of others",
            update(),
            change(row("before", "2"), |details| details.location = Some("room".into())),
            NotDone,
            "free",
        ),
        ("the same field of others", update(), row("theirs", "2"), NotDone, "clash"),
        ("the same field of others after a lost reply", update(), row("theirs", "2"), Unclear, "clash"),
        (
            "another guest of others",
            both(),
            change(row("before", "2"), |details| details.attendees = vec![guest("d@x.test")]),
            NotDone,
            "merged",
        ),
        ("half of it", both(), row("after", "2"), NotDone, "merged"),
        ("an update without a base", OpenEdit { base: None, ..update() }, row("x", "2"), NotDone, "free"),
        ("a deletion", edit(Intent::Delete), row("before", "2"), NotDone, "free"),
        ("a deletion after a lost reply", edit(Intent::Delete), row("before", "1"), Unclear, "free"),
        ("a deletion of a changed event", edit(Intent::Delete), row("theirs", "2"), NotDone, "deleted here"),
        ("a deletion of a cancelled event", edit(Intent::Delete), cancelled(), NotDone, "free"),
        (
            "a deletion when others answered",
            edit(Intent::Delete),
            change(row("before", "2"), |details| details.response = Response::Tentative),
            NotDone,
            "free",
        ),
        ("a cancellation that landed", cancel(), cancelled(), Unclear, "landed"),
        ("a cancellation nobody can tell of", cancel(), row("before", "1"), Unclear, "untold"),
        ("a cancellation that was refused", cancel(), row("before", "1"), NotDone, "free"),
        ("an answer that landed", accept(), accepted(), Unclear, "landed"),
        ("an answer nobody can tell of", accept(), row("before", "1"), Unclear, "untold"),
        ("an answer that was refused", accept(), row("before", "2"), NotDone, "free"),
        ("a silent answer that landed", silent(), accepted(), Unclear, "landed"),
        ("a silent answer that did not", silent(), row("before", "1"), Unclear, "free"),
        ("the same answer again", accept_again(false), accepted(), Unclear, "untold"),
        ("the same answer again, silently", accept_again(true), accepted(), Unclear, "landed"),
        ("the same answer again, refused", accept_again(false), accepted(), NotDone, "free"),
        (
            "a forward that landed",
            edit(forward("C@x.test")),
            change(row("before", "2"), |details| details.attendees = vec![guest("c@x.test")]),
            Unclear,
            "landed",
        ),
        (
            "a forward to somebody who was invited before",
            OpenEdit {
                base: Some(Box::new(change(row("before", "1"), |d| d.attendees = vec![guest("c@x.test")]))),
                ..edit(forward("c@x.test"))
            },
            change(row("before", "2"), |details| details.attendees = vec![guest("c@x.test")]),
            Unclear,
            "untold",
        ),
        ("a forward nobody can tell of", edit(forward("c@x.test")), row("before", "1"), Unclear, "untold"),
        ("a forward that was refused", edit(forward("c@x.test")), row("before", "1"), NotDone, "free"),
        ("a snooze", edit(Intent::Snooze { until_ms: NOW_MS }), row("before", "1"), Unclear, "free"),
        ("a dismissal", edit(Intent::Dismiss), row("before", "1"), Unclear, "free"),
    ];
    for (name, edit, theirs, why, expected) in cases {
        assert_eq!(found(&edit, &theirs, why), expected, "{name}");
    }
}

#[test]
fn every_absence_means_one_thing() {
    let cases = [
        (Intent::Create(subject("a")), Absence::NoCalendar),
        (Intent::Update(subject("a")), Absence::Conflict),
        (Intent::Delete, Absence::Done),
        (Intent::Cancel { comment: String::new() }, Absence::Done),
        (respond(Answer::Decline, false), Absence::Done),
        (respond(Answer::Accept, false), Absence::Moot),
        (respond(Answer::Tentative, true), Absence::Moot),
        (forward("c@x.test"), Absence::Moot),
        (Intent::Snooze { until_ms: NOW_MS }, Absence::Done),
        (Intent::Dismiss, Absence::Done),
    ];
    for (intent, expected) in cases {
        assert_eq!(judge_absence(&intent), expected, "{intent:?}");
    }
}

#[test]
fn every_policy_rules_a_clash_in_one_way() {
    let merged = Merged {
        send: subject("send"),
        contested: Fields { location: Some("mine".into()), ..Fields::default() },
        clashes: Vec::new(),
    };
    let all = Fields { location: Some("mine".into()), ..subject("send") };
    let cases = [
        (Policy::Theirs, Some(Keep::Theirs), subject("send")),
        (Policy::Mine, Some(Keep::Mine), all.clone()),
        (Policy::Ask, None, all),
    ];
    for (policy, resolution, remaining) in cases {
        let ruling = rule_fields(policy, &merged);
        assert_eq!((ruling.resolution, ruling.remaining), (resolution, Some(remaining)), "{policy:?}");
        assert_eq!(rule_deletion(policy).resolution, resolution, "{policy:?}");
    }
}
