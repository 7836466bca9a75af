//! Ours: the real path, from the socket to the committed row.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use calmirror::flow::pull::{PullOrder, PullPorts, PullReport, pull};
use calmirror::flow::sign_in::fixed_bearer;
use calmirror::flow::upkeep::upkeep;
use calmirror::http::HttpClient;
use calmirror::mirror::Mirror;
use calmirror::model::Secret;
use calmirror::ports::{Clock, Entropy, Http, Pending};
use calmirror::source::graph::{Graph, GraphSite};
use tokio::runtime::Runtime;

use crate::data::{DAY_MS, NOW_MS, REACH_DAYS};

/// The runtime the engine has: one thread for the network, the caller's thread for the mirror.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Stands still: every measure happens at the same instant.
struct Still;

impl Clock for Still {
    fn now_ms(&self) -> i64 {
        NOW_MS
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        panic!("a measure waits for nothing, and was asked to wait for {duration:?}")
    }
}

/// Rolls the middle, always.
pub struct Even;

impl Entropy for Even {
    fn roll(&self) -> f64 {
        0.5
    }

    fn bytes(&self) -> [u8; 16] {
        [7; 16]
    }
}

/// One mailbox, its server and its mirror.
pub struct Session {
    pub mirror: Mirror,
    graph: Graph,
    ports: PullPorts,
    runtime: Arc<Runtime>,
}

impl Session {
    pub fn start(address: SocketAddr, file: &Path) -> Session {
        Session::start_on(Arc::new(runtime()), address, file)
    }

    pub fn start_on(runtime: Arc<Runtime>, address: SocketAddr, file: &Path) -> Session {
        let (mirror, _) = Mirror::open(file, NOW_MS).unwrap();
        let (clock, entropy) = (Arc::new(Still), Arc::new(Even));
        let graph = Graph::new(
            GraphSite::new(&format!("http://{address}"), None).unwrap(),
            HttpClient::new().unwrap() as Arc<dyn Http>,
            fixed_bearer(Secret::new("bench")),
            clock.clone(),
            entropy.clone(),
        );
        Session { mirror, graph, ports: PullPorts { clock, entropy }, runtime }
    }

    /// One pull, complete or the bench stops.
    pub fn pull(&mut self) -> PullReport {
        let order = PullOrder {
            is_full: false,
            is_asked: false,
            past_ms: REACH_DAYS * DAY_MS,
            future_ms: REACH_DAYS * DAY_MS,
        };
        let Session { mirror, graph, ports, runtime } = self;
        let report = runtime.block_on(pull(mirror, graph, ports, order, &mut |_| {})).unwrap();
        assert!(report.fault.is_none() && report.failed == 0, "{report:?}");
        report
    }

    /// What the engine does after each pull.
    pub fn keep_up(&mut self) {
        upkeep(&mut self.mirror).unwrap();
    }

    pub fn close(self) {
        self.mirror.close().unwrap();
    }
}
