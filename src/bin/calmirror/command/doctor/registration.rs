//! What the sign-in server and the mailbox say, and where an administrator clicks.

use std::sync::Arc;

use calmirror::config::Effective;
use calmirror::engine::{Edges, NOT_LET_IN, application_site, sign_in_site};
use calmirror::flow::sign_in::{
    Application, ClientKind, Redirect, Registration, Session, SignInError, fixed_bearer,
};
use calmirror::model::Fault;
use calmirror::ports::{Bearer, Vault};
use calmirror::source::graph::{Graph, GraphSite};
use calmirror::system::EngineLock;
use calmirror::vault::FileVault;

use super::Checks;
use crate::setup::Setup;
use crate::text::{clean, plural};

/// Where the registration is.
const PORTAL: &str = "Entra admin center > App registrations > the application";
/// Where the redirect address is registered.
const PLATFORM: &str = "Authentication > Add a platform > Mobile and desktop applications, redirect URI `http://localhost` (and remove it under Web); then Advanced settings > Allow public client flows: Yes";
/// What a mailbox that programs cannot reach is called.
const NO_MAILBOX: [&str; 2] = ["MailboxNotEnabledForRESTAPI", "MailboxNotSupportedForRESTAPI"];

/// Asks the sign-in server about the application, without a token.
pub(super) async fn check_registration(account: &Effective, edges: &Edges, checks: &mut Checks) {
    let site = sign_in_site(account);
    let found = Registration::ask(&site, edges.http.clone(), edges.clock.clone()).await;
    judge(&found, account, &site.admin_consent_url(), checks);
}

fn judge(found: &Registration, account: &Effective, admin_consent_url: &str, checks: &mut Checks) {
    let known = match &found.discovery {
        Ok(discovery) => {
            let graph = url::Url::parse(&account.graph_url.value).ok();
            let ours = graph.as_ref().and_then(|url| url.host_str());
            match discovery.msgraph_host.as_deref().filter(|host| Some(*host) != ours) {
                Some(host) => checks.fail(
                    "authority",
                    format!("the directory lies in another cloud: its Graph is {}", clean(host)),
                    "set `cloud` in the configuration: us_gov for graph.microsoft.us, us_dod for dod-graph.microsoft.us, china for microsoftgraph.chinacloudapi.cn, else global",
                ),
                None => checks.ok("authority", "the sign-in server knows the directory"),
            }
            true
        }
        Err(SignInError::TenantUnknown) => {
            checks.fail(
                "authority",
                "the sign-in server does not know the directory",
                "check `directory_id` (Entra admin center > Overview > Tenant ID) and `cloud` in the configuration",
            );
            false
        }
        Err(error) => {
            checks.fail(
                "authority",
                format!("not reachable: {error}"),
                "check network, proxy (HTTPS_PROXY, NO_PROXY) and name resolution",
            );
            false
        }
    };
    // An application of its own proves itself with a credential: the rest is about users who sign in.
    if !known || account.is_application() {
        return;
    }
    let is_unknown = judge_application(found, admin_consent_url, checks);
    match &found.client {
        ClientKind::Public => checks.ok("client_type", "codes are redeemed without a secret"),
        ClientKind::Refused(SignInError::SecretDemanded { .. }) => checks.fail(
            "client_type",
            "the sign-in server asks for a secret: the application is registered as Web",
            format!("{PORTAL} > {PLATFORM}"),
        ),
        ClientKind::Refused(_) | ClientKind::Unsaid => {}
    }
    match found.redirect {
        Redirect::Registered => checks.ok("redirect", "the redirect address is registered"),
        Redirect::Refused if is_unknown => {}
        Redirect::Refused => checks.fail(
            "redirect",
            "the sign-in server refuses the redirect address `http://localhost`",
            format!("{PORTAL} > {PLATFORM}"),
        ),
        Redirect::Unsaid => {
            checks.ok("redirect", "cannot be told without a sign-in; the page of `calmirror login` does")
        }
    }
}

/// Answers whether the application is not known at all.
fn judge_application(found: &Registration, admin_consent_url: &str, checks: &mut Checks) -> bool {
    let refused = match (&found.application, &found.client) {
        (_, ClientKind::Refused(error @ SignInError::ApplicationUnknown { .. })) => Some(error),
        (Err(error), _) => Some(error),
        (Ok(()), _) => None,
    };
    match refused {
        None => checks.ok("application", "the directory knows it"),
        Some(SignInError::ApplicationUnknown { code }) => {
            checks.fail(
                "application",
                format!("the directory does not know it or does not allow it ({code})"),
                format!(
                    "compare `application_id` and `directory_id` with {PORTAL} > Overview. An application of another directory needs your administrator's consent first: {admin_consent_url}"
                ),
            );
            return true;
        }
        // Said below, with where to click.
        Some(SignInError::SecretDemanded { .. }) if matches!(found.client, ClientKind::Refused(_)) => {}
        Some(SignInError::SecretDemanded { .. }) => checks.warn(
            "application",
            "device codes are refused: public client flows are not allowed",
            format!("{PORTAL} > Authentication > Advanced settings > Allow public client flows: Yes"),
        ),
        Some(SignInError::ScopeUnknown { code, .. }) => checks.fail(
            "application",
            format!("one of the permissions asked for does not exist ({code})"),
            format!(
                "correct `scopes` in the configuration, or {PORTAL} > API permissions > Add a permission > Microsoft Graph > Delegated permissions"
            ),
        ),
        Some(SignInError::Fault(fault)) => {
            checks.warn("application", format!("could not be asked about: {fault}"), "try again later");
        }
        Some(error) => checks.fail("application", error.to_string(), format!("{PORTAL} > Authentication")),
    }
    false
}

