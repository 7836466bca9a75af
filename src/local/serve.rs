use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::api::{Error, ErrorKind, Mirrors};
use crate::engine::Handle;
use crate::local::announce::{Announcement, Written};
use crate::local::page::{self, Sessions};
use crate::local::route::{Shared, router};
use crate::model::Secret;
use crate::system::secret_hex;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// The longest a request's head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a connection's buffer, and so of a request's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Waited after an accept that failed (out of file handles), so that the loop does not spin.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

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

/// An open door. Closed, and its announcement taken back, when dropped.
pub struct Door {
    announcement: Announcement,
    acceptor: JoinHandle<()>,
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
        let listener = TcpListener::bind(listen.0).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        let announcement =
            Announcement { address, token: Secret::new(secret_hex()), pid: std::process::id() };
        let written = announcement.write(mirrors.data_dir())?;
        let sessions = Arc::new(Sessions::default());
        let shared =
            Arc::new(Shared { mirrors, engine, address, token: announcement.token.clone(), sessions });
        let acceptor = tokio::spawn(accept(listener, router(shared.clone())));
        Ok(Door { announcement, acceptor, shared, _written: written })
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
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("announcement", &self.announcement).finish_non_exhaustive()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// Accepts until aborted; its connections end with it.
async fn accept(listener: TcpListener, router: Router) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(kind = ?error.kind(), "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if served.is_err() {
                tracing::debug!("a connection ended early");
            }
            drop(permit);
        });
    }
}
