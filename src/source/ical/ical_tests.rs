use super::*;
use crate::model::{EventKind, OnlineProvider, Response, Sensitivity, ShowAs};
use crate::zones::parse_time;

fn at(text: &str) -> i64 {
    parse_time(text, &Zone::utc()).unwrap()
}

fn berlin() -> Zone {
    Zones::bundled().resolve("Europe/Berlin").unwrap()
}

fn decode_in(bytes: &[u8], from: &str, to: &str) -> Result<Decoded, Unusable> {
    let (zones, zone) = (Zones::bundled(), berlin());
    let window = Window { from_ms: at(from), to_ms: at(to) };
    let reading = Reading {
        calendar: "c",
        window,
        zones: &zones,
        zone: &zone,
        charset: None,
        user: Some("bo@contoso.com"),
    };
    decode(bytes, &reading)
}

fn march(bytes: &[u8]) -> Decoded {
    decode_in(bytes, "2026-03-01T00:00:00Z", "2026-04-15T00:00:00Z").unwrap()
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ical").join(name)).unwrap()
}

/// A calendar of one event with these lines.
fn one(lines: &str) -> Vec<u8> {
    let lines = lines.trim().lines().map(str::trim).collect::<Vec<_>>().join("\r\n");
    format!("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:u\r\n{lines}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
        .into_bytes()
}

fn starts(decoded: &Decoded) -> Vec<String> {
    let mut starts: Vec<i64> =
        decoded.records.iter().filter(|r| r.kind != EventKind::Master).map(|r| r.start_ms).collect();
    starts.sort_unstable();
    starts.into_iter().map(|ms| Zone::utc().rfc3339(ms).replace("+00:00", "Z")).collect()
}

fn kinds(decoded: &Decoded) -> Vec<ProblemKind> {
    decoded.problems.iter().map(|problem| problem.kind).collect()
}

fn details<'d>(decoded: &'d Decoded, id: &str) -> &'d crate::model::Details {
    let record = decoded.records.iter().find(|r| r.remote_id.as_str() == id).unwrap();
    record.details.as_deref().unwrap()
}

#[test]
fn outlook_names_windows_zones_and_says_more_than_the_standard() {
    let decoded = march(&fixture("outlook.ics"));
    assert_eq!(decoded.name.as_deref(), Some("Kalender"));
    assert!(decoded.problems.is_empty());
    let private = details(&decoded, "c|040000008200E00074C5B7101A82E008000000001");
    assert_eq!(private.subject.as_deref(), Some("Besprechung über den Rhein"));
    assert_eq!(private.body.as_deref(), Some("Erste Zeile\nzweite, mit Komma"));
    assert_eq!(private.sensitivity, Sensitivity::Private);
    assert_eq!(private.show_as, ShowAs::Oof);
    assert_eq!(private.reminder_minutes, Some(15));
    assert_eq!(private.response, Response::Organizer);
    assert_eq!(private.original_time_zone.as_deref(), Some("Europe/Berlin"));
    let fair = details(&decoded, "c|040000008200E00074C5B7101A82E008000000002");
    assert!(fair.is_all_day);
    assert_eq!(fair.show_as, ShowAs::Free);
    assert_eq!(starts(&decoded), ["2026-03-10T09:00:00Z", "2026-03-11T00:00:00Z"]);
    let fair = &decoded.records[1];
    assert_eq!(fair.end_ms - fair.start_ms, 2 * 86_400_000);
}

#[test]
fn notes_repeats_by_periods_and_describes_its_zones_itself() {
    let decoded = march(&fixture("notes.ics"));
    assert!(decoded.problems.is_empty(), "{:?}", decoded.problems);
    // The first is before the change of clocks, the others after it.
    assert_eq!(starts(&decoded), ["2026-03-27T08:00:00Z", "2026-03-30T07:00:00Z", "2026-04-01T08:00:00Z"]);
    let lengths: Vec<i64> = decoded.records[1..].iter().map(|r| (r.end_ms - r.start_ms) / 60_000).collect();
    assert_eq!(lengths, [30, 30, 60]);
    let master = decoded.records[0].details.as_deref().unwrap();
    assert_eq!(decoded.records[0].kind, EventKind::Master);
    assert_eq!(master.response, Response::NotResponded);
    assert_eq!(master.organizer.as_ref().unwrap().address.as_deref(), Some("anna@contoso.com"));
    assert_eq!(master.location, None);
}

