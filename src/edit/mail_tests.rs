use super::*;
use crate::edit::sample::{NINE_MS, invitation, invitee, meeting, person, record, times};
use crate::model::{Answer, Reminder, ShowAs};

#[test]
fn everybody_who_may_be_mailed_is_counted_once() {
    let of_two = meeting(&["a@x.test", "b@x.test"]);
    let mut cancelled = of_two.clone();
    cancelled.details.as_deref_mut().unwrap().is_cancelled = true;
    let with_organizer = meeting(&["ME@x.test", "a@x.test"]);
    let (own, invited) = (record(), invitation());
    let fields = Fields::default;
    let subject = Intent::Update(Fields { subject: Some("New".into()), ..fields() });
    let people =
        |addresses: &[&str]| Some(addresses.iter().map(|address| invitee(address)).collect::<Vec<_>>());
    let invite = |addresses: &[&str]| Fields { attendees: people(addresses), ..fields() };
    let to = Intent::Forward { to: vec![person("c@x.test"), person("C@x.test")], comment: String::new() };
    let answer = |is_silent| Intent::Respond { answer: Answer::Accept, comment: String::new(), is_silent };
    let cancel = Intent::Cancel { comment: String::new() };
    let cases: [(&str, Intent, Option<&EventRecord>, u32); 24] = [
        ("an appointment", Intent::Create(Fields { times: Some(times(NINE_MS, 1)), ..fields() }), None, 0),
        ("a meeting", Intent::Create(invite(&["a@x.test", "A@x.test", "b@x.test"])), None, 2),
        ("an appointment's subject", subject.clone(), Some(&own), 0),
        ("a meeting's subject", subject.clone(), Some(&of_two), 2),
        (
            "a subject that is so",
            Intent::Update(Fields { subject: Some("Review".into()), ..fields() }),
            Some(&of_two),
            0,
        ),
        (
            "an attendee's show_as",
            Intent::Update(Fields { show_as: Some(ShowAs::Free), ..fields() }),
            Some(&invited),
            0,
        ),
        (
            "a reminder",
            Intent::Update(Fields { reminder: Some(Reminder::Off), ..fields() }),
            Some(&of_two),
            0,
        ),
        ("one comes", Intent::Update(invite(&["a@x.test", "b@x.test", "c@x.test"])), Some(&of_two), 1),
        ("one goes, one comes", Intent::Update(invite(&["a@x.test", "c@x.test"])), Some(&of_two), 2),
        ("nobody comes or goes", Intent::Update(invite(&["B@x.test", "a@x.test"])), Some(&of_two), 0),
        (
            "one comes and the subject changes",
            Intent::Update(Fields { subject: Some("New".into()), ..invite(&["a@x.test", "c@x.test"]) }),
            Some(&of_two),
            3,
        ),
        ("the organizer is not mailed", subject, Some(&with_organizer), 1),
        ("the first guests of an appointment", Intent::Update(invite(&["a@x.test"])), Some(&own), 1),
        ("deleting an appointment", Intent::Delete, Some(&own), 0),
        ("deleting a meeting", Intent::Delete, Some(&of_two), 2),
        ("deleting a cancelled meeting", Intent::Delete, Some(&cancelled), 0),
        ("deleting somebody else's", Intent::Delete, Some(&invited), 0),
        ("cancelling", cancel, Some(&of_two), 2),
        ("answering", answer(false), Some(&invited), 1),
        ("answering silently", answer(true), Some(&invited), 0),
        ("forwarding one's own", to.clone(), Some(&of_two), 1),
        ("forwarding somebody else's", to, Some(&invited), 2),
        ("snoozing", Intent::Snooze { until_ms: 0 }, Some(&of_two), 0),
        ("dismissing", Intent::Dismiss, Some(&of_two), 0),
    ];
    for (name, intent, record, expected) in cases {
        assert_eq!(notifies(&intent, record), expected, "{name}");
    }
}
