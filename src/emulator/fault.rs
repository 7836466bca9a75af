//! Scripted trouble: rules that say which request is hit, how often, and with what.

use serde::{Deserialize, Serialize};

use super::wire::Call;

/// What kind of request something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// The user, mailbox settings, categories.
    Mailbox,
    /// Calendars and their groups.
    Calendars,
    /// A delta round, first page or later.
    Delta,
    /// A plain calendar view.
    View,
    /// Instances of a series.
    Instances,
    /// A single event, or a list of events.
    Event,
    /// An event is created.
    Create,
    /// An event is changed.
    Patch,
    /// An event is deleted.
    Delete,
    /// Accept, decline, cancel, forward, snooze, …
    Action,
    /// The envelope of a batch (its items have their own kinds).
    Batch,
    /// A token is asked for.
    Token,
    /// A device code is asked for.
    DeviceCode,
    /// The authorize page.
    Authorize,
    /// Anything else.
    Other,
}

impl RequestKind {
    /// Whether such requests change events.
    pub const fn is_write(self) -> bool {
        matches!(self, RequestKind::Create | RequestKind::Patch | RequestKind::Delete | RequestKind::Action)
    }

    /// The kind of a call.
    pub(crate) fn of(call: &Call) -> RequestKind {
        if super::ews::is_call(call) {
            return super::ews::kind(call);
        }
        let segments = call.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let is_post = call.method == "POST";
        match path.as_slice() {
            [_, "oauth2", .., "token"] => RequestKind::Token,
            [_, "oauth2", .., "devicecode"] => RequestKind::DeviceCode,
            [_, "oauth2", .., "authorize"] => RequestKind::Authorize,
            [_, "$batch"] => RequestKind::Batch,
            ["v1.0" | "beta", ..] => match path.as_slice() {
                [.., "calendarView" | "events", last] if last.contains("delta") => RequestKind::Delta,
                [.., "calendarView"] => RequestKind::View,
                [.., "events", _, "instances"] => RequestKind::Instances,
                [.., "events"] if is_post => RequestKind::Create,
                [.., "events", _, _] if is_post => RequestKind::Action,
                [.., "events", _] if call.method == "PATCH" => RequestKind::Patch,
                [.., "events", _] if call.method == "DELETE" => RequestKind::Delete,
                [.., "events"] | [.., "events", _] => RequestKind::Event,
                [.., "calendar" | "calendars" | "calendarGroups"] | [.., "calendars", _] => {
                    RequestKind::Calendars
                }
                [_, "me", ..] | [_, "users", ..] => RequestKind::Mailbox,
                _ => RequestKind::Other,
            },
            _ => RequestKind::Other,
        }
    }
}

/// Which requests a rule means; what is left out matches everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// A part of path and query.
    pub path: Option<String>,
    /// The method.
    pub method: Option<String>,
    /// The kind.
    pub kind: Option<RequestKind>,
    /// A calendar's or an event's id as it stands in the path, decoded.
    pub id: Option<String>,
    /// Creates, patches, deletions and actions only.
    pub writes: bool,
    /// Lets this many matching requests pass first.
    pub skip: u32,
    /// Of the rest hits only every n-th; 0 and 1 hit all.
    pub every: u32,
}

