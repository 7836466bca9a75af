//! Signing a user in from inside a host: it shows where to go, the engine waits for the end.

use std::sync::mpsc;

use serde_json::{Value, json};

use crate::api::{Error, ErrorKind};
use crate::engine::{BrowserPrompt, DevicePrompt};

/// How a user signs in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Way {
    /// In a browser on this machine.
    #[default]
    Browser,
    /// With a code, in a browser anywhere.
    DeviceCode,
}

/// What the host shows its user.
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

pub(super) enum Step {
    Prompt(Prompt),
    End(Result<(), Error>),
}

/// A sign-in under way.
#[derive(Debug)]
pub struct SignIn {
    prompt: Prompt,
    steps: mpsc::Receiver<Step>,
}

impl SignIn {
    /// Waits for what there is to show.
    pub(super) fn begin(steps: mpsc::Receiver<Step>) -> Result<SignIn, Error> {
        match steps.recv() {
            Ok(Step::Prompt(prompt)) => Ok(SignIn { prompt, steps }),
            Ok(Step::End(Err(error))) => Err(error),
            Ok(Step::End(Ok(()))) => Err(Error::new(ErrorKind::Failed, "the sign-in asked nobody")),
            Err(mpsc::RecvError) => Err(closing()),
        }
    }

    /// What to show the user.
    pub fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// Waits until the user has signed in, or has not.
    ///
    /// # Errors
    /// As [`crate::engine::Engine::sign_in`]; `Busy` when another order or the end of the engine overtook it.
    pub fn wait(self) -> Result<(), Error> {
        loop {
            match self.steps.recv() {
                Ok(Step::Prompt(_)) => {}
                Ok(Step::End(end)) => return end,
                Err(mpsc::RecvError) => return Err(closing()),
            }
        }
    }
}

pub(super) fn closing() -> Error {
    Error::new(ErrorKind::Busy, "the engine is stopping")
}
