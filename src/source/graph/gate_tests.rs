use super::*;

const NOW_MS: i64 = 1_778_140_800_000;

fn gates(count: usize) -> Vec<Gate> {
    let limits = Arc::new(Limits::default());
    let member = |n: usize| Member { mailbox: format!("/users/{n}"), limits: limits.clone() };
    (0..count).map(|n| Gate::new(Some(member(n)))).collect()
}

#[test]
fn one_throttled_mailbox_pauses_no_other_and_several_pause_all() {
    let gates = gates(THROTTLED_TOGETHER + 1);
    let (last, throttled) = gates.split_last().unwrap();
    for (place, gate) in throttled.iter().enumerate() {
        assert_eq!(last.paused_until_ms(NOW_MS), None, "{place}");
        gate.pause_until(NOW_MS + 5_000, NOW_MS);
        assert_eq!(gate.paused_until_ms(NOW_MS), Some(NOW_MS + 5_000));
    }
    assert_eq!(last.paused_until_ms(NOW_MS), Some(NOW_MS + 5_000));
    assert_eq!(last.paused_until_ms(NOW_MS + 5_000), None);
}

#[test]
fn mailboxes_that_are_throttled_one_after_the_other_pause_only_themselves() {
    let gates = gates(10);
    for (place, gate) in gates.iter().enumerate() {
        let now_ms = NOW_MS + place as i64 * 10_000;
        gate.pause_until(now_ms + 5_000, now_ms);
    }
    assert_eq!(gates[0].paused_until_ms(NOW_MS + 90_000), None);
}

#[test]
fn a_second_has_so_many_requests_whoever_sends_them() {
    let limits = Limits::default();
    for _ in 0..APPLICATION_REQUESTS_PER_SECOND_MAX {
        assert_eq!(limits.wait(NOW_MS + 200), None);
    }
    assert_eq!(limits.wait(NOW_MS + 900), Some(Duration::from_millis(300)));
    assert_eq!(limits.wait(NOW_MS + 1_200), None);
    // A clock that was put back begins a new second.
    assert_eq!(limits.wait(NOW_MS - 60_000), None);
}
