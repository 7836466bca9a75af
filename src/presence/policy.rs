//! The settings of one account, compiled.

use std::sync::Arc;

use crate::presence::settings::{Forwarding, PresenceSettings, RuleOutcome, WorkingHours};
use crate::presence::target::{Lines, TargetProblem};
use crate::presence::when::{Matcher, millis};
use crate::presence::{Availability, Hours, OnShutdown, StatusText, simple, text};
use crate::zones::Zone;

/// The profile when none is configured.
const BASE_NAME: &str = "AVAIL";
const MERGE_GAP_MS: i64 = 5 * 60_000;
const TRUST_TIMED_MS: i64 = 72 * 3_600_000;
const TRUST_ALL_DAY_MS: i64 = 14 * 86_400_000;

/// The settings of one account, ready to be evaluated: references resolved, texts folded, the simple form written
/// out. What the settings leave open or get wrong has its safest reading here; [`crate::presence::check`] says what.
#[derive(Clone)]
pub struct Policy {
    pub(super) is_enabled: bool,
    pub(super) zone: Zone,
    pub(super) hours: WorkingHours,
    names_hours: bool,
    pub(super) merge_gap_ms: i64,
    pub(super) base: Arc<Face>,
    pub(super) off_hours: Option<Arc<Face>>,
    pub(super) admin: Option<Arc<Face>>,
    pub(super) trust_timed_ms: i64,
    pub(super) trust_all_day_ms: i64,
    pub(super) on_shutdown: OnShutdown,
    pub(super) faces: Vec<Arc<Face>>,
    pub(super) rules: Vec<CompiledRule>,
}

/// A profile as it acts.
pub(super) struct Face {
    pub(super) name: Arc<str>,
    pub(super) availability: Availability,
    pub(super) rank: i64,
    pub(super) forwarding: Option<Forwarding>,
    pub(super) skipped: Option<TargetProblem>,
    pub(super) status_text: StatusText,
    pub(super) generic: Option<Arc<str>>,
    pub(super) allows_override: bool,
}

/// A rule as it acts.
#[derive(Clone)]
pub(super) struct CompiledRule {
    pub(super) name: Arc<str>,
    pub(super) matcher: Matcher,
    pub(super) names_calendar: bool,
    pub(super) outcome: Outcome,
    pub(super) priority: i64,
    pub(super) lead_ms: i64,
    pub(super) tail_ms: i64,
    pub(super) min_ms: i64,
    pub(super) hours: Hours,
}

/// What a rule does.
#[derive(Clone)]
pub(super) enum Outcome {
    Claim(Arc<Face>),
    Ignore,
    /// Its profile does not exist: it decides the event, and claims nothing.
    Missing,
}

