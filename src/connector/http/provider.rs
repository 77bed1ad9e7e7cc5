//! Asks an outside account provider about a reservation.

use crate::connector::contract::{Order, Unclear};
use crate::connector::http::Connector;
use crate::connector::provider::{Answer, Operation, Told, without_answer};
use crate::connector::template::Slot;

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
}
