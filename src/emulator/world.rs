//! The whole service as one value.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::authority::{Authority, Bearer, SignIn, TENANT};
use super::ews;
use super::fault::{BodyKind, RequestKind, Rule, Rules, What};
use super::graph::Graph;
use super::ident::{self, Ids, Target, mix};
use super::mailbox::{Mail, Mailbox, User, Write};
use super::quirks::Quirks;
use super::wire::{Answer, Call, Refusal, Transport};
use super::zone;

/// Requests the log remembers.
const LOG_MAX: usize = 10_000;
const BATCH_MAX: usize = 20;
const DELAY_MS_MAX: u64 = 600_000;
const RATE_WINDOW_MS: i64 = 600_000;

/// One request as the log tells it. Never a token, a subject or a body.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Seen {
    /// Counts from 1; never reused.
    pub seq: u64,
    /// When, by the service's clock.
    pub at_ms: i64,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// What kind it was.
    pub kind: RequestKind,
    /// The status answered (0: none).
    pub status: u16,
    /// Bytes of the reply's body, uncompressed.
    pub bytes: usize,
    /// Whether a rule hit it.
    pub is_faulted: bool,
}

/// A calendar service with its users, its habits and its scripted trouble: a pure state machine. It reads no
/// clock and does no I/O; the same seed, calls and times give the same answers.
#[derive(Clone)]
pub struct World {
    pub(crate) mailboxes: Vec<Mailbox>,
    pub(crate) quirks: Quirks,
    pub(crate) rules: Rules,
    pub(crate) authority: Authority,
    pub(crate) scramble: u64,
    log: VecDeque<Seen>,
    counts: BTreeMap<RequestKind, u64>,
    seen: u64,
    is_down: bool,
    clock_offset_ms: i64,
    asks_for_tokens: bool,
    in_flight: u32,
    /// The most requests ever in flight at once.
    in_flight_most: u32,
    /// Users of the directory that have no mailbox.
    without_mailbox: BTreeSet<usize>,
    rate: (i64, u32),
}

impl World {
    /// An empty service with one mailbox a name, each with its default calendar.
    pub fn new(seed: u64, users: &[(&str, &str)], zone_name: &str) -> World {
        let mut rng = fastrand::Rng::with_seed(seed);
        let scramble = rng.u64(..);
        let mut mailboxes = Vec::new();
        for (n, (name, address)) in users.iter().enumerate() {
            let id = ident::guid(scramble, u64::try_from(n).unwrap_or(0));
            let user = User { id, name: (*name).into(), address: (*address).into() };
            let mut mailbox = Mailbox::new(user, Ids::new(&mut rng), zone_name);
            let calendar = mailbox.add_calendar("Calendar");
            mailbox.default_calendar = calendar;
            if let Some(calendar) = mailbox.calendars.get_mut(&calendar) {
                calendar.is_removable = false;
            }
            mailboxes.push(mailbox);
        }
        let mut world = World {
            mailboxes,
            quirks: Quirks::default(),
            rules: Rules::default(),
            authority: Authority::new(rng),
            scramble,
            log: VecDeque::new(),
            counts: BTreeMap::new(),
            seen: 0,
            is_down: false,
            clock_offset_ms: 0,
            asks_for_tokens: true,
            in_flight: 0,
            in_flight_most: 0,
            without_mailbox: BTreeSet::new(),
            rate: (i64::MIN, 0),
        };
        world.set_quirks(Quirks::default());
        world
    }

    // ---- switches ------------------------------------------------------------------------------------------

    /// The habits in force.
    pub fn quirks(&self) -> &Quirks {
        &self.quirks
    }

    /// Changes the habits.
    pub fn set_quirks(&mut self, quirks: Quirks) {
        for mailbox in &mut self.mailboxes {
            mailbox.silent_rate = quirks.silent_change_rate;
            mailbox.slot_tombstones = quirks.occurrence_tombstones;
        }
        self.quirks = quirks;
    }

