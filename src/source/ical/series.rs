//! The components of one UID to rows: a single, or a master with its occurrences and exceptions.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, NaiveDateTime};

use crate::model::{Details, EventKind, EventRecord, Key, RemoteId};
use crate::source::ical::event::Event;
use crate::source::ical::place::{Moment, wall_of_ms};
use crate::source::ical::problem::{ProblemKind, Problems};
use crate::source::ical::property::Length;
use crate::source::ical::rule::{Budget, Rule, Short, Until};
use crate::source::ical::{OCCURRENCES_MAX, ROWS_MAX, Reading};

/// How far an exception for all later occurrences may move them and still be seen whole.
const MOVE_MS_MAX: i64 = 400 * 86_400_000;
/// How long an event may be whose start lies before the window and that is still seen in it.
const LENGTH_MS_MAX: i64 = 400 * 86_400_000;

/// One slot of a series.
#[derive(Debug, Clone, PartialEq)]
struct Slot {
    ms: i64,
    wall: NaiveDateTime,
    length: Length,
}

/// Adds the rows of one UID that lie in the window.
pub(super) fn expand(
    uid: &str,
    events: Vec<Event>,
    reading: &Reading<'_>,
    budget: &mut Budget,
    records: &mut Vec<EventRecord>,
    problems: &mut Problems,
) {
    let (exceptions, bases): (Vec<Event>, Vec<Event>) =
        events.into_iter().partition(|event| event.slot.is_some());
    let note = |problems: &mut Problems, event: &Event, kind| {
        problems.note_at(event.line, Some(Key::of_remote(uid)), kind);
    };
    // The same UID and the same start are two versions of one event; another start is another event.
    let mut by_start: BTreeMap<(i64, bool), Event> = BTreeMap::new();
    for base in bases {
        let at = (base.start.ms, base.start.is_date);
        match by_start.remove(&at) {
            Some(other) => {
                let (old, new) = if base.version >= other.version { (other, base) } else { (base, other) };
                note(problems, &old, ProblemKind::Duplicate);
                by_start.insert(at, new);
            }
            None => {
                by_start.insert(at, base);
            }
        }
    }
    let mut by_slot: BTreeMap<(i64, bool), Event> = BTreeMap::new();
    for exception in exceptions {
        let Some(slot) = &exception.slot else { continue };
        let at = (slot.ms, exception.is_this_and_future);
        match by_slot.remove(&at) {
            Some(other) => {
                let newer = if exception.version >= other.version { exception } else { other };
                by_slot.insert(at, newer);
            }
            None => {
                by_slot.insert(at, exception);
            }
        }
    }
    let has_many = by_start.len() > 1;
    let mut orphans = by_slot;
    // Exceptions belong to the series; a UID used again for a single does not take them.
    let series_at = by_start.iter().find(|(_, base)| is_series(base)).map(|(at, _)| *at);
    for (at, base) in by_start {
        let id = match has_many {
            true => format!("{uid}|{}", slot_text(&base.start)),
            false => uid.to_owned(),
        };
        let rows = Rows { id: &id, reading };
        if is_series(&base) {
            let own = if Some(at) == series_at { std::mem::take(&mut orphans) } else { BTreeMap::new() };
            series(&rows, &base, own, budget, records, |kind| note(problems, &base, kind));
        } else {
            rows.push(records, EventKind::Single, None, &base, base.start.ms, base.end_ms());
        }
    }
    // Exceptions whose series is not in the file: an invitation to one occurrence.
    for exception in orphans.into_values() {
        let rows = Rows { id: uid, reading };
        let slot = exception.slot.as_ref().map(slot_text);
        rows.push(records, EventKind::Single, slot, &exception, exception.start.ms, exception.end_ms());
    }
}

fn is_series(event: &Event) -> bool {
    !event.rules.is_empty() || !event.added.is_empty()
}

impl Event {
    fn end_ms(&self) -> i64 {
        self.start.place.end_ms(self.start.wall, self.start.ms, self.length).max(self.start.ms)
    }
}

