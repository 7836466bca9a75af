use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use futures_util::future::join_all;

use crate::model::{
    CalendarRecord, Change, DAY_MS, EventKind, EventRecord, Fault, Link, Lookup, Next, Page, RemoteId,
    Secret, Skipped, Window,
};
use crate::ports::{Bearer, Clock, Http, Method, Request};
use crate::source::ews::answer::{self, Found};
use crate::source::ews::item::{Item, Slot};
use crate::source::ews::link::{Cursor, Place};
use crate::source::ews::refusal;
use crate::source::ews::request::{self, Head, Shape, Version, Which};
use crate::source::ews::site::EwsSite;
use crate::source::ews::xml::Element;
use crate::source::graph::gate::{Gate, Member};
use crate::source::graph::{
    CALENDARS_MAX, INSTANCES_MAX, LISTING_PAGES_MAX, Limits, PAGE_TIMEOUT, PullMode, REPLY_BYTES_MAX,
};

/// The most changes that Exchange puts into one answer.
pub const CHANGES_MAX: u32 = 512;
/// The most rows that Exchange puts into one view.
pub const VIEW_ROWS_MAX: u32 = 1_000;
/// Items asked for in one request.
pub const ITEMS_MAX: usize = 50;
/// Folders asked for in one request.
const FOLDERS_MAX: usize = 500;
/// The span of the first view of a round.
const STEP_FIRST_MS: i64 = 31 * DAY_MS;
/// The longest span of a view; Exchange refuses more than two years.
const STEP_MAX_MS: i64 = 366 * DAY_MS;
/// A view that is cut off although it is no longer than this is one that cannot be read.
const STEP_MIN_MS: i64 = 60_000;
/// Series whose ids are remembered by their UIDs.
const SERIES_MAX: usize = 20_000;
/// How deep folders are followed upwards.
const FOLDER_DEPTH_MAX: usize = 100;

/// How a server is told who asks.
#[derive(Clone)]
pub enum Login {
    /// A name (`anna@example.com` or `DOMAIN\anna`) and a password; needs Basic authentication on the server.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// Tokens of OAuth.
    Bearer(Arc<dyn Bearer>),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Login::Basic { .. } => "Login(Basic)",
            Login::Bearer(_) => "Login(Bearer)",
        })
    }
}

/// One mailbox of an Exchange server. Cheap to clone; all clones share one gate.
#[derive(Clone)]
pub struct Ews(pub(super) Arc<Mailbox>);

pub(super) struct Mailbox {
    site: EwsSite,
    http: Arc<dyn Http>,
    login: Login,
    pub(super) clock: Arc<dyn Clock>,
    gate: Gate,
    /// The server is too old for the newer schema.
    is_old: AtomicBool,
    series: Mutex<Series>,
    /// The view that instances are taken from; kept while one round reads series after series.
    listing: tokio::sync::Mutex<Option<Listing>>,
}

/// Which series has which UID: an instance of a view tells its UID alone.
#[derive(Default)]
struct Series {
    by_uid: BTreeMap<(RemoteId, String), RemoteId>,
    uids: BTreeMap<RemoteId, String>,
}

struct Listing {
    folder: RemoteId,
    window: Window,
    slots: Arc<Vec<Slot>>,
}

/// The series that some instances belong to.
struct Belonging {
    /// By instance.
    series: BTreeMap<RemoteId, RemoteId>,
    /// The series that had to be asked for, whole.
    masters: Vec<Item>,
}

impl Ews {
    /// The mailbox at `site`, reached by these ports.
    pub fn new(site: EwsSite, http: Arc<dyn Http>, login: Login, clock: Arc<dyn Clock>) -> Ews {
        Ews::with_gate(site, http, login, clock, None)
    }

    /// The same as one of many mailboxes of a service account: they share `limits`.
    pub fn with_limits(
        site: EwsSite,
        http: Arc<dyn Http>,
        login: Login,
        clock: Arc<dyn Clock>,
        limits: Arc<Limits>,
    ) -> Ews {
        let mailbox = site.impersonated().unwrap_or_default().to_owned();
        Ews::with_gate(site, http, login, clock, Some(Member { mailbox, limits }))
    }

