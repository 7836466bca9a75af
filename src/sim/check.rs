use std::collections::{BTreeMap, BTreeSet};

use crate::emulator::{InMemory, Instance, InstanceKind};
use crate::mirror::Mirror;
use crate::model::{Key, RemoteId, Window};

/// What the mirror shows of one event, in the shape of the emulator's truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    calendar: Key,
    kind: String,
    series: Option<Key>,
    start_ms: i64,
    end_ms: i64,
    is_all_day: bool,
    is_cancelled: bool,
    show_as: String,
    response: String,
    reminder_minutes: Option<i32>,
    attendees: usize,
    categories: usize,
    texts: [Option<String>; 3],
}

const ROWS: &str = "SELECT e.key, c.key, e.kind, m.key, e.start_ms, e.end_ms,
        coalesce(e.is_all_day, m.is_all_day), coalesce(e.is_cancelled, m.is_cancelled),
        coalesce(e.show_as, m.show_as), coalesce(e.response, m.response),
        CASE WHEN e.kind = 'occurrence' THEN m.reminder_minutes ELSE e.reminder_minutes END,
        CASE WHEN e.kind = 'occurrence' THEN m.attendees ELSE e.attendees END,
        CASE WHEN e.kind = 'occurrence' THEN m.categories ELSE e.categories END,
        CASE WHEN e.kind = 'occurrence' THEN m.subject ELSE e.subject END,
        CASE WHEN e.kind = 'occurrence' THEN m.location ELSE e.location END,
        CASE WHEN e.kind = 'occurrence' THEN m.body_preview ELSE e.body_preview END
    FROM event e JOIN calendar c ON c.id = e.calendar_id LEFT JOIN event m ON m.id = e.series_id
    WHERE e.kind <> 'master'";

/// Everything the mirror shows, by id.
pub(super) fn shown(mirror: &Mirror) -> Result<BTreeMap<Key, Shown>, rusqlite::Error> {
    let count = |json: Option<String>| {
        json.and_then(|json| serde_json::from_str::<Vec<serde_json::Value>>(&json).ok())
            .map_or(0, |list| list.len())
    };
    mirror
        .conn
        .prepare_cached(ROWS)?
        .query_map([], |row| {
            let shown = Shown {
                calendar: Key::from_bytes(row.get(1)?),
                kind: row.get(2)?,
                series: row.get::<_, Option<[u8; 16]>>(3)?.map(Key::from_bytes),
                start_ms: row.get(4)?,
                end_ms: row.get(5)?,
                is_all_day: row.get::<_, Option<bool>>(6)?.unwrap_or(false),
                is_cancelled: row.get::<_, Option<bool>>(7)?.unwrap_or(false),
                show_as: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
                response: row.get::<_, Option<String>>(9)?.unwrap_or_default(),
                reminder_minutes: row.get(10)?,
                attendees: count(row.get(11)?),
                categories: count(row.get(12)?),
                texts: [row.get(13)?, row.get(14)?, row.get(15)?],
            };
            Ok((Key::from_bytes(row.get(0)?), shown))
        })?
        .collect()
}

/// Every calendar of the server with its window in the mirror; a calendar the mirror has not completed has none.
fn windows(mirror: &Mirror) -> Result<Vec<(Key, String, Window)>, String> {
    let calendars = mirror.calendars().map_err(|error| error.to_string())?;
    Ok(calendars
        .into_iter()
        .filter_map(|calendar| Some((calendar.key, calendar.remote_id.as_str().to_owned(), calendar.live?.1)))
        .collect())
}

/// What the server has in the mirror's windows, by id.
pub(super) fn truth(server: &InMemory, mirror: &Mirror) -> Result<BTreeMap<Key, Shown>, String> {
    let mut all = BTreeMap::new();
    for (key, remote_id, window) in windows(mirror)? {
        let instances = server.with(|world| world.truth(0, &remote_id, window.from_ms, window.to_ms));
        for instance in instances {
            let own = |id: &str| mirror.local_key(&RemoteId::new(id));
            let series = instance.series.as_deref().map(own);
            all.insert(own(&instance.id), Shown { series, ..as_shown(key, &instance) });
        }
    }
    Ok(all)
}

fn as_shown(calendar: Key, instance: &Instance) -> Shown {
    let show_as = match instance.show_as.as_str() {
        "workingElsewhere" => "working_elsewhere",
        other => other,
    };
    let response = match instance.response.as_str() {
        "tentativelyAccepted" => "tentative",
        "notResponded" => "not_responded",
        other => other,
    };
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Shown {
        calendar,
        kind: match instance.kind {
            InstanceKind::Single => "single",
            InstanceKind::Occurrence => "occurrence",
            InstanceKind::Exception => "exception",
        }
        .to_owned(),
        series: None,
        start_ms: instance.start_ms,
        end_ms: instance.end_ms,
        is_all_day: instance.is_all_day,
        is_cancelled: instance.is_cancelled,
        show_as: show_as.to_owned(),
        response: response.to_owned(),
        reminder_minutes: instance.reminder_minutes,
        attendees: instance.attendees.len(),
        categories: instance.categories.len(),
        texts: [
            instance.subject.clone().filter(|s| !s.is_empty()),
            some(&instance.location),
            some(&instance.body_preview),
        ],
    }
}

