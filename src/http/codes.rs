//! Codes for the API of accounts: where the operator's policy wants more than a key and the PIN, a code to the number that the
//! account is told at is given back first. It counts for a short time, as a caller's does.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;
use serde_json::json;

use crate::http::charges::{account, heard, secret};
use crate::http::orders::{Refused, answer, read};
use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::code::{Answered, NotSent};
use crate::payment::run::{Claimed, CodeSent, Payments, Proved};
use crate::secret::Secret;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Checking {
    #[serde(deserialize_with = "secret")]
    code: Secret,
}

/// The paths of the API.
pub(super) fn router() -> Router<Payments> {
    Router::new().route("/v1/codes", post(send)).route("/v1/codes/check", post(check))
}

/// A key that is believed less than the policy wants proves its account like a caller who is not believed.
fn is_stranger(payments: &Payments) -> bool {
    let policy = &payments.settings().policy;
    !policy.believes(policy.key_level())
}

async fn told_at(payments: &Payments, account: Id) -> Result<Msisdn, Refused> {
    let phone = payments.phones_of(account).await?.into_iter().next();
    phone.ok_or_else(|| {
        let message = "no number is bound to this account that a code could be sent to";
        Refused::new(StatusCode::CONFLICT, "no_number", message.to_owned())
    })
}

fn locked() -> Refused {
    let message = "too many codes were wrong; codes of callers who are believed go on";
    Refused::new(StatusCode::FORBIDDEN, "locked", message.to_owned())
}

/// `POST /v1/codes`: sends one.
async fn send(State(payments): State<Payments>, headers: HeaderMap) -> Result<Response, Refused> {
    let account = account(&payments, &headers).await?;
    let phone = told_at(&payments, account).await?;
    let payments = heard(&payments);
    let sent = if is_stranger(&payments) {
        payments.claim(&phone, None).await?
    } else {
        match payments.send_code(&phone, Some(account)).await? {
            CodeSent::Sent => Claimed::Sent,
            CodeSent::Not(not) => Claimed::Not(not),
            CodeSent::NotMobile => Claimed::NotMobile,
        }
    };
    match sent {
        Claimed::Sent => Ok(answer(StatusCode::ACCEPTED, &json!({ "sent_to": phone.masked() }))),
        Claimed::Not(NotSent::TooSoon { .. }) => {
            let message = "a code is on its way already".to_owned();
            Err(Refused::new(StatusCode::TOO_MANY_REQUESTS, "too_soon", message))
        }
        Claimed::Not(NotSent::TooMany) => {
            let message = "too many codes were sent in this hour".to_owned();
            Err(Refused::new(StatusCode::TOO_MANY_REQUESTS, "too_many", message))
        }
        Claimed::NotMobile => {
            let message = "the account's number is no mobile number".to_owned();
            Err(Refused::new(StatusCode::CONFLICT, "no_number", message))
        }
        Claimed::Locked => Err(locked()),
    }
}

/// `POST /v1/codes/check`: gives one back.
async fn check(
    State(payments): State<Payments>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let account = account(&payments, &headers).await?;
    let asked: Checking = read(&body)?;
    let phone = told_at(&payments, account).await?;
    let payments = heard(&payments);
    let proved = if is_stranger(&payments) {
        payments.prove(&phone, None, &asked.code).await?
    } else {
        match payments.check_code(&phone, Some(account), &asked.code).await? {
            Answered::Right => Proved::Right(account),
            Answered::Wrong { left } => Proved::Wrong { left },
            Answered::Expired => Proved::Expired,
        }
    };
    match proved {
        Proved::Right(_) => {
            let seconds = payments.settings().identity.code.proof.as_secs();
            Ok(answer(StatusCode::OK, &json!({ "proved": true, "seconds": seconds })))
        }
        Proved::Wrong { left } => {
            let message = format!("the code is another; tries left: {left}");
            Err(Refused::new(StatusCode::FORBIDDEN, "wrong_code", message))
        }
        Proved::Expired => {
            let message = "there is no code that could be given back; ask for another".to_owned();
            Err(Refused::new(StatusCode::CONFLICT, "expired", message))
        }
        Proved::Locked => Err(locked()),
    }
}
