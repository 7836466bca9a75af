use crate::model::coded::coded;
use crate::presence::settings::PresenceSettings;

/// The target that stands for "no forwarding".
pub const TARGET_NONE: &str = "none";
/// The target that stands for the voicemail box.
pub const TARGET_VOICEMAIL: &str = "voicemail";
/// The longest target.
const TARGET_CHARS_MAX: usize = 128;

coded! {
    /// Why a forwarding target cannot be used.
    TargetProblem {
        /// There is none.
        Empty = "empty",
        /// It is the user's own line.
        OwnLine = "own_line",
        /// Calls to it come back.
        Loop = "loop",
        /// It may not be forwarded to.
        Forbidden = "forbidden",
    }
}

impl TargetProblem {
    /// As people read it.
    pub const fn text(self) -> &'static str {
        match self {
            TargetProblem::Empty => "the forwarding target is empty",
            TargetProblem::OwnLine => "the forwarding target is the own line",
            TargetProblem::Loop => "calls forwarded to this target come back",
            TargetProblem::Forbidden => "this target must not be forwarded to",
        }
    }
}

/// What is known about the telephone system.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// The user's own numbers, with and without prefixes.
    pub own: Vec<String>,
    /// Numbers that are forwarded to the user's own.
    pub loops: Vec<String>,
    /// Beginnings of numbers that must not be forwarded to.
    pub forbidden: Vec<String>,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines")
            .field("own", &self.own.len())
            .field("loops", &self.loops.len())
            .field("forbidden", &self.forbidden.len())
            .finish()
    }
}

impl Lines {
    /// What the settings say.
    pub fn of(settings: &PresenceSettings) -> Lines {
        Lines {
            own: settings.own_numbers.clone().unwrap_or_default(),
            loops: settings.loop_numbers.clone().unwrap_or_default(),
            forbidden: settings.forbidden_targets.clone().unwrap_or_default(),
        }
    }

    /// What keeps `target` from being used.
    pub fn problem(&self, target: &str) -> Option<TargetProblem> {
        let trimmed = target.trim();
        if trimmed.is_empty() {
            return Some(TargetProblem::Empty);
        }
        if trimmed.eq_ignore_ascii_case(TARGET_NONE) || trimmed.eq_ignore_ascii_case(TARGET_VOICEMAIL) {
            return None;
        }
        if trimmed.chars().any(char::is_control) || trimmed.chars().count() > TARGET_CHARS_MAX {
            return Some(TargetProblem::Forbidden);
        }
        let number = plain(trimmed);
        let is_one_of = |numbers: &[String]| numbers.iter().any(|other| plain(other) == number);
        if is_one_of(&self.own) {
            return Some(TargetProblem::OwnLine);
        }
        if is_one_of(&self.loops) {
            return Some(TargetProblem::Loop);
        }
        let is_forbidden = self
            .forbidden
            .iter()
            .map(|prefix| plain(prefix))
            .any(|p| !p.is_empty() && number.starts_with(&p));
        is_forbidden.then_some(TargetProblem::Forbidden)
    }
}

/// A number as the telephone system dials it: without blanks and punctuation, `00` written as `+`; an address in
/// lower case without its scheme.
fn plain(number: &str) -> String {
    let number = number.trim().to_lowercase();
    let number = number.strip_prefix("tel:").or_else(|| number.strip_prefix("sip:")).unwrap_or(&number);
    if number.contains('@') {
        return number.to_owned();
    }
    let bare: String = number
        .replace("(0)", "")
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '+' | '*' | '#'))
        .collect();
    match bare.strip_prefix("00") {
        Some(rest) => format!("+{rest}"),
        None => bare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_say_which_lines_are_the_users_own() {
        let settings = PresenceSettings {
            own_numbers: Some(vec!["030 1234".into()]),
            forbidden_targets: Some(vec!["0900".into()]),
            ..PresenceSettings::default()
        };
        let lines = Lines::of(&settings);
        assert_eq!(lines.problem("0301234"), Some(TargetProblem::OwnLine));
        assert_eq!(lines.problem("0900 1"), Some(TargetProblem::Forbidden));
    }

    #[test]
    fn a_target_that_cannot_work_says_why() {
        let lines = Lines {
            own: vec!["+49 30 1234-0".into(), "sip:anna@contoso.com".into(), "110".into()],
            loops: vec!["4711".into()],
            forbidden: vec!["0900".into()],
        };
        for (target, problem) in [
            ("", Some(TargetProblem::Empty)),
            ("  ", Some(TargetProblem::Empty)),
            ("0049 (0)30 12340", Some(TargetProblem::OwnLine)),
            ("tel:+493012340", Some(TargetProblem::OwnLine)),
            ("SIP:Anna@contoso.com", Some(TargetProblem::OwnLine)),
            ("4711", Some(TargetProblem::Loop)),
            ("0900 123", Some(TargetProblem::Forbidden)),
            ("12\u{7}3", Some(TargetProblem::Forbidden)),
            ("voicemail", None),
            ("none", None),
            ("1234", None),
        ] {
            assert_eq!(lines.problem(target), problem, "{target}");
        }
    }
}
