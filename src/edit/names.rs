use crate::edit::same::changed;
use crate::model::{EventRecord, Fields, Intent, Times};

/// What an edit changes, by the names of the event's JSON and in its order. With the base only what differs from
/// it: a time whose end alone moves is `end`.
pub fn names(intent: &Intent, base: Option<&EventRecord>) -> Vec<&'static str> {
    match intent {
        Intent::Create(fields) => names_of(fields, None),
        Intent::Update(fields) => names_of(fields, base),
        Intent::Respond { .. } => vec!["response"],
        Intent::Snooze { .. } | Intent::Dismiss => vec!["reminder_minutes"],
        Intent::Cancel { .. } => vec!["cancelled"],
        Intent::Delete | Intent::Forward { .. } => Vec::new(),
    }
}

pub(super) fn names_of(fields: &Fields, base: Option<&EventRecord>) -> Vec<&'static str> {
    let fields = match base {
        Some(base) => changed(fields.clone(), &Fields::of(base)),
        None => fields.clone(),
    };
    let was = base.map(times_of);
    let times = fields.times.as_ref();
    let differs = |part: fn(&Times) -> i64| {
        times.is_some_and(|new| was.as_ref().is_none_or(|was| part(was) != part(new)))
    };
    [
        ("subject", fields.subject.is_some()),
        ("body", fields.body.is_some()),
        ("location", fields.location.is_some()),
        ("start", differs(|times| times.start_ms)),
        ("end", differs(|times| times.end_ms)),
        ("all_day", differs(|times| i64::from(times.is_all_day))),
        ("show_as", fields.show_as.is_some()),
        ("sensitivity", fields.sensitivity.is_some()),
        ("importance", fields.importance.is_some()),
        ("attendees", fields.attendees.is_some()),
        ("categories", fields.categories.is_some()),
        ("reminder_minutes", fields.reminder.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is_named)| is_named.then_some(name))
    .collect()
}

/// When a row is.
pub(super) fn times_of(record: &EventRecord) -> Times {
    let details = record.details.as_deref();
    Times {
        start_ms: record.start_ms,
        end_ms: record.end_ms,
        is_all_day: details.is_some_and(|details| details.is_all_day),
        zone: details.and_then(|details| details.original_time_zone.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::sample::{NINE_MS, invitee, record, times};
    use crate::model::{Answer, Reminder};

    #[test]
    fn fields_have_the_names_and_the_order_of_the_events_json() {
        let fields = Fields {
            reminder: Some(Reminder::Off),
            attendees: Some(vec![invitee("a@x.test")]),
            times: Some(times(NINE_MS, 2)),
            subject: Some("Review".to_owned()),
            ..Fields::default()
        };
        let all = ["subject", "start", "end", "all_day", "attendees", "reminder_minutes"];
        assert_eq!(names(&Intent::Create(fields.clone()), None), all);
        assert_eq!(
            names(&Intent::Update(fields), Some(&record())),
            ["end", "attendees", "reminder_minutes"],
            "what is so already is not named"
        );
    }

    #[test]
    fn acts_name_what_they_change() {
        let comment = String::new;
        let respond = Intent::Respond { answer: Answer::Accept, comment: comment(), is_silent: false };
        assert_eq!(names(&respond, None), ["response"]);
        assert_eq!(names(&Intent::Cancel { comment: comment() }, None), ["cancelled"]);
        assert_eq!(names(&Intent::Snooze { until_ms: 0 }, None), ["reminder_minutes"]);
        assert_eq!(names(&Intent::Dismiss, None), ["reminder_minutes"]);
        assert!(names(&Intent::Delete, None).is_empty());
        assert!(names(&Intent::Forward { to: Vec::new(), comment: comment() }, None).is_empty());
    }
}
