//! Pull, situation by situation: the real flow and a real mirror against the emulator in memory.

use std::sync::Arc;

use calmirror::emulator::{Edit, InMemory, Quirks, RequestKind, Rule, What, When, World};
use calmirror::flow::pull::{PullOrder, PullPorts, PullReport, pull};
use calmirror::flow::sign_in::fixed_bearer;
use calmirror::mirror::{Mirror, Reader};
use calmirror::model::{DAY_MS, EventKind, EventView, Secret, Window};
use calmirror::ports::Clock;
use calmirror::sim::{SeededEntropy, VirtualClock};
use calmirror::source::graph::{Graph, GraphSite};
use serde_json::{Value, json};

/// Monday 2 March 2026, 08:00 UTC.
const NOW_MS: i64 = 1_772_438_400_000;
const HOUR_MS: i64 = 3_600_000;

const ORDER: PullOrder =
    PullOrder { is_full: false, is_asked: true, past_ms: 30 * DAY_MS, future_ms: 60 * DAY_MS };

/// A server with one mailbox and an engine's desk beside it.
struct Desk {
    server: InMemory,
    clock: Arc<VirtualClock>,
    mirror: Option<Mirror>,
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        let clock = Arc::new(VirtualClock::at(NOW_MS));
        let mut world = World::new(7, &[("Anna Berg", "anna@contoso.example")], "Europe/Berlin");
        world.set_asks_for_tokens(false);
        world.set_quirks(Quirks { empty_first_page_rate: 0.0, absent_master_rate: 0.0, ..Quirks::default() });
        Desk {
            server: InMemory::new(world, clock.clone()),
            clock,
            mirror: None,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("mirror.db")
    }

    fn edit(&self, edit: Edit) -> String {
        let now_ms = self.clock.now_ms();
        self.server.with(|world| world.edit(0, edit, now_ms)).unwrap().id
    }

    fn create(&self, subject: &str, start_ms: i64) -> String {
        self.create_in(None, subject, start_ms)
    }

    fn create_in(&self, calendar: Option<&str>, subject: &str, start_ms: i64) -> String {
        let event = json!({"subject": subject, "start": time(start_ms), "end": time(start_ms + HOUR_MS), "showAs": "busy"});
        self.edit(Edit::Create { calendar: calendar.map(str::to_owned), event: members(event) })
    }

    /// Every weekday at nine for four weeks.
    fn create_series(&self, subject: &str) -> String {
        let event = json!({
            "subject": subject,
            "start": {"dateTime": "2026-03-02T09:00:00", "timeZone": "Europe/Berlin"},
            "end": {"dateTime": "2026-03-02T09:30:00", "timeZone": "Europe/Berlin"},
            "recurrence": {
                "pattern": {"type": "daily", "interval": 1},
                "range": {"type": "numbered", "startDate": "2026-03-02", "numberOfOccurrences": 20}
            }
        });
        self.edit(Edit::Create { calendar: None, event: members(event) })
    }

    fn fault(&self, rule: Rule) {
        self.server.with(|world| world.add_fault(rule));
    }

    fn pull(&mut self) -> PullReport {
        self.pull_with(ORDER)
    }

    fn full(&mut self) -> PullReport {
        self.pull_with(PullOrder { is_full: true, ..ORDER })
    }

    fn pull_with(&mut self, order: PullOrder) -> PullReport {
        let path = self.path();
        let mut mirror =
            self.mirror.take().unwrap_or_else(|| Mirror::open(&path, self.clock.now_ms()).unwrap().0);
        let graph = Graph::new(
            GraphSite::new("https://graph.emulated.test", None).unwrap(),
            Arc::new(self.server.clone()),
            fixed_bearer(Secret::new("token")),
            self.clock.clone(),
            Arc::new(SeededEntropy::from_seed(1)),
        );
        let ports = PullPorts { clock: self.clock.clone(), entropy: Arc::new(SeededEntropy::from_seed(2)) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let report = runtime.block_on(pull(&mut mirror, &graph, &ports, order, &mut |_| {})).unwrap();
        self.mirror = Some(mirror);
        report
    }

    /// The engine is killed: nothing is closed, and the next pull opens the file anew.
    fn kill(&mut self) {
        self.mirror = None;
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.path()).unwrap()
    }

