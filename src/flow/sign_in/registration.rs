//! What a sign-in server makes of this application, found without signing anybody in and without leaving anything
//! behind but a device code that nobody uses.

use std::sync::Arc;
use std::time::Duration;

use oauth2::basic::BasicRequestTokenError;
use oauth2::{AuthorizationCode, PkceCodeVerifier, RedirectUrl, RequestTokenError};

use super::wire::Wire;
use super::{DeviceSignIn, Discovery, Granted, SignInError, SignInSite};
use crate::model::Fault;
use crate::ports::{Clock, Http, HttpError, Method, Reply, Request};

/// The redirect address of the registration, to which the port is added.
const REDIRECT: &str = "http://localhost";
/// The longest a server is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a page.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// What was found about a registration.
#[derive(Debug)]
pub struct Registration {
    /// The directory's own description.
    pub discovery: Result<Discovery, SignInError>,
    /// Whether the directory knows the application, as a request for a device code tells.
    pub application: Result<(), SignInError>,
    /// Whether codes are redeemed without a secret, as a code that never was tells.
    pub client: Client,
    /// Whether the redirect address is registered, as an authorize request that shows no page tells.
    pub redirect: Redirect,
}

/// What kind of client the server takes the application for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Client {
    /// The code alone was refused: no secret is asked for.
    Public,
    /// Refused for another reason.
    Refused(SignInError),
    /// The answer tells nothing about it.
    Unsaid,
}

/// What the server makes of the redirect address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirect {
    /// It redirects there.
    Registered,
    /// It shows an error instead.
    Refused,
    /// It shows a page: only a sign-in tells.
    Unsaid,
}

impl Registration {
    /// Asks the server. Each question is asked once; weather is an answer too.
    pub async fn ask(site: &SignInSite, http: Arc<dyn Http>, clock: Arc<dyn Clock>) -> Registration {
        let discovery = Discovery::read(site, http.clone()).await;
        let application = DeviceSignIn::start(site, http.clone(), clock, None).await.map(|_| ());
        let client = ask_client(site, &Wire::new(http.clone())).await;
        let redirect = match http.send(authorize(site)).await {
            Ok(reply) => judge_redirect(&reply),
            Err(HttpError::Unreadable(_) | HttpError::Broken(_)) => Redirect::Unsaid,
        };
        Registration { discovery, application, client, redirect }
    }
}

/// Redeems a code that never was.
async fn ask_client(site: &SignInSite, wire: &Wire) -> Client {
    let (client, redirect) = match (site.client(), RedirectUrl::new(REDIRECT.to_owned())) {
        (Ok(client), Ok(redirect)) => (client, redirect),
        (Err(error), _) => return Client::Refused(error),
        (Ok(_), Err(_)) => return Client::Unsaid,
    };
    let verifier = PkceCodeVerifier::new("calmirror-doctor-redeems-a-code-that-never-was".to_owned());
    let answer: Result<Granted, BasicRequestTokenError<Fault>> = client
        .exchange_code(AuthorizationCode::new("calmirror-doctor".to_owned()))
        .set_pkce_verifier(verifier)
        .set_redirect_uri(std::borrow::Cow::Owned(redirect))
        .request_async(wire)
        .await;
    match answer {
        Err(RequestTokenError::ServerResponse(answer)) => {
            let refusal = wire.refusal(answer.error().as_ref());
            match refusal.sort(site) {
                SignInError::UserRefused => Client::Public,
                error @ (SignInError::SecretDemanded { .. } | SignInError::ApplicationUnknown { .. }) => {
                    Client::Refused(error)
                }
                _ => Client::Unsaid,
            }
        }
        Ok(_) | Err(_) => Client::Unsaid,
    }
}

/// An authorize request that may show no page: whoever is not signed in is sent back at once, by a form, which is
/// read here and never sent.
fn authorize(site: &SignInSite) -> Request {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("client_id", site.client_id.as_str()),
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("response_mode", "form_post"),
            ("scope", "openid"),
            ("prompt", "none"),
            // Of the text that nobody knows: the code, should there be one, can not be redeemed.
            ("code_challenge", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"),
            ("code_challenge_method", "S256"),
            ("state", "calmirror-doctor"),
            ("nonce", "calmirror-doctor"),
        ])
        .finish();
    Request {
        method: Method::Get,
        url: format!("{}/{}/oauth2/v2.0/authorize?{query}", site.origin(), site.tenant),
        headers: vec![("accept", "text/html".to_owned())],
        bearer: None,
        body: None,
        reply_bytes_max: PAGE_BYTES_MAX,
        timeout: TIMEOUT,
    }
}

fn judge_redirect(reply: &Reply) -> Redirect {
    let form = format!("action=\"{REDIRECT}");
    let is_form = || reply.body.windows(form.len()).any(|part| part.eq_ignore_ascii_case(form.as_bytes()));
    match reply.status {
        // Some servers send the form with the status of its error.
        200..500 if is_form() => Redirect::Registered,
        400..500 => Redirect::Refused,
        _ => Redirect::Unsaid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_form_that_leads_to_this_machine_shows_that_it_is_registered() {
        for (status, body, expected) in [
            (200, "<form method=\"post\" action=\"http://localhost\">", Redirect::Registered),
            (200, "<FORM ACTION=\"http://localhost:80/\">", Redirect::Registered),
            (200, "<form action=\"https://login.example/\">", Redirect::Unsaid),
            (200, "", Redirect::Unsaid),
            (400, "<form method=\"post\" action=\"http://localhost\">", Redirect::Registered),
            (400, "AADSTS50011", Redirect::Refused),
            (503, "", Redirect::Unsaid),
        ] {
            let reply = Reply { status, headers: Vec::new(), body: body.as_bytes().to_vec() };
            assert_eq!(judge_redirect(&reply), expected, "{status} {body}");
        }
    }
}
