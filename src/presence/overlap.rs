//! At each moment one claim speaks for the calendar.

use std::collections::BTreeSet;

use crate::model::Window;
use crate::presence::claim::Claim;

/// A stretch in which one claim speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) span: Window,
    /// Its place among the claims.
    pub(super) claim: usize,
    /// Whether it fills a hole between claims.
    pub(super) is_bridge: bool,
}

/// A part of a claim that is padding throughout or core throughout.
struct Part {
    span: Window,
    claim: usize,
    is_core: bool,
}

/// Who speaks when. `cut` says from which instant on a claim is dismissed. One sweep: `O(n log n)`.
pub(super) fn runs(claims: &[Claim<'_>], cut: impl Fn(usize) -> Option<i64>) -> Vec<Run> {
    let mut parts = parts(claims, cut);
    parts.sort_by(|a, b| {
        let order = |part: &Part| claims.get(part.claim).map(|claim| claim.order(part.is_core));
        order(a).cmp(&order(b)).then(a.claim.cmp(&b.claim)).then(a.span.from_ms.cmp(&b.span.from_ms))
    });
    // The place in this order is the weight: less speaks.
    let mut edges: Vec<(i64, bool, usize)> = Vec::with_capacity(parts.len().saturating_mul(2));
    for (weight, part) in parts.iter().enumerate() {
        edges.push((part.span.from_ms, true, weight));
        edges.push((part.span.to_ms, false, weight));
    }
    edges.sort_unstable();
    let mut active: BTreeSet<usize> = BTreeSet::new();
    let mut runs: Vec<Run> = Vec::new();
    let mut edges = edges.into_iter().peekable();
    while let Some((at_ms, begins, weight)) = edges.next() {
        if begins {
            active.insert(weight);
        } else {
            active.remove(&weight);
        }
        let Some((next_ms, _, _)) = edges.peek() else { break };
        let winner = active.first().and_then(|weight| parts.get(*weight));
        if let (Some(winner), true) = (winner, at_ms < *next_ms) {
            push(&mut runs, Window { from_ms: at_ms, to_ms: *next_ms }, winner.claim);
        }
    }
    runs
}

fn push(runs: &mut Vec<Run>, span: Window, claim: usize) {
    match runs.last_mut() {
        Some(last) if last.claim == claim && last.span.to_ms == span.from_ms => last.span.to_ms = span.to_ms,
        Some(_) | None => runs.push(Run { span, claim, is_bridge: false }),
    }
}

fn parts(claims: &[Claim<'_>], cut: impl Fn(usize) -> Option<i64>) -> Vec<Part> {
    let mut parts = Vec::with_capacity(claims.len());
    for (at, claim) in claims.iter().enumerate() {
        let until_ms = cut(at).unwrap_or(i64::MAX);
        for piece in &claim.pieces {
            let edges = [
                piece.from_ms,
                claim.core.from_ms.clamp(piece.from_ms, piece.to_ms),
                claim.core.to_ms.clamp(piece.from_ms, piece.to_ms),
                piece.to_ms,
            ];
            let [from, core_from, core_to, to] = edges.map(|edge| edge.min(until_ms));
            for (from_ms, to_ms, is_core) in
                [(from, core_from, false), (core_from, core_to, true), (core_to, to, false)]
            {
                if from_ms < to_ms {
                    parts.push(Part { span: Window { from_ms, to_ms }, claim: at, is_core });
                }
            }
        }
    }
    parts
}
