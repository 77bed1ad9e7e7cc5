//! Tax on the house's fees: a rate that the fee contains, taken out of it when the payment is written. Pure.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

/// The most decimals of a rate.
pub const SCALE_MAX: u32 = 6;

/// The rate of tax that fees contain; none by default.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FeeTax(Decimal);

/// A rate that cannot be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a rate of tax from 0 to 1 with at most {SCALE_MAX} decimals, such as 0.16")]
pub struct BadTax;

impl FeeTax {
    /// Reads a rate such as `0.16`.
    ///
    /// # Errors
    /// [`BadTax`].
    pub fn parse(text: &str) -> Result<Self, BadTax> {
        let rate: Decimal = text.trim().parse().map_err(|_| BadTax)?;
        let rate = rate.normalize();
        let fits = rate >= Decimal::ZERO && rate <= Decimal::ONE && rate.scale() <= SCALE_MAX;
        fits.then_some(Self(rate)).ok_or(BadTax)
    }

    /// The tax that a fee contains, minor units: the nearest whole one, half a unit up. Never more than the fee.
    #[must_use]
    pub fn of(self, fee_minor: i64) -> i64 {
        let fee = Decimal::from(fee_minor.max(0));
        let whole = self.0.checked_add(Decimal::ONE);
        let tax = whole.and_then(|whole| fee.checked_mul(self.0)?.checked_div(whole));
        let tax = tax.map(|tax| tax.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero));
        tax.and_then(|tax| tax.to_i64()).unwrap_or(0).clamp(0, fee_minor.max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_tax_that_a_fee_contains() {
        let tax = FeeTax::parse("0.16").unwrap();
        // 116 is 100 and its 16; 70 contains 9.655…; 3 contains 0.41…
        assert_eq!([116, 70, 3, 0].map(|fee| tax.of(fee)), [16, 10, 0, 0]);
        assert_eq!(FeeTax::default().of(500), 0);
        assert_eq!(FeeTax::parse("1").unwrap().of(5), 3, "half a unit up");
        for bad in ["-0.1", "1.01", "x", "", "0.1234567"] {
            assert_eq!(FeeTax::parse(bad), Err(BadTax), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn it_is_within_the_fee(fee in any::<i64>(), rate in 0_u32..=1_000_000) {
            let tax = FeeTax(Decimal::new(i64::from(rate), 6)).of(fee);
            prop_assert!((0..=fee.max(0)).contains(&tax));
        }
    }
}
