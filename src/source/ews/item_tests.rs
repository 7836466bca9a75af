use super::*;
use crate::source::ews::xml;

fn element(text: &str) -> Element {
    xml::parse(text.as_bytes()).unwrap()
}

fn of(members: &str) -> Element {
    element(&format!(
        "<t:CalendarItem xmlns:t=\"x\"><t:ItemId Id=\"AAMk=\" ChangeKey=\"DwAA\"/>{members}</t:CalendarItem>"
    ))
}

const TIMES: &str = "<t:Start>2026-05-07T08:00:00Z</t:Start><t:End>2026-05-07T09:00:00Z</t:End>";
/// 2026-05-07T00:00:00Z
const DATE_MS: i64 = 1_778_112_000_000;

#[test]
fn a_meeting_is_read_as_exchange_writes_it() {
    let meeting = of(
        r#"<t:ParentFolderId Id="FOLDER" ChangeKey="AQ=="/><t:Subject>Plan &amp; budget</t:Subject>
        <t:Sensitivity>Private</t:Sensitivity><t:Body BodyType="Text" IsTruncated="false">Bring&#xD;
figures</t:Body><t:Categories><t:String>Red</t:String><t:String>Blue</t:String></t:Categories>
        <t:Importance>High</t:Importance><t:ReminderIsSet>true</t:ReminderIsSet>
        <t:ReminderMinutesBeforeStart>15</t:ReminderMinutesBeforeStart>
        <t:ExtendedProperty><t:ExtendedFieldURI DistinguishedPropertySetId="PublicStrings" PropertyName="calmirror-transaction" PropertyType="String"/><t:Value>abc</t:Value></t:ExtendedProperty>
        <t:WebClientReadFormQueryString>https://mail.example.com/owa/?ItemID=AAMk%3D</t:WebClientReadFormQueryString>
        <t:Preview>Bring figures</t:Preview><t:UID>040000008200E</t:UID>
        <t:Start>2026-05-07T08:00:00Z</t:Start><t:End>2026-05-07T09:00:00Z</t:End>
        <t:IsAllDayEvent>false</t:IsAllDayEvent><t:LegacyFreeBusyStatus>OOF</t:LegacyFreeBusyStatus><t:Location>Room 1</t:Location>
        <t:IsMeeting>true</t:IsMeeting><t:IsCancelled>false</t:IsCancelled><t:CalendarItemType>Single</t:CalendarItemType>
        <t:MyResponseType>Accept</t:MyResponseType>
        <t:Organizer><t:Mailbox><t:Name>Berta</t:Name><t:EmailAddress>berta@example.com</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType></t:Mailbox></t:Organizer>
        <t:RequiredAttendees><t:Attendee><t:Mailbox><t:Name>Anna</t:Name><t:EmailAddress>anna@example.com</t:EmailAddress></t:Mailbox><t:ResponseType>Tentative</t:ResponseType></t:Attendee></t:RequiredAttendees>
        <t:Resources><t:Attendee><t:Mailbox><t:Name>Room 1</t:Name><t:EmailAddress>/O=EXAMPLE/CN=ROOM1</t:EmailAddress><t:RoutingType>EX</t:RoutingType></t:Mailbox></t:Attendee></t:Resources>
        <t:StartTimeZone Id="W. Europe Standard Time" Name="(UTC+01:00) Amsterdam"/>
        <t:JoinOnlineMeetingUrl>https://meet.example.com/anna/ABC</t:JoinOnlineMeetingUrl>"#,
    );
    let read = item(&meeting).unwrap();
    assert_eq!(read.folder, Some(RemoteId::new("FOLDER")));
    assert_eq!(read.uid.as_deref(), Some("040000008200E"));
    let record = read.record;
    assert_eq!((record.kind, record.change_key.as_deref()), (EventKind::Single, Some("DwAA")));
    assert_eq!((record.start_ms, record.end_ms), (DATE_MS + 28_800_000, DATE_MS + 32_400_000));
    let details = record.details.unwrap();
    assert_eq!(details.subject.as_deref(), Some("Plan & budget"));
    assert_eq!(details.body.as_deref(), Some("Bring\nfigures"));
    assert_eq!(details.body_preview.as_deref(), Some("Bring figures"));
    assert_eq!(details.categories, ["Red", "Blue"]);
    assert_eq!((details.sensitivity, details.importance), (Sensitivity::Private, Importance::High));
    assert_eq!((details.show_as, details.response), (ShowAs::Oof, Response::Accepted));
    assert_eq!((details.reminder_minutes, details.is_organizer), (Some(15), false));
    assert_eq!(details.organizer.unwrap().address.as_deref(), Some("berta@example.com"));
    let attendees: Vec<_> = details.attendees.iter().map(|a| (a.kind, a.response)).collect();
    assert_eq!(
        attendees,
        [(AttendeeType::Required, Response::Tentative), (AttendeeType::Resource, Response::None)]
    );
    assert_eq!(details.attendees[1].person.address, None, "an X.500 name is no address");
    assert_eq!(details.original_time_zone.as_deref(), Some("W. Europe Standard Time"));
    assert_eq!(details.transaction_id.as_deref(), Some("abc"));
    assert!(details.web_link.is_some());
    assert!(details.online_meeting.is_some());
}

