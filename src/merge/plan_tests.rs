use super::*;
use crate::model::RemoteId;

const FRAME: Frame = Frame { calendar_id: 1, generation: 7, pass: Pass::Delta };

fn record(id: &str, kind: EventKind) -> EventRecord {
    EventRecord {
        remote_id: RemoteId::new(id),
        kind,
        change_key: Some("v1".to_owned()),
        series: matches!(kind, EventKind::Occurrence | EventKind::Exception).then(|| RemoteId::new("series")),
        start_ms: 1_000,
        end_ms: 2_000,
        original_start_ms: None,
        modified_ms: None,
        details: None,
    }
}

fn stored(record: &EventRecord) -> Stored {
    Stored {
        id: 11,
        calendar_id: 1,
        kind: record.kind,
        is_present: true,
        seen_gen: 7,
        fingerprint: fingerprint(record),
        change_key: record.change_key.clone(),
        series_id: None,
        has_removal: false,
    }
}

#[test]
fn every_put_has_one_action() {
    let row = record("a", EventKind::Single);
    let same = stored(&row);
    let cases: [(&str, Option<Stored>, PutAction); 9] = [
        ("unknown", None, PutAction::Insert),
        ("equal and seen", Some(same.clone()), PutAction::Keep),
        (
            "equal, seen by an older generation",
            Some(Stored { seen_gen: 6, ..same.clone() }),
            PutAction::Touch,
        ),
        (
            "equal, its removal is staged",
            Some(Stored { has_removal: true, ..same.clone() }),
            PutAction::Touch,
        ),
        (
            "its version rotated",
            Some(Stored { change_key: Some("v0".into()), ..same.clone() }),
            PutAction::Rekey,
        ),
        ("its content differs", Some(Stored { fingerprint: [0; 16], ..same.clone() }), PutAction::Rewrite),
        ("it was a placeholder", Some(Stored { is_present: false, ..same.clone() }), PutAction::Rewrite),
        (
            "it came from another calendar",
            Some(Stored { calendar_id: 2, ..same.clone() }),
            PutAction::Rewrite,
        ),
        ("it became an exception", Some(Stored { kind: EventKind::Exception, ..same }), PutAction::Rewrite),
    ];
    for (name, stored, expected) in cases {
        assert_eq!(judge_put(&FRAME, &row, &fingerprint(&row), stored.as_ref()), expected, "{name}");
    }
}

#[test]
fn every_tombstone_has_one_action() {
    let row = stored(&record("a", EventKind::Single));
    let cases: [(&str, Option<Stored>, GoneAction); 6] = [
        ("never had it", None, GoneAction::Ignore),
        ("a single", Some(row.clone()), GoneAction::Stage),
        (
            "an occurrence",
            Some(Stored { kind: EventKind::Occurrence, ..row.clone() }),
            GoneAction::StageAndRecheck,
        ),
        ("a newer window has it", Some(Stored { seen_gen: 8, ..row.clone() }), GoneAction::Ignore),
        (
            "it lives in another calendar now",
            Some(Stored { calendar_id: 2, ..row.clone() }),
            GoneAction::Ignore,
        ),
        ("a master", Some(Stored { kind: EventKind::Master, ..row }), GoneAction::Recheck),
    ];
    for (name, stored, expected) in cases {
        assert_eq!(judge_gone(&FRAME, stored.as_ref()), expected, "{name}");
    }
}

#[test]
fn the_last_word_of_a_page_wins() {
    let put = Change::Put(record("a", EventKind::Single));
    let gone = Change::Gone(RemoteId::new("a"));
    let kept = prepare(vec![gone.clone(), put.clone()], Pass::Delta);
    assert!(matches!(kept.as_slice(), [Incoming::Put { .. }]));
    let dropped = prepare(vec![put, gone], Pass::Delta);
    assert!(matches!(dropped.as_slice(), [Incoming::Gone { .. }]));
}

#[test]
fn any_row_of_a_series_makes_it_dirty_in_a_round_of_changes_only() {
    for kind in [EventKind::Master, EventKind::Occurrence, EventKind::Exception] {
        let id = if kind == EventKind::Master { "series" } else { "row" };
        let incoming = prepare(vec![Change::Put(record(id, kind))], Pass::Delta);
        let delta = plan(FRAME, incoming.clone(), &[None]);
        assert_eq!(delta.dirty_series, vec![Key::of_remote("series")], "{kind:?}");
        for pass in [Pass::Preview, Pass::Full, Pass::Snapshot, Pass::Recheck] {
            let other = plan(Frame { pass, ..FRAME }, incoming.clone(), &[None]);
            assert!(other.dirty_series.is_empty(), "{kind:?} {pass:?}");
        }
    }
}

#[test]
fn the_brake_holds_more_than_twenty_and_more_than_half() {
    let cases = [
        (0, 0, RemovalVerdict::Apply),
        (20, 20, RemovalVerdict::Apply),
        (21, 21, RemovalVerdict::Hold),
        (21, 41, RemovalVerdict::Hold),
        (21, 42, RemovalVerdict::Apply),
        (50, 100, RemovalVerdict::Apply),
        (51, 100, RemovalVerdict::Hold),
    ];
    for (removals, events, expected) in cases {
        assert_eq!(brake(removals, events), expected, "{removals} of {events}");
    }
}
