//! Writes, one by one: the real client over a real socket against the emulator, which tells what took effect and
//! whom it mailed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use calmirror::emulator::{Edit, Options, Quirks, RequestKind, Rule, Running, Source, What, World, serve};
use calmirror::flow::sign_in::fixed_bearer;
use calmirror::http::HttpClient;
use calmirror::model::{
    Answer, AttendeeType, Broken, DAY_MS, EventRecord, Fault, Fields, Invitee, Lookup, Person, Reminder,
    RemoteId, Response, Secret, ShowAs, Times, Window,
};
use calmirror::ports::{Http, HttpError, Method, Pending, Reply, Request};
use calmirror::sim::{SeededEntropy, VirtualClock};
use calmirror::source::graph::{
    Graph, GraphSite, Reached, encode_create, encode_patch, is_gone, meeting_body, reached,
};
use calmirror::zones::Zones;
use serde_json::{Value, json};

/// Monday 2 March 2026, 08:00 UTC.
const NOW_MS: i64 = 1_772_438_400_000;
const HOUR_MS: i64 = 3_600_000;

/// The real client, and what it sent.
struct Watched {
    inner: Arc<HttpClient>,
    sent: Mutex<Vec<Request>>,
}

impl Http for Watched {
    fn send(&self, request: Request) -> Pending<'_, Result<Reply, HttpError>> {
        self.sent.lock().unwrap().push(request.clone());
        self.inner.send(request)
    }
}

struct Desk {
    server: Running,
    http: Arc<Watched>,
    clock: Arc<VirtualClock>,
    graph: Graph,
    calendar: RemoteId,
    zones: Zones,
}

impl Desk {
    async fn new() -> Desk {
        Desk::with(Quirks::tame()).await
    }

    async fn with(quirks: Quirks) -> Desk {
        let clock = Arc::new(VirtualClock::at(NOW_MS));
        let mut world = World::new(7, &[("Anna Berg", "anna@contoso.example")], "Europe/Berlin");
        world.set_quirks(quirks);
        let token = world.grant_access(0, NOW_MS);
        let calendar = RemoteId::new(world.calendars(0)[0].id.clone());
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let source = Source::World(Arc::new(Mutex::new(world)));
        let server = serve(Options { listen, source, clock: clock.clone() }).await.unwrap();
        let http = Arc::new(Watched { inner: HttpClient::new().unwrap(), sent: Mutex::new(Vec::new()) });
        let graph = Graph::new(
            GraphSite::new(&server.origin(), None).unwrap(),
            http.clone(),
            fixed_bearer(Secret::new(token)),
            clock.clone(),
            Arc::new(SeededEntropy::from_seed(7)),
        );
        Desk { server, http, clock, graph, calendar, zones: Zones::bundled() }
    }

    fn edit(&self, edit: Edit) -> RemoteId {
        RemoteId::new(self.server.with(|world| world.edit(0, edit, NOW_MS)).unwrap().id)
    }

    fn put(&self, event: Value) -> RemoteId {
        self.edit(Edit::Create { calendar: None, event: members(event) })
    }

    /// An invitation from somebody else.
    fn invitation(&self) -> RemoteId {
        self.put(json!({
            "subject": "Review", "start": time(0), "end": time(1),
            "organizer": {"emailAddress": {"name": "Bela", "address": "bela@contoso.example"}},
            "attendees": [{"emailAddress": {"address": "anna@contoso.example"}, "type": "required"}],
            "responseStatus": {"response": "notResponded"}
        }))
    }

    /// A meeting of the owner's own.
    fn meeting(&self) -> RemoteId {
        self.put(json!({
            "subject": "Plan", "start": time(0), "end": time(1), "body": {"contentType": "text", "content": "old"},
            "attendees": [
                {"emailAddress": {"address": "bela@contoso.example"}, "type": "required"},
                {"emailAddress": {"address": "cem@contoso.example"}, "type": "optional"}
            ]
        }))
    }

    async fn read(&self, id: &RemoteId) -> EventRecord {
        match self.graph.read(&self.calendar, id).await.unwrap() {
            Lookup::Found(record) => *record,
            other => panic!("{other:?}"),
        }
    }

    async fn change(&self, id: &RemoteId, key: Option<&str>, fields: &Fields) -> Result<EventRecord, Fault> {
        self.graph.patch(&self.calendar, id, key, &encode_patch(fields, &self.zones, None)).await
    }

