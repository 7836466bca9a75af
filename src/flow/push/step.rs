//! What to do next about one edit. Pure: each decision is a total match, and its test a table.

use crate::edit::{Merged, has_landed, is_unchanged, merge3};
use crate::model::{Answer, ConflictKind, EditState, EventRecord, Fields, Intent, Keep, OpenEdit, Policy};

/// How long an act that mails people is looked for before it is given to the user: a server may carry it out later
/// than it answers.
pub(super) const UNCLEAR_WAIT_MS: i64 = 2 * 60_000;

/// How an edit is begun with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// It was made long ago and would mail somebody now: the user confirms it first.
    Confirm,
    /// Its event never came to the server.
    Lost,
    /// It may have been carried out, or was made on a row whose version nobody knows: look first.
    Look,
    /// Send it.
    Send,
}

/// How an edit is begun with at `now_ms`.
pub(super) fn open(edit: &OpenEdit, now_ms: i64, confirm_mail_after_ms: i64) -> Opening {
    match edit.state {
        EditState::Sending => Opening::Look,
        // One that is parked is never chosen; it would be sent as the user asked.
        EditState::Waiting | EditState::Parked => {
            if is_held(edit, now_ms, confirm_mail_after_ms) {
                return Opening::Confirm;
            }
            match (&edit.intent, &edit.remote) {
                // A create that failed may have landed late, after it was looked for.
                (Intent::Create(_), _) if edit.attempts > 0 => Opening::Look,
                (Intent::Create(_), _) => Opening::Send,
                (_, None) => Opening::Lost,
                (Intent::Update(_) | Intent::Delete, Some(_)) if !has_version(edit) => Opening::Look,
                (
                    Intent::Update(_)
                    | Intent::Delete
                    | Intent::Cancel { .. }
                    | Intent::Respond { .. }
                    | Intent::Forward { .. }
                    | Intent::Snooze { .. }
                    | Intent::Dismiss,
                    Some(_),
                ) => Opening::Send,
            }
        }
    }
}

/// Whether it would mail somebody so long after it was made that the user confirms it first.
pub(super) fn is_held(edit: &OpenEdit, now_ms: i64, confirm_mail_after_ms: i64) -> bool {
    let is_old = now_ms.saturating_sub(edit.created_at_ms) > confirm_mail_after_ms;
    edit.notifies > 0 && !edit.is_confirmed && is_old
}

fn has_version(edit: &OpenEdit) -> bool {
    edit.base.as_ref().is_some_and(|base| base.change_key.is_some())
}

/// Why an event was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The edit may have been carried out.
    Unclear,
    /// It was not: another version was there, or none was known.
    NotDone,
}

/// What the server's row says about an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// It is done.
    Landed,
    /// It is not, and nothing stands in its way.
    Free,
    /// It is not; others changed something else. This is still to be sent.
    Merged(Fields),
    /// Others changed the same.
    Clash(Box<Merged>),
    /// It was to be deleted, and others changed it.
    DeletedHere,
    /// No row can tell, and a second time would mail people twice.
    Untold,
}

