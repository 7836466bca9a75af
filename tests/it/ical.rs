//! Calendars in iCalendar as the source of an account: files, folders, and addresses over loopback HTTP.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use calmirror::config::Config;
use calmirror::engine::{Accept, Edges, Engine, SyncOrder, SyncReport, Weather};
use calmirror::http::HttpClient;
use calmirror::mirror::Reader;
use calmirror::model::{DAY_MS, EventView, Window};
use calmirror::ports::Clock;
use calmirror::sim::{SeededEntropy, VirtualClock};
use calmirror::vault::NoKeyring;
use serde_json::json;

use crate::stage::Place;

/// Monday 2 March 2026, 08:00 UTC.
const NOW_MS: i64 = 1_772_438_400_000;

/// What the server of one calendar has and was asked.
#[derive(Default)]
struct Served {
    body: Vec<u8>,
    etag: Option<String>,
    status: u16,
    is_gzip: bool,
    asked: Vec<String>,
    answered: Vec<u16>,
}

/// A server of one calendar, as a web server publishes a file.
struct Server {
    url: String,
    served: Arc<Mutex<Served>>,
}

impl Server {
    fn new(body: &str) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/secret-token/team.ics", listener.local_addr().unwrap());
        let served = Served { body: body.as_bytes().to_vec(), status: 200, ..Served::default() };
        let served = Arc::new(Mutex::new(served));
        let shared = served.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &shared);
            }
        });
        Server { url, served }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Served) -> T) -> T {
        change(&mut self.served.lock().unwrap())
    }

    fn serve(&self, body: &str) {
        self.with(|served| served.body = body.as_bytes().to_vec());
    }
}

