//! What the SMS says that payment itself queues with a result, in plain English, should the conversation not
//! send a better one. Pure.

use crate::money::Money;
use crate::payment::row::{PaymentRow, State, Target};

/// Writes the SMS of a payment that has just been resolved; `None` sends none.
pub type ReceiptText = fn(&PaymentRow) -> Option<String>;

/// The plain texts.
#[must_use]
pub fn plain(payment: &PaymentRow) -> Option<String> {
    let amount = Money::new(payment.amount_minor, payment.currency);
    let target = match &payment.target {
        Target::Phone(phone) => phone.as_str(),
        Target::Bill { number, .. } => return bill(payment, number),
        Target::Deal(_) => return deal(payment),
    };
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

/// Of what stays in the house only the conversation tells, which is there when it is done. An account that is held outside may
/// be answered for much later.
fn deal(payment: &PaymentRow) -> Option<String> {
    payment.provider.as_ref()?;
    let amount = Money::new(payment.amount_minor, payment.currency);
    let payee = payment.payee.as_deref().unwrap_or("the merchant");
    let reference = &payment.reference;
    match payment.state {
        State::Delivered => Some(format!("Order of {payee}: {amount} is paid. Ref {reference}.")),
        State::Refused => {
            Some(format!("Order of {payee}: {amount} was not paid. Nothing was deducted. Ref {reference}."))
        }
        State::Reversed => {
            Some(format!("Order of {payee}: {amount} goes back to your wallet or bank. Ref {reference}."))
        }
        State::Created
        | State::Authorised
        | State::Submitting
        | State::Submitted
        | State::Unknown
        | State::NeedsReview => None,
    }
}

/// The text that brings a voucher's code, digits in groups of four; without a code it has been told before and is gone.
#[must_use]
pub fn voucher(payment: &PaymentRow, code: Option<&str>) -> String {
    let amount = Money::new(payment.amount_minor, payment.currency);
    let reference = &payment.reference;
    let Some(code) = code else {
        return format!("The code for {amount} was sent before. Ref {reference}.");
    };
    let phone = payment.target.phone().map_or("", |phone| phone.as_str());
    let digits: Vec<char> = code.chars().collect();
    let shown = if digits.iter().all(char::is_ascii_digit) {
        digits.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
    } else {
        code.to_owned()
    };
    format!("Code {shown} recharges {phone} with {amount}. Ref {reference}.")
}

fn bill(payment: &PaymentRow, number: &str) -> Option<String> {
    let amount = Money::new(payment.amount_minor, payment.currency);
    let payee = payment.payee.as_deref().unwrap_or("the biller");
    let reference = &payment.reference;
    match payment.state {
        State::Delivered => Some(format!("Bill {number} of {payee}: {amount} is paid. Ref {reference}.")),
        State::Refused => Some(format!(
            "Bill {number} of {payee}: {amount} was not paid. Nothing was deducted. Ref {reference}."
        )),
        State::Reversed => Some(format!(
            "Bill {number} of {payee}: the payment of {amount} was given back. The money is on your account again. \
             Ref {reference}."
        )),
        State::Created
        | State::Authorised
        | State::Submitting
        | State::Submitted
        | State::Unknown
        | State::NeedsReview => None,
    }
}
