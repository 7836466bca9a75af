use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::actuate::{Actuator, Cause, Outcome};
use crate::model::Fault;
use crate::ports::{Clock, Pending};
use crate::presence::{Availability, Command, Value};
use crate::source::graph::{Graph, Preferred, Reached, reached};

/// The permission that Teams presence needs.
pub const PRESENCE_SCOPE: &str = "Presence.ReadWrite";
/// What is set ends this long after it is no longer wanted: long enough to be replaced in time, and short enough that
/// a machine that fell asleep meanwhile does not show a meeting all day.
const MARGIN_MS: i64 = 15 * MINUTE_MS;
/// What is set lasts at least and at most so long; beyond it is renewed.
const LASTS_MIN_MS: i64 = 5 * MINUTE_MS;
const LASTS_MAX_MS: i64 = 24 * 60 * MINUTE_MS;
/// It is renewed when less than this is left, which is more than any pause between two evaluations.
const LEFT_MIN_MS: i64 = 30 * MINUTE_MS;
const MINUTE_MS: i64 = 60_000;

/// Presence and status text in Microsoft Teams, through Graph.
///
/// The preferred presence is set, which stands above what Teams finds out by itself; `available` takes the preference
/// away, so that Teams goes on by itself. Graph has no `out_of_office` (which Teams takes from the mailbox's automatic
/// replies) and no `working_elsewhere`: the nearest is set, and the outcome says so. It has no call forwarding.
pub struct Teams {
    graph: Graph,
    clock: Arc<dyn Clock>,
    /// The documented address of a presence has the user's id.
    user: OnceCell<String>,
    shown: Mutex<Shown>,
}

/// When what was set ends by itself. Lost with the process, and then set again.
#[derive(Default)]
struct Shown {
    presence: Option<Lasting>,
    text: Option<Lasting>,
}

struct Lasting {
    value: Value,
    /// None: it does not end.
    ends_ms: Option<i64>,
}

impl Teams {
    /// Teams of the mailbox's user.
    pub fn new(graph: Graph, clock: Arc<dyn Clock>) -> Teams {
        Teams { graph, clock, user: OnceCell::new(), shown: Mutex::default() }
    }

    async fn set(&self, value: &Value, until_ms: Option<i64>) -> Outcome {
        let now_ms = self.clock.now_ms();
        let ends_ms = ends_ms(until_ms, now_ms);
        let (done, instead, ends_ms) = match value {
            Value::Forwarding(_) => return Outcome::Refused(Cause::NotPossible),
            Value::Presence { availability, .. } => match preferred(*availability) {
                (Some(preferred), instead) => {
                    let lasts_ms = u64::try_from(ends_ms.saturating_sub(now_ms)).unwrap_or(0);
                    let lasts = Duration::from_millis(lasts_ms);
                    (self.prefer(preferred, lasts).await, instead, Some(ends_ms))
                }
                (None, instead) => (self.clear().await, instead, None),
            },
            Value::Text { text: Some(text) } => (self.tell(text, Some(ends_ms)).await, None, Some(ends_ms)),
            Value::Text { text: None } => (self.tell("", None).await, None, None),
        };
        match done {
            Ok(()) => {
                self.remember(value, ends_ms);
                Outcome::Applied { instead }
            }
            Err(fault) => judge(fault),
        }
    }

    async fn prefer(&self, preferred: Preferred, lasts: Duration) -> Result<(), Fault> {
        self.graph.prefer_presence(self.user().await?, preferred, lasts).await
    }

    async fn clear(&self) -> Result<(), Fault> {
        self.graph.clear_preferred_presence(self.user().await?).await
    }

    async fn tell(&self, text: &str, until_ms: Option<i64>) -> Result<(), Fault> {
        self.graph.set_status_message(self.user().await?, text, until_ms).await
    }

    async fn user(&self) -> Result<&str, Fault> {
        let found = self.user.get_or_try_init(|| async { Ok(self.graph.identity().await?.object_id) }).await;
        // Nothing was sent yet, whatever became of the question.
        found.map(String::as_str).map_err(|fault| match reached(&fault) {
            Reached::No => fault,
            Reached::Maybe => Fault::Unreachable(crate::model::Broken::Connect),
        })
    }

    fn remember(&self, value: &Value, ends_ms: Option<i64>) {
        let lasting = Some(Lasting { value: value.clone(), ends_ms });
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        match value {
            Value::Presence { .. } => shown.presence = lasting,
            Value::Text { .. } => shown.text = lasting,
            Value::Forwarding(_) => {}
        }
    }

    /// Whether `value`, wanted until `until_ms`, ends too early.
    fn is_ending(&self, value: &Value, until_ms: Option<i64>) -> bool {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match value {
            Value::Presence { .. } => &shown.presence,
            Value::Text { .. } => &shown.text,
            Value::Forwarding(_) => return false,
        };
        let Some(known) = known.as_ref().filter(|known| known.value == *value) else { return true };
        known.ends_ms.is_some_and(|ends_ms| {
            let is_early = until_ms.is_none_or(|until_ms| ends_ms < until_ms);
            is_early && ends_ms.saturating_sub(self.clock.now_ms()) < LEFT_MIN_MS
        })
    }
}

impl Actuator for Teams {
    fn apply<'a>(&'a self, command: &'a Command) -> Pending<'a, Outcome> {
        Box::pin(async move {
            match &command.set {
                Some(value) => self.set(value, command.valid_until_ms).await,
                None => Outcome::Refused(Cause::NotPossible),
            }
        })
    }

    fn renew<'a>(&'a self, in_force: &'a Value, until_ms: Option<i64>) -> Pending<'a, Option<Outcome>> {
        Box::pin(async move {
            if self.is_ending(in_force, until_ms) { Some(self.set(in_force, until_ms).await) } else { None }
        })
    }
}

/// What Graph can set for it, and what that is called where it is something else.
fn preferred(availability: Availability) -> (Option<Preferred>, Option<&'static str>) {
    match availability {
        Availability::Available => (None, None),
        Availability::Busy => (Some(Preferred::Busy), None),
        Availability::DoNotDisturb => (Some(Preferred::DoNotDisturb), None),
        Availability::BeRightBack => (Some(Preferred::BeRightBack), None),
        Availability::Away => (Some(Preferred::Away), None),
        Availability::OutOfOffice => (Some(Preferred::Away), Some("Away")),
        Availability::WorkingElsewhere => (None, Some("Available")),
        Availability::Offline => (Some(Preferred::Offline), None),
    }
}

/// When what is set now ends by itself.
fn ends_ms(until_ms: Option<i64>, now_ms: i64) -> i64 {
    let wanted_ms = until_ms.map_or(i64::MAX, |until_ms| until_ms.saturating_add(MARGIN_MS));
    wanted_ms.clamp(now_ms.saturating_add(LASTS_MIN_MS), now_ms.saturating_add(LASTS_MAX_MS))
}

fn judge(fault: Fault) -> Outcome {
    match (&fault, reached(&fault)) {
        (Fault::Refused { status: 403, .. }, _) => Outcome::Refused(Cause::PermissionMissing(PRESENCE_SCOPE)),
        (_, Reached::No) => Outcome::Refused(Cause::Fault(fault)),
        (_, Reached::Maybe) => Outcome::Unclear(Cause::Fault(fault)),
    }
}
