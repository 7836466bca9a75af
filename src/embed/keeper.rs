//! The thread that owns the engine: it watches until the host closes.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::api::{Error, ErrorKind};
use crate::engine::{Engine, Handle};

/// The engine on its thread.
pub(super) struct Keeper {
    handle: Handle,
    runtime: tokio::runtime::Handle,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Why it ended by itself, if it did.
    refused: Arc<Mutex<Option<(ErrorKind, String)>>>,
}

impl Keeper {
    pub(super) fn start(mut engine: Engine) -> Result<Keeper, Error> {
        let (handle, runtime) = (engine.handle(), engine.runtime().clone());
        let refused: Arc<Mutex<Option<(ErrorKind, String)>>> = Arc::default();
        let note = refused.clone();
        let work = move || {
            if let Err(error) = engine.watch(&mut |_| {}) {
                tracing::warn!(error = %error, "no account can be kept in step");
                *note.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((error.kind(), error.to_string()));
            }
        };
        let thread = std::thread::Builder::new()
            .name("calmirror-engine".to_owned())
            .spawn(work)
            .map_err(|error| Error::because(ErrorKind::Failed, "no thread could be started", error))?;
        Ok(Keeper { handle, runtime, thread: Mutex::new(Some(thread)), refused })
    }

    /// The way to the engine.
    ///
    /// # Errors
    /// Why no account can be kept in step.
    pub(super) fn engine(&self) -> Result<&Handle, Error> {
        match &*self.refused.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(&self.handle),
            Some((kind, message)) => Err(Error::new(*kind, message.clone())),
        }
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }

    /// Ends the engine in order and waits for its end.
    pub(super) fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            self.handle.stop();
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