    fn rows(&self) -> Vec<EventView> {
        let window = Window { from_ms: NOW_MS - 400 * DAY_MS, to_ms: NOW_MS + 400 * DAY_MS };
        self.reader().overlapping(window, &[]).unwrap()
    }

    fn subjects(&self) -> Vec<String> {
        let mut subjects: Vec<String> =
            self.rows().into_iter().filter_map(|row| row.details.subject).collect();
        subjects.sort();
        subjects
    }

    /// Requests of a kind so far.
    fn requests(&self, kind: RequestKind) -> u64 {
        self.server.with(|world| world.count(kind))
    }

    /// Requests so far.
    fn sent(&self) -> u64 {
        self.server.with(|world| world.requests())
    }
}

fn time(ms: i64) -> Value {
    let text = calmirror::zones::Zone::utc().rfc3339(ms);
    json!({"dateTime": text.trim_end_matches("+00:00"), "timeZone": "UTC"})
}

fn members(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn hits(kind: RequestKind, count: u32, skip: u32, what: What) -> Rule {
    Rule { when: When { kind: Some(kind), skip, ..When::default() }, count, what }
}

#[test]
fn a_round_without_changes_is_one_request_a_calendar() {
    let mut desk = Desk::new();
    desk.edit(Edit::AddCalendar { name: "Second".into() });
    desk.create("Plan", NOW_MS);
    assert_eq!(desk.pull().fault, None);
    let before = desk.sent();
    let report = desk.pull_with(PullOrder { is_asked: false, ..ORDER });
    assert_eq!((report.calendars, report.pages, report.committed.inserted), (2, 2, 0));
    assert_eq!(desk.sent() - before, 2);
}

#[test]
fn the_coming_week_is_there_before_the_rest_of_the_window() {
    let mut desk = Desk::new();
    desk.create("Tomorrow", NOW_MS + DAY_MS);
    desk.create("In six weeks", NOW_MS + 42 * DAY_MS);
    // The full round never succeeds; the preview did.
    desk.fault(hits(
        RequestKind::Delta,
        0,
        0,
        What::Status { status: 500, code: None, body: Default::default() },
    ));
    let report = desk.pull();
    assert_eq!(report.fault.map(|f| f.kind()), Some("server_error"));
    assert_eq!(desk.subjects(), ["Tomorrow"]);
    assert_eq!(desk.reader().calendars().unwrap()[0].pulled_at_ms, None, "a preview is no complete pull");
    desk.server.with(World::clear_faults);
    assert_eq!(desk.pull().fault, None);
    assert_eq!(desk.subjects(), ["In six weeks", "Tomorrow"]);
}

#[test]
fn a_first_round_that_was_cut_off_resumes_at_its_next_page_after_a_restart() {
    let mut desk = Desk::new();
    for n in 0..700 {
        desk.create(&format!("{n:04}"), NOW_MS + 10 * DAY_MS + n * 60_000);
    }
    desk.fault(hits(RequestKind::Delta, 0, 2, What::Drop));
    let report = desk.pull();
    assert_eq!(report.fault.map(|f| f.kind()), Some("connection_lost"));
    let so_far = desk.subjects().len();
    assert!((200..700).contains(&so_far), "{so_far}");
    desk.kill();
    desk.server.with(World::clear_faults);
    let before = desk.requests(RequestKind::Delta);
    assert_eq!(desk.pull().fault, None);
    assert_eq!(desk.subjects().len(), 700);
    assert!(desk.requests(RequestKind::Delta) - before <= 3, "the pages that were read are not read again");
}

#[test]
fn occurrences_show_their_series_and_a_deleted_one_goes_though_nobody_says_so() {
    let mut desk = Desk::new();
    let series = desk.create_series("Standup");
    desk.pull();
    let rows = desk.rows();
    assert_eq!(rows.len(), 20);
    assert!(
        rows.iter()
            .all(|r| r.kind == EventKind::Occurrence && r.details.subject.as_deref() == Some("Standup"))
    );
    let occurrence = desk.server.with(|world| {
        let calendar = world.calendars(0)[0].id.clone();
        world.truth(0, &calendar, NOW_MS, NOW_MS + 60 * DAY_MS)[3].id.clone()
    });
    desk.edit(Edit::Delete { id: occurrence });
    let report = desk.pull();
    assert_eq!((report.fault, report.removed), (None, 1));
    assert_eq!(desk.rows().len(), 19);
    desk.edit(Edit::Update { id: series.clone(), patch: members(json!({"subject": "Daily"})) });
    desk.pull();
    assert!(desk.rows().iter().all(|row| row.details.subject.as_deref() == Some("Daily")));
    desk.edit(Edit::Delete { id: series });
    assert_eq!(desk.pull().removed, 19);
    assert!(desk.rows().is_empty());
}

#[test]
fn a_master_that_cannot_be_fetched_leaves_its_occurrences_visible_and_is_fetched_later() {
    let mut desk = Desk::new();
    desk.server.with(|world| {
        world.set_quirks(Quirks { ghost_masters: false, empty_first_page_rate: 0.0, ..Quirks::default() });
    });
    desk.create_series("Standup");
    let broken =
        What::Status { status: 500, code: Some("ErrorCorruptData".into()), body: Default::default() };
    desk.fault(hits(RequestKind::Event, 0, 0, broken));
    assert_eq!(desk.pull().fault, None, "one series does not stop the round");
    assert_eq!(desk.rows().len(), 20);
    desk.server.with(World::clear_faults);
    desk.clock.turn(2 * HOUR_MS);
    desk.pull();
    assert!(desk.rows().iter().all(|row| row.details.subject.as_deref() == Some("Standup")));
}

#[test]
fn an_event_that_leaves_the_window_and_comes_back_has_the_same_id() {
    let mut desk = Desk::new();
    let id = desk.create("Plan", NOW_MS + DAY_MS);
    desk.pull();
    let before = desk.rows()[0].key;
    let shift = |to_ms: i64| Edit::Update {
        id: id.clone(),
        patch: members(json!({"start": time(to_ms), "end": time(to_ms + HOUR_MS)})),
    };
    desk.edit(shift(NOW_MS + 200 * DAY_MS));
    assert_eq!(desk.pull().removed, 1);
    assert!(desk.rows().is_empty());
    desk.edit(shift(NOW_MS + 2 * DAY_MS));
    desk.pull();
    assert_eq!(desk.rows()[0].key, before);
}

#[test]
fn an_event_that_moves_between_calendars_keeps_its_id() {
    let mut desk = Desk::new();
    let second = desk.edit(Edit::AddCalendar { name: "Second".into() });
    let id = desk.create("Plan", NOW_MS);
    desk.pull();
    let before = desk.rows()[0].clone();
    desk.edit(Edit::Move { id, calendar: second });
    desk.pull();
    let rows = desk.rows();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].key, before.key);
    assert_ne!(rows[0].calendar, before.calendar);
}

