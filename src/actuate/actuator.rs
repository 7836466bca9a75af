use std::time::Duration;

use crate::model::Fault;
use crate::ports::Pending;
use crate::presence::{Command, Value};

/// Carries commands of presence out: a program, a web service, Microsoft Teams, the host.
pub trait Actuator: Send + Sync {
    /// Carries one command out. Called again with the same command until it is answered; of calls with equal
    /// idempotency keys one takes effect.
    fn apply<'a>(&'a self, command: &'a Command) -> Pending<'a, Outcome>;

    /// Keeps up what is in force, where it would end by itself; `until_ms` is how long it is wanted, if that is known.
    /// Asked at each evaluation, it does something only when needed, and `None` means that nothing was.
    fn renew<'a>(&'a self, in_force: &'a Value, until_ms: Option<i64>) -> Pending<'a, Option<Outcome>> {
        let _ = (in_force, until_ms);
        Box::pin(std::future::ready(None))
    }
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Carried out.
    Applied {
        /// What is shown in its place, where what was asked for cannot be: the receiver's word for it.
        instead: Option<&'static str>,
    },
    /// Handed over; the answer comes by another way, or never.
    Waiting,
    /// Not carried out: nothing changed.
    Refused(Cause),
    /// Perhaps carried out.
    Unclear(Cause),
}

impl Outcome {
    /// Carried out to the letter.
    pub const APPLIED: Outcome = Outcome::Applied { instead: None };
}

/// Why a command was not, or perhaps not, carried out. Tells nothing of what it asked for, nor what a program said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Nobody is named for the channel.
    #[error("no actuator is configured for this")]
    NoActuator,
    /// There is no such program.
    #[error("the program of the actuator was not found")]
    ProgramMissing,
    /// The system did not start it.
    #[error("the program of the actuator could not be started ({0})")]
    ProgramNotStarted(std::io::ErrorKind),
    /// It ended with this code.
    #[error("the program of the actuator refused with exit code {0}")]
    ProgramRefused(i32),
    /// It crashed, or somebody ended it.
    #[error("the program of the actuator was ended before it was done")]
    ProgramEnded,
    /// It took too long and was ended.
    #[error("the program of the actuator took longer than {}s and was ended", .0.as_secs_f64())]
    ProgramSlow(Duration),
    /// What is sent there could be read on the way.
    #[error("the address of the webhook is neither https:// nor on this machine")]
    AddressRefused,
    /// Commands are to be signed and cannot be.
    #[error("the secret of the webhook cannot be read")]
    SecretMissing,
    /// The receiver has acted on a newer state of the calendars.
    #[error("the receiver has acted on a newer state of the calendars")]
    Stale,
    /// The receiver has no such thing.
    #[error("this cannot be set there")]
    NotPossible,
    /// The sign-in lacks it.
    #[error("the permission {0} is missing")]
    PermissionMissing(&'static str),
    /// Of several, some carried it out and some did not.
    #[error("not every actuator carried it out")]
    Mixed,
    /// The server, or the way there.
    #[error("{0}")]
    Fault(Fault),
}

impl Cause {
    /// The stable kind, as in the journal.
    pub fn kind(&self) -> &'static str {
        match self {
            Cause::NoActuator => "no_actuator",
            Cause::ProgramMissing => "program_missing",
            Cause::ProgramNotStarted(_) => "program_not_started",
            Cause::ProgramRefused(_) => "program_refused",
            Cause::ProgramEnded => "program_ended",
            Cause::ProgramSlow(_) => "timeout",
            Cause::AddressRefused => "address_refused",
            Cause::SecretMissing => "secret_missing",
            Cause::Stale => "stale",
            Cause::NotPossible => "not_possible",
            Cause::PermissionMissing(_) => "permission_missing",
            Cause::Mixed => "mixed",
            Cause::Fault(fault) => fault.kind(),
        }
    }
}
