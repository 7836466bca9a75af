//! The room `flow`.

pub mod look;
