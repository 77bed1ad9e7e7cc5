//! The merchants' API: orders placed, listed, cancelled, shipped and refunded, and the balance. A merchant is known by its
//! API key in `Authorization: Bearer`; every error is JSON with a code that does not change. What may be done, `payment`
//! decides.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::ledger::row::Id;
use crate::money::Money;
use crate::msisdn::Msisdn;
use crate::payment::ask;
use crate::payment::ask::Want;
use crate::payment::order;
use crate::payment::order::{Input, OnTimeout, RefundState};
use crate::payment::row::order::{MerchantRow, OrderRow, RefundRow};
use crate::payment::run::{Error, Fault, NewOrder, OrderFilter, Payments};
use crate::payment::webhook;

/// The header with the idempotency key.
const KEY_HEADER: &str = "idempotency-key";
/// How long an order may be paid unless the merchant says otherwise, seconds: a day.
const EXPIRES_SECONDS: i64 = 86_400;
/// How long money is frozen at most unless the merchant says otherwise, seconds: seven days.
const FREEZE_SECONDS: i64 = 7 * 86_400;
/// Orders of a page unless the merchant says otherwise.
const PAGE: u32 = 20;

/// A body of `POST /v1/orders`. Unknown fields are refused, so that a misspelt one is not silently ignored.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Placing {
    customer: String,
    amount: String,
    currency: String,
    description: String,
    #[serde(default)]
    frozen: bool,
    expires_seconds: Option<i64>,
    freeze_seconds: Option<i64>,
    on_timeout: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Refunding {
    amount: String,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Asking {
    #[serde(rename = "for")]
    wanted: Option<String>,
}

/// The paths of the API.
pub(super) fn router() -> Router<Payments> {
    Router::new()
        .route("/v1/orders", post(place).get(list))
        .route("/v1/orders/{id}", get(show))
        .route("/v1/orders/{id}/cancel", post(cancel))
        .route("/v1/orders/{id}/ship", post(ship))
        .route("/v1/orders/{id}/refund", post(refund))
        .route("/v1/orders/{id}/ask", post(ask_customer))
        .route("/v1/balance", get(balance))
}

/// An error as the asker sees it.
pub(super) struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// In how many seconds to ask again, where that is known.
    retry_s: Option<u64>,
}

impl Refused {
    pub(super) const fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self { status, code, message, retry_s: None }
    }

    /// Too much at once: whoever waits so long is heard again.
    fn wait(code: &'static str, message: String, wait: Duration) -> Self {
        let retry_s = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
        Self { retry_s: Some(retry_s), ..Self::new(StatusCode::TOO_MANY_REQUESTS, code, message) }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self { status, code, message, retry_s } = self;
        let mut response = answer(status, &json!({ "error": { "code": code, "message": message } }));
        if let Some(retry_s) = retry_s {
            response.headers_mut().insert(header::RETRY_AFTER, retry_s.into());
        }
        response
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        match error {
            Error::Busy | Error::Stopped => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "ask again with the same key".to_owned())
            }
            error => {
                tracing::error!(%error, "a request of the API failed");
                let message = "something failed on our side; ask again with the same key".to_owned();
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
            }
        }
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        let (status, code) = match &fault {
            Fault::Unknown => (StatusCode::NOT_FOUND, "not_found"),
            Fault::Suspended => (StatusCode::FORBIDDEN, "suspended"),
            Fault::KeyReused => (StatusCode::CONFLICT, "idempotency_key_reused"),
            Fault::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Fault::Order(order::Refusal::Amount) => (StatusCode::UNPROCESSABLE_ENTITY, "amount"),
            Fault::Order(order::Refusal::Expired) => (StatusCode::CONFLICT, "expired"),
            Fault::Order(_) | Fault::Ask(ask::Refusal::Nothing | ask::Refusal::Other) => {
                (StatusCode::CONFLICT, "state")
            }
            Fault::Ask(ask::Refusal::Declined) => (StatusCode::CONFLICT, "declined"),
            Fault::Ask(ask::Refusal::UnderWay) => (StatusCode::CONFLICT, "under_way"),
            Fault::Ask(ask::Refusal::OrderLimit) => (StatusCode::CONFLICT, "ask_limit"),
            Fault::Ask(ask::Refusal::TooSoon { .. } | ask::Refusal::DayLimit) => {
                (StatusCode::TOO_MANY_REQUESTS, "too_soon")
            }
        };
        Self::new(status, code, fault.to_string())
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Refused {
    Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message.into())
}