impl Policy {
    /// Compiles `settings`. `zone` is the zone they name, else the user's; `lines` what is known about targets.
    pub fn compile(settings: &PresenceSettings, zone: &Zone, lines: &Lines) -> Policy {
        let profiles = settings.profiles.as_deref().unwrap_or_default();
        let faces: Vec<Arc<Face>> = profiles
            .iter()
            .map(|profile| {
                let skipped = profile.forwarding.as_ref().and_then(|f| lines.problem(&f.target));
                Arc::new(Face {
                    name: profile.name.as_str().into(),
                    availability: profile.availability,
                    rank: profile.rank,
                    forwarding: profile.forwarding.clone().filter(|_| skipped.is_none()),
                    skipped,
                    status_text: profile.status_text,
                    generic: text::generic(profile.status_text, profile.availability),
                    allows_override: profile.allow_calendar_override,
                })
            })
            .collect();
        let find = |name: &str| faces.iter().find(|face| *face.name == *name).cloned();
        let base = settings.base_profile.as_deref().and_then(find).unwrap_or_else(|| neutral(&faces));
        let simple = settings.simple.as_ref();
        let rules =
            settings.rules.iter().flatten().cloned().chain(simple.map(simple::rules).into_iter().flatten());
        let rules = rules
            .map(|rule| CompiledRule {
                name: rule.name.as_str().into(),
                matcher: Matcher::new(&rule.when),
                names_calendar: !rule.when.calendar.is_empty(),
                outcome: match &rule.outcome {
                    RuleOutcome::Ignore(_) => Outcome::Ignore,
                    RuleOutcome::Profile(name) => find(name).map_or(Outcome::Missing, Outcome::Claim),
                },
                priority: rule.priority,
                lead_ms: millis(rule.lead),
                tail_ms: millis(rule.tail),
                min_ms: millis(rule.min_duration),
                hours: rule.hours,
            })
            .collect();
        let outside = || simple.and_then(|simple| simple.outside_hours.as_deref()).and_then(find);
        Policy {
            is_enabled: settings.enabled.unwrap_or(true),
            zone: zone.clone(),
            hours: settings.working_hours.clone().unwrap_or_default(),
            names_hours: settings.working_hours.is_some(),
            merge_gap_ms: settings.merge_gap.map_or(MERGE_GAP_MS, millis),
            off_hours: settings.off_hours_profile.as_deref().and_then(find).or_else(outside),
            admin: settings.admin_profile.as_deref().and_then(find),
            trust_timed_ms: settings.trust.timed.map_or(TRUST_TIMED_MS, millis),
            trust_all_day_ms: settings.trust.all_day.map_or(TRUST_ALL_DAY_MS, millis),
            on_shutdown: settings.on_shutdown.unwrap_or(OnShutdown::Release),
            base,
            faces,
            rules,
        }
    }

    /// Whether presence is automated.
    pub fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// The zone of working hours, all-day events and local midnights.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Whether the settings name working hours: else the mailbox's count, or the usual ones.
    pub fn names_hours(&self) -> bool {
        self.names_hours
    }

    /// The same with these working hours.
    #[must_use]
    pub fn with_hours(self, hours: WorkingHours) -> Policy {
        Policy { hours, ..self }
    }

    /// What becomes of an owned forwarding at shutdown.
    pub fn on_shutdown(&self) -> OnShutdown {
        self.on_shutdown
    }

    /// Whether there is a profile of this name.
    pub fn has_profile(&self, name: &str) -> bool {
        self.face(name).is_some()
    }

    /// The names of the profiles, as configured.
    pub fn profile_names(&self) -> impl Iterator<Item = &str> {
        self.faces.iter().map(|face| &*face.name)
    }

    /// The profile that an administrator prescribes.
    pub fn admin_profile(&self) -> Option<&str> {
        self.admin.as_ref().map(|face| &*face.name)
    }

    /// The name of the base profile.
    pub fn base_name(&self) -> &str {
        &self.base.name
    }

    pub(super) fn face(&self, name: &str) -> Option<&Arc<Face>> {
        self.faces.iter().find(|face| *face.name == *name)
    }

    /// The highest-ranked profile that shows out of office; of equal ones the first.
    pub(super) fn absence(&self) -> Option<&Arc<Face>> {
        self.faces
            .iter()
            .rev()
            .filter(|face| face.availability == Availability::OutOfOffice)
            .max_by_key(|face| face.rank)
    }

    pub(super) fn trust_ms(&self, is_all_day: bool) -> i64 {
        if is_all_day { self.trust_all_day_ms } else { self.trust_timed_ms }
    }
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy")
            .field("is_enabled", &self.is_enabled)
            .field("profiles", &self.faces.len())
            .field("rules", &self.rules.len())
            .finish_non_exhaustive()
    }
}

/// What stands for a base profile that is missing: the available profile of the lowest rank, else a made-up one.
fn neutral(faces: &[Arc<Face>]) -> Arc<Face> {
    let available = faces.iter().filter(|face| face.availability == Availability::Available);
    available.min_by_key(|face| face.rank).cloned().unwrap_or_else(|| {
        Arc::new(Face {
            name: BASE_NAME.into(),
            availability: Availability::Available,
            rank: 0,
            forwarding: None,
            skipped: None,
            status_text: StatusText::Generic,
            generic: text::generic(StatusText::Generic, Availability::Available),
            allows_override: true,
        })
    })
}
