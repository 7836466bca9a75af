use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::browser::{BrowserHints, BrowserSignIn};
use super::claims::claims;
use super::landing::{Arrival, Verdict, judge};
use super::refusal::Refusal;
use super::{Session, SignInError, SignInSite};
use crate::model::{Broken, Fault, Secret};
use crate::ports::{
    Bearer, Clock, Ended, Http, HttpError, Pending, Reply, Request, Tokens, Vault, VaultError,
};

const NOW_MS: i64 = 1_772_438_400_000;
const HOUR_MS: i64 = 3_600_000;

fn site() -> SignInSite {
    SignInSite {
        authority_url: "https://login.example".into(),
        tenant: "contoso.example".into(),
        client_id: "app-1".into(),
        scopes: vec!["offline_access".into(), "User.Read".into()],
    }
}

fn refusal(error: &str, suberror: Option<&str>) -> Refusal {
    Refusal { error: error.into(), suberror: suberror.map(str::to_owned), claims: None }
}

#[test]
fn refusals_are_sorted_by_who_must_do_what() {
    let kind = |error: &SignInError| match error {
        SignInError::Declined { .. } => "declined",
        SignInError::Expired => "expired",
        SignInError::TimedOut => "timed out",
        SignInError::ConsentNeeded { .. } => "consent",
        SignInError::StepNeeded => "step",
        SignInError::DeviceRefused => "device",
        SignInError::PasswordExpired => "password",
        SignInError::UserRefused => "user",
        SignInError::ApplicationUnknown { .. } => "application",
        SignInError::SecretDemanded { .. } => "secret",
        SignInError::ScopeUnknown { .. } => "scope",
        SignInError::Misconfigured { .. } => "misconfigured",
        SignInError::TenantUnknown => "tenant",
        SignInError::OtherTenant => "other tenant",
        SignInError::IdTokenWrong(_) => "id token",
        SignInError::ClockWrong { .. } => "clock",
        SignInError::AddressWrong => "address",
        SignInError::NoPort(_) => "port",
        SignInError::Fault(fault) => fault.kind(),
    };
    for (error, suberror, expected, names) in [
        ("access_denied", None, "declined", "administrator"),
        (
            "access_denied",
            Some("cancel"),
            "declined",
            "https://login.example/contoso.example/adminconsent?client_id=app-1",
        ),
        ("authorization_declined", None, "declined", "calmirror login"),
        ("expired_token", None, "expired", "calmirror login"),
        (
            "consent_required",
            None,
            "consent",
            "https://login.example/contoso.example/adminconsent?client_id=app-1",
        ),
        ("invalid_grant", Some("consent_required"), "consent", "administrator"),
        ("interaction_required", None, "step", "conditional access"),
        ("login_required", None, "step", "calmirror login"),
        ("invalid_grant", Some("basic_action"), "step", "administrator"),
        ("interaction_required", Some("additional_action"), "step", "administrator"),
        ("invalid_grant", Some("user_password_expired"), "password", "change it"),
        ("unauthorized_client", Some("protection_policy_required"), "device", "administrator"),
        ("invalid_grant", Some("device_authentication_failed"), "device", "administrator"),
        ("invalid_grant", None, "user", "enabled"),
        ("invalid_grant", Some("bad_token"), "user", "calmirror login"),
        ("unauthorized_client", None, "application", "directory_id"),
        ("invalid_grant", Some("client_mismatch"), "application", "(invalid_grant/client_mismatch)"),
        ("invalid_client", None, "secret", "Mobile and desktop applications"),
        ("invalid_scope", None, "scope", "User.Read"),
        ("invalid_request", None, "misconfigured", "http://localhost"),
        ("unsupported_response_type", None, "misconfigured", "(unsupported_response_type)"),
        ("something_new", Some("newer"), "misconfigured", "(something_new/newer)"),
        ("temporarily_unavailable", None, "server_error", "temporarily_unavailable"),
        ("server_error", None, "server_error", "server_error"),
    ] {
        let sorted = refusal(error, suberror).sort(&site());
        assert_eq!(kind(&sorted), expected, "{error} {suberror:?}");
        assert!(sorted.to_string().contains(names), "{error} {suberror:?}: {sorted}");
    }
}

