//! The numbering plan: which operator and area a number belongs to, by longest prefix unless it was ported, and which
//! connectors recharge it, in what order, in which amounts, at what cost and fee. Pure.

mod ported;
mod route;

use std::sync::{Arc, PoisonError, RwLock};

use crate::connector::document;
use crate::connector::document::{Fault, Faults, Placed, Section};
use crate::money::Currency;
use crate::msisdn::Msisdn;

pub use ported::{PORTED_MAX, Ported};
pub use route::{Carrier, Offer};

/// A market's numbers and routes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Country code without `+`.
    pub country: String,
    /// How many digits a mobile number has after the country code.
    pub national_lengths: Vec<usize>,
    /// The currency of amounts and fees.
    pub currency: Currency,
    /// Sorted by prefix.
    ranges: Vec<Range>,
    /// In the order in which they are tried.
    routes: Vec<Carrier>,
    /// Clones of a plan share it, so that a reload reaches all of them.
    ported: Arc<RwLock<Arc<Ported>>>,
}

/// Who a number belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Range {
    /// Leading digits after the country code.
    pub prefix: String,
    /// The operator.
    pub operator: String,
    /// The area, such as a province.
    pub area: String,
    /// Whether these are mobile numbers.
    pub mobile: bool,
}

/// Where a number leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found<'p> {
    /// A carrier recharges it.
    Carrier(&'p Carrier),
    /// A mobile number, but nobody recharges it directly.
    NotSupported,
    /// Not a mobile number of this plan.
    BadNumber,
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// Every fault with its line.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        document::read(text, |root, faults| {
            let country = root.need_text("country", faults);
            if let Some(country) = country.as_ref().filter(|c| !is_digits(&c.value, 3)) {
                faults.add(
                    &country.span,
                    &country.key,
                    "expected a country code of 1 to 3 digits, without +",
                );
            }
            let currency = root.need_text("currency", faults).and_then(|p| {
                Currency::new(&p.value).map_err(|e| faults.add(&p.span, &p.key, e.to_string())).ok()
            });
            let national_lengths = lengths(root, faults);
            let mut ranges = ranges(root, faults);
            ranges.sort_by(|a, b| a.value.prefix.cmp(&b.value.prefix));
            for (a, b) in ranges.iter().zip(ranges.iter().skip(1)) {
                if a.value.prefix == b.value.prefix {
                    faults.add(&b.span, "range.prefix", format!("\"{}\" is there twice", b.value.prefix));
                }
            }
            let routes = route::read(root, currency, &ranges, faults);
            Some(Self {
                country: country?.value,
                national_lengths,
                currency: currency?,
                ranges: ranges.into_iter().map(|p| p.value).collect(),
                routes,
                ported: Arc::default(),
            })
        })
    }

    /// Reads a table of ported numbers against this plan: see [`Ported::parse`].
    ///
    /// # Errors
    /// Every fault with its line, the first twenty.
    pub fn read_ported(&self, csv: &str) -> Result<Ported, Vec<Fault>> {
        let operators = self.ranges.iter().filter(|r| r.mobile).map(|r| r.operator.as_str());
        Ported::parse(csv, &self.country, operators)
    }

    /// Puts a table of ported numbers in the place of the one before. Whoever holds a clone of the plan sees it too.
    pub fn set_ported(&self, ported: Ported) {
        // What is behind the lock is replaced whole.
        *self.ported.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ported);
    }

    /// The table of ported numbers as it is now.
    #[must_use]
    pub fn ported(&self) -> Arc<Ported> {
        Arc::clone(&self.ported.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The range of a number: the longest prefix that holds it.
    #[must_use]
    pub fn range(&self, phone: &Msisdn) -> Option<&Range> {
        let national = phone.digits().strip_prefix(self.country.as_str())?;
        if !self.national_lengths.contains(&national.len()) {
            return None;
        }
        (1..=national.len()).rev().find_map(|length| {
            let prefix = national.get(..length)?;
            let index = self.ranges.binary_search_by(|r| r.prefix.as_str().cmp(prefix)).ok()?;
            self.ranges.get(index)
        })
    }

    /// Whether a number is a mobile number of this plan.
    #[must_use]
    pub fn is_mobile(&self, phone: &Msisdn) -> bool {
        self.range(phone).is_some_and(|r| r.mobile)
    }

    /// Whose number it is now: the operator that it was ported to, else that of its range.
    #[must_use]
    pub fn operator(&self, phone: &Msisdn) -> Option<String> {
        let range = self.range(phone).filter(|r| r.mobile)?;
        Some(self.ported().operator(phone).map_or_else(|| range.operator.clone(), str::to_owned))
    }

    /// Who recharges a number, in the order in which they are tried: by priority, then a route of its area before one of
    /// everywhere.
    #[must_use]
    pub fn carriers(&self, phone: &Msisdn) -> Vec<&Carrier> {
        let (Some(range), Some(operator)) = (self.range(phone), self.operator(phone)) else {
            return Vec::new();
        };
        let here = |r: &&Carrier| {
            r.operator == operator && r.area.as_deref().is_none_or(|area| area == range.area.as_str())
        };
        let mut found: Vec<&Carrier> = self.routes.iter().filter(here).collect();
        found.sort_by_key(|r| (r.priority, r.area.is_none()));
        found
    }

    /// Who recharges a number first.
    #[must_use]
    pub fn find(&self, phone: &Msisdn) -> Found<'_> {
        if !self.is_mobile(phone) {
            return Found::BadNumber;
        }
        self.carriers(phone).first().map_or(Found::NotSupported, |carrier| Found::Carrier(carrier))
    }

    /// Every route.
    #[must_use]
    pub fn routes(&self) -> &[Carrier] {
        &self.routes
    }

    /// The longest national number, for reading what people key.
    #[must_use]
    pub fn national_max(&self) -> usize {
        self.national_lengths.iter().copied().max().unwrap_or(0)
    }
}

