use url::Url;

use crate::model::{Link, LinkProblem, is_loopback, plain_url};

/// The most bytes a state link may have. Microsoft's own have some hundred to a few thousand.
pub const LINK_BYTES_MAX: usize = 64 * 1024;

/// Where one mailbox lives: the Graph origin of its cloud and the path of its user.
#[derive(Clone)]
pub struct GraphSite {
    origin: Url,
    api: String,
    mailbox: String,
}

/// Why a configured Graph address cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    /// Not an absolute `https` address.
    #[error("the Graph address is an origin such as https://graph.microsoft.com")]
    Form,
    /// A path, a query or a fragment; the version path is added here.
    #[error("the Graph address has no path: /v1.0 is added to it")]
    Path,
    /// Plain `http` to another machine would show the token to everybody between.
    #[error("http:// is allowed for loopback addresses only")]
    Insecure,
}

impl GraphSite {
    /// The mailbox of `user` (an id or a principal name), or of whoever is signed in, at the cloud `graph_url`.
    ///
    /// # Errors
    /// When `graph_url` is no origin, or plain `http` to anything but a loopback address.
    pub fn new(graph_url: &str, user: Option<&str>) -> Result<GraphSite, SiteError> {
        let origin = Url::parse(graph_url.trim_end_matches('/')).map_err(|_| SiteError::Form)?;
        if !matches!(origin.scheme(), "https" | "http") || plain_url(origin.as_str()).is_none() {
            return Err(SiteError::Form);
        }
        if origin.path() != "/" || origin.query().is_some() || origin.fragment().is_some() {
            return Err(SiteError::Path);
        }
        if origin.scheme() == "http" && !is_loopback(&origin) {
            return Err(SiteError::Insecure);
        }
        let api = format!("{}/v1.0", origin.as_str().trim_end_matches('/'));
        let mailbox = match user {
            None => "/me".to_owned(),
            Some(user) => format!("/users/{}", encode_segment(user)),
        };
        Ok(GraphSite { origin, api, mailbox })
    }

    /// Whether the bearer may be sent where `link` points.
    ///
    /// # Errors
    /// The reason why not; nothing was sent.
    pub fn check(&self, link: &Link) -> Result<(), LinkProblem> {
        let text = link.as_str();
        if text.len() > LINK_BYTES_MAX {
            return Err(LinkProblem::Long);
        }
        let parsed = Url::parse(text).map_err(|_| LinkProblem::Form)?;
        let is_ours = parsed.scheme() == self.origin.scheme()
            && parsed.host() == self.origin.host()
            && parsed.port_or_known_default() == self.origin.port_or_known_default();
        if !is_ours {
            return Err(LinkProblem::Host);
        }
        if plain_url(text).is_none() || parsed.fragment().is_some() {
            return Err(LinkProblem::Form);
        }
        Ok(())
    }

    /// The address of `path` (starting with `/`) below the API version.
    pub(super) fn api(&self, path: &str) -> String {
        format!("{}{path}", self.api)
    }

    /// The path of the mailbox, as batch items name it: without origin and version.
    pub(super) fn mailbox(&self) -> &str {
        &self.mailbox
    }
}

impl std::fmt::Debug for GraphSite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GraphSite").field("origin", &self.origin.as_str()).finish_non_exhaustive()
    }
}

/// Percent-encodes everything but unreserved characters, so that ids with `/`, `+`, `=` stay one path segment.
pub(super) fn encode_segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 15] {
                encoded.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> GraphSite {
        GraphSite::new("https://graph.microsoft.com", None).unwrap()
    }

    #[test]
    fn a_site_is_an_origin() {
        let cases = [
            ("https://graph.microsoft.com", Ok(())),
            ("https://graph.microsoft.com/", Ok(())),
            ("https://dod-graph.microsoft.us", Ok(())),
            ("http://127.0.0.1:4711", Ok(())),
            ("http://[::1]:4711", Ok(())),
            ("http://localhost:4711/", Ok(())),
            ("http://graph.microsoft.com", Err(SiteError::Insecure)),
            ("http://192.168.1.2", Err(SiteError::Insecure)),
            ("http://localhost.evil.test", Err(SiteError::Insecure)),
            ("https://graph.microsoft.com/v1.0", Err(SiteError::Path)),
            ("https://graph.microsoft.com/?a=b", Err(SiteError::Path)),
            ("graph.microsoft.com", Err(SiteError::Form)),
            ("ftp://graph.microsoft.com", Err(SiteError::Form)),
            ("https://user@graph.microsoft.com", Err(SiteError::Form)),
            ("", Err(SiteError::Form)),
        ];
        for (url, expected) in cases {
            assert_eq!(GraphSite::new(url, None).map(|_| ()), expected, "{url}");
        }
    }

    #[test]
    fn a_link_is_followed_to_the_accounts_own_origin_only() {
        let long = format!("https://graph.microsoft.com/v1.0/{}", "a".repeat(LINK_BYTES_MAX));
        let cases = [
            ("https://graph.microsoft.com/v1.0/me/calendarView/delta?$deltatoken=x%2By", Ok(())),
            ("https://graph.microsoft.com:443/v1.0/x", Ok(())),
            ("https://GRAPH.MICROSOFT.COM/v1.0/x", Ok(())),
            ("http://graph.microsoft.com/v1.0/x", Err(LinkProblem::Host)),
            ("https://graph.microsoft.com:8443/v1.0/x", Err(LinkProblem::Host)),
            ("https://graph.microsoft.com.evil.test/v1.0/x", Err(LinkProblem::Host)),
            ("https://graph.microsoft.com./v1.0/x", Err(LinkProblem::Host)),
            ("https://evil.test/graph.microsoft.com", Err(LinkProblem::Host)),
            ("https://graph.microsoft.com@evil.test/x", Err(LinkProblem::Host)),
            ("https://graph.microsoft.com:443@evil.test/x", Err(LinkProblem::Host)),
            ("https://evil.test\\@graph.microsoft.com/x", Err(LinkProblem::Host)),
            ("file:///etc/passwd", Err(LinkProblem::Host)),
            ("https://me@graph.microsoft.com/x", Err(LinkProblem::Form)),
            ("https://graph.microsoft.com\\@evil.test/x", Err(LinkProblem::Form)),
            ("https://graph.microsoft.com/x#y", Err(LinkProblem::Form)),
            ("https://graph.microsoft.com/a/../b", Err(LinkProblem::Form)),
            ("//graph.microsoft.com/x", Err(LinkProblem::Form)),
            ("/v1.0/me/calendarView/delta", Err(LinkProblem::Form)),
            ("", Err(LinkProblem::Form)),
            (long.as_str(), Err(LinkProblem::Long)),
        ];
        for (link, expected) in cases {
            assert_eq!(site().check(&Link::new(link)), expected, "{}", link.get(..80).unwrap_or(link));
        }
    }

    #[test]
    fn an_id_stays_one_segment() {
        assert_eq!(encode_segment("AAMk/+=_-.~ é"), "AAMk%2F%2B%3D_-.~%20%C3%A9");
        let site = GraphSite::new("https://graph.microsoft.com", Some("ann@x.test")).unwrap();
        assert_eq!(site.mailbox(), "/users/ann%40x.test");
    }
}
