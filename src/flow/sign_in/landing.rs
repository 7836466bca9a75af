//! Where the browser lands: a small HTTP listener on 127.0.0.1 that takes one redirect.
//!
//! Everybody on this machine can connect to it, and any web page can make a browser do so. So it believes only a
//! request that carries the state of this sign-in, is bounded in bytes, time and connections, and answers with
//! fixed pages that load nothing. The code alone is worth nothing either: its verifier never leaves the process.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oauth2::CsrfToken;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use super::refusal::{Refusal, plain};
use crate::model::Secret;
use crate::ports::Clock;

/// The most bytes of a request: real codes have two kilobytes, browsers add as much.
const REQUEST_BYTES_MAX: usize = 32 * 1024;
/// The most time of a request and its answer. Browsers also open connections ahead and never use them.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// Connections that are served at a time; others wait.
const CONNECTIONS_MAX: usize = 32;
/// The pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the browser brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A code to redeem.
    Code(Secret),
    /// The server's no.
    Refused(Refusal),
}

/// The open port; closed when dropped.
pub(super) struct Landing {
    port: u16,
    task: JoinHandle<()>,
    arrived: oneshot::Receiver<Arrival>,
}

struct Desk {
    port: u16,
    state: Secret,
    clock: Arc<dyn Clock>,
    /// Taken by the first redirect that is believed.
    waiting: Mutex<Option<oneshot::Sender<Arrival>>>,
}

impl Landing {
    /// Opens a free port for the redirect that carries `state`.
    pub(super) async fn open(state: &str, clock: Arc<dyn Clock>) -> io::Result<Landing> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let (sender, arrived) = oneshot::channel();
        let desk = Desk { port, state: Secret::new(state), clock, waiting: Mutex::new(Some(sender)) };
        let task = tokio::spawn(accept(listener, Arc::new(desk)));
        Ok(Landing { port, task, arrived })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the redirect. Never ends without one.
    pub(super) async fn arrival(&mut self) -> Arrival {
        match (&mut self.arrived).await {
            Ok(arrival) => arrival,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_in_time(stream, desk.clone()));
                }
                Err(_) => desk.clock.sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_in_time(stream: TcpStream, desk: Arc<Desk>) {
    tokio::select! {
        // A browser that goes away in the middle is nobody's problem.
        _ = serve(stream, &desk) => {}
        () = desk.clock.sleep(REQUEST_TIME_MAX) => {}
    }
}

async fn serve(mut stream: TcpStream, desk: &Desk) -> io::Result<()> {
    let mut head = Vec::new();
    let verdict = loop {
        if head.windows(4).any(|four| four == b"\r\n\r\n") {
            break judge(&head, desk.port, desk.state.expose());
        }
        if head.len() >= REQUEST_BYTES_MAX {
            break Verdict::TooLarge;
        }
        let read = (&mut stream).take(4_096).read_buf(&mut head).await?;
        if read == 0 {
            return Ok(());
        }
    };
    let (status, page, arrival) = match verdict {
        Verdict::Believed(arrival) => {
            let waiting = desk.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
            match (waiting, arrival) {
                (None, _) => ("200 OK", &AGAIN, None),
                (Some(waiting), Arrival::Code(code)) => {
                    ("200 OK", &DONE, Some((waiting, Arrival::Code(code))))
                }
                (Some(waiting), refused) => ("200 OK", &NOT_DONE, Some((waiting, refused))),
            }
        }
        Verdict::Forged => ("400 Bad Request", &FORGED, None),
        Verdict::NotHere => ("404 Not Found", &NOTHING, None),
        Verdict::NoGet => ("405 Method Not Allowed", &NOTHING, None),
        Verdict::TooLarge => ("431 Request Header Fields Too Large", &NOTHING, None),
        Verdict::NotHttp => ("400 Bad Request", &NOTHING, None),
    };
    let written = stream.write_all(answer(status, page).as_bytes()).await;
    if written.is_ok() {
        // The page is complete before anything that may close the port begins.
        let _ = stream.shutdown().await;
    }
    if let Some((waiting, arrival)) = arrival {
        // Nobody waits any more when the sign-in was given up.
        let _ = waiting.send(arrival);
    }
    written
}

/// What a request is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The redirect of this sign-in.
    Believed(Arrival),
    /// A redirect without its state, or one that is not clear.
    Forged,
    /// Another path or another host.
    NotHere,
    /// Another verb.
    NoGet,
    /// A head without end.
    TooLarge,
    /// Something else.
    NotHttp,
}

