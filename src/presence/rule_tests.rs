//! The numbered sentences about rules, claims, overrides and layers that the case table does not cover.

use super::test_world::*;
use super::*;
use crate::model::{DAY_MS, Key, Response, Sensitivity, ShowAs, Window};

fn a() -> Event {
    event("A", "10:00", "11:00")
}

fn with_rules(rules: &'static str) -> Terms {
    Terms { rules, ..Terms::default() }
}

fn named(name: &str) -> Event {
    event(name, "10:00", "11:00")
}

#[test]
fn r2_4_copies_in_two_own_calendars_are_one() {
    let copy = Event { calendar: OTHER, key: Key::of_remote("copy"), end_ms: at("12:00"), ..a() };
    let mut world = World::new(vec![Event { show_as: ShowAs::Oof, ..a() }, copy]);
    world.calendars[1].is_own = true;
    assert_eq!(world.shown("09:00"), "OOF 10:00-11:00", "the copy that wins speaks alone");
}

#[test]
fn r3_1_no_later_rule_is_asked_even_when_the_claim_is_dropped() {
    let terms = with_rules("{ name = \"long\", profile = \"DND\", min_duration = \"2h\" },");
    assert_eq!(World::under(&terms, vec![a()]).shown("09:00"), "");
}

#[test]
fn r3_2_bounds_are_included_and_unknown_equals_nothing_else() {
    for (rules, shown) in [
        (
            "{ name = \"r\", when = { min_duration = \"1h\", max_duration = \"1h\" }, profile = \"DND\" },",
            "DND",
        ),
        ("{ name = \"r\", when = { min_duration = \"61m\" }, profile = \"DND\" },", "BUSY"),
        ("{ name = \"r\", when = { weekday = [\"tue\"] }, profile = \"DND\" },", "DND"),
        ("{ name = \"r\", when = { weekday = [\"mon\"] }, profile = \"DND\" },", "BUSY"),
        ("{ name = \"r\", when = { show_as = [\"unknown\"] }, profile = \"DND\" },", "BUSY"),
        (
            "{ name = \"r\", when = { role = [\"single\"], source = [\"microsoft365\"] }, profile = \"DND\" },",
            "DND",
        ),
        ("{ name = \"r\", when = { event_type = [\"focus_time\"] }, profile = \"DND\" },", "BUSY"),
        ("{ name = \"r\", when = { calendar = [\"calendar\"] }, profile = \"DND\" },", "DND"),
        (
            "{ name = \"r\", when = { category_none = [\"x\"], attendees_min = 0 }, profile = \"DND\" },",
            "DND",
        ),
        ("{ name = \"r\", when = { attendees_min = 1 }, profile = \"DND\" },", "BUSY"),
    ] {
        assert_eq!(World::under(&with_rules(rules), vec![a()]).now("10:30"), shown, "{rules}");
    }
}

#[test]
fn r3_3_texts_ignore_case_and_accents() {
    for (rules, subject, shown) in [
        ("{ name = \"r\", when = { subject_prefix = [\"café\"] }, profile = \"DND\" },", "CAFE um 9", "DND"),
        ("{ name = \"r\", when = { subject_word = [\"arzt\"] }, profile = \"DND\" },", "Zum Arzt!", "DND"),
        ("{ name = \"r\", when = { subject_word = [\"arzt\"] }, profile = \"DND\" },", "Arzthelfer", "BUSY"),
        (
            "{ name = \"r\", when = { subject_contains = [\"STRASSE\"] }, profile = \"DND\" },",
            "in der Straße",
            "DND",
        ),
    ] {
        assert_eq!(World::under(&with_rules(rules), vec![named(subject)]).now("10:30"), shown, "{rules}");
    }
    let terms = with_rules(
        "{ name = \"r\", when = { organizer_domain = [\"Fabrikam.com\"], external_attendees = true, online_meeting = true, location_contains = [\"raum\"] }, profile = \"DND\" },",
    );
    let content = Content {
        organizer: Some("Eve@fabrikam.COM".into()),
        has_external: true,
        is_online: true,
        location: Some("Großer RAUM".into()),
        ..Content::default()
    };
    assert_eq!(World::under(&terms, vec![Event { content, ..a() }]).now("10:30"), "DND");
}

