use url::{Host, Url};

/// Characters that the URL standard writes as `%XX` wherever they stand in a path or a query. A server decodes
/// both spellings to the same bytes, so this one rewriting of a state link is harmless.
const ALWAYS_ENCODED: &[u8] = b"\"'<>^`{|}";

/// Parses an absolute `http` or `https` address that goes out as it is written.
///
/// `None` for a relative or malformed address, for a user part, and for one that parsing would change: dot
/// segments, backslashes, blanks, control characters. State links are opaque; re-encoding them broke paging in
/// other clients, so one that cannot be sent as it came is refused rather than repaired. Tolerated are an upper
/// case host, a default port that is spelled out and an empty path (they name the same address), and characters
/// that an address must not contain bare and that are sent as `%XX`.
pub fn plain_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let (scheme, after_scheme) = text.split_once("://")?;
    if !scheme.eq_ignore_ascii_case(url.scheme()) {
        return None;
    }
    let tail_at = after_scheme.find(['/', '?', '#', '\\'])?;
    let (authority, tail) = after_scheme.split_at_checked(tail_at)?;
    if authority.contains('@') {
        return None;
    }
    let parsed_tail = url.as_str().get(url[..url::Position::BeforePath].len()..)?;
    let is_same = is_same_tail(tail.as_bytes(), parsed_tail.as_bytes())
        || (tail.starts_with('?') && is_same_tail(tail.as_bytes(), parsed_tail.as_bytes().get(1..)?));
    is_same.then_some(url)
}

/// Whether the address is one of this machine: `localhost`, `127.0.0.0/8` or `::1`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// The address, if what is sent there can be read by nobody between: `https`, or `http` within this machine.
pub fn guarded_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let url = plain_url(url.as_str())?;
    (url.fragment().is_none() && (url.scheme() == "https" || is_loopback(&url))).then_some(url)
}

fn is_same_tail(raw: &[u8], parsed: &[u8]) -> bool {
    if raw == parsed {
        return true;
    }
    let mut parsed = parsed.iter().copied();
    for byte in raw.iter().copied() {
        match parsed.next() {
            Some(same) if same == byte => {}
            Some(b'%') if ALWAYS_ENCODED.contains(&byte) || byte >= 0x80 => {
                let digits = (parsed.next(), parsed.next());
                if digits != (Some(hex_digit(byte >> 4)), Some(hex_digit(byte & 15))) {
                    return false;
                }
            }
            _ => return false,
        }
    }
    parsed.next().is_none()
}

const fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'A' + value - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_goes_out_as_written_is_accepted() {
        for text in [
            "https://graph.microsoft.com/v1.0/me/calendars/AA%2Bk=/calendarView/delta?$skiptoken=R0-_.~%2b+x",
            "https://GRAPH.microsoft.com/v1.0/me",
            "https://graph.microsoft.com:443/v1.0/me?a=b",
            "http://127.0.0.1:8080/",
            "http://127.0.0.1:8080?x=1",
            "https://graph.microsoft.com/v1.0/me/calendars('AA')/x?$filter='a|b'",
        ] {
            assert!(plain_url(text).is_some(), "{text}");
        }
    }

    #[test]
    fn an_address_that_parsing_would_change_is_refused() {
        for text in [
            "",
            "/v1.0/me",
            "graph.microsoft.com/v1.0",
            "file:///etc/passwd",
            "ftp://graph.microsoft.com/x",
            "https://user@graph.microsoft.com/x",
            "https://:pass@graph.microsoft.com/x",
            "https://@graph.microsoft.com/x",
            "https://graph.microsoft.com\\@evil.test/x",
            "https:\\\\graph.microsoft.com/x",
            "https:graph.microsoft.com/x",
            "https:///graph.microsoft.com/x",
            "https://graph.microsoft.com/a/../b",
            "https://graph.microsoft.com/a/%2e%2e/b",
            "https://graph.microsoft.com/a b",
            "https://graph.microsoft.com/a\nb",
            " https://graph.microsoft.com/a",
            "https://graph.microsoft.com:99999/a",
        ] {
            assert!(plain_url(text).is_none(), "{text}");
        }
    }
}
