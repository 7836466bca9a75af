use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::emulator::{BodyKind, InMemory, Quirks, RequestKind, Rule, Seeding, What, World};
use crate::flow::pull::{PullOrder, PullPorts, PullReport, pull};
use crate::flow::push::{PushOrder, PushPorts, push};
use crate::flow::sign_in::fixed_bearer;
use crate::flow::upkeep::upkeep;
use crate::mirror::{Mirror, MirrorError};
use crate::model::{DAY_MS, Policy, Secret};
use crate::ports::{Clock, Entropy, Http};
use crate::sim::check;
use crate::sim::clock::{SeededEntropy, VirtualClock};
use crate::sim::user::{self, Sent, User};
use crate::sim::wire::{CrashingWire, Cut};
use crate::source::graph::{Graph, GraphSite};
use crate::zones::Zones;

/// Worlds begin on different days of a year, clock changes among them: 1 March 2026 and later.
const FIRST_DAY_MS: i64 = 1_772_323_200_000;
/// Keeps the user's dice apart from the world's.
const WHIMS: u64 = 0x5eed_0fed_1750_0000;
/// How many worlds have a second device.
const POCKETS: f64 = 0.35;
/// Steps of a world at the most.
const STEPS_MAX: u32 = 40;
/// Pulls after calm, before the mirror must equal the server.
const CALM_PULLS_MAX: u32 = 10;
/// Pages and requests of one pull: a pull that needs more does not end.
const REQUESTS_MAX: u64 = 40_000;

/// A world whose rules did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Replays it.
    pub seed: u64,
    /// The step, from 1; 0 is the calm at the end.
    pub step: u32,
    /// What was wrong.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} failed at step {}: {}", self.seed, self.step, self.what)
    }
}

impl std::error::Error for Failure {}

/// What happened in a world, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Pulls that ran to their end.
    pub pulls: u64,
    /// Of these, pulls that met weather.
    pub weather: u64,
    /// Engines killed.
    pub crashes: u64,
    /// Edits on the server.
    pub edits: u64,
    /// Requests the server saw.
    pub requests: u64,
    /// Events the mirror holds at the end.
    pub events: u64,
    /// Acts of the user.
    pub acts: u64,
    /// Edits that the server took.
    pub pushed: u64,
    /// Edits that were left to the user.
    pub parked: u64,
    /// Conflicts found.
    pub conflicts: u64,
    /// Whether there was a second device.
    pub pockets: u64,
}

/// Runs the world of `seed` with its mirror in the empty folder `dir`.
///
/// # Errors
/// The first rule that does not hold.
pub fn run(seed: u64, dir: &Path) -> Result<Outcome, Failure> {
    let fail = |step, what: String| Failure { seed, step, what };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| fail(0, format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let mut desk = Desk::new(seed, dir).map_err(|what| fail(0, what))?;
        let steps = desk.rng.u32(8..STEPS_MAX);
        for step in 1..=steps {
            desk.step().await.map_err(|what| fail(step, what))?;
        }
        desk.calm().await.map_err(|what| fail(0, what))?;
        desk.outcome.pockets = u64::from(desk.pocket.is_some());
        Ok(desk.outcome)
    })
}

struct Desk {
    rng: fastrand::Rng,
    clock: Arc<VirtualClock>,
    entropy: Arc<SeededEntropy>,
    server: InMemory,
    mirror: Option<Mirror>,
    path: PathBuf,
    has_silent_changes: bool,
    outcome: Outcome,
    user: User,
    /// Another device of the same user, with a mirror and an outbox of its own. It is used in turns with the first.
    pocket: Option<Pocket>,
    /// The user's own dice: a world without a user is the same world.
    whims: fastrand::Rng,
    sent: Sent,
    zones: Arc<Zones>,
}

/// The device that is not in use.
struct Pocket {
    mirror: Option<Mirror>,
    path: PathBuf,
    user: User,
}

/// How a pull is cut off.
#[derive(Debug, Clone, Copy)]
enum Crash {
    Never,
    AtRequest(u32, Cut),
    AtCommit(u32),
}

