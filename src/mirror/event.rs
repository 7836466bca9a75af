use std::collections::BTreeMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension, ToSql};

use crate::merge::{Fingerprint, Frame, Pass, Plan, RowStep, Stored};
use crate::mirror::alias::{self, Aliases};
use crate::mirror::change::{Feed, What};
use crate::mirror::draft::{self, Painter, Told};
use crate::mirror::event_body::Bodies;
use crate::mirror::event_text::Texts;
use crate::mirror::hydration::{self, Need};
use crate::mirror::removal;
use crate::mirror::round::{self, Cursor};
use crate::mirror::{Doing, Mirror, MirrorError, outbox, settle};
use crate::model::{Action, Attendee, Details, EventKind, EventRecord, Key, RemoteId};
use crate::zones::Zones;

/// What one write did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    /// Rows that are new.
    pub inserted: u64,
    /// Rows that say something else now.
    pub rewritten: u64,
    /// Rows whose version alone changed.
    pub rekeyed: u64,
    /// Removals staged.
    pub staged: u64,
}

impl std::ops::AddAssign for Committed {
    fn add_assign(&mut self, other: Committed) {
        self.inserted += other.inserted;
        self.rewritten += other.rewritten;
        self.rekeyed += other.rekeyed;
        self.staged += other.staged;
    }
}

const STORED: &str =
    "SELECT e.id, e.calendar_id, e.kind, e.is_present, e.seen_gen, e.fingerprint, e.change_key, e.series_id,
        EXISTS (SELECT 1 FROM removal r WHERE r.event_id = e.id)
    FROM event e WHERE e.key = ?1";
const INSERT: &str = "INSERT INTO event (calendar_id, kind, is_present, seen_gen, change_key, fingerprint, series_id,
        start_ms, end_ms, original_start_ms, modified_ms, is_all_day, is_cancelled, is_organizer, show_as, sensitivity,
        importance, response, reminder_minutes, ical_uid, subject, body_preview, location, original_time_zone,
        organizer_name, organizer_address, attendees, categories, online_provider, online_join_url, web_link,
        transaction_id, key, remote_id)
    VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
        ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33)";
/// `?32` is the row; the key and the remote id never change.
const REWRITE: &str = "UPDATE event SET calendar_id = ?1, kind = ?2, is_present = 1,
        seen_gen = CASE WHEN calendar_id = ?1 THEN max(seen_gen, ?3) ELSE ?3 END, change_key = ?4, fingerprint = ?5, series_id = ?6, start_ms = ?7, end_ms = ?8, original_start_ms = ?9,
        modified_ms = ?10, is_all_day = ?11, is_cancelled = ?12, is_organizer = ?13, show_as = ?14, sensitivity = ?15,
        importance = ?16, response = ?17, reminder_minutes = ?18, ical_uid = ?19, subject = ?20, body_preview = ?21,
        location = ?22, original_time_zone = ?23, organizer_name = ?24, organizer_address = ?25, attendees = ?26,
        categories = ?27, online_provider = ?28, online_join_url = ?29, web_link = ?30, transaction_id = ?31
    WHERE id = ?32";
/// The same for a row that stays where it is: no column of an index is set, so that no index page is written. Most
/// changes leave the times alone.
const REWRITE_IN_PLACE: &str = "UPDATE event SET seen_gen = max(seen_gen, ?3), change_key = ?4, fingerprint = ?5,
        original_start_ms = ?9, modified_ms = ?10, is_all_day = ?11, is_cancelled = ?12, is_organizer = ?13,
        show_as = ?14, sensitivity = ?15, importance = ?16, response = ?17, reminder_minutes = ?18, ical_uid = ?19,
        subject = ?20, body_preview = ?21, location = ?22, original_time_zone = ?23, organizer_name = ?24,
        organizer_address = ?25, attendees = ?26, categories = ?27, online_provider = ?28, online_join_url = ?29,
        web_link = ?30, transaction_id = ?31
    WHERE id = ?32 AND calendar_id = ?1 AND kind = ?2 AND is_present = 1 AND series_id IS ?6 AND start_ms = ?7
      AND end_ms = ?8";
