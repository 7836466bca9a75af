//! The grammar of the whole file, and what must hold between its parts.

use std::time::Duration;

use toml::de::DeTable;

use crate::config::calendars::{check_shelf, read_shelf};
use crate::config::credential::read_credential;
use crate::config::exchange::read_exchanges;
use crate::config::presence::{PRESENCE_KEYS, Reference, Slot, read_presence};
use crate::config::reader::{Problems, Section, line_of, nearest};
use crate::config::{
    ACCOUNTS_MAX, Account, CONFIG_BYTES_MAX, Cloud, Config, Exchange, GraphApp, Group, Method,
    PresenceSettings, Problem, Profile, Scopes, Settings, SourceKind, WINDOW_DAYS_MAX, WINDOW_FUTURE_DEFAULT,
    WINDOW_PAST_DEFAULT, check_origin, span_text,
};
use crate::model::Policy;

const TOP_KEYS: &[&str] = &["graph_app", "exchange", "group", "account", "presence"];
const GRAPH_APP_KEYS: &[&str] = &[
    "display_name",
    "application_id",
    "directory_id",
    "cloud",
    "graph_url",
    "authority_url",
    "scopes",
    "client_secret_env",
    "client_secret_file",
    "certificate_file",
    "private_key_file",
];
/// Sign-in names that stand for no tenant of their own.
const SHARED_TENANTS: [&str; 3] = ["common", "organizations", "consumers"];
const GROUP_KEYS: &[&str] = &[
    "name",
    "method",
    "allow_office365",
    "graph_app",
    "window",
    "conflicts",
    "confirm_mail_after",
    "presence",
    "lock",
];
const LOCK_KEYS: &[&str] =
    &["method", "allow_office365", "graph_app", "window", "conflicts", "confirm_mail_after", "presence"];
const ACCOUNT_KEYS: &[&str] = &[
    "name",
    "group",
    "user",
    "source",
    "exchange",
    "path",
    "url",
    "method",
    "allow_office365",
    "graph_app",
    "window",
    "conflicts",
    "confirm_mail_after",
    "presence",
];
pub(super) const WINDOW_KEYS: &[&str] = &["past", "future"];

/// The longest account name: it is a folder name.
const ACCOUNT_NAME_MAX: usize = 64;
/// Folder names that Windows refuses, whatever their extension.
const DEVICE_NAMES: &[&str] = &["con", "prn", "aux", "nul"];

/// A level of settings while it is checked.
struct Level<'a, 'i> {
    section: Section<'a, 'i>,
    settings: Settings,
    references: Vec<Reference>,
}

/// Reads a configuration; every problem, in the order of lines.
pub(super) fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    if text.len() > CONFIG_BYTES_MAX {
        let message = format!("the configuration is larger than {CONFIG_BYTES_MAX} bytes");
        return Err(vec![Problem { line: 1, key: String::new(), message }]);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            let message = format!("not valid TOML: {}", error.message().trim().replace('\n', ", "));
            return Err(vec![Problem { line, key: String::new(), message }]);
        }
    };
    let problems = Problems::new(text);
    let config = read(table.get_ref(), &problems);
    let problems = problems.into_sorted();
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

