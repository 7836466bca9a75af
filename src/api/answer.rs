use serde::Serialize;

use crate::model::{
    AttendeeType, EventKind, Importance, Key, OnlineProvider, Person, Response, Sensitivity, ShowAs,
};

/// The Event object. Times are RFC 3339 texts; of an all-day event `start` and `end` are null and the dates are set.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Opaque, local and stable.
    pub id: Key,
    /// The server's id.
    pub remote_id: Option<String>,
    /// The iCalendar UID; an occurrence shows its series'.
    pub ical_uid: Option<String>,
    /// The server's version.
    pub change_key: Option<String>,
    /// The local id of its calendar.
    pub calendar: Key,
    /// `microsoft365`, …
    pub source: &'static str,
    /// single, occurrence or exception.
    pub kind: EventKind,
    /// The local id of its series.
    pub series_id: Option<Key>,
    /// The subject.
    pub subject: Option<String>,
    /// The first characters of the body.
    pub body_preview: Option<String>,
    /// The body as plain text: only in the answer to `show`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The displayed place.
    pub location: Option<String>,
    /// Start in the zone asked for.
    pub start: Option<String>,
    /// End, exclusive.
    pub end: Option<String>,
    /// Whether it is made of dates.
    pub all_day: bool,
    /// First day, `YYYY-MM-DD`.
    pub start_date: Option<String>,
    /// The day after the last, `YYYY-MM-DD`.
    pub end_date: Option<String>,
    /// The IANA name, or the server's own text if unknown.
    pub original_time_zone: Option<String>,
    /// How the time shows.
    pub show_as: ShowAs,
    /// Who may see the details.
    pub sensitivity: Sensitivity,
    /// Importance.
    pub importance: Importance,
    /// The owner's answer.
    pub response: Response,
    /// Cancelled by its organizer.
    pub cancelled: bool,
    /// The organizer.
    pub organizer: Option<Person>,
    /// The invited.
    pub attendees: Vec<AttendeeAnswer>,
    /// Category names.
    pub categories: Vec<String>,
    /// Minutes before the start; null when there is no reminder.
    pub reminder_minutes: Option<i32>,
    /// How to join online.
    pub online_meeting: Option<OnlineMeetingAnswer>,
    /// Opens it in a browser; an occurrence shows its series'.
    pub web_link: Option<String>,
    /// The kind of the edit that is not on the server yet.
    pub pending: Option<&'static str>,
    /// An edit of it is in conflict.
    pub conflict: bool,
    /// Its removal is held back.
    pub unconfirmed: bool,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// One attendee of an [`Event`].
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct AttendeeAnswer {
    /// Displayed name.
    pub name: Option<String>,
    /// Mail address.
    pub address: Option<String>,
    /// required, optional or resource.
    #[serde(rename = "type")]
    pub kind: AttendeeType,
    /// What they answered.
    pub response: Response,
}

/// How to join an [`Event`] online.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct OnlineMeetingAnswer {
    /// teams, skype_business, skype_consumer or other.
    pub provider: OnlineProvider,
    /// The address to join.
    pub join_url: Option<String>,
}

/// The answer to `agenda`.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct AgendaAnswer {
    /// The oldest last complete pull of the calendars asked; null when one was never pulled.
    pub as_of: Option<String>,
    /// Younger than 15 minutes, and the last attempt did not fail.
    pub fresh: bool,
    /// The zone of every timestamp: an IANA name.
    pub time_zone: String,
    /// First instant asked for.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// The time that the calendars asked are known for; null while one was never pulled whole.
    pub known: Option<WindowAnswer>,
    /// By start, all-day first, then end, then id.
    pub items: Vec<Event>,
}

/// The answer to `search`, `free` and `busy`.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ListAnswer<T> {
    /// As in [`AgendaAnswer`].
    pub as_of: Option<String>,
    /// As in [`AgendaAnswer`].
    pub fresh: bool,
    /// As in [`AgendaAnswer`].
    pub time_zone: String,
    /// First instant asked for; null when there is none.
    pub from: Option<String>,
    /// First instant after; null when there is none.
    pub to: Option<String>,
    /// As in [`AgendaAnswer`].
    pub known: Option<WindowAnswer>,
    /// Whether more was found than is listed; those nearest to now are.
    pub more: bool,
    /// What was found, by start.
    pub items: Vec<T>,
}

/// A stretch of time: a free slot or a merged busy block.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Slot {
    /// First instant.
    pub start: String,
    /// First instant after.
    pub end: String,
}