    fn with_gate(
        site: EwsSite,
        http: Arc<dyn Http>,
        login: Login,
        clock: Arc<dyn Clock>,
        limits: Option<Member>,
    ) -> Ews {
        Ews(Arc::new(Mailbox {
            site,
            http,
            login,
            clock,
            gate: Gate::new(limits),
            is_old: AtomicBool::new(false),
            series: Mutex::default(),
            listing: tokio::sync::Mutex::new(None),
        }))
    }

    /// All calendars of the mailbox, complete, the default one first; none that lies among the deleted things.
    ///
    /// # Errors
    /// Any [`Fault`]; `EndlessPages` beyond [`LISTING_PAGES_MAX`] or [`CALENDARS_MAX`].
    pub async fn calendars(&self) -> Result<Vec<CalendarRecord>, Fault> {
        let (body, _) = self.0.call(request::distinguished).await?;
        let mut messages = answer::messages(&body)?.iter().map(answer::folders);
        let mut next =
            || messages.next().transpose().map(|found| found.and_then(|(mut folders, _)| folders.pop()));
        let default = next()?;
        // Not everybody may see this one.
        let deleted = next().ok().flatten().map(|folder| folder.id);
        let mut folders = Vec::new();
        for page in 0.. {
            if page >= LISTING_PAGES_MAX {
                return Err(Fault::EndlessPages);
            }
            let offset = folders.len();
            let (body, _) = self.0.call(|head| request::folders(head, offset, FOLDERS_MAX)).await?;
            let (found, is_last) = answer::folders(answer::message(&body)?)?;
            let is_empty = found.is_empty();
            folders.extend(found);
            if is_last || is_empty {
                break;
            }
        }
        let parents: BTreeMap<RemoteId, RemoteId> =
            folders.iter().filter_map(|folder| Some((folder.id.clone(), folder.parent.clone()?))).collect();
        let is_deleted = |id: &RemoteId| {
            let up = std::iter::successors(Some(id), |id| parents.get(*id)).take(FOLDER_DEPTH_MAX);
            up.into_iter().any(|id| Some(id) == deleted.as_ref())
        };
        let mut calendars = Vec::new();
        let mut seen = BTreeSet::new();
        let default_id = default.as_ref().map(|folder| folder.id.clone());
        for folder in default.into_iter().chain(folders) {
            let is_default = Some(&folder.id) == default_id.as_ref();
            if (folder.is_calendar || is_default) && !is_deleted(&folder.id) && seen.insert(folder.id.clone())
            {
                calendars.push(folder.record(is_default));
            }
        }
        if calendars.len() > CALENDARS_MAX { Err(Fault::EndlessPages) } else { Ok(calendars) }
    }

