//! Bytes to content lines: line ends, folding, quoted-printable continuations, character sets.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// A content line without its folds, and the number of its first physical line.
pub(super) struct Line<'b> {
    pub(super) number: u64,
    pub(super) bytes: Cow<'b, [u8]>,
}

/// Turns UTF-16 into UTF-8 and takes a byte order mark off; everything else stays, and is decoded line by line.
pub(super) fn plain<'b>(bytes: &'b [u8], charset: Option<&str>) -> Cow<'b, [u8]> {
    if let Some(rest) = bytes.strip_prefix(b"\xEF\xBB\xBF") {
        return Cow::Borrowed(rest);
    }
    let encoding = match bytes {
        [0xFF, 0xFE, ..] | [b'B', 0, ..] => Some(UTF_16LE),
        [0xFE, 0xFF, ..] | [0, b'B', ..] => Some(UTF_16BE),
        _ => charset.and_then(label).filter(|e| *e == UTF_16LE || *e == UTF_16BE),
    };
    match encoding {
        Some(encoding) => Cow::Owned(encoding.decode(bytes).0.into_owned().into_bytes()),
        None => Cow::Borrowed(bytes),
    }
}

/// Decodes one line: UTF-8 if it is, else what the transport named, else windows-1252 (which old exports are in,
/// whatever they say).
pub(super) fn decoded<'b>(bytes: &'b [u8], charset: Option<&str>) -> Cow<'b, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            charset.and_then(label).filter(|e| e.is_single_byte()).unwrap_or(WINDOWS_1252).decode(bytes).0
        }
    }
}

fn label(charset: &str) -> Option<&'static Encoding> {
    Encoding::for_label(charset.trim().trim_matches('"').as_bytes())
}

/// Reads content lines.
pub(super) struct Lines<'b> {
    rest: &'b [u8],
    number: u64,
    /// What ends a line: LF (with or without CR), or CR in files of old Macs.
    end: u8,
}

impl<'b> Lines<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Lines<'b> {
        let end = if bytes.contains(&b'\n') { b'\n' } else { b'\r' };
        Lines { rest: bytes, number: 0, end }
    }

    fn physical(&mut self) -> Option<&'b [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let at = self.rest.iter().position(|byte| *byte == self.end);
        let (line, rest) = match at.and_then(|at| self.rest.split_at_checked(at)) {
            Some((line, rest)) => (line, rest.get(1..).unwrap_or_default()),
            None => (self.rest, [].as_slice()),
        };
        self.rest = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

impl<'b> Iterator for Lines<'b> {
    type Item = Line<'b>;

    fn next(&mut self) -> Option<Line<'b>> {
        let mut bytes = Cow::Borrowed(self.physical()?);
        let number = self.number;
        loop {
            match self.rest.first() {
                // Folded: a multi-byte character may be split here, so bytes are joined before they are decoded.
                Some(b' ' | b'\t') => {
                    let more = self.physical().unwrap_or_default();
                    bytes.to_mut().extend_from_slice(more.get(1..).unwrap_or_default());
                }
                Some(_) if bytes.last() == Some(&b'=') && is_quoted_printable(&bytes) => {
                    let more = self.physical().unwrap_or_default();
                    let joined = bytes.to_mut();
                    joined.pop();
                    joined.extend_from_slice(more);
                }
                Some(_) | None => return Some(Line { number, bytes }),
            }
        }
    }
}

/// Whether the parameters of a line say so, as vCalendar 1.0 does: with the name of the parameter or without.
fn is_quoted_printable(line: &[u8]) -> bool {
    const WORD: &[u8] = b"QUOTED-PRINTABLE";
    let head = line.split(|byte| *byte == b':').next().unwrap_or_default();
    head.windows(WORD.len()).any(|part| part.eq_ignore_ascii_case(WORD))
}

/// Undoes quoted-printable.
pub(super) fn unquoted(text: &str, charset: Option<&str>) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'=' {
            bytes.push(byte);
            continue;
        }
        let mut ahead = rest.clone();
        match (ahead.next().and_then(hex), ahead.next().and_then(hex)) {
            (Some(high), Some(low)) => {
                bytes.push(high << 4 | low);
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    decoded(&bytes, charset).replace("\r\n", "\n")
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
