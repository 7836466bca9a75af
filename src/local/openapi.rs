//! `GET /openapi.json`: what can be asked here, as an OpenAPI 3.1 document. The schemas of answers follow from their
//! types; addresses, parameters and bodies stand in one table, which a test compares with the router.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::api::{
    AgendaAnswer, ChangeLine, ConflictItem, EditAnswer, Event, ListAnswer, OutboxAct, OutboxItem,
    PresenceAnswer, ReminderItem, Slot, StatusAnswer, TimelineAnswer, WhyAnswer,
};
use crate::engine::SyncAnswer;
use crate::model::{Answer, Importance, Keep, Sensitivity, ShowAs};

/// Kinds of problems, of the contract and of the door.
const KINDS: [&str; 12] = [
    "failed",
    "usage",
    "sign_in_needed",
    "unreachable",
    "refused",
    "not_found",
    "mirror_unusable",
    "busy",
    "no_token",
    "foreign_host",
    "foreign_origin",
    "too_slow",
];

/// What any request may be answered instead.
const PROBLEMS: [(&str, &str); 13] = [
    ("400", "A parameter, the body or its form is wrong: kind `usage`"),
    ("401", "No token, or a wrong one: `no_token`"),
    ("403", "Asked by a page of another origin: `foreign_origin`"),
    ("404", "There is nothing with this id or at this address: `not_found`"),
    ("405", "The address knows another method: `usage`"),
    ("408", "The body took too long to arrive: `too_slow`"),
    ("409", "Somebody must sign in first: `sign_in_needed`"),
    ("413", "The body is too long: `refused`"),
    ("415", "The body is not JSON: `usage`"),
    ("421", "Asked under a name that is not ours: `foreign_host`"),
    ("422", "The rule named in `rule` refuses it: `refused`"),
    ("500", "`failed` or `mirror_unusable`"),
    ("503", "Too much to do, or the server cannot be reached: `busy`, `unreachable`"),
];

const TEXT: &str = "string";
const NUMBER: &str = "integer";
const FLAG: &str = "boolean";

/// Name, type and meaning of a query parameter.
type Parameter = (&'static str, &'static str, &'static str);

const TZ: Parameter = ("tz", TEXT, "Reads times in this zone and answers in it; else the account's");
const FROM: Parameter = ("from", TEXT, "First instant: RFC 3339, or a date or wall time in `tz`");
const TO: Parameter = ("to", TEXT, "First instant after");
const CALENDAR: Parameter = ("calendar", TEXT, "Only this calendar, by id or name; may come again");
const AT: Parameter = ("at", TEXT, "At this instant instead of now");

/// How a request is answered when all is well.
enum Reply {
    /// JSON of this schema.
    Json(Schema),
    /// 202 without a body.
    Accepted,
    /// A stream of events.
    Events,
    /// Something that is described in words.
    Other(&'static str, &'static str),
}

struct Operation {
    verb: &'static str,
    path: &'static str,
    summary: &'static str,
    parameters: Vec<Parameter>,
    body: Option<Value>,
    reply: Reply,
}

/// The document.
pub(super) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .for_serialize();
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations(&mut generator) {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.verb.to_owned(), describe(operation));
        }
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem());
    let responses: Map<String, Value> = PROBLEMS
        .iter()
        .map(|(status, description)| {
            let content = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
            (format!("Problem{status}"), json!({ "description": description, "content": content }))
        })
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "calmirror",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The local API of a running engine. `<data-dir>/engine.json` says where it listens and with \
                which token. Objects may carry more members than are listed.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "security": [{ "token": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "calmirror-PORT",
                    "description": "The session of a browser that a link of `serve` signed in; PORT is the door's",
                },
            },
        },
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457, with a stable `kind`",
        "required": ["type", "title", "status", "kind", "detail"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "kind": { "type": "string", "enum": KINDS },
            "detail": { "type": "string" },
            "rule": { "type": "string", "description": "The rule that refused input broke" },
        },
    })
}

