//! Hostile and broken servers, over real sockets: the client ends each case with a named fault or with the good
//! events of the page, within bounds, and its token reaches nobody else.
//!
//! One row a case. The server writes exact bytes; `{base}` in a body stands for its own address.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use calmirror::http::{HttpClient, HttpOptions};
use calmirror::model::{Change, Fault, Link, Lookup, Next, Page, RemoteId, Secret, Window};
use calmirror::ports::{Bearer, Clock, Entropy, Pending};
use calmirror::source::graph::{Graph, GraphSite, PullMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Only a guard: every case ends by itself long before.
const GUARD: Duration = Duration::from_secs(60);
/// How patient the client is in cases that end by a timeout.
const IMPATIENT: Duration = Duration::from_millis(300);
const NOW_MS: i64 = 1_778_140_800_000; // 2026-05-07T08:00:00Z
const WINDOW: Window = Window { from_ms: NOW_MS - 86_400_000, to_ms: NOW_MS + 86_400_000 };

/// What the server does with one connection after it has read the request.
#[derive(Clone)]
enum Wire {
    /// Writes these bytes and closes.
    Bytes(Vec<u8>),
    /// Writes the first bytes, then the second ones until nobody listens any more.
    Flood(Vec<u8>, Vec<u8>),
    /// Writes these bytes, then nothing, and keeps the connection.
    Silence(Vec<u8>),
    /// Writes these bytes one by one with pauses.
    Trickle(Vec<u8>),
}

type Script = dyn Fn(&str, usize) -> Wire + Send + Sync;

struct Server {
    base: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers the n-th request (from 0) with what `script` says for its head.
    async fn start(script: impl Fn(&str, usize) -> Wire + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, own_base) = (Arc::clone(&requests), base.clone());
        let script: Arc<Script> = Arc::new(script);
        let task = tokio::spawn(async move {
            let mut count = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let (log, script, base, nth) =
                    (Arc::clone(&log), Arc::clone(&script), own_base.clone(), count);
                count += 1;
                tokio::spawn(async move {
                    let _the_client_may_hang_up = serve(stream, &*script, nth, &base, &log).await;
                });
            }
        });
        Server { base, requests, task }
    }

    /// The same answer for every request.
    async fn always(wire: Wire) -> Server {
        Server::start(move |_, _| wire.clone()).await
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    script: &Script,
    nth: usize,
    base: &str,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap_or(0) {
            break;
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    log.lock().unwrap().push(text.clone());
    match script(&text, nth) {
        Wire::Bytes(bytes) => stream.write_all(&bytes_at(bytes, base)).await?,
        Wire::Flood(head, chunk) => {
            stream.write_all(&head).await?;
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        Wire::Silence(bytes) => {
            stream.write_all(&bytes).await?;
            std::future::pending::<()>().await;
        }
        Wire::Trickle(bytes) => {
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    stream.shutdown().await
}

/// Puts the server's address into a text.
fn bytes_at(bytes: Vec<u8>, base: &str) -> Vec<u8> {
    match String::from_utf8(bytes) {
        Ok(text) => text.replace("{base}", base).into_bytes(),
        Err(binary) => {
            // Invalid UTF-8 only ever stands before the one link of such a page.
            let mut bytes = binary.into_bytes();
            if let Some(at) = bytes.windows(6).rposition(|part| part == b"{base}") {
                bytes.splice(at..at + 6, base.bytes());
            }
            bytes
        }
    }
}

struct StillClock(AtomicI64);

impl Clock for StillClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        self.0.fetch_add(i64::try_from(duration.as_millis()).unwrap(), Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }
}

struct Same;

impl Entropy for Same {
    fn roll(&self) -> f64 {
        0.5
    }

    fn bytes(&self) -> [u8; 16] {
        [7; 16]
    }
}

/// Gives `token-0`, and another one for each that is refused.
struct Tokens(AtomicUsize);

impl Bearer for Tokens {
    fn token<'a>(
        &'a self,
        refused: Option<&'a Secret>,
        _claims: Option<&'a str>,
    ) -> Pending<'a, Result<Secret, Fault>> {
        if refused.is_some() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        let token = Secret::new(format!("token-{}", self.0.load(Ordering::Relaxed)));
        Box::pin(std::future::ready(Ok(token)))
    }
}

fn graph(base: &str, timeout: Duration) -> Graph {
    let site = GraphSite::new(base, None).unwrap();
    let options = HttpOptions { timeout_max: timeout, ..HttpOptions::default() };
    Graph::new(
        site,
        HttpClient::with_options(options).unwrap(),
        Arc::new(Tokens(AtomicUsize::new(0))),
        Arc::new(StillClock(AtomicI64::new(NOW_MS))),
        Arc::new(Same),
    )
}

fn work() -> RemoteId {
    RemoteId::new("work/+=")
}

fn first(graph: &Graph) -> Link {
    graph.first_link(PullMode::Delta, &work(), WINDOW)
}

async fn guarded<T>(name: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, future).await.unwrap_or_else(|_| panic!("{name}: did not end"))
}

/// A reply that ends with its connection, unless the headers say otherwise.
fn reply(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Wire {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body.as_ref());
    Wire::Bytes(bytes)
}

fn json(body: impl AsRef<[u8]>) -> Wire {
    // Closing ends the body, so that `{base}` may change its length.
    let mut bytes =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n".to_vec();
    bytes.extend_from_slice(body.as_ref());
    Wire::Bytes(bytes)
}

fn sized(headers: &str, body: impl AsRef<[u8]>) -> Wire {
    let body = body.as_ref();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}connection: close\r\n\r\n", body.len());
    Wire::Bytes([head.as_bytes(), body].concat())
}

const TIMES: &str = r#""start":{"dateTime":"2026-05-07T08:00:00.0000000","timeZone":"UTC"},"end":{"dateTime":"2026-05-07T09:00:00.0000000","timeZone":"UTC"}"#;
const DELTA: &str = r#""@odata.deltaLink":"{base}/v1.0/me/calendarView/delta?$deltatoken=d""#;