const REKEY: &str = "UPDATE event SET change_key = ?2, seen_gen = max(seen_gen, ?3) WHERE id = ?1";
const TOUCH: &str = "UPDATE event SET seen_gen = max(seen_gen, ?2) WHERE id = ?1";
const BY_KEY: &str = "SELECT id, calendar_id, kind = 'master' AND is_present = 1 FROM event WHERE key = ?1";
const PLACEHOLD: &str = "INSERT INTO event (key, calendar_id, kind, is_present, seen_gen, remote_id, fingerprint, start_ms, end_ms)
    VALUES (?1, ?2, 'master', 0, ?3, ?4, zeroblob(16), 0, 0)";
const KEY_OF: &str = "SELECT key, kind <> 'master' FROM event WHERE id = ?1";
const REHOME: &str = "UPDATE event SET calendar_id =
        (SELECT i.calendar_id FROM event i WHERE i.series_id = event.id AND i.calendar_id <> ?1 ORDER BY i.id LIMIT 1)
    WHERE calendar_id = ?1 AND kind = 'master'
      AND EXISTS (SELECT 1 FROM event i WHERE i.series_id = event.id AND i.calendar_id <> ?1)";
const DELETE: &str = "DELETE FROM event WHERE id = ?1";
const SET_KEY: &str = "UPDATE event SET key = ?2 WHERE key = ?1";
const ID_OF: &str = "SELECT id FROM event WHERE key = ?1";
const INSTANCES: &str = "SELECT id FROM event WHERE series_id = ?1 AND id <> ?1 ORDER BY id";
/// Walks an index, never the table.
const COUNT: &str =
    "SELECT count(*) FROM event WHERE calendar_id = ?1 AND is_present = 1 AND kind <> 'master'";

impl Mirror {
    /// The stored row of each key, in the same order. Events made here are found by the hash of their remote id, too.
    pub fn stored(&self, keys: impl IntoIterator<Item = Key>) -> Result<Vec<Option<Stored>>, MirrorError> {
        stored(&self.conn, keys.into_iter().map(|key| self.aliases.own(key)))
    }

    /// Carries out a plan with its marks, feed rows and cursor, in one transaction.
    pub fn commit_page(
        &mut self,
        plan: &Plan,
        cursor: &Cursor<'_>,
        now_ms: i64,
    ) -> Result<Committed, MirrorError> {
        let Mirror { conn, aliases, zones, .. } = self;
        let tx = conn.transaction().doing("committing a page")?;
        let (committed, made) = write(&tx, aliases, zones, plan, now_ms)?;
        round::advance(&tx, plan.frame.calendar_id, cursor)?;
        tx.commit().doing("committing a page")?;
        for (remote, local) in made {
            aliases.insert(remote, local);
        }
        Ok(committed)
    }

    /// Events of a calendar in the mirror, masters left out. Costs as much as the mirror is large.
    pub fn count_events(&self, calendar_id: i64) -> Result<u64, MirrorError> {
        count(&self.conn, calendar_id)
    }
}

pub(super) fn stored(
    conn: &Connection,
    keys: impl IntoIterator<Item = Key>,
) -> Result<Vec<Option<Stored>>, MirrorError> {
    let mut statement = conn.prepare_cached(STORED).doing("looking up rows")?;
    keys.into_iter()
        .map(|key| {
            statement
                .query_row([key.as_bytes()], |row| {
                    let kind: String = row.get(2)?;
                    Ok(Stored {
                        id: row.get(0)?,
                        calendar_id: row.get(1)?,
                        kind: EventKind::from_code(&kind).unwrap_or(EventKind::Single),
                        is_present: row.get(3)?,
                        seen_gen: row.get(4)?,
                        fingerprint: row.get(5)?,
                        change_key: row.get(6)?,
                        series_id: row.get(7)?,
                        has_removal: row.get(8)?,
                    })
                })
                .optional()
                .doing("looking up rows")
        })
        .collect()
}

