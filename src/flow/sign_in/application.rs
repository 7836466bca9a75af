//! An application that signs in as itself (client credentials): one token for all mailboxes of a registration.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::basic::BasicClient;
use oauth2::{AuthType, ClientId, ClientSecret, RequestTokenError, Scope, TokenResponse, TokenUrl};
use rustls::SignatureScheme;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;
use serde_json::json;
use zeroize::Zeroizing;

use super::LIFETIME_DEFAULT;
use super::refusal::Refusal;
use super::wire::Wire;
use crate::config::Credential;
use crate::model::{Fault, Secret, Unreadable};
use crate::ports::{Bearer, Clock, Entropy, Http, Pending};
use crate::system::{Readers, SecretProblem, read_secret_file, secret_in_environment};

/// A token is renewed this long before it ends; a short-lived one at half its life.
const EARLY_MS: i64 = 5 * 60_000;
/// After weather nothing is asked again for this time, whoever wants a token.
const REST_MS: i64 = 10_000;
/// After a definite refusal, unless the credential has changed since.
const REFUSED_REST_MS: i64 = 10 * 60_000;
/// A mailbox that refuses a token younger than this does not get another one: the token is not what is wrong.
const YOUNG_MS: i64 = 60_000;
/// How long a client assertion is valid, and how far the server's clock may be behind.
const ASSERTION_S: i64 = 600;
const ASSERTION_SLACK_S: i64 = 300;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Where and as which application to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationSite {
    /// Its name in the configuration.
    pub display_name: String,
    /// The sign-in origin, without a path.
    pub authority_url: String,
    /// The tenant.
    pub tenant: String,
    /// The application.
    pub client_id: String,
    /// The Graph origin: its application permissions are asked for.
    pub graph_url: String,
}

/// Why a credential cannot be used. Every text says what to do, and none repeats what it read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The variable is not set.
    #[error(
        "the environment has no variable {0} with the application's secret (`client_secret_env`); set it for this program"
    )]
    NoVariable(String),
    /// The variable of a password is not set.
    #[error(
        "the environment has no variable {0} with the password (`password_env`); set it for this program"
    )]
    NoPassword(String),
    /// There is no file, or it cannot be read.
    #[error(
        "{path} (`{key}`) cannot be read: {kind}; put the application's credential there, readable by the user this program runs as"
    )]
    Unreadable {
        /// The key of the configuration.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        kind: std::io::ErrorKind,
    },
    /// Other users can read it.
    #[error(
        "{path} (`{key}`) can be read by other users; run `chmod 600 {path}`, and replace the credential in the registration if they are not to be trusted"
    )]
    Exposed {
        /// The key of the configuration.
        key: &'static str,
        /// Which file.
        path: PathBuf,
    },
    /// It holds no such thing.
    #[error("{place} holds {problem}")]
    Unusable {
        /// The file or variable, with its key.
        place: String,
        /// What is wrong and what is wanted.
        problem: &'static str,
    },
}

/// Why an application has no token. Every text says who must do what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplicationError {
    /// Its credential cannot be read.
    #[error("the application “{display_name}” cannot sign in: {problem}")]
    Credential {
        /// Its name.
        display_name: String,
        /// Why.
        problem: CredentialError,
    },
    /// The server does not take its credential.
    #[error(
        "the sign-in server refuses the {what} of the application “{display_name}” ({code}): it is wrong, has expired or belongs to another application. An administrator must create a new one in the registration (Certificates & secrets) and put it to {place}"
    )]
    CredentialRefused {
        /// Its name.
        display_name: String,
        /// "secret" or "certificate".
        what: &'static str,
        /// Where it is.
        place: String,
        /// The OAuth error code.
        code: String,
    },
    /// It is not known in this tenant.
    #[error(
        "the directory does not know the application “{display_name}” or does not allow it ({code}); an administrator must check `application_id`, `directory_id` and `cloud` against the registration"
    )]
    Unknown {
        /// Its name.
        display_name: String,
        /// The OAuth error code.
        code: String,
    },
    /// The request does not fit the registration.
    #[error(
        "the sign-in server refuses the application “{display_name}” ({code}); an administrator must check its registration, that application permissions for Microsoft Graph are granted there with admin consent, and `cloud`, `graph_url` and `directory_id` in the configuration"
    )]
    Misconfigured {
        /// Its name.
        display_name: String,
        /// The OAuth error code.
        code: String,
    },
}

