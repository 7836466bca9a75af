use crate::model::Key;
use crate::model::coded::coded;
use crate::source::ical::PROBLEMS_MAX;
use crate::source::ical::component::Block;

coded! {
    /// What is wrong with a component.
    ProblemKind {
        /// It does not end before the next one begins. Left out.
        Unclosed = "unclosed",
        /// Larger than allowed. Left out.
        TooLarge = "too_large",
        /// One more than allowed. Left out.
        TooMany = "too_many",
        /// No start, or none that can be read. Left out.
        Start = "start",
        /// A RECURRENCE-ID that cannot be read. Left out.
        RecurrenceId = "recurrence_id",
        /// A line that is none. The rest of the component counts.
        Line = "line",
        /// An end or a duration that cannot be read, or before the start: it ends when it starts.
        End = "end",
        /// A recurrence rule that cannot be read, or denser than allowed: only its start counts.
        Rule = "rule",
        /// A recurrence rule with more steps or occurrences than allowed: the first of them count.
        RuleLong = "rule_long",
        /// A time zone that nobody knows: read in the account's.
        Zone = "zone",
        /// A date among the exceptions or additions that cannot be read. The others count.
        Date = "date",
        /// Another event has its UID and its start: the newer one counts.
        Duplicate = "duplicate",
    }
}

impl ProblemKind {
    /// Whether the component was left out.
    pub const fn is_lost(self) -> bool {
        match self {
            ProblemKind::Unclosed
            | ProblemKind::TooLarge
            | ProblemKind::TooMany
            | ProblemKind::Start
            | ProblemKind::RecurrenceId => true,
            ProblemKind::Line
            | ProblemKind::End
            | ProblemKind::Rule
            | ProblemKind::RuleLong
            | ProblemKind::Zone
            | ProblemKind::Date
            | ProblemKind::Duplicate => false,
        }
    }
}

/// One thing that is wrong in a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    /// The line it begins in, from 1.
    pub line: u64,
    /// The hash of the component's UID, when it has one.
    pub uid: Option<Key>,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// Why a calendar cannot be used at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// An HTML page.
    #[error("a web page instead of a calendar")]
    WebPage,
    /// No BEGIN:VCALENDAR.
    #[error("not an iCalendar file")]
    NoCalendar,
    /// No END:VCALENDAR.
    #[error("the calendar was cut off: it does not end with END:VCALENDAR")]
    Incomplete,
    /// Larger than allowed.
    #[error("the calendar is larger than allowed")]
    TooLarge,
}

/// The problems of a file.
#[derive(Debug, Default)]
pub(super) struct Problems {
    kept: Vec<Problem>,
    count: u64,
}

impl Problems {
    pub(super) fn note(&mut self, block: &Block, kind: ProblemKind) {
        self.note_at(block.line, block.uid().map(Key::of_remote), kind);
    }

    pub(super) fn note_at(&mut self, line: u64, uid: Option<Key>, kind: ProblemKind) {
        self.count += 1;
        if self.kept.len() < PROBLEMS_MAX {
            self.kept.push(Problem { line, uid, kind });
        }
    }

    pub(super) fn end(mut self) -> (Vec<Problem>, u64) {
        self.kept.sort_by_key(|problem| (problem.line, problem.kind));
        (self.kept, self.count)
    }
}
