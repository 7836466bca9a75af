//! What is answered: the messages of a response, decoded.

use crate::model::{CalendarRecord, Fault, RemoteId, Skipped, Unreadable};
use crate::source::ews::item::{self, Item, Slot, usable_id};
use crate::source::ews::refusal;
use crate::source::ews::xml::Element;
use crate::source::graph::{NAME_CHARS_MAX, text};

/// The most bytes of a sync state that are kept and sent back.
pub const SYNC_STATE_BYTES_MAX: usize = 512 * 1024;

/// Some changes of a folder.
#[derive(PartialEq, Eq)]
pub(super) struct Synced {
    /// Where the next changes begin.
    pub state: String,
    /// Whether no more are known.
    pub is_last: bool,
    /// New and changed, by id, in the server's order.
    pub put: Vec<RemoteId>,
    /// Deleted.
    pub gone: Vec<RemoteId>,
    /// Unreadable.
    pub skipped: Vec<Skipped>,
}

/// Some rows of a view.
pub(super) struct Viewed {
    pub slots: Vec<Slot>,
    pub skipped: Vec<Skipped>,
    /// Whether the range holds no more.
    pub is_whole: bool,
}

/// A folder of the mailbox.
pub(super) struct Folder {
    pub id: RemoteId,
    pub parent: Option<RemoteId>,
    pub is_calendar: bool,
    pub name: String,
    pub can_edit: bool,
}

impl Folder {
    pub fn record(self, is_default: bool) -> CalendarRecord {
        CalendarRecord {
            remote_id: self.id,
            name: self.name,
            color: None,
            owner_name: None,
            owner_address: None,
            is_default,
            can_edit: self.can_edit,
        }
    }
}

fn shape() -> Fault {
    Fault::Unreadable(Unreadable::Shape)
}

/// The messages of a response, successes and errors.
pub(super) fn messages(body: &Element) -> Result<&[Element], Fault> {
    let response = body.children.first().ok_or_else(shape)?;
    let messages = response.child("ResponseMessages").ok_or_else(shape)?;
    if messages.children.is_empty() { Err(shape()) } else { Ok(&messages.children) }
}

/// The only message of a response.
pub(super) fn message(body: &Element) -> Result<&Element, Fault> {
    let message = messages(body)?.first().ok_or_else(shape)?;
    refusal::outcome(message)?;
    Ok(message)
}

pub(super) fn synced(body: &Element) -> Result<Synced, Fault> {
    let message = message(body)?;
    let state = message.text_at(&["SyncState"]).ok_or_else(shape)?;
    if state.len() > SYNC_STATE_BYTES_MAX {
        return Err(Fault::Unreadable(Unreadable::TooLarge));
    }
    let mut synced = Synced {
        state: state.to_owned(),
        // One that does not say so is taken for unfinished: the next request tells.
        is_last: message.truth_at(&["IncludesLastItemInRange"]).unwrap_or(false),
        put: Vec::new(),
        gone: Vec::new(),
        skipped: Vec::new(),
    };
    for change in message.child("Changes").map_or(&[] as &[Element], |changes| &changes.children) {
        let id =
            |holder: &Element| holder.child("ItemId").and_then(|id| id.attribute("Id")).and_then(usable_id);
        match &*change.name {
            // What lies in a calendar without being an appointment has another element's name.
            "Create" | "Update" => match change.child("CalendarItem").map(id) {
                Some(Some(id)) => synced.put.push(id),
                Some(None) => synced.skipped.push(Skipped::Id),
                None => {}
            },
            "Delete" => match id(change) {
                Some(id) => synced.gone.push(id),
                None => synced.skipped.push(Skipped::Id),
            },
            // `ReadFlagChange` says nothing about a calendar.
            _ => {}
        }
    }
    Ok(synced)
}

pub(super) fn viewed(body: &Element) -> Result<Viewed, Fault> {
    let root = message(body)?.child("RootFolder").ok_or_else(shape)?;
    let items = root.child("Items").map_or(&[] as &[Element], |items| &items.children);
    let is_whole =
        root.attribute("IncludesLastItemInRange").is_none_or(|whole| whole == "true" || whole == "1");
    let mut viewed = Viewed { slots: Vec::with_capacity(items.len()), skipped: Vec::new(), is_whole };
    for row in items.iter().filter(|row| row.name == "CalendarItem") {
        match item::slot(row) {
            Ok(slot) => viewed.slots.push(slot),
            Err(skipped) => viewed.skipped.push(skipped),
        }
    }
    Ok(viewed)
}

/// What was found of one id.
pub(super) enum Found {
    Item(Box<Item>),
    /// It is not there, or is no appointment.
    Missing,
    Unreadable(Skipped),
}

/// What a response to a question for `count` items says about each, in their order.
pub(super) fn found(body: &Element, count: usize) -> Result<Vec<Result<Found, Fault>>, Fault> {
    let messages = messages(body)?;
    if messages.len() != count {
        return Err(shape());
    }
    Ok(messages
        .iter()
        .map(|message| match refusal::outcome(message) {
            Ok(()) => {
                let items = message.child("Items").ok_or_else(shape)?;
                Ok(match items.child("CalendarItem").map(item::item) {
                    Some(Ok(item)) => Found::Item(Box::new(item)),
                    Some(Err(skipped)) => Found::Unreadable(skipped),
                    None => Found::Missing,
                })
            }
            Err(fault) if refusal::is_missing(&fault) => Ok(Found::Missing),
            Err(fault) if refusal::is_corrupt(&fault) => Ok(Found::Unreadable(Skipped::Shape)),
            Err(fault) => Err(fault),
        })
        .collect())
}

/// The folders of a message that lists some: those found, and whether they are the last.
pub(super) fn folders(message: &Element) -> Result<(Vec<Folder>, bool), Fault> {
    refusal::outcome(message)?;
    let root = message.child("RootFolder");
    let holder = root.unwrap_or(message).child("Folders").ok_or_else(shape)?;
    let is_last = root
        .and_then(|root| root.attribute("IncludesLastItemInRange"))
        .is_none_or(|last| last == "true" || last == "1");
    Ok((holder.children.iter().filter_map(folder).collect(), is_last))
}

fn folder(element: &Element) -> Option<Folder> {
    let id = element.child("FolderId")?.attribute("Id").and_then(usable_id)?;
    let class = element.text_at(&["FolderClass"]);
    Some(Folder {
        id,
        parent: element.child("ParentFolderId").and_then(|id| id.attribute("Id")).and_then(usable_id),
        is_calendar: element.name == "CalendarFolder"
            || class.is_some_and(|class| class == "IPF.Appointment" || class.starts_with("IPF.Appointment.")),
        name: element
            .text_at(&["DisplayName"])
            .and_then(|name| text::line(name, NAME_CHARS_MAX))
            .unwrap_or_default(),
        can_edit: element.truth_at(&["EffectiveRights", "CreateContents"]).unwrap_or(true),
    })
}
