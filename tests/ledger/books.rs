//! What the writer promises: all or nothing, once, in order, and known.

use std::time::Duration;

use keytone::ledger::chart::{House, customer};
use keytone::ledger::command::{Act, Command, Leg, Refusal as LedgerRefusal};
use keytone::ledger::row::{AccountRow, Id};
use keytone::money::Currency;
use keytone::payment::fold::{Working, fold, keys_of};
use keytone::payment::run::writer::{Error, QUEUE_MAX, Writer};
use keytone::payment::unit::{Op, Refusal, Unit};
use keytone::store::{Stamp, Store};

use super::{Fresh, START, fail, on_all, on_both, start, verify};

fn id(n: u8) -> Id {
    Id([n; 16])
}

fn cny() -> Currency {
    Currency::new("CNY").unwrap()
}

fn accounts() -> (AccountRow, AccountRow) {
    (customer(id(1), cny(), START.0), House::Funding.row(cny(), START.0))
}

fn open() -> Unit {
    let (customer, funding) = accounts();
    Unit { ops: vec![Op::OpenAccount(customer), Op::OpenAccount(funding)] }
}

fn credit(n: u8, amount: i64) -> Unit {
    let (customer, funding) = accounts();
    let legs = vec![Leg::new(funding.id, -amount), Leg::new(customer.id, amount)];
    ledger(Command::new(id(n), None, Act::Transfer { legs }))
}

fn hold(n: u8, amount_minor: i64, expires_at: Option<i64>) -> Unit {
    let act = Act::Hold { account: id(1), amount_minor, currency: cny(), expires_at };
    ledger(Command::new(id(n), None, act))
}

fn ledger(command: Command) -> Unit {
    Unit { ops: vec![Op::Ledger(command)] }
}

const fn refused(refusal: LedgerRefusal) -> Refusal {
    Refusal::Ledger(refusal)
}

async fn the_same_question_gets_the_same_answer_for_ever(fresh: Fresh) {
    let (writer, _, _task) = start(&fresh.store);
    assert!(!writer.commit(open()).await.unwrap().unwrap().repeated);
    assert!(!writer.commit(credit(2, 100)).await.unwrap().unwrap().repeated);
    assert!(writer.commit(credit(2, 100)).await.unwrap().unwrap().repeated);
    assert_eq!(writer.commit(credit(2, 101)).await.unwrap(), Err(refused(LedgerRefusal::IdReused)));
    let poor = LedgerRefusal::Insufficient { available_minor: 100 };
    assert_eq!(writer.commit(hold(3, 500, None)).await.unwrap(), Err(refused(poor)));
    writer.commit(credit(4, 1_000)).await.unwrap().unwrap();
    // There is enough by now, but this question was answered.
    assert_eq!(writer.commit(hold(3, 500, None)).await.unwrap(), Err(refused(poor)));
    assert!(writer.commit(hold(5, 500, None)).await.unwrap().is_ok());
    assert_eq!(fresh.store.account(id(1)).await.unwrap().unwrap().balance_minor, 1_100);
}

async fn a_refused_unit_drops_only_itself(fresh: Fresh) {
    let (writer, _, _task) = start(&fresh.store);
    writer.commit(open()).await.unwrap().unwrap();
    // The first part of the unit is fine, the second is not: nothing of it may stay but the refusal.
    let mut both = credit(2, 100);
    both.ops.extend(hold(3, 101, None).ops);
    let (refusal, neighbour) = tokio::join!(writer.commit(both.clone()), writer.commit(credit(4, 7)));
    let poor = LedgerRefusal::Insufficient { available_minor: 100 };
    assert_eq!(refusal.unwrap(), Err(refused(poor)));
    assert!(neighbour.unwrap().is_ok());
    assert_eq!(fresh.store.account(id(1)).await.unwrap().unwrap().balance_minor, 7);
    assert!(fresh.store.transfer(id(2)).await.unwrap().is_none());
    assert_eq!(fresh.store.transfer(id(3)).await.unwrap().unwrap().outcome, poor.number());
    assert_eq!(writer.commit(both).await.unwrap(), Err(refused(poor)));
    assert!(verify(&fresh.store).await.unwrap().is_sound());
}

