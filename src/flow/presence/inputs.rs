//! From the rows of the mirror to what presence is computed from.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::mirror::{ChannelRow, MirrorError, OwnedCalendar, PresenceRow, Reader, Slot};
use crate::model::{
    AutomaticReplies, DAY_MS, EventKind, EventView, Key, MailboxHours, Response, SourceKind, Window,
};
use crate::presence::{
    AutoReply, Calendar, Channel, ChannelState, Content, Ending, Event, EventType, Identity, Lines, Policy,
    PresenceSettings, Role, Scene, TimeOfDay, Weekday, WorkingHours,
};
use crate::zones::Zone;

/// How far beyond the range asked for events are read: as far as stretches are followed, and a day for paddings.
const AROUND_MS: i64 = 41 * DAY_MS;

/// As the mailbox counts them, from 1.
const WEEK: [Weekday; 7] =
    [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];

/// Everything read for one evaluation.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The events around the range, pending edits included.
    pub events: Vec<Event>,
    /// The calendars of the mirror.
    pub calendars: Vec<Calendar>,
    /// The mailbox's automatic replies, while they are on.
    pub auto_reply: Option<AutoReply>,
    /// The mailbox's working hours, which count where the settings name none.
    pub hours: Option<WorkingHours>,
    /// What is remembered.
    pub row: PresenceRow,
    /// The channels that were ever used.
    pub channels: Vec<ChannelRow>,
}

/// Compiles an account's settings; `zone` is the account's, which counts where they name none.
pub fn policy(settings: &PresenceSettings, zone: &Zone) -> Policy {
    Policy::compile(settings, zone, &Lines::of(settings))
}

impl Inputs {
    /// Reads what an answer about `range` depends on. `user` is the mailbox's address: whose calendars take part.
    ///
    /// # Errors
    /// As every reading.
    pub fn read(reader: &Reader, user: Option<&str>, range: Window) -> Result<Inputs, MirrorError> {
        let row = reader.presence()?;
        let account = reader.account()?;
        let user = user.or(account.user.as_deref());
        let calendars = reader.owned_calendars()?;
        let set_at_ms = row.chosen.as_ref().and_then(|chosen| match &chosen.ending {
            Ending::Claims { .. } => Some(chosen.set_at_ms),
            Ending::NextClaim { .. } | Ending::At { .. } | Ending::UntilChanged => None,
        });
        let from_ms = range.from_ms.saturating_sub(AROUND_MS);
        let from_ms = set_at_ms.map_or(from_ms, |set_at_ms| from_ms.min(set_at_ms.saturating_sub(DAY_MS)));
        let window = Window { from_ms, to_ms: range.to_ms.saturating_add(AROUND_MS) };
        let views = reader.overlapping(window, &[])?;
        let exceptions: Vec<Key> =
            views.iter().filter(|view| view.kind == EventKind::Exception).map(|view| view.key).collect();
        let slots = reader.slots(&exceptions)?;
        let slots: BTreeMap<Key, Slot> = slots.into_iter().map(|slot| (slot.key, slot)).collect();
        let (auto_reply, hours) = match reader.mailbox_settings()? {
            Some((Some(settings), read_ms)) => (
                auto_reply(settings.automatic_replies, read_ms),
                settings.working_hours.as_ref().and_then(working_hours),
            ),
            Some((None, _)) | None => (None, None),
        };
        Ok(Inputs {
            events: views.into_iter().map(|view| event(view, &slots, user)).collect(),
            calendars: calendars.into_iter().map(|calendar| takes_part(calendar, user)).collect(),
            auto_reply,
            hours,
            row,
            channels: reader.presence_channels()?,
        })
    }

    /// An account whose mirror does not exist yet: nothing is known.
    pub fn none() -> Inputs {
        Inputs {
            events: Vec::new(),
            calendars: Vec::new(),
            auto_reply: None,
            hours: None,
            row: PresenceRow::default(),
            channels: Vec::new(),
        }
    }

    /// The policy with what the mailbox adds to it.
    pub fn completed<'p>(&self, policy: &'p Policy) -> Cow<'p, Policy> {
        match &self.hours {
            Some(hours) if !policy.names_hours() => Cow::Owned(policy.clone().with_hours(hours.clone())),
            Some(_) | None => Cow::Borrowed(policy),
        }
    }

    /// What presence at `now_ms` is computed from.
    pub fn scene<'a>(&'a self, policy: &'a Policy, now_ms: i64) -> Scene<'a> {
        Scene {
            policy,
            events: &self.events,
            calendars: &self.calendars,
            auto_reply: self.auto_reply,
            chosen: self.row.chosen.as_ref(),
            admin_profile: policy.admin_profile(),
            now_ms,
        }
    }

    /// The machine of a channel.
    pub fn channel(&self, channel: Channel) -> ChannelState {
        let found = self.channels.iter().find(|row| row.state.channel == channel);
        found.map_or_else(|| ChannelState::new(channel), |row| row.state.clone())
    }
}

