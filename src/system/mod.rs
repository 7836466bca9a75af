//! The machine this runs on: clock, randomness, paths, private files, the engine lock, signals.
//!
//! The only room that asks the operating system for these; all others get them as arguments. Nothing here
//! knows what a calendar is.

mod clock;
mod environment;
mod file;
mod lock;
mod mount;
mod place;
mod secret;
mod signal;
mod staged;

pub use clock::{SystemClock, SystemEntropy, secret_hex};
pub use environment::program_environment;
pub use file::{create_private_dir, is_exposed, write_private, write_private_once};
pub use lock::{EngineLock, Holder, LockError, engine_holder};
pub use mount::network_share;
pub use place::{ZONE_DIR, default_config_path, default_data_dir, home_dir, time_zone_name};
pub use secret::{Readers, SECRET_FILE_BYTES_MAX, SecretProblem, read_secret_file, secret_in_environment};
pub use signal::{StopSignals, stop_requested};
pub use staged::{CLOCK_VARIABLE, system_clock};
