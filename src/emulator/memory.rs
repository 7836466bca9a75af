use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::model::{Broken, Unreadable};
use crate::ports::{Clock, Http, HttpError, Method, Pending, Reply, Request};

use super::wire::{Answer, Call, Transport};
use super::world::World;

/// The service in memory: [`Http`] without a socket, on whatever clock it is given. Any origin will do in URLs;
/// links lead back to the origin they were asked from.
#[derive(Clone)]
pub struct InMemory {
    world: Arc<Mutex<World>>,
    clock: Arc<dyn Clock>,
}

impl InMemory {
    /// Wraps a world. Clones share it.
    pub fn new(world: World, clock: Arc<dyn Clock>) -> InMemory {
        InMemory { world: Arc::new(Mutex::new(world)), clock }
    }

    /// Looks at or changes the world. Must not be called from within itself.
    pub fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The shared world itself, as [`super::Source::World`] wants it.
    pub fn world(&self) -> Arc<Mutex<World>> {
        self.world.clone()
    }

    async fn exchange(&self, request: Request) -> Result<Reply, HttpError> {
        let broken = |why| Err(HttpError::Broken(why));
        let Some(call) = call_of(&request) else { return broken(Broken::Protocol) };
        let now_ms = self.clock.now_ms();
        let answer = self.with(|world| world.answer(&call, now_ms));
        let outcome = self.deliver(answer, &request).await;
        self.with(World::finished);
        outcome
    }

    async fn deliver(&self, answer: Answer, request: &Request) -> Result<Reply, HttpError> {
        let wait_ms = match answer.transport {
            Transport::Delay(ms) | Transport::Hang(ms) => ms,
            Transport::Whole | Transport::Drop | Transport::Refuse | Transport::Truncate(_) => 0,
        };
        let wait = Duration::from_millis(wait_ms);
        if wait >= request.timeout && wait_ms > 0 {
            self.clock.sleep(request.timeout).await;
            return Err(HttpError::Broken(Broken::Timeout));
        }
        if wait_ms > 0 {
            self.clock.sleep(wait).await;
        }
        match answer.transport {
            Transport::Refuse => Err(HttpError::Broken(Broken::Connect)),
            Transport::Drop | Transport::Hang(_) => Err(HttpError::Broken(Broken::Reset)),
            Transport::Truncate(bytes) if bytes < answer.body.len() => Err(HttpError::Broken(Broken::Reset)),
            Transport::Whole | Transport::Delay(_) | Transport::Truncate(_) => {
                if answer.body.len() > request.reply_bytes_max {
                    return Err(HttpError::Unreadable(Unreadable::TooLarge));
                }
                Ok(Reply { status: answer.status, headers: answer.headers, body: answer.body })
            }
        }
    }
}

impl Http for InMemory {
    fn send(&self, request: Request) -> Pending<'_, Result<Reply, HttpError>> {
        Box::pin(self.exchange(request))
    }
}

fn call_of(request: &Request) -> Option<Call> {
    let (scheme, rest) = request.url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at_checked(end)?;
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    };
    Some(Call {
        method: method.into(),
        origin: format!("{scheme}://{host}"),
        target,
        headers: request.headers.iter().map(|(n, v)| (n.to_ascii_lowercase(), v.clone())).collect(),
        bearer: request.bearer.as_ref().map(|b| b.expose().to_owned()),
        body: request.body.clone().unwrap_or_default(),
    })
}