pub(super) fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The API key of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (how, key) = given.split_once(' ')?;
    how.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// The answer to a request without a key that somebody has.
pub(super) fn unauthorised() -> Refused {
    let expected = "expected Authorization: Bearer with an API key";
    Refused::new(StatusCode::UNAUTHORIZED, "unauthorised", expected.to_owned())
}

async fn merchant(payments: &Payments, headers: &HeaderMap) -> Result<MerchantRow, Refused> {
    let known = match bearer(headers) {
        Some(key) => payments.merchant_by_key(key).await?,
        None => None,
    };
    let known = known.ok_or_else(unauthorised)?;
    in_turn(payments, known.id)?;
    Ok(known)
}

/// Whether whoever is known asks no faster than he may.
pub(super) fn in_turn(payments: &Payments, id: Id) -> Result<(), Refused> {
    payments
        .api_turn(id)
        .map_err(|wait| Refused::wait("rate", "too many requests: wait as Retry-After says".to_owned(), wait))
}

pub(super) fn key(headers: &HeaderMap) -> Result<&str, Refused> {
    let key = headers.get(KEY_HEADER).and_then(|value| value.to_str().ok());
    key.ok_or_else(|| {
        Refused::new(
            StatusCode::BAD_REQUEST,
            "idempotency_key_missing",
            "expected Idempotency-Key".to_owned(),
        )
    })
}

fn id(text: &str) -> Result<Id, Refused> {
    Id::parse(text).ok_or_else(|| Fault::Unknown.into())
}

pub(super) fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| {
        Refused::new(StatusCode::BAD_REQUEST, "body", format!("the body cannot be read: {error}"))
    })
}

fn money(text: &str, merchant: &MerchantRow) -> Result<i64, Refused> {
    Money::parse(text, merchant.currency)
        .map(|money| money.minor)
        .map_err(|error| invalid(format!("amount: {error}")))
}

fn micros(seconds: i64) -> Result<i64, Refused> {
    seconds.checked_mul(1_000_000).ok_or_else(|| invalid("a time is too long"))
}

async fn place(
    State(payments): State<Payments>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let merchant = merchant(&payments, &headers).await?;
    let key = key(&headers)?;
    let asked: Placing = read(&body)?;
    if asked.currency != merchant.currency.code() {
        return Err(invalid(format!("the currency is {}", merchant.currency)));
    }
    let on_timeout = match asked.on_timeout.as_deref() {
        None => OnTimeout::ReturnUnlessShipped,
        Some(name) => OnTimeout::named(name)
            .ok_or_else(|| invalid("on_timeout: expected return_unless_shipped, release or return"))?,
    };
    let new = NewOrder {
        customer: Msisdn::parse(&asked.customer).map_err(|error| invalid(format!("customer: {error}")))?,
        amount_minor: money(&asked.amount, &merchant)?,
        description: asked.description,
        payable_micros: micros(asked.expires_seconds.unwrap_or(EXPIRES_SECONDS))?,
        frozen: asked.frozen,
        freeze_micros: micros(asked.freeze_seconds.unwrap_or(FREEZE_SECONDS))?,
        on_timeout,
    };
    let order = payments.place_order(&merchant, key, new).await??;
    Ok(answer(StatusCode::CREATED, &webhook::data(&order)))
}

async fn show(
    State(payments): State<Payments>,
    Path(order): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let merchant = merchant(&payments, &headers).await?;
    let order = payments.order(merchant.id, id(&order)?).await?.ok_or(Fault::Unknown)?;
    let refunds: Vec<Value> =
        payments.refunds(Some(order.id)).await?.iter().map(|r| refund_json(r, &order)).collect();
    let mut data = webhook::data(&order);
    let asks: Vec<Value> = payments.asks_of(order.id).await?.iter().map(ask::data).collect();
    if let Some(data) = data.as_object_mut() {
        data.insert("refunds".to_owned(), refunds.into());
        data.insert("asks".to_owned(), asks.into());
    }
    Ok(answer(StatusCode::OK, &data))
}

