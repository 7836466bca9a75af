//! The room `system`.
