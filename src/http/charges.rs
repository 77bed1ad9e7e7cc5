//! The API of charging through the intermediary account, for both sides: offers, and charges asked for, listed, deposited, said
//! to be paid, confirmed, given up and disputed. An account is known by its API key in `Authorization: Bearer`; what moves the
//! agent's money asks the PIN as well. What may be done, `payment` decides.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroize;

use crate::clock::Timestamp;
use crate::http::orders::{Refused, answer, bearer, in_turn, invalid, key, read, unauthorised};
use crate::ledger::row::Id;
use crate::money::{Currency, Money};
use crate::payment::answer::{Channel, PayOutcome};
use crate::payment::charge;
use crate::payment::charge::{Input, Side, Stage};
use crate::payment::row::charge::ChargeRow;
use crate::payment::run::charges::{Asker, ChargeRequest, Charged};
use crate::payment::run::charging::ChargeFilter;
use crate::payment::run::{HELD_OUTSIDE, Needs, Payments};
use crate::secret::Secret;

/// Charges of a page unless the asker says otherwise.
const PAGE: u32 = 20;
/// The longest idempotency key, bytes.
const KEY_BYTES_MAX: usize = 100;
/// The language of a buyer's texts unless the request says otherwise.
const LANGUAGE: &str = "en";

/// A body of `POST /v1/charges`. Unknown fields are refused, so that a misspelt one is not silently ignored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requesting {
    agent: String,
    amount: String,
    price: String,
    language: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Depositing {
    #[serde(deserialize_with = "secret")]
    pin: Secret,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirming {
    certificate: String,
    #[serde(deserialize_with = "secret")]
    pin: Secret,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Disputing {
    statement: Option<String>,
}

/// A PIN in a body: wiped where it was read.
pub(super) fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    let mut text = String::deserialize(from)?;
    let secret = Secret::from(text.as_str());
    text.zeroize();
    Ok(secret)
}

/// The paths of the API.
pub(super) fn router() -> Router<Payments> {
    Router::new()
        .route("/v1/offers", get(offers))
        .route("/v1/charges", post(request).get(list))
        .route("/v1/charges/{number}", get(show))
        .route("/v1/charges/{number}/certificate", get(certificate))
        .route("/v1/charges/{number}/deposit", post(deposit))
        .route("/v1/charges/{number}/confirm", post(confirm))
        .route("/v1/charges/{number}/dispute", post(dispute))
        .route("/v1/charges/{number}/{step}", post(say))
}

pub(super) async fn account(payments: &Payments, headers: &HeaderMap) -> Result<Id, Refused> {
    let known = match bearer(headers) {
        Some(key) => payments.account_by_key(key).await?,
        None => None,
    };
    let known = known.ok_or_else(unauthorised)?;
    in_turn(payments, known)?;
    Ok(known)
}

/// The core as whoever has an API key is believed in it.
pub(super) fn heard(payments: &Payments) -> Payments {
    payments.heard(payments.settings().policy.key_level(), LANGUAGE)
}

/// Who asks with an account's key: the number that the account is told at, should a code be needed, is the first that is bound.
async fn asker(payments: &Payments, account: Id) -> Result<Asker, Refused> {
    let caller = payments.phones_of(account).await?.into_iter().next();
    Ok(Asker { account, caller, channel: Channel::Http })
}

/// The id of what is done under an idempotency key: the same key of the same account is the same id, for ever.
fn id(account: Id, what: &str, headers: &HeaderMap) -> Result<Id, Refused> {
    let key = key(headers)?;
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(invalid(format!("the idempotency key must have 1 to {KEY_BYTES_MAX} bytes")));
    }
    Ok(account.derived(&format!("http {what} {key}")))
}

pub(super) fn money(name: &str, text: &str, currency: Currency) -> Result<i64, Refused> {
    let money = Money::parse(text, currency).map_err(|error| invalid(format!("{name}: {error}")))?;
    if money.minor > 0 {
        Ok(money.minor)
    } else {
        Err(invalid(format!("{name}: expected more than nothing")))
    }
}

