use std::collections::{BTreeMap, BTreeSet};

use crate::merge::{Fingerprint, fingerprint};
use crate::model::{Change, EventKind, EventRecord, Key};

/// One id of a page, with the last thing the page said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// It is in the window with this content.
    Put {
        /// Its local identity.
        key: Key,
        /// Its content.
        record: Box<EventRecord>,
        /// The hash of its content.
        fingerprint: Fingerprint,
    },
    /// It is not in this window.
    Gone {
        /// Its local identity.
        key: Key,
    },
}

impl Incoming {
    /// The local identity.
    pub fn key(&self) -> Key {
        match self {
            Incoming::Put { key, .. } | Incoming::Gone { key } => *key,
        }
    }
}

/// Turns decoded changes into one [`Incoming`] an id: the last word wins, the order of last words is kept.
/// Hashing is most of its work, so call it beside the writing, not inside.
///
/// The details of an occurrence are its series', and are compared on the master's row. Only a plain listing never
/// brings a master: there they stay, so that a change of the series shows as one of its occurrences.
pub fn prepare(changes: Vec<Change>, pass: Pass) -> Vec<Incoming> {
    let mut last: BTreeMap<Key, usize> = BTreeMap::new();
    let mut slots: Vec<Option<Incoming>> = Vec::with_capacity(changes.len());
    for change in changes {
        let incoming = match change {
            Change::Put(mut record) => {
                if record.kind == EventKind::Occurrence && pass != Pass::Snapshot {
                    record.details = None;
                }
                Incoming::Put {
                    key: Key::of_remote(record.remote_id.as_str()),
                    fingerprint: fingerprint(&record),
                    record: Box::new(record),
                }
            }
            Change::Gone(id) => Incoming::Gone { key: Key::of_remote(id.as_str()) },
        };
        if let Some(earlier) = last.insert(incoming.key(), slots.len())
            && let Some(slot) = slots.get_mut(earlier)
        {
            *slot = None;
        }
        slots.push(Some(incoming));
    }
    slots.into_iter().flatten().collect()
}

/// What the mirror holds for an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The row.
    pub id: i64,
    /// Its calendar.
    pub calendar_id: i64,
    /// What it is.
    pub kind: EventKind,
    /// False for a series master that is referred to and not fetched yet.
    pub is_present: bool,
    /// The newest generation that delivered it.
    pub seen_gen: i64,
    /// The hash of its content.
    pub fingerprint: Fingerprint,
    /// Its version.
    pub change_key: Option<String>,
    /// The row of its series.
    pub series_id: Option<i64>,
    /// Whether a removal of it is staged or held.
    pub has_removal: bool,
}

/// Which pass over a calendar the rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// A snapshot of the coming days before the first full round: shows rows early, proves nothing.
    Preview,
    /// The full round of a generation, by delta.
    Full,
    /// The full round of a generation, by plain listing: rows are complete, masters never come.
    Snapshot,
    /// A round of changes.
    Delta,
    /// A series read again, or rows looked up one by one.
    Recheck,
}

/// Where the rows of a page belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The calendar.
    pub calendar_id: i64,
    /// The generation.
    pub generation: i64,
    /// The pass.
    pub pass: Pass,
}

/// What to do about a row that is in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutAction {
    /// New here.
    Insert,
    /// Known, and different, moved here from another calendar, or fetched at last.
    Rewrite,
    /// Known and equal; only its version rotated.
    Rekey,
    /// Known and equal; note that this generation has it.
    Touch,
    /// Nothing to do.
    Keep,
}

