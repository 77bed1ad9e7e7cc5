//! How long to wait before the next try to connect and bind: doubling, jittered, never giving up.

use std::time::Duration;

use crate::smpp::link::event::Ended;
use crate::smpp::status;

/// The first wait after trouble on the network, and after most refusals.
pub const FAST_FIRST: Duration = Duration::from_millis(500);
/// The longest of these, unless the bind says otherwise.
pub const FAST_MAX: Duration = Duration::from_secs(30);
/// The first wait after a refused name or password: asking again soon gets an account locked.
pub const SLOW_FIRST: Duration = Duration::from_secs(30);
/// The longest of these.
pub const SLOW_MAX: Duration = Duration::from_secs(600);
/// A bind that held for so long begins anew with the first wait.
pub const STEADY_AFTER: Duration = Duration::from_secs(60);

/// The waits between tries.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    fast_tries: u32,
    slow_tries: u32,
    fast_max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self::up_to(FAST_MAX)
    }
}

/// Whether an end asks for the long waits: the peer did not accept who we are, and asking again changes nothing until
/// somebody corrects the configuration here or there.
#[must_use]
pub const fn is_slow(why: Ended) -> bool {
    matches!(why, Ended::Refused(status::RINVPASWD | status::RINVSYSID | status::RINVSYSTYP))
}

impl Retry {
    /// With another longest wait after trouble on the network.
    #[must_use]
    pub const fn up_to(fast_max: Duration) -> Self {
        Self { fast_tries: 0, slow_tries: 0, fast_max }
    }

    /// The wait before the next try. `held` is how long the bind was up, and `random` any number: half of the wait is
    /// fixed, half of it follows `random`, so that many clients do not come back at once.
    pub fn wait(&mut self, why: Ended, held: Duration, random: u32) -> Duration {
        if held >= STEADY_AFTER {
            *self = Self::up_to(self.fast_max);
        }
        let (tries, first, longest) = if is_slow(why) {
            (&mut self.slow_tries, SLOW_FIRST, SLOW_MAX)
        } else {
            (&mut self.fast_tries, FAST_FIRST, self.fast_max)
        };
        let whole = first.saturating_mul(1_u32.checked_shl(*tries).unwrap_or(u32::MAX)).min(longest);
        *tries = tries.saturating_add(1).min(16);
        let half = whole / 2;
        half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_their_limit_and_begin_anew_after_a_steady_bind() {
        let mut retry = Retry::default();
        let waits: Vec<u128> =
            (0..9).map(|_| retry.wait(Ended::Lost, Duration::ZERO, u32::MAX).as_millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(retry.wait(Ended::Lost, STEADY_AFTER, u32::MAX), FAST_FIRST);
        for _ in 0..1_000 {
            assert!(retry.wait(Ended::Lost, Duration::ZERO, 7) <= FAST_MAX, "and it never gives up");
        }
    }

    #[test]
    fn a_refused_password_is_tried_again_slowly() {
        let mut retry = Retry::default();
        for (status, slow) in [
            (status::RINVPASWD, true),
            (status::RINVSYSID, true),
            (status::RINVSYSTYP, true),
            (status::RBINDFAIL, false),
            (status::RALYBND, false),
            (status::RSYSERR, false),
            (status::RTHROTTLED, false),
        ] {
            assert_eq!(is_slow(Ended::Refused(status)), slow, "{status:#x}");
        }
        let refused = Ended::Refused(status::RINVPASWD);
        let waits: Vec<u64> =
            (0..7).map(|_| retry.wait(refused, Duration::ZERO, u32::MAX).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 600, 600]);
    }

    #[test]
    fn jitter_takes_at_most_half_of_the_wait() {
        for random in [0, 1, u32::MAX / 2, u32::MAX] {
            let wait = Retry::default().wait(Ended::Lost, Duration::ZERO, random);
            assert!((FAST_FIRST / 2..=FAST_FIRST).contains(&wait), "{random}: {wait:?}");
        }
        assert_eq!(Retry::default().wait(Ended::Lost, Duration::ZERO, 0), FAST_FIRST / 2);
    }
}
