//! Records what a user wants of an event: read what is there, decide (`edit`, pure), write, say what is shown now.
//!
//! Everything is one transaction of [`Editor`], beside a running engine, without a network.

use crate::api::act::{AddCall, EditAnswer, EditCall, ForwardCall, RemoveCall, RespondCall};
use crate::api::wish::Reading;
use crate::api::{Error, ErrorKind, Event, Look, Mirrors};
use crate::config::{Effective, SourceKind};
use crate::edit::{self, Fold};
use crate::mirror::{CalendarChoice, Editor, NewEdit, Replacement, Session, TargetRow};
use crate::model::{
    Details, EditState, EventRecord, EventView, Fields, Intent, Key, OpenEdit, Pending, Response, Times,
};
use crate::zones::Zone;

/// Exchange gives a series that moves a new recurrence.
const SERIES_MOVES: &str =
    "occurrences that were changed or deleted by themselves follow the series again: the server resets them";

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Recorded {
    /// The edits that carry it.
    pub ns: Vec<i64>,
    /// How many people they mail.
    pub notifies: u32,
}

impl Mirrors {
    /// Records a new event.
    ///
    /// # Errors
    /// `Usage` for what cannot be read, `NotFound` for an unknown calendar, `Refused` with the rule that is broken,
    /// `Mirror` when it cannot be written.
    pub fn add(&self, account: &Effective, call: &AddCall) -> Result<EditAnswer, Error> {
        let zone = self.reading_zone(account, call.tz.as_deref())?;
        let fields = call.fields.for_new(Reading { zone: &zone, is_named: call.tz.is_some() })?;
        let wanted = call.calendar.as_deref().map(|text| self.calendar(account, text)).transpose()?;
        let now_ms = self.now_ms();
        let mut editor = self.writer(account)?;
        let session = editor.begin(now_ms)?;
        let calendar = choose(&session, wanted)?;
        let key = Key::from_bytes(self.entropy.bytes());
        let recorded = self.create(&session, key, &calendar, fields)?;
        session.commit()?;
        self.answer_edit(account, call.tz.as_deref(), key, None, recorded, Vec::new())
    }

    /// Records changes of an event, or moves it into another calendar.
    ///
    /// # Errors
    /// As [`Mirrors::add`]; `NotFound` for an unknown event.
    pub fn edit(&self, account: &Effective, call: &EditCall) -> Result<EditAnswer, Error> {
        let zone = self.reading_zone(account, call.tz.as_deref())?;
        let reading = Reading { zone: &zone, is_named: call.tz.is_some() };
        let named = self.key(account, &call.id)?;
        let wanted = call.calendar.as_deref().map(|text| self.calendar(account, text)).transpose()?;
        let mut editor = self.writer(account)?;
        let session = editor.begin(self.now_ms())?;
        let row = target(&session, named)?;
        let target = if call.is_series { series_of(&session, &row)? } else { row.clone() };
        let fields = call.fields.for_change(reading, &times_of(&row))?;
        let fields = match (&fields.times, target.key == row.key) {
            (Some(times), false) => {
                let moved = edit::shift(&times_of(&target), &times_of(&row), times, &self.zones);
                Fields { times: Some(moved), ..fields }
            }
            (Some(_), true) | (None, _) => fields,
        };
        let (key, recorded, warnings) = match wanted.filter(|wanted| *wanted != target.calendar.key) {
            None => {
                let is_series_move = target.is_series && fields.times.is_some();
                if is_series_move {
                    check_instances(&target)?;
                }
                // Naming the calendar where it is already changes nothing, and is no mistake.
                let is_nothing = call.calendar.is_some() && fields.is_empty();
                let recorded = if is_nothing {
                    Recorded::default()
                } else {
                    self.record(&session, &target, &Intent::Update(fields))?
                };
                let warnings = match is_series_move && !recorded.ns.is_empty() {
                    true => vec![SERIES_MOVES.to_owned()],
                    false => Vec::new(),
                };
                (named, recorded, warnings)
            }
            Some(wanted) => self.relocate(&session, &target, &choose(&session, Some(wanted))?, fields)?,
        };
        session.commit()?;
        let as_was = view_of(&row, Some(Pending::Update));
        self.answer_edit(account, call.tz.as_deref(), key, as_was, recorded, warnings)
    }

