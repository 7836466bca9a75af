//! Event rows: the queries that find them, and how a row becomes an [`EventView`].

use std::borrow::Cow;

use rusqlite::types::FromSql;
use rusqlite::{Row, Rows, named_params};

use crate::mirror::{MirrorError, Reader};
use crate::model::{
    Attendee, AttendeeType, DAY_MS, Details, EventKind, EventView, Importance, Key, OnlineMeeting,
    OnlineProvider, Pending, Person, RemoteId, Response, Sensitivity, ShowAs, Window,
};

/// How far the wall clock of any zone was ever from UTC: Manila until 1844, -15:56. An all-day row is stored as if
/// in UTC, so it may truly begin or end this much earlier or later.
const ZONE_MS: i64 = 16 * 3_600_000;
/// Rows that are not in `event_long` begin at most this long before they end.
const SHORT_MS: i64 = DAY_MS;

/// The columns of an [`EventView`], in the order `view` reads them. `e` is the row; `m` is the series of an
/// occurrence, which has its details there (its own are NULL), and is missing for every other row. A CASE on the kind
/// in each column instead costs half a microsecond a row.
macro_rules! event_columns {
    () => {
        "e.key, c.key, e.kind, (SELECT k.key FROM event k WHERE k.id = e.series_id), e.remote_id, e.change_key, e.start_ms, e.end_ms, \
         EXISTS (SELECT 1 FROM removal r WHERE r.event_id = e.id AND r.is_held = 1), \
         coalesce(e.is_all_day, m.is_all_day), \
         coalesce(e.is_cancelled, m.is_cancelled), \
         coalesce(e.is_organizer, m.is_organizer), \
         coalesce(e.show_as, m.show_as), \
         coalesce(e.sensitivity, m.sensitivity), \
         coalesce(e.importance, m.importance), \
         coalesce(e.response, m.response), \
         coalesce(e.reminder_minutes, m.reminder_minutes), \
         coalesce(e.ical_uid, m.ical_uid), \
         coalesce(e.subject, m.subject), \
         coalesce(e.body_preview, m.body_preview), \
         coalesce(e.location, m.location), \
         coalesce(e.original_time_zone, m.original_time_zone), \
         coalesce(e.organizer_name, m.organizer_name), \
         coalesce(e.organizer_address, m.organizer_address), \
         coalesce(e.attendees, m.attendees), \
         coalesce(e.categories, m.categories), \
         coalesce(e.online_provider, m.online_provider), \
         coalesce(e.online_join_url, m.online_join_url), \
         coalesce(e.web_link, m.web_link)"
    };
}
pub(super) use event_columns;

/// How many those are.
pub(super) const EVENT_COLUMNS_COUNT: usize = 29;

/// The same of a draft, and its marks.
macro_rules! draft_columns {
    () => {
        "d.key, d.calendar_key, d.kind, d.series_key, d.remote_id, d.change_key, d.start_ms, d.end_ms, \
         EXISTS (SELECT 1 FROM event e CROSS JOIN removal r ON r.event_id = e.id WHERE e.key = d.key AND r.is_held = 1), \
         d.is_all_day, d.is_cancelled, d.is_organizer, d.show_as, d.sensitivity, d.importance, d.response, \
         d.reminder_minutes, d.ical_uid, d.subject, d.body_preview, d.location, d.original_time_zone, d.organizer_name, \
         d.organizer_address, d.attendees, d.categories, d.online_provider, d.online_join_url, d.web_link, d.pending, \
         d.is_conflict"
    };
}

/// A draft that is shown: also where its calendar is gone, or not listed yet in a new file. An edit is never out of
/// sight before it is settled.
macro_rules! drawn {
    () => {
        " d.is_hidden = 0 \
         AND (:calendars IS NULL OR d.calendar_key IN (SELECT unhex(value) FROM json_each(:calendars))) "
    };
}
pub(super) use drawn;

