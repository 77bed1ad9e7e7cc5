//! An operator's first day and the days after it, on both databases: files taken in, what is shut and what callers are told
//! of it, tiers, restored and erased data.

mod files;
mod restore;
mod shut;
mod testers;

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(Database::Postgres).await; })*
        }
    };
}
use on_both_databases;
