//! What channels ask of the payment core for messages: names and seals that last, wake-ups, recovery, forgetting.

use std::time::Duration;

use keytone::clock::Clock;
use keytone::clock::Timestamp;
use keytone::ledger::row::Id;
use keytone::payment::answer::Pin;
use keytone::payment::row::{InboxRow, OutboxRow, OutboxState, PartRow};
use keytone::payment::run::Payments;
use keytone::payment::unit::{Op, OutboxSettled, Receive, Refusal};
use keytone::secret::Secret;

use crate::support::market::{Database, Market, phone};

const ME: &str = "+8613800000001";
const HOUR: Duration = Duration::from_secs(3_600);

fn message(market: &Market) -> OutboxRow {
    let now = market.clock.now().0;
    OutboxRow::waiting(market.id(), "sms", ME, "50 → ok".to_owned(), now, 3_600_000_000)
}

fn receive(payments: &Payments, at: i64) -> Op {
    let row = InboxRow {
        key: Id(payments.mac(&[b"acme", ME.as_bytes(), b"RC 50"])),
        route: "acme".to_owned(),
        link: Id([1; 16]),
        caller: ME.to_owned(),
        channel: 3,
        received_at: at,
    };
    Op::Receive(Receive { row, same_since: 0 })
}

async fn state(market: &Market, id: Id) -> OutboxState {
    market.payments.outbox_row(id).await.unwrap().unwrap().state
}

/// Waits for what the schedule does in time.
async fn until(mut done: impl AsyncFnMut() -> bool) {
    let patience = tokio::time::timeout(Duration::from_secs(30), async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    patience.await.expect("the schedule did nothing");
}

async fn nodes_know_the_same_message_and_open_the_same_seals(database: Database) {
    let market = Market::open(database).await;
    let (other, stop) = market.second_node().await;
    let at = market.clock.now().0;
    market.payments.commit_unit(vec![receive(&market.payments, at)]).await.unwrap().unwrap();
    let again = other.commit_unit(vec![receive(&other, at + 1)]).await.unwrap();
    assert!(matches!(again, Err(Refusal::Repeated(row)) if row.received_at == at));
    let text = Id([3; 16]);
    let sealed = market.payments.seal(&text.0, b"RC 50 739154").unwrap();
    let part = PartRow { message: text, number: 1, total: 2, sealed, received_at: at };
    market.payments.commit_unit(vec![Op::Part(part)]).await.unwrap().unwrap();
    let parts = other.parts(text).await.unwrap();
    assert_eq!(other.open(&text.0, &parts[0].sealed).unwrap().as_slice(), b"RC 50 739154");
    assert!(other.open(&[4; 16], &parts[0].sealed).is_none());
    assert_ne!(market.payments.owner(), other.owner());
    stop.cancel();
    market.close().await;
}

async fn a_message_is_claimed_settled_and_told_of(database: Database) {
    let market = Market::open(database).await;
    let payments = &market.payments;
    let row = message(&market);
    payments.commit_unit(vec![Op::Outbox(row.clone())]).await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(20), payments.outbox_wake()).await.unwrap();
    let claimed = payments.outbox_claim(HOUR, 10).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].id, claimed[0].owner), (row.id, Some(payments.owner())));
    let now = market.clock.now().0;
    let accepted = OutboxSettled {
        route: Some("acme".to_owned()),
        message_id: Some("7F".to_owned()),
        ..OutboxSettled::new(row.id, OutboxState::Accepted, now)
    };
    assert!(payments.settle_outbox(accepted).await.unwrap());
    let found = payments.outbox_by_message_id("acme", "7F").await.unwrap().unwrap();
    assert_eq!(found.id, row.id);
    let delivered = OutboxSettled::new(found.id, OutboxState::Delivered, now);
    assert!(payments.settle_outbox(delivered.clone()).await.unwrap());
    assert!(!payments.settle_outbox(delivered).await.unwrap(), "a receipt that comes twice");
    assert!(
        !payments.settle_outbox(OutboxSettled::new(market.id(), OutboxState::Failed, now)).await.unwrap()
    );
    assert_eq!(payments.outbox_counts().await.unwrap()[0].state, OutboxState::Delivered);
    market.close().await;
}

