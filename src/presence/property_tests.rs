//! The invariants over random events, rules, overrides, zones and moments.

use proptest::prelude::*;

use super::test_world::*;
use super::*;
use crate::model::{DAY_MS, Key, Response, Sensitivity, ShowAs, Window};

/// Days on which clocks change there, and a plain one.
const PLACES: [(&str, &str); 6] = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("America/Santiago", "2026-09-06"),
    ("UTC", "2026-06-03"),
];
const MINUTE_MS: i64 = 60_000;
const SECRET: &str = "geheim";

#[derive(Debug, Clone)]
struct Sketch {
    start: i64,
    length: i64,
    kind: usize,
    response: usize,
    sensitivity: usize,
    is_all_day: bool,
    is_cancelled: bool,
    is_focus: bool,
}

fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
    let one = (
        -600i64..2_000,
        prop_oneof![Just(0i64), 1..10i64, 10..200i64, Just(60)],
        0..6usize,
        0..6usize,
        0..4usize,
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.2),
    );
    let one =
        one.prop_map(|(start, length, kind, response, sensitivity, is_all_day, is_cancelled, is_focus)| {
            Sketch { start, length, kind, response, sensitivity, is_all_day, is_cancelled, is_focus }
        });
    prop::collection::vec(one, 0..14)
}

#[derive(Debug, Clone)]
struct Setting {
    place: usize,
    sketches: Vec<Sketch>,
    /// Profile, how long, and the minute of the choice.
    chosen: Option<(usize, usize, i64)>,
    pulled_hours: i64,
    reply: Option<(i64, i64)>,
    now: i64,
    pad: usize,
}

fn settings_of_worlds() -> impl Strategy<Value = Setting> {
    (
        0..PLACES.len(),
        sketches(),
        prop::option::of((0..5usize, 0..3usize, 0..1_440i64)),
        0..120i64,
        prop::option::weighted(0.3, (-600..1_400i64, 1..3_000i64)),
        0..1_440i64,
        0..3usize,
    )
        .prop_map(|(place, sketches, chosen, pulled_hours, reply, now, pad)| Setting {
            place,
            sketches,
            chosen,
            pulled_hours,
            reply,
            now,
            pad,
        })
}

struct Built {
    world: World,
    day: Window,
    now_ms: i64,
}

