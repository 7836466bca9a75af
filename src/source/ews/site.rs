use url::{Host, Url};

use crate::model::{is_loopback, plain_url};

/// Hosts of Exchange Online, where EWS is switched off, with everything below them.
const ONLINE: [&str; 6] =
    ["office365.com", "office365.us", "outlook.com", "outlook.cn", "office.com", "outlook.cloud.microsoft"];

/// Where a mailbox is reached by EWS, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub struct EwsSite {
    url: String,
    mailbox: Option<String>,
}

/// Why an address is no EWS address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EwsSiteError {
    /// Not an absolute `https` address.
    #[error("the EWS address looks like https://mail.example.com/EWS/Exchange.asmx")]
    Form,
    /// Plain `http` to another machine would show password or token to everybody between.
    #[error("http:// is allowed for loopback addresses only")]
    Insecure,
    /// A host of Exchange Online.
    #[error(
        "this is Exchange Online, where EWS is switched off: write source = \"microsoft365\", which uses Microsoft Graph"
    )]
    ExchangeOnline,
    /// The mailbox is none that Exchange could be asked for.
    #[error("the mailbox is named by its SMTP address")]
    Mailbox,
}

impl EwsSite {
    /// The EWS address `url`; with `impersonated`, the mailbox of that SMTP address is opened by impersonation, else
    /// that of whoever signs in.
    ///
    /// # Errors
    /// See [`EwsSiteError`].
    pub fn new(url: &str, impersonated: Option<&str>) -> Result<EwsSite, EwsSiteError> {
        let url = checked(url)?;
        let is_address = |text: &str| text.contains('@') && !text.contains(char::is_control);
        if impersonated.is_some_and(|address| !is_address(address)) {
            return Err(EwsSiteError::Mailbox);
        }
        Ok(EwsSite { url: url.as_str().to_owned(), mailbox: impersonated.map(str::to_owned) })
    }

    /// The address that requests go to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The SMTP address of the mailbox that is opened by impersonation.
    pub fn impersonated(&self) -> Option<&str> {
        self.mailbox.as_deref()
    }
}

impl std::fmt::Debug for EwsSite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EwsSite").field("is_impersonated", &self.mailbox.is_some()).finish_non_exhaustive()
    }
}

/// An address of this protocol that a password may be sent to.
pub(super) fn checked(url: &str) -> Result<Url, EwsSiteError> {
    let parsed = Url::parse(url).map_err(|_| EwsSiteError::Form)?;
    if plain_url(parsed.as_str()).is_none() || parsed.fragment().is_some() || parsed.query().is_some() {
        return Err(EwsSiteError::Form);
    }
    if is_online(&parsed) {
        return Err(EwsSiteError::ExchangeOnline);
    }
    if parsed.scheme() == "http" && !is_loopback(&parsed) {
        return Err(EwsSiteError::Insecure);
    }
    Ok(parsed)
}

fn is_online(url: &Url) -> bool {
    let Some(Host::Domain(host)) = url.host() else { return false };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    ONLINE
        .iter()
        .any(|known| host == *known || host.strip_suffix(known).is_some_and(|rest| rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_server_on_premises_is_taken() {
        for url in [
            "https://mail.example.com/EWS/Exchange.asmx",
            "https://mail.example.com:444/ews/exchange.asmx",
            "http://127.0.0.1:8080/EWS/Exchange.asmx",
            "https://notoffice365.com/EWS/Exchange.asmx",
        ] {
            assert_eq!(EwsSite::new(url, None).unwrap().url(), url);
        }
        let site =
            EwsSite::new("https://mail.example.com/EWS/Exchange.asmx", Some("anna@example.com")).unwrap();
        assert_eq!(site.impersonated(), Some("anna@example.com"));
        assert!(!format!("{site:?}").contains("anna"));
    }

    #[test]
    fn exchange_online_is_refused_with_the_way_to_go() {
        for url in [
            "https://outlook.office365.com/EWS/Exchange.asmx",
            "https://OUTLOOK.OFFICE365.COM./EWS/Exchange.asmx",
            "https://outlook.office.com/EWS/Exchange.asmx",
            "https://outlook.office365.us/EWS/Exchange.asmx",
            "https://partner.outlook.cn/EWS/Exchange.asmx",
        ] {
            let refused = EwsSite::new(url, None).unwrap_err();
            assert_eq!(refused, EwsSiteError::ExchangeOnline, "{url}");
            assert!(refused.to_string().contains("source = \"microsoft365\""));
        }
    }

    #[test]
    fn an_address_that_shows_a_password_or_is_none_is_refused() {
        let refused = |url: &str| EwsSite::new(url, None).unwrap_err();
        assert_eq!(refused("http://mail.example.com/EWS/Exchange.asmx"), EwsSiteError::Insecure);
        for url in [
            "",
            "mail.example.com",
            "ftp://mail.example.com/x",
            "https://u:p@mail.example.com/x",
            "https://h/x?y=z",
        ] {
            assert_eq!(refused(url), EwsSiteError::Form, "{url}");
        }
        let unnamed = EwsSite::new("https://mail.example.com/EWS/Exchange.asmx", Some("anna"));
        assert_eq!(unnamed, Err(EwsSiteError::Mailbox));
    }
}
