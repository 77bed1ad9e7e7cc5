//! The outbox: what leaves, in which order, what is tried again and what never.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keytone::session::{Id, OutboxRow, OutboxState};
use keytone::sms::carry::{Carry, Outgoing, Readiness, Sending};
use keytone::sms::retry::{Retry, Sent};
use keytone::sms::route::Route;

use crate::sms::on_both_databases;
use crate::sms::world::{Fake, ME, Node, PATIENCE, Push, US, dispatcher, dispatcher_with, until};
use crate::support::market::{Database, Market, phone};

async fn opened(database: Database) -> (Market, Node) {
    let market = Market::open(database).await;
    let node = Node::new(market.payments.clone(), market.clock.clone(), "reply", Push::default());
    (market, node)
}

async fn queue(node: &Node, to: &str, body: &str) -> Id {
    let row = node.mailbox.compose(&phone(to), body.to_owned(), None, None);
    let id = row.id;
    node.mailbox.queue(row).await.unwrap();
    id
}

fn refused(retry: bool) -> Sent {
    Sent::Refused { code: "ESME_RSYSERR".into(), retry }
}

async fn texts_leave_once_and_in_order(database: Database) {
    let (market, node) = opened(database).await;
    let fake = Fake::answering([]);
    let (dispatcher, task) = dispatcher(&node, &market.clock, &fake);
    let mut ids = Vec::new();
    for n in 0..200 {
        ids.push(queue(&node, &format!("+861380000000{}", n % 3), &format!("text {n:03}")).await);
    }
    for id in &ids {
        let row = until(&node.mailbox, *id, OutboxState::Accepted).await;
        assert_eq!((row.attempts, row.segments, row.route.as_deref()), (1, 1, Some("carrier")));
        assert!(row.message_id.is_some() && row.owner.is_none());
    }
    let given = fake.given.lock().unwrap().clone();
    assert_eq!(given.len(), 200);
    for number in ["+8613800000000", "+8613800000001", "+8613800000002"] {
        let to: Vec<String> =
            given.iter().filter(|t| t.recipient == phone(number)).map(|t| t.text.to_string()).collect();
        assert!(to.is_sorted(), "{to:?}");
    }
    assert_eq!(dispatcher.figures().accepted, 200);
    dispatcher.stop();
    task.await.unwrap();
    node.end().await;
    market.close().await;
}

async fn answers_of_a_carrier_are_followed(database: Database) {
    let (market, node) = opened(database).await;
    let fake = Fake::answering([refused(false), Sent::Unknown, refused(true), Sent::NotSent]);
    let retry = Retry { first: Duration::from_millis(50), ..Retry::default() };
    let route = Route { retry, ..Route::new("carrier", US) };
    let (dispatcher, task) = dispatcher_with(&node, &market.clock, vec![(route, Arc::clone(&fake))]);
    let failed = queue(&node, ME, "one").await;
    let row = until(&node.mailbox, failed, OutboxState::Failed).await;
    assert_eq!((row.code.as_deref(), row.attempts), (Some("ESME_RSYSERR"), 1));
    let unknown = queue(&node, ME, "two").await;
    until(&node.mailbox, unknown, OutboxState::Unknown).await;
    let again = queue(&node, ME, "three").await;
    let row = until(&node.mailbox, again, OutboxState::Accepted).await;
    assert_eq!(row.attempts, 2, "what was not sent is no try");
    assert_eq!(fake.bodies(), ["one", "two", "three", "three", "three"]);
    // A late answer.
    assert!(dispatcher.answered_late(unknown, Some("late".into())).await.unwrap());
    let row = until(&node.mailbox, unknown, OutboxState::Accepted).await;
    assert_eq!(row.message_id.as_deref(), Some("late"));
    assert!(!dispatcher.answered_late(failed, None).await.unwrap(), "what has failed stays so");
    dispatcher.stop();
    task.await.unwrap();
    node.end().await;
    market.close().await;
}

