use crate::model::{Fault, Lookup, RemoteId, Unreadable};
use crate::ports::Reply;
use crate::source::graph::{decode, json, prefer, refusal};

/// The most requests of a batch. Outlook runs at most four of a batch at once; larger ones are throttled.
pub const BATCH_ITEMS_MAX: usize = 4;

/// The body of a batch of GETs of `paths`, which start with `/` and name neither origin nor version.
pub(super) fn encode(paths: &[String]) -> Vec<u8> {
    let preferences = prefer::encode(None, false);
    let requests: Vec<serde_json::Value> = paths
        .iter()
        .enumerate()
        .map(|(place, path)| {
            serde_json::json!({
                "id": place.to_string(),
                "method": "GET",
                "url": path,
                "headers": { "Prefer": preferences, "Accept": "application/json" },
            })
        })
        .collect();
    serde_json::json!({ "requests": requests }).to_string().into_bytes()
}

/// One answer of a batch.
pub(super) struct Item {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// The answers of a batch by their place; one the server left out is `None`.
///
/// # Errors
/// `Unreadable` when the reply is no batch.
pub(super) fn decode(text: &str, count: usize) -> Result<Vec<Option<Item>>, Fault> {
    let mut items: Vec<Option<Item>> = Vec::new();
    items.resize_with(count, || None);
    let (mut is_batch, mut has_error) = (false, false);
    let walked = json::members(text, |name, value| match &*name {
        "responses" => {
            is_batch = json::elements(value, |element| {
                if let Some((place, item)) = item(element)
                    && let Some(slot) = items.get_mut(place)
                {
                    *slot = Some(item);
                }
                true
            })
            .is_ok();
        }
        "error" => has_error = !json::is_null(value),
        _ => {}
    });
    match (walked, is_batch, has_error) {
        (Ok(()), true, _) => Ok(items),
        (_, false, true) => Err(refusal::of_success(text)),
        _ => Err(Fault::Unreadable(Unreadable::Shape)),
    }
}

fn item(element: &str) -> Option<(usize, Item)> {
    let (mut place, mut status, mut body) = (None, None, "");
    let mut headers = Vec::new();
    json::members(element, |name, value| match &*name {
        "id" => place = json::text_of(value).and_then(|id| id.parse::<usize>().ok()),
        "status" => status = json::whole_of(value).and_then(|status| u16::try_from(status).ok()),
        "headers" => {
            let _malformed_is_none = json::members(value, |name, value| {
                let name = name.to_ascii_lowercase();
                if matches!(name.as_str(), "retry-after" | "www-authenticate")
                    && let Some(text) = json::text_of(value).or_else(|| Some(value.into()))
                {
                    headers.push((name, text.into_owned()));
                }
            });
        }
        "body" => body = value,
        _ => {}
    })
    .ok()?;
    Some((place?, Item { status: status?, headers, body: body.to_owned() }))
}

/// What an answer says about the event `id`.
pub(super) fn lookup(item: Option<Item>, id: &RemoteId, now_ms: i64) -> Result<Lookup, Fault> {
    let Some(item) = item else { return Err(Fault::Unreadable(Unreadable::Shape)) };
    if (200..300).contains(&item.status) {
        return decode::lookup(&item.body, id);
    }
    let reply = Reply { status: item.status, headers: item.headers, body: item.body.into_bytes() };
    missing(refusal::of_reply(&reply, now_ms))
}

/// A 404 that speaks of the event, not of its mailbox or calendar, means that the event is gone.
pub(super) fn missing(fault: Fault) -> Result<Lookup, Fault> {
    match &fault {
        Fault::Refused { status: 404, code, .. } if !names_the_account(code.as_deref()) => {
            Ok(Lookup::Missing)
        }
        _ => Err(fault),
    }
}

pub(super) fn names_the_account(code: Option<&str>) -> bool {
    const ACCOUNT: &[&str] = &["MailboxNotEnabledForRESTAPI", "ErrorInvalidUser", "ErrorSyncFolderNotFound"];
    code.is_some_and(|code| ACCOUNT.iter().any(|known| known.eq_ignore_ascii_case(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_matched_by_id_in_any_order() {
        let text = r#"{"responses":[
            {"id":"2","status":200,"headers":{},"body":{"id":"C"}},
            {"id":"0","status":429,"headers":{"Retry-After":7},"body":{"error":{"code":"ApplicationThrottled"}}},
            {"id":"9","status":200,"body":{}}, {"id":"x"}, 7 ]}"#;
        let items = decode(text, 4).unwrap();
        let statuses: Vec<_> = items.iter().map(|item| item.as_ref().map(|item| item.status)).collect();
        assert_eq!(statuses, [Some(429), None, Some(200), None]);
        let throttled = items.into_iter().next().unwrap();
        let fault = lookup(throttled, &RemoteId::new("A"), 0).unwrap_err();
        assert_eq!(fault.kind(), "throttled");
        let Fault::Refused { retry_after, .. } = fault else { panic!("not refused") };
        assert_eq!(retry_after, Some(std::time::Duration::from_secs(7)));
    }

    #[test]
    fn every_item_carries_all_preferences() {
        let body = String::from_utf8(encode(&["/me/events/A%2F".to_owned()])).unwrap();
        insta::assert_snapshot!(body, @r#"{"requests":[{"headers":{"Accept":"application/json","Prefer":"outlook.timezone=\"UTC\", outlook.body-content-type=\"text\", IdType=\"ImmutableId\""},"id":"0","method":"GET","url":"/me/events/A%2F"}]}"#);
    }

    #[test]
    fn only_a_404_about_the_event_means_that_it_is_gone() {
        let fault = |status, code: Option<&str>| Fault::Refused {
            status,
            code: code.map(str::to_owned),
            retry_after: None,
            claims: None,
        };
        assert_eq!(missing(fault(404, Some("ErrorItemNotFound"))), Ok(Lookup::Missing));
        assert_eq!(missing(fault(404, None)), Ok(Lookup::Missing));
        for (status, code) in [(404, "MailboxNotEnabledForRESTAPI"), (404, "ErrorInvalidUser"), (410, "Gone")]
        {
            assert!(missing(fault(status, Some(code))).is_err(), "{code}");
        }
    }
}
