//! The case table of the paper, row by row.

use super::test_world::*;
use super::*;
use crate::model::{DAY_MS, Response, Sensitivity, ShowAs, Window};

fn a() -> Event {
    event("A", "10:00", "11:00")
}

fn ran(events: Vec<Event>) -> (String, String) {
    let mut world = World::new(events);
    let shown = world.shown("09:00");
    let preview = world.preview("09:00");
    let commands = world.run("08:00", "23:00").commands();
    assert_eq!(commands, preview, "a preview tells what a running program does");
    (shown, commands)
}

fn expect(row: &str, events: Vec<Event>, shown: &str, commands: &str) {
    assert_eq!(ran(events), (shown.to_owned(), commands.to_owned()), "{row}");
}

#[test]
fn p1_to_p4_the_kind_of_time_decides() {
    let mut world = World::new(vec![a()]);
    for time in ["09:30", "10:00", "11:00"] {
        world.tick(time);
    }
    assert_eq!(world.commands(), "10:00 VM, 11:00 –", "P1");
    expect("P1", vec![a()], "BUSY 10:00-11:00", "10:00 VM, 11:00 –");
    expect("P2", vec![Event { show_as: ShowAs::Free, ..a() }], "", "");
    expect("P3", vec![Event { show_as: ShowAs::Tentative, ..a() }], "TENT 10:00-11:00", "");
    expect("P4", vec![Event { show_as: ShowAs::Oof, ..a() }], "OOF 10:00-11:00", "10:00 DEPUTY, 11:00 –");
}

#[test]
fn p6_p8_p9_p87_p89_answers_cancellations_and_categories() {
    expect("P6", vec![Event { response: Response::Declined, ..a() }], "", "");
    expect("P8", vec![Event { is_cancelled: true, ..a() }], "", "");
    expect("P9", vec![Event { role: Role::Single, ..a() }], "BUSY 10:00-11:00", "10:00 VM, 11:00 –");
    expect("P87", vec![Event { response: Response::Tentative, ..a() }], "TENT 10:00-11:00", "");
    let focus = Content { categories: vec!["focus".into()], ..Content::default() };
    expect("P89", vec![Event { content: focus, ..a() }], "FOCUS 10:00-11:00", "10:00 VM, 11:00 –");
}

#[test]
fn p10_p11_all_day_beside_a_meeting() {
    let free = Event { show_as: ShowAs::Free, ..all_day("D", "2026-03-10", "2026-03-11") };
    expect("P10", vec![free, a()], "BUSY 10:00-11:00", "10:00 VM, 11:00 –");
    let oof = Event { show_as: ShowAs::Oof, ..all_day("D", "2026-03-10", "2026-03-11") };
    let world = World::new(vec![oof, a()]);
    assert_eq!(world.shown("09:00"), "OOF 00:00-03-11T00:00", "P11");
    assert_eq!(world.preview("09:00"), "00:00 DEPUTY", "P11: nothing at 10 or 11");
}

#[test]
fn p14_p15_overlap() {
    let focus = Content { categories: vec!["Focus".into()], ..Content::default() };
    let focus = Event { content: focus, ..event("F", "09:00", "12:00") };
    expect("P14", vec![focus, a()], "FOCUS 09:00-12:00", "09:00 VM, 12:00 –");
    expect(
        "P15",
        vec![a(), event("Kunde: Meyer", "10:30", "11:30")],
        "BUSY 10:00-10:30, CUST 10:30-11:30",
        "10:00 VM, 10:30 200, 11:30 –",
    );
}

#[test]
fn p17_p21_joining_and_padding() {
    expect("P17", vec![a(), event("B", "11:00", "12:00")], "BUSY 10:00-12:00", "10:00 VM, 12:00 –");
    let padded = Terms { pad: "lead = \"2m\", tail = \"5m\"", ..Terms::default() };
    assert_eq!(World::under(&padded, vec![a()]).shown("09:00"), "BUSY 09:58-11:05", "P21");
}

#[test]
fn p24_p25_p26_lengths() {
    expect("P24", vec![event("A", "10:00", "10:00")], "", "");
    let longer = Terms { pad: "min_duration = \"5m\"", ..Terms::default() };
    assert_eq!(World::under(&longer, vec![event("A", "10:00", "10:03")]).shown("09:00"), "", "P25");
    let exact = World::under(&longer, vec![event("A", "10:00", "10:05")]);
    assert_eq!(exact.shown("09:00"), "BUSY 10:00-10:05", "exactly min_duration is enough");
    let away = Event { show_as: ShowAs::Oof, ..event("A", "14:00", "2026-03-12T12:00") };
    let world = World::new(vec![away]);
    let range = Window { from_ms: at("00:00"), to_ms: at("2026-03-13T00:00") };
    assert_eq!(shown(&world.scene(at("09:00")), range), "OOF 14:00-03-12T12:00", "P26");
}

