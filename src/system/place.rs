use std::path::PathBuf;

use etcetera::BaseStrategy;

/// Where the system keeps its time zone database; elsewhere than on Unix there is none, and the compiled-in one is
/// used.
pub const ZONE_DIR: &str = "/usr/share/zoneinfo";

/// The folder name under the platform's directories.
const FOLDER: &str = "calmirror";

/// Where the configuration lies unless said otherwise: `$XDG_CONFIG_HOME/calmirror/config.toml`,
/// `~/Library/Preferences/calmirror/config.toml` or `%APPDATA%\calmirror\config.toml`. `None` without a home.
pub fn default_config_path() -> Option<PathBuf> {
    let places = etcetera::base_strategy::choose_native_strategy().ok()?;
    Some(places.config_dir().join(FOLDER).join("config.toml"))
}

/// Where the data lies unless said otherwise: `$XDG_DATA_HOME/calmirror`,
/// `~/Library/Application Support/calmirror` or `%LOCALAPPDATA%\calmirror` (a database must not roam).
pub fn default_data_dir() -> Option<PathBuf> {
    let places = etcetera::base_strategy::choose_native_strategy().ok()?;
    let above = if cfg!(windows) { places.cache_dir() } else { places.data_dir() };
    Some(above.join(FOLDER))
}

/// The user's home directory.
pub fn home_dir() -> Option<PathBuf> {
    etcetera::home_dir().ok()
}

/// The machine's time zone as an IANA name, when it has one.
pub fn time_zone_name() -> Option<String> {
    jiff::tz::TimeZone::system().iana_name().map(str::to_owned)
}