#[test]
fn r3_4_private_events_match_no_content_key_not_even_a_negative_one() {
    for key in [
        "subject_contains = [\"A\"]",
        "subject_prefix = [\"A\"]",
        "subject_word = [\"A\"]",
        "location_contains = [\"A\"]",
        "category = [\"c\"]",
        "category_none = [\"x\"]",
        "online_meeting = false",
        "organizer = [\"o@x\"]",
        "organizer_domain = [\"x\"]",
        "attendees_min = 0",
        "external_attendees = false",
    ] {
        let rules = format!("{{ name = \"r\", when = {{ {key} }}, profile = \"DND\" }},");
        let terms = with_rules(rules.leak());
        let content = Content {
            subject: Some("A".into()),
            location: Some("A".into()),
            categories: vec!["c".into()],
            organizer: Some("o@x".into()),
            ..Content::default()
        };
        let event = Event { content, ..a() };
        for (sensitivity, shown) in [
            (Sensitivity::Normal, "DND"),
            (Sensitivity::Personal, "DND"),
            (Sensitivity::Private, "BUSY"),
            (Sensitivity::Confidential, "BUSY"),
        ] {
            let event = Event { sensitivity, ..event.clone() };
            assert_eq!(World::under(&terms, vec![event]).now("10:30"), shown, "{key}");
        }
    }
}