#[test]
fn p30_p31_p90_foreign_calendars_make_no_claim() {
    expect("P30", vec![Event { calendar: OTHER, ..a() }], "", "");
    let holiday = Event { calendar: OTHER, ..all_day("H", "2026-03-10", "2026-03-11") };
    expect("P31", vec![holiday.clone()], "", "");
    expect("P90", vec![Event { event_type: EventType::Birthday, ..holiday.clone() }], "", "");
    let named = Terms {
        rules: "{ name = \"team\", when = { calendar = [\"team\"] }, profile = \"BUSYDAY\" },",
        ..Terms::default()
    };
    let world = World::under(&named, vec![holiday]);
    assert_eq!(world.shown("09:00"), "BUSYDAY 00:00-03-11T00:00", "a rule names it");
}

#[test]
fn p32_p33_texts_and_privacy() {
    let subject = Terms { text: "subject", ..Terms::default() };
    let private = Event { sensitivity: Sensitivity::Private, ..event("Kunde: Arzt", "10:00", "11:00") };
    let world = World::under(&subject, vec![private]);
    let segment = world.scene(at("10:30")).standing().unwrap().segment;
    assert_eq!((&*segment.profile, segment.status_text.as_deref()), ("BUSY", Some("Busy")), "P32");
    assert_eq!((segment.reason.event, segment.reason.is_private), (None, true));
    let long = format!("Plan\r\n\u{202e}{}", "x".repeat(300));
    let world = World::under(&subject, vec![event(&long, "10:00", "11:00")]);
    let text = world.scene(at("10:30")).standing().unwrap().segment.status_text.unwrap();
    assert!(text.starts_with("Plan x") && text.chars().count() <= TEXT_CHARS_MAX, "P33");
}

#[test]
fn p35_p36_p37_p40_the_mirror_changes() {
    let mut world = World::new(Vec::new());
    world.run("09:00", "10:20");
    world.events = vec![a()];
    assert_eq!(world.run("10:20", "12:00").commands(), "10:20 VM, 11:00 –", "P35");
    let mut world = World::new(Vec::new());
    world.run("09:00", "11:05");
    world.events = vec![a()];
    assert_eq!(world.run("11:05", "12:00").commands(), "", "P36");
    let mut world = World::new(vec![a()]);
    world.run("09:00", "10:19");
    world.events = vec![Event { is_cancelled: true, ..a() }];
    assert_eq!(world.run("10:20", "16:00").commands(), "10:00 VM, 10:20 –", "P37");
    let mut world = World::new(vec![a()]);
    world.run("09:00", "10:19");
    world.events = vec![event("A", "14:00", "15:00")];
    assert_eq!(world.run("10:20", "16:00").commands(), "10:00 VM, 10:20 –, 14:00 VM, 15:00 –", "P40");
}

#[test]
fn p43_an_event_inserted_anew_changes_nothing() {
    let mut world = World::new(vec![a()]);
    world.set("AVAIL", Lasting::Unsaid, "10:10");
    world.run("10:10", "10:20");
    let before = world.log.len();
    world.events = vec![Event { key: crate::model::Key::of_remote("another"), ..a() }];
    world.run("10:20", "10:50");
    assert_eq!(world.log.len(), before, "P43");
}

#[test]
fn p45_p47_p49_overrides() {
    let both = || vec![a(), event("B", "11:00", "12:00")];
    let mut world = World::new(both());
    world.run("09:00", "10:29");
    world.set("AVAIL", Lasting::Unsaid, "10:30");
    assert_eq!(world.run("10:30", "13:00").commands(), "10:00 VM, 10:30 –, 11:00 VM, 12:00 –", "P45");
    assert_eq!(world.shown("13:00"), "BUSY 10:00-10:30, AVAIL 10:30-11:00, BUSY 11:00-12:00", "P45");
    let mut world = World::new(both());
    world.run("09:00", "10:56");
    world.set("AVAIL", Lasting::Unsaid, "10:57");
    world.run("10:57", "13:00");
    assert_eq!(world.commands(), "10:00 VM, 10:57 –, 11:00 VM, 12:00 –", "P45b: no bridge");
    let mut world = World::new(vec![a()]);
    world.set("DND", Lasting::Until(at("12:00")), "09:00");
    assert_eq!(world.shown("09:00"), "DND 09:00-12:00", "P47");
    let mut world = World::new(vec![a()]);
    world.set("AVAIL", Lasting::Unsaid, "09:00");
    assert_eq!(world.shown("09:00"), "BUSY 10:00-11:00", "P49");
}

