//! What may become of a merchant's order: pure, from the stored row, the time and what happened to the next row and the
//! money that moves with it. The driver in `run/orders.rs` commits both together, or neither.

use crate::ledger::row::Id;
use crate::payment::row::order::OrderRow;
use crate::payment::share::{Fee, Share};

/// The longest description, bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 200;
/// The longest time that an order may wait to be paid, microseconds: 90 days.
pub const PAYABLE_MAX_MICROS: i64 = 90 * DAY_MICROS;
/// The longest time that money may be frozen, microseconds: 90 days.
pub const FREEZE_MAX_MICROS: i64 = 90 * DAY_MICROS;
/// A day, microseconds.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// Where an order stands. The number is what the database stores.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(i16)]
pub enum State {
    /// Placed, not paid.
    Created = 0,
    /// Paid; the money is frozen.
    Paid = 1,
    /// The merchant has the money.
    Released = 2,
    /// The customer has all of it back.
    Returned = 3,
    /// The merchant has the money and gave a part of it back.
    PartlyRefunded = 4,
    /// The customer said that something is wrong; the money stays frozen until somebody resolves it.
    Disputed = 5,
    /// Two of the staff shared the money.
    Resolved = 6,
    /// Taken back by the merchant before it was paid.
    Cancelled = 7,
    /// Not paid in time.
    Expired = 8,
}

impl State {
    /// Every state.
    pub const ALL: &[Self] = &[
        Self::Created,
        Self::Paid,
        Self::Released,
        Self::Returned,
        Self::PartlyRefunded,
        Self::Disputed,
        Self::Resolved,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The state of a stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.number() == number)
    }

    /// Its name in the API and for staff.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Paid => "paid",
            Self::Released => "released",
            Self::Returned => "returned",
            Self::PartlyRefunded => "partly_refunded",
            Self::Disputed => "disputed",
            Self::Resolved => "resolved",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.name() == name)
    }

    /// Whether its money is on the intermediary account.
    #[must_use]
    pub const fn is_frozen(self) -> bool {
        matches!(self, Self::Paid | Self::Disputed)
    }
}

/// What happens when the time for a confirmation has passed; fixed when the order is placed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(i16)]
pub enum OnTimeout {
    /// The customer gets it back, unless the merchant said that it was sent.
    ReturnUnlessShipped = 0,
    /// The merchant gets it.
    Release = 1,
    /// The customer gets it back, sent or not.
    Return = 2,
}

impl OnTimeout {
    /// Every one.
    pub const ALL: &[Self] = &[Self::ReturnUnlessShipped, Self::Release, Self::Return];

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// Of a stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|o| o.number() == number)
    }

    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReturnUnlessShipped => "return_unless_shipped",
            Self::Release => "release",
            Self::Return => "return",
        }
    }

    /// Of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|o| o.name() == name)
    }
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(i16)]
pub enum RefundState {
    /// The customer has the money.
    Done = 1,
    /// The merchant's balance was too low: nothing moved.
    NeedsReview = 2,
}

impl RefundState {
    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// Of a stored number.
    #[must_use]
    pub const fn from_number(number: i16) -> Option<Self> {
        match number {
            1 => Some(Self::Done),
            2 => Some(Self::NeedsReview),
            _ => None,
        }
    }

    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NeedsReview => "needs_review",
        }
    }
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// The customer paid.
    Pay {
        /// From this account.
        payer: Id,
        /// By this payment.
        payment: Id,
    },
    /// The customer confirmed receipt.
    Confirm {
        /// The account whose PIN was given.
        payer: Id,
    },
    /// The customer says that something is wrong.
    Dispute {
        /// The caller's account.
        payer: Id,
    },
    /// The time that the row waits for has come.
    Elapse,
    /// The merchant takes it back.
    Cancel,
    /// The merchant has sent what was sold.
    Ship,
    /// The merchant gives money back.
    Refund {
        /// Minor units.
        amount_minor: i64,
    },
    /// Two of the staff share what is frozen.
    Resolve {
        /// The customer's part, minor units; the merchant gets the rest, less its fee.
        customer_minor: i64,
        /// Two different names.
        staff: [String; 2],
        /// Why.
        reason: String,
    },
}

