//! Pull: what the server has, into the mirror.
//!
//! A calendar is always in one of two situations. With a live cursor it needs a *round of changes*; without one,
//! a day after the last, or when asked, it needs a *full round*, which reads the whole window beside the live
//! rows under a new generation and takes over in one transaction at its end. First sync, rolling window, lost
//! token and daily comparison are the same full round.
//!
//! Rows appear as their pages arrive; rows vanish only at the end of a round, all together, past the brake.
//! A series that changed is read again before its round may end, since a deleted occurrence is never told.

mod guard;
mod pages;
mod series;

use std::sync::Arc;
use std::time::Duration;

use crate::flow::Progress;
use crate::merge::{Frame, Pass, RemovalVerdict, brake, plan, prepare};
use crate::mirror::{
    CalendarRow, Committed, Cursor, Mirror, MirrorError, RoundEnd, RoundPlace, RoundRow, Suspects,
};
use crate::model::{Change, DAY_MS, Fault, Link, Lookup, Window};
use crate::ports::{Clock, Entropy};
use crate::retry::{Step, Verdict, judge};
use crate::source::Source;
use crate::source::graph::PullMode;

/// Calendars are listed again after this time; a user's own `sync` lists them every time.
const LISTING_AGE_MAX_MS: i64 = 3_600_000;
/// A whole comparison of the window is due after this time: deltas omit changes.
const FULL_AGE_MAX_MS: i64 = DAY_MS;
/// An unfinished full round older than this starts anew.
const ROUND_AGE_MAX_MS: i64 = DAY_MS;
/// A clock that was put back further than this makes a full comparison due.
const CLOCK_SLACK_MS: i64 = 3_600_000;
/// Full rounds of one calendar in one pull: after a lost token, and once more.
const RESTARTS_MAX: u32 = 3;
/// The days the preview of a first sync shows before the rest arrives.
const PREVIEW_DAYS: i64 = 8;
/// Pages of a preview.
const PREVIEW_PAGES_MAX: u32 = 10;
/// A pull waits this long for a server that asked for patience, and not longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Removals that are looked up before they are carried out, those nearest to now first.
const VERIFIED_MAX: u32 = 40;
/// A calendar that is pulled another way than by delta is tried by delta again after this time.
const PROBE_AGE_MAX_MS: i64 = DAY_MS;
/// A calendar without delta is listed whole each time, so polls come to it at most this often.
const SNAPSHOT_AGE_MIN_MS: i64 = 15 * 60_000;
/// The wait of polls after a calendar's first failure; doubled with each, up to the longest.
const FAILED_WAIT_MS: i64 = 120_000;
/// The longest such wait.
const FAILED_WAIT_MAX_MS: i64 = 3_600_000;
/// The largest page asked for, when small ones do not come to an end.
const PAGE_SIZE_MAX: u32 = 1_000;
/// The smallest page asked for.
const PAGE_SIZE_MIN: u32 = 10;

/// What to pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullOrder {
    /// Compare the whole window of every calendar.
    pub is_full: bool,
    /// Somebody asked for it: list the calendars, and try each, however recently it was listed or failed.
    pub is_asked: bool,
    /// How far the window reaches back, in milliseconds.
    pub past_ms: i64,
    /// How far it reaches ahead, in milliseconds.
    pub future_ms: i64,
}

/// How a pull ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullReport {
    /// Calendars completed.
    pub calendars: u64,
    /// Pages read.
    pub pages: u64,
    /// Rows written.
    pub committed: Committed,
    /// Events removed.
    pub removed: u64,
    /// Removals newly held.
    pub held: u64,
    /// Calendars that could not be completed.
    pub failed: u64,
    /// What stopped the whole pull, or the last calendar that failed.
    pub fault: Option<Fault>,
    /// Whether it stopped the whole pull.
    pub is_account_wide: bool,
}

