//! What is read: folders, changes, views, items.

use std::ops::Bound;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;

use super::super::ident::{Form, mix};
use super::super::mailbox::{Calendar, Entry, Event, RowKind};
use super::super::zone::{self, DAY_MS};
use super::render::{self, Wanted};
use super::xml::Xml;
use super::{Denied, Ews, child, children, text_of};

/// Changes of one answer.
const CHANGES_MAX: usize = 512;
/// Rows of one view.
const VIEW_ROWS_MAX: usize = 1_000;
/// Two years, and a day for leap years.
const VIEW_DAYS_MAX: i64 = 731;
/// Not calendars: the inbox, where deleted things go, a calendar in there.
const INBOX: &str = "AAMkInbox=";
const DELETED: &str = "AAMkDeleted=";
const DELETED_CALENDAR: &str = "AAMkDeletedCalendar=";
const ROOT: &str = "AAMkRoot=";

type Content = Result<Xml, Denied>;

/// Where a synchronization stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Items after this one are still to be told; changes count from `base`.
    Initial {
        after: Option<(bool, u64)>,
        base: u64,
    },
    Changes {
        since: u64,
    },
}

fn invalid_state() -> Denied {
    Denied::new(
        "ErrorInvalidSyncStateData",
        "The synchronization state data is corrupt or otherwise invalid.",
    )
}

fn number<T: std::str::FromStr>(node: Node<'_, '_>, name: &str) -> Option<T> {
    node.attribute(name)?.parse().ok()
}

fn yes_no(truth: bool) -> &'static str {
    if truth { "true" } else { "false" }
}

