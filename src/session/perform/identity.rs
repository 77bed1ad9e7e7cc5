//! Actions of callers whose number is not enough, of numbers that join an account, and of what a customer chooses.

use crate::dialplan::value::Value;
use crate::msisdn::Msisdn;
use crate::payment::code::NotSent;
use crate::payment::run::{Claimed, LostPin, Needs, Proved};
use crate::session::Error;
use crate::session::perform::account::{account, told, who};
use crate::session::perform::given::Given;
use crate::session::perform::{Answer, Chosen, Desk};

pub(super) async fn perform(
    desk: &mut Desk,
    action: &'static str,
    given: &mut Given,
) -> Result<Answer, Error> {
    match action {
        "caller.claim" => Ok(claimed(desk.payments.claim(&given.phone()?, None).await?)),
        "caller.prove" => prove(desk, given).await,
        "caller.needs" => needs(desk, action, given).await,
        "bind.ask" => {
            let joiner = who(desk, action)?;
            Ok(claimed(desk.payments.claim(&given.phone()?, Some(joiner)).await?))
        }
        "bind.allow" => {
            let (phone, code) = (given.phone()?, given.secret()?);
            Ok(match desk.payments.prove(&phone, Some(who(desk, action)?), &code).await? {
                Proved::Right(_) => ("right", Vec::new()),
                other => unproved(other),
            })
        }
        "bind.join" => {
            let (phone, pin) = (given.phone()?, given.secret()?);
            Ok(told(desk.payments.join(&phone, who(desk, action)?, &pin).await?))
        }
        "pin.lost" => Ok(match desk.payments.lost_pin(who(desk, action)?, account(desk, action)?).await? {
            LostPin::Allowed => ("allowed", Vec::new()),
            LostPin::Asked => ("asked", Vec::new()),
            LostPin::Rejected => ("rejected", Vec::new()),
            LostPin::NoCode => ("no_code", Vec::new()),
        }),
        "account.numbers" => {
            let numbers = desk.payments.numbers_of(account(desk, action)?).await?;
            Ok(("ok", vec![Value::List(numbers.into_iter().map(Value::Phone).collect())]))
        }
        "account.language" => {
            let tag = given.text()?;
            desk.payments.set_language(account(desk, action)?, &tag).await?;
            desk.chosen = Some(Chosen { tag, now: true });
            Ok(("ok", Vec::new()))
        }
        other => Err(Error::Action(other)),
    }
}

fn claimed(claimed: Claimed) -> Answer {
    let name = match claimed {
        Claimed::Sent => "sent",
        Claimed::Not(NotSent::TooSoon { .. }) => "too_soon",
        Claimed::Not(NotSent::TooMany) => "too_many",
        Claimed::NotMobile => "not_mobile",
        Claimed::Locked => "locked",
    };
    (name, Vec::new())
}

fn unproved(proved: Proved) -> Answer {
    match proved {
        Proved::Wrong { left } => ("wrong", vec![Value::Int(i64::from(left))]),
        Proved::Locked => ("locked", Vec::new()),
        Proved::Expired | Proved::Right(_) => ("expired", Vec::new()),
    }
}

async fn prove(desk: &mut Desk, given: &mut Given) -> Result<Answer, Error> {
    let (phone, code): (Msisdn, _) = (given.phone()?, given.secret()?);
    Ok(match desk.payments.prove(&phone, None, &code).await? {
        Proved::Right(account) => {
            desk.account = Some(account);
            desk.recall_language(account).await?;
            ("right", vec![Value::Text(account.text()), Value::Phone(phone)])
        }
        other => unproved(other),
    })
}

async fn needs(desk: &Desk, action: &'static str, given: &mut Given) -> Result<Answer, Error> {
    let (what, amount) = (given.text()?, given.money()?);
    let account = account(desk, action)?;
    let caller = desk.caller.as_ref();
    Ok(match desk.payments.needs(&what, amount.minor, account, caller, desk.channel).await? {
        Needs::Pin => ("pin", Vec::new()),
        Needs::Code(phone) => ("code", vec![Value::Phone(phone)]),
        Needs::Swapped => ("swapped", Vec::new()),
        Needs::Refused => ("refused", Vec::new()),
    })
}
