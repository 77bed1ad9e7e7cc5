//! The API of an agent's own store: seen, opened and closed, its amounts changed. What may be done, `payment` decides.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;

use crate::http::charges::{account, money};
use crate::http::orders::{Refused, answer, invalid, read};
use crate::money::{Currency, Money};
use crate::payment::run::Payments;
use crate::payment::run::agents::{Shown, Storekeeping};

/// What changes; what is not there stays. Unknown fields are refused, so that a misspelt one is not silently ignored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Changing {
    open: Option<bool>,
    least: Option<String>,
    most: Option<String>,
}

/// The paths of the API.
pub(super) fn router() -> Router<Payments> {
    Router::new().route("/v1/store", get(show).post(change))
}

fn no_agent() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "not_found", "this account sells no balance".to_owned())
}

fn shown(shown: &Shown, currency: Currency) -> Response {
    let text = |minor: i64| Money::new(minor, currency).amount_text();
    let body = json!({
        "name": shown.name,
        "open": shown.open,
        "suspended": shown.suspended,
        "least": text(shown.least_minor),
        "most": text(shown.most_minor),
        "price_of_most": text(shown.price_minor),
        "fee": text(shown.fee_minor),
        "details": shown.details,
        "currency": currency.code(),
    });
    answer(StatusCode::OK, &body)
}

async fn show(State(payments): State<Payments>, headers: HeaderMap) -> Result<Response, Refused> {
    let account = account(&payments, &headers).await?;
    let store = payments.store_of(account).await?.ok_or_else(no_agent)?;
    Ok(shown(&store, payments.settings().currency))
}

/// Amounts are changed before the store is opened, so that nothing is offered that was not meant to be.
async fn change(
    State(payments): State<Payments>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let account = account(&payments, &headers).await?;
    let asked: Changing = read(&body)?;
    let currency = payments.settings().currency;
    let amount = |name: &str, text: Option<&String>| text.map(|text| money(name, text, currency)).transpose();
    let least = amount("least", asked.least.as_ref())?;
    let most = amount("most", asked.most.as_ref())?;
    if asked.open == Some(false) {
        kept(payments.keep_store(account, false).await?)?;
    }
    if least.is_some() || most.is_some() {
        kept(payments.set_store_amounts(account, least, most).await?)?;
    }
    if asked.open == Some(true) {
        kept(payments.keep_store(account, true).await?)?;
    }
    let store = payments.store_of(account).await?.ok_or_else(no_agent)?;
    Ok(shown(&store, currency))
}

fn kept(kept: Storekeeping) -> Result<(), Refused> {
    match kept {
        Storekeeping::Done(_) => Ok(()),
        Storekeeping::NoStore => Err(no_agent()),
        Storekeeping::BadAmounts => Err(invalid("the least must be more than nothing, and the most no less")),
        Storekeeping::Suspended => {
            let message = "the operator has shut this store".to_owned();
            Err(Refused::new(StatusCode::FORBIDDEN, "suspended", message))
        }
    }
}
