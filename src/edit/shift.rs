use chrono::{DateTime, NaiveDateTime, TimeDelta};

use crate::edit::names::times_of;
use crate::model::{EventRecord, Times};
use crate::zones::{Zone, Zones};

/// `times`, moved as the wall clock moved from `from` to `to`, and with the new length: what an instance of a series
/// does when its series moves, and what a series does when one of its instances shows the way. Across a change of
/// daylight saving time the wall clock counts, not the hours between. A zone that is not known counts as UTC.
pub fn shift(times: &Times, from: &Times, to: &Times, zones: &Zones) -> Times {
    let old = zone_of(from.zone.as_deref().or(times.zone.as_deref()), zones);
    let new_name = to.zone.clone().or_else(|| from.zone.clone()).or_else(|| times.zone.clone());
    let new = zone_of(new_name.as_deref(), zones);
    let target = wall(to.start_ms, to.is_all_day, &new);
    let moved = target.signed_duration_since(wall(from.start_ms, from.is_all_day, &old));
    let length = wall(to.end_ms, to.is_all_day, &new).signed_duration_since(target);
    let start = later(wall(times.start_ms, times.is_all_day, &old), moved);
    let end = later(start, length);
    Times {
        start_ms: instant(start, to.is_all_day, &new),
        end_ms: instant(end, to.is_all_day, &new),
        is_all_day: to.is_all_day,
        zone: new_name,
    }
}

/// What the wall clock of its own zone shows at the start.
pub(super) fn wall_start(times: &Times, zones: &Zones) -> NaiveDateTime {
    wall(times.start_ms, times.is_all_day, &zone_of(times.zone.as_deref(), zones))
}

/// Whether an instance lies where its series has it: at its slot, with the length of the master.
pub(super) fn is_on_slot(instance: &EventRecord, master: &EventRecord, zones: &Zones) -> bool {
    let (own, series) = (times_of(instance), times_of(master));
    let zone = zone_of(series.zone.as_deref().or(own.zone.as_deref()), zones);
    let clock = |ms, is_all_day| wall(ms, is_all_day, &zone);
    let length = |times: &Times| {
        clock(times.end_ms, times.is_all_day).signed_duration_since(clock(times.start_ms, times.is_all_day))
    };
    let is_at_slot = match instance.original_start_ms {
        Some(slot_ms) => slot_ms == own.start_ms,
        None => {
            clock(own.start_ms, own.is_all_day).time() == clock(series.start_ms, series.is_all_day).time()
        }
    };
    is_at_slot && own.is_all_day == series.is_all_day && length(&own) == length(&series)
}

fn zone_of(name: Option<&str>, zones: &Zones) -> Zone {
    name.and_then(|name| zones.resolve(name)).unwrap_or_else(Zone::utc)
}

fn wall(ms: i64, is_all_day: bool, zone: &Zone) -> NaiveDateTime {
    if is_all_day {
        DateTime::from_timestamp_millis(ms).unwrap_or_default().naive_utc()
    } else {
        zone.wall(ms)
    }
}

fn instant(wall: NaiveDateTime, is_all_day: bool, zone: &Zone) -> i64 {
    if is_all_day { wall.and_utc().timestamp_millis() } else { zone.instant_ms(wall) }
}

fn later(wall: NaiveDateTime, by: TimeDelta) -> NaiveDateTime {
    wall.checked_add_signed(by).unwrap_or(wall)
}

#[cfg(test)]
#[path = "shift_tests.rs"]
mod tests;
