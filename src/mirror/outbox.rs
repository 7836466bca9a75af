//! What the user wants and the server has not confirmed: one row an act.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::mirror::{Doing, MirrorError};
use crate::model::{EditState, EventRecord, Fields, Intent, Key, OpenEdit, Problem, RemoteId};

/// The most edits that may be open: whoever has this many offline is no person.
pub const OPEN_EDITS_MAX: u64 = 20_000;

/// The columns of an [`OpenEdit`]; the body of a create is read only to be sent.
macro_rules! columns {
    ($body:literal) => {
        concat!(
            "SELECT o.n, o.event_key, o.series_key, o.calendar_key, o.calendar_remote_id, o.remote_id, o.intent, \
             o.base, o.transaction_id, o.state, o.attempts, o.next_attempt_ms, o.problem_kind, o.problem_status, \
             o.problem_code, o.problem_at_ms, o.notifies, o.is_confirmed, o.created_at_ms, ",
            $body,
            " FROM outbox o "
        )
    };
}

/// Nothing earlier of the same event is open. Of its series, or of an instance of it, nothing earlier is on its way:
/// what is parked there, or waits behind what is parked, holds back its own event and no other.
macro_rules! unblocked {
    () => {
        " AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.event_key = o.event_key AND p.n < o.n) \
          AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.event_key = o.series_key AND p.n < o.n \
              AND NOT EXISTS (SELECT 1 FROM outbox q \
                  WHERE q.event_key = p.event_key AND q.n <= p.n AND q.state = 'parked')) \
          AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.series_key = o.event_key AND p.n < o.n \
              AND NOT EXISTS (SELECT 1 FROM outbox q \
                  WHERE q.event_key = p.event_key AND q.n <= p.n AND q.state = 'parked')) \
          AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.n = o.after_n) "
    };
}

const BY_N: &str = concat!(columns!("o.body"), "WHERE o.n = ?1");
/// A wait of more than two days was never asked for: the clock was put back.
pub(super) const NEXT: &str = concat!(
    columns!("o.body"),
    "WHERE o.state = ?1 AND (o.next_attempt_ms IS NULL OR o.next_attempt_ms <= ?2 \
         OR o.next_attempt_ms > ?2 + 172800000)",
    unblocked!(),
    "ORDER BY o.n LIMIT 1"
);
pub(super) const NEXT_DUE: &str = concat!(
    "SELECT min(coalesce(o.next_attempt_ms, 0)) FROM outbox o WHERE o.state IN ('waiting', 'sending')",
    unblocked!()
);
pub(super) const ALL: &str = concat!(columns!("NULL"), "ORDER BY o.n LIMIT ?1");
/// The event's own edits, its series' (`?2`), and those of its instances when it is a series.
const CONCERNING: &str = concat!(
    columns!("NULL"),
    "WHERE o.n IN (SELECT n FROM outbox WHERE event_key = ?1 UNION SELECT n FROM outbox WHERE event_key = ?2 \
     UNION SELECT n FROM outbox WHERE series_key = ?1) ORDER BY o.n"
);
/// What is shown of an event: its own edits and its series'.
const SHOWING: &str = concat!(
    columns!("NULL"),
    "WHERE o.n IN (SELECT n FROM outbox WHERE event_key = ?1 UNION SELECT n FROM outbox WHERE event_key = ?2) \
     ORDER BY o.n"
);
const CONCERNS: &str = "SELECT EXISTS (SELECT 1 FROM outbox WHERE event_key = ?1) \
    OR EXISTS (SELECT 1 FROM outbox WHERE series_key = ?1) OR EXISTS (SELECT 1 FROM outbox WHERE event_key = ?2)";
const OF_INSTANCES: &str = "SELECT DISTINCT event_key FROM outbox WHERE series_key = ?1";
const EVENTS: &str =
    "SELECT event_key FROM outbox UNION SELECT series_key FROM outbox WHERE series_key IS NOT NULL";
const IS_EMPTY: &str = "SELECT NOT EXISTS (SELECT 1 FROM outbox)";
const COUNT: &str = "SELECT count(*) FROM outbox";
const COUNTS: &str = "SELECT coalesce(sum(state = 'waiting'), 0), coalesce(sum(state = 'sending'), 0),
        coalesce(sum(state = 'parked'), 0), min(created_at_ms),
        min(CASE WHEN state <> 'parked' THEN next_attempt_ms END),
        (SELECT count(*) FROM conflict WHERE resolution IS NULL)
    FROM outbox";
