//! What is written: items, changes of items, answers; and the acts of a mailbox.

use crate::model::{
    Answer, AttendeeType, Broken, Change, EventRecord, Fault, Fields, Importance, Invitee, Lookup, Next,
    Reminder, RemoteId, Sensitivity, ShowAs, Times, Window,
};
use crate::source::ews::client::Ews;
use crate::source::ews::request::{Head, SEARCH_ROWS, envelope, transaction_field};
use crate::source::ews::xml::{Element, Ink};
use crate::source::ews::{answer, item, refusal};
use crate::source::graph::{LISTING_PAGES_MAX, PullMode, time};
use crate::zones::Zones;

/// The shortest stretch that is searched: an event may take no time.
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = crate::model::DAY_MS;

/// Who is mailed about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mails {
    Nobody,
    /// Those who come or go.
    Changed,
    Everybody,
}

impl Mails {
    const fn code(self) -> &'static str {
        match self {
            Mails::Nobody => "SendToNone",
            Mails::Changed => "SendToChangedAndSaveCopy",
            Mails::Everybody => "SendToAllAndSaveCopy",
        }
    }
}

/// The item of a create. Made once, when the wish is recorded: each try sends the same.
pub fn encode_item(fields: &Fields, transaction_id: &str, zones: &Zones) -> Vec<u8> {
    let mut ink = Ink::new();
    ink.within("t:CalendarItem", &[], |ink| {
        for (_, part) in parts(fields, Some(transaction_id), zones) {
            part.write(ink);
        }
    });
    ink.finish()
}

