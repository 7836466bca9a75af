/// The public error: a stable kind and a sentence that says what to do. Carries no subject, address or token.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    rule: Option<&'static str>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What went wrong, in one table that exit codes, HTTP status and C codes share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A bug or a failing system.
    Failed,
    /// A wrong argument or configuration.
    Usage,
    /// Sign-in is needed, or was declined.
    SignIn,
    /// The server cannot be reached, or asked to wait.
    Unreachable,
    /// A conflict or refused input.
    Refused,
    /// There is nothing with this id.
    NotFound,
    /// The mirror cannot be used, or a newer program wrote it.
    Mirror,
    /// Another process owns the data directory, or too many callers wait.
    Busy,
}

impl ErrorKind {
    /// The stable name.
    pub const fn code(self) -> &'static str {
        match self {
            ErrorKind::Failed => "failed",
            ErrorKind::Usage => "usage",
            ErrorKind::SignIn => "sign_in_needed",
            ErrorKind::Unreachable => "unreachable",
            ErrorKind::Refused => "refused",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Mirror => "mirror_unusable",
            ErrorKind::Busy => "busy",
        }
    }

    /// The exit code of the program.
    pub const fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Failed | ErrorKind::Busy => 1,
            ErrorKind::Usage => 2,
            ErrorKind::SignIn => 3,
            ErrorKind::Unreachable => 4,
            ErrorKind::Refused | ErrorKind::NotFound => 5,
            ErrorKind::Mirror => 6,
        }
    }

    /// The status of the local HTTP door.
    pub const fn http_status(self) -> u16 {
        match self {
            ErrorKind::Failed => 500,
            ErrorKind::Usage => 400,
            ErrorKind::SignIn => 409,
            ErrorKind::Unreachable => 503,
            ErrorKind::Refused => 422,
            ErrorKind::NotFound => 404,
            ErrorKind::Mirror => 500,
            ErrorKind::Busy => 503,
        }
    }
}

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), rule: None, source: None }
    }

    /// The same with the error that caused it.
    pub fn because(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error { kind, message: message.into(), rule: None, source: Some(source.into()) }
    }

    /// The stable kind.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Refused input: the stable name of the rule that it breaks, and a sentence that says the rule and the way out.
    pub fn broken(rule: &'static str, message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::Refused, message: message.into(), rule: Some(rule), source: None }
    }

    /// The stable name of the rule that refused input broke, where there is one.
    pub const fn rule(&self) -> Option<&'static str> {
        self.rule
    }

    /// It as a problem object (RFC 9457) with the stable kind.
    pub fn problem(&self) -> serde_json::Value {
        let status = self.kind.http_status();
        let title = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let mut problem = serde_json::json!({
            "type": "about:blank",
            "title": title.unwrap_or("Error"),
            "status": status,
            "kind": self.kind.code(),
            "detail": self.message,
        });
        if let (Some(rule), Some(members)) = (self.rule, problem.as_object_mut()) {
            members.insert("rule".to_owned(), rule.into());
        }
        problem
    }
}