#[test]
fn google_writes_exceptions_beside_their_series() {
    let decoded = decode_in(&fixture("google.ics"), "2026-03-09T00:00:00Z", "2026-03-16T00:00:00Z").unwrap();
    assert_eq!(
        starts(&decoded),
        ["2026-03-09T08:00:00Z", "2026-03-10T08:00:00Z", "2026-03-12T09:30:00Z", "2026-03-13T08:00:00Z"]
    );
    let moved = details(&decoded, "c|standup@google.com|20260312T080000Z");
    assert_eq!(moved.subject.as_deref(), Some("Standup (später)"));
    assert!(details(&decoded, "c|standup@google.com|20260313T080000Z").is_cancelled);
    let master = details(&decoded, "c|standup@google.com");
    assert_eq!(master.online_meeting.as_ref().unwrap().provider, OnlineProvider::Other);
}

#[test]
fn apple_changes_this_and_all_later_occurrences_and_writes_alarms_that_are_none() {
    let decoded = march(&fixture("apple.ics"));
    assert_eq!(decoded.color.as_deref(), Some("#1badf8"));
    // Five days from the ninth, without the tenth, an hour later from the twelfth on.
    assert_eq!(
        starts(&decoded),
        ["2026-03-09T17:00:00Z", "2026-03-11T17:00:00Z", "2026-03-12T18:00:00Z", "2026-03-13T18:00:00Z"]
    );
    assert_eq!(details(&decoded, "c|6A7B8C9D").reminder_minutes, Some(30));
    assert_eq!(details(&decoded, "c|6A7B8C9D|20260313T170000Z").subject.as_deref(), Some("Chor im Dom"));
    let last = decoded.records.last().unwrap();
    assert_eq!((last.kind, last.end_ms - last.start_ms), (EventKind::Exception, 7_200_000));
}

#[test]
fn a_zone_that_nobody_knows_is_the_one_its_file_describes() {
    let decoded = march(&fixture("own_zone.ics"));
    let start = |id: &str| {
        let row = decoded.records.iter().find(|r| r.remote_id.as_str() == format!("c|{id}")).unwrap();
        Zone::utc().rfc3339(row.start_ms)
    };
    assert_eq!(start("winter"), "2026-03-06T13:30:00+00:00");
    assert_eq!(start("summer"), "2026-03-09T12:30:00+00:00");
    // 02:30 does not exist: the offset before the gap counts.
    assert_eq!(start("gap"), "2026-03-08T07:00:00+00:00");
    // A zone without rules: the account's, and it is said.
    assert_eq!(start("unknown"), "2026-03-09T08:00:00+00:00");
    assert_eq!(kinds(&decoded), [ProblemKind::Zone]);
}

#[test]
fn floating_times_are_the_accounts() {
    let decoded = march(&one("DTSTART:20260310T090000\nDTEND:20260310T100000"));
    assert_eq!(starts(&decoded), ["2026-03-10T08:00:00Z"]);
    assert_eq!(details(&decoded, "c|u").original_time_zone, None);
}

#[test]
fn paths_of_zones_end_with_their_names() {
    for zone in [
        "/freeassociation.sourceforge.net/Europe/Berlin",
        "/mozilla.org/20050126_1/America/Argentina/Buenos_Aires",
    ] {
        let decoded = march(&one(&format!("DTSTART;TZID={zone}:20260310T090000")));
        assert!(decoded.problems.is_empty(), "{zone}");
    }
}

#[test]
fn folded_lines_split_characters_and_are_joined_before_they_are_read() {
    let mut bytes =
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:u\r\nDTSTART:20260310T090000Z\r\nSUMMARY:Gr\xC3".to_vec();
    bytes.extend_from_slice(b"\r\n \xBC\xC3\x9Fe\r\n\t aus K\xC3\xB6ln\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n");
    assert_eq!(details(&march(&bytes), "c|u").subject.as_deref(), Some("Grüße aus Köln"));
}