/// One property: its name, and what it is set to; nothing clears it.
enum Part<'a> {
    Text(&'static str, String),
    Body(&'a str),
    Categories(&'a [String]),
    Transaction(&'a str),
    Attendees(&'static str, Vec<&'a Invitee>),
    Zone(&'static str, String),
    Clear,
}

impl Part<'_> {
    fn write(&self, ink: &mut Ink) {
        match self {
            Part::Text(name, text) => ink.text(name, text),
            Part::Body(text) => ink.leaf("t:Body", &[("BodyType", "Text")], text),
            Part::Categories(names) => {
                ink.within("t:Categories", &[], |ink| {
                    names.iter().for_each(|name| ink.text("t:String", name))
                });
            }
            Part::Transaction(id) => ink.within("t:ExtendedProperty", &[], |ink| {
                transaction_field(ink);
                ink.text("t:Value", id);
            }),
            Part::Attendees(name, invited) => ink.within(name, &[], |ink| {
                for invitee in invited {
                    ink.within("t:Attendee", &[], |ink| {
                        ink.within("t:Mailbox", &[], |ink| {
                            if let Some(name) = &invitee.person.name {
                                ink.text("t:Name", name);
                            }
                            if let Some(address) = &invitee.person.address {
                                ink.text("t:EmailAddress", address);
                            }
                        });
                    });
                }
            }),
            Part::Zone(name, id) => ink.empty(name, &[("Id", id)]),
            Part::Clear => {}
        }
    }
}

/// The properties that are said, by their field names, in the order of the schema. A create clears nothing.
fn parts<'a>(
    fields: &'a Fields,
    transaction_id: Option<&'a str>,
    zones: &Zones,
) -> Vec<(&'static str, Part<'a>)> {
    let is_create = transaction_id.is_some();
    let mut parts = Vec::new();
    let mut put = |field, part| parts.push((field, part));
    let text =
        |name, text: &str| if text.is_empty() { Part::Clear } else { Part::Text(name, text.to_owned()) };
    if let Some(subject) = &fields.subject {
        put("item:Subject", text("t:Subject", subject));
    }
    if let Some(sensitivity) = fields.sensitivity {
        let code = match sensitivity {
            Sensitivity::Normal => "Normal",
            Sensitivity::Personal => "Personal",
            Sensitivity::Private => "Private",
            Sensitivity::Confidential => "Confidential",
        };
        put("item:Sensitivity", text("t:Sensitivity", code));
    }
    if let Some(body) = &fields.body {
        put("item:Body", Part::Body(body));
    }
    if let Some(categories) = &fields.categories {
        put(
            "item:Categories",
            if categories.is_empty() { Part::Clear } else { Part::Categories(categories) },
        );
    }
    if let Some(importance) = fields.importance {
        let code = match importance {
            Importance::Low => "Low",
            Importance::Normal => "Normal",
            Importance::High => "High",
        };
        put("item:Importance", text("t:Importance", code));
    }
    match fields.reminder {
        Some(Reminder::Off) => put("item:ReminderIsSet", text("t:ReminderIsSet", "false")),
        Some(Reminder::Minutes(minutes)) => {
            put("item:ReminderIsSet", text("t:ReminderIsSet", "true"));
            let minutes = minutes.to_string();
            put("item:ReminderMinutesBeforeStart", text("t:ReminderMinutesBeforeStart", &minutes));
        }
        None => {}
    }
    if let Some(id) = transaction_id {
        put("", Part::Transaction(id));
    }
    let when = fields.times.as_ref().map(|times| instants(times, zones));
    if let (Some(times), Some((start, end, _))) = (&fields.times, &when) {
        put("calendar:Start", text("t:Start", start));
        put("calendar:End", text("t:End", end));
        let is_all_day = if times.is_all_day { "true" } else { "false" };
        put("calendar:IsAllDayEvent", text("t:IsAllDayEvent", is_all_day));
    }
    if let Some(code) = fields.show_as.and_then(show_as) {
        put("calendar:LegacyFreeBusyStatus", text("t:LegacyFreeBusyStatus", code));
    }
    if let Some(location) = &fields.location {
        put("calendar:Location", text("t:Location", location));
    }
    if let Some(attendees) = &fields.attendees {
        for (field, name, kind) in [
            ("calendar:RequiredAttendees", "t:RequiredAttendees", AttendeeType::Required),
            ("calendar:OptionalAttendees", "t:OptionalAttendees", AttendeeType::Optional),
            ("calendar:Resources", "t:Resources", AttendeeType::Resource),
        ] {
            let invited: Vec<&Invitee> = attendees.iter().filter(|invitee| invitee.kind == kind).collect();
            put(field, if invited.is_empty() { Part::Clear } else { Part::Attendees(name, invited) });
        }
    }
    if let Some((_, _, Some(zone))) = when {
        put("calendar:StartTimeZone", Part::Zone("t:StartTimeZone", zone.clone()));
        put("calendar:EndTimeZone", Part::Zone("t:EndTimeZone", zone));
    }
    if is_create {
        parts.retain(|(_, part)| !matches!(part, Part::Clear));
    }
    parts
}

/// Both ends as instants, and the Windows name of the zone. The midnights of whole days are those of that zone.
fn instants(times: &Times, zones: &Zones) -> (String, String, Option<String>) {
    let named = times
        .zone
        .as_deref()
        .and_then(|text| Some((zones.resolve(text)?, zones.windows_name(text)?.to_owned())));
    let at = |ms: i64| match (&named, times.is_all_day) {
        (Some((zone, _)), true) => {
            let date = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default().naive_utc();
            time::encode(zone.instant_ms(date))
        }
        (Some(_), false) | (None, _) => time::encode(ms),
    };
    let zone = match &named {
        Some((_, name)) => Some(name.clone()),
        None => times.is_all_day.then(|| "UTC".to_owned()),
    };
    (at(times.start_ms), at(times.end_ms), zone)
}

fn show_as(show_as: ShowAs) -> Option<&'static str> {
    match show_as {
        ShowAs::Free => Some("Free"),
        ShowAs::Tentative => Some("Tentative"),
        ShowAs::Busy => Some("Busy"),
        ShowAs::Oof => Some("OOF"),
        ShowAs::WorkingElsewhere => Some("WorkingElsewhere"),
        ShowAs::Unknown => None,
    }
}

/// Reminders, categories and the like are personal.
fn mails(fields: &Fields) -> Mails {
    let personal = Fields {
        reminder: fields.reminder,
        categories: fields.categories.clone(),
        show_as: fields.show_as,
        sensitivity: fields.sensitivity,
        ..Fields::default()
    };
    let attendees = Fields { attendees: fields.attendees.clone(), ..personal.clone() };
    if *fields == personal {
        Mails::Nobody
    } else if *fields == attendees {
        Mails::Changed
    } else {
        Mails::Everybody
    }
}

fn create(head: Head<'_>, calendar: &RemoteId, item: &str) -> Vec<u8> {
    envelope(head, |ink| {
        ink.within("m:CreateItem", &[("SendMeetingInvitations", Mails::Everybody.code())], |ink| {
            ink.within("m:SavedItemFolderId", &[], |ink| {
                ink.empty("t:FolderId", &[("Id", calendar.as_str())])
            });
            ink.within("m:Items", &[], |ink| ink.raw(item));
        });
    })
}

fn update(head: Head<'_>, id: &RemoteId, key: Option<&str>, fields: &Fields, zones: &Zones) -> Vec<u8> {
    envelope(head, |ink| {
        let conflicts = if key.is_some() { "NeverOverwrite" } else { "AlwaysOverwrite" };
        let how = [
            ("MessageDisposition", "SaveOnly"),
            ("ConflictResolution", conflicts),
            ("SendMeetingInvitationsOrCancellations", mails(fields).code()),
        ];
        ink.within("m:UpdateItem", &how, |ink| {
            ink.within("m:ItemChanges", &[], |ink| {
                ink.within("t:ItemChange", &[], |ink| {
                    item_id(ink, "t:ItemId", id, key);
                    ink.within("t:Updates", &[], |ink| {
                        for (field, part) in parts(fields, None, zones) {
                            let is_cleared = matches!(part, Part::Clear);
                            let name = if is_cleared { "t:DeleteItemField" } else { "t:SetItemField" };
                            ink.within(name, &[], |ink| {
                                ink.empty("t:FieldURI", &[("FieldURI", field)]);
                                if !is_cleared {
                                    ink.within("t:CalendarItem", &[], |ink| part.write(ink));
                                }
                            });
                        }
                    });
                });
            });
        });
    })
}

fn item_id(ink: &mut Ink, name: &str, id: &RemoteId, key: Option<&str>) {
    match key {
        Some(key) => ink.empty(name, &[("Id", id.as_str()), ("ChangeKey", key)]),
        None => ink.empty(name, &[("Id", id.as_str())]),
    }
}

fn delete(head: Head<'_>, id: &RemoteId) -> Vec<u8> {
    envelope(head, |ink| {
        let how =
            [("DeleteType", "MoveToDeletedItems"), ("SendMeetingCancellations", Mails::Everybody.code())];
        ink.within("m:DeleteItem", &how, |ink| {
            ink.within("m:ItemIds", &[], |ink| item_id(ink, "t:ItemId", id, None));
        });
    })
}

fn respond(
    head: Head<'_>,
    (id, key): (&RemoteId, Option<&str>),
    answer: Answer,
    comment: &str,
    is_silent: bool,
) -> Vec<u8> {
    let name = match answer {
        Answer::Accept => "t:AcceptItem",
        Answer::Tentative => "t:TentativelyAcceptItem",
        Answer::Decline => "t:DeclineItem",
    };
    let disposition = if is_silent { "SaveOnly" } else { "SendAndSaveCopy" };
    envelope(head, |ink| {
        ink.within("m:CreateItem", &[("MessageDisposition", disposition)], |ink| {
            ink.within("m:Items", &[], |ink| {
                ink.within(name, &[], |ink| {
                    if !comment.is_empty() {
                        ink.leaf("t:Body", &[("BodyType", "Text")], comment);
                    }
                    item_id(ink, "t:ReferenceItemId", id, key);
                });
            });
        });
    })
}

/// What is written. Every failure is a [`Fault`]; [`crate::source::graph::reached`] says whether it may have landed
/// nevertheless.
impl Ews {
    /// Creates the event that `item` (from [`encode_item`]) describes. Exchange does not know it again when it is
    /// sent twice: after a lost reply, look with [`Ews::find_created`] first.
    ///
    /// # Errors
    /// Any [`Fault`] but those of links and pages.
    pub async fn create(&self, calendar: &RemoteId, item: &[u8]) -> Result<EventRecord, Fault> {
        let item = String::from_utf8_lossy(item);
        let (body, _) = self.0.call(|head| create(head, calendar, &item)).await?;
        let (id, _) = written(answer::message(&body)?)?;
        self.after(calendar, &id).await
    }

    /// Changes an event, if it still has the change key `if_match`.
    ///
    /// # Errors
    /// Any [`Fault`] but those of links and pages; `Refused` with status 412 when the key is another.
    pub async fn update(
        &self,
        calendar: &RemoteId,
        id: &RemoteId,
        if_match: Option<&str>,
        fields: &Fields,
        zones: &Zones,
    ) -> Result<EventRecord, Fault> {
        let (body, _) = self.0.call(|head| update(head, id, if_match, fields, zones)).await?;
        let (id, _) = written(answer::message(&body)?)?;
        self.after(calendar, &id).await
    }

    /// Deletes an event, a whole series by its master's id, or one occurrence. The organizer's deletion is mailed.
    ///
    /// Exchange looks at no change key here. With `if_match` the event is read first, and one that has another key is
    /// left: a change in the very moment between is lost.
    ///
    /// # Errors
    /// As [`Ews::update`].
    pub async fn delete(
        &self,
        calendar: &RemoteId,
        id: &RemoteId,
        if_match: Option<&str>,
    ) -> Result<(), Fault> {
        if let Some(wanted) = if_match {
            let refused = |status, code: &str| Fault::Refused {
                status,
                code: Some(code.to_owned()),
                retry_after: None,
                claims: None,
            };
            match self.read(calendar, id).await? {
                Lookup::Found(record) if record.change_key.as_deref() != Some(wanted) => {
                    return Err(refused(412, "ErrorIrresolvableConflict"));
                }
                Lookup::Missing => return Err(refused(404, "ErrorItemNotFound")),
                Lookup::Found(_) | Lookup::Unreadable(_) => {}
            }
        }
        let (body, _) = self.0.call(|head| delete(head, id)).await?;
        refusal::outcome(first(&body)?)
    }

    /// Answers an invitation; a series by its master's id.
    ///
    /// # Errors
    /// As [`Ews::update`].
    pub async fn respond(
        &self,
        calendar: &RemoteId,
        id: &RemoteId,
        answer: Answer,
        comment: &str,
        is_silent: bool,
    ) -> Result<(), Fault> {
        // An answer refers to the version that is answered.
        let key = match self.read(calendar, id).await? {
            Lookup::Found(record) => record.change_key,
            Lookup::Missing | Lookup::Unreadable(_) => None,
        };
        let which = (id, key.as_deref());
        let (body, _) = self.0.call(|head| respond(head, which, answer, comment, is_silent)).await?;
        refusal::outcome(first(&body)?)
    }

    /// The event that a create with `transaction_id` made, looked for where it was to be.
    ///
    /// # Errors
    /// Any [`Fault`]; `EndlessPages` beyond [`LISTING_PAGES_MAX`].
    pub async fn find_created(
        &self,
        calendar: &RemoteId,
        times: &Times,
        transaction_id: &str,
    ) -> Result<Option<EventRecord>, Fault> {
        let slack_ms = if times.is_all_day { DAY_MS } else { 0 };
        let window = Window {
            from_ms: times.start_ms.saturating_sub(slack_ms),
            to_ms: times.end_ms.saturating_add(slack_ms).max(times.start_ms.saturating_add(MINUTE_MS)),
        };
        let mut link = self.first_link(PullMode::Snapshot, calendar, window);
        for _ in 0..LISTING_PAGES_MAX {
            let page = self.page(&link, SEARCH_ROWS).await?;
            for change in page.changes {
                let Change::Put(record) = change else { continue };
                let told = record.details.as_deref().and_then(|details| details.transaction_id.as_deref());
                if told == Some(transaction_id) {
                    return Ok(Some(record));
                }
            }
            match page.next {
                Next::Page(next) => link = next,
                Next::Delta(_) | Next::End => return Ok(None),
            }
        }
        Err(Fault::EndlessPages)
    }

    /// The row after a write, which is answered with an id alone. Whatever goes wrong here, the write has landed.
    async fn after(&self, calendar: &RemoteId, id: &RemoteId) -> Result<EventRecord, Fault> {
        match self.read(calendar, id).await {
            Ok(Lookup::Found(record)) => Ok(*record),
            Ok(Lookup::Missing | Lookup::Unreadable(_)) | Err(_) => Err(Fault::Unreachable(Broken::Reset)),
        }
    }
}

fn first(body: &Element) -> Result<&Element, Fault> {
    answer::messages(body)?.first().ok_or(Fault::Unreadable(crate::model::Unreadable::Shape))
}

/// Id and version of what was written.
fn written(message: &Element) -> Result<(RemoteId, Option<String>), Fault> {
    let item = message.at(&["Items", "CalendarItem"]);
    item.and_then(|item| item::identity(item).ok()).ok_or(Fault::Unreadable(crate::model::Unreadable::Shape))
}
