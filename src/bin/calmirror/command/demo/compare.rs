//! Whether the mirror says what the server says.

use std::collections::BTreeSet;

use calmirror::api::{AgendaCall, Event, Mirrors, RangeCall};
use calmirror::config::Effective;
use calmirror::emulator::{Instance, Running};
use calmirror::model::DAY_MS;
use calmirror::zones::date_text;
use chrono::DateTime;

use crate::setup::Failure;

/// Compared around now, well inside the mirrored window.
const PAST_MS: i64 = 20 * DAY_MS;
const FUTURE_MS: i64 = 330 * DAY_MS;

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// On the server.
    pub server: usize,
    /// In the mirror.
    pub mirror: usize,
    /// In one of them only, or different.
    pub different: usize,
}

/// One thing in a calendar, as both sides can say it.
type Fact = (String, String, String, Option<String>, bool);

/// Compares every event around now.
pub fn compare(running: &Running, mirrors: &Mirrors, account: &Effective) -> Result<Comparison, Failure> {
    let now_ms = mirrors.now_ms();
    let (from_ms, to_ms) = (now_ms - PAST_MS, now_ms + FUTURE_MS);
    let is_inside = |start_ms: i64, end_ms: i64| start_ms >= from_ms && end_ms <= to_ms;
    let instances = running.with(|world| {
        world.settle(now_ms);
        let calendars = world.calendars(0);
        calendars.iter().flat_map(|calendar| world.truth(0, &calendar.id, from_ms, to_ms)).collect::<Vec<_>>()
    });
    let server: BTreeSet<Fact> = instances
        .iter()
        .filter(|instance| is_inside(instance.start_ms, instance.end_ms))
        .map(server_fact)
        .collect();
    let time = |ms: i64| DateTime::from_timestamp_millis(ms).map(|at| at.to_rfc3339());
    let range =
        RangeCall { from: time(from_ms - 2 * DAY_MS), to: time(to_ms + 2 * DAY_MS), ..RangeCall::default() };
    let answer = mirrors.agenda(account, &AgendaCall { range, ..AgendaCall::default() })?;
    let mirror: BTreeSet<Fact> = answer
        .items
        .iter()
        .filter_map(|event| Some((times(event)?, event)))
        .filter(|((start_ms, end_ms), _)| is_inside(*start_ms, *end_ms))
        .map(|(times, event)| mirror_fact(times, event))
        .collect();
    Ok(Comparison {
        server: server.len(),
        mirror: mirror.len(),
        different: server.symmetric_difference(&mirror).count(),
    })
}

fn server_fact(instance: &Instance) -> Fact {
    let subject = instance.subject.clone().filter(|subject| !subject.is_empty());
    fact(
        instance.id.clone(),
        (instance.start_ms, instance.end_ms),
        instance.is_all_day,
        subject,
        instance.is_cancelled,
    )
}

fn mirror_fact(times: (i64, i64), event: &Event) -> Fact {
    let id = event.remote_id.clone().unwrap_or_default();
    fact(id, times, event.all_day, event.subject.clone(), event.cancelled)
}

fn fact(
    id: String,
    (start_ms, end_ms): (i64, i64),
    is_all_day: bool,
    subject: Option<String>,
    is_cancelled: bool,
) -> Fact {
    let text = |ms: i64| if is_all_day { date_text(ms) } else { ms.to_string() };
    (id, text(start_ms), text(end_ms), subject, is_cancelled)
}

/// Start and end; of an all-day event as the server counts: midnights as if they were UTC.
fn times(event: &Event) -> Option<(i64, i64)> {
    let instant = |text: &Option<String>| {
        DateTime::parse_from_rfc3339(text.as_deref()?).ok().map(|at| at.timestamp_millis())
    };
    let date = |text: &Option<String>| {
        let date = text.as_deref()?.parse::<chrono::NaiveDate>().ok()?;
        Some(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis())
    };
    if event.all_day {
        Some((date(&event.start_date)?, date(&event.end_date)?))
    } else {
        Some((instant(&event.start)?, instant(&event.end)?))
    }
}
