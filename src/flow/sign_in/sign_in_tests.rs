//! Sorting, judging, sessions.
