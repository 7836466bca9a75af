//! The day and the policy of the case tables, and a program that runs through it against a telephone system.

use std::collections::BTreeMap;

use super::*;
use crate::config::Config;
use crate::model::{DAY_MS, Key, Response, Sensitivity, ShowAs, SourceKind, Window};
use crate::zones::{Zone, Zones, parse_time};

/// The policy of the paper. `{extra}` goes into `[presence]`, rules of the test before and after the paper's.
const POLICY: &str = r#"
[presence]
time_zone = "Europe/Berlin"
working_hours = { days = ["mon","tue","wed","thu","fri"], start = "08:00", end = "17:00" }
merge_gap = "5m"
base_profile = "AVAIL"
trust = { timed = "72h", all_day = "14d" }
{extra}
profile = [
  { name = "AVAIL", availability = "available" },
  { name = "WE", availability = "working_elsewhere", forwarding = { target = "MOBILE", condition = "no_answer", after = "20s" } },
  { name = "BUSYDAY", availability = "busy", rank = 25 },
  { name = "CUST", availability = "busy", rank = 30, forwarding = { target = "200" }, status_text = "{text}" },
  { name = "OOF", availability = "out_of_office", rank = 50, forwarding = { target = "DEPUTY" } },
  { name = "OFFWORK", availability = "away" },
  { name = "TENT", availability = "busy", rank = 20 },
  { name = "BUSY", availability = "busy", rank = 30, forwarding = { target = "voicemail" }, status_text = "{text}" },
  { name = "FOCUS", availability = "do_not_disturb", rank = 40, forwarding = { target = "voicemail", condition = "busy" } },
  { name = "DND", availability = "do_not_disturb", rank = 60, forwarding = { target = "voicemail" } },
  { name = "STRICT", availability = "do_not_disturb", rank = 60, allow_calendar_override = false },
  { name = "OFF", availability = "busy", forwarding = { target = "none" } },
  { name = "OWN", availability = "busy", rank = 70, forwarding = { target = "+49 30 1" } },
]
rule = [
  {rules}
  { name = "cancelled", when = { cancelled = true }, ignore = true },
  { name = "declined", when = { response = ["declined","not_responded"] }, ignore = true },
  { name = "free", when = { show_as = ["free"] }, ignore = true },
  { name = "focus", when = { category = ["Focus"] }, profile = "FOCUS" },
  { name = "oof", when = { show_as = ["oof"] }, profile = "OOF" },
  { name = "elsewhere", when = { show_as = ["working_elsewhere"] }, profile = "WE" },
  { name = "tentative", when = { show_as = ["tentative"] }, profile = "TENT" },
  { name = "answered", when = { response = ["tentative"] }, profile = "TENT" },
  { name = "days", when = { all_day = true }, profile = "BUSYDAY", hours = "inside" },
  { name = "customers", when = { subject_prefix = ["Kunde:"] }, profile = "CUST", {pad} },
  { name = "rest", profile = "BUSY", {pad} },
]
"#;

/// What a test changes in the policy.
#[derive(Clone, Default)]
pub(super) struct Terms {
    pub(super) extra: &'static str,
    pub(super) rules: &'static str,
    pub(super) pad: &'static str,
    pub(super) text: &'static str,
}

pub(super) fn settings(terms: &Terms) -> PresenceSettings {
    let text = if terms.text.is_empty() { "generic" } else { terms.text };
    let pad = if terms.pad.is_empty() { "priority = 0" } else { terms.pad };
    // TOML has inline arrays over lines; the writing is that of tables.
    let written = POLICY
        .replace("{extra}", terms.extra)
        .replace("{rules}", terms.rules)
        .replace("{text}", text)
        .replace("{pad}", pad);
    Config::parse(&written).unwrap_or_else(|problems| panic!("{problems:?}")).presence
}

pub(super) fn berlin() -> Zone {
    zone("Europe/Berlin")
}

pub(super) fn zone(name: &str) -> Zone {
    Zones::bundled().resolve(name).unwrap()
}

/// `10:30` and `10:30:15` on the day of the cases; `2026-03-12T10:30` on another.
pub(super) fn at(time: &str) -> i64 {
    let time = if time.contains('-') { time.to_owned() } else { format!("2026-03-10T{time:0>5}") };
    parse_time(&time, &berlin()).unwrap()
}

pub(super) fn date(text: &str) -> i64 {
    parse_time(text, &Zone::utc()).unwrap()
}

pub(super) fn day() -> Window {
    Window { from_ms: at("00:00"), to_ms: at("2026-03-11T00:00") }
}

pub(super) const OWN: Key = Key::from_bytes([1; 16]);
pub(super) const OTHER: Key = Key::from_bytes([2; 16]);

