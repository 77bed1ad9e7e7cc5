//! Money by text message: the PIN by reply and by push, restarts while it moves, and nothing of a PIN left behind.

use std::sync::Arc;
use std::time::Duration;

use keytone::dialplan::event::Channel;
use keytone::session::{Then, Turn};
use keytone::sms::received::Taken;

use crate::sms::on_both_databases;
use crate::sms::world::{ME, Node, PATIENCE, Push, text_of};
use crate::support::market::{Database, Market, PIN};

async fn opened(database: Database, policy: &str, push: Push) -> (Market, Node) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let node = Node::new(market.payments.clone(), market.clock.clone(), policy, push);
    (market, node)
}

async fn a_command_pays_with_a_pin_by_reply(database: Database) {
    let (market, node) = opened(database, "reply", Push::default()).await;
    assert_eq!(node.texted("rc 50").await, Taken::Handled);
    assert!(node.answer(1).await.contains("reply with your PIN"));
    assert_eq!(node.texted(PIN).await, Taken::Handled);
    let answer = node.answer(2).await;
    assert!(answer.contains("50") && !answer.contains(PIN), "{answer}");
    assert_eq!(market.carrier(ME).len(), 1);
    assert!(node.mailbox.conversations("", 10).await.unwrap().is_empty(), "the thread is over");
    for row in node.outbox().await {
        assert!(!row.body.contains(PIN));
    }
    // The same reply again is no command and no answer.
    assert_eq!(node.texted(PIN).await, Taken::Duplicate);
    assert_eq!(node.said().await.len(), 2);
    node.end().await;
    let url = market.url.clone();
    let (store, dir) = market.end().await;
    if let Some(file) = url.strip_prefix("sqlite:") {
        for suffix in ["", "-wal"] {
            let bytes = std::fs::read(format!("{file}{suffix}")).unwrap_or_default();
            assert!(!bytes.windows(PIN.len()).any(|window| window == PIN.as_bytes()), "a PIN in {suffix}");
        }
    }
    store.close().await;
    drop(dir);
}

async fn a_stranger_who_forges_the_number_has_no_part_in_the_thread(database: Database) {
    let (market, node) = opened(database, "reply", Push::default()).await;
    node.texted("RC 50").await;
    assert!(node.answer(1).await.contains("reply with your PIN"));
    // Not even with the right PIN, and as wrong ones they are no tries of the caller's.
    for forged in ["111221", "111222", "111223", "111224", "111225", PIN] {
        let mut received = text_of(forged);
        (received.route, received.trusted) = ("stranger".into(), false);
        let _ = node.desk.receive(received).await;
    }
    assert!(market.carrier(ME).is_empty());
    assert_eq!(node.mailbox.conversations("sms/", 10).await.unwrap().len(), 1);
    assert_eq!(node.texted(PIN).await, Taken::Handled);
    let waited = tokio::time::timeout(PATIENCE, async {
        while !node.said().await.iter().any(|text| text.contains("was recharged")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "{:?}", node.said().await);
    assert_eq!(market.carrier(ME).len(), 1);
    node.end().await;
    market.close().await;
}

async fn a_command_pays_with_a_pin_by_push(database: Database) {
    let (market, node) = opened(database, "callback", Push::default()).await;
    node.texted("RC 50").await;
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(session) = node.push.reached.lock().unwrap().pop() {
                return session;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut session = waited.await.unwrap();
    let turn = session.reached(Some(Channel::Ussd)).await.unwrap();
    let Turn { then: Then::Collect(question), .. } = turn else { panic!("{turn:?}") };
    assert!(question.is_secret());
    // Texts meanwhile do not disturb; a command takes the thread over.
    assert_eq!(node.texted("hello?").await, Taken::Handled);
    let turn = session.answer(question.replied(PIN)).await.unwrap();
    let Then::Perform(task) = turn.then else { panic!("{:?}", turn.then) };
    let performed = session.perform(task).await;
    let turn = session.resume(performed).await.unwrap();
    // Whether there is a code to be told.
    let Then::Perform(task) = turn.then else { panic!("{:?}", turn.then) };
    let performed = session.perform(task).await;
    let turn = session.resume(performed).await.unwrap();
    assert!(matches!(turn.then, Then::End));
    assert_eq!(market.carrier(ME).len(), 1);
    node.end().await;
    market.close().await;
}

async fn who_cannot_be_reached_is_told_so(database: Database) {
    let push = Push { unreachable: true, ..Push::default() };
    let (market, node) = opened(database, "callback", push).await;
    node.texted("RC 50").await;
    let mut said = node.said().await;
    let waited = tokio::time::timeout(PATIENCE, async {
        while !said.iter().any(|text| text.contains("could not reach you")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            said = node.said().await;
        }
    });
    assert!(waited.await.is_ok(), "{:?}", node.said().await);
    assert!(market.carrier(ME).is_empty());
    assert!(node.mailbox.conversations("", 10).await.unwrap().is_empty());
    node.end().await;
    market.close().await;
}

async fn a_payment_that_a_dead_process_left_is_told(database: Database) {
    let (market, node) = opened(database, "reply", Push::default()).await;
    node.texted("RC 50").await;
    assert_eq!(node.texted(PIN).await, Taken::Handled);
    node.answer(2).await;
    node.end().await;
    // Now one that dies with the money moving: its session is saved, its payment was never begun.
    market.clock.advance(Duration::from_secs(61));
    let node = Node::anew(&market, "reply").await;
    let mut again = text_of("RC 100");
    again.identity = vec![1];
    assert_eq!(node.take(again).await, Taken::Handled);
    let rows = node.mailbox.conversations("sms/", 10).await.unwrap();
    assert_eq!(rows.len(), 1);
    let registry_row = rows[0].clone();
    let dead = Node::anew(&market, "reply").await;
    dead.abandon(registry_row, PIN).await;
    let said = node.said().await.len();
    let fresh = Arc::new(Node::anew(&market, "reply").await);
    assert_eq!(fresh.desk.recover().await.unwrap(), 1);
    let told = fresh.answer(said + 1).await;
    assert!(told.contains("Something went wrong"), "{told}");
    assert_eq!(market.carrier(ME).len(), 1, "it was never begun, and never will be");
    // It is forgotten when it is told, by a commit of its own.
    let forgotten = tokio::time::timeout(PATIENCE, async {
        while !fresh.mailbox.conversations("", 10).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(forgotten.await.is_ok());
    market.close().await;
}

on_both_databases!(
    money: a_command_pays_with_a_pin_by_reply,
    a_stranger_who_forges_the_number_has_no_part_in_the_thread,
    a_command_pays_with_a_pin_by_push,
    who_cannot_be_reached_is_told_so,
    a_payment_that_a_dead_process_left_is_told,
);