#[test]
fn a_refusal_is_read_by_its_members_and_never_by_its_text() {
    let body = json!({
        "error": "invalid_grant\u{1b}[2J", "suberror": "basic_action<script>",
        "error_description": "AADSTS65004: User declined to consent", "error_codes": [65004],
        "claims": "{\"access_token\":{}}",
    });
    let read = Refusal::read(body.to_string().as_bytes()).unwrap();
    assert_eq!(read.error, "invalid_grant2J");
    assert_eq!(read.suberror.as_deref(), Some("basic_actionscript"));
    assert_eq!(read.claims, Some(Secret::new("{\"access_token\":{}}")));
    for body in ["", "[]", "{}", "{\"error\":{\"code\":\"x\"}}", "{\"error\":7}"] {
        assert_eq!(Refusal::read(body.as_bytes()), None, "{body}");
    }
    let large = json!({"error": "e", "claims": "x".repeat(5_000)}).to_string();
    assert_eq!(Refusal::read(large.as_bytes()).unwrap().claims, None);
}

#[test]
fn a_challenge_is_merged_into_the_claims_and_nonsense_is_left_out() {
    let own = json!({"access_token": {"xms_cc": {"values": ["cp1"]}}});
    for (challenge, expected) in [
        (None, own.clone()),
        (Some("no json"), own.clone()),
        (Some("[1]"), own.clone()),
        (Some("{\"access_token\":7}"), own.clone()),
        (
            Some(
                "{\"access_token\":{\"nbf\":{\"essential\":true,\"value\":\"1604106651\"}},\"id_token\":{}}",
            ),
            json!({
                "access_token": {"nbf": {"essential": true, "value": "1604106651"}, "xms_cc": {"values": ["cp1"]}},
                "id_token": {},
            }),
        ),
    ] {
        let merged: serde_json::Value = serde_json::from_str(&claims(challenge)).unwrap();
        assert_eq!(merged, expected, "{challenge:?}");
    }
}

#[test]
fn only_a_clear_redirect_with_the_state_is_believed() {
    let code = || Verdict::Believed(Arrival::Code(Secret::new("c")));
    let refused = |error, suberror| Verdict::Believed(Arrival::Refused(refusal(error, suberror)));
    for (first, host, expected) in [
        ("GET /?code=c&state=s HTTP/1.1", "localhost:80", code()),
        ("GET /?state=s&code=c&session_state=x HTTP/1.0", "127.0.0.1:80", code()),
        ("GET /?error=access_denied&state=s HTTP/1.1", "localhost:80", refused("access_denied", None)),
        (
            "GET /?error=access_denied&error_subcode=cancel&state=s&error_description=AADSTS HTTP/1.1",
            "localhost:80",
            refused("access_denied", Some("cancel")),
        ),
        ("GET /?error=a%1B%5B2J&state=s HTTP/1.1", "localhost:80", refused("a2J", None)),
        ("GET /?code=c HTTP/1.1", "localhost:80", Verdict::Forged),
        ("GET /?code=c&state= HTTP/1.1", "localhost:80", Verdict::Forged),
        ("GET /?code=c&state=t HTTP/1.1", "localhost:80", Verdict::Forged),
        ("GET /?code=c&state=s&state=t HTTP/1.1", "localhost:80", Verdict::Forged),
        ("GET /?code=c&code=d&state=s HTTP/1.1", "localhost:80", Verdict::Forged),
        ("GET /?code=c&error=e&state=s HTTP/1.1", "localhost:80", Verdict::Forged),
        ("GET /?state=s HTTP/1.1", "localhost:80", Verdict::Forged),
        ("GET / HTTP/1.1", "localhost:80", Verdict::Forged),
        ("GET /favicon.ico HTTP/1.1", "localhost:80", Verdict::NotHere),
        ("GET //?code=c&state=s HTTP/1.1", "localhost:80", Verdict::NotHere),
        ("GET /?code=c&state=s HTTP/1.1", "evil.example:80", Verdict::NotHere),
        ("GET /?code=c&state=s HTTP/1.1", "localhost:81", Verdict::NotHere),
        ("GET /?code=c&state=s HTTP/1.1", "localhost:80\r\nhost: localhost:80", Verdict::NotHere),
        ("POST /?code=c&state=s HTTP/1.1", "localhost:80", Verdict::NoGet),
        ("GET /?code=c&state=s", "localhost:80", Verdict::NotHttp),
        ("GET /?code=c d&state=s HTTP/1.1", "localhost:80", Verdict::NotHttp),
        ("GET /?code=c&state=s SMTP", "localhost:80", Verdict::NotHttp),
    ] {
        let head = format!("{first}\r\nAccept: */*\r\nHost: {host}\r\n\r\n");
        assert_eq!(judge(head.as_bytes(), 80, "s"), expected, "{head}");
    }
    assert_eq!(judge(b"GET / HTTP/1.1\r\n\r\n", 80, "s"), Verdict::NotHere);
    assert_eq!(judge(b"\xff\xfe\r\n\r\n", 80, "s"), Verdict::NotHttp);
}

