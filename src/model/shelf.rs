use std::path::PathBuf;

/// Where calendars are.
#[derive(Clone, PartialEq, Eq)]
pub enum Shelf {
    /// A file, or a folder whose `.ics` files are one calendar each.
    Path(PathBuf),
    /// An address.
    Url(String),
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Published addresses are secrets: who knows one reads the calendar.
        f.write_str(match self {
            Shelf::Path(_) => "Shelf::Path(…)",
            Shelf::Url(_) => "Shelf::Url(…)",
        })
    }
}
