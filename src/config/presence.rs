//! The grammar of the presence policy: its nouns are the presence room's.

use std::path::PathBuf;

use crate::config::reader::{Section, unknown_word};
use crate::model::{Response, Sensitivity, ShowAs, SourceKind, guarded_url};
use crate::presence::{
    Actuator, ActuatorKind, Availability, Channel, Condition, EventType, Forwarding, Hours, OnShutdown,
    PresenceSettings, Profile, Role, Rule, RuleOutcome, Simple, StatusText, TimeOfDay, TrustSetting, Weekday,
    When, WorkingHours,
};
use crate::zones::Zones;

pub(super) const PRESENCE_KEYS: &[&str] = &[
    "enabled",
    "time_zone",
    "working_hours",
    "merge_gap",
    "base_profile",
    "off_hours_profile",
    "trust",
    "on_shutdown",
    "profile",
    "rule",
    "simple",
    "actuator",
    "admin_profile",
    "own_numbers",
    "loop_numbers",
    "forbidden_targets",
];
const WORKING_HOURS_KEYS: &[&str] = &["days", "start", "end"];
const TRUST_KEYS: &[&str] = &["timed", "all_day"];
const PROFILE_KEYS: &[&str] =
    &["name", "availability", "rank", "forwarding", "status_text", "allow_calendar_override"];
const FORWARDING_KEYS: &[&str] = &["target", "scope", "condition", "after"];
const RULE_KEYS: &[&str] =
    &["name", "when", "profile", "ignore", "priority", "lead", "tail", "min_duration", "hours"];
const WHEN_KEYS: &[&str] = &[
    "show_as",
    "response",
    "cancelled",
    "all_day",
    "role",
    "sensitivity",
    "category",
    "category_none",
    "subject_contains",
    "subject_prefix",
    "subject_word",
    "location_contains",
    "online_meeting",
    "calendar",
    "source",
    "organizer",
    "organizer_domain",
    "attendees_min",
    "external_attendees",
    "min_duration",
    "max_duration",
    "weekday",
    "event_type",
];
const SIMPLE_KEYS: &[&str] = &[
    "busy",
    "oof",
    "tentative",
    "working_elsewhere",
    "all_day",
    "private",
    "outside_hours",
    "lead",
    "tail",
    "only_accepted",
];
const ACTUATOR_KEYS: &[&str] =
    &["channels", "kind", "program", "url", "secret", "secret_env", "secret_file", "timeout"];
const SHOW_AS_CODES: &[&str] = &["free", "tentative", "busy", "oof", "working_elsewhere", "unknown"];
const RESPONSE_CODES: &[&str] = &["none", "organizer", "tentative", "accepted", "declined", "not_responded"];
const SENSITIVITY_CODES: &[&str] = &["normal", "personal", "private", "confidential"];

/// The largest rank, priority and number of attendees.
const NUMBER_MAX: i64 = 1_000_000;

/// A place that names a profile.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) slot: Slot,
    pub(super) at: usize,
    pub(super) key: String,
    pub(super) profile: String,
}

/// The inherited whole a reference stands in: when a nearer level writes it, the farther one's does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Base,
    OffHours,
    Admin,
    Rules,
    Simple,
}

impl Slot {
    pub(super) const ALL: [Slot; 5] = [Slot::Base, Slot::OffHours, Slot::Admin, Slot::Rules, Slot::Simple];

    /// Whether a level writes it.
    pub(super) fn is_written(self, settings: &PresenceSettings) -> bool {
        match self {
            Slot::Base => settings.base_profile.is_some(),
            Slot::OffHours => settings.off_hours_profile.is_some(),
            Slot::Admin => settings.admin_profile.is_some(),
            Slot::Rules => settings.rules.is_some(),
            Slot::Simple => settings.simple.is_some(),
        }
    }
}

/// Reads the name of a profile and notes it as a reference.
fn profile_name(
    section: &Section<'_, '_>,
    name: &str,
    slot: Slot,
    references: &mut Vec<Reference>,
) -> Option<String> {
    let text = section.text(name)?;
    references.push(Reference { slot, at: text.at, key: section.key(name), profile: text.value.clone() });
    Some(text.value)
}

