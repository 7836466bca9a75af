//! What a caller may ask, as it was typed, and the mirrors that answer.
//!
//! Doors read arguments or query parameters into a [`Call`]; [`Mirrors`] finds the account, the zone and the
//! file, and asks [`Look`]. It needs no network, no sign-in and no engine lock: it reads what is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{Days, NaiveDate, NaiveTime, Weekday as ChronoWeekday};
use serde::Serialize;

use crate::api::look::check_year;
use crate::api::{
    AccountFacts, AgendaAnswer, AgendaAsk, BusyAsk, ChangeLine, ConflictItem, EngineStatus, Error, ErrorKind,
    Event, FreeAsk, ListAnswer, Look, NetworkState, OutboxItem, PresenceAnswer, PresenceCall, ReminderItem,
    RemindersCall, SearchAsk, SignInWay, Slot, StatusAnswer, TimelineAnswer, TimelineCall, WhyAnswer,
    open_mirror, resolve_time, resolve_zone,
};
use crate::config::{Config, Effective, LiveConfig, SourceKind, TimeOfDay, Weekday, parse_span};
use crate::flow::look;
use crate::flow::sign_in::check_credential;
use crate::model::Key;
use crate::ports::{Clock, Entropy};
use crate::system::{Holder, SystemEntropy, engine_holder};
use crate::vault;
use crate::zones::{Zone, Zones, parse_date};

/// The longest agenda by `--days`.
pub const DAYS_MAX: u32 = 3_660;
/// The most characters of a search.
pub const SEARCH_BYTES_MAX: usize = 1_024;
/// The most events found in one answer.
pub const SEARCH_ITEMS_MAX: u32 = 1_000;
/// The most lines of the change feed in one answer.
pub const CHANGES_MAX: usize = 1_000;
/// The most calendars named in one call.
const CALENDARS_MAX: usize = 256;

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// The events of a range.
    Agenda(AgendaCall),
    /// One event.
    Show(ShowCall),
    /// Full-text search.
    Search(SearchCall),
    /// Free slots.
    Free(FreeCall),
    /// Merged busy blocks.
    Busy(RangeCall),
    /// The change feed.
    Changes(ChangesCall),
    /// The edits that wait.
    Outbox,
    /// One of them.
    OutboxEdit(i64),
    /// The conflicts.
    Conflicts,
    /// One of them.
    Conflict(i64),
    /// The reminders.
    Reminders(RemindersCall),
    /// What is shown and forwarded now.
    Presence(PresenceCall),
    /// The same over a stretch of time.
    PresenceTimeline(TimelineCall),
    /// Why it is so.
    PresenceWhy(PresenceCall),
    /// Health of every account.
    Status,
}

/// Which events of which time; every text as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgendaCall {
    /// From when, until when, where.
    pub range: RangeCall,
    /// A day instead: `YYYY-MM-DD`, `today`, `tomorrow` or `yesterday`.
    pub day: Option<String>,
    /// How many days from there.
    pub days: Option<u32>,
    /// Only the next so many events.
    pub next: Option<u32>,
}

/// A range, a zone, and calendars.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeCall {
    /// First instant.
    pub from: Option<String>,
    /// First instant after.
    pub to: Option<String>,
    /// The zone to read times in and to answer in.
    pub tz: Option<String>,
    /// Only these, by id or name.
    pub calendars: Vec<String>,
}

/// Which event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShowCall {
    /// Its id, or the beginning of one.
    pub id: String,
    /// The zone to answer in.
    pub tz: Option<String>,
}

/// What to search for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SearchCall {
    /// The words.
    pub text: String,
    /// In which time.
    pub range: RangeCall,
    /// The most events.
    pub limit: Option<u32>,
}

impl std::fmt::Debug for SearchCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SearchCall").field("range", &self.range).finish_non_exhaustive()
    }
}

