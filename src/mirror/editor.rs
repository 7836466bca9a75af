//! Records edits, from any process, beside the engine: a connection of its own, no lock, one short transaction an
//! edit. What is committed is on the disk, power cut or not.

use std::cmp::Ordering;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::mirror::calendar::{self, CalendarChoice};
use crate::mirror::change::Feed;
use crate::mirror::conflict::{self, ConflictRow};
use crate::mirror::draft::{self, Painter, Told};
use crate::mirror::open::plan_once;
use crate::mirror::outbox::{self, NewEdit, Replacement};
use crate::mirror::reader::version_of;
use crate::mirror::record;
use crate::mirror::reminder::{self, ReminderRow};
use crate::mirror::{Doing, MirrorError, Reader, schema};
use crate::model::{EventKind, EventRecord, Keep, Key, OpenEdit, RemoteId};
use crate::zones::Zones;

/// How long an edit waits for the engine's write: that of a page is short, a checkpoint may take longer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes edits into one account's mirror.
pub struct Editor {
    conn: Connection,
    zones: Zones,
}

impl std::fmt::Debug for Editor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Editor").finish_non_exhaustive()
    }
}

/// What an edit is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRow {
    /// The local identity of the event or the series.
    pub key: Key,
    /// The local identity of the series of an instance.
    pub series: Option<Key>,
    /// Whether it is a series.
    pub is_series: bool,
    /// The server's row, details filled in; none when the server does not have it (yet, or any more).
    pub record: Option<EventRecord>,
    /// The same with its open edits.
    pub shown: Option<EventRecord>,
    /// Where it is.
    pub calendar: CalendarChoice,
    /// The server's id.
    pub remote: Option<RemoteId>,
    /// Its open edits, those of its series and those of its instances, by number; bodies left out.
    pub edits: Vec<OpenEdit>,
}

impl Editor {
    /// Opens the mirror at `path` for edits. Needs no network and no lock, and changes nothing yet.
    ///
    /// # Errors
    /// As [`Reader::open`], and [`MirrorError::Outdated`]: only the engine brings an older file up.
    pub fn open(path: &Path) -> Result<Editor, MirrorError> {
        Editor::connect(path).map_err(|error| match Reader::open(path) {
            // A reader tells best what is wrong with a file.
            Err(told) => told,
            Ok(_) => error,
        })
    }

    fn connect(path: &Path) -> Result<Editor, MirrorError> {
        let doing = "opening it for edits";
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags).doing(doing)?;
        conn.busy_timeout(BUSY_TIMEOUT).doing(doing)?;
        plan_once(&conn).doing(doing)?;
        conn.execute_batch(
            "PRAGMA foreign_keys = ON;
             PRAGMA synchronous = FULL;
             PRAGMA temp_store = MEMORY;
             PRAGMA trusted_schema = OFF;",
        )
        .doing(doing)?;
        let (found, known) = (version_of(&conn).doing(doing)?, schema::KNOWN);
        let path = path.to_path_buf();
        match found.cmp(&known) {
            Ordering::Less => Err(MirrorError::Outdated { path, found, known }),
            Ordering::Greater => Err(MirrorError::Newer { path, found, known }),
            Ordering::Equal => Ok(Editor { conn, zones: Zones::bundled() }),
        }
    }

    /// Uses these zones to show how an edit of a series moves its instances.
    #[must_use]
    pub fn with_zones(mut self, zones: Zones) -> Editor {
        self.zones = zones;
        self
    }

    /// Begins one edit. Nothing is written unless it is committed.
    ///
    /// # Errors
    /// SQLite's refusal, after a wait for whoever writes at the moment.
    pub fn begin(&mut self, now_ms: i64) -> Result<Session<'_>, MirrorError> {
        let Editor { conn, zones } = self;
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).doing("beginning an edit")?;
        Ok(Session { tx, zones, now_ms })
    }
}

/// One transaction of edits; dropped, it has never been.
pub struct Session<'e> {
    tx: Transaction<'e>,
    zones: &'e Zones,
    now_ms: i64,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("now_ms", &self.now_ms).finish_non_exhaustive()
    }
}

