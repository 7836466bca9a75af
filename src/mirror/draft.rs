//! What is shown instead of a row while edits of it are open. Computed from the row and the edits, in every
//! transaction that changes either; nothing else ever writes here.

use rusqlite::{Connection, OptionalExtension, ToSql};

use crate::edit::{Shown, overlay, overlay_instance};
use crate::mirror::change::{Feed, What};
use crate::mirror::event::{attendees_json, categories_json};
use crate::mirror::record::{self, FoundRecord};
use crate::mirror::{Doing, MirrorError, outbox};
use crate::model::{EventKind, EventRecord, Key, OpenEdit};
use crate::zones::Zones;

macro_rules! columns {
    ($p:literal) => {
        concat!(
            $p,
            "calendar_key, ",
            $p,
            "kind, ",
            $p,
            "series_key, ",
            $p,
            "remote_id, ",
            $p,
            "change_key, ",
            $p,
            "pending, ",
            $p,
            "is_hidden, ",
            $p,
            "is_conflict, ",
            $p,
            "start_ms, ",
            $p,
            "end_ms, ",
            $p,
            "original_start_ms, ",
            $p,
            "is_all_day, ",
            $p,
            "is_cancelled, ",
            $p,
            "is_organizer, ",
            $p,
            "show_as, ",
            $p,
            "sensitivity, ",
            $p,
            "importance, ",
            $p,
            "response, ",
            $p,
            "reminder_minutes, ",
            $p,
            "ical_uid, ",
            $p,
            "subject, ",
            $p,
            "body, ",
            $p,
            "body_preview, ",
            $p,
            "location, ",
            $p,
            "original_time_zone, ",
            $p,
            "organizer_name, ",
            $p,
            "organizer_address, ",
            $p,
            "attendees, ",
            $p,
            "categories, ",
            $p,
            "online_provider, ",
            $p,
            "online_join_url, ",
            $p,
            "web_link"
        )
    };
}

/// Answers nothing when the draft says the same already.
const PUT: &str = concat!(
    "INSERT INTO draft (key, ",
    columns!(""),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, \
     ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33) ON CONFLICT (key) DO UPDATE SET (",
    columns!(""),
    ") = (",
    columns!("excluded."),
    ") WHERE (",
    columns!("draft."),
    ") IS NOT (",
    columns!("excluded."),
    ")"
);
const IS_HIDDEN: &str = "SELECT is_hidden FROM draft WHERE key = ?1";
const REMOVE: &str = "DELETE FROM draft WHERE key = ?1";
const EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM draft WHERE key = ?1)";
const INSTANCES: &str = "SELECT i.key FROM event m CROSS JOIN event i ON i.series_id = m.id \
         WHERE m.key = ?1 AND i.is_present = 1 AND i.kind <> 'master' \
     UNION SELECT d.key FROM draft d WHERE d.series_key = ?1";
/// The keys of a series, whether or not its own row has come.
const IS_SERIES: &str = "SELECT EXISTS (SELECT 1 FROM event m CROSS JOIN event i ON i.series_id = m.id WHERE m.key = ?1) \
    OR EXISTS (SELECT 1 FROM draft WHERE series_key = ?1)";

#[cfg(test)]
pub(super) const PLANNED: &[&str] = &[IS_HIDDEN, REMOVE, EXISTS, INSTANCES, IS_SERIES];

/// What the transaction has told the feed about the event already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing: its row is as it was.
    Nothing,
    /// That its row was written.
    Put,
    /// That its row is gone.
    Removed,
}

/// Draws drafts anew inside somebody's transaction.
pub(crate) struct Painter<'p> {
    pub(crate) conn: &'p Connection,
    pub(crate) zones: &'p Zones,
}

