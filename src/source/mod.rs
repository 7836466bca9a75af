//! The systems events come from: one codec and one client a system.

pub mod ews;
pub mod graph;
