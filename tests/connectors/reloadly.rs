//! Reloadly: a token, a top-up, its status by their number, and the lookup by ours when the answer was lost.

use serde_json::{Value, json};

use keytone::connector::contract::Outcome;
use keytone::secret::Secret;

use crate::connectors::stub::{REFERENCE, Reply, Seen, Stub, made, order, shipped, word};

const PHONE: &str = "+2348012345678";

fn connector(stub: &Stub) -> keytone::connector::http::Connector {
    let url = &stub.url;
    made(&shipped(
        "reloadly",
        &[
            ("base_url = \"https://topups.reloadly.com\"", &format!("base_url = \"{url}\"")),
            ("https://auth.reloadly.com", url),
            ("timeout_ms = 60000", "timeout_ms = 400"),
        ],
    ))
}

fn transaction(status: &str) -> Value {
    json!({
        "transactionId": 26523, "status": status, "operatorTransactionId": null, "customIdentifier": REFERENCE,
        "recipientPhone": "2348012345678", "countryCode": "NG", "operatorId": 341, "operatorName": "MTN Nigeria",
        "requestedAmount": 500, "requestedAmountCurrencyCode": "NGN",
        "deliveredAmount": 498.5, "deliveredAmountCurrencyCode": "NGN",
        "balanceInfo": { "cost": 485.25, "currencyCode": "NGN" }, "pinDetail": null,
    })
}

fn error(code: &str) -> Value {
    json!({ "timeStamp": "2021-05-11 21:14:00", "message": "m", "path": "/topups", "errorCode": code, "details": [] })
}

fn token(before: usize) -> Reply {
    let token = format!("token-{before}");
    Reply::Json(
        200,
        json!({ "access_token": token, "scope": "s", "expires_in": 86400, "token_type": "Bearer" }),
    )
}