/// A pull removes nothing that the server has: `before` is what the mirror showed when it began.
pub(super) fn nothing_blinked(
    server: &InMemory,
    mirror: &Mirror,
    before: &BTreeMap<Key, Shown>,
) -> Result<(), String> {
    let after = shown(mirror).map_err(|error| error.to_string())?;
    let truth = truth(server, mirror)?;
    for (key, former) in before.iter().filter(|(key, _)| !after.contains_key(key)) {
        // An event that moved to another calendar is gone from the first until the second has been pulled.
        if let Some(row) = truth.get(key).filter(|row| row.calendar == former.calendar) {
            return Err(format!(
                "a pull removed {key}, which the server has\n  before: {former:?}\n  server: {row:?}"
            ));
        }
    }
    Ok(())
}

/// Replaying the feed from its beginning gives exactly the events that the agenda shows, open edits included.
pub(super) fn feed_tells_all(mirror: &Mirror) -> Result<(), String> {
    let told = || -> Result<BTreeSet<Key>, rusqlite::Error> {
        let mut told = BTreeSet::new();
        let mut statement = mirror.conn.prepare_cached("SELECT event_key, what FROM change ORDER BY seq")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key = Key::from_bytes(row.get(0)?);
            if row.get::<_, String>(1)? == "put" {
                told.insert(key);
            } else {
                told.remove(&key);
            }
        }
        Ok(told)
    };
    let told = told().map_err(|error| error.to_string())?;
    let there = || -> Result<BTreeSet<Key>, rusqlite::Error> {
        let mut statement = mirror.conn.prepare_cached("SELECT unhex(id) FROM v1_agenda")?;
        statement.query_map([], |row| row.get(0).map(Key::from_bytes))?.collect()
    };
    let there = there().map_err(|error| error.to_string())?;
    match told.symmetric_difference(&there).next() {
        None => Ok(()),
        Some(key) => Err(format!(
            "the feed and the agenda disagree about {key} (in the feed: {}; {})",
            told.contains(key),
            standing(mirror, key).unwrap_or_default()
        )),
    }
}

/// What the mirror holds about an event, to say why two sides disagree.
fn standing(mirror: &Mirror, key: &Key) -> Result<String, rusqlite::Error> {
    const ABOUT: &str = "SELECT group_concat(what, ', ') FROM (
        SELECT 'row ' || kind || CASE is_present WHEN 0 THEN ' not fetched' ELSE '' END AS what FROM event WHERE key = ?1
        UNION ALL SELECT 'draft ' || pending || CASE is_hidden WHEN 1 THEN ' hidden' ELSE '' END FROM draft WHERE key = ?1
        UNION ALL SELECT 'edit ' || action || ' ' || state FROM outbox WHERE event_key = ?1
        UNION ALL SELECT 'feed ' || what || ' at ' || at_ms FROM change WHERE event_key = ?1)";
    let about: Option<String> = mirror.conn.query_row(ABOUT, [key.as_bytes()], |row| row.get(0))?;
    Ok(about.unwrap_or_default())
}

/// The mirror shows what the server has, field by field.
pub(super) fn equal(server: &InMemory, mirror: &Mirror) -> Result<(), String> {
    let windows: BTreeMap<Key, Window> =
        windows(mirror)?.into_iter().map(|(key, _, window)| (key, window)).collect();
    let calendars: BTreeSet<Key> =
        server.with(|world| world.calendars(0)).iter().map(|calendar| Key::of_remote(&calendar.id)).collect();
    if let Some(key) = calendars.symmetric_difference(&windows.keys().copied().collect()).next() {
        return Err(format!(
            "the calendar {key} is on one side only (on the server: {})",
            calendars.contains(key)
        ));
    }
    let truth = truth(server, mirror)?;
    let shown: BTreeMap<Key, Shown> = shown(mirror)
        .map_err(|error| error.to_string())?
        .into_iter()
        .filter(|(_, row)| windows.get(&row.calendar).is_some_and(|w| w.overlaps(row.start_ms, row.end_ms)))
        .collect();
    for (key, there) in &truth {
        match shown.get(key) {
            None => return Err(format!("{key} is on the server and not in the mirror: {there:?}")),
            Some(here) if here != there => {
                return Err(format!("{key} differs\n  server: {there:?}\n  mirror: {here:?}"));
            }
            Some(_) => {}
        }
    }
    match shown.iter().find(|(key, _)| !truth.contains_key(key)) {
        None => Ok(()),
        Some((key, row)) => Err(format!("{key} is in the mirror and not on the server: {row:?}")),
    }
}

/// Nobody in these worlds changes who takes part: one invitation an event is all there may be.
pub(super) fn nobody_invited_twice(server: &InMemory) -> Result<(), String> {
    let mut invited: BTreeMap<String, u32> = BTreeMap::new();
    server.with(|world| {
        for mail in world.mails(0).iter().filter(|mail| mail.what == "invite") {
            *invited.entry(mail.event.clone()).or_default() += 1;
        }
    });
    match invited.iter().find(|(_, times)| **times > 1) {
        None => Ok(()),
        Some((event, times)) => Err(format!("the guests of {event} were invited {times} times")),
    }
}
