//! Reminders: when that of an event comes, and telling each once.
//!
//! Computed from the events and what the user put off, an occurrence at a time. Nothing is kept of those that were
//! never touched, so that a moved event moves its reminder. That one was told is on the disk before it is told: after a
//! pause all that came due meanwhile comes as one list, and none comes twice.

use std::collections::BTreeMap;
use std::path::Path;

use crate::agenda::{self, Entry};
use crate::flow::presence::is_own;
use crate::mirror::{Editor, MirrorError, Reader, ReminderRow};
use crate::model::coded::coded;
use crate::model::{DAY_MS, Key, Response, Window};
use crate::zones::Zone;

/// The earliest a reminder comes before its event: four weeks, as Outlook has it.
pub const LEAD_MS_MAX: i64 = 28 * DAY_MS;
/// How far ahead the next reminder is looked for; it is looked again then.
const AHEAD_MS: i64 = DAY_MS;
/// Reminders told at once; of more only the number is said.
pub const TOLD_AT_ONCE_MAX: usize = 200;

coded! {
    /// Where a reminder stands.
    ReminderState {
        /// To be shown.
        Due = "due",
        /// Put off, and comes again.
        Snoozed = "snoozed",
        /// Comes later.
        Upcoming = "upcoming",
        /// Done with.
        Dismissed = "dismissed",
    }
}

/// The reminder of one event or occurrence.
#[derive(Debug, Clone)]
pub struct Standing {
    /// When it comes, or came.
    pub due_ms: i64,
    /// Due, snoozed or upcoming.
    pub state: ReminderState,
    /// The event.
    pub entry: Entry,
}

/// The reminders that came due, once.
#[derive(Debug, Clone)]
pub struct Told {
    /// By the time they came due, [`TOLD_AT_ONCE_MAX`] at most.
    pub due: Vec<Standing>,
    /// How many more came due.
    pub more: usize,
    /// When to look again.
    pub next_ms: i64,
}

/// The reminders of the user's own calendars that are due or come until `to_ms`, by the time they come.
///
/// # Errors
/// As every reading.
pub fn standing(
    reader: &Reader,
    user: Option<&str>,
    zone: &Zone,
    now_ms: i64,
    to_ms: i64,
) -> Result<Vec<Standing>, MirrorError> {
    let account = reader.account()?;
    let user = user.or(account.user.as_deref());
    let calendars = reader.owned_calendars()?;
    let own: Vec<Key> =
        calendars.iter().filter(|calendar| is_own(calendar, user)).map(|calendar| calendar.key).collect();
    // No calendar named would be all of them.
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let put_off: BTreeMap<Key, ReminderRow> =
        reader.reminders()?.into_iter().map(|row| (row.event, row)).collect();
    let midnight = |date_ms| zone.midnight_ms(date_ms);
    let window = Window { from_ms: now_ms, to_ms: to_ms.saturating_add(LEAD_MS_MAX) };
    let mut entries = agenda::overlapping(reader.overlapping(window, &own)?, window, &midnight);
    // What was put off comes again, also when the event is over.
    for row in put_off.values().filter(|row| row.until_ms.is_some()) {
        if !entries.iter().any(|entry| entry.event.key == row.event)
            && let Some(event) = reader.event(row.event)?
        {
            entries.push(agenda::place(event, &midnight));
        }
    }
    let judged = entries.into_iter().filter_map(|entry| {
        let (due_ms, state) = judge(&entry, put_off.get(&entry.event.key), now_ms)?;
        (state == ReminderState::Due || due_ms <= to_ms).then_some(Standing { due_ms, state, entry })
    });
    let mut found: Vec<Standing> = judged.collect();
    found.sort_by_key(|one| (one.due_ms, one.entry.start_ms, one.entry.event.key));
    Ok(found)
}

