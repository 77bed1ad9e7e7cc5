//! What can be asked of the ledger, and why it says no: values only, judged in [`crate::ledger::apply()`].
//!
//! A command has an id made by whoever asks, stored before the asking, and a fingerprint of its content. The same id
//! with the same content gets the first answer again, a refusal too; the same id with other content is a conflict.
//! Nothing here may read a clock or a database.

use sha2::Digest;

use crate::ledger::row::Id;
use crate::money::Currency;

/// Most legs of one command: a payment shares its money among fewer than ten accounts.
pub const LEGS_MAX: usize = 16;

/// One side of a movement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Leg {
    /// The account.
    pub account: Id,
    /// Minor units; credit positive, debit negative.
    pub amount_minor: i64,
}

impl Leg {
    /// Credits `account` when positive, debits it when negative.
    #[must_use]
    pub const fn new(account: Id, amount_minor: i64) -> Self {
        Self { account, amount_minor }
    }

    /// The legs with one leg an account and none of zero, in the order in which the accounts appear. A product
    /// without a fee, or one account in two roles, so needs no special case at the caller's.
    #[must_use]
    pub fn merged(legs: &[Self]) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::with_capacity(legs.len());
        for leg in legs {
            let same = merged.iter_mut().find(|m| m.account == leg.account);
            match same.and_then(|m| m.amount_minor.checked_add(leg.amount_minor).map(|sum| (m, sum))) {
                Some((m, sum)) => m.amount_minor = sum,
                // A sum that does not fit stays two legs, which the ledger refuses.
                None => merged.push(*leg),
            }
        }
        merged.retain(|leg| leg.amount_minor != 0);
        merged
    }
}

/// What is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Act {
    /// Moves money at once.
    Transfer {
        /// Sum zero in each currency; each account once.
        legs: Vec<Leg>,
    },
    /// Reserves money: it stays on the account and cannot be spent.
    Hold {
        /// Whose.
        account: Id,
        /// Minor units, positive.
        amount_minor: i64,
        /// The account's currency.
        currency: Currency,
        /// From this time on (microseconds) it no longer counts; `None` never expires.
        expires_at: Option<i64>,
    },
    /// Takes the expiry off a hold, since a request is about to leave on its strength.
    Keep {
        /// The hold.
        hold: Id,
    },
    /// Ends a hold by moving its money; what is not debited is free again.
    Post {
        /// The hold.
        hold: Id,
        /// Exactly one debits the hold's account, by no more than is held.
        legs: Vec<Leg>,
    },
    /// Ends a hold; the money is free again.
    Void {
        /// The hold.
        hold: Id,
    },
    /// Ends a hold whose time has passed. The id of the command is [`Command::expire`]'s.
    Expire {
        /// The hold.
        hold: Id,
    },
    /// Gives back a transfer or a posting, whole or in part; all reversals together never exceed it in any account.
    Reverse {
        /// The transfer.
        transfer: Id,
        /// Each against the sign of the original's leg on the same account.
        legs: Vec<Leg>,
    },
}

impl Act {
    /// The number that is stored.
    #[must_use]
    pub const fn number(&self) -> i16 {
        match self {
            Self::Transfer { .. } => act::TRANSFER,
            Self::Hold { .. } => act::HOLD,
            Self::Keep { .. } => act::KEEP,
            Self::Post { .. } => act::POST,
            Self::Void { .. } => act::VOID,
            Self::Expire { .. } => act::EXPIRE,
            Self::Reverse { .. } => act::REVERSE,
        }
    }

    /// The hold or transfer that it speaks of.
    #[must_use]
    pub const fn refers_to(&self) -> Option<Id> {
        match self {
            Self::Transfer { .. } | Self::Hold { .. } => None,
            Self::Keep { hold } | Self::Post { hold, .. } | Self::Void { hold } | Self::Expire { hold } => {
                Some(*hold)
            }
            Self::Reverse { transfer, .. } => Some(*transfer),
        }
    }

    /// Its movements, none for what only reserves or frees.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        match self {
            Self::Transfer { legs } | Self::Post { legs, .. } | Self::Reverse { legs, .. } => legs,
            Self::Hold { .. } | Self::Keep { .. } | Self::Void { .. } | Self::Expire { .. } => &[],
        }
    }
}

/// The stored numbers of [`Act`].
pub mod act {
    /// [`super::Act::Transfer`].
    pub const TRANSFER: i16 = 1;
    /// [`super::Act::Hold`].
    pub const HOLD: i16 = 2;
    /// [`super::Act::Keep`].
    pub const KEEP: i16 = 3;
    /// [`super::Act::Post`].
    pub const POST: i16 = 4;
    /// [`super::Act::Void`].
    pub const VOID: i16 = 5;
    /// [`super::Act::Expire`].
    pub const EXPIRE: i16 = 6;
    /// [`super::Act::Reverse`].
    pub const REVERSE: i16 = 7;
}

