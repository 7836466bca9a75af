//! What is in effect for one account, and which level said so.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::config::{
    Account, CONFIRM_MAIL_AFTER_DEFAULT, Config, Credential, Exchange, GraphApp, Group, Method, OnShutdown,
    PresenceSettings, SIGN_IN_SCOPES, Scopes, Settings, SourceKind, WINDOW_FUTURE_DEFAULT,
    WINDOW_PAST_DEFAULT, WorkingHours, plain_scope, scope_purpose, span_text,
};
use crate::model::{Policy, Shelf};

/// The level that a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Nobody said so.
    Default,
    /// The top level of the file: `[presence]` or the application.
    TopLevel,
    /// The account's group.
    Group,
    /// The account itself.
    Account,
    /// The group's lock, above the account.
    Lock,
}

impl Origin {
    /// As `config show` prints it.
    pub const fn text(self) -> &'static str {
        match self {
            Origin::Default => "default",
            Origin::TopLevel => "top level",
            Origin::Group => "group",
            Origin::Account => "account",
            Origin::Lock => "group lock",
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// The level that said so.
    pub origin: Origin,
}

/// What is in effect for one account.
#[derive(Clone, PartialEq)]
pub struct Effective {
    /// The account's name, also its folder.
    pub name: String,
    /// The group that counts for it.
    pub group: Option<String>,
    /// The mailbox's address, when configured.
    pub user: Option<String>,
    /// Where the events come from.
    pub source: Sourced<SourceKind>,
    /// Where its calendars are, of source `icalendar`.
    pub shelf: Option<Shelf>,
    /// Who synchronizes.
    pub method: Sourced<Method>,
    /// Whether Microsoft 365 may be used.
    pub allow_office365: Sourced<bool>,
    /// The application to sign in with, by display name.
    pub graph_app: Option<Sourced<String>>,
    /// The Graph origin, without a version path. Empty when there is no application.
    pub graph_url: Sourced<String>,
    /// The sign-in origin. Empty when there is no application.
    pub authority_url: Sourced<String>,
    /// The tenant of the sign-in.
    pub tenant: String,
    /// The application's client id.
    pub client_id: String,
    /// Every scope to ask for, those of the sign-in first.
    pub scopes: Sourced<Vec<String>>,
    /// What the application proves itself with, where no user signs in; the password for an Exchange server.
    pub credential: Option<Credential>,
    /// The Exchange organization of its mailbox.
    pub exchange: Option<Exchange>,
    /// How much of the past is mirrored.
    pub window_past: Sourced<Duration>,
    /// How much of the future is mirrored.
    pub window_future: Sourced<Duration>,
    /// What happens when both sides changed the same field.
    pub conflicts: Sourced<Policy>,
    /// An edit older than this that would mail somebody waits for a confirmation.
    pub confirm_mail_after: Sourced<Duration>,
    /// The user's zone, an IANA name; none: the system's.
    pub time_zone: Sourced<Option<String>>,
    /// When the user works.
    pub working_hours: Sourced<WorkingHours>,
    /// The presence policy, laid over each other.
    pub presence: PresenceSettings,
    shown_presence: Vec<Shown>,
}

impl std::fmt::Debug for Effective {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Effective").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One line of `config show`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// The key with its tables.
    pub key: String,
    /// The value, as it would be written.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

impl Effective {
    /// Whether this engine synchronizes the account: else it serves what the mirror has.
    pub fn is_synchronized(&self) -> bool {
        self.method.value != Method::Off
            && (self.source.value != SourceKind::Microsoft365 || self.allow_office365.value)
    }

    /// Whether the mailbox is reached with what the configuration holds, an application's own permissions or a
    /// password for an Exchange server: nobody signs in for it.
    pub fn is_application(&self) -> bool {
        match self.source.value {
            SourceKind::Microsoft365 => self.method.value == Method::Server,
            SourceKind::Exchange => true,
            SourceKind::Icalendar | SourceKind::Feed => false,
        }
    }

    /// Whether its policy has anything to show or to do.
    pub fn has_presence(&self) -> bool {
        let presence = &self.presence;
        presence.profiles.as_ref().is_some_and(|profiles| !profiles.is_empty())
            || presence.actuators.as_ref().is_some_and(|actuators| !actuators.is_empty())
    }

