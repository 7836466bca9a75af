//! Signing in and out beside a watching engine: whoever asks shows the user where to go, the engine waits for the end.

use std::convert::Infallible;
use std::sync::mpsc;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::api::{Error, ErrorKind};
use crate::engine::desk::{self, Desk};
use crate::engine::office::Office;
use crate::engine::watch::stopping;
use crate::engine::{BrowserPrompt, DevicePrompt, OtherMailbox, SignOut};

/// How a user signs in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Way {
    /// In a browser on this machine.
    #[default]
    Browser,
    /// With a code, in a browser anywhere.
    DeviceCode,
}

/// What to show the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// The browser to open.
    Browser(BrowserPrompt),
    /// The page and the code.
    DeviceCode(DevicePrompt),
}

impl Prompt {
    /// It as JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Prompt::Browser(prompt) => json!({
                "way": "browser",
                "authorize_url": prompt.authorize_url,
                "valid_seconds": prompt.valid.as_secs(),
            }),
            Prompt::DeviceCode(prompt) => json!({
                "way": "device_code",
                "verification_url": prompt.verification_url,
                "user_code": prompt.user_code,
                "valid_seconds": prompt.valid.as_secs(),
            }),
        }
    }
}

/// A sign-in under way. Dropped, it is given up.
#[derive(Debug)]
pub struct SignIn {
    prompt: Prompt,
    begun: Begun,
}

/// A sign-in that was asked for.
#[derive(Debug)]
pub(super) struct Begun {
    prompts: mpsc::Receiver<Prompt>,
    end: oneshot::Receiver<Result<(), Error>>,
    /// Tells the engine that somebody still waits.
    waiting: oneshot::Sender<Infallible>,
}

/// What is done with an account's desk other than syncing.
pub(super) enum Visit {
    SignIn { way: Way, other: OtherMailbox, steps: Steps },
    SignOut { what: SignOut, reply: oneshot::Sender<Result<(), Error>> },
}

/// The engine's side of a sign-in.
pub(super) struct Steps {
    prompts: mpsc::Sender<Prompt>,
    end: oneshot::Sender<Result<(), Error>>,
    given_up: oneshot::Receiver<Infallible>,
}

impl SignIn {
    pub(super) fn plan(way: Way, other: OtherMailbox) -> (Visit, Begun) {
        let (prompt, prompts) = mpsc::channel();
        let (ended, end) = oneshot::channel();
        let (waiting, given_up) = oneshot::channel();
        let steps = Steps { prompts: prompt, end: ended, given_up };
        (Visit::SignIn { way, other, steps }, Begun { prompts, end, waiting })
    }

    /// What to show the user.
    pub fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// Waits until the user has signed in, or has not; on any runtime.
    ///
    /// # Errors
    /// As [`crate::engine::Engine::sign_in`]; `Busy` when the engine stopped.
    pub async fn ended(self) -> Result<(), Error> {
        let Begun { end, waiting, .. } = self.begun;
        let ended = end.await.unwrap_or_else(|_| Err(stopping()));
        drop(waiting);
        ended
    }

    /// The same for a caller that does not await.
    ///
    /// # Errors
    /// As [`SignIn::ended`].
    pub fn wait(self) -> Result<(), Error> {
        let Begun { end, waiting, .. } = self.begun;
        // On a thread of its own: the caller's may belong to a runtime, which refuses to be blocked.
        let ended = std::thread::spawn(move || end.blocking_recv()).join();
        drop(waiting);
        ended.ok().and_then(Result::ok).unwrap_or_else(|| Err(stopping()))
    }
}

impl Begun {
    /// Blocks until there is something to show.
    pub(super) fn begin(mut self) -> Result<SignIn, Error> {
        match self.prompts.recv() {
            Ok(prompt) => Ok(SignIn { prompt, begun: self }),
            // Its end is told before the last prompt is ruled out.
            Err(mpsc::RecvError) => match self.end.try_recv() {
                Ok(Err(error)) => Err(error),
                Ok(Ok(())) => Err(Error::new(ErrorKind::Failed, "the sign-in asked nobody")),
                Err(_) => Err(stopping()),
            },
        }
    }
}

impl Visit {
    pub(super) fn refuse(self, error: Error) {
        // Who went away needs no answer.
        match self {
            Visit::SignIn { steps, .. } => drop(steps.end.send(Err(error))),
            Visit::SignOut { reply, .. } => drop(reply.send(Err(error))),
        }
    }

    /// Does it; `seat` is the account's desk, if it is open. Answers how a sign-in ended that was not given up.
    pub(super) async fn run(
        self,
        office: &Office,
        account: &str,
        seat: &mut Option<Desk>,
    ) -> Option<Result<(), ErrorKind>> {
        match self {
            Visit::SignIn { way, other, steps: Steps { prompts, end, given_up } } => {
                let prompt = |prompt: Prompt| drop(prompts.send(prompt));
                let work = async {
                    let desk = match seat {
                        Some(desk) => desk,
                        closed => closed.insert(office.open(account)?),
                    };
                    match way {
                        Way::Browser => {
                            let mut show = |shown: &BrowserPrompt| prompt(Prompt::Browser(shown.clone()));
                            desk.sign_in_with_browser(other, &mut show).await
                        }
                        Way::DeviceCode => {
                            let mut show = |shown: &DevicePrompt| prompt(Prompt::DeviceCode(shown.clone()));
                            desk.sign_in(other, &mut show).await
                        }
                    }
                };
                let ended = tokio::select! {
                    biased;
                    ended = work => ended,
                    _ = given_up => return None,
                };
                let told = ended.as_ref().copied().map_err(Error::kind);
                // Who went away finds the account signed in, or not, in `status`.
                let _ = end.send(ended);
                Some(told)
            }
            Visit::SignOut { what, reply } => {
                let done = match seat.take().map(Desk::close) {
                    Some(Err(error)) => Err(error),
                    Some(Ok(())) | None => {
                        office.forget(account);
                        desk::sign_out(&office.data_dir, account, what, &office.edges)
                    }
                };
                let _ = reply.send(done);
                None
            }
        }
    }
}
