//! What a payment pays, as its row stores it.

use crate::ledger::row::Id;
use crate::msisdn::Msisdn;

/// What a payment pays. Equal targets of one account and amount are kept apart in time (DESIGN 6.4 point 2).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Target {
    /// A number that is recharged.
    Phone(Msisdn),
    /// A bill.
    Bill {
        /// The biller's id, without a slash.
        biller: String,
        /// The bill's number.
        number: String,
    },
    /// An order or a charge.
    Deal(Id),
}

impl Target {
    /// `+8613800000001`, `bill:water/12345`, `deal:ID`: what the database stores.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Phone(msisdn) => msisdn.as_str().to_owned(),
            Self::Bill { biller, number } => format!("bill:{biller}/{number}"),
            Self::Deal(id) => format!("deal:{id}"),
        }
    }

    /// Reads [`Target::text`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(bill) = text.strip_prefix("bill:") {
            let (biller, number) = bill.split_once('/')?;
            return Some(Self::Bill { biller: biller.to_owned(), number: number.to_owned() });
        }
        match text.strip_prefix("deal:") {
            Some(id) => Id::parse(id).map(Self::Deal),
            None => Msisdn::parse(text).ok().map(Self::Phone),
        }
    }

    /// The number that is recharged, if that is what is paid.
    #[must_use]
    pub const fn phone(&self) -> Option<&Msisdn> {
        match self {
            Self::Phone(msisdn) => Some(msisdn),
            Self::Bill { .. } | Self::Deal(_) => None,
        }
    }
}

impl From<Msisdn> for Target {
    fn from(msisdn: Msisdn) -> Self {
        Self::Phone(msisdn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_back() {
        let phone = Msisdn::parse("+8613800000001").unwrap();
        let bill = Target::Bill { biller: "water".to_owned(), number: "12/345".to_owned() };
        for target in [Target::Phone(phone), bill, Target::Deal(Id([9; 16]))] {
            assert_eq!(Target::parse(&target.text()), Some(target));
        }
        for bad in ["", "bill:water", "deal:1", "138"] {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
    }
}
