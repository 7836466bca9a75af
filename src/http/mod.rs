//! HTTP over reqwest: the platform's root certificates, the system's proxies, one pool, no redirects.
//!
//! Every reply is read within the limits of its request; the limit counts inflated bytes, so that a small reply
//! cannot grow without end.
//!
//! Loopback addresses never go through a proxy: nothing else answers there, and a proxy that is asked for
//! `127.0.0.1` would look at its own machine.

mod fault;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::CONTENT_ENCODING;

use crate::model::{Broken, Unreadable, is_loopback, plain_url};
use crate::ports::{Http, HttpError, Method, Pending, Reply, Request};

/// The most time a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Idle connections kept a host.
const IDLE_MAX: usize = 4;
/// How long an idle connection is kept: shorter than most proxies do.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Headers kept of a reply.
const HEADERS_MAX: usize = 200;
/// The most bytes of a header value that are kept.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// A reply's buffer starts at most this large, whatever length it claims.
const BUFFER_BYTES_FIRST: usize = 64 * 1024;

/// How the client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpOptions {
    /// The most time a connection may take to be made.
    pub connect_timeout: Duration,
    /// Shortens the timeout of every request to this.
    pub timeout_max: Duration,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions { connect_timeout: CONNECT_TIMEOUT, timeout_max: Duration::MAX }
    }
}

/// The real HTTP client.
#[derive(Clone)]
pub struct HttpClient {
    /// Through the system's proxies.
    outside: reqwest::Client,
    /// To loopback addresses, without proxy.
    loopback: reqwest::Client,
    timeout_max: Duration,
}

/// The client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be set up: {0}")]
pub struct HttpSetupError(#[source] reqwest::Error);

impl HttpClient {
    /// A client with the platform's certificates and proxies.
    ///
    /// # Errors
    /// When the platform's certificates cannot be read.
    pub fn new() -> Result<Arc<HttpClient>, HttpSetupError> {
        HttpClient::with_options(HttpOptions::default())
    }

    /// As [`HttpClient::new`], with other limits of time.
    ///
    /// # Errors
    /// When the platform's certificates cannot be read.
    pub fn with_options(options: HttpOptions) -> Result<Arc<HttpClient>, HttpSetupError> {
        // A second installation is refused and harmless: some other part of the host was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("calmirror/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(options.connect_timeout)
                .pool_max_idle_per_host(IDLE_MAX)
                .pool_idle_timeout(IDLE_TIMEOUT)
                .tcp_nodelay(true)
                .gzip(true)
                .http1_max_headers(HEADERS_MAX)
        };
        Ok(Arc::new(HttpClient {
            outside: builder().build().map_err(HttpSetupError)?,
            loopback: builder().no_proxy().build().map_err(HttpSetupError)?,
            timeout_max: options.timeout_max,
        }))
    }

    async fn exchange(&self, request: Request) -> Result<Reply, HttpError> {
        // A link is sent back byte for byte or not at all.
        let url = plain_url(&request.url).ok_or(HttpError::Broken(Broken::Protocol))?;
        let client = if is_loopback(&url) { &self.loopback } else { &self.outside };
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = client.request(method, url).timeout(request.timeout.min(self.timeout_max));
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(bearer) = &request.bearer {
            builder = builder.bearer_auth(bearer.expose());
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let response = builder.send().await.map_err(|error| fault::of(&error))?;
        let status = response.status().as_u16();
        if (300..400).contains(&status) && status != 304 {
            return Err(HttpError::Unreadable(Unreadable::Redirect));
        }
        // What was inflated is no longer named in the headers.
        if response.headers().get_all(CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
            return Err(HttpError::Unreadable(Unreadable::Encoding));
        }
        if response.content_length().is_some_and(|bytes| bytes > request.reply_bytes_max as u64) {
            return Err(HttpError::Unreadable(Unreadable::TooLarge));
        }
        let headers = response
            .headers()
            .iter()
            .take(HEADERS_MAX)
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .filter(|(_, value)| value.len() <= HEADER_BYTES_MAX)
            .collect();
        let mut body = Vec::with_capacity(BUFFER_BYTES_FIRST.min(request.reply_bytes_max));
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| fault::of(&error))?;
            if body.len() + chunk.len() > request.reply_bytes_max {
                return Err(HttpError::Unreadable(Unreadable::TooLarge));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body })
    }
}

impl Http for HttpClient {
    fn send(&self, request: Request) -> Pending<'_, Result<Reply, HttpError>> {
        Box::pin(self.exchange(request))
    }
}
