//! The accounts of the house and of customers: names, kinds and ids.
//!
//! The id of a house account follows from its name and currency, so that every node, test and tool means the same
//! account without looking it up.

use sha2::Digest;

use crate::ledger::row::{AccountRow, Id, Kind};
use crate::money::Currency;

/// An account of the house.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum House<'a> {
    /// Where customers' deposits come from.
    Funding,
    /// Fees paid by customers.
    Fee,
    /// Tax owed.
    Tax,
    /// Losses borne by the house.
    Loss,
    /// Money paid in advance to a connector.
    Float(&'a str),
    /// What a connector lets us keep.
    Commission(&'a str),
    /// Money that is kept for others: paid orders that are frozen, deposits of charges.
    Intermediary,
    /// Parts of a unit that rates leave over.
    Rounding,
    /// What is owed to a biller.
    Biller(&'a str),
    /// What an outside account provider keeps for us of what customers have paid, until we capture it.
    Receivable(&'a str),
    /// What an outside account provider has captured for us and not yet paid to our bank.
    Settlement(&'a str),
    /// Money of our own at our bank.
    Bank,
    /// Money at the bank that is kept for customers and merchants.
    Trust,
    /// Balances taken over from another system, until that system's money has come to our bank.
    Migration,
    /// An account of the test book: `funding`, `float`, `commission`, `fee`, `tax`, `loss`.
    Test(&'a str),
}

impl House<'_> {
    /// Its name for people: `funding`, `float:acme`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Funding => "funding".to_owned(),
            Self::Fee => "fee".to_owned(),
            Self::Tax => "tax".to_owned(),
            Self::Loss => "loss".to_owned(),
            Self::Float(connector) => format!("float:{connector}"),
            Self::Commission(connector) => format!("commission:{connector}"),
            Self::Intermediary => "intermediary".to_owned(),
            Self::Rounding => "rounding".to_owned(),
            Self::Biller(biller) => format!("biller:{biller}"),
            Self::Receivable(provider) => format!("receivable:{provider}"),
            Self::Settlement(provider) => format!("settlement:{provider}"),
            Self::Bank => "bank".to_owned(),
            Self::Trust => "trust".to_owned(),
            Self::Migration => "migration".to_owned(),
            Self::Test(name) => format!("test:{name}"),
        }
    }

    /// What it is for.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Funding | Self::Migration => Kind::Funding,
            Self::Fee => Kind::Fee,
            Self::Tax => Kind::Tax,
            Self::Loss => Kind::Loss,
            Self::Float(_) => Kind::Float,
            Self::Commission(_) => Kind::Commission,
            Self::Intermediary => Kind::Intermediary,
            Self::Rounding => Kind::Rounding,
            Self::Biller(_) => Kind::Biller,
            Self::Receivable(_) | Self::Settlement(_) => Kind::Receivable,
            Self::Bank | Self::Trust => Kind::Bank,
            Self::Test(_) => Kind::TestHouse,
        }
    }

    /// Its id in `currency`, the same on every node.
    #[must_use]
    pub fn id(&self, currency: Currency) -> Id {
        let mut hash = sha2::Sha256::new();
        hash.update(b"keytone.house\0");
        hash.update(currency.code().as_bytes());
        hash.update(self.name().as_bytes());
        let digest = hash.finalize();
        let mut bytes = [0_u8; 16];
        for (to, from) in bytes.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        Id(*uuid::Builder::from_custom_bytes(bytes).into_uuid().as_bytes())
    }

    /// The account as it is opened at `at`, microseconds: nothing on it and no floor, since the house may owe.
    #[must_use]
    pub fn row(&self, currency: Currency, at: i64) -> AccountRow {
        AccountRow {
            id: self.id(currency),
            kind: self.kind(),
            name: self.name(),
            currency,
            // What is kept for others can never be more than was given.
            floor_minor: matches!(self, Self::Intermediary).then_some(0),
            balance_minor: 0,
            held_minor: 0,
            entries: 0,
            last_transfer: None,
            opened_at: at,
        }
    }
}

/// A merchant's account as it is opened at `at`, microseconds: it may not go below zero.
#[must_use]
pub fn merchant(id: Id, currency: Currency, at: i64) -> AccountRow {
    AccountRow { kind: Kind::Merchant, ..customer(id, currency, at) }
}

/// A customer's account as it is opened at `at`, microseconds: it may not go below zero.
#[must_use]
pub const fn customer(id: Id, currency: Currency, at: i64) -> AccountRow {
    AccountRow {
        id,
        kind: Kind::Customer,
        name: String::new(),
        currency,
        floor_minor: Some(0),
        balance_minor: 0,
        held_minor: 0,
        entries: 0,
        last_transfer: None,
        opened_at: at,
    }
}

/// A tester's account as it is opened at `at`, microseconds.
#[must_use]
pub fn tester(id: Id, currency: Currency, at: i64) -> AccountRow {
    AccountRow { kind: Kind::TestCustomer, ..customer(id, currency, at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn house_accounts_are_the_same_everywhere_and_apart_from_each_other() {
        let (cny, usd) = (Currency::new("CNY").unwrap(), Currency::new("USD").unwrap());
        let all =
            [House::Funding, House::Fee, House::Tax, House::Loss, House::Float("a"), House::Commission("a")];
        let mut ids: Vec<Id> = all.iter().flat_map(|h| [h.id(cny), h.id(usd)]).collect();
        ids.push(House::Float("b").id(cny));
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count);
        // Written into every database there is: must never change.
        assert_eq!(House::Float("acme").id(cny).text(), FLOAT_ACME_CNY);
        assert_eq!(House::Float("acme").name(), "float:acme");
    }

    const FLOAT_ACME_CNY: &str = "a9d71621-679a-8a30-ae1c-775c833228a0";
}