fn is_digits(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn lengths(root: &mut Section<'_>, faults: &mut Faults<'_>) -> Vec<usize> {
    let written = root.integers("national_lengths", faults);
    if written.is_empty() {
        root.missing("national_lengths", faults);
    }
    let mut lengths = Vec::new();
    for Placed { value, span, key } in written {
        match usize::try_from(value) {
            Ok(length @ 4..=14) => lengths.push(length),
            _ => faults.add(&span, &key, "expected 4 to 14 digits"),
        }
    }
    lengths
}

fn ranges(root: &mut Section<'_>, faults: &mut Faults<'_>) -> Vec<Placed<Range>> {
    let mut found = Vec::new();
    for mut section in root.sections("range", faults) {
        let prefixes = section.texts("prefix", faults);
        if prefixes.is_empty() {
            section.missing("prefix", faults);
        }
        let operator = section.need_text("operator", faults).map(|p| p.value).unwrap_or_default();
        let area = section.text("area", faults).map(|p| p.value).unwrap_or_default();
        let mobile = section.boolean("mobile", faults).unwrap_or(true);
        for Placed { value: prefix, span, key } in prefixes {
            if !is_digits(&prefix, 14) {
                faults.add(&span, &key, "expected 1 to 14 digits without the country code");
            }
            let range = Range { prefix, operator: operator.clone(), area: area.clone(), mobile };
            found.push(Placed { value: range, span, key });
        }
        section.finish(faults);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
country = "86"
currency = "CNY"
national_lengths = [11]
[[range]]
prefix = ["138", "139"]
operator = "mobile"
area = "guangdong"
[[range]]
prefix = "1380"
operator = "mobile"
area = "beijing"
[[range]]
prefix = "1381"
operator = "other"
[[range]]
prefix = "10"
operator = "fixed"
area = "beijing"
mobile = false
[[route]]
operator = "mobile"
connector = "acme"
amounts = ["100", "50", "50"]
cost_share = "0.975"
fee = "0.50"
fee_share = "0.01"
[[route]]
operator = "mobile"
area = "beijing"
connector = "north"
amounts = ["20"]
"#;

    fn connector(plan: &Plan, number: &str) -> String {
        match plan.find(&Msisdn::parse(number).unwrap()) {
            Found::Carrier(carrier) => carrier.connector.clone(),
            Found::NotSupported => "not supported".to_owned(),
            Found::BadNumber => "bad number".to_owned(),
        }
    }

    #[test]
    fn the_longest_prefix_and_the_own_area_win() {
        let plan = Plan::parse(PLAN).unwrap();
        assert_eq!(connector(&plan, "+8613900000001"), "acme");
        assert_eq!(connector(&plan, "+8613800000001"), "north");
        assert_eq!(connector(&plan, "+8613820000001"), "acme");
        assert_eq!(connector(&plan, "+8613810000001"), "not supported");
        for bad in ["+861390000000", "+86139000000011", "+8610123456789", "+8617700000001", "+4413900000001"]
        {
            assert_eq!(connector(&plan, bad), "bad number", "{bad}");
        }
        assert!(!plan.is_mobile(&Msisdn::parse("+8610123456789").unwrap()));
        assert_eq!(plan.national_max(), 11);
    }

    #[test]
    fn amounts_cost_and_fee() {
        let plan = Plan::parse(PLAN).unwrap();
        let route = &plan.routes()[0];
        assert_eq!(route.offer, Offer::Fixed(vec![5000, 10_000]));
        assert_eq!(route.cost_minor(5000), 4875);
        assert_eq!(route.cost_minor(20), 20, "19.5 rounds to the even 20");
        assert_eq!(route.cost_minor(60), 58, "58.5 rounds to the even 58");
        assert_eq!(route.fee_minor(5000), 100);
        assert_eq!(plan.routes()[1].cost_minor(2000), 2000);
        assert_eq!(plan.routes()[1].fee_minor(2000), 0);
    }

    #[test]
    fn every_fault_is_told() {
        let text = r#"
country = "+86"
currency = "CNY"
national_lengths = [99]
[[range]]
prefix = "13x"
operator = "m"
[[range]]
prefix = "14"
operator = "m"
colour = "red"
[[range]]
prefix = "14"
operator = "m"
[[route]]
operator = "absent"
connector = "No Such"
amounts = ["0", "1.001"]
cost_share = "1.5"
"#;
        let lines: Vec<usize> = Plan::parse(text).unwrap_err().iter().map(|f| f.line).collect();
        assert_eq!(lines, [2, 4, 6, 11, 13, 16, 17, 18, 18, 19]);
    }
    #[test]
    fn routes_are_tried_by_priority_and_a_ported_number_goes_to_its_new_operator() {
        let more = r#"
[[route]]
operator = "mobile"
connector = "second"
priority = 2
min = "10"
max = "500"
step = "5"
[[route]]
operator = "other"
connector = "else"
amounts = ["10"]
"#;
        let plan = Plan::parse(&format!("{PLAN}{more}")).unwrap();
        let names = |number: &str| -> Vec<String> {
            let phone = Msisdn::parse(number).unwrap();
            plan.carriers(&phone).iter().map(|c| c.connector.clone()).collect()
        };
        assert_eq!(names("+8613900000001"), ["acme", "second"]);
        assert_eq!(names("+8613800000001"), ["north", "acme", "second"], "the own area first");
        assert_eq!(names("+8613810000001"), ["else"]);
        assert_eq!(names("+8610123456789"), Vec::<String>::new());
        let held = plan.clone();
        plan.set_ported(plan.read_ported("13900000001,other\n+8613810000001,mobile\n").unwrap());
        let other = Msisdn::parse("+8613900000001").unwrap();
        assert_eq!(held.operator(&other).as_deref(), Some("other"), "a clone sees the new table");
        assert_eq!(names("+8613900000001"), ["else"]);
        assert_eq!(names("+8613810000001"), ["acme", "second"]);
        assert_eq!(names("+8613900000002"), ["acme", "second"]);
        plan.set_ported(Ported::default());
        assert_eq!(names("+8613900000001"), ["acme", "second"]);
    }

    #[test]
    fn equal_routes_and_broken_ranges_are_faults() {
        let faults = |more: &str| -> Vec<String> {
            let text = format!("{PLAN}[[route]]\noperator = \"mobile\"\nconnector = \"x\"\n{more}");
            Plan::parse(&text).unwrap_err().iter().map(|f| f.message.clone()).collect()
        };
        for (more, wanted) in [
            ("amounts = [\"10\"]", "a route of this priority already"),
            ("amounts = [\"10\"]\npriority = 0", "from 1 to 99"),
            ("priority = 2", "is missing"),
            ("priority = 2\namounts = [\"10\"]\nmin = \"1\"\nmax = \"2\"", "either amounts or min and max"),
            ("priority = 2\nmin = \"5\"\nmax = \"2\"", "no less than min"),
            ("priority = 2\nmin = \"5\"", "is missing"),
            ("priority = 2\nmin = \"0\"\nmax = \"2\"", "above 0"),
        ] {
            let found = faults(more);
            assert!(found.iter().any(|f| f.contains(wanted)), "{more}: {found:?}");
        }
    }
}
