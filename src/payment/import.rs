//! Customers, their numbers and their balances from the tables of another system. Pure: a head and rows become entries, and
//! what is wrong with a row is said with what to do about it.
//!
//! ```text
//!  customers   customer [number] [tier] [day_limit] [payment_limit]
//!  numbers     number customer
//!  balances    customer amount [reference]
//! ```
//! A customer is named by the key that the other system had for him. The ids of his account and of his opening balance follow
//! from that key, so that the same line finds what it did before, whichever file it stands in. In `numbers` and `balances` an
//! account may also be named by its id, or by a number with `+` that is bound to it.

use crate::ledger::row::Id;
use crate::money::{Currency, Money};
use crate::msisdn::Msisdn;
use crate::payment::tier::Tiers;

/// Most lines of one file: larger ones are parted.
pub const LINES_MAX: i64 = 2_000_000;
/// Longest key of a customer, characters.
pub const CUSTOMER_MAX: usize = 64;
/// Longest reference of a balance, characters.
pub const REFERENCE_MAX: usize = 64;

/// Out of which the ids of accounts that are taken over follow. Written into every database there is: must never change.
const TAKEN_OVER: Id = Id(*b"keytone.import.1");

/// What a file holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Customers, each with a first number perhaps.
    Customers,
    /// More numbers of customers.
    Numbers,
    /// What customers have.
    Balances,
}

impl Kind {
    /// Its name, as everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Numbers => "numbers",
            Self::Balances => "balances",
        }
    }

    /// Its columns; the first so many must be there.
    #[must_use]
    pub const fn columns(self) -> (usize, &'static [&'static str]) {
        match self {
            Self::Customers => (1, &["customer", "number", "tier", "day_limit", "payment_limit"]),
            Self::Numbers => (2, &["number", "customer"]),
            Self::Balances => (2, &["customer", "amount", "reference"]),
        }
    }
}

/// The id of a file's import: the same bytes are the same import.
#[must_use]
pub fn file_id(kind: Kind, sha256: &[u8; 32]) -> Id {
    let digest: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    TAKEN_OVER.derived(&format!("file {} {digest}", kind.name()))
}

/// The account of a customer of the other system.
#[must_use]
pub fn account_of(customer: &str) -> Id {
    TAKEN_OVER.derived(&format!("customer {customer}"))
}

/// The id under which an account's balance of this reference is booked: once, whatever file says it.
#[must_use]
pub fn booking(account: Id, reference: &str) -> Id {
    account.derived(&format!("taken over {reference}"))
}

/// How a line names an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Owner {
    /// By its id, or by the key of the other system, from which the id follows.
    Account(Id),
    /// By a number that is bound to it.
    Number(Msisdn),
}

/// A line that can be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Entry {
    /// An account to be opened.
    Customer {
        /// The account.
        account: Id,
        /// The first number that pays from it.
        number: Option<Msisdn>,
        /// Its tier.
        tier: Option<String>,
        /// The customer's own limit a day, minor units.
        day_limit_minor: Option<i64>,
        /// The customer's own limit a payment, minor units.
        payment_limit_minor: Option<i64>,
    },
    /// A number to be bound.
    Number {
        /// The number.
        number: Msisdn,
        /// What it shall pay from.
        owner: Owner,
    },
    /// Money to be booked.
    Balance {
        /// Whose.
        owner: Owner,
        /// Minor units, above 0.
        amount_minor: i64,
        /// Tells several of one account apart; empty for the opening balance.
        reference: String,
    },
}

/// What is wrong with a line, and what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// What.
    pub what: String,
    /// What to do.
    pub advice: String,
}

impl Fault {
    /// A fault.
    #[must_use]
    pub fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into() }
    }
}

/// What lines are read by.
#[derive(Clone, Debug)]
pub struct Rules<'r> {
    /// The country's code without `+`.
    pub country: &'r str,
    /// Most digits of a national number.
    pub national_max: usize,
    /// The market's currency.
    pub currency: Currency,
    /// The market's tiers.
    pub tiers: &'r Tiers,
}

/// The head of a file: where its columns stand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    kind: Kind,
    /// Of each of [`Kind::columns`], its place in a row.
    places: Vec<Option<usize>>,
    width: usize,
}

