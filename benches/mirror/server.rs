//! A loopback HTTP/1.1 server that hands out replies rendered beforehand: one write a request, one thread a
//! connection, no work in between. It counts what it is asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::data::{CALENDAR_ID, Mailbox, PAGE_ROWS};

/// One reply in both encodings, head included.
struct Rendered {
    plain: Vec<u8>,
    gzip: Vec<u8>,
}

impl Rendered {
    fn new(body: &str) -> Rendered {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body.as_bytes()).unwrap();
        let packed = encoder.finish().unwrap();
        Rendered {
            plain: reply(200, "", body.as_bytes()),
            gzip: reply(200, "content-encoding: gzip\r\n", &packed),
        }
    }
}

fn reply(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json;odata.metadata=minimal;charset=utf-8\r\npreference-applied: odata.track-changes\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}

/// The replies of one mailbox and the counters of its server.
struct Shelf {
    calendars: Rendered,
    preview: Rendered,
    pages: Vec<Rendered>,
    quiet: Rendered,
    changed: Vec<Rendered>,
    masters: BTreeMap<String, String>,
    is_gzip: AtomicBool,
    has_changes: AtomicBool,
    next_change: AtomicUsize,
    deltas: AtomicU64,
    others: AtomicU64,
    bytes: AtomicU64,
    /// Requests nothing was prepared for.
    unknown: Mutex<Vec<String>>,
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    /// Inflated bytes of all pages.
    pub page_bytes: usize,
    /// Gzipped bytes of all pages.
    pub packed_bytes: usize,
}

impl Server {
    /// Renders the mailbox and serves it until the process ends.
    pub fn start(mailbox: Mailbox) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let base = format!("http://{address}/v1.0/me/calendars/{CALENDAR_ID}/calendarView/delta");
        let context = format!(r#""@odata.context":"http://{address}/v1.0/$metadata#Collection(event)""#);
        let quiet_link = format!(r#""@odata.deltaLink":"{base}?$deltatoken=quiet""#);
        let bodies: Vec<String> = {
            let chunks: Vec<&[String]> = mailbox.rows.chunks(PAGE_ROWS).collect();
            chunks
                .iter()
                .enumerate()
                .map(|(number, rows)| {
                    let link = if number + 1 == chunks.len() {
                        quiet_link.clone()
                    } else {
                        format!(r#""@odata.nextLink":"{base}?$skiptoken={}""#, number + 1)
                    };
                    format!("{{{context},{link},\"value\":[{}]}}", rows.join(","))
                })
                .collect()
        };
        let page_bytes = bodies.iter().map(String::len).sum();
        let pages = render(&bodies);
        let packed_bytes = pages.iter().map(|p| p.gzip.len()).sum();
        let changed: Vec<String> = mailbox
            .changed
            .iter()
            .map(|rows| format!("{{{context},{quiet_link},\"value\":[{}]}}", rows.join(",")))
            .collect();
        let shelf = Arc::new(Shelf {
            calendars: Rendered::new(&format!(
                r#"{{"value":[{{"id":"{CALENDAR_ID}","name":"Calendar","color":"auto","hexColor":"","isDefaultCalendar":true,"changeKey":"5c7r","canShare":true,"canViewPrivateItems":true,"canEdit":true,"allowedOnlineMeetingProviders":["teamsForBusiness"],"defaultOnlineMeetingProvider":"teamsForBusiness","isTallyingResponses":true,"isRemovable":false,"owner":{{"name":"Anna Müller","address":"anna@contoso.example"}}}}]}}"#
            )),
            preview: Rendered::new(&format!(r#"{{{context},"value":[]}}"#)),
            pages,
            quiet: Rendered::new(&format!(r#"{{{context},{quiet_link},"value":[]}}"#)),
            changed: render(&changed),
            masters: mailbox.masters,
            is_gzip: AtomicBool::new(false),
            has_changes: AtomicBool::new(false),
            next_change: AtomicUsize::new(0),
            deltas: AtomicU64::new(0),
            others: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            unknown: Mutex::new(Vec::new()),
        });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shelf = Arc::clone(&shelf);
                std::thread::spawn(move || {
                    // A connection that breaks is the client's affair.
                    let _ = serve(&shelf, &stream);
                });
            }
        });
        Server { address, page_bytes, packed_bytes }
    }
}

/// Renders on both cores.
fn render(bodies: &[String]) -> Vec<Rendered> {
    let half = bodies.len().div_ceil(2);
    let (front, back) = bodies.split_at(half.min(bodies.len()));
    std::thread::scope(|scope| {
        let back = scope.spawn(|| back.iter().map(|b| Rendered::new(b)).collect::<Vec<_>>());
        let mut all: Vec<Rendered> = front.iter().map(|b| Rendered::new(b)).collect();
        all.extend(back.join().unwrap());
        all
    })
}

fn serve(shelf: &Shelf, stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut out = stream;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_ascii_whitespace();
        let (method, target) =
            (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let mut length = 0;
        let mut takes_gzip = false;
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':') {
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap_or(0);
                } else if name.eq_ignore_ascii_case("accept-encoding") {
                    takes_gzip = value.contains("gzip");
                }
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let takes_gzip = takes_gzip && shelf.is_gzip.load(Ordering::Relaxed);
        let answer = shelf.answer(&method, &target, &body);
        let bytes = match &answer {
            Answer::Shelved(rendered) if takes_gzip => &rendered.gzip,
            Answer::Shelved(rendered) => &rendered.plain,
            Answer::Made(bytes) => bytes,
        };
        shelf.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        out.write_all(bytes)?;
    }
}

enum Answer<'s> {
    Shelved(&'s Rendered),
    Made(Vec<u8>),
}

impl Shelf {
    fn answer(&self, method: &str, target: &str, body: &[u8]) -> Answer<'_> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if let Some(order) = path.strip_prefix("/control/") {
            return Answer::Made(reply(200, "", self.control(order).as_bytes()));
        }
        if path.ends_with("/calendarView/delta") {
            self.deltas.fetch_add(1, Ordering::Relaxed);
            if let Some((_, page)) = query.split_once("skiptoken=") {
                return match page.parse().ok().and_then(|n: usize| self.pages.get(n)) {
                    Some(page) => Answer::Shelved(page),
                    None => self.missing(method, target),
                };
            }
            if !query.contains("deltatoken=") {
                return Answer::Shelved(&self.pages[0]);
            }
            if self.has_changes.load(Ordering::Relaxed) {
                let next = self.next_change.fetch_add(1, Ordering::Relaxed);
                return Answer::Shelved(&self.changed[next % self.changed.len()]);
            }
            return Answer::Shelved(&self.quiet);
        }
        self.others.fetch_add(1, Ordering::Relaxed);
        if path == "/v1.0/me" {
            let who =
                br#"{"id":"8f1d","userPrincipalName":"anna@contoso.example","mail":"anna@contoso.example"}"#;
            Answer::Made(reply(200, "", who))
        } else if path == "/v1.0/me/calendars" {
            Answer::Shelved(&self.calendars)
        } else if path.ends_with("/calendarView") {
            Answer::Shelved(&self.preview)
        } else if path == "/v1.0/$batch" {
            Answer::Made(reply(200, "", self.batch(body).as_bytes()))
        } else {
            match self.master(path) {
                Some(master) => Answer::Made(reply(200, "", master.as_bytes())),
                None => self.missing(method, target),
            }
        }
    }