fn not_found() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "not_found", "no such charge of this account".to_owned())
}

fn conflict(code: &'static str, message: impl Into<String>) -> Refused {
    Refused::new(StatusCode::CONFLICT, code, message.into())
}

/// A charge as one side sees it. Where to pay is the buyer's, and only while the amount is deposited.
fn shown(row: &ChargeRow, side: Side) -> Value {
    let stage = Stage::from_number(row.state);
    let text = |minor: i64| Money::new(minor, row.currency).amount_text();
    let time = |at: Option<i64>| at.map(|at| Timestamp(at).to_rfc3339());
    let mut data = json!({
        "number": row.number,
        "side": if side == Side::Buyer { "buyer" } else { "agent" },
        "state": stage.map(Stage::name),
        "agent": row.agent,
        "amount": text(row.amount_minor),
        "price": text(row.price_minor),
        "currency": row.currency.code(),
        "created_at": time(Some(row.created_at)),
        "updated_at": time(Some(row.updated_at)),
        "due_at": time(row.due_at),
        "pay_by": time(row.pay_by),
        "claimed_at": time(row.claimed_at),
        "disputed_at": time(row.disputed_at),
        "ended_at": time(row.ended_at),
    });
    if let Some(data) = data.as_object_mut() {
        match side {
            Side::Agent => drop(data.insert("fee".to_owned(), text(row.fee_minor).into())),
            Side::Buyer if stage.is_some_and(Stage::holds_money) => {
                data.insert("details".to_owned(), row.details.clone().into());
            }
            Side::Buyer => {}
        }
    }
    data
}

fn told(charged: Charged, side: Side, currency: Currency) -> Result<Response, Refused> {
    let text = |minor: i64| Money::new(minor, currency).to_string();
    Err(match charged {
        Charged::Done(row) => return Ok(answer(StatusCode::OK, &shown(&row, side))),
        Charged::NotFound => not_found(),
        Charged::NotNow(stage) => {
            conflict("state", format!("the charge is {} and does not allow it", stage.name()))
        }
        Charged::NotOffered => {
            conflict("not_offered", "the agent does not sell this amount at this price now")
        }
        Charged::TooMany => conflict("too_many", "too many requests are open"),
        Charged::Suspended => {
            Refused::new(StatusCode::FORBIDDEN, "suspended", "this is shut for now".to_owned())
        }
        Charged::WrongCertificate { left } => {
            let message = format!("the certificate is another; tries left: {left}");
            Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong_certificate", message)
        }
        Charged::CertificateLocked => {
            conflict("certificate_locked", "too many wrong certificates; staff must resolve it")
        }
        Charged::Limit { limit_minor } => {
            let message = format!("one charge can be {} at most", text(limit_minor));
            Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "over_limit", message)
        }
        Charged::NotJudged(charge::Refusal::Full) => conflict("full", "no more statements are taken"),
        Charged::NotJudged(_) => {
            invalid(format!("statement: expected {} characters at least", charge::EVIDENCE_MIN))
        }
        Charged::Unpaid(outcome) => unpaid(&outcome, text),
        Charged::Doubted(needs) => doubted(&needs),
    })
}

/// What the policy wants besides the key and the PIN.
fn doubted(needs: &Needs) -> Refused {
    let (code, message) = match needs {
        Needs::Code(_) => ("code_needed", "a code is needed first: POST /v1/codes, then /v1/codes/check"),
        Needs::Swapped => ("sim_swapped", "the SIM of the account's number was changed lately"),
        Needs::Pin | Needs::Refused => ("refused", "the operator does not allow this over HTTP"),
    };
    Refused::new(StatusCode::FORBIDDEN, code, message.to_owned())
}

