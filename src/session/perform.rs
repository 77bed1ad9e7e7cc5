//! Performs the actions of the dialplan's table through the payment core, and turns answers into outcomes.
//!
//! One function for each action; the outcome names and the order of their values are those of the table.

use std::future::Future;
use std::pin::Pin;

use crate::dialplan::action::Action;
use crate::dialplan::event::Channel as Way;
use crate::dialplan::event::{Argument, Event, PIN_NEEDED};
use crate::dialplan::value::Value;
use crate::money::Money;
use crate::msisdn::Msisdn;
use crate::payment::answer::{Channel, Identity, PayOutcome, PayRequest, Pin as Vouched, Quote, Route};
use crate::payment::row::Id;
use crate::payment::run::Payments;
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
#[derive(Debug)]
pub struct Performed {
    pub(super) event: Event,
    pub(super) account: Option<Id>,
}

impl Performed {
    /// The outcome's name and values, for a record of the conversation; nothing when the action failed on our side.
    #[must_use]
    pub fn outcome(&self) -> Option<(&str, &[Value])> {
        match &self.event {
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
        Performed { event: Event::Outcome { name, values }, account: self.account }
    }

    /// Performs an action. The future owns all that it needs, so that the channel stays free meanwhile; dropping it
    /// leaves a payment that has begun to go on by itself. What fails on our side is logged; the dialplan
    /// is then given an outcome that no action has, and tells the caller that there is trouble.
    pub fn perform(&self, task: Task) -> impl Future<Output = Performed> + Send + use<> {
        let desk = Desk {
            payments: self.payments.clone(),
            caller: self.opening.caller.clone(),
            channel: channel(self.channel()),
            draft: self.opening.draft,
            pin_waivable: self.opening.pin_waivable,
            account: self.account,
            payment: self.payment.unwrap_or_else(|| Id::new(self.clock.now().0)),
        };
        let (session, account) = (self.id, self.account);
        async move {
            let action = task.name();
            desk.perform(task).await.unwrap_or_else(|error| {
                tracing::error!(%session, action, "an action failed: {error}");
                Performed { event: Event::Outcome { name: FAILED.to_owned(), values: Vec::new() }, account }
            })
        }
    }
}

impl Session {
    /// The outcome of a payment that was under way when its caller dropped.
    pub(super) fn paid(&self, outcome: &PayOutcome) -> Event {
        let money = |minor| Value::Money(Money::new(minor, self.payments.settings().currency));
        let (name, values) = paid(outcome, money);
        Event::Outcome { name: name.to_owned(), values }
    }
}

/// What every money action answers in a draft.
const SUSPENDED: &str = "suspended";
/// Not an outcome of any action.
pub(super) const FAILED: &str = "failed";

const fn channel(way: Way) -> Channel {
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
    account: Option<Id>,
    /// The id of the payment, should this action make one.
    payment: Id,
}

impl Desk {
    async fn perform(mut self, task: Task) -> Result<Performed, Error> {
        let action = task.action.name;
        if self.draft && task.moves_money() {
            let event = Event::Outcome { name: SUSPENDED.to_owned(), values: Vec::new() };
            return Ok(Performed { event, account: self.account });
        }
        let mut given = task.arguments.into_iter();
        let (name, values) = match action {
            "caller.identify" => self.identify().await?,
            "topup.route" => self.route(&phone(action, given.next())?),
            "payment.quote" => {
                let phone = phone(action, given.next())?;
                let amount = money(action, given.next())?;
                self.quote(&phone, amount, yes(action, given.next())?).await?
            }
            "recharge.pay" => {
                let phone = phone(action, given.next())?;
                let amount = money(action, given.next())?;
                let pin = match given.next() {
                    Some(Argument::Secret(secret)) => Vouched::Typed(secret),
                    Some(Argument::Waived) if self.pin_waivable => Vouched::Waived,
                    // The conversation goes on over another route than it began on.
                    Some(Argument::Waived) => {
                        let event = Event::Outcome { name: PIN_NEEDED.to_owned(), values: Vec::new() };
                        return Ok(Performed { event, account: self.account });
                    }
                    Some(Argument::Value(_)) | None => return Err(Error::Action(action)),
                };
                self.pay(phone, amount, pin, yes(action, given.next())?).await?
            }
            other => return Err(Error::Action(other)),
        };
        Ok(Performed { event: Event::Outcome { name: name.to_owned(), values }, account: self.account })
    }

    async fn identify(&mut self) -> Result<Answer, Error> {
        Ok(match self.payments.identify(self.caller.as_ref()).await? {
            Identity::Bound { account } => {
                self.account = Some(account);
                ("bound", vec![Value::Text(account.text())])
            }
            Identity::Unbound { phone } => ("unbound", vec![Value::Phone(phone)]),
            Identity::NoNumber => ("no_number", Vec::new()),
        })
    }