/// The ports a pull uses beside the server itself.
#[derive(Clone)]
pub struct PullPorts {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Why a round stopped.
enum Stop {
    /// The store broke.
    Mirror(MirrorError),
    /// The whole pull stops: offline, throttled for long, sign-in needed.
    Account(Fault),
    /// This calendar stops; others go on.
    Calendar(Fault),
    /// The cursor is lost: a full round is needed.
    Resync(Fault),
    /// Delta is not to be had here.
    NoDelta(Fault),
    /// The pages do not come to an end.
    Endless(Fault),
}

impl From<MirrorError> for Stop {
    fn from(error: MirrorError) -> Stop {
        Stop::Mirror(error)
    }
}

/// Pulls every calendar of the mailbox into the mirror.
///
/// # Errors
/// Only a broken store. Everything the server or the network does is in the report.
pub async fn pull<S: Source + Clone + 'static>(
    mirror: &mut Mirror,
    source: &S,
    ports: &PullPorts,
    order: PullOrder,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<PullReport, MirrorError> {
    let source: Arc<dyn Source> = Arc::new(source.clone());
    let mut pull =
        Pull { mirror, source: &source, ports, order, progress, report: PullReport::default(), rows: 0 };
    let ended = pull.run().await;
    let now_ms = ports.clock.now_ms();
    match ended {
        // A calendar that failed says so itself; the server was reached all the same.
        Ok(()) => pull.mirror.note_reached(now_ms)?,
        Err(Stop::Mirror(error)) => return Err(error),
        Err(
            Stop::Account(fault)
            | Stop::Calendar(fault)
            | Stop::Resync(fault)
            | Stop::NoDelta(fault)
            | Stop::Endless(fault),
        ) => {
            pull.mirror.note_fault(fault.kind(), now_ms)?;
            pull.report.fault = Some(fault);
            pull.report.is_account_wide = true;
        }
    }
    if let Some(until_ms) = source.throttled_until_ms() {
        pull.mirror.note_throttled(until_ms)?;
    }
    Ok(pull.report)
}

struct Pull<'a> {
    mirror: &'a mut Mirror,
    source: &'a Arc<dyn Source>,
    ports: &'a PullPorts,
    order: PullOrder,
    progress: &'a mut (dyn FnMut(Progress) + Send),
    report: PullReport,
    /// Rows read so far, for the progress.
    rows: u64,
}