/// Money that moves with a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Movement {
    /// Out of the intermediary account to merchant, fee and rounding.
    Release(Share),
    /// Out of the intermediary account to the payer, minor units.
    Return(i64),
    /// From the merchant's own balance to the payer, minor units.
    Refund(i64),
}

/// What follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// The row as it is now; its version is one more.
    pub row: OrderRow,
    /// The money that moves.
    pub movements: Vec<Movement>,
    /// What the merchant is told, such as `order.paid`.
    pub event: &'static str,
}

/// Why nothing follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It is so already: whoever asks again is answered from the row.
    #[error("it is so already")]
    Already,
    /// Its state does not allow it.
    #[error("the order's state does not allow it")]
    NotAllowed,
    /// Its time to be paid has passed.
    #[error("the order has expired")]
    Expired,
    /// Somebody else paid it.
    #[error("it was paid from another account")]
    NotYours,
    /// More than there is to give back, or nothing.
    #[error("the amount is not between 1 and what can be given back")]
    Amount,
    /// Two different names of staff are needed.
    #[error("two different persons must resolve it")]
    OnePerson,
    /// The time has not come.
    #[error("not due")]
    NotDue,
    /// The row cannot be read: a number that this version does not know, or a sum that does not fit.
    #[error("the order's row is not sound")]
    Unsound,
}

/// The next row and the money that moves.
///
/// # Errors
/// [`Refusal`] when nothing may follow.
pub fn step(row: &OrderRow, now: i64, input: &Input, fee: &Fee) -> Result<Step, Refusal> {
    let state = State::from_number(row.state).ok_or(Refusal::Unsound)?;
    match input {
        Input::Pay { payer, payment } => pay(row, state, now, *payer, *payment, fee),
        Input::Confirm { payer } => {
            held_by(row, state, *payer)?;
            release(row, now, State::Released, "order.released", fee)
        }
        Input::Dispute { payer } => {
            held_by(row, state, *payer)?;
            if state == State::Disputed {
                return Err(Refusal::Already);
            }
            if row.due_at.is_some_and(|due| due <= now) {
                return Err(Refusal::NotAllowed);
            }
            let mut next = moved(row, State::Disputed, now);
            next.disputed_at = Some(now);
            Ok(Step { row: next, movements: Vec::new(), event: "order.disputed" })
        }
        Input::Elapse => elapse(row, state, now, fee),
        Input::Cancel => match state {
            State::Created => Ok(Step {
                row: moved(row, State::Cancelled, now),
                movements: Vec::new(),
                event: "order.cancelled",
            }),
            State::Cancelled => Err(Refusal::Already),
            _ => Err(Refusal::NotAllowed),
        },
        Input::Ship => match state {
            _ if row.shipped_at.is_some() => Err(Refusal::Already),
            State::Paid => {
                let mut next = moved(row, State::Paid, now);
                next.due_at = row.due_at;
                next.shipped_at = Some(now);
                Ok(Step { row: next, movements: Vec::new(), event: "order.shipped" })
            }
            _ => Err(Refusal::NotAllowed),
        },
        Input::Refund { amount_minor } => refund(row, state, now, *amount_minor),
        Input::Resolve { customer_minor, staff, reason } => {
            resolve(row, state, now, *customer_minor, staff, reason, fee)
        }
    }
}

fn moved(row: &OrderRow, to: State, now: i64) -> OrderRow {
    OrderRow {
        state: to.number(),
        due_at: None,
        updated_at: now,
        version: row.version.saturating_add(1),
        ..row.clone()
    }
}