/// Whether its owner is the user and it is editable. A server that names no owner means the mailbox's own; a user who is
/// not known has the default calendar.
pub(crate) fn is_own(calendar: &OwnedCalendar, user: Option<&str>) -> bool {
    let is_users = match (&calendar.owner_address, user) {
        (Some(owner), Some(user)) => owner.trim().eq_ignore_ascii_case(user.trim()),
        (None, _) | (Some(_), None) => calendar.is_default,
    };
    is_users && calendar.can_edit
}

fn takes_part(calendar: OwnedCalendar, user: Option<&str>) -> Calendar {
    Calendar {
        is_own: is_own(&calendar, user),
        key: calendar.key,
        name: calendar.name,
        last_complete_ms: calendar.pulled_at_ms,
        window: calendar.window,
    }
}

fn event(view: EventView, slots: &BTreeMap<Key, Slot>, user: Option<&str>) -> Event {
    let details = *view.details;
    let slot = slots.get(&view.key);
    let (uid, slot_ms) = match view.kind {
        EventKind::Single | EventKind::Master => (details.ical_uid, None),
        EventKind::Occurrence => (details.ical_uid, Some(view.start_ms)),
        EventKind::Exception => (
            slot.and_then(|slot| slot.uid.clone()).or(details.ical_uid),
            Some(slot.and_then(|slot| slot.start_ms).unwrap_or(view.start_ms)),
        ),
    };
    let uid = uid.unwrap_or_else(|| view.series.unwrap_or(view.key).to_string());
    let domain = |address: &str| address.rsplit_once('@').map(|(_, domain)| domain.trim().to_lowercase());
    let own = user.and_then(domain);
    let organizer = details.organizer.and_then(|organizer| organizer.address);
    let invited = details.attendees.iter().filter_map(|attendee| attendee.person.address.as_deref());
    let domains: BTreeSet<String> = invited.chain(organizer.as_deref()).filter_map(domain).collect();
    let is_organizer = details.is_organizer || details.response == Response::Organizer;
    Event {
        key: view.key,
        identity: Identity { uid, slot_ms },
        calendar: view.calendar,
        start_ms: view.start_ms,
        end_ms: view.end_ms,
        is_all_day: details.is_all_day,
        is_cancelled: details.is_cancelled,
        show_as: details.show_as,
        response: details.response,
        sensitivity: details.sensitivity,
        role: Role::of(is_organizer, details.attendees.len()),
        // Graph does not tell focus time and working places from other appointments.
        event_type: EventType::Default,
        source: SourceKind::Microsoft365,
        content: Content {
            subject: details.subject,
            location: details.location,
            categories: details.categories,
            is_online: details.online_meeting.is_some(),
            attendees: u32::try_from(details.attendees.len()).unwrap_or(u32::MAX),
            has_external: own.is_some_and(|own| domains.iter().any(|domain| *domain != own)),
            organizer,
        },
    }
}

/// As local times of the policy's zone, whatever zone the mailbox wrote them in: who travels works there. A day that ends
/// at midnight ends a minute before.
fn working_hours(hours: &MailboxHours) -> Option<WorkingHours> {
    let time = |minute: u16| {
        let minute = minute.min(24 * 60 - 1);
        let (hour, minute) = (u8::try_from(minute / 60).ok()?, u8::try_from(minute % 60).ok()?);
        Some(TimeOfDay { hour, minute })
    };
    let days = hours.days.iter().filter_map(|day| WEEK.get(usize::from(*day).checked_sub(1)?).copied());
    Some(WorkingHours {
        days: days.collect(),
        start: time(hours.start_minute)?,
        end: time(hours.end_minute)?,
    })
}

fn auto_reply(replies: Option<AutomaticReplies>, read_ms: i64) -> Option<AutoReply> {
    match replies? {
        AutomaticReplies::Off => None,
        AutomaticReplies::Always => Some(AutoReply { scheduled: None, read_ms }),
        AutomaticReplies::Scheduled { start_ms, end_ms } => {
            Some(AutoReply { scheduled: Some(Window { from_ms: start_ms, to_ms: end_ms }), read_ms })
        }
    }
}
