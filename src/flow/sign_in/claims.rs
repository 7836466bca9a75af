//! The `claims` parameter: what this program can do, and what a server demanded.

use serde_json::{Value, json};

/// The claims of a sign-in: that challenges are understood here (`cp1`, continuous access evaluation), and those
/// of a pending challenge. A challenge that is no JSON object is left out.
pub(super) fn claims(challenge: Option<&str>) -> String {
    let parsed = challenge.and_then(|text| serde_json::from_str(text).ok());
    let mut claims = match parsed {
        Some(Value::Object(members)) => members,
        Some(_) | None => serde_json::Map::new(),
    };
    let access = claims.entry("access_token").or_insert_with(|| json!({}));
    if !access.is_object() {
        *access = json!({});
    }
    if let Some(access) = access.as_object_mut() {
        access.insert("xms_cc".to_owned(), json!({"values": ["cp1"]}));
    }
    Value::Object(claims).to_string()
}