fn built(setting: &Setting) -> Built {
    let (name, date_text) = PLACES[setting.place];
    let zone = zone(name);
    let date_ms = date(date_text);
    let day_ms = zone.midnight_ms(date_ms);
    let pads = ["", "lead = \"7m\", tail = \"3m\"", "hours = \"inside\", tail = \"90m\""];
    let terms = Terms {
        pad: pads[setting.pad],
        extra: "off_hours_profile = \"OFFWORK\"",
        text: "subject",
        ..Terms::default()
    };
    let policy = Policy::compile(&settings(&terms), &zone, &lines());
    let events = setting.sketches.iter().enumerate().map(|(i, sketch)| {
        let shows = [
            ShowAs::Busy,
            ShowAs::Free,
            ShowAs::Tentative,
            ShowAs::Oof,
            ShowAs::WorkingElsewhere,
            ShowAs::Unknown,
        ];
        let responses = [
            Response::Organizer,
            Response::Accepted,
            Response::Tentative,
            Response::Declined,
            Response::NotResponded,
            Response::None,
        ];
        let sensitivities =
            [Sensitivity::Normal, Sensitivity::Personal, Sensitivity::Private, Sensitivity::Confidential];
        let sensitivity = sensitivities[sketch.sensitivity];
        let is_private = sketch.sensitivity >= 2;
        let subject = if is_private { format!("{SECRET} {i}") } else { format!("Titel {}", i % 3) };
        let (start_ms, end_ms) = if sketch.is_all_day {
            (date_ms, date_ms + DAY_MS * (1 + sketch.length % 3))
        } else {
            let start_ms = day_ms + sketch.start * MINUTE_MS;
            (start_ms, start_ms + sketch.length * MINUTE_MS)
        };
        Event {
            start_ms,
            end_ms,
            is_all_day: sketch.is_all_day,
            is_cancelled: sketch.is_cancelled,
            show_as: shows[sketch.kind],
            response: responses[sketch.response],
            sensitivity,
            content: Content {
                subject: Some(subject),
                categories: if sketch.is_focus { vec!["Focus".into()] } else { Vec::new() },
                location: is_private.then(|| SECRET.to_owned()),
                ..Content::default()
            },
            ..event(&format!("e{i}"), "10:00", "11:00")
        }
    });
    let mut world = World::of(policy, events.collect());
    let now_ms = day_ms + setting.now * MINUTE_MS;
    for calendar in &mut world.calendars {
        calendar.last_complete_ms = Some(now_ms - setting.pulled_hours * 60 * MINUTE_MS);
    }
    world.auto_reply = setting.reply.map(|(from, length)| AutoReply {
        scheduled: Some(Window {
            from_ms: day_ms + from * MINUTE_MS,
            to_ms: day_ms + (from + length) * MINUTE_MS,
        }),
        read_ms: now_ms,
    });
    if let Some((profile, lasting, minute)) = setting.chosen {
        let profile = ["AVAIL", "DND", "STRICT", "BUSY", "OFF"][profile];
        let set_ms = day_ms + minute * MINUTE_MS;
        let lasting =
            [Lasting::Unsaid, Lasting::Until(set_ms + 45 * MINUTE_MS), Lasting::UntilChanged][lasting];
        world.chosen = Some(world.scene(set_ms).choose(profile, lasting).unwrap());
    }
    Built { world, day: zone.day(zone.date(day_ms)), now_ms }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn i1_i2_i3_the_same_inputs_in_any_order_give_the_same_gap_free_segments(
        setting in settings_of_worlds(),
        turn in 0..14usize,
    ) {
        let Built { mut world, day, now_ms } = built(&setting);
        let first = world.scene(now_ms).timeline(day);
        assert_partition(&first.segments(), day);
        prop_assert_eq!(&first, &world.scene(now_ms).timeline(day));
        let len = world.events.len().max(1);
        world.events.rotate_left(turn % len);
        world.events.reverse();
        prop_assert_eq!(&first, &world.scene(now_ms).timeline(day));
        let neighbours = first.segments();
        for (one, next) in neighbours.iter().zip(neighbours.iter().skip(1)) {
            let is_joined = one.profile == next.profile
                && one.status_text == next.status_text
                && one.forwarding == next.forwarding
                && one.reason.layer != Layer::Unknown
                && next.reason.layer != Layer::Unknown;
            prop_assert!(!is_joined, "neighbours differ");
        }
    }

    #[test]
    fn i4_an_ignored_event_changes_nothing(setting in settings_of_worlds(), start in 0..1_400i64) {
        let Built { mut world, day, now_ms } = built(&setting);
        let before = world.scene(now_ms).timeline(day);
        world.events.push(Event {
            start_ms: day.from_ms + start * MINUTE_MS,
            end_ms: day.from_ms + (start + 50) * MINUTE_MS,
            show_as: ShowAs::Free,
            sensitivity: Sensitivity::Private,
            ..event("ignored", "10:00", "11:00")
        });
        prop_assert_eq!(before, world.scene(now_ms).timeline(day));
    }

    #[test]
    fn i5_the_state_at_a_moment_is_that_of_the_timeline(setting in settings_of_worlds(), minute in 0..1_500i64) {
        let Built { world, day, .. } = built(&setting);
        let now_ms = day.from_ms + minute * MINUTE_MS + 17;
        let scene = world.scene(now_ms);
        let standing = scene.standing().unwrap();
        let range = Window { from_ms: day.from_ms - DAY_MS, to_ms: day.to_ms + DAY_MS };
        let timeline = scene.timeline(range);
        // What reaches beyond the horizon ends with it, wherever that is.
        let ends = |ms: i64| ms.clamp(range.from_ms - 30 * DAY_MS, range.to_ms + 30 * DAY_MS);
        let cut = |segment: &Segment| Segment {
            start_ms: ends(segment.start_ms),
            end_ms: ends(segment.end_ms),
            ..segment.clone()
        };
        prop_assert_eq!(cut(&standing.segment), cut(timeline.at(now_ms).unwrap()));
        let within = timeline.segments().into_iter().find(|s| s.start_ms <= now_ms && now_ms < s.end_ms).unwrap();
        prop_assert_eq!(&within.reason, &standing.segment.reason);
        let next_ms = timeline.next_wake_ms(now_ms);
        prop_assert!(next_ms > now_ms && next_ms <= now_ms + WAKE_MS_MAX);
        prop_assert!(standing.segment.end_ms >= next_ms);
        for channel in [Channel::Presence, Channel::Forwarding, Channel::Text] {
            let wanted = timeline.wanted(channel, now_ms);
            prop_assert_eq!(&wanted.value, &standing.segment.value(channel));
            prop_assert!(wanted.until_ms.is_none_or(|until_ms| until_ms >= standing.segment.end_ms));
        }
    }

    #[test]
    fn i6_private_content_reaches_no_output(setting in settings_of_worlds()) {
        let Built { world, day, now_ms } = built(&setting);
        let private: Vec<Key> = world.events.iter().filter(|e| e.is_private()).map(|e| e.key).collect();
        let scene = world.scene(now_ms);
        let timeline = scene.timeline(day);
        let why = scene.why().unwrap();
        let wires: Vec<String> = preview(&scene, &timeline, day, None)
            .iter()
            .map(|preview| preview.command.wire(world.policy.zone()).to_string())
            .collect();
        let texts: Vec<String> =
            timeline.segments().iter().filter_map(|s| s.status_text.as_deref().map(ToOwned::to_owned)).collect();
        let said = format!("{timeline:?} {why:?} {wires:?} {texts:?} {scene:?} {:?}", world.events);
        prop_assert!(!said.contains(SECRET));
        for segment in timeline.segments() {
            prop_assert!(segment.reason.event.is_none_or(|key| !private.contains(&key)));
        }
        for loser in &why.losers {
            prop_assert!(loser.event.is_none_or(|key| !private.contains(&key)));
        }
    }

    #[test]
    fn i7_i8_a_program_that_sleeps_as_it_likes_ends_at_the_baseline(
        setting in settings_of_worlds(),
        moments in prop::collection::vec(0..4_000i64, 0..40),
        away in (0..1_440i64, 0..300i64),
        baseline in prop::option::of(Just("MOBILE")),
    ) {
        let mut setting = setting;
        setting.chosen = setting.chosen.filter(|chosen| chosen.1 != 2);
        let Built { mut world, day, .. } = built(&setting);
        world.events.retain(|event| event.end_ms < day.to_ms + DAY_MS && !event.is_all_day);
        world.auto_reply = None;
        let baseline = baseline.map(Value::forwarded_to);
        world.phone.clone_from(&baseline);
        world.forwarding().in_force.clone_from(&baseline);
        world.away = vec![Window {
            from_ms: day.from_ms + away.0 * MINUTE_MS,
            to_ms: day.from_ms + (away.0 + away.1) * MINUTE_MS,
        }];
        world.mute = world.away.iter().map(|w| Window { from_ms: w.to_ms, to_ms: w.to_ms + 5 * MINUTE_MS }).collect();
        let mut moments = moments;
        moments.sort_unstable();
        for minute in moments {
            world.evaluate(day.from_ms + minute * MINUTE_MS);
        }
        // Calm: everything is over, the telephone system answers; the last wait is over, too.
        for minute in 0..3 {
            world.evaluate(day.to_ms + 5 * DAY_MS + minute * 2 * MINUTE_MS);
        }
        let state = world.forwarding().clone();
        prop_assert_eq!((&state.owned, &state.pending), (&None, &None));
        prop_assert_eq!(&world.phone, &baseline);
    }

    #[test]
    fn a_running_program_acts_at_each_transition_once(setting in settings_of_worlds()) {
        let mut setting = setting;
        // A choice is made while the program runs; here it would reach back.
        setting.chosen = None;
        setting.pulled_hours = 0;
        let Built { mut world, day, .. } = built(&setting);
        world.phone = None;
        let scene = world.scene(day.from_ms);
        let commands = preview(&scene, &scene.timeline(day), day, None);
        let expected: Vec<_> = commands
            .into_iter()
            .filter(|preview| preview.command.channel == Channel::Forwarding)
            .map(|preview| (preview.at_ms, preview.command.set, preview.command.is_release))
            .collect();
        let mut now_ms = day.from_ms;
        while now_ms < day.to_ms {
            now_ms = world.evaluate(now_ms);
        }
        let sent: Vec<_> = world
            .log
            .iter()
            .filter(|(ms, command)| command.channel == Channel::Forwarding && *ms < day.to_ms)
            .map(|(ms, command)| (*ms, command.set.clone(), command.is_release))
            .collect();
        prop_assert_eq!(sent, expected);
    }
}

#[test]
fn two_days_of_five_thousand_occurrences_are_parted_without_gap() {
    let start_ms = at("00:00");
    let many: Vec<Event> = (0..5_000)
        .map(|i: i64| Event {
            start_ms: start_ms + (i * 7_919 % 2_880) * MINUTE_MS,
            end_ms: start_ms + (i * 7_919 % 2_880 + 15 + i % 50) * MINUTE_MS,
            content: Content { subject: Some(format!("Kunde: {i}")), ..Content::default() },
            ..event(&format!("e{i}"), "10:00", "11:00")
        })
        .collect();
    let terms = Terms { extra: "off_hours_profile = \"OFFWORK\"", text: "subject", ..Terms::default() };
    let world = World::under(&terms, many);
    let range = Window { from_ms: start_ms, to_ms: start_ms + 2 * DAY_MS };
    let segments = world.scene(at("09:00")).timeline(range).segments();
    assert_partition(&segments, range);
    assert!(segments.len() > 100, "{}", segments.len());
}
