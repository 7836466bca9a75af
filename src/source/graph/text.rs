/// One line of at most `max` characters without control characters; `None` when nothing visible is left.
///
/// Control characters (C0, DEL, C1) can drive a terminal and have no meaning in a one-line field; line ends and
/// tabs become blanks. The rest, direction marks included, is the user's text and stays.
pub(in crate::source) fn line(text: &str, max: usize) -> Option<String> {
    clean(text, max, |letter| match letter {
        '\n' | '\t' => Some(' '),
        _ => (!letter.is_control()).then_some(letter),
    })
}

/// Text of several lines of at most `max` characters: as [`line`], but tabs and line ends stay, as `\n`.
pub(in crate::source) fn block(text: &str, max: usize) -> Option<String> {
    clean(text, max, |letter| (!letter.is_control() || matches!(letter, '\n' | '\t')).then_some(letter))
}

/// Most texts need nothing: they are copied whole. Others are copied piece by piece between the letters that a
/// closer look is due to.
fn clean(text: &str, max: usize, keep: impl Fn(char) -> Option<char>) -> Option<String> {
    let text = cut(text, max);
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, odd)) = rest.split_at_checked(plain_bytes(rest.as_bytes())) {
        cleaned.push_str(plain);
        let mut letters = odd.chars();
        let Some(letter) = letters.next() else { break };
        cleaned.extend(keep(letter));
        rest = letters.as_str();
    }
    (!cleaned.trim_start().is_empty()).then_some(cleaned)
}

/// The first `max` characters.
fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    text.char_indices().nth(max).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// How many bytes from the start are surely no control character: neither C0 nor DEL, nor the first byte of what
/// may be a C1 in UTF-8. Looks at a block at a time, without a branch a byte.
fn plain_bytes(bytes: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let odd = |byte: u8| u8::from(byte < 0x20) | u8::from(byte == 0x7F) | u8::from(byte == 0xC2);
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let is_plain = |block: &&[u8; BLOCK]| block.iter().fold(0, |sum, byte| sum | odd(*byte)) == 0;
    let from = blocks.iter().take_while(is_plain).count() * BLOCK;
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|byte| odd(*byte) != 0).unwrap_or(rest.len())
}

/// Whether every byte is visible ASCII or part of a longer character that is no C1.
pub(in crate::source) fn is_plain(text: &str) -> bool {
    plain_bytes(text.as_bytes()) == text.len()
}

/// An address a browser may be asked to open; `None` for other schemes (`javascript:`, `file:`) and overlong ones.
pub(in crate::source) fn web_address(text: &str, max: usize) -> Option<String> {
    let scheme = text.split_once("://")?.0;
    let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    let is_clean =
        text.len() <= max && !text.contains(' ') && (is_plain(text) || !text.contains(char::is_control));
    (is_web && is_clean).then(|| text.to_owned())
}

/// The text of an HTML body, for a server that ignores the wish for plain text: tags, styles and scripts are
/// left out, blocks become lines, the common entities are read. Not a browser; good enough to read and to search.
pub(in crate::source) fn of_html(html: &str, max: usize) -> Option<String> {
    let mut text = String::new();
    let mut rest = html;
    let mut count = 0;
    while count < max && !rest.is_empty() {
        let at = rest.find(['<', '&']).unwrap_or(rest.len());
        let (plain, marked) = rest.split_at_checked(at)?;
        for letter in plain.chars().take(max - count) {
            count += 1;
            text.push(if letter == '\n' || letter == '\r' { ' ' } else { letter });
        }
        rest = if marked.starts_with('<') {
            skip_tag(marked, &mut text)
        } else if marked.starts_with('&') {
            count += 1;
            push_entity(marked, &mut text)
        } else {
            marked
        };
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    block(&lines.join("\n"), max)
}

/// Skips the tag that `marked` starts with, and the content of a style or script.
fn skip_tag<'a>(marked: &'a str, text: &mut String) -> &'a str {
    const COMMENT: &str = "<!--";
    if marked.starts_with(COMMENT) {
        return marked.split_once("-->").map_or("", |(_, rest)| rest);
    }
    let Some((tag, rest)) = marked.split_once('>') else { return "" };
    let name: String =
        tag.chars().skip(1).take_while(|c| c.is_ascii_alphanumeric() || *c == '/').take(12).collect();
    match name.to_ascii_lowercase().trim_end_matches('/') {
        "br" | "p" | "/p" | "div" | "/div" | "tr" | "/tr" | "li" | "/ul" | "/ol" | "hr" | "/h1" | "/h2"
        | "/h3" => {
            text.push('\n');
            rest
        }
        "/td" | "/th" => {
            text.push('\t');
            rest
        }
        "style" => rest.find("</style").and_then(|end| rest.get(end..)).unwrap_or_default(),
        "script" => rest.find("</script").and_then(|end| rest.get(end..)).unwrap_or_default(),
        "title" => rest.find("</title").and_then(|end| rest.get(end..)).unwrap_or_default(),
        _ => rest,
    }
}

