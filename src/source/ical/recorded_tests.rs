//! Rules as another library expands them: a recorded sample, or the file that `tests/ical/run` has just written.

use serde_json::Value;

use super::property::{When, date_or_time};
use super::rule::{Budget, Rule, Until};

fn wall(text: &str) -> chrono::NaiveDateTime {
    match date_or_time(text).unwrap().0 {
        When::Time(time) => time,
        When::Date(date) => date.and_hms_opt(0, 0, 0).unwrap(),
    }
}

#[test]
fn rules_give_the_dates_that_dateutil_gives() {
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/ical/expansions.json");
    #[expect(clippy::disallowed_methods, reason = "a test that is pointed at a larger sample")]
    let path = std::env::var("CALMIRROR_EXPANSIONS").unwrap_or_else(|_| recorded.to_owned());
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (from, to) = (wall("20260101T000000"), wall("20280101T000000"));
    let mut differing = Vec::new();
    for case in &cases {
        let text = case["rule"].as_str().unwrap();
        let rule = Rule::read(text).unwrap_or_else(|| panic!("{text}"));
        let until = rule.until.map(|until| match until {
            Until::Wall(wall) | Until::Utc(wall) => wall,
        });
        let start = wall(case["start"].as_str().unwrap());
        let (dates, short) = rule.dates(start, until, (from, to), 100_000, &mut Budget::default());
        let written: Vec<String> =
            dates.iter().map(|date| date.format("%Y%m%dT%H%M%S").to_string()).collect();
        let theirs: Vec<&str> =
            case["dates"].as_array().unwrap().iter().map(|date| date.as_str().unwrap()).collect();
        let count = case["count"].as_u64().unwrap() as usize;
        if short.is_some()
            || written.len() != count
            || !written.iter().zip(&theirs).all(|(ours, theirs)| ours == theirs)
        {
            differing.push(format!("{start} {text}: {} for {count}, {short:?}", written.len()));
        }
    }
    assert!(differing.is_empty(), "{} of {}:\n{}", differing.len(), cases.len(), differing.join("\n"));
}
