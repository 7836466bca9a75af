use crate::model::{Response, Sensitivity, ShowAs};
use crate::presence::{Hours, Rule, RuleOutcome, Simple, When};

/// The rules that the simple form stands for, in this order; a situation without a profile has no rule.
///
/// 1. cancelled, 2. declined (with `only_accepted` also tentatively answered and unanswered), 3. free: ignored;
/// 4. private, 5. out of office, 6. working elsewhere, 7. tentative, 8. answered tentatively, 9. all-day, 10. busy.
///
/// Private comes before every kind of time: who names a profile for it wants nothing else shown. Without their
/// profiles, private, tentatively answered and all-day events of busy time are busy. `lead` and `tail` belong to
/// every claim. The rules are named `simple.cancelled`, … `simple.busy` and follow the written ones.
pub(super) fn rules(simple: &Simple) -> Vec<Rule> {
    let unanswered: &[Response] =
        if simple.only_accepted { &[Response::Tentative, Response::NotResponded] } else { &[] };
    let declined = [&[Response::Declined], unanswered].concat();
    let ignored = [
        ("cancelled", When { cancelled: Some(true), ..When::default() }),
        ("declined", When { response: declined, ..When::default() }),
        ("free", When { show_as: vec![ShowAs::Free], ..When::default() }),
    ];
    let shows = |show_as| When { show_as: vec![show_as], ..When::default() };
    let claimed = [
        (
            "private",
            &simple.private,
            When { sensitivity: vec![Sensitivity::Private, Sensitivity::Confidential], ..When::default() },
        ),
        ("oof", &simple.oof, shows(ShowAs::Oof)),
        ("working_elsewhere", &simple.working_elsewhere, shows(ShowAs::WorkingElsewhere)),
        ("tentative", &simple.tentative, shows(ShowAs::Tentative)),
        (
            "answered_tentatively",
            &simple.tentative,
            When { response: vec![Response::Tentative], ..When::default() },
        ),
        ("all_day", &simple.all_day, When { all_day: Some(true), ..When::default() }),
        ("busy", &simple.busy, shows(ShowAs::Busy)),
    ];
    let rule = |name: &str, when: When, outcome: RuleOutcome| Rule {
        name: format!("simple.{name}"),
        when,
        outcome,
        priority: 0,
        lead: simple.lead,
        tail: simple.tail,
        min_duration: std::time::Duration::ZERO,
        hours: Hours::Any,
    };
    let ignored = ignored.into_iter().map(|(name, when)| rule(name, when, RuleOutcome::Ignore(true)));
    let claimed = claimed
        .into_iter()
        .filter_map(|(name, profile, when)| Some(rule(name, when, RuleOutcome::Profile(profile.clone()?))));
    ignored.chain(claimed).collect()
}
