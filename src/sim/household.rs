use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::api::{
    AddCall, AgendaCall, ChooseCall, EditCall, ErrorKind, FieldsCall, ObserveCall, PresenceCall, RangeCall,
    RemoveCall,
};
use crate::emulator::{InMemory, Quirks, World};
use crate::flow::presence::Ticked;
use crate::model::DAY_MS;
use crate::ports::Clock;
use crate::presence::{Channel, ChannelState, Segment};
use crate::sim::appointments::{self, OPEN_WORD, PRIVATE_WORD, text};
use crate::sim::clock::VirtualClock;
use crate::sim::device::{CHANNELS, Device, Terms, USER};
use crate::sim::telephone::{Mood, Snap, Telephone};
use crate::sim::world::Failure;
use crate::zones::Zones;

/// Half of the worlds begin in a night before one of these: the clock changes of Berlin and New York in 2026.
const CLOCK_CHANGES_MS: [i64; 4] =
    [1_774_746_000_000, 1_792_890_000_000, 1_772_953_200_000, 1_793_512_800_000];
/// The others begin in the year from 1 March 2026.
const FIRST_DAY_MS: i64 = 1_772_323_200_000;
const ZONES: [&str; 4] = ["Europe/Berlin", "Europe/Berlin", "America/New_York", "Asia/Kolkata"];
const STEPS_MAX: u32 = 36;
const CALM_ROUNDS_MAX: u32 = 8;
/// Spans of two hours after everything agreed.
const CALM_SPANS: u32 = 8;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// A telephone that works for so long has heard everything: longer than any wait between two tries.
const HEARD_MS: i64 = 3 * MINUTE_MS;

/// What happened in a world of presence, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lived {
    /// Evaluations.
    pub ticks: u64,
    /// What changed at the telephone.
    pub effects: u64,
    /// Commands it did not take.
    pub failures: u64,
    /// Processes killed.
    pub crashes: u64,
    /// Times that somebody forwarded at the telephone.
    pub hands: u64,
    /// Manual choices.
    pub choices: u64,
    /// Clocks that jumped.
    pub jumps: u64,
    /// Evaluations at which something was forwarded.
    pub forwarded: u64,
    /// Evaluations whose state was also computed from the server, without the engine.
    pub recomputed: u64,
}

/// Runs the presence world of `seed` with its mirrors in the empty folder `dir`.
///
/// # Errors
/// The first rule that does not hold.
pub fn run_presence(seed: u64, dir: &Path) -> Result<Lived, Failure> {
    let fail = |step, what: String| Failure { seed, step, what };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| fail(0, format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let mut household = Household::new(seed, dir).map_err(|what| fail(0, what))?;
        let steps = household.rng.u32(8..STEPS_MAX);
        for step in 1..=steps {
            household.step().await.map_err(|what| fail(step, what))?;
        }
        let kind = household.kind;
        household.calm().await.map_err(|what| fail(0, format!("{kind:?}: {what}")))?;
        (household.lived.effects, household.lived.failures) = household.telephone.counts();
        Ok(household.lived)
    })
}

/// Who shares the telephone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One device, with every kind of trouble.
    Alone,
    /// Two that do the same at the same time; only crashes set them apart.
    Twins,
    /// Two that sync, sleep and fail each for itself.
    Rivals,
}

struct Household {
    rng: fastrand::Rng,
    kind: Kind,
    clock: Arc<VirtualClock>,
    /// How far the clock is from the true time.
    skew_ms: i64,
    /// The clock jumps in this world, and the telephone does not look at the age of mirrors.
    jumps: bool,
    server: InMemory,
    telephone: Arc<Telephone>,
    devices: Vec<Device>,
    terms: Terms,
    /// Somebody forwarded at the telephone while a device wanted this: until it wants something else, either may be.
    disputed: BTreeMap<usize, Option<String>>,
    is_calm: bool,
    lived: Lived,
}