/// A create that was sent and whose answer is not here.
const OPEN_CREATE: &str = concat!(
    columns!("NULL"),
    "WHERE o.transaction_id = ?1 AND o.action = 'create' AND (o.state = 'sending' OR o.attempts > 0) LIMIT 1"
);

const PUT: &str =
    "INSERT INTO outbox (event_key, series_key, calendar_key, calendar_remote_id, remote_id, action, intent,
        base, fields, body, transaction_id, state, notifies, created_at_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'waiting', ?12, ?13)";
const REPLACE: &str = "UPDATE outbox SET action = ?2, intent = ?3, fields = ?4, notifies = ?5, body = ?6,
        state = 'waiting', attempts = 0, next_attempt_ms = NULL, problem_kind = NULL, problem_status = NULL,
        problem_code = NULL, problem_at_ms = NULL
    WHERE n = ?1 AND state <> 'sending'";
const FOLLOW: &str = "UPDATE outbox SET after_n = ?2 WHERE n = ?1";
const FOLLOWING: &str = concat!(columns!("NULL"), "WHERE o.after_n = ?1 ORDER BY o.n");
const DROP: &str = "DELETE FROM outbox WHERE n = ?1";
/// What may have landed is looked up first; a message that was asked for again is sent again.
const RETRY: &str = "UPDATE outbox SET
        state = CASE WHEN state = 'sending' THEN 'sending'
            WHEN attempts > 0 AND action NOT IN ('respond', 'forward', 'cancel') AND NOT coalesce(
                problem_status BETWEEN 400 AND 499 AND problem_status NOT IN (408, 409, 412), 0) THEN 'sending'
            ELSE 'waiting' END,
        attempts = 0, next_attempt_ms = NULL, is_confirmed = 1
    WHERE n = ?1 AND NOT (state = 'parked' AND problem_kind IS 'conflict')";
const BEGIN: &str = "UPDATE outbox SET state = 'sending', body = coalesce(?2, body) WHERE n = ?1";
const UNSEND: &str = "UPDATE outbox SET state = 'waiting' WHERE n = ?1";
const WAKE: &str =
    "UPDATE outbox SET next_attempt_ms = NULL WHERE state <> 'parked' AND next_attempt_ms IS NOT NULL";
const SET_PROBLEM: &str =
    "UPDATE outbox SET state = ?2, attempts = attempts + ?3, next_attempt_ms = ?4, problem_kind = ?5,
        problem_status = ?6, problem_code = ?7, problem_at_ms = ?8
    WHERE n = ?1";
const SET_BASE: &str = "UPDATE outbox SET base = ?2, remote_id = coalesce(?3, remote_id) WHERE n = ?1";
const SET_FIELDS: &str = "UPDATE outbox SET intent = ?2, fields = ?3 WHERE n = ?1";
const SET_NOTIFIES: &str = "UPDATE outbox SET notifies = ?2 WHERE n = ?1";
const READDRESS: &str = "UPDATE outbox SET (calendar_key, calendar_remote_id) =
        (SELECT c.key, c.remote_id FROM calendar c WHERE c.key = ?2)
    WHERE event_key = ?1 AND EXISTS (SELECT 1 FROM calendar c WHERE c.key = ?2)";
/// An event that moved between calendars is addressed where it is.
const REHOME: &str = "UPDATE outbox SET (calendar_key, calendar_remote_id) =
        (SELECT c.key, c.remote_id FROM event e CROSS JOIN calendar c ON c.id = e.calendar_id WHERE e.key = ?1)
    WHERE event_key = ?1 AND EXISTS (SELECT 1 FROM event e CROSS JOIN calendar c ON c.id = e.calendar_id
        WHERE e.key = ?1 AND c.key <> outbox.calendar_key)";
/// Waiting again, against what the server says now.
const RENEW: &str =
    "UPDATE outbox SET state = 'waiting', next_attempt_ms = NULL, problem_kind = NULL, problem_status = NULL,
        problem_code = NULL, problem_at_ms = NULL
    WHERE n = ?1";

#[cfg(test)]
pub(super) const PLANNED: &[&str] = &[
    NEXT,
    OPEN_CREATE,
    CONCERNING,
    SHOWING,
    CONCERNS,
    OF_INSTANCES,
    DROP,
    RETRY,
    BEGIN,
    SET_PROBLEM,
    SET_BASE,
    SET_NOTIFIES,
    FOLLOW,
    REHOME,
    READDRESS,
];