/// Which free time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FreeCall {
    /// Of which time.
    pub range: RangeCall,
    /// Only slots at least this long, as `"30m"`.
    pub min: Option<String>,
    /// Only `inside` working hours, or `any`.
    pub hours: Option<String>,
}

/// Which part of the change feed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangesCall {
    /// After this place; 0: from the beginning.
    pub since: i64,
    /// The most lines, cut at `CHANGES_MAX`.
    pub limit: Option<u32>,
}

/// The answer to a [`Call`], as its JSON.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To `agenda`.
    Agenda(AgendaAnswer),
    /// To `show`.
    Event(Box<Event>),
    /// To `search`.
    Events(ListAnswer<Event>),
    /// To `free` and `busy`.
    Slots(ListAnswer<Slot>),
    /// To `changes`.
    Changes(Vec<ChangeLine>),
    /// To `outbox`.
    Outbox(Vec<OutboxItem>),
    /// To `outbox show`.
    OutboxEdit(Box<OutboxItem>),
    /// To `conflicts`.
    Conflicts(Vec<ConflictItem>),
    /// To `conflicts show`.
    Conflict(Box<ConflictItem>),
    /// To `reminders`.
    Reminders(ListAnswer<ReminderItem>),
    /// To `presence now`.
    Presence(Box<PresenceAnswer>),
    /// To `presence timeline`.
    PresenceTimeline(TimelineAnswer),
    /// To `presence why`.
    PresenceWhy(Box<WhyAnswer>),
    /// To `status`.
    Status(StatusAnswer),
}

impl Call {
    /// Reads a call from names and values, as a query string has them; the names are the CLI's.
    ///
    /// # Errors
    /// `NotFound` for an unknown call, `Usage` for an unknown, doubled or unreadable value.
    pub fn read(call: &str, values: &[(String, String)]) -> Result<Call, Error> {
        let mut values = Values { left: values.to_vec() };
        let call = match call {
            "agenda" => Call::Agenda(AgendaCall {
                day: values.take("day")?,
                days: values.take_number("days")?,
                next: values.take_number("next")?,
                range: values.take_range()?,
            }),
            "show" => {
                Call::Show(ShowCall { id: values.take("id")?.unwrap_or_default(), tz: values.take("tz")? })
            }
            "search" => Call::Search(SearchCall {
                text: values.take("text")?.unwrap_or_default(),
                limit: values.take_number("limit")?,
                range: values.take_range()?,
            }),
            "free" => Call::Free(FreeCall {
                min: values.take("min")?,
                hours: values.take("hours")?,
                range: values.take_range()?,
            }),
            "busy" => Call::Busy(values.take_range()?),
            "changes" => Call::Changes(ChangesCall {
                since: values.take_number("since")?.unwrap_or(0),
                limit: values.take_number("limit")?,
            }),
            "outbox" => match values.take_number("n")? {
                None => Call::Outbox,
                Some(n) => Call::OutboxEdit(n),
            },
            "conflicts" => match values.take_number("n")? {
                None => Call::Conflicts,
                Some(n) => Call::Conflict(n),
            },
            "reminders" => Call::Reminders(RemindersCall {
                is_due: values.take_flag("due")?,
                within: values.take("within")?,
                tz: values.take("tz")?,
            }),
            "presence" => Call::Presence(values.take_place()?),
            "presence_timeline" => Call::PresenceTimeline(TimelineCall {
                from: values.take("from")?,
                to: values.take("to")?,
                place: values.take_place()?,
            }),
            "presence_why" => Call::PresenceWhy(values.take_place()?),
            "status" => Call::Status,
            _ => return Err(Error::new(ErrorKind::NotFound, "there is no such call")),
        };
        values.end()?;
        Ok(call)
    }
}

/// Values that wait to be read.
struct Values {
    left: Vec<(String, String)>,
}

