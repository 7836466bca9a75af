//! Seeded worlds of presence; see `calmirror::sim`. `CALMIRROR_SEEDS=N` runs N of them, `CALMIRROR_SEED=S` replays one.

use calmirror::sim::{Lived, run_presence};

/// Worlds of an ordinary test run.
const SEEDS_DEFAULT: u64 = 100;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn run_all(seeds: impl IntoIterator<Item = u64>) {
    let mut sum = Lived::default();
    let mut worlds = 0;
    let mut failures = Vec::new();
    for seed in seeds {
        let dir = tempfile::tempdir().unwrap();
        worlds += 1;
        match run_presence(seed, dir.path()) {
            Ok(lived) => {
                sum.ticks += lived.ticks;
                sum.effects += lived.effects;
                sum.failures += lived.failures;
                sum.crashes += lived.crashes;
                sum.hands += lived.hands;
                sum.choices += lived.choices;
                sum.jumps += lived.jumps;
                sum.forwarded += lived.forwarded;
                sum.recomputed += lived.recomputed;
            }
            Err(failure) => failures
                .push(format!("{failure}\nreplay: CALMIRROR_SEED={seed} cargo test --test it presence_sim")),
        }
    }
    println!("{worlds} worlds: {sum:?}");
    assert!(failures.is_empty(), "{} of {worlds} worlds failed\n{}", failures.len(), failures.join("\n"));
    // A world in which nothing happens proves nothing.
    let parts = [sum.effects, sum.failures, sum.crashes, sum.hands, sum.choices, sum.recomputed];
    assert!(worlds < 50 || parts.iter().all(|part| *part > worlds / 4), "{sum:?}");
    // Clocks jump in a quarter of the worlds, those with one device whose telephone ignores the age of mirrors.
    assert!(worlds < 50 || sum.jumps > worlds / 8, "{sum:?}");
}

#[test]
fn presence_worlds_with_even_seeds_agree_with_the_telephone() {
    let count = number("CALMIRROR_SEEDS").unwrap_or(SEEDS_DEFAULT);
    if number("CALMIRROR_SEED").is_none() {
        run_all((0..count).filter(|seed| seed % 2 == 0));
    }
}

#[test]
fn presence_worlds_with_odd_seeds_agree_with_the_telephone() {
    let count = number("CALMIRROR_SEEDS").unwrap_or(SEEDS_DEFAULT);
    match number("CALMIRROR_SEED") {
        Some(seed) => run_all([seed]),
        None => run_all((0..count).filter(|seed| seed % 2 == 1)),
    }
}

#[test]
fn a_presence_seed_replays_exactly() {
    let lived: Vec<Lived> = (0..2)
        .map(|_| {
            let dir = tempfile::tempdir().unwrap();
            run_presence(5, dir.path()).unwrap()
        })
        .collect();
    assert_eq!(lived[0], lived[1]);
}