fn unpaid(outcome: &PayOutcome, text: impl Fn(i64) -> String) -> Refused {
    let (status, code, message) = match outcome {
        PayOutcome::WrongPin { left } => {
            (StatusCode::FORBIDDEN, "wrong_pin", format!("wrong PIN; tries left: {left}"))
        }
        PayOutcome::Locked => (StatusCode::FORBIDDEN, "locked", "the PIN is locked".to_owned()),
        PayOutcome::Insufficient { left_minor } => {
            (StatusCode::CONFLICT, "insufficient", format!("{} can be used", text(*left_minor)))
        }
        PayOutcome::PaymentLimit { limit_minor: minor }
        | PayOutcome::DayLimit { left_minor: minor, .. }
        | PayOutcome::UserLimit { left_minor: minor, .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "over_limit", format!("{} is left", text(*minor)))
        }
        PayOutcome::Refused { class } if class == HELD_OUTSIDE => {
            let words = "the account is held by an outside provider, and charges are of money in our books";
            (StatusCode::CONFLICT, HELD_OUTSIDE, words.to_owned())
        }
        other => (StatusCode::FORBIDDEN, "suspended", format!("not now: {}", other.name())),
    };
    Refused::new(status, code, message)
}

/// `GET /v1/offers?amount=100`: who sells it now, the cheapest first.
async fn offers(
    State(payments): State<Payments>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let buyer = account(&payments, &headers).await?;
    let currency = payments.settings().currency;
    let amount = query.get("amount").ok_or_else(|| invalid("amount: is missing"))?;
    let amount_minor = money("amount", amount, currency)?;
    let offers: Vec<Value> = payments
        .offers(buyer, amount_minor)
        .await?
        .into_iter()
        .map(|offer| {
            let price = Money::new(offer.price_minor, currency).amount_text();
            json!({ "agent": offer.agent, "name": offer.name, "price": price })
        })
        .collect();
    Ok(answer(StatusCode::OK, &json!({ "offers": offers, "currency": currency.code() })))
}

async fn request(
    State(payments): State<Payments>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let buyer = account(&payments, &headers).await?;
    let id = id(buyer, "request", &headers)?;
    let asked: Requesting = read(&body)?;
    let currency = payments.settings().currency;
    let Some(phone) = payments.phones_of(buyer).await?.into_iter().next() else {
        return Err(conflict("no_number", "no number is bound to this account that could be told"));
    };
    let ask = ChargeRequest {
        id,
        agent: Id::parse(&asked.agent).ok_or_else(|| invalid("agent: expected what an offer said"))?,
        buyer,
        phone,
        channel: Channel::Http,
        language: asked.language.unwrap_or_else(|| LANGUAGE.to_owned()),
        amount_minor: money("amount", &asked.amount, currency)?,
        price_minor: money("price", &asked.price, currency)?,
    };
    match heard(&payments).request_charge(ask).await {
        Ok(Charged::Done(row)) => Ok(answer(StatusCode::CREATED, &shown(&row, Side::Buyer))),
        other => told(reused(other)?, Side::Buyer, currency),
    }
}

/// An id that was used for something else is the asker's fault.
fn reused(charged: Result<Charged, crate::payment::run::Error>) -> Result<Charged, Refused> {
    match charged {
        Err(crate::payment::run::Error::IdReused) => {
            Err(conflict("idempotency_key_reused", "the idempotency key was used for another request"))
        }
        other => Ok(other?),
    }
}

/// A page of charges, the latest first; `next` is what to give as `before` for the next page.
async fn list(
    State(payments): State<Payments>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let account = account(&payments, &headers).await?;
    let mut filter = ChargeFilter { limit: PAGE, ..ChargeFilter::default() };
    let mut side = Side::Buyer;
    for (name, value) in &query {
        match name.as_str() {
            "side" if value == "buyer" => side = Side::Buyer,
            "side" if value == "agent" => side = Side::Agent,
            "side" => return Err(invalid("side: expected buyer or agent")),
            "state" => {
                let stage = Stage::ALL.iter().copied().find(|stage| stage.name() == value);
                filter.stage = Some(stage.ok_or_else(|| invalid("state: no such state"))?);
            }
            "before" => {
                filter.before = Some(value.parse().map_err(|_| invalid("before: expected what next said"))?);
            }
            "limit" => filter.limit = value.parse().map_err(|_| invalid("limit: expected a number"))?,
            other => return Err(invalid(format!("{other}: expected side, state, before or limit"))),
        }
    }
    let rows = payments.charges_of(side, account, filter).await?;
    let next = rows.last().map(|row| row.created_at.to_string());
    let data: Vec<Value> = rows.iter().map(|row| shown(row, side)).collect();
    Ok(answer(StatusCode::OK, &json!({ "charges": data, "next": next })))
}

