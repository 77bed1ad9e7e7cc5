//! Receipts: in time, too early, twice, of nothing, and told by another node.

use std::time::Duration;

use keytone::session::OutboxState;
use keytone::sms::dispatch::{Receipt, Reported, Told};
use keytone::sms::retry::Sent;

use crate::sms::on_both_databases;
use crate::sms::world::{Fake, ME, Node, Push, dispatcher, until};
use crate::support::market::{Database, Market, phone};

fn receipt(id: &str, reported: Reported) -> Receipt {
    let code = Some("000".to_owned());
    Receipt { route: "carrier".into(), message_id: id.into(), reported, code }
}

async fn receipts_find_their_text(database: Database) {
    let market = Market::open(database).await;
    let node = Node::new(market.payments.clone(), market.clock.clone(), "reply", Push::default());
    let fake = Fake::answering([
        Sent::Accepted { id: "a".into() },
        Sent::Accepted { id: "b".into() },
        Sent::Accepted { id: "c".into() },
    ]);
    let (dispatcher, task) = dispatcher(&node, &market.clock, &fake);
    // One that is quicker than the response.
    assert_eq!(dispatcher.receipt(receipt("c", Reported::Delivered)).await.unwrap(), Told::Parked);
    let mut ids = Vec::new();
    for body in ["one", "two", "three"] {
        let row = node.mailbox.compose(&phone(ME), body.to_owned(), None, None);
        ids.push(row.id);
        node.mailbox.queue(row).await.unwrap();
    }
    until(&node.mailbox, ids[2], OutboxState::Delivered).await;
    until(&node.mailbox, ids[1], OutboxState::Accepted).await;
    // A word in between, the last word, and the last word again.
    assert_eq!(dispatcher.receipt(receipt("a", Reported::UnderWay)).await.unwrap(), Told::Nothing);
    assert_eq!(dispatcher.receipt(receipt("a", Reported::Delivered)).await.unwrap(), Told::Settled);
    assert_eq!(dispatcher.receipt(receipt("a", Reported::Delivered)).await.unwrap(), Told::Nothing);
    assert_eq!(dispatcher.receipt(receipt("a", Reported::Undelivered)).await.unwrap(), Told::Nothing);
    assert_eq!(dispatcher.receipt(receipt("b", Reported::Undelivered)).await.unwrap(), Told::Settled);
    let row = until(&node.mailbox, ids[1], OutboxState::Undelivered).await;
    assert_eq!(row.code.as_deref(), Some("000"));
    until(&node.mailbox, ids[0], OutboxState::Delivered).await;
    // Of another route, of nothing.
    let other = Receipt { route: "other".into(), ..receipt("b", Reported::Delivered) };
    assert_eq!(dispatcher.receipt(other).await.unwrap(), Told::Parked);
    assert_eq!(dispatcher.receipt(receipt("", Reported::Delivered)).await.unwrap(), Told::Nothing);
    let figures = dispatcher.figures();
    assert_eq!((figures.receipts, figures.parked, figures.unmatched), (3, 2, 3));
    dispatcher.stop();
    task.await.unwrap();
    node.end().await;
    market.close().await;
}

async fn a_receipt_that_another_node_gets_is_told(database: Database) {
    let market = Market::open(database).await;
    let node = Node::new(market.payments.clone(), market.clock.clone(), "reply", Push::default());
    let other = Node::anew(&market, "reply").await;
    let fake = Fake::answering([Sent::Accepted { id: "x".into() }]);
    let idle = Fake::answering([]);
    *idle.down.lock().unwrap() = true;
    let (elsewhere, task_b) = dispatcher(&other, &market.clock, &idle);
    assert_eq!(elsewhere.receipt(receipt("x", Reported::Delivered)).await.unwrap(), Told::Parked);
    let (dispatcher, task_a) = dispatcher(&node, &market.clock, &fake);
    let row = node.mailbox.compose(&phone(ME), "text".to_owned(), None, None);
    let id = row.id;
    node.mailbox.queue(row).await.unwrap();
    until(&node.mailbox, id, OutboxState::Delivered).await;
    assert_eq!(elsewhere.figures().receipts, 1);
    for (dispatcher, task) in [(dispatcher, task_a), (elsewhere, task_b)] {
        dispatcher.stop();
        tokio::time::timeout(Duration::from_secs(30), task).await.unwrap().unwrap();
    }
    other.end().await;
    node.end().await;
    market.close().await;
}

on_both_databases!(
    receipts: receipts_find_their_text,
    a_receipt_that_another_node_gets_is_told,
);