/// An edit to be recorded.
#[derive(Clone, PartialEq, Eq)]
pub struct NewEdit {
    /// The local identity of the event; of a create a new random one.
    pub event: Key,
    /// The local identity of its series, when it is an instance.
    pub series: Option<Key>,
    /// The local identity of its calendar.
    pub calendar: Key,
    /// The server's id of that calendar.
    pub calendar_remote: RemoteId,
    /// The server's id of the event, unless it has none yet.
    pub remote: Option<RemoteId>,
    /// What is wanted.
    pub intent: Intent,
    /// What the server said, details filled in; none for a create.
    pub base: Option<Box<EventRecord>>,
    /// Names of the fields it changes, as in the event's JSON.
    pub fields: Vec<&'static str>,
    /// The request body of a create, unless it is made when it is sent first.
    pub body: Option<Vec<u8>>,
    /// The client-chosen id of a create.
    pub transaction_id: Option<String>,
    /// How many people the server will mail.
    pub notifies: u32,
}

impl std::fmt::Debug for NewEdit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewEdit")
            .field("event", &self.event)
            .field("intent", &self.intent)
            .finish_non_exhaustive()
    }
}

/// What an edit becomes that another one was folded into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Replacement<'e> {
    /// What is wanted now.
    pub intent: &'e Intent,
    /// Names of the fields it changes.
    pub fields: &'e [&'static str],
    /// How many people the server will mail.
    pub notifies: u32,
    /// The request body of a create, unless it is made when it is sent first.
    pub body: Option<&'e [u8]>,
}

impl std::fmt::Debug for Replacement<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replacement").field("intent", self.intent).finish_non_exhaustive()
    }
}

/// Why and until when an edit is put off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postponed {
    /// Why it was not taken.
    pub problem: Problem,
    /// Not before this.
    pub next_attempt_ms: Option<i64>,
    /// Whether the try reached the server.
    pub counts: bool,
    /// Whether it may have been carried out: then it is looked up before it is sent again.
    pub is_unclear: bool,
}

/// How the outbox stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// To be sent.
    pub waiting: u64,
    /// Under way, or unclear.
    pub sending: u64,
    /// Waiting for a decision.
    pub parked: u64,
    /// When the oldest was recorded.
    pub oldest_ms: Option<i64>,
    /// The earliest time that a try was put off to.
    pub next_attempt_ms: Option<i64>,
    /// Conflicts that nobody has decided.
    pub conflicts: u64,
}

/// A text of JSON as its value; a text that is none is a broken row.
pub(super) fn parsed<T: serde::de::DeserializeOwned>(text: &str, at: usize) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error)))
}

pub(super) fn parsed_opt<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    at: usize,
) -> rusqlite::Result<Option<T>> {
    row.get_ref(at)?.as_str_or_null()?.map(|text| parsed(text, at)).transpose()
}

pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, MirrorError> {
    serde_json::to_string(value).map_err(|_| MirrorError::Invariant("an edit has a JSON form"))
}

pub(super) fn edit(row: &Row<'_>) -> rusqlite::Result<OpenEdit> {
    let key = |at| Ok::<_, rusqlite::Error>(row.get::<_, Option<[u8; 16]>>(at)?.map(Key::from_bytes));
    let state: String = row.get(9)?;
    let problem: Option<String> = row.get(12)?;
    Ok(OpenEdit {
        n: row.get(0)?,
        event: Key::from_bytes(row.get(1)?),
        series: key(2)?,
        calendar: Key::from_bytes(row.get(3)?),
        calendar_remote: RemoteId::new(row.get::<_, String>(4)?),
        remote: row.get::<_, Option<String>>(5)?.map(RemoteId::new),
        intent: parsed(row.get_ref(6)?.as_str()?, 6)?,
        base: parsed_opt(row, 7)?,
        transaction_id: row.get(8)?,
        state: EditState::from_code(&state).unwrap_or(EditState::Parked),
        attempts: row.get(10)?,
        next_attempt_ms: row.get(11)?,
        problem: match problem {
            Some(kind) => Some(Problem {
                kind,
                status: row.get(13)?,
                code: row.get(14)?,
                at_ms: row.get::<_, Option<i64>>(15)?.unwrap_or_default(),
            }),
            None => None,
        },
        notifies: row.get(16)?,
        is_confirmed: row.get(17)?,
        created_at_ms: row.get(18)?,
        body: row.get(19)?,
    })
}

pub(super) fn by_n(conn: &Connection, n: i64) -> Result<Option<OpenEdit>, MirrorError> {
    conn.prepare_cached(BY_N).and_then(|mut s| s.query_row([n], edit).optional()).doing("reading an edit")
}

fn many(conn: &Connection, sql: &str, event: Key, series: Option<Key>) -> Result<Vec<OpenEdit>, MirrorError> {
    conn.prepare_cached(sql)
        .and_then(|mut s| {
            s.query_map((event.as_bytes(), series.as_ref().map(Key::as_bytes)), edit)?.collect()
        })
        .doing("reading the edits of an event")
}