/// A carrier whose code breaks once: when it is asked whether it is ready, or when it is given a text.
struct Broken {
    inner: Arc<Fake>,
    asked: AtomicBool,
    given: AtomicBool,
}

impl Carry for Broken {
    fn readiness(&self) -> Readiness {
        assert!(!self.asked.swap(false, Ordering::Relaxed), "a fault in a carrier's readiness");
        self.inner.readiness()
    }

    fn segments(&self, text: &str) -> u16 {
        self.inner.segments(text)
    }

    fn send(&self, text: Outgoing) -> Sending {
        if self.given.swap(false, Ordering::Relaxed) {
            return Box::pin(async { panic!("a fault in a carrier") });
        }
        self.inner.send(text)
    }
}

async fn a_carrier_that_breaks_costs_its_own_text(database: Database) {
    let (market, node) = opened(database).await;
    let (asked, given) = (AtomicBool::new(false), AtomicBool::new(true));
    let carrier = Arc::new(Broken { inner: Fake::answering([]), asked, given });
    let (dispatcher, task) =
        dispatcher_with(&node, &market.clock, vec![(Route::new("carrier", US), Arc::clone(&carrier))]);
    let broken = queue(&node, ME, "one").await;
    let next = queue(&node, "+8613800000002", "two").await;
    until(&node.mailbox, next, OutboxState::Accepted).await;
    // It may have left: it is not sent again.
    until(&node.mailbox, broken, OutboxState::Unknown).await;
    assert_eq!(carrier.inner.bodies(), ["two"]);
    dispatcher.stop();
    task.await.unwrap();
    node.end().await;
    market.close().await;
}

async fn a_dispatcher_that_breaks_begins_anew(database: Database) {
    let (market, node) = opened(database).await;
    let (asked, given) = (AtomicBool::new(true), AtomicBool::new(false));
    let carrier = Arc::new(Broken { inner: Fake::answering([]), asked, given });
    let text = queue(&node, ME, "one").await;
    let (dispatcher, task) =
        dispatcher_with(&node, &market.clock, vec![(Route::new("carrier", US), Arc::clone(&carrier))]);
    until(&node.mailbox, text, OutboxState::Accepted).await;
    assert!(!carrier.asked.load(Ordering::Relaxed), "it was asked, and broke");
    assert_eq!(carrier.inner.bodies(), ["one"]);
    dispatcher.stop();
    task.await.unwrap();
    node.end().await;
    market.close().await;
}

async fn a_throttled_route_waits_and_loses_nothing(database: Database) {
    let (market, node) = opened(database).await;
    let throttled = || Sent::Throttled { code: "ESME_RTHROTTLED".into() };
    let fake = Fake::answering((0..10).map(|_| throttled()));
    let (dispatcher, task) = dispatcher(&node, &market.clock, &fake);
    let mut ids = Vec::new();
    for n in 0..30 {
        ids.push(queue(&node, &format!("+86138000001{n:02}"), "text").await);
    }
    for id in ids {
        let row = until(&node.mailbox, id, OutboxState::Accepted).await;
        assert_eq!(row.attempts, 1, "throttling is no try");
    }
    assert_eq!(fake.bodies().len(), 40);
    dispatcher.stop();
    task.await.unwrap();
    node.end().await;
    market.close().await;
}

