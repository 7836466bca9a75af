//! The emulator over real sockets, with a plain HTTP client, and in memory on paused time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests and their helpers fail by panicking")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use calmirror::emulator::{
    InMemory, Options, Quirks, RequestKind, Rule, Running, Seeding, SignIn, Source, What, World, serve,
};
use calmirror::model::{Broken, Secret};
use calmirror::ports::{Clock, Http, HttpError, Method, Pending, Request};
use serde_json::{Value, json};

const NOW_MS: i64 = 1_780_000_000_000;
const WINDOW: &str = "startDateTime=2026-05-01T00:00:00Z&endDateTime=2026-08-01T00:00:00Z";

/// Starts at a fixed time and runs with tokio's clock, paused or not.
struct Ticking(tokio::time::Instant);

impl Ticking {
    fn start() -> Arc<dyn Clock> {
        Arc::new(Ticking(tokio::time::Instant::now()))
    }
}

impl Clock for Ticking {
    fn now_ms(&self) -> i64 {
        NOW_MS + i64::try_from(self.0.elapsed().as_millis()).unwrap()
    }
    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

async fn served() -> (Running, reqwest::Client) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let seeding = Seeding { seed: 1, events: 200, now_ms: NOW_MS };
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let running =
        serve(Options { listen, source: Source::Seeded(seeding), clock: Ticking::start() }).await.unwrap();
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    (running, client)
}

fn form(parts: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parts).finish()
}

async fn post_form(client: &reqwest::Client, url: String, parts: &[(&str, &str)]) -> (u16, Value) {
    let request =
        client.post(url).header("content-type", "application/x-www-form-urlencoded").body(form(parts));
    let reply = request.send().await.unwrap();
    let status = reply.status().as_u16();
    (status, serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap())
}

async fn post(client: &reqwest::Client, url: String, body: Value) -> (u16, Value) {
    let reply = client.post(url).body(body.to_string()).send().await.unwrap();
    let status = reply.status().as_u16();
    (status, serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap())
}

async fn get(client: &reqwest::Client, url: &str, token: &str) -> (u16, Value) {
    let reply = client.get(url).bearer_auth(token).send().await.unwrap();
    let status = reply.status().as_u16();
    (status, serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap_or(Value::Null))
}

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const SCOPE: &str = "openid offline_access Calendars.ReadWrite";

#[tokio::test]
async fn a_device_code_brings_tokens_that_open_the_mailbox_and_refresh_with_rotation() {
    let (running, client) = served().await;
    running.with(|world| world.set_sign_in(SignIn { pending_polls: 0, ..SignIn::default() }));
    let authority = format!("{}/contoso.example/oauth2/v2.0", running.origin());
    let asked = [("client_id", "app"), ("scope", SCOPE)];
    let (status, device) = post_form(&client, format!("{authority}/devicecode"), &asked).await;
    assert_eq!(status, 200, "{device}");
    assert!(device["interval"].as_u64().unwrap() >= 1);
    let code = device["device_code"].as_str().unwrap();
    let poll = [("grant_type", DEVICE), ("client_id", "app"), ("device_code", code)];
    let (status, tokens) = post_form(&client, format!("{authority}/token"), &poll).await;
    assert_eq!(status, 200, "{tokens}");
    let access = tokens["access_token"].as_str().unwrap();
    let (status, me) = get(&client, &format!("{}/v1.0/me", running.origin()), access).await;
    assert_eq!((status, me["userPrincipalName"].as_str()), (200, Some("anna@contoso.example")));

    let refresh = tokens["refresh_token"].as_str().unwrap();
    let renew = [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", refresh)];
    let (status, renewed) = post_form(&client, format!("{authority}/token"), &renew).await;
    assert_eq!(status, 200, "{renewed}");
    assert_ne!(renewed["refresh_token"], tokens["refresh_token"]);
    assert_ne!(renewed["access_token"], tokens["access_token"]);

    running.with(|world| world.expire_access_tokens());
    let (status, refused) = get(&client, &format!("{}/v1.0/me", running.origin()), access).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (401, Some("InvalidAuthenticationToken")));
    running.with(|world| world.revoke_refresh_tokens());
    let (status, refused) = post_form(&client, format!("{authority}/token"), &renew).await;
    assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_grant")));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn polls_are_pending_first_and_hurried_ones_slowed_down() {
    let mut world = World::seeded(Seeding { seed: 1, events: 10, now_ms: NOW_MS });
    world.set_sign_in(SignIn { pending_polls: 1, interval_s: 5, ..SignIn::default() });
    let server = InMemory::new(world, Ticking::start());
    let reply = send_form(&server, "devicecode", &[("client_id", "app"), ("scope", SCOPE)]).await;
    let code = reply["device_code"].as_str().unwrap().to_owned();
    let poll = [("grant_type", DEVICE), ("client_id", "app"), ("device_code", code.as_str())];
    let mut told = Vec::new();
    for wait_s in [0, 1, 5, 5] {
        tokio::time::sleep(Duration::from_secs(wait_s)).await;
        let reply = send_form(&server, "token", &poll).await;
        told.push(reply["error"].as_str().unwrap_or("granted").to_owned());
    }
    assert_eq!(told, ["authorization_pending", "slow_down", "granted", "bad_verification_code"]);

    server.with(|world| world.set_sign_in(SignIn { declines: true, ..SignIn::default() }));
    let reply = send_form(&server, "devicecode", &[("client_id", "app"), ("scope", SCOPE)]).await;
    let code = reply["device_code"].as_str().unwrap().to_owned();
    let poll = [("grant_type", DEVICE), ("client_id", "app"), ("device_code", code.as_str())];
    assert_eq!(send_form(&server, "token", &poll).await["error"], "authorization_declined");
}