/// What a row needs beside itself. CROSS JOIN: SQLite never begins with the calendars.
macro_rules! joined {
    () => {
        " CROSS JOIN calendar c ON c.id = e.calendar_id AND c.is_present = 1 \
         LEFT JOIN event m ON m.id = e.series_id AND e.kind = 'occurrence' "
    };
}

/// A row that is shown; also the condition of the partial indexes.
macro_rules! shown {
    () => {
        " e.is_present = 1 AND e.kind <> 'master' "
    };
}

/// A row that no draft stands for. Asked only where there are drafts: it costs a look-up a row.
macro_rules! undrafted {
    () => {
        " NOT EXISTS (SELECT 1 FROM draft d WHERE d.key = e.key) AND e.is_present = 1 AND e.kind <> 'master' "
    };
}

/// Both ends at midnights: perhaps all-day, which only the series of an occurrence can tell.
macro_rules! at_midnights {
    () => {
        "(e.start_ms % 86400000 = 0 AND e.end_ms % 86400000 = 0)"
    };
    (draft) => {
        "(d.start_ms % 86400000 = 0 AND d.end_ms % 86400000 = 0)"
    };
}

macro_rules! of_calendars {
    () => {
        " AND (:calendars IS NULL OR c.key IN (SELECT unhex(value) FROM json_each(:calendars))) "
    };
}

/// Overlaps `[from, to)`, exactly for timed rows; rows at midnights are taken from `ZONE_MS` around it, because they
/// may be all-day. `short` is `SHORT_MS` before the widened range: what begins earlier and reaches it is long.
/// Reading the start index from its beginning instead costs 37 ms in 100,000 rows.
macro_rules! overlapping {
    ($shown:ident) => {
        concat!(
            "SELECT ",
            event_columns!(),
            " FROM event e",
            joined!(),
            "WHERE",
            $shown!(),
            "AND e.start_ms >= :short AND e.start_ms < :to_wide \
     AND (e.end_ms > :from_wide OR e.start_ms >= :from_wide) \
     AND (",
            at_midnights!(),
            " OR (e.start_ms < :to AND (e.end_ms > :from OR e.start_ms >= :from)))",
            of_calendars!(),
            "UNION ALL SELECT ",
            event_columns!(),
            " FROM event e INDEXED BY event_long",
            joined!(),
            "WHERE",
            $shown!(),
            "AND e.end_ms - e.start_ms > 86400000 AND e.end_ms > :from_wide AND e.start_ms < :short \
     AND (",
            at_midnights!(),
            " OR e.end_ms > :from)",
            of_calendars!(),
        )
    };
}
pub(super) const OVERLAPPING: &str = overlapping!(shown);
pub(super) const OVERLAPPING_UNDRAFTED: &str = overlapping!(undrafted);

/// Timed rows that begin in `[from, to)`, in order of their start. Read only as far as needed.
macro_rules! upcoming_timed {
    ($shown:ident) => {
        concat!(
            "SELECT ",
            event_columns!(),
            " FROM event e",
            joined!(),
            "WHERE",
            $shown!(),
            "AND e.start_ms >= :from AND e.start_ms < :to \
     AND NOT (",
            at_midnights!(),
            " AND coalesce(e.is_all_day, m.is_all_day, 0) = 1)",
            of_calendars!(),
            "ORDER BY e.start_ms",
        )
    };
}
pub(super) const UPCOMING_TIMED: &str = upcoming_timed!(shown);
pub(super) const UPCOMING_TIMED_UNDRAFTED: &str = upcoming_timed!(undrafted);

/// The same for all-day rows, by their dates as if in UTC.
macro_rules! upcoming_all_day {
    ($shown:ident) => {
        concat!(
            "SELECT ",
            event_columns!(),
            " FROM event e",
            joined!(),
            "WHERE",
            $shown!(),
            "AND e.start_ms >= :from AND e.start_ms < :to AND ",
            at_midnights!(),
            " AND coalesce(e.is_all_day, m.is_all_day) = 1",
            of_calendars!(),
            "ORDER BY e.start_ms",
        )
    };
}
pub(super) const UPCOMING_ALL_DAY: &str = upcoming_all_day!(shown);
pub(super) const UPCOMING_ALL_DAY_UNDRAFTED: &str = upcoming_all_day!(undrafted);