impl Desk {
    fn new(seed: u64, dir: &Path) -> Result<Desk, String> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let now_ms = FIRST_DAY_MS + rng.i64(0..365 * DAY_MS);
        let clock = Arc::new(VirtualClock::at(now_ms));
        let mut world = World::seeded(Seeding { seed, events: rng.usize(10..80), now_ms });
        world.set_asks_for_tokens(false);
        let mut quirks = if rng.f64() < 0.15 { Quirks::tame() } else { Quirks::default() };
        if rng.f64() < 0.3 {
            quirks.silent_change_rate = 0.2;
        }
        if rng.f64() < 0.3 {
            quirks.token_lines_max = 4;
        }
        let has_silent_changes = quirks.silent_change_rate > 0.0;
        world.set_quirks(quirks);
        let path = dir.join(user::ACCOUNT).join("mirror.db");
        let mut whims = fastrand::Rng::with_seed(seed ^ WHIMS);
        let policy = whims.choice([Policy::Theirs, Policy::Mine, Policy::Ask]).unwrap_or(Policy::Theirs);
        let user = |dir: &Path, number: u64| {
            let entropy = Arc::new(SeededEntropy::from_seed(seed ^ WHIMS ^ (number << 40)));
            User::new(dir, clock.clone(), entropy, policy, number)
        };
        let (mirror, _) = Mirror::open(&path, now_ms).map_err(|error| error.to_string())?;
        let pocket = if whims.f64() < POCKETS {
            let dir = dir.join("pocket");
            let path = dir.join(user::ACCOUNT).join("mirror.db");
            let (mirror, _) = Mirror::open(&path, now_ms).map_err(|error| error.to_string())?;
            Some(Pocket { mirror: Some(mirror), path, user: user(&dir, 1)? })
        } else {
            None
        };
        let user = user(dir, 0)?;
        Ok(Desk {
            rng,
            entropy: Arc::new(SeededEntropy::from_seed(seed)),
            server: InMemory::new(world, clock.clone()),
            clock,
            mirror: Some(mirror),
            path,
            has_silent_changes,
            outcome: Outcome::default(),
            user,
            pocket,
            whims,
            sent: Sent::default(),
            zones: Arc::new(Zones::bundled()),
        })
    }

    /// Puts this device away and takes the other, if there is one.
    fn take_other(&mut self) {
        if let Some(pocket) = &mut self.pocket {
            std::mem::swap(&mut self.mirror, &mut pocket.mirror);
            std::mem::swap(&mut self.path, &mut pocket.path);
            std::mem::swap(&mut self.user, &mut pocket.user);
        }
    }

    async fn step(&mut self) -> Result<(), String> {
        if self.pocket.is_some() && self.whims.bool() {
            self.take_other();
        }
        if self.whims.f64() < 0.5 {
            for _ in 0..self.whims.u32(1..5) {
                self.user.act(&mut self.whims)?;
                self.outcome.acts += 1;
            }
        }
        if self.whims.f64() < 0.3 {
            self.break_writing();
        }
        match self.rng.u32(0..100) {
            0..25 => self.edit(),
            25..38 => self.break_something(),
            38..44 => {
                let is_down = self.rng.bool();
                self.server.with(|world| world.set_network_down(is_down));
            }
            44..47 => {
                self.server.with(World::evict_links);
            }
            47..58 => {
                let by_ms = match self.rng.u32(0..10) {
                    0..5 => self.rng.i64(1_000..3_600_000),
                    5..8 => self.rng.i64(3_600_000..2 * DAY_MS),
                    8 => self.rng.i64(2 * DAY_MS..40 * DAY_MS),
                    _ => -self.rng.i64(1_000..3 * DAY_MS),
                };
                self.clock.turn(by_ms);
                let now_ms = self.clock.now_ms();
                self.server.with(|world| world.settle(now_ms));
            }
            58..70 => {
                let crash = match self.rng.u32(0..3) {
                    0 => Crash::AtRequest(self.rng.u32(0..20), Cut::Before),
                    1 => Crash::AtRequest(self.rng.u32(0..20), Cut::After),
                    _ => Crash::AtCommit(self.rng.u32(0..25)),
                };
                let is_full = self.rng.f64() < 0.2;
                self.pull(is_full, crash).await?;
            }
            _ => {
                let is_full = self.rng.f64() < 0.1;
                self.pull(is_full, Crash::Never).await?;
            }
        }
        Ok(())
    }

    fn edit(&mut self) {
        let now_ms = self.clock.now_ms();
        for _ in 0..self.rng.u32(1..6) {
            self.server.with(|world| world.random_edit(0, &mut self.rng, now_ms));
            self.outcome.edits += 1;
        }
    }

    fn break_something(&mut self) {
        let kinds = [
            RequestKind::Delta,
            RequestKind::Delta,
            RequestKind::View,
            RequestKind::Instances,
            RequestKind::Event,
            RequestKind::Batch,
            RequestKind::Calendars,
        ];
        let kind = self.rng.choice(kinds).unwrap_or(RequestKind::Delta);
        let body =
            self.rng.choice([BodyKind::Json, BodyKind::Empty, BodyKind::Html]).unwrap_or(BodyKind::Json);
        let what = match self.rng.u32(0..17) {
            0 => What::Throttle { retry_after: Some("2.128".to_owned()), status: 429 },
            1 => What::Throttle { retry_after: None, status: 429 },
            2 => What::Throttle { retry_after: Some("600".to_owned()), status: 503 },
            3 => What::Status { status: 503, code: None, body },
            4 => What::Status { status: 500, code: Some("ErrorInternalServerError".to_owned()), body },
            5 => What::Status { status: 403, code: Some("ErrorAccessDenied".to_owned()), body },
            6 => What::Status { status: 404, code: Some("ErrorItemNotFound".to_owned()), body },
            7 => What::LoseToken,
            8 => What::Drop,
            9 => What::LoseReply,
            10 => What::Truncate { bytes: self.rng.usize(0..400) },
            11 => What::EndlessNext,
            12 => What::SameLink,
            13 => What::Slow { ms: self.rng.u64(1..90_000) },
            14 => What::Hang { ms: 300_000 },
            15 => What::CaptivePortal,
            _ => What::Garbage,
        };
        let count = if matches!(what, What::EndlessNext) { 400 } else { self.rng.u32(1..6) };
        let mut rule = Rule::next(kind, what);
        rule.count = count;
        rule.when.skip = self.rng.u32(0..4);
        // A look-up that is answered 404 is the truth by definition: the world would lie to itself.
        let is_lie = matches!(rule.what, What::Status { status: 404, .. })
            && matches!(kind, RequestKind::Event | RequestKind::Batch | RequestKind::Calendars);
        if !is_lie {
            self.server.with(|world| world.add_fault(rule));
        }
    }

    fn break_writing(&mut self) {
        let kinds = [
            RequestKind::Create,
            RequestKind::Patch,
            RequestKind::Patch,
            RequestKind::Delete,
            RequestKind::Action,
        ];
        let kind = self.whims.choice(kinds).unwrap_or(RequestKind::Patch);
        let status =
            |status, code: &str| What::Status { status, code: Some(code.to_owned()), body: BodyKind::Json };
        let what = match self.whims.u32(0..12) {
            0..3 => What::LoseReply,
            3..5 => What::Drop,
            5 => What::Conflict,
            6 => status(409, "ErrorIrresolvableConflict"),
            7 => status(400, "ErrorInvalidRequest"),
            8 => status(503, "ErrorInternalServerTransientError"),
            9 => What::Throttle { retry_after: Some("7.5".to_owned()), status: 429 },
            10 => What::FailAfter { status: 500, code: Some("UnknownError".to_owned()) },
            _ => What::Hang { ms: 300_000 },
        };
        let mut rule = Rule::next(kind, what);
        rule.count = self.whims.u32(1..4);
        self.server.with(|world| world.add_fault(rule));
    }

    /// One push and pull, and the rules that hold after any.
    async fn pull(&mut self, is_full: bool, crash: Crash) -> Result<Option<PullReport>, String> {
        let mut mirror = match self.mirror.take() {
            Some(mirror) => mirror,
            None => Mirror::open(&self.path, self.clock.now_ms()).map_err(|error| error.to_string())?.0,
        };
        let before = check::shown(&mirror).map_err(|error| error.to_string())?;
        let (requests, cut) = match crash {
            Crash::AtRequest(requests, cut) => (Some(requests), cut),
            Crash::Never | Crash::AtCommit(_) => (None, Cut::Before),
        };
        let requests_before = self.server.with(|world| world.requests());
        if let Crash::AtCommit(commits) = crash {
            mirror.break_after(commits);
        }
        let wire = CrashingWire::new(self.server.clone(), requests, cut, self.sent.clone());
        let crashed = wire.crashed();
        let site = GraphSite::new("https://graph.emulated.test", None).map_err(|error| error.to_string())?;
        let graph = Graph::new(
            site,
            Arc::new(wire) as Arc<dyn Http>,
            fixed_bearer(Secret::new("token")),
            self.clock.clone() as Arc<dyn Clock>,
            self.entropy.clone() as Arc<dyn Entropy>,
        );
        let ports = PullPorts { clock: self.clock.clone(), entropy: self.entropy.clone() };
        let order =
            PullOrder { is_full, is_asked: self.rng.bool(), past_ms: 30 * DAY_MS, future_ms: 365 * DAY_MS };
        let push_ports =
            PushPorts { clock: self.clock.clone(), entropy: self.entropy.clone(), zones: self.zones.clone() };
        let push_order = PushOrder {
            policy: self.user.policy,
            confirm_mail_after_ms: 3 * DAY_MS,
            is_asked: order.is_asked,
        };
        let mut progress = |_| {};
        let mut pushed = None;
        let ended = tokio::select! {
            biased;
            () = crashed.notified() => None,
            ended = async {
                pushed = Some(push(&mut mirror, &graph, &push_ports, push_order, &mut progress).await?);
                let report = pull(&mut mirror, &graph, &ports, order, &mut progress).await?;
                upkeep(&mut mirror)?;
                Ok::<_, MirrorError>(report)
            } => Some(ended),
        };
        if let Some(report) = pushed {
            self.outcome.pushed += report.pushed;
            self.outcome.parked += report.parked;
            self.outcome.conflicts += report.conflicts;
        }
        let requests = self.server.with(|world| world.requests()) - requests_before;
        self.outcome.requests += requests;
        if requests > REQUESTS_MAX {
            return Err(format!("a pull sent {requests} requests"));
        }
        let report = match (ended, crash) {
            (None, _) | (Some(Err(_)), Crash::AtCommit(_)) => {
                // Killed: nothing in memory survives; the file is what is left.
                self.outcome.crashes += 1;
                drop(mirror);
                mirror = Mirror::open(&self.path, self.clock.now_ms()).map_err(|error| error.to_string())?.0;
                None
            }
            (Some(Err(error)), Crash::Never | Crash::AtRequest(..)) => {
                return Err(format!("the store broke: {error}"));
            }
            (Some(Ok(report)), _) => {
                self.outcome.pulls += 1;
                self.outcome.weather += u64::from(report.fault.is_some());
                Some(report)
            }
        };
        mirror.break_never();
        check::nothing_blinked(&self.server, &mirror, &before)?;
        check::feed_tells_all(&mirror)?;
        self.mirror = Some(mirror);
        Ok(report)
    }

    /// Heals everything, lets the server settle, and pulls until server and mirrors are equal.
    async fn calm(&mut self) -> Result<(), String> {
        self.server.with(|world| {
            world.set_network_down(false);
            world.clear_faults();
        });
        let mut last = None;
        for attempt in 0..CALM_PULLS_MAX {
            // Long enough for what was put off and for pauses, short enough that changes come by delta.
            self.clock.turn(Duration::from_secs(3 * 3_600).as_millis() as i64);
            let now_ms = self.clock.now_ms();
            self.server.with(|world| world.settle(now_ms));
            let is_full = self.has_silent_changes || attempt > CALM_PULLS_MAX / 2;
            last = self.rest(is_full).await?;
            if self.pocket.is_some() {
                self.take_other();
                last = self.rest(is_full).await?.or(last);
                self.take_other();
            }
            // What the second device sent is new to the first.
            if last.is_none() {
                last = self.unequal()?;
            }
            if last.is_none() {
                return self.check();
            }
        }
        Err(last.unwrap_or_default())
    }

    /// One pull after calm; what still keeps the device in use from being at rest.
    async fn rest(&mut self, is_full: bool) -> Result<Option<String>, String> {
        let Some(report) = self.pull(is_full, Crash::Never).await? else {
            return Err("a pull without a crash has a report".to_owned());
        };
        if let Some(fault) = &report.fault {
            return Ok(Some(format!("a pull after calm met {}", fault.kind())));
        }
        let now_ms = self.clock.now_ms();
        let Some(mirror) = self.mirror.as_mut() else { return Err("the mirror is open".to_owned()) };
        for calendar in mirror.calendars().map_err(|error| error.to_string())? {
            mirror.accept_removals(calendar.id, now_ms).map_err(|error| error.to_string())?;
        }
        self.user.unsent(&self.path)
    }

    /// In what a mirror differs from the server.
    fn unequal(&self) -> Result<Option<String>, String> {
        let pocket = self.pocket.as_ref().map(|pocket| &pocket.mirror);
        for mirror in [Some(&self.mirror), pocket].into_iter().flatten() {
            let Some(mirror) = mirror else { return Err("the mirror is open".to_owned()) };
            if let Err(difference) = check::equal(&self.server, mirror) {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }

    /// The rules that hold at rest.
    fn check(&mut self) -> Result<(), String> {
        check::nobody_invited_twice(&self.server)?;
        for _ in 0..=usize::from(self.pocket.is_some()) {
            self.user.check(&self.server, &self.path, &self.sent)?;
            let Some(mirror) = &self.mirror else { return Err("the mirror is open".to_owned()) };
            check::feed_tells_all(mirror)?;
            self.outcome.events += check::shown(mirror).map_err(|error| error.to_string())?.len() as u64;
            self.take_other();
        }
        Ok(())
    }
}