/// One question to the ledger.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command {
    /// Made by whoever asks, once for each intent.
    pub id: Id,
    /// The payment that it belongs to.
    pub payment: Option<Id>,
    /// What is asked.
    pub act: Act,
}

impl Command {
    /// A command.
    #[must_use]
    pub const fn new(id: Id, payment: Option<Id>, act: Act) -> Self {
        Self { id, payment, act }
    }

    /// The one command that expires `hold`, whoever notices first that its time has passed.
    #[must_use]
    pub fn expire(hold: Id) -> Self {
        Self { id: hold.derived("expire"), payment: None, act: Act::Expire { hold } }
    }

    /// SHA-256 over the content. Times are left out, so that a retry that computes its expiry anew is the same
    /// question.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let held = match &self.act {
            Act::Hold { account, amount_minor, currency, .. } => Some((*account, *amount_minor, *currency)),
            _ => None,
        };
        fingerprint(self.act.number(), self.payment, self.act.refers_to(), held, self.act.legs())
    }
}

/// The fingerprint from the parts of a command, so that the audit can make it again from stored rows.
#[must_use]
pub fn fingerprint(
    act: i16,
    payment: Option<Id>,
    refers_to: Option<Id>,
    held: Option<(Id, i64, Currency)>,
    legs: &[Leg],
) -> [u8; 32] {
    let mut text = Vec::with_capacity(80 + legs.len() * 24);
    text.extend_from_slice(b"keytone.ledger.1");
    text.extend_from_slice(&act.to_be_bytes());
    for id in [payment, refers_to] {
        text.push(u8::from(id.is_some()));
        text.extend_from_slice(&id.unwrap_or(Id([0; 16])).0);
    }
    if let Some((account, amount_minor, currency)) = held {
        text.extend_from_slice(&account.0);
        text.extend_from_slice(&amount_minor.to_be_bytes());
        text.extend_from_slice(currency.code().as_bytes());
    }
    // The order of legs carries no meaning.
    let mut sorted = legs.to_vec();
    sorted.sort_unstable_by_key(|leg| (leg.account, leg.amount_minor));
    for leg in sorted {
        text.extend_from_slice(&leg.account.0);
        text.extend_from_slice(&leg.amount_minor.to_be_bytes());
    }
    sha2::Sha256::digest(&text).into()
}

/// Why the ledger says no. When several apply, the first in this order is given. All but [`Refusal::IdReused`] and those
/// of [`Act::Expire`] are stored under the command's id and so are final for it: a new intent needs a new id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// 1: the id was used for another content.
    #[error("the id was used before for something else")]
    IdReused,
    /// 2: no legs, or more than [`LEGS_MAX`].
    #[error("the number of legs is not between 2 and {LEGS_MAX}")]
    LegCount,
    /// 3: a leg of zero, or a hold of zero or less.
    #[error("an amount is zero, or negative where that has no meaning")]
    Amount,
    /// 4: an account in two legs.
    #[error("an account appears twice")]
    AccountTwice,
    /// 5: the hold's expiry has passed already.
    #[error("the expiry has passed already")]
    ExpiryPassed,
    /// 6: no such hold.
    #[error("no such hold")]
    UnknownHold,
    /// 7: the hold was posted before.
    #[error("the hold is posted already")]
    HoldPosted,
    /// 8: the hold was voided before.
    #[error("the hold is voided already")]
    HoldVoided,
    /// 9: the hold's time passed.
    #[error("the hold has expired")]
    HoldExpired,
    /// 10: the hold's time has not passed.
    #[error("the hold is not due yet")]
    NotDue,
    /// 11: no such transfer.
    #[error("no such transfer")]
    UnknownTransfer,
    /// 12: only transfers and postings that were done can be reversed.
    #[error("it cannot be reversed")]
    NotReversible,
    /// 13: no such account.
    #[error("no such account")]
    UnknownAccount,
    /// 14: the account has another currency.
    #[error("the account has another currency")]
    CurrencyMismatch,
    /// 15: the legs of a currency do not sum to zero.
    #[error("the legs do not sum to zero")]
    Unbalanced,
    /// 16: a posting debits the hold's account by more than is held, or not at all.
    #[error("the posting does not debit the hold's account by 1 to {held_minor}")]
    OverHold {
        /// What is held, minor units.
        held_minor: i64,
    },
    /// 17: more than is left of the original, or with its sign.
    #[error("only {left_minor} is left to reverse on an account")]
    OverReversed {
        /// What is left to reverse, minor units.
        left_minor: i64,
    },
    /// 18: a sum would not fit in 64 bits.
    #[error("a balance would be too large")]
    Overflow,
    /// 19: it would take what is not available.
    #[error("only {available_minor} is available")]
    Insufficient {
        /// Balance less holds less floor, minor units.
        available_minor: i64,
    },
}

