//! Presence: what is shown of the user, and three ways to change it.

use serde_json::{Value, json};

use super::super::wire::{Answer, Refusal};
use super::super::zone;
use super::{Graph, Reply, unknown_path};

impl Graph<'_> {
    pub(super) fn presence(&self) -> Reply {
        let shown = self.mailbox.presence.shown(self.now_ms);
        let message = shown.text.map_or(Value::Null, |text| {
            json!({"message": {"content": text, "contentType": "text"}, "publishedDateTime": zone::whole_seconds(self.now_ms)})
        });
        let body = json!({
            "id": self.mailbox.user.id, "availability": shown.availability, "activity": shown.activity,
            "statusMessage": message, "outOfOfficeSettings": {"message": Value::Null, "isOutOfOffice": false},
        });
        self.one(200, body, "users('me')/presence/$entity", &self.prefer()?)
    }

    pub(super) fn set_presence(&mut self, action: &str) -> Reply {
        // Documented for a user's id alone.
        let segments = self.call.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        if !matches!(path.as_slice(), [_, "users", id, ..] if *id == self.mailbox.user.id) {
            return Err(Refusal::new(404, "NotFound", "The user was not found."));
        }
        let body = self.object()?;
        let presence = &mut self.mailbox.presence;
        match action.trim_start_matches("microsoft.graph.") {
            "setUserPreferredPresence" => presence.prefer(&body, self.now_ms)?,
            "clearUserPreferredPresence" => presence.clear(self.now_ms),
            "setStatusMessage" => presence.tell(&body, self.now_ms)?,
            _ => return Err(unknown_path()),
        }
        Ok(Answer::empty(200))
    }
}