fn answer(mut stream: TcpStream, served: &Mutex<Served>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let mut served = served.lock().unwrap();
    let is_known =
        served.etag.as_ref().is_some_and(|etag| head.contains(&format!("if-none-match: {etag}\r\n")));
    let (status, body) = match (is_known, served.status) {
        (true, 200) => (304, Vec::new()),
        (_, 200) => (200, served.body.clone()),
        (_, status) => (status, Vec::new()),
    };
    let body = if served.is_gzip && status == 200 { gzip(&body) } else { body };
    let mut reply =
        format!("HTTP/1.1 {status} X\r\ncontent-type: text/calendar; charset=utf-8\r\nconnection: close\r\n");
    if let Some(etag) = &served.etag {
        reply.push_str(&format!("etag: {etag}\r\n"));
    }
    if served.is_gzip && status == 200 {
        reply.push_str("content-encoding: gzip\r\n");
    }
    if status != 304 {
        reply.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    reply.push_str("\r\n");
    served.asked.push(head);
    served.answered.push(status);
    drop(served);
    // A client that has read enough goes before the end.
    let _gone = stream.write_all(reply.as_bytes()).and_then(|()| stream.write_all(&body));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

struct House {
    clock: Arc<VirtualClock>,
    dir: tempfile::TempDir,
    place: String,
}

impl House {
    fn new(place: &str) -> House {
        let clock = Arc::new(VirtualClock::at(NOW_MS));
        House { clock, dir: tempfile::tempdir().unwrap(), place: place.to_owned() }
    }

    fn at(server: &Server) -> House {
        House::new(&format!("url = \"{}\"", server.url))
    }

    fn of(path: &Path) -> House {
        House::new(&format!("path = '{}'", path.display()))
    }

    fn open(&self) -> Engine {
        let text = format!(
            "[presence]\ntime_zone = \"Europe/Berlin\"\n[[account]]\nname = \"anna\"\nsource = \"icalendar\"\n{}\n",
            self.place
        );
        let edges = Edges {
            http: HttpClient::new().unwrap(),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::from_seed(3)),
            keyring: Arc::new(NoKeyring),
        };
        Engine::open(Config::parse(&text).unwrap(), self.dir.path(), edges).unwrap()
    }

    fn sync(&self) -> SyncReport {
        self.open().sync("anna", &SyncOrder::default(), &mut |_| {}).unwrap()
    }

    fn shown(&self) -> Vec<EventView> {
        let now_ms = self.clock.now_ms();
        let reader = Reader::open(&self.dir.path().join("anna/mirror.db")).unwrap();
        let window = Window { from_ms: now_ms - 30 * DAY_MS, to_ms: now_ms + 60 * DAY_MS };
        reader.overlapping(window, &[]).unwrap()
    }

    fn subjects(&self) -> Vec<String> {
        let mut subjects: Vec<String> =
            self.shown().into_iter().map(|event| event.details.subject.unwrap_or_default()).collect();
        subjects.sort();
        subjects
    }
}

/// A calendar of events at ten on the days of March, each with its subject.
fn calendar(events: &[(&str, u32)]) -> String {
    let mut text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nX-WR-CALNAME:Team\r\n".to_owned();
    for (subject, day) in events {
        text.push_str(&format!(
            "BEGIN:VEVENT\r\nUID:{subject}\r\nDTSTART:202603{day:02}T100000Z\r\nDTEND:202603{day:02}T110000Z\r\nSUMMARY:{subject}\r\nEND:VEVENT\r\n"
        ));
    }
    text.push_str("END:VCALENDAR\r\n");
    text
}

/// `count` events, one a day.
fn many(count: u32) -> String {
    let names: Vec<(String, u32)> = (0..count).map(|n| (format!("event {n}"), n % 28 + 1)).collect();
    calendar(&names.iter().map(|(name, day)| (name.as_str(), *day)).collect::<Vec<_>>())
}

fn numbers(report: &SyncReport) -> (u64, u64) {
    assert_eq!(report.weather, None);
    (report.done.upserted, report.done.removed)
}

#[test]
fn a_published_calendar_comes_down_and_changes_come_row_by_row() {
    let server = Server::new(&calendar(&[("one", 3), ("two", 4), ("three", 5)]));
    let house = House::at(&server);
    assert_eq!(numbers(&house.sync()), (3, 0));
    server.serve(&calendar(&[("one", 3), ("two", 9), ("four", 6)]));
    assert_eq!(numbers(&house.sync()), (2, 1));
    assert_eq!(house.subjects(), ["four", "one", "two"]);
    assert_eq!(numbers(&house.sync()), (0, 0));
}

#[test]
fn an_unchanged_calendar_is_not_sent_again_where_the_server_knows_its_version() {
    let server = Server::new(&calendar(&[("one", 3)]));
    server.with(|served| served.etag = Some("\"v1\"".to_owned()));
    let house = House::at(&server);
    house.sync();
    assert_eq!(server.with(|served| std::mem::take(&mut served.answered)), [200]);
    assert_eq!(numbers(&house.sync()), (0, 0));
    assert_eq!(server.with(|served| std::mem::take(&mut served.answered)), [304]);
    // Another version with the same content: read, and nothing is written.
    server.with(|served| served.etag = Some("\"v2\"".to_owned()));
    assert_eq!(numbers(&house.sync()), (0, 0));
}

#[test]
fn a_calendar_that_was_cut_off_never_empties_the_mirror() {
    let whole = calendar(&[("one", 3), ("two", 4)]);
    let server = Server::new(&whole);
    let house = House::at(&server);
    house.sync();
    let last = whole.len() - "END:VCALENDAR\r\n".len();
    for cut in [0, 16, whole.len() / 2, last] {
        server.serve(&whole[..cut]);
        let report = house.sync();
        assert_eq!(report.weather, Some(Weather::Unreachable("reply_unreadable")), "{cut}");
        assert_eq!(house.subjects(), ["one", "two"], "{cut}");
    }
    server.serve(&whole);
    assert_eq!(numbers(&house.sync()), (0, 0));
}

#[test]
fn a_server_that_refuses_or_shows_a_page_changes_nothing() {
    let server = Server::new(&calendar(&[("one", 3)]));
    let house = House::at(&server);
    house.sync();
    for (status, kind) in
        [(404, "not_found"), (410, "not_found"), (403, "access_denied"), (401, "access_denied")]
    {
        server.with(|served| served.status = status);
        assert_eq!(house.sync().weather, Some(Weather::Unreachable(kind)), "{status}");
        assert_eq!(house.subjects(), ["one"]);
    }
    server.with(|served| served.status = 200);
    server.serve("<!DOCTYPE html><title>Sign in to the network</title>");
    assert_eq!(house.sync().weather, Some(Weather::Unreachable("captive_portal")));
    server.serve(&calendar(&[("one", 3), ("two", 4)]));
    assert_eq!(numbers(&house.sync()), (1, 0));
}

#[test]
fn a_calendar_that_lost_most_of_its_events_is_held_until_somebody_agrees() {
    let server = Server::new(&many(60));
    let house = House::at(&server);
    assert_eq!(numbers(&house.sync()), (60, 0));
    server.serve(&many(5));
    let report = house.sync();
    assert_eq!((report.done.removed, report.done.held_removals), (0, 55));
    assert_eq!(house.subjects().len(), 60);
    let order = SyncOrder { accept_removals: Accept::All, ..SyncOrder::default() };
    let report = house.open().sync("anna", &order, &mut |_| {}).unwrap();
    assert_eq!(report.done.removed, 55);
    assert_eq!(house.subjects().len(), 5);
}

#[test]
fn compressed_calendars_are_read_and_bombs_are_not() {
    let server = Server::new(&calendar(&[("one", 3)]));
    server.with(|served| served.is_gzip = true);
    let house = House::at(&server);
    assert_eq!(numbers(&house.sync()), (1, 0));
    let bomb = vec![b' '; calmirror::source::ical::FILE_BYTES_MAX + 1024];
    server.with(|served| served.body = bomb);
    assert_eq!(house.sync().weather, Some(Weather::Unreachable("refused")));
    assert_eq!(house.subjects(), ["one"]);
}

#[test]
fn every_file_of_a_folder_is_a_calendar() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("team.ics", &calendar(&[("one", 3)]));
    write("Other.ICS", &calendar(&[("one", 3), ("two", 4)]));
    write("notes.txt", "no calendar");
    let house = House::of(folder.path());
    // The same UID in two calendars is two events.
    assert_eq!(numbers(&house.sync()), (3, 0));
    write("broken.ics", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT");
    let report = house.sync();
    assert_eq!((report.done.calendars, report.done.failed), (2, 1));
    std::fs::remove_file(folder.path().join("broken.ics")).unwrap();
    std::fs::remove_file(folder.path().join("team.ics")).unwrap();
    assert_eq!(numbers(&house.sync()), (0, 1));
    assert_eq!(house.subjects(), ["one", "two"]);
    // A folder that is not mounted is empty: no word that everything was deleted.
    std::fs::remove_file(folder.path().join("Other.ICS")).unwrap();
    assert_eq!(house.sync().weather, Some(Weather::Unreachable("not_found")));
    assert_eq!(house.subjects(), ["one", "two"]);
}

#[test]
fn a_series_is_a_series_and_keeps_its_ids_when_it_changes() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ical/google.ics");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calendar.ics");
    let text = std::fs::read_to_string(fixture).unwrap();
    std::fs::write(&file, &text).unwrap();
    let house = House::of(&file);
    house.sync();
    let before = house.shown();
    assert!(before.len() > 30);
    assert!(before.iter().all(|event| event.series.is_some() && event.details.subject.is_some()));
    std::fs::write(&file, text.replace("SUMMARY:Standup\r", "SUMMARY:Daily\r")).unwrap();
    house.sync();
    let after = house.shown();
    let ids = |views: &[EventView]| views.iter().map(|view| view.key).collect::<Vec<_>>();
    assert_eq!(ids(&before), ids(&after));
    let renamed = after.iter().filter(|event| event.details.subject.as_deref() == Some("Daily")).count();
    assert_eq!(renamed, after.len() - 1);
    // The series ends earlier: what came after it goes.
    std::fs::write(
        &file,
        text.replace("BYDAY=MO,TU,WE,TH,FR", "BYDAY=MO,TU,WE,TH,FR;UNTIL=20260415T235959Z"),
    )
    .unwrap();
    // They are most of the calendar.
    let order = SyncOrder { accept_removals: Accept::All, ..SyncOrder::default() };
    house.open().sync("anna", &order, &mut |_| {}).unwrap();
    assert_eq!(house.shown().len(), 32);
}

