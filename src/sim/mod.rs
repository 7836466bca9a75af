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
//! retries, resolves. Every wish carries a word of its own. In a third of the worlds the user has two devices, each
//! with a mirror and an outbox of its own.
//!
//! After calm each mirror equals the server, field by field, and each wish has arrived once or is kept with a reason;
//! no create was done twice and no request that mails people took effect twice.
//!
//! # Worlds of presence
//! One device or two, each with a mirror of its own, and a telephone that knows nothing of the engine. Appointments
//! change on the server and here, the user chooses profiles and forwards with their own hands, devices sleep, are
//! killed at a command, stop, start, lose the network, change zone; clocks jump; the telephone refuses, falls silent
//! or swallows answers. After every evaluation:
//!
//! * each channel that has nothing under way shows what the timeline says, or what the user set at the telephone,
//! * nothing was told twice unless an answer was lost,
//! * nothing changes before the wake-up that the evaluation names.
//!
//! After calm calls go where the user sent them whenever nobody claims them, and what is shown is also what a few
//! lines over the server's appointments say. Nothing private was ever in a command, the journal or an explanation.

mod appointments;
mod check;
mod clock;
mod device;
mod household;
mod telephone;
mod user;
mod wire;
mod world;

pub use clock::{SeededEntropy, VirtualClock};
pub use household::{Lived, run_presence};
pub use world::{Failure, Outcome, run};
