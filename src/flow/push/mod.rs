//! Push: what the user wants, to the server, once.
//!
//! One edit at a time, the oldest that nothing holds back. Each goes through the same four stations, and a crash
//! between any two of them is met by the next push:
//!
//! 1. *chosen*: is it to be confirmed, looked up or sent (`step`);
//! 2. *under way*: durably marked before its request leaves, and read again behind the mark, so that an edit that was
//!    folded into it meanwhile is not lost;
//! 3. *answered*: done, or judged ([`crate::retry::judge_write`]). A failure is known not to have happened, or the
//!    event is looked up before anything is sent again (`unclear`); an act that mails people and cannot be looked
//!    up is given to the user;
//! 4. *settled*: the server's row and the end of the edit in one transaction.
//!
//! A row that others changed is merged field by field, and what clashes is ruled by the account's policy (`clash`).
//! What concerns the whole mailbox (no network, throttled, signed out) stops the push and costs no edit a try; what
//! concerns one edit puts that one off, or parks it, and lets the others pass.

mod act;
mod clash;
mod step;
mod unclear;

use std::sync::Arc;
use std::time::Duration;

use crate::flow::Progress;
use crate::mirror::{Mirror, MirrorError, Postponed, Settled};
use crate::model::{EditState, Fault, OpenEdit, Policy, Problem};
use crate::ports::{Clock, Entropy};
use crate::retry::{WRITE_ATTEMPTS_MAX, WriteVerdict, judge_write, write_wait};
use crate::source::graph::{Graph, PAUSE_WAITED_MAX};
use crate::zones::Zones;

use step::{Opening, Why, open};

/// Edits visited in one push; the rest waits for the next.
const VISITS_MAX: u32 = 100_000;
/// How often one edit is sent in one visit: a server that rotates a version at each try is left alone for a while.
const ROUNDS_MAX: u32 = 5;
/// The wait before an edit is sent to a row whose version has just been rotated, but for the first time.
const ROTATED_WAIT: Duration = Duration::from_millis(1_500);
/// A wait up to this long is waited for where it arises.
const SHORT_WAIT: Duration = Duration::from_secs(2);
/// An edit whose connection broke waits as after so many tries: long enough for others to be tried.
const CUT_WAIT_PLACE: u32 = 2;
/// Failures of the server one after the other that end a push: then it is not this edit.
const FAILURES_MAX: u32 = 5;

/// How edits are to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushOrder {
    /// What happens when both sides changed the same field.
    pub policy: Policy,
    /// An edit older than this that would mail somebody waits for a confirmation.
    pub confirm_mail_after_ms: i64,
    /// Somebody asked, or the network or the machine came back: edits that were put off are tried now.
    pub is_asked: bool,
}

/// How a push ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushReport {
    /// Edits that are on the server now.
    pub pushed: u64,
    /// Edits that wait for the user since this push, those in conflict apart.
    pub parked: u64,
    /// Conflicts found, decided by the policy or not.
    pub conflicts: u64,
    /// What stopped the push.
    pub fault: Option<Fault>,
}

/// The ports a push uses beside the server itself.
#[derive(Clone)]
pub struct PushPorts {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Time zones, for the times in requests.
    pub zones: Arc<Zones>,
}

/// Why a push stopped.
enum Stop {
    /// The store broke.
    Mirror(MirrorError),
    /// No other edit need be tried.
    Account(Fault),
}

impl From<MirrorError> for Stop {
    fn from(error: MirrorError) -> Stop {
        Stop::Mirror(error)
    }
}

/// Sends what is due in the outbox. An empty outbox costs one look at it.
///
/// # Errors
/// Only a broken store. Everything the server or the network does is in the report or stands at its edit.
pub async fn push(
    mirror: &mut Mirror,
    graph: &Graph,
    ports: &PushPorts,
    order: PushOrder,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<PushReport, MirrorError> {
    let mut push = Push { mirror, graph, ports, order, progress, report: PushReport::default(), failures: 0 };
    match push.run().await {
        Ok(()) => {}
        Err(Stop::Mirror(error)) => return Err(error),
        Err(Stop::Account(fault)) => push.report.fault = Some(fault),
    }
    // On the disk, since a restart must not forget what the server asked for.
    if let (Some(_), Some(until_ms)) = (&push.report.fault, graph.throttled_until_ms()) {
        push.mirror.note_throttled(until_ms)?;
    }
    Ok(push.report)
}

struct Push<'a> {
    mirror: &'a mut Mirror,
    graph: &'a Graph,
    ports: &'a PushPorts,
    order: PushOrder,
    progress: &'a mut (dyn FnMut(Progress) + Send),
    report: PushReport,
    /// Failures of the server since it last did something.
    failures: u32,
}