    /// Records that an event is to go; with a comment, that the meeting is called off.
    ///
    /// # Errors
    /// As [`Mirrors::edit`].
    pub fn remove(&self, account: &Effective, call: &RemoveCall) -> Result<EditAnswer, Error> {
        let intent = match &call.comment {
            None => Intent::Delete,
            Some(comment) => Intent::Cancel { comment: comment.clone() },
        };
        self.wish(account, &call.id, call.is_series, &intent)
    }

    /// Records an answer to an invitation.
    ///
    /// # Errors
    /// As [`Mirrors::edit`].
    pub fn respond(&self, account: &Effective, call: &RespondCall) -> Result<EditAnswer, Error> {
        let RespondCall { id, is_series, answer, comment, is_silent } = call;
        let intent = Intent::Respond { answer: *answer, comment: comment.clone(), is_silent: *is_silent };
        self.wish(account, id, *is_series, &intent)
    }

    /// Records that an invitation is to be sent on.
    ///
    /// # Errors
    /// As [`Mirrors::edit`].
    pub fn forward(&self, account: &Effective, call: &ForwardCall) -> Result<EditAnswer, Error> {
        let intent = Intent::Forward { to: call.to.clone(), comment: call.comment.clone() };
        self.wish(account, &call.id, call.is_series, &intent)
    }

    fn wish(
        &self,
        account: &Effective,
        id: &str,
        is_series: bool,
        intent: &Intent,
    ) -> Result<EditAnswer, Error> {
        let named = self.key(account, id)?;
        let mut editor = self.writer(account)?;
        let session = editor.begin(self.now_ms())?;
        let row = target(&session, named)?;
        let target = if is_series { series_of(&session, &row)? } else { row.clone() };
        let recorded = self.record(&session, &target, intent)?;
        session.commit()?;
        let as_was = view_of(&row, Some(intent.action().pending()));
        self.answer_edit(account, None, named, as_was, recorded, Vec::new())
    }

    /// Checks a wish, folds it with what is open and writes what that makes of it.
    pub(super) fn record(
        &self,
        session: &Session<'_>,
        target: &TargetRow,
        wish: &Intent,
    ) -> Result<Recorded, Error> {
        let about = edit::Target {
            calendar_can_edit: target.calendar.can_edit,
            record: target.shown.as_ref(),
            is_series: target.is_series,
        };
        edit::check(wish, &about, &self.zones, self.now_ms())?;
        let record = target.record.as_ref();
        let recorded = match edit::fold(target.key, &target.edits, wish, record)? {
            Fold::Append { intent, drop } => {
                session.drop_edits(&drop)?;
                let notifies = edit::notifies(&intent, record);
                let n = session.put(&NewEdit {
                    event: target.key,
                    series: target.series,
                    calendar: target.calendar.key,
                    calendar_remote: target.calendar.remote_id.clone(),
                    remote: target.remote.clone(),
                    fields: edit::names(&intent, record),
                    base: record.cloned().map(Box::new),
                    body: None,
                    transaction_id: None,
                    notifies,
                    intent,
                })?;
                Recorded { ns: vec![n], notifies }
            }
            Fold::Replace { n, intent } => {
                let notifies = edit::notifies(&intent, record);
                let base = target.edits.iter().find(|edit| edit.n == n).and_then(|edit| edit.base.as_deref());
                let fields = edit::names(&intent, base);
                session
                    .replace(n, &Replacement { intent: &intent, fields: &fields, notifies, body: None })?;
                Recorded { ns: vec![n], notifies }
            }
            Fold::Drop { ns } => {
                session.drop_edits(&ns)?;
                // What was there before and stays carries the event still.
                let left =
                    target.edits.iter().filter(|edit| edit.event == target.key && !ns.contains(&edit.n));
                let left: Vec<&OpenEdit> = left.collect();
                Recorded {
                    ns: left.iter().map(|edit| edit.n).collect(),
                    notifies: left.iter().map(|edit| edit.notifies).fold(0, u32::saturating_add),
                }
            }
        };
        session.redraw(target.key)?;
        Ok(recorded)
    }

    /// Records a new event under `key`.
    pub(super) fn create(
        &self,
        session: &Session<'_>,
        key: Key,
        calendar: &CalendarChoice,
        fields: Fields,
    ) -> Result<Recorded, Error> {
        let about = edit::Target { calendar_can_edit: calendar.can_edit, record: None, is_series: false };
        let intent = Intent::Create(fields);
        edit::check(&intent, &about, &self.zones, self.now_ms())?;
        let notifies = edit::notifies(&intent, None);
        let n = session.put(&NewEdit {
            event: key,
            series: None,
            calendar: calendar.key,
            calendar_remote: calendar.remote_id.clone(),
            remote: None,
            fields: edit::names(&intent, None),
            base: None,
            body: None,
            // Made now, not when it is sent: a create that is sent twice is one create.
            transaction_id: Some(Key::from_bytes(self.entropy.bytes()).to_string()),
            notifies,
            intent,
        })?;
        session.redraw(key)?;
        Ok(Recorded { ns: vec![n], notifies })
    }

