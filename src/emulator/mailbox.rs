//! One mailbox: calendars, events, and the log of what changed when.
//!
//! The log holds every event once, at its latest change, so that a delta round reads only what is new to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::delta::Lines;
use super::fields::{Fields, Person, Trust};
use super::ident::{Form, Ids, Target};
use super::presence::Presence;
use super::recurrence::Recurrence;
use super::wire::Refusal;
use super::zone::{self, DAY_MS};

/// Writes a mailbox remembers.
const WRITES_MAX: usize = 100_000;

/// A changed instance: Graph members laid over its master's.
#[derive(Clone)]
pub(crate) struct Exception {
    pub patch: Map<String, Value>,
    /// Its own times, if they differ: kept, so that looking at a window need not read the patch.
    pub times: Option<(i64, i64)>,
    pub seq: u64,
    pub key: u64,
    pub modified_ms: i64,
}

/// A series' own part of an event.
#[derive(Clone)]
pub(crate) struct Series {
    pub recurrence: Recurrence,
    pub exceptions: BTreeMap<i32, Exception>,
    pub cancelled: BTreeSet<i32>,
    /// When all occurrences last changed.
    pub slots_seq: u64,
    /// When single slots became plain occurrences again.
    pub slot_seq: BTreeMap<i32, u64>,
}

/// A single event or a series.
#[derive(Clone)]
pub(crate) struct Event {
    pub serial: u64,
    pub calendar: u64,
    pub fields: Fields,
    pub series: Option<Series>,
    /// Where it stands in the log: the latest change of any of its rows.
    pub seq: u64,
    /// The latest change of its own (single or master) row.
    pub row_seq: u64,
    /// When it came into its calendar.
    pub born_seq: u64,
    /// The count behind its change key.
    pub key: u64,
    /// How many calendars it has lived in.
    pub moves: u16,
    pub created_ms: i64,
    pub modified_ms: i64,
}

/// Which row of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowKind {
    Single,
    Master,
    Occurrence(i32),
    Exception(i32),
}

impl Event {
    /// The fields of one row, times included.
    pub fn row(&self, kind: RowKind) -> Fields {
        let mut fields = self.fields.clone();
        match kind {
            RowKind::Single | RowKind::Master => {}
            RowKind::Occurrence(slot) => (fields.start_ms, fields.end_ms) = self.slot_times(slot),
            RowKind::Exception(slot) => {
                (fields.start_ms, fields.end_ms) = self.slot_times(slot);
                if let Some(exception) = self.series.as_ref().and_then(|s| s.exceptions.get(&slot)) {
                    // A stored patch was accepted once; what no longer fits its master is left out.
                    let _ = fields.apply(&exception.patch, Trust::Server);
                }
            }
        }
        fields
    }

    /// Start and end of a row without its texts.
    pub fn times(&self, kind: RowKind) -> (i64, i64) {
        match kind {
            RowKind::Single | RowKind::Master => (self.fields.start_ms, self.fields.end_ms),
            RowKind::Occurrence(slot) => self.slot_times(slot),
            RowKind::Exception(slot) => {
                let exception = self.series.as_ref().and_then(|s| s.exceptions.get(&slot));
                exception.and_then(|e| e.times).unwrap_or_else(|| self.slot_times(slot))
            }
        }
    }

    /// The times of a slot at the master's wall clock.
    pub fn slot_times(&self, slot: i32) -> (i64, i64) {
        self.slot_clock().times(slot)
    }

    fn slot_clock(&self) -> SlotClock {
        let zone = self.fields.wall_zone();
        let start = zone::wall(self.fields.start_ms, &zone);
        let end = zone::wall(self.fields.end_ms, &zone);
        let days = zone::day_of(end.date()) - zone::day_of(start.date());
        SlotClock { is_fixed: zone == TimeZone::UTC, zone, start: start.time(), days, end: end.time() }
    }