impl Push<'_> {
    async fn run(&mut self) -> Result<(), Stop> {
        if self.mirror.next_edit_due_ms()?.is_none() {
            return Ok(());
        }
        self.respect_pause()?;
        if self.order.is_asked {
            self.mirror.wake_edits()?;
        }
        for _ in 0..VISITS_MAX {
            let Some(edit) = self.mirror.next_edit(self.now_ms())? else { return Ok(()) };
            self.visit(edit).await?;
        }
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        self.ports.clock.now_ms()
    }

    /// A pause the server asked for outlives a restart; one that is too long to wait for ends the push before an
    /// edit is touched.
    fn respect_pause(&mut self) -> Result<(), Stop> {
        let now_ms = self.now_ms();
        let account = self.mirror.account()?;
        if let Some(until_ms) = account.throttled_until_ms.filter(|until_ms| *until_ms > now_ms) {
            self.graph.pause_until(until_ms);
        }
        let left_ms = self.graph.throttled_until_ms().map_or(0, |until_ms| until_ms.saturating_sub(now_ms));
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
        if left > PAUSE_WAITED_MAX {
            let retry_after = Some(left);
            return Err(Stop::Account(Fault::Refused { status: 429, code: None, retry_after, claims: None }));
        }
        Ok(())
    }

    async fn visit(&mut self, edit: OpenEdit) -> Result<(), Stop> {
        match open(&edit, self.now_ms(), self.order.confirm_mail_after_ms) {
            Opening::Confirm => self.park_as(&edit, "needs_confirmation"),
            Opening::Lost => self.park_as(&edit, "not_found"),
            Opening::Look => {
                let why = if edit.state == EditState::Sending { Why::Unclear } else { Why::NotDone };
                self.look(edit, why, None, 0).await
            }
            Opening::Send => self.send(edit.n, 0).await,
        }
    }

    /// Sends an edit; `round` counts how often that was done in this visit.
    async fn send(&mut self, n: i64, round: u32) -> Result<(), Stop> {
        let zones = &self.ports.zones;
        let marked = self.mirror.begin_sending(n, |edit| act::create_body(edit, zones))?;
        let Some(edit) = marked else { return Ok(()) };
        match self.act(&edit).await {
            Ok(settled) => self.settle(&edit, settled),
            Err(act::Refusal::Fault(fault)) => Box::pin(self.refused(edit, fault, round)).await,
            // A meeting's body whose part for joining cannot be told from the rest.
            Err(act::Refusal::MeetingBody) => self.park_as(&edit, "meeting_body"),
        }
    }

    /// Writes what became of an edit that is on the server.
    fn settle(&mut self, edit: &OpenEdit, settled: Settled) -> Result<(), Stop> {
        self.mirror.settle(edit.n, settled, self.now_ms())?;
        self.failures = 0;
        self.report.pushed += 1;
        (self.progress)(Progress::Pushed { edits: self.report.pushed });
        Ok(())
    }

    /// Judges a request that failed.
    async fn refused(&mut self, edit: OpenEdit, fault: Fault, round: u32) -> Result<(), Stop> {
        match judge_write(&fault) {
            WriteVerdict::NotSent => {
                self.mirror.unsend(edit.n)?;
                Err(Stop::Account(fault))
            }
            WriteVerdict::SignIn => {
                self.mirror.unsend(edit.n)?;
                Err(Stop::Account(Fault::SignInNeeded))
            }
            WriteVerdict::Wait { after } => self.wait(&edit, fault, after, false).await,
            WriteVerdict::Look { .. } => self.look(edit, Why::Unclear, Some(fault), round).await,
            WriteVerdict::Reread | WriteVerdict::Gone => {
                self.look(edit, Why::NotDone, Some(fault), round).await
            }
            WriteVerdict::Park => self.park(&edit, &fault),
        }
    }

    /// The mailbox is throttled: waits a little, or ends the push. No try of the edit's.
    async fn wait(
        &mut self,
        edit: &OpenEdit,
        fault: Fault,
        after: Duration,
        is_unclear: bool,
    ) -> Result<(), Stop> {
        let problem = self.problem(&fault);
        let next_attempt_ms = Some(self.now_ms().saturating_add(in_ms(after)));
        self.mirror.postpone(edit.n, &Postponed { problem, next_attempt_ms, counts: false, is_unclear })?;
        if after > PAUSE_WAITED_MAX {
            return Err(Stop::Account(fault));
        }
        let kind = fault.kind();
        self.count_failure(fault)?;
        (self.progress)(Progress::Waiting { duration: after, kind });
        self.ports.clock.sleep(after).await;
        Ok(())
    }

    /// Puts off an edit that was not carried out, or parks it after enough tries.
    async fn put_off(&mut self, edit: &OpenEdit, fault: Fault, is_unclear: bool) -> Result<(), Stop> {
        // Two connections in a row that broke are no connection. A try ahead of its time, because somebody asked, is a
        // gift: neither costs the edit one of its own.
        let is_cut = is_unclear && matches!(fault, Fault::Unreachable(_));
        let counts = !is_cut && !self.is_early(edit);
        let attempts = match is_cut {
            true => edit.attempts.clamp(CUT_WAIT_PLACE, WRITE_ATTEMPTS_MAX - 1),
            false => edit.attempts.saturating_add(u32::from(counts)),
        };
        let Some(own_wait) = write_wait(attempts, self.ports.entropy.roll()) else {
            return self.park(edit, &fault);
        };
        let asked = match judge_write(&fault) {
            WriteVerdict::Look { after: Some(after) } | WriteVerdict::Wait { after } => after,
            WriteVerdict::Look { after: None }
            | WriteVerdict::NotSent
            | WriteVerdict::Reread
            | WriteVerdict::Gone
            | WriteVerdict::Park
            | WriteVerdict::SignIn => Duration::ZERO,
        };
        let wait = own_wait.max(asked);
        let problem = self.problem(&fault);
        let next_attempt_ms = Some(self.now_ms().saturating_add(in_ms(wait)));
        self.mirror.postpone(edit.n, &Postponed { problem, next_attempt_ms, counts, is_unclear })?;
        let kind = fault.kind();
        self.count_failure(fault)?;
        if wait <= SHORT_WAIT {
            (self.progress)(Progress::Waiting { duration: wait, kind });
            self.ports.clock.sleep(wait).await;
        }
        Ok(())
    }

    fn is_early(&self, edit: &OpenEdit) -> bool {
        let Some(problem) = edit.problem.as_ref().filter(|_| edit.attempts > 0) else { return false };
        let wait_ms = write_wait(edit.attempts, 0.0).map_or(0, in_ms);
        let age_ms = self.now_ms().saturating_sub(problem.at_ms);
        (0..wait_ms).contains(&age_ms)
    }

    /// Many failures in a row are the server's, not the edits'.
    fn count_failure(&mut self, fault: Fault) -> Result<(), Stop> {
        self.failures += 1;
        if self.failures >= FAILURES_MAX { Err(Stop::Account(fault)) } else { Ok(()) }
    }

    fn park(&mut self, edit: &OpenEdit, fault: &Fault) -> Result<(), Stop> {
        let problem = self.problem(fault);
        tracing::info!(edit = edit.n, kind = problem.kind, status = problem.status, "an edit is parked");
        self.report.parked += 1;
        Ok(self.mirror.park(edit.n, &problem, self.now_ms())?)
    }

    fn park_as(&mut self, edit: &OpenEdit, kind: &str) -> Result<(), Stop> {
        let problem = Problem { kind: kind.to_owned(), status: None, code: None, at_ms: self.now_ms() };
        tracing::info!(edit = edit.n, kind, "an edit is parked");
        self.report.parked += 1;
        Ok(self.mirror.park(edit.n, &problem, self.now_ms())?)
    }

    fn problem(&self, fault: &Fault) -> Problem {
        let (status, code) = match fault {
            Fault::Refused { status, code, .. } => (Some(*status), code.clone()),
            Fault::Unreachable(_)
            | Fault::Unreadable(_)
            | Fault::LinkRefused(_)
            | Fault::EndlessPages
            | Fault::SignInNeeded => (None, None),
        };
        Problem { kind: fault.kind().to_owned(), status, code, at_ms: self.now_ms() }
    }
}

fn in_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
