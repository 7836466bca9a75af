use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};

use crate::mirror::change::Feed;
use crate::mirror::draft::Painter;
use crate::mirror::event::Gone;
use crate::mirror::round::RoundEnd;
use crate::mirror::{Doing, Mirror, MirrorError, event, round};
use crate::model::{CalendarRecord, Key, Link, RemoteId, Window};

/// Rows a page is asked to have, until the server proves that it cannot.
pub const PAGE_SIZE: u32 = 200;

const SELECT: &str =
    "SELECT id, key, remote_id, is_default, mode, page_size, gen, window_from_ms, window_to_ms,
        delta_link, pulled_at_ms, full_at_ms, failures, error_at_ms, mode_at_ms
    FROM calendar WHERE is_present = 1 ORDER BY is_default DESC, id";
/// Where the event is, else the calendar named. A row written now is of the newest generation: a full round under way
/// has not missed it.
const PLACE: &str = "SELECT c.id, coalesce((SELECT r.gen FROM round r WHERE r.calendar_id = c.id), c.gen, 0)
    FROM calendar c WHERE c.is_present = 1 AND c.id = coalesce(
        (SELECT e.calendar_id FROM event e WHERE e.key = ?2), (SELECT k.id FROM calendar k WHERE k.key = ?1))";
const PLACE_IN: &str =
    "SELECT c.id, coalesce((SELECT r.gen FROM round r WHERE r.calendar_id = c.id), c.gen, 0)
    FROM calendar c WHERE c.is_present = 1 AND c.key = ?1";
const CHOICE: &str = "SELECT key, remote_id, name, is_default, can_edit FROM calendar
    WHERE is_present = 1 AND (key = ?1 OR (?1 IS NULL AND is_default = 1)) ORDER BY id LIMIT 1";
const PUT: &str = "INSERT INTO calendar (key, remote_id, name, color, owner_name, owner_address, is_default, can_edit, page_size)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    ON CONFLICT (key) DO UPDATE SET name = excluded.name, color = excluded.color, owner_name = excluded.owner_name,
        owner_address = excluded.owner_address, is_default = excluded.is_default, can_edit = excluded.can_edit,
        is_present = 1";
const HIDE: &str = "UPDATE calendar SET is_present = 0, gen = NULL, delta_link = NULL, window_from_ms = NULL,
    window_to_ms = NULL, pulled_at_ms = NULL, full_at_ms = NULL, error_kind = NULL, error_at_ms = NULL, failures = 0
    WHERE id = ?1";
const ROWS: &str = "SELECT id FROM event WHERE calendar_id = ?1 ORDER BY kind = 'master', id";
const END_ROUND: &str =
    "UPDATE calendar SET gen = ?2, window_from_ms = ?3, window_to_ms = ?4, delta_link = ?5,
    cursor_at_ms = CASE WHEN ?5 IS NULL THEN NULL ELSE ?6 END, pulled_at_ms = ?6,
    full_at_ms = CASE WHEN ?7 THEN ?6 ELSE full_at_ms END, skipped = ?8, failures = 0, error_kind = NULL,
    error_at_ms = NULL WHERE id = ?1";
const DROP_CURSOR: &str = "UPDATE calendar SET delta_link = NULL, cursor_at_ms = NULL WHERE id = ?1";
const SET_MODE: &str = "UPDATE calendar SET mode = ?2, mode_at_ms = ?3 WHERE id = ?1";
const SET_PAGE_SIZE: &str = "UPDATE calendar SET page_size = ?2 WHERE id = ?1";
const NOTE_FAULT: &str =
    "UPDATE calendar SET error_kind = ?2, error_at_ms = ?3, failures = failures + 1 WHERE id = ?1";