#[test]
fn p52_p55_p57_somebody_else_forwards_and_the_computer_sleeps() {
    let mut world = World::new(vec![a()]);
    world.run("09:00", "10:29");
    world.dial("MOBILE", "10:30");
    assert_eq!(world.run("10:30", "12:00").commands(), "10:00 VM", "P52");
    let mut world = World::new(vec![a()]);
    world.dial("MOBILE", "09:00");
    world.run("09:00", "10:30");
    assert_eq!(world.run("11:30", "12:00").commands(), "10:00 VM, 11:30 – MOBILE", "P55");
    let mut world = World::new(vec![a()]);
    world.run("09:00", "09:50");
    assert_eq!(world.run("10:40", "10:59").commands(), "10:40 VM", "P57");
}

#[test]
fn p60_p62_the_telephone_system_is_away() {
    let mut world = World::new(vec![a()]);
    world.away = vec![Window { from_ms: at("09:55"), to_ms: at("10:30") }];
    world.run("09:00", "12:00");
    let sent: Vec<_> = world.log.iter().filter(|(_, c)| c.channel == Channel::Forwarding).collect();
    assert_eq!(sent.len(), 2, "P60");
    assert!((at("10:30")..at("10:32")).contains(&sent[0].0), "P60: with the next try");
    assert_eq!(sent[0].1.valid_until_ms, Some(at("11:00")), "P60");
    assert_eq!((sent[1].0, sent[1].1.is_release), (at("11:00"), true), "P60");
    let mut world = World::new(vec![a()]);
    world.away = vec![Window { from_ms: at("10:30"), to_ms: at("11:30") }];
    world.run("09:00", "12:00");
    let (at_ms, release) = world.log.iter().rfind(|(_, c)| c.channel == Channel::Forwarding).unwrap();
    assert!(release.is_release && (at("11:30")..at("11:32")).contains(at_ms), "P62");
}

#[test]
fn p64_p67_p68_trust_and_the_window() {
    let mut world = World::new(vec![a()]);
    let standing = world.scene(at("10:30")).standing().unwrap();
    assert_eq!((&*standing.segment.profile, standing.as_of_ms), ("BUSY", Some(at("00:00") - DAY_MS)), "P64");
    let past = at("00:00") + 366 * DAY_MS;
    let segment = world.scene(past).standing().unwrap().segment;
    assert_eq!((&*segment.profile, segment.reason.layer), ("AVAIL", Layer::Unknown), "P67");
    // P68: a sync that did not complete moves neither the events nor the last complete pull.
    world.run("09:00", "10:30");
    assert_eq!(world.run("10:31", "10:59").commands(), "10:00 VM", "P68");
}

#[test]
fn p70_p72_days_of_another_length() {
    let world = World::new(vec![Event { show_as: ShowAs::Oof, ..all_day("D", "2026-03-29", "2026-03-30") }]);
    let noon = at("2026-03-29T12:00");
    let timeline = world.scene(at("09:00")).timeline(Window { from_ms: noon, to_ms: noon + 1 });
    let segment = timeline.at(noon).unwrap();
    assert_eq!(segment.end_ms - segment.start_ms, 23 * 3_600_000, "P70");
    let policy = Policy::compile(&settings(&Terms::default()), &zone("America/New_York"), &lines());
    let oof = Event { show_as: ShowAs::Oof, ..all_day("D", "2026-03-10", "2026-03-11") };
    let world = World::of(policy, vec![oof]);
    let segment = world.scene(at("12:00")).standing().unwrap().segment;
    assert_eq!(segment.end_ms, date("2026-03-11T04:00"), "P72");
}

#[test]
fn p73_p74_the_clock_jumps() {
    let mut world = World::new(vec![event("A", "10:30", "11:00")]);
    world.tick("10:00");
    world.tick("10:45");
    assert_eq!(world.commands(), "10:45 VM", "P73");
    let mut world = World::new(vec![a()]);
    world.run("09:00", "11:00:30");
    let before = world.log.len();
    world.evaluate(at("10:59:00"));
    assert_eq!((world.log.len(), world.commands().as_str()), (before, "10:00 VM, 11:00 –"), "P74");
    world.evaluate(at("10:50"));
    assert_eq!(world.commands(), "10:00 VM, 11:00 –, 10:50 VM", "put back further, it is believed");
}

#[test]
fn p76_off_hours() {
    let terms = Terms { extra: "off_hours_profile = \"OFFWORK\"", ..Terms::default() };
    let world = World::under(&terms, vec![event("A", "16:30", "17:30")]);
    assert_eq!(
        world.shown("09:00"),
        "OFFWORK 00:00-08:00, BUSY 16:30-17:30, OFFWORK 17:30-03-11T00:00",
        "P76"
    );
}

