//! What leaves the server as XML: only what was asked for.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use roxmltree::Node;

use super::super::fields::{Attendee, Fields, Person};
use super::super::ident::{Form, mix};
use super::super::mailbox::{Event, Mailbox, RowKind, Series};
use super::super::recurrence::{Pattern, Range, Recurrence, Weekdays};
use super::super::wire::percent_encoded;
use super::super::zone;
use super::xml::Xml;
use super::{Denied, child};

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const INDEXES: [&str; 5] = ["First", "Second", "Third", "Fourth", "Last"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// What a view cannot tell.
const HEAVY: [&str; 12] = [
    "item:Body",
    "calendar:Recurrence",
    "calendar:FirstOccurrence",
    "calendar:LastOccurrence",
    "calendar:ModifiedOccurrences",
    "calendar:DeletedOccurrences",
    "calendar:RequiredAttendees",
    "calendar:OptionalAttendees",
    "calendar:Resources",
    "calendar:StartTimeZone",
    "calendar:EndTimeZone",
    "calendar:MeetingTimeZone",
];

/// The properties that a request asks for.
pub(super) struct Wanted {
    fields: BTreeSet<String>,
    has_transaction: bool,
    is_text: bool,
}

impl Wanted {
    pub fn of(operation: Node<'_, '_>) -> Wanted {
        let shape = child(operation, "ItemShape");
        let more = shape.and_then(|shape| child(shape, "AdditionalProperties"));
        let fields = more.into_iter().flat_map(|more| more.children());
        let mut wanted = Wanted { fields: BTreeSet::new(), has_transaction: false, is_text: false };
        for field in fields.filter(Node::is_element) {
            match field.tag_name().name() {
                "ExtendedFieldURI" => wanted.has_transaction = true,
                _ => wanted.fields.extend(field.attribute("FieldURI").map(str::to_owned)),
            }
        }
        let body = shape.and_then(|shape| child(shape, "BodyType"));
        wanted.is_text = body.is_some_and(|body| body.text() == Some("Text"));
        wanted
    }

    /// The same for a view.
    pub fn light(self) -> Result<Wanted, Denied> {
        match self.fields.iter().any(|field| HEAVY.contains(&field.as_str())) {
            true => Err(Denied::new(
                "ErrorInvalidPropertyRequest",
                "Property is not valid for this operation: use GetItem.",
            )),
            false => Ok(self),
        }
    }

    fn has(&self, field: &str) -> bool {
        self.fields.contains(field)
    }
}

/// The instants of a row: an all-day event begins and ends at midnight in its own zone.
pub(super) fn instants(fields: &Fields, (start_ms, end_ms): (i64, i64)) -> (i64, i64) {
    if !fields.is_all_day {
        return (start_ms, end_ms);
    }
    let at = |ms| zone::instant(zone::wall(ms, &TimeZone::UTC), &fields.zone);
    (at(start_ms), at(end_ms))
}

/// One item with what is wanted of it; its id and version always.
pub(super) fn item(xml: &mut Xml, mailbox: &Mailbox, event: &Event, row: RowKind, wanted: &Wanted) {
    xml.within("t:CalendarItem", &[], |xml| {
        let key = mailbox.ids.change_key(event.row_key(row));
        xml.empty("t:ItemId", &[("Id", &mailbox.id(event, row, Form::Plain)), ("ChangeKey", &key)]);
        if !wanted.fields.is_empty() || wanted.has_transaction {
            let is_hidden = mailbox.calendars.get(&event.calendar).is_some_and(|c| !c.can_view_private);
            let mut fields = event.row(row);
            if is_hidden && fields.sensitivity == "private" {
                fields.subject = None;
                fields.location.clear();
                fields.attendees.clear();
            }
            properties(xml, mailbox, event, row, &fields, wanted);
        }
    });
}

fn properties(
    xml: &mut Xml,
    mailbox: &Mailbox,
    event: &Event,
    row: RowKind,
    fields: &Fields,
    wanted: &Wanted,
) {
    let (start_ms, end_ms) = instants(fields, (fields.start_ms, fields.end_ms));
    let time = zone::whole_seconds;
    if wanted.has("item:ParentFolderId") {
        xml.empty("t:ParentFolderId", &[("Id", &mailbox.calendar_id(event.calendar, Form::Plain))]);
    }
    if let Some(subject) = fields.subject.as_ref().filter(|_| wanted.has("item:Subject")) {
        xml.text("t:Subject", subject);
    }
    if wanted.has("item:Sensitivity") {
        xml.text("t:Sensitivity", &upper(fields.sensitivity));
    }
    if wanted.has("item:Body") {
        let (is_html, content) = fields.content(wanted.is_text);
        let kind = if is_html { "HTML" } else { "Text" };
        xml.within("t:Body", &[("BodyType", kind), ("IsTruncated", "false")], |xml| {
            let mut escaped = Xml::default();
            escaped.text("x", &content);
            let escaped = escaped.finish();
            xml.raw(escaped.trim_start_matches("<x>").trim_end_matches("</x>"));
        });
    }
    if wanted.has("item:Categories") && !fields.categories.is_empty() {
        xml.within("t:Categories", &[], |xml| fields.categories.iter().for_each(|c| xml.text("t:String", c)));
    }
    if wanted.has("item:Importance") {
        xml.text("t:Importance", &upper(fields.importance));
    }
    if wanted.has("item:ReminderIsSet") {
        xml.truth("t:ReminderIsSet", fields.is_reminder_on);
    }
    if wanted.has("item:ReminderMinutesBeforeStart") {
        xml.text("t:ReminderMinutesBeforeStart", &fields.reminder_minutes.to_string());
    }
    if wanted.has_transaction
        && let Some(transaction) = &fields.transaction_id
    {
        xml.within("t:ExtendedProperty", &[], |xml| {
            let field = [
                ("DistinguishedPropertySetId", "PublicStrings"),
                ("PropertyName", "calmirror-transaction"),
                ("PropertyType", "String"),
            ];
            xml.empty("t:ExtendedFieldURI", &field);
            xml.text("t:Value", transaction);
        });
    }
    if wanted.has("item:LastModifiedTime") {
        xml.text("t:LastModifiedTime", &time(event.modified_ms));
    }
    if wanted.has("item:WebClientReadFormQueryString") {
        let id = percent_encoded(&mailbox.id(event, row, Form::Plain));
        let link =
            format!("https://mail.emulator.example/owa/?ItemID={id}&exvsurl=1&viewmodel=ICalendarItem");
        xml.text("t:WebClientReadFormQueryString", &link);
    }
    if wanted.has("item:Preview") {
        xml.text("t:Preview", &fields.preview());
    }
    if wanted.has("calendar:UID") {
        xml.text("t:UID", &mailbox.ids.uid(event.serial));
    }
    let slot = match row {
        RowKind::Occurrence(slot) | RowKind::Exception(slot) => Some(event.slot_times(slot)),
        RowKind::Single | RowKind::Master => None,
    };
    let original = slot.map(|times| time(instants(&event.fields, times).0));
    if let Some(original) = original.as_ref().filter(|_| wanted.has("calendar:RecurrenceId")) {
        xml.text("t:RecurrenceId", original);
    }
    if wanted.has("calendar:Start") {
        xml.text("t:Start", &time(start_ms));
    }
    if wanted.has("calendar:End") {
        xml.text("t:End", &time(end_ms));
    }
    if let Some(original) = original.as_ref().filter(|_| wanted.has("calendar:OriginalStart")) {
        xml.text("t:OriginalStart", original);
    }
    if wanted.has("calendar:IsAllDayEvent") {
        xml.truth("t:IsAllDayEvent", fields.is_all_day);
    }
    if wanted.has("calendar:LegacyFreeBusyStatus") {
        let code = match fields.show_as {
            "free" => "Free",
            "tentative" => "Tentative",
            "busy" => "Busy",
            "oof" => "OOF",
            "workingElsewhere" => "WorkingElsewhere",
            _ => "NoData",
        };
        xml.text("t:LegacyFreeBusyStatus", code);
    }
    if wanted.has("calendar:Location") && !fields.location.is_empty() {
        xml.text("t:Location", &fields.location);
    }
    let is_meeting = !fields.attendees.is_empty() || fields.organizer.is_some();
    if wanted.has("calendar:IsMeeting") {
        xml.truth("t:IsMeeting", is_meeting);
    }
    if wanted.has("calendar:IsCancelled") {
        xml.truth("t:IsCancelled", fields.is_cancelled);
    }
    if wanted.has("calendar:CalendarItemType") {
        let kind = match row {
            RowKind::Single => "Single",
            RowKind::Master => "RecurringMaster",
            RowKind::Occurrence(_) => "Occurrence",
            RowKind::Exception(_) => "Exception",
        };
        xml.text("t:CalendarItemType", kind);
    }
    if wanted.has("calendar:MyResponseType") {
        xml.text("t:MyResponseType", if is_meeting { response(fields.response) } else { "Unknown" });
    }
    if wanted.has("calendar:Organizer") {
        let owner = Person { name: mailbox.user.name.clone(), address: mailbox.user.address.clone() };
        xml.within("t:Organizer", &[], |xml| person(xml, fields.organizer.as_ref().unwrap_or(&owner)));
    }
    for (field, name, kind) in [
        ("calendar:RequiredAttendees", "t:RequiredAttendees", "required"),
        ("calendar:OptionalAttendees", "t:OptionalAttendees", "optional"),
        ("calendar:Resources", "t:Resources", "resource"),
    ] {
        let some: Vec<&Attendee> = fields.attendees.iter().filter(|attendee| attendee.kind == kind).collect();
        if wanted.has(field) && !some.is_empty() {
            xml.within(name, &[], |xml| {
                for attendee in some {
                    xml.within("t:Attendee", &[], |xml| {
                        person(xml, &attendee.person);
                        xml.text("t:ResponseType", response(attendee.response));
                    });
                }
            });
        }
    }
    if let (Some(series), RowKind::Master) = (&event.series, row) {
        of_series(xml, mailbox, event, series, wanted);
    }
    let zone_name = zone::windows_name(&fields.zone_label);
    if wanted.has("calendar:StartTimeZone") && !zone_name.is_empty() {
        xml.empty("t:StartTimeZone", &[("Id", &zone_name), ("Name", &zone_name)]);
        xml.empty("t:EndTimeZone", &[("Id", &zone_name), ("Name", &zone_name)]);
    }
    if wanted.has("calendar:StartTimeZoneId") && !zone_name.is_empty() {
        xml.text("t:StartTimeZoneId", &zone_name);
    }
    if wanted.has("calendar:IsOnlineMeeting") {
        xml.truth("t:IsOnlineMeeting", fields.is_online);
    }
    if let Some(url) = fields.join_url.as_ref().filter(|_| wanted.has("calendar:JoinOnlineMeetingUrl")) {
        xml.text("t:JoinOnlineMeetingUrl", url);
    }
    if wanted.has("calendar:AppointmentSequenceNumber") {
        xml.text("t:AppointmentSequenceNumber", &(mix(event.key, 3) % 4).to_string());
    }
}

fn of_series(xml: &mut Xml, mailbox: &Mailbox, event: &Event, series: &Series, wanted: &Wanted) {
    let time = zone::whole_seconds;
    let at = |slot: i32| instants(&event.fields, event.slot_times(slot));
    let occurrence = |xml: &mut Xml, name: &str, row: RowKind, times: (i64, i64), original: i64| {
        xml.within(name, &[], |xml| {
            xml.empty("t:ItemId", &[("Id", &mailbox.id(event, row, Form::Plain))]);
            xml.text("t:Start", &time(times.0));
            xml.text("t:End", &time(times.1));
            xml.text("t:OriginalStart", &time(original));
        });
    };
    if wanted.has("calendar:Recurrence") {
        xml.within("t:Recurrence", &[], |xml| recurrence(xml, &series.recurrence));
    }
    let first = series.recurrence.first().filter(|_| wanted.has("calendar:FirstOccurrence"));
    if let Some(first) = first {
        occurrence(xml, "t:FirstOccurrence", RowKind::Occurrence(first), at(first), at(first).0);
    }
    if wanted.has("calendar:LastOccurrence") && series.recurrence.range != Range::NoEnd {
        let last = series.recurrence.slots(series.recurrence.start_day, i32::MAX).last().copied();
        if let Some(last) = last {
            occurrence(xml, "t:LastOccurrence", RowKind::Occurrence(last), at(last), at(last).0);
        }
    }
    if wanted.has("calendar:ModifiedOccurrences") && !series.exceptions.is_empty() {
        xml.within("t:ModifiedOccurrences", &[], |xml| {
            for slot in series.exceptions.keys() {
                let row = RowKind::Exception(*slot);
                let times = instants(&event.fields, event.times(row));
                occurrence(xml, "t:Occurrence", row, times, at(*slot).0);
            }
        });
    }
    if wanted.has("calendar:DeletedOccurrences") && !series.cancelled.is_empty() {
        xml.within("t:DeletedOccurrences", &[], |xml| {
            for slot in &series.cancelled {
                xml.within("t:DeletedOccurrence", &[], |xml| xml.text("t:Start", &time(at(*slot).0)));
            }
        });
    }
}

fn recurrence(xml: &mut Xml, recurrence: &Recurrence) {
    let days = |days: Weekdays| {
        let names = DAYS.iter().enumerate().filter(|(n, _)| days.0 & (1 << n) != 0).map(|(_, name)| *name);
        names.collect::<Vec<_>>().join(" ")
    };
    let index = |index: usize| INDEXES.get(index).copied().unwrap_or("First");
    let month = |month: i32| {
        let place = usize::try_from(month - 1).unwrap_or(0);
        MONTHS.get(place).copied().unwrap_or("January")
    };
    let interval = recurrence.interval.to_string();
    match recurrence.pattern {
        Pattern::Daily => xml.within("t:DailyRecurrence", &[], |xml| xml.text("t:Interval", &interval)),
        Pattern::Weekly { days: on, first } => xml.within("t:WeeklyRecurrence", &[], |xml| {
            xml.text("t:Interval", &interval);
            xml.text("t:DaysOfWeek", &days(on));
            xml.text("t:FirstDayOfWeek", DAYS.get(usize::from(first)).copied().unwrap_or("Sunday"));
        }),
        Pattern::AbsoluteMonthly { day } => xml.within("t:AbsoluteMonthlyRecurrence", &[], |xml| {
            xml.text("t:Interval", &interval);
            xml.text("t:DayOfMonth", &day.to_string());
        }),
        Pattern::RelativeMonthly { days: on, index: nth } => {
            xml.within("t:RelativeMonthlyRecurrence", &[], |xml| {
                xml.text("t:Interval", &interval);
                xml.text("t:DaysOfWeek", &days(on));
                xml.text("t:DayOfWeekIndex", index(nth));
            });
        }
        Pattern::AbsoluteYearly { month: of, day } => xml.within("t:AbsoluteYearlyRecurrence", &[], |xml| {
            xml.text("t:DayOfMonth", &day.to_string());
            xml.text("t:Month", month(of));
        }),
        Pattern::RelativeYearly { month: of, days: on, index: nth } => {
            xml.within("t:RelativeYearlyRecurrence", &[], |xml| {
                xml.text("t:DaysOfWeek", &days(on));
                xml.text("t:DayOfWeekIndex", index(nth));
                xml.text("t:Month", month(of));
            });
        }
    }
    let start = zone::date_of(recurrence.start_day).to_string();
    match recurrence.range {
        Range::NoEnd => xml.within("t:NoEndRecurrence", &[], |xml| xml.text("t:StartDate", &start)),
        Range::EndDate(day) => xml.within("t:EndDateRecurrence", &[], |xml| {
            xml.text("t:StartDate", &start);
            xml.text("t:EndDate", &zone::date_of(day).to_string());
        }),
        Range::Numbered(count) => xml.within("t:NumberedRecurrence", &[], |xml| {
            xml.text("t:StartDate", &start);
            xml.text("t:NumberOfOccurrences", &count.to_string());
        }),
    }
}

fn person(xml: &mut Xml, person: &Person) {
    xml.within("t:Mailbox", &[], |xml| {
        xml.text("t:Name", &person.name);
        xml.text("t:EmailAddress", &person.address);
        xml.text("t:RoutingType", "SMTP");
    });
}

fn response(code: &str) -> &'static str {
    match code {
        "organizer" => "Organizer",
        "tentativelyAccepted" => "Tentative",
        "accepted" => "Accept",
        "declined" => "Decline",
        "notResponded" => "NoResponseReceived",
        _ => "Unknown",
    }
}

fn upper(code: &str) -> String {
    let mut letters = code.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}
