//! The door for hosts: a program in any language that has the engine inside.
//!
//! [`Instance::open`] reads a configuration, takes the data directory and keeps it in step on a thread of its own until
//! [`Instance::close`]. It forces no runtime on its host and needs none: every method blocks at most as long as its own
//! work takes, from any thread, also inside the host's runtime. A host that has one may await [`crate::engine::Handle::sync`].
//!
//! Questions and acts are typed ([`Instance::mirrors`]) or one JSON object in, one out ([`Instance::call`]): the second is what the
//! C library hands on.
//! ```
//! use calmirror::config::Config;
//! use calmirror::embed::{Instance, Options, Role};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let data_dir = folder.path().to_path_buf();
//! let text = "[[graph_app]]\ndisplay_name = \"Calendars\"\napplication_id = \"0-0\"\ndirectory_id = \"contoso.example\"\n\
//!             [[account]]\nname = \"anna\"\nuser = \"anna@contoso.example\"\n";
//! let config = Config::parse(text).map_err(|problems| format!("{problems:?}"))?;
//! let options = Options { role: Role::Reader, ..Options::new(config, data_dir)? };
//! let instance = Instance::open(options)?;
//!
//! let answer = instance.call(br#"{"call":"agenda","day":"2026-03-02","tz":"Europe/Berlin"}"#);
//! assert!(answer.starts_with(r#"{"ok":{"as_of":null"#), "{answer}");
//! let answer = instance.call(br#"{"call":"agenda","day":"someday"}"#);
//! assert!(answer.contains(r#""kind":"usage""#), "{answer}");
//! instance.close();
//! # Ok(())
//! # }
//! ```

mod keeper;
mod notice;
mod options;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::api::{Act, ActAnswer, Answer, Ask, Call, Document, Error, ErrorKind, Mirrors};
use crate::engine::{
    Engine, Handle, Heard, Hint, OtherMailbox, SignOut, Subscription, SyncAnswer, SyncCall, SyncOrder,
    SyncReport,
};
use crate::system::time_zone_name;

pub use crate::engine::{Prompt, SignIn, Way};
use keeper::Keeper;
pub use options::{OPTIONS_BYTES_MAX, Options, Role};

/// The most bytes of one call.
pub const CALL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An open data directory inside a host.
pub struct Instance {
    mirrors: Arc<Mirrors>,
    keeper: Option<Keeper>,
    /// The sign-ins that calls began.
    signing_in: Mutex<BTreeMap<String, AbortHandle>>,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("syncs", &self.keeper.is_some()).finish_non_exhaustive()
    }
}