async fn holds_count_until_their_time_passes(fresh: Fresh) {
    let (writer, clock, _task) = start(&fresh.store);
    writer.commit(open()).await.unwrap().unwrap();
    writer.commit(credit(2, 100)).await.unwrap().unwrap();
    let soon = START.after(Duration::from_secs(10)).0;
    assert!(writer.commit(hold(3, 80, Some(soon))).await.unwrap().is_ok());
    assert!(writer.commit(hold(4, 15, Some(soon))).await.unwrap().is_ok());
    assert!(
        writer.commit(ledger(Command::new(id(5), None, Act::Keep { hold: id(4) }))).await.unwrap().is_ok()
    );
    clock.advance(Duration::from_secs(9));
    let poor = LedgerRefusal::Insufficient { available_minor: 5 };
    assert_eq!(writer.commit(hold(6, 50, None)).await.unwrap(), Err(refused(poor)));
    let early = writer.commit(ledger(Command::expire(id(3)))).await.unwrap();
    assert_eq!(early, Err(refused(LedgerRefusal::NotDue)));
    clock.advance(Duration::from_secs(1));
    assert_eq!(fresh.store.due_holds(clock.now().0, 9).await.unwrap().len(), 1);
    // Exactly at its time it is free, and the same command that was early is right now.
    assert!(writer.commit(hold(7, 85, None)).await.unwrap().is_ok());
    assert!(writer.commit(ledger(Command::expire(id(3)))).await.unwrap().unwrap().repeated);
    let late = writer.commit(ledger(Command::new(id(8), None, Act::Void { hold: id(3) }))).await.unwrap();
    assert_eq!(late, Err(refused(LedgerRefusal::HoldExpired)));
    // The kept one never expires.
    clock.advance(Duration::from_secs(1_000_000));
    assert!(fresh.store.due_holds(clock.now().0, 9).await.unwrap().is_empty());
    assert!(
        writer.commit(ledger(Command::new(id(9), None, Act::Void { hold: id(4) }))).await.unwrap().is_ok()
    );
    let row = fresh.store.account(id(1)).await.unwrap().unwrap();
    assert_eq!((row.balance_minor, row.held_minor), (100, 85));
    assert!(verify(&fresh.store).await.unwrap().is_sound());
}

async fn units_of_one_batch_see_each_other(fresh: Fresh) {
    let (writer, _, _task) = start(&fresh.store);
    let spend = |n, hold| {
        let (customer, funding) = accounts();
        let legs = vec![Leg::new(customer.id, -60), Leg::new(funding.id, 60)];
        ledger(Command::new(id(n), None, Act::Post { hold, legs }))
    };
    // Polled in this order, so judged in this order, in however many batches.
    let (opened, credited, held, second, posted, again) = tokio::join!(
        writer.commit(open()),
        writer.commit(credit(2, 100)),
        writer.commit(hold(3, 60, None)),
        writer.commit(hold(4, 60, None)),
        writer.commit(spend(5, id(3))),
        writer.commit(spend(6, id(3))),
    );
    assert!(opened.unwrap().is_ok() && credited.unwrap().is_ok() && held.unwrap().is_ok());
    let poor = LedgerRefusal::Insufficient { available_minor: 40 };
    assert_eq!(second.unwrap(), Err(refused(poor)));
    assert!(posted.unwrap().is_ok());
    assert_eq!(again.unwrap(), Err(refused(LedgerRefusal::HoldPosted)));
    assert!(verify(&fresh.store).await.unwrap().is_sound());
}

/// A writer that dies between loading and committing leaves nothing, and its locks are free.
async fn a_batch_that_is_dropped_never_happened(fresh: Fresh) {
    let stamp = Stamp { writer: id(200), batch: 1, at: START.0 };
    let unit = open();
    let mut batch = fresh.store.begin(keys_of(&unit), START.0).await.unwrap();
    let loaded = std::mem::take(&mut batch.loaded);
    let mut work = Working::new(&batch.keys, loaded, START.0).unwrap();
    fold(&mut work, &unit).unwrap().unwrap();
    assert!(!work.into_changes().is_empty());
    drop(batch);
    assert!(fresh.store.account(id(1)).await.unwrap().is_none());
    assert!(!fresh.store.committed(stamp).await.unwrap());
    let (writer, _, _task) = start(&fresh.store);
    assert!(writer.commit(open()).await.unwrap().is_ok());
}

async fn a_commit_whose_answer_was_lost_is_found_by_its_stamp(fresh: Fresh) {
    let unit = open();
    for number in 1..=2 {
        let stamp = Stamp { writer: id(200), batch: number, at: START.0 };
        assert!(!fresh.store.committed(stamp).await.unwrap());
        let mut batch = fresh.store.begin(keys_of(&unit), START.0).await.unwrap();
        let loaded = std::mem::take(&mut batch.loaded);
        let mut work = Working::new(&batch.keys, loaded, START.0).unwrap();
        fold(&mut work, &unit).unwrap().unwrap();
        batch.commit(&work.into_changes(), stamp).await.unwrap();
        assert!(fresh.store.committed(stamp).await.unwrap());
    }
    assert!(!fresh.store.committed(Stamp { writer: id(201), batch: 1, at: 0 }).await.unwrap());
}

