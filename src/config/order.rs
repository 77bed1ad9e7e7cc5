//! The table `[orders]`: limits of merchants' orders, and where their webhooks may go.

use super::limit;
use crate::connector::document::{Faults, Section};
use crate::money::{AMOUNT_MAX_MINOR, Currency};

/// What is read of `[orders]`; every key has a default.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Orders {
    /// The most of one order, minor units.
    pub limit_minor: i64,
    /// The most that an account pays for orders in a day, minor units.
    pub day_limit_minor: i64,
    /// Whether webhooks may go to private networks and over plain HTTP: for trials.
    pub webhooks_private: bool,
}

pub(super) fn read(orders: &mut Section<'_>, currency: Currency, faults: &mut Faults<'_>) -> Orders {
    let known = (currency != Currency::NONE).then_some(currency);
    let one = limit(orders, "limit", known, faults);
    let day = limit(orders, "day_limit", known, faults);
    if one.zip(day).is_some_and(|(one, day)| day < one) {
        faults.add(&orders.span, "orders.day_limit", "is below limit");
    }
    Orders {
        limit_minor: one.unwrap_or(AMOUNT_MAX_MINOR),
        day_limit_minor: day.unwrap_or(i64::MAX),
        webhooks_private: orders.boolean("webhooks_private", faults).unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::document;

    fn parse(text: &str) -> Result<Orders, Vec<document::Fault>> {
        let currency = Currency::new("CNY").unwrap();
        document::read(text, |root, faults| {
            let mut section = root.section("orders", faults).unwrap_or_else(|| Section::empty("orders"));
            let orders = read(&mut section, currency, faults);
            section.finish(faults);
            Some(orders)
        })
    }

    #[test]
    fn limits_of_orders_are_read() {
        let text = "[orders]\nlimit = \"500\"\nday_limit = \"2000\"\nwebhooks_private = true\n";
        let wanted = Orders { limit_minor: 50_000, day_limit_minor: 200_000, webhooks_private: true };
        assert_eq!(parse(text).unwrap(), wanted);
        let usual =
            Orders { limit_minor: AMOUNT_MAX_MINOR, day_limit_minor: i64::MAX, webhooks_private: false };
        assert_eq!(parse("").unwrap(), usual);
        assert_eq!(parse("[orders]\nlimit = \"500\"\nday_limit = \"400\"\n").unwrap_err().len(), 1);
        assert_eq!(parse("[orders]\nlimits = \"500\"\n").unwrap_err().len(), 1);
    }
}
