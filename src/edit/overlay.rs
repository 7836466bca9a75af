use crate::edit::names::times_of;
use crate::edit::same::{Same, each_field, identity};
use crate::edit::shift::{is_on_slot, shift};
use crate::model::{
    Attendee, Details, EditState, EventKind, EventRecord, Fields, Importance, Intent, Invitee, OpenEdit,
    Pending, Reminder, RemoteId, Response, Sensitivity, ShowAs, Times,
};
use crate::zones::Zones;

/// The most characters of a preview that is made from a new body; the server cuts at as many.
const PREVIEW_CHARS_MAX: usize = 255;

/// What is shown of an event with open edits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The row, as the server will have it.
    pub record: EventRecord,
    /// Its mark.
    pub pending: Pending,
    /// It is not listed: it will be deleted.
    pub is_hidden: bool,
    /// An edit of it waits for a decision between two versions.
    pub is_conflict: bool,
}

/// What is shown of an event with these open edits, by `n`. `base` is the server's row; without it (not created yet,
/// or gone there) the first edit says what there was. `None` when there is nothing to show: no edit, or no row at
/// all.
///
/// A deletion hides the event until it is parked; a declined invitation stays, marked, until the server removes it.
pub fn overlay(base: Option<&EventRecord>, edits: &[&OpenEdit]) -> Option<Shown> {
    let first = edits.first()?;
    let mut record = match base.or(first.base.as_deref()) {
        Some(record) => record.clone(),
        None => blank(first)?,
    };
    for edit in edits {
        apply(&mut record, &edit.intent);
        if let (Some(remote), true) = (&edit.remote, record.remote_id.as_str().is_empty()) {
            record.remote_id = remote.clone();
        }
    }
    mark(record, edits)
}

/// What is shown of one instance of a series. `edits` by `n`: those of the series (`series` is `None`) and the
/// instance's own. `master` is the series' row, as the server has it.
///
/// An occurrence takes every field that its series' edits name; a new time moves it by as much as the wall clock of
/// the series moves. An exception takes only what it had from its series.
pub fn overlay_instance(
    instance: &EventRecord,
    master: &EventRecord,
    edits: &[&OpenEdit],
    zones: &Zones,
) -> Option<Shown> {
    let mut record = instance.clone();
    let mut series = master.clone();
    for edit in edits {
        if edit.series.is_some() {
            apply(&mut record, &edit.intent);
            continue;
        }
        inherit(&mut record, &series, &edit.intent, zones);
        apply(&mut series, &edit.intent);
    }
    mark(record, edits)
}

fn mark(record: EventRecord, edits: &[&OpenEdit]) -> Option<Shown> {
    // In the order of the enum: what is new or will go says more than what differs.
    let rank = |edit: &&OpenEdit| match edit.intent.action().pending() {
        Pending::Create => 0,
        Pending::Delete => 1,
        Pending::Update => 2,
        Pending::Respond => 3,
    };
    let pending = edits.iter().min_by_key(|edit| rank(edit))?.intent.action().pending();
    let is_hidden = edits
        .iter()
        .any(|edit| edit.intent.action().pending() == Pending::Delete && edit.state != EditState::Parked);
    Some(Shown { record, pending, is_hidden, is_conflict: edits.iter().any(|edit| is_in_conflict(edit)) })
}

/// Whether it is parked until somebody chooses between two versions.
pub(super) fn is_in_conflict(edit: &OpenEdit) -> bool {
    edit.state == EditState::Parked && edit.problem.as_ref().is_some_and(|problem| problem.kind == "conflict")
}

/// The row of an event that is on no server yet.
fn blank(edit: &OpenEdit) -> Option<EventRecord> {
    let Intent::Create(Fields { times: Some(times), .. }) = &edit.intent else { return None };
    Some(EventRecord {
        remote_id: edit.remote.clone().unwrap_or_else(|| RemoteId::new("")),
        kind: EventKind::Single,
        change_key: None,
        series: None,
        start_ms: times.start_ms,
        end_ms: times.end_ms,
        original_start_ms: None,
        modified_ms: None,
        details: Some(Box::new(Details {
            ical_uid: None,
            subject: None,
            body: None,
            body_preview: None,
            location: None,
            is_all_day: times.is_all_day,
            is_cancelled: false,
            is_organizer: true,
            show_as: ShowAs::Busy,
            sensitivity: Sensitivity::Normal,
            importance: Importance::Normal,
            response: Response::Organizer,
            categories: Vec::new(),
            organizer: None,
            attendees: Vec::new(),
            reminder_minutes: None,
            online_meeting: None,
            web_link: None,
            original_time_zone: None,
            transaction_id: edit.transaction_id.clone(),
        })),
    })
}

