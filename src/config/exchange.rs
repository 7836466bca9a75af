use crate::config::credential::{Credential, read_password};
use crate::config::reader::Section;
use crate::model::guarded_url;

/// The keys of an `[[exchange]]`.
pub(super) const EXCHANGE_KEYS: &[&str] =
    &["display_name", "ews_url", "login", "password_env", "password_file"];

/// One Exchange organization on premises, and who signs in there.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its name here.
    pub display_name: String,
    /// The address of its web services; without one Autodiscover is asked.
    pub ews_url: Option<String>,
    /// The name that signs in. With method `server` it opens every mailbox by impersonation; without one each account
    /// signs in as its own user.
    pub login: Option<String>,
    /// Where the password is.
    pub password: Option<Credential>,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("display_name", &self.display_name).finish_non_exhaustive()
    }
}

pub(super) fn read_exchanges(top: &Section<'_, '_>) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for section in top.sections("exchange", EXCHANGE_KEYS).unwrap_or_default() {
        let display_name = section.required_text("display_name", "Headquarters").map(|text| text.value);
        let ews_url = section.text("ews_url").map(|text| text.value);
        if ews_url.as_ref().is_some_and(|url| guarded_url(url).is_none()) {
            section.note(
                "ews_url",
                "must be an https:// address such as \"https://mail.contoso.com/EWS/Exchange.asmx\" (http:// for loopback addresses only)",
            );
        }
        let login = section.text("login").map(|text| text.value);
        let password = read_password(&section);
        if password.is_none() && !section.has("password_env") && !section.has("password_file") {
            section.note("password_file", "is missing: write `password_file` or `password_env`");
        }
        let Some(display_name) = display_name else { continue };
        if exchanges.iter().any(|known| known.display_name == display_name) {
            section.note("display_name", format!("there is already an Exchange \"{display_name}\""));
            continue;
        }
        exchanges.push(Exchange { display_name, ews_url, login, password });
    }
    exchanges
}
