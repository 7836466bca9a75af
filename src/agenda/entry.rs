use std::cmp::Reverse;

use crate::model::{EventView, Window};

/// An event at its place on the line of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The event.
    pub event: EventView,
    /// When it begins; an all-day event at the first instant of its first day.
    pub start_ms: i64,
    /// First instant after it; never before its start.
    pub end_ms: i64,
}

impl Entry {
    /// Whether it shares an instant with `window`.
    pub fn overlaps(&self, window: Window) -> bool {
        window.overlaps(self.start_ms, self.end_ms)
    }

    fn order(&self) -> impl Ord + use<> {
        (self.start_ms, Reverse(self.event.details.is_all_day), self.end_ms, self.event.key)
    }
}

/// Places `event`; `midnight` says when a date begins, given its midnight as if it were UTC.
pub fn place(event: EventView, midnight: &dyn Fn(i64) -> i64) -> Entry {
    let (start_ms, end_ms) = if event.details.is_all_day {
        (midnight(event.start_ms), midnight(event.end_ms))
    } else {
        (event.start_ms, event.end_ms)
    };
    // A server may send an end before the start.
    Entry { event, start_ms, end_ms: end_ms.max(start_ms) }
}

/// Those of `events` that overlap `window`: by start, all-day first, then end, then id.
pub fn overlapping(events: Vec<EventView>, window: Window, midnight: &dyn Fn(i64) -> i64) -> Vec<Entry> {
    let mut entries: Vec<Entry> = events
        .into_iter()
        .map(|event| place(event, midnight))
        .filter(|entry| entry.overlaps(window))
        .collect();
    entries.sort_by_cached_key(Entry::order);
    entries
}

/// The first `count` of `events` in `window`, in the same order: what runs at its beginning, then what comes.
pub fn next(
    events: Vec<EventView>,
    window: Window,
    count: usize,
    midnight: &dyn Fn(i64) -> i64,
) -> Vec<Entry> {
    let mut entries = overlapping(events, window, midnight);
    entries.truncate(count);
    entries
}
