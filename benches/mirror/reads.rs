//! The agenda, and opening a mirror: what a door gets beside the bare indexed SQL for the same rows.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use calmirror::api::{Look, open_mirror, resolve_zone};
use calmirror::flow::look::AgendaAsk;
use calmirror::zones::Zones;
use rusqlite::{Connection, OpenFlags, Row};

use crate::data::{DAY_MS, NOW_MS};
use crate::machine::Runs;
use crate::table::{Line, Table, percent, seconds, thousands};

/// The agenda against the bare query.
const AGENDA_MAX: f64 = 2.0;
/// Opening to the first answer against the bare one.
const OPEN_MAX: f64 = 3.0;
const DAYS: i64 = 120;
const OPENINGS: usize = 60;

/// Full rows that overlap a range, by start; the start is bounded by the longest duration, an occurrence has the
/// details of its series.
const RANGE: &str = concat!(
    "SELECT e.key, c.key, e.kind, m.key, e.remote_id, e.change_key, e.start_ms, e.end_ms, ",
    "ifnull(e.is_all_day, m.is_all_day), ifnull(e.is_cancelled, m.is_cancelled), ",
    "ifnull(e.is_organizer, m.is_organizer), ifnull(e.show_as, m.show_as), ",
    "ifnull(e.sensitivity, m.sensitivity), ifnull(e.importance, m.importance), ifnull(e.response, m.response), ",
    "ifnull(e.reminder_minutes, m.reminder_minutes), ifnull(e.ical_uid, m.ical_uid), ",
    "ifnull(e.subject, m.subject), ifnull(e.body_preview, m.body_preview), ifnull(e.location, m.location), ",
    "ifnull(e.original_time_zone, m.original_time_zone), ifnull(e.organizer_name, m.organizer_name), ",
    "ifnull(e.organizer_address, m.organizer_address), ifnull(e.attendees, m.attendees), ",
    "ifnull(e.categories, m.categories), ifnull(e.online_provider, m.online_provider), ",
    "ifnull(e.online_join_url, m.online_join_url), ifnull(e.web_link, m.web_link) ",
    "FROM event e CROSS JOIN calendar c ON c.id = e.calendar_id LEFT JOIN event m ON m.id = e.series_id ",
    "WHERE e.is_present = 1 AND e.kind <> 'master' AND e.start_ms >= ?1 - 86400000 AND e.start_ms < ?2 ",
    "AND e.end_ms > ?1 ORDER BY e.start_ms LIMIT ?3"
);

/// A row with everything in it, and nothing made of it.
struct Bare {
    _keys: [Option<[u8; 16]>; 3],
    _numbers: [Option<i64>; 6],
    _texts: [Option<String>; 19],
}

fn bare_row(row: &Row<'_>) -> rusqlite::Result<Bare> {
    let text = |at: usize| row.get::<_, Option<String>>(at);
    let mut texts = [const { None }; 19];
    let places = [2, 4, 5, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27];
    for (into, at) in texts.iter_mut().zip(places) {
        *into = text(at)?;
    }
    Ok(Bare {
        _keys: [row.get(0)?, row.get(1)?, row.get(3)?],
        _numbers: [row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?, row.get(10)?, row.get(15)?],
        _texts: texts,
    })
}