/// One application's token, shared by all its mailboxes: one request at a time, five minutes early, in memory only.
pub struct Application {
    site: ApplicationSite,
    credential: Credential,
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Counts requests that ended without a token: who waited for one shares its outcome.
    failures: AtomicU64,
    state: tokio::sync::Mutex<State>,
    problem: Mutex<Option<ApplicationError>>,
}

impl std::fmt::Debug for Application {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Application").field("name", &self.site.display_name).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    last: Option<Failure>,
}

#[derive(Clone)]
struct Token {
    access: Secret,
    born_ms: i64,
    expires_at_ms: i64,
}

struct Failure {
    fault: Fault,
    at_ms: i64,
    rest_ms: i64,
    /// Of the credential that was refused: another one is tried at once.
    fingerprint: Option<blake3::Hash>,
}

enum NoToken {
    Refused(ApplicationError),
    Fault(Fault),
}

impl Application {
    /// The application at `site` with the credential that is at `credential`. Reads nothing yet.
    pub fn new(
        site: ApplicationSite,
        credential: Credential,
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Application {
        Application {
            site,
            credential,
            http,
            clock,
            entropy,
            failures: AtomicU64::new(0),
            state: tokio::sync::Mutex::default(),
            problem: Mutex::default(),
        }
    }

    /// Why there is no token, when an administrator has to act.
    pub fn problem(&self) -> Option<ApplicationError> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_problem(&self, problem: Option<ApplicationError>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    async fn give(&self, refused: Option<&Secret>) -> Result<Secret, Fault> {
        let failures = self.failures.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        let now_ms = self.clock.now_ms();
        let held = state.token.clone().filter(|token| token.expires_at_ms > now_ms);
        let usable =
            held.filter(|token| refused != Some(&token.access) || is_within(token.born_ms, now_ms, YOUNG_MS));
        if let Some(token) = &usable {
            let early_ms = EARLY_MS.min(token.expires_at_ms.saturating_sub(token.born_ms) / 2);
            if token.expires_at_ms.saturating_sub(now_ms) > early_ms {
                return Ok(token.access.clone());
            }
        }
        let has_waited = self.failures.load(Ordering::SeqCst) != failures;
        if let Some(last) = &state.last
            && (has_waited || is_within(last.at_ms, now_ms, last.rest_ms))
            && (last.fingerprint.is_none() || last.fingerprint == self.fingerprint())
        {
            // The old one is good for some minutes yet.
            return usable.map(|token| token.access).ok_or_else(|| last.fault.clone());
        }
        match self.request(now_ms).await {
            Ok(token) => {
                let access = token.access.clone();
                *state = State { token: Some(token), last: None };
                self.note_problem(None);
                Ok(access)
            }
            Err(no_token) => {
                self.failures.fetch_add(1, Ordering::SeqCst);
                let (fault, rest_ms, fingerprint) = match no_token {
                    NoToken::Fault(fault) => (fault, REST_MS, None),
                    NoToken::Refused(problem) => {
                        // Said once, not once a mailbox.
                        if self.problem().as_ref() != Some(&problem) {
                            tracing::error!(error = %problem, "no mailbox of this application can be reached");
                        }
                        self.note_problem(Some(problem));
                        (Fault::SignInNeeded, REFUSED_REST_MS, self.fingerprint())
                    }
                };
                state.last =
                    Some(Failure { fault: fault.clone(), at_ms: self.clock.now_ms(), rest_ms, fingerprint });
                usable.map(|token| token.access).ok_or(fault)
            }
        }
    }

    /// Tells one credential from the next without keeping either. One that cannot be read has a fingerprint, too.
    fn fingerprint(&self) -> Option<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        match read(&self.credential) {
            Ok(Read::Secret(secret)) => hasher.update(secret.expose().as_bytes()),
            Ok(Read::Certificate { thumbprint, key }) => {
                hasher.update(thumbprint.as_bytes());
                hasher.update(key.public_key().as_deref().unwrap_or_default())
            }
            Err(_) => hasher.update(b"unreadable"),
        };
        Some(hasher.finalize())
    }

    async fn request(&self, now_ms: i64) -> Result<Token, NoToken> {
        let name = || self.site.display_name.clone();
        let credential = read(&self.credential).map_err(|problem| {
            NoToken::Refused(ApplicationError::Credential { display_name: name(), problem })
        })?;
        let origin = self.site.authority_url.trim_end_matches('/');
        let url = format!("{origin}/{}/oauth2/v2.0/token", self.site.tenant);
        let address = TokenUrl::new(url.clone()).map_err(|_| {
            NoToken::Refused(ApplicationError::Misconfigured {
                display_name: name(),
                code: "invalid_address".to_owned(),
            })
        })?;
        let mut client = BasicClient::new(ClientId::new(self.site.client_id.clone()))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(address);
        let mut assertion = None;
        match credential {
            Read::Secret(secret) => {
                client = client.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
            }
            Read::Certificate { thumbprint, key } => {
                let signed = self.assertion(&url, &thumbprint, &*key, now_ms).ok_or_else(|| {
                    let problem = CredentialError::Unusable {
                        place: place(&self.credential),
                        problem: "a key that does not sign",
                    };
                    NoToken::Refused(ApplicationError::Credential { display_name: name(), problem })
                })?;
                assertion = Some(signed);
            }
        }
        let wire = Wire::new(self.http.clone());
        let scope = format!("{}/.default", self.site.graph_url.trim_end_matches('/'));
        let mut request = client.exchange_client_credentials().add_scope(Scope::new(scope));
        if let Some(assertion) = &assertion {
            request = request
                .add_extra_param("client_assertion_type", ASSERTION_TYPE)
                .add_extra_param("client_assertion", assertion.expose().to_owned());
        }
        match request.request_async(&wire).await {
            Ok(reply) => {
                let born_ms = self.clock.now_ms();
                let lifetime = reply.expires_in().unwrap_or(LIFETIME_DEFAULT);
                let lifetime_ms = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
                Ok(Token {
                    access: Secret::new(reply.access_token().secret().clone()),
                    born_ms,
                    expires_at_ms: born_ms.saturating_add(lifetime_ms),
                })
            }
            Err(RequestTokenError::Request(fault)) => Err(NoToken::Fault(fault)),
            Err(RequestTokenError::ServerResponse(answer)) => {
                let refusal = wire.refusal(answer.error().as_ref());
                if refusal.is_weather() {
                    return Err(NoToken::Fault(refusal.fault()));
                }
                Err(NoToken::Refused(self.sort(refusal)))
            }
            Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => {
                Err(NoToken::Fault(Fault::Unreadable(Unreadable::Shape)))
            }
        }
    }

    /// Who must do what.
    fn sort(&self, refusal: Refusal) -> ApplicationError {
        let (display_name, code) = (self.site.display_name.clone(), refusal.error);
        match code.as_str() {
            "invalid_client" => ApplicationError::CredentialRefused {
                display_name,
                what: match self.credential {
                    Credential::SecretEnv(_) | Credential::SecretFile(_) => "secret",
                    Credential::PasswordEnv(_) | Credential::PasswordFile(_) => "password",
                    Credential::Certificate { .. } => "certificate",
                },
                place: place(&self.credential),
                code,
            },
            "unauthorized_client" => ApplicationError::Unknown { display_name, code },
            _ => ApplicationError::Misconfigured { display_name, code },
        }
    }

    /// A client assertion (RFC 7523) as Microsoft Entra wants it: PS256, the certificate named by its thumbprint.
    fn assertion(
        &self,
        audience: &str,
        thumbprint: &str,
        key: &dyn SigningKey,
        now_ms: i64,
    ) -> Option<Secret> {
        let now_s = now_ms.div_euclid(1_000);
        let head = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint});
        let claims = json!({
            "aud": audience,
            "iss": self.site.client_id,
            "sub": self.site.client_id,
            "jti": uuid::Builder::from_random_bytes(self.entropy.bytes()).into_uuid().to_string(),
            "nbf": now_s.saturating_sub(ASSERTION_SLACK_S),
            "exp": now_s.saturating_add(ASSERTION_S),
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256])?;
        let signature = signer.sign(signed.as_bytes()).ok()?;
        Some(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

impl Bearer for Application {
    /// Claims challenges are not answered: this application does not declare that it understands them, so none come.
    fn token<'a>(
        &'a self,
        refused: Option<&'a Secret>,
        _: Option<&'a str>,
    ) -> Pending<'a, Result<Secret, Fault>> {
        Box::pin(self.give(refused))
    }
}

