//! Reminders: when they come, and who was told.
//!
//! A reminder follows from its event and from what the user put off; nothing is kept of it, so that a moved event moves
//! its reminder. Only what was told is on the disk, before anybody is told: none is told twice, and one that came while
//! the computer slept or the program was down comes later, with all others, in one list. Who was told and then crashed
//! finds it among those that are due ([`list`]) until it is over.

use std::collections::BTreeMap;

use crate::agenda::{self, Entry};
use crate::flow::presence::is_own;
use crate::mirror::{Editor, MirrorError, Reader, ReminderRow, ToldRow};
use crate::model::coded::coded;
use crate::model::{DAY_MS, Key, Response, Window};
use crate::zones::Zone;

/// The earliest a reminder comes before its event: four weeks, as Outlook has it.
const LEAD_MS_MAX: i64 = 28 * DAY_MS;
/// A reminder is not caught up when its event has ended; a shorter event counts as this long.
const SHORT_MS: i64 = 15 * 60_000;
/// The most reminders told at once; the rest is counted.
pub const DUE_MAX: usize = 50;

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

/// The reminder of one event or occurrence. Holds the event: not in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Reminder {
    /// When it comes, or came.
    pub due_ms: i64,
    /// Due, snoozed or upcoming.
    pub state: ReminderState,
    /// The event.
    pub entry: Entry,
    minutes: i32,
    put_off_ms: Option<i64>,
}

impl std::fmt::Debug for Reminder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reminder")
            .field("event", &self.entry.event.key)
            .field("due_ms", &self.due_ms)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Reminder {
    /// What is noted when it is told.
    fn told(&self) -> ToldRow {
        ToldRow {
            event: self.entry.event.key,
            start_ms: self.entry.event.start_ms,
            end_ms: self.entry.end_ms,
            minutes: self.minutes,
            put_off_ms: self.put_off_ms,
        }
    }

    /// Whether it was told: for this start, as the event says or as it was put off. One that was moved closer to its
    /// event comes anew; one that was moved away from it would only come twice.
    fn is_told(&self, told: &BTreeMap<Key, ToldRow>) -> bool {
        told.get(&self.entry.event.key).is_some_and(|told| {
            told.start_ms == self.entry.event.start_ms
                && told.put_off_ms == self.put_off_ms
                && (self.put_off_ms.is_some() || told.minutes <= self.minutes)
        })
    }
}

/// Reminders that became due and are to be told now, in one list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DueReminders {
    /// By the time they came; of more than [`DUE_MAX`] those that came last.
    pub items: Vec<Reminder>,
    /// How many more there are; they are due like these.
    pub more: usize,
}

/// When the reminder of an event comes, and how that stands. `None`: it has none, it is over, or done with.
fn judge(entry: Entry, put_off: Option<&ReminderRow>, now_ms: i64) -> Option<Reminder> {
    let details = &entry.event.details;
    // No minutes is no reminder; zero minutes is one at the start.
    let minutes = details.reminder_minutes?;
    if details.is_cancelled || details.response == Response::Declined {
        return None;
    }
    // What was put off before the event moved says nothing about its new time.
    let (due_ms, state, put_off_ms) = match put_off.filter(|row| row.start_ms == entry.event.start_ms) {
        Some(ReminderRow { until_ms: None, .. }) => return None,
        Some(ReminderRow { until_ms: Some(until_ms), .. }) => {
            let state = if *until_ms <= now_ms { ReminderState::Due } else { ReminderState::Snoozed };
            (*until_ms, state, Some(*until_ms))
        }
        None => {
            let lead_ms = i64::from(minutes).saturating_mul(60_000).min(LEAD_MS_MAX);
            let due_ms = entry.start_ms.saturating_sub(lead_ms);
            let is_over = entry.end_ms.max(entry.start_ms.saturating_add(SHORT_MS)) <= now_ms;
            match (due_ms <= now_ms, is_over) {
                (true, true) => return None,
                (true, false) => (due_ms, ReminderState::Due, None),
                (false, _) => (due_ms, ReminderState::Upcoming, None),
            }
        }
    };
    Some(Reminder { due_ms, state, entry, minutes, put_off_ms })
}

