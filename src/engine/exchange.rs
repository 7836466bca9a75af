use std::sync::{Arc, Mutex, PoisonError};

use crate::api::{Error, ErrorKind};
use crate::config::{Effective, Exchange, Method};
use crate::engine::Edges;
use crate::flow::sign_in::secret_of;
use crate::model::Fault;
use crate::source::ews::{DiscoverError, Ews, EwsSite, Login, discover, endpoints};
use crate::source::graph::Limits;

/// The mailbox of one account on an Exchange server. The password is read, and the server looked for, when it is first
/// asked, and again after a refusal.
pub(super) struct OnPremises {
    exchange: Exchange,
    /// The mailbox's address.
    user: String,
    /// A service account opens it.
    is_impersonated: bool,
    limits: Arc<Limits>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    client: Option<Ews>,
    /// Why nobody is let in, and who must do what.
    problem: Option<String>,
}

impl OnPremises {
    /// The mailbox of an account whose source is Exchange.
    ///
    /// # Errors
    /// `Usage` when its address leads nowhere that this protocol is spoken, Exchange Online above all.
    pub(super) fn new(effective: &Effective, limits: Arc<Limits>) -> Result<OnPremises, Error> {
        let missing =
            |what: &str| Error::new(ErrorKind::Usage, format!("account `{}`: {what}", effective.name));
        let exchange = effective.exchange.clone().ok_or_else(|| missing("no `exchange` is chosen for it"))?;
        let user = effective.user.clone().ok_or_else(|| missing("`user` is missing"))?;
        let is_impersonated = effective.method.value == Method::Server;
        if let Some(url) = &exchange.ews_url {
            EwsSite::new(url, Some(&user)).map_err(|error| {
                let message = format!("account `{}`: `ews_url`: {error}", effective.name);
                Error::because(ErrorKind::Usage, message, error)
            })?;
        }
        Ok(OnPremises { exchange, user, is_impersonated, limits, state: Mutex::default() })
    }

    /// The address of the mailbox.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// What reaches the mailbox.
    ///
    /// # Errors
    /// `SignInNeeded` without a usable password or server address, told by [`OnPremises::problem`]; any fault of a
    /// look for the server.
    pub(super) async fn client(&self, edges: &Edges) -> Result<Ews, Fault> {
        if let Some(client) = &self.state().client {
            return Ok(client.clone());
        }
        let password = match self.exchange.password.as_ref().map(secret_of).transpose() {
            Ok(password) => password.flatten(),
            Err(error) => return Err(self.refused(error.to_string())),
        };
        let Some(password) = password else {
            return Err(self.refused("the configuration names no password".to_owned()));
        };
        let user = self.exchange.login.clone().unwrap_or_else(|| self.user.clone());
        let login = Login::Basic { user, password };
        let url = match &self.exchange.ews_url {
            Some(url) => url.clone(),
            None => self.discovered(edges, &login).await?,
        };
        let impersonated = self.is_impersonated.then_some(self.user.as_str());
        let site = EwsSite::new(&url, impersonated).map_err(|error| self.refused(error.to_string()))?;
        let (http, clock) = (edges.http.clone(), edges.clock.clone());
        let client = Ews::with_limits(site, http, login, clock, self.limits.clone());
        let mut state = self.state();
        state.client = Some(client.clone());
        state.problem = None;
        Ok(client)
    }

    async fn discovered(&self, edges: &Edges, login: &Login) -> Result<String, Fault> {
        let found = match endpoints(&self.user) {
            Ok(endpoints) => discover(&*edges.http, &endpoints, &self.user, login).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(url) => Ok(url),
            Err(DiscoverError::Unknown(Fault::SignInNeeded)) => Err(self.not_let_in()),
            Err(DiscoverError::Unknown(fault @ Fault::Unreachable(_))) => Err(fault),
            Err(error @ (DiscoverError::Unknown(_) | DiscoverError::Address | DiscoverError::Site(_))) => {
                Err(self.refused(error.to_string()))
            }
        }
    }

    /// The server refused name and password: both are read again the next time.
    pub(super) fn not_let_in(&self) -> Fault {
        let name = &self.exchange.display_name;
        self.refused(format!(
            "the Exchange server \"{name}\" refuses the name or the password of its [[exchange]]; correct them, and have an administrator check that Basic authentication is on for EWS{}",
            if self.is_impersonated { " and that the account may impersonate" } else { "" }
        ))
    }

    /// Why nobody is let in.
    pub(super) fn problem(&self) -> Option<String> {
        self.state().problem.clone()
    }

    /// The end of the pause that the server asked for.
    pub(super) fn throttled_until_ms(&self) -> Option<i64> {
        self.state().client.as_ref().and_then(Ews::throttled_until_ms)
    }

    fn refused(&self, problem: String) -> Fault {
        *self.state() = State { client: None, problem: Some(problem) };
        Fault::SignInNeeded
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