/// Carries out a plan inside somebody's transaction, and draws what open edits of its rows show. Answers also the
/// aliases of creates whose answers were lost and whose events have come now.
pub(super) fn write(
    conn: &Connection,
    aliases: &Aliases,
    zones: &Zones,
    plan: &Plan,
    now_ms: i64,
) -> Result<(Committed, Vec<(Key, Key)>), MirrorError> {
    let mut committed = Committed::default();
    let mut hand = Hand::new(conn, plan.frame, aliases, zones, now_ms)?;
    for step in &plan.steps {
        hand.carry_out(step, &mut committed)?;
    }
    for series in &plan.dirty_series {
        if let Some(series) = hand.find(&aliases.own(*series))? {
            hand.mark_dirty(series.id)?;
        }
    }
    for series_id in &plan.dirty_rows {
        hand.mark_dirty(*series_id)?;
    }
    for series in &plan.stale_series {
        if let Some(series) = hand.find(&aliases.own(*series))? {
            hydration::queue(conn, series.id, plan.frame.calendar_id, Need::Master, now_ms)?;
        }
    }
    hand.redraw()?;
    Ok((committed, hand.made))
}

/// Why a row goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The event is gone on the server.
    There,
    /// The window has moved past it; the event may well be there.
    OutOfWindow,
}

pub(crate) fn count(conn: &Connection, calendar_id: i64) -> Result<u64, MirrorError> {
    conn.prepare_cached(COUNT)
        .and_then(|mut s| s.query_row([calendar_id], |row| row.get(0)))
        .doing("counting events")
}

/// Gives the masters of a calendar that goes to the calendar that has instances of them.
pub(crate) fn rehome_masters(conn: &Connection, calendar_id: i64) -> Result<(), MirrorError> {
    conn.prepare_cached(REHOME).and_then(|mut s| s.execute([calendar_id])).map(|_| ()).doing("moving series")
}

