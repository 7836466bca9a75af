//! Carrying commands out: programs, web services, Microsoft Teams, the host.
//!
//! Each way is an [`Actuator`]; [`Actuators`] is all of an account's, by channel. What they promise:
//!
//! - **Three answers.** Applied, refused (nothing changed), unclear (perhaps applied). Whoever cannot tell says
//!   unclear: a release too many does less harm than one too few.
//! - **The same command, the same bytes.** A retry carries the same idempotency key; a receiver may forget nothing
//!   else than its last keys and still be right.
//! - **Bounded.** A program or a server gets [`TIMEOUT`], or what the configuration says up to a minute; then the
//!   program's whole group is ended. What a program prints goes nowhere.
//! - **Nothing is told.** Targets, texts and programs' words stand in no log, error or `Debug`.
//!
//! Nothing is kept here but what saves work: which command an actuator has carried out, so that the retry for
//! another one leaves it alone, and when Teams will forget.

mod actuator;
mod host;
mod program;
mod teams;
mod webhook;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use crate::ports::{Clock, Http, Pending};
use crate::presence::{self, ActuatorKind, Channel, Command, Value};
use crate::source::graph::Graph;
use crate::zones::Zone;

pub use actuator::{Actuator, Cause, Outcome};
pub use host::Host;
pub use program::Program;
pub use teams::{PRESENCE_SCOPE, Teams};
pub use webhook::{SIGNATURE_HEADER, Webhook};

/// How long an answer is waited for unless the configuration says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// What actuators are made from.
pub struct Surroundings {
    /// The way to web services.
    pub http: Arc<dyn Http>,
    /// The mailbox, for Teams; none: this account has no Graph.
    pub graph: Option<Graph>,
    /// The time, for what ends by itself.
    pub clock: Arc<dyn Clock>,
    /// Where programs run: the data directory.
    pub folder: PathBuf,
    /// What programs find in their environment: `system::program_environment`.
    pub environment: Vec<(OsString, OsString)>,
    /// In which zone times are written.
    pub zone: Zone,
    /// Who carries out what the host is to do; none: it waits for the local API's acknowledgement.
    pub host: Option<Arc<dyn Actuator>>,
}

/// All actuators of an account.
#[derive(Default)]
pub struct Actuators {
    entries: Vec<Entry>,
}

struct Entry {
    channels: Vec<Channel>,
    actuator: Arc<dyn Actuator>,
    /// The key of the last command it has carried out, a channel.
    applied: Mutex<BTreeMap<Channel, String>>,
}

impl Actuators {
    /// The actuators that the configuration names. To be made anew when it changes.
    pub fn new(settings: &[presence::Actuator], around: &Surroundings) -> Actuators {
        let entries =
            settings.iter().map(|setting| Entry::new(setting.channels.clone(), made(setting, around)));
        Actuators { entries: entries.collect() }
    }

    /// Adds one that speaks for `channels`.
    #[must_use]
    pub fn with(mut self, channels: &[Channel], actuator: Arc<dyn Actuator>) -> Actuators {
        self.entries.push(Entry::new(channels.to_vec(), actuator));
        self
    }

    /// Whether anybody is there for `channel`: else no command needs to be made.
    pub fn reaches(&self, channel: Channel) -> bool {
        self.of(channel).next().is_some()
    }

    fn of(&self, channel: Channel) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.channels.contains(&channel))
    }
}

impl Actuator for Actuators {
    /// Every actuator of the channel gets the command, at the same time; the answer is that of all.
    fn apply<'a>(&'a self, command: &'a Command) -> Pending<'a, Outcome> {
        Box::pin(async move {
            together(join_all(self.of(command.channel).map(|entry| entry.apply(command))).await)
        })
    }

    fn renew<'a>(&'a self, in_force: &'a Value, until_ms: Option<i64>) -> Pending<'a, Option<Outcome>> {
        let channel = match in_force {
            Value::Forwarding(_) => Channel::Forwarding,
            Value::Presence { .. } => Channel::Presence,
            Value::Text { .. } => Channel::Text,
        };
        Box::pin(async move {
            let renewals = self.of(channel).map(|entry| entry.actuator.renew(in_force, until_ms));
            let outcomes: Vec<Outcome> = join_all(renewals).await.into_iter().flatten().collect();
            (!outcomes.is_empty()).then(|| together(outcomes))
        })
    }
}

