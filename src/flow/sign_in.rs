//! Signing in by device code, and keeping a session alive. OAuth by the crate `oauth2`, over our own HTTP port.
//!
//! A session never ends because of the network: only a definite refusal of the refresh token does, and it deletes
//! nothing. The rotated refresh token is on disk before the access token that came with it is given out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, DeviceAuthorizationUrl, DeviceCodeErrorResponseType, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, RefreshToken, RequestTokenError, Scope,
    StandardDeviceAuthorizationResponse, TokenResponse, TokenUrl,
};

use crate::model::{Fault, Secret, Unreadable};
use crate::ports::{Bearer, Clock, Http, Method, Pending, Request, Tokens, Vault, VaultError};

/// Access tokens are renewed this long before they end.
const EARLY_MS: i64 = 5 * 60_000;
/// How long an access token is used when the server does not say how long it lives.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(3_600);
/// The most bytes of a reply of the sign-in server.
const REPLY_BYTES_MAX: usize = 256 * 1024;
/// The most time of a request to it.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The shortest time between two polls for a device code, whatever the server says (RFC 8628 §3.5).
const POLL_MIN: Duration = Duration::from_secs(5);
/// The same against a server on this machine.
const POLL_MIN_LOOPBACK: Duration = Duration::from_secs(1);
/// A device code is given up after this time, whatever the server says.
const CODE_VALID_MAX: Duration = Duration::from_secs(1_800);

/// Where and as what to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInSite {
    /// The sign-in origin, without a path.
    pub authority_url: String,
    /// The tenant.
    pub tenant: String,
    /// The application.
    pub client_id: String,
    /// What to ask for.
    pub scopes: Vec<String>,
}

/// Why a sign-in did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// The user said no.
    #[error("the sign-in was declined")]
    Declined,
    /// The code was not used in time.
    #[error("the code was not used in time; run `calmirror login` again")]
    Expired,
    /// The registration or the configuration is wrong: trying again does not help.
    #[error(
        "the sign-in server refuses this application ({code}); check `application_id`, `directory_id` and the registration (public client flows must be allowed)"
    )]
    Misconfigured {
        /// The OAuth error code.
        code: String,
    },
    /// The sign-in server could not be reached or read.
    #[error(transparent)]
    Fault(#[from] Fault),
}

type Client = BasicClient<EndpointNotSet, EndpointSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

impl SignInSite {
    fn client(&self) -> Result<Client, SignInError> {
        let url = |name: &str| {
            format!("{}/{}/oauth2/v2.0/{name}", self.authority_url.trim_end_matches('/'), self.tenant)
        };
        let wrong = |_| SignInError::Misconfigured { code: "authority_url or directory_id".to_owned() };
        Ok(BasicClient::new(ClientId::new(self.client_id.clone()))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(TokenUrl::new(url("token")).map_err(wrong)?)
            .set_device_authorization_url(DeviceAuthorizationUrl::new(url("devicecode")).map_err(wrong)?))
    }

    fn poll_min(&self) -> Duration {
        let is_loopback = url::Url::parse(&self.authority_url).is_ok_and(|url| match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        });
        if is_loopback { POLL_MIN_LOOPBACK } else { POLL_MIN }
    }
}

/// Lets `oauth2` speak through our port.
struct Wire(Arc<dyn Http>);

impl<'c> AsyncHttpClient<'c> for Wire {
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Fault>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let request = Request {
                method: if head.method == http::Method::GET { Method::Get } else { Method::Post },
                url: head.uri.to_string(),
                headers: vec![
                    ("accept", "application/json".to_owned()),
                    ("content-type", "application/x-www-form-urlencoded".to_owned()),
                ],
                bearer: None,
                body: Some(body),
                reply_bytes_max: REPLY_BYTES_MAX,
                timeout: TIMEOUT,
            };
            let reply = self.0.send(request).await?;
            // Everything but 200 and an OAuth error is weather here.
            if reply.status == 429 || reply.status >= 500 {
                return Err(Fault::Refused {
                    status: reply.status,
                    code: None,
                    retry_after: None,
                    claims: None,
                });
            }
            if reply.body.trim_ascii_start().first() == Some(&b'<') {
                return Err(Fault::Unreadable(Unreadable::WebPage));
            }
            let mut response = HttpResponse::new(reply.body);
            *response.status_mut() =
                http::StatusCode::from_u16(reply.status).map_err(|_| Fault::Unreadable(Unreadable::Shape))?;
            if let Ok(json) = http::HeaderValue::from_str("application/json") {
                response.headers_mut().insert(http::header::CONTENT_TYPE, json);
            }
            Ok(response)
        })
    }
}

/// A sign-in by device code that waits for its user.
pub struct DeviceSignIn {
    client: Client,
    wire: Wire,
    clock: Arc<dyn Clock>,
    answer: StandardDeviceAuthorizationResponse,
    poll_min: Duration,
}