    /// What each permission is for, those of the sign-in itself apart.
    pub fn scope_purposes(&self) -> BTreeMap<&str, &'static str> {
        let own = self.scopes.value.iter().filter(|scope| !SIGN_IN_SCOPES.contains(&scope.as_str()));
        own.map(|scope| {
            (plain_scope(scope), scope_purpose(scope).unwrap_or("as your administrator configured"))
        })
        .collect()
    }

    /// Every value in effect, for `config show`.
    pub fn shown(&self) -> Vec<Shown> {
        let show = |key: &str, value: Value, origin: Origin| Shown { key: key.to_owned(), value, origin };
        let mut lines = vec![
            show("name", json!(self.name), Origin::Account),
            show("user", json!(self.user), origin_of(self.user.is_some(), Origin::Account)),
            show("group", json!(self.group), origin_of(self.group.is_some(), Origin::Account)),
            show("source", json!(self.source.value), self.source.origin),
            show("method", json!(self.method.value), self.method.origin),
            show("allow_office365", json!(self.allow_office365.value), self.allow_office365.origin),
        ];
        lines.extend(self.shelf.iter().map(|shelf| match shelf {
            Shelf::Path(path) => show("path", json!(path), Origin::Account),
            // A published address is a secret: its host is enough to know it again.
            Shelf::Url(url) => {
                let origin: Vec<&str> = url.split('/').take(3).collect();
                show("url", json!(format!("{}/…", origin.join("/"))), Origin::Account)
            }
        }));
        if self.source.value == SourceKind::Microsoft365 && self.method.value != Method::Off {
            let way = if self.is_application() { "application" } else { "user" };
            lines.push(show("sign_in", json!(way), self.method.origin));
        }
        if let Some(exchange) = &self.exchange {
            let url = json!(exchange.ews_url);
            let login = json!(exchange.login.as_ref().or(self.user.as_ref()));
            lines.extend([
                show("exchange", json!(exchange.display_name), Origin::Account),
                show("exchange.ews_url", url, origin_of(exchange.ews_url.is_some(), Origin::TopLevel)),
                show("exchange.login", login, origin_of(exchange.login.is_some(), Origin::TopLevel)),
            ]);
            lines.extend(
                exchange
                    .password
                    .iter()
                    .flat_map(Credential::written)
                    .map(|(key, written)| show(&format!("exchange.{key}"), json!(written), Origin::TopLevel)),
            );
        }
        if let Some(app) = &self.graph_app {
            lines.extend([
                show("graph_app", json!(app.value), app.origin),
                show("graph_app.application_id", json!(self.client_id), Origin::TopLevel),
                show("graph_app.directory_id", json!(self.tenant), Origin::TopLevel),
                show("graph_app.graph_url", json!(self.graph_url.value), self.graph_url.origin),
                show("graph_app.authority_url", json!(self.authority_url.value), self.authority_url.origin),
                show("graph_app.scopes", json!(self.scopes.value), self.scopes.origin),
            ]);
            lines.extend(self.scope_purposes().into_iter().map(|(scope, purpose)| {
                show(&format!("graph_app.scopes.{scope}"), json!(purpose), self.scopes.origin)
            }));
            let credential = self.credential.as_ref().filter(|_| self.is_application());
            lines.extend(
                credential.into_iter().flat_map(Credential::written).map(|(key, written)| {
                    show(&format!("graph_app.{key}"), json!(written), Origin::TopLevel)
                }),
            );
        }
        lines.extend([
            show("window.past", json!(span_text(self.window_past.value)), self.window_past.origin),
            show("window.future", json!(span_text(self.window_future.value)), self.window_future.origin),
            show("conflicts", json!(self.conflicts.value.code()), self.conflicts.origin),
            show(
                "confirm_mail_after",
                json!(span_text(self.confirm_mail_after.value)),
                self.confirm_mail_after.origin,
            ),
        ]);
        lines.extend(self.shown_presence.iter().cloned());
        lines
    }
}

fn origin_of(is_written: bool, origin: Origin) -> Origin {
    if is_written { origin } else { Origin::Default }
}

/// The levels above the default, from far to near.
struct Levels<'c> {
    top: &'c PresenceSettings,
    group: Option<&'c Settings>,
    account: &'c Settings,
    lock: Option<&'c Settings>,
}

