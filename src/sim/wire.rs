use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};

use crate::emulator::InMemory;
use crate::ports::{Http, HttpError, Pending, Reply, Request};
use crate::sim::user::Sent;

/// Where a crash cuts a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// It was never sent.
    Before,
    /// The server has answered; nobody reads it.
    After,
}

/// The way to the server, which ends at a chosen request: the engine never hears of anything again.
pub(super) struct CrashingWire {
    server: InMemory,
    left: AtomicI64,
    cut: Cut,
    crashed: Arc<tokio::sync::Notify>,
    sent: Sent,
}

impl CrashingWire {
    /// A way that lets `requests` pass and then crashes; `None` never does.
    pub(super) fn new(server: InMemory, requests: Option<u32>, cut: Cut, sent: Sent) -> CrashingWire {
        let left = requests.map_or(i64::MAX, i64::from);
        CrashingWire {
            server,
            left: AtomicI64::new(left),
            cut,
            crashed: Arc::new(tokio::sync::Notify::new()),
            sent,
        }
    }

    /// Told when the crash happens.
    pub(super) fn crashed(&self) -> Arc<tokio::sync::Notify> {
        self.crashed.clone()
    }
}

impl Http for CrashingWire {
    fn send(&self, request: Request) -> Pending<'_, Result<Reply, HttpError>> {
        Box::pin(async move {
            let is_last = self.left.fetch_sub(1, Ordering::SeqCst) <= 0;
            if is_last && self.cut == Cut::Before {
                self.crashed.notify_one();
                std::future::pending::<()>().await;
            }
            if let Some(body) = request.body.as_ref().filter(|_| !request.url.contains("$batch")) {
                let digest = blake3::hash(body).to_hex().chars().take(16).collect();
                let body = String::from_utf8_lossy(body).into_owned();
                self.sent.lock().unwrap_or_else(PoisonError::into_inner).push((body, digest));
            }
            let reply = self.server.send(request).await;
            if is_last {
                self.crashed.notify_one();
                std::future::pending::<()>().await;
            }
            reply
        })
    }
}
