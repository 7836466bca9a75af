//! Pages as fixtures.