fn series(
    rows: &Rows<'_>,
    base: &Event,
    exceptions: BTreeMap<(i64, bool), Event>,
    budget: &mut Budget,
    records: &mut Vec<EventRecord>,
    mut note: impl FnMut(ProblemKind),
) {
    let room = ROWS_MAX.saturating_sub(records.len());
    let (later, alone): (Vec<Event>, Vec<Event>) =
        exceptions.into_values().partition(|exception| exception.is_this_and_future);
    let moved_ms = if later.is_empty() { 0 } else { MOVE_MS_MAX };
    let (slots, mut is_long) = slots(rows.reading, base, moved_ms, room, budget, &mut note);
    let mut found = Vec::new();
    // Exceptions of one slot, whether the rule has the slot or not.
    let mut taken: BTreeSet<i64> = BTreeSet::new();
    let mut taken_dates: BTreeSet<NaiveDate> = BTreeSet::new();
    for exception in &alone {
        let Some(slot) = &exception.slot else { continue };
        let slot_ms = match (slot.is_date, base.start.is_date) {
            (true, false) => {
                taken_dates.insert(slot.wall.date());
                slots.iter().find(|s| s.wall.date() == slot.wall.date()).map_or(slot.ms, |s| s.ms)
            }
            (false, true) => date_ms(slot.wall.date()),
            (true, true) | (false, false) => slot.ms,
        };
        taken.insert(slot_ms);
        let text = rows.slot_text(base, slot_ms);
        rows.push_exception(&mut found, text, exception, exception.start.ms, exception.end_ms(), slot_ms);
    }
    for slot in slots {
        if taken.contains(&slot.ms) || (!base.start.is_date && taken_dates.contains(&slot.wall.date())) {
            continue;
        }
        if found.len() >= room.min(OCCURRENCES_MAX) {
            is_long = true;
            break;
        }
        let text = rows.slot_text(base, slot.ms);
        let ruling =
            later.iter().rev().find(|ruling| ruling.slot.as_ref().is_some_and(|at| at.ms <= slot.ms));
        match ruling {
            // It and all later ones: moved as far as the first of them, on the clock on the wall.
            Some(ruling) => {
                let Some(at) = &ruling.slot else { continue };
                let place = &base.start.place;
                let moved = place.wall(ruling.start.ms) - place.wall(at.ms);
                let wall = slot.wall + moved;
                let (start_ms, end_ms) = if ruling.start.is_date {
                    let start_ms = date_ms(wall.date());
                    (start_ms, start_ms.saturating_add(ruling.length.ms()))
                } else {
                    let start_ms = place.instant_ms(wall);
                    (start_ms, place.end_ms(wall, start_ms, ruling.length))
                };
                rows.push_exception(&mut found, text, ruling, start_ms, end_ms, slot.ms);
            }
            None => {
                let end_ms = base.start.place.end_ms(slot.wall, slot.ms, slot.length).max(slot.ms);
                rows.push(&mut found, EventKind::Occurrence, Some(text), base, slot.ms, end_ms);
            }
        }
    }
    if is_long {
        note(ProblemKind::RuleLong);
    }
    if !found.is_empty() {
        records.push(rows.record(EventKind::Master, None, base, base.start.ms, base.end_ms()));
        records.append(&mut found);
    }
}

/// The slots that may touch the window, in order.
fn slots(
    reading: &Reading<'_>,
    base: &Event,
    moved_ms: i64,
    room: usize,
    budget: &mut Budget,
    note: &mut impl FnMut(ProblemKind),
) -> (Vec<Slot>, bool) {
    let place = &base.start.place;
    let reach = base.added.iter().filter_map(|(_, own)| *own).map(Length::ms).max().unwrap_or(0);
    let reach = reach.max(base.length.ms()).clamp(0, LENGTH_MS_MAX).saturating_add(2 * 86_400_000);
    // A ruling for later occurrences may move them into the window.
    let from_ms = reading.window.from_ms.saturating_sub(reach.saturating_add(moved_ms));
    let to_ms = reading.window.to_ms.saturating_add(moved_ms).saturating_add(86_400_000);
    let range = (wall_of_ms(from_ms), wall_of_ms(to_ms));
    let most = room.min(OCCURRENCES_MAX * 4);
    let mut is_long = false;
    let mut slots: BTreeMap<i64, Slot> = BTreeMap::new();
    let mut add = |wall: NaiveDateTime, ms: i64, length: Length| {
        slots.insert(ms, Slot { ms, wall, length });
    };
    // The start counts, in step with the rule or not (RFC 5545, 3.8.5.3).
    add(base.start.wall, base.start.ms, base.length);
    for text in &base.rules {
        let Some(rule) = Rule::read(text) else {
            note(ProblemKind::Rule);
            continue;
        };
        let until = rule.until.map(|until| match until {
            Until::Wall(wall) => wall,
            // A date's day is the one that is written.
            Until::Utc(utc) if base.start.is_date => utc,
            Until::Utc(utc) => place.wall(utc.and_utc().timestamp_millis()),
        });
        let (dates, short) = rule.dates(base.start.wall, until, range, most, budget);
        match short {
            Some(Short::Refused) => note(ProblemKind::Rule),
            Some(Short::Long) => is_long = true,
            None => {}
        }
        for wall in dates {
            let ms = if base.start.is_date { date_ms(wall.date()) } else { place.instant_ms(wall) };
            add(wall, ms, base.length);
        }
    }
    for (moment, own) in &base.added {
        let length = own.unwrap_or(base.length);
        if base.start.is_date {
            let date = moment.wall.date();
            add(date.and_time(chrono::NaiveTime::MIN), date_ms(date), length);
        } else if moment.is_date {
            let wall = moment.wall.date().and_time(base.start.wall.time());
            add(wall, place.instant_ms(wall), length);
        } else {
            add(place.wall(moment.ms), moment.ms, length);
        }
    }
    // A date takes every occurrence of that day, as Apple and older Outlooks mean it.
    let (dates, instants): (Vec<&Moment>, Vec<&Moment>) =
        base.removed.iter().partition(|moment| moment.is_date);
    let dates: BTreeSet<NaiveDate> = dates.iter().map(|moment| moment.wall.date()).collect();
    let removed: BTreeSet<i64> = match base.start.is_date {
        true => instants.iter().map(|moment| date_ms(moment.wall.date())).collect(),
        false => instants.iter().map(|moment| moment.ms).collect(),
    };
    let kept =
        slots.into_values().filter(|slot| !removed.contains(&slot.ms) && !dates.contains(&slot.wall.date()));
    (kept.filter(|slot| slot.ms < to_ms && slot.ms >= from_ms).collect(), is_long)
}