/// One line of the change feed.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ChangeLine {
    /// Grows, is never reused, stays below 2^53.
    pub seq: i64,
    /// The local id.
    pub event: Key,
    /// put or remove.
    pub what: &'static str,
    /// When it was committed.
    pub at: String,
}

/// The answer to `status`.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct StatusAnswer {
    /// One a configured account.
    pub accounts: Vec<AccountStatus>,
    /// The engine that owns the data directory.
    pub engine: EngineStatus,
}

/// Health of one account.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct AccountStatus {
    /// The configured name.
    pub name: String,
    /// `microsoft365`, …
    pub source: String,
    /// The configured user.
    pub user: Option<String>,
    /// Whether tokens are stored and not refused; of an application, whether its credential works.
    pub signed_in: bool,
    /// Who signs in for it.
    pub sign_in: SignInWay,
    /// online, offline or throttled, as of the last attempt.
    pub network: NetworkState,
    /// The last attempt to reach the server; null before the first.
    pub attempted_at: Option<String>,
    /// No request before this.
    pub throttled_until: Option<String>,
    /// The last failure, until a success clears it.
    pub last_error: Option<LastError>,
    /// One a calendar.
    pub calendars: Vec<CalendarStatus>,
    /// Queued edits.
    pub outbox: OutboxStatus,
    /// Open conflicts.
    pub conflicts: u64,
    /// Open edits lost with a damaged mirror.
    pub edits_lost: u64,
}

/// Who signs in for an account.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInWay {
    /// Its user.
    User,
    /// The application itself, with permissions that an administrator granted.
    Application,
    /// Nobody: its source asks for none.
    None,
}

/// What the network looked like at the last attempt.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkState {
    /// The server answered.
    Online,
    /// It could not be reached, or nothing was tried yet.
    Offline,
    /// It asked to wait.
    Throttled,
}

/// A failure with its stable kind.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// See `Fault::kind`.
    pub kind: String,
    /// When.
    pub at: String,
}

/// Health of one calendar.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct CalendarStatus {
    /// Local id.
    pub id: Key,
    /// Displayed name.
    pub name: String,
    /// The mirrored window; null before the first round.
    pub window: Option<WindowAnswer>,
    /// Last complete pull.
    pub last_pull: Option<String>,
    /// Last complete comparison of the whole window.
    pub last_full_check: Option<String>,
    /// Seconds since the cursor was given out.
    pub cursor_age_s: Option<i64>,
    /// Events shown.
    pub events: u64,
    /// What it is doing.
    pub state: CalendarState,
    /// Removals held back by the brake.
    pub held_removals: u64,
    /// Rows of the last round that could not be read and were left out.
    pub skipped: u64,
    /// The last failure of this calendar, until a success clears it.
    pub last_error: Option<LastError>,
}

/// The state of a calendar.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CalendarState {
    /// In step.
    Ok,
    /// The first round is not complete.
    Initial,
    /// A later full round is under way.
    Resync,
    /// Removals are held back.
    Held,
    /// The last attempt failed.
    Failed,
}

/// A mirrored window.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowAnswer {
    /// First instant inside.
    pub from: String,
    /// First instant after.
    pub to: String,
}

/// Queued edits in numbers.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OutboxStatus {
    /// Waiting to be sent.
    pub waiting: u64,
    /// Being sent.
    pub sending: u64,
    /// Stopped until a user decides.
    pub parked: u64,
    /// Age of the oldest in seconds.
    pub oldest_age_s: Option<i64>,
    /// When the next try is due.
    pub next_attempt_at: Option<String>,
}

/// The engine that owns the data directory.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineStatus {
    /// Whether some process holds the engine lock.
    pub running: bool,
    /// Its process id, when known.
    pub pid: Option<u32>,
    /// This program's version.
    pub version: &'static str,
    /// Why a newer configuration does not count, where the engine that answers follows its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_problem: Option<String>,
}

/// The last line of `sync --json`.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct SyncDone {
    /// Always `done`.
    pub event: String,
    /// Calendars pulled.
    pub calendars: u64,
    /// Pages read.
    pub pages: u64,
    /// Rows written because they were new or differed.
    pub upserted: u64,
    /// Rows removed.
    pub removed: u64,
    /// Edits that reached the server.
    pub pushed: u64,
    /// Edits that stopped.
    pub parked: u64,
    /// Conflicts found.
    pub conflicts: u64,
    /// Removals held back, over all calendars.
    pub held_removals: u64,
    /// Calendars that could not be completed.
    pub failed: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// The oldest last complete pull.
    pub as_of: Option<String>,
}
