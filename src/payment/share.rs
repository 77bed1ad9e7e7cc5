//! How the money of a sale is shared: the merchant's part, the house's fee, and what rounding leaves.
//!
//! The one place where a rate meets an amount. A fee that is not a whole number of minor units is charged rounded up; the fee
//! account gets the whole units and the rounding account the rest, so that the exact fee lies between the two and nobody's
//! books are off by more than the rounding account holds.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::ledger::command::Leg;
use crate::ledger::row::Id;

/// The largest fixed part of a fee, minor units.
pub const FIXED_MAX_MINOR: i64 = 1_000_000_000;
/// The most decimals of a rate: a millionth of a percent.
pub const RATE_SCALE_MAX: u32 = 8;

/// A merchant's fee: a part of the amount and a fixed sum for each sale.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fee {
    /// The part of the amount, 0 to 1.
    rate: Decimal,
    /// Minor units, 0 to [`FIXED_MAX_MINOR`].
    fixed_minor: i64,
}

/// Why a fee cannot be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadFee {
    /// Not a decimal number from 0 to 1 with at most [`RATE_SCALE_MAX`] decimals.
    #[error("expected a rate from 0 to 1 with at most {RATE_SCALE_MAX} decimals, such as 0.015")]
    Rate,
    /// Negative or too large.
    #[error("expected a fixed part from 0 to {FIXED_MAX_MINOR} minor units")]
    Fixed,
}

/// Who gets how much of an amount, minor units; none is negative and together they are the amount.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Share {
    /// The merchant's.
    pub merchant_minor: i64,
    /// The house's fee in whole minor units, rounded down.
    pub fee_minor: i64,
    /// What rounding up took beyond that: 0 or 1.
    pub rounding_minor: i64,
}

/// The accounts that share.
#[derive(Clone, Copy, Debug)]
pub struct Sharers {
    /// Where the amount lies.
    pub from: Id,
    /// The merchant's account.
    pub merchant: Id,
    /// The house's fees.
    pub fee: Id,
    /// What rounding leaves.
    pub rounding: Id,
}

impl Fee {
    /// A fee from the text of its rate and its fixed part in minor units.
    ///
    /// # Errors
    /// [`BadFee`].
    pub fn new(rate: &str, fixed_minor: i64) -> Result<Self, BadFee> {
        let rate: Decimal = rate.trim().parse().map_err(|_| BadFee::Rate)?;
        let rate = rate.normalize();
        if rate.is_sign_negative() && !rate.is_zero() || rate > Decimal::ONE || rate.scale() > RATE_SCALE_MAX
        {
            return Err(BadFee::Rate);
        }
        if !(0..=FIXED_MAX_MINOR).contains(&fixed_minor) {
            return Err(BadFee::Fixed);
        }
        Ok(Self { rate, fixed_minor })
    }

    /// The rate as text, without needless noughts.
    #[must_use]
    pub fn rate_text(&self) -> String {
        self.rate.normalize().to_string()
    }

    /// Minor units for each sale.
    #[must_use]
    pub const fn fixed_minor(&self) -> i64 {
        self.fixed_minor
    }

    /// Shares an amount of minor units. A fee of more than the amount is the amount. `None` for a negative amount.
    #[must_use]
    pub fn share(&self, amount_minor: i64) -> Option<Share> {
        if amount_minor < 0 {
            return None;
        }
        let amount = Decimal::from(amount_minor);
        let exact = amount.checked_mul(self.rate)?.checked_add(Decimal::from(self.fixed_minor))?.min(amount);
        let fee_minor = exact.floor().to_i64()?;
        let charged_minor = exact.ceil().to_i64()?;
        Some(Share {
            merchant_minor: amount_minor.checked_sub(charged_minor)?,
            fee_minor,
            rounding_minor: charged_minor.checked_sub(fee_minor)?,
        })
    }
}

