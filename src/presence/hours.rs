use chrono::{Datelike, Days, NaiveTime};

use crate::model::Window;
use crate::presence::{Weekday, WorkingHours};
use crate::zones::Zone;

/// No range is cut into more days than this.
const DAYS_MAX: usize = 4_000;

impl Weekday {
    /// The day of the week that `ms` falls on in `zone`.
    pub(super) fn at(zone: &Zone, ms: i64) -> Weekday {
        Weekday::of(zone.date(ms).weekday())
    }

    /// From the calendar's arithmetic.
    pub(super) fn of(day: chrono::Weekday) -> Weekday {
        match day {
            chrono::Weekday::Mon => Weekday::Mon,
            chrono::Weekday::Tue => Weekday::Tue,
            chrono::Weekday::Wed => Weekday::Wed,
            chrono::Weekday::Thu => Weekday::Thu,
            chrono::Weekday::Fri => Weekday::Fri,
            chrono::Weekday::Sat => Weekday::Sat,
            chrono::Weekday::Sun => Weekday::Sun,
        }
    }
}

/// The stretches of working time that share an instant with `range`, in order and apart from each other.
pub(super) fn working(hours: &WorkingHours, zone: &Zone, range: Window) -> Vec<Window> {
    let at = |time: crate::presence::TimeOfDay| {
        NaiveTime::from_hms_opt(u32::from(time.hour), u32::from(time.minute), 0).unwrap_or_default()
    };
    let (start, end) = (at(hours.start), at(hours.end));
    let mut found: Vec<Window> = Vec::new();
    let mut date = zone.date(range.from_ms);
    for _ in 0..DAYS_MAX {
        let day = Window {
            from_ms: zone.instant_ms(date.and_time(start)),
            to_ms: zone.instant_ms(date.and_time(end)),
        };
        if day.from_ms >= range.to_ms {
            break;
        }
        // A change of clocks can make the stretch empty.
        if hours.days.contains(&Weekday::of(date.weekday()))
            && day.from_ms < day.to_ms
            && day.to_ms > range.from_ms
        {
            found.push(day);
        }
        let Some(next) = date.checked_add_days(Days::new(1)) else { break };
        date = next;
    }
    found
}

/// The parts of `range` inside of `pieces`, which are in order and apart from each other.
pub(super) fn inside(pieces: &[Window], range: Window) -> impl Iterator<Item = Window> + '_ {
    let first = pieces.partition_point(|piece| piece.to_ms <= range.from_ms);
    pieces
        .get(first..)
        .unwrap_or_default()
        .iter()
        .take_while(move |piece| piece.from_ms < range.to_ms)
        .map(move |piece| Window {
            from_ms: piece.from_ms.max(range.from_ms),
            to_ms: piece.to_ms.min(range.to_ms),
        })
        .filter(|piece| piece.from_ms < piece.to_ms)
}

/// The parts of `range` outside of `pieces`, which are in order and apart from each other.
pub(super) fn outside(pieces: &[Window], range: Window) -> Vec<Window> {
    let mut found = Vec::new();
    let mut from_ms = range.from_ms;
    for piece in inside(pieces, range) {
        if from_ms < piece.from_ms {
            found.push(Window { from_ms, to_ms: piece.from_ms });
        }
        from_ms = piece.to_ms;
    }
    if from_ms < range.to_ms {
        found.push(Window { from_ms, to_ms: range.to_ms });
    }
    found
}

/// The parts that any of `pieces` covers, in order and apart from each other.
pub(super) fn union(mut pieces: Vec<Window>) -> Vec<Window> {
    pieces.sort_unstable_by_key(|piece| (piece.from_ms, piece.to_ms));
    let mut joined: Vec<Window> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match joined.last_mut() {
            Some(last) if piece.from_ms <= last.to_ms => last.to_ms = last.to_ms.max(piece.to_ms),
            Some(_) | None => joined.push(piece),
        }
    }
    joined
}
