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
//! After calm the mirror equals the server, field by field.

mod check;
mod clock;
mod wire;
mod world;

pub use clock::{SeededEntropy, VirtualClock};
pub use world::{Failure, Outcome, run};