fn date_ms(date: NaiveDate) -> i64 {
    date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis()
}

/// How the id of an occurrence names its slot.
fn slot_text(slot: &Moment) -> String {
    slot_text_of(slot.ms, slot.is_date)
}

fn slot_text_of(ms: i64, is_date: bool) -> String {
    let form = if is_date { "%Y%m%d" } else { "%Y%m%dT%H%M%SZ" };
    wall_of_ms(ms).format(form).to_string()
}

/// Builds rows of one event or series.
struct Rows<'a> {
    id: &'a str,
    reading: &'a Reading<'a>,
}

impl Rows<'_> {
    fn slot_text(&self, base: &Event, slot_ms: i64) -> String {
        slot_text_of(slot_ms, base.start.is_date)
    }

    fn remote_id(&self, slot: Option<&str>) -> RemoteId {
        let mut id = format!("{}|{}", self.reading.calendar, self.id);
        if let Some(slot) = slot {
            id.push('|');
            id.push_str(slot);
        }
        RemoteId::new(id)
    }

    /// Adds a row, if it lies in the window and there is room.
    fn push(
        &self,
        records: &mut Vec<EventRecord>,
        kind: EventKind,
        slot: Option<String>,
        event: &Event,
        start_ms: i64,
        end_ms: i64,
    ) {
        if self.reading.window.overlaps(start_ms, end_ms) && records.len() < ROWS_MAX {
            records.push(self.record(kind, slot.as_deref(), event, start_ms, end_ms));
        }
    }

    fn push_exception(
        &self,
        records: &mut Vec<EventRecord>,
        slot: String,
        event: &Event,
        start_ms: i64,
        end_ms: i64,
        slot_ms: i64,
    ) {
        let end_ms = end_ms.max(start_ms);
        if self.reading.window.overlaps(start_ms, end_ms) && records.len() < ROWS_MAX {
            let mut record = self.record(EventKind::Exception, Some(&slot), event, start_ms, end_ms);
            record.original_start_ms = Some(slot_ms);
            record.change_key = Some(version(&record));
            records.push(record);
        }
    }

    fn record(
        &self,
        kind: EventKind,
        slot: Option<&str>,
        event: &Event,
        start_ms: i64,
        end_ms: i64,
    ) -> EventRecord {
        let series = match kind {
            EventKind::Occurrence | EventKind::Exception => Some(self.remote_id(None)),
            EventKind::Single | EventKind::Master => None,
        };
        let details = (kind != EventKind::Occurrence).then(|| Box::new(event.details.clone()));
        let mut record = EventRecord {
            remote_id: self.remote_id(slot),
            kind,
            change_key: None,
            series,
            start_ms,
            end_ms,
            original_start_ms: None,
            modified_ms: event.modified_ms,
            details,
        };
        record.change_key = Some(version(&record));
        record
    }
}

/// The version of a row: a hash of what it says. iCalendar has none that can be trusted; SEQUENCE and DTSTAMP change
/// without a change, and do not with one.
fn version(record: &EventRecord) -> String {
    let EventRecord {
        remote_id: _,
        kind,
        change_key: _,
        series: _,
        start_ms,
        end_ms,
        original_start_ms,
        modified_ms: _,
        details,
    } = record;
    let said: (&str, i64, i64, &Option<i64>, &Option<Box<Details>>) =
        (kind.code(), *start_ms, *end_ms, original_start_ms, details);
    let written = serde_json::to_vec(&said).unwrap_or_default();
    blake3::hash(&written).to_hex().get(..32).unwrap_or_default().to_owned()
}
