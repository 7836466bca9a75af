//! Results on stdout, everything else on stderr.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stderr, Stdout, Write};

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde::Serialize;

use crate::setup::{Failure, environment};
use crate::text::escape_json;

/// Narrower terminals get what a terminal of this width would show.
const WIDTH_MIN: u16 = 40;

/// Below this tables leave out what can be left out.
const WIDTH_ROOMY: u16 = 60;

/// Where a command writes.
pub struct Output {
    stdout: BufWriter<Stdout>,
    stderr: Stderr,
    is_json: bool,
    is_terminal: bool,
    is_colored: bool,
    is_progress_shown: bool,
    width: Option<u16>,
    margin: &'static str,
}

/// How a piece of text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Heading,
    Faint,
    Good,
    Warning,
    Bad,
    Accent,
}

impl Output {
    pub fn new(is_json: bool) -> Output {
        let is_terminal = io::stdout().is_terminal();
        let is_dumb = environment("TERM").is_some_and(|term| term == "dumb");
        let no_color = environment("NO_COLOR").is_some_and(|value| !value.is_empty());
        let columns = environment("COLUMNS").and_then(|text| text.parse::<u16>().ok());
        let width = Table::new().width().filter(|_| is_terminal).or(columns);
        Output {
            stdout: BufWriter::new(io::stdout()),
            stderr: io::stderr(),
            is_json,
            is_terminal,
            is_colored: is_terminal && !is_dumb && !no_color,
            is_progress_shown: io::stderr().is_terminal() && !is_dumb && !is_json,
            width: width.map(|width| width.max(WIDTH_MIN)),
            margin: "",
        }
    }

    /// Whether the caller asked for JSON.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether a person looks at stdout.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Whether tables must do with little room.
    pub fn is_narrow(&self) -> bool {
        self.width.is_some_and(|width| width < WIDTH_ROOMY)
    }

    /// Whether bars and spinners may be drawn on stderr.
    pub fn is_progress_shown(&self) -> bool {
        self.is_progress_shown
    }

    /// Whether colors are wanted.
    pub fn is_colored(&self) -> bool {
        self.is_colored
    }

    /// Prints one JSON document.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(Failure::bug)?;
        Ok(writeln!(self.stdout, "{}", escape_json(&text))?)
    }

    /// Prints one JSON document on one line, at once.
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(Failure::bug)?;
        writeln!(self.stdout, "{}", escape_json(&text))?;
        Ok(self.stdout.flush()?)
    }

    /// Prints everything that `print` prints behind `margin`, also what a table breaks into a second line.
    pub fn indented(
        &mut self,
        margin: &'static str,
        print: impl FnOnce(&mut Output) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let outer = std::mem::replace(&mut self.margin, margin);
        let printed = print(self);
        self.margin = outer;
        printed
    }

    /// Prints one line of human output. Its texts must have been cleaned.
    pub fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        let line = line.to_string();
        let margin = if line.is_empty() { "" } else { self.margin };
        Ok(writeln!(self.stdout, "{margin}{line}")?)
    }

    /// Prints bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.stdout.write_all(bytes)?)
    }

    /// Prints a table, fitted to the width.
    pub fn table(&mut self, table: &mut Table) -> Result<(), Failure> {
        match self.width {
            Some(width) => {
                let margin = u16::try_from(self.margin.len()).unwrap_or(0);
                let width = width.saturating_sub(margin);
                table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            }
            None => {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        if self.is_colored {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for line in table.lines() {
            writeln!(self.stdout, "{}{}", self.margin, line.trim_end())?;
        }
        Ok(())
    }

    /// The text with its tone, if colors are wanted.
    pub fn tone(&self, text: impl Display, tone: Tone) -> String {
        let code = match tone {
            Tone::Plain => return text.to_string(),
            Tone::Heading => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
            Tone::Accent => "36",
        };
        if self.is_colored { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }

    /// Says something beside the result, on stderr.
    pub fn note(&mut self, line: impl Display) {
        // Nobody to tell when stderr is closed.
        let _ = writeln!(self.stderr, "{line}");
    }

    /// Makes everything visible.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }

    /// Says why the command failed, on stderr; with `--json` as a document of its own.
    pub fn complain(&mut self, failure: &Failure) {
        let _ = self.stdout.flush();
        if self.is_json {
            let text = serde_json::to_string(&failure.to_json()).unwrap_or_default();
            self.note(escape_json(&text));
        } else {
            self.note(failure);
        }
    }
}

/// A table without lines around it. Columns named in `fixed` keep their contents on one line.
pub fn plain_table(columns: usize, fixed: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_truncation_indicator("…");
    table.set_constraints((0..columns).map(|column| {
        if fixed.contains(&column) {
            ColumnConstraint::ContentWidth
        } else {
            ColumnConstraint::LowerBoundary(Width::Fixed(8))
        }
    }));
    table
}

/// A cell with its tone.
pub fn cell(text: impl Display, tone: Tone) -> Cell {
    let cell = Cell::new(text);
    match tone {
        Tone::Plain => cell,
        Tone::Heading => cell.add_attribute(Attribute::Bold),
        Tone::Faint => cell.add_attribute(Attribute::Dim),
        Tone::Good => cell.fg(Color::DarkGreen),
        Tone::Warning => cell.fg(Color::DarkYellow),
        Tone::Bad => cell.fg(Color::DarkRed),
        Tone::Accent => cell.fg(Color::DarkCyan),
    }
}