/// Reads a presence table, and which profiles it names where.
pub(super) fn read_presence(section: &Section<'_, '_>, references: &mut Vec<Reference>) -> PresenceSettings {
    PresenceSettings {
        enabled: section.flag("enabled"),
        time_zone: read_time_zone(section),
        working_hours: section.section("working_hours", WORKING_HOURS_KEYS).and_then(read_working_hours),
        merge_gap: section.span("merge_gap"),
        base_profile: profile_name(section, "base_profile", Slot::Base, references),
        off_hours_profile: profile_name(section, "off_hours_profile", Slot::OffHours, references),
        trust: section
            .section("trust", TRUST_KEYS)
            .map(|trust| TrustSetting { timed: trust.span("timed"), all_day: trust.span("all_day") })
            .unwrap_or_default(),
        on_shutdown: section.choice("on_shutdown", OnShutdown::CODES, OnShutdown::from_code),
        profiles: section.sections("profile", PROFILE_KEYS).map(read_profiles),
        rules: section.sections("rule", RULE_KEYS).map(|rules| read_rules(rules, references)),
        simple: section.section("simple", SIMPLE_KEYS).map(|simple| read_simple(&simple, references)),
        actuators: section
            .sections("actuator", ACTUATOR_KEYS)
            .map(|actuators| actuators.into_iter().filter_map(read_actuator).collect()),
        admin_profile: profile_name(section, "admin_profile", Slot::Admin, references),
        own_numbers: read_numbers(section, "own_numbers"),
        loop_numbers: read_numbers(section, "loop_numbers"),
        forbidden_targets: read_numbers(section, "forbidden_targets"),
    }
}

fn read_numbers(section: &Section<'_, '_>, name: &str) -> Option<Vec<String>> {
    Some(section.texts(name)?.into_iter().map(|text| text.value).collect())
}

fn read_time_zone(section: &Section<'_, '_>) -> Option<String> {
    let text = section.text("time_zone")?.value;
    // The bundled database: whether a configuration is right must not depend on the machine it is read on.
    let name = Zones::bundled().iana_name(&text);
    if name.is_none() {
        section.note(
            "time_zone",
            "must be a time zone such as \"Europe/Berlin\" or \"W. Europe Standard Time\"",
        );
    }
    name
}

fn read_working_hours(section: Section<'_, '_>) -> Option<WorkingHours> {
    let default = WorkingHours::default();
    let time = |name: &str, otherwise: TimeOfDay| match section.text(name) {
        None => Some(otherwise),
        Some(text) => {
            let time = TimeOfDay::parse(&text.value);
            if time.is_none() {
                section.note(name, "must be a time of day such as \"08:00\"");
            }
            time
        }
    };
    let mut days = section.choices("days", Weekday::CODES, Weekday::from_code).unwrap_or(default.days);
    days.sort();
    days.dedup();
    let (start, end) = (time("start", default.start)?, time("end", default.end)?);
    if start >= end {
        section.note("end", format!("must be later than start ({start}) on the same day"));
        return None;
    }
    Some(WorkingHours { days, start, end })
}

fn read_profiles(sections: Vec<Section<'_, '_>>) -> Vec<Profile> {
    let mut profiles: Vec<Profile> = Vec::new();
    for section in sections {
        let name = section.required_text("name", "BUSY").map(|text| text.value);
        if !section.has("availability") {
            section.note("availability", format!("is missing: {}", unknown_word("", Availability::CODES)));
        }
        let availability = section.choice("availability", Availability::CODES, Availability::from_code);
        let rank = section.number("rank", -NUMBER_MAX, NUMBER_MAX);
        let forwarding = section.section("forwarding", FORWARDING_KEYS).and_then(read_forwarding);
        let status_text = section.choice("status_text", StatusText::CODES, StatusText::from_code);
        let allow_calendar_override = section.flag("allow_calendar_override").unwrap_or(true);
        let (Some(name), Some(availability)) = (name, availability) else { continue };
        if profiles.iter().any(|profile| profile.name == name) {
            section.note("name", format!("there is already a profile \"{name}\""));
            continue;
        }
        profiles.push(Profile {
            name,
            availability,
            rank: rank.unwrap_or_else(|| availability.default_rank()),
            forwarding,
            status_text: status_text.unwrap_or(StatusText::Generic),
            allow_calendar_override,
        });
    }
    profiles
}

