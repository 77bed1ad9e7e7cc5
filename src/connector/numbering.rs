//! The numbering plan: which operator and area a number belongs to, by longest prefix, and which connector
//! recharges it, in which amounts, at what cost and fee. Pure.

use rust_decimal::{Decimal, RoundingStrategy};

use crate::connector::definition::is_id;
use crate::connector::document;
use crate::connector::document::{Fault, Faults, Placed, Section};
use crate::money::{AMOUNT_MAX_MINOR, Currency, Money};
use crate::msisdn::Msisdn;

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
    routes: Vec<Carrier>,
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

/// Who recharges an operator's numbers, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Carrier {
    /// The operator.
    pub operator: String,
    /// Only in this area; everywhere if `None`.
    pub area: Option<String>,
    /// The connector.
    pub connector: String,
    /// Designated amounts (S12), minor units, ascending.
    pub amounts_minor: Vec<i64>,
    /// What the carrier takes of the face value, such as 0.97.
    pub cost_share: Decimal,
    /// Added to every payment, minor units.
    pub fee_fixed_minor: i64,
    /// Added as a share of the face value, such as 0.01.
    pub fee_share: Decimal,
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
            let routes = routes(root, currency, &ranges, faults);
            Some(Self {
                country: country?.value,
                national_lengths,
                currency: currency?,
                ranges: ranges.into_iter().map(|p| p.value).collect(),
                routes,
            })
        })
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

    /// Who recharges a number: a route of its area before one of everywhere.
    #[must_use]
    pub fn find(&self, phone: &Msisdn) -> Found<'_> {
        let Some(range) = self.range(phone).filter(|r| r.mobile) else { return Found::BadNumber };
        let of_operator = || self.routes.iter().filter(|r| r.operator == range.operator);
        of_operator()
            .find(|r| r.area.as_deref() == Some(range.area.as_str()))
            .or_else(|| of_operator().find(|r| r.area.is_none()))
            .map_or(Found::NotSupported, Found::Carrier)
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

fn routes(
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
        if found.iter().any(|r| r.operator == route.operator && r.area == route.area) {
            faults.add(&section.span, &section.key, "this operator and area have a route already");
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
    let written = section.texts("amounts", faults);
    if written.is_empty() {
        section.missing("amounts", faults);
    }
    let mut amounts_minor = Vec::new();
    for Placed { value, span, key } in written {
        match Money::parse(&value, currency) {
            Ok(amount) if (1..=AMOUNT_MAX_MINOR / 2).contains(&amount.minor) => {
                amounts_minor.push(amount.minor)
            }
            Ok(_) => faults.add(&span, &key, "expected an amount above 0"),
            Err(error) => faults.add(&span, &key, error.to_string()),
        }
    }
    amounts_minor.sort_unstable();
    amounts_minor.dedup();
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
        connector: connector?.value,
        amounts_minor,
        cost_share,
        fee_fixed_minor,
        fee_share,
    })
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
        assert_eq!(route.amounts_minor, [5000, 10_000]);
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
}