/// Reads the entity that `marked` starts with; a lone ampersand is itself.
fn push_entity<'a>(marked: &'a str, text: &mut String) -> &'a str {
    const NAME_MAX: usize = 10;
    let inner = marked.strip_prefix('&').unwrap_or(marked);
    let end = inner.bytes().take(NAME_MAX).position(|b| b == b';');
    let Some((name, rest)) = end.and_then(|end| inner.split_at_checked(end)) else {
        text.push('&');
        return inner;
    };
    let letter = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => match name.strip_prefix('#') {
            Some(number) => match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok().and_then(char::from_u32),
                None => number.parse::<u32>().ok().and_then(char::from_u32),
            },
            None => None,
        },
    };
    match letter {
        Some(letter) => {
            text.push(letter);
            rest.strip_prefix(';').unwrap_or(rest)
        }
        None => {
            text.push('&');
            inner
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_control_characters_and_an_end() {
        let cases = [
            ("Plan", Some("Plan")),
            ("", None),
            (" \u{0}\n ", None),
            ("a\u{1b}[31mb\u{9b}2J", Some("a[31mb2J")),
            ("a\r\nb\tc\rd", Some("a b cd")),
            ("\u{202e}evil\u{200f}", Some("\u{202e}evil\u{200f}")),
            ("12345678901", Some("1234567890")),
            ("ééééééééééé", Some("éééééééééé")),
        ];
        for (text, expected) in cases {
            assert_eq!(line(text, 10).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_block_keeps_its_lines() {
        assert_eq!(block("a\r\n\tb\u{0}\u{7}c", 100).as_deref(), Some("a\n\tbc"));
        assert_eq!(block("\r\n", 100), None);
    }

    #[test]
    fn only_web_addresses_are_kept() {
        assert!(web_address("https://teams.example/l/1", 100).is_some());
        assert!(web_address("HTTP://x.test", 100).is_some());
        for text in
            ["javascript:alert(1)", "file:///etc/passwd", "", "https://x.test/\u{1b}", "https://x.test/a b"]
        {
            assert_eq!(web_address(text, 100), None, "{text:?}");
        }
        assert_eq!(web_address(&format!("https://x.test/{}", "a".repeat(100)), 100), None);
    }

    #[test]
    fn html_is_reduced_to_its_text() {
        let cases = [
            (
                "<html><head><style>p{}</style></head><body><p>Hello&nbsp;<b>you</b></p><p>x &lt; y</p>",
                Some("Hello you\nx < y"),
            ),
            ("a<br/>b<BR>c", Some("a\nb\nc")),
            ("<script>alert(1)</script>", None),
            ("a & b &unknown; &#233;&#x41;&#xD800;", Some("a & b &unknown; éA&#xD800;")),
            ("<!-- x > y -->z", Some("z")),
            ("unclosed <p", Some("unclosed")),
            ("<", None),
        ];
        for (html, expected) in cases {
            assert_eq!(of_html(html, 1000).as_deref(), expected, "{html}");
        }
        assert_eq!(of_html(&"x".repeat(50), 10).as_deref(), Some("xxxxxxxxxx"));
    }
}
