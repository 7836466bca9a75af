//! The systems events come from: one codec and one client a system, and what a pull asks of each.

pub mod ews;
pub mod graph;
pub mod ical;

use crate::model::{CalendarRecord, EventRecord, Fault, Link, Lookup, Page, RemoteId, Window};
use crate::ports::Pending;
use crate::source::ews::Ews;
use crate::source::graph::{Graph, PullMode};

/// One mailbox of whichever system, as a pull asks it: calendars, rounds that end with a cursor, rows by id and the
/// instances of one series. Clients that are cheap to clone implement it; what they promise is written there.
pub trait Source: Send + Sync {
    /// All calendars, complete, or a fault.
    fn calendars(&self) -> Pending<'_, Result<Vec<CalendarRecord>, Fault>>;

    /// One calendar; `None` when the server does not have it.
    fn calendar<'a>(&'a self, id: &'a RemoteId) -> Pending<'a, Result<Option<CalendarRecord>, Fault>>;

    /// Where a round begins.
    fn first_link(&self, mode: PullMode, calendar: &RemoteId, window: Window) -> Link;

    /// One page of a round.
    fn page<'a>(&'a self, link: &'a Link, page_size: u32) -> Pending<'a, Result<Page, Fault>>;

    /// What the server has for each of `ids`, in their order.
    fn lookup<'a>(
        &'a self,
        calendar: &'a RemoteId,
        ids: &'a [RemoteId],
    ) -> Pending<'a, Vec<Result<Lookup, Fault>>>;

    /// The instances of the series `master` in `window`, complete.
    fn instances<'a>(
        &'a self,
        calendar: &'a RemoteId,
        master: &'a RemoteId,
        window: Window,
    ) -> Pending<'a, Result<Vec<EventRecord>, Fault>>;

    /// The end of the pause that the server asked for, UTC epoch milliseconds.
    fn throttled_until_ms(&self) -> Option<i64>;

    /// Puts back a pause that was running when the program ended.
    fn pause_until(&self, until_ms: i64);
}

impl Source for Graph {
    fn calendars(&self) -> Pending<'_, Result<Vec<CalendarRecord>, Fault>> {
        Box::pin(Graph::calendars(self))
    }

    fn calendar<'a>(&'a self, id: &'a RemoteId) -> Pending<'a, Result<Option<CalendarRecord>, Fault>> {
        Box::pin(Graph::calendar(self, id))
    }

    fn first_link(&self, mode: PullMode, calendar: &RemoteId, window: Window) -> Link {
        Graph::first_link(self, mode, calendar, window)
    }

    fn page<'a>(&'a self, link: &'a Link, page_size: u32) -> Pending<'a, Result<Page, Fault>> {
        Box::pin(Graph::page(self, link, page_size))
    }

    fn lookup<'a>(
        &'a self,
        calendar: &'a RemoteId,
        ids: &'a [RemoteId],
    ) -> Pending<'a, Vec<Result<Lookup, Fault>>> {
        Box::pin(Graph::lookup(self, calendar, ids))
    }

    fn instances<'a>(
        &'a self,
        calendar: &'a RemoteId,
        master: &'a RemoteId,
        window: Window,
    ) -> Pending<'a, Result<Vec<EventRecord>, Fault>> {
        Box::pin(Graph::instances(self, calendar, master, window))
    }

    fn throttled_until_ms(&self) -> Option<i64> {
        Graph::throttled_until_ms(self)
    }

    fn pause_until(&self, until_ms: i64) {
        Graph::pause_until(self, until_ms);
    }
}

impl Source for Ews {
    fn calendars(&self) -> Pending<'_, Result<Vec<CalendarRecord>, Fault>> {
        Box::pin(Ews::calendars(self))
    }

    fn calendar<'a>(&'a self, id: &'a RemoteId) -> Pending<'a, Result<Option<CalendarRecord>, Fault>> {
        Box::pin(Ews::calendar(self, id))
    }

    fn first_link(&self, mode: PullMode, calendar: &RemoteId, window: Window) -> Link {
        Ews::first_link(self, mode, calendar, window)
    }

    fn page<'a>(&'a self, link: &'a Link, page_size: u32) -> Pending<'a, Result<Page, Fault>> {
        Box::pin(Ews::page(self, link, page_size))
    }

    fn lookup<'a>(
        &'a self,
        calendar: &'a RemoteId,
        ids: &'a [RemoteId],
    ) -> Pending<'a, Vec<Result<Lookup, Fault>>> {
        Box::pin(Ews::lookup(self, calendar, ids, None))
    }

    fn instances<'a>(
        &'a self,
        calendar: &'a RemoteId,
        master: &'a RemoteId,
        window: Window,
    ) -> Pending<'a, Result<Vec<EventRecord>, Fault>> {
        Box::pin(Ews::instances(self, calendar, master, window))
    }

    fn throttled_until_ms(&self) -> Option<i64> {
        Ews::throttled_until_ms(self)
    }

    fn pause_until(&self, until_ms: i64) {
        Ews::pause_until(self, until_ms);
    }
}
