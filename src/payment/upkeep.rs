//! What the house shuts on purpose and for a known time, how long it keeps what it knows, and how it opens after a restore.
//! Pure.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::clock::Timestamp;
use crate::payment::fold::WHOLE;

/// Most windows in the configuration.
pub const WINDOWS_MAX: usize = 200;
/// Minutes of a day.
const DAY: i64 = 1_440;
/// Microseconds of a minute.
const MINUTE_US: i64 = 60_000_000;
/// An end so soon is told as a time of day; a later one would be mistaken.
const TOLD_WITHIN_US: i64 = DAY * MINUTE_US;

/// What a window may shut.
pub const SCOPES: &[&str] = &["whole", "product", "carrier", "channel", "biller"];

/// When something is shut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum When {
    /// Once, microseconds: from the first, before the second.
    Once {
        /// From.
        from: i64,
        /// Until.
        until: i64,
    },
    /// Each day, minutes after midnight in the market's zone; over midnight when `from` is later.
    Daily {
        /// From.
        from: i64,
        /// Until.
        until: i64,
    },
}

/// A time in which something is shut.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Window {
    /// One of [`SCOPES`].
    pub scope: String,
    /// Which; empty for the whole.
    pub key: String,
    /// When.
    pub when: When,
}

impl Window {
    /// Until when it is shut at `now`, microseconds; nothing when it is open.
    #[must_use]
    pub fn shut_until(&self, now: Timestamp, zone: &TimeZone) -> Option<i64> {
        match self.when {
            When::Once { from, until } => (from <= now.0 && now.0 < until).then_some(until),
            When::Daily { from, until } => {
                let minute = now.minutes(zone).rem_euclid(DAY);
                let inside = if from <= until {
                    (from..until).contains(&minute)
                } else {
                    minute >= from || minute < until
                };
                let left = until.saturating_sub(minute).rem_euclid(DAY);
                let began = now.0.saturating_sub(now.0.rem_euclid(MINUTE_US));
                inside.then(|| began.saturating_add(left.saturating_mul(MINUTE_US)))
            }
        }
    }

    /// Whether it shuts one of these (scope, key).
    #[must_use]
    pub fn shuts(&self, keys: &[(String, String)]) -> bool {
        self.scope == WHOLE || keys.iter().any(|(scope, key)| *scope == self.scope && *key == self.key)
    }
}

/// Until when any of these windows shuts one of these keys at `now`, microseconds: the latest end.
#[must_use]
pub fn shut_until<'w>(
    windows: impl IntoIterator<Item = &'w Window>,
    keys: &[(String, String)],
    now: Timestamp,
    zone: &TimeZone,
) -> Option<i64> {
    let shutting = windows.into_iter().filter(|window| window.shuts(keys));
    shutting.filter_map(|window| window.shut_until(now, zone)).max()
}

/// What a caller is told of something that is shut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Notice {
    /// One of the dialplan's family `suspension`.
    pub why: &'static str,
    /// When it is open again, microseconds; only of `maintenance`.
    pub back: Option<i64>,
}

impl Notice {
    /// Nothing is known.
    pub const OTHER: Self = Self { why: "other", back: None };

    /// Of a window that ends at `until`, microseconds.
    #[must_use]
    pub const fn maintenance(until: i64, now: i64) -> Self {
        if until.saturating_sub(now) < TOLD_WITHIN_US {
            Self { why: "maintenance", back: Some(until) }
        } else {
            Self { why: "works", back: None }
        }
    }

    /// Of a suspension in this scope.
    #[must_use]
    pub fn of(scope: &str) -> Self {
        const WORDS: &[(&str, &str)] = &[
            (WHOLE, "platform"),
            ("product", "product"),
            ("carrier", "carrier"),
            ("channel", "channel"),
            ("biller", "biller"),
            ("merchant", "merchant"),
            ("agent", "agent"),
            ("account", "account"),
            ("number", "number"),
        ];
        let word = WORDS.iter().find(|(known, _)| *known == scope);
        word.map_or(Self::OTHER, |(_, why)| Self { why, back: None })
    }
}

