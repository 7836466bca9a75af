//! Reminders: computed from the events and what the user put off, an occurrence at a time. Nothing is kept of those
//! that were never touched, so that a moved event moves its reminder.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::agenda::{self, Entry};
use crate::api::act::SnoozeCall;
use crate::api::edit::target;
use crate::api::{Error, ErrorKind, ListAnswer, Look, Mirrors};
use crate::config::{Effective, parse_span};
use crate::edit::Refusal;
use crate::flow::look;
use crate::mirror::ReminderRow;
use crate::model::coded::coded;
use crate::model::{EventRecord, Intent, Key, Response, Window};
use crate::zones::date_text;

/// How far `reminders` looks when nobody says.
const WITHIN_MS: i64 = 24 * 3_600_000;
/// The longest it looks: what is mirrored ends about there.
const WITHIN_MS_MAX: i64 = 400 * 24 * 3_600_000;
/// The earliest a reminder comes before its event: four weeks, as Outlook has it.
const LEAD_MS_MAX: i64 = 28 * 24 * 3_600_000;
/// The longest that one is put off.
const SNOOZE_MS_MAX: i64 = 366 * 24 * 3_600_000;

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
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ReminderItem {
    /// The local id of the event.
    pub event: Key,
    /// When it comes, or came; null when it is done with.
    pub due_at: Option<String>,
    /// due, snoozed, upcoming; dismissed only in the answer to that.
    pub state: ReminderState,
    /// The event's subject.
    pub subject: Option<String>,
    /// The event's start: a timestamp, or the first day of an all-day event.
    pub start: String,
    /// The event's place.
    pub location: Option<String>,
}

/// Which reminders; every text as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemindersCall {
    /// Only those that are due.
    pub is_due: bool,
    /// Those that come within this time, as `"2h"`; else within a day.
    pub within: Option<String>,
    /// The zone to answer in.
    pub tz: Option<String>,
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

impl Look<'_> {
    /// The reminders that are due or come within `within_ms`, by the time they come.
    ///
    /// # Errors
    /// `Mirror` when it cannot be read.
    pub fn reminders(&self, within_ms: i64, is_due: bool) -> Result<ListAnswer<ReminderItem>, Error> {
        let to_ms = self.now_ms.saturating_add(within_ms);
        let window = Window { from_ms: self.now_ms, to_ms: to_ms.saturating_add(LEAD_MS_MAX) };
        let mut found: Vec<(i64, ReminderState, Entry)> = Vec::new();
        let mut freshness = super::look::NEVER;
        if let Some(reader) = self.mirror {
            freshness = look::fresh(reader, &[], self.now_ms)?;
            let put_off: BTreeMap<Key, ReminderRow> =
                reader.reminders()?.into_iter().map(|row| (row.event, row)).collect();
            let midnight = |date_ms| self.zone.midnight_ms(date_ms);
            let mut entries = agenda::overlapping(reader.overlapping(window, &[])?, window, &midnight);
            // What was put off comes again, also when the event is over.
            for row in put_off.values().filter(|row| row.until_ms.is_some()) {
                if !entries.iter().any(|entry| entry.event.key == row.event)
                    && let Some(event) = reader.event(row.event)?
                {
                    entries.push(agenda::place(event, &midnight));
                }
            }
            for entry in entries {
                if let Some((due_ms, state)) = judge(&entry, put_off.get(&entry.event.key), self.now_ms)
                    && (state == ReminderState::Due || (!is_due && due_ms <= to_ms))
                {
                    found.push((due_ms, state, entry));
                }
            }
        }
        found.sort_by_key(|(due_ms, _, entry)| (*due_ms, entry.start_ms, entry.event.key));
        let asked = Window { from_ms: self.now_ms, to_ms };
        let items = found.into_iter().map(|(due_ms, state, entry)| ReminderItem {
            event: entry.event.key,
            due_at: Some(self.text(due_ms)),
            state,
            start: self.start_text(entry.event.start_ms, entry.event.details.is_all_day),
            subject: entry.event.details.subject,
            location: entry.event.details.location,
        });
        Ok(self.list(freshness, None, asked, items.collect()))
    }

    fn start_text(&self, start_ms: i64, is_all_day: bool) -> String {
        if is_all_day { date_text(start_ms) } else { self.text(start_ms) }
    }

    fn reminder_item(&self, event: Key, record: &EventRecord, until_ms: Option<i64>) -> ReminderItem {
        let details = record.details.as_deref();
        ReminderItem {
            event,
            due_at: self.maybe(until_ms),
            state: if until_ms.is_some() { ReminderState::Snoozed } else { ReminderState::Dismissed },
            subject: details.and_then(|details| details.subject.clone()),
            start: self.start_text(record.start_ms, details.is_some_and(|details| details.is_all_day)),
            location: details.and_then(|details| details.location.clone()),
        }
    }
}

