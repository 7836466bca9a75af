//! Presence and call forwarding as one pure function of what is known and `now`.
//!
//! [`PresenceSettings`] are what the configuration says; [`Policy::compile`] resolves them. A [`Scene`] is everything
//! an answer depends on: policy, events, calendars, automatic reply, override, `now`. From it follow, without memory:
//!
//! ```text
//! events -> rules (when) -> claims (pad, clip, trust, copies) -> winner per moment (overlap) -> bridge
//!        -> layers (admin, override, calendar, off hours, base) -> gap-free segments (timeline)
//!        -> what is wanted on each channel -> commands (channel)
//! ```
//!
//! Only the last step has a state, [`ChannelState`], because what is forwarded elsewhere cannot be computed. It is
//! stepped, stored, and only then acted upon. Nothing here replays missed moments: whatever happened, the state at
//! `now` is computed and compared with what is in force.
//!
//! All intervals are half-open, all instants UTC milliseconds; the zone of the policy gives all-day events, working
//! hours and local midnights their instants. A claim is never made from what the mirror is not trusted for, and
//! beyond the mirrored window the answer is the base profile with [`Layer::Unknown`].
//!
//! Private content: [`Event::content`] is the only way of this room to what an event is about, and is empty for
//! private and confidential events.
//!
//! A caller that acts does, at every occasion: `steady_now_ms`, [`Scene::timeline`] at `now`, for each channel
//! [`Timeline::wanted`] into [`Input::Evaluate`], store, send what is [`ChannelState::due`] (marking
//! [`Input::Sending`] before and [`Input::Answered`] after), and sleep until [`Timeline::next_wake_ms`] or
//! [`ChannelState::next_due_ms`].

mod bridge;
mod channel;
mod check;
mod choice;
mod claim;
mod command;
mod event;
mod fold;
mod hours;
mod layer;
mod overlap;
mod overrides;
mod policy;
mod preview;
mod settings;
mod simple;
mod target;
mod text;
mod timeline;
mod when;
mod why;

pub use channel::{Answer, ChannelState, Input, Note, Owned, Pending, Step, Yielded};
pub use check::{Finding, Level, check};
pub use choice::{
    ActuatorKind, Availability, Channel, Condition, EventType, Hours, OnShutdown, Role, StatusText, Weekday,
};
pub use command::{Command, Value, is_in_order};
pub use event::{AutoReply, Calendar, Content, Event, Identity};
pub use layer::{Layer, Scene};
pub use overrides::{Dismissal, Ending, Lasting, Override, UnknownProfile};
pub use policy::Policy;
pub use preview::{PreviewCommand, preview};
pub use settings::{
    Actuator, Forwarding, PresenceSettings, Profile, Rule, RuleOutcome, Simple, TimeOfDay, TrustSetting,
    When, WorkingHours,
};
pub use target::{Lines, TARGET_NONE, TARGET_VOICEMAIL, TargetProblem};
pub use text::{TEXT_CHARS_MAX, one_line};
pub use timeline::{CLOCK_BACK_MS, Reason, Segment, Standing, Timeline, WAKE_MS_MAX, Wanted, steady_now_ms};
pub use why::{Because, LOSERS_MAX, Loser, Voiced, Why};

#[cfg(test)]
mod cases_tests;
#[cfg(test)]
mod channel_tests;
#[cfg(test)]
mod check_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod rule_tests;
#[cfg(test)]
mod test_world;