/// Judges a row that is in the window.
pub fn judge_put(
    frame: &Frame,
    record: &EventRecord,
    fingerprint: &Fingerprint,
    stored: Option<&Stored>,
) -> PutAction {
    let Some(stored) = stored else { return PutAction::Insert };
    let is_same = stored.is_present
        && stored.calendar_id == frame.calendar_id
        && stored.kind == record.kind
        && stored.fingerprint == *fingerprint;
    // Stubs have no version of their own worth keeping apart: their ETag is the row's, when it is sent at all.
    let is_rekeyed = record.change_key.is_some() && stored.change_key != record.change_key;
    let is_unseen = stored.seen_gen < frame.generation;
    match (is_same, is_rekeyed, is_unseen, stored.has_removal) {
        (false, _, _, _) => PutAction::Rewrite,
        (true, true, _, _) => PutAction::Rekey,
        (true, false, true, _) | (true, false, false, true) => PutAction::Touch,
        (true, false, false, false) => PutAction::Keep,
    }
}

/// What to do about an id that is not in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoneAction {
    /// Never had it, or another window or calendar has it.
    Ignore,
    /// Stage its removal.
    Stage,
    /// Stage its removal, and read its series again: a tombstone of one instance may stand for more.
    StageAndRecheck,
    /// Read the series again: its master may be out of the window while instances are inside.
    Recheck,
    /// Stage the removal of the series and of every instance: it was looked up and is not there.
    StageSeries,
}

/// Judges an id that is reported as not in the window. `@removed` is sent for rows this window never had, and
/// carries no type: the stored row tells what it was.
pub fn judge_gone(frame: &Frame, stored: Option<&Stored>) -> GoneAction {
    let Some(stored) = stored else { return GoneAction::Ignore };
    if stored.calendar_id != frame.calendar_id || stored.seen_gen > frame.generation {
        return GoneAction::Ignore;
    }
    match (stored.kind, frame.pass) {
        (EventKind::Master, Pass::Delta) => GoneAction::Recheck,
        (EventKind::Master, Pass::Recheck) => GoneAction::StageSeries,
        // The end of a full round finds the instances that did not come.
        (EventKind::Master, Pass::Preview | Pass::Full | Pass::Snapshot) => GoneAction::Ignore,
        (EventKind::Occurrence | EventKind::Exception, Pass::Delta) => GoneAction::StageAndRecheck,
        (
            EventKind::Occurrence | EventKind::Exception,
            Pass::Preview | Pass::Full | Pass::Snapshot | Pass::Recheck,
        ) => GoneAction::Stage,
        (EventKind::Single, _) => GoneAction::Stage,
    }
}

/// One step of a plan; the mirror carries it out without deciding anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowStep {
    /// Insert a row.
    Insert {
        /// Its identity.
        key: Key,
        /// Its content.
        record: Box<EventRecord>,
        /// The hash of its content.
        fingerprint: Fingerprint,
    },
    /// Replace a row's content.
    Rewrite {
        /// The row.
        id: i64,
        /// Its identity.
        key: Key,
        /// Whether it was in the agenda before.
        was_shown: bool,
        /// Its content.
        record: Box<EventRecord>,
        /// The hash of its content.
        fingerprint: Fingerprint,
    },
    /// Replace a row's version alone.
    Rekey {
        /// The row.
        id: i64,
        /// The new version.
        change_key: Option<String>,
        /// Whether a staged or held removal ends.
        has_removal: bool,
    },
    /// Note the generation alone.
    Touch {
        /// The row.
        id: i64,
        /// Whether a staged or held removal ends.
        has_removal: bool,
    },
    /// Stage the removal of a row.
    Stage {
        /// The row.
        id: i64,
    },
    /// Stage the removal of a series and its instances.
    StageSeries {
        /// The master's row.
        id: i64,
    },
    /// Stage the removal of the instances of a series that is none any more.
    StageInstances {
        /// The former master's row.
        id: i64,
    },
}

/// What one page does, in one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where the rows belong.
    pub frame: Frame,
    /// The steps in page order.
    pub steps: Vec<RowStep>,
    /// Series to read again before the round may end, as keys of their masters.
    pub dirty_series: Vec<Key>,
    /// The same, as rows of their masters.
    pub dirty_rows: Vec<i64>,
    /// Series whose masters alone are to be fetched again: a plain listing never brings them, and an instance of
    /// them has changed.
    pub stale_series: Vec<Key>,
}

