//! The questions every door may ask of a mirror, and their answers in contract form: texts in the zone asked for.
//!
//! Stands on `flow::look`, which answers in values; this file only resolves what a caller typed (ids, calendars,
//! zones) and writes. Where there is no mirror yet the answer is empty and says so: `as_of` null, `fresh` false.

use std::path::Path;

use chrono::{Datelike, NaiveDate};

use crate::agenda::{self, Entry, Freshness};
use crate::api::{
    AccountStatus, AgendaAnswer, AttendeeAnswer, CalendarState, CalendarStatus, ChangeLine, Error, ErrorKind,
    Event, LastError, ListAnswer, NetworkState, OnlineMeetingAnswer, OutboxStatus, SignInWay, Slot,
    WindowAnswer,
};
use crate::flow::look::{self, AgendaAsk, BusyAsk, CHANGES_MAX, FreeAsk, LookError, SearchAsk, Shown};
use crate::mirror::{AccountView, CalendarView, FailureView, Found, KEY_PREFIX_MIN, MirrorError, Reader};
use crate::model::{Attendee, EventView, Key, OnlineMeeting, Pending, SourceKind, Window};
use crate::zones::{Zone, Zones, date_text, parse_time};

/// The years that may be asked for.
const YEARS: std::ops::RangeInclusive<i32> = 1_900..=9_900;

