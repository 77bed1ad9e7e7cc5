//! Signed requests: ours with HMAC-SHA256, timestamp and nonce, and Twilio's.

use keytone::http::guard::{hex, sign, twilio};
use keytone::secret::Secret;
use keytone::sms::http::letter::form;

use crate::http_gateways::{Gate, ME, Node, SECRET};

async fn signed(node: &Node, at: i64, nonce: &str, sent: &str, body: &str) -> (u16, String) {
    let at = at.to_string();
    let tag = sign(&Secret::from(SECRET), &at, nonce, "POST", "/ussd/signed?a=1", body.as_bytes());
    let request = node
        .client
        .post(format!("{}/ussd/signed?a=1", node.url))
        .header("keytone-timestamp", &at)
        .header("keytone-nonce", nonce)
        .header("keytone-signature", hex(&tag))
        .body(sent.to_owned());
    node.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_is_taken_once() {
    let gate = Gate::open().await;
    let node = &gate.node;
    let now = gate.market.clock.now().0 / 1_000_000 + 1;
    let begin = format!(r#"{{"session":"s","msisdn":"{ME}","code":"*125#","phase":"begin"}}"#);
    let (status, body) = signed(node, now, "n1", &begin, &begin).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        signed(node, now, "n1", &begin, &begin).await,
        (401, "this signature was used before\n".to_owned())
    );
    assert_eq!(signed(node, now, "n2", &begin, &begin).await.0, 200);
    let other = begin.replace("begin", "end");
    assert_eq!(signed(node, now, "n3", &other, &begin).await.0, 401, "the body is another");
    let words = "the timestamp is not within five minutes, or from before this daemon began\n".to_owned();
    assert_eq!(signed(node, now - 400, "n4", &begin, &begin).await, (401, words.clone()));
    assert_eq!(signed(node, now + 400, "n5", &begin, &begin).await, (401, words));
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twilio_is_believed_by_its_signature() {
    let gate = Gate::open().await;
    let node = &gate.node;
    let body = form(&[
        ("From", ME),
        ("To", "12580"),
        ("Body", "what can I do"),
        ("MessageSid", "SM1"),
        ("ToCountry", "CN"),
    ]);
    let send = async |signature: &str| {
        let request = node.client.post(format!("{}/sms/twilio?x=1", node.url));
        node.send(request.header("X-Twilio-Signature", signature).body(body.to_string())).await
    };
    assert_eq!(send("RSOYDt4T1cUTdK1PDd93/VVr8B8=").await.0, 401);
    let url = "https://pay.example/sms/twilio?x=1";
    let signature = twilio(&Secret::from(SECRET), url, "POST", body.as_bytes()).unwrap();
    let taken = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>".to_owned();
    assert_eq!(send(&signature).await, (200, taken.clone()));
    assert_eq!(gate.outbox.next().await["to"], ME);
    assert_eq!(send(&signature).await, (200, taken), "again, and nothing more");
    gate.market.payments.check().await.unwrap();
    assert!(gate.outbox.is_empty().await);
    gate.close().await;
}
