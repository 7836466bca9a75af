//! Whether a rule matches an event.

use std::cell::OnceCell;

use crate::model::Window;
use crate::presence::event::{Calendar, Content, Event};
use crate::presence::fold::{fold, has_word};
use crate::presence::{Weekday, When};
use crate::zones::Zone;

/// A `when` with its texts folded.
#[derive(Clone)]
pub(super) struct Matcher {
    when: When,
    needs_content: bool,
}

/// An event with what matching computes once for all rules.
pub(super) struct Matched<'e> {
    pub(super) event: &'e Event,
    pub(super) calendar: &'e Calendar,
    pub(super) span: Window,
    weekday: OnceCell<Weekday>,
    subject: OnceCell<String>,
    location: OnceCell<String>,
    categories: OnceCell<Vec<String>>,
}

impl<'e> Matched<'e> {
    pub(super) fn new(event: &'e Event, calendar: &'e Calendar, zone: &Zone) -> Matched<'e> {
        Matched {
            event,
            calendar,
            span: event.span(zone),
            weekday: OnceCell::new(),
            subject: OnceCell::new(),
            location: OnceCell::new(),
            categories: OnceCell::new(),
        }
    }

    pub(super) fn length_ms(&self) -> i64 {
        self.span.to_ms.saturating_sub(self.span.from_ms)
    }

    fn subject(&self, content: &Content) -> &str {
        self.subject.get_or_init(|| fold(content.subject.as_deref().unwrap_or_default().trim()))
    }

    fn location(&self, content: &Content) -> &str {
        self.location.get_or_init(|| fold(content.location.as_deref().unwrap_or_default()))
    }

    fn categories(&self, content: &Content) -> &[String] {
        self.categories.get_or_init(|| content.categories.iter().map(|name| fold(name.trim())).collect())
    }
}

/// The rule's `when` with its texts as they are compared.
pub(super) fn folded(when: &When) -> When {
    let mut when = when.clone();
    for list in [
        &mut when.category,
        &mut when.category_none,
        &mut when.subject_contains,
        &mut when.subject_prefix,
        &mut when.subject_word,
        &mut when.location_contains,
        &mut when.calendar,
        &mut when.organizer,
        &mut when.organizer_domain,
    ] {
        for text in list {
            *text = fold(text);
        }
    }
    for text in when.category.iter_mut().chain(&mut when.category_none).chain(&mut when.subject_word) {
        *text = text.trim().to_owned();
    }
    for text in &mut when.subject_prefix {
        *text = text.trim_start().to_owned();
    }
    when
}

impl Matcher {
    pub(super) fn new(when: &When) -> Matcher {
        let when = folded(when);
        let needs_content = needs_content(&when);
        Matcher { when, needs_content }
    }

    /// Whether it names this calendar, by identity or by name.
    pub(super) fn names(&self, calendar: &Calendar) -> bool {
        let (key, name) = (calendar.key.to_string(), fold(&calendar.name));
        self.when.calendar.iter().any(|named| *named == key || *named == name)
    }

    pub(super) fn matches(&self, matched: &Matched<'_>, zone: &Zone) -> bool {
        let (when, event) = (&self.when, matched.event);
        let weekday = || *matched.weekday.get_or_init(|| Weekday::at(zone, matched.span.from_ms));
        one_of(&when.show_as, event.show_as)
            && one_of(&when.response, event.response)
            && when.cancelled.is_none_or(|asked| asked == event.is_cancelled)
            && when.all_day.is_none_or(|asked| asked == event.is_all_day)
            && one_of(&when.role, event.role)
            && one_of(&when.sensitivity, event.sensitivity)
            && one_of(&when.source, event.source)
            && one_of(&when.event_type, event.event_type)
            && when.min_duration.is_none_or(|min| matched.length_ms() >= millis(min))
            && when.max_duration.is_none_or(|max| matched.length_ms() <= millis(max))
            && (when.weekday.is_empty() || when.weekday.contains(&weekday()))
            && (when.calendar.is_empty() || self.names(matched.calendar))
            && (!self.needs_content
                || event.content().is_some_and(|content| self.matches_content(matched, content)))
    }

    fn matches_content(&self, matched: &Matched<'_>, content: &Content) -> bool {
        let when = &self.when;
        let any = |list: &[String], holds: &dyn Fn(&str) -> bool| {
            list.is_empty() || list.iter().any(|text| holds(text))
        };
        let has_category = |name: &str| matched.categories(content).iter().any(|own| own == name);
        let organizer = || fold(content.organizer.as_deref().unwrap_or_default().trim());
        any(&when.subject_contains, &|text| matched.subject(content).contains(text))
            && any(&when.subject_prefix, &|text| matched.subject(content).starts_with(text))
            && any(&when.subject_word, &|text| has_word(matched.subject(content), text))
            && any(&when.location_contains, &|text| matched.location(content).contains(text))
            && any(&when.category, &has_category)
            && !when.category_none.iter().any(|name| has_category(name))
            && when.online_meeting.is_none_or(|asked| asked == content.is_online)
            && any(&when.organizer, &|address| !address.is_empty() && organizer() == address)
            && any(&when.organizer_domain, &|domain| is_of_domain(&organizer(), domain))
            && when.attendees_min.is_none_or(|min| content.attendees >= min)
            && when.external_attendees.is_none_or(|asked| asked == content.has_external)
    }
}

fn is_of_domain(address: &str, domain: &str) -> bool {
    let domain = domain.strip_prefix('@').unwrap_or(domain);
    address.rsplit_once('@').is_some_and(|(_, own)| own == domain)
}

fn one_of<T: PartialEq>(list: &[T], value: T) -> bool {
    list.is_empty() || list.contains(&value)
}

/// Whether it asks for what a private event does not tell.
pub(super) fn needs_content(when: &When) -> bool {
    let texts = [
        &when.category,
        &when.category_none,
        &when.subject_contains,
        &when.subject_prefix,
        &when.subject_word,
        &when.location_contains,
        &when.organizer,
        &when.organizer_domain,
    ];
    texts.iter().any(|list| !list.is_empty())
        || when.online_meeting.is_some()
        || when.attendees_min.is_some()
        || when.external_attendees.is_some()
}

pub(super) fn millis(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
