//! What becomes of a text after it was tried. Pure: the time and a random number are arguments.
//!
//! The one rule: what may have left is never sent again by itself. Everything else is tried until its time is up.

use std::time::Duration;

/// When and how often a text is tried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retry {
    /// Tries that the carrier refused for a passing cause, at most; then it has failed.
    pub tries_max: i32,
    /// Before the second try; it doubles.
    pub first: Duration,
    /// Between two tries at most.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { tries_max: 8, first: Duration::from_secs(5), longest: Duration::from_secs(900) }
    }
}

/// What a carrier did with a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sent {
    /// It took it.
    Accepted {
        /// Its id for the text, by which receipts name it; empty when it gave none.
        id: String,
    },
    /// It refused it.
    Refused {
        /// The status, as people read it.
        code: String,
        /// Whether the cause passes.
        retry: bool,
    },
    /// It has too much of us; nothing was taken. Its whole queue waits.
    Throttled {
        /// The status, as people read it.
        code: String,
    },
    /// Nothing left: there was no way out.
    NotSent,
    /// It may have left, and nobody answered.
    Unknown,
}

/// What is written of it, and when it goes on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Next {
    /// It is the network's now.
    Accepted {
        /// As in [`Sent::Accepted`].
        id: String,
    },
    /// It waits until then, microseconds.
    Again {
        /// When.
        due_at: i64,
        /// Whether the try counts.
        counted: bool,
        /// Why.
        code: String,
    },
    /// It is not tried again.
    Failed {
        /// Why.
        code: String,
    },
    /// A person may look; it is never sent again by itself.
    Unknown,
}

/// Why a text failed that was out of time before it left.
pub const EXPIRED: &str = "expired";
/// Why a text failed that no route takes.
pub const NO_ROUTE: &str = "no_route";
/// Why a text waits that no route could take.
pub const NOT_SENT: &str = "not_sent";

impl Retry {
    /// How long to wait after the `tries`-th try (from 1): doubled each time, and up to a quarter more by `random`, so that
    /// what failed together does not come back together.
    #[must_use]
    pub fn pause(&self, tries: i32, random: u64) -> Duration {
        let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(0).min(20);
        let pause = self.first.saturating_mul(1 << doublings).min(self.longest);
        let quarter = u64::try_from(pause.as_micros() / 4).unwrap_or(u64::MAX).max(1);
        pause.saturating_add(Duration::from_micros(random % quarter))
    }

    /// Judges the `tries`-th try (from 1, this one included) of a text that must leave before `expires_at`; times in
    /// microseconds. `route_due` is when the route goes on after it was throttled or had no way out.
    #[must_use]
    pub fn next(
        &self,
        sent: Sent,
        tries: i32,
        now: i64,
        expires_at: i64,
        route_due: i64,
        random: u64,
    ) -> Next {
        let again = |due_at: i64, counted: bool, code: String| {
            if due_at >= expires_at {
                Next::Failed { code: if counted { code } else { EXPIRED.to_owned() } }
            } else {
                Next::Again { due_at, counted, code }
            }
        };
        match sent {
            Sent::Accepted { id } => Next::Accepted { id },
            Sent::Unknown => Next::Unknown,
            Sent::Refused { code, retry: false } => Next::Failed { code },
            Sent::Refused { code, retry: true } if tries >= self.tries_max => Next::Failed { code },
            Sent::Refused { code, retry: true } => {
                let pause = i64::try_from(self.pause(tries, random).as_micros()).unwrap_or(i64::MAX);
                again(now.saturating_add(pause), true, code)
            }
            Sent::Throttled { code } => again(route_due.max(now), false, code),
            Sent::NotSent => again(route_due.max(now), false, NOT_SENT.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const HOUR: i64 = 3_600 * SECOND;

    fn refused(retry: bool) -> Sent {
        Sent::Refused { code: "ESME_RSYSERR".into(), retry }
    }

    #[test]
    fn pauses_double_and_are_spread() {
        let retry = Retry::default();
        let seconds: Vec<u64> = (1..=10).map(|n| retry.pause(n, 0).as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        for tries in [1, 5, 40, i32::MAX] {
            for random in [0, 1, 77_777_777, u64::MAX] {
                let pause = retry.pause(tries, random);
                let least = retry.pause(tries, 0);
                assert!(pause >= least && pause < least + least / 4 + Duration::from_micros(1));
            }
        }
        assert_eq!(Retry { first: Duration::ZERO, ..retry }.pause(3, 5), Duration::ZERO);
    }

    #[test]
    fn every_answer_has_its_consequence() {
        let retry = Retry::default();
        let code = || "ESME_RSYSERR".to_owned();
        let next =
            |sent, tries, expires_at| retry.next(sent, tries, 100 * SECOND, expires_at, 103 * SECOND, 0);
        let again = |due_at, counted, code: &str| Next::Again { due_at, counted, code: code.into() };
        let throttled = || Sent::Throttled { code: "ESME_RTHROTTLED".into() };
        let table = [
            (Sent::Accepted { id: "7".into() }, 1, HOUR, Next::Accepted { id: "7".into() }),
            // The network has it: that its time is up is the network's to judge.
            (Sent::Accepted { id: String::new() }, 9, 0, Next::Accepted { id: String::new() }),
            (Sent::Unknown, 1, HOUR, Next::Unknown),
            (Sent::Unknown, 99, 0, Next::Unknown),
            (refused(false), 1, HOUR, Next::Failed { code: code() }),
            (refused(true), 1, HOUR, again(105 * SECOND, true, "ESME_RSYSERR")),
            (refused(true), 3, HOUR, again(120 * SECOND, true, "ESME_RSYSERR")),
            (refused(true), 8, HOUR, Next::Failed { code: code() }),
            (refused(true), 1, 105 * SECOND, Next::Failed { code: code() }),
            // A full carrier and a lost link cost no try.
            (throttled(), 99, HOUR, again(103 * SECOND, false, "ESME_RTHROTTLED")),
            (Sent::NotSent, 99, HOUR, again(103 * SECOND, false, NOT_SENT)),
            (throttled(), 1, 103 * SECOND, Next::Failed { code: EXPIRED.into() }),
            (Sent::NotSent, 1, 50 * SECOND, Next::Failed { code: EXPIRED.into() }),
        ];
        for (n, (sent, tries, expires_at, wanted)) in table.into_iter().enumerate() {
            assert_eq!(next(sent, tries, expires_at), wanted, "row {n}");
        }
    }

    #[test]
    fn what_may_have_left_is_never_tried_again() {
        let retry = Retry { tries_max: i32::MAX, ..Retry::default() };
        for tries in [1, 2, 1_000] {
            for random in [0, 3, u64::MAX] {
                assert_eq!(retry.next(Sent::Unknown, tries, 0, i64::MAX, 0, random), Next::Unknown);
            }
        }
    }
}
