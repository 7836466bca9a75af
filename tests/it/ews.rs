//! Exchange on premises: the client of EWS against the emulator's face of it, over real sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use calmirror::emulator::{
    EWS_PASSWORD, EWS_SERVICE_ACCOUNT, Edit, InstanceKind, Options, Quirks, RequestKind, Rule, Running,
    Seeding, Source, What, World, serve,
};
use calmirror::flow::pull::{PullOrder, PullPorts, PullReport, pull};
use calmirror::flow::sign_in::fixed_bearer;
use calmirror::http::HttpClient;
use calmirror::mirror::{Mirror, Reader};
use calmirror::model::{
    Answer, AttendeeType, CalendarRecord, Change, DAY_MS, EventKind, EventRecord, Fault, Fields, Invitee,
    Link, Lookup, Next, Person, Reminder, RemoteId, Response, Secret, Sensitivity, ShowAs, Times, Window,
};
use calmirror::ports::Clock;
use calmirror::sim::{SeededEntropy, VirtualClock};
use calmirror::source::ews::{DiscoverError, Ews, EwsSite, EwsSiteError, Login, discover, encode_item};
use calmirror::source::graph::PullMode;
use serde_json::{Map, Value, json};

use crate::stage::{Emulator, Place, speak};

/// Monday 2 March 2026, 08:00 UTC.
const NOW_MS: i64 = 1_772_438_400_000;
const HOUR_MS: i64 = 3_600_000;
const WINDOW: Window = Window { from_ms: 1_769_904_000_000, to_ms: 1_777_593_600_000 };
const ANNA: &str = "anna@contoso.example";
const USERS: [(&str, &str); 3] =
    [("Anna Berg", ANNA), ("Ben Carlsen", "ben@contoso.example"), ("Cleo Dahl", "cleo@contoso.example")];

/// A server on a loopback port.
struct Server {
    running: Running,
    clock: Arc<VirtualClock>,
}

impl Server {
    async fn of(mut world: World) -> Server {
        let clock = Arc::new(VirtualClock::at(NOW_MS));
        world.set_quirks(Quirks { requests_max: 0, key_rotation_ms: 0, queued_ms: 0, ..Quirks::default() });
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let source = Source::World(Arc::new(Mutex::new(world)));
        let running = serve(Options { listen, source, clock: clock.clone() }).await.unwrap();
        Server { running, clock }
    }

    async fn empty() -> Server {
        Server::of(World::new(7, &USERS, "Europe/Berlin")).await
    }

    async fn seeded(seed: u64, events: usize) -> Server {
        Server::of(World::seeded(Seeding { seed, events, now_ms: NOW_MS })).await
    }

    fn url(&self) -> String {
        format!("{}/EWS/Exchange.asmx", self.running.origin())
    }

    fn client(&self, user: &str, password: &str, impersonated: Option<&str>) -> Ews {
        let site = EwsSite::new(&self.url(), impersonated).unwrap();
        let login = Login::Basic { user: user.to_owned(), password: Secret::new(password) };
        Ews::new(site, HttpClient::new().unwrap(), login, self.clock.clone())
    }

    fn first(&self) -> Ews {
        let address = self.running.with(|world| world.users()[0].address.clone());
        self.client(&address, EWS_PASSWORD, None)
    }

    fn edit(&self, edit: Edit) -> String {
        self.edit_of(0, edit)
    }

    fn edit_of(&self, user: usize, edit: Edit) -> String {
        self.running.with(|world| world.edit(user, edit, NOW_MS)).unwrap().id
    }

    fn create(&self, event: Value) -> String {
        self.edit(Edit::Create { calendar: None, event: members(event) })
    }

    fn fault(&self, rule: Rule) {
        self.running.with(|world| world.add_fault(rule));
    }

    fn requests(&self) -> u64 {
        self.running.with(|world| world.requests())
    }

    /// What is really there: kind, times, subject and UID of everything in the window.
    fn truth(&self, calendar: &str) -> BTreeSet<Told> {
        self.truth_in(calendar, WINDOW)
    }

    fn truth_in(&self, calendar: &str, window: Window) -> BTreeSet<Told> {
        self.running.with(|world| {
            let truth = world.truth(0, calendar, window.from_ms, window.to_ms);
            truth
                .into_iter()
                .map(|instance| {
                    let kind = match instance.kind {
                        InstanceKind::Single => EventKind::Single,
                        InstanceKind::Occurrence => EventKind::Occurrence,
                        InstanceKind::Exception => EventKind::Exception,
                    };
                    let subject = instance.subject.filter(|subject| !subject.is_empty());
                    (kind, instance.start_ms, instance.end_ms, subject, instance.show_as, instance.uid)
                })
                .collect()
        })
    }
}

type Told = (EventKind, i64, i64, Option<String>, String, String);