/// The rows whose keys lie in a range: one key, or all with a prefix. Two are enough to know it is not unique.
macro_rules! by_keys {
    ($shown:ident) => {
        concat!(
            "SELECT ",
            event_columns!(),
            " FROM event e",
            joined!(),
            "WHERE",
            $shown!(),
            "AND e.key BETWEEN :first AND :last ORDER BY e.key LIMIT 2",
        )
    };
}
pub(super) const BY_KEYS: &str = by_keys!(shown);
pub(super) const BY_KEYS_UNDRAFTED: &str = by_keys!(undrafted);

/// Drafts that overlap, as `OVERLAPPING` does.
pub(super) const DRAFTS_OVERLAPPING: &str = concat!(
    "SELECT ",
    draft_columns!(),
    " FROM draft d WHERE",
    drawn!(),
    "AND d.start_ms < :to_wide AND (d.end_ms > :from_wide OR d.start_ms >= :from_wide) AND (",
    at_midnights!(draft),
    " OR (d.start_ms < :to AND (d.end_ms > :from OR d.start_ms >= :from)))"
);

/// Drafts that begin in `[from, to)`, of either kind.
pub(super) const DRAFTS_UPCOMING: &str = concat!(
    "SELECT ",
    draft_columns!(),
    " FROM draft d WHERE",
    drawn!(),
    "AND d.start_ms >= :from AND d.start_ms < :to \
     AND (d.is_all_day = 1 AND ",
    at_midnights!(draft),
    ") = :is_all_day ORDER BY d.start_ms"
);

/// Drafts whose keys lie in a range, as `BY_KEYS`.
pub(super) const DRAFTS_BY_KEYS: &str = concat!(
    "SELECT ",
    draft_columns!(),
    " FROM draft d WHERE",
    drawn!(),
    "AND d.key BETWEEN :first AND :last ORDER BY d.key LIMIT 2",
);

/// The drafts with these ids.
const DRAFTS_BY_IDS: &str = concat!(
    "SELECT ",
    draft_columns!(),
    " FROM json_each(:ids) j CROSS JOIN draft d ON d.id = j.value WHERE",
    drawn!(),
);

/// The rows with these ids.
pub(super) const BY_IDS: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM json_each(:ids) j CROSS JOIN event e ON e.id = j.value",
    joined!(),
    "WHERE",
    shown!(),
);

/// The whole body of an event; an occurrence has its series'.
pub(super) const BODY: &str = "SELECT b.body FROM event e \
     CROSS JOIN event_body b ON b.event_id = CASE e.kind WHEN 'occurrence' THEN e.series_id ELSE e.id END \
     WHERE e.key = :key";

/// NULL: as its row has it; empty: none.
const BODY_OF_DRAFT: &str = "SELECT d.body FROM draft d WHERE d.key = :key";

impl Reader {
    /// The rows that overlap `window`, and all-day rows that may overlap it in some zone; in no order.
    ///
    /// # Errors
    /// As every reading: a damaged file, or SQLite's refusal.
    pub fn overlapping(&self, window: Window, calendars: &[Key]) -> Result<Vec<EventView>, MirrorError> {
        let _snapshot = self.snapshot()?;
        self.overlaps(window, calendars)
    }

    fn overlaps(&self, window: Window, calendars: &[Key]) -> Result<Vec<EventView>, MirrorError> {
        let from_wide = window.from_ms.saturating_sub(ZONE_MS);
        let to_wide = window.to_ms.saturating_add(ZONE_MS);
        let calendars = keys_json(calendars);
        let has_drafts = self.has_drafts()?;
        let sql = if has_drafts { OVERLAPPING_UNDRAFTED } else { OVERLAPPING };
        let mut found = self.prepared(sql, "reading a range", |statement| {
            let mut rows = statement.query(named_params! {
                ":from": window.from_ms, ":to": window.to_ms, ":from_wide": from_wide, ":to_wide": to_wide,
                ":short": from_wide.saturating_sub(SHORT_MS), ":calendars": calendars,
            })?;
            all(&mut rows)
        })?;
        if has_drafts {
            let drafts = self.prepared(DRAFTS_OVERLAPPING, "reading a range of drafts", |statement| {
                let mut rows = statement.query(named_params! {
                    ":from": window.from_ms, ":to": window.to_ms, ":from_wide": from_wide, ":to_wide": to_wide,
                    ":calendars": calendars,
                })?;
                drafts(&mut rows)
            })?;
            found.extend(drafts);
        }
        Ok(found)
    }

