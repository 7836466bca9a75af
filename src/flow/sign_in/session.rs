//! Keeping a session alive: one renewal at a time, five minutes early, stored before it is used.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use oauth2::{RefreshToken, RequestTokenError};
use tokio::sync::OwnedMutexGuard;

use super::claims::claims;
use super::refusal::Refusal;
use super::wire::Wire;
use super::{SignInError, SignInSite};
use crate::model::{Broken, Fault, Secret, Unreadable};
use crate::ports::{Bearer, Clock, Ended, Http, Owner, Pending, Tokens, Vault, VaultError};

/// Access tokens are renewed this long before they end; short-lived ones at half their life.
const EARLY_MS: i64 = 5 * 60_000;
/// A token that is still good is not renewed again so soon after a renewal that failed, and none while an
/// administrator must act.
const REST_MS: i64 = 30_000;

/// The tokens of one account, renewed when needed, one renewal at a time.
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    site: SignInSite,
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    vault: Arc<dyn Vault>,
    /// Counts renewals that ended without tokens: who waited for one shares its outcome.
    failures: AtomicU64,
    /// What an administrator must correct before a renewal succeeds.
    problem: Mutex<Option<SignInError>>,
    state: Arc<tokio::sync::Mutex<State>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(…)")
    }
}

struct State {
    is_loaded: bool,
    tokens: Option<Tokens>,
    early_ms: i64,
    rests_until_ms: i64,
    last_fault: Option<Fault>,
    /// The access token at hand was already got with the claims of a challenge.
    is_answer: bool,
}

impl State {
    fn new() -> State {
        State {
            is_loaded: false,
            tokens: None,
            early_ms: EARLY_MS,
            rests_until_ms: i64::MIN,
            last_fault: None,
            is_answer: false,
        }
    }

    fn keep(&mut self, tokens: Tokens, now_ms: i64) {
        let lifetime_ms = tokens.expires_at_ms.saturating_sub(now_ms);
        *self = State {
            is_loaded: true,
            tokens: Some(tokens),
            early_ms: EARLY_MS.min(lifetime_ms / 2),
            ..State::new()
        };
    }
}

/// What a renewal is for.
struct Renewal {
    tokens: Tokens,
    /// The claims of a challenge.
    challenge: Option<String>,
    /// The access token at hand is good for some minutes yet.
    is_usable: bool,
}

/// Why there are no new tokens.
enum NoTokens {
    /// Only the user can go on.
    Over(Refusal),
    /// It may be better next time.
    Fault(Fault),
}

impl Session {
    /// The session of an account; reads its tokens when first asked.
    pub fn new(
        site: SignInSite,
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        vault: Arc<dyn Vault>,
    ) -> Session {
        let state = Arc::new(tokio::sync::Mutex::new(State::new()));
        let (failures, problem) = (AtomicU64::new(0), Mutex::default());
        Session { inner: Arc::new(Inner { site, http, clock, vault, failures, problem, state }) }
    }

    /// What an administrator must correct before these tokens can be renewed: the session itself is not over.
    pub fn problem(&self) -> Option<SignInError> {
        self.inner.problem()
    }

    /// Keeps the tokens of a new sign-in: on disk first.
    ///
    /// # Errors
    /// When they cannot be stored.
    pub async fn replace(&self, tokens: Tokens) -> Result<(), VaultError> {
        let mut state = self.inner.state.lock().await;
        self.inner.vault.store(&tokens)?;
        state.keep(tokens, self.inner.clock.now_ms());
        self.inner.note_problem(None);
        Ok(())
    }

    /// The claims that the next sign-in must bring, if a server demanded some.
    ///
    /// # Errors
    /// When the tokens cannot be read.
    pub async fn challenge(&self) -> Result<Option<Secret>, VaultError> {
        let mut state = self.inner.state.lock().await;
        self.inner.load(&mut state)?;
        Ok(state.tokens.as_ref().and_then(|tokens| tokens.ended.as_ref()?.claims.clone()))
    }