impl Refusal {
    /// The number that is stored; 0 stands for done.
    #[must_use]
    pub const fn number(self) -> i16 {
        match self {
            Self::IdReused => 1,
            Self::LegCount => 2,
            Self::Amount => 3,
            Self::AccountTwice => 4,
            Self::ExpiryPassed => 5,
            Self::UnknownHold => 6,
            Self::HoldPosted => 7,
            Self::HoldVoided => 8,
            Self::HoldExpired => 9,
            Self::NotDue => 10,
            Self::UnknownTransfer => 11,
            Self::NotReversible => 12,
            Self::UnknownAccount => 13,
            Self::CurrencyMismatch => 14,
            Self::Unbalanced => 15,
            Self::OverHold { .. } => 16,
            Self::OverReversed { .. } => 17,
            Self::Overflow => 18,
            Self::Insufficient { .. } => 19,
        }
    }

    /// The figure that is stored beside the number.
    #[must_use]
    pub const fn minor(self) -> i64 {
        match self {
            Self::OverHold { held_minor } => held_minor,
            Self::OverReversed { left_minor } => left_minor,
            Self::Insufficient { available_minor } => available_minor,
            _ => 0,
        }
    }

    /// The refusal of a stored number and figure.
    #[must_use]
    pub const fn from_stored(number: i16, minor: i64) -> Option<Self> {
        Some(match number {
            1 => Self::IdReused,
            2 => Self::LegCount,
            3 => Self::Amount,
            4 => Self::AccountTwice,
            5 => Self::ExpiryPassed,
            6 => Self::UnknownHold,
            7 => Self::HoldPosted,
            8 => Self::HoldVoided,
            9 => Self::HoldExpired,
            10 => Self::NotDue,
            11 => Self::UnknownTransfer,
            12 => Self::NotReversible,
            13 => Self::UnknownAccount,
            14 => Self::CurrencyMismatch,
            15 => Self::Unbalanced,
            16 => Self::OverHold { held_minor: minor },
            17 => Self::OverReversed { left_minor: minor },
            18 => Self::Overflow,
            19 => Self::Insufficient { available_minor: minor },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> Id {
        Id([n; 16])
    }

    #[test]
    fn stored_refusals_come_back() {
        for number in 1..=19 {
            let refusal = Refusal::from_stored(number, 7).unwrap();
            assert_eq!(refusal.number(), number);
            assert_eq!(Refusal::from_stored(number, refusal.minor()), Some(refusal));
        }
        assert_eq!(Refusal::from_stored(0, 0), None);
        assert_eq!(Refusal::from_stored(20, 0), None);
    }

    #[test]
    fn the_fingerprint_sees_the_content_and_not_the_time_or_the_order() {
        let hold = |account, amount_minor, expires_at, payment| {
            let currency = Currency::new("CNY").unwrap();
            Command::new(id(9), payment, Act::Hold { account, amount_minor, currency, expires_at })
                .fingerprint()
        };
        let first = hold(id(1), 50, Some(7), None);
        assert_eq!(first, hold(id(1), 50, Some(8), None));
        for other in [hold(id(2), 50, Some(7), None), hold(id(1), 51, Some(7), None)] {
            assert_ne!(first, other);
        }
        assert_ne!(first, hold(id(1), 50, Some(7), Some(id(3))));
        let legs =
            |legs: &[Leg]| Command::new(id(9), None, Act::Transfer { legs: legs.to_vec() }).fingerprint();
        let (a, b) = (Leg::new(id(1), -5), Leg::new(id(2), 5));
        assert_eq!(legs(&[a, b]), legs(&[b, a]));
        assert_ne!(legs(&[a, b]), legs(&[a]));
        let void = Command::new(id(9), None, Act::Void { hold: id(1) }).fingerprint();
        assert_ne!(void, Command::new(id(9), None, Act::Keep { hold: id(1) }).fingerprint());
    }

    #[test]
    fn merging_legs_drops_zeroes_and_joins_accounts() {
        let legs = [Leg::new(id(1), -100), Leg::new(id(2), 95), Leg::new(id(3), 0), Leg::new(id(2), 5)];
        assert_eq!(Leg::merged(&legs), vec![Leg::new(id(1), -100), Leg::new(id(2), 100)]);
        let huge = [Leg::new(id(1), i64::MAX), Leg::new(id(1), 1)];
        assert_eq!(Leg::merged(&huge).len(), 2);
    }
}