impl Mirrors {
    /// The reminders.
    ///
    /// # Errors
    /// `Usage` for an unreadable span or zone, `Mirror`.
    pub fn reminders(
        &self,
        account: &Effective,
        call: &RemindersCall,
    ) -> Result<ListAnswer<ReminderItem>, Error> {
        let within_ms = match &call.within {
            Some(text) => span_ms(text, "within", WITHIN_MS_MAX)?,
            None => WITHIN_MS,
        };
        self.with_look(account, call.tz.as_deref(), |look| look.reminders(within_ms, call.is_due))
    }

    /// Puts a reminder off, from now on.
    ///
    /// # Errors
    /// `Usage` for an unreadable span, `NotFound`, `Refused` for an event without a reminder, `Mirror`.
    pub fn snooze(&self, account: &Effective, call: &SnoozeCall) -> Result<ReminderItem, Error> {
        let span_ms = span_ms(&call.span, "for", SNOOZE_MS_MAX)?;
        let until_ms = self.now_ms().saturating_add(span_ms);
        self.put_off(account, &call.id, Some(until_ms))
    }

    /// Ends the reminder of an event or occurrence.
    ///
    /// # Errors
    /// As [`Mirrors::snooze`].
    pub fn dismiss(&self, account: &Effective, id: &str) -> Result<ReminderItem, Error> {
        self.put_off(account, id, None)
    }

    /// Here first, and at once; the server hears of it where it takes it.
    fn put_off(&self, account: &Effective, id: &str, until_ms: Option<i64>) -> Result<ReminderItem, Error> {
        let key = self.key(account, id)?;
        let now_ms = self.now_ms();
        let mut editor = self.editor(account)?;
        let session = editor.begin(now_ms)?;
        let row = target(&session, key)?;
        let Some(record) = row.shown.as_ref().or(row.record.as_ref()).filter(|_| !row.is_series) else {
            let text = "a series has no reminder of its own: name one of its occurrences";
            return Err(Error::broken("no_reminder", text));
        };
        if record.details.as_deref().is_none_or(|details| details.reminder_minutes.is_none()) {
            let text = "this event has no reminder; `calmirror edit ID --reminder MIN` sets one";
            return Err(Error::broken("no_reminder", text));
        }
        session.put_reminder(key, record.start_ms, until_ms)?;
        let wish = match until_ms {
            Some(until_ms) => Intent::Snooze { until_ms },
            None => Intent::Dismiss,
        };
        match self.record(&session, &row, &wish) {
            Ok(_) => {}
            // The server does not take it: it stays a matter of this machine.
            Err(error) if error.rule() == Some(Refusal::ReadOnlyCalendar.kind()) => {}
            Err(error) if error.rule() == Some(Refusal::InConflict { n: 0 }.kind()) => {}
            Err(error) => return Err(error),
        }
        session.commit()?;
        self.with_look(account, None, |look| Ok(look.reminder_item(key, record, until_ms)))
    }
}

fn span_ms(text: &str, name: &str, max_ms: i64) -> Result<i64, Error> {
    let span = parse_span(text).map_err(|error| Error::new(ErrorKind::Usage, format!("`{name}` {error}")))?;
    let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    if (1..=max_ms).contains(&ms) {
        return Ok(ms);
    }
    let days = max_ms / crate::model::DAY_MS;
    Err(Error::new(ErrorKind::Usage, format!("`{name}` must be more than nothing and at most {days} days")))
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
