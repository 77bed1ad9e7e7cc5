//! Proves a payment's history from its stored rows: invariants I8 and I9. Pure.
//!
//! - I8 every request to a carrier had its row before it left: whatever came to submitting has an attempt that was written no
//!   later, attempts are numbered without a gap, and what never came to submitting has none;
//! - I9 every version of a payment has one step, each step is one that [`State::next`] allows, the first is the hold, and the
//!   last is where the payment stands.

use crate::payment::row::{PaymentCase, State};

/// What is wrong with a payment's history: the invariant, and in words.
#[must_use]
pub fn faults(case: &PaymentCase) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    attempts(case, &mut faults);
    steps(case, &mut faults);
    faults
}

fn attempts(case: &PaymentCase, faults: &mut Vec<(&'static str, String)>) {
    let mut wrong = |what: String| faults.push(("I8", what));
    for (wanted, attempt) in (1_i32..).zip(&case.attempts) {
        if attempt.number != wanted {
            wrong(format!("has the attempt {} where {wanted} was to be", attempt.number));
        }
    }
    let left = case.events.iter().find(|event| event.state == State::Submitting);
    match (left, case.attempts.first()) {
        (Some(left), Some(first)) if first.created_at > left.at => {
            wrong(format!("its first attempt was written {} µs after it left", first.created_at - left.at));
        }
        (Some(_), None) => wrong("was sent, and there is no attempt".to_owned()),
        (None, Some(_)) => wrong("has an attempt, and never came to submitting".to_owned()),
        (Some(_), Some(_)) | (None, None) => {}
    }
}

fn steps(case: &PaymentCase, faults: &mut Vec<(&'static str, String)>) {
    let mut wrong = |what: String| faults.push(("I9", what));
    let mut before: Option<State> = None;
    for (wanted, event) in (1_i64..).zip(&case.events) {
        if event.version != wanted {
            wrong(format!("has the step {} where {wanted} was to be", event.version));
        }
        match before {
            None if event.state != State::Authorised => wrong(format!("began as {:?}", event.state)),
            // What a carrier says of a request after the payment went on to another one is noted without a step.
            Some(before) if before == event.state && case.attempts.len() > 1 => {}
            Some(before) if !before.may_become(event.state) => {
                wrong(format!("went from {before:?} to {:?}", event.state));
            }
            None | Some(_) => {}
        }
        before = Some(event.state);
    }
    let payment = &case.payment;
    let count = i64::try_from(case.events.len()).unwrap_or(i64::MAX);
    if count != payment.version {
        wrong(format!("is at version {}, and has {count} steps", payment.version));
    }
    if before != Some(payment.state) {
        let last = before.map_or_else(|| "nothing".to_owned(), |state| format!("{state:?}"));
        wrong(format!("is {:?}, its last step is {last}", payment.state));
    }
}
