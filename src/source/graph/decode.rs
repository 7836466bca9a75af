use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::model::{
    Change, EventRecord, Fault, Link, LinkProblem, Next, Page, RemoteId, Skipped, Unreadable,
};
use crate::source::graph::event::{self, Row};
use crate::source::graph::json;
use crate::source::graph::refusal;
use crate::source::graph::site::LINK_BYTES_MAX;

/// The most rows a page may have. The page size is a hint: a series is never split over pages, so a page of
/// 200 can bring thousands.
pub const PAGE_ROWS_MAX: usize = 20_000;

/// What a page without a link means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// A delta round ends with a delta link only.
    Delta,
    /// A plain listing ends with the page that has no next link.
    Plain,
}

impl Listing {
    /// Which listing `link` belongs to, by the form in which Graph writes its addresses.
    ///
    /// An address of unknown form counts as delta: there a page without a link is a fault, while taking it for
    /// the end would make a part of a round pass for the whole.
    pub fn of(link: &str) -> Listing {
        const PLAIN: [&str; 3] = ["calendarview", "instances", "events"];
        let (path, query) = link.split_once('?').unwrap_or((link, ""));
        let last = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        let is_plain = PLAIN.contains(&last.as_str()) && !query.to_ascii_lowercase().contains("deltatoken=");
        if is_plain { Listing::Plain } else { Listing::Delta }
    }
}

/// Decodes the body of a page that was answered with success.
///
/// A page with both links goes on with the next link: what it announces would be lost otherwise, and the guard
/// against endless rounds ends a server that never stops announcing. Links are not checked here but before each
/// use: a bad link must not cost the rows that came with it. Only one too long to be stored refuses the page.
///
/// # Errors
/// `Unreadable` when there is no page to read, `Refused` for an error that came with status 200, `LinkRefused`
/// for an overlong link.
pub(super) fn page(body: &[u8], listing: Listing) -> Result<Page, Fault> {
    let text = body_text(body)?;
    let mut rows = match fast(&text) {
        Some(rows) => rows,
        None => tolerant(&text)?,
    };
    if rows.is_over_full {
        return Err(Fault::Unreadable(Unreadable::TooLarge));
    }
    let next = match (rows.next.take(), rows.delta.take(), listing) {
        (Some(next), _, _) => Next::Page(link(next)?),
        (None, Some(delta), _) => Next::Delta(link(delta)?),
        (None, None, Listing::Plain) => Next::End,
        (None, None, Listing::Delta) => return Err(Fault::Unreadable(Unreadable::Links)),
    };
    Ok(Page { changes: rows.changes, skipped: rows.skipped, next, bytes: body.len() })
}

fn link(text: String) -> Result<Link, Fault> {
    if text.len() > LINK_BYTES_MAX {
        return Err(Fault::LinkRefused(LinkProblem::Long));
    }
    Ok(Link::new(text))
}

/// The text of a JSON reply: without byte order mark and leading blanks, invalid UTF-8 replaced.
///
/// # Errors
/// `Empty`, or `WebPage` for what starts as HTML does.
pub(super) fn body_text(body: &[u8]) -> Result<Cow<'_, str>, Fault> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
    match body.first() {
        None => Err(Fault::Unreadable(Unreadable::Empty)),
        Some(b'<') => Err(Fault::Unreadable(Unreadable::WebPage)),
        // Checking first is several times faster than the search for what to replace.
        Some(_) => Ok(match std::str::from_utf8(body) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(body),
        }),
    }
}

#[derive(Default)]
struct Rows {
    changes: Vec<Change>,
    skipped: Vec<Skipped>,
    next: Option<String>,
    delta: Option<String>,
    has_value: bool,
    is_over_full: bool,
}

impl Rows {
    fn push(&mut self, row: Result<&Row<'_>, Skipped>) {
        if self.changes.len() + self.skipped.len() >= PAGE_ROWS_MAX {
            self.is_over_full = true;
            return;
        }
        match row.and_then(event::change) {
            Ok(change) => self.changes.push(change),
            Err(skipped) => self.skipped.push(skipped),
        }
    }

    fn begin(&mut self) {
        self.has_value = true;
        self.changes.clear();
        self.skipped.clear();
    }
}

/// The page by `serde_json`, row by row so that only one row is borrowed at a time; `None` when anything in it is
/// not as it should be. What follows the page is ignored.
fn fast(text: &str) -> Option<Rows> {
    let mut rows = Rows::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(PageReader(&mut rows)).ok()?;
    rows.has_value.then_some(rows)
}

struct PageReader<'r>(&'r mut Rows);

