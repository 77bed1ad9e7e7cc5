//! What is refused, and how: unknown routes, wrong secrets, bad forms, too much, a database that is gone.

use serde_json::json;

use crate::http_gateways::{Gate, ME, Node};

async fn plain(node: &Node, document: &serde_json::Value) -> (u16, serde_json::Value) {
    let request = node.client.post(format!("{}/ussd/plain?key=hush+hush", node.url)).json(document);
    let (status, body) = node.send(request).await;
    (status, serde_json::from_str(&body).unwrap_or(serde_json::Value::String(body)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plain_form_says_what_happened() {
    let gate = Gate::open().await;
    let node = &gate.node;
    let begin = json!({"session": "j1", "msisdn": ME, "code": "*125#", "phase": "begin"});
    let (status, screen) = plain(node, &begin).await;
    assert_eq!((status, &screen["end"]), (200, &json!(false)), "{screen}");
    let answer = |text: &str, id: &str| json!({"session": "j1", "msisdn": ME, "phase": "answer", "text": text, "id": id});
    let (_, amounts) = plain(node, &answer("1", "r1")).await;
    assert!(amounts["text"].as_str().unwrap().contains("50"), "{amounts}");
    assert_eq!(plain(node, &answer("1", "r1")).await.1, amounts, "the same request again");
    let (_, asked) = plain(node, &answer("50", "r2")).await;
    assert!(asked["text"].as_str().unwrap().contains("PIN"), "{asked}");
    let end = json!({"session": "j1", "msisdn": ME, "phase": "end"});
    assert_eq!(plain(node, &end).await, (200, json!({"text": "", "end": true})));
    let (_, over) = plain(node, &answer("739154", "r3")).await;
    assert_eq!(over["end"], json!(true), "{over}");
    assert!(gate.market.carrier(ME).is_empty());
    // Dialled with an amount, in both ways of writing it.
    for text in ["*125*50#", "50"] {
        let begin = json!({"session": text, "msisdn": ME, "code": "*125#", "phase": "begin", "text": text});
        let (_, asked) = plain(node, &begin).await;
        assert!(asked["text"].as_str().unwrap().contains("PIN"), "{text}: {asked}");
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_and_nothing_happens() {
    let gate = Gate::open().await;
    let node = &gate.node;
    let good = [("sessionId", "s1"), ("phoneNumber", ME), ("serviceCode", "*125#"), ("text", "")];
    for (path, wanted) in [("/ussd/other", 404), ("/sms/other", 404), ("/ussd", 404), ("/ussd/nobody", 401)] {
        assert_eq!(node.post(path, &good).await.0, wanted, "{path}");
    }
    for target in
        ["/ussd/at", "/ussd/at?key=hush", "/ussd/at?key=", "/sms/at", "/sms/at/receipt", "/ussd/at/end"]
    {
        let (status, body) = node.send(node.client.post(format!("{}{target}", node.url))).await;
        assert_eq!((status, body.as_str()), (401, "the secret is missing or wrong\n"), "{target}");
    }
    for (path, form, words) in [
        ("/ussd/at", vec![("sessionId", "s1")], "expected a field phoneNumber\n"),
        (
            "/ussd/at",
            vec![("sessionId", "s1"), ("phoneNumber", "0"), ("serviceCode", "*1#")],
            "expected a telephone number\n",
        ),
        ("/sms/at", vec![("from", ME)], "expected a field to\n"),
        ("/sms/at/receipt", vec![("id", "1")], "expected a field status\n"),
        (
            "/sms/kannel/receipt",
            vec![("id", "1"), ("status", "9")],
            "expected 1, 2, 4, 8 or 16 in the field status\n",
        ),
    ] {
        assert_eq!(node.post(path, &form).await, (400, words.to_owned()), "{path}");
    }
    assert_eq!(plain(node, &json!({"session": "j"})).await.0, 400);
    assert_eq!(node.get("/ussd/plain", &good).await.0, 405, "a document is posted");
    assert_eq!(node.post("/ussd/plain/end", &good).await.0, 404);
    let url = format!("{}/ussd/at?key=hush+hush&sessionId=s1", node.url);
    assert_eq!(node.send(node.client.head(&url)).await.0, 405, "a HEAD would do what a GET does");
    assert_eq!(node.send(node.client.put(&url)).await.0, 405);
    let long = "x".repeat(16 * 1024 + 1);
    assert_eq!(node.post("/ussd/at", &[("text", &long)]).await.0, 413);
    let many: Vec<(&str, &str)> = std::iter::repeat_n(("a", "1"), 65).collect();
    assert_eq!(node.post("/ussd/at", &many).await, (400, "expected at most 64 fields\n".to_owned()));
    assert!(gate.outbox.is_empty().await);
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_gateways_are_put_off() {
    let gate = Gate::open().await;
    let node = &gate.node;
    gate.market.store.close().await;
    let form = [("sessionId", "s1"), ("phoneNumber", ME), ("serviceCode", "*125#"), ("text", "")];
    let text = [("from", ME), ("to", "12580"), ("text", "RC 50"), ("id", "m1")];
    let receipt = [("id", "m1"), ("status", "Success")];
    for (path, form) in [("/ussd/at", &form[..]), ("/sms/at", &text[..]), ("/sms/at/receipt", &receipt[..])] {
        let body = keytone::sms::http::letter::form(form).to_string();
        let request = node.client.post(format!("{}{path}?key=hush+hush", node.url)).body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 503, "{path}");
        assert_eq!(response.headers()["retry-after"], "5", "{path}");
    }
}
