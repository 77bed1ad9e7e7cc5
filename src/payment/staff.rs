//! What staff may do with money, and which accounts it moves between. Pure.
//!
//! Every act is a transfer with a reason, made under ids that follow from the request's id, so that a repeated request moves
//! nothing twice. What gives back money of a payment is bounded by what the customer paid.
//!
//! ```text
//!  cash_in       trust −   customer +      money came to the trust account at the bank
//!  cash_out      customer −  trust +
//!  float_sale    trust −paid  commission:agents −discount  agent +amount
//!  payout        merchant −  trust +
//!  float_top_up  float −   bank +          money paid to a carrier in advance
//!  tax           tax −     bank +          paid to the authority
//!  commission    commission −  bank +      the house takes its earnings
//!  fees          fee −     bank +
//!  loss          loss +    bank −          the house makes good what it lost
//!  settlement    settlement +  bank −    an account provider paid us what it had captured
//!  float_found   float −   loss +          the carrier holds more of ours than the books say
//!  float_lost    float +   loss −          less
//!  migrated      bank −    migration +     money of balances that were taken over came to our bank
//! ```

use std::collections::BTreeMap;

use crate::ledger::chart::House;
use crate::ledger::command::{Act as LedgerAct, Command, Leg};
use crate::ledger::row::Id;
use crate::money::Currency;
use crate::msisdn::Msisdn;
use crate::payment::row::staff::RefundRow;
use crate::payment::row::{PaymentRow, State};

/// Who pays an agent's discount.
pub const AGENTS: &str = "agents";

/// Why money is given back or an outcome written, as staff name it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The other side delivered.
    Delivered,
    /// It did not, for certain.
    Refused,
}

/// A movement of the house's own money or between the bank and a customer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Movement {
    /// A customer's money came to the trust account: over the counter or by the bank.
    CashIn,
    /// A customer's money left it.
    CashOut,
    /// Balance sold to an agent, perhaps at a discount.
    FloatSale,
    /// What a merchant has earned is paid to him.
    Payout,
    /// Money paid to a carrier in advance.
    FloatTopUp,
    /// Tax paid to the authority.
    Tax,
    /// A carrier's commission taken to the house's bank account.
    Commission,
    /// Fees taken to the house's bank account.
    Fees,
    /// The house makes good its losses.
    Loss,
    /// An account provider has paid to the bank what it had captured for us.
    Settlement,
    /// The carrier's statement has more of our float than the books.
    FloatFound,
    /// It has less.
    FloatLost,
    /// Money of balances that were taken over from another system came to our bank.
    Migrated,
}

impl Movement {
    /// Every movement.
    pub const ALL: &[Self] = &[
        Self::CashIn,
        Self::CashOut,
        Self::FloatSale,
        Self::Payout,
        Self::FloatTopUp,
        Self::Tax,
        Self::Commission,
        Self::Fees,
        Self::Loss,
        Self::Settlement,
        Self::FloatFound,
        Self::FloatLost,
        Self::Migrated,
    ];

    /// Its name, as everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CashIn => "cash_in",
            Self::CashOut => "cash_out",
            Self::FloatSale => "float_sale",
            Self::Payout => "payout",
            Self::FloatTopUp => "float_top_up",
            Self::Tax => "tax",
            Self::Commission => "commission",
            Self::Fees => "fees",
            Self::Loss => "loss",
            Self::Settlement => "settlement",
            Self::FloatFound => "float_found",
            Self::FloatLost => "float_lost",
            Self::Migrated => "migrated",
        }
    }

    /// What it needs beside an amount.
    #[must_use]
    pub const fn needs(self) -> Needs {
        match self {
            Self::CashIn | Self::CashOut | Self::FloatSale | Self::Payout => Needs::Account,
            Self::FloatTopUp | Self::Commission | Self::Settlement | Self::FloatFound | Self::FloatLost => {
                Needs::Connector
            }
            Self::Tax | Self::Fees | Self::Loss | Self::Migrated => Needs::Nothing,
        }
    }

    /// Whether it adds to what a customer has, so that his tier's ceiling binds it.
    #[must_use]
    pub const fn fills(self) -> bool {
        matches!(self, Self::CashIn)
    }
}