    /// The instances overlapping `[from, to)`: the event itself, or its occurrences and exceptions, by slot.
    pub fn instances(&self, from_ms: i64, to_ms: i64) -> Vec<RowKind> {
        let Some(series) = &self.series else {
            let inside = overlaps(self.fields.start_ms, self.fields.end_ms, from_ms, to_ms);
            return if inside { vec![RowKind::Single] } else { Vec::new() };
        };
        let long = i32::try_from((self.fields.end_ms - self.fields.start_ms).max(0) / DAY_MS)
            .unwrap_or(4_000)
            .min(4_000);
        let (first, last) = (zone::utc_day(from_ms) - long - 2, zone::utc_day(to_ms) + 2);
        let mut rows = Vec::new();
        let clock = self.slot_clock();
        for slot in series.recurrence.slots(first, last) {
            if !series.cancelled.contains(&slot) && !series.exceptions.contains_key(&slot) {
                let (start, end) = clock.times(slot);
                if overlaps(start, end, from_ms, to_ms) {
                    rows.push(RowKind::Occurrence(slot));
                }
            }
        }
        for (slot, exception) in &series.exceptions {
            let (start, end) = exception.times.unwrap_or_else(|| clock.times(*slot));
            if overlaps(start, end, from_ms, to_ms) {
                rows.push(RowKind::Exception(*slot));
            }
        }
        rows
    }

    /// Whether any instance overlaps `[from, to)`.
    pub fn touches(&self, from_ms: i64, to_ms: i64) -> bool {
        !self.instances(from_ms, to_ms).is_empty()
    }

    pub fn is_series(&self) -> bool {
        self.series.is_some()
    }

    /// The row a slot shows, if it shows any.
    pub fn slot_row(&self, slot: i32) -> Option<RowKind> {
        let series = self.series.as_ref()?;
        if series.exceptions.contains_key(&slot) {
            Some(RowKind::Exception(slot))
        } else if series.recurrence.contains(slot) && !series.cancelled.contains(&slot) {
            Some(RowKind::Occurrence(slot))
        } else {
            None
        }
    }

    pub fn target(&self, kind: RowKind) -> Target {
        match kind {
            RowKind::Single | RowKind::Master => Target::Event(self.serial),
            RowKind::Occurrence(slot) | RowKind::Exception(slot) => Target::Slot(self.serial, slot),
        }
    }

    /// The count behind a row's change key.
    pub fn row_key(&self, kind: RowKind) -> u64 {
        let series = self.series.as_ref();
        match kind {
            RowKind::Single | RowKind::Master => self.key,
            RowKind::Occurrence(slot) => {
                let of_slot = series.and_then(|s| s.slot_seq.get(&slot)).copied().unwrap_or(0);
                of_slot.max(series.map_or(0, |s| s.slots_seq)) ^ (1 << 40)
            }
            RowKind::Exception(slot) => series.and_then(|s| s.exceptions.get(&slot)).map_or(0, |e| e.key),
        }
    }

    pub fn own_row(&self) -> RowKind {
        if self.is_series() { RowKind::Master } else { RowKind::Single }
    }
}

/// Turns slots into times; the zone is looked at once.
struct SlotClock {
    zone: TimeZone,
    is_fixed: bool,
    start: Time,
    days: i32,
    end: Time,
}

impl SlotClock {
    fn times(&self, slot: i32) -> (i64, i64) {
        let at = |day: i32, time: Time| {
            let wall = zone::date_of(day).to_datetime(time);
            if self.is_fixed { zone::as_utc(wall) } else { zone::instant(wall, &self.zone) }
        };
        let start_ms = at(slot, self.start);
        (start_ms, at(slot.saturating_add(self.days), self.end).max(start_ms))
    }
}

pub(crate) fn overlaps(start: i64, end: i64, from: i64, to: i64) -> bool {
    start < to && (end > from || (start == end && start >= from))
}

#[derive(Clone)]
pub(crate) struct Calendar {
    pub serial: u64,
    pub name: String,
    pub color: &'static str,
    pub hex_color: &'static str,
    /// `None`: the mailbox owner.
    pub owner: Option<Person>,
    pub can_edit: bool,
    pub can_view_private: bool,
    pub is_removable: bool,
    /// Delta answers page 1 and denies page 2.
    pub denies_page_two: bool,
    pub key: u64,
    /// Singles before series: `(is_series, serial)`.
    pub items: BTreeSet<(bool, u64)>,
}

impl Calendar {
    pub fn is_shared(&self) -> bool {
        self.owner.is_some()
    }
}

