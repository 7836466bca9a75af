//! Content lines to components: structure alone, tolerant where it can be, and never deeper than it must be.

use crate::model::Key;
use crate::source::ical::problem::{ProblemKind, Problems, Unusable};
use crate::source::ical::property::Property;
use crate::source::ical::text::{Lines, decoded, plain};
use crate::source::ical::{COMPONENT_BYTES_MAX, COMPONENT_LINES_MAX, COMPONENTS_MAX};

/// Time zones of one file.
const ZONES_MAX: usize = 2_000;
/// Lines that are read for a calendar's name.
const TITLE_LINES_MAX: usize = 200;
/// Parts of a component, and parts of those: no event has parts with parts.
const DEPTH_MAX: usize = 2;

/// One component.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Its name in capitals.
    pub(super) name: String,
    /// The line it begins in.
    pub(super) line: u64,
    /// Its properties.
    pub(super) properties: Vec<Property>,
    /// The components in it.
    pub(super) parts: Vec<Block>,
    /// Whether its calendar carries a cancellation (METHOD:CANCEL).
    pub(super) is_cancellation: bool,
}

impl Block {
    pub(super) fn get(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    pub(super) fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b Property> {
        self.properties.iter().filter(move |property| property.name == name)
    }

    /// The value of a property in capitals, without blanks around.
    pub(super) fn code(&self, name: &str) -> Option<String> {
        self.get(name).map(|property| property.value.trim().to_ascii_uppercase())
    }

    pub(super) fn uid(&self) -> Option<&str> {
        self.get("UID").map(|property| property.value.trim()).filter(|uid| !uid.is_empty())
    }
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) name: Option<String>,
    pub(super) color: Option<String>,
    /// The zone that a calendar names for itself (X-WR-TIMEZONE).
    pub(super) zone: Option<String>,
    pub(super) zones: Vec<Block>,
    pub(super) events: Vec<Block>,
}

/// A component under way.
struct Open {
    block: Block,
    parents: Vec<Block>,
    bytes: usize,
    lines: usize,
    is_too_large: bool,
}

impl Open {
    fn new(name: String, line: u64) -> Open {
        Open {
            block: Block { name, line, ..Block::default() },
            parents: Vec::new(),
            bytes: 0,
            lines: 0,
            is_too_large: false,
        }
    }

    /// The UID of the outermost, if it came already.
    fn uid(&self) -> Option<Key> {
        self.parents.first().unwrap_or(&self.block).uid().map(Key::of_remote)
    }

    fn line(&self) -> u64 {
        self.parents.first().unwrap_or(&self.block).line
    }

    fn weigh(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.lines += 1;
        if self.bytes > COMPONENT_BYTES_MAX || self.lines > COMPONENT_LINES_MAX {
            self.is_too_large = true;
            self.block.properties.retain(|property| property.name == "UID");
            self.block.parts.clear();
        }
    }
}