fn read_forwarding(section: Section<'_, '_>) -> Option<Forwarding> {
    let target = section.required_text("target", "voicemail");
    let scope = section.text("scope").map_or_else(|| "all".to_owned(), |text| text.value);
    let condition =
        section.choice("condition", Condition::CODES, Condition::from_code).unwrap_or(Condition::Always);
    let after = section.span("after");
    match (condition, after) {
        (Condition::NoAnswer, None) if !section.has("after") => {
            section.note("after", "is missing: with condition \"no_answer\" write after = \"20s\"");
        }
        (Condition::Always | Condition::Busy, Some(_)) => {
            section.note("after", "belongs to condition = \"no_answer\"");
        }
        (Condition::NoAnswer | Condition::Always | Condition::Busy, _) => {}
    }
    Some(Forwarding { target: target?.value, scope, condition, after })
}

fn read_rules(sections: Vec<Section<'_, '_>>, references: &mut Vec<Reference>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for section in sections {
        let name = section.required_text("name", "meetings").map(|text| text.value);
        let when = section.section("when", WHEN_KEYS).map(read_when).unwrap_or_default();
        let profile = profile_name(&section, "profile", Slot::Rules, references);
        let outcome = match (profile, section.flag("ignore").unwrap_or(false)) {
            (Some(_), true) => {
                section.note("ignore", "a rule has either a profile or ignore = true, not both");
                None
            }
            (Some(profile), false) => Some(RuleOutcome::Profile(profile)),
            (None, true) => Some(RuleOutcome::Ignore(true)),
            (None, false) => {
                if !section.has("profile") {
                    section.note("profile", "is missing: name a profile, or write ignore = true");
                }
                None
            }
        };
        let rule = Rule {
            name: name.clone().unwrap_or_default(),
            when,
            outcome: outcome.clone().unwrap_or(RuleOutcome::Ignore(true)),
            priority: section.number("priority", -NUMBER_MAX, NUMBER_MAX).unwrap_or(0),
            lead: section.span("lead").unwrap_or_default(),
            tail: section.span("tail").unwrap_or_default(),
            min_duration: section.span("min_duration").unwrap_or_default(),
            hours: section.choice("hours", Hours::CODES, Hours::from_code).unwrap_or(Hours::Any),
        };
        if let (Some(name), Some(_)) = (name, outcome) {
            if rules.iter().any(|rule| rule.name == name) {
                section.note("name", format!("there is already a rule \"{name}\""));
            }
            rules.push(rule);
        }
    }
    rules
}

fn read_when(section: Section<'_, '_>) -> When {
    let texts = |name: &str| -> Vec<String> {
        section.texts(name).unwrap_or_default().into_iter().map(|text| text.value).collect()
    };
    let when = When {
        show_as: section.choices("show_as", SHOW_AS_CODES, ShowAs::from_code).unwrap_or_default(),
        response: section.choices("response", RESPONSE_CODES, Response::from_code).unwrap_or_default(),
        cancelled: section.flag("cancelled"),
        all_day: section.flag("all_day"),
        role: section.choices("role", Role::CODES, Role::from_code).unwrap_or_default(),
        sensitivity: section
            .choices("sensitivity", SENSITIVITY_CODES, Sensitivity::from_code)
            .unwrap_or_default(),
        category: texts("category"),
        category_none: texts("category_none"),
        subject_contains: texts("subject_contains"),
        subject_prefix: texts("subject_prefix"),
        subject_word: texts("subject_word"),
        location_contains: texts("location_contains"),
        online_meeting: section.flag("online_meeting"),
        calendar: texts("calendar"),
        source: section.choices("source", SourceKind::CODES, SourceKind::from_code).unwrap_or_default(),
        organizer: texts("organizer"),
        organizer_domain: texts("organizer_domain"),
        attendees_min: section
            .number("attendees_min", 0, NUMBER_MAX)
            .and_then(|number| u32::try_from(number).ok()),
        external_attendees: section.flag("external_attendees"),
        min_duration: section.span("min_duration"),
        max_duration: section.span("max_duration"),
        weekday: section.choices("weekday", Weekday::CODES, Weekday::from_code).unwrap_or_default(),
        event_type: section.choices("event_type", EventType::CODES, EventType::from_code).unwrap_or_default(),
    };
    if let (Some(min), Some(max)) = (when.min_duration, when.max_duration)
        && min > max
    {
        section.note("max_duration", "must not be shorter than min_duration");
    }
    when
}