impl Head {
    /// Reads the first row.
    ///
    /// # Errors
    /// A column that is missing, unknown or there twice.
    pub fn read(kind: Kind, row: &[String]) -> Result<Self, Fault> {
        let (needed, columns) = kind.columns();
        let wanted = || format!("the first line must name the columns: {}", columns.join(","));
        let names: Vec<String> = row.iter().map(|cell| cell.trim().to_ascii_lowercase()).collect();
        if let Some(name) = names.iter().find(|name| !columns.contains(&name.as_str())) {
            return Err(Fault::new(format!("`{name}` is not a column of {}", kind.name()), wanted()));
        }
        let mut places = Vec::with_capacity(columns.len());
        for (n, column) in columns.iter().enumerate() {
            let mut found = names.iter().enumerate().filter(|(_, name)| name == column).map(|(at, _)| at);
            let place = found.next();
            if found.next().is_some() {
                return Err(Fault::new(format!("the column {column} is there twice"), wanted()));
            }
            if place.is_none() && n < needed {
                return Err(Fault::new(format!("the column {column} is missing"), wanted()));
            }
            places.push(place);
        }
        Ok(Self { kind, places, width: names.len() })
    }

    /// Reads a row after the head.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn entry(&self, row: &[String], rules: &Rules<'_>) -> Result<Entry, Fault> {
        if row.len() != self.width {
            let what = format!("the line has {} cells, the head {}", row.len(), self.width);
            return Err(Fault::new(what, "put a cell that has a comma into quotes"));
        }
        let cell = |column: usize| {
            let place = self.places.get(column).copied().flatten();
            place.and_then(|at| row.get(at)).map_or("", |text| text.trim())
        };
        match self.kind {
            Kind::Customers => Ok(Entry::Customer {
                account: account_of(customer(cell(0))?),
                number: some(cell(1)).map(|text| number(text, rules)).transpose()?,
                tier: some(cell(2)).map(|text| tier(text, rules)).transpose()?,
                day_limit_minor: some(cell(3)).map(|text| money("day_limit", text, rules)).transpose()?,
                payment_limit_minor: some(cell(4))
                    .map(|text| money("payment_limit", text, rules))
                    .transpose()?,
            }),
            Kind::Numbers => {
                Ok(Entry::Number { number: number(cell(0), rules)?, owner: owner(cell(1), rules)? })
            }
            Kind::Balances => {
                let reference = cell(2);
                if reference.chars().count() > REFERENCE_MAX || reference.chars().any(char::is_control) {
                    let what = format!("the reference is longer than {REFERENCE_MAX} characters");
                    return Err(Fault::new(
                        what,
                        "shorten it; it only has to tell one customer's lines apart",
                    ));
                }
                let amount_minor = money("amount", cell(1), rules)?;
                if amount_minor <= 0 {
                    let advice =
                        "leave customers without money out; a debt is booked by `keytone staff move`";
                    return Err(Fault::new("the amount is not above zero", advice));
                }
                let owner = owner(cell(0), rules)?;
                Ok(Entry::Balance { owner, amount_minor, reference: reference.to_owned() })
            }
        }
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn customer(text: &str) -> Result<&str, Fault> {
    if text.is_empty() {
        return Err(Fault::new("no customer is named", "write the key that the other system has for him"));
    }
    if text.chars().count() > CUSTOMER_MAX || text.chars().any(char::is_control) {
        let what = format!("the customer's key is longer than {CUSTOMER_MAX} characters");
        return Err(Fault::new(what, "use a shorter key, the same in all files"));
    }
    if text.starts_with('+') || Id::parse(text).is_some() {
        let what = "the customer's key looks like a number or an account's id";
        return Err(Fault::new(what, "put something before it, such as c-, the same in all files"));
    }
    Ok(text)
}

fn owner(text: &str, rules: &Rules<'_>) -> Result<Owner, Fault> {
    if text.starts_with('+') {
        return Ok(Owner::Number(number(text, rules)?));
    }
    match Id::parse(text) {
        Some(id) => Ok(Owner::Account(id)),
        None => Ok(Owner::Account(account_of(customer(text)?))),
    }
}

fn number(text: &str, rules: &Rules<'_>) -> Result<Msisdn, Fault> {
    Msisdn::dialled(text, rules.country, rules.national_max).map_err(|error| {
        Fault::new(format!("the number: {error}"), "write it in full, such as +8613800000001, without spaces")
    })
}

fn tier(text: &str, rules: &Rules<'_>) -> Result<String, Fault> {
    if rules.tiers.has(text) {
        return Ok(text.to_owned());
    }
    let known: Vec<&str> = rules.tiers.0.iter().map(|tier| tier.name.as_str()).collect();
    let advice = if known.is_empty() {
        "the configuration has no [[tier]]: add it, or leave the cell empty".to_owned()
    } else {
        format!("use one of {}, or leave the cell empty", known.join(", "))
    };
    Err(Fault::new(format!("there is no tier `{text}`"), advice))
}

fn money(column: &str, text: &str, rules: &Rules<'_>) -> Result<i64, Fault> {
    let advice = "write it with a point, without a sign and without a currency, such as 125.50";
    Money::parse(text, rules.currency)
        .map(|money| money.minor)
        .map_err(|error| Fault::new(format!("{column}: {error}"), advice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::tier::Tier;
    use proptest::prelude::*;

    fn tiers() -> Tiers {
        Tiers(vec![Tier { balance_max_minor: Some(100), ..Tier::named("basic") }])
    }

    fn rules(tiers: &Tiers) -> Rules<'_> {
        Rules { country: "86", national_max: 11, currency: Currency::new("CNY").unwrap(), tiers }
    }

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    fn read(kind: Kind, head: &[&str], line: &[&str]) -> Result<Entry, Fault> {
        let tiers = tiers();
        Head::read(kind, &row(head)).and_then(|head| head.entry(&row(line), &rules(&tiers)))
    }

    #[test]
    fn lines_are_read_by_their_heads() {
        let phone = Msisdn::parse("+8613800000001").unwrap();
        let customer =
            read(Kind::Customers, &["Day_Limit", "number", " customer"], &["12.50", "13800000001", " c1 "]);
        assert_eq!(
            customer,
            Ok(Entry::Customer {
                account: account_of("c1"),
                number: Some(phone.clone()),
                tier: None,
                day_limit_minor: Some(1_250),
                payment_limit_minor: None,
            })
        );
        let owner = Owner::Number(phone.clone());
        let number = read(Kind::Numbers, &["number", "customer"], &["+8613800000002", "+8613800000001"]);
        let other = Msisdn::parse("+8613800000002").unwrap();
        assert_eq!(number, Ok(Entry::Number { number: other, owner }));
        let balance = read(Kind::Balances, &["customer", "amount"], &["c1", "5"]);
        let owner = Owner::Account(account_of("c1"));
        assert_eq!(balance, Ok(Entry::Balance { owner, amount_minor: 500, reference: String::new() }));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let b = ["customer", "amount", "reference"];
        let long = "x".repeat(CUSTOMER_MAX + 1);
        let cases: &[(Kind, &[&str], &[&str], &str)] = &[
            (Kind::Balances, &["customer"], &[], "the column amount is missing"),
            (Kind::Balances, &["customer", "amount", "amount"], &[], "the column amount is there twice"),
            (Kind::Balances, &["customer", "money"], &[], "`money` is not a column of balances"),
            (Kind::Balances, &b, &["c1", "5"], "the line has 2 cells, the head 3"),
            (Kind::Balances, &b, &["", "5", ""], "no customer is named"),
            (Kind::Balances, &b, &["c1", "0", ""], "the amount is not above zero"),
            (Kind::Balances, &b, &["c1", "-5", ""], "amount: "),
            (Kind::Balances, &b, &["c1", "5.005", ""], "amount: CNY has 2 decimals"),
            (Kind::Balances, &b, &["c1", "5", &long], "the reference is longer than 64 characters"),
            (Kind::Balances, &b, &[&long, "5", ""], "the customer's key is longer than 64 characters"),
            (Kind::Customers, &["customer"], &["+861"], "the customer's key looks like a number"),
            (Kind::Customers, &["customer", "number"], &["c1", "12 34"], "the number: expected digits"),
            (Kind::Customers, &["customer", "tier"], &["c1", "gold"], "there is no tier `gold`"),
            (Kind::Customers, &["customer", "day_limit"], &["c1", "-1"], "day_limit: "),
        ];
        for (kind, head, line, what) in cases {
            let fault = read(*kind, head, line).unwrap_err();
            assert!(fault.what.starts_with(what), "{fault:?} is not {what}");
            assert!(!fault.advice.is_empty());
        }
    }

    proptest! {
        #[test]
        fn any_cells_are_read_or_refused(cells in prop::collection::vec(".{0,80}", 0..6), kind in 0..3_usize) {
            let kind = [Kind::Customers, Kind::Numbers, Kind::Balances][kind];
            let (_, columns) = kind.columns();
            let head = Head::read(kind, &row(columns)).unwrap();
            let tiers = tiers();
            if let Ok(Entry::Balance { amount_minor, .. }) = head.entry(&cells, &rules(&tiers)) {
                prop_assert!(amount_minor > 0);
            }
        }

        #[test]
        fn different_customers_have_different_accounts(a in "[a-z0-9 ]{1,20}", b in "[a-z0-9 ]{1,20}") {
            prop_assert_eq!(a == b, account_of(&a) == account_of(&b));
            prop_assert_ne!(booking(account_of(&a), ""), booking(account_of(&a), &b));
        }
    }
}