/// The edits of an event, of its series, and of its instances, by number.
pub(super) fn concerning(
    conn: &Connection,
    event: Key,
    series: Option<Key>,
) -> Result<Vec<OpenEdit>, MirrorError> {
    many(conn, CONCERNING, event, series)
}

/// The edits that decide what is shown of an event: its own and its series', by number.
pub(super) fn showing(
    conn: &Connection,
    event: Key,
    series: Option<Key>,
) -> Result<Vec<OpenEdit>, MirrorError> {
    many(conn, SHOWING, event, series)
}

/// Whether an open edit concerns the event: its own, one of its series, or one of an instance of it.
pub(super) fn concerns(conn: &Connection, event: Key, series: Option<Key>) -> Result<bool, MirrorError> {
    conn.prepare_cached(CONCERNS)
        .and_then(|mut s| {
            s.query_row((event.as_bytes(), series.as_ref().map(Key::as_bytes)), |row| row.get(0))
        })
        .doing("looking for edits")
}

/// The instances of a series that have edits of their own.
pub(super) fn of_instances(conn: &Connection, series: Key) -> Result<Vec<Key>, MirrorError> {
    keys(conn, OF_INSTANCES, [series.as_bytes()])
}

/// All events and series with open edits.
pub(super) fn events(conn: &Connection) -> Result<Vec<Key>, MirrorError> {
    keys(conn, EVENTS, [])
}

pub(super) fn keys<P: rusqlite::Params>(
    conn: &Connection,
    sql: &str,
    params: P,
) -> Result<Vec<Key>, MirrorError> {
    conn.prepare_cached(sql)
        .and_then(|mut s| s.query_map(params, |row| Ok(Key::from_bytes(row.get(0)?)))?.collect())
        .doing("listing events with edits")
}

pub(super) fn is_empty(conn: &Connection) -> Result<bool, MirrorError> {
    conn.prepare_cached(IS_EMPTY)
        .and_then(|mut s| s.query_row([], |row| row.get(0)))
        .doing("looking for edits")
}

pub(super) fn count(conn: &Connection) -> Result<u64, MirrorError> {
    conn.prepare_cached(COUNT).and_then(|mut s| s.query_row([], |row| row.get(0))).doing("counting edits")
}

pub(super) fn counts(conn: &Connection) -> rusqlite::Result<OutboxCounts> {
    conn.prepare_cached(COUNTS)?.query_row([], |row| {
        Ok(OutboxCounts {
            waiting: row.get(0)?,
            sending: row.get(1)?,
            parked: row.get(2)?,
            oldest_ms: row.get(3)?,
            next_attempt_ms: row.get(4)?,
            conflicts: row.get(5)?,
        })
    })
}

