//! What changes do to a mailbox, whoever makes them: bodies read, rows patched, queued things done.

use serde_json::{Map, Value, json};

use super::fields::{Fields, Trust};
use super::ident::mix;
use super::mailbox::{Deferred, Event, Mailbox, RowKind, Series};
use super::quirks::Quirks;
use super::recurrence::{self, Recurrence};
use super::wire::Refusal;
use super::zone;

const JOIN_URL: &str = "https://teams.example.invalid/l/meetup-join/19%3ameeting_";

/// Reads the body of a create.
pub(crate) fn decode_event(
    body: &Map<String, Value>,
    trust: Trust,
    whole_minutes: bool,
) -> Result<(Fields, Option<Recurrence>), Refusal> {
    if !body.contains_key("start") || !body.contains_key("end") {
        return Err(Refusal::invalid("An event needs a start and an end."));
    }
    let mut fields = Fields::new(0, 0);
    fields.apply(body, trust)?;
    let recurrence = match body.get("recurrence").filter(|r| !r.is_null()) {
        None => None,
        Some(value) => Some(series_of(&mut fields, value, whole_minutes)?),
    };
    Ok((fields, recurrence))
}

/// Reads a recurrence and moves the event to its first slot, as Exchange does.
pub(crate) fn series_of(
    fields: &mut Fields,
    value: &Value,
    whole_minutes: bool,
) -> Result<Recurrence, Refusal> {
    if whole_minutes {
        let rest = fields.start_ms.rem_euclid(60_000);
        fields.start_ms -= rest;
        fields.end_ms -= rest;
    }
    let recurrence = recurrence::decode(value, fields.start_day(), &fields.zone_label)?;
    let first = recurrence.first().ok_or_else(|| Refusal::invalid("The recurrence has no occurrence."))?;
    let shift = first - fields.start_day();
    if shift != 0 {
        let zone = fields.wall_zone();
        let moved = |ms: i64| {
            let wall = zone::wall(ms, &zone);
            zone::instant(zone::date_of(zone::day_of(wall.date()) + shift).to_datetime(wall.time()), &zone)
        };
        (fields.start_ms, fields.end_ms) = (moved(fields.start_ms), moved(fields.end_ms));
    }
    Ok(recurrence.starting(first))
}

/// A join address from a serial.
pub(crate) fn join_url(serial: u64, scramble: u64) -> String {
    format!("{JOIN_URL}{:016x}%40thread.v2/0", mix(scramble, serial))
}

impl Mailbox {
    /// What a fresh event does by itself: its key rotates, its join address appears.
    pub(crate) fn settle_in(&mut self, serial: u64, is_online: bool, quirks: &Quirks, now_ms: i64) {
        if quirks.key_rotation_ms > 0 {
            let span = u64::try_from(quirks.key_rotation_ms).unwrap_or(1);
            let delay = i64::try_from(mix(serial, 23) % span).unwrap_or(0) / 2 + quirks.key_rotation_ms / 2;
            self.later(now_ms + delay, Deferred::RotateKey(serial));
        }
        if is_online {
            self.later(now_ms + quirks.queued_ms, Deferred::JoinUrl(serial));
            self.settle(now_ms, quirks);
        }
    }

    /// Does what is due.
    pub(crate) fn settle(&mut self, now_ms: i64, quirks: &Quirks) {
        while let Some(entry) = self.deferred.first_entry() {
            if entry.key().0 > now_ms {
                break;
            }
            let at_ms = entry.key().0;
            match entry.remove() {
                Deferred::RotateKey(serial) => self.touch(serial, at_ms),
                Deferred::JoinUrl(serial) => {
                    self.change(serial, at_ms, |event, seq, key| {
                        event.fields.join_url = Some(join_url(serial, key));
                        event.row_seq = seq;
                        event.key = key;
                    });
                }
                Deferred::Respond { serial, slot, response } => {
                    self.respond(serial, slot, response, quirks, at_ms)
                }
                Deferred::Remove { serial, slot } => {
                    let kind = self.events.get(&serial).map(|e| match slot {
                        Some(slot) => e.slot_row(slot),
                        None => Some(e.own_row()),
                    });
                    if let Some(Some(kind)) = kind {
                        self.take(serial, kind, quirks.series_tombstones, at_ms);
                    }
                }
            }
        }
    }

