//! The thread that owns the engine: it watches, and between two watches does what only the owner can.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use crate::api::{Error, ErrorKind};
use crate::embed::sign_in::{Prompt, Step, Way, closing};
use crate::engine::{Engine, Handle, OtherMailbox, SignOut};

/// Orders that may wait; a caller that finds so many is told to come back.
const ORDERS_MAX: usize = 16;

/// What only the engine's owner can do.
pub(super) enum Order {
    SignIn { account: String, way: Way, other: OtherMailbox, steps: mpsc::Sender<Step> },
    SignOut { account: String, what: SignOut, done: mpsc::Sender<Result<(), Error>> },
    Close,
}

/// The orders that wait. A new one interrupts the watch, and a sign-in that waits for its user.
#[derive(Default)]
struct Orders {
    queue: Mutex<Queue>,
    came: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Order>,
    /// Nobody takes orders any more.
    is_closed: bool,
}

/// Refuses whatever waits when the thread ends, also by a bug.
struct Ending<'o>(&'o Orders);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.is_closed = true;
        queue.waiting.clear();
    }
}

/// The engine on its thread.
pub(super) struct Keeper {
    orders: Arc<Orders>,
    handle: Handle,
    runtime: tokio::runtime::Handle,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    pub(super) fn start(engine: Engine) -> Result<Keeper, Error> {
        let (handle, runtime) = (engine.handle(), engine.runtime().clone());
        let orders = Arc::new(Orders::default());
        let waiting = orders.clone();
        let thread = std::thread::Builder::new()
            .name("calmirror-engine".to_owned())
            .spawn(move || keep(engine, &waiting))
            .map_err(|error| Error::because(ErrorKind::Failed, "no thread could be started", error))?;
        Ok(Keeper { orders, handle, runtime, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }

    pub(super) fn order(&self, order: Order) -> Result<(), Error> {
        let mut queue = self.orders.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.is_closed {
            return Err(closing());
        }
        if queue.waiting.len() >= ORDERS_MAX && !matches!(order, Order::Close) {
            return Err(Error::new(ErrorKind::Busy, "the engine has too much to do; try again in a moment"));
        }
        queue.waiting.push_back(order);
        // Under the lock: a stop belongs to an order that the thread has not yet taken.
        self.handle.stop();
        self.orders.came.notify_one();
        Ok(())
    }

    /// Ends the engine in order and waits for its end.
    pub(super) fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Refused only when the thread has ended by itself.
            let _ = self.order(Order::Close);
            if thread.join().is_err() {
                tracing::error!("the engine's thread ended by a bug");
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.close();
    }
}

fn keep(mut engine: Engine, orders: &Orders) {
    let _ending = Ending(orders);
    let mut watches = true;
    loop {
        let order = {
            let mut queue = orders.queue.lock().unwrap_or_else(PoisonError::into_inner);
            if !watches {
                // Nothing to watch until somebody signs in or the host closes.
                queue = orders
                    .came
                    .wait_while(queue, |queue| queue.waiting.is_empty())
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let order = queue.waiting.pop_front();
            if order.is_some() {
                engine.forget_stop();
            }
            order
        };
        match order {
            Some(Order::Close) => return,
            Some(Order::SignIn { account, way, other, steps }) => {
                let end = sign_in(&mut engine, &account, way, other, &steps);
                // A host that went away finds the account signed in, or not, in `status`.
                let _ = steps.send(Step::End(end));
                watches = true;
            }
            Some(Order::SignOut { account, what, done }) => {
                let _ = done.send(engine.sign_out(&account, what));
                watches = true;
            }
            None => {
                if let Err(error) = engine.watch(&mut |_| {}) {
                    tracing::warn!(error = %error, "no account can be kept in step");
                    watches = false;
                }
            }
        }
    }
}

fn sign_in(
    engine: &mut Engine,
    account: &str,
    way: Way,
    other: OtherMailbox,
    steps: &mpsc::Sender<Step>,
) -> Result<(), Error> {
    match way {
        Way::Browser => engine.sign_in_with_browser(account, other, &mut |prompt| {
            let _ = steps.send(Step::Prompt(Prompt::Browser(prompt.clone())));
        }),
        Way::DeviceCode => engine.sign_in(account, other, &mut |prompt| {
            let _ = steps.send(Step::Prompt(Prompt::DeviceCode(prompt.clone())));
        }),
    }
}
