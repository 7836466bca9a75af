//! An embedded, offline-first calendar sync engine.
//!
//! `calmirror` mirrors a user's Microsoft 365 calendars into one SQLite file by Graph delta queries and
//! answers agenda, search and free/busy questions from that file, with or without a network.
#![doc = include_str!("ARCHITECTURE.md")]

pub mod agenda;
pub mod api;
pub mod config;
pub mod engine;
pub mod flow;
pub mod http;
#[cfg(feature = "local-api")]
pub mod local;
pub mod merge;
pub mod mirror;
pub mod model;
pub mod ports;
pub mod retry;
pub mod source;
pub mod system;
pub mod vault;
pub mod zones;

#[cfg(feature = "emulator")]
pub mod emulator;
#[cfg(feature = "emulator")]
pub mod sim;
