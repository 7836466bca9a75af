//! Seeded worlds: the real flows and a real mirror against the emulator in memory, on a clock that only moves when
//! somebody waits. A seed decides everything, so a failure replays exactly.
//!
//! A world edits the server, breaks the network, loses replies and tokens, kills the engine between any two steps
//! (a request sent and not answered, answered and not read, a commit that never happened), turns the clock, and in
//! between pulls. After every pull:
//!
//! * nothing the server still has was removed from the mirror (*nothing blinks*),
//! * the change feed tells exactly which events are there.
//!
//! Beside it a user edits through the doors, with or without network: adds, changes, deletes, answers, discards,
//! retries, resolves. Every wish carries a word of its own.
//!
//! After calm the mirror equals the server, field by field, and each wish has arrived once or is kept with a reason;
//! no create was done twice and no request that mails people took effect twice.

mod check;
mod clock;
mod user;
mod wire;
mod world;

pub use clock::{SeededEntropy, VirtualClock};
pub use world::{Failure, Outcome, run};