fn is_within(at_ms: i64, now_ms: i64, span_ms: i64) -> bool {
    (0..span_ms).contains(&now_ms.saturating_sub(at_ms))
}

/// Whether a credential is there and of the right kind; the server is not asked.
///
/// # Errors
/// What is wrong with it.
pub fn check_credential(credential: &Credential) -> Result<(), CredentialError> {
    read(credential).map(|_| ())
}

/// The secret that a credential is; `None` when it is a certificate.
///
/// # Errors
/// What is wrong with it.
pub fn secret_of(credential: &Credential) -> Result<Option<Secret>, CredentialError> {
    Ok(match read(credential)? {
        Read::Secret(secret) => Some(secret),
        Read::Certificate { .. } => None,
    })
}

enum Read {
    Secret(Secret),
    Certificate { thumbprint: String, key: Arc<dyn SigningKey> },
}

/// Where a credential is, in words.
fn place(credential: &Credential) -> String {
    match credential {
        Credential::SecretEnv(name) => format!("the variable {name} (`client_secret_env`)"),
        Credential::SecretFile(path) => format!("{} (`client_secret_file`)", path.display()),
        Credential::PasswordEnv(name) => format!("the variable {name} (`password_env`)"),
        Credential::PasswordFile(path) => format!("{} (`password_file`)", path.display()),
        Credential::Certificate { certificate, private_key } => format!(
            "{} (`certificate_file`) and {} (`private_key_file`)",
            certificate.display(),
            private_key.display()
        ),
    }
}