/// Whose money a [`Movement`] moves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Needs {
    /// An account's.
    Account,
    /// What lies with a carrier.
    Connector,
    /// The house's.
    Nothing,
}

/// What staff ask for.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Writes what became of a payment of which nobody knows.
    Resolve {
        /// The payment.
        payment: Id,
        /// What became of it.
        outcome: Outcome,
    },
    /// The carrier took a delivery back: the customer gets everything, and the limits too.
    Reverse {
        /// The payment.
        payment: Id,
    },
    /// The house gives money back, whole or in part; limits stay as they are (DESIGN 6.4 point 8).
    Refund {
        /// The payment.
        payment: Id,
        /// Minor units.
        amount_minor: i64,
    },
    /// Moves money between the house, the bank and an account.
    Move {
        /// Which way.
        movement: Movement,
        /// Minor units that the named account gets or gives.
        amount_minor: i64,
        /// Whose, for [`Needs::Account`].
        account: Option<Id>,
        /// With whom, for [`Needs::Connector`].
        connector: Option<String>,
        /// The part that an agent does not pay, minor units; only of a float sale.
        discount_minor: i64,
    },
    /// Nothing is to be done about something that did not agree in a statement. Always by two persons.
    Dismiss {
        /// The statement.
        statement: Id,
        /// Where in it: see [`crate::payment::row::day::FindingRow`].
        place: String,
    },
    /// Closes a day although payments are open, findings are unmatched or a float differs: they are carried over. Always by two
    /// persons.
    CloseDay {
        /// Days since 1970-01-01 in the market's zone.
        day: i32,
        /// What connectors say that they have of ours, minor units.
        told: BTreeMap<String, i64>,
    },
    /// Lets a caller whose PIN is lost choose another one, after a code to a number of the account. Always takes two: the
    /// caller who gave a code back and one of staff, or two of staff.
    NewPin {
        /// Whose PIN.
        account: Id,
        /// The bound number that calls.
        phone: Msisdn,
    },
    /// Takes payments again after a restore from a backup; always by two.
    Unlock,
}

impl Act {
    /// The word under which it is logged.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Reverse { .. } => "reverse",
            Self::Refund { .. } => "refund",
            Self::Move { movement, .. } => movement.name(),
            Self::Dismiss { .. } => "dismiss",
            Self::CloseDay { .. } => "close",
            Self::NewPin { .. } => "new_pin",
            Self::Unlock => "unlock",
        }
    }

    /// Whether two persons must want it, however little it moves.
    #[must_use]
    pub const fn needs_two(&self) -> bool {
        matches!(self, Self::Dismiss { .. } | Self::CloseDay { .. } | Self::NewPin { .. } | Self::Unlock)
    }

    /// The payment that it is about.
    #[must_use]
    pub const fn payment(&self) -> Option<Id> {
        match self {
            Self::Resolve { payment, .. } | Self::Reverse { payment } | Self::Refund { payment, .. } => {
                Some(*payment)
            }
            Self::Move { .. }
            | Self::Dismiss { .. }
            | Self::CloseDay { .. }
            | Self::NewPin { .. }
            | Self::Unlock => None,
        }
    }
}

