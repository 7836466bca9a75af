use super::*;
use crate::edit::sample::{
    HOUR_MS, NINE_MS, days, invitation, invitee, meeting, person, record, times, with,
};
use crate::model::{Answer, AttendeeType};

const NOW_MS: i64 = NINE_MS - DAY_MS;

fn judge(intent: &Intent, record: Option<&EventRecord>) -> Result<(), Refusal> {
    let target = Target { calendar_can_edit: true, record, is_series: false };
    check(intent, &target, &Zones::bundled(), NOW_MS)
}

fn kind(intent: &Intent, record: Option<&EventRecord>) -> &'static str {
    judge(intent, record).map_or_else(|refusal| refusal.kind(), |()| "ok")
}

fn create(fields: Fields) -> Intent {
    Intent::Create(Fields { times: fields.times.clone().or(Some(times(NINE_MS, 1))), ..fields })
}

fn at(times: Times) -> Intent {
    create(Fields { times: Some(times), ..Fields::default() })
}

fn update(change: impl FnOnce(&mut Fields)) -> Intent {
    let mut fields = Fields::default();
    change(&mut fields);
    Intent::Update(fields)
}

fn respond() -> Intent {
    Intent::Respond { answer: Answer::Accept, comment: String::new(), is_silent: false }
}

#[test]
fn every_rule_of_fields_has_one_kind() {
    let text = |count: usize| Some("x".repeat(count));
    let named = |zone: &str| Times { zone: Some(zone.to_owned()), ..times(NINE_MS, 1) };
    let people =
        |count: usize| Some((0..count).map(|n| invitee(&format!("p{n}@x.test"))).collect::<Vec<_>>());
    let bare = Fields::default;
    let with_address = |address: &str| create(Fields { attendees: Some(vec![invitee(address)]), ..bare() });
    let cases = [
        ("no time", Intent::Create(bare()), "no_times"),
        ("an hour", at(times(NINE_MS, 1)), "ok"),
        ("no length", at(times(NINE_MS, 0)), "ok"),
        ("end before start", at(times(NINE_MS, -1)), "end_before_start"),
        ("a day", at(days(20_731, 1)), "ok"),
        ("no day", at(days(20_731, 0)), "all_day_empty"),
        (
            "a day with a time",
            at(Times { start_ms: NINE_MS, end_ms: NINE_MS + DAY_MS, ..days(1, 1) }),
            "all_day_with_time",
        ),
        ("five years", at(days(20_731, 1825)), "ok"),
        ("more than five years", at(days(20_731, 1826)), "too_long"),
        ("before Outlook's time", at(times(FIRST_MS - HOUR_MS, 1)), "out_of_range"),
        ("the end of time", at(Times { end_ms: i64::MAX, ..times(NINE_MS, 1) }), "out_of_range"),
        ("a zone by its IANA name", at(named("Europe/Berlin")), "ok"),
        ("a zone by its Windows name", at(named("W. Europe Standard Time")), "ok"),
        ("an unknown zone", at(named("Europe/Atlantis")), "unknown_zone"),
        ("a subject of 255", create(Fields { subject: text(255), ..bare() }), "ok"),
        ("a subject of 256", create(Fields { subject: text(256), ..bare() }), "text_too_long"),
        ("a subject of a megabyte", create(Fields { subject: text(1 << 20), ..bare() }), "text_too_long"),
        (
            "a subject with a line break",
            create(Fields { subject: Some("a\nb".into()), ..bare() }),
            "control_characters",
        ),
        ("a place of 256", create(Fields { location: text(256), ..bare() }), "text_too_long"),
        ("a body of a megabyte", create(Fields { body: text(1 << 20), ..bare() }), "ok"),
        ("a longer body", create(Fields { body: text((1 << 20) + 1), ..bare() }), "body_too_long"),
        ("a body with lines", create(Fields { body: Some("a\r\n\tb\n".into()), ..bare() }), "ok"),
        ("a body with a bell", create(Fields { body: Some("\u{7}".into()), ..bare() }), "control_characters"),
        ("500 people", create(Fields { attendees: people(500), ..bare() }), "ok"),
        ("501 people", create(Fields { attendees: people(501), ..bare() }), "too_many_people"),
        ("no @", with_address("anna"), "bad_address"),
        ("nobody at a domain", with_address("@x.test"), "bad_address"),
        ("an address with a blank", with_address("a b@x.test"), "bad_address"),
        ("an address with a line break", with_address("a@x.test\nbcc: b@x.test"), "bad_address"),
        ("50 categories", create(Fields { categories: Some(vec!["c".into(); 50]), ..bare() }), "ok"),
        (
            "51 categories",
            create(Fields { categories: Some(vec!["c".into(); 51]), ..bare() }),
            "too_many_categories",
        ),
        (
            "a blank category",
            create(Fields { categories: Some(vec![" ".into()]), ..bare() }),
            "empty_category",
        ),
        ("no reminder", create(Fields { reminder: Some(Reminder::Off), ..bare() }), "ok"),
        ("at the start", create(Fields { reminder: Some(Reminder::Minutes(0)), ..bare() }), "ok"),
        (
            "after the start",
            create(Fields { reminder: Some(Reminder::Minutes(-1)), ..bare() }),
            "bad_reminder",
        ),
        (
            "an unknown show_as",
            create(Fields { show_as: Some(ShowAs::Unknown), ..bare() }),
            "unknown_show_as",
        ),
    ];
    for (name, intent, expected) in cases {
        assert_eq!(kind(&intent, None), expected, "{name}");
    }
}