impl Share {
    /// What the merchant is charged, minor units.
    #[must_use]
    pub const fn charged_minor(&self) -> i64 {
        self.fee_minor.saturating_add(self.rounding_minor)
    }

    /// The movement; without legs of zero.
    #[must_use]
    pub fn legs(&self, of: &Sharers) -> Vec<Leg> {
        let whole = self.merchant_minor.saturating_add(self.charged_minor());
        Leg::merged(&[
            Leg::new(of.from, whole.saturating_neg()),
            Leg::new(of.merchant, self.merchant_minor),
            Leg::new(of.fee, self.fee_minor),
            Leg::new(of.rounding, self.rounding_minor),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::AMOUNT_MAX_MINOR;
    use proptest::prelude::*;

    const SHARERS: Sharers =
        Sharers { from: Id([1; 16]), merchant: Id([2; 16]), fee: Id([3; 16]), rounding: Id([4; 16]) };

    fn shared(rate: &str, fixed: i64, amount: i64) -> (i64, i64, i64) {
        let share = Fee::new(rate, fixed).unwrap().share(amount).unwrap();
        (share.merchant_minor, share.fee_minor, share.rounding_minor)
    }

    #[test]
    fn amounts_are_shared_to_the_last_unit() {
        assert_eq!(shared("0", 0, 10_000), (10_000, 0, 0));
        assert_eq!(shared("0.015", 0, 10_000), (9_850, 150, 0));
        assert_eq!(shared("0.015", 0, 10_001), (9_850, 150, 1), "150.015 is charged as 151");
        assert_eq!(shared("0.015", 30, 999), (954, 44, 1), "14.985 and 30");
        assert_eq!(shared("0.5", 0, 1), (0, 0, 1));
        assert_eq!(shared("1", 0, 77), (0, 77, 0));
        assert_eq!(shared("0.01", 100, 50), (0, 50, 0), "never more than the amount");
        assert_eq!(shared("0.3", 5, 0), (0, 0, 0));
        assert_eq!(Fee::new("0.1", 0).unwrap().share(-1), None);
        assert_eq!(Fee::new(" 0.0150 ", 0).unwrap().rate_text(), "0.015");
    }

    #[test]
    fn fees_have_limits() {
        for rate in ["", "x", "-0.1", "1.01", "0.123456789", "1e3"] {
            assert_eq!(Fee::new(rate, 0), Err(BadFee::Rate), "{rate}");
        }
        for fixed in [-1, FIXED_MAX_MINOR + 1, i64::MIN] {
            assert_eq!(Fee::new("0", fixed), Err(BadFee::Fixed));
        }
        assert!(Fee::new("1", FIXED_MAX_MINOR).is_ok());
        assert!(Fee::new("0.12345678", 0).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_rounding_bounds_the_error(
            millionths in 0_i64..=100_000_000, fixed in 0..=FIXED_MAX_MINOR, amount in 0..=AMOUNT_MAX_MINOR,
        ) {
            let rate = Decimal::new(millionths, 8);
            let share = Fee::new(&rate.to_string(), fixed).unwrap().share(amount).unwrap();
            prop_assert!(share.merchant_minor >= 0 && share.fee_minor >= 0);
            prop_assert!((0..=1).contains(&share.rounding_minor));
            prop_assert_eq!(share.merchant_minor + share.charged_minor(), amount);
            let exact = (Decimal::from(amount) * rate + Decimal::from(fixed)).min(Decimal::from(amount));
            prop_assert!(Decimal::from(share.fee_minor) <= exact);
            prop_assert!(exact <= Decimal::from(share.charged_minor()));
            let legs = share.legs(&SHARERS);
            prop_assert_eq!(legs.iter().map(|l| l.amount_minor).sum::<i64>(), 0);
            prop_assert!(legs.iter().all(|l| l.amount_minor != 0));
            prop_assert!(amount == 0 || legs.len() >= 2);
        }
    }
}
