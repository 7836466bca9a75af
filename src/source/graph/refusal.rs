//! Error replies: which code, which wait, which claims.

use std::time::Duration;

use crate::model::Fault;
use crate::ports::Reply;
use crate::source::graph::json;

/// The longest wait a server may ask for; a longer, a far date and nonsense count as this or as no wish.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// The most characters of an error code that are kept.
pub const CODE_CHARS_MAX: usize = 64;
/// The most bytes of a claims challenge that are kept.
pub const CLAIMS_BYTES_MAX: usize = 4096;
/// How deep a chain of inner errors is read.
const CHAIN_MAX: usize = 8;

/// Codes that say more than the outer code around them. Lower case: Graph's own spelling varies.
const SPECIFIC: &[&str] = &[
    "applicationthrottled",
    "concurrentitemsave",
    "erroraccessdenied",
    "errorcorruptdata",
    "errorinvalididmalformed",
    "errorinvaliduser",
    "errorirresolvableconflict",
    "erroritemnotfound",
    "errornotsupported",
    "errorsyncfoldernotfound",
    "errortoomanyobjectsopened",
    "invaliddeltatoken",
    "mailboxconcurrency",
    "mailboxnotenabledforrestapi",
    "resyncapplydifferences",
    "resyncrequired",
    "resyncuploaddifferences",
    "syncstateinvalid",
    "syncstatenotfound",
];

/// The fault of a reply with an error status.
pub(super) fn of_reply(reply: &Reply, now_ms: i64) -> Fault {
    Fault::Refused {
        status: reply.status,
        code: code(&String::from_utf8_lossy(&reply.body)),
        retry_after: reply.header("retry-after").and_then(|text| retry_after(text, now_ms)),
        claims: reply.header("www-authenticate").and_then(claims),
    }
}

/// The fault of an error object that came with a status of success: the status its code usually has.
pub(super) fn of_success(body: &str) -> Fault {
    let code = code(body);
    let lower = code.as_deref().unwrap_or_default().to_ascii_lowercase();
    let status = match lower.as_str() {
        "syncstatenotfound" | "syncstateinvalid" | "resyncrequired" => 410,
        "invaliddeltatoken" | "errorinvalidrequest" | "errorinvalidparameter" => 400,
        "invalidauthenticationtoken" | "unauthenticated" => 401,
        "erroraccessdenied" | "accessdenied" | "authorization_requestdenied" => 403,
        "erroritemnotfound" | "itemnotfound" | "resourcenotfound" => 404,
        "toomanyrequests" | "applicationthrottled" | "activitylimitreached" => 429,
        _ => 500,
    };
    Fault::Refused { status, code, retry_after: None, claims: None }
}

/// The code of an error body: the innermost one known to be specific, else the outer one. `None` when the body
/// is empty, HTML or of another shape.
pub(super) fn code(body: &str) -> Option<String> {
    let mut object = None;
    let _walked = json::members(body.trim_start_matches('\u{feff}').trim_start(), |name, value| {
        if name == "error" {
            object = Some(value);
        }
    });
    let mut chain: Vec<String> = Vec::new();
    let mut is_plain_text = false;
    while let Some(value) = object.take() {
        if chain.len() >= CHAIN_MAX {
            break;
        }
        let mut code = None;
        let walked = json::members(value, |name, value| match &*name {
            "code" => code = json::text_of(value).map(|text| plain_code(&text)),
            "innerError" | "innererror" => object = Some(value),
            _ => {}
        });
        if walked.is_err() && chain.is_empty() {
            // OAuth writes the code itself where Graph writes an object.
            code = json::text_of(value).map(|text| plain_code(&text));
            is_plain_text = true;
        }
        chain.push(code.unwrap_or_default());
        if is_plain_text {
            break;
        }
    }
    let specific = chain.iter().rev().find(|code| SPECIFIC.contains(&code.to_ascii_lowercase().as_str()));
    specific.or(chain.first()).filter(|code| !code.is_empty()).cloned()
}

fn plain_code(text: &str) -> String {
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.');
    text.chars().filter(is_plain).take(CODE_CHARS_MAX).collect()
}

/// What `Retry-After` asks for: whole or fractional seconds (rounded up) or a date, capped.
pub(in crate::source) fn retry_after(text: &str, now_ms: i64) -> Option<Duration> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_number {
        let seconds = text.parse::<f64>().ok()?.ceil().min(RETRY_AFTER_MAX.as_secs_f64());
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at_ms = chrono::DateTime::parse_from_rfc2822(text).ok()?.timestamp_millis();
    let wait_ms = u64::try_from(at_ms.saturating_sub(now_ms)).unwrap_or(0);
    Some(Duration::from_millis(wait_ms).min(RETRY_AFTER_MAX))
}

