//! Actions of direct recharge.

use crate::dialplan::event::{Argument, PIN_NEEDED};
use crate::dialplan::value::{OUTSIDE_MAX, Value};
use crate::money::Money;
use crate::msisdn::Msisdn;
use crate::payment::answer::{Channel, PayRequest, Pin as Vouched, Quote, Route};
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
        "topup.range" => Ok(range(desk, &given.phone()?)),
        "recharge.voucher" => voucher(desk, &given.digits()?).await,
        "recharge.recent" => {
            let account = desk.account.ok_or(Error::Action(action))?;
            let numbers = desk.payments.recent_numbers(account, desk.caller.as_ref()).await?;
            let numbers: Vec<Value> = numbers.into_iter().map(Value::Phone).collect();
            Ok(if numbers.is_empty() { ("none", Vec::new()) } else { ("ok", vec![Value::List(numbers)]) })
        }
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
        Route::Range { carrier, least_minor, most_minor, .. } => {
            let amounts = vec![desk.money(least_minor), desk.money(most_minor)];
            ("ok", vec![Value::Text(carrier), Value::List(amounts)])
        }
        Route::NotSupported => ("not_supported", Vec::new()),
        Route::BadNumber => ("bad_number", Vec::new()),
    }
}

fn range(desk: &Desk, phone: &Msisdn) -> Answer {
    let money = |minors: [i64; 3]| minors.map(|minor| desk.money(minor)).to_vec();
    match desk.payments.route(phone) {
        Route::Range { least_minor, most_minor, step_minor, .. } => {
            ("range", money([least_minor, most_minor, step_minor]))
        }
        Route::Ok { amounts_minor, .. } => {
            let end = |minor: Option<&i64>| minor.copied().unwrap_or(0);
            ("fixed", money([end(amounts_minor.first()), end(amounts_minor.last()), 0]))
        }
        Route::NotSupported | Route::BadNumber => ("fixed", money([0; 3])),
    }
}

/// A code that is not digits alone cannot be keyed from what is heard; it is sent by text message, as every code is.
async fn voucher(desk: &Desk, receipt: &str) -> Result<Answer, Error> {
    let account = desk.account.ok_or(Error::Action("recharge.voucher"))?;
    let Some(code) = desk.payments.voucher(account, receipt).await? else { return Ok(("none", Vec::new())) };
    let digits: String =
        String::from_utf8_lossy(code.expose()).chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let told =
        !digits.is_empty() && digits.len() <= OUTSIDE_MAX && digits.bytes().all(|b| b.is_ascii_digit());
    if desk.channel == Channel::Sms || !told {
        return Ok(("sent", Vec::new()));
    }
    Ok(("code", vec![Value::Digits(digits)]))
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