/// How the house opens after a restore from a backup.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Unlock {
    /// Two of staff say so.
    #[default]
    Staff,
    /// As soon as all that was open then is known.
    Resolved,
}

/// How long what is not money is kept. `None` for ever.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Retention {
    /// Texts that were sent, failed or given up, after that.
    pub texts: Option<Duration>,
    /// Answers to money actions that made no payment.
    pub answers: Option<Duration>,
    /// What happened to numbers and PINs.
    pub history: Option<Duration>,
}

impl Default for Retention {
    /// Ninety days for texts and answers, ever for the history of numbers.
    fn default() -> Self {
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        Self { texts: days(90), answers: days(90), history: None }
    }
}

/// How the house is kept.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Upkeep {
    /// What is shut when.
    pub windows: Vec<Window>,
    /// How it opens after a restore.
    pub unlock: Unlock,
    /// How long things are kept.
    pub retention: Retention,
    /// Where a daemon keeps how far it has seen the database count, so that it knows an older one; nowhere without it.
    pub epoch_file: Option<PathBuf>,
    /// The connector that testers' accounts pay by, and nobody else; without it there is no test book.
    pub test_connector: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn daily(from: i64, until: i64) -> Window {
        Window { scope: "carrier".to_owned(), key: "acme".to_owned(), when: When::Daily { from, until } }
    }

    /// So many minutes after midnight UTC of the tenth day.
    fn at(minute: i64) -> Timestamp {
        Timestamp((10 * DAY + minute) * MINUTE_US + 30_000_000)
    }

    #[test]
    fn a_nightly_window_goes_over_midnight() {
        let night = daily(23 * 60, 60);
        let shut = |minute: i64| night.shut_until(at(minute), &TimeZone::UTC);
        assert_eq!(shut(22 * 60 + 59), None);
        assert_eq!(shut(23 * 60), Some((11 * DAY + 60) * MINUTE_US));
        assert_eq!(shut(59), Some((10 * DAY + 60) * MINUTE_US));
        assert_eq!(shut(60), None);
    }

    #[test]
    fn windows_shut_what_they_name() {
        let key = |scope: &str, key: &str| (scope.to_owned(), key.to_owned());
        let once = |scope: &str, key: &str, until| Window {
            scope: scope.to_owned(),
            key: key.to_owned(),
            when: When::Once { from: 10, until },
        };
        let windows = [once("carrier", "acme", 20), once("product", "bill", 30), once("whole", "", 15)];
        let shut =
            |keys: &[(String, String)], now| shut_until(&windows, keys, Timestamp(now), &TimeZone::UTC);
        let recharge = [key("product", "recharge"), key("carrier", "acme")];
        assert_eq!(shut(&recharge, 9), None);
        assert_eq!(shut(&recharge, 12), Some(20), "the latest end counts");
        assert_eq!(shut(&[key("product", "bill")], 29), Some(30));
        assert_eq!(shut(&[key("carrier", "other")], 14), Some(15));
        assert_eq!(shut(&[key("carrier", "other")], 15), None);
    }

    #[test]
    fn a_far_end_is_not_told_as_a_time_of_day() {
        assert_eq!(Notice::maintenance(60, 0), Notice { why: "maintenance", back: Some(60) });
        assert_eq!(Notice::maintenance(TOLD_WITHIN_US, 0), Notice { why: "works", back: None });
        assert_eq!(Notice::of("whole").why, "platform");
        assert_eq!(Notice::of("moon"), Notice::OTHER);
    }

    proptest! {
        #[test]
        fn a_window_ends_when_it_says(from in 0..DAY, until in 0..DAY, minute in 0..DAY) {
            let window = daily(from, until);
            if let Some(end) = window.shut_until(at(minute), &TimeZone::UTC) {
                prop_assert!(end > at(minute).0);
                prop_assert!(window.shut_until(Timestamp(end - 1), &TimeZone::UTC).is_some());
                prop_assert_eq!(window.shut_until(Timestamp(end), &TimeZone::UTC), None);
            }
        }
    }
}
