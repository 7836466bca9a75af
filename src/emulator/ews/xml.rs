//! XML as a growing text.

use std::fmt::Write;

/// Elements one after the other.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Xml(String);

impl Xml {
    pub fn within(&mut self, name: &str, attributes: &[(&str, &str)], fill: impl FnOnce(&mut Xml)) {
        self.open(name, attributes);
        self.0.push('>');
        fill(self);
        // Writing into a text does not fail.
        let _ = write!(self.0, "</{name}>");
    }

    pub fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.open(name, attributes);
        self.0.push_str("/>");
    }

    pub fn text(&mut self, name: &str, text: &str) {
        self.within(name, &[], |xml| xml.escaped(text));
    }

    pub fn truth(&mut self, name: &str, truth: bool) {
        self.text(name, if truth { "true" } else { "false" });
    }

    /// Text that is XML already.
    pub fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    pub fn finish(self) -> String {
        self.0
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            let _ = write!(self.0, " {name}=\"");
            self.escaped(value);
            self.0.push('"');
        }
    }

    /// As Exchange does it: carriage returns as numbers, control characters as numbers that XML 1.0 does not know.
    fn escaped(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\n' | '\t' => self.0.push(letter),
                letter if letter < ' ' => {
                    let _ = write!(self.0, "&#x{:X};", u32::from(letter));
                }
                letter => self.0.push(letter),
            }
        }
    }
}
