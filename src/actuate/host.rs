use crate::actuate::{Actuator, Outcome};
use crate::ports::Pending;
use crate::presence::Command;

/// The program this library is bundled into, when it asks by the local API.
///
/// The command is on disk already: `GET /v1/presence` and the stream show it for as long as it waits, and
/// `POST /v1/presence/commands/{id}/ack` answers it. A host that is linked in brings an [`Actuator`] of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Host;

impl Actuator for Host {
    fn apply<'a>(&'a self, _: &'a Command) -> Pending<'a, Outcome> {
        Box::pin(std::future::ready(Outcome::Waiting))
    }
}
