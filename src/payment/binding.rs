//! What a change of a number or a PIN means for the money that may move after it, and which PIN counts as chosen. Pure.

use std::time::Duration;

use crate::payment::code::CodeRules;
use crate::payment::path::PathRules;
use crate::payment::row::identity::{ChoiceRow, MarkRow};
use crate::secret::Secret;

/// How long a PIN that was typed once waits for the second time (DESIGN 6.4 point 20).
pub const CHOICE: Duration = Duration::from_secs(120);

/// Rules of identity of a market.
#[derive(Clone, Debug)]
pub struct IdentityRules {
    /// One-time codes.
    pub code: CodeRules,
    /// How long after a binding or a new PIN, or before a higher own limit, less may be paid.
    pub cool_down: Duration,
    /// The most of a day meanwhile, minor units of face value.
    pub cool_down_day_minor: i64,
    /// A bound number that was silent for so long may have another owner, and passes a code first.
    pub recycled_after: Duration,
    /// Callers whose number is not believed.
    pub path: PathRules,
}

impl Default for IdentityRules {
    fn default() -> Self {
        Self {
            code: CodeRules::default(),
            cool_down: Duration::from_secs(24 * 3_600),
            cool_down_day_minor: 20_000,
            recycled_after: Duration::from_secs(180 * 24 * 3_600),
            path: PathRules::default(),
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The day's limit of an account: lower for a while after a caller changed who may pay from it.
#[must_use]
pub fn day_limit(mark: Option<&MarkRow>, day_limit_minor: i64, now: i64, rules: &IdentityRules) -> i64 {
    let recent = mark.is_some_and(|mark| {
        let last = mark.bound_at.max(mark.pin_at);
        last > 0 && now.saturating_sub(last) < micros(rules.cool_down)
    });
    if recent { day_limit_minor.min(rules.cool_down_day_minor) } else { day_limit_minor }
}

/// When a change that was asked for now comes into force, microseconds.
#[must_use]
pub fn after_cool_down(now: i64, rules: &IdentityRules) -> i64 {
    now.saturating_add(micros(rules.cool_down))
}

/// Whether a number was silent for so long that somebody else may have it now. One that was never heard of by us is not.
#[must_use]
pub fn recycled(seen_at: Option<i64>, now: i64, rules: &IdentityRules) -> bool {
    seen_at.is_some_and(|at| now.saturating_sub(at) >= micros(rules.recycled_after))
}

/// How the second typing stands to the first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Chosen {
    /// The same PIN.
    Same,
    /// Another.
    Other,
    /// There is no first one, or it is too old.
    Expired,
}

/// Compares by MAC.
#[must_use]
pub fn again(choice: Option<&ChoiceRow>, mac: &[u8], now: i64) -> Chosen {
    match choice {
        Some(choice) if now.saturating_sub(choice.at) < micros(CHOICE) => {
            if Secret::new(choice.mac.clone()) == Secret::new(mac.to_vec()) {
                Chosen::Same
            } else {
                Chosen::Other
            }
        }
        Some(_) | None => Chosen::Expired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::row::Id;
    use crate::msisdn::Msisdn;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn less_may_be_paid_for_a_day_after_a_change() {
        let rules = IdentityRules::default();
        let mark = |bound_at, pin_at| MarkRow {
            account: Id([1; 16]),
            bound_at,
            pin_at,
            next_limit_minor: None,
            next_limit_at: None,
            version: 1,
        };
        for (mark, now, wanted) in [
            (None, HOUR, 200_000),
            (Some(mark(0, 0)), HOUR, 200_000),
            (Some(mark(1, 0)), HOUR, 20_000),
            (Some(mark(0, 1)), HOUR, 20_000),
            (Some(mark(1, 0)), 24 * HOUR, 20_000),
            (Some(mark(1, 0)), 24 * HOUR + 1, 200_000),
            (Some(mark(1, 20 * HOUR)), 25 * HOUR, 20_000),
        ] {
            assert_eq!(day_limit(mark.as_ref(), 200_000, now, &rules), wanted, "{mark:?} {now}");
        }
        assert_eq!(day_limit(Some(&mark(1, 0)), 5_000, 2, &rules), 5_000, "never higher");
    }

    #[test]
    fn a_silent_number_passes_a_code_first() {
        let rules = IdentityRules::default();
        assert!(!recycled(None, 9_000 * HOUR, &rules));
        assert!(!recycled(Some(0), 180 * 24 * HOUR - 1, &rules));
        assert!(recycled(Some(0), 180 * 24 * HOUR, &rules));
    }

    #[test]
    fn a_pin_is_typed_twice_within_two_minutes() {
        let phone = Msisdn::parse("+8613800000003").unwrap();
        let choice = ChoiceRow { phone, mac: vec![1; 16], at: 0 };
        assert_eq!(again(Some(&choice), &[1; 16], 119_999_999), Chosen::Same);
        assert_eq!(again(Some(&choice), &[2; 16], 1), Chosen::Other);
        assert_eq!(again(Some(&choice), &[1; 16], 120_000_000), Chosen::Expired);
        assert_eq!(again(None, &[1; 16], 0), Chosen::Expired);
    }
}
