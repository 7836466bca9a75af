//! Presence: reads what it depends on, lets [`crate::presence`] decide, stores, sends, and stores the answer.
//!
//! State, not edges: [`Keeper::tick`] computes what is wanted now and compares it with what is in force; whatever was
//! missed meanwhile does not matter, and twice in a row sends nothing twice. What is sent is on the disk before.
//! An evaluation has its own connections and waits for no sync that is at work in the network.

mod evaluate;
mod inputs;
mod journal;
mod mailbox;

pub use evaluate::{Due, Keeper, Ticked};
pub(crate) use evaluate::{acknowledge, observe, roll};
pub(crate) use inputs::is_own;
pub use inputs::{Inputs, policy};
pub use mailbox::look_at_mailbox;