#[test]
fn p78_p79_the_automatic_reply() {
    let mut world = World::new(vec![a(), event("B", "14:00", "15:00")]);
    let scheduled = Window { from_ms: at("12:00"), to_ms: at("2026-03-13T08:00") };
    world.auto_reply = Some(AutoReply { scheduled: Some(scheduled), read_ms: at("08:00") });
    assert_eq!(world.shown("09:00"), "BUSY 10:00-11:00, OOF 12:00-03-11T00:00", "P78");
    let mut world = World::new(Vec::new());
    world.auto_reply = Some(AutoReply { scheduled: None, read_ms: at("08:00") });
    world.run("08:00", "14:59");
    world.auto_reply = None;
    assert_eq!(world.run("15:00", "16:00").commands(), "08:00 DEPUTY, 15:00 –", "P79");
}

#[test]
fn p80_p81_two_devices() {
    assert!(!is_in_order(Some(at("10:20")), Some(at("08:00"))), "P80");
    assert!(is_in_order(Some(at("10:20")), Some(at("10:20"))) && is_in_order(None, None));
    let (mut one, mut other) = (World::new(vec![a()]), World::new(vec![a()]));
    one.run("09:00", "12:00");
    other.run("09:59", "10:05");
    other.run("11:20", "12:00");
    let keys = |world: &World| -> Vec<String> {
        let sent = world.log.iter().filter(|(_, c)| c.channel == Channel::Forwarding);
        sent.map(|(_, command)| command.idempotency_key.clone()).collect()
    };
    assert_eq!(keys(&one), keys(&other), "P81: one effect");
    assert_ne!(keys(&one)[0], keys(&one)[1]);
}

#[test]
fn p82_p84_a_call_and_the_switch() {
    // P82: a call is displayed by the caller of this room; nothing here depends on it.
    let mut world = World::new(vec![a()]);
    assert_eq!(world.run("09:00", "12:00").commands(), "10:00 VM, 11:00 –", "P82");
    let mut world = World::new(vec![a()]);
    world.run("09:00", "10:19");
    let off = Terms { extra: "enabled = false", ..Terms::default() };
    world.policy = Policy::compile(&settings(&off), &berlin(), &lines());
    assert_eq!(world.run("10:20", "10:40").commands(), "10:00 VM, 10:20 –", "P84");
    world.policy = Policy::compile(&settings(&Terms::default()), &berlin(), &lines());
    world.tick("10:40");
    assert_eq!(world.commands(), "10:00 VM, 10:20 –, 10:40 VM", "normal at once");
}

#[test]
fn p91_p92_unusable_targets_and_crowds() {
    let own = Terms { rules: "{ name = \"own\", profile = \"OWN\" },", ..Terms::default() };
    let mut world = World::under(&own, vec![a()]);
    let segment = world.scene(at("10:30")).standing().unwrap().segment;
    assert_eq!((&*segment.profile, segment.skipped), ("OWN", Some(TargetProblem::OwnLine)), "P91");
    assert_eq!(world.run("09:00", "12:00").commands(), "", "P91");
    let many: Vec<Event> = (0..10_000)
        .map(|i| Event { end_ms: at("10:30") + i, ..event(&format!("e{i}"), "10:00", "11:00") })
        .collect();
    let world = World::new(many.clone());
    let mut turned = World::new(many.into_iter().rev().collect());
    turned.events.rotate_left(1_234);
    let timelines = [&world, &turned].map(|world| world.scene(at("09:00")).timeline(day()));
    assert_eq!(timelines[0], timelines[1], "P92");
    assert_eq!(world.shown("09:00"), "BUSY 10:00-10:30:09.9".replace(":09.9", ":09"), "P92");
}

#[test]
fn p93_p94_p95_edits_and_shutdown() {
    let mut world = World::new(vec![a()]);
    world.run("09:00", "10:30");
    world.events.clear();
    assert_eq!(world.run("10:31", "12:00").commands(), "10:00 VM, 10:31 –", "P93");
    for (policy, expected) in
        [(OnShutdown::Release, "10:00 VM, 10:30 –"), (OnShutdown::Keep, "10:00 VM, 11:20 –")]
    {
        let mut world = World::new(vec![a()]);
        world.run("09:00", "10:29");
        let step = world.forwarding().step("anna", at("10:30"), Input::Shutdown(policy));
        *world.forwarding() = step.state;
        world.send(Channel::Forwarding, at("10:30"));
        world.run("11:20", "12:00");
        assert_eq!(world.commands(), expected, "P94");
    }
    let mut world = World::under(&Terms { text: "subject", ..Terms::default() }, vec![a()]);
    world.run("09:00", "10:29");
    let before = world.log.len();
    world.events[0].content.subject = Some("Another title".into());
    world.tick("10:30");
    let sent: Vec<_> = world.log[before..].iter().map(|(_, command)| command.channel).collect();
    assert_eq!(sent, [Channel::Text], "P95");
}
