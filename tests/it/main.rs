//! Rooms are tested from outside here.
mod look;
