//! The service seen by a small client written for these tests only: it follows links, recomputes touched
//! series, and has to end with what is really there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

const NOW_MS: i64 = 1_780_000_000_000;
const DAY_MS: i64 = 86_400_000;
const IMMUTABLE: &str = "IdType=\"ImmutableId\"";

pub(super) fn call(method: &str, target: &str, prefer: &str, body: &str) -> Call {
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    if !prefer.is_empty() {
        headers.push(("prefer".into(), prefer.into()));
    }
    Call {
        method: method.into(),
        origin: "http://graph.test".into(),
        target: target.into(),
        headers,
        bearer: None,
        body: body.as_bytes().to_vec(),
    }
}

pub(super) struct Got {
    pub status: u16,
    pub body: Value,
    pub answer: Answer,
}

impl Got {
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or("")
    }
    pub fn rows(&self) -> &[Value] {
        self.body["value"].as_array().map_or(&[], Vec::as_slice)
    }
    pub fn link(&self, name: &str) -> Option<String> {
        Some(self.body[name].as_str()?.strip_prefix("http://graph.test")?.to_owned())
    }
}

pub(super) fn ask(world: &mut World, call: &Call, now_ms: i64) -> Got {
    let answer = world.answer(call, now_ms);
    world.finished();
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    Got { status: answer.status, body, answer }
}

pub(super) fn get(world: &mut World, target: &str) -> Got {
    ask(world, &call("GET", target, IMMUTABLE, ""), NOW_MS)
}

fn seeded(seed: u64, events: usize) -> World {
    let mut world = World::seeded(Seeding { seed, events, now_ms: NOW_MS });
    world.set_asks_for_tokens(false);
    world
}

fn day(offset: i64) -> String {
    super::zone::whole_seconds((NOW_MS.div_euclid(DAY_MS) + offset) * DAY_MS)
}

fn window() -> (i64, i64) {
    let today = NOW_MS.div_euclid(DAY_MS);
    ((today - 30) * DAY_MS, (today + 365) * DAY_MS)
}

fn encoded(id: &str) -> String {
    super::wire::percent_encoded(id)
}

/// The client.
struct Client {
    calendar: String,
    link: Option<String>,
    rows: BTreeMap<String, Value>,
    page_rows: usize,
}

impl Client {
    fn new(calendar: &str, page_rows: usize) -> Client {
        Client { calendar: calendar.into(), link: None, rows: BTreeMap::new(), page_rows }
    }

    fn path(&self) -> String {
        format!("/v1.0/me/calendars/{}", encoded(&self.calendar))
    }

    fn round(&mut self, world: &mut World, now_ms: i64) {
        let mut link = self.link.take().unwrap_or_else(|| {
            format!("{}/calendarView/delta?startDateTime={}&endDateTime={}", self.path(), day(-30), day(365))
        });
        let prefer = format!("odata.maxpagesize={}, {IMMUTABLE}", self.page_rows);
        let mut dirty = BTreeSet::new();
        loop {
            let got = ask(world, &call("GET", &link, &prefer, ""), now_ms);
            assert_eq!(got.status, 200, "{}", got.body);
            for row in got.rows() {
                self.take(row, &mut dirty);
            }
            match (got.link("@odata.nextLink"), got.link("@odata.deltaLink")) {
                (Some(next), None) => link = next,
                (None, Some(delta)) => {
                    self.link = Some(delta);
                    break;
                }
                other => panic!("exactly one link is expected, not {other:?}"),
            }
        }
        for series in dirty {
            self.recompute(world, &series, now_ms);
        }
    }

    fn take(&mut self, row: &Value, dirty: &mut BTreeSet<String>) {
        let id = row["id"].as_str().unwrap().to_owned();
        let of_series = |r: &Value| r["seriesMasterId"].as_str() == Some(&id);
        if row.get("@removed").is_some() {
            self.rows.remove(&id);
            self.rows.retain(|_, r| !of_series(r));
            return;
        }
        match row["type"].as_str().unwrap() {
            "seriesMaster" => {
                self.rows.remove(&id);
                dirty.insert(id);
            }
            "singleInstance" => {
                self.rows.retain(|_, r| !of_series(r));
                self.rows.insert(id, row.clone());
            }
            _ => {
                dirty.insert(row["seriesMasterId"].as_str().unwrap().to_owned());
            }
        }
    }

    fn recompute(&mut self, world: &mut World, series: &str, now_ms: i64) {
        self.rows.retain(|_, r| r["seriesMasterId"].as_str() != Some(series));
        let mut link = Some(format!(
            "{}/events/{}/instances?startDateTime={}&endDateTime={}&$top=50",
            self.path(),
            encoded(series),
            day(-30),
            day(365)
        ));
        while let Some(target) = link {
            let got = ask(world, &call("GET", &target, IMMUTABLE, ""), now_ms);
            if got.status != 200 {
                // Removed, or single by now: its own row tells.
                assert!(matches!(got.status, 404 | 400), "{}", got.body);
                return;
            }
            for row in got.rows() {
                self.rows.insert(row["id"].as_str().unwrap().to_owned(), row.clone());
            }
            link = got.link("@odata.nextLink");
        }
    }