    /// Adds a rule of scripted trouble; rules are tried in the order they were added.
    pub fn add_fault(&mut self, rule: Rule) {
        self.rules.add(rule);
    }

    /// Takes all rules away.
    pub fn clear_faults(&mut self) {
        self.rules.clear();
    }

    /// Rules that can still hit, with how often each did.
    pub fn faults(&self) -> Vec<(Rule, u32)> {
        self.rules.list()
    }

    /// Cuts or restores the network: everything but the control face gets no connection.
    pub fn set_network_down(&mut self, is_down: bool) {
        self.is_down = is_down;
    }

    /// Whether the network is cut.
    pub fn is_network_down(&self) -> bool {
        self.is_down
    }

    /// Puts the service's clock ahead of (or behind) the `now_ms` it is given.
    pub fn set_clock_offset(&mut self, offset_ms: i64) {
        self.clock_offset_ms = offset_ms;
    }

    /// How far the service's clock is ahead.
    pub fn clock_offset_ms(&self) -> i64 {
        self.clock_offset_ms
    }

    /// Whether Graph requests need an access token (they do, unless switched off).
    pub fn set_asks_for_tokens(&mut self, asks: bool) {
        self.asks_for_tokens = asks;
    }

    /// Whether requests need to say who asks.
    pub(super) fn asks_for_tokens(&self) -> bool {
        self.asks_for_tokens
    }

    /// How sign-in behaves.
    pub fn sign_in(&self) -> &SignIn {
        &self.authority.sign_in
    }

    /// Changes how sign-in behaves.
    pub fn set_sign_in(&mut self, sign_in: SignIn) {
        self.authority.sign_in = sign_in;
    }

    /// Forgets all delta links of all mailboxes; returns how many lines of links were lost.
    pub fn evict_links(&mut self) -> usize {
        self.mailboxes.iter_mut().map(|m| m.lines.evict()).sum()
    }

    /// Ends all access tokens; returns how many there were.
    pub fn expire_access_tokens(&mut self) -> usize {
        self.authority.expire_access()
    }

    /// Ends all refresh tokens; returns how many there were.
    pub fn revoke_refresh_tokens(&mut self) -> usize {
        self.authority.revoke_refresh()
    }

    /// Takes an access token that another sign-in server issued, until then. Nothing else is known of it.
    pub fn accept_access(&mut self, token: String, user: usize, until_ms: i64) {
        self.authority.accept(token, user, until_ms);
    }

    /// An access token for a user (by position), without a dialogue.
    pub fn grant_access(&mut self, user: usize, now_ms: i64) -> String {
        self.grant_access_to(user, "Calendars.ReadWrite", now_ms)
    }

    /// The same with other scopes, separated by blanks. Mailbox settings and presence are refused without theirs.
    pub fn grant_access_to(&mut self, user: usize, scopes: &str, now_ms: i64) -> String {
        let now_ms = now_ms + self.clock_offset_ms;
        self.authority.grant(user, scopes, now_ms)
    }

    /// Takes a user's mailbox away, as an administrator who ends a licence does; the user stays in the directory.
    pub fn take_mailbox(&mut self, user: usize) {
        self.without_mailbox.insert(user);
    }

    /// The most requests that were ever in flight at once.
    pub fn in_flight_most(&self) -> u32 {
        self.in_flight_most
    }

    // ---- what is there -------------------------------------------------------------------------------------

    /// The users, in order.
    pub fn users(&self) -> Vec<User> {
        self.mailboxes.iter().map(|m| m.user.clone()).collect()
    }

    /// Mail the service would have sent on behalf of a user: invitations, updates, cancellations, answers.
    pub fn mails(&self, user: usize) -> &[Mail] {
        self.mailboxes.get(user).map_or(&[], |m| m.mails.as_slice())
    }

    /// How many mails of a kind (`invite`, `update`, `cancel`, `respond`, `forward`) were sent about an event.
    pub fn mail_count(&self, user: usize, event: &str, what: &str) -> usize {
        self.mails(user).iter().filter(|mail| mail.event == event && mail.what == what).count()
    }

