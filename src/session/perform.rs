//! Performs the actions of the dialplan's table through the payment core, and turns answers into outcomes.
//!
//! One function for each action; the outcome names and the order of their values are those of the table.

mod account;
mod bill;
mod charge;
mod given;
mod identity;
mod order;
mod recharge;
mod shut;
mod store;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::dialplan::action::Action;
use crate::dialplan::event::Channel as Way;
use crate::dialplan::event::{Argument, Event};
use crate::dialplan::value::Value;
use crate::money::Money;
use crate::msisdn::Msisdn;
use crate::payment::answer::{Channel, PayOutcome};
use crate::payment::row::Id;
use crate::payment::run::{Error as Failure, Payments};
use crate::payment::saga::PROVIDER;
use crate::session::perform::given::Given;
use crate::session::{Error, Session};

/// An action to perform, with what it is given. Holds the secret of a paying action until that has been asked.
#[derive(Debug)]
pub struct Task {
    pub(super) action: &'static Action,
    pub(super) arguments: Vec<Argument>,
}

impl Task {
    /// The action's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.action.name
    }

    /// The action.
    #[must_use]
    pub const fn action(&self) -> &'static Action {
        self.action
    }

    /// Whether it moves money.
    #[must_use]
    pub const fn moves_money(&self) -> bool {
        self.action.moves_money()
    }
}

/// What an action came to: give it to [`Session::resume`].
pub struct Performed {
    pub(super) event: Event,
    pub(super) account: Option<Id>,
    /// The language that the customer chose.
    pub(super) language: Option<Chosen>,
    /// Whether it tells what only the caller may know: the conversation is not logged, and saved encrypted, from then on.
    pub(super) private: bool,
}

impl fmt::Debug for Performed {
    /// What only the caller may know is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome() {
            Some((name, values)) => f.debug_tuple("Performed").field(&name).field(&values).finish(),
            None => f.write_str("Performed"),
        }
    }
}

/// A language that a customer chose.
#[derive(Debug)]
pub(super) struct Chosen {
    /// Its tag.
    pub(super) tag: String,
    /// Whether it was chosen just now.
    pub(super) now: bool,
}

impl Performed {
    /// The outcome's name and values, for a record of the conversation; nothing when the action failed on our side.
    #[must_use]
    pub fn outcome(&self) -> Option<(&str, &[Value])> {
        match &self.event {
            Event::Outcome { name, .. } if self.private => Some((name, &[])),
            Event::Outcome { name, values } if name != FAILED => Some((name, values)),
            _ => None,
        }
    }
}

/// An action being performed.
pub type Performing = Pin<Box<dyn Future<Output = Performed> + Send>>;

/// The refusal class of an amount over the limit of one payment, which `recharge.pay` has no outcome of its own for.
const LIMIT_REACHED: &str = "limit_reached";

