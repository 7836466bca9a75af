//! The layers: which of them speak at an instant, and what follows for each channel.

use std::sync::Arc;

use crate::model::{Window, coded::coded};
use crate::presence::bridge::bridged;
use crate::presence::claim::{self, Claim, Claims, clip};
use crate::presence::overlap::{self, Run};
use crate::presence::overrides::Manual;
use crate::presence::policy::Face;
use crate::presence::{AutoReply, Calendar, Event, Override, Policy, hours};

coded! {
    /// Who decides what is shown.
    Layer {
        /// The administrator.
        Admin = "admin",
        /// The manual choice.
        Override = "override",
        /// An appointment.
        Calendar = "calendar",
        /// The mailbox's automatic reply.
        Mailbox = "mailbox",
        /// The time outside working hours.
        OffHours = "off_hours",
        /// Nobody else.
        Base = "base",
        /// The mirror does not reach there.
        Unknown = "unknown",
    }
}

/// Everything that presence is computed from, but for the state of the channels.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The compiled settings.
    pub policy: &'a Policy,
    /// The view's events, in any order: at least those that share an instant with the range asked for (widened by
    /// paddings and the merge gap) or with the moment of the override.
    pub events: &'a [Event],
    /// The calendars of the mirror.
    pub calendars: &'a [Calendar],
    /// The mailbox's automatic replies, while they are on.
    pub auto_reply: Option<AutoReply>,
    /// The manual choice in force.
    pub chosen: Option<&'a Override>,
    /// The profile that the administrator prescribes, above everything.
    pub admin_profile: Option<&'a str>,
    /// The instant of the evaluation; it decides what is trusted.
    pub now_ms: i64,
}

impl std::fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scene")
            .field("events", &self.events.len())
            .field("calendars", &self.calendars.len())
            .field("now_ms", &self.now_ms)
            .finish_non_exhaustive()
    }
}

/// The layers of one scene, as stretches of time.
pub(super) struct Layers<'a> {
    pub(super) scene: Scene<'a>,
    pub(super) claims: Claims<'a>,
    pub(super) manual: Option<Manual>,
    admin: Option<Arc<Face>>,
    /// Where the override speaks.
    chosen: Vec<Window>,
    /// Where claims speak unless the override does.
    runs: Vec<Run>,
    off_hours: Vec<Window>,
}

/// A layer that speaks.
pub(super) struct Voice<'l, 'a> {
    pub(super) layer: Layer,
    pub(super) face: &'l Arc<Face>,
    pub(super) claim: Option<&'l Claim<'a>>,
}

impl<'a> Scene<'a> {
    pub(super) fn layers(&self, horizon: Window) -> Layers<'a> {
        let policy = self.policy;
        let working = hours::working(&policy.hours, policy.zone(), horizon);
        let claims = claim::claims(self, &working, horizon);
        let chosen = self.chosen.filter(|_| policy.is_enabled);
        let (manual, ending) = match chosen {
            Some(chosen) => (Manual::new(policy, chosen, &claims.made), Some(&chosen.ending)),
            None => (None, None),
        };
        let cut = |claim| manual.as_ref().and_then(|manual| manual.cut_ms(claim));
        let runs = overlap::runs(&claims.made, cut);
        let spans = match (&manual, ending) {
            (Some(manual), Some(ending)) => manual.spans(ending, &runs),
            (None, _) | (_, None) => Vec::new(),
        };
        let touching = manual.as_ref().map(|manual| manual.touching(&spans)).unwrap_or_default();
        let runs = bridged(&runs, &claims.made, policy.merge_gap_ms, &touching);
        let off_hours =
            policy.off_hours.as_ref().map(|_| hours::outside(&working, horizon)).unwrap_or_default();
        let admin = self.admin_profile.and_then(|name| policy.face(name)).cloned();
        Layers { scene: *self, claims, manual, admin, chosen: spans, runs, off_hours }
    }

    /// The claims around an instant, without an override.
    pub(super) fn claims_at(&self, ms: i64) -> Vec<Claim<'a>> {
        let horizon = super::timeline::horizon(Window { from_ms: ms, to_ms: ms.saturating_add(1) });
        let working = hours::working(&self.policy.hours, self.policy.zone(), horizon);
        claim::claims(self, &working, horizon).made
    }
}

