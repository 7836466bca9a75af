//! Gap-free segments, and what is wanted on each channel.

use std::fmt;
use std::sync::Arc;

use crate::model::{DAY_MS, Key, Window};
use crate::presence::command::Value;
use crate::presence::layer::{Layer, Layers, Scene, within};
use crate::presence::settings::Forwarding;
use crate::presence::target::TargetProblem;
use crate::presence::{Availability, Channel, StatusText, text};

/// How far beyond the range asked for stretches are followed, so that an answer does not depend on the range. A
/// stretch that lasts longer counts as open.
const HORIZON_MS: i64 = 40 * DAY_MS;
/// The longest sleep between two evaluations.
pub const WAKE_MS_MAX: i64 = 15 * 60_000;
/// A clock put back by at most this is waited for.
pub const CLOCK_BACK_MS: i64 = 120_000;

/// A stretch of time in which the same is shown and forwarded. Its text may be a subject: not in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its first instant.
    pub start_ms: i64,
    /// The first instant after.
    pub end_ms: i64,
    /// The profile.
    pub profile: Arc<str>,
    /// What the profile shows.
    pub availability: Availability,
    /// The published text.
    pub status_text: Option<Arc<str>>,
    /// Where calls go; none: the baseline.
    pub forwarding: Option<Forwarding>,
    /// Why the profile's own forwarding is not used.
    pub skipped: Option<TargetProblem>,
    /// Why.
    pub reason: Reason,
}

/// Who decides a segment, as of its first instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The layer.
    pub layer: Layer,
    /// The rule, for an appointment.
    pub rule: Option<Arc<str>>,
    /// The appointment, unless it is private.
    pub event: Option<Key>,
    /// Whether it is a private appointment.
    pub is_private: bool,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("start_ms", &self.start_ms)
            .field("end_ms", &self.end_ms)
            .field("profile", &self.profile)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl Segment {
    /// Whether both are one. Not knowing is never joined with knowing that nothing is there.
    fn shows_same(&self, other: &Segment) -> bool {
        (self.reason.layer == Layer::Unknown) == (other.reason.layer == Layer::Unknown)
            && self.profile == other.profile
            && self.status_text == other.status_text
            && self.forwarding == other.forwarding
            && self.skipped == other.skipped
    }

    /// What this segment wants on a channel; none: the baseline.
    pub fn value(&self, channel: Channel) -> Option<Value> {
        match channel {
            Channel::Presence => {
                Some(Value::Presence { profile: self.profile.to_string(), availability: self.availability })
            }
            Channel::Forwarding => self.forwarding.clone().map(Value::Forwarding),
            Channel::Text => Some(Value::Text { text: self.status_text.as_deref().map(ToOwned::to_owned) }),
        }
    }
}

/// What is wanted on a channel, and in which stretch of time. A bound that lies beyond the horizon is open.
#[derive(Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The value; none: the baseline.
    pub value: Option<Value>,
    /// Since when.
    pub from_ms: Option<i64>,
    /// Until when.
    pub until_ms: Option<i64>,
    /// How old the mirror is that says so.
    pub as_of_ms: Option<i64>,
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted")
            .field("value", &self.value)
            .field("from_ms", &self.from_ms)
            .field("until_ms", &self.until_ms)
            .finish_non_exhaustive()
    }
}

/// What is shown and forwarded over a range of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// The oldest last complete pull of the calendars that take part; none while one was never pulled.
    pub as_of_ms: Option<i64>,
    range: Window,
    horizon: Window,
    /// Over the horizon.
    segments: Vec<Segment>,
    /// Further instants at which to look again, in order.
    wakes: Vec<i64>,
}

/// The state at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The segment around the instant, uncut.
    pub segment: Segment,
    /// When it ends; none when that is not in sight.
    pub next_change_ms: Option<i64>,
    /// How old the mirror is.
    pub as_of_ms: Option<i64>,
}

impl Scene<'_> {
    /// The timeline over `range`. No two evaluations of one scene differ about an instant.
    pub fn timeline(&self, range: Window) -> Timeline {
        let horizon = horizon(range);
        let layers = self.layers(horizon);
        let mut segments: Vec<Segment> = Vec::new();
        let edges = layers.edges(horizon);
        for (start_ms, end_ms) in edges.iter().zip(edges.iter().skip(1)) {
            let Some(segment) = segment(&layers, *start_ms, *end_ms) else { continue };
            match segments.last_mut() {
                Some(last) if last.shows_same(&segment) => last.end_ms = segment.end_ms,
                Some(_) | None => segments.push(segment),
            }
        }
        Timeline { as_of_ms: layers.claims.as_of_ms, range, horizon, segments, wakes: wakes(&layers) }
    }

    /// The state at `now`.
    pub fn standing(&self) -> Option<Standing> {
        let now_ms = self.now_ms;
        let timeline = self.timeline(Window { from_ms: now_ms, to_ms: now_ms.saturating_add(1) });
        let segment = timeline.at(now_ms)?.clone();
        let next_change_ms = timeline.bound(segment.end_ms);
        Some(Standing { segment, next_change_ms, as_of_ms: timeline.as_of_ms })
    }
}