    /// One calendar; `None` when the server does not have it.
    ///
    /// # Errors
    /// Any [`Fault`] but those of links and pages.
    pub async fn calendar(&self, id: &RemoteId) -> Result<Option<CalendarRecord>, Fault> {
        let (body, _) = self.0.call(|head| request::folder(head, id)).await?;
        let message = answer::messages(&body)?.first();
        match message.map(answer::folders).transpose() {
            Ok(found) => {
                Ok(found.and_then(|(mut folders, _)| folders.pop()).map(|folder| folder.record(false)))
            }
            Err(fault) if refusal::is_folder_missing(&fault) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Where a round begins.
    pub fn first_link(&self, mode: PullMode, calendar: &RemoteId, window: Window) -> Link {
        let place = match mode {
            PullMode::Delta | PullMode::MailboxDelta => Place::Seed { state: None },
            PullMode::Snapshot => first_view(None, window),
        };
        Cursor { folder: calendar.clone(), window, place }.link()
    }

    /// One page of a round. `page_size` is the most rows of it, within what Exchange allows.
    ///
    /// A full round first finds the folder's present state (pages without rows, ids only), then reads the window by
    /// views in which the server has expanded series: instances are stubs, whose details are their series'. Its last
    /// page leads to a cursor of changes.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn page(&self, link: &Link, page_size: u32) -> Result<Page, Fault> {
        let cursor = Cursor::of(link)?;
        match cursor.place {
            Place::Seed { state } => self.seed(cursor.folder, cursor.window, state).await,
            Place::View { state, at_ms, step_ms } => {
                let view = View { folder: cursor.folder, window: cursor.window, at_ms, step_ms };
                self.view(view, state, page_size).await
            }
            Place::Changes { state } => self.changes(cursor.folder, cursor.window, &state, page_size).await,
        }
    }

    async fn seed(&self, folder: RemoteId, window: Window, state: Option<String>) -> Result<Page, Fault> {
        if state.is_none() {
            self.0.forget(&folder);
        }
        let (body, bytes) =
            self.0.call(|head| request::sync(head, &folder, state.as_deref(), CHANGES_MAX)).await?;
        let synced = answer::synced(&body)?;
        let place = if synced.is_last {
            first_view(Some(synced.state), window)
        } else {
            Place::Seed { state: Some(synced.state) }
        };
        let next = Next::Page(Cursor { folder, window, place }.link());
        Ok(Page { changes: Vec::new(), skipped: Vec::new(), next, bytes })
    }

    async fn view(&self, mut view: View, state: Option<String>, page_size: u32) -> Result<Page, Fault> {
        let rows_max = page_size.clamp(1, VIEW_ROWS_MAX);
        let (span, viewed, bytes) = loop {
            let span = view.span();
            let rows = if view.step_ms <= STEP_MIN_MS { VIEW_ROWS_MAX } else { rows_max };
            let (body, bytes) = self.0.call(|head| request::view(head, &view.folder, span, rows)).await?;
            let viewed = answer::viewed(&body)?;
            if viewed.is_whole {
                break (span, viewed, bytes);
            }
            if view.step_ms <= STEP_MIN_MS {
                return Err(Fault::EndlessPages);
            }
            view.step_ms = ((span.to_ms - span.from_ms) / 2).max(STEP_MIN_MS);
        };
        let count = viewed.slots.len();
        // What began before this span was in the one before it.
        let slots: Vec<Slot> = viewed.slots.into_iter().filter(|slot| view.is_wanted(slot)).collect();
        let is_plain = state.is_none();
        let mut skipped = viewed.skipped;
        let changes = self.rows(&view.folder, &slots, is_plain, &mut skipped).await?;
        view.at_ms = span.to_ms;
        if count < usize::try_from(rows_max / 4).unwrap_or(usize::MAX) {
            view.step_ms = view.step_ms.saturating_mul(2).min(STEP_MAX_MS);
        }
        let View { folder, window, at_ms, step_ms } = view;
        let next = match (at_ms < reading(window).to_ms, state) {
            (true, state) => {
                Next::Page(Cursor { folder, window, place: Place::View { state, at_ms, step_ms } }.link())
            }
            (false, Some(state)) => {
                Next::Delta(Cursor { folder, window, place: Place::Changes { state } }.link())
            }
            (false, None) => Next::End,
        };
        Ok(Page { changes, skipped, next, bytes })
    }

    /// The rows that slots stand for: instances as stubs, unless everything is wanted `whole`.
    async fn rows(
        &self,
        folder: &RemoteId,
        slots: &[Slot],
        whole: bool,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Vec<Change>, Fault> {
        let is_full = |slot: &&Slot| whole || slot.kind != EventKind::Occurrence;
        let wanted: Vec<RemoteId> = slots.iter().filter(is_full).map(|slot| slot.remote_id.clone()).collect();
        let belonging = self.belonging(folder, instances(slots)).await?;
        let mut full = BTreeMap::new();
        for (id, found) in wanted.iter().zip(self.0.find(&wanted).await) {
            match found? {
                Found::Item(item) => {
                    full.insert(id.clone(), item.record);
                }
                // Deleted since the view: the next round tells.
                Found::Missing => {}
                Found::Unreadable(why) => skipped.push(why),
            }
        }
        let mut changes: Vec<Change> = Vec::with_capacity(slots.len());
        if !whole {
            let here =
                belonging.masters.into_iter().filter(|item| item.folder.as_ref().is_none_or(|f| f == folder));
            changes.extend(here.map(|item| Change::Put(item.record)));
        }
        for slot in slots {
            let record = if is_full(&slot) { full.remove(&slot.remote_id) } else { Some(stub(slot)) };
            let Some(mut record) = record else { continue };
            match record.kind {
                EventKind::Single | EventKind::Master => {}
                EventKind::Occurrence | EventKind::Exception => {
                    record.series = belonging.series.get(&record.remote_id).cloned();
                    if record.series.is_none() {
                        skipped.push(Skipped::Series);
                        continue;
                    }
                }
            }
            changes.push(Change::Put(record));
        }
        Ok(changes)
    }

    async fn changes(
        &self,
        folder: RemoteId,
        window: Window,
        state: &str,
        page_size: u32,
    ) -> Result<Page, Fault> {
        let count = page_size.clamp(1, CHANGES_MAX);
        *self.0.listing.lock().await = None;
        let (body, bytes) = self.0.call(|head| request::sync(head, &folder, Some(state), count)).await?;
        let synced = answer::synced(&body)?;
        let mut changes = Vec::with_capacity(synced.put.len() + synced.gone.len());
        let mut skipped = synced.skipped;
        for (id, found) in synced.put.iter().zip(self.lookup(&folder, &synced.put, Some(window)).await) {
            match found? {
                Lookup::Found(record) => changes.push(Change::Put(*record)),
                Lookup::Missing => changes.push(Change::Gone(id.clone())),
                Lookup::Unreadable(why) => skipped.push(why),
            }
        }
        changes.extend(synced.gone.into_iter().map(Change::Gone));
        let place = Place::Changes { state: synced.state };
        let next = Cursor { folder, window, place }.link();
        let next = if synced.is_last { Next::Delta(next) } else { Next::Page(next) };
        Ok(Page { changes, skipped, next, bytes })
    }

    /// What the server has for each of `ids` in this calendar, in their order, fifty a request. With a window, what
    /// lies outside it reads as missing.
    pub async fn lookup(
        &self,
        calendar: &RemoteId,
        ids: &[RemoteId],
        window: Option<Window>,
    ) -> Vec<Result<Lookup, Fault>> {
        let found = self.0.find(ids).await;
        let of_series = found.iter().filter_map(|found| match found {
            Ok(Found::Item(item)) if is_instance(item.record.kind) => {
                Some((item.record.remote_id.clone(), item.uid.clone()))
            }
            Ok(_) | Err(_) => None,
        });
        let belonging = self.belonging(calendar, of_series.collect()).await;
        let is_here = |item: &Item| {
            item.folder.as_ref().is_none_or(|folder| folder == calendar)
                && window.is_none_or(|window| item.touches(window))
        };
        let look = |found: Result<Found, Fault>| match found? {
            Found::Missing => Ok(Lookup::Missing),
            Found::Unreadable(why) => Ok(Lookup::Unreadable(why)),
            Found::Item(item) if !is_here(&item) => Ok(Lookup::Missing),
            Found::Item(item) => {
                let mut record = item.record;
                if is_instance(record.kind) {
                    record.series =
                        belonging.as_ref().map_err(Clone::clone)?.series.get(&record.remote_id).cloned();
                    if record.series.is_none() {
                        return Ok(Lookup::Unreadable(Skipped::Series));
                    }
                } else if let (EventKind::Master, Some(uid)) = (record.kind, item.uid) {
                    self.0.remember(calendar, uid, &record.remote_id);
                }
                Ok(Lookup::Found(Box::new(record)))
            }
        };
        found.into_iter().map(look).collect()
    }

    /// What the server has for one id.
    ///
    /// # Errors
    /// Any [`Fault`] but those of links and pages.
    pub async fn read(&self, calendar: &RemoteId, id: &RemoteId) -> Result<Lookup, Fault> {
        let mut found = self.lookup(calendar, std::slice::from_ref(id), None).await;
        found.pop().unwrap_or(Ok(Lookup::Missing))
    }

    /// The instances of the series `master` in `window`, complete: occurrences as stubs.
    ///
    /// EWS lists no instances of one series; they are picked out of the view of the window, which is read once for
    /// all series of a round.
    ///
    /// # Errors
    /// Any [`Fault`]; `EndlessPages` beyond [`INSTANCES_MAX`].
    pub async fn instances(
        &self,
        calendar: &RemoteId,
        master: &RemoteId,
        window: Window,
    ) -> Result<Vec<EventRecord>, Fault> {
        let uid = match self.0.uid_of(master) {
            Some(uid) => Some(uid),
            None => match self.0.find(std::slice::from_ref(master)).await.pop() {
                Some(Ok(Found::Item(item))) => item.uid,
                Some(Err(fault)) => return Err(fault),
                Some(Ok(Found::Missing | Found::Unreadable(_))) | None => return Ok(Vec::new()),
            },
        };
        let listing = self.listing(calendar, window).await?;
        // Those without a UID may belong to any series: they are asked.
        let may_be = |slot: &&Slot| is_instance(slot.kind) && (slot.uid.is_none() || slot.uid == uid);
        let slots: Vec<Slot> = listing.iter().filter(may_be).cloned().collect();
        if slots.len() > INSTANCES_MAX {
            return Err(Fault::EndlessPages);
        }
        let mut skipped = Vec::new();
        let rows = self.rows(calendar, &slots, false, &mut skipped).await?;
        Ok(rows
            .into_iter()
            .filter_map(|change| match change {
                Change::Put(record) if record.series.as_ref() == Some(master) => Some(record),
                Change::Put(_) | Change::Gone(_) => None,
            })
            .collect())
    }

    async fn listing(&self, folder: &RemoteId, window: Window) -> Result<Arc<Vec<Slot>>, Fault> {
        let mut kept = self.0.listing.lock().await;
        if let Some(listing) = kept.as_ref().filter(|kept| kept.folder == *folder && kept.window == window) {
            return Ok(Arc::clone(&listing.slots));
        }
        let mut view =
            View { folder: folder.clone(), window, at_ms: reading(window).from_ms, step_ms: STEP_MAX_MS };
        let mut slots = Vec::new();
        let mut requests = 0;
        while view.at_ms < reading(window).to_ms {
            requests += 1;
            if requests > LISTING_PAGES_MAX {
                return Err(Fault::EndlessPages);
            }
            let span = view.span();
            let (body, _) = self.0.call(|head| request::view(head, folder, span, VIEW_ROWS_MAX)).await?;
            let viewed = answer::viewed(&body)?;
            if viewed.is_whole {
                slots.extend(viewed.slots.into_iter().filter(|slot| view.is_wanted(slot)));
                view.at_ms = span.to_ms;
            } else if view.step_ms <= STEP_MIN_MS {
                return Err(Fault::EndlessPages);
            } else {
                view.step_ms = ((span.to_ms - span.from_ms) / 2).max(STEP_MIN_MS);
            }
        }
        let slots = Arc::new(slots);
        *kept = Some(Listing { folder: folder.clone(), window, slots: Arc::clone(&slots) });
        Ok(slots)
    }

    /// The series of instances, given with their UIDs: known ones from memory, others are asked for by one instance
    /// each.
    async fn belonging(
        &self,
        folder: &RemoteId,
        instances: Vec<(RemoteId, Option<String>)>,
    ) -> Result<Belonging, Fault> {
        let mut asked: Vec<(RemoteId, Option<String>)> = Vec::new();
        let mut asked_uids = BTreeSet::new();
        for (id, uid) in &instances {
            let is_known = uid.as_ref().is_some_and(|uid| {
                self.0.series_of(folder, uid).is_some() || !asked_uids.insert(uid.clone())
            });
            if !is_known {
                asked.push((id.clone(), uid.clone()));
            }
        }
        let ids: Vec<RemoteId> = asked.iter().map(|(id, _)| id.clone()).collect();
        let mut belonging = Belonging { series: BTreeMap::new(), masters: Vec::new() };
        for ((id, uid), found) in asked.into_iter().zip(self.0.find_series(&ids).await) {
            if let Found::Item(item) = found?
                && item.record.kind == EventKind::Master
            {
                if let Some(uid) = uid {
                    self.0.remember(folder, uid, &item.record.remote_id);
                }
                belonging.series.insert(id, item.record.remote_id.clone());
                belonging.masters.push(*item);
            }
        }
        for (id, uid) in instances {
            if let Some(series) = uid.and_then(|uid| self.0.series_of(folder, &uid)) {
                belonging.series.insert(id, series);
            }
        }
        Ok(belonging)
    }

    /// The end of the pause that the server asked this mailbox for, UTC epoch milliseconds.
    pub fn throttled_until_ms(&self) -> Option<i64> {
        self.0.gate.paused_until_ms(self.0.clock.now_ms())
    }

    /// Starts or lengthens the pause: puts back one that was running when the program ended.
    pub fn pause_until(&self, until_ms: i64) {
        self.0.gate.pause_until(until_ms, self.0.clock.now_ms());
    }
}

/// Where a reading of views stands.
struct View {
    folder: RemoteId,
    window: Window,
    at_ms: i64,
    step_ms: i64,
}

impl View {
    fn span(&self) -> Window {
        let step_ms = self.step_ms.clamp(STEP_MIN_MS, STEP_MAX_MS);
        Window {
            from_ms: self.at_ms,
            to_ms: self.at_ms.saturating_add(step_ms).min(reading(self.window).to_ms),
        }
    }

    /// Whether a row belongs to the window, and was not in the span before this one.
    fn is_wanted(&self, slot: &Slot) -> bool {
        let is_first_seen = self.at_ms <= reading(self.window).from_ms || slot.begins_ms >= self.at_ms;
        is_first_seen && self.window.overlaps(slot.start_ms, slot.end_ms)
    }
}

/// What is read for a window: all-day events are found by instants within a day of their dates.
fn reading(window: Window) -> Window {
    Window { from_ms: window.from_ms.saturating_sub(DAY_MS), to_ms: window.to_ms.saturating_add(DAY_MS) }
}

fn first_view(state: Option<String>, window: Window) -> Place {
    Place::View { state, at_ms: reading(window).from_ms, step_ms: STEP_FIRST_MS }
}

fn is_instance(kind: EventKind) -> bool {
    match kind {
        EventKind::Occurrence | EventKind::Exception => true,
        EventKind::Single | EventKind::Master => false,
    }
}

fn instances(slots: &[Slot]) -> Vec<(RemoteId, Option<String>)> {
    let instances = slots.iter().filter(|slot| is_instance(slot.kind));
    instances.map(|slot| (slot.remote_id.clone(), slot.uid.clone())).collect()
}

fn stub(slot: &Slot) -> EventRecord {
    EventRecord {
        remote_id: slot.remote_id.clone(),
        kind: slot.kind,
        change_key: slot.change_key.clone(),
        series: None,
        start_ms: slot.start_ms,
        end_ms: slot.end_ms,
        original_start_ms: None,
        modified_ms: None,
        details: None,
    }
}

impl Mailbox {
    /// Items by id, in their order.
    async fn find(&self, ids: &[RemoteId]) -> Vec<Result<Found, Fault>> {
        self.find_each(ids, |id| Which::Item(id)).await
    }

    /// The series of instances, in their order.
    async fn find_series(&self, ids: &[RemoteId]) -> Vec<Result<Found, Fault>> {
        self.find_each(ids, |id| Which::SeriesOf(id)).await
    }

    async fn find_each(
        &self,
        ids: &[RemoteId],
        which: impl Fn(&RemoteId) -> Which<'_> + Copy,
    ) -> Vec<Result<Found, Fault>> {
        let chunks = ids.chunks(ITEMS_MAX).map(|chunk| async move {
            let wanted: Vec<Which<'_>> = chunk.iter().map(which).collect();
            let found = async {
                let (body, _) = self.call(|head| request::items(head, &wanted, Shape::Full)).await?;
                answer::found(&body, chunk.len())
            };
            match found.await {
                Ok(found) => {
                    for fault in found.iter().filter_map(|found| found.as_ref().err()) {
                        self.note_pause(fault);
                    }
                    found
                }
                Err(fault) => chunk.iter().map(|_| Err(fault.clone())).collect(),
            }
        });
        join_all(chunks).await.into_iter().flatten().collect()
    }

    /// One request and the body of its answer, with the bytes it had. A server that does not know the newer schema is
    /// asked in the older one from then on.
    pub(super) async fn call(&self, encode: impl Fn(Head<'_>) -> Vec<u8>) -> Result<(Element, usize), Fault> {
        loop {
            let is_old = self.is_old.load(Ordering::Relaxed);
            let version = if is_old { Version::Old } else { Version::New };
            match self.ask(encode(Head { version, impersonated: self.site.impersonated() })).await {
                Err(fault) if refusal::is_version_unknown(&fault) && !is_old => {
                    self.is_old.store(true, Ordering::Relaxed);
                }
                answered => return answered,
            }
        }
    }

    /// Sends one request through the gate; a 401 is answered once with another token, if there is one.
    async fn ask(&self, body: Vec<u8>) -> Result<(Element, usize), Fault> {
        let _pass = self.gate.enter(&*self.clock).await?;
        let bearer = match &self.login {
            Login::Basic { .. } => {
                return match self.send(body, None).await {
                    Err(Fault::Refused { status: 401, .. }) => Err(Fault::SignInNeeded),
                    answered => answered,
                };
            }
            Login::Bearer(bearer) => bearer,
        };
        let token = bearer.token(None, None).await?;
        match self.send(body.clone(), Some(token.clone())).await {
            Err(Fault::Refused { status: 401, .. }) => {}
            answered => return answered,
        }
        let fresh = bearer.token(Some(&token), None).await?;
        if fresh == token {
            return Err(Fault::SignInNeeded);
        }
        match self.send(body, Some(fresh)).await {
            Err(Fault::Refused { status: 401, .. }) => Err(Fault::SignInNeeded),
            answered => answered,
        }
    }

    async fn send(&self, body: Vec<u8>, bearer: Option<Secret>) -> Result<(Element, usize), Fault> {
        let mut headers =
            vec![("content-type", "text/xml; charset=utf-8".to_owned()), ("accept", "text/xml".to_owned())];
        if let Login::Basic { user, password } = &self.login {
            headers.push(("authorization", basic(user, password)));
        }
        if let Some(address) = self.site.impersonated().filter(|address| address.is_ascii()) {
            // Leads to the mailbox's own server.
            headers.push(("x-anchormailbox", address.to_owned()));
        }
        let request = Request {
            method: Method::Post,
            url: self.site.url().to_owned(),
            headers,
            bearer,
            body: Some(body),
            reply_bytes_max: REPLY_BYTES_MAX,
            timeout: PAGE_TIMEOUT,
        };
        let reply = self.http.send(request).await.map_err(Fault::from)?;
        let bytes = reply.body.len();
        let body = refusal::body(&reply, self.clock.now_ms());
        match body {
            Ok(body) => Ok((body, bytes)),
            Err(fault) => {
                self.note_pause(&fault);
                Err(fault)
            }
        }
    }

    /// A busy server pauses the whole mailbox: its other requests would only be counted against it as well.
    fn note_pause(&self, fault: &Fault) {
        if let Fault::Refused { status: 429 | 503, retry_after: Some(wait), .. } = fault {
            let now_ms = self.clock.now_ms();
            self.gate.pause_until(now_ms.saturating_add(millis(*wait)), now_ms);
        }
    }

    fn series(&self) -> std::sync::MutexGuard<'_, Series> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn series_of(&self, folder: &RemoteId, uid: &str) -> Option<RemoteId> {
        self.series().by_uid.get(&(folder.clone(), uid.to_owned())).cloned()
    }

    fn uid_of(&self, master: &RemoteId) -> Option<String> {
        self.series().uids.get(master).cloned()
    }

    fn remember(&self, folder: &RemoteId, uid: String, master: &RemoteId) {
        let mut series = self.series();
        if series.by_uid.len() >= SERIES_MAX {
            *series = Series::default();
        }
        series.uids.insert(master.clone(), uid.clone());
        series.by_uid.insert((folder.clone(), uid), master.clone());
    }

    /// A full round asks for every series anew.
    fn forget(&self, folder: &RemoteId) {
        self.series().by_uid.retain(|(known, _), _| known != folder);
    }
}

fn millis(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn basic(user: &str, password: &Secret) -> String {
    let pair = zeroize::Zeroizing::new(format!("{user}:{}", password.expose()));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.as_bytes()))
}