    fn assert_true(&self, world: &World, what: &str) {
        let (from, to) = window();
        let truth = world.truth(0, &self.calendar, from, to);
        let wanted: Vec<(&str, i64, i64, Option<&str>, bool)> = truth
            .iter()
            .map(|i| (i.id.as_str(), i.start_ms, i.end_ms, i.subject.as_deref(), i.is_cancelled))
            .collect();
        let time =
            |r: &Value, n: &str| super::zone::parse_instant(r[n]["dateTime"].as_str().unwrap()).unwrap();
        let mut mine: Vec<(&str, i64, i64, Option<&str>, bool)> = self
            .rows
            .iter()
            .map(|(id, r)| {
                (
                    id.as_str(),
                    time(r, "start"),
                    time(r, "end"),
                    r["subject"].as_str(),
                    r["isCancelled"] == true,
                )
            })
            .collect();
        mine.sort_by(|a, b| (a.1, a.2, a.0).cmp(&(b.1, b.2, b.0)));
        assert_eq!(mine.len(), wanted.len(), "{what}");
        assert_eq!(mine, wanted, "{what}");
    }
}

#[test]
fn a_seed_makes_the_same_mailbox_again_and_has_the_promised_mix() {
    let (mut one, mut two) = (seeded(5, 1_000), seeded(5, 1_000));
    let list = "/v1.0/me/calendars?$top=50";
    assert_eq!(get(&mut one, list).body, get(&mut two, list).body);
    let (from, to) = window();
    let mut kinds = BTreeMap::new();
    for calendar in one.calendars(0) {
        let truth = one.truth(0, &calendar.id, from, to);
        assert_eq!(truth, two.truth(0, &calendar.id, from, to));
        for instance in truth {
            *kinds.entry(instance.kind).or_insert(0) += 1;
        }
    }
    let of = |kind| kinds.get(&kind).copied().unwrap_or(0);
    assert!((690..=710).contains(&of(InstanceKind::Single)), "{kinds:?}");
    assert_eq!(kinds.values().sum::<i32>(), 1_000, "{kinds:?}");
    assert!((20..=90).contains(&of(InstanceKind::Exception)), "{kinds:?}");
}

#[test]
fn delta_rounds_and_recomputed_series_end_with_the_truth_whatever_happened_between() {
    for seed in 0..6 {
        let mut world = seeded(seed, 90);
        match seed % 3 {
            0 => {}
            1 => world.set_quirks(Quirks { strict_links: true, duplicate_rate: 0.3, ..Quirks::default() }),
            _ => world.set_quirks(Quirks::tame()),
        }
        let calendars: Vec<String> =
            world.calendars(0).into_iter().filter(|c| !c.denies_page_two).map(|c| c.id).collect();
        let mut clients: Vec<Client> =
            calendars.iter().enumerate().map(|(n, id)| Client::new(id, [5, 50, 200][n % 3])).collect();
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut done = Vec::new();
        for turn in 0..6 {
            let now_ms = NOW_MS + turn * 60_000;
            world.settle(now_ms);
            clients.retain(|c| world.calendars(0).iter().any(|t| t.id == c.calendar));
            for client in &mut clients {
                client.round(&mut world, now_ms);
                client.assert_true(&world, &format!("seed {seed}, turn {turn}: {done:?}"));
            }
            done = (0..25).map(|_| world.random_edit(0, &mut rng, now_ms).what).collect();
        }
    }
}

#[test]
fn random_edits_are_of_every_kind_and_the_same_from_the_same_seed() {
    let run = || {
        let mut world = seeded(3, 200);
        let mut rng = fastrand::Rng::with_seed(3);
        let done: Vec<Edited> =
            (0..1_500).map(|n| world.random_edit(0, &mut rng, NOW_MS + n * 1_000)).collect();
        world.settle(NOW_MS + 3_600_000);
        assert!(world.is_settled());
        (done, world)
    };
    let ((one, mut a), (two, mut b)) = (run(), run());
    assert_eq!(one, two);
    let list = "/v1.0/me/events?$top=1000";
    assert_eq!(get(&mut a, list).body, get(&mut b, list).body);
    let kinds: BTreeSet<&str> = one.iter().map(|e| e.what).collect();
    for kind in [
        "create",
        "create outside",
        "create series",
        "update",
        "shift",
        "move out",
        "move in",
        "delete",
        "delete series",
        "delete occurrence",
        "except",
        "revert",
        "change calendar",
        "make single",
        "make series",
        "respond",
        "cancel",
        "shift series",
        "change series",
        "all day",
        "touch",
        "add calendar",
        "rename calendar",
        "delete calendar",
    ] {
        assert!(kinds.contains(kind), "{kind} is missing from {kinds:?}");
    }
}
