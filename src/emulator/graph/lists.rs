//! What is read: delta rounds, views, lists, single events.

use serde_json::{Value, json};

use super::super::delta::{self, Kind, Row};
use super::super::mailbox::{Event, RowKind};
use super::super::prefer::Preferences;
use super::super::render;
use super::super::wire::{Answer, Refusal, percent_decoded};
use super::{Graph, LIST_ROWS_MAX, Reply, Scope, applied};

impl Graph<'_> {
    pub(super) fn delta(&mut self, scope: Scope, kind: Kind) -> Reply {
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

    pub(super) fn begin(&mut self, calendar: u64, kind: Kind) -> Result<delta::State, Refusal> {
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

    pub(super) fn resume(&mut self, token: &str, calendar: u64, kind: Kind) -> Result<delta::State, Refusal> {
        let exact = [format!("$skiptoken={token}"), format!("$deltatoken={token}")];
        if self.quirks.strict_links && !exact.iter().any(|e| e == self.call.query()) {
            return Err(Refusal::new(400, "InvalidDeltaToken", "The link was changed."));
        }
        let restart = format!("{}{}", self.call.origin, self.call.path());
        match self.mailbox.lines.find(token, self.scramble) {
            Ok(state) if state.calendar == calendar && state.kind == kind => Ok(state),
            Ok(_) | Err(true) => {
                Err(self.mailbox.lines.lost(token, self.quirks.token_loss_variants, &restart, self.scramble))
            }
            Err(false) => Err(Refusal::new(400, "ErrorInvalidRequest", "Badly formed token.")),
        }
    }

    pub(super) fn delta_row(&self, row: Row, kind: Kind, prefer: &Preferences) -> Option<Value> {
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

    pub(super) fn view(&self, scope: Scope) -> Reply {
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
    pub(super) fn query_with(&self, name: &str, value: &str) -> String {
        let kept = self.call.query().split('&').filter(|p| {
            let key = percent_decoded(p.split('=').next().unwrap_or(""));
            !p.is_empty() && key != "$skip" && key != "$skiptoken"
        });
        let mut parts: Vec<String> = kept.map(str::to_owned).collect();
        parts.push(format!("{name}={value}"));
        parts.join("&")
    }

    pub(super) fn events(&self, scope: Scope) -> Reply {
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

    pub(super) fn instances(&self, scope: Scope, id: &str) -> Reply {
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

    pub(super) fn event(&self, scope: Scope, id: &str) -> Reply {
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
}

fn read_cursor(token: &str) -> Option<(bool, u64, usize)> {
    let mut parts = token.splitn(3, '.');
    Some((parts.next()? == "1", parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
