use super::test_world::*;
use super::*;

fn found(settings: &PresenceSettings) -> Vec<String> {
    let found = check(settings, &lines());
    found.iter().map(|finding| format!("{} {}", finding.level.code(), finding.key)).collect()
}

#[test]
fn the_policy_of_the_paper_has_only_what_it_has() {
    let mut settings = settings(&Terms::default());
    settings
        .profiles
        .as_mut()
        .unwrap()
        .retain(|profile| !matches!(profile.name.as_str(), "OFF" | "OWN" | "STRICT"));
    assert_eq!(
        found(&settings),
        [
            "warning presence.profile.OFFWORK",
            "warning presence.profile.DND",
            "warning presence.actuator",
            "warning presence.actuator"
        ]
    );
}

#[test]
fn shadowed_rules_free_time_and_missing_profiles_are_found() {
    let terms = Terms {
        rules: "{ name = \"kunde\", when = { subject_prefix = [\"Kunde\"] }, profile = \"CUST\" },
                { name = \"big\", when = { subject_prefix = [\"KUNDE: Groß\"], show_as = [\"busy\"] }, profile = \"BUSY\" },
                { name = \"own\", when = { show_as = [\"busy\"], sensitivity = [\"private\"] }, profile = \"OWN\" },",
        ..Terms::default()
    };
    let mut settings = settings(&terms);
    settings.off_hours_profile = Some("NIGHT".into());
    let found = found(&settings);
    for expected in [
        "error presence.off_hours_profile",
        "warning presence.rule.kunde.when",
        "warning presence.rule.big.when",
        "error presence.profile.OWN.forwarding.target",
    ] {
        assert!(found.iter().any(|line| line == expected), "{expected} in {found:?}");
    }
    assert!(!found.iter().any(|line| line.contains("rule.own") || line.contains("rule.rest")), "{found:?}");
}

#[test]
fn hours_and_actuators_that_cannot_work_are_found() {
    let mut settings = settings(&Terms::default());
    let hours = settings.working_hours.as_mut().unwrap();
    (hours.start, hours.end) = (hours.end, hours.start);
    let actuator = Actuator {
        secret_env: None,
        secret_file: None,
        timeout: None,
        channels: vec![Channel::Forwarding],
        kind: ActuatorKind::Teams,
        program: Vec::new(),
        url: None,
    };
    settings.actuators = Some(vec![actuator.clone(), actuator]);
    let found = found(&settings);
    assert!(found.contains(&"error presence.working_hours.end".to_owned()), "{found:?}");
    assert!(found.contains(&"warning presence.actuator.forwarding".to_owned()), "{found:?}");
    assert!(found.contains(&"error presence.actuator.forwarding".to_owned()), "{found:?}");
}
