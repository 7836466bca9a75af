//! Conflicts in contract form, and their decisions.
//!
//! A conflict keeps base, mine and theirs for good, so that a decision, also the one that the policy took, can be
//! taken back later: what is to stay is then wished anew, like any other edit.

use serde::Serialize;
use serde_json::Value;

use crate::api::act::ResolveCall;
use crate::api::edit::{choose, is_own};
use crate::api::outbox::{drop_edit, fields_of};
use crate::api::{Error, ErrorKind, Look, Mirrors};
use crate::config::Effective;
use crate::mirror::{ClashRow, ConflictRow, Session};
use crate::model::{Attendee, ConflictKind, EventRecord, Fields, Intent, Keep, Key, OpenEdit, Response};
use crate::zones::Zone;

/// What two sides did to one event.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ConflictItem {
    /// Its number.
    pub n: i64,
    /// The local id of the event.
    pub event: Key,
    /// The members of the Event object that both changed.
    pub fields: Vec<ConflictField>,
    /// both_changed, deleted_there or deleted_here.
    pub kind: ConflictKind,
    /// Which version stays; null while nobody has decided.
    pub resolution: Option<Keep>,
    /// When it was found.
    pub at: String,
    /// The event's subject.
    pub subject: Option<String>,
    /// The number of the edit that waits for the decision.
    pub outbox: Option<i64>,
}

/// One field of a conflict. Values are those of the Event object.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ConflictField {
    /// The member's name.
    pub name: String,
    /// What it was when the edit was made.
    pub base: Value,
    /// What it is to be.
    pub mine: Value,
    /// What the server has.
    pub theirs: Value,
}

impl Look<'_> {
    /// The conflicts, the open ones first, then the newest.
    ///
    /// # Errors
    /// `Mirror` when it cannot be read.
    pub fn conflicts(&self) -> Result<Vec<ConflictItem>, Error> {
        let Some(reader) = self.mirror else { return Ok(Vec::new()) };
        let mut rows = reader.conflicts()?;
        rows.sort_by_key(|row| (row.resolution.is_some(), std::cmp::Reverse(row.n)));
        Ok(rows.into_iter().map(|row| self.conflict_item(row)).collect())
    }

    /// One conflict.
    ///
    /// # Errors
    /// `NotFound`; `Mirror` when it cannot be read.
    pub fn conflict(&self, n: i64) -> Result<ConflictItem, Error> {
        let row = match self.mirror {
            Some(reader) => reader.conflict(n)?,
            None => None,
        };
        Ok(self.conflict_item(row.ok_or_else(|| no_conflict(n))?))
    }

    fn conflict_item(&self, row: ConflictRow) -> ConflictItem {
        let attendees = |record: &Option<Box<EventRecord>>| {
            let details = record.as_deref().and_then(|record| record.details.as_deref());
            details.map(|details| details.attendees.clone()).unwrap_or_default()
        };
        let (base, theirs) = (attendees(&row.base), attendees(&row.theirs));
        let mut fields: Vec<ConflictField> =
            row.clashes.into_iter().flat_map(|clash| members(clash, self.zone)).collect();
        for field in fields.iter_mut().filter(|field| field.name == "attendees") {
            add_responses(&mut field.base, &base);
            add_responses(&mut field.mine, &theirs);
            add_responses(&mut field.theirs, &theirs);
        }
        let of = |record: &Option<Box<EventRecord>>| {
            record.as_deref().and_then(|record| record.details.as_deref()?.subject.clone())
        };
        ConflictItem {
            n: row.n,
            event: row.event,
            kind: row.kind,
            resolution: row.resolution,
            at: self.text(row.at_ms),
            subject: of(&row.theirs).or_else(|| of(&row.base)),
            outbox: row.outbox_n,
            fields,
        }
    }
}

/// A clash as members of the Event object: of an all-day event `start` is null and `start_date` says it, so that a time
/// that one side made whole days of is two members.
fn members(clash: ClashRow, zone: &Zone) -> Vec<ConflictField> {
    let ClashRow { name, base, mine, theirs } = clash;
    let as_date = match name.as_str() {
        "start" => "start_date",
        "end" => "end_date",
        _ => {
            let [base, mine, theirs] = [base, mine, theirs].map(|value| in_zone(value, zone));
            return vec![ConflictField { name, base, mine, theirs }];
        }
    };
    let member = |name: &str, is_date: bool| {
        let [base, mine, theirs] = [&base, &mine, &theirs].map(|value| match value.is_string() == is_date {
            true => in_zone(value.clone(), zone),
            false => Value::Null,
        });
        let is_said = [&base, &mine, &theirs].iter().any(|value| !value.is_null());
        is_said.then(|| ConflictField { name: name.to_owned(), base, mine, theirs })
    };
    [member(&name, false), member(as_date, true)].into_iter().flatten().collect()
}

