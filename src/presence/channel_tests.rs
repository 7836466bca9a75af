//! The numbered sentences about channels and commands that the case table does not cover.

use super::test_world::*;
use super::*;
use crate::model::Window;

fn wanted(target: Option<&str>, from: &str, until: &str) -> Wanted {
    Wanted {
        value: target.map(Value::forwarded_to),
        from_ms: Some(at(from)),
        until_ms: Some(at(until)),
        as_of_ms: Some(at("08:00")),
    }
}

fn forwarding() -> ChannelState {
    ChannelState::new(Channel::Forwarding)
}

impl ChannelState {
    fn on(self, time: &str, input: Input<'_>) -> ChannelState {
        self.step("anna", at(time), input).state
    }

    fn wants(self, time: &str, target: Option<&str>, from: &str, until: &str) -> ChannelState {
        self.on(time, Input::Evaluate(&wanted(target, from, until)))
    }

    fn answers(self, time: &str, answer: Answer) -> ChannelState {
        let state = self.on(time, Input::Sending);
        let id = state.pending.as_ref().unwrap().command.id.clone();
        state.on(time, Input::Answered { id: &id, answer, roll: 0 })
    }

    fn sees(self, time: &str, target: &str, wanted: &Wanted) -> ChannelState {
        self.on(time, Input::Observed { value: &Value::forwarded_to(target), wanted })
    }

    fn command(&self) -> Option<(Option<String>, bool)> {
        let command = &self.pending.as_ref()?.command;
        let target = command.set.as_ref().map(|value| match value {
            Value::Forwarding(forwarding) => forwarding.target.clone(),
            Value::Presence { .. } | Value::Text { .. } => panic!("a forwarding"),
        });
        Some((target, command.is_release))
    }
}

fn set(target: &str) -> Option<(Option<String>, bool)> {
    Some((Some(target.to_owned()), false))
}

#[test]
fn r10_2_later_values_replace_each_other_and_the_baseline_stays_the_first() {
    let state = forwarding().sees("09:00", "MOBILE", &wanted(None, "08:00", "10:00"));
    let state = state.wants("10:00", Some("VM"), "10:00", "11:00");
    assert!(state.owned.is_some(), "ownership is stored before the command goes out");
    let state = state.answers("10:00", Answer::Applied).wants("11:00", Some("200"), "11:00", "12:00");
    assert_eq!(state.command(), set("200"));
    let state = state.answers("11:00", Answer::Applied).wants("12:00", None, "12:00", "13:00");
    assert_eq!(state.command(), Some((Some("MOBILE".into()), true)));
    let state = state.answers("12:00", Answer::Applied);
    assert_eq!((state.owned, state.pending), (None, None));
}

#[test]
fn r10_2_a_value_that_is_in_force_already_is_owned_without_a_command() {
    let state = forwarding().sees("09:00", "VM", &wanted(None, "08:00", "10:00"));
    let state = state.wants("10:00", Some("VM"), "10:00", "11:00");
    assert!(state.owned.is_some() && state.pending.is_none());
    let state = state.wants("11:00", None, "11:00", "12:00");
    assert_eq!((state.owned, state.pending), (None, None));
}

#[test]
fn r10_3_a_moved_end_alone_sends_nothing() {
    let state = forwarding().wants("10:00", Some("VM"), "10:00", "11:00").answers("10:00", Answer::Applied);
    let state = state.wants("10:30", Some("VM"), "10:00", "12:00");
    assert_eq!(state.pending, None);
    let waiting = forwarding().wants("10:00", Some("VM"), "10:00", "11:00");
    let key = waiting.pending.clone().unwrap().command.idempotency_key;
    let waiting = waiting.wants("10:01", Some("VM"), "10:00", "12:00");
    let command = waiting.pending.unwrap().command;
    assert_eq!((command.idempotency_key, command.valid_until_ms), (key, Some(at("12:00"))));
}

