//! Asks an outside account provider about a reservation, or what a customer may spend.

use crate::connector::contract::{DEDUCTION_RESERVED, Order, Outcome, Unclear};
use crate::connector::funds::Funds;
use crate::connector::http::Connector;
use crate::connector::provider::{Answer, Operation, Told, without_answer};
use crate::connector::template::Slot;
use crate::money::{Currency, Money};

impl Connector {
    /// Whether customers' accounts are held here.
    #[must_use]
    pub fn holds_accounts(&self) -> bool {
        self.definition.holding.is_some()
    }

    /// Whether what was captured can be given back through the provider.
    #[must_use]
    pub fn refunds(&self) -> bool {
        self.definition.holding.as_ref().is_some_and(|h| h.asking(Operation::Refund).is_some())
    }

    /// Asks once. What moves money must have been written before.
    pub async fn provide(&self, operation: Operation, order: &Order) -> Answer {
        let asking = self.definition.holding.as_ref().and_then(|h| h.asking(operation));
        let Some(asking) = asking else {
            return Answer::from(Told::NotSent { reason: "this connector does not offer that".to_owned() });
        };
        if order.carrier_reference.is_none() && asking.request.holds(&Slot::CarrierReference) {
            // Not "not sent": what is to be asked next is how it stands, and that answer tells it.
            let detail = "the provider's own reference is not known".to_owned();
            return Answer::from(Told::Unknown { why: Unclear::Unexpected, detail });
        }
        let may_repeat =
            operation == Operation::Status || self.token_form().is_some_and(|form| form.repeat_after_401);
        match self.answered(&asking.request, order, may_repeat).await {
            Ok((status, body)) => asking.read(status, &body, order),
            Err(outcome) => without_answer(outcome),
        }
    }

    /// Whether it tells what a customer may spend.
    #[must_use]
    pub fn tells_balances(&self) -> bool {
        self.definition.holding.as_ref().is_some_and(|h| h.balance().is_some())
    }

    /// Asks what may be spent from `external_id`. Moves nothing; `reference` is of this question alone.
    pub async fn funds(&self, reference: String, external_id: &str, currency: Currency) -> Funds {
        let Some(asking) = self.definition.holding.as_ref().and_then(|h| h.balance()) else {
            return Funds::not_now("this provider does not tell balances");
        };
        let question = Order {
            reference,
            msisdn: None,
            bill: None,
            external_id: Some(external_id.to_owned()),
            amount: Money::new(0, currency),
            deduction: String::new(),
            state: DEDUCTION_RESERVED,
            at: self.clock.now(),
            carrier_reference: None,
        };
        match self.answered(&asking.request, &question, true).await {
            Ok((status, body)) => asking.read(status, &body, external_id, currency),
            Err(Outcome::NotSent { reason, .. }) => Funds::not_now(reason),
            Err(Outcome::Unknown { detail, .. }) => Funds::not_now(detail),
            Err(other) => Funds::not_now(other.name()),
        }
    }
}
