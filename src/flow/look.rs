//! Questions about the calendar, answered from the mirror alone: read the rows, then let `agenda` decide.
//!
//! Works without network, sign-in or engine, and while another process writes. Values stay values here: instants in
//! milliseconds and entries; `api` writes them as texts in the zone asked for.

use chrono::{Datelike, Days, NaiveDate, NaiveTime, Weekday};

use crate::agenda::{self, Blocking, Entry, Freshness, Pulled};
use crate::mirror::{AccountView, CalendarView, MirrorError, Question, Reader};
use crate::model::{DAY_MS, EventView, Key, Window};
use crate::zones::Zone;

/// The longest range that is answered at once.
pub const SPAN_DAYS_MAX: i64 = 3_660;
/// The most events that `next` and `search` answer.
pub const ITEMS_MAX: usize = 1_000;
/// What `search` answers when nobody says how many.
pub const SEARCH_ITEMS: usize = 100;
/// How many local days `free` and `busy` look ahead when nobody says how far.
pub const AHEAD_DAYS: u32 = 7;
/// The most lines of the change feed at once.
pub const CHANGES_MAX: usize = 10_000;

/// Which events of which time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgendaAsk {
    /// First instant; else the beginning of today, or now for `next`.
    pub from_ms: Option<i64>,
    /// First instant after; else the end of the day of `from_ms`, or no end for `next`.
    pub to_ms: Option<i64>,
    /// Only these calendars; none named means all.
    pub calendars: Vec<Key>,
    /// Only the first so many, cut at [`ITEMS_MAX`]; what runs at `from_ms` counts.
    pub next: Option<usize>,
}

/// Words to search for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SearchAsk {
    /// As typed: all words must occur, the last may be a beginning.
    pub text: String,
    /// First instant; else since ever.
    pub from_ms: Option<i64>,
    /// First instant after; else for ever.
    pub to_ms: Option<i64>,
    /// Only these calendars; none named means all.
    pub calendars: Vec<Key>,
    /// The most events to answer, those nearest to now; else [`SEARCH_ITEMS`], cut at [`ITEMS_MAX`].
    pub limit: Option<usize>,
}

/// Which time is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BusyAsk {
    /// First instant; else now.
    pub from_ms: Option<i64>,
    /// First instant after; else the end of the seventh local day from `from_ms` on.
    pub to_ms: Option<i64>,
    /// Only these calendars; none named means all.
    pub calendars: Vec<Key>,
    /// What takes time.
    pub blocking: Blocking,
}

/// Which time is not taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FreeAsk {
    /// Of which time.
    pub busy: BusyAsk,
    /// Only slots at least this long.
    pub min_ms: i64,
    /// Only inside these hours.
    pub hours: Option<WorkingHours>,
}

/// Hours of a week in a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkingHours {
    /// Where the hours are meant.
    pub zone: Zone,
    /// On which days they begin.
    pub days: Vec<Weekday>,
    /// First minute.
    pub start: NaiveTime,
    /// First minute after. At or before `start`: on the next day.
    pub end: NaiveTime,
}

/// Events of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// How old they may be.
    pub freshness: Freshness,
    /// The time that is known at all; none while a calendar was never pulled whole.
    pub known: Option<Window>,
    /// The range; of `next` without an end, up to the last event's.
    pub window: Window,
    /// In the agenda's order.
    pub entries: Vec<Entry>,
    /// Whether there are more than were asked for; only `search` says so.
    pub has_more: bool,
}

/// Stretches of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spans {
    /// How old they may be.
    pub freshness: Freshness,
    /// The time that is known at all; none while a calendar was never pulled whole.
    pub known: Option<Window>,
    /// The range.
    pub window: Window,
    /// In order, apart from each other.
    pub spans: Vec<Window>,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The mirror cannot be read.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// It ends before it begins.
    #[error("the range ends before it begins")]
    Backwards,
    /// Longer than [`SPAN_DAYS_MAX`].
    #[error("the range is longer than {SPAN_DAYS_MAX} days")]
    Long,
}

