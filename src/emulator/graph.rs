//! The Graph surface: routes, and what each does to a mailbox.

use serde_json::{Map, Value, json};

use super::delta::{self, Kind, Row};
use super::fields::{Fields, Trust};
use super::ident::{Form, Target, mix};
use super::mailbox::{Deferred, Event, Mail, Mailbox, RowKind};
use super::prefer::Preferences;
use super::quirks::Quirks;
use super::recurrence;
use super::render;
use super::wire::{Answer, Call, Refusal, percent_encoded};
use super::zone::{self, DAY_MS};

const VIEW_DAYS_MAX: i64 = 1_825;
const LIST_ROWS_MAX: usize = 1_000;
const JOIN_URL: &str = "https://teams.example.invalid/l/meetup-join/19%3ameeting_";

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

    // ---- the mailbox ---------------------------------------------------------------------------------------

    fn user(&self) -> Reply {
        let user = &self.mailbox.user;
        let (given, family) = user.name.split_once(' ').unwrap_or((&user.name, ""));
        let body = json!({
            "businessPhones": [], "displayName": user.name, "givenName": given, "jobTitle": Value::Null,
            "mail": user.address, "mobilePhone": Value::Null, "officeLocation": Value::Null,
            "preferredLanguage": "en-US", "surname": family, "userPrincipalName": user.address, "id": user.id,
        });
        self.one(200, body, "users/$entity", &self.prefer()?)
    }

    fn settings(&self) -> Reply {
        let mut body = json!({
            "archiveFolder": Value::Null, "timeZone": self.mailbox.zone_name,
            "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly", "dateFormat": "dd.MM.yyyy", "timeFormat": "HH:mm",
            "userPurpose": "user", "language": {"locale": "en-US", "displayName": "English (United States)"},
            "automaticRepliesSetting": {"status": "disabled", "externalAudience": "all", "internalReplyMessage": "",
                "externalReplyMessage": "",
                "scheduledStartDateTime": {"dateTime": "2026-01-01T08:00:00.0000000", "timeZone": "UTC"},
                "scheduledEndDateTime": {"dateTime": "2026-01-02T08:00:00.0000000", "timeZone": "UTC"}},
            "workingHours": {"daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
                "startTime": "08:00:00.0000000", "endTime": "17:00:00.0000000", "timeZone": {"name": self.mailbox.zone_name}},
        });
        if let Some(members) = body.as_object_mut() {
            members.extend(self.mailbox.settings.clone());
        }
        self.one(200, body, "users('me')/mailboxSettings", &self.prefer()?)
    }

    fn patch_settings(&mut self) -> Reply {
        let patch = self.object()?;
        if let Some(name) = patch.get("timeZone").and_then(Value::as_str) {
            if zone::resolve(name).is_none() {
                return Err(Refusal::new(
                    400,
                    "TimeZoneNotSupportedException",
                    "A valid TimeZone value must be specified.",
                ));
            }
            self.mailbox.zone_name = name.to_owned();
        }
        self.mailbox.settings.extend(patch);
        self.settings()
    }

    fn categories(&self) -> Reply {
        let rows = [("Blue category", "preset7"), ("Green category", "preset4"), ("Red category", "preset0")];
        let rows = rows.iter().enumerate().map(|(n, (name, color))| {
            json!({"id": super::ident::guid(self.scramble, u64::try_from(n).unwrap_or(0)), "displayName": name, "color": color})
        });
        Ok(self.many(rows.collect(), None, "users('me')/outlook/masterCategories", &self.prefer()?))
    }

    fn groups(&self) -> Reply {
        let id = self.mailbox.ids.encode(Target::Calendar(1), Form::Plain, 0);
        let rows =
            vec![json!({"id": id, "name": "My Calendars", "classId": "0006f0b7-0000-0000-c000-000000000046",
            "changeKey": self.mailbox.ids.change_key(1 << 43)})];
        Ok(self.many(rows, None, "users('me')/calendarGroups", &self.prefer()?))
    }

    fn calendars(&self) -> Reply {
        let prefer = self.prefer()?;
        self.refuse_options(&["$filter", "$search"])?;
        let number = |name: &str| self.call.parameter(name).and_then(|n| n.parse::<usize>().ok());
        let top = number("$top").unwrap_or(prefer.page_rows).clamp(1, LIST_ROWS_MAX);
        let skip = number("$skip").unwrap_or(0);
        let select = self.call.parameter("$select");
        // The default calendar stands first, as in the service.
        let mut all: Vec<_> = self.mailbox.calendars.values().collect();
        all.sort_by_key(|c| (c.serial != self.mailbox.default_calendar, c.serial));
        let total = all.len();
        let rows = all.into_iter().skip(skip).take(top);
        let rows = rows
            .map(|c| render::select(render::calendar(self.mailbox, c, prefer.form), select.as_deref()))
            .collect();
        let next = (skip.saturating_add(top) < total).then(|| {
            let select = select.map(|s| format!("$select={}&", percent_encoded(&s))).unwrap_or_default();
            ("@odata.nextLink", self.link(&format!("{select}$top={top}&$skip={}", skip + top)))
        });
        Ok(self.many(rows, next, "users('me')/calendars", &prefer))
    }

    fn add_calendar(&mut self) -> Reply {
        let body = self.object()?;
        let name = body.get("name").and_then(Value::as_str).unwrap_or("").to_owned();
        if name.is_empty() {
            return Err(Refusal::invalid("A calendar needs a name."));
        }
        if self.mailbox.calendars.values().any(|c| c.name == name) {
            return Err(Refusal::new(
                409,
                "ErrorFolderExists",
                "A folder with the specified name already exists.",
            ));
        }
        let serial = self.mailbox.add_calendar(&name);
        self.calendar_answer(201, serial)
    }

    // ---- lists ---------------------------------------------------------------------------------------------

    fn delta(&mut self, scope: Scope, kind: Kind) -> Reply {
        let prefer = self.prefer()?;
        self.refuse_options(&["$filter", "$search", "$orderby"])?;
        if self.call.parameter("$expand").is_some() {
            return Err(Refusal::new(500, "ErrorInternalServerError", "Value cannot be null."));
        }
        if kind == Kind::Events && self.version == "v1.0" && !self.quirks.events_delta_v1 {
            return Err(Refusal::invalid(
                "Change tracking is not supported against 'microsoft.graph.event'.",
            ));
        }
        let calendar = self.scope_calendar(scope);
        let given = self.call.parameter("$skiptoken").or_else(|| self.call.parameter("$deltatoken"));
        let state = match &given {
            None => self.begin(calendar, kind)?,
            Some(token) => self.resume(token, calendar, kind)?,
        };
        let denies = self.mailbox.calendars.get(&calendar).is_some_and(|c| c.denies_page_two);
        if state.page > 0 && denies && self.quirks.deny_shared_page_two {
            return Err(Refusal::denied());
        }
        let page = delta::page(self.mailbox, &state, prefer.page_rows, self.quirks, self.scramble);
        let rows = page.rows.iter().filter_map(|row| self.delta_row(*row, kind, &prefer)).collect();
        let link = if page.is_last {
            ("@odata.deltaLink", self.link(&format!("$deltatoken={}", page.token)))
        } else {
            ("@odata.nextLink", self.link(&format!("$skiptoken={}", page.token)))
        };
        let answer = self.many(rows, Some(link), "Collection(event)", &prefer);
        Ok(answer.with("preference-applied", "odata.track-changes"))
    }

    fn begin(&mut self, calendar: u64, kind: Kind) -> Result<delta::State, Refusal> {
        let (from_ms, to_ms) = match kind {
            Kind::View => self.window()?,
            Kind::Events => match self.call.parameter("startDateTime") {
                None => (i64::MIN / 2, i64::MAX / 2),
                Some(text) if text.is_empty() => {
                    return Err(Refusal::new(
                        400,
                        "ErrorInvalidParameter",
                        "The value '' of parameter 'StartDateTime' is invalid.",
                    ));
                }
                Some(_) => (i64::MIN / 2, i64::MAX / 2),
            },
        };
        let base = self.mailbox.seq();
        Ok(self.mailbox.lines.begin(calendar, kind, from_ms, to_ms, base))
    }

    fn resume(&mut self, token: &str, calendar: u64, kind: Kind) -> Result<delta::State, Refusal> {
        let exact = [format!("$skiptoken={token}"), format!("$deltatoken={token}")];
        if self.quirks.strict_links && !exact.iter().any(|e| e == self.call.query()) {
            return Err(Refusal::new(400, "InvalidDeltaToken", "The link was changed."));
        }
        let restart = format!("{}{}", self.call.origin, self.call.path());
        match self.mailbox.lines.find(token, self.scramble) {
            Ok(state) if state.calendar == calendar && state.kind == kind => Ok(state),
            Ok(_) | Err(true) => {
                Err(self.mailbox.lines.lost(token, self.quirks.token_loss_variants, &restart))
            }
            Err(false) => Err(Refusal::new(400, "ErrorInvalidRequest", "Badly formed token.")),
        }
    }

    fn delta_row(&self, row: Row, kind: Kind, prefer: &Preferences) -> Option<Value> {
        let (serial, row_kind) = match row {
            Row::Removed(target, moves) => {
                let id = self.mailbox.ids.encode(target, prefer.form, moves);
                return Some(
                    json!({"@odata.type": "#microsoft.graph.event", "id": id, "@removed": {"reason": "deleted"}}),
                );
            }
            Row::Put(serial, row_kind) => (serial, row_kind),
        };
        let event = self.mailbox.events.get(&serial)?;
        if kind == Kind::Events {
            return Some(render::minimal(self.mailbox, event, row_kind, prefer));
        }
        if matches!(row_kind, RowKind::Occurrence(_)) && self.quirks.occurrence_stubs {
            return Some(render::stub(self.mailbox, event, row_kind, prefer));
        }
        let mut value = render::event(self.mailbox, event, row_kind, prefer);
        if let Some(members) = value.as_object_mut() {
            members.insert("@odata.type".into(), json!("#microsoft.graph.event"));
        }
        Some(value)
    }

    fn view(&self, scope: Scope) -> Reply {
        let prefer = self.prefer()?;
        self.refuse_options(&["$filter", "$search", "$expand"])?;
        let (from_ms, to_ms) = self.window()?;
        let calendar =
            self.mailbox.calendars.get(&self.scope_calendar(scope)).ok_or_else(Refusal::item_not_found)?;
        let number = |name: &str| self.call.parameter(name).and_then(|n| n.parse::<usize>().ok());
        let top = number("$top").unwrap_or(prefer.page_rows).clamp(1, LIST_ROWS_MAX);
        let cursor = self.call.parameter("$skiptoken").and_then(|t| read_cursor(&t));
        let mut skip = cursor.map_or(0, |c| c.2).saturating_add(number("$skip").unwrap_or(0));
        let start = cursor.map_or((false, 0), |c| (c.0, c.1));
        let ordered = self.call.parameter("$orderby").is_some();
        let mut rows: Vec<(i64, &Event, RowKind)> = Vec::new();
        let mut next = None;
        'items: for item in calendar.items.range(start..) {
            let Some(event) = self.mailbox.events.get(&item.1) else { continue };
            // A cursor skips within its own item only.
            if cursor.is_some() && *item != start {
                skip = 0;
            }
            let instances = event.instances(from_ms, to_ms);
            for (n, kind) in instances.iter().enumerate() {
                if skip > 0 && !ordered {
                    skip -= 1;
                    continue;
                }
                if rows.len() >= top && !ordered {
                    next = Some(format!("{}.{}.{n}", u8::from(item.0), item.1));
                    break 'items;
                }
                rows.push((event.times(*kind).0, event, *kind));
            }
        }
        let mut link = next.map(|token| ("$skiptoken", token));
        if ordered {
            rows.sort_by_key(|(start, event, kind)| (*start, event.serial, *kind));
            let total = rows.len();
            rows = rows.into_iter().skip(skip).take(top).collect();
            link = (skip + top < total).then(|| ("$skip", (skip + top).to_string()));
        }
        let select = self.call.parameter("$select");
        let values = rows.iter().map(|(_, event, kind)| {
            render::select(render::event(self.mailbox, event, *kind, &prefer), select.as_deref())
        });
        let link = link.map(|(name, value)| ("@odata.nextLink", self.link(&self.query_with(name, &value))));
        Ok(self.many(values.collect(), link, "users('me')/calendarView", &prefer))
    }

    /// The call's query with one paging parameter replaced.
    fn query_with(&self, name: &str, value: &str) -> String {
        let kept = self.call.query().split('&').filter(|p| {
            let key = super::wire::percent_decoded(p.split('=').next().unwrap_or(""));
            !p.is_empty() && key != "$skip" && key != "$skiptoken"
        });
        let mut parts: Vec<String> = kept.map(str::to_owned).collect();
        parts.push(format!("{name}={value}"));
        parts.join("&")
    }

    fn events(&self, scope: Scope) -> Reply {
        let prefer = self.prefer()?;
        self.refuse_options(&["$filter", "$search", "$expand"])?;
        let calendar =
            self.mailbox.calendars.get(&self.scope_calendar(scope)).ok_or_else(Refusal::item_not_found)?;
        let number = |name: &str| self.call.parameter(name).and_then(|n| n.parse::<usize>().ok());
        let top = number("$top").unwrap_or(prefer.page_rows).clamp(1, LIST_ROWS_MAX);
        let skip = number("$skip").unwrap_or(0);
        let select = self.call.parameter("$select");
        let rows =
            calendar.items.iter().skip(skip).take(top).filter_map(|item| self.mailbox.events.get(&item.1));
        let rows = rows.map(|event| {
            render::select(render::event(self.mailbox, event, event.own_row(), &prefer), select.as_deref())
        });
        let next = skip.saturating_add(top) < calendar.items.len();
        let link = next
            .then(|| ("@odata.nextLink", self.link(&self.query_with("$skip", &(skip + top).to_string()))));
        Ok(self.many(rows.collect(), link, "users('me')/events", &prefer))
    }

    fn instances(&self, scope: Scope, id: &str) -> Reply {
        let prefer = self.prefer()?;
        let (serial, kind) = self.find(scope, id)?;
        let (from_ms, to_ms) = self.window()?;
        let event = self.mailbox.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        if kind != RowKind::Master {
            return Err(Refusal::invalid("The specified event is not a series master."));
        }
        let number = |name: &str| self.call.parameter(name).and_then(|n| n.parse::<usize>().ok());
        let top = number("$top").unwrap_or(prefer.page_rows).clamp(1, LIST_ROWS_MAX);
        let skip = number("$skip").unwrap_or(0);
        let mut rows = event.instances(from_ms, to_ms);
        rows.sort_by_cached_key(|kind| event.times(*kind));
        let total = rows.len();
        let select = self.call.parameter("$select");
        let hides = self.quirks.hide_original_start && select.is_none();
        let rows = rows.into_iter().skip(skip).take(top).map(|kind| {
            let mut value = render::event(self.mailbox, event, kind, &prefer);
            if hides && let Some(members) = value.as_object_mut() {
                members.remove("originalStart");
            }
            render::select(value, select.as_deref())
        });
        let next = skip.saturating_add(top) < total;
        let link = next
            .then(|| ("@odata.nextLink", self.link(&self.query_with("$skip", &(skip + top).to_string()))));
        Ok(self.many(rows.collect(), link, "users('me')/events", &prefer))
    }

    fn event(&self, scope: Scope, id: &str) -> Reply {
        let prefer = self.prefer()?;
        let (serial, kind) = self.find(scope, id)?;
        let event = self.mailbox.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        let mut body = render::event(self.mailbox, event, kind, &prefer);
        let select = self.call.parameter("$select").unwrap_or_default();
        let expand = self.call.parameter("$expand").unwrap_or_default();
        let is_selected = |name: &str| select.split(',').any(|s| s.trim().eq_ignore_ascii_case(name));
        let mut shown = select.clone();
        if let (Some(series), RowKind::Master) = (&event.series, kind) {
            if is_selected("cancelledOccurrences")
                && let Some(members) = body.as_object_mut()
            {
                let ids = series.cancelled.iter();
                let ids: Vec<_> =
                    ids.map(|s| render::occurrence_id(self.mailbox, event, *s, prefer.form)).collect();
                members.insert("cancelledOccurrences".into(), json!(ids));
            }
            if expand.to_ascii_lowercase().contains("exceptionoccurrences")
                && let Some(members) = body.as_object_mut()
            {
                let inner =
                    expand.split_once("$select=").map(|(_, s)| s.trim_end_matches(')').replace(';', ","));
                let rows = series.exceptions.keys().map(|slot| {
                    let row = render::event(self.mailbox, event, RowKind::Exception(*slot), &prefer);
                    render::select(row, inner.as_deref())
                });
                members.insert("exceptionOccurrences".into(), json!(rows.collect::<Vec<_>>()));
                shown.push_str(",exceptionOccurrences");
            }
        }
        let etag = format!("W/\"{}\"", self.mailbox.ids.change_key(event.row_key(kind)));
        let mut body = render::select(body, (!select.is_empty()).then_some(shown.as_str()));
        if let Some(members) = body.as_object_mut() {
            members.insert("@odata.context".into(), json!(self.context("users('me')/events/$entity")));
        }
        Ok(applied(Answer::odata(200, &body), &prefer).with("etag", etag))
    }

    // ---- writes --------------------------------------------------------------------------------------------

    fn create(&mut self, scope: Scope) -> Reply {
        let prefer = self.prefer()?;
        let body = self.object()?;
        let calendar = self.scope_calendar(scope);
        self.writable_calendar(calendar)?;
        let transaction = body.get("transactionId").and_then(Value::as_str).map(str::to_owned);
        if let Some(serial) = transaction.as_ref().and_then(|t| self.mailbox.transactions.get(t)).copied()
            && let Some(event) = self.mailbox.events.get(&serial)
        {
            let body = render::event(self.mailbox, event, event.own_row(), &prefer);
            return self.one(201, body, "users('me')/events/$entity", &prefer);
        }
        let (mut fields, recurrence) = decode_event(&body, Trust::Client, self.quirks.whole_minute_series)?;
        fields.transaction_id = transaction.clone();
        let (attendees, is_online) = (fields.attendees.len(), fields.is_online);
        let serial = self.mailbox.add(calendar, fields, recurrence, self.now_ms);
        if let Some(transaction) = transaction {
            self.mailbox.transactions.insert(transaction, serial);
        }
        if attendees > 0 {
            self.mail(serial, "invite", attendees);
        }
        self.mailbox.settle_in(serial, is_online, self.quirks, self.now_ms);
        let event = self.mailbox.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        let body = render::event(self.mailbox, event, event.own_row(), &prefer);
        let location = format!(
            "{}/{}",
            self.link("").trim_end_matches('?'),
            percent_encoded(&self.mailbox.id(event, event.own_row(), prefer.form))
        );
        Ok(self.one(201, body, "users('me')/events/$entity", &prefer)?.with("location", location))
    }

    /// Refuses a stale `If-Match`.
    fn check_version(&self, serial: u64, kind: RowKind) -> Result<(), Refusal> {
        let Some(given) = self.call.header("if-match") else { return Ok(()) };
        let given = given.trim();
        if given == "*" {
            return Ok(());
        }
        if !given.ends_with('"') || !(given.starts_with('"') || given.starts_with("W/\"")) {
            return Err(Refusal::new(400, "malformedEntityTag", "The entity tag has to be a quoted string."));
        }
        let given = given.trim_start_matches("W/").trim_matches('"');
        let key = self.mailbox.events.get(&serial).map(|e| self.mailbox.ids.change_key(e.row_key(kind)));
        if key.as_deref() == Some(given) {
            return Ok(());
        }
        Err(Refusal::new(
            412,
            "ErrorIrresolvableConflict",
            "The send or update operation could not be performed because the change key passed in the request does not match the current change key for the item.",
        ))
    }

    fn patch(&mut self, scope: Scope, id: &str) -> Reply {
        let prefer = self.prefer()?;
        let (serial, kind) = self.find(scope, id)?;
        self.writable(serial)?;
        self.check_version(serial, kind)?;
        let patch = self.object()?;
        let event = self.mailbox.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        let told = event.fields.transaction_id.as_deref();
        if patch.get("transactionId").and_then(Value::as_str).is_some_and(|t| Some(t) != told) {
            return Err(Refusal::invalid("The property TransactionId is immutable and cannot be changed."));
        }
        let before = event.fields.attendees.clone();
        let is_mine = event.fields.organizer.is_none();
        self.mailbox.patch(serial, kind, patch.clone(), Trust::Client, self.quirks, self.now_ms)?;
        let event = self.mailbox.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        let kind = match kind {
            RowKind::Occurrence(slot) | RowKind::Exception(slot) => event.slot_row(slot).unwrap_or(kind),
            RowKind::Single | RowKind::Master => event.own_row(),
        };
        let after = event.row(kind).attendees;
        let needs_url = event.fields.is_online && event.fields.join_url.is_none();
        if is_mine && !(before.is_empty() && after.is_empty()) && is_told(&patch) {
            let only_attendees = patch.keys().all(|k| k == "attendees");
            let fresh = after.iter().filter(|a| !before.iter().any(|b| b.person == a.person)).count();
            let left = before.iter().filter(|b| !after.iter().any(|a| b.person == a.person)).count();
            self.mail(serial, "update", if only_attendees { fresh + left } else { after.len() + left });
        }
        if needs_url {
            let due = self.now_ms + self.quirks.queued_ms;
            self.mailbox.later(due, Deferred::JoinUrl(serial));
        }
        if prefer.is_minimal {
            return Ok(Answer::empty(204));
        }
        // Whatever zone was preferred, a PATCH answers in UTC.
        let prefer = Preferences { zone: jiff::tz::TimeZone::UTC, zone_label: "UTC".into(), ..prefer };
        let event = self.mailbox.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        let body = render::event(self.mailbox, event, kind, &prefer);
        self.one(200, body, "users('me')/events/$entity", &prefer)
    }

    fn delete(&mut self, scope: Scope, id: &str) -> Reply {
        let (serial, kind) = self.find(scope, id)?;
        self.writable(serial)?;
        self.check_version(serial, kind)?;
        self.take_away(serial, kind, true);
        Ok(Answer::empty(204))
    }

    fn take_away(&mut self, serial: u64, kind: RowKind, tells: bool) {
        let told = self
            .mailbox
            .events
            .get(&serial)
            .map_or(0, |e| if e.fields.organizer.is_none() { e.fields.attendees.len() } else { 0 });
        if tells && told > 0 {
            self.mail(serial, "cancel", told);
        }
        self.mailbox.take(serial, kind, self.quirks.series_tombstones, self.now_ms);
    }

    fn mail(&mut self, serial: u64, what: &'static str, recipients: usize) {
        let Some(event) = self.mailbox.events.get(&serial) else { return };
        let event = self.mailbox.id(event, event.own_row(), Form::Immutable);
        self.mailbox.mails.push(Mail { event, what, recipients });
    }

    fn action(&mut self, scope: Scope, id: &str, action: &str) -> Reply {
        let (serial, kind) = self.find(scope, id)?;
        let body = self.object()?;
        let fields =
            self.mailbox.events.get(&serial).map(|e| e.row(kind)).ok_or_else(Refusal::item_not_found)?;
        let slot = match kind {
            RowKind::Occurrence(slot) | RowKind::Exception(slot) => Some(slot),
            RowKind::Single | RowKind::Master => None,
        };
        let due = self.now_ms + self.quirks.queued_ms;
        match action {
            "accept" | "tentativelyAccept" | "decline" => {
                if fields.organizer.is_none() {
                    return Err(Refusal::invalid(
                        "You can't respond to this meeting because you're the meeting organizer.",
                    ));
                }
                let member =
                    |name: &str| body.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v);
                let sends = member("sendResponse").and_then(Value::as_bool).unwrap_or(true);
                if member("proposedNewTime").is_some_and(|v| !v.is_null())
                    && (!sends || !fields.allow_new_time || action == "accept")
                {
                    return Err(Refusal::invalid("A new time cannot be proposed for this event."));
                }
                if sends {
                    self.mail(serial, "respond", 1);
                }
                let what = match action {
                    "accept" => Deferred::Respond { serial, slot, response: "accepted" },
                    "tentativelyAccept" => {
                        Deferred::Respond { serial, slot, response: "tentativelyAccepted" }
                    }
                    _ => Deferred::Remove { serial, slot },
                };
                self.mailbox.later(due, what);
                self.mailbox.settle(self.now_ms, self.quirks);
                Ok(Answer::empty(202))
            }
            "cancel" => {
                if fields.organizer.is_some() {
                    return Err(Refusal::invalid(
                        "Your request can't be completed. You need to be an organizer to cancel a meeting.",
                    ));
                }
                if !fields.attendees.is_empty() {
                    self.mail(serial, "cancel", fields.attendees.len());
                }
                self.mailbox.later(due, Deferred::Remove { serial, slot });
                self.mailbox.settle(self.now_ms, self.quirks);
                Ok(Answer::empty(202))
            }
            "forward" => {
                let to = body
                    .iter()
                    .find(|(n, _)| n.eq_ignore_ascii_case("toRecipients"))
                    .and_then(|(_, v)| v.as_array());
                let count = to.map_or(0, Vec::len);
                if count == 0 {
                    return Err(Refusal::new(
                        400,
                        "ErrorInvalidRecipients",
                        "At least one recipient is needed.",
                    ));
                }
                self.mail(serial, "forward", count);
                Ok(Answer::empty(202))
            }
            "snoozeReminder" => {
                if !body.iter().any(|(n, _)| n.eq_ignore_ascii_case("newReminderTime")) {
                    return Err(Refusal::invalid("newReminderTime is needed."));
                }
                self.mailbox.touch(serial, self.now_ms);
                Ok(Answer::empty(200))
            }
            "dismissReminder" => {
                let mut patch = Map::new();
                patch.insert("isReminderOn".into(), json!(false));
                self.mailbox.patch(serial, kind, patch, Trust::Server, self.quirks, self.now_ms)?;
                Ok(Answer::empty(200))
            }
            "permanentDelete" => {
                self.writable(serial)?;
                self.take_away(serial, kind, true);
                Ok(Answer::empty(204))
            }
            _ => Err(unknown_path()),
        }
    }
}