/// The reminders of the user's own calendars that are due, and those that come within `within_ms`, by the time they
/// come. `zone` says when the day of an all-day event begins.
///
/// # Errors
/// As every reading.
pub fn list(reader: &Reader, zone: &Zone, within_ms: i64, now_ms: i64) -> Result<Vec<Reminder>, MirrorError> {
    let to_ms = now_ms.saturating_add(within_ms);
    let window =
        Window { from_ms: now_ms.saturating_sub(SHORT_MS), to_ms: to_ms.saturating_add(LEAD_MS_MAX + 1) };
    let put_off: BTreeMap<Key, ReminderRow> =
        reader.reminders()?.into_iter().map(|row| (row.event, row)).collect();
    let midnight = |date_ms| zone.midnight_ms(date_ms);
    let user = reader.account()?.user;
    let calendars = reader.owned_calendars()?;
    let own: Vec<Key> = calendars
        .iter()
        .filter(|calendar| is_own(calendar, user.as_deref()))
        .map(|calendar| calendar.key)
        .collect();
    // No calendar named would be all of them.
    let events = if own.is_empty() { Vec::new() } else { reader.overlapping(window, &own)? };
    let mut entries: BTreeMap<Key, Entry> = agenda::overlapping(events, window, &midnight)
        .into_iter()
        .map(|entry| (entry.event.key, entry))
        .collect();
    // What was put off comes again, also when the event is over.
    for row in put_off.values().filter(|row| row.until_ms.is_some()) {
        if !entries.contains_key(&row.event)
            && let Some(event) = reader.event(row.event)?
        {
            entries.insert(row.event, agenda::place(event, &midnight));
        }
    }
    let mut found: Vec<Reminder> = entries
        .into_iter()
        .filter_map(|(key, entry)| judge(entry, put_off.get(&key), now_ms))
        .filter(|reminder| reminder.state == ReminderState::Due || reminder.due_ms <= to_ms)
        .collect();
    found.sort_by_key(|reminder| (reminder.due_ms, reminder.entry.start_ms, reminder.entry.event.key));
    Ok(found)
}

/// The reminders that became due and were not told yet. They are noted as told before this returns: who asks again
/// gets those that became due since.
///
/// # Errors
/// A mirror that cannot be read or written; then nothing was noted.
pub fn take_due(
    reader: &Reader,
    editor: &mut Editor,
    zone: &Zone,
    now_ms: i64,
) -> Result<DueReminders, MirrorError> {
    let due = untold(list(reader, zone, 0, now_ms)?, &reader.told_reminders()?);
    if due.is_empty() {
        return Ok(DueReminders::default());
    }
    let session = editor.begin(now_ms)?;
    // Somebody else may have told meanwhile.
    let mut items = untold(due, &session.told_reminders()?);
    let rows: Vec<ToldRow> = items.iter().map(Reminder::told).collect();
    session.put_told_reminders(&rows, now_ms)?;
    session.commit()?;
    let more = items.len().saturating_sub(DUE_MAX);
    items.drain(..more);
    Ok(DueReminders { items, more })
}

fn untold(reminders: Vec<Reminder>, told: &[ToldRow]) -> Vec<Reminder> {
    let told: BTreeMap<Key, ToldRow> = told.iter().map(|row| (row.event, *row)).collect();
    reminders
        .into_iter()
        .filter(|reminder| reminder.state == ReminderState::Due && !reminder.is_told(&told))
        .collect()
}

/// When to call [`take_due`] next: `now_ms` when one is due and not told, else when the next one comes. `None`: none
/// comes within a day; look again by then.
///
/// # Errors
/// As every reading.
pub fn next_due_ms(reader: &Reader, zone: &Zone, now_ms: i64) -> Result<Option<i64>, MirrorError> {
    let told: BTreeMap<Key, ToldRow> =
        reader.told_reminders()?.into_iter().map(|row| (row.event, row)).collect();
    let waiting = list(reader, zone, DAY_MS, now_ms)?;
    let next = waiting.iter().filter(|reminder| !reminder.is_told(&told)).map(|reminder| reminder.due_ms);
    Ok(next.min().map(|due_ms| due_ms.max(now_ms)))
}

#[cfg(test)]
#[path = "reminder_tests.rs"]
mod tests;