fn read<'i>(table: &DeTable<'i>, problems: &Problems<'i>) -> Config {
    let top = Section::open("", 0, table, TOP_KEYS, problems);
    let graph_apps = read_graph_apps(&top);
    let exchanges = read_exchanges(&top);
    let mut references = Vec::new();
    let presence =
        top.section("presence", PRESENCE_KEYS).map(|section| read_presence(&section, &mut references));
    let presence = (presence.unwrap_or_default(), references);

    let mut groups: Vec<(Group, Level<'_, '_>, Option<Level<'_, '_>>)> = Vec::new();
    for section in top.sections("group", GROUP_KEYS).unwrap_or_default() {
        let name = section.required_text("name", "berlin").map(|text| text.value);
        let lock = section.section("lock", LOCK_KEYS).map(|section| read_level(section, &graph_apps));
        let level = read_level(section, &graph_apps);
        let Some(name) = name else { continue };
        if groups.iter().any(|(group, _, _)| group.name == name) {
            level.section.note("name", format!("there is already a group \"{name}\""));
            continue;
        }
        let lock_settings = lock.as_ref().map(|lock| lock.settings.clone()).unwrap_or_default();
        groups.push((Group { name, settings: level.settings.clone(), lock: lock_settings }, level, lock));
    }

    let mut accounts: Vec<(Account, Level<'_, '_>)> = Vec::new();
    for section in top.sections("account", ACCOUNT_KEYS).unwrap_or_default() {
        let account = read_account(&section, &groups, &accounts);
        let level = read_level(section, &graph_apps);
        if let Some(mut account) = account {
            account.settings = level.settings.clone();
            accounts.push((account, level));
        }
    }
    if accounts.len() > ACCOUNTS_MAX {
        top.note("account", format!("has more than {ACCOUNTS_MAX} entries"));
    }

    for (account, level) in &accounts {
        let group = match &account.group {
            Some(name) => groups.iter().find(|(group, _, _)| &group.name == name),
            None => match groups.as_slice() {
                [only] => Some(only),
                _ => None,
            },
        };
        check_account(account, level, group, &graph_apps);
        check_shelf(account, &level.section);
        check_exchange(account, level, &exchanges);
        let group_level = group.map(|(_, level, _)| level);
        let lock_level = group.and_then(|(_, _, lock)| lock.as_ref());
        check_profiles(&presence, [group_level, Some(level), lock_level], problems);
    }
    for (group, level, lock) in &groups {
        let is_used =
            accounts.iter().any(|(account, _)| account.group.as_ref().is_none_or(|name| name == &group.name));
        if !is_used {
            check_profiles(&presence, [Some(level), None, lock.as_ref()], problems);
        }
    }
    if groups.is_empty() && accounts.is_empty() {
        check_profiles(&presence, [None, None, None], problems);
    }

    Config {
        graph_apps,
        exchanges,
        groups: groups.into_iter().map(|(group, _, _)| group).collect(),
        accounts: accounts.into_iter().map(|(account, _)| account).collect(),
        presence: presence.0,
    }
}

fn read_graph_apps(top: &Section<'_, '_>) -> Vec<GraphApp> {
    let mut apps: Vec<GraphApp> = Vec::new();
    for section in top.sections("graph_app", GRAPH_APP_KEYS).unwrap_or_default() {
        let display_name = section.required_text("display_name", "Calendar_Sync").map(|text| text.value);
        let application_id = section.required_text("application_id", "00000000-0000-0000-0000-000000000000");
        let directory_id = section.required_text("directory_id", "contoso.onmicrosoft.com");
        for (key, text) in [("application_id", &application_id), ("directory_id", &directory_id)] {
            if let Some(text) = text
                && !text.value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
            {
                section.note(key, "must consist of letters, digits, \"-\", \".\" and \"_\"");
            }
        }
        let cloud = section.choice("cloud", Cloud::CODES, Cloud::from_code).unwrap_or(Cloud::Global);
        let graph_url = read_origin(&section, "graph_url");
        let authority_url = read_origin(&section, "authority_url");
        let scopes = read_scopes(&section);
        let credential = read_credential(&section);
        let (Some(display_name), Some(application_id), Some(directory_id)) =
            (display_name, application_id, directory_id)
        else {
            continue;
        };
        if apps.iter().any(|app| app.display_name == display_name) {
            section.note("display_name", format!("there is already an application \"{display_name}\""));
            continue;
        }
        apps.push(GraphApp {
            display_name,
            application_id: application_id.value,
            directory_id: directory_id.value,
            cloud,
            graph_url,
            authority_url,
            scopes,
            credential,
        });
    }
    apps
}

