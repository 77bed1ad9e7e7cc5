//! The only SQL: two databases behind one coarse set of functions.
//!
//! Everything durable is written by one road: [`Store::begin`] loads and locks the rows that a batch touches,
//! [`Batch::commit`] writes what became of them, all or nothing. The rest are plain reads, and a few conditional
//! updates by which nodes share out due work. Rows are plain values of the rooms above; no rule of money is here.

pub mod accounting;
mod columns;
pub mod error;
mod forget;
mod gather;
mod kept;
pub mod keys;
pub mod memory;
mod messages;
mod migrate;
mod postgres;
mod sqlite;

pub use error::Error;
pub use messages::{OutboxCount, OutboxFilter};
pub use migrate::Applied;

use std::collections::BTreeSet;

use crate::ledger::row::{AccountRow, EntryRow, Fact, HoldRow, Id, Kind, TransferRow};
use crate::money::Currency;
use crate::msisdn::Msisdn;
use crate::payment::row::record::{Cell, Record, Recorded, Select};
use crate::payment::row::{
    AttemptRow, BindingRow, CounterKey, CounterRow, EventRow, PairKey, PairRow, PayerRow, PaymentFact,
    PaymentRow, SessionRow, State, SuspensionRow, Target,
};
use crate::store::keys::{Changes, Keys, Loaded};

/// The sum over the accounts of one kind and currency.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Total {
    /// What the accounts are for.
    pub kind: Kind,
    /// Their currency.
    pub currency: Currency,
    /// Sum of balances.
    pub balance_minor: i64,
    /// Sum of holds.
    pub held_minor: i64,
    /// How many there are.
    pub accounts: i64,
}

/// Which payments to list; newest first.
#[derive(Clone, Debug, Default)]
pub struct PaymentFilter {
    /// Of one account.
    pub account: Option<Id>,
    /// In one state.
    pub state: Option<State>,
    /// For one number, bill or deal.
    pub target: Option<Target>,
    /// Created at this time or later, microseconds.
    pub since: Option<i64>,
    /// Created before this time, microseconds.
    pub until: Option<i64>,
    /// At most this many.
    pub limit: u32,
}

/// Which batch of which writer: stored with the batch, so that a lost answer to a commit can be found again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    /// The running writer.
    pub writer: Id,
    /// 1, 2, 3…
    pub batch: i64,
    /// When, microseconds.
    pub at: i64,
}

/// A database.
#[derive(Clone, Debug)]
pub enum Store {
    /// A file, one writer at a time.
    Sqlite(sqlite::Sqlite),
    /// A server, shared by nodes.
    Postgres(postgres::Postgres),
    /// This process alone, and only while it lives.
    Memory(memory::Memory),
}

/// Loaded and locked rows, to be committed or given up. Dropped without either, nothing is written.
#[derive(Debug)]
pub struct Batch {
    /// What was asked for, and what follows from it.
    pub keys: Keys,
    /// What was found; to be taken by the rules.
    pub loaded: Loaded,
    open: Open,
}

#[derive(Debug)]
enum Open {
    Sqlite(sqlite::OpenBatch),
    Postgres(postgres::OpenBatch),
    Memory(memory::OpenBatch),
}

impl Batch {
    /// Writes and commits.
    ///
    /// # Errors
    /// [`Error::Undecided`] when the answer to the commit was lost; after any other error nothing was written.
    pub async fn commit(self, changes: &Changes, stamp: Stamp) -> Result<(), Error> {
        match self.open {
            Open::Sqlite(open) => open.commit(changes, stamp).await,
            Open::Postgres(open) => open.commit(changes, stamp).await,
            Open::Memory(open) => open.commit(changes, stamp).await,
        }
    }

    /// Gives the locks back without writing.
    ///
    /// # Errors
    /// When the connection is lost; the database then gives them back by itself.
    pub async fn rollback(self) -> Result<(), Error> {
        match self.open {
            Open::Sqlite(open) => open.rollback().await,
            Open::Postgres(open) => open.rollback().await,
            Open::Memory(open) => {
                drop(open);
                Ok(())
            }
        }
    }
}

