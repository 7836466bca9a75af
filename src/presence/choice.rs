use crate::model::coded::coded;

coded! {
    /// What a presence profile shows.
    Availability {
        /// Available.
        Available = "available",
        /// Busy.
        Busy = "busy",
        /// Do not disturb.
        DoNotDisturb = "do_not_disturb",
        /// Be right back.
        BeRightBack = "be_right_back",
        /// Away.
        Away = "away",
        /// Out of office.
        OutOfOffice = "out_of_office",
        /// Working elsewhere.
        WorkingElsewhere = "working_elsewhere",
        /// Offline.
        Offline = "offline",
    }
    /// When a call is forwarded.
    Condition {
        /// Every call.
        Always = "always",
        /// When the line is busy.
        Busy = "busy",
        /// When nobody answers for a while.
        NoAnswer = "no_answer",
    }
    /// Which text a profile publishes.
    StatusText {
        /// None.
        None = "none",
        /// A fixed text of the profile.
        Generic = "generic",
        /// The event's first category.
        Category = "category",
        /// The event's subject.
        Subject = "subject",
    }
    /// What happens to an owned forwarding when the engine stops.
    OnShutdown {
        /// The baseline is put back.
        Release = "release",
        /// It stays, and the release stays owed.
        Keep = "keep",
    }
    /// Which part of the day a rule claims.
    Hours {
        /// All of it.
        Any = "any",
        /// Within working hours.
        Inside = "inside",
        /// Outside working hours.
        Outside = "outside",
    }
    /// What an actuator can set.
    Channel {
        /// The presence profile.
        Presence = "presence",
        /// Call forwarding.
        Forwarding = "forwarding",
        /// The status text.
        Text = "text",
    }
    /// How an actuator is reached.
    ActuatorKind {
        /// A program that reads the command on stdin.
        Command = "command",
        /// An HTTP address.
        Webhook = "webhook",
        /// Microsoft Teams by Graph.
        Teams = "teams",
        /// The program this library is bundled into.
        Host = "host",
    }
    /// The owner's part in an event.
    Role {
        /// Organizes a meeting.
        Organizer = "organizer",
        /// Is invited.
        Attendee = "attendee",
        /// An appointment without others.
        Single = "single",
    }
    /// What kind of entry an event is.
    EventType {
        /// An appointment or a meeting.
        Default = "default",
        /// Time blocked for work.
        FocusTime = "focus_time",
        /// An absence.
        OutOfOffice = "out_of_office",
        /// Where somebody works.
        WorkingLocation = "working_location",
        /// A birthday.
        Birthday = "birthday",
    }
    /// A day of the week.
    Weekday {
        /// Monday.
        Mon = "mon",
        /// Tuesday.
        Tue = "tue",
        /// Wednesday.
        Wed = "wed",
        /// Thursday.
        Thu = "thu",
        /// Friday.
        Fri = "fri",
        /// Saturday.
        Sat = "sat",
        /// Sunday.
        Sun = "sun",
    }
}

impl Availability {
    /// The rank of a profile that names none.
    pub const fn default_rank(self) -> i64 {
        match self {
            Availability::OutOfOffice => 50,
            Availability::DoNotDisturb => 40,
            Availability::Busy => 30,
            Availability::WorkingElsewhere => 10,
            Availability::Away | Availability::BeRightBack | Availability::Offline => 5,
            Availability::Available => 0,
        }
    }
}