/// What an error reply's body is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyKind {
    /// Graph's error JSON.
    #[default]
    Json,
    /// Nothing.
    Empty,
    /// A web page.
    Html,
    /// A line of text.
    Text,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum What {
    /// 429 (or another status) with this `Retry-After` text: `"7"`, `"2.128"`, an HTTP date, or none.
    Throttle {
        /// The header's text; none leaves the header out.
        #[serde(default)]
        retry_after: Option<String>,
        /// 429 unless given.
        #[serde(default = "too_many")]
        status: u16,
    },
    /// A status, without doing anything.
    Status {
        /// The status.
        status: u16,
        /// The error code of a JSON body.
        #[serde(default)]
        code: Option<String>,
        /// What the body is.
        #[serde(default)]
        body: BodyKind,
    },
    /// 401; with `claims` a challenge of continuous access evaluation.
    Unauthorized {
        /// Whether claims are demanded.
        #[serde(default)]
        claims: bool,
    },
    /// The token of a delta link is lost, as [`super::Quirks::token_loss_variants`] says.
    LoseToken,
    /// 412 `ErrorIrresolvableConflict`, whatever `If-Match` said.
    Conflict,
    /// The connection closes before anything was done.
    Drop,
    /// It is done, and the connection closes before the reply.
    LoseReply,
    /// It is done, and answered with an error nevertheless.
    FailAfter {
        /// The status.
        status: u16,
        /// The error code.
        #[serde(default)]
        code: Option<String>,
    },
    /// The reply ends after this many bytes of what it promised.
    Truncate {
        /// Bytes that arrive.
        bytes: usize,
    },
    /// Never a delta link: always a new next link to the same page.
    EndlessNext,
    /// The next link is the request's own.
    SameLink,
    /// Silence for this long, then the connection closes.
    Hang {
        /// Milliseconds, at most ten minutes.
        ms: u64,
    },
    /// The reply comes this much later.
    Slow {
        /// Milliseconds, at most ten minutes.
        ms: u64,
    },
    /// 200 with bytes that are no JSON.
    Garbage,
    /// 200 with a hotel's web page.
    CaptivePortal,
    /// A delta page says all events are removed.
    RemovalStorm,
    /// Exactly this reply.
    Raw {
        /// The status.
        status: u16,
        /// Headers.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body; `{origin}` and `{path}` in it stand for the call's.
        #[serde(default)]
        body: String,
    },
}

fn too_many() -> u16 {
    429
}

fn once() -> u32 {
    1
}

/// One rule. The first that matches and is not used up hits; one rule a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which requests.
    #[serde(default)]
    pub when: When,
    /// How many; 0 means for ever. One unless given.
    #[serde(default = "once")]
    pub count: u32,
    /// What happens to them.
    pub what: What,
}

impl Rule {
    /// Hits the next request of a kind.
    pub fn next(kind: RequestKind, what: What) -> Rule {
        Rule { when: When { kind: Some(kind), ..When::default() }, count: 1, what }
    }

    /// Hits every write to the calendar or event `id`, for ever.
    pub fn writes_to(id: &str, what: What) -> Rule {
        Rule { when: When { id: Some(id.to_owned()), writes: true, ..When::default() }, count: 0, what }
    }

    /// Hits the next `count` requests of any kind.
    pub fn any(count: u32, what: What) -> Rule {
        Rule { when: When::default(), count, what }
    }
}

/// The rules in force, with their counts.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    rules: Vec<Armed>,
}

#[derive(Clone)]
struct Armed {
    rule: Rule,
    seen: u32,
    hits: u32,
}

impl Rules {
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(Armed { rule, seen: 0, hits: 0 });
    }

    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// Rules that can still hit, with how often they did.
    pub fn list(&self) -> Vec<(Rule, u32)> {
        self.rules.iter().map(|a| (a.rule.clone(), a.hits)).collect()
    }

    /// What happens to this call, if a rule says so.
    pub fn take(&mut self, call: &Call, kind: RequestKind) -> Option<What> {
        let armed = self.rules.iter_mut().find(|armed| armed.rule.when.matches(call, kind))?;
        armed.seen += 1;
        let when = &armed.rule.when;
        let turn = armed.seen.checked_sub(when.skip + 1)?;
        if turn % when.every.max(1) != 0 {
            return None;
        }
        armed.hits += 1;
        let what = armed.rule.what.clone();
        self.rules.retain(|a| a.rule.count == 0 || a.hits < a.rule.count);
        Some(what)
    }
}

impl When {
    fn matches(&self, call: &Call, kind: RequestKind) -> bool {
        self.path.as_ref().is_none_or(|p| call.target.contains(p.as_str()))
            && self.method.as_ref().is_none_or(|m| m.eq_ignore_ascii_case(&call.method))
            && self.kind.is_none_or(|k| k == kind)
            && (!self.writes || kind.is_write())
            && self.id.as_ref().is_none_or(|id| call.segments().contains(id))
    }
}
