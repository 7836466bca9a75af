//! Why is it so at this instant?

use std::sync::Arc;

use crate::model::{Key, Window};
use crate::presence::claim::{Claim, Dropped};
use crate::presence::event::Event;
use crate::presence::layer::{Layer, Layers};
use crate::presence::timeline::horizon;
use crate::presence::{Scene, Segment};

/// The most losers told.
pub const LOSERS_MAX: usize = 100;

/// The explanation of an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// The instant.
    pub at_ms: i64,
    /// What holds, uncut.
    pub segment: Segment,
    /// When that changes; none when it is not in sight.
    pub until_ms: Option<i64>,
    /// What else was there and does not speak, strongest first.
    pub losers: Vec<Loser>,
    /// The layers that speak, from the top.
    pub layers: Vec<Voiced>,
    /// How old the mirror is.
    pub as_of_ms: Option<i64>,
}

/// A layer that speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voiced {
    /// Which.
    pub layer: Layer,
    /// With which profile.
    pub profile: Arc<str>,
    /// Whether it decides where calls go.
    pub decides_forwarding: bool,
}

/// An event, or the automatic reply, that does not speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loser {
    /// The profile it would have; none when it claims none.
    pub profile: Option<Arc<str>>,
    /// The rule that decided it.
    pub rule: Option<Arc<str>>,
    /// The event, unless it is private.
    pub event: Option<Key>,
    /// Whether it is private.
    pub is_private: bool,
    /// Why it does not speak.
    pub because: Because,
}

/// Why something does not speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is said in words by `text`")]
pub enum Because {
    Priority,
    Rank,
    Padding,
    LaterRule,
    EarlierStart,
    StableOrder,
    Silenced,
    Dismissed,
    Copy,
    Untrusted,
    OutsideHours,
    Short,
    MissingProfile,
    Ignored,
    NoRule,
    Foreign,
    Disabled,
}

impl Because {
    /// As people read it.
    pub const fn text(self) -> &'static str {
        match self {
            Because::Priority => "its rule has a lower priority",
            Because::Rank => "its profile has a lower rank",
            Because::Padding => "it is only lead or tail time of its appointment",
            Because::LaterRule => "its rule comes later in the list",
            Because::EarlierStart => "it started earlier",
            Because::StableOrder => "it is equal in all respects and comes later in a fixed order",
            Because::Silenced => "a layer above speaks",
            Because::Dismissed => "it was dismissed by the manual choice",
            Because::Copy => "it is a copy of a meeting that is counted already",
            Because::Untrusted => "the mirror is too old to believe that it begins",
            Because::OutsideHours => "its rule does not claim this part of the day",
            Because::Short => "it is too short",
            Because::MissingProfile => "its rule names a profile that does not exist",
            Because::Ignored => "its rule ignores it",
            Because::NoRule => "no rule matches it",
            Because::Foreign => "its calendar is not the user's own and no rule names it",
            Because::Disabled => "presence is switched off",
        }
    }
}

impl From<Dropped> for Because {
    fn from(dropped: Dropped) -> Because {
        match dropped {
            Dropped::Foreign => Because::Foreign,
            Dropped::NoRule => Because::NoRule,
            Dropped::Ignored => Because::Ignored,
            Dropped::MissingProfile => Because::MissingProfile,
            Dropped::Short => Because::Short,
            Dropped::Untrusted => Because::Untrusted,
            Dropped::OutsideHours => Because::OutsideHours,
            Dropped::Copy => Because::Copy,
        }
    }
}

impl Scene<'_> {
    /// Explains the instant `now`.
    pub fn why(&self) -> Option<Why> {
        let at_ms = self.now_ms;
        let standing = self.standing()?;
        let layers = self.layers(horizon(Window { from_ms: at_ms, to_ms: at_ms.saturating_add(1) }));
        let voices = layers.voices(at_ms);
        let decides = voices.iter().position(|voice| voice.face.forwarding.is_some());
        let voiced = voices.iter().enumerate().map(|(place, voice)| Voiced {
            layer: voice.layer,
            profile: voice.face.name.clone(),
            decides_forwarding: decides == Some(place),
        });
        Some(Why {
            at_ms,
            segment: standing.segment,
            until_ms: standing.next_change_ms,
            losers: losers(&layers, at_ms),
            layers: voiced.collect(),
            as_of_ms: standing.as_of_ms,
        })
    }
}

fn losers(layers: &Layers<'_>, at_ms: i64) -> Vec<Loser> {
    let claims = &layers.claims.made;
    let run = layers.run_at(at_ms);
    let winner = run.and_then(|run| claims.get(run.claim));
    let is_heard = layers.voices(at_ms).first().is_some_and(|voice| voice.claim.is_some());
    let mut standing: Vec<(usize, &Claim<'_>)> =
        claims.iter().enumerate().filter(|(_, claim)| claim.is_at(at_ms)).collect();
    standing.sort_by_key(|(place, claim)| (claim.order(is_core(claim, at_ms)), *place));
    let cut_ms = |place| layers.manual.as_ref().and_then(|manual| manual.cut_ms(place));
    let mut losers = Vec::new();
    for (place, claim) in standing {
        let because = if !layers.scene.policy.is_enabled {
            Because::Disabled
        } else if cut_ms(place).is_some_and(|cut_ms| cut_ms <= at_ms) {
            Because::Dismissed
        } else if !is_heard {
            Because::Silenced
        } else if run.is_some_and(|run| run.claim == place) {
            continue;
        } else {
            winner.map_or(Because::Silenced, |winner| lost(claim, winner, at_ms))
        };
        losers.push(Loser {
            profile: Some(claim.face.name.clone()),
            rule: claim.rule.clone(),
            event: claim.event.filter(|event| !event.is_private()).map(|event| event.key),
            is_private: claim.event.is_some_and(Event::is_private),
            because,
        });
    }
    let mut silent: Vec<_> = layers
        .claims
        .silent
        .iter()
        .filter(|silent| silent.padded.from_ms <= at_ms && at_ms < silent.padded.to_ms)
        .collect();
    silent.sort_by_key(|silent| (silent.padded.from_ms, silent.event.key));
    losers.extend(silent.into_iter().map(|silent| Loser {
        profile: None,
        rule:
            silent.rule.and_then(|place| layers.scene.policy.rules.get(place)).map(|rule| rule.name.clone()),
        event: (!silent.event.is_private()).then_some(silent.event.key),
        is_private: silent.event.is_private(),
        because: silent.why.into(),
    }));
    losers.truncate(LOSERS_MAX);
    losers
}

fn is_core(claim: &Claim<'_>, at_ms: i64) -> bool {
    claim.core.from_ms <= at_ms && at_ms < claim.core.to_ms
}

/// The first step of the overlap order that decides against `claim`.
fn lost(claim: &Claim<'_>, winner: &Claim<'_>, at_ms: i64) -> Because {
    let own = claim.order(is_core(claim, at_ms));
    let best = winner.order(is_core(winner, at_ms));
    if own.0 != best.0 {
        Because::Priority
    } else if own.1 != best.1 {
        Because::Rank
    } else if own.2 != best.2 {
        Because::Padding
    } else if own.3 != best.3 {
        Because::LaterRule
    } else if own.4 != best.4 {
        Because::EarlierStart
    } else {
        Because::StableOrder
    }
}
