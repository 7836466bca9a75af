//! What presence remembers: the manual choice, when it was last evaluated, and the machines of the channels. Written
//! by whoever evaluates, beside the engine's writer: see [`Editor`](crate::mirror::Editor).

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::mirror::{Doing, MirrorError, Reader, Session};
use crate::model::{Key, MailboxSettings, Window};
use crate::presence::{Channel, ChannelState, Override};

const SELECT: &str = "SELECT chosen, evaluated_at_ms, told, call_since_ms FROM presence WHERE one = 1";
const CHANNELS: &str = "SELECT channel, state, is_handed FROM presence_channel ORDER BY channel";
const CHANNEL: &str = "SELECT channel, state, is_handed FROM presence_channel WHERE channel = ?1";
const PUT_CHOSEN: &str = "UPDATE presence SET chosen = ?1 WHERE one = 1";
const PUT_CALL: &str = "UPDATE presence SET call_since_ms = ?1 WHERE one = 1";
const PUT_EVALUATED: &str = "UPDATE presence SET evaluated_at_ms = ?1, told = ?2 WHERE one = 1";
const PUT_CHANNEL: &str = "INSERT INTO presence_channel (channel, state, is_handed) VALUES (?1, ?2, ?3)
    ON CONFLICT (channel) DO UPDATE SET state = excluded.state, is_handed = excluded.is_handed";
const SETTINGS: &str = "SELECT settings, at_ms FROM mailbox_settings WHERE one = 1 AND at_ms IS NOT NULL";
const CALENDARS: &str =
    "SELECT key, name, owner_address, can_edit, is_default, window_from_ms, window_to_ms, pulled_at_ms
    FROM calendar WHERE is_present = 1 ORDER BY key";
/// Where exceptions stand in their series, and what the series is called: a draft knows its slot, too.
const SLOTS: &str = "SELECT e.key, coalesce(d.original_start_ms, e.original_start_ms), m.ical_uid
    FROM json_each(:keys) j CROSS JOIN event e ON e.key = unhex(j.value)
    LEFT JOIN event m ON m.id = e.series_id LEFT JOIN draft d ON d.key = e.key";

/// What is remembered beside the channels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresenceRow {
    /// The manual choice in force.
    pub chosen: Option<Override>,
    /// When presence was last evaluated.
    pub evaluated_at_ms: Option<i64>,
    /// What was said then: the journal's words, for comparison only.
    pub told: Option<String>,
    /// Since when the host reports a call.
    pub call_since_ms: Option<i64>,
}

/// A channel and its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRow {
    /// The machine.
    pub state: ChannelState,
    /// The command was handed to the host, whose answer comes by another way.
    pub is_handed: bool,
}

impl ChannelRow {
    /// A channel that nothing is known about.
    pub fn new(channel: Channel) -> ChannelRow {
        ChannelRow { state: ChannelState::new(channel), is_handed: false }
    }
}

/// A calendar with what decides whether it takes part.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnedCalendar {
    /// The local identity.
    pub key: Key,
    /// The displayed name.
    pub name: String,
    /// Its owner's address, when the server says it.
    pub owner_address: Option<String>,
    /// Whether the user may write into it.
    pub can_edit: bool,
    /// The mailbox's default calendar.
    pub is_default: bool,
    /// What is mirrored; none before the first round.
    pub window: Option<Window>,
    /// Last complete pull.
    pub pulled_at_ms: Option<i64>,
}

impl std::fmt::Debug for OwnedCalendar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnedCalendar")
            .field("key", &self.key)
            .field("can_edit", &self.can_edit)
            .field("pulled_at_ms", &self.pulled_at_ms)
            .finish_non_exhaustive()
    }
}

/// Where an exception stands in its series.
#[derive(Clone, PartialEq, Eq)]
pub struct Slot {
    /// The exception.
    pub key: Key,
    /// Its original start, when the server says it.
    pub start_ms: Option<i64>,
    /// The iCalUID of the series.
    pub uid: Option<String>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot")
            .field("key", &self.key)
            .field("start_ms", &self.start_ms)
            .finish_non_exhaustive()
    }
}

/// A row whose JSON a newer or older program wrote otherwise is taken for empty: presence is computed anew.
fn presence(row: &Row<'_>) -> rusqlite::Result<PresenceRow> {
    let chosen: Option<String> = row.get(0)?;
    Ok(PresenceRow {
        chosen: chosen.and_then(|text| serde_json::from_str(&text).ok()),
        evaluated_at_ms: row.get(1)?,
        told: row.get(2)?,
        call_since_ms: row.get(3)?,
    })
}

fn channel(row: &Row<'_>) -> rusqlite::Result<Option<ChannelRow>> {
    let name: String = row.get(0)?;
    let state: String = row.get(1)?;
    let is_handed = row.get(2)?;
    Ok(Channel::from_code(&name).map(|channel| ChannelRow {
        state: serde_json::from_str(&state).unwrap_or_else(|_| ChannelState::new(channel)),
        is_handed,
    }))
}

fn row_of(conn: &Connection) -> rusqlite::Result<PresenceRow> {
    conn.prepare_cached(SELECT)?.query_row([], presence)
}

