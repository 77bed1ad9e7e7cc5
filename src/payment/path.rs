//! The way in for callers whose number is not believed: tries on it are counted apart from those of the account's own numbers,
//! so that strangers lock nothing but their own path (DESIGN 6.4 point 17). Pure.
//!
//! A try is counted before it is judged, and the row is committed before anything is told: a crash in between costs a try.

use std::time::Duration;

use crate::payment::row::identity::PathRow;

/// Rules of the path.
#[derive(Clone, Debug)]
pub struct PathRules {
    /// Wrong PINs for one account before the path is locked.
    pub pin_tries_max: i32,
    /// Wrong codes for one number before the path is locked, over however many codes.
    pub code_tries_max: i32,
    /// Wait after the second wrong try in a row; doubles after each further one.
    pub delay: Duration,
    /// How long a lock lasts.
    pub lock: Duration,
}

impl Default for PathRules {
    fn default() -> Self {
        Self {
            pin_tries_max: 5,
            code_tries_max: 10,
            delay: Duration::from_secs(1),
            lock: Duration::from_secs(24 * 3_600),
        }
    }
}

/// Why no try is taken now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Held {
    /// Too many were wrong; the path opens again at this time, microseconds.
    Locked {
        /// Microseconds.
        until: i64,
    },
    /// The next try counts from this time on, microseconds.
    Wait {
        /// Microseconds.
        until: i64,
    },
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Whether a path is locked at `now`, microseconds.
#[must_use]
pub fn is_locked(row: Option<&PathRow>, now: i64) -> bool {
    row.is_some_and(|row| now < row.locked_until)
}

/// The row with one more try counted; right or wrong, it is not known yet.
///
/// # Errors
/// [`Held`] when none is taken now.
pub fn attempt(
    row: Option<&PathRow>,
    subject: &str,
    tries_max: i32,
    now: i64,
    rules: &PathRules,
) -> Result<PathRow, Held> {
    if let Some(row) = row {
        if now < row.locked_until {
            return Err(Held::Locked { until: row.locked_until });
        }
        if now < row.wait_until {
            return Err(Held::Wait { until: row.wait_until });
        }
    }
    // A lock that is over has been paid for.
    let before = row.filter(|row| row.locked_until == 0).map_or(0, |row| row.tries);
    let tries = before.saturating_add(1);
    let doubled = u32::try_from(tries.saturating_sub(2)).unwrap_or(0).min(20);
    let wait = micros(rules.delay).saturating_mul(1_i64 << doubled);
    Ok(PathRow {
        subject: subject.to_owned(),
        tries,
        wait_until: if tries >= 2 { now.saturating_add(wait) } else { 0 },
        locked_until: if tries >= tries_max { now.saturating_add(micros(rules.lock)) } else { 0 },
        version: row.map_or(1, |row| row.version.saturating_add(1)),
    })
}

/// The row after the try that it counted was right.
#[must_use]
pub fn passed(row: PathRow) -> PathRow {
    PathRow { tries: 0, wait_until: 0, locked_until: 0, version: row.version.saturating_add(1), ..row }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000;
    const HOUR: i64 = 3_600 * SECOND;

    fn tried(row: Option<&PathRow>, now: i64) -> Result<PathRow, Held> {
        attempt(row, "someone", 3, now, &PathRules::default())
    }

    #[test]
    fn three_tries_and_a_day() {
        let first = tried(None, 0).unwrap();
        assert_eq!((first.tries, first.wait_until, first.version), (1, 0, 1));
        let second = tried(Some(&first), 1).unwrap();
        assert_eq!(tried(Some(&second), 2), Err(Held::Wait { until: SECOND + 1 }));
        let third = tried(Some(&second), 2 * SECOND).unwrap();
        let until = 2 * SECOND + 24 * HOUR;
        assert!(is_locked(Some(&third), until - 1) && !is_locked(Some(&third), until));
        assert_eq!(tried(Some(&third), until - 1), Err(Held::Locked { until }));
        let anew = tried(Some(&third), until).unwrap();
        assert_eq!((anew.tries, anew.locked_until), (1, 0), "a lock that is over begins the count anew");
    }

    #[test]
    fn the_last_try_may_be_right() {
        let mut row = None;
        for at in 1..=3 {
            row = Some(tried(row.as_ref(), at * HOUR).unwrap());
        }
        let row = passed(row.unwrap());
        assert_eq!((row.tries, row.locked_until, row.version), (0, 0, 4));
        assert!(tried(Some(&row), 4 * HOUR).is_ok());
    }

    proptest! {
        /// However one tries, in any day no more than so many tries are wrong in a row.
        #[test]
        fn no_more_wrong_tries_than_allowed(gaps in proptest::collection::vec(0_i64..40 * HOUR, 1..60)) {
            let (mut row, mut now): (Option<PathRow>, i64) = (None, 0);
            let mut taken = Vec::new();
            for gap in gaps {
                now += gap;
                if let Ok(next) = tried(row.as_ref(), now) {
                    prop_assert!(next.tries <= 3);
                    row = Some(next);
                    taken.push(now);
                }
            }
            for window in taken.windows(4) {
                prop_assert!(window[3] - window[0] >= 24 * HOUR, "four wrong tries within a day");
            }
        }
    }
}