#[test]
fn the_program_syncs_asks_and_refuses_edits() {
    let place = Place::new("");
    let day = (chrono::Utc::now() + chrono::TimeDelta::days(1)).format("%Y%m%d").to_string();
    let event = format!(
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:u\nDTSTART:{day}T100000Z\nDTEND:{day}T110000Z\nSUMMARY:Review\nEND:VEVENT\nEND:VCALENDAR\n"
    );
    std::fs::write(place.dir.path().join("team.ics"), event).unwrap();
    let config = "[[account]]\nname = \"anna\"\nsource = \"icalendar\"\npath = \"team.ics\"\n";
    std::fs::write(place.config_path(), config).unwrap();
    let done = place.run(&["sync", "--json"]).ended(0).json_lines();
    assert_eq!(done.last().unwrap()["upserted"], 1);
    let agenda = place.run(&["agenda", "--days", "3", "--json"]).ended(0).json();
    assert_eq!(agenda["fresh"], true);
    let event = &agenda["items"][0];
    assert_eq!((&event["subject"], &event["ical_uid"]), (&json!("Review"), &json!("u")));
    assert_eq!(event["source"], "icalendar");
    let id = event["id"].as_str().unwrap();
    for arguments in [
        &["edit", id, "--subject", "other"][..],
        &["rm", id],
        &["respond", id, "accept"],
        &["add", "--subject", "new", "--start", "2026-03-10T10:00", "--end", "2026-03-10T11:00"],
    ] {
        let ran = place.run(arguments).ended(5);
        assert!(ran.stderr.contains("calendar"), "{}", ran.stderr);
    }
    let status = place.run(&["status", "--json"]).ended(0).json();
    let account = &status["accounts"][0];
    assert_eq!((&account["source"], &account["network"]), (&json!("icalendar"), &json!("online")));
    assert_eq!(account["calendars"][0]["name"], "team");
    place.run(&["login"]).ended(2);
    place.run(&["doctor"]).ended(0);
    let shown = place.run(&["config", "show"]).ended(0).stdout;
    assert!(shown.contains("team.ics"), "{shown}");
}

