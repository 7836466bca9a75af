use crate::model::{CalendarRecord, Fault, Unreadable};
use crate::source::graph::{event, json, refusal, text};

/// The members a calendar is made of.
pub(super) const SELECT: &str = "id,name,color,hexColor,isDefaultCalendar,canEdit,owner";

/// Outlook's named colours as it shows them.
const NAMED_COLORS: &[(&str, &str)] = &[
    ("lightBlue", "#a6d1f5"),
    ("lightGreen", "#87d28e"),
    ("lightOrange", "#fcab73"),
    ("lightGray", "#c0c0c0"),
    ("lightYellow", "#f5e56b"),
    ("lightTeal", "#73d1c8"),
    ("lightPink", "#f2a1c7"),
    ("lightBrown", "#cba287"),
    ("lightRed", "#f88c9b"),
    ("maxColor", "#a6d1f5"),
];

/// The calendar that `slice` holds; `None` without a usable id.
pub(super) fn record(slice: &str) -> Option<CalendarRecord> {
    let mut id = None;
    let (mut name, mut named_color, mut hex_color) = (None, None, None);
    let (mut owner_name, mut owner_address) = (None, None);
    let (mut is_default, mut can_edit) = (false, false);
    let short = |value| json::text_of(value).and_then(|text| text::line(&text, event::NAME_CHARS_MAX));
    json::members(slice, |member, value| match &*member {
        "id" => id = json::text_of(value).and_then(|text| event::usable_id(&text)),
        "name" => name = short(value),
        "color" => named_color = json::text_of(value),
        "hexColor" => hex_color = json::text_of(value).filter(|text| is_hex_color(text)),
        "isDefaultCalendar" => is_default = json::bool_of(value).unwrap_or(false),
        "canEdit" => can_edit = json::bool_of(value).unwrap_or(false),
        "owner" => {
            let _malformed_is_nobody = json::members(value, |member, value| match &*member {
                "name" => owner_name = short(value),
                "address" => owner_address = short(value),
                _ => {}
            });
        }
        _ => {}
    })
    .ok()?;
    let named = named_color.and_then(|wanted| NAMED_COLORS.iter().find(|(name, _)| *name == wanted));
    Some(CalendarRecord {
        remote_id: id?,
        name: name.unwrap_or_default(),
        color: hex_color.map(|text| text.to_ascii_lowercase()).or(named.map(|(_, hex)| (*hex).to_owned())),
        owner_name,
        owner_address,
        is_default,
        can_edit,
    })
}

fn is_hex_color(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whose mailbox it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The directory's id of the user; never changes.
    pub object_id: String,
    /// The sign-in name.
    pub user_principal_name: Option<String>,
    /// The mail address; some mailboxes have none here.
    pub mail: Option<String>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("object_id", &self.object_id).finish_non_exhaustive()
    }
}

/// Who the reply says it is.
///
/// # Errors
/// `Unreadable` without an id, `Refused` for an error that came with status 200.
pub(super) fn identity(body: &str) -> Result<Identity, Fault> {
    let (mut id, mut user_principal_name, mut mail, mut has_error) = (None, None, None, false);
    let short = |value| json::text_of(value).and_then(|text| text::line(&text, event::NAME_CHARS_MAX));
    let walked = json::members(body, |member, value| match &*member {
        "id" => id = short(value),
        "userPrincipalName" => user_principal_name = short(value),
        "mail" => mail = short(value),
        "error" => has_error = !json::is_null(value),
        _ => {}
    });
    match (walked, id, has_error) {
        (_, None, true) => Err(refusal::of_success(body)),
        (Ok(()), Some(object_id), _) => Ok(Identity { object_id, user_principal_name, mail }),
        _ => Err(Fault::Unreadable(Unreadable::Shape)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_is_read_whatever_is_missing() {
        let full = record(
            r##"{"id":"AA=","name":"Work","color":"lightGreen","hexColor":"#0A0b0C","isDefaultCalendar":true,
                "canEdit":true,"owner":{"name":"Ann","address":"ann@x.test"},"new":{}}"##,
        )
        .unwrap();
        assert_eq!(full.remote_id.as_str(), "AA=");
        assert_eq!(full.name, "Work");
        assert_eq!(full.color.as_deref(), Some("#0a0b0c"));
        assert_eq!(full.owner_address.as_deref(), Some("ann@x.test"));
        assert!(full.is_default && full.can_edit);

        let bare =
            record(r#"{"id":"AA=","name":null,"hexColor":"","color":"lightGreen","owner":null}"#).unwrap();
        assert_eq!(bare.name, "");
        assert_eq!(bare.color.as_deref(), Some("#87d28e"));
        assert!(!bare.is_default && !bare.can_edit);

        for slice in ["{}", "[]", "null", r#"{"id":""}"#, r#"{"id":7}"#, r#"{"id":null}"#] {
            assert_eq!(record(slice), None, "{slice}");
        }
    }

    #[test]
    fn an_identity_needs_an_id() {
        let identity = identity(r#"{"id":"1-2","userPrincipalName":"ann@x.test","mail":null}"#).unwrap();
        assert_eq!(identity.object_id, "1-2");
        assert_eq!(identity.mail, None);
        assert!(super::identity(r#"{"mail":"a"}"#).is_err());
    }
}