fn members(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn time(ms: i64) -> Value {
    let text = calmirror::zones::Zone::utc().rfc3339(ms);
    json!({"dateTime": text.trim_end_matches("+00:00"), "timeZone": "UTC"})
}

fn meeting(subject: &str, start_ms: i64) -> Value {
    json!({"subject": subject, "start": time(start_ms), "end": time(start_ms + HOUR_MS), "showAs": "busy"})
}

fn daily(subject: &str) -> Value {
    json!({
        "subject": subject,
        "start": {"dateTime": "2026-03-02T09:00:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2026-03-02T09:30:00", "timeZone": "Europe/Berlin"},
        "recurrence": {
            "pattern": {"type": "daily", "interval": 1},
            "range": {"type": "numbered", "startDate": "2026-03-02", "numberOfOccurrences": 20}
        }
    })
}

/// What a mirror would hold of one calendar: the least that a puller does with what the client brings.
#[derive(Default)]
struct Book {
    rows: BTreeMap<RemoteId, EventRecord>,
    delta: Option<Link>,
}

impl Book {
    async fn full(&mut self, ews: &Ews, calendar: &RemoteId) -> Result<(), Fault> {
        self.rows.clear();
        let first = ews.first_link(PullMode::Delta, calendar, WINDOW);
        self.round(ews, calendar, first).await
    }

    async fn changes(&mut self, ews: &Ews, calendar: &RemoteId) -> Result<(), Fault> {
        let link = self.delta.clone().unwrap();
        self.round(ews, calendar, link).await
    }

    async fn round(&mut self, ews: &Ews, calendar: &RemoteId, mut link: Link) -> Result<(), Fault> {
        let is_delta = self.delta.as_ref() == Some(&link);
        let mut dirty = BTreeSet::new();
        for _ in 0..500 {
            let page = ews.page(&link, 50).await?;
            assert!(page.skipped.is_empty());
            for change in page.changes {
                match change {
                    Change::Put(record) => {
                        if record.kind == EventKind::Master && is_delta {
                            dirty.insert(record.remote_id.clone());
                        }
                        self.rows.insert(record.remote_id.clone(), record);
                    }
                    Change::Gone(id) => {
                        self.rows.remove(&id);
                        self.rows.retain(|_, row| row.series.as_ref() != Some(&id));
                    }
                }
            }
            match page.next {
                Next::Page(next) => link = next,
                Next::End => break,
                Next::Delta(next) => {
                    self.delta = Some(next);
                    break;
                }
            }
        }
        for master in dirty {
            self.rows.retain(|_, row| row.series.as_ref() != Some(&master));
            for record in ews.instances(calendar, &master, WINDOW).await? {
                self.rows.insert(record.remote_id.clone(), record);
            }
        }
        Ok(())
    }

    fn told(&self) -> BTreeSet<Told> {
        let shown = self.rows.values().filter(|row| row.kind != EventKind::Master);
        shown
            .map(|row| {
                let own = row.details.as_ref();
                let series = row.series.as_ref().and_then(|series| self.rows.get(series));
                let details = own.or_else(|| series.and_then(|row| row.details.as_ref())).unwrap();
                let show_as = match details.show_as {
                    ShowAs::WorkingElsewhere => "workingElsewhere",
                    show_as => show_as.code(),
                };
                let uid = details.ical_uid.clone().unwrap();
                (row.kind, row.start_ms, row.end_ms, details.subject.clone(), show_as.to_owned(), uid)
            })
            .collect()
    }

    fn subjects(&self) -> Vec<String> {
        let mut subjects: Vec<String> = self.told().into_iter().filter_map(|told| told.3).collect();
        subjects.sort();
        subjects
    }
}

async fn default_calendar(ews: &Ews) -> CalendarRecord {
    ews.calendars().await.unwrap().into_iter().find(|calendar| calendar.is_default).unwrap()
}

/// The emulator's name of the calendar.
fn true_id(server: &Server, name: &str) -> String {
    server.running.with(|world| world.calendars(0).into_iter().find(|c| c.name == name).unwrap().id)
}

#[tokio::test]
async fn the_calendars_are_listed_without_what_was_deleted() {
    let server = Server::empty().await;
    server.edit(Edit::AddCalendar { name: "Team & friends".to_owned() });
    let ews = server.first();
    let calendars = ews.calendars().await.unwrap();
    let names: Vec<_> = calendars.iter().map(|c| (c.name.as_str(), c.is_default, c.can_edit)).collect();
    assert_eq!(names, [("Calendar", true, true), ("Team & friends", false, true)]);
    let one = ews.calendar(&calendars[1].remote_id).await.unwrap().unwrap();
    assert_eq!(one.name, "Team & friends");
    assert!(ews.calendar(&RemoteId::new("AAMkNowhere=")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_first_sync_brings_everything_that_lies_in_the_window() {
    for seed in [1, 2] {
        let server = Server::seeded(seed, 400).await;
        let ews = server.first();
        for calendar in ews.calendars().await.unwrap() {
            let mut book = Book::default();
            book.full(&ews, &calendar.remote_id).await.unwrap();
            assert_eq!(book.told(), server.truth(&true_id(&server, &calendar.name)), "{}", calendar.name);
        }
    }
}

#[tokio::test]
async fn a_round_without_changes_is_one_request() {
    let server = Server::seeded(1, 200).await;
    let ews = server.first();
    let calendar = default_calendar(&ews).await.remote_id;
    let mut book = Book::default();
    book.full(&ews, &calendar).await.unwrap();
    let before = server.requests();
    book.changes(&ews, &calendar).await.unwrap();
    assert_eq!(server.requests(), before + 1);
}

#[tokio::test]
async fn what_changes_moves_or_goes_there_arrives() {
    let server = Server::empty().await;
    let ews = server.first();
    let calendar = default_calendar(&ews).await.remote_id;
    let plan = server.create(meeting("Plan", NOW_MS + HOUR_MS));
    let lunch = server.create(meeting("Lunch", NOW_MS + 4 * HOUR_MS));
    let far = server.create(meeting("Far", NOW_MS + 3_000 * HOUR_MS));
    let mut book = Book::default();
    book.full(&ews, &calendar).await.unwrap();
    assert_eq!(book.subjects(), ["Lunch", "Plan"]);

    server.edit(Edit::Update { id: plan, patch: members(json!({"subject": "Plan B"})) });
    server.edit(Edit::Delete { id: lunch.clone() });
    server.edit(Edit::Update { id: far, patch: members(meeting("Near", NOW_MS + 2 * HOUR_MS)) });
    book.changes(&ews, &calendar).await.unwrap();
    assert_eq!(book.subjects(), ["Near", "Plan B"]);

    let team = server.edit(Edit::AddCalendar { name: "Team".to_owned() });
    let id = book.rows.values().find(|row| row.details.as_ref().unwrap().subject.as_deref() == Some("Near"));
    let moved = id.unwrap().remote_id.as_str().to_owned();
    server.edit(Edit::Move { id: moved, calendar: team });
    book.changes(&ews, &calendar).await.unwrap();
    assert_eq!(book.subjects(), ["Plan B"]);
    let team = ews.calendars().await.unwrap().remove(1).remote_id;
    let mut other = Book::default();
    other.full(&ews, &team).await.unwrap();
    assert_eq!(other.subjects(), ["Near"]);
}

#[tokio::test]
async fn a_series_and_its_exceptions_are_the_servers() {
    let server = Server::empty().await;
    let ews = server.first();
    let calendar = default_calendar(&ews).await.remote_id;
    let series = server.create(daily("Standup"));
    let mut book = Book::default();
    book.full(&ews, &calendar).await.unwrap();
    assert_eq!(book.subjects().len(), 20);
    // Summer time begins on 29 March and the series ends before it; all are at the same hour.
    let third =
        book.rows.values().find(|row| row.start_ms == NOW_MS + 2 * 24 * HOUR_MS).unwrap().remote_id.clone();
    let patch = members(json!({"subject": "Standup with guests"}));
    server.edit(Edit::Update { id: third.as_str().to_owned(), patch });
    let fourth =
        book.rows.values().find(|row| row.start_ms == NOW_MS + 3 * 24 * HOUR_MS).unwrap().remote_id.clone();
    server.edit(Edit::Delete { id: fourth.as_str().to_owned() });
    book.changes(&ews, &calendar).await.unwrap();
    assert_eq!(book.told(), server.truth(&true_id(&server, "Calendar")));
    assert_eq!(book.rows.get(&third).unwrap().kind, EventKind::Exception, "the same id as before");
    assert_eq!(book.rows.get(&third).unwrap().original_start_ms, Some(NOW_MS + 2 * 24 * HOUR_MS));
    assert!(!book.rows.contains_key(&fourth));
    let found = ews.lookup(&calendar, &[third.clone(), fourth.clone()], None).await;
    assert!(matches!(&found[0], Ok(Lookup::Found(record)) if record.series.is_some()));
    assert_eq!(found[1], Ok(Lookup::Missing));
    server.edit(Edit::Delete { id: series });
    book.changes(&ews, &calendar).await.unwrap();
    assert!(book.told().is_empty());
}

#[tokio::test]
async fn random_changes_converge_round_by_round() {
    for seed in 1..4 {
        let server = Server::seeded(seed, 120).await;
        let ews = server.first();
        let calendar = default_calendar(&ews).await;
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut book = Book::default();
        book.full(&ews, &calendar.remote_id).await.unwrap();
        for round in 0..15 {
            server.running.with(|world| {
                for _ in 0..12 {
                    world.random_edit(0, &mut rng, NOW_MS);
                }
            });
            book.changes(&ews, &calendar.remote_id).await.unwrap();
            let name = server.running.with(|world| world.calendars(0)[0].name.clone());
            assert_eq!(book.told(), server.truth(&true_id(&server, &name)), "seed {seed}, round {round}");
        }
    }
}

#[tokio::test]
async fn an_all_day_event_is_its_dates() {
    let server = Server::empty().await;
    let ews = server.first();
    let calendar = default_calendar(&ews).await.remote_id;
    let day = |date: &str, zone: &str| json!({"dateTime": format!("{date}T00:00:00"), "timeZone": zone});
    for zone in ["Europe/Berlin", "America/Los_Angeles", "UTC", "Tonga Standard Time"] {
        let (start, end) = (day("2026-03-10", zone), day("2026-03-12", zone));
        server.create(json!({"subject": zone, "isAllDay": true, "start": start, "end": end}));
    }
    let mut book = Book::default();
    book.full(&ews, &calendar).await.unwrap();
    let told = book.told();
    assert_eq!(told.len(), 4);
    let from_ms = 1_773_100_800_000;
    assert!(told.iter().all(|told| (told.1, told.2) == (from_ms, from_ms + 2 * DAY_MS)), "{told:?}");
    assert!(book.rows.values().all(|row| row.details.as_ref().unwrap().is_all_day));
}

#[tokio::test]
async fn one_service_account_opens_every_mailbox() {
    let server = Server::empty().await;
    for (user, (_, address)) in USERS.iter().enumerate() {
        let event = members(meeting(&format!("Of {address}"), NOW_MS));
        server.edit_of(user, Edit::Create { calendar: None, event });
    }
    for (_, address) in USERS {
        let ews = server.client(EWS_SERVICE_ACCOUNT, EWS_PASSWORD, Some(address));
        let calendar = default_calendar(&ews).await.remote_id;
        let mut book = Book::default();
        book.full(&ews, &calendar).await.unwrap();
        assert_eq!(book.subjects(), [format!("Of {address}")]);
    }
    let refused = |ews: Ews| async move {
        match ews.calendars().await.unwrap_err() {
            Fault::Refused { status, code, .. } => (status, code.unwrap()),
            fault => panic!("{fault}"),
        }
    };
    let denied = server.client(ANNA, EWS_PASSWORD, Some("ben@contoso.example"));
    assert_eq!(refused(denied).await, (403, "ErrorImpersonateUserDenied".to_owned()));
    let nobody = server.client(EWS_SERVICE_ACCOUNT, EWS_PASSWORD, Some("nobody@contoso.example"));
    assert_eq!(refused(nobody).await, (404, "ErrorNonExistentMailbox".to_owned()));
}

#[tokio::test]
async fn a_wrong_password_asks_for_a_sign_in_and_a_token_works_as_well() {
    let server = Server::empty().await;
    let wrong = server.client(ANNA, "guessed", None);
    assert_eq!(wrong.calendars().await.unwrap_err(), Fault::SignInNeeded);
    let token = server.running.with(|world| world.grant_access(0, NOW_MS));
    let bearer = |token: &str| {
        let site = EwsSite::new(&server.url(), None).unwrap();
        let login = Login::Bearer(fixed_bearer(Secret::new(token)));
        Ews::new(site, HttpClient::new().unwrap(), login, server.clock.clone())
    };
    assert_eq!(bearer(&token).calendars().await.unwrap().len(), 1);
    assert_eq!(bearer("other").calendars().await.unwrap_err(), Fault::SignInNeeded);
}

#[tokio::test]
async fn a_busy_server_is_left_alone_as_long_as_it_wants() {
    let server = Server::empty().await;
    let ews = server.first();
    let calendar = default_calendar(&ews).await.remote_id;
    let busy = |wait: &str| What::Throttle { retry_after: Some(wait.to_owned()), status: 429 };
    server.fault(Rule::next(RequestKind::Delta, busy("2.5")));
    let link = ews.first_link(PullMode::Delta, &calendar, WINDOW);
    let fault = ews.page(&link, 50).await.unwrap_err();
    let wait = Some(Duration::from_millis(2_500));
    let code = Some("ErrorServerBusy".to_owned());
    assert_eq!(fault, Fault::Refused { status: 429, code, retry_after: wait, claims: None });
    let now_ms = server.clock.now_ms();
    assert_eq!(ews.throttled_until_ms(), Some(now_ms + 2_500));
    // A short pause is waited out by the next request, a long one is told without asking again.
    assert!(ews.page(&link, 50).await.is_ok());
    assert_eq!(server.clock.now_ms(), now_ms + 2_500);
    server.fault(Rule::next(RequestKind::Delta, busy("900")));
    assert!(ews.page(&link, 50).await.is_err());
    let before = server.requests();
    assert!(matches!(ews.calendars().await.unwrap_err(), Fault::Refused { status: 429, .. }));
    assert_eq!(server.requests(), before);
}

#[tokio::test]
async fn every_trouble_is_the_fault_it_is_with_graph() {
    let server = Server::empty().await;
    let ews = server.first();
    let calendar = default_calendar(&ews).await.remote_id;
    server.create(meeting("Plan", NOW_MS));
    let mut book = Book::default();
    book.full(&ews, &calendar).await.unwrap();
    let kind_of = async |what: What| {
        server.fault(Rule::next(RequestKind::Delta, what));
        ews.page(book.delta.as_ref().unwrap(), 50).await.unwrap_err().kind()
    };
    assert_eq!(kind_of(What::LoseToken).await, "token_lost");
    assert_eq!(kind_of(What::Drop).await, "connection_lost");
    assert_eq!(kind_of(What::Truncate { bytes: 100 }).await, "connection_lost");
    assert_eq!(kind_of(What::CaptivePortal).await, "captive_portal");
    assert_eq!(kind_of(What::Garbage).await, "reply_unreadable");
    let status = |status, code: Option<&str>| What::Status {
        status,
        code: code.map(str::to_owned),
        body: calmirror::emulator::BodyKind::Json,
    };
    assert_eq!(kind_of(status(500, None)).await, "server_error");
    assert_eq!(kind_of(status(503, None)).await, "server_error");
    assert_eq!(kind_of(status(403, Some("ErrorAccessDenied"))).await, "access_denied");
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]><Envelope><Body>&b;</Body></Envelope>";
    let raw = |body: &str| What::Raw { status: 200, headers: Vec::new(), body: body.to_owned() };
    assert_eq!(kind_of(raw(bomb)).await, "reply_unreadable");
    let deep = "<a>".repeat(50_000);
    assert_eq!(kind_of(raw(&deep)).await, "reply_too_large");
    // And then it goes on where it was.
    server.create(meeting("More", NOW_MS));
    book.changes(&ews, &calendar).await.unwrap();
    assert_eq!(book.subjects(), ["More", "Plan"]);
}

#[tokio::test]
async fn a_state_that_the_server_does_not_know_is_lost() {
    let server = Server::empty().await;
    let ews = server.first();
    let calendar = default_calendar(&ews).await.remote_id;
    let mut book = Book::default();
    book.full(&ews, &calendar).await.unwrap();
    let other = Link::new(book.delta.as_ref().unwrap().as_str().replace("state=", "state=x"));
    assert_eq!(ews.page(&other, 50).await.unwrap_err().kind(), "token_lost");
    let graph = Link::new("https://graph.microsoft.com/v1.0/me/calendarView/delta?$deltatoken=x");
    assert_eq!(ews.page(&graph, 50).await.unwrap_err().kind(), "link_refused");
}

#[tokio::test]
async fn an_old_server_is_asked_in_the_old_schema() {
    let server = Server::empty().await;
    server.running.with(|world| world.set_quirks(Quirks { ews_2010: true, ..Quirks::tame() }));
    server.create(daily("Standup"));
    let ews = server.first();
    let calendar = default_calendar(&ews).await.remote_id;
    let mut book = Book::default();
    book.full(&ews, &calendar).await.unwrap();
    assert_eq!(book.told(), server.truth(&true_id(&server, "Calendar")));
    let refused = server.running.with(|world| world.log().filter(|seen| seen.status == 500).count());
    assert_eq!(refused, 1, "asked in the new one only once");
}

#[tokio::test]
async fn a_plain_listing_has_whole_rows_and_no_cursor() {
    let server = Server::empty().await;
    server.create(daily("Standup"));
    let ews = server.first();
    let calendar = default_calendar(&ews).await.remote_id;
    let mut book = Book::default();
    let first = ews.first_link(PullMode::Snapshot, &calendar, WINDOW);
    book.round(&ews, &calendar, first).await.unwrap();
    assert!(book.delta.is_none());
    assert_eq!(book.rows.len(), 20);
    for row in book.rows.values() {
        let details = row.details.as_ref().unwrap();
        assert_eq!((row.kind, details.response), (EventKind::Occurrence, Response::Organizer));
    }
}

#[tokio::test]
async fn autodiscover_finds_the_server_and_refuses_exchange_online() {
    let server = Server::empty().await;
    let http = HttpClient::new().unwrap();
    let login = Login::Basic { user: ANNA.to_owned(), password: Secret::new(EWS_PASSWORD) };
    let at = |path: &str| vec![format!("{}/{path}", server.running.origin())];
    let here = at("autodiscover/autodiscover.xml");
    assert_eq!(discover(&*http, &here, ANNA, &login).await, Ok(server.url()));
    let unknown = discover(&*http, &here, "nobody@contoso.example", &login).await.unwrap_err();
    assert!(matches!(unknown, DiscoverError::Unknown(Fault::Refused { status: 404, .. })));
    let wrong = Login::Basic { user: ANNA.to_owned(), password: Secret::new("guessed") };
    let refused = discover(&*http, &here, ANNA, &wrong).await;
    assert_eq!(refused, Err(DiscoverError::Unknown(Fault::SignInNeeded)));

    let answers = |account: &str| {
        let body = format!("<Autodiscover><Response><Account>{account}</Account></Response></Autodiscover>");
        server.fault(Rule::any(1, What::Raw { status: 200, headers: Vec::new(), body }));
    };
    answers(
        "<Action>settings</Action><Protocol><Type>EXPR</Type><EwsUrl>https://outlook.office365.com/EWS/Exchange.asmx</EwsUrl></Protocol>",
    );
    let online = discover(&*http, &here, ANNA, &login).await;
    assert_eq!(online, Err(DiscoverError::Site(EwsSiteError::ExchangeOnline)));
    answers("<Action>redirectUrl</Action><RedirectUrl>{origin}/autodiscover/other.xml</RedirectUrl>");
    assert_eq!(discover(&*http, &here, ANNA, &login).await, Ok(server.url()));
    answers("<Action>redirectUrl</Action><RedirectUrl>http://mail.example.com/steal</RedirectUrl>");
    let stolen = discover(&*http, &here, ANNA, &login).await;
    assert_eq!(stolen, Err(DiscoverError::Site(EwsSiteError::Insecure)));
}

fn wish(subject: &str) -> Fields {
    let invitee = |address: &str, kind| Invitee {
        person: Person { name: None, address: Some(address.to_owned()) },
        kind,
    };
    Fields {
        subject: Some(subject.to_owned()),
        body: Some("Bring <figures> & coffee".to_owned()),
        times: Some(Times {
            start_ms: NOW_MS + HOUR_MS,
            end_ms: NOW_MS + 2 * HOUR_MS,
            is_all_day: false,
            zone: Some("Europe/Berlin".to_owned()),
        }),
        location: Some("Room 1".to_owned()),
        show_as: Some(ShowAs::Oof),
        sensitivity: Some(Sensitivity::Private),
        categories: Some(vec!["Red".to_owned()]),
        attendees: Some(vec![
            invitee("ben@contoso.example", AttendeeType::Required),
            invitee("cleo@contoso.example", AttendeeType::Optional),
        ]),
        reminder: Some(Reminder::Minutes(5)),
        ..Fields::default()
    }
}

#[tokio::test]
async fn an_event_is_created_changed_and_deleted() {
    let server = Server::empty().await;
    let ews = server.first();
    let calendar = default_calendar(&ews).await.remote_id;
    let zones = calmirror::zones::Zones::bundled();
    let fields = wish("Plan");
    let made = ews.create(&calendar, &encode_item(&fields, "t-1", &zones)).await.unwrap();
    let said = Fields::of(&made);
    let names = |fields: &Fields| {
        let attendees = fields.attendees.clone().unwrap();
        attendees.into_iter().map(|i| (i.person.address.unwrap(), i.kind)).collect::<Vec<_>>()
    };
    assert_eq!(names(&said), names(&fields));
    assert_eq!(said.body.as_deref().map(str::trim), fields.body.as_deref());
    let zone = Some("W. Europe Standard Time".to_owned());
    let expected = Fields {
        body: said.body.clone(),
        attendees: said.attendees.clone(),
        importance: said.importance,
        times: fields.times.clone().map(|times| Times { zone: zone.clone(), ..times }),
        ..fields.clone()
    };
    assert_eq!(said, expected);
    let times = fields.times.clone().unwrap();
    let found = ews.find_created(&calendar, &times, "t-1").await.unwrap();
    assert_eq!(found.map(|found| found.remote_id), Some(made.remote_id.clone()));
    assert_eq!(ews.find_created(&calendar, &times, "t-2").await, Ok(None));
    let mails =
        |what: &str| server.running.with(|world| world.mails(0).iter().filter(|m| m.what == what).count());
    assert_eq!(mails("invite"), 1);

    let key = made.change_key.clone();
    let personal =
        Fields { reminder: Some(Reminder::Off), categories: Some(Vec::new()), ..Fields::default() };
    let changed = ews.update(&calendar, &made.remote_id, key.as_deref(), &personal, &zones).await.unwrap();
    assert_eq!((changed.details.as_ref().unwrap().reminder_minutes, mails("update")), (None, 0));
    assert!(changed.details.unwrap().categories.is_empty());
    let stale =
        ews.update(&calendar, &made.remote_id, key.as_deref(), &wish("Late"), &zones).await.unwrap_err();
    assert_eq!(stale.kind(), "changed_meanwhile");
    let renamed =
        Fields { subject: Some("Plan B".to_owned()), location: Some(String::new()), ..Fields::default() };
    let changed = ews.update(&calendar, &made.remote_id, None, &renamed, &zones).await.unwrap();
    let details = changed.details.as_ref().unwrap();
    assert_eq!((details.subject.as_deref(), details.location.as_deref()), (Some("Plan B"), None));
    assert_eq!((details.attendees.len(), mails("update")), (2, 1));
    let fewer = Fields { attendees: Some(vec![wish("").attendees.unwrap().remove(1)]), ..Fields::default() };
    let changed = ews.update(&calendar, &made.remote_id, None, &fewer, &zones).await.unwrap();
    let left: Vec<_> = changed.details.as_ref().unwrap().attendees.iter().map(|a| a.kind).collect();
    assert_eq!(left, [AttendeeType::Optional]);

    let stale = ews.delete(&calendar, &made.remote_id, key.as_deref()).await.unwrap_err();
    assert_eq!(stale.kind(), "changed_meanwhile");
    ews.delete(&calendar, &made.remote_id, changed.change_key.as_deref()).await.unwrap();
    assert_eq!(ews.read(&calendar, &made.remote_id).await, Ok(Lookup::Missing));
    let gone = ews.delete(&calendar, &made.remote_id, None).await.unwrap_err();
    assert!(calmirror::source::graph::is_gone(&gone));
}

#[tokio::test]
async fn an_all_day_event_is_written_as_its_dates() {
    let server = Server::empty().await;
    let ews = server.first();
    let calendar = default_calendar(&ews).await.remote_id;
    let zones = calmirror::zones::Zones::bundled();
    let from_ms = 1_773_100_800_000;
    for (n, zone) in [Some("Europe/Berlin"), Some("America/New_York"), None].into_iter().enumerate() {
        let zone = zone.map(str::to_owned);
        let times = Times { start_ms: from_ms, end_ms: from_ms + DAY_MS, is_all_day: true, zone };
        let fields = Fields { subject: Some("Off".to_owned()), times: Some(times), ..Fields::default() };
        let made = ews.create(&calendar, &encode_item(&fields, &format!("t-{n}"), &zones)).await.unwrap();
        assert_eq!((made.start_ms, made.end_ms), (from_ms, from_ms + DAY_MS));
        assert!(made.details.unwrap().is_all_day);
    }
}

#[tokio::test]
async fn an_occurrence_is_changed_alone_and_an_invitation_is_answered() {
    let server = Server::empty().await;
    let ews = server.first();
    let calendar = default_calendar(&ews).await.remote_id;
    let zones = calmirror::zones::Zones::bundled();
    server.create(daily("Standup"));
    let mut invited = meeting("Invited", NOW_MS + HOUR_MS);
    invited["organizer"] = json!({"emailAddress": {"name": "Ben", "address": "ben@contoso.example"}});
    invited["responseStatus"] = json!({"response": "notResponded"});
    server.create(invited);
    let mut book = Book::default();
    book.full(&ews, &calendar).await.unwrap();
    let slot = book.rows.values().find(|row| row.kind == EventKind::Occurrence).unwrap().clone();
    let renamed = Fields { subject: Some("Standup with cake".to_owned()), ..Fields::default() };
    let changed = ews.update(&calendar, &slot.remote_id, None, &renamed, &zones).await.unwrap();
    assert_eq!((changed.kind, &changed.remote_id), (EventKind::Exception, &slot.remote_id));
    assert_eq!(changed.series, slot.series);
    let invitation = book.rows.values().find(|row| row.kind == EventKind::Single).unwrap().remote_id.clone();
    ews.respond(&calendar, &invitation, Answer::Tentative, "perhaps", false).await.unwrap();
    server.running.with(|world| world.settle(NOW_MS + HOUR_MS));
    book.changes(&ews, &calendar).await.unwrap();
    let answered = book.rows.get(&invitation).unwrap().details.as_ref().unwrap();
    assert_eq!((answered.response, answered.is_organizer), (Response::Tentative, false));
    let mails = server.running.with(|world| world.mails(0).iter().filter(|m| m.what == "respond").count());
    assert_eq!(mails, 1);
}

/// A mirror beside a server, filled by the real pull.
struct Desk {
    server: Server,
    ews: Ews,
    mirror: Mirror,
    dir: tempfile::TempDir,
}

impl Desk {
    fn new(server: Server) -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let (mirror, _) = Mirror::open(&dir.path().join("mirror.db"), NOW_MS).unwrap();
        let ews = server.first();
        Desk { server, ews, mirror, dir }
    }

    async fn pull(&mut self, is_full: bool, is_asked: bool) -> PullReport {
        let order = PullOrder { is_full, is_asked, past_ms: 30 * DAY_MS, future_ms: 60 * DAY_MS };
        let clock = self.server.clock.clone();
        let ports = PullPorts { clock, entropy: Arc::new(SeededEntropy::from_seed(2)) };
        pull(&mut self.mirror, &self.ews, &ports, order, &mut |_| {}).await.unwrap()
    }

    fn told(&self) -> BTreeSet<Told> {
        let reader = Reader::open(&self.dir.path().join("mirror.db")).unwrap();
        let rows = reader.overlapping(Window::around(NOW_MS, 30 * DAY_MS, 60 * DAY_MS), &[]).unwrap();
        let told = rows.into_iter().map(|row| {
            let show_as = match row.details.show_as {
                ShowAs::WorkingElsewhere => "workingElsewhere",
                show_as => show_as.code(),
            };
            let uid = row.details.ical_uid.clone().unwrap();
            (row.kind, row.start_ms, row.end_ms, row.details.subject.clone(), show_as.to_owned(), uid)
        });
        told.collect()
    }

    fn truth(&self) -> BTreeSet<Told> {
        let calendars = self.server.running.with(|world| world.calendars(0));
        let mine = calendars.into_iter().filter(|calendar| !calendar.is_shared);
        let window = Window::around(NOW_MS, 30 * DAY_MS, 60 * DAY_MS);
        mine.flat_map(|calendar| self.server.truth_in(&calendar.id, window)).collect()
    }
}

#[tokio::test]
async fn the_pull_of_every_source_fills_a_mirror_and_keeps_it_in_step() {
    for seed in [1, 2] {
        let mut desk = Desk::new(Server::seeded(seed, 150).await);
        let report = desk.pull(false, true).await;
        assert_eq!((report.fault, report.failed), (None, 0));
        assert_eq!(desk.told(), desk.truth(), "seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for round in 0..10 {
            desk.server.running.with(|world| {
                for _ in 0..8 {
                    world.random_edit(0, &mut rng, NOW_MS);
                }
            });
            let report = desk.pull(false, true).await;
            assert_eq!((report.fault, report.failed), (None, 0), "seed {seed}, round {round}");
            assert_eq!(desk.told(), desk.truth(), "seed {seed}, round {round}");
        }
        let report = desk.pull(true, true).await;
        assert_eq!((report.fault, report.committed.rewritten, report.removed), (None, 0, 0), "seed {seed}");
        assert_eq!(desk.told(), desk.truth());
    }
}

#[tokio::test]
async fn a_poll_without_changes_is_one_request_a_calendar() {
    let mut desk = Desk::new(Server::empty().await);
    desk.server.create(daily("Standup"));
    desk.pull(false, true).await;
    let before = desk.server.requests();
    let report = desk.pull(false, false).await;
    assert_eq!((report.fault, desk.server.requests()), (None, before + 1));
}

#[tokio::test]
async fn a_lost_state_and_a_busy_server_cost_a_round_and_no_event() {
    let mut desk = Desk::new(Server::seeded(3, 80).await);
    desk.pull(false, true).await;
    desk.server.fault(Rule::next(RequestKind::Delta, What::LoseToken));
    let busy = What::Throttle { retry_after: Some("2".to_owned()), status: 429 };
    desk.server.fault(Rule { count: 2, ..Rule::next(RequestKind::View, busy) });
    desk.server.fault(Rule::next(RequestKind::Event, What::Drop));
    let report = desk.pull(false, true).await;
    assert_eq!((report.failed, report.removed), (0, 0));
    assert_eq!(desk.told(), desk.truth());
}

/// The configuration of an organization, with what else is written into it.
fn organization(origin: &str, more: &str) -> String {
    format!(
        "[[exchange]]\ndisplay_name = \"Headquarters\"\news_url = \"{origin}/EWS/Exchange.asmx\"\n\
         password_env = \"EXCHANGE_PASSWORD\"\n{more}\n[presence]\ntime_zone = \"Europe/Berlin\"\n"
    )
}

const PASSWORD: [(&str, &str); 1] = [("EXCHANGE_PASSWORD", EWS_PASSWORD)];

#[test]
fn the_program_mirrors_an_exchange_server_and_answers_offline() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(dir.path(), &["--events", "120"]);
    let account = "[[account]]\nname = \"anna\"\nuser = \"anna@contoso.example\"\nsource = \"exchange\"";
    let place = Place::new(&organization(&emulator.origin, account));
    let done = place.run_with(&["sync", "--json"], &PASSWORD).ended(0).json_lines().pop().unwrap();
    assert!(done["upserted"].as_u64().unwrap() > 50, "{done}");
    let now = jiff::Timestamp::now();
    let event = json!({"subject": "Board", "start": time(now.as_millisecond()), "end": time(now.as_millisecond() + HOUR_MS)});
    emulator.control("/edits", &json!({"edit": "create", "event": event}));
    place.run_with(&["sync"], &PASSWORD).ended(0);
    drop(emulator);
    let items = place.run(&["search", "Board", "--json"]).ended(0).json();
    let board =
        items["items"].as_array().unwrap().iter().find(|item| item["subject"] == "Board").unwrap().clone();
    assert_eq!((&board["source"], &board["response"]), (&json!("exchange"), &json!("organizer")));
    let agenda = place.run(&["agenda", "--days", "30", "--json"]).ended(0).json();
    assert!(agenda["items"].as_array().unwrap().len() > 5);
    let status = place.run(&["status", "--json"]).ended(0).json();
    let account = &status["accounts"][0];
    assert_eq!((&account["source"], &account["signed_in"]), (&json!("exchange"), &json!(true)));
    assert_eq!(account["calendars"][0]["state"], "ok");
    // Nothing is recorded that would never be sent.
    let refused =
        place.run(&["add", "--subject", "Mine", "--start", "2026-03-02T09:00", "--end", "2026-03-02T10:00"]);
    assert!(refused.ended(5).stderr.contains("changes nothing at a source `exchange`"));
    let shown = place.run(&["config", "show", "--account", "anna"]).ended(0).stdout;
    assert!(shown.contains("exchange.ews_url") && shown.contains("EXCHANGE_PASSWORD"), "{shown}");
}

#[test]
fn one_service_account_serves_the_mailboxes_of_a_group() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(dir.path(), &["--events", "60"]);
    let users = emulator_users(&emulator);
    let mut more = "login = \"service\"\n[[group]]\nname = \"all\"\nmethod = \"server\"\n".to_owned();
    for (n, user) in users.iter().enumerate() {
        more += &format!("[[account]]\nname = \"a{n}\"\nuser = \"{user}\"\nsource = \"exchange\"\n");
    }
    let place = Place::new(&organization(&emulator.origin, &more));
    for n in 0..users.len() {
        let name = format!("a{n}");
        let done =
            place.run_with(&["--account", &name, "sync", "--json"], &PASSWORD).ended(0).json_lines().pop();
        assert!(done.unwrap()["calendars"].as_u64().unwrap() > 0);
    }
}

