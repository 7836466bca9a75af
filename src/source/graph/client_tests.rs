//! The client over a server in memory: what goes out, how many at a time, and what a pause does.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::model::{Fault, Lookup, RemoteId, Secret, Window};
use crate::ports::{Bearer, Clock, Entropy, Http, HttpError, Method, Pending, Reply, Request};
use crate::source::graph::{Graph, GraphSite, PullMode, REQUESTS_IN_FLIGHT_MAX};

const NOW_MS: i64 = 1_778_140_800_000; // 2026-05-07T08:00:00Z
const WINDOW: Window = Window { from_ms: NOW_MS, to_ms: NOW_MS + 86_400_000 };

/// Answers each batch item and each event with itself, some turns of the runtime later.
#[derive(Default)]
struct Echo {
    in_flight: AtomicUsize,
    in_flight_most: AtomicUsize,
    urls: Mutex<Vec<String>>,
}

impl Http for Echo {
    fn send(&self, request: Request) -> Pending<'_, Result<Reply, HttpError>> {
        Box::pin(async move {
            let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            self.in_flight_most.fetch_max(now, Ordering::SeqCst);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
            self.urls.lock().unwrap().push(request.url.clone());
            let event = |url: &str| {
                let id = url.rsplit('/').next().unwrap_or_default().to_owned();
                serde_json::json!({
                    "id": id,
                    "start": {"dateTime": "2026-05-07T08:00:00"}, "end": {"dateTime": "2026-05-07T09:00:00"},
                })
            };
            let body = match request.method {
                Method::Post => {
                    let asked: serde_json::Value = serde_json::from_slice(&request.body.unwrap()).unwrap();
                    let items = asked["requests"].as_array().unwrap();
                    assert!(items.len() <= 4);
                    let answer = |item: &serde_json::Value| {
                        let body = event(item["url"].as_str().unwrap());
                        serde_json::json!({"id": item["id"], "status": 200, "body": body})
                    };
                    serde_json::json!({ "responses": items.iter().rev().map(answer).collect::<Vec<_>>() })
                }
                _ => event(&request.url),
            };
            Ok(Reply { status: 200, headers: Vec::new(), body: body.to_string().into_bytes() })
        })
    }
}

struct World {
    now_ms: AtomicI64,
}

impl Clock for World {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        self.now_ms.fetch_add(i64::try_from(duration.as_millis()).unwrap(), Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }
}

impl Entropy for World {
    fn roll(&self) -> f64 {
        0.5
    }

    fn bytes(&self) -> [u8; 16] {
        [1; 16]
    }
}

impl Bearer for World {
    fn token<'a>(
        &'a self,
        _refused: Option<&'a Secret>,
        _claims: Option<&'a str>,
    ) -> Pending<'a, Result<Secret, Fault>> {
        Box::pin(std::future::ready(Ok(Secret::new("t"))))
    }
}

fn graph(user: Option<&str>) -> (Graph, Arc<Echo>, Arc<World>) {
    let echo = Arc::new(Echo::default());
    let world = Arc::new(World { now_ms: AtomicI64::new(NOW_MS) });
    let site = GraphSite::new("https://graph.microsoft.com", user).unwrap();
    let graph = Graph::new(site, echo.clone(), world.clone(), world.clone(), world.clone());
    (graph, echo, world)
}

#[tokio::test]
async fn forty_ids_are_ten_batches_three_at_a_time() {
    let (graph, echo, _) = graph(None);
    let ids: Vec<RemoteId> = (0..40).map(|id| RemoteId::new(format!("e{id}"))).collect();
    let found = graph.lookup(&RemoteId::new("c"), &ids).await;
    let found: Vec<_> = found
        .iter()
        .map(|result| match result {
            Ok(Lookup::Found(record)) => record.remote_id.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, ids, "answers stand in the order of the ids");
    assert_eq!(echo.urls.lock().unwrap().len(), 10);
    assert_eq!(echo.in_flight_most.load(Ordering::SeqCst), REQUESTS_IN_FLIGHT_MAX);
    assert!(graph.lookup(&RemoteId::new("c"), &[]).await.is_empty());
}

#[tokio::test]
async fn clones_and_new_bearers_share_the_gate() {
    let (graph, echo, world) = graph(None);
    let other = graph.with_bearer(world.clone());
    other.pause_until(NOW_MS + 60_000);
    assert_eq!(graph.throttled_until_ms(), Some(NOW_MS + 60_000));
    let fault = graph.master(&RemoteId::new("c"), &RemoteId::new("m")).await.unwrap_err();
    assert_eq!(fault.kind(), "throttled");
    assert!(echo.urls.lock().unwrap().is_empty());
    // A clock set back does not lengthen it beyond an hour.
    world.now_ms.store(0, Ordering::Relaxed);
    assert_eq!(graph.throttled_until_ms(), Some(3_600_000));
}

#[test]
fn a_page_can_be_fetched_on_another_task() {
    fn is_send<T: Send>(_: T) {}
    let (graph, _, _) = graph(None);
    let link = graph.first_link(PullMode::Delta, &RemoteId::new("c"), WINDOW);
    is_send(graph.page(&link, 1));
    is_send(graph.calendars());
    let (graph, link) = (graph.clone(), link.clone());
    is_send(async move { graph.page(&link, 1).await });
}

#[test]
fn first_links_name_window_and_calendar() {
    let id = RemoteId::new("AA/+=");
    let link = |user, mode| graph(user).0.first_link(mode, &id, WINDOW).as_str().to_owned();
    let query = "startDateTime=2026-05-07T08:00:00Z&endDateTime=2026-05-08T08:00:00Z";
    let host = "https://graph.microsoft.com/v1.0";
    assert_eq!(
        link(None, PullMode::Delta),
        format!("{host}/me/calendars/AA%2F%2B%3D/calendarView/delta?{query}")
    );
    assert_eq!(link(None, PullMode::MailboxDelta), format!("{host}/me/calendarView/delta?{query}"));
    assert_eq!(
        link(Some("ann@x.test"), PullMode::Snapshot),
        format!("{host}/users/ann%40x.test/calendars/AA%2F%2B%3D/calendarView?{query}")
    );
    for mode in [PullMode::Delta, PullMode::MailboxDelta, PullMode::Snapshot] {
        assert_eq!(PullMode::from_code(mode.code()), Some(mode));
    }
}
