//! What a sign-in server refuses, sorted by who must do what.

use serde_json::Value;

use super::SignInSite;
use crate::model::{Fault, Secret};

/// The most characters of a server's code that are kept.
const CODE_CHARS_MAX: usize = 64;
/// The most bytes of a claims challenge that are kept.
const CLAIMS_BYTES_MAX: usize = 4_096;

/// Why a sign-in did not succeed. Every text says who must do what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// The user said no, or left a page that asked for an administrator.
    #[error(
        "the sign-in was declined; run `calmirror login` again to accept. If the page asked for an administrator's approval instead, send your administrator this link: {admin_consent_url}"
    )]
    Declined {
        /// Where an administrator consents.
        admin_consent_url: String,
    },
    /// The device code was not used in time.
    #[error("the code was not used in time; run `calmirror login` again")]
    Expired,
    /// The browser did not come back in time.
    #[error(
        "the browser did not come back in time; run `calmirror login` again. If its page showed an error instead of a sign-in, send that page to your administrator: the registration needs the redirect address `http://localhost` under “Mobile and desktop applications”"
    )]
    TimedOut,
    /// An administrator must consent first.
    #[error(
        "an administrator must approve this application first; send your administrator this link: {admin_consent_url} and run `calmirror login` afterwards"
    )]
    ConsentNeeded {
        /// Where an administrator consents.
        admin_consent_url: String,
    },
    /// A policy wants to see the user: another factor, another place, another way of signing in.
    #[error(
        "your organization's policy asks for a further step; run `calmirror login` in a browser on this device and complete it. If the policy blocks you there too, an administrator must change the conditional access policy for this application"
    )]
    StepNeeded,
    /// A policy wants a managed device or app.
    #[error(
        "your organization's policy refuses this device; an administrator must register the device as compliant, or exempt this application from the conditional access policy"
    )]
    DeviceRefused,
    /// The user's password has expired.
    #[error("your password has expired; change it in a browser, then run `calmirror login` again")]
    PasswordExpired,
    /// The code or the user is refused for good.
    #[error(
        "the sign-in server refuses this user or the code was already used; run `calmirror login` again. If it is refused once more, an administrator must check that the user is enabled and assigned to the application"
    )]
    UserRefused,
    /// The application is not known in this tenant.
    #[error(
        "the directory does not know this application or does not allow it ({code}); an administrator must check `application_id`, `directory_id` and `cloud` in the configuration against the registration"
    )]
    ApplicationUnknown {
        /// The OAuth error code.
        code: String,
    },
    /// The server wants a client secret, which a desktop program cannot keep.
    #[error(
        "the sign-in server asks for a secret ({code}): the registration is of the wrong type. An administrator must register the redirect address `http://localhost` under “Mobile and desktop applications” instead of “Web” and set “Allow public client flows” to yes"
    )]
    SecretDemanded {
        /// The OAuth error code.
        code: String,
    },
    /// One of the scopes does not exist or is not registered.
    #[error(
        "the sign-in server does not know one of the permissions asked for ({code}); an administrator must correct `scopes` in the configuration or add the permissions to the registration: {scopes}"
    )]
    ScopeUnknown {
        /// The OAuth error code.
        code: String,
        /// What was asked for.
        scopes: String,
    },
    /// The request does not fit the registration; trying again does not help.
    #[error(
        "the sign-in server refuses this application's request ({code}); an administrator must check `application_id`, `directory_id`, `cloud` and the redirect address `http://localhost` of the registration, and that public client flows are allowed"
    )]
    Misconfigured {
        /// The OAuth error code.
        code: String,
    },
    /// The sign-in server does not know the directory.
    #[error(
        "the sign-in server does not know the directory; an administrator must check `directory_id` and `cloud` in the configuration"
    )]
    TenantUnknown,
    /// The user belongs to another directory.
    #[error(
        "you signed in with an account of another directory than `directory_id` names; sign in with your account of that directory, or have an administrator correct `directory_id` in the configuration"
    )]
    OtherTenant,
    /// The id token does not belong to this sign-in.
    #[error(
        "the sign-in server's id token does not belong to this sign-in ({0}); nothing was kept. Run `calmirror login` again; if it happens once more, tell your administrator"
    )]
    IdTokenWrong(&'static str),
    /// This machine's clock is further from the server's than a sign-in allows.
    #[error(
        "this machine's clock is {minutes} minutes {} the sign-in server's; turn on time synchronization, then run `calmirror login` again", if *.is_ahead { "ahead of" } else { "behind" }
    )]
    ClockWrong {
        /// How far.
        minutes: i64,
        /// Ahead of the server's, not behind.
        is_ahead: bool,
    },
    /// The configured sign-in address is none.
    #[error(
        "the sign-in address made of `authority_url` and `directory_id` is not valid; correct them in the configuration"
    )]
    AddressWrong,
    /// No port of this machine could be listened on.
    #[error(
        "no port of this machine could be opened for the browser's answer ({0}); run `calmirror login --device-code` instead"
    )]
    NoPort(std::io::ErrorKind),
    /// The sign-in server could not be reached or read.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What a server said, cut to what may be kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The OAuth error.
    pub(super) error: String,
    /// What Microsoft adds to it.
    pub(super) suberror: Option<String>,
    /// The claims that the next sign-in must bring.
    pub(super) claims: Option<Secret>,
}

