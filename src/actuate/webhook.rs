use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ring::hmac;

use crate::actuate::{Actuator, Cause, Outcome};
use crate::model::{Broken, Fault, Secret, Unreadable, guarded_url};
use crate::ports::{Http, HttpError, Method, Pending, Reply, Request};
use crate::presence::{Command, is_in_order};
use crate::system::{Readers, read_secret_file, secret_in_environment};
use crate::zones::{Zone, parse_time};

/// The header with the signature of the body: `sha256=` and HMAC-SHA256 in hexadecimal.
pub const SIGNATURE_HEADER: &str = "x-calmirror-signature";
/// The most bytes of a reply; only that of a conflict is looked at.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// A web service that commands are posted to, as JSON.
///
/// 2xx: applied; 409 with an `as_of` newer than the command's: the receiver knows better; any other answer: refused.
/// No answer, and one by a gateway about a receiver that did not answer it (408, 502, 504): perhaps applied.
/// Redirects are refused: what would be sent on is a telephone number.
pub struct Webhook {
    /// Where to: `https`, or this machine.
    pub url: String,
    /// Which variable of the environment holds the secret.
    pub secret_env: Option<String>,
    /// Which file holds it; read for each command, so that a new one is used at once.
    pub secret_file: Option<PathBuf>,
    /// The way there.
    pub http: Arc<dyn Http>,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// In which zone times are written.
    pub zone: Zone,
}

impl Actuator for Webhook {
    fn apply<'a>(&'a self, command: &'a Command) -> Pending<'a, Outcome> {
        Box::pin(self.post(command))
    }
}

impl Webhook {
    async fn post(&self, command: &Command) -> Outcome {
        let Some(url) = guarded_url(&self.url) else { return Outcome::Refused(Cause::AddressRefused) };
        let body = command.wire(&self.zone).to_string().into_bytes();
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json".to_owned()),
            ("idempotency-key", command.idempotency_key.clone()),
        ];
        match self.secret() {
            Ok(Some(secret)) => headers.push((SIGNATURE_HEADER, signature(&secret, &body))),
            Ok(None) => {}
            Err(cause) => return Outcome::Refused(cause),
        }
        let request = Request {
            method: Method::Post,
            url: url.into(),
            headers,
            bearer: None,
            body: Some(body),
            reply_bytes_max: REPLY_BYTES_MAX,
            timeout: self.timeout,
        };
        match self.http.send(request).await {
            Ok(reply) => judge(&reply, command),
            Err(error) => judge_silence(error),
        }
    }

    /// The secret, if commands are to be signed. One that cannot be read is no reason to send them unsigned.
    fn secret(&self) -> Result<Option<Secret>, Cause> {
        let secret = match (&self.secret_env, &self.secret_file) {
            (None, None) => return Ok(None),
            (Some(name), _) => secret_in_environment(name),
            (None, Some(path)) => read_secret_file(path, Readers::Owner)
                .ok()
                .and_then(|bytes| std::str::from_utf8(&bytes).map(Secret::new).ok()),
        };
        // Editors add a line end.
        let secret = secret.map(|secret| Secret::new(secret.expose().trim()));
        secret.filter(|secret| !secret.expose().is_empty()).map(Some).ok_or(Cause::SecretMissing)
    }
}

fn signature(secret: &Secret, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut text = "sha256=".to_owned();
    for byte in hmac::sign(&key, body).as_ref() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}

fn judge(reply: &Reply, command: &Command) -> Outcome {
    let fault = Fault::Refused { status: reply.status, code: None, retry_after: None, claims: None };
    match reply.status {
        200..=299 => Outcome::APPLIED,
        300..=399 => Outcome::Refused(Cause::Fault(Fault::Unreadable(Unreadable::Redirect))),
        409 if is_newer(&reply.body, command.as_of_ms) => Outcome::Refused(Cause::Stale),
        408 | 502 | 504 => Outcome::Unclear(Cause::Fault(fault)),
        _ => Outcome::Refused(Cause::Fault(fault)),
    }
}

/// Whether the receiver says that it acted on a newer state than `as_of_ms`: `{"as_of": "…"}`.
fn is_newer(body: &[u8], as_of_ms: Option<i64>) -> bool {
    #[derive(serde::Deserialize)]
    struct Conflict {
        as_of: String,
    }
    let acted = serde_json::from_slice(body)
        .ok()
        .and_then(|told: Conflict| parse_time(&told.as_of, &Zone::utc()).ok());
    acted.is_some_and(|acted_ms| !is_in_order(Some(acted_ms), as_of_ms))
}

fn judge_silence(error: HttpError) -> Outcome {
    match error {
        // Nothing was sent.
        HttpError::Broken(Broken::Connect | Broken::Tls) | HttpError::Unreadable(Unreadable::Redirect) => {
            Outcome::Refused(Cause::Fault(error.into()))
        }
        HttpError::Broken(Broken::Timeout | Broken::Reset | Broken::Protocol)
        | HttpError::Unreadable(
            Unreadable::WebPage
            | Unreadable::Shape
            | Unreadable::TooLarge
            | Unreadable::Encoding
            | Unreadable::Empty
            | Unreadable::Links,
        ) => Outcome::Unclear(Cause::Fault(error.into())),
    }
}
