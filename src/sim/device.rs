use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::actuate::Actuators;
use crate::api::Mirrors;
use crate::config::{Config, Effective};
use crate::emulator::InMemory;
use crate::flow::presence::{Due, Inputs, Keeper, Ticked, policy};
use crate::flow::pull::{PullOrder, PullPorts, PullReport, pull};
use crate::flow::push::{PushOrder, PushPorts, push};
use crate::flow::sign_in::fixed_bearer;
use crate::flow::upkeep::upkeep;
use crate::mirror::{Mirror, Reader};
use crate::model::{DAY_MS, Policy as Conflicts, Secret, Window};
use crate::ports::{Clock, Entropy, Http};
use crate::presence::{Channel, Segment};
use crate::sim::clock::{SeededEntropy, VirtualClock};
use crate::sim::telephone::{Line, Snap, Telephone};
use crate::sim::user::ACCOUNT;
use crate::source::graph::{Graph, GraphSite};
use crate::zones::{Zone, Zones};

pub(super) const USER: &str = "anna@contoso.example";
pub(super) const CHANNELS: [Channel; 3] = [Channel::Forwarding, Channel::Presence, Channel::Text];

/// What the policy says in a world; everything else of it is fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) zone: &'static str,
    pub(super) merge_gap_minutes: u32,
    pub(super) is_enabled: bool,
    pub(super) is_released_at_shutdown: bool,
}

impl Terms {
    fn config(&self) -> String {
        let Terms { zone, merge_gap_minutes, is_enabled, is_released_at_shutdown } = self;
        let on_shutdown = if *is_released_at_shutdown { "release" } else { "keep" };
        format!(
            r#"
[[graph_app]]
display_name = "calendar"
application_id = "00000000-0000-0000-0000-000000000001"
directory_id = "contoso.example"
[[group]]
name = "all"
graph_app = "calendar"
[[account]]
name = "{ACCOUNT}"
group = "all"
user = "{USER}"
[presence]
enabled = {is_enabled}
time_zone = "{zone}"
merge_gap = "{merge_gap_minutes}m"
base_profile = "AVAIL"
on_shutdown = "{on_shutdown}"
profile = [
  {{ name = "AVAIL", availability = "available" }},
  {{ name = "WE", availability = "working_elsewhere", rank = 10, forwarding = {{ target = "HOME" }} }},
  {{ name = "TENT", availability = "busy", rank = 20, status_text = "subject" }},
  {{ name = "BUSYDAY", availability = "busy", rank = 25 }},
  {{ name = "BUSY", availability = "busy", rank = 30, forwarding = {{ target = "voicemail" }}, status_text = "subject" }},
  {{ name = "OOF", availability = "out_of_office", rank = 50, forwarding = {{ target = "DEPUTY" }}, status_text = "subject" }},
  {{ name = "DND", availability = "do_not_disturb", rank = 60, forwarding = {{ target = "voicemail" }} }},
]
rule = [
  {{ name = "cancelled", when = {{ cancelled = true }}, ignore = true }},
  {{ name = "declined", when = {{ response = ["declined", "not_responded"] }}, ignore = true }},
  {{ name = "free", when = {{ show_as = ["free"] }}, ignore = true }},
  {{ name = "oof", when = {{ show_as = ["oof"] }}, profile = "OOF" }},
  {{ name = "elsewhere", when = {{ show_as = ["working_elsewhere"] }}, profile = "WE" }},
  {{ name = "tentative", when = {{ show_as = ["tentative"] }}, profile = "TENT" }},
  {{ name = "answered", when = {{ response = ["tentative"] }}, profile = "TENT" }},
  {{ name = "days", when = {{ all_day = true }}, profile = "BUSYDAY" }},
  {{ name = "rest", profile = "BUSY" }},
]
"#
        )
    }
}

/// One device of the user: its mirror, its doors, and while a process runs its keeper.
pub(super) struct Device {
    dir: PathBuf,
    path: PathBuf,
    clock: Arc<VirtualClock>,
    entropy: Arc<SeededEntropy>,
    server: InMemory,
    telephone: Arc<Telephone>,
    zones: Arc<Zones>,
    mirror: Option<Mirror>,
    pub(super) account: Effective,
    pub(super) mirrors: Mirrors,
    keeper: Option<(Keeper, Arc<Line>)>,
    /// The process has not evaluated yet.
    is_starting: bool,
}

impl Device {
    pub(super) fn new(
        dir: &Path,
        seed: u64,
        clock: Arc<VirtualClock>,
        server: InMemory,
        telephone: Arc<Telephone>,
        terms: Terms,
    ) -> Result<Device, String> {
        let entropy = Arc::new(SeededEntropy::from_seed(seed));
        let (account, mirrors) = doors(dir, terms, &clock, &entropy)?;
        let path = dir.join(ACCOUNT).join("mirror.db");
        let (mirror, _) = Mirror::open(&path, clock.now_ms()).map_err(text)?;
        let mut device = Device {
            dir: dir.to_path_buf(),
            path,
            clock,
            entropy,
            server,
            telephone,
            zones: Arc::new(Zones::bundled()),
            mirror: Some(mirror),
            account,
            mirrors,
            keeper: None,
            is_starting: true,
        };
        device.start();
        Ok(device)
    }

