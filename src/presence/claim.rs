//! From events to claims: who takes part, which rule decides, padding, clipping, trust and copies.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Key, Window};
use crate::presence::event::{Calendar, Event};
use crate::presence::policy::{CompiledRule, Face, Outcome};
use crate::presence::when::Matched;
use crate::presence::{Hours, Scene, hours};

/// What an occurrence, or the mailbox's automatic reply, asks for.
pub(super) struct Claim<'e> {
    /// None: the automatic reply.
    pub(super) event: Option<&'e Event>,
    pub(super) face: Arc<Face>,
    pub(super) rule: Option<Arc<str>>,
    /// The place of the rule in the list.
    pub(super) place: usize,
    pub(super) priority: i64,
    /// Without padding.
    pub(super) core: Window,
    /// Padded and clipped, in order.
    pub(super) pieces: Vec<Window>,
}

impl Claim<'_> {
    /// The order of overlap apart from padding: less speaks.
    fn weight(&self) -> (Reverse<i64>, Reverse<i64>, usize) {
        (Reverse(self.priority), Reverse(self.face.rank), self.place)
    }

    /// The whole order of overlap: less speaks. The claims' own order settles what is left.
    pub(super) fn order(&self, is_core: bool) -> (Reverse<i64>, Reverse<i64>, bool, usize, Reverse<i64>) {
        (Reverse(self.priority), Reverse(self.face.rank), !is_core, self.place, Reverse(self.core.from_ms))
    }

    pub(super) fn is_at(&self, ms: i64) -> bool {
        let next = self.pieces.partition_point(|piece| piece.to_ms <= ms);
        self.pieces.get(next).is_some_and(|piece| piece.from_ms <= ms)
    }
}

/// Why an event makes no claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dropped {
    Foreign,
    NoRule,
    Ignored,
    MissingProfile,
    Short,
    Untrusted,
    OutsideHours,
    Copy,
}

/// An event without a claim, for explanations.
pub(super) struct Silent<'e> {
    pub(super) event: &'e Event,
    pub(super) rule: Option<usize>,
    pub(super) padded: Window,
    pub(super) why: Dropped,
}

/// What came of the events.
pub(super) struct Claims<'e> {
    /// In a stable order that does not depend on the order of the events.
    pub(super) made: Vec<Claim<'e>>,
    pub(super) silent: Vec<Silent<'e>>,
    /// What the mirror knows; none: nothing.
    pub(super) known: Option<Window>,
    pub(super) as_of_ms: Option<i64>,
}

/// Evaluates every event. Pieces that are cut by working hours are known only within `horizon`.
pub(super) fn claims<'e>(scene: &Scene<'e>, working: &[Window], horizon: Window) -> Claims<'e> {
    let parts = taking_part(scene);
    let known = known(&parts);
    let as_of_ms = parts
        .values()
        .map(|part| part.calendar.last_complete_ms)
        .reduce(|a, b| a.zip(b).map(|(a, b)| a.min(b)))
        .flatten();
    let (mut made, mut silent) = (Vec::new(), Vec::new());
    for event in scene.events {
        let Some(part) = parts.get(&event.calendar) else {
            let padded = event.span(scene.policy.zone());
            silent.push(Silent { event, rule: None, padded, why: Dropped::Foreign });
            continue;
        };
        match claim(scene, part, event, working, horizon, known) {
            Ok(claim) => made.push(claim),
            Err(dropped) => silent.push(dropped),
        }
    }
    made.extend(auto_reply(scene, known));
    made.sort_by(stable);
    Claims { made: without_copies(made, &mut silent), silent, known, as_of_ms }
}

/// A calendar that takes part.
struct Part<'e> {
    calendar: &'e Calendar,
    /// For a calendar that is not the user's own: the rules that name it.
    named_by: Option<Vec<bool>>,
}

/// The user's own calendars, and others that a rule names.
fn taking_part<'e>(scene: &Scene<'e>) -> BTreeMap<Key, Part<'e>> {
    let mut parts = BTreeMap::new();
    for calendar in scene.calendars {
        let rules = &scene.policy.rules;
        let named = || -> Vec<bool> {
            rules.iter().map(|rule| rule.names_calendar && rule.matcher.names(calendar)).collect()
        };
        let named_by = (!calendar.is_own).then(named);
        if named_by.as_ref().is_none_or(|named| named.contains(&true)) {
            parts.insert(calendar.key, Part { calendar, named_by });
        }
    }
    parts
}

/// What all calendars that take part have mirrored; one that was never pulled has nothing to say yet.
fn known(parts: &BTreeMap<Key, Part<'_>>) -> Option<Window> {
    parts
        .values()
        .filter_map(|part| part.calendar.window)
        .reduce(|a, b| Window { from_ms: a.from_ms.max(b.from_ms), to_ms: a.to_ms.min(b.to_ms) })
}

