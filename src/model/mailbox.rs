use serde::{Deserialize, Serialize};

/// What a mailbox says about its user's time. Each part is absent when it was not told, or not understandably.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxSettings {
    /// The automatic replies.
    pub automatic_replies: Option<AutomaticReplies>,
    /// The working hours.
    pub working_hours: Option<MailboxHours>,
    /// The user's time zone, by the name the server uses: Windows or IANA.
    pub time_zone: Option<String>,
}

/// Whether the mailbox answers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum AutomaticReplies {
    /// Not.
    Off,
    /// Until somebody switches them off.
    Always,
    /// In `[start_ms, end_ms)`.
    Scheduled {
        /// From, UTC epoch milliseconds.
        start_ms: i64,
        /// To.
        end_ms: i64,
    },
}

/// When the user works, by the mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxHours {
    /// On these days of the week, 1 (Monday) to 7 (Sunday), ascending.
    pub days: Vec<u8>,
    /// From this minute of the day.
    pub start_minute: u16,
    /// To this minute of the day; later than `start_minute`.
    pub end_minute: u16,
    /// In this zone, by the name the server uses; absent: in the mailbox's.
    pub time_zone: Option<String>,
}
