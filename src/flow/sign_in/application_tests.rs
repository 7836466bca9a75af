use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::{Application, ApplicationSite};
use crate::config::Credential;
use crate::model::{Broken, Fault, Secret};
use crate::ports::{Bearer, Clock, Entropy, Http, HttpError, Pending, Reply, Request};

const NOW_MS: i64 = 1_772_438_400_000;
const MINUTE_MS: i64 = 60_000;
const SECRET: &str = "s3cr3t~of.an-application";

/// A sign-in server, the time and randomness.
#[derive(Default)]
struct Outside {
    now_ms: AtomicI64,
    asked: AtomicU64,
    /// What the next requests get instead of a token.
    refusals: Mutex<Vec<Result<(u16, &'static str), Broken>>>,
    bodies: Mutex<Vec<String>>,
}

impl Http for Outside {
    fn send(&self, request: Request) -> Pending<'_, Result<Reply, HttpError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            self.bodies.lock().unwrap().push(String::from_utf8(request.body.unwrap()).unwrap());
            let refusal = self.refusals.lock().unwrap().pop();
            let (status, body) = match refusal {
                None => {
                    let token = format!("token-{number}");
                    (200, json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600}))
                }
                Some(Ok((status, error))) => (status, json!({"error": error})),
                Some(Err(broken)) => return Err(HttpError::Broken(broken)),
            };
            Ok(Reply { status, headers: Vec::new(), body: body.to_string().into_bytes() })
        })
    }
}

impl Clock for Outside {
    fn now_ms(&self) -> i64 {
        NOW_MS + self.now_ms.load(Ordering::SeqCst)
    }

    fn sleep(&self, _: Duration) -> Pending<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl Entropy for Outside {
    fn roll(&self) -> f64 {
        0.5
    }

    fn bytes(&self) -> [u8; 16] {
        [7; 16]
    }
}

struct Stage {
    outside: Arc<Outside>,
    application: Application,
    _dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        crate::system::write_private(&path, SECRET.as_bytes()).unwrap();
        let outside = Arc::new(Outside::default());
        let site = ApplicationSite {
            display_name: "Server".into(),
            authority_url: "https://login.example".into(),
            tenant: "contoso.example".into(),
            client_id: "app-1".into(),
            graph_url: "https://graph.example".into(),
        };
        let application = Application::new(
            site,
            Credential::SecretFile(path),
            outside.clone(),
            outside.clone(),
            outside.clone(),
        );
        Stage { outside, application, _dir: dir }
    }

