//! Notices as the JSON objects that hosts read.

use serde::Serialize;
use serde_json::{Value, json};

use crate::api::Mirrors;
use crate::engine::{Notice, SyncAnswer, What};

/// The object that tells of one notice.
pub(super) fn to_json(notice: &Notice, mirrors: &Mirrors) -> Value {
    let account: &str = &notice.account;
    match &notice.what {
        What::Change { seq } => object("change", account, &json!({ "seq": seq })),
        What::Presence(tick) => {
            let sent = tick.sent.iter().map(|sent| {
                json!({ "channel": sent.channel.code(), "release": sent.is_release, "state": sent.state })
            });
            let sent: Vec<Value> = sent.collect();
            let what = json!({ "profile": tick.profile, "changed": tick.is_changed, "sent": sent });
            object("presence", account, &what)
        }
        What::Reminder(tick) => match mirrors.account(Some(account)) {
            Ok(effective) => object("reminder", account, &tick.to_json(&mirrors.zone(&effective))),
            Err(_) => object("reminder", account, &json!({})),
        },
        What::Sync(report) => match mirrors.account(Some(account)) {
            Ok(effective) => {
                let answer = SyncAnswer::new((**report).clone(), &mirrors.zone(&effective));
                object("sync", account, &answer)
            }
            Err(_) => object("sync", account, &json!({})),
        },
        What::SignIn(ended) => {
            let kind = ended.err().map(|kind| kind.code());
            object("sign_in", account, &json!({ "signed_in": ended.is_ok(), "kind": kind }))
        }
    }
}

/// That notices were dropped.
pub(super) fn missed() -> Value {
    json!({ "notice": "missed" })
}

fn object(notice: &str, account: &str, what: &impl Serialize) -> Value {
    let mut told = json!({ "notice": notice, "account": account });
    if let (Some(told), Ok(Value::Object(members))) = (told.as_object_mut(), serde_json::to_value(what)) {
        told.extend(members);
    }
    told
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::api::ErrorKind;
    use crate::config::Config;
    use crate::engine::{PresenceSent, PresenceTick, ReminderTick};
    use crate::model::Key;
    use crate::presence::Channel;
    use crate::system::SystemClock;
    use crate::zones::Zones;

    #[test]
    fn every_notice_has_its_published_shape() {
        let config =
            Config::parse("[[graph_app]]\ndisplay_name = \"c\"\napplication_id = \"1\"\ndirectory_id = \"t\"\n[[account]]\nname = \"anna\"\n[presence]\ntime_zone = \"Europe/Berlin\"\n")
                .unwrap();
        let mirrors = Mirrors::new(config, PathBuf::new(), Arc::new(SystemClock), Zones::bundled(), None);
        let told = |what| to_json(&Notice { account: "anna".into(), what }, &mirrors).to_string();
        let sent = PresenceSent { channel: Channel::Forwarding, is_release: false, state: "handed" };
        let tick = PresenceTick { profile: "BUSY".into(), is_changed: true, sent: vec![sent] };
        for (what, expected) in [
            (What::Change { seq: 7 }, r#"{"account":"anna","notice":"change","seq":7}"#),
            (
                What::Presence(tick),
                r#"{"account":"anna","changed":true,"notice":"presence","profile":"BUSY","sent":[{"channel":"forwarding","release":false,"state":"handed"}]}"#,
            ),
            (
                What::Reminder(ReminderTick { due: vec![(Key::from_bytes([1; 16]), 0)], more: 2 }),
                r#"{"account":"anna","items":[{"due_at":"1970-01-01T01:00:00+01:00","event":"01010101010101010101010101010101"}],"more":2,"notice":"reminder"}"#,
            ),
            (What::SignIn(Ok(())), r#"{"account":"anna","kind":null,"notice":"sign_in","signed_in":true}"#),
            (
                What::SignIn(Err(ErrorKind::SignIn)),
                r#"{"account":"anna","kind":"sign_in_needed","notice":"sign_in","signed_in":false}"#,
            ),
        ] {
            assert_eq!(told(what), expected);
        }
    }
}
