//! Refusals: SOAP faults, response codes, and what they mean for those who asked.

use std::time::Duration;

use crate::model::{Fault, Unreadable};
use crate::ports::Reply;
use crate::source::ews::xml::{self, Element, Malformed};
use crate::source::graph::CODE_CHARS_MAX;
use crate::source::graph::RETRY_AFTER_MAX;
use crate::source::graph::refusal::retry_after;

/// Says that an item was left out, or a batch not finished, beside items that are there.
const NO_ERROR: &str = "NoError";

/// The body of an answer, or why there is none.
///
/// # Errors
/// Any fault but those of links and pages.
pub(super) fn body(reply: &Reply, now_ms: i64) -> Result<Element, Fault> {
    let wait = reply.header("retry-after").and_then(|text| retry_after(text, now_ms));
    let refused = |status, code| Fault::Refused { status, code, retry_after: wait, claims: None };
    match reply.status {
        300..400 => return Err(Fault::Unreadable(Unreadable::Redirect)),
        200..300 | 500 => {}
        status => return Err(refused(status, None)),
    }
    let root = match xml::parse(&reply.body) {
        Ok(root) => root,
        Err(_) if reply.status == 500 => return Err(refused(500, None)),
        Err(_) if reply.body.iter().all(u8::is_ascii_whitespace) => {
            return Err(Fault::Unreadable(Unreadable::Empty));
        }
        Err(Malformed::Large) => return Err(Fault::Unreadable(Unreadable::TooLarge)),
        Err(_) if is_web_page(&reply.body) => return Err(Fault::Unreadable(Unreadable::WebPage)),
        Err(Malformed::Form | Malformed::DocumentType | Malformed::Entity) => {
            return Err(Fault::Unreadable(Unreadable::Shape));
        }
    };
    if root.name != "Envelope" {
        let is_page = root.name.eq_ignore_ascii_case("html");
        let unreadable = if is_page { Unreadable::WebPage } else { Unreadable::Shape };
        return Err(if reply.status == 500 { refused(500, None) } else { Fault::Unreadable(unreadable) });
    }
    if let Some(fault) = root.at(&["Body", "Fault"]) {
        return Err(of_fault(fault, wait));
    }
    if reply.status == 500 {
        return Err(refused(500, None));
    }
    let mut parts = root.children.into_iter();
    parts.find(|part| part.name == "Body").ok_or(Fault::Unreadable(Unreadable::Shape))
}

/// A page of a portal or of a sign-in form: HTML is seldom well-formed XML.
pub(super) fn is_web_page(body: &[u8]) -> bool {
    let head = body.get(..body.len().min(512)).unwrap_or_default();
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.contains("<!doctype html") || head.contains("<html")
}

fn of_fault(fault: &Element, wait: Option<Duration>) -> Fault {
    let named = fault.find("ResponseCode").map(|code| code.text.trim_ascii());
    // `a:ErrorSchemaValidation`, where there is no detail.
    let written = fault.text_at(&["faultcode"]).map(|code| code.rsplit(':').next().unwrap_or(code));
    of_code(named.or(written).unwrap_or_default(), back_off(fault).or(wait))
}

/// What a response message says about itself.
///
/// # Errors
/// The fault that its code means; a message without a code is unreadable.
pub(super) fn outcome(message: &Element) -> Result<(), Fault> {
    let code = message.text_at(&["ResponseCode"]);
    match (message.attribute("ResponseClass"), code) {
        (Some("Success"), _) | (_, Some(NO_ERROR)) => Ok(()),
        (_, Some(code)) => Err(of_code(code, back_off(message))),
        (_, None) => Err(Fault::Unreadable(Unreadable::Shape)),
    }
}

/// How long a busy server wants to be left alone.
fn back_off(element: &Element) -> Option<Duration> {
    let values = element.find("MessageXml")?;
    let value =
        values.children.iter().find(|value| value.attribute("Name") == Some("BackOffMilliseconds"))?;
    let wait = Duration::from_millis(value.text.trim_ascii().parse().ok()?);
    Some(wait.min(RETRY_AFTER_MAX))
}

/// The fault of a code: the HTTP status that Graph has for the same thing, since the judgement of failures speaks
/// in these.
fn of_code(code: &str, retry_after: Option<Duration>) -> Fault {
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(CODE_CHARS_MAX).collect();
    let status = match &*code {
        "ErrorServerBusy" | "ErrorExceededConnectionCount" | "ErrorTooManyObjectsOpened" => 429,
        "ErrorInvalidSyncStateData" | "ErrorSyncStateNotFound" => 410,
        "ErrorIrresolvableConflict" | "ErrorStaleObject" | "ErrorChangeKeyRequired" => 412,
        "ErrorItemNotFound"
        | "ErrorFolderNotFound"
        | "ErrorSyncFolderNotFound"
        | "ErrorParentFolderNotFound"
        | "ErrorNonExistentMailbox"
        | "ErrorCalendarOccurrenceIsDeletedFromRecurrence"
        | "ErrorCannotFindUser" => 404,
        "ErrorAccessDenied"
        | "ErrorImpersonateUserDenied"
        | "ErrorImpersonationDenied"
        | "ErrorImpersonationFailed"
        | "ErrorTokenSerializationDenied"
        | "ErrorCreateItemAccessDenied"
        | "ErrorAccountDisabled"
        | "ErrorMailboxLogonFailed" => 403,
        "ErrorQuotaExceeded" => 507,
        "ErrorTimeoutExpired" | "ErrorConnectionFailed" => 504,
        "ErrorMailboxStoreUnavailable"
        | "ErrorMailboxMoveInProgress"
        | "ErrorInternalServerTransientError"
        | "ErrorADUnavailable"
        | "ErrorADOperation"
        | "ErrorBatchProcessingStopped" => 503,
        "ErrorInternalServerError" | "" => 500,
        // The rest speaks of the request: the same one will be refused again.
        _ => 400,
    };
    Fault::Refused { status, code: Some(code).filter(|code| !code.is_empty()), retry_after, claims: None }
}

