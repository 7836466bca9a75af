use super::*;
use crate::edit::sample::{HOUR_MS, NINE_MS, days, invitee, record, times};

fn base() -> Fields {
    Fields::of(&record())
}

fn subject(text: &str) -> Fields {
    Fields { subject: Some(text.to_owned()), ..Fields::default() }
}

fn guests(addresses: &[&str]) -> Fields {
    Fields {
        attendees: Some(addresses.iter().map(|address| invitee(address)).collect()),
        ..Fields::default()
    }
}

fn against(mine: &Fields, theirs: Fields) -> Merged {
    merge3(&base(), mine, &theirs.over(base()))
}

fn addresses(fields: &Fields) -> Vec<&str> {
    let invitees = fields.attendees.as_deref().unwrap_or_default();
    invitees.iter().filter_map(|invitee| invitee.person.address.as_deref()).collect()
}

#[test]
fn disjoint_fields_do_not_meet() {
    let mine = subject("Mine");
    let theirs =
        Fields { location: Some("Room 9".into()), times: Some(times(NINE_MS, 3)), ..Fields::default() };
    assert_eq!(against(&mine, theirs), Merged { send: mine, ..Merged::default() });
}

#[test]
fn the_same_change_on_both_sides_is_done() {
    assert_eq!(against(&subject("New"), subject("New ")), Merged::default());
    let mine = Fields { body: Some("a\nb".into()), ..Fields::default() };
    let theirs = Fields { body: Some("a\r\n\r\nb\r\n".into()), ..Fields::default() };
    assert_eq!(against(&mine, theirs), Merged::default());
}

#[test]
fn different_changes_of_one_field_clash_and_the_others_pass() {
    let mine = Fields { location: Some(String::new()), ..subject("Mine") };
    let merged = against(&mine, subject("Theirs"));
    assert_eq!(merged.send, Fields { location: Some(String::new()), ..Fields::default() });
    assert_eq!(merged.contested, subject("Mine"));
    assert_eq!(
        merged.clashes,
        vec![Clash { name: "subject", base: json!("Review"), mine: json!("Mine"), theirs: json!("Theirs") }]
    );
}

#[test]
fn a_clash_of_times_names_the_ends_that_differ() {
    let mine = Fields { times: Some(times(NINE_MS, 2)), ..Fields::default() };
    let merged = against(&mine, Fields { times: Some(times(NINE_MS, 3)), ..Fields::default() });
    let at = |hours: i64| json!({ "ms": NINE_MS + hours * HOUR_MS });
    assert_eq!(merged.contested, mine);
    assert_eq!(merged.clashes, vec![Clash { name: "end", base: at(1), mine: at(2), theirs: at(3) }]);

    let merged = against(&mine, Fields { times: Some(days(20_731, 1)), ..Fields::default() });
    let names: Vec<&str> = merged.clashes.iter().map(|clash| clash.name).collect();
    assert_eq!(names, ["start", "end", "all_day"]);
    assert_eq!(merged.clashes[0].theirs, json!("2026-10-05"));
}

#[test]
fn a_clash_has_the_names_and_values_of_the_events_json() {
    let mine = Fields {
        reminder: Some(Reminder::Off),
        show_as: Some(ShowAs::Oof),
        subject: Some(String::new()),
        ..Fields::default()
    };
    let theirs = Fields {
        reminder: Some(Reminder::Minutes(0)),
        show_as: Some(ShowAs::Free),
        subject: Some("Theirs".into()),
        ..Fields::default()
    };
    let of = |name, base, mine, theirs| Clash { name, base, mine, theirs };
    assert_eq!(
        against(&mine, theirs).clashes,
        vec![
            of("subject", json!("Review"), Value::Null, json!("Theirs")),
            of("show_as", json!("busy"), json!("oof"), json!("free")),
            of("reminder_minutes", json!(15), Value::Null, json!(0)),
        ]
    );
}

#[test]
fn two_people_who_invite_different_guests_do_not_clash() {
    let base = guests(&["a@x.test", "b@x.test"]).over(base());
    let mine = guests(&["a@x.test", "b@x.test", "mine@x.test"]);
    let theirs = guests(&["theirs@x.test", "B@x.test"]).over(base.clone());
    let merged = merge3(&base, &mine, &theirs);
    assert!(merged.clashes.is_empty());
    assert_eq!(addresses(&merged.send), ["theirs@x.test", "B@x.test", "mine@x.test"]);
    // Both took the same guest away, and nobody else changed.
    let merged = merge3(&base, &guests(&["b@x.test"]), &guests(&["b@x.test", "c@x.test"]).over(base.clone()));
    assert_eq!(merged, Merged::default());
}

#[test]
fn two_parts_for_one_guest_clash() {
    let part =
        |kind| Fields { attendees: Some(vec![Invitee { kind, ..invitee("a@x.test") }]), ..Fields::default() };
    let base = part(AttendeeType::Required);
    let merged = merge3(&base, &part(AttendeeType::Optional), &part(AttendeeType::Resource));
    assert_eq!(merged.clashes.len(), 1);
    assert_eq!(merged.clashes[0].mine, json!([{ "name": null, "address": "a@x.test", "type": "optional" }]));
    let gone = merge3(&base, &part(AttendeeType::Optional), &guests(&["b@x.test"]));
    assert_eq!(gone.clashes.len(), 1, "taken away there, another part here");
}

#[test]
fn categories_are_merged_by_name() {
    let of = |names: &[&str]| Fields {
        categories: Some(names.iter().map(|&name| name.to_owned()).collect()),
        ..Fields::default()
    };
    let merged = merge3(&of(&["a", "b"]), &of(&["b", "mine"]), &of(&["theirs", "b", "a"]));
    assert_eq!(merged, Merged { send: of(&["theirs", "b", "mine"]), ..Merged::default() });
}

#[test]
fn a_base_that_nobody_knows_is_taken_for_changed_there() {
    let merged = merge3(&Fields::default(), &subject("Mine"), &subject("Theirs"));
    assert_eq!(merged.clashes.first().map(|clash| clash.base.clone()), Some(Value::Null));
}

#[test]
fn a_clash_is_printed_without_its_values() {
    let merged = against(&subject("Secret"), subject("Theirs"));
    assert_eq!(format!("{:?}", merged.clashes), "[Clash(subject)]");
}
