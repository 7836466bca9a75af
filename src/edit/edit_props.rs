//! What holds for any edits whatever.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::edit::same::{changed, identity};
use crate::edit::sample::{HOUR_MS, NINE_MS, days, edit, event, meeting, person, times};
use crate::edit::{Fold, Merged, fold, has_landed, is_unchanged, merge3, names, overlay};
use crate::model::{
    AttendeeType, EditState, EventRecord, Fields, Importance, Intent, Invitee, OpenEdit, Reminder,
    Sensitivity, ShowAs,
};

fn text() -> impl Strategy<Value = String> {
    select(vec!["", "Review", "Agenda", "Room 1", "a", "a\nb", "a\r\nb \n", "other text"])
        .prop_map(str::to_owned)
}

fn guests() -> impl Strategy<Value = Vec<Invitee>> {
    let kind = select(vec![AttendeeType::Required, AttendeeType::Optional]);
    btree_map(0_u8..5, kind, 0..4).prop_map(|guests| {
        let invitee = |(n, kind)| Invitee { person: person(&format!("p{n}@x.test")), kind };
        guests.into_iter().map(invitee).collect()
    })
}

prop_compose! {
    fn any_fields()(
        subject in option::of(text()),
        body in option::of(text()),
        times in option::of(prop_oneof![
            (0_i64..3, 0_i64..3).prop_map(|(start, hours)| times(NINE_MS + start * HOUR_MS, hours)),
            (20_731_i64..20_733, 1_i64..3).prop_map(|(first, count)| days(first, count)),
        ]),
        location in option::of(text()),
        show_as in option::of(select(vec![ShowAs::Free, ShowAs::Busy, ShowAs::Oof])),
        sensitivity in option::of(select(vec![Sensitivity::Normal, Sensitivity::Private])),
        importance in option::of(select(vec![Importance::Normal, Importance::High])),
        categories in option::of(btree_set(select(vec!["red", "blue", "green"]), 0..3)),
        attendees in option::of(guests()),
        reminder in option::of(prop_oneof![
            Just(Reminder::Off), (0..3).prop_map(Reminder::Minutes), Just(Reminder::Minutes(15)),
        ]),
    ) -> Fields {
        let categories = categories.map(|names| names.into_iter().map(str::to_owned).collect());
        Fields {
            subject, body, times, location, show_as, sensitivity, importance, categories, attendees, reminder,
        }
    }
}

fn base() -> EventRecord {
    meeting(&["p0@x.test", "p1@x.test"])
}

/// The server's row after a sparse patch.
fn patched(record: &EventRecord, fields: &Fields) -> EventRecord {
    match overlay(Some(record), &[&edit(1, Intent::Update(fields.clone()))]) {
        Some(shown) => shown.record,
        None => record.clone(),
    }
}

/// What the mirror does with a folded wish.
fn put(open: &mut Vec<OpenEdit>, next: &mut i64, folded: Fold, record: &EventRecord) {
    match folded {
        Fold::Append { intent, drop } => {
            open.retain(|edit| !drop.contains(&edit.n));
            open.push(OpenEdit { base: Some(Box::new(record.clone())), ..edit(*next, intent) });
            *next += 1;
        }
        Fold::Replace { n, intent } => {
            for edit in open.iter_mut().filter(|edit| edit.n == n) {
                edit.intent = intent.clone();
                edit.state = EditState::Waiting;
            }
        }
        Fold::Drop { ns } => open.retain(|edit| !ns.contains(&edit.n)),
    }
}

/// Only those fields of which `is_mine` says so, by place.
fn part(fields: &Fields, is_mine: impl Fn(usize) -> bool) -> Fields {
    let mut part = fields.clone();
    let mut place = 0;
    macro_rules! keep {
        ($field:ident) => {
            if !is_mine(place) {
                part.$field = None;
            }
            place += 1;
        };
    }
    crate::edit::same::each_field!(keep);
    assert_eq!(place, 10);
    part
}

