//! Owns a data directory: its lock, the mirrors' writers, the runtime and the wake-ups.
//!
//! The engine drives its flows on the caller's thread; one worker thread of its own fetches and decodes beside
//! the writing. Readers need no engine: they open a mirror for reading, in this process or another.

mod bell;
mod desk;
mod exchange;
mod notice;
mod office;
mod sign_in;
mod switchboard;
mod sync_call;
mod watch;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::actuate::Outcome;
use crate::api::{Error, ErrorKind, SyncDone};
use crate::config::{Config, ConfigFile, LiveConfig};
use crate::flow::Progress;
use crate::flow::presence::{Due, Ticked};
use crate::model::Key;
use crate::ports::{Clock, Entropy, Http, Keyring};
use crate::presence::Channel;
use crate::system::{EngineLock, LockError};

pub use bell::ReminderTick;
use desk::Desk;
pub use desk::{NOT_LET_IN, sign_in_site};
pub use notice::{Heard, Hub, LOOK_EVERY, NOTICES_MAX, Notice, Subscription, What};
use office::Office;
pub use office::application_site;
pub use sign_in::{Prompt, SignIn, Way};
pub use sync_call::{SyncAnswer, SyncCall, WeatherAnswer};
pub use watch::{Handle, Hint, MAILBOXES_AT_ONCE, MIRRORS_OPEN_MAX, Seen, WatchReport};

/// The outside world, handed in by the program (or by a test).
#[derive(Clone)]
pub struct Edges {
    /// Sends requests.
    pub http: Arc<dyn Http>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Draws randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Keeps the keys of the tokens: [`crate::vault::system_keyring`], or [`crate::vault::NoKeyring`] for a key
    /// file.
    pub keyring: Arc<dyn Keyring>,
}

/// The longest that work in the background (a name lookup) is waited for when the engine goes.
const GOING_MAX: Duration = Duration::from_millis(500);

/// What became of a command whose receiver knows a newer state of the calendars.
const STALE: &str = "stale";

/// What `sync` is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncOrder {
    /// Compare the whole window, whatever the last full check.
    pub is_full: bool,
    /// Carry out held removals.
    pub accept_removals: Accept,
}

/// Which held removals to carry out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Accept {
    /// None.
    #[default]
    None,
    /// Those of every calendar.
    All,
    /// Those of this calendar.
    Calendar(Key),
}

/// How a sync ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReport {
    /// The numbers.
    pub done: SyncDone,
    /// Why it is not complete, if it is not.
    pub weather: Option<Weather>,
}

/// Why a sync is not complete: a value, not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weather {
    /// Sign-in is needed (exit 3).
    SignInNeeded,
    /// The application that reaches the mailbox without a user gets no token (exit 3).
    ApplicationRefused {
        /// Who must do what.
        message: String,
    },
    /// The server cannot be reached or refused (exit 4); the fault's stable kind.
    Unreachable(&'static str),
    /// The server asked to wait longer than a sync waits (exit 4).
    Throttled {
        /// UTC epoch milliseconds.
        until_ms: i64,
    },
}

impl Weather {
    /// The error a door makes of it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Weather::SignInNeeded | Weather::ApplicationRefused { .. } => ErrorKind::SignIn,
            Weather::Unreachable(_) | Weather::Throttled { .. } => ErrorKind::Unreachable,
        }
    }
}

/// What to show a user who signs in by device code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePrompt {
    /// Where to go.
    pub verification_url: String,
    /// What to type there.
    pub user_code: String,
    /// How long it is valid.
    pub valid: Duration,
}

/// What to show a user who signs in with a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserPrompt {
    /// Where the browser goes.
    pub authorize_url: String,
    /// How long it is waited for.
    pub valid: Duration,
}

/// What an evaluation of presence did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresenceTick {
    /// The profile shown; empty when there is no mirror yet.
    pub profile: String,
    /// Whether something else is shown or forwarded than at the evaluation before.
    pub is_changed: bool,
    /// The commands that were sent.
    pub sent: Vec<PresenceSent>,
}

/// A command that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceSent {
    /// On which channel.
    pub channel: Channel,
    /// Whether the baseline was to be put back.
    pub is_release: bool,
    /// `applied`, `handed` (to the host), or why not: the stable kind of the cause.
    pub state: &'static str,
}

impl PresenceTick {
    /// A receiver knows a newer state of the calendars: a sync brings it here.
    fn is_stale(&self) -> bool {
        self.sent.iter().any(|sent| sent.state == STALE)
    }
}

