use std::net::{Ipv4Addr, SocketAddr};
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::api::{Error, ErrorKind, Mirrors};
use crate::engine::Handle;
use crate::local::announce::{Announcement, Written};
use crate::local::page::{self, Sessions};
use crate::local::patience::Patient;
use crate::local::route::{ANSWERS_AT_ONCE, Shared, Way, router};
use crate::local::stream::STREAMS_MAX;
use crate::model::Secret;
use crate::system::secret_hex;

/// Connections at a time, twice as many as streams; more wait to be accepted.
const CONNECTIONS_MAX: usize = 2 * STREAMS_MAX;
/// The longest a request's head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a connection's buffer, and so of a request's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Waited after an accept that failed (out of file handles), so that the loop does not spin.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The longest that answers under way are waited for when the door closes.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// The socket's name in the data directory.
#[cfg(unix)]
const SOCKET_FILE: &str = "engine.sock";

/// Where a door listens: an address of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(SocketAddr);

impl Default for Listen {
    fn default() -> Listen {
        Listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }
}

impl std::str::FromStr for Listen {
    type Err = Error;

    /// Reads `127.0.0.1:0`; only loopback addresses.
    fn from_str(text: &str) -> Result<Listen, Error> {
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Listen(address)),
            Ok(_) => {
                Err(Error::new(ErrorKind::Usage, "only loopback addresses: 127.0.0.1:PORT or [::1]:PORT"))
            }
            Err(_) => Err(Error::new(ErrorKind::Usage, "an address and a port, such as 127.0.0.1:0")),
        }
    }
}

/// An open door. When dropped, it is closed, its announcement taken back, and who is inside is sent away.
pub struct Door {
    announcement: Announcement,
    acceptor: Option<JoinHandle<()>>,
    closing: watch::Sender<bool>,
    shared: Arc<Shared>,
    _written: Written,
}

impl Door {
    /// Listens, and announces itself in the data directory. The caller must own the data directory's engine.
    ///
    /// # Errors
    /// `Usage` when the address is taken, `Failed` when the announcement cannot be written.
    pub async fn open(listen: Listen, mirrors: Arc<Mirrors>, engine: Handle) -> Result<Door, Error> {
        let taken = |error: std::io::Error| {
            Error::because(ErrorKind::Usage, format!("cannot listen on {}: {error}", listen.0), error)
        };
        let tcp = TcpListener::bind(listen.0).await.map_err(taken)?;
        let address = tcp.local_addr().map_err(taken)?;
        #[cfg(unix)]
        let socket = Socket::bind(mirrors.data_dir().join(SOCKET_FILE));
        let announcement = Announcement {
            address,
            token: Secret::new(secret_hex()),
            pid: std::process::id(),
            #[cfg(unix)]
            socket: socket.as_ref().map(|socket| socket.path.clone()),
            #[cfg(not(unix))]
            socket: None,
        };
        let written = announcement.write(mirrors.data_dir())?;
        let (closing, closes) = watch::channel(false);
        let shared = Arc::new(Shared {
            mirrors,
            engine,
            address,
            token: announcement.token.clone(),
            sessions: Arc::new(Sessions::default()),
            answers: Arc::new(Semaphore::new(ANSWERS_AT_ONCE)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            closing: closes,
        });
        let entries = Entries {
            tcp,
            #[cfg(unix)]
            socket,
        };
        let acceptor = Some(tokio::spawn(accept(entries, shared.clone())));
        Ok(Door { announcement, acceptor, closing, shared, _written: written })
    }

    /// A link that signs one browser in to the page, good once and for ten minutes.
    pub fn invite(&self) -> Secret {
        let code = self.shared.sessions.invite(self.shared.mirrors.now_ms());
        Secret::new(page::link(self.shared.address, &code))
    }

    /// Where it is and what to show it.
    pub fn announcement(&self) -> &Announcement {
        &self.announcement
    }

    /// Closes it in order: nobody comes in any more, streams end, and answers under way are waited for a moment.
    pub async fn close(mut self) {
        self.closing.send_replace(true);
        if let Some(acceptor) = self.acceptor.take() {
            // It ends by itself, within its limit.
            let _ = acceptor.await;
        }
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("announcement", &self.announcement).finish_non_exhaustive()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(acceptor) = &self.acceptor {
            acceptor.abort();
        }
    }
}

/// What bytes go through.
trait Pipe: AsyncRead + AsyncWrite + Unpin + Send {}
impl<P: AsyncRead + AsyncWrite + Unpin + Send> Pipe for P {}

/// The ways in.
struct Entries {
    tcp: TcpListener,
    #[cfg(unix)]
    socket: Option<Socket>,
}

impl Entries {
    /// The next who comes in; `None` for one who may not.
    async fn next(&self) -> std::io::Result<Option<(Box<dyn Pipe>, Way)>> {
        #[cfg(unix)]
        let neighbour = async {
            match &self.socket {
                Some(socket) => socket.next().await,
                None => std::future::pending().await,
            }
        };
        #[cfg(not(unix))]
        let neighbour = std::future::pending::<std::io::Result<Option<(Box<dyn Pipe>, Way)>>>();
        tokio::select! {
            accepted = self.tcp.accept() => Ok(Some((Box::new(accepted?.0), Way::Loopback))),
            neighbour = neighbour => neighbour,
        }
    }
}

/// The socket in the data directory, for processes of our user alone. Its file is removed when dropped.
#[cfg(unix)]
struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

#[cfg(unix)]
impl Socket {
    /// Listens there; `None` where it cannot be made (a long path, a file system without sockets): the other way in is
    /// enough.
    fn bind(path: PathBuf) -> Option<Socket> {
        // One that an engine left which did not end in order: we own the data directory now.
        let _ = std::fs::remove_file(&path);
        match UnixListener::bind(&path).and_then(|listener| make_private(&path).map(|()| listener)) {
            Ok(listener) => Some(Socket { listener, path }),
            Err(error) => {
                tracing::debug!(error = %error, "there is no socket in the data directory");
                None
            }
        }
    }

