//! The C library: `include/calmirror.h` is its description, this file its code.
//!
//! A function checks its pointers, catches panics, decodes, hands on to [`crate::embed`] and encodes. A handle is a number
//! in a table and never a pointer: one that was closed, or never was, is refused. Texts that a caller must free are made by
//! this library's allocator and go back to it by [`calmirror_free`].
#![allow(unsafe_code, reason = "the one file that speaks with callers the compiler does not know")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::api::{Error, ErrorKind};
use crate::embed::{self, CALL_BYTES_MAX, Instance, OPTIONS_BYTES_MAX, Options};
use crate::engine::{Heard, Subscription};

#[cfg(panic = "abort")]
compile_error!("a bug must not end the host: build with panic = \"unwind\"");

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// A function of the host that is called with notices: `user`, the notice, its length without the zero at its end.
pub type NoticeFn = unsafe extern "C" fn(user: *mut c_void, notice: *const c_char, length: usize);

/// The open instances. Numbers are never given twice.
struct Table {
    last: u64,
    open: BTreeMap<u64, Arc<Opened>>,
}

/// An instance with its listeners.
struct Opened {
    instance: Arc<Instance>,
    /// Who listens for [`calmirror_next_notice`], from its first call on: a listener costs a look twice a second.
    subscription: OnceLock<Subscription>,
    caller: Mutex<Option<Caller>>,
}

/// The thread that calls a host's function.
struct Caller {
    subscription: Arc<Subscription>,
    thread: JoinHandle<()>,
}

/// What a host wants handed on to its function.
struct User(*mut c_void);

// SAFETY: it is handed on and never touched; that the host's function may be called on another thread is said there.
unsafe impl Send for User {}

static TABLE: Mutex<Table> = Mutex::new(Table { last: 0, open: BTreeMap::new() });

thread_local! {
    /// The problem of the last function that failed on this thread.
    static LAST: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// The version of this library, as `0.1.0`.
#[unsafe(no_mangle)]
pub extern "C" fn calmirror_version() -> *const c_char {
    VERSION.as_ptr()
}

/// Opens a data directory; `options` is the JSON object of [`Options::read`]. 0 when it cannot be opened.
///
/// # Safety
/// `options` is null or points to `length` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calmirror_open(options: *const c_char, length: usize) -> u64 {
    guard(0, || {
        // SAFETY: the caller's promise is this function's own.
        let options = unsafe { bytes(options, length, OPTIONS_BYTES_MAX) }?;
        let instance = Arc::new(Instance::open(Options::read(options)?)?);
        let opened = Arc::new(Opened { instance, subscription: OnceLock::new(), caller: Mutex::default() });
        let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        table.last = table.last.wrapping_add(1);
        let handle = table.last;
        table.open.insert(handle, opened);
        Ok(handle)
    })
}

/// Answers one call; see [`Instance::call`]. Never null.
///
/// # Safety
/// `call` is null or points to `length` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calmirror_call(handle: u64, call: *const c_char, length: usize) -> *mut c_char {
    let answer = guard(None, || {
        // SAFETY: the caller's promise is this function's own.
        let call = unsafe { bytes(call, length, CALL_BYTES_MAX) }?;
        Ok(Some(find(handle)?.instance.call(call)))
    });
    match answer {
        Some(answer) => give(answer),
        None => LAST.with_borrow(|last| give(last.as_ref().map(shown).unwrap_or_default())),
    }
}

/// The next notice; see [`Subscription::next`]. Null when none came in time, and, with a problem, when none will come.
#[unsafe(no_mangle)]
pub extern "C" fn calmirror_next_notice(handle: u64, timeout_ms: i64) -> *mut c_char {
    let next = guard(None, || {
        let opened = find(handle)?;
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let heard = opened.subscription()?.next(timeout);
        match heard {
            Heard::Closed => Err(Error::new(ErrorKind::Busy, "the engine has ended: nothing more comes")),
            Heard::Notice(_) | Heard::Lost | Heard::Late => Ok(opened.instance.notice(&heard)),
        }
    });
    next.map_or(std::ptr::null_mut(), give)
}

/// Has `callback` called with every notice from now on, in place of the one before; null takes it back. 0 when it is so,
/// else -1.
///
/// # Safety
/// `callback` is null or a function that may be called on another thread with `user` until it is taken back, and that
/// does not unwind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calmirror_on_notice(
    handle: u64,
    callback: Option<NoticeFn>,
    user: *mut c_void,
) -> i32 {
    let user = User(user);
    guard(-1, || {
        find(handle)?.call_back(callback.map(|callback| (callback, user)))?;
        Ok(0)
    })
}

