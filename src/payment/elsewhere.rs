//! When a recharge that a carrier did not make may be tried with the next one, and what late news of an earlier carrier means.
//! Pure.

use crate::connector::contract::{Outcome, RefusalClass};
use crate::payment::decision::Source;
use crate::payment::row::{AttemptRow, State};

/// Carriers tried for one payment, at most.
pub const ATTEMPTS_MAX: i32 = 5;

/// Whether another carrier may be tried: this one has certainly done nothing, and for a reason of its own. What is unknown, or
/// speaks of the number or the amount, is never tried again elsewhere; nor is what staff have written.
#[must_use]
pub fn allows(state: State, outcome: &Outcome, source: Source) -> bool {
    match (state, outcome, source) {
        (State::Submitting, Outcome::NotSent { .. }, Source::Reply) => true,
        (
            State::Submitting | State::Submitted,
            Outcome::Refused { class, .. },
            Source::Reply | Source::Status | Source::Callback,
        ) => is_of_the_carrier(*class),
        _ => false,
    }
}

/// Whether a refusal speaks of the carrier rather than of the number, the amount or the customer.
#[must_use]
pub const fn is_of_the_carrier(class: RefusalClass) -> bool {
    match class {
        RefusalClass::ProductUnavailable
        | RefusalClass::OurFloatLow
        | RefusalClass::AuthConfig
        | RefusalClass::CarrierDown
        | RefusalClass::RateLimited => true,
        RefusalClass::BadNumber
        | RefusalClass::NumberNotOnOperator
        | RefusalClass::AmountNotAllowed
        | RefusalClass::SubscriberBarred
        | RefusalClass::LimitReached
        | RefusalClass::DuplicateSuspected
        | RefusalClass::Fraud
        | RefusalClass::AlreadyPaid
        | RefusalClass::BillExpired
        | RefusalClass::BillChanged
        | RefusalClass::Other => false,
    }
}

/// Whether staff must know though the payment goes on.
#[must_use]
pub const fn alarms(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused { class, .. } if class.is_alarm())
}

/// The attempt with its outcome.
#[must_use]
pub fn answered(attempt: &AttemptRow, outcome: &Outcome, now: i64) -> AttemptRow {
    let code = match outcome {
        Outcome::Refused { code, .. } => Some(code.clone()),
        Outcome::NotSent { reason, .. } => Some(reason.clone()),
        _ => attempt.code.clone(),
    };
    AttemptRow {
        answered_at: Some(now),
        outcome: Some(outcome.name().to_owned()),
        code,
        carrier_reference: outcome
            .carrier_reference()
            .map(str::to_owned)
            .or_else(|| attempt.carrier_reference.clone()),
        ..attempt.clone()
    }
}

/// What the history says of the change of carriers.
#[must_use]
pub fn words(outcome: &Outcome, next: &str) -> String {
    match outcome {
        Outcome::Refused { class, code, .. } => {
            format!("refused: {} ({code}); the next request goes to {next}", class.name())
        }
        Outcome::NotSent { reason, .. } => format!("not sent: {reason}; the next request goes to {next}"),
        other => format!("{}; the next request goes to {next}", other.name()),
    }
}

/// News of an earlier carrier that means something for the house's money.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Late {
    /// It was made after all.
    Delivered,
    /// What was made after all was taken back.
    Reversed,
}

/// What news of an attempt means whose payment went to another carrier; `None` when nothing.
#[must_use]
pub fn late(attempt: &AttemptRow, outcome: &Outcome) -> Option<Late> {
    match (attempt.outcome.as_deref(), outcome) {
        (Some("delivered" | "reversed"), Outcome::Delivered { .. }) => None,
        (_, Outcome::Delivered { .. }) => Some(Late::Delivered),
        (Some("delivered"), Outcome::Reversed { .. }) => Some(Late::Reversed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::contract::Unclear;
    use crate::ledger::row::Id;

    fn outcomes() -> Vec<Outcome> {
        let refused = |class| Outcome::Refused { class, code: "C".to_owned(), carrier_reference: None };
        let mut all: Vec<Outcome> = RefusalClass::ALL.iter().copied().map(refused).collect();
        all.extend([
            Outcome::NotSent { retryable: true, reason: "r".to_owned() },
            Outcome::Accepted { carrier_reference: None },
            Outcome::Delivered { carrier_reference: None, cost: None, voucher: None },
            Outcome::Unknown { why: Unclear::Timeout, detail: String::new() },
            Outcome::Unknown { why: Unclear::Broken, detail: String::new() },
            Outcome::Reversed { carrier_reference: None },
            Outcome::NotFound,
        ]);
        all
    }

    #[test]
    fn only_what_certainly_did_not_happen_for_the_carriers_own_reason_goes_elsewhere() {
        let mut allowed = 0;
        for state in State::ALL.iter().copied() {
            for outcome in outcomes() {
                for source in [Source::Reply, Source::Status, Source::Callback, Source::Staff] {
                    if !allows(state, &outcome, source) {
                        continue;
                    }
                    allowed += 1;
                    assert!(matches!(state, State::Submitting | State::Submitted), "{state:?}");
                    assert!(state.may_become(State::Submitting), "{state:?}");
                    assert_ne!(source, Source::Staff);
                    match &outcome {
                        Outcome::NotSent { .. } => {
                            assert_eq!((state, source), (State::Submitting, Source::Reply))
                        }
                        Outcome::Refused { class, .. } => assert!(is_of_the_carrier(*class)),
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
        assert_eq!(allowed, 1 + 2 * 3 * 5);
    }

    #[test]
    fn late_news_counts_once_and_only_in_its_order() {
        let attempt = |outcome: &str| AttemptRow {
            id: Id([1; 16]),
            payment: Id([2; 16]),
            number: 1,
            connector: "a".to_owned(),
            reference: "r".to_owned(),
            created_at: 0,
            answered_at: Some(1),
            outcome: Some(outcome.to_owned()),
            code: None,
            carrier_reference: None,
        };
        let delivered = Outcome::Delivered { carrier_reference: None, cost: None, voucher: None };
        let reversed = Outcome::Reversed { carrier_reference: None };
        assert_eq!(late(&attempt("refused"), &delivered), Some(Late::Delivered));
        assert_eq!(late(&attempt("not_sent"), &delivered), Some(Late::Delivered));
        assert_eq!(late(&attempt("delivered"), &delivered), None);
        assert_eq!(late(&attempt("delivered"), &reversed), Some(Late::Reversed));
        assert_eq!(late(&attempt("refused"), &reversed), None, "taken back before we heard of it");
        assert_eq!(late(&attempt("reversed"), &delivered), None);
        for outcome in outcomes() {
            if !matches!(outcome, Outcome::Delivered { .. }) {
                assert_eq!(late(&attempt("refused"), &outcome), None, "{outcome:?}");
            }
        }
        assert_eq!(answered(&attempt("refused"), &delivered, 9).outcome.as_deref(), Some("delivered"));
    }
}
