use std::sync::Arc;

use crate::flow::Progress;
use crate::flow::pull::guard::Guard;
use crate::flow::pull::{PAGE_SIZE_MIN, Pull, Stop, frame};
use crate::merge::{Incoming, Pass, prepare};
use crate::mirror::{CalendarRow, Committed, Cursor, PAGE_SIZE, RoundPlace};
use crate::model::{Broken, Fault, Link, Next, Unreadable};
use crate::retry::{Step, Verdict, judge};
use crate::source::Source;

/// A round to read.
pub(super) struct Run {
    /// Where.
    pub place: RoundPlace,
    /// In which pass.
    pub pass: Pass,
    /// The first link to follow.
    pub first: Link,
    /// Whether that link was stored in the middle of a round.
    pub is_resumed: bool,
}

/// What reading brought.
pub(super) struct PagesEnd {
    pub delta_link: Option<Link>,
    pub skipped: u64,
    pub committed: Committed,
}

/// A fetched page, decoded and hashed beside the writing of the page before it.
struct Fetched {
    incoming: Vec<Incoming>,
    rows: u64,
    skipped: u64,
    next: Next,
}

/// A fetch under way; dropped, it stops.
struct Fetching(tokio::task::JoinHandle<Result<Fetched, Fault>>);

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Fetching {
    fn start(source: &Arc<dyn Source>, link: &Link, page_size: u32, pass: Pass) -> Fetching {
        let (source, link) = (source.clone(), link.clone());
        Fetching(tokio::spawn(async move {
            let page = source.page(&link, page_size).await?;
            Ok(Fetched {
                rows: page.changes.len() as u64,
                skipped: page.skipped.len() as u64,
                next: page.next,
                incoming: prepare(page.changes, pass),
            })
        }))
    }

    async fn end(mut self) -> Result<Fetched, Fault> {
        // A fetch that was cut off (the runtime is closing) is an attempt that broke.
        (&mut self.0).await.unwrap_or(Err(Fault::Unreachable(Broken::Reset)))
    }
}

impl Pull<'_> {
    /// Reads the pages of a round and commits each; the next one is fetched while one is written.
    pub(super) async fn read_pages(&mut self, calendar: &CalendarRow, run: Run) -> Result<PagesEnd, Stop> {
        let mut guard = Guard::default();
        let mut end = PagesEnd { delta_link: None, skipped: 0, committed: Committed::default() };
        // A smaller page than the calendar's is remembered only when it has worked.
        let mut page_size = calendar.page_size;
        let mut link = run.first;
        let mut is_first = !run.is_resumed;
        let stopped = |fault| Stop::Endless(fault);
        guard.follow(&link).map_err(stopped)?;
        let mut fetching = Fetching::start(self.source, &link, page_size, run.pass);
        let mut failures = 0;
        loop {
            let fetched = match fetching.end().await {
                Ok(fetched) => fetched,
                Err(fault) => {
                    failures += 1;
                    let step = match (run.pass, is_first) {
                        (Pass::Delta, true) => Step::DeltaLink,
                        (_, true) => Step::FirstPage,
                        (_, false) => Step::NextPage,
                    };
                    if judge(&fault, step, failures, 0.5) == Verdict::Shrink && page_size > PAGE_SIZE_MIN {
                        page_size = (page_size / 2).max(PAGE_SIZE_MIN);
                    } else {
                        self.wait_or_stop(fault, step, failures).await?;
                    }
                    fetching = Fetching::start(self.source, &link, page_size, run.pass);
                    continue;
                }
            };
            failures = 0;
            is_first = false;
            self.report.pages += 1;
            self.rows += fetched.rows;
            end.skipped += fetched.skipped;
            let (next, delta_link) = match fetched.next {
                Next::Page(next) => (Some(next), None),
                Next::Delta(link) => (None, Some(link)),
                Next::End => (None, None),
            };
            if let Some(next) = &next {
                guard.page(&fetched.incoming).map_err(stopped)?;
                guard.follow(next).map_err(stopped)?;
            }
            let ahead = next.as_ref().map(|next| Fetching::start(self.source, next, page_size, run.pass));
            let cursor = match (&next, run.pass) {
                (Some(link), Pass::Full | Pass::Snapshot) => Cursor::Next { link, skipped: fetched.skipped },
                (_, Pass::Preview | Pass::Delta | Pass::Recheck) | (None, _) => Cursor::Keep,
            };
            end.committed += self.commit_incoming(frame(&run.place, run.pass), fetched.incoming, &cursor)?;
            (self.progress)(Progress::Page {
                calendar: calendar.key,
                rows: fetched.rows,
                rows_total: self.rows,
            });
            // A wish to stop is heard here, though the next page be there already.
            tokio::task::yield_now().await;
            match (next, ahead) {
                (Some(next), Some(ahead)) => {
                    link = next;
                    fetching = ahead;
                }
                _ => {
                    // A round of deltas that ends without a cursor has not ended: nothing may be removed by it.
                    match (run.pass, delta_link) {
                        (Pass::Snapshot, _) => {}
                        (_, None) => return Err(Stop::Calendar(Fault::Unreadable(Unreadable::Links))),
                        (_, link) => end.delta_link = link,
                    }
                    self.remember_page_size(calendar, page_size, &run.pass)?;
                    return Ok(end);
                }
            }
        }
    }

    /// Keeps a smaller page size that got a round to its end; a full round that needed none tries larger pages again.
    fn remember_page_size(&mut self, calendar: &CalendarRow, used: u32, pass: &Pass) -> Result<(), Stop> {
        let is_full = matches!(pass, Pass::Full | Pass::Snapshot);
        let wanted = if used < calendar.page_size {
            used
        } else if is_full && used < PAGE_SIZE {
            used.saturating_mul(2).min(PAGE_SIZE)
        } else {
            return Ok(());
        };
        Ok(self.mirror.set_page_size(calendar.id, wanted)?)
    }
}
