//! What is changed: each write becomes the Graph write that does the same, so that both faces have one effect.

use roxmltree::Node;
use serde_json::{Map, Value, json};

use super::super::fields::Attendee;
use super::super::graph::Graph;
use super::super::ident::Form;
use super::super::mailbox::RowKind;
use super::super::wire::{Answer, Call};
use super::super::zone;
use super::xml::Xml;
use super::{Denied, Ews, child, children, text_of};

type Content = Result<Xml, Denied>;

/// Lists of attendees and the kind of each.
const LISTS: [(&str, &str); 3] =
    [("RequiredAttendees", "required"), ("OptionalAttendees", "optional"), ("Resources", "resource")];

impl Ews<'_> {
    fn graph(
        &mut self,
        method: &str,
        path: &[&str],
        body: Value,
        version: Option<&str>,
        call: &Call,
    ) -> Result<Answer, Denied> {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(version.map(|key| ("if-match".to_owned(), format!("W/\"{key}\""))));
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let inner = Call {
            method: method.to_owned(),
            origin: call.origin.clone(),
            target: "/v1.0/me".to_owned(),
            headers,
            bearer: None,
            body,
        };
        let rest: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        let (quirks, now_ms, scramble) = (self.quirks, self.now_ms, self.scramble);
        let mut graph =
            Graph { mailbox: &mut *self.mailbox, quirks, call: &inner, now_ms, scramble, version: "v1.0" };
        Ok(graph.route(&rest)?)
    }

    /// The same without a mail to anybody.
    fn silently<T>(&mut self, is_silent: bool, act: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.mailbox.mails.len();
        let done = act(self);
        if is_silent {
            self.mailbox.mails.truncate(before);
        }
        done
    }

    fn calendar_of(&self, serial: u64) -> String {
        let calendar = self.mailbox.events.get(&serial).map_or(0, |event| event.calendar);
        self.mailbox.calendar_id(calendar, Form::Plain)
    }

    pub(super) fn create_items(&mut self, operation: Node<'_, '_>, call: &Call) -> Vec<Content> {
        let folder = child(operation, "SavedItemFolderId");
        let invitations = operation.attribute("SendMeetingInvitations");
        let disposition = operation.attribute("MessageDisposition");
        let items: Vec<Node<'_, '_>> = child(operation, "Items").into_iter().flat_map(children).collect();
        let mut contents = Vec::new();
        for item in items {
            contents.push(match item.tag_name().name() {
                "CalendarItem" => self.create_item(item, folder, invitations, call),
                "AcceptItem" => self.respond(item, "accept", disposition, call),
                "TentativelyAcceptItem" => self.respond(item, "tentativelyAccept", disposition, call),
                "DeclineItem" => self.respond(item, "decline", disposition, call),
                _ => Err(Denied::new(
                    "ErrorInvalidRequest",
                    "The emulator creates appointments and answers only.",
                )),
            });
        }
        contents
    }

    fn create_item(
        &mut self,
        item: Node<'_, '_>,
        folder: Option<Node<'_, '_>>,
        invitations: Option<&str>,
        call: &Call,
    ) -> Content {
        let Some(invitations) = invitations else {
            return Err(Denied::new(
                "ErrorSendMeetingInvitationsRequired",
                "SendMeetingInvitations is required.",
            ));
        };
        let calendar = match folder {
            Some(folder) => self.folder(Some(folder))?,
            None => self.mailbox.default_calendar,
        };
        let mut members = Map::new();
        set(&mut members, item, None)?;
        // Exchange knows no transactions: the property is stored and prevents nothing.
        let transaction = members.remove("transactionId");
        if !members.contains_key("start") || !members.contains_key("end") {
            return Err(Denied::new("ErrorCalendarDurationIsTooLong", "Start and End are required."));
        }
        let calendar_id = self.mailbox.calendar_id(calendar, Form::Plain);
        let path = ["calendars", &*calendar_id, "events"];
        let silent = invitations == "SendToNone";
        let answer =
            self.silently(silent, |ews| ews.graph("POST", &path, Value::Object(members), None, call))?;
        let id = member(&answer, "id");
        let (serial, row) = self.mailbox.find(&id)?;
        if let (Some(transaction), Some(event)) = (transaction, self.mailbox.events.get_mut(&serial)) {
            event.fields.transaction_id = transaction.as_str().map(str::to_owned);
        }
        if let (Some(write), Some(event)) = (self.mailbox.writes.back_mut(), self.mailbox.events.get(&serial))
        {
            write.transaction_id.clone_from(&event.fields.transaction_id);
        }
        Ok(self.id_of(serial, row))
    }

    fn id_of(&self, serial: u64, row: RowKind) -> Xml {
        let mut xml = Xml::default();
        xml.within("m:Items", &[], |xml| {
            if let Some(event) = self.mailbox.events.get(&serial) {
                xml.within("t:CalendarItem", &[], |xml| {
                    let key = self.mailbox.ids.change_key(event.row_key(row));
                    let id = self.mailbox.id(event, row, Form::Plain);
                    xml.empty("t:ItemId", &[("Id", &id), ("ChangeKey", &key)]);
                });
            }
        });
        xml
    }

    fn respond(
        &mut self,
        item: Node<'_, '_>,
        action: &str,
        disposition: Option<&str>,
        call: &Call,
    ) -> Content {
        let reference = child(item, "ReferenceItemId").and_then(|id| id.attribute("Id")).unwrap_or_default();
        let (serial, row) = self.mailbox.find(reference)?;
        let sends = match disposition {
            Some("SendOnly" | "SendAndSaveCopy") => true,
            Some("SaveOnly") => false,
            _ => {
                return Err(Denied::new(
                    "ErrorMessageDispositionRequired",
                    "MessageDisposition is required.",
                ));
            }
        };
        let comment = child(item, "Body").map(text_of).unwrap_or_default();
        let body = json!({"comment": comment, "sendResponse": sends});
        let calendar = self.calendar_of(serial);
        let id = self.mailbox.events.get(&serial).map(|event| self.mailbox.id(event, row, Form::Plain));
        let id = id.unwrap_or_default();
        self.graph("POST", &["calendars", &calendar, "events", &id, action], body, None, call)?;
        Ok(self.id_of(serial, row))
    }

    pub(super) fn update_items(&mut self, operation: Node<'_, '_>, call: &Call) -> Vec<Content> {
        let conflicts = operation.attribute("ConflictResolution");
        let mails = operation.attribute("SendMeetingInvitationsOrCancellations");
        let changes: Vec<Node<'_, '_>> =
            child(operation, "ItemChanges").into_iter().flat_map(children).collect();
        changes.into_iter().map(|change| self.update_item(change, conflicts, mails, call)).collect()
    }

    fn update_item(
        &mut self,
        change: Node<'_, '_>,
        conflicts: Option<&str>,
        mails: Option<&str>,
        call: &Call,
    ) -> Content {
        let Some(mails) = mails else {
            return Err(Denied::new(
                "ErrorSendMeetingInvitationsOrCancellationsRequired",
                "SendMeetingInvitationsOrCancellations is required.",
            ));
        };
        let malformed = || Denied::new("ErrorInvalidIdMalformed", "Id is malformed.");
        let named = change.first_element_child().ok_or_else(malformed)?;
        let (serial, row) = self.named(named)?;
        let key = named.attribute("ChangeKey").filter(|key| !key.is_empty());
        if key.is_none() && conflicts != Some("AlwaysOverwrite") {
            return Err(Denied::new(
                "ErrorChangeKeyRequiredForWriteOperations",
                "A change key is required for this operation.",
            ));
        }
        let version = key.filter(|_| conflicts == Some("NeverOverwrite"));
        let event = self.mailbox.events.get(&serial).ok_or_else(malformed)?;
        let id = self.mailbox.id(event, row, Form::Plain);
        let mut attendees: Vec<Attendee> = event.row(row).attendees;
        let mut members = Map::new();
        for update in child(change, "Updates").into_iter().flat_map(children) {
            match update.tag_name().name() {
                "SetItemField" => {
                    let item = child(update, "CalendarItem").ok_or_else(malformed)?;
                    set(&mut members, item, Some(&mut attendees))?;
                }
                "DeleteItemField" => {
                    let field = child(update, "FieldURI").and_then(|field| field.attribute("FieldURI"));
                    clear(&mut members, field.unwrap_or_default(), &mut attendees)?;
                }
                _ => return Err(Denied::new("ErrorInvalidRequest", "There is no such change.")),
            }
        }
        let calendar = self.calendar_of(serial);
        let path = ["calendars", &*calendar, "events", &*id];
        let silent = mails == "SendToNone";
        self.silently(silent, |ews| ews.graph("PATCH", &path, Value::Object(members), version, call))?;
        let (serial, row) = self.mailbox.find(&id)?;
        let mut xml = self.id_of(serial, row);
        xml.within("m:ConflictResults", &[], |xml| xml.text("t:Count", "0"));
        Ok(xml)
    }

    pub(super) fn delete_items(&mut self, operation: Node<'_, '_>, call: &Call) -> Vec<Content> {
        let mails = operation.attribute("SendMeetingCancellations");
        let ids: Vec<Node<'_, '_>> = child(operation, "ItemIds").into_iter().flat_map(children).collect();
        let mut contents = Vec::new();
        for named in ids {
            contents.push(self.delete_item(named, mails, call));
        }
        contents
    }

    fn delete_item(&mut self, named: Node<'_, '_>, mails: Option<&str>, call: &Call) -> Content {
        let Some(mails) = mails else {
            return Err(Denied::new(
                "ErrorSendMeetingCancellationsRequired",
                "SendMeetingCancellations is required.",
            ));
        };
        let (serial, row) = self.named(named)?;
        let event = self.mailbox.events.get(&serial);
        let id = event.map(|event| self.mailbox.id(event, row, Form::Plain)).unwrap_or_default();
        let calendar = self.calendar_of(serial);
        let silent = mails == "SendToNone";
        let path = ["calendars", &*calendar, "events", &*id];
        // A change key is not looked at: Exchange deletes what it is told to.
        self.silently(silent, |ews| ews.graph("DELETE", &path, Value::Null, None, call))?;
        Ok(Xml::default())
    }
}

