//! Microsoft Graph: calendars and events of one mailbox.