async fn answering(reply: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Stub {
    Stub::new(
        move |seen, before| if seen.path == "/oauth/token" { token(before) } else { reply(seen, before) },
    )
    .await
}

#[tokio::test]
async fn a_topup_carries_the_token_and_our_reference() {
    let stub = answering(|_, _| Reply::Json(200, transaction("SUCCESSFUL"))).await;
    let connector = connector(&stub);
    let outcome = connector.submit(&order(PHONE, 50_000, "NGN")).await;
    let Outcome::Delivered { carrier_reference, cost, voucher } = outcome else { panic!("{outcome:?}") };
    assert_eq!(carrier_reference.as_deref(), Some("26523"));
    assert_eq!((cost.unwrap().minor, voucher), (48_525, None));
    connector.submit(&order(PHONE, 50_000, "NGN")).await;
    let tokens = stub.to("/oauth/token");
    assert_eq!(tokens.len(), 1, "the token is kept");
    assert_eq!(
        tokens[0].json(),
        json!({
            "client_id": "reloadly_client_id", "client_secret": "reloadly_client_secret",
            "grant_type": "client_credentials", "audience": "https://topups.reloadly.com",
        })
    );
    let sent = &stub.to("/topups")[0];
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/topups"));
    assert_eq!(sent.header("authorization"), "Bearer token-0");
    assert_eq!(sent.header("accept"), "application/com.reloadly.topups-v1+json");
    assert_eq!(
        sent.json(),
        json!({
            "operatorId": 341, "amount": "500.00", "useLocalAmount": true, "customIdentifier": REFERENCE,
            "recipientPhone": { "countryCode": "NG", "number": "2348012345678" },
        })
    );
    assert!(!format!("{connector:?}").contains("token-0"), "tokens do not print");
}

#[tokio::test]
async fn a_pending_one_is_asked_by_their_number_and_brings_its_voucher() {
    let stub = answering(|seen, before| match (seen.method.as_str(), before) {
        ("POST", _) => Reply::Json(200, transaction("PROCESSING")),
        (_, 0) => Reply::Json(200, transaction("PROCESSING")),
        _ => {
            let mut done = transaction("SUCCESSFUL");
            done["pinDetail"] =
                json!({ "serial": "558111", "code": "773709733097662", "ivr": "1-888-888-8888" });
            Reply::Json(200, done)
        }
    })
    .await;
    let connector = connector(&stub);
    let mut order = order(PHONE, 50_000, "NGN");
    let pending = connector.submit(&order).await;
    assert_eq!(word(&pending), "accepted");
    order.carrier_reference = pending.carrier_reference().map(str::to_owned);
    assert_eq!(word(&connector.status(&order).await.unwrap()), "accepted");
    let Some(Outcome::Delivered { voucher: Some(voucher), .. }) = connector.status(&order).await else {
        panic!()
    };
    assert_eq!(
        (voucher.serial.as_deref(), &voucher.code),
        (Some("558111"), &Secret::from("773709733097662"))
    );
    assert!(!format!("{voucher:?}").contains("7737"), "vouchers do not print");
    assert_eq!(stub.to("/topups/26523/status").len(), 2);
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_by_our_reference() {
    let stub = answering(|seen, before| match (seen.method.as_str(), before) {
        ("POST", _) => Reply::Silence,
        (_, 0) => Reply::Json(200, json!({ "content": [], "totalElements": 0 })),
        (_, 1) => {
            let mut other = transaction("SUCCESSFUL");
            other["customIdentifier"] = json!("somebody else's");
            let mut ours = transaction("SUCCESSFUL");
            ours.as_object_mut().unwrap().remove("status");
            Reply::Json(200, json!({ "content": [other, ours] }))
        }
        _ => Reply::Json(200, json!({ "content": [transaction("REFUNDED")] })),
    })
    .await;
    let connector = connector(&stub);
    let order = order(PHONE, 50_000, "NGN");
    assert_eq!(word(&connector.submit(&order).await), "unknown timeout");
    assert_eq!(stub.to("/topups").len(), 1, "sent once");
    assert_eq!(connector.status(&order).await, Some(Outcome::NotFound));
    let found = connector.status(&order).await.unwrap();
    assert_eq!((word(&found).as_str(), found.carrier_reference()), ("accepted", Some("26523")));
    assert_eq!(word(&connector.status(&order).await.unwrap()), "refused other");
    let path = format!("/topups/reports/transactions?customIdentifier={REFERENCE}");
    assert_eq!(stub.to(&path).len(), 3);
}

#[tokio::test]
async fn every_answer_has_its_meaning() {
    for (status, body, wanted) in [
        (200, transaction("REFUNDED"), "refused other"),
        (200, transaction("FAILED"), "refused other"),
        (400, error("INVALID_RECIPIENT_PHONE"), "refused bad_number"),
        (400, error("COULD_NOT_AUTO_DETECT_OPERATOR"), "refused number_not_on_operator"),
        (400, error("INVALID_AMOUNT_FOR_OPERATOR"), "refused amount_not_allowed"),
        (400, error("OPERATOR_NOT_IN_SERVICE"), "refused product_unavailable"),
        (400, error("INSUFFICIENT_BALANCE"), "refused our_float_low"),
        (400, error("MAX_DAILY_TRANSACTION_COUNT_REACHED"), "refused limit_reached"),
        (400, error("PHONE_RECENTLY_RECHARGED"), "refused duplicate_suspected"),
        (403, error("INACTIVE_ACCOUNT"), "refused auth_config"),
        (429, json!({}), "refused rate_limited"),
        // The customIdentifier was used before, or anything else without a name: ask.
        (400, error("CUSTOM_IDENTIFIER_IN_USE"), "unknown unexpected"),
        (400, error("TRANSACTION_CANNOT_BE_PROCESSED_AT_THE_MOMENT"), "unknown unexpected"),
        (500, error("INSUFFICIENT_BALANCE"), "unknown unexpected"),
        (503, json!({}), "unknown unexpected"),
    ] {
        let reply = Reply::Json(status, body.clone());
        let stub = answering(move |_, _| reply.clone()).await;
        let outcome = connector(&stub).submit(&order(PHONE, 50_000, "NGN")).await;
        assert_eq!(word(&outcome), wanted, "{status} {body}");
        assert_eq!(stub.to("/topups").len(), 1);
    }
    let stub = answering(|_, _| Reply::Raw(200, "<html>")).await;
    let connector = connector(&stub);
    assert_eq!(word(&connector.submit(&order(PHONE, 50_000, "NGN")).await), "unknown unreadable");
    assert_eq!(
        word(&connector.submit(&order(PHONE, 4_900, "NGN")).await),
        "not_sent false",
        "less than is sold"
    );
    assert_eq!(stub.to("/topups").len(), 1);
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_fetched_once_more() {
    let stub = answering(|seen, _| match seen.header("authorization") {
        "Bearer token-0" => Reply::Json(401, error("TOKEN_EXPIRED")),
        _ => Reply::Json(200, transaction("SUCCESSFUL")),
    })
    .await;
    let connector = connector(&stub);
    assert_eq!(word(&connector.submit(&order(PHONE, 50_000, "NGN")).await), "delivered");
    assert_eq!((stub.to("/oauth/token").len(), stub.to("/topups").len()), (2, 2));
    let always = answering(|_, _| Reply::Json(401, error("TOKEN_EXPIRED"))).await;
    let outcome = self::connector(&always).submit(&order(PHONE, 50_000, "NGN")).await;
    assert_eq!(word(&outcome), "refused auth_config");
    assert_eq!(always.to("/topups").len(), 2, "once more, not for ever");
}

#[tokio::test]
async fn without_a_token_nothing_leaves() {
    for (reply, wanted, told) in [
        (Reply::Json(401, json!({ "error": "access_denied" })), "not_sent false", "credentials not taken"),
        (Reply::Json(500, json!({})), "not_sent true", "status 500"),
        (Reply::Raw(200, "<html>"), "not_sent true", "without a token"),
        (Reply::Silence, "not_sent true", "in time"),
    ] {
        let stub = Stub::new(move |_, _| reply.clone()).await;
        let connector = connector(&stub);
        let mut order = order(PHONE, 50_000, "NGN");
        assert_eq!(word(&connector.submit(&order).await), wanted);
        order.carrier_reference = Some("26523".to_owned());
        assert!(matches!(connector.status(&order).await, Some(Outcome::NotSent { .. })), "never a refusal");
        assert!(stub.to("/topups").is_empty());
        let fault = connector.health().token_fault.unwrap();
        assert!(fault.contains(told) && !fault.contains("reloadly_client"), "{fault}");
    }
}

#[tokio::test]
async fn a_webhook_is_a_hint_until_its_signature_is_declared() {
    let stub = answering(|_, _| Reply::Silence).await;
    let connector = connector(&stub);
    let body = json!({ "id": "w1", "type": "airtime_transaction.status", "data": transaction("SUCCESSFUL") });
    let received = connector.callback(&[], body.to_string().as_bytes()).unwrap();
    assert!(!received.verified);
    assert_eq!(
        (received.callback.reference.as_str(), word(&received.callback.outcome).as_str()),
        (REFERENCE, "delivered")
    );
    assert!(connector.callback(&[], b"{}").is_err());
}