#[test]
fn every_rule_of_acts_has_one_kind() {
    let (own, meeting, invitation) = (record(), meeting(&["a@x.test"]), invitation());
    let mut called_off = invitation.clone();
    called_off.details.as_deref_mut().unwrap().is_cancelled = true;
    let stub = EventRecord { details: None, ..record() };
    let subject = update(|fields| fields.subject = Some("New".into()));
    let personal = update(|fields| {
        fields.show_as = Some(ShowAs::Free);
        fields.categories = Some(Vec::new());
        fields.reminder = Some(Reminder::Off);
    });
    let private = update(|fields| fields.sensitivity = Some(crate::model::Sensitivity::Private));
    let cancel = Intent::Cancel { comment: String::new() };
    let to = |count: usize| Intent::Forward { to: vec![person("c@x.test"); count], comment: String::new() };
    let snooze = |until_ms| Intent::Snooze { until_ms };
    let cases: [(&str, &Intent, &EventRecord, &str); 24] = [
        ("nothing named", &update(|_| {}), &own, "empty_update"),
        ("one's own", &subject, &own, "ok"),
        ("an organizer's", &subject, &meeting, "ok"),
        ("somebody else's subject", &subject, &invitation, "not_organizer"),
        ("an attendee's own fields", &personal, &invitation, "ok"),
        ("privacy, which the organizer sets", &private, &invitation, "not_organizer"),
        ("a cancelled one's subject", &subject, &called_off, "event_cancelled"),
        ("a cancelled one's categories", &personal, &called_off, "ok"),
        ("an occurrence without its series", &subject, &stub, "not_fetched"),
        ("to delete anything", &Intent::Delete, &called_off, "ok"),
        ("to cancel a meeting", &cancel, &meeting, "ok"),
        ("to cancel somebody else's", &cancel, &invitation, "cancel_not_organizer"),
        ("to cancel with nobody invited", &cancel, &own, "nothing_to_cancel"),
        ("to answer", &respond(), &invitation, "ok"),
        ("to answer oneself", &respond(), &meeting, "own_meeting"),
        ("to answer an appointment", &respond(), &own, "no_invitation"),
        ("to answer a cancelled one", &respond(), &called_off, "event_cancelled"),
        ("to forward", &to(1), &invitation, "ok"),
        ("to forward to nobody", &to(0), &invitation, "nobody_to_forward"),
        ("to forward to 501", &to(501), &invitation, "too_many_people"),
        ("to forward a cancelled one", &to(1), &called_off, "event_cancelled"),
        ("to snooze", &snooze(NOW_MS + 1), &own, "ok"),
        ("to snooze until now", &snooze(NOW_MS), &own, "snooze_in_past"),
        ("to dismiss", &Intent::Dismiss, &own, "ok"),
    ];
    for (name, intent, record, expected) in cases {
        assert_eq!(kind(intent, Some(record)), expected, "{name}");
    }
}

