//! The page: a person looks at agenda, presence and the sync's health, and acts.
//!
//! Its files are small and made by hand, stand in the program, and ask this door alone; what they show comes from the
//! same `/v1` as every other program's. A browser signs in once: a link with a code that is good once and for ten
//! minutes sets a cookie that scripts cannot read and other sites do not send. Cookies know no ports: their name
//! carries ours, so that two engines of one user do not sign each other out.
//!
//! The files themselves say nothing about anybody and need no session; everything under `/v1` does.

mod session;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use crate::local::guard::session_of;
use crate::local::problem::Problem;
use crate::local::route::Shared;
use crate::model::Secret;

pub(super) use session::Sessions;

/// What the page may do: load our files, ask our door. No inline code, no frame around it, no text as markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, type and bytes of the files under `/page/`.
const FILES: [(&str, &str, &str); 13] = [
    ("page.css", "text/css; charset=utf-8", include_str!("page.css")),
    ("icon.svg", "image/svg+xml", include_str!("icon.svg")),
    ("page.js", SCRIPT, include_str!("page.js")),
    ("ask.js", SCRIPT, include_str!("ask.js")),
    ("state.js", SCRIPT, include_str!("state.js")),
    ("draw.js", SCRIPT, include_str!("draw.js")),
    ("words.js", SCRIPT, include_str!("words.js")),
    ("time.js", SCRIPT, include_str!("time.js")),
    ("agenda.js", SCRIPT, include_str!("agenda.js")),
    ("event.js", SCRIPT, include_str!("event.js")),
    ("presence.js", SCRIPT, include_str!("presence.js")),
    ("waiting.js", SCRIPT, include_str!("waiting.js")),
    ("health.js", SCRIPT, include_str!("health.js")),
];

/// Whether a path is one of the page's own, which need no session.
pub(super) fn is_open(path: &str) -> bool {
    path == "/" || path.starts_with("/page/")
}

/// The cookie of the door at this port.
pub(super) fn cookie_name(port: u16) -> String {
    format!("calmirror-{port}")
}

/// The address that signs a browser in.
pub(super) fn link(address: std::net::SocketAddr, code: &Secret) -> String {
    format!("http://{address}/?code={}", code.expose())
}

/// Adds the page's addresses.
pub(super) fn add_to(router: Router<Arc<Shared>>) -> Router<Arc<Shared>> {
    let wrong_verb = || async {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "usage", "this address knows another method")
    };
    let router = router
        .route("/", get(enter).fallback(wrong_verb))
        .route("/v1/page/link", post(new_link).fallback(wrong_verb));
    FILES.into_iter().fold(router, |router, (name, kind, text)| {
        let file = move || async move { reply(StatusCode::OK, kind, text) };
        router.route(&format!("/page/{name}"), get(file).fallback(wrong_verb))
    })
}

/// The page for whoever is signed in; for others how to sign in. A code opens a session.
async fn enter(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = query.unwrap_or_default();
    let code = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code");
    let is_known = session_of(&headers, shared.address).is_some_and(|session| shared.sessions.knows(session));
    let Some((_, code)) = code else {
        return match is_known {
            true => reply(StatusCode::OK, HTML, include_str!("page.html")),
            false => reply(StatusCode::UNAUTHORIZED, HTML, include_str!("closed.html")),
        };
    };
    // A browser may fetch a link before it is followed: the code is used then, and the session is there.
    match shared.sessions.enter(&code, shared.mirrors.now_ms()) {
        None if is_known => onward(),
        None => reply(StatusCode::UNAUTHORIZED, HTML, include_str!("closed.html")),
        Some(session) => {
            let mut response = onward();
            let name = cookie_name(shared.address.port());
            let cookie = format!("{name}={}; HttpOnly; SameSite=Strict; Path=/", session.expose());
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            response
        }
    }
}

/// To the page, by a document of ours and no redirection: a strict cookie is not sent with one that another site began.
fn onward() -> Response {
    reply(StatusCode::OK, HTML, include_str!("onward.html"))
}

/// A link for another browser, for programs that bear the token.
async fn new_link(State(shared): State<Arc<Shared>>) -> Response {
    let code = shared.sessions.invite(shared.mirrors.now_ms());
    axum::Json(json!({ "link": link(shared.address, &code) })).into_response()
}

fn reply(status: StatusCode, kind: &'static str, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_TYPE, kind);
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if status == StatusCode::UNAUTHORIZED {
        set(header::WWW_AUTHENTICATE, "Bearer");
    }
    response
}
