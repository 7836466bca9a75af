//! The manual choice of a profile.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{Key, Window};
use crate::presence::claim::{Claim, clip, is_some};
use crate::presence::event::Identity;
use crate::presence::hours::{outside, union};
use crate::presence::overlap::Run;
use crate::presence::policy::Face;
use crate::presence::{Policy, Scene};

/// The most occurrences that one choice dismisses.
const DISMISSED_MAX: usize = 1_000;

/// The manual choice in force; durable. `clear` drops it, with its dismissals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The chosen profile.
    pub profile: String,
    /// Since when.
    pub set_at_ms: i64,
    /// Until when.
    pub ending: Ending,
}

/// What ends a manual choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ending {
    /// The end of the claims that were running when it was made: they are dismissed.
    Claims {
        /// Which.
        dismissed: Vec<Dismissal>,
    },
    /// The next claim, at the latest local midnight; for the base profile chosen while nothing was claimed.
    NextClaim {
        /// The midnight that ended the local day of the choice.
        midnight_ms: i64,
    },
    /// An instant.
    At {
        /// Which.
        until_ms: i64,
    },
    /// The next choice, or `clear`.
    UntilChanged,
}

/// A claim that the user does not want.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Dismissal {
    /// The mailbox's automatic reply, wherever its end moves.
    AutoReply,
    /// An occurrence, wherever its row moves.
    Occurrence {
        /// Who it is.
        identity: Identity,
        /// The row it was in: an appointment made offline gets its iCalUID later.
        key: Key,
    },
}

/// How long a manual choice was asked to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// Nothing was said.
    Unsaid,
    /// Until an instant (`--until`, `--for`).
    Until(i64),
    /// Until changed (`--until-changed`).
    UntilChanged,
}

/// There is no profile of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such presence profile")]
pub struct UnknownProfile;

impl Dismissal {
    fn of(claim: &Claim<'_>) -> Dismissal {
        match claim.event {
            None => Dismissal::AutoReply,
            Some(event) => Dismissal::Occurrence { identity: event.identity.clone(), key: event.key },
        }
    }

    fn is_of(&self, claim: &Claim<'_>) -> bool {
        match (self, claim.event) {
            (Dismissal::AutoReply, None) => true,
            (Dismissal::Occurrence { identity, key }, Some(event)) => {
                *key == event.key || (!identity.uid.is_empty() && *identity == event.identity)
            }
            (Dismissal::AutoReply, Some(_)) | (Dismissal::Occurrence { .. }, None) => false,
        }
    }
}

impl Scene<'_> {
    /// The override that `presence set` at `now` makes. It replaces the former one, which does not matter here.
    ///
    /// # Errors
    /// When there is no such profile.
    pub fn choose(&self, profile: &str, lasting: Lasting) -> Result<Override, UnknownProfile> {
        if self.policy.face(profile).is_none() && profile != self.policy.base_name() {
            return Err(UnknownProfile);
        }
        let ending = match lasting {
            Lasting::Until(until_ms) => Ending::At { until_ms },
            Lasting::UntilChanged => Ending::UntilChanged,
            Lasting::Unsaid => self.unsaid(profile),
        };
        Ok(Override { profile: profile.to_owned(), set_at_ms: self.now_ms, ending })
    }

    fn unsaid(&self, profile: &str) -> Ending {
        let dismissed: Vec<Dismissal> = self
            .claims_at(self.now_ms)
            .iter()
            .filter(|claim| claim.is_at(self.now_ms))
            .map(Dismissal::of)
            .take(DISMISSED_MAX)
            .collect();
        let zone = self.policy.zone();
        let midnight_ms = zone.day(zone.date(self.now_ms)).to_ms;
        if !dismissed.is_empty() {
            Ending::Claims { dismissed }
        } else if profile == self.policy.base_name() {
            Ending::NextClaim { midnight_ms }
        } else {
            Ending::At { until_ms: midnight_ms }
        }
    }
}

