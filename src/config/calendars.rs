//! Where an account of source `icalendar` has its calendars.

use std::path::PathBuf;

use crate::config::reader::Section;
use crate::config::{Account, SourceKind};
use crate::model::{Shelf, guarded_url};

pub(super) fn read_shelf(section: &Section<'_, '_>, source: SourceKind) -> Option<Shelf> {
    let [path, url] = ["path", "url"].map(|key| section.text(key).map(|text| text.value));
    if source != SourceKind::Icalendar {
        for key in ["path", "url"] {
            if section.has(key) {
                section.note(key, "means something with source = \"icalendar\" only");
            }
        }
        return None;
    }
    match (path, url) {
        (Some(_), Some(_)) => {
            section.note("url", "there is one place: `path` or `url`");
            None
        }
        (Some(path), None) => Some(Shelf::Path(PathBuf::from(path))),
        (None, Some(url)) => {
            // Calendar programs write the scheme of published calendars so; it means the web's.
            let url = match url.split_once("://") {
                Some((scheme, rest))
                    if ["webcal", "webcals"].iter().any(|own| scheme.eq_ignore_ascii_case(own)) =>
                {
                    format!("https://{rest}")
                }
                Some(_) | None => url,
            };
            if guarded_url(&url).is_none() {
                // It may be a secret: its text is not repeated.
                section.note(
                    "url",
                    "must be an address that begins with \"https://\" or \"webcal://\" (\"http://\" for this machine only), without a user name in it",
                );
                return None;
            }
            Some(Shelf::Url(url))
        }
        (None, None) => None,
    }
}

pub(super) fn check_shelf(account: &Account, section: &Section<'_, '_>) {
    let is_written = section.has("path") || section.has("url");
    if account.source == SourceKind::Icalendar && account.shelf.is_none() && !is_written {
        section.note("source", "\"icalendar\" needs a place: add `path` (a file or a folder) or `url`");
    }
}