/// Frees a text that this library returned for freeing; null is nothing to free.
///
/// # Safety
/// `text` is null or came from [`calmirror_call`] or [`calmirror_next_notice`] and was not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calmirror_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: it came from `give`, and nobody has freed it, says the caller.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// Closes an instance and waits for its end. 0 when it was open, -1 when it was not.
#[unsafe(no_mangle)]
pub extern "C" fn calmirror_close(handle: u64) -> i32 {
    guard(-1, || {
        let opened = TABLE.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&handle);
        let opened = opened.ok_or_else(not_open)?;
        opened.instance.shut();
        opened.call_back(None)?;
        Ok(0)
    })
}

/// The problem of the last function that failed on this thread, as a JSON object; null when none did. Belongs to the
/// library and is valid until the next call of another function of it on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn calmirror_last_error() -> *const c_char {
    LAST.with_borrow(|last| last.as_ref().map_or(std::ptr::null(), |text| text.as_ptr()))
}

impl Opened {
    fn subscription(&self) -> Result<&Subscription, Error> {
        match self.subscription.get() {
            Some(subscription) => Ok(subscription),
            None => {
                let subscription = self.instance.subscribe(None)?;
                Ok(self.subscription.get_or_init(|| subscription))
            }
        }
    }

    /// Puts one function in the place of another; the former does not run any more then, unless it is the caller.
    fn call_back(&self, next: Option<(NoticeFn, User)>) -> Result<(), Error> {
        let next = match next {
            None => None,
            Some((callback, user)) => Some(Caller::start(&self.instance, callback, user)?),
        };
        let former =
            std::mem::replace(&mut *self.caller.lock().unwrap_or_else(PoisonError::into_inner), next);
        if let Some(former) = former {
            former.end();
        }
        Ok(())
    }
}

impl Caller {
    fn start(instance: &Arc<Instance>, callback: NoticeFn, user: User) -> Result<Caller, Error> {
        let subscription = Arc::new(instance.subscribe(None)?);
        let (listening, instance) = (subscription.clone(), instance.clone());
        let work = move || {
            // The whole of it, not its pointer alone, goes to the thread.
            let User(user) = { user };
            while let Some(notice) = instance.notice(&listening.next(None)) {
                let text = c_text(notice);
                // SAFETY: the host promised that its function may be called here; the text ends with a zero and lives
                // until the function returns.
                unsafe { callback(user, text.as_ptr(), text.count_bytes()) };
            }
        };
        let thread = std::thread::Builder::new()
            .name("calmirror-notice".to_owned())
            .spawn(work)
            .map_err(|error| Error::because(ErrorKind::Failed, "no thread could be started", error))?;
        Ok(Caller { subscription, thread })
    }

    fn end(self) {
        self.subscription.end();
        // A function that takes itself back cannot be waited for by itself.
        if self.thread.thread().id() != std::thread::current().id() && self.thread.join().is_err() {
            tracing::error!("the thread of a callback ended by a bug");
        }
    }
}

/// Runs `work`; a failure or a panic is noted as this thread's last and answered with `otherwise`.
fn guard<T>(otherwise: T, work: impl FnOnce() -> Result<T, Error>) -> T {
    LAST.set(None);
    let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        // What a panic carries may panic when dropped.
        std::mem::forget(panic);
        Err(Error::new(ErrorKind::Failed, "a bug in this library; what is on the disk is whole"))
    });
    done.unwrap_or_else(|error| {
        LAST.set(Some(c_text(embed::problem(&error))));
        otherwise
    })
}

/// The caller's text as bytes.
///
/// # Safety
/// `text` is null or points to `length` readable bytes that stay as they are for `'t`.
unsafe fn bytes<'t>(text: *const c_char, length: usize, length_max: usize) -> Result<&'t [u8], Error> {
    if text.is_null() {
        return Err(Error::new(ErrorKind::Usage, "the text is a null pointer"));
    }
    // Before anything is read: a negative length, cast, is a huge one.
    if length > length_max {
        return Err(Error::new(ErrorKind::Usage, format!("the text is longer than {length_max} bytes")));
    }
    // SAFETY: not null, so many bytes are readable, says the caller, and fewer than `isize::MAX`.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) };
    std::str::from_utf8(bytes).map_err(|error| {
        let message = format!("the text is not UTF-8 from byte {} on", error.valid_up_to());
        Error::because(ErrorKind::Usage, message, error)
    })?;
    Ok(bytes)
}

fn find(handle: u64) -> Result<Arc<Opened>, Error> {
    let table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    table.open.get(&handle).cloned().ok_or_else(not_open)
}

fn not_open() -> Error {
    Error::new(ErrorKind::NotFound, "this handle is not open")
}

/// A text for a caller who frees it.
fn give(text: String) -> *mut c_char {
    c_text(text).into_raw()
}

