use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::api::{Act, Call, Error, ErrorKind, Mirrors, RemoveCall, SyncDone};
use crate::engine::{Accept, Handle, Hint, SyncOrder, SyncReport, Weather};
use crate::local::guard::{Judgement, judge};
use crate::local::problem::Problem;
use crate::model::Secret;
use crate::zones::Zone;

/// The most bytes of a request's body: more than the longest event, so that a rule answers and not the door.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
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
}

/// What a caller of `POST /v1/sync` may say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncCall {
    /// Which account; may be left out when there is one.
    pub account: Option<String>,
    /// Compare everything.
    pub is_full: bool,
    /// Carry out held removals.
    pub accepts_removals: bool,
    /// Only those of this calendar.
    pub calendar: Option<String>,
}

/// The answer to `POST /v1/sync`, and the last line of `sync --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncAnswer {
    /// The numbers.
    #[serde(flatten)]
    pub done: SyncDone,
    /// Why it is not complete; null when it is.
    pub weather: Option<WeatherAnswer>,
}

/// Why a sync is not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeatherAnswer {
    /// `sign_in_needed`, `application_refused`, `throttled`, or the kind of the fault.
    pub kind: String,
    /// When the server may be asked again, if it said so.
    pub until: Option<String>,
    /// Who must do what, where somebody must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl SyncAnswer {
    /// The answer that tells of `report`, its times in `zone`.
    pub fn new(report: SyncReport, zone: &Zone) -> SyncAnswer {
        let answer = |kind: &str, until: Option<String>, message: Option<String>| WeatherAnswer {
            kind: kind.to_owned(),
            until,
            message,
        };
        let weather = report.weather.map(|weather| match weather {
            Weather::SignInNeeded => answer("sign_in_needed", None, None),
            Weather::ApplicationRefused { message } => answer("application_refused", None, Some(message)),
            Weather::Unreachable(kind) => answer(kind, None, None),
            Weather::Throttled { until_ms } => answer("throttled", Some(zone.rfc3339(until_ms)), None),
        });
        SyncAnswer { done: report.done, weather }
    }

    /// The exit code of a `sync` that ended like this.
    pub fn exit_code(&self) -> u8 {
        match &self.weather {
            Some(weather) if matches!(weather.kind.as_str(), "sign_in_needed" | "application_refused") => {
                ErrorKind::SignIn.exit_code()
            }
            Some(_) => ErrorKind::Unreachable.exit_code(),
            None if self.done.failed > 0 => ErrorKind::Unreachable.exit_code(),
            None => 0,
        }
    }
}

impl SyncCall {
    /// As a query string.
    pub fn to_query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(account) = &self.account {
            query.append_pair("account", account);
        }
        if self.is_full {
            query.append_pair("full", "true");
        }
        if self.accepts_removals {
            query.append_pair("accept_removals", "true");
        }
        if let Some(calendar) = &self.calendar {
            query.append_pair("calendar", calendar);
        }
        query.finish()
    }

    fn read(values: Vec<(String, String)>) -> Result<SyncCall, Error> {
        let mut call = SyncCall::default();
        for (name, value) in values {
            let flag = || match value.as_str() {
                "true" | "1" | "" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(Error::new(ErrorKind::Usage, format!("`{name}` must be true or false"))),
            };
            match name.as_str() {
                "account" => call.account = Some(value),
                "full" => call.is_full = flag()?,
                "accept_removals" => call.accepts_removals = flag()?,
                "calendar" => call.calendar = Some(value),
                _ => return Err(Error::new(ErrorKind::Usage, "a parameter is not known here")),
            }
        }
        Ok(call)
    }

    /// The account meant and the order to the engine.
    ///
    /// # Errors
    /// `Usage` and `NotFound` for an unknown account or calendar.
    pub fn order(&self, mirrors: &Mirrors) -> Result<(String, SyncOrder), Error> {
        let account = mirrors.account(self.account.as_deref())?;
        let accept_removals = match (self.accepts_removals, &self.calendar) {
            (false, None) => Accept::None,
            (false, Some(_)) => {
                return Err(Error::new(ErrorKind::Usage, "a calendar is named with accepting removals only"));
            }
            (true, None) => Accept::All,
            (true, Some(text)) => Accept::Calendar(mirrors.calendar(&account, text)?),
        };
        Ok((account.name, SyncOrder { is_full: self.is_full, accept_removals }))
    }
}

