//! The acts of the engine. The only room that sees both the server's side and the mirror's.
//!
//! A flow is four steps, over and over: read what is, decide (in a pure room), act at a port, write what became.
//! Weather (offline, throttled, sign-in needed) is a value in the report; `Err` means a broken store.

pub mod cadence;
pub mod look;
pub mod presence;
mod progress;
pub mod pull;
pub mod push;
pub mod reminder;
pub mod sign_in;
pub mod upkeep;

pub use progress::Progress;