fn read_record<T: Recorded>(record: &Record) -> Result<T, Error> {
    record.read().ok_or_else(|| Error::value(T::SHAPE.table, "a row that no version of the program writes"))
}

/// Sends a read to the database that is there.
macro_rules! read {
    ($store:expr, $name:ident $(, $argument:expr)*) => {
        match $store {
            Store::Sqlite(db) => sqlite::reads::$name(db.readers(), $($argument),*).await,
            Store::Postgres(db) => postgres::reads::$name(db.pool(), $($argument),*).await,
            Store::Memory(db) => {
                db.reading().await?;
                memory::reads::$name(&db.tables(), $($argument),*)
            }
        }
    };
}

/// Sends a read by key to the database that is there, together with those that are asked for at the same time.
macro_rules! point {
    ($store:expr, $name:ident $(, $argument:expr)*) => {
        match $store {
            Store::Sqlite(db) => db.points().$name(db.readers(), $($argument),*).await,
            Store::Postgres(db) => db.points().$name(db.pool(), $($argument),*).await,
            Store::Memory(db) => {
                db.reading().await?;
                memory::reads::$name(&db.tables(), $($argument),*)
            }
        }
    };
}

/// Sends a conditional update to the database that is there.
macro_rules! update {
    ($store:expr, $name:ident $(, $argument:expr)*) => {
        match $store {
            Store::Sqlite(db) => sqlite::reads::$name(db.updater(), $($argument),*).await,
            Store::Postgres(db) => postgres::reads::$name(db.pool(), $($argument),*).await,
            Store::Memory(db) => db.update(|tables| memory::reads::$name(tables, $($argument),*)).await,
        }
    };
}

impl Store {
    /// Opens `sqlite:PATH` (made if it does not exist) or `postgres://…`. The tables are not touched.
    ///
    /// # Errors
    /// [`Error::Address`] when the address cannot be read, [`Error::Unavailable`] when nobody answers.
    pub async fn open(url: &str) -> Result<Self, Error> {
        if url.starts_with("sqlite:") {
            Ok(Self::Sqlite(sqlite::Sqlite::open(url).await?))
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Ok(Self::Postgres(postgres::Postgres::open(url).await?))
        } else {
            Err(Error::Address("expected sqlite:PATH or postgres://…".to_owned()))
        }
    }

    /// An empty database in memory.
    #[must_use]
    pub fn memory() -> Self {
        Self::Memory(memory::Memory::default())
    }

