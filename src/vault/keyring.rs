//! The operating system's keyring behind a bounded wait.
//!
//! A keyring may ask its user for a password, hang or vanish, and its client library runs a runtime of its own.
//! So each call runs on a thread of its own, one at a time, and is given up after [`WAIT_MAX`]. A call that was
//! given up goes on by itself: once the user has typed the password the next one finds the keyring open. Until
//! then no other is started, so that questions to the user do not pile up.

use std::sync::{Arc, OnceLock};
#[cfg(feature = "keyring")]
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
#[cfg(feature = "keyring")]
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::ports::{Keyring, KeyringError};

/// The longest that anybody waits for the keyring.
#[cfg(feature = "keyring")]
const WAIT_MAX: Duration = Duration::from_secs(5);
/// The name under which all entries of this program stand.
#[cfg(feature = "keyring")]
const SERVICE: &str = "calmirror";

/// The keyring of this machine: Secret Service, Keychain or Credential Manager; none in a build without the
/// feature `keyring`. Touches nothing yet.
pub fn system_keyring() -> Arc<dyn Keyring> {
    static KEYRING: OnceLock<Arc<dyn Keyring>> = OnceLock::new();
    #[cfg(feature = "keyring")]
    let build = || Arc::new(Bounded::new(native::NAME, WAIT_MAX, native::System)) as Arc<dyn Keyring>;
    #[cfg(not(feature = "keyring"))]
    let build = || Arc::new(NoKeyring) as Arc<dyn Keyring>;
    KEYRING.get_or_init(build).clone()
}

/// Stands in where there is no keyring, and where none may be touched (tests, demonstrations): keys are then kept
/// in a file.
#[derive(Debug, Clone, Copy)]
pub struct NoKeyring;

impl Keyring for NoKeyring {
    fn name(&self) -> &'static str {
        "keyring"
    }

    fn get(&self, _: &str) -> Result<Option<Zeroizing<String>>, KeyringError> {
        Err(KeyringError::Absent)
    }

    fn set(&self, _: &str, _: &str, _: &Zeroizing<String>) -> Result<(), KeyringError> {
        Err(KeyringError::Absent)
    }

    fn remove(&self, _: &str) -> Result<(), KeyringError> {
        Err(KeyringError::Absent)
    }
}

/// What [`Bounded`] calls on a thread of its own; may block for ever.
#[cfg(feature = "keyring")]
trait Slow: Send + Sync + 'static {
    fn get(&self, entry: &str) -> Result<Option<Zeroizing<String>>, KeyringError>;
    fn set(&self, entry: &str, label: &str, text: &str) -> Result<(), KeyringError>;
    fn remove(&self, entry: &str) -> Result<(), KeyringError>;
}

/// A keyring that is waited for no longer than `wait`.
#[cfg(feature = "keyring")]
struct Bounded<S> {
    name: &'static str,
    wait: Duration,
    slow: Arc<S>,
    is_busy: Arc<(Mutex<bool>, Condvar)>,
}

#[cfg(feature = "keyring")]
impl<S: Slow> Bounded<S> {
    fn new(name: &'static str, wait: Duration, slow: S) -> Bounded<S> {
        Bounded { name, wait, slow: Arc::new(slow), is_busy: Arc::default() }
    }

    fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&S) -> Result<T, KeyringError> + Send + 'static,
    ) -> Result<T, KeyringError> {
        let until = Instant::now() + self.wait;
        let left = || until.saturating_duration_since(Instant::now());
        let silent = KeyringError::Silent { name: self.name, waited: self.wait };
        let (is_busy, freed) = &*self.is_busy;
        let busy = is_busy.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut busy, _) =
            freed.wait_timeout_while(busy, left(), |busy| *busy).unwrap_or_else(PoisonError::into_inner);
        if *busy {
            return Err(silent);
        }
        *busy = true;
        drop(busy);
        let (answer, answered) = mpsc::sync_channel(1);
        let turn = Turn(self.is_busy.clone());
        let slow = self.slow.clone();
        let spawned = std::thread::Builder::new().name("calmirror-key".to_owned()).spawn(move || {
            let result = call(&slow);
            drop(turn);
            // Nobody listens any more when the wait was over.
            let _ = answer.send(result);
        });
        let failed = |reason: &str| KeyringError::Failed { name: self.name, reason: reason.to_owned() };
        spawned.map_err(|_| failed("no thread could be started"))?;
        match answered.recv_timeout(left()) {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(silent),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(failed("its client broke off")),
        }
    }
}

/// The right to talk to the keyring; given back when dropped, also by a thread that panics.
#[cfg(feature = "keyring")]
struct Turn(Arc<(Mutex<bool>, Condvar)>);

#[cfg(feature = "keyring")]
impl Drop for Turn {
    fn drop(&mut self) {
        let (is_busy, freed) = &*self.0;
        *is_busy.lock().unwrap_or_else(PoisonError::into_inner) = false;
        freed.notify_all();
    }
}

#[cfg(feature = "keyring")]
impl<S: Slow> Keyring for Bounded<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn get(&self, entry: &str) -> Result<Option<Zeroizing<String>>, KeyringError> {
        let entry = entry.to_owned();
        self.run(move |slow| slow.get(&entry))
    }

    fn set(&self, entry: &str, label: &str, text: &Zeroizing<String>) -> Result<(), KeyringError> {
        let (entry, label, text) = (entry.to_owned(), label.to_owned(), text.clone());
        self.run(move |slow| slow.set(&entry, &label, &text))
    }

    fn remove(&self, entry: &str) -> Result<(), KeyringError> {
        let entry = entry.to_owned();
        self.run(move |slow| slow.remove(&entry))
    }
}

