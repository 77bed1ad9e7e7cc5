//! Asks an outside account provider about a reservation, or what a customer may spend.

use serde_json::Value;

use crate::connector::bill::scalar;
use crate::connector::contract::{DEDUCTION_RESERVED, Order, Outcome, Unclear};
use crate::connector::form;
use crate::connector::funds::Funds;
use crate::connector::http::{CALLBACK_BYTES_MAX, CallbackFault, Connector};
use crate::connector::provider;
use crate::connector::provider::{Answer, Operation, Told, without_answer};
use crate::connector::template::Slot;
use crate::money::{Currency, Money};

/// A provider's own message about a reservation, as it came.
#[derive(Clone, Debug)]
pub struct News {
    /// Our reference of the reservation.
    pub reference: String,
    /// Whether its sender was proved; without proof it may only prompt a question.
    pub verified: bool,
    body: Value,
}

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

    /// Whether it tells by messages of its own what became of reservations.
    #[must_use]
    pub fn tells_reservations(&self) -> bool {
        self.definition.holding.as_ref().is_some_and(|h| h.news().is_some())
    }

    /// Proves a message and finds out of which reservation it is. `headers` are names in any case with their values.
    ///
    /// # Errors
    /// [`CallbackFault`]: not taken.
    pub fn news(&self, headers: &[(String, String)], body: &[u8]) -> Result<News, CallbackFault> {
        let form = self.definition.holding.as_ref().and_then(|h| h.news());
        let form = form.ok_or(CallbackFault::NotExpected)?;
        if body.len() > CALLBACK_BYTES_MAX {
            return Err(CallbackFault::TooLong);
        }
        if let Some(signature) = &form.signature {
            self.check(signature, headers, body)?;
        }
        let body = if form.form { form::read(body) } else { serde_json::from_slice(body).ok() };
        let body: Value = body.ok_or(CallbackFault::Unreadable)?;
        let reference = scalar(&body, form.places.reference.as_deref()).ok_or(CallbackFault::Unreadable)?;
        Ok(News { reference, verified: form.signature.is_some(), body })
    }

    /// What a message says of the reservation that it names.
    #[must_use]
    pub fn told(&self, news: &News, order: &Order) -> Answer {
        match self.definition.holding.as_ref().and_then(|h| h.news()) {
            Some(form) => provider::read(&form.places, &form.rules, 200, Some(&news.body), order),
            None => Answer::from(Told::Pending),
        }
    }

    /// What a taken message is answered: status and body.
    #[must_use]
    pub fn news_reply(&self) -> (u16, String) {
        let form = self.definition.holding.as_ref().and_then(|h| h.news());
        form.map_or_else(|| (404, "{}".to_owned()), |form| (form.reply_status, form.reply_body.clone()))
    }
}
