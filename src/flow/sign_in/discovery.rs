//! The sign-in server's public description of itself (OpenID Connect Discovery 1.0 §4).

use std::sync::Arc;

use serde::Deserialize;

use super::wire::Wire;
use super::{SignInError, SignInSite};
use crate::model::{Fault, Unreadable};
use crate::ports::Http;

/// What a directory's discovery document says, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Discovery {
    /// Who issues id tokens; `{tenantid}` stands for the user's directory where every one may sign in.
    pub issuer: String,
    /// Where users sign in.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens are exchanged.
    pub token_endpoint: String,
    /// Where device codes are asked for.
    #[serde(default)]
    pub device_authorization_endpoint: Option<String>,
    /// The host of this directory's Graph, which tells its cloud.
    #[serde(default)]
    pub msgraph_host: Option<String>,
}

impl Discovery {
    /// Where the document is.
    pub fn url(site: &SignInSite) -> String {
        format!("{}/{}/v2.0/.well-known/openid-configuration", site.origin(), site.tenant)
    }

    /// Reads a directory's document.
    ///
    /// # Errors
    /// [`SignInError::TenantUnknown`], or weather.
    pub async fn read(site: &SignInSite, http: Arc<dyn Http>) -> Result<Discovery, SignInError> {
        Discovery::ask(site, &Wire::new(http)).await
    }

    pub(super) async fn ask(site: &SignInSite, wire: &Wire) -> Result<Discovery, SignInError> {
        let (status, body) = wire.read(&Discovery::url(site)).await?;
        match status {
            200 => serde_json::from_slice(&body)
                .map_err(|_| SignInError::Fault(Fault::Unreadable(Unreadable::Shape))),
            400 | 404 => Err(SignInError::TenantUnknown),
            status => Err(SignInError::Fault(Fault::Refused {
                status,
                code: None,
                retry_after: None,
                claims: None,
            })),
        }
    }
}
