//! The room `flow`.
