//! Mailboxes made up from a seed.

use serde_json::{Map, Value, json};

use super::fields::{Attendee, Body, Fields, Person};
use super::mailbox::Mailbox;
use super::recurrence::{Pattern, Range, Recurrence, Weekdays};
use super::text;
use super::world::World;
use super::zone::{self, DAY_MS};

/// What a generated window holds before and after now.
pub(crate) const PAST_DAYS: i32 = 30;
pub(crate) const FUTURE_DAYS: i32 = 365;
const ZONE: &str = "W. Europe Standard Time";
const LABELS: [(&str, &str, u32); 9] = [
    (ZONE, ZONE, 62),
    ("Europe/Berlin", "Europe/Berlin", 10),
    ("UTC", "UTC", 10),
    (ZONE, "tzone://Microsoft/Custom", 4),
    ("UTC", "tzone://Microsoft/Utc", 3),
    (ZONE, "", 3),
    ("Pacific Standard Time", "Pacific Standard Time", 4),
    ("India Standard Time", "India Standard Time", 2),
    ("Lord Howe Standard Time", "Lord Howe Standard Time", 2),
];
/// Name, colour, its share of a thousand events, writable, shared, denies page two.
const CALENDARS: [(&str, &str, usize, bool, bool, bool); 11] = [
    ("Team", "lightGreen", 110, true, false, false),
    ("Bela (shared)", "lightYellow", 40, false, true, false),
    ("Room 2.17", "lightOrange", 25, true, true, true),
    ("Birthdays", "lightPink", 8, false, false, false),
    ("Holidays", "lightTeal", 7, false, false, false),
    ("Project Atlas", "lightBlue", 20, true, false, false),
    ("Project Vega", "lightGray", 10, true, false, false),
    ("Sports", "lightRed", 10, true, false, false),
    ("School", "lightBrown", 5, true, false, false),
    ("Trips", "auto", 5, true, false, false),
    ("Empty", "maxColor", 0, true, false, false),
];

/// What to make up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeding {
    /// The seed; the same seed and time give the same mailboxes.
    pub seed: u64,
    /// How many rows the first mailbox's calendars hold in the window of 30 days before and 365 days after now:
    /// 70 % single events, 25 % occurrences, 5 % exceptions. A few more lie outside.
    pub events: usize,
    /// The present, UTC epoch milliseconds.
    pub now_ms: i64,
}

impl World {
    /// Two users with mailboxes made up from a seed: twelve calendars for the first (two of them shared, one of
    /// which denies page 2 of delta), two for the second.
    pub fn seeded(seeding: Seeding) -> World {
        let users = [("Anna Albrecht", "anna@contoso.example"), ("Bela Baum", "bela@contoso.example")];
        let mut world = World::new(seeding.seed, &users, ZONE);
        let mut rng = fastrand::Rng::with_seed(seeding.seed ^ 0xCA1E_17DA);
        for (n, mailbox) in world.mailboxes.iter_mut().enumerate() {
            let now_ms = seeding.now_ms;
            let mut seeder = Seeder { mailbox, rng: &mut rng, now_ms };
            if n == 0 {
                seeder.first_mailbox(seeding.events);
            } else {
                let calendar = seeder.mailbox.default_calendar;
                seeder.mailbox.add_calendar("Private");
                seeder.fill(calendar, (seeding.events / 10).min(200));
            }
        }
        world
    }
}

impl World {
    /// A company: `users` users (`user0@contoso.example`, …) with one calendar each, made up from a seed with
    /// `seeding.events` rows.
    pub fn company(seeding: Seeding, users: usize) -> World {
        let named: Vec<_> =
            (0..users).map(|n| (format!("User {n}"), format!("user{n}@contoso.example"))).collect();
        let named: Vec<_> = named.iter().map(|(name, address)| (name.as_str(), address.as_str())).collect();
        let mut world = World::new(seeding.seed, &named, ZONE);
        for user in 0..users {
            world.fill(user, seeding);
        }
        world
    }

    /// Adds `seeding.events` made-up rows to the default calendar of `user`.
    pub fn fill(&mut self, user: usize, seeding: Seeding) {
        let salt = u64::try_from(user).unwrap_or(0);
        let mut rng = fastrand::Rng::with_seed(seeding.seed ^ 0xCA1E_17DA ^ (salt << 32));
        let Some(mailbox) = self.mailboxes.get_mut(user) else { return };
        let mut seeder = Seeder { mailbox, rng: &mut rng, now_ms: seeding.now_ms };
        let calendar = seeder.mailbox.default_calendar;
        seeder.fill(calendar, seeding.events);
    }
}

