use crate::flow::push::step::{Finding, UNCLEAR_WAIT_MS, Why, is_held, weigh};
use crate::flow::push::{Push, ROTATED_WAIT, ROUNDS_MAX, Stop};
use crate::mirror::{Postponed, Settled};
use crate::model::{EventRecord, Fault, Intent, Lookup, OpenEdit, Problem, RemoteId};
use crate::retry::{WriteVerdict, judge_write};

/// The time between two looks at an act that mails people.
const LOOK_AGAIN_MS: i64 = 30_000;
/// Calendars in which an event is looked for that is not where it was. With more, the user decides.
const CALENDARS_SEARCHED_MAX: usize = 50;

impl Push<'_> {
    /// Looks an edit up at the server: what it finds decides whether it is done, sent (again), merged or given to the
    /// user. `fault` is how its request failed, if this visit sent one.
    pub(super) async fn look(
        &mut self,
        edit: OpenEdit,
        why: Why,
        fault: Option<Fault>,
        round: u32,
    ) -> Result<(), Stop> {
        if let Intent::Create(fields) = &edit.intent {
            // Nothing was ever sent that would be named so.
            let Some(times) = &fields.times else { return self.not_done(edit, fault, round).await };
            let made = edit.event.to_string();
            let transaction_id = edit.transaction_id.as_deref().unwrap_or(&made);
            return match self.graph.find_created(&edit.calendar_remote, times, transaction_id).await {
                Ok(Some(record)) => self.settle(&edit, Settled::Created { record: Box::new(record) }),
                Ok(None) => self.not_done(edit, fault, round).await,
                Err(failed) if judge_write(&failed) == WriteVerdict::Gone => self.absent(edit),
                Err(failed) => self.look_failed(edit, failed).await,
            };
        }
        let Some(id) = edit.remote.clone() else { return self.park_as(&edit, "not_found") };
        match self.graph.read(&edit.calendar_remote, &id).await {
            Ok(Lookup::Found(theirs)) => self.found(edit, *theirs, why, fault, round).await,
            Ok(Lookup::Missing) => self.missing(edit, &id, (why, fault, round)).await,
            // It is there; what it says is beyond this version, and what was wanted of it was said by its version.
            Ok(Lookup::Unreadable(_)) => match &edit.intent {
                Intent::Delete | Intent::Snooze { .. } | Intent::Dismiss => {
                    self.not_done(edit, fault, round).await
                }
                Intent::Create(_)
                | Intent::Update(_)
                | Intent::Cancel { .. }
                | Intent::Respond { .. }
                | Intent::Forward { .. } => self.park_as(&edit, "unclear"),
            },
            Err(failed) if judge_write(&failed) == WriteVerdict::Gone => {
                self.missing(edit, &id, (why, fault, round)).await
            }
            Err(failed) => self.look_failed(edit, failed).await,
        }
    }

    /// The event is not where it was. It may have been moved to another calendar, where it has the same id: only what
    /// is in none of them is gone.
    async fn missing(
        &mut self,
        edit: OpenEdit,
        id: &RemoteId,
        (why, fault, round): (Why, Option<Fault>, u32),
    ) -> Result<(), Stop> {
        let mut others = self.mirror.calendars()?;
        others.retain(|calendar| calendar.remote_id != edit.calendar_remote);
        let is_all = others.len() <= CALENDARS_SEARCHED_MAX;
        for calendar in others.into_iter().take(CALENDARS_SEARCHED_MAX) {
            match self.graph.read(&calendar.remote_id, id).await {
                Ok(Lookup::Found(theirs)) => {
                    self.mirror.relocate(edit.n, calendar.key, &theirs, self.now_ms())?;
                    let Some(edit) = self.mirror.edit(edit.n)? else { return Ok(()) };
                    return self.found(edit, *theirs, why, fault, round).await;
                }
                Ok(Lookup::Missing) => {}
                Ok(Lookup::Unreadable(_)) => return self.park_as(&edit, "unclear"),
                Err(failed) => match judge_write(&failed) {
                    // A calendar that denies a look has nothing of ours.
                    WriteVerdict::Gone | WriteVerdict::Park => {}
                    WriteVerdict::NotSent
                    | WriteVerdict::Wait { .. }
                    | WriteVerdict::Look { .. }
                    | WriteVerdict::Reread
                    | WriteVerdict::SignIn => return self.look_failed(edit, failed).await,
                },
            }
        }
        if is_all { self.absent(edit) } else { self.park_as(&edit, "not_found") }
    }

    async fn found(
        &mut self,
        edit: OpenEdit,
        theirs: EventRecord,
        why: Why,
        fault: Option<Fault>,
        round: u32,
    ) -> Result<(), Stop> {
        let now_ms = self.now_ms();
        match weigh(&edit, &theirs, why) {
            Finding::Landed => {
                let record = Box::new(theirs);
                let settled = match &edit.intent {
                    Intent::Update(_) => Settled::Updated { record },
                    Intent::Create(_)
                    | Intent::Delete
                    | Intent::Cancel { .. }
                    | Intent::Respond { .. }
                    | Intent::Forward { .. }
                    | Intent::Snooze { .. }
                    | Intent::Dismiss => Settled::Acted { record: Some(record) },
                };
                self.settle(&edit, settled)
            }
            Finding::Free => {
                self.mirror.rebase(edit.n, &theirs, None, now_ms)?;
                self.not_done(edit, fault, round).await
            }
            Finding::Merged(remaining) => {
                self.mirror.rebase(edit.n, &theirs, Some(&remaining), now_ms)?;
                self.again(edit, fault, round).await
            }
            Finding::Clash(merged) => self.clash_fields(edit, theirs, &merged, (fault, round)).await,
            Finding::DeletedHere => self.clash_deletion(edit, theirs, (fault, round)).await,
            Finding::Untold => self.untold(&edit, fault),
        }
    }

    /// It was not carried out: it is sent again at once where the server said why and that has been dealt with, and
    /// after a while where it failed.
    async fn not_done(&mut self, edit: OpenEdit, fault: Option<Fault>, round: u32) -> Result<(), Stop> {
        let Some(fault) = fault else { return self.again(edit, None, round).await };
        match judge_write(&fault) {
            WriteVerdict::Reread | WriteVerdict::Gone => {
                if round > 0 {
                    self.ports.clock.sleep(ROTATED_WAIT).await;
                }
                self.again(edit, Some(fault), round).await
            }
            WriteVerdict::NotSent
            | WriteVerdict::Wait { .. }
            | WriteVerdict::Look { .. }
            | WriteVerdict::Park
            | WriteVerdict::SignIn => self.put_off(&edit, fault, false).await,
        }
    }

    /// Sends it again, so many times in one visit.
    pub(super) async fn again(
        &mut self,
        edit: OpenEdit,
        fault: Option<Fault>,
        round: u32,
    ) -> Result<(), Stop> {
        match fault {
            Some(fault) if round + 1 >= ROUNDS_MAX => self.put_off(&edit, fault, false).await,
            Some(_) | None => {
                // What was read of its event may be that somebody invited people meanwhile.
                let known = self.mirror.edit(edit.n)?;
                let confirm_after_ms = self.order.confirm_mail_after_ms;
                match known.filter(|edit| is_held(edit, self.now_ms(), confirm_after_ms)) {
                    Some(edit) => self.park_as(&edit, "needs_confirmation"),
                    None => Box::pin(self.send(edit.n, round + 1)).await,
                }
            }
        }
    }

    /// The event could not be looked at: the edit stays as it is.
    async fn look_failed(&mut self, edit: OpenEdit, failed: Fault) -> Result<(), Stop> {
        let is_unclear = true;
        match judge_write(&failed) {
            WriteVerdict::NotSent => Err(Stop::Account(failed)),
            WriteVerdict::SignIn => Err(Stop::Account(Fault::SignInNeeded)),
            WriteVerdict::Wait { after } => self.wait(&edit, failed, after, is_unclear).await,
            WriteVerdict::Look { .. } | WriteVerdict::Reread | WriteVerdict::Gone => {
                self.put_off(&edit, failed, is_unclear).await
            }
            WriteVerdict::Park => self.park(&edit, &failed),
        }
    }

    /// An act that mails people, of which no row tells whether it was carried out: looked for again for a while,
    /// since servers carry such acts out later than they answer, and then given to the user. Never sent again on
    /// suspicion.
    fn untold(&mut self, edit: &OpenEdit, fault: Option<Fault>) -> Result<(), Stop> {
        let now_ms = self.now_ms();
        let since_ms = match (&fault, &edit.problem) {
            (None, Some(problem)) if problem.kind == "unclear" => problem.at_ms,
            (Some(_), _) | (None, Some(_) | None) => now_ms,
        };
        let age_ms = now_ms.saturating_sub(since_ms);
        if !(0..UNCLEAR_WAIT_MS).contains(&age_ms) {
            return self.park_as(edit, "unclear");
        }
        let problem = Problem { kind: "unclear".to_owned(), status: None, code: None, at_ms: since_ms };
        let next_attempt_ms = Some(now_ms.saturating_add(LOOK_AGAIN_MS));
        let counts = fault.is_some();
        Ok(self.mirror.postpone(edit.n, &Postponed { problem, next_attempt_ms, counts, is_unclear: true })?)
    }
}
