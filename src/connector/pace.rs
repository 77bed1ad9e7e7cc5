//! How fast requests may leave: an even pace with a small burst, and no wait longer than a bound.
//!
//! Pure: time comes as a parameter, and waiting is left to the caller.

use std::time::{Duration, Instant};

/// The fastest pace that can be told apart from none, in requests a second.
pub const RATE_MAX: u32 = 100_000;

/// `[limits]` of a connector's file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Requests a second; `None` for no limit.
    pub rate: Option<u32>,
    /// Requests that may leave together after a rest.
    pub burst: u32,
    /// Requests under way at once.
    pub at_once: usize,
    /// The longest that a request waits for its turn.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rate: None, burst: 1, at_once: 64, wait: Duration::from_secs(2) }
    }
}

/// When the next request may leave.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Time between two requests.
    step: Duration,
    /// How far ahead of the even pace a request may be.
    slack: Duration,
    /// When the even pace has room for the next one.
    due: Option<Instant>,
}

impl Pace {
    /// A pace with its whole burst unused.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let step =
            limits.rate.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.clamp(1, RATE_MAX));
        Self { step, slack: step * limits.burst.saturating_sub(1), due: None }
    }

    /// Takes a turn: how long to wait for it.
    ///
    /// # Errors
    /// How long it would have been, when that is longer than `bound`; no turn is taken then.
    pub fn turn(&mut self, now: Instant, bound: Duration) -> Result<Duration, Duration> {
        let due = self.due.map_or(now, |due| due.max(now));
        let ahead = due.saturating_duration_since(now);
        let wait = ahead.saturating_sub(self.slack);
        if wait > bound {
            return Err(wait);
        }
        self.due = Some(due + self.step);
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start() -> Instant {
        crate::clock::Clock::manual(crate::clock::Timestamp(0)).instant()
    }

    #[test]
    fn a_burst_leaves_together_and_the_rest_one_step_apart() {
        let t0 = start();
        let mut pace = Pace::new(&Limits { rate: Some(10), burst: 2, ..Limits::default() });
        let bound = Duration::from_millis(250);
        let waits: Vec<_> = (0..5).map(|_| pace.turn(t0, bound).map(|d| d.as_millis())).collect();
        assert_eq!(waits[..4], [Ok(0), Ok(0), Ok(100), Ok(200)]);
        assert_eq!(waits[4], Err(Duration::from_millis(300)));
        assert_eq!(pace.turn(t0, bound), Err(Duration::from_millis(300)), "a refused turn is not taken");
        assert_eq!(pace.turn(t0 + Duration::from_secs(9), bound), Ok(Duration::ZERO));
        let mut free = Pace::new(&Limits::default());
        assert!((0..1_000).all(|_| free.turn(t0, Duration::ZERO) == Ok(Duration::ZERO)));
    }

    proptest! {
        #[test]
        fn no_second_holds_more_than_the_rate_and_the_burst(
            rate in 1_u32..50,
            burst in 1_u32..10,
            pauses in prop::collection::vec(0_u64..200, 1..200),
        ) {
            let mut now = start();
            let mut pace = Pace::new(&Limits { rate: Some(rate), burst, ..Limits::default() });
            let mut left = Vec::new();
            for pause in pauses {
                now += Duration::from_millis(pause);
                if let Ok(wait) = pace.turn(now, Duration::from_secs(2)) {
                    prop_assert!(wait <= Duration::from_secs(2));
                    left.push(now + wait);
                }
            }
            for first in &left {
                let within = left.iter().filter(|t| *t >= first && **t < *first + Duration::from_secs(1));
                prop_assert!(within.count() <= usize::try_from(rate + burst).unwrap());
            }
        }
    }
}
