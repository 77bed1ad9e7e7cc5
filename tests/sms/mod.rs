//! Text messages: threads, duplicates, long texts, help, the outbox and its receipts, over the real payment core on both
//! databases with carriers that do as they are told.

mod long;
mod money;
mod out;
mod receipts;
mod threads;
mod wire;
mod world;

/// Runs each test on SQLite and on PostgreSQL.
macro_rules! on_both_databases {
    ($module:ident: $($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::sms::$module::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::sms::$module::$name(Database::Postgres).await; })*
        }
    };
}
pub(crate) use on_both_databases;
