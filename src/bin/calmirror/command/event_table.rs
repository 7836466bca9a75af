//! Events as people read them: by day, with marks.

use std::collections::BTreeMap;

use calmirror::api::Event;
use calmirror::model::{Key, Response, Sensitivity, ShowAs};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime, TimeDelta};
use comfy_table::{Attribute, Cell};

use crate::output::{Output, Tone, cell, plain_table};
use crate::setup::Failure;
use crate::text::clean;

/// An event that lasts longer is listed on this many days.
const DAYS_LISTED_MAX: usize = 62;

/// What an event table needs beside the events.
pub struct Frame<'f> {
    /// The displayed names of calendars.
    pub calendars: &'f BTreeMap<Key, String>,
    /// First day to list.
    pub first: NaiveDate,
    /// Last day to list.
    pub last: NaiveDate,
    /// UTC epoch milliseconds.
    pub now_ms: i64,
}

/// When an event is, on the wall clock of the answer.
struct When {
    start: DateTime<FixedOffset>,
    end: DateTime<FixedOffset>,
}

/// Prints events under their days. How many days were printed.
pub fn print_by_day(output: &mut Output, events: &[Event], frame: &Frame<'_>) -> Result<usize, Failure> {
    let mut days: BTreeMap<NaiveDate, Vec<&Event>> = BTreeMap::new();
    for event in events {
        let Some((first, last)) = days_of(event) else { continue };
        let (first, last) = (first.max(frame.first), last.min(frame.last).max(first));
        for day in first.iter_days().take(DAYS_LISTED_MAX).take_while(|day| *day <= last.max(first)) {
            days.entry(day).or_default().push(event);
        }
    }
    let has_several_calendars = frame.calendars.len() > 1;
    for (place, (day, events)) in days.iter().enumerate() {
        if place > 0 {
            output.line("")?;
        }
        let heading = output.tone(day_text(*day), Tone::Heading);
        output.line(heading)?;
        let mut table = plain_table(if has_several_calendars { 4 } else { 3 }, &[0]);
        for event in events {
            let is_over = when(event).is_some_and(|when| when.end.timestamp_millis() <= frame.now_ms);
            let is_off = event.cancelled || event.response == Response::Declined;
            let tone = if is_off || is_over { Tone::Faint } else { Tone::Plain };
            let is_running = when(event).is_some_and(|when| {
                (when.start.timestamp_millis()..when.end.timestamp_millis()).contains(&frame.now_ms)
            });
            let time_tone = if is_running && !is_off { Tone::Good } else { tone };
            let mut row = vec![
                cell(format!("  {} {}", symbol(event.show_as), time_text(event, *day)), time_tone),
                subject_cell(event, tone, is_off),
                marks_cell(event),
            ];
            if has_several_calendars {
                let name = frame.calendars.get(&event.calendar).map(|name| clean(name)).unwrap_or_default();
                row.insert(2, cell(name, Tone::Faint));
            }
            table.add_row(row);
        }
        output.table(&mut table)?;
    }
    Ok(days.len())
}

fn subject_cell(event: &Event, tone: Tone, is_off: bool) -> Cell {
    let subject = event.subject.as_deref().map(clean).filter(|subject| !subject.is_empty());
    let subject = subject.unwrap_or_else(|| "(no subject)".to_owned());
    let text = match event.location.as_deref().map(clean).filter(|place| !place.is_empty()) {
        Some(place) => format!("{subject} · {place}"),
        None => subject,
    };
    let cell = cell(text, tone);
    if is_off { cell.add_attribute(Attribute::CrossedOut) } else { cell }
}

fn marks_cell(event: &Event) -> Cell {
    let tone = if event.cancelled || event.conflict || event.unconfirmed {
        Tone::Bad
    } else if event.pending.is_some()
        || matches!(event.response, Response::Tentative | Response::NotResponded | Response::Declined)
        || event.show_as == ShowAs::Tentative
    {
        Tone::Warning
    } else {
        Tone::Accent
    };
    cell(marks(event).join(", "), tone)
}