/// The platform's own store. It is opened for each call: that happens a few times in a process's life, and a
/// connection that is kept would go stale with a keyring that restarts.
#[cfg(feature = "keyring")]
mod native {
    use std::collections::HashMap;
    use std::sync::Arc;

    use keyring_core::api::CredentialStore;
    use keyring_core::{Entry, Error};
    use zeroize::{Zeroize, Zeroizing};

    use super::{SERVICE, Slow};
    use crate::ports::KeyringError;

    pub(super) struct System;

    impl Slow for System {
        fn get(&self, entry: &str) -> Result<Option<Zeroizing<String>>, KeyringError> {
            match open(entry, entry)?.get_secret() {
                Ok(bytes) => text_of(bytes).map(Some),
                Err(Error::NoEntry) => Ok(None),
                Err(error) => Err(translate(error)),
            }
        }

        fn set(&self, entry: &str, label: &str, text: &str) -> Result<(), KeyringError> {
            open(entry, label)?.set_secret(text.as_bytes()).map_err(translate)
        }

        fn remove(&self, entry: &str) -> Result<(), KeyringError> {
            match open(entry, entry)?.delete_credential() {
                Ok(()) | Err(Error::NoEntry) => Ok(()),
                Err(error) => Err(translate(error)),
            }
        }
    }

    fn text_of(bytes: Vec<u8>) -> Result<Zeroizing<String>, KeyringError> {
        String::from_utf8(bytes).map(Zeroizing::new).map_err(|error| {
            error.into_bytes().zeroize();
            KeyringError::Failed {
                name: NAME,
                reason: "it gave back something else than was kept".to_owned(),
            }
        })
    }

    fn translate(error: Error) -> KeyringError {
        let reason = match error {
            Error::NoStorageAccess(_) => return LOCKED,
            // These two carry what was read.
            Error::BadEncoding(mut bytes) | Error::BadDataFormat(mut bytes, _) => {
                bytes.zeroize();
                "its entry cannot be read".to_owned()
            }
            Error::Ambiguous(_) => "it has several entries of this name".to_owned(),
            other => other.to_string(),
        };
        KeyringError::Failed { name: NAME, reason }
    }

    fn open(entry: &str, label: &str) -> Result<Entry, KeyringError> {
        store()?.build(SERVICE, entry, Some(&modifiers(label))).map_err(translate)
    }

    #[cfg(all(unix, not(target_vendor = "apple")))]
    mod platform {
        use super::{Arc, CredentialStore, HashMap, KeyringError, translate};
        use zbus::blocking::{Connection, fdo::DBusProxy};
        use zbus::names::BusName;

        pub(in super::super) const NAME: &str = "Secret Service";
        pub(super) const LOCKED: KeyringError = KeyringError::Locked(NAME);
        const BUS_NAME: &str = "org.freedesktop.secrets";

        pub(super) fn modifiers(label: &str) -> HashMap<&str, &str> {
            HashMap::from([("label", label)])
        }

        pub(super) fn store() -> Result<Arc<CredentialStore>, KeyringError> {
            if !is_there()? {
                return Err(KeyringError::Absent);
            }
            Ok(zbus_secret_service_keyring_store::Store::new().map_err(translate)?)
        }

        /// Whether anything in this session is a Secret Service or can be started as one. Without a session bus
        /// nothing can.
        fn is_there() -> Result<bool, KeyringError> {
            let Ok(bus) = Connection::session() else { return Ok(false) };
            let ask = || -> zbus::Result<bool> {
                let bus = DBusProxy::new(&bus)?;
                let is_running = bus.name_has_owner(BusName::try_from(BUS_NAME)?)?;
                Ok(is_running || bus.list_activatable_names()?.iter().any(|name| name.as_str() == BUS_NAME))
            };
            ask().map_err(|error| KeyringError::Failed { name: NAME, reason: error.to_string() })
        }
    }

    #[cfg(windows)]
    mod platform {
        use super::{Arc, CredentialStore, HashMap, KeyringError, translate};

        pub(in super::super) const NAME: &str = "Credential Manager";
        /// The one refusal of access is that of a session without credentials, as of a service or over SSH.
        pub(super) const LOCKED: KeyringError = KeyringError::Absent;

        /// Of this machine alone: tokens are too, so the key need not travel with a roaming profile.
        pub(super) fn modifiers(_: &str) -> HashMap<&str, &str> {
            HashMap::from([("persistence", "Local")])
        }

        pub(super) fn store() -> Result<Arc<CredentialStore>, KeyringError> {
            Ok(windows_native_keyring_store::Store::new().map_err(translate)?)
        }
    }

    #[cfg(target_vendor = "apple")]
    mod platform {
        use super::{Arc, CredentialStore, HashMap, KeyringError, translate};

        pub(in super::super) const NAME: &str = "Keychain";
        pub(super) const LOCKED: KeyringError = KeyringError::Locked(NAME);

        pub(super) fn modifiers(_: &str) -> HashMap<&str, &str> {
            HashMap::new()
        }

        pub(super) fn store() -> Result<Arc<CredentialStore>, KeyringError> {
            Ok(apple_native_keyring_store::keychain::Store::new().map_err(translate)?)
        }
    }

    pub(super) use platform::NAME;
    use platform::{LOCKED, modifiers, store};
}

#[cfg(all(test, feature = "keyring"))]
#[path = "keyring_tests.rs"]
mod tests;
