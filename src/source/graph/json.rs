//! A JSON reader for damaged input: it never fails on what it does not look at.
//!
//! `serde_json` refuses a whole page for one lone surrogate, one `1e400` or one bare control character. This
//! reader walks members and elements as slices, without recursion and without building a tree, and decodes only
//! what is asked for, as well as it can. It is slower and used only where `serde_json` gave up, and for small
//! replies.

use std::borrow::Cow;

/// The input has not the shape asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Calls `each` with name and value of every member of the object that `text` starts with, in order, duplicates
/// included. What follows the object is ignored. A trailing comma is tolerated.
pub(super) fn members<'a>(
    text: &'a str,
    mut each: impl FnMut(Cow<'a, str>, &'a str),
) -> Result<(), Malformed> {
    let mut scan = Scan { text, at: 0 };
    scan.expect(b'{')?;
    loop {
        match scan.peek() {
            Some(b'}') => return Ok(()),
            Some(b'"') => {}
            _ => return Err(Malformed),
        }
        let name = text_of(scan.value()?).ok_or(Malformed)?;
        scan.expect(b':')?;
        let value = scan.value()?;
        each(name, value);
        match scan.peek() {
            Some(b',') => scan.at += 1,
            Some(b'}') => return Ok(()),
            _ => return Err(Malformed),
        }
    }
}

/// Calls `each` with every element of the array that `text` starts with, until it returns `false`.
pub(super) fn elements<'a>(text: &'a str, mut each: impl FnMut(&'a str) -> bool) -> Result<(), Malformed> {
    let mut scan = Scan { text, at: 0 };
    scan.expect(b'[')?;
    loop {
        if scan.peek() == Some(b']') {
            return Ok(());
        }
        let value = scan.value()?;
        if !each(value) {
            return Ok(());
        }
        match scan.peek() {
            Some(b',') => scan.at += 1,
            Some(b']') => return Ok(()),
            _ => return Err(Malformed),
        }
    }
}

/// The value is `null`.
pub(super) fn is_null(value: &str) -> bool {
    value == "null"
}

/// The boolean, if it is one.
pub(super) fn bool_of(value: &str) -> Option<bool> {
    match value {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// The whole number, if it is a number of reasonable size; a fraction is cut.
pub(super) fn whole_of(value: &str) -> Option<i64> {
    if let Ok(whole) = value.parse::<i64>() {
        return Some(whole);
    }
    let number = value.parse::<f64>().ok()?;
    const REACH: f64 = 9e15;
    #[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
    (number.is_finite() && number.abs() <= REACH).then_some(number as i64)
}

/// The text, if the value is a string. Lone surrogates read as U+FFFD, broken escapes are left out.
pub(super) fn text_of(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut letters = escaped.chars();
        let letter = letters.next();
        rest = letters.as_str();
        match letter {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some(same @ ('"' | '\\' | '/')) => text.push(same),
            Some('u') => rest = push_unit(&mut text, rest),
            Some(_) | None => {}
        }
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

/// Reads the four digits of a `\u` escape, and the second half of a surrogate pair if it follows.
fn push_unit<'a>(text: &mut String, rest: &'a str) -> &'a str {
    let Some((unit, rest)) = hex_unit(rest) else { return rest };
    if !(0xD800..0xDC00).contains(&unit) {
        text.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
        return rest;
    }
    let low = rest.strip_prefix("\\u").and_then(hex_unit).filter(|(low, _)| (0xDC00..0xE000).contains(low));
    match low {
        Some((low, rest)) => {
            let joined = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            text.push(char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER));
            rest
        }
        None => {
            text.push(char::REPLACEMENT_CHARACTER);
            rest
        }
    }
}

fn hex_unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The next byte that is no blank; it stays.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte(self.at) {
            self.at += 1;
        }
        self.byte(self.at)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(Malformed);
        }
        self.at += 1;
        Ok(())
    }

    /// The slice of the next value.
    fn value(&mut self) -> Result<&'a str, Malformed> {
        let first = self.peek().ok_or(Malformed)?;
        let from = self.at;
        match first {
            b'"' => self.skip_text()?,
            b'{' | b'[' => self.skip_nested()?,
            _ => self.skip_bare()?,
        }
        self.text.get(from..self.at).ok_or(Malformed)
    }

    fn skip_text(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        loop {
            match self.byte(self.at).ok_or(Malformed)? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    fn skip_nested(&mut self) -> Result<(), Malformed> {
        let mut depth = 0_usize;
        loop {
            match self.byte(self.at).ok_or(Malformed)? {
                b'"' => {
                    self.skip_text()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn skip_bare(&mut self) -> Result<(), Malformed> {
        let from = self.at;
        while let Some(byte) = self.byte(self.at) {
            if matches!(byte, b',' | b'}' | b']' | b':' | b' ' | b'\t' | b'\n' | b'\r' | b'"') {
                break;
            }
            self.at += 1;
        }
        if self.at == from { Err(Malformed) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Option<Vec<(String, String)>> {
        let mut list = Vec::new();
        members(text, |name, value| list.push((name.into_owned(), value.to_owned()))).ok()?;
        Some(list)
    }

    #[test]
    fn members_are_walked_without_looking_into_them() {
        let text = r#" { "a" : [1,{"}":"]"}] , "b":1e400,"a":"\ud800" } trailing"#;
        let list = listed(text).unwrap();
        let list: Vec<_> = list.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(list, [("a", r#"[1,{"}":"]"}]"#), ("b", "1e400"), ("a", r#""\ud800""#)]);
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for text in
            ["", "[", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":[1,2}", "{a:1}", "null", "{\"a\":}"]
        {
            assert_eq!(listed(text), None, "{text}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let text = format!("{{\"a\":{}{},\"b\":true}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(listed(&text).unwrap().len(), 2);
        assert_eq!(listed(&format!("{{\"a\":{}", "[".repeat(200_000))), None);
    }

    #[test]
    fn texts_are_decoded_as_well_as_they_can_be() {
        let cases = [
            (r#""plain""#, Some("plain")),
            (r#""a\n\t\"\\\/\u00e9""#, Some("a\n\t\"\\/é")),
            (r#""\ud83d\ude00""#, Some("😀")),
            (r#""\ud83dx""#, Some("\u{fffd}x")),
            (r#""\ude00""#, Some("\u{fffd}")),
            (r#""\ud83d\u0041""#, Some("\u{fffd}A")),
            (r#""\q\u12""#, Some("12")),
            (r#""\u+123é""#, Some("+123é")),
            ("\"a\u{0}b\"", Some("a\u{0}b")),
            ("12", None),
            ("\"", None),
        ];
        for (value, expected) in cases {
            assert_eq!(text_of(value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn numbers_of_any_spelling_are_read() {
        let cases = [("15", Some(15)), ("15.9", Some(15)), ("1e400", None), ("NaN", None), ("\"15\"", None)];
        for (value, expected) in cases {
            assert_eq!(whole_of(value), expected, "{value}");
        }
    }
}