/// Whether a change of these members is mailed to attendees; reminders, categories and the like are personal.
fn is_told(patch: &Map<String, Value>) -> bool {
    let personal = ["isReminderOn", "reminderMinutesBeforeStart", "categories", "showAs", "sensitivity"];
    patch.keys().any(|k| !personal.contains(&k.as_str()) && !k.starts_with('@'))
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

fn read_cursor(token: &str) -> Option<(bool, u64, usize)> {
    let mut parts = token.splitn(3, '.');
    Some((parts.next()? == "1", parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn applied(answer: Answer, prefer: &Preferences) -> Answer {
    if prefer.applied.is_empty() {
        answer
    } else {
        answer.with("preference-applied", prefer.applied.join(", "))
    }
}

/// Reads the body of a create.
pub(crate) fn decode_event(
    body: &Map<String, Value>,
    trust: Trust,
    whole_minutes: bool,
) -> Result<(Fields, Option<recurrence::Recurrence>), Refusal> {
    if !body.contains_key("start") || !body.contains_key("end") {
        return Err(Refusal::invalid("An event needs a start and an end."));
    }
    let mut fields = Fields::new(0, 0);
    fields.apply(body, trust)?;
    let recurrence = match body.get("recurrence").filter(|r| !r.is_null()) {
        None => None,
        Some(value) => Some(series_of(&mut fields, value, whole_minutes)?),
    };
    Ok((fields, recurrence))
}

/// Reads a recurrence and moves the event to its first slot, as Exchange does.
pub(crate) fn series_of(
    fields: &mut Fields,
    value: &Value,
    whole_minutes: bool,
) -> Result<recurrence::Recurrence, Refusal> {
    if whole_minutes {
        let rest = fields.start_ms.rem_euclid(60_000);
        fields.start_ms -= rest;
        fields.end_ms -= rest;
    }
    let recurrence = recurrence::decode(value, fields.start_day(), &fields.zone_label)?;
    let first = recurrence.first().ok_or_else(|| Refusal::invalid("The recurrence has no occurrence."))?;
    let shift = first - fields.start_day();
    if shift != 0 {
        let zone = fields.wall_zone();
        let moved = |ms: i64| {
            let wall = zone::wall(ms, &zone);
            zone::instant(zone::date_of(zone::day_of(wall.date()) + shift).to_datetime(wall.time()), &zone)
        };
        (fields.start_ms, fields.end_ms) = (moved(fields.start_ms), moved(fields.end_ms));
    }
    Ok(recurrence.starting(first))
}

/// A join address from a serial.
pub(crate) fn join_url(serial: u64, scramble: u64) -> String {
    format!("{JOIN_URL}{:016x}%40thread.v2/0", mix(scramble, serial))
}

impl Mailbox {
    /// What a fresh event does by itself: its key rotates, its join address appears.
    pub(crate) fn settle_in(&mut self, serial: u64, is_online: bool, quirks: &Quirks, now_ms: i64) {
        if quirks.key_rotation_ms > 0 {
            let span = u64::try_from(quirks.key_rotation_ms).unwrap_or(1);
            let delay = i64::try_from(mix(serial, 23) % span).unwrap_or(0) / 2 + quirks.key_rotation_ms / 2;
            self.later(now_ms + delay, Deferred::RotateKey(serial));
        }
        if is_online {
            self.later(now_ms + quirks.queued_ms, Deferred::JoinUrl(serial));
            self.settle(now_ms, quirks);
        }
    }

    /// Does what is due.
    pub(crate) fn settle(&mut self, now_ms: i64, quirks: &Quirks) {
        while let Some(entry) = self.deferred.first_entry() {
            if entry.key().0 > now_ms {
                break;
            }
            let at_ms = entry.key().0;
            match entry.remove() {
                Deferred::RotateKey(serial) => self.touch(serial, at_ms),
                Deferred::JoinUrl(serial) => {
                    self.change(serial, at_ms, |event, seq, key| {
                        event.fields.join_url = Some(join_url(serial, key));
                        event.row_seq = seq;
                        event.key = key;
                    });
                }
                Deferred::Respond { serial, slot, response } => {
                    self.respond(serial, slot, response, quirks, at_ms)
                }
                Deferred::Remove { serial, slot } => {
                    let kind = self.events.get(&serial).map(|e| match slot {
                        Some(slot) => e.slot_row(slot),
                        None => Some(e.own_row()),
                    });
                    if let Some(Some(kind)) = kind {
                        self.take(serial, kind, quirks.series_tombstones, at_ms);
                    }
                }
            }
        }
    }

    /// The owner's answer to an invitation.
    pub(crate) fn respond(
        &mut self,
        serial: u64,
        slot: Option<i32>,
        response: &'static str,
        quirks: &Quirks,
        now_ms: i64,
    ) {
        let Some(event) = self.events.get(&serial) else { return };
        let kind = match slot {
            Some(slot) => event.slot_row(slot),
            None => Some(event.own_row()),
        };
        let show_as = match response {
            "accepted" => "busy",
            "declined" => "free",
            _ => "tentative",
        };
        let mut patch = Map::new();
        patch.insert("responseStatus".into(), json!({"response": response}));
        patch.insert("showAs".into(), json!(show_as));
        if let Some(kind) = kind {
            // The two members are ours and fit.
            let _ = self.patch(serial, kind, patch, Trust::Server, quirks, now_ms);
        }
    }

    /// Deletes a row: an event, a whole series, or one slot.
    pub(crate) fn take(&mut self, serial: u64, kind: RowKind, with_slots: bool, now_ms: i64) {
        match kind {
            RowKind::Single | RowKind::Master => {
                self.remove(serial, with_slots);
            }
            RowKind::Occurrence(slot) | RowKind::Exception(slot) => {
                self.cancel_slot(serial, slot, now_ms);
            }
        }
    }

    /// Changes a row by a Graph body.
    pub(crate) fn patch(
        &mut self,
        serial: u64,
        kind: RowKind,
        patch: Map<String, Value>,
        trust: Trust,
        quirks: &Quirks,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let event = self.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        match kind {
            RowKind::Single | RowKind::Master => self.patch_whole(serial, patch, trust, quirks, now_ms),
            RowKind::Occurrence(slot) | RowKind::Exception(slot) => {
                if patch.get("recurrence").is_some_and(|r| !r.is_null()) {
                    return Err(Refusal::invalid("An occurrence has no recurrence."));
                }
                let mut fields = event.row(kind);
                fields.apply(&patch, trust)?;
                if let Some(series) = &event.series
                    && (patch.contains_key("start") || patch.contains_key("end"))
                {
                    let (before, after) = series.recurrence.neighbours(slot);
                    let day = fields.start_day();
                    if before.is_some_and(|b| day <= b) || after.is_some_and(|a| day >= a) {
                        return Err(Refusal::new(
                            400,
                            "ErrorOccurrenceCrossingBoundary",
                            "Modified occurrence is crossing or overlapping adjacent occurrence.",
                        ));
                    }
                }
                self.except(serial, slot, patch, now_ms);
                Ok(())
            }
        }
    }

    fn patch_whole(
        &mut self,
        serial: u64,
        patch: Map<String, Value>,
        trust: Trust,
        quirks: &Quirks,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let event = self.events.get(&serial).ok_or_else(Refusal::item_not_found)?;
        let mut fields = event.fields.clone();
        fields.apply(&patch, trust)?;
        let moved = (fields.start_ms, fields.end_ms, fields.is_all_day)
            != (event.fields.start_ms, event.fields.end_ms, event.fields.is_all_day)
            || fields.zone != event.fields.zone;
        let recurrence = match patch.get("recurrence") {
            None => match &event.series {
                // The pattern stays and begins anew where the series now begins.
                Some(series) if moved => {
                    let mut value = recurrence::encode(&series.recurrence);
                    if let Some(range) = value.get_mut("range").and_then(Value::as_object_mut) {
                        range.remove("startDate");
                    }
                    Some(Some(series_of(&mut fields, &value, quirks.whole_minute_series)?))
                }
                _ => None,
            },
            Some(Value::Null) => Some(None),
            Some(value) => Some(Some(series_of(&mut fields, value, quirks.whole_minute_series)?)),
        };
        self.change(serial, now_ms, |event, seq, key| {
            event.fields = fields;
            event.row_seq = seq;
            event.key = key;
            if let Some(recurrence) = recurrence {
                event.set_recurrence(recurrence, seq);
            }
        });
        Ok(())
    }

    /// Removes a calendar with all its events.
    pub(crate) fn remove_calendar(&mut self, serial: u64) -> bool {
        if serial == self.default_calendar {
            return false;
        }
        let Some(calendar) = self.calendars.remove(&serial) else { return false };
        for (_, event) in calendar.items {
            self.remove(event, false);
        }
        true
    }
}

impl Event {
    /// Gives the event another recurrence, or none: exceptions and cancelled slots of the old one are gone.
    pub(crate) fn set_recurrence(&mut self, recurrence: Option<recurrence::Recurrence>, seq: u64) {
        self.series = recurrence.map(|recurrence| super::mailbox::Series {
            recurrence,
            exceptions: std::collections::BTreeMap::new(),
            cancelled: std::collections::BTreeSet::new(),
            slots_seq: seq,
            slot_seq: std::collections::BTreeMap::new(),
        });
    }
}
