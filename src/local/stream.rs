//! `GET /v1/stream`: what happens in one account, as server-sent events.
//!
//! | event | data | id |
//! |---|---|---|
//! | `change` | a line of the change feed: `{"account","seq","event","what","at"}` | its `seq` |
//! | `presence` | what is shown now, as `GET /v1/presence` says it, and `account`; also at the beginning | |
//! | `reminder` | reminders that came due: `{"account","items":[{"event","due_at"}],"more"}` | |
//! | `sync` | how a sync ended, as `POST /v1/sync` answers, and `account` | |
//! | `gap` | `{"account","seq"}`: something is not told; read what you show anew | that `seq` |
//!
//! A client that comes back with `Last-Event-ID` (or begins with `since=`) is told every change after it. One that is
//! more than [`RESUME_MAX`] lines behind, or ahead of the feed (its id is another mirror's), is told a gap instead. A
//! client that reads slowly makes only its own stream slow: lines are read from the mirror when there is room for them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use crate::api::{ChangesCall, Error, ErrorKind, PresenceCall};
use crate::config::Effective;
use crate::engine::{Heard, Subscription, SyncAnswer, What};
use crate::local::problem::Problem;
use crate::local::route::{Shared, apart, parameters};

/// Streams at a time.
pub(super) const STREAMS_MAX: usize = 64;
/// The most lines that a client may be behind.
const RESUME_MAX: i64 = 10_000;
/// Lines read at once.
const LINES_MAX: u32 = 250;
/// A comment is sent after so long without an event, so that both sides learn that the other is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client waits before it comes back, in milliseconds.
const RETRY_MS: u32 = 2_000;

/// Opens a stream.
pub(super) async fn open(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (account, values) = parameters(query)?;
    let mut since = None;
    for (name, value) in values {
        match (name.as_str(), since) {
            ("since", None) => since = Some(place(&value)?),
            ("since", Some(_)) => return Err(usage("`since` is given more than once")),
            _ => return Err(usage("a parameter is not known here: `account` and `since` are")),
        }
    }
    let last = headers.get("last-event-id").filter(|value| !value.is_empty());
    if let Some(last) = last {
        since = Some(place(last.to_str().unwrap_or_default())?);
    }
    let account = shared.mirrors.account(account.as_deref())?;
    let permit = shared.streams.clone().try_acquire_owned().map_err(|_| {
        let detail = format!("{STREAMS_MAX} streams are open already");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Busy.code(), detail)
    })?;
    let teller = Teller {
        subscription: shared.engine.notices().subscribe(Some(&account.name)),
        steps: VecDeque::from([Step::Begin]),
        since,
        account,
        shared,
        _permit: permit,
    };
    let events = unfold(teller, |mut teller| async move {
        let text = teller.next().await?;
        Some((Ok::<_, Infallible>(text), teller))
    });
    let mut response = Body::from_stream(events).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

fn usage(detail: &str) -> Problem {
    Error::new(ErrorKind::Usage, detail).into()
}

fn place(text: &str) -> Result<i64, Problem> {
    let place = text.parse().ok().filter(|place| *place >= 0);
    place.ok_or_else(|| usage("the place to go on from is a whole number from 0"))
}

/// What is to be told next.
enum Step {
    Begin,
    Changes,
    Presence,
    Event(&'static str, Value),
}

/// Tells one client.
struct Teller {
    shared: Arc<Shared>,
    account: Effective,
    subscription: Subscription,
    steps: VecDeque<Step>,
    /// The last line told; `None` while there is no mirror.
    since: Option<i64>,
    _permit: OwnedSemaphorePermit,
}

impl Teller {
    /// The next events; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        let mut closing = self.shared.closing.clone();
        loop {
            let text = match self.steps.pop_front() {
                Some(Step::Begin) => self.begin().await,
                Some(Step::Changes) => self.changes().await,
                Some(Step::Presence) => self.presence().await,
                Some(Step::Event(name, data)) => self.event(name, None, &data),
                None => {
                    tokio::select! {
                        biased;
                        _ = closing.wait_for(|closes| *closes) => return None,
                        heard = self.subscription.heard() => self.plan(heard)?,
                        () = tokio::time::sleep(HEARTBEAT) => return Some(":\n\n".to_owned()),
                    }
                    continue;
                }
            };
            if *closing.borrow_and_update() {
                return None;
            }
            if !text.is_empty() {
                return Some(text);
            }
        }
    }