#[test]
fn an_appointment_of_ones_own_is_organized_by_oneself() {
    let details = item(&of(TIMES)).unwrap().record.details.unwrap();
    assert_eq!((details.response, details.is_organizer), (Response::Organizer, true));
    assert_eq!((details.show_as, details.reminder_minutes), (ShowAs::Unknown, None));
}

#[test]
fn an_all_day_event_is_its_dates_in_whichever_zone_it_was_made() {
    let dates = |start: &str, end: &str, zone: &str| {
        let text = format!(
            "<t:Start>{start}</t:Start><t:End>{end}</t:End><t:IsAllDayEvent>true</t:IsAllDayEvent>{zone}"
        );
        let read = item(&of(&text)).unwrap().record;
        (read.start_ms, read.end_ms)
    };
    let day = (DATE_MS, DATE_MS + DAY_MS);
    let named = |zone: &str| format!("<t:StartTimeZone Id=\"{zone}\"/>");
    assert_eq!(dates("2026-05-06T22:00:00Z", "2026-05-07T22:00:00Z", &named("W. Europe Standard Time")), day);
    assert_eq!(dates("2026-05-06T22:00:00Z", "2026-05-07T22:00:00Z", ""), day);
    assert_eq!(dates("2026-05-07T07:00:00Z", "2026-05-08T07:00:00Z", &named("Customized Time Zone")), day);
    assert_eq!(dates("2026-05-06T11:00:00Z", "2026-05-07T11:00:00Z", &named("Tonga Standard Time")), day);
    let id = "<t:StartTimeZoneId>Tonga Standard Time</t:StartTimeZoneId>";
    assert_eq!(dates("2026-05-06T11:00:00Z", "2026-05-07T11:00:00Z", id), day);
    assert_eq!(dates("2026-05-07T00:00:00Z", "2026-05-07T00:00:00Z", &named("UTC")), day, "at least one day");
}

#[test]
fn a_series_reaches_as_far_as_its_instances() {
    let series = |range: &str| {
        item(&of(&format!("{TIMES}<t:CalendarItemType>RecurringMaster</t:CalendarItemType><t:FirstOccurrence><t:Start>2026-05-07T08:00:00Z</t:Start><t:End>2026-05-07T09:00:00Z</t:End></t:FirstOccurrence>{range}"))).unwrap()
    };
    let on = |day: i64| Window { from_ms: DATE_MS + day * DAY_MS, to_ms: DATE_MS + (day + 1) * DAY_MS };
    let endless = series("");
    assert!(endless.touches(on(4_000)) && !endless.touches(on(-2)));
    let last = "<t:LastOccurrence><t:Start>2026-05-17T08:00:00Z</t:Start><t:End>2026-05-17T09:00:00Z</t:End></t:LastOccurrence>";
    let ended = series(last);
    assert!(ended.touches(on(10)) && !ended.touches(on(12)));
    let moved = series(&format!(
        "{last}<t:ModifiedOccurrences><t:Occurrence><t:Start>2026-06-07T08:00:00Z</t:Start><t:End>2026-06-07T09:00:00Z</t:End></t:Occurrence></t:ModifiedOccurrences>"
    ));
    assert!(moved.touches(on(31)));
}

#[test]
fn one_damaged_item_is_named_and_costs_nothing_else() {
    let why = |text: &str| item(&element(text)).err();
    assert_eq!(why("<CalendarItem/>"), Some(Skipped::Id));
    assert_eq!(why("<CalendarItem><ItemId Id=\"a b\"/></CalendarItem>"), Some(Skipped::Id));
    assert_eq!(
        why("<CalendarItem><ItemId Id=\"a\"/><Start>soon</Start></CalendarItem>"),
        Some(Skipped::Times)
    );
    let odd = item(&of(&format!(
        "{TIMES}<t:CalendarItemType>New</t:CalendarItemType><t:Sensitivity>x</t:Sensitivity><t:ReminderIsSet>maybe</t:ReminderIsSet><t:ReminderMinutesBeforeStart>soon</t:ReminderMinutesBeforeStart><t:RequiredAttendees><t:Attendee/></t:RequiredAttendees>"
    )))
    .unwrap()
    .record;
    assert_eq!(odd.kind, EventKind::Single);
    assert!(odd.details.unwrap().attendees.is_empty());
}