/// An instant is kept as `{"ms": …}`, because nobody knows in which zone it will be shown.
fn in_zone(value: Value, zone: &Zone) -> Value {
    match value.get("ms").and_then(Value::as_i64) {
        Some(ms) => Value::from(zone.rfc3339(ms)),
        None => value,
    }
}

/// Makes invitees attendees of the Event object: with what is `known` of each one's answer.
fn add_responses(invitees: &mut Value, known: &[Attendee]) {
    for invitee in invitees.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        let address = invitee.get("address").and_then(Value::as_str).unwrap_or_default();
        let is_same = |attendee: &&Attendee| {
            attendee.person.address.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(address))
        };
        let found = known.iter().find(is_same);
        let response = found.map_or(Response::None, |attendee| attendee.response);
        invitee.insert("response".to_owned(), serde_json::json!(response));
    }
}

fn no_conflict(n: i64) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no conflict {n}"))
}

/// What a decision does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// Nothing: it is so already.
    Nothing,
    /// The parked edit is sent over what they did.
    Send,
    /// The parked edit goes.
    Drop,
    /// Mine is made a new event; the parked edit goes.
    CreateMine,
    /// Mine is wished once more, over what is there now.
    WishMine,
    /// Theirs is wished, over what is there now.
    WishTheirs,
    /// Theirs is wished, and mine is made a new event.
    WishTheirsCreateMine,
}

/// What is to be done to keep a version: a total table over what happened, what was decided before and what is wished.
fn decide(kind: ConflictKind, before: Option<Keep>, keep: Keep) -> Decision {
    use ConflictKind::{BothChanged, DeletedHere, DeletedThere};
    if before == Some(keep) {
        return Decision::Nothing;
    }
    match (kind, before, keep) {
        (_, None, Keep::Theirs) => Decision::Drop,
        (BothChanged | DeletedHere, None, Keep::Mine) => Decision::Send,
        (BothChanged, None, Keep::Both) => Decision::CreateMine,
        // Nothing of theirs is left to keep beside it.
        (DeletedThere, None, Keep::Mine | Keep::Both) => Decision::CreateMine,
        // Mine is nothing: what is left of both is theirs.
        (DeletedHere, None, Keep::Both) => Decision::Drop,
        (BothChanged, Some(Keep::Theirs), Keep::Mine) => Decision::WishMine,
        (BothChanged, Some(Keep::Theirs), Keep::Both) => Decision::CreateMine,
        (BothChanged, Some(Keep::Mine), Keep::Theirs) => Decision::WishTheirs,
        (BothChanged, Some(Keep::Mine), Keep::Both) => Decision::WishTheirsCreateMine,
        (DeletedThere, Some(Keep::Theirs), Keep::Mine | Keep::Both) => Decision::CreateMine,
        (DeletedHere, Some(Keep::Theirs), Keep::Mine) => Decision::WishMine,
        (DeletedHere, Some(Keep::Theirs), Keep::Both) => Decision::Nothing,
        // What was made or deleted then has a life of its own by now.
        (DeletedThere | DeletedHere, Some(Keep::Mine), Keep::Theirs | Keep::Both) => Decision::Nothing,
        (_, Some(Keep::Both), Keep::Mine | Keep::Theirs) => Decision::Nothing,
        (_, Some(Keep::Theirs), Keep::Theirs) | (_, Some(Keep::Mine), Keep::Mine) => Decision::Nothing,
        (_, Some(Keep::Both), Keep::Both) => Decision::Nothing,
    }
}

impl Mirrors {
    /// The conflicts.
    ///
    /// # Errors
    /// `Mirror`.
    pub fn conflicts(&self, account: &Effective) -> Result<Vec<ConflictItem>, Error> {
        self.with_look(account, None, |look| look.conflicts())
    }

    /// One conflict.
    ///
    /// # Errors
    /// `NotFound`, `Mirror`.
    pub fn conflict(&self, account: &Effective, n: i64) -> Result<ConflictItem, Error> {
        self.with_look(account, None, |look| look.conflict(n))
    }

