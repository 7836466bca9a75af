use std::collections::BTreeSet;

use crate::model::{
    Answer, Change, DAY_MS, EventKind, EventRecord, Fault, Next, Person, RemoteId, Times, Unreadable, Window,
};
use crate::ports::{Method, Reply};
use crate::source::graph::client::Ask;
use crate::source::graph::{Graph, LISTING_PAGES_MAX, PullMode, decode, is_gone, json, write};

/// Rows asked for on a page when an event is looked for.
const SEARCH_PAGE_SIZE: u32 = 100;
/// The shortest stretch that is searched: an event may take no time.
const MINUTE_MS: i64 = 60_000;

/// What is written. Every failure is a [`Fault`]; [`super::reached`] says whether it may have landed nevertheless.
impl Graph {
    /// Creates the event that `body` (from [`super::encode_create`]) describes. The same bytes sent again are
    /// answered with the event that is there.
    ///
    /// # Errors
    /// Any [`Fault`] but `EndlessPages` and `LinkRefused`.
    pub async fn create(&self, calendar: &RemoteId, body: &[u8]) -> Result<EventRecord, Fault> {
        let url = self.0.site.api(&format!("{}/events", self.calendar_path(calendar)));
        let ask = Ask { method: Method::Post, body: Some(body), is_write: true, ..Ask::small(url) };
        decode::written(&self.0.ask(&ask).await?.body)
    }

    /// Changes an event, if it still has the change key `if_match`, by `body` (from [`super::encode_patch`]). The
    /// answer has another id than `id` at most where an occurrence became an exception.
    ///
    /// # Errors
    /// Any [`Fault`] but `EndlessPages` and `LinkRefused`; `Refused` with status 412 when the key is another.
    pub async fn patch(
        &self,
        calendar: &RemoteId,
        id: &RemoteId,
        if_match: Option<&str>,
        body: &[u8],
    ) -> Result<EventRecord, Fault> {
        let url = self.0.site.api(&self.event_path(calendar, id));
        let ask =
            Ask { method: Method::Patch, body: Some(body), if_match, is_write: true, ..Ask::small(url) };
        let record = decode::written(&self.0.ask(&ask).await?.body)?;
        if record.remote_id == *id || record.kind == EventKind::Exception {
            Ok(record)
        } else {
            Err(Fault::Unreadable(Unreadable::Shape))
        }
    }

    /// Deletes an event, a whole series by its master's id, or one occurrence. The organizer's deletion is mailed.
    ///
    /// # Errors
    /// As [`Graph::patch`]; [`is_gone`] tells that there is nothing to delete.
    pub async fn delete(
        &self,
        calendar: &RemoteId,
        id: &RemoteId,
        if_match: Option<&str>,
    ) -> Result<(), Fault> {
        let url = self.0.site.api(&self.event_path(calendar, id));
        let ask = Ask { method: Method::Delete, if_match, is_write: true, ..Ask::small(url) };
        done(&self.0.ask(&ask).await?)
    }

    /// Calls a meeting off.
    ///
    /// # Errors
    /// Any [`Fault`] but `EndlessPages` and `LinkRefused`.
    pub async fn cancel(&self, calendar: &RemoteId, id: &RemoteId, comment: &str) -> Result<(), Fault> {
        self.act(calendar, id, "cancel", Some(write::encode_cancel(comment))).await
    }

    /// Answers an invitation; a series by its master's id. The answer takes effect a little later.
    ///
    /// # Errors
    /// Any [`Fault`] but `EndlessPages` and `LinkRefused`.
    pub async fn respond(
        &self,
        calendar: &RemoteId,
        id: &RemoteId,
        answer: Answer,
        comment: &str,
        is_silent: bool,
    ) -> Result<(), Fault> {
        let action = match answer {
            Answer::Accept => "accept",
            Answer::Tentative => "tentativelyAccept",
            Answer::Decline => "decline",
        };
        self.act(calendar, id, action, Some(write::encode_answer(comment, is_silent))).await
    }

    /// Sends an invitation on.
    ///
    /// # Errors
    /// Any [`Fault`] but `EndlessPages` and `LinkRefused`.
    pub async fn forward(
        &self,
        calendar: &RemoteId,
        id: &RemoteId,
        to: &[Person],
        comment: &str,
    ) -> Result<(), Fault> {
        self.act(calendar, id, "forward", Some(write::encode_forward(to, comment))).await
    }