/// A page of orders, the newest first; `next` is what to give as `before` for the next page.
async fn list(
    State(payments): State<Payments>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let merchant = merchant(&payments, &headers).await?;
    let mut filter = OrderFilter { limit: PAGE, ..OrderFilter::default() };
    for (name, value) in &query {
        match name.as_str() {
            "state" => {
                filter.state =
                    Some(order::State::named(value).ok_or_else(|| invalid("state: no such state"))?)
            }
            "customer" => {
                filter.customer =
                    Some(Msisdn::parse(value).map_err(|error| invalid(format!("customer: {error}")))?);
            }
            "before" => {
                filter.before = Some(value.parse().map_err(|_| invalid("before: expected what next said"))?)
            }
            "limit" => filter.limit = value.parse().map_err(|_| invalid("limit: expected a number"))?,
            other => return Err(invalid(format!("{other}: expected state, customer, before or limit"))),
        }
    }
    let orders = payments.orders(Some(merchant.id), &filter).await?;
    let next = orders.last().map(|order| order.created_at.to_string());
    let data: Vec<Value> = orders.iter().map(webhook::data).collect();
    Ok(answer(StatusCode::OK, &json!({ "orders": data, "next": next })))
}

async fn cancel(state: State<Payments>, path: Path<String>, headers: HeaderMap) -> Result<Response, Refused> {
    step(state, path, headers, Input::Cancel).await
}

async fn ship(state: State<Payments>, path: Path<String>, headers: HeaderMap) -> Result<Response, Refused> {
    step(state, path, headers, Input::Ship).await
}

async fn step(
    State(payments): State<Payments>,
    Path(order): Path<String>,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, Refused> {
    let merchant = merchant(&payments, &headers).await?;
    let order = payments.merchant_step(merchant.id, id(&order)?, &input).await??;
    Ok(answer(StatusCode::OK, &webhook::data(&order)))
}

async fn refund(
    State(payments): State<Payments>,
    Path(order): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let merchant = merchant(&payments, &headers).await?;
    let key = key(&headers)?;
    let asked: Refunding = read(&body)?;
    let amount_minor = money(&asked.amount, &merchant)?;
    let order = id(&order)?;
    let refund = payments.refund_order(merchant.id, order, key, amount_minor).await??;
    let order = payments.order(merchant.id, order).await?.ok_or(Fault::Unknown)?;
    let done = refund.state == RefundState::Done.number();
    let status = if done { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(answer(status, &json!({ "refund": refund_json(&refund, &order), "order": webhook::data(&order) })))
}

/// Has the customer asked to pay, or to confirm receipt. What comes of it is told by webhook, and stands in the order.
async fn ask_customer(
    State(payments): State<Payments>,
    Path(order): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let merchant = merchant(&payments, &headers).await?;
    let key = key(&headers)?;
    let asked = if body.is_empty() { Asking::default() } else { read(&body)? };
    let wanted = match asked.wanted.as_deref() {
        None => None,
        Some(name) => Some(Want::named(name).ok_or_else(|| invalid("for: expected pay or receipt"))?),
    };
    match payments.ask_customer(merchant.id, id(&order)?, key, wanted).await? {
        Ok(row) => Ok(answer(StatusCode::ACCEPTED, &ask::data(&row))),
        Err(Fault::Ask(refusal)) => Err(match payments.wait_to_ask(refusal) {
            Some((code, wait)) => Refused::wait(code, refusal.to_string(), wait),
            None => Fault::Ask(refusal).into(),
        }),
        Err(fault) => Err(fault.into()),
    }
}

fn refund_json(refund: &RefundRow, order: &OrderRow) -> Value {
    json!({
        "id": refund.id,
        "amount": Money::new(refund.amount_minor, order.currency).amount_text(),
        "state": RefundState::from_number(refund.state).map(RefundState::name),
    })
}

async fn balance(State(payments): State<Payments>, headers: HeaderMap) -> Result<Response, Refused> {
    let merchant = merchant(&payments, &headers).await?;
    let minor = payments.merchant_balance(merchant.id).await?;
    let balance = Money::new(minor, merchant.currency).amount_text();
    Ok(answer(StatusCode::OK, &json!({ "balance": balance, "currency": merchant.currency.code() })))
}
