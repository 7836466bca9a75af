//! Who may ask: a total judgement of a few headers.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method};

use crate::local::page::{Sessions, cookie_name, is_open};
use crate::model::Secret;

/// What browsers say about who began a request.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the headers of a request allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// To answer.
    Welcome,
    /// Asked under a name that is not ours: 421.
    ForeignHost,
    /// Asked by a page that is not ours, or that does not say whose it is: 403.
    ForeignOrigin,
    /// Without our token or a session: 401.
    NoToken,
}

/// The door that judges, and what it gave out.
pub(super) struct Doorkeeper<'d> {
    pub(super) address: SocketAddr,
    pub(super) token: &'d Secret,
    pub(super) sessions: &'d Sessions,
}

/// Judges a request to the door.
pub(super) fn judge(door: &Doorkeeper<'_>, method: &Method, path: &str, headers: &HeaderMap) -> Judgement {
    let address = door.address;
    let one = |name| {
        let mut all = headers.get_all(name).iter();
        let first: Option<&http::HeaderValue> = all.next();
        (first.and_then(|value| value.to_str().ok()), first.is_some(), all.next().is_some())
    };
    let (host, _, has_two_hosts) = one(HOST);
    if has_two_hosts || !host.is_some_and(|host| is_ours(host, address)) {
        return Judgement::ForeignHost;
    }
    let (origin, has_origin, has_two_origins) = one(ORIGIN);
    let is_own = origin.and_then(|o| o.strip_prefix("http://")).is_some_and(|host| is_ours(host, address));
    if has_origin && (has_two_origins || !is_own) {
        return Judgement::ForeignOrigin;
    }
    if is_open(path) {
        return Judgement::Welcome;
    }
    let (authorization, has_authorization, has_two) = one(AUTHORIZATION);
    if !has_authorization {
        let is_known = session_of(headers, address).is_some_and(|session| door.sessions.knows(session));
        return match is_known {
            false => Judgement::NoToken,
            // A cookie comes along with what other pages of this machine ask: our page says that it is ours.
            true if is_from_elsewhere(headers) => Judgement::ForeignOrigin,
            true if !has_origin && *method != Method::GET && *method != Method::HEAD => {
                Judgement::ForeignOrigin
            }
            true => Judgement::Welcome,
        };
    }
    let given = authorization.and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match given {
        Some(given) if !has_two && is_equal(given, door.token.expose()) => Judgement::Welcome,
        Some(_) | None => Judgement::NoToken,
    }
}

/// Judges a request that came over the socket of the data directory: the system says that a process of our user asks, so
/// that no token is needed. Browsers cannot be made to come this way; what names a foreign host or any page is refused.
pub(super) fn judge_neighbour(headers: &HeaderMap) -> Judgement {
    let mut hosts = headers.get_all(HOST).iter();
    let is_ours = hosts.next().and_then(|host| host.to_str().ok()).is_some_and(|host| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        name.eq_ignore_ascii_case("localhost")
            || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    });
    match (is_ours && hosts.next().is_none(), headers.contains_key(ORIGIN)) {
        (false, _) => Judgement::ForeignHost,
        (true, true) => Judgement::ForeignOrigin,
        (true, false) => Judgement::Welcome,
    }
}

/// The session that a browser shows; `None` for none or several.
pub(super) fn session_of(headers: &HeaderMap, address: SocketAddr) -> Option<&str> {
    let name = cookie_name(address.port());
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
    let first = ours.next();
    first.filter(|_| ours.next().is_none())
}

/// Whether a browser says that another page, of whatever site, began the request.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get_all(FETCH_SITE).iter().any(|site| site != "same-origin" && site != "none")
}

/// Whether `host` names the door itself: a loopback name or address with its port.
fn is_ours(host: &str, address: SocketAddr) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse::<u16>().ok()),
        Some(_) | None => (host, Some(80)),
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let is_loopback = name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == address.ip());
    is_loopback && port == Some(address.port())
}

