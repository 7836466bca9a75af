//! The room `merge`.
