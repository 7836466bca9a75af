//! Which instant a stamp is: UTC, a zone by name, a zone by the file's own rules, or floating.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

use crate::source::ical::Reading;
use crate::source::ical::component::{Block, File};
use crate::source::ical::property::{Length, Stamp, When, date_or_time, offset};
use crate::source::ical::rule::{Budget, Rule, Until};
use crate::zones::{Zone, Zones};

/// Changes of offset of one observance that count.
const CHANGES_MAX: usize = 400;
/// Observances of one zone that count.
const OBSERVANCES_MAX: usize = 500;
/// Own rules are expanded between these years.
const YEARS: (i32, i32) = (1970, 2100);

/// A zone.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    /// One that the database knows.
    Named(Zone),
    /// One that the file describes.
    Own(Arc<OwnZone>),
}

/// A zone by its file's rules: the name there, and the changes of its offset.
#[derive(Debug, PartialEq)]
pub(super) struct OwnZone {
    name: String,
    /// From this UTC instant on this offset; ascending.
    changes: Vec<(i64, i64)>,
    /// Before all of them.
    first_offset: i64,
}

impl Place {
    /// The name, as it is shown.
    pub(super) fn name(&self) -> &str {
        match self {
            Place::Named(zone) => zone.name(),
            Place::Own(own) => &own.name,
        }
    }

    /// The instant of a wall time. In a gap the offset before it counts, in a fold the first instant.
    pub(super) fn instant_ms(&self, wall: NaiveDateTime) -> i64 {
        match self {
            Place::Named(zone) => zone.instant_ms(wall),
            Place::Own(own) => own.instant_ms(wall.and_utc().timestamp_millis()),
        }
    }

    /// The wall time at an instant.
    pub(super) fn wall(&self, ms: i64) -> NaiveDateTime {
        match self {
            Place::Named(zone) => zone.wall(ms),
            Place::Own(own) => wall_of_ms(ms.saturating_add(own.offset_at(ms))),
        }
    }

    /// The end of what starts at `wall`, which is `start_ms`.
    pub(super) fn end_ms(&self, wall: NaiveDateTime, start_ms: i64, length: Length) -> i64 {
        match length {
            Length::Exact(ms) => start_ms.saturating_add(ms),
            Length::Wall(ms) => {
                self.instant_ms(wall_of_ms(wall.and_utc().timestamp_millis().saturating_add(ms)))
            }
        }
    }
}

impl OwnZone {
    fn offset_at(&self, ms: i64) -> i64 {
        let after = self.changes.partition_point(|(from_ms, _)| *from_ms <= ms);
        after
            .checked_sub(1)
            .and_then(|at| self.changes.get(at))
            .map_or(self.first_offset, |(_, offset)| *offset)
    }

    fn instant_ms(&self, wall_ms: i64) -> i64 {
        // Offsets are less than a day or two: only the changes around can matter.
        let near =
            self.changes.partition_point(|(from_ms, _)| *from_ms < wall_ms.saturating_sub(2 * 86_400_000));
        let mut offset =
            near.checked_sub(1).and_then(|at| self.changes.get(at)).map_or(self.first_offset, |c| c.1);
        for (from_ms, next) in self.changes.iter().skip(near) {
            // The first offset that puts the wall time before its own end; in a gap that is the one before it.
            let is_before = wall_ms.saturating_sub(offset) < *from_ms;
            let is_gap = !is_before && wall_ms.saturating_sub(*next) < *from_ms;
            if is_before || is_gap {
                break;
            }
            offset = *next;
        }
        wall_ms.saturating_sub(offset)
    }

    /// Builds a zone of a VTIMEZONE; `None` when it has no rules that can be read.
    fn read(name: &str, block: &Block) -> Option<OwnZone> {
        let mut changes: Vec<(i64, i64)> = Vec::new();
        let mut earliest: Option<(i64, i64)> = None;
        let mut budget = Budget::default();
        for part in block.parts.iter().take(OBSERVANCES_MAX) {
            if part.name != "STANDARD" && part.name != "DAYLIGHT" {
                continue;
            }
            let number = |name: &str| part.get(name).and_then(|property| offset(&property.value));
            let (Some(from), Some(to)) = (number("TZOFFSETFROM"), number("TZOFFSETTO")) else { continue };
            let Some(start) = part.get("DTSTART").and_then(|property| wall_of(&property.value)) else {
                continue;
            };
            let at = |wall: NaiveDateTime| wall.and_utc().timestamp_millis().saturating_sub(from);
            changes.push((at(start), to));
            if earliest.is_none_or(|(ms, _)| at(start) < ms) {
                earliest = Some((at(start), from));
            }
            for property in part.all("RRULE") {
                let Some(rule) = Rule::read(&property.value) else { continue };
                let until = rule.until.map(|until| match until {
                    Until::Wall(wall) => wall,
                    Until::Utc(utc) => wall_of_ms(utc.and_utc().timestamp_millis().saturating_add(from)),
                });
                let range = (year_start(YEARS.0), year_start(YEARS.1));
                let (dates, _) = rule.dates(start, until, range, CHANGES_MAX, &mut budget);
                changes.extend(dates.into_iter().map(|wall| (at(wall), to)));
            }
            for property in part.all("RDATE") {
                let dates = property.value.split(',').take(CHANGES_MAX).filter_map(wall_of);
                changes.extend(dates.map(|wall| (at(wall), to)));
            }
        }
        let (_, first_offset) = earliest?;
        changes.sort_unstable();
        changes.dedup();
        Some(OwnZone { name: name.to_owned(), changes, first_offset })
    }
}