impl Values {
    fn take_all(&mut self, name: &str) -> Vec<String> {
        let (taken, left) = std::mem::take(&mut self.left).into_iter().partition(|(key, _)| key == name);
        self.left = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    fn take(&mut self, name: &str) -> Result<Option<String>, Error> {
        let mut all = self.take_all(name);
        match all.len() {
            0 | 1 => Ok(all.pop()),
            _ => Err(Error::new(ErrorKind::Usage, format!("`{name}` is given more than once"))),
        }
    }

    fn take_number<T: std::str::FromStr>(&mut self, name: &str) -> Result<Option<T>, Error> {
        self.take(name)?
            .map(|text| text.parse())
            .transpose()
            .map_err(|_| Error::new(ErrorKind::Usage, format!("`{name}` must be a whole number")))
    }

    fn take_flag(&mut self, name: &str) -> Result<bool, Error> {
        match self.take(name)?.as_deref() {
            Some("true" | "1" | "") => Ok(true),
            None | Some("false" | "0") => Ok(false),
            Some(_) => Err(Error::new(ErrorKind::Usage, format!("`{name}` must be true or false"))),
        }
    }

    fn take_place(&mut self) -> Result<PresenceCall, Error> {
        Ok(PresenceCall { at: self.take("at")?, tz: self.take("tz")? })
    }

    fn take_range(&mut self) -> Result<RangeCall, Error> {
        Ok(RangeCall {
            from: self.take("from")?,
            to: self.take("to")?,
            tz: self.take("tz")?,
            calendars: self.take_all("calendar"),
        })
    }

    fn end(self) -> Result<(), Error> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => {
                // A foreign name is text from outside: only a plain one is repeated.
                let is_plain =
                    name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                let name = if is_plain { format!("`{name}` ") } else { String::new() };
                Err(Error::new(ErrorKind::Usage, format!("the parameter {name}is not known here")))
            }
        }
    }
}

/// The mirrors of one data directory, for questions and for recording edits.
pub struct Mirrors {
    config: Config,
    live: LiveConfig,
    data_dir: PathBuf,
    clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) zones: Zones,
    system_zone: Option<String>,
}

impl Mirrors {
    /// The mirrors of the accounts of `config`. `system_zone` is the zone of accounts that configure none.
    pub fn new(
        config: Config,
        data_dir: PathBuf,
        clock: Arc<dyn Clock>,
        zones: Zones,
        system_zone: Option<String>,
    ) -> Mirrors {
        let entropy = Arc::new(SystemEntropy);
        let live = LiveConfig::new(config.clone());
        Mirrors { config, live, data_dir, clock, entropy, zones, system_zone }
    }

    /// The same, following the presence policy of a running engine.
    #[must_use]
    pub fn following(self, live: LiveConfig) -> Mirrors {
        Mirrors { live, ..self }
    }

    /// Why a newer configuration does not count, if one does not.
    pub(super) fn config_problem(&self) -> Option<String> {
        self.live.problem()
    }

    /// The same, with ids of new events drawn from `entropy`: for tests.
    pub fn with_entropy(self, entropy: Arc<dyn Entropy>) -> Mirrors {
        Mirrors { entropy, ..self }
    }

    /// The configuration it was opened for: presence may follow a newer one.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The data directory it answers from.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// UTC epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The account meant: the named one, else the only one.
    ///
    /// # Errors
    /// `Usage` when there is none of this name, or several and none is named.
    pub fn account(&self, name: Option<&str>) -> Result<Effective, Error> {
        let names: Vec<&str> = self.config.accounts.iter().map(|account| account.name.as_str()).collect();
        let named = match (name, names.as_slice()) {
            (Some(name), _) => name,
            (None, [only]) => only,
            (None, []) => {
                return Err(Error::new(ErrorKind::Usage, "no account is configured; add an [[account]]"));
            }
            (None, _) => {
                let names = names.join(", ");
                return Err(Error::new(ErrorKind::Usage, format!("say which account: one of {names}")));
            }
        };
        self.live.current().resolve(named).ok_or_else(|| {
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Error::new(ErrorKind::Usage, format!("there is no account of this name; there are: {names}"))
        })
    }

