//! SQLite: a file beside the daemon. One connection writes, a few read; WAL, and every commit is on the disk before it
//! is answered.

mod load;
mod seen;
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

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Executor};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::ledger::row::Fact;
use crate::payment::row::PaymentFact;
use crate::store::Stamp;
use crate::store::error::Error;
use crate::store::keys::{Changes, Keys, Loaded};
use crate::store::migrate::{Applied, SQLITE, migrator, status};

use self::points::Points;
use self::seen::Seen;

/// What SQLite says to a rollback when it has rolled back by itself.
const NO_TRANSACTION: &str = "no transaction is active";
/// What locks the rows that a statement reads.
const LOCK: &str = "";
/// Whether places for values are numbered: SQLite looks such names up one by one, `?` has none, and a long list stays cheap.
const NUMBERED: bool = false;
type Db = sqlx::Sqlite;
type Pool = sqlx::SqlitePool;
type Row = sqlx::sqlite::SqliteRow;
type Conn = SqliteConnection;

/// Whether `for update skip locked` is known.
const SKIPS_LOCKED: bool = false;
/// How long a write waits for another process (a command on the same file) before it gives up.
const BUSY: Duration = Duration::from_secs(5);
/// Connections that read.
const READERS: u32 = 4;
/// Pages of WAL after which its content is moved into the file: 256 MiB, so that batches seldom pay for it, and a page that many
/// batches changed is moved once.
const CHECKPOINT_PAGES: &str = "65536";
/// Prepared statements kept by the writing connection: each shape of a batch in each of its sizes.
const STATEMENTS: usize = 512;
/// Rows of a statement that are read before anybody asks for them.
const ROWS_AHEAD: usize = 1_024;

/// An open file.
#[derive(Clone, Debug)]
pub struct Sqlite {
    writer: Arc<Mutex<Writing>>,
    readers: Pool,
    updater: Pool,
    points: Points,
}

/// The connection that writes.
#[derive(Debug)]
pub(super) struct Writing {
    conn: SqliteConnection,
    /// A batch was begun and not ended: its owner is gone.
    open: bool,
    /// Statement texts by their beginning and number of rows.
    texts: HashMap<(&'static str, usize), Arc<str>>,
    seen: Seen,
}

/// A batch in progress.
#[derive(Debug)]
pub(in crate::store) struct OpenBatch {
    writing: OwnedMutexGuard<Writing>,
}

impl Sqlite {
    pub(super) async fn open(url: &str) -> Result<Self, Error> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|error| Error::Address(error.to_string()))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Money: a commit that was answered survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .pragma("cache_size", "-65536")
            // What a statement keeps in case it fails half-way needs no file: it is worth nothing after a crash.
            .pragma("temp_store", "memory")
            // The connection's thread and the one who asked are woken once, not for every few rows.
            .row_buffer_size(ROWS_AHEAD)
            .disable_statement_logging();
        let writer = options.clone().statement_cache_capacity(STATEMENTS);
        let conn = writer.connect().await?;
        let writing = Writing { conn, open: false, texts: HashMap::new(), seen: Seen::default() };
        let pool =
            |connections| SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false);
        Ok(Self {
            writer: Arc::new(Mutex::new(writing)),
            readers: pool(READERS).connect_lazy_with(options.clone().pragma("query_only", "on")),
            updater: pool(1).connect_lazy_with(options),
            points: Points::default(),
        })
    }

    pub(super) const fn readers(&self) -> &Pool {
        &self.readers
    }

    pub(super) const fn points(&self) -> &Points {
        &self.points
    }

    pub(super) const fn updater(&self) -> &Pool {
        &self.updater
    }

    /// The writing connection between two batches, for the statements of `outbox`: they come at the rate of batches, and
    /// here they take turns with them. On a connection of their own they would poll for the file's lock, and each would
    /// make the writer read its accounts anew ([`seen`]).
    pub(super) async fn conn(&self) -> Result<OwnedMutexGuard<Writing>, Error> {
        let mut writing = Arc::clone(&self.writer).lock_owned().await;
        if writing.open {
            writing.rollback().await?;
        }
        Ok(writing)
    }

    pub(super) async fn migrate(&self) -> Result<(), Error> {
        let mut writing = self.writer.lock().await;
        migrator(SQLITE).run_direct(None, &mut writing.conn, false).await.map_err(Into::into)
    }

    pub(super) async fn migrations(&self) -> Result<Vec<Applied>, Error> {
        let mut writing = self.writer.lock().await;
        status(&mut writing.conn, SQLITE).await
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.updater.close().await;
        // The writing connection closes with its last owner; what is committed is on the disk already.
        let _ = self.writer.lock().await.conn.execute("pragma optimize").await;
    }

    /// Copies the database into a new file, as it is at one moment.
    pub(super) async fn copy_to(&self, file: &Path) -> Result<(), Error> {
        let name = file.to_str().ok_or_else(|| Error::Address("the file's name is not UTF-8".to_owned()))?;
        sqlx::query("vacuum into $1").bind(name.to_owned()).execute(&self.updater).await?;
        Ok(())
    }

    pub(super) async fn begin(&self, keys: Keys, at: i64) -> Result<(Keys, Loaded, OpenBatch), Error> {
        let mut writing = self.conn().await?;
        writing.conn.execute("begin immediate").await?;
        writing.open = true;
        match load::load(&mut writing, keys, at).await {
            Ok((keys, loaded)) => Ok((keys, loaded, OpenBatch { writing })),
            Err(error) => {
                // The next batch rolls back if this fails; the first error is the one to tell.
                let _ = writing.rollback().await;
                Err(error)
            }
        }
    }

    pub(super) async fn facts(
        &self,
        books: &mut (dyn FnMut(Fact) + Send),
        payments: &mut (dyn FnMut(PaymentFact) + Send),
    ) -> Result<(), Error> {
        let mut conn = self.readers.acquire().await?;
        let mut snapshot = conn.begin().await?;
        audit::books(&mut snapshot, books).await?;
        audit::payments(&mut snapshot, payments).await?;
        records::audit(&mut snapshot, payments).await?;
        Ok(snapshot.rollback().await?)
    }
}

impl std::ops::Deref for Writing {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.conn
    }
}

impl std::ops::DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.conn
    }
}

impl Writing {
    async fn commit(&mut self) -> Result<(), Error> {
        self.conn.execute("commit").await?;
        self.open = false;
        Ok(())
    }

    async fn rollback(&mut self) -> Result<(), Error> {
        match self.conn.execute("rollback").await {
            Ok(_) => {}
            // A write that found no room, or a disk that failed, has ended the transaction already.
            Err(sqlx::Error::Database(error)) if error.message().contains(NO_TRANSACTION) => {}
            Err(error) => return Err(error.into()),
        }
        self.open = false;
        Ok(())
    }
}

impl OpenBatch {
    pub(super) async fn commit(mut self, changes: &Changes, stamp: Stamp) -> Result<(), Error> {
        // Taken out, so that whatever ends this early leaves none of them.
        let mut seen = std::mem::take(&mut self.writing.seen);
        if let Err(error) = write::write(&mut self.writing, changes, stamp).await {
            let _ = self.writing.rollback().await;
            return Err(error);
        }
        match self.writing.commit().await {
            Ok(()) => {
                seen.follow(changes);
                self.writing.seen = seen;
                Ok(())
            }
            Err(error) => {
                let _ = self.writing.rollback().await;
                Err(Error::Undecided(error.to_string()))
            }
        }
    }

    pub(super) async fn rollback(mut self) -> Result<(), Error> {
        self.writing.rollback().await
    }
}
