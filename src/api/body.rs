//! Reads the JSON bodies of the doors: every member is taken by name, and one that nobody took is an error.

use serde_json::{Map, Value};

use crate::api::act::{
    Act, AddCall, EditCall, ForwardCall, OutboxAct, OutboxCall, RemoveCall, ResolveCall, RespondCall,
    SnoozeCall,
};
use crate::api::presence::{AckCall, ChooseCall, ObserveCall, PresenceCall};
use crate::api::wish::FieldsCall;
use crate::api::{Error, ErrorKind};
use crate::model::{Answer, AttendeeType, Invitee, Keep, Person, Reminder};

/// The most people or categories that a body may list: more than any rule allows, so that the rule answers.
const LIST_MAX: usize = 10_000;

impl Act {
    /// Reads an act from its name, what its address names (an id or a number) and a JSON object. The members have the
    /// names of the Event object and of the CLI.
    ///
    /// # Errors
    /// `NotFound` for an unknown act, `Usage` for a body that is no object, or an unknown or unreadable member.
    pub fn read(act: &str, place: &str, body: &[u8]) -> Result<Act, Error> {
        Act::take(act, place, Members::read(body)?)
    }

    /// The same from members that were read.
    pub(super) fn take(act: &str, place: &str, mut members: Members) -> Result<Act, Error> {
        let id = place.to_owned();
        let act = match act {
            "add" => Act::Add(AddCall {
                calendar: members.take_text("calendar")?,
                tz: members.take_text("tz")?,
                fields: members.take_fields()?,
            }),
            "edit" => Act::Edit(EditCall {
                id,
                is_series: members.take_bool("series")?.unwrap_or(false),
                calendar: members.take_text("calendar")?,
                tz: members.take_text("tz")?,
                fields: members.take_fields()?,
            }),
            "remove" => Act::Remove(RemoveCall {
                id,
                is_series: members.take_bool("series")?.unwrap_or(false),
                comment: members.take_text("comment")?,
            }),
            "respond" => Act::Respond(RespondCall {
                id,
                is_series: members.take_bool("series")?.unwrap_or(false),
                answer: members.take_code("response", Answer::from_code, Answer::CODES)?,
                comment: members.take_text("comment")?.unwrap_or_default(),
                is_silent: members.take_bool("silent")?.unwrap_or(false),
            }),
            "forward" => Act::Forward(ForwardCall {
                id,
                is_series: members.take_bool("series")?.unwrap_or(false),
                to: members.take_people("to")?.unwrap_or_default(),
                comment: members.take_text("comment")?.unwrap_or_default(),
            }),
            "outbox" => Act::Outbox(OutboxCall {
                n: number(place)?,
                act: members.take_code("action", OutboxAct::from_code, OutboxAct::CODES)?,
            }),
            "resolve" => Act::Resolve(ResolveCall {
                n: number(place)?,
                keep: members.take_code("keep", Keep::from_code, Keep::CODES)?,
            }),
            "snooze" => {
                let span = members.take_text("for")?.unwrap_or_default();
                Act::Snooze(SnoozeCall { id, span })
            }
            "dismiss" => Act::Dismiss(id),
            "choose" => Act::Choose(ChooseCall {
                profile: members.take_text("profile")?.unwrap_or_default(),
                until: members.take_time("until")?,
                span: members.take_time("for")?,
                is_until_changed: members.take_bool("until_changed")?.unwrap_or(false),
                place: PresenceCall { at: None, tz: members.take_time("tz")? },
            }),
            "clear_choice" => Act::ClearChoice(PresenceCall::default()),
            "observe" => Act::Observe(ObserveCall {
                call: members.take_bool("call")?,
                target: members.take_text("forwarding")?.unwrap_or_default(),
                place: PresenceCall::default(),
            }),
            "acknowledge" => {
                let is_applied =
                    members.take_bool("applied")?.ok_or_else(|| wrong("applied", "true or false"))?;
                Act::Acknowledge(AckCall { id, is_applied })
            }
            _ => return Err(Error::new(ErrorKind::NotFound, "there is no such act")),
        };
        members.end()?;
        Ok(act)
    }
}

/// The number that an address names.
fn number(text: &str) -> Result<i64, Error> {
    text.parse().map_err(|_| Error::new(ErrorKind::Usage, "edits and conflicts are named by their number"))
}

/// Members that wait to be taken.
pub(super) struct Members {
    pub(super) left: Map<String, Value>,
}