    /// The file of an account's mirror.
    pub fn mirror_path(&self, account: &str) -> PathBuf {
        self.data_dir.join(account).join("mirror.db")
    }

    /// Whether an account's mirror is in order; `None` when there is none yet. Reads the whole file.
    ///
    /// # Errors
    /// `Mirror` when it cannot be read at all, or a newer program wrote it.
    pub fn is_sound(&self, account: &str) -> Result<Option<bool>, Error> {
        match open_mirror(&self.mirror_path(account))? {
            None => Ok(None),
            Some(reader) => Ok(Some(reader.is_sound()?)),
        }
    }

    /// Answers one call for the account named (or the only one).
    ///
    /// # Errors
    /// As the call's own method.
    pub fn answer(&self, account: Option<&str>, call: &Call) -> Result<Answer, Error> {
        if *call == Call::Status {
            return Ok(Answer::Status(self.status(account)?));
        }
        let account = self.account(account)?;
        Ok(match call {
            Call::Agenda(call) => Answer::Agenda(self.agenda(&account, call)?),
            Call::Show(call) => Answer::Event(Box::new(self.show(&account, call)?)),
            Call::Search(call) => Answer::Events(self.search(&account, call)?),
            Call::Free(call) => Answer::Slots(self.free(&account, call)?),
            Call::Busy(call) => Answer::Slots(self.busy(&account, call)?),
            Call::Changes(call) => Answer::Changes(self.changes(&account, *call)?),
            Call::Outbox => Answer::Outbox(self.outbox(&account)?),
            Call::OutboxEdit(n) => Answer::OutboxEdit(Box::new(self.outbox_edit(&account, *n)?)),
            Call::Conflicts => Answer::Conflicts(self.conflicts(&account)?),
            Call::Conflict(n) => Answer::Conflict(Box::new(self.conflict(&account, *n)?)),
            Call::Reminders(call) => Answer::Reminders(self.reminders(&account, call)?),
            Call::Presence(call) => Answer::Presence(Box::new(self.presence(&account, call)?)),
            Call::PresenceTimeline(call) => Answer::PresenceTimeline(self.presence_timeline(&account, call)?),
            Call::PresenceWhy(call) => Answer::PresenceWhy(Box::new(self.presence_why(&account, call)?)),
            Call::Status => Answer::Status(self.status(Some(&account.name))?),
        })
    }

    /// The events of a range: today in the account's zone unless said otherwise.
    ///
    /// # Errors
    /// `Usage` for an unreadable or contradictory range, `NotFound` for an unknown calendar, `Mirror`.
    pub fn agenda(&self, account: &Effective, call: &AgendaCall) -> Result<AgendaAnswer, Error> {
        self.with_look(account, call.range.tz.as_deref(), |look| {
            let (from_ms, to_ms) = agenda_range(look.zone, call, look.now_ms)?;
            look.agenda(&AgendaAsk {
                from_ms,
                to_ms,
                calendars: calendars(look, &call.range.calendars)?,
                next: call.next.map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
            })
        })
    }

    /// One event, with its body.
    ///
    /// # Errors
    /// `NotFound`; `Refused` when the beginning of an id fits several; `Mirror`.
    pub fn show(&self, account: &Effective, call: &ShowCall) -> Result<Event, Error> {
        self.with_look(account, call.tz.as_deref(), |look| look.show(&call.id))
    }