impl Instance {
    /// Opens a data directory. Needs no network and no sign-in.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open(options: Options) -> Result<Instance, Error> {
        let Options { config, data_dir, role, edges, zones } = options;
        let mirrors =
            Mirrors::new(config.clone(), data_dir.clone(), edges.clock.clone(), zones, time_zone_name())
                .with_entropy(edges.entropy.clone());
        let mirrors = Arc::new(mirrors);
        let keeper = match role {
            Role::Reader => None,
            Role::Engine => Some(Keeper::start(Engine::open(config, &data_dir, edges)?)?),
        };
        Ok(Instance { mirrors, keeper, signing_in: Mutex::default() })
    }

    /// The mirrors: every question and act, typed. After an act tell the engine, as [`Instance::act`] does.
    pub fn mirrors(&self) -> &Arc<Mirrors> {
        &self.mirrors
    }

    /// The way to the engine for a host that awaits; `None` for a reader.
    pub fn handle(&self) -> Option<&Handle> {
        self.keeper.as_ref().map(Keeper::handle)
    }

    /// Answers a question for the account named, or the only one.
    ///
    /// # Errors
    /// As [`Mirrors::answer`].
    pub fn answer(&self, account: Option<&str>, call: &Call) -> Result<Answer, Error> {
        self.mirrors.answer(account, call)
    }

    /// Records an act and wakes the engine.
    ///
    /// # Errors
    /// As [`Mirrors::act`].
    pub fn act(&self, account: Option<&str>, act: &Act) -> Result<ActAnswer, Error> {
        let answer = self.mirrors.act(account, act)?;
        if let Some(keeper) = &self.keeper {
            keeper.handle().notices().look();
        }
        self.hint(if act.is_of_presence() { Hint::PresenceChanged } else { Hint::Edited });
        Ok(answer)
    }

    /// Tells what the host knows about the machine and its user. A reader has nobody to tell.
    pub fn hint(&self, hint: Hint) {
        if let Some(keeper) = &self.keeper {
            keeper.handle().hint(hint);
        }
    }

    /// Listens from now on: to the change feeds, syncs, presence, reminders and the ends of sign-ins, of one account or
    /// of all. A thread waits by [`Subscription::next`], a task by [`Subscription::heard`]; both need no runtime of ours.
    ///
    /// # Errors
    /// `Usage` for a reader, which sees nothing happen: it reads the change feed.
    pub fn subscribe(&self, account: Option<&str>) -> Result<Subscription, Error> {
        Ok(self.keeper()?.handle().notices().subscribe(account))
    }

    /// What a listener heard, as the JSON object that the C library hands on; `None` when there is nothing to tell.
    pub fn notice(&self, heard: &Heard) -> Option<String> {
        let notice = match heard {
            Heard::Notice(notice) => notice::to_json(notice, &self.mirrors),
            Heard::Lost => notice::missed(),
            Heard::Late | Heard::Closed => return None,
        };
        Some(notice.to_string())
    }

    /// Syncs one account now and waits for the end.
    ///
    /// # Errors
    /// As [`Handle::sync`]; `Usage` for a reader. Weather is in the report.
    pub fn sync(&self, account: &str, order: SyncOrder) -> Result<SyncReport, Error> {
        let keeper = self.keeper()?;
        let (handle, account) = (keeper.engine()?.clone(), account.to_owned());
        wait(keeper, async move { handle.sync(&account, order).await })
    }

    /// Begins to sign a user in; returns as soon as there is something to show. Dropping the answer gives up, and so
    /// does closing.
    ///
    /// # Errors
    /// `Usage` for an unknown account or a reader; as [`Handle::sign_in`].
    pub fn sign_in(&self, account: Option<&str>, way: Way, other: OtherMailbox) -> Result<SignIn, Error> {
        let account = self.mirrors.account(account)?.name;
        self.keeper()?.engine()?.sign_in(&account, way, other)
    }

    /// Forgets the tokens of an account, and its mirror when asked.
    ///
    /// # Errors
    /// `Usage` for an unknown account or a reader; as [`Handle::sign_out`].
    pub fn sign_out(&self, account: Option<&str>, what: SignOut) -> Result<(), Error> {
        let account = self.mirrors.account(account)?.name;
        let keeper = self.keeper()?;
        let handle = keeper.engine()?.clone();
        wait(keeper, async move { handle.sign_out(&account, what).await })
    }

    /// One JSON object in, one out: `{"ok":…}` or `{"problem":{…}}` with the contract's stable `kind`. Beside the calls of
    /// [`Document::ask`] there are `sync`, `sign_in`, `sign_out` and `hint`.
    pub fn call(&self, document: &[u8]) -> String {
        match self.try_call(document) {
            Ok(answer) => answer,
            Err(error) => problem(&error),
        }
    }

    fn try_call(&self, document: &[u8]) -> Result<String, Error> {
        if document.len() > CALL_BYTES_MAX {
            let message = format!("a call has at most {CALL_BYTES_MAX} bytes");
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let document = Document::read(document)?;
        let account = document.account().map(str::to_owned);
        match document.name() {
            "sync" => {
                let call = SyncCall { account, ..SyncCall::read(document.values()?)? };
                let (account, order) = call.order(&self.mirrors)?;
                let report = self.sync(&account, order)?;
                let zone = self.mirrors.zone(&self.mirrors.account(Some(&account))?);
                ok(&SyncAnswer::new(report, &zone))
            }
            "sign_in" | "sign_out" | "hint" => {
                let (name, values) = (document.name().to_owned(), document.values()?);
                self.order(&name, account.as_deref(), &values)
            }
            _ => match document.ask()? {
                Ask::Call(call) => ok(&self.answer(account.as_deref(), &call)?),
                Ask::Act(act) => ok(&self.act(account.as_deref(), &act)?),
            },
        }
    }

    fn order(&self, name: &str, account: Option<&str>, values: &[(String, String)]) -> Result<String, Error> {
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (&**name, &**value)).collect();
        match name {
            "sign_in" => {
                let (mut way, mut other) = (Way::Browser, OtherMailbox::Refuse);
                for value in values {
                    match value {
                        ("way", "browser") => way = Way::Browser,
                        ("way", "device_code") => way = Way::DeviceCode,
                        ("replace", "true") => other = OtherMailbox::Replace,
                        ("replace", "false") => other = OtherMailbox::Refuse,
                        _ => return Err(unknown("`way` (browser, device_code) and `replace`")),
                    }
                }
                ok(&self.begin_sign_in(account, way, other)?)
            }
            "sign_out" => {
                let mut what = SignOut::Keep;
                for value in values {
                    match value {
                        ("wipe", "true") => what = SignOut::Wipe,
                        ("wipe", "false") => what = SignOut::Keep,
                        _ => return Err(unknown("`wipe`")),
                    }
                }
                self.sign_out(account, what)?;
                ok(&json!({}))
            }
            _ => {
                for value in values {
                    let hint = match value {
                        ("network", "up") => Hint::NetworkUp,
                        ("network", "down") => Hint::NetworkDown,
                        ("power", "resume") => Hint::Resumed,
                        // What is written is whole at every instant.
                        ("power", "suspend") => continue,
                        ("power", "shutdown") => {
                            if let Some(keeper) = &self.keeper {
                                keeper.handle().stop();
                            }
                            continue;
                        }
                        ("user", "active") => Hint::Hidden(false),
                        ("user", "hidden") => Hint::Hidden(true),
                        ("battery", "true") => Hint::OnBattery(true),
                        ("battery", "false") => Hint::OnBattery(false),
                        ("metered", "true") => Hint::Metered(true),
                        ("metered", "false") => Hint::Metered(false),
                        _ => {
                            return Err(unknown(
                                "`network` (up, down), `power` (suspend, resume, shutdown), `user` (active, hidden), \
                                 `battery` and `metered`",
                            ));
                        }
                    };
                    self.hint(hint);
                }
                ok(&json!({}))
            }
        }
    }

    /// Begins a sign-in whose end nobody waits for. One of the same account that still waits for its user is given up.
    fn begin_sign_in(&self, account: Option<&str>, way: Way, other: OtherMailbox) -> Result<Value, Error> {
        let account = self.mirrors.account(account)?.name;
        let keeper = self.keeper()?;
        let mut signing_in = self.signing_in.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = signing_in.remove(&account) {
            former.abort();
        }
        let sign_in = self.sign_in(Some(&account), way, other)?;
        let prompt = sign_in.prompt().to_json();
        // Its end is told as a notice.
        let task = keeper.runtime().spawn(sign_in.ended());
        signing_in.insert(account, task.abort_handle());
        Ok(prompt)
    }

    /// Ends the engine in order and waits for its end. Dropping does the same.
    pub fn close(self) {
        self.shut();
    }

    /// The same while others still hold the instance: it answers them, and no longer syncs.
    pub(crate) fn shut(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.close();
        }
    }

    fn keeper(&self) -> Result<&Keeper, Error> {
        self.keeper.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Usage, "this instance only reads: open one with the role `engine`")
        })
    }
}

/// Blocks until `work` ends. It runs on the engine's runtime: the caller may be inside one of its own, which must not be
/// blocked by another.
fn wait<T: Send + 'static>(
    keeper: &Keeper,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let (sender, done) = mpsc::channel();
    keeper.runtime().spawn(async move {
        let _ = sender.send(work.await);
    });
    done.recv().map_err(|mpsc::RecvError| Error::new(ErrorKind::Busy, "the engine is stopping"))?
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.shut();
    }
}

fn unknown(known: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("a member or its value is not known here; there are {known}"))
}

fn ok(answer: &impl serde::Serialize) -> Result<String, Error> {
    #[derive(serde::Serialize)]
    struct Ok<'a, T> {
        ok: &'a T,
    }
    serde_json::to_string(&Ok { ok: answer })
        .map_err(|error| Error::because(ErrorKind::Failed, "the answer could not be written", error))
}

/// The document that tells of `error`.
pub fn problem(error: &Error) -> String {
    let problem: Value = json!({ "problem": error.problem() });
    problem.to_string()
}