#[test]
fn every_character_set_in_use_is_read() {
    let text = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:u\r\nDTSTART:20260310T090000Z\r\nSUMMARY:Grüße €\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let latin: Vec<u8> = text
        .chars()
        .map(|c| match c {
            'ü' => 0xFC,
            'ß' => 0xDF,
            '€' => 0x80,
            c => c as u8,
        })
        .collect();
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf_16_marked: Vec<u8> =
        std::iter::once(0xFEFF_u16).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    let marked = ["\u{FEFF}", text].concat().into_bytes();
    let old_mac = text.replace("\r\n", "\r").into_bytes();
    let unix = text.replace("\r\n", "\n").into_bytes();
    for bytes in [text.as_bytes(), &latin, &utf_16, &utf_16_marked, &marked, &old_mac, &unix] {
        assert_eq!(details(&march(bytes), "c|u").subject.as_deref(), Some("Grüße €"));
    }
}

#[test]
fn quoted_printable_of_older_phones_is_read() {
    let lines = "DTSTART:20260310T090000Z\nSUMMARY;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:Gr=C3=BC=C3=9Fe=\n aus=0D=0AK=C3=B6ln\nDESCRIPTION;QUOTED-PRINTABLE:a=3Db";
    let bytes =
        String::from_utf8(one(lines)).unwrap().replace("=\r\naus", "= \r\naus").replace("= \r\n", "=\r\n");
    let decoded = march(bytes.as_bytes());
    let details = details(&decoded, "c|u");
    assert_eq!(details.subject.as_deref(), Some("Grüßeaus Köln"));
    assert_eq!(details.body.as_deref(), Some("a=b"));
}

#[test]
fn what_cannot_be_read_is_named_by_its_line_and_the_rest_arrives() {
    let bytes = b"garbage before\r\nBEGIN:VCALENDAR\r\nno line\r\nBEGIN:VEVENT\r\nUID:lost\r\nSUMMARY:no start\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:unclosed\r\nDTSTART:20260310T090000Z\r\nBEGIN:VEVENT\r\nUID:good\r\nthis is none\r\nDTSTART:20260310T090000Z\r\nDTEND:20260310T080000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\ntrailing\r\n";
    let decoded = march(bytes);
    assert_eq!(decoded.records.len(), 1);
    assert_eq!(decoded.records[0].remote_id.as_str(), "c|good");
    let problems: Vec<(u64, Option<Key>, ProblemKind)> =
        decoded.problems.iter().map(|problem| (problem.line, problem.uid, problem.kind)).collect();
    let hash = |uid: &str| Some(Key::of_remote(uid));
    assert_eq!(
        problems,
        [
            (4, hash("lost"), ProblemKind::Start),
            (8, hash("unclosed"), ProblemKind::Unclosed),
            (11, hash("good"), ProblemKind::End),
            (13, hash("good"), ProblemKind::Line),
        ]
    );
}

use crate::model::Key;

#[test]
fn a_calendar_that_was_cut_off_is_refused_whole_wherever_the_cut_is() {
    let whole = fixture("google.ics");
    let last = whole.len() - b"END:VCALENDAR\r\n".len();
    for cut in (0..=last).step_by(7).chain([last]) {
        let refused = decode_in(&whole[..cut], "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z");
        assert!(matches!(refused, Err(Unusable::Incomplete | Unusable::NoCalendar)), "{cut}");
    }
    assert_eq!(decode_in(b"<!DOCTYPE html>", "2026-03-01", "2026-04-01").unwrap_err(), Unusable::WebPage);
}

