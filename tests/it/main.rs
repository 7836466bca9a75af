//! The rooms tested from outside, on real SQLite, real HTTP over loopback and the real program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

mod actuate;
mod application;
#[cfg(unix)]
mod capi;
mod cli;
mod config;
mod door;
mod edits;
mod emulator;
mod engine;
mod ews;
mod hostile;
mod ical;
mod kill;
mod local;
mod local_page;
mod look;
mod openapi;
#[cfg(unix)]
mod presence;
#[cfg(all(unix, debug_assertions))]
mod presence_night;
mod presence_sim;
#[cfg(unix)]
mod presence_watch;
mod pull;
mod push;
mod readers;
mod reminder;
mod sign_in;
mod sim;
mod stage;
#[cfg(all(feature = "keyring", target_os = "linux"))]
mod vault;
mod writes;