impl<'a> Layers<'a> {
    /// Every instant at which something may change, in order, from the begin to the end of `range`.
    pub(super) fn edges(&self, range: Window) -> Vec<i64> {
        let spans = self.runs.iter().map(|run| &run.span).chain(&self.chosen).chain(&self.off_hours);
        let spans = spans.chain(&self.claims.known);
        let inner = spans.flat_map(|span| [span.from_ms, span.to_ms]);
        let mut edges: Vec<i64> = inner.filter(|ms| *ms > range.from_ms && *ms < range.to_ms).collect();
        edges.extend([range.from_ms, range.to_ms]);
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    pub(super) fn is_known(&self, ms: i64) -> bool {
        self.claims.known.is_some_and(|known| known.from_ms <= ms && ms < known.to_ms)
    }

    /// The run of the claim that speaks for the calendar at `ms`, whether or not it is heard.
    pub(super) fn run_at(&self, ms: i64) -> Option<&Run> {
        let next = self.runs.partition_point(|run| run.span.to_ms <= ms);
        self.runs.get(next).filter(|run| run.span.from_ms <= ms)
    }

    pub(super) fn is_chosen(&self, ms: i64) -> bool {
        holds(&self.chosen, ms)
    }

    /// The layers that speak at `ms`, from the top. The last is always the base.
    pub(super) fn voices(&self, ms: i64) -> Vec<Voice<'_, 'a>> {
        let policy = self.scene.policy;
        let mut voices = Vec::with_capacity(5);
        let plain = |layer, face| Voice { layer, face, claim: None };
        if policy.is_enabled {
            let is_known = self.is_known(ms);
            voices.extend(self.admin.as_ref().map(|face| plain(Layer::Admin, face)));
            let chosen = self.manual.as_ref().filter(|_| self.is_chosen(ms));
            match chosen {
                Some(manual) => voices.push(plain(Layer::Override, &manual.face)),
                None if is_known => {
                    let claim = self.run_at(ms).and_then(|run| self.claims.made.get(run.claim));
                    voices.extend(claim.map(|claim| Voice {
                        layer: claim.event.map_or(Layer::Mailbox, |_| Layer::Calendar),
                        face: &claim.face,
                        claim: Some(claim),
                    }));
                }
                None => {}
            }
            if !is_known {
                voices.push(plain(Layer::Unknown, &policy.base));
                return voices;
            }
            let off_hours = policy.off_hours.as_ref().filter(|_| holds(&self.off_hours, ms));
            voices.extend(off_hours.map(|face| plain(Layer::OffHours, face)));
        }
        voices.push(plain(Layer::Base, &policy.base));
        voices
    }

    /// The instants after `now` at which a claim that is believed today stops being believed, or a new one would
    /// not be any more.
    pub(super) fn trust_limits(&self) -> impl Iterator<Item = i64> + '_ {
        let policy = self.scene.policy;
        let spans = [policy.trust_timed_ms, policy.trust_all_day_ms];
        let pulls = self.scene.calendars.iter().filter_map(|calendar| calendar.last_complete_ms);
        let pulls = pulls.chain(self.scene.auto_reply.map(|reply| reply.read_ms));
        pulls.flat_map(move |pull| spans.map(|span| pull.saturating_add(span).saturating_add(1)))
    }
}

fn holds(spans: &[Window], ms: i64) -> bool {
    let next = spans.partition_point(|span| span.to_ms <= ms);
    spans.get(next).is_some_and(|span| span.from_ms <= ms)
}

/// Cuts `span` to `range`; none when they share no instant.
pub(super) fn within(span: Window, range: Window) -> Option<Window> {
    let cut = clip(span, range);
    (cut.from_ms < cut.to_ms).then_some(cut)
}
