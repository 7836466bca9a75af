//! Lets `oauth2` speak through our HTTP port, and reads what its error type drops.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oauth2::{AsyncHttpClient, ErrorResponse, HttpRequest, HttpResponse, RequestTokenError};

use super::refusal::{Refusal, SignInError};
use super::{SignInSite, refusal};
use crate::model::{Fault, Unreadable};
use crate::ports::{Http, Method, Request};

/// The most bytes of a reply of the sign-in server.
const REPLY_BYTES_MAX: usize = 256 * 1024;
/// The most time of a request to it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One conversation with the sign-in server.
pub(super) struct Wire {
    http: Arc<dyn Http>,
    refusal: Mutex<Option<Refusal>>,
}

impl Wire {
    pub(super) fn new(http: Arc<dyn Http>) -> Wire {
        Wire { http, refusal: Mutex::new(None) }
    }

    /// What the last request was refused with; `code` is all that `oauth2` knows.
    pub(super) fn refusal(&self, code: &str) -> Refusal {
        let last = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
        last.unwrap_or_else(|| Refusal { error: refusal::plain(code), ..Refusal::default() })
    }

    /// Sorts the end of a request.
    pub(super) fn sort<E: ErrorResponse + 'static>(
        &self,
        site: &SignInSite,
        error: RequestTokenError<Fault, E>,
        code: impl FnOnce(&E) -> String,
    ) -> SignInError {
        match error {
            RequestTokenError::ServerResponse(answer) => self.refusal(&code(&answer)).sort(site),
            RequestTokenError::Request(fault) => SignInError::Fault(fault),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                SignInError::Fault(Fault::Unreadable(Unreadable::Shape))
            }
        }
    }

    /// Reads a public document of the sign-in server.
    pub(super) async fn read(&self, url: &str) -> Result<(u16, Vec<u8>), Fault> {
        let request = http::Request::get(url).body(Vec::new());
        let reply = self.exchange(request.map_err(|_| Fault::Unreadable(Unreadable::Shape))?).await?;
        Ok((reply.status().as_u16(), reply.into_body()))
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, Fault> {
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
        let reply = self.http.send(request).await?;
        // Everything but 200 and an OAuth error is weather here.
        if reply.status == 429 || reply.status >= 500 {
            return Err(Fault::Refused { status: reply.status, code: None, retry_after: None, claims: None });
        }
        if reply.body.trim_ascii_start().first() == Some(&b'<') {
            return Err(Fault::Unreadable(Unreadable::WebPage));
        }
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Refusal::read(&reply.body);
        let mut response = HttpResponse::new(reply.body);
        *response.status_mut() =
            http::StatusCode::from_u16(reply.status).map_err(|_| Fault::Unreadable(Unreadable::Shape))?;
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Wire {
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Fault>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.exchange(request))
    }
}