async fn show(
    State(payments): State<Payments>,
    Path(number): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let account = account(&payments, &headers).await?;
    let (side, row) = payments.charge_of(account, &number).await?.ok_or_else(not_found)?;
    Ok(answer(StatusCode::OK, &shown(&row, side)))
}

/// The buyer's certificate, while the amount is deposited.
async fn certificate(
    State(payments): State<Payments>,
    Path(number): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let account = account(&payments, &headers).await?;
    let (side, row) = payments.charge_of(account, &number).await?.ok_or_else(not_found)?;
    if side != Side::Buyer {
        return Err(not_found());
    }
    match payments.charge_details(account, &number).await? {
        Some((row, certificate)) => {
            let body = json!({ "number": row.number, "certificate": certificate, "details": row.details });
            Ok(answer(StatusCode::OK, &body))
        }
        None => {
            let stage = Stage::from_number(row.state).unwrap_or(Stage::Requested);
            told(Charged::NotNow(stage), side, row.currency)
        }
    }
}

async fn deposit(
    State(payments): State<Payments>,
    Path(number): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let agent = account(&payments, &headers).await?;
    let id = id(agent, "deposit", &headers)?;
    let asked: Depositing = read(&body)?;
    let agent = asker(&payments, agent).await?;
    let charged = heard(&payments).deposit_charge(id, &agent, &number, asked.pin).await;
    told(reused(charged)?, Side::Agent, payments.settings().currency)
}

async fn confirm(
    State(payments): State<Payments>,
    Path(number): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let agent = account(&payments, &headers).await?;
    let id = id(agent, "confirm", &headers)?;
    let asked: Confirming = read(&body)?;
    let agent = asker(&payments, agent).await?;
    let charged = heard(&payments).confirm_charge(id, &agent, &number, &asked.certificate, asked.pin).await;
    told(reused(charged)?, Side::Agent, payments.settings().currency)
}

/// Disputes a charge that is said to be paid, and takes the statement of one that is disputed.
async fn dispute(
    State(payments): State<Payments>,
    Path(number): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let account = account(&payments, &headers).await?;
    let asked: Disputing = if body.is_empty() { Disputing::default() } else { read(&body)? };
    let currency = payments.settings().currency;
    let (side, _) = payments.charge_of(account, &number).await?.ok_or_else(not_found)?;
    let disputed = payments.say_charge(side, account, &number, Input::Dispute(side)).await?;
    let charged = match (disputed, asked.statement) {
        (Charged::Done(_), Some(words)) => {
            payments.say_charge(side, account, &number, Input::Statement { side, words }).await?
        }
        (disputed, _) => disputed,
    };
    told(charged, side, currency)
}

/// What needs no PIN and no words. Saying it twice is as saying it once.
async fn say(
    State(payments): State<Payments>,
    Path((number, step)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let account = account(&payments, &headers).await?;
    let (side, _) = payments.charge_of(account, &number).await?.ok_or_else(not_found)?;
    let input = match step.as_str() {
        "paid" => Input::Claim,
        "cancel" => Input::Cancel(side),
        "decline" => Input::Decline,
        "withdraw" => Input::Withdraw,
        _ => return Err(Refused::new(StatusCode::NOT_FOUND, "not_found", "no such step".to_owned())),
    };
    let charged = payments.say_charge(side, account, &number, input).await?;
    told(charged, side, payments.settings().currency)
}
