//! The journal's words. Nothing private is among them: no subject, place or person, and no text that may hold one.

use serde_json::{Value as Json, json};

use crate::actuate::{Cause, Outcome};
use crate::mirror::{JournalKind, JournalRow};
use crate::presence::{Channel, Command, Note, Segment};

/// What a segment shows, and why.
pub(super) fn segment(segment: &Segment, is_enabled: bool) -> Json {
    json!({
        "profile": &*segment.profile,
        "availability": segment.availability,
        "forwarding": segment.forwarding,
        "layer": segment.reason.layer.code(),
        "rule": segment.reason.rule.as_deref(),
        "event": segment.reason.event,
        "private": segment.reason.is_private,
        "enabled": is_enabled,
        "skipped": segment.skipped.map(|problem| problem.code()),
    })
}

/// A note of a channel's machine.
pub(super) fn note(note: &Note, channel: Channel, at_ms: i64, outcome: Option<&Outcome>) -> JournalRow {
    let (kind, detail) = match note {
        Note::Queued(of) => (JournalKind::Command, command(of, "queued")),
        Note::Applied(of) => {
            let mut detail = command(of, "applied");
            set(&mut detail, "latency_ms", json!(at_ms.saturating_sub(of.valid_from_ms)));
            if let Some(Outcome::Applied { instead: Some(instead) }) = outcome {
                set(&mut detail, "instead", json!(instead));
            }
            (JournalKind::Command, detail)
        }
        Note::Refused(of) => (JournalKind::Command, with_cause(command(of, "refused"), outcome)),
        Note::Stale(of) => (JournalKind::Command, with_cause(command(of, "stale"), outcome)),
        Note::Lost(of) => (JournalKind::Command, with_cause(command(of, "lost"), outcome)),
        Note::Dropped(of) => (JournalKind::Drop, command(of, "dropped")),
        Note::Yielded => (JournalKind::Yield, json!({ "state": "yielded" })),
        Note::YieldEnded => (JournalKind::Yield, json!({ "state": "ended" })),
    };
    JournalRow { at_ms, kind, channel: Some(channel), detail }
}

/// A text may be a subject: it is left out.
fn command(command: &Command, state: &str) -> Json {
    let mut detail = json!({
        "state": state,
        "id": command.id,
        "generation": command.generation,
        "release": command.is_release,
    });
    if command.channel != Channel::Text {
        set(&mut detail, "set", command.set_wire());
    }
    detail
}

fn with_cause(mut detail: Json, outcome: Option<&Outcome>) -> Json {
    if let Some(Outcome::Refused(cause) | Outcome::Unclear(cause)) = outcome {
        set(&mut detail, "cause", json!(Cause::kind(cause)));
    }
    detail
}

fn set(detail: &mut Json, name: &str, value: Json) {
    if let Some(members) = detail.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}