/// Why not.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No reason or no evidence.
    #[error("say why, and what it rests on")]
    NoReason,
    /// No name.
    #[error("say who acts, by --staff NAME or $KEYTONE_STAFF")]
    Nobody,
    /// Nothing is locked.
    #[error("the database is not locked")]
    NotLocked,
    /// Payments are open of which nobody knows whether they were delivered.
    #[error("{0} payments are not known yet: the carriers are being asked; resolve what they cannot tell")]
    Unsettled(usize),
    /// An account that is to be erased has money.
    #[error("the account still holds money: pay it out first")]
    NotEmpty,
    /// A window of maintenance that ends before it begins, or has ended.
    #[error("a window of maintenance must end after it begins, and not have ended")]
    Window,
    /// No more windows are planned at once.
    #[error("{0} windows are planned already; remove one")]
    Windows(u32),
    /// Zero, negative, or a discount that is not below the amount.
    #[error("the amount must be above zero, and a discount below it")]
    Amount,
    /// The movement needs an account or a connector.
    #[error("{0} needs {1}")]
    Missing(&'static str, &'static str),
    /// Only what is unknown or under review can be resolved by staff.
    #[error("the payment is {0:?}: only one that is unknown or needs review can be resolved")]
    NotOpen(State),
    /// Only delivered payments can be given back.
    #[error("the payment is {0:?}: only a delivered one can be given back")]
    NotDelivered(State),
    /// More than the customer paid and did not get back yet.
    #[error("only {left_minor} minor units are left to give back")]
    TooMuch {
        /// Minor units.
        left_minor: i64,
    },
    /// Orders and deposits have ways of their own to give back.
    #[error(
        "{0} payments are given back by their own rules: `keytone order resolve`, the merchant's refund, a charge's end"
    )]
    OwnRules(String),
    /// The house has given money back already: a reversal would give it twice.
    #[error("the house has refunded {refunded_minor} minor units already; a reversal would give them twice")]
    Refunded {
        /// Minor units.
        refunded_minor: i64,
    },
}

/// Whether an outcome may be written by hand.
///
/// # Errors
/// [`Refusal::NotOpen`].
pub const fn resolvable(payment: &PaymentRow, outcome: Outcome) -> Result<(), Refusal> {
    match (payment.state, outcome) {
        // A delivery after a refusal is the house's loss (DESIGN 6.4 point 12).
        (State::Unknown | State::NeedsReview, _) | (State::Refused, Outcome::Delivered) => Ok(()),
        (other, _) => Err(Refusal::NotOpen(other)),
    }
}

/// Whether a delivery may be reversed whole.
///
/// # Errors
/// [`Refusal::NotDelivered`]; [`Refusal::OwnRules`]; [`Refusal::Refunded`] when the house has given some back.
pub fn reversible(payment: &PaymentRow, refunded: Option<&RefundRow>) -> Result<(), Refusal> {
    if payment.state != State::Delivered {
        return Err(Refusal::NotDelivered(payment.state));
    }
    if payment.deal.is_some() {
        return Err(Refusal::OwnRules(payment.product.clone()));
    }
    match refunded {
        Some(row) if row.refunded_minor > 0 => Err(Refusal::Refunded { refunded_minor: row.refunded_minor }),
        Some(_) | None => Ok(()),
    }
}

/// When a carrier takes a delivery back, or contradicts it: the row that any refund must have been judged against, and what the
/// house gets back of its goodwill, since the customer gets everything by the reversal itself. Whoever refunds at the same time
/// finds the row changed and judges anew.
#[must_use]
pub fn taken_back(
    payment: &PaymentRow,
    refunded: Option<&RefundRow>,
    gives_back: bool,
) -> (RefundRow, Option<Command>) {
    let before = refunded.map_or((0, 0, 0), |r| (r.refunded_minor, r.refunds, r.version));
    let row = RefundRow {
        payment: payment.id,
        refunded_minor: before.0,
        refunds: before.1,
        version: before.2.saturating_add(1),
    };
    if !gives_back || before.0 <= 0 {
        return (row, None);
    }
    let legs = vec![
        Leg::new(payment.account, before.0.saturating_neg()),
        Leg::new(House::Loss.id(payment.currency), before.0),
    ];
    let id = payment.id.derived("goodwill back");
    (row, Some(Command::new(id, Some(payment.id), LedgerAct::Transfer { legs })))
}

