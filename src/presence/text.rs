use std::sync::Arc;

use crate::presence::event::Event;
use crate::presence::{Availability, StatusText};

/// The longest published text, in characters.
pub const TEXT_CHARS_MAX: usize = 120;

/// The fixed text of a profile: it says neither times nor what the time is for.
pub(super) fn generic(kind: StatusText, availability: Availability) -> Option<Arc<str>> {
    match kind {
        StatusText::None => None,
        StatusText::Generic | StatusText::Category | StatusText::Subject => Some(label(availability).into()),
    }
}

/// What the availability is called.
pub(super) const fn label(availability: Availability) -> &'static str {
    match availability {
        Availability::Available => "Available",
        Availability::Busy => "Busy",
        Availability::DoNotDisturb => "Do not disturb",
        Availability::BeRightBack => "Be right back",
        Availability::Away => "Away",
        Availability::OutOfOffice => "Out of office",
        Availability::WorkingElsewhere => "Working elsewhere",
        Availability::Offline => "Offline",
    }
}

/// What `event` lets a profile of this kind publish instead of its fixed text.
pub(super) fn of_event(kind: StatusText, event: &Event) -> Option<Arc<str>> {
    let content = event.content()?;
    let text = match kind {
        StatusText::None | StatusText::Generic => None,
        StatusText::Category => content.categories.first(),
        StatusText::Subject => content.subject.as_ref(),
    }?;
    let text = one_line(text);
    (!text.is_empty()).then(|| text.into())
}

/// One line of at most [`TEXT_CHARS_MAX`] characters, without control and direction characters.
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            if !line.is_empty() && !line.ends_with(' ') {
                line.push(' ');
            }
        } else if !is_invisible(c) {
            line.push(c);
        }
    }
    let line = line.trim_end();
    if line.chars().count() <= TEXT_CHARS_MAX {
        return line.to_owned();
    }
    let mut cut: String = line.chars().take(TEXT_CHARS_MAX.saturating_sub(1)).collect();
    cut.truncate(cut.trim_end_matches(|c: char| c.is_whitespace() || c == '\u{200d}').len());
    cut.push('…');
    cut
}

/// Marks, embeddings, overrides and isolates of direction; byte order mark, soft hyphen, zero-width space, tags.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{e0000}'..='\u{e007f}'
        | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_one_short_line() {
        assert_eq!(one_line("  a\r\n\u{202e}b\t\u{7}c\u{2028}d "), "a b c d");
        assert_eq!(one_line("\u{200f}\n"), "");
        let long = one_line(&"ä ".repeat(300));
        assert!(long.chars().count() <= TEXT_CHARS_MAX);
        assert!(long.ends_with('…'));
        assert_eq!(one_line(&"x".repeat(TEXT_CHARS_MAX)).chars().count(), TEXT_CHARS_MAX);
    }
}
