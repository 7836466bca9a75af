//! A mailbox written down: JSON with users, calendars and events in Graph's own form.

use serde_json::{Map, Value};

use super::change::decode_event;
use super::fault::Rule;
use super::fields::{Person, Trust};
use super::quirks::Quirks;
use super::world::World;
use super::zone;

/// What is wrong with a mailbox document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON.
    #[error("the mailbox file is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Something in it is not understood.
    #[error("in the mailbox file, {place}: {problem}")]
    Content {
        /// Where, as a path.
        place: String,
        /// What is wrong.
        problem: String,
    },
}

fn wrong(place: &str, problem: impl Into<String>) -> DocumentError {
    DocumentError::Content { place: place.to_owned(), problem: problem.into() }
}

impl World {
    /// Builds a world from a mailbox document (its format is in the room's own documentation).
    pub fn from_document(text: &str, seed: u64, now_ms: i64) -> Result<World, DocumentError> {
        let document: Value = serde_json::from_str(&with_dates(text, now_ms))?;
        let root = object(&document, "the top", &["users", "quirks", "sign_in", "faults"])?;
        let users = list(root, "users", "the top")?;
        let mut named = Vec::new();
        for (n, user) in users.iter().enumerate() {
            let place = format!("users[{n}]");
            let user = object(user, &place, &["name", "address", "time_zone", "calendars"])?;
            let address = text_of(user, "address").filter(|a| a.contains('@'));
            let address = address.ok_or_else(|| wrong(&place, "`address` is missing"))?;
            named.push((text_of(user, "name").unwrap_or(address), address));
        }
        if named.is_empty() {
            return Err(wrong("users", "at least one user is needed"));
        }
        let mut world = World::new(seed, &named, "UTC");
        for (n, user) in users.iter().enumerate() {
            world.read_user(n, user, now_ms)?;
        }
        match root.get("quirks") {
            None => {}
            Some(Value::String(name)) if name == "tame" => world.set_quirks(Quirks::tame()),
            Some(Value::String(name)) if name == "default" => {}
            Some(value) => {
                let quirks =
                    serde_json::from_value(value.clone()).map_err(|e| wrong("quirks", e.to_string()))?;
                world.set_quirks(quirks);
            }
        }
        if let Some(value) = root.get("sign_in") {
            let sign_in =
                serde_json::from_value(value.clone()).map_err(|e| wrong("sign_in", e.to_string()))?;
            world.set_sign_in(sign_in);
        }
        for (n, rule) in list(root, "faults", "the top").unwrap_or_default().iter().enumerate() {
            let rule: Rule = serde_json::from_value(rule.clone())
                .map_err(|e| wrong(&format!("faults[{n}]"), e.to_string()))?;
            world.add_fault(rule);
        }
        Ok(world)
    }

    fn read_user(&mut self, user: usize, value: &Value, now_ms: i64) -> Result<(), DocumentError> {
        let place = format!("users[{user}]");
        let members = object(value, &place, &["name", "address", "time_zone", "calendars"])?;
        let Some(mailbox) = self.mailboxes.get_mut(user) else { return Ok(()) };
        if let Some(name) = text_of(members, "time_zone") {
            if zone::resolve(name).is_none() {
                return Err(wrong(&place, format!("the time zone `{name}` is not known")));
            }
            mailbox.zone_name = name.to_owned();
        }
        for (n, calendar) in list(members, "calendars", &place).unwrap_or_default().iter().enumerate() {
            self.read_calendar(user, &format!("{place}.calendars[{n}]"), calendar, now_ms)?;
        }
        Ok(())
    }