/// The claims challenge of `WWW-Authenticate: Bearer … claims="<base64>"`, decoded.
pub(in crate::source) fn claims(header: &str) -> Option<String> {
    let (_, rest) = header.split_once("claims=")?;
    let encoded = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split([',', ' ']).next()?,
    };
    if encoded.len() > CLAIMS_BYTES_MAX {
        return None;
    }
    let decoded = String::from_utf8(decode_base64(encoded)?).ok()?;
    // Claims are a JSON object; anything else is not passed on to the sign-in.
    decoded.trim_start().starts_with('{').then_some(decoded)
}

/// Base64 in either alphabet, padding optional.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut held, mut held_bits) = (0_u32, 0_u32);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        held = (held << 6) | u32::from(value);
        held_bits += 6;
        if held_bits >= 8 {
            held_bits -= 8;
            bytes.push(u8::try_from((held >> held_bits) & 0xFF).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_known_code_wins() {
        let cases = [
            (r#"{"error":{"code":"ErrorItemNotFound","message":"x"}}"#, Some("ErrorItemNotFound")),
            (
                r#"{"error":{"code":"Gone","innerError":{"code":"SyncStateNotFound"}}}"#,
                Some("SyncStateNotFound"),
            ),
            (
                r#"{"error":{"code":"a","innererror":{"code":"b","innerError":{"code":"resyncRequired"}}}}"#,
                Some("resyncRequired"),
            ),
            (r#"{"error":{"code":"Outer","innerError":{"code":"Whatever"}}}"#, Some("Outer")),
            (r#"{"error":{"code":"a b<script>\u0000é","message":"x"}}"#, Some("abscript")),
            (r#"{"error":"invalid_grant"}"#, Some("invalid_grant")),
            (r#"{"error":{"code":7}}"#, None),
            (r#"{"error":null}"#, None),
            ("<html>", None),
            ("", None),
            ("{\"error\":{\"code\":\"Cut", None),
        ];
        for (body, expected) in cases {
            assert_eq!(code(body).as_deref(), expected, "{body}");
        }
        let long = format!(r#"{{"error":{{"code":"{}"}}}}"#, "x".repeat(1000));
        assert_eq!(code(&long).unwrap().len(), CODE_CHARS_MAX);
        let deep = format!("{}{}", r#"{"error":"#, r#"{"innerError":"#.repeat(100_000));
        assert_eq!(code(&deep), None);
    }

    #[test]
    fn every_spelling_of_a_wait_is_read_and_capped() {
        const NOW_MS: i64 = 1_778_140_800_000; // 2026-05-07T08:00:00Z
        let second = Duration::from_secs;
        let cases = [
            ("7", Some(second(7))),
            (" 7 ", Some(second(7))),
            ("2.128", Some(second(3))),
            ("0", Some(second(0))),
            ("31536000", Some(RETRY_AFTER_MAX)),
            ("99999999999999999999999999", Some(RETRY_AFTER_MAX)),
            ("Thu, 07 May 2026 08:00:30 GMT", Some(second(30))),
            ("Thu, 07 May 2026 07:00:00 GMT", Some(second(0))),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(RETRY_AFTER_MAX)),
            ("-5", None),
            ("soon", None),
            ("1e9", None),
            ("NaN", None),
            ("inf", None),
            ("1.2.3", None),
            (".", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(retry_after(text, NOW_MS), expected, "{text}");
        }
    }

    #[test]
    fn a_claims_challenge_is_decoded() {
        // {"access_token":{}}
        let claim = "eyJhY2Nlc3NfdG9rZW4iOnt9fQ==";
        let header = format!(r#"Bearer realm="", error="insufficient_claims", claims="{claim}""#);
        assert_eq!(claims(&header).as_deref(), Some(r#"{"access_token":{}}"#));
        assert_eq!(
            claims("Bearer claims=eyJhY2Nlc3NfdG9rZW4iOnt9fQ, x=1").as_deref(),
            Some(r#"{"access_token":{}}"#)
        );
        for header in
            ["Bearer", "Bearer claims=\"not base64!\"", "Bearer claims=\"aGVsbG8=\"", "Bearer claims=\""]
        {
            assert_eq!(claims(header), None, "{header}");
        }
    }
}
