//! The whole payment core in a world that follows from a seed: virtual time, callers, two carriers, a biller, two outside providers
//! of payment accounts, a merchant with its receiver of webhooks, an agent and staff, a database that loses and is slow, outsides
//! that delay, repeat, reorder and contradict, and a process that dies between any two steps.
//!
//! `KEYTONE_SEED=7 cargo test --test it simulation::one_seed -- --nocapture` runs one seed and tells everything that happens;
//! `scripts/simulate` runs many.

mod bills;
mod carrier;
mod charging;
mod check;
mod desk;
mod dice;
mod holder;
mod run;
mod shop;
mod world;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keytone::clock::Clock;
use keytone::payment::run::crash::MISTAKES;

use crate::support::market::provider;

/// Seeds that every run of the tests takes.
const SEEDS: u64 = 2_000;
/// Seeds within which a planted mistake must show.
const SEEDS_OF_A_MISTAKE: u64 = 1_200;
/// Seeds run at once.
const THREADS: usize = 2;
/// The most processor time that a thread's part of [`SEEDS`] may take: how long they last depends on what else runs.
const PATIENCE: Duration = Duration::from_secs(150);

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
    "paid_by_us_taken_as_refused",
    "order_key_lost",
    "order_not_written_when_paid",
    "release_not_told",
    "webhook_done_before_it_left",
    "answer_lost",
    "proposal_lost",
    "refund_not_counted",
    "audit_row_lost",
    "reservation_lost",
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Tells how far a long run is, and keeps where it may go on.
struct Progress {
    count: u64,
    started: Instant,
    done: AtomicU64,
    /// What each thread works on.
    at: [AtomicU64; THREADS],
    /// Where the first seed that is not done is kept.
    mark: Option<OsString>,
}

impl Progress {
    fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let Some(mark) = &self.mark else { return };
        if done.is_multiple_of(100) || done == self.count {
            let first = self.at.iter().map(|at| at.load(Ordering::Relaxed)).min().unwrap();
            std::fs::write(mark, first.to_string()).unwrap();
            let per_second = done as f64 / (Clock::machine().instant() - self.started).as_secs_f64();
            let left = (self.count - done) as f64 / per_second / 60.0;
            let end = if std::io::stderr().is_terminal() { "\r" } else { "\n" };
            if end == "\r" || done.is_multiple_of(1_000) {
                eprint!("{done} of {} seeds, {per_second:.0}/s, {left:.0} minutes left {end}", self.count);
            }
        }
    }
}

/// What this thread has worked so far.
fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

/// Runs seeds on two threads; the failing ones with what is wrong, and the longest that a thread worked.
fn run(from: u64, count: u64) -> (Vec<(u64, Vec<String>)>, Duration) {
    provider();
    let next = AtomicU64::new(from);
    let progress = Progress {
        count,
        started: Clock::machine().instant(),
        done: AtomicU64::new(0),
        at: Default::default(),
        mark: std::env::var_os("KEYTONE_MARK"),
    };
    let work = &|thread: usize| {
        let mut failed = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            progress.at[thread].store(seed, Ordering::Relaxed);
            if seed >= from + count {
                return (failed, worked());
            }
            if let Err(faults) = run::seed(seed, None) {
                eprintln!("seed {seed} fails; to see it again: KEYTONE_SEED={seed} scripts/simulate");
                failed.push((seed, faults));
            }
            progress.step();
        }
    };
    let ended: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let most = ended.iter().map(|(_, worked)| *worked).max().unwrap_or_default();
    let mut failed: Vec<_> = ended.into_iter().flat_map(|(failed, _)| failed).collect();
    failed.sort();
    (failed, most)
}

#[test]
fn every_seed_keeps_the_books() {
    let count = number("KEYTONE_SEEDS").unwrap_or(SEEDS);
    let started = Clock::machine().instant();
    let (failed, worked) = run(number("KEYTONE_FIRST_SEED").unwrap_or(0), count);
    let took = Clock::machine().instant() - started;
    println!("{count} seeds in {took:?}, {worked:?} of one processor");
    let shown: Vec<String> = failed
        .iter()
        .take(10)
        .map(|(seed, faults)| {
            format!(
                "KEYTONE_SEED={seed} cargo test --test it simulation::one_seed -- --nocapture\n    {}",
                faults.join("\n    ")
            )
        })
        .collect();
    assert!(failed.is_empty(), "{} of {count} seeds fail:\n{}", failed.len(), shown.join("\n"));
    assert!(count > SEEDS || worked < PATIENCE, "too slow: {worked:?}");
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