    /// Who was mailed what about an event.
    fn mails(&self, id: &RemoteId) -> Vec<(&'static str, Vec<String>)> {
        self.server.with(|world| {
            let mails = world.mails(0).iter().filter(|mail| mail.event == id.as_str());
            mails.map(|mail| (mail.what, mail.to.clone())).collect()
        })
    }

    /// What took effect: the act, whether it was a replay, and the members sent.
    fn writes(&self) -> Vec<(String, bool, Vec<String>)> {
        self.server
            .with(|world| world.writes(0).map(|w| (w.what.clone(), w.is_replay, w.members.clone())).collect())
    }

    fn fault(&self, kind: RequestKind, what: What) {
        self.server.with(|world| world.add_fault(Rule::next(kind, what)));
    }

    fn last_sent(&self) -> Request {
        self.http.sent.lock().unwrap().last().unwrap().clone()
    }

    async fn control(&self, path: &str) -> Value {
        let request = Request {
            method: Method::Get,
            url: format!("{}{path}", self.server.control_url()),
            headers: Vec::new(),
            bearer: None,
            body: None,
            reply_bytes_max: 1_000_000,
            timeout: std::time::Duration::from_secs(30),
        };
        serde_json::from_slice(&self.http.inner.send(request).await.unwrap().body).unwrap()
    }
}