async fn send_form(server: &InMemory, endpoint: &str, parts: &[(&str, &str)]) -> Value {
    let url = format!("http://login.test/common/oauth2/v2.0/{endpoint}");
    let reply = server.send(request(Method::Post, &url, Some(form(parts).into_bytes()))).await.unwrap();
    serde_json::from_slice(&reply.body).unwrap()
}

#[tokio::test]
async fn an_authorization_code_needs_its_verifier_and_a_hint_picks_the_user() {
    let (running, client) = served().await;
    let origin = running.origin();
    let verifier = oauth2::PkceCodeVerifier::new("v".repeat(64));
    let challenge = oauth2::PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    let redirect = "http://localhost:53123/back";
    let authorize = |hint: &str, redirect: &str| {
        let query = form(&[
            ("client_id", "app"),
            ("response_type", "code"),
            ("redirect_uri", redirect),
            ("scope", SCOPE),
            ("state", "s t"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("login_hint", hint),
        ]);
        client.get(format!("{origin}/common/oauth2/v2.0/authorize?{query}")).send()
    };
    let location = |reply: &reqwest::Response| {
        let text = reply.headers()["location"].to_str().unwrap();
        url::Url::parse(text).unwrap()
    };
    let part =
        |url: &url::Url, name: &str| url.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned());

    let back = location(&authorize("bela@contoso.example", redirect).await.unwrap());
    assert_eq!((back.port(), part(&back, "state").as_deref()), (Some(53123), Some("s t")));
    let code = part(&back, "code").unwrap();
    let redeem = |code: &str, verifier: &str| {
        let parts = [
            ("grant_type", "authorization_code".to_owned()),
            ("client_id", "app".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", redirect.to_owned()),
            ("code_verifier", verifier.to_owned()),
        ];
        let (client, origin) = (client.clone(), origin.clone());
        async move {
            let parts: Vec<(&str, &str)> = parts.iter().map(|(n, v)| (*n, v.as_str())).collect();
            post_form(&client, format!("{origin}/common/oauth2/v2.0/token"), &parts).await
        }
    };
    let (status, tokens) = redeem(&code, verifier.secret()).await;
    assert_eq!(status, 200, "{tokens}");
    let (_, me) = get(&client, &format!("{origin}/v1.0/me"), tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(me["mail"], "bela@contoso.example");
    assert_eq!(tokens["id_token"].as_str().unwrap().split('.').count(), 3);

    let (_, again) = redeem(&code, verifier.secret()).await;
    assert_eq!(again["error"], "invalid_grant");
    let code = part(&location(&authorize("", redirect).await.unwrap()), "code").unwrap();
    let (_, wrong) = redeem(&code, &"w".repeat(64)).await;
    assert_eq!(wrong["error"], "invalid_grant");

    let foreign = authorize("", "https://evil.example/").await.unwrap();
    assert_eq!(foreign.status(), 400);
    assert!(foreign.text().await.unwrap().contains("AADSTS50011"));
    running.with(|world| world.set_sign_in(SignIn { declines: true, ..SignIn::default() }));
    let declined = location(&authorize("", redirect).await.unwrap());
    assert_eq!(part(&declined, "error").as_deref(), Some("access_denied"));
    running.stop().await;
}

#[tokio::test]
async fn the_discovery_document_names_endpoints_on_the_same_origin() {
    let (running, client) = served().await;
    let url = format!("{}/organizations/v2.0/.well-known/openid-configuration", running.origin());
    let (status, document) = get(&client, &url, "none").await;
    assert_eq!(status, 200);
    for name in ["authorization_endpoint", "token_endpoint", "device_authorization_endpoint"] {
        let endpoint = document[name].as_str().unwrap();
        assert!(
            endpoint.starts_with(&format!("{}/organizations/oauth2/v2.0/", running.origin())),
            "{endpoint}"
        );
    }
    running.stop().await;
}

#[tokio::test]
async fn a_delta_round_over_a_socket_is_compressed_and_ends_with_a_delta_link() {
    let (running, _) = served().await;
    let token = running.with(|world| world.grant_access(0, NOW_MS));
    let raw = reqwest::Client::builder().no_gzip().no_proxy().build().unwrap();
    let mut url = format!("{}/v1.0/me/calendarView/delta?{WINDOW}", running.origin());
    let mut rows = 0;
    loop {
        let request = raw.get(&url).bearer_auth(&token).header("prefer", "odata.maxpagesize=20");
        let request = request.header("accept-encoding", "gzip").header("client-request-id", "c-1");
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.headers()["client-request-id"], "c-1");
        assert!(reply.headers().contains_key("request-id") && reply.headers().contains_key("date"));
        let is_packed = reply.headers().contains_key("content-encoding");
        let bytes = reply.bytes().await.unwrap();
        let page: Value = match is_packed {
            true => serde_json::from_reader(flate2::read::GzDecoder::new(&*bytes)).unwrap(),
            false => serde_json::from_slice(&bytes).unwrap(),
        };
        let count = page["value"].as_array().unwrap().len();
        assert!(is_packed || count == 0);
        rows += count;
        match page["@odata.nextLink"].as_str() {
            Some(next) => url = next.to_owned(),
            None => {
                assert!(page["@odata.deltaLink"].as_str().unwrap().starts_with(&running.origin()));
                break;
            }
        }
    }
    assert!(rows > 20);
    let seen = running.with(|world| world.count(RequestKind::Delta));
    assert!(seen >= 2);
    running.stop().await;
}

#[tokio::test]
async fn scripted_trouble_reaches_the_wire() {
    let (running, client) = served().await;
    let token = running.with(|world| world.grant_access(0, NOW_MS));
    let url = format!("{}/v1.0/me/calendars", running.origin());
    let control = running.control_url();
    for what in [json!({"do": "drop"}), json!({"do": "lose_reply"}), json!({"do": "truncate", "bytes": 40})] {
        let (status, _) = post(&client, format!("{control}/faults"), json!({"what": what})).await;
        assert_eq!(status, 200);
        let outcome = match client.get(&url).bearer_auth(&token).send().await {
            Ok(reply) => reply.bytes().await.map(|_| ()),
            Err(error) => Err(error),
        };
        assert!(outcome.is_err(), "{what}");
    }
    let throttle =
        json!([{"what": {"do": "throttle", "retry_after": "2.128"}}, {"what": {"do": "captive_portal"}}]);
    post(&client, format!("{control}/faults"), throttle).await;
    let reply = client.get(&url).bearer_auth(&token).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers()["retry-after"].to_str().unwrap()), (429, "2.128"));
    let reply = client.get(&url).bearer_auth(&token).send().await.unwrap();
    assert!(reply.headers()["content-type"].to_str().unwrap().starts_with("text/html"));

    post(&client, format!("{control}/network"), json!({"down": true})).await;
    assert!(client.get(&url).bearer_auth(&token).send().await.is_err());
    post(&client, format!("{control}/network"), json!({"down": false})).await;
    assert_eq!(get(&client, &url, &token).await.0, 200);
    let (_, log) = get(&client, &format!("{control}/log"), "").await;
    assert_eq!(log["by_kind"]["calendars"], 6);
    let (status, problem) =
        post(&client, format!("{control}/faults"), json!({"what": {"do": "explode"}})).await;
    assert_eq!(status, 400);
    assert!(problem["error"].as_str().unwrap().contains("explode"));
    running.stop().await;
}

