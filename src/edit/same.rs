//! When two values of a field are the same to a user.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{AttendeeType, Fields, Importance, Invitee, Person, Reminder, Sensitivity, ShowAs, Times};

/// Calls a macro once for each field of [`Fields`], in the order in which fields are listed to users.
macro_rules! each_field {
    ($call:ident) => {
        $call!(subject);
        $call!(body);
        $call!(times);
        $call!(location);
        $call!(show_as);
        $call!(sensitivity);
        $call!(importance);
        $call!(categories);
        $call!(attendees);
        $call!(reminder);
    };
}
pub(super) use each_field;

/// Equality as a user sees it.
pub(super) trait Same {
    /// Whether nobody could tell the two apart.
    fn is_same(&self, other: &Self) -> bool;

    /// Whether the server's value is what it makes of this one.
    fn is_echoed_by(&self, server: &Self) -> bool {
        self.is_same(server)
    }
}

/// Servers end lines with CRLF and drop blanks at their ends.
impl Same for String {
    fn is_same(&self, other: &String) -> bool {
        self == other || lines(self).eq(lines(other))
    }

    /// A body becomes HTML there and a text again here, which moves blanks and line ends.
    fn is_echoed_by(&self, server: &String) -> bool {
        self.split_whitespace().eq(server.split_whitespace())
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    // `lines` takes CRLF for one end.
    text.trim_end().lines().map(str::trim_end)
}

/// The zone is left out: servers call one zone by several names, and the instants say when it is.
impl Same for Times {
    fn is_same(&self, other: &Times) -> bool {
        (self.start_ms, self.end_ms, self.is_all_day) == (other.start_ms, other.end_ms, other.is_all_day)
    }
}

/// A set.
impl Same for Vec<String> {
    fn is_same(&self, other: &Vec<String>) -> bool {
        self == other || self.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>()
    }
}

/// A set by address; the server knows people's names better than who invites them.
impl Same for Vec<Invitee> {
    fn is_same(&self, other: &Vec<Invitee>) -> bool {
        by_person(self) == by_person(other)
    }
}

macro_rules! same_if_equal {
    ($($name:ty),+) => {$(
        impl Same for $name {
            fn is_same(&self, other: &$name) -> bool {
                self == other
            }
        }
    )+};
}
same_if_equal!(ShowAs, Sensitivity, Importance, Reminder);

/// Who somebody is: the address in lower case, or the name of somebody without one.
pub(super) fn identity(person: &Person) -> String {
    let text = person.address.as_deref().or(person.name.as_deref()).unwrap_or_default();
    text.trim().to_lowercase()
}

/// Each person's part. Somebody named twice counts once, as first named.
pub(super) fn by_person(invitees: &[Invitee]) -> BTreeMap<String, AttendeeType> {
    let mut parts = BTreeMap::new();
    for invitee in invitees {
        parts.entry(identity(&invitee.person)).or_insert(invitee.kind);
    }
    parts
}

/// Defines a function that takes away those fields that another row says already.
macro_rules! left_over {
    ($(#[$doc:meta])* $name:ident by $equals:ident) => {
        $(#[$doc])*
        pub(super) fn $name(wish: Fields, now: &Fields) -> Fields {
            let mut left = wish;
            macro_rules! prune {
                ($field:ident) => {
                    if let (Some(wanted), Some(is)) = (&left.$field, &now.$field)
                        && wanted.$equals(is)
                    {
                        left.$field = None;
                    }
                };
            }
            each_field!(prune);
            left
        }
    };
}
left_over! {
    /// The fields of `wish` that do not say what `now` says already.
    changed by is_same
}
left_over! {
    /// The fields of `wish` that the server's row does not give back.
    missing by is_echoed_by
}
