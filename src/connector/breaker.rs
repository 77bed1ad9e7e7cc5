//! A circuit breaker: when too many of the last requests met a broken connection or silence, the next ones are not
//! sent at all for a while, so that callers hear at once that it is not possible now.
//!
//! Pure: time comes as a parameter. Only troubles of the transport count; a refusal is an answer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// At most this many requests are remembered, however long the window.
pub const REMEMBERED_MAX: usize = 1_000;

/// When it opens and closes; `[breaker]` of a connector's file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Thresholds {
    /// How far back requests are looked at.
    pub window: Duration,
    /// Fewer requests than this in the window never open it.
    pub least: usize,
    /// Opens when at least this share of them had trouble, 1 to 100.
    pub percent: u32,
    /// How long it stays open before one request may try.
    pub pause: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { window: Duration::from_secs(30), least: 10, percent: 50, pause: Duration::from_secs(15) }
    }
}

/// Whether requests pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// They do.
    Closed,
    /// They do not.
    Open,
    /// One may, to see.
    HalfOpen,
}

impl State {
    /// The name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// What is remembered.
#[derive(Clone, Debug)]
pub struct Breaker {
    thresholds: Thresholds,
    /// When each request ended and whether it had trouble, oldest first.
    seen: VecDeque<(Instant, bool)>,
    opened: Option<Instant>,
    /// When the request that may try left.
    trying: Option<Instant>,
}

impl Breaker {
    /// Closed, with nothing seen.
    #[must_use]
    pub const fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, seen: VecDeque::new(), opened: None, trying: None }
    }

    /// Its state at `now`.
    #[must_use]
    pub fn state(&self, now: Instant) -> State {
        match self.opened {
            None => State::Closed,
            Some(at) if now.saturating_duration_since(at) < self.thresholds.pause => State::Open,
            Some(_) => State::HalfOpen,
        }
    }

    /// Whether a request may leave now. Half open, one may; another only when nothing was heard of that one for as
    /// long as the pause, since its caller may have gone.
    pub fn admit(&mut self, now: Instant) -> bool {
        match self.state(now) {
            State::Closed => true,
            State::Open => false,
            State::HalfOpen => {
                let busy =
                    self.trying.is_some_and(|at| now.saturating_duration_since(at) < self.thresholds.pause);
                if !busy {
                    self.trying = Some(now);
                }
                !busy
            }
        }
    }

    /// Takes note of how an admitted request ended.
    pub fn record(&mut self, now: Instant, trouble: bool) {
        match self.state(now) {
            // An answer to a request that left before it opened says nothing of the carrier now.
            State::Open => {}
            State::HalfOpen if trouble => {
                self.opened = Some(now);
                self.trying = None;
            }
            State::HalfOpen => {
                self.opened = None;
                self.trying = None;
                self.seen.clear();
            }
            State::Closed => {
                self.forget(now);
                if self.seen.len() >= REMEMBERED_MAX {
                    self.seen.pop_front();
                }
                self.seen.push_back((now, trouble));
                let (calls, troubles) = self.counts();
                let share = troubles.saturating_mul(100);
                let limit = calls.saturating_mul(usize::try_from(self.thresholds.percent).unwrap_or(100));
                if trouble && calls >= self.thresholds.least.max(1) && share >= limit {
                    self.opened = Some(now);
                    self.trying = None;
                }
            }
        }
    }

    /// Requests in the window and how many of them had trouble.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.seen.len(), self.seen.iter().filter(|(_, trouble)| *trouble).count())
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, _)) = self.seen.front() {
            if now.saturating_duration_since(*at) <= self.thresholds.window {
                break;
            }
            self.seen.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const THRESHOLDS: Thresholds =
        Thresholds { window: Duration::from_secs(10), least: 4, percent: 50, pause: Duration::from_secs(5) };

    fn start() -> Instant {
        crate::clock::Clock::manual(crate::clock::Timestamp(0)).instant()
    }

    #[test]
    fn opens_on_the_share_of_troubles_and_closes_after_one_good_answer() {
        let t0 = start();
        let at = |seconds: u64| t0 + Duration::from_secs(seconds);
        let mut breaker = Breaker::new(THRESHOLDS);
        for (second, trouble) in [(0, false), (0, false), (1, true)] {
            assert!(breaker.admit(at(second)));
            breaker.record(at(second), trouble);
        }
        assert_eq!(breaker.state(at(1)), State::Closed, "three of the four that are needed");
        breaker.record(at(2), true);
        assert_eq!(breaker.state(at(2)), State::Open);
        assert!(!breaker.admit(at(6)));
        breaker.record(at(6), false);
        assert_eq!(breaker.state(at(6)), State::Open, "an old answer closes nothing");
        assert_eq!(breaker.state(at(7)), State::HalfOpen);
        assert!(breaker.admit(at(7)));
        assert!(!breaker.admit(at(7)), "one at a time");
        breaker.record(at(8), true);
        assert_eq!(breaker.state(at(12)), State::Open, "the pause begins again");
        assert!(breaker.admit(at(13)));
        assert!(breaker.admit(at(18)), "nothing was heard of the one that tried");
        breaker.record(at(18), false);
        assert_eq!((breaker.state(at(18)), breaker.counts()), (State::Closed, (0, 0)));
    }

    #[test]
    fn what_lies_before_the_window_is_forgotten() {
        let t0 = start();
        let mut breaker = Breaker::new(THRESHOLDS);
        for _ in 0..3 {
            breaker.record(t0, true);
        }
        let later = t0 + Duration::from_secs(11);
        breaker.record(later, true);
        assert_eq!((breaker.state(later), breaker.counts()), (State::Closed, (1, 1)));
    }

    proptest! {
        #[test]
        fn never_opens_below_its_share_and_never_stays_shut(
            steps in prop::collection::vec((0_u64..4_000, any::<bool>()), 1..200),
        ) {
            let mut now = start();
            let mut breaker = Breaker::new(THRESHOLDS);
            for (pause, trouble) in steps {
                now += Duration::from_millis(pause);
                let before = breaker.state(now);
                if breaker.admit(now) {
                    breaker.record(now, trouble);
                    if before == State::Closed && breaker.state(now) == State::Open {
                        let (calls, troubles) = breaker.counts();
                        prop_assert!(calls >= THRESHOLDS.least && troubles * 2 >= calls);
                    }
                    if !trouble {
                        prop_assert_eq!(breaker.state(now), State::Closed);
                    }
                }
                prop_assert!(breaker.seen.len() <= REMEMBERED_MAX);
                prop_assert!(breaker.clone().admit(now + THRESHOLDS.pause * 2));
            }
        }
    }
}
