//! Reminders: computed from the events and what the user put off, an occurrence at a time. Nothing is kept of those
//! that were never touched, so that a moved event moves its reminder.

use serde::Serialize;

use crate::api::act::SnoozeCall;
use crate::api::edit::target;
use crate::api::{Error, ErrorKind, ListAnswer, Look, Mirrors};
use crate::config::{Effective, parse_span};
use crate::edit::Refusal;
use crate::flow::look;
pub use crate::flow::reminder::ReminderState;
use crate::flow::reminder::{self, Reminder};
use crate::model::{EventRecord, Intent, Key, Window};
use crate::zones::{Zone, date_text};

/// How far `reminders` looks when nobody says.
const WITHIN_MS: i64 = 24 * 3_600_000;
/// The longest it looks: what is mirrored ends about there.
const WITHIN_MS_MAX: i64 = 400 * 24 * 3_600_000;
/// The longest that one is put off.
const SNOOZE_MS_MAX: i64 = 366 * 24 * 3_600_000;

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

impl ReminderItem {
    /// A reminder with times in `zone`.
    pub fn new(reminder: &Reminder, zone: &Zone) -> ReminderItem {
        let event = &reminder.entry.event;
        ReminderItem {
            event: event.key,
            due_at: Some(zone.rfc3339(reminder.due_ms)),
            state: reminder.state,
            subject: event.details.subject.clone(),
            start: start_text(zone, event.start_ms, event.details.is_all_day),
            location: event.details.location.clone(),
        }
    }
}

fn start_text(zone: &Zone, start_ms: i64, is_all_day: bool) -> String {
    if is_all_day { date_text(start_ms) } else { zone.rfc3339(start_ms) }
}

impl Look<'_> {
    /// The reminders that are due or come within `within_ms`, by the time they come.
    ///
    /// # Errors
    /// `Mirror` when it cannot be read.
    pub fn reminders(&self, within_ms: i64, is_due: bool) -> Result<ListAnswer<ReminderItem>, Error> {
        let to_ms = self.now_ms.saturating_add(within_ms);
        let mut items = Vec::new();
        let mut freshness = super::look::NEVER;
        if let Some(reader) = self.mirror {
            freshness = look::fresh(reader, &[], self.now_ms)?;
            let found = reminder::list(reader, self.zone, within_ms, self.now_ms)?;
            let asked = found.iter().filter(|found| !is_due || found.state == ReminderState::Due);
            items.extend(asked.map(|found| ReminderItem::new(found, self.zone)));
        }
        let asked = Window { from_ms: self.now_ms, to_ms };
        Ok(self.list(freshness, None, asked, items))
    }

    fn reminder_item(&self, event: Key, record: &EventRecord, until_ms: Option<i64>) -> ReminderItem {
        let details = record.details.as_deref();
        ReminderItem {
            event,
            due_at: self.maybe(until_ms),
            state: if until_ms.is_some() { ReminderState::Snoozed } else { ReminderState::Dismissed },
            subject: details.and_then(|details| details.subject.clone()),
            start: start_text(self.zone, record.start_ms, details.is_some_and(|details| details.is_all_day)),
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