    /// Into another calendar: a new event there, and once the server has it, the old one goes.
    fn relocate(
        &self,
        session: &Session<'_>,
        target: &TargetRow,
        calendar: &CalendarChoice,
        wish: Fields,
    ) -> Result<(Key, Recorded, Vec<String>), Error> {
        if target.is_series || target.series.is_some() {
            let text = "a series and its occurrences cannot move to another calendar: make a new event there";
            return Err(Error::broken("series_move", text));
        }
        let all = target.shown.as_ref().map(Fields::of).unwrap_or_default();
        let fields = wish.over(all);
        if let Some(create) = target.edits.iter().find(|edit| matches!(edit.intent, Intent::Create(_))) {
            if create.state == EditState::Sending || create.attempts > 0 {
                let text = "the server is about to get this event: sync first, then move it";
                return Err(Error::broken("being_created", text));
            }
            let following = session.following(create.n)?;
            let mut ns: Vec<i64> = target.edits.iter().map(|edit| edit.n).collect();
            // Back where its original is still: nothing moves, and nobody is mailed about it.
            if let [origin] = following.as_slice()
                && origin.calendar == calendar.key
            {
                ns.push(origin.n);
                session.drop_edits(&ns)?;
                session.redraw(target.key)?;
                session.redraw(origin.event)?;
                let original = self::target(session, origin.event)?;
                let recorded = self.record(session, &original, &Intent::Update(fields))?;
                return Ok((origin.event, recorded, Vec::new()));
            }
            session.drop_edits(&ns)?;
            let recorded = self.create(session, target.key, calendar, fields)?;
            // The original of a copy goes only after the copy's new create.
            for (edit, n) in following.iter().zip(recorded.ns.iter().cycle()) {
                session.follow(edit.n, *n)?;
            }
            return Ok((target.key, recorded, Vec::new()));
        }
        let details = target.shown.as_ref().and_then(|record| record.details.as_deref());
        if details.is_some_and(|details| !is_own(details)) {
            let text =
                "an invitation stays in the calendar it came to: only the organizer can move the meeting";
            return Err(Error::broken("not_organizer", text));
        }
        let key = Key::from_bytes(self.entropy.bytes());
        let created = self.create(session, key, calendar, fields)?;
        let deleted = self.record(session, target, &Intent::Delete)?;
        // A copy that the server refuses must not cost the original.
        if let (Some(after), Some(n)) = (created.ns.first(), deleted.ns.first()) {
            session.follow(*n, *after)?;
        }
        let mut warnings = Vec::new();
        if details.is_some_and(|details| !details.attendees.is_empty()) {
            warnings.push(
                "everybody invited gets a cancellation and a new invitation: to the server a move is a new meeting"
                    .to_owned(),
            );
        }
        if details.is_some_and(|details| details.online_meeting.is_some()) {
            warnings.push("the address to join online does not come along".to_owned());
        }
        if details.and_then(|details| details.body_preview.as_ref()).is_some() {
            warnings.push("of the body the first 32,768 characters of text come along, formatting and attachments do not".to_owned());
        }
        let ns = [created.ns, deleted.ns].concat();
        let notifies = created.notifies.saturating_add(deleted.notifies);
        Ok((key, Recorded { ns, notifies }, warnings))
    }

    /// The event as it is shown after the edit; one that is no longer shown as it was.
    fn answer_edit(
        &self,
        account: &Effective,
        tz: Option<&str>,
        key: Key,
        as_was: Option<EventView>,
        recorded: Recorded,
        mut warnings: Vec<String>,
    ) -> Result<EditAnswer, Error> {
        let event = self.with_look(account, tz, |look| shown_or(look, key, as_was))?;
        let Recorded { ns: outbox, notifies } = recorded;
        if notifies > 0 {
            let people = if notifies == 1 { "person" } else { "people" };
            warnings.insert(0, format!("{notifies} {people} will be mailed when this is sent"));
        }
        Ok(EditAnswer { event, outbox, notifies, warnings })
    }