impl std::fmt::Debug for DeviceSignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceSignIn(…)")
    }
}

impl DeviceSignIn {
    /// Asks for a code.
    ///
    /// # Errors
    /// A wrong registration, or weather.
    pub async fn start(
        site: &SignInSite,
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
    ) -> Result<DeviceSignIn, SignInError> {
        let client = site.client()?;
        let wire = Wire(http);
        let scopes: Vec<Scope> = site.scopes.iter().cloned().map(Scope::new).collect();
        let answer: StandardDeviceAuthorizationResponse =
            client.exchange_device_code().add_scopes(scopes).request_async(&wire).await.map_err(|error| {
                match error {
                    RequestTokenError::ServerResponse(refusal) => sort_refusal(refusal.error()),
                    RequestTokenError::Request(fault) => SignInError::Fault(fault),
                    RequestTokenError::Parse(..) | RequestTokenError::Other(_) => unreadable(),
                }
            })?;
        Ok(DeviceSignIn { client, wire, clock, answer, poll_min: site.poll_min() })
    }

    /// Where the user goes.
    pub fn verification_url(&self) -> &str {
        self.answer.verification_uri().as_str()
    }

    /// What the user types there.
    pub fn user_code(&self) -> &str {
        self.answer.user_code().secret()
    }

    /// How long the code is valid.
    pub fn valid(&self) -> Duration {
        self.answer.expires_in().min(CODE_VALID_MAX)
    }

    /// Waits until the user has signed in, said no, or let the code expire.
    ///
    /// # Errors
    /// As the user or the server decided.
    pub async fn finish(self) -> Result<Tokens, SignInError> {
        let (clock, poll_min, valid) = (&self.clock, self.poll_min, self.valid());
        let now = clock.clone();
        let token: BasicTokenResponse = self
            .client
            .exchange_device_access_token(&self.answer)
            .set_time_fn(move || chrono::DateTime::from_timestamp_millis(now.now_ms()).unwrap_or_default())
            .request_async(&self.wire, |interval| clock.sleep(interval.max(poll_min)), Some(valid))
            .await
            .map_err(|error| match error {
                RequestTokenError::ServerResponse(refusal) => match refusal.error() {
                    DeviceCodeErrorResponseType::AccessDenied => SignInError::Declined,
                    DeviceCodeErrorResponseType::ExpiredToken => SignInError::Expired,
                    DeviceCodeErrorResponseType::AuthorizationPending
                    | DeviceCodeErrorResponseType::SlowDown => SignInError::Expired,
                    DeviceCodeErrorResponseType::Basic(BasicErrorResponseType::Extension(code))
                        if code == "authorization_declined" =>
                    {
                        SignInError::Declined
                    }
                    DeviceCodeErrorResponseType::Basic(BasicErrorResponseType::Extension(code))
                        if code == "bad_verification_code" =>
                    {
                        SignInError::Expired
                    }
                    DeviceCodeErrorResponseType::Basic(kind) => sort_refusal(kind),
                },
                RequestTokenError::Request(fault) => SignInError::Fault(fault),
                RequestTokenError::Parse(..) | RequestTokenError::Other(_) => unreadable(),
            })?;
        Ok(tokens_of(&token, None, self.clock.now_ms()))
    }
}

fn unreadable() -> SignInError {
    SignInError::Fault(Fault::Unreadable(Unreadable::Shape))
}

/// Sorts an OAuth error by its code; texts and numbers inside texts are for people.
fn sort_refusal(kind: &BasicErrorResponseType) -> SignInError {
    let code: &str = kind.as_ref();
    match code {
        "access_denied" | "authorization_declined" => SignInError::Declined,
        "temporarily_unavailable" | "server_error" => SignInError::Fault(Fault::Refused {
            status: 503,
            code: Some(plain(code)),
            retry_after: None,
            claims: None,
        }),
        _ => SignInError::Misconfigured { code: plain(code) },
    }
}

/// A server's code as far as it is plain letters, so that it may stand in an error text.
fn plain(code: &str) -> String {
    code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect()
}

fn tokens_of(token: &BasicTokenResponse, former: Option<&Tokens>, now_ms: i64) -> Tokens {
    let lifetime = token.expires_in().unwrap_or(LIFETIME_DEFAULT);
    let lifetime_ms = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
    Tokens {
        access: Secret::new(token.access_token().secret().clone()),
        expires_at_ms: now_ms.saturating_add(lifetime_ms),
        refresh: token
            .refresh_token()
            .map(|refresh| Secret::new(refresh.secret().clone()))
            .or_else(|| former.and_then(|f| f.refresh.clone())),
        scopes: match token.scopes() {
            Some(scopes) => scopes.iter().map(|scope| scope.to_string()).collect(),
            None => former.map(|f| f.scopes.clone()).unwrap_or_default(),
        },
    }
}

