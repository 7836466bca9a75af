//! The door from outside: its stream, its socket, and callers who mean it ill.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::local::House;

/// The longest that something is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of the stream.
struct Listener {
    reader: BufReader<TcpStream>,
    head: String,
    last_id: Option<String>,
}

struct Event {
    name: String,
    data: Value,
}

impl Listener {
    fn open(house: &House, query: &str, last_id: Option<&str>) -> Listener {
        let last = last_id.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let request = format!("GET /v1/stream{query} HTTP/1.1\r\n{}{last}\r\n", credentials(house));
        let mut stream = TcpStream::connect(house.announcement.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        Listener { reader, head: head.to_lowercase(), last_id: None }
    }

    /// The next event; `None` when the stream ended in order.
    fn next(&mut self) -> Option<Event> {
        let (mut name, mut data) = (None, None);
        loop {
            let mut line = String::new();
            assert_ne!(self.reader.read_line(&mut line).unwrap(), 0, "the stream was cut");
            if line == "0\r\n" {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("event", text)) => name = Some(text.to_owned()),
                Some(("data", text)) => data = Some(serde_json::from_str(text).unwrap()),
                Some(("id", text)) => self.last_id = Some(text.to_owned()),
                Some(("retry", _)) | None => {}
                Some(other) => panic!("{other:?}"),
            }
            if let (Some(name), Some(data)) = (&name, &data) {
                return Some(Event { name: String::clone(name), data: Value::clone(data) });
            }
        }
    }

    fn next_named(&mut self, wanted: &str) -> Value {
        loop {
            let event = self.next().unwrap();
            if event.name == wanted {
                return event.data;
            }
        }
    }
}

fn credentials(house: &House) -> String {
    let (address, token) = (house.announcement.address, house.announcement.token.expose());
    format!("host: {address}\r\nauthorization: Bearer {token}\r\n")
}

/// Says bytes, and hears the status and the body.
fn say(house: &House, bytes: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(house.announcement.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    hear(stream)
}

fn hear(mut stream: impl Read) -> (u16, String) {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, body.to_owned())
}

fn request(house: &House, verb: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{verb} {path} HTTP/1.1\r\n{}connection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n",
        credentials(house)
    );
    [head.as_bytes(), body].concat()
}

fn add(house: &House, subject: &str) -> String {
    let body =
        json!({"subject": subject, "start": "2031-03-03T10:00", "end": "2031-03-03T11:00"}).to_string();
    let (status, body) = say(house, &request(house, "POST", "/v1/events", body.as_bytes()));
    assert_eq!(status, 200, "{body}");
    let event: Value = serde_json::from_str(&body).unwrap();
    event["id"].as_str().unwrap().to_owned()
}

fn kind_of(body: &str) -> String {
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}"));
    problem["kind"].as_str().unwrap().to_owned()
}

#[test]
fn a_stream_tells_each_change_and_goes_on_where_a_client_left_it() {
    let house = House::open();
    let mut listener = Listener::open(&house, "", None);
    assert!(
        listener.head.contains("200 ok") && listener.head.contains("text/event-stream"),
        "{}",
        listener.head
    );
    let first = add(&house, "First");
    let change = listener.next_named("change");
    assert_eq!(
        (&change["account"], &change["event"], &change["what"]),
        (&json!("anna"), &json!(first), &json!("put"))
    );
    assert_eq!(change["seq"].to_string(), listener.last_id.clone().unwrap());
    let left_at = listener.last_id.clone().unwrap();
    drop(listener);
    // Away while something happens.
    let second = add(&house, "Second");
    let mut listener = Listener::open(&house, "?account=anna", Some(&left_at));
    let missed = loop {
        let change = listener.next_named("change");
        assert!(change["seq"].as_i64().unwrap() > left_at.parse().unwrap());
        if change["event"] == json!(second) {
            break change;
        }
    };
    assert_eq!(missed["what"], "put");
    // The sync that sends them is told.
    assert_eq!(house.may("POST", "/v1/sync").0, 200);
    let synced = listener.next_named("sync");
    assert_eq!((&synced["event"], &synced["account"]), (&json!("done"), &json!("anna")));
}

#[test]
fn a_client_that_comes_back_from_elsewhere_is_told_to_read_anew() {
    let house = House::open();
    for place in ["0", "9000000000000000"] {
        let mut listener = Listener::open(&house, "", Some(place));
        let gap = listener.next_named("gap");
        assert_eq!(gap["seq"].to_string(), listener.last_id.clone().unwrap(), "{place}");
        let added = add(&house, "After the gap");
        while listener.next_named("change")["event"] != json!(added) {}
    }
    let (status, body) = say(
        &house,
        format!(
            "GET /v1/stream HTTP/1.1\r\n{}connection: close\r\nlast-event-id: -1\r\n\r\n",
            credentials(&house)
        )
        .as_bytes(),
    );
    assert_eq!((status, kind_of(&body)), (400, "usage".to_owned()));
}

#[test]
fn what_another_program_writes_is_told_too() {
    let house = House::open();
    let mut listener = Listener::open(&house, "", None);
    // Told of its own place first, so that it surely listens.
    add(&house, "By the door");
    listener.next_named("change");
    let editor = house.mirrors();
    let call = calmirror::api::Act::read(
        "add",
        "",
        json!({"subject": "Beside", "start": "2031-04-04T10:00", "end": "2031-04-04T11:00"})
            .to_string()
            .as_bytes(),
    );
    editor.act(Some("anna"), &call.unwrap()).unwrap();
    let newest = editor.feed(&editor.account(None).unwrap(), Default::default()).unwrap().unwrap().0;
    while listener.next_named("change")["seq"] != json!(newest) {}
}