    fn read_calendar(
        &mut self,
        user: usize,
        place: &str,
        value: &Value,
        now_ms: i64,
    ) -> Result<(), DocumentError> {
        let known = ["name", "default", "can_edit", "can_view_private", "owner", "denies_page_two", "events"];
        let members = object(value, place, &known)?;
        let Some(mailbox) = self.mailboxes.get_mut(user) else { return Ok(()) };
        let name = text_of(members, "name").ok_or_else(|| wrong(place, "`name` is missing"))?;
        let is =
            |name: &str, otherwise: bool| members.get(name).and_then(Value::as_bool).unwrap_or(otherwise);
        let serial = if is("default", false) { mailbox.default_calendar } else { mailbox.add_calendar(name) };
        if let Some(calendar) = mailbox.calendars.get_mut(&serial) {
            calendar.name = name.to_owned();
            calendar.can_edit = is("can_edit", true);
            calendar.can_view_private = is("can_view_private", true);
            calendar.denies_page_two = is("denies_page_two", false);
            calendar.owner = members.get("owner").and_then(|o| {
                let address = o.get("address")?.as_str()?.to_owned();
                Some(Person {
                    name: o.get("name").and_then(Value::as_str).unwrap_or(&address).to_owned(),
                    address,
                })
            });
        }
        for (n, event) in list(members, "events", place).unwrap_or_default().iter().enumerate() {
            self.read_event(user, serial, &format!("{place}.events[{n}]"), event, now_ms)?;
        }
        Ok(())
    }

    fn read_event(
        &mut self,
        user: usize,
        calendar: u64,
        place: &str,
        value: &Value,
        now_ms: i64,
    ) -> Result<(), DocumentError> {
        let mut members = value.as_object().cloned().ok_or_else(|| wrong(place, "an object is expected"))?;
        let cancelled = members.remove("cancelled");
        let exceptions = members.remove("exceptions");
        let (fields, recurrence) =
            decode_event(&members, Trust::Server, true).map_err(|r| wrong(place, r.message))?;
        let Some(mailbox) = self.mailboxes.get_mut(user) else { return Ok(()) };
        let serial = mailbox.add(calendar, fields, recurrence, now_ms);
        let slot = |text: &str| {
            let day = zone::parse_date(text).map(zone::day_of);
            day.ok_or_else(|| wrong(place, format!("`{text}` is not a date")))
        };
        for date in cancelled.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str) {
            let slot = slot(date)?;
            if mailbox.events.get(&serial).and_then(|e| e.slot_row(slot)).is_none() {
                return Err(wrong(place, format!("`{date}` is not an occurrence of the series")));
            }
            mailbox.cancel_slot(serial, slot, now_ms);
        }
        for (date, patch) in exceptions.iter().filter_map(Value::as_object).flatten() {
            let slot = slot(date)?;
            let row = mailbox.events.get(&serial).and_then(|e| e.slot_row(slot));
            let row =
                row.ok_or_else(|| wrong(place, format!("`{date}` is not an occurrence of the series")))?;
            let patch =
                patch.as_object().cloned().ok_or_else(|| wrong(place, "an exception is an object"))?;
            mailbox
                .patch(serial, row, patch, Trust::Server, &self.quirks, now_ms)
                .map_err(|r| wrong(&format!("{place}.exceptions.{date}"), r.message))?;
        }
        Ok(())
    }
}

/// Replaces `{today}` and `{today+3}` by dates, so that a document need not grow old.
fn with_dates(text: &str, now_ms: i64) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{today") {
        out.push_str(before);
        let shift = after.split_once('}').and_then(|(n, tail)| {
            let days = if n.is_empty() { 0 } else { n.trim_start_matches('+').parse::<i32>().ok()? };
            Some((days, tail))
        });
        match shift {
            Some((days, tail)) => {
                out.push_str(&zone::date_of(zone::utc_day(now_ms) + days).to_string());
                rest = tail;
            }
            None => {
                out.push_str("{today");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn object<'a>(
    value: &'a Value,
    place: &str,
    known: &[&str],
) -> Result<&'a Map<String, Value>, DocumentError> {
    let members = value.as_object().ok_or_else(|| wrong(place, "an object is expected"))?;
    match members.keys().find(|k| !known.contains(&k.as_str())) {
        Some(key) => Err(wrong(place, format!("`{key}` is not known here; known are {}", known.join(", ")))),
        None => Ok(members),
    }
}

fn list<'a>(members: &'a Map<String, Value>, name: &str, place: &str) -> Result<&'a [Value], DocumentError> {
    match members.get(name) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(wrong(place, format!("`{name}` has to be a list"))),
    }
}

fn text_of<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}
