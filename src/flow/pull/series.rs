use crate::flow::Progress;
use crate::flow::pull::{PATIENCE, Pull, Stop, frame, is_account_wide};
use crate::merge::Pass;
use crate::mirror::{CalendarRow, Cursor, HydrationRow, Need, RoundPlace};
use crate::model::{Change, DAY_MS, EventKind, EventRecord, Fault, Key, Lookup, RemoteId};
use crate::retry::{ATTEMPTS_MAX, Step, Verdict, judge};

/// Series fetched side by side.
const BATCH: u32 = 12;
/// Listings of instances in flight.
const LISTINGS: usize = 3;
/// Series fetched in one round; the rest waits for the next.
const SERIES_MAX: u32 = 5_000;
/// The first wait after a series could not be fetched; doubled each time.
const POSTPONE_MS: i64 = 60_000;
/// The longest such wait.
const POSTPONE_MAX_MS: i64 = DAY_MS;

impl Pull<'_> {
    /// Looks rows up, and those again that failed for a reason that passes, as patiently as everything else.
    pub(super) async fn look_up(
        &mut self,
        calendar: &CalendarRow,
        ids: &[RemoteId],
    ) -> Vec<Result<Lookup, Fault>> {
        let mut results = self.source.lookup(&calendar.remote_id, ids).await;
        for attempt in 1..ATTEMPTS_MAX {
            let mut waits = Vec::new();
            let mut again = Vec::new();
            for (place, (id, result)) in ids.iter().zip(&results).enumerate() {
                let Err(fault) = result else { continue };
                match judge(fault, Step::Lookup, attempt, self.ports.entropy.roll()) {
                    Verdict::Again { after } if after <= PATIENCE => {
                        waits.push((after, fault.kind()));
                        again.push((place, id.clone()));
                    }
                    Verdict::Again { .. }
                    | Verdict::Resync
                    | Verdict::Shrink
                    | Verdict::Snapshot
                    | Verdict::SignIn
                    | Verdict::Stop => {}
                }
            }
            let Some((duration, kind)) = waits.into_iter().max() else { break };
            (self.progress)(Progress::Waiting { duration, kind });
            self.ports.clock.sleep(duration).await;
            let wanted: Vec<RemoteId> = again.iter().map(|(_, id)| id.clone()).collect();
            let found = self.source.lookup(&calendar.remote_id, &wanted).await;
            for ((place, _), result) in again.into_iter().zip(found) {
                if let Some(slot) = results.get_mut(place) {
                    *slot = result;
                }
            }
        }
        results
    }

    /// Fetches what the queue holds for a calendar: absent masters, and whole series that changed. A series that
    /// cannot be fetched waits for a later round; what concerns the whole account stops the round.
    pub(super) async fn complete_series(
        &mut self,
        calendar: &CalendarRow,
        place: &RoundPlace,
    ) -> Result<(), Stop> {
        let mut fetched = 0;
        while fetched < SERIES_MAX {
            let due = self.mirror.due_hydrations(calendar.id, self.now_ms(), BATCH)?;
            if due.is_empty() {
                return Ok(());
            }
            fetched += due.len() as u32;
            let ids: Vec<_> = due.iter().map(|row| row.remote_id.clone()).collect();
            let masters = self.look_up(calendar, &ids).await;
            let mut again = Vec::new();
            for (row, master) in due.into_iter().zip(masters) {
                match (self.settle_master(place, &row, master)?, row.need) {
                    (Settled::Present, Need::Series) => again.push(row),
                    (Settled::Present | Settled::Absent, Need::Master | Need::Series) => {
                        self.mirror.finish_hydration(row.event_id, row.need)?;
                    }
                    (Settled::Postponed, Need::Master | Need::Series) => {}
                }
            }
            self.complete_instances(calendar, place, again).await?;
        }
        Ok(())
    }

    /// Writes a master that was looked up, or its absence.
    fn settle_master(
        &mut self,
        place: &RoundPlace,
        row: &HydrationRow,
        master: Result<Lookup, Fault>,
    ) -> Result<Settled, Stop> {
        match master {
            Ok(Lookup::Found(record)) => {
                let is_series = record.kind == EventKind::Master;
                self.commit(frame(place, Pass::Recheck), vec![Change::Put(*record)], &Cursor::Keep)?;
                Ok(if is_series { Settled::Present } else { Settled::Absent })
            }
            // A series that changed and is not there was deleted. One that was only referred to stays visible
            // without its details: some shares hide masters.
            Ok(Lookup::Missing) if row.need == Need::Series => {
                let gone = vec![Change::Gone(row.remote_id.clone())];
                self.commit(frame(place, Pass::Recheck), gone, &Cursor::Keep)?;
                Ok(Settled::Absent)
            }
            Ok(Lookup::Missing | Lookup::Unreadable(_)) => {
                self.postpone(row)?;
                Ok(Settled::Postponed)
            }
            Err(fault) if is_account_wide(&fault) => Err(Stop::Account(fault)),
            Err(fault) => {
                tracing::info!(series = %row.key, kind = fault.kind(), "a series could not be fetched; it waits");
                self.postpone(row)?;
                Ok(Settled::Postponed)
            }
        }
    }

    /// Replaces the instances of changed series by what the server lists in the window.
    async fn complete_instances(
        &mut self,
        calendar: &CalendarRow,
        place: &RoundPlace,
        rows: Vec<HydrationRow>,
    ) -> Result<(), Stop> {
        for chunk in rows.chunks(LISTINGS) {
            let listings = chunk
                .iter()
                .map(|row| self.source.instances(&calendar.remote_id, &row.remote_id, place.window));
            let listings = futures_util::future::join_all(listings).await;
            for (row, listing) in chunk.iter().zip(listings) {
                let listing = match listing {
                    Err(fault) => self.list_again(calendar, row, place, fault).await,
                    Ok(instances) => Ok(instances),
                };
                match listing {
                    Ok(instances) => self.replace_instances(place, row, instances)?,
                    Err(fault) if is_account_wide(&fault) => return Err(Stop::Account(fault)),
                    Err(fault) => {
                        tracing::info!(series = %row.key, kind = fault.kind(), "a series could not be listed; it waits");
                        self.postpone(row)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Lists the instances of one series again when the failure may pass.
    async fn list_again(
        &mut self,
        calendar: &CalendarRow,
        row: &HydrationRow,
        place: &RoundPlace,
        mut fault: Fault,
    ) -> Result<Vec<EventRecord>, Fault> {
        for attempt in 1..ATTEMPTS_MAX {
            match judge(&fault, Step::Lookup, attempt, self.ports.entropy.roll()) {
                Verdict::Again { after } if after <= PATIENCE => {
                    (self.progress)(Progress::Waiting { duration: after, kind: fault.kind() });
                    self.ports.clock.sleep(after).await;
                }
                Verdict::Again { .. }
                | Verdict::Resync
                | Verdict::Shrink
                | Verdict::Snapshot
                | Verdict::SignIn
                | Verdict::Stop => return Err(fault),
            }
            match self.source.instances(&calendar.remote_id, &row.remote_id, place.window).await {
                Ok(instances) => return Ok(instances),
                Err(again) => fault = again,
            }
        }
        Err(fault)
    }

    fn replace_instances(
        &mut self,
        place: &RoundPlace,
        row: &HydrationRow,
        instances: Vec<EventRecord>,
    ) -> Result<(), Stop> {
        let keys: Vec<Key> = instances.iter().map(|i| Key::of_remote(i.remote_id.as_str())).collect();
        let changes = instances.into_iter().map(Change::Put).collect();
        self.commit(frame(place, Pass::Recheck), changes, &Cursor::Keep)?;
        let kept: Vec<i64> =
            self.mirror.stored(keys)?.into_iter().flatten().map(|stored| stored.id).collect();
        let now_ms = self.now_ms();
        self.mirror.stage_missing_instances(row.event_id, place, &kept, now_ms)?;
        self.mirror.finish_hydration(row.event_id, Need::Series)?;
        Ok(())
    }

    fn postpone(&mut self, row: &HydrationRow) -> Result<(), Stop> {
        let wait_ms = POSTPONE_MS.saturating_mul(1 << row.attempts.min(16)).min(POSTPONE_MAX_MS);
        let next_at_ms = self.now_ms().saturating_add(wait_ms);
        Ok(self.mirror.postpone_hydration(row.event_id, next_at_ms)?)
    }
}

/// What became of a master that was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    /// It is a series, and its details are written.
    Present,
    /// It is no series any more.
    Absent,
    /// It could not be fetched.
    Postponed,
}
