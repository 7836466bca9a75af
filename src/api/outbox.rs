//! The outbox in contract form, and what a user decides about an edit.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::api::{Error, ErrorKind, Look, Mirrors};
use crate::config::Effective;
use crate::mirror::{Reader, Session};
use crate::model::{EditState, EventRecord, Fields, Intent, Invitee, Keep, Key, OpenEdit, Reminder, Times};
use crate::zones::{Zone, date_text};

/// One edit that the server does not have.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct OutboxItem {
    /// Its number.
    pub n: i64,
    /// The local id of its event.
    pub event: Key,
    /// create, update, delete or respond.
    pub op: &'static str,
    /// The act itself: create, update, delete, cancel, respond, forward, snooze or dismiss.
    pub action: &'static str,
    /// The members of the Event object that it changes.
    pub fields: Vec<&'static str>,
    /// waiting, sending or parked.
    pub state: EditState,
    /// Tries that reached the server.
    pub attempts: u32,
    /// Not before this; null: as soon as possible.
    pub next_attempt_at: Option<String>,
    /// Why it was not taken yet.
    pub last_problem: Option<ProblemAnswer>,
    /// How many people the server will mail.
    pub notifies: u32,
    /// When the wish was recorded first.
    pub created_at: String,
    /// The event's subject, as it is to be.
    pub subject: Option<String>,
    /// Its start as it is to be: a timestamp, or the first day of an all-day event.
    pub start: Option<String>,
    /// What the fields are to say: only in the answer to `outbox show`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Map<String, Value>>,
}

/// Why an edit was not taken.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProblemAnswer {
    /// The stable kind: as in `last_error`, or `conflict`, `unclear`, `needs_confirmation`, `too_old`.
    pub kind: String,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The server's code.
    pub code: Option<String>,
    /// When.
    pub at: String,
}

impl Look<'_> {
    /// The edits that wait, by number.
    ///
    /// # Errors
    /// `Mirror` when it cannot be read.
    pub fn outbox(&self) -> Result<Vec<OutboxItem>, Error> {
        let Some(reader) = self.mirror else { return Ok(Vec::new()) };
        reader.outbox()?.iter().map(|edit| self.outbox_item(reader, edit, false)).collect()
    }

    /// One edit, with what it wants.
    ///
    /// # Errors
    /// `NotFound`; `Mirror` when it cannot be read.
    pub fn outbox_edit(&self, n: i64) -> Result<OutboxItem, Error> {
        let reader = self.mirror.ok_or_else(|| no_edit(n))?;
        let edit = reader.edit(n)?.ok_or_else(|| no_edit(n))?;
        self.outbox_item(reader, &edit, true)
    }

    fn outbox_item(&self, reader: &Reader, edit: &OpenEdit, is_whole: bool) -> Result<OutboxItem, Error> {
        let action = edit.intent.action();
        let base = edit.base.as_deref();
        let fields = crate::edit::names(&edit.intent, base);
        let said = match &edit.intent {
            Intent::Create(fields) | Intent::Update(fields) => fields.clone(),
            Intent::Delete
            | Intent::Cancel { .. }
            | Intent::Respond { .. }
            | Intent::Forward { .. }
            | Intent::Snooze { .. }
            | Intent::Dismiss => Fields::default(),
        };
        let mut all = said.over(base.map(Fields::of).unwrap_or_default());
        if all.times.is_none()
            && let Some(event) = reader.event(edit.event)?
        {
            // Of an edit behind a create only the agenda knows what it is about.
            all.times = Some(Times {
                start_ms: event.start_ms,
                end_ms: event.end_ms,
                is_all_day: event.details.is_all_day,
                zone: None,
            });
            all.subject = event.details.subject;
        }
        Ok(OutboxItem {
            n: edit.n,
            event: edit.event,
            op: action.pending().code(),
            action: action.code(),
            state: edit.state,
            attempts: edit.attempts,
            next_attempt_at: self.maybe(edit.next_attempt_ms),
            last_problem: edit.problem.as_ref().map(|problem| ProblemAnswer {
                kind: problem.kind.clone(),
                status: problem.status,
                code: problem.code.clone(),
                at: self.text(problem.at_ms),
            }),
            notifies: edit.notifies,
            created_at: self.text(edit.created_at_ms),
            subject: all.subject.filter(|subject| !subject.is_empty()),
            start: all.times.as_ref().map(|times| match times.is_all_day {
                true => date_text(times.start_ms),
                false => self.text(times.start_ms),
            }),
            wanted: is_whole.then(|| wanted(&edit.intent, &fields, self.zone)),
            fields,
        })
    }
}

impl Mirrors {
    /// The edits that wait.
    ///
    /// # Errors
    /// `Mirror`.
    pub fn outbox(&self, account: &Effective) -> Result<Vec<OutboxItem>, Error> {
        self.with_look(account, None, |look| look.outbox())
    }

    /// One edit.
    ///
    /// # Errors
    /// `NotFound`, `Mirror`.
    pub fn outbox_edit(&self, account: &Effective, n: i64) -> Result<OutboxItem, Error> {
        self.with_look(account, None, |look| look.outbox_edit(n))
    }