/// Opens a mirror for reading; `None` when there is none yet.
///
/// # Errors
/// `Mirror` when it is damaged, or a newer program wrote it.
pub fn open_mirror(path: &Path) -> Result<Option<Reader>, Error> {
    match Reader::open(path) {
        Ok(reader) => Ok(Some(reader)),
        Err(MirrorError::Absent { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The zone that a user names.
///
/// # Errors
/// `Usage` when there is no such zone.
pub fn resolve_zone(zones: &Zones, text: &str) -> Result<Zone, Error> {
    zones.resolve(text).ok_or_else(|| {
        Error::new(
            ErrorKind::Usage,
            "unknown time zone; use an IANA name like Europe/Berlin, or a Windows name",
        )
    })
}

/// The instant that a user names: RFC 3339, or a date or wall time in `zone`.
///
/// # Errors
/// `Usage` when it is no time.
pub fn resolve_time(zone: &Zone, text: &str) -> Result<i64, Error> {
    let ms = parse_time(text, zone).map_err(|problem| Error::new(ErrorKind::Usage, problem.to_string()))?;
    check_year(zone.date(ms))?;
    Ok(ms)
}

/// Refuses days that no calendar reaches and arithmetic may not.
pub(super) fn check_year(day: NaiveDate) -> Result<NaiveDate, Error> {
    if YEARS.contains(&day.year()) {
        Ok(day)
    } else {
        let message = format!("the year must be from {} to {}", YEARS.start(), YEARS.end());
        Err(Error::new(ErrorKind::Usage, message))
    }
}

/// One view into a mirror: the zone to answer in, and the time it is.
#[derive(Debug, Clone, Copy)]
pub struct Look<'l> {
    /// The mirror; `None` where there is none yet.
    pub mirror: Option<&'l Reader>,
    /// The zone database.
    pub zones: &'l Zones,
    /// The zone of the answers.
    pub zone: &'l Zone,
    /// UTC epoch milliseconds.
    pub now_ms: i64,
    /// Where the mirror's events come from.
    pub source: SourceKind,
}

/// What a mirror does not know about its account.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountFacts {
    /// The configured name.
    pub name: String,
    /// `microsoft365`, …
    pub source: String,
    /// The configured user.
    pub user: Option<String>,
    /// Whether tokens are stored and not refused.
    pub is_signed_in: bool,
    /// Who signs in for it.
    pub sign_in: SignInWay,
}

impl Look<'_> {
    /// The events of a range, or the next ones.
    ///
    /// # Errors
    /// `Usage` for a range that ends before it begins or is too long; `Mirror` when it cannot be read.
    pub fn agenda(&self, ask: &AgendaAsk) -> Result<AgendaAnswer, Error> {
        let listing = match self.mirror {
            Some(reader) => look::agenda(reader, self.zone, ask, self.now_ms)?,
            None => {
                let window = look::agenda_window(self.zone, ask, self.now_ms)?;
                let to_ms = if window.to_ms == i64::MAX { window.from_ms } else { window.to_ms };
                let window = Window { to_ms, ..window };
                look::Listing { freshness: NEVER, known: None, window, entries: Vec::new(), has_more: false }
            }
        };
        Ok(AgendaAnswer {
            as_of: self.maybe(listing.freshness.as_of_ms),
            fresh: listing.freshness.is_fresh,
            time_zone: self.zone.name().to_owned(),
            from: self.text(listing.window.from_ms),
            to: self.text(listing.window.to_ms),
            known: listing.known.map(|known| self.window(known)),
            items: self.events(listing.entries),
        })
    }

    /// The event with this id, or the only one whose id begins like this.
    ///
    /// # Errors
    /// `NotFound`; `Refused` when several begin like this; `Mirror` when it cannot be read.
    pub fn show(&self, id: &str) -> Result<Event, Error> {
        let shown = match self.mirror {
            Some(reader) => look::show(reader, self.zone, id.trim())?,
            None => Shown::None,
        };
        match shown {
            Shown::One(entry) => Ok(self.event(*entry)),
            Shown::None => Err(no_event()),
            Shown::Many => Err(many_events()),
        }
    }

    /// The id of the event that begins like this.
    ///
    /// # Errors
    /// As [`Look::show`].
    pub fn key(&self, id: &str) -> Result<Key, Error> {
        let found = match self.mirror {
            Some(reader) => reader.event_by_prefix(id.trim())?,
            None => Found::None,
        };
        match found {
            Found::One(event) => Ok(event.key),
            Found::None => Err(no_event()),
            Found::Many => Err(many_events()),
        }
    }

    /// The events that hold the words of a text, by start.
    ///
    /// # Errors
    /// As [`Look::agenda`].
    pub fn search(&self, ask: &SearchAsk) -> Result<ListAnswer<Event>, Error> {
        let window =
            Window { from_ms: ask.from_ms.unwrap_or(i64::MIN), to_ms: ask.to_ms.unwrap_or(i64::MAX) };
        let listing = match self.mirror {
            Some(reader) => look::search(reader, self.zone, ask, self.now_ms)?,
            None => {
                look::Listing { freshness: NEVER, known: None, window, entries: Vec::new(), has_more: false }
            }
        };
        let answer = self.list(listing.freshness, listing.known, window, self.events(listing.entries));
        Ok(ListAnswer { more: listing.has_more, ..answer })
    }

    /// The taken parts of a range, merged and cut to it.
    ///
    /// # Errors
    /// As [`Look::agenda`].
    pub fn busy(&self, ask: &BusyAsk) -> Result<ListAnswer<Slot>, Error> {
        let spans = match self.mirror {
            Some(reader) => look::busy(reader, self.zone, ask, self.now_ms)?,
            None => {
                let window = look::busy_window(self.zone, ask, self.now_ms)?;
                look::Spans { freshness: NEVER, known: None, window, spans: Vec::new() }
            }
        };
        Ok(self.list(spans.freshness, spans.known, spans.window, self.slots(&spans.spans)))
    }

    /// The free slots of the part of a range that is known. Without a mirror nothing is known to be free.
    ///
    /// # Errors
    /// As [`Look::agenda`].
    pub fn free(&self, ask: &FreeAsk) -> Result<ListAnswer<Slot>, Error> {
        let spans = match self.mirror {
            Some(reader) => look::free(reader, self.zone, ask, self.now_ms)?,
            None => {
                let window = look::busy_window(self.zone, &ask.busy, self.now_ms)?;
                look::Spans { freshness: NEVER, known: None, window, spans: Vec::new() }
            }
        };
        Ok(self.list(spans.freshness, spans.known, spans.window, self.slots(&spans.spans)))
    }

    /// The change feed after `since`, `limit` lines at most.
    ///
    /// # Errors
    /// `Mirror` when it cannot be read.
    pub fn changes(&self, since: i64, limit: usize) -> Result<Vec<ChangeLine>, Error> {
        let Some(reader) = self.mirror else { return Ok(Vec::new()) };
        let changes = reader.changes(since, limit.min(CHANGES_MAX))?;
        let line = |change: &crate::mirror::ChangeView| ChangeLine {
            seq: change.seq,
            event: change.key,
            what: if change.is_removal { "remove" } else { "put" },
            at: self.text(change.at_ms),
        };
        Ok(changes.iter().map(line).collect())
    }

    /// The calendar that a user names: by id or the beginning of one, by name in any case, or by the beginning of
    /// a name. Ids win over names, whole names over beginnings.
    ///
    /// # Errors
    /// `NotFound`; `Refused` when several fit; `Mirror` when it cannot be read.
    pub fn calendar(&self, text: &str) -> Result<Key, Error> {
        let calendars = match self.mirror {
            Some(reader) => reader.calendars()?,
            None => Vec::new(),
        };
        let wanted = text.trim().to_lowercase();
        let fits: [&dyn Fn(&CalendarView) -> bool; 4] = [
            &|calendar| calendar.key.to_string() == wanted,
            &|calendar| calendar.name.to_lowercase() == wanted,
            &|calendar| wanted.len() >= KEY_PREFIX_MIN && calendar.key.to_string().starts_with(&wanted),
            &|calendar| !wanted.is_empty() && calendar.name.to_lowercase().starts_with(&wanted),
        ];
        for fit in fits {
            let mut found = calendars.iter().filter(|calendar| fit(calendar));
            match (found.next(), found.next()) {
                (Some(calendar), None) => return Ok(calendar.key),
                (Some(_), Some(_)) => {
                    return Err(Error::new(
                        ErrorKind::Refused,
                        "several calendars fit; give the whole name or id",
                    ));
                }
                (None, _) => {}
            }
        }
        Err(Error::new(ErrorKind::NotFound, "there is no such calendar; `calmirror status` lists them"))
    }

    /// The health of the account.
    ///
    /// # Errors
    /// `Mirror` when it cannot be read; [`Look::broken_status`] then says that much.
    pub fn account_status(&self, facts: &AccountFacts) -> Result<AccountStatus, Error> {
        let Some(reader) = self.mirror else { return Ok(self.blank_status(facts)) };
        let account = reader.account()?;
        let counts = reader.outbox_counts()?;
        Ok(AccountStatus {
            user: facts.user.clone().or_else(|| account.user.clone()),
            network: network(&account, self.now_ms),
            attempted_at: self.maybe(account.attempted_at_ms),
            throttled_until: self.maybe(throttled_until(&account, self.now_ms)),
            last_error: self.last_error(account.failure.as_ref()),
            calendars: self.calendar_statuses(reader)?,
            edits_lost: account.edits_lost,
            outbox: OutboxStatus {
                waiting: counts.waiting,
                sending: counts.sending,
                parked: counts.parked,
                oldest_age_s: counts.oldest_ms.map(|at| self.now_ms.saturating_sub(at).max(0) / 1000),
                next_attempt_at: self.maybe(counts.next_attempt_ms),
            },
            conflicts: counts.conflicts,
            ..self.blank_status(facts)
        })
    }

    /// The health of an account whose mirror cannot be read, which `error` says why.
    pub fn broken_status(&self, facts: &AccountFacts, error: &Error) -> AccountStatus {
        let kind = mirror_error(error).map_or("mirror_unusable", MirrorError::kind).to_owned();
        let last_error = Some(LastError { kind, at: self.text(self.now_ms) });
        AccountStatus { last_error, ..self.blank_status(facts) }
    }

    /// The health of an account of which no mirror tells anything.
    fn blank_status(&self, facts: &AccountFacts) -> AccountStatus {
        AccountStatus {
            name: facts.name.clone(),
            source: facts.source.clone(),
            user: facts.user.clone(),
            signed_in: facts.is_signed_in,
            sign_in: facts.sign_in,
            network: NetworkState::Offline,
            attempted_at: None,
            throttled_until: None,
            last_error: None,
            calendars: Vec::new(),
            outbox: OutboxStatus::default(),
            conflicts: 0,
            edits_lost: 0,
        }
    }

    fn calendar_statuses(&self, reader: &Reader) -> Result<Vec<CalendarStatus>, Error> {
        let counts = reader.counts()?;
        let status = |calendar: CalendarView| CalendarStatus {
            id: calendar.key,
            window: calendar.window.map(|window| self.window(window)),
            last_pull: self.maybe(calendar.pulled_at_ms),
            last_full_check: self.maybe(calendar.full_at_ms),
            cursor_age_s: calendar.cursor_at_ms.map(|at| self.now_ms.saturating_sub(at).max(0) / 1000),
            events: counts.iter().find(|(key, _)| *key == calendar.key).map_or(0, |(_, events)| *events),
            state: state(&calendar),
            held_removals: calendar.held_removals,
            skipped: calendar.skipped,
            last_error: self.last_error(calendar.failure.as_ref()),
            name: calendar.name,
        };
        Ok(reader.calendars()?.into_iter().map(status).collect())
    }

    pub(super) fn list<T>(
        &self,
        freshness: Freshness,
        known: Option<Window>,
        asked: Window,
        items: Vec<T>,
    ) -> ListAnswer<T> {
        let is_bound = |ms: &i64| *ms != i64::MIN && *ms != i64::MAX;
        ListAnswer {
            as_of: self.maybe(freshness.as_of_ms),
            fresh: freshness.is_fresh,
            time_zone: self.zone.name().to_owned(),
            from: self.maybe(Some(asked.from_ms).filter(is_bound)),
            to: self.maybe(Some(asked.to_ms).filter(is_bound)),
            known: known.map(|known| self.window(known)),
            more: false,
            items,
        }
    }

    fn events(&self, entries: Vec<Entry>) -> Vec<Event> {
        entries.into_iter().map(|entry| self.event(entry)).collect()
    }

    /// An event as it is shown, at its place.
    pub(super) fn view(&self, event: EventView) -> Event {
        self.event(agenda::place(event, &|date_ms| self.zone.midnight_ms(date_ms)))
    }

    fn event(&self, entry: Entry) -> Event {
        let Entry { event, start_ms, end_ms } = entry;
        let details = *event.details;
        let is_all_day = details.is_all_day;
        Event {
            id: event.key,
            remote_id: event.remote_id.map(|id| id.as_str().to_owned()),
            ical_uid: details.ical_uid,
            change_key: event.change_key,
            calendar: event.calendar,
            source: self.source.code(),
            kind: event.kind,
            series_id: event.series,
            subject: details.subject,
            body_preview: details.body_preview,
            body: details.body,
            location: details.location,
            start: (!is_all_day).then(|| self.text(start_ms)),
            end: (!is_all_day).then(|| self.text(end_ms)),
            all_day: is_all_day,
            start_date: is_all_day.then(|| date_text(event.start_ms)),
            end_date: is_all_day.then(|| date_text(event.end_ms)),
            original_time_zone: details
                .original_time_zone
                .map(|text| self.zones.iana_name(&text).unwrap_or(text)),
            show_as: details.show_as,
            sensitivity: details.sensitivity,
            importance: details.importance,
            response: details.response,
            cancelled: details.is_cancelled,
            organizer: details.organizer,
            attendees: details.attendees.into_iter().map(attendee).collect(),
            categories: details.categories,
            reminder_minutes: details.reminder_minutes,
            online_meeting: details.online_meeting.map(online_meeting),
            web_link: details.web_link,
            pending: event.pending.map(Pending::code),
            conflict: event.is_in_conflict,
            unconfirmed: event.is_unconfirmed,
        }
    }

    fn slots(&self, spans: &[Window]) -> Vec<Slot> {
        let slot = |span: &Window| Slot { start: self.text(span.from_ms), end: self.text(span.to_ms) };
        spans.iter().map(slot).collect()
    }

    fn window(&self, window: Window) -> WindowAnswer {
        WindowAnswer { from: self.text(window.from_ms), to: self.text(window.to_ms) }
    }

    fn last_error(&self, failure: Option<&FailureView>) -> Option<LastError> {
        failure.map(|failure| LastError { kind: failure.kind.clone(), at: self.text(failure.at_ms) })
    }

    pub(super) fn text(&self, ms: i64) -> String {
        self.zone.rfc3339(ms)
    }

    pub(super) fn maybe(&self, ms: Option<i64>) -> Option<String> {
        ms.map(|ms| self.text(ms))
    }
}

fn no_event() -> Error {
    let text = format!(
        "there is no event with this id; give it whole, or at least its first {KEY_PREFIX_MIN} digits"
    );
    Error::new(ErrorKind::NotFound, text)
}

fn many_events() -> Error {
    Error::new(ErrorKind::Refused, "several events' ids begin like this; give more digits")
}

/// What the mirror said, when an error came from it.
pub fn mirror_error(error: &Error) -> Option<&MirrorError> {
    std::error::Error::source(error)?.downcast_ref()
}

/// Nothing was ever pulled.
pub(super) const NEVER: Freshness = Freshness { as_of_ms: None, is_fresh: false };

fn attendee(attendee: Attendee) -> AttendeeAnswer {
    AttendeeAnswer {
        name: attendee.person.name,
        address: attendee.person.address,
        kind: attendee.kind,
        response: attendee.response,
    }
}

fn online_meeting(meeting: OnlineMeeting) -> OnlineMeetingAnswer {
    OnlineMeetingAnswer { provider: meeting.provider, join_url: meeting.join_url }
}

fn throttled_until(account: &AccountView, now_ms: i64) -> Option<i64> {
    account.throttled_until_ms.filter(|until| *until > now_ms)
}

fn network(account: &AccountView, now_ms: i64) -> NetworkState {
    if throttled_until(account, now_ms).is_some() {
        return NetworkState::Throttled;
    }
    let is_cut_off =
        account.failure.as_ref().is_some_and(|failure| UNREACHABLE.contains(&failure.kind.as_str()));
    if is_cut_off || account.reached_at_ms.is_none() { NetworkState::Offline } else { NetworkState::Online }
}

/// The kinds of `Fault` in which the server itself did not answer.
const UNREACHABLE: [&str; 6] = ["offline", "tls", "timeout", "connection_lost", "not_http", "captive_portal"];

/// A failure is what a user must see first; then held removals, which wait for the user. A pause that the server
/// asked for is no failure of the calendar.
fn state(calendar: &CalendarView) -> CalendarState {
    match calendar {
        CalendarView { failure: Some(failure), .. } if failure.kind != "throttled" => CalendarState::Failed,
        CalendarView { held_removals: 1.., .. } => CalendarState::Held,
        CalendarView { pulled_at_ms: None, .. } => CalendarState::Initial,
        CalendarView { is_in_round: true, .. } => CalendarState::Resync,
        CalendarView { .. } => CalendarState::Ok,
    }
}

impl From<LookError> for Error {
    fn from(error: LookError) -> Error {
        match error {
            LookError::Mirror(error) => error.into(),
            LookError::Backwards | LookError::Long => Error::new(ErrorKind::Usage, error.to_string()),
        }
    }
}

impl From<MirrorError> for Error {
    fn from(error: MirrorError) -> Error {
        if error.is_full_disk() {
            let message = "the disk is full; nothing is lost: free some space and run `calmirror sync` again";
            return Error::because(ErrorKind::Failed, message, error);
        }
        let kind = match &error {
            MirrorError::OutboxFull { .. } => ErrorKind::Refused,
            MirrorError::Newer { .. }
            | MirrorError::Outdated { .. }
            | MirrorError::Damaged { .. }
            | MirrorError::Migration { .. }
            | MirrorError::Io { .. }
            | MirrorError::Sqlite { .. } => ErrorKind::Mirror,
            MirrorError::OtherMailbox => ErrorKind::Refused,
            MirrorError::Absent { .. } | MirrorError::Invariant(_) => ErrorKind::Failed,
        };
        Error::because(kind, error.to_string(), error)
    }
}
