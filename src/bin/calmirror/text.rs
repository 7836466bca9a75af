//! Text from a server on its way to a terminal, and the small words of human output.

use std::fmt::Write as _;

use calmirror::config::{Effective, Method};

/// Marks that change the direction of the text around them: a subject must not reorder the line it stands in.
/// Also invisible marks that terminals disagree about.
const fn is_deceptive(letter: char) -> bool {
    matches!(letter,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Why an account is not synchronized and who can change that, when the configuration forbids it.
pub fn policy_text(account: &Effective) -> Option<&'static str> {
    if account.is_synchronized() {
        None
    } else if account.method.value == Method::Off {
        Some("its group's `method` is `off`; an administrator can change that")
    } else {
        Some("its group does not allow Office 365; an administrator can set `allow_office365 = true`")
    }
}

/// One line without control and direction characters. White space becomes one blank.
pub fn clean(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_whitespace() || matches!(letter, '\u{2028}' | '\u{2029}') {
            if !line.ends_with(' ') && !line.is_empty() {
                line.push(' ');
            }
        } else if !letter.is_control() && !is_deceptive(letter) {
            line.push(letter);
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// The same for a text of several lines.
pub fn clean_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(clean).collect();
    lines.join("\n").trim_end().to_owned()
}

/// Writes control and direction characters of a JSON text as escapes: the same document, and harmless to a
/// terminal. They can only stand inside its strings.
pub fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter != '\n' && (letter.is_control() || is_deceptive(letter)) {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

/// "12 minutes", "1 hour", "3 days".
pub fn rough_span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    plural(count.unsigned_abs(), unit)
}

/// "as of 12 minutes ago", "as of now", or that nothing was pulled yet.
pub fn age(as_of: Option<&str>, now_ms: i64) -> String {
    match as_of.and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok()) {
        None => "not complete yet: run `calmirror sync`".to_owned(),
        Some(at) => {
            let seconds = now_ms.saturating_sub(at.timestamp_millis()) / 1_000;
            if seconds < 2 { "as of now".to_owned() } else { format!("as of {} ago", rough_span(seconds)) }
        }
    }
}

/// "1 page", "2 pages", "10,000 events".
pub fn plural(count: u64, unit: &str) -> String {
    format!("{} {unit}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// 1234567 as "1,234,567".
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_cannot_drive_the_terminal() {
        for (text, expected) in [
            ("Stand-up", "Stand-up"),
            ("\u{1b}]0;owned\u{7}\u{1b}[31mred\u{1b}[0m", "]0;owned[31mred[0m"),
            ("\u{9b}31mred", "31mred"),
            ("a\u{202e}gpj.exe", "agpj.exe"),
            ("two\r\nlines\tand  more ", "two lines and more"),
            ("\u{2066}x\u{2069}\u{200f}", "x"),
            ("Grüße 👩‍👩‍👧 日本", "Grüße 👩‍👩‍👧 日本"),
            ("\0\u{feff}", ""),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
        }
        assert_eq!(clean_lines("a \u{1b}[2J\r\nb\u{202e}\n\n"), "a [2J\nb");
    }

    #[test]
    fn escaped_json_is_the_same_document() {
        let value = serde_json::json!({"subject": "a\u{9b}b\u{202e}c\u{1b}\u{e0001}\n\"ü\""});
        let text = escape_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.chars().any(|c| c != '\n' && (c.is_control() || is_deceptive(c))));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn an_age_is_said_in_words() {
        let now_ms = 1_764_000_000_000;
        for (seconds, expected) in [
            (0, "as of now"),
            (-100, "as of now"),
            (42, "as of 42 seconds ago"),
            (60, "as of 1 minute ago"),
            (720, "as of 12 minutes ago"),
            (3_600, "as of 1 hour ago"),
            (172_800, "as of 2 days ago"),
        ] {
            let at = chrono::DateTime::from_timestamp_millis(now_ms - seconds * 1_000).unwrap().to_rfc3339();
            assert_eq!(age(Some(&at), now_ms), expected);
        }
        assert_eq!(age(None, now_ms), "not complete yet: run `calmirror sync`");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(plural(100, "page"), "100 pages");
    }
}
