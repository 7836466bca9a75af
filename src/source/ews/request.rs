//! What is asked: SOAP envelopes, element by element in the order of Microsoft's schema.

use crate::model::{RemoteId, Window};
use crate::source::ews::xml::Ink;
use crate::source::graph::time;

/// The property in which a create leaves its client-chosen id.
pub(super) const TRANSACTION: &str = "calmirror-transaction";

/// Rows of a page when an event is looked for.
pub(super) const SEARCH_ROWS: u32 = 100;

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";
const MESSAGES: &str = "http://schemas.microsoft.com/exchange/services/2006/messages";

/// The schema that is spoken; older servers refuse the newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Exchange 2010 SP2.
    Old,
    /// Exchange 2013 SP1 and everything since.
    New,
}

impl Version {
    const fn code(self) -> &'static str {
        match self {
            Version::Old => "Exchange2010_SP2",
            Version::New => "Exchange2013_SP1",
        }
    }
}

/// What an envelope says beside its request.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub version: Version,
    pub impersonated: Option<&'a str>,
}

/// Which item is meant.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    /// The item itself.
    Item(&'a RemoteId),
    /// The series that this occurrence belongs to.
    SeriesOf(&'a RemoteId),
}

/// How much is told of items.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Id and version.
    Id,
    /// Id, version, kind, times and UID: what a view can tell.
    Slot,
    /// Everything.
    Full,
}

/// Properties that are light enough for a view.
const SLOT: [&str; 5] =
    ["calendar:Start", "calendar:End", "calendar:IsAllDayEvent", "calendar:CalendarItemType", "calendar:UID"];
/// Properties that a view tells only since Exchange 2013.
const SLOT_NEW: [&str; 1] = ["calendar:StartTimeZoneId"];
const FULL: [&str; 35] = [
    "item:ParentFolderId",
    "item:Subject",
    "item:Body",
    "item:Sensitivity",
    "item:Importance",
    "item:Categories",
    "item:ReminderIsSet",
    "item:ReminderMinutesBeforeStart",
    "item:LastModifiedTime",
    "item:WebClientReadFormQueryString",
    "calendar:Start",
    "calendar:End",
    "calendar:OriginalStart",
    "calendar:IsAllDayEvent",
    "calendar:LegacyFreeBusyStatus",
    "calendar:Location",
    "calendar:IsMeeting",
    "calendar:IsCancelled",
    "calendar:IsOnlineMeeting",
    "calendar:CalendarItemType",
    "calendar:MyResponseType",
    "calendar:Organizer",
    "calendar:RequiredAttendees",
    "calendar:OptionalAttendees",
    "calendar:Resources",
    "calendar:Recurrence",
    "calendar:FirstOccurrence",
    "calendar:LastOccurrence",
    "calendar:ModifiedOccurrences",
    "calendar:DeletedOccurrences",
    "calendar:UID",
    "calendar:RecurrenceId",
    "calendar:StartTimeZone",
    "calendar:EndTimeZone",
    "calendar:AppointmentSequenceNumber",
];
const FULL_NEW: [&str; 2] = ["item:Preview", "calendar:JoinOnlineMeetingUrl"];

/// An envelope around the request that `fill` writes.
pub(super) fn envelope(head: Head<'_>, fill: impl FnOnce(&mut Ink)) -> Vec<u8> {
    let mut ink = Ink::new();
    let spaces = [("xmlns:soap", SOAP), ("xmlns:t", TYPES), ("xmlns:m", MESSAGES)];
    ink.within("soap:Envelope", &spaces, |ink| {
        ink.within("soap:Header", &[], |ink| {
            ink.empty("t:RequestServerVersion", &[("Version", head.version.code())]);
            if let Some(address) = head.impersonated {
                ink.within("t:ExchangeImpersonation", &[], |ink| {
                    ink.within("t:ConnectingSID", &[], |ink| ink.text("t:SmtpAddress", address));
                });
            }
        });
        ink.within("soap:Body", &[], fill);
    });
    ink.finish()
}

/// The folders that have a meaning of their own: the default calendar, and where deleted things go.
pub(super) fn distinguished(head: Head<'_>) -> Vec<u8> {
    envelope(head, |ink| {
        ink.within("m:GetFolder", &[], |ink| {
            folder_shape(ink);
            ink.within("m:FolderIds", &[], |ink| {
                ink.empty("t:DistinguishedFolderId", &[("Id", "calendar")]);
                ink.empty("t:DistinguishedFolderId", &[("Id", "deleteditems")]);
            });
        });
    })
}