/// A clock that a test turns; waiting for it ends at once.
struct HandClock(Mutex<i64>);

impl HandClock {
    fn turn(&self, by_ms: i64) {
        *self.0.lock().unwrap() += by_ms;
    }
}

impl Clock for HandClock {
    fn now_ms(&self) -> i64 {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        self.turn(i64::try_from(duration.as_millis()).unwrap());
        Box::pin(tokio::task::yield_now())
    }
}

/// A sign-in server with prepared replies.
#[derive(Default)]
struct Script {
    replies: Mutex<VecDeque<Result<Reply, HttpError>>>,
    bodies: Mutex<Vec<String>>,
}

impl Script {
    fn add(&self, status: u16, body: &serde_json::Value) {
        let body = body.to_string().into_bytes();
        self.replies.lock().unwrap().push_back(Ok(Reply { status, headers: Vec::new(), body }));
    }

    fn add_offline(&self) {
        self.replies.lock().unwrap().push_back(Err(HttpError::Broken(Broken::Connect)));
    }

    fn asked(&self) -> usize {
        self.bodies.lock().unwrap().len()
    }
}

impl Http for Script {
    fn send(&self, request: Request) -> Pending<'_, Result<Reply, HttpError>> {
        let body = String::from_utf8(request.body.unwrap_or_default()).unwrap();
        self.bodies.lock().unwrap().push(body);
        Box::pin(async move {
            // Others get their turn while this request is on its way.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            self.replies.lock().unwrap().pop_front().expect("no reply is prepared for this request")
        })
    }
}

#[derive(Default)]
struct MemoryVault(Mutex<Option<Tokens>>);

impl Vault for MemoryVault {
    fn load(&self) -> Result<Option<Tokens>, VaultError> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn store(&self, tokens: &Tokens) -> Result<(), VaultError> {
        *self.0.lock().unwrap() = Some(tokens.clone());
        Ok(())
    }

    fn remove(&self) -> Result<(), VaultError> {
        *self.0.lock().unwrap() = None;
        Ok(())
    }
}

struct Stage {
    clock: Arc<HandClock>,
    server: Arc<Script>,
    vault: Arc<MemoryVault>,
    session: Session,
}

impl Stage {
    /// Signed in with an access token that lives an hour.
    fn signed_in() -> Stage {
        let vault = Arc::new(MemoryVault::default());
        let tokens = Tokens {
            access: Secret::new("access-0"),
            expires_at_ms: NOW_MS + HOUR_MS,
            refresh: Some(Secret::new("refresh-0")),
            scopes: vec!["User.Read".into()],
            ended: None,
            owner: None,
        };
        vault.store(&tokens).unwrap();
        Stage::over(vault, Arc::new(HandClock(Mutex::new(NOW_MS))), Arc::new(Script::default()))
    }

    fn over(vault: Arc<MemoryVault>, clock: Arc<HandClock>, server: Arc<Script>) -> Stage {
        let session = Session::new(site(), server.clone(), clock.clone(), vault.clone());
        Stage { clock, server, vault, session }
    }

    /// The process ends and another begins.
    fn restart(self) -> Stage {
        Stage::over(self.vault, self.clock, self.server)
    }

    fn stored(&self) -> Tokens {
        self.vault.load().unwrap().unwrap()
    }

    async fn token(&self) -> Result<String, Fault> {
        self.session.token(None, None).await.map(|token| token.expose().to_owned())
    }
}

