//! The only reader of the time.
//!
//! Pure cores are given `now`; the edges ask a [`Clock`]. Two kinds of time leave here: a [`Timestamp`] (wall clock,
//! for rows, days and people) and an [`Instant`] (monotonic, for timers). A hand-set clock moves both together.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Microseconds since 1970-01-01T00:00:00Z, as every row stores them.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This time and `duration` more; stays at the end of time rather than wrapping.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was, zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC, to the millisecond.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => t.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            Err(_) => format!("{}us", self.0),
        }
    }

    /// The calendar day in `zone` as days since 1970-01-01: the `business_day` of a payment.
    #[must_use]
    pub fn business_day(self, zone: &jiff::tz::TimeZone) -> i32 {
        i32::try_from(self.minutes(zone).div_euclid(1_440)).unwrap_or(i32::MAX)
    }

    /// Minutes since midnight of 1970-01-01 by the clocks on the walls in `zone`.
    #[must_use]
    pub fn minutes(self, zone: &jiff::tz::TimeZone) -> i64 {
        let at = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        at.as_second().saturating_add(i64::from(zone.to_offset(at).seconds())).div_euclid(60)
    }
}

/// Where the time comes from: the machine, a test's hand, or the runtime's timers.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    Machine,
    Manual(Arc<Manual>),
    Runtime(Timestamp, tokio::time::Instant),
}

#[derive(Debug)]
struct Manual {
    origin: Instant,
    start: Timestamp,
    moved_us: AtomicI64,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub const fn machine() -> Self {
        Self(Source::Machine)
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(Manual { origin: monotonic(), start, moved_us: AtomicI64::new(0) })))
    }

    /// A clock that stands at `start` now and moves with the timers of the runtime: where those are paused, it is virtual.
    /// Call it inside the runtime.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn of_runtime(start: Timestamp) -> Self {
        Self(Source::Runtime(start, tokio::time::Instant::now()))
    }

    /// Moves a manual clock on; the machine's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            manual.moved_us.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// Wall-clock time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Machine => wall(),
            Source::Manual(m) => Timestamp(m.start.0.saturating_add(m.moved_us.load(Ordering::SeqCst))),
            Source::Runtime(start, origin) => start.after(origin.elapsed()),
        }
    }

    /// Monotonic time, for timers.
    #[must_use]
    pub fn instant(&self) -> Instant {
        match &self.0 {
            Source::Machine => monotonic(),
            Source::Manual(m) => {
                m.origin
                    + Duration::from_micros(u64::try_from(m.moved_us.load(Ordering::SeqCst)).unwrap_or(0))
            }
            Source::Runtime(_, origin) => origin.into_std() + origin.elapsed(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
fn monotonic() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_business_day_turns_at_the_markets_midnight() {
        let shanghai = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
        let before: jiff::Timestamp = "2026-11-22T15:59:59Z".parse().unwrap();
        let after: jiff::Timestamp = "2026-11-22T16:00:00Z".parse().unwrap();
        let day = |t: jiff::Timestamp| Timestamp(t.as_microsecond()).business_day(&shanghai);
        assert_eq!(day(before) + 1, day(after));
        assert_eq!(Timestamp(0).business_day(&jiff::tz::TimeZone::UTC), 0);
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let clock = Clock::manual(Timestamp(1_000_000));
        let (t, i) = (clock.now(), clock.instant());
        assert_eq!((clock.now(), clock.instant()), (t, i));
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now().since(t), Duration::from_secs(5));
        assert_eq!(clock.instant() - i, Duration::from_secs(5));
    }
}
