//! How an edit stands after its request: each method is one fact in one transaction. What the server answered is
//! written as a pulled row is, so that its echo changes nothing.

use rusqlite::Connection;

use crate::edit::{overlay, overlay_instance};
use crate::merge::{Frame, Incoming, Pass, plan, prepare};
use crate::mirror::alias::{self, Aliases};
use crate::mirror::change::{Feed, What};
use crate::mirror::conflict::{self, NewConflict};
use crate::mirror::draft::{Painter, Told};
use crate::mirror::outbox::{self, OutboxCounts, Postponed};
use crate::mirror::{Doing, Mirror, MirrorError, calendar, event};
use crate::model::{Action, Change, EditState, EventKind, EventRecord, Fields, Keep, Key, OpenEdit, Problem};
use crate::zones::Zones;

/// What became of an edit that needs no further try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The event is on the server, and says this.
    Created {
        /// The server's row.
        record: Box<EventRecord>,
    },
    /// The changes are on the server, which says this now.
    Updated {
        /// The server's row.
        record: Box<EventRecord>,
    },
    /// The event is gone there.
    Gone,
    /// The act is done.
    Acted {
        /// The server's row, if it was read again.
        record: Option<Box<EventRecord>>,
    },
    /// Nothing is left to be done.
    Dropped,
}

impl Mirror {
    /// The next edit to be sent: what is unclear first, then the oldest that is due and that no earlier edit of its
    /// event (or of its series, or of an instance of it) holds back.
    pub fn next_edit(&self, now_ms: i64) -> Result<Option<OpenEdit>, MirrorError> {
        outbox::next(&self.conn, now_ms)
    }

    /// When the next edit is due; zero: now. Parked ones are never due.
    pub fn next_edit_due_ms(&self) -> Result<Option<i64>, MirrorError> {
        outbox::next_due_ms(&self.conn)
    }

    /// An open edit.
    pub fn edit(&self, n: i64) -> Result<Option<OpenEdit>, MirrorError> {
        outbox::by_n(&self.conn, n)
    }

    /// How the outbox stands.
    pub fn outbox_counts(&self) -> Result<OutboxCounts, MirrorError> {
        outbox::counts(&self.conn).doing("counting edits")
    }

    /// Marks an edit whose request is about to be sent, and reads it behind the mark, where nobody folds anything into
    /// it any more. `body` makes what each try will repeat, unless an earlier one has. On the disk when this returns,
    /// at the price of one flush: after a power cut the edit is looked up before it is sent again. `None`: it is gone.
    pub fn begin_sending(
        &mut self,
        n: i64,
        body: impl FnOnce(&OpenEdit) -> Option<Vec<u8>>,
    ) -> Result<Option<OpenEdit>, MirrorError> {
        self.conn.execute_batch("PRAGMA synchronous = FULL").doing("noting how an edit stands")?;
        let begun = self.mark(n, body);
        self.conn.execute_batch("PRAGMA synchronous = NORMAL").doing("noting how an edit stands")?;
        begun
    }

    fn mark(
        &mut self,
        n: i64,
        body: impl FnOnce(&OpenEdit) -> Option<Vec<u8>>,
    ) -> Result<Option<OpenEdit>, MirrorError> {
        let tx = self.conn.transaction().doing("noting how an edit stands")?;
        let Some(mut edit) = outbox::by_n(&tx, n)? else { return Ok(None) };
        let made = if edit.body.is_none() { body(&edit) } else { None };
        outbox::begin(&tx, n, made.as_deref())?;
        tx.commit().doing("noting how an edit stands")?;
        edit.state = EditState::Sending;
        edit.body = edit.body.or(made);
        Ok(Some(edit))
    }

    /// Nothing reached the server: the edit waits again as if it had not been tried.
    pub fn unsend(&mut self, n: i64) -> Result<(), MirrorError> {
        outbox::unsend(&self.conn, n)
    }

    /// Makes every edit that was put off due now: somebody asked, or the network came back.
    pub fn wake_edits(&mut self) -> Result<(), MirrorError> {
        outbox::wake(&self.conn)
    }

    /// Puts an edit off.
    pub fn postpone(&mut self, n: i64, why: &Postponed) -> Result<(), MirrorError> {
        let state = if why.is_unclear { EditState::Sending } else { EditState::Waiting };
        outbox::set_problem(&self.conn, n, state, &why.problem, why.next_attempt_ms, why.counts)
    }

    /// Parks an edit until somebody decides. Its event stays as the user left it, a deleted one is shown again.
    pub fn park(&mut self, n: i64, problem: &Problem, now_ms: i64) -> Result<(), MirrorError> {
        self.about(n, now_ms, "parking an edit", |hand, edit| {
            outbox::set_problem(hand.conn, n, EditState::Parked, problem, None, problem.status.is_some())?;
            hand.redraw(edit.event)
        })
    }

