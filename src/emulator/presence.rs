//! What Teams shows of a user, and what was asked of it.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::mailbox::Mailbox;
use super::wire::Refusal;
use super::world::World;
use super::zone;

/// Acts a mailbox remembers.
const ACTS_MAX: usize = 10_000;
/// How long a preference lasts that does not say so: busy and do-not-disturb, and all others.
const BUSY_MS: i64 = zone::DAY_MS;
const OTHER_MS: i64 = 7 * zone::DAY_MS;

/// Pairs of availability and activity that can be preferred.
const PREFERRED: [(&str, &str); 6] = [
    ("Available", "Available"),
    ("Busy", "Busy"),
    ("DoNotDisturb", "DoNotDisturb"),
    ("BeRightBack", "BeRightBack"),
    ("Away", "Away"),
    ("Offline", "OffWork"),
];

/// One thing that was asked of a user's presence, and done.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PresenceAct {
    /// When, by the service's clock.
    pub at_ms: i64,
    /// `setUserPreferredPresence`, `clearUserPreferredPresence` or `setStatusMessage`.
    pub what: String,
    /// The availability set.
    pub availability: Option<String>,
    /// The status text set; empty: taken away.
    pub text: Option<String>,
    /// When it ends by itself.
    pub until_ms: Option<i64>,
}

/// What is shown at an instant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ShownPresence {
    /// The availability; `Available` while nothing is preferred: the user is signed in to Teams.
    pub availability: String,
    /// The activity.
    pub activity: String,
    /// The status text.
    pub text: Option<String>,
}

#[derive(Clone, Default)]
pub(crate) struct Presence {
    preferred: Option<(&'static str, &'static str, i64)>,
    message: Option<(String, Option<i64>)>,
    pub acts: VecDeque<PresenceAct>,
}

impl Presence {
    fn act(&mut self, act: PresenceAct) {
        if self.acts.len() >= ACTS_MAX {
            self.acts.pop_front();
        }
        self.acts.push_back(act);
    }

    pub fn prefer(&mut self, body: &Map<String, Value>, now_ms: i64) -> Result<(), Refusal> {
        let member = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("");
        let wanted = (member("availability"), member("activity"));
        let pair = PREFERRED.into_iter().find(|pair| *pair == wanted);
        let (availability, activity) =
            pair.ok_or_else(|| bad("The combination of availability and activity is not supported."))?;
        let lasts_ms = match body.get("expirationDuration") {
            None | Some(Value::Null) if matches!(availability, "Busy" | "DoNotDisturb") => BUSY_MS,
            None | Some(Value::Null) => OTHER_MS,
            Some(text) => duration_ms(text).ok_or_else(|| bad("The expirationDuration is invalid."))?,
        };
        let until_ms = now_ms.saturating_add(lasts_ms);
        self.preferred = Some((availability, activity, until_ms));
        self.act(PresenceAct {
            at_ms: now_ms,
            what: "setUserPreferredPresence".into(),
            availability: Some(availability.into()),
            text: None,
            until_ms: Some(until_ms),
        });
        Ok(())
    }

    pub fn clear(&mut self, now_ms: i64) {
        self.preferred = None;
        let what = "clearUserPreferredPresence".into();
        self.act(PresenceAct { at_ms: now_ms, what, availability: None, text: None, until_ms: None });
    }

    pub fn tell(&mut self, body: &Map<String, Value>, now_ms: i64) -> Result<(), Refusal> {
        let message = body.get("statusMessage").ok_or_else(|| bad("statusMessage is needed."))?;
        let text = message.pointer("/message/content").and_then(Value::as_str).unwrap_or("").to_owned();
        let until_ms = match message.get("expiryDateTime") {
            None | Some(Value::Null) => None,
            Some(at) => Some(instant(at).ok_or_else(|| bad("The expiryDateTime is invalid."))?),
        };
        self.message = (!text.is_empty()).then(|| (text.clone(), until_ms));
        let what = "setStatusMessage".into();
        self.act(PresenceAct { at_ms: now_ms, what, availability: None, text: Some(text), until_ms });
        Ok(())
    }