    fn route(&self, phone: &Msisdn) -> Answer {
        match self.payments.route(phone) {
            Route::Ok { carrier, amounts_minor } => {
                let amounts = amounts_minor.into_iter().map(|minor| self.money(minor)).collect();
                ("ok", vec![Value::Text(carrier), Value::List(amounts)])
            }
            Route::NotSupported => ("not_supported", Vec::new()),
            Route::BadNumber => ("bad_number", Vec::new()),
        }
    }

    async fn quote(&self, phone: &Msisdn, amount: Money, repeat: bool) -> Result<Answer, Error> {
        let account = self.account.ok_or(Error::Action("payment.quote"))?;
        let quote = self.payments.quote(account, self.channel, phone, amount.minor, repeat).await?;
        Ok(match quote {
            Quote::Ok { fee_minor, total_minor } => {
                ("ok", vec![self.money(fee_minor), self.money(total_minor)])
            }
            // A quote is advice. Whatever is shut says so in `recharge.pay`, before a PIN try is counted.
            Quote::Suspended => ("ok", vec![self.money(0), Value::Money(amount)]),
            Quote::NotDesignated | Quote::NoRoute => ("not_designated", Vec::new()),
            Quote::PaymentLimit { limit_minor } => ("payment_limit", vec![self.money(limit_minor)]),
            Quote::DayLimit { limit_minor, left_minor, .. } => {
                ("day_limit", vec![self.money(limit_minor), self.money(left_minor)])
            }
            Quote::UserLimit { limit_minor, left_minor, .. } => {
                ("user_limit", vec![self.money(limit_minor), self.money(left_minor)])
            }
            Quote::Insufficient { left_minor } => ("insufficient", vec![self.money(left_minor)]),
            Quote::Duplicate { minutes_ago, fee_minor, .. } => {
                ("duplicate", vec![Value::Int(minutes_ago), self.money(fee_minor)])
            }
            Quote::StillProcessing => ("still_processing", Vec::new()),
        })
    }

    async fn pay(&self, phone: Msisdn, amount: Money, pin: Vouched, repeat: bool) -> Result<Answer, Error> {
        let account = self.account.ok_or(Error::Action("recharge.pay"))?;
        let request = PayRequest {
            id: self.payment,
            account,
            caller: self.caller.clone(),
            channel: self.channel,
            phone,
            amount_minor: amount.minor,
            pin,
            repeat,
        };
        let outcome = self.payments.pay(request).await?;
        Ok(paid(&outcome, |minor| self.money(minor)))
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
        PayOutcome::Locked | PayOutcome::PinNeeded | PayOutcome::StillProcessing | PayOutcome::Suspended => {
            Vec::new()
        }
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
        _ => "other",
    }
}

fn value(action: &'static str, argument: Option<Argument>) -> Result<Value, Error> {
    match argument {
        Some(Argument::Value(value)) => Ok(value),
        Some(Argument::Secret(_) | Argument::Waived) | None => Err(Error::Action(action)),
    }
}

fn phone(action: &'static str, argument: Option<Argument>) -> Result<Msisdn, Error> {
    let Value::Phone(phone) = value(action, argument)? else { return Err(Error::Action(action)) };
    Ok(phone)
}

fn money(action: &'static str, argument: Option<Argument>) -> Result<Money, Error> {
    let Value::Money(money) = value(action, argument)? else { return Err(Error::Action(action)) };
    Ok(money)
}

fn yes(action: &'static str, argument: Option<Argument>) -> Result<bool, Error> {
    let Value::Bool(yes) = value(action, argument)? else { return Err(Error::Action(action)) };
    Ok(yes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::action::{ACTIONS, REFUSAL};

    #[test]
    fn every_money_action_can_be_suspended() {
        for action in ACTIONS.iter().filter(|action| action.moves_money()) {
            assert!(
                action.outcome(SUSPENDED).is_some_and(|(_, outcome)| outcome.values.is_empty()),
                "{}",
                action.name
            );
        }
    }

    #[test]
    fn a_payment_that_needs_a_pin_after_all_is_told_to_the_engine() {
        let money = |minor| Value::Money(Money::new(minor, crate::money::Currency::NONE));
        assert_eq!(paid(&PayOutcome::PinNeeded, money), (PIN_NEEDED, Vec::new()));
        assert!(ACTIONS.iter().all(|action| action.outcome(PIN_NEEDED).is_none()));
    }

    #[test]
    fn every_class_has_a_word_of_the_family() {
        for class in ["bad_number", "subscriber_barred", "our_float_low", "rate_limited", "no such class"] {
            assert!(REFUSAL.words.contains(&spoken(class)), "{class}");
        }
        assert_eq!(spoken("our_float_low"), "other");
    }
}