fn describe(operation: Operation) -> Value {
    let Operation { verb, path, summary, parameters, body, reply } = operation;
    let mut listed: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let schema = match name {
                "n" => json!({ "type": "integer", "format": "int64" }),
                _ => json!({ "type": "string", "minLength": 1 }),
            };
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect();
    if path != "/openapi.json" && path != "/" {
        listed.push(parameter("account", TEXT, "Which account; may be left out when there is one"));
    }
    listed.extend(parameters.into_iter().map(|(name, kind, meaning)| parameter(name, kind, meaning)));
    let mut responses: Map<String, Value> = PROBLEMS
        .iter()
        .map(|(status, _)| {
            ((*status).to_owned(), json!({ "$ref": format!("#/components/responses/Problem{status}") }))
        })
        .collect();
    let (status, answer) = match reply {
        Reply::Json(schema) => {
            ("200", json!({ "description": "Done", "content": { "application/json": { "schema": schema } } }))
        }
        Reply::Accepted => ("202", json!({ "description": "The engine was told" })),
        Reply::Events => {
            listed.push(json!({
                "name": "Last-Event-ID", "in": "header", "schema": { "type": "integer", "minimum": 0 },
                "description": "Go on after this line of the change feed",
            }));
            let content = json!({ "text/event-stream": { "schema": { "type": "string" } } });
            ("200", json!({ "description": EVENTS, "content": content }))
        }
        Reply::Other(kind, description) => {
            ("200", json!({ "description": description, "content": { kind: {} } }))
        }
    };
    responses.insert(status.to_owned(), answer);
    let mut described = json!({
        "summary": summary,
        "operationId": format!("{verb}{}", path.replace(['/', '{', '}', '.'], "_")),
        "parameters": listed,
        "responses": responses,
    });
    if let (Some(members), Some(schema)) = (described.as_object_mut(), body) {
        let content = json!({ "application/json": { "schema": schema } });
        members.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    described
}

const EVENTS: &str = "Events `change`, `presence`, `reminder`, `sync` and `gap`, each with JSON; a `change` has its place in \
    the feed as id";

fn parameter(name: &str, kind: &str, meaning: &str) -> Value {
    json!({ "name": name, "in": "query", "description": meaning, "schema": { "type": kind } })
}

/// A body: its members, and which of them must be there.
fn body(members: Value, required: &[&str]) -> Option<Value> {
    Some(json!({
        "type": "object", "properties": members, "required": required, "additionalProperties": false,
    }))
}

/// The members of an event that somebody writes.
fn fields(more: &[(&str, Value)]) -> Value {
    let text = || json!({ "type": ["string", "null"] });
    let person = json!({
        "type": "object",
        "properties": { "name": text(), "address": text(), "type": { "type": "string", "enum": ["required", "optional", "resource"] } },
    });
    let mut members = json!({
        "calendar": text(), "tz": text(), "subject": text(), "body": text(), "location": text(),
        "start": text(), "end": text(), "start_date": text(), "end_date": text(),
        "all_day": { "type": ["boolean", "null"] },
        "show_as": { "enum": ShowAs::CODES }, "sensitivity": { "enum": Sensitivity::CODES },
        "importance": { "enum": Importance::CODES },
        "categories": { "type": ["array", "null"], "items": { "type": "string" } },
        "attendees": { "type": ["array", "null"], "items": { "anyOf": [{ "type": "string" }, person] } },
        "reminder_minutes": { "type": ["integer", "null"] },
    });
    if let Some(members) = members.as_object_mut() {
        members.extend(more.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())));
    }
    members
}

fn json_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Reply {
    Reply::Json(generator.subschema_for::<T>())
}