    /// Opens the account's mirror for edits that are to be sent.
    fn writer(&self, account: &Effective) -> Result<Editor, Error> {
        match account.source.value {
            SourceKind::Microsoft365 => self.editor(account),
            SourceKind::Exchange | SourceKind::Icalendar | SourceKind::Feed => Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "account `{}`: this version changes nothing at a source `{}`; nothing was recorded",
                    account.name,
                    account.source.value.code()
                ),
            )),
        }
    }

    /// Opens the account's mirror for edits.
    pub(super) fn editor(&self, account: &Effective) -> Result<Editor, Error> {
        Ok(Editor::open(&self.mirror_path(&account.name))?.with_zones(self.zones.clone()))
    }

    /// The id that a user means.
    pub(super) fn key(&self, account: &Effective, id: &str) -> Result<Key, Error> {
        match id.trim().parse::<Key>() {
            // Whole: also a series, or what is no longer shown.
            Ok(key) => self
                .with_look(account, None, |look| if look.mirror.is_some() { Ok(key) } else { look.key(id) }),
            Err(_) => self.with_look(account, None, |look| look.key(id)),
        }
    }

    fn reading_zone(&self, account: &Effective, tz: Option<&str>) -> Result<Zone, Error> {
        match tz {
            None => Ok(self.zone(account)),
            Some(text) => self.zones.resolve(text).ok_or_else(|| edit::Refusal::UnknownZone.into()),
        }
    }
}

fn shown_or(look: &Look<'_>, key: Key, as_was: Option<EventView>) -> Result<Event, Error> {
    match (look.show(&key.to_string()), as_was) {
        (Ok(event), _) => Ok(event),
        (Err(error), Some(view)) if error.kind() == ErrorKind::NotFound => Ok(look.view(view)),
        (Err(error), _) => Err(error),
    }
}

/// What an act is about.
pub(super) fn target(session: &Session<'_>, key: Key) -> Result<TargetRow, Error> {
    session.target(key)?.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no event with this id"))
}

fn series_of(session: &Session<'_>, row: &TargetRow) -> Result<TargetRow, Error> {
    match (row.is_series, row.series) {
        (true, _) => Ok(row.clone()),
        (false, Some(series)) => target(session, series),
        (false, None) => Err(Error::broken("no_series", "this event does not repeat: leave out --series")),
    }
}

/// A server that moves a series forgets what was changed or deleted of single occurrences: what is not even sent yet
/// would be lost without a trace.
fn check_instances(series: &TargetRow) -> Result<(), Error> {
    let is_own = |edit: &&OpenEdit| {
        edit.series == Some(series.key) && matches!(edit.intent, Intent::Update(_) | Intent::Delete)
    };
    match series.edits.iter().find(is_own) {
        None => Ok(()),
        Some(edit) => Err(Error::broken(
            "series_has_edits",
            format!(
                "edit {} changes one occurrence, and the server resets those when the time of their series changes: \
                 move the series first, after `calmirror outbox discard {}`",
                edit.n, edit.n
            ),
        )),
    }
}

pub(super) fn choose(session: &Session<'_>, key: Option<Key>) -> Result<CalendarChoice, Error> {
    session.calendar(key)?.ok_or_else(|| match key {
        Some(_) => {
            Error::new(ErrorKind::NotFound, "there is no such calendar; `calmirror status` lists them")
        }
        None => Error::broken("no_calendar", "the mailbox has no default calendar: name one with --calendar"),
    })
}

/// When the event is shown to be.
fn times_of(row: &TargetRow) -> Times {
    let fields = row.shown.as_ref().or(row.record.as_ref()).map(Fields::of).unwrap_or_default();
    fields.times.unwrap_or(Times { start_ms: 0, end_ms: 0, is_all_day: false, zone: None })
}

/// Whether nobody else organizes it.
pub(super) fn is_own(details: &Details) -> bool {
    details.is_organizer || details.response == Response::Organizer || details.organizer.is_none()
}

/// The event as it was shown before the edit.
pub(super) fn view_of(row: &TargetRow, pending: Option<Pending>) -> Option<EventView> {
    let record: &EventRecord = row.shown.as_ref().or(row.record.as_ref())?;
    Some(EventView {
        key: row.key,
        calendar: row.calendar.key,
        kind: record.kind,
        series: row.series,
        remote_id: row.remote.clone(),
        change_key: record.change_key.clone(),
        start_ms: record.start_ms,
        end_ms: record.end_ms,
        details: record.details.clone()?,
        is_unconfirmed: false,
        pending,
        is_in_conflict: false,
    })
}