/// The next edit to be sent: what is unclear first, then the oldest that is due and that nothing holds back.
pub(super) fn next(conn: &Connection, now_ms: i64) -> Result<Option<OpenEdit>, MirrorError> {
    for state in [EditState::Sending, EditState::Waiting] {
        let found = conn
            .prepare_cached(NEXT)
            .and_then(|mut s| s.query_row((state.code(), now_ms), edit).optional())
            .doing("looking for the next edit")?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

pub(super) fn next_due_ms(conn: &Connection) -> Result<Option<i64>, MirrorError> {
    conn.prepare_cached(NEXT_DUE)
        .and_then(|mut s| s.query_row([], |row| row.get(0)))
        .doing("looking for the next edit")
}

/// The create that made a row with this client-chosen id, if its answer was lost.
pub(super) fn open_create(conn: &Connection, transaction_id: &str) -> Result<Option<OpenEdit>, MirrorError> {
    conn.prepare_cached(OPEN_CREATE)
        .and_then(|mut s| s.query_row([transaction_id], edit).optional())
        .doing("looking for a create")
}

pub(super) fn put(conn: &Connection, new: &NewEdit, now_ms: i64) -> Result<i64, MirrorError> {
    if count(conn)? >= OPEN_EDITS_MAX {
        return Err(MirrorError::OutboxFull { max: OPEN_EDITS_MAX });
    }
    let intent = json(&new.intent)?;
    let base = new.base.as_deref().map(json).transpose()?;
    let fields = json(&new.fields)?;
    conn.prepare_cached(PUT)
        .and_then(|mut s| {
            s.insert((
                new.event.as_bytes(),
                new.series.as_ref().map(Key::as_bytes),
                new.calendar.as_bytes(),
                new.calendar_remote.as_str(),
                new.remote.as_ref().map(RemoteId::as_str),
                new.intent.action().code(),
                intent,
                base,
                fields,
                &new.body,
                &new.transaction_id,
                new.notifies,
                now_ms,
            ))
        })
        .doing("recording an edit")
}

pub(super) fn replace(conn: &Connection, n: i64, to: &Replacement<'_>) -> Result<(), MirrorError> {
    let (intent, fields) = (json(to.intent)?, json(to.fields)?);
    let action = to.intent.action().code();
    let changed = conn
        .prepare_cached(REPLACE)
        .and_then(|mut s| s.execute((n, action, intent, fields, to.notifies, to.body)))
        .doing("folding an edit")?;
    if changed == 1 {
        Ok(())
    } else {
        Err(MirrorError::Invariant("only an edit that is not under way is folded into"))
    }
}

fn run<P: rusqlite::Params>(conn: &Connection, sql: &str, params: P) -> Result<usize, MirrorError> {
    conn.prepare_cached(sql).and_then(|mut s| s.execute(params)).doing("noting how an edit stands")
}

pub(super) fn drop_edit(conn: &Connection, n: i64) -> Result<(), MirrorError> {
    run(conn, DROP, [n]).map(|_| ())
}

pub(super) fn follow(conn: &Connection, n: i64, after: i64) -> Result<(), MirrorError> {
    run(conn, FOLLOW, (n, after)).map(|_| ())
}

/// The edits that wait for this one.
pub(super) fn following(conn: &Connection, n: i64) -> Result<Vec<OpenEdit>, MirrorError> {
    conn.prepare_cached(FOLLOWING)
        .and_then(|mut s| s.query_map([n], edit)?.collect())
        .doing("reading the edits that wait for one")
}

pub(super) fn retry(conn: &Connection, n: i64) -> Result<bool, MirrorError> {
    run(conn, RETRY, [n]).map(|changed| changed == 1)
}

pub(super) fn begin(conn: &Connection, n: i64, body: Option<&[u8]>) -> Result<(), MirrorError> {
    run(conn, BEGIN, (n, body)).map(|_| ())
}

pub(super) fn unsend(conn: &Connection, n: i64) -> Result<(), MirrorError> {
    run(conn, UNSEND, [n]).map(|_| ())
}

pub(super) fn wake(conn: &Connection) -> Result<(), MirrorError> {
    run(conn, WAKE, []).map(|_| ())
}

pub(super) fn set_problem(
    conn: &Connection,
    n: i64,
    state: EditState,
    problem: &Problem,
    next_attempt_ms: Option<i64>,
    counts: bool,
) -> Result<(), MirrorError> {
    let Problem { kind, status, code, at_ms } = problem;
    run(conn, SET_PROBLEM, (n, state.code(), counts, next_attempt_ms, kind, status, code, at_ms)).map(|_| ())
}

pub(super) fn set_base(conn: &Connection, n: i64, base: &EventRecord) -> Result<(), MirrorError> {
    let remote_id = Some(base.remote_id.as_str()).filter(|id| !id.is_empty());
    run(conn, SET_BASE, (n, json(base)?, remote_id)).map(|_| ())
}

pub(super) fn set_fields(
    conn: &Connection,
    n: i64,
    fields: &Fields,
    base: Option<&EventRecord>,
) -> Result<(), MirrorError> {
    let intent = Intent::Update(fields.clone());
    let names = json(&crate::edit::names(&intent, base))?;
    run(conn, SET_FIELDS, (n, json(&intent)?, names)).map(|_| ())
}

/// Others may have invited people since: counts anew who will be mailed, on the base that the edit has now.
pub(super) fn recount(conn: &Connection, n: i64) -> Result<(), MirrorError> {
    let Some(edit) = by_n(conn, n)? else { return Ok(()) };
    let notifies = crate::edit::notifies(&edit.intent, edit.base.as_deref());
    if notifies == edit.notifies { Ok(()) } else { run(conn, SET_NOTIFIES, (n, notifies)).map(|_| ()) }
}

pub(super) fn rehome(conn: &Connection, event: Key) -> Result<(), MirrorError> {
    run(conn, REHOME, [event.as_bytes()]).map(|_| ())
}

/// The edits of an event are for this calendar from now on.
pub(super) fn readdress(conn: &Connection, event: Key, calendar: Key) -> Result<(), MirrorError> {
    run(conn, READDRESS, (event.as_bytes(), calendar.as_bytes())).map(|_| ())
}

pub(super) fn renew(conn: &Connection, n: i64) -> Result<(), MirrorError> {
    run(conn, RENEW, [n]).map(|_| ())
}
