//! The C library for the tests: the functions of `calmirror::ffi`, linked from the library that cargo has built anyway.
//! A host builds its own with `cargo rustc --release --lib --crate-type cdylib`.

pub use calmirror::ffi::*;
