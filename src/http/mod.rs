//! HTTP over reqwest: the platform's root certificates, the system's proxies, one pool, no redirects.
//!
//! Every reply is read within the limits of its request; the limit counts inflated bytes, so that a small reply
//! cannot grow without end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use crate::model::{Broken, Unreadable};
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

/// The real HTTP client.
#[derive(Clone)]
pub struct HttpClient {
    client: reqwest::Client,
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
        // A second installation is refused and harmless: some other part of the host was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("calmirror/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .gzip(true)
            .build()
            .map_err(HttpSetupError)?;
        Ok(Arc::new(HttpClient { client }))
    }

    async fn exchange(&self, request: Request) -> Result<Reply, HttpError> {
        let url = reqwest::Url::parse(&request.url).map_err(|_| HttpError::Broken(Broken::Protocol))?;
        // A link is sent back byte for byte or not at all.
        if url.as_str() != request.url {
            return Err(HttpError::Broken(Broken::Protocol));
        }
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.client.request(method, url).timeout(request.timeout);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(bearer) = &request.bearer {
            builder = builder.bearer_auth(bearer.expose());
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let response = builder.send().await.map_err(|error| sort(&error))?;
        let status = response.status().as_u16();
        if (300..400).contains(&status) && status != 304 {
            return Err(HttpError::Unreadable(Unreadable::Redirect));
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
            let chunk = chunk.map_err(|error| sort(&error))?;
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

/// Sorts reqwest's errors by their kind and, where it has none, by the error that caused it. Texts are never kept:
/// they name addresses.
fn sort(error: &reqwest::Error) -> HttpError {
    if error.is_timeout() {
        return HttpError::Broken(Broken::Timeout);
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut is_protocol = false;
    while let Some(found) = cause {
        if found.downcast_ref::<rustls::Error>().is_some() {
            return HttpError::Broken(Broken::Tls);
        }
        if let Some(io) = found.downcast_ref::<std::io::Error>() {
            match io.kind() {
                std::io::ErrorKind::TimedOut => return HttpError::Broken(Broken::Timeout),
                std::io::ErrorKind::ConnectionRefused
                | std::io::ErrorKind::HostUnreachable
                | std::io::ErrorKind::NetworkUnreachable => return HttpError::Broken(Broken::Connect),
                std::io::ErrorKind::ConnectionReset
                | std::io::ErrorKind::ConnectionAborted
                | std::io::ErrorKind::BrokenPipe => return HttpError::Broken(Broken::Reset),
                std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData if error.is_decode() => {
                    return HttpError::Unreadable(Unreadable::Encoding);
                }
                _ => {}
            }
            if io.get_ref().is_some_and(|inner| inner.downcast_ref::<rustls::Error>().is_some()) {
                return HttpError::Broken(Broken::Tls);
            }
        }
        is_protocol |= found.to_string().contains("invalid HTTP")
            || found.to_string().contains("message head is too large");
        cause = found.source();
    }
    if error.is_connect() {
        HttpError::Broken(Broken::Connect)
    } else if is_protocol {
        HttpError::Broken(Broken::Protocol)
    } else if error.is_decode() {
        // The body of a reply ended early, or its compression is broken: both mean that it cannot be trusted.
        HttpError::Unreadable(Unreadable::Encoding)
    } else {
        HttpError::Broken(Broken::Reset)
    }
}