impl Ews<'_> {
    fn folder_id(&self, calendar: u64) -> String {
        self.mailbox.calendar_id(calendar, Form::Plain)
    }

    /// The calendar that an element with folder ids names.
    pub(super) fn folder(&self, holder: Option<Node<'_, '_>>) -> Result<u64, Denied> {
        let missing =
            || Denied::new("ErrorFolderNotFound", "The specified folder could not be found in the store.");
        let named = holder.and_then(|holder| holder.first_element_child()).ok_or_else(missing)?;
        let id = named.attribute("Id").unwrap_or_default();
        match named.tag_name().name() {
            "DistinguishedFolderId" if id == "calendar" => Ok(self.mailbox.default_calendar),
            "FolderId" => self.mailbox.find_calendar(id).map_err(|_| missing()),
            _ => Err(missing()),
        }
    }

    fn render_folder(&self, xml: &mut Xml, calendar: &Calendar) {
        xml.within("t:CalendarFolder", &[], |xml| {
            let key = self.mailbox.ids.change_key(calendar.key ^ (1 << 42));
            xml.empty("t:FolderId", &[("Id", &self.folder_id(calendar.serial)), ("ChangeKey", &key)]);
            xml.empty("t:ParentFolderId", &[("Id", ROOT)]);
            xml.text("t:FolderClass", "IPF.Appointment");
            xml.text("t:DisplayName", &calendar.name);
            xml.within("t:EffectiveRights", &[], |xml| xml.truth("t:CreateContents", calendar.can_edit));
        });
    }

    pub(super) fn get_folders(&mut self, operation: Node<'_, '_>) -> Vec<Content> {
        let wanted = child(operation, "FolderIds").into_iter().flat_map(children);
        let one = |named: Node<'_, '_>| {
            let mut xml = Xml::default();
            let id = named.attribute("Id").unwrap_or_default();
            if id == "deleteditems" {
                xml.within("m:Folders", &[], |xml| {
                    xml.within("t:Folder", &[], |xml| xml.empty("t:FolderId", &[("Id", DELETED)]));
                });
                return Ok(xml);
            }
            let missing =
                || Denied::new("ErrorItemNotFound", "The specified object was not found in the store.");
            let serial = if id == "calendar" {
                self.mailbox.default_calendar
            } else {
                self.mailbox.find_calendar(id).map_err(|_| missing())?
            };
            let calendar = self.mailbox.calendars.get(&serial).ok_or_else(missing)?;
            xml.within("m:Folders", &[], |xml| self.render_folder(xml, calendar));
            Ok(xml)
        };
        wanted.map(one).collect()
    }

    pub(super) fn find_folders(&mut self, operation: Node<'_, '_>) -> Content {
        let view = child(operation, "IndexedPageFolderView");
        let offset: usize = view.and_then(|view| number(view, "Offset")).unwrap_or(0);
        let count: usize = view.and_then(|view| number(view, "MaxEntriesReturned")).unwrap_or(1_000);
        let mut all: Vec<Xml> = Vec::new();
        for (id, parent, class, name) in [
            (INBOX, ROOT, "IPF.Note", "Inbox"),
            (DELETED, ROOT, "IPF.Note", "Deleted Items"),
            (DELETED_CALENDAR, DELETED, "IPF.Appointment", "Once a calendar"),
        ] {
            let mut xml = Xml::default();
            let element = if class == "IPF.Note" { "t:Folder" } else { "t:CalendarFolder" };
            xml.within(element, &[], |xml| {
                xml.empty("t:FolderId", &[("Id", id), ("ChangeKey", "AQAAAA==")]);
                xml.empty("t:ParentFolderId", &[("Id", parent)]);
                xml.text("t:FolderClass", class);
                xml.text("t:DisplayName", name);
            });
            all.push(xml);
        }
        // A calendar shared by somebody else lies in that person's mailbox.
        for calendar in self.mailbox.calendars.values().filter(|calendar| !calendar.is_shared()) {
            let mut xml = Xml::default();
            self.render_folder(&mut xml, calendar);
            all.push(xml);
        }
        let total = all.len();
        let end = offset.saturating_add(count);
        let mut xml = Xml::default();
        let (next, total_text) = (end.min(total).to_string(), total.to_string());
        let root = [
            ("IndexedPagingOffset", &*next),
            ("TotalItemsInView", &*total_text),
            ("IncludesLastItemInRange", yes_no(end >= total)),
        ];
        xml.within("m:RootFolder", &root, |xml| {
            xml.within("t:Folders", &[], |xml| {
                all.into_iter().skip(offset).take(count).for_each(|folder| xml.raw(&folder.finish()));
            });
        });
        Ok(xml)
    }

    // ---- changes -------------------------------------------------------------------------------------------

    fn encode_state(&self, folder: u64, state: State) -> String {
        let text = match state {
            State::Initial { after: None, base } => format!("{folder}:i:0:0:{base}"),
            State::Initial { after: Some((is_series, serial)), base } => {
                format!("{folder}:i:{}:{serial}:{base}", if is_series { 2 } else { 1 })
            }
            State::Changes { since } => format!("{folder}:c:0:0:{since}"),
        };
        let sum = text.bytes().fold(self.scramble ^ 0xE35, |sum, byte| mix(sum, u64::from(byte)));
        STANDARD.encode(format!("{text}:{sum:016x}:H4sIAAAAAAAEAGNgYGcAAotqE0tDA2NTIwsDAwMLAwMA"))
    }

    fn decode_state(&self, folder: u64, text: &str) -> Option<State> {
        let decoded = String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()?;
        let mut parts = decoded.split(':');
        let mut next = || parts.next();
        let of: u64 = next()?.parse().ok()?;
        let kind = next()?;
        let after: u64 = next()?.parse().ok()?;
        let serial: u64 = next()?.parse().ok()?;
        let at: u64 = next()?.parse().ok()?;
        let state = match (kind, after) {
            ("i", 0) => State::Initial { after: None, base: at },
            ("i", after) => State::Initial { after: Some((after == 2, serial)), base: at },
            ("c", _) => State::Changes { since: at },
            _ => return None,
        };
        (of == folder && self.encode_state(folder, state) == text.trim()).then_some(state)
    }

    pub(super) fn sync_items(&mut self, operation: Node<'_, '_>) -> Content {
        let folder = self.folder(child(operation, "SyncFolderId"))?;
        let count = child(operation, "MaxChangesReturned").and_then(|node| text_of(node).trim().parse().ok());
        let count: usize = count.filter(|count| (1..=CHANGES_MAX).contains(count)).ok_or_else(|| {
            Denied::new("ErrorInvalidSyncStateData", "MaxChangesReturned has to be between 1 and 512.")
        })?;
        let state = match child(operation, "SyncState").map(text_of).filter(|state| !state.trim().is_empty())
        {
            None => State::Initial { after: None, base: self.mailbox.seq() },
            Some(text) => self.decode_state(folder, &text).ok_or_else(invalid_state)?,
        };
        let wanted = Wanted::of(operation);
        let mut changes = Xml::default();
        let (state, is_last) = match state {
            State::Initial { after, base } => self.initial(folder, after, base, count, &wanted, &mut changes),
            State::Changes { since } => self.since(folder, since, count, &wanted, &mut changes),
        };
        let mut xml = Xml::default();
        xml.text("m:SyncState", &self.encode_state(folder, state));
        xml.truth("m:IncludesLastItemInRange", is_last);
        xml.within("m:Changes", &[], |xml| xml.raw(&changes.finish()));
        Ok(xml)
    }

    fn initial(
        &self,
        folder: u64,
        mut after: Option<(bool, u64)>,
        base: u64,
        count: usize,
        wanted: &Wanted,
        xml: &mut Xml,
    ) -> (State, bool) {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let items = self.mailbox.calendars.get(&folder).map(|calendar| &calendar.items);
        let mut told = 0;
        for item in items.into_iter().flat_map(|items| items.range((start, Bound::Unbounded))) {
            if told >= count {
                return (State::Initial { after, base }, false);
            }
            if let Some(event) = self.mailbox.events.get(&item.1) {
                let row = event.own_row();
                xml.within("t:Create", &[], |xml| render::item(xml, self.mailbox, event, row, wanted));
                told += 1;
            }
            after = Some(*item);
        }
        (State::Changes { since: base }, true)
    }

    fn since(&self, folder: u64, since: u64, count: usize, wanted: &Wanted, xml: &mut Xml) -> (State, bool) {
        let mut at = since;
        let mut told = 0;
        for (seq, entry) in self.mailbox.log.range((Bound::Excluded(since), Bound::Unbounded)) {
            if told >= count {
                return (State::Changes { since: at }, false);
            }
            at = *seq;
            match *entry {
                Entry::Item(serial) => {
                    let Some(event) = self.mailbox.events.get(&serial).filter(|e| e.calendar == folder)
                    else {
                        continue;
                    };
                    let name = if event.born_seq > since { "t:Create" } else { "t:Update" };
                    xml.within(name, &[], |xml| {
                        render::item(xml, self.mailbox, event, event.own_row(), wanted)
                    });
                    told += 1;
                }
                Entry::Gone { calendar, serial, moves } if calendar == folder => {
                    let is_back = |e: &Event| e.calendar == folder && e.moves == moves;
                    if !self.mailbox.events.get(&serial).is_some_and(is_back) {
                        let target = super::super::ident::Target::Event(serial);
                        let id = self.mailbox.ids.encode(target, Form::Plain, moves);
                        xml.within("t:Delete", &[], |xml| xml.empty("t:ItemId", &[("Id", &id)]));
                        told += 1;
                    }
                }
                Entry::Gone { .. } | Entry::GoneSlot { .. } => {}
            }
        }
        (State::Changes { since: at.max(self.mailbox.seq()) }, true)
    }

    // ---- views and items -----------------------------------------------------------------------------------

    pub(super) fn find_items(&mut self, operation: Node<'_, '_>) -> Content {
        let folder = self.folder(child(operation, "ParentFolderIds"))?;
        let wanted = Wanted::of(operation).light()?;
        let Some(view) = child(operation, "CalendarView") else {
            return self.find_created(operation, folder, &wanted);
        };
        let bound = |name: &str| {
            let invalid = || Denied::new("ErrorCalendarInvalidTimeRange", "The time range is invalid.");
            view.attribute(name).and_then(zone::parse_instant).ok_or_else(invalid)
        };
        let (from_ms, to_ms) = (bound("StartDate")?, bound("EndDate")?);
        if to_ms < from_ms {
            return Err(Denied::new(
                "ErrorCalendarEndDateIsEarlierThanStartDate",
                "EndDate is earlier than StartDate",
            ));
        }
        if to_ms - from_ms > VIEW_DAYS_MAX * DAY_MS {
            return Err(Denied::new("ErrorCalendarViewRangeTooBig", "The range exceeds two years."));
        }
        let most = number(view, "MaxEntriesReturned").unwrap_or(VIEW_ROWS_MAX).min(VIEW_ROWS_MAX);
        let mut rows: Vec<(i64, u64, RowKind)> = Vec::new();
        let items = self.mailbox.calendars.get(&folder).into_iter().flat_map(|calendar| &calendar.items);
        for (_, serial) in items {
            let Some(event) = self.mailbox.events.get(serial) else { continue };
            // All-day events are found by the instants they have in their own zone.
            let found = event.instances(from_ms - DAY_MS, to_ms + DAY_MS).into_iter().filter_map(|row| {
                let (start_ms, end_ms) = render::instants(&event.fields, event.times(row));
                let is_in = super::super::mailbox::overlaps(start_ms, end_ms, from_ms, to_ms);
                is_in.then_some((start_ms, *serial, row))
            });
            rows.extend(found);
        }
        rows.sort_unstable();
        let total = rows.len();
        let mut xml = Xml::default();
        let total_text = total.min(most).to_string();
        let root = [("TotalItemsInView", &*total_text), ("IncludesLastItemInRange", yes_no(total <= most))];
        xml.within("m:RootFolder", &root, |xml| {
            xml.within("t:Items", &[], |xml| {
                for (_, serial, row) in rows.into_iter().take(most) {
                    if let Some(event) = self.mailbox.events.get(&serial) {
                        render::item(xml, self.mailbox, event, row, &wanted);
                    }
                }
            });
        });
        Ok(xml)
    }

    /// A restriction on the property that creates leave their id in, which is the only one understood.
    fn find_created(&self, operation: Node<'_, '_>, folder: u64, wanted: &Wanted) -> Content {
        let value = operation.descendants().find(|node| node.tag_name().name() == "Constant");
        let value = value.and_then(|node| node.attribute("Value")).ok_or_else(|| {
            Denied::new("ErrorInvalidRestriction", "The emulator understands one restriction only.")
        })?;
        let found = self.mailbox.events.values().filter(|event| {
            event.calendar == folder && event.fields.transaction_id.as_deref() == Some(value)
        });
        let mut xml = Xml::default();
        let root = [("IncludesLastItemInRange", "true")];
        xml.within("m:RootFolder", &root, |xml| {
            xml.within("t:Items", &[], |xml| {
                found.for_each(|event| render::item(xml, self.mailbox, event, event.own_row(), wanted));
            });
        });
        Ok(xml)
    }

    /// The event and row behind an element that names an item.
    pub(super) fn named(&self, node: Node<'_, '_>) -> Result<(u64, RowKind), Denied> {
        let id = |name: &str| node.attribute(name).unwrap_or_default();
        let find = |id: &str| self.mailbox.find(id).map_err(Denied::from);
        match node.tag_name().name() {
            "ItemId" => find(id("Id")),
            "RecurringMasterItemId" => {
                let (serial, row) = find(id("OccurrenceId"))?;
                match row {
                    RowKind::Occurrence(_) | RowKind::Exception(_) => Ok((serial, RowKind::Master)),
                    RowKind::Single | RowKind::Master => Err(Denied::new(
                        "ErrorCalendarIsNotOccurrence",
                        "The item is not an occurrence of a recurring item.",
                    )),
                }
            }
            _ => Err(Denied::new("ErrorInvalidIdMalformed", "Id is malformed.")),
        }
    }

    pub(super) fn get_items(&mut self, operation: Node<'_, '_>) -> Vec<Content> {
        let wanted = Wanted::of(operation);
        let ids = child(operation, "ItemIds").into_iter().flat_map(children);
        let one = |node: Node<'_, '_>| {
            let (serial, row) = self.named(node)?;
            let missing =
                || Denied::new("ErrorItemNotFound", "The specified object was not found in the store.");
            let event = self.mailbox.events.get(&serial).ok_or_else(missing)?;
            let mut xml = Xml::default();
            xml.within("m:Items", &[], |xml| render::item(xml, self.mailbox, event, row, &wanted));
            Ok(xml)
        };
        ids.map(one).collect()
    }
}
