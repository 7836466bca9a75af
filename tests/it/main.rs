//! Rooms are tested from outside here.