    /// Settles an edit.
    pub fn settle(&mut self, n: i64, settled: Settled, now_ms: i64) -> Result<(), MirrorError> {
        let mut made: Option<(Key, Key)> = None;
        self.about(n, now_ms, "settling an edit", |hand, edit| {
            match settled {
                Settled::Created { record } => made = Some(hand.created(edit, *record)?),
                Settled::Updated { record } => hand.updated(edit, *record)?,
                Settled::Acted { record: Some(record) } => hand.updated(edit, *record)?,
                Settled::Gone => {
                    outbox::drop_edit(hand.conn, n)?;
                    hand.gone(edit.event)?;
                }
                Settled::Acted { record: None } | Settled::Dropped => outbox::drop_edit(hand.conn, n)?,
            }
            hand.redraw(edit.event)
        })?;
        if let Some((remote, local)) = made {
            self.aliases.insert(remote, local);
        }
        Ok(())
    }

    /// What the server has becomes the row and the base of the edit, which waits to be sent against it; `remaining`
    /// are the fields it still changes.
    pub fn rebase(
        &mut self,
        n: i64,
        theirs: &EventRecord,
        remaining: Option<&Fields>,
        now_ms: i64,
    ) -> Result<(), MirrorError> {
        self.about(n, now_ms, "putting an edit on a new base", |hand, edit| {
            hand.see(edit, theirs)?;
            if let Some(fields) = remaining {
                outbox::set_fields(hand.conn, n, fields, Some(theirs))?;
            }
            outbox::recount(hand.conn, n)?;
            outbox::unsend(hand.conn, n)?;
            hand.redraw(edit.event)
        })
    }

    /// The event of an edit was found in another calendar, `theirs` as the server has it there: the row is that one's
    /// now, and so are all open edits of the event.
    pub fn relocate(
        &mut self,
        n: i64,
        calendar: Key,
        theirs: &EventRecord,
        now_ms: i64,
    ) -> Result<(), MirrorError> {
        self.about(n, now_ms, "moving an edit to another calendar", |hand, edit| {
            if let Some(place) = calendar::place_in(hand.conn, calendar)? {
                outbox::readdress(hand.conn, edit.event, calendar)?;
                hand.write_at(place, edit, theirs.clone())?;
            }
            hand.redraw(edit.event)
        })
    }

    /// Records what could not be merged. What the server has becomes the row and the base; without it the row goes
    /// and the edit stays. Undecided, the edit is parked with what is `remaining` of it; decided, that is sent, or
    /// the edit is dropped when nothing is. Answers the number of the conflict.
    pub fn clash(
        &mut self,
        n: i64,
        new: &NewConflict,
        remaining: Option<&Fields>,
        now_ms: i64,
    ) -> Result<i64, MirrorError> {
        let mut number = 0;
        self.about(n, now_ms, "recording a conflict", |hand, edit| {
            number = conflict::put(hand.conn, edit, new, now_ms)?;
            match new.theirs.as_deref() {
                Some(theirs) => hand.see(edit, theirs)?,
                None => hand.gone(edit.event)?,
            }
            let remaining = remaining.filter(|fields| !fields.is_empty());
            if let Some(fields) = remaining {
                outbox::set_fields(hand.conn, n, fields, new.theirs.as_deref())?;
            }
            if new.theirs.is_some() {
                outbox::recount(hand.conn, n)?;
            }
            match (new.resolution, remaining) {
                (None, _) => {
                    let problem =
                        Problem { kind: "conflict".to_owned(), status: None, code: None, at_ms: now_ms };
                    outbox::set_problem(hand.conn, n, EditState::Parked, &problem, None, false)?;
                }
                (Some(_), Some(_)) => outbox::renew(hand.conn, n)?,
                // A deletion has no fields: it is what remains of itself.
                (Some(Keep::Mine), None) if edit.intent.action() == Action::Delete => {
                    outbox::renew(hand.conn, n)?;
                }
                (Some(_), None) => outbox::drop_edit(hand.conn, n)?,
            }
            hand.redraw(edit.event)
        })?;
        Ok(number)
    }

