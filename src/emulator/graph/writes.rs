//! What is changed: creates, patches, deletions, actions.

use serde_json::{Map, Value, json};

use super::super::change::decode_event;
use super::super::fields::{Attendee, Trust};
use super::super::ident::Form;
use super::super::mailbox::{Created, Deferred, Mail, RowKind, Write};
use super::super::prefer::Preferences;
use super::super::render;
use super::super::wire::{Answer, Refusal, percent_encoded};
use super::{Graph, Reply, Scope, unknown_path};

impl Graph<'_> {
    pub(super) fn create(&mut self, scope: Scope) -> Reply {
        let prefer = self.prefer()?;
        let body = self.object()?;
        let calendar = self.scope_calendar(scope);
        self.writable_calendar(calendar)?;
        let transaction = body.get("transactionId").and_then(Value::as_str).map(str::to_owned);
        let digest = digest(&self.call.body);
        if let Some(created) = transaction.as_ref().and_then(|t| self.mailbox.transactions.get(t)).cloned()
            && let Some(event) = self.mailbox.events.get(&created.serial)
        {
            if self.quirks.strict_transactions && created.digest != digest {
                return Err(Refusal::new(
                    409,
                    "ErrorDuplicateTransactionId",
                    "The transaction id was used for another event.",
                ));
            }
            let id = self.mailbox.id(event, event.own_row(), Form::Immutable);
            self.note("create", id, &body, true);
            let event = self.mailbox.events.get(&created.serial).ok_or_else(Refusal::item_not_found)?;
            let body = render::event(self.mailbox, event, event.own_row(), &prefer);
            return self.one(201, body, "users('me')/events/$entity", &prefer);
        }
        let (mut fields, recurrence) = decode_event(&body, Trust::Client, self.quirks.whole_minute_series)?;
        fields.transaction_id = transaction.clone();
        let (invited, is_online) = (addresses(&fields.attendees), fields.is_online);
        let serial = self.mailbox.add(calendar, fields, recurrence, self.now_ms);
        if let Some(transaction) = transaction {
            self.mailbox.transactions.insert(transaction, Created { serial, digest });
        }
        if !invited.is_empty() {
            self.mail(serial, "invite", invited);
        }
        let row = self.mailbox.events.get(&serial).map_or(RowKind::Single, |event| event.own_row());
        self.note("create", self.row_id(serial, row), &body, false);
        self.mailbox.settle_in(serial, is_online, self.quirks, self.now_ms);
        let event = self.mailbox.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        let body = render::event(self.mailbox, event, event.own_row(), &prefer);
        let location = format!(
            "{}/{}",
            self.link("").trim_end_matches('?'),
            percent_encoded(&self.mailbox.id(event, event.own_row(), prefer.form))
        );
        Ok(self.one(201, body, "users('me')/events/$entity", &prefer)?.with("location", location))
    }

    /// Refuses a stale `If-Match`.
    pub(super) fn check_version(&self, serial: u64, kind: RowKind) -> Result<(), Refusal> {
        let Some(given) = self.call.header("if-match") else { return Ok(()) };
        let given = given.trim();
        if given == "*" {
            return Ok(());
        }
        if !given.ends_with('"') || !(given.starts_with('"') || given.starts_with("W/\"")) {
            return Err(Refusal::new(400, "malformedEntityTag", "The entity tag has to be a quoted string."));
        }
        let given = given.trim_start_matches("W/").trim_matches('"');
        let key = self.mailbox.events.get(&serial).map(|e| self.mailbox.ids.change_key(e.row_key(kind)));
        if key.as_deref() == Some(given) {
            return Ok(());
        }
        Err(Refusal::new(
            412,
            "ErrorIrresolvableConflict",
            "The send or update operation could not be performed because the change key passed in the request does not match the current change key for the item.",
        ))
    }

    pub(super) fn patch(&mut self, scope: Scope, id: &str) -> Reply {
        let prefer = self.prefer()?;
        let (serial, kind) = self.find(scope, id)?;
        self.writable(serial)?;
        self.check_version(serial, kind)?;
        let patch = self.object()?;
        let event = self.mailbox.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        let told = event.fields.transaction_id.as_deref();
        if patch.get("transactionId").and_then(Value::as_str).is_some_and(|t| Some(t) != told) {
            return Err(Refusal::invalid("The property TransactionId is immutable and cannot be changed."));
        }
        let before = event.row(kind).attendees;
        let is_mine = event.fields.organizer.is_none();
        self.mailbox.patch(serial, kind, patch.clone(), Trust::Client, self.quirks, self.now_ms)?;
        let event = self.mailbox.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        let kind = match kind {
            RowKind::Occurrence(slot) | RowKind::Exception(slot) => event.slot_row(slot).unwrap_or(kind),
            RowKind::Single | RowKind::Master => event.own_row(),
        };
        let after = event.row(kind).attendees;
        let needs_url = event.fields.is_online && event.fields.join_url.is_none();
        if is_mine && !(before.is_empty() && after.is_empty()) && is_told(&patch) {
            let only_attendees = patch.keys().all(|k| k == "attendees");
            let without = |some: &[Attendee], others: &[Attendee]| {
                let is_other = |one: &&Attendee| !others.iter().any(|other| other.person == one.person);
                some.iter().filter(is_other).cloned().collect::<Vec<_>>()
            };
            let mut told = addresses(&if only_attendees { without(&after, &before) } else { after.clone() });
            told.extend(addresses(&without(&before, &after)));
            self.mail(serial, "update", told);
        }
        self.note("patch", self.row_id(serial, kind), &patch, false);
        if needs_url {
            let due = self.now_ms + self.quirks.queued_ms;
            self.mailbox.later(due, Deferred::JoinUrl(serial));
        }
        if prefer.is_minimal {
            return Ok(Answer::empty(204));
        }
        // Whatever zone was preferred, a PATCH answers in UTC.
        let prefer = Preferences { zone: jiff::tz::TimeZone::UTC, zone_label: "UTC".into(), ..prefer };
        let event = self.mailbox.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        let body = render::event(self.mailbox, event, kind, &prefer);
        self.one(200, body, "users('me')/events/$entity", &prefer)
    }

    pub(super) fn delete(&mut self, scope: Scope, id: &str) -> Reply {
        let (serial, kind) = self.find(scope, id)?;
        self.writable(serial)?;
        self.check_version(serial, kind)?;
        let id = self.row_id(serial, kind);
        self.take_away(serial, kind, true);
        self.note("delete", id, &Map::new(), false);
        Ok(Answer::empty(204))
    }

    pub(super) fn take_away(&mut self, serial: u64, kind: RowKind, tells: bool) {
        let told = self.mailbox.events.get(&serial).map(|event| event.row(kind));
        let told =
            told.filter(|fields| fields.organizer.is_none()).map(|fields| addresses(&fields.attendees));
        if let Some(told) = told.filter(|told| tells && !told.is_empty()) {
            self.mail(serial, "cancel", told);
        }
        self.mailbox.take(serial, kind, self.quirks.series_tombstones, self.now_ms);
    }

    pub(super) fn mail(&mut self, serial: u64, what: &'static str, to: Vec<String>) {
        let Some(event) = self.mailbox.events.get(&serial) else { return };
        let event = self.mailbox.id(event, event.own_row(), Form::Immutable);
        self.mailbox.mails.push(Mail { event, what, recipients: to.len(), to, at_ms: self.now_ms });
    }

    fn row_id(&self, serial: u64, kind: RowKind) -> String {
        let event = self.mailbox.events.get(&serial);
        event.map(|event| self.mailbox.id(event, kind, Form::Immutable)).unwrap_or_default()
    }

    /// Remembers a write that took effect.
    fn note(&mut self, what: &str, event: String, members: &Map<String, Value>, is_replay: bool) {
        self.mailbox.wrote(Write {
            at_ms: self.now_ms,
            what: what.to_owned(),
            event,
            transaction_id: members.get("transactionId").and_then(Value::as_str).map(str::to_owned),
            members: members.keys().cloned().collect(),
            is_conditional: self.call.header("if-match").is_some(),
            is_replay,
            digest: digest(&self.call.body),
        });
    }

    pub(super) fn action(&mut self, scope: Scope, id: &str, action: &str) -> Reply {
        let (serial, kind) = self.find(scope, id)?;
        let body = self.object()?;
        let id = self.row_id(serial, kind);
        let answer = self.act(serial, kind, action, &body)?;
        self.note(action, id, &body, false);
        Ok(answer)
    }

    fn act(&mut self, serial: u64, kind: RowKind, action: &str, body: &Map<String, Value>) -> Reply {
        let fields =
            self.mailbox.events.get(&serial).map(|e| e.row(kind)).ok_or_else(Refusal::item_not_found)?;
        let slot = match kind {
            RowKind::Occurrence(slot) | RowKind::Exception(slot) => Some(slot),
            RowKind::Single | RowKind::Master => None,
        };
        let due = self.now_ms + self.quirks.queued_ms;
        match action {
            "accept" | "tentativelyAccept" | "decline" => {
                if fields.organizer.is_none() {
                    return Err(Refusal::invalid(
                        "You can't respond to this meeting because you're the meeting organizer.",
                    ));
                }
                let member =
                    |name: &str| body.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v);
                let sends = member("sendResponse").and_then(Value::as_bool).unwrap_or(true);
                if member("proposedNewTime").is_some_and(|v| !v.is_null())
                    && (!sends || !fields.allow_new_time || action == "accept")
                {
                    return Err(Refusal::invalid("A new time cannot be proposed for this event."));
                }
                if sends {
                    let organizer = fields.organizer.iter().map(|person| person.address.clone()).collect();
                    self.mail(serial, "respond", organizer);
                }
                let what = match action {
                    "accept" => Deferred::Respond { serial, slot, response: "accepted" },
                    "tentativelyAccept" => {
                        Deferred::Respond { serial, slot, response: "tentativelyAccepted" }
                    }
                    _ => Deferred::Remove { serial, slot },
                };
                self.mailbox.later(due, what);
                self.mailbox.settle(self.now_ms, self.quirks);
                Ok(Answer::empty(202))
            }
            "cancel" => {
                if fields.organizer.is_some() {
                    return Err(Refusal::invalid(
                        "Your request can't be completed. You need to be an organizer to cancel a meeting.",
                    ));
                }
                if !fields.attendees.is_empty() {
                    self.mail(serial, "cancel", addresses(&fields.attendees));
                }
                self.mailbox.later(due, Deferred::Remove { serial, slot });
                self.mailbox.settle(self.now_ms, self.quirks);
                Ok(Answer::empty(202))
            }
            "forward" => {
                let to = body
                    .iter()
                    .find(|(n, _)| n.eq_ignore_ascii_case("toRecipients"))
                    .and_then(|(_, v)| v.as_array());
                let to: Vec<String> = to.into_iter().flatten().filter_map(recipient).collect();
                if to.is_empty() {
                    return Err(Refusal::new(
                        400,
                        "ErrorInvalidRecipients",
                        "At least one recipient is needed.",
                    ));
                }
                self.mail(serial, "forward", to);
                Ok(Answer::empty(202))
            }
            "snoozeReminder" => {
                if !body.iter().any(|(n, _)| n.eq_ignore_ascii_case("newReminderTime")) {
                    return Err(Refusal::invalid("newReminderTime is needed."));
                }
                self.mailbox.touch(serial, self.now_ms);
                Ok(Answer::empty(200))
            }
            "dismissReminder" => {
                let mut patch = Map::new();
                patch.insert("isReminderOn".into(), json!(false));
                self.mailbox.patch(serial, kind, patch, Trust::Server, self.quirks, self.now_ms)?;
                Ok(Answer::empty(200))
            }
            "permanentDelete" => {
                self.writable(serial)?;
                self.take_away(serial, kind, true);
                Ok(Answer::empty(204))
            }
            _ => Err(unknown_path()),
        }
    }
}

fn addresses(attendees: &[Attendee]) -> Vec<String> {
    attendees.iter().map(|attendee| attendee.person.address.clone()).collect()
}

/// The address of one recipient of a forward.
fn recipient(value: &Value) -> Option<String> {
    let member = |value: &Value, name: &str| {
        let members = value.as_object()?;
        members.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    };
    let address = member(&member(value, "emailAddress")?, "address")?;
    address.as_str().filter(|text| text.contains('@')).map(str::to_owned)
}

fn digest(body: &[u8]) -> String {
    blake3::hash(body).to_hex().chars().take(16).collect()
}

/// Whether a change of these members is mailed to attendees; reminders, categories and the like are personal.
fn is_told(patch: &Map<String, Value>) -> bool {
    let personal = ["isReminderOn", "reminderMinutesBeforeStart", "categories", "showAs", "sensitivity"];
    patch.keys().any(|k| !personal.contains(&k.as_str()) && !k.starts_with('@'))
}
