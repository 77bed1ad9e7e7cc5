//! The row that tells an old database from the one that was in use.

use crate::payment::row::Id;
use crate::payment::row::record::record;

/// The key of the one [`EpochRow`].
pub const EPOCH: i16 = 1;

record! {
    /// How often this database was taken up or looked after by a daemon. Each daemon keeps the last count that it saw in a
    /// file beside it: a database that knows less was restored from a backup.
    pub struct EpochRow in "epochs" {
        key { /// [`EPOCH`].
            id: i16, }
        /// Counts up.
        epoch: i64,
        /// When it was last counted, microseconds.
        at: i64,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// A customer whose numbers were taken out of the books.
    pub struct ErasureRow in "erasures" {
        key { /// The account.
            account: Id, }
        /// Who did it.
        who: String,
        /// Why, in words: a letter, a ticket.
        reason: String,
        /// Microseconds.
        at: i64,
        /// When every row was gone through, microseconds.
        ended_at: Option<i64>,
    }
}
