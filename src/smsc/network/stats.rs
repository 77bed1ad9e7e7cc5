//! What the network counts.

use std::time::{Duration, Instant};

use serde::Serialize;

/// Slices of a second in a [`Rate`].
const SLICES: usize = 10;
const SLICE: Duration = Duration::from_millis(100);

/// Counted since the start.
#[derive(Debug, Default, Serialize)]
pub(super) struct Counts {
    pub(super) connects: u64,
    pub(super) binds: u64,
    pub(super) binds_refused: u64,
    pub(super) submits: u64,
    pub(super) submits_taken: u64,
    pub(super) throttled: u64,
    pub(super) responses_dropped: u64,
    pub(super) delivers: u64,
    pub(super) redelivers: u64,
    pub(super) delivers_answered: u64,
    /// Deliveries that were given up.
    pub(super) delivers_lost: u64,
    pub(super) receipts: u64,
    /// Responses to nothing that was asked.
    pub(super) strays: u64,
    pub(super) bad_pdus: u64,
    pub(super) links_cut: u64,
    /// The most submits of one link that were unanswered at once.
    pub(super) window_max: usize,
}

/// How many in the last second, to a tenth of it.
#[derive(Debug)]
pub(super) struct Rate {
    slices: [u64; SLICES],
    at: usize,
    since: Instant,
    sum: u64,
    most: u64,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self { slices: [0; SLICES], at: 0, since: now, sum: 0, most: 0 }
    }

    fn turn(&mut self, now: Instant) {
        if now.saturating_duration_since(self.since) >= SLICE * 20 {
            *self = Self { most: self.most, ..Self::new(now) };
        }
        while now.saturating_duration_since(self.since) >= SLICE {
            self.since += SLICE;
            self.at = (self.at + 1) % SLICES;
            if let Some(slice) = self.slices.get_mut(self.at) {
                self.sum -= *slice;
                *slice = 0;
            }
        }
    }

    pub(super) fn add(&mut self, now: Instant) {
        self.turn(now);
        if let Some(slice) = self.slices.get_mut(self.at) {
            *slice += 1;
        }
        self.sum += 1;
        self.most = self.most.max(self.sum);
    }

    /// In the last second.
    pub(super) fn now(&mut self, now: Instant) -> u64 {
        self.turn(now);
        self.sum
    }

    /// The most in any second.
    pub(super) const fn most(&self) -> u64 {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_rate_is_of_the_last_second() {
        let start = Clock::machine().instant();
        let at = |ms| start + Duration::from_millis(ms);
        let mut rate = Rate::new(start);
        for ms in 0..2_000 {
            rate.add(at(ms));
        }
        assert!((900..=1_000).contains(&rate.now(at(1_999))), "{}", rate.now(at(1_999)));
        assert!((400..=500).contains(&rate.now(at(2_500))), "{}", rate.now(at(2_500)));
        assert_eq!(rate.now(at(4_000)), 0);
        rate.add(at(60_000));
        assert_eq!((rate.now(at(60_000)), rate.most()), (1, 1_000));
    }
}
