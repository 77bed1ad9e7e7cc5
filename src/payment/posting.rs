//! Which accounts share a payment's money: the only place that writes the legs of one. Pure.
//!
//! ```text
//!            customer        counterparty     commission            fee          tax
//!  delivery  −(amount+fee)   +cost            +(amount−cost)        +(fee−tax)   +tax
//! ```

use crate::ledger::chart::House;
use crate::ledger::command::{Act, Command, Leg};
use crate::ledger::row::Id;
use crate::payment::fold::ids;
use crate::payment::row::{AttemptRow, PaymentRow};
use crate::payment::unit::Posting;

/// The account that a payment is held on and paid from: the customer's own, or what the outside provider of his account owes
/// us. Of money that is held outside nothing ever stands on a customer's account here.
#[must_use]
pub fn source(payment: &PaymentRow) -> Id {
    match &payment.provider {
        Some(provider) => House::Receivable(provider).id(payment.currency),
        None => payment.account,
    }
}

/// What the customer pays: face value and fee. `None` when it does not fit.
#[must_use]
pub const fn total_minor(payment: &PaymentRow) -> Option<i64> {
    payment.amount_minor.checked_add(payment.fee_minor)
}

/// The legs of a delivery at `cost_minor`.
#[must_use]
pub fn legs(payment: &PaymentRow, posting: &Posting, cost_minor: i64) -> Vec<Leg> {
    Leg::merged(&[
        Leg::new(source(payment), -payment.amount_minor.saturating_add(payment.fee_minor)),
        Leg::new(posting.counterparty, cost_minor),
        Leg::new(posting.commission, payment.amount_minor.saturating_sub(cost_minor)),
        Leg::new(posting.fee, payment.fee_minor.saturating_sub(payment.tax_minor)),
        Leg::new(posting.tax, payment.tax_minor),
    ])
}

/// The delivery once more: only for the mistake of a build that books it twice.
#[must_use]
pub fn again(payment: &PaymentRow, posting: &Posting, cost_minor: i64) -> Command {
    let act = Act::Transfer { legs: legs(payment, posting, cost_minor) };
    Command::new(payment.id.derived("post again"), Some(payment.id), act)
}

/// The same legs with their signs turned.
#[must_use]
pub fn turned(legs: &[Leg]) -> Vec<Leg> {
    legs.iter().map(|leg| Leg::new(leg.account, -leg.amount_minor)).collect()
}

/// The hold under which a contested payment's money stands.
#[must_use]
pub fn contest_hold(payment: Id) -> Id {
    payment.derived("contest hold")
}

/// The posting of [`contest_hold`].
#[must_use]
pub fn contest_post(payment: Id) -> Id {
    payment.derived("contest post")
}

/// Reverses the delivery and holds the money anew.
#[must_use]
pub fn contest(payment: &PaymentRow, posting: &Posting) -> Vec<Command> {
    let back = turned(&legs(payment, posting, payment.cost_minor));
    let reverse = Act::Reverse { transfer: ids::post(payment.id), legs: back };
    let hold = Act::Hold {
        account: source(payment),
        amount_minor: payment.amount_minor.saturating_add(payment.fee_minor),
        currency: payment.currency,
        expires_at: None,
    };
    vec![
        Command::new(ids::reverse(payment.id), Some(payment.id), reverse),
        Command::new(contest_hold(payment.id), Some(payment.id), hold),
    ]
}

/// Posts the new hold.
#[must_use]
pub fn post_contested(payment: &PaymentRow, posting: &Posting) -> Command {
    let act = Act::Post { hold: contest_hold(payment.id), legs: legs(payment, posting, payment.cost_minor) };
    Command::new(contest_post(payment.id), Some(payment.id), act)
}

/// Voids the new hold.
#[must_use]
pub fn void_contested(payment: &PaymentRow) -> Command {
    let act = Act::Void { hold: contest_hold(payment.id) };
    Command::new(payment.id.derived("contest void"), Some(payment.id), act)
}

/// Reverses the posting of the new hold.
#[must_use]
pub fn reverse_contested(payment: &PaymentRow, posting: &Posting) -> Command {
    let act = Act::Reverse {
        transfer: contest_post(payment.id),
        legs: turned(&legs(payment, posting, payment.cost_minor)),
    };
    Command::new(payment.id.derived("contest reverse"), Some(payment.id), act)
}

/// Books what a late delivery cost as a loss (DESIGN 6.4 point 12); nothing when it cost nothing.
#[must_use]
pub fn lose(payment: &PaymentRow, posting: &Posting, loss: Id, cost_minor: i64) -> Option<Command> {
    let legs = Leg::merged(&[Leg::new(posting.counterparty, cost_minor), Leg::new(loss, -cost_minor)]);
    (!legs.is_empty()).then(|| Command::new(late(payment.id), Some(payment.id), Act::Transfer { legs }))
}

/// Takes that loss back.
#[must_use]
pub fn regain(payment: &PaymentRow, posting: &Posting, loss: Id) -> Option<Command> {
    let cost = payment.cost_minor;
    let legs = Leg::merged(&[Leg::new(posting.counterparty, -cost), Leg::new(loss, cost)]);
    let act = Act::Reverse { transfer: late(payment.id), legs };
    (cost != 0).then(|| Command::new(payment.id.derived("late reverse"), Some(payment.id), act))
}

/// Books what was delivered by a carrier whose refusal had sent the payment to another one; nothing when it cost nothing.
#[must_use]
pub fn lose_elsewhere(
    payment: &PaymentRow,
    attempt: &AttemptRow,
    posting: &Posting,
    loss: Id,
    cost_minor: i64,
) -> Option<Command> {
    let legs = Leg::merged(&[Leg::new(posting.counterparty, cost_minor), Leg::new(loss, -cost_minor)]);
    let act = Act::Transfer { legs: legs.clone() };
    (!legs.is_empty()).then(|| Command::new(attempt.id.derived("late delivery"), Some(payment.id), act))
}

/// Takes that loss back.
#[must_use]
pub fn regain_elsewhere(
    payment: &PaymentRow,
    attempt: &AttemptRow,
    posting: &Posting,
    loss: Id,
    cost_minor: i64,
) -> Option<Command> {
    let legs = Leg::merged(&[Leg::new(posting.counterparty, -cost_minor), Leg::new(loss, cost_minor)]);
    let act = Act::Reverse { transfer: attempt.id.derived("late delivery"), legs };
    (cost_minor != 0).then(|| Command::new(attempt.id.derived("late reverse"), Some(payment.id), act))
}

fn late(payment: Id) -> Id {
    payment.derived("late delivery")
}
