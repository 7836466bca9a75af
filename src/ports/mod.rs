//! The outside world as traits and plain data: HTTP, clock, randomness, token storage.
//!
//! The engine wires the real ones together; `sim` gives the same flows a server in memory, a paused clock and
//! a seeded roll. Every future is `Send`, so that fetching may run beside writing.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::model::{Broken, Fault, Secret, Unreadable};

/// A boxed future, so that ports can be trait objects.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The verb of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

/// One HTTP request. Redirects are never followed.
#[derive(Clone)]
pub struct Request {
    /// The verb.
    pub method: Method,
    /// The absolute address, sent byte for byte.
    pub url: String,
    /// Header names (lower case) and values, without authorization.
    pub headers: Vec<(&'static str, String)>,
    /// The bearer token, if any.
    pub bearer: Option<Secret>,
    /// The body, if any; its type stands in the headers.
    pub body: Option<Vec<u8>>,
    /// The most bytes the inflated reply may have.
    pub reply_bytes_max: usize,
    /// The most time from start to the last byte.
    pub timeout: Duration,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url_bytes", &self.url.len())
            .finish_non_exhaustive()
    }
}

/// One complete HTTP reply, inflated.
#[derive(Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Header names (lower case) and values, cut at a limit.
    pub headers: Vec<(String, String)>,
    /// The inflated body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first value of the header `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Why no complete reply arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The way there or back broke.
    #[error("{0}")]
    Broken(Broken),
    /// The reply broke a limit or its encoding.
    #[error("{0}")]
    Unreadable(Unreadable),
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Fault {
        match error {
            HttpError::Broken(broken) => Fault::Unreachable(broken),
            HttpError::Unreadable(unreadable) => Fault::Unreadable(unreadable),
        }
    }
}

/// Sends requests.
pub trait Http: Send + Sync {
    /// Sends one request and reads the whole reply within its limits. Never follows a redirect.
    fn send(&self, request: Request) -> Pending<'_, Result<Reply, HttpError>>;
}

/// The longest that a change of the wall clock goes unnoticed, where the system does not tell of it.
pub const LOOK_MAX: Duration = Duration::from_secs(60);
/// Passed more or less time on the wall clock than was waited, by this much, the clock was set or the machine slept.
const JUMP_MS: i64 = 10_000;

/// Tells and waits for the time.
pub trait Clock: Send + Sync {
    /// UTC epoch milliseconds.
    fn now_ms(&self) -> i64;
    /// Waits; may wake late (sleep of the machine), never early.
    fn sleep(&self, duration: Duration) -> Pending<'_, ()>;

    /// Waits until the wall clock shows `at_ms`, but no longer than [`LOOK_MAX`]. A machine that sleeps stops every
    /// wait, and a clock that is set moves `at_ms` away: so the clock is looked at again meanwhile. Answers whether it
    /// jumped.
    fn until(&self, at_ms: i64) -> Pending<'_, bool> {
        Box::pin(look_until(self, at_ms))
    }
}

/// Waits for `at_ms` by looking at the clock, as [`Clock::until`] does where the system does not tell of its changes.
pub async fn look_until<C: Clock + ?Sized>(clock: &C, at_ms: i64) -> bool {
    let from_ms = clock.now_ms();
    let wait_ms = at_ms.saturating_sub(from_ms).max(0);
    let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)).min(LOOK_MAX);
    clock.sleep(wait).await;
    let passed_ms = clock.now_ms().saturating_sub(from_ms);
    let waited_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    passed_ms.saturating_sub(waited_ms).saturating_abs() >= JUMP_MS
}

/// Draws randomness.
pub trait Entropy: Send + Sync {
    /// A number in `[0, 1)`, for jitter.
    fn roll(&self) -> f64;
    /// Sixteen random bytes, for identities.
    fn bytes(&self) -> [u8; 16];
}

/// What a sign-in left behind. Never logged, never in the mirror.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tokens {
    /// The bearer for Graph.
    pub access: Secret,
    /// When it ends, UTC epoch milliseconds.
    pub expires_at_ms: i64,
    /// What gets the next one; rotates.
    pub refresh: Option<Secret>,
    /// Granted scopes as the server named them.
    pub scopes: Vec<String>,
    /// Set when only the user can go on: these tokens are not tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// Whose they are; not known of tokens that an earlier version kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// Whose tokens they are, compared with the mirror's before a cursor of it is used.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owner {
    /// The directory, as the id token names it.
    pub tenant_id: String,
    /// The user's id.
    pub object_id: String,
}