#[tokio::test]
async fn edits_over_the_control_url_show_in_truth_and_in_the_next_round() {
    let (running, client) = served().await;
    let control = running.control_url();
    let event = json!({"subject": "From behind", "start": {"dateTime": "2026-06-01T09:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-06-01T10:00:00", "timeZone": "UTC"}});
    let (status, done) =
        post(&client, format!("{control}/edits"), json!({"edit": "create", "event": event})).await;
    assert_eq!(status, 200, "{done}");
    let id = done["edits"][0]["id"].as_str().unwrap();
    let truth = format!("{control}/truth?calendar=Calendar&from=2026-06-01&to=2026-06-02");
    let (_, there) = get(&client, &truth, "").await;
    assert!(
        there["items"].as_array().unwrap().iter().any(|i| i["id"] == id && i["subject"] == "From behind")
    );
    let (_, done) = post(&client, format!("{control}/edits"), json!({"random": 200, "seed": 3})).await;
    let kinds: std::collections::BTreeSet<&str> =
        done["edits"].as_array().unwrap().iter().map(|e| e["what"].as_str().unwrap()).collect();
    assert!(kinds.len() > 15, "{kinds:?}");
    let (status, done) =
        post(&client, format!("{control}/tokens"), json!({"grant": "anna@contoso.example"})).await;
    assert_eq!(status, 200);
    let token = done["access_token"].as_str().unwrap();
    assert_eq!(get(&client, &format!("{}/beta/me/calendar", running.origin()), token).await.0, 200);
    let (_, clock) = post(&client, format!("{control}/clock"), json!({"advance_ms": 7_200_000})).await;
    assert_eq!(clock["offset_ms"], 7_200_000);
    assert_eq!(get(&client, &format!("{}/v1.0/me", running.origin()), token).await.0, 401);
    running.stop().await;
}

