//! Actions of bills.

use crate::dialplan::civil::Date;
use crate::dialplan::event::{Argument, PIN_NEEDED};
use crate::dialplan::value::{OUTSIDE_MAX, Value};
use crate::payment::answer::{BillAnswer, BillFound, BillRequest, PayOutcome, Pin as Vouched};
use crate::session::Error;
use crate::session::perform::given::Given;
use crate::session::perform::{Answer, Desk, paid};

/// Of a bill without a day on which it is due the last day is said that the dialplan knows.
const NO_DAY: i64 = 84_005;

pub(super) async fn perform(
    desk: &mut Desk,
    action: &'static str,
    given: &mut Given,
) -> Result<Answer, Error> {
    match action {
        "bill.billers" => Ok(billers(desk)),
        "bill.inquire" => {
            let (biller, number) = (given.digits()?, given.digits()?);
            inquire(desk, &biller, &number).await
        }
        "bill.pay" => {
            let (biller, number) = (given.digits()?, given.digits()?);
            let (amount, fee) = (given.money()?, given.money()?);
            let pin = match given.vouched()? {
                Argument::Secret(secret) => Vouched::Typed(secret),
                Argument::Waived if desk.pin_waivable => Vouched::Waived,
                // The conversation goes on over another route than it began on.
                Argument::Waived => return Ok((PIN_NEEDED, Vec::new())),
                Argument::Value(_) => return Err(Error::Action(action)),
            };
            let request = BillRequest {
                id: desk.payment,
                account: desk.account.ok_or(Error::Action(action))?,
                caller: desk.caller.clone(),
                channel: desk.channel,
                biller,
                number,
                amount_minor: amount.minor,
                fee_minor: fee.minor,
                pin,
            };
            let outcome = desk.payments.pay_bill(request).await?;
            Ok(told(&outcome, |minor| desk.money(minor)))
        }
        other => Err(Error::Action(other)),
    }
}

fn billers(desk: &Desk) -> Answer {
    let billers: Vec<Value> = desk
        .payments
        .billers()
        .iter()
        .map(|biller| {
            let (code, kind) = (Value::Digits(biller.code.clone()), Value::Text(biller.kind.clone()));
            Value::Record(vec![code, Value::Text(cut(&biller.name)), kind])
        })
        .collect();
    if billers.is_empty() { ("none", Vec::new()) } else { ("ok", vec![Value::List(billers)]) }
}

async fn inquire(desk: &Desk, biller: &str, number: &str) -> Result<Answer, Error> {
    let account = desk.account.ok_or(Error::Action("bill.inquire"))?;
    Ok(match desk.payments.inquire(account, biller, number).await? {
        BillAnswer::Found(found) => {
            let (bill, fee) = (bill(desk, number, &found), desk.money(found.fee_minor));
            if found.least_minor == found.amount_minor && found.most_minor == found.amount_minor {
                let total = desk.money(found.amount_minor.saturating_add(found.fee_minor));
                ("ok", vec![bill, fee, total])
            } else {
                let (least, most) = (desk.money(found.least_minor), desk.money(found.most_minor));
                ("part", vec![bill, fee, least, most])
            }
        }
        BillAnswer::NoBiller => ("no_biller", Vec::new()),
        BillAnswer::BadNumber => ("bad_number", Vec::new()),
        BillAnswer::NotFound => ("not_found", Vec::new()),
        BillAnswer::AlreadyPaid => ("already_paid", Vec::new()),
        BillAnswer::Expired => ("expired", Vec::new()),
        BillAnswer::Down => ("biller_down", Vec::new()),
    })
}

/// The bill as the dialplan knows it: what it is recognised by is one text.
fn bill(desk: &Desk, number: &str, found: &BillFound) -> Value {
    let recognised = match (found.name.as_str(), found.address.as_str()) {
        (name, "") => name.to_owned(),
        ("", address) => address.to_owned(),
        (name, address) => format!("{name}, {address}"),
    };
    let due = found.due.and_then(Date::from_days).or_else(|| Date::from_days(NO_DAY));
    Value::Record(vec![
        Value::Digits(number.to_owned()),
        Value::Text(cut(&found.biller)),
        Value::Text(cut(&recognised)),
        desk.money(found.amount_minor),
        due.map_or(Value::Int(0), Value::Date),
    ])
}

fn cut(text: &str) -> String {
    let mut units = 0;
    text.chars()
        .take_while(|c| {
            units += c.len_utf16();
            units <= OUTSIDE_MAX
        })
        .collect()
}

/// The outcome of a payment of a bill.
pub(super) fn told(outcome: &PayOutcome, money: impl Fn(i64) -> Value) -> Answer {
    match outcome {
        PayOutcome::Refused { class } if class == "already_paid" => ("already_paid", Vec::new()),
        PayOutcome::Refused { class } if class == "bill_expired" => ("expired", Vec::new()),
        PayOutcome::Refused { class } if class == "bill_changed" => ("changed", Vec::new()),
        PayOutcome::Delivered { receipt } => ("paid", vec![Value::Digits(receipt.clone())]),
        // S14 and the question about an equal payment are of recharges alone.
        PayOutcome::UserLimit { limit_minor, left_minor, .. } => {
            ("day_limit", vec![money(*limit_minor), money(*left_minor)])
        }
        PayOutcome::Duplicate { .. } => ("still_processing", Vec::new()),
        other => paid(other, money),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::action::Action;
    use crate::money::Money;

    #[test]
    fn every_outcome_is_one_of_the_table() {
        let money = |minor| Value::Money(Money::new(minor, crate::money::Currency::NONE));
        let refused = |class: &str| PayOutcome::Refused { class: class.to_owned() };
        let receipt = "1".to_owned();
        let action = Action::find("bill.pay").unwrap();
        for (outcome, name) in [
            (PayOutcome::Delivered { receipt: receipt.clone() }, "paid"),
            (PayOutcome::Pending { receipt }, "pending"),
            (PayOutcome::WrongPin { left: 1 }, "wrong_pin"),
            (PayOutcome::Locked, "locked"),
            (PayOutcome::PaymentLimit { limit_minor: 1 }, "refused"),
            (PayOutcome::DayLimit { limit_minor: 1, left_minor: 1, fits: true }, "day_limit"),
            (PayOutcome::UserLimit { limit_minor: 1, left_minor: 1, fits: true }, "day_limit"),
            (PayOutcome::Insufficient { left_minor: 1 }, "insufficient"),
            (PayOutcome::Duplicate { first_at: 0, minutes_ago: 1, fee_minor: 0 }, "still_processing"),
            (PayOutcome::StillProcessing, "still_processing"),
            (PayOutcome::Suspended, "suspended"),
            (refused("already_paid"), "already_paid"),
            (refused("bill_expired"), "expired"),
            (refused("bill_changed"), "changed"),
            (refused("carrier_down"), "refused"),
        ] {
            let (told, values) = told(&outcome, money);
            assert_eq!(told, name, "{outcome:?}");
            let (_, wanted) = action.outcome(told).unwrap();
            assert_eq!(values.len(), wanted.values.len(), "{outcome:?}");
        }
        assert_eq!(told(&PayOutcome::PinNeeded, money).0, PIN_NEEDED);
    }

    #[test]
    fn texts_from_outside_are_cut() {
        assert_eq!(cut(&"x".repeat(100)).len(), OUTSIDE_MAX);
        assert_eq!(cut("W** L**"), "W** L**");
        assert!(Date::from_days(NO_DAY).is_some());
    }
}