impl Members {
    /// An empty body is an object without members.
    pub(super) fn read(body: &[u8]) -> Result<Members, Error> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Members { left: Map::new() });
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(left)) => Ok(Members { left }),
            Ok(_) => Err(Error::new(ErrorKind::Usage, "the body must be a JSON object")),
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                let message = format!("the body is no JSON, from line {line}, column {column} on");
                Err(Error::new(ErrorKind::Usage, message))
            }
        }
    }

    /// A text; null says an empty one, which clears.
    pub(super) fn take_text(&mut self, name: &str) -> Result<Option<String>, Error> {
        match self.left.remove(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(String::new())),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(wrong(name, "a text or null"))
            }
        }
    }

    /// A text that may be missing, too, by being null.
    pub(super) fn take_time(&mut self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.take_text(name)?.filter(|text| !text.is_empty()))
    }

    fn take_bool(&mut self, name: &str) -> Result<Option<bool>, Error> {
        match self.left.remove(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(wrong(name, "true or false")),
        }
    }

    fn take_list(&mut self, name: &str) -> Result<Option<Vec<Value>>, Error> {
        match self.left.remove(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(Vec::new())),
            Some(Value::Array(list)) if list.len() <= LIST_MAX => Ok(Some(list)),
            Some(_) => Err(wrong(name, "a list that is not too long")),
        }
    }

    fn take_code<T>(
        &mut self,
        name: &str,
        from_code: fn(&str) -> Option<T>,
        codes: &[&str],
    ) -> Result<T, Error> {
        let text = self.take_text(name)?.unwrap_or_default();
        from_code(&text).ok_or_else(|| wrong(name, &format!("one of {}", codes.join(", "))))
    }

    fn take_fields(&mut self) -> Result<FieldsCall, Error> {
        let dates = (self.take_time("start_date")?, self.take_time("end_date")?);
        let times = (self.take_time("start")?, self.take_time("end")?);
        let all_day = self.take_bool("all_day")?;
        let has_dates = dates.0.is_some() || dates.1.is_some();
        if has_dates && (times.0.is_some() || times.1.is_some() || all_day == Some(false)) {
            let message =
                "say either `start` and `end`, or the `start_date` and `end_date` of an all-day event";
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let (start, end) = if has_dates { dates } else { times };
        let categories = match self.take_list("categories")? {
            None => None,
            Some(list) => {
                Some(list.into_iter().map(|value| text("categories", value)).collect::<Result<_, _>>()?)
            }
        };
        Ok(FieldsCall {
            subject: self.take_text("subject")?,
            body: self.take_text("body")?,
            start,
            end,
            all_day: if has_dates { Some(true) } else { all_day },
            location: self.take_text("location")?,
            show_as: self.take_text("show_as")?,
            sensitivity: self.take_text("sensitivity")?,
            importance: self.take_text("importance")?,
            categories,
            attendees: match self.take_list("attendees")? {
                None => None,
                Some(list) => Some(list.into_iter().map(invitee).collect::<Result<_, _>>()?),
            },
            reminder: self.take_reminder("reminder_minutes")?,
        })
    }

    /// Null is no reminder, which is not the same as zero minutes.
    fn take_reminder(&mut self, name: &str) -> Result<Option<Reminder>, Error> {
        match self.left.remove(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(Reminder::Off)),
            Some(Value::Number(number)) => {
                let minutes = number.as_i64().and_then(|minutes| i32::try_from(minutes).ok());
                minutes
                    .map(|m| Some(Reminder::Minutes(m)))
                    .ok_or_else(|| wrong(name, "whole minutes or null"))
            }
            Some(_) => Err(wrong(name, "whole minutes or null")),
        }
    }

    fn take_people(&mut self, name: &str) -> Result<Option<Vec<Person>>, Error> {
        let Some(list) = self.take_list(name)? else { return Ok(None) };
        let people = list.into_iter().map(|value| invitee(value).map(|invitee| invitee.person));
        people.collect::<Result<_, _>>().map(Some)
    }

    fn end(self) -> Result<(), Error> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => {
                // A foreign name is text from outside: only a plain one is repeated.
                let is_plain =
                    name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                let name = if is_plain { format!("`{name}` ") } else { String::new() };
                Err(Error::new(ErrorKind::Usage, format!("the member {name}is not known here")))
            }
        }
    }
}

pub(super) fn wrong(name: &str, form: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("`{name}` must be {form}"))
}

fn text(name: &str, value: Value) -> Result<String, Error> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(wrong(name, "a list of texts"))
        }
    }
}

/// An address alone, or an object as in the Event object; what somebody answered is read and left.
fn invitee(value: Value) -> Result<Invitee, Error> {
    let left = match value {
        Value::String(text) => return Ok(read_invitee(&text)),
        Value::Object(left) => left,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            return Err(wrong("attendees", "a list of addresses or of {name, address, type}"));
        }
    };
    let mut members = Members { left };
    let mut take = |name| members.take_text(name).map(|text| text.filter(|text| !text.is_empty()));
    let person = Person { name: take("name")?, address: take("address")? };
    take("response")?;
    let kind = match take("type")? {
        None => AttendeeType::Required,
        Some(code) => AttendeeType::from_code(&code)
            .ok_or_else(|| wrong("type", &format!("one of {}", AttendeeType::CODES.join(", "))))?,
    };
    members.end()?;
    Ok(Invitee { person, kind })
}