/// Every route of this version; all others are 404.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let wrong_verb = || async {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "usage", "this address knows another method")
    };
    let question = |call: &'static str| -> MethodRouter<Arc<Shared>> {
        get(move |State(shared), RawQuery(query)| answer(shared, call, None, query)).fallback(wrong_verb)
    };
    let one = |call: &'static str, name: &'static str| {
        get(move |State(shared), Path(id): Path<String>, RawQuery(query)| {
            answer(shared, call, Some((name, id)), query)
        })
    };
    let many =
        |call: &'static str| get(move |State(shared), RawQuery(query)| answer(shared, call, None, query));
    let deed = |act: &'static str| {
        move |State(shared), Path(place): Path<String>, RawQuery(query), headers, body| {
            carry_out(shared, act, place, query, headers, body)
        }
    };
    let add = |State(shared), RawQuery(query), headers, body| {
        carry_out(shared, "add", String::new(), query, headers, body)
    };
    let choose = |State(shared), RawQuery(query), headers, body| {
        carry_out(shared, "choose", String::new(), query, headers, body)
    };
    let clear_choice = |State(shared), RawQuery(query), headers, body| {
        carry_out(shared, "clear_choice", String::new(), query, headers, body)
    };
    let observe = |State(shared), RawQuery(query), headers, body| {
        carry_out(shared, "observe", String::new(), query, headers, body)
    };
    Router::new()
        .route("/v1/status", question("status"))
        .route("/v1/agenda", question("agenda"))
        .route("/v1/events", post(add).fallback(wrong_verb))
        .route("/v1/events/{id}", one("show", "id").patch(deed("edit")).delete(remove).fallback(wrong_verb))
        .route("/v1/events/{id}/respond", post(deed("respond")).fallback(wrong_verb))
        .route("/v1/events/{id}/forward", post(deed("forward")).fallback(wrong_verb))
        .route("/v1/outbox", many("outbox").post(push).fallback(wrong_verb))
        .route("/v1/outbox/{n}", one("outbox", "n").post(deed("outbox")).fallback(wrong_verb))
        .route("/v1/conflicts", question("conflicts"))
        .route("/v1/conflicts/{n}", one("conflicts", "n").post(deed("resolve")).fallback(wrong_verb))
        .route("/v1/reminders", question("reminders"))
        .route("/v1/reminders/{id}/snooze", post(deed("snooze")).fallback(wrong_verb))
        .route("/v1/reminders/{id}/dismiss", post(deed("dismiss")).fallback(wrong_verb))
        .route("/v1/presence", many("presence").post(evaluate).fallback(wrong_verb))
        .route("/v1/presence/timeline", question("presence_timeline"))
        .route("/v1/presence/why", question("presence_why"))
        .route("/v1/presence/override", post(choose).delete(clear_choice).fallback(wrong_verb))
        .route("/v1/presence/observe", post(observe).fallback(wrong_verb))
        .route("/v1/presence/commands/{id}/ack", post(deed("acknowledge")).fallback(wrong_verb))
        .route("/v1/search", question("search"))
        .route("/v1/free", question("free"))
        .route("/v1/busy", question("busy"))
        .route("/v1/changes", question("changes"))
        .route("/v1/sync", post(sync).fallback(wrong_verb))
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(shared.clone(), guard))
        .with_state(shared)
}

async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let (status, kind, detail) = match judge(request.headers(), shared.address, &shared.token) {
        Judgement::Welcome => {
            let mut response = next.run(request).await;
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

async fn answer(
    shared: Arc<Shared>,
    call: &'static str,
    place: Option<(&'static str, String)>,
    query: Option<String>,
) -> Result<Response, Problem> {
    let (account, mut values) = parameters(query)?;
    values.extend(place.map(|(name, value)| (name.to_owned(), value)));
    let call = Call::read(call, &values)?;
    let mirrors = shared.mirrors.clone();
    let answer = apart(move || mirrors.answer(account.as_deref(), &call)).await?;
    Ok(Json(answer).into_response())
}

/// Records an act and wakes the engine.
async fn carry_out(
    shared: Arc<Shared>,
    act: &'static str,
    place: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (account, values) = parameters(query)?;
    if !values.is_empty() {
        return Err(Error::new(
            ErrorKind::Usage,
            "only `account` stands in the address; the rest is the body",
        )
        .into());
    }
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("the body is longer than {BODY_BYTES_MAX} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "refused", detail)
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, "usage", "the body could not be read"),
    })?;
    if !body.is_empty() && !is_json(&headers) {
        let detail = "send the body as `Content-Type: application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "usage", detail));
    }
    let act = Act::read(act, &place, &body)?;
    act_and_wake(shared, account, act).await
}

/// A deletion has no body: what it says stands in the address.
async fn remove(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (account, values) = parameters(query)?;
    let mut call = RemoveCall { id, ..RemoveCall::default() };
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
    let answer = apart(move || mirrors.act(account.as_deref(), &act)).await?;
    shared.engine.hint(hint);
    Ok(Json(answer).into_response())
}

/// Another process recorded edits: the engine sends what waits.
async fn push(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.engine.hint(Hint::Edited);
    StatusCode::ACCEPTED
}

/// Another process changed what presence depends on: the engine evaluates.
async fn evaluate(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.engine.hint(Hint::PresenceChanged);
    StatusCode::ACCEPTED
}

/// SQLite blocks: it gets a thread of its own, and the door stays responsive.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Problem> {
    let done =
        tokio::time::timeout(ANSWER_TIMEOUT, tokio::task::spawn_blocking(work)).await.map_err(|_| {
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

fn parameters(query: Option<String>) -> Result<Parameters, Error> {
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
