//! Actions of direct recharge.

use crate::dialplan::event::{Argument, PIN_NEEDED};
use crate::dialplan::value::Value;
use crate::money::Money;
use crate::msisdn::Msisdn;
use crate::payment::answer::{PayRequest, Pin as Vouched, Quote, Route};
use crate::session::Error;
use crate::session::perform::given::Given;
use crate::session::perform::{Answer, Desk, paid};

pub(super) async fn perform(
    desk: &mut Desk,
    action: &'static str,
    given: &mut Given,
) -> Result<Answer, Error> {
    match action {
        "topup.route" => Ok(route(desk, &given.phone()?)),
        "payment.quote" => {
            let (phone, amount) = (given.phone()?, given.money()?);
            quote(desk, &phone, amount, given.yes()?).await
        }
        "recharge.pay" => {
            let (phone, amount) = (given.phone()?, given.money()?);
            let pin = match given.vouched()? {
                Argument::Secret(secret) => Vouched::Typed(secret),
                Argument::Waived if desk.pin_waivable => Vouched::Waived,
                // The conversation goes on over another route than it began on.
                Argument::Waived => return Ok((PIN_NEEDED, Vec::new())),
                Argument::Value(_) => return Err(Error::Action(action)),
            };
            pay(desk, phone, amount, pin, given.yes()?).await
        }
        other => Err(Error::Action(other)),
    }
}

fn route(desk: &Desk, phone: &Msisdn) -> Answer {
    match desk.payments.route(phone) {
        Route::Ok { carrier, amounts_minor } => {
            let amounts = amounts_minor.into_iter().map(|minor| desk.money(minor)).collect();
            ("ok", vec![Value::Text(carrier), Value::List(amounts)])
        }
        Route::NotSupported => ("not_supported", Vec::new()),
        Route::BadNumber => ("bad_number", Vec::new()),
    }
}

async fn quote(desk: &Desk, phone: &Msisdn, amount: Money, repeat: bool) -> Result<Answer, Error> {
    let account = desk.account.ok_or(Error::Action("payment.quote"))?;
    let quote = desk.payments.quote(account, desk.channel, phone, amount.minor, repeat).await?;
    Ok(match quote {
        Quote::Ok { fee_minor, total_minor } => ("ok", vec![desk.money(fee_minor), desk.money(total_minor)]),
        // A quote is advice. Whatever is shut says so in `recharge.pay`, before a PIN try is counted.
        Quote::Suspended => ("ok", vec![desk.money(0), Value::Money(amount)]),
        Quote::NotDesignated | Quote::NoRoute => ("not_designated", Vec::new()),
        Quote::PaymentLimit { limit_minor } => ("payment_limit", vec![desk.money(limit_minor)]),
        Quote::DayLimit { limit_minor, left_minor, .. } => {
            ("day_limit", vec![desk.money(limit_minor), desk.money(left_minor)])
        }
        Quote::UserLimit { limit_minor, left_minor, .. } => {
            ("user_limit", vec![desk.money(limit_minor), desk.money(left_minor)])
        }
        Quote::Insufficient { left_minor } => ("insufficient", vec![desk.money(left_minor)]),
        Quote::Duplicate { minutes_ago, fee_minor, .. } => {
            ("duplicate", vec![Value::Int(minutes_ago), desk.money(fee_minor)])
        }
        Quote::StillProcessing => ("still_processing", Vec::new()),
    })
}

async fn pay(desk: &Desk, phone: Msisdn, amount: Money, pin: Vouched, repeat: bool) -> Result<Answer, Error> {
    let account = desk.account.ok_or(Error::Action("recharge.pay"))?;
    let request = PayRequest {
        id: desk.payment,
        account,
        caller: desk.caller.clone(),
        channel: desk.channel,
        phone,
        amount_minor: amount.minor,
        pin,
        repeat,
    };
    let outcome = desk.payments.pay(request).await?;
    Ok(paid(&outcome, |minor| desk.money(minor)))
}
