//! Many payments against outsides that fail: how many unknowns close without a person, what a carrier's statement finds
//! afterwards, and a database that goes away and comes back in the middle of commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keytone::connector::sandbox;
use keytone::ledger::row::Id;
use keytone::payment::pin::Profile;
use keytone::payment::row::{PaymentRow, State};
use keytone::payment::run::Error;
use keytone::payment::run::reconcile::Compared;
use keytone::payment::statement::{Line, Status};
use keytone::store::PaymentFilter;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor};

use crate::support::market::{Database, Market, Plans};
use crate::support::postgres::plug;

const ME: &str = "+8613800000001";
/// Payments of the long test.
const MANY: usize = 10_000;
/// Times that a statement is cancelled: fewer than it is tried.
const CANCELLED: i64 = 2;
/// Callers at once.
const AT_ONCE: usize = 64;
/// In the time of these tests a carrier settles within this time: it knows for certain after 1.5 s, and is asked for 6 s.
const SETTLE: Duration = Duration::from_secs(30);

fn plans(plans: &mut Plans, faults_per_mille: u64, seed: u64) {
    plans.carrier.faults_per_mille = faults_per_mille;
    plans.carrier.seed = seed;
    plans.carrier.hang = Duration::from_millis(700);
    let settings = &mut plans.settings;
    settings.day_limit_minor = 1_000_000_000;
    settings.pin.tries_max = 1_000_000;
    settings.pin.profile = Profile::Trifling;
    settings.answer_within = Duration::from_millis(50);
}

/// Numbers that ask for no fault of their own.
fn number(n: usize) -> String {
    format!("+86138{:05}{:03}", n / 900, n % 900)
}

/// Pays so many, each asked for again under the same id until there is an answer.
async fn pay(market: &Arc<Market>, account: Id, count: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (market, next) = (Arc::clone(market), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return;
                }
                let request = market.request(account, ME, &number(n), 5_000);
                while let Err(error) = market.payments.pay(request.clone()).await {
                    assert!(!matches!(error, Error::Stopped), "the writer has stopped");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        });
    }
    tasks.join_all().await;
}

/// All payments, once nothing waits but what waits for a person.
async fn settled(market: &Market) -> Vec<PaymentRow> {
    let waiting: Vec<State> =
        State::ALL.iter().copied().filter(|s| s.is_open() && *s != State::NeedsReview).collect();
    let ends = async {
        while !market.store.open_payments(&waiting, 1).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SETTLE, ends).await.expect("everything closes within the carrier's settle time");
    let all = PaymentFilter { limit: 100_000, ..PaymentFilter::default() };
    market.store.payments(&all).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_payments_at_thirty_percent_faults() {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let market = Arc::new(Market::open_with(Database::Sqlite, |p| plans(p, 300, seed)).await);
    let account = market.account(ME, 100_000_000).await;
    let from = market.clock.now().0;
    pay(&market, account, MANY).await;
    let payments = settled(&market).await;
    assert_eq!(payments.len(), MANY);
    let (mut unknown, mut person) = (0, 0);
    for payment in &payments {
        let events = market.store.events(payment.id).await.unwrap();
        unknown += usize::from(events.iter().any(|event| event.state == State::Unknown));
        person += usize::from(payment.state == State::NeedsReview);
    }
    println!("{unknown} were unknown, {person} wait for a person");
    assert!(unknown > MANY / 20, "a dull run: {unknown}");
    assert!(person * 100 <= unknown, "{person} of {unknown} unknowns wait for a person");
    let carried = sandbox::read_log(&market.carrier_log).unwrap();
    let lines: Vec<Line> = (1_i64..)
        .zip(carried.iter().filter(|record| record.state == "delivered"))
        .map(|(number, record)| Line {
            number,
            our_reference: Some(record.reference.clone()),
            carrier_reference: None,
            phone: None,
            amount_minor: 4_850,
            at: None,
            status: Status::Delivered,
        })
        .collect();
    let delivered = payments.iter().filter(|payment| payment.state == State::Delivered).count();
    assert_eq!(lines.len(), delivered);
    let compared = Compared {
        id: Id([5; 16]),
        connector: "sandbox",
        lines: &lines,
        unreadable: &[],
        covers: (from, market.clock.now().0 + 1),
        costs: true,
        drift_us: 0,
    };
    let found = market.payments.compare_statement(&compared).await.unwrap();
    let unmatched: Vec<_> = found.counts.iter().filter(|(name, n)| **name != "matched" && **n > 0).collect();
    assert!(unmatched.is_empty(), "{unmatched:?}");
    assert_eq!(market.money(account).await, (100_000_000 - 5_000 * i64::try_from(delivered).unwrap(), 0));
    Arc::into_inner(market).expect("nobody else has it").close().await;
}

/// The database is cut off in the middle of everything, again and again: commits whose answer is lost, reads that fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_comes_and_goes() {
    let seed = u64::from(std::process::id());
    let market = Arc::new(Market::open_with(Database::Postgres, |p| plans(p, 100, seed)).await);
    let account = market.account(ME, 100_000_000).await;
    let over = tokio_util::sync::CancellationToken::new();
    let cutting = tokio::spawn({
        let (url, over) = (market.url.clone(), over.clone());
        async move {
            let mut cuts = 0;
            while !over.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(300)).await;
                plug(&url, false).await;
                tokio::time::sleep(Duration::from_millis(60)).await;
                plug(&url, true).await;
                cuts += 1;
            }
            cuts
        }
    });
    pay(&market, account, 400).await;
    over.cancel();
    let cuts = cutting.await.unwrap();
    println!("cut {cuts} times");
    assert!(cuts >= 3, "cut {cuts} times");
    let payments = settled(&market).await;
    let carried = sandbox::read_log(&market.carrier_log).unwrap();
    let delivered = payments.iter().filter(|payment| payment.state == State::Delivered).count();
    assert_eq!(carried.iter().filter(|record| record.state == "delivered").count(), delivered);
    assert_eq!(market.money(account).await, (100_000_000 - 5_000 * i64::try_from(delivered).unwrap(), 0));
    Arc::into_inner(market).expect("nobody else has it").close().await;
}

/// Somebody cancels what waits for a lock, or a time-out of the server's does: nothing is broken, and it is tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_cancelled_is_tried_again() {
    let market = Market::open(Database::Postgres).await;
    let account = market.account(ME, 100_000).await;
    let options: PgConnectOptions = market.url.parse().unwrap();
    let mut lock = options.connect().await.unwrap();
    lock.execute("begin; lock table payments in share row exclusive mode").await.unwrap();
    let request = market.request(account, ME, "+8613800000002", 5_000);
    let paying = tokio::spawn({
        let (payments, request) = (market.payments.clone(), request.clone());
        async move { payments.pay(request).await.unwrap() }
    });
    let mut other = options.connect().await.unwrap();
    let cancel = "select count(*) filter (where pg_cancel_backend(pid)) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    let cancelling = async {
        let mut cancelled = 0;
        while cancelled < CANCELLED {
            cancelled += sqlx::query_scalar::<_, i64>(cancel).fetch_one(&mut other).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SETTLE, cancelling).await.expect("the writer waits for the lock");
    lock.execute("rollback").await.unwrap();
    assert_eq!(paying.await.unwrap().name(), "delivered");
    assert_eq!(market.money(account).await, (95_000, 0));
    market.close().await;
}
