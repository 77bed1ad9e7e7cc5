//! Actions of charging through the intermediary account.

use crate::dialplan::event::{Argument, PIN_NEEDED};
use crate::dialplan::value::Value;
use crate::payment::answer::{Channel, PayOutcome};
use crate::payment::charge::{Input, Side, Stage};
use crate::payment::row::Id;
use crate::payment::row::charge::ChargeRow;
use crate::payment::run::charges::{Asker, ChargeRequest, Charged};
use crate::payment::run::{HELD_OUTSIDE, Payments};
use crate::secret::Secret;
use crate::session::Error;
use crate::session::perform::given::Given;
use crate::session::perform::{Answer, Desk};

/// Charges that are told at once.
const TOLD_MAX: usize = 20;

pub(super) async fn perform(
    desk: &mut Desk,
    action: &'static str,
    given: &mut Given,
) -> Result<Answer, Error> {
    let account = desk.account.ok_or(Error::Action(action))?;
    match action {
        "charge.offers" => offers(desk, account, given.money()?.minor).await,
        "charge.mine" => Ok(listed(desk, desk.payments.open_charges(Side::Buyer, account).await?)),
        "charge.asked" => Ok(listed(desk, desk.payments.open_charges(Side::Agent, account).await?)),
        "charge.look" => look(desk, account, &given.digits()?).await,
        "charge.request" => request(desk, account, given).await,
        "charge.certificate" => certificate(desk, account, &given.digits()?).await,
        "charge.deposit" => {
            let (number, amount, fee) = (given.digits()?, given.money()?, given.money()?);
            let Some(pin) = pin(given)? else { return Ok((PIN_NEEDED, Vec::new())) };
            // What was heard is what is deposited.
            let heard = |row: &ChargeRow| (row.amount_minor, row.fee_minor) == (amount.minor, fee.minor);
            if !is(desk, account, &number, heard).await? {
                return Ok(("gone", Vec::new()));
            }
            let id = desk.payment;
            let charged = desk.payments.deposit_charge(id, &asker(desk, account), &number, pin).await?;
            Ok(moved(desk, "deposited", &charged))
        }
        "charge.confirm" => {
            let (number, amount, certificate) = (given.digits()?, given.money()?, given.digits()?);
            let Some(pin) = pin(given)? else { return Ok((PIN_NEEDED, Vec::new())) };
            if !is(desk, account, &number, |row| row.amount_minor == amount.minor).await? {
                return Ok(("gone", Vec::new()));
            }
            let id = desk.payment;
            let agent = asker(desk, account);
            let charged = desk.payments.confirm_charge(id, &agent, &number, &certificate, pin).await?;
            Ok(moved(desk, "completed", &charged))
        }
        _ => say(desk, account, action, &given.digits()?).await,
    }
}

/// What a deposit or a confirmation came to that was under way when this process, or its caller, went away.
pub(super) async fn recalled(
    payments: &Payments,
    action: &str,
    id: Id,
) -> Result<Option<Answer>, crate::payment::run::Error> {
    let done = if action == "charge.deposit" { "deposited" } else { "completed" };
    Ok(payments.charge_outcome(id).await?.map(|_| (done, Vec::new())))
}

fn asker(desk: &Desk, account: Id) -> Asker {
    Asker { account, caller: desk.caller.clone(), channel: desk.channel }
}

fn pin(given: &mut Given) -> Result<Option<Secret>, Error> {
    Ok(match given.vouched()? {
        Argument::Secret(secret) => Some(secret),
        Argument::Waived | Argument::Value(_) => None,
    })
}

async fn is(
    desk: &Desk,
    agent: Id,
    number: &str,
    as_heard: impl Fn(&ChargeRow) -> bool,
) -> Result<bool, Error> {
    let found = desk.payments.charge_of(agent, number).await?;
    Ok(found.is_some_and(|(side, row)| side == Side::Agent && as_heard(&row)))
}

async fn offers(desk: &Desk, account: Id, amount_minor: i64) -> Result<Answer, Error> {
    let most = desk.payments.settings().charging.charge_limit_minor;
    if let Some(limit_minor) = most.filter(|limit_minor| amount_minor > *limit_minor) {
        return Ok(("over_limit", vec![desk.money(limit_minor)]));
    }
    let offers = desk.payments.offers(account, amount_minor).await?;
    if offers.is_empty() {
        return Ok(("none", Vec::new()));
    }
    let record = |offer: crate::payment::run::agents::Offer| {
        Value::Record(vec![
            Value::Text(offer.agent.text()),
            Value::Text(offer.name),
            Value::Phone(offer.phone),
            desk.money(offer.price_minor),
        ])
    };
    Ok(("ok", vec![Value::List(offers.into_iter().map(record).collect())]))
}

/// The word of the dialplan's family for where a charge stands.
fn stage(row: &ChargeRow) -> &'static str {
    match Stage::from_number(row.state) {
        Some(stage @ (Stage::Requested | Stage::Deposited | Stage::Claimed | Stage::Disputed)) => {
            stage.name()
        }
        _ => "other",
    }
}

fn record(desk: &Desk, row: ChargeRow) -> Value {
    let stage = Value::Text(stage(&row).to_owned());
    let (amount, price, fee) =
        (desk.money(row.amount_minor), desk.money(row.price_minor), desk.money(row.fee_minor));
    Value::Record(vec![Value::Digits(row.number), amount, price, fee, stage])
}

