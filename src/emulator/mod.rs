//! A Microsoft Graph calendar service as one value, with an HTTP and an OAuth face.
//!
//! [`World`] is a pure state machine: calls and times go in, answers come out; it reads no clock, draws no
//! randomness of its own and does no I/O. It misbehaves as the real service does ([`Quirks`]), breaks as
//! scripted ([`Rule`]) and is changed from behind as other clients would ([`World::edit`],
//! [`World::random_edit`]); what is really there says [`World::truth`]. Three faces show it:
//!
//! * [`serve`]: HTTP over a loopback port, for programs (`calmirror emulate`), other languages and SDKs;
//! * [`InMemory`]: [`crate::ports::Http`] without sockets, for simulations on paused time;
//! * [`World::control`]: the control URL below.
//!
//! Beside Graph the same mailboxes answer by EWS, as an Exchange server on premises does (`/EWS/Exchange.asmx`).
//!
//! It shares no codec with the client: it must not inherit its mistakes.
//!
//! # In a simulation
//! ```
//! use std::sync::Arc;
//! use calmirror::emulator::{InMemory, Quirks, RequestKind, Rule, Seeding, What, World};
//! # struct Stopped;
//! # impl calmirror::ports::Clock for Stopped {
//! #     fn now_ms(&self) -> i64 { 1_780_000_000_000 }
//! #     fn sleep(&self, _: std::time::Duration) -> calmirror::ports::Pending<'_, ()> { Box::pin(async {}) }
//! # }
//! # let clock: Arc<dyn calmirror::ports::Clock> = Arc::new(Stopped);
//! let now_ms = clock.now_ms();
//! let mut world = World::seeded(Seeding { seed: 7, events: 60, now_ms });
//! world.set_asks_for_tokens(false); // or: world.grant_access(0, now_ms) as the bearer
//! let server = InMemory::new(world, clock); // a ports::Http; clones share the world
//!
//! let mut rng = fastrand::Rng::with_seed(7);
//! server.with(|world| {
//!     world.add_fault(Rule::next(RequestKind::Delta, What::LoseReply));
//!     let done = world.random_edit(0, &mut rng, now_ms); // what was done, and to which id
//!     assert!(!done.what.is_empty());
//!     world.set_network_down(true);
//! });
//!
//! // After calm: let what is queued happen, then compare each calendar with the mirror.
//! server.with(|world| {
//!     world.set_network_down(false);
//!     world.clear_faults();
//!     world.settle(now_ms + 60_000);
//!     for calendar in world.calendars(0) {
//!         let instances = world.truth(0, &calendar.id, now_ms, now_ms + 86_400_000);
//!         assert!(instances.iter().all(|i| i.end_ms >= now_ms));
//!     }
//! });
//! ```
//! With [`Quirks::silent_change_rate`] above zero only a full comparison can converge; it is zero by default.
//!
#![doc = include_str!("CONTROL.md")]

mod assertion;
mod authority;
mod change;
mod control;
mod delta;
mod document;
mod edit;
mod ews;
mod fault;
mod fields;
mod graph;
mod ident;
mod mailbox;
mod memory;
mod prefer;
mod presence;
mod quirks;
mod recurrence;
mod render;
mod seed;
mod serve;
mod text;
mod truth;
mod wire;
mod world;
mod zone;

#[cfg(test)]
pub(crate) use assertion::{Expected, verify};
pub use authority::{Registered, Registration, SignIn};
pub use document::DocumentError;
pub use edit::{Edit, EditError, Edited};
pub use ews::{EWS_PASSWORD, EWS_SERVICE_ACCOUNT};
pub use fault::{BodyKind, RequestKind, Rule, What, When};
pub use mailbox::{Mail, User, Write};
pub use memory::InMemory;
pub use presence::{PresenceAct, ShownPresence};
pub use quirks::Quirks;
pub use seed::Seeding;
pub use serve::{Options, Running, ServeError, Source, serve};
pub use truth::{Instance, InstanceKind, TrueCalendar};
pub use wire::{Answer, Call, Transport};
pub use world::{Seen, World};

#[cfg(test)]
mod quirk_tests;
#[cfg(test)]
mod world_tests;
