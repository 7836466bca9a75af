//! Edits as values: what a user may wish for, what becomes of several wishes, what is shown until the server has
//! them, and how a wish meets what others changed meanwhile. Pure: no clock, no store, no network.
//!
//! The event rows of the mirror stay what the server said. A wish is an [`Intent`](crate::model::Intent) beside
//! them, and everything that concerns both is computed here:
//!
//! * [`check`] refuses a wish before it is recorded, and names the rule it breaks;
//! * [`fold`] puts a wish together with the edits that are open already;
//! * [`overlay`] and [`overlay_instance`] say what the agenda shows meanwhile;
//! * [`merge3`] compares base, mine and theirs field by field; [`is_unchanged`] and [`has_landed`] are the two
//!   questions after a refused condition and after a lost reply;
//! * [`notifies`] and [`names`] tell the user whom an edit will mail and what it changes.
//!
//! Two rules hold everywhere. A field that nobody named is never sent. And two values are *the same* when a user
//! could not tell them apart (see `Same`): servers rewrite line ends, names of people and the order of
//! lists, and none of that is a change.

mod check;
mod fold;
mod landed;
mod mail;
mod merge3;
mod names;
mod overlay;
mod refusal;
mod same;
mod shift;

#[cfg(test)]
mod edit_props;
#[cfg(test)]
mod sample;

pub use check::{Target, check};
pub use fold::{Fold, fold};
pub use landed::{has_landed, is_unchanged};
pub use mail::notifies;
pub use merge3::{Clash, Merged, merge3};
pub use names::names;
pub use overlay::{Shown, overlay, overlay_instance};
pub use refusal::Refusal;
pub use shift::shift;
