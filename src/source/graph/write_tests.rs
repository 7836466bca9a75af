//! What is written, byte for byte, and what a failure leaves open.

use std::time::Duration;

use crate::model::{
    AttendeeType, Broken, DAY_MS, Fault, Fields, Importance, Invitee, LinkProblem, Person, Reminder,
    Sensitivity, ShowAs, Times, Unreadable,
};
use crate::source::graph::write::{self, Reached, encode_create, encode_patch, is_gone, reached};
use crate::source::graph::{decode, meeting_body};
use crate::zones::Zones;

const HOUR_MS: i64 = 3_600_000;
/// 2026-10-05T07:00:00Z, nine o'clock in Berlin.
const MONDAY_MS: i64 = 1_791_183_600_000;
/// 2026-10-25T00:00:00Z: at one o'clock UTC clocks in Berlin go from three back to two.
const BACK_MS: i64 = 1_792_886_400_000;

fn times(start_ms: i64, end_ms: i64, zone: Option<&str>) -> Times {
    Times { start_ms, end_ms, is_all_day: false, zone: zone.map(str::to_owned) }
}

fn invitee(name: Option<&str>, address: &str, kind: AttendeeType) -> Invitee {
    let person = Person { name: name.map(str::to_owned), address: Some(address.to_owned()) };
    Invitee { person, kind }
}

fn patch(fields: &Fields) -> String {
    String::from_utf8(encode_patch(fields, &Zones::bundled(), None)).unwrap()
}

fn ends(times: Times) -> Vec<String> {
    let fields = Fields { times: Some(times), ..Fields::default() };
    let body: serde_json::Value = serde_json::from_str(&patch(&fields)).unwrap();
    let end = |name: &str| {
        let end = &body[name];
        format!("{} {}", end["dateTime"].as_str().unwrap(), end["timeZone"].as_str().unwrap())
    };
    vec![end("start"), end("end")]
}

fn everything() -> Fields {
    Fields {
        subject: Some("Review \"Q3\"".to_owned()),
        body: Some("Bring\nnumbers".to_owned()),
        times: Some(times(MONDAY_MS, MONDAY_MS + HOUR_MS, Some("Europe/Berlin"))),
        location: Some("Room 4".to_owned()),
        show_as: Some(ShowAs::WorkingElsewhere),
        sensitivity: Some(Sensitivity::Private),
        importance: Some(Importance::High),
        categories: Some(vec!["Blue category".to_owned()]),
        attendees: Some(vec![
            invitee(Some("Bela Baum"), "bela@contoso.example", AttendeeType::Required),
            invitee(None, "room4@contoso.example", AttendeeType::Resource),
        ]),
        reminder: Some(Reminder::Minutes(10)),
    }
}

