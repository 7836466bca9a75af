use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::edit::same::{Same, by_person, each_field, identity};
use crate::model::{AttendeeType, Fields, Importance, Invitee, Reminder, Sensitivity, ShowAs, Times};
use crate::zones::date_text;

/// A field that both sides changed, differently.
#[derive(Clone, PartialEq, Eq)]
pub struct Clash {
    /// Its name in the event's JSON (the text of a body is `body`).
    pub name: &'static str,
    /// What it was when the edit was made.
    pub base: Value,
    /// What it is to be.
    pub mine: Value,
    /// What the server has.
    pub theirs: Value,
}

impl fmt::Debug for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clash({})", self.name)
    }
}

/// What becomes of an edit when the server's row has changed meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merged {
    /// What is still to be sent: my fields that they did not touch.
    pub send: Fields,
    /// My side of the clashes: sent as well where mine is to win.
    pub contested: Fields,
    /// The clashes, by name; a time is named by those of `start`, `end` and `all_day` that differ.
    pub clashes: Vec<Clash>,
}

/// Compares three versions field by field. `mine` says only what the user changed; `base` and `theirs` are whole
/// rows ([`Fields::of`]), and a field that they do not know counts as untouched in theirs, as changed in base.
///
/// Lists are merged by member: two people who invite different guests do not clash. Values in clashes are as in the
/// event's JSON, but a time is `{"ms": …}`, or a date text of an all-day event.
pub fn merge3(base: &Fields, mine: &Fields, theirs: &Fields) -> Merged {
    let mut merged = Merged::default();
    macro_rules! merge {
        ($field:ident) => {
            if let Some(mine) = &mine.$field {
                match verdict(base.$field.as_ref(), mine, theirs.$field.as_ref()) {
                    Verdict::Drop => {}
                    Verdict::Send(value) => merged.send.$field = Some(value),
                    Verdict::Clash(theirs) => {
                        clash(&mut merged.clashes, stringify!($field), base.$field.as_ref(), mine, theirs);
                        merged.contested.$field = Some(mine.clone());
                    }
                }
            }
        };
    }
    each_field!(merge);
    merged
}

enum Verdict<'v, V> {
    /// They have it already, or I never changed it.
    Drop,
    /// To be sent, in the form that leaves theirs alone.
    Send(V),
    /// Both changed it.
    Clash(&'v V),
}

fn verdict<'v, V: Field>(base: Option<&V>, mine: &V, theirs: Option<&'v V>) -> Verdict<'v, V> {
    let Some(theirs) = theirs else { return Verdict::Send(mine.clone()) };
    if mine.is_same(theirs) {
        return Verdict::Drop;
    }
    let Some(base) = base else { return Verdict::Clash(theirs) };
    if theirs.is_same(base) {
        return Verdict::Send(mine.clone());
    }
    if mine.is_same(base) || mine.is_echoed_by(theirs) {
        return Verdict::Drop;
    }
    match V::both(base, mine, theirs) {
        Some(both) if both.is_same(theirs) => Verdict::Drop,
        Some(both) => Verdict::Send(both),
        None => Verdict::Clash(theirs),
    }
}

fn clash<V: Field>(clashes: &mut Vec<Clash>, field: &'static str, base: Option<&V>, mine: &V, theirs: &V) {
    let of_base = base.map(V::values);
    for (place, ((part, mine), (_, theirs))) in mine.values().into_iter().zip(theirs.values()).enumerate() {
        if mine == theirs {
            continue;
        }
        let base =
            of_base.as_ref().and_then(|values| values.get(place)).map_or(Value::Null, |(_, v)| v.clone());
        let name = match (part, field) {
            (Some(part), _) => part,
            (None, "reminder") => "reminder_minutes",
            (None, field) => field,
        };
        clashes.push(Clash { name, base, mine, theirs });
    }
}

/// A field that can be merged and shown.
trait Field: Same + Clone {
    /// The value in which both changes are, when they do not touch each other.
    fn both(_base: &Self, _mine: &Self, _theirs: &Self) -> Option<Self> {
        None
    }

    /// As in the event's JSON: one value, or several with a name each.
    fn values(&self) -> Vec<(Option<&'static str>, Value)>;
}

impl Field for String {
    fn values(&self) -> Vec<(Option<&'static str>, Value)> {
        vec![(None, if self.is_empty() { Value::Null } else { json!(self) })]
    }
}

impl Field for Times {
    fn values(&self) -> Vec<(Option<&'static str>, Value)> {
        let at = |ms| if self.is_all_day { json!(date_text(ms)) } else { json!({ "ms": ms }) };
        vec![
            (Some("start"), at(self.start_ms)),
            (Some("end"), at(self.end_ms)),
            (Some("all_day"), json!(self.is_all_day)),
        ]
    }
}

impl Field for Reminder {
    fn values(&self) -> Vec<(Option<&'static str>, Value)> {
        let minutes = match self {
            Reminder::Off => Value::Null,
            Reminder::Minutes(minutes) => json!(minutes),
        };
        vec![(None, minutes)]
    }
}

impl Field for Vec<String> {
    fn both(base: &Vec<String>, mine: &Vec<String>, theirs: &Vec<String>) -> Option<Vec<String>> {
        let kept = theirs.iter().filter(|name| mine.contains(name) || !base.contains(name));
        let added = mine.iter().filter(|name| !theirs.contains(name) && !base.contains(name));
        Some(kept.chain(added).cloned().collect())
    }

    fn values(&self) -> Vec<(Option<&'static str>, Value)> {
        vec![(None, json!(self))]
    }
}

impl Field for Vec<Invitee> {
    fn both(base: &Vec<Invitee>, mine: &Vec<Invitee>, theirs: &Vec<Invitee>) -> Option<Vec<Invitee>> {
        let (was, wanted, is) = (by_person(base), by_person(mine), by_person(theirs));
        let part = |parts: &BTreeMap<String, AttendeeType>, who: &str| parts.get(who).copied();
        // Each person's part is a field of its own.
        let settle = |who: &str| {
            let (was, wanted, is) = (part(&was, who), part(&wanted, who), part(&is, who));
            match (wanted == was, is == was, wanted == is) {
                (true, _, _) => Some(is),
                (false, true, _) | (false, false, true) => Some(wanted),
                (false, false, false) => None,
            }
        };
        let mut both: Vec<Invitee> = Vec::with_capacity(theirs.len());
        let mut seen = std::collections::BTreeSet::new();
        for invitee in theirs.iter().chain(mine) {
            let who = identity(&invitee.person);
            if !seen.insert(who.clone()) {
                continue;
            }
            if let Some(kind) = settle(&who)? {
                both.push(Invitee { person: invitee.person.clone(), kind });
            }
        }
        Some(both)
    }

    fn values(&self) -> Vec<(Option<&'static str>, Value)> {
        let of = |invitee: &Invitee| json!({ "name": invitee.person.name, "address": invitee.person.address, "type": invitee.kind });
        vec![(None, self.iter().map(of).collect())]
    }
}

macro_rules! coded_field {
    ($($name:ty),+) => {$(
        impl Field for $name {
            fn values(&self) -> Vec<(Option<&'static str>, Value)> {
                vec![(None, json!(self.code()))]
            }
        }
    )+};
}
coded_field!(ShowAs, Sensitivity, Importance);

#[cfg(test)]
#[path = "merge3_tests.rs"]
mod tests;
