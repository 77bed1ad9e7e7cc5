//! What may be paid of which bill: the directory of billers, the form of their numbers, and the rules that a confirmed
//! amount is judged by. Pure.

use crate::connector::bill::Quoted;

/// Billers in a directory, at most.
pub const BILLERS_MAX: usize = 500;
/// Digits of a bill's number, at most.
pub const NUMBER_DIGITS_MAX: usize = 30;
/// Digits of a biller's code, at most.
pub const CODE_DIGITS_MAX: usize = 6;

/// What a bill's number ends in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CheckDigit {
    /// Nothing in particular.
    #[default]
    None,
    /// The check digit of ISO/IEC 7812 (Luhn).
    Luhn,
}

/// How much of a bill may be paid.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Rule {
    /// What is due and nothing else.
    #[default]
    Exact,
    /// What is due or a part of it.
    Part,
    /// What is due or more.
    Over,
    /// Whatever the biller's quote allows.
    Any,
}

/// A biller of the directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Biller {
    /// Its name in rows and ledger accounts.
    pub id: String,
    /// The digits by which callers choose it.
    pub code: String,
    /// Its name for people.
    pub name: String,
    /// What it bills for: a word of the dialplan's family.
    pub kind: String,
    /// Its connector.
    pub connector: String,
    /// Fewest digits of a bill's number.
    pub digits_min: usize,
    /// Most digits of a bill's number.
    pub digits_max: usize,
    /// The check digit.
    pub check: CheckDigit,
    /// Added to what is paid where the biller's answer tells no fee, minor units.
    pub fee_minor: i64,
    /// How much may be paid; the quote can only narrow it.
    pub rule: Rule,
    /// The most that one payment may come to, minor units.
    pub payment_limit_minor: Option<i64>,
}

impl Biller {
    /// Whether a number can be one of its bills.
    #[must_use]
    pub fn takes(&self, number: &str) -> bool {
        (self.digits_min..=self.digits_max).contains(&number.len())
            && number.bytes().all(|b| b.is_ascii_digit())
            && match self.check {
                CheckDigit::None => true,
                CheckDigit::Luhn => luhn(number),
            }
    }

    /// The least and the most that may be paid of a bill, minor units, by the quote and by our own rule for this biller.
    #[must_use]
    pub fn bounds(&self, bill: &Quoted) -> (i64, i64) {
        let due = bill.amount.minor;
        let least = bill.least.map_or(due, |m| m.minor);
        let most = bill.most.map_or(due, |m| m.minor);
        let (least, most) = match self.rule {
            Rule::Exact => (due, due),
            Rule::Part => (least.min(due), due),
            Rule::Over => (due, most.max(due)),
            Rule::Any => (least, most),
        };
        (least.max(1), most)
    }
}

/// The billers, by what callers choose them by.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Directory(Vec<Biller>);

impl Directory {
    /// A directory in the order in which the billers are to be offered.
    #[must_use]
    pub const fn new(billers: Vec<Biller>) -> Self {
        Self(billers)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Biller] {
        &self.0
    }

    /// The biller of a code.
    #[must_use]
    pub fn by_code(&self, code: &str) -> Option<&Biller> {
        self.0.iter().find(|b| b.code == code)
    }

    /// The biller of an id.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&Biller> {
        self.0.iter().find(|b| b.id == id)
    }
}

/// What is known of a quote when a payment on it is confirmed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    /// The least that may be paid, minor units.
    pub least_minor: i64,
    /// The most that may be paid, minor units.
    pub most_minor: i64,
    /// The fee, minor units.
    pub fee_minor: i64,
    /// Until when the quote holds, microseconds.
    pub expires_at: i64,
}

impl Terms {
    /// Whether what the caller confirmed is still what was quoted. If not the bill must be asked for again.
    #[must_use]
    pub fn hold(&self, amount_minor: i64, fee_minor: i64, now: i64) -> bool {
        now < self.expires_at
            && fee_minor == self.fee_minor
            && (self.least_minor..=self.most_minor).contains(&amount_minor)
    }
}

fn luhn(number: &str) -> bool {
    let sum: u32 = number
        .bytes()
        .rev()
        .zip([1_u32, 2].into_iter().cycle())
        .map(|(b, weight)| {
            let product = u32::from(b.saturating_sub(b'0')).saturating_mul(weight);
            if product > 9 { product.saturating_sub(9) } else { product }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::money::{Currency, Money};

    fn biller(rule: Rule) -> Biller {
        Biller {
            id: "water".to_owned(),
            code: "101".to_owned(),
            name: "City Water".to_owned(),
            kind: "water".to_owned(),
            connector: "sandbox-biller".to_owned(),
            digits_min: 6,
            digits_max: 8,
            check: CheckDigit::Luhn,
            fee_minor: 50,
            rule,
            payment_limit_minor: None,
        }
    }

    #[test]
    fn numbers_have_their_form() {
        let biller = biller(Rule::Exact);
        for (number, good) in [
            ("204818", true),
            ("204819", false),
            ("18", false),
            ("204818204818", false),
            ("20481a", false),
            ("", false),
        ] {
            assert_eq!(biller.takes(number), good, "{number}");
        }
        let plain = Biller { check: CheckDigit::None, ..biller };
        assert!(plain.takes("204819"));
        assert!(!plain.takes("２０４８１８"));
    }

    #[test]
    fn a_rule_narrows_what_the_quote_allows() {
        let cny = |minor| Money::new(minor, Currency::new("CNY").unwrap());
        let bill = |least: Option<i64>, most: Option<i64>| Quoted {
            quote: "q".to_owned(),
            expires: Timestamp(0),
            amount: cny(8_000),
            least: least.map(cny),
            most: most.map(cny),
            fee: None,
            name: String::new(),
            address: String::new(),
            due: None,
        };
        for (rule, least, most, bounds) in [
            (Rule::Exact, Some(100), Some(90_000), (8_000, 8_000)),
            (Rule::Part, Some(100), Some(90_000), (100, 8_000)),
            (Rule::Part, None, None, (8_000, 8_000)),
            (Rule::Over, Some(100), Some(90_000), (8_000, 90_000)),
            (Rule::Any, Some(100), Some(90_000), (100, 90_000)),
            (Rule::Any, Some(0), None, (1, 8_000)),
        ] {
            assert_eq!(biller(rule).bounds(&bill(least, most)), bounds, "{rule:?} {least:?} {most:?}");
        }
    }

    #[test]
    fn terms_hold_within_their_bounds_and_time() {
        let terms = Terms { least_minor: 100, most_minor: 8_000, fee_minor: 50, expires_at: 1_000 };
        for (amount, fee, now, holds) in [
            (100, 50, 999, true),
            (8_000, 50, 0, true),
            (99, 50, 0, false),
            (8_001, 50, 0, false),
            (100, 51, 0, false),
            (100, 50, 1_000, false),
        ] {
            assert_eq!(terms.hold(amount, fee, now), holds, "{amount} {fee} {now}");
        }
    }
}
