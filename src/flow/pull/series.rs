use crate::flow::pull::{Pull, Stop, frame, is_account_wide};
use crate::merge::Pass;
use crate::mirror::{CalendarRow, Cursor, HydrationRow, Need, RoundPlace};
use crate::model::{Change, DAY_MS, EventKind, EventRecord, Fault, Key, Lookup};

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
            let masters = self.graph.lookup(&calendar.remote_id, &ids).await;
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
                .map(|row| self.graph.instances(&calendar.remote_id, &row.remote_id, place.window));
            let listings = futures_util::future::join_all(listings).await;
            for (row, listing) in chunk.iter().zip(listings) {
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
