use std::time::Duration;

use serde_json::json;

use crate::model::Fault;
use crate::ports::Method;
use crate::source::graph::client::Ask;
use crate::source::graph::site::encode_segment;
use crate::source::graph::writer::done;
use crate::source::graph::{Graph, time};

/// A presence that a user may prefer to what Teams finds out. Graph's own pairs of availability and activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preferred {
    /// Available.
    Available,
    /// Busy.
    Busy,
    /// Do not disturb.
    DoNotDisturb,
    /// Be right back.
    BeRightBack,
    /// Away.
    Away,
    /// Off work.
    Offline,
}

impl Preferred {
    /// `availability` and `activity`.
    const fn pair(self) -> (&'static str, &'static str) {
        match self {
            Preferred::Available => ("Available", "Available"),
            Preferred::Busy => ("Busy", "Busy"),
            Preferred::DoNotDisturb => ("DoNotDisturb", "DoNotDisturb"),
            Preferred::BeRightBack => ("BeRightBack", "BeRightBack"),
            Preferred::Away => ("Away", "Away"),
            Preferred::Offline => ("Offline", "OffWork"),
        }
    }
}

/// Presence in Teams, for work and school accounts with it. `user` is the user's id in the directory: the documented
/// addresses know neither `/me` nor principal names.
impl Graph {
    /// Shows `preferred` for `lasts` (to the minute), whatever Teams finds out; nothing while the user is signed in
    /// nowhere.
    ///
    /// # Errors
    /// Any [`Fault`] but `EndlessPages` and `LinkRefused`; [`super::reached`] says whether it may be shown.
    pub async fn prefer_presence(
        &self,
        user: &str,
        preferred: Preferred,
        lasts: Duration,
    ) -> Result<(), Fault> {
        let (availability, activity) = preferred.pair();
        let minutes = lasts.as_secs().div_ceil(60).max(1);
        let body = json!({
            "availability": availability, "activity": activity, "expirationDuration": format!("PT{minutes}M"),
        });
        self.set_presence(user, "setUserPreferredPresence", &body).await
    }

    /// Lets Teams decide again.
    ///
    /// # Errors
    /// As [`Graph::prefer_presence`].
    pub async fn clear_preferred_presence(&self, user: &str) -> Result<(), Fault> {
        self.set_presence(user, "clearUserPreferredPresence", &json!({})).await
    }

    /// Shows `text` beside the presence until `until_ms`; an empty one takes it away.
    ///
    /// # Errors
    /// As [`Graph::prefer_presence`].
    pub async fn set_status_message(
        &self,
        user: &str,
        text: &str,
        until_ms: Option<i64>,
    ) -> Result<(), Fault> {
        let mut message = json!({ "message": { "content": text, "contentType": "text" } });
        if let (Some(until_ms), Some(members)) = (until_ms, message.as_object_mut()) {
            let at = time::encode(until_ms);
            let at = json!({ "dateTime": at.trim_end_matches('Z'), "timeZone": "UTC" });
            members.insert("expiryDateTime".to_owned(), at);
        }
        self.set_presence(user, "setStatusMessage", &json!({ "statusMessage": message })).await
    }

    async fn set_presence(&self, user: &str, action: &str, body: &serde_json::Value) -> Result<(), Fault> {
        let url = self.0.site.api(&format!("/users/{}/presence/{action}", encode_segment(user)));
        let body = body.to_string();
        let body = Some(body.as_bytes());
        done(&self.0.ask(&Ask { method: Method::Post, body, is_write: true, ..Ask::small(url) }).await?)
    }
}
