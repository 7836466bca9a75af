//! A table of a TOML text that is read key by key, and the problems met on the way.

use std::cell::RefCell;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::grammar::WINDOW_KEYS;
use crate::config::presence::PRESENCE_KEYS;
use crate::config::{Problem, parse_span};

/// The most problems reported at once.
const PROBLEMS_MAX: usize = 100;
/// The most elements a list may have.
const LIST_MAX: usize = 1_000;
/// The most bytes a text may have.
const TEXT_BYTES_MAX: usize = 4_096;

/// Collects problems; shared by all tables of one text.
pub(super) struct Problems<'t> {
    text: &'t str,
    found: RefCell<Vec<Problem>>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Problems<'t> {
        Problems { text, found: RefCell::new(Vec::new()) }
    }

    /// Notes a problem at a byte of the text.
    pub(super) fn note(&self, at: usize, key: impl Into<String>, message: impl Into<String>) {
        let mut found = self.found.borrow_mut();
        if found.len() < PROBLEMS_MAX {
            found.push(Problem { line: line_of(self.text, at), key: key.into(), message: message.into() });
        }
    }

    /// The problems in the order of lines.
    pub(super) fn into_sorted(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort_by(|a, b| (a.line, &a.key, &a.message).cmp(&(b.line, &b.key, &b.message)));
        found.dedup();
        found
    }
}

/// The line of the byte `at`, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count().saturating_add(1)
}

/// A value with the byte it stands at.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) at: usize,
    pub(super) value: T,
}

/// One table: its dotted name, its values, and which keys it may have.
pub(super) struct Section<'a, 'i> {
    path: String,
    at: usize,
    table: &'a DeTable<'i>,
    known: &'static [&'static str],
    problems: &'a Problems<'i>,
}

impl<'a, 'i> Section<'a, 'i> {
    /// Opens a table and notes every key that is not `known`.
    pub(super) fn open(
        path: impl Into<String>,
        at: usize,
        table: &'a DeTable<'i>,
        known: &'static [&'static str],
        problems: &'a Problems<'i>,
    ) -> Section<'a, 'i> {
        let section = Section { path: path.into(), at, table, known, problems };
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                section.problems.note(key.span().start, section.key(name), unknown_key(name, known));
            }
        }
        section
    }

    /// The dotted name of a key of this table.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Where the key's value stands, else where the table begins.
    pub(super) fn at_key(&self, name: &str) -> usize {
        self.get(name).map_or(self.at, |value| value.span().start)
    }

    /// Notes a problem with the key `name`.
    pub(super) fn note(&self, name: &str, message: impl Into<String>) {
        self.problems.note(self.at_key(name), self.key(name), message);
    }

    fn get(&self, name: &str) -> Option<&'a Spanned<DeValue<'i>>> {
        debug_assert!(self.known.contains(&name), "a key that is read must be known: {name}");
        self.table.get(name)
    }

    fn wrong(&self, name: &str, value: &DeValue<'_>, wanted: &str) {
        self.note(name, format!("must be {wanted}, not {}", type_name(value)));
    }

    /// Whether the key is written at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A text that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<At<String>> {
        let value = self.get(name)?;
        let DeValue::String(text) = value.get_ref() else {
            self.wrong(name, value.get_ref(), "a text in quotes");
            return None;
        };
        match text_problem(text) {
            None => Some(At { at: value.span().start, value: text.to_string() }),
            Some(problem) => {
                self.note(name, problem);
                None
            }
        }
    }

    /// A text that must be there.
    pub(super) fn required_text(&self, name: &str, example: &str) -> Option<At<String>> {
        if !self.has(name) {
            self.problems.note(self.at, self.key(name), format!("is missing: write {name} = \"{example}\""));
        }
        self.text(name)
    }

    /// A flag.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => {
                self.wrong(name, other, "true or false");
                None
            }
        }
    }

    /// A whole number from `min` to `max`.
    pub(super) fn number(&self, name: &str, min: i64, max: i64) -> Option<i64> {
        let value = self.get(name)?;
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong(name, value.get_ref(), "a whole number");
            return None;
        };
        match i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()) {
            Ok(number) if (min..=max).contains(&number) => Some(number),
            Ok(_) | Err(_) => {
                self.note(name, format!("must be from {min} to {max}"));
                None
            }
        }
    }

    /// A duration.
    pub(super) fn span(&self, name: &str) -> Option<Duration> {
        let text = self.text(name)?;
        match parse_span(&text.value) {
            Ok(span) => Some(span),
            Err(error) => {
                self.note(name, error.to_string());
                None
            }
        }
    }

    /// One of fixed words.
    pub(super) fn choice<T>(
        &self,
        name: &str,
        codes: &[&'static str],
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let choice = read(&text.value);
        if choice.is_none() {
            self.note(name, unknown_word(&text.value, codes));
        }
        choice
    }

    /// A list of texts; one text alone counts as a list of one.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<At<String>>> {
        let value = self.get(name)?;
        match value.get_ref() {
            DeValue::String(_) => self.text(name).map(|text| vec![text]),
            DeValue::Array(array) => {
                if array.len() > LIST_MAX {
                    self.note(name, format!("has more than {LIST_MAX} elements"));
                    return None;
                }
                let mut texts = Vec::new();
                for element in array.iter() {
                    match element.get_ref() {
                        DeValue::String(text) => match text_problem(text) {
                            None => texts.push(At { at: element.span().start, value: text.to_string() }),
                            Some(problem) => {
                                self.problems.note(element.span().start, self.key(name), problem);
                            }
                        },
                        other => self.problems.note(
                            element.span().start,
                            self.key(name),
                            format!("must be a list of texts, not of {}", type_name(other)),
                        ),
                    }
                }
                Some(texts)
            }
            other => {
                self.wrong(name, other, "a list of texts");
                None
            }
        }
    }

    /// A list of fixed words; one word alone counts as a list of one.
    pub(super) fn choices<T>(
        &self,
        name: &str,
        codes: &[&'static str],
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut choices = Vec::new();
        for word in self.texts(name)? {
            match read(&word.value) {
                Some(choice) => choices.push(choice),
                None => self.problems.note(word.at, self.key(name), unknown_word(&word.value, codes)),
            }
        }
        Some(choices)
    }

    /// A table below this one.
    pub(super) fn section(&self, name: &str, known: &'static [&'static str]) -> Option<Section<'a, 'i>> {
        let value = self.get(name)?;
        match value.get_ref() {
            DeValue::Table(table) => {
                Some(Section::open(self.key(name), value.span().start, table, known, self.problems))
            }
            other => {
                self.wrong(name, other, "a table");
                None
            }
        }
    }

    /// A table below this one that was opened before: notes nothing again.
    pub(super) fn section_again(
        &self,
        name: &str,
        known: &'static [&'static str],
    ) -> Option<Section<'a, 'i>> {
        let value = self.get(name)?;
        let DeValue::Table(table) = value.get_ref() else { return None };
        let (path, at) = (self.key(name), value.span().start);
        Some(Section { path, at, table, known, problems: self.problems })
    }

    /// The tables of a list (`[[name]]`); `None` when the key is not written.
    pub(super) fn sections(
        &self,
        name: &str,
        known: &'static [&'static str],
    ) -> Option<Vec<Section<'a, 'i>>> {
        let value = self.get(name)?;
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong(name, value.get_ref(), &format!("a list of tables: write [[{}]]", self.key(name)));
            return None;
        };
        if array.len() > LIST_MAX {
            self.note(name, format!("has more than {LIST_MAX} elements"));
            return None;
        }
        let mut sections = Vec::new();
        for element in array.iter() {
            match element.get_ref() {
                DeValue::Table(table) => {
                    let at = element.span().start;
                    sections.push(Section::open(self.key(name), at, table, known, self.problems));
                }
                other => self.problems.note(
                    element.span().start,
                    self.key(name),
                    format!("must be a list of tables, not of {}", type_name(other)),
                ),
            }
        }
        Some(sections)
    }
}