fn read_origin(section: &Section<'_, '_>, name: &str) -> Option<String> {
    match check_origin(&section.text(name)?.value) {
        Ok(origin) => Some(origin),
        Err(error) => {
            section.note(name, error.to_string());
            None
        }
    }
}

fn read_scopes(section: &Section<'_, '_>) -> Scopes {
    let texts = match section.texts("scopes") {
        None => return Scopes::Minimal,
        Some(texts) => texts,
    };
    match texts.as_slice() {
        [one] if one.value == "minimal" => return Scopes::Minimal,
        [one] if one.value == "full" => return Scopes::Full,
        _ => {}
    }
    let is_scope = |text: &str| {
        text.contains(['.', '_', '/']) && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\,".contains(&b))
    };
    let names = ["openid", "profile", "email"];
    if let Some(odd) =
        texts.iter().find(|text| !is_scope(&text.value) && !names.contains(&text.value.as_str()))
    {
        let hint = nearest(&odd.value, &["minimal", "full"])
            .map(|near| format!("; did you mean \"{near}\"?"))
            .unwrap_or_default();
        section.note(
            "scopes",
            format!("must be \"minimal\", \"full\" or a list such as [\"User.Read\", \"Calendars.ReadWrite\"]{hint}"),
        );
    }
    Scopes::Listed(texts.into_iter().map(|text| text.value).collect())
}

fn read_level<'a, 'i>(section: Section<'a, 'i>, apps: &[GraphApp]) -> Level<'a, 'i> {
    let mut references = Vec::new();
    let window = section.section("window", WINDOW_KEYS);
    let graph_app = section.text("graph_app").map(|text| text.value);
    if let Some(name) = &graph_app
        && !apps.iter().any(|app| &app.display_name == name)
    {
        let known: Vec<&str> = apps.iter().map(|app| app.display_name.as_str()).collect();
        section.note("graph_app", no_such("[[graph_app]] with the display_name", name, &known));
    }
    let settings = Settings {
        method: section.choice("method", Method::CODES, Method::from_code),
        allow_office365: section.flag("allow_office365"),
        graph_app,
        window_past: window.as_ref().and_then(|window| window.span("past")),
        window_future: window.as_ref().and_then(|window| window.span("future")),
        conflicts: section.choice("conflicts", Policy::CODES, Policy::from_code),
        confirm_mail_after: section.span("confirm_mail_after"),
        presence: section
            .section("presence", PRESENCE_KEYS)
            .map(|section| read_presence(&section, &mut references))
            .unwrap_or_default(),
    };
    Level { section, settings, references }
}

fn read_account(
    section: &Section<'_, '_>,
    groups: &[(Group, Level<'_, '_>, Option<Level<'_, '_>>)],
    others: &[(Account, Level<'_, '_>)],
) -> Option<Account> {
    let name = section.required_text("name", "anna").map(|text| text.value);
    if let Some(name) = &name {
        if let Err(message) = check_account_name(name) {
            section.note("name", message);
        } else if others.iter().any(|(other, _)| other.name.eq_ignore_ascii_case(name)) {
            section.note("name", format!("there is already an account \"{name}\" (capitals do not count)"));
        }
    }
    let group = section.text("group").map(|text| text.value);
    if let Some(group) = &group
        && !groups.iter().any(|(known, _, _)| &known.name == group)
    {
        let known: Vec<&str> = groups.iter().map(|(group, _, _)| group.name.as_str()).collect();
        section.note("group", no_such("[[group]] named", group, &known));
    }
    if group.is_none() && groups.len() > 1 && !section.has("group") {
        section.note("group", "is missing: there are several groups, so name one");
    }
    let user = section.text("user").map(|text| text.value);
    if let Some(user) = &user
        && (!user.contains('@') || user.contains(char::is_whitespace))
    {
        section.note("user", "must be a mailbox address such as \"anna@contoso.com\"");
    }
    let source = section
        .choice("source", SourceKind::CODES, SourceKind::from_code)
        .unwrap_or(SourceKind::Microsoft365);
    let shelf = read_shelf(section, source);
    let exchange = section.text("exchange").map(|text| text.value);
    Some(Account { name: name?, group, user, source, shelf, exchange, settings: Settings::default() })
}