    /// Makes an edit due now, and confirms the mail that it was held for.
    ///
    /// # Errors
    /// `NotFound`; `Refused` when it is in conflict; `Mirror`.
    pub fn retry_edit(&self, account: &Effective, n: i64) -> Result<OutboxItem, Error> {
        // Also says that there is none.
        self.outbox_edit(account, n)?;
        let mut editor = self.editor(account)?;
        let session = editor.begin(self.now_ms())?;
        let edit = session.edit(n)?.ok_or_else(|| no_edit(n))?;
        if !session.retry(n)? {
            return Err(crate::edit::Refusal::InConflict { n }.into());
        }
        session.redraw(edit.event)?;
        session.commit()?;
        self.outbox_edit(account, n)
    }

    /// Drops an edit, what was to follow it, and, with a create, every later edit of that event. The event shows the
    /// server's version again.
    ///
    /// # Errors
    /// `NotFound`, `Mirror`.
    pub fn discard_edit(&self, account: &Effective, n: i64) -> Result<OutboxItem, Error> {
        let item = self.outbox_edit(account, n)?;
        let mut editor = self.editor(account)?;
        let session = editor.begin(self.now_ms())?;
        let edit = session.edit(n)?.ok_or_else(|| no_edit(n))?;
        for conflict in session.conflicts()? {
            if conflict.outbox_n == Some(n) && conflict.resolution.is_none() {
                session.set_resolution(conflict.n, Keep::Theirs)?;
            }
        }
        drop_edit(&session, &edit)?;
        session.commit()?;
        Ok(item)
    }
}

/// Drops an edit with what cannot be without it.
pub(super) fn drop_edit(session: &Session<'_>, edit: &OpenEdit) -> Result<(), Error> {
    let mut doomed = vec![edit.clone()];
    doomed.extend(session.following(edit.n)?);
    if matches!(edit.intent, Intent::Create(_)) && edit.remote.is_none() {
        let edits = session.target(edit.event)?.map(|row| row.edits).unwrap_or_default();
        doomed.extend(edits.into_iter().filter(|other| other.event == edit.event && other.n != edit.n));
    }
    let ns: Vec<i64> = doomed.iter().map(|edit| edit.n).collect();
    session.drop_edits(&ns)?;
    let mut events: Vec<Key> = doomed.iter().map(|edit| edit.event).collect();
    events.sort();
    events.dedup();
    for event in events {
        session.redraw(event)?;
    }
    Ok(())
}

fn no_edit(n: i64) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("the outbox has no edit {n}: it was sent, discarded or folded into another"),
    )
}

/// What an edit wants, as members of the Event object and of the calls.
fn wanted(intent: &Intent, fields: &[&'static str], zone: &Zone) -> Map<String, Value> {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    match intent {
        Intent::Create(said) | Intent::Update(said) => {
            for (name, value) in members_of(said, zone) {
                let field = match name {
                    "start_date" => "start",
                    "end_date" => "end",
                    other => other,
                };
                if fields.contains(&field) {
                    put(name, value);
                }
            }
        }
        Intent::Cancel { comment } => put("comment", Value::from(comment.clone())),
        Intent::Respond { answer, comment, is_silent } => {
            put("response", Value::from(answer.code()));
            put("comment", Value::from(comment.clone()));
            put("silent", Value::from(*is_silent));
        }
        Intent::Forward { to, comment } => {
            put("to", serde_json::to_value(to).unwrap_or_default());
            put("comment", Value::from(comment.clone()));
        }
        Intent::Snooze { until_ms } => put("until", Value::from(zone.rfc3339(*until_ms))),
        Intent::Delete | Intent::Dismiss => {}
    }
    members
}

/// Fields as members of the Event object.
pub(super) fn members_of(fields: &Fields, zone: &Zone) -> Vec<(&'static str, Value)> {
    let text = |text: &String| if text.is_empty() { Value::Null } else { Value::from(text.clone()) };
    let mut members: Vec<(&'static str, Value)> = Vec::new();
    let mut put = |name, value: Option<Value>| {
        if let Some(value) = value {
            members.push((name, value));
        }
    };
    put("subject", fields.subject.as_ref().map(text));
    put("body", fields.body.as_ref().map(text));
    put("location", fields.location.as_ref().map(text));
    if let Some(Times { start_ms, end_ms, is_all_day, .. }) = &fields.times {
        put("all_day", Some(Value::from(*is_all_day)));
        if *is_all_day {
            put("start_date", Some(Value::from(date_text(*start_ms))));
            put("end_date", Some(Value::from(date_text(*end_ms))));
        } else {
            put("start", Some(Value::from(zone.rfc3339(*start_ms))));
            put("end", Some(Value::from(zone.rfc3339(*end_ms))));
        }
    }
    put("show_as", fields.show_as.map(|value| Value::from(value.code())));
    put("sensitivity", fields.sensitivity.map(|value| Value::from(value.code())));
    put("importance", fields.importance.map(|value| Value::from(value.code())));
    put("categories", fields.categories.as_ref().map(|all| Value::from(all.clone())));
    put("attendees", fields.attendees.as_ref().map(|all| all.iter().map(invitee).collect()));
    put(
        "reminder_minutes",
        fields.reminder.map(|reminder| match reminder {
            Reminder::Off => Value::Null,
            Reminder::Minutes(minutes) => Value::from(minutes),
        }),
    );
    members
}

fn invitee(invitee: &Invitee) -> Value {
    let Invitee { person, kind } = invitee;
    serde_json::json!({"name": person.name, "address": person.address, "type": kind.code()})
}

/// The fields of a row.
pub(super) fn fields_of(record: Option<&EventRecord>) -> Fields {
    record.map(Fields::of).unwrap_or_default()
}