    /// The rows that run at `window.from_ms` or begin in the window, up to the first `count` of those that begin:
    /// enough to choose the next `count` in any zone. Rows that begin together are never cut apart.
    ///
    /// # Errors
    /// As every reading.
    pub fn next(
        &self,
        window: Window,
        calendars: &[Key],
        count: usize,
    ) -> Result<Vec<EventView>, MirrorError> {
        let _snapshot = self.snapshot()?;
        let instant = Window { from_ms: window.from_ms, to_ms: window.from_ms.saturating_add(1) };
        let mut found = self.overlaps(instant, calendars)?;
        let timed = self.upcoming(Upcoming::Timed, window, calendars, count)?;
        // Without `count` timed ones, nothing says that a later all-day row comes too late.
        let last_ms = match timed.last() {
            Some(last) if timed.len() >= count => last.start_ms,
            Some(_) | None => window.to_ms,
        };
        // Those that begin earlier in any zone are among the rows that overlap the instant.
        let all_day = Window {
            from_ms: instant.to_ms.saturating_add(ZONE_MS),
            to_ms: last_ms.saturating_add(1).saturating_add(ZONE_MS),
        };
        let all_day = self.upcoming(Upcoming::AllDay, all_day, calendars, count)?;
        found.extend(timed);
        found.extend(all_day);
        found.sort_by_key(|event| event.key);
        found.dedup_by_key(|event| event.key);
        Ok(found)
    }

    fn upcoming(
        &self,
        which: Upcoming,
        window: Window,
        calendars: &[Key],
        count: usize,
    ) -> Result<Vec<EventView>, MirrorError> {
        let has_drafts = self.has_drafts()?;
        let calendars = keys_json(calendars);
        let sql = match (which, has_drafts) {
            (Upcoming::Timed, false) => UPCOMING_TIMED,
            (Upcoming::Timed, true) => UPCOMING_TIMED_UNDRAFTED,
            (Upcoming::AllDay, false) => UPCOMING_ALL_DAY,
            (Upcoming::AllDay, true) => UPCOMING_ALL_DAY_UNDRAFTED,
        };
        let mut found = self.prepared(sql, "reading what comes next", |statement| {
            let mut rows = statement.query(named_params! {
                ":from": window.from_ms, ":to": window.to_ms, ":calendars": calendars,
            })?;
            first(&mut rows, count, view)
        })?;
        if has_drafts {
            let drafts =
                self.prepared(DRAFTS_UPCOMING, "reading the drafts that come next", |statement| {
                    let mut rows = statement.query(named_params! {
                        ":from": window.from_ms, ":to": window.to_ms, ":calendars": calendars,
                        ":is_all_day": which == Upcoming::AllDay,
                    })?;
                    first(&mut rows, count, draft)
                })?;
            found.extend(drafts);
            found.sort_by_key(|event| event.start_ms);
            let last_ms = count.checked_sub(1).and_then(|last| found.get(last)).map(|last| last.start_ms);
            if let Some(last_ms) = last_ms {
                found.retain(|event| event.start_ms <= last_ms);
            }
        }
        Ok(found)
    }