/// A calendar and how far its pulling came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarRow {
    /// The row.
    pub id: i64,
    /// The local identity.
    pub key: Key,
    /// The server's id.
    pub remote_id: RemoteId,
    /// The mailbox's default calendar.
    pub is_default: bool,
    /// How it is pulled: the code of a `PullMode`.
    pub mode: String,
    /// Rows a page is asked to have.
    pub page_size: u32,
    /// The live generation and its window, after the first full round.
    pub live: Option<(i64, Window)>,
    /// Where the next round of changes starts.
    pub delta_link: Option<Link>,
    /// The last complete pull.
    pub pulled_at_ms: Option<i64>,
    /// The last complete comparison of the whole window.
    pub full_at_ms: Option<i64>,
    /// Failures since the last complete pull.
    pub failures: u32,
    /// When it last failed, until a success clears it.
    pub failed_at_ms: Option<i64>,
    /// When its way of being pulled was last changed.
    pub mode_at_ms: Option<i64>,
}

/// A calendar to put an event into.
#[derive(Clone, PartialEq, Eq)]
pub struct CalendarChoice {
    /// The local identity.
    pub key: Key,
    /// The server's id.
    pub remote_id: RemoteId,
    /// The displayed name.
    pub name: String,
    /// The mailbox's default calendar.
    pub is_default: bool,
    /// Whether the user may write into it.
    pub can_edit: bool,
}

impl std::fmt::Debug for CalendarChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CalendarChoice")
            .field("key", &self.key)
            .field("can_edit", &self.can_edit)
            .finish_non_exhaustive()
    }
}

/// The calendar with this key, or the default one.
pub(super) fn choice(conn: &Connection, key: Option<Key>) -> Result<Option<CalendarChoice>, MirrorError> {
    conn.prepare_cached(CHOICE)
        .and_then(|mut s| {
            s.query_row([key.as_ref().map(Key::as_bytes)], |row| {
                Ok(CalendarChoice {
                    key: Key::from_bytes(row.get(0)?),
                    remote_id: RemoteId::new(row.get::<_, String>(1)?),
                    name: row.get(2)?,
                    is_default: row.get(3)?,
                    can_edit: row.get(4)?,
                })
            })
            .optional()
        })
        .doing("reading a calendar")
}

