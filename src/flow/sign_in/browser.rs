//! Authorization code with PKCE in the user's own browser, which comes back to a port of this machine.

use std::sync::Arc;
use std::time::Duration;

use oauth2::{AuthorizationCode, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl};

use super::claims::claims;
use super::landing::{Arrival, Landing};
use super::wire::Wire;
use super::{Client, Granted, SignInError, SignInSite};
use crate::model::Secret;
use crate::ports::{Clock, Http, Tokens};

/// A user has this long to sign in.
pub const SIGN_IN_TIME_MAX: Duration = Duration::from_secs(600);

/// What helps the sign-in page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BrowserHints<'a> {
    /// The configured mailbox.
    pub user: Option<&'a str>,
    /// The claims that a server demanded since the last sign-in.
    pub challenge: Option<&'a str>,
}

/// A sign-in that waits for a browser. Its port answers until this is dropped, so that a second tab gets a
/// polite page while the first one's code is redeemed.
pub struct BrowserSignIn {
    site: SignInSite,
    client: Client,
    wire: Wire,
    clock: Arc<dyn Clock>,
    landing: Landing,
    redirect: RedirectUrl,
    verifier: Option<PkceCodeVerifier>,
    nonce: Secret,
    url: String,
}

impl std::fmt::Debug for BrowserSignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BrowserSignIn(…)")
    }
}

impl BrowserSignIn {
    /// Opens the port. State, nonce and verifier are drawn from the operating system, not from the port for jitter.
    ///
    /// # Errors
    /// When no port can be had or the configured address is none.
    pub async fn start(
        site: &SignInSite,
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        hints: BrowserHints<'_>,
    ) -> Result<BrowserSignIn, SignInError> {
        let client = site.client()?;
        let state = CsrfToken::new_random_len(32);
        let landing = Landing::open(state.secret(), clock.clone())
            .await
            .map_err(|error| SignInError::NoPort(error.kind()))?;
        let redirect = RedirectUrl::new(format!("http://localhost:{}", landing.port()))
            .map_err(|_| SignInError::AddressWrong)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = Secret::new(CsrfToken::new_random_len(32).into_secret());
        let request = client
            .authorize_url(|| state)
            .add_scopes(site.scopes())
            .set_pkce_challenge(challenge)
            .set_redirect_uri(std::borrow::Cow::Borrowed(&redirect))
            .add_extra_param("response_mode", "query")
            .add_extra_param("nonce", nonce.expose().to_owned())
            .add_extra_param("prompt", "select_account")
            .add_extra_param("claims", claims(hints.challenge));
        let request = match hints.user {
            Some(user) => request.add_extra_param("login_hint", user.to_owned()),
            None => request,
        };
        let url = request.url().0.to_string();
        let (site, wire, verifier) = (site.clone(), Wire::new(http), Some(verifier));
        Ok(BrowserSignIn { site, client, wire, clock, landing, redirect, verifier, nonce, url })
    }

    /// Where the browser goes.
    pub fn authorize_url(&self) -> &str {
        &self.url
    }

    /// Waits until the browser comes back, and redeems its code. Once: a second call is told that the code was
    /// used.
    ///
    /// # Errors
    /// As the user or the server decided.
    pub async fn finish(&mut self) -> Result<Tokens, SignInError> {
        let verifier = self.verifier.take().ok_or(SignInError::UserRefused)?;
        let arrival = tokio::select! {
            biased;
            arrival = self.landing.arrival() => arrival,
            () = self.clock.sleep(SIGN_IN_TIME_MAX) => return Err(SignInError::TimedOut),
        };
        let code = match arrival {
            Arrival::Code(code) => code,
            Arrival::Refused(refusal) => return Err(refusal.sort(&self.site)),
        };
        let token: Granted = self
            .client
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .set_pkce_verifier(verifier)
            .set_redirect_uri(std::borrow::Cow::Borrowed(&self.redirect))
            .add_extra_param("claims", claims(None))
            .request_async(&self.wire)
            .await
            .map_err(|error| self.wire.sort(&self.site, error, |answer| answer.error().to_string()))?;
        let nonce = Some(self.nonce.expose());
        self.site.tokens_of_sign_in(&token, &self.wire, nonce, self.clock.as_ref()).await
    }
}
