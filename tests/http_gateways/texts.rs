//! Texts and receipts from each provider: acknowledged when committed, known when they come again.

use std::time::Duration;

use keytone::clock::{Clock, Timestamp};
use keytone::session::mailbox::{Mailbox, OutboxFilter};
use keytone::session::{OutboxRow, OutboxState};
use serde_json::json;

use crate::http_gateways::{Gate, ME, PATIENCE};

async fn rows(gate: &Gate) -> Vec<OutboxRow> {
    let mailbox = Mailbox::new(gate.market.payments.clone(), gate.market.clock.clone());
    mailbox.list(&OutboxFilter { limit: 100, ..OutboxFilter::default() }).await.unwrap()
}

/// Waits until there are so many texts that went out, all in this state. One that is just changing its state is in none.
async fn until(gate: &Gate, count: usize, state: OutboxState) -> Vec<OutboxRow> {
    let all = tokio::time::timeout(PATIENCE, async {
        loop {
            let rows = rows(gate).await;
            if rows.len() == count && rows.iter().all(|row| row.state == state) {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    });
    match all.await {
        Ok(rows) => rows,
        Err(_) => {
            panic!("not {state:?}: {:?}", rows(gate).await.iter().map(|row| row.state).collect::<Vec<_>>())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_answered_by_the_route_that_brought_it() {
    let gate = Gate::open().await;
    let at = [
        ("from", ME),
        ("to", "12580"),
        ("text", "what can I do"),
        ("date", "x"),
        ("id", "m1"),
        ("linkId", ""),
    ];
    assert_eq!(gate.node.post("/sms/at", &at).await, (200, String::new()));
    let reply = gate.outbox.next().await;
    assert_eq!((reply["from"].as_str(), reply["to"].as_str()), (Some("12580"), Some(ME)), "{reply}");
    let rows = until(&gate, 1, OutboxState::Accepted).await;
    assert_eq!(rows[0].route.as_deref(), Some("at"));
    let id = rows[0].message_id.clone().unwrap();
    assert_eq!(id, format!("p-{}", reply["id"].as_str().unwrap()));
    // On its way tells nothing; then it is on the telephone.
    for status in ["Buffered", "Success", "Success"] {
        let receipt = [("id", id.as_str()), ("status", status), ("phoneNumber", ME)];
        assert_eq!(gate.node.post("/sms/at/receipt", &receipt).await, (200, String::new()), "{status}");
    }
    until(&gate, 1, OutboxState::Delivered).await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_form_brings_its_text_once() {
    let gate = Gate::open().await;
    let node = &gate.node;
    let kannel = [
        ("from", ME),
        ("to", "12580"),
        ("text", "what can I do"),
        ("id", "k1"),
        ("charset", "UTF-8"),
        ("coding", "0"),
    ];
    let document = json!({"id": "j1", "from": ME, "to": "12580", "text": "充值"});
    for _ in 0..2 {
        assert_eq!(
            node.get("/sms/kannel", &kannel).await,
            (200, String::new()),
            "no word: Kannel would text it"
        );
    }
    assert_eq!(gate.outbox.next().await["to"], ME);
    for _ in 0..3 {
        let request = node.client.post(format!("{}/sms/plain?key=hush+hush", node.url)).json(&document);
        assert_eq!(node.send(request).await, (200, "{}".to_owned()));
    }
    assert_eq!(gate.outbox.next().await["to"], ME);
    let sent = until(&gate, 2, OutboxState::Accepted).await;
    // Receipts of the others: one that will not come, in each provider's words.
    let ids: Vec<String> = sent.into_iter().filter_map(|row| row.message_id).collect();
    for id in &ids {
        let receipt = [("id", id.as_str()), ("status", "2"), ("answer", "NACK/ err:011 text:what")];
        assert_eq!(node.get("/sms/kannel/receipt", &receipt).await, (200, String::new()));
        let told = json!({"id": id, "status": "undelivered", "code": "absent"});
        let request = node.client.post(format!("{}/sms/plain/receipt?key=hush+hush", node.url)).json(&told);
        assert_eq!(node.send(request).await, (200, "{}".to_owned()));
    }
    let rows = until(&gate, 2, OutboxState::Undelivered).await;
    let mut codes: Vec<_> = rows.into_iter().map(|row| (row.route.unwrap(), row.code.unwrap())).collect();
    codes.sort();
    let wanted =
        [("kannel", "NACK/ err:011"), ("plain", "absent")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(codes, wanted);
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_comes_again_late_is_known_by_its_id() {
    let clock = Clock::manual(Timestamp(1_800_000_000_000_000));
    let gate = Gate::open_at(clock.clone()).await;
    let send = async |id: &str, text: &str| {
        let text = [("from", ME), ("to", "12580"), ("text", text), ("id", id)];
        assert_eq!(gate.node.post("/sms/at", &text).await.0, 200);
    };
    send("m1", "RC 70").await;
    let asked = gate.outbox.next().await;
    assert!(asked["text"].as_str().unwrap().contains("50"), "which amounts there are: {asked}");
    // An answer that does not fit is asked for again.
    send("m2", "70").await;
    gate.outbox.next().await;
    // Twilio tries again after 15 seconds, others after minutes. The thread still waits for an answer.
    clock.advance(Duration::from_secs(120));
    send("m2", "70").await;
    send("m1", "RC 70").await;
    // The same words under another id are another answer.
    send("m3", "70").await;
    gate.outbox.next().await;
    // One reply to each of three texts.
    until(&gate, 3, OutboxState::Accepted).await;
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