#[test]
fn a_lost_token_rebuilds_beside_the_visible_rows() {
    let mut desk = Desk::new();
    let ids: Vec<String> = (0..30).map(|n| desk.create(&format!("{n:02}"), NOW_MS + n * HOUR_MS)).collect();
    desk.pull();
    let seq = desk.reader().changes(0, 1_000).unwrap().last().unwrap().seq;
    desk.edit(Edit::Delete { id: ids[3].clone() });
    desk.fault(hits(RequestKind::Delta, 1, 0, What::LoseToken));
    let report = desk.pull();
    assert_eq!((report.fault, report.removed), (None, 1));
    assert_eq!(desk.subjects().len(), 29);
    // Nothing blinked: the feed tells of the one event alone.
    assert_eq!(desk.reader().changes(seq, 1_000).unwrap().len(), 1);
}

#[test]
fn a_day_later_the_window_has_moved_and_silent_changes_are_found() {
    let mut desk = Desk::new();
    let id = desk.create("Plan", NOW_MS + DAY_MS);
    desk.create("In sixty days and a half", NOW_MS + 61 * DAY_MS + HOUR_MS);
    desk.pull();
    let former = desk.reader().calendars().unwrap()[0].window.unwrap();
    assert_eq!(desk.subjects(), ["Plan"]);
    desk.server.with(|world| world.set_quirks(Quirks { silent_change_rate: 1.0, ..Quirks::default() }));
    desk.edit(Edit::Update { id, patch: members(json!({"subject": "Another plan"})) });
    desk.pull();
    assert_eq!(desk.subjects(), ["Plan"], "delta omitted it");
    desk.clock.turn(25 * HOUR_MS);
    assert_eq!(desk.pull().fault, None);
    assert_eq!(desk.subjects(), ["Another plan", "In sixty days and a half"]);
    let window = desk.reader().calendars().unwrap()[0].window.unwrap();
    assert_eq!((window.from_ms - former.from_ms, window.to_ms - former.to_ms), (DAY_MS, DAY_MS));
}

