//! One HTTP exchange as plain data: what came in, what goes out, and how the transport misbehaves about it.

use serde_json::{Value, json};

/// A request as the state machine sees it.
#[derive(Clone, Default)]
pub struct Call {
    /// `GET`, `POST`, …
    pub method: String,
    /// `http://host:port` as the client reached it; links in answers start with it.
    pub origin: String,
    /// The path and the query, byte for byte.
    pub target: String,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The bearer token, if one was sent.
    pub bearer: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Call {
    /// All values of a header (lower case name), comma-joined as a server sees them.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        if values.is_empty() { None } else { Some(values.join(", ")) }
    }

    /// The path, undecoded.
    pub(crate) fn path(&self) -> &str {
        self.target.split(['?', '#']).next().unwrap_or("")
    }

    /// The query, undecoded.
    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, q)| q)
    }

    /// The path's segments, each percent-decoded.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.path().split('/').filter(|s| !s.is_empty()).map(percent_decoded).collect()
    }

    /// A query parameter, decoded; names are compared without case, as OData does.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        parameter(self.query().as_bytes(), name)
    }

    /// A member of a form body.
    pub(crate) fn form(&self, name: &str) -> Option<String> {
        parameter(&self.body, name)
    }
}

fn parameter(encoded: &[u8], name: &str) -> Option<String> {
    url::form_urlencoded::parse(encoded)
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, v)| v.into_owned())
}

/// How the transport treats an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Sends it whole.
    #[default]
    Whole,
    /// Closes the connection without a word.
    Drop,
    /// No connection comes about (over a socket the same as [`Transport::Drop`]).
    Refuse,
    /// Promises the whole body, sends this many bytes and closes.
    Truncate(usize),
    /// Waits this long before answering, as a slow server does.
    Delay(u64),
    /// Waits this long and then closes without a word.
    Hang(u64),
}

/// An answer as the state machine gives it.
#[derive(Clone, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body, uncompressed.
    pub body: Vec<u8>,
    /// What the transport does with it.
    pub transport: Transport,
}

impl Answer {
    pub(crate) fn empty(status: u16) -> Answer {
        Answer { status, ..Answer::default() }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Answer {
        Answer::text(status, "application/json; charset=utf-8", body.to_string())
    }

    /// Graph's replies name their metadata level.
    pub(crate) fn odata(status: u16, body: &Value) -> Answer {
        Answer::text(
            status,
            "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8",
            body.to_string(),
        )
    }

    pub(crate) fn html(status: u16, body: impl Into<String>) -> Answer {
        Answer::text(status, "text/html; charset=utf-8", body.into())
    }

    pub(crate) fn text(status: u16, kind: &str, body: String) -> Answer {
        Answer {
            status,
            headers: vec![("content-type".into(), kind.into())],
            body: body.into_bytes(),
            ..Answer::default()
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Answer {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn sent(mut self, transport: Transport) -> Answer {
        self.transport = transport;
        self
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// A Graph error: status, code and a message in the service's manner.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
    pub headers: Vec<(String, String)>,
}

impl Refusal {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Refusal {
        Refusal { status, code: code.into(), message: message.into(), headers: Vec::new() }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Refusal {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn item_not_found() -> Refusal {
        Refusal::new(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    }

    pub fn denied() -> Refusal {
        Refusal::new(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    }

    pub fn invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(400, "ErrorInvalidRequest", message)
    }

    pub fn parameter(name: &str) -> Refusal {
        Refusal::new(
            400,
            "ErrorInvalidParameter",
            format!(
                "This request requires a time window specified by the query string parameters StartDateTime and EndDateTime; parameter {name} is missing or not usable."
            ),
        )
    }

    pub fn body(&self, request_id: &str, client_request_id: Option<&str>, date: &str) -> Value {
        json!({"error": {
            "code": self.code, "message": self.message,
            "innerError": {"date": date, "request-id": request_id,
                "client-request-id": client_request_id.unwrap_or(request_id)}
        }})
    }
}

/// Decodes `%xx`; anything else, a plus too, stands for itself.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut ahead = bytes.clone();
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        match (digit(ahead.next()), digit(ahead.next())) {
            (Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Encodes everything but unreserved characters, for one path segment or query value.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
