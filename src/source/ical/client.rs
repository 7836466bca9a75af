//! Where iCalendar comes from: a file, a folder of files, or an address. To a pull it looks like any other source.
//!
//! There is no delta and no change key there. A round of changes asks whether the calendar is another one than at the
//! last round: the server by ETag and date, else the hash of its bytes. If it is not, the round is over; if it is, the
//! cursor counts as lost, and the pull compares the whole window, row by row, by content.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{
    CalendarRecord, Change, DAY_MS, EventRecord, Fault, Key, Link, Lookup, Next, Page, RemoteId, Shelf,
    Unreadable, Window,
};
use crate::ports::{Http, Method, Pending, Request};
use crate::source::Source;
use crate::source::graph::{NAME_CHARS_MAX, PullMode, text};
use crate::source::ical::{Decoded, FILE_BYTES_MAX, Problem, Reading, Unusable, component, decode};
use crate::zones::{Zone, Zones};

/// Calendars of one folder.
pub const FILES_MAX: usize = 200;
/// How long an address may take to send its calendar.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(300);
/// Rows of one page: a commit each.
const PAGE_ROWS: usize = 2_000;
/// How much of a file is read for its name.
const HEAD_BYTES: u64 = 64 * 1024;
/// The id of the only calendar of a file or an address, whatever its place: a file that moves stays the same calendar.
const ONLY: &str = "calendar";
/// Problems that are logged one by one.
const LOGGED_MAX: usize = 20;

/// What calendars are read for.
#[derive(Clone)]
pub struct Wanted {
    /// Where they are.
    pub shelf: Shelf,
    /// The user's address.
    pub user: Option<String>,
    /// The names of zones.
    pub zones: Arc<Zones>,
    /// The zone of floating times.
    pub zone: Zone,
    /// The name by which the calendar of an address is known already.
    pub known_name: Option<String>,
}

/// Calendars in iCalendar. Cheap to clone; all clones share what was fetched.
#[derive(Clone)]
pub struct Published(Arc<Inner>);

struct Inner {
    wanted: Wanted,
    http: Arc<dyn Http>,
    shelves: Mutex<BTreeMap<String, Held>>,
}

/// What is held of one calendar between two requests of one pull.
#[derive(Default)]
struct Held {
    /// The last bytes that came, with their marks; taken by the next round that needs them.
    fetched: Option<Arc<Fetched>>,
    /// Rows of a window under way.
    rows: Option<Arc<Rows>>,
    title: Option<Title>,
}

#[derive(Clone)]
struct Title {
    name: Option<String>,
    color: Option<String>,
}

struct Fetched {
    bytes: Vec<u8>,
    charset: Option<String>,
    marks: Marks,
}

/// By what a calendar is known again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Marks {
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    hash: String,
}

struct Rows {
    window: Window,
    marks: Marks,
    records: Vec<EventRecord>,
    by_id: BTreeMap<RemoteId, usize>,
}