/// The row of the calendar that holds an event or is to hold it, and the generation of what is written there now.
pub(super) fn place(conn: &Connection, calendar: Key, event: Key) -> Result<Option<(i64, i64)>, MirrorError> {
    conn.prepare_cached(PLACE)
        .and_then(|mut s| {
            s.query_row((calendar.as_bytes(), event.as_bytes()), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .doing("reading a calendar")
}

/// The row of a calendar, and the generation of what is written there now.
pub(super) fn place_in(conn: &Connection, calendar: Key) -> Result<Option<(i64, i64)>, MirrorError> {
    conn.prepare_cached(PLACE_IN)
        .and_then(|mut s| s.query_row([calendar.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .doing("reading a calendar")
}

impl Mirror {
    /// The calendars the server has, the default one first.
    pub fn calendars(&self) -> Result<Vec<CalendarRow>, MirrorError> {
        let mut statement = self.conn.prepare_cached(SELECT).doing("listing calendars")?;
        statement
            .query_map([], |row| {
                let generation: Option<i64> = row.get(6)?;
                let from: Option<i64> = row.get(7)?;
                let to: Option<i64> = row.get(8)?;
                let window = from.zip(to).map(|(from_ms, to_ms)| Window { from_ms, to_ms });
                Ok(CalendarRow {
                    id: row.get(0)?,
                    key: Key::from_bytes(row.get(1)?),
                    remote_id: RemoteId::new(row.get::<_, String>(2)?),
                    is_default: row.get(3)?,
                    mode: row.get(4)?,
                    page_size: row.get(5)?,
                    live: generation.zip(window),
                    delta_link: row.get::<_, Option<String>>(9)?.map(Link::new),
                    pulled_at_ms: row.get(10)?,
                    full_at_ms: row.get(11)?,
                    failures: row.get(12)?,
                    failed_at_ms: row.get(13)?,
                    mode_at_ms: row.get(14)?,
                })
            })
            .and_then(Iterator::collect)
            .doing("listing calendars")
    }

    /// The name of the default calendar, once it was listed.
    pub fn default_calendar_name(&self) -> Result<Option<String>, MirrorError> {
        Ok(choice(&self.conn, None)?.map(|calendar| calendar.name))
    }

    /// Writes a complete listing. Answers the calendars that are here and not on it; they stay until
    /// [`Mirror::remove_calendar`].
    pub fn put_calendars(
        &mut self,
        listing: &[CalendarRecord],
        now_ms: i64,
    ) -> Result<Vec<CalendarRow>, MirrorError> {
        let tx = self.conn.transaction().doing("writing the calendars")?;
        let mut listed = BTreeSet::new();
        for record in listing {
            let key = Key::of_remote(record.remote_id.as_str());
            listed.insert(key);
            tx.prepare_cached(PUT)
                .and_then(|mut s| {
                    s.execute((
                        key.as_bytes(),
                        record.remote_id.as_str(),
                        &record.name,
                        &record.color,
                        &record.owner_name,
                        &record.owner_address,
                        record.is_default,
                        record.can_edit,
                        PAGE_SIZE,
                    ))
                })
                .doing("writing the calendars")?;
        }
        tx.commit().doing("writing the calendars")?;
        self.note_listed(now_ms)?;
        Ok(self.calendars()?.into_iter().filter(|row| !listed.contains(&row.key)).collect())
    }

    /// Removes a calendar the server no longer has, with its events. Answers how many events went.
    pub fn remove_calendar(&mut self, calendar_id: i64, now_ms: i64) -> Result<u64, MirrorError> {
        let Mirror { conn, zones, .. } = self;
        let tx = conn.transaction().doing("removing a calendar")?;
        let mut removed = 0;
        {
            let painter = Painter { conn: &tx, zones };
            let mut feed = Feed::new(&tx, now_ms)?;
            event::rehome_masters(&tx, calendar_id)?;
            let ids: Vec<i64> = tx
                .prepare_cached(ROWS)
                .and_then(|mut s| s.query_map([calendar_id], |row| row.get(0)).and_then(Iterator::collect))
                .doing("removing a calendar")?;
            for id in ids {
                removed += u64::from(event::delete(&painter, &mut feed, id, Gone::There)?);
            }
        }
        round::forget(&tx, calendar_id)?;
        tx.prepare_cached(HIDE).and_then(|mut s| s.execute([calendar_id])).doing("removing a calendar")?;
        tx.commit().doing("removing a calendar")?;
        Ok(removed)
    }

    /// Drops the cursor of a calendar: the server no longer knows it. Rows stay until a full round has compared them.
    pub fn drop_cursor(&mut self, calendar_id: i64) -> Result<(), MirrorError> {
        self.run(DROP_CURSOR, [calendar_id], "dropping a cursor")
    }

    /// Remembers how a calendar is pulled.
    pub fn set_mode(&mut self, calendar_id: i64, mode: &str, now_ms: i64) -> Result<(), MirrorError> {
        self.run(SET_MODE, (calendar_id, mode, now_ms), "noting how a calendar is pulled")
    }

    /// Remembers how many rows a page is asked to have.
    pub fn set_page_size(&mut self, calendar_id: i64, page_size: u32) -> Result<(), MirrorError> {
        self.run(SET_PAGE_SIZE, (calendar_id, page_size), "noting a page size")
    }

    /// Notes a failure of one calendar by its stable kind.
    pub fn note_calendar_fault(
        &mut self,
        calendar_id: i64,
        kind: &str,
        now_ms: i64,
    ) -> Result<(), MirrorError> {
        self.run(NOTE_FAULT, (calendar_id, kind, now_ms), "noting a failure")
    }
}

pub(crate) fn end_round(conn: &Connection, end: &RoundEnd<'_>, now_ms: i64) -> Result<(), MirrorError> {
    let place = &end.place;
    conn.prepare_cached(END_ROUND)
        .and_then(|mut s| {
            s.execute((
                place.calendar_id,
                place.generation,
                place.window.from_ms,
                place.window.to_ms,
                end.delta_link.map(Link::as_str),
                now_ms,
                end.is_full,
                end.skipped,
            ))
        })
        .map(|_| ())
        .doing("ending a round")
}