impl<'c> Levels<'c> {
    fn settings<T>(&self, read: impl Fn(&'c Settings) -> Option<T>, default: T) -> Sourced<T> {
        self.written(read).unwrap_or(Sourced { value: default, origin: Origin::Default })
    }

    fn written<T>(&self, read: impl Fn(&'c Settings) -> Option<T>) -> Option<Sourced<T>> {
        let levels =
            [(self.lock, Origin::Lock), (Some(self.account), Origin::Account), (self.group, Origin::Group)];
        levels
            .into_iter()
            .find_map(|(level, origin)| level.and_then(&read).map(|value| Sourced { value, origin }))
    }

    fn presence<T>(&self, read: impl Fn(&'c PresenceSettings) -> Option<T>) -> Option<Sourced<T>> {
        self.written(|settings| read(&settings.presence))
            .or_else(|| read(self.top).map(|value| Sourced { value, origin: Origin::TopLevel }))
    }
}

pub(super) fn resolve(config: &Config, name: &str) -> Option<Effective> {
    let account = config.account(name)?;
    let group = config.group_of(account);
    let levels = Levels {
        top: &config.presence,
        group: group.map(|group| &group.settings),
        account: &account.settings,
        lock: group.map(|group| &group.lock),
    };
    let app = resolve_app(config, account, &levels);
    let exchange = resolve_exchange(config, account);
    let method = levels.settings(|settings| settings.method, Method::Client);
    let is_application = method.value == Method::Server;
    let graph_url = origin_url(app, |app| app.graph_url.as_deref(), |app| app.cloud.graph_url());
    let (presence, shown_presence) = resolve_presence(&levels);
    Some(Effective {
        name: account.name.clone(),
        group: group.map(|group: &Group| group.name.clone()),
        user: account.user.clone(),
        source: Sourced { value: account.source, origin: Origin::Account },
        shelf: account.shelf.clone(),
        allow_office365: levels.settings(|settings| settings.allow_office365, true),
        authority_url: origin_url(app, |app| app.authority_url.as_deref(), |app| app.cloud.authority_url()),
        tenant: app.map(|app| app.directory_id.clone()).unwrap_or_default(),
        client_id: app.map(|app| app.application_id.clone()).unwrap_or_default(),
        scopes: match app {
            None => Sourced { value: Vec::new(), origin: Origin::Default },
            // Without a user there is nothing to choose: an administrator has consented to what there is.
            Some(_) if is_application => Sourced {
                value: vec![format!("{}/.default", graph_url.value.trim_end_matches('/'))],
                origin: method.origin,
            },
            Some(app) => Sourced {
                value: app.scopes.list(),
                origin: origin_of(app.scopes != Scopes::Minimal, Origin::TopLevel),
            },
        },
        credential: match exchange {
            Some(exchange) => exchange.password.clone(),
            None => app.and_then(|app| app.credential.clone()),
        },
        exchange: exchange.cloned(),
        method,
        graph_url,
        graph_app: app.map(|app| Sourced {
            value: app.display_name.clone(),
            origin: levels
                .written(|settings| settings.graph_app.clone())
                .map_or(Origin::TopLevel, |app| app.origin),
        }),
        window_past: levels.settings(|settings| settings.window_past, WINDOW_PAST_DEFAULT),
        window_future: levels.settings(|settings| settings.window_future, WINDOW_FUTURE_DEFAULT),
        conflicts: levels.settings(|settings| settings.conflicts, Policy::Theirs),
        confirm_mail_after: levels
            .settings(|settings| settings.confirm_mail_after, CONFIRM_MAIL_AFTER_DEFAULT),
        time_zone: levels
            .presence(|presence| presence.time_zone.clone().map(Some))
            .unwrap_or(Sourced { value: None, origin: Origin::Default }),
        working_hours: levels
            .presence(|presence| presence.working_hours.clone())
            .unwrap_or(Sourced { value: WorkingHours::default(), origin: Origin::Default }),
        presence,
        shown_presence,
    })
}

/// The named application, else the only one.
fn resolve_app<'c>(config: &'c Config, account: &Account, levels: &Levels<'_>) -> Option<&'c GraphApp> {
    if account.source != SourceKind::Microsoft365 {
        return None;
    }
    match levels.written(|settings| settings.graph_app.clone()) {
        Some(named) => config.graph_apps.iter().find(|app| app.display_name == named.value),
        None => match config.graph_apps.as_slice() {
            [only] => Some(only),
            _ => None,
        },
    }
}

/// The named organization, else the only one.
fn resolve_exchange<'c>(config: &'c Config, account: &Account) -> Option<&'c Exchange> {
    if account.source != SourceKind::Exchange {
        return None;
    }
    match (&account.exchange, config.exchanges.as_slice()) {
        (Some(named), all) => all.iter().find(|exchange| exchange.display_name == *named),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
}

fn origin_url(
    app: Option<&GraphApp>,
    written: impl Fn(&GraphApp) -> Option<&str>,
    cloud: impl Fn(&GraphApp) -> &'static str,
) -> Sourced<String> {
    match app {
        None => Sourced { value: String::new(), origin: Origin::Default },
        Some(app) => match written(app) {
            Some(url) => Sourced { value: url.to_owned(), origin: Origin::TopLevel },
            None => Sourced { value: cloud(app).to_owned(), origin: Origin::Default },
        },
    }
}

fn resolve_presence(levels: &Levels<'_>) -> (PresenceSettings, Vec<Shown>) {
    let mut shown = Vec::new();
    let presence = PresenceSettings {
        enabled: take(levels, &mut shown, "enabled", |p| p.enabled, Some(true)),
        time_zone: take(levels, &mut shown, "time_zone", |p| p.time_zone.clone(), None),
        working_hours: take(
            levels,
            &mut shown,
            "working_hours",
            |p| p.working_hours.clone(),
            Some(WorkingHours::default()),
        ),
        merge_gap: take_span(levels, &mut shown, "merge_gap", |p| p.merge_gap, 5 * 60),
        base_profile: take(levels, &mut shown, "base_profile", |p| p.base_profile.clone(), None),
        off_hours_profile: take(
            levels,
            &mut shown,
            "off_hours_profile",
            |p| p.off_hours_profile.clone(),
            None,
        ),
        trust: crate::config::TrustSetting {
            timed: take_span(levels, &mut shown, "trust.timed", |p| p.trust.timed, 72 * 3_600),
            all_day: take_span(levels, &mut shown, "trust.all_day", |p| p.trust.all_day, 14 * 86_400),
        },
        on_shutdown: take(levels, &mut shown, "on_shutdown", |p| p.on_shutdown, Some(OnShutdown::Release)),
        profiles: take(levels, &mut shown, "profile", |p| p.profiles.clone(), None),
        rules: take(levels, &mut shown, "rule", |p| p.rules.clone(), None),
        simple: take(levels, &mut shown, "simple", |p| p.simple.clone(), None),
        actuators: take(levels, &mut shown, "actuator", |p| p.actuators.clone(), None),
        admin_profile: take(levels, &mut shown, "admin_profile", |p| p.admin_profile.clone(), None),
        own_numbers: take(levels, &mut shown, "own_numbers", |p| p.own_numbers.clone(), None),
        loop_numbers: take(levels, &mut shown, "loop_numbers", |p| p.loop_numbers.clone(), None),
        forbidden_targets: take(
            levels,
            &mut shown,
            "forbidden_targets",
            |p| p.forbidden_targets.clone(),
            None,
        ),
    };
    (presence, shown)
}

/// Resolves one key and notes its line.
fn take<T: Serialize>(
    levels: &Levels<'_>,
    shown: &mut Vec<Shown>,
    key: &str,
    read: impl Fn(&PresenceSettings) -> Option<T>,
    default: Option<T>,
) -> Option<T> {
    let found = levels.presence(read);
    let origin = found.as_ref().map_or(Origin::Default, |found| found.origin);
    let value = found.map(|found| found.value).or(default);
    shown.push(Shown { key: format!("presence.{key}"), value: json!(value), origin });
    value
}

fn take_span(
    levels: &Levels<'_>,
    shown: &mut Vec<Shown>,
    key: &str,
    read: impl Fn(&PresenceSettings) -> Option<Duration>,
    default_seconds: u64,
) -> Option<Duration> {
    let found = levels.presence(read);
    let origin = found.as_ref().map_or(Origin::Default, |found| found.origin);
    let value = found.map_or(Duration::from_secs(default_seconds), |found| found.value);
    shown.push(Shown { key: format!("presence.{key}"), value: json!(span_text(value)), origin });
    Some(value)
}
