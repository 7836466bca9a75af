//! Changes from behind: what other clients, organizers and administrators do to a mailbox.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::change::decode_event;
use super::fields::{Fields, Trust};
use super::ident::Form;
use super::mailbox::{Mailbox, RowKind};
use super::recurrence::{self, Range};
use super::seed::{FUTURE_DAYS, PAST_DAYS, Seeder};
use super::text;
use super::wire::Refusal;
use super::world::World;
use super::zone::{self, DAY_MS};

/// One change. Ids are any ids the service gave out, of either form; event members are Graph's own, and what
/// the service keeps to itself (`isCancelled`, `responseStatus`, `organizer`) may be set too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// A new event or series.
    Create {
        /// The calendar's id; none is the default calendar.
        #[serde(default)]
        calendar: Option<String>,
        /// Its members; `start` and `end` are needed.
        event: Map<String, Value>,
    },
    /// Changes an event, a series, or one occurrence (which becomes an exception).
    Update {
        /// Whose.
        id: String,
        /// The members that change.
        patch: Map<String, Value>,
    },
    /// Deletes an event, a whole series, or one occurrence.
    Delete {
        /// Whose.
        id: String,
    },
    /// Moves an event or series to another calendar: its immutable id stays.
    Move {
        /// Whose.
        id: String,
        /// Where to.
        calendar: String,
    },
    /// Makes an exception a plain occurrence again.
    Revert {
        /// The exception's id.
        id: String,
    },
    /// Brings a deleted occurrence back.
    Restore {
        /// The series master's id.
        series: String,
        /// The occurrence's date in the series' zone, `YYYY-MM-DD`.
        date: String,
    },
    /// An attendee answers, or (without an attendee) the mailbox owner.
    Respond {
        /// Of which event.
        id: String,
        /// The attendee's address.
        #[serde(default)]
        attendee: Option<String>,
        /// `accepted`, `tentativelyAccepted`, `declined`, …
        response: String,
    },
    /// The organizer cancels: the owner's copy stays, marked cancelled.
    Cancel {
        /// Which event.
        id: String,
    },
    /// The version changes and nothing else.
    Touch {
        /// Which event.
        id: String,
    },
    /// A new calendar.
    AddCalendar {
        /// Its name.
        name: String,
    },
    /// Another name.
    RenameCalendar {
        /// Which calendar.
        calendar: String,
        /// Its new name.
        name: String,
    },
    /// Deletes a calendar with all its events.
    DeleteCalendar {
        /// Which calendar.
        calendar: String,
    },
}

/// What an edit did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edited {
    /// In a word or two.
    pub what: &'static str,
    /// The immutable id of what it was done to; empty if it came to nothing.
    pub id: String,
}

/// Why an edit was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the edit was refused with status {status} ({code}): {message}")]
pub struct EditError {
    /// What Graph would have answered.
    pub status: u16,
    /// Graph's code.
    pub code: String,
    /// In words.
    pub message: String,
}

impl From<Refusal> for EditError {
    fn from(refusal: Refusal) -> EditError {
        EditError { status: refusal.status, code: refusal.code, message: refusal.message }
    }
}

