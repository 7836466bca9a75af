use crate::flow::push::Push;
use crate::mirror::Settled;
use crate::model::{EventRecord, Fault, Fields, Intent, Lookup, OpenEdit, RemoteId, Response};
use crate::source::graph::{encode_create, encode_patch, meeting_body};
use crate::zones::Zones;

/// Why an edit was not carried out.
pub(super) enum Refusal {
    /// The server or the network.
    Fault(Fault),
    /// The body of an online meeting cannot be written without destroying what its participants join by.
    MeetingBody,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal::Fault(fault)
    }
}

impl Push<'_> {
    /// Carries out an edit at the server.
    pub(super) async fn act(&self, edit: &OpenEdit) -> Result<Settled, Refusal> {
        if let (Intent::Create(_), Some(body)) = (&edit.intent, &edit.body) {
            let record = self.graph.create(&edit.calendar_remote, body).await?;
            return Ok(Settled::Created { record: Box::new(record) });
        }
        // One whose event has no id is never chosen.
        let Some(id) = &edit.remote else {
            return Err(Refusal::Fault(Fault::Refused {
                status: 404,
                code: None,
                retry_after: None,
                claims: None,
            }));
        };
        self.act_on(edit, id).await
    }

    async fn act_on(&self, edit: &OpenEdit, id: &RemoteId) -> Result<Settled, Refusal> {
        let calendar = &edit.calendar_remote;
        let version = edit.base.as_ref().and_then(|base| base.change_key.as_deref());
        match &edit.intent {
            // Has no event yet; sent above.
            Intent::Create(_) => Ok(Settled::Dropped),
            Intent::Update(fields) => {
                let html = self.meeting_html(edit, id, fields).await?;
                let body = encode_patch(fields, &self.ports.zones, html.as_deref());
                let record = self.graph.patch(calendar, id, version, &body).await?;
                Ok(Settled::Updated { record: Box::new(record) })
            }
            Intent::Delete => {
                self.graph.delete(calendar, id, version).await?;
                Ok(Settled::Gone)
            }
            Intent::Cancel { comment } => {
                self.graph.cancel(calendar, id, comment).await?;
                Ok(self.after(edit, id).await)
            }
            Intent::Respond { answer, comment, is_silent } => {
                self.graph.respond(calendar, id, *answer, comment, *is_silent).await?;
                Ok(self.after(edit, id).await)
            }
            Intent::Forward { to, comment } => {
                self.graph.forward(calendar, id, to, comment).await?;
                Ok(Settled::Acted { record: None })
            }
            Intent::Snooze { until_ms } => {
                self.graph.snooze(calendar, id, *until_ms).await?;
                Ok(Settled::Acted { record: None })
            }
            Intent::Dismiss => {
                self.graph.dismiss(calendar, id).await?;
                Ok(Settled::Acted { record: None })
            }
        }
    }

    /// The new body of an online meeting, when the body of one is edited: its text as it was typed, and the part to
    /// join by as it stands on the server.
    async fn meeting_html(
        &self,
        edit: &OpenEdit,
        id: &RemoteId,
        fields: &Fields,
    ) -> Result<Option<String>, Refusal> {
        let is_online = edit
            .base
            .as_ref()
            .and_then(|base| base.details.as_deref())
            .is_some_and(|details| details.online_meeting.is_some());
        let Some(text) = fields.body.as_deref().filter(|_| is_online) else { return Ok(None) };
        let gone = || Fault::Refused { status: 404, code: None, retry_after: None, claims: None };
        let html = self.graph.body_html(&edit.calendar_remote, id).await?.ok_or_else(gone)?;
        meeting_body(&html, text).map(Some).ok_or(Refusal::MeetingBody)
    }

    /// The row after an act whose effect comes later than its answer: as the server has it, with the effect in it, so
    /// that the view does not go back and forth.
    async fn after(&self, edit: &OpenEdit, id: &RemoteId) -> Settled {
        match self.graph.read(&edit.calendar_remote, id).await {
            Ok(Lookup::Found(record)) => {
                Settled::Acted { record: Some(Box::new(with_effect(*record, &edit.intent))) }
            }
            Ok(Lookup::Missing) => Settled::Gone,
            // It is done; what it did is read by the next pull.
            Ok(Lookup::Unreadable(_)) | Err(_) => Settled::Acted {
                record: edit.base.as_deref().map(|base| Box::new(with_effect(base.clone(), &edit.intent))),
            },
        }
    }
}

/// The body of a create: made once, and the same bytes at each try.
pub(super) fn create_body(edit: &OpenEdit, zones: &Zones) -> Option<Vec<u8>> {
    let Intent::Create(fields) = &edit.intent else { return None };
    let made = edit.event.to_string();
    let transaction_id = edit.transaction_id.as_deref().unwrap_or(&made);
    Some(encode_create(fields, transaction_id, zones))
}

/// The row as the act will leave it. Where the server does not say so yet, the row has no version: whatever comes is
/// news.
fn with_effect(mut record: EventRecord, intent: &Intent) -> EventRecord {
    let has_effect = crate::edit::has_landed(intent, &record);
    let Some(details) = record.details.as_deref_mut().filter(|_| !has_effect) else { return record };
    let effect: Option<Response> = match intent {
        Intent::Respond { answer, .. } => Some(answer.response()),
        Intent::Cancel { .. } => {
            details.is_cancelled = true;
            None
        }
        Intent::Create(_)
        | Intent::Update(_)
        | Intent::Delete
        | Intent::Forward { .. }
        | Intent::Snooze { .. }
        | Intent::Dismiss => return record,
    };
    if let Some(response) = effect {
        details.response = response;
    }
    record.change_key = None;
    record
}