/// Deletes one row with its feed row. The rows that hang on it go with it; what the user edited of it stays. Its open
/// deletion is done when the event is gone on the server.
pub(crate) fn delete(
    painter: &Painter<'_>,
    feed: &mut Feed<'_>,
    event_id: i64,
    gone: Gone,
) -> Result<bool, MirrorError> {
    let conn = painter.conn;
    let found: Option<([u8; 16], bool)> = conn
        .prepare_cached(KEY_OF)
        .and_then(|mut s| s.query_row([event_id], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .doing("removing a row")?;
    let Some((key, is_shown)) = found else { return Ok(false) };
    crate::mirror::event_text::forget(conn, event_id)?;
    conn.prepare_cached(DELETE).and_then(|mut s| s.execute([event_id])).doing("removing a row")?;
    if is_shown {
        feed.append(&key, What::Remove)?;
    }
    let event = Key::from_bytes(key);
    if draft::exists(conn, event)? || outbox::concerns(conn, event, None)? {
        if gone == Gone::There {
            for edit in outbox::showing(conn, event, None)? {
                if matches!(edit.intent.action(), Action::Delete | Action::Cancel) {
                    outbox::drop_edit(conn, edit.n)?;
                }
            }
        }
        painter.redraw(feed, event, if is_shown { Told::Removed } else { Told::Nothing })?;
    }
    Ok(is_shown)
}

/// Deletes the row of an event that is gone on the server; of a series its instances, too.
pub(super) fn delete_by_key(
    painter: &Painter<'_>,
    feed: &mut Feed<'_>,
    event: Key,
) -> Result<(), MirrorError> {
    let id: Option<i64> = painter
        .conn
        .prepare_cached(ID_OF)
        .and_then(|mut s| s.query_row([event.as_bytes()], |row| row.get(0)).optional())
        .doing("removing a row")?;
    let Some(id) = id else { return Ok(()) };
    let instances: Vec<i64> = painter
        .conn
        .prepare_cached(INSTANCES)
        .and_then(|mut s| s.query_map([id], |row| row.get(0)).and_then(Iterator::collect))
        .doing("removing a series")?;
    for instance in instances {
        delete(painter, feed, instance, Gone::There)?;
    }
    delete(painter, feed, id, Gone::There).map(|_| ())
}

/// Queues a series to be read again.
pub(super) fn mark_dirty(
    conn: &Connection,
    series: Key,
    calendar_id: i64,
    now_ms: i64,
) -> Result<(), MirrorError> {
    let id: Option<i64> = conn
        .prepare_cached(ID_OF)
        .and_then(|mut s| s.query_row([series.as_bytes()], |row| row.get(0)).optional())
        .doing("queueing a series")?;
    match id {
        Some(id) => hydration::queue(conn, id, calendar_id, Need::Series, now_ms),
        None => Ok(()),
    }
}

/// Gives a row that came before its create was answered the local id of that create. Answers whether there was one.
pub(super) fn set_key(conn: &Connection, from: Key, to: Key) -> Result<bool, MirrorError> {
    conn.prepare_cached(SET_KEY)
        .and_then(|mut s| s.execute((from.as_bytes(), to.as_bytes())))
        .map(|changed| changed > 0)
        .doing("renaming a row")
}

/// The prepared statements of one page.
struct Hand<'c> {
    conn: &'c Connection,
    frame: Frame,
    now_ms: i64,
    insert: CachedStatement<'c>,
    rewrite: CachedStatement<'c>,
    rewrite_in_place: CachedStatement<'c>,
    touch: CachedStatement<'c>,
    feed: Feed<'c>,
    bodies: Bodies<'c>,
    texts: Texts<'c>,
    /// Rows of the series met on this page.
    series: BTreeMap<Key, Series>,
    aliases: &'c Aliases,
    zones: &'c Zones,
    /// Whether any edit is open: else no row can have a draft.
    has_edits: bool,
    /// Rows that were written while edits are open.
    touched: Vec<Touched>,
    /// Aliases made on this page.
    made: Vec<(Key, Key)>,
}

/// A row that was written.
struct Touched {
    key: Key,
    series: Option<Key>,
    is_master: bool,
}

#[derive(Clone, Copy)]
struct Series {
    id: i64,
    calendar_id: i64,
    is_fetched: bool,
}

impl<'c> Hand<'c> {
    fn new(
        conn: &'c Connection,
        frame: Frame,
        aliases: &'c Aliases,
        zones: &'c Zones,
        now_ms: i64,
    ) -> Result<Hand<'c>, MirrorError> {
        Ok(Hand {
            conn,
            frame,
            now_ms,
            insert: conn.prepare_cached(INSERT).doing("preparing a page")?,
            rewrite: conn.prepare_cached(REWRITE).doing("preparing a page")?,
            rewrite_in_place: conn.prepare_cached(REWRITE_IN_PLACE).doing("preparing a page")?,
            touch: conn.prepare_cached(TOUCH).doing("preparing a page")?,
            feed: Feed::new(conn, now_ms)?,
            bodies: Bodies::new(conn)?,
            texts: Texts::new(conn)?,
            series: BTreeMap::new(),
            aliases,
            zones,
            has_edits: !outbox::is_empty(conn)?,
            touched: Vec::new(),
            made: Vec::new(),
        })
    }

    fn carry_out(&mut self, step: &RowStep, committed: &mut Committed) -> Result<(), MirrorError> {
        match step {
            RowStep::Insert { key, record, fingerprint } => {
                let key = &self.adopt(*key, record)?;
                // An occurrence earlier on this page, or this very row, may have made it already as that of a series.
                self.series_of(record)?;
                if let Some(series) = self.series.get(key).copied() {
                    self.rewrite(series.id, key, record, fingerprint, false)?;
                } else {
                    self.insert(key, record, fingerprint)?;
                }
                committed.inserted += u64::from(record.kind != EventKind::Master);
            }
            RowStep::Rewrite { id, key, was_shown, record, fingerprint } => {
                self.rewrite(*id, &self.aliases.own(*key), record, fingerprint, *was_shown)?;
                committed.rewritten += 1;
            }
            RowStep::Rekey { id, change_key, has_removal } => {
                self.conn
                    .prepare_cached(REKEY)
                    .and_then(|mut s| s.execute((id, change_key, self.frame.generation)))
                    .doing("noting a version")?;
                if self.has_edits {
                    let key = Key::from_bytes(self.key_of(*id)?);
                    self.touched.push(Touched { key, series: None, is_master: false });
                }
                self.end_removal(*id, *has_removal)?;
                committed.rekeyed += 1;
            }
            RowStep::Touch { id, has_removal } => {
                self.touch.execute((id, self.frame.generation)).doing("noting a generation")?;
                self.end_removal(*id, *has_removal)?;
            }
            RowStep::Stage { id } => {
                removal::stage(self.conn, *id, self.frame.calendar_id, self.frame.generation, self.now_ms)?;
                committed.staged += 1;
            }
            RowStep::StageSeries { id } => {
                removal::stage_instances(
                    self.conn,
                    *id,
                    self.frame.calendar_id,
                    self.frame.generation,
                    self.now_ms,
                )?;
                removal::stage(self.conn, *id, self.frame.calendar_id, self.frame.generation, self.now_ms)?;
                committed.staged += 1;
            }
            RowStep::StageInstances { id } => {
                removal::stage_instances(
                    self.conn,
                    *id,
                    self.frame.calendar_id,
                    self.frame.generation,
                    self.now_ms,
                )?;
            }
        }
        Ok(())
    }

    /// A row that is delivered again is not removed; when its removal was held, it stops looking unconfirmed.
    fn end_removal(&mut self, event_id: i64, has_removal: bool) -> Result<(), MirrorError> {
        if has_removal && removal::end(self.conn, event_id)? {
            let key = self.key_of(event_id)?;
            self.feed.append(&key, What::Put)?;
        }
        Ok(())
    }

    fn key_of(&self, event_id: i64) -> Result<[u8; 16], MirrorError> {
        self.conn
            .prepare_cached(KEY_OF)
            .and_then(|mut s| s.query_row([event_id], |row| row.get(0)))
            .doing("reading a key")
    }

    /// The local id for a new row. One that a create of ours made, whose answer was lost, has that create's id: it
    /// has landed.
    fn adopt(&mut self, remote: Key, record: &EventRecord) -> Result<Key, MirrorError> {
        let key = self.aliases.own(remote);
        let transaction_id = record.details.as_deref().and_then(|details| details.transaction_id.as_deref());
        let Some(transaction_id) = transaction_id.filter(|_| self.has_edits && key == remote) else {
            return Ok(key);
        };
        let Some(edit) = outbox::open_create(self.conn, transaction_id)? else { return Ok(key) };
        alias::put(self.conn, remote, edit.event)?;
        outbox::drop_edit(self.conn, edit.n)?;
        settle::pass_on(self.conn, self.zones, &edit, record)?;
        self.made.push((remote, edit.event));
        Ok(edit.event)
    }

    /// Draws what open edits of the written rows show now.
    fn redraw(&mut self) -> Result<(), MirrorError> {
        let painter = Painter { conn: self.conn, zones: self.zones };
        for Touched { key, series, is_master } in std::mem::take(&mut self.touched) {
            if !outbox::concerns(self.conn, key, series)? && !draft::exists(self.conn, key)? {
                continue;
            }
            outbox::rehome(self.conn, key)?;
            if !is_master {
                painter.redraw(&mut self.feed, key, Told::Put)?;
            } else if outbox::showing(self.conn, key, None)?.is_empty() {
                painter.redraw_edited_instances(&mut self.feed, key)?;
            } else {
                painter.redraw(&mut self.feed, key, Told::Nothing)?;
            }
        }
        Ok(())
    }

    fn insert(
        &mut self,
        key: &Key,
        record: &EventRecord,
        fingerprint: &Fingerprint,
    ) -> Result<(), MirrorError> {
        let series_id = self.series_of(record)?;
        let row = Columns::of(record);
        let mut params = row.bind(&self.frame, fingerprint, &series_id);
        let key_bytes = key.as_bytes();
        let remote_id = record.remote_id.as_str();
        params.push(key_bytes);
        params.push(&remote_id);
        self.insert.execute(params.as_slice()).doing("writing a row")?;
        let id = self.conn.last_insert_rowid();
        self.written(id, key, record, true, false)
    }

    fn rewrite(
        &mut self,
        id: i64,
        key: &Key,
        record: &EventRecord,
        fingerprint: &Fingerprint,
        was_shown: bool,
    ) -> Result<(), MirrorError> {
        let series_id = self.series_of(record)?;
        let row = Columns::of(record);
        let mut params = row.bind(&self.frame, fingerprint, &series_id);
        params.push(&id);
        if self.rewrite_in_place.execute(params.as_slice()).doing("writing a row")? == 0 {
            self.rewrite.execute(params.as_slice()).doing("writing a row")?;
        }
        removal::end(self.conn, id)?;
        self.written(id, key, record, false, was_shown)
    }

    /// What follows a written row: body, index, feed, and what a fetched master means for its occurrences.
    fn written(
        &mut self,
        id: i64,
        key: &Key,
        record: &EventRecord,
        is_new: bool,
        was_shown: bool,
    ) -> Result<(), MirrorError> {
        let details = record.details.as_deref().filter(|_| record.kind != EventKind::Occurrence);
        self.bodies.put(id, details, is_new)?;
        if self.has_edits {
            let series = record.series.as_ref().map(|series| self.aliases.of(series));
            self.touched.push(Touched { key: *key, series, is_master: record.kind == EventKind::Master });
        }
        match record.kind {
            EventKind::Master => {
                self.texts.queue(id)?;
                if was_shown {
                    self.feed.append(key.as_bytes(), What::Remove)?;
                }
                if !is_new {
                    self.feed.append_occurrences(id)?;
                }
                // A round of changes reads the whole series again; everywhere else the master is what was missing.
                if self.frame.pass != Pass::Delta {
                    hydration::finish(self.conn, id, Need::Master)?;
                }
                self.series
                    .insert(*key, Series { id, calendar_id: self.frame.calendar_id, is_fetched: true });
            }
            EventKind::Occurrence => self.feed.append(key.as_bytes(), What::Put)?,
            EventKind::Single | EventKind::Exception => {
                self.texts.queue(id)?;
                self.feed.append(key.as_bytes(), What::Put)?;
            }
        }
        Ok(())
    }

    /// The row of the record's series; makes a placeholder and queues its fetching when there is none.
    fn series_of(&mut self, record: &EventRecord) -> Result<Option<i64>, MirrorError> {
        let Some(remote_id) = record.series.as_ref() else { return Ok(None) };
        let key = self.aliases.of(remote_id);
        if let Some(series) = self.series.get(&key) {
            return Ok(Some(series.id));
        }
        let series = match self.find(&key)? {
            Some(series) => series,
            None => Series {
                id: self.placehold(&key, remote_id)?,
                calendar_id: self.frame.calendar_id,
                is_fetched: false,
            },
        };
        // A series whose instances come from another calendar than its master has moved: its master is looked up there.
        if !series.is_fetched || series.calendar_id != self.frame.calendar_id {
            hydration::queue(self.conn, series.id, self.frame.calendar_id, Need::Master, self.now_ms)?;
        }
        self.series.insert(key, series);
        Ok(Some(series.id))
    }

    fn find(&self, key: &Key) -> Result<Option<Series>, MirrorError> {
        self.conn
            .prepare_cached(BY_KEY)
            .and_then(|mut s| {
                s.query_row([key.as_bytes()], |row| {
                    Ok(Series { id: row.get(0)?, calendar_id: row.get(1)?, is_fetched: row.get(2)? })
                })
                .optional()
            })
            .doing("looking up a series")
    }

    fn placehold(&self, key: &Key, remote_id: &RemoteId) -> Result<i64, MirrorError> {
        self.conn
            .prepare_cached(PLACEHOLD)
            .and_then(|mut s| {
                s.insert((key.as_bytes(), self.frame.calendar_id, self.frame.generation, remote_id.as_str()))
            })
            .doing("making a place for a series")
    }

    fn mark_dirty(&self, series_id: i64) -> Result<(), MirrorError> {
        hydration::queue(self.conn, series_id, self.frame.calendar_id, Need::Series, self.now_ms)
    }
}

