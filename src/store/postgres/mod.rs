//! PostgreSQL: one server, any number of nodes. Nodes keep apart by locking account rows in id order; whatever belongs to
//! an account is read after its lock. Plain transactions only, so that servers that speak its protocol can stand in.

mod copy;
mod load;
mod messages;
mod write;

#[allow(clippy::duplicate_mod, reason = "one text for both databases, whose row types differ")]
#[path = "../audit.rs"]
mod audit;
#[allow(clippy::duplicate_mod, reason = "one text for both databases, whose row types differ")]
#[path = "../decode.rs"]
mod decode;
#[allow(clippy::duplicate_mod, reason = "one text for both databases, whose row types differ")]
#[path = "../outbox.rs"]
pub(super) mod outbox;
#[allow(clippy::duplicate_mod, reason = "one text for both databases, whose row types differ")]
#[path = "../periods.rs"]
pub(super) mod periods;
#[allow(clippy::duplicate_mod, reason = "one text for both databases, whose row types differ")]
#[path = "../points.rs"]
mod points;
#[allow(clippy::duplicate_mod, reason = "one text for both databases, whose row types differ")]
#[path = "../reads.rs"]
pub(super) mod reads;
#[allow(clippy::duplicate_mod, reason = "one text for both databases, whose row types differ")]
#[path = "../records.rs"]
pub(super) mod records;
#[allow(clippy::duplicate_mod, reason = "one text for both databases, whose row types differ")]
#[path = "../upkeep.rs"]
pub(super) mod upkeep;

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions, Executor, Transaction};

use crate::ledger::row::{Fact, Id};
use crate::payment::row::PaymentFact;
use crate::store::Stamp;
use crate::store::error::Error;
use crate::store::keys::{Changes, Keys, Loaded};
use crate::store::migrate::{Applied, POSTGRES, migrator, status};

use self::load::Known;
use self::points::Points;

/// What locks the rows that a statement reads.
const LOCK: &str = " for no key update";
/// Whether places for values are numbered.
const NUMBERED: bool = true;
type Db = sqlx::Postgres;
type Pool = sqlx::PgPool;
type Row = sqlx::postgres::PgRow;
type Conn = PgConnection;

/// Whether `for update skip locked` is known.
const SKIPS_LOCKED: bool = true;
/// Batches that are written at once: while one waits for the disk, or this node judges it, the server has another.
pub(super) const LANES: usize = 3;
/// Connections of a node: each lane writes with one and reads with another, the rest read for callers.
const CONNECTIONS: u32 = 12;
/// How long a caller waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server's database.
#[derive(Clone, Debug)]
pub struct Postgres {
    pool: Pool,
    points: Points,
    known: Arc<Mutex<Known>>,
}

/// A batch in progress.
#[derive(Debug)]
pub(in crate::store) struct OpenBatch {
    transaction: Transaction<'static, sqlx::Postgres>,
    known: Arc<Mutex<Known>>,
}

impl Postgres {
    pub(super) async fn open(url: &str) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| Error::Address(error.to_string()))?
            .application_name("keytone")
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            // A lost connection shows itself at its next use, and is then replaced: no question before each one.
            .test_before_acquire(false)
            .after_connect(|conn, _| Box::pin(steady_plans(conn)))
            .connect_with(options)
            .await?;
        Ok(Self { pool, points: Points::default(), known: Arc::default() })
    }

    pub(super) const fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) const fn points(&self) -> &Points {
        &self.points
    }

    /// A connection for the statements of `outbox`.
    pub(super) async fn conn(&self) -> Result<sqlx::pool::PoolConnection<Db>, Error> {
        Ok(self.pool.acquire().await?)
    }

    pub(super) async fn migrate(&self) -> Result<(), Error> {
        let mut conn = self.pool.acquire().await?;
        migrator(POSTGRES).run_direct(None, &mut *conn, false).await.map_err(Into::into)
    }

    pub(super) async fn migrations(&self) -> Result<Vec<Applied>, Error> {
        let mut conn = self.pool.acquire().await?;
        status(&mut *conn, POSTGRES).await
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    pub(super) async fn begin(&self, keys: Keys, at: i64) -> Result<(Keys, Loaded, OpenBatch), Error> {
        // Dropping the transaction on an error rolls it back.
        let mut transaction = self.pool.begin().await?;
        let (keys, loaded) = load::load(&mut transaction, &self.pool, &self.known, keys, at).await?;
        Ok((keys, loaded, OpenBatch { transaction, known: Arc::clone(&self.known) }))
    }

    pub(super) fn accounts_of(&self, keys: &Keys) -> Option<BTreeSet<Id>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).accounts_of(keys)
    }

    pub(super) async fn facts(
        &self,
        books: &mut (dyn FnMut(Fact) + Send),
        payments: &mut (dyn FnMut(PaymentFact) + Send),
    ) -> Result<(), Error> {
        let mut snapshot = self.pool.begin().await?;
        snapshot.execute("set transaction isolation level repeatable read, read only").await?;
        audit::books(&mut snapshot, books).await?;
        audit::payments(&mut snapshot, payments).await?;
        records::audit(&mut snapshot, payments).await?;
        Ok(snapshot.rollback().await?)
    }
}

/// Statements are planned once, often when the tables are new and small: reading whole tables seems cheap then, and is
/// not any more a minute later. A server that does not know these settings plans in its own way.
async fn steady_plans(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    for setting in ["set enable_seqscan = off", "set jit = off"] {
        match conn.execute(setting).await {
            Ok(_) | Err(sqlx::Error::Database(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl OpenBatch {
    pub(super) async fn commit(mut self, changes: &Changes, stamp: Stamp) -> Result<(), Error> {
        write::write(&mut self.transaction, changes, stamp).await?;
        match self.transaction.commit().await.map_err(Error::from) {
            Ok(()) => {
                self.known.lock().unwrap_or_else(PoisonError::into_inner).follow(changes);
                Ok(())
            }
            // The server said no: nothing is written, as after an error of any other statement.
            Err(Error::Conflict(text)) => Err(Error::Conflict(text)),
            Err(error) => Err(Error::Undecided(error.to_string())),
        }
    }

    pub(super) async fn rollback(self) -> Result<(), Error> {
        Ok(self.transaction.rollback().await?)
    }
}
