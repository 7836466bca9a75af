//! The table: one line a measure, ours beside its bound.

/// One line.
#[derive(Default)]
pub struct Line {
    pub measure: String,
    pub bound: String,
    pub ours: String,
    /// Ours against the bound, as the reach is stated.
    pub ratio: String,
    pub reach: String,
    /// `None`: told, not judged.
    pub holds: Option<bool>,
    pub noise: String,
}

/// Collects lines and prints them as they come.
#[derive(Default)]
pub struct Table {
    lines: Vec<Line>,
}

const HEAD: [&str; 7] = ["measure", "bound", "ours", "ratio", "reach", "", "noise"];

impl Line {
    fn cells(&self) -> [String; 7] {
        let verdict = match self.holds {
            Some(true) => "ok",
            Some(false) => "MISSED",
            None => "",
        };
        [
            self.measure.clone(),
            self.bound.clone(),
            self.ours.clone(),
            self.ratio.clone(),
            self.reach.clone(),
            verdict.to_owned(),
            self.noise.clone(),
        ]
    }
}

impl Table {
    pub fn add(&mut self, line: Line) {
        eprintln!("  {}", line.cells().join(" | "));
        self.lines.push(line);
    }

    /// Prints a table that Markdown reads, too.
    pub fn print(&self) {
        let rows: Vec<[String; 7]> = self.lines.iter().map(Line::cells).collect();
        let mut widths = HEAD.map(|h| h.chars().count());
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let print = |cells: [&str; 7]| {
            let padded: Vec<String> =
                cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            println!("| {} |", padded.join(" | "));
        };
        print(HEAD);
        println!("|{}|", widths.map(|w| "-".repeat(w + 2)).join("|"));
        for row in &rows {
            print(std::array::from_fn(|i| row[i].as_str()));
        }
    }

    pub fn missed(&self) -> usize {
        self.lines.iter().filter(|line| line.holds == Some(false)).count()
    }
}

/// `12,345`
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A duration in seconds, in the unit that reads best.
pub fn seconds(s: f64) -> String {
    if s < 0.001 {
        format!("{:.0} µs", s * 1e6)
    } else if s < 1.0 {
        format!("{:.2} ms", s * 1e3)
    } else {
        format!("{s:.2} s")
    }
}

pub fn percent(part: f64) -> String {
    format!("±{:.0} %", part * 50.0)
}
