//! What a range of time holds: events in their order, busy blocks, free slots, and how fresh that is.
//!
//! Pure, and without zones: an all-day event is two dates, and where a date begins depends on who asks. The caller
//! hands in a function from a date (its midnight as if it were UTC) to an instant; everything after is arithmetic
//! on half-open ranges `[from, to)`. An event overlaps a range when it shares an instant with it; one without
//! length counts as its start.

mod busy;
mod entry;
mod fresh;

pub use busy::{Blocking, busy, free};
pub use entry::{Entry, next, overlapping, place};
pub use fresh::{FRESH_MS, Freshness, Pulled, freshness};

#[cfg(test)]
mod agenda_tests;
