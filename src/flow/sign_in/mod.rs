//! Signing in by browser or device code, and keeping a session alive. OAuth by the crate `oauth2`, over our own
//! HTTP port.
//!
//! A session never ends because of the network: only a definite refusal of the refresh token does, and it deletes
//! nothing. The rotated refresh token is on disk before the access token that came with it is given out. Every
//! refusal is sorted by its OAuth `error` and `suberror`; texts and the numbers in them are for people.
//!
//! An application on a server has no session to keep: [`Application`] gets a token for all its mailboxes with the
//! application's own credential, and another when that one ends.
//!
//! The id token of a sign-in names the user's directory and object id; it comes from the token endpoint over TLS,
//! so that its issuer, audience, time and nonce are checked and its signature is not (OpenID Connect Core 3.1.3.7).
//! Graph must name the same user.

mod application;
mod browser;
mod claims;
mod device;
mod discovery;
mod id_token;
mod landing;
mod refusal;
mod registration;
mod session;
mod wire;

#[cfg(test)]
mod sign_in_tests;

use std::time::Duration;

use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthType, AuthUrl, ClientId, DeviceAuthorizationUrl, EndpointNotSet, EndpointSet, Scope,
    StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
};

use crate::model::Secret;
use crate::ports::{Clock, Tokens};
use id_token::{Expected, IdField};
use wire::Wire;

pub use application::{
    Application, ApplicationError, ApplicationSite, CredentialError, check_credential, secret_of,
};
pub use browser::{BrowserHints, BrowserSignIn, SIGN_IN_TIME_MAX};
pub use device::DeviceSignIn;
pub use discovery::Discovery;
pub use id_token::is_same_user;
pub use refusal::SignInError;
pub use registration::{Client as ClientKind, Redirect, Registration};
pub use session::{Session, fixed_bearer};

/// How long an access token is used when the server does not say how long it lives.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(3_600);

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

/// A token reply.
type Granted = StandardTokenResponse<IdField, BasicTokenType>;

type Client = oauth2::Client<
    BasicErrorResponse,
    Granted,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl SignInSite {
    /// The address an administrator opens to consent for everybody.
    pub fn admin_consent_url(&self) -> String {
        let client_id: String = url::form_urlencoded::byte_serialize(self.client_id.as_bytes()).collect();
        format!("{}/{}/adminconsent?client_id={client_id}", self.origin(), self.tenant)
    }

    fn client(&self) -> Result<Client, SignInError> {
        let url = |name: &str| format!("{}/{}/oauth2/v2.0/{name}", self.origin(), self.tenant);
        let wrong = |_| SignInError::AddressWrong;
        Ok(oauth2::Client::new(ClientId::new(self.client_id.clone()))
            .set_auth_type(AuthType::RequestBody)
            .set_auth_uri(AuthUrl::new(url("authorize")).map_err(wrong)?)
            .set_token_uri(TokenUrl::new(url("token")).map_err(wrong)?)
            .set_device_authorization_url(DeviceAuthorizationUrl::new(url("devicecode")).map_err(wrong)?))
    }

    fn origin(&self) -> &str {
        self.authority_url.trim_end_matches('/')
    }

    fn scopes(&self) -> impl Iterator<Item = Scope> {
        self.scopes.iter().cloned().map(Scope::new)
    }

    fn is_loopback(&self) -> bool {
        url::Url::parse(&self.authority_url).is_ok_and(|url| match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        })
    }

    /// What a token reply leaves behind. What it does not say is as before: the same refresh token, and the
    /// scopes granted before or asked for (RFC 6749 §5.1).
    fn tokens_of(&self, token: &Granted, former: Option<&Tokens>, now_ms: i64) -> Tokens {
        let lifetime = token.expires_in().unwrap_or(LIFETIME_DEFAULT);
        let lifetime_ms = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
        Tokens {
            access: Secret::new(token.access_token().secret().clone()),
            expires_at_ms: now_ms.saturating_add(lifetime_ms),
            refresh: token
                .refresh_token()
                .map(|refresh| Secret::new(refresh.secret().clone()))
                .or_else(|| former.and_then(|f| f.refresh.clone())),
            scopes: match (token.scopes(), former) {
                (Some(scopes), _) => scopes.iter().map(|scope| scope.to_string()).collect(),
                (None, Some(former)) => former.scopes.clone(),
                (None, None) => self.scopes.clone(),
            },
            ended: None,
            owner: former.and_then(|former| former.owner.clone()),
        }
    }

    /// The tokens of a new sign-in, once its id token is found to belong to it.
    async fn tokens_of_sign_in(
        &self,
        token: &Granted,
        wire: &Wire,
        nonce: Option<&str>,
        clock: &dyn Clock,
    ) -> Result<Tokens, SignInError> {
        let now_ms = clock.now_ms();
        let tokens = self.tokens_of(token, None, now_ms);
        if !self.scopes.iter().any(|scope| scope == "openid") {
            return Ok(tokens);
        }
        let id_token = token.extra_fields().id_token.as_ref().ok_or(SignInError::IdTokenWrong("missing"))?;
        let discovery = Discovery::ask(self, wire).await?;
        let expected = Expected { issuer: &discovery.issuer, audience: &self.client_id, nonce };
        let owner = id_token::check(id_token.expose(), &expected, now_ms)?;
        Ok(Tokens { owner, ..tokens })
    }
}
