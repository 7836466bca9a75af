//! The document of the local API against the door itself.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::local::House;

/// What a value says that its schema does not allow, if anything. Knows the words that our document uses.
fn wrong(document: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    let schema = schema.as_object()?;
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap();
        return wrong(document, target, value, place);
    }
    if let Some(any) = schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array) {
        let all: Vec<_> = any.iter().map(|schema| wrong(document, schema, value, place)).collect();
        if all.iter().all(Option::is_some) {
            return all.into_iter().flatten().next();
        }
    }
    if let Some(all) = schema.get("allOf").and_then(Value::as_array)
        && let Some(found) = all.iter().find_map(|schema| wrong(document, schema, value, place))
    {
        return Some(found);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_allowed = match schema.get("type") {
        None => true,
        Some(Value::Array(kinds)) => kinds.iter().any(|allowed| allowed == kind),
        Some(allowed) => allowed == kind,
    };
    if !is_allowed {
        return Some(format!("{place} is {kind}, not {}", schema["type"]));
    }
    if let Some(members) = schema.get("enum").and_then(Value::as_array)
        && !members.contains(value)
    {
        return Some(format!("{place} is {value}, which is not listed"));
    }
    if let (Value::Array(items), Some(schema)) = (value, schema.get("items")) {
        return items.iter().find_map(|item| wrong(document, schema, item, &format!("{place}[]")));
    }
    let Value::Object(members) = value else { return None };
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if !members.contains_key(name) {
            return Some(format!("{place}.{name} is missing"));
        }
    }
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    members.iter().find_map(|(name, value)| {
        wrong(document, properties.get(name).unwrap_or(&Value::Null), value, &format!("{place}.{name}"))
    })
}

#[test]
fn each_address_knows_the_methods_that_the_document_says_and_no_other() {
    let house = House::open();
    let (status, document) = house.may("GET", "/openapi.json");
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    for (path, methods) in document["paths"].as_object().unwrap() {
        let address = path.replace("{id}", "ffff").replace("{n}", "999999");
        let documented: BTreeSet<&str> = methods.as_object().unwrap().keys().map(String::as_str).collect();
        let known: BTreeSet<&str> = ["get", "post", "patch", "delete", "put"]
            .into_iter()
            // These do not end, or take what they take.
            .filter(|method| {
                !(["/v1/stream", "/v1/sync", "/"].contains(&path.as_str()) && documented.contains(method))
            })
            .filter(|method| house.raw(&method.to_uppercase(), &address).status != 405)
            .collect();
        let tried: BTreeSet<&str> = match path.as_str() {
            "/v1/stream" | "/v1/sync" | "/" => BTreeSet::new(),
            _ => documented,
        };
        assert_eq!(known, tried, "{path}");
    }
}

#[test]
fn answers_and_problems_are_as_the_document_says() {
    let house = House::open();
    let (_, document) = house.may("GET", "/openapi.json");
    let (_, agenda) = house.may("GET", "/v1/agenda?days=60");
    let id = agenda["items"][0]["id"].as_str().unwrap();
    let rows = [
        ("/v1/status", "/v1/status".to_owned()),
        ("/v1/agenda", "/v1/agenda?days=60".to_owned()),
        ("/v1/events/{id}", format!("/v1/events/{id}")),
        ("/v1/search", "/v1/search?text=review".to_owned()),
        ("/v1/free", "/v1/free".to_owned()),
        ("/v1/busy", "/v1/busy".to_owned()),
        ("/v1/changes", "/v1/changes?since=0".to_owned()),
        ("/v1/outbox", "/v1/outbox".to_owned()),
        ("/v1/conflicts", "/v1/conflicts".to_owned()),
        ("/v1/reminders", "/v1/reminders?within=48h".to_owned()),
        ("/v1/presence", "/v1/presence".to_owned()),
        ("/v1/presence/timeline", "/v1/presence/timeline".to_owned()),
        ("/v1/presence/why", "/v1/presence/why".to_owned()),
        ("/v1/agenda", "/v1/agenda?bogus=1".to_owned()),
        ("/v1/events/{id}", "/v1/events/ffffffffffffffffffffffffffffffff".to_owned()),
    ];
    for (path, address) in rows {
        let (status, answer) = house.may("GET", &address);
        let mut described = &document["paths"][path]["get"]["responses"][status.to_string()];
        if let Some(reference) = described["$ref"].as_str() {
            described = document.pointer(reference.trim_start_matches('#')).unwrap();
        }
        let (_, content) = described["content"].as_object().unwrap().iter().next().unwrap();
        assert_eq!(wrong(&document, &content["schema"], &answer, "answer"), None, "{address}");
    }
    // The words that tell right from wrong do so.
    let schema =
        &document["paths"]["/v1/agenda"]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    let mut spoilt = agenda.clone();
    spoilt["items"][0]["show_as"] = json!("asleep");
    assert!(wrong(&document, schema, &spoilt, "answer").unwrap().contains("show_as"));
    spoilt = agenda;
    spoilt["items"][0].as_object_mut().unwrap().remove("subject");
    assert!(wrong(&document, schema, &spoilt, "answer").unwrap().contains("subject is missing"));
}