    /// The events that hold the words, by start.
    ///
    /// # Errors
    /// As [`Mirrors::agenda`].
    pub fn search(&self, account: &Effective, call: &SearchCall) -> Result<ListAnswer<Event>, Error> {
        if call.text.trim().is_empty() || call.text.len() > SEARCH_BYTES_MAX {
            let message = format!("search for 1 to {SEARCH_BYTES_MAX} bytes of text");
            return Err(Error::new(ErrorKind::Usage, message));
        }
        if call.limit.is_some_and(|limit| limit == 0 || limit > SEARCH_ITEMS_MAX) {
            let message = format!("`limit` must be from 1 to {SEARCH_ITEMS_MAX}");
            return Err(Error::new(ErrorKind::Usage, message));
        }
        self.with_look(account, call.range.tz.as_deref(), |look| {
            let (from_ms, to_ms) = range(look.zone, &call.range)?;
            look.search(&SearchAsk {
                text: call.text.clone(),
                from_ms,
                to_ms,
                calendars: calendars(look, &call.range.calendars)?,
                limit: call.limit.map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
            })
        })
    }

    /// The events of a range as one calendar in iCalendar: everything that is mirrored unless said otherwise.
    ///
    /// # Errors
    /// As [`Mirrors::agenda`].
    pub fn export(&self, account: &Effective, call: &RangeCall) -> Result<String, Error> {
        self.with_look(account, call.tz.as_deref(), |look| {
            let (from_ms, to_ms) = range(look.zone, call)?;
            let calendars = calendars(look, &call.calendars)?;
            look.export(&AgendaAsk { from_ms, to_ms, calendars, next: None })
        })
    }

    /// The merged busy blocks: of the next seven days unless said otherwise.
    ///
    /// # Errors
    /// As [`Mirrors::agenda`].
    pub fn busy(&self, account: &Effective, call: &RangeCall) -> Result<ListAnswer<Slot>, Error> {
        self.with_look(account, call.tz.as_deref(), |look| look.busy(&busy_ask(look, call)?))
    }

    /// The free slots: of the next seven days unless said otherwise.
    ///
    /// # Errors
    /// As [`Mirrors::agenda`].
    pub fn free(&self, account: &Effective, call: &FreeCall) -> Result<ListAnswer<Slot>, Error> {
        let min_ms = match &call.min {
            None => 0,
            Some(text) => {
                let span = parse_span(text)
                    .map_err(|error| Error::new(ErrorKind::Usage, format!("`min` {error}")))?;
                i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
            }
        };
        let hours = match call.hours.as_deref() {
            None | Some("any") => None,
            Some("inside") => Some(self.working_hours(account)?),
            Some(_) => return Err(Error::new(ErrorKind::Usage, "`hours` must be `inside` or `any`")),
        };
        self.with_look(account, call.range.tz.as_deref(), |look| {
            look.free(&FreeAsk { busy: busy_ask(look, &call.range)?, min_ms, hours })
        })
    }

