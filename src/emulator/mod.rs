//! The room `emulator`.