/// What the row says after the server took the edit.
fn apply(record: &mut EventRecord, intent: &Intent) {
    match intent {
        Intent::Create(fields) => put(record, fields),
        Intent::Update(fields) => {
            if record.kind == EventKind::Occurrence {
                // The first change of its own makes it an exception, whose slot is where it was.
                record.kind = EventKind::Exception;
                record.original_start_ms = record.original_start_ms.or(Some(record.start_ms));
            }
            put(record, fields);
        }
        Intent::Respond { answer, .. } => {
            if let Some(details) = record.details.as_deref_mut() {
                details.response = answer.response();
            }
        }
        Intent::Delete
        | Intent::Cancel { .. }
        | Intent::Forward { .. }
        | Intent::Snooze { .. }
        | Intent::Dismiss => {}
    }
}

/// What an instance takes from an edit of its series.
fn inherit(record: &mut EventRecord, series: &EventRecord, intent: &Intent, zones: &Zones) {
    match intent {
        Intent::Update(fields) => {
            let is_own = record.kind == EventKind::Exception;
            let mut taken = if is_own { shared(fields, record, series) } else { fields.clone() };
            taken.times = fields
                .times
                .as_ref()
                .filter(|_| !is_own || is_on_slot(record, series, zones))
                .map(|times| shift(&times_of(record), &times_of(series), times, zones));
            if let (Some(times), true) = (&taken.times, is_own) {
                // It stays on its slot, which moves.
                record.original_start_ms = Some(times.start_ms);
            }
            put(record, &taken);
        }
        Intent::Respond { .. } => {
            let answered = |row: &EventRecord| row.details.as_deref().map(|details| details.response);
            if record.kind != EventKind::Exception || answered(record) == answered(series) {
                apply(record, intent);
            }
        }
        Intent::Create(_)
        | Intent::Delete
        | Intent::Cancel { .. }
        | Intent::Forward { .. }
        | Intent::Snooze { .. }
        | Intent::Dismiss => {}
    }
}

/// The fields in which an exception says what its series says.
fn shared(fields: &Fields, record: &EventRecord, series: &EventRecord) -> Fields {
    let (own, of_series) = (Fields::of(record), Fields::of(series));
    let mut shared = fields.clone();
    macro_rules! keep_shared {
        ($field:ident) => {
            let is_shared = match (&own.$field, &of_series.$field) {
                (Some(own), Some(of_series)) => own.is_same(of_series),
                (Some(_) | None, None) | (None, Some(_)) => false,
            };
            if !is_shared {
                shared.$field = None;
            }
        };
    }
    each_field!(keep_shared);
    shared
}

fn put(record: &mut EventRecord, fields: &Fields) {
    let Fields {
        subject,
        body,
        times,
        location,
        show_as,
        sensitivity,
        importance,
        categories,
        attendees,
        reminder,
    } = fields;
    if let Some(Times { start_ms, end_ms, .. }) = times {
        (record.start_ms, record.end_ms) = (*start_ms, *end_ms);
    }
    let Some(details) = record.details.as_deref_mut() else { return };
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    if let Some(subject) = subject {
        details.subject = text(subject);
    }
    if let Some(body) = body {
        details.body = text(body);
        let preview: String = body.trim().chars().take(PREVIEW_CHARS_MAX).collect();
        details.body_preview = text(&preview);
    }
    if let Some(times) = times {
        details.is_all_day = times.is_all_day;
        if times.zone.is_some() {
            details.original_time_zone.clone_from(&times.zone);
        }
    }
    if let Some(location) = location {
        details.location = text(location);
    }
    details.show_as = show_as.unwrap_or(details.show_as);
    details.sensitivity = sensitivity.unwrap_or(details.sensitivity);
    details.importance = importance.unwrap_or(details.importance);
    if let Some(categories) = categories {
        details.categories.clone_from(categories);
    }
    if let Some(invitees) = attendees {
        details.attendees = invite(invitees, &details.attendees);
    }
    match reminder {
        Some(Reminder::Minutes(minutes)) => details.reminder_minutes = Some(*minutes),
        Some(Reminder::Off) => details.reminder_minutes = None,
        None => {}
    }
}

/// The new list, with the answers that are known.
fn invite(invitees: &[Invitee], before: &[Attendee]) -> Vec<Attendee> {
    let answer = |invitee: &Invitee| {
        let who = identity(&invitee.person);
        before.iter().find(|attendee| identity(&attendee.person) == who).map(|attendee| attendee.response)
    };
    let as_attendee = |invitee: &Invitee| Attendee {
        person: invitee.person.clone(),
        kind: invitee.kind,
        response: answer(invitee).unwrap_or(Response::None),
    };
    invitees.iter().map(as_attendee).collect()
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