fn emulator_users(emulator: &Emulator) -> Vec<String> {
    let host = emulator.origin.trim_start_matches("http://");
    let reply = speak(host, &format!("GET /_control HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"));
    let summary: Value = serde_json::from_str(&reply.body).unwrap();
    let users = summary["users"].as_array().unwrap().iter();
    users.map(|user| user["address"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_keeps_an_account_from_exchange_is_said_with_its_fix() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(dir.path(), &["--events", "10"]);
    let account = "[[account]]\nname = \"anna\"\nuser = \"anna@contoso.example\"\nsource = \"exchange\"";
    let place = Place::new(&organization(&emulator.origin, account));
    let guessed = place.run_with(&["sync"], &[("EXCHANGE_PASSWORD", "guessed")]).ended(3).stdout;
    assert!(guessed.contains("refuses the name or the password"), "{guessed}");
    let unset = place.run(&["sync"]).ended(3).stdout;
    assert!(unset.contains("EXCHANGE_PASSWORD") && unset.contains("password_env"), "{unset}");
    let login = place.run(&["login"]).ended(2);
    assert!(login.stderr.contains("needs no sign-in"), "{}", login.stderr);

    let online = Place::new(&organization("https://outlook.office365.com", account));
    let refused = online.run_with(&["sync"], &PASSWORD).ended(2);
    assert!(refused.stderr.contains("source = \"microsoft365\""), "{}", refused.stderr);

    let nobody = "[[account]]\nname = \"anna\"\nsource = \"exchange\"\nexchange = \"Hedquarters\"";
    let wrong = Place::new(&organization(&emulator.origin, nobody));
    let told = wrong.run(&["config", "check"]).ended(2);
    let told = format!("{}{}", told.stdout, told.stderr);
    assert!(told.contains("did you mean \"Headquarters\"") && told.contains("`account.user`"), "{told}");
}
