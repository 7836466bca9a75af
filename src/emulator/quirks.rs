use serde::{Deserialize, Serialize};

/// How the real service misbehaves, each habit with its own switch. [`Quirks::default`] is the service as it
/// is met in the field (docs and reports are named per member in the protocol paper); [`Quirks::tame`] is a
/// service without surprises.
///
/// Rates are parts of one; which rows or rounds are hit follows from the seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Occurrences in delta carry seven members only (else the full row).
    pub occurrence_stubs: bool,
    /// Series masters come along in delta, with the times of their first occurrence (else never).
    pub ghost_masters: bool,
    /// How many series leave their master out of an initial round.
    pub absent_master_rate: f64,
    /// `@removed` also for events outside the window that were created or changed.
    pub removed_outside_window: bool,
    /// A deleted occurrence leaves a tombstone (the real service sends none; the master changes instead).
    pub occurrence_tombstones: bool,
    /// A deleted series leaves tombstones for its occurrences too, not only for the master.
    pub series_tombstones: bool,
    /// How many initial rounds begin with an empty page.
    pub empty_first_page_rate: f64,
    /// How many rows of a page are sent twice.
    pub duplicate_rate: f64,
    /// How many pages have their rows in any order.
    pub shuffle_rate: f64,
    /// All rows of a series stay in one page, whatever page size was asked for.
    pub whole_series_pages: bool,
    /// How many lines of delta links (one per client and window) a mailbox remembers.
    pub token_lines_max: usize,
    /// A lost token is answered 410 or one of the 400s (else always 410 `SyncStateNotFound`).
    pub token_loss_variants: bool,
    /// A link has to come back byte for byte, else 400.
    pub strict_links: bool,
    /// The change key rotates by itself within these milliseconds after a create; 0 never.
    pub key_rotation_ms: i64,
    /// Responses, cancellations and online meetings take effect up to these milliseconds later; 0 at once.
    pub queued_ms: i64,
    /// `/events/delta` works in v1.0 (it always does in beta).
    pub events_delta_v1: bool,
    /// How many changes delta never tells; only a full comparison finds them.
    pub silent_change_rate: f64,
    /// Series are stored at whole minutes.
    pub whole_minute_series: bool,
    /// A shared calendar may answer page 1 of delta and deny page 2, as its flag says.
    pub deny_shared_page_two: bool,
    /// A known transaction id with another body is refused with 409; otherwise it is answered with the event that
    /// the first body made (the real service's answer is not documented).
    pub strict_transactions: bool,
    /// `originalStart` is missing from `/instances` unless selected.
    pub hide_original_start: bool,
    /// The EWS face is that of Exchange 2010, which does not know the schema of 2013.
    pub ews_2010: bool,
    /// More concurrent requests of one mailbox are answered 429 `ApplicationThrottled`; 0 is no limit.
    pub concurrent_max: u32,
    /// More requests of one mailbox in ten minutes are answered 429; 0 is no limit.
    pub requests_max: u32,
}

impl Default for Quirks {
    fn default() -> Quirks {
        Quirks {
            occurrence_stubs: true,
            ghost_masters: true,
            absent_master_rate: 0.15,
            removed_outside_window: true,
            occurrence_tombstones: false,
            series_tombstones: false,
            empty_first_page_rate: 0.3,
            duplicate_rate: 0.02,
            shuffle_rate: 0.3,
            whole_series_pages: true,
            token_lines_max: 64,
            token_loss_variants: true,
            strict_links: false,
            key_rotation_ms: 8_000,
            queued_ms: 1_500,
            events_delta_v1: false,
            silent_change_rate: 0.0,
            whole_minute_series: true,
            deny_shared_page_two: true,
            strict_transactions: false,
            hide_original_start: true,
            ews_2010: false,
            concurrent_max: 0,
            requests_max: 10_000,
        }
    }
}

impl Quirks {
    /// A service without surprises: full rows, exact pages, tombstones for all, one way to lose a token.
    pub fn tame() -> Quirks {
        Quirks {
            occurrence_stubs: false,
            ghost_masters: true,
            absent_master_rate: 0.0,
            removed_outside_window: false,
            occurrence_tombstones: true,
            series_tombstones: true,
            empty_first_page_rate: 0.0,
            duplicate_rate: 0.0,
            shuffle_rate: 0.0,
            whole_series_pages: false,
            token_lines_max: 1_024,
            token_loss_variants: false,
            strict_links: false,
            key_rotation_ms: 0,
            queued_ms: 0,
            events_delta_v1: true,
            silent_change_rate: 0.0,
            whole_minute_series: true,
            deny_shared_page_two: false,
            strict_transactions: false,
            hide_original_start: false,
            ews_2010: false,
            concurrent_max: 0,
            requests_max: 0,
        }
    }
}