    /// The writes to a user's events that took effect, oldest first; only the last hundred thousand are kept.
    pub fn writes(&self, user: usize) -> impl Iterator<Item = &Write> {
        self.mailboxes.get(user).into_iter().flat_map(|mailbox| &mailbox.writes)
    }

    /// How many events a transaction id has made: more than one is a create done twice.
    pub fn created_count(&self, user: usize, transaction_id: &str) -> usize {
        let is_it =
            |write: &&Write| !write.is_replay && write.transaction_id.as_deref() == Some(transaction_id);
        self.writes(user).filter(is_it).count()
    }

    /// Forgets the mails and writes so far.
    pub fn clear_writes(&mut self) {
        for mailbox in &mut self.mailboxes {
            mailbox.mails.clear();
            mailbox.writes.clear();
        }
    }

    /// Forgets which creates were done: the same transaction id makes another event.
    pub fn forget_transactions(&mut self) {
        for mailbox in &mut self.mailboxes {
            mailbox.transactions.clear();
        }
    }

    /// The requests seen, oldest first; only the last ten thousand are kept.
    pub fn log(&self) -> impl Iterator<Item = &Seen> {
        self.log.iter()
    }

    /// How many requests of a kind were seen, batch items included.
    pub fn count(&self, kind: RequestKind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    /// How many requests were seen in all (batch envelopes and their items each count).
    pub fn requests(&self) -> u64 {
        self.seen
    }

    /// Forgets the log and its counts.
    pub fn clear_log(&mut self) {
        self.log.clear();
        self.counts.clear();
    }

    /// Lets happen what is due at `now_ms`: key rotations, queued answers, join addresses. Every request does so.
    pub fn settle(&mut self, now_ms: i64) {
        let now_ms = now_ms + self.clock_offset_ms;
        for mailbox in &mut self.mailboxes {
            mailbox.settle(now_ms, &self.quirks);
        }
    }

    /// Whether nothing is due later.
    pub fn is_settled(&self) -> bool {
        self.mailboxes.iter().all(|m| m.deferred.is_empty())
    }

    // ---- requests ------------------------------------------------------------------------------------------

    /// Answers one request of Graph or of the authority (the control face is [`World::control`]).
    pub fn answer(&mut self, call: &Call, now_ms: i64) -> Answer {
        let now_ms = now_ms + self.clock_offset_ms;
        if self.is_down {
            return Answer::empty(0).sent(Transport::Refuse);
        }
        self.settle_all(now_ms);
        self.in_flight += 1;
        self.in_flight_most = self.in_flight_most.max(self.in_flight);
        let answer = self.exchange(call, now_ms);
        let request_id = ident::guid(self.scramble, self.seen ^ (1 << 50));
        let mut answer = answer.with("date", zone::http_date(now_ms)).with("request-id", request_id.clone());
        answer = match call.header("client-request-id") {
            Some(id) => answer.with("client-request-id", id),
            None => answer.with("client-request-id", request_id),
        };
        answer.with("x-ms-ags-diagnostic", r#"{"ServerInfo":{"DataCenter":"Emulator","Slice":"E","Ring":"1","ScaleUnit":"000","RoleInstance":"EM1"}}"#)
    }

    /// Tells that an answer has left: the face calls it once for each [`World::answer`].
    pub fn finished(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn settle_all(&mut self, now_ms: i64) {
        for mailbox in &mut self.mailboxes {
            mailbox.settle(now_ms, &self.quirks);
        }
    }

    /// One request, or one item of a batch, with the trouble scripted for it.
    fn exchange(&mut self, call: &Call, now_ms: i64) -> Answer {
        let kind = RequestKind::of(call);
        let what = self.rules.take(call, kind);
        let is_faulted = what.is_some();
        let answer = match what {
            None => self.serve(call, kind, now_ms),
            Some(what) => self.trouble(what, call, kind, now_ms),
        };
        self.seen += 1;
        *self.counts.entry(kind).or_default() += 1;
        if self.log.len() >= LOG_MAX {
            self.log.pop_front();
        }
        let is_silent = matches!(answer.transport, Transport::Drop | Transport::Refuse | Transport::Hang(_));
        self.log.push_back(Seen {
            seq: self.seen,
            at_ms: now_ms,
            method: call.method.clone(),
            target: call.target.clone(),
            kind,
            status: if is_silent { 0 } else { answer.status },
            bytes: answer.body.len(),
            is_faulted,
        });
        answer
    }

    fn serve(&mut self, call: &Call, kind: RequestKind, now_ms: i64) -> Answer {
        let segments = call.segments();
        if ews::is_call(call) {
            let outcome = self.limits(kind, now_ms).and_then(|()| self.ews(call, now_ms));
            return outcome.unwrap_or_else(|refusal| ews::refused(&refusal, call));
        }
        match segments.first().map(String::as_str) {
            Some(version @ ("v1.0" | "beta")) => {
                let outcome =
                    self.limits(kind, now_ms).and_then(|()| self.graph(call, version, &segments, now_ms));
                match outcome {
                    Ok(answer) => answer,
                    Err(refusal) => self.refusal(&refusal, call, now_ms),
                }
            }
            _ => {
                let path: Vec<&str> = segments.iter().map(String::as_str).collect();
                let users = self.users();
                self.authority.answer(call, &path, &users, now_ms)
            }
        }
    }

    fn limits(&mut self, kind: RequestKind, now_ms: i64) -> Result<(), Refusal> {
        let most = self.quirks.concurrent_max;
        if most > 0 && self.in_flight > most && kind != RequestKind::Batch {
            let text = "Application is over its MailboxConcurrency limit.";
            return Err(Refusal::new(429, "ApplicationThrottled", text).with("retry-after", "1"));
        }
        if now_ms.saturating_sub(self.rate.0) >= RATE_WINDOW_MS {
            self.rate = (now_ms, 0);
        }
        self.rate.1 += 1;
        if self.quirks.requests_max > 0 && self.rate.1 > self.quirks.requests_max {
            let wait_s = (self.rate.0 + RATE_WINDOW_MS - now_ms).max(0) / 1_000 + 1;
            return Err(Refusal::new(429, "TooManyRequests", "The app has made too many requests.")
                .with("retry-after", wait_s.to_string()));
        }
        Ok(())
    }

    fn refusal(&self, refusal: &Refusal, call: &Call, now_ms: i64) -> Answer {
        if ews::is_call(call) {
            return ews::refused(refusal, call);
        }
        let request_id = ident::guid(self.scramble, self.seen ^ (1 << 50));
        let date = zone::whole_seconds(now_ms);
        let body = refusal.body(
            &request_id,
            call.header("client-request-id").as_deref(),
            date.trim_end_matches('Z'),
        );
        let mut answer = Answer::json(refusal.status, &body);
        answer.headers.extend(refusal.headers.clone());
        answer
    }

    fn caller(&self, call: &Call, now_ms: i64) -> Result<Caller, Refusal> {
        if !self.asks_for_tokens {
            return Ok(Caller::User(0));
        }
        let text = match self.authority.judge(call.bearer.as_deref(), now_ms) {
            Bearer::User(user) => return Ok(Caller::User(user)),
            Bearer::Application => return Ok(Caller::Application),
            Bearer::Expired => "Lifetime validation failed, the token is expired.",
            Bearer::Unknown if call.bearer.is_none() => "Access token is empty.",
            Bearer::Unknown => "IDX14100: JWT is not well formed, there are no dots (.).",
        };
        let challenge = format!(
            "Bearer realm=\"\", authorization_uri=\"{}/common/oauth2/v2.0/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\"",
            call.origin
        );
        Err(Refusal::new(401, "InvalidAuthenticationToken", text).with("www-authenticate", challenge))
    }

    fn graph(
        &mut self,
        call: &Call,
        version: &str,
        segments: &[String],
        now_ms: i64,
    ) -> Result<Answer, Refusal> {
        let caller = self.caller(call, now_ms)?;
        let rest = segments.get(1..).unwrap_or_default();
        let (user, rest) = match rest {
            [batch] if batch == "$batch" => return self.batch(call, version, now_ms),
            [me, rest @ ..] if me == "me" => (me_of(caller)?, rest),
            [users, id, rest @ ..] if users == "users" => (self.user_named(id, caller)?, rest),
            _ => return Err(Refusal::new(400, "BadRequest", "Resource not found for the segment.")),
        };
        if self.without_mailbox.contains(&user) && !rest.is_empty() {
            let text = "The mailbox is either inactive, soft-deleted, or is hosted on-premise.";
            return Err(Refusal::new(404, "MailboxNotEnabledForRESTAPI", text));
        }
        let needed = needed_scopes(&call.method, rest);
        if self.asks_for_tokens
            && !needed.is_empty()
            && !self.authority.allows(call.bearer.as_deref(), needed)
        {
            return Err(Refusal::denied());
        }
        let mailbox = self.mailboxes.get_mut(user).ok_or_else(Refusal::item_not_found)?;
        Graph { mailbox, quirks: &self.quirks, call, now_ms, scramble: self.scramble, version }.route(rest)
    }

    fn user_named(&self, name: &str, caller: Caller) -> Result<usize, Refusal> {
        // What Microsoft's SDKs send for `/me`.
        if name == "me" || name == "me-token-to-replace" || name == "TokenToReplace" {
            return me_of(caller);
        }
        let found = self
            .mailboxes
            .iter()
            .position(|m| m.user.id == name || m.user.address.eq_ignore_ascii_case(name));
        match found {
            // The first user may look into the others' mailboxes, as an assistant does.
            Some(user)
                if matches!(caller, Caller::User(0) | Caller::Application)
                    || caller == Caller::User(user) =>
            {
                Ok(user)
            }
            Some(_) => Err(Refusal::denied()),
            None => Err(Refusal::new(404, "ErrorInvalidUser", "The requested user is invalid.")),
        }
    }

    // ---- batches -------------------------------------------------------------------------------------------

    fn batch(&mut self, call: &Call, version: &str, now_ms: i64) -> Result<Answer, Refusal> {
        let bad = |text: &str| Refusal::new(400, "BadRequest", text);
        let body: Value =
            serde_json::from_slice(&call.body).map_err(|_| bad("Invalid batch payload format."))?;
        let items = body
            .get("requests")
            .and_then(Value::as_array)
            .ok_or_else(|| bad("Invalid batch payload format."))?;
        if items.len() > BATCH_MAX {
            return Err(bad("Number of batch request steps exceeds the maximum value of 20."));
        }
        let mut statuses: BTreeMap<String, u16> = BTreeMap::new();
        let mut responses = Vec::new();
        for item in items {
            let id =
                item.get("id").and_then(Value::as_str).ok_or_else(|| bad("Every request needs an id."))?;
            if statuses.contains_key(id) {
                return Err(bad("Request ids have to be unique."));
            }
            let needed = item
                .get("dependsOn")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            let is_blocked = needed.into_iter().any(|n| statuses.get(n).is_none_or(|s| *s >= 400));
            let (status, headers, body) = if is_blocked {
                (
                    424,
                    json!({}),
                    json!({"error": {"code": "FailedDependency", "message": "A request this one depends on failed."}}),
                )
            } else {
                self.batch_item(item, call, version, now_ms)
            };
            statuses.insert(id.to_owned(), status);
            let mut response = json!({"id": id, "status": status, "headers": headers});
            if let (Some(members), false) = (response.as_object_mut(), body.is_null()) {
                members.insert("body".into(), body);
            }
            responses.push(response);
        }
        // The order of responses is free.
        if mix(self.scramble, self.seen).is_multiple_of(2) {
            responses.reverse();
        }
        Ok(Answer::json(200, &json!({"responses": responses})))
    }

    fn batch_item(&mut self, item: &Value, call: &Call, version: &str, now_ms: i64) -> (u16, Value, Value) {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        let headers = item.get("headers").and_then(Value::as_object).into_iter().flatten();
        let headers =
            headers.filter_map(|(n, v)| Some((n.to_ascii_lowercase(), v.as_str()?.to_owned()))).collect();
        let inner = Call {
            method: text("method").to_ascii_uppercase(),
            origin: call.origin.clone(),
            target: format!("/{version}/{}", text("url").trim_start_matches('/')),
            headers,
            bearer: call.bearer.clone(),
            body: item.get("body").map(|b| b.to_string().into_bytes()).unwrap_or_default(),
        };
        if RequestKind::of(&inner) == RequestKind::Batch {
            return (
                400,
                json!({}),
                json!({"error": {"code": "BadRequest", "message": "Batches do not nest."}}),
            );
        }
        if !inner.body.is_empty() && inner.header("content-type").is_none() {
            let text = "Content-Type header is missing.";
            return (400, json!({}), json!({"error": {"code": "BadRequest", "message": text}}));
        }
        let answer = self.exchange(&inner, now_ms);
        if !matches!(answer.transport, Transport::Whole | Transport::Delay(_)) {
            return (
                503,
                json!({}),
                json!({"error": {"code": "serviceNotAvailable", "message": "The service is not available."}}),
            );
        }
        let shown =
            ["etag", "retry-after", "location", "preference-applied", "content-type", "www-authenticate"];
        let headers: serde_json::Map<String, Value> = answer
            .headers
            .iter()
            .filter(|(n, _)| shown.contains(&n.as_str()))
            .map(|(n, v)| (header_case(n), json!(v)))
            .collect();
        let body = match serde_json::from_slice(&answer.body) {
            Ok(body) => body,
            Err(_) if answer.body.is_empty() => Value::Null,
            // Other bodies travel in base64.
            Err(_) => json!(ident::standard(&answer.body)),
        };
        (answer.status, Value::Object(headers), body)
    }

    // ---- trouble -------------------------------------------------------------------------------------------

    fn trouble(&mut self, what: What, call: &Call, kind: RequestKind, now_ms: i64) -> Answer {
        let refuse = |world: &World, refusal: Refusal| world.refusal(&refusal, call, now_ms);
        match what {
            What::Throttle { retry_after, status } => {
                let code = if status == 429 { "ApplicationThrottled" } else { "serviceNotAvailable" };
                let mut refusal = Refusal::new(status, code, "Too many requests; try again later.");
                refusal.headers.extend(retry_after.map(|v| ("retry-after".into(), v)));
                refuse(self, refusal)
            }
            What::Status { status, code, body } => match body {
                BodyKind::Json => {
                    let code = code.unwrap_or_else(|| {
                        if status >= 500 { "ErrorInternalServerError" } else { "BadRequest" }.into()
                    });
                    refuse(
                        self,
                        Refusal::new(
                            status,
                            &code,
                            "An internal server error occurred. The operation failed.",
                        ),
                    )
                }
                BodyKind::Empty => Answer::empty(status),
                BodyKind::Html => Answer::html(
                    status,
                    format!(
                        "<html><head><title>{status}</title></head><body><h1>Our services aren't available right now</h1></body></html>"
                    ),
                ),
                BodyKind::Text => Answer::text(status, "text/plain", "upstream connect error".into()),
            },
            What::Unauthorized { claims: false } => refuse(
                self,
                Refusal::new(
                    401,
                    "InvalidAuthenticationToken",
                    "Lifetime validation failed, the token is expired.",
                ),
            ),
            What::Unauthorized { claims: true } => {
                let claims =
                    ident::standard(br#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#);
                let challenge = format!(
                    "Bearer realm=\"\", authorization_uri=\"{}/common/oauth2/v2.0/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\", error=\"insufficient_claims\", claims=\"{claims}\"",
                    call.origin
                );
                let text = "Continuous access evaluation resulted in challenge.";
                refuse(
                    self,
                    Refusal::new(401, "InvalidAuthenticationToken", text).with("www-authenticate", challenge),
                )
            }
            What::LoseToken => self.lose_token(call, kind, now_ms),
            What::Conflict => refuse(
                self,
                Refusal::new(
                    412,
                    "ErrorIrresolvableConflict",
                    "The send or update operation could not be performed because the change key passed in the request does not match the current change key for the item.",
                ),
            ),
            What::Drop => Answer::empty(0).sent(Transport::Drop),
            What::LoseReply => self.serve(call, kind, now_ms).sent(Transport::Drop),
            What::FailAfter { status, code } => {
                let answer = self.serve(call, kind, now_ms);
                if answer.status >= 400 {
                    return answer;
                }
                let code = code.unwrap_or_else(|| "ErrorInternalServerError".into());
                refuse(self, Refusal::new(status, &code, "An internal server error occurred."))
            }
            What::Truncate { bytes } => self.serve(call, kind, now_ms).sent(Transport::Truncate(bytes)),
            What::EndlessNext => self.endless(call, kind, now_ms, false),
            What::SameLink => self.endless(call, kind, now_ms, true),
            What::Hang { ms } => Answer::empty(0).sent(Transport::Hang(ms.min(DELAY_MS_MAX))),
            What::Slow { ms } => self.serve(call, kind, now_ms).sent(Transport::Delay(ms.min(DELAY_MS_MAX))),
            What::Garbage => Answer::text(200, "application/json", "\u{0}\u{1}{\"value\":[{\"id\":".into()),
            What::CaptivePortal => Answer::html(
                200,
                "<!DOCTYPE html><html><head><title>Hotel Wi-Fi</title></head><body><form action=\"/login\">Welcome! Please accept our terms.</form></body></html>",
            ),
            What::RemovalStorm => self.storm(call, kind, now_ms),
            What::Raw { status, headers, body } => {
                let body = body.replace("{origin}", &call.origin).replace("{path}", call.path());
                Answer { status, headers, body: body.into_bytes(), transport: Transport::Whole }
            }
        }
    }

    /// A state link that no longer works; a request without one is served.
    fn lose_token(&mut self, call: &Call, kind: RequestKind, now_ms: i64) -> Answer {
        if ews::is_call(call) {
            return ews::refused(&Refusal::new(410, "ErrorInvalidSyncStateData", ""), call);
        }
        let token = call.parameter("$deltatoken").or_else(|| call.parameter("$skiptoken"));
        let Some(token) = token else { return self.serve(call, kind, now_ms) };
        let path = format!("{}{}", call.origin, call.path());
        let (variants, scramble) = (self.quirks.token_loss_variants, self.scramble);
        match self.mailboxes.iter().find(|m| m.lines.knows(&token, scramble)) {
            Some(mailbox) => {
                let refusal = mailbox.lines.lost(&token, variants, &path, scramble);
                self.refusal(&refusal, call, now_ms)
            }
            None => self.serve(call, kind, now_ms),
        }
    }

    /// A page that never leads to a delta link.
    fn endless(&mut self, call: &Call, kind: RequestKind, now_ms: i64, is_same: bool) -> Answer {
        let mut answer = self.serve(call, kind, now_ms);
        let Ok(Value::Object(mut body)) = serde_json::from_slice(&answer.body) else { return answer };
        let delta = body.remove("@odata.deltaLink");
        let same = format!("{}{}", call.origin, call.target);
        let given = call.parameter("$skiptoken").or_else(|| call.parameter("$deltatoken"));
        let link = if is_same {
            same
        } else {
            let again = given.and_then(|token| self.again(&token));
            let path = format!("{}{}", call.origin, call.path());
            match again {
                Some(token) => format!("{path}?$skiptoken={token}"),
                // The first page leads to the second, or to itself.
                None => match (body.get("@odata.nextLink").and_then(Value::as_str), delta) {
                    (Some(next), _) => next.to_owned(),
                    (None, Some(Value::String(link))) => link.replace("$deltatoken", "$skiptoken"),
                    (None, _) => same,
                },
            }
        };
        body.insert("@odata.nextLink".into(), json!(link));
        answer.body = Value::Object(body).to_string().into_bytes();
        answer
    }

    /// Another token for the same place.
    fn again(&mut self, token: &str) -> Option<String> {
        let (scramble, most) = (self.scramble, self.quirks.token_lines_max);
        self.mailboxes.iter_mut().find_map(|m| m.lines.again(token, most, scramble))
    }

    /// Says of everything in the calendar that it is removed.
    fn storm(&mut self, call: &Call, kind: RequestKind, now_ms: i64) -> Answer {
        let mut answer = self.serve(call, kind, now_ms);
        let Ok(Value::Object(mut body)) = serde_json::from_slice(&answer.body) else { return answer };
        let segments = call.segments();
        let named = segments.iter().skip_while(|s| *s != "calendars").nth(1);
        let prefer = super::prefer::Preferences::of(call);
        let form = prefer.map_or(ident::Form::Plain, |p| p.form);
        let mut removed = Vec::new();
        for mailbox in &self.mailboxes {
            let calendar = match named {
                Some(id) => mailbox.find_calendar(id).ok(),
                None => Some(mailbox.default_calendar),
            };
            let Some(calendar) = calendar.and_then(|c| mailbox.calendars.get(&c)) else { continue };
            for (_, serial) in &calendar.items {
                let moves = mailbox.events.get(serial).map_or(0, |e| e.moves);
                let id = mailbox.ids.encode(Target::Event(*serial), form, moves);
                removed.push(json!({"@odata.type": "#microsoft.graph.event", "id": id, "@removed": {"reason": "deleted"}}));
            }
            break;
        }
        body.insert("value".into(), Value::Array(removed));
        answer.body = Value::Object(body).to_string().into_bytes();
        answer
    }

    /// What a face prints first.
    pub fn first_line(&self, origin: &str) -> Value {
        let users = self
            .mailboxes
            .iter()
            .map(|m| json!({"id": m.user.id, "name": m.user.name, "address": m.user.address}));
        json!({
            "graph_url": origin, "authority_url": origin, "control_url": format!("{origin}/_control"),
            "ews_url": format!("{origin}/EWS/Exchange.asmx"),
            "tenant": TENANT, "users": users.collect::<Vec<_>>(),
        })
    }
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    User(usize),
    Application,
}

fn me_of(caller: Caller) -> Result<usize, Refusal> {
    match caller {
        Caller::User(user) => Ok(user),
        Caller::Application => {
            let text = "/me request is only valid with delegated authentication flow.";
            Err(Refusal::new(400, "BadRequest", text))
        }
    }
}

fn header_case(name: &str) -> String {
    let upper = |part: &str| {
        let mut letters = part.chars();
        letters.next().map(|f| f.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    if name == "etag" { "ETag".into() } else { name.split('-').map(upper).collect::<Vec<_>>().join("-") }
}

/// The permissions of which a request needs one, where not every sign-in has them: what is below `/me`.
fn needed_scopes(method: &str, rest: &[String]) -> &'static [&'static str] {
    match (method, rest.first().map(String::as_str)) {
        ("GET", Some("mailboxSettings")) => &["MailboxSettings.Read", "MailboxSettings.ReadWrite"],
        (_, Some("mailboxSettings")) => &["MailboxSettings.ReadWrite"],
        ("GET", Some("presence")) => &["Presence.Read", "Presence.ReadWrite", "Presence.Read.All"],
        (_, Some("presence")) => &["Presence.ReadWrite"],
        _ => &[],
    }
}
