//! The C library: `include/calmirror.h` is its description, this file its code.
//!
//! A function checks its pointers, catches panics, decodes, hands on to [`crate::embed`] and encodes. A handle is a number
//! in a table and never a pointer: one that was closed, or never was, is refused. Texts that a caller must free are made by
//! this library's allocator and go back to it by [`calmirror_free`].
#![allow(unsafe_code, reason = "the one file that speaks with callers the compiler does not know")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::{Error, ErrorKind};
use crate::embed::{self, CALL_BYTES_MAX, Instance, OPTIONS_BYTES_MAX, Options};

#[cfg(panic = "abort")]
compile_error!("a bug must not end the host: build with panic = \"unwind\"");

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// The open instances. Numbers are never given twice.
struct Table {
    last: u64,
    open: BTreeMap<u64, Arc<Instance>>,
}

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
        let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        table.last = table.last.wrapping_add(1);
        let handle = table.last;
        table.open.insert(handle, instance);
        Ok(handle)
    })
}

/// Answers one call; see [`Instance::call`]. Null only when there is no memory for an answer.
///
/// # Safety
/// `call` is null or points to `length` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calmirror_call(handle: u64, call: *const c_char, length: usize) -> *mut c_char {
    let answer = guard(None, || {
        // SAFETY: the caller's promise is this function's own.
        let call = unsafe { bytes(call, length, CALL_BYTES_MAX) }?;
        Ok(Some(find(handle)?.call(call)))
    });
    match answer {
        Some(answer) => give(answer),
        None => LAST.with_borrow(|last| give(last.as_ref().map(shown).unwrap_or_default())),
    }
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
        let instance = TABLE.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&handle);
        instance.ok_or_else(not_open)?.shut();
        Ok(0)
    })
}

/// The problem of the last function that failed on this thread, as a JSON object; null when none did. Belongs to the
/// library and is valid until the next call of another function of it on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn calmirror_last_error() -> *const c_char {
    LAST.with_borrow(|last| last.as_ref().map_or(std::ptr::null(), |text| text.as_ptr()))
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

fn find(handle: u64) -> Result<Arc<Instance>, Error> {
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