    /// Lets the reminder come again at `until_ms`.
    ///
    /// # Errors
    /// Any [`Fault`] but `EndlessPages` and `LinkRefused`.
    pub async fn snooze(&self, calendar: &RemoteId, id: &RemoteId, until_ms: i64) -> Result<(), Fault> {
        self.act(calendar, id, "snoozeReminder", Some(write::encode_snooze(until_ms))).await
    }

    /// Takes the reminder away, for this and every other device.
    ///
    /// # Errors
    /// Any [`Fault`] but `EndlessPages` and `LinkRefused`.
    pub async fn dismiss(&self, calendar: &RemoteId, id: &RemoteId) -> Result<(), Fault> {
        self.act(calendar, id, "dismissReminder", None).await
    }

    async fn act(
        &self,
        calendar: &RemoteId,
        id: &RemoteId,
        action: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(), Fault> {
        let url = self.0.site.api(&format!("{}/{action}", self.event_path(calendar, id)));
        let body = body.as_deref();
        let ask = Ask { method: Method::Post, body, is_write: true, ..Ask::small(url) };
        done(&self.0.ask(&ask).await?)
    }

    /// The event that a create with `transaction_id` made, looked for where it was to be. Copies carry the same
    /// transaction id: the one at the very times wins.
    ///
    /// # Errors
    /// Any [`Fault`]; `EndlessPages` beyond [`LISTING_PAGES_MAX`].
    pub async fn find_created(
        &self,
        calendar: &RemoteId,
        times: &Times,
        transaction_id: &str,
    ) -> Result<Option<EventRecord>, Fault> {
        // All-day events float: in the server's zone they may lie a day to either side.
        let slack_ms = if times.is_all_day { DAY_MS } else { 0 };
        let window = Window {
            from_ms: times.start_ms.saturating_sub(slack_ms),
            to_ms: times.end_ms.saturating_add(slack_ms).max(times.start_ms.saturating_add(MINUTE_MS)),
        };
        let mut link = self.first_link(PullMode::Snapshot, calendar, window);
        let mut seen = BTreeSet::new();
        let mut found: Option<EventRecord> = None;
        loop {
            if seen.len() >= LISTING_PAGES_MAX || !seen.insert(link.as_str().to_owned()) {
                return Err(Fault::EndlessPages);
            }
            let page = self.page(&link, SEARCH_PAGE_SIZE).await?;
            for change in page.changes {
                let Change::Put(record) = change else { continue };
                let told = record.details.as_deref().and_then(|details| details.transaction_id.as_deref());
                if told != Some(transaction_id) {
                    continue;
                }
                if (record.start_ms, record.end_ms) == (times.start_ms, times.end_ms) {
                    return Ok(Some(record));
                }
                found.get_or_insert(record);
            }
            match page.next {
                Next::Page(next) => link = next,
                Next::Delta(_) | Next::End => return Ok(found),
            }
        }
    }

    /// The body of an event as the server keeps it; `None` when the server does not have the event.
    ///
    /// # Errors
    /// Any [`Fault`] but `EndlessPages` and `LinkRefused`.
    pub async fn body_html(&self, calendar: &RemoteId, id: &RemoteId) -> Result<Option<String>, Fault> {
        let url = self.0.site.api(&format!("{}?$select=body", self.event_path(calendar, id)));
        let reply = match self.0.ask(&Ask { is_html: true, ..Ask::small(url) }).await {
            Ok(reply) => reply,
            Err(fault) if is_gone(&fault) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let text = decode::body_text(&reply.body)?;
        let mut content = None;
        let walked = json::members(&text, |name, value| {
            if name == "body" {
                let _malformed_is_none = json::members(value, |name, value| {
                    if name == "content" {
                        content = json::text_of(value).map(|text| text.into_owned());
                    }
                });
            }
        });
        match (walked, content) {
            (Ok(()), Some(content)) => Ok(Some(content)),
            _ => Err(Fault::Unreadable(Unreadable::Shape)),
        }
    }
}

/// A success without content. What brings a page along is not Graph, and what brings something else is not its
/// answer to this.
pub(super) fn done(reply: &Reply) -> Result<(), Fault> {
    match reply.body.trim_ascii_start().first() {
        None | Some(b'{') => Ok(()),
        Some(b'<') => Err(Fault::Unreadable(Unreadable::WebPage)),
        Some(_) => Err(Fault::Unreadable(Unreadable::Shape)),
    }
}
