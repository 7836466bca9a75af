use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ports::Clock;

use super::document::DocumentError;
use super::seed::Seeding;
use super::wire::{Answer, Call, Transport};
use super::world::World;

/// The largest request body taken.
const REQUEST_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Replies below this are not worth compressing.
const GZIP_BYTES_MIN: usize = 512;

type ReplyBody = UnsyncBoxBody<Bytes, io::Error>;

/// Where a served world comes from.
pub enum Source {
    /// Made up from a seed.
    Seeded(Seeding),
    /// A mailbox document; its seed makes ids and tokens.
    Document {
        /// The document's text.
        text: String,
        /// The seed.
        seed: u64,
    },
    /// A world built by the caller, who may keep changing it.
    World(Arc<Mutex<World>>),
}

/// How to serve.
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What to serve.
    pub source: Source,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Why serving did not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address could not be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The mailbox document is wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// A running emulator; dropping it stops it.
pub struct Running {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Running {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://…`: the Graph and the authority URL.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The control URL.
    pub fn control_url(&self) -> String {
        format!("{}/_control", self.origin())
    }

    /// The program's first line on stdout: `{"graph_url","authority_url","control_url","users":[…]}`.
    pub fn first_line(&self) -> Value {
        let origin = self.origin();
        self.with(|world| world.first_line(&origin))
    }

    /// Looks at or changes the world while it is served.
    pub fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stops: connections end after the request they are in.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

/// Serves Graph, authority and control face on one loopback port until stopped. Needs a tokio runtime.
pub async fn serve(options: Options) -> Result<Running, ServeError> {
    let now_ms = options.clock.now_ms();
    let world = match options.source {
        Source::Seeded(seeding) => Arc::new(Mutex::new(World::seeded(seeding))),
        Source::Document { text, seed } => Arc::new(Mutex::new(World::from_document(&text, seed, now_ms)?)),
        Source::World(world) => world,
    };
    let address = options.listen;
    let listen = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let (stop, stopped) = watch::channel(false);
    let face = Face { world: world.clone(), clock: options.clock, origin: format!("http://{address}") };
    let task = tokio::spawn(accept(listener, Arc::new(face), stopped));
    Ok(Running { address, world, stop, task: Some(task) })
}

struct Face {
    world: Arc<Mutex<World>>,
    clock: Arc<dyn Clock>,
    origin: String,
}

async fn accept(listener: TcpListener, face: Arc<Face>, mut stopped: watch::Receiver<bool>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, face.clone(), stopped.clone()));
                }
                // Out of descriptors: let some close.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            _ = stopped.changed() => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, face: Arc<Face>, mut stopped: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(|request| {
        let face = face.clone();
        async move { face.respond(request).await }
    });
    let http = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut http = std::pin::pin!(http);
    tokio::select! {
        // An error here is a connection that broke, scripted or not.
        _ = http.as_mut() => {}
        _ = stopped.changed() => {
            http.as_mut().graceful_shutdown();
            let _ = http.await;
        }
    }
}

impl Face {
    fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An error makes hyper close the connection without a reply.
    async fn respond(
        &self,
        request: hyper::Request<Incoming>,
    ) -> Result<hyper::Response<ReplyBody>, io::Error> {
        let takes_gzip = accepts_gzip(request.headers());
        let call = self.call(request).await?;
        let now_ms = self.clock.now_ms();
        if call.path().starts_with("/_control") {
            let answer = self.with(|world| world.control(&call, now_ms));
            return response(answer, false);
        }
        let answer = self.with(|world| world.answer(&call, now_ms));
        let (wait_ms, is_dropped) = match answer.transport {
            Transport::Delay(ms) => (ms, false),
            Transport::Hang(ms) => (ms, true),
            Transport::Drop | Transport::Refuse => (0, true),
            Transport::Whole | Transport::Truncate(_) => (0, false),
        };
        if wait_ms > 0 {
            self.clock.sleep(Duration::from_millis(wait_ms)).await;
        }
        self.with(World::finished);
        if is_dropped {
            return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
        }
        response(answer, takes_gzip)
    }

    async fn call(&self, request: hyper::Request<Incoming>) -> Result<Call, io::Error> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await;
        let body = body.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?.to_bytes();
        let target = parts.uri.path_and_query().map_or("/", |t| t.as_str()).to_owned();
        let mut call = Call {
            method: parts.method.as_str().to_owned(),
            origin: self.origin.clone(),
            target,
            headers: Vec::with_capacity(parts.headers.len()),
            bearer: None,
            body: body.to_vec(),
        };
        let (mut scheme, mut host) = ("http", String::new());
        for (name, value) in &parts.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            match name.as_str() {
                "authorization" => match bearer(&value) {
                    Some(token) => call.bearer = Some(token),
                    None => call.headers.push(("authorization".to_owned(), value)),
                },
                "host" => host = value,
                "x-forwarded-proto" if value == "https" => scheme = "https",
                name => call.headers.push((name.to_owned(), value)),
            }
        }
        // Links lead back the way the client came, through a TLS proxy too.
        if !host.is_empty() {
            call.origin = format!("{scheme}://{host}");
        }
        Ok(call)
    }
}

fn bearer(value: &str) -> Option<String> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

fn accepts_gzip(headers: &hyper::HeaderMap) -> bool {
    let mut values = headers.get_all("accept-encoding").iter().filter_map(|v| v.to_str().ok());
    values.any(|v| v.split(',').any(|e| matches!(e.trim().split(';').next(), Some("gzip" | "*"))))
}

fn response(answer: Answer, takes_gzip: bool) -> Result<hyper::Response<ReplyBody>, io::Error> {
    let mut body = answer.body;
    let mut builder = hyper::Response::builder().status(answer.status);
    let is_encoded = answer.headers.iter().any(|(n, _)| n == "content-encoding");
    for (name, value) in &answer.headers {
        builder = builder.header(name, value);
    }
    if takes_gzip && !is_encoded && body.len() >= GZIP_BYTES_MIN {
        body = gzip(&body)?;
        builder = builder.header("content-encoding", "gzip").header("vary", "Accept-Encoding");
    }
    if let Transport::Truncate(bytes) = answer.transport
        && bytes < body.len()
    {
        let promised = body.len();
        body.truncate(bytes);
        let first = Ok(Frame::data(Bytes::from(body)));
        let frames = stream::iter([first, Err(io::Error::from(io::ErrorKind::ConnectionAborted))]);
        return builder
            .header("content-length", promised)
            .body(StreamBody::new(frames).boxed_unsync())
            .map_err(invalid_http);
    }
    let whole = Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {});
    builder.body(whole.boxed_unsync()).map_err(invalid_http)
}

fn invalid_http(_: hyper::http::Error) -> io::Error {
    io::Error::from(io::ErrorKind::InvalidData)
}

fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    use std::io::Write;
    let mut encoder =
        flate2::write::GzEncoder::new(Vec::with_capacity(body.len() / 6), flate2::Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}