/// An override as it acts on the claims of today.
pub(super) struct Manual {
    pub(super) face: Arc<Face>,
    set_at_ms: i64,
    /// A flag a claim.
    dismissed: Vec<bool>,
    /// Where dismissed claims would speak, in order and apart from each other.
    quiet: Vec<Window>,
}

impl Manual {
    /// None when its profile is gone: then it sleeps.
    pub(super) fn new(policy: &Policy, chosen: &Override, claims: &[Claim<'_>]) -> Option<Manual> {
        let base = || (chosen.profile == policy.base_name()).then(|| policy.base.clone());
        let face = policy.face(&chosen.profile).cloned().or_else(base)?;
        let dismissals = match &chosen.ending {
            Ending::Claims { dismissed } => dismissed.as_slice(),
            Ending::NextClaim { .. } | Ending::At { .. } | Ending::UntilChanged => &[],
        };
        let mut dismissed = vec![false; claims.len()];
        for dismissal in dismissals {
            let of = |claim: &Claim<'_>| dismissal.is_of(claim);
            // Void while no piece contains the moment of the choice.
            if claims.iter().any(|claim| of(claim) && claim.is_at(chosen.set_at_ms)) {
                for (flag, claim) in dismissed.iter_mut().zip(claims) {
                    *flag |= of(claim);
                }
            }
        }
        let after = Window { from_ms: chosen.set_at_ms, to_ms: i64::MAX };
        let quiet = claims
            .iter()
            .zip(&dismissed)
            .filter(|(_, flag)| **flag)
            .flat_map(|(claim, _)| claim.pieces.iter().map(|piece| clip(*piece, after)).filter(is_some));
        let quiet = union(quiet.collect());
        Some(Manual { face, set_at_ms: chosen.set_at_ms, dismissed, quiet })
    }

    /// From when on a claim is dismissed.
    pub(super) fn cut_ms(&self, claim: usize) -> Option<i64> {
        self.dismissed.get(claim).copied().unwrap_or(false).then_some(self.set_at_ms)
    }

    /// Where the override speaks, in order and apart from each other. `runs` are those of the claims that are left.
    pub(super) fn spans(&self, ending: &Ending, runs: &[Run]) -> Vec<Window> {
        let from_ms = self.set_at_ms;
        let all = match ending {
            Ending::Claims { .. } => return self.where_dismissed(runs),
            Ending::UntilChanged => Window { from_ms, to_ms: i64::MAX },
            Ending::At { until_ms } => Window { from_ms, to_ms: *until_ms },
            Ending::NextClaim { midnight_ms } if !self.face.allows_override => {
                Window { from_ms, to_ms: *midnight_ms }
            }
            Ending::NextClaim { midnight_ms } => {
                let next = runs.get(runs.partition_point(|run| run.span.to_ms <= from_ms));
                let next_ms = next.map_or(i64::MAX, |run| run.span.from_ms.max(from_ms));
                Window { from_ms, to_ms: next_ms.min(*midnight_ms) }
            }
        };
        if is_some(&all) { vec![all] } else { Vec::new() }
    }

    /// What touches a hole so that it is not bridged.
    pub(super) fn touching(&self, spans: &[Window]) -> Vec<Window> {
        union(self.quiet.iter().chain(spans).copied().collect())
    }

    fn where_dismissed(&self, runs: &[Run]) -> Vec<Window> {
        let others: Vec<Window> = union(runs.iter().map(|run| run.span).collect());
        if self.face.allows_override {
            return self.quiet.iter().flat_map(|quiet| outside(&others, *quiet)).collect();
        }
        let Some(end_ms) = self.quiet.last().map(|last| last.to_ms) else { return Vec::new() };
        let held = Window { from_ms: self.set_at_ms, to_ms: end_ms };
        let silenced = others.iter().map(|other| clip(*other, held)).filter(is_some);
        union(self.quiet.iter().copied().chain(silenced).collect())
    }
}