/// What a link says: they are this client's own.
#[derive(Serialize, Deserialize)]
struct Place {
    calendar: String,
    #[serde(flatten)]
    step: Step,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
enum Step {
    /// Rows of a window, from this one on.
    Rows { from_ms: i64, to_ms: i64, at: usize, hash: Option<String> },
    /// The same, if the calendar is another one than this.
    Changes { marks: Marks },
}

impl Place {
    fn link(&self) -> Link {
        Link::new(serde_json::to_string(self).unwrap_or_default())
    }
}

/// What an address or a file answered.
enum Answer {
    Same,
    Bytes(Fetched),
}

impl Published {
    /// Calendars at `wanted.shelf`.
    pub fn new(wanted: Wanted, http: Arc<dyn Http>) -> Published {
        Published(Arc::new(Inner { wanted, http, shelves: Mutex::default() }))
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.0.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn list(&self) -> Result<Vec<CalendarRecord>, Fault> {
        match &self.0.wanted.shelf {
            Shelf::Path(path) => {
                let files = files(path)?;
                let titled = files.iter().enumerate().map(|(place, (id, file))| {
                    let title = head(file)?;
                    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                    Ok(self.record(id, title, stem.as_deref().unwrap_or(id), place == 0))
                });
                titled.collect()
            }
            Shelf::Url(url) => {
                let known = self.held().get(ONLY).and_then(|held| held.title.clone());
                let title = match (known, &self.0.wanted.known_name) {
                    (Some(title), _) => title,
                    (None, Some(name)) => Title { name: Some(name.clone()), color: None },
                    (None, None) => {
                        let fetched = self.fresh(ONLY).await?;
                        let title = title_of(&fetched.bytes, fetched.charset.as_deref());
                        self.held().entry(ONLY.to_owned()).or_default().fetched = Some(fetched);
                        title
                    }
                };
                let last =
                    url.split(['?', '#']).next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
                Ok(vec![self.record(ONLY, title, last.strip_suffix(".ics").unwrap_or(last), true)])
            }
        }
    }

    fn record(&self, id: &str, title: Title, otherwise: &str, is_default: bool) -> CalendarRecord {
        let name = title.name.as_deref().and_then(|name| text::line(name.trim(), NAME_CHARS_MAX));
        let name = name.or_else(|| text::line(otherwise, NAME_CHARS_MAX)).unwrap_or_else(|| ONLY.to_owned());
        CalendarRecord {
            remote_id: RemoteId::new(id),
            name,
            color: title.color,
            owner_name: None,
            owner_address: self.0.wanted.user.clone(),
            is_default,
            can_edit: false,
        }
    }

    async fn read(&self, link: &Link) -> Result<Page, Fault> {
        // A link of a former version, or of another source: the window is compared anew.
        let lost = || Fault::Refused { status: 410, code: None, retry_after: None, claims: None };
        let place: Place = serde_json::from_str(link.as_str()).map_err(|_| lost())?;
        match place.step {
            Step::Changes { marks } => {
                let held = self.held().get(&place.calendar).and_then(|held| held.fetched.clone());
                let is_same = match held {
                    Some(fetched) => {
                        let is_same = fetched.marks.hash == marks.hash;
                        if is_same && let Some(held) = self.held().get_mut(&place.calendar) {
                            held.fetched = None;
                        }
                        is_same
                    }
                    None => match self.fetch(&place.calendar, Some(&marks)).await {
                        Ok(Answer::Same) => true,
                        Ok(Answer::Bytes(fetched)) if fetched.marks.hash == marks.hash => true,
                        Ok(Answer::Bytes(fetched)) => {
                            let mut shelves = self.held();
                            shelves.entry(place.calendar.clone()).or_default().fetched =
                                Some(Arc::new(fetched));
                            false
                        }
                        // Refused for good: the whole window is asked for, and that refusal counts.
                        Err(Fault::Refused { status: 400..=499, retry_after: None, .. }) => false,
                        Err(fault) => return Err(fault),
                    },
                };
                if !is_same {
                    return Err(lost());
                }
                // The round before is over, and its rows are not asked for again.
                if let Some(held) = self.held().get_mut(&place.calendar) {
                    held.rows = None;
                }
                let next = Next::Delta(Link::new(link.as_str()));
                Ok(Page { changes: Vec::new(), skipped: Vec::new(), next, bytes: 0 })
            }
            Step::Rows { from_ms, to_ms, at, hash } => {
                let window = Window { from_ms, to_ms };
                let (rows, lost_count) = self.rows(&place.calendar, window, hash.as_deref()).await?;
                // It changed between two pages, or the program ended there: from the start.
                if at > 0 && hash.as_deref() != Some(rows.marks.hash.as_str()) {
                    return Err(lost());
                }
                let end = at.saturating_add(PAGE_ROWS).min(rows.records.len());
                let changes =
                    rows.records.get(at..end).unwrap_or_default().iter().cloned().map(Change::Put).collect();
                let next = if end < rows.records.len() {
                    let step = Step::Rows { from_ms, to_ms, at: end, hash: Some(rows.marks.hash.clone()) };
                    Next::Page(Place { calendar: place.calendar, step }.link())
                } else {
                    let step = Step::Changes { marks: rows.marks.clone() };
                    Next::Delta(Place { calendar: place.calendar, step }.link())
                };
                let skipped = vec![crate::model::Skipped::Shape; lost_count];
                Ok(Page { changes, skipped, next, bytes: 0 })
            }
        }
    }

    /// The rows of a window: those under way, else decoded from what was fetched, else fetched. With them how many
    /// components were left out, told once.
    async fn rows(
        &self,
        calendar: &str,
        window: Window,
        hash: Option<&str>,
    ) -> Result<(Arc<Rows>, usize), Fault> {
        let fetched = {
            let mut shelves = self.held();
            let held = shelves.entry(calendar.to_owned()).or_default();
            let under_way = held
                .rows
                .as_ref()
                .filter(|rows| rows.window == window && hash == Some(rows.marks.hash.as_str()));
            if let Some(rows) = under_way {
                return Ok((rows.clone(), 0));
            }
            held.rows = None;
            held.fetched.clone()
        };
        let fetched = match fetched {
            Some(fetched) => fetched,
            None => self.fresh(calendar).await?,
        };
        let wanted = &self.0.wanted;
        let reading = Reading {
            calendar,
            window,
            zones: &wanted.zones,
            zone: &wanted.zone,
            charset: fetched.charset.as_deref(),
            user: wanted.user.as_deref(),
        };
        let decoded = decode(&fetched.bytes, &reading).map_err(|unusable| {
            tracing::warn!(calendar = %Key::of_remote(calendar), reason = %unusable, "a calendar cannot be used; what is known of it stays");
            if let Some(held) = self.held().get_mut(calendar) {
                held.fetched = None;
            }
            fault_of(unusable)
        })?;
        let lost = report(calendar, &decoded);
        let by_id =
            decoded.records.iter().enumerate().map(|(at, record)| (record.remote_id.clone(), at)).collect();
        let rows = Rows { window, marks: fetched.marks.clone(), records: decoded.records, by_id };
        let rows = Arc::new(rows);
        let mut shelves = self.held();
        let held = shelves.entry(calendar.to_owned()).or_default();
        held.title = Some(Title { name: decoded.name, color: decoded.color });
        // A preview of some days is followed by the whole window: the bytes serve both.
        held.fetched = (window.to_ms.saturating_sub(window.from_ms) < 15 * DAY_MS).then_some(fetched);
        held.rows = Some(rows.clone());
        Ok((rows, lost))
    }

    async fn fresh(&self, calendar: &str) -> Result<Arc<Fetched>, Fault> {
        match self.fetch(calendar, None).await? {
            Answer::Bytes(fetched) => Ok(Arc::new(fetched)),
            Answer::Same => Err(Fault::Unreadable(Unreadable::Empty)),
        }
    }

    async fn fetch(&self, calendar: &str, marks: Option<&Marks>) -> Result<Answer, Fault> {
        match &self.0.wanted.shelf {
            Shelf::Path(path) => {
                let files = files(path)?;
                let (_, file) = files.iter().find(|(id, _)| id == calendar).ok_or_else(missing)?;
                let bytes = read_file(file, FILE_BYTES_MAX as u64 + 1)?;
                Ok(Answer::Bytes(Fetched::new(bytes, None, None, None)?))
            }
            Shelf::Url(url) => self.fetch_url(url, marks).await,
        }
    }

    async fn fetch_url(&self, url: &str, marks: Option<&Marks>) -> Result<Answer, Fault> {
        let mut headers = vec![("accept", "text/calendar, text/plain;q=0.5, */*;q=0.1".to_owned())];
        if let Some(marks) = marks {
            headers.extend(marks.etag.clone().map(|etag| ("if-none-match", etag)));
            headers.extend(marks.modified.clone().map(|modified| ("if-modified-since", modified)));
        }
        let request = Request {
            method: Method::Get,
            url: url.to_owned(),
            headers,
            bearer: None,
            body: None,
            reply_bytes_max: FILE_BYTES_MAX,
            timeout: FETCH_TIMEOUT,
        };
        let reply = self.0.http.send(request).await.map_err(|error| match Fault::from(error) {
            // Asked for again it is as large.
            Fault::Unreadable(Unreadable::TooLarge) => too_large(),
            fault => fault,
        })?;
        match reply.status {
            304 if marks.is_some() => Ok(Answer::Same),
            200 => {
                let charset = reply.header("content-type").and_then(charset);
                let etag = reply.header("etag").map(str::to_owned);
                let modified = reply.header("last-modified").map(str::to_owned);
                Ok(Answer::Bytes(Fetched::new(reply.body, charset, etag, modified)?))
            }
            // To the judgement of failures these mean other things at Graph: nothing to list by delta, sign in.
            400..=499 if reply.status != 429 && reply.status != 408 => Err(Fault::Refused {
                status: reply.status,
                code: Some(GONE.to_owned()),
                retry_after: None,
                claims: None,
            }
            .plain()),
            status => {
                let retry_after = reply.header("retry-after").and_then(|text| text.trim().parse().ok());
                let retry_after = retry_after.map(|seconds: u64| Duration::from_secs(seconds.min(86_400)));
                Err(Fault::Refused { status, code: None, retry_after, claims: None })
            }
        }
    }
}

/// The code by which the judgement of failures knows that nothing else can be tried.
const GONE: &str = "ErrorSyncFolderNotFound";

impl Fault {
    /// A 401 here is no sign-in that the user can do.
    fn plain(self) -> Fault {
        match self {
            Fault::Refused { status: 401 | 407, code, retry_after, claims } => {
                Fault::Refused { status: 403, code, retry_after, claims }
            }
            Fault::Refused { status: 410, code, retry_after, claims } => {
                Fault::Refused { status: 404, code, retry_after, claims }
            }
            fault => fault,
        }
    }
}

fn missing() -> Fault {
    Fault::Refused { status: 404, code: Some(GONE.to_owned()), retry_after: None, claims: None }
}

fn too_large() -> Fault {
    Fault::Refused { status: 413, code: Some(GONE.to_owned()), retry_after: None, claims: None }
}

fn fault_of(unusable: Unusable) -> Fault {
    match unusable {
        Unusable::WebPage => Fault::Unreadable(Unreadable::WebPage),
        Unusable::NoCalendar | Unusable::Incomplete => Fault::Unreadable(Unreadable::Shape),
        Unusable::TooLarge => too_large(),
    }
}

impl Fetched {
    fn new(
        bytes: Vec<u8>,
        charset: Option<String>,
        etag: Option<String>,
        modified: Option<String>,
    ) -> Result<Fetched, Fault> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(too_large());
        }
        let hash = blake3::hash(&bytes).to_hex().to_string();
        Ok(Fetched { bytes, charset, marks: Marks { etag, modified, hash } })
    }
}

