//! What the sandbox provider says that an account may spend.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::connector::bill::read_money;
use crate::connector::sandbox::provider::{Holder, Wrong};
use crate::connector::sandbox::serving::answer;
use crate::connector::sandbox::wire::Breaker;
use crate::money::{Currency, Money};

/// What every account began with, minor units.
pub const FUNDS_MINOR: i64 = 100_000;
/// The currency of an account of which nothing is remembered.
const USUAL: &str = "CNY";

pub(super) async fn tell(
    State(holder): State<Arc<Holder>>,
    Path(account): Path<String>,
    ConnectInfo(breaker): ConnectInfo<Breaker>,
    headers: HeaderMap,
) -> Response {
    if !holder.is_signed(&headers, "GET", &format!("/v1/accounts/{account}/balance"), b"") {
        return answer(401, &json!({ "status": "UNAUTHORISED" }));
    }
    let mut currency = USUAL.to_owned();
    match Wrong::of_balance(&account) {
        Some(Wrong::MuteBefore) => return holder.mute(&breaker).await,
        Some(Wrong::ResetBefore) => {
            breaker.cut();
            return answer(500, &json!({}));
        }
        Some(Wrong::ErrorBefore) => return answer(500, &json!({ "status": "INTERNAL" })),
        Some(Wrong::Garbage) => return (StatusCode::OK, "<html>\u{fffd} it works!").into_response(),
        Some(Wrong::Refuse("NO_ACCOUNT")) => return answer(404, &json!({ "status": "NO_ACCOUNT" })),
        Some(Wrong::Refuse(code)) => return answer(200, &json!({ "status": code })),
        Some(Wrong::Slow) => tokio::time::sleep(holder.config.slow).await,
        Some(Wrong::Currency) => "USD".clone_into(&mut currency),
        Some(_) | None => {}
    }
    let spent = holder.spent_minor(&account).await;
    let Ok(shown) = Currency::new(&currency).map(|c| Money::new(FUNDS_MINOR.saturating_sub(spent), c)) else {
        return answer(500, &json!({}));
    };
    let body = json!({
        "status": "OK",
        "account": account,
        "available": shown.to_decimal().to_string(),
        "currency": currency,
    });
    answer(200, &body)
}

impl Holder {
    /// What is kept or taken of an account, minor units.
    async fn spent_minor(&self, account: &str) -> i64 {
        let kept = |state: &str| matches!(state, "reserved" | "captured");
        let all = self.book.all().await;
        let amounts = all.iter().filter(|r| r.msisdn == account && kept(&r.state)).filter_map(|record| {
            let currency = Currency::new(&record.currency).ok()?;
            read_money(&record.amount, currency, false).ok().map(|money| money.minor)
        });
        amounts.fold(0, i64::saturating_add)
    }
}