fn members(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn time(hours: i64) -> Value {
    let at = chrono::DateTime::from_timestamp_millis(NOW_MS + hours * HOUR_MS).unwrap();
    json!({"dateTime": at.format("%Y-%m-%dT%H:%M:%S").to_string(), "timeZone": "UTC"})
}

fn times(from_hour: i64, to_hour: i64) -> Times {
    Times {
        start_ms: NOW_MS + from_hour * HOUR_MS,
        end_ms: NOW_MS + to_hour * HOUR_MS,
        is_all_day: false,
        zone: Some("Europe/Berlin".to_owned()),
    }
}

fn subject(text: &str) -> Fields {
    Fields { subject: Some(text.to_owned()), ..Fields::default() }
}

fn invitee(address: &str) -> Invitee {
    let person = Person { name: None, address: Some(address.to_owned()) };
    Invitee { person, kind: AttendeeType::Required }
}

fn new_event() -> Fields {
    Fields {
        times: Some(times(2, 3)),
        attendees: Some(vec![invitee("bela@contoso.example")]),
        ..subject("New")
    }
}

#[tokio::test]
async fn a_created_event_says_what_was_asked_for() {
    let desk = Desk::new().await;
    let fields = Fields {
        body: Some("Bring <numbers> & notes".to_owned()),
        location: Some("Room 4".to_owned()),
        show_as: Some(ShowAs::Oof),
        categories: Some(vec!["Blue category".to_owned()]),
        reminder: Some(Reminder::Minutes(0)),
        ..new_event()
    };
    let body = encode_create(&fields, "t-1", &desk.zones);
    let record = desk.graph.create(&desk.calendar, &body).await.unwrap();
    let expected = Fields {
        times: Some(Times { zone: Some("W. Europe Standard Time".to_owned()), ..times(2, 3) }),
        ..fields
    };
    let got = Fields::of(&record);
    assert_eq!(got.times, expected.times);
    assert_eq!((got.subject, got.body, got.location), (expected.subject, expected.body, expected.location));
    assert_eq!(
        (got.show_as, got.categories, got.reminder),
        (expected.show_as, expected.categories, expected.reminder)
    );
    assert_eq!(record.details.as_deref().unwrap().transaction_id.as_deref(), Some("t-1"));
    assert_eq!(desk.mails(&record.remote_id), [("invite", vec!["bela@contoso.example".to_owned()])]);
    assert_eq!(record, desk.read(&record.remote_id).await);

    let sent = desk.http.sent.lock().unwrap()[0].clone();
    let header = |name: &str| sent.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
    assert!(header("prefer").unwrap().contains("IdType=\"ImmutableId\""));
    assert_eq!(header("content-type").as_deref(), Some("application/json"));
    assert_eq!(header("if-match"), None);
}

#[tokio::test]
async fn whole_days_stay_the_days_they_were() {
    let desk = Desk::new().await;
    let day_ms = NOW_MS.div_euclid(DAY_MS) * DAY_MS;
    for zone in [None, Some("Pacific/Auckland".to_owned()), Some("America/Los_Angeles".to_owned())] {
        let times = Times { start_ms: day_ms, end_ms: day_ms + 2 * DAY_MS, is_all_day: true, zone };
        let fields = Fields { times: Some(times), ..subject("Fair") };
        let body = encode_create(&fields, "t", &desk.zones);
        desk.server.with(World::forget_transactions);
        let record = desk.graph.create(&desk.calendar, &body).await.unwrap();
        assert_eq!((record.start_ms, record.end_ms), (day_ms, day_ms + 2 * DAY_MS));
    }
}

#[tokio::test]
async fn an_hour_that_comes_twice_is_met_exactly() {
    let desk = Desk::new().await;
    // 2026-10-25T00:00:00Z and hour by hour over the end of summer time in Berlin.
    for hour in -2..4 {
        let start_ms = 1_792_886_400_000 + hour * HOUR_MS;
        let fields = Fields {
            times: Some(Times { start_ms, end_ms: start_ms + HOUR_MS, ..times(0, 0) }),
            ..subject("Night shift")
        };
        let body = encode_create(&fields, &format!("t{hour}"), &desk.zones);
        let record = desk.graph.create(&desk.calendar, &body).await.unwrap();
        assert_eq!((record.start_ms, record.end_ms), (start_ms, start_ms + HOUR_MS), "hour {hour}");
    }
}

#[tokio::test]
async fn a_create_whose_reply_was_lost_is_found_and_a_second_try_makes_no_second_event() {
    let desk = Desk::new().await;
    let body = encode_create(&new_event(), "t-1", &desk.zones);
    let times = times(2, 3);
    assert_eq!(desk.graph.find_created(&desk.calendar, &times, "t-1").await.unwrap(), None);

    desk.fault(RequestKind::Create, What::LoseReply);
    let fault = desk.graph.create(&desk.calendar, &body).await.unwrap_err();
    assert_eq!(fault, Fault::Unreachable(Broken::Reset));
    assert_eq!(reached(&fault), Reached::Maybe);

    let found = desk.graph.find_created(&desk.calendar, &times, "t-1").await.unwrap().unwrap();
    assert_eq!(desk.graph.find_created(&desk.calendar, &times, "t-2").await.unwrap(), None);
    let again = desk.graph.create(&desk.calendar, &body).await.unwrap();
    assert_eq!(again, found);

    let sent = desk.http.sent.lock().unwrap();
    let creates: Vec<_> = sent.iter().filter(|request| request.method == Method::Post).collect();
    assert_eq!(creates.len(), 2);
    assert_eq!(creates[0].body, creates[1].body, "byte for byte");
    drop(sent);
    let replays: Vec<bool> = desk.writes().iter().map(|(_, is_replay, _)| *is_replay).collect();
    assert_eq!(replays, [false, true]);
    assert_eq!(desk.server.with(|world| world.created_count(0, "t-1")), 1);
    assert_eq!(desk.mails(&found.remote_id).len(), 1, "invited once");
}

#[tokio::test]
async fn a_create_is_found_among_copies_and_over_pages() {
    let desk = Desk::new().await;
    for _ in 0..120 {
        desk.put(json!({"subject": "Crowd", "start": time(2), "end": time(3)}));
    }
    let body = encode_create(&new_event(), "t-1", &desk.zones);
    let record = desk.graph.create(&desk.calendar, &body).await.unwrap();
    let found = desk.graph.find_created(&desk.calendar, &times(2, 3), "t-1").await.unwrap();
    assert_eq!(found, Some(record.clone()));
    // Somebody has moved it a little meanwhile.
    let patch = members(json!({"start": time(2), "end": time(5)}));
    desk.edit(Edit::Update { id: record.remote_id.as_str().to_owned(), patch });
    let found = desk.graph.find_created(&desk.calendar, &times(2, 3), "t-1").await.unwrap().unwrap();
    assert_eq!(found.remote_id, record.remote_id);

    let day_ms = NOW_MS.div_euclid(DAY_MS) * DAY_MS;
    let days = Times { start_ms: day_ms, end_ms: day_ms + DAY_MS, is_all_day: true, zone: None };
    let fields = Fields { times: Some(days.clone()), ..subject("Fair") };
    let whole = desk.graph.create(&desk.calendar, &encode_create(&fields, "t-2", &desk.zones)).await.unwrap();
    assert_eq!(desk.graph.find_created(&desk.calendar, &days, "t-2").await.unwrap(), Some(whole));
}

#[tokio::test]
async fn every_way_a_write_fails_says_whether_it_was_done() {
    let desk = Desk::new().await;
    let status = |status, code: Option<&str>| What::Status {
        status,
        code: code.map(str::to_owned),
        body: Default::default(),
    };
    let throttle = |status| What::Throttle { retry_after: Some("0".to_owned()), status };
    let cases = [
        (What::Drop, Reached::Maybe, false),
        (What::LoseReply, Reached::Maybe, true),
        (What::FailAfter { status: 503, code: Some("ConcurrentItemSave".to_owned()) }, Reached::Maybe, true),
        (What::Truncate { bytes: 10 }, Reached::Maybe, true),
        (What::Garbage, Reached::Maybe, false),
        (What::CaptivePortal, Reached::No, false),
        (status(500, None), Reached::Maybe, false),
        (status(404, Some("ErrorItemNotFound")), Reached::No, false),
        (status(409, None), Reached::No, false),
        (What::Conflict, Reached::No, false),
        (throttle(429), Reached::No, false),
        (throttle(503), Reached::No, false),
    ];
    for (place, (what, expected, is_done)) in cases.into_iter().enumerate() {
        let transaction = format!("t-{place}");
        desk.fault(RequestKind::Create, what.clone());
        let body = encode_create(&new_event(), &transaction, &desk.zones);
        let fault = desk.graph.create(&desk.calendar, &body).await.unwrap_err();
        assert_eq!(reached(&fault), expected, "{what:?}: {fault:?}");
        let count = desk.server.with(|world| world.created_count(0, &transaction));
        assert_eq!(count, usize::from(is_done), "{what:?}");
    }
    // An action has no content to be read: what is no answer of Graph's is no success either.
    let id = desk.invitation();
    for what in [What::Garbage, What::CaptivePortal] {
        desk.fault(RequestKind::Action, what);
        let answer = desk.graph.respond(&desk.calendar, &id, Answer::Accept, "", false).await;
        assert!(answer.is_err());
    }
    assert_eq!(desk.mails(&id), []);

    desk.server.with(|world| world.set_network_down(true));
    let fault = desk.graph.create(&desk.calendar, b"{}").await.unwrap_err();
    // Over a socket a network that is down looks like a lost connection.
    assert_eq!(fault, Fault::Unreachable(Broken::Reset));
}

#[tokio::test]
async fn trouble_can_stick_to_one_event() {
    let desk = Desk::new().await;
    let (sick, well) = (desk.meeting(), desk.meeting());
    let what = What::Status { status: 503, code: None, body: Default::default() };
    desk.server.with(|world| world.add_fault(Rule::writes_to(sick.as_str(), what)));
    for _ in 0..3 {
        let fault = desk.change(&sick, None, &subject("x")).await.unwrap_err();
        assert_eq!(fault.kind(), "server_error");
    }
    assert_eq!(desk.read(&sick).await.remote_id, sick, "reading works");
    desk.change(&well, None, &subject("x")).await.unwrap();
}

#[tokio::test]
async fn a_patch_sends_nothing_but_what_was_changed() {
    let desk = Desk::new().await;
    let id = desk.meeting();
    let before = desk.read(&id).await;
    let record = desk.change(&id, before.change_key.as_deref(), &subject("Plan B")).await.unwrap();
    let (was, is) = (before.details.unwrap(), record.details.clone().unwrap());
    assert_eq!(is.subject.as_deref(), Some("Plan B"));
    assert_eq!((is.body, is.attendees), (was.body, was.attendees));
    assert_eq!(record, desk.read(&id).await);
    let sent = desk.http.sent.lock().unwrap().iter().find(|r| r.method == Method::Patch).unwrap().clone();
    assert_eq!(sent.body.as_deref(), Some(br#"{"subject":"Plan B"}"#.as_slice()));
    let key = format!("W/\"{}\"", before.change_key.unwrap());
    assert!(sent.headers.contains(&("if-match", key)));
    assert_eq!(desk.writes(), [("patch".to_owned(), false, vec!["subject".to_owned()])]);

    // Everybody is told of a change of the meeting, nobody of one that is personal.
    assert_eq!(desk.mails(&id).len(), 1);
    let personal = Fields { reminder: Some(Reminder::Off), show_as: Some(ShowAs::Free), ..Fields::default() };
    desk.change(&id, None, &personal).await.unwrap();
    assert_eq!(desk.mails(&id).len(), 1);
    // Of an attendee who joins, only they.
    let attendees = ["bela@contoso.example", "cem@contoso.example", "dora@contoso.example"].map(invitee);
    let fields = Fields { attendees: Some(attendees.to_vec()), ..Fields::default() };
    desk.change(&id, None, &fields).await.unwrap();
    assert_eq!(desk.mails(&id)[1], ("update", vec!["dora@contoso.example".to_owned()]));
}

#[tokio::test]
async fn a_stale_key_is_refused_and_a_fresh_one_taken() {
    let desk = Desk::new().await;
    let id = desk.meeting();
    let stale = desk.read(&id).await.change_key;
    desk.edit(Edit::Touch { id: id.as_str().to_owned() });
    let fault = desk.change(&id, stale.as_deref(), &subject("x")).await.unwrap_err();
    assert_eq!((fault.kind(), reached(&fault)), ("changed_meanwhile", Reached::No));
    let fault = desk.graph.delete(&desk.calendar, &id, stale.as_deref()).await.unwrap_err();
    assert_eq!(fault.kind(), "changed_meanwhile");
    assert_eq!(desk.writes(), []);

    let fresh = desk.read(&id).await.change_key;
    let record = desk.change(&id, fresh.as_deref(), &subject("x")).await.unwrap();
    assert_ne!(record.change_key, fresh, "the answer carries the next key");
    desk.graph.delete(&desk.calendar, &id, record.change_key.as_deref()).await.unwrap();
    let fault = desk.graph.delete(&desk.calendar, &id, None).await.unwrap_err();
    assert!(is_gone(&fault));
    assert!(is_gone(&desk.change(&id, None, &subject("y")).await.unwrap_err()));
    assert!(desk.mails(&id).iter().any(|(what, to)| *what == "cancel" && to.len() == 2));
}

#[tokio::test]
async fn one_occurrence_is_changed_and_deleted_and_its_series_stays() {
    let desk = Desk::new().await;
    let series = desk.put(json!({
        "subject": "Standup",
        "start": {"dateTime": "2026-03-02T09:00:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2026-03-02T09:30:00", "timeZone": "Europe/Berlin"},
        "recurrence": {
            "pattern": {"type": "daily", "interval": 1},
            "range": {"type": "numbered", "startDate": "2026-03-02", "numberOfOccurrences": 5}
        }
    }));
    let window = Window { from_ms: NOW_MS - DAY_MS, to_ms: NOW_MS + 10 * DAY_MS };
    let instances = desk.graph.instances(&desk.calendar, &series, window).await.unwrap();
    let second = &instances[1];
    let record = desk
        .change(&second.remote_id, second.change_key.as_deref(), &subject("Standup, longer"))
        .await
        .unwrap();
    assert_eq!(record.kind, calmirror::model::EventKind::Exception);
    assert_eq!(record.remote_id, second.remote_id);
    desk.graph.delete(&desk.calendar, &instances[2].remote_id, None).await.unwrap();
    let left = desk.graph.instances(&desk.calendar, &series, window).await.unwrap();
    let texts: Vec<_> = left.iter().map(|i| i.details.as_ref().unwrap().subject.clone().unwrap()).collect();
    assert_eq!(texts, ["Standup", "Standup, longer", "Standup", "Standup"]);
    desk.graph.delete(&desk.calendar, &series, None).await.unwrap();
    assert_eq!(desk.graph.read(&desk.calendar, &series).await.unwrap(), Lookup::Missing);
}

#[tokio::test]
async fn an_answer_is_told_to_the_organizer_unless_it_is_silent() {
    let desk = Desk::new().await;
    let (accepted, tentative, declined, silent) =
        (desk.invitation(), desk.invitation(), desk.invitation(), desk.invitation());
    let respond = |id: RemoteId, answer, is_silent| {
        let (graph, calendar) = (desk.graph.clone(), desk.calendar.clone());
        async move { graph.respond(&calendar, &id, answer, "see you", is_silent).await.unwrap() }
    };
    respond(accepted.clone(), Answer::Accept, false).await;
    respond(tentative.clone(), Answer::Tentative, false).await;
    respond(declined.clone(), Answer::Decline, false).await;
    respond(silent.clone(), Answer::Accept, true).await;
    let response = async |id: &RemoteId| desk.read(id).await.details.unwrap().response;
    assert_eq!(response(&accepted).await, Response::Accepted);
    assert_eq!(response(&tentative).await, Response::Tentative);
    assert_eq!(response(&silent).await, Response::Accepted);
    assert_eq!(desk.graph.read(&desk.calendar, &declined).await.unwrap(), Lookup::Missing);
    for id in [&accepted, &tentative, &declined] {
        assert_eq!(desk.mails(id), [("respond", vec!["bela@contoso.example".to_owned()])]);
    }
    assert_eq!(desk.mails(&silent), []);
    let own = desk.meeting();
    let fault = desk.graph.respond(&desk.calendar, &own, Answer::Accept, "", false).await.unwrap_err();
    assert!(matches!(fault, Fault::Refused { status: 400, .. }));
}

#[tokio::test]
async fn an_answer_takes_effect_later_and_the_event_shows_it_then() {
    let desk = Desk::with(Quirks { queued_ms: 1_500, ..Quirks::tame() }).await;
    let id = desk.invitation();
    desk.graph.respond(&desk.calendar, &id, Answer::Accept, "", false).await.unwrap();
    let response = async || desk.read(&id).await.details.unwrap().response;
    assert_eq!(response().await, Response::NotResponded);
    desk.clock.turn(1_500);
    assert_eq!(response().await, Response::Accepted);
}

#[tokio::test]
async fn a_meeting_is_called_off_and_sent_on() {
    let desk = Desk::new().await;
    let id = desk.meeting();
    let to = [
        Person { name: Some("Dora".to_owned()), address: Some("dora@contoso.example".to_owned()) },
        Person { name: None, address: Some("emil@contoso.example".to_owned()) },
    ];
    desk.graph.forward(&desk.calendar, &id, &to, "fyi").await.unwrap();
    desk.graph.cancel(&desk.calendar, &id, "ill").await.unwrap();
    let addresses = |names: &[&str]| names.iter().map(|n| format!("{n}@contoso.example")).collect::<Vec<_>>();
    assert_eq!(
        desk.mails(&id),
        [("forward", addresses(&["dora", "emil"])), ("cancel", addresses(&["bela", "cem"]))]
    );
    assert_eq!(desk.graph.read(&desk.calendar, &id).await.unwrap(), Lookup::Missing);
    let foreign = desk.invitation();
    let fault = desk.graph.cancel(&desk.calendar, &foreign, "").await.unwrap_err();
    assert!(matches!(fault, Fault::Refused { status: 400, .. }));
}

#[tokio::test]
async fn a_reminder_is_put_off_and_taken_away() {
    let desk = Desk::new().await;
    let id = desk.meeting();
    desk.graph.snooze(&desk.calendar, &id, NOW_MS + 300_000).await.unwrap();
    assert_eq!(desk.read(&id).await.details.unwrap().reminder_minutes, Some(15));
    desk.graph.dismiss(&desk.calendar, &id).await.unwrap();
    assert_eq!(desk.last_sent().body, None);
    assert_eq!(desk.read(&id).await.details.unwrap().reminder_minutes, None);
    let acts: Vec<String> = desk.writes().into_iter().map(|(what, ..)| what).collect();
    assert_eq!(acts, ["snoozeReminder", "dismissReminder"]);
    assert_eq!(desk.mails(&id), []);
}

#[tokio::test]
async fn an_online_meeting_survives_another_body() {
    let desk = Desk::new().await;
    let online = || {
        desk.put(json!({
            "subject": "Call", "start": time(0), "end": time(1), "isOnlineMeeting": true,
            "body": {"contentType": "html", "content": "<html><body><p>old notes</p></body></html>"}
        }))
    };
    let id = online();
    let before = desk.read(&id).await;
    let joins =
        |record: &EventRecord| record.details.as_ref().unwrap().online_meeting.clone().unwrap().join_url;
    assert!(joins(&before).is_some());
    let text = before.details.as_ref().unwrap().body.clone().unwrap();
    assert!(text.contains("old notes") && text.contains("join the meeting"));

    // The user edits the text as it is shown, block and all.
    let html = desk.graph.body_html(&desk.calendar, &id).await.unwrap().unwrap();
    let fields = Fields { body: Some(text.replace("old notes", "new <notes>")), ..Fields::default() };
    let body = meeting_body(&html, fields.body.as_deref().unwrap()).unwrap();
    let patch = encode_patch(&fields, &desk.zones, Some(&body));
    let record = desk.graph.patch(&desk.calendar, &id, before.change_key.as_deref(), &patch).await.unwrap();
    assert_eq!(joins(&record), joins(&before));
    let text = record.details.unwrap().body.unwrap();
    assert!(text.contains("new <notes>"), "{text}");
    assert_eq!(text.matches("Microsoft Teams meeting").count(), 1, "{text}");

    // What would happen otherwise.
    let other = online();
    desk.change(&other, None, &Fields { body: Some("new".to_owned()), ..Fields::default() }).await.unwrap();
    assert_eq!(desk.read(&other).await.details.unwrap().online_meeting, None);

    desk.graph.delete(&desk.calendar, &id, None).await.unwrap();
    assert_eq!(desk.graph.body_html(&desk.calendar, &id).await.unwrap(), None);
}

#[tokio::test]
async fn a_known_transaction_with_another_body_is_answered_as_the_server_likes() {
    let desk = Desk::new().await;
    let create = |text: &str| {
        let body = encode_create(&Fields { times: Some(times(2, 3)), ..subject(text) }, "t-1", &desk.zones);
        let (graph, calendar) = (desk.graph.clone(), desk.calendar.clone());
        async move { graph.create(&calendar, &body).await }
    };
    let first = create("One").await.unwrap();
    assert_eq!(create("Two").await.unwrap(), first);
    desk.server.with(|world| world.set_quirks(Quirks { strict_transactions: true, ..Quirks::tame() }));
    assert_eq!(create("One").await.unwrap(), first);
    let fault = create("Two").await.unwrap_err();
    assert!(matches!(fault, Fault::Refused { status: 409, .. }));
}

#[tokio::test]
async fn a_read_only_calendar_takes_nothing() {
    let desk = Desk::new().await;
    let document = json!({"users": [{"name": "Anna", "address": "anna@contoso.example", "calendars": [
        {"name": "Bela (shared)", "can_edit": false,
         "owner": {"name": "Bela", "address": "bela@contoso.example"}, "events": []}]}]});
    let mut world = World::from_document(&document.to_string(), 1, NOW_MS).unwrap();
    world.set_asks_for_tokens(false);
    let calendar = world.calendars(0).into_iter().find(|calendar| !calendar.can_edit).unwrap();
    let server = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        source: Source::World(Arc::new(Mutex::new(world))),
        clock: desk.clock.clone(),
    };
    let server = serve(server).await.unwrap();
    let graph = Graph::new(
        GraphSite::new(&server.origin(), None).unwrap(),
        desk.http.clone(),
        fixed_bearer(Secret::new("t")),
        desk.clock.clone(),
        Arc::new(SeededEntropy::from_seed(7)),
    );
    let body = encode_create(&new_event(), "t-1", &desk.zones);
    let fault = graph.create(&RemoteId::new(calendar.id), &body).await.unwrap_err();
    assert_eq!((fault.kind(), reached(&fault)), ("access_denied", Reached::No));
}

#[tokio::test]
async fn the_control_face_tells_writes_and_mails() {
    let desk = Desk::new().await;
    let body = encode_create(&new_event(), "t-1", &desk.zones);
    let record = desk.graph.create(&desk.calendar, &body).await.unwrap();
    desk.change(&record.remote_id, record.change_key.as_deref(), &subject("Newer")).await.unwrap();
    let id: String = url::form_urlencoded::byte_serialize(record.remote_id.as_str().as_bytes()).collect();

    let writes = desk.control(&format!("/writes?event={id}")).await;
    assert_eq!(writes["count"], 2);
    assert_eq!(writes["items"][0]["transaction_id"], "t-1");
    assert_eq!(writes["items"][1]["members"], json!(["subject"]));
    assert_eq!(writes["items"][1]["is_conditional"], true);
    assert_eq!(desk.control("/writes?transaction=t-1").await["count"], 1);
    assert_eq!(desk.control("/writes?transaction=t-2").await["count"], 0);
    let mails = desk.control(&format!("/mails?event={id}&what=invite")).await;
    assert_eq!(mails["count"], 1);
    assert_eq!(mails["items"][0]["to"], json!(["bela@contoso.example"]));
    assert_eq!(desk.server.with(|world| world.mail_count(0, record.remote_id.as_str(), "update")), 1);
    desk.server.with(World::clear_writes);
    assert_eq!(desk.control("/writes").await["count"], 0);
}