/// The character set of a content type.
fn charset(content_type: &str) -> Option<String> {
    let parameters = content_type.split(';').skip(1);
    parameters.map(str::trim).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// Logs what was left out, by line and hash. Answers how many components were.
fn report(calendar: &str, decoded: &Decoded) -> usize {
    for Problem { line, uid, kind } in decoded.problems.iter().take(LOGGED_MAX) {
        let uid = uid.map(|uid| uid.to_string());
        tracing::info!(calendar = %Key::of_remote(calendar), line, uid, kind = kind.code(), "a component of a calendar is not as it should be");
    }
    if decoded.problem_count > LOGGED_MAX as u64 {
        tracing::info!(calendar = %Key::of_remote(calendar), count = decoded.problem_count, "components of a calendar are not as they should be");
    }
    decoded.problems.iter().filter(|problem| problem.kind.is_lost()).count()
}

/// The files of a path, each with its id, in the order of their names.
fn files(path: &Path) -> Result<Vec<(String, PathBuf)>, Fault> {
    let metadata = std::fs::metadata(path).map_err(|error| io_fault(&error))?;
    if !metadata.is_dir() {
        return Ok(vec![(ONLY.to_owned(), path.to_path_buf())]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| io_fault(&error))? {
        let file = entry.map_err(|error| io_fault(&error))?.path();
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_calendar = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ics"));
        if is_calendar && !name.is_empty() && !name.starts_with('.') && file.is_file() {
            files.push((name.to_owned(), file.clone()));
        }
    }
    if files.len() > FILES_MAX {
        return Err(Fault::EndlessPages);
    }
    // A folder that is not mounted is an empty one: that is no word that every calendar was deleted.
    if files.is_empty() {
        return Err(missing());
    }
    files.sort();
    Ok(files)
}

fn read_file(file: &Path, bytes_max: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(|error| io_fault(&error))?;
    opened.take(bytes_max).read_to_end(&mut bytes).map_err(|error| io_fault(&error))?;
    Ok(bytes)
}

fn io_fault(error: &std::io::Error) -> Fault {
    match error.kind() {
        std::io::ErrorKind::NotFound => missing(),
        _ => Fault::Refused { status: 403, code: Some(GONE.to_owned()), retry_after: None, claims: None },
    }
}

fn head(file: &Path) -> Result<Title, Fault> {
    Ok(title_of(&read_file(file, HEAD_BYTES)?, None))
}

fn title_of(bytes: &[u8], charset: Option<&str>) -> Title {
    let (name, color) = component::title(bytes, charset);
    Title { name, color }
}

impl Source for Published {
    fn calendars(&self) -> Pending<'_, Result<Vec<CalendarRecord>, Fault>> {
        Box::pin(self.list())
    }

    fn calendar<'a>(&'a self, id: &'a RemoteId) -> Pending<'a, Result<Option<CalendarRecord>, Fault>> {
        Box::pin(async move { Ok(self.list().await?.into_iter().find(|record| record.remote_id == *id)) })
    }

    fn first_link(&self, _mode: PullMode, calendar: &RemoteId, window: Window) -> Link {
        let step = Step::Rows { from_ms: window.from_ms, to_ms: window.to_ms, at: 0, hash: None };
        Place { calendar: calendar.as_str().to_owned(), step }.link()
    }

    fn page<'a>(&'a self, link: &'a Link, _page_size: u32) -> Pending<'a, Result<Page, Fault>> {
        Box::pin(self.read(link))
    }

    fn lookup<'a>(
        &'a self,
        calendar: &'a RemoteId,
        ids: &'a [RemoteId],
    ) -> Pending<'a, Vec<Result<Lookup, Fault>>> {
        let rows = self.held().get(calendar.as_str()).and_then(|held| held.rows.clone());
        let answer = |id: &RemoteId| {
            let Some(rows) = &rows else { return Ok(Lookup::Missing) };
            let found = rows.by_id.get(id).and_then(|at| rows.records.get(*at));
            Ok(found.map_or(Lookup::Missing, |record| Lookup::Found(Box::new(record.clone()))))
        };
        let answers = ids.iter().map(answer).collect();
        Box::pin(std::future::ready(answers))
    }

    fn instances<'a>(
        &'a self,
        calendar: &'a RemoteId,
        master: &'a RemoteId,
        window: Window,
    ) -> Pending<'a, Result<Vec<EventRecord>, Fault>> {
        let rows = self.held().get(calendar.as_str()).and_then(|held| held.rows.clone());
        let records = rows.iter().flat_map(|rows| rows.records.iter());
        let found = records
            .filter(|record| {
                record.series.as_ref() == Some(master) && window.overlaps(record.start_ms, record.end_ms)
            })
            .cloned()
            .collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn throttled_until_ms(&self) -> Option<i64> {
        None
    }

    fn pause_until(&self, _until_ms: i64) {}
}
