use crate::edit::Refusal;
use crate::edit::check::is_organizer;
use crate::edit::overlay::{is_in_conflict, overlay};
use crate::edit::same::{Same, changed, each_field};
use crate::model::{Answer, EditState, EventRecord, Fields, Intent, Key, OpenEdit, Pending};

/// What becomes of a wish and the edits that are open already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fold {
    /// It is recorded as a new edit, with the event's present row as its base, and these edits go.
    Append {
        /// What is recorded: of an update, what differs from what is shown.
        intent: Intent,
        /// What it makes needless.
        drop: Vec<i64>,
    },
    /// It goes into this edit, which keeps its number and its base, and waits to be sent again if it was parked.
    Replace {
        /// The edit.
        n: i64,
        /// What it wants now.
        intent: Intent,
    },
    /// Nothing is left to be done, and these edits go; none: it is so already.
    Drop {
        /// What it makes needless.
        ns: Vec<i64>,
    },
}

/// Puts a wish together with the open edits.
///
/// `open`: those of the event, and those of its series or of its instances, by `n`. `record`: the server's row, as the
/// mirror has it, an occurrence's details filled in; `None` for an event that is on no server yet.
///
/// An edit that may have reached the server is never touched: what is unclear is looked up as it was sent. A deletion
/// makes changes needless, but neither a forward nor a decline that tells the organizer; an accept it does.
///
/// # Errors
/// [`Refusal::InConflict`], [`Refusal::BeingDeleted`].
pub fn fold(
    event: Key,
    open: &[OpenEdit],
    wish: &Intent,
    record: Option<&EventRecord>,
) -> Result<Fold, Refusal> {
    let is_own = |edit: &&OpenEdit| edit.event == event;
    let is_of_instance = |edit: &&OpenEdit| edit.series == Some(event);
    if let Some(edit) = open.iter().filter(is_own).find(|edit| is_in_conflict(edit)) {
        return Err(Refusal::InConflict { n: edit.n });
    }
    // A deletion of one instance says nothing of its series.
    let ends_it =
        |edit: &&OpenEdit| edit.intent.action().pending() == Pending::Delete && !is_of_instance(edit);
    if let Some(edit) = open.iter().find(ends_it) {
        return Err(Refusal::BeingDeleted { n: edit.n });
    }
    Ok(match wish {
        Intent::Create(_) | Intent::Forward { .. } => Fold::Append { intent: wish.clone(), drop: Vec::new() },
        Intent::Update(fields) => fold_update(event, open, fields, record),
        Intent::Delete | Intent::Cancel { .. } => fold_delete(event, open, wish, record),
        Intent::Respond { answer, comment, .. } => {
            let is_earlier = |edit: &OpenEdit| matches!(edit.intent, Intent::Respond { .. });
            let Some(earlier) = last_own(event, open).filter(|edit| is_earlier(edit)) else {
                return Ok(Fold::Append { intent: wish.clone(), drop: Vec::new() });
            };
            let answered =
                record.and_then(|record| record.details.as_deref()).map(|details| details.response);
            if answered == Some(answer.response()) && comment.trim().is_empty() {
                Fold::Drop { ns: vec![earlier.n] }
            } else {
                Fold::Append { intent: wish.clone(), drop: vec![earlier.n] }
            }
        }
        Intent::Snooze { .. } | Intent::Dismiss => {
            let is_earlier = |edit: &OpenEdit| matches!(edit.intent, Intent::Snooze { .. } | Intent::Dismiss);
            let earlier = last_own(event, open).filter(|edit| is_earlier(edit));
            Fold::Append { intent: wish.clone(), drop: earlier.map(|edit| edit.n).into_iter().collect() }
        }
    })
}

fn fold_update(event: Key, open: &[OpenEdit], wish: &Fields, record: Option<&EventRecord>) -> Fold {
    match last_own(event, open) {
        Some(OpenEdit { n, intent: Intent::Create(fields), .. }) => {
            let all = wish.clone().over(fields.clone());
            if all == *fields {
                return Fold::Drop { ns: Vec::new() };
            }
            Fold::Replace { n: *n, intent: Intent::Create(all) }
        }
        Some(edit @ OpenEdit { n, intent: Intent::Update(fields), .. })
            if has_its_base(edit, fields, wish, record) =>
        {
            let before: Vec<&OpenEdit> = open.iter().filter(|other| other.n < *n).collect();
            let all = wish.clone().over(fields.clone());
            let left = match seen(event, &before, edit.base.as_deref().or(record)) {
                Some(shown) => changed(all, &Fields::of(&shown)),
                None => all,
            };
            if left.is_empty() {
                return Fold::Drop { ns: vec![*n] };
            }
            if left == *fields {
                return Fold::Drop { ns: Vec::new() };
            }
            Fold::Replace { n: *n, intent: Intent::Update(left) }
        }
        Some(_) | None => {
            let before: Vec<&OpenEdit> = open.iter().collect();
            let left = match seen(event, &before, record) {
                Some(shown) => changed(wish.clone(), &Fields::of(&shown)),
                None => wish.clone(),
            };
            if left.is_empty() {
                return Fold::Drop { ns: Vec::new() };
            }
            Fold::Append { intent: Intent::Update(left), drop: Vec::new() }
        }
    }
}

