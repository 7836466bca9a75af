//! Work that can wait until a pull is done.

use crate::mirror::{Mirror, MirrorError};

/// Batches of texts indexed in one go; the rest waits for the next time, searchable all the same.
const TEXT_BATCHES_MAX: u32 = 400;

/// Brings the full-text index up to date and folds the change feed.
pub fn upkeep(mirror: &mut Mirror) -> Result<(), MirrorError> {
    for _ in 0..TEXT_BATCHES_MAX {
        if !mirror.index_text()? {
            break;
        }
    }
    mirror.fold_feed()
}
