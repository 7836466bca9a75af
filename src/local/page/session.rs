//! Who may look at the page: codes that sign a browser in once, and the sessions they open. Both end with the process.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::model::Secret;
use crate::system::secret_hex;

/// How long a code may be used.
const CODE_LIFE_MS: i64 = 10 * 60 * 1_000;
/// Codes that wait to be used; a further one takes the place of the oldest.
const CODES_MAX: usize = 8;
/// Browsers that are signed in; a further one takes the place of the one that was seen longest ago.
const SESSIONS_MAX: usize = 16;
/// Codes that were given and not used are forgotten when a wrong one came so often.
const WRONG_MAX: u32 = 100;

/// The codes and sessions of one door. Holds hashes only.
#[derive(Debug, Default)]
pub(in crate::local) struct Sessions {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    codes: VecDeque<Code>,
    /// The one seen longest ago first.
    sessions: VecDeque<blake3::Hash>,
    wrong: u32,
}

#[derive(Debug)]
struct Code {
    hash: blake3::Hash,
    until_ms: i64,
}

impl Sessions {
    /// A new code: good once, and for ten minutes.
    pub(in crate::local) fn invite(&self, now_ms: i64) -> Secret {
        let code = secret_hex();
        let mut state = self.lock();
        if state.codes.len() >= CODES_MAX {
            state.codes.pop_front();
        }
        let until_ms = now_ms.saturating_add(CODE_LIFE_MS);
        state.codes.push_back(Code { hash: hash(&code), until_ms });
        Secret::new(code)
    }

    /// Opens a session for a code; `None` when it is not good, or not any more.
    pub(in crate::local) fn enter(&self, code: &str, now_ms: i64) -> Option<Secret> {
        let given = hash(code);
        let mut state = self.lock();
        state.codes.retain(|code| now_ms < code.until_ms);
        let place = state.codes.iter().position(|code| code.hash == given);
        let Some(place) = place else {
            state.wrong = state.wrong.saturating_add(1);
            if state.wrong >= WRONG_MAX {
                state.codes.clear();
                state.wrong = 0;
            }
            return None;
        };
        state.codes.remove(place);
        if state.sessions.len() >= SESSIONS_MAX {
            state.sessions.pop_front();
        }
        let session = secret_hex();
        state.sessions.push_back(hash(&session));
        Some(Secret::new(session))
    }

    /// Whether a browser that shows `session` is signed in.
    pub(in crate::local) fn knows(&self, session: &str) -> bool {
        let given = hash(session);
        let mut state = self.lock();
        let place = state.sessions.iter().position(|known| *known == given);
        let Some(known) = place.and_then(|place| state.sessions.remove(place)) else { return false };
        state.sessions.push_back(known);
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hashes are compared in the same time wherever they differ.
fn hash(text: &str) -> blake3::Hash {
    blake3::hash(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_opens_one_session_within_its_life() {
        let sessions = Sessions::default();
        let code = sessions.invite(0);
        assert!(sessions.enter("another", 1).is_none());
        let session = sessions.enter(code.expose(), CODE_LIFE_MS - 1).unwrap();
        assert!(sessions.knows(session.expose()));
        assert!(!sessions.knows(code.expose()));
        assert!(sessions.enter(code.expose(), 2).is_none(), "a code is good once");
        let late = sessions.invite(0);
        assert!(sessions.enter(late.expose(), CODE_LIFE_MS).is_none());
    }

    #[test]
    fn the_browser_seen_longest_ago_makes_room() {
        let sessions = Sessions::default();
        let enter = || sessions.enter(sessions.invite(0).expose(), 0).unwrap();
        let (first, second) = (enter(), enter());
        for _ in 2..SESSIONS_MAX {
            enter();
        }
        assert!(sessions.knows(first.expose()));
        enter();
        assert!(sessions.knows(first.expose()));
        assert!(!sessions.knows(second.expose()));
    }

    #[test]
    fn codes_that_nobody_used_and_codes_that_are_guessed_are_forgotten() {
        let sessions = Sessions::default();
        let oldest = sessions.invite(0);
        for _ in 0..CODES_MAX {
            sessions.invite(0);
        }
        assert!(sessions.enter(oldest.expose(), 0).is_none());
        let code = sessions.invite(0);
        for _ in 0..WRONG_MAX {
            assert!(sessions.enter("a guess", 0).is_none());
        }
        assert!(sessions.enter(code.expose(), 0).is_none());
    }
}