    /// What was granted, as the server named it; empty when nobody is signed in, or it did not say.
    ///
    /// # Errors
    /// When the tokens cannot be read.
    pub async fn scopes(&self) -> Result<Vec<String>, VaultError> {
        let mut state = self.inner.state.lock().await;
        self.inner.load(&mut state)?;
        Ok(state.tokens.as_ref().map(|tokens| tokens.scopes.clone()).unwrap_or_default())
    }

    /// Whose tokens they are, as far as it was noted when they came.
    ///
    /// # Errors
    /// When the tokens cannot be read.
    pub async fn owner(&self) -> Result<Option<Owner>, VaultError> {
        let mut state = self.inner.state.lock().await;
        self.inner.load(&mut state)?;
        Ok(state.tokens.as_ref().and_then(|tokens| tokens.owner.clone()))
    }
}

impl Inner {
    fn note_problem(&self, problem: Option<SignInError>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    fn load(&self, state: &mut State) -> Result<(), VaultError> {
        if !state.is_loaded {
            state.tokens = self.vault.load()?;
            state.is_loaded = true;
        }
        Ok(())
    }

    async fn give(
        self: &Arc<Inner>,
        refused: Option<&Secret>,
        claims: Option<&str>,
    ) -> Result<Secret, Fault> {
        let failures = self.failures.load(Ordering::SeqCst);
        let mut state = self.state.clone().lock_owned().await;
        self.load(&mut state).map_err(|error| {
            tracing::warn!(error = %error, "the tokens cannot be read");
            Fault::SignInNeeded
        })?;
        let Some(tokens) = state.tokens.clone().filter(|tokens| tokens.ended.is_none()) else {
            return Err(Fault::SignInNeeded);
        };
        let now_ms = self.clock.now_ms();
        let is_refused = refused == Some(&tokens.access);
        let challenge = claims.filter(|_| is_refused);
        if challenge.is_some() && state.is_answer {
            // A renewal with claims was no answer: the server wants to see the user.
            let code = "insufficient_claims".to_owned();
            self.end(&mut state, tokens, Ended { code, claims: challenge.map(Secret::new) });
            return Err(Fault::SignInNeeded);
        }
        let left_ms = tokens.expires_at_ms.saturating_sub(now_ms);
        let is_usable = !is_refused && left_ms > 0;
        if is_usable && (left_ms > state.early_ms || now_ms < state.rests_until_ms) {
            return Ok(tokens.access);
        }
        if self.failures.load(Ordering::SeqCst) != failures
            && let Some(fault) = &state.last_fault
        {
            // The renewal that this caller waited for has failed just now.
            return if is_usable { Ok(tokens.access) } else { Err(fault.clone()) };
        }
        if !is_usable
            // A clock that was put back must not make the rest longer.
            && (state.rests_until_ms.saturating_sub(REST_MS)..state.rests_until_ms).contains(&now_ms)
            && self.problem().is_some()
            && let Some(fault) = &state.last_fault
        {
            // An administrator does not correct a registration between two calendars.
            return Err(fault.clone());
        }
        // On a task of its own: who waits may go away, but a refresh token that was rotated must be kept.
        let renewal = Renewal { tokens, challenge: challenge.map(str::to_owned), is_usable };
        let inner = self.clone();
        let task = tokio::spawn(async move { inner.renew_and_keep(state, renewal).await });
        task.await.unwrap_or(Err(Fault::Unreachable(Broken::Connect)))
    }

    fn problem(&self) -> Option<SignInError> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn renew_and_keep(
        &self,
        mut state: OwnedMutexGuard<State>,
        renewal: Renewal,
    ) -> Result<Secret, Fault> {
        let Renewal { tokens, challenge, is_usable } = renewal;
        match self.renew(&tokens, challenge.as_deref()).await {
            Ok(renewed) => {
                if let Err(error) = self.vault.store(&renewed) {
                    // Kept in memory all the same: a token that was rotated away would be lost otherwise.
                    tracing::error!(error = %error, "the renewed tokens could not be stored");
                }
                let access = renewed.access.clone();
                state.keep(renewed, self.clock.now_ms());
                state.is_answer = challenge.is_some();
                self.note_problem(None);
                Ok(access)
            }
            Err(NoTokens::Over(refusal)) => {
                tracing::info!(code = %refusal.error, "the sign-in server ends the session");
                let claims = refusal.claims.or_else(|| challenge.map(Secret::new));
                self.end(&mut state, tokens, Ended { code: refusal.error, claims });
                self.note_problem(None);
                Err(Fault::SignInNeeded)
            }
            Err(NoTokens::Fault(fault)) => {
                self.failures.fetch_add(1, Ordering::SeqCst);
                state.rests_until_ms = self.clock.now_ms().saturating_add(REST_MS);
                state.last_fault = Some(fault.clone());
                // The old one is good for some minutes yet.
                if is_usable { Ok(tokens.access) } else { Err(fault) }
            }
        }
    }

    /// Notes durably that only the user can go on: no later process tries these tokens again.
    fn end(&self, state: &mut State, tokens: Tokens, ended: Ended) {
        let tokens = Tokens { ended: Some(ended), ..tokens };
        if let Err(error) = self.vault.store(&tokens) {
            tracing::warn!(error = %error, "that sign-in is needed could not be stored");
        }
        state.tokens = Some(tokens);
    }

    /// Gets new tokens for the refresh token; with the claims of a challenge, once, before the user is asked. Names
    /// no scopes: what was granted is renewed, also when the configuration asks for more by now.
    async fn renew(&self, tokens: &Tokens, challenge: Option<&str>) -> Result<Tokens, NoTokens> {
        let Some(refresh) = &tokens.refresh else {
            return Err(NoTokens::Over(Refusal {
                error: "no_refresh_token".to_owned(),
                ..Refusal::default()
            }));
        };
        let client = self.site.client().map_err(|_| NoTokens::Fault(Fault::Unreadable(Unreadable::Shape)))?;
        let wire = Wire::new(self.http.clone());
        let refresh = RefreshToken::new(refresh.expose().to_owned());
        let request = client.exchange_refresh_token(&refresh).add_extra_param("claims", claims(challenge));
        match request.request_async(&wire).await {
            Ok(token) => Ok(self.site.tokens_of(&token, Some(tokens), self.clock.now_ms())),
            Err(RequestTokenError::Request(fault)) => {
                self.note_problem(None);
                Err(NoTokens::Fault(fault))
            }
            Err(RequestTokenError::ServerResponse(answer)) => {
                let refusal = wire.refusal(answer.error().as_ref());
                if refusal.ends_session() {
                    return Err(NoTokens::Over(refusal));
                }
                if refusal.is_weather() {
                    self.note_problem(None);
                    return Err(NoTokens::Fault(refusal.fault()));
                }
                // No answer of the calendar service: nothing that waits to be sent may take it for one. Nothing is
                // noted durably either, so that the session goes on once the registration is corrected.
                tracing::warn!(code = %refusal.error, "the sign-in server refuses this application; an administrator must check its registration");
                self.note_problem(Some(refusal.sort(&self.site)));
                Err(NoTokens::Fault(Fault::SignInNeeded))
            }
            Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => {
                Err(NoTokens::Fault(Fault::Unreadable(Unreadable::Shape)))
            }
        }
    }
}

impl Bearer for Session {
    fn token<'a>(
        &'a self,
        refused: Option<&'a Secret>,
        claims: Option<&'a str>,
    ) -> Pending<'a, Result<Secret, Fault>> {
        Box::pin(self.inner.give(refused, claims))
    }
}

/// A bearer that has one token and no other.
struct Fixed(Secret);

impl Bearer for Fixed {
    fn token<'a>(
        &'a self,
        refused: Option<&'a Secret>,
        _: Option<&'a str>,
    ) -> Pending<'a, Result<Secret, Fault>> {
        Box::pin(async move {
            if refused == Some(&self.0) { Err(Fault::SignInNeeded) } else { Ok(self.0.clone()) }
        })
    }
}

/// A bearer with one token: to ask whose it is before it is kept, and for tests.
pub fn fixed_bearer(token: Secret) -> Arc<dyn Bearer> {
    Arc::new(Fixed(token))
}
