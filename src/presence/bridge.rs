//! Short holes between two stretches of the same profile are bridged.

use crate::model::Window;
use crate::presence::claim::Claim;
use crate::presence::overlap::Run;

/// Fills holes of at most `gap_ms` between stretches of one profile with what came before. A hole that one of
/// `touching` (in order and apart from each other) touches stays.
pub(super) fn bridged(runs: &[Run], claims: &[Claim<'_>], gap_ms: i64, touching: &[Window]) -> Vec<Run> {
    let mut found = Vec::with_capacity(runs.len());
    let name = |run: &Run| claims.get(run.claim).map(|claim| &claim.face.name);
    let mut before: Option<Run> = None;
    for run in runs {
        if let Some(before) = before {
            let hole = Window { from_ms: before.span.to_ms, to_ms: run.span.from_ms };
            let is_short = hole.from_ms < hole.to_ms && hole.to_ms.saturating_sub(hole.from_ms) <= gap_ms;
            if is_short && name(&before) == name(run) && !is_touched(touching, hole) {
                found.push(Run { span: hole, claim: before.claim, is_bridge: true });
            }
        }
        found.push(*run);
        before = Some(*run);
    }
    found
}

fn is_touched(touching: &[Window], hole: Window) -> bool {
    let first = touching.partition_point(|span| span.to_ms < hole.from_ms);
    touching.get(first).is_some_and(|span| span.from_ms <= hole.to_ms)
}
