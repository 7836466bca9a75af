use super::*;
use crate::edit::sample::{invitation, meeting, record, with};
use crate::model::{Answer, Response};

#[test]
fn a_rotated_version_is_no_change() {
    let base = meeting(&["a@x.test", "b@x.test"]);
    let mut rotated = base.clone();
    rotated.change_key = Some("v2".to_owned());
    let details = rotated.details.as_deref_mut().unwrap();
    details.attendees.reverse();
    details.attendees[0].response = Response::Declined;
    details.body = Some("Agenda  \r\n".to_owned());
    assert!(is_unchanged(&base, &rotated));
}

#[test]
fn a_changed_or_cancelled_row_is_changed() {
    let base = record();
    assert!(!is_unchanged(&base, &with(|details| details.subject = None)));
    assert!(!is_unchanged(&base, &with(|details| details.is_cancelled = true)));
    assert!(!is_unchanged(&base, &EventRecord { end_ms: base.end_ms + 1, ..record() }));
}

#[test]
fn a_lost_reply_is_told_by_the_row() {
    let renamed = with(|details| details.subject = Some("New".to_owned()));
    let body = with(|details| details.body = Some("one\n\ntwo".to_owned()));
    let accepted = with(|details| details.response = Response::Accepted);
    let cancelled = with(|details| details.is_cancelled = true);
    let subject = Intent::Update(Fields { subject: Some("New".to_owned()), ..Fields::default() });
    let text = Intent::Update(Fields { body: Some("one\r\ntwo ".to_owned()), ..Fields::default() });
    let accept = Intent::Respond { answer: Answer::Accept, comment: String::new(), is_silent: false };
    let cancel = Intent::Cancel { comment: String::new() };
    let cases = [
        ("the subject is there", &subject, &renamed, true),
        ("the subject is not", &subject, &record(), false),
        ("the body came back with other blanks", &text, &body, true),
        ("another body", &text, &record(), false),
        ("answered", &accept, &accepted, true),
        ("not answered", &accept, &invitation(), false),
        ("called off", &cancel, &cancelled, true),
        ("not called off", &cancel, &record(), false),
        ("a dismissal leaves no mark", &Intent::Dismiss, &record(), false),
    ];
    for (name, intent, row, expected) in cases {
        assert_eq!(has_landed(intent, row), expected, "{name}");
    }
}
