use std::time::Duration;

use crate::model::Key;

/// What a sync is doing; for progress bars and the event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// An edit is on the server.
    Pushed {
        /// How many of this sync so far.
        edits: u64,
    },
    /// The calendars are known.
    Calendars {
        /// How many.
        count: u64,
    },
    /// A round begins.
    Round {
        /// The calendar.
        calendar: Key,
        /// Its place, from 1.
        place: u64,
        /// Whether the whole window is compared.
        is_full: bool,
    },
    /// A page is committed.
    Page {
        /// The calendar.
        calendar: Key,
        /// Rows on it.
        rows: u64,
        /// Rows of this sync so far.
        rows_total: u64,
    },
    /// The server asked to wait, or a retry is due.
    Waiting {
        /// How long.
        duration: Duration,
        /// The fault's stable kind.
        kind: &'static str,
    },
    /// A calendar is complete.
    Complete {
        /// The calendar.
        calendar: Key,
    },
    /// A calendar could not be completed.
    Failed {
        /// The calendar.
        calendar: Key,
        /// The fault's stable kind.
        kind: &'static str,
    },
}
