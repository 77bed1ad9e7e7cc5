//! The whole payment core in a world that follows from a seed: virtual time, callers, two carriers and a database that lose,
//! delay, repeat and contradict, and a process that dies between any two steps.
//!
//! `KEYTONE_SEED=7 cargo test --test it simulation::one_seed -- --nocapture` runs one seed and tells everything that happens;
//! `scripts/simulate` runs many.

mod carrier;
mod check;
mod dice;
mod run;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keytone::clock::Clock;
use keytone::payment::run::crash::MISTAKES;

use crate::support::market::provider;

/// Seeds that every run of the tests takes.
const SEEDS: u64 = 2_000;
/// Seeds within which a planted mistake must show.
const SEEDS_OF_A_MISTAKE: u64 = 400;
/// The longest that [`SEEDS`] may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Mistakes that are planted in the ports of the core; those in the core itself are its [`MISTAKES`].
const PLANTED: &[&str] = &[
    "hold_not_counted",
    "void_on_timeout",
    "not_found_taken_at_once",
    "amount_not_compared",
    "expiry_kept_at_submit",
    "limit_not_given_back",
    "limits_forgotten",
    "duplicate_guard_dropped",
    "pair_not_written",
    "lost_commit_taken_for_written",
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs seeds on two threads; the failing ones with what is wrong.
fn run(from: u64, count: u64) -> Vec<(u64, Vec<String>)> {
    provider();
    let (next, done) = (AtomicU64::new(from), AtomicU64::new(0));
    let shown = std::env::var_os("KEYTONE_PROGRESS").is_some();
    let started = Clock::machine().instant();
    let work = || {
        let mut failed = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                return failed;
            }
            if let Err(faults) = run::seed(seed, None) {
                failed.push((seed, faults));
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if shown && done.is_multiple_of(100) {
                let per_second = done as f64 / (Clock::machine().instant() - started).as_secs_f64();
                eprint!("\r{done} of {count} seeds, {per_second:.0}/s, {} failed ", failed.len());
            }
        }
    };
    let mut failed = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    failed.sort();
    failed
}

#[test]
fn every_seed_keeps_the_books() {
    let count = number("KEYTONE_SEEDS").unwrap_or(SEEDS);
    let started = Clock::machine().instant();
    let failed = run(number("KEYTONE_FIRST_SEED").unwrap_or(0), count);
    let took = Clock::machine().instant() - started;
    println!("{count} seeds in {took:?}");
    let shown: Vec<String> = failed
        .iter()
        .take(10)
        .map(|(seed, faults)| format!("KEYTONE_SEED={seed}\n    {}", faults.join("\n    ")))
        .collect();
    assert!(failed.is_empty(), "{} of {count} seeds fail:\n{}", failed.len(), shown.join("\n"));
    assert!(count > SEEDS || took < PATIENCE, "too slow: {took:?}");
}

/// One seed alone, with everything that happens; a planted mistake by `KEYTONE_PLANTED`.
#[test]
fn one_seed() {
    provider();
    let planted = std::env::var("KEYTONE_PLANTED").ok();
    let bug = PLANTED.iter().chain(MISTAKES).copied().find(|bug| Some(*bug) == planted.as_deref());
    let told = run::seed(number("KEYTONE_SEED").unwrap_or(1), bug);
    assert!(told.is_ok(), "{told:#?}");
}

#[test]
fn a_seed_does_the_same_again() {
    provider();
    for seed in 0..20 {
        let twice = [(); 2].map(|()| run::seed(seed, None).map(|told| (told.crashes, told.payments)));
        assert_eq!(twice[0], twice[1], "seed {seed}");
    }
}

#[test]
fn every_planted_mistake_is_found() {
    provider();
    let mistakes: Vec<&'static str> = PLANTED.iter().chain(MISTAKES).copied().collect();
    let next = AtomicU64::new(0);
    let work = || {
        let mut missed = Vec::new();
        while let Some(bug) = mistakes.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap()) {
            match (0..SEEDS_OF_A_MISTAKE).find_map(|seed| Some((seed, run::seed(seed, Some(bug)).err()?))) {
                Some((seed, faults)) => println!("{bug}: seed {seed}: {}", faults[0]),
                None => missed.push(*bug),
            }
        }
        missed
    };
    let missed = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(missed.is_empty(), "not found: {missed:?}");
}