/// `anna@contoso.example`, `Anna <anna@contoso.example>`, each also behind `optional:` or `resource:`. Whether the
/// address is one is a rule, not a form.
pub fn read_invitee(text: &str) -> Invitee {
    let text = text.trim();
    let kinds = [AttendeeType::Optional, AttendeeType::Resource, AttendeeType::Required];
    let of_kind = kinds.into_iter().find_map(|kind| {
        let rest = text.strip_prefix(kind.code())?.strip_prefix(':')?;
        Some((kind, rest.trim()))
    });
    let (kind, text) = of_kind.unwrap_or((AttendeeType::Required, text));
    let named = text.strip_suffix('>').and_then(|text| text.split_once('<'));
    let person = match named {
        Some((name, address)) => Person {
            name: Some(name.trim().trim_matches('"').to_owned()).filter(|name| !name.is_empty()),
            address: Some(address.trim().to_owned()),
        },
        None => Person { name: None, address: Some(text.to_owned()) },
    };
    Invitee { person, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(act: &str, body: &str) -> String {
        match Act::read(act, "1", body.as_bytes()) {
            Ok(_) => panic!("{body} was taken"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Usage, "{body}");
                error.to_string()
            }
        }
    }

    #[test]
    fn the_members_of_a_body_are_those_of_the_event_object() {
        let body = br#"{"subject":"Review","start":"2026-03-02T09:00","end":"2026-03-02T10:00","location":null,
            "categories":["a"],"attendees":["b@x.example",{"name":"C","address":"c@x.example","type":"optional",
            "response":"none"}],"reminder_minutes":null,"tz":"Europe/Berlin","show_as":"free"}"#;
        let Act::Add(call) = Act::read("add", "", body).unwrap() else { panic!("another act") };
        let fields = call.fields;
        assert_eq!(fields.location.as_deref(), Some(""));
        assert_eq!(fields.reminder, Some(Reminder::Off));
        assert_eq!(fields.attendees.unwrap().get(1).unwrap().kind, AttendeeType::Optional);
        assert_eq!((fields.body, fields.all_day), (None, None));
        let body = br#"{"start_date":"2026-03-02","end_date":"2026-03-03","reminder_minutes":0}"#;
        let Act::Edit(call) = Act::read("edit", "ab", body).unwrap() else { panic!("another act") };
        assert_eq!((call.fields.all_day, call.id.as_str()), (Some(true), "ab"));
        assert_eq!(call.fields.reminder, Some(Reminder::Minutes(0)));
    }

    #[test]
    fn what_is_not_understood_is_named_and_never_repeated() {
        for (act, body, expected) in [
            ("add", "[]", "a JSON object"),
            ("add", "{", "line 1"),
            ("add", r#"{"subject":1}"#, "`subject` must be a text"),
            ("add", r#"{"colour":"red"}"#, "`colour` is not known"),
            ("add", "{\"\\u001b[31m\":1}", "the member is not known"),
            ("add", r#"{"all_day":"yes"}"#, "true or false"),
            ("add", r#"{"attendees":[{"adress":"a@b"}]}"#, "`adress` is not known"),
            ("add", r#"{"attendees":[{"type":"boss"}]}"#, "required, optional, resource"),
            ("add", r#"{"reminder_minutes":1.5}"#, "whole minutes or null"),
            ("add", r#"{"start_date":"2026-01-01","start":"2026-01-01"}"#, "either"),
            ("respond", r#"{"response":"maybe"}"#, "accept, tentative, decline"),
            ("outbox", r#"{"action":"burn"}"#, "retry, discard"),
            ("resolve", r#"{}"#, "mine, theirs, both"),
        ] {
            let text = error(act, body);
            assert!(text.contains(expected), "{body}: {text}");
        }
    }

    #[test]
    fn somebody_is_read_from_one_line() {
        let line = |text| {
            let Invitee { person, kind } = read_invitee(text);
            (person.name.unwrap_or_default(), person.address.unwrap_or_default(), kind)
        };
        let of = |name: &str, address: &str, kind| (name.to_owned(), address.to_owned(), kind);
        assert_eq!(line("a@x.example"), of("", "a@x.example", AttendeeType::Required));
        assert_eq!(line("optional: A B <a@x.example>"), of("A B", "a@x.example", AttendeeType::Optional));
        assert_eq!(line("resource:\"R 1\" <r@x.example>"), of("R 1", "r@x.example", AttendeeType::Resource));
        assert_eq!(line("nobody"), of("", "nobody", AttendeeType::Required));
    }
}