impl From<Ticked> for PresenceTick {
    fn from(ticked: Ticked) -> PresenceTick {
        let sent = ticked.sent.iter().map(|(command, outcome)| PresenceSent {
            channel: command.channel,
            is_release: command.is_release,
            state: match outcome {
                Outcome::Applied { .. } => "applied",
                Outcome::Waiting => "handed",
                Outcome::Refused(cause) | Outcome::Unclear(cause) => cause.kind(),
            },
        });
        PresenceTick { sent: sent.collect(), profile: ticked.profile, is_changed: ticked.is_changed }
    }
}

/// What to do with the mirror when signing out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignOut {
    /// Keep it: queries go on answering.
    Keep,
    /// Delete it.
    Wipe,
}

/// Whose mirror a sign-in may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherMailbox {
    /// Signing in as another mailbox than the mirror's is refused.
    Refuse,
    /// The mirror of the former mailbox is deleted.
    Replace,
}

/// The engine of one data directory. At most one process holds it; readers need none.
pub struct Engine {
    office: Office,
    file: Option<ConfigFile>,
    runtime: tokio::runtime::Handle,
    workers: Option<tokio::runtime::Runtime>,
    desks: BTreeMap<String, Desk>,
    handle: Handle,
    inbox: watch::Inbox,
    _lock: EngineLock,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("data_dir", &self.office.data_dir).finish_non_exhaustive()
    }
}

impl Engine {
    /// Takes the data directory's lock. Needs no network and no sign-in.
    ///
    /// # Errors
    /// `Busy` when another process holds the lock, `Failed` when the directory cannot be used.
    pub fn open(config: Config, data_dir: &Path, edges: Edges) -> Result<Engine, Error> {
        let lock = EngineLock::take(data_dir).map_err(|error| {
            let kind = match &error {
                LockError::Held { .. } => ErrorKind::Busy,
                LockError::Io { .. } => ErrorKind::Failed,
            };
            Error::because(kind, error.to_string(), error)
        })?;
        if let Some(kind) = crate::system::network_share(data_dir) {
            tracing::warn!(
                kind,
                "the data directory is on a network share: SQLite's locks do not hold there; choose a local one"
            );
        }
        let workers = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("calmirror-net")
            .enable_all()
            .build()
            .map_err(|error| Error::because(ErrorKind::Failed, "no thread could be started", error))?;
        let mirrors = config
            .accounts
            .iter()
            .map(|account| (account.name.as_str(), data_dir.join(&account.name).join(desk::MIRROR_FILE)));
        let (handle, inbox) = watch::channel(Hub::new(mirrors));
        Ok(Engine {
            office: Office::new(config, data_dir, edges),
            file: None,
            runtime: workers.handle().clone(),
            workers: Some(workers),
            desks: BTreeMap::new(),
            handle,
            inbox,
            _lock: lock,
        })
    }

    /// Has [`Engine::watch`] read this file again, at each wake-up and hint: the presence policy follows it, everything
    /// else counts as it was when the engine was opened. While the file has mistakes, the former policy counts.
    pub fn follow(&mut self, file: ConfigFile) {
        self.file = Some(file);
    }

    /// The configuration that counts, for doors that answer beside the engine.
    pub fn config(&self) -> LiveConfig {
        self.office.config.clone()
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.office.data_dir
    }