    /// Does something about an edit in one transaction. One that is not there any more (the user discarded it while
    /// it was under way) is nothing to do: what the server did of it comes with the next round.
    fn about(
        &mut self,
        n: i64,
        now_ms: i64,
        doing: &'static str,
        act: impl FnOnce(&Hand<'_>, &OpenEdit) -> Result<(), MirrorError>,
    ) -> Result<(), MirrorError> {
        let Mirror { conn, aliases, zones, .. } = self;
        let tx = conn.transaction().doing(doing)?;
        if let Some(edit) = outbox::by_n(&tx, n)? {
            act(&Hand { conn: &tx, aliases, zones, now_ms }, &edit)?;
        }
        tx.commit().doing(doing)
    }
}

/// One transaction about an edit.
struct Hand<'c> {
    conn: &'c Connection,
    aliases: &'c Aliases,
    zones: &'c Zones,
    now_ms: i64,
}

impl Hand<'_> {
    fn painter(&self) -> Painter<'_> {
        Painter { conn: self.conn, zones: self.zones }
    }

    fn redraw(&self, event: Key) -> Result<(), MirrorError> {
        self.painter().redraw(&mut Feed::new(self.conn, self.now_ms)?, event, Told::Nothing)
    }

    /// The event has its remote id: from now on that means the local one. Answers what became an alias.
    fn created(&self, edit: &OpenEdit, record: EventRecord) -> Result<(Key, Key), MirrorError> {
        let (remote, local) = (Key::of_remote(record.remote_id.as_str()), edit.event);
        if remote != local {
            alias::put(self.conn, remote, local)?;
            // A round that came between the request and its answer has brought the row already.
            if event::set_key(self.conn, remote, local)? {
                Feed::new(self.conn, self.now_ms)?.append(remote.as_bytes(), What::Remove)?;
            }
        }
        outbox::drop_edit(self.conn, edit.n)?;
        pass_on(self.conn, self.zones, edit, &record)?;
        self.write(edit, record)?;
        Ok((remote, local))
    }

    fn updated(&self, edit: &OpenEdit, record: EventRecord) -> Result<(), MirrorError> {
        outbox::drop_edit(self.conn, edit.n)?;
        pass_on(self.conn, self.zones, edit, &record)?;
        self.write(edit, record)
    }

    /// Takes what the server has: as the row, and as the base of the edit.
    fn see(&self, edit: &OpenEdit, theirs: &EventRecord) -> Result<(), MirrorError> {
        outbox::set_base(self.conn, edit.n, theirs)?;
        self.write(edit, theirs.clone())
    }

    fn gone(&self, event: Key) -> Result<(), MirrorError> {
        event::delete_by_key(&self.painter(), &mut Feed::new(self.conn, self.now_ms)?, event)
    }

    /// Writes a row as a pull does. Without its calendar (a new file that has not listed them yet) the next round
    /// brings it.
    fn write(&self, edit: &OpenEdit, record: EventRecord) -> Result<(), MirrorError> {
        match calendar::place(self.conn, edit.calendar, edit.event)? {
            Some(place) => self.write_at(place, edit, record),
            None => Ok(()),
        }
    }

    fn write_at(
        &self,
        (calendar_id, generation): (i64, i64),
        edit: &OpenEdit,
        record: EventRecord,
    ) -> Result<(), MirrorError> {
        let is_series = record.kind == EventKind::Master;
        let frame = Frame { calendar_id, generation, pass: Pass::Recheck };
        let mut incoming = prepare(vec![Change::Put(record)], frame.pass);
        for one in &mut incoming {
            if let Incoming::Put { key, .. } = one {
                *key = edit.event;
            }
        }
        let stored = event::stored(self.conn, incoming.iter().map(Incoming::key))?;
        let plan = plan(frame, incoming, &stored);
        event::write(self.conn, self.aliases, self.zones, &plan, self.now_ms)?;
        if is_series {
            // What its new times mean for its instances, only the server knows.
            event::mark_dirty(self.conn, edit.event, calendar_id, self.now_ms)?;
        }
        Ok(())
    }
}

/// What a landed edit means for the later ones of its event: they are edits of what the server has now. Where others
/// changed the event between two edits, the later one keeps what it was made against, with the landed one laid over.
pub(super) fn pass_on(
    conn: &Connection,
    zones: &Zones,
    landed: &OpenEdit,
    record: &EventRecord,
) -> Result<(), MirrorError> {
    for later in outbox::concerning(conn, landed.event, None)? {
        if later.n <= landed.n {
            continue;
        }
        let base = match (later.base.as_deref(), landed.base.as_deref()) {
            (None, _) => Some(record.clone()),
            (Some(base), Some(series)) if later.series == Some(landed.event) => {
                overlay_instance(base, series, &[landed], zones).map(|shown| shown.record)
            }
            (Some(base), Some(before)) if base == before => Some(record.clone()),
            (Some(base), _) => overlay(Some(base), &[landed]).map(|shown| shown.record),
        };
        if let Some(base) = base {
            outbox::set_base(conn, later.n, &base)?;
            outbox::recount(conn, later.n)?;
        }
    }
    Ok(())
}
