//! The OAuth face: device code, authorization code with PKCE, refresh with rotation, client credentials. It approves
//! by itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::assertion::{self, Expected};
use super::ident;
use super::mailbox::User;
use super::wire::{Answer, Call, percent_encoded};

const DEVICE_CODE_S: i64 = 900;
const CODE_MS: i64 = 600_000;
/// Grants of each kind that are remembered.
const KEPT_MAX: usize = 4_096;
/// The tenant of all users.
pub(crate) const TENANT: &str = "7c2f1d9e-53a4-4b0e-9a51-0f4ad6a1c0de";

/// How sign-in behaves. Members left out of JSON keep their default.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignIn {
    /// How long an access token lives, in seconds.
    pub access_token_s: i64,
    /// How many polls of a device code are answered `authorization_pending` first.
    pub pending_polls: u32,
    /// What a device code reply says about its polling interval, in seconds.
    pub interval_s: u64,
    /// The user declines.
    pub declines: bool,
    /// A refresh brings a new refresh token (the old one keeps working, as at Microsoft).
    pub rotates: bool,
    /// Any bearer is taken as the first user's: for tools that cannot sign in.
    pub takes_any_token: bool,
    /// Applications that may sign in as themselves and reach every mailbox.
    pub applications: Vec<Registration>,
    /// What an administrator did to the application that users sign in with.
    pub registered: Registered,
    /// The tenants that are known; none: every one is.
    pub tenants: Vec<String>,
}

/// How the application that users sign in with is registered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registered {
    /// Under "Mobile and desktop applications", as it should be.
    #[default]
    Native,
    /// Under "Web": every token request must bring a secret.
    Web,
    /// Without the redirect address.
    WithoutRedirect,
    /// Not at all.
    Nowhere,
}

/// An application that signs in as itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registration {
    /// Its client id.
    pub client_id: String,
    /// Its secret.
    pub secret: Option<String>,
    /// Its certificate, PEM.
    pub certificate: Option<String>,
}

impl Default for SignIn {
    fn default() -> SignIn {
        SignIn {
            access_token_s: 3_600,
            pending_polls: 1,
            interval_s: 1,
            declines: false,
            rotates: true,
            takes_any_token: false,
            applications: Vec::new(),
            registered: Registered::Native,
            tenants: Vec::new(),
        }
    }
}

#[derive(Clone)]
struct Grant {
    user: usize,
    scopes: String,
    client: String,
    until_ms: i64,
    nonce: Option<String>,
}

#[derive(Clone)]
struct Code {
    grant: Grant,
    redirect_uri: String,
    challenge: Option<String>,
}

#[derive(Clone)]
struct Device {
    grant: Grant,
    polls: u32,
    last_poll_ms: i64,
}

/// All that was granted.
#[derive(Clone)]
pub(crate) struct Authority {
    pub sign_in: SignIn,
    rng: fastrand::Rng,
    codes: BTreeMap<String, Code>,
    devices: BTreeMap<String, Device>,
    access: BTreeMap<String, Grant>,
    refresh: BTreeMap<String, Grant>,
    /// The tokens of applications, and when they end.
    applications: BTreeMap<String, i64>,
    /// The ids of client assertions that were used, and when they were.
    assertions: BTreeMap<String, i64>,
}

/// What a bearer is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bearer {
    User(usize),
    /// An application's own: no user, every mailbox.
    Application,
    Expired,
    Unknown,
}

impl Authority {
    pub fn new(rng: fastrand::Rng) -> Authority {
        Authority {
            sign_in: SignIn::default(),
            rng,
            codes: BTreeMap::new(),
            devices: BTreeMap::new(),
            access: BTreeMap::new(),
            refresh: BTreeMap::new(),
            applications: BTreeMap::new(),
            assertions: BTreeMap::new(),
        }
    }

    /// Whose token this is.
    pub fn judge(&self, token: Option<&str>, now_ms: i64) -> Bearer {
        match token.and_then(|t| self.applications.get(t)) {
            Some(until_ms) if *until_ms > now_ms => return Bearer::Application,
            Some(_) => return Bearer::Expired,
            None => {}
        }
        match token.and_then(|t| self.access.get(t)) {
            Some(grant) if grant.until_ms > now_ms => Bearer::User(grant.user),
            Some(_) => Bearer::Expired,
            None if self.sign_in.takes_any_token && token.is_some_and(|t| !t.is_empty()) => Bearer::User(0),
            None => Bearer::Unknown,
        }
    }

