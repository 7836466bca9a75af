//! Opens the user's browser: a program with one argument, never a shell.

use std::process::{Command, Stdio};

use crate::setup::environment;

/// Shows `url` in the user's browser. Whether one was started, not whether it shows anything.
pub fn open(url: &str) -> bool {
    candidates().into_iter().any(|command| start(command, url))
}

fn start(command: Vec<String>, url: &str) -> bool {
    let Some((program, arguments)) = command.split_first() else { return false };
    let started = Command::new(program)
        .args(arguments)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match started {
        Ok(mut child) => {
            // Collected when it ends; some browsers end with their last window.
            std::thread::spawn(move || child.wait());
            true
        }
        Err(_) => false,
    }
}

/// `$BROWSER` first, a list of programs; then the desktop's own way.
fn candidates() -> Vec<Vec<String>> {
    let named = environment("BROWSER").unwrap_or_default();
    let separator = if cfg!(windows) { ';' } else { ':' };
    let named = named.split(separator).filter(|name| !name.is_empty()).map(|name| vec![name.to_owned()]);
    let own: &[&str] = if cfg!(windows) {
        // `cmd /c start` would read the address as a command line.
        &["rundll32", "url.dll,FileProtocolHandler"]
    } else if cfg!(target_os = "macos") {
        &["open"]
    } else if ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| environment(name).is_some_and(|value| !value.is_empty()))
    {
        &["xdg-open"]
    } else {
        // A browser in this terminal would fight for it with this program.
        &[]
    };
    let own: Vec<String> = own.iter().map(|&part| part.to_owned()).collect();
    named.chain([own]).collect()
}
