use std::time::Duration;

/// Why a request brought no usable answer. Weather, not breakage: flows return it as a value and go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No complete reply arrived.
    #[error("the server could not be reached ({0})")]
    Unreachable(Broken),
    /// The server answered with an error status.
    #[error("the server refused the request with status {status}{}", code.as_deref().map(|c| format!(" ({c})")).unwrap_or_default())]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The most specific known error code of the body, cut to plain letters and digits.
        code: Option<String>,
        /// What `Retry-After` asked for, already capped.
        retry_after: Option<Duration>,
        /// The decoded claims challenge of a 401 or 403, for the next sign-in.
        claims: Option<String>,
    },
    /// A complete reply that is not what the protocol promises.
    #[error("the server's reply could not be read ({0})")]
    Unreadable(Unreadable),
    /// A state link that must not be followed.
    #[error("the server sent a link that must not be followed ({0})")]
    LinkRefused(LinkProblem),
    /// A round that does not end.
    #[error("the server's pages do not come to an end")]
    EndlessPages,
    /// Nobody is signed in, or the sign-in was definitely refused.
    #[error("sign-in is needed: run `calmirror login`")]
    SignInNeeded,
}

/// What broke on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// No route, no name, refused connection.
    #[error("no connection")]
    Connect,
    /// TLS or certificate failure.
    #[error("no trusted TLS connection")]
    Tls,
    /// Took longer than allowed.
    #[error("timed out")]
    Timeout,
    /// The connection ended before the reply did.
    #[error("connection lost")]
    Reset,
    /// Not valid HTTP.
    #[error("not a valid HTTP reply")]
    Protocol,
}

/// What is wrong with a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// An HTML page where JSON belongs: a captive portal or a proxy.
    #[error("a web page instead of data: a hotel or proxy sign-in page?")]
    WebPage,
    /// Not JSON, or JSON of another shape.
    #[error("not the expected JSON")]
    Shape,
    /// Larger than allowed.
    #[error("larger than allowed")]
    TooLarge,
    /// A broken or unknown content encoding.
    #[error("broken compression")]
    Encoding,
    /// A redirect, which this protocol has no use for.
    #[error("an unexpected redirect")]
    Redirect,
    /// An empty reply where a page belongs.
    #[error("an empty reply")]
    Empty,
    /// A delta page that neither continues nor ends its round.
    #[error("a page without a link")]
    Links,
}

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkProblem {
    /// Not an absolute URL, or one with a user part.
    #[error("not a plain absolute address")]
    Form,
    /// Another scheme, host or port than the account's Graph address.
    #[error("another host")]
    Host,
    /// Longer than allowed.
    #[error("too long")]
    Long,
    /// Answered before in this round.
    #[error("seen before")]
    Repeated,
}

impl Fault {
    /// The stable kind, as in `status.last_error.kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Unreachable(Broken::Connect) => "offline",
            Fault::Unreachable(Broken::Tls) => "tls",
            Fault::Unreachable(Broken::Timeout) => "timeout",
            Fault::Unreachable(Broken::Reset) => "connection_lost",
            Fault::Unreachable(Broken::Protocol) => "not_http",
            Fault::Refused { status: 401, .. } => "unauthorized",
            Fault::Refused { status: 403, .. } => "access_denied",
            Fault::Refused { status: 404, .. } => "not_found",
            Fault::Refused { status: 410, .. } => "token_lost",
            Fault::Refused { status: 412, .. } => "changed_meanwhile",
            Fault::Refused { status: 429, .. } => "throttled",
            Fault::Refused { status: 503 | 504 | 509, retry_after: Some(_), .. } => "throttled",
            Fault::Refused { status: 500.., .. } => "server_error",
            Fault::Refused { .. } => "refused",
            Fault::Unreadable(Unreadable::WebPage) => "captive_portal",
            Fault::Unreadable(Unreadable::TooLarge) => "reply_too_large",
            Fault::Unreadable(Unreadable::Redirect) => "redirect_refused",
            Fault::Unreadable(
                Unreadable::Shape | Unreadable::Encoding | Unreadable::Empty | Unreadable::Links,
            ) => "reply_unreadable",
            Fault::LinkRefused(_) => "link_refused",
            Fault::EndlessPages => "endless_pages",
            Fault::SignInNeeded => "sign_in_needed",
        }
    }
}