    /// Whether a token was granted one of `scopes`, in any case, or everything that an administrator consented to.
    pub fn allows(&self, token: Option<&str>, scopes: &[&str]) -> bool {
        let Some(grant) = token.and_then(|token| self.access.get(token)) else {
            return self.sign_in.takes_any_token;
        };
        let name = |scope: &str| scope.rsplit('/').next().unwrap_or(scope).to_ascii_lowercase();
        let is_one = |granted: &str| scopes.iter().any(|scope| name(scope) == name(granted));
        grant.scopes.split_whitespace().any(|granted| name(granted) == ".default" || is_one(granted))
    }

    /// Ends all access tokens.
    pub fn expire_access(&mut self) -> usize {
        for grant in self.access.values_mut() {
            grant.until_ms = i64::MIN;
        }
        for until_ms in self.applications.values_mut() {
            *until_ms = i64::MIN;
        }
        self.access.len() + self.applications.len()
    }

    /// Ends all refresh tokens, as an admin's revocation does.
    pub fn revoke_refresh(&mut self) -> usize {
        let count = self.refresh.len();
        self.refresh.clear();
        count
    }

    /// Hands out an access token without a dialogue, for tests.
    pub fn grant(&mut self, user: usize, scopes: &str, now_ms: i64) -> String {
        let until_ms = now_ms + self.sign_in.access_token_s * 1_000;
        let grant = Grant { user, scopes: scopes.into(), client: String::new(), until_ms, nonce: None };
        let token = format!("eyJ0eXAi.{}", ident::opaque(&mut self.rng, 48));
        keep(&mut self.access, token.clone(), grant);
        token
    }

    /// Takes an access token that another sign-in server issued, for tests with a real one beside.
    pub fn accept(&mut self, token: String, user: usize, until_ms: i64) {
        let grant = Grant {
            user,
            scopes: "Calendars.ReadWrite".into(),
            client: String::new(),
            until_ms,
            nonce: None,
        };
        keep(&mut self.access, token, grant);
    }