    /// Makes the tables, or brings them up to date.
    ///
    /// # Errors
    /// [`Error::Schema`] when the database was made by another history of migrations.
    pub async fn migrate(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(db) => db.migrate().await,
            Self::Postgres(db) => db.migrate().await,
            // It is born with the tables of this version.
            Self::Memory(_) => Ok(()),
        }
    }

    /// The steps of the schema and which of them the database has.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn migrations(&self) -> Result<Vec<Applied>, Error> {
        match self {
            Self::Sqlite(db) => db.migrations().await,
            Self::Postgres(db) => db.migrations().await,
            Self::Memory(_) => Ok(Vec::new()),
        }
    }

    /// Closes every connection.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(db) => db.close().await,
            Self::Postgres(db) => db.close().await,
            Self::Memory(_) => {}
        }
    }

    /// Opens a batch: locks and loads the rows of `keys`, and every hold of their accounts that is overdue at `at`
    /// (microseconds).
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Conflict`]; nothing stays open then.
    pub async fn begin(&self, keys: Keys, at: i64) -> Result<Batch, Error> {
        match self {
            Self::Sqlite(db) => {
                let (keys, loaded, open) = db.begin(keys, at).await?;
                Ok(Batch { keys, loaded, open: Open::Sqlite(open) })
            }
            Self::Postgres(db) => {
                let (keys, loaded, open) = db.begin(keys, at).await?;
                Ok(Batch { keys, loaded, open: Open::Postgres(open) })
            }
            Self::Memory(db) => {
                let (keys, loaded, open) = db.begin(keys, at).await?;
                Ok(Batch { keys, loaded, open: Open::Memory(open) })
            }
        }
    }

    /// Batches that may be begun before the first of them has ended, as long as no account is in two of them.
    #[must_use]
    pub const fn lanes(&self) -> usize {
        match self {
            Self::Sqlite(_) | Self::Memory(_) => 1,
            Self::Postgres(_) => postgres::LANES,
        }
    }

    /// The accounts that a batch of `keys` locks; nothing when that is not known without asking the database.
    #[must_use]
    pub fn accounts_of(&self, keys: &Keys) -> Option<BTreeSet<Id>> {
        match self {
            Self::Sqlite(_) | Self::Memory(_) => None,
            Self::Postgres(db) => db.accounts_of(keys),
        }
    }

    /// Whether the batch of `stamp` was committed. Only the writer that made the stamp may ask, and only while it has
    /// no batch open.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn committed(&self, stamp: Stamp) -> Result<bool, Error> {
        match self {
            Self::Sqlite(db) => sqlite::reads::committed(db.readers(), stamp.writer, stamp.batch).await,
            Self::Postgres(db) => postgres::reads::committed(db.pool(), stamp.writer, stamp.batch).await,
            Self::Memory(db) => db.committed(stamp).await,
        }
    }

    /// Shows every row of the books to `books` and of payments to `payments`, as one moment saw them, in the orders
    /// that [`Fact`] and [`PaymentFact`] name.
    ///
    /// # Errors
    /// When the database cannot be read, or a row cannot be what it is.
    pub async fn facts(
        &self,
        books: &mut (dyn FnMut(Fact) + Send),
        payments: &mut (dyn FnMut(PaymentFact) + Send),
    ) -> Result<(), Error> {
        match self {
            Self::Sqlite(db) => db.facts(books, payments).await,
            Self::Postgres(db) => db.facts(books, payments).await,
            Self::Memory(db) => {
                db.facts(books, payments);
                Ok(())
            }
        }
    }

    /// A row of a table without rules of its own, by the values of its primary key.
    ///
    /// # Errors
    /// As every read.
    pub async fn record<T: Recorded>(&self, key: &[Cell]) -> Result<Option<T>, Error> {
        let key = T::key(key);
        let found = match self {
            Self::Sqlite(db) => db.points().record(db.readers(), key).await,
            Self::Postgres(db) => db.points().record(db.pool(), key).await,
            Self::Memory(db) => {
                db.reading().await?;
                Ok(memory::records::find(&db.tables(), &key))
            }
        };
        found?.map(|record| read_record(&record)).transpose()
    }

    /// Rows of such a table.
    ///
    /// # Errors
    /// As every read.
    pub async fn records<T: Recorded>(&self, wanted: &Select<T>) -> Result<Vec<T>, Error> {
        let Select { filters, order, descending, limit, .. } = wanted;
        let (order, descending, limit) = (*order, *descending, *limit);
        let found = match self {
            Self::Sqlite(db) => {
                sqlite::records::select(db.readers(), T::SHAPE, filters, order, descending, limit).await
            }
            Self::Postgres(db) => {
                postgres::records::select(db.pool(), T::SHAPE, filters, order, descending, limit).await
            }
            Self::Memory(db) => {
                db.reading().await?;
                Ok(memory::records::select(&db.tables(), wanted))
            }
        };
        found?.iter().map(read_record).collect()
    }

    /// Rows of such a table that many ask for alike at the same time: equal lists are read once.
    ///
    /// # Errors
    /// As every read.
    pub async fn shared_records<T: Recorded>(&self, wanted: &Select<T>) -> Result<Vec<T>, Error> {
        let found = match self {
            Self::Sqlite(db) => db.points().list(db.readers(), wanted).await,
            Self::Postgres(db) => db.points().list(db.pool(), wanted).await,
            Self::Memory(_) => return self.records(wanted).await,
        };
        found?.iter().map(read_record).collect()
    }

    /// A ledger account as it is stored.
    ///
    /// # Errors
    /// As every read: when the database cannot be asked or holds what cannot be.
    pub async fn account(&self, id: Id) -> Result<Option<AccountRow>, Error> {
        read!(self, account, id)
    }

    /// A ledger account as it stands at `now` (microseconds): holds past their expiry are not in `held_minor`, swept
    /// or not.
    ///
    /// # Errors
    /// As every read.
    pub async fn account_at(&self, id: Id, now: i64) -> Result<Option<AccountRow>, Error> {
        read!(self, account_at, id, now)
    }

    /// The accounts of the house, by name.
    ///
    /// # Errors
    /// As every read.
    pub async fn house_accounts(&self) -> Result<Vec<AccountRow>, Error> {
        read!(self, house_accounts)
    }

    /// Sums by kind and currency.
    ///
    /// # Errors
    /// As every read.
    pub async fn totals(&self) -> Result<Vec<Total>, Error> {
        read!(self, totals)
    }

    /// The settings of a payment account.
    ///
    /// # Errors
    /// As every read.
    pub async fn payer(&self, account: Id) -> Result<Option<PayerRow>, Error> {
        point!(self, payer, account)
    }

    /// How many PINs were made with each pepper, by its version.
    ///
    /// # Errors
    /// As every read.
    pub async fn pins_by_pepper(&self) -> Result<Vec<(i32, i64)>, Error> {
        read!(self, pins_by_pepper)
    }

    /// What a number is bound to.
    ///
    /// # Errors
    /// As every read.
    pub async fn binding(&self, msisdn: &Msisdn) -> Result<Option<BindingRow>, Error> {
        point!(self, binding, msisdn)
    }

    /// The numbers of an account, oldest binding first.
    ///
    /// # Errors
    /// As every read.
    pub async fn bindings_of(&self, account: Id) -> Result<Vec<BindingRow>, Error> {
        read!(self, bindings_of, account)
    }

    /// A payment.
    ///
    /// # Errors
    /// As every read.
    pub async fn payment(&self, id: Id) -> Result<Option<PaymentRow>, Error> {
        point!(self, payment, id)
    }

    /// The payment of a spoken reference.
    ///
    /// # Errors
    /// As every read.
    pub async fn payment_by_reference(&self, reference: &str) -> Result<Option<PaymentRow>, Error> {
        read!(self, payment_by_reference, reference)
    }

    /// The payment of the reference that a carrier was given.
    ///
    /// # Errors
    /// As every read.
    pub async fn payment_by_attempt(&self, reference: &str) -> Result<Option<PaymentRow>, Error> {
        read!(self, payment_by_attempt, reference)
    }

    /// Payments, newest first.
    ///
    /// # Errors
    /// As every read.
    pub async fn payments(&self, filter: &PaymentFilter) -> Result<Vec<PaymentRow>, Error> {
        read!(self, payments, filter)
    }

    /// Payments that are not at an end, in any of these states, oldest first.
    ///
    /// # Errors
    /// As every read.
    pub async fn open_payments(&self, states: &[State], limit: u32) -> Result<Vec<PaymentRow>, Error> {
        read!(self, open_payments, states, limit)
    }

    /// Payments whose status is to be asked by `now` (microseconds), most overdue first.
    ///
    /// # Errors
    /// As every read.
    pub async fn due_payments(&self, now: i64, limit: u32) -> Result<Vec<PaymentRow>, Error> {
        read!(self, due_payments, now, limit)
    }

    /// Takes the status query of a payment for this node by moving its due time to `until`; of several nodes one
    /// succeeds. The payment's version stays.
    ///
    /// # Errors
    /// As every read.
    pub async fn claim_payment(&self, seen: &PaymentRow, until: i64) -> Result<bool, Error> {
        match seen.next_check_at {
            Some(due) => update!(self, claim_payment, seen.id, seen.version, due, until),
            None => Ok(false),
        }
    }

    /// A payment's history.
    ///
    /// # Errors
    /// As every read.
    pub async fn events(&self, payment: Id) -> Result<Vec<EventRow>, Error> {
        read!(self, events, payment)
    }

    /// A payment's requests to carriers.
    ///
    /// # Errors
    /// As every read.
    pub async fn attempts(&self, payment: Id) -> Result<Vec<AttemptRow>, Error> {
        read!(self, attempts, payment)
    }

    /// The request of a reference that a carrier was given.
    ///
    /// # Errors
    /// As every read.
    pub async fn attempt_by_reference(&self, reference: &str) -> Result<Option<AttemptRow>, Error> {
        read!(self, attempt_by_reference, reference)
    }

    /// The latest of equal payments.
    ///
    /// # Errors
    /// As every read.
    pub async fn pair(&self, key: &PairKey) -> Result<Option<PairRow>, Error> {
        read!(self, pair, key)
    }

    /// What is used of a limit.
    ///
    /// # Errors
    /// As every read.
    pub async fn counter(&self, key: &CounterKey) -> Result<Option<CounterRow>, Error> {
        read!(self, counter, key)
    }

    /// Whether any of these (scope and key) is shut.
    ///
    /// # Errors
    /// As every read.
    pub async fn suspended(&self, keys: &[(String, String)]) -> Result<bool, Error> {
        point!(self, suspended, keys)
    }

    /// Everything that is shut.
    ///
    /// # Errors
    /// As every read.
    pub async fn suspensions(&self) -> Result<Vec<SuspensionRow>, Error> {
        read!(self, suspensions)
    }

    /// A hold.
    ///
    /// # Errors
    /// As every read.
    pub async fn hold(&self, id: Id) -> Result<Option<HoldRow>, Error> {
        read!(self, hold, id)
    }

    /// Holds whose time has passed at `now` (microseconds), most overdue first.
    ///
    /// # Errors
    /// As every read.
    pub async fn due_holds(&self, now: i64, limit: u32) -> Result<Vec<HoldRow>, Error> {
        read!(self, due_holds, now, limit)
    }

    /// An answered command.
    ///
    /// # Errors
    /// As every read.
    pub async fn transfer(&self, id: Id) -> Result<Option<TransferRow>, Error> {
        read!(self, transfer, id)
    }

    /// An account's entries, newest first: the latest ones, or those before an entry that was read already.
    ///
    /// # Errors
    /// As every read.
    pub async fn entries_of(
        &self,
        account: Id,
        before: Option<&EntryRow>,
        limit: u32,
    ) -> Result<Vec<EntryRow>, Error> {
        let newest = match before {
            Some(entry) => entry.previous,
            None => self.account(account).await?.and_then(|row| row.last_transfer),
        };
        read!(self, entries_of, account, newest, limit)
    }

    /// The entries of a payment's transfers.
    ///
    /// # Errors
    /// As every read.
    pub async fn entries_of_payment(&self, payment: Id) -> Result<Vec<EntryRow>, Error> {
        read!(self, entries_of_payment, payment)
    }

    /// The session that a caller saved last in a flow, if its time is not up at `now` (microseconds). One that a channel
    /// holds by a key is going on there, and is not found here.
    ///
    /// # Errors
    /// As every read.
    pub async fn session_of(
        &self,
        caller: &Msisdn,
        flow: &str,
        now: i64,
    ) -> Result<Option<SessionRow>, Error> {
        read!(self, session_of, caller, flow, now)
    }

    /// Sessions that a channel keeps, in the order of their ids, from behind one on.
    ///
    /// # Errors
    /// As every read.
    pub async fn kept_sessions(&self, after: Id, limit: u32) -> Result<Vec<SessionRow>, Error> {
        read!(self, kept_sessions, after, limit)
    }

    /// Forgets sessions whose time is up at `now` (microseconds); gives how many. Those that a channel finds by a key are
    /// left to it, see [`Store::sessions_expired`], and forgotten only when their time was up at `keyed_before`.
    ///
    /// # Errors
    /// As every read.
    pub async fn forget_sessions(&self, now: i64, keyed_before: i64) -> Result<u64, Error> {
        update!(self, forget_sessions, now, keyed_before)
    }
}