impl World {
    /// Does one change in a user's mailbox (users count from 0).
    pub fn edit(&mut self, user: usize, edit: Edit, now_ms: i64) -> Result<Edited, EditError> {
        let now_ms = now_ms + self.clock_offset_ms();
        let quirks = self.quirks.clone();
        let mailbox = self.mailboxes.get_mut(user);
        let mailbox =
            mailbox.ok_or_else(|| Refusal::new(404, "ErrorInvalidUser", "There is no such user."))?;
        mailbox.settle(now_ms, &quirks);
        let done = |what, id: String| Ok(Edited { what, id });
        match edit {
            Edit::Create { calendar, event } => {
                let calendar = match calendar {
                    Some(id) => mailbox.find_calendar(&id)?,
                    None => mailbox.default_calendar,
                };
                let (fields, recurrence) = decode_event(&event, Trust::Server, quirks.whole_minute_series)?;
                let is_online = fields.is_online;
                let serial = mailbox.add(calendar, fields, recurrence, now_ms);
                mailbox.settle_in(serial, is_online, &quirks, now_ms);
                done("create", id_of(mailbox, serial))
            }
            Edit::Update { id, patch } => {
                let (serial, kind) = mailbox.find(&id)?;
                mailbox.patch(serial, kind, patch, Trust::Server, &quirks, now_ms)?;
                done("update", row_id(mailbox, serial, kind))
            }
            Edit::Delete { id } => {
                let (serial, kind) = mailbox.find(&id)?;
                let id = row_id(mailbox, serial, kind);
                mailbox.take(serial, kind, quirks.series_tombstones, now_ms);
                done("delete", id)
            }
            Edit::Move { id, calendar } => {
                let (serial, _) = mailbox.find(&id)?;
                let calendar = mailbox.find_calendar(&calendar)?;
                mailbox.move_to(serial, calendar, now_ms);
                done("move", id_of(mailbox, serial))
            }
            Edit::Revert { id } => {
                let (serial, kind) = mailbox.find(&id)?;
                if let RowKind::Exception(slot) = kind {
                    mailbox.revert_slot(serial, slot, now_ms);
                }
                done("revert", row_id(mailbox, serial, kind))
            }
            Edit::Restore { series, date } => {
                let (serial, _) = mailbox.find(&series)?;
                let slot = zone::parse_date(&date).map(zone::day_of);
                let slot = slot.ok_or_else(|| Refusal::invalid("The date has to look like 2026-05-07."))?;
                mailbox.revert_slot(serial, slot, now_ms);
                done("restore", id_of(mailbox, serial))
            }
            Edit::Respond { id, attendee, response } => {
                let (serial, kind) = mailbox.find(&id)?;
                mailbox.answered(serial, kind, attendee.as_deref(), &response, &quirks, now_ms)?;
                done("respond", row_id(mailbox, serial, kind))
            }
            Edit::Cancel { id } => {
                let (serial, kind) = mailbox.find(&id)?;
                mailbox.cancelled(serial, kind, &quirks, now_ms)?;
                done("cancel", row_id(mailbox, serial, kind))
            }
            Edit::Touch { id } => {
                let (serial, _) = mailbox.find(&id)?;
                mailbox.touch(serial, now_ms);
                done("touch", id_of(mailbox, serial))
            }
            Edit::AddCalendar { name } => {
                let serial = mailbox.add_calendar(&name);
                done("add calendar", mailbox.calendar_id(serial, Form::Immutable))
            }
            Edit::RenameCalendar { calendar, name } => {
                let serial = mailbox.find_calendar(&calendar)?;
                let key = mailbox.fresh_key();
                if let Some(calendar) = mailbox.calendars.get_mut(&serial) {
                    calendar.name = name;
                    calendar.key = key;
                }
                done("rename calendar", mailbox.calendar_id(serial, Form::Immutable))
            }
            Edit::DeleteCalendar { calendar } => {
                let serial = mailbox.find_calendar(&calendar)?;
                let id = mailbox.calendar_id(serial, Form::Immutable);
                if !mailbox.remove_calendar(serial) {
                    return Err(Refusal::invalid("The default calendar cannot be deleted.").into());
                }
                done("delete calendar", id)
            }
        }
    }

    /// Does one change of any kind, chosen by `rng`, in a user's mailbox: creates in and out of the window,
    /// updates, moves in time and between calendars, series changes, exceptions, reverts, deletions, answers,
    /// cancellations, conversions between single and series, calendars added, renamed and deleted. What cannot
    /// be done to the event it picked comes to nothing, and says so with an empty id.
    pub fn random_edit(&mut self, user: usize, rng: &mut fastrand::Rng, now_ms: i64) -> Edited {
        let now_ms = now_ms + self.clock_offset_ms();
        let quirks = self.quirks.clone();
        let nothing = Edited { what: "nothing", id: String::new() };
        let Some(mailbox) = self.mailboxes.get_mut(user) else { return nothing };
        mailbox.settle(now_ms, &quirks);
        Chance { mailbox, rng, quirks: &quirks, now_ms }.act().unwrap_or(nothing)
    }
}

fn id_of(mailbox: &Mailbox, serial: u64) -> String {
    mailbox.events.get(&serial).map(|e| mailbox.id(e, e.own_row(), Form::Immutable)).unwrap_or_default()
}

