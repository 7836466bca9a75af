//! The user, the settings and the calendars.

use serde_json::{Value, json};

use super::super::ident::{Form, Target, guid};
use super::super::render;
use super::super::wire::{Refusal, percent_encoded};
use super::{Graph, LIST_ROWS_MAX, Reply};

impl Graph<'_> {
    pub(super) fn user(&self) -> Reply {
        let user = &self.mailbox.user;
        let (given, family) = user.name.split_once(' ').unwrap_or((&user.name, ""));
        let body = json!({
            "businessPhones": [], "displayName": user.name, "givenName": given, "jobTitle": Value::Null,
            "mail": user.address, "mobilePhone": Value::Null, "officeLocation": Value::Null,
            "preferredLanguage": "en-US", "surname": family, "userPrincipalName": user.address, "id": user.id,
        });
        self.one(200, body, "users/$entity", &self.prefer()?)
    }

    pub(super) fn settings(&self) -> Reply {
        let mut body = json!({
            "archiveFolder": Value::Null, "timeZone": self.mailbox.zone_name,
            "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly", "dateFormat": "dd.MM.yyyy", "timeFormat": "HH:mm",
            "userPurpose": "user", "language": {"locale": "en-US", "displayName": "English (United States)"},
            "automaticRepliesSetting": {"status": "disabled", "externalAudience": "all", "internalReplyMessage": "",
                "externalReplyMessage": "",
                "scheduledStartDateTime": {"dateTime": "2026-01-01T08:00:00.0000000", "timeZone": "UTC"},
                "scheduledEndDateTime": {"dateTime": "2026-01-02T08:00:00.0000000", "timeZone": "UTC"}},
            "workingHours": {"daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
                "startTime": "08:00:00.0000000", "endTime": "17:00:00.0000000", "timeZone": {"name": self.mailbox.zone_name}},
        });
        for (name, value) in &self.mailbox.settings {
            match (body.get_mut(name), value) {
                (Some(Value::Object(known)), Value::Object(set)) => known.extend(set.clone()),
                (Some(known), value) => *known = value.clone(),
                (None, _) => {}
            }
        }
        self.one(200, body, "users('me')/mailboxSettings", &self.prefer()?)
    }

    pub(super) fn patch_settings(&mut self) -> Reply {
        let patch = self.object()?;
        self.mailbox.set_settings(patch)?;
        self.settings()
    }

    pub(super) fn categories(&self) -> Reply {
        let rows = [("Blue category", "preset7"), ("Green category", "preset4"), ("Red category", "preset0")];
        let rows = rows.iter().enumerate().map(|(n, (name, color))| {
            json!({"id": guid(self.scramble, u64::try_from(n).unwrap_or(0)), "displayName": name, "color": color})
        });
        Ok(self.many(rows.collect(), None, "users('me')/outlook/masterCategories", &self.prefer()?))
    }

    pub(super) fn groups(&self) -> Reply {
        let id = self.mailbox.ids.encode(Target::Calendar(1), Form::Plain, 0);
        let rows =
            vec![json!({"id": id, "name": "My Calendars", "classId": "0006f0b7-0000-0000-c000-000000000046",
            "changeKey": self.mailbox.ids.change_key(1 << 43)})];
        Ok(self.many(rows, None, "users('me')/calendarGroups", &self.prefer()?))
    }

    pub(super) fn calendars(&self) -> Reply {
        let prefer = self.prefer()?;
        self.refuse_options(&["$filter", "$search"])?;
        let number = |name: &str| self.call.parameter(name).and_then(|n| n.parse::<usize>().ok());
        let top = number("$top").unwrap_or(prefer.page_rows).clamp(1, LIST_ROWS_MAX);
        let skip = number("$skip").unwrap_or(0);
        let select = self.call.parameter("$select");
        // The default calendar stands first, as in the service.
        let mut all: Vec<_> = self.mailbox.calendars.values().collect();
        all.sort_by_key(|c| (c.serial != self.mailbox.default_calendar, c.serial));
        let total = all.len();
        let rows = all.into_iter().skip(skip).take(top);
        let rows = rows
            .map(|c| render::select(render::calendar(self.mailbox, c, prefer.form), select.as_deref()))
            .collect();
        let next = (skip.saturating_add(top) < total).then(|| {
            let select = select.map(|s| format!("$select={}&", percent_encoded(&s))).unwrap_or_default();
            ("@odata.nextLink", self.link(&format!("{select}$top={top}&$skip={}", skip + top)))
        });
        Ok(self.many(rows, next, "users('me')/calendars", &prefer))
    }

    pub(super) fn add_calendar(&mut self) -> Reply {
        let body = self.object()?;
        let name = body.get("name").and_then(Value::as_str).unwrap_or("").to_owned();
        if name.is_empty() {
            return Err(Refusal::invalid("A calendar needs a name."));
        }
        if self.mailbox.calendars.values().any(|c| c.name == name) {
            return Err(Refusal::new(
                409,
                "ErrorFolderExists",
                "A folder with the specified name already exists.",
            ));
        }
        let serial = self.mailbox.add_calendar(&name);
        self.calendar_answer(201, serial)
    }
}
