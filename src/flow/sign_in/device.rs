//! Device code: the user signs in with any browser, on any machine.

use std::sync::Arc;
use std::time::Duration;

use oauth2::{DeviceCodeErrorResponseType, RequestTokenError, StandardDeviceAuthorizationResponse};

use super::claims::claims;
use super::wire::Wire;
use super::{Client, Granted, SignInError, SignInSite};
use crate::ports::{Clock, Http, Tokens};

/// The shortest time between two polls for a device code, whatever the server says (RFC 8628 §3.5).
const POLL_MIN: Duration = Duration::from_secs(5);
/// The same against a server on this machine.
const POLL_MIN_LOOPBACK: Duration = Duration::from_secs(1);
/// A device code is given up after this time, whatever the server says.
const CODE_VALID_MAX: Duration = Duration::from_secs(1_800);

/// A sign-in by device code that waits for its user.
pub struct DeviceSignIn {
    site: SignInSite,
    client: Client,
    wire: Wire,
    clock: Arc<dyn Clock>,
    answer: StandardDeviceAuthorizationResponse,
    claims: String,
}

impl std::fmt::Debug for DeviceSignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceSignIn(…)")
    }
}

impl DeviceSignIn {
    /// Asks for a code. `challenge` are the claims that a server demanded since the last sign-in.
    ///
    /// # Errors
    /// A wrong registration, or weather.
    pub async fn start(
        site: &SignInSite,
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        challenge: Option<&str>,
    ) -> Result<DeviceSignIn, SignInError> {
        let client = site.client()?;
        let wire = Wire::new(http);
        let claims = claims(challenge);
        let asked = client
            .exchange_device_code()
            .add_scopes(site.scopes())
            .add_extra_param("claims", claims.clone())
            .request_async(&wire)
            .await;
        let answer: StandardDeviceAuthorizationResponse =
            asked.map_err(|error| wire.sort(site, error, |answer| answer.error().to_string()))?;
        Ok(DeviceSignIn { site: site.clone(), client, wire, clock, answer, claims })
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
        let poll_min = if self.site.is_loopback() { POLL_MIN_LOOPBACK } else { POLL_MIN };
        let (clock, now, valid) = (&self.clock, self.clock.clone(), self.valid());
        let token: Granted = self
            .client
            .exchange_device_access_token(&self.answer)
            .add_extra_param("claims", self.claims.clone())
            .set_time_fn(move || chrono::DateTime::from_timestamp_millis(now.now_ms()).unwrap_or_default())
            .request_async(&self.wire, |interval| clock.sleep(interval.max(poll_min)), Some(valid))
            .await
            .map_err(|error| match &error {
                // Also said by the crate itself, when its time is over while the server still waits.
                RequestTokenError::ServerResponse(answer)
                    if matches!(
                        answer.error(),
                        DeviceCodeErrorResponseType::ExpiredToken
                            | DeviceCodeErrorResponseType::AuthorizationPending
                            | DeviceCodeErrorResponseType::SlowDown
                    ) =>
                {
                    SignInError::Expired
                }
                _ => self.wire.sort(&self.site, error, |answer| answer.error().to_string()),
            })?;
        self.site.tokens_of_sign_in(&token, &self.wire, None, self.clock.as_ref()).await
    }
}
