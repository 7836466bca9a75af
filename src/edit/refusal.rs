use crate::edit::check::{
    ATTENDEES_MAX, BODY_BYTES_MAX, CATEGORIES_MAX, COMMENT_BYTES_MAX, DAYS_MAX, REMINDER_MINUTES_MAX,
    TEXT_CHARS_MAX,
};

/// Why a wish is not recorded: the rule that it breaks, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An update that names no field.
    #[error("nothing to change: name at least one field")]
    EmptyUpdate,
    /// A new event without a time.
    #[error("a new event needs a start and an end")]
    NoTimes,
    /// It ends before it starts.
    #[error("the end is before the start: give an end at or after it")]
    EndBeforeStart,
    /// An all-day event whose start or end is not a date.
    #[error("an all-day event starts and ends with a date and has no time of day: give dates")]
    AllDayWithTime,
    /// An all-day event of no day.
    #[error("an all-day event lasts at least one day: its end is the day after its last one")]
    AllDayEmpty,
    /// Longer than the server takes.
    #[error("an event lasts at most {DAYS_MAX} days")]
    TooLong,
    /// Outside of the years that the server takes.
    #[error("the time is outside of the years 1601 to 4500")]
    OutOfRange,
    /// A zone that nobody knows.
    #[error("the time zone is not known: give an IANA name such as Europe/Berlin")]
    UnknownZone,
    /// A series to another day.
    #[error("a whole series can change its time of day, not its day: move single occurrences instead")]
    SeriesDay,
    /// A subject, place or category that is too long.
    #[error("the {field} is too long: Exchange takes {TEXT_CHARS_MAX} characters")]
    TextTooLong {
        /// The field, as in the event's JSON.
        field: &'static str,
    },
    /// A body that is too long.
    #[error("the body is too long: at most {} KiB are taken", BODY_BYTES_MAX / 1024)]
    BodyTooLong,
    /// A comment that is too long.
    #[error("the comment is too long: at most {} KiB are taken", COMMENT_BYTES_MAX / 1024)]
    CommentTooLong,
    /// A character that is none.
    #[error(
        "the {field} contains control characters: only a body and a comment may have line breaks and tabs"
    )]
    ControlCharacters {
        /// The field, as in the event's JSON.
        field: &'static str,
    },
    /// Too many categories.
    #[error("an event has at most {CATEGORIES_MAX} categories")]
    TooManyCategories,
    /// A category without a name.
    #[error("a category needs a name")]
    EmptyCategory,
    /// Too many people.
    #[error("Exchange takes at most {ATTENDEES_MAX} people")]
    TooManyPeople,
    /// Somebody who cannot be reached.
    #[error("somebody has no mail address of the form name@domain")]
    BadAddress,
    /// A reminder that is none.
    #[error("a reminder comes 0 to {REMINDER_MINUTES_MAX} minutes before the start")]
    BadReminder,
    /// `unknown` can be read, not set.
    #[error("show_as cannot be set to unknown: choose free, tentative, busy, oof or working_elsewhere")]
    UnknownShowAs,
    /// The calendar is not the user's to change.
    #[error("the calendar is read-only: only its owner can change its events")]
    ReadOnlyCalendar,
    /// The event is somebody else's.
    #[error(
        "only the organizer can change {fields}: an attendee can change show_as, categories and reminder_minutes"
    )]
    NotOrganizer {
        /// The fields, as in the event's JSON.
        fields: String,
    },
    /// Called off by somebody who cannot.
    #[error("only the organizer can cancel a meeting: decline it, or delete it from this calendar")]
    CancelNotOrganizer,
    /// Called off with nobody to tell.
    #[error("nobody is invited: delete the event instead of cancelling it")]
    NothingToCancel,
    /// An answer to oneself.
    #[error("this is the user's own meeting: it has no invitation to answer")]
    OwnMeeting,
    /// An answer to nobody.
    #[error("this is no invitation: there is nobody to answer")]
    NoInvitation,
    /// A forward to nobody.
    #[error("name at least one person to forward the invitation to")]
    NobodyToForward,
    /// The meeting was called off.
    #[error("the organizer has cancelled this event: it can only be deleted")]
    EventCancelled,
    /// Too late.
    #[error("the reminder cannot come again in the past: give a time after now")]
    SnoozeInPast,
    /// The row is not complete.
    #[error("the series of this event has not been fetched yet: sync first")]
    NotFetched,
    /// It will be deleted.
    #[error("edit {n} of the outbox deletes this event: discard that edit first")]
    BeingDeleted {
        /// The number of the deletion.
        n: i64,
    },
    /// Two versions wait for a decision.
    #[error("edit {n} of this event is in conflict: resolve the conflict first")]
    InConflict {
        /// The number of the edit.
        n: i64,
    },
}

impl Refusal {
    /// The stable kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Refusal::EmptyUpdate => "empty_update",
            Refusal::NoTimes => "no_times",
            Refusal::EndBeforeStart => "end_before_start",
            Refusal::AllDayWithTime => "all_day_with_time",
            Refusal::AllDayEmpty => "all_day_empty",
            Refusal::TooLong => "too_long",
            Refusal::OutOfRange => "out_of_range",
            Refusal::UnknownZone => "unknown_zone",
            Refusal::SeriesDay => "series_day",
            Refusal::TextTooLong { .. } => "text_too_long",
            Refusal::BodyTooLong => "body_too_long",
            Refusal::CommentTooLong => "comment_too_long",
            Refusal::ControlCharacters { .. } => "control_characters",
            Refusal::TooManyCategories => "too_many_categories",
            Refusal::EmptyCategory => "empty_category",
            Refusal::TooManyPeople => "too_many_people",
            Refusal::BadAddress => "bad_address",
            Refusal::BadReminder => "bad_reminder",
            Refusal::UnknownShowAs => "unknown_show_as",
            Refusal::ReadOnlyCalendar => "read_only_calendar",
            Refusal::NotOrganizer { .. } => "not_organizer",
            Refusal::CancelNotOrganizer => "cancel_not_organizer",
            Refusal::NothingToCancel => "nothing_to_cancel",
            Refusal::OwnMeeting => "own_meeting",
            Refusal::NoInvitation => "no_invitation",
            Refusal::NobodyToForward => "nobody_to_forward",
            Refusal::EventCancelled => "event_cancelled",
            Refusal::SnoozeInPast => "snooze_in_past",
            Refusal::NotFetched => "not_fetched",
            Refusal::BeingDeleted { .. } => "being_deleted",
            Refusal::InConflict { .. } => "in_conflict",
        }
    }
}
