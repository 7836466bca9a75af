//! The configuration.

/// Everything a configuration file says.
#[derive(Debug, Clone, Default)]
pub struct Config {}