impl Household {
    fn new(seed: u64, dir: &Path) -> Result<Household, String> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let night = rng.choice(CLOCK_CHANGES_MS).map(|change_ms| change_ms - rng.i64(0..30) * HOUR_MS);
        let any_ms = (FIRST_DAY_MS + rng.i64(0..365 * DAY_MS)).div_euclid(MINUTE_MS) * MINUTE_MS;
        let now_ms = night.filter(|_| rng.bool()).unwrap_or(any_ms);
        let clock = Arc::new(VirtualClock::at(now_ms));
        let mut world = World::new(seed, &[("Anna Albrecht", USER)], "W. Europe Standard Time");
        world.set_asks_for_tokens(false);
        world.set_quirks(if rng.bool() { Quirks::tame() } else { Quirks::default() });
        let server = InMemory::new(world, clock.clone());
        for _ in 0..rng.u32(2..10) {
            appointments::change(&server, &mut rng, now_ms);
        }
        let kind = rng.choice([Kind::Alone, Kind::Alone, Kind::Twins, Kind::Rivals]).unwrap_or(Kind::Alone);
        let jumps = kind == Kind::Alone && rng.bool();
        let telephone = Arc::new(Telephone::new(!jumps));
        let terms = Terms {
            zone: rng.choice(ZONES).unwrap_or("Europe/Berlin"),
            merge_gap_minutes: if rng.bool() { 0 } else { 15 },
            is_enabled: true,
            is_released_at_shutdown: rng.bool(),
        };
        let names: &[&str] = if kind == Kind::Alone { &["desk"] } else { &["desk", "pocket"] };
        let device = |(number, name): (u64, &&str)| {
            // Twins draw alike.
            let seed = if kind == Kind::Rivals { seed ^ (number << 32) } else { seed };
            Device::new(&dir.join(name), seed, clock.clone(), server.clone(), telephone.clone(), terms)
        };
        let devices = (0..).zip(names).map(device).collect::<Result<Vec<_>, String>>()?;
        Ok(Household {
            rng,
            kind,
            clock,
            skew_ms: 0,
            jumps,
            server,
            telephone,
            devices,
            terms,
            disputed: BTreeMap::new(),
            is_calm: false,
            lived: Lived::default(),
        })
    }

    async fn step(&mut self) -> Result<(), String> {
        match self.rng.u32(0..100) {
            0..22 => {
                let now_ms = self.clock.now_ms();
                for _ in 0..self.rng.u32(1..4) {
                    appointments::change(&self.server, &mut self.rng, now_ms);
                }
                Ok(())
            }
            22..30 => self.edit_here(),
            30..44 => self.sync(false).await,
            44..47 => {
                let is_down = self.rng.bool();
                self.server.with(|world| world.set_network_down(is_down));
                Ok(())
            }
            47..70 => {
                let span_ms = self.rng.i64(1..16) * 15 * MINUTE_MS + self.rng.i64(0..900) * 1_000;
                self.live(span_ms).await
            }
            70..76 => self.sleep(),
            76..81 => self.choose(),
            81..86 => self.forward_by_hand(),
            86..90 => {
                if self.kind != Kind::Twins {
                    let moods = [Mood::Refuses, Mood::Refuses, Mood::Silent, Mood::Swallows];
                    let mood = self.rng.choice(moods).unwrap_or(Mood::Refuses);
                    self.telephone.set_mood(mood, self.rng.u32(1..20));
                }
                Ok(())
            }
            90..94 => self.crash().await,
            94..98 => {
                if self.jumps {
                    self.jump();
                }
                Ok(())
            }
            98 => self.reconfigure(),
            _ => self.stop().await,
        }
    }

    /// The devices that take part in something: all, or with rivals any.
    fn some(&mut self) -> Vec<usize> {
        let all = 0..self.devices.len();
        if self.kind == Kind::Rivals && !self.is_calm {
            all.filter(|_| self.rng.f64() < 0.7).collect()
        } else {
            all.collect()
        }
    }

    fn device(&mut self, which: usize) -> Result<&mut Device, String> {
        self.devices.get_mut(which).ok_or_else(|| "there is such a device".to_owned())
    }

    /// Lets the time pass as the engine does: evaluates, sleeps until the next wake-up, evaluates.
    async fn live(&mut self, span_ms: i64) -> Result<(), String> {
        let end_ms = self.clock.now_ms() + span_ms;
        let awake = self.some();
        let was_well = self.telephone.is_well();
        loop {
            let mut ticks = Vec::new();
            for which in awake.iter().copied() {
                ticks.push((which, self.device(which)?.tick().await?));
                self.lived.ticks += 1;
            }
            for (which, ticked) in &ticks {
                self.check(*which, ticked)?;
            }
            let wake_ms = ticks.iter().map(|(_, ticked)| ticked.next_wake_ms).fold(end_ms, i64::min);
            let now_ms = self.clock.now_ms();
            if now_ms >= end_ms {
                break;
            }
            self.clock.turn((wake_ms - now_ms).max(1_000));
            let now_ms = self.clock.now_ms();
            self.server.with(|world| world.settle(now_ms));
        }
        let is_heard = was_well && span_ms >= HEARD_MS && (self.kind != Kind::Rivals || self.is_calm);
        for which in awake.into_iter().filter(|_| is_heard) {
            self.nothing_waits(which)?;
        }
        Ok(())
    }

    fn nothing_waits(&mut self, which: usize) -> Result<(), String> {
        let rows = self.device(which)?.reader()?.presence_channels().map_err(|error| error.to_string())?;
        match rows.iter().find_map(|row| row.state.pending.as_ref()) {
            // Another device has acted on a newer mirror: the next sync frees it.
            Some(pending) if pending.is_stale => Ok(()),
            Some(pending) => Err(format!(
                "a {} command waits although the telephone works",
                pending.command.channel.code()
            )),
            None => Ok(()),
        }
    }

    /// The telephone shows what the timeline says, on each channel that has nothing under way.
    fn check(&mut self, which: usize, ticked: &Ticked) -> Result<(), String> {
        let is_shared = self.kind == Kind::Rivals && (!self.is_calm || self.has_edits()?);
        let at_ms = ticked.at_ms;
        let segment = self.device(which)?.standing(at_ms)?;
        let target = segment.forwarding.as_ref().map(|forwarding| forwarding.target.clone());
        self.lived.forwarded += u64::from(target.is_some());
        if self.disputed.get(&which).is_some_and(|disputed| *disputed != target) {
            self.disputed.remove(&which);
        }
        if self.rng.f64() < 0.2 {
            self.no_change_before(which, &segment, ticked)?;
        }
        if is_shared {
            return Ok(());
        }
        let rows = self.device(which)?.reader()?.presence_channels().map_err(|error| error.to_string())?;
        for channel in CHANNELS {
            let row = rows.iter().find(|row| row.state.channel == channel);
            let state = row.map_or_else(|| ChannelState::new(channel), |row| row.state.clone());
            if state.pending.is_some() {
                continue;
            }
            let shown = self.telephone.shown(channel);
            let by_hand = self.telephone.by_hand();
            let (wanted, or_by_hand) = match channel {
                Channel::Presence => (segment.profile.to_string(), false),
                Channel::Text => (segment.status_text.as_deref().unwrap_or_default().to_owned(), false),
                Channel::Forwarding => {
                    (target.clone().unwrap_or_else(|| by_hand.clone()), self.disputed.contains_key(&which))
                }
            };
            let is_right =
                shown.as_ref() == Some(&wanted) || (or_by_hand && shown.as_ref() == Some(&by_hand));
            if !is_right {
                let code = channel.code();
                return Err(format!(
                    "at {} the telephone's {code} is {shown:?} and should be {wanted} (by hand {by_hand}): {state:?}",
                    text(at_ms)
                ));
            }
        }
        self.told_once()
    }

    fn told_once(&self) -> Result<(), String> {
        match self.telephone.repeated().first() {
            Some(repeated) if self.kind != Kind::Rivals => Err(format!("told twice: {repeated}")),
            Some(_) | None => Ok(()),
        }
    }

    /// Whoever sleeps until the next wake-up misses nothing.
    fn no_change_before(&mut self, which: usize, segment: &Segment, ticked: &Ticked) -> Result<(), String> {
        let last_ms = ticked.next_wake_ms - 1;
        if last_ms <= ticked.at_ms {
            return Ok(());
        }
        let later = self.device(which)?.standing(last_ms)?;
        let is_same = later.profile == segment.profile
            && later.status_text == segment.status_text
            && later.forwarding == segment.forwarding;
        if is_same {
            return Ok(());
        }
        Err(format!(
            "between {} and the wake-up at {} {} becomes {}",
            text(ticked.at_ms),
            text(ticked.next_wake_ms),
            segment.profile,
            later.profile
        ))
    }

    async fn sync(&mut self, is_full: bool) -> Result<(), String> {
        let start_ms = self.clock.now_ms();
        let mut end_ms = start_ms;
        for which in self.some() {
            if self.kind == Kind::Twins {
                // Both at the same time.
                self.clock.turn(start_ms - self.clock.now_ms());
            }
            self.device(which)?.sync(is_full).await?;
            end_ms = end_ms.max(self.clock.now_ms());
        }
        self.clock.turn(end_ms - self.clock.now_ms());
        Ok(())
    }

    fn sleep(&mut self) -> Result<(), String> {
        let span_ms = match self.rng.u32(0..10) {
            0..7 => self.rng.i64(5..300) * MINUTE_MS,
            7..9 => self.rng.i64(5..30) * HOUR_MS,
            _ => self.rng.i64(1..6) * DAY_MS,
        };
        self.clock.turn(span_ms);
        let now_ms = self.clock.now_ms();
        self.server.with(|world| world.settle(now_ms));
        Ok(())
    }

    fn jump(&mut self) {
        let by_ms = match self.rng.u32(0..6) {
            0 => self.rng.i64(1..120) * 1_000,
            1 => -self.rng.i64(1..120) * 1_000,
            2 => self.rng.i64(2..300) * MINUTE_MS,
            3 => -self.rng.i64(3..300) * MINUTE_MS,
            4 => self.rng.i64(1..4) * DAY_MS,
            _ => -self.rng.i64(1..4) * DAY_MS,
        };
        self.skew_ms += by_ms;
        self.clock.turn(by_ms);
        self.lived.jumps += 1;
    }

    /// The user edits offline, on one device. Twins would not be the same afterwards.
    fn edit_here(&mut self) -> Result<(), String> {
        if self.kind == Kind::Twins {
            return Ok(());
        }
        let now_ms = self.clock.now_ms();
        let which = self.rng.usize(0..self.devices.len());
        let start_ms = appointments::soon(&mut self.rng, now_ms);
        let end_ms = start_ms + appointments::length(&mut self.rng);
        let way = self.rng.u32(0..3);
        let place = self.rng.usize(0..1_000);
        let subject = Some(format!("{OPEN_WORD} {place}"));
        let Device { mirrors, account, .. } = self.device(which)?;
        let range = RangeCall {
            from: Some(text(now_ms - DAY_MS)),
            to: Some(text(now_ms + DAY_MS)),
            ..RangeCall::default()
        };
        let found = mirrors.agenda(account, &AgendaCall { range, ..AgendaCall::default() });
        let items = found.map_err(|error| error.to_string())?.items;
        let chosen = items.get(place % items.len().max(1)).filter(|_| way > 0);
        let done = match chosen {
            None => {
                let fields = FieldsCall {
                    subject,
                    start: Some(text(start_ms)),
                    end: Some(text(end_ms)),
                    ..FieldsCall::default()
                };
                mirrors.add(account, &AddCall { fields, ..AddCall::default() }).map(|_| ())
            }
            Some(event) if way == 1 && !event.all_day => {
                let fields = FieldsCall {
                    start: Some(text(start_ms)),
                    end: Some(text(end_ms)),
                    ..FieldsCall::default()
                };
                let call = EditCall { id: event.id.to_string(), fields, ..EditCall::default() };
                mirrors.edit(account, &call).map(|_| ())
            }
            Some(event) => {
                let call = RemoveCall { id: event.id.to_string(), ..RemoveCall::default() };
                mirrors.remove(account, &call).map(|_| ())
            }
        };
        match done {
            Err(error) if !matches!(error.kind(), ErrorKind::Refused | ErrorKind::NotFound) => {
                Err(format!("an edit failed: {error}"))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn choose(&mut self) -> Result<(), String> {
        let profile = self.rng.choice(["AVAIL", "BUSY", "DND", "WE"]).unwrap_or("AVAIL").to_owned();
        let (ending, minutes) = (self.rng.u32(0..5), self.rng.u32(5..600));
        for which in self.some() {
            let Device { mirrors, account, .. } = self.device(which)?;
            let call = ChooseCall {
                profile: profile.clone(),
                span: (ending == 1).then(|| format!("{minutes}m")),
                is_until_changed: ending == 2,
                ..ChooseCall::default()
            };
            let done = match ending {
                3.. => mirrors.clear_choice(account, &PresenceCall::default()),
                _ => mirrors.choose(account, &call),
            };
            done.map_err(|error| format!("a manual choice failed: {error}"))?;
        }
        self.lived.choices += 1;
        Ok(())
    }

    /// The user forwards at the telephone, and every device hears of it.
    fn forward_by_hand(&mut self) -> Result<(), String> {
        let target = self.rng.choice(["MOBILE", "COTTAGE", "none"]).unwrap_or("MOBILE").to_owned();
        self.telephone.set_by_hand(&target);
        let now_ms = self.clock.now_ms();
        for which in 0..self.devices.len() {
            let device = self.device(which)?;
            let call = ObserveCall { target: target.clone(), ..ObserveCall::default() };
            device.mirrors.observe(&device.account, &call).map_err(|error| error.to_string())?;
            let target = device.standing(now_ms)?.forwarding.map(|forwarding| forwarding.target);
            self.disputed.insert(which, target);
        }
        self.lived.hands += 1;
        Ok(())
    }

    /// A process is killed at a command, or between two evaluations.
    async fn crash(&mut self) -> Result<(), String> {
        let which = self.rng.usize(0..self.devices.len());
        let snap = if self.rng.bool() { Snap::Before } else { Snap::After };
        let at = self.rng.u32(0..3);
        self.device(which)?.tick_or_crash(Some((at, snap))).await?;
        self.lived.crashes += 1;
        if self.kind == Kind::Twins {
            // At the same instant both have seen the same.
            for which in 0..self.devices.len() {
                let ticked = self.device(which)?.tick().await?;
                self.check(which, &ticked)?;
            }
        }
        Ok(())
    }

    fn reconfigure(&mut self) -> Result<(), String> {
        match self.rng.u32(0..3) {
            0 => self.terms.is_enabled = !self.terms.is_enabled,
            _ => self.terms.zone = self.rng.choice(ZONES).unwrap_or("Europe/Berlin"),
        }
        self.configure()
    }

    fn configure(&mut self) -> Result<(), String> {
        let terms = self.terms;
        self.devices.iter_mut().try_for_each(|device| device.configure(terms))
    }

    async fn stop(&mut self) -> Result<(), String> {
        for which in self.some() {
            self.device(which)?.stop().await?;
        }
        Ok(())
    }

    /// Heals everything, and lets the devices live until everything agrees, and for most of another day.
    async fn calm(&mut self) -> Result<(), String> {
        self.server.with(|world| {
            world.set_network_down(false);
            world.clear_faults();
        });
        self.telephone.heal();
        self.is_calm = true;
        self.terms.is_enabled = true;
        self.configure()?;
        self.clock.turn(-self.skew_ms);
        self.private_stays_private()?;
        if self.kind == Kind::Rivals {
            // A choice is a device's own: two that choose differently never agree.
            self.clear_choices()?;
        }
        let mut last = String::new();
        for round in 0..CALM_ROUNDS_MAX {
            self.clock.turn(20 * MINUTE_MS);
            let now_ms = self.clock.now_ms();
            self.server.with(|world| world.settle(now_ms));
            self.sync(round > CALM_ROUNDS_MAX / 2).await?;
            match self.live(HEARD_MS + 10 * MINUTE_MS).await {
                Ok(()) => {
                    last.clear();
                    break;
                }
                // Rivals first have to hear of each other's newer mirrors.
                Err(what) if self.kind == Kind::Rivals => last = what,
                Err(what) => return Err(what),
            }
        }
        if !last.is_empty() {
            return Err(last);
        }
        for _ in 0..CALM_SPANS {
            self.sync(false).await?;
            self.live(2 * HOUR_MS).await?;
            self.recompute()?;
        }
        self.clear_choices()?;
        self.live(HEARD_MS).await?;
        self.recompute()?;
        self.private_stays_private()
    }

    fn clear_choices(&self) -> Result<(), String> {
        self.devices.iter().try_for_each(|device| {
            let cleared = device.mirrors.clear_choice(&device.account, &PresenceCall::default());
            cleared.map(|_| ()).map_err(|error| error.to_string())
        })
    }

    /// Whether a device holds edits that the other cannot know of.
    fn has_edits(&self) -> Result<bool, String> {
        for device in &self.devices {
            if !device.reader()?.outbox().map_err(|error| error.to_string())?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is shown is what the server's appointments ask for, when nothing else has a say.
    fn recompute(&mut self) -> Result<(), String> {
        let now_ms = self.clock.now_ms();
        let zone = Zones::bundled().resolve(self.terms.zone).ok_or("a known zone")?;
        for which in 0..self.devices.len() {
            let reader = self.device(which)?.reader()?;
            let is_chosen = reader.presence().map_err(|error| error.to_string())?.chosen.is_some();
            if is_chosen || self.has_edits()? || self.terms.merge_gap_minutes > 0 {
                continue;
            }
            let (profile, target) = appointments::strongest(&self.server, &zone, now_ms);
            let shown = self.telephone.shown(Channel::Presence);
            if shown.as_deref() != Some(profile) {
                return Err(format!(
                    "at {} {shown:?} is shown; the server's appointments ask for {profile}",
                    text(now_ms)
                ));
            }
            let forwarded = self.telephone.shown(Channel::Forwarding);
            let by_hand = self.telephone.by_hand();
            let is_disputed = !self.disputed.is_empty() && forwarded.as_ref() == Some(&by_hand);
            if forwarded.as_deref() != Some(target.unwrap_or(&by_hand)) && !is_disputed {
                return Err(format!(
                    "at {} calls go to {forwarded:?}; the server's appointments ask for {target:?}",
                    text(now_ms)
                ));
            }
            self.lived.recomputed += 1;
        }
        Ok(())
    }

    /// No private word in a command, the journal or an explanation; no word of any appointment in the journal.
    fn private_stays_private(&mut self) -> Result<(), String> {
        if self.telephone.told().iter().any(|wire| wire.contains(PRIVATE_WORD)) {
            return Err("a command tells of a private appointment".to_owned());
        }
        for device in &self.devices {
            let journal = device.reader()?.presence_journal(usize::MAX).map_err(|error| error.to_string())?;
            let says = |word: &str| journal.iter().any(|line| line.detail.to_string().contains(word));
            if says(PRIVATE_WORD) || says(OPEN_WORD) {
                return Err("the journal tells what an appointment is about".to_owned());
            }
            let why = device.mirrors.presence_why(&device.account, &PresenceCall::default());
            let why = why.map_err(|error| error.to_string())?;
            if serde_json::to_string(&why).unwrap_or_default().contains(PRIVATE_WORD) {
                return Err("an explanation tells of a private appointment".to_owned());
            }
        }
        Ok(())
    }
}