/// Plans a page: `stored` holds the mirror's row for each incoming id, in the same order.
pub fn plan(frame: Frame, incoming: Vec<Incoming>, stored: &[Option<Stored>]) -> Plan {
    let mut steps = Vec::with_capacity(incoming.len());
    let mut dirty = BTreeSet::new();
    let mut dirty_rows = BTreeSet::new();
    let mut stale = BTreeSet::new();
    for (place, incoming) in incoming.into_iter().enumerate() {
        let stored = stored.get(place).and_then(Option::as_ref);
        match incoming {
            Incoming::Put { key, record, fingerprint } => {
                // A changed row of a series may be all there is to see of a deleted occurrence.
                if frame.pass == Pass::Delta {
                    match record.kind {
                        EventKind::Single => {}
                        EventKind::Master => {
                            dirty.insert(key);
                        }
                        EventKind::Occurrence | EventKind::Exception => {
                            if let Some(series) = &record.series {
                                dirty.insert(Key::of_remote(series.as_str()));
                            }
                        }
                    }
                }
                let has_removal = stored.is_some_and(|s| s.has_removal);
                let action = judge_put(&frame, &record, &fingerprint, stored);
                if frame.pass == Pass::Snapshot
                    && let (PutAction::Insert | PutAction::Rewrite | PutAction::Rekey, Some(series)) =
                        (action, &record.series)
                {
                    stale.insert(Key::of_remote(series.as_str()));
                }
                match (action, stored) {
                    (PutAction::Insert, _) | (_, None) => {
                        steps.push(RowStep::Insert { key, record, fingerprint })
                    }
                    (PutAction::Rewrite, Some(row)) => {
                        if row.kind == EventKind::Master && record.kind != EventKind::Master {
                            steps.push(RowStep::StageInstances { id: row.id });
                        }
                        let was_shown = row.is_present && row.kind != EventKind::Master;
                        steps.push(RowStep::Rewrite { id: row.id, key, was_shown, record, fingerprint })
                    }
                    (PutAction::Rekey, Some(row)) => {
                        steps.push(RowStep::Rekey { id: row.id, change_key: record.change_key, has_removal })
                    }
                    (PutAction::Touch, Some(row)) => steps.push(RowStep::Touch { id: row.id, has_removal }),
                    (PutAction::Keep, Some(_)) => {}
                }
            }
            Incoming::Gone { .. } => match (judge_gone(&frame, stored), stored) {
                (GoneAction::Ignore, _) | (_, None) => {}
                (GoneAction::Stage, Some(row)) => steps.push(RowStep::Stage { id: row.id }),
                (GoneAction::StageAndRecheck, Some(row)) => {
                    steps.push(RowStep::Stage { id: row.id });
                    dirty_rows.extend(row.series_id);
                }
                (GoneAction::Recheck, Some(row)) => {
                    dirty_rows.insert(row.id);
                }
                (GoneAction::StageSeries, Some(row)) => steps.push(RowStep::StageSeries { id: row.id }),
            },
        }
    }
    Plan {
        frame,
        steps,
        dirty_series: dirty.into_iter().collect(),
        dirty_rows: dirty_rows.into_iter().collect(),
        stale_series: stale.into_iter().collect(),
    }
}

/// Removals of one round up to this many are always carried out.
const REMOVALS_FREE: u64 = 20;

/// What happens to the removals of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalVerdict {
    /// They are carried out.
    Apply,
    /// They are held back and shown, until a later full round brings the events back or the user accepts them.
    Hold,
}

/// The brake on mass deletion: a round that would remove more than max(20, half) of a calendar's events is held.
pub fn brake(removals: u64, events_before: u64) -> RemovalVerdict {
    if removals > REMOVALS_FREE && removals.saturating_mul(2) > events_before {
        RemovalVerdict::Hold
    } else {
        RemovalVerdict::Apply
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
