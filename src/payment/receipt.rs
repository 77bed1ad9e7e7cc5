//! What the SMS says that payment itself queues with a result, in plain English, should the conversation not
//! send a better one. Pure.

use crate::money::Money;
use crate::payment::row::{PaymentRow, State};

/// Writes the SMS of a payment that has just been resolved; `None` sends none.
pub type ReceiptText = fn(&PaymentRow) -> Option<String>;

/// The plain texts.
#[must_use]
pub fn plain(payment: &PaymentRow) -> Option<String> {
    let amount = Money::new(payment.amount_minor, payment.currency);
    let target = payment.target.phone()?.as_str();
    let reference = &payment.reference;
    match payment.state {
        State::Delivered => Some(format!("{target} was recharged with {amount}. Ref {reference}.")),
        State::Refused => Some(format!(
            "The recharge of {target} with {amount} was not made. Nothing was deducted. Ref {reference}."
        )),
        State::Reversed => Some(format!(
            "The carrier took back the recharge of {target} with {amount}. The money is on your account \
             again. Ref {reference}."
        )),
        State::Created
        | State::Authorised
        | State::Submitting
        | State::Submitted
        | State::Unknown
        | State::NeedsReview => None,
    }
}
