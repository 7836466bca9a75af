use std::collections::{BTreeMap, BTreeSet};

use crate::edit::check::is_organizer;
use crate::edit::same::{by_person, changed, identity};
use crate::model::{AttendeeType, Details, EventRecord, Fields, Intent, Invitee};

/// How many people the server will mail when it gets this. `record` is the row as it is before this edit: the server's,
/// with the edits that are sent earlier; `None` for a create.
///
/// Counted on the side of caution: what Exchange might mail counts. Mailed are an organizer's changes of anything
/// but categories and reminder (of the attendees alone: only those who come, go or change their part), an
/// organizer's deletion, an answer that is not silent, and a forward (the organizer is told of it, too).
pub fn notifies(intent: &Intent, record: Option<&EventRecord>) -> u32 {
    let details = record.and_then(|record| record.details.as_deref());
    let count = match intent {
        Intent::Create(fields) => others(&parts(fields), None).len(),
        Intent::Update(fields) => match (record, details) {
            (Some(record), Some(details)) if is_organizer(details) => {
                update(&changed(fields.clone(), &Fields::of(record)), details)
            }
            (Some(_), Some(_)) => 0,
            (_, None) | (None, _) => others(&parts(fields), None).len(),
        },
        Intent::Delete | Intent::Cancel { .. } => match details {
            Some(details) if is_organizer(details) && !details.is_cancelled => {
                others(&invited(details), Some(details)).len()
            }
            Some(_) | None => 0,
        },
        Intent::Respond { is_silent, .. } => usize::from(!is_silent),
        Intent::Forward { to, .. } => {
            let to: BTreeSet<String> = to.iter().map(identity).collect();
            to.len() + usize::from(details.is_some_and(|details| !is_organizer(details)))
        }
        Intent::Snooze { .. } | Intent::Dismiss => 0,
    };
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn update(fields: &Fields, details: &Details) -> usize {
    let before = invited(details);
    let after = if fields.attendees.is_some() { parts(fields) } else { before.clone() };
    let rest = Fields { attendees: None, categories: None, reminder: None, ..fields.clone() };
    let everybody = before.keys().chain(after.keys());
    let mailed: BTreeMap<String, AttendeeType> = everybody
        .filter(|person| !rest.is_empty() || before.get(*person) != after.get(*person))
        .map(|person| (person.clone(), AttendeeType::Required))
        .collect();
    others(&mailed, Some(details)).len()
}

fn parts(fields: &Fields) -> BTreeMap<String, AttendeeType> {
    by_person(fields.attendees.as_deref().unwrap_or_default())
}

fn invited(details: &Details) -> BTreeMap<String, AttendeeType> {
    by_person(&details.attendees.iter().map(Invitee::from).collect::<Vec<_>>())
}

/// Everybody but the organizer, whom some servers list among the invited.
fn others<'p>(parts: &'p BTreeMap<String, AttendeeType>, details: Option<&Details>) -> Vec<&'p String> {
    let organizer = details.and_then(|details| details.organizer.as_ref()).map(identity);
    parts.keys().filter(|person| Some(*person) != organizer.as_ref()).collect()
}

#[cfg(test)]
#[path = "mail_tests.rs"]
mod tests;
