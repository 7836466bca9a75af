//! Who may ask: a total judgement of three headers.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, ORIGIN};

use crate::model::Secret;

/// What the headers of a request allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// To answer.
    Welcome,
    /// Asked under a name that is not ours: 421.
    ForeignHost,
    /// Asked by a page that is not ours: 403.
    ForeignOrigin,
    /// Without our token: 401.
    NoToken,
}

/// Judges a request to the door at `address`.
pub(super) fn judge(headers: &HeaderMap, address: SocketAddr, token: &Secret) -> Judgement {
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
    let (authorization, _, has_two) = one(AUTHORIZATION);
    let given = authorization.and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match given {
        Some(given) if !has_two && is_equal(given, token.expose()) => Judgement::Welcome,
        Some(_) | None => Judgement::NoToken,
    }
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
            assert_eq!(judge(&map, address, &token), *expected, "{name}");
        }
    }
}