impl<'de> Visitor<'de> for PageReader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            match &*name {
                "@odata.nextLink" => self.0.next = members.next_value::<Option<String>>()?,
                "@odata.deltaLink" => self.0.delta = members.next_value::<Option<String>>()?,
                "value" => members.next_value_seed(RowsReader(self.0))?,
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        // An empty link is none.
        self.0.next = self.0.next.take().filter(|link| !link.is_empty());
        self.0.delta = self.0.delta.take().filter(|link| !link.is_empty());
        Ok(())
    }
}

struct RowsReader<'r>(&'r mut Rows);

impl<'de> DeserializeSeed<'de> for RowsReader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowsReader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        self.0.begin();
        while let Some(row) = elements.next_element::<Row<'de>>()? {
            self.0.push(Ok(&row));
        }
        Ok(())
    }
}

/// The page by the reader for damaged input.
fn tolerant(text: &str) -> Result<Rows, Fault> {
    let mut rows = Rows::default();
    let mut has_error = false;
    let mut is_link_odd = false;
    let mut is_value_odd = false;
    let walked = json::members(text, |name, value| match &*name {
        "@odata.nextLink" => (rows.next, is_link_odd) = link_text(value, is_link_odd),
        "@odata.deltaLink" => (rows.delta, is_link_odd) = link_text(value, is_link_odd),
        "value" => {
            rows.begin();
            let elements = json::elements(value, |element| {
                rows.push(event::row_of(element).as_ref().map_err(|skipped| *skipped));
                !rows.is_over_full
            });
            is_value_odd = elements.is_err();
        }
        "error" => has_error = !json::is_null(value),
        _ => {}
    });
    if has_error && !rows.has_value {
        return Err(refusal::of_success(text));
    }
    if walked.is_err() || is_value_odd || !rows.has_value {
        return Err(Fault::Unreadable(Unreadable::Shape));
    }
    if is_link_odd {
        return Err(Fault::Unreadable(Unreadable::Links));
    }
    Ok(rows)
}

/// The link, if it is a text; `null` and the empty text are none, anything else is odd.
fn link_text(value: &str, is_odd: bool) -> (Option<String>, bool) {
    match json::text_of(value) {
        Some(text) => ((!text.is_empty()).then(|| text.into_owned()), is_odd),
        None => (None, is_odd || !json::is_null(value)),
    }
}

/// The rows of a small listing (calendars) as slices, and its next link.
///
/// # Errors
/// As [`page`].
pub(super) fn list<'a>(text: &'a str, mut each: impl FnMut(&'a str) -> bool) -> Result<Option<Link>, Fault> {
    let (mut next, mut has_value, mut has_error, mut is_link_odd) = (None, false, false, false);
    let walked = json::members(text, |name, value| match &*name {
        "@odata.nextLink" => (next, is_link_odd) = link_text(value, is_link_odd),
        "value" => has_value = json::elements(value, &mut each).is_ok(),
        "error" => has_error = !json::is_null(value),
        _ => {}
    });
    if has_error && !has_value {
        return Err(refusal::of_success(text));
    }
    if walked.is_err() || !has_value {
        return Err(Fault::Unreadable(Unreadable::Shape));
    }
    if is_link_odd {
        return Err(Fault::Unreadable(Unreadable::Links));
    }
    next.map(link).transpose()
}

/// One event that was asked for by `id`.
///
/// # Errors
/// As [`page`], when the reply is no event at all.
pub(super) fn lookup(text: &str, id: &RemoteId) -> Result<crate::model::Lookup, Fault> {
    use crate::model::Lookup;
    match event(text)? {
        Ok(Change::Put(record)) if record.remote_id == *id => Ok(Lookup::Found(Box::new(record))),
        // Another event than the one asked for must not be taken for it.
        Ok(Change::Put(_)) => Ok(Lookup::Unreadable(Skipped::Id)),
        Ok(Change::Gone(_)) => Ok(Lookup::Missing),
        Err(skipped) => Ok(Lookup::Unreadable(skipped)),
    }
}

/// The event that a create or a change was answered with.
///
/// # Errors
/// As [`page`], and `Unreadable` when the event cannot be read.
pub(super) fn written(body: &[u8]) -> Result<EventRecord, Fault> {
    match event(&body_text(body)?)? {
        Ok(Change::Put(record)) => Ok(record),
        Ok(Change::Gone(_)) | Err(_) => Err(Fault::Unreadable(Unreadable::Shape)),
    }
}

fn event(text: &str) -> Result<Result<Change, Skipped>, Fault> {
    let mut has_error = false;
    let walked = json::members(text, |name, value| {
        if name == "error" {
            has_error = !json::is_null(value);
        }
    });
    if walked.is_err() {
        return Err(Fault::Unreadable(Unreadable::Shape));
    }
    if has_error {
        return Err(refusal::of_success(text));
    }
    Ok(event::row_of(text).and_then(|row| event::change(&row)))
}