/// The tokens of one account, renewed when needed, one renewal at a time.
pub struct Session {
    site: SignInSite,
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    vault: Arc<dyn Vault>,
    state: tokio::sync::Mutex<State>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(…)")
    }
}

#[derive(Default)]
struct State {
    is_loaded: bool,
    tokens: Option<Tokens>,
    /// The refresh token was refused: only a sign-in helps.
    is_refused: bool,
}

impl Session {
    /// The session of an account; reads its tokens when first asked.
    pub fn new(
        site: SignInSite,
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        vault: Arc<dyn Vault>,
    ) -> Session {
        Session { site, http, clock, vault, state: tokio::sync::Mutex::default() }
    }

    /// Keeps the tokens of a new sign-in: on disk first.
    ///
    /// # Errors
    /// When they cannot be stored.
    pub async fn replace(&self, tokens: Tokens) -> Result<(), VaultError> {
        let mut state = self.state.lock().await;
        self.vault.store(&tokens)?;
        *state = State { is_loaded: true, tokens: Some(tokens), is_refused: false };
        Ok(())
    }

    async fn give(&self, refused: Option<&Secret>, claims: Option<&str>) -> Result<Secret, Fault> {
        let mut state = self.state.lock().await;
        if !state.is_loaded {
            state.tokens = self.vault.load().map_err(|error| {
                tracing::warn!(error = %error, "the tokens cannot be read");
                Fault::SignInNeeded
            })?;
            state.is_loaded = true;
        }
        let Some(tokens) = state.tokens.clone().filter(|_| !state.is_refused) else {
            return Err(Fault::SignInNeeded);
        };
        let now_ms = self.clock.now_ms();
        let is_refused = refused == Some(&tokens.access);
        if is_refused && claims.is_some() {
            // The server wants to see the user, not another token of the same sign-in.
            state.is_refused = true;
            return Err(Fault::SignInNeeded);
        }
        if !is_refused && tokens.expires_at_ms.saturating_sub(now_ms) > EARLY_MS {
            return Ok(tokens.access);
        }
        let is_usable = !is_refused && tokens.expires_at_ms > now_ms;
        match self.renew(&tokens).await {
            Ok(renewed) => {
                if let Err(error) = self.vault.store(&renewed) {
                    // Kept in memory all the same: a token that was rotated away would be lost otherwise.
                    tracing::error!(error = %error, "the renewed tokens could not be stored");
                }
                let access = renewed.access.clone();
                state.tokens = Some(renewed);
                Ok(access)
            }
            Err(Fault::SignInNeeded) => {
                state.is_refused = true;
                Err(Fault::SignInNeeded)
            }
            // The old one is good for some minutes yet.
            Err(_) if is_usable => Ok(tokens.access),
            Err(fault) => Err(fault),
        }
    }

    async fn renew(&self, tokens: &Tokens) -> Result<Tokens, Fault> {
        let Some(refresh) = &tokens.refresh else { return Err(Fault::SignInNeeded) };
        let client = self.site.client().map_err(|_| Fault::SignInNeeded)?;
        let wire = Wire(self.http.clone());
        let refresh = RefreshToken::new(refresh.expose().to_owned());
        let answer = client.exchange_refresh_token(&refresh).request_async(&wire).await;
        match answer {
            Ok(token) => Ok(tokens_of(&token, Some(tokens), self.clock.now_ms())),
            Err(RequestTokenError::Request(fault)) => Err(fault),
            Err(RequestTokenError::ServerResponse(refusal)) => match refusal.error() {
                BasicErrorResponseType::Extension(code)
                    if code == "temporarily_unavailable" || code == "server_error" =>
                {
                    Err(Fault::Refused {
                        status: 503,
                        code: Some(plain(code)),
                        retry_after: None,
                        claims: None,
                    })
                }
                kind => {
                    tracing::info!(code = %plain(kind.as_ref()), "the sign-in server refuses the session");
                    Err(Fault::SignInNeeded)
                }
            },
            Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => {
                Err(Fault::Unreadable(Unreadable::Shape))
            }
        }
    }
}

impl Bearer for Session {
    fn token<'a>(
        &'a self,
        refused: Option<&'a Secret>,
        claims: Option<&'a str>,
    ) -> Pending<'a, Result<Secret, Fault>> {
        Box::pin(self.give(refused, claims))
    }
}

/// A bearer that has one token and no other.
struct Fixed(Secret);

impl Bearer for Fixed {
    fn token<'a>(
        &'a self,
        refused: Option<&'a Secret>,
        _: Option<&'a str>,
    ) -> Pending<'a, Result<Secret, Fault>> {
        Box::pin(async move {
            if refused == Some(&self.0) { Err(Fault::SignInNeeded) } else { Ok(self.0.clone()) }
        })
    }
}

/// A bearer with one token: to ask whose it is before it is kept, and for tests.
pub fn fixed_bearer(token: Secret) -> Arc<dyn Bearer> {
    Arc::new(Fixed(token))
}
