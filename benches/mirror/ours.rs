//! Ours: the real path, from the socket to the committed row.

use std::net::SocketAddr;
use std::path::Path;

use calmirror::merge::{Frame, Pass, RemovalVerdict, plan, prepare};
use calmirror::mirror::{Cursor, Mirror, RoundEnd, RoundPlace};
use calmirror::model::*;

use crate::bare;
use crate::data::{CALENDAR_ID, DAY_MS, NOW_MS, REACH_DAYS};

/// The engine's runtime.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

pub struct Session {
    mirror: Mirror,
    address: SocketAddr,
    runtime: tokio::runtime::Runtime,
}

impl Session {
    pub fn start(address: SocketAddr, file: &Path) -> Session {
        let (mirror, _) = Mirror::open(file, NOW_MS).unwrap();
        Session { mirror, address, runtime: runtime() }
    }

    pub fn pull_all(&mut self) -> u64 {
        let client = bare::client();
        let window = Window { from_ms: NOW_MS - REACH_DAYS * DAY_MS, to_ms: NOW_MS + REACH_DAYS * DAY_MS };
        let record = CalendarRecord {
            remote_id: RemoteId::new(CALENDAR_ID),
            name: "c".to_owned(),
            color: None,
            owner_name: None, owner_address: None,
            is_default: true,
            can_edit: true,
        };
        self.mirror.put_calendars(&[record], NOW_MS).unwrap();
        let calendar = self.mirror.calendars().unwrap().remove(0);
        let round = self.mirror.begin_round(calendar.id, window, NOW_MS).unwrap();
        let place = RoundPlace { calendar_id: calendar.id, generation: round.generation, window };
        let frame = Frame { calendar_id: calendar.id, generation: round.generation, pass: Pass::Full };
        let link = format!("http://{}/v1.0/me/calendars/{CALENDAR_ID}/calendarView/delta?startDateTime=a&endDateTime=b", self.address);
        let Session { mirror, runtime, .. } = self;
        runtime.block_on(async {
            let start = |link: String| {
                let client = client.clone();
                tokio::spawn(async move {
                    let bytes = bare::fetch(&client, &link).await;
                    let (changes, next) = bare::decode_for_ours(&bytes);
                    let rows = changes.len() as u64;
                    (prepare(changes), next, rows)
                })
            };
            let mut rows = 0;
            let mut fetching = start(link);
            loop {
                let (incoming, next, count) = fetching.await.unwrap();
                rows += count;
                let ahead = next.as_ref().map(|n| start(n.clone()));
                let link = next.as_ref().map(|n| Link::new(n.clone()));
                let stored = mirror.stored(incoming.iter().map(|i| i.key())).unwrap();
                let plan = plan(frame, incoming, &stored);
                let cursor = match &link {
                    Some(link) => Cursor::Next { link, skipped: 0 },
                    None => Cursor::Keep,
                };
                mirror.commit_page(&plan, &cursor, NOW_MS).unwrap();
                match ahead {
                    Some(a) => fetching = a,
                    None => break,
                }
            }
            let t = std::time::Instant::now();
            mirror.stage_unseen(&place, NOW_MS).unwrap();
            mirror.count_staged(place.calendar_id).unwrap();
            let end = RoundEnd { place, is_full: true, delta_link: Some(&Link::new("x")), skipped: 0 };
            mirror.end_round(&end, RemovalVerdict::Apply, NOW_MS).unwrap();
            if std::env::var("V").is_ok() {
                eprintln!("end of round {:?}", t.elapsed());
            }
            rows
        })
    }

    pub fn close(self) {
        self.mirror.close().unwrap();
    }
}
