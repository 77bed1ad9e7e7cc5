//! What a merchant asked a customer, how often that was, and who does not want to be asked: rows only, no rules. Numbers stand
//! here only as marks made with the pepper.

use crate::ledger::row::Id;
use crate::payment::row::record::record;

record! {
    /// A wish of a merchant's that the customer of an order be asked to pay it, or to confirm its receipt.
    pub struct AskRow in "order_asks" {
        key {
            /// Made from the order and the merchant's key.
            id: Id,
        }
        /// The order.
        order_id: Id,
        /// Whose.
        merchant: Id,
        /// A number of [`crate::payment::ask::Want`].
        want: i16,
        /// A state of [`crate::payment::ask::State`].
        state: i16,
        /// The way that was gone last: a number of [`crate::payment::ask::Way`], 0 when none was.
        way: i16,
        /// Why the ways before were of no use, in words; empty when they were not gone.
        detail: String,
        /// When it is looked at next, microseconds; while something is on its way out, when it is given up.
        due_at: Option<i64>,
        /// Microseconds.
        created_at: i64,
        /// The last change, microseconds.
        updated_at: i64,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// How often a merchant asked, or a number was asked, on a day.
    pub struct AskCountRow in "ask_counts" {
        key {
            /// Days since 1970-01-01 in the market's zone.
            day: i32,
            /// The merchant, or the number's mark.
            subject: Id,
        }
        /// How often.
        asks: i64,
        /// The asking that was counted last: two at the same moment are not taken for one.
        last: Id,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// A customer's no: to one question about an order, or to every question of a merchant.
    pub struct AskStopRow in "ask_stops" {
        key {
            /// The number's mark.
            party: Id,
            /// The merchant, or what follows from the order and the question.
            subject: Id,
        }
        /// When it was said, microseconds.
        at: i64,
    }
}