#[test]
fn streams_end_in_order_when_the_engine_stops() {
    let house = House::open();
    let mut listener = Listener::open(&house, "", None);
    house.handle.stop();
    while listener.next().is_some() {}
    let mut rest = Vec::new();
    listener.reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"\r\n");
}

#[test]
fn there_is_a_limit_of_streams_and_questions_are_answered_beside_them() {
    let house = House::open();
    let streams: Vec<Listener> = (0..64).map(|_| Listener::open(&house, "", None)).collect();
    assert!(streams.iter().all(|stream| stream.head.contains("200 ok")));
    let (status, problem) = house.may("GET", "/v1/stream");
    assert_eq!((status, &problem["kind"]), (503, &json!("busy")));
    assert_eq!(house.may("GET", "/v1/agenda").0, 200);
}

#[test]
fn whoever_means_it_ill_is_refused_clearly_and_the_door_stays_open() {
    let house = House::open();
    // The token of an engine that ran before.
    let stale = house.ask(
        "GET",
        "/v1/status",
        &[
            ("host", &house.announcement.address.to_string()),
            ("authorization", &format!("Bearer {}", "0".repeat(64))),
        ],
    );
    assert_eq!((stale.status, kind_of(&stale.body)), (401, "no_token".to_owned()));
    let huge = vec![b' '; 100 * 1024 * 1024];
    let long_path = format!("/v1/search?text={}", "x".repeat(20_000));
    type Row<'r> = (&'r str, Vec<u8>, u16, &'r str);
    let rows: Vec<Row<'_>> = vec![
        ("a body of 100 MB", request(&house, "POST", "/v1/events", &huge), 413, "refused"),
        ("invalid UTF-8", request(&house, "POST", "/v1/events", b"{\"subject\":\"\xff\xfe\"}"), 400, "usage"),
        ("no JSON", request(&house, "POST", "/v1/events", b"{"), 400, "usage"),
        ("a list", request(&house, "POST", "/v1/events", b"[]"), 400, "usage"),
        ("deep nesting", request(&house, "POST", "/v1/events", &vec![b'['; 200_000]), 400, "usage"),
        ("an unknown member", request(&house, "POST", "/v1/events", b"{\"bogus\":1}"), 400, "usage"),
        ("an unknown address", request(&house, "GET", "/v1/nothing", b""), 404, "not_found"),
        ("an unknown version", request(&house, "GET", "/v2/agenda", b""), 404, "not_found"),
        ("a way out", request(&house, "GET", "/v1/events/..%2f..%2fetc%2fpasswd", b""), 404, "not_found"),
        ("an id that is no text", request(&house, "GET", "/v1/events/%ff%fe", b""), 400, "usage"),
        ("a zero", request(&house, "GET", "/v1/search?text=%00", b""), 200, ""),
        ("a long query", request(&house, "GET", &long_path, b""), 400, "usage"),
        ("an unknown method", request(&house, "BREW", "/v1/status", b""), 405, "usage"),
        ("another method", request(&house, "DELETE", "/v1/status", b""), 405, "usage"),
    ];
    for (name, bytes, status, kind) in rows {
        let (found, body) = say(&house, &bytes);
        assert_eq!(found, status, "{name}: {body}");
        if !kind.is_empty() {
            assert_eq!(kind_of(&body), kind, "{name}");
        }
    }
    // One that asks before it sends is refused before it does.
    let asks = format!(
        "POST /v1/events HTTP/1.1\r\n{}expect: 100-continue\r\ncontent-length: 104857600\r\n\r\n",
        credentials(&house)
    );
    let mut stream = BufReader::new(TcpStream::connect(house.announcement.address).unwrap());
    stream.get_mut().write_all(asks.as_bytes()).unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 413"), "{line}");
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\nxyz\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(house.announcement.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(garbage).unwrap();
        // Answered 400 or closed; a reset is as good.
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        assert!(
            bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 400"),
            "{}",
            String::from_utf8_lossy(&bytes)
        );
    }
    assert_eq!(house.may("GET", "/v1/status").0, 200);
}

#[test]
fn a_head_that_never_ends_is_given_up_and_holds_nobody_up() {
    let house = House::open();
    // As many as may come in at all, less one.
    let slow: Vec<TcpStream> = (0..127)
        .map(|_| {
            let mut stream = TcpStream::connect(house.announcement.address).unwrap();
            stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: 127").unwrap();
            stream
        })
        .collect();
    assert_eq!(house.may("GET", "/v1/status").0, 200);
    for mut stream in slow {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_process_of_the_same_user_needs_no_token_at_the_socket() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;
    let house = House::open();
    let path = house.announcement.socket.clone().unwrap();
    assert_eq!(path, house._dir.path().join("engine.sock"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for (host, more, status) in [
        ("localhost", "", 200),
        ("127.0.0.1:80", "", 200),
        ("evil.example", "", 421),
        ("localhost", "origin: http://localhost\r\n", 403),
    ] {
        let mut stream = UnixStream::connect(&path).unwrap();
        let request = format!("GET /v1/agenda HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(hear(stream).0, status, "{host} {more}");
    }
    drop(house);
    assert!(!path.exists());
}
