//! Africa's Talking: an API key, an idempotency key, form fields with a list in them, amounts with their currency.

use serde_json::{Value, json};

use keytone::connector::contract::Outcome;
use keytone::connector::http::{CallbackFault, Connector};

use crate::connectors::stub::{REFERENCE, Reply, Stub, made, order, shipped, word};

const PHONE: &str = "+254712345678";

fn connector(stub: &Stub) -> Connector {
    made(&shipped(
        "africastalking",
        &[("https://api.africastalking.com", &stub.url), ("timeout_ms = 30000", "timeout_ms = 400")],
    ))
}

fn answer(status: &str, error: &str) -> Value {
    json!({
        "errorMessage": "None", "numSent": 1, "totalAmount": "KES 1,000.0000", "totalDiscount": "KES 40.0000",
        "responses": [{
            "phoneNumber": PHONE, "errorMessage": error, "amount": "KES 1,000.0000", "status": status,
            "requestId": "ATQid_SampleTxnId1", "discount": "KES 40.0000",
        }],
    })
}

fn whole(error: &str) -> Value {
    json!({ "errorMessage": error, "numSent": 0, "totalAmount": "0", "totalDiscount": "0", "responses": [] })
}

#[tokio::test]
async fn airtime_is_sent_and_asked_by_their_number() {
    let stub = Stub::new(|seen, before| match (seen.method.as_str(), before) {
        ("POST", _) => Reply::Json(201, answer("Sent", "None")),
        (_, 0) => Reply::Json(200, json!({ "status": "Success", "data": { "status": "Sent" } })),
        (_, 1) => Reply::Json(
            200,
            json!({ "status": "Success", "data": { "value": "KES 1,000.0000", "status": "Success" } }),
        ),
        (_, 2) => Reply::Json(200, json!({ "status": "Success", "data": { "status": "Failed" } })),
        _ => Reply::Json(200, json!({ "status": "Success" })),
    })
    .await;
    let connector = connector(&stub);
    assert!(connector.describe().status_needs_theirs);
    let mut order = order(PHONE, 100_000, "KES");
    let sent = connector.submit(&order).await;
    assert_eq!((word(&sent).as_str(), sent.carrier_reference()), ("accepted", Some("ATQid_SampleTxnId1")));
    assert_eq!(connector.status(&order).await, None, "only their number can be asked");
    order.carrier_reference = sent.carrier_reference().map(str::to_owned);
    for wanted in ["accepted", "delivered", "refused other", "unknown unexpected"] {
        assert_eq!(word(&connector.status(&order).await.unwrap()), wanted);
    }
    let request = &stub.seen()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/version1/airtime/send"));
    assert_eq!(request.header("apikey"), "africastalking_api_key");
    assert_eq!(request.header("idempotency-key"), REFERENCE);
    assert_eq!(request.header("content-type"), "application/x-www-form-urlencoded");
    let fields = keytone::connector::form::read(request.body.as_bytes()).unwrap();
    let recipients: Value = serde_json::from_str(fields["recipients"].as_str().unwrap()).unwrap();
    assert_eq!(fields["username"], "keytone");
    assert_eq!(recipients, json!([{ "phoneNumber": PHONE, "amount": "KES 1000.00" }]));
    let path = "/query/transaction/find?username=keytone&transactionId=ATQid_SampleTxnId1";
    assert_eq!(stub.to(path).len(), 4);
    assert_eq!(connector.callback(&[], b"{}"), Err(CallbackFault::NotExpected));
}

#[tokio::test]
async fn every_answer_has_its_meaning() {
    let mut other = answer("Sent", "None");
    other["responses"][0]["amount"] = json!("KES 10.0000");
    let mut shillings = answer("Sent", "None");
    shillings["responses"][0]["amount"] = json!("UGX 1,000.0000");
    for (status, body, wanted) in [
        (201, answer("Success", "None"), "delivered"),
        (201, answer("Failed", "Invalid phone number"), "refused bad_number"),
        (201, answer("Failed", "Value Outside The Allowed Limits"), "refused amount_not_allowed"),
        (201, answer("Failed", "Insufficient Credit"), "refused our_float_low"),
        (201, answer("Failed", "UnsupportedNumberType"), "refused number_not_on_operator"),
        (
            201,
            answer("Failed", "A duplicate request was received within the last 5 minutes"),
            "unknown unexpected",
        ),
        (201, whole("A duplicate request was received within the last 5 minutes"), "unknown unexpected"),
        (201, answer("Failed", "Gateway Error"), "unknown unexpected"),
        (201, other, "unknown mismatch"),
        (201, shillings, "unknown mismatch"),
        (401, json!({}), "refused auth_config"),
        (429, json!({}), "refused rate_limited"),
        (502, json!({}), "unknown unexpected"),
    ] {
        let reply = Reply::Json(status, body.clone());
        let stub = Stub::new(move |_, _| reply.clone()).await;
        assert_eq!(
            word(&connector(&stub).submit(&order(PHONE, 100_000, "KES")).await),
            wanted,
            "{status} {body}"
        );
        assert_eq!(stub.seen().len(), 1);
    }
    for (reply, wanted) in [
        (Reply::Silence, "unknown timeout"),
        (Reply::Raw(401, "The supplied authentication is invalid"), "refused auth_config"),
        (Reply::Raw(201, "<"), "unknown unreadable"),
    ] {
        let stub = Stub::new(move |_, _| reply.clone()).await;
        let outcome = connector(&stub).submit(&order(PHONE, 100_000, "KES")).await;
        assert_eq!(word(&outcome), wanted);
        assert!(!matches!(outcome, Outcome::Delivered { .. }));
    }
}