pub(super) fn event(name: &str, from: &str, to: &str) -> Event {
    Event {
        key: Key::of_remote(name),
        identity: Identity { uid: name.to_owned(), slot_ms: None },
        calendar: OWN,
        start_ms: at(from),
        end_ms: at(to),
        is_all_day: false,
        is_cancelled: false,
        show_as: ShowAs::Busy,
        response: Response::Organizer,
        sensitivity: Sensitivity::Normal,
        role: Role::Single,
        event_type: EventType::Default,
        source: SourceKind::Microsoft365,
        content: Content { subject: Some(name.to_owned()), ..Content::default() },
    }
}

pub(super) fn all_day(name: &str, from: &str, to: &str) -> Event {
    let dates = (date(from), date(to));
    Event { start_ms: dates.0, end_ms: dates.1, is_all_day: true, ..event(name, "00:00", "00:00") }
}

pub(super) fn calendar(key: Key, is_own: bool) -> Calendar {
    Calendar {
        key,
        name: if is_own { "Calendar" } else { "Team" }.to_owned(),
        is_own,
        last_complete_ms: Some(at("00:00") - DAY_MS),
        window: Some(Window { from_ms: at("00:00") - 30 * DAY_MS, to_ms: at("00:00") + 365 * DAY_MS }),
    }
}

/// A mirror, a user, a telephone system and a program.
pub(super) struct World {
    pub(super) policy: Policy,
    pub(super) events: Vec<Event>,
    pub(super) calendars: Vec<Calendar>,
    pub(super) auto_reply: Option<AutoReply>,
    pub(super) chosen: Option<Override>,
    pub(super) channels: BTreeMap<Channel, ChannelState>,
    /// What the telephone system does with calls.
    pub(super) phone: Option<Value>,
    /// When it refuses everything, and when it does not answer although it acts.
    pub(super) away: Vec<Window>,
    pub(super) mute: Vec<Window>,
    pub(super) log: Vec<(i64, Command)>,
    pub(super) notes: Vec<Note>,
    last_ms: Option<i64>,
}

impl World {
    pub(super) fn new(events: Vec<Event>) -> World {
        World::under(&Terms::default(), events)
    }

    pub(super) fn under(terms: &Terms, events: Vec<Event>) -> World {
        World::of(Policy::compile(&settings(terms), &berlin(), &lines()), events)
    }

    pub(super) fn of(policy: Policy, events: Vec<Event>) -> World {
        World {
            policy,
            events,
            calendars: vec![calendar(OWN, true), calendar(OTHER, false)],
            auto_reply: None,
            chosen: None,
            channels: [Channel::Presence, Channel::Forwarding, Channel::Text]
                .map(|channel| (channel, ChannelState::new(channel)))
                .into(),
            phone: None,
            away: Vec::new(),
            mute: Vec::new(),
            log: Vec::new(),
            notes: Vec::new(),
            last_ms: None,
        }
    }

