//! The Graph surface: routes, and what each does to a mailbox.

mod account;
mod lists;
mod presence;
mod writes;

use serde_json::{Map, Value, json};

use super::delta::Kind;
use super::mailbox::{Mailbox, RowKind};
use super::prefer::Preferences;
use super::quirks::Quirks;
use super::render;
use super::wire::{Answer, Call, Refusal};
use super::zone::{self, DAY_MS};

const VIEW_DAYS_MAX: i64 = 1_825;
const LIST_ROWS_MAX: usize = 1_000;

type Reply = Result<Answer, Refusal>;

/// Which calendars a path speaks of.
#[derive(Clone, Copy)]
enum Scope {
    /// The whole mailbox: lists mean the default calendar, single events any calendar of its own.
    Mailbox,
    Calendar(u64),
}

/// One request at work on one mailbox.
pub(crate) struct Graph<'a> {
    pub mailbox: &'a mut Mailbox,
    pub quirks: &'a Quirks,
    pub call: &'a Call,
    pub now_ms: i64,
    pub scramble: u64,
    pub version: &'a str,
}

impl Graph<'_> {
    /// Answers the part of the path after `/me` or `/users/{id}`.
    pub fn route(&mut self, rest: &[String]) -> Reply {
        let path: Vec<&str> = rest.iter().map(String::as_str).collect();
        let method = self.call.method.as_str();
        match (method, path.as_slice()) {
            ("GET", []) => self.user(),
            ("GET", ["mailboxSettings"]) => self.settings(),
            ("PATCH", ["mailboxSettings"]) => self.patch_settings(),
            ("GET", ["presence"]) => self.presence(),
            ("POST", ["presence", action]) => self.set_presence(action),
            ("GET", ["outlook", "masterCategories"]) => self.categories(),
            ("GET", ["calendarGroups"]) => self.groups(),
            ("GET", ["calendars"] | ["calendarGroups", _, "calendars"]) => self.calendars(),
            ("POST", ["calendars"] | ["calendarGroups", _, "calendars"]) => self.add_calendar(),
            (_, ["calendars", id, tail @ ..] | ["calendarGroups", _, "calendars", id, tail @ ..]) => {
                let calendar = self.mailbox.find_calendar(id)?;
                self.calendar(calendar, tail)
            }
            (_, ["calendar", tail @ ..]) => self.calendar(self.mailbox.default_calendar, tail),
            (_, ["calendarView" | "events", ..]) => self.tail(Scope::Mailbox, path.as_slice()),
            _ => Err(unknown_path()),
        }
    }

    fn calendar(&mut self, serial: u64, tail: &[&str]) -> Reply {
        match (self.call.method.as_str(), tail) {
            ("GET", []) => {
                let prefer = self.prefer()?;
                let calendar = self.mailbox.calendars.get(&serial).ok_or_else(Refusal::item_not_found)?;
                let body = render::calendar(self.mailbox, calendar, prefer.form);
                self.one(200, body, "users('me')/calendars/$entity", &prefer)
            }
            ("PATCH", []) => {
                let patch = self.object()?;
                let key = self.mailbox.fresh_key();
                let calendar = self.mailbox.calendars.get_mut(&serial).ok_or_else(Refusal::item_not_found)?;
                if let Some(name) = patch.get("name").and_then(Value::as_str) {
                    calendar.name = name.to_owned();
                }
                calendar.key = key;
                self.calendar_answer(200, serial)
            }
            ("DELETE", []) => {
                let calendar = self.mailbox.calendars.get(&serial).ok_or_else(Refusal::item_not_found)?;
                if !calendar.is_removable {
                    return Err(Refusal::new(
                        400,
                        "ErrorCannotDeleteObject",
                        "The default calendar cannot be deleted.",
                    ));
                }
                self.mailbox.remove_calendar(serial);
                Ok(Answer::empty(204))
            }
            _ => self.tail(Scope::Calendar(serial), tail),
        }
    }

    fn calendar_answer(&mut self, status: u16, serial: u64) -> Reply {
        let prefer = self.prefer()?;
        let calendar = self.mailbox.calendars.get(&serial).ok_or_else(Refusal::item_not_found)?;
        let body = render::calendar(self.mailbox, calendar, prefer.form);
        self.one(status, body, "users('me')/calendars/$entity", &prefer)
    }

    fn tail(&mut self, scope: Scope, tail: &[&str]) -> Reply {
        match (self.call.method.as_str(), tail) {
            ("GET", ["calendarView"]) => self.view(scope),
            ("GET", ["calendarView", name]) if is_delta(name) => self.delta(scope, Kind::View),
            ("GET", ["events"]) => self.events(scope),
            ("POST", ["events"]) => self.create(scope),
            ("GET", ["events", name]) if is_delta(name) => self.delta(scope, Kind::Events),
            ("GET", ["events", id]) => self.event(scope, id),
            ("PATCH", ["events", id]) => self.patch(scope, id),
            ("DELETE", ["events", id]) => self.delete(scope, id),
            ("GET", ["events", id, "instances"]) => self.instances(scope, id),
            ("POST", ["events", id, action]) => {
                let action = action.trim_start_matches("microsoft.graph.").trim_end_matches("()");
                self.action(scope, id, action)
            }
            _ => Err(unknown_path()),
        }
    }

    // ---- what is asked -------------------------------------------------------------------------------------

    fn prefer(&self) -> Result<Preferences, Refusal> {
        Preferences::of(self.call)
    }

    fn object(&self) -> Result<Map<String, Value>, Refusal> {
        if self.call.body.is_empty() {
            return Ok(Map::new());
        }
        match serde_json::from_slice(&self.call.body) {
            Ok(Value::Object(members)) => Ok(members),
            _ => Err(Refusal::new(400, "RequestBodyRead", "The request body is not a JSON object.")),
        }
    }

    fn scope_calendar(&self, scope: Scope) -> u64 {
        match scope {
            Scope::Mailbox => self.mailbox.default_calendar,
            Scope::Calendar(serial) => serial,
        }
    }

    /// The event and row an id of the path means, if the path reaches it.
    fn find(&self, scope: Scope, id: &str) -> Result<(u64, RowKind), Refusal> {
        let (serial, kind) = self.mailbox.find(id)?;
        let calendar = self.mailbox.events.get(&serial).map_or(0, |e| e.calendar);
        let is_reached = match scope {
            Scope::Calendar(wanted) => wanted == calendar,
            // Items of shared calendars are found below their calendar only.
            Scope::Mailbox => self.mailbox.calendars.get(&calendar).is_some_and(|c| !c.is_shared()),
        };
        if is_reached { Ok((serial, kind)) } else { Err(Refusal::item_not_found()) }
    }

    fn writable(&self, serial: u64) -> Result<(), Refusal> {
        let calendar = self.mailbox.events.get(&serial).map_or(0, |e| e.calendar);
        self.writable_calendar(calendar)
    }

    fn writable_calendar(&self, calendar: u64) -> Result<(), Refusal> {
        match self.mailbox.calendars.get(&calendar) {
            Some(calendar) if calendar.can_edit => Ok(()),
            Some(_) => Err(Refusal::denied()),
            None => Err(Refusal::item_not_found()),
        }
    }

    fn window(&self) -> Result<(i64, i64), Refusal> {
        let read = |name: &str| -> Result<i64, Refusal> {
            let text = self.call.parameter(name).ok_or_else(|| Refusal::parameter(name))?;
            zone::parse_instant(&text).ok_or_else(|| {
                Refusal::new(
                    400,
                    "ErrorInvalidParameter",
                    format!("The value '{text}' of parameter '{name}' is invalid."),
                )
            })
        };
        let (from_ms, to_ms) = (read("StartDateTime")?, read("EndDateTime")?);
        if to_ms < from_ms {
            return Err(Refusal::new(
                400,
                "ErrorInvalidParameter",
                "The end of the window lies before its start.",
            ));
        }
        if to_ms - from_ms > VIEW_DAYS_MAX * DAY_MS {
            return Err(Refusal::invalid(
                "The requested time duration specified for calendar view is too long. The maximum is 1825 days.",
            ));
        }
        Ok((from_ms, to_ms))
    }

    fn refuse_options(&self, names: &[&str]) -> Result<(), Refusal> {
        match names.iter().find(|n| self.call.parameter(n).is_some()) {
            Some(name) => Err(Refusal::invalid(format!("The query option {name} is not supported here."))),
            None => Ok(()),
        }
    }

    // ---- answers -------------------------------------------------------------------------------------------

    fn one(&self, status: u16, mut body: Value, context: &str, prefer: &Preferences) -> Reply {
        let etag = body.get("@odata.etag").and_then(Value::as_str).map(str::to_owned);
        body = render::select(body, self.call.parameter("$select").as_deref());
        if let Some(members) = body.as_object_mut() {
            members.insert("@odata.context".into(), json!(self.context(context)));
        }
        let mut answer = applied(Answer::odata(status, &body), prefer);
        if let Some(etag) = etag {
            answer = answer.with("etag", etag);
        }
        Ok(answer)
    }

    fn many(
        &self,
        rows: Vec<Value>,
        link: Option<(&str, String)>,
        context: &str,
        prefer: &Preferences,
    ) -> Answer {
        let mut body = json!({"@odata.context": self.context(context), "value": rows});
        if let (Some(members), Some((name, link))) = (body.as_object_mut(), link) {
            members.insert(name.into(), json!(link));
        }
        applied(Answer::odata(200, &body), prefer)
    }

    fn context(&self, of: &str) -> String {
        format!("{}/{}/$metadata#{of}", self.call.origin, self.version)
    }

    fn link(&self, query: &str) -> String {
        format!("{}{}?{query}", self.call.origin, self.call.path())
    }
}

fn unknown_path() -> Refusal {
    Refusal::new(
        400,
        "BadRequest",
        "Resource not found for the segment. The emulator serves calendars and events only.",
    )
}

fn is_delta(name: &str) -> bool {
    matches!(name.trim_start_matches("microsoft.graph.").trim_end_matches("()"), "delta")
}

fn applied(answer: Answer, prefer: &Preferences) -> Answer {
    if prefer.applied.is_empty() {
        answer
    } else {
        answer.with("preference-applied", prefer.applied.join(", "))
    }
}