fn member(answer: &Answer, name: &str) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Reads the properties of an item into Graph's members. With attendees, those of the kinds that are named replace
/// theirs.
fn set(
    members: &mut Map<String, Value>,
    item: Node<'_, '_>,
    attendees: Option<&mut Vec<Attendee>>,
) -> Result<(), Denied> {
    let lower = |text: &str| {
        let mut letters = text.chars();
        letters
            .next()
            .map(|first| first.to_ascii_lowercase().to_string() + letters.as_str())
            .unwrap_or_default()
    };
    let find = |name: &str| child(item, name).map(text_of);
    let mut invited: Vec<Value> = Vec::new();
    let mut named_kinds = Vec::new();
    for property in children(item) {
        let text = text_of(property);
        match property.tag_name().name() {
            "Subject" => put(members, "subject", json!(text)),
            "Body" => {
                let kind = property.attribute("BodyType").unwrap_or("Text").to_ascii_lowercase();
                put(members, "body", json!({"contentType": kind, "content": text}));
            }
            "Sensitivity" => put(members, "sensitivity", json!(lower(&text))),
            "Importance" => put(members, "importance", json!(lower(&text))),
            "Categories" => {
                put(members, "categories", json!(children(property).map(text_of).collect::<Vec<_>>()))
            }
            "ReminderIsSet" => put(members, "isReminderOn", json!(text == "true")),
            "ReminderMinutesBeforeStart" => {
                put(members, "reminderMinutesBeforeStart", json!(text.parse::<i32>().unwrap_or(0)));
            }
            "IsAllDayEvent" => put(members, "isAllDay", json!(text == "true")),
            "LegacyFreeBusyStatus" => {
                let code = if text == "OOF" { "oof".to_owned() } else { lower(&text) };
                put(members, "showAs", json!(code));
            }
            "Location" => put(members, "location", json!({ "displayName": text })),
            "ExtendedProperty" => {
                put(members, "transactionId", json!(child(property, "Value").map(text_of)));
            }
            "Start" | "End" => {
                let name = if property.tag_name().name() == "Start" { "start" } else { "end" };
                let (wall, offset) = zone::parse(&text)
                    .ok_or_else(|| Denied::new("ErrorSchemaValidation", "A time could not be read."))?;
                let label =
                    child(item, "StartTimeZone").and_then(|zone| zone.attribute("Id")).unwrap_or("UTC");
                let named = zone::resolve(label)
                    .ok_or_else(|| Denied::new("ErrorTimeZone", "The time zone is not known."))?;
                let wall = match offset {
                    Some(minutes) => zone::wall(zone::as_utc(wall) - i64::from(minutes) * 60_000, &named),
                    None => wall,
                };
                let text = zone::seven_digits(wall);
                put(members, name, json!({"dateTime": text, "timeZone": label}));
            }
            "StartTimeZone" | "EndTimeZone" => {}
            name => match LISTS.iter().find(|(list, _)| *list == name) {
                None => return Err(Denied::new("ErrorInvalidPropertySet", "The property cannot be set.")),
                Some((_, kind)) => {
                    named_kinds.push(*kind);
                    invited.extend(children(property).filter_map(|attendee| mailbox(attendee, kind)));
                }
            },
        }
    }
    if find("IsAllDayEvent").as_deref() == Some("true")
        && !members.contains_key("start")
        && attendees.is_none()
    {
        return Err(Denied::new("ErrorCalendarDurationIsTooLong", "Start and End are required."));
    }
    if named_kinds.is_empty() {
        return Ok(());
    }
    if let Some(attendees) = attendees {
        // Other kinds stay as they are; those set before in the same change are there already.
        attendees.retain(|attendee| !named_kinds.contains(&attendee.kind));
        let present = members.get("attendees").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_kept = |value: &Value| {
            value.get("type").and_then(Value::as_str).is_some_and(|k| !named_kinds.contains(&k))
        };
        let set_before: Vec<Value> = present.into_iter().filter(is_kept).collect();
        let is_set_before = |attendee: &Attendee| {
            set_before.iter().any(|value| value.get("type") == Some(&json!(attendee.kind)))
        };
        let stay: Vec<Value> =
            attendees.iter().filter(|attendee| !is_set_before(attendee)).map(known).collect();
        invited.extend(set_before);
        invited.extend(stay);
        let mut seen = std::collections::BTreeSet::new();
        invited.retain(|value| seen.insert(value.to_string()));
    }
    put(members, "attendees", Value::Array(invited));
    Ok(())
}

