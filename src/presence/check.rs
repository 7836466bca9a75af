//! What is wrong, or looks wrong, with the settings.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::model::{ShowAs, coded::coded};
use crate::presence::settings::{PresenceSettings, Rule, RuleOutcome, When};
use crate::presence::target::Lines;
use crate::presence::when::folded;
use crate::presence::{ActuatorKind, Channel, StatusText, simple};

/// Numbers that reach rescue services in most countries; a forwarding to them is hardly meant.
const EMERGENCY: [&str; 5] = ["110", "112", "911", "999", "000"];

coded! {
    /// How bad a finding is.
    Level {
        /// It does not work.
        Error = "error",
        /// It is probably not meant.
        Warning = "warning",
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// Where, as `presence.rule.customers.profile`.
    pub key: String,
    /// What, in words.
    pub message: String,
}

/// Everything that is wrong or looks wrong, in the order of the settings.
pub fn check(settings: &PresenceSettings, lines: &Lines) -> Vec<Finding> {
    let mut report = Report { settings, found: Vec::new() };
    report.base();
    report.profiles(lines);
    report.rules();
    report.simple();
    report.actuators();
    report.found
}

struct Report<'s> {
    settings: &'s PresenceSettings,
    found: Vec<Finding>,
}

impl Report<'_> {
    fn note(&mut self, level: Level, key: impl Into<String>, message: impl Into<String>) {
        let key = format!("presence.{}", key.into());
        self.found.push(Finding { level, key, message: message.into() });
    }

    fn has(&self, name: &str) -> bool {
        self.settings.profiles.iter().flatten().any(|profile| profile.name == name)
    }

    /// A place that names a profile.
    fn reference(&mut self, key: &str, name: &str) {
        if !self.has(name) {
            self.note(Level::Error, key, format!("there is no profile \"{name}\""));
        }
    }

    fn base(&mut self) {
        let settings = self.settings;
        match &settings.base_profile {
            Some(name) => self.reference("base_profile", name),
            None if settings.profiles.iter().flatten().next().is_some() => self.note(
                Level::Warning,
                "base_profile",
                "is missing: the available profile of the lowest rank stands in",
            ),
            None => {}
        }
        if let Some(name) = &settings.off_hours_profile {
            self.reference("off_hours_profile", name);
        }
        if let Some(name) = &settings.admin_profile {
            self.reference("admin_profile", name);
            self.note(
                Level::Warning,
                "admin_profile",
                "is prescribed: rules and manual choices have no effect until it is taken out",
            );
        }
        if let Some(hours) = &settings.working_hours {
            if hours.start >= hours.end {
                self.note(Level::Error, "working_hours.end", "must be later than start on the same day");
            }
            if hours.days.is_empty() {
                self.note(
                    Level::Warning,
                    "working_hours.days",
                    "names no day: it is always outside working hours",
                );
            }
        }
        if settings.time_zone.is_none() {
            self.note(Level::Warning, "time_zone", "is missing: the zone of this computer counts");
        }
    }

    fn profiles(&mut self, lines: &Lines) {
        let used = self.used();
        let mut names = BTreeSet::new();
        for profile in self.settings.profiles.iter().flatten() {
            let key = format!("profile.{}", profile.name);
            if !names.insert(profile.name.as_str()) {
                self.note(Level::Error, key.as_str(), "there is already a profile of this name");
            }
            if !used.contains(profile.name.as_str()) {
                self.note(
                    Level::Warning,
                    key.as_str(),
                    "no rule uses this profile; it can be set by hand only",
                );
            }
            if profile.status_text == StatusText::Subject {
                self.note(
                    Level::Warning,
                    format!("{key}.status_text"),
                    "publishes the subjects of appointments that are not private to everybody who sees the status",
                );
            }
            let Some(forwarding) = &profile.forwarding else { continue };
            let key = format!("{key}.forwarding.target");
            if let Some(problem) = lines.problem(&forwarding.target) {
                let text = problem.text();
                self.note(Level::Error, key, format!("{text}: presence is set, forwarding is skipped"));
            } else if EMERGENCY.contains(&forwarding.target.trim()) {
                self.note(Level::Warning, key, "is an emergency number in many countries");
            }
        }
    }

    fn used(&self) -> BTreeSet<String> {
        let settings = self.settings;
        let rules =
            settings.rules.iter().flatten().cloned().chain(settings.simple.iter().flat_map(simple::rules));
        let of_rules = rules.filter_map(|rule| match rule.outcome {
            RuleOutcome::Profile(name) => Some(name),
            RuleOutcome::Ignore(_) => None,
        });
        let outside = settings.simple.as_ref().and_then(|simple| simple.outside_hours.clone());
        of_rules
            .chain(settings.base_profile.clone())
            .chain(settings.off_hours_profile.clone())
            .chain(settings.admin_profile.clone())
            .chain(outside)
            .collect()
    }

    fn rules(&mut self) {
        let rules: Vec<Rule> = self.settings.rules.iter().flatten().cloned().collect();
        for (place, rule) in rules.iter().enumerate() {
            let key = format!("rule.{}", rule.name);
            if let RuleOutcome::Profile(name) = &rule.outcome {
                self.reference(&format!("{key}.profile"), name);
            }
            let earlier = rules.get(..place).unwrap_or_default();
            let when = folded(&rule.when);
            if let Some(before) = earlier.iter().find(|before| covers(&folded(&before.when), &when)) {
                let message = format!(
                    "never decides: rule \"{}\" before it matches everything it matches",
                    before.name
                );
                self.note(Level::Warning, format!("{key}.when"), message);
            } else if matches!(rule.outcome, RuleOutcome::Profile(_)) && !is_free_settled(&rule.when, earlier)
            {
                self.note(
                    Level::Warning,
                    format!("{key}.when"),
                    "also matches free time: add show_as, or a rule before it that ignores show_as = [\"free\"]",
                );
            }
        }
    }

    fn simple(&mut self) {
        let Some(simple) = &self.settings.simple else { return };
        for (key, name) in [
            ("busy", &simple.busy),
            ("oof", &simple.oof),
            ("tentative", &simple.tentative),
            ("working_elsewhere", &simple.working_elsewhere),
            ("all_day", &simple.all_day),
            ("private", &simple.private),
            ("outside_hours", &simple.outside_hours),
        ] {
            if let Some(name) = name {
                self.reference(&format!("simple.{key}"), name);
            }
        }
        if self.settings.rules.iter().flatten().any(|rule| folded(&rule.when) == When::default()) {
            self.note(Level::Warning, "simple", "never decides: a rule above it matches every event");
        }
        if self.settings.off_hours_profile.is_some() && simple.outside_hours.is_some() {
            self.note(Level::Warning, "simple.outside_hours", "does not count beside off_hours_profile");
        }
    }

    fn actuators(&mut self) {
        let settings = self.settings;
        let mut taken = BTreeSet::new();
        for actuator in settings.actuators.iter().flatten() {
            for channel in &actuator.channels {
                let key = format!("actuator.{}", channel.code());
                if !taken.insert(*channel) {
                    self.note(
                        Level::Warning,
                        key.as_str(),
                        "several actuators have this channel: only the first counts",
                    );
                }
                if actuator.kind == ActuatorKind::Teams && *channel == Channel::Forwarding {
                    self.note(
                        Level::Error,
                        key,
                        "Teams cannot set call forwarding by Graph: use command, webhook or host",
                    );
                }
            }
        }
        let profiles = || settings.profiles.iter().flatten();
        let has_rules = settings.rules.iter().flatten().next().is_some() || settings.simple.is_some();
        let needed = [
            (Channel::Presence, has_rules),
            (Channel::Forwarding, profiles().any(|profile| profile.forwarding.is_some())),
            (
                Channel::Text,
                profiles()
                    .any(|profile| matches!(profile.status_text, StatusText::Subject | StatusText::Category)),
            ),
        ];
        for (channel, is_needed) in needed {
            if is_needed && !taken.contains(&channel) {
                let message = format!("no actuator has the channel \"{}\": nobody is told", channel.code());
                self.note(Level::Warning, "actuator", message);
            }
        }
    }
}

