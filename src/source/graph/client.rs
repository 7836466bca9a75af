use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;

use crate::model::{
    CalendarRecord, Change, EventRecord, Fault, Link, Lookup, Next, Page, RemoteId, Secret, Unreadable,
    Window,
};
use crate::ports::{Bearer, Clock, Entropy, Http, Method, Reply, Request};
use crate::source::graph::calendar::{self, Identity};
use crate::source::graph::decode::{self, Listing};
use crate::source::graph::gate::{Gate, Member};
use crate::source::graph::site::encode_segment;
use crate::source::graph::{GraphSite, Limits, PullMode, batch, prefer, refusal, time, write};

/// The most bytes an inflated page may have.
pub const REPLY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The most bytes of any other reply.
pub const SMALL_REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a page may take. Large pages of busy mailboxes take half a minute.
pub const PAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long any other request may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The most calendars of a mailbox.
pub const CALENDARS_MAX: usize = 1000;
/// The most pages of a listing that is read to its end in one call: calendars, or the instances of one series.
pub const LISTING_PAGES_MAX: usize = 100;
/// The most instances of one series in a window.
pub const INSTANCES_MAX: usize = 20_000;
/// Rows asked for on a page of instances or calendars.
const LISTING_PAGE_SIZE: u32 = 100;

/// One mailbox at Microsoft Graph. Cheap to clone; all clones share one gate.
#[derive(Clone)]
pub struct Graph(pub(super) Arc<Mailbox>);

pub(super) struct Mailbox {
    pub(super) site: GraphSite,
    http: Arc<dyn Http>,
    bearer: Arc<dyn Bearer>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    gate: Arc<Gate>,
    /// This server has no `$batch`.
    is_batch_refused: AtomicBool,
}

/// A request before it has a token and an id.
pub(super) struct Ask<'a> {
    pub method: Method,
    pub url: String,
    pub page_size: Option<u32>,
    pub body: Option<&'a [u8]>,
    pub reply_bytes_max: usize,
    pub timeout: Duration,
    /// The bare change key that the event must still have.
    pub if_match: Option<&'a str>,
    /// Bodies are wanted as they are, not as text.
    pub is_html: bool,
    /// Something may change on the server, so that a failure on the way to a token must not look like one on the
    /// way to Graph.
    pub is_write: bool,
}

