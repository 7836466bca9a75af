/*
 * calmirror: an embedded, offline-first calendar sync engine.
 *
 * Texts are UTF-8. What goes in has a length and needs no zero at its end; what comes out ends with a zero. Calls, answers,
 * notices and problems are JSON objects; the README lists the calls ("Embedding").
 *
 * Threads: every function may be called from any thread, several at once, for one handle or many. A handle is a number and
 * never a pointer: one that was closed, or never was, is refused.
 *
 * Ownership: a `char *` belongs to the caller, who gives it back once with calmirror_free and never with free(). A
 * `const char *` belongs to the library.
 *
 * A failure is a return value and a problem: {"problem":{"kind","detail","status",...}} with a stable `kind`: usage,
 * not_found, refused, sign_in_needed, unreachable, mirror_unusable, busy, failed. No function throws, ends the process or
 * lets a panic out.
 */
#ifndef CALMIRROR_H
#define CALMIRROR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open data directory. 0 is none. Numbers are never given twice in a process. */
typedef uint64_t calmirror_t;

/* The version, as "0.1.0". Belongs to the library; valid for ever. */
const char *calmirror_version(void);

/*
 * Opens a data directory and, in the role of the engine, keeps it in step on threads of the library until it is closed.
 * Needs no network and no sign-in, and blocks for as long as opening files takes.
 *
 * options, length: {"config_file": path | "config": TOML text, "data_dir": path, "role": "engine" | "reader", "keyring": bool}.
 *   All may be left out: the paths are then the platform's, the role is the engine's. One process at a time can be the engine
 *   of a data directory (kind `busy`); any number can be readers. "keyring": false keeps the key of the tokens in a file.
 * Returns 0 when it cannot be opened; calmirror_last_error says why.
 */
calmirror_t calmirror_open(const char *options, size_t length);

/*
 * One call: {"call": name, "account": name, ...}. Blocks as long as its work takes: a question some milliseconds, "sync" and
 * "sign_out" until their end, "sign_in" until there is something to show.
 *
 * Returns {"ok": ...} or {"problem": ...}; the caller frees it. Never null. What the call was refused for stands in the answer,
 * not in calmirror_last_error.
 */
char *calmirror_call(calmirror_t handle, const char *call, size_t length);

/*
 * Waits for the next notice: {"notice": "change" | "presence" | "reminder" | "sync" | "sign_in", "account": name, ...}.
 * {"notice": "change", "seq": n} says how far the change feed goes; {"call": "changes", "since": n} reads it. It comes once at
 * the beginning, too. {"notice": "missed"}: this listener was too slow, so what it knows may be old.
 *
 * A handle listens from the first call of this function on; what happened before is not told.
 * timeout_ms: 0 only looks; negative waits for ever. Each notice is returned once: threads that wait for one handle share them.
 * Returns null when the time is over, and then calmirror_last_error is null, too; and null with a problem when the handle is
 * not open, was closed meanwhile or only reads. Else the caller frees it.
 */
char *calmirror_next_notice(calmirror_t handle, int64_t timeout_ms);

/*
 * Called for each notice, on one thread of the library, never twice at once. The notice belongs to the library and is valid
 * until the callback returns. It may call every function of this library; what it throws must not leave it.
 */
typedef void (*calmirror_notice_fn)(void *user, const char *notice, size_t length);

/*
 * Has a callback called with every notice from now on, in place of the one before; null takes it back. Independent of
 * calmirror_next_notice: both get every notice. `user` is handed on and never touched.
 *
 * When this returns, and when calmirror_close returns, the former callback runs no more: so do not hold a lock here that it
 * takes. Called from within a callback it does not wait for that one.
 * Returns 0, or -1 when the handle is not open or only reads.
 */
int32_t calmirror_on_notice(calmirror_t handle, calmirror_notice_fn callback, void *user);

/* Frees what calmirror_call or calmirror_next_notice returned. Null is nothing to free; twice is the caller's mistake. */
void calmirror_free(char *text);

/*
 * Ends an instance in order and waits for its end. What runs on other threads for the handle ends first or is refused.
 * Returns 0, or -1 when the handle is not open (a second close, too). Every open handle is to be closed before the library
 * is unloaded.
 */
int32_t calmirror_close(calmirror_t handle);

/*
 * The problem of the last function that failed on this thread: {"problem": ...}. Null when the last one did not fail.
 * Belongs to the library; valid until the next call of another function of it on this thread.
 */
const char *calmirror_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
