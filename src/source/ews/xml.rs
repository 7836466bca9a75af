//! XML in both directions, bounded.
//!
//! A document is read into a small tree, for an answer of EWS is one: a handful of messages that hold items. No
//! document type is accepted and no entity but the five of XML itself is resolved, so nothing can be expanded and
//! nothing outside the document is ever fetched.

use quick_xml::Reader;
use quick_xml::Writer;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

/// How deep elements may nest; Exchange's own answers stay below twenty.
pub const DEPTH_MAX: usize = 64;
/// The most elements of a document.
pub const ELEMENTS_MAX: usize = 400_000;
/// The most attributes that are read of one element.
const ATTRIBUTES_MAX: usize = 32;

/// Why a document is none that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// Not well-formed.
    #[error("not well-formed")]
    Form,
    /// It declares a document type, which is where entities come from.
    #[error("a document type")]
    DocumentType,
    /// It uses an entity that XML itself does not define.
    #[error("an unknown entity")]
    Entity,
    /// Too deep or too many elements.
    #[error("too large")]
    Large,
}

/// One element; prefixes are left out of all names, since servers choose their own.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Element {
    pub name: String,
    attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
    /// Its own text, without that of its children.
    pub text: String,
}

impl Element {
    /// The first child with this name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The element at the end of a path of names.
    pub fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The trimmed text at the end of a path; `None` when it is absent or empty.
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path).map(|element| element.text.trim_ascii()).filter(|text| !text.is_empty())
    }

    /// Whether the text at the end of a path says yes or no; `None` when it says neither.
    pub fn truth_at(&self, path: &[&str]) -> Option<bool> {
        match self.text_at(path)? {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// An attribute's value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first element with this name, this one included, depth first.
    pub fn find(&self, name: &str) -> Option<&Element> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }
}

/// Reads a document.
///
/// # Errors
/// See [`Malformed`].
pub(super) fn parse(document: &[u8]) -> Result<Element, Malformed> {
    let document = std::str::from_utf8(document).map_err(|_| Malformed::Form)?;
    let mut reader = Reader::from_str(document.trim_start_matches('\u{feff}'));
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut count = 0;
    loop {
        match reader.read_event().map_err(|_| Malformed::Form)? {
            Event::Start(start) => {
                count += 1;
                if open.len() >= DEPTH_MAX || count > ELEMENTS_MAX {
                    return Err(Malformed::Large);
                }
                if root.is_some() {
                    return Err(Malformed::Form);
                }
                open.push(element(&start)?);
            }
            Event::Empty(start) => {
                count += 1;
                if open.len() >= DEPTH_MAX || count > ELEMENTS_MAX {
                    return Err(Malformed::Large);
                }
                close(element(&start)?, &mut open, &mut root)?;
            }
            // The reader has checked that it closes what is open.
            Event::End(_) => {
                let element = open.pop().ok_or(Malformed::Form)?;
                close(element, &mut open, &mut root)?;
            }
            Event::Text(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text.xml_content().map_err(|_| Malformed::Form)?);
                }
            }
            Event::CData(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text.xml_content().map_err(|_| Malformed::Form)?);
                }
            }
            Event::GeneralRef(reference) => {
                let element = open.last_mut().ok_or(Malformed::Entity)?;
                if reference.is_char_ref() {
                    // Exchange writes control characters that XML 1.0 has no room for as numbers; they are no text.
                    element.text.extend(reference.resolve_char_ref().ok().flatten());
                } else {
                    let name = reference.decode().map_err(|_| Malformed::Form)?;
                    element.text.push_str(resolve_predefined_entity(&name).ok_or(Malformed::Entity)?);
                }
            }
            Event::DocType(_) => return Err(Malformed::DocumentType),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if open.is_empty() { root.ok_or(Malformed::Form) } else { Err(Malformed::Form) }
}

fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), Malformed> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return Err(Malformed::Form),
    }
    Ok(())
}

fn element(start: &BytesStart<'_>) -> Result<Element, Malformed> {
    let local = |name: &[u8]| std::str::from_utf8(name).map(str::to_owned).map_err(|_| Malformed::Form);
    let mut attributes = Vec::new();
    for attribute in start.attributes().take(ATTRIBUTES_MAX) {
        let attribute = attribute.map_err(|_| Malformed::Form)?;
        let value = attribute.unescape_value().map_err(|_| Malformed::Entity)?;
        attributes.push((local(attribute.key.local_name().as_ref())?, value.into_owned()));
    }
    Ok(Element { name: local(start.local_name().as_ref())?, attributes, ..Element::default() })
}