/// What a reader must know about an event beside its time and subject.
pub fn marks(event: &Event) -> Vec<&'static str> {
    let mut marks = Vec::new();
    if event.cancelled {
        marks.push("cancelled");
    }
    match event.response {
        Response::Declined => marks.push("declined"),
        Response::Tentative => marks.push("tentative"),
        Response::NotResponded => marks.push("not answered"),
        Response::None | Response::Organizer | Response::Accepted => {}
    }
    match event.show_as {
        ShowAs::Tentative if event.response != Response::Tentative => marks.push("tentative"),
        ShowAs::Oof => marks.push("out of office"),
        ShowAs::WorkingElsewhere => marks.push("elsewhere"),
        ShowAs::Free => marks.push("free"),
        ShowAs::Tentative | ShowAs::Busy | ShowAs::Unknown => {}
    }
    if event.online_meeting.is_some() {
        marks.push("online");
    }
    match event.sensitivity {
        Sensitivity::Private | Sensitivity::Confidential => marks.push("private"),
        Sensitivity::Normal | Sensitivity::Personal => {}
    }
    match event.pending {
        None => {}
        Some("create") => marks.push("new (unsent)"),
        Some("delete") => marks.push("deleted (unsent)"),
        Some("respond") => marks.push("answer (unsent)"),
        Some(_) => marks.push("changed (unsent)"),
    }
    if event.conflict {
        marks.push("conflict");
    }
    if event.unconfirmed {
        marks.push("removal held");
    }
    marks
}

const fn symbol(show_as: ShowAs) -> char {
    match show_as {
        ShowAs::Busy => '●',
        ShowAs::Tentative => '◐',
        ShowAs::Free => '○',
        ShowAs::Oof => '◆',
        ShowAs::WorkingElsewhere => '◇',
        ShowAs::Unknown => '·',
    }
}

/// "Tuesday, 24 November 2026".
pub fn day_text(day: NaiveDate) -> String {
    day.format("%A, %-d %B %Y").to_string()
}

/// "09:00 – 09:30" as seen on `day`, always of one width.
fn time_text(event: &Event, day: NaiveDate) -> String {
    if event.all_day {
        return "all day      ".to_owned();
    }
    let Some(when) = when(event) else { return String::new() };
    let (start, end) = (when.start.naive_local(), when.end.naive_local());
    let next_midnight = day.succ_opt().unwrap_or(day).and_time(NaiveTime::MIN);
    let text = match (start.date() == day, end <= next_midnight) {
        (true, true) if end == next_midnight => format!("{} – 24:00", start.format("%H:%M")),
        (true, true) => format!("{} – {}", start.format("%H:%M"), end.format("%H:%M")),
        (true, false) => format!("from {}", start.format("%H:%M")),
        (false, true) if end == next_midnight => "all day".to_owned(),
        (false, true) => format!("until {}", end.format("%H:%M")),
        (false, false) => "all day".to_owned(),
    };
    format!("{text:<13}")
}

fn when(event: &Event) -> Option<When> {
    let read = |text: &Option<String>| DateTime::parse_from_rfc3339(text.as_deref()?).ok();
    Some(When { start: read(&event.start)?, end: read(&event.end)? })
}

/// First and last day an event touches.
pub fn days_of(event: &Event) -> Option<(NaiveDate, NaiveDate)> {
    if event.all_day {
        let read = |text: &Option<String>| text.as_deref()?.parse::<NaiveDate>().ok();
        let first = read(&event.start_date)?;
        let last = read(&event.end_date)?.pred_opt()?;
        return Some((first, last.max(first)));
    }
    let when = when(event)?;
    let first = when.start.naive_local().date();
    // Exclusive: what ends at midnight does not touch the day that begins then.
    let last = when.end.naive_local().checked_sub_signed(TimeDelta::milliseconds(1))?.date();
    Some((first, last.max(first)))
}

/// "24 Nov 09:00 – 09:30", for a line of the demo's change feed.
#[cfg(feature = "emulator")]
pub fn short_span(event: &Event) -> String {
    match days_of(event) {
        Some((first, _)) => format!("{} {}", first.format("%e %b"), time_text(event, first).trim_end()),
        None => String::new(),
    }
}

/// "24 November 2026, 09:00 – 09:30", for one event alone.
pub fn span_text(event: &Event) -> String {
    let Some((first, last)) = days_of(event) else { return String::new() };
    if event.all_day {
        return if first == last {
            format!("{}, all day", day_text(first))
        } else {
            format!("{} – {}, all day", day_text(first), day_text(last))
        };
    }
    if first == last {
        return format!("{}, {}", day_text(first), time_text(event, first));
    }
    match when(event) {
        Some(when) => format!(
            "{}, {} – {}, {}",
            day_text(first),
            when.start.format("%H:%M"),
            day_text(when.end.naive_local().date()),
            when.end.format("%H:%M")
        ),
        None => String::new(),
    }
}