fn clear(members: &mut Map<String, Value>, field: &str, attendees: &mut Vec<Attendee>) -> Result<(), Denied> {
    match field {
        "item:Subject" => put(members, "subject", json!("")),
        "item:Body" => put(members, "body", json!({"contentType": "text", "content": ""})),
        "item:Categories" => put(members, "categories", json!([])),
        "calendar:Location" => put(members, "location", json!({"displayName": ""})),
        "calendar:RequiredAttendees" | "calendar:OptionalAttendees" | "calendar:Resources" => {
            let name = field.trim_start_matches("calendar:");
            let kind = LISTS.iter().find(|(list, _)| *list == name).map_or("", |(_, kind)| kind);
            attendees.retain(|attendee| attendee.kind != kind);
            let rest = match members.get("attendees").and_then(Value::as_array) {
                Some(set) => {
                    set.iter().filter(|value| value.get("type") != Some(&json!(kind))).cloned().collect()
                }
                None => attendees.iter().map(known).collect(),
            };
            put(members, "attendees", Value::Array(rest));
        }
        _ => return Err(Denied::new("ErrorInvalidPropertyDelete", "The property cannot be deleted.")),
    }
    Ok(())
}

fn put(members: &mut Map<String, Value>, name: &str, value: Value) {
    members.insert(name.to_owned(), value);
}

fn mailbox(attendee: Node<'_, '_>, kind: &str) -> Option<Value> {
    let mailbox = child(attendee, "Mailbox")?;
    let address = child(mailbox, "EmailAddress").map(text_of)?;
    let name = child(mailbox, "Name").map(text_of).unwrap_or_else(|| address.clone());
    Some(json!({"type": kind, "emailAddress": {"name": name, "address": address}}))
}

fn known(attendee: &Attendee) -> Value {
    let person = &attendee.person;
    json!({"type": attendee.kind, "emailAddress": {"name": person.name, "address": person.address}})
}