    /// The owner's answer to an invitation.
    pub(crate) fn respond(
        &mut self,
        serial: u64,
        slot: Option<i32>,
        response: &'static str,
        quirks: &Quirks,
        now_ms: i64,
    ) {
        let Some(event) = self.events.get(&serial) else { return };
        let kind = match slot {
            Some(slot) => event.slot_row(slot),
            None => Some(event.own_row()),
        };
        let show_as = match response {
            "accepted" => "busy",
            "declined" => "free",
            _ => "tentative",
        };
        let mut patch = Map::new();
        patch.insert("responseStatus".into(), json!({"response": response}));
        patch.insert("showAs".into(), json!(show_as));
        if let Some(kind) = kind {
            // The two members are ours and fit.
            let _ = self.patch(serial, kind, patch, Trust::Server, quirks, now_ms);
        }
    }

    /// Deletes a row: an event, a whole series, or one slot.
    pub(crate) fn take(&mut self, serial: u64, kind: RowKind, with_slots: bool, now_ms: i64) {
        match kind {
            RowKind::Single | RowKind::Master => {
                self.remove(serial, with_slots);
            }
            RowKind::Occurrence(slot) | RowKind::Exception(slot) => {
                self.cancel_slot(serial, slot, now_ms);
            }
        }
    }

    /// Changes a row by a Graph body.
    pub(crate) fn patch(
        &mut self,
        serial: u64,
        kind: RowKind,
        patch: Map<String, Value>,
        trust: Trust,
        quirks: &Quirks,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let event = self.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        match kind {
            RowKind::Single | RowKind::Master => self.patch_whole(serial, patch, trust, quirks, now_ms),
            RowKind::Occurrence(slot) | RowKind::Exception(slot) => {
                if patch.get("recurrence").is_some_and(|r| !r.is_null()) {
                    return Err(Refusal::invalid("An occurrence has no recurrence."));
                }
                let mut fields = event.row(kind);
                fields.apply(&patch, trust)?;
                if let Some(series) = &event.series
                    && (patch.contains_key("start") || patch.contains_key("end"))
                {
                    let (before, after) = series.recurrence.neighbours(slot);
                    let day = fields.start_day();
                    if before.is_some_and(|b| day <= b) || after.is_some_and(|a| day >= a) {
                        return Err(Refusal::new(
                            400,
                            "ErrorOccurrenceCrossingBoundary",
                            "Modified occurrence is crossing or overlapping adjacent occurrence.",
                        ));
                    }
                }
                self.except(serial, slot, patch, now_ms);
                Ok(())
            }
        }
    }

    fn patch_whole(
        &mut self,
        serial: u64,
        patch: Map<String, Value>,
        trust: Trust,
        quirks: &Quirks,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let event = self.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        let mut fields = event.fields.clone();
        fields.apply(&patch, trust)?;
        let moved = (fields.start_ms, fields.end_ms, fields.is_all_day)
            != (event.fields.start_ms, event.fields.end_ms, event.fields.is_all_day)
            || fields.zone != event.fields.zone;
        let recurrence = match patch.get("recurrence") {
            None => match &event.series {
                // The pattern stays and begins anew where the series now begins.
                Some(series) if moved => {
                    let mut value = recurrence::encode(&series.recurrence);
                    if let Some(range) = value.get_mut("range").and_then(Value::as_object_mut) {
                        range.remove("startDate");
                    }
                    Some(Some(series_of(&mut fields, &value, quirks.whole_minute_series)?))
                }
                _ => None,
            },
            Some(Value::Null) => Some(None),
            Some(value) => Some(Some(series_of(&mut fields, value, quirks.whole_minute_series)?)),
        };
        self.change(serial, now_ms, |event, seq, key| {
            event.fields = fields;
            event.row_seq = seq;
            event.key = key;
            if let Some(recurrence) = recurrence {
                event.set_recurrence(recurrence, seq);
            }
        });
        Ok(())
    }

    /// Removes a calendar with all its events.
    pub(crate) fn remove_calendar(&mut self, serial: u64) -> bool {
        if serial == self.default_calendar {
            return false;
        }
        let Some(calendar) = self.calendars.remove(&serial) else { return false };
        for (_, event) in calendar.items {
            self.remove(event, false);
        }
        true
    }
}

impl Event {
    /// Gives the event another recurrence, or none: exceptions and cancelled slots of the old one are gone.
    pub(crate) fn set_recurrence(&mut self, recurrence: Option<Recurrence>, seq: u64) {
        self.series = recurrence.map(|recurrence| Series {
            recurrence,
            exceptions: std::collections::BTreeMap::new(),
            cancelled: std::collections::BTreeSet::new(),
            slots_seq: seq,
            slot_seq: std::collections::BTreeMap::new(),
        });
    }
}