fn c_text(text: String) -> CString {
    // JSON escapes zeros; should one come all the same, the text ends there.
    CString::new(text).unwrap_or_else(|error| {
        let end = error.nul_position();
        let mut bytes = error.into_vec();
        bytes.truncate(end);
        CString::new(bytes).unwrap_or_default()
    })
}

fn shown(text: &CString) -> String {
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name(type, type) -> type` of every function in C, as this code has them.
    fn functions_here() -> Vec<String> {
        let code = include_str!("ffi.rs");
        let heads = code.split("#[unsafe(no_mangle)]").skip(1).filter_map(|rest| rest.split_once(" fn "));
        let mut found: Vec<String> = heads
            .filter(|(before, _)| before.trim_start().starts_with("pub"))
            .map(|(_, rest)| {
                let (head, _) = rest.split_once(" {").unwrap();
                let (name, rest) = head.split_once('(').unwrap();
                let (arguments, answer) = rest.split_once(')').unwrap();
                let types: Vec<&str> = arguments
                    .split(',')
                    .filter_map(|argument| Some(in_c(argument.split_once(':')?.1.trim())))
                    .collect();
                let answer = answer.trim().strip_prefix("-> ").map_or("void", |answer| in_c(answer.trim()));
                format!("{name}({}) -> {answer}", types.join(", "))
            })
            .collect();
        found.sort();
        found
    }

    fn in_c(rust: &str) -> &'static str {
        match rust {
            "u64" => "uint64_t",
            "i64" => "int64_t",
            "i32" => "int32_t",
            "usize" => "size_t",
            "*const c_char" => "const char *",
            "*mut c_char" => "char *",
            "*mut c_void" => "void *",
            "Option<NoticeFn>" => "calmirror_notice_fn",
            other => panic!("{other} has no counterpart in C"),
        }
    }

    /// The same of the header, without its comments.
    fn functions_of_the_header() -> Vec<String> {
        let mut text = String::new();
        for part in include_str!("../include/calmirror.h").split("/*") {
            text.push_str(part.split_once("*/").map_or(part, |(_, code)| code));
        }
        let text: String = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(" ");
        // The block of `extern "C"` is no function.
        let statements = text.split(['{', ';']).map(str::trim);
        let mut found: Vec<String> = statements
            .filter(|statement| !statement.starts_with("typedef") && statement.contains("calmirror_"))
            .map(|statement| {
                let (head, arguments) = statement.split_once('(').unwrap();
                let (answer, name) = head.split_at(head.find("calmirror_").unwrap_or_default());
                // `calmirror_t` comes before the name of what returns one.
                let (answer, name) = match name.split_once(' ') {
                    Some((handle, name)) => (handle, name),
                    None => (answer, name),
                };
                let arguments = arguments.trim_end_matches(')');
                let types: Vec<String> =
                    arguments.split(',').filter(|a| a.trim() != "void").map(type_of).collect();
                format!("{name}({}) -> {}", types.join(", "), handle(answer.trim()))
            })
            .collect();
        found.sort();
        found
    }

    /// `const char *text` without its name.
    fn type_of(argument: &str) -> String {
        let argument = argument.trim();
        let end = argument.rfind(['*', ' ']).unwrap();
        handle(argument[..=end].trim()).to_owned()
    }

    fn handle(text: &str) -> &str {
        if text == "calmirror_t" { "uint64_t" } else { text }
    }

    #[test]
    fn the_header_declares_what_the_library_has() {
        let here = functions_here();
        assert_eq!(here, functions_of_the_header());
        assert_eq!(here.len(), 8, "{here:?}");
        assert_eq!(here[7], "calmirror_version() -> const char *");
    }

    #[test]
    fn a_panic_ends_at_the_border_and_says_nothing_of_its_cause() {
        let answer = guard(7, || -> Result<i32, Error> { panic!("a secret subject") });
        // SAFETY: the text belongs to this thread until its next call.
        let last = unsafe { CStr::from_ptr(calmirror_last_error()) }.to_str().unwrap();
        assert_eq!(answer, 7);
        assert!(last.contains(r#""kind":"failed""#) && !last.contains("secret"), "{last}");
        assert_eq!(guard(1, || Ok(2)), 2);
        assert!(calmirror_last_error().is_null());
    }

    #[test]
    fn a_problem_is_kept_for_its_own_thread() {
        assert_eq!(calmirror_close(u64::MAX), -1);
        assert!(!calmirror_last_error().is_null());
        let elsewhere = std::thread::spawn(|| calmirror_last_error().is_null());
        assert!(elsewhere.join().unwrap());
    }

    #[test]
    fn a_text_ends_at_a_zero() {
        assert_eq!(c_text("ab\0c".to_owned()).to_bytes(), b"ab");
    }
}
