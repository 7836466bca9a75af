//! What is sent to whoever carries it out.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::presence::target::TARGET_NONE;
use crate::presence::{Availability, Channel, Condition, Forwarding};
use crate::zones::Zone;

/// What a channel is set to. May hold a number or a subject: not in `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Where calls go.
    Forwarding(Forwarding),
    /// What is shown.
    Presence {
        /// The profile.
        profile: String,
        /// What it shows.
        availability: Availability,
    },
    /// The status text.
    Text {
        /// None: no text.
        text: Option<String>,
    },
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Forwarding(_) => "Forwarding(…)",
            Value::Presence { .. } => "Presence(…)",
            Value::Text { .. } => "Text(…)",
        })
    }
}

impl Value {
    /// A forwarding of every call to `target`, as somebody sets it at the telephone.
    pub fn forwarded_to(target: &str) -> Value {
        Value::Forwarding(Forwarding {
            target: target.trim().to_owned(),
            scope: "all".to_owned(),
            condition: Condition::Always,
            after: None,
        })
    }

    /// As it stands in `set`; no forwarding is `{"target":"none"}`.
    pub fn wire(&self) -> serde_json::Value {
        if self.is_off() {
            return json!({ "target": TARGET_NONE });
        }
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Whether nothing is forwarded.
    pub fn is_off(&self) -> bool {
        match self {
            Value::Forwarding(forwarding) => forwarding.target.trim().eq_ignore_ascii_case(TARGET_NONE),
            Value::Presence { .. } | Value::Text { .. } => false,
        }
    }
}

/// Whether two states of a channel are the same; nothing known is no forwarding.
pub(super) fn is_same(one: Option<&Value>, other: Option<&Value>) -> bool {
    let plain = |value: Option<&Value>| value.filter(|value| !value.is_off()).cloned();
    plain(one) == plain(other)
}

/// One command, the same for every retry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Its name here.
    pub id: String,
    /// Its name for the receiver: of commands with equal keys one is carried out.
    pub idempotency_key: String,
    /// The channel.
    pub channel: Channel,
    /// What to set; none on a release of forwarding when nothing was forwarded before.
    pub set: Option<Value>,
    /// Whether the baseline is put back.
    pub is_release: bool,
    /// When it became wanted.
    pub valid_from_ms: i64,
    /// Until when delivering it makes sense; no expiry for the receiver.
    pub valid_until_ms: Option<i64>,
    /// How old the mirror was that asked for it: a receiver that acted on a newer one may refuse it.
    pub as_of_ms: Option<i64>,
    /// The count of the channel's commands.
    pub generation: u64,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("id", &self.id)
            .field("channel", &self.channel)
            .field("is_release", &self.is_release)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl Command {
    /// The command with its names. They follow from what it says and from the channel's history, so that devices
    /// with the same history agree; `account` keeps mailboxes apart. `since_ms`: since when the timeline wants it.
    pub(super) fn named(account: &str, since_ms: Option<i64>, mut command: Command) -> Command {
        let mut hasher = blake3::Hasher::new_derive_key("calmirror 2026 presence command");
        let mut field = |bytes: &[u8]| {
            hasher.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(bytes);
        };
        field(account.as_bytes());
        field(command.channel.code().as_bytes());
        field(&command.generation.to_le_bytes());
        field(&[u8::from(command.is_release)]);
        field(command.set_wire().to_string().as_bytes());
        field(&since_ms.unwrap_or(i64::MIN).to_le_bytes());
        field(&command.as_of_ms.unwrap_or(i64::MIN).to_le_bytes());
        let hash = hasher.finalize().to_hex();
        command.idempotency_key = hash.to_string();
        command.id = hash.chars().take(32).collect();
        command
    }

    /// What stands in `set`.
    pub fn set_wire(&self) -> serde_json::Value {
        self.set.as_ref().map_or_else(|| json!({ "target": TARGET_NONE }), Value::wire)
    }

    /// The command on the wire, with times in `zone`.
    pub fn wire(&self, zone: &Zone) -> serde_json::Value {
        json!({
            "id": self.id,
            "idempotency_key": self.idempotency_key,
            "channel": self.channel,
            "set": self.set_wire(),
            "release": self.is_release,
            "valid_from": zone.rfc3339(self.valid_from_ms),
            "valid_until": self.valid_until_ms.map(|ms| zone.rfc3339(ms)),
            "as_of": self.as_of_ms.map(|ms| zone.rfc3339(ms)),
            "generation": self.generation,
        })
    }
}

/// Whether a receiver that acted on a mirror of `acted_ms` may carry out a command from `as_of_ms`: an older
/// snapshot does not undo what a newer one asked for.
pub fn is_in_order(acted_ms: Option<i64>, as_of_ms: Option<i64>) -> bool {
    acted_ms <= as_of_ms
}
