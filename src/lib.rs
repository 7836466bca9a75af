//! An embedded, offline-first calendar sync engine.
//!
//! `calmirror` mirrors a user's Microsoft 365 calendars into one SQLite file by Graph delta queries and
//! answers agenda, search and free/busy questions from that file, with or without a network.
//!
//! # Asking a mirror
//! Readers need no engine, no lock and no network; any number of them may be open in any process.
//! ```
//! use calmirror::api::{AgendaAsk, Look, open_mirror};
//! use calmirror::model::SourceKind;
//! use calmirror::zones::Zones;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let data_dir = folder.path();
//! let zones = Zones::bundled();
//! let zone = zones.resolve("Europe/Berlin").ok_or("a known zone")?;
//! let now_ms = 1_772_438_400_000; // the caller's clock, UTC epoch milliseconds
//! // `None` before the first sync: the answers are empty then and say so.
//! let mirror = open_mirror(&data_dir.join("anna/mirror.db"))?;
//! let look = Look { mirror: mirror.as_ref(), zones: &zones, zone: &zone, now_ms, source: SourceKind::Microsoft365 };
//! let today = zone.day(zone.date(now_ms));
//! let agenda = look.agenda(&AgendaAsk { from_ms: Some(today.from_ms), to_ms: Some(today.to_ms), ..AgendaAsk::default() })?;
//! assert_eq!((agenda.as_of, agenda.items.len()), (None, 0));
//! # Ok(())
//! # }
//! ```
//!
//! # Filling it
//! [`engine::Engine`] owns a data directory: it signs in, pulls, and keeps watching. It drives its flows on the
//! caller's thread and brings its own runtime; a host needs none.
//! ```no_run
//! use std::sync::Arc;
//! use calmirror::config::Config;
//! use calmirror::engine::{Edges, Engine, SyncOrder};
//! use calmirror::http::HttpClient;
//! use calmirror::system::{SystemClock, SystemEntropy};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::parse(&std::fs::read_to_string("calmirror.toml")?).map_err(|problems| format!("{problems:?}"))?;
//! let edges = Edges {
//!     http: HttpClient::new()?,
//!     clock: Arc::new(SystemClock),
//!     entropy: Arc::new(SystemEntropy),
//!     keyring: calmirror::vault::system_keyring(),
//! };
//! let mut engine = Engine::open(config, std::path::Path::new("data"), edges)?;
//! let report = engine.sync("anna", &SyncOrder::default(), &mut |_| {})?;
//! println!("{} events written, weather: {:?}", report.done.upserted, report.weather);
//! # Ok(())
//! # }
//! ```
#![doc = include_str!("ARCHITECTURE.md")]

pub mod actuate;
pub mod agenda;
pub mod api;
pub mod config;
pub mod edit;
pub mod embed;
pub mod engine;
pub mod ffi;
pub mod flow;
pub mod http;
#[cfg(feature = "local-api")]
pub mod local;
pub mod merge;
pub mod mirror;
pub mod model;
pub mod ports;
pub mod presence;
pub mod retry;
pub mod source;
pub mod system;
pub mod vault;
pub mod zones;

#[cfg(feature = "emulator")]
pub mod emulator;
#[cfg(feature = "emulator")]
pub mod sim;