fn listed(desk: &Desk, rows: Vec<ChargeRow>) -> Answer {
    if rows.is_empty() {
        return ("none", Vec::new());
    }
    ("ok", vec![Value::List(rows.into_iter().take(TOLD_MAX).map(|row| record(desk, row)).collect())])
}

async fn look(desk: &Desk, account: Id, number: &str) -> Result<Answer, Error> {
    Ok(match desk.payments.charge_of(account, number).await? {
        Some((Side::Buyer, row)) => ("buys", vec![record(desk, row)]),
        Some((Side::Agent, row)) => ("sells", vec![record(desk, row)]),
        None => ("not_found", Vec::new()),
    })
}

async fn request(desk: &Desk, account: Id, given: &mut Given) -> Result<Answer, Error> {
    let (agent, amount, price) = (given.text()?, given.money()?, given.money()?);
    let phone = desk.caller.clone().ok_or(Error::Action("charge.request"))?;
    let Some(agent) = Id::parse(&agent) else { return Ok(("gone", Vec::new())) };
    if desk.draft {
        return Ok(("suspended", Vec::new()));
    }
    // Of one conversation: a message that comes again after a crash asks for the same charge.
    let id = desk.session.derived(&format!("charge {agent} {} {}", amount.minor, price.minor));
    let ask = ChargeRequest {
        id,
        agent,
        buyer: account,
        phone,
        channel: desk.channel,
        language: desk.language.clone(),
        amount_minor: amount.minor,
        price_minor: price.minor,
    };
    Ok(match desk.payments.request_charge(ask).await? {
        Charged::Done(row) => ("requested", vec![Value::Digits(row.number)]),
        Charged::Unpaid(PayOutcome::Refused { class }) if class == HELD_OUTSIDE => ("outside", Vec::new()),
        Charged::TooMany => ("too_many", Vec::new()),
        Charged::Limit { limit_minor } => ("over_limit", vec![desk.money(limit_minor)]),
        Charged::Suspended => ("suspended", Vec::new()),
        Charged::Doubted(_) => ("refused", Vec::new()),
        _ => ("gone", Vec::new()),
    })
}

async fn certificate(desk: &Desk, account: Id, number: &str) -> Result<Answer, Error> {
    let Some((Side::Buyer, _)) = desk.payments.charge_of(account, number).await? else {
        return Ok(("not_found", Vec::new()));
    };
    // A reply lies in the outbox in clear; this message does not.
    if desk.channel == Channel::Sms {
        let sent = desk.payments.send_certificate(account, number).await?;
        return Ok((if sent { "sent" } else { "gone" }, Vec::new()));
    }
    Ok(match desk.payments.charge_details(account, number).await? {
        Some((row, certificate)) => {
            let price = desk.money(row.price_minor);
            ("shown", vec![Value::Digits(certificate), price, Value::Text(row.details)])
        }
        None => ("gone", Vec::new()),
    })
}

/// What needs no PIN. A draft changes nothing.
async fn say(desk: &Desk, account: Id, action: &'static str, number: &str) -> Result<Answer, Error> {
    let Some((side, _)) = desk.payments.charge_of(account, number).await? else {
        return Ok(("not_found", Vec::new()));
    };
    let (input, done) = match action {
        "charge.paid" => (Input::Claim, "said"),
        "charge.cancel" => (Input::Cancel(side), "cancelled"),
        "charge.decline" => (Input::Decline, "declined"),
        "charge.withdraw" => (Input::Withdraw, "withdrawn"),
        "charge.dispute" => (Input::Dispute(side), "disputed"),
        other => return Err(Error::Action(other)),
    };
    if desk.draft {
        return Ok(("gone", Vec::new()));
    }
    Ok(match desk.payments.say_charge(side, account, number, input).await? {
        Charged::Done(_) => (done, Vec::new()),
        Charged::NotFound => ("not_found", Vec::new()),
        _ => ("gone", Vec::new()),
    })
}

/// What the agent's PIN came to.
fn moved(desk: &Desk, done: &'static str, charged: &Charged) -> Answer {
    match charged {
        Charged::Done(_) => (done, Vec::new()),
        Charged::WrongCertificate { left } => ("wrong_certificate", vec![Value::Int(i64::from(*left))]),
        Charged::CertificateLocked => ("certificate_locked", Vec::new()),
        Charged::Suspended => ("suspended", Vec::new()),
        Charged::Doubted(_) => ("refused", Vec::new()),
        Charged::Unpaid(PayOutcome::WrongPin { left }) => ("wrong_pin", vec![Value::Int(i64::from(*left))]),
        Charged::Unpaid(PayOutcome::Locked) => ("locked", Vec::new()),
        Charged::Unpaid(PayOutcome::Insufficient { left_minor }) => {
            ("insufficient", vec![desk.money(*left_minor)])
        }
        Charged::Unpaid(PayOutcome::Refused { class }) if class == HELD_OUTSIDE => ("outside", Vec::new()),
        Charged::Unpaid(PayOutcome::PaymentLimit { limit_minor: minor })
        | Charged::Unpaid(
            PayOutcome::DayLimit { left_minor: minor, .. } | PayOutcome::UserLimit { left_minor: minor, .. },
        ) => ("over_limit", vec![desk.money(*minor)]),
        Charged::Unpaid(_) => ("suspended", Vec::new()),
        Charged::NotFound
        | Charged::NotNow(_)
        | Charged::NotOffered
        | Charged::TooMany
        | Charged::Limit { .. }
        | Charged::NotJudged(_) => ("gone", Vec::new()),
    }
}
