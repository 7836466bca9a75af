//! Seeded worlds; see `calmirror::sim`. `CALMIRROR_SEEDS=N` runs N of them, `CALMIRROR_SEED=S` replays one.

use calmirror::sim::{Outcome, run};

/// Worlds of an ordinary test run, in each half.
const SEEDS_DEFAULT: u64 = 300;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn run_all(seeds: impl IntoIterator<Item = u64>) {
    let mut sum = Outcome::default();
    let mut worlds = 0;
    let mut failures = Vec::new();
    for seed in seeds {
        let dir = tempfile::tempdir().unwrap();
        worlds += 1;
        match run(seed, dir.path()) {
            Ok(outcome) => {
                sum.pulls += outcome.pulls;
                sum.weather += outcome.weather;
                sum.crashes += outcome.crashes;
                sum.edits += outcome.edits;
                sum.requests += outcome.requests;
                sum.events += outcome.events;
                sum.acts += outcome.acts;
                sum.pushed += outcome.pushed;
                sum.parked += outcome.parked;
                sum.conflicts += outcome.conflicts;
                sum.pockets += outcome.pockets;
            }
            Err(failure) => {
                failures.push(format!("{failure}\nreplay: CALMIRROR_SEED={seed} cargo test --test it sim"))
            }
        }
    }
    println!("{worlds} worlds: {sum:?}");
    assert!(failures.is_empty(), "{} of {worlds} worlds failed\n{}", failures.len(), failures.join("\n"));
    // A world in which nothing happens proves nothing.
    assert!(
        worlds < 50
            || (sum.crashes > 0
                && sum.weather > 0
                && sum.edits > worlds
                && sum.pushed > worlds
                && sum.pockets > 0),
        "{sum:?}"
    );
}

#[test]
fn worlds_with_even_seeds_converge() {
    let count = number("CALMIRROR_SEEDS").unwrap_or(SEEDS_DEFAULT);
    if number("CALMIRROR_SEED").is_none() {
        run_all((0..count).filter(|seed| seed % 2 == 0));
    }
}

#[test]
fn worlds_with_odd_seeds_converge() {
    let count = number("CALMIRROR_SEEDS").unwrap_or(SEEDS_DEFAULT);
    match number("CALMIRROR_SEED") {
        Some(seed) => run_all([seed]),
        None => run_all((0..count).filter(|seed| seed % 2 == 1)),
    }
}

#[test]
fn worlds_that_once_failed_converge() {
    let kept = include_str!("../../fixtures/seeds.txt");
    run_all(
        kept.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_whitespace().next()?.parse().ok()),
    );
}

#[test]
fn a_seed_replays_exactly() {
    let outcomes: Vec<Outcome> = (0..2)
        .map(|_| {
            let dir = tempfile::tempdir().unwrap();
            run(4, dir.path()).unwrap()
        })
        .collect();
    assert_eq!(outcomes[0], outcomes[1]);
}