fn claim<'e>(
    scene: &Scene<'e>,
    part: &Part<'e>,
    event: &'e Event,
    working: &[Window],
    horizon: Window,
    known: Option<Window>,
) -> Result<Claim<'e>, Silent<'e>> {
    let policy = scene.policy;
    let matched = Matched::new(event, part.calendar, policy.zone());
    let core = matched.span;
    let Some((place, rule)) = deciding(scene, part, &matched) else {
        return Err(Silent { event, rule: None, padded: core, why: Dropped::NoRule });
    };
    let padded = Window {
        from_ms: core.from_ms.saturating_sub(rule.lead_ms),
        to_ms: core.to_ms.saturating_add(rule.tail_ms),
    };
    let dropped = |why| Silent { event, rule: Some(place), padded, why };
    let face = match &rule.outcome {
        Outcome::Claim(face) => face.clone(),
        Outcome::Ignore => return Err(dropped(Dropped::Ignored)),
        Outcome::Missing => return Err(dropped(Dropped::MissingProfile)),
    };
    if core.to_ms <= core.from_ms || matched.length_ms() < rule.min_ms {
        return Err(dropped(Dropped::Short));
    }
    let trust_ms = policy.trust_ms(event.is_all_day);
    if !is_trusted(part.calendar.last_complete_ms, trust_ms, padded.from_ms, scene.now_ms) {
        return Err(dropped(Dropped::Untrusted));
    }
    let within = clip(padded, horizon);
    let pieces = match rule.hours {
        Hours::Any => vec![padded],
        Hours::Inside => hours::inside(working, within).collect(),
        Hours::Outside => hours::outside(working, within),
    };
    let pieces: Vec<Window> = pieces
        .into_iter()
        .map(|piece| known.map_or(piece, |known| clip(piece, known)))
        .filter(is_some)
        .collect();
    if pieces.is_empty() {
        return Err(dropped(Dropped::OutsideHours));
    }
    let (rule, priority) = (Some(rule.name.clone()), rule.priority);
    Ok(Claim { event: Some(event), face, rule, place, priority, core, pieces })
}

/// The first rule that matches. An event of a calendar that is not the user's own is claimed only by a rule that
/// names the calendar; rules that ignore hold for it like for any other.
fn deciding<'e>(
    scene: &Scene<'e>,
    part: &Part<'_>,
    matched: &Matched<'_>,
) -> Option<(usize, &'e CompiledRule)> {
    let may = |place: usize, rule: &CompiledRule| match (&part.named_by, &rule.outcome) {
        (None, _) | (Some(_), Outcome::Ignore) => true,
        (Some(named), Outcome::Claim(_) | Outcome::Missing) => named.get(place).copied().unwrap_or(false),
    };
    let mut rules = scene.policy.rules.iter().enumerate();
    rules.find(|(place, rule)| may(*place, rule) && rule.matcher.matches(matched, scene.policy.zone()))
}

/// Whether what begins at `start_ms` is still believed: it began, or begins, while the last complete sync counts.
fn is_trusted(last_complete_ms: Option<i64>, trust_ms: i64, start_ms: i64, now_ms: i64) -> bool {
    last_complete_ms.is_some_and(|last| start_ms.min(now_ms) <= last.saturating_add(trust_ms))
}

fn auto_reply<'e>(scene: &Scene<'e>, known: Option<Window>) -> Option<Claim<'e>> {
    let (reply, face) = (scene.auto_reply?, scene.policy.absence()?);
    let core = reply.scheduled.unwrap_or(Window { from_ms: i64::MIN, to_ms: i64::MAX });
    let is_believed =
        is_trusted(Some(reply.read_ms), scene.policy.trust_ms(true), core.from_ms, scene.now_ms);
    let piece = known.map_or(core, |known| clip(core, known));
    (is_believed && is_some(&piece)).then(|| Claim {
        event: None,
        face: face.clone(),
        rule: None,
        place: usize::MAX,
        priority: 0,
        core,
        pieces: vec![piece],
    })
}

/// Orders claims independently of where their events were stored.
fn stable(one: &Claim<'_>, other: &Claim<'_>) -> Ordering {
    let start = |claim: &Claim<'_>| claim.core.from_ms;
    let end = |claim: &Claim<'_>| claim.core.to_ms;
    let row = |claim: &Claim<'_>| claim.event.map(|event| (event.calendar, event.key));
    one.event
        .map(|event| &event.identity)
        .cmp(&other.event.map(|event| &event.identity))
        .then_with(|| start(one).cmp(&start(other)))
        .then_with(|| end(one).cmp(&end(other)))
        .then_with(|| row(one).cmp(&row(other)))
}

/// Of the copies of one meeting, the one that wins the overlap order. Copies are neighbours in the stable order.
fn without_copies<'e>(claims: Vec<Claim<'e>>, silent: &mut Vec<Silent<'e>>) -> Vec<Claim<'e>> {
    let mut kept: Vec<Claim<'e>> = Vec::with_capacity(claims.len());
    for mut claim in claims {
        match kept.last_mut() {
            Some(last) if are_copies(last, &claim) => {
                if claim.weight() < last.weight() {
                    std::mem::swap(last, &mut claim);
                }
                if let Some(event) = claim.event {
                    let rule = Some(claim.place);
                    silent.push(Silent { event, rule, padded: claim.core, why: Dropped::Copy });
                }
            }
            Some(_) | None => kept.push(claim),
        }
    }
    kept
}

fn are_copies(one: &Claim<'_>, other: &Claim<'_>) -> bool {
    let (Some(first), Some(second)) = (one.event, other.event) else { return false };
    !first.identity.uid.is_empty()
        && first.identity == second.identity
        && one.core.from_ms == other.core.from_ms
        && first.calendar != second.calendar
}

/// What both cover; without length when they have nothing in common.
pub(super) fn clip(piece: Window, to: Window) -> Window {
    Window { from_ms: piece.from_ms.max(to.from_ms), to_ms: piece.to_ms.min(to.to_ms) }
}

pub(super) fn is_some(piece: &Window) -> bool {
    piece.from_ms < piece.to_ms
}