    /// The row whose body is wanted whole.
    ///
    /// # Errors
    /// As every reading.
    pub fn body(&self, key: Key) -> Result<Option<String>, MirrorError> {
        let _snapshot = self.snapshot()?;
        let read = |sql| {
            self.prepared(sql, "reading a body", |statement| {
                let mut rows = statement.query(named_params! { ":key": key.as_bytes() })?;
                rows.next()?.map(|row| row.get::<_, Option<String>>(0)).transpose()
            })
        };
        if self.has_drafts()?
            && let Some(body) = read(BODY_OF_DRAFT)?.flatten()
        {
            return Ok(Some(body).filter(|body| !body.is_empty()));
        }
        Ok(read(BODY)?.flatten())
    }

    /// The rows whose keys lie between two, two at most.
    pub(super) fn between(&self, first: Key, last: Key) -> Result<Vec<EventView>, MirrorError> {
        let _snapshot = self.snapshot()?;
        let has_drafts = self.has_drafts()?;
        let sql = if has_drafts { BY_KEYS_UNDRAFTED } else { BY_KEYS };
        let mut found = self.prepared(sql, "reading an event", |statement| {
            let mut rows =
                statement.query(named_params! { ":first": first.as_bytes(), ":last": last.as_bytes() })?;
            all(&mut rows)
        })?;
        if has_drafts {
            let drafts = self.prepared(DRAFTS_BY_KEYS, "reading a draft", |statement| {
                let mut rows = statement.query(named_params! {
                    ":first": first.as_bytes(), ":last": last.as_bytes(), ":calendars": None::<String>,
                })?;
                drafts(&mut rows)
            })?;
            found.extend(drafts);
        }
        Ok(found)
    }

    /// The drafts with these row ids, in no order.
    pub(super) fn drafts_by_ids(&self, ids: &[i64]) -> Result<Vec<EventView>, MirrorError> {
        self.prepared(DRAFTS_BY_IDS, "reading drafts", |statement| {
            let mut rows =
                statement.query(named_params! { ":ids": ids_json(ids), ":calendars": None::<String> })?;
            drafts(&mut rows)
        })
    }

    /// The rows with these row ids, in no order.
    pub(super) fn by_ids(&self, ids: &[i64]) -> Result<Vec<EventView>, MirrorError> {
        self.prepared(BY_IDS, "reading events", |statement| {
            let mut rows = statement.query(named_params! { ":ids": ids_json(ids) })?;
            all(&mut rows)
        })
    }
}

/// Which rows that begin later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upcoming {
    Timed,
    AllDay,
}

/// The first `count` rows, and those that begin together with the last of them.
fn first(
    rows: &mut Rows<'_>,
    count: usize,
    read: fn(&Row<'_>) -> rusqlite::Result<EventView>,
) -> rusqlite::Result<Vec<EventView>> {
    let mut found: Vec<EventView> = Vec::new();
    while let Some(row) = rows.next()? {
        let event = read(row)?;
        let is_enough = found.len() >= count;
        if is_enough && found.last().is_none_or(|last| last.start_ms < event.start_ms) {
            break;
        }
        found.push(event);
    }
    Ok(found)
}

/// For `json_each`; all calendars are NULL.
pub(super) fn keys_json(keys: &[Key]) -> Option<String> {
    if keys.is_empty() {
        return None;
    }
    let texts: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
    Some(format!("[{}]", texts.join(",")))
}

pub(super) fn ids_json(ids: &[i64]) -> String {
    let texts: Vec<String> = ids.iter().map(i64::to_string).collect();
    format!("[{}]", texts.join(","))
}

fn all(rows: &mut Rows<'_>) -> rusqlite::Result<Vec<EventView>> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(view(row)?);
    }
    Ok(found)
}

fn drafts(rows: &mut Rows<'_>) -> rusqlite::Result<Vec<EventView>> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(draft(row)?);
    }
    Ok(found)
}

fn draft(row: &Row<'_>) -> rusqlite::Result<EventView> {
    let pending = row.get_ref(EVENT_COLUMNS_COUNT)?.as_str_or_null()?.and_then(Pending::from_code);
    let is_in_conflict = row.get(EVENT_COLUMNS_COUNT + 1)?;
    Ok(EventView { pending, is_in_conflict, ..view(row)? })
}