/// The whole table.
fn operations(g: &mut SchemaGenerator) -> Vec<Operation> {
    let text = || json!({ "type": ["string", "null"] });
    let flag = || json!({ "type": ["boolean", "null"] });
    let series = || ("series", flag());
    let op = |verb, path, summary, parameters: &[Parameter], body, reply| Operation {
        verb,
        path,
        summary,
        parameters: parameters.to_vec(),
        body,
        reply,
    };
    let range = [FROM, TO, TZ, CALENDAR];
    vec![
        op("get", "/", "The page", &[], None, Reply::Other("text/html", "For people; needs no token")),
        op(
            "get",
            "/openapi.json",
            "This document",
            &[],
            None,
            Reply::Other("application/json", "OpenAPI 3.1"),
        ),
        op(
            "post",
            "/v1/page/link",
            "A link that signs one browser in, once",
            &[],
            None,
            Reply::Other("application/json", "`link`"),
        ),
        op("get", "/v1/status", "Health of every account", &[], None, json_of::<StatusAnswer>(g)),
        op(
            "get",
            "/v1/agenda",
            "The events of a range, today's by default",
            &[
                FROM,
                TO,
                TZ,
                CALENDAR,
                ("day", TEXT, "A day instead: a date, `today`, `tomorrow` or `yesterday`"),
                ("days", NUMBER, "How many days from there"),
                ("next", NUMBER, "Only the next so many events"),
            ],
            None,
            json_of::<AgendaAnswer>(g),
        ),
        op(
            "get",
            "/v1/search",
            "Full-text search",
            &[
                ("text", TEXT, "The words; must be there"),
                FROM,
                TO,
                TZ,
                CALENDAR,
                ("limit", NUMBER, "The most events"),
            ],
            None,
            json_of::<ListAnswer<Event>>(g),
        ),
        op(
            "get",
            "/v1/free",
            "Free slots",
            &[
                FROM,
                TO,
                TZ,
                CALENDAR,
                ("min", TEXT, "Only slots at least this long, as `30m`"),
                ("hours", TEXT, "`inside` working hours, or `any`"),
            ],
            None,
            json_of::<ListAnswer<Slot>>(g),
        ),
        op("get", "/v1/busy", "Merged busy blocks", &range, None, json_of::<ListAnswer<Slot>>(g)),
        op(
            "get",
            "/v1/changes",
            "The change feed",
            &[("since", NUMBER, "After this place"), ("limit", NUMBER, "The most lines")],
            None,
            json_of::<Vec<ChangeLine>>(g),
        ),
        op(
            "get",
            "/v1/stream",
            "What happens, as server-sent events",
            &[("since", NUMBER, "Go on after this line of the change feed")],
            None,
            Reply::Events,
        ),
        op("post", "/v1/events", "Adds an event", &[], body(fields(&[]), &[]), json_of::<EditAnswer>(g)),
        op("get", "/v1/events/{id}", "One event, with its body", &[TZ], None, json_of::<Event>(g)),
        op(
            "patch",
            "/v1/events/{id}",
            "Changes an event",
            &[],
            body(fields(&[series()]), &[]),
            json_of::<EditAnswer>(g),
        ),
        op(
            "delete",
            "/v1/events/{id}",
            "Deletes an event, or calls a meeting off",
            &[("series", FLAG, "The whole series"), ("comment", TEXT, "What the invited read")],
            None,
            json_of::<EditAnswer>(g),
        ),
        op(
            "post",
            "/v1/events/{id}/respond",
            "Answers an invitation",
            &[],
            body(
                json!({ "response": { "enum": Answer::CODES }, "comment": text(), "silent": flag(), "series": flag() }),
                &["response"],
            ),
            json_of::<EditAnswer>(g),
        ),
        op(
            "post",
            "/v1/events/{id}/forward",
            "Sends an invitation on",
            &[],
            body(json!({ "to": { "type": "array" }, "comment": text(), "series": flag() }), &["to"]),
            json_of::<EditAnswer>(g),
        ),
        op("get", "/v1/outbox", "The edits that wait", &[], None, json_of::<Vec<OutboxItem>>(g)),
        op(
            "post",
            "/v1/outbox",
            "Another program has recorded edits: they are sent",
            &[],
            None,
            Reply::Accepted,
        ),
        op("get", "/v1/outbox/{n}", "One edit", &[], None, json_of::<OutboxItem>(g)),
        op(
            "post",
            "/v1/outbox/{n}",
            "Sends an edit again, or drops it",
            &[],
            body(json!({ "action": { "enum": OutboxAct::CODES } }), &["action"]),
            json_of::<OutboxItem>(g),
        ),
        op("get", "/v1/conflicts", "The conflicts", &[], None, json_of::<Vec<ConflictItem>>(g)),
        op("get", "/v1/conflicts/{n}", "One conflict", &[], None, json_of::<ConflictItem>(g)),
        op(
            "post",
            "/v1/conflicts/{n}",
            "Decides a conflict",
            &[],
            body(json!({ "keep": { "enum": Keep::CODES } }), &["keep"]),
            json_of::<ConflictItem>(g),
        ),
        op(
            "get",
            "/v1/reminders",
            "The reminders",
            &[
                ("due", FLAG, "Only those that are due"),
                ("within", TEXT, "Those that come within this time, as `2h`"),
                TZ,
            ],
            None,
            json_of::<ListAnswer<ReminderItem>>(g),
        ),
        op(
            "post",
            "/v1/reminders/{id}/snooze",
            "Puts a reminder off",
            &[],
            body(json!({ "for": { "type": "string" } }), &["for"]),
            json_of::<ReminderItem>(g),
        ),
        op(
            "post",
            "/v1/reminders/{id}/dismiss",
            "Ends a reminder",
            &[],
            body(json!({}), &[]),
            json_of::<ReminderItem>(g),
        ),
        op(
            "get",
            "/v1/presence",
            "What is shown and forwarded now",
            &[AT, TZ],
            None,
            json_of::<PresenceAnswer>(g),
        ),
        op(
            "post",
            "/v1/presence",
            "Another program has changed what presence depends on: it is evaluated",
            &[],
            None,
            Reply::Accepted,
        ),
        op(
            "get",
            "/v1/presence/timeline",
            "The same over a stretch of time",
            &[FROM, TO, AT, TZ],
            None,
            json_of::<TimelineAnswer>(g),
        ),
        op("get", "/v1/presence/why", "Why it is so", &[AT, TZ], None, json_of::<WhyAnswer>(g)),
        op(
            "post",
            "/v1/presence/override",
            "Chooses a profile by hand",
            &[],
            body(
                json!({ "profile": { "type": "string" }, "until": text(), "for": text(), "until_changed": flag(), "tz": text() }),
                &["profile"],
            ),
            json_of::<PresenceAnswer>(g),
        ),
        op("delete", "/v1/presence/override", "Takes that back", &[], None, json_of::<PresenceAnswer>(g)),
        op(
            "post",
            "/v1/presence/observe",
            "Reports what is forwarded",
            &[],
            body(json!({ "forwarding": { "type": "string" } }), &["forwarding"]),
            json_of::<PresenceAnswer>(g),
        ),
        op(
            "post",
            "/v1/presence/commands/{id}/ack",
            "Answers a command that was handed over",
            &[],
            body(json!({ "applied": { "type": "boolean" } }), &["applied"]),
            json_of::<PresenceAnswer>(g),
        ),
        op(
            "post",
            "/v1/sync",
            "Pushes, pulls, and answers at the end",
            &[
                ("full", FLAG, "Compare everything"),
                ("accept_removals", FLAG, "Carry out held removals"),
                ("calendar", TEXT, "Only those of this calendar"),
            ],
            None,
            json_of::<SyncAnswer>(g),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::local::route::routes;

    #[test]
    fn the_document_and_the_router_know_the_same_addresses() {
        let document = document();
        let described: BTreeSet<&str> =
            document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut routed: BTreeSet<&str> = routes().iter().map(|(path, _)| *path).collect();
        routed.extend(["/", "/v1/page/link"]);
        assert_eq!(described, routed);
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        let references = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next());
        let mut count = 0;
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
            count += 1;
        }
        assert!(count > 100);
    }
}
