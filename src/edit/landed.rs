use crate::edit::same::{changed, missing};
use crate::model::{EventRecord, Fields, Intent};

/// Whether two versions of a row say the same: the version alone was rotated, as Exchange does by itself a few
/// seconds after a write. What others answered is no change of the event.
pub fn is_unchanged(base: &EventRecord, theirs: &EventRecord) -> bool {
    let is_cancelled = |row: &EventRecord| row.details.as_deref().map(|details| details.is_cancelled);
    is_cancelled(base) == is_cancelled(theirs) && changed(Fields::of(theirs), &Fields::of(base)).is_empty()
}

/// Whether the server's row already says what the edit wants: the answer to a lost reply. A row that is gone is for
/// the caller to judge. `false` also where no row can tell (a forward, a reminder).
pub fn has_landed(intent: &Intent, server: &EventRecord) -> bool {
    let details = server.details.as_deref();
    match intent {
        Intent::Create(fields) | Intent::Update(fields) => {
            missing(fields.clone(), &Fields::of(server)).is_empty()
        }
        Intent::Cancel { .. } => details.is_some_and(|details| details.is_cancelled),
        Intent::Respond { answer, .. } => {
            details.is_some_and(|details| details.response == answer.response())
        }
        Intent::Delete | Intent::Forward { .. } | Intent::Snooze { .. } | Intent::Dismiss => false,
    }
}

#[cfg(test)]
#[path = "landed_tests.rs"]
mod tests;
