use std::ffi::OsString;

/// What a program needs to find its own files, its user's session and its language; nothing that this program may
/// have been given for itself alone.
const NAMES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "SystemRoot",
    "SystemDrive",
    "windir",
    "ComSpec",
    "PATHEXT",
    "TEMP",
    "TMP",
    "USERNAME",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "ProgramData",
    "ProgramFiles",
];

/// The environment of a program that this one starts: the plain part of its own. Secrets that stand in the
/// environment are not handed on.
#[expect(clippy::disallowed_methods, reason = "this room is where the environment is read")]
pub fn program_environment() -> Vec<(OsString, OsString)> {
    NAMES.iter().filter_map(|name| Some(((*name).into(), std::env::var_os(name)?))).collect()
}