#[test]
fn rules_without_end_are_cheap_and_said() {
    for (rule, kind) in [
        ("FREQ=DAILY;COUNT=10000000", None),
        ("FREQ=SECONDLY", Some(ProblemKind::RuleLong)),
        ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", None),
        ("FREQ=MINUTELY;INTERVAL=7;COUNT=99999999", Some(ProblemKind::RuleLong)),
        (
            "FREQ=YEARLY;BYHOUR=0,1,2,3,4,5,6,7;BYMINUTE=0,1,2,3,4,5,6,7;BYSECOND=0,1,2,3,4,5",
            Some(ProblemKind::Rule),
        ),
        ("FREQ=DAILY;INTERVAL=0", Some(ProblemKind::Rule)),
        ("FREQ=DAILY;INTERVAL=99999999999", Some(ProblemKind::Rule)),
        ("FREQ=NEVER", Some(ProblemKind::Rule)),
        ("FREQ=DAILY;BYDAY=ÄÖ", Some(ProblemKind::Rule)),
        ("FREQ=WEEKLY;BYDAY=M", Some(ProblemKind::Rule)),
        ("RSCALE=CHINESE;FREQ=YEARLY", Some(ProblemKind::Rule)),
    ] {
        let decoded = march(&one(&format!("DTSTART:20260310T090000Z\nDURATION:PT0S\nRRULE:{rule}")));
        assert_eq!(kinds(&decoded), kind.into_iter().collect::<Vec<_>>(), "{rule}");
        assert!(!starts(&decoded).is_empty(), "{rule}");
        assert!(starts(&decoded).len() <= OCCURRENCES_MAX, "{rule}");
    }
}

#[test]
fn many_rules_that_never_come_use_up_what_a_file_may_cost() {
    let mut text = "BEGIN:VCALENDAR\n".to_owned();
    for n in 0..600 {
        text.push_str(&format!("BEGIN:VEVENT\nUID:{n}\nDTSTART:20260310T090000Z\nRRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30\nEND:VEVENT\n"));
    }
    text.push_str("END:VCALENDAR\n");
    let decoded = march(text.as_bytes());
    assert_eq!(starts(&decoded).len(), 600);
    assert_eq!(decoded.problem_count, 500);
}

#[test]
fn a_series_that_began_long_ago_is_walked_from_near() {
    let decoded = march(&one("DTSTART:16020101T090000Z\nRRULE:FREQ=DAILY;INTERVAL=7"));
    assert!(decoded.problems.is_empty());
    assert_eq!(starts(&decoded)[0], "2026-03-03T09:00:00Z");
}

#[test]
fn until_includes_its_day_and_counts_in_the_zone_of_the_start() {
    let decoded =
        march(&one("DTSTART;TZID=Europe/Berlin:20260327T233000\nRRULE:FREQ=DAILY;UNTIL=20260329T213000Z"));
    assert_eq!(starts(&decoded), ["2026-03-27T22:30:00Z", "2026-03-28T22:30:00Z", "2026-03-29T21:30:00Z"]);
    let decoded = march(&one("DTSTART;VALUE=DATE:20260327\nRRULE:FREQ=DAILY;UNTIL=20260329"));
    assert_eq!(starts(&decoded).len(), 3);
}

#[test]
fn a_day_is_a_day_on_the_wall_and_hours_are_hours() {
    let length = |lines: &str| {
        let decoded = march(&one(lines));
        (decoded.records[0].end_ms - decoded.records[0].start_ms) / 3_600_000
    };
    assert_eq!(length("DTSTART;TZID=Europe/Berlin:20260328T120000\nDURATION:P1D"), 23);
    assert_eq!(length("DTSTART;TZID=Europe/Berlin:20260328T120000\nDURATION:PT24H"), 24);
    assert_eq!(length("DTSTART;VALUE=DATE:20260328\nDURATION:P2D"), 48);
    assert_eq!(length("DTSTART;VALUE=DATE:20260328"), 24);
    assert_eq!(length("DTSTART;VALUE=DATE:20260328\nDTEND;VALUE=DATE:20260328"), 24);
}

#[test]
fn a_uid_used_for_different_events_names_each_of_them() {
    let bytes = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:u\nDTSTART:20260310T090000Z\nEND:VEVENT\nBEGIN:VEVENT\nUID:u\nDTSTART:20260311T090000Z\nEND:VEVENT\nBEGIN:VEVENT\nUID:u\nSEQUENCE:3\nSUMMARY:newer\nDTSTART:20260311T090000Z\nEND:VEVENT\nEND:VCALENDAR\n";
    let decoded = march(bytes.as_bytes());
    assert_eq!(starts(&decoded), ["2026-03-10T09:00:00Z", "2026-03-11T09:00:00Z"]);
    assert_eq!(details(&decoded, "c|u|20260311T090000Z").subject.as_deref(), Some("newer"));
    assert_eq!(kinds(&decoded), [ProblemKind::Duplicate]);
}

