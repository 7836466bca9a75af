//! By what an event is opened in the program that it belongs to.

use serde::Serialize;

use crate::api::{Error, ErrorKind, Mirrors, ShowCall};
use crate::config::Effective;
use crate::model::HandleKind;

/// One way to an event.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Handle {
    /// Which way.
    pub kind: HandleKind,
    /// What is handed to the system: a URL.
    pub target: String,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Mirrors {
    /// The handles of an event, the best first: of a Microsoft 365 event its page in Outlook on the web, for an
    /// occurrence that of its series.
    ///
    /// # Errors
    /// `NotFound` for an unknown event; `Refused` when it has no handle, as before it is sent; `Mirror`.
    pub fn handles(&self, account: &Effective, call: &ShowCall) -> Result<Vec<Handle>, Error> {
        let event = self.show(account, call)?;
        match event.web_link {
            Some(target) => Ok(vec![Handle { kind: HandleKind::Web, target }]),
            None if event.remote_id.is_none() => {
                let text =
                    "this event is not on the server yet: `calmirror sync` sends it, then it can be opened";
                Err(Error::broken("not_sent_yet", text))
            }
            None => Err(Error::new(ErrorKind::Refused, "the server gives no link to this event")),
        }
    }
}