    pub(super) fn scene(&self, now_ms: i64) -> Scene<'_> {
        Scene {
            policy: &self.policy,
            events: &self.events,
            calendars: &self.calendars,
            auto_reply: self.auto_reply,
            chosen: self.chosen.as_ref(),
            admin_profile: None,
            now_ms,
        }
    }

    pub(super) fn forwarding(&mut self) -> &mut ChannelState {
        self.channels.get_mut(&Channel::Forwarding).unwrap()
    }

    pub(super) fn set(&mut self, profile: &str, lasting: Lasting, time: &str) {
        self.chosen = Some(self.scene(at(time)).choose(profile, lasting).unwrap());
        self.tick(time);
    }

    /// Somebody dials a forwarding at the telephone.
    pub(super) fn dial(&mut self, target: &str, time: &str) {
        let value = Value::forwarded_to(target);
        self.phone = Some(value.clone());
        let wanted = self.timeline(at(time)).wanted(Channel::Forwarding, at(time));
        self.step(Channel::Forwarding, at(time), Input::Observed { value: &value, wanted: &wanted });
        self.tick(time);
    }

    fn timeline(&self, now_ms: i64) -> Timeline {
        self.scene(now_ms).timeline(Window { from_ms: now_ms, to_ms: now_ms + 1 })
    }

    fn step(&mut self, channel: Channel, now_ms: i64, input: Input<'_>) {
        let step = self.channels[&channel].step("anna", now_ms, input);
        // What is stored is read back.
        let stored = serde_json::to_string(&step.state).unwrap();
        assert_eq!(serde_json::from_str::<ChannelState>(&stored).unwrap(), step.state);
        self.channels.insert(channel, step.state);
        self.notes.extend(step.notes);
    }

    pub(super) fn tick(&mut self, time: &str) {
        self.evaluate(at(time));
    }

    /// Evaluates once and tries each due command once; says when to come again.
    pub(super) fn evaluate(&mut self, now_ms: i64) -> i64 {
        let now_ms = steady_now_ms(self.last_ms, now_ms);
        self.last_ms = Some(now_ms);
        let timeline = self.timeline(now_ms);
        for channel in [Channel::Presence, Channel::Forwarding, Channel::Text] {
            let wanted = timeline.wanted(channel, now_ms);
            self.step(channel, now_ms, Input::Evaluate(&wanted));
            self.send(channel, now_ms);
        }
        let due =
            self.channels.values().filter_map(ChannelState::next_due_ms).filter(|ms| *ms > now_ms).min();
        due.unwrap_or(i64::MAX).min(timeline.next_wake_ms(now_ms))
    }

    pub(super) fn send(&mut self, channel: Channel, now_ms: i64) {
        let Some(command) = self.channels[&channel].due(now_ms).cloned() else { return };
        self.step(channel, now_ms, Input::Sending);
        let is_in = |windows: &[Window]| windows.iter().any(|w| w.from_ms <= now_ms && now_ms < w.to_ms);
        let is_phone = channel == Channel::Forwarding;
        let answer = match (is_phone && is_in(&self.away), is_phone && is_in(&self.mute)) {
            (true, _) => Answer::Refused,
            (false, is_mute) => {
                if is_phone {
                    self.phone = command.set.clone();
                }
                self.log.push((now_ms, command.clone()));
                if is_mute { Answer::Lost } else { Answer::Applied }
            }
        };
        self.step(channel, now_ms, Input::Answered { id: &command.id, answer, roll: 0 });
    }

    /// Runs from one time to another, sleeping until something is due.
    pub(super) fn run(&mut self, from: &str, to: &str) -> &mut World {
        let (mut now_ms, to_ms) = (at(from), at(to));
        let mut turns = 0;
        while now_ms < to_ms {
            let next_ms = self.evaluate(now_ms);
            assert!(next_ms > now_ms, "a wake-up must lie in the future");
            now_ms = next_ms;
            turns += 1;
            assert!(turns < 10_000);
        }
        self.evaluate(to_ms);
        self
    }

    /// The forwarding commands that arrived: `10:00 VM, 11:00 –`.
    pub(super) fn commands(&self) -> String {
        let texts = self.log.iter().filter(|(_, c)| c.channel == Channel::Forwarding);
        texts.map(|(ms, command)| said(*ms, command)).collect::<Vec<_>>().join(", ")
    }

    /// What is not base over the day: `BUSY 10:00-11:00`.
    pub(super) fn shown(&self, now: &str) -> String {
        shown(&self.scene(at(now)), day())
    }

    /// The commands of a preview of the day.
    pub(super) fn preview(&self, now: &str) -> String {
        let scene = self.scene(at(now));
        let commands = preview(&scene, &scene.timeline(day()), day(), None);
        let texts = commands.iter().filter(|preview| preview.command.channel == Channel::Forwarding);
        texts.map(|preview| said(preview.at_ms, &preview.command)).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn now(&self, time: &str) -> String {
        self.scene(at(time)).standing().unwrap().segment.profile.to_string()
    }
}

pub(super) fn lines() -> Lines {
    Lines { own: vec!["0049301".into()], ..Lines::default() }
}

pub(super) fn clock(ms: i64) -> String {
    let text = berlin().rfc3339(ms);
    let text = if text.starts_with("2026-03-10") { text[11..19].to_owned() } else { text[5..16].to_owned() };
    if text.len() == 8 { text.strip_suffix(":00").map(ToOwned::to_owned).unwrap_or(text) } else { text }
}

fn said(ms: i64, command: &Command) -> String {
    let target = match &command.set {
        Some(Value::Forwarding(forwarding)) if forwarding.target == "voicemail" => "VM".to_owned(),
        Some(Value::Forwarding(forwarding)) => forwarding.target.clone(),
        None => "none".to_owned(),
        Some(other) => panic!("{other:?}"),
    };
    match (command.is_release, target.as_str()) {
        (false, _) => format!("{} {target}", clock(ms)),
        (true, "none") => format!("{} –", clock(ms)),
        (true, _) => format!("{} – {target}", clock(ms)),
    }
}

pub(super) fn shown(scene: &Scene<'_>, range: Window) -> String {
    let segments = scene.timeline(range).segments();
    assert_partition(&segments, range);
    let spoken = segments.iter().filter(|segment| segment.reason.layer != Layer::Base);
    let texts = spoken.map(|s| format!("{} {}-{}", s.profile, clock(s.start_ms), clock(s.end_ms)));
    texts.collect::<Vec<_>>().join(", ")
}

pub(super) fn assert_partition(segments: &[Segment], range: Window) {
    let mut next_ms = range.from_ms;
    for segment in segments {
        assert_eq!(segment.start_ms, next_ms, "segments follow each other");
        assert!(segment.end_ms > segment.start_ms, "no segment is empty");
        next_ms = segment.end_ms;
    }
    assert_eq!(next_ms, range.to_ms, "segments reach to the end");
}