/// Reads a row of `event_columns` from left to right.
struct Columns<'r> {
    row: &'r Row<'r>,
    at: usize,
}

impl<'r> Columns<'r> {
    fn take<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let at = self.at;
        self.at += 1;
        self.row.get(at)
    }

    fn flag(&mut self) -> rusqlite::Result<bool> {
        Ok(self.take::<Option<bool>>()?.unwrap_or(false))
    }

    /// A code of an enum; what is missing or unknown reads as `none`.
    fn code<T>(&mut self, from_code: impl Fn(&str) -> Option<T>, none: T) -> rusqlite::Result<T> {
        let at = self.at;
        self.at += 1;
        Ok(self.row.get_ref(at)?.as_str_or_null()?.and_then(from_code).unwrap_or(none))
    }

    /// A JSON array; NULL is empty.
    fn json<T: serde::Deserialize<'r>>(&mut self) -> rusqlite::Result<Vec<T>> {
        let at = self.at;
        self.at += 1;
        let text = self.row.get_ref(at)?.as_str_or_null()?;
        Ok(text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
    }
}

/// A row of `event_columns`.
pub(super) fn view(row: &Row<'_>) -> rusqlite::Result<EventView> {
    let mut columns = Columns { row, at: 0 };
    let c = &mut columns;
    Ok(EventView {
        key: Key::from_bytes(c.take()?),
        calendar: Key::from_bytes(c.take()?),
        kind: c.code(EventKind::from_code, EventKind::Single)?,
        series: c.take::<Option<[u8; 16]>>()?.map(Key::from_bytes),
        remote_id: c.take::<Option<String>>()?.map(RemoteId::new),
        change_key: c.take()?,
        start_ms: c.take()?,
        end_ms: c.take()?,
        is_unconfirmed: c.take()?,
        details: Box::new(details(c)?),
        pending: None,
        is_in_conflict: false,
    })
}

fn details(c: &mut Columns<'_>) -> rusqlite::Result<Details> {
    Ok(Details {
        body: None,
        is_all_day: c.flag()?,
        is_cancelled: c.flag()?,
        is_organizer: c.flag()?,
        show_as: c.code(ShowAs::from_code, ShowAs::Unknown)?,
        sensitivity: c.code(Sensitivity::from_code, Sensitivity::Normal)?,
        importance: c.code(Importance::from_code, Importance::Normal)?,
        response: c.code(Response::from_code, Response::None)?,
        reminder_minutes: c.take()?,
        ical_uid: c.take()?,
        subject: c.take()?,
        body_preview: c.take()?,
        location: c.take()?,
        original_time_zone: c.take()?,
        organizer: person(c.take()?, c.take()?),
        attendees: c.json::<StoredAttendee>()?.into_iter().map(attendee).collect(),
        categories: c.json()?,
        online_meeting: online_meeting(
            c.code(|code| Some(OnlineProvider::from_code(code)), None)?,
            c.take()?,
        ),
        web_link: c.take()?,
        // Only the writer needs it.
        transaction_id: None,
    })
}

fn person(name: Option<String>, address: Option<String>) -> Option<Person> {
    (name.is_some() || address.is_some()).then_some(Person { name, address })
}

fn online_meeting(provider: Option<OnlineProvider>, join_url: Option<String>) -> Option<OnlineMeeting> {
    match (provider, join_url) {
        (None, None) => None,
        (provider, join_url) => {
            Some(OnlineMeeting { provider: provider.unwrap_or(OnlineProvider::Other), join_url })
        }
    }
}

/// An attendee as the column `attendees` holds it.
#[derive(serde::Deserialize)]
struct StoredAttendee<'t> {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    address: Option<String>,
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'t, str>,
    #[serde(borrow, default)]
    response: Cow<'t, str>,
}

fn attendee(stored: StoredAttendee<'_>) -> Attendee {
    Attendee {
        person: Person { name: stored.name, address: stored.address },
        kind: AttendeeType::from_code(&stored.kind).unwrap_or(AttendeeType::Required),
        response: Response::from_code(&stored.response).unwrap_or(Response::None),
    }
}
