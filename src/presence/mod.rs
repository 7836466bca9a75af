//! Presence and call forwarding as one pure function of what is known and `now`.

mod choice;
mod settings;

pub use choice::{
    ActuatorKind, Availability, Channel, Condition, EventType, Hours, OnShutdown, Role, StatusText, Weekday,
};
pub use settings::{
    Actuator, Forwarding, PresenceSettings, Profile, Rule, RuleOutcome, Simple, TimeOfDay, TrustSetting,
    When, WorkingHours,
};
