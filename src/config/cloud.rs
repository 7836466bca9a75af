use crate::config::Cloud;

impl Cloud {
    /// The cloud's Graph origin. Source: Microsoft Graph, "National cloud deployments".
    pub const fn graph_url(self) -> &'static str {
        match self {
            Cloud::Global => "https://graph.microsoft.com",
            Cloud::UsGov => "https://graph.microsoft.us",
            Cloud::UsDod => "https://dod-graph.microsoft.us",
            Cloud::China => "https://microsoftgraph.chinacloudapi.cn",
        }
    }

    /// The cloud's sign-in origin.
    pub const fn authority_url(self) -> &'static str {
        match self {
            Cloud::Global => "https://login.microsoftonline.com",
            Cloud::UsGov | Cloud::UsDod => "https://login.microsoftonline.us",
            Cloud::China => "https://login.chinacloudapi.cn",
        }
    }
}

/// Why a text is no origin that tokens may be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// No absolute http(s) address.
    #[error("must be an address such as \"https://graph.microsoft.com\"")]
    NoAddress,
    /// `http` to another machine.
    #[error("must begin with https:// (http:// is allowed for loopback addresses only)")]
    Plain,
    /// A user part.
    #[error("must not contain a user name or password")]
    User,
    /// A path, query or fragment.
    #[error("must be an origin: scheme, host and port without a path (…/v1.0 is added)")]
    Path,
}

/// Checks that `text` is an origin (scheme, host, port) over TLS or on this machine, and normalizes it.
///
/// # Errors
/// What is wrong with it.
pub fn check_origin(text: &str) -> Result<String, OriginError> {
    let url = url::Url::parse(text).map_err(|_| OriginError::NoAddress)?;
    let is_loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => return Err(OriginError::NoAddress),
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        "http" => return Err(OriginError::Plain),
        _ => return Err(OriginError::NoAddress),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OriginError::User);
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(OriginError::Path);
    }
    Ok(url.origin().ascii_serialization())
}
