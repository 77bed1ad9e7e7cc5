//! The rows of bills.

use crate::ledger::row::Id;
use crate::payment::row::record::record;

record! {
    /// What a biller has quoted to an account for a bill; the last answer counts.
    pub struct QuoteRow in "quotes" {
        key {
            /// Who asked.
            account: Id,
            /// The biller's id.
            biller: String,
            /// The bill's number.
            number: String,
        }
        /// The biller's id of the quote.
        quote: String,
        /// The least that may be paid, minor units.
        least_minor: i64,
        /// The most that may be paid, minor units.
        most_minor: i64,
        /// The fee, minor units.
        fee_minor: i64,
        /// Until when it holds, microseconds.
        expires_at: i64,
        /// When the biller was asked, microseconds.
        asked_at: i64,
    }
}
