use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::span;
use crate::model::{Response, Sensitivity, ShowAs, SourceKind};
use crate::presence::{
    ActuatorKind, Availability, Channel, Condition, EventType, Hours, OnShutdown, Role, StatusText, Weekday,
};

/// What one level (top, group, lock, account) says about presence; absent keys are inherited, a list that is
/// written replaces the inherited one whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresenceSettings {
    /// Whether presence is automated at all.
    pub enabled: Option<bool>,
    /// An IANA name.
    pub time_zone: Option<String>,
    /// When the user works.
    pub working_hours: Option<WorkingHours>,
    /// Holes up to this length between two stretches of one profile are bridged.
    pub merge_gap: Option<Duration>,
    /// The profile when nothing else speaks.
    pub base_profile: Option<String>,
    /// The profile outside working hours.
    pub off_hours_profile: Option<String>,
    /// How long an old mirror is believed.
    pub trust: TrustSetting,
    /// What happens to an owned forwarding at shutdown.
    pub on_shutdown: Option<OnShutdown>,
    /// The profiles.
    pub profiles: Option<Vec<Profile>>,
    /// The rules, in order.
    pub rules: Option<Vec<Rule>>,
    /// The simple form that compiles into rules.
    pub simple: Option<Simple>,
    /// Who carries commands out.
    pub actuators: Option<Vec<Actuator>>,
    /// The profile that an administrator prescribes, above everything.
    pub admin_profile: Option<String>,
    /// The user's own numbers and addresses: calls are not forwarded to them.
    pub own_numbers: Option<Vec<String>>,
    /// Numbers that are forwarded to the user's own.
    pub loop_numbers: Option<Vec<String>>,
    /// Beginnings of numbers that must not be forwarded to.
    pub forbidden_targets: Option<Vec<String>>,
}

/// How long an old mirror is believed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TrustSetting {
    /// For timed events.
    #[serde(serialize_with = "span::serialize_option")]
    pub timed: Option<Duration>,
    /// For all-day events.
    #[serde(serialize_with = "span::serialize_option")]
    pub all_day: Option<Duration>,
}

/// A wall time of a day, to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    /// 0–23.
    pub hour: u8,
    /// 0–59.
    pub minute: u8,
}

impl TimeOfDay {
    /// Reads `"08:00"`.
    pub fn parse(text: &str) -> Option<TimeOfDay> {
        let (hour, minute) = text.split_once(':')?;
        let is_plain =
            |part: &str| !part.is_empty() && part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit());
        if !is_plain(hour) || !is_plain(minute) || minute.len() != 2 {
            return None;
        }
        let time = TimeOfDay { hour: hour.parse().ok()?, minute: minute.parse().ok()? };
        (time.hour < 24 && time.minute < 60).then_some(time)
    }
}

impl std::fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// When the user works: local times on the named weekdays, within one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkingHours {
    /// On these days, Monday first.
    pub days: Vec<Weekday>,
    /// From.
    pub start: TimeOfDay,
    /// To, exclusive.
    pub end: TimeOfDay,
}

impl Default for WorkingHours {
    fn default() -> WorkingHours {
        WorkingHours {
            days: vec![Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri],
            start: TimeOfDay { hour: 8, minute: 0 },
            end: TimeOfDay { hour: 17, minute: 0 },
        }
    }
}

/// What is shown and forwarded while a claim holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub availability: Availability,
    /// Its weight among overlapping claims.
    pub rank: i64,
    /// Where calls go; absent: inherited.
    pub forwarding: Option<Forwarding>,
    /// Which text it publishes.
    pub status_text: StatusText,
    /// Whether other claims may take over a manual choice of it.
    pub allow_calendar_override: bool,
}

/// Where calls go. A target may be a telephone number, so it is not in `Debug`.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Forwarding {
    /// A number, `voicemail`, or `none` for off.
    pub target: String,
    /// Which calls, in the actuator's own words; `all` unless written.
    pub scope: String,
    /// When.
    pub condition: Condition,
    /// How long it rings first, with `no_answer`.
    #[serde(
        serialize_with = "span::serialize_option",
        deserialize_with = "span::deserialize_option",
        skip_serializing_if = "Option::is_none",
        default
    )]
    #[cfg_attr(feature = "local-api", schemars(with = "Option<String>"))]
    pub after: Option<Duration>,
}