/// One folder.
pub(super) fn folder(head: Head<'_>, id: &RemoteId) -> Vec<u8> {
    envelope(head, |ink| {
        ink.within("m:GetFolder", &[], |ink| {
            folder_shape(ink);
            ink.within("m:FolderIds", &[], |ink| ink.empty("t:FolderId", &[("Id", id.as_str())]));
        });
    })
}

/// All folders of the mailbox, from `offset`.
pub(super) fn folders(head: Head<'_>, offset: usize, count: usize) -> Vec<u8> {
    envelope(head, |ink| {
        ink.within("m:FindFolder", &[("Traversal", "Deep")], |ink| {
            folder_shape(ink);
            let (count, offset) = (count.to_string(), offset.to_string());
            let view = [("MaxEntriesReturned", &*count), ("Offset", &*offset), ("BasePoint", "Beginning")];
            ink.empty("m:IndexedPageFolderView", &view);
            ink.within("m:ParentFolderIds", &[], |ink| {
                ink.empty("t:DistinguishedFolderId", &[("Id", "msgfolderroot")]);
            });
        });
    })
}

fn folder_shape(ink: &mut Ink) {
    ink.within("m:FolderShape", &[], |ink| {
        ink.text("t:BaseShape", "IdOnly");
        ink.within("t:AdditionalProperties", &[], |ink| {
            for field in [
                "folder:DisplayName",
                "folder:ParentFolderId",
                "folder:FolderClass",
                "folder:EffectiveRights",
            ] {
                ink.empty("t:FieldURI", &[("FieldURI", field)]);
            }
        });
    });
}

/// The next changes of a folder, at most `count` (Exchange takes up to 512).
pub(super) fn sync(head: Head<'_>, folder: &RemoteId, state: Option<&str>, count: u32) -> Vec<u8> {
    envelope(head, |ink| {
        ink.within("m:SyncFolderItems", &[], |ink| {
            item_shape(ink, head.version, Shape::Id);
            ink.within("m:SyncFolderId", &[], |ink| ink.empty("t:FolderId", &[("Id", folder.as_str())]));
            if let Some(state) = state {
                ink.text("m:SyncState", state);
            }
            ink.text("m:MaxChangesReturned", &count.to_string());
        });
    })
}

/// What lies in `window`, series expanded by the server.
pub(super) fn view(head: Head<'_>, folder: &RemoteId, window: Window, count: u32) -> Vec<u8> {
    envelope(head, |ink| {
        ink.within("m:FindItem", &[("Traversal", "Shallow")], |ink| {
            item_shape(ink, head.version, Shape::Slot);
            let (count, from, to) =
                (count.to_string(), time::encode(window.from_ms), time::encode(window.to_ms));
            let view = [("MaxEntriesReturned", &*count), ("StartDate", &*from), ("EndDate", &*to)];
            ink.empty("m:CalendarView", &view);
            ink.within("m:ParentFolderIds", &[], |ink| ink.empty("t:FolderId", &[("Id", folder.as_str())]));
        });
    })
}

/// Items by id.
pub(super) fn items(head: Head<'_>, wanted: &[Which<'_>], shape: Shape) -> Vec<u8> {
    envelope(head, |ink| {
        ink.within("m:GetItem", &[], |ink| {
            item_shape(ink, head.version, shape);
            ink.within("m:ItemIds", &[], |ink| {
                for which in wanted {
                    match which {
                        Which::Item(id) => ink.empty("t:ItemId", &[("Id", id.as_str())]),
                        Which::SeriesOf(id) => {
                            ink.empty("t:RecurringMasterItemId", &[("OccurrenceId", id.as_str())]);
                        }
                    }
                }
            });
        });
    })
}

pub(super) fn item_shape(ink: &mut Ink, version: Version, shape: Shape) {
    ink.within("m:ItemShape", &[], |ink| {
        ink.text("t:BaseShape", "IdOnly");
        let (always, since): (&[&str], &[&str]) = match shape {
            Shape::Id => return,
            Shape::Slot => (&SLOT, &SLOT_NEW),
            Shape::Full => {
                ink.text("t:BodyType", "Text");
                (&FULL, &FULL_NEW)
            }
        };
        ink.within("t:AdditionalProperties", &[], |ink| {
            let since = if version == Version::New { since } else { &[] };
            for field in always.iter().chain(since) {
                ink.empty("t:FieldURI", &[("FieldURI", field)]);
            }
            if shape == Shape::Full {
                transaction_field(ink);
            }
        });
    });
}

/// The name of the property [`TRANSACTION`].
pub(super) fn transaction_field(ink: &mut Ink) {
    let name = [
        ("DistinguishedPropertySetId", "PublicStrings"),
        ("PropertyName", TRANSACTION),
        ("PropertyType", "String"),
    ];
    ink.empty("t:ExtendedFieldURI", &name);
}
