//! Cursors: EWS has no links, so these texts stand where Graph's stand. They are no addresses and go nowhere.

use url::form_urlencoded::{Serializer, parse};

use crate::model::{Fault, Link, LinkProblem, RemoteId, Window};
use crate::source::ews::answer::SYNC_STATE_BYTES_MAX;
use crate::source::ews::item::usable_id;

/// A state in percent-encoding, and all the rest.
const LINK_BYTES_MAX: usize = 3 * SYNC_STATE_BYTES_MAX + 16 * 1024;

/// A place in a round over one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    pub folder: RemoteId,
    pub window: Window,
    pub place: Place,
}

/// Where the round stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Finding the state that the rows to come are at least as new as. It is found before the first row is read, so
    /// that what changes meanwhile is told by the next round.
    Seed { state: Option<String> },
    /// Reading what the window holds, from `at_ms`; without a state it is a plain listing.
    View { state: Option<String>, at_ms: i64, step_ms: i64 },
    /// Reading what has changed since.
    Changes { state: String },
}

impl Cursor {
    pub fn link(&self) -> Link {
        let mut text = Serializer::new(String::new());
        text.append_pair("folder", self.folder.as_str());
        text.append_pair("from", &self.window.from_ms.to_string());
        text.append_pair("to", &self.window.to_ms.to_string());
        let (kind, state) = match &self.place {
            Place::Seed { state } => ("seed", state.as_ref()),
            Place::View { state, at_ms, step_ms } => {
                text.append_pair("at", &at_ms.to_string());
                text.append_pair("step", &step_ms.to_string());
                ("view", state.as_ref())
            }
            Place::Changes { state } => ("changes", Some(state)),
        };
        if let Some(state) = state {
            text.append_pair("state", state);
        }
        Link::new(format!("ews:{kind}?{}", text.finish()))
    }

    /// The place that a link of ours stands for.
    ///
    /// # Errors
    /// `LinkRefused` for any other text: that of another source, or of another version of this program.
    pub fn of(link: &Link) -> Result<Cursor, Fault> {
        if link.as_str().len() > LINK_BYTES_MAX {
            return Err(Fault::LinkRefused(LinkProblem::Long));
        }
        read(link.as_str()).ok_or(Fault::LinkRefused(LinkProblem::Form))
    }
}

fn read(text: &str) -> Option<Cursor> {
    let (kind, query) = text.strip_prefix("ews:")?.split_once('?')?;
    let (mut folder, mut state) = (None, None);
    let (mut from_ms, mut to_ms, mut at_ms, mut step_ms) = (None, None, None, None);
    for (name, value) in parse(query.as_bytes()) {
        match &*name {
            "folder" => folder = usable_id(&value),
            "state" => state = Some(value.into_owned()),
            "from" => from_ms = value.parse().ok(),
            "to" => to_ms = value.parse().ok(),
            "at" => at_ms = value.parse().ok(),
            "step" => step_ms = value.parse().ok().filter(|step_ms| *step_ms > 0),
            _ => return None,
        }
    }
    let place = match kind {
        "seed" => Place::Seed { state },
        "view" => Place::View { state, at_ms: at_ms?, step_ms: step_ms? },
        "changes" => Place::Changes { state: state? },
        _ => return None,
    };
    Some(Cursor { folder: folder?, window: Window { from_ms: from_ms?, to_ms: to_ms? }, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_being_kept_as_a_link() {
        let state = Some("H4sIAAA+/=&?\u{e9}".to_owned());
        for place in [
            Place::Seed { state: None },
            Place::Seed { state: state.clone() },
            Place::View { state: state.clone(), at_ms: -1, step_ms: 86_400_000 },
            Place::View { state: None, at_ms: 0, step_ms: 1 },
            Place::Changes { state: "x".to_owned() },
        ] {
            let window = Window { from_ms: -5, to_ms: 7 };
            let cursor = Cursor { folder: RemoteId::new("AAMk+/="), window, place };
            assert_eq!(Cursor::of(&cursor.link()), Ok(cursor));
        }
    }

    #[test]
    fn a_link_of_another_source_is_refused() {
        for text in [
            "",
            "ews:",
            "https://graph.microsoft.com/v1.0/me/calendarView/delta?$deltatoken=x",
            "ews:changes?folder=a&from=0&to=1",
            "ews:view?folder=a&from=0&to=1&at=0&step=0",
            "ews:seed?folder=a%20b&from=0&to=1",
            "ews:seed?folder=a&from=0&to=x",
            "ews:other?folder=a&from=0&to=1",
        ] {
            assert_eq!(Cursor::of(&Link::new(text)), Err(Fault::LinkRefused(LinkProblem::Form)), "{text}");
        }
    }
}