#[test]
fn an_exception_without_its_series_is_an_event_of_its_own() {
    let decoded = march(&one("DTSTART:20260310T090000Z\nRECURRENCE-ID:20260309T090000Z\nSUMMARY:guest"));
    assert_eq!(decoded.records[0].kind, EventKind::Single);
    assert_eq!(decoded.records[0].remote_id.as_str(), "c|u|20260309T090000Z");
}

#[test]
fn the_same_bytes_give_the_same_rows_and_a_change_changes_the_version_of_its_row_alone() {
    let bytes = fixture("google.ics");
    let (first, again) = (march(&bytes), march(&bytes));
    assert_eq!(first, again);
    let changed = String::from_utf8(bytes).unwrap().replace("(später)", "(noch später)");
    let changed = march(changed.as_bytes());
    let differing =
        first.records.iter().zip(&changed.records).filter(|(a, b)| a.change_key != b.change_key).count();
    assert_eq!(differing, 1);
}

#[test]
fn a_component_that_is_too_large_is_left_out_alone() {
    let body = "x".repeat(COMPONENT_BYTES_MAX + 1);
    let bytes = format!(
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:big\nDTSTART:20260310T090000Z\nDESCRIPTION:{body}\nEND:VEVENT\nBEGIN:VEVENT\nUID:good\nDTSTART:20260310T090000Z\nEND:VEVENT\nEND:VCALENDAR\n"
    );
    let decoded = march(bytes.as_bytes());
    assert_eq!(decoded.records.len(), 1);
    assert_eq!(kinds(&decoded), [ProblemKind::TooLarge]);
    assert_eq!(decoded.problems[0].uid, Some(Key::of_remote("big")));
}

#[test]
fn what_a_calendar_says_is_in_no_debug_text() {
    let decoded = march(&fixture("outlook.ics"));
    let text = format!("{:?}{:?}", decoded.records, decoded.problems);
    assert!(!text.contains("Besprechung") && !text.contains("Raum") && !text.contains("0400000"));
}

#[test]
fn no_rule_however_odd_breaks_anything() {
    let mut roll = fastrand::Rng::with_seed(11);
    let pick = |roll: &mut fastrand::Rng, from: &[&str]| from[roll.usize(..from.len())].to_owned();
    for _ in 0..150 {
        let mut rule = format!(
            "FREQ={}",
            pick(&mut roll, &["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"])
        );
        for _ in 0..roll.usize(..5) {
            let key = pick(
                &mut roll,
                &[
                    "BYDAY",
                    "BYMONTHDAY",
                    "BYYEARDAY",
                    "BYWEEKNO",
                    "BYSETPOS",
                    "BYMONTH",
                    "BYHOUR",
                    "INTERVAL",
                    "COUNT",
                    "WKST",
                    "UNTIL",
                ],
            );
            let value = match key.as_str() {
                "BYDAY" => {
                    let nth = pick(
                        &mut roll,
                        &["", "0", "1", "5", "-1", "-5", "6", "30", "53", "-53", "54", "366", "-366"],
                    );
                    nth + &pick(&mut roll, &["MO", "WE", "SU", "XX"])
                }
                "WKST" => pick(&mut roll, &["MO", "SU", "TH", "7"]),
                "UNTIL" => pick(&mut roll, &["20260401", "20260401T000000Z", "45000101", "16010101", "x"]),
                "COUNT" | "INTERVAL" => pick(&mut roll, &["1", "3", "17", "400", "65535", "65536", "-1"]),
                _ => pick(
                    &mut roll,
                    &[
                        "1", "0", "-1", "12", "13", "29", "31", "53", "-53", "100", "366", "-366", "367",
                        "1,2,3", "",
                    ],
                ),
            };
            rule.push_str(&format!(";{key}={value}"));
        }
        let start = pick(
            &mut roll,
            &["20240229T090000Z", "19700101T000000Z", "20260310T235959Z", "16010101T000000Z"],
        );
        let decoded = march(&one(&format!("DTSTART:{start}\nRRULE:{rule}")));
        assert!(decoded.records.len() <= OCCURRENCES_MAX + 1, "{rule}");
    }
}