#[test]
fn a_read_only_calendar_refuses_every_act() {
    let own = record();
    let target = Target { calendar_can_edit: false, record: Some(&own), is_series: false };
    for intent in [at(times(NINE_MS, 1)), update(|_| {}), Intent::Delete, respond(), Intent::Dismiss] {
        assert_eq!(check(&intent, &target, &Zones::bundled(), NOW_MS), Err(Refusal::ReadOnlyCalendar));
    }
}

#[test]
fn a_refused_attendee_is_told_which_fields_are_the_organizers() {
    let intent = update(|fields| {
        fields.times = Some(times(NINE_MS, 2));
        fields.show_as = Some(ShowAs::Free);
    });
    let refusal = judge(&intent, Some(&invitation())).unwrap_err();
    assert_eq!(refusal, Refusal::NotOrganizer { fields: "end".into() });
    assert!(refusal.to_string().starts_with("only the organizer can change end"), "{refusal}");
}

#[test]
fn a_guest_without_an_address_may_stay_but_not_come() {
    let nameless = Invitee {
        person: Person { name: Some("Room 4".into()), address: None },
        kind: AttendeeType::Resource,
    };
    let attendees = update(|fields| fields.attendees = Some(vec![nameless.clone(), invitee("new@x.test")]));
    let listed = with(|details| {
        details.attendees = vec![crate::model::Attendee {
            person: nameless.person.clone(),
            kind: nameless.kind,
            response: Response::None,
        }];
    });
    assert_eq!(kind(&attendees, Some(&listed)), "ok");
    assert_eq!(kind(&attendees, Some(&record())), "bad_address");
}

#[test]
fn a_custom_zone_that_the_event_has_already_may_stay() {
    let custom = "tzone://Microsoft/Custom";
    let intent = update(|fields| {
        fields.times = Some(Times { zone: Some(custom.to_owned()), ..times(NINE_MS, 2) });
    });
    let its_own = with(|details| details.original_time_zone = Some(custom.to_owned()));
    assert_eq!(kind(&intent, Some(&its_own)), "ok");
    assert_eq!(kind(&intent, Some(&record())), "unknown_zone");
}

#[test]
fn a_whole_series_keeps_its_day() {
    let master = record();
    let target = Target { calendar_can_edit: true, record: Some(&master), is_series: true };
    let judge = |times: Times| {
        let intent = update(|fields| fields.times = Some(times));
        check(&intent, &target, &Zones::bundled(), NOW_MS).map_err(|refusal| refusal.kind())
    };
    assert_eq!(judge(times(NINE_MS + 3 * HOUR_MS, 2)), Ok(()));
    assert_eq!(judge(days(20_731, 1)), Ok(()));
    // 23:30 in Berlin is the same day there, and 00:30 is the next, though not in UTC.
    assert_eq!(judge(times(NINE_MS + 12 * HOUR_MS + HOUR_MS / 2, 1)), Ok(()));
    assert_eq!(judge(times(NINE_MS + 13 * HOUR_MS + HOUR_MS / 2, 1)), Err("series_day"));
    assert_eq!(judge(times(NINE_MS + 24 * HOUR_MS, 1)), Err("series_day"));
    assert_eq!(judge(days(20_732, 1)), Err("series_day"));
}