/// An account's name is a folder on every platform.
fn check_account_name(name: &str) -> Result<(), &'static str> {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_numbered_device = stem.len() == 4
        && (stem.starts_with("com") || stem.starts_with("lpt"))
        && stem.ends_with(|c: char| c.is_ascii_digit());
    if name.len() > ACCOUNT_NAME_MAX
        || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        || name.starts_with(['.', '-'])
        || name.ends_with('.')
    {
        Err(
            "must be 1 to 64 letters, digits, \"-\", \"_\" and \".\", and begin with a letter, a digit or \"_\": it is also a folder name",
        )
    } else if DEVICE_NAMES.contains(&stem.as_str()) || is_numbered_device {
        Err("is a device name on Windows; choose another: it is also a folder name")
    } else if ["engine.json", "engine.lock"].contains(&name.to_ascii_lowercase().as_str()) {
        Err("is the name of a file of the data directory; choose another")
    } else {
        Ok(())
    }
}

fn check_account(
    account: &Account,
    level: &Level<'_, '_>,
    group: Option<&(Group, Level<'_, '_>, Option<Level<'_, '_>>)>,
    apps: &[GraphApp],
) {
    let empty = Settings::default();
    let own = &account.settings;
    let lock = group.map_or(&empty, |(group, _, _)| &group.lock);
    let inherited = group.map_or(&empty, |(group, _, _)| &group.settings);
    if let Some((group, _, Some(lock_level))) = group {
        check_lock(&group.name, level, lock_level);
    }

    let past = lock.window_past.or(own.window_past).or(inherited.window_past).unwrap_or(WINDOW_PAST_DEFAULT);
    let future =
        lock.window_future.or(own.window_future).or(inherited.window_future).unwrap_or(WINDOW_FUTURE_DEFAULT);
    if past.saturating_add(future) > Duration::from_secs(WINDOW_DAYS_MAX * 86_400) {
        let speaker = if own.window_past.is_some() || own.window_future.is_some() {
            level
        } else {
            group.map_or(level, |(_, level, lock)| lock.as_ref().unwrap_or(level))
        };
        let message = format!(
            "past ({}) and future ({}) are together longer than {WINDOW_DAYS_MAX}d, which Microsoft Graph refuses",
            span_text(past),
            span_text(future)
        );
        speaker.section.note("window", message);
    }

    let app = lock.graph_app.as_ref().or(own.graph_app.as_ref()).or(inherited.graph_app.as_ref());
    if account.source == SourceKind::Microsoft365 && app.is_none() && apps.len() != 1 {
        let message = if apps.is_empty() {
            "source microsoft365 needs an application: add a [[graph_app]]"
        } else {
            "is missing: there are several [[graph_app]], so name one here or in the group"
        };
        level.section.note("graph_app", message);
    }
    let method = lock.method.or(own.method).or(inherited.method).unwrap_or(Method::Client);
    if method == Method::Server && account.source == SourceKind::Microsoft365 {
        let app = match (app, apps) {
            (Some(named), _) => apps.iter().find(|known| &known.display_name == named),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        check_server(account, level, app);
    }
}

/// What an account needs whose mailbox is on an Exchange server.
fn check_exchange(account: &Account, level: &Level<'_, '_>, exchanges: &[Exchange]) {
    let section = &level.section;
    if account.source != SourceKind::Exchange {
        if account.exchange.is_some() {
            section.note("exchange", "means something with source = \"exchange\" only");
        }
        return;
    }
    let known: Vec<&str> = exchanges.iter().map(|exchange| exchange.display_name.as_str()).collect();
    match &account.exchange {
        Some(name) if !known.contains(&name.as_str()) => {
            section.note("exchange", no_such("[[exchange]] with the display_name", name, &known));
        }
        None if known.is_empty() => {
            section.note("source", "\"exchange\" needs a server: add an [[exchange]]");
        }
        None if known.len() > 1 => {
            section.note("exchange", "is missing: there are several [[exchange]], so name one");
        }
        Some(_) | None => {}
    }
    if account.user.is_none() && !section.has("user") {
        section.note("user", "is missing: say which mailbox it is, such as user = \"anna@contoso.com\"");
    }
}

/// What an account needs that is reached with an application's own permissions.
fn check_server(account: &Account, level: &Level<'_, '_>, app: Option<&GraphApp>) {
    if account.user.is_none() && !level.section.has("user") {
        level.section.note(
            "user",
            "is missing: with method \"server\" nobody signs in, so say which mailbox it is, such as user = \"anna@contoso.com\"",
        );
    }
    let Some(app) = app else { return };
    let name = &app.display_name;
    if app.credential.is_none() {
        level.section.note(
            "method",
            format!("\"server\" needs an application that can prove itself: give the [[graph_app]] \"{name}\" a `client_secret_file`, a `client_secret_env`, or a `certificate_file` and a `private_key_file`; or use method \"client\""),
        );
    }
    if SHARED_TENANTS.iter().any(|shared| shared.eq_ignore_ascii_case(&app.directory_id)) {
        level.section.note(
            "method",
            format!("\"server\" needs a tenant: the [[graph_app]] \"{name}\" has directory_id \"{}\"; write the domain or id of one, such as \"contoso.onmicrosoft.com\"", app.directory_id),
        );
    }
}

/// An account must not write what its group locks.
fn check_lock(group: &str, account: &Level<'_, '_>, lock: &Level<'_, '_>) {
    let locked = |key: &str| format!("is locked by group \"{group}\"; remove it here ({key})");
    for key in ["method", "allow_office365", "graph_app", "conflicts", "confirm_mail_after"] {
        if lock.section.has(key) && account.section.has(key) {
            account.section.note(key, locked(key));
        }
    }
    for (table, known) in [("window", WINDOW_KEYS), ("presence", PRESENCE_KEYS)] {
        let (Some(theirs), Some(own)) =
            (lock.section.section_again(table, known), account.section.section_again(table, known))
        else {
            continue;
        };
        for key in known {
            if theirs.has(key) && own.has(key) {
                own.note(key, locked(key));
            }
        }
    }
}

/// Every profile in effect must be configured. `levels` from far to near; the top level comes before them.
fn check_profiles(
    top: &(PresenceSettings, Vec<Reference>),
    levels: [Option<&Level<'_, '_>>; 3],
    problems: &Problems<'_>,
) {
    let mut chain: Vec<(&PresenceSettings, &[Reference])> = vec![(&top.0, top.1.as_slice())];
    chain.extend(
        levels.into_iter().flatten().map(|level| (&level.settings.presence, level.references.as_slice())),
    );
    let profiles: &[Profile] =
        chain.iter().rev().find_map(|(settings, _)| settings.profiles.as_deref()).unwrap_or_default();
    for slot in Slot::ALL {
        let Some((_, references)) = chain.iter().rev().find(|(settings, _)| slot.is_written(settings)) else {
            continue;
        };
        for reference in references.iter().filter(|reference| reference.slot == slot) {
            if !profiles.iter().any(|profile| profile.name == reference.profile) {
                let known: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
                let message = no_such("[[presence.profile]] named", &reference.profile, &known);
                problems.note(reference.at, reference.key.clone(), message);
            }
        }
    }
}

fn no_such(what: &str, name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(near) => format!("there is no {what} \"{name}\"; did you mean \"{near}\"?"),
        None if known.is_empty() => format!("there is no {what} \"{name}\"; there is none at all"),
        None => format!("there is no {what} \"{name}\"; there are: {}", known.join(", ")),
    }
}