/// Writes a document: what is opened is closed, and texts lose what XML has no room for.
pub(super) struct Ink(Writer<Vec<u8>>);

impl Ink {
    pub fn new() -> Ink {
        Ink(Writer::new(Vec::with_capacity(2_048)))
    }

    /// An element with what `fill` writes into it.
    pub fn within(&mut self, name: &str, attributes: &[(&str, &str)], fill: impl FnOnce(&mut Ink)) {
        self.event(Event::Start(start(name, attributes)));
        fill(self);
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// An element that holds a text.
    pub fn text(&mut self, name: &str, text: &str) {
        self.leaf(name, &[], text);
    }

    /// An element with attributes that holds a text.
    pub fn leaf(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.within(name, attributes, |ink| ink.event(Event::Text(BytesText::new(&legal(text)))));
    }

    /// What was written by another pen.
    pub fn raw(&mut self, xml: &str) {
        self.event(Event::Text(BytesText::from_escaped(xml)));
    }

    /// An element that holds nothing.
    pub fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.event(Event::Empty(start(name, attributes)));
    }

    pub fn finish(self) -> Vec<u8> {
        self.0.into_inner()
    }

    fn event(&mut self, event: Event<'_>) {
        // Writing into memory does not fail.
        let _ = self.0.write_event(event);
    }
}

fn start<'a>(name: &'a str, attributes: &[(&str, &str)]) -> BytesStart<'a> {
    let mut start = BytesStart::new(name);
    for (name, value) in attributes {
        start.push_attribute((*name, &*legal(value)));
    }
    start
}

/// The text without characters that no XML 1.0 document may hold.
fn legal(text: &str) -> std::borrow::Cow<'_, str> {
    let is_legal = |letter: char| match letter {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        letter => letter >= ' ',
    };
    if text.chars().all(is_legal) {
        text.into()
    } else {
        text.chars().filter(|letter| is_legal(*letter)).collect::<String>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_without_its_prefixes() {
        let root = parse(
            b"\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"utf-8\"?><s:A xmlns:s=\"urn:x\" k=\"1 &amp; 2\"><t:B> a &lt;b&gt; <![CDATA[<c>&]]> &#233;&#x41;</t:B><!-- no --><C/></s:A>",
        )
        .unwrap();
        assert_eq!(root.name, "A");
        assert_eq!(root.attribute("k"), Some("1 & 2"));
        assert_eq!(root.text_at(&["B"]), Some("a <b> <c>& éA"));
        assert_eq!((root.text_at(&["C"]), root.text_at(&["D"])), (None, None));
        assert!(root.find("C").is_some());
    }

    #[test]
    fn no_entity_is_expanded_and_nothing_outside_is_fetched() {
        let bomb = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\">]><l>&c;</l>";
        let outside = "<!DOCTYPE l [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><l>&x;</l>";
        let parameter = "<!DOCTYPE l SYSTEM \"http://127.0.0.1:1/evil.dtd\"><l/>";
        for document in [bomb, outside, parameter] {
            assert_eq!(parse(document.as_bytes()).err(), Some(Malformed::DocumentType));
        }
        assert_eq!(parse(b"<l>&x;</l>").err(), Some(Malformed::Entity));
        assert_eq!(parse(b"<l k=\"&x;\"/>").err(), Some(Malformed::Entity));
    }

    #[test]
    fn depth_and_elements_are_limited() {
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        assert_eq!(parse(deep.as_bytes()).err(), Some(Malformed::Large));
        let many = format!("<a>{}</a>", "<b/>".repeat(ELEMENTS_MAX + 1));
        assert_eq!(parse(many.as_bytes()).err(), Some(Malformed::Large));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for document in
            ["", "x", "<a>", "</a>", "<a></b>", "<a/><b/>", "<a><b></a></b>", "<a k=1/>", "<a k='1' k='2'/>"]
        {
            assert!(parse(document.as_bytes()).is_err(), "{document}");
        }
        assert!(parse(b"<a>\xff</a>").is_err());
    }

    #[test]
    fn what_is_written_reads_back_as_it_was() {
        let mut ink = Ink::new();
        ink.within("m:A", &[("k", "\"<&>'")], |ink| {
            ink.text("t:B", "a & b <c> ]]> \u{0}\u{1b}é");
            ink.empty("t:C", &[]);
        });
        let root = parse(&ink.finish()).unwrap();
        assert_eq!(root.attribute("k"), Some("\"<&>'"));
        assert_eq!(root.text_at(&["B"]), Some("a & b <c> ]]> é"));
    }
}
