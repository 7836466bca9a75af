//! One call as one JSON object: how hosts ask that speak JSON and no Rust.
//!
//! `{"call":"agenda","account":"anna","day":"today"}`: `call` names a question or an act, `account` may be left out when
//! there is one, and every other member is a parameter named as on the command line and in the local API. What an
//! address names there is the member `id` or `n` here. A member that nobody knows is an error.

use serde_json::Value;

use crate::api::body::{Members, wrong};
use crate::api::{Act, Call, Error, ErrorKind};

/// The most values that one member may list, more than any rule allows.
const VALUES_MAX: usize = 10_000;

/// A call as it was read: its name is known, its parameters are not yet.
pub struct Document {
    name: String,
    account: Option<String>,
    members: Members,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

/// What a document asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A question.
    Call(Call),
    /// An act.
    Act(Act),
}

impl Document {
    /// Reads a JSON object that has a `call`.
    ///
    /// # Errors
    /// `Usage` when it is no object or names no call.
    pub fn read(bytes: &[u8]) -> Result<Document, Error> {
        let mut members = Members::read(bytes)?;
        let name = members.take_time("call")?.ok_or_else(|| wrong("call", "the name of a call"))?;
        let account = members.take_time("account")?;
        Ok(Document { name, account, members })
    }

    /// The name of the call.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The account meant, if one is named.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The question or act: `agenda`, `show`, `search`, `free`, `busy`, `changes`, `outbox`, `conflicts`, `reminders`,
    /// `presence`, `presence_timeline`, `presence_why`, `status`; `add`, `edit`, `remove`, `respond`, `forward`, `outbox`
    /// with an `action`, `resolve`, `snooze`, `dismiss`, `choose`, `clear_choice`, `observe`, `acknowledge`.
    ///
    /// # Errors
    /// As [`Call::read`] and [`Act::read`].
    pub fn ask(mut self) -> Result<Ask, Error> {
        let place = match self.name.as_str() {
            "add" | "choose" | "clear_choice" | "observe" => String::new(),
            "edit" | "remove" | "respond" | "forward" | "snooze" | "dismiss" | "acknowledge" => {
                self.members.take_time("id")?.ok_or_else(|| wrong("id", "an id"))?
            }
            "resolve" => self.take_number()?,
            "outbox" if self.members.left.contains_key("action") => self.take_number()?,
            _ => {
                let (name, values) = (self.name.clone(), self.values()?);
                return Ok(Ask::Call(Call::read(&name, &values)?));
            }
        };
        Ok(Ask::Act(Act::take(&self.name, &place, self.members)?))
    }

    /// Its parameters as a query string has them: a list is one value after the other, null none.
    ///
    /// # Errors
    /// `Usage` for a member that is an object or a list of such.
    pub fn values(self) -> Result<Vec<(String, String)>, Error> {
        let mut values = Vec::new();
        for (name, value) in self.members.left {
            match value {
                Value::Array(list) if list.len() <= VALUES_MAX => {
                    for value in list {
                        values.extend(plain(&name, value)?.map(|value| (name.clone(), value)));
                    }
                }
                value => values.extend(plain(&name, value)?.map(|value| (name, value))),
            }
        }
        Ok(values)
    }

    fn take_number(&mut self) -> Result<String, Error> {
        match self.members.left.remove("n") {
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(Value::String(text)) => Ok(text),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => {
                Err(wrong("n", "the number of an edit or a conflict"))
            }
        }
    }
}

fn plain(name: &str, value: Value) -> Result<Option<String>, Error> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(value.to_string())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::String(text) => Ok(Some(text)),
        Value::Array(_) | Value::Object(_) => {
            let is_plain = name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let name = if is_plain { name } else { "a member" };
            Err(Error::new(ErrorKind::Usage, format!("`{name}` must be one plain value or a list of such")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{AgendaCall, OutboxAct, OutboxCall, RangeCall};

    fn ask(text: &str) -> Result<Ask, Error> {
        Document::read(text.as_bytes())?.ask()
    }

    #[test]
    fn a_question_is_read_as_the_local_api_reads_its_query() {
        let text =
            r#"{"call":"agenda","account":"anna","days":3,"calendar":["a","b"],"tz":"UTC","day":null}"#;
        let document = Document::read(text.as_bytes()).unwrap();
        assert_eq!((document.name(), document.account()), ("agenda", Some("anna")));
        let range = RangeCall {
            tz: Some("UTC".into()),
            calendars: vec!["a".into(), "b".into()],
            ..RangeCall::default()
        };
        let expected = Call::Agenda(AgendaCall { range, days: Some(3), ..AgendaCall::default() });
        assert_eq!(document.ask().unwrap(), Ask::Call(expected));
        assert_eq!(ask(r#"{"call":"outbox"}"#).unwrap(), Ask::Call(Call::Outbox));
        assert_eq!(ask(r#"{"call":"outbox","n":4}"#).unwrap(), Ask::Call(Call::OutboxEdit(4)));
    }

    #[test]
    fn an_act_is_read_as_the_local_api_reads_its_body() {
        let retry = Act::Outbox(OutboxCall { n: 4, act: OutboxAct::Retry });
        assert_eq!(ask(r#"{"call":"outbox","n":4,"action":"retry"}"#).unwrap(), Ask::Act(retry));
        let Ask::Act(Act::Edit(call)) = ask(r#"{"call":"edit","id":"ab","subject":"Review"}"#).unwrap()
        else {
            panic!("another act");
        };
        assert_eq!((call.id.as_str(), call.fields.subject.as_deref()), ("ab", Some("Review")));
        assert_eq!(ask(r#"{"call":"dismiss","id":"ab"}"#).unwrap(), Ask::Act(Act::Dismiss("ab".into())));
        let acknowledged = ask(r#"{"call":"acknowledge","id":"c1","applied":true}"#).unwrap();
        assert!(
            matches!(acknowledged, Ask::Act(Act::Acknowledge(call)) if call.is_applied && call.id == "c1")
        );
    }

    #[test]
    fn what_is_no_call_is_refused_by_kind() {
        for (text, kind, expected) in [
            ("", ErrorKind::Usage, "`call`"),
            ("[]", ErrorKind::Usage, "a JSON object"),
            ("{\"call\":", ErrorKind::Usage, "no JSON"),
            (r#"{"call":7}"#, ErrorKind::Usage, "`call`"),
            (r#"{"call":"burn"}"#, ErrorKind::NotFound, "no such call"),
            (r#"{"call":"agenda","colour":"red"}"#, ErrorKind::Usage, "`colour`"),
            (r#"{"call":"agenda","day":{"a":1}}"#, ErrorKind::Usage, "`day`"),
            (r#"{"call":"edit","subject":"x"}"#, ErrorKind::Usage, "`id`"),
            (r#"{"call":"add","id":"ab"}"#, ErrorKind::Usage, "`id`"),
            (r#"{"call":"resolve","keep":"mine"}"#, ErrorKind::Usage, "`n`"),
        ] {
            let error = ask(text).unwrap_err();
            assert_eq!(error.kind(), kind, "{text}");
            assert!(error.to_string().contains(expected), "{text}: {error}");
            assert_eq!(error.problem()["kind"], kind.code());
        }
    }
}
