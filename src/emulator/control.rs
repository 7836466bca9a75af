//! The control face: what tests and demonstrations do to the service over HTTP. See `CONTROL.md`.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::authority::SignIn;
use super::edit::Edit;
use super::fault::Rule;
use super::quirks::Quirks;
use super::wire::{Answer, Call};
use super::world::World;
use super::zone;

/// Random edits of one call.
const RANDOM_MAX: u32 = 100_000;
const TRUTH_DAYS: i64 = 3_660;

type Outcome = Result<Value, String>;

/// One or several, as JSON allows.
#[derive(Deserialize)]
#[serde(untagged)]
enum Several<T> {
    Many(Vec<T>),
    One(T),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    down: bool,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Tokens {
    evict_links: bool,
    expire_access: bool,
    revoke_refresh: bool,
    sign_in: Option<SignIn>,
    grant: Option<String>,
    scopes: Option<String>,
    accept: Option<Accept>,
}

/// An access token of another sign-in server.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accept {
    access_token: String,
    user: String,
    expires_in: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forget {
    forget_transactions: bool,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct ClockChange {
    offset_ms: Option<i64>,
    advance_ms: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RandomEdits {
    random: u32,
    #[serde(default)]
    seed: u64,
}

impl World {
    /// Answers one request of the control face.
    pub fn control(&mut self, call: &Call, now_ms: i64) -> Answer {
        let segments = call.segments();
        let path: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
        let outcome = match (call.method.as_str(), path.as_slice()) {
            ("GET", []) => Ok(self.summary(call)),
            ("GET", ["faults"]) => Ok(self.fault_list()),
            ("POST", ["faults"]) => self.post_faults(call),
            ("DELETE", ["faults"]) => {
                self.clear_faults();
                Ok(json!({"faults": []}))
            }
            ("POST", ["edits"]) => self.post_edits(call, now_ms),
            ("POST", ["network"]) => body::<Network>(call).map(|network| {
                self.set_network_down(network.down);
                json!({"down": network.down})
            }),
            ("POST", ["tokens"]) => self.post_tokens(call, now_ms),
            ("POST", ["clock"]) => body::<ClockChange>(call).map(|change| {
                let base = change.offset_ms.unwrap_or(self.clock_offset_ms());
                self.set_clock_offset(base.saturating_add(change.advance_ms.unwrap_or(0)));
                self.settle(now_ms);
                json!({"offset_ms": self.clock_offset_ms(), "now": zone::whole_seconds(now_ms + self.clock_offset_ms())})
            }),
            ("GET", ["quirks"]) => Ok(json!(self.quirks())),
            ("POST", ["quirks"]) => self.post_quirks(call),
            ("GET", ["log"]) => Ok(self.log_lines(call)),
            ("DELETE", ["log"]) => {
                self.clear_log();
                Ok(json!({"items": []}))
            }
            ("GET", ["truth"]) => self.truth_lines(call, now_ms),
            ("GET", ["mails"]) => self.mail_lines(call),
            ("GET", ["writes"]) => self.write_lines(call),
            ("POST", ["writes"]) => body::<Forget>(call).map(|wanted| {
                if wanted.forget_transactions {
                    self.forget_transactions();
                }
                json!({"forget_transactions": wanted.forget_transactions})
            }),
            ("POST", ["mailbox_settings"]) => self.user(call).and_then(|user| {
                let members = body::<Value>(call)?;
                self.set_mailbox_settings(user, &members)?;
                Ok(members)
            }),
            ("GET", ["presence"]) => self.user(call).map(|user| self.presence_lines(user, now_ms)),
            ("DELETE", ["presence"]) => {
                self.clear_presence_acts();
                Ok(json!({"items": []}))
            }
            ("DELETE", ["writes"]) => {
                self.clear_writes();
                Ok(json!({"items": []}))
            }
            _ => return Answer::json(404, &json!({"error": "there is no such control; see CONTROL.md"})),
        };
        match outcome {
            Ok(body) => Answer::json(200, &body),
            Err(problem) => Answer::json(400, &json!({"error": problem})),
        }
    }

    fn user(&self, call: &Call) -> Result<usize, String> {
        let Some(name) = call.parameter("user") else { return Ok(0) };
        let users = self.users();
        let found = users.iter().position(|u| u.address.eq_ignore_ascii_case(&name) || u.id == name);
        found
            .or_else(|| name.parse().ok().filter(|n| *n < users.len()))
            .ok_or_else(|| "there is no such user".to_owned())
    }

    fn summary(&self, call: &Call) -> Value {
        let mut body = self.first_line(&call.origin);
        let calendars = (0..self.users().len()).map(|user| json!(self.calendars(user)));
        let calendars: Vec<Value> = calendars.collect();
        if let Some(members) = body.as_object_mut() {
            members.insert("calendars".into(), json!(calendars));
            members.insert("requests".into(), json!(self.requests()));
            members.insert("network_down".into(), json!(self.is_network_down()));
            members.insert("clock_offset_ms".into(), json!(self.clock_offset_ms()));
        }
        body
    }

    fn fault_list(&self) -> Value {
        let rules = self.faults().into_iter().map(|(rule, hits)| json!({"rule": rule, "hits": hits}));
        json!({"faults": rules.collect::<Vec<_>>()})
    }

    fn post_faults(&mut self, call: &Call) -> Outcome {
        for rule in several::<Rule>(call)? {
            self.add_fault(rule);
        }
        Ok(self.fault_list())
    }

    fn post_edits(&mut self, call: &Call, now_ms: i64) -> Outcome {
        let user = self.user(call)?;
        if let Ok(wanted) = body::<RandomEdits>(call) {
            let mut rng = fastrand::Rng::with_seed(wanted.seed);
            let count = wanted.random.min(RANDOM_MAX);
            let done: Vec<_> = (0..count).map(|_| self.random_edit(user, &mut rng, now_ms)).collect();
            return Ok(json!({"edits": done}));
        }
        let mut done = Vec::new();
        for edit in several::<Edit>(call)? {
            done.push(self.edit(user, edit, now_ms).map_err(|e| e.to_string())?);
        }
        Ok(json!({"edits": done}))
    }

    fn post_tokens(&mut self, call: &Call, now_ms: i64) -> Outcome {
        let wanted = body::<Tokens>(call)?;
        let mut out = json!({});
        let mut tell = |name: &str, value: Value| {
            if let Some(members) = out.as_object_mut() {
                members.insert(name.into(), value);
            }
        };
        if let Some(sign_in) = wanted.sign_in {
            self.set_sign_in(sign_in);
            tell("sign_in", json!(self.sign_in()));
        }
        if wanted.evict_links {
            tell("evicted", json!(self.evict_links()));
        }
        if wanted.expire_access {
            tell("expired", json!(self.expire_access_tokens()));
        }
        if wanted.revoke_refresh {
            tell("revoked", json!(self.revoke_refresh_tokens()));
        }
        if let Some(address) = wanted.grant {
            let user = self.users().iter().position(|u| u.address.eq_ignore_ascii_case(&address));
            let user = user.ok_or_else(|| "there is no such user".to_owned())?;
            let scopes = wanted.scopes.unwrap_or_else(|| "Calendars.ReadWrite".into());
            tell("access_token", json!(self.grant_access_to(user, &scopes, now_ms)));
        }
        if let Some(Accept { access_token, user, expires_in }) = wanted.accept {
            let user = self.users().iter().position(|u| u.address.eq_ignore_ascii_case(&user));
            let user = user.ok_or_else(|| "there is no such user".to_owned())?;
            self.accept_access(access_token, user, now_ms.saturating_add(i64::from(expires_in) * 1_000));
            tell("accepted", json!(true));
        }
        Ok(out)
    }

    fn post_quirks(&mut self, call: &Call) -> Outcome {
        let wanted = match body::<Value>(call)? {
            Value::String(name) if name == "tame" => Quirks::tame(),
            Value::String(name) if name == "default" => Quirks::default(),
            Value::Object(changes) => {
                let mut all = json!(self.quirks());
                if let Some(members) = all.as_object_mut() {
                    members.extend(changes);
                }
                serde_json::from_value(all).map_err(|e| e.to_string())?
            }
            _ => return Err("expected \"tame\", \"default\" or an object of quirks".into()),
        };
        self.set_quirks(wanted);
        Ok(json!(self.quirks()))
    }

    fn log_lines(&self, call: &Call) -> Value {
        let since = call.parameter("since").and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
        let items: Vec<_> = self.log().filter(|l| l.seq > since).collect();
        let mut kinds = serde_json::Map::new();
        for line in self.log() {
            let name = json!(line.kind);
            if let Some(name) = name.as_str() {
                kinds.insert(name.to_owned(), json!(self.count(line.kind)));
            }
        }
        json!({"requests": self.requests(), "by_kind": kinds, "items": items})
    }

    fn mail_lines(&self, call: &Call) -> Outcome {
        let (event, what) = (call.parameter("event"), call.parameter("what"));
        let mails = self.mails(self.user(call)?).iter();
        let items: Vec<_> = mails
            .filter(|mail| event.as_ref().is_none_or(|event| mail.event == *event))
            .filter(|mail| what.as_ref().is_none_or(|what| mail.what == what))
            .collect();
        Ok(json!({"count": items.len(), "items": items}))
    }

    fn write_lines(&self, call: &Call) -> Outcome {
        let (event, transaction) = (call.parameter("event"), call.parameter("transaction"));
        let items: Vec<_> = self
            .writes(self.user(call)?)
            .filter(|write| event.as_ref().is_none_or(|event| write.event == *event))
            .filter(|write| transaction.is_none() || write.transaction_id == transaction)
            .collect();
        Ok(json!({"count": items.len(), "items": items}))
    }

    fn truth_lines(&mut self, call: &Call, now_ms: i64) -> Outcome {
        let user = self.user(call)?;
        self.settle(now_ms);
        let calendars = self.calendars(user);
        let wanted = match call.parameter("calendar") {
            Some(wanted) => wanted,
            None => calendars.iter().find(|c| c.is_default).map(|c| c.id.clone()).unwrap_or_default(),
        };
        let named = calendars.iter().find(|c| c.name == wanted).map(|c| c.id.clone());
        let time = |name: &str, otherwise: i64| match call.parameter(name) {
            None => Ok(otherwise),
            Some(text) => zone::parse_instant(&text).ok_or_else(|| format!("`{name}` is not a time")),
        };
        let reach = TRUTH_DAYS * zone::DAY_MS;
        let (from_ms, to_ms) = (time("from", now_ms - reach)?, time("to", now_ms + reach)?);
        let items = self.truth(user, &named.unwrap_or(wanted), from_ms, to_ms);
        Ok(json!({"count": items.len(), "items": items}))
    }
}

fn body<T: DeserializeOwned>(call: &Call) -> Result<T, String> {
    serde_json::from_slice(&call.body).map_err(|e| e.to_string())
}

fn several<T: DeserializeOwned>(call: &Call) -> Result<Vec<T>, String> {
    // Tried by shape first, so that a problem is told about the thing itself.
    match body::<Value>(call)? {
        Value::Array(_) => body::<Several<T>>(call).map(|s| match s {
            Several::Many(all) => all,
            Several::One(one) => vec![one],
        }),
        _ => body::<T>(call).map(|one| vec![one]),
    }
}