/// Makes up events in one mailbox.
pub(crate) struct Seeder<'a> {
    pub mailbox: &'a mut Mailbox,
    pub rng: &'a mut fastrand::Rng,
    pub now_ms: i64,
}

impl Seeder<'_> {
    fn first_mailbox(&mut self, events: usize) {
        let default = self.mailbox.default_calendar;
        let mut left = events;
        for (name, color, share, can_edit, is_shared, denies) in CALENDARS {
            let serial = self.mailbox.add_calendar(name);
            if let Some(calendar) = self.mailbox.calendars.get_mut(&serial) {
                calendar.color = color;
                calendar.can_edit = can_edit;
                calendar.denies_page_two = denies;
                calendar.can_view_private = !is_shared;
                calendar.is_removable = can_edit;
                if is_shared {
                    calendar.owner =
                        Some(Person { name: "Bela Baum".into(), address: "bela@contoso.example".into() });
                }
                if name == "Team" {
                    calendar.hex_color = "#33aa55";
                }
            }
            let count = (events * share / 1_000).min(left);
            left -= count;
            self.fill(serial, count);
        }
        self.fill(default, left);
    }

    /// The days the generated rows lie in, with a margin to the window's edges.
    fn days(&self) -> (i32, i32) {
        let today = zone::utc_day(self.now_ms);
        (today - PAST_DAYS + 2, today + FUTURE_DAYS - 2)
    }

    fn fill(&mut self, calendar: u64, count: usize) {
        let singles = count * 7 / 10;
        let (first, last) = self.days();
        for _ in 0..singles {
            let day = self.rng.i32(first..last);
            let fields = self.single(day);
            let made_ms = self.made_ms(day);
            self.mailbox.add(calendar, fields, None, made_ms);
        }
        let mut left = count - singles;
        while left > 0 {
            left -= self.series(calendar, left).clamp(1, left);
        }
        // A few beyond the window, which only `@removed` and ghosts may tell of.
        for _ in 0..count / 100 {
            let day = if self.rng.bool() {
                first - 40 - self.rng.i32(0..900)
            } else {
                last + 40 + self.rng.i32(0..900)
            };
            let fields = self.single(day);
            let made_ms = self.made_ms(day);
            self.mailbox.add(calendar, fields, None, made_ms);
        }
    }

    /// Made some days before it takes place, and before now.
    fn made_ms(&mut self, day: i32) -> i64 {
        let start = i64::from(day) * DAY_MS;
        let latest = start.min(self.now_ms) - 3_600_000;
        latest - self.rng.i64(0..40 * DAY_MS)
    }

    /// A single event on a day.
    pub fn single(&mut self, day: i32) -> Fields {
        let mut fields = self.fields();
        let roll = self.rng.u32(0..1000);
        if roll < 40 {
            fields.is_all_day = true;
            fields.start_ms = i64::from(day) * DAY_MS;
            fields.end_ms = fields.start_ms + i64::from(self.rng.i32(1..4)) * DAY_MS;
            fields.show_as = if self.rng.bool() { "oof" } else { "free" };
        } else {
            self.clock(&mut fields, day);
            if roll < 48 {
                fields.end_ms = fields.start_ms;
            } else if roll < 58 {
                fields.end_ms = fields.start_ms + self.rng.i64(14..40) * 3_600_000;
            }
        }
        fields
    }

    /// Puts an event at a working hour of a day, in its own zone.
    fn clock(&mut self, fields: &mut Fields, day: i32) {
        let minute = i16::try_from(self.rng.u32(28..76) * 15).unwrap_or(540);
        let (hour, minute) = (i8::try_from(minute / 60).unwrap_or(9), i8::try_from(minute % 60).unwrap_or(0));
        let wall = zone::date_of(day).at(hour, minute, 0, 0);
        fields.start_ms = zone::instant(wall, &fields.zone);
        let minutes = self.rng.choice([15, 25, 30, 30, 30, 45, 60, 60, 60, 90, 120, 180]).unwrap_or(30);
        fields.end_ms = fields.start_ms + minutes * 60_000;
    }

    /// Everything but the times.
    pub fn fields(&mut self) -> Fields {
        let mut fields = Fields::new(0, 0);
        let seed = self.rng.u64(..);
        fields.subject = Some(text::subject(seed));
        fields.body = Body::Seeded(seed);
        fields.location = if self.rng.u32(0..10) < 7 { text::place(seed) } else { String::new() };
        let mut roll = self.rng.u32(0..100);
        for (zone, label, share) in LABELS {
            if roll < share {
                fields.zone = zone::resolve(zone).unwrap_or(jiff::tz::TimeZone::UTC);
                fields.zone_label = label.into();
                break;
            }
            roll -= share;
        }
        fields.show_as = self
            .rng
            .choice(["busy", "busy", "busy", "busy", "busy", "tentative", "free", "oof", "workingElsewhere"])
            .unwrap_or("busy");
        fields.sensitivity = match self.rng.u32(0..100) {
            0..4 => "private",
            4..5 => "confidential",
            5..6 => "personal",
            _ => "normal",
        };
        fields.importance = if self.rng.u32(0..20) == 0 { "high" } else { "normal" };
        if self.rng.u32(0..5) == 0 {
            fields.categories = vec![
                self.rng
                    .choice(["Blue category", "Green category", "Red category"])
                    .unwrap_or("Blue category")
                    .into(),
            ];
        }
        fields.is_reminder_on = self.rng.u32(0..10) < 8;
        fields.reminder_minutes = self.rng.choice([0, 5, 10, 15, 15, 15, 30, 60]).unwrap_or(15);
        if self.rng.u32(0..10) < 6 {
            self.meeting(&mut fields);
        }
        if self.rng.u32(0..100) < 35 {
            fields.is_online = true;
            fields.provider = "teamsForBusiness";
            fields.join_url = Some(super::change::join_url(seed, 1));
        }
        fields
    }

    fn meeting(&mut self, fields: &mut Fields) {
        let count = self.rng.usize(1..13);
        for _ in 0..count {
            let seed = self.rng.u64(..);
            let domain = if seed.is_multiple_of(4) { "fabrikam.example" } else { "contoso.example" };
            fields.attendees.push(Attendee {
                person: text::person(seed, domain),
                kind: self.rng.choice(["required", "required", "required", "optional"]).unwrap_or("required"),
                response: self
                    .rng
                    .choice(["none", "accepted", "accepted", "tentativelyAccepted", "declined"])
                    .unwrap_or("none"),
                answered_ms: 0,
            });
        }
        if self.rng.u32(0..10) < 5 {
            fields.organizer = Some(text::person(self.rng.u64(..), "contoso.example"));
            fields.response = self
                .rng
                .choice(["accepted", "accepted", "tentativelyAccepted", "notResponded", "none"])
                .unwrap_or("none");
            let me =
                Person { name: self.mailbox.user.name.clone(), address: self.mailbox.user.address.clone() };
            fields.attendees.push(Attendee {
                person: me,
                kind: "required",
                response: fields.response,
                answered_ms: 0,
            });
            if self.rng.u32(0..50) == 0 {
                fields.is_cancelled = true;
                fields.subject = fields.subject.as_ref().map(|s| format!("Canceled: {s}"));
                fields.show_as = "free";
            }
        }
        if self.rng.u32(0..40) == 0 {
            fields.attendees.push(Attendee {
                person: Person { name: "Room 2.17".into(), address: "room217@contoso.example".into() },
                kind: "resource",
                response: "accepted",
                answered_ms: 0,
            });
        }
    }

    /// A series with at most `most` instances in the window; returns how many it has.
    fn series(&mut self, calendar: u64, most: usize) -> usize {
        let (first, last) = self.days();
        let mut fields = self.fields();
        fields.is_cancelled = false;
        let is_long = most >= 60 && self.rng.u32(0..10) < 4;
        let start = if is_long {
            first - self.rng.i32(200..1_500)
        } else {
            first + self.rng.i32(0..(last - first) / 2)
        };
        if self.rng.u32(0..12) == 0 {
            fields.is_all_day = true;
            fields.start_ms = i64::from(start) * DAY_MS;
            fields.end_ms = fields.start_ms + DAY_MS;
        } else {
            self.clock(&mut fields, start);
        }
        let recurrence = self.recurrence(start, is_long, &fields);
        let window = (i64::from(first - 2) * DAY_MS, i64::from(last + 2) * DAY_MS);
        let made_ms = self.made_ms(start);
        let serial = self.add_series(calendar, fields.clone(), recurrence, made_ms);
        let mut count = self.mailbox.events.get(&serial).map_or(0, |e| e.instances(window.0, window.1).len());
        if count > most || count == 0 {
            // Too many for what is left: a short daily one that fits exactly.
            self.mailbox.remove(serial, false);
            count = most.min(20);
            let range = Range::Numbered(u32::try_from(count).unwrap_or(1));
            let start = first + self.rng.i32(0..300);
            let label = fields.zone_label.clone();
            self.clock(&mut fields, start);
            fields.is_all_day = false;
            let recurrence = Recurrence::new(Pattern::Daily, 1, range, start, zone_text(&label));
            let serial = self.add_series(calendar, fields, recurrence, made_ms);
            self.exceptions(serial, window);
            return count;
        }
        self.exceptions(serial, window);
        count
    }

    fn add_series(&mut self, calendar: u64, mut fields: Fields, recurrence: Recurrence, made_ms: i64) -> u64 {
        let first = recurrence.first().unwrap_or(recurrence.start_day);
        let zone = fields.wall_zone();
        let (start, length) = (zone::wall(fields.start_ms, &zone), fields.end_ms - fields.start_ms);
        fields.start_ms = zone::instant(zone::date_of(first).to_datetime(start.time()), &zone);
        fields.end_ms = fields.start_ms + length;
        let recurrence = recurrence.starting(first);
        self.mailbox.add(calendar, fields, Some(recurrence), made_ms)
    }

    /// Any pattern, beginning on `start`.
    pub fn recurrence(&mut self, start: i32, is_long: bool, fields: &Fields) -> Recurrence {
        let (_, month, day) = zone::civil(start);
        let weekday = Weekdays(1 << zone::weekday(start));
        let (pattern, interval) = match self.rng.u32(0..20) {
            0 | 1 if !is_long => (Pattern::Daily, self.rng.i32(1..4)),
            2..=11 => (Pattern::Weekly { days: weekday, first: self.rng.u8(0..2) }, self.rng.i32(1..3)),
            12..=14 => {
                let days = Weekdays(
                    weekday.0 | self.rng.choice([0b0000_0010, 0b0010_1010, 0b0001_0100]).unwrap_or(2),
                );
                (Pattern::Weekly { days, first: 1 }, 1)
            }
            15 => (Pattern::AbsoluteMonthly { day }, 1),
            16 => (Pattern::RelativeMonthly { days: weekday, index: self.rng.usize(0..5) }, 1),
            17 => (Pattern::AbsoluteYearly { month, day }, 1),
            18 => (Pattern::RelativeYearly { month, days: weekday, index: self.rng.usize(0..5) }, 1),
            _ => (Pattern::Weekly { days: Weekdays(0b0011_1110), first: 1 }, 1),
        };
        let range = match self.rng.u32(0..10) {
            _ if is_long => Range::NoEnd,
            0..4 => Range::Numbered(self.rng.u32(2..40)),
            4..8 => Range::EndDate(start + self.rng.i32(20..400)),
            _ => Range::NoEnd,
        };
        Recurrence::new(pattern, interval, range, start, zone_text(&fields.zone_label))
    }

    /// Changes every sixth instance of the window, and takes a few older ones out.
    fn exceptions(&mut self, serial: u64, window: (i64, i64)) {
        let Some(event) = self.mailbox.events.get(&serial) else { return };
        let made_ms = event.modified_ms;
        let mut slots = Vec::new();
        for kind in event.instances(window.0, window.1) {
            if let super::mailbox::RowKind::Occurrence(slot) = kind {
                slots.push((slot, event.slot_times(slot), event.fields.is_all_day));
            }
        }
        for (slot, times, is_all_day) in slots {
            if self.rng.u32(0..6) == 0 {
                let patch = self.exception(times, is_all_day);
                self.mailbox.except(serial, slot, patch, made_ms);
            }
        }
    }

    /// What an exception may change.
    pub fn exception(&mut self, (start_ms, end_ms): (i64, i64), is_all_day: bool) -> Map<String, Value> {
        let seed = self.rng.u64(..);
        let mut patch = Map::new();
        let time = |ms: i64| json!({"dateTime": zone::seven_digits(zone::wall(ms, &jiff::tz::TimeZone::UTC)), "timeZone": "UTC"});
        match self.rng.u32(0..6) {
            0 | 1 if !is_all_day => {
                // An hour at most: it stays clear of its neighbours' days.
                let shift = self.rng.i64(-4..5) * 15 * 60_000;
                patch.insert("start".into(), time(start_ms + shift));
                patch.insert("end".into(), time(end_ms + shift));
            }
            2 => {
                patch.insert("location".into(), json!({"displayName": text::place(seed)}));
            }
            3 => {
                patch.insert(
                    "showAs".into(),
                    json!(self.rng.choice(["free", "tentative", "oof"]).unwrap_or("free")),
                );
            }
            4 => {
                patch
                    .insert("body".into(), json!({"contentType": "text", "content": text::plain_body(seed)}));
            }
            _ => {
                patch.insert("subject".into(), json!(text::subject(seed)));
            }
        }
        patch
    }
}

/// The name a recurrence shows for a zone: custom and empty labels show the mailbox's.
fn zone_text(label: &str) -> &str {
    if zone::resolve(label).is_some() { label } else { ZONE }
}