fn bare(conn: &Connection, from_ms: i64, to_ms: i64, limit: i64) -> Vec<Bare> {
    let mut statement = conn.prepare_cached(RANGE).unwrap();
    let rows = statement.query_map((from_ms, to_ms, limit), bare_row).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn open_bare(file: &Path) -> Connection {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .unwrap()
}

/// A question and what the bare query needs for the same answer.
struct Asked {
    ask: AgendaAsk,
    from_ms: i64,
    to_ms: i64,
    limit: i64,
}

fn range(day: i64, days: i64) -> Asked {
    let from_ms = NOW_MS - DAY_MS / 2 + day * DAY_MS;
    let to_ms = from_ms + days * DAY_MS;
    let ask = AgendaAsk { from_ms: Some(from_ms), to_ms: Some(to_ms), ..AgendaAsk::default() };
    Asked { ask, from_ms, to_ms, limit: -1 }
}

fn next_ten(day: i64) -> Asked {
    // Nothing runs before the working day, so that "begins after" and "ends after" are the same rows.
    let from_ms = NOW_MS - DAY_MS / 2 + day * DAY_MS + 6 * 3_600_000;
    let ask = AgendaAsk { from_ms: Some(from_ms), next: Some(10), ..AgendaAsk::default() };
    Asked { ask, from_ms, to_ms: i64::MAX, limit: 10 }
}

/// Agenda of a day, a week and the next ten events, all over the mailbox.
pub fn measure_agenda(table: &mut Table, items: usize, file: &Path) {
    let reader = open_mirror(file).unwrap().unwrap();
    let zones = Zones::bundled();
    let zone = zones.utc();
    let look = Look {
        mirror: Some(&reader),
        zones: &zones,
        zone: &zone,
        now_ms: NOW_MS,
        source: calmirror::model::SourceKind::Microsoft365,
    };
    let conn = open_bare(file);
    let cases: [(&str, &dyn Fn(i64) -> Asked); 3] =
        [("a day", &|day| range(day, 1)), ("a week", &|day| range(day, 7)), ("next ten", &next_ten)];
    for (what, asked) in cases {
        let (mut bounds, mut ours, mut rows) = (Runs::default(), Runs::default(), Runs::default());
        for pass in 0..4 {
            for day in -DAYS / 2..DAYS / 2 {
                let asked = asked(day);
                let began = Instant::now();
                let found = black_box(bare(&conn, asked.from_ms, asked.to_ms, asked.limit)).len();
                let bound = began.elapsed().as_secs_f64();
                let began = Instant::now();
                let answer = black_box(look.agenda(&asked.ask).unwrap()).items.len();
                let our = began.elapsed().as_secs_f64();
                if what != "next ten" {
                    assert_eq!(answer, found, "{what} at {day}: other rows than the bare query");
                }
                if pass > 0 {
                    bounds.push(bound);
                    ours.push(our);
                    rows.push(answer as f64);
                }
            }
        }
        let ratio = ours.median() / bounds.median();
        table.add(Line {
            measure: format!(
                "agenda of {what} at {} items ({} events)",
                thousands(items as f64),
                rows.median()
            ),
            bound: seconds(bounds.median()),
            ours: seconds(ours.median()),
            ratio: format!("{ratio:.2}"),
            reach: format!("≤ {AGENDA_MAX}"),
            holds: Some(ratio <= AGENDA_MAX),
            noise: format!("{} / {}", percent(bounds.core_spread()), percent(ours.core_spread())),
        });
    }
}

/// From nothing open to the agenda of today, and the same by SQL alone.
pub fn measure_open(table: &mut Table, items: usize, file: &Path) {
    let (mut bounds, mut ours) = (Runs::default(), Runs::default());
    for pass in 0..OPENINGS + 5 {
        let asked = range(pass as i64 % 20, 1);
        let began = Instant::now();
        let conn = open_bare(file);
        black_box(bare(&conn, asked.from_ms, asked.to_ms, asked.limit));
        drop(conn);
        let bound = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let reader = open_mirror(file).unwrap().unwrap();
        let zones = Zones::bundled();
        let zone = resolve_zone(&zones, "UTC").unwrap();
        let look = Look {
            mirror: Some(&reader),
            zones: &zones,
            zone: &zone,
            now_ms: NOW_MS,
            source: calmirror::model::SourceKind::Microsoft365,
        };
        black_box(look.agenda(&asked.ask).unwrap());
        drop(reader);
        let our = began.elapsed().as_secs_f64();
        if pass >= 5 {
            bounds.push(bound);
            ours.push(our);
        }
    }
    let ratio = ours.median() / bounds.median();
    table.add(Line {
        measure: format!("open {} items to the first agenda", thousands(items as f64)),
        bound: seconds(bounds.median()),
        ours: seconds(ours.median()),
        ratio: format!("{ratio:.2}"),
        reach: format!("≤ {OPEN_MAX}"),
        holds: Some(ratio <= OPEN_MAX),
        noise: format!("{} / {}", percent(bounds.core_spread()), percent(ours.core_spread())),
    });
}