impl Graph {
    /// The mailbox at `site`, reached by these ports.
    pub fn new(
        site: GraphSite,
        http: Arc<dyn Http>,
        bearer: Arc<dyn Bearer>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Graph {
        let gate = Arc::new(Gate::new(None));
        let is_batch_refused = AtomicBool::new(false);
        Graph(Arc::new(Mailbox { site, http, bearer, clock, entropy, gate, is_batch_refused }))
    }

    /// The same mailbox with another bearer, sharing gate and pause: for a new sign-in.
    #[must_use]
    pub fn with_bearer(&self, bearer: Arc<dyn Bearer>) -> Graph {
        let mailbox = &*self.0;
        Graph(Arc::new(Mailbox {
            site: mailbox.site.clone(),
            http: Arc::clone(&mailbox.http),
            bearer,
            clock: Arc::clone(&mailbox.clock),
            entropy: Arc::clone(&mailbox.entropy),
            gate: Arc::clone(&mailbox.gate),
            is_batch_refused: AtomicBool::new(mailbox.is_batch_refused.load(Ordering::Relaxed)),
        }))
    }

    /// The same mailbox, which now shares the limits of an application with other mailboxes. Before its first use.
    #[must_use]
    pub fn with_limits(&self, limits: Arc<Limits>) -> Graph {
        let mailbox = &*self.0;
        Graph(Arc::new(Mailbox {
            site: mailbox.site.clone(),
            http: Arc::clone(&mailbox.http),
            bearer: Arc::clone(&mailbox.bearer),
            clock: Arc::clone(&mailbox.clock),
            entropy: Arc::clone(&mailbox.entropy),
            gate: Arc::new(Gate::new(Some(Member { mailbox: mailbox.site.mailbox().to_owned(), limits }))),
            is_batch_refused: AtomicBool::new(false),
        }))
    }

    /// Whose mailbox it is.
    ///
    /// # Errors
    /// Any [`Fault`] but `EndlessPages` and `LinkRefused`.
    pub async fn identity(&self) -> Result<Identity, Fault> {
        let url = self.0.site.api(&format!("{}?$select=id,userPrincipalName,mail", self.0.site.mailbox()));
        let reply = self.0.ask(&Ask::small(url)).await?;
        calendar::identity(&decode::body_text(&reply.body)?)
    }

    /// All calendars of the mailbox, complete: a listing that cannot be read to its end is an error, so that
    /// nobody takes a part for the whole.
    ///
    /// # Errors
    /// Any [`Fault`]; `EndlessPages` beyond [`LISTING_PAGES_MAX`] or [`CALENDARS_MAX`].
    pub async fn calendars(&self) -> Result<Vec<CalendarRecord>, Fault> {
        let path = format!(
            "{}/calendars?$top={LISTING_PAGE_SIZE}&$select={}",
            self.0.site.mailbox(),
            calendar::SELECT
        );
        let mut link = Link::new(self.0.site.api(&path));
        let mut seen = BTreeSet::new();
        let mut calendars: BTreeMap<RemoteId, (usize, CalendarRecord)> = BTreeMap::new();
        loop {
            if seen.len() >= LISTING_PAGES_MAX || !seen.insert(link.as_str().to_owned()) {
                return Err(Fault::EndlessPages);
            }
            self.0.site.check(&link).map_err(Fault::LinkRefused)?;
            let ask = Ask { page_size: Some(LISTING_PAGE_SIZE), ..Ask::small(link.as_str().to_owned()) };
            let reply = self.0.ask(&ask).await?;
            let text = decode::body_text(&reply.body)?;
            let next = decode::list(&text, |slice| {
                if let Some(record) = calendar::record(slice) {
                    let place = calendars.len();
                    calendars
                        .entry(record.remote_id.clone())
                        .and_modify(|(_, known)| known.clone_from(&record))
                        .or_insert((place, record));
                }
                calendars.len() <= CALENDARS_MAX
            })?;
            if calendars.len() > CALENDARS_MAX {
                return Err(Fault::EndlessPages);
            }
            match next {
                Some(next) => link = next,
                None => break,
            }
        }
        let mut listed: Vec<_> = calendars.into_values().collect();
        listed.sort_by_key(|(place, _)| *place);
        Ok(listed.into_iter().map(|(_, record)| record).collect())
    }

    /// One calendar; `None` when the server does not have it.
    ///
    /// # Errors
    /// Any [`Fault`]; a 404 that speaks of the whole mailbox stays `Refused`.
    pub async fn calendar(&self, id: &RemoteId) -> Result<Option<CalendarRecord>, Fault> {
        let calendar_path = self.calendar_path(id);
        let url = self.0.site.api(&format!("{calendar_path}?$select={}", calendar::SELECT));
        let reply = match self.0.ask(&Ask::small(url)).await {
            Ok(reply) => reply,
            Err(Fault::Refused { status: 404, code, .. }) if !batch::names_the_account(code.as_deref()) => {
                return Ok(None);
            }
            Err(fault) => return Err(fault),
        };
        let text = decode::body_text(&reply.body)?;
        match calendar::record(&text) {
            Some(record) if record.remote_id == *id => Ok(Some(record)),
            Some(_) => Err(Fault::Unreadable(Unreadable::Shape)),
            None if refusal::code(&text).is_some() => Err(refusal::of_success(&text)),
            None => Err(Fault::Unreadable(Unreadable::Shape)),
        }
    }

    /// The address of the first page of a round.
    pub fn first_link(&self, mode: PullMode, calendar: &RemoteId, window: Window) -> Link {
        let path = match mode {
            PullMode::Delta => format!("{}/calendarView/delta", self.calendar_path(calendar)),
            PullMode::MailboxDelta => format!("{}/calendarView/delta", self.0.site.mailbox()),
            PullMode::Snapshot => format!("{}/calendarView", self.calendar_path(calendar)),
        };
        Link::new(self.0.site.api(&format!("{path}?{}", window_query(window))))
    }

    /// One page of a round or a plain listing. `page_size` is a hint that the server may ignore.
    ///
    /// The link is checked before every use and sent byte for byte; `LinkRefused` means that nothing was sent.
    /// A page of a plain listing without next link is the last one: [`Next::End`]. Whether a link belongs to a
    /// plain listing is read off its form; a delta round that ends with `End` did not come to its delta link.
    ///
    /// # Errors
    /// Any [`Fault`] but `EndlessPages`, which needs more than one page to be seen.
    pub async fn page(&self, link: &Link, page_size: u32) -> Result<Page, Fault> {
        self.0.site.check(link).map_err(Fault::LinkRefused)?;
        let ask = Ask {
            page_size: Some(page_size),
            reply_bytes_max: REPLY_BYTES_MAX,
            timeout: PAGE_TIMEOUT,
            ..Ask::small(link.as_str().to_owned())
        };
        let reply = self.0.ask(&ask).await?;
        decode::page(&reply.body, Listing::of(link.as_str()))
    }

    /// What the server has for each of `ids`, in their order: by batches of four, three in flight. One id, or a
    /// server without `$batch`, is asked by single requests.
    pub async fn lookup(&self, calendar: &RemoteId, ids: &[RemoteId]) -> Vec<Result<Lookup, Fault>> {
        let chunks = ids.chunks(batch::BATCH_ITEMS_MAX).map(|chunk| self.lookup_chunk(calendar, chunk));
        join_all(chunks).await.into_iter().flatten().collect()
    }

    async fn lookup_chunk(&self, calendar: &RemoteId, ids: &[RemoteId]) -> Vec<Result<Lookup, Fault>> {
        if ids.len() > 1 && !self.0.is_batch_refused.load(Ordering::Relaxed) {
            match self.lookup_batch(calendar, ids).await {
                Ok(found) => return found,
                Err(fault) if is_batch_unknown(&fault) => {
                    self.0.is_batch_refused.store(true, Ordering::Relaxed)
                }
                Err(fault) => return ids.iter().map(|_| Err(fault.clone())).collect(),
            }
        }
        join_all(ids.iter().map(|id| self.read(calendar, id))).await
    }

    async fn lookup_batch(
        &self,
        calendar: &RemoteId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<Lookup, Fault>>, Fault> {
        let paths: Vec<String> = ids.iter().map(|id| self.event_path(calendar, id)).collect();
        let body = batch::encode(&paths);
        let ask = Ask {
            method: Method::Post,
            body: Some(&body),
            reply_bytes_max: REPLY_BYTES_MAX,
            ..Ask::small(self.0.site.api("/$batch"))
        };
        let reply = self.0.ask(&ask).await?;
        let now_ms = self.0.clock.now_ms();
        let items = batch::decode(&decode::body_text(&reply.body)?, ids.len())?;
        let found: Vec<_> =
            items.into_iter().zip(ids).map(|(item, id)| batch::lookup(item, id, now_ms)).collect();
        for fault in found.iter().filter_map(|found| found.as_ref().err()) {
            self.0.note_pause(fault, now_ms);
        }
        Ok(found)
    }

    /// What the server has for one id.
    ///
    /// # Errors
    /// Any [`Fault`] but `EndlessPages` and `LinkRefused`.
    pub async fn read(&self, calendar: &RemoteId, id: &RemoteId) -> Result<Lookup, Fault> {
        let url = self.0.site.api(&self.event_path(calendar, id));
        match self.0.ask(&Ask::small(url)).await {
            Ok(reply) => decode::lookup(&decode::body_text(&reply.body)?, id),
            Err(fault) => batch::missing(fault),
        }
    }

    /// The instances of the series `master` in `window`, complete.
    ///
    /// # Errors
    /// Any [`Fault`]; `EndlessPages` beyond [`LISTING_PAGES_MAX`] or [`INSTANCES_MAX`].
    pub async fn instances(
        &self,
        calendar: &RemoteId,
        master: &RemoteId,
        window: Window,
    ) -> Result<Vec<EventRecord>, Fault> {
        let path = format!("{}/instances?{}", self.event_path(calendar, master), window_query(window));
        let mut link = Link::new(self.0.site.api(&path));
        let mut seen = BTreeSet::new();
        let mut records: Vec<EventRecord> = Vec::new();
        loop {
            if seen.len() >= LISTING_PAGES_MAX || !seen.insert(link.as_str().to_owned()) {
                return Err(Fault::EndlessPages);
            }
            let page = self.page(&link, LISTING_PAGE_SIZE).await?;
            records.extend(page.changes.into_iter().filter_map(|change| match change {
                Change::Put(record) => Some(record),
                Change::Gone(_) => None,
            }));
            if records.len() > INSTANCES_MAX {
                return Err(Fault::EndlessPages);
            }
            match page.next {
                Next::Page(next) => link = next,
                Next::Delta(_) | Next::End => return Ok(records),
            }
        }
    }

    /// The series `master` itself.
    ///
    /// # Errors
    /// Any [`Fault`] but `EndlessPages` and `LinkRefused`.
    pub async fn master(&self, calendar: &RemoteId, master: &RemoteId) -> Result<Lookup, Fault> {
        self.read(calendar, master).await
    }

    /// The end of the pause that the server asked this mailbox for, UTC epoch milliseconds.
    pub fn throttled_until_ms(&self) -> Option<i64> {
        self.0.gate.paused_until_ms(self.0.clock.now_ms())
    }

    /// Starts or lengthens the pause: puts back one that was running when the program ended.
    pub fn pause_until(&self, until_ms: i64) {
        self.0.gate.pause_until(until_ms, self.0.clock.now_ms());
    }

    pub(super) fn calendar_path(&self, calendar: &RemoteId) -> String {
        format!("{}/calendars/{}", self.0.site.mailbox(), encode_segment(calendar.as_str()))
    }

    /// Below its calendar: `/me/events/{id}` answers 404 for events of shared and other calendars.
    pub(super) fn event_path(&self, calendar: &RemoteId, id: &RemoteId) -> String {
        format!("{}/events/{}", self.calendar_path(calendar), encode_segment(id.as_str()))
    }
}

fn window_query(window: Window) -> String {
    format!("startDateTime={}&endDateTime={}", time::encode(window.from_ms), time::encode(window.to_ms))
}

/// The server does not know `$batch`, or answers it with something that is none.
fn is_batch_unknown(fault: &Fault) -> bool {
    match fault {
        Fault::Refused { status, .. } => matches!(status, 400 | 404 | 405 | 415 | 501),
        Fault::Unreadable(Unreadable::Shape | Unreadable::Empty) => true,
        Fault::Unreadable(_)
        | Fault::Unreachable(_)
        | Fault::LinkRefused(_)
        | Fault::EndlessPages
        | Fault::SignInNeeded => false,
    }
}

impl Ask<'_> {
    pub(super) fn small(url: String) -> Ask<'static> {
        Ask {
            method: Method::Get,
            url,
            page_size: None,
            body: None,
            reply_bytes_max: SMALL_REPLY_BYTES_MAX,
            timeout: REQUEST_TIMEOUT,
            if_match: None,
            is_html: false,
            is_write: false,
        }
    }
}