fn reply(number: u32, lifetime_s: u32) -> serde_json::Value {
    json!({
        "token_type": "Bearer", "expires_in": lifetime_s, "scope": "User.Read",
        "access_token": format!("access-{number}"), "refresh_token": format!("refresh-{number}"),
    })
}

#[tokio::test]
async fn many_who_wait_for_a_token_cause_one_request() {
    let stage = Stage::signed_in();
    stage.clock.turn(HOUR_MS);
    stage.server.add(200, &reply(1, 3_600));
    let tokens = join_all((0..50).map(|_| stage.token())).await;
    assert!(tokens.iter().all(|token| token.as_deref() == Ok("access-1")), "{tokens:?}");
    assert_eq!(stage.server.asked(), 1);
}

#[tokio::test]
async fn many_who_wait_for_a_renewal_that_fails_share_its_failure() {
    let stage = Stage::signed_in();
    stage.clock.turn(HOUR_MS);
    stage.server.add_offline();
    let tokens = join_all((0..50).map(|_| stage.token())).await;
    assert!(tokens.iter().all(|token| *token == Err(Fault::Unreachable(Broken::Connect))), "{tokens:?}");
    assert_eq!(stage.server.asked(), 1);
    stage.server.add(200, &reply(1, 3_600));
    assert_eq!(stage.token().await.as_deref(), Ok("access-1"));
}

#[tokio::test]
async fn a_token_is_renewed_five_minutes_early_and_stored_before_it_is_given_out() {
    let stage = Stage::signed_in();
    stage.clock.turn(HOUR_MS - 5 * 60_000 - 1);
    assert_eq!(stage.token().await.as_deref(), Ok("access-0"));
    stage.clock.turn(1);
    stage.server.add(200, &reply(1, 3_600));
    assert_eq!(stage.token().await.as_deref(), Ok("access-1"));
    assert_eq!(stage.stored().refresh, Some(Secret::new("refresh-1")));
    assert_eq!(stage.stored().expires_at_ms, stage.clock.now_ms() + HOUR_MS);
    assert!(stage.server.bodies.lock().unwrap()[0].contains("refresh_token=refresh-0"));
}

#[tokio::test]
async fn a_network_failure_never_signs_out() {
    let stage = Stage::signed_in();
    stage.clock.turn(HOUR_MS - 60_000);
    stage.server.add_offline();
    assert_eq!(stage.token().await.as_deref(), Ok("access-0"), "the old one is good for a minute");
    assert_eq!(stage.token().await.as_deref(), Ok("access-0"));
    assert_eq!(stage.server.asked(), 1, "a renewal that failed is not repeated at once");
    stage.clock.turn(90 * 86_400_000);
    for _ in 0..3 {
        stage.server.add_offline();
        assert_eq!(stage.token().await, Err(Fault::Unreachable(Broken::Connect)));
    }
    stage.server.add(503, &json!({}));
    assert_eq!(stage.token().await.unwrap_err().kind(), "server_error");
    stage.server.add(400, &json!({"error": "temporarily_unavailable"}));
    assert_eq!(stage.token().await.unwrap_err().kind(), "server_error");
    stage.server.replies.lock().unwrap().push_back(Ok(Reply {
        status: 200,
        headers: Vec::new(),
        body: b"<html>hotel</html>".to_vec(),
    }));
    assert_eq!(stage.token().await.unwrap_err().kind(), "captive_portal");
    assert_eq!(stage.stored().ended, None);
    let stage = stage.restart();
    stage.server.add(200, &reply(1, 3_600));
    assert_eq!(stage.token().await.as_deref(), Ok("access-1"));
}

#[tokio::test]
async fn a_reply_without_refresh_token_or_scopes_keeps_the_old_ones() {
    let stage = Stage::signed_in();
    stage.clock.turn(HOUR_MS);
    stage.server.add(200, &json!({"token_type": "Bearer", "access_token": "access-1"}));
    assert_eq!(stage.token().await.as_deref(), Ok("access-1"));
    assert_eq!(stage.stored().refresh, Some(Secret::new("refresh-0")));
    assert_eq!(stage.stored().scopes, ["User.Read"]);
    assert_eq!(stage.stored().expires_at_ms, stage.clock.now_ms() + HOUR_MS);
}