/// The events of a range, or the next ones.
///
/// # Errors
/// See [`LookError`].
pub fn agenda(reader: &Reader, zone: &Zone, ask: &AgendaAsk, now_ms: i64) -> Result<Listing, LookError> {
    let Standing { freshness, known } = standing(reader, &ask.calendars, now_ms)?;
    let midnight = |date_ms| zone.midnight_ms(date_ms);
    let window = agenda_window(zone, ask, now_ms)?;
    let Some(count) = ask.next else {
        let rows = reader.overlapping(window, &ask.calendars)?;
        let entries = agenda::overlapping(rows, window, &midnight);
        return Ok(Listing { freshness, known, window, entries, has_more: false });
    };
    let count = count.min(ITEMS_MAX);
    let rows = reader.next(window, &ask.calendars, count)?;
    let entries = agenda::next(rows, window, count, &midnight);
    let window = match ask.to_ms {
        Some(_) => window,
        None => Window { to_ms: last_end(&entries, window.from_ms), ..window },
    };
    Ok(Listing { freshness, known, window, entries, has_more: false })
}

/// The window an agenda answers for, also when there is no mirror yet.
///
/// # Errors
/// `Backwards` and `Long`.
pub fn agenda_window(zone: &Zone, ask: &AgendaAsk, now_ms: i64) -> Result<Window, LookError> {
    match ask.next {
        Some(_) => {
            let from_ms = ask.from_ms.unwrap_or(now_ms);
            match ask.to_ms {
                Some(to_ms) => checked(Window { from_ms, to_ms }),
                None => Ok(Window { from_ms, to_ms: i64::MAX }),
            }
        }
        None => {
            let from_ms = ask.from_ms.unwrap_or_else(|| zone.day(zone.date(now_ms)).from_ms);
            let to_ms = ask.to_ms.unwrap_or_else(|| zone.day(zone.date(from_ms)).to_ms);
            checked(Window { from_ms, to_ms })
        }
    }
}

/// The events that hold the words of a text, by start.
///
/// # Errors
/// See [`LookError`].
pub fn search(reader: &Reader, zone: &Zone, ask: &SearchAsk, now_ms: i64) -> Result<Listing, LookError> {
    let Standing { freshness, known } = standing(reader, &ask.calendars, now_ms)?;
    let window = Window { from_ms: ask.from_ms.unwrap_or(i64::MIN), to_ms: ask.to_ms.unwrap_or(i64::MAX) };
    if window.to_ms < window.from_ms {
        return Err(LookError::Backwards);
    }
    let limit = ask.limit.unwrap_or(SEARCH_ITEMS).min(ITEMS_MAX);
    let mut rows = reader.search(&Question {
        text: &ask.text,
        window,
        calendars: &ask.calendars,
        // One more shows that there are more.
        limit: limit.saturating_add(1),
        near_ms: now_ms,
    })?;
    let has_more = rows.len() > limit;
    if has_more {
        rows.sort_by_key(|row| row.start_ms.abs_diff(now_ms));
        rows.truncate(limit);
    }
    let entries = agenda::overlapping(rows, window, &|date_ms| zone.midnight_ms(date_ms));
    Ok(Listing { freshness, known, window, entries, has_more })
}

/// The event with this key or unique prefix, at its place, with its body.
///
/// # Errors
/// See [`LookError`].
pub fn show(reader: &Reader, zone: &Zone, id: &str) -> Result<Shown, LookError> {
    let mut event = match reader.event_by_prefix(id)? {
        crate::mirror::Found::One(event) => *event,
        crate::mirror::Found::None => return Ok(Shown::None),
        crate::mirror::Found::Many => return Ok(Shown::Many),
    };
    // Short bodies are their own preview and stored once.
    event.details.body = reader.body(event.key)?.or_else(|| event.details.body_preview.clone());
    Ok(Shown::One(Box::new(agenda::place(event, &|date_ms| zone.midnight_ms(date_ms)))))
}

/// What an id leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Exactly this.
    One(Box<Entry>),
    /// Nothing.
    None,
    /// Several events.
    Many,
}

/// The taken parts of a range.
///
/// # Errors
/// See [`LookError`].
pub fn busy(reader: &Reader, zone: &Zone, ask: &BusyAsk, now_ms: i64) -> Result<Spans, LookError> {
    let Standing { freshness, known } = standing(reader, &ask.calendars, now_ms)?;
    let window = busy_window(zone, ask, now_ms)?;
    let rows: Vec<EventView> = reader.overlapping(window, &ask.calendars)?;
    let entries = agenda::overlapping(rows, window, &|date_ms| zone.midnight_ms(date_ms));
    Ok(Spans { freshness, known, window, spans: agenda::busy(&entries, window, ask.blocking) })
}

