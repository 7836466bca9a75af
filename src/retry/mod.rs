//! The room `retry`.
