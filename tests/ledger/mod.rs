//! The ledger and its store: one suite, run on SQLite, on PostgreSQL and in memory.

mod audit;
mod books;
mod chance;
mod history;
mod messages;
mod model;
mod records;
mod rows;
mod same;

use std::time::Duration;

use keytone::clock::{Clock, Timestamp};
use keytone::ledger::verify::{Report, Verifier};
use keytone::payment::run::writer::Writer;
use keytone::store::{Error, Store};
use tokio::task::JoinHandle;

use crate::support::postgres;

/// Where test time begins.
const START: Timestamp = Timestamp(1_700_000_000_000_000);

/// An empty database with its tables.
struct Fresh {
    store: Store,
    url: String,
    _dir: Option<tempfile::TempDir>,
}

impl Fresh {
    /// What another node has in its hands.
    async fn again(&self) -> Store {
        match &self.store {
            Store::Memory(_) => self.store.clone(),
            Store::Sqlite(_) | Store::Postgres(_) => Store::open(&self.url).await.unwrap(),
        }
    }
}

async fn sqlite() -> Fresh {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("keytone.db").display());
    let store = Store::open(&url).await.unwrap();
    store.migrate().await.unwrap();
    Fresh { store, url, _dir: Some(dir) }
}

async fn postgres() -> Fresh {
    let url = postgres::database_url().await;
    let store = Store::open(&url).await.unwrap();
    store.migrate().await.unwrap();
    Fresh { store, url, _dir: None }
}

/// What cannot be told to a database in memory by its address is tested on the others alone.
fn memory() -> Fresh {
    Fresh { store: Store::memory(), url: String::new(), _dir: None }
}

fn fail(why: &str) -> ! {
    panic!("the writer stopped the process: {why}")
}

fn start(store: &Store) -> (Writer, Clock, JoinHandle<()>) {
    let clock = Clock::manual(START);
    let (writer, task) = Writer::start(store.clone(), clock.clone(), fail);
    (writer, clock, task)
}

/// Proves the ledger alone: commands are given to it here that belong to no payment.
async fn verify(store: &Store) -> Result<Report, Error> {
    let mut books = Verifier::default();
    store.facts(&mut |fact| books.see(fact), &mut drop).await?;
    Ok(books.finish())
}

/// Runs a future to its end, or fails when it hangs.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(120), future).await.expect("the test hangs")
    })
}

/// The same test on both databases.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[test]
            fn $name() {
                crate::ledger::run(async { super::$name(crate::ledger::sqlite().await).await });
            })*
        }
        mod on_postgres {
            $(#[test]
            fn $name() {
                crate::ledger::run(async { super::$name(crate::ledger::postgres().await).await });
            })*
        }
    };
}

/// The same test on both databases and in memory.
macro_rules! on_all {
    ($($name:ident),* $(,)?) => {
        crate::ledger::on_both!($($name),*);
        mod in_memory {
            $(#[test]
            fn $name() {
                crate::ledger::run(async { super::$name(crate::ledger::memory()).await });
            })*
        }
    };
}
use {on_all, on_both};