/// What is left to give back of a payment, minor units.
#[must_use]
pub fn left_minor(payment: &PaymentRow, refunded: Option<&RefundRow>) -> i64 {
    let paid = payment.amount_minor.saturating_add(payment.fee_minor);
    paid.saturating_sub(refunded.map_or(0, |r| r.refunded_minor)).max(0)
}

/// The command of a refund out of our loss account, and the row of all refunds after it. The command's id follows from
/// `request`.
///
/// # Errors
/// [`Refusal::NotDelivered`], [`Refusal::OwnRules`], [`Refusal::Amount`], [`Refusal::TooMuch`].
pub fn refund(
    payment: &PaymentRow,
    refunded: Option<&RefundRow>,
    request: Id,
    amount_minor: i64,
) -> Result<(Command, RefundRow), Refusal> {
    if payment.state != State::Delivered {
        return Err(Refusal::NotDelivered(payment.state));
    }
    if payment.deal.is_some() {
        return Err(Refusal::OwnRules(payment.product.clone()));
    }
    if amount_minor <= 0 {
        return Err(Refusal::Amount);
    }
    let left_minor = left_minor(payment, refunded);
    if amount_minor > left_minor {
        return Err(Refusal::TooMuch { left_minor });
    }
    let loss = House::Loss.id(payment.currency);
    let legs = vec![Leg::new(loss, -amount_minor), Leg::new(payment.account, amount_minor)];
    let command = Command::new(request.derived("refund"), Some(payment.id), LedgerAct::Transfer { legs });
    let before = refunded.map_or((0, 0, 0), |r| (r.refunded_minor, r.refunds, r.version));
    let row = RefundRow {
        payment: payment.id,
        refunded_minor: before.0.saturating_add(amount_minor),
        refunds: before.1.saturating_add(1),
        version: before.2.saturating_add(1),
    };
    Ok((command, row))
}

/// The legs of a movement.
///
/// # Errors
/// [`Refusal::Amount`], [`Refusal::Missing`].
pub fn legs(
    movement: Movement,
    currency: Currency,
    amount_minor: i64,
    account: Option<Id>,
    connector: Option<&str>,
    discount_minor: i64,
) -> Result<Vec<Leg>, Refusal> {
    let discounted = movement == Movement::FloatSale;
    if amount_minor <= 0 || discount_minor < 0 || discount_minor >= amount_minor {
        return Err(Refusal::Amount);
    }
    if discount_minor != 0 && !discounted {
        return Err(Refusal::Amount);
    }
    let house = |house: House<'_>| house.id(currency);
    let account = || account.ok_or_else(|| Refusal::Missing(movement.name(), "an account"));
    let connector = || connector.ok_or_else(|| Refusal::Missing(movement.name(), "a connector"));
    let (from, to) = match movement {
        Movement::CashIn | Movement::FloatSale => (house(House::Trust), account()?),
        Movement::CashOut | Movement::Payout => (account()?, house(House::Trust)),
        Movement::FloatTopUp => (house(House::Float(connector()?)), house(House::Bank)),
        Movement::Tax => (house(House::Tax), house(House::Bank)),
        Movement::Commission => (house(House::Commission(connector()?)), house(House::Bank)),
        Movement::Fees => (house(House::Fee), house(House::Bank)),
        Movement::Loss => (house(House::Bank), house(House::Loss)),
        Movement::Settlement => (house(House::Bank), house(House::Settlement(connector()?))),
        Movement::FloatFound => (house(House::Float(connector()?)), house(House::Loss)),
        Movement::FloatLost => (house(House::Loss), house(House::Float(connector()?))),
        Movement::Migrated => (house(House::Bank), house(House::Migration)),
    };
    Ok(Leg::merged(&[
        Leg::new(from, discount_minor.saturating_sub(amount_minor)),
        Leg::new(house(House::Commission(AGENTS)), -discount_minor),
        Leg::new(to, amount_minor),
    ]))
}

#[cfg(test)]
mod tests;