impl std::fmt::Debug for Forwarding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarding").field("condition", &self.condition).finish_non_exhaustive()
    }
}

/// One rule: the first that matches an event decides it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What an event must be like.
    pub when: When,
    /// What follows.
    #[serde(flatten)]
    pub outcome: RuleOutcome,
    /// Its weight before ranks are compared.
    pub priority: i64,
    /// Added before the event.
    #[serde(serialize_with = "span::serialize")]
    pub lead: Duration,
    /// Added after the event.
    #[serde(serialize_with = "span::serialize")]
    pub tail: Duration,
    /// Shorter events make no claim.
    #[serde(serialize_with = "span::serialize")]
    pub min_duration: Duration,
    /// Which part of the day is claimed.
    pub hours: Hours,
}

/// What a rule does with an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleOutcome {
    /// It claims this profile.
    Profile(String),
    /// It makes no claim.
    Ignore(bool),
}

/// What an event must be like: all keys hold, and in a list one value suffices. An empty list asks nothing.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each field is the key of the same name of the configuration contract")]
pub struct When {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub show_as: Vec<ShowAs>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response: Vec<Response>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_day: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub role: Vec<Role>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sensitivity: Vec<Sensitivity>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub category: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub category_none: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_contains: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_prefix: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_word: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub location_contains: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online_meeting: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calendar: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<SourceKind>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organizer: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organizer_domain: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attendees_min: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_attendees: Option<bool>,
    #[serde(serialize_with = "span::serialize_option", skip_serializing_if = "Option::is_none")]
    pub min_duration: Option<Duration>,
    #[serde(serialize_with = "span::serialize_option", skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<Duration>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weekday: Vec<Weekday>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_type: Vec<EventType>,
}

impl std::fmt::Debug for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("When(…)")
    }
}

/// The simple form: a profile a situation. Compiles into rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Simple {
    /// For busy time.
    pub busy: Option<String>,
    /// For absences.
    pub oof: Option<String>,
    /// For tentative time.
    pub tentative: Option<String>,
    /// For time worked elsewhere.
    pub working_elsewhere: Option<String>,
    /// For all-day events.
    pub all_day: Option<String>,
    /// For private events.
    pub private: Option<String>,
    /// Outside working hours.
    pub outside_hours: Option<String>,
    /// Added before each event.
    #[serde(serialize_with = "span::serialize")]
    pub lead: Duration,
    /// Added after each event.
    #[serde(serialize_with = "span::serialize")]
    pub tail: Duration,
    /// Whether only accepted meetings count.
    pub only_accepted: bool,
}

/// Who carries commands out.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Actuator {
    /// What it can set.
    pub channels: Vec<Channel>,
    /// How it is reached.
    pub kind: ActuatorKind,
    /// The program and its arguments, for `command`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub program: Vec<String>,
    /// The address, for `webhook`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Which variable of the environment holds the secret that commands to `url` are signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// Which file holds it, for this user's eyes alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// How long an answer is waited for.
    #[serde(serialize_with = "span::serialize_option", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

impl Actuator {
    /// The longest wait for an answer that can be asked for: a command is tried again before long.
    pub const TIMEOUT_MAX: Duration = Duration::from_secs(60);

    /// Reads relative paths as relative to `folder`. A program without a slash is looked for on the search path.
    pub(crate) fn rebase(&mut self, folder: &Path) {
        if let Some(path) = &mut self.secret_file {
            *path = folder.join(&*path);
        }
        if let Some(program) = self.program.first_mut()
            && program.contains(std::path::is_separator)
        {
            *program = folder.join(&*program).to_string_lossy().into_owned();
        }
    }
}

impl std::fmt::Debug for Actuator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Actuator")
            .field("channels", &self.channels)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