    fn master(&self, path: &str) -> Option<&String> {
        let (_, id) = path.rsplit_once("/events/")?;
        self.masters.get(&id.replace("%3D", "="))
    }

    fn missing(&self, method: &str, target: &str) -> Answer<'_> {
        self.unknown.lock().unwrap().push(format!("{method} {target}"));
        Answer::Made(reply(404, "", br#"{"error":{"code":"ErrorItemNotFound","message":"not here"}}"#))
    }

    fn batch(&self, body: &[u8]) -> String {
        let asked: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let answers: Vec<String> = asked["requests"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .map(|request| {
                let url = request["url"].as_str().unwrap_or_default();
                let path = url.split('?').next().unwrap_or_default();
                match self.master(path) {
                    Some(master) => format!(r#"{{"id":{},"status":200,"body":{master}}}"#, request["id"]),
                    None => format!(
                        r#"{{"id":{},"status":404,"body":{{"error":{{"code":"ErrorItemNotFound"}}}}}}"#,
                        request["id"]
                    ),
                }
            })
            .collect();
        format!(r#"{{"responses":[{}]}}"#, answers.join(","))
    }

    /// Not counted: sets what is served, and tells what was asked.
    fn control(&self, order: &str) -> String {
        match order {
            "plain" | "gzip" => self.is_gzip.store(order == "gzip", Ordering::Relaxed),
            "quiet" | "changes" => self.has_changes.store(order == "changes", Ordering::Relaxed),
            _ => {}
        }
        serde_json::json!({
            "deltas": self.deltas.swap(0, Ordering::Relaxed),
            "others": self.others.swap(0, Ordering::Relaxed),
            "bytes": self.bytes.swap(0, Ordering::Relaxed),
            "unknown": std::mem::take(&mut *self.unknown.lock().unwrap()),
        })
        .to_string()
    }
}

/// What a server was asked since the last time.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Asked {
    pub deltas: u64,
    pub others: u64,
    pub bytes: u64,
    pub unknown: Vec<String>,
}

/// Sends an order to a server over a connection of its own.
pub fn control(address: SocketAddr, order: &str) -> Asked {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /control/{order} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        if line.trim_end().is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}