impl Refusal {
    /// The refusal in a reply's body, if it is one.
    pub(super) fn read(body: &[u8]) -> Option<Refusal> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        Some(Refusal {
            error: plain(text("error")?),
            suberror: text("suberror").map(plain),
            claims: text("claims")
                .filter(|claims| !claims.is_empty() && claims.len() <= CLAIMS_BYTES_MAX)
                .map(Secret::new),
        })
    }

    /// Whether the session is over, until its user signs in again. Everything else may pass by itself or by an
    /// administrator's correction.
    pub(super) fn ends_session(&self) -> bool {
        matches!(
            self.error.as_str(),
            "invalid_grant"
                | "interaction_required"
                | "consent_required"
                | "login_required"
                | "access_denied"
        )
    }

    /// Whether it is the server's weather.
    pub(super) fn is_weather(&self) -> bool {
        matches!(self.error.as_str(), "temporarily_unavailable" | "server_error")
    }

    /// The fault of a refusal that ends nothing.
    pub(super) fn fault(&self) -> Fault {
        let status = if self.is_weather() { 503 } else { 400 };
        Fault::Refused { status, code: Some(self.error.clone()), retry_after: None, claims: None }
    }

    /// Who must do what.
    pub(super) fn sort(&self, site: &SignInSite) -> SignInError {
        let code = match &self.suberror {
            Some(suberror) => format!("{}/{suberror}", self.error),
            None => self.error.clone(),
        };
        let admin_consent_url = site.admin_consent_url();
        match self.suberror.as_deref() {
            Some("consent_required") => return SignInError::ConsentNeeded { admin_consent_url },
            Some("basic_action" | "additional_action" | "message_only") => return SignInError::StepNeeded,
            Some("user_password_expired") => return SignInError::PasswordExpired,
            Some("protection_policy_required" | "device_authentication_failed") => {
                return SignInError::DeviceRefused;
            }
            Some("client_mismatch") => return SignInError::ApplicationUnknown { code },
            Some(_) | None => {}
        }
        match self.error.as_str() {
            "access_denied" | "authorization_declined" => SignInError::Declined { admin_consent_url },
            "expired_token" | "bad_verification_code" => SignInError::Expired,
            "consent_required" => SignInError::ConsentNeeded { admin_consent_url },
            "interaction_required" | "login_required" => SignInError::StepNeeded,
            "invalid_grant" => SignInError::UserRefused,
            "unauthorized_client" => SignInError::ApplicationUnknown { code },
            "invalid_client" => SignInError::SecretDemanded { code },
            "invalid_scope" | "invalid_resource" | "invalid_target" => {
                SignInError::ScopeUnknown { code, scopes: site.scopes.join(" ") }
            }
            _ if self.is_weather() => SignInError::Fault(self.fault()),
            _ => SignInError::Misconfigured { code },
        }
    }
}

/// A server's code as far as it is plain letters, so that it may stand in an error text.
pub(super) fn plain(code: &str) -> String {
    code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(CODE_CHARS_MAX).collect()
}
