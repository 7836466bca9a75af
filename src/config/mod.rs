//! What a configuration file says, and what it means for one account.
//!
//! Two steps, both pure. [`Config::parse`] reads TOML and answers either a checked value or *every* problem it
//! found, each with its line, its key and what would be allowed: an administrator corrects a file once, not
//! once a mistake. [`Config::resolve`] lays default, top level, group, account and the group's lock over each
//! other and keeps where every value came from.
//!
//! The TOML is walked with its spans instead of being derived: a derived reader stops at the first mistake,
//! and cannot name the nearest known key. Files, environment and paths are the caller's.

mod calendars;
mod choice;
mod cloud;
mod credential;
mod effective;
mod exchange;
mod grammar;
mod live;
mod presence;
mod reader;
mod scopes;

#[cfg(test)]
mod config_tests;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::model::{Policy, Shelf};

pub use choice::{Cloud, Method};
pub use cloud::{OriginError, check_origin};
pub use credential::Credential;
pub use effective::{Effective, Origin, Shown, Sourced};
pub use exchange::Exchange;
pub use live::{ConfigFile, LiveConfig};
pub use scopes::{
    FULL_SCOPES, MINIMAL_SCOPES, SIGN_IN_SCOPES, Scopes, granted_scopes, missing_scopes, plain_scope,
    scope_purpose,
};

pub use crate::model::{SourceKind, SpanError, parse_span, span_text};
pub use crate::presence::{
    Actuator, ActuatorKind, Availability, Channel, Condition, EventType, Forwarding, Hours, OnShutdown,
    PresenceSettings, Profile, Role, Rule, RuleOutcome, Simple, StatusText, TimeOfDay, TrustSetting, Weekday,
    When, WorkingHours,
};

/// The most bytes a configuration may have.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;
/// The most accounts a configuration may have.
pub const ACCOUNTS_MAX: usize = 1_000;
/// The longest a mirrored window may be: Graph refuses calendar views of more than 1825 days, and a window is
/// aligned outwards to whole days.
pub const WINDOW_DAYS_MAX: u64 = 1823;
/// How much of the past is mirrored unless configured.
pub const WINDOW_PAST_DEFAULT: Duration = Duration::from_secs(30 * 86_400);
/// How much of the future is mirrored unless configured.
pub const WINDOW_FUTURE_DEFAULT: Duration = Duration::from_secs(365 * 86_400);

/// After what time an edit that would mail somebody waits for a confirmation unless configured.
pub const CONFIRM_MAIL_AFTER_DEFAULT: Duration = Duration::from_secs(72 * 3_600);

/// One mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The key with its tables, as `group.window.past`; empty when the text is no TOML.
    pub key: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "line {}: {}", self.line, self.message)
        } else {
            write!(f, "line {}: `{}`: {}", self.line, self.key, self.message)
        }
    }
}

/// A checked configuration. References inside it (groups, applications, profiles) exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The registered applications.
    pub graph_apps: Vec<GraphApp>,
    /// The Exchange organizations.
    pub exchanges: Vec<Exchange>,
    /// Location or configuration groups.
    pub groups: Vec<Group>,
    /// The mailboxes.
    pub accounts: Vec<Account>,
    /// The presence policy of everybody; groups and accounts override it key by key.
    pub presence: PresenceSettings,
}

/// One registered application ("Graph-API > Calendar synchronization").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphApp {
    /// Its name here.
    pub display_name: String,
    /// Its client id.
    pub application_id: String,
    /// Its tenant: a domain, a GUID, or `organizations` and the like.
    pub directory_id: String,
    /// The national cloud it is registered in.
    pub cloud: Cloud,
    /// Overrides the cloud's Graph address: an origin.
    pub graph_url: Option<String>,
    /// Overrides the cloud's sign-in address: an origin.
    pub authority_url: Option<String>,
    /// What it asks consent for.
    pub scopes: Scopes,
    /// What it proves itself with where no user signs in (`method = "server"`).
    pub credential: Option<Credential>,
}

/// A location or configuration group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What it sets for its accounts.
    pub settings: Settings,
    /// What its accounts may not override; speaks above them.
    pub lock: Settings,
}

/// What a group, a lock or an account may set; absent keys are inherited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Who synchronizes.
    pub method: Option<Method>,
    /// Whether Microsoft 365 may be used.
    pub allow_office365: Option<bool>,
    /// The application to sign in with, by display name.
    pub graph_app: Option<String>,
    /// How much of the past is mirrored.
    pub window_past: Option<Duration>,
    /// How much of the future is mirrored.
    pub window_future: Option<Duration>,
    /// What happens when both sides changed the same field.
    pub conflicts: Option<Policy>,
    /// An edit older than this that would mail somebody waits for a confirmation.
    pub confirm_mail_after: Option<Duration>,
    /// The presence policy.
    pub presence: PresenceSettings,
}

/// One mailbox.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name: also its folder in the data directory.
    pub name: String,
    /// Its group. Without one the only group counts, if there is exactly one.
    pub group: Option<String>,
    /// The mailbox's address. Without one the first sign-in decides.
    pub user: Option<String>,
    /// Where the events come from.
    pub source: SourceKind,
    /// Where its calendars are, of source `icalendar`.
    pub shelf: Option<Shelf>,
    /// Its Exchange organization, by display name. Without one the only one counts.
    pub exchange: Option<String>,
    /// What it sets for itself.
    pub settings: Settings,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Every problem found, in the order of lines.
    pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
        grammar::parse(text)
    }

    /// Reads relative paths as relative to `folder`: that of the file the text came from.
    pub fn rebase(&mut self, folder: &Path) {
        for app in &mut self.graph_apps {
            if let Some(credential) = &mut app.credential {
                credential.rebase(folder);
            }
        }
        for account in &mut self.accounts {
            if let Some(Shelf::Path(path)) = &mut account.shelf {
                *path = folder.join(&*path);
            }
        }
        for password in self.exchanges.iter_mut().filter_map(|exchange| exchange.password.as_mut()) {
            password.rebase(folder);
        }
        let groups = self.groups.iter_mut().flat_map(|group| [&mut group.settings, &mut group.lock]);
        let accounts = self.accounts.iter_mut().map(|account| &mut account.settings);
        let levels = groups.chain(accounts).map(|settings| &mut settings.presence);
        let levels = std::iter::once(&mut self.presence).chain(levels);
        for actuator in levels.filter_map(|level| level.actuators.as_mut()).flatten() {
            actuator.rebase(folder);
        }
    }

    /// What is in effect for the account named `account`; `None` when there is none of this name.
    pub fn resolve(&self, account: &str) -> Option<Effective> {
        effective::resolve(self, account)
    }

    /// The account of this name.
    pub fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// The group of `account`: the named one, else the only one.
    pub fn group_of(&self, account: &Account) -> Option<&Group> {
        match &account.group {
            Some(name) => self.groups.iter().find(|group| &group.name == name),
            None => match self.groups.as_slice() {
                [only] => Some(only),
                _ => None,
            },
        }
    }
}