    /// The change feed.
    ///
    /// # Errors
    /// `Usage` for a negative place; `Mirror`.
    pub fn changes(&self, account: &Effective, call: ChangesCall) -> Result<Vec<ChangeLine>, Error> {
        if call.since < 0 {
            return Err(Error::new(ErrorKind::Usage, "`since` counts from 0"));
        }
        let limit = call.limit.map_or(CHANGES_MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        self.with_look(account, None, |look| look.changes(call.since, limit.min(CHANGES_MAX)))
    }

    /// The newest place of the change feed, and its lines after a place; `None` while there is no mirror.
    ///
    /// # Errors
    /// `Mirror`.
    pub fn feed(
        &self,
        account: &Effective,
        call: ChangesCall,
    ) -> Result<Option<(i64, Vec<ChangeLine>)>, Error> {
        let limit = call.limit.map_or(CHANGES_MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        self.with_look(account, None, |look| {
            let Some(mirror) = look.mirror else { return Ok(None) };
            Ok(Some((mirror.newest_change()?, look.changes(call.since, limit.min(CHANGES_MAX))?)))
        })
    }

    /// The health of the account named, or of all. A mirror that cannot be read is its account's `last_error`.
    ///
    /// # Errors
    /// `Usage` when there is no account of this name.
    pub fn status(&self, account: Option<&str>) -> Result<StatusAnswer, Error> {
        let accounts = match account {
            Some(name) => vec![self.account(Some(name))?],
            None => {
                self.config.accounts.iter().filter_map(|account| self.config.resolve(&account.name)).collect()
            }
        };
        let mut answers = Vec::new();
        for account in &accounts {
            let facts = AccountFacts {
                name: account.name.clone(),
                source: account.source.value.code().to_owned(),
                user: account.user.clone(),
                is_signed_in: self.is_signed_in(account),
                sign_in: match account.source.value {
                    _ if account.is_application() => SignInWay::Application,
                    SourceKind::Microsoft365 => SignInWay::User,
                    SourceKind::Exchange | SourceKind::Icalendar | SourceKind::Feed => SignInWay::None,
                },
            };
            let mut answer = match self.with_look(account, None, |look| look.account_status(&facts)) {
                Ok(status) => status,
                Err(error) => {
                    let zone = self.zone(account);
                    let now_ms = self.clock.now_ms();
                    Look {
                        mirror: None,
                        zones: &self.zones,
                        zone: &zone,
                        now_ms,
                        source: account.source.value,
                    }
                    .broken_status(&facts, &error)
                }
            };
            if let Some(credential) = account.credential.as_ref().filter(|_| account.is_application()) {
                // What the last attempt found says more than a look at the credential: this process may see another
                // environment than the one that syncs.
                answer.signed_in = match (answer.network, &answer.last_error) {
                    (_, Some(error)) if error.kind == "sign_in_needed" => false,
                    (NetworkState::Online, _) => true,
                    (NetworkState::Offline | NetworkState::Throttled, _) => {
                        check_credential(credential).is_ok()
                    }
                };
            }
            answers.push(answer);
        }
        let holder = engine_holder(&self.data_dir).unwrap_or(Holder::Nobody);
        Ok(StatusAnswer {
            accounts: answers,
            engine: EngineStatus {
                config_problem: self.config_problem(),
                running: holder != Holder::Nobody,
                pid: match holder {
                    Holder::Engine { pid } => pid,
                    Holder::Nobody => None,
                },
                version: env!("CARGO_PKG_VERSION"),
            },
        })
    }

    /// The calendar that a caller names, by id or name.
    ///
    /// # Errors
    /// `NotFound`; `Refused` when several fit; `Mirror`.
    pub fn calendar(&self, account: &Effective, text: &str) -> Result<Key, Error> {
        self.with_look(account, None, |look| look.calendar(text))
    }

    /// The zone an account's times are read and shown in: its own, else the system's, else UTC.
    pub fn zone(&self, account: &Effective) -> Zone {
        [account.time_zone.value.as_deref(), self.system_zone.as_deref()]
            .into_iter()
            .flatten()
            .find_map(|name| self.zones.resolve(name))
            .unwrap_or_else(Zone::utc)
    }

    fn is_signed_in(&self, account: &Effective) -> bool {
        matches!(vault::glance(&self.data_dir, &account.name), Ok(Some(glance)) if glance.ended.is_none())
    }

    pub(super) fn with_look<T>(
        &self,
        account: &Effective,
        tz: Option<&str>,
        ask: impl FnOnce(&Look<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mirror = open_mirror(&self.mirror_path(&account.name))?;
        let zone = match tz {
            Some(text) => resolve_zone(&self.zones, text)?,
            None => self.zone(account),
        };
        let look = Look {
            mirror: mirror.as_ref(),
            zones: &self.zones,
            zone: &zone,
            now_ms: self.clock.now_ms(),
            source: account.source.value,
        };
        ask(&look)
    }

    fn working_hours(&self, account: &Effective) -> Result<look::WorkingHours, Error> {
        let hours = &account.working_hours.value;
        let time = |time: TimeOfDay| {
            NaiveTime::from_hms_opt(time.hour.into(), time.minute.into(), 0)
                .ok_or_else(|| Error::new(ErrorKind::Failed, "working hours hold no time of day"))
        };
        Ok(look::WorkingHours {
            zone: self.zone(account),
            days: hours.days.iter().map(|day| weekday(*day)).collect(),
            start: time(hours.start)?,
            end: time(hours.end)?,
        })
    }
}

const fn weekday(day: Weekday) -> ChronoWeekday {
    match day {
        Weekday::Mon => ChronoWeekday::Mon,
        Weekday::Tue => ChronoWeekday::Tue,
        Weekday::Wed => ChronoWeekday::Wed,
        Weekday::Thu => ChronoWeekday::Thu,
        Weekday::Fri => ChronoWeekday::Fri,
        Weekday::Sat => ChronoWeekday::Sat,
        Weekday::Sun => ChronoWeekday::Sun,
    }
}

fn busy_ask(look: &Look<'_>, call: &RangeCall) -> Result<BusyAsk, Error> {
    let (from_ms, to_ms) = range(look.zone, call)?;
    Ok(BusyAsk { from_ms, to_ms, calendars: calendars(look, &call.calendars)?, ..BusyAsk::default() })
}

fn calendars(look: &Look<'_>, texts: &[String]) -> Result<Vec<Key>, Error> {
    if texts.len() > CALENDARS_MAX {
        return Err(Error::new(ErrorKind::Usage, format!("name at most {CALENDARS_MAX} calendars")));
    }
    texts.iter().map(|text| look.calendar(text)).collect()
}

fn range(zone: &Zone, call: &RangeCall) -> Result<(Option<i64>, Option<i64>), Error> {
    let read = |text: &Option<String>| text.as_deref().map(|text| resolve_time(zone, text)).transpose();
    Ok((read(&call.from)?, read(&call.to)?))
}

/// The range of an agenda call: at most one way of saying where it begins and ends.
fn agenda_range(zone: &Zone, call: &AgendaCall, now_ms: i64) -> Result<(Option<i64>, Option<i64>), Error> {
    let usage = |message: &str| Err(Error::new(ErrorKind::Usage, message));
    if call.next == Some(0) || call.days == Some(0) {
        return usage("`next` and `days` count from 1");
    }
    if call.days.is_some_and(|days| days > DAYS_MAX) {
        return usage("`days` must not be more than 3660");
    }
    if call.day.is_some() && (call.range.from.is_some() || call.range.to.is_some()) {
        return usage("say either `day` or `from` and `to`");
    }
    if call.days.is_some() && call.range.to.is_some() {
        return usage("say either `days` or `to`");
    }
    let (from_ms, to_ms) = range(zone, &call.range)?;
    let first = match &call.day {
        Some(text) => Some(day(zone, text, now_ms)?),
        None => None,
    };
    match (first, call.days) {
        (None, None) => Ok((from_ms, to_ms)),
        (Some(first), days) => {
            let window = zone.days(first, days.unwrap_or(1));
            Ok((Some(window.from_ms), Some(window.to_ms)))
        }
        (None, Some(days)) => {
            let window = zone.days(zone.date(from_ms.unwrap_or(now_ms)), days);
            Ok((Some(from_ms.unwrap_or(window.from_ms)), Some(window.to_ms)))
        }
    }
}

fn day(zone: &Zone, text: &str, now_ms: i64) -> Result<NaiveDate, Error> {
    let today = zone.date(now_ms);
    match text.trim() {
        "today" => Ok(today),
        "tomorrow" => Ok(today.checked_add_days(Days::new(1)).unwrap_or(today)),
        "yesterday" => Ok(today.checked_sub_days(Days::new(1)).unwrap_or(today)),
        date => parse_date(date)
            .map_err(|problem| Error::new(ErrorKind::Usage, problem.to_string()))
            .and_then(check_year),
    }
}