/// Only who paid decides about frozen money.
fn held_by(row: &OrderRow, state: State, payer: Id) -> Result<(), Refusal> {
    if row.payer.is_some_and(|paid| paid != payer) {
        return Err(Refusal::NotYours);
    }
    match state {
        State::Paid | State::Disputed => Ok(()),
        State::Released => Err(Refusal::Already),
        _ => Err(Refusal::NotAllowed),
    }
}

fn pay(row: &OrderRow, state: State, now: i64, payer: Id, payment: Id, fee: &Fee) -> Result<Step, Refusal> {
    match state {
        State::Created if now >= row.expires_at => return Err(Refusal::Expired),
        State::Created => {}
        State::Expired => return Err(Refusal::Expired),
        State::Cancelled => return Err(Refusal::NotAllowed),
        _ => return Err(Refusal::Already),
    }
    let mut next = moved(row, State::Paid, now);
    next.payer = Some(payer);
    next.payment = Some(payment);
    next.paid_at = Some(now);
    next.frozen_minor = row.amount_minor;
    next.due_at = Some(now.checked_add(row.freeze_micros).ok_or(Refusal::Unsound)?);
    if row.frozen {
        return Ok(Step { row: next, movements: Vec::new(), event: "order.paid" });
    }
    next.version = row.version;
    release(&next, now, State::Released, "order.paid", fee)
}

/// What is frozen goes to the merchant.
fn release(row: &OrderRow, now: i64, to: State, event: &'static str, fee: &Fee) -> Result<Step, Refusal> {
    let share = fee.share(row.frozen_minor).ok_or(Refusal::Unsound)?;
    let mut next = moved(row, to, now);
    next.frozen_minor = 0;
    next.released_minor = row.released_minor.checked_add(row.frozen_minor).ok_or(Refusal::Unsound)?;
    next.fee_minor = row.fee_minor.checked_add(share.charged_minor()).ok_or(Refusal::Unsound)?;
    Ok(Step { row: next, movements: vec![Movement::Release(share)], event })
}

/// What is frozen goes back to the customer.
fn give_back(row: &OrderRow, now: i64, to: State, event: &'static str) -> Result<Step, Refusal> {
    let mut next = moved(row, to, now);
    next.frozen_minor = 0;
    next.returned_minor = row.returned_minor.checked_add(row.frozen_minor).ok_or(Refusal::Unsound)?;
    Ok(Step { row: next, movements: vec![Movement::Return(row.frozen_minor)], event })
}

fn elapse(row: &OrderRow, state: State, now: i64, fee: &Fee) -> Result<Step, Refusal> {
    if !matches!(state, State::Created | State::Paid) || row.due_at.is_none_or(|due| due > now) {
        return Err(Refusal::NotDue);
    }
    if state == State::Created {
        return Ok(Step {
            row: moved(row, State::Expired, now),
            movements: Vec::new(),
            event: "order.expired",
        });
    }
    let keeps = match OnTimeout::from_number(row.on_timeout).ok_or(Refusal::Unsound)? {
        OnTimeout::Release => true,
        OnTimeout::Return => false,
        OnTimeout::ReturnUnlessShipped => row.shipped_at.is_some(),
    };
    let mut step = if keeps {
        release(row, now, State::Released, "order.released", fee)?
    } else {
        give_back(row, now, State::Returned, "order.returned")?
    };
    step.row.reason = Some("time_limit".to_owned());
    Ok(step)
}

