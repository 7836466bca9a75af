//! Microsoft Graph: calendars and events of one mailbox.
//!
//! The room speaks to the world through `ports` alone and keeps nothing but the pause a server asked for. What
//! it promises to the flows:
//!
//! - **One bad row never costs its page.** A page is read by `serde_json` into borrowed rows, one at a time
//!   (the fast way, 99.9 % of pages); where anything in it is damaged the same bytes are read again by a reader
//!   that skips over what it cannot use (`json`). Both give the same records for the same row.
//! - **The token goes to the account's own origin only.** State links are opaque: checked before every use
//!   (`site`), sent byte for byte, never built or changed.
//! - **Every request carries every preference** (`prefer`): page size, UTC, text bodies, immutable ids.
//! - **One gate per mailbox** (`gate`): three requests in flight, one pause for all when throttled. The
//!   mailboxes of one application share a second gate (`Limits`).
//! - **Everything is bounded** by the constants of this room: bytes, rows, pages, characters, waits.
//! - **A write says only what the user said** (`write`): no field is sent that was not set, a create's bytes are
//!   made once, and a failure tells whether it may have landed ([`reached`]).
//!
//! Retries are not made here, save one after a 401: `retry` judges and the flow acts.

mod batch;
mod calendar;
mod client;
mod decode;
mod event;
pub(in crate::source) mod gate;
mod json;
mod mailbox;
mod meeting;
mod prefer;
mod presence;
pub(in crate::source) mod refusal;
mod site;
pub(in crate::source) mod text;
pub(in crate::source) mod time;
mod write;
mod writer;

#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod decode_tests;
#[cfg(test)]
mod write_tests;

pub use batch::BATCH_ITEMS_MAX;
pub use calendar::Identity;
pub use client::{
    CALENDARS_MAX, Graph, INSTANCES_MAX, LISTING_PAGES_MAX, PAGE_TIMEOUT, REPLY_BYTES_MAX, REQUEST_TIMEOUT,
    SMALL_REPLY_BYTES_MAX,
};
pub use decode::PAGE_ROWS_MAX;
pub use event::{
    ADDRESS_BYTES_MAX, ATTENDEES_MAX, BODY_CHARS_MAX, CATEGORIES_MAX, ID_BYTES_MAX, LOCATION_CHARS_MAX,
    NAME_CHARS_MAX, PREVIEW_CHARS_MAX, SUBJECT_CHARS_MAX,
};
pub use gate::{
    APPLICATION_IN_FLIGHT_MAX, APPLICATION_REQUESTS_PER_SECOND_MAX, Limits, PAUSE_WAITED_MAX,
    REQUESTS_IN_FLIGHT_MAX, THROTTLED_TOGETHER,
};
pub use meeting::meeting_body;
pub use presence::Preferred;
pub use refusal::{CLAIMS_BYTES_MAX, CODE_CHARS_MAX, RETRY_AFTER_MAX};
pub use site::{GraphSite, LINK_BYTES_MAX, SiteError};
pub use write::{Reached, encode_create, encode_patch, is_gone, reached};

/// How a calendar is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PullMode {
    /// `/calendars/{id}/calendarView/delta`.
    Delta,
    /// `/calendarView/delta`, which is the default calendar only.
    MailboxDelta,
    /// Plain `/calendars/{id}/calendarView` each round, where delta is not possible.
    Snapshot,
}

impl PullMode {
    /// The stable code, as stored.
    pub const fn code(self) -> &'static str {
        match self {
            PullMode::Delta => "delta",
            PullMode::MailboxDelta => "mailbox_delta",
            PullMode::Snapshot => "snapshot",
        }
    }

    /// The mode with this code.
    pub fn from_code(code: &str) -> Option<PullMode> {
        [PullMode::Delta, PullMode::MailboxDelta, PullMode::Snapshot]
            .into_iter()
            .find(|mode| mode.code() == code)
    }
}