/// The window that `busy` and `free` answer for.
///
/// # Errors
/// `Backwards` and `Long`.
pub fn busy_window(zone: &Zone, ask: &BusyAsk, now_ms: i64) -> Result<Window, LookError> {
    let from_ms = ask.from_ms.unwrap_or(now_ms);
    let to_ms = ask.to_ms.unwrap_or_else(|| zone.days(zone.date(from_ms), AHEAD_DAYS).to_ms);
    checked(Window { from_ms, to_ms })
}

/// The free slots of the part of a range that is known: what nobody knows is not called free.
///
/// # Errors
/// See [`LookError`].
pub fn free(reader: &Reader, zone: &Zone, ask: &FreeAsk, now_ms: i64) -> Result<Spans, LookError> {
    let window = busy_window(zone, &ask.busy, now_ms)?;
    let known = standing(reader, &ask.busy.calendars, now_ms)?.known;
    let both = known.and_then(|known| common(known, window));
    let asked = both.unwrap_or(Window { to_ms: window.from_ms, ..window });
    let within = BusyAsk { from_ms: Some(asked.from_ms), to_ms: Some(asked.to_ms), ..ask.busy.clone() };
    let busy = busy(reader, zone, &within, now_ms)?;
    let spans = if both.is_some() { slots(&busy.spans, asked, ask) } else { Vec::new() };
    Ok(Spans { spans, window, ..busy })
}

fn common(one: Window, other: Window) -> Option<Window> {
    let both = Window { from_ms: one.from_ms.max(other.from_ms), to_ms: one.to_ms.min(other.to_ms) };
    (both.from_ms < both.to_ms).then_some(both)
}

/// The free slots beside `busy`.
pub fn slots(busy: &[Window], window: Window, ask: &FreeAsk) -> Vec<Window> {
    let hours = ask.hours.as_ref().map(|hours| hours.within(window));
    agenda::free(busy, window, ask.min_ms, hours.as_deref())
}

impl WorkingHours {
    /// The spans that touch `window`, in order.
    fn within(&self, window: Window) -> Vec<Window> {
        let last = self.zone.date(window.to_ms);
        // Hours that begin on the day before may reach into the window.
        let first = self.zone.date(window.from_ms);
        let mut day = first.pred_opt().unwrap_or(first);
        let mut spans: Vec<Window> = Vec::new();
        while day <= last {
            let next = day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
            if self.days.contains(&day.weekday()) {
                let end_day = if self.end <= self.start { next } else { day };
                spans.push(Window {
                    from_ms: self.zone.instant_ms(day.and_time(self.start)),
                    to_ms: self.zone.instant_ms(end_day.and_time(self.end)),
                });
            }
            day = next;
        }
        spans
    }
}

/// How fresh an answer from these calendars is; none named means all.
///
/// # Errors
/// As every reading.
pub fn fresh(reader: &Reader, calendars: &[Key], now_ms: i64) -> Result<Freshness, MirrorError> {
    Ok(standing(reader, calendars, now_ms)?.freshness)
}

/// What an answer from some calendars is worth.
struct Standing {
    freshness: Freshness,
    /// What each of them mirrors; none while one was never pulled whole.
    known: Option<Window>,
}

fn standing(reader: &Reader, calendars: &[Key], now_ms: i64) -> Result<Standing, MirrorError> {
    let account = reader.account()?;
    let mut asked = reader.calendars()?;
    asked.retain(|calendar| calendars.is_empty() || calendars.contains(&calendar.key));
    let pulls: Vec<Pulled> = asked.iter().map(|calendar| pulled(calendar, &account)).collect();
    let freshness = agenda::freshness(&pulls, now_ms);
    let known = asked
        .iter()
        .map(|calendar| calendar.window)
        .reduce(|one, other| common(one?, other?))
        .flatten()
        .filter(|_| freshness.as_of_ms.is_some());
    Ok(Standing { freshness, known })
}

fn pulled(calendar: &CalendarView, account: &AccountView) -> Pulled {
    Pulled {
        at_ms: calendar.pulled_at_ms,
        is_failing: calendar.failure.is_some() || account.failure.is_some(),
    }
}

fn checked(window: Window) -> Result<Window, LookError> {
    let span_ms = window.to_ms.saturating_sub(window.from_ms);
    if span_ms < 0 {
        return Err(LookError::Backwards);
    }
    if span_ms > SPAN_DAYS_MAX * DAY_MS {
        return Err(LookError::Long);
    }
    Ok(window)
}

fn last_end(entries: &[Entry], from_ms: i64) -> i64 {
    entries.iter().map(|entry| entry.end_ms).max().unwrap_or(from_ms).max(from_ms)
}
