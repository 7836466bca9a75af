//! The room `zones`.
