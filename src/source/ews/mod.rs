//! Exchange on premises by Exchange Web Services: calendars and events of one mailbox.
//!
//! The room offers what [`crate::source::graph`] offers, in the same nouns, so that one flow pulls both:
//!
//! - **A round of changes** is `SyncFolderItems` from the folder's last state: one request when nothing changed. What
//!   changed is read by `GetItem`, fifty at a time.
//! - **A full round** finds the present state first and then reads the window by `FindItem` with a calendar view, in
//!   which the server has expanded series, rules and exceptions of its own making included: no rule is expanded here.
//! - **Instances** have the ids that the server gives them. They tell their UID and not their series; which series a
//!   UID means is asked once (`RecurringMasterItemId`).
//! - **XML is read bounded** (`xml`): no document type, no entities, limited depth and size.
//! - **A busy server** (`ErrorServerBusy`) is left alone as long as it wants: the gate is Graph's.
//!
//! Exchange Online is refused ([`EwsSite`]): EWS is switched off there, Graph is the way.

mod answer;
mod autodiscover;
mod client;
mod item;
mod link;
mod refusal;
mod request;
mod site;
mod write;
mod xml;

pub use answer::SYNC_STATE_BYTES_MAX;
pub use autodiscover::{DiscoverError, discover, endpoints};
pub use client::{CHANGES_MAX, Ews, ITEMS_MAX, Login, VIEW_ROWS_MAX};
pub use site::{EwsSite, EwsSiteError};
pub use write::encode_item;
pub use xml::{DEPTH_MAX, ELEMENTS_MAX};
