use crate::agenda::Entry;
use crate::model::{Response, ShowAs, Window};

/// Which ways to show a time block it. Cancelled and declined events never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocking {
    /// Whether tentative events block.
    pub tentative: bool,
    /// Whether working elsewhere blocks.
    pub working_elsewhere: bool,
}

impl Default for Blocking {
    /// As Exchange's free/busy: tentative is taken, working elsewhere is reachable.
    fn default() -> Blocking {
        Blocking { tentative: true, working_elsewhere: false }
    }
}

impl Blocking {
    fn counts(self, entry: &Entry) -> bool {
        let details = &entry.event.details;
        let is_declined = match details.response {
            Response::Declined => true,
            Response::None
            | Response::Organizer
            | Response::Tentative
            | Response::Accepted
            | Response::NotResponded => false,
        };
        if details.is_cancelled || is_declined {
            return false;
        }
        match details.show_as {
            ShowAs::Busy | ShowAs::Oof => true,
            // Better one meeting too few than two at once.
            ShowAs::Unknown => true,
            ShowAs::Tentative => self.tentative,
            ShowAs::WorkingElsewhere => self.working_elsewhere,
            ShowAs::Free => false,
        }
    }
}

/// The taken parts of `window`: in order, not empty, neither overlapping nor touching.
pub fn busy(entries: &[Entry], window: Window, blocking: Blocking) -> Vec<Window> {
    let mut taken: Vec<Window> = entries
        .iter()
        .filter(|entry| blocking.counts(entry))
        .map(|entry| Window { from_ms: entry.start_ms, to_ms: entry.end_ms })
        .filter_map(|block| common(block, window))
        .collect();
    taken.sort_by_key(|block| (block.from_ms, block.to_ms));
    let mut merged: Vec<Window> = Vec::new();
    for block in taken {
        match merged.last_mut() {
            Some(last) if block.from_ms <= last.to_ms => last.to_ms = last.to_ms.max(block.to_ms),
            Some(_) | None => merged.push(block),
        }
    }
    merged
}

/// What of `window` is not in `busy` (as [`busy`] returns it), at least `min_ms` long; with `hours`, only what lies
/// inside one of those.
pub fn free(busy: &[Window], window: Window, min_ms: i64, hours: Option<&[Window]>) -> Vec<Window> {
    let mut gaps = Vec::new();
    let mut from_ms = window.from_ms;
    for block in busy {
        gaps.push(Window { from_ms, to_ms: block.from_ms });
        from_ms = block.to_ms;
    }
    gaps.push(Window { from_ms, to_ms: window.to_ms });
    let min_ms = min_ms.max(1);
    let slots: Vec<Window> = match hours {
        None => gaps,
        Some(hours) => inside(&gaps, hours),
    };
    slots.into_iter().filter(|slot| slot.to_ms.saturating_sub(slot.from_ms) >= min_ms).collect()
}

/// Every gap cut to every span of hours that it meets.
fn inside(gaps: &[Window], hours: &[Window]) -> Vec<Window> {
    gaps.iter().flat_map(|gap| hours.iter().filter_map(|span| common(*gap, *span))).collect()
}

fn common(one: Window, other: Window) -> Option<Window> {
    let both = Window { from_ms: one.from_ms.max(other.from_ms), to_ms: one.to_ms.min(other.to_ms) };
    (both.from_ms < both.to_ms).then_some(both)
}