pub(super) fn read(bytes: &[u8], charset: Option<&str>, problems: &mut Problems) -> Result<File, Unusable> {
    let bytes = plain(bytes, charset);
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<') {
        return Err(Unusable::WebPage);
    }
    let mut file = File::default();
    let mut open: Option<Open> = None;
    // Names of components that nobody wants here, from the outside in; deeper ones are counted alone.
    let mut skipped: Option<(String, usize)> = None;
    let (mut is_inside, mut has_calendar) = (false, false);
    let (mut is_cancellation, mut first_event) = (false, 0);
    for line in Lines::new(&bytes) {
        let mark = mark(&line.bytes);
        if let Some((name, depth)) = &mut skipped {
            match &mark {
                Mark::Begin(inner) if inner == name => *depth += 1,
                Mark::End(inner) if inner == name => {
                    *depth -= 1;
                    if *depth == 0 {
                        skipped = None;
                    }
                    continue;
                }
                // It was cut off, and its calendar goes on or ends.
                Mark::Begin(inner) if inner == "VEVENT" => skipped = None,
                Mark::End(inner) if inner == "VCALENDAR" => skipped = None,
                Mark::Begin(_) | Mark::End(_) | Mark::None => {}
            }
            if skipped.is_some() {
                continue;
            }
        }
        match (mark, open.take()) {
            (Mark::Begin(name), None) if name == "VCALENDAR" => {
                (is_inside, has_calendar) = (true, true);
                (is_cancellation, first_event) = (false, file.events.len());
            }
            (Mark::Begin(name), Some(unclosed)) if name == "VCALENDAR" || name == "VEVENT" => {
                problems.note_at(unclosed.line(), unclosed.uid(), ProblemKind::Unclosed);
                open = (name == "VEVENT").then(|| Open::new(name, line.number));
            }
            (Mark::Begin(name), None) if is_inside && (name == "VEVENT" || name == "VTIMEZONE") => {
                open = Some(Open::new(name, line.number));
            }
            (Mark::Begin(name), None) => skipped = is_inside.then_some((name, 1)),
            (Mark::Begin(name), Some(mut outer)) => {
                if outer.parents.len() < DEPTH_MAX {
                    let inner = Block { name, line: line.number, ..Block::default() };
                    outer.parents.push(std::mem::replace(&mut outer.block, inner));
                } else {
                    skipped = Some((name, 1));
                }
                open = Some(outer);
            }
            (Mark::End(name), None) => {
                if name == "VCALENDAR" {
                    is_inside = false;
                    let events = file.events.get_mut(first_event..).unwrap_or_default();
                    events.iter_mut().for_each(|block| block.is_cancellation = is_cancellation);
                }
            }
            (Mark::End(name), Some(unclosed)) if name == "VCALENDAR" => {
                is_inside = false;
                problems.note_at(unclosed.line(), unclosed.uid(), ProblemKind::Unclosed);
            }
            (Mark::End(name), Some(mut inner)) => match inner.parents.pop() {
                // An end that does not fit ends the innermost: closing in the wrong order loses nothing.
                Some(mut outer) => {
                    let ends_outer = name == outer.name && name != inner.block.name;
                    outer.parts.push(std::mem::take(&mut inner.block));
                    inner.block = outer;
                    if ends_outer && inner.parents.is_empty() {
                        close(&mut file, inner, problems);
                    } else {
                        open = Some(inner);
                    }
                }
                None if name == inner.block.name => close(&mut file, inner, problems),
                None => open = Some(inner),
            },
            (Mark::None, Some(mut inside)) => {
                inside.weigh(line.bytes.len());
                let is_uid = line.bytes.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"UID:"));
                if !inside.is_too_large || (is_uid && line.bytes.len() < 1_000) {
                    match Property::read(&decoded(&line.bytes, charset), charset) {
                        Some(property) => inside.block.properties.push(property),
                        None if line.bytes.iter().all(u8::is_ascii_whitespace) => {}
                        None => problems.note_at(line.number, inside.uid(), ProblemKind::Line),
                    }
                }
                open = Some(inside);
            }
            (Mark::None, None) if is_inside => {
                let text = decoded(&line.bytes, charset);
                let Some(property) = Property::read(&text, charset) else { continue };
                match property.name.as_str() {
                    "X-WR-CALNAME" | "NAME" if file.name.is_none() => {
                        file.name = Some(property.value.trim().to_owned()).filter(|name| !name.is_empty());
                    }
                    "X-WR-TIMEZONE" if file.zone.is_none() => file.zone = Some(property.value),
                    "X-APPLE-CALENDAR-COLOR" | "COLOR" if file.color.is_none() => {
                        file.color = color(&property.value);
                    }
                    "METHOD" => is_cancellation = property.value.trim().eq_ignore_ascii_case("CANCEL"),
                    _ => {}
                }
            }
            (Mark::None, None) => {}
        }
    }
    match (has_calendar, is_inside) {
        (false, _) => Err(Unusable::NoCalendar),
        (true, true) => Err(Unusable::Incomplete),
        (true, false) => Ok(file),
    }
}

fn close(file: &mut File, done: Open, problems: &mut Problems) {
    let (list, most) = match done.block.name.as_str() {
        "VEVENT" => (&mut file.events, COMPONENTS_MAX),
        _ => (&mut file.zones, ZONES_MAX),
    };
    if done.is_too_large {
        problems.note(&done.block, ProblemKind::TooLarge);
    } else if list.len() >= most {
        problems.note(&done.block, ProblemKind::TooMany);
    } else {
        list.push(done.block);
    }
}

/// `#rrggbb` of `#rrggbb` or Apple's `#rrggbbaa`; names of colours are left to whoever draws.
fn color(text: &str) -> Option<String> {
    let digits = text.trim().strip_prefix('#')?;
    let is_color = matches!(digits.len(), 6 | 8) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_color.then(|| format!("#{}", digits.get(..6).unwrap_or_default().to_ascii_lowercase()))
}

enum Mark {
    Begin(String),
    End(String),
    None,
}

fn mark(line: &[u8]) -> Mark {
    let name = |rest: &[u8]| String::from_utf8_lossy(rest.trim_ascii()).to_ascii_uppercase();
    let head = |word: &[u8]| {
        let (head, rest) = line.split_at_checked(word.len())?;
        head.eq_ignore_ascii_case(word).then(|| name(rest))
    };
    head(b"BEGIN:").map(Mark::Begin).or_else(|| head(b"END:").map(Mark::End)).unwrap_or(Mark::None)
}

/// The name and the colour of a calendar, from its first lines: what stands before its first component.
pub(super) fn title(bytes: &[u8], charset: Option<&str>) -> (Option<String>, Option<String>) {
    let bytes = plain(bytes, charset);
    let (mut name, mut colour) = (None, None);
    for line in Lines::new(&bytes).take(TITLE_LINES_MAX) {
        match mark(&line.bytes) {
            Mark::Begin(begun) if begun != "VCALENDAR" => break,
            Mark::Begin(_) | Mark::End(_) => continue,
            Mark::None => {}
        }
        let Some(property) = Property::read(&decoded(&line.bytes, charset), charset) else { continue };
        match property.name.as_str() {
            "X-WR-CALNAME" | "NAME" if name.is_none() => {
                name = Some(property.value.trim().to_owned()).filter(|name| !name.is_empty());
            }
            "X-APPLE-CALENDAR-COLOR" | "COLOR" if colour.is_none() => colour = color(&property.value),
            _ => {}
        }
    }
    (name, colour)
}