/// Why a sign-in is over, kept beside its tokens until the next one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ended {
    /// The OAuth error.
    pub code: String,
    /// The claims that the next sign-in must bring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Secret>,
}

/// Why tokens could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file could not be read or written.
    #[error("the token store {path} cannot be used: {source}")]
    Io {
        /// Which file.
        path: std::path::PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Other users may read it.
    #[error(
        "the token store {path} can be read by other users; run `chmod 600 {path}` or sign in again after removing it"
    )]
    Exposed {
        /// Which file.
        path: std::path::PathBuf,
    },
    /// Its content is not what this program wrote for this account.
    #[error("the token store {path} is damaged; remove it and run `calmirror login`")]
    Damaged {
        /// Which file.
        path: std::path::PathBuf,
    },
    /// The key that its content was sealed with is gone, or another one stands in its place.
    #[error(
        "the token store {path} cannot be opened: its key is no longer in the {place}; remove {path} and run `calmirror login`"
    )]
    KeyLost {
        /// Which file.
        path: std::path::PathBuf,
        /// Where the key should be, in words.
        place: String,
    },
    /// The keyring that has, or should get, the key cannot be used now.
    #[error("the tokens ({path}) can be neither opened nor kept: {source}")]
    Keyring {
        /// Which file.
        path: std::path::PathBuf,
        /// Why, and what to do.
        source: KeyringError,
    },
}

/// Why the operating system's keyring did not do what it was asked. Every text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// There is none in this session.
    #[error(
        "no keyring answers in this session, and their key is in one; run this where you signed in (usually the desktop session), or remove the file and run `calmirror login` to keep a key file instead"
    )]
    Absent,
    /// The user has to open it first, or has not set one up.
    #[error(
        "the {0} is locked or not set up; unlock it (log in to the desktop, or open its password manager) and try again"
    )]
    Locked(&'static str),
    /// It did not answer in time; it may be asking the user.
    #[error(
        "the {name} did not answer within {} seconds; if it asks for its password, enter it, and try again", .waited.as_secs()
    )]
    Silent {
        /// Its name.
        name: &'static str,
        /// How long it was waited for.
        waited: Duration,
    },
    /// It answered with another error, or went away.
    #[error("the {name} failed ({reason}); see that it runs and try again")]
    Failed {
        /// Its name.
        name: &'static str,
        /// Its own words.
        reason: String,
    },
}

/// The operating system's store for small secrets, or what stands in for it. Calls may block, for a bounded time.
pub trait Keyring: Send + Sync {
    /// What users call it: "Secret Service", "Keychain", "Credential Manager".
    fn name(&self) -> &'static str;
    /// The text kept under `entry`, if any.
    fn get(&self, entry: &str) -> Result<Option<Zeroizing<String>>, KeyringError>;
    /// Keeps `text` under `entry`; `label` is what the user sees in the keyring's own program.
    fn set(&self, entry: &str, label: &str, text: &Zeroizing<String>) -> Result<(), KeyringError>;
    /// Forgets `entry`; one that is not there is fine.
    fn remove(&self, entry: &str) -> Result<(), KeyringError>;
}

/// Keeps the tokens of one account.
pub trait Vault: Send + Sync {
    /// The stored tokens, if any.
    fn load(&self) -> Result<Option<Tokens>, VaultError>;
    /// Replaces them durably before returning.
    fn store(&self, tokens: &Tokens) -> Result<(), VaultError>;
    /// Forgets them.
    fn remove(&self) -> Result<(), VaultError>;
}

/// Gives the bearer for a mailbox; refreshes it when needed, one refresh at a time.
pub trait Bearer: Send + Sync {
    /// A token to send now. `refused` is the token the server just answered 401 to, with its claims challenge:
    /// that one is not given again.
    fn token<'a>(
        &'a self,
        refused: Option<&'a Secret>,
        claims: Option<&'a str>,
    ) -> Pending<'a, Result<Secret, Fault>>;
}
