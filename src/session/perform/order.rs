//! Actions of merchants' orders.

use crate::clock::Timestamp;
use crate::dialplan::civil::Date;
use crate::dialplan::event::{Argument, PIN_NEEDED};
use crate::dialplan::value::Value;
use crate::money::Money;
use crate::payment::answer::PayOutcome;
use crate::payment::row::order::OrderRow;
use crate::payment::run::asks::Asked;
use crate::payment::run::{OrderPayment, PayOrder, Payments};
use crate::payment::saga::PROVIDER;
use crate::session::Error;
use crate::session::perform::given::Given;
use crate::session::perform::{Answer, Desk, spoken};

pub(super) async fn perform(
    desk: &mut Desk,
    action: &'static str,
    given: &mut Given,
) -> Result<Answer, Error> {
    if let "order.decline" | "order.decline_merchant" = action {
        // Whoever has no account may be asked too, and say no.
        return declined(desk, action, &given.digits()?).await;
    }
    let account = desk.account.ok_or(Error::Action(action))?;
    match action {
        "order.asked" => Ok(match desk.payments.asked_order(account, &given.digits()?).await? {
            Asked::Pay(order) => {
                ("pay", vec![Value::Text(order.merchant_name), desk.money(order.amount_minor)])
            }
            Asked::Receipt(order) => {
                ("receipt", vec![Value::Text(order.merchant_name), desk.money(order.frozen_minor)])
            }
            Asked::Gone => ("gone", Vec::new()),
        }),
        "order.list" => {
            let orders = desk.payments.unpaid_orders(account).await?;
            Ok(listed(desk, orders, |order| (order.amount_minor, order.expires_at)))
        }
        "order.awaiting" => {
            let orders = desk.payments.frozen_orders(account).await?;
            Ok(listed(desk, orders, |order| (order.frozen_minor, order.due_at.unwrap_or(order.updated_at))))
        }
        "order.pay" | "order.confirm" => {
            let (number, amount) = (given.digits()?, given.money()?);
            let pin = match given.vouched()? {
                Argument::Secret(secret) => secret,
                Argument::Waived | Argument::Value(_) => return Ok((PIN_NEEDED, Vec::new())),
            };
            let asked = PayOrder {
                id: desk.payment,
                account,
                caller: desk.caller.clone(),
                channel: desk.channel,
                number,
                amount_minor: amount.minor,
                pin,
            };
            let outcome = if action == "order.pay" {
                desk.payments.pay_order(asked).await?
            } else {
                desk.payments.confirm_order(asked).await?
            };
            Ok(told(&desk.payments, outcome))
        }
        "order.dispute" => {
            let disputed = desk.payments.dispute_order(account, &given.digits()?).await?;
            Ok((if disputed { "disputed" } else { "gone" }, Vec::new()))
        }
        other => Err(Error::Action(other)),
    }
}

/// The outcome's name and values of paying an order, or of confirming its receipt.
pub(super) fn told(payments: &Payments, outcome: OrderPayment) -> Answer {
    let money = |minor| Value::Money(Money::new(minor, payments.settings().currency));
    match outcome {
        OrderPayment::Paid { receipt } => ("paid", vec![Value::Digits(receipt)]),
        OrderPayment::Held { receipt, until } => ("held", vec![Value::Digits(receipt), day(payments, until)]),
        OrderPayment::Released => ("released", Vec::new()),
        OrderPayment::Gone => ("gone", Vec::new()),
        OrderPayment::Told(PayOutcome::WrongPin { left }) => ("wrong_pin", vec![Value::Int(i64::from(left))]),
        OrderPayment::Told(PayOutcome::Locked) => ("locked", Vec::new()),
        OrderPayment::Told(PayOutcome::Insufficient { left_minor }) => {
            ("insufficient", vec![money(left_minor)])
        }
        OrderPayment::Told(PayOutcome::PaymentLimit { limit_minor }) => {
            ("over_limit", vec![money(limit_minor)])
        }
        OrderPayment::Told(
            PayOutcome::DayLimit { left_minor, .. } | PayOutcome::UserLimit { left_minor, .. },
        ) => ("over_limit", vec![money(left_minor)]),
        OrderPayment::Told(PayOutcome::Pending { receipt }) => ("pending", vec![Value::Digits(receipt)]),
        OrderPayment::Told(PayOutcome::Refused { class }) if class.starts_with(PROVIDER) => {
            ("refused", vec![Value::Text(spoken(&class).to_owned())])
        }
        OrderPayment::Told(_) => ("suspended", Vec::new()),
    }
}

async fn declined(desk: &Desk, action: &'static str, number: &str) -> Result<Answer, Error> {
    let Some(caller) = &desk.caller else { return Ok(("gone", Vec::new())) };
    let merchant = desk.payments.decline_asks(caller, number, action == "order.decline_merchant").await?;
    Ok(merchant.map_or(("gone", Vec::new()), |name| ("declined", vec![Value::Text(name)])))
}

fn listed(desk: &Desk, orders: Vec<OrderRow>, of: impl Fn(&OrderRow) -> (i64, i64)) -> Answer {
    if orders.is_empty() {
        return ("none", Vec::new());
    }
    let record = |order: OrderRow| {
        let (amount_minor, until) = of(&order);
        Value::Record(vec![
            Value::Digits(order.number),
            Value::Text(order.merchant_name),
            desk.money(amount_minor),
            Value::Text(order.description),
            day(&desk.payments, until),
        ])
    };
    ("ok", vec![Value::List(orders.into_iter().map(record).collect())])
}

/// The market's day of a time.
fn day(payments: &Payments, at: i64) -> Value {
    const MICROS_PER_MINUTE: i64 = 60_000_000;
    const MINUTES_PER_DAY: i64 = 1_440;
    let minutes = Timestamp(at).minutes(&payments.settings().zone);
    let date = Date::from_days(minutes.div_euclid(MINUTES_PER_DAY));
    let plain = || Date::from_days(at.div_euclid(MICROS_PER_MINUTE * MINUTES_PER_DAY));
    date.or_else(plain).map_or_else(|| Value::Text(String::new()), Value::Date)
}
