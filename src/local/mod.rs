//! The HTTP door of a running engine: other programs of this user ask it, edit, order a sync, and listen to its stream.
//!
//! Over loopback, whoever may read `<data-dir>/engine.json` (mode 0600) may ask: it holds the address and a token that is
//! new at every start. Over the socket in the data directory (Unix) the system says whose process asks. A web page must not: a foreign `Host` is answered 421 (a name that was rebound to loopback),
//! a foreign `Origin` 403, also with a token. The order of the checks is Host, Origin, token. A browser shows the cookie
//! of its session instead of the token, and must say with every act that it comes from our page (the room `page`).
//!
//! Answers are the contract's JSON, errors `application/problem+json` with a stable `kind`. Questions are
//! answered from the mirror beside the engine; only a sync waits for it.

mod announce;
mod guard;
mod openapi;
mod page;
mod patience;
mod problem;
mod route;
mod serve;
mod stream;

pub use announce::{Announcement, ENGINE_FILE};
pub use serve::{Door, Listen};

pub use crate::engine::{SyncAnswer, SyncCall, WeatherAnswer};