#[test]
fn a_create_says_every_field_that_is_set_and_its_transaction() {
    let body = encode_create(&everything(), "4c3f1d0e-6d0c-4a5b-9c1e-2f3b7a9d1e10", &Zones::bundled());
    insta::assert_snapshot!(String::from_utf8(body).unwrap(), @r#"{"attendees":[{"emailAddress":{"address":"bela@contoso.example","name":"Bela Baum"},"type":"required"},{"emailAddress":{"address":"room4@contoso.example"},"type":"resource"}],"body":{"content":"Bring\nnumbers","contentType":"text"},"categories":["Blue category"],"end":{"dateTime":"2026-10-05T10:00:00","timeZone":"W. Europe Standard Time"},"importance":"high","isAllDay":false,"isReminderOn":true,"location":{"displayName":"Room 4"},"reminderMinutesBeforeStart":10,"sensitivity":"private","showAs":"workingElsewhere","start":{"dateTime":"2026-10-05T09:00:00","timeZone":"W. Europe Standard Time"},"subject":"Review \"Q3\"","transactionId":"4c3f1d0e-6d0c-4a5b-9c1e-2f3b7a9d1e10"}"#);
}

#[test]
fn a_create_is_encoded_to_the_same_bytes_each_time() {
    let encode = || encode_create(&everything(), "t", &Zones::bundled());
    assert_eq!(encode(), encode());
}

#[test]
fn a_create_invites_nobody_rather_than_an_empty_list() {
    let fields = Fields { attendees: Some(Vec::new()), ..Fields::default() };
    let body = encode_create(&fields, "t", &Zones::bundled());
    assert_eq!(String::from_utf8(body).unwrap(), r#"{"transactionId":"t"}"#);
}

#[test]
fn a_patch_says_nothing_but_what_is_set() {
    let only = |fields: Fields| patch(&fields);
    let none = Fields::default();
    let cases = [
        (none.clone(), "{}"),
        (Fields { subject: Some(String::new()), ..none.clone() }, r#"{"subject":""}"#),
        (
            Fields { body: Some(String::new()), ..none.clone() },
            r#"{"body":{"content":"","contentType":"text"}}"#,
        ),
        (Fields { location: Some(String::new()), ..none.clone() }, r#"{"location":{"displayName":""}}"#),
        (Fields { show_as: Some(ShowAs::Oof), ..none.clone() }, r#"{"showAs":"oof"}"#),
        (Fields { show_as: Some(ShowAs::Unknown), ..none.clone() }, "{}"),
        (Fields { sensitivity: Some(Sensitivity::Normal), ..none.clone() }, r#"{"sensitivity":"normal"}"#),
        (Fields { importance: Some(Importance::Low), ..none.clone() }, r#"{"importance":"low"}"#),
        (Fields { categories: Some(Vec::new()), ..none.clone() }, r#"{"categories":[]}"#),
        (Fields { attendees: Some(Vec::new()), ..none.clone() }, r#"{"attendees":[]}"#),
        (Fields { reminder: Some(Reminder::Off), ..none.clone() }, r#"{"isReminderOn":false}"#),
        (
            Fields { reminder: Some(Reminder::Minutes(0)), ..none.clone() },
            r#"{"isReminderOn":true,"reminderMinutesBeforeStart":0}"#,
        ),
    ];
    for (fields, expected) in cases {
        assert_eq!(only(fields), expected);
    }
}

#[test]
fn a_meetings_body_goes_as_html_in_place_of_the_text() {
    let fields = Fields { body: Some("text".to_owned()), ..Fields::default() };
    let body = encode_patch(&fields, &Zones::bundled(), Some("<p>html</p>"));
    assert_eq!(
        String::from_utf8(body).unwrap(),
        r#"{"body":{"content":"<p>html</p>","contentType":"html"}}"#
    );
}

#[test]
fn times_are_wall_times_under_a_name_that_the_server_knows() {
    let at = |zone| ends(times(MONDAY_MS, MONDAY_MS + HOUR_MS, zone));
    assert_eq!(
        at(Some("Europe/Berlin")),
        ["2026-10-05T09:00:00 W. Europe Standard Time", "2026-10-05T10:00:00 W. Europe Standard Time"]
    );
    assert_eq!(at(Some("W. Europe Standard Time")), at(Some("Europe/Berlin")), "the server's own name");
    assert_eq!(at(Some("Asia/Kolkata"))[0], "2026-10-05T12:30:00 India Standard Time", "renamed since");
    assert_eq!(
        at(Some("Europe/Vienna"))[0],
        "2026-10-05T09:00:00 Europe/Vienna",
        "no Windows name of its own"
    );
    for zone in
        [None, Some("UTC"), Some("tzone://Microsoft/Utc"), Some("tzone://Microsoft/Custom"), Some("Nowhere")]
    {
        assert_eq!(at(zone), ["2026-10-05T07:00:00 UTC", "2026-10-05T08:00:00 UTC"], "{zone:?}");
    }
    assert_eq!(ends(times(MONDAY_MS + 1, MONDAY_MS + 1, None))[0], "2026-10-05T07:00:00.001 UTC");
}

#[test]
fn a_wall_time_that_comes_twice_is_written_in_utc() {
    let berlin = |from: i64, to: i64| ends(times(BACK_MS + from, BACK_MS + to, Some("Europe/Berlin")));
    // 01:30 to 02:30 summer time: only the end comes twice.
    assert_eq!(
        berlin(-HOUR_MS / 2, HOUR_MS / 2),
        ["2026-10-25T01:30:00 W. Europe Standard Time", "2026-10-25T00:30:00 UTC"]
    );
    // Both half past two, an hour apart.
    assert_eq!(berlin(HOUR_MS / 2, HOUR_MS * 3 / 2), ["2026-10-25T00:30:00 UTC", "2026-10-25T01:30:00 UTC"]);
    assert_eq!(
        berlin(2 * HOUR_MS, 3 * HOUR_MS),
        ["2026-10-25T03:00:00 W. Europe Standard Time", "2026-10-25T04:00:00 W. Europe Standard Time"]
    );
    // 2026-03-29T01:00:00Z, when two o'clock is three o'clock: no wall time is missing on the way back.
    assert_eq!(
        ends(times(1_774_746_000_000, 1_774_749_600_000, Some("Europe/Berlin")))[0],
        "2026-03-29T03:00:00 W. Europe Standard Time"
    );
}

#[test]
fn whole_days_are_midnights_of_one_zone_and_never_converted() {
    let day_ms = MONDAY_MS - 7 * HOUR_MS;
    let days =
        |zone: Option<&str>| ends(Times { is_all_day: true, ..times(day_ms, day_ms + 2 * DAY_MS, zone) });
    assert_eq!(days(None), ["2026-10-05T00:00:00 UTC", "2026-10-07T00:00:00 UTC"]);
    assert_eq!(
        days(Some("Pacific/Auckland")),
        ["2026-10-05T00:00:00 New Zealand Standard Time", "2026-10-07T00:00:00 New Zealand Standard Time"]
    );
    let fields = Fields {
        times: Some(Times { is_all_day: true, ..times(day_ms, day_ms + DAY_MS, None) }),
        ..Fields::default()
    };
    assert!(patch(&fields).contains(r#""isAllDay":true"#));
}

#[test]
fn actions_have_these_bodies() {
    let text = |body: Vec<u8>| String::from_utf8(body).unwrap();
    let to = [
        Person { name: Some("Cem".to_owned()), address: Some("cem@contoso.example".to_owned()) },
        Person { name: None, address: Some("dora@contoso.example".to_owned()) },
    ];
    insta::assert_snapshot!(text(write::encode_answer("late", true)), @r#"{"comment":"late","sendResponse":false}"#);
    insta::assert_snapshot!(text(write::encode_cancel("ill")), @r#"{"Comment":"ill"}"#);
    insta::assert_snapshot!(text(write::encode_forward(&to, "")), @r#"{"Comment":"","ToRecipients":[{"EmailAddress":{"Address":"cem@contoso.example","Name":"Cem"}},{"EmailAddress":{"Address":"dora@contoso.example"}}]}"#);
    insta::assert_snapshot!(text(write::encode_snooze(MONDAY_MS)), @r#"{"newReminderTime":{"dateTime":"2026-10-05T07:00:00","timeZone":"UTC"}}"#);
}

#[test]
fn a_version_is_sent_as_a_weak_etag() {
    assert_eq!(write::etag("5tXmjpZuU0q8zDht3RpbuwAB+MSalg=="), "W/\"5tXmjpZuU0q8zDht3RpbuwAB+MSalg==\"");
    assert_eq!(write::etag("a\"b\r\nc é"), "W/\"abc\"");
}

fn refused(status: u16, code: Option<&str>, wait_s: Option<u64>) -> Fault {
    let retry_after = wait_s.map(Duration::from_secs);
    Fault::Refused { status, code: code.map(str::to_owned), retry_after, claims: None }
}

#[test]
fn a_failure_tells_whether_the_write_may_have_landed() {
    use Reached::{Maybe, No};
    let cases = [
        (Fault::Unreachable(Broken::Connect), No),
        (Fault::Unreachable(Broken::Tls), No),
        (Fault::Unreachable(Broken::Timeout), Maybe),
        (Fault::Unreachable(Broken::Reset), Maybe),
        (Fault::Unreachable(Broken::Protocol), Maybe),
        (Fault::Unreadable(Unreadable::WebPage), No),
        (Fault::Unreadable(Unreadable::Redirect), No),
        (Fault::Unreadable(Unreadable::Shape), Maybe),
        (Fault::Unreadable(Unreadable::TooLarge), Maybe),
        (Fault::Unreadable(Unreadable::Encoding), Maybe),
        (Fault::Unreadable(Unreadable::Empty), Maybe),
        (Fault::Unreadable(Unreadable::Links), Maybe),
        (refused(400, None, None), No),
        (refused(401, None, None), No),
        (refused(403, None, None), No),
        (refused(404, None, None), No),
        (refused(408, None, None), Maybe),
        (refused(409, None, None), No),
        (refused(412, None, None), No),
        (refused(429, None, Some(7)), No),
        (refused(429, None, None), No),
        (refused(500, None, None), Maybe),
        (refused(502, None, None), Maybe),
        (refused(503, None, None), Maybe),
        (refused(503, Some("ApplicationThrottled"), Some(7)), No),
        (refused(503, Some("ConcurrentItemSave"), Some(7)), Maybe),
        (refused(504, None, Some(7)), Maybe),
        (Fault::LinkRefused(LinkProblem::Host), No),
        (Fault::EndlessPages, No),
        (Fault::SignInNeeded, No),
    ];
    for (fault, expected) in cases {
        assert_eq!(reached(&fault), expected, "{fault:?}");
    }
}

#[test]
fn a_failure_before_the_token_was_there_never_looks_like_a_lost_reply() {
    let faults = [
        Fault::Unreachable(Broken::Timeout),
        Fault::Unreachable(Broken::Reset),
        Fault::Unreachable(Broken::Protocol),
        Fault::Unreadable(Unreadable::Shape),
        refused(500, None, None),
        refused(504, None, Some(3)),
        refused(408, None, None),
        Fault::SignInNeeded,
    ];
    for fault in faults {
        assert_eq!(reached(&write::before_sending(fault.clone())), Reached::No, "{fault:?}");
    }
    assert_eq!(write::before_sending(Fault::SignInNeeded), Fault::SignInNeeded);
}

#[test]
fn only_a_404_about_the_event_says_that_it_is_gone() {
    assert!(is_gone(&refused(404, Some("ErrorItemNotFound"), None)));
    assert!(is_gone(&refused(404, None, None)));
    assert!(!is_gone(&refused(404, Some("ErrorInvalidUser"), None)));
    assert!(!is_gone(&refused(410, None, None)));
    assert!(!is_gone(&Fault::SignInNeeded));
}

#[test]
fn the_answer_to_a_write_is_an_event_or_a_fault() {
    let event = r#"{"id":"A","changeKey":"k","subject":"s","transactionId":"4c3f","start":{"dateTime":"2026-05-07T08:00:00","timeZone":"UTC"},"end":{"dateTime":"2026-05-07T09:00:00","timeZone":"UTC"}}"#;
    let record = decode::written(event.as_bytes()).unwrap();
    assert_eq!(record.details.unwrap().transaction_id.as_deref(), Some("4c3f"));
    let cases = [
        ("", "reply_unreadable"),
        ("<html>", "captive_portal"),
        ("[]", "reply_unreadable"),
        (r#"{"id":"A"}"#, "reply_unreadable"),
        (r#"{"id":"A","@removed":{}}"#, "reply_unreadable"),
        (r#"{"error":{"code":"ErrorAccessDenied"}}"#, "access_denied"),
    ];
    for (body, kind) in cases {
        assert_eq!(decode::written(body.as_bytes()).unwrap_err().kind(), kind, "{body}");
    }
}

const RULE: &str = "________________________________________________________________________________";

/// The block as Teams writes it now: lines beside it, and an empty element before the last one.
fn beside() -> String {
    format!(
        "<div style=\"width:100%\"><span style=\"color:#5F5F5F\">{RULE}</span>\r\n</div>\r\n\
         <div class=\"me-email-text\" lang=\"en-US\">\r\n<div><span>Microsoft Teams meeting</span></div>\r\n\
         <div><a href=\"https://teams.example/l/1\">Join</a> </div>\r\n</div>\r\n\
         <div style=\"font-size:12px\"><br>&nbsp;</div>\r\n\
         <div style=\"width:100%\"><span>{RULE}</span>\r\n</div>"
    )
}

/// The block with its lines inside.
fn inside() -> String {
    format!(
        "<DIV style=\"max-width:520px\" class='me-email-text'>\n<div>{RULE}</div>\n<div><span class=\"me-email-text\">Microsoft \
         Teams</span> <a href=\"https://aka.example\">Need help?</a></div>\n<div>{RULE}</div>\n</DIV>"
    )
}

#[test]
fn a_meetings_block_survives_another_body() {
    for block in [beside(), inside()] {
        let html = format!("<html><body><p>old</p>{block}<p>after</p></body></html>");
        let body = meeting_body(&html, "a < b\n\n  c & d").unwrap();
        assert_eq!(
            body,
            format!("<html><body>a &lt; b<br>\n<br>\n&nbsp;&nbsp;c &amp; d<br>\n{block}</body></html>")
        );
        // A body made so is read the same way again, and an empty text leaves the block alone.
        assert_eq!(meeting_body(&body, "").unwrap(), format!("<html><body>{block}</body></html>"));
    }
}

#[test]
fn a_text_that_still_holds_the_block_does_not_double_it() {
    let html = format!("<html><body>old{}</body></html>", beside());
    let text = format!(
        "new\n{RULE}\nmine\n\n{RULE}\r\nMicrosoft  Teams meeting\r\nJoin<https://teams.example/l/1>\r\n{RULE}\r\nbehind"
    );
    let body = meeting_body(&html, &text).unwrap();
    assert_eq!(body.matches("Microsoft").count(), 1);
    assert!(body.contains("new<br>") && body.contains("mine<br>") && body.contains("behind<br>"), "{body}");
    // A line of underscores alone is the user's.
    let body = meeting_body(&html, &format!("a\n{RULE}\nb")).unwrap();
    assert!(body.contains("a<br>") && body.contains("b<br>"), "{body}");
}

#[test]
fn a_block_that_cannot_be_told_apart_is_not_guessed() {
    let cases = [
        format!("<p>{RULE}</p>Join: 271 908"),
        "<p>join <a href=\"https://teams.example/l/1\">here</a></p>".to_owned(),
        "<div class=\"me-email-text\">unclosed <a href=\"x\">".to_owned(),
        "<div class=\"me-email-text\">no link</div>".to_owned(),
        "<p>me-email-text</p>".to_owned(),
        "<div><p class=\"me-email-text\"><a href=\"x\"></a></p></div>".to_owned(),
        format!("{}<p>between</p>{}", inside(), inside()),
        "me-email-text".to_owned(),
    ];
    for html in cases {
        assert_eq!(meeting_body(&html, "new"), None, "{html}");
    }
    // Nothing there that could be lost.
    assert_eq!(
        meeting_body("<html><body>plain</body></html>", "new").unwrap(),
        "<html><body>new<br>\n</body></html>"
    );
    assert_eq!(
        meeting_body("<html><head><meta http-equiv=\"Content-Type\"></head><body>plain</body></html>", "new")
            .unwrap(),
        "<html><body>new<br>\n</body></html>"
    );
}

proptest::proptest! {
    #[test]
    fn any_html_and_any_text_are_survived(html in ".{0,200}", text in ".{0,200}", at in 0..400_usize) {
        let _ = meeting_body(&html, &text);
        let block = inside();
        let cut: String = block.chars().take(at).chain(html.chars()).collect();
        let _ = meeting_body(&cut, &text);
    }
}