fn row_id(mailbox: &Mailbox, serial: u64, kind: RowKind) -> String {
    mailbox.events.get(&serial).map(|e| mailbox.id(e, kind, Form::Immutable)).unwrap_or_default()
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

impl Mailbox {
    fn answered(
        &mut self,
        serial: u64,
        kind: RowKind,
        attendee: Option<&str>,
        response: &str,
        quirks: &super::Quirks,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let Some(attendee) = attendee else {
            let patch = members(json!({"responseStatus": {"response": response}}));
            return self.patch(serial, kind, patch, Trust::Server, quirks, now_ms);
        };
        let known = ["none", "tentativelyAccepted", "accepted", "declined", "notResponded"];
        let response = known.iter().find(|r| **r == response).copied();
        let response = response.ok_or_else(|| Refusal::invalid("There is no such response."))?;
        // Answers are kept with the whole event: an exception shows its series'.
        self.change(serial, now_ms, |event, seq, key| {
            for one in &mut event.fields.attendees {
                if one.person.address.eq_ignore_ascii_case(attendee) {
                    one.response = response;
                    one.answered_ms = now_ms;
                }
            }
            event.row_seq = seq;
            event.key = key;
        });
        Ok(())
    }

    fn cancelled(
        &mut self,
        serial: u64,
        kind: RowKind,
        quirks: &super::Quirks,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let event = self.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        let subject = event.row(kind).subject.unwrap_or_default();
        let subject =
            if subject.starts_with("Canceled: ") { subject } else { format!("Canceled: {subject}") };
        let patch = members(json!({"isCancelled": true, "subject": subject, "showAs": "free"}));
        self.patch(serial, kind, patch, Trust::Server, quirks, now_ms)
    }
}

/// A change at random.
struct Chance<'a> {
    mailbox: &'a mut Mailbox,
    rng: &'a mut fastrand::Rng,
    quirks: &'a super::Quirks,
    now_ms: i64,
}