#[test]
fn a_place_is_needed_and_its_secrets_are_not_repeated() {
    let refused = |lines: &str| {
        let text = format!("[[account]]\nname = \"anna\"\nsource = \"icalendar\"\n{lines}\n");
        let problems = Config::parse(&text).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(refused("").contains("add `path`"));
    assert!(refused("path = \"a\"\nurl = \"https://b\"").contains("there is one place"));
    for url in ["http://contoso.example/secret.ics", "file:///secret", "https://anna:secret@contoso.example/"]
    {
        let text = refused(&format!("url = \"{url}\""));
        assert!(text.contains("must be an address") && !text.contains("secret"), "{text}");
    }
    let config =
        Config::parse("[[account]]\nname = \"anna\"\nsource = \"icalendar\"\nurl = \"webcal://contoso.example/secret.ics\"\n")
            .unwrap();
    let effective = config.resolve("anna").unwrap();
    let shown = serde_json::to_string(&effective.shown()).unwrap();
    assert!(shown.contains("https://contoso.example/…") && !shown.contains("secret"));
    let graph = "[[account]]\nname = \"anna\"\npath = \"a\"\n[[graph_app]]\ndisplay_name=\"a\"\napplication_id=\"00000000-0000-0000-0000-000000000000\"\ndirectory_id=\"contoso.example\"\n";
    assert!(Config::parse(graph).unwrap_err()[0].to_string().contains("icalendar"));
}

#[test]
fn what_is_exported_is_read_again_as_the_same_events() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ical");
    let place = Place::new("");
    let folder = place.dir.path().join("in");
    std::fs::create_dir(&folder).unwrap();
    for name in ["outlook.ics", "notes.ics", "google.ics", "apple.ics"] {
        std::fs::copy(fixtures.join(name), folder.join(name)).unwrap();
    }
    // The fixtures are of 2026, whenever this runs.
    let config = |path: &str| {
        format!(
            "[[account]]\nname = \"anna\"\nuser = \"anna@contoso.com\"\nsource = \"icalendar\"\npath = \"{path}\"\nwindow = {{ past = \"900d\", future = \"900d\" }}\n[presence]\ntime_zone = \"Europe/Berlin\"\n"
        )
    };
    let all = ["agenda", "--from", "2026-03-01", "--to", "2026-05-01", "--json"];
    std::fs::write(place.config_path(), config("in")).unwrap();
    place.run(&["sync"]).ended(0);
    let before = place.run(&all).ended(0).json();
    let exported = place.run(&["export", "--from", "2026-03-01", "--to", "2026-05-01"]).ended(0).stdout;
    assert!(
        exported.starts_with("BEGIN:VCALENDAR\r\n") && exported.ends_with("END:VCALENDAR\r\n"),
        "{exported}"
    );
    assert!(exported.lines().all(|line| line.len() <= 76), "folded");
    std::fs::write(place.dir.path().join("out.ics"), &exported).unwrap();

    let again = Place::new(&config("out.ics"));
    std::fs::write(again.dir.path().join("out.ics"), &exported).unwrap();
    again.run(&["sync"]).ended(0);
    let after = again.run(&all).ended(0).json();
    let (before, after) = (before["items"].as_array().unwrap(), after["items"].as_array().unwrap());
    assert!(before.len() > 40, "{}", before.len());
    let said = |events: &[serde_json::Value]| {
        let fields = [
            "subject",
            "body_preview",
            "location",
            "start",
            "end",
            "all_day",
            "start_date",
            "end_date",
            "show_as",
            "sensitivity",
            "importance",
            "response",
            "cancelled",
            "organizer",
            "attendees",
            "categories",
            "reminder_minutes",
            "online_meeting",
            "web_link",
        ];
        let mut said: Vec<String> = events
            .iter()
            .map(|event| fields.iter().map(|field| format!("{field}={} ", event[field])).collect())
            .collect();
        said.sort();
        said
    };
    for (before, after) in said(before).iter().zip(&said(after)) {
        assert_eq!(before, after);
    }
    assert_eq!(before.len(), after.len());
    let one = place.run(&["export", "--calendar", "Kalender"]).ended(0).stdout;
    assert!(
        one.contains("X-WR-CALNAME:Kalender") && one.contains("CLASS:PRIVATE") && one.contains("Besprechung")
    );
    assert_eq!(one.matches("BEGIN:VEVENT").count(), 2);
    place.run(&["export", "--calendar", "nowhere"]).ended(5);
}