#[tokio::test]
async fn a_definite_refusal_asks_the_user_once_and_is_remembered() {
    for error in ["invalid_grant", "interaction_required", "consent_required"] {
        let stage = Stage::signed_in();
        stage.clock.turn(HOUR_MS);
        stage.server.add(400, &json!({"error": error, "claims": "{\"access_token\":{\"p\":1}}"}));
        let tokens = join_all((0..10).map(|_| stage.token())).await;
        assert!(tokens.iter().all(|token| *token == Err(Fault::SignInNeeded)), "{tokens:?}");
        let stage = stage.restart();
        assert_eq!(stage.token().await, Err(Fault::SignInNeeded));
        assert_eq!(stage.server.asked(), 1, "{error}");
        let claims = Some(Secret::new("{\"access_token\":{\"p\":1}}"));
        assert_eq!(stage.stored().ended, Some(Ended { code: error.into(), claims: claims.clone() }));
        assert_eq!(stage.session.challenge().await.unwrap(), claims);

        let anew = Tokens { ended: None, expires_at_ms: stage.clock.now_ms() + HOUR_MS, ..stage.stored() };
        stage.session.replace(anew).await.unwrap();
        assert_eq!(stage.token().await.as_deref(), Ok("access-0"));
        assert_eq!(stage.session.challenge().await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_registration_that_is_wrong_for_a_while_ends_no_session() {
    let stage = Stage::signed_in();
    stage.clock.turn(HOUR_MS);
    for error in ["invalid_client", "unauthorized_client", "invalid_scope", "something_new"] {
        let asked = stage.server.asked();
        stage.server.add(400, &json!({"error": error}));
        assert_eq!(stage.token().await, Err(Fault::SignInNeeded), "{error}");
        assert_eq!(stage.token().await, Err(Fault::SignInNeeded), "{error}");
        assert_eq!(stage.server.asked(), asked + 1, "{error}: not asked again for every calendar");
        let problem = stage.session.problem().expect(error).to_string();
        assert!(problem.contains("administrator"), "{problem}");
        assert_eq!(stage.stored().ended, None, "{error}");
        stage.clock.turn(30_000);
    }
    stage.server.add(200, &reply(1, 3_600));
    assert_eq!(stage.token().await.as_deref(), Ok("access-1"));
    assert_eq!(stage.session.problem(), None);
}

#[tokio::test]
async fn a_rotated_refresh_token_is_kept_although_nobody_waits_any_more() {
    let stage = Stage::signed_in();
    stage.clock.turn(HOUR_MS);
    stage.server.add(200, &reply(1, 3_600));
    {
        let waiting = stage.token();
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("the renewal is under way"),
            () = async { while stage.server.asked() == 0 { tokio::task::yield_now().await } } => {}
        }
    }
    assert_eq!(stage.token().await.as_deref(), Ok("access-1"));
    assert_eq!(stage.stored().refresh, Some(Secret::new("refresh-1")));
    assert_eq!(stage.server.asked(), 1);
}

#[tokio::test]
async fn a_claims_challenge_is_answered_by_one_silent_renewal_that_brings_the_claims() {
    let stage = Stage::signed_in();
    let (used, other) = (Secret::new("access-0"), Secret::new("older"));
    let late = stage.session.token(Some(&other), Some("{\"old\":{}}")).await;
    assert_eq!(late, Ok(used.clone()), "a challenge to a token that was replaced since is void");
    assert_eq!(stage.server.asked(), 0);
    stage.server.add(200, &reply(1, 3_600));
    let answers = join_all((0..10).map(|_| stage.session.token(Some(&used), Some("{\"new\":{}}")))).await;
    assert!(answers.iter().all(|answer| *answer == Ok(Secret::new("access-1"))), "{answers:?}");
    assert_eq!(stage.server.asked(), 1);
    let body = stage.server.bodies.lock().unwrap()[0].clone();
    let sent: std::collections::BTreeMap<String, String> =
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    assert_eq!(sent["claims"], claims(Some("{\"new\":{}}")));
    assert_eq!(sent.get("scope"), None, "what was granted is renewed, not what is configured");
    // The next ordinary renewal is none of a challenge, and may be challenged again.
    stage.server.add(200, &reply(2, 3_600));
    assert!(stage.session.token(Some(&Secret::new("access-1")), None).await.is_ok());
    stage.server.add(200, &reply(3, 3_600));
    assert!(stage.session.token(Some(&Secret::new("access-2")), Some("{\"new\":{}}")).await.is_ok());
}

#[tokio::test]
async fn a_claims_challenge_that_a_renewal_cannot_answer_leads_to_one_sign_in() {
    const CHALLENGE: &str = "{\"access_token\":{}}";
    // The renewed token is challenged again, or the renewal itself is refused.
    for is_renewed in [true, false] {
        let stage = Stage::signed_in();
        let mut used = Secret::new("access-0");
        if is_renewed {
            stage.server.add(200, &reply(1, 3_600));
            used = stage.session.token(Some(&used), Some(CHALLENGE)).await.unwrap();
        } else {
            stage.server.add(400, &json!({"error": "interaction_required"}));
        }
        let challenged = stage.session.token(Some(&used), Some(CHALLENGE)).await;
        assert_eq!(challenged, Err(Fault::SignInNeeded));
        let stage = stage.restart();
        assert_eq!(stage.token().await, Err(Fault::SignInNeeded));
        let challenge = stage.session.challenge().await.unwrap().unwrap();
        assert_eq!(challenge.expose(), CHALLENGE);
        assert!(!format!("{:?}", stage.stored()).contains("access_token\":{}"));
        assert_eq!(stage.server.asked(), 1);
    }
}

#[tokio::test]
async fn clocks_that_jump_and_tokens_that_are_short_lived_never_cause_a_loop() {
    let stage = Stage::signed_in();
    stage.clock.turn(HOUR_MS);
    stage.server.add(200, &reply(1, 60));
    assert_eq!(stage.token().await.as_deref(), Ok("access-1"));
    assert_eq!(stage.token().await.as_deref(), Ok("access-1"), "renewed at half its life, not at once");
    stage.clock.turn(-10 * 60_000);
    assert_eq!(stage.token().await.as_deref(), Ok("access-1"));
    assert_eq!(stage.server.asked(), 1);
    // Back in time the token looks valid for longer; the server's 401 gets another.
    stage.server.add(200, &reply(2, 3_600));
    let fresh = stage.session.token(Some(&Secret::new("access-1")), None).await.unwrap();
    assert_eq!(fresh.expose(), "access-2");
    stage.clock.turn(10 * 60_000);
    assert_eq!(stage.token().await.as_deref(), Ok("access-2"));
    assert_eq!(stage.server.asked(), 2);
    stage.server.add(200, &reply(3, 0));
    stage.clock.turn(HOUR_MS);
    assert_eq!(stage.token().await.as_deref(), Ok("access-3"), "given out once even when it ends at once");
}

#[tokio::test]
async fn a_browser_that_never_comes_back_is_given_up_in_time() {
    let clock = Arc::new(HandClock(Mutex::new(NOW_MS)));
    let http = Arc::new(Script::default());
    let hints = BrowserHints { user: Some("anna+b@contoso.example"), challenge: Some("{\"x\":{}}") };
    let mut started = BrowserSignIn::start(&site(), http, clock.clone(), hints).await.unwrap();
    let url = url::Url::parse(started.authorize_url()).unwrap();
    assert_eq!(url.path(), "/contoso.example/oauth2/v2.0/authorize");
    let query: std::collections::BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    for (name, expected) in [
        ("response_type", "code"),
        ("response_mode", "query"),
        ("client_id", "app-1"),
        ("scope", "offline_access User.Read"),
        ("code_challenge_method", "S256"),
        ("prompt", "select_account"),
        ("login_hint", "anna+b@contoso.example"),
        ("claims", "{\"access_token\":{\"xms_cc\":{\"values\":[\"cp1\"]}},\"x\":{}}"),
    ] {
        assert_eq!(query.get(name).map(String::as_str), Some(expected), "{name}");
    }
    assert_eq!(query["code_challenge"].len(), 43);
    assert!(query["state"].len() >= 43 && query["nonce"].len() >= 43);
    assert_ne!(query["state"], query["nonce"]);
    assert!(query["redirect_uri"].starts_with("http://localhost:"));
    assert_eq!(started.finish().await, Err(SignInError::TimedOut));
    assert_eq!(clock.now_ms(), NOW_MS + 600_000);
}
