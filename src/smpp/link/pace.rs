//! How fast a link sends: a token bucket in segments, slowed by throttling and congestion, quickened by success.
//!
//! ```text
//!   rate ──ESME_RTHROTTLED, ESME_RMSGQFUL──► half of it, and nothing at all for a pause that doubles while it goes on
//!        ──congestion_state 90 and above───► three quarters of it
//!        ──a second without trouble────────► a tenth of the full rate more, up to the full rate
//! ```
//! A link without a limit of its own gets one from what it sent lately when it is throttled, and loses it again when it
//! has recovered to twice of that.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use crate::smpp::link::settings::PAUSE_FIRST;
use crate::smpp::link::settings::PAUSE_MAX;
use crate::smpp::link::settings::RATE_FLOOR;
use crate::smpp::link::settings::Rate;

/// Tokens are counted in millionths of a segment, so that a microsecond at 1 segment/s is one.
const TOKEN: i64 = 1_000_000;
/// The congestion from which the rate falls (SMPP 5.0 §4.8.4.18: nearly congested).
const CONGESTED: u8 = 90;
/// The congestion from which the rate does not grow (optimum load).
const LOADED: u8 = 80;
/// How long a peer that tells its load no more is believed to be loaded.
const LOADED_FOR: Duration = Duration::from_secs(10);
/// How often the rate may grow, and fall by congestion.
const STEP: Duration = Duration::from_secs(1);

/// How fast a peer may send, over all the links that share it.
#[derive(Clone, Debug)]
pub struct Allowance(Arc<Mutex<Pace>>);

impl Allowance {
    /// One that is full now.
    #[must_use]
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Pace::new(Some(rate), now))))
    }

    /// Whether one more may come.
    pub(super) fn take(&self, now: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(now, 1).is_ok()
    }
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// What was agreed.
    full: Option<Rate>,
    /// What is in force; nothing means no limit.
    now: Option<Rate>,
    /// What `now` grows to.
    ceiling: u32,
    tokens: i64,
    filled: Instant,
    /// When the rate last changed.
    stepped: Instant,
    paused_until: Option<Instant>,
    /// What the next pause will be.
    pause: Duration,
    /// Responses to what was sent before this say nothing new about the peer's limits.
    judged_from: Instant,
    /// Until when the peer's last word on its load keeps the rate from growing.
    loaded_until: Option<Instant>,
    /// Segments sent in the running second and in the one before.
    second: Instant,
    sent: u32,
    sent_before: u32,
}

impl Pace {
    pub(super) const fn new(full: Option<Rate>, now: Instant) -> Self {
        let (ceiling, tokens) = match full {
            Some(rate) => (rate.per_second, rate.burst as i64 * TOKEN),
            None => (u32::MAX, 0),
        };
        Self {
            full,
            now: full,
            ceiling,
            tokens,
            filled: now,
            stepped: now,
            paused_until: None,
            pause: PAUSE_FIRST,
            judged_from: now,
            loaded_until: None,
            second: now,
            sent: 0,
            sent_before: 0,
        }
    }

    /// The rate in force, in segments per second.
    pub(super) const fn per_second(&self) -> Option<u32> {
        match self.now {
            Some(rate) => Some(rate.per_second),
            None => None,
        }
    }

    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    /// Takes `cost` segments out, or says when they will be there.
    pub(super) fn take(&mut self, now: Instant, cost: u32) -> Result<(), Instant> {
        if let Some(until) = self.paused_until(now) {
            return Err(until);
        }
        self.fill(now);
        if let Some(rate) = self.now {
            // What is larger than the bucket goes when the bucket is full, and leaves a debt.
            let wanted = i64::from(cost.min(rate.burst)) * TOKEN;
            if self.tokens < wanted {
                let missing = u64::try_from(wanted - self.tokens).unwrap_or(0);
                let wait = missing.div_ceil(u64::from(rate.per_second.max(1)));
                return Err(now + Duration::from_micros(wait));
            }
            self.tokens -= i64::from(cost) * TOKEN;
        }
        self.count(now, cost);
        Ok(())
    }

