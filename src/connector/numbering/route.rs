//! `[[route]]` of the numbering plan: who recharges an operator's numbers, after whom, and what he sells.

use rust_decimal::{Decimal, RoundingStrategy};

use crate::connector::definition::is_id;
use crate::connector::document::{Faults, Placed, Section};
use crate::connector::numbering::Range;
use crate::money::{AMOUNT_MAX_MINOR, Currency, Money};

/// The last priority that a route may have.
const PRIORITY_MAX: i64 = 99;

/// Who recharges an operator's numbers, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Carrier {
    /// The operator.
    pub operator: String,
    /// Only in this area; everywhere if `None`.
    pub area: Option<String>,
    /// 1 is tried first. A later one is tried when an earlier one has refused for a reason of its own.
    pub priority: i64,
    /// The connector.
    pub connector: String,
    /// Designated amounts (S12).
    pub offer: Offer,
    /// What the carrier takes of the face value, such as 0.97.
    pub cost_share: Decimal,
    /// Added to every payment, minor units.
    pub fee_fixed_minor: i64,
    /// Added as a share of the face value, such as 0.01.
    pub fee_share: Decimal,
}

/// The face values that a number may be recharged with, minor units.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Offer {
    /// These alone, ascending.
    Fixed(Vec<i64>),
    /// Every step from the least to the most.
    Range {
        /// The least.
        min_minor: i64,
        /// The most.
        max_minor: i64,
        /// Between two of them, counted from the least.
        step_minor: i64,
    },
}

impl Offer {
    /// Whether an amount is sold.
    #[must_use]
    pub fn sells(&self, amount_minor: i64) -> bool {
        match self {
            Self::Fixed(amounts) => amounts.contains(&amount_minor),
            Self::Range { min_minor, max_minor, step_minor } => {
                (*min_minor..=*max_minor).contains(&amount_minor)
                    && amount_minor
                        .checked_sub(*min_minor)
                        .and_then(|above| above.checked_rem(*step_minor))
                        .is_some_and(|rest| rest == 0)
            }
        }
    }

    /// The least amount that is sold.
    #[must_use]
    pub fn least_minor(&self) -> i64 {
        match self {
            Self::Fixed(amounts) => amounts.iter().copied().min().unwrap_or(i64::MAX),
            Self::Range { min_minor, .. } => *min_minor,
        }
    }

    /// Whether any amount fits what is left.
    #[must_use]
    pub fn any_fits(&self, left_minor: i64) -> bool {
        self.least_minor() <= left_minor
    }
}

impl Carrier {
    /// What the carrier takes for `amount_minor`, rounded half to even; never more than the face value.
    #[must_use]
    pub fn cost_minor(&self, amount_minor: i64) -> i64 {
        share(amount_minor, self.cost_share).min(amount_minor)
    }

    /// The customer's fee for `amount_minor`, rounded half to even.
    #[must_use]
    pub fn fee_minor(&self, amount_minor: i64) -> i64 {
        self.fee_fixed_minor.saturating_add(share(amount_minor, self.fee_share))
    }
}

fn share(amount_minor: i64, share: Decimal) -> i64 {
    Decimal::from(amount_minor)
        .checked_mul(share)
        .map(|d| d.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven))
        .and_then(|d| i64::try_from(d).ok())
        .unwrap_or(i64::MAX)
}

pub(super) fn read(
    root: &mut Section<'_>,
    currency: Option<Currency>,
    ranges: &[Placed<Range>],
    faults: &mut Faults<'_>,
) -> Vec<Carrier> {
    let mut found: Vec<Carrier> = Vec::new();
    for mut section in root.sections("route", faults) {
        let route = currency.and_then(|currency| route(&mut section, currency, ranges, faults));
        section.finish(faults);
        let Some(route) = route else { continue };
        let same_place = |r: &&Carrier| r.operator == route.operator && r.area == route.area;
        if found.iter().filter(same_place).any(|r| r.priority == route.priority) {
            let already = "this operator and area have a route of this priority already";
            faults.add(&section.span, &section.key, already);
        }
        if found.iter().filter(same_place).any(|r| r.connector == route.connector) {
            let already = "this operator and area have a route by this connector already";
            faults.add(&section.span, &section.key, already);
        }
        found.push(route);
    }
    found
}

