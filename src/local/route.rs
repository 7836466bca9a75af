use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::sync::{Semaphore, watch};

use crate::api::{Act, Call, Error, ErrorKind, Mirrors, RemoveCall};
use crate::engine::{Handle, Hint, SyncAnswer, SyncCall};
use crate::local::guard::{Doorkeeper, Judgement, judge, judge_neighbour};
use crate::local::openapi;
use crate::local::page;
use crate::local::problem::Problem;
use crate::local::stream;
use crate::model::Secret;

/// The most bytes of a request's body: more than the longest event, so that a rule answers and not the door.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most bytes of a longer body that are read and dropped, so that its sender hears why it is refused.
const DROPPED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The longest that a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// Questions and acts at work at once, each on a thread; more wait, within their own time.
pub(super) const ANSWERS_AT_ONCE: usize = 8;
/// The most bytes of a query string.
const QUERY_BYTES_MAX: usize = 8 * 1024;
/// The most parameters of a query.
const PARAMETERS_MAX: usize = 300;
/// The longest a question may take; a sync takes as long as it takes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What the routes share.
pub(super) struct Shared {
    pub(super) mirrors: Arc<Mirrors>,
    pub(super) engine: Handle,
    pub(super) address: std::net::SocketAddr,
    pub(super) token: Secret,
    pub(super) sessions: Arc<page::Sessions>,
    /// Places for answers.
    pub(super) answers: Arc<Semaphore>,
    /// Places for streams.
    pub(super) streams: Arc<Semaphore>,
    /// Becomes true when the door closes.
    pub(super) closing: watch::Receiver<bool>,
}

/// How somebody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Over loopback: anybody on this machine, and what browsers are made to ask.
    Loopback,
    /// Over the socket in the data directory: a process of our user, as the system says.
    Socket,
}

/// Every address of this version under `/v1`, and its methods.
pub(super) fn routes() -> Vec<(&'static str, MethodRouter<Arc<Shared>>)> {
    let wrong_verb = || async {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "usage", "this address knows another method")
    };
    let question = |call: &'static str| -> MethodRouter<Arc<Shared>> {
        get(move |State(shared), RawQuery(query)| answer(shared, call, None, query)).fallback(wrong_verb)
    };
    let one = |call: &'static str, name: &'static str| {
        get(move |State(shared), place: Place, RawQuery(query)| {
            answer(shared, call, Some((name, place)), query)
        })
    };
    let many =
        |call: &'static str| get(move |State(shared), RawQuery(query)| answer(shared, call, None, query));
    let deed = |act: &'static str| {
        move |State(shared), place: Place, RawQuery(query), headers, body| {
            carry_out(shared, act, place, query, headers, body)
        }
    };
    let add = |State(shared), RawQuery(query), headers, body| {
        carry_out(shared, "add", Ok(Path(String::new())), query, headers, body)
    };
    let choose = |State(shared), RawQuery(query), headers, body| {
        carry_out(shared, "choose", Ok(Path(String::new())), query, headers, body)
    };
    let clear_choice = |State(shared), RawQuery(query), headers, body| {
        carry_out(shared, "clear_choice", Ok(Path(String::new())), query, headers, body)
    };
    let observe = |State(shared), RawQuery(query), headers, body| {
        carry_out(shared, "observe", Ok(Path(String::new())), query, headers, body)
    };
    vec![
        ("/v1/status", question("status")),
        ("/v1/agenda", question("agenda")),
        ("/v1/events", post(add).fallback(wrong_verb)),
        ("/v1/events/{id}", one("show", "id").patch(deed("edit")).delete(remove).fallback(wrong_verb)),
        ("/v1/events/{id}/respond", post(deed("respond")).fallback(wrong_verb)),
        ("/v1/events/{id}/forward", post(deed("forward")).fallback(wrong_verb)),
        ("/v1/outbox", many("outbox").post(push).fallback(wrong_verb)),
        ("/v1/outbox/{n}", one("outbox", "n").post(deed("outbox")).fallback(wrong_verb)),
        ("/v1/conflicts", question("conflicts")),
        ("/v1/conflicts/{n}", one("conflicts", "n").post(deed("resolve")).fallback(wrong_verb)),
        ("/v1/reminders", question("reminders")),
        ("/v1/reminders/{id}/snooze", post(deed("snooze")).fallback(wrong_verb)),
        ("/v1/reminders/{id}/dismiss", post(deed("dismiss")).fallback(wrong_verb)),
        ("/v1/presence", many("presence").post(evaluate).fallback(wrong_verb)),
        ("/v1/presence/timeline", question("presence_timeline")),
        ("/v1/presence/why", question("presence_why")),
        ("/v1/presence/override", post(choose).delete(clear_choice).fallback(wrong_verb)),
        ("/v1/presence/observe", post(observe).fallback(wrong_verb)),
        ("/v1/presence/commands/{id}/ack", post(deed("acknowledge")).fallback(wrong_verb)),
        ("/v1/search", question("search")),
        ("/v1/free", question("free")),
        ("/v1/busy", question("busy")),
        ("/v1/changes", question("changes")),
        ("/v1/stream", get(stream::open).fallback(wrong_verb)),
        ("/v1/sync", post(sync).fallback(wrong_verb)),
        ("/openapi.json", get(document).fallback(wrong_verb)),
    ]
}