/// Compares hashes, whose comparison takes the same time wherever they differ.
fn is_equal(given: &str, token: &str) -> bool {
    blake3::hash(given.as_bytes()) == blake3::hash(token.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_that_name_the_door_and_bear_its_token_are_welcome() {
        use Judgement::{ForeignHost, ForeignOrigin, NoToken, Welcome};
        let address: SocketAddr = "127.0.0.1:4711".parse().unwrap();
        let token = Secret::new("sesame");
        let sessions = Sessions::default();
        let door = Doorkeeper { address, token: &token, sessions: &sessions };
        type Row<'r> = (&'r str, &'r [(&'r str, &'r str)], Judgement);
        let rows: &[Row<'_>] = &[
            ("a program", &[("host", "127.0.0.1:4711"), ("authorization", "Bearer sesame")], Welcome),
            ("by name", &[("host", "LocalHost:4711"), ("authorization", "bearer sesame")], Welcome),
            ("by IPv6", &[("host", "[::1]:4711"), ("authorization", "Bearer sesame")], Welcome),
            ("no host", &[("authorization", "Bearer sesame")], ForeignHost),
            ("no port", &[("host", "127.0.0.1"), ("authorization", "Bearer sesame")], ForeignHost),
            ("another port", &[("host", "127.0.0.1:80"), ("authorization", "Bearer sesame")], ForeignHost),
            (
                "a rebound name",
                &[("host", "evil.example:4711"), ("authorization", "Bearer sesame")],
                ForeignHost,
            ),
            (
                "a name that begins like ours",
                &[("host", "localhost.evil.example:4711"), ("authorization", "Bearer sesame")],
                ForeignHost,
            ),
            ("two hosts", &[("host", "127.0.0.1:4711"), ("host", "evil.example")], ForeignHost),
            (
                "a page of ours",
                &[
                    ("host", "127.0.0.1:4711"),
                    ("origin", "http://127.0.0.1:4711"),
                    ("authorization", "Bearer sesame"),
                ],
                Welcome,
            ),
            (
                "a foreign page that has the token",
                &[
                    ("host", "127.0.0.1:4711"),
                    ("origin", "https://evil.example"),
                    ("authorization", "Bearer sesame"),
                ],
                ForeignOrigin,
            ),
            (
                "a page without origin",
                &[("host", "127.0.0.1:4711"), ("origin", "null"), ("authorization", "Bearer sesame")],
                ForeignOrigin,
            ),
            (
                "a page of another port",
                &[("host", "127.0.0.1:4711"), ("origin", "http://127.0.0.1:8080")],
                ForeignOrigin,
            ),
            ("no token", &[("host", "127.0.0.1:4711")], NoToken),
            ("a wrong token", &[("host", "127.0.0.1:4711"), ("authorization", "Bearer sesam")], NoToken),
            ("another scheme", &[("host", "127.0.0.1:4711"), ("authorization", "Basic sesame")], NoToken),
            (
                "two tokens",
                &[
                    ("host", "127.0.0.1:4711"),
                    ("authorization", "Bearer sesame"),
                    ("authorization", "Bearer sesame"),
                ],
                NoToken,
            ),
        ];
        for (name, headers, expected) in rows {
            let mut map = HeaderMap::new();
            for (key, value) in *headers {
                let key = http::HeaderName::from_bytes(key.as_bytes()).unwrap();
                map.append(key, value.parse().unwrap());
            }
            assert_eq!(judge(&door, &Method::GET, "/v1/status", &map), *expected, "{name}");
        }
    }

    #[test]
    fn a_browser_with_a_session_is_welcome_to_what_our_page_asks() {
        use Judgement::{ForeignHost, ForeignOrigin, NoToken, Welcome};
        let address: SocketAddr = "127.0.0.1:4711".parse().unwrap();
        let token = Secret::new("sesame");
        let sessions = Sessions::default();
        let session = sessions.enter(sessions.invite(0).expose(), 0).unwrap();
        let door = Doorkeeper { address, token: &token, sessions: &sessions };
        let cookie = format!("theme=dark; calmirror-4711={}", session.expose());
        let other = format!("calmirror-4712={}", session.expose());
        let twice = format!("calmirror-4711=x; calmirror-4711={}", session.expose());
        let ours = ("origin", "http://127.0.0.1:4711");
        type Row<'r> = (&'r str, Method, &'r str, Vec<(&'r str, &'r str)>, Judgement);
        let rows: Vec<Row<'_>> = vec![
            ("a question", Method::GET, "/v1/status", vec![("cookie", &cookie)], Welcome),
            ("an act of our page", Method::POST, "/v1/sync", vec![("cookie", &cookie), ours], Welcome),
            ("an act of nobody's", Method::POST, "/v1/sync", vec![("cookie", &cookie)], ForeignOrigin),
            (
                "a deletion of nobody's",
                Method::DELETE,
                "/v1/events/1",
                vec![("cookie", &cookie)],
                ForeignOrigin,
            ),
            (
                "an act of a neighbour on this machine",
                Method::POST,
                "/v1/sync",
                vec![("cookie", &cookie), ("origin", "http://127.0.0.1:8080")],
                ForeignOrigin,
            ),
            (
                "a question of a neighbour on this machine",
                Method::GET,
                "/v1/status",
                vec![("cookie", &cookie), ("sec-fetch-site", "same-site")],
                ForeignOrigin,
            ),
            (
                "a question of our page",
                Method::GET,
                "/v1/status",
                vec![("cookie", &cookie), ("sec-fetch-site", "same-origin")],
                Welcome,
            ),
            ("the cookie of another door", Method::GET, "/v1/status", vec![("cookie", &other)], NoToken),
            ("two cookies of ours", Method::GET, "/v1/status", vec![("cookie", &twice)], NoToken),
            (
                "a wrong token beside the cookie",
                Method::GET,
                "/v1/status",
                vec![("cookie", &cookie), ("authorization", "Bearer 0")],
                NoToken,
            ),
            ("the page before it is signed in", Method::GET, "/", vec![], Welcome),
            ("a file of the page", Method::GET, "/page/page.css", vec![], Welcome),
            ("the page in a frame of another", Method::GET, "/", vec![("origin", "null")], ForeignOrigin),
            (
                "the page under another name",
                Method::GET,
                "/",
                vec![("host", "evil.example:4711")],
                ForeignHost,
            ),
        ];
        for (name, method, path, headers, expected) in rows {
            let mut map = HeaderMap::new();
            if headers.iter().all(|(key, _)| *key != "host") {
                map.append(HOST, "127.0.0.1:4711".parse().unwrap());
            }
            for (key, value) in headers {
                map.append(HeaderName::from_bytes(key.as_bytes()).unwrap(), value.parse().unwrap());
            }
            assert_eq!(judge(&door, &method, path, &map), expected, "{name}");
        }
    }
}