/// Whether the fields that the wish adds were the same when the earlier edit was made: one edit has one base, and a
/// field that others changed meanwhile would be taken for theirs against mine.
fn has_its_base(edit: &OpenEdit, fields: &Fields, wish: &Fields, record: Option<&EventRecord>) -> bool {
    let (Some(base), Some(record)) = (edit.base.as_deref(), record) else { return true };
    if base.change_key == record.change_key && base.change_key.is_some() {
        return true;
    }
    let (base, record) = (Fields::of(base), Fields::of(record));
    let mut is_same = true;
    macro_rules! compare {
        ($field:ident) => {
            if wish.$field.is_some() && fields.$field.is_none() {
                is_same &= match (&base.$field, &record.$field) {
                    (Some(base), Some(record)) => base.is_same(record),
                    (None, None) => true,
                    (Some(_), None) | (None, Some(_)) => false,
                };
            }
        };
    }
    each_field!(compare);
    is_same
}

/// What is shown before the wish; `None` where an edit of the series (or of an instance) has a part in it.
fn seen(event: Key, before: &[&OpenEdit], record: Option<&EventRecord>) -> Option<EventRecord> {
    if before.iter().any(|edit| edit.event != event) {
        return None;
    }
    match overlay(record, before) {
        Some(shown) => Some(shown.record),
        None => record.cloned(),
    }
}

fn fold_delete(event: Key, open: &[OpenEdit], wish: &Intent, record: Option<&EventRecord>) -> Fold {
    let concerns = |edit: &&OpenEdit| edit.event == event || edit.series == Some(event);
    let is_unborn = open.iter().filter(concerns).any(|edit| matches!(edit.intent, Intent::Create(_)));
    if is_unborn && !open.iter().filter(concerns).any(may_have_landed) {
        return Fold::Drop { ns: open.iter().filter(concerns).map(|edit| edit.n).collect() };
    }
    let is_mine = record.and_then(|record| record.details.as_deref()).is_none_or(is_organizer);
    let is_needless = |edit: &&OpenEdit| {
        !may_have_landed(edit) && !is_in_conflict(edit) && is_absorbed(&edit.intent, is_mine)
    };
    let mut drop: Vec<i64> =
        open.iter().rev().take_while(|edit| concerns(edit) && is_needless(edit)).map(|edit| edit.n).collect();
    drop.reverse();
    Fold::Append { intent: wish.clone(), drop }
}

/// Whether it is in vain when the event goes.
fn is_absorbed(intent: &Intent, is_mine: bool) -> bool {
    match intent {
        Intent::Update(_) | Intent::Snooze { .. } | Intent::Dismiss => true,
        Intent::Delete | Intent::Cancel { .. } => true,
        Intent::Respond { answer, is_silent, .. } => match answer {
            Answer::Accept | Answer::Tentative => true,
            Answer::Decline => *is_silent,
        },
        Intent::Forward { .. } => is_mine,
        Intent::Create(_) => false,
    }
}

/// The last edit, if it is the event's own and may be changed. An edit of its series in between keeps the order.
fn last_own(event: Key, open: &[OpenEdit]) -> Option<&OpenEdit> {
    open.last().filter(|edit| edit.event == event && !may_have_landed(edit))
}

/// Whether the server may have done it. It has not where nothing was sent, and where the edit was parked because the
/// server refused it; conflict and timeout statuses are no refusals.
fn may_have_landed(edit: &OpenEdit) -> bool {
    if edit.state == EditState::Sending {
        return true;
    }
    if edit.attempts == 0 {
        return false;
    }
    let status = edit.problem.as_ref().and_then(|problem| problem.status);
    let is_refused = matches!(status, Some(400..=499)) && !matches!(status, Some(408 | 409 | 412));
    !(edit.state == EditState::Parked && is_refused)
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