proptest! {
    #[test]
    fn an_untouched_row_takes_all_of_mine(mine in any_fields()) {
        let base = Fields::of(&base());
        let merged = merge3(&base, &mine, &base);
        prop_assert_eq!(merged, Merged { send: changed(mine, &base), ..Merged::default() });
    }

    #[test]
    fn what_both_want_is_done(mine in any_fields()) {
        let base = Fields::of(&base());
        let merged = merge3(&base, &mine, &mine.clone().over(base.clone()));
        prop_assert_eq!(merged, Merged::default());
    }

    #[test]
    fn edits_of_different_fields_arrive_in_any_order(one in any_fields(), other in any_fields(), split in 0_usize..1024) {
        let mine = part(&one, |place| split & (1 << place) != 0);
        let theirs = part(&other, |place| split & (1 << place) == 0);
        let record = base();
        let (first, second) = (patched(&record, &mine), patched(&record, &theirs));
        let base = Fields::of(&record);
        let after = merge3(&base, &mine, &Fields::of(&second));
        let before = merge3(&base, &theirs, &Fields::of(&first));
        prop_assert!(after.clashes.is_empty() && before.clashes.is_empty());
        let (left, right) = (patched(&second, &after.send), patched(&first, &before.send));
        prop_assert!(is_unchanged(&left, &right));
    }

    #[test]
    fn no_field_is_lost(mine in any_fields(), theirs in any_fields()) {
        let record = base();
        let base = Fields::of(&record);
        let server = patched(&record, &theirs);
        let merged = merge3(&base, &mine, &Fields::of(&server));
        // With mine to win, each field of mine that is a change is there; lists hold both sides' members.
        let sent = merged.contested.clone().over(merged.send.clone());
        let after = Fields::of(&patched(&server, &sent));
        let mut wanted = changed(mine.clone(), &base);
        wanted.attendees = None;
        wanted.categories = None;
        let missing = crate::edit::same::missing(wanted, &after);
        prop_assert!(missing.is_empty(), "{:?}", names(&Intent::Update(missing), None));
        // What mine does not name is theirs.
        let untouched = part(&Fields::of(&server), |_| true);
        let named = changed(mine.clone(), &base);
        let mut place = 0;
        let mut is_kept = true;
        macro_rules! compare {
            ($field:ident) => {
                if named.$field.is_none() {
                    let keep = part(&untouched, |at| at == place);
                    is_kept &= changed(keep, &after).is_empty();
                }
                place += 1;
            };
        }
        crate::edit::same::each_field!(compare);
        prop_assert!(is_kept && place == 10);
        // Each clash is a field of mine.
        prop_assert_eq!(merged.clashes.is_empty(), merged.contested.is_empty());
    }

    #[test]
    fn every_guest_whom_one_side_added_comes_and_whom_one_removed_goes(mine in guests(), theirs in guests()) {
        let record = base();
        let base = Fields::of(&record);
        let of = |guests: &Vec<Invitee>| Fields { attendees: Some(guests.clone()), ..Fields::default() };
        let merged = merge3(&base, &of(&mine), &of(&theirs).over(base.clone()));
        if merged.clashes.is_empty() {
            let after = merged.send.attendees.unwrap_or_else(|| theirs.clone());
            let is_in = |guests: &[Invitee], n: u8| {
                guests.iter().any(|guest| identity(&guest.person) == format!("p{n}@x.test"))
            };
            for n in 0..5 {
                let was = n < 2;
                let (here, there) = (is_in(&mine, n), is_in(&theirs, n));
                let expected = if was { here && there } else { here || there };
                prop_assert_eq!(is_in(&after, n), expected, "p{}", n);
            }
        }
    }

    #[test]
    fn a_merge_that_was_sent_leaves_nothing_to_merge(mine in any_fields(), theirs in any_fields()) {
        let record = base();
        let base = Fields::of(&record);
        let server = patched(&record, &theirs);
        let sent = merge3(&base, &mine, &Fields::of(&server)).send;
        let after = patched(&server, &sent);
        prop_assert!(has_landed(&Intent::Update(sent.clone()), &after));
        prop_assert_eq!(merge3(&Fields::of(&server), &sent, &Fields::of(&after)), Merged::default());
    }

    #[test]
    fn folded_wishes_show_what_they_show_one_by_one(wishes in vec((any_fields(), any::<bool>()), 1..6)) {
        let record = base();
        let (mut open, mut next, mut one_by_one) = (Vec::new(), 1, Vec::new());
        for (n, (wish, is_taken)) in (1_i64..).zip(wishes) {
            let wish = Intent::Update(wish);
            let folded = fold(event(), &open, &wish, Some(&record)).unwrap();
            put(&mut open, &mut next, folded, &record);
            one_by_one.push(edit(n, wish));
            // Now and then the last edit is on its way when the next comes.
            if let (Some(last), true) = (open.last_mut(), is_taken) {
                last.state = EditState::Sending;
            }
        }
        let plain = overlay(Some(&record), &one_by_one.iter().collect::<Vec<_>>()).unwrap().record;
        let shown = overlay(Some(&record), &open.iter().collect::<Vec<_>>());
        let shown = shown.map_or_else(|| record.clone(), |shown| shown.record);
        prop_assert!(is_unchanged(&plain, &shown));
        // And the server has just that once they are sent one after the other, each with its named fields alone.
        let mut server = record.clone();
        for edit in &open {
            if let Intent::Update(fields) = &edit.intent {
                server = patched(&server, fields);
                prop_assert!(has_landed(&edit.intent, &server));
            }
        }
        prop_assert!(is_unchanged(&server, &shown));
    }

    #[test]
    fn wishes_for_a_new_event_become_one_create(first in any_fields(), wishes in vec(any_fields(), 0..5)) {
        let created = Fields { times: first.times.clone().or(Some(times(NINE_MS, 1))), ..first };
        let mut open = vec![edit(1, Intent::Create(created.clone()))];
        let (mut next, mut expected) = (2, created);
        for wish in wishes {
            expected = wish.clone().over(expected);
            let folded = fold(event(), &open, &Intent::Update(wish), None).unwrap();
            put(&mut open, &mut next, folded, &base());
        }
        prop_assert_eq!(open.len(), 1);
        prop_assert_eq!(&open[0].intent, &Intent::Create(expected));
        let folded = fold(event(), &open, &Intent::Delete, None).unwrap();
        put(&mut open, &mut next, folded, &base());
        prop_assert!(open.is_empty());
    }

    #[test]
    fn an_undone_edit_leaves_no_trace(wish in any_fields()) {
        let record = base();
        let (mut open, mut next) = (Vec::new(), 1);
        for wish in [wish, Fields::of(&record)] {
            let folded = fold(event(), &open, &Intent::Update(wish), Some(&record)).unwrap();
            put(&mut open, &mut next, folded, &record);
        }
        prop_assert!(open.is_empty());
    }
}
