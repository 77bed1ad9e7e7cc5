//! MTN MoMo: a token by Basic auth, a subscription key, an empty 202, 409 for a reference that was used.

use serde_json::{Value, json};

use keytone::connector::http::Connector;

use crate::connectors::stub::{REFERENCE, Reply, Seen, Stub, made, order, shipped, word};

const PHONE: &str = "+256772123456";

fn connector(stub: &Stub) -> Connector {
    made(&shipped(
        "mtn-momo",
        &[("https://proxy.momoapi.mtn.com", &stub.url), ("timeout_ms = 30000", "timeout_ms = 400")],
    ))
}

fn transfer(status: &str, reason: &Value) -> Value {
    json!({
        "amount": "5000", "currency": "UGX", "financialTransactionId": "363440463", "externalId": REFERENCE,
        "payee": { "partyIdType": "MSISDN", "partyId": "256772123456" }, "status": status, "reason": reason,
    })
}

async fn answering(reply: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Stub {
    Stub::new(move |seen, before| match seen.path.as_str() {
        "/disbursement/token/" => {
            let token = format!("token-{before}");
            Reply::Json(
                200,
                json!({ "access_token": token, "token_type": "access_token", "expires_in": 3600 }),
            )
        }
        _ => reply(seen, before),
    })
    .await
}

#[tokio::test]
async fn a_transfer_is_taken_without_a_word_and_asked_by_our_reference() {
    let stub = answering(|seen, before| match (seen.method.as_str(), before) {
        ("POST", 0) => Reply::Raw(202, ""),
        ("POST", _) => Reply::Json(409, json!({ "code": "RESOURCE_ALREADY_EXIST", "message": "Duplicated" })),
        (_, 0) => Reply::Json(404, json!({ "code": "RESOURCE_NOT_FOUND", "message": "m" })),
        (_, 1) => Reply::Json(200, transfer("PENDING", &Value::Null)),
        _ => Reply::Json(200, transfer("SUCCESSFUL", &Value::Null)),
    })
    .await;
    let connector = connector(&stub);
    let order = order(PHONE, 5_000, "UGX");
    assert_eq!(word(&connector.submit(&order).await), "accepted");
    assert_eq!(word(&connector.submit(&order).await), "unknown unexpected", "409 means: ask");
    for wanted in ["not_found", "accepted", "delivered"] {
        assert_eq!(word(&connector.status(&order).await.unwrap()), wanted);
    }
    let token = &stub.to("/disbursement/token/")[0];
    assert_eq!(token.header("authorization"), "Basic bW9tb19hcGlfdXNlcjptb21vX2FwaV9rZXk=");
    assert_eq!(token.header("ocp-apim-subscription-key"), "momo_subscription_key");
    let sent = &stub.to("/disbursement/v1_0/transfer")[0];
    assert_eq!(sent.header("x-reference-id"), REFERENCE);
    assert_eq!(sent.header("x-target-environment"), "mtnuganda");
    assert_eq!(sent.header("ocp-apim-subscription-key"), "momo_subscription_key");
    assert_eq!(sent.header("authorization"), "Bearer token-0");
    assert_eq!(
        sent.json(),
        json!({
            "amount": "5000", "currency": "UGX", "externalId": REFERENCE,
            "payee": { "partyIdType": "MSISDN", "partyId": "256772123456" },
            "payerMessage": "Keytone", "payeeNote": "Keytone",
        })
    );
    assert_eq!(stub.to(&format!("/disbursement/v1_0/transfer/{REFERENCE}")).len(), 3);
}

#[tokio::test]
async fn reasons_of_failure_have_their_classes() {
    for (reason, wanted) in [
        (json!("PAYEE_NOT_FOUND"), "refused bad_number"),
        (json!({ "code": "PAYEE_NOT_FOUND", "message": "m" }), "refused bad_number"),
        (json!("PAYEE_NOT_ALLOWED_TO_RECEIVE"), "refused limit_reached"),
        (json!("NOT_ENOUGH_FUNDS"), "refused our_float_low"),
        (json!("NOT_ALLOWED"), "refused auth_config"),
        (json!("SERVICE_UNAVAILABLE"), "refused carrier_down"),
        (json!("INTERNAL_PROCESSING_ERROR"), "refused other"),
        (Value::Null, "refused other"),
    ] {
        let body = transfer("FAILED", &reason);
        let stub = answering(move |_, _| Reply::Json(200, body.clone())).await;
        let outcome = connector(&stub).status(&order(PHONE, 5_000, "UGX")).await.unwrap();
        assert_eq!(word(&outcome), wanted, "{reason}");
    }
}

#[tokio::test]
async fn every_other_answer_has_its_meaning() {
    for (reply, submitted, asked) in [
        (Reply::Json(500, json!({ "code": "NOT_ENOUGH_FUNDS" })), "unknown unexpected", "unknown unexpected"),
        (
            Reply::Json(400, json!({ "code": "INVALID_CURRENCY" })),
            "refused auth_config",
            "unknown unexpected",
        ),
        (Reply::Raw(400, ""), "unknown unreadable", "unknown unreadable"),
        (Reply::Raw(429, ""), "refused rate_limited", "unknown unreadable"),
        (Reply::Raw(202, "half"), "unknown unreadable", "unknown unreadable"),
        (Reply::Raw(200, ""), "unknown unreadable", "unknown unreadable"),
        (Reply::Silence, "unknown timeout", "unknown timeout"),
        (Reply::Json(401, json!({ "message": "m" })), "refused auth_config", "unknown unexpected"),
    ] {
        let script = reply.clone();
        let stub = answering(move |_, _| script.clone()).await;
        let (connector, order) = (connector(&stub), order(PHONE, 5_000, "UGX"));
        assert_eq!(word(&connector.submit(&order).await), submitted, "{reply:?}");
        assert_eq!(word(&connector.status(&order).await.unwrap()), asked, "{reply:?}");
    }
    let mut other = transfer("SUCCESSFUL", &Value::Null);
    other["amount"] = json!("50000");
    let stub = answering(move |_, _| Reply::Json(200, other.clone())).await;
    let outcome = connector(&stub).status(&order(PHONE, 5_000, "UGX")).await.unwrap();
    assert_eq!(word(&outcome), "unknown mismatch");
}

#[tokio::test]
async fn a_callback_is_a_hint() {
    let stub = answering(|_, _| Reply::Silence).await;
    let body = transfer("SUCCESSFUL", &Value::Null).to_string();
    let received = connector(&stub).callback(&[], body.as_bytes()).unwrap();
    assert!(!received.verified);
    assert_eq!(
        (received.callback.reference.as_str(), word(&received.callback.outcome).as_str()),
        (REFERENCE, "delivered")
    );
}
