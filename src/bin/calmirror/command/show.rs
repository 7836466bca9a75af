use calmirror::api::{Event, ShowCall};
use calmirror::model::Person;
use clap::Args;

use crate::args::Globals;
use crate::command::agenda::calendar_names;
use crate::command::event_table::{marks, span_text};
use crate::output::{Output, Tone, cell, plain_table};
use crate::setup::{Failure, Setup};
use crate::text::{clean, clean_lines};

/// Show one event whole
#[derive(Debug, Args)]
pub struct Show {
    /// Its id, or the beginning of one
    id: String,
    /// Show times in this zone
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
}

impl Show {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        let event = setup.mirrors.show(&account, &ShowCall { id: self.id, tz: self.tz })?;
        if output.is_json() {
            output.json(&event)?;
            return Ok(0);
        }
        let calendars = calendar_names(&setup.mirrors, &account)?;
        let calendar = calendars.get(&event.calendar).map(|name| clean(name)).unwrap_or_default();
        print(output, &event, &calendar)?;
        Ok(0)
    }
}

/// Prints one event whole.
pub fn print(output: &mut Output, event: &Event, calendar: &str) -> Result<(), Failure> {
    let subject = event.subject.as_deref().map(clean).filter(|subject| !subject.is_empty());
    let heading = output.tone(subject.as_deref().unwrap_or("(no subject)"), Tone::Heading);
    output.line(heading)?;
    let person = |person: &Person| match (person.name.as_deref(), person.address.as_deref()) {
        (Some(name), Some(address)) => clean(&format!("{name} <{address}>")),
        (name, address) => clean(name.or(address).unwrap_or_default()),
    };
    let attendees: Vec<String> = event
        .attendees
        .iter()
        .map(|attendee| {
            let who = person(&Person { name: attendee.name.clone(), address: attendee.address.clone() });
            format!("{who} ({}, {})", attendee.kind.code(), attendee.response.code().replace('_', " "))
        })
        .collect();
    let reminder = event.reminder_minutes.map(|minutes| format!("{minutes} minutes before"));
    let join = event.online_meeting.as_ref().map(|meeting| {
        let url = meeting.join_url.as_deref().unwrap_or("no address");
        clean(&format!("{}: {url}", meeting.provider.code()))
    });
    let lines = [
        ("when", Some(span_text(event))),
        ("where", event.location.as_deref().map(clean)),
        ("calendar", Some(calendar.to_owned())),
        ("marks", Some(marks(event).join(", "))),
        ("organizer", event.organizer.as_ref().map(person)),
        ("attendees", Some(attendees.join("\n"))),
        ("categories", Some(clean(&event.categories.join(", ")))),
        ("reminder", reminder),
        ("online", join),
        ("zone", event.original_time_zone.as_deref().map(clean)),
        ("link", event.web_link.as_deref().map(clean)),
        ("id", Some(event.id.to_string())),
    ];
    let mut table = plain_table(2, &[0]);
    for (name, text) in lines {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            table.add_row([cell(format!("  {name}"), Tone::Faint), cell(text, Tone::Plain)]);
        }
    }
    output.table(&mut table)?;
    if let Some(body) = event.body.as_deref().map(clean_lines).filter(|body| !body.is_empty()) {
        output.line("")?;
        output.line(body)?;
    }
    Ok(())
}
