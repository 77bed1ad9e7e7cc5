//! The store's functions that forget what is old, erase a number, and copy a database.

use std::path::Path;

use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::store::error::Error;
use crate::store::{Store, memory, postgres, sqlite};

/// Sends an update to the database that is there.
macro_rules! update {
    ($store:expr, $name:ident $(, $argument:expr)*) => {
        match $store {
            Store::Sqlite(db) => sqlite::upkeep::$name(db.updater(), $($argument),*).await,
            Store::Postgres(db) => postgres::upkeep::$name(db.pool(), $($argument),*).await,
            Store::Memory(db) => db.update(|tables| memory::upkeep::$name(tables, $($argument),*)).await,
        }
    };
}

impl Store {
    /// Forgets texts that are at their end and were queued before a time (microseconds), at most `limit`; gives how many.
    ///
    /// # Errors
    /// As every read.
    pub async fn forget_outbox(&self, before: i64, limit: u32) -> Result<u64, Error> {
        update!(self, forget_outbox, before, limit)
    }

    /// Puts a pseudonym in the place of a number in everything that is at its end; gives how many rows were changed. When the
    /// number is of an `other` account by now, only what `account` paid is changed.
    ///
    /// # Errors
    /// As every read.
    pub async fn erase_number(
        &self,
        account: Id,
        number: &Msisdn,
        pseudonym: &Msisdn,
        other: bool,
    ) -> Result<u64, Error> {
        update!(self, erase_number, account, number, pseudonym, other)
    }

    /// Copies the whole database into a new file, as it is at one moment, while others go on writing. Only of SQLite.
    ///
    /// # Errors
    /// [`Error::Address`] when it is not SQLite or the file exists; as every read.
    pub async fn copy_to(&self, file: &Path) -> Result<(), Error> {
        let Self::Sqlite(db) = self else {
            return Err(Error::Address("only a SQLite database is copied so".to_owned()));
        };
        if file.exists() {
            return Err(Error::Address(format!("{} exists already", file.display())));
        }
        db.copy_to(file).await
    }
}