impl Session<'_> {
    /// What is remembered beside the channels.
    pub fn presence(&self) -> Result<PresenceRow, MirrorError> {
        row_of(self.conn()).doing("reading the presence")
    }

    /// The machine of a channel.
    pub fn presence_channel(&self, channel_of: Channel) -> Result<ChannelRow, MirrorError> {
        let found = self
            .conn()
            .prepare_cached(CHANNEL)
            .and_then(|mut s| s.query_row([channel_of.code()], channel).optional())
            .doing("reading a channel")?;
        Ok(found.flatten().unwrap_or_else(|| ChannelRow::new(channel_of)))
    }

    /// Stores the machine of a channel.
    pub fn put_presence_channel(&self, row: &ChannelRow) -> Result<(), MirrorError> {
        let state = serde_json::to_string(&row.state)
            .map_err(|_| MirrorError::Invariant("a channel's state is plain data"))?;
        self.conn()
            .prepare_cached(PUT_CHANNEL)
            .and_then(|mut s| s.execute((row.state.channel.code(), state, row.is_handed)))
            .map(|_| ())
            .doing("storing a channel")
    }

    /// Replaces the manual choice, with all that it dismissed.
    pub fn put_override(&self, chosen: Option<&Override>) -> Result<(), MirrorError> {
        let chosen = chosen
            .map(serde_json::to_string)
            .transpose()
            .map_err(|_| MirrorError::Invariant("a manual choice is plain data"))?;
        self.conn()
            .prepare_cached(PUT_CHOSEN)
            .and_then(|mut s| s.execute([chosen]))
            .map(|_| ())
            .doing("storing a manual choice")
    }

    /// Notes since when the host reports a call; `None`: none any more.
    pub fn put_call(&self, since_ms: Option<i64>) -> Result<(), MirrorError> {
        self.conn()
            .prepare_cached(PUT_CALL)
            .and_then(|mut s| s.execute([since_ms]))
            .map(|_| ())
            .doing("noting a call")
    }

    /// Notes an evaluation and what the journal says of its state.
    pub fn put_evaluated(&self, at_ms: i64, told: &str) -> Result<(), MirrorError> {
        self.conn()
            .prepare_cached(PUT_EVALUATED)
            .and_then(|mut s| s.execute((at_ms, told)))
            .map(|_| ())
            .doing("noting an evaluation")
    }
}

impl Reader {
    /// What is remembered beside the channels.
    ///
    /// # Errors
    /// As every reading.
    pub fn presence(&self) -> Result<PresenceRow, MirrorError> {
        if !self.has_presence()? {
            return Ok(PresenceRow::default());
        }
        self.prepared(SELECT, "reading the presence", |statement| statement.query_row([], presence))
    }

    /// The machines of the channels that were ever used.
    ///
    /// # Errors
    /// As every reading.
    pub fn presence_channels(&self) -> Result<Vec<ChannelRow>, MirrorError> {
        if !self.has_presence()? {
            return Ok(Vec::new());
        }
        let rows: Vec<Option<ChannelRow>> = self.prepared(CHANNELS, "reading the channels", |statement| {
            statement.query_map([], channel)?.collect()
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// What the mailbox last said about its user's time, and when; none: it never did. Without settings: they cannot be
    /// understood.
    ///
    /// # Errors
    /// As every reading.
    pub fn mailbox_settings(&self) -> Result<Option<(Option<MailboxSettings>, i64)>, MirrorError> {
        if !self.has_presence()? {
            return Ok(None);
        }
        let found = self.prepared(SETTINGS, "reading the mailbox's settings", |statement| {
            statement.query_row([], |row| Ok((row.get::<_, Option<String>>(0)?, row.get(1)?))).optional()
        })?;
        Ok(found.map(|(text, at_ms)| (text.and_then(|text| serde_json::from_str(&text).ok()), at_ms)))
    }

    /// The calendars that the server lists, with their owners, by identity.
    ///
    /// # Errors
    /// As every reading.
    pub fn owned_calendars(&self) -> Result<Vec<OwnedCalendar>, MirrorError> {
        self.prepared(CALENDARS, "reading the calendars", |statement| {
            statement
                .query_map([], |row| {
                    let window = row.get::<_, Option<i64>>(5)?.zip(row.get::<_, Option<i64>>(6)?);
                    Ok(OwnedCalendar {
                        key: Key::from_bytes(row.get(0)?),
                        name: row.get(1)?,
                        owner_address: row.get(2)?,
                        can_edit: row.get(3)?,
                        is_default: row.get(4)?,
                        window: window.map(|(from_ms, to_ms)| Window { from_ms, to_ms }),
                        pulled_at_ms: row.get(7)?,
                    })
                })?
                .collect()
        })
    }

    /// Where these exceptions stand in their series.
    ///
    /// # Errors
    /// As every reading.
    pub fn slots(&self, exceptions: &[Key]) -> Result<Vec<Slot>, MirrorError> {
        let Some(keys) = super::read_rows::keys_json(exceptions) else { return Ok(Vec::new()) };
        if !self.has_presence()? {
            return Ok(Vec::new());
        }
        self.prepared(SLOTS, "reading the slots of exceptions", |statement| {
            statement
                .query_map(named_params! { ":keys": keys }, |row| {
                    Ok(Slot { key: Key::from_bytes(row.get(0)?), start_ms: row.get(1)?, uid: row.get(2)? })
                })?
                .collect()
        })
    }
}