/// What the log says at one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The event changed, whichever calendar it is in.
    Item(u64),
    /// The event left the calendar.
    Gone { calendar: u64, serial: u64, moves: u16 },
    /// The slot's row vanished, for services that tell so.
    GoneSlot { calendar: u64, serial: u64, moves: u16, slot: i32 },
}

/// Something that happens later by itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Deferred {
    RotateKey(u64),
    JoinUrl(u64),
    Respond { serial: u64, slot: Option<i32>, response: &'static str },
    Remove { serial: u64, slot: Option<i32> },
}

/// Somebody whose mailbox this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The directory's id, a GUID.
    pub id: String,
    /// The displayed name.
    pub name: String,
    /// The address, which is also the user principal name.
    pub address: String,
}

/// Mail the service would have sent.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mail {
    /// The event, as its immutable id.
    pub event: String,
    /// `invite`, `update`, `cancel`, `respond` or `forward`.
    pub what: &'static str,
    /// To how many people.
    pub recipients: usize,
    /// Their addresses.
    pub to: Vec<String>,
    /// When, by the service's clock.
    pub at_ms: i64,
}

/// One write that took effect, or a create that was answered with the event it had made before.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Write {
    /// When, by the service's clock.
    pub at_ms: i64,
    /// `create`, `patch`, `delete`, or the action's name.
    pub what: String,
    /// The event or occurrence, as its immutable id.
    pub event: String,
    /// The client-chosen id of a create.
    pub transaction_id: Option<String>,
    /// The names of the members that were sent.
    pub members: Vec<String>,
    /// Whether it came with `If-Match`.
    pub is_conditional: bool,
    /// Whether nothing was done: the create was known.
    pub is_replay: bool,
    /// Of the request's body: two bodies with one digest are the same bytes.
    pub digest: String,
}

/// A create as it is remembered by its transaction id.
#[derive(Clone)]
pub(crate) struct Created {
    pub serial: u64,
    pub digest: String,
}

#[derive(Clone)]
pub(crate) struct Mailbox {
    pub user: User,
    pub ids: Ids,
    pub zone_name: String,
    pub calendars: BTreeMap<u64, Calendar>,
    pub default_calendar: u64,
    pub events: BTreeMap<u64, Event>,
    pub log: BTreeMap<u64, Entry>,
    pub lines: Lines,
    pub transactions: BTreeMap<String, Created>,
    pub deferred: BTreeMap<(i64, u64), Deferred>,
    pub mails: Vec<Mail>,
    /// The latest [`WRITES_MAX`].
    pub writes: VecDeque<Write>,
    pub settings: Map<String, Value>,
    pub presence: Presence,
    /// Changes delta will never tell.
    pub silent_rate: f64,
    pub slot_tombstones: bool,
    next_serial: u64,
    next_seq: u64,
    next_key: u64,
}

impl Mailbox {
    pub fn new(user: User, ids: Ids, zone_name: &str) -> Mailbox {
        Mailbox {
            user,
            ids,
            zone_name: zone_name.into(),
            calendars: BTreeMap::new(),
            default_calendar: 0,
            events: BTreeMap::new(),
            log: BTreeMap::new(),
            lines: Lines::default(),
            transactions: BTreeMap::new(),
            deferred: BTreeMap::new(),
            mails: Vec::new(),
            writes: VecDeque::new(),
            settings: Map::new(),
            presence: Presence::default(),
            silent_rate: 0.0,
            slot_tombstones: false,
            next_serial: 16,
            next_seq: 1,
            next_key: 1,
        }
    }

    pub fn wrote(&mut self, write: Write) {
        if self.writes.len() >= WRITES_MAX {
            self.writes.pop_front();
        }
        self.writes.push_back(write);
    }