/// The document that describes them.
async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::document().to_string()).into_response()
}

/// The addresses and the page; all others are 404.
pub(super) fn router(shared: Arc<Shared>, way: Way) -> Router {
    let router =
        routes().into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    page::add_to(router)
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state((shared.clone(), way), guard))
        .with_state(shared)
}

async fn guard(State((shared, way)): State<(Arc<Shared>, Way)>, request: Request, next: Next) -> Response {
    let door = Doorkeeper { address: shared.address, token: &shared.token, sessions: &shared.sessions };
    let judgement = match way {
        Way::Loopback => judge(&door, request.method(), request.uri().path(), request.headers()),
        Way::Socket => judge_neighbour(request.headers()),
    };
    let (status, kind, detail) = match judgement {
        Judgement::Welcome => {
            let mut response = match with_whole_body(request).await {
                Ok(request) => next.run(request).await,
                Err(problem) => problem.into_response(),
            };
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            return response;
        }
        Judgement::ForeignHost => (
            StatusCode::MISDIRECTED_REQUEST,
            "foreign_host",
            "this door answers to its loopback address only",
        ),
        Judgement::ForeignOrigin => {
            (StatusCode::FORBIDDEN, "foreign_origin", "pages of other origins are not answered")
        }
        Judgement::NoToken => (
            StatusCode::UNAUTHORIZED,
            "no_token",
            "send `Authorization: Bearer` with the token of engine.json",
        ),
    };
    Problem::new(status, kind, detail).into_response()
}

/// Waits for the body, within its limits.
async fn with_whole_body(request: Request) -> Result<Request, Problem> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let too_long = || {
        let detail = format!("the body is longer than {BODY_BYTES_MAX} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "refused", detail)
    };
    let announced = request.body().size_hint().lower();
    let waits_for_us = request.headers().contains_key(header::EXPECT);
    let longest = if waits_for_us { BODY_BYTES_MAX } else { DROPPED_BYTES_MAX };
    if usize::try_from(announced).is_ok_and(|announced| announced > longest) {
        return Err(too_long());
    }
    let (parts, body) = request.into_parts();
    let mut chunks = body.into_data_stream();
    let (mut taken, mut length) = (Vec::new(), 0_usize);
    let read = async {
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            length = length.saturating_add(chunk.len());
            if length <= BODY_BYTES_MAX {
                taken.extend_from_slice(&chunk);
            } else if length <= DROPPED_BYTES_MAX {
                taken = Vec::new();
            } else {
                break;
            }
        }
        Ok::<(), axum::Error>(())
    };
    match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Err(_) => {
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body took too long to arrive"))
        }
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "usage", "the body could not be read")),
        Ok(Ok(())) if length > BODY_BYTES_MAX => Err(too_long()),
        Ok(Ok(())) => Ok(Request::from_parts(parts, Body::from(taken))),
    }
}

/// What stands in an address at its variable place.
type Place = Result<Path<String>, PathRejection>;

fn text_of(place: Place) -> Result<String, Problem> {
    let wrong = |_| Problem::new(StatusCode::BAD_REQUEST, "usage", "the address is not UTF-8");
    place.map(|Path(text)| text).map_err(wrong)
}