fn route(
    section: &mut Section<'_>,
    currency: Currency,
    ranges: &[Placed<Range>],
    faults: &mut Faults<'_>,
) -> Option<Carrier> {
    let operator = section.need_text("operator", faults);
    if let Some(operator) = operator.as_ref().filter(|o| !ranges.iter().any(|r| r.value.operator == o.value))
    {
        faults.add(&operator.span, &operator.key, "no [[range]] has this operator");
    }
    let area = section.text("area", faults);
    let connector = section.need_text("connector", faults);
    if let Some(connector) = connector.as_ref().filter(|c| !is_id(&c.value)) {
        faults.add(&connector.span, &connector.key, "is not a connector's id");
    }
    let priority = section.integer("priority", 1..=PRIORITY_MAX, faults).map_or(1, |p| p.value);
    let offer = offer(section, currency, faults);
    let cost_share = decimal(section, "cost_share", Decimal::ONE, faults);
    let fee_share = decimal(section, "fee_share", Decimal::ZERO, faults);
    let fee_fixed_minor = section.text("fee", faults).map_or(0, |p| match Money::parse(&p.value, currency) {
        Ok(fee) => fee.minor,
        Err(error) => {
            faults.add(&p.span, &p.key, error.to_string());
            0
        }
    });
    Some(Carrier {
        operator: operator?.value,
        area: area.map(|a| a.value),
        priority,
        connector: connector?.value,
        offer: offer?,
        cost_share,
        fee_fixed_minor,
        fee_share,
    })
}

fn offer(section: &mut Section<'_>, currency: Currency, faults: &mut Faults<'_>) -> Option<Offer> {
    let written = section.texts("amounts", faults);
    let min = section.text("min", faults);
    let max = section.text("max", faults);
    let step = section.text("step", faults);
    if min.is_none() && max.is_none() && step.is_none() {
        if written.is_empty() {
            section.missing("amounts", faults);
        }
        let mut amounts: Vec<i64> =
            written.iter().filter_map(|text| amount(text, currency, faults)).collect();
        amounts.sort_unstable();
        amounts.dedup();
        return Some(Offer::Fixed(amounts));
    }
    if !written.is_empty() {
        faults.add(&section.span, &section.key, "expected either amounts or min and max");
    }
    for (key, found) in [("min", &min), ("max", &max)] {
        if found.is_none() {
            section.missing(key, faults);
        }
    }
    let min_minor = amount(&min?, currency, faults);
    let max = max?;
    let max_minor = amount(&max, currency, faults);
    let step_minor = match step {
        Some(step) => amount(&step, currency, faults)?,
        // Whole units, as they are keyed.
        None => 10_i64.checked_pow(u32::from(currency.exponent())).unwrap_or(1),
    };
    let (min_minor, max_minor) = (min_minor?, max_minor?);
    if max_minor < min_minor {
        faults.add(&max.span, &max.key, "expected no less than min");
    }
    Some(Offer::Range { min_minor, max_minor, step_minor })
}

fn amount(text: &Placed<String>, currency: Currency, faults: &mut Faults<'_>) -> Option<i64> {
    let Placed { value, span, key } = text;
    match Money::parse(value, currency) {
        Ok(amount) if (1..=AMOUNT_MAX_MINOR / 2).contains(&amount.minor) => return Some(amount.minor),
        Ok(_) => faults.add(span, key, "expected an amount above 0"),
        Err(error) => faults.add(span, key, error.to_string()),
    }
    None
}

fn decimal(section: &mut Section<'_>, key: &str, default: Decimal, faults: &mut Faults<'_>) -> Decimal {
    let Some(Placed { value, span, key }) = section.text(key, faults) else { return default };
    match Decimal::from_str_exact(&value) {
        Ok(share) if share >= Decimal::ZERO && share <= Decimal::ONE => share,
        _ => {
            faults.add(&span, &key, "expected a share from \"0\" to \"1\", such as \"0.97\"");
            default
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_sells_its_steps_and_nothing_else() {
        let range = Offer::Range { min_minor: 1_000, max_minor: 5_100, step_minor: 500 };
        let fixed = Offer::Fixed(vec![5_000, 10_000]);
        for (offer, amount, sold) in [
            (&range, 1_000, true),
            (&range, 1_250, false),
            (&range, 5_000, true),
            (&range, 5_100, false),
            (&range, 500, false),
            (&range, 5_500, false),
            (&range, i64::MIN, false),
            (&fixed, 5_000, true),
            (&fixed, 7_500, false),
        ] {
            assert_eq!(offer.sells(amount), sold, "{offer:?} {amount}");
        }
        assert!(range.any_fits(1_000) && !range.any_fits(999));
        assert!(fixed.any_fits(5_000) && !fixed.any_fits(4_999));
    }
}