fn text_problem(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        Some("must not be empty".to_owned())
    } else if text.len() > TEXT_BYTES_MAX {
        Some(format!("must not be longer than {TEXT_BYTES_MAX} bytes"))
    } else if text.chars().any(char::is_control) {
        Some("must not contain control characters".to_owned())
    } else {
        None
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a true/false value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Tables whose keys are easily written beside them.
const NESTED: &[(&str, &[&str])] = &[("presence", PRESENCE_KEYS), ("window", WINDOW_KEYS)];

/// What people call a secret that must not stand in a configuration.
const SECRETS: [&str; 9] = [
    "client_secret",
    "secret",
    "password",
    "client_assertion",
    "certificate",
    "private_key",
    "access_token",
    "refresh_token",
    "token",
];

/// "unknown key; did you mean …".
fn unknown_key(name: &str, known: &[&'static str]) -> String {
    if known.contains(&"client_secret_file") && SECRETS.contains(&name.to_ascii_lowercase().as_str()) {
        return "a secret must not stand in a configuration; put it into a file that only this user can read and write client_secret_file = \"path\" (or certificate_file and private_key_file), or into a variable and write client_secret_env = \"NAME\". If it is a real one, replace it in the registration: whoever read this file knows it".to_owned();
    }
    // Written one table too high.
    let nested = NESTED.iter().filter(|(table, _)| known.contains(table)).find_map(|(table, keys)| {
        let near = keys.iter().find(|key| **key == name).copied();
        near.map(|near| format!("unknown key; did you mean `{table}.{near}`?"))
    });
    match (nested, nearest(name, known)) {
        (Some(nested), _) => nested,
        (None, Some(near)) => format!("unknown key; did you mean `{near}`?"),
        (None, None) => format!("unknown key; known here: {}", known.join(", ")),
    }
}

/// "must be one of …".
pub(super) fn unknown_word(word: &str, codes: &[&'static str]) -> String {
    let allowed = codes.iter().map(|code| format!("\"{code}\"")).collect::<Vec<_>>().join(", ");
    match nearest(word, codes) {
        Some(near) => format!("must be one of {allowed}; did you mean \"{near}\"?"),
        None => format!("must be one of {allowed}"),
    }
}

/// The known word that is written most alike, when one is alike at all. Ties go to the first.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word: Vec<char> = word.to_lowercase().replace(['-', ' '], "_").chars().take(64).collect();
    let mut best: Option<(usize, &'k str)> = None;
    for candidate in known {
        let letters: Vec<char> = candidate.to_lowercase().chars().collect();
        let distance = distance(&word, &letters);
        let allowed = (letters.len().max(word.len()) / 3).max(1);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Levenshtein's distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut before = i.saturating_add(1);
        let mut next = vec![before];
        for (right, above) in b.iter().zip(row.iter().skip(1)) {
            let substituted = diagonal.saturating_add(usize::from(left != right));
            before = substituted.min(above.saturating_add(1)).min(before.saturating_add(1));
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(a.len())
}
