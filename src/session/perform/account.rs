//! Actions about the caller, the account and its numbers.

use crate::dialplan::civil::Date;
use crate::dialplan::value::Value;
use crate::money::Money;
use crate::msisdn::Msisdn;
use crate::payment::answer::Identity;
use crate::payment::code::Answered;
use crate::payment::code::NotSent;
use crate::payment::row::Id;
use crate::payment::run::{Balance, Changed, CodeSent, LimitSet, PinSet};
use crate::session::Error;
use crate::session::perform::given::Given;
use crate::session::perform::identity;
use crate::session::perform::{Answer, Desk};

pub(super) async fn perform(
    desk: &mut Desk,
    action: &'static str,
    given: &mut Given,
) -> Result<Answer, Error> {
    match action {
        "caller.identify" => identify(desk).await,
        "code.send" => code_send(desk, &given.phone()?).await,
        "code.check" => code_check(desk, &given.phone()?, given).await,
        "pin.choose" => {
            let taken = desk.payments.choose_pin(who(desk, action)?, &given.secret()?).await?;
            Ok((if taken { "ok" } else { "weak" }, Vec::new()))
        }
        "pin.again" => pin_again(desk, given).await,
        "account.last_payments" => last_payments(desk, action).await,
        "account.limits" => limits(desk, action).await,
        "account.receipt" => {
            let (account, to) = (account(desk, action)?, who(desk, action)?);
            let sent = desk.payments.send_receipt(account, to, &given.digits()?).await?;
            Ok((if sent { "sent" } else { "not_found" }, Vec::new()))
        }
        "account.set_limit" => set_limit(desk, action, given).await,
        "account.balance" | "bind.add" | "bind.remove" | "pin.change" => with_pin(desk, action, given).await,
        _ => identity::perform(desk, action, given).await,
    }
}

pub(super) fn account(desk: &Desk, action: &'static str) -> Result<Id, Error> {
    desk.account.ok_or(Error::Action(action))
}

pub(super) fn who<'d>(desk: &'d Desk, action: &'static str) -> Result<&'d Msisdn, Error> {
    desk.caller.as_ref().ok_or(Error::Action(action))
}

/// Actions that end by the word of the PIN alone.
async fn with_pin(desk: &Desk, action: &'static str, given: &mut Given) -> Result<Answer, Error> {
    let account = account(desk, action)?;
    let payments = &desk.payments;
    let changed = match action {
        "pin.change" => payments.begin_pin_change(who(desk, action)?, account, &given.secret()?).await?,
        "bind.add" => payments.bind_more(account, &given.phone()?, &given.secret()?).await?,
        "bind.remove" => payments.unbind_one(account, &given.phone()?, &given.secret()?).await?,
        "account.balance" => {
            let changed = payments.confirm_pin(account, &given.secret()?).await?;
            if changed == Changed::Done {
                return Ok(match payments.balance(account).await? {
                    Balance::Known { available_minor } => ("ok", vec![desk.money(available_minor)]),
                    Balance::NotNow => ("not_now", Vec::new()),
                });
            }
            changed
        }
        other => return Err(Error::Action(other)),
    };
    Ok(told(changed))
}

pub(super) fn told(changed: Changed) -> Answer {
    match changed {
        Changed::Done => ("ok", Vec::new()),
        Changed::WrongPin { left } => ("wrong_pin", vec![Value::Int(i64::from(left))]),
        Changed::Locked => ("locked", Vec::new()),
        Changed::Taken => ("taken", Vec::new()),
        Changed::NotBound => ("not_bound", Vec::new()),
        Changed::NoCode => ("no_code", Vec::new()),
    }
}

async fn identify(desk: &mut Desk) -> Result<Answer, Error> {
    Ok(match desk.payments.identify(desk.caller.as_ref()).await? {
        Identity::Bound { account } => {
            desk.account = Some(account);
            desk.recall_language(account).await?;
            ("bound", vec![Value::Text(account.text())])
        }
        Identity::Unbound { phone } => ("unbound", vec![Value::Phone(phone)]),
        Identity::NoNumber => ("no_number", Vec::new()),
    })
}

async fn code_send(desk: &Desk, phone: &Msisdn) -> Result<Answer, Error> {
    let name = match desk.payments.send_code(phone, desk.account).await? {
        CodeSent::Sent => "sent",
        CodeSent::Not(NotSent::TooSoon { .. }) => "too_soon",
        CodeSent::Not(NotSent::TooMany) => "too_many",
        CodeSent::NotMobile => "not_mobile",
    };
    Ok((name, Vec::new()))
}

async fn code_check(desk: &mut Desk, phone: &Msisdn, given: &mut Given) -> Result<Answer, Error> {
    let code = given.secret()?;
    Ok(match desk.payments.check_code(phone, desk.account, &code).await? {
        // A number that is bound already was only silent for long: it has its account, and its PIN, as before.
        Answered::Right if desk.account.is_none() && desk.caller.as_ref() == Some(phone) => {
            match desk.payments.account_of(phone).await? {
                Some(account) => {
                    desk.account = Some(account);
                    ("known", Vec::new())
                }
                None => ("right", Vec::new()),
            }
        }
        Answered::Right => ("right", Vec::new()),
        Answered::Wrong { left } => ("wrong", vec![Value::Int(i64::from(left))]),
        Answered::Expired => ("expired", Vec::new()),
    })
}

async fn pin_again(desk: &mut Desk, given: &mut Given) -> Result<Answer, Error> {
    let phone = who(desk, "pin.again")?.clone();
    let name = match desk.payments.repeat_pin(&phone, desk.account, given.secret()?).await? {
        PinSet::Registered(account) => {
            desk.account = Some(account);
            "registered"
        }
        PinSet::Changed => "changed",
        PinSet::Differ => "differ",
        PinSet::Expired => "expired",
        // A PIN that the first typing let pass is weak only by a number that was bound since.
        PinSet::NotAllowed | PinSet::Weak => "not_allowed",
    };
    Ok((name, Vec::new()))
}

async fn last_payments(desk: &Desk, action: &'static str) -> Result<Answer, Error> {
    let rows = desk.payments.last_payments(account(desk, action)?).await?;
    let payments: Vec<Value> = rows
        .into_iter()
        .filter_map(|row| {
            let day = Date::from_days(i64::from(row.business_day))?;
            let amount = Value::Money(Money::new(row.amount_minor, row.currency));
            Some(Value::Record(vec![Value::Digits(row.reference), amount, Value::Date(day)]))
        })
        .collect();
    Ok(if payments.is_empty() { ("none", Vec::new()) } else { ("ok", vec![Value::List(payments)]) })
}

async fn limits(desk: &Desk, action: &'static str) -> Result<Answer, Error> {
    let (limit, left) = desk.payments.own_limit(account(desk, action)?).await?;
    Ok(("ok", vec![desk.money(limit), desk.money(left)]))
}

async fn set_limit(desk: &Desk, action: &'static str, given: &mut Given) -> Result<Answer, Error> {
    let limit = given.money()?.minor;
    let (account, phone) = (account(desk, action)?, who(desk, action)?);
    Ok(match desk.payments.set_own_limit(account, phone, limit, &given.secret()?).await? {
        LimitSet::Now => ("ok", Vec::new()),
        LimitSet::Later => ("later", Vec::new()),
        LimitSet::CodeNeeded => ("code_needed", Vec::new()),
        LimitSet::TooHigh { most_minor } => ("too_high", vec![desk.money(most_minor)]),
        LimitSet::Pin(changed) => told(changed),
    })
}