async fn what_a_dead_process_had_in_hand_is_unknown(database: Database) {
    let (market, node) = opened(database).await;
    let fake = Fake::answering([]);
    *fake.silent.lock().unwrap() = true;
    let (_dispatcher, task) = dispatcher(&node, &market.clock, &fake);
    let lost = queue(&node, ME, "lost").await;
    until(&node.mailbox, lost, OutboxState::Sending).await;
    let waited = tokio::time::timeout(PATIENCE, async {
        while fake.bodies().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap();
    task.abort();
    // It starts anew: the text may have left, so it is not sent again.
    let fresh = Node::anew(&market, "reply").await;
    fresh.payments.recover().await.unwrap();
    until(&fresh.mailbox, lost, OutboxState::Unknown).await;
    let other = Fake::answering([]);
    let (dispatcher, task) = dispatcher(&fresh, &market.clock, &other);
    let next = queue(&fresh, ME, "next").await;
    until(&fresh.mailbox, next, OutboxState::Accepted).await;
    assert_eq!(other.bodies(), ["next"]);
    dispatcher.stop();
    task.await.unwrap();
    fresh.end().await;
    node.end().await;
    market.close().await;
}

async fn tries_are_counted_through_restarts(database: Database) {
    let (market, node) = opened(database).await;
    let retry = Retry { tries_max: 3, first: Duration::from_millis(400), ..Retry::default() };
    let id = queue(&node, ME, "text").await;
    for tries in 1..=3 {
        let fake = Fake::answering([refused(true)]);
        let route = Route { retry, ..Route::new("carrier", US) };
        let (dispatcher, task) = dispatcher_with(&node, &market.clock, vec![(route, Arc::clone(&fake))]);
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let row = node.mailbox.row(id).await.unwrap().unwrap();
                if row.attempts == tries && row.state != OutboxState::Sending {
                    return row;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let row = waited.await.unwrap();
        let state = if tries == 3 { OutboxState::Failed } else { OutboxState::Waiting };
        assert_eq!(row.state, state, "{row:?}");
        dispatcher.stop();
        task.await.unwrap();
    }
    node.end().await;
    market.close().await;
}

async fn a_stop_gives_back_and_two_nodes_share(database: Database) {
    let (market, node) = opened(database).await;
    let down = Fake::answering([]);
    *down.down.lock().unwrap() = true;
    let (stopped, task) = dispatcher(&node, &market.clock, &down);
    let mut ids = Vec::new();
    for n in 0..100 {
        ids.push(queue(&node, &format!("+86138000002{n:02}"), &format!("text {n}")).await);
    }
    stopped.stop();
    task.await.unwrap();
    let second = Node::anew(&market, "reply").await;
    let fakes = [Fake::answering([]), Fake::answering([])];
    let (a, task_a) = dispatcher(&node, &market.clock, &fakes[0]);
    let (b, task_b) = dispatcher(&second, &market.clock, &fakes[1]);
    for id in &ids {
        until(&node.mailbox, *id, OutboxState::Accepted).await;
    }
    let mut all: Vec<String> = fakes.iter().flat_map(|fake| fake.bodies()).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 100);
    assert_eq!(fakes.iter().map(|fake| fake.bodies().len()).sum::<usize>(), 100, "each is sent once");
    for (dispatcher, task) in [(a, task_a), (b, task_b)] {
        dispatcher.stop();
        task.await.unwrap();
    }
    second.end().await;
    node.end().await;
    market.close().await;
}

async fn what_is_too_old_is_not_sent(database: Database) {
    let (market, node) = opened(database).await;
    let row = node.mailbox.compose(&phone(ME), "old".to_owned(), None, None);
    let old = OutboxRow { expires_at: row.created_at + 1, ..row };
    let id = old.id;
    node.mailbox.queue(old).await.unwrap();
    let fake = Fake::answering([]);
    let (dispatcher, task) = dispatcher(&node, &market.clock, &fake);
    let row = until(&node.mailbox, id, OutboxState::Failed).await;
    assert_eq!(row.code.as_deref(), Some("expired"));
    assert!(fake.bodies().is_empty());
    dispatcher.stop();
    task.await.unwrap();
    node.end().await;
    market.close().await;
}

on_both_databases!(
    out: texts_leave_once_and_in_order,
    answers_of_a_carrier_are_followed,
    a_carrier_that_breaks_costs_its_own_text,
    a_dispatcher_that_breaks_begins_anew,
    a_throttled_route_waits_and_loses_nothing,
    what_a_dead_process_had_in_hand_is_unknown,
    tries_are_counted_through_restarts,
    a_stop_gives_back_and_two_nodes_share,
    what_is_too_old_is_not_sent,
);
