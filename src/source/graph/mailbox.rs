use crate::model::{AutomaticReplies, Fault, MailboxHours, MailboxSettings, Unreadable};
use crate::source::graph::client::Ask;
use crate::source::graph::{Graph, decode, event, json, refusal, text, time};

/// The members that are asked for. Not the replies themselves, which are letters to people.
const SELECT: &str = "automaticRepliesSetting,workingHours,timeZone";
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// The most days looked at; more than seven are a mistake.
const DAYS_MAX: usize = 32;

impl Graph {
    /// The mailbox's automatic replies, working hours and zone; `None` when the sign-in may not read them or the
    /// mailbox has none, which says nothing about the account otherwise.
    ///
    /// # Errors
    /// Any [`Fault`] but `EndlessPages` and `LinkRefused`.
    pub async fn mailbox_settings(&self) -> Result<Option<MailboxSettings>, Fault> {
        let url = self.0.site.api(&format!("{}/mailboxSettings?$select={SELECT}", self.0.site.mailbox()));
        match self.0.ask(&Ask::small(url)).await {
            Ok(reply) => settings(&decode::body_text(&reply.body)?).map(Some),
            Err(Fault::Refused { status: 403 | 404, .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

/// The settings that a body holds. What is damaged in it is absent; the rest counts.
fn settings(body: &str) -> Result<MailboxSettings, Fault> {
    let mut settings = MailboxSettings::default();
    let mut has_any = false;
    let walked = json::members(body, |member, value| {
        has_any |= SELECT.split(',').any(|known| known == member);
        match &*member {
            "automaticRepliesSetting" => settings.automatic_replies = automatic_replies(value),
            "workingHours" => settings.working_hours = working_hours(value),
            "timeZone" => settings.time_zone = zone_name(value),
            _ => {}
        }
    });
    match walked {
        Ok(()) if has_any => Ok(settings),
        _ if refusal::code(body).is_some() => Err(refusal::of_success(body)),
        _ => Err(Fault::Unreadable(Unreadable::Shape)),
    }
}

fn automatic_replies(slice: &str) -> Option<AutomaticReplies> {
    let (mut status, mut start, mut end) = (None, None, None);
    json::members(slice, |member, value| match &*member {
        "status" => status = json::text_of(value),
        "scheduledStartDateTime" => start = instant(value),
        "scheduledEndDateTime" => end = instant(value),
        _ => {}
    })
    .ok()?;
    match &*status? {
        "disabled" => Some(AutomaticReplies::Off),
        "alwaysEnabled" => Some(AutomaticReplies::Always),
        "scheduled" => {
            let (start_ms, end_ms) = (start?, end?);
            let is_some = start_ms < end_ms;
            Some(if is_some {
                AutomaticReplies::Scheduled { start_ms, end_ms }
            } else {
                AutomaticReplies::Off
            })
        }
        _ => None,
    }
}

fn instant(slice: &str) -> Option<i64> {
    let (mut written, mut zone) = (None, None);
    json::members(slice, |member, value| match &*member {
        "dateTime" => written = json::text_of(value).and_then(|text| time::decode(&text)),
        "timeZone" => zone = json::text_of(value),
        _ => {}
    })
    .ok()?;
    Some(time::instant_ms(written?, zone.as_deref()))
}

fn working_hours(slice: &str) -> Option<MailboxHours> {
    let (mut days, mut start, mut end, mut time_zone) = (Vec::new(), None, None, None);
    let day = |value| {
        let name = json::text_of(value)?.to_ascii_lowercase();
        DAYS.iter().position(|day| *day == name).and_then(|place| u8::try_from(place + 1).ok())
    };
    json::members(slice, |member, value| match &*member {
        "daysOfWeek" => {
            let mut seen = 0;
            let _malformed_is_none = json::elements(value, |value| {
                days.extend(day(value));
                seen += 1;
                seen < DAYS_MAX
            });
        }
        "startTime" => start = json::text_of(value).and_then(|text| minute(&text)),
        "endTime" => end = json::text_of(value).and_then(|text| minute(&text)),
        "timeZone" => time_zone = hours_zone(value),
        _ => {}
    })
    .ok()?;
    days.sort_unstable();
    days.dedup();
    let (start_minute, end_minute) = (start?, end?);
    (!days.is_empty() && start_minute < end_minute).then_some(MailboxHours {
        days,
        start_minute,
        end_minute,
        time_zone,
    })
}

/// The zone of the working hours: an object of two kinds. A custom zone brings rules of its own, whose offsets are
/// documented with one sign and written by old clients with the other; it is taken for what it nearly always is, the
/// mailbox's own zone.
fn hours_zone(slice: &str) -> Option<String> {
    let (mut name, mut is_custom) = (None, false);
    json::members(slice, |member, value| match &*member {
        "@odata.type" => {
            is_custom = json::text_of(value).is_some_and(|kind| kind.ends_with("customTimeZone"))
        }
        "bias" | "standardOffset" | "daylightOffset" => is_custom |= !json::is_null(value),
        "name" => name = zone_name(value),
        _ => {}
    })
    .ok()?;
    name.filter(|_| !is_custom)
}

fn zone_name(value: &str) -> Option<String> {
    json::text_of(value).and_then(|name| text::line(&name, event::NAME_CHARS_MAX))
}

/// The minute of the day of `08:00:00.0000000`; midnight at its end is `24:00` for those who write it so.
fn minute(text: &str) -> Option<u16> {
    let mut parts = text.trim_ascii().split(':');
    let mut number = || {
        let part = parts.next().filter(|part| part.len() == 2)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u16>().ok())?
    };
    let (hour, minute) = (number()?, number()?);
    (minute < 60 && (hour < 24 || (hour, minute) == (24, 0))).then(|| hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_exchange_writes_them() {
        let body = r#"{"@odata.context":"x","timeZone":"W. Europe Standard Time","automaticRepliesSetting":{
            "status":"scheduled","externalAudience":"all","internalReplyMessage":"<p>\ud800 gone","externalReplyMessage":"",
            "scheduledStartDateTime":{"dateTime":"2026-03-10T12:00:00.0000000","timeZone":"W. Europe Standard Time"},
            "scheduledEndDateTime":{"dateTime":"2026-03-13T08:00:00.0000000","timeZone":"UTC"}},
            "workingHours":{"daysOfWeek":["tuesday","Monday","someday","monday"],"startTime":"08:30:00.0000000",
            "endTime":"17:00:00.0000000","timeZone":{"name":"Pacific Standard Time"}}}"#;
        let settings = settings(body).unwrap();
        assert_eq!(
            settings.automatic_replies,
            Some(AutomaticReplies::Scheduled { start_ms: 1_773_140_400_000, end_ms: 1_773_388_800_000 })
        );
        assert_eq!(settings.time_zone.as_deref(), Some("W. Europe Standard Time"));
        let hours = settings.working_hours.unwrap();
        assert_eq!((hours.days, hours.start_minute, hours.end_minute), (vec![1, 2], 510, 1_020));
        assert_eq!(hours.time_zone.as_deref(), Some("Pacific Standard Time"));
    }

    #[test]
    fn one_damaged_part_does_not_cost_the_others() {
        let on = |part: &str| settings(&format!(r#"{{"timeZone":"UTC",{part}}}"#)).unwrap();
        let replies =
            |members: &str| on(&format!(r#""automaticRepliesSetting":{members}"#)).automatic_replies;
        let at = |time: &str| format!(r#"{{"dateTime":"{time}","timeZone":"UTC"}}"#);
        let scheduled = |from: &str, to: &str| {
            let (from, to) = (at(from), at(to));
            replies(&format!(
                r#"{{"status":"scheduled","scheduledStartDateTime":{from},"scheduledEndDateTime":{to}}}"#
            ))
        };
        assert_eq!(replies(r#"{"status":"disabled"}"#), Some(AutomaticReplies::Off));
        assert_eq!(replies(r#"{"status":"alwaysEnabled"}"#), Some(AutomaticReplies::Always));
        assert_eq!(replies(r#"{"status":"sometimes"}"#), None);
        assert_eq!(replies(r#"{"status":"scheduled"}"#), None);
        assert_eq!(replies("null"), None);
        assert_eq!(replies("7"), None);
        assert_eq!(scheduled("tomorrow", "2026-03-13T08:00:00"), None);
        assert_eq!(scheduled("2026-03-13T08:00:00", "2026-03-10T08:00:00"), Some(AutomaticReplies::Off));
        let hours = |members: &str| on(&format!(r#""workingHours":{members}"#)).working_hours;
        let days = r#""daysOfWeek":["monday"]"#;
        for damaged in [
            "null".to_owned(),
            "[]".to_owned(),
            r#"{"daysOfWeek":[],"startTime":"08:00:00","endTime":"17:00:00"}"#.to_owned(),
            format!(r#"{{{days},"startTime":"17:00:00","endTime":"08:00:00"}}"#),
            format!(r#"{{{days},"startTime":"8","endTime":"17:00:00"}}"#),
            format!(r#"{{{days},"startTime":"08:00:00","endTime":"25:00:00"}}"#),
            format!(r#"{{{days},"startTime":"08:00:00","endTime":null}}"#),
        ] {
            assert_eq!(hours(&damaged), None, "{damaged}");
        }
        assert_eq!(on(r#""x":1"#).time_zone.as_deref(), Some("UTC"));
    }

    #[test]
    fn hours_in_a_custom_zone_are_those_of_the_mailboxs_zone() {
        let zone = |zone: &str| {
            let body = format!(
                r#"{{"workingHours":{{"daysOfWeek":["friday"],"startTime":"00:00:00.0000000","endTime":"24:00","timeZone":{zone}}}}}"#
            );
            let hours = settings(&body).unwrap().working_hours.unwrap();
            assert_eq!((hours.days, hours.start_minute, hours.end_minute), (vec![5], 0, 1_440));
            hours.time_zone
        };
        let custom = r##"{"@odata.type":"#microsoft.graph.customTimeZone","bias":-200,"name":"Customized Time Zone",
            "standardOffset":{"time":"02:00:00.0000000","dayOccurrence":2,"dayOfWeek":"sunday","month":10,"year":0},
            "daylightOffset":{"daylightBias":100,"time":"02:00:00.0000000","dayOccurrence":4,"dayOfWeek":"sunday","month":5,"year":0}}"##;
        assert_eq!(zone(custom), None);
        assert_eq!(zone(r#"{"bias":-200,"name":"Customized Time Zone"}"#), None);
        assert_eq!(zone(r#"{"name":"Europe/Berlin"}"#).as_deref(), Some("Europe/Berlin"));
        assert_eq!(
            zone(r##"{"@odata.type":"#microsoft.graph.timeZoneBase","name":"UTC"}"##).as_deref(),
            Some("UTC")
        );
        assert_eq!(zone("null"), None);
        assert_eq!(zone("\"UTC\""), None);
    }

    #[test]
    fn what_is_no_settings_is_a_fault() {
        for body in ["", "[]", "{}", "<html>", r#"{"value":[]}"#] {
            assert_eq!(settings(body), Err(Fault::Unreadable(Unreadable::Shape)), "{body}");
        }
        let denied = settings(r#"{"error":{"code":"ErrorAccessDenied","message":"x"}}"#);
        assert!(matches!(denied, Err(Fault::Refused { status: 403, .. })));
    }
}