    /// The peer says that it was too fast.
    pub(super) fn throttled(&mut self, now: Instant, sent: Instant) {
        if sent < self.judged_from {
            return;
        }
        self.fill(now);
        let rate = self.rate_or_measured(now);
        self.set(rate.per_second / 2);
        self.tokens = self.tokens.min(0);
        self.stepped = now;
        self.judged_from = now;
        self.paused_until = Some(now + self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// The peer took what was sent at `sent`.
    pub(super) fn accepted(&mut self, sent: Instant) {
        if self.pause > PAUSE_FIRST && sent >= self.judged_from {
            self.pause = PAUSE_FIRST;
        }
    }

    /// `congestion_state`, 0 to 100; what is above is no value and is not heard.
    pub(super) fn congestion(&mut self, now: Instant, state: u8) {
        if state > 100 {
            return;
        }
        self.fill(now);
        self.loaded_until = if state >= LOADED {
            Some(now + LOADED_FOR)
        } else {
            self.loaded_until.map(|until| until.min(now))
        };
        if state >= CONGESTED && now.saturating_duration_since(self.stepped) >= STEP {
            let rate = self.rate_or_measured(now);
            self.set(rate.per_second - rate.per_second / 4);
            self.stepped = now;
        }
    }

    fn rate_or_measured(&mut self, now: Instant) -> Rate {
        if let Some(rate) = self.now {
            return rate;
        }
        self.count(now, 0);
        let measured = self.sent.max(self.sent_before).max(2);
        self.ceiling = measured.saturating_mul(2);
        let rate = Rate { per_second: measured, burst: (measured / 10).max(1) };
        self.filled = now;
        self.now = Some(rate);
        rate
    }

    const fn set(&mut self, per_second: u32) {
        if let Some(rate) = &mut self.now {
            rate.per_second = if per_second < RATE_FLOOR { RATE_FLOOR } else { per_second };
        }
    }

    fn fill(&mut self, now: Instant) {
        let Some(mut rate) = self.now else { return };
        let passed = now.saturating_duration_since(self.filled);
        self.filled = self.filled.max(now);
        let gained =
            i64::try_from(passed.as_micros()).unwrap_or(i64::MAX).saturating_mul(rate.per_second.into());
        self.tokens = self.tokens.saturating_add(gained).min(i64::from(rate.burst) * TOKEN);
        let trouble = [Some(self.stepped), self.paused_until, self.loaded_until].into_iter().flatten().max();
        let quiet = now.saturating_duration_since(trouble.unwrap_or(now));
        if rate.per_second < self.ceiling && quiet >= STEP {
            let steps = u32::try_from(quiet.as_secs()).unwrap_or(u32::MAX);
            let step = self.full.map_or(self.ceiling / 2, |full| full.per_second).div_ceil(10);
            rate.per_second = rate.per_second.saturating_add(step.saturating_mul(steps)).min(self.ceiling);
            self.stepped = now;
            let recovered = rate.per_second >= self.ceiling;
            self.now = if recovered { self.full } else { Some(rate) };
        }
    }

    fn count(&mut self, now: Instant, cost: u32) {
        let passed = now.saturating_duration_since(self.second);
        if passed >= STEP {
            self.sent_before = if passed < STEP * 2 { self.sent } else { 0 };
            self.sent = 0;
            self.second = now;
        }
        self.sent = self.sent.saturating_add(cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn sent_within(pace: &mut Pace, from: Instant, time: Duration) -> u32 {
        let (mut now, mut sent) = (from, 0);
        while now < from + time {
            match pace.take(now, 1) {
                Ok(()) => sent += 1,
                Err(at) => now = at.max(now + Duration::from_micros(1)),
            }
        }
        sent
    }

    #[test]
    fn segments_are_counted_and_not_messages() {
        let start = crate_now();
        let mut pace = Pace::new(Some(Rate { per_second: 10, burst: 4 }), start);
        assert_eq!(pace.take(start, 3), Ok(()));
        assert_eq!(pace.take(start, 3), Err(start + ms(200)), "one is left, two are missing");
        assert_eq!(pace.take(start + ms(199), 3), Err(start + ms(200)));
        assert_eq!(pace.take(start + ms(200), 3), Ok(()));
        assert_eq!(pace.take(start + ms(599), 9), Err(start + ms(600)), "more than the bucket waits for it");
        assert_eq!(pace.take(start + ms(600), 9), Ok(()));
        assert_eq!(pace.take(start + ms(600), 1), Err(start + ms(1_200)), "and pays its debt of five");
    }

    #[test]
    fn the_rate_holds_over_time() {
        let start = crate_now();
        let mut pace = Pace::new(Some(Rate { per_second: 100, burst: 10 }), start);
        let sent = sent_within(&mut pace, start, ms(10_000));
        assert!((1_000..=1_011).contains(&sent), "{sent}");
    }

    #[test]
    fn throttling_halves_pauses_and_recovers() {
        let start = crate_now();
        let mut pace = Pace::new(Some(Rate { per_second: 100, burst: 1 }), start);
        pace.throttled(start, start);
        assert_eq!(pace.per_second(), Some(50));
        assert_eq!(pace.take(start, 1), Err(start + PAUSE_FIRST));
        pace.throttled(start + ms(10), start - ms(1));
        assert_eq!(pace.per_second(), Some(50), "its send was before the first one was known");
        pace.throttled(start + ms(600), start + ms(500));
        assert_eq!(
            (pace.per_second(), pace.paused_until(start + ms(601))),
            (Some(25), Some(start + ms(1_600)))
        );
        assert!(pace.take(start + ms(2_599), 1).is_ok());
        assert_eq!(pace.per_second(), Some(25), "a second after the pause it has not grown yet");
        for (after, rate) in [(2_600, 35), (3_600, 45), (4_700, 55), (20_000, 100)] {
            let _ = pace.take(start + ms(after), 1);
            assert_eq!(pace.per_second(), Some(rate), "{after}");
        }
    }

    #[test]
    fn a_pause_doubles_to_its_limit_and_begins_anew_after_success() {
        let mut now = crate_now();
        let mut pace = Pace::new(None, now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pace.throttled(now, now);
            let until = pace.paused_until(now).unwrap();
            pauses.push((until - now).as_millis());
            now = until;
        }
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 16_000, 16_000]);
        assert_eq!(pace.per_second(), Some(RATE_FLOOR));
        pace.accepted(now);
        pace.throttled(now, now);
        assert_eq!(pace.paused_until(now), Some(now + PAUSE_FIRST));
    }

    #[test]
    fn an_unlimited_link_gets_a_limit_from_what_it_sent_and_loses_it_again() {
        let start = crate_now();
        let mut pace = Pace::new(None, start);
        for _ in 0..1_000 {
            pace.take(start, 1).unwrap();
        }
        pace.throttled(start + ms(100), start);
        assert_eq!(pace.per_second(), Some(500));
        let mut now = start + ms(600);
        for _ in 0..20 {
            now += STEP;
            let _ = pace.take(now, 1);
        }
        assert_eq!(pace.per_second(), None);
    }

    #[test]
    fn congestion_steers_without_a_pause() {
        let start = crate_now();
        let mut pace = Pace::new(Some(Rate { per_second: 100, burst: 1 }), start);
        for (after, state, rate) in [
            (1_000, 95, 75),
            (1_500, 100, 75),
            (2_000, 90, 57),
            (4_000, 85, 57),
            (6_000, 85, 57),
            (6_000, 20, 57),
            (6_999, 255, 57),
            (7_000, 255, 67),
            (7_500, 101, 67),
            (8_000, 85, 77),
            (18_500, 101, 77),
            (19_000, 101, 87),
        ] {
            pace.congestion(start + ms(after), state);
            let _ = pace.take(start + ms(after), 1);
            assert_eq!(pace.per_second(), Some(rate), "{after}: {state}");
            assert_eq!(pace.paused_until(start + ms(after)), None);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "an origin of time; it is moved by hand")]
    fn crate_now() -> Instant {
        Instant::now()
    }
}