impl Pull<'_> {
    async fn run(&mut self) -> Result<(), Stop> {
        let now_ms = self.now_ms();
        self.mirror.note_attempt(now_ms)?;
        // A pause the server asked for outlives a restart.
        let account = self.mirror.account()?;
        if let Some(until_ms) = account.throttled_until_ms.filter(|until_ms| *until_ms > now_ms) {
            self.source.pause_until(until_ms);
        }
        let is_listed = account.listed_at_ms.is_some_and(|at| is_within(at, now_ms, LISTING_AGE_MAX_MS));
        if self.order.is_asked || !is_listed {
            match self.list_calendars().await {
                Ok(()) => {}
                Err(stop @ (Stop::Mirror(_) | Stop::Account(_))) => return Err(stop),
                // The calendars that are known have their cursors: a listing that breaks does not stop them.
                Err(
                    Stop::Calendar(fault) | Stop::Resync(fault) | Stop::NoDelta(fault) | Stop::Endless(fault),
                ) => {
                    if self.mirror.calendars()?.is_empty() {
                        return Err(Stop::Account(fault));
                    }
                    tracing::info!(
                        kind = fault.kind(),
                        "the calendars could not be listed; the known ones are pulled"
                    );
                    self.report.fault = Some(fault);
                }
            }
        }
        let calendars = self.mirror.calendars()?;
        (self.progress)(Progress::Calendars { count: calendars.len() as u64 });
        for calendar in &calendars {
            let round = self.mirror.round(calendar.id)?;
            if calendar.live.is_none() && round.is_none_or(|round| round.next_link.is_none()) {
                self.preview(calendar).await?;
            }
        }
        for (place, calendar) in calendars.iter().enumerate() {
            if !self.is_due(calendar) {
                continue;
            }
            match self.pull_calendar(calendar, place as u64 + 1).await {
                Ok(()) => {
                    self.report.calendars += 1;
                    (self.progress)(Progress::Complete { calendar: calendar.key });
                }
                Err(Stop::Mirror(error)) => return Err(Stop::Mirror(error)),
                Err(Stop::Account(fault)) => {
                    self.mirror.note_calendar_fault(calendar.id, fault.kind(), self.now_ms())?;
                    self.report.failed += 1;
                    return Err(Stop::Account(fault));
                }
                Err(
                    Stop::Calendar(fault) | Stop::Resync(fault) | Stop::NoDelta(fault) | Stop::Endless(fault),
                ) => {
                    self.mirror.note_calendar_fault(calendar.id, fault.kind(), self.now_ms())?;
                    self.report.failed += 1;
                    (self.progress)(Progress::Failed { calendar: calendar.key, kind: fault.kind() });
                    self.report.fault = Some(fault);
                }
            }
        }
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        self.ports.clock.now_ms()
    }

    /// Lists the calendars. One that vanished is removed only when the server says so when asked for it alone:
    /// a partial or empty listing removes nothing.
    async fn list_calendars(&mut self) -> Result<(), Stop> {
        let source = self.source.clone();
        let listing = self
            .attempt(Step::Listing, || {
                let source = source.clone();
                async move { source.calendars().await }
            })
            .await?;
        let missing = self.mirror.put_calendars(&listing, self.now_ms())?;
        for calendar in missing {
            match self.source.calendar(&calendar.remote_id).await {
                Ok(None) => {
                    self.report.removed += self.mirror.remove_calendar(calendar.id, self.now_ms())?;
                }
                Ok(Some(_)) => {}
                Err(fault) => tracing::info!(
                    calendar = %calendar.key,
                    kind = fault.kind(),
                    "a calendar is missing from the listing and could not be asked for; it stays"
                ),
            }
        }
        Ok(())
    }

    /// Shows the coming week before the rest of the window has arrived. Proves nothing and removes nothing: a
    /// failure of one calendar is left to its full round.
    async fn preview(&mut self, calendar: &CalendarRow) -> Result<(), Stop> {
        let now_ms = self.now_ms();
        let round = self.mirror.begin_round(calendar.id, self.window(now_ms), now_ms)?;
        let window = Window { from_ms: now_ms - DAY_MS, to_ms: now_ms + PREVIEW_DAYS * DAY_MS };
        let frame = Frame { calendar_id: calendar.id, generation: round.generation - 1, pass: Pass::Preview };
        let mut link = self.source.first_link(PullMode::Snapshot, &calendar.remote_id, window);
        for _ in 0..PREVIEW_PAGES_MAX {
            let source = self.source.clone();
            let (asked, size) = (link.clone(), calendar.page_size);
            let page = self
                .attempt(Step::FirstPage, || {
                    let (source, asked) = (source.clone(), asked.clone());
                    async move { source.page(&asked, size).await }
                })
                .await;
            let page = match page {
                Ok(page) => page,
                Err(stop @ (Stop::Mirror(_) | Stop::Account(_))) => return Err(stop),
                Err(Stop::Calendar(_) | Stop::Resync(_) | Stop::NoDelta(_) | Stop::Endless(_)) => {
                    return Ok(());
                }
            };
            self.report.pages += 1;
            self.commit(frame, page.changes, &Cursor::Keep)?;
            match page.next {
                crate::model::Next::Page(next) if next != link => link = next,
                crate::model::Next::Page(_) | crate::model::Next::Delta(_) | crate::model::Next::End => break,
            }
        }
        let place = RoundPlace { calendar_id: calendar.id, generation: round.generation, window };
        self.complete_series(calendar, &place).await?;
        Ok(())
    }

    /// Whether a poll comes to this calendar: not to one that has just failed, and to one without delta rarely.
    fn is_due(&self, calendar: &CalendarRow) -> bool {
        let now_ms = self.now_ms();
        let wait_ms =
            FAILED_WAIT_MS.saturating_mul(1 << calendar.failures.clamp(1, 16)).min(FAILED_WAIT_MAX_MS);
        let has_just_failed = calendar.failures > 1
            && calendar.failed_at_ms.is_some_and(|at| is_within(at, now_ms, wait_ms / 2));
        let is_fresh_snapshot = calendar.mode == PullMode::Snapshot.code()
            && calendar.pulled_at_ms.is_some_and(|at| is_within(at, now_ms, SNAPSHOT_AGE_MIN_MS));
        self.order.is_asked || !(has_just_failed || is_fresh_snapshot)
    }

    async fn pull_calendar(&mut self, calendar: &CalendarRow, place: u64) -> Result<(), Stop> {
        let mut calendar = calendar.clone();
        let mut is_full = self.is_full_due(&calendar)?;
        // A calendar that once had to be pulled another way is tried by delta again, once a day and when a user asks
        // for everything.
        let now_ms = self.now_ms();
        let is_probe_due = !calendar.mode_at_ms.is_some_and(|at| is_within(at, now_ms, PROBE_AGE_MAX_MS));
        if (self.order.is_full || is_probe_due) && calendar.mode != PullMode::Delta.code() {
            self.mirror.set_mode(calendar.id, PullMode::Delta.code(), now_ms)?;
            self.mirror.forget_round(calendar.id)?;
            calendar.mode = PullMode::Delta.code().to_owned();
        }
        let mut fault = None;
        for _ in 0..RESTARTS_MAX {
            (self.progress)(Progress::Round { calendar: calendar.key, place, is_full });
            let ended = if is_full {
                self.full_round(&mut calendar).await
            } else {
                self.delta_round(&calendar).await
            };
            match ended {
                Ok(()) => return Ok(()),
                Err(Stop::Resync(lost)) => {
                    tracing::info!(calendar = %calendar.key, kind = lost.kind(), "the cursor is lost; comparing the whole window");
                    // A full round that lost its way leaves the live cursor alone.
                    if !is_full {
                        self.mirror.drop_cursor(calendar.id)?;
                        calendar.delta_link = None;
                    }
                    self.mirror.forget_round(calendar.id)?;
                    is_full = true;
                    fault = Some(lost);
                }
                Err(Stop::NoDelta(refused)) => {
                    let mode = match PullMode::from_code(&calendar.mode) {
                        Some(PullMode::Delta) if calendar.is_default => PullMode::MailboxDelta,
                        Some(PullMode::Delta | PullMode::MailboxDelta) => PullMode::Snapshot,
                        Some(PullMode::Snapshot) | None => return Err(Stop::Calendar(refused)),
                    };
                    self.use_mode(&mut calendar, mode, &refused)?;
                    is_full = true;
                    fault = Some(refused);
                }
                // One repeated link is no habit yet: the whole window is compared first.
                Err(Stop::Endless(endless)) if !is_full => {
                    self.mirror.drop_cursor(calendar.id)?;
                    calendar.delta_link = None;
                    is_full = true;
                    fault = Some(endless);
                }
                Err(Stop::Endless(endless)) => {
                    // Larger pages have ended such rounds; plain listings have no cursor to get lost in.
                    if calendar.page_size < PAGE_SIZE_MAX && is_full {
                        calendar.page_size = (calendar.page_size.saturating_mul(5)).min(PAGE_SIZE_MAX);
                        self.mirror.set_page_size(calendar.id, calendar.page_size)?;
                        self.mirror.forget_round(calendar.id)?;
                    } else if PullMode::from_code(&calendar.mode) == Some(PullMode::Snapshot) {
                        return Err(Stop::Calendar(endless));
                    } else {
                        self.use_mode(&mut calendar, PullMode::Snapshot, &endless)?;
                    }
                    is_full = true;
                    fault = Some(endless);
                }
                Err(Stop::Calendar(failed)) => {
                    fault = Some(failed);
                    break;
                }
                Err(stop @ (Stop::Mirror(_) | Stop::Account(_))) => return Err(stop),
            }
        }
        // A full round beside a live cursor may fail for its own reasons: stay in step with the old one.
        if is_full && calendar.delta_link.is_some() {
            self.delta_round(&calendar).await?;
        }
        Err(Stop::Calendar(fault.unwrap_or(Fault::EndlessPages)))
    }

    fn use_mode(&mut self, calendar: &mut CalendarRow, mode: PullMode, why: &Fault) -> Result<(), Stop> {
        tracing::info!(calendar = %calendar.key, mode = mode.code(), kind = why.kind(), "pulling this calendar another way");
        self.mirror.set_mode(calendar.id, mode.code(), self.now_ms())?;
        self.mirror.drop_cursor(calendar.id)?;
        self.mirror.forget_round(calendar.id)?;
        calendar.mode = mode.code().to_owned();
        calendar.delta_link = None;
        Ok(())
    }

    fn is_full_due(&self, calendar: &CalendarRow) -> Result<bool, Stop> {
        let now_ms = self.now_ms();
        let is_fresh = calendar.full_at_ms.is_some_and(|at| is_within(at, now_ms, FULL_AGE_MAX_MS));
        let has_window = calendar.live.is_some_and(|(_, window)| {
            // A window that was configured larger is read at once; one that merely moves waits for its day.
            covers(&window, &self.window(now_ms))
        });
        Ok(self.order.is_full
            || calendar.delta_link.is_none()
            || !is_fresh
            || !has_window
            || self.mirror.round(calendar.id)?.is_some())
    }

    fn window(&self, now_ms: i64) -> Window {
        Window::around(now_ms, self.order.past_ms, self.order.future_ms)
    }

    async fn full_round(&mut self, calendar: &mut CalendarRow) -> Result<(), Stop> {
        let now_ms = self.now_ms();
        let wanted = self.window(now_ms);
        let under_way = self.mirror.round(calendar.id)?.filter(|round| {
            is_within(round.started_at_ms, now_ms, ROUND_AGE_MAX_MS) && covers(&round.window, &wanted)
        });
        let mode = PullMode::from_code(&calendar.mode).unwrap_or(PullMode::Delta);
        let round = match under_way {
            Some(round) => round,
            None => self.mirror.begin_round(calendar.id, wanted, now_ms)?,
        };
        let pass = if mode == PullMode::Snapshot { Pass::Snapshot } else { Pass::Full };
        let place =
            RoundPlace { calendar_id: calendar.id, generation: round.generation, window: round.window };
        let first = match &round.next_link {
            Some(link) => link.clone(),
            None => self.source.first_link(mode, &calendar.remote_id, round.window),
        };
        let run = pages::Run { place, pass, first, is_resumed: round.next_link.is_some() };
        let ended = self.read_pages(calendar, run).await?;
        self.mirror.stage_unseen(&place, self.now_ms())?;
        if pass == Pass::Full || self.order.is_full {
            self.mirror.queue_unseen_masters(&place, self.now_ms())?;
        }
        let skipped = round.skipped + ended.skipped;
        self.end_round(calendar, &place, Some(&round), ended.delta_link.as_ref(), skipped, ended.committed)
            .await
    }

    async fn delta_round(&mut self, calendar: &CalendarRow) -> Result<(), Stop> {
        let Some(((generation, window), link)) = calendar.live.zip(calendar.delta_link.clone()) else {
            return Err(Stop::Resync(Fault::EndlessPages));
        };
        let place = RoundPlace { calendar_id: calendar.id, generation, window };
        let run = pages::Run { place, pass: Pass::Delta, first: link, is_resumed: false };
        let ended = self.read_pages(calendar, run).await?;
        self.end_round(calendar, &place, None, ended.delta_link.as_ref(), ended.skipped, ended.committed)
            .await
    }

    /// Completes the series, looks the soonest removals up, and ends the round in one write.
    async fn end_round(
        &mut self,
        calendar: &CalendarRow,
        place: &RoundPlace,
        full: Option<&RoundRow>,
        delta_link: Option<&Link>,
        skipped: u64,
        committed: Committed,
    ) -> Result<(), Stop> {
        self.complete_series(calendar, place).await?;
        let events_before = |pull: &Self, staged: u64| -> Result<u64, MirrorError> {
            match full {
                Some(round) => Ok(round.events_before),
                // Counting reads the calendar, so only a round that may be braked pays for it.
                None if brake(staged, 0) == RemovalVerdict::Hold => {
                    Ok(pull.mirror.count_events(place.calendar_id)?.saturating_sub(committed.inserted))
                }
                None => Ok(0),
            }
        };
        let staged = self.mirror.count_staged(place)?;
        let mut verdict = brake(staged, events_before(self, staged)?);
        let mut unproven = Vec::new();
        if staged > 0 && verdict == RemovalVerdict::Apply {
            let which = if full.is_some() { Suspects::All } else { Suspects::Singles };
            unproven = self.verify_removals(calendar, place, which).await?;
            let staged = self.mirror.count_staged(place)?;
            verdict = brake(staged, events_before(self, staged)?);
        }
        let end =
            RoundEnd { place: *place, is_full: full.is_some(), delta_link, skipped, unproven: &unproven };
        let ended = self.mirror.end_round(&end, verdict, self.now_ms())?;
        self.report.removed += ended.removed;
        self.report.held += ended.held;
        Ok(())
    }

    /// Asks for removed events one by one: `@removed` means "not in this window", and has been sent for rows that
    /// are still there; listings have left rows out. Answers the rows the server would not tell about.
    async fn verify_removals(
        &mut self,
        calendar: &CalendarRow,
        place: &RoundPlace,
        which: Suspects,
    ) -> Result<Vec<i64>, Stop> {
        let rows = self.mirror.nearest_staged(place, self.now_ms(), VERIFIED_MAX, which)?;
        let ids: Vec<_> = rows.iter().map(|row| row.remote_id.clone()).collect();
        let mut unproven = Vec::new();
        let mut kept = Vec::new();
        if ids.is_empty() {
            return Ok(unproven);
        }
        let looked_up = self.look_up(calendar, &ids).await;
        for (row, looked_up) in rows.iter().zip(looked_up) {
            match looked_up {
                Ok(Lookup::Found(record)) if place.window.overlaps(record.start_ms, record.end_ms) => {
                    kept.push(Change::Put(*record));
                }
                Ok(Lookup::Found(_) | Lookup::Missing) => {}
                // It is there, whatever it says.
                Ok(Lookup::Unreadable(_)) => unproven.push(row.event_id),
                Err(fault) if is_account_wide(&fault) => return Err(Stop::Account(fault)),
                Err(fault) => {
                    tracing::info!(
                        kind = fault.kind(),
                        "a removal could not be verified; the event stays until it can be"
                    );
                    unproven.push(row.event_id);
                }
            }
        }
        if !kept.is_empty() {
            let frame = frame(place, Pass::Recheck);
            self.commit(frame, kept, &Cursor::Keep)?;
        }
        Ok(unproven)
    }

    /// Plans and writes rows.
    fn commit(
        &mut self,
        frame: Frame,
        changes: Vec<Change>,
        cursor: &Cursor<'_>,
    ) -> Result<Committed, MirrorError> {
        let incoming = prepare(changes, frame.pass);
        self.commit_incoming(frame, incoming, cursor)
    }

    fn commit_incoming(
        &mut self,
        frame: Frame,
        incoming: Vec<crate::merge::Incoming>,
        cursor: &Cursor<'_>,
    ) -> Result<Committed, MirrorError> {
        let stored = self.mirror.stored(incoming.iter().map(crate::merge::Incoming::key))?;
        let plan = plan(frame, incoming, &stored);
        let committed = self.mirror.commit_page(&plan, cursor, self.ports.clock.now_ms())?;
        self.report.committed += committed;
        Ok(committed)
    }

    /// Does one thing at the server until it succeeds or the judgement says to stop.
    async fn attempt<T, F>(&mut self, step: Step, mut act: impl FnMut() -> F) -> Result<T, Stop>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut failures = 0;
        loop {
            match act().await {
                Ok(value) => return Ok(value),
                Err(fault) => {
                    failures += 1;
                    self.wait_or_stop(fault, step, failures).await?;
                }
            }
        }
    }

    /// Judges one failure: waits when trying again is worth it, else says how to stop.
    async fn wait_or_stop(&mut self, fault: Fault, step: Step, failures: u32) -> Result<(), Stop> {
        match judge(&fault, step, failures, self.ports.entropy.roll()) {
            Verdict::Again { after } if after <= PATIENCE => {
                (self.progress)(Progress::Waiting { duration: after, kind: fault.kind() });
                self.ports.clock.sleep(after).await;
                Ok(())
            }
            Verdict::Again { .. } | Verdict::Stop if is_account_wide(&fault) => Err(Stop::Account(fault)),
            Verdict::Again { .. } | Verdict::Stop | Verdict::Shrink => Err(Stop::Calendar(fault)),
            Verdict::SignIn => Err(Stop::Account(Fault::SignInNeeded)),
            Verdict::Resync => Err(Stop::Resync(fault)),
            Verdict::Snapshot => Err(Stop::NoDelta(fault)),
        }
    }
}