/// Whether the item asked for is not there.
pub(super) fn is_missing(fault: &Fault) -> bool {
    const MISSING: [&str; 2] = ["ErrorItemNotFound", "ErrorCalendarOccurrenceIsDeletedFromRecurrence"];
    matches!(fault, Fault::Refused { code: Some(code), .. } if MISSING.contains(&code.as_str()))
}

/// Whether the folder asked for is not there.
pub(super) fn is_folder_missing(fault: &Fault) -> bool {
    const MISSING: [&str; 3] = ["ErrorItemNotFound", "ErrorFolderNotFound", "ErrorSyncFolderNotFound"];
    matches!(fault, Fault::Refused { code: Some(code), .. } if MISSING.contains(&code.as_str()))
}

/// Whether the item asked for is there and the server itself cannot read it.
pub(super) fn is_corrupt(fault: &Fault) -> bool {
    const CORRUPT: [&str; 5] = [
        "ErrorCorruptData",
        "ErrorContentConversionFailed",
        "ErrorItemCorrupt",
        "ErrorPropertyRequestFailed",
        "ErrorUnsupportedRecurrence",
    ];
    matches!(fault, Fault::Refused { code: Some(code), .. } if CORRUPT.contains(&code.as_str()))
}

/// Whether the server does not know the schema that was spoken.
pub(super) fn is_version_unknown(fault: &Fault) -> bool {
    const UNKNOWN: [&str; 2] = ["ErrorInvalidServerVersion", "ErrorIncorrectSchemaVersion"];
    matches!(fault, Fault::Refused { code: Some(code), .. } if UNKNOWN.contains(&code.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
    }

    fn fault(detail: &str) -> Fault {
        let text = format!(
            "<s:Envelope xmlns:s=\"x\"><s:Body><s:Fault><faultcode>a:ErrorServerBusy</faultcode><faultstring>x</faultstring><detail>{detail}</detail></s:Fault></s:Body></s:Envelope>"
        );
        body(&reply(500, &text), 0).err().unwrap()
    }

    fn of(status: u16, code: Option<&str>, wait_ms: Option<u64>) -> Fault {
        let retry_after = wait_ms.map(Duration::from_millis);
        Fault::Refused { status, code: code.map(str::to_owned), retry_after, claims: None }
    }

    #[test]
    fn a_busy_server_says_how_long_it_wants_to_be_left_alone() {
        let busy = fault(
            "<e:ResponseCode>ErrorServerBusy</e:ResponseCode><t:MessageXml><t:Value Name=\"BackOffMilliseconds\">2650</t:Value></t:MessageXml>",
        );
        assert_eq!(busy, of(429, Some("ErrorServerBusy"), Some(2_650)));
        assert_eq!(busy.kind(), "throttled");
        assert_eq!(fault(""), of(429, Some("ErrorServerBusy"), None));
        let endless = fault(
            "<e:ResponseCode>ErrorServerBusy</e:ResponseCode><t:MessageXml><t:Value Name=\"BackOffMilliseconds\">99999999999</t:Value></t:MessageXml>",
        );
        assert_eq!(endless, of(429, Some("ErrorServerBusy"), Some(3_600_000)));
    }

    #[test]
    fn codes_mean_what_graph_says_with_a_status() {
        let message = |class: &str, code: &str| {
            let text = format!("<m ResponseClass=\"{class}\"><ResponseCode>{code}</ResponseCode></m>");
            outcome(&xml::parse(text.as_bytes()).unwrap())
        };
        assert_eq!(message("Success", "NoError"), Ok(()));
        for (code, status) in [
            ("ErrorItemNotFound", 404),
            ("ErrorInvalidSyncStateData", 410),
            ("ErrorIrresolvableConflict", 412),
            ("ErrorImpersonateUserDenied", 403),
            ("ErrorMailboxStoreUnavailable", 503),
            ("ErrorInternalServerError", 500),
            ("ErrorSomethingNobodyKnows", 400),
        ] {
            assert_eq!(message("Error", code), Err(of(status, Some(code), None)), "{code}");
        }
        assert_eq!(message("Warning", "ErrorBatchProcessingStopped").unwrap_err().kind(), "server_error");
        assert_eq!(
            outcome(&xml::parse(b"<m ResponseClass=\"Error\"/>").unwrap()),
            Err(Fault::Unreadable(Unreadable::Shape))
        );
    }

    #[test]
    fn what_is_no_envelope_is_named() {
        let unreadable = |status, text: &str| body(&reply(status, text), 0).err().unwrap();
        let page = Fault::Unreadable(Unreadable::WebPage);
        assert_eq!(unreadable(200, "<!DOCTYPE html><html><body><br></body></html>"), page);
        assert_eq!(unreadable(200, "<html><body/></html>"), page);
        assert_eq!(unreadable(200, " \n"), Fault::Unreadable(Unreadable::Empty));
        assert_eq!(unreadable(200, "{\"a\":1}"), Fault::Unreadable(Unreadable::Shape));
        assert_eq!(unreadable(200, "<a/>"), Fault::Unreadable(Unreadable::Shape));
        assert_eq!(unreadable(302, ""), Fault::Unreadable(Unreadable::Redirect));
        assert_eq!(unreadable(401, "<a/>"), of(401, None, None));
        assert_eq!(unreadable(500, "<html>"), of(500, None, None));
        assert_eq!(unreadable(503, ""), of(503, None, None));
    }
}