/// Judges a request's head.
pub(super) fn judge(head: &[u8], port: u16, state: &str) -> Verdict {
    let Ok(head) = std::str::from_utf8(head) else { return Verdict::NotHttp };
    let mut lines = head.split("\r\n");
    let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [verb, target, version] = first.as_slice() else { return Verdict::NotHttp };
    if !version.starts_with("HTTP/1.") {
        return Verdict::NotHttp;
    }
    if *verb != "GET" {
        return Verdict::NoGet;
    }
    // A page elsewhere can point a name of its own at this machine, but not claim ours.
    let mut hosts = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then_some(value.trim())
    });
    let is_ours = |host: &str| {
        host.strip_suffix(&format!(":{port}")).is_some_and(|name| matches!(name, "localhost" | "127.0.0.1"))
    };
    if !hosts.next().is_some_and(is_ours) || hosts.next().is_some() {
        return Verdict::NotHere;
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != "/" {
        return Verdict::NotHere;
    }
    let all: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let one = |name: &str| {
        let mut values = all.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        values.next().filter(|value| !value.is_empty() && values.next().is_none())
    };
    // Compared as hashes, which takes the same time wherever they differ.
    let is_known = |sent: &str| blake3::hash(sent.as_bytes()) == blake3::hash(state.as_bytes());
    if !one("state").is_some_and(is_known) {
        return Verdict::Forged;
    }
    match (one("code"), one("error")) {
        (Some(code), None) => Verdict::Believed(Arrival::Code(Secret::new(code))),
        (None, Some(error)) => {
            let suberror = one("suberror").or_else(|| one("error_subcode")).map(plain);
            Verdict::Believed(Arrival::Refused(Refusal { error: plain(error), suberror, claims: None }))
        }
        (Some(_), Some(_)) | (None, None) => Verdict::Forged,
    }
}

/// A page in two languages.
struct Page {
    german: &'static str,
    german_text: &'static str,
    english: &'static str,
    english_text: &'static str,
}

const DONE: Page = Page {
    german: "Anmeldung angekommen",
    german_text: "calmirror übernimmt jetzt. Sie können dieses Fenster schließen.",
    english: "Sign-in received",
    english_text: "calmirror takes over now. You can close this window.",
};
const NOT_DONE: Page = Page {
    german: "Nicht angemeldet",
    german_text: "calmirror sagt im Programm, woran es liegt und wer helfen kann. Sie können dieses Fenster schließen.",
    english: "Not signed in",
    english_text: "calmirror says in the program why, and who can help. You can close this window.",
};
const AGAIN: Page = Page {
    german: "Bereits angemeldet",
    german_text: "Die Anmeldung kam schon in einem anderen Fenster an. Sie können dieses schließen.",
    english: "Already received",
    english_text: "The sign-in already arrived in another window. You can close this one.",
};
const FORGED: Page = Page {
    german: "Diese Seite gehört nicht zur laufenden Anmeldung",
    german_text: "Bitte melden Sie sich in dem Fenster an, das calmirror geöffnet hat. calmirror wartet weiter.",
    english: "This page does not belong to the sign-in under way",
    english_text: "Please sign in in the window that calmirror opened. calmirror keeps waiting.",
};
const NOTHING: Page =
    Page { german: "Hier ist nichts", german_text: "", english: "There is nothing here", english_text: "" };

fn answer(status: &str, page: &Page) -> String {
    let nonce = CsrfToken::new_random();
    let nonce = nonce.secret();
    let Page { german, german_text, english, english_text } = page;
    let body = format!(
        "<!doctype html>\n<html lang=\"de\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{german} · {english}</title>\
         <style nonce=\"{nonce}\">body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}}\
         h1{{font-size:1.4rem;margin:0}}section+section{{margin-top:2rem}}</style></head>\n\
         <body><section><h1>{german}</h1><p>{german_text}</p></section>\n\
         <section lang=\"en\"><h1>{english}</h1><p>{english_text}</p></section></body></html>\n"
    );
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\n\
         content-security-policy: default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}