/// Whether a window holds what is wanted, give or take the days it may lag behind.
fn covers(window: &Window, wanted: &Window) -> bool {
    window.from_ms <= wanted.from_ms.saturating_add(2 * DAY_MS)
        && window.to_ms >= wanted.to_ms.saturating_sub(2 * DAY_MS)
}

fn frame(place: &RoundPlace, pass: Pass) -> Frame {
    Frame { calendar_id: place.calendar_id, generation: place.generation, pass }
}

/// Whether `at_ms` is not longer ago than `age_ms`, and not in a future that a clock put back has made.
fn is_within(at_ms: i64, now_ms: i64, age_ms: i64) -> bool {
    let age = now_ms.saturating_sub(at_ms);
    age < age_ms && age > -CLOCK_SLACK_MS
}

/// Whether a failure concerns the mailbox or the network, so that other calendars need not be tried.
fn is_account_wide(fault: &Fault) -> bool {
    match fault {
        Fault::Unreachable(_) | Fault::SignInNeeded => true,
        Fault::Refused { status: 401 | 429, .. } => true,
        Fault::Refused { retry_after, .. } => retry_after.is_some(),
        Fault::Unreadable(unreadable) => *unreadable == crate::model::Unreadable::WebPage,
        Fault::LinkRefused(_) | Fault::EndlessPages => false,
    }
}