fn event(id: &str, rest: &str) -> String {
    let comma = if rest.is_empty() { "" } else { "," };
    format!(r#"{{"id":"{id}","type":"singleInstance","subject":"s",{TIMES}{comma}{rest}}}"#)
}

/// A page of a good event, these rows, and another good event.
fn page_around(rows: &str) -> String {
    format!(r#"{{"value":[{},{rows},{}],{DELTA}}}"#, event("good-1", ""), event("good-2", ""))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn ids(page: &Page) -> Vec<String> {
    let id = |change: &Change| match change {
        Change::Put(record) => record.remote_id.as_str().to_owned(),
        Change::Gone(id) => format!("-{}", id.as_str()),
    };
    page.changes.iter().map(id).collect()
}

/// Fetches one page and compares how it ends: `fault KIND`, or ids and what was skipped.
async fn check_page(name: &str, wire: Wire, timeout: Duration, expected: &str) {
    let server = Server::always(wire).await;
    let graph = graph(&server.base, timeout);
    let page = guarded(name, graph.page(&first(&graph), 200)).await;
    let ended = match &page {
        Ok(page) => {
            let skipped = page.skipped.iter().map(|why| format!(" !{why:?}"));
            format!("{}{}", ids(page).join(" "), skipped.collect::<String>())
        }
        Err(fault) => format!("fault {}", fault.kind()),
    };
    assert_eq!(ended, expected, "{name}: {:?}", page.err());
}

#[tokio::test]
async fn one_bad_row_never_costs_its_page() {
    let long_id = "x".repeat(1 << 20);
    let nested = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let attendee = r#"{"type":"required","emailAddress":{"name":"B","address":"b@x.test"}}"#;
    let attendees = vec![attendee; 100_000].join(",");
    let categories = vec!["\"c\""; 100_000].join(",");
    let long_subject = "s".repeat(20 << 20);
    let rows: Vec<(&str, String, &str)> = vec![
        ("id missing", format!("{{{TIMES}}}"), "!Id"),
        ("id empty", event("", ""), "!Id"),
        ("id null", format!(r#"{{"id":null,{TIMES}}}"#), "!Id"),
        ("id a number", format!(r#"{{"id":7,{TIMES}}}"#), "!Id"),
        ("id an object", format!(r#"{{"id":{{}},{TIMES}}}"#), "!Id"),
        ("id of a megabyte", event(&long_id, ""), "!Id"),
        ("id with a lone surrogate", event("\\ud800", ""), "!Id"),
        ("id with a NUL", event("a\\u0000b", ""), "!Id"),
        ("id with a line end", event("a\\nb", ""), "!Id"),
        ("id of SQL", event("x'); DROP TABLE event; --", ""), "x'); DROP TABLE event; --"),
        ("times missing", r#"{"id":"x","subject":"s"}"#.into(), "!Times"),
        ("end missing", r#"{"id":"x","start":{"dateTime":"2026-05-07T08:00:00"}}"#.into(), "!Times"),
        ("times null", r#"{"id":"x","start":null,"end":null}"#.into(), "!Times"),
        ("times texts", r#"{"id":"x","start":"2026-05-07T08:00:00","end":"x"}"#.into(), "!Times"),
        ("times arrays", r#"{"id":"x","start":[],"end":[[[[]]]]}"#.into(), "!Times"),
        (
            "year 0001",
            r#"{"id":"x","start":{"dateTime":"0001-01-01T00:00:00"},"end":{"dateTime":"0001-01-01T00:00:00"}}"#
                .into(),
            "!Times",
        ),
        (
            "year 9999",
            r#"{"id":"x","start":{"dateTime":"2026-05-07T08:00:00"},"end":{"dateTime":"9999-12-31T23:59:59.9999999"}}"#
                .into(),
            "!Times",
        ),
        (
            "an impossible date",
            r#"{"id":"x","start":{"dateTime":"2026-02-30T08:00:00"},"end":{"dateTime":"2026-02-31T08:00:00"}}"#
                .into(),
            "!Times",
        ),
        (
            "a negative duration",
            r#"{"id":"x","start":{"dateTime":"2026-05-07T08:00:00"},"end":{"dateTime":"2026-05-06T08:00:00"}}"#
                .into(),
            "x",
        ),
        (
            "an unknown zone",
            r#"{"id":"x","start":{"dateTime":"2026-05-07T08:00:00","timeZone":"Atlantis Standard Time"},"end":{"dateTime":"2026-05-07T08:00:00","timeZone":7}}"#
                .into(),
            "x",
        ),
        ("everything null", r#"{"id":null,"type":null,"start":null,"end":null,"subject":null}"#.into(), "!Id"),
        (
            "everything else null",
            format!(r#"{{"id":"x",{TIMES},"type":null,"subject":null,"body":null,"location":null,"attendees":null,"organizer":null,"categories":null,"responseStatus":null,"isAllDay":null,"@removed":null,"recurrence":null}}"#),
            "x",
        ),
        (
            "wrong types everywhere",
            event("x", r#""subject":7,"body":"b","location":[],"attendees":{},"organizer":7,"categories":"c","isAllDay":"yes","showAs":1,"isReminderOn":0,"reminderMinutesBeforeStart":"15","onlineMeeting":[],"@odata.etag":{}"#),
            "x",
        ),
        ("unknown enum values", event("x", r#""showAs":"asleep","sensitivity":"cosmic","importance":"vital","responseStatus":{"response":"maybe"}"#), "x"),
        ("an unknown type", event("x", r#""type":"hologram""#), "x"),
        ("a row that is a number", "7".into(), "!Shape"),
        ("a row that is null", "null".into(), "!Shape"),
        ("a row that is a text", "\"x\"".into(), "!Shape"),
        ("a row that is an array", "[]".into(), "!Id"),
        ("nested arrays in an unknown member", event("x", &format!(r#""extra":{nested}"#)), "x"),
        ("nested arrays as a subject", format!(r#"{{"id":"x","type":"singleInstance",{TIMES},"subject":{nested}}}"#), "x"),
        ("nested arrays as a start", format!(r#"{{"id":"x","start":{nested},"end":{nested}}}"#), "!Times"),
        ("nested arrays as a row", nested.clone(), "!Shape"),
        ("a subject of 20 MB", event("x", &format!(r#""bodyPreview":"{long_subject}""#)), "x"),
        ("100,000 attendees", event("x", &format!(r#""attendees":[{attendees}]"#)), "x"),
        ("100,000 categories", event("x", &format!(r#""categories":[{categories}]"#)), "x"),
        ("100,000 damaged attendees", event("x", &format!(r#""attendees":[{attendees},7,null]"#)), "x"),
        ("a lone surrogate", event("x", r#""location":{"displayName":"\ud800"}"#), "x"),
        ("an escaped NUL", event("x", r#""bodyPreview":"a\u0000b""#), "x"),
        ("a bare NUL", event("x", "\"bodyPreview\":\"a\u{0}b\""), "x"),
        ("a bare line end", event("x", "\"bodyPreview\":\"a\nb\""), "x"),
        ("a broken escape", event("x", r#""bodyPreview":"a\qb""#), "x"),
        ("direction marks", event("x", "\"bodyPreview\":\"\u{202e}evil\""), "x"),
        ("terminal escapes", event("x", r#""bodyPreview":"\u001b[2J\u009b31m""#), "x"),
        ("duplicate keys", event("x", r#""subject":"a","subject":"b","id":"y""#), "y"),
        ("1e400", event("x", r#""reminderMinutesBeforeStart":1e400,"isReminderOn":true"#), "x"),
        ("a fractional reminder", event("x", r#""reminderMinutesBeforeStart":15.0"#), "x"),
        ("numbers that are none", event("x", r#""extra":NaN,"more":Infinity,"hex":0xFF"#), "x"),
        ("an occurrence that is its own master", format!(r#"{{"id":"x","type":"occurrence","seriesMasterId":"x",{TIMES}}}"#), "!Series"),
        ("an occurrence of nothing", format!(r#"{{"id":"x","type":"occurrence",{TIMES}}}"#), "!Series"),
        ("an orphan", format!(r#"{{"id":"x","type":"occurrence","seriesMasterId":"nobody",{TIMES}}}"#), "x"),
        ("an exception of an empty series", format!(r#"{{"id":"x","type":"exception","seriesMasterId":"",{TIMES}}}"#), "!Series"),
        ("a master without times", r#"{"id":"x","type":"seriesMaster","recurrence":{"pattern":{"interval":0}}}"#.into(), "x"),
        ("duplicate ids", format!("{},{}", event("x", ""), event("x", r#""changeKey":"2""#)), "x x"),
        ("the same version with other content", format!("{},{}", event("x", r#""changeKey":"1""#), event("x", r#""changeKey":"1","location":{"displayName":"l"}"#)), "x x"),
        ("removed, then added", format!(r#"{{"id":"x","@removed":{{"reason":"deleted"}}}},{}"#, event("x", "")), "-x x"),
        ("removed of unknown", r#"{"id":"never","@removed":{"reason":"deleted"}}"#.into(), "-never"),
        ("removed for no reason", r#"{"id":"x","@removed":7}"#.into(), "-x"),
        ("removed without id", r#"{"@removed":{"reason":"deleted"}}"#.into(), "!Id"),
        ("not removed at all", event("x", r#""@removed":null"#), "x"),
    ];
    assert!(rows.len() > 55);
    for (name, row, expected) in rows {
        let (kept, skipped) = match expected.strip_prefix('!') {
            Some(why) => (String::new(), format!(" !{why}")),
            None => (format!("{expected} "), String::new()),
        };
        let expected = format!("good-1 {kept}good-2{skipped}");
        check_page(name, json(page_around(&row)), GUARD, &expected).await;
    }
}

#[tokio::test]
async fn one_bad_page_ends_in_a_named_fault_or_its_good_rows() {
    let good = page_around(&event("x", ""));
    let all = "good-1 x good-2";
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    let unclosed = "{\"value\":[".to_owned() + &"[".repeat(200_000);
    let crowded = format!(r#"{{"value":[{}],{DELTA}}}"#, vec![event("x", ""); 20_001].join(","));
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin = [
        b"{\"value\":[".as_slice(),
        event("x", "\"bodyPreview\":\"?\"").replace('?', "\u{1}").as_bytes(),
        b"],",
        DELTA.as_bytes(),
        b"}",
    ]
    .concat();
    let latin: Vec<u8> = latin.into_iter().map(|byte| if byte == 1 { 0xE9 } else { byte }).collect();
    let pages: Vec<(&str, Wire, &str)> = vec![
        // Text.
        ("a good page", json(&good), all),
        ("a good page with gzip", sized("content-encoding: gzip\r\n", gzip(good.as_bytes())), all),
        ("a byte order mark", json(format!("\u{feff}{good}")), all),
        ("leading blanks", json(format!("\r\n  {good}")), all),
        ("trailing garbage", json(format!("{good}garbage")), all),
        ("a second page behind the first", json(format!("{good}{good}")), all),
        (
            "a trailing comma",
            json(
                good.replacen("\"value\":[", "\"extra\":1e999,\"value\":[", 1).replacen("],\"@", ",],\"@", 1),
            ),
            all,
        ),
        ("invalid UTF-8", json(&latin), "x"),
        ("UTF-16", json(&utf16), "fault reply_unreadable"),
        (
            "an unknown charset",
            sized(
                "content-type: application/json; charset=klingon\r\n",
                good.replace("{base}", "http://127.0.0.1"),
            ),
            all,
        ),
        ("no content type", sized("", good.replace("{base}", "http://127.0.0.1")), all),
        (
            "JSON that says it is HTML",
            sized("content-type: text/html\r\n", good.replace("{base}", "http://127.0.0.1")),
            all,
        ),
        ("JSON cut short", json(&good[..good.len() / 2]), "fault reply_unreadable"),
        ("JSON in single quotes", json(good.replace('"', "'")), "fault reply_unreadable"),
        ("an array", json("[]"), "fault reply_unreadable"),
        ("null", json("null"), "fault reply_unreadable"),
        ("a text", json("\"hello\""), "fault reply_unreadable"),
        ("plain text", json("Service is busy."), "fault reply_unreadable"),
        ("an empty object", json("{}"), "fault reply_unreadable"),
        ("value null", json(format!(r#"{{"value":null,{DELTA}}}"#)), "fault reply_unreadable"),
        ("value an object", json(format!(r#"{{"value":{{}},{DELTA}}}"#)), "fault reply_unreadable"),
        ("value missing", json(format!("{{{DELTA}}}")), "fault reply_unreadable"),
        ("two values", json(format!(r#"{{"value":[7],"value":[{}],{DELTA}}}"#, event("x", ""))), "x"),
        ("200,000 arrays", json(&deep), "fault reply_unreadable"),
        (
            "200,000 arrays beside the rows",
            json(format!(r#"{{"extra":{deep},"value":[{}],{DELTA}}}"#, event("x", ""))),
            "x",
        ),
        ("200,000 unclosed arrays", json(&unclosed), "fault reply_unreadable"),
        // Links.
        ("no link", json(r#"{"value":[]}"#), "fault reply_unreadable"),
        (
            "links null",
            json(r#"{"value":[],"@odata.nextLink":null,"@odata.deltaLink":null}"#),
            "fault reply_unreadable",
        ),
        (
            "links empty",
            json(r#"{"value":[],"@odata.nextLink":"","@odata.deltaLink":""}"#),
            "fault reply_unreadable",
        ),
        ("a link that is a number", json(r#"{"value":[],"@odata.nextLink":7}"#), "fault reply_unreadable"),
        ("a link that is an object", json(r#"{"value":[],"@odata.deltaLink":{}}"#), "fault reply_unreadable"),
        (
            "a link of a megabyte",
            json(format!(r#"{{"value":[],"@odata.nextLink":"{{base}}/{}"}}"#, "a".repeat(1 << 20))),
            "fault link_refused",
        ),
        // Volume.
        ("20,001 rows", json(&crowded), "fault reply_too_large"),
        (
            "a gigabyte announced",
            reply("200 OK", "content-length: 1073741824\r\n", "{"),
            "fault reply_too_large",
        ),
        (
            "a gigabyte in chunks",
            Wire::Flood(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
                [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat(),
            ),
            "fault reply_too_large",
        ),
        (
            "a gigabyte until the end",
            Wire::Flood(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'['; 1 << 20]),
            "fault reply_too_large",
        ),
        (
            "a gzip bomb",
            sized("content-encoding: gzip\r\n", gzip(&vec![b' '; 64 << 20])),
            "fault reply_too_large",
        ),
        (
            "gzip cut short",
            sized("content-encoding: gzip\r\n", &gzip(good.as_bytes())[..100]),
            "fault reply_unreadable",
        ),
        ("gzip that is none", sized("content-encoding: gzip\r\n", &good), "fault reply_unreadable"),
        ("gzip of nothing", sized("content-encoding: gzip\r\n", ""), "fault reply_unreadable"),
        (
            "gzip within gzip",
            sized("content-encoding: gzip\r\n", gzip(&gzip(good.as_bytes()))),
            "fault reply_unreadable",
        ),
        ("gzip that is not announced", sized("", gzip(good.as_bytes())), "fault reply_unreadable"),
        ("an unknown encoding", sized("content-encoding: br\r\n", &good), "fault reply_unreadable"),
        (
            "two encodings",
            sized("content-encoding: zstd, gzip\r\n", gzip(good.as_bytes())),
            "fault reply_unreadable",
        ),
        (
            "10 MB of header",
            Wire::Bytes(
                [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &vec![b'a'; 10 << 20], b"\r\n\r\n{}"].concat(),
            ),
            "fault not_http",
        ),
        (
            "100,000 headers",
            Wire::Bytes(
                [b"HTTP/1.1 200 OK\r\n".as_slice(), "x: y\r\n".repeat(100_000).as_bytes(), b"\r\n{}"]
                    .concat(),
            ),
            "fault not_http",
        ),
        // Status.
        (
            "HTML with 200",
            sized("content-type: text/html\r\n", "<!DOCTYPE html><html>Hotel</html>"),
            "fault captive_portal",
        ),
        ("HTML that says it is JSON", json(" <html>Hotel</html>"), "fault captive_portal"),
        ("an empty 200", sized("", ""), "fault reply_unreadable"),
        ("a blank 200", json("  \r\n"), "fault reply_unreadable"),
        ("204", reply("204 No Content", "", ""), "fault reply_unreadable"),
        (
            "an error with 200",
            json(r#"{"error":{"code":"ErrorAccessDenied","message":"x"}}"#),
            "fault access_denied",
        ),
        ("a lost token with 200", json(r#"{"error":{"code":"SyncStateNotFound"}}"#), "fault token_lost"),
        ("an unknown error with 200", json(r#"{"error":{"code":"Whatever"}}"#), "fault server_error"),
        ("an error of another shape with 200", json(r#"{"error":"no"}"#), "fault server_error"),
        ("400", reply("400 Bad Request", "", r#"{"error":{"code":"InvalidDeltaToken"}}"#), "fault refused"),
        ("401 for ever", reply("401 Unauthorized", "", "{}"), "fault sign_in_needed"),
        ("403", reply("403 Forbidden", "", "<html>"), "fault access_denied"),
        ("404", reply("404 Not Found", "", "\u{0}"), "fault not_found"),
        ("410", reply("410 Gone", "location: http://evil.test/\r\n", ""), "fault token_lost"),
        ("418", reply("418 I'm a teapot", "", ""), "fault refused"),
        ("429", reply("429 Too Many Requests", "", ""), "fault throttled"),
        ("429 for no time", reply("429 Too Many Requests", "retry-after: 0\r\n", ""), "fault throttled"),
        (
            "429 for a year",
            reply("429 Too Many Requests", "retry-after: 31536000\r\n", ""),
            "fault throttled",
        ),
        (
            "429 until the year 9999",
            reply("429 Too Many Requests", "retry-after: Fri, 31 Dec 9999 23:59:59 GMT\r\n", ""),
            "fault throttled",
        ),
        ("429 for nonsense", reply("429 Too Many Requests", "retry-after: soon\r\n", ""), "fault throttled"),
        ("500", reply("500 Internal Server Error", "", "<html>"), "fault server_error"),
        ("503 empty", reply("503 Service Unavailable", "", ""), "fault server_error"),
        (
            "503 with a time",
            reply("503 Service Unavailable", "retry-after: 2.128\r\n", ""),
            "fault throttled",
        ),
        ("599", reply("599 X", "", ""), "fault server_error"),
        ("999", reply("999 X", "", ""), "fault server_error"),
        (
            "a megabyte of code",
            reply("400 X", "", format!(r#"{{"error":{{"code":"{}"}}}}"#, "x".repeat(1 << 20))),
            "fault refused",
        ),
        // Redirects.
        (
            "301 elsewhere",
            reply("301 Moved", "location: http://evil.test/\r\n", ""),
            "fault redirect_refused",
        ),
        (
            "302 to a file",
            reply("302 Found", "location: file:///etc/passwd\r\n", ""),
            "fault redirect_refused",
        ),
        (
            "307 to itself",
            reply("307 Temporary Redirect", "location: /v1.0/me\r\n", ""),
            "fault redirect_refused",
        ),
        ("308 to nowhere", reply("308 Permanent Redirect", "", ""), "fault redirect_refused"),
        ("304", reply("304 Not Modified", "", ""), "fault redirect_refused"),
        // Transport.
        ("nothing at all", Wire::Bytes(Vec::new()), "fault connection_lost"),
        ("half a status line", Wire::Bytes(b"HTTP/1.1 20".to_vec()), "fault connection_lost"),
        (
            "a body cut short",
            reply("200 OK", "content-length: 5000\r\n", "{\"value\":"),
            "fault connection_lost",
        ),
        (
            "a gzip body cut short",
            Wire::Bytes(
                [
                    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5000\r\n\r\n".as_slice(),
                    &gzip(good.as_bytes())[..50],
                ]
                .concat(),
            ),
            "fault connection_lost",
        ),
        (
            "chunks cut short",
            reply("200 OK", "transfer-encoding: chunked\r\n", "50\r\n{\"value\":"),
            "fault connection_lost",
        ),
        (
            "a bad chunk length",
            reply("200 OK", "transfer-encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n"),
            "fault not_http",
        ),
        (
            "an absurd chunk length",
            reply("200 OK", "transfer-encoding: chunked\r\n", "ffffffffffffffffffff\r\n{}"),
            "fault not_http",
        ),
        ("a negative length", reply("200 OK", "content-length: -1\r\n", "{}"), "fault not_http"),
        (
            "an absurd length",
            reply("200 OK", "content-length: 99999999999999999999999\r\n", "{}"),
            "fault not_http",
        ),
        (
            "two lengths",
            reply("200 OK", "content-length: 2\r\ncontent-length: 3\r\n", "{}"),
            "fault not_http",
        ),
        (
            "length and chunks together",
            reply(
                "200 OK",
                "content-length: 2\r\ntransfer-encoding: chunked\r\n",
                format!("{:x}\r\n{}\r\n0\r\n\r\n", r#"{"value":[]}"#.len(), r#"{"value":[]}"#),
            ),
            "fault reply_unreadable",
        ),
        ("not HTTP", Wire::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "fault not_http"),
        ("HTTP/0.9", Wire::Bytes(b"{\"value\":[]}".to_vec()), "fault not_http"),
        ("status 0", reply("0 X", "", "{}"), "fault not_http"),
        ("a status of letters", reply("abc X", "", "{}"), "fault not_http"),
        ("TLS where HTTP belongs", Wire::Bytes(vec![0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]), "fault not_http"),
        (
            "a date of 1970",
            sized("date: Thu, 01 Jan 1970 00:00:00 GMT\r\n", good.replace("{base}", "http://127.0.0.1")),
            all,
        ),
    ];
    assert!(pages.len() > 80);
    for (name, wire, expected) in pages {
        check_page(name, wire, GUARD, expected).await;
    }
}

#[tokio::test]
async fn a_server_that_takes_for_ever_is_left() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n";
    let cases = [
        ("silence", Wire::Silence(Vec::new())),
        ("silence after the head", Wire::Silence(head.to_vec())),
        ("silence inside the head", Wire::Silence(b"HTTP/1.1 200 OK\r\nconte".to_vec())),
        ("a byte now and then", Wire::Trickle([head.as_slice(), &[b' '; 500]].concat())),
        ("100 Continue for ever", Wire::Flood(Vec::new(), b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100))),
        (
            "a blank body for ever",
            Wire::Trickle([b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b' '; 500]].concat()),
        ),
    ];
    for (name, wire) in cases {
        check_page(name, wire, IMPATIENT, "fault timeout").await;
    }
}

#[tokio::test]
async fn nobody_there_and_no_trust_have_their_own_names() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let nobody = graph(&base, GUARD);
    let fault = guarded("nobody", nobody.page(&first(&nobody), 200)).await.unwrap_err();
    assert_eq!(fault.kind(), "offline");

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", plain.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let mut hello = Vec::new();
        let _until_the_client_hangs_up = stream.read_to_end(&mut hello).await;
    });
    let untrusted = graph(&base, GUARD);
    let fault = guarded("no trust", untrusted.page(&first(&untrusted), 200)).await.unwrap_err();
    assert_eq!(fault.kind(), "tls");
    task.await.unwrap();
}

#[tokio::test]
async fn a_link_to_elsewhere_is_never_followed() {
    let stranger = Server::always(json(r#"{"value":[]}"#)).await;
    let port = stranger.base.rsplit(':').next().unwrap().to_owned();
    let links = [
        stranger.base.clone(),
        format!("{}/v1.0/me/calendarView/delta?$skiptoken=x", stranger.base),
        format!("http://localhost:{port}/v1.0"),
        format!("//127.0.0.1:{port}/v1.0"),
        "{base}@127.0.0.1:1/v1.0".replace("127.0.0.1:1", &format!("127.0.0.1:{port}")),
        format!("{{base}}\\\\@127.0.0.1:{port}/v1.0"),
        format!("http://user:pass@127.0.0.1:{port}/"),
        "/v1.0/me/calendarView/delta?$skiptoken=x".to_owned(),
        "?$skiptoken=x".to_owned(),
        "file:///etc/passwd".to_owned(),
        "https://graph.microsoft.com/v1.0/me/calendarView/delta?$deltatoken=x".to_owned(),
        "javascript:alert(1)".to_owned(),
        "{base}/v1.0/../../x".to_owned(),
        "{base}/v1.0/x#fragment".to_owned(),
        "{base}/v1.0/a b".to_owned(),
        "http://evil.test\\\\@{base}/x".to_owned(),
    ];
    for link in links {
        for name in ["@odata.nextLink", "@odata.deltaLink"] {
            let body = format!(r#"{{"value":[{}],"{name}":"{link}"}}"#, event("good", ""));
            let server = Server::always(json(body)).await;
            let graph = graph(&server.base, GUARD);
            // The rows that came with the link are kept.
            let page = guarded(&link, graph.page(&first(&graph), 200)).await.unwrap();
            assert_eq!(ids(&page), ["good"]);
            let (Next::Page(next) | Next::Delta(next)) = page.next else { panic!("{link}: no link") };
            let fault = guarded(&link, graph.page(&next, 200)).await.unwrap_err();
            assert_eq!(fault.kind(), "link_refused", "{link}");
            assert_eq!(server.requests().len(), 1, "{link}");
        }
    }
    assert_eq!(stranger.requests().len(), 0, "the token went to a stranger");
}

#[tokio::test]
async fn a_link_goes_back_byte_for_byte() {
    let tail =
        "/v1.0/me/calendars/AA%2Bk%3d/calendarView/delta?$skiptoken=a%2bB%2F+~*()!,;:@.-_%7B==&x=%20|[]$";
    let server = Server::start(move |_, nth| match nth {
        0 => json(format!(r#"{{"value":[],"@odata.nextLink":"{{base}}{tail}"}}"#)),
        _ => json(format!(r#"{{"value":[],{DELTA}}}"#)),
    })
    .await;
    let graph = graph(&server.base, GUARD);
    let page = graph.page(&first(&graph), 50).await.unwrap();
    let Next::Page(next) = page.next else { panic!("no next page") };
    graph.page(&next, 50).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[1].lines().next(), Some(&*format!("GET {tail} HTTP/1.1")));
    for request in requests {
        let prefer: Vec<&str> = request.lines().filter(|line| line.starts_with("prefer:")).collect();
        assert_eq!(
            prefer,
            ["prefer: odata.maxpagesize=50, outlook.timezone=\"UTC\", outlook.body-content-type=\"text\", \
              IdType=\"ImmutableId\""]
        );
        assert!(request.contains("\r\nauthorization: Bearer token-0\r\n"));
        assert!(request.contains("\r\nclient-request-id: 07070707-0707-4707-8707-070707070707\r\n"));
        assert!(request.contains("\r\naccept-encoding: gzip\r\n"));
    }
}

#[tokio::test]
async fn sixty_empty_pages_before_a_delta_link_are_legal() {
    let server = Server::start(|_, nth| match nth {
        60 => json(format!(r#"{{"value":[{}],{DELTA}}}"#, event("late", ""))),
        _ => json(format!(
            r#"{{"value":[],"@odata.nextLink":"{{base}}/v1.0/me/calendarView/delta?$skiptoken={nth}"}}"#
        )),
    })
    .await;
    let graph = graph(&server.base, GUARD);
    let mut link = first(&graph);
    for _ in 0..60 {
        let Next::Page(next) = graph.page(&link, 200).await.unwrap().next else { panic!("ended early") };
        link = next;
    }
    let page = graph.page(&link, 200).await.unwrap();
    assert_eq!(ids(&page), ["late"]);
    assert!(matches!(page.next, Next::Delta(_)));
}

#[tokio::test]
async fn both_links_together_go_on_with_the_next_page() {
    let body = format!(r#"{{"value":[],{DELTA},"@odata.nextLink":"{{base}}/v1.0/next"}}"#);
    let server = Server::always(json(body)).await;
    let graph = graph(&server.base, GUARD);
    let page = graph.page(&first(&graph), 200).await.unwrap();
    assert_eq!(page.next, Next::Page(Link::new(format!("{}/v1.0/next", server.base))));
}

#[tokio::test]
async fn a_listing_that_never_ends_is_given_up() {
    const LIST: &str =
        r#"{"value":[{"id":"a","name":"A"}],"@odata.nextLink":"{base}/v1.0/me/calendars?$skip="#;
    let cases: Vec<(&str, Server)> = vec![
        ("the same link", Server::start(|_, _| json(format!("{LIST}1\"}}"))).await),
        ("a cycle", Server::start(|_, nth| json(format!("{LIST}{}\"}}", nth % 3))).await),
        ("always new links", Server::start(|_, nth| json(format!("{LIST}{nth}\"}}"))).await),
        (
            "always new calendars",
            Server::start(|_, nth| {
                let rows: Vec<String> = (0..500).map(|row| format!(r#"{{"id":"{nth}-{row}"}}"#)).collect();
                json(format!(r#"{{"value":[{}],"@odata.nextLink":"{{base}}/v1.0/x?{nth}"}}"#, rows.join(",")))
            })
            .await,
        ),
    ];
    for (name, server) in cases {
        let graph = graph(&server.base, GUARD);
        let fault = guarded(name, graph.calendars()).await.unwrap_err();
        assert_eq!(fault, Fault::EndlessPages, "{name}");
        let fault = guarded(name, graph.instances(&work(), &RemoteId::new("m"), WINDOW)).await.unwrap_err();
        assert_eq!(fault, Fault::EndlessPages, "{name}");
        assert!(server.requests().len() <= 202, "{name}: {}", server.requests().len());
    }
}

#[tokio::test]
async fn a_listing_of_calendars_is_whole_or_an_error() {
    let good = r#"{"id":"a","name":"A"}"#;
    let cases = [
        ("one page", json(format!(r#"{{"value":[{good}]}}"#)), Ok(1)),
        (
            "bad rows",
            json(format!(r#"{{"value":[7,null,{{}},{good},{{"id":"b","name":7,"owner":[]}}]}}"#)),
            Ok(2),
        ),
        ("the same twice", json(format!(r#"{{"value":[{good},{good}]}}"#)), Ok(1)),
        ("none", json(r#"{"value":[]}"#), Ok(0)),
        ("no list", json("{}"), Err("reply_unreadable")),
        ("a broken list", json(r#"{"value":[{"id":"a"}"#), Err("reply_unreadable")),
        (
            "a link elsewhere",
            json(format!(r#"{{"value":[{good}],"@odata.nextLink":"http://evil.test/"}}"#)),
            Err("link_refused"),
        ),
        ("a portal", json("<html>"), Err("captive_portal")),
        (
            "an error with 200",
            json(r#"{"error":{"code":"MailboxNotEnabledForRESTAPI"}}"#),
            Err("server_error"),
        ),
        (
            "too large",
            Wire::Flood(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b' '; 1 << 20]),
            Err("reply_too_large"),
        ),
    ];
    for (name, wire, expected) in cases {
        let server = Server::always(wire).await;
        let graph = graph(&server.base, GUARD);
        let listed = guarded(name, graph.calendars()).await;
        assert_eq!(listed.map(|list| list.len()).map_err(|fault| fault.kind()), expected, "{name}");
    }
    // The second page fails: no part of the list is taken for the whole.
    let server = Server::start(move |_, nth| match nth {
        0 => json(format!(r#"{{"value":[{good}],"@odata.nextLink":"{{base}}/v1.0/me/calendars?$skip=1"}}"#)),
        _ => reply("500 X", "", ""),
    })
    .await;
    let fault = graph(&server.base, GUARD).calendars().await.unwrap_err();
    assert_eq!(fault.kind(), "server_error");
}

fn found(results: &[Result<Lookup, Fault>]) -> Vec<String> {
    let word = |result: &Result<Lookup, Fault>| match result {
        Ok(Lookup::Found(record)) => format!("+{}", record.remote_id.as_str()),
        Ok(Lookup::Missing) => "missing".to_owned(),
        Ok(Lookup::Unreadable(why)) => format!("!{why:?}"),
        Err(fault) => fault.kind().to_owned(),
    };
    results.iter().map(word).collect()
}

#[tokio::test]
async fn a_bad_batch_costs_only_its_bad_items() {
    let item =
        |id: &str, status: &str, body: &str| format!(r#"{{"id":"{id}","status":{status},"body":{body}}}"#);
    let (a, b, c) = (event("A", ""), event("B", ""), event("C", ""));
    let batch = |items: &[String]| json(format!(r#"{{"responses":[{}]}}"#, items.join(",")));
    let cases: Vec<(&str, Wire, [&str; 3])> = vec![
        (
            "any order",
            batch(&[item("2", "200", &c), item("0", "200", &a), item("1", "200", &b)]),
            ["+A", "+B", "+C"],
        ),
        (
            "one missing",
            batch(&[item("0", "200", &a), item("1", "404", "{}"), item("2", "200", &c)]),
            ["+A", "missing", "+C"],
        ),
        (
            "one left out",
            batch(&[item("0", "200", &a), item("2", "200", &c)]),
            ["+A", "reply_unreadable", "+C"],
        ),
        (
            "one answered twice",
            batch(&[
                item("0", "500", "{}"),
                item("0", "200", &a),
                item("1", "200", &b),
                item("2", "200", &c),
            ]),
            ["+A", "+B", "+C"],
        ),
        (
            "another event",
            batch(&[item("0", "200", &b), item("1", "200", &b), item("2", "200", &c)]),
            ["!Id", "+B", "+C"],
        ),
        (
            "no status",
            batch(&[item("0", "null", &a), item("1", "\"200\"", &b), item("2", "2e2", &c)]),
            ["reply_unreadable", "reply_unreadable", "+C"],
        ),
        (
            "no body",
            batch(&[item("0", "200", "null"), item("1", "200", "[]"), item("2", "200", "\"x\"")]),
            ["reply_unreadable"; 3],
        ),
        (
            "damaged bodies",
            batch(&[
                item("0", "200", "{\"id\":\"A\",\"start\":7}"),
                item("1", "200", &event("B", "\"bodyPreview\":\"\u{0}\\ud800\"")),
                item("2", "200", &event("C", "\"x\":1e400")),
            ]),
            ["!Times", "+B", "+C"],
        ),
        (
            "a removed one",
            batch(&[
                item("0", "200", r#"{"id":"A","@removed":{}}"#),
                item("1", "410", "{}"),
                item("2", "403", "\"no\""),
            ]),
            ["missing", "token_lost", "access_denied"],
        ),
        (
            "strangers",
            batch(&[item("17", "200", &a), item("x", "200", &b), "7".into(), "null".into()]),
            ["reply_unreadable"; 3],
        ),
        (
            "throttled inside",
            batch(&[
                item("0", "429", r#"{"error":{"code":"ApplicationThrottled"}}"#),
                item("1", "200", &b),
                item("2", "503", "\"\""),
            ]),
            ["throttled", "+B", "server_error"],
        ),
        ("a portal", json("<html>"), ["captive_portal"; 3]),
        ("throttled", reply("429 X", "retry-after: 5\r\n", ""), ["throttled"; 3]),
        ("a server error", reply("500 X", "", ""), ["server_error"; 3]),
        ("nobody signed in", reply("401 X", "", ""), ["sign_in_needed"; 3]),
        ("cut short", reply("200 OK", "content-length: 5000\r\n", "{"), ["connection_lost"; 3]),
    ];
    for (name, wire, expected) in cases {
        let server = Server::always(wire).await;
        let graph = graph(&server.base, GUARD);
        let asked: Vec<RemoteId> = ["A", "B", "C"].map(RemoteId::new).to_vec();
        assert_eq!(found(&guarded(name, graph.lookup(&work(), &asked)).await), expected, "{name}");
    }
}

#[tokio::test]
async fn a_server_without_batch_is_asked_one_by_one() {
    for refusal in ["400 X", "404 X", "405 X", "501 X"] {
        let server = Server::start(move |request, _| {
            if request.starts_with("POST ") {
                return reply(refusal, "", "");
            }
            let id = request.split("/events/").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
            if id == "gone" { reply("404 X", "", "") } else { json(event(id, "")) }
        })
        .await;
        let graph = graph(&server.base, GUARD);
        let asked: Vec<RemoteId> = ["A", "gone", "C", "D", "E", "F"].map(RemoteId::new).to_vec();
        assert_eq!(found(&graph.lookup(&work(), &asked).await), ["+A", "missing", "+C", "+D", "+E", "+F"]);
        let posts =
            |server: &Server| server.requests().iter().filter(|head| head.starts_with("POST")).count();
        let before = posts(&server);
        assert_eq!(found(&graph.lookup(&work(), &asked).await).len(), 6);
        assert_eq!(posts(&server), before, "asked again for what was refused");
    }
}

#[tokio::test]
async fn an_event_asked_for_by_id_is_that_event_or_a_named_fault() {
    let cases: Vec<(&str, Wire, &str)> = vec![
        ("found", json(event("A", "")), "+A"),
        ("another", json(event("B", "")), "!Id"),
        ("gone", reply("404 X", "", r#"{"error":{"code":"ErrorItemNotFound"}}"#), "missing"),
        (
            "no mailbox",
            reply("404 X", "", r#"{"error":{"code":"MailboxNotEnabledForRESTAPI"}}"#),
            "not_found",
        ),
        ("no times", json(r#"{"id":"A"}"#), "!Times"),
        ("a portal", json("<html>"), "captive_portal"),
        ("an error with 200", json(r#"{"error":{"code":"ErrorItemNotFound"}}"#), "not_found"),
        ("nothing", sized("", ""), "reply_unreadable"),
        ("an array", json("[]"), "reply_unreadable"),
    ];
    for (name, wire, expected) in cases {
        let server = Server::always(wire).await;
        let graph = graph(&server.base, GUARD);
        let one = [guarded(name, graph.master(&work(), &RemoteId::new("A"))).await];
        assert_eq!(found(&one), [expected], "{name}");
        let one = guarded(name, graph.lookup(&work(), &[RemoteId::new("A")])).await;
        assert_eq!(found(&one), [expected], "{name}");
        assert!(
            server.requests()[0].starts_with("GET /v1.0/me/calendars/work%2F%2B%3D/events/A HTTP/1.1\r\n")
        );
    }
}

#[tokio::test]
async fn success_and_failure_in_turn_are_taken_one_by_one() {
    let server = Server::start(|_, nth| {
        if nth % 2 == 0 { reply("500 X", "", "") } else { json(format!(r#"{{"value":[],{DELTA}}}"#)) }
    })
    .await;
    let graph = graph(&server.base, GUARD);
    let mut ends = VecDeque::new();
    for _ in 0..6 {
        ends.push_back(graph.page(&first(&graph), 200).await.map_err(|fault| fault.kind()).is_ok());
    }
    assert_eq!(ends, [false, true, false, true, false, true]);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let server = Server::start(|request, _| {
        if request.contains("Bearer token-0") {
            return reply("401 X", "www-authenticate: Bearer claims=\"eyJhIjoxfQ==\"\r\n", "");
        }
        json(format!(r#"{{"value":[],{DELTA}}}"#))
    })
    .await;
    let graph = graph(&server.base, GUARD);
    assert!(graph.page(&first(&graph), 200).await.is_ok());
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_long_pause_is_told_and_a_short_one_waited_out() {
    let wait = |seconds: u32| {
        move |_: &str, nth: usize| match nth {
            0 => reply("429 X", &format!("retry-after: {seconds}\r\n"), ""),
            _ => json(format!(r#"{{"value":[],{DELTA}}}"#)),
        }
    };
    let server = Server::start(wait(30)).await;
    let short = graph(&server.base, GUARD);
    assert_eq!(short.page(&first(&short), 200).await.unwrap_err().kind(), "throttled");
    assert_eq!(short.throttled_until_ms(), Some(NOW_MS + 30_000));
    assert!(short.page(&first(&short), 200).await.is_ok());
    assert_eq!(short.throttled_until_ms(), None);

    let server = Server::start(wait(31)).await;
    let long = graph(&server.base, GUARD);
    assert_eq!(long.page(&first(&long), 200).await.unwrap_err().kind(), "throttled");
    let fault = long.calendars().await.unwrap_err();
    let Fault::Refused { status: 429, retry_after: Some(left), .. } = fault else { panic!("{fault:?}") };
    assert_eq!(left, Duration::from_secs(31));
    assert_eq!(server.requests().len(), 1, "asked during a pause");

    let restored = graph(&server.base, GUARD);
    restored.pause_until(i64::MAX);
    assert_eq!(restored.throttled_until_ms(), Some(NOW_MS + 3_600_000), "no pause is longer than an hour");
}

#[tokio::test]
async fn texts_are_cleaned_and_cut() {
    let attendee = r#"{"emailAddress":{"name":"B","address":"b@x.test"}}"#;
    let row = event(
        "x",
        &format!(
            r#""body":{{"contentType":"text","content":"a\u0000b\r\n\tc\u001b[2J"}},"location":{{"displayName":"R\u001b[31m1\u009b"}},"bodyPreview":"\u0007","attendees":[{}],"webLink":"javascript:alert(1)","categories":["",null,"Blue"]"#,
            vec![attendee; 1000].join(",")
        ),
    );
    let server = Server::always(json(page_around(&row))).await;
    let graph = graph(&server.base, GUARD);
    let page = graph.page(&first(&graph), 200).await.unwrap();
    let Change::Put(record) = &page.changes[1] else { panic!("not a row") };
    let details = record.details.as_deref().unwrap();
    assert_eq!(details.body.as_deref(), Some("ab\n\tc[2J"));
    assert_eq!(details.location.as_deref(), Some("R[31m1"));
    assert_eq!(details.body_preview, None);
    assert_eq!(details.attendees.len(), 500);
    assert_eq!(details.web_link, None);
    assert_eq!(details.categories, ["Blue"]);
}
