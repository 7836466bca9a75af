//! iCalendar (RFC 5545) in: the bytes of one calendar, what is in a window of it out. Pure, but for its [client](Published).
//!
//! ```text
//!   bytes -> lines (unfolded, decoded) -> components -> events by UID -> rows in the window
//!            text                         component      event           series (rule, place)
//! ```
//! A content line and the escapes of its value are read by the crate `icalendar`, line by line: as a whole it refuses a
//! file for one bad line. Recurrence rules are expanded by the crate `rrule`, in wall time: its own zones come from an
//! older database. What the wall time means is for [`crate::zones`], or for the file's own VTIMEZONE where nobody knows
//! the name.
//!
//! What cannot be read is left out alone and named by line and a hash of its UID, never by its content ([`Problem`]).
//! A calendar that does not end with END:VCALENDAR is incomplete and is refused whole: it was cut off, and what is
//! missing from it would count as deleted.
//!
//! Every loop is bounded: bytes of a file, components, lines and bytes of a component, steps of a rule and of all
//! rules together, occurrences of a series and of the file. No rule costs more than [`RULE_STEPS_MAX`] steps beside
//! the 100,000 that `rrule` allows itself between two dates.

mod client;
mod component;
mod event;
mod place;
mod problem;
mod property;
mod rule;
mod series;
mod text;

use std::collections::BTreeMap;

use crate::model::{EventRecord, Window};
use crate::zones::{Zone, Zones};

pub use client::{FETCH_TIMEOUT, FILES_MAX, Published, Wanted};
pub use problem::{Problem, ProblemKind, Unusable};

/// The most bytes of one calendar.
pub const FILE_BYTES_MAX: usize = 128 << 20;
/// The most components of one calendar; the rest is left out and reported.
pub const COMPONENTS_MAX: usize = 250_000;
/// The most bytes of one component.
pub const COMPONENT_BYTES_MAX: usize = 1 << 20;
/// The most lines of one component.
pub const COMPONENT_LINES_MAX: usize = 10_000;
/// The most rows of one calendar in its window; the rest is left out and reported.
pub const ROWS_MAX: usize = 400_000;
/// The most occurrences of one series in the window.
pub const OCCURRENCES_MAX: usize = 4_000;
/// The most steps of one rule.
pub const RULE_STEPS_MAX: u64 = 200_000;
/// The most steps of all rules of one calendar.
pub const STEPS_MAX: u64 = 40_000_000;
/// Problems that are kept one by one; the rest is counted.
pub const PROBLEMS_MAX: usize = 1_000;

/// What a calendar is read for.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// Told apart by this from other calendars of the account: a UID is unique in its own calendar only.
    pub calendar: &'a str,
    /// What is wanted.
    pub window: Window,
    /// The names of zones.
    pub zones: &'a Zones,
    /// The zone of floating times, and of times in a zone that nobody knows.
    pub zone: &'a Zone,
    /// The character set that the transport named.
    pub charset: Option<&'a str>,
    /// The address of the calendar's user: what they answered is their line among the attendees.
    pub user: Option<&'a str>,
}

/// What a calendar says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Its displayed name.
    pub name: Option<String>,
    /// Its colour as `#rrggbb`.
    pub color: Option<String>,
    /// Its rows in the window: a series' master before its instances, ordered by id.
    pub records: Vec<EventRecord>,
    /// What was left out or guessed, one by one.
    pub problems: Vec<Problem>,
    /// How many problems there were.
    pub problem_count: u64,
    /// Event components read.
    pub components: usize,
}

/// Reads one calendar.
///
/// # Errors
/// When it is no calendar, or not all of it. Nothing else: what cannot be read inside is a [`Problem`].
pub fn decode(bytes: &[u8], reading: &Reading<'_>) -> Result<Decoded, Unusable> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Unusable::TooLarge);
    }
    let mut problems = problem::Problems::default();
    let file = component::read(bytes, reading.charset, &mut problems)?;
    let book = place::Book::new(&file, reading);
    let mut by_uid: BTreeMap<String, Vec<event::Event>> = BTreeMap::new();
    let components = file.events.len();
    for block in &file.events {
        match event::Event::read(block, &book, reading, &mut problems) {
            Ok(event) => by_uid.entry(event.uid.clone()).or_default().push(event),
            Err(kind) => problems.note(block, kind),
        }
    }
    let mut records = Vec::new();
    let mut budget = rule::Budget::default();
    for (uid, events) in by_uid {
        series::expand(&uid, events, reading, &mut budget, &mut records, &mut problems);
    }
    let (problems, problem_count) = problems.end();
    Ok(Decoded { name: file.name, color: file.color, records, problems, problem_count, components })
}

#[cfg(test)]
mod ical_tests;
#[cfg(test)]
mod recorded_tests;