fn wall_of(text: &str) -> Option<NaiveDateTime> {
    match date_or_time(text)? {
        (When::Date(date), _) => Some(date.and_time(NaiveTime::MIN)),
        (When::Time(time), _) => Some(time),
    }
}

fn year_start(year: i32) -> NaiveDateTime {
    NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default().and_time(NaiveTime::MIN)
}

/// The wall time that `ms` is in UTC.
pub(super) fn wall_of_ms(ms: i64) -> NaiveDateTime {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().naive_utc()
}

/// What a stamp means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    /// The instant; of a date its midnight as if it were UTC.
    pub(super) ms: i64,
    /// The wall time in `place`; of a date its midnight.
    pub(super) wall: NaiveDateTime,
    /// Whether it is a date.
    pub(super) is_date: bool,
    /// Where.
    pub(super) place: Place,
    /// The zone it was written in is unknown.
    pub(super) is_guess: bool,
    /// No zone was written.
    pub(super) is_floating: bool,
}

/// The zones of one file.
pub(super) struct Book<'a> {
    blocks: BTreeMap<&'a str, &'a Block>,
    zones: &'a Zones,
    local: Place,
    own: Option<Place>,
    /// Zones looked up: a file names the same one in every component.
    known: RefCell<BTreeMap<String, Option<Place>>>,
}

impl<'a> Book<'a> {
    pub(super) fn new(file: &'a File, reading: &Reading<'a>) -> Book<'a> {
        let mut blocks = BTreeMap::new();
        for block in &file.zones {
            if let Some(name) = block.get("TZID") {
                blocks.entry(name.value.trim()).or_insert(block);
            }
        }
        let own = file.zone.as_deref().and_then(|name| reading.zones.resolve(name)).map(Place::Named);
        let local = Place::Named(reading.zone.clone());
        Book { blocks, zones: reading.zones, local, own, known: RefCell::default() }
    }

    pub(super) fn moment(&self, stamp: &Stamp) -> Moment {
        let at = |wall: NaiveDateTime, place: Place, is_guess: bool| Moment {
            ms: place.instant_ms(wall),
            wall,
            is_date: false,
            place,
            is_guess,
            is_floating: false,
        };
        match stamp {
            Stamp::Date(date) => {
                let wall = date.and_time(NaiveTime::MIN);
                let ms = wall.and_utc().timestamp_millis();
                Moment {
                    ms,
                    wall,
                    is_date: true,
                    place: Place::Named(Zone::utc()),
                    is_guess: false,
                    is_floating: true,
                }
            }
            Stamp::Utc(utc) => at(*utc, Place::Named(Zone::utc()), false),
            Stamp::Wall { wall, zone: None } => {
                Moment { is_floating: true, ..at(*wall, self.local.clone(), false) }
            }
            Stamp::Wall { wall, zone: Some(name) } => match self.place(name) {
                Some(place) => at(*wall, place, false),
                None => at(*wall, self.own.clone().unwrap_or_else(|| self.local.clone()), true),
            },
        }
    }

    fn place(&self, name: &str) -> Option<Place> {
        if let Some(place) = self.known.borrow().get(name) {
            return place.clone();
        }
        let place = self.look_up(name);
        let mut known = self.known.borrow_mut();
        // A file with a new name in every component is not remembered for ever.
        if known.len() < 10_000 {
            known.insert(name.to_owned(), place.clone());
        }
        place
    }

    /// By name first: the database knows laws that changed after the file was written. Then by the file's rules.
    fn look_up(&self, name: &str) -> Option<Place> {
        let name = name.trim();
        let block = self.blocks.get(name);
        let named = self.named(name).or_else(|| {
            let location = block?.get("X-LIC-LOCATION")?;
            self.zones.resolve(&location.value)
        });
        match named {
            Some(zone) => Some(Place::Named(zone)),
            None => OwnZone::read(name, block?).map(|own| Place::Own(Arc::new(own))),
        }
    }

    /// `Europe/Berlin`, `W. Europe Standard Time`, and paths that end with an IANA name, as libical and Mozilla write.
    fn named(&self, name: &str) -> Option<Zone> {
        let unquoted = name.trim_matches('"');
        self.zones.resolve(unquoted).or_else(|| {
            let parts: Vec<&str> = unquoted.strip_prefix('/')?.split('/').collect();
            [2, 3, 1].into_iter().find_map(|count| {
                let tail = parts.get(parts.len().checked_sub(count)?..)?;
                self.zones.resolve(&tail.join("/"))
            })
        })
    }
}