/// Asks Graph for the user's calendars, with the tokens as they are, renewed when that is this process's to do.
pub(super) async fn check_mailbox(setup: &Setup, account: &Effective, edges: &Edges, checks: &mut Checks) {
    let vault = Arc::new(FileVault::new(&setup.data_dir, &account.name, edges.keyring.clone()));
    // What is wrong with the tokens themselves was said before.
    let Ok(Some(tokens)) = vault.load() else { return };
    if tokens.ended.is_some() {
        return;
    }
    // One renewal at a time, in all processes: the engine's lock is held meanwhile.
    let lock = EngineLock::take(&setup.data_dir);
    let (http, clock) = (edges.http.clone(), edges.clock.clone());
    let session = Arc::new(Session::new(sign_in_site(account), http, clock, vault as Arc<dyn Vault>));
    let bearer: Arc<dyn Bearer> = if lock.is_ok() {
        session.clone()
    } else if tokens.expires_at_ms > edges.clock.now_ms() {
        fixed_bearer(tokens.access)
    } else {
        checks.ok("mailbox", "not asked: the engine that runs renews the tokens");
        return;
    };
    let Ok(site) = GraphSite::new(&account.graph_url.value, None) else { return };
    let graph = Graph::new(site, edges.http.clone(), bearer, edges.clock.clone(), edges.entropy.clone());
    let calendars = graph.calendars().await.map(|all| all.len());
    match session.problem() {
        Some(problem) => checks.fail("mailbox", "the tokens cannot be renewed", problem.to_string()),
        None => judge_mailbox(calendars, &account.name, checks),
    }
}

/// The same for an account that an application reaches by itself.
pub(super) async fn check_mailbox_of_application(account: &Effective, edges: &Edges, checks: &mut Checks) {
    let (Some(site), Some(credential)) = (application_site(account), account.credential.clone()) else {
        return;
    };
    let Edges { http, clock, entropy, .. } = edges.clone();
    let application =
        Arc::new(Application::new(site, credential, http.clone(), clock.clone(), entropy.clone()));
    let Ok(site) = GraphSite::new(&account.graph_url.value, account.user.as_deref()) else { return };
    let graph = Graph::new(site, http, application.clone() as Arc<dyn Bearer>, clock, entropy);
    match graph.calendars().await.map(|all| all.len()) {
        Err(Fault::SignInNeeded) => {
            let problem = application.problem().map(|problem| problem.to_string());
            let todo = problem.unwrap_or_else(|| NOT_LET_IN.to_owned());
            checks.fail("mailbox", "the application is refused", todo);
        }
        Err(Fault::Refused { status: 403, code, .. }) => checks.fail(
            "mailbox",
            format!("access is denied ({})", clean(code.as_deref().unwrap_or("403"))),
            format!(
                "{PORTAL} > API permissions > Microsoft Graph > Application permissions: Calendars.ReadWrite, Grant admin consent; and let no access policy of Exchange leave this mailbox out"
            ),
        ),
        Err(Fault::Refused { status: 404, code, .. })
            if !code.as_deref().is_some_and(|code| NO_MAILBOX.contains(&code)) =>
        {
            let message = format!("there is no such user ({})", clean(code.as_deref().unwrap_or("404")));
            checks.fail("mailbox", message, "compare `user` with Entra admin center > Users > User principal name");
        }
        calendars => judge_mailbox(calendars, &account.name, checks),
    }
}

fn judge_mailbox(calendars: Result<usize, Fault>, name: &str, checks: &mut Checks) {
    let login = format!("calmirror login --account {name}");
    match calendars {
        Ok(count) => {
            let count = plural(u64::try_from(count).unwrap_or(u64::MAX), "calendar");
            checks.ok("mailbox", format!("it answers with {count}"));
        }
        Err(Fault::SignInNeeded) => checks.fail("mailbox", "the sign-in is over", login),
        Err(Fault::Refused { code: Some(code), .. }) if NO_MAILBOX.contains(&code.as_str()) => checks.fail(
            "mailbox",
            format!("the user has no mailbox in Exchange Online ({code})"),
            "Microsoft 365 admin center > Users > Active users > the user > Licenses and apps: assign a license with Exchange Online. A mailbox on a server of your own cannot be reached",
        ),
        Err(Fault::Refused { status: 403, code, .. }) => checks.fail(
            "mailbox",
            format!("access is denied ({})", clean(code.as_deref().unwrap_or("403"))),
            format!(
                "{PORTAL} > API permissions: Calendars.ReadWrite (delegated), Grant admin consent; then {login}"
            ),
        ),
        Err(fault) => checks.warn("mailbox", format!("could not be asked: {fault}"), "try again later"),
    }
}

/// What to do when permissions were not granted.
pub(super) fn consent_todo(name: &str, admin_consent_url: &str) -> String {
    format!(
        "calmirror login --account {name} asks again. If its page asks for an administrator: {PORTAL} > API permissions > Grant admin consent, or mail them {admin_consent_url}"
    )
}

#[cfg(test)]
#[path = "registration_tests.rs"]
mod tests;
