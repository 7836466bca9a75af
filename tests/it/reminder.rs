//! Reminders told once: a synced mirror, fixed times, every look as a program that was started anew.

use std::path::PathBuf;

use calmirror::flow::reminder::{DUE_MAX, DueReminders, next_due_ms, take_due};
use calmirror::mirror::{Editor, Reader};
use calmirror::model::Key;
use calmirror::zones::{Zone, Zones};
use serde_json::{Value, json};

use crate::stage::{Emulator, Place, config_of};

const MINUTE_MS: i64 = 60_000;

struct Room {
    place: Place,
    emulator: Emulator,
    zone: Zone,
}

fn event(subject: &str, start: &str, end: &str, minutes: Option<i64>) -> Value {
    let at = |clock: &str| json!({"dateTime": format!("{{today+1}}T{clock}:00"), "timeZone": "W. Europe Standard Time"});
    json!({"subject": subject, "start": at(start), "end": at(end), "isReminderOn": minutes.is_some(),
        "reminderMinutesBeforeStart": minutes.unwrap_or(15)})
}

impl Room {
    fn open(own: &[Value], shared: &[Value]) -> Room {
        let mailbox = json!({
            "users": [{
                "name": "Anna Albrecht", "address": "anna@contoso.example", "time_zone": "W. Europe Standard Time",
                "calendars": [
                    {"name": "Calendar", "default": true, "events": own},
                    {"name": "Bela (shared)", "can_edit": true,
                     "owner": {"name": "Bela Baum", "address": "bela@contoso.example"}, "events": shared},
                ],
            }],
            "quirks": "tame",
        });
        let place = Place::new("");
        let file = place.dir.path().join("mailbox.json");
        std::fs::write(&file, mailbox.to_string()).unwrap();
        let emulator = Emulator::start(place.dir.path(), &["--mailbox", file.to_str().unwrap()]);
        std::fs::write(place.config_path(), config_of(&emulator.origin)).unwrap();
        place.run(&["login", "--device-code"]).ended(0);
        place.run(&["sync"]).ended(0);
        let zone = Zones::bundled().resolve("Europe/Berlin").unwrap();
        Room { place, emulator, zone }
    }

    fn path(&self) -> PathBuf {
        self.place.data_dir().join("anna").join("mirror.db")
    }

    fn found(&self, subject: &str) -> (Key, i64) {
        let reader = Reader::open(&self.path()).unwrap();
        let far = calmirror::model::Window { from_ms: 0, to_ms: i64::MAX / 2 };
        let views = reader.overlapping(far, &[]).unwrap();
        let view = views.into_iter().find(|view| view.details.subject.as_deref() == Some(subject)).unwrap();
        (view.key, view.start_ms)
    }

    fn take(&self, now_ms: i64) -> DueReminders {
        let reader = Reader::open(&self.path()).unwrap();
        let mut editor = Editor::open(&self.path()).unwrap();
        take_due(&reader, &mut editor, &self.zone, now_ms).unwrap()
    }

    fn next_ms(&self, now_ms: i64) -> Option<i64> {
        next_due_ms(&Reader::open(&self.path()).unwrap(), &self.zone, now_ms).unwrap()
    }

    fn told(&self, now_ms: i64) -> Vec<String> {
        let subject = |one: calmirror::flow::reminder::Reminder| one.entry.event.details.subject.unwrap();
        self.take(now_ms).items.into_iter().map(subject).collect()
    }
}

#[test]
fn each_reminder_is_told_once_and_what_came_due_meanwhile_in_one_list() {
    let declined = json!({"responseStatus": {"response": "declined"}});
    let mut no = event("declined", "10:00", "11:00", Some(15));
    no.as_object_mut().unwrap().extend(declined.as_object().unwrap().clone());
    let own = [
        event("long", "10:00", "11:00", Some(15)),
        event("at its start", "10:00", "10:05", Some(0)),
        event("never", "10:00", "11:00", None),
        event("short", "09:20", "09:24", Some(5)),
        no,
    ];
    let room = Room::open(&own, &[event("a colleague's", "10:00", "11:00", Some(15))]);
    let (long, ten_ms) = room.found("long");
    let at = |minutes: i64| ten_ms + minutes * MINUTE_MS;

    assert_eq!(room.told(at(-16)), [""; 0], "what was over before anybody looked is not told");
    assert_eq!(room.next_ms(at(-16)), Some(at(-15)), "the next is waited for");
    assert_eq!(room.told(at(-15)), ["long"]);
    assert_eq!(room.told(at(-15)), [""; 0], "a second look, or a restart, tells nothing");
    assert_eq!(room.told(at(2)), ["at its start"]);

    // Put off: it comes again, and once.
    let mut editor = Editor::open(&room.path()).unwrap();
    let session = editor.begin(at(3)).unwrap();
    session.put_reminder(long, ten_ms, Some(at(10))).unwrap();
    session.commit().unwrap();
    assert_eq!((room.told(at(3)).len(), room.next_ms(at(3))), (0, Some(at(10))));
    assert_eq!(room.told(at(90)), ["long"], "after a long sleep, also when the meeting is over");
    assert_eq!(room.told(at(91)), [""; 0]);

    // Ended: it does not come.
    let session = editor.begin(at(92)).unwrap();
    session.put_reminder(long, ten_ms, None).unwrap();
    session.commit().unwrap();
    assert_eq!(room.told(at(93)), [""; 0]);
}

#[test]
fn a_clock_put_back_tells_nothing_twice_and_a_moved_event_comes_anew() {
    let room = Room::open(&[event("planning", "10:00", "11:00", Some(15))], &[]);
    let (key, ten_ms) = room.found("planning");
    assert_eq!(room.told(ten_ms), ["planning"]);
    assert_eq!(room.told(ten_ms - 5 * MINUTE_MS), [""; 0]);

    let id = Reader::open(&room.path()).unwrap().event(key).unwrap().unwrap().remote_id.unwrap();
    let day = room.zone.rfc3339(ten_ms)[..10].to_owned();
    let at =
        |clock: &str| json!({"dateTime": format!("{day}T{clock}:00"), "timeZone": "W. Europe Standard Time"});
    let patch = json!({"start": at("12:00"), "end": at("13:00")});
    room.emulator.control("/edits", &json!({"edit": "update", "id": id, "patch": patch}));
    room.place.run(&["sync"]).ended(0);
    assert_eq!(room.told(ten_ms + 10 * MINUTE_MS), [""; 0]);
    assert_eq!(room.told(ten_ms + 110 * MINUTE_MS), ["planning"]);
}

#[test]
fn more_than_anybody_reads_is_told_as_a_number() {
    let many: Vec<Value> =
        (0..DUE_MAX + 3).map(|n| event(&format!("e{n}"), "10:00", "11:00", Some(0))).collect();
    let room = Room::open(&many, &[]);
    let (_, ten_ms) = room.found("e0");
    let told = room.take(ten_ms);
    assert_eq!((told.items.len(), told.more), (DUE_MAX, 3));
    assert_eq!(room.take(ten_ms).items.len(), 0);
}
