//! DT One: Basic auth, products by amount, lists asked by our reference, classes and finer statuses.

use serde_json::{Value, json};

use keytone::connector::contract::{Amounts, Outcome};
use keytone::connector::http::Connector;

use crate::connectors::stub::{REFERENCE, Reply, Stub, made, order, shipped, word};

const PHONE: &str = "+2348012345678";

fn connector(stub: &Stub) -> Connector {
    let base = format!("base_url = \"{}/v1\"", stub.url);
    made(&shipped(
        "dtone",
        &[("base_url = \"https://dvs-api.dtone.com/v1\"", &base), ("timeout_ms = 20000", "timeout_ms = 400")],
    ))
}

fn transaction(class: &str, status: &str) -> Value {
    json!({
        "id": 3_004_523, "external_id": REFERENCE,
        "status": { "id": 1, "message": status, "class": { "id": 1, "message": class } },
        "operator_reference": null, "pin": null,
        "prices": {
            "wholesale": { "unit_type": "CURRENCY", "unit": "USD", "amount": 0.61, "fee": 0 },
            "retail": null,
        },
        "requested_values": null, "credit_party_identifier": { "mobile_number": PHONE },
    })
}

fn errors(code: u32) -> Value {
    json!({ "errors": [{ "code": code, "message": "m" }] })
}

#[tokio::test]
async fn a_product_is_ordered_and_asked_by_our_reference() {
    let stub = Stub::new(|seen, before| match (seen.method.as_str(), before) {
        ("POST", _) => Reply::Json(201, transaction("CONFIRMED", "CONFIRMED")),
        (_, 0) => Reply::Json(200, json!([transaction("SUBMITTED", "SUBMITTED")])),
        (_, 1) => {
            let mut done = transaction("COMPLETED", "COMPLETED");
            done["pin"] = json!({ "code": "1234567890", "serial": "S-1" });
            Reply::Json(200, json!([done]))
        }
        _ => Reply::Json(200, json!([transaction("REVERSED", "REVERSED")])),
    })
    .await;
    let connector = connector(&stub);
    assert!(matches!(&connector.describe().amounts, Amounts::Fixed(list) if list.len() == 3));
    let (order, unsold) = (order(PHONE, 20_000, "NGN"), order(PHONE, 15_000, "NGN"));
    let accepted = connector.submit(&order).await;
    assert_eq!((word(&accepted).as_str(), accepted.carrier_reference()), ("accepted", Some("3004523")));
    assert_eq!(word(&connector.status(&order).await.unwrap()), "accepted");
    let Some(Outcome::Delivered { cost, voucher: Some(voucher), .. }) = connector.status(&order).await else {
        panic!()
    };
    assert_eq!((cost, voucher.serial.as_deref()), (None, Some("S-1")), "a cost in dollars is not naira");
    assert_eq!(word(&connector.status(&order).await.unwrap()), "reversed");
    let sent = &stub.seen()[0];
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/v1/async/transactions"));
    assert_eq!(sent.header("authorization"), "Basic ZHRvbmVfYXBpX2tleTpkdG9uZV9hcGlfc2VjcmV0");
    assert_eq!(
        sent.json(),
        json!({
            "external_id": REFERENCE, "product_id": 1002, "auto_confirm": true,
            "credit_party_identifier": { "mobile_number": PHONE },
            "callback_url": "https://keytone.example/callback/dtone-mtn-ng",
        })
    );
    assert_eq!(stub.to(&format!("/v1/transactions?external_id={REFERENCE}")).len(), 3);
    let unsold = connector.submit(&unsold).await;
    assert_eq!(word(&unsold), "not_sent false");
}

#[tokio::test]
async fn every_answer_has_its_meaning() {
    for (status, body, wanted) in [
        (201, transaction("REJECTED", "REJECTED-INVALID-CREDIT-PARTY"), "refused bad_number"),
        (201, transaction("DECLINED", "DECLINED-BARRED-CREDIT-PARTY"), "refused subscriber_barred"),
        (201, transaction("REJECTED", "REJECTED-INELIGIBLE-CREDIT-PARTY"), "refused product_unavailable"),
        (201, transaction("DECLINED", "DECLINED-LIMITATIONS-ON-OPERATOR-QUANTITY"), "refused limit_reached"),
        (201, transaction("REJECTED", "REJECTED-INSUFFICIENT-BALANCE"), "refused our_float_low"),
        (201, transaction("DECLINED", "DECLINED-OPERATOR-CURRENTLY-UNAVAILABLE"), "refused carrier_down"),
        (201, transaction("DECLINED", "DECLINED-DUPLICATED-TRANSACTION"), "refused duplicate_suspected"),
        (201, transaction("DECLINED", "DECLINED-SOMETHING-NEW"), "refused other"),
        (400, errors(1_005_003), "refused bad_number"),
        (400, errors(1_003_002), "refused amount_not_allowed"),
        (404, errors(1_003_001), "refused product_unavailable"),
        (400, errors(1_006_001), "refused our_float_low"),
        (401, errors(1_000_401), "refused auth_config"),
        (429, errors(1_000_429), "refused rate_limited"),
        (400, errors(1_007_001), "unknown unexpected"),
        (400, errors(1_000_400), "unknown unexpected"),
        (500, errors(1_009_001), "unknown unexpected"),
        (503, errors(1_009_503), "unknown unexpected"),
    ] {
        let reply = Reply::Json(status, body.clone());
        let stub = Stub::new(move |_, _| reply.clone()).await;
        assert_eq!(
            word(&connector(&stub).submit(&order(PHONE, 10_000, "NGN")).await),
            wanted,
            "{status} {body}"
        );
        assert_eq!(stub.seen().len(), 1);
    }
}

#[tokio::test]
async fn silence_garbage_absence_and_somebody_elses_answer() {
    let order = order(PHONE, 10_000, "NGN");
    let mut other = transaction("COMPLETED", "COMPLETED");
    other["credit_party_identifier"]["mobile_number"] = json!("+2348099999999");
    for (reply, submitted, asked) in [
        (Reply::Silence, "unknown timeout", "unknown timeout"),
        (Reply::Raw(200, "<html>"), "unknown unreadable", "unknown unreadable"),
        (Reply::Json(200, json!([])), "unknown unexpected", "not_found"),
        (Reply::Json(404, errors(1_008_004)), "unknown unexpected", "not_found"),
        (Reply::Json(401, errors(1_000_401)), "refused auth_config", "unknown unexpected"),
        (Reply::Json(200, json!([other])), "unknown unexpected", "unknown mismatch"),
    ] {
        let script = reply.clone();
        let stub = Stub::new(move |_, _| script.clone()).await;
        let connector = connector(&stub);
        assert_eq!(word(&connector.submit(&order).await), submitted, "{reply:?}");
        assert_eq!(word(&connector.status(&order).await.unwrap()), asked, "{reply:?}");
    }
}

#[tokio::test]
async fn a_callback_is_a_hint() {
    let stub = Stub::new(|_, _| Reply::Silence).await;
    let body = transaction("DECLINED", "DECLINED-BARRED-CREDIT-PARTY").to_string();
    let received = connector(&stub).callback(&[], body.as_bytes()).unwrap();
    assert!(!received.verified);
    assert_eq!(word(&received.callback.outcome), "refused subscriber_barred");
}
