//! What a caller may do, as it was typed, and what is answered.

use serde::Serialize;

use crate::api::presence::{AckCall, ChooseCall, ObserveCall, PresenceAnswer, PresenceCall};
use crate::api::wish::FieldsCall;
use crate::api::{ConflictItem, Error, Event, Mirrors, OutboxItem, ReminderItem};
use crate::model::coded::coded;
use crate::model::{Answer, Keep, Person};

coded! {
    /// What to do with an edit of the outbox.
    OutboxAct {
        /// Send it again, also when that mails people late.
        Retry = "retry",
        /// Drop it: the event shows the server's version again.
        Discard = "discard",
    }
}

/// One act. It is recorded at once, needs neither network nor sign-in nor engine, and is sent by the next sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A new event.
    Add(AddCall),
    /// Changes of an event.
    Edit(EditCall),
    /// Deletes an event, or calls a meeting off.
    Remove(RemoveCall),
    /// Answers an invitation.
    Respond(RespondCall),
    /// Sends an invitation on.
    Forward(ForwardCall),
    /// Sends an edit again, or drops it.
    Outbox(OutboxCall),
    /// Decides a conflict.
    Resolve(ResolveCall),
    /// Puts a reminder off.
    Snooze(SnoozeCall),
    /// Ends a reminder: the event's id.
    Dismiss(String),
    /// Chooses a presence profile by hand.
    Choose(ChooseCall),
    /// Takes that back.
    ClearChoice(PresenceCall),
    /// Reports what is forwarded.
    Observe(ObserveCall),
    /// Answers a command that was handed over.
    Acknowledge(AckCall),
}

impl Act {
    /// Whether presence follows from it at once: else it is an edit, and waits for the next one.
    pub fn is_of_presence(&self) -> bool {
        match self {
            Act::Choose(_) | Act::ClearChoice(_) | Act::Observe(_) | Act::Acknowledge(_) => true,
            Act::Add(_)
            | Act::Edit(_)
            | Act::Remove(_)
            | Act::Respond(_)
            | Act::Forward(_)
            | Act::Outbox(_)
            | Act::Resolve(_)
            | Act::Snooze(_)
            | Act::Dismiss(_) => false,
        }
    }
}

/// A new event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddCall {
    /// Into this calendar, by id or name; else the mailbox's default.
    pub calendar: Option<String>,
    /// The zone to read its times in; else the account's.
    pub tz: Option<String>,
    /// What it says.
    pub fields: FieldsCall,
}

/// Changes of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EditCall {
    /// Its id, or the beginning of one; a series' id means the series.
    pub id: String,
    /// The whole series that it belongs to.
    pub is_series: bool,
    /// Moves it into this calendar, by id or name.
    pub calendar: Option<String>,
    /// The zone to read its times in; else the account's.
    pub tz: Option<String>,
    /// What it is to say.
    pub fields: FieldsCall,
}

/// An event that is to go.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RemoveCall {
    /// As in [`EditCall`].
    pub id: String,
    /// As in [`EditCall`].
    pub is_series: bool,
    /// Calls the meeting off with these words.
    pub comment: Option<String>,
}

impl std::fmt::Debug for RemoveCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoveCall").field("id", &self.id).finish_non_exhaustive()
    }
}

/// An answer to an invitation.
#[derive(Clone, PartialEq, Eq)]
pub struct RespondCall {
    /// As in [`EditCall`].
    pub id: String,
    /// As in [`EditCall`].
    pub is_series: bool,
    /// Which.
    pub answer: Answer,
    /// What the organizer reads.
    pub comment: String,
    /// Nobody is told.
    pub is_silent: bool,
}

impl std::fmt::Debug for RespondCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RespondCall")
            .field("id", &self.id)
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}

/// An invitation to be sent on.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ForwardCall {
    /// As in [`EditCall`].
    pub id: String,
    /// As in [`EditCall`].
    pub is_series: bool,
    /// To whom.
    pub to: Vec<Person>,
    /// What they read.
    pub comment: String,
}

impl std::fmt::Debug for ForwardCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForwardCall")
            .field("id", &self.id)
            .field("to", &self.to.len())
            .finish_non_exhaustive()
    }
}

/// What to do with an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxCall {
    /// Its number.
    pub n: i64,
    /// What to do.
    pub act: OutboxAct,
}

/// Which version of an event stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolveCall {
    /// The number of the conflict.
    pub n: i64,
    /// Which.
    pub keep: Keep,
}

/// A reminder that is to come again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnoozeCall {
    /// The event's id, or the beginning of one.
    pub id: String,
    /// After how long, as `"10m"`.
    pub span: String,
}

/// An edited event as it is shown now, and what becomes of the edit.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct EditAnswer {
    /// The event. One that was deleted is shown as it was.
    #[serde(flatten)]
    pub event: Event,
    /// The numbers of the edits that wait for it; none when nothing is left to be sent.
    pub outbox: Vec<i64>,
    /// How many people the server will mail.
    pub notifies: u32,
    /// What a user may not expect, as sentences.
    pub warnings: Vec<String>,
}

/// The answer to an [`Act`], as its JSON.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ActAnswer {
    /// To what concerns an event.
    Event(Box<EditAnswer>),
    /// To what concerns the outbox: the edit, as it stands or stood.
    Outbox(Box<OutboxItem>),
    /// To what concerns a conflict.
    Conflict(Box<ConflictItem>),
    /// To what concerns a reminder.
    Reminder(Box<ReminderItem>),
    /// To what concerns presence.
    Presence(Box<PresenceAnswer>),
}

impl Mirrors {
    /// Records one act for the account named (or the only one).
    ///
    /// # Errors
    /// As the act's own method.
    pub fn act(&self, account: Option<&str>, act: &Act) -> Result<ActAnswer, Error> {
        let account = &self.account(account)?;
        Ok(match act {
            Act::Add(call) => ActAnswer::Event(Box::new(self.add(account, call)?)),
            Act::Edit(call) => ActAnswer::Event(Box::new(self.edit(account, call)?)),
            Act::Remove(call) => ActAnswer::Event(Box::new(self.remove(account, call)?)),
            Act::Respond(call) => ActAnswer::Event(Box::new(self.respond(account, call)?)),
            Act::Forward(call) => ActAnswer::Event(Box::new(self.forward(account, call)?)),
            Act::Outbox(OutboxCall { n, act: OutboxAct::Retry }) => {
                ActAnswer::Outbox(Box::new(self.retry_edit(account, *n)?))
            }
            Act::Outbox(OutboxCall { n, act: OutboxAct::Discard }) => {
                ActAnswer::Outbox(Box::new(self.discard_edit(account, *n)?))
            }
            Act::Resolve(call) => ActAnswer::Conflict(Box::new(self.resolve_conflict(account, *call)?)),
            Act::Snooze(call) => ActAnswer::Reminder(Box::new(self.snooze(account, call)?)),
            Act::Dismiss(id) => ActAnswer::Reminder(Box::new(self.dismiss(account, id)?)),
            Act::Choose(call) => ActAnswer::Presence(Box::new(self.choose(account, call)?)),
            Act::ClearChoice(call) => ActAnswer::Presence(Box::new(self.clear_choice(account, call)?)),
            Act::Observe(call) => ActAnswer::Presence(Box::new(self.observe(account, call)?)),
            Act::Acknowledge(call) => ActAnswer::Presence(Box::new(self.acknowledge(account, call)?)),
        })
    }
}