    /// The way for other threads to talk to [`Engine::watch`].
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The runtime, for a door that serves beside the engine.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }

    /// Pulls everything of one account, now, on this thread.
    ///
    /// # Errors
    /// A wrong account, a policy that forbids it, or a mirror that cannot be used; `Busy` when [`Handle::stop`] ended
    /// it. Weather is in the report.
    pub fn sync(
        &mut self,
        account: &str,
        order: &SyncOrder,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<SyncReport, Error> {
        self.open_desk(account)?;
        let Engine { desks, runtime, inbox, handle, .. } = self;
        let desk = desks.get_mut(account).ok_or_else(|| unknown_account(account))?;
        let mut progress = |seen: Progress| {
            handle.notices().seen(Seen::Progress(account, &seen));
            progress(seen);
        };
        let work = desk.sync(order, watch::Urgency::Asked, &mut progress);
        let report = runtime.block_on(inbox.unless_stopped(work)).unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Busy, "the sync was stopped; the next one goes on from there"))
        })?;
        handle.notices().seen(Seen::Done(account, &report));
        Ok(report)
    }

    /// Keeps every synchronized account in step, and its presence, until [`Handle::stop`] is called; `seen` is told
    /// what happens. A forwarding that was switched is given back at the end, if the policy says so.
    ///
    /// # Errors
    /// Only when no account can be opened; a mirror that breaks later is rebuilt or reported in `status`.
    pub fn watch(&mut self, seen: &mut (dyn FnMut(Seen<'_>) + Send)) -> Result<WatchReport, Error> {
        let names: Vec<String> =
            self.office.config.current().accounts.iter().map(|account| account.name.clone()).collect();
        let are_many = names.len() > watch::MIRRORS_OPEN_MAX;
        let mut kept = Vec::new();
        let mut refused = None;
        for name in names {
            // Of many accounts each is opened when its turn comes.
            let found = if are_many { self.office.check(&name) } else { self.open_desk(&name) };
            match found {
                Ok(()) => kept.push(name),
                Err(error) => {
                    tracing::warn!(account = %name, error = %error, "this account is not kept in step");
                    refused = Some(error);
                }
            }
        }
        match refused {
            Some(error) if kept.is_empty() => return Err(error),
            Some(_) | None => {}
        }
        let Engine { desks, runtime, office, file, inbox, handle, .. } = self;
        let notices = handle.notices();
        let mut seen = |what: Seen<'_>| {
            notices.seen(what);
            seen(what);
        };
        Ok(runtime.block_on(watch::run(office, file.as_mut(), desks, kept, inbox, &mut seen)))
    }

    /// Signs an account in by device code; `prompt` shows the user where to go.
    ///
    /// # Errors
    /// `SignIn` when declined or expired, `Refused` for another mailbox than the mirror's, `Unreachable`.
    pub fn sign_in(
        &mut self,
        account: &str,
        other: OtherMailbox,
        prompt: &mut (dyn FnMut(&DevicePrompt) + Send),
    ) -> Result<(), Error> {
        self.open_desk(account)?;
        let Engine { desks, runtime, .. } = self;
        let desk = desks.get_mut(account).ok_or_else(|| unknown_account(account))?;
        runtime.block_on(desk.sign_in(other, prompt))
    }

    /// Signs an account in with a browser on this machine; `prompt` opens it. Returns when the browser came back.
    ///
    /// # Errors
    /// `SignIn` when declined, given up or an administrator must consent first, `Refused` for another mailbox than
    /// the mirror's, `Usage` when the registration is wrong, `Unreachable`.
    pub fn sign_in_with_browser(
        &mut self,
        account: &str,
        other: OtherMailbox,
        prompt: &mut (dyn FnMut(&BrowserPrompt) + Send),
    ) -> Result<(), Error> {
        self.open_desk(account)?;
        let Engine { desks, runtime, .. } = self;
        let desk = desks.get_mut(account).ok_or_else(|| unknown_account(account))?;
        runtime.block_on(desk.sign_in_with_browser(other, prompt))
    }

    /// Forgets the tokens of an account, and its mirror when asked.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn sign_out(&mut self, account: &str, what: SignOut) -> Result<(), Error> {
        self.office.config.current().account(account).ok_or_else(|| unknown_account(account))?;
        if let Some(desk) = self.desks.remove(account) {
            desk.close()?;
        }
        self.office.forget(account);
        desk::sign_out(&self.office.data_dir, account, what, &self.office.edges)
    }

    /// Evaluates an account's presence as if it were `now_ms`, and tries each due command once.
    ///
    /// # Errors
    /// A wrong account, or a mirror that cannot be used. What actuators say is in the answer.
    pub fn presence_tick(&mut self, account: &str, now_ms: i64) -> Result<PresenceTick, Error> {
        self.open_desk(account)?;
        let keeper = self.office.keeper(&self.office.effective(account)?)?;
        let ticked = self.runtime.block_on(keeper.tick(Due::Started, now_ms)).map_err(Error::from)?;
        Ok(ticked.map(PresenceTick::from).unwrap_or_default())
    }

    fn open_desk(&mut self, account: &str) -> Result<(), Error> {
        if !self.desks.contains_key(account) {
            self.desks.insert(account.to_owned(), self.office.open(account)?);
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.handle.notices().close();
        for (name, desk) in std::mem::take(&mut self.desks) {
            if let Err(error) = desk.close() {
                tracing::warn!(account = %name, error = %error, "the mirror was not closed in order; it will be checked");
            }
        }
        if let Some(workers) = self.workers.take() {
            workers.shutdown_timeout(GOING_MAX);
        }
    }
}

fn unknown_account(account: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("there is no account `{account}` in the configuration"))
}