/// Compares an edit with the server's row.
pub(super) fn weigh(edit: &OpenEdit, theirs: &EventRecord, why: Why) -> Finding {
    let base = edit.base.as_deref();
    match &edit.intent {
        Intent::Create(_) | Intent::Snooze { .. } | Intent::Dismiss => Finding::Free,
        Intent::Update(mine) => {
            // Without a base nothing is known to be touched by others.
            let merged = merge3(&Fields::of(base.unwrap_or(theirs)), mine, &Fields::of(theirs));
            if !merged.clashes.is_empty() {
                Finding::Clash(Box::new(merged))
            } else if merged.send.is_empty() {
                Finding::Landed
            } else if merged.send == *mine {
                Finding::Free
            } else {
                Finding::Merged(merged.send)
            }
        }
        Intent::Delete => {
            let is_cancelled = |row: &EventRecord| row.details.as_deref().is_some_and(|d| d.is_cancelled);
            match base {
                // Nobody minds that a cancelled meeting goes.
                Some(base) if !is_unchanged(base, theirs) && !is_cancelled(theirs) => Finding::DeletedHere,
                Some(_) | None => Finding::Free,
            }
        }
        Intent::Cancel { .. } => match (has_landed(&edit.intent, theirs), why) {
            (true, _) => Finding::Landed,
            (false, Why::Unclear) => Finding::Untold,
            (false, Why::NotDone) => Finding::Free,
        },
        Intent::Respond { is_silent, .. } => {
            let was_so = base.is_some_and(|base| has_landed(&edit.intent, base));
            match (has_landed(&edit.intent, theirs), was_so, why, *is_silent) {
                (true, false, _, _) | (true, true, _, true) => Finding::Landed,
                // The same answer again, with another comment: the row cannot tell.
                (_, _, Why::Unclear, false) => Finding::Untold,
                (_, _, Why::NotDone, _) | (false, _, Why::Unclear, true) => Finding::Free,
            }
        }
        Intent::Forward { to, .. } => match why {
            Why::NotDone => Finding::Free,
            Why::Unclear => {
                let invites = |row: &EventRecord| {
                    to.iter().all(|person| {
                        row.details.as_deref().is_some_and(|details| {
                            details.attendees.iter().any(|attendee| {
                                match (&attendee.person.address, &person.address) {
                                    (Some(theirs), Some(wanted)) => theirs.eq_ignore_ascii_case(wanted),
                                    (Some(_) | None, _) => false,
                                }
                            })
                        })
                    })
                };
                if invites(theirs) && !base.is_some_and(invites) { Finding::Landed } else { Finding::Untold }
            }
        },
    }
}

/// What it means that the event of an edit is not on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// What was wanted.
    Done,
    /// The calendar to create in is gone.
    NoCalendar,
    /// Deleted there, edited here: the user decides.
    Conflict,
    /// There is nobody left to tell: the conflict says so, and nothing is left to be done.
    Moot,
}

/// Judges the absence of an edit's event.
pub(super) fn judge_absence(intent: &Intent) -> Absence {
    match intent {
        Intent::Create(_) => Absence::NoCalendar,
        Intent::Update(_) => Absence::Conflict,
        Intent::Delete
        | Intent::Cancel { .. }
        // Exchange moves a declined event out of the calendar.
        | Intent::Respond { answer: Answer::Decline, .. }
        | Intent::Snooze { .. }
        | Intent::Dismiss => Absence::Done,
        Intent::Respond { answer: Answer::Accept | Answer::Tentative, .. } | Intent::Forward { .. } => {
            Absence::Moot
        }
    }
}

/// How a conflict is begun with: who wins at once, and what is still to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ruling {
    /// The kind.
    pub kind: ConflictKind,
    /// The decision; none: the user's.
    pub resolution: Option<Keep>,
    /// The fields still to be sent, or kept for the user's decision; none: as the edit says.
    pub remaining: Option<Fields>,
}

/// Applies the policy to a clash of fields.
pub(super) fn rule_fields(policy: Policy, merged: &Merged) -> Ruling {
    let all = || merged.contested.clone().over(merged.send.clone());
    let (resolution, remaining) = match policy {
        Policy::Theirs => (Some(Keep::Theirs), merged.send.clone()),
        Policy::Mine => (Some(Keep::Mine), all()),
        Policy::Ask => (None, all()),
    };
    Ruling { kind: ConflictKind::BothChanged, resolution, remaining: Some(remaining) }
}

/// Applies the policy to a deletion of what others changed.
pub(super) fn rule_deletion(policy: Policy) -> Ruling {
    let resolution = match policy {
        Policy::Theirs => Some(Keep::Theirs),
        Policy::Mine => Some(Keep::Mine),
        Policy::Ask => None,
    };
    Ruling { kind: ConflictKind::DeletedHere, resolution, remaining: None }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