    /// Decides a conflict, or decides it otherwise than before.
    ///
    /// # Errors
    /// `NotFound`; `Refused` when what was decided cannot be undone, or the wish breaks a rule by now; `Mirror`.
    pub fn resolve_conflict(&self, account: &Effective, call: ResolveCall) -> Result<ConflictItem, Error> {
        self.conflict(account, call.n)?;
        let mut editor = self.editor(account)?;
        let session = editor.begin(self.now_ms())?;
        let row = session.conflict(call.n)?.ok_or_else(|| no_conflict(call.n))?;
        let parked = match row.outbox_n {
            Some(n) => session.edit(n)?,
            None => None,
        };
        let decision = decide(row.kind, row.resolution, call.keep);
        self.carry_out(&session, &row, parked.as_ref(), decision, call.keep)?;
        session.set_resolution(row.n, call.keep)?;
        session.commit()?;
        self.conflict(account, call.n)
    }

    fn carry_out(
        &self,
        session: &Session<'_>,
        row: &ConflictRow,
        parked: Option<&OpenEdit>,
        decision: Decision,
        keep: Keep,
    ) -> Result<(), Error> {
        match decision {
            Decision::Nothing if row.resolution == Some(keep) => Ok(()),
            Decision::Nothing => Err(Error::broken(
                "decided",
                "this was decided and carried out; make the change with `calmirror edit`, `add` or `rm`",
            )),
            Decision::Send => match (parked, row.theirs.as_deref()) {
                (Some(edit), Some(theirs)) => {
                    session.rebase(edit.n, theirs)?;
                    Ok(session.redraw(edit.event)?)
                }
                (Some(_), None) | (None, _) => self.wish_again(session, row, &row.mine),
            },
            Decision::Drop => drop_parked(session, parked),
            Decision::CreateMine => {
                self.create_mine(session, row)?;
                drop_parked(session, parked)
            }
            Decision::WishMine => self.wish_again(session, row, &row.mine),
            Decision::WishTheirs => self.wish_again(session, row, &Intent::Update(theirs_of(row))),
            Decision::WishTheirsCreateMine => {
                self.create_mine(session, row)?;
                self.wish_again(session, row, &Intent::Update(theirs_of(row)))
            }
        }
    }

    /// The same wish over what the server says now.
    fn wish_again(&self, session: &Session<'_>, row: &ConflictRow, wish: &Intent) -> Result<(), Error> {
        match session.target(row.event)? {
            Some(target) => self.record(session, &target, wish).map(|_| ()),
            None => Err(Error::new(
                ErrorKind::NotFound,
                "the event of this conflict is gone; `--keep both` makes it anew",
            )),
        }
    }

    /// Mine as a new event. Whoever only answered or deleted has nothing to make one of.
    fn create_mine(&self, session: &Session<'_>, row: &ConflictRow) -> Result<(), Error> {
        let said = match &row.mine {
            Intent::Create(fields) | Intent::Update(fields) => fields.clone(),
            Intent::Delete
            | Intent::Cancel { .. }
            | Intent::Respond { .. }
            | Intent::Forward { .. }
            | Intent::Snooze { .. }
            | Intent::Dismiss => {
                return Err(Error::broken(
                    "nothing_to_create",
                    "this edit says nothing that a new event could be made of: keep theirs",
                ));
            }
        };
        let base = row.base.as_deref();
        let has_named = said.attendees.is_some();
        let mut fields = said.over(fields_of(base));
        let is_there = row.kind != ConflictKind::DeletedThere;
        // Nobody is invited to a copy beside the meeting, nor to a meeting that somebody else organized.
        if !has_named && (is_there || !base.and_then(|base| base.details.as_deref()).is_some_and(is_own)) {
            fields.attendees = None;
        }
        let calendar = choose(session, Some(row.calendar))?;
        let key = Key::from_bytes(self.entropy.bytes());
        self.create(session, key, &calendar, fields).map(|_| ())
    }
}

fn drop_parked(session: &Session<'_>, parked: Option<&OpenEdit>) -> Result<(), Error> {
    match parked {
        Some(edit) => drop_edit(session, edit),
        None => Ok(()),
    }
}

