use std::error::Error;
use std::io;

use crate::model::{Broken, Unreadable};
use crate::ports::HttpError;

/// How deep a chain of causes is read.
const DEPTH_MAX: usize = 16;

/// Names what went wrong, by the types along the chain of causes; their texts are never looked at.
pub(super) fn of(error: &reqwest::Error) -> HttpError {
    if error.is_timeout() {
        return HttpError::Broken(Broken::Timeout);
    }
    let causes = causes(error);
    if causes.iter().any(|cause| cause.is::<rustls::Error>()) {
        return HttpError::Broken(Broken::Tls);
    }
    if error.is_connect() {
        return HttpError::Broken(Broken::Connect);
    }
    let mut is_of_http = false;
    for cause in causes {
        if let Some(hyper) = cause.downcast_ref::<hyper::Error>() {
            is_of_http = true;
            if hyper.is_parse() {
                return HttpError::Broken(Broken::Protocol);
            }
            if hyper.is_incomplete_message() || hyper.is_closed() || hyper.is_canceled() {
                return HttpError::Broken(Broken::Reset);
            }
        }
        let Some(io) = cause.downcast_ref::<io::Error>() else { continue };
        match io.kind() {
            io::ErrorKind::TimedOut => return HttpError::Broken(Broken::Timeout),
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                return HttpError::Broken(Broken::Reset);
            }
            // The same kinds mean the compression when no HTTP stands between.
            io::ErrorKind::UnexpectedEof if is_of_http => return HttpError::Broken(Broken::Reset),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput if is_of_http => {
                return HttpError::Broken(Broken::Protocol);
            }
            _ => {}
        }
    }
    if is_of_http || error.is_body() {
        return HttpError::Broken(Broken::Reset);
    }
    if error.is_decode() {
        return HttpError::Unreadable(Unreadable::Encoding);
    }
    HttpError::Broken(Broken::Protocol)
}

/// The error and everything below it. An `io::Error` names its content as its own cause's cause only, so the
/// content is looked at as well.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> Vec<&'e (dyn Error + 'static)> {
    let mut causes: Vec<&'e (dyn Error + 'static)> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next.filter(|_| causes.len() < DEPTH_MAX) {
        causes.push(cause);
        next = match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    causes
}
