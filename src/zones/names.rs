use std::collections::BTreeMap;
use std::sync::LazyLock;

use strum::IntoEnumIterator;
use windows_timezones::WindowsTimezone;

/// Names of UTC, lower case. Asked before CLDR, which would call it `Etc/UTC`.
pub(super) const UTC: [&str; 5] =
    ["utc", "z", "etc/utc", "tzone://microsoft/utc", "coordinated universal time"];

/// What stands where a zone of the user's own making was used, lower case.
pub(super) const CUSTOM: [&str; 2] = ["tzone://microsoft/custom", "customized time zone"];

/// Directories of a system's database that repeat it by other rules.
pub(super) const SHADOWS: [&str; 2] = ["posix/", "right/"];

/// Lower-case Windows names, and their display strings without the offset, to IANA names (CLDR, territory 001).
/// The offset of a display string changes with the law and the Windows version, its cities seldom do.
static WINDOWS: LazyLock<BTreeMap<String, &'static str>> = LazyLock::new(|| {
    let mut names = BTreeMap::new();
    for zone in WindowsTimezone::iter() {
        names.insert(zone.name().to_lowercase(), zone.tzdb_id());
        if let Some(cities) = cities(zone.description()) {
            names.insert(cities.to_lowercase(), zone.tzdb_id());
        }
    }
    names
});

/// Zones that CLDR calls by the name they had when it first listed them, with the name they have now.
const RENAMED: [(&str, &str); 11] = [
    ("Africa/Asmera", "Africa/Asmara"),
    ("America/Buenos_Aires", "America/Argentina/Buenos_Aires"),
    ("America/Godthab", "America/Nuuk"),
    ("America/Indianapolis", "America/Indiana/Indianapolis"),
    ("Asia/Calcutta", "Asia/Kolkata"),
    ("Asia/Katmandu", "Asia/Kathmandu"),
    ("Asia/Rangoon", "Asia/Yangon"),
    ("Asia/Saigon", "Asia/Ho_Chi_Minh"),
    ("Atlantic/Faeroe", "Atlantic/Faroe"),
    ("Europe/Kiev", "Europe/Kyiv"),
    ("Pacific/Enderbury", "Pacific/Kanton"),
];

/// The name that a zone has now, when it had another before.
pub(super) fn renamed(iana: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == iana).map(|(_, new)| *new)
}

/// The IANA name for a lower-case Windows name or display string.
pub(super) fn windows_to_iana(folded: &str) -> Option<&'static str> {
    let name = cities(folded).unwrap_or(folded);
    WINDOWS.get(name).copied()
}

/// The Windows name of the zone with this IANA name, when CLDR calls a Windows zone by it.
pub(super) fn iana_to_windows(iana: &str) -> Option<&'static str> {
    let is_it = |zone: &WindowsTimezone| {
        let known = zone.tzdb_id();
        known == iana || renamed(known) == Some(iana)
    };
    WindowsTimezone::iter().find(is_it).map(|zone| zone.name())
}

/// What follows `(UTC+01:00) ` or `(GMT+01:00) `.
fn cities(display: &str) -> Option<&str> {
    let (_, cities) = display.strip_prefix('(')?.split_once(") ")?;
    Some(cities.trim())
}