#[test]
fn r10_4_a_yield_ends_when_something_else_is_wanted() {
    let held = wanted(Some("VM"), "10:00", "11:00");
    let armed = forwarding().wants("10:00", Some("VM"), "10:00", "11:00").answers("10:00", Answer::Applied);
    let state = armed.sees("10:30", "MOBILE", &held);
    assert_eq!((&state.owned, &state.pending), (&None, &None));
    let state = state.wants("10:31", Some("VM"), "10:00", "12:00");
    assert_eq!(state.pending, None, "extension prolongs the yield");
    let other = state.clone().wants("11:30", Some("200"), "11:30", "12:00");
    assert_eq!(other.command(), set("200"));
    assert_eq!(other.owned.unwrap().baseline, Some(Value::forwarded_to("MOBILE")));
    let later = state.wants("14:10", Some("VM"), "14:00", "15:00");
    assert_eq!(later.command(), set("VM"), "asleep in between, another stretch arms anew");
}

#[test]
fn r10_4_a_report_of_our_own_value_is_no_yield() {
    let held = wanted(Some("VM"), "10:00", "11:00");
    let armed = forwarding().wants("10:00", Some("VM"), "10:00", "11:00");
    let lost = armed.answers("10:00", Answer::Lost);
    let seen = lost.clone().sees("10:01", "VM", &held).wants("10:01", Some("VM"), "10:00", "11:00");
    assert_eq!((seen.pending, seen.is_unclear, seen.owned.is_some()), (None, false, true));
    let not_applied = lost.sees("10:01", "none", &held).wants("10:01", Some("VM"), "10:00", "11:00");
    assert_eq!(not_applied.command(), set("VM"));
}

#[test]
fn r11_2_names_stay_for_retries_and_are_never_used_again() {
    let state = forwarding().wants("10:00", Some("VM"), "10:00", "11:00");
    let first = state.pending.clone().unwrap().command;
    let state = state.answers("10:00", Answer::Refused).wants("10:01", Some("VM"), "10:00", "11:00");
    assert_eq!(state.pending.clone().unwrap().command, first);
    let state = state.answers("10:01", Answer::Applied).wants("10:20", None, "10:20", "10:30");
    let state = state.answers("10:20", Answer::Applied).wants("10:30", Some("VM"), "10:00", "11:00");
    let again = state.pending.unwrap().command;
    assert_ne!((again.id, again.idempotency_key), (first.id, first.idempotency_key));
}

#[test]
fn r11_3_refusals_are_retried_after_1_2_5_15_60_seconds() {
    let mut state = forwarding().wants("10:00", Some("VM"), "10:00", "11:00");
    let mut now_ms = at("10:00");
    for seconds in [1, 2, 5, 15, 60, 60] {
        let id = state.due(now_ms).unwrap().id.clone();
        state = state.step("anna", now_ms, Input::Sending).state;
        assert_eq!(state.due(now_ms), None, "in flight");
        let refused = Input::Answered { id: &id, answer: Answer::Refused, roll: 0 };
        state = state.step("anna", now_ms, refused).state;
        assert_eq!(state.next_due_ms(), Some(now_ms + seconds * 1_000));
        assert_eq!(state.due(now_ms), None);
        now_ms += seconds * 1_000;
    }
    assert!(state.due(at("08:00")).is_some(), "a clock put far back does not delay it");
}

#[test]
fn r11_3_a_first_arming_refused_until_its_end_leaves_nothing_to_do() {
    let state = forwarding().wants("10:00", Some("VM"), "10:00", "11:00").answers("10:00", Answer::Refused);
    let state = state.wants("11:00", None, "11:00", "12:00");
    assert_eq!((state.owned, state.pending), (None, None));
}

#[test]
fn r11_3_a_refused_release_is_kept_when_the_same_is_wanted_again() {
    let armed = forwarding().wants("10:00", Some("VM"), "10:00", "11:00").answers("10:00", Answer::Applied);
    let owed = armed.wants("11:00", None, "11:00", "12:00").answers("11:00", Answer::Refused);
    assert!(owed.owned.is_some());
    let kept = owed.clone().wants("12:00", Some("VM"), "12:00", "13:00");
    assert_eq!((kept.pending, kept.owned.is_some()), (None, true));
    assert_eq!(owed.wants("11:01", None, "11:00", "12:00").command(), Some((None, true)), "it stays owed");
}