/// Their values of the fields that mine says.
fn theirs_of(row: &ConflictRow) -> Fields {
    let theirs = fields_of(row.theirs.as_deref());
    let Intent::Update(mine) = &row.mine else { return theirs };
    Fields {
        subject: theirs.subject.filter(|_| mine.subject.is_some()),
        body: theirs.body.filter(|_| mine.body.is_some()),
        times: theirs.times.filter(|_| mine.times.is_some()),
        location: theirs.location.filter(|_| mine.location.is_some()),
        show_as: theirs.show_as.filter(|_| mine.show_as.is_some()),
        sensitivity: theirs.sensitivity.filter(|_| mine.sensitivity.is_some()),
        importance: theirs.importance.filter(|_| mine.importance.is_some()),
        categories: theirs.categories.filter(|_| mine.categories.is_some()),
        attendees: theirs.attendees.filter(|_| mine.attendees.is_some()),
        reminder: theirs.reminder.filter(|_| mine.reminder.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_in_conflict_are_attendees_of_the_events_json() {
        let person = |address: &str| crate::model::Person { name: None, address: Some(address.to_owned()) };
        let known = [Attendee {
            person: person("Bela@x.test"),
            kind: crate::model::AttendeeType::Required,
            response: Response::Accepted,
        }];
        let mut guests = serde_json::json!([{"address": "bela@x.test"}, {"address": "new@x.test"}]);
        add_responses(&mut guests, &known);
        let expected = serde_json::json!([
            {"address": "bela@x.test", "response": "accepted"},
            {"address": "new@x.test", "response": "none"},
        ]);
        assert_eq!(guests, expected);
        let mut nothing = Value::Null;
        add_responses(&mut nothing, &known);
        assert_eq!(nothing, Value::Null);
    }

    #[test]
    fn times_in_conflict_are_the_members_of_the_events_json() {
        let zone = crate::zones::Zones::bundled().resolve("Europe/Berlin").unwrap();
        let clash = |base: Value, mine: Value, theirs: Value| {
            let row = ClashRow { name: "start".to_owned(), base, mine, theirs };
            let of = |field: ConflictField| (field.name, field.base, field.mine, field.theirs);
            members(row, &zone).into_iter().map(of).collect::<Vec<_>>()
        };
        let (day, next) = (Value::from("2026-03-02"), Value::from("2026-03-03"));
        let (ms, text) = (serde_json::json!({"ms": 0}), Value::from("1970-01-01T01:00:00+01:00"));
        let null = || Value::Null;
        assert_eq!(
            clash(day.clone(), next.clone(), day.clone()),
            [("start_date".to_owned(), day.clone(), next.clone(), day.clone())]
        );
        assert_eq!(
            clash(null(), ms.clone(), ms.clone()),
            [("start".to_owned(), null(), text.clone(), text.clone())]
        );
        assert_eq!(
            clash(ms.clone(), next.clone(), ms),
            [
                ("start".to_owned(), text.clone(), null(), text),
                ("start_date".to_owned(), null(), next, null())
            ]
        );
    }

    #[test]
    fn every_decision_does_one_thing() {
        use ConflictKind::{BothChanged, DeletedHere, DeletedThere};
        use Decision::{CreateMine, Drop, Nothing, Send, WishMine, WishTheirs, WishTheirsCreateMine};
        use Keep::{Both, Mine, Theirs};
        let undecided = [
            ("mine over theirs", BothChanged, Mine, Send),
            ("theirs", BothChanged, Theirs, Drop),
            ("both", BothChanged, Both, CreateMine),
            ("mine anew", DeletedThere, Mine, CreateMine),
            ("gone for good", DeletedThere, Theirs, Drop),
            ("both, of which theirs is nothing", DeletedThere, Both, CreateMine),
            ("deleted all the same", DeletedHere, Mine, Send),
            ("kept all the same", DeletedHere, Theirs, Drop),
            ("both, of which mine is nothing", DeletedHere, Both, Drop),
        ];
        for (name, kind, keep, expected) in undecided {
            assert_eq!(decide(kind, None, keep), expected, "{name}");
        }
        let decided = [
            ("again", BothChanged, Mine, Mine, Nothing),
            ("mine after all", BothChanged, Theirs, Mine, WishMine),
            ("mine beside", BothChanged, Theirs, Both, CreateMine),
            ("theirs after all", BothChanged, Mine, Theirs, WishTheirs),
            ("theirs back, mine beside", BothChanged, Mine, Both, WishTheirsCreateMine),
            ("a copy is not taken back", BothChanged, Both, Mine, Nothing),
            ("anew after all", DeletedThere, Theirs, Mine, CreateMine),
            ("made anew, and has a life of its own", DeletedThere, Mine, Theirs, Nothing),
            ("deleted after all", DeletedHere, Theirs, Mine, WishMine),
            ("kept, and nothing beside", DeletedHere, Theirs, Both, Nothing),
            ("deleted for good", DeletedHere, Mine, Theirs, Nothing),
        ];
        for (name, kind, before, keep, expected) in decided {
            assert_eq!(decide(kind, Some(before), keep), expected, "{name}");
        }
    }
}