impl Chance<'_> {
    fn act(&mut self) -> Option<Edited> {
        match self.rng.u32(0..100) {
            0..12 => self.create(),
            12..17 => self.create_outside(),
            17..24 => self.create_series(),
            24..36 => self.update(),
            36..43 => self.shift(),
            43..47 => self.move_out(),
            47..51 => self.move_in(),
            51..58 => self.delete(false),
            58..60 => self.delete(true),
            60..67 => self.delete_occurrence(),
            67..75 => self.except(),
            75..79 => self.revert(),
            79..83 => self.change_calendar(),
            83..85 => self.convert(),
            85..88 => self.respond(),
            88..90 => self.cancel(),
            90..95 => self.change_series(),
            95..96 => self.all_day(),
            96..98 => self.touch(),
            _ => self.calendars(),
        }
    }

    // ---- choices -------------------------------------------------------------------------------------------

    fn calendar(&mut self) -> Option<u64> {
        let all: Vec<u64> = self.mailbox.calendars.keys().copied().collect();
        // Half of all happens in the default calendar.
        if self.rng.bool() { Some(self.mailbox.default_calendar) } else { self.rng.choice(all) }
    }

    fn event(&mut self) -> Option<u64> {
        let (first, last) = (*self.mailbox.events.keys().next()?, *self.mailbox.events.keys().next_back()?);
        let from = self.rng.u64(first..=last);
        self.mailbox.events.range(from..).next().map(|(serial, _)| *serial)
    }

    fn event_that(&mut self, fits: impl Fn(&super::mailbox::Event) -> bool) -> Option<u64> {
        for _ in 0..24 {
            let serial = self.event()?;
            if self.mailbox.events.get(&serial).is_some_and(&fits) {
                return Some(serial);
            }
        }
        None
    }

    fn series(&mut self) -> Option<u64> {
        self.event_that(super::mailbox::Event::is_series)
    }

    fn single(&mut self) -> Option<u64> {
        self.event_that(|e| !e.is_series())
    }

    fn window(&self) -> (i64, i64) {
        let day = 86_400_000;
        (self.now_ms - i64::from(PAST_DAYS) * day, self.now_ms + i64::from(FUTURE_DAYS) * day)
    }

    /// An instance of a series in the window.
    fn instance(&mut self) -> Option<(u64, RowKind)> {
        let serial = self.series()?;
        let (from, to) = self.window();
        let rows = self.mailbox.events.get(&serial)?.instances(from, to);
        Some((serial, self.rng.choice(rows)?))
    }

    fn day(&mut self) -> i32 {
        let today = zone::utc_day(self.now_ms);
        // Near days matter most.
        if self.rng.bool() {
            today + self.rng.i32(-3..10)
        } else {
            today + self.rng.i32(-PAST_DAYS - 3..FUTURE_DAYS + 3)
        }
    }

    fn seeder(&mut self) -> Seeder<'_> {
        Seeder { mailbox: self.mailbox, rng: self.rng, now_ms: self.now_ms }
    }

    fn done(&self, what: &'static str, serial: u64) -> Option<Edited> {
        Some(Edited { what, id: id_of(self.mailbox, serial) })
    }

    fn patch(&mut self, what: &'static str, serial: u64, kind: RowKind, patch: Value) -> Option<Edited> {
        self.mailbox.patch(serial, kind, members(patch), Trust::Server, self.quirks, self.now_ms).ok()?;
        Some(Edited { what, id: row_id(self.mailbox, serial, kind) })
    }

    // ---- changes -------------------------------------------------------------------------------------------

    fn add(&mut self, what: &'static str, fields: Fields) -> Option<Edited> {
        let calendar = self.calendar()?;
        let serial = self.mailbox.add(calendar, fields, None, self.now_ms);
        self.mailbox.settle_in(serial, false, self.quirks, self.now_ms);
        self.done(what, serial)
    }

    fn create(&mut self) -> Option<Edited> {
        let day = self.day();
        let fields = self.seeder().single(day);
        self.add("create", fields)
    }

    fn create_outside(&mut self) -> Option<Edited> {
        let today = zone::utc_day(self.now_ms);
        let day =
            if self.rng.bool() { today + self.rng.i32(500..1_500) } else { today - self.rng.i32(200..1_500) };
        let fields = self.seeder().single(day);
        self.add("create outside", fields)
    }

    fn create_series(&mut self) -> Option<Edited> {
        let day = self.day() - self.rng.choice([0, 0, 0, 400]).unwrap_or(0);
        let mut fields = self.seeder().single(day);
        fields.end_ms = fields.end_ms.min(fields.start_ms + DAY_MS);
        let start = fields.start_day();
        let recurrence = self.seeder().recurrence(start, false, &fields);
        let value = recurrence::encode(&recurrence);
        let recurrence = super::change::series_of(&mut fields, &value, true).ok()?;
        let calendar = self.calendar()?;
        let serial = self.mailbox.add(calendar, fields, Some(recurrence), self.now_ms);
        self.mailbox.settle_in(serial, false, self.quirks, self.now_ms);
        self.done("create series", serial)
    }

    fn members(&mut self) -> Value {
        let seed = self.rng.u64(..);
        match self.rng.u32(0..8) {
            0 | 1 => json!({"subject": text::subject(seed)}),
            2 => json!({"subject": text::subject(seed), "location": {"displayName": text::place(seed)}}),
            3 => json!({"showAs": self.rng.choice(["free", "busy", "oof", "tentative", "workingElsewhere"])}),
            4 => json!({"body": {"contentType": "text", "content": text::plain_body(seed)}}),
            5 => json!({"categories": ["Red category"], "importance": "high"}),
            6 => {
                json!({"sensitivity": self.rng.choice(["normal", "private"]), "isReminderOn": self.rng.bool()})
            }
            _ => {
                let person = text::person(seed, "contoso.example");
                let mail = json!({"name": person.name, "address": person.address});
                json!({"attendees": [{"type": "required", "emailAddress": mail}]})
            }
        }
    }

    fn update(&mut self) -> Option<Edited> {
        let serial = self.event()?;
        let kind = self.mailbox.events.get(&serial)?.own_row();
        let patch = self.members();
        self.patch("update", serial, kind, patch)
    }

    /// Moves an event in time, keeping its length, zone and kind.
    fn shift_by(&mut self, what: &'static str, serial: u64, shift_ms: i64) -> Option<Edited> {
        let kind = self.mailbox.events.get(&serial)?.own_row();
        let fields = &self.mailbox.events.get(&serial)?.fields;
        let label = if zone::resolve(&fields.zone_label).is_some() {
            fields.zone_label.clone()
        } else {
            "UTC".into()
        };
        let zone = if fields.is_all_day { jiff::tz::TimeZone::UTC } else { zone::resolve(&label)? };
        let time = |ms: i64| json!({"dateTime": zone::seven_digits(zone::wall(ms + shift_ms, &zone)), "timeZone": label});
        let patch = json!({"start": time(fields.start_ms), "end": time(fields.end_ms)});
        self.patch(what, serial, kind, patch)
    }

    fn shift(&mut self) -> Option<Edited> {
        let serial = self.single()?;
        let is_all_day = self.mailbox.events.get(&serial)?.fields.is_all_day;
        let step = if is_all_day { DAY_MS } else { 900_000 };
        let steps = self.rng.i64(-40..41);
        self.shift_by("shift", serial, steps * step)
    }

    fn move_out(&mut self) -> Option<Edited> {
        let (from, to) = self.window();
        let serial = self.event_that(|e| !e.is_series() && e.touches(from, to))?;
        let days = self.rng.choice([800, 1_200, -600]).unwrap_or(800);
        self.shift_by("move out", serial, days * DAY_MS)
    }

    fn move_in(&mut self) -> Option<Edited> {
        let (from, to) = self.window();
        let serial = self.event_that(|e| !e.is_series() && !e.touches(from, to))?;
        let start = self.mailbox.events.get(&serial)?.fields.start_ms;
        let days = i64::from(self.day()) - start.div_euclid(DAY_MS);
        self.shift_by("move in", serial, days * DAY_MS)
    }

    fn delete(&mut self, whole_series: bool) -> Option<Edited> {
        let serial = if whole_series { self.series()? } else { self.single()? };
        let (id, kind) = (id_of(self.mailbox, serial), self.mailbox.events.get(&serial)?.own_row());
        self.mailbox.take(serial, kind, self.quirks.series_tombstones, self.now_ms);
        Some(Edited { what: if whole_series { "delete series" } else { "delete" }, id })
    }

    fn delete_occurrence(&mut self) -> Option<Edited> {
        let (serial, kind) = self.instance()?;
        let id = row_id(self.mailbox, serial, kind);
        self.mailbox.take(serial, kind, false, self.now_ms);
        Some(Edited { what: "delete occurrence", id })
    }

    fn except(&mut self) -> Option<Edited> {
        let (serial, kind) = self.instance()?;
        let event = self.mailbox.events.get(&serial)?;
        let (times, is_all_day) = (event.times(kind), event.fields.is_all_day);
        let patch = self.seeder().exception(times, is_all_day);
        self.patch("except", serial, kind, Value::Object(patch))
    }

    fn revert(&mut self) -> Option<Edited> {
        let serial = self.event_that(|e| {
            e.series.as_ref().is_some_and(|s| !s.exceptions.is_empty() || !s.cancelled.is_empty())
        })?;
        let series = self.mailbox.events.get(&serial)?.series.as_ref()?;
        let slots: Vec<i32> = series.exceptions.keys().chain(&series.cancelled).copied().collect();
        let slot = self.rng.choice(slots)?;
        self.mailbox.revert_slot(serial, slot, self.now_ms);
        self.done("revert", serial)
    }

    fn change_calendar(&mut self) -> Option<Edited> {
        let serial = self.event()?;
        let calendar = self.calendar()?;
        self.mailbox.move_to(serial, calendar, self.now_ms).then_some(())?;
        self.done("change calendar", serial)
    }

    fn convert(&mut self) -> Option<Edited> {
        let serial = self.event()?;
        let event = self.mailbox.events.get(&serial)?;
        if event.is_series() {
            let kind = event.own_row();
            return self.patch("make single", serial, kind, json!({"recurrence": null}));
        }
        let fields = event.fields.clone();
        let start = fields.start_day();
        let recurrence = self.seeder().recurrence(start, false, &fields);
        let patch = json!({"recurrence": recurrence::encode(&recurrence)});
        self.patch("make series", serial, RowKind::Single, patch)
    }

    fn respond(&mut self) -> Option<Edited> {
        let serial = self.event_that(|e| !e.fields.attendees.is_empty())?;
        let event = self.mailbox.events.get(&serial)?;
        let (kind, is_mine) = (event.own_row(), event.fields.organizer.is_none());
        let everybody: Vec<String> =
            event.fields.attendees.iter().map(|a| a.person.address.clone()).collect();
        let response = self.rng.choice(["accepted", "tentativelyAccepted", "declined"])?;
        let who = if is_mine || self.rng.bool() { self.rng.choice(everybody) } else { None };
        self.mailbox.answered(serial, kind, who.as_deref(), response, self.quirks, self.now_ms).ok()?;
        self.done("respond", serial)
    }

    fn cancel(&mut self) -> Option<Edited> {
        let serial = self.event_that(|e| e.fields.organizer.is_some())?;
        let kind = self.mailbox.events.get(&serial)?.own_row();
        self.mailbox.cancelled(serial, kind, self.quirks, self.now_ms).ok()?;
        self.done("cancel", serial)
    }

    fn change_series(&mut self) -> Option<Edited> {
        let serial = self.series()?;
        if self.rng.u32(0..3) == 0 {
            let minutes = self.rng.i64(-4..5) * 15 * 60_000;
            let is_all_day = self.mailbox.events.get(&serial)?.fields.is_all_day;
            return self.shift_by("shift series", serial, if is_all_day { DAY_MS } else { minutes });
        }
        let event = self.mailbox.events.get(&serial)?;
        let (fields, start) = (event.fields.clone(), event.fields.start_day());
        let mut changed = event.series.as_ref()?.recurrence.clone();
        if self.rng.bool() {
            let today = zone::utc_day(self.now_ms);
            let end = Range::EndDate((today + self.rng.i32(-20..200)).max(start));
            let zone_name = changed.zone_name.clone();
            changed = recurrence::Recurrence::new(changed.pattern, changed.interval, end, start, &zone_name);
        } else {
            changed = self.seeder().recurrence(start, false, &fields);
        }
        self.patch(
            "change series",
            serial,
            RowKind::Master,
            json!({"recurrence": recurrence::encode(&changed)}),
        )
    }

    fn all_day(&mut self) -> Option<Edited> {
        let serial = self.single()?;
        let fields = &self.mailbox.events.get(&serial)?.fields;
        let day = zone::date_of(fields.start_day());
        let time = |text: String| json!({"dateTime": text, "timeZone": "UTC"});
        let patch = if fields.is_all_day {
            json!({"isAllDay": false, "start": time(format!("{day}T09:00:00")), "end": time(format!("{day}T10:00:00"))})
        } else {
            let next = zone::date_of(zone::day_of(day) + 1);
            json!({"isAllDay": true, "start": time(format!("{day}T00:00:00")), "end": time(format!("{next}T00:00:00"))})
        };
        self.patch("all day", serial, RowKind::Single, patch)
    }

    fn touch(&mut self) -> Option<Edited> {
        let serial = self.event()?;
        self.mailbox.touch(serial, self.now_ms);
        self.done("touch", serial)
    }

    fn calendars(&mut self) -> Option<Edited> {
        let own: Vec<u64> =
            self.mailbox.calendars.values().filter(|c| c.is_removable).map(|c| c.serial).collect();
        let name = format!("Calendar {}", self.rng.u32(..));
        let id = |mailbox: &Mailbox, serial| mailbox.calendar_id(serial, Form::Immutable);
        match self.rng.u32(0..4) {
            0 if own.len() < 12 => {
                let serial = self.mailbox.add_calendar(&name);
                Some(Edited { what: "add calendar", id: id(self.mailbox, serial) })
            }
            1 if own.len() > 2 => {
                let serial = self.rng.choice(own)?;
                let id = id(self.mailbox, serial);
                self.mailbox.remove_calendar(serial);
                Some(Edited { what: "delete calendar", id })
            }
            _ => {
                let serial = self.rng.choice(own)?;
                let key = self.mailbox.fresh_key();
                let calendar = self.mailbox.calendars.get_mut(&serial)?;
                calendar.name = name;
                calendar.key = key;
                Some(Edited { what: "rename calendar", id: id(self.mailbox, serial) })
            }
        }
    }
}