/// The reminders that are due by `now_ms` and were not told yet; they count as told from now on. What came due and was
/// over before anybody could be told is left out. `None`: there is no mirror yet.
///
/// # Errors
/// A mirror that cannot be read or written; nothing counts as told then.
pub fn take_due(
    path: &Path,
    user: Option<&str>,
    zone: &Zone,
    now_ms: i64,
) -> Result<Option<Told>, MirrorError> {
    let reader = match Reader::open(path) {
        Ok(reader) => reader,
        Err(MirrorError::Absent { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let horizon_ms = now_ms.saturating_add(AHEAD_MS);
    let (due, later): (Vec<Standing>, Vec<Standing>) = standing(&reader, user, zone, now_ms, horizon_ms)?
        .into_iter()
        .partition(|one| one.state == ReminderState::Due);
    let next_ms = later.first().map_or(horizon_ms, |next| next.due_ms);
    let told = reader.told_reminders()?;
    let due_at: BTreeMap<Key, i64> = due.iter().map(|one| (one.entry.event.key, one.due_ms)).collect();
    let new: Vec<Standing> =
        due.into_iter().filter(|one| told.get(&one.entry.event.key) != Some(&one.due_ms)).collect();
    // One that is no longer due was ended, moved or is over; if it comes again, it is told again.
    let over: Vec<Key> = told.into_keys().filter(|key| !due_at.contains_key(key)).collect();
    if !new.is_empty() || !over.is_empty() {
        let mut editor = match Editor::open(path) {
            Ok(editor) => editor,
            // Only the engine brings an older file up.
            Err(MirrorError::Outdated { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let session = editor.begin(now_ms)?;
        for one in &new {
            session.put_told_reminder(one.entry.event.key, one.due_ms)?;
        }
        for key in over {
            session.clear_told_reminder(key)?;
        }
        session.commit()?;
    }
    let more = new.len().saturating_sub(TOLD_AT_ONCE_MAX);
    let due = new.into_iter().take(TOLD_AT_ONCE_MAX).collect();
    Ok(Some(Told { due, more, next_ms }))
}

/// When the reminder of an event comes, and how that stands. `None`: it has none, it is over, or done with.
fn judge(entry: &Entry, put_off: Option<&ReminderRow>, now_ms: i64) -> Option<(i64, ReminderState)> {
    let details = &entry.event.details;
    // No minutes is no reminder; zero minutes is one at the start.
    let minutes = details.reminder_minutes?;
    if details.is_cancelled || details.response == Response::Declined {
        return None;
    }
    // What was put off before the event moved says nothing about its new time.
    match put_off.filter(|row| row.start_ms == entry.event.start_ms) {
        Some(ReminderRow { until_ms: None, .. }) => None,
        Some(ReminderRow { until_ms: Some(until_ms), .. }) => {
            let state = if *until_ms <= now_ms { ReminderState::Due } else { ReminderState::Snoozed };
            Some((*until_ms, state))
        }
        None => {
            let due_ms = entry.start_ms.saturating_sub(i64::from(minutes).saturating_mul(60_000));
            let is_over = entry.end_ms.max(entry.start_ms) <= now_ms;
            match (due_ms <= now_ms, is_over) {
                (true, true) => None,
                (true, false) => Some((due_ms, ReminderState::Due)),
                (false, _) => Some((due_ms, ReminderState::Upcoming)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Details, EventKind, EventView, Importance, Sensitivity, ShowAs};

    const HOUR_MS: i64 = 3_600_000;
    const START_MS: i64 = 100 * HOUR_MS;

    fn entry(reminder_minutes: Option<i32>) -> Entry {
        let details = Details {
            ical_uid: None,
            subject: None,
            body: None,
            body_preview: None,
            location: None,
            is_all_day: false,
            is_cancelled: false,
            is_organizer: true,
            show_as: ShowAs::Busy,
            sensitivity: Sensitivity::Normal,
            importance: Importance::Normal,
            response: Response::Organizer,
            categories: Vec::new(),
            organizer: None,
            attendees: Vec::new(),
            reminder_minutes,
            online_meeting: None,
            web_link: None,
            original_time_zone: None,
            transaction_id: None,
        };
        let event = EventView {
            key: Key::of_remote("a"),
            calendar: Key::of_remote("c"),
            kind: EventKind::Single,
            series: None,
            remote_id: None,
            change_key: None,
            start_ms: START_MS,
            end_ms: START_MS + HOUR_MS,
            details: Box::new(details),
            is_unconfirmed: false,
            pending: None,
            is_in_conflict: false,
        };
        agenda::place(event, &|ms| ms)
    }

    #[test]
    fn a_reminder_stands_where_its_event_and_the_user_put_it() {
        use ReminderState::{Due, Snoozed, Upcoming};
        let row =
            |start_ms, until_ms| ReminderRow { event: Key::of_remote("a"), start_ms, until_ms, at_ms: 0 };
        let lead_ms = HOUR_MS / 4;
        type Row = (&'static str, Option<i32>, Option<ReminderRow>, i64, Option<(i64, ReminderState)>);
        let rows: Vec<Row> = vec![
            ("none", None, None, START_MS, None),
            ("none is not zero", Some(0), None, START_MS - 1, Some((START_MS, Upcoming))),
            ("at its start", Some(0), None, START_MS, Some((START_MS, Due))),
            ("ahead", Some(15), None, START_MS - lead_ms, Some((START_MS - lead_ms, Due))),
            ("not yet", Some(15), None, START_MS - lead_ms - 1, Some((START_MS - lead_ms, Upcoming))),
            ("while it runs", Some(15), None, START_MS + HOUR_MS - 1, Some((START_MS - lead_ms, Due))),
            ("over", Some(15), None, START_MS + HOUR_MS, None),
            ("put off", Some(15), Some(row(START_MS, Some(9))), 8, Some((9, Snoozed))),
            (
                "put off and due, also when over",
                Some(15),
                Some(row(START_MS, Some(9))),
                START_MS * 2,
                Some((9, Due)),
            ),
            ("done with", Some(15), Some(row(START_MS, None)), START_MS, None),
            ("moved since", Some(0), Some(row(1, None)), START_MS, Some((START_MS, Due))),
        ];
        for (name, minutes, put_off, now_ms, expected) in rows {
            assert_eq!(judge(&entry(minutes), put_off.as_ref(), now_ms), expected, "{name}");
        }
        let mut declined = entry(Some(0));
        declined.event.details.response = Response::Declined;
        assert_eq!(judge(&declined, None, START_MS), None);
    }
}
