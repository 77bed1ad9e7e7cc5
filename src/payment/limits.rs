//! S13 and S14: how much may be recharged in one payment and in a day. Pure; one function for the advisory
//! quote and for the real judgement, so that both say the same.
//!
//! Face value without fees counts, over all numbers and channels of an account (DESIGN 6.4 point 7). Exactly
//! at a limit passes.

/// What a recharge is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Face value asked, minor units.
    pub amount_minor: i64,
    /// Used today: delivered and open payments, minor units.
    pub used_minor: i64,
    /// The market's limit per payment.
    pub payment_limit_minor: i64,
    /// S13: the market's limit a day.
    pub day_limit_minor: i64,
    /// S14: the customer's own limit a day.
    pub user_day_limit_minor: Option<i64>,
    /// The customer's own limit per payment.
    pub user_payment_limit_minor: Option<i64>,
}

/// Which limit a recharge passes. In order of precedence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Over {
    /// The market's limit per payment.
    Payment {
        /// Minor units.
        limit_minor: i64,
    },
    /// S13.
    Day {
        /// Minor units.
        limit_minor: i64,
        /// What may still be recharged today.
        left_minor: i64,
    },
    /// S14.
    User {
        /// Minor units.
        limit_minor: i64,
        /// What may still be recharged under the customer's own limits.
        left_minor: i64,
    },
}

/// The first limit that a recharge passes, if any.
#[must_use]
pub fn judge(facts: &Facts) -> Option<Over> {
    let left = |limit: i64| limit.saturating_sub(facts.used_minor).max(0);
    if facts.amount_minor > facts.payment_limit_minor {
        return Some(Over::Payment { limit_minor: facts.payment_limit_minor });
    }
    let day_left = left(facts.day_limit_minor);
    if facts.amount_minor > day_left {
        return Some(Over::Day { limit_minor: facts.day_limit_minor, left_minor: day_left });
    }
    // S14 is never above S13.
    let user_day = facts.user_day_limit_minor.map(|limit| limit.min(facts.day_limit_minor));
    if let Some(limit) = user_day
        && facts.amount_minor > left(limit)
    {
        return Some(Over::User { limit_minor: limit, left_minor: left(limit) });
    }
    if let Some(limit) = facts.user_payment_limit_minor
        && facts.amount_minor > limit
    {
        let day_left = user_day.map_or(day_left, left);
        return Some(Over::User { limit_minor: limit, left_minor: limit.min(day_left) });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts {
        amount_minor: 5000,
        used_minor: 0,
        payment_limit_minor: 50_000,
        day_limit_minor: 200_000,
        user_day_limit_minor: None,
        user_payment_limit_minor: None,
    };

    #[test]
    fn exactly_at_a_limit_passes() {
        for (facts, wanted) in [
            (FACTS, None),
            (Facts { amount_minor: 50_000, ..FACTS }, None),
            (Facts { amount_minor: 50_001, ..FACTS }, Some(Over::Payment { limit_minor: 50_000 })),
            (Facts { used_minor: 195_000, ..FACTS }, None),
            (
                Facts { used_minor: 195_001, ..FACTS },
                Some(Over::Day { limit_minor: 200_000, left_minor: 4_999 }),
            ),
            (Facts { used_minor: 300_000, ..FACTS }, Some(Over::Day { limit_minor: 200_000, left_minor: 0 })),
            (Facts { user_day_limit_minor: Some(5000), ..FACTS }, None),
            (
                Facts { user_day_limit_minor: Some(5000), used_minor: 1, ..FACTS },
                Some(Over::User { limit_minor: 5000, left_minor: 4_999 }),
            ),
            (Facts { user_payment_limit_minor: Some(5000), ..FACTS }, None),
            (
                Facts { user_payment_limit_minor: Some(4_999), ..FACTS },
                Some(Over::User { limit_minor: 4_999, left_minor: 4_999 }),
            ),
            (
                Facts { user_day_limit_minor: Some(900_000), used_minor: 196_000, ..FACTS },
                Some(Over::Day { limit_minor: 200_000, left_minor: 4_000 }),
            ),
        ] {
            assert_eq!(judge(&facts), wanted, "{facts:?}");
        }
    }

    #[test]
    fn the_markets_limits_come_before_the_customers() {
        let facts = Facts {
            used_minor: 199_000,
            user_day_limit_minor: Some(1000),
            user_payment_limit_minor: Some(1),
            ..FACTS
        };
        assert_eq!(judge(&facts), Some(Over::Day { limit_minor: 200_000, left_minor: 1000 }));
    }
}