#[tokio::test]
async fn the_first_line_names_urls_and_users() {
    let (running, _) = served().await;
    let line = running.first_line();
    assert_eq!(line["graph_url"], json!(running.origin()));
    assert_eq!(line["authority_url"], json!(running.origin()));
    assert_eq!(line["control_url"], json!(running.control_url()));
    assert_eq!(line["users"][0]["address"], "anna@contoso.example");
    running.stop().await;
}

fn request(method: Method, url: &str, body: Option<Vec<u8>>) -> Request {
    Request {
        method,
        url: url.into(),
        headers: vec![("content-type", "application/json".into())],
        bearer: None,
        body,
        reply_bytes_max: 1 << 24,
        timeout: Duration::from_secs(30),
    }
}

#[tokio::test(start_paused = true)]
async fn in_memory_the_same_service_breaks_like_a_network_on_paused_time() {
    let mut world = World::seeded(Seeding { seed: 1, events: 50, now_ms: NOW_MS });
    world.set_quirks(Quirks::tame());
    let server = InMemory::new(world, Ticking::start());
    let url = "https://graph.test/v1.0/me/calendars";
    let mut ask = request(Method::Get, url, None);
    let refused = server.send(ask.clone()).await.unwrap();
    assert_eq!(refused.status, 401);
    ask.bearer = Some(Secret::new(server.with(|world| world.grant_access(0, NOW_MS))));
    let reply = server.send(ask.clone()).await.unwrap();
    assert_eq!(reply.status, 200);
    let page: Value = serde_json::from_slice(&reply.body).unwrap();
    assert!(page["@odata.nextLink"].as_str().unwrap().starts_with("https://graph.test/v1.0/"));

    let cases = [
        (What::LoseReply, HttpError::Broken(Broken::Reset)),
        (What::Drop, HttpError::Broken(Broken::Reset)),
        (What::Truncate { bytes: 10 }, HttpError::Broken(Broken::Reset)),
        (What::Hang { ms: 600_000 }, HttpError::Broken(Broken::Timeout)),
        (What::Slow { ms: 31_000 }, HttpError::Broken(Broken::Timeout)),
    ];
    for (what, wanted) in cases {
        server.with(|world| world.add_fault(Rule::any(1, what.clone())));
        assert_eq!(server.send(ask.clone()).await.map(|r| r.status), Err(wanted), "{what:?}");
    }
    let before = tokio::time::Instant::now();
    server.with(|world| world.add_fault(Rule::any(1, What::Slow { ms: 20_000 })));
    assert_eq!(server.send(ask.clone()).await.unwrap().status, 200);
    assert!(before.elapsed() >= Duration::from_secs(20));
    server.with(|world| world.set_network_down(true));
    assert_eq!(server.send(ask.clone()).await.map(|r| r.status), Err(HttpError::Broken(Broken::Connect)));
}

#[tokio::test(start_paused = true)]
async fn more_requests_at_once_than_allowed_are_throttled() {
    let mut world = World::seeded(Seeding { seed: 1, events: 10, now_ms: NOW_MS });
    world.set_asks_for_tokens(false);
    world.set_quirks(Quirks { concurrent_max: 4, ..Quirks::default() });
    world.add_fault(Rule::any(0, What::Slow { ms: 1_000 }));
    let server = InMemory::new(world, Ticking::start());
    let asks = (0..6).map(|_| server.send(request(Method::Get, "https://graph.test/v1.0/me", None)));
    let replies = futures_util::future::join_all(asks).await;
    let mut statuses: Vec<u16> = replies.into_iter().map(|r| r.unwrap().status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429]);
}