fn refund(row: &OrderRow, state: State, now: i64, amount_minor: i64) -> Result<Step, Refusal> {
    let left_minor = refundable_minor(row);
    match state {
        State::Paid | State::Disputed | State::Released | State::PartlyRefunded | State::Resolved => {}
        State::Returned => return Err(Refusal::Amount),
        State::Created | State::Cancelled | State::Expired => return Err(Refusal::NotAllowed),
    }
    if amount_minor < 1 || amount_minor > left_minor {
        return Err(Refusal::Amount);
    }
    let whole = amount_minor == left_minor;
    if state.is_frozen() {
        if whole {
            return give_back(row, now, State::Returned, "order.returned");
        }
        let mut next = moved(row, state, now);
        next.due_at = row.due_at;
        next.frozen_minor = row.frozen_minor.checked_sub(amount_minor).ok_or(Refusal::Unsound)?;
        next.returned_minor = row.returned_minor.checked_add(amount_minor).ok_or(Refusal::Unsound)?;
        return Ok(Step {
            row: next,
            movements: vec![Movement::Return(amount_minor)],
            event: "order.refunded",
        });
    }
    let mut next = moved(row, if whole { State::Returned } else { State::PartlyRefunded }, now);
    next.refunded_minor = row.refunded_minor.checked_add(amount_minor).ok_or(Refusal::Unsound)?;
    Ok(Step { row: next, movements: vec![Movement::Refund(amount_minor)], event: "order.refunded" })
}

/// What the merchant can still give back, minor units: what is frozen, or what was released and not refunded.
#[must_use]
pub const fn refundable_minor(row: &OrderRow) -> i64 {
    if row.frozen_minor > 0 {
        row.frozen_minor
    } else {
        row.released_minor.saturating_sub(row.refunded_minor)
    }
}

fn resolve(
    row: &OrderRow,
    state: State,
    now: i64,
    customer_minor: i64,
    staff: &[String; 2],
    reason: &str,
    fee: &Fee,
) -> Result<Step, Refusal> {
    match state {
        State::Disputed => {}
        State::Resolved => return Err(Refusal::Already),
        _ => return Err(Refusal::NotAllowed),
    }
    let [one, other] = staff.each_ref().map(|name| name.trim());
    if one.is_empty() || other.is_empty() || one.to_lowercase() == other.to_lowercase() {
        return Err(Refusal::OnePerson);
    }
    if !(0..=row.frozen_minor).contains(&customer_minor) {
        return Err(Refusal::Amount);
    }
    let merchant_minor = row.frozen_minor.checked_sub(customer_minor).ok_or(Refusal::Unsound)?;
    let mut next = moved(row, State::Resolved, now);
    let mut movements = Vec::new();
    next.frozen_minor = 0;
    if customer_minor > 0 {
        next.returned_minor = row.returned_minor.checked_add(customer_minor).ok_or(Refusal::Unsound)?;
        movements.push(Movement::Return(customer_minor));
    }
    if merchant_minor > 0 {
        let share = fee.share(merchant_minor).ok_or(Refusal::Unsound)?;
        next.released_minor = row.released_minor.checked_add(merchant_minor).ok_or(Refusal::Unsound)?;
        next.fee_minor = row.fee_minor.checked_add(share.charged_minor()).ok_or(Refusal::Unsound)?;
        movements.push(Movement::Release(share));
    }
    next.reason = Some(reason.to_owned());
    next.resolved_by = Some(format!("{one}, {other}"));
    Ok(Step { row: next, movements, event: "order.resolved" })
}

/// What is wrong with the sums of a row, for the audit; `None` when they are sound.
#[must_use]
pub fn fault(row: &OrderRow) -> Option<&'static str> {
    let Some(state) = State::from_number(row.state) else { return Some("has a state that nobody knows") };
    let parts = [row.frozen_minor, row.released_minor, row.returned_minor];
    let Some(sum) = parts.iter().try_fold(0_i64, |sum, part| sum.checked_add(*part)) else {
        return Some("has sums that do not fit");
    };
    let paid = !matches!(state, State::Created | State::Cancelled | State::Expired);
    if sum != if paid { row.amount_minor } else { 0 } {
        return Some("is not the sum of what is frozen, released and returned");
    }
    if (row.frozen_minor > 0) != state.is_frozen() {
        return Some("has frozen money that its state does not tell of");
    }
    if row.refunded_minor > row.released_minor || row.fee_minor > row.released_minor {
        return Some("gave more back, or paid more fee, than was released");
    }
    None
}

#[cfg(test)]
mod tests;
