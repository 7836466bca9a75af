use crate::model::RemoteId;

/// One calendar as the server lists it.
#[derive(Clone, PartialEq, Eq)]
pub struct CalendarRecord {
    /// The server's id, case-sensitive and opaque.
    pub remote_id: RemoteId,
    /// The displayed name.
    pub name: String,
    /// `#rrggbb`, when the user or the server chose one.
    pub color: Option<String>,
    /// The owner's displayed name.
    pub owner_name: Option<String>,
    /// The owner's address; differs from the mailbox's own on shared calendars.
    pub owner_address: Option<String>,
    /// The mailbox's default calendar.
    pub is_default: bool,
    /// Whether the user may write into it (birthdays, holidays and subscriptions refuse).
    pub can_edit: bool,
}

impl std::fmt::Debug for CalendarRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CalendarRecord")
            .field("key", &crate::model::Key::of_remote(self.remote_id.as_str()))
            .field("is_default", &self.is_default)
            .field("can_edit", &self.can_edit)
            .finish_non_exhaustive()
    }
}
