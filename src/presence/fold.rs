use icu_normalizer::DecomposingNormalizerBorrowed;

/// The text without case and accents, for comparing: `Straße` and `STRASSE`, `Café` and `cafe` fold to the same.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Upper case first: it is what spells out `ß` and the final sigma.
    let folded = text.to_uppercase().to_lowercase();
    DecomposingNormalizerBorrowed::new_nfkd()
        .normalize_iter(folded.chars())
        .filter(|c| !is_accent(*c))
        .collect()
}

/// The blocks of combining marks that decomposed letters leave behind.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}')
}

/// Whether `needle` stands in `text` as a whole word (or words); both are folded.
pub(super) fn has_word(text: &str, needle: &str) -> bool {
    if needle.is_empty() {
        return false;
    }
    text.match_indices(needle).any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at.saturating_add(needle.len())..).and_then(|t| t.chars().next());
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_accents_do_not_count() {
        for (one, other) in [
            ("Straße", "STRASSE"),
            ("Café", "cafe"),
            ("Cafe\u{301}", "CAFÉ"),
            ("Σίσυφος", "σισυφοσ"),
            ("Ärzte", "arzte"),
            ("Kunde:", "KUNDE:"),
        ] {
            assert_eq!(fold(one), fold(other), "{one}");
        }
        assert_ne!(fold("Kunde"), fold("Kunden"));
    }

    #[test]
    fn a_word_is_whole() {
        assert!(has_word("call with arzt, 9 am", "arzt"));
        assert!(has_word("arzt", "arzt"));
        assert!(!has_word("arzthelfer", "arzt"));
        assert!(has_word("tierarzt und arzt", "arzt"));
        assert!(!has_word("anything", ""));
        assert!(has_word("im home office heute", "home office"));
    }
}
