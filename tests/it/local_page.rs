//! The page's door: the link that signs a browser in, its cookie, and the files.

use serde_json::Value;

use crate::local::House;
use crate::stage::HttpReply;

/// A browser at a house: it shows the cookie that it was given.
struct Browser<'h> {
    house: &'h House,
    host: String,
    origin: String,
    cookie: String,
}

impl<'h> Browser<'h> {
    fn new(house: &'h House) -> Browser<'h> {
        let host = house.announcement.address.to_string();
        Browser { house, origin: format!("http://{host}"), host, cookie: String::new() }
    }

    fn ask(&self, verb: &str, path: &str, more: &[(&str, &str)]) -> HttpReply {
        let mut headers = vec![("host", self.host.as_str()), ("content-length", "0")];
        if !self.cookie.is_empty() {
            headers.push(("cookie", &self.cookie));
        }
        headers.extend(more);
        self.house.ask(verb, path, &headers)
    }

    /// Follows a link that the house printed.
    fn follow(&mut self, link: &str) -> HttpReply {
        let path = link.strip_prefix(&self.origin).unwrap();
        let reply = self.ask("GET", path, &[]);
        if let Some(cookie) = reply.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")) {
            assert!(cookie.contains("; httponly; samesite=strict; path=/"), "{cookie}");
            self.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        reply
    }

    fn kind_of(&self, verb: &str, path: &str, more: &[(&str, &str)]) -> (u16, Value) {
        let reply = self.ask(verb, path, more);
        let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        (reply.status, body["kind"].clone())
    }
}

#[test]
fn a_link_signs_one_browser_in_once() {
    let house = House::open();
    let (_, answer) = house.may("POST", "/v1/page/link");
    let link = answer["link"].as_str().unwrap();

    let mut browser = Browser::new(&house);
    assert_eq!(browser.kind_of("GET", "/v1/status", &[]), (401, "no_token".into()));
    let closed = browser.ask("GET", "/", &[]);
    assert_eq!(closed.status, 401);
    assert!(closed.body.contains("calmirror serve --link"), "it says how to get in");

    assert_eq!(browser.follow(link).status, 200);
    assert!(browser.ask("GET", "/", &[]).body.contains("id=\"agenda\""));
    let status = browser.ask("GET", "/v1/status", &[]);
    assert_eq!(status.status, 200);
    assert!(serde_json::from_str::<Value>(&status.body).unwrap()["accounts"].is_array());

    // Whoever finds the link in a history is not let in; who is in already goes on.
    let mut late = Browser::new(&house);
    assert_eq!(late.follow(link).status, 401);
    assert_eq!(late.cookie, "");
    assert_eq!(browser.follow(link).status, 200);
    assert_eq!(browser.ask("GET", "/?code=guessed", &[]).status, 200);
    assert_eq!(late.ask("GET", "/?code=guessed", &[]).status, 401);
}

#[test]
fn with_a_cookie_only_our_own_page_acts() {
    let house = House::open();
    let link = house.link();
    let mut browser = Browser::new(&house);
    browser.follow(&link);
    let origin = browser.origin.clone();
    let ours = ("origin", origin.as_str());
    assert_eq!(browser.ask("POST", "/v1/outbox", &[ours]).status, 202);
    for (name, headers) in [
        ("says not whose it is", vec![]),
        ("is another site's", vec![("origin", "https://evil.example")]),
        ("is another port's", vec![("origin", "http://127.0.0.1:1")]),
        ("is a frame's", vec![("origin", "null")]),
        ("is a neighbour's that says ours", vec![ours, ("sec-fetch-site", "same-site")]),
    ] {
        assert_eq!(browser.kind_of("POST", "/v1/outbox", &headers), (403, "foreign_origin".into()), "{name}");
        let deletion = browser.kind_of("DELETE", "/v1/presence/override", &headers);
        assert_eq!(deletion, (403, "foreign_origin".into()), "{name}");
    }
    assert_eq!(browser.kind_of("GET", "/v1/status", &[("sec-fetch-site", "cross-site")]).0, 403);
    browser.cookie = browser.cookie.replace('=', "=0");
    assert_eq!(browser.kind_of("POST", "/v1/outbox", &[ours]), (401, "no_token".into()));
}

#[test]
fn every_file_of_the_page_is_served_strictly_and_asks_nobody_else() {
    let house = House::open();
    let link = house.link();
    let mut browser = Browser::new(&house);
    browser.follow(&link);
    let page = browser.ask("GET", "/", &[]);
    let mut waiting: Vec<String> = files_in(&page.body);
    let mut seen = Vec::new();
    let mut texts = vec![page];
    while let Some(path) = waiting.pop() {
        if seen.contains(&path) {
            continue;
        }
        let reply = browser.ask("GET", &path, &[]);
        assert_eq!(reply.status, 200, "{path}");
        waiting.extend(files_in(&reply.body));
        seen.push(path);
        texts.push(reply);
    }
    assert!(seen.len() > 8, "{seen:?}");
    for reply in &texts {
        for header in [
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "x-frame-options: deny",
            "cache-control: no-store",
            "frame-ancestors 'none'",
            "default-src 'none'",
        ] {
            assert!(reply.head.contains(header), "{header}: {}", reply.head);
        }
        assert!(!reply.head.contains("unsafe-"), "{}", reply.head);
        let allowed = reply.body.replace("http://www.w3.org/2000/svg", "");
        for part in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "//www", "://"]
        {
            assert!(!allowed.contains(part), "{part}");
        }
        assert!(!reply.body.contains("<script>") && !reply.body.contains(" style="));
    }
    assert_eq!(browser.ask("POST", "/page/page.css", &[("origin", &browser.origin)]).status, 405);
    assert_eq!(browser.ask("GET", "/page/nothing.js", &[]).status, 404);
    assert_eq!(house.ask("GET", "/page/page.css", &[("host", "evil.example")]).status, 421);
}

/// The page's files that a text names.
fn files_in(text: &str) -> Vec<String> {
    let named = text.split(['"', '\'']);
    let files = named.filter_map(|part| match part.strip_prefix("./") {
        Some(name) if name.ends_with(".js") => Some(format!("/page/{name}")),
        Some(_) => None,
        None => part.starts_with("/page/").then(|| part.to_owned()),
    });
    files.collect()
}