async fn a_start_gives_up_what_the_last_process_had_in_hand(database: Database) {
    let market = Market::open(database).await;
    let (theirs, mine) = (message(&market), message(&market));
    let sending = |row: &OutboxRow, owner| OutboxRow {
        state: OutboxState::Sending,
        owner: Some(owner),
        due_at: row.expires_at,
        ..row.clone()
    };
    let ops =
        vec![Op::Outbox(sending(&theirs, Id([7; 16]))), Op::Outbox(sending(&mine, market.payments.owner()))];
    market.payments.commit_unit(ops).await.unwrap().unwrap();
    market.payments.recover().await.unwrap();
    assert_eq!(state(&market, theirs.id).await, OutboxState::Unknown);
    assert_eq!(state(&market, mine.id).await, OutboxState::Sending);
    market.close().await;
}

async fn the_schedule_gives_up_and_forgets(database: Database) {
    let clock = Clock::manual(Timestamp(1_700_000_000_000_000));
    let market = Market::open_at(clock.clone(), database, |plans| plans.settings.sole_node = false).await;
    let payments = &market.payments;
    let row = message(&market);
    payments.commit_unit(vec![Op::Outbox(row.clone())]).await.unwrap().unwrap();
    assert_eq!(payments.outbox_claim(HOUR / 2, 10).await.unwrap().len(), 1);
    let text = Id([3; 16]);
    let at = clock.now().0;
    let part = PartRow { message: text, number: 1, total: 2, sealed: vec![1], received_at: at };
    payments.commit_unit(vec![Op::Part(part), receive(payments, at)]).await.unwrap().unwrap();
    payments.recover().await.unwrap();
    assert_eq!(state(&market, row.id).await, OutboxState::Sending, "other nodes may live");
    clock.advance(HOUR / 2);
    until(async || state(&market, row.id).await == OutboxState::Unknown).await;
    assert_eq!(payments.parts(text).await.unwrap().len(), 1);
    clock.advance(HOUR);
    until(async || payments.parts(text).await.unwrap().is_empty()).await;
    assert!(payments.commit_unit(vec![receive(payments, clock.now().0)]).await.unwrap().is_err());
    clock.advance(23 * HOUR);
    until(async || payments.commit_unit(vec![receive(payments, clock.now().0)]).await.unwrap().is_ok()).await;
    market.close().await;
}

async fn a_payment_that_never_began_is_known(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    let never = market.id();
    assert!(!market.payments.begun(never).await.unwrap());
    assert!(market.payments.outcome_of(never).await.unwrap().is_none());
    let mut refused = market.request(account, ME, ME, 5_000);
    refused.pin = Pin::Typed(Secret::from("000111"));
    let id = refused.id;
    market.payments.pay(refused).await.unwrap();
    assert!(!market.payments.begun(id).await.unwrap(), "a wrong PIN begins nothing");
    let paid = market.request(account, ME, ME, 5_000);
    let id = paid.id;
    market.payments.pay(paid).await.unwrap();
    assert!(market.payments.begun(id).await.unwrap());
    assert!(market.payments.outcome_of(id).await.unwrap().is_some());
    market.close().await;
}

async fn the_result_of_a_payment_is_queued_whole(database: Database) {
    let market = Market::open_with(database, |plans| plans.settings.sms_validity = HOUR).await;
    market.payments.queue_sms(None, &phone(ME), "hello".to_owned()).await.unwrap();
    let claimed = market.payments.outbox_claim(HOUR, 10).await.unwrap();
    assert_eq!(claimed.len(), 1);
    let row = &claimed[0];
    assert_eq!((row.kind.as_str(), row.recipient.as_str(), row.body.as_str()), ("sms", ME, "hello"));
    assert_eq!(row.expires_at - row.created_at, 3_600_000_000);
    market.close().await;
}

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::messages::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::messages::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(
    nodes_know_the_same_message_and_open_the_same_seals,
    a_message_is_claimed_settled_and_told_of,
    a_start_gives_up_what_the_last_process_had_in_hand,
    the_schedule_gives_up_and_forgets,
    a_payment_that_never_began_is_known,
    the_result_of_a_payment_is_queued_whole,
);