    pub fn serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial
    }

    /// The log's present end.
    pub fn seq(&self) -> u64 {
        self.next_seq - 1
    }

    pub fn fresh_key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }

    fn next_seq(&mut self) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }

    pub fn later(&mut self, due_ms: i64, what: Deferred) {
        let seq = self.next_seq();
        self.deferred.insert((due_ms, seq), what);
    }

    pub fn calendar_id(&self, serial: u64, form: Form) -> String {
        self.ids.encode(Target::Calendar(serial), form, 0)
    }

    pub fn id(&self, event: &Event, kind: RowKind, form: Form) -> String {
        self.ids.encode(event.target(kind), form, event.moves)
    }

    /// The event and row behind an id, in either form; the plain form only if it is the present one.
    pub fn find(&self, id: &str) -> Result<(u64, RowKind), Refusal> {
        let malformed = || Refusal::new(400, "ErrorInvalidIdMalformed", "Id is malformed.");
        let (target, form, moves) = self.ids.decode(id).ok_or_else(malformed)?;
        let (serial, slot) = match target {
            Target::Event(serial) => (serial, None),
            Target::Slot(serial, slot) => (serial, Some(slot)),
            Target::Calendar(_) => return Err(malformed()),
        };
        let event = self.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        if form == Form::Plain && moves != event.moves {
            return Err(Refusal::item_not_found());
        }
        let kind = match slot {
            None => event.own_row(),
            Some(slot) => event.slot_row(slot).ok_or_else(Refusal::item_not_found)?,
        };
        Ok((serial, kind))
    }

    pub fn find_calendar(&self, id: &str) -> Result<u64, Refusal> {
        match self.ids.decode(id) {
            Some((Target::Calendar(serial), _, _)) if self.calendars.contains_key(&serial) => Ok(serial),
            Some((Target::Calendar(_), _, _)) => Err(Refusal::item_not_found()),
            _ => Err(Refusal::new(400, "ErrorInvalidIdMalformed", "Id is malformed.")),
        }
    }

    /// Adds a calendar and returns its serial.
    pub fn add_calendar(&mut self, name: &str) -> u64 {
        let serial = self.serial();
        let key = self.fresh_key();
        let calendar = Calendar {
            serial,
            name: name.into(),
            color: "auto",
            hex_color: "",
            owner: None,
            can_edit: true,
            can_view_private: true,
            is_removable: true,
            denies_page_two: false,
            key,
            items: BTreeSet::new(),
        };
        self.calendars.insert(serial, calendar);
        serial
    }

    /// Puts a new event in and returns its serial.
    pub fn add(&mut self, calendar: u64, fields: Fields, recurrence: Option<Recurrence>, now_ms: i64) -> u64 {
        let serial = self.serial();
        let key = self.fresh_key();
        let seq = self.next_seq();
        let series = recurrence.map(|recurrence| Series {
            recurrence,
            exceptions: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            slots_seq: seq,
            slot_seq: BTreeMap::new(),
        });
        if let Some(calendar) = self.calendars.get_mut(&calendar) {
            calendar.items.insert((series.is_some(), serial));
        }
        let event = Event {
            serial,
            calendar,
            fields,
            series,
            seq,
            row_seq: seq,
            born_seq: seq,
            key,
            moves: 0,
            created_ms: now_ms,
            modified_ms: now_ms,
        };
        self.events.insert(serial, event);
        self.log.insert(seq, Entry::Item(serial));
        serial
    }

    /// Changes an event through `change`, which gets the event and the seq and key of this change, and moves it
    /// to the log's end.
    pub fn change<T>(
        &mut self,
        serial: u64,
        now_ms: i64,
        change: impl FnOnce(&mut Event, u64, u64) -> T,
    ) -> Option<T> {
        let key = self.fresh_key();
        let seq = self.next_seq();
        let silent = self.silent_rate > 0.0
            && super::ident::unit(super::ident::mix(seq, serial ^ 0x51)) < self.silent_rate;
        let event = self.events.get_mut(&serial)?;
        let was_series = event.is_series();
        let result = change(event, seq, key);
        event.modified_ms = now_ms;
        let (is_series, calendar) = (event.is_series(), event.calendar);
        if !silent {
            self.log.remove(&event.seq);
            event.seq = seq;
            self.log.insert(seq, Entry::Item(serial));
        }
        if was_series != is_series
            && let Some(calendar) = self.calendars.get_mut(&calendar)
        {
            calendar.items.remove(&(was_series, serial));
            calendar.items.insert((is_series, serial));
        }
        Some(result)
    }

    /// Marks an event's own row as changed.
    pub fn touch(&mut self, serial: u64, now_ms: i64) {
        self.change(serial, now_ms, |event, seq, key| {
            event.row_seq = seq;
            event.key = key;
        });
    }

    /// Takes an event out for good.
    pub fn remove(&mut self, serial: u64, with_slots: bool) -> Option<Event> {
        let event = self.events.remove(&serial)?;
        self.leave(&event, with_slots);
        Some(event)
    }

    fn leave(&mut self, event: &Event, with_slots: bool) {
        self.log.remove(&event.seq);
        if let Some(calendar) = self.calendars.get_mut(&event.calendar) {
            calendar.items.remove(&(event.is_series(), event.serial));
        }
        let (calendar, serial, moves) = (event.calendar, event.serial, event.moves);
        let seq = self.next_seq();
        self.log.insert(seq, Entry::Gone { calendar, serial, moves });
        if with_slots && let Some(series) = &event.series {
            let slots =
                series.recurrence.slots(series.recurrence.start_day, series.recurrence.start_day + 2_000);
            for slot in slots.into_iter().filter(|s| !series.cancelled.contains(s)).take(1_000) {
                let seq = self.next_seq();
                self.log.insert(seq, Entry::GoneSlot { calendar, serial, moves, slot });
            }
        }
    }

    /// Moves an event to another calendar: its immutable id stays, its plain id does not.
    pub fn move_to(&mut self, serial: u64, calendar: u64, now_ms: i64) -> bool {
        if !self.calendars.contains_key(&calendar) {
            return false;
        }
        let Some(mut event) = self.events.remove(&serial) else { return false };
        if event.calendar == calendar {
            self.events.insert(serial, event);
            return false;
        }
        self.leave(&event, false);
        let seq = self.next_seq();
        event.calendar = calendar;
        event.moves = event.moves.saturating_add(1);
        event.seq = seq;
        event.row_seq = seq;
        event.born_seq = seq;
        event.key = self.fresh_key();
        event.modified_ms = now_ms;
        if let Some(series) = &mut event.series {
            series.slots_seq = seq;
            for exception in series.exceptions.values_mut() {
                exception.seq = seq;
            }
        }
        if let Some(target) = self.calendars.get_mut(&calendar) {
            target.items.insert((event.is_series(), serial));
        }
        self.log.insert(seq, Entry::Item(serial));
        self.events.insert(serial, event);
        true
    }

    /// Takes one occurrence or exception out of its series.
    pub fn cancel_slot(&mut self, serial: u64, slot: i32, now_ms: i64) -> bool {
        let done = self.change(serial, now_ms, |event, seq, key| {
            event.row_seq = seq;
            event.key = key;
            let (calendar, moves) = (event.calendar, event.moves);
            let Some(series) = &mut event.series else { return None };
            series.exceptions.remove(&slot);
            series.cancelled.insert(slot);
            Some((calendar, moves))
        });
        match done.flatten() {
            None => false,
            Some((calendar, moves)) => {
                if self.slot_tombstones {
                    let seq = self.next_seq();
                    self.log.insert(seq, Entry::GoneSlot { calendar, serial, moves, slot });
                }
                true
            }
        }
    }

    /// Lays Graph members over one slot.
    pub fn except(&mut self, serial: u64, slot: i32, patch: Map<String, Value>, now_ms: i64) {
        self.change(serial, now_ms, |event, seq, key| {
            let Some(series) = &mut event.series else { return };
            let exception = series.exceptions.entry(slot).or_insert_with(|| Exception {
                patch: Map::new(),
                times: None,
                seq,
                key,
                modified_ms: now_ms,
            });
            exception.patch.extend(patch);
            exception.seq = seq;
            exception.key = key;
            exception.modified_ms = now_ms;
            // The master's version moves with any part of the series.
            event.row_seq = seq;
            event.key = key ^ (1 << 41);
            let fields = event.row(RowKind::Exception(slot));
            let times = (fields.start_ms, fields.end_ms);
            if let Some(exception) = event.series.as_mut().and_then(|s| s.exceptions.get_mut(&slot)) {
                exception.times = Some(times);
            }
        });
    }

    /// Makes an exception a plain occurrence again, or brings a cancelled slot back.
    pub fn revert_slot(&mut self, serial: u64, slot: i32, now_ms: i64) -> bool {
        self.change(serial, now_ms, |event, seq, key| {
            let Some(series) = &mut event.series else { return false };
            let was = series.exceptions.remove(&slot).is_some() | series.cancelled.remove(&slot);
            if was {
                series.slot_seq.insert(slot, seq);
                event.row_seq = seq;
                event.key = key;
            }
            was
        })
        .unwrap_or(false)
    }
}