/// Whether free time cannot reach the rule, or is meant by it.
fn is_free_settled(when: &When, earlier: &[Rule]) -> bool {
    let free = When { show_as: vec![ShowAs::Free], ..When::default() };
    !when.show_as.is_empty() || earlier.iter().any(|rule| covers(&folded(&rule.when), &free))
        // Only an absence or a cancellation is told apart from free time by these.
        || when.cancelled == Some(true)
}

/// Whether `wide` matches whatever `narrow` matches; conservative: false when in doubt. Both are folded.
fn covers(wide: &When, narrow: &When) -> bool {
    fn list<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
        wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|value| wide.contains(value)))
    }
    /// A text that holds for every narrow one.
    fn texts(wide: &[String], narrow: &[String], implies: fn(&str, &str) -> bool) -> bool {
        wide.is_empty()
            || (!narrow.is_empty() && narrow.iter().all(|text| wide.iter().any(|other| implies(text, other))))
    }
    fn flag<T: PartialEq>(wide: Option<T>, narrow: Option<T>) -> bool {
        wide.is_none() || wide == narrow
    }
    let prefix = |text: &str, other: &str| text.starts_with(other);
    let contains = |text: &str, other: &str| text.contains(other);
    // A private event matches no content key: a wide rule with one is not wider than a narrow rule without, and the
    // lists above say just that.
    list(&wide.show_as, &narrow.show_as)
        && list(&wide.response, &narrow.response)
        && flag(wide.cancelled, narrow.cancelled)
        && flag(wide.all_day, narrow.all_day)
        && list(&wide.role, &narrow.role)
        && list(&wide.sensitivity, &narrow.sensitivity)
        && list(&wide.category, &narrow.category)
        && (wide.category_none.is_empty()
            || wide.category_none.iter().all(|name| narrow.category_none.contains(name)))
        && texts(&wide.subject_contains, &narrow.subject_contains, contains)
        && texts(&wide.subject_prefix, &narrow.subject_prefix, prefix)
        && list(&wide.subject_word, &narrow.subject_word)
        && texts(&wide.location_contains, &narrow.location_contains, contains)
        && flag(wide.online_meeting, narrow.online_meeting)
        && list(&wide.calendar, &narrow.calendar)
        && list(&wide.source, &narrow.source)
        && list(&wide.organizer, &narrow.organizer)
        && list(&wide.organizer_domain, &narrow.organizer_domain)
        && wide.attendees_min.is_none_or(|min| narrow.attendees_min.is_some_and(|own| own >= min))
        && flag(wide.external_attendees, narrow.external_attendees)
        && wide.min_duration.is_none_or(|min| narrow.min_duration.is_some_and(|own| own >= min))
        && wide.max_duration.is_none_or(|max| narrow.max_duration.is_some_and(|own| own <= max))
        && list(&wide.weekday, &narrow.weekday)
        && list(&wide.event_type, &narrow.event_type)
}