    async fn next(&self) -> std::io::Result<Option<(Box<dyn Pipe>, Way)>> {
        let (stream, _) = self.listener.accept().await?;
        // The file's mode keeps others out already; on some systems it is not looked at.
        let is_ours = stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw());
        if !is_ours {
            tracing::debug!("a process of another user was turned away from the socket");
            return Ok(None);
        }
        Ok(Some((Box::new(stream), Way::Socket)))
    }
}

#[cfg(unix)]
impl Drop for Socket {
    fn drop(&mut self) {
        // One that stays behind is a file where nobody answers.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn make_private(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

/// Accepts until the door closes; its connections end with it.
async fn accept(entries: Entries, shared: Arc<Shared>) {
    let mut closing = shared.closing.clone();
    let by_loopback = router(shared.clone(), Way::Loopback);
    let by_socket = router(shared, Way::Socket);
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let permit = permits.clone().acquire_owned().await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>((entries.next().await?, permit))
        };
        let next = tokio::select! {
            biased;
            _ = closing.wait_for(|closes| *closes) => break,
            next = next => next,
        };
        match next {
            Ok((Some((stream, way)), permit)) => {
                let router = match way {
                    Way::Loopback => by_loopback.clone(),
                    Way::Socket => by_socket.clone(),
                };
                connections.spawn(converse(stream, router, closing.clone(), permit));
            }
            Ok((None, _)) => {}
            Err(error) => {
                tracing::debug!(kind = ?error.kind(), "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
    drop(entries);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(CLOSE_MAX, all_ended).await.is_err() {
        tracing::debug!("connections were cut: they did not end in time");
    }
}

/// Serves one connection until it ends or the door closes.
async fn converse(
    stream: Box<dyn Pipe>,
    router: Router,
    mut closing: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream)), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => Some(served),
        () = async { drop(closing.wait_for(|closes| *closes).await) } => None,
    };
    let served = match served {
        Some(served) => served,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if served.is_err() {
        tracing::debug!("a connection ended early");
    }
}