#[test]
fn r4_1_r4_2_first_pad_then_clip() {
    let terms = with_rules(
        "{ name = \"in\", when = { subject_word = [\"in\"] }, profile = \"DND\", lead = \"1h\", tail = \"1h\", hours = \"inside\" },
         { name = \"out\", when = { subject_word = [\"out\"] }, profile = \"DND\", hours = \"outside\" },",
    );
    let world = World::under(&terms, vec![event("in", "08:30", "16:30")]);
    assert_eq!(world.shown("07:00"), "DND 08:00-17:00");
    let world = World::under(&terms, vec![event("out", "07:00", "18:00")]);
    assert_eq!(world.shown("07:00"), "DND 07:00-08:00, DND 17:00-18:00");
}

#[test]
fn r4_3_trust_asks_for_the_earlier_of_start_and_now() {
    let mut world = World::new(vec![a(), event("B", "12:00", "13:00")]);
    world.calendars[0].last_complete_ms = Some(at("10:30") - 72 * 3_600_000);
    assert_eq!(world.shown("09:00"), "BUSY 10:00-11:00, BUSY 12:00-13:00", "a fresh mirror shows all");
    assert_eq!(world.shown("10:30"), "BUSY 10:00-11:00, BUSY 12:00-13:00", "the bound is included");
    assert_eq!(world.shown("10:31"), "BUSY 10:00-11:00", "what began stays, what would begin is not made");
    let timeline = world.scene(at("10:29")).timeline(day());
    assert_eq!(timeline.next_wake_ms(at("10:29")), at("10:30") + 1, "the limit wakes");
    world.calendars[0].last_complete_ms = None;
    assert_eq!(world.shown("10:00"), "");
}

#[test]
fn r5_an_automatic_reply_is_dismissed_like_an_occurrence() {
    let mut world = World::new(Vec::new());
    let reply = |end| AutoReply {
        scheduled: Some(Window { from_ms: at("09:00"), to_ms: at(end) }),
        read_ms: at("08:00"),
    };
    world.auto_reply = Some(reply("12:00"));
    world.set("AVAIL", Lasting::Unsaid, "10:00");
    assert_eq!(world.now("11:00"), "AVAIL");
    world.auto_reply = Some(reply("15:00"));
    assert_eq!(world.now("14:00"), "AVAIL", "it keeps its identity when its end moves");
}

#[test]
fn r6_1_the_order_of_overlap() {
    let terms = with_rules(
        "{ name = \"high\", when = { subject_word = [\"high\"] }, profile = \"TENT\", priority = 1 },
         { name = \"padded\", when = { subject_word = [\"padded\"] }, profile = \"CUST\", lead = \"30m\" },",
    );
    let world = World::under(&terms, vec![a(), named("high")]);
    assert_eq!(world.now("10:30"), "TENT", "priority before rank");
    let world = World::under(&terms, vec![a(), event("padded", "11:00", "12:00")]);
    assert_eq!(world.shown("09:00"), "BUSY 10:00-11:00, CUST 11:00-12:00", "core before padding");
    let world = World::under(&terms, vec![a(), named("Kunde: x")]);
    assert_eq!(world.now("10:30"), "CUST", "the earlier rule");
    let world = World::under(&terms, vec![a(), event("B", "10:15", "10:45")]);
    let why = world.scene(at("10:30")).why().unwrap();
    assert_eq!(why.losers[0].because, Because::EarlierStart);
}

#[test]
fn r7_2_a_short_hole_between_stretches_of_one_profile_is_bridged() {
    for (start, shown) in [("11:05", "BUSY 10:00-12:00"), ("11:06", "BUSY 10:00-11:00, BUSY 11:06-12:00")] {
        assert_eq!(World::new(vec![a(), event("B", start, "12:00")]).shown("09:00"), shown);
    }
    let other = event("Kunde: B", "11:03", "12:00");
    assert_eq!(World::new(vec![a(), other]).shown("09:00"), "BUSY 10:00-11:00, CUST 11:03-12:00");
    let terms = Terms { extra: "off_hours_profile = \"OFFWORK\"", ..Terms::default() };
    let world = World::under(&terms, vec![event("A", "16:00", "16:58"), event("B", "17:02", "18:00")]);
    assert_eq!(world.shown("09:00"), "OFFWORK 00:00-08:00, BUSY 16:00-18:00, OFFWORK 18:00-03-11T00:00");
    let dismissed = |mut world: World| {
        world.chosen = Some(world.scene(at("11:01")).choose("DND", Lasting::Until(at("11:02"))).unwrap());
        world.shown("11:01")
    };
    assert_eq!(
        dismissed(World::new(vec![a(), event("B", "11:03", "12:00")])),
        "BUSY 10:00-11:00, DND 11:01-11:02, BUSY 11:03-12:00"
    );
}

#[test]
fn r7_1_texts_keep_segments_apart_and_reasons_are_those_of_the_first_instant() {
    let terms = Terms { text: "subject", ..Terms::default() };
    let world = World::under(&terms, vec![a(), event("B", "11:03", "12:00")]);
    let segments = world.scene(at("09:00")).timeline(day()).segments();
    let texts: Vec<_> =
        segments.iter().map(|s| (clock(s.start_ms), s.status_text.as_deref().unwrap())).collect();
    assert_eq!(
        texts,
        [
            ("00:00".into(), "Available"),
            ("10:00".into(), "A"),
            ("11:03".into(), "B"),
            ("12:00".into(), "Available")
        ]
    );
    assert_eq!(segments[1].reason.event, Some(a().key));
}

#[test]
fn r8_2_dismissed_occurrences_are_followed() {
    let mut world = World::new(vec![a()]);
    world.set("AVAIL", Lasting::Unsaid, "10:30");
    world.events = vec![event("A", "10:00", "13:00")];
    assert_eq!(world.now("12:30"), "AVAIL", "to its new end");
    world.events = vec![event("A", "14:00", "15:00")];
    assert_eq!(world.now("14:30"), "BUSY", "moved away, the dismissal is void");
    world.events = vec![a(), event("B", "09:00", "12:00")];
    assert_eq!(world.now("10:45"), "BUSY", "what was not known then is not dismissed");
    let mut made_offline = a();
    made_offline.identity.uid = "from-the-server".into();
    world.events = vec![made_offline];
    assert_eq!(world.now("10:45"), "AVAIL", "an appointment made offline got its iCalUID");
}

#[test]
fn r8_2_other_claims_take_over_and_give_back() {
    let mut world = World::new(vec![event("A", "09:00", "12:00"), event("B", "10:00", "11:00")]);
    world.set("DND", Lasting::Unsaid, "09:30");
    assert_eq!(world.shown("09:30"), "BUSY 09:00-09:30, DND 09:30-10:00, BUSY 10:00-11:00, DND 11:00-12:00");
    world.set("STRICT", Lasting::Unsaid, "09:30");
    assert_eq!(world.shown("09:30"), "BUSY 09:00-09:30, STRICT 09:30-12:00", "8.5");
}

#[test]
fn r8_3_idle_choices_end_at_local_midnight() {
    let world = World::new(Vec::new());
    let choose = |profile, time| world.scene(at(time)).choose(profile, Lasting::Unsaid).unwrap().ending;
    assert_eq!(choose("DND", "09:00"), Ending::At { until_ms: at("2026-03-11T00:00") });
    assert_eq!(choose("AVAIL", "09:00"), Ending::NextClaim { midnight_ms: at("2026-03-11T00:00") });
    let short_day = choose("DND", "2026-03-29T01:00");
    assert_eq!(short_day, Ending::At { until_ms: at("2026-03-29T01:00") + 22 * 3_600_000 });
    let terms = Terms { extra: "off_hours_profile = \"OFFWORK\"", ..Terms::default() };
    let mut world = World::under(&terms, vec![event("A", "18:00", "19:00")]);
    world.set("AVAIL", Lasting::Unsaid, "17:30");
    assert_eq!(world.now("17:45"), "AVAIL");
    assert_eq!(world.now("18:30"), "BUSY");
    assert_eq!(world.now("19:30"), "OFFWORK", "the ended override does not come back");
    assert_eq!(world.scene(at("09:00")).choose("NOBODY", Lasting::Unsaid), Err(UnknownProfile));
}

#[test]
fn r8_4_r8_6_explicit_ends_and_silence_on_all_channels() {
    let mut world = World::new(vec![event("A", "10:00", "12:00")]);
    world.run("09:00", "10:29");
    world.set("TENT", Lasting::Until(at("11:00")), "10:30");
    world.run("10:30", "13:00");
    assert_eq!(world.commands(), "10:00 VM, 10:30 –, 11:00 VM, 12:00 –");
    let mut world = World::new(vec![a()]);
    world.set("DND", Lasting::UntilChanged, "09:00");
    assert_eq!(world.now("2026-03-20T12:00"), "DND");
}

#[test]
fn r9_2_target_none_switches_off_and_a_missing_forwarding_does_not() {
    let terms = with_rules("{ name = \"r\", when = { subject_word = [\"off\"] }, profile = \"OFF\" },");
    let mut world = World::under(&terms, vec![named("off")]);
    world.dial("MOBILE", "09:00");
    assert_eq!(world.run("09:00", "12:00").commands(), "10:00 none, 11:00 – MOBILE");
}

#[test]
fn r9_1_the_administrator_is_above_everything() {
    let mut world = World::new(vec![a()]);
    world.set("DND", Lasting::UntilChanged, "09:00");
    let scene = Scene { admin_profile: Some("OOF"), ..world.scene(at("10:30")) };
    let segment = scene.standing().unwrap().segment;
    assert_eq!((&*segment.profile, segment.reason.layer), ("OOF", Layer::Admin));
}

#[test]
fn a_profile_that_vanished_leaves_its_override_asleep_and_its_rule_without_a_claim() {
    let mut world = World::new(vec![a()]);
    world.set("DND", Lasting::UntilChanged, "09:00");
    let mut settings = settings(&Terms::default());
    settings.profiles.as_mut().unwrap().retain(|profile| profile.name != "DND");
    world.policy = Policy::compile(&settings, &berlin(), &lines());
    assert_eq!(world.now("10:30"), "BUSY");
    settings.profiles.as_mut().unwrap().retain(|profile| profile.name != "BUSY");
    world.policy = Policy::compile(&settings, &berlin(), &lines());
    assert_eq!(world.now("10:30"), "AVAIL");
}

#[test]
fn without_any_sync_everything_is_unknown() {
    let mut world = World::new(Vec::new());
    for calendar in &mut world.calendars {
        (calendar.window, calendar.last_complete_ms) = (None, None);
    }
    let standing = world.scene(at("10:30")).standing().unwrap();
    assert_eq!((standing.segment.reason.layer, standing.as_of_ms), (Layer::Unknown, None));
    assert_eq!(standing.next_change_ms, None);
}

#[test]
fn the_simple_form_decides_like_the_rules_it_stands_for() {
    let simple = Simple {
        busy: Some("BUSY".into()),
        oof: Some("OOF".into()),
        tentative: Some("TENT".into()),
        working_elsewhere: Some("WE".into()),
        all_day: Some("BUSYDAY".into()),
        private: Some("FOCUS".into()),
        outside_hours: Some("OFFWORK".into()),
        ..Simple::default()
    };
    let policy = |only_accepted| {
        let mut settings = settings(&Terms::default());
        settings.rules = None;
        settings.simple = Some(Simple { only_accepted, ..simple.clone() });
        Policy::compile(&settings, &berlin(), &lines())
    };
    let day = all_day("D", "2026-03-10", "2026-03-11");
    for (event, shown, shown_if_accepted) in [
        (a(), "BUSY", "BUSY"),
        (Event { show_as: ShowAs::Oof, ..a() }, "OOF", "OOF"),
        (Event { show_as: ShowAs::Tentative, ..a() }, "TENT", "TENT"),
        (Event { show_as: ShowAs::WorkingElsewhere, ..a() }, "WE", "WE"),
        (Event { show_as: ShowAs::Free, ..a() }, "AVAIL", "AVAIL"),
        (Event { show_as: ShowAs::Unknown, ..a() }, "AVAIL", "AVAIL"),
        (day, "BUSYDAY", "BUSYDAY"),
        (Event { sensitivity: Sensitivity::Private, ..a() }, "FOCUS", "FOCUS"),
        (Event { is_cancelled: true, ..a() }, "AVAIL", "AVAIL"),
        (Event { response: Response::Declined, ..a() }, "AVAIL", "AVAIL"),
        (Event { response: Response::NotResponded, ..a() }, "BUSY", "AVAIL"),
        (Event { response: Response::Tentative, ..a() }, "TENT", "AVAIL"),
    ] {
        assert_eq!(World::of(policy(false), vec![event.clone()]).now("10:30"), shown, "{event:?}");
        assert_eq!(World::of(policy(true), vec![event.clone()]).now("10:30"), shown_if_accepted, "{event:?}");
    }
    assert_eq!(World::of(policy(false), Vec::new()).now("20:00"), "OFFWORK");
}

#[test]
fn why_names_the_winner_the_losers_and_the_layers() {
    let private = Event {
        sensitivity: Sensitivity::Private,
        show_as: ShowAs::Tentative,
        ..event("P", "10:00", "11:00")
    };
    let free = Event { show_as: ShowAs::Free, ..event("F", "10:00", "11:00") };
    let world = World::new(vec![a(), private, free]);
    let why = world.scene(at("10:30")).why().unwrap();
    assert_eq!(why.segment.reason.rule.as_deref(), Some("rest"));
    assert_eq!(why.until_ms, Some(at("11:00")));
    let losers: Vec<_> =
        why.losers.iter().map(|l| (l.profile.as_deref(), l.event, l.is_private, l.because)).collect();
    assert_eq!(
        losers,
        [
            (Some("TENT"), None, true, Because::Rank),
            (None, Some(Key::of_remote("F")), false, Because::Ignored)
        ]
    );
    let layers: Vec<_> = why.layers.iter().map(|l| (l.layer, l.decides_forwarding)).collect();
    assert_eq!(layers, [(Layer::Calendar, true), (Layer::Base, false)]);
}

#[test]
fn the_next_wake_up_is_the_next_boundary_midnight_or_a_quarter_of_an_hour() {
    let world = World::new(vec![a()]);
    let wake = |time: &str| world.scene(at(time)).timeline(day()).next_wake_ms(at(time));
    assert_eq!(wake("09:50"), at("10:00"));
    assert_eq!(wake("09:00"), at("09:15"));
    assert_eq!(wake("23:50"), at("2026-03-11T00:00"));
}

#[test]
fn an_answer_does_not_depend_on_the_range_asked_for() {
    let world = World::new(vec![a(), event("B", "11:03", "12:00"), event("C", "12:00", "12:30")]);
    let scene = world.scene(at("09:00"));
    let whole = scene.timeline(Window { from_ms: at("00:00") - DAY_MS, to_ms: at("00:00") + 3 * DAY_MS });
    for minute in 0..240 {
        let ms = at("09:00") + minute * 60_000;
        let alone = scene.timeline(Window { from_ms: ms, to_ms: ms + 1 });
        let (one, other) = (whole.at(ms).unwrap(), alone.at(ms).unwrap());
        assert_eq!((&one.profile, &one.reason), (&other.profile, &other.reason));
    }
}