fn read_simple(section: &Section<'_, '_>, references: &mut Vec<Reference>) -> Simple {
    let mut text = |name: &str| profile_name(section, name, Slot::Simple, references);
    Simple {
        busy: text("busy"),
        oof: text("oof"),
        tentative: text("tentative"),
        working_elsewhere: text("working_elsewhere"),
        all_day: text("all_day"),
        private: text("private"),
        outside_hours: text("outside_hours"),
        lead: section.span("lead").unwrap_or_default(),
        tail: section.span("tail").unwrap_or_default(),
        only_accepted: section.flag("only_accepted").unwrap_or(false),
    }
}

fn read_actuator(section: Section<'_, '_>) -> Option<Actuator> {
    let channels = section.choices("channels", Channel::CODES, Channel::from_code);
    if !section.has("channels") {
        section.note("channels", format!("is missing: a list of {}", Channel::CODES.join(", ")));
    }
    if !section.has("kind") {
        section.note("kind", format!("is missing: {}", unknown_word("", ActuatorKind::CODES)));
    }
    let kind = section.choice("kind", ActuatorKind::CODES, ActuatorKind::from_code)?;
    let program: Vec<String> =
        section.texts("program").unwrap_or_default().into_iter().map(|text| text.value).collect();
    let url = section.text("url").map(|text| text.value);
    if url.as_deref().is_some_and(|url| guarded_url(url).is_none()) {
        // It may hold a token: its text is not repeated.
        section.note("url", "must be an https:// address, or http:// of this machine, without a user part");
    }
    let (secret_env, secret_file) = read_secret(&section);
    let timeout = section.span("timeout");
    if timeout.is_some_and(|timeout| timeout.is_zero() || timeout > Actuator::TIMEOUT_MAX) {
        section.note("timeout", "must be between 1s and 60s");
    }
    match kind {
        ActuatorKind::Command if program.is_empty() => {
            section.note("program", "is missing: write program = [\"set-forwarding\"]");
        }
        ActuatorKind::Webhook if url.is_none() => {
            section.note("url", "is missing: the address that commands are posted to");
        }
        ActuatorKind::Command | ActuatorKind::Webhook | ActuatorKind::Teams | ActuatorKind::Host => {}
    }
    Some(Actuator { channels: channels?, kind, program, url, secret_env, secret_file, timeout })
}

/// Where the secret is, never what it is.
fn read_secret(section: &Section<'_, '_>) -> (Option<String>, Option<PathBuf>) {
    if section.has("secret") {
        section.note(
            "secret",
            "is not written here: name a variable of the environment with `secret_env`, or a file with `secret_file`",
        );
    }
    let name = section.text("secret_env").map(|text| text.value);
    let is_name = |name: &String| {
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    if name.as_ref().is_some_and(|name| !is_name(name)) {
        // It may be the secret itself: its text is not repeated.
        section.note(
            "secret_env",
            "must be the name of a variable of the environment, such as \"CALMIRROR_SECRET\", not the secret itself",
        );
    }
    if section.has("secret_env") && section.has("secret_file") {
        section.note("secret_file", "is one too many: there is a `secret_env` already");
    }
    (name.filter(is_name), section.text("secret_file").map(|text| text.value.into()))
}