    /// What a notice makes us tell; `None` at the end.
    fn plan(&mut self, heard: Heard) -> Option<()> {
        let step = match heard {
            Heard::Closed => return None,
            Heard::Late => return Some(()),
            Heard::Lost => {
                self.steps.push_back(Step::Event("gap", json!({ "seq": self.since })));
                Step::Presence
            }
            Heard::Notice(notice) => match notice.what {
                What::Change { .. } => Step::Changes,
                What::Presence(_) => Step::Presence,
                What::Reminder(tick) => {
                    Step::Event("reminder", tick.to_json(&self.shared.mirrors.zone(&self.account)))
                }
                What::Sync(report) => {
                    let answer = SyncAnswer::new(*report, &self.shared.mirrors.zone(&self.account));
                    Step::Event("sync", serde_json::to_value(answer).unwrap_or_default())
                }
                // Told to whoever asked; a sync follows.
                What::SignIn(_) => return Some(()),
            },
        };
        self.steps.push_back(step);
        Some(())
    }

    async fn begin(&mut self) -> String {
        if self.since.is_none() {
            self.since = self.read(i64::MAX, 1).await.map(|(newest, _)| newest);
        } else {
            self.steps.push_back(Step::Changes);
        }
        self.steps.push_back(Step::Presence);
        let id = self.since.map(|since| format!("id: {since}\n")).unwrap_or_default();
        format!("retry: {RETRY_MS}\n{id}\n")
    }

    async fn changes(&mut self) -> String {
        let from = self.since.unwrap_or(0);
        let Some((newest, lines)) = self.read(from, LINES_MAX).await else { return String::new() };
        let is_known = self.since.is_some_and(|since| since <= newest && newest - since <= RESUME_MAX);
        if !is_known {
            self.since = Some(newest);
            return self.event("gap", Some(newest), &json!({ "seq": newest }));
        }
        if lines.len() >= usize::try_from(LINES_MAX).unwrap_or(usize::MAX) {
            self.steps.push_front(Step::Changes);
        }
        let mut text = String::new();
        for line in lines {
            self.since = Some(line.seq);
            text.push_str(&self.event("change", Some(line.seq), &line));
        }
        text
    }

    async fn presence(&self) -> String {
        let (mirrors, account) = (self.shared.mirrors.clone(), self.account.clone());
        let asked = move || {
            // The policy may have changed since the stream began.
            let account = mirrors.account(Some(&account.name))?;
            mirrors.presence(&account, &PresenceCall::default())
        };
        let answer = apart(&self.shared, asked).await;
        // An account without a policy, or without a mirror, shows nothing.
        answer.map(|answer| self.event("presence", None, &answer)).unwrap_or_default()
    }

    /// The newest place of the feed and the lines after `since`; `None` while there is no mirror that can be read.
    async fn read(&self, since: i64, limit: u32) -> Option<(i64, Vec<crate::api::ChangeLine>)> {
        let (mirrors, account) = (self.shared.mirrors.clone(), self.account.clone());
        let call = ChangesCall { since, limit: Some(limit) };
        apart(&self.shared, move || mirrors.feed(&account, call)).await.ok().flatten()
    }

    fn event(&self, name: &str, id: Option<i64>, data: &impl Serialize) -> String {
        let mut members = json!({ "account": self.account.name });
        if let (Some(members), Ok(Value::Object(more))) =
            (members.as_object_mut(), serde_json::to_value(data))
        {
            members.extend(more);
        }
        let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
        format!("{id}event: {name}\ndata: {members}\n\n")
    }
}