fn read(credential: &Credential) -> Result<Read, CredentialError> {
    match credential {
        Credential::SecretEnv(name) => {
            let secret =
                secret_in_environment(name).ok_or_else(|| CredentialError::NoVariable(name.clone()))?;
            plain(secret.expose(), credential)
        }
        Credential::PasswordEnv(name) => {
            let secret =
                secret_in_environment(name).ok_or_else(|| CredentialError::NoPassword(name.clone()))?;
            plain(secret.expose(), credential)
        }
        Credential::SecretFile(path) | Credential::PasswordFile(path) => {
            let key = match credential {
                Credential::PasswordFile(_) => "password_file",
                _ => "client_secret_file",
            };
            let bytes = read_file(key, path, Readers::Owner)?;
            let text = std::str::from_utf8(&bytes).map_err(|_| CredentialError::Unusable {
                place: place(credential),
                problem: "no text; it must hold the secret's value alone",
            })?;
            plain(text, credential)
        }
        Credential::Certificate { certificate, private_key } => {
            let unusable = |key: &str, path: &Path, problem| CredentialError::Unusable {
                place: format!("{} (`{key}`)", path.display()),
                problem,
            };
            let pem = read_file("certificate_file", certificate, Readers::Anybody)?;
            let der = CertificateDer::from_pem_slice(&pem).map_err(|_| {
                unusable(
                    "certificate_file",
                    certificate,
                    "no certificate; it must be PEM (“BEGIN CERTIFICATE”)",
                )
            })?;
            let pem = read_file("private_key_file", private_key, Readers::Owner)?;
            let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
                unusable(
                    "private_key_file",
                    private_key,
                    "no private key; it must be PEM without a passphrase (“BEGIN PRIVATE KEY”)",
                )
            })?;
            let key = rustls::crypto::ring::sign::any_supported_type(&key)
                .ok()
                .filter(|key| key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).is_some());
            let key = key.ok_or_else(|| {
                unusable(
                    "private_key_file",
                    private_key,
                    "a key of another kind; Microsoft Entra takes RSA keys of 2048 to 8192 bits",
                )
            })?;
            let public = key.public_key();
            let is_pair = public.as_deref().is_some_and(|public| {
                !public.is_empty() && der.windows(public.len()).any(|part| part == public)
            });
            if !is_pair {
                return Err(unusable(
                    "private_key_file",
                    private_key,
                    "the key of another certificate than `certificate_file`",
                ));
            }
            let digest = ring::digest::digest(&ring::digest::SHA256, &der);
            Ok(Read::Certificate { thumbprint: URL_SAFE_NO_PAD.encode(digest), key })
        }
    }
}

/// A secret without the line end that editors add.
fn plain(text: &str, credential: &Credential) -> Result<Read, CredentialError> {
    let text = text.trim();
    let problem = if text.is_empty() {
        "nothing; it must hold the secret's value alone"
    } else if text.chars().any(char::is_control) {
        "more than one line; it must hold the secret's value alone"
    } else {
        return Ok(Read::Secret(Secret::new(text)));
    };
    Err(CredentialError::Unusable { place: place(credential), problem })
}

fn read_file(
    key: &'static str,
    path: &Path,
    readers: Readers,
) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    read_secret_file(path, readers).map_err(|problem| match problem {
        SecretProblem::Exposed => CredentialError::Exposed { key, path: path.to_path_buf() },
        SecretProblem::Large => CredentialError::Unusable {
            place: format!("{} (`{key}`)", path.display()),
            problem: "far more than a credential",
        },
        SecretProblem::Io(kind) => CredentialError::Unreadable { key, path: path.to_path_buf(), kind },
    })
}

#[cfg(test)]
#[path = "application_tests.rs"]
mod tests;