    /// Answers `/{tenant}/oauth2/v2.0/…` and the discovery document.
    pub fn answer(&mut self, call: &Call, path: &[&str], users: &[User], now_ms: i64) -> Answer {
        match (call.method.as_str(), path) {
            ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"])
                if !self.sign_in.tenants.is_empty()
                    && !self.sign_in.tenants.iter().any(|known| known == tenant) =>
            {
                refused(400, "invalid_tenant", 90_002, "Tenant was not found.", now_ms)
            }
            ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"]) => {
                Answer::json(200, &discovery(&call.origin, tenant))
            }
            ("GET", [_, "discovery", "v2.0", "keys"]) => Answer::json(200, &json!({"keys": []})),
            ("POST", [_, "oauth2", "v2.0", "devicecode"]) => self.device_code(call, users, now_ms),
            ("POST", [_, "oauth2", "v2.0", "token"]) => self.token(call, users, now_ms),
            ("GET" | "POST", [_, "oauth2", "v2.0", "authorize"]) => self.authorize(call, users, now_ms),
            ("GET", [_, "oauth2", "v2.0", "logout"]) => match call.parameter("post_logout_redirect_uri") {
                Some(uri) if is_loopback(&uri) => Answer::empty(302).with("location", uri),
                _ => Answer::html(200, "<html><body>You signed out of your account.</body></html>"),
            },
            ("GET", ["devicelogin"]) => {
                Answer::html(200, "<html><body>This emulator approves device codes by itself.</body></html>")
            }
            _ => Answer::html(404, "<html><body>Not found</body></html>"),
        }
    }

    fn device_code(&mut self, call: &Call, users: &[User], now_ms: i64) -> Answer {
        let Some(client) = call.form("client_id").filter(|c| !c.is_empty()) else {
            return refused(
                400,
                "invalid_request",
                900_144,
                "The request body must contain the following parameter: 'client_id'.",
                now_ms,
            );
        };
        let Some(scopes) = call.form("scope").filter(|s| !s.trim().is_empty()) else {
            return refused(
                400,
                "invalid_request",
                900_144,
                "The request body must contain the following parameter: 'scope'.",
                now_ms,
            );
        };
        let Some(user) = find_user(users, call.form("login_hint")) else {
            return refused(
                400,
                "invalid_request",
                50_034,
                "The user account does not exist in the directory.",
                now_ms,
            );
        };
        if self.sign_in.registered == Registered::Nowhere {
            return unknown_application(now_ms);
        }
        let code = ident::opaque(&mut self.rng, 96);
        let user_code: String = (0..9)
            .map(|_| self.rng.choice(b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789").map_or('A', |b| char::from(*b)))
            .collect();
        let until_ms = now_ms + DEVICE_CODE_S * 1_000;
        let grant = Grant { user, scopes, client, until_ms, nonce: None };
        keep(&mut self.devices, code.clone(), Device { grant, polls: 0, last_poll_ms: i64::MIN });
        let uri = format!("{}/devicelogin", call.origin);
        Answer::json(
            200,
            &json!({
                "user_code": user_code, "device_code": code, "verification_uri": uri, "expires_in": DEVICE_CODE_S,
                "interval": self.sign_in.interval_s.max(1),
                "message": format!("To sign in, use a web browser to open the page {uri} and enter the code {user_code} to authenticate."),
            }),
        )
    }

    fn authorize(&mut self, call: &Call, users: &[User], now_ms: i64) -> Answer {
        let read = |name: &str| call.parameter(name).or_else(|| call.form(name)).filter(|v| !v.is_empty());
        let page = |number: u32, text: &str| {
            Answer::html(
                400,
                format!(
                    "<html><head><title>Sign in to your account</title></head><body>AADSTS{number}: {text}</body></html>"
                ),
            )
        };
        let is_registered = self.sign_in.registered != Registered::WithoutRedirect;
        let Some(redirect) = read("redirect_uri").filter(|u| is_registered && is_loopback(u)) else {
            return page(
                50_011,
                "The redirect URI specified in the request does not match the redirect URIs configured for the application.",
            );
        };
        let Some(client) = read("client_id") else {
            return page(900_144, "The request body must contain the following parameter: 'client_id'.");
        };
        if self.sign_in.registered == Registered::Nowhere {
            return page(700_016, "The application was not found in the directory.");
        }
        let state = read("state");
        let is_form = read("response_mode").as_deref() == Some("form_post");
        let send = |mut parts: Vec<(&str, String)>| {
            if is_form {
                parts.extend(state.clone().map(|state| ("state", state)));
                return form_page(&redirect, &parts);
            }
            let mut query: Vec<String> =
                parts.iter().map(|(n, v)| format!("{n}={}", percent_encoded(v))).collect();
            query.extend(state.iter().map(|s| format!("state={}", percent_encoded(s))));
            let joint = if redirect.contains('?') { '&' } else { '?' };
            Answer::empty(302).with("location", format!("{redirect}{joint}{}", query.join("&")))
        };
        let fail =
            |error: &str, text: &str| send(vec![("error", error.into()), ("error_description", text.into())]);
        if read("response_type").as_deref() != Some("code") {
            return fail("unsupported_response_type", "AADSTS70007: only response_type=code is supported.");
        }
        if read("code_challenge").is_some() && read("code_challenge_method").as_deref() != Some("S256") {
            return fail(
                "invalid_request",
                "AADSTS501491: Invalid code_challenge_method; S256 is supported.",
            );
        }
        if read("prompt").as_deref() == Some("none") {
            return fail("login_required", "AADSTS50058: Session information is not sufficient.");
        }
        if self.sign_in.declines {
            return fail("access_denied", "AADSTS65004: User declined to consent to access the app.");
        }
        let Some(user) = find_user(users, read("login_hint")) else {
            return page(50_034, "The user account does not exist in the directory.");
        };
        let (scopes, nonce) = (read("scope").unwrap_or_default(), read("nonce"));
        let grant = Grant { user, scopes, client, until_ms: now_ms + CODE_MS, nonce };
        let code = format!("0.{}", ident::opaque(&mut self.rng, 96));
        let redirect_uri = redirect.clone();
        keep(&mut self.codes, code.clone(), Code { grant, redirect_uri, challenge: read("code_challenge") });
        send(vec![("code", code), ("session_state", ident::guid(self.rng.u64(..), 1))])
    }

    fn token(&mut self, call: &Call, users: &[User], now_ms: i64) -> Answer {
        let grant_type = call.form("grant_type").unwrap_or_default();
        let client = call.form("client_id").unwrap_or_default();
        if client.is_empty() {
            return refused(
                400,
                "invalid_request",
                900_144,
                "The request body must contain the following parameter: 'client_id'.",
                now_ms,
            );
        }
        match self.sign_in.registered {
            Registered::Nowhere => return unknown_application(now_ms),
            Registered::Web if grant_type != "client_credentials" => {
                return refused(
                    401,
                    "invalid_client",
                    7_000_218,
                    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
                    now_ms,
                );
            }
            Registered::Native | Registered::Web | Registered::WithoutRedirect => {}
        }
        match grant_type.as_str() {
            "urn:ietf:params:oauth:grant-type:device_code" | "device_code" => {
                self.poll(call, &client, users, now_ms)
            }
            "authorization_code" => self.redeem(call, &client, users, now_ms),
            "client_credentials" => self.client_credentials(call, &client, now_ms),
            "refresh_token" => {
                let known = call.form("refresh_token").and_then(|t| self.refresh.get_key_value(&t));
                let Some((old, grant)) = known.map(|(t, g)| (t.clone(), g.clone())) else {
                    return refused(
                        400,
                        "invalid_grant",
                        50_173,
                        "The provided grant has expired due to it being revoked, a fresh auth token is needed.",
                        now_ms,
                    );
                };
                if grant.client != client {
                    return refused(
                        400,
                        "invalid_grant",
                        70_000,
                        "The refresh token was issued to another client.",
                        now_ms,
                    );
                }
                let scopes =
                    call.form("scope").filter(|s| !s.is_empty()).unwrap_or_else(|| grant.scopes.clone());
                let keeps = (!self.sign_in.rotates).then_some(old);
                self.issue(Grant { scopes, nonce: None, ..grant }, users, now_ms, keeps, &call.origin)
            }
            _ => refused(
                400,
                "unsupported_grant_type",
                70_003,
                "The app requested an unsupported grant type.",
                now_ms,
            ),
        }
    }

    /// A token for an application itself, by its secret or an assertion signed with its certificate's key.
    fn client_credentials(&mut self, call: &Call, client: &str, now_ms: i64) -> Answer {
        let refuse = |status, error: &str, number, text: &str| refused(status, error, number, text, now_ms);
        let Some(known) = self.sign_in.applications.iter().find(|app| app.client_id == client).cloned()
        else {
            let text = "Application was not found in the directory.";
            return refuse(400, "unauthorized_client", 700_016, text);
        };
        if let Some(assertion) = call.form("client_assertion") {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            if call.form("client_assertion_type").as_deref() != Some(kind) {
                return refuse(400, "invalid_request", 900_144, "The client_assertion_type is wrong.");
            }
            let expected = Expected {
                certificate: known.certificate.as_deref().unwrap_or_default(),
                client_id: client,
                audience_path: call.path(),
                now_ms,
            };
            match assertion::verify(&assertion, &expected) {
                Ok(id) if !self.assertions.contains_key(&id) => keep(&mut self.assertions, id, now_ms),
                Ok(_) => {
                    return refuse(401, "invalid_client", 700_027, "The client assertion was used before.");
                }
                Err(text) => return refuse(401, "invalid_client", 700_027, text),
            }
        } else if known.secret.is_none() || known.secret != call.form("client_secret") {
            return refuse(401, "invalid_client", 7_000_215, "Invalid client secret provided.");
        }
        let scope = call.form("scope").unwrap_or_default();
        if !scope.ends_with("/.default") || scope.contains(' ') {
            let text = "The provided value for scope is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier.";
            return refuse(400, "invalid_scope", 1_002_012, text);
        }
        let lifetime_s = self.sign_in.access_token_s;
        let token =
            format!("eyJ0eXAi.{}.{}", ident::opaque(&mut self.rng, 600), ident::opaque(&mut self.rng, 32));
        keep(&mut self.applications, token.clone(), now_ms + lifetime_s * 1_000);
        let body = json!({
            "token_type": "Bearer", "expires_in": lifetime_s, "ext_expires_in": lifetime_s,
            "access_token": token,
        });
        Answer::json(200, &body).with("cache-control", "no-store").with("pragma", "no-cache")
    }

    fn poll(&mut self, call: &Call, client: &str, users: &[User], now_ms: i64) -> Answer {
        let code = call.form("device_code").unwrap_or_default();
        let sign_in = self.sign_in.clone();
        let Some(device) = self.devices.get_mut(&code).filter(|d| d.grant.client == client) else {
            return refused(
                400,
                "bad_verification_code",
                70_000,
                "The provided device code is not valid.",
                now_ms,
            );
        };
        if device.grant.until_ms <= now_ms {
            return refused(400, "expired_token", 70_020, "The provided device code has expired.", now_ms);
        }
        let gap_ms = i64::try_from(sign_in.interval_s.max(1)).unwrap_or(1) * 1_000;
        // A little early is forgiven: clocks and networks jitter.
        let is_early = now_ms < device.last_poll_ms.saturating_add(gap_ms / 2);
        device.last_poll_ms = now_ms;
        if is_early {
            return refused(400, "slow_down", 70_016, "The client polls too fast.", now_ms);
        }
        if sign_in.declines {
            self.devices.remove(&code);
            return refused(
                400,
                "authorization_declined",
                70_017,
                "The user declined to authorize this device.",
                now_ms,
            );
        }
        device.polls += 1;
        if device.polls <= sign_in.pending_polls {
            return refused(
                400,
                "authorization_pending",
                70_016,
                "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
                now_ms,
            );
        }
        let grant = device.grant.clone();
        self.devices.remove(&code);
        self.issue(grant, users, now_ms, None, &call.origin)
    }

    fn redeem(&mut self, call: &Call, client: &str, users: &[User], now_ms: i64) -> Answer {
        let Some(code) = call.form("code").and_then(|c| self.codes.remove(&c)) else {
            return refused(
                400,
                "invalid_grant",
                54_005,
                "The code is not valid or was already redeemed.",
                now_ms,
            );
        };
        if code.grant.until_ms <= now_ms {
            return refused(
                400,
                "invalid_grant",
                70_008,
                "The provided authorization code has expired.",
                now_ms,
            );
        }
        if code.grant.client != client
            || call.form("redirect_uri").as_deref() != Some(code.redirect_uri.as_str())
        {
            return refused(
                400,
                "invalid_grant",
                50_011,
                "The redirect URI or the client differs from the one the code was issued to.",
                now_ms,
            );
        }
        if let Some(challenge) = &code.challenge {
            let verifier = oauth2::PkceCodeVerifier::new(call.form("code_verifier").unwrap_or_default());
            let length = verifier.secret().len();
            let fits = (43..=128).contains(&length)
                && oauth2::PkceCodeChallenge::from_code_verifier_sha256(&verifier).as_str() == challenge;
            if !fits {
                return refused(
                    400,
                    "invalid_grant",
                    501_481,
                    "The code_verifier does not match the code_challenge supplied in the authorization request.",
                    now_ms,
                );
            }
        }
        self.issue(code.grant, users, now_ms, None, &call.origin)
    }

    fn issue(
        &mut self,
        grant: Grant,
        users: &[User],
        now_ms: i64,
        keeps: Option<String>,
        origin: &str,
    ) -> Answer {
        let lifetime_s = self.sign_in.access_token_s;
        let granted: Vec<&str> = grant.scopes.split_whitespace().filter(|s| *s != "offline_access").collect();
        let access =
            format!("eyJ0eXAi.{}.{}", ident::opaque(&mut self.rng, 600), ident::opaque(&mut self.rng, 32));
        let until_ms = now_ms + lifetime_s * 1_000;
        self.access.retain(|_, g| g.until_ms > now_ms - 600_000 || g.until_ms == i64::MIN);
        keep(&mut self.access, access.clone(), Grant { until_ms, ..grant.clone() });
        let mut body = json!({
            "token_type": "Bearer", "scope": granted.join(" "), "expires_in": lifetime_s,
            "ext_expires_in": lifetime_s, "access_token": access,
        });
        let asks = |scope: &str| grant.scopes.split_whitespace().any(|s| s == scope);
        if let Some(members) = body.as_object_mut() {
            if asks("offline_access") {
                let token = keeps.unwrap_or_else(|| format!("0.{}", ident::opaque(&mut self.rng, 300)));
                keep(&mut self.refresh, token.clone(), Grant { until_ms: i64::MAX, ..grant.clone() });
                members.insert("refresh_token".into(), json!(token));
            }
            if asks("openid")
                && let Some(user) = users.get(grant.user)
            {
                members.insert("id_token".into(), json!(id_token(user, &grant, origin, now_ms)));
            }
        }
        Answer::json(200, &body).with("cache-control", "no-store").with("pragma", "no-cache")
    }
}

fn keep<T>(kept: &mut BTreeMap<String, T>, key: String, value: T) {
    if kept.len() >= KEPT_MAX {
        kept.pop_first();
    }
    kept.insert(key, value);
}

fn find_user(users: &[User], hint: Option<String>) -> Option<usize> {
    match hint.filter(|h| !h.is_empty()) {
        None => (!users.is_empty()).then_some(0),
        Some(hint) => users.iter().position(|u| u.address.eq_ignore_ascii_case(&hint) || u.id == hint),
    }
}

/// A page that sends itself. Its values are made here, but for the address and the state, which are percent-encoded.
fn form_page(redirect: &str, parts: &[(&str, String)]) -> Answer {
    let fields: String = parts
        .iter()
        .map(|(name, value)| {
            format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", percent_encoded(value))
        })
        .collect();
    let redirect = redirect.replace(['"', '<', '>', '&'], "");
    Answer::html(
        200,
        format!(
            "<html><body onload=\"document.forms[0].submit()\"><form method=\"post\" action=\"{redirect}\">{fields}</form></body></html>"
        ),
    )
}

fn is_loopback(uri: &str) -> bool {
    url::Url::parse(uri).is_ok_and(|u| {
        u.scheme() == "http" && matches!(u.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
    })
}

/// An unsigned token in the shape of a signed one: nobody shall rely on its signature.
fn id_token(user: &User, grant: &Grant, origin: &str, now_ms: i64) -> String {
    let now_s = now_ms.div_euclid(1_000);
    let head = json!({"typ": "JWT", "alg": "RS256", "kid": "emulator"});
    let mut claims = json!({
        "aud": grant.client, "iss": format!("{origin}/{TENANT}/v2.0"), "iat": now_s, "nbf": now_s, "exp": now_s + 3_600,
        "name": user.name, "oid": user.id, "preferred_username": user.address, "sub": user.id, "tid": TENANT, "ver": "2.0",
    });
    if let (Some(nonce), Some(members)) = (&grant.nonce, claims.as_object_mut()) {
        members.insert("nonce".into(), json!(nonce));
    }
    let part = |v: &Value| ident::url_safe(v.to_string().as_bytes());
    format!("{}.{}.{}", part(&head), part(&claims), ident::url_safe(b"emulator: not a signature"))
}

fn unknown_application(now_ms: i64) -> Answer {
    refused(400, "unauthorized_client", 700_016, "The application was not found in the directory.", now_ms)
}

fn refused(status: u16, error: &str, number: u32, text: &str, now_ms: i64) -> Answer {
    let at = super::zone::http_date(now_ms);
    Answer::json(
        status,
        &json!({
            "error": error,
            "error_description": format!("AADSTS{number}: {text} Trace ID: {} Timestamp: {at}", ident::guid(u64::from(number), 3)),
            "error_codes": [number], "timestamp": at, "trace_id": ident::guid(u64::from(number), 3),
            "correlation_id": ident::guid(u64::from(number), 4),
            "error_uri": format!("https://login.example.invalid/error?code={number}"),
        }),
    )
}

fn discovery(origin: &str, tenant: &str) -> Value {
    let base = format!("{origin}/{tenant}");
    json!({
        "issuer": format!("{origin}/{TENANT}/v2.0"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
        "end_session_endpoint": format!("{base}/oauth2/v2.0/logout"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "response_types_supported": ["code"], "response_modes_supported": ["query", "form_post"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "subject_types_supported": ["pairwise"], "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["none"], "code_challenge_methods_supported": ["S256"],
    })
}