impl Session<'_> {
    pub(super) fn conn(&self) -> &Connection {
        &self.tx
    }

    /// The event or series with this key, also one that exists only as an edit; `None`: there is none.
    pub fn target(&self, key: Key) -> Result<Option<TargetRow>, MirrorError> {
        let found = record::by_key(&self.tx, key)?;
        let series = found.as_ref().and_then(|found| found.series);
        let mut edits = outbox::concerning(&self.tx, key, series)?;
        let own = edits.iter().find(|edit| edit.event == key);
        let (Some(calendar_key), is_known) =
            (found.as_ref().map(|found| found.calendar).or(own.map(|edit| edit.calendar)), own.is_some())
        else {
            return Ok(None);
        };
        let series = series.or(own.and_then(|edit| edit.series));
        if found.is_none() && series.is_some() && is_known {
            edits = outbox::concerning(&self.tx, key, series)?;
        }
        let own = edits.iter().find(|edit| edit.event == key);
        let calendar = match (calendar::choice(&self.tx, Some(calendar_key))?, own) {
            (Some(calendar), _) => calendar,
            // A new file that has not listed the calendars yet, or a calendar that is gone there.
            (None, Some(edit)) => CalendarChoice {
                key: calendar_key,
                remote_id: edit.calendar_remote.clone(),
                name: String::new(),
                is_default: false,
                can_edit: true,
            },
            (None, None) => return Ok(None),
        };
        let base_kind = own.and_then(|edit| edit.base.as_deref()).map(|base| base.kind);
        let kind = found.as_ref().map(|found| found.record.kind).or(base_kind);
        let remote = match &found {
            Some(found) => Some(found.record.remote_id.clone()),
            None => own.and_then(|edit| edit.remote.clone()),
        };
        Ok(Some(TargetRow {
            key,
            series,
            is_series: kind == Some(EventKind::Master),
            shown: draft::preview(&self.tx, self.zones, key, found.as_ref())?,
            record: found.map(|found| found.record),
            calendar,
            remote,
            edits,
        }))
    }

    /// The calendar with this key, or the default one.
    pub fn calendar(&self, key: Option<Key>) -> Result<Option<CalendarChoice>, MirrorError> {
        calendar::choice(&self.tx, key)
    }

    /// An open edit.
    pub fn edit(&self, n: i64) -> Result<Option<OpenEdit>, MirrorError> {
        outbox::by_n(&self.tx, n)
    }

    /// Open edits.
    pub fn open_edits_count(&self) -> Result<u64, MirrorError> {
        outbox::count(&self.tx)
    }

    /// Records an edit. Answers its number. Call [`Session::redraw`] once afterwards.
    ///
    /// # Errors
    /// [`MirrorError::OutboxFull`] beyond [`OPEN_EDITS_MAX`](crate::mirror::OPEN_EDITS_MAX).
    pub fn put(&self, new: &NewEdit) -> Result<i64, MirrorError> {
        outbox::put(&self.tx, new, self.now_ms)
    }

    /// Sends edit `n` only when edit `after`, of another event, is no longer open.
    pub fn follow(&self, n: i64, after: i64) -> Result<(), MirrorError> {
        outbox::follow(&self.tx, n, after)
    }

    /// The edits that wait for this one.
    pub fn following(&self, n: i64) -> Result<Vec<OpenEdit>, MirrorError> {
        outbox::following(&self.tx, n)
    }

    /// Folds into an edit: it wants this now, and waits as if it were new; number, base and transaction id stay.
    ///
    /// # Errors
    /// An invariant when the edit is gone or under way.
    pub fn replace(&self, n: i64, to: &Replacement<'_>) -> Result<(), MirrorError> {
        outbox::replace(&self.tx, n, to)
    }

    /// Drops edits.
    pub fn drop_edits(&self, ns: &[i64]) -> Result<(), MirrorError> {
        ns.iter().try_for_each(|n| outbox::drop_edit(&self.tx, *n))
    }

    /// Makes an edit due now, and agrees to whatever it mails. What may have landed is looked up first. `false`:
    /// there is none with this number, or it is in conflict.
    pub fn retry(&self, n: i64) -> Result<bool, MirrorError> {
        outbox::retry(&self.tx, n)
    }

    /// Puts a parked edit on a new base: it waits to be sent against that.
    pub fn rebase(&self, n: i64, base: &EventRecord) -> Result<(), MirrorError> {
        outbox::set_base(&self.tx, n, base)?;
        outbox::recount(&self.tx, n)?;
        outbox::renew(&self.tx, n)
    }

    /// All conflicts, decided ones too, oldest first.
    pub fn conflicts(&self) -> Result<Vec<ConflictRow>, MirrorError> {
        conflict::all(&self.tx)
    }

    /// A conflict.
    pub fn conflict(&self, n: i64) -> Result<Option<ConflictRow>, MirrorError> {
        conflict::by_n(&self.tx, n)
    }

    /// Notes what was decided about a conflict; what follows for its edit is done beside this.
    pub fn set_resolution(&self, n: i64, keep: Keep) -> Result<(), MirrorError> {
        conflict::resolve(&self.tx, n, keep, self.now_ms)
    }

    /// Puts the reminder of an event off, or ends it (`None`).
    pub fn put_reminder(&self, event: Key, start_ms: i64, until_ms: Option<i64>) -> Result<(), MirrorError> {
        reminder::put(&self.tx, &ReminderRow { event, start_ms, until_ms, at_ms: self.now_ms })
    }

    /// The reminder of an event comes as the event says.
    pub fn clear_reminder(&self, event: Key) -> Result<(), MirrorError> {
        reminder::clear(&self.tx, event)
    }

    /// Shows an event as its edits are now; of a series all its instances.
    pub fn redraw(&self, event: Key) -> Result<(), MirrorError> {
        let painter = Painter { conn: &self.tx, zones: self.zones };
        painter.redraw(&mut Feed::new(&self.tx, self.now_ms)?, event, Told::Nothing)
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// SQLite's refusal, such as a full disk: then nothing is recorded.
    pub fn commit(self) -> Result<(), MirrorError> {
        self.tx.commit().doing("recording an edit")
    }
}