    pub fn shown(&self, now_ms: i64) -> ShownPresence {
        let preferred = self.preferred.filter(|(.., until_ms)| *until_ms > now_ms);
        let (availability, activity) = preferred
            .map_or(("Available", "Available"), |(availability, activity, _)| (availability, activity));
        let message =
            self.message.as_ref().filter(|(_, until_ms)| until_ms.is_none_or(|until| until > now_ms));
        ShownPresence {
            availability: availability.into(),
            activity: activity.into(),
            text: message.map(|(text, _)| text.clone()),
        }
    }
}

fn bad(text: &str) -> Refusal {
    Refusal::new(400, "BadRequest", text)
}

fn duration_ms(text: &Value) -> Option<i64> {
    let span: jiff::Span = text.as_str()?.parse().ok()?;
    let lasts = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    i64::try_from(lasts.as_millis()).ok().filter(|ms| *ms > 0)
}

fn instant(at: &Value) -> Option<i64> {
    let text = at.get("dateTime")?.as_str()?;
    let zone = zone::resolve(at.get("timeZone").and_then(Value::as_str)?)?;
    let wall: jiff::civil::DateTime = text.trim_end_matches('Z').parse().ok()?;
    Some(wall.to_zoned(zone).ok()?.timestamp().as_millisecond())
}

impl Mailbox {
    /// Lays members over the settings; those of objects one by one.
    pub(crate) fn set_settings(&mut self, members: Map<String, Value>) -> Result<(), Refusal> {
        if let Some(name) = members.get("timeZone").and_then(Value::as_str) {
            if zone::resolve(name).is_none() {
                let text = "A valid TimeZone value must be specified.";
                return Err(Refusal::new(400, "TimeZoneNotSupportedException", text));
            }
            self.zone_name = name.to_owned();
        }
        let status = members.get("automaticRepliesSetting").and_then(|replies| replies.get("status"));
        let is_status =
            |status: &Value| matches!(status.as_str(), Some("disabled" | "alwaysEnabled" | "scheduled"));
        if status.is_some_and(|status| !is_status(status)) {
            return Err(Refusal::new(400, "RequestBodyRead", "Requested value was not found."));
        }
        for (name, value) in members {
            match (self.settings.get_mut(&name), value) {
                (Some(Value::Object(known)), Value::Object(new)) => known.extend(new),
                (_, value) => drop(self.settings.insert(name, value)),
            }
        }
        Ok(())
    }
}

impl World {
    /// What Teams shows of a user (by position) at `now_ms`.
    pub fn shown_presence(&self, user: usize, now_ms: i64) -> Option<ShownPresence> {
        let now_ms = now_ms + self.clock_offset_ms();
        self.mailboxes.get(user).map(|mailbox| mailbox.presence.shown(now_ms))
    }

    /// What was asked of a user's presence and done, oldest first; only the last ten thousand are kept.
    pub fn presence_acts(&self, user: usize) -> impl Iterator<Item = &PresenceAct> {
        self.mailboxes.get(user).into_iter().flat_map(|mailbox| &mailbox.presence.acts)
    }

    /// Forgets what was asked of presences.
    pub fn clear_presence_acts(&mut self) {
        for mailbox in &mut self.mailboxes {
            mailbox.presence.acts.clear();
        }
    }

    /// Changes a user's mailbox settings as the user does in Outlook: members as Graph writes them.
    ///
    /// # Errors
    /// What the service would say to it.
    pub fn set_mailbox_settings(&mut self, user: usize, members: &Value) -> Result<(), String> {
        let members = members.as_object().ok_or("the settings are an object")?.clone();
        let mailbox = self.mailboxes.get_mut(user).ok_or("there is no such user")?;
        mailbox.set_settings(members).map_err(|refusal| refusal.code)
    }

    pub(super) fn presence_lines(&self, user: usize, now_ms: i64) -> Value {
        let items: Vec<_> = self.presence_acts(user).collect();
        json!({"shown": self.shown_presence(user, now_ms), "count": items.len(), "items": items})
    }
}