async fn answer(
    shared: Arc<Shared>,
    call: &'static str,
    place: Option<(&'static str, Place)>,
    query: Option<String>,
) -> Result<Response, Problem> {
    let (account, mut values) = parameters(query)?;
    if let Some((name, place)) = place {
        values.push((name.to_owned(), text_of(place)?));
    }
    let call = Call::read(call, &values)?;
    let mirrors = shared.mirrors.clone();
    let answer = apart(&shared, move || mirrors.answer(account.as_deref(), &call)).await?;
    Ok(Json(answer).into_response())
}

/// Records an act and wakes the engine.
async fn carry_out(
    shared: Arc<Shared>,
    act: &'static str,
    place: Place,
    query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let (account, values) = parameters(query)?;
    if !values.is_empty() {
        return Err(Error::new(
            ErrorKind::Usage,
            "only `account` stands in the address; the rest is the body",
        )
        .into());
    }
    if !body.is_empty() && !is_json(&headers) {
        let detail = "send the body as `Content-Type: application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "usage", detail));
    }
    let act = Act::read(act, &text_of(place)?, &body)?;
    act_and_wake(shared, account, act).await
}

/// A deletion has no body: what it says stands in the address.
async fn remove(
    State(shared): State<Arc<Shared>>,
    place: Place,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (account, values) = parameters(query)?;
    let mut call = RemoveCall { id: text_of(place)?, ..RemoveCall::default() };
    for (name, value) in values {
        match (name.as_str(), value.as_str()) {
            ("series", "true" | "1" | "") => call.is_series = true,
            ("series", "false" | "0") => call.is_series = false,
            ("comment", _) => call.comment = Some(value),
            _ => return Err(Error::new(ErrorKind::Usage, "a parameter is not known here").into()),
        }
    }
    act_and_wake(shared, account, Act::Remove(call)).await
}

async fn act_and_wake(shared: Arc<Shared>, account: Option<String>, act: Act) -> Result<Response, Problem> {
    let mirrors = shared.mirrors.clone();
    let hint = if act.is_of_presence() { Hint::PresenceChanged } else { Hint::Edited };
    let answer = apart(&shared, move || mirrors.act(account.as_deref(), &act)).await?;
    shared.engine.notices().look();
    shared.engine.hint(hint);
    Ok(Json(answer).into_response())
}

/// Another process recorded edits: the engine sends what waits.
async fn push(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.engine.notices().look();
    shared.engine.hint(Hint::Edited);
    StatusCode::ACCEPTED
}

/// Another process changed what presence depends on: the engine evaluates.
async fn evaluate(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.engine.hint(Hint::PresenceChanged);
    StatusCode::ACCEPTED
}

/// SQLite blocks: it gets a thread of its own, and the door stays responsive.
pub(super) async fn apart<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Problem> {
    let answers = shared.answers.clone();
    let done = async {
        let place = answers.acquire_owned().await.ok();
        tokio::task::spawn_blocking(move || {
            // Held until the work is done, also when nobody waits for it any more.
            let _place = place;
            work()
        })
        .await
    };
    let done = tokio::time::timeout(ANSWER_TIMEOUT, done).await.map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "the answer took too long; try again")
    })?;
    let done = done.map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "the question could not be worked on")
    })?;
    Ok(done?)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

async fn sync(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let (account, values) = parameters(query)?;
    let call = SyncCall { account, ..SyncCall::read(values)? };
    let (account, order) = call.order(&shared.mirrors)?;
    let report = shared.engine.sync(&account, order).await?;
    let zone = shared.mirrors.zone(&shared.mirrors.account(Some(&account))?);
    Ok(Json(SyncAnswer::new(report, &zone)).into_response())
}

/// The account that a query names, and its other parameters.
type Parameters = (Option<String>, Vec<(String, String)>);

pub(super) fn parameters(query: Option<String>) -> Result<Parameters, Error> {
    let query = query.unwrap_or_default();
    if query.len() > QUERY_BYTES_MAX {
        return Err(Error::new(ErrorKind::Usage, "the query is too long"));
    }
    let all: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .take(PARAMETERS_MAX)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let (accounts, values): (Vec<_>, Vec<_>) = all.into_iter().partition(|(name, _)| name == "account");
    let mut accounts = accounts.into_iter();
    match (accounts.next(), accounts.next()) {
        (account, None) => Ok((account.map(|(_, account)| account), values)),
        (_, Some(_)) => Err(Error::new(ErrorKind::Usage, "`account` is given more than once")),
    }
}
