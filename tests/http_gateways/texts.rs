//! Texts and receipts from each provider: acknowledged when committed, known when they come again.

use std::time::Duration;

use keytone::session::mailbox::{Mailbox, OutboxFilter};
use keytone::session::{OutboxRow, OutboxState};
use serde_json::json;

use crate::http_gateways::{Gate, ME, PATIENCE};

async fn rows(gate: &Gate) -> Vec<OutboxRow> {
    let mailbox = Mailbox::new(gate.market.payments.clone(), gate.market.clock.clone());
    mailbox.list(&OutboxFilter { limit: 100, ..OutboxFilter::default() }).await.unwrap()
}

/// Waits until every text that went out is in this state.
async fn until(gate: &Gate, state: OutboxState) -> Vec<OutboxRow> {
    let all = tokio::time::timeout(PATIENCE, async {
        loop {
            let rows = rows(gate).await;
            if rows.iter().all(|row| row.state == state) {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    });
    match all.await {
        Ok(rows) => rows,
        Err(_) => panic!("not {state:?}: {:?}", rows(gate).await.iter().map(|row| row.state).collect::<Vec<_>>()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_answered_by_the_route_that_brought_it() {
    let gate = Gate::open().await;
    let at = [("from", ME), ("to", "12580"), ("text", "what can I do"), ("date", "x"), ("id", "m1"), ("linkId", "")];
    assert_eq!(gate.node.post("/sms/at", &at).await, (200, String::new()));
    let reply = gate.outbox.next().await;
    assert_eq!((reply["from"].as_str(), reply["to"].as_str()), (Some("12580"), Some(ME)), "{reply}");
    let rows = until(&gate, OutboxState::Accepted).await;
    assert_eq!(rows[0].route.as_deref(), Some("at"));
    let id = rows[0].message_id.clone().unwrap();
    assert_eq!(id, format!("p-{}", reply["id"].as_str().unwrap()));
    // On its way tells nothing; then it is on the telephone.
    for status in ["Buffered", "Success", "Success"] {
        let receipt = [("id", id.as_str()), ("status", status), ("phoneNumber", ME)];
        assert_eq!(gate.node.post("/sms/at/receipt", &receipt).await, (200, String::new()), "{status}");
    }
    until(&gate, OutboxState::Delivered).await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_form_brings_its_text_once() {
    let gate = Gate::open().await;
    let node = &gate.node;
    let kannel = [("from", ME), ("to", "12580"), ("text", "what can I do"), ("id", "k1"), ("charset", "UTF-8"), ("coding", "0")];
    let document = json!({"id": "j1", "from": ME, "to": "12580", "text": "what can I do"});
    for _ in 0..3 {
        assert_eq!(node.get("/sms/kannel", &kannel).await, (200, String::new()), "no word: Kannel would text it");
    }
    assert_eq!(gate.outbox.next().await["to"], ME);
    for _ in 0..3 {
        let request = node.client.post(format!("{}/sms/plain?key=hush+hush", node.url)).json(&document);
        assert_eq!(node.send(request).await, (200, "{}".to_owned()));
    }
    assert_eq!(gate.outbox.next().await["to"], ME);
    assert_eq!(until(&gate, OutboxState::Accepted).await.len(), 2);
    // Receipts of the others: one that will not come, in each provider's words.
    let ids: Vec<String> = rows(&gate).await.into_iter().filter_map(|row| row.message_id).collect();
    for id in &ids {
        let receipt = [("id", id.as_str()), ("status", "2"), ("answer", "NACK/ err:011 text:what")];
        assert_eq!(node.get("/sms/kannel/receipt", &receipt).await, (200, String::new()));
        let told = json!({"id": id, "status": "undelivered", "code": "absent"});
        let request = node.client.post(format!("{}/sms/plain/receipt?key=hush+hush", node.url)).json(&told);
        assert_eq!(node.send(request).await, (200, "{}".to_owned()));
    }
    let rows = until(&gate, OutboxState::Undelivered).await;
    let mut codes: Vec<_> = rows.into_iter().map(|row| (row.route.unwrap(), row.code.unwrap())).collect();
    codes.sort();
    let wanted = [("kannel", "NACK/ err:011"), ("plain", "absent")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(codes, wanted);
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_repeats_a_text_late_is_known_by_its_id() {
    let gate = Gate::open().await;
    // Each answers a question, so an equal text of another id is another answer.
    let text = |id: &'static str, text: &'static str| [("from", ME), ("to", "12580"), ("text", text), ("id", id)];
    assert_eq!(gate.node.post("/sms/at", &text("m1", "nonsense")).await.0, 200);
    let help = gate.outbox.next().await;
    assert!(!help["text"].as_str().unwrap().is_empty());
    assert_eq!(gate.node.post("/sms/at", &text("m1", "nonsense")).await.0, 200);
    assert_eq!(gate.node.post("/sms/at", &text("m2", "nonsense")).await.0, 200);
    gate.outbox.next().await;
    assert!(gate.outbox.is_empty().await, "two texts of two ids, and two helps");
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_number_is_taken_and_not_answered() {
    let gate = Gate::open().await;
    for from in ["KEYTONE", "10086", ""] {
        let text = [("from", from), ("to", "12580"), ("text", "what can I do"), ("id", "m1")];
        let wanted = if from.is_empty() { 400 } else { 200 };
        assert_eq!(gate.node.post("/sms/at", &text).await.0, wanted, "{from}");
    }
    assert!(rows(&gate).await.is_empty());
    gate.close().await;
}