async fn stopping_writes_what_is_queued_and_takes_no_more(fresh: Fresh) {
    let (writer, _, task) = start(&fresh.store);
    writer.commit(open()).await.unwrap().unwrap();
    let mut queued = tokio::task::JoinSet::new();
    for n in 2..=100 {
        let (writer, (sent, wait)) = (writer.clone(), tokio::sync::oneshot::channel());
        queued.spawn(async move {
            let mut commit = std::pin::pin!(writer.commit(credit(n, 1)));
            let first = std::future::poll_fn(|cx| std::task::Poll::Ready(commit.as_mut().poll(cx))).await;
            sent.send(()).unwrap();
            match first {
                std::task::Poll::Ready(answer) => answer,
                std::task::Poll::Pending => commit.await,
            }
        });
        wait.await.unwrap();
    }
    writer.stop();
    assert_eq!(writer.commit(credit(101, 1)).await, Err(Error::Stopped));
    for answer in queued.join_all().await {
        assert!(answer.unwrap().is_ok());
    }
    task.await.unwrap();
    assert_eq!(fresh.store.account(id(1)).await.unwrap().unwrap().balance_minor, 99);
}

async fn a_full_queue_says_so(fresh: Fresh) {
    let unit = open();
    // An open batch on the only writing road keeps the task busy.
    let keys = keys_of(&unit);
    let (writer, _, _task) = start(&fresh.store);
    writer.commit(unit).await.unwrap().unwrap();
    let batch = fresh.store.begin(keys, START.0).await.unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    let mut busy = 0;
    // One batch may be in the task's hands beside the full queue.
    for n in 0..=(QUEUE_MAX + 2 * 1024) {
        let writer = writer.clone();
        waiting.spawn(async move { writer.commit(credit(u8::try_from(n % 200).unwrap() + 2, 1)).await });
    }
    tokio::task::yield_now().await;
    while busy == 0 {
        let answer = waiting.join_next().await.unwrap().unwrap();
        assert_eq!(answer, Err(Error::Busy));
        busy += 1;
    }
    batch.rollback().await.unwrap();
    let answers = waiting.join_all().await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Ok(_)) | Err(Error::Busy))));
    assert!(answers.iter().filter(|answer| answer.is_ok()).count() >= QUEUE_MAX);
}

#[test]
fn a_database_that_is_gone_is_not_a_refusal() {
    super::run(async {
        let fresh = super::postgres().await;
        let (writer, _, _task) = start(&fresh.store);
        writer.commit(open()).await.unwrap().unwrap();
        // Every connection is cut, as when the server restarts: the writer connects again by itself.
        let admin = Store::open(&fresh.url).await.unwrap();
        let Store::Postgres(_) = &admin else { panic!("not PostgreSQL") };
        cut(&fresh.url).await;
        assert!(writer.commit(credit(2, 5)).await.unwrap().is_ok());
        fresh.store.close().await;
        assert!(matches!(writer.commit(credit(3, 5)).await, Err(Error::Unavailable(_))));
    });
}

async fn cut(url: &str) {
    use sqlx::{ConnectOptions, Executor};
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let mut conn = options.application_name("cutter").connect().await.unwrap();
    conn.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity \
         where datname = current_database() and application_name = 'keytone'",
    )
    .await
    .unwrap();
}

async fn broken_rows_stop_the_writer_before_it_writes(fresh: Fresh) {
    let (writer, clock, task) = start(&fresh.store);
    writer.commit(open()).await.unwrap().unwrap();
    writer.commit(credit(2, 100)).await.unwrap().unwrap();
    writer.commit(hold(3, 50, None)).await.unwrap().unwrap();
    writer.stop();
    task.await.unwrap();
    super::rows::execute(&fresh.url, "update accounts set held_minor = 10").await;
    let (writer, task) = Writer::start(fresh.store.clone(), clock, fail);
    let void = ledger(Command::new(id(4), None, Act::Void { hold: id(3) }));
    // In the daemon the abort ends the process; here it ends the task.
    assert_eq!(writer.commit(void).await, Err(Error::Stopped));
    assert!(task.await.unwrap_err().is_panic());
    assert!(fresh.store.transfer(id(4)).await.unwrap().is_none());
}

on_all!(
    the_same_question_gets_the_same_answer_for_ever,
    a_refused_unit_drops_only_itself,
    holds_count_until_their_time_passes,
    units_of_one_batch_see_each_other,
    a_batch_that_is_dropped_never_happened,
    a_commit_whose_answer_was_lost_is_found_by_its_stamp,
    stopping_writes_what_is_queued_and_takes_no_more,
    a_full_queue_says_so,
);

mod tampered {
    use super::{broken_rows_stop_the_writer_before_it_writes, on_both};

    on_both!(broken_rows_stop_the_writer_before_it_writes);
}
