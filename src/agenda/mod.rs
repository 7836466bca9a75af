//! The room `agenda`.