#[test]
fn mass_deletion_is_held_until_the_events_come_back() {
    let mut desk = Desk::new();
    for n in 0..60 {
        desk.create(&format!("{n:02}"), NOW_MS + n * HOUR_MS);
    }
    desk.pull();
    desk.fault(hits(RequestKind::Delta, 1, 0, What::RemovalStorm));
    let report = desk.pull();
    assert_eq!((report.fault.clone(), report.removed), (None, 0));
    assert!(report.held >= 21, "{report:?}");
    assert_eq!(desk.subjects().len(), 60);
    assert!(desk.rows().iter().any(|row| row.is_unconfirmed));
    // A later full round brings them back.
    assert_eq!(desk.full().fault, None);
    assert!(desk.rows().iter().all(|row| !row.is_unconfirmed));
    assert_eq!(desk.subjects().len(), 60);
}

#[test]
fn mass_deletion_that_is_true_waits_for_the_user() {
    let mut desk = Desk::new();
    let ids: Vec<String> = (0..50).map(|n| desk.create(&format!("{n:02}"), NOW_MS + n * HOUR_MS)).collect();
    desk.pull();
    for id in &ids[..40] {
        desk.edit(Edit::Delete { id: id.clone() });
    }
    assert_eq!(desk.pull().held, 40);
    desk.full();
    assert_eq!(desk.rows().iter().filter(|row| row.is_unconfirmed).count(), 40);
    let calendar = desk.mirror.as_ref().unwrap().calendars().unwrap()[0].id;
    let removed = desk.mirror.as_mut().unwrap().accept_removals(calendar, NOW_MS).unwrap();
    assert_eq!((removed, desk.subjects().len()), (40, 10));
}

#[test]
fn twenty_removals_are_never_held() {
    let mut desk = Desk::new();
    let ids: Vec<String> = (0..20).map(|n| desk.create(&format!("{n:02}"), NOW_MS + n * HOUR_MS)).collect();
    desk.pull();
    for id in ids {
        desk.edit(Edit::Delete { id });
    }
    let report = desk.pull();
    assert_eq!((report.removed, report.held), (20, 0));
}

#[test]
fn a_tombstone_for_an_event_that_is_still_there_is_not_believed() {
    let mut desk = Desk::new();
    desk.create("Plan", NOW_MS);
    desk.create("Review", NOW_MS + HOUR_MS);
    desk.pull();
    desk.fault(hits(RequestKind::Delta, 1, 0, What::RemovalStorm));
    let report = desk.pull();
    assert_eq!((report.fault, report.removed, report.held), (None, 0, 0));
    assert_eq!(desk.subjects(), ["Plan", "Review"]);
}

