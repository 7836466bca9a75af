use std::collections::BTreeSet;

use crate::merge::Incoming;
use crate::model::{Fault, Key, Link, LinkProblem};

/// Pages in a row without a new id. Sixty empty pages before the first row are legal and have been seen.
const BARREN_PAGES_MAX: u32 = 200;
/// Pages of a round, whatever they hold.
const PAGES_MAX: u32 = 20_000;
/// Ids of a round: far more than any mailbox has in a window.
const ROWS_MAX: usize = 500_000;
/// How often the same non-empty page may come before the round counts as endless.
const SAME_PAGE_MAX: u32 = 3;

/// Notices a round that does not end: a link that comes again, a page that comes again, pages that bring nothing.
#[derive(Debug, Default)]
pub(super) struct Guard {
    links: BTreeSet<Key>,
    pages: BTreeSet<Key>,
    seen: BTreeSet<Key>,
    barren: u32,
    same: u32,
    count: u32,
}

impl Guard {
    /// Notes a link before it is followed.
    pub(super) fn follow(&mut self, link: &Link) -> Result<(), Fault> {
        if self.links.insert(Key::of_remote(link.as_str())) {
            Ok(())
        } else {
            Err(Fault::LinkRefused(LinkProblem::Repeated))
        }
    }

    /// Notes a page that says that more follow.
    pub(super) fn page(&mut self, incoming: &[Incoming]) -> Result<(), Fault> {
        self.count += 1;
        let mut has_news = false;
        let mut hasher = blake3::Hasher::new();
        for row in incoming {
            has_news |= self.seen.insert(row.key());
            hasher.update(row.key().as_bytes());
            if let Incoming::Put { fingerprint, .. } = row {
                hasher.update(fingerprint);
            }
        }
        let mut page = [0; 16];
        hasher.finalize_xof().fill(&mut page);
        let is_repeat = !incoming.is_empty() && !self.pages.insert(Key::from_bytes(page));
        self.barren = if has_news { 0 } else { self.barren + 1 };
        self.same = if is_repeat { self.same + 1 } else { self.same };
        if self.barren > BARREN_PAGES_MAX
            || self.same >= SAME_PAGE_MAX
            || self.count > PAGES_MAX
            || self.seen.len() > ROWS_MAX
        {
            return Err(Fault::EndlessPages);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::{Pass, prepare};
    use crate::model::{Change, RemoteId};

    fn page(ids: &[String]) -> Vec<Incoming> {
        prepare(ids.iter().map(|id| Change::Gone(RemoteId::new(id.clone()))).collect(), Pass::Delta)
    }

    #[test]
    fn sixty_empty_pages_are_legal() {
        let mut guard = Guard::default();
        for _ in 0..60 {
            guard.page(&[]).unwrap();
        }
    }

    #[test]
    fn empty_pages_without_end_are_noticed() {
        let mut guard = Guard::default();
        assert!((0..1_000).any(|_| guard.page(&[]) == Err(Fault::EndlessPages)));
    }

    #[test]
    fn the_same_page_for_ever_is_noticed_soon() {
        let mut guard = Guard::default();
        let rows = page(&["a".to_owned()]);
        let pages = (0..1_000).position(|_| guard.page(&rows).is_err());
        assert_eq!(pages, Some(3));
    }

    #[test]
    fn pages_with_new_rows_go_on() {
        let mut guard = Guard::default();
        for n in 0..2_000 {
            guard.page(&page(&[format!("{n}")])).unwrap();
        }
    }

    #[test]
    fn a_link_is_followed_once() {
        let mut guard = Guard::default();
        guard.follow(&Link::new("https://h/a")).unwrap();
        guard.follow(&Link::new("https://h/b")).unwrap();
        assert_eq!(guard.follow(&Link::new("https://h/a")), Err(Fault::LinkRefused(LinkProblem::Repeated)));
    }
}