impl Entry {
    fn new(channels: Vec<Channel>, actuator: Arc<dyn Actuator>) -> Entry {
        Entry { channels, actuator, applied: Mutex::default() }
    }

    async fn apply(&self, command: &Command) -> Outcome {
        let is_done = {
            let applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
            applied.get(&command.channel) == Some(&command.idempotency_key)
        };
        if is_done {
            return Outcome::APPLIED;
        }
        let outcome = self.actuator.apply(command).await;
        let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Outcome::Applied { .. } => applied.insert(command.channel, command.idempotency_key.clone()),
            Outcome::Waiting | Outcome::Refused(_) | Outcome::Unclear(_) => applied.remove(&command.channel),
        };
        outcome
    }
}

fn made(setting: &presence::Actuator, around: &Surroundings) -> Arc<dyn Actuator> {
    let timeout = setting.timeout.unwrap_or(TIMEOUT).min(presence::Actuator::TIMEOUT_MAX);
    match setting.kind {
        ActuatorKind::Command => Arc::new(Program {
            program: setting.program.clone(),
            folder: around.folder.clone(),
            environment: around.environment.clone(),
            timeout,
            zone: around.zone.clone(),
        }),
        ActuatorKind::Webhook => Arc::new(Webhook {
            url: setting.url.clone().unwrap_or_default(),
            secret_env: setting.secret_env.clone(),
            secret_file: setting.secret_file.clone(),
            http: Arc::clone(&around.http),
            timeout,
            zone: around.zone.clone(),
        }),
        ActuatorKind::Teams => match &around.graph {
            Some(graph) => Arc::new(Teams::new(graph.clone(), Arc::clone(&around.clock))),
            None => Arc::new(Nowhere),
        },
        ActuatorKind::Host => around.host.clone().unwrap_or_else(|| Arc::new(Host)),
    }
}

/// Teams without Microsoft 365.
struct Nowhere;

impl Actuator for Nowhere {
    fn apply<'a>(&'a self, _: &'a Command) -> Pending<'a, Outcome> {
        Box::pin(std::future::ready(Outcome::Refused(Cause::NotPossible)))
    }
}

/// The answer of all: applied when all applied it, refused when all refused it; between the two it is unclear.
fn together(outcomes: Vec<Outcome>) -> Outcome {
    let mut all: Option<Outcome> = None;
    for outcome in outcomes {
        all = Some(match (all, outcome) {
            (None, outcome) => outcome,
            (Some(Outcome::Unclear(cause)), _) | (Some(_), Outcome::Unclear(cause)) => {
                Outcome::Unclear(cause)
            }
            (Some(Outcome::Refused(cause)), Outcome::Refused(_)) => Outcome::Refused(cause),
            (Some(Outcome::Refused(_)), Outcome::Applied { .. } | Outcome::Waiting)
            | (Some(Outcome::Applied { .. } | Outcome::Waiting), Outcome::Refused(_)) => {
                Outcome::Unclear(Cause::Mixed)
            }
            (Some(Outcome::Applied { instead }), Outcome::Applied { instead: other }) => {
                Outcome::Applied { instead: instead.or(other) }
            }
            (Some(Outcome::Waiting), Outcome::Applied { .. } | Outcome::Waiting)
            | (Some(Outcome::Applied { .. }), Outcome::Waiting) => Outcome::Waiting,
        });
    }
    all.unwrap_or(Outcome::Refused(Cause::NoActuator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_actuators_give_one_answer() {
        let applied = || Outcome::APPLIED;
        let away = || Outcome::Applied { instead: Some("Away") };
        let refused = || Outcome::Refused(Cause::ProgramRefused(1));
        let unclear = || Outcome::Unclear(Cause::ProgramEnded);
        for (outcomes, expected) in [
            (vec![], Outcome::Refused(Cause::NoActuator)),
            (vec![applied(), applied()], applied()),
            (vec![applied(), away()], away()),
            (vec![refused(), refused()], refused()),
            (vec![applied(), refused()], Outcome::Unclear(Cause::Mixed)),
            (vec![refused(), Outcome::Waiting], Outcome::Unclear(Cause::Mixed)),
            (vec![applied(), refused(), applied()], Outcome::Unclear(Cause::Mixed)),
            (vec![applied(), Outcome::Waiting, applied()], Outcome::Waiting),
            (vec![Outcome::Waiting, unclear(), applied()], unclear()),
        ] {
            assert_eq!(together(outcomes.clone()), expected, "{outcomes:?}");
        }
    }
}