impl Timeline {
    /// The segments, cut to the range asked for.
    pub fn segments(&self) -> Vec<Segment> {
        let cut = |segment: &Segment| {
            let span = Window { from_ms: segment.start_ms, to_ms: segment.end_ms };
            let span = within(span, self.range)?;
            Some(Segment { start_ms: span.from_ms, end_ms: span.to_ms, ..segment.clone() })
        };
        self.segments.iter().filter_map(cut).collect()
    }

    /// The segment around an instant, uncut.
    pub fn at(&self, ms: i64) -> Option<&Segment> {
        let next = self.segments.partition_point(|segment| segment.end_ms <= ms);
        self.segments.get(next).filter(|segment| segment.start_ms <= ms)
    }

    /// What is wanted on `channel` at `ms`, and the whole stretch in which just that is wanted.
    pub fn wanted(&self, channel: Channel, ms: i64) -> Wanted {
        let holds = |wanted: &Wanted| wanted.until_ms.is_none_or(|until_ms| ms < until_ms);
        let nothing = Wanted { value: None, from_ms: None, until_ms: None, as_of_ms: self.as_of_ms };
        self.stretches(channel).into_iter().find(holds).unwrap_or(nothing)
    }

    /// What is wanted on `channel`, stretch by stretch, from the horizon before the range to the one after.
    pub fn stretches(&self, channel: Channel) -> Vec<Wanted> {
        let mut stretches: Vec<Wanted> = Vec::new();
        for segment in &self.segments {
            let (value, until_ms) = (segment.value(channel), self.bound(segment.end_ms));
            match stretches.last_mut() {
                Some(last) if last.value == value => last.until_ms = until_ms,
                Some(_) | None => stretches.push(Wanted {
                    value,
                    from_ms: self.bound(segment.start_ms),
                    until_ms,
                    as_of_ms: self.as_of_ms,
                }),
            }
        }
        stretches
    }

    /// When to evaluate again after `now`: at the next boundary, a limit of trust or of the mirrored window, local
    /// midnight, or after [`WAKE_MS_MAX`]. The caller adds when a command is due.
    pub fn next_wake_ms(&self, now_ms: i64) -> i64 {
        let ends = self.at(now_ms).map(|segment| segment.end_ms);
        let wakes = self.wakes.iter().copied().find(|ms| *ms > now_ms);
        ends.into_iter().chain(wakes).fold(now_ms.saturating_add(WAKE_MS_MAX), i64::min)
    }

    fn bound(&self, ms: i64) -> Option<i64> {
        (ms > self.horizon.from_ms && ms < self.horizon.to_ms).then_some(ms)
    }
}

/// The instant to evaluate at, given that of the last evaluation: a clock put back a little is waited for, one put
/// back far is believed.
pub fn steady_now_ms(last_ms: Option<i64>, now_ms: i64) -> i64 {
    match last_ms {
        Some(last_ms) if now_ms < last_ms && last_ms.saturating_sub(now_ms) <= CLOCK_BACK_MS => last_ms,
        Some(_) | None => now_ms,
    }
}

pub(super) fn horizon(range: Window) -> Window {
    Window {
        from_ms: range.from_ms.saturating_sub(HORIZON_MS),
        to_ms: range.to_ms.saturating_add(HORIZON_MS),
    }
}

fn segment(layers: &Layers<'_>, start_ms: i64, end_ms: i64) -> Option<Segment> {
    let voices = layers.voices(start_ms);
    let top = voices.first()?;
    let event = top.claim.and_then(|claim| claim.event);
    let is_private = event.is_some_and(crate::presence::Event::is_private);
    let status_text = match top.face.status_text {
        StatusText::None => None,
        kind => event.and_then(|event| text::of_event(kind, event)).or_else(|| top.face.generic.clone()),
    };
    Some(Segment {
        start_ms,
        end_ms,
        profile: top.face.name.clone(),
        availability: top.face.availability,
        status_text,
        forwarding: voices.iter().find_map(|voice| voice.face.forwarding.clone()),
        skipped: top.face.skipped,
        reason: Reason {
            layer: top.layer,
            rule: top.claim.and_then(|claim| claim.rule.clone()),
            event: event.filter(|_| !is_private).map(|event| event.key),
            is_private,
        },
    })
}

/// Instants at which the answer may change without a boundary in it.
fn wakes(layers: &Layers<'_>) -> Vec<i64> {
    let (zone, now_ms) = (layers.scene.policy.zone(), layers.scene.now_ms);
    let midnight_ms = zone.day(zone.date(now_ms)).to_ms;
    let mut wakes: Vec<i64> = layers.trust_limits().chain([midnight_ms]).filter(|ms| *ms > now_ms).collect();
    wakes.sort_unstable();
    wakes.dedup();
    wakes
}
