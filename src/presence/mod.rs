//! Presence and call forwarding as one pure function of what is known and `now`.

mod choice;
#[expect(dead_code, reason = "the machine of a channel names commands")]
mod command;
mod settings;
mod target;

pub use choice::{
    ActuatorKind, Availability, Channel, Condition, EventType, Hours, OnShutdown, Role, StatusText, Weekday,
};
pub use command::{Command, Value, is_in_order};
pub use settings::{
    Actuator, Forwarding, PresenceSettings, Profile, Rule, RuleOutcome, Simple, TimeOfDay, TrustSetting,
    When, WorkingHours,
};
pub use target::{Lines, TARGET_NONE, TARGET_VOICEMAIL, TargetProblem};