#[test]
fn a_calendar_goes_only_when_the_server_says_so_itself() {
    let mut desk = Desk::new();
    let second = desk.edit(Edit::AddCalendar { name: "Second".into() });
    desk.create_in(Some(&second), "Plan", NOW_MS);
    desk.pull();
    let only_one = What::Raw { status: 200, headers: vec![], body: r#"{"value":[]}"#.into() };
    desk.fault(hits(RequestKind::Calendars, 1, 0, only_one));
    desk.pull();
    assert_eq!(desk.subjects(), ["Plan"], "an empty listing removes nothing");
    desk.edit(Edit::DeleteCalendar { calendar: second });
    desk.pull();
    assert!(desk.rows().is_empty());
}

#[test]
fn pages_that_never_end_are_left_for_a_plain_listing() {
    for what in [What::EndlessNext, What::SameLink] {
        let mut desk = Desk::new();
        for n in 0..5 {
            desk.create(&format!("{n}"), NOW_MS + n * HOUR_MS);
        }
        desk.fault(hits(RequestKind::Delta, 0, 0, what.clone()));
        assert_eq!(desk.pull().fault, None, "{what:?}");
        assert_eq!(desk.subjects().len(), 5, "{what:?}");
        assert!(desk.sent() < 700, "{what:?}");
    }
}

#[test]
fn a_shared_calendar_that_denies_page_two_is_listed_plainly_and_remembered() {
    let mut desk = Desk::new();
    for n in 0..3 {
        desk.create(&format!("{n}"), NOW_MS + n * HOUR_MS);
    }
    let second = desk.edit(Edit::AddCalendar { name: "Shared".into() });
    desk.create_in(Some(&second), "Theirs", NOW_MS);
    let denied =
        What::Status { status: 403, code: Some("ErrorAccessDenied".into()), body: Default::default() };
    let rule = Rule {
        when: When { path: Some("$deltatoken".into()), kind: Some(RequestKind::Delta), ..When::default() },
        count: 0,
        what: denied,
    };
    desk.pull();
    desk.fault(rule);
    assert_eq!(desk.pull().fault, None);
    desk.edit(Edit::Update {
        id: desk.create_in(Some(&second), "New", NOW_MS),
        patch: members(json!({"importance": "high"})),
    });
    let before = desk.requests(RequestKind::View);
    assert_eq!(desk.pull().fault, None);
    assert_eq!(desk.subjects(), ["0", "1", "2", "New", "Theirs"]);
    assert_eq!(desk.requests(RequestKind::View) - before, 2, "both calendars are listed plainly now");
}

#[test]
fn a_long_pause_is_honoured_after_a_restart() {
    let mut desk = Desk::new();
    desk.create("Plan", NOW_MS);
    desk.pull();
    desk.fault(hits(
        RequestKind::Delta,
        1,
        0,
        What::Throttle { retry_after: Some("600".into()), status: 429 },
    ));
    assert_eq!(desk.pull().fault.map(|f| f.kind()), Some("throttled"));
    desk.kill();
    let before = desk.sent();
    desk.clock.turn(5 * 60_000);
    assert_eq!(desk.pull().fault.map(|f| f.kind()), Some("throttled"));
    assert_eq!(desk.sent() - before, 0, "nothing is sent during a pause");
    desk.clock.turn(6 * 60_000);
    assert_eq!(desk.pull().fault, None);
}

#[test]
fn a_short_pause_is_waited_for() {
    let mut desk = Desk::new();
    desk.create("Plan", NOW_MS);
    desk.fault(hits(
        RequestKind::Delta,
        2,
        0,
        What::Throttle { retry_after: Some("2.128".into()), status: 429 },
    ));
    let before_ms = desk.clock.now_ms();
    assert_eq!(desk.pull().fault, None);
    assert!(desk.clock.now_ms() - before_ms >= 6_000, "fractions are rounded up, twice");
}

#[test]
fn without_a_network_nothing_changes_and_the_answer_says_how_old_it_is() {
    let mut desk = Desk::new();
    desk.create("Plan", NOW_MS);
    desk.pull();
    let pulled = desk.reader().calendars().unwrap()[0].pulled_at_ms;
    desk.server.with(|world| world.set_network_down(true));
    desk.clock.turn(HOUR_MS);
    assert_eq!(desk.pull().fault.map(|f| f.kind()), Some("offline"));
    assert_eq!(desk.subjects(), ["Plan"]);
    assert_eq!(desk.reader().calendars().unwrap()[0].pulled_at_ms, pulled);
}

#[test]
fn one_calendar_that_fails_does_not_stop_the_others() {
    let mut desk = Desk::new();
    let second = desk.edit(Edit::AddCalendar { name: "Second".into() });
    desk.pull();
    desk.create("Plan", NOW_MS);
    desk.create_in(Some(&second), "Review", NOW_MS);
    let broken = What::Status { status: 500, code: None, body: Default::default() };
    // The default calendar is pulled first, and gives up after four tries.
    desk.fault(hits(RequestKind::Delta, 4, 0, broken));
    let report = desk.pull();
    assert_eq!((report.failed, report.calendars), (1, 1));
    assert_eq!(desk.subjects(), ["Review"]);
}

#[test]
fn an_own_looking_rotation_of_the_version_tells_nobody() {
    let mut desk = Desk::new();
    let id = desk.create("Plan", NOW_MS);
    desk.pull();
    let seq = desk.reader().changes(0, 1_000).unwrap().last().unwrap().seq;
    desk.edit(Edit::Touch { id });
    let report = desk.pull();
    assert_eq!(report.committed.rekeyed, 1);
    assert!(desk.reader().changes(seq, 1_000).unwrap().is_empty());
}

// ---- what a review once found -------------------------------------------------------------------------------

impl Desk {
    fn hide_masters(&self) {
        let hiding = Quirks { empty_first_page_rate: 0.0, absent_master_rate: 1.0, ..Quirks::default() };
        self.server.with(|world| world.set_quirks(hiding));
    }

    fn with_sql(&mut self, sql: &str) {
        self.kill();
        rusqlite::Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }
}

/// A window that begins today: a series that began earlier has its first occurrence outside.
const FROM_TODAY: PullOrder = PullOrder { past_ms: 0, ..ORDER };

#[test]
fn a_series_pulled_without_delta_shows_its_new_details() {
    let mut desk = Desk::new();
    let series = desk.create_series("Old");
    desk.pull();
    desk.with_sql(&format!(
        "UPDATE calendar SET mode = 'snapshot', mode_at_ms = {NOW_MS}, delta_link = NULL"
    ));
    desk.pull();
    desk.edit(Edit::Update { id: series, patch: members(json!({"subject": "New"})) });
    desk.clock.turn(HOUR_MS);
    assert_eq!(desk.pull().fault, None);
    assert!(desk.subjects().iter().all(|subject| subject == "New"), "{:?}", desk.subjects());
}

#[test]
fn a_full_round_that_leaves_a_master_out_fetches_it() {
    let mut desk = Desk::new();
    desk.hide_masters();
    let series = desk.create_series("Old");
    desk.clock.turn(3 * DAY_MS);
    desk.pull_with(FROM_TODAY);
    desk.edit(Edit::Update { id: series, patch: members(json!({"subject": "New"})) });
    desk.server.with(World::evict_links);
    desk.clock.turn(HOUR_MS);
    assert_eq!(desk.pull_with(FROM_TODAY).fault, None);
    assert!(desk.subjects().iter().all(|subject| subject == "New"), "{:?}", desk.subjects());
}

#[test]
fn a_series_that_moves_between_calendars_keeps_its_occurrences_though_its_master_is_not_delivered() {
    let mut desk = Desk::new();
    desk.hide_masters();
    let second = desk.edit(Edit::AddCalendar { name: "Second".into() });
    let calendars = desk.server.with(|world| world.calendars(0));
    let first = calendars.into_iter().map(|calendar| calendar.id).find(|id| *id != second).unwrap();
    let series = desk.create_series("Moved");
    desk.edit(Edit::Move { id: series.clone(), calendar: second });
    desk.clock.turn(3 * DAY_MS);
    desk.pull_with(FROM_TODAY);
    let shown = desk.rows().len();
    desk.edit(Edit::Move { id: series, calendar: first });
    // The calendar it moves to is compared whole, so that its rows come without a master.
    desk.with_sql("UPDATE calendar SET full_at_ms = NULL WHERE is_default = 1");
    for _ in 0..3 {
        assert_eq!(desk.pull_with(FROM_TODAY).fault, None);
        assert_eq!(desk.rows().len(), shown);
    }
}

#[test]
fn a_calendar_that_goes_leaves_the_series_another_one_has_instances_of() {
    let mut desk = Desk::new();
    let second = desk.edit(Edit::AddCalendar { name: "Second".into() });
    let series = desk.create_series("Standup");
    desk.pull();
    desk.with_sql(
        "UPDATE event SET calendar_id = (SELECT id FROM calendar WHERE is_default = 0) WHERE kind = 'master'",
    );
    desk.edit(Edit::DeleteCalendar { calendar: second });
    assert_eq!(desk.pull().fault, None);
    assert_eq!(desk.rows().len(), 20);
    assert!(desk.subjects().iter().all(|subject| subject == "Standup"));
    desk.edit(Edit::Delete { id: series });
    assert_eq!(desk.pull().removed, 19 + 1);
}

#[test]
fn an_outage_is_over_when_any_calendar_is_reached() {
    let mut desk = Desk::new();
    desk.edit(Edit::AddCalendar { name: "Second".into() });
    desk.pull();
    desk.server.with(|world| world.set_network_down(true));
    desk.pull();
    desk.server.with(|world| world.set_network_down(false));
    desk.fault(hits(
        RequestKind::Delta,
        4,
        0,
        What::Status { status: 500, code: None, body: Default::default() },
    ));
    let report = desk.pull();
    assert_eq!((report.failed, report.calendars), (1, 1));
    assert_eq!(desk.reader().account().unwrap().failure.map(|failure| failure.kind), None);
}

#[test]
fn a_short_pause_in_a_look_up_is_waited_for() {
    let mut desk = Desk::new();
    desk.hide_masters();
    desk.create_series("Standup");
    let pause = || What::Throttle { retry_after: Some("2".into()), status: 429 };
    desk.fault(hits(RequestKind::Event, 1, 0, pause()));
    desk.fault(hits(RequestKind::Batch, 1, 0, pause()));
    assert_eq!(desk.pull().fault, None);
    assert!(desk.subjects().iter().all(|subject| subject == "Standup"));
}

#[test]
fn pages_become_large_again_after_outages() {
    let mut desk = Desk::new();
    desk.create("Plan", NOW_MS);
    desk.pull();
    for _ in 0..6 {
        desk.fault(hits(
            RequestKind::Delta,
            4,
            0,
            What::Status { status: 503, code: None, body: Default::default() },
        ));
        desk.pull();
    }
    desk.full();
    assert_eq!(desk.mirror.as_ref().unwrap().calendars().unwrap()[0].page_size, 200);
}

#[test]
fn a_full_round_that_loses_its_way_leaves_the_live_cursor_alone() {
    let mut desk = Desk::new();
    for n in 0..450 {
        desk.create(&format!("{n}"), NOW_MS + n * 60_000);
    }
    desk.pull();
    let when = When { path: Some("skiptoken".into()), ..When::default() };
    desk.fault(Rule { when, count: 0, what: What::LoseToken });
    desk.create("Late", NOW_MS);
    assert!(desk.full().fault.is_some());
    assert!(desk.subjects().contains(&"Late".to_owned()), "the round of changes brought it all the same");
}

#[test]
fn a_listing_of_calendars_that_breaks_does_not_stop_the_known_ones() {
    let mut desk = Desk::new();
    desk.pull();
    desk.create("Plan", NOW_MS);
    desk.fault(hits(
        RequestKind::Calendars,
        0,
        0,
        What::Status { status: 500, code: None, body: Default::default() },
    ));
    desk.pull();
    assert_eq!(desk.subjects(), ["Plan"]);
}

#[test]
fn a_full_round_that_ends_without_a_cursor_removes_nothing() {
    let mut desk = Desk::new();
    for n in 0..450 {
        desk.create(&format!("{n}"), NOW_MS + n * 60_000);
    }
    desk.pull();
    let when = When { path: Some("skiptoken".into()), ..When::default() };
    let cut = What::Raw { status: 200, headers: vec![], body: r#"{"value":[]}"#.into() };
    desk.fault(Rule { when, count: 0, what: cut });
    let report = desk.full();
    assert_eq!((report.fault.map(|f| f.kind()), report.removed), (Some("reply_unreadable"), 0));
    assert_eq!(desk.subjects().len(), 450);
}

#[test]
fn an_empty_preview_is_repeated_when_its_first_request_was_refused() {
    let mut desk = Desk::new();
    desk.create("Tomorrow", NOW_MS + DAY_MS);
    desk.fault(hits(
        RequestKind::View,
        1,
        0,
        What::Throttle { retry_after: Some("600".into()), status: 429 },
    ));
    desk.pull();
    assert!(desk.subjects().is_empty());
    desk.clock.turn(HOUR_MS);
    desk.fault(hits(
        RequestKind::Delta,
        0,
        0,
        What::Status { status: 500, code: None, body: Default::default() },
    ));
    desk.pull();
    assert_eq!(desk.subjects(), ["Tomorrow"]);
}

#[test]
fn the_feed_never_uses_a_number_again_not_even_after_a_rebuild() {
    let mut desk = Desk::new();
    desk.create("Plan", NOW_MS);
    desk.pull();
    let last = desk.reader().changes(0, 1_000).unwrap().last().unwrap().seq;
    desk.kill();
    std::fs::write(desk.path(), vec![b'x'; 8192]).unwrap();
    let _ = std::fs::remove_file(desk.dir.path().join("mirror.db-wal"));
    desk.clock.turn(60_000);
    desk.pull();
    let anew = desk.reader().changes(last, 1_000).unwrap();
    assert_eq!(anew.len(), 1, "a reader who goes on from the old number is told everything");
    let failure = desk.reader().account().unwrap().failure.map(|failure| failure.kind);
    assert_eq!(failure.as_deref(), Some("mirror_rebuilt"), "and status says why");
}