#[test]
fn r11_4_without_an_answer_the_command_or_the_newer_one_is_sent_again() {
    let lost = forwarding().wants("10:00", Some("VM"), "10:00", "11:00").answers("10:00", Answer::Lost);
    let first = lost.pending.clone().unwrap().command;
    let still = lost.clone().wants("10:01", Some("VM"), "10:00", "11:00");
    assert_eq!(still.pending.unwrap().command, first);
    let over = lost.wants("11:00", None, "11:00", "12:00");
    assert_eq!(over.command(), Some((None, true)), "perhaps it was applied");
    let crashed = forwarding().wants("10:00", Some("VM"), "10:00", "11:00").on("10:00", Input::Sending);
    let back = crashed.on("10:05", Input::Started).wants("10:05", Some("VM"), "10:00", "11:00");
    assert_eq!(back.due(at("10:05")), Some(&first), "a crash is no answer");
}

#[test]
fn r11_4_a_command_replaced_in_flight_was_perhaps_applied() {
    let flying = forwarding().wants("10:00", Some("VM"), "10:00", "11:00").on("10:00", Input::Sending);
    let id = flying.pending.clone().unwrap().command.id;
    let state = flying.wants("10:01", None, "10:01", "11:00");
    assert_eq!(state.command(), Some((None, true)));
    let late = state.clone().on("10:02", Input::Answered { id: &id, answer: Answer::Applied, roll: 0 });
    assert_eq!(late, state);
}

#[test]
fn r11_2_a_receiver_with_a_newer_mirror_waits_for_ours() {
    let stale = forwarding().wants("10:00", Some("VM"), "10:00", "11:00").answers("10:00", Answer::Stale);
    let stale = stale.wants("10:10", Some("VM"), "10:00", "11:00");
    assert_eq!(stale.due(at("10:10")), None);
    let synced = Wanted { as_of_ms: Some(at("10:11")), ..wanted(Some("VM"), "10:00", "11:00") };
    let fresh = stale.on("10:11", Input::Evaluate(&synced));
    assert_eq!(fresh.due(at("10:11")).unwrap().as_of_ms, Some(at("10:11")));
}

#[test]
fn r11_1_commands_on_the_wire() {
    let mut world = World::new(vec![event("A", "10:00", "11:00")]);
    world.run("09:00", "11:00");
    let wires: Vec<_> = world.log.iter().map(|(_, command)| command.wire(&berlin())).collect();
    insta::assert_json_snapshot!(wires);
}

#[test]
fn r12_1_two_evaluations_in_a_row_send_nothing_twice() {
    let mut world = World::new(vec![event("A", "10:00", "11:00")]);
    for _ in 0..3 {
        world.tick("10:10");
    }
    assert_eq!(world.commands(), "10:10 VM");
}

#[test]
fn r11_4_a_telephone_system_that_never_answers_gets_one_command_a_retry() {
    let mut world = World::new(vec![event("A", "10:00", "11:00")]);
    world.mute = vec![Window { from_ms: at("09:00"), to_ms: at("10:00:02") }];
    world.run("09:00", "12:00");
    assert_eq!(world.commands(), "10:00 VM, 10:00:01 VM, 10:00:03 VM, 11:00 –");
    assert_eq!(world.phone, None);
}

#[test]
fn r11_2_a_lost_command_of_an_earlier_stretch_is_not_sent_for_a_later_one() {
    let lost = forwarding().wants("10:00", Some("VM"), "10:00", "11:00").answers("10:00", Answer::Lost);
    let key = |state: &ChannelState| state.pending.as_ref().unwrap().command.idempotency_key.clone();
    let same = lost.clone().wants("10:30", Some("VM"), "10:00", "11:00");
    assert_eq!(key(&same), key(&lost), "a retry");
    let later = lost.clone().wants("12:00", Some("VM"), "12:00", "13:00");
    assert_eq!(later.command(), set("VM"));
    assert_ne!(
        key(&later),
        key(&lost),
        "the receiver may have carried that out, and been set otherwise since"
    );
}