impl Mailbox {
    /// Sends one request through the gate; a 401 is answered once with another token.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Reply, Fault> {
        let _pass = self.gate.enter(&*self.clock).await?;
        let token = self.token(ask, None, None).await?;
        let refused = match self.send(ask, &token).await {
            Err(Fault::Refused { status: 401, claims, .. }) => claims,
            // A policy of conditional access: the claims are wanted, not the permission.
            Err(Fault::Refused { status: 403, claims: Some(claims), .. }) => Some(claims),
            done => return done,
        };
        let fresh = self.token(ask, Some(&token), refused.as_deref()).await?;
        if fresh == token {
            return Err(Fault::SignInNeeded);
        }
        match self.send(ask, &fresh).await {
            Err(Fault::Refused { status: 401, claims, .. }) => {
                if claims.is_some() {
                    // Told, so that the next sign-in brings the claims; another token does not help.
                    let _ = self.bearer.token(Some(&fresh), claims.as_deref()).await?;
                }
                Err(Fault::SignInNeeded)
            }
            done => done,
        }
    }

    async fn token(
        &self,
        ask: &Ask<'_>,
        refused: Option<&Secret>,
        claims: Option<&str>,
    ) -> Result<Secret, Fault> {
        let token = self.bearer.token(refused, claims).await;
        if ask.is_write { token.map_err(write::before_sending) } else { token }
    }

    async fn send(&self, ask: &Ask<'_>, token: &Secret) -> Result<Reply, Fault> {
        let id = uuid::Builder::from_random_bytes(self.entropy.bytes()).into_uuid();
        let mut headers = vec![
            ("accept", "application/json".to_owned()),
            ("prefer", prefer::encode(ask.page_size, ask.is_html)),
            ("client-request-id", id.to_string()),
        ];
        if ask.body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        if let Some(key) = ask.if_match {
            headers.push(("if-match", write::etag(key)));
        }
        let request = Request {
            method: ask.method,
            url: ask.url.clone(),
            headers,
            bearer: Some(token.clone()),
            body: ask.body.map(<[u8]>::to_vec),
            reply_bytes_max: ask.reply_bytes_max,
            timeout: ask.timeout,
        };
        let reply = self.http.send(request).await.map_err(Fault::from)?;
        match reply.status {
            200..300 => Ok(reply),
            300..400 => Err(Fault::Unreadable(Unreadable::Redirect)),
            _ => {
                let now_ms = self.clock.now_ms();
                let fault = refusal::of_reply(&reply, now_ms);
                self.note_pause(&fault, now_ms);
                Err(fault)
            }
        }
    }

    /// A throttled reply pauses the whole mailbox: its other requests would only be counted against it as well.
    fn note_pause(&self, fault: &Fault, now_ms: i64) {
        if let Fault::Refused { status: 429 | 503, retry_after: Some(wait), .. } = fault {
            let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            self.gate.pause_until(now_ms.saturating_add(wait_ms), now_ms);
        }
    }
}