impl Painter<'_> {
    /// Draws the draft of an event, or those of the instances of a series.
    pub(super) fn redraw(&self, feed: &mut Feed<'_>, event: Key, told: Told) -> Result<(), MirrorError> {
        if self.ask(IS_SERIES, event)? {
            let master = record::by_key(self.conn, event)?;
            for instance in outbox::keys(self.conn, INSTANCES, [event.as_bytes()])? {
                self.one(feed, instance, Told::Nothing, master.as_ref())?;
            }
        }
        self.one(feed, event, told, None)
    }

    /// Draws those instances of a series that have edits of their own: their details are their series'.
    pub(super) fn redraw_edited_instances(
        &self,
        feed: &mut Feed<'_>,
        series: Key,
    ) -> Result<(), MirrorError> {
        for instance in outbox::of_instances(self.conn, series)? {
            self.one(feed, instance, Told::Nothing, None)?;
        }
        Ok(())
    }

    fn one(
        &self,
        feed: &mut Feed<'_>,
        event: Key,
        told: Told,
        master: Option<&FoundRecord>,
    ) -> Result<(), MirrorError> {
        let found = record::by_key(self.conn, event)?.filter(|found| found.record.kind != EventKind::Master);
        let was_hidden: Option<bool> = self
            .conn
            .prepare_cached(IS_HIDDEN)
            .and_then(|mut s| s.query_row([event.as_bytes()], |row| row.get(0)).optional())
            .doing("reading a draft")?;
        let was_shown = was_hidden.map_or(found.is_some(), |is_hidden| !is_hidden);
        let (is_shown, is_changed) = match self.shown(event, found.as_ref(), master)? {
            Some((shown, place)) => {
                let is_changed = self.put(event, &shown, &place, found.as_ref())?;
                (!shown.is_hidden, is_changed)
            }
            None if was_hidden.is_some() => {
                self.conn
                    .prepare_cached(REMOVE)
                    .and_then(|mut s| s.execute([event.as_bytes()]))
                    .doing("removing a draft")?;
                (found.is_some(), true)
            }
            // Its row is all there is, and the feed has that.
            None => return Ok(()),
        };
        match told {
            Told::Nothing if is_shown && (is_changed || !was_shown) => {
                feed.append(event.as_bytes(), What::Put)
            }
            Told::Nothing if !is_shown && was_shown => feed.append(event.as_bytes(), What::Remove),
            Told::Put if !is_shown => feed.append(event.as_bytes(), What::Remove),
            Told::Removed if is_shown => feed.append(event.as_bytes(), What::Put),
            Told::Nothing | Told::Put | Told::Removed => Ok(()),
        }
    }

    /// What is shown of an event, and where; `None`: its row, if it has one.
    fn shown(
        &self,
        event: Key,
        found: Option<&FoundRecord>,
        master: Option<&FoundRecord>,
    ) -> Result<Option<(Shown, Place)>, MirrorError> {
        let series = found.and_then(|found| found.series);
        let edits = outbox::showing(self.conn, event, series)?;
        let Some(first) = edits.first() else { return Ok(None) };
        let by_n: Vec<&OpenEdit> = edits.iter().collect();
        let is_of_series = edits.iter().any(|edit| edit.event != event);
        let place = Place {
            calendar: found.map_or(first.calendar, |found| found.calendar),
            series: series.or(first.series),
        };
        let shown = match found {
            Some(found) if is_of_series => {
                let fetched = match (master, series) {
                    (None, Some(series)) => record::by_key(self.conn, series)?,
                    (Some(_), _) | (None, None) => None,
                };
                match master.or(fetched.as_ref()) {
                    Some(master) => overlay_instance(&found.record, &master.record, &by_n, self.zones),
                    None => overlay(Some(&found.record), &by_n),
                }
            }
            Some(found) => overlay(Some(&found.record), &by_n),
            None => overlay(None, &by_n),
        };
        // A series is never listed; its edits show on its instances.
        Ok(shown.filter(|shown| shown.record.kind != EventKind::Master).map(|shown| (shown, place)))
    }

    /// Whether it says something else now.
    fn put(
        &self,
        event: Key,
        shown: &Shown,
        place: &Place,
        found: Option<&FoundRecord>,
    ) -> Result<bool, MirrorError> {
        let EventRecord { remote_id, kind, change_key, start_ms, end_ms, original_start_ms, details, .. } =
            &shown.record;
        let details = details.as_deref().ok_or(MirrorError::Invariant("what is shown has its details"))?;
        let series = place.series.as_ref().map(Key::as_bytes);
        let remote_id = Some(remote_id.as_str()).filter(|id| !id.is_empty());
        let (organizer, meeting) = (details.organizer.as_ref(), details.online_meeting.as_ref());
        let none: Option<String> = None;
        // A body that is the row's stays there: a series has hundreds of instances.
        let was = found.and_then(|found| found.record.details.as_deref());
        let body = match was {
            Some(was) if was.body == details.body => None,
            Some(_) | None => Some(details.body.as_deref().unwrap_or_default()),
        };
        let provider = meeting.map(|meeting| meeting.provider.code());
        let (attendees, categories) =
            (attendees_json(&details.attendees), categories_json(&details.categories));
        let params: [&dyn ToSql; 33] = [
            event.as_bytes(),
            place.calendar.as_bytes(),
            &kind.code(),
            &series,
            &remote_id,
            change_key,
            &shown.pending.code(),
            &shown.is_hidden,
            &shown.is_conflict,
            start_ms,
            end_ms,
            original_start_ms,
            &details.is_all_day,
            &details.is_cancelled,
            &details.is_organizer,
            &details.show_as.code(),
            &details.sensitivity.code(),
            &details.importance.code(),
            &details.response.code(),
            &details.reminder_minutes,
            &details.ical_uid,
            &details.subject,
            &body,
            &details.body_preview,
            &details.location,
            &details.original_time_zone,
            organizer.map_or(&none, |person| &person.name),
            organizer.map_or(&none, |person| &person.address),
            &attendees,
            &categories,
            &provider,
            meeting.map_or(&none, |meeting| &meeting.join_url),
            &details.web_link,
        ];
        let changed = self
            .conn
            .prepare_cached(PUT)
            .and_then(|mut s| s.execute(params.as_slice()))
            .doing("writing a draft")?;
        Ok(changed > 0)
    }

    fn ask(&self, sql: &str, key: Key) -> Result<bool, MirrorError> {
        ask(self.conn, sql, key)
    }
}

struct Place {
    calendar: Key,
    series: Option<Key>,
}

fn ask(conn: &Connection, sql: &str, key: Key) -> Result<bool, MirrorError> {
    conn.prepare_cached(sql)
        .and_then(|mut s| s.query_row([key.as_bytes()], |row| row.get(0)))
        .doing("looking for drafts")
}

/// Whether a draft stands for this event.
pub(super) fn exists(conn: &Connection, event: Key) -> Result<bool, MirrorError> {
    ask(conn, EXISTS, event)
}

/// What is shown of an event with its open edits, or its row.
pub(super) fn preview(
    conn: &Connection,
    zones: &Zones,
    event: Key,
    found: Option<&FoundRecord>,
) -> Result<Option<EventRecord>, MirrorError> {
    let painter = Painter { conn, zones };
    let is_series = found.is_some_and(|found| found.record.kind == EventKind::Master);
    if is_series {
        let edits = outbox::showing(conn, event, None)?;
        let by_n: Vec<&OpenEdit> = edits.iter().collect();
        let base = found.map(|found| &found.record);
        return Ok(overlay(base, &by_n).map(|shown| shown.record).or_else(|| base.cloned()));
    }
    let shown = painter.shown(event, found, None)?;
    Ok(shown.map(|(shown, _)| shown.record).or_else(|| found.map(|found| found.record.clone())))
}