/// The columns of a row in the order of the statements, borrowed where the record has them.
struct Columns<'r> {
    record: &'r EventRecord,
    details: Option<&'r Details>,
    attendees: Option<String>,
    categories: Option<String>,
    is_all_day: Option<bool>,
    is_cancelled: Option<bool>,
    is_organizer: Option<bool>,
    show_as: Option<&'static str>,
    sensitivity: Option<&'static str>,
    importance: Option<&'static str>,
    response: Option<&'static str>,
    kind: &'static str,
    provider: Option<&'static str>,
    none: Option<&'static str>,
}

#[derive(serde::Serialize)]
struct StoredAttendee<'r> {
    name: Option<&'r str>,
    address: Option<&'r str>,
    r#type: &'static str,
    response: &'static str,
}

impl<'r> Columns<'r> {
    fn of(record: &'r EventRecord) -> Columns<'r> {
        let details = record.details.as_deref().filter(|_| record.kind != EventKind::Occurrence);
        Columns {
            record,
            details,
            attendees: details.and_then(|d| attendees_json(&d.attendees)),
            categories: details.and_then(|d| categories_json(&d.categories)),
            is_all_day: details.map(|d| d.is_all_day),
            is_cancelled: details.map(|d| d.is_cancelled),
            is_organizer: details.map(|d| d.is_organizer),
            show_as: details.map(|d| d.show_as.code()),
            sensitivity: details.map(|d| d.sensitivity.code()),
            importance: details.map(|d| d.importance.code()),
            response: details.map(|d| d.response.code()),
            kind: record.kind.code(),
            provider: details.and_then(|d| d.online_meeting.as_ref()).map(|m| m.provider.code()),
            none: None,
        }
    }

    /// The first 31 parameters of both statements.
    fn bind<'p>(
        &'p self,
        frame: &'p Frame,
        fingerprint: &'p Fingerprint,
        series_id: &'p Option<i64>,
    ) -> Vec<&'p dyn ToSql> {
        let record = self.record;
        let mut params: Vec<&'p dyn ToSql> = Vec::with_capacity(33);
        params.extend([
            &frame.calendar_id as &dyn ToSql,
            &self.kind,
            &frame.generation,
            &record.change_key,
            fingerprint,
            series_id,
            &record.start_ms,
            &record.end_ms,
            &record.original_start_ms,
            &record.modified_ms,
            &self.is_all_day,
            &self.is_cancelled,
            &self.is_organizer,
            &self.show_as,
            &self.sensitivity,
            &self.importance,
            &self.response,
        ]);
        match self.details {
            None => params.extend(std::iter::repeat_n(&self.none as &dyn ToSql, 14)),
            Some(d) => {
                let organizer = d.organizer.as_ref();
                let meeting = d.online_meeting.as_ref();
                params.extend([
                    &d.reminder_minutes as &dyn ToSql,
                    &d.ical_uid,
                    &d.subject,
                    &d.body_preview,
                    &d.location,
                    &d.original_time_zone,
                    organizer.map_or(&self.none as &dyn ToSql, |p| &p.name),
                    organizer.map_or(&self.none as &dyn ToSql, |p| &p.address),
                    &self.attendees,
                    &self.categories,
                    &self.provider,
                    meeting.map_or(&self.none as &dyn ToSql, |m| &m.join_url),
                    &d.web_link,
                    &d.transaction_id,
                ]);
            }
        }
        params
    }
}

pub(super) fn attendees_json(attendees: &[Attendee]) -> Option<String> {
    if attendees.is_empty() {
        return None;
    }
    let rows: Vec<StoredAttendee<'_>> = attendees
        .iter()
        .map(|attendee| StoredAttendee {
            name: attendee.person.name.as_deref(),
            address: attendee.person.address.as_deref(),
            r#type: attendee.kind.code(),
            response: attendee.response.code(),
        })
        .collect();
    serde_json::to_string(&rows).ok()
}

pub(super) fn categories_json(categories: &[String]) -> Option<String> {
    if categories.is_empty() { None } else { serde_json::to_string(categories).ok() }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