/// An outcome's name and values.
type Answer = (&'static str, Vec<Value>);

impl Session {
    /// What somebody says that an action came to, in place of performing it.
    #[must_use]
    pub const fn stand_in(&self, name: String, values: Vec<Value>) -> Performed {
        Performed {
            event: Event::Outcome { name, values },
            account: self.account,
            private: false,
            language: None,
        }
    }

    /// Performs an action. The future owns all that it needs, so that the channel stays free meanwhile; dropping it
    /// leaves a payment that has begun to go on by itself. What fails on our side is logged; the dialplan
    /// is then given an outcome that no action has, and tells the caller that there is trouble.
    pub fn perform(&self, task: Task) -> impl Future<Output = Performed> + Send + use<> {
        let desk = Desk {
            payments: self.payments.heard(self.assurance(), self.language()),
            caller: self.caller().cloned(),
            channel: channel(self.channel()),
            draft: self.opening.draft,
            pin_waivable: self.opening.pin_waivable,
            language: self.language().to_owned(),
            session: self.id,
            account: self.account,
            chosen: None,
            payment: self.payment.unwrap_or_else(|| Id::new(self.clock.now().0)),
        };
        let (session, account) = (self.id, self.account);
        async move {
            let action = task.name();
            desk.perform(task).await.unwrap_or_else(|error| {
                tracing::error!(%session, action, "an action failed: {error}");
                let event = Event::Outcome { name: FAILED.to_owned(), values: Vec::new() };
                Performed { event, account, private: false, language: None }
            })
        }
    }
}

impl Session {
    /// The outcome of the action that was under way when its caller dropped, or its process ended; none when nothing was begun.
    pub(super) async fn recalled(&self, id: Id) -> Result<Option<Event>, Failure> {
        let money = |minor| Value::Money(Money::new(minor, self.payments.settings().currency));
        let awaited = self.state.as_ref().and_then(|state| state.awaited(&self.program));
        let answer = match awaited.map(|action| action.name) {
            Some(action @ ("charge.deposit" | "charge.confirm")) => {
                charge::recalled(&self.payments, action, id).await?
            }
            Some("order.pay" | "order.confirm") => {
                let outcome = self.payments.order_outcome(id).await?;
                outcome.map(|outcome| order::told(&self.payments, outcome))
            }
            Some("bill.pay") => {
                self.payments.outcome_of(id).await?.map(|outcome| bill::told(&outcome, money))
            }
            _ => self.payments.outcome_of(id).await?.map(|outcome| paid(&outcome, money)),
        };
        Ok(answer.map(|(name, values)| Event::Outcome { name: name.to_owned(), values }))
    }
}

/// What every money action answers in a draft.
const SUSPENDED: &str = "suspended";
/// Not an outcome of any action.
pub(super) const FAILED: &str = "failed";

pub(super) const fn channel(way: Way) -> Channel {
    match way {
        Way::Voice => Channel::Voice,
        Way::Ussd => Channel::Ussd,
        Way::Sms => Channel::Sms,
    }
}

/// What an action may know of its session.
struct Desk {
    payments: Payments,
    caller: Option<Msisdn>,
    channel: Channel,
    /// Whether the flow is a draft: it moves no money.
    draft: bool,
    /// Whether the message came over a route that is trusted for the caller's number.
    pin_waivable: bool,
    /// The language that is spoken.
    language: String,
    /// The conversation's id, from which follow the ids of what it asks for without moving money.
    session: Id,
    account: Option<Id>,
    /// The language that the customer of the account chose, once it is known.
    chosen: Option<Chosen>,
    /// The id of the payment, should this action make one.
    payment: Id,
}

impl Desk {
    async fn perform(mut self, task: Task) -> Result<Performed, Error> {
        let action = task.action.name;
        let testing = match self.account {
            Some(account) if self.draft => self.payments.is_test(account).await?,
            Some(_) | None => false,
        };
        if self.draft && !testing && task.moves_money() {
            let values = shut::values(task.action, shut::unsaid());
            let event = Event::Outcome { name: SUSPENDED.to_owned(), values };
            return Ok(Performed { event, account: self.account, private: false, language: None });
        }
        let about = shut::about(&self, task.action, &task.arguments);
        let mut given = Given::new(action, task.arguments);
        let room = action.split_once('.').map_or(action, |(room, _)| room);
        let (name, values) = match room {
            "topup" | "payment" | "recharge" => recharge::perform(&mut self, action, &mut given).await?,
            "bill" => bill::perform(&mut self, action, &mut given).await?,
            "order" => order::perform(&mut self, action, &mut given).await?,
            "charge" => charge::perform(&mut self, action, &mut given).await?,
            "store" => store::perform(&mut self, action, &mut given).await?,
            _ => account::perform(&mut self, action, &mut given).await?,
        };
        let values = match (name, about) {
            (SUSPENDED, Some(about)) => shut::values(task.action, shut::told(&self, &about).await?),
            _ => values,
        };
        let private = (action, name) == ("recharge.voucher", "code");
        let event = Event::Outcome { name: name.to_owned(), values };
        Ok(Performed { event, account: self.account, private, language: self.chosen })
    }

    /// Takes over what the customer of an account chose before.
    async fn recall_language(&mut self, account: Id) -> Result<(), Error> {
        let tag = self.payments.language_of(account).await?;
        self.chosen = tag.map(|tag| Chosen { tag, now: false });
        Ok(())
    }

    fn money(&self, minor: i64) -> Value {
        Value::Money(Money::new(minor, self.payments.settings().currency))
    }
}

/// The outcome's name and values of a payment.
fn paid(outcome: &PayOutcome, money: impl Fn(i64) -> Value) -> Answer {
    let values = match outcome {
        PayOutcome::Delivered { receipt } | PayOutcome::Pending { receipt } => {
            vec![Value::Digits(receipt.clone())]
        }
        PayOutcome::WrongPin { left } => vec![Value::Int(i64::from(*left))],
        PayOutcome::PaymentLimit { .. } => {
            return ("refused", vec![Value::Text(LIMIT_REACHED.to_owned())]);
        }
        PayOutcome::DayLimit { limit_minor, left_minor, .. }
        | PayOutcome::UserLimit { limit_minor, left_minor, .. } => {
            vec![money(*limit_minor), money(*left_minor)]
        }
        PayOutcome::Insufficient { left_minor } => vec![money(*left_minor)],
        PayOutcome::Duplicate { minutes_ago, fee_minor, .. } => {
            vec![Value::Int(*minutes_ago), money(*fee_minor)]
        }
        PayOutcome::Refused { class } => vec![Value::Text(spoken(class).to_owned())],
        PayOutcome::Suspended => shut::unsaid(),
        PayOutcome::Locked | PayOutcome::PinNeeded | PayOutcome::StillProcessing => Vec::new(),
    };
    (outcome.name(), values)
}

/// The word of the dialplan's refusal family for a carrier's class. What is our own fault (float, credentials) is
/// nothing that the caller can use: no reason is given.
fn spoken(class: &str) -> &'static str {
    match class {
        "bad_number" | "number_not_on_operator" => "bad_number",
        "subscriber_barred" => "number_barred",
        "product_unavailable" => "not_available",
        "amount_not_allowed" => "amount_not_allowed",
        "limit_reached" => LIMIT_REACHED,
        "carrier_down" | "rate_limited" => "carrier_down",
        // The customer's own wallet or bank, whatever its reason: that is between the two.
        provider if provider.starts_with(PROVIDER) => "provider",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::action::{REFUSAL, all};
    use crate::dialplan::event::PIN_NEEDED;

    #[test]
    fn every_money_action_can_be_suspended() {
        for action in all().filter(|action| action.moves_money()) {
            let (_, outcome) = action.outcome(SUSPENDED).unwrap();
            let values = shut::values(action, shut::unsaid());
            assert_eq!(values.len(), outcome.values.len(), "{}", action.name);
            assert!(values.iter().zip(outcome.values).all(|(value, field)| value.is(field.ty)));
        }
    }

    #[test]
    fn a_payment_that_needs_a_pin_after_all_is_told_to_the_engine() {
        let money = |minor| Value::Money(Money::new(minor, crate::money::Currency::NONE));
        assert_eq!(paid(&PayOutcome::PinNeeded, money), (PIN_NEEDED, Vec::new()));
        assert!(all().all(|action| action.outcome(PIN_NEEDED).is_none()));
    }

    #[test]
    fn every_class_has_a_word_of_the_family() {
        for class in ["bad_number", "subscriber_barred", "our_float_low", "rate_limited", "no such class"] {
            assert!(REFUSAL.words.contains(&spoken(class)), "{class}");
        }
        assert_eq!(spoken("our_float_low"), "other");
        assert_eq!(spoken("provider_limit_reached"), "provider");
        assert!(REFUSAL.words.contains(&"provider"));
    }
}
