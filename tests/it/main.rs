//! Rooms are tested from outside here.

mod emulator;
