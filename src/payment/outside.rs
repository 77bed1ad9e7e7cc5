//! What the audit proves of money that is held outside: every such payment has a reservation that fits it, and what the books
//! say that a provider keeps for us is what payments and reservations come to. Pure.
//!
//! ```text
//!  receivable:P = − delivered  + captured  − given back     settlement:P = − captured + refunded (+ what P paid to our bank)
//! ```

use std::collections::HashMap;

use crate::ledger::chart::House;
use crate::ledger::row::Id;
use crate::payment::decision::CONTESTED;
use crate::payment::row::provider::ReservationRow;
use crate::payment::row::{PaymentRow, State};
use crate::payment::saga::Stage;

/// A payment from an outside account, without what the audit does not need.
#[derive(Debug)]
struct Paid {
    reference: String,
    provider: String,
    amount_minor: i64,
    state: State,
    contested: bool,
}

/// Reads payments, then reservations, then accounts.
#[derive(Debug, Default)]
pub struct Outside {
    waiting: HashMap<Id, Paid>,
    receivable: HashMap<Id, i128>,
}

impl Outside {
    /// A payment of any kind.
    pub fn payment(&mut self, payment: &PaymentRow) {
        let Some(provider) = &payment.provider else { return };
        let amount_minor = payment.amount_minor.saturating_add(payment.fee_minor);
        if payment.state == State::Delivered {
            let account = House::Receivable(provider).id(payment.currency);
            *self.receivable.entry(account).or_default() -= i128::from(amount_minor);
        }
        let paid = Paid {
            reference: payment.reference.clone(),
            provider: provider.clone(),
            amount_minor,
            state: payment.state,
            contested: payment.class.as_deref() == Some(CONTESTED),
        };
        self.waiting.insert(payment.id, paid);
    }

    /// A reservation, after all payments; what is wrong with it, in words.
    pub fn reservation(&mut self, row: &ReservationRow) -> Option<String> {
        let Some(stage) = Stage::from_number(row.stage) else {
            return Some(format!("has the stage {}, which is none", row.stage));
        };
        if stage.was_captured() {
            let account = House::Receivable(&row.provider).id(row.currency);
            let booked = self.receivable.entry(account).or_default();
            *booked += i128::from(row.amount_minor);
            if matches!(stage, Stage::Refunded | Stage::Owed) {
                *booked -= i128::from(row.amount_minor);
            }
        }
        let Some(paid) = self.waiting.remove(&row.payment) else {
            return Some("is of no payment from an outside account".to_owned());
        };
        if (paid.provider.as_str(), paid.amount_minor) != (row.provider.as_str(), row.amount_minor) {
            let (provider, amount) = (&row.provider, row.amount_minor);
            return Some(format!(
                "is of {amount} at {provider}, its payment of {} at {}",
                paid.amount_minor, paid.provider
            ));
        }
        if row.open != stage.is_open() {
            return Some(format!("is {}, but marked as open: {}", stage.name(), row.open));
        }
        let fits = fits(stage, paid.state, paid.contested);
        (!fits).then(|| format!("is {}, but its payment is {:?}", stage.name(), paid.state))
    }

    /// The payments from outside accounts that have no reservation. Call it when all are seen.
    pub fn missing(&mut self) -> Vec<(Id, String, &'static str)> {
        let mut missing: Vec<_> = self
            .waiting
            .drain()
            .map(|(id, paid)| (id, paid.reference, "is from an outside account, but nothing was reserved"))
            .collect();
        missing.sort_unstable();
        missing
    }

    /// The account of what a provider keeps for us; what is wrong with it, in words. Settlements are not judged: providers pay
    /// them to the bank.
    pub fn receivable(&self, account: Id, name: &str, balance_minor: i64) -> Option<String> {
        if !name.starts_with("receivable:") {
            return None;
        }
        let wanted = self.receivable.get(&account).copied().unwrap_or_default();
        let what = format!("holds {balance_minor}, but payments and reservations come to {wanted}");
        (i128::from(balance_minor) != wanted).then_some(what)
    }
}

/// Whether a reservation may stand so while its payment stands so. It follows its payment: never captured before that was
/// delivered, and a moment late everywhere else.
const fn fits(stage: Stage, state: State, contested: bool) -> bool {
    match state {
        State::Created => false,
        State::Authorised => matches!(stage, Stage::Reserving),
        State::NeedsReview if contested => {
            matches!(stage, Stage::Reserved | Stage::Capturing | Stage::Captured)
        }
        State::Submitting | State::Submitted | State::Unknown | State::NeedsReview => {
            matches!(stage, Stage::Reserved)
        }
        State::Delivered => matches!(stage, Stage::Reserved | Stage::Capturing | Stage::Captured),
        State::Refused | State::Reversed => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_captured_before_it_is_delivered() {
        for state in State::ALL {
            for stage in Stage::ALL {
                let captured = matches!(stage, Stage::Capturing | Stage::Captured);
                if captured && fits(*stage, *state, false) {
                    assert!(
                        matches!(state, State::Delivered | State::Refused | State::Reversed),
                        "{stage:?} {state:?}"
                    );
                }
            }
            assert_eq!(
                Stage::ALL.iter().any(|stage| fits(*stage, *state, false)),
                *state != State::Created,
                "{state:?}"
            );
        }
        assert!(fits(Stage::Captured, State::NeedsReview, true));
        assert!(!fits(Stage::Released, State::Delivered, false));
        assert!(!fits(Stage::Refused, State::Submitting, false));
    }
}