    fn turn(&self, by_ms: i64) {
        self.outside.now_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    fn asked(&self) -> u64 {
        self.outside.asked.load(Ordering::SeqCst)
    }

    fn refuse(&self, with: Result<(u16, &'static str), Broken>) {
        self.outside.refusals.lock().unwrap().push(with);
    }

    async fn token(&self) -> Result<Secret, Fault> {
        self.application.token(None, None).await
    }

    async fn tokens(&self, count: usize) -> Vec<Result<Secret, Fault>> {
        join_all((0..count).map(|_| self.token())).await
    }
}

#[tokio::test]
async fn two_hundred_mailboxes_ask_for_one_token_an_expiry_five_minutes_early() {
    let stage = Stage::new();
    for (minutes, asked) in [(0, 1), (54, 1), (2, 2), (53, 2), (3, 3)] {
        stage.turn(minutes * MINUTE_MS);
        let given = stage.tokens(200).await;
        assert!(given.iter().all(|token| token == &given[0] && token.is_ok()));
        assert_eq!(stage.asked(), asked, "{minutes}");
    }
    let body = &stage.outside.bodies.lock().unwrap()[0];
    assert!(body.contains("grant_type=client_credentials"), "{body}");
    assert!(body.contains("scope=https%3A%2F%2Fgraph.example%2F.default"), "{body}");
}

#[tokio::test]
async fn a_refused_secret_is_asked_about_once_and_the_held_token_serves_to_its_end() {
    let stage = Stage::new();
    let first = stage.token().await.unwrap();
    stage.turn(56 * MINUTE_MS);
    stage.refuse(Ok((401, "invalid_client")));
    assert!(stage.tokens(200).await.iter().all(|token| token.as_ref() == Ok(&first)));
    stage.turn(5 * MINUTE_MS);
    assert!(stage.tokens(200).await.iter().all(|token| *token == Err(Fault::SignInNeeded)));
    assert_eq!(stage.asked(), 2);
    let text = format!("{} {:?}", stage.application.problem().unwrap(), stage.application);
    assert!(text.contains("Certificates & secrets") && !text.contains(SECRET), "{text}");
    // An administrator may have corrected the registration instead.
    stage.turn(6 * MINUTE_MS);
    assert!(stage.token().await.is_ok());
    assert_eq!(stage.application.problem(), None);
}

#[tokio::test]
async fn weather_is_shared_by_those_who_waited_and_passes_by_itself() {
    let stage = Stage::new();
    stage.refuse(Err(Broken::Connect));
    let offline = Err(Fault::Unreachable(Broken::Connect));
    assert!(stage.tokens(200).await.iter().all(|token| *token == offline));
    assert_eq!((stage.asked(), stage.application.problem()), (1, None));
    stage.turn(11_000);
    assert!(stage.token().await.is_ok());
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_unless_it_is_young() {
    let stage = Stage::new();
    let first = stage.token().await.unwrap();
    assert_eq!(stage.application.token(Some(&first), None).await.unwrap(), first);
    stage.turn(2 * MINUTE_MS);
    let asks = (0..200).map(|_| stage.application.token(Some(&first), None));
    let given = join_all(asks).await;
    assert!(given.iter().all(|token| token == &given[0] && token.as_ref() != Ok(&first)));
    assert_eq!(stage.asked(), 2);
}

#[tokio::test]
async fn refusals_are_sorted_by_who_must_do_what() {
    for (error, says) in [
        ("invalid_client", "has expired"),
        ("unauthorized_client", "application_id"),
        ("invalid_scope", "admin consent"),
        ("invalid_request", "registration"),
    ] {
        let stage = Stage::new();
        stage.refuse(Ok((400, error)));
        assert_eq!(stage.token().await, Err(Fault::SignInNeeded));
        let text = stage.application.problem().unwrap().to_string();
        assert!(text.contains(says) && text.contains("administrator") && text.contains(error), "{text}");
    }
}

#[cfg(feature = "emulator")]
mod assertion {
    use super::*;
    use crate::emulator::{Expected, verify};

    const CERTIFICATE: &str = include_str!("../../../fixtures/application/application.crt");
    const KEY: &str = include_str!("../../../fixtures/application/application.key");

    /// What an application with the certificate sends.
    async fn sent() -> String {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, private_key) = (dir.path().join("c"), dir.path().join("k"));
        std::fs::write(&certificate, CERTIFICATE).unwrap();
        crate::system::write_private(&private_key, KEY.as_bytes()).unwrap();
        let mut stage = Stage::new();
        stage.application.credential = Credential::Certificate { certificate, private_key };
        stage.token().await.unwrap();
        let body = stage.outside.bodies.lock().unwrap()[0].clone();
        let mut members = url::form_urlencoded::parse(body.as_bytes());
        members.find(|(name, _)| name == "client_assertion").unwrap().1.into_owned()
    }

    #[tokio::test]
    async fn an_assertion_is_verified_with_the_key_of_the_certificate_and_nothing_in_it_may_change() {
        let assertion = sent().await;
        let expected = |client_id, audience_path, now_ms| Expected {
            certificate: CERTIFICATE,
            client_id,
            audience_path,
            now_ms,
        };
        let path = "/contoso.example/oauth2/v2.0/token";
        let good = expected("app-1", path, NOW_MS);
        assert!(verify(&assertion, &good).is_ok());
        assert!(verify(&assertion, &expected("app-2", path, NOW_MS)).is_err());
        assert!(verify(&assertion, &expected("app-1", "/other/oauth2/v2.0/token", NOW_MS)).is_err());
        assert!(verify(&assertion, &expected("app-1", path, NOW_MS + 60 * MINUTE_MS)).is_err());
        assert!(verify(&assertion, &expected("app-1", path, NOW_MS - 60 * MINUTE_MS)).is_err());
        let parts: Vec<&str> = assertion.split('.').collect();
        for place in 0..3 {
            let mut forged: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            // Another letter in the middle of the part.
            let middle = forged[place].len() / 2;
            let letter = if &forged[place][middle..=middle] == "A" { "B" } else { "A" };
            forged[place].replace_range(middle..=middle, letter);
            assert!(verify(&forged.join("."), &good).is_err(), "{place}");
        }
    }
}
