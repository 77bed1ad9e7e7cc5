//! The store's functions for messages that go out and came in, and for conversations that channels look for.

use crate::ledger::row::Id;
use crate::payment::row::{OutboxRow, OutboxState, PartRow, SessionRow};
use crate::store::error::Error;
use crate::store::{Store, memory, postgres, sqlite};

/// Which messages to list; newest first. A search by recipient or route looks through all from `since` on.
#[derive(Clone, Debug, Default)]
pub struct OutboxFilter {
    /// In one state.
    pub state: Option<OutboxState>,
    /// To one recipient.
    pub recipient: Option<String>,
    /// By one route.
    pub route: Option<String>,
    /// Queued at this time or later, microseconds.
    pub since: Option<i64>,
    /// At most this many.
    pub limit: u32,
}

/// How many messages are in a state.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
pub struct OutboxCount {
    /// The state.
    pub state: OutboxState,
    /// How many.
    pub messages: i64,
    /// When the oldest of them was queued, microseconds.
    pub oldest_at: i64,
}

/// Sends a read to the database that is there.
macro_rules! read {
    ($store:expr, $name:ident $(, $argument:expr)*) => {
        match $store {
            Store::Sqlite(db) => sqlite::outbox::$name(db.readers(), $($argument),*).await,
            Store::Postgres(db) => postgres::outbox::$name(db.pool(), $($argument),*).await,
            Store::Memory(db) => {
                db.reading().await?;
                memory::outbox::$name(&db.tables(), $($argument),*)
            }
        }
    };
}

/// Sends an update to the database that is there.
macro_rules! update {
    ($store:expr, $name:ident $(, $argument:expr)*) => {
        match $store {
            Store::Sqlite(db) => sqlite::outbox::$name(&mut *db.conn().await?, $($argument),*).await,
            Store::Postgres(db) => postgres::outbox::$name(&mut *db.conn().await?, $($argument),*).await,
            Store::Memory(db) => db.update(|tables| memory::outbox::$name(tables, $($argument),*)).await,
        }
    };
}

impl Store {
    /// Takes messages that are due at `now` and not past their time for `owner` until `lease_until` (microseconds): they
    /// become sending. The most overdue ones are taken; of several nodes each message goes to one. They come oldest
    /// first. Who drops this future may have taken messages all the same.
    ///
    /// # Errors
    /// As every read: when the database cannot be asked or holds what cannot be.
    pub async fn outbox_claim(
        &self,
        owner: Id,
        now: i64,
        lease_until: i64,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, Error> {
        update!(self, claim, owner, now, lease_until, limit)
    }

    /// Messages that are being sent and whose lease ran out at `now` (microseconds) become unknown; gives how many. With
    /// `sole` those of every other owner too, whatever their lease: the caller knows that no other process lives.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox_lost(&self, now: i64, sole: Option<Id>) -> Result<u64, Error> {
        update!(self, lost, now, sole)
    }

    /// Messages that still wait and must not be sent any more at `now` (microseconds), longest past first.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox_overdue(&self, now: i64, limit: u32) -> Result<Vec<OutboxRow>, Error> {
        read!(self, overdue, now, limit)
    }

    /// The message of an id that the network of a route gave; the newest, should it give an id twice.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox_by_message_id(
        &self,
        route: &str,
        message_id: &str,
    ) -> Result<Option<OutboxRow>, Error> {
        read!(self, by_message_id, route, message_id)
    }

    /// A message.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox_row(&self, id: Id) -> Result<Option<OutboxRow>, Error> {
        read!(self, row, id)
    }

    /// The messages that tell of a payment, oldest first.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox_of(&self, payment: Id) -> Result<Vec<OutboxRow>, Error> {
        read!(self, of_payment, payment)
    }

    /// Messages, newest first.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox_list(&self, filter: &OutboxFilter) -> Result<Vec<OutboxRow>, Error> {
        read!(self, list, filter)
    }

    /// How many messages are in each state that has any. All are counted: not a question for every second.
    ///
    /// # Errors
    /// As every read.
    pub async fn outbox_counts(&self) -> Result<Vec<OutboxCount>, Error> {
        read!(self, counts)
    }

    /// The segments of a long text that are there, in order.
    ///
    /// # Errors
    /// As every read.
    pub async fn parts(&self, message: Id) -> Result<Vec<PartRow>, Error> {
        read!(self, parts, message)
    }

    /// Forgets messages that came in before a time (microseconds), at most `limit`; gives how many.
    ///
    /// # Errors
    /// As every read.
    pub async fn forget_inbox(&self, before: i64, limit: u32) -> Result<u64, Error> {
        update!(self, forget_inbox, before, limit)
    }

    /// Forgets segments that came before a time (microseconds); gives how many.
    ///
    /// # Errors
    /// As every read.
    pub async fn forget_parts(&self, before: i64) -> Result<u64, Error> {
        update!(self, forget_parts, before)
    }

    /// The session that holds a key, if its time is not up at `now` (microseconds).
    ///
    /// # Errors
    /// As every read.
    pub async fn session_by_key(&self, key: &str, now: i64) -> Result<Option<SessionRow>, Error> {
        read!(self, session_by_key, key, now)
    }

    /// The sessions that hold any of these keys, if their time is not up at `now` (microseconds).
    ///
    /// # Errors
    /// As every read.
    pub async fn sessions_by_keys(&self, keys: &[&str], now: i64) -> Result<Vec<SessionRow>, Error> {
        match keys {
            [] => Ok(Vec::new()),
            [key] => Ok(self.session_by_key(key, now).await?.into_iter().collect()),
            _ => read!(self, sessions_by_keys, keys, now),
        }
    }

    /// Sessions with a key whose time is up at `now` (microseconds), longest over first: their channel ends them.
    ///
    /// # Errors
    /// As every read.
    pub async fn sessions_expired(&self, now: i64, limit: u32) -> Result<Vec<SessionRow>, Error> {
        read!(self, sessions_expired, now, limit)
    }

    /// Sessions that hold a key which begins like this, in the order of their keys.
    ///
    /// # Errors
    /// As every read.
    pub async fn sessions_under(&self, prefix: &str, limit: u32) -> Result<Vec<SessionRow>, Error> {
        read!(self, sessions_under, prefix, limit)
    }
}