    /// A new process, with nothing but what is on the disk.
    fn start(&mut self) {
        let line = Arc::new(Line::new(Arc::clone(&self.telephone)));
        let actuators = Actuators::default().with(&CHANNELS, line.clone());
        let zone = self.zone();
        let keeper = Keeper {
            account: USER.to_owned(),
            user: Some(USER.to_owned()),
            path: self.path.clone(),
            policy: policy(&self.account.presence, &zone),
            actuators: Arc::new(actuators),
            entropy: self.entropy.clone(),
            clock: self.clock.clone(),
        };
        self.keeper = Some((keeper, line));
        self.is_starting = true;
    }

    fn zone(&self) -> Zone {
        let name = self.account.presence.time_zone.as_deref();
        name.and_then(|name| self.zones.resolve(name)).unwrap_or_else(Zone::utc)
    }

    /// The process ends in order.
    pub(super) async fn stop(&mut self) -> Result<(), String> {
        if let Some((keeper, _)) = self.keeper.take() {
            keeper.shut_down(self.clock.now_ms()).await.map_err(text)?;
        }
        Ok(())
    }

    /// Other settings; a running process takes them up without a restart.
    pub(super) fn configure(&mut self, terms: Terms) -> Result<(), String> {
        (self.account, self.mirrors) = doors(&self.dir, terms, &self.clock, &self.entropy)?;
        let policy = policy(&self.account.presence, &self.zone());
        if let Some((keeper, _)) = &mut self.keeper {
            keeper.policy = policy;
        }
        Ok(())
    }

    /// One evaluation; starts a process when none runs.
    pub(super) async fn tick(&mut self) -> Result<Ticked, String> {
        self.tick_or_crash(None).await?.ok_or_else(|| "a tick without a crash ends".to_owned())
    }

    /// The same, with a crash at the command after so many others; none: it came to that.
    pub(super) async fn tick_or_crash(
        &mut self,
        crash: Option<(u32, Snap)>,
    ) -> Result<Option<Ticked>, String> {
        if self.keeper.is_none() {
            self.start();
        }
        let due = if self.is_starting { Due::Started } else { Due::Usual };
        let now_ms = self.clock.now_ms();
        let Some((keeper, line)) = &self.keeper else { return Err("a process runs".to_owned()) };
        let crashed = match crash {
            Some((commands, snap)) => line.crash_after(commands, snap),
            None => Arc::default(),
        };
        let ended = tokio::select! {
            biased;
            () = crashed.notified() => None,
            ticked = keeper.tick(due, now_ms) => Some(ticked),
        };
        match ended {
            Some(Ok(Some(ticked))) if crash.is_none() => {
                self.is_starting = false;
                Ok(Some(ticked))
            }
            Some(Ok(None)) => Err("there is a mirror".to_owned()),
            Some(Err(error)) => Err(format!("an evaluation failed: {error}")),
            // Killed in it, or right after it.
            Some(Ok(Some(_))) | None => {
                self.keeper = None;
                Ok(None)
            }
        }
    }

    /// Sends what the user edited and pulls. What weather does to it is in the report.
    pub(super) async fn sync(&mut self, is_full: bool) -> Result<PullReport, String> {
        let Some(mirror) = self.mirror.as_mut() else { return Err("the mirror is open".to_owned()) };
        let site = GraphSite::new("https://graph.emulated.test", None).map_err(text)?;
        let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
        let graph = Graph::new(
            site,
            Arc::new(self.server.clone()) as Arc<dyn Http>,
            fixed_bearer(Secret::new("token")),
            clock.clone() as Arc<dyn Clock>,
            entropy.clone() as Arc<dyn Entropy>,
        );
        let ports = PullPorts { clock: clock.clone(), entropy: entropy.clone() };
        let order = PullOrder { is_full, is_asked: true, past_ms: 10 * DAY_MS, future_ms: 60 * DAY_MS };
        let push_ports = PushPorts { clock, entropy, zones: self.zones.clone() };
        let push_order =
            PushOrder { policy: Conflicts::Theirs, confirm_mail_after_ms: 3 * DAY_MS, is_asked: true };
        let mut progress = |_| {};
        push(mirror, &graph, &push_ports, push_order, &mut progress).await.map_err(text)?;
        let report = pull(mirror, &graph, &ports, order, &mut progress).await.map_err(text)?;
        upkeep(mirror).map_err(text)?;
        for calendar in mirror.calendars().map_err(text)? {
            mirror.accept_removals(calendar.id, self.clock.now_ms()).map_err(text)?;
        }
        Ok(report)
    }

    /// What the timeline says at an instant.
    pub(super) fn standing(&self, ms: i64) -> Result<Segment, String> {
        let reader = self.reader()?;
        let range = Window { from_ms: ms, to_ms: ms.saturating_add(1) };
        let inputs = Inputs::read(&reader, Some(USER), range).map_err(text)?;
        let policy = policy(&self.account.presence, &self.zone());
        let standing = inputs.scene(&policy, ms).standing();
        standing.map(|standing| standing.segment).ok_or_else(|| "an instant without a segment".to_owned())
    }

    pub(super) fn reader(&self) -> Result<Reader, String> {
        Reader::open(&self.path).map_err(text)
    }
}

fn doors(
    dir: &Path,
    terms: Terms,
    clock: &Arc<VirtualClock>,
    entropy: &Arc<SeededEntropy>,
) -> Result<(Effective, Mirrors), String> {
    let config = Config::parse(&terms.config()).map_err(|problems| format!("{problems:?}"))?;
    let account = config.resolve(ACCOUNT).ok_or("the account is configured")?;
    let zone = Some(terms.zone.to_owned());
    let mirrors = Mirrors::new(config, dir.to_path_buf(), clock.clone(), Zones::bundled(), zone)
        .with_entropy(entropy.clone());
    Ok((account, mirrors))
}

pub(super) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
