//! The store's functions for accountants: sums and rows of a time, for the day's close, statements and exports.

use crate::ledger::row::{EntryRow, Id, Kind, TransferRow};
use crate::money::Currency;
use crate::payment::row::AttemptRow;
use crate::store::error::Error;
use crate::store::{Store, memory, postgres, sqlite};

/// What the entries of one house account, or of all customers or merchants together, come to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sum {
    /// What for.
    pub kind: Kind,
    /// The house account's name; empty for customers and merchants.
    pub name: String,
    /// Of what.
    pub currency: Currency,
    /// Minor units, credit positive.
    pub amount_minor: i64,
}

/// An entry with when and where it was booked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Booked {
    /// The entry.
    pub entry: EntryRow,
    /// When its transfer was committed, microseconds.
    pub at: i64,
    /// The payment that its transfer belongs to.
    pub payment: Option<Id>,
    /// What its account is for.
    pub kind: Kind,
    /// The house account's name; empty for customers and merchants.
    pub name: String,
    /// Of what.
    pub currency: Currency,
}

/// Sends a read to the database that is there.
macro_rules! read {
    ($store:expr, $name:ident $(, $argument:expr)*) => {
        match $store {
            Store::Sqlite(db) => sqlite::periods::$name(db.readers(), $($argument),*).await,
            Store::Postgres(db) => postgres::periods::$name(db.pool(), $($argument),*).await,
            Store::Memory(db) => {
                db.reading().await?;
                memory::periods::$name(&db.tables(), $($argument),*)
            }
        }
    };
}

impl Store {
    /// What was booked before a time (microseconds), by house account and by kind of the others. Reads all entries.
    ///
    /// # Errors
    /// As every read.
    pub async fn sums_until(&self, until: i64) -> Result<Vec<Sum>, Error> {
        read!(self, sums_until, until)
    }

    /// Shows the answered commands of a time (microseconds: from, and up to but without), refusals too, in the order of time and
    /// then of ids. Reads all commands.
    ///
    /// # Errors
    /// As every read.
    pub async fn transfers_between(
        &self,
        from: i64,
        until: i64,
        see: &mut (dyn FnMut(TransferRow) + Send),
    ) -> Result<(), Error> {
        read!(self, transfers_between, from, until, see)
    }

    /// The answered commands with these ids, in no order.
    ///
    /// # Errors
    /// As every read.
    pub async fn transfers_of(&self, ids: &[Id]) -> Result<Vec<TransferRow>, Error> {
        read!(self, transfers_of, ids)
    }

    /// Shows the entries of a time (microseconds: from, and up to but without), in the order of time, transfer and account.
    ///
    /// # Errors
    /// As every read.
    pub async fn entries_between(
        &self,
        from: i64,
        until: i64,
        see: &mut (dyn FnMut(Booked) + Send),
    ) -> Result<(), Error> {
        read!(self, entries_between, from, until, see)
    }

    /// The requests to a connector that were written in a time (microseconds: from, and up to but without), oldest first.
    ///
    /// # Errors
    /// As every read.
    pub async fn attempts_with(
        &self,
        connector: &str,
        from: i64,
        until: i64,
    ) -> Result<Vec<AttemptRow>, Error> {
        read!(self, attempts_with, connector, from, until)
    }
}
