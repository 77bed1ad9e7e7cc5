//! The rows of vouchers.

use crate::ledger::row::Id;
use crate::payment::row::record::record;

record! {
    /// A code that carries a recharge's credit. It is there until the customer has it.
    pub struct VoucherRow in "vouchers" {
        key { /// The payment that bought it.
            payment: Id, }
        /// Who paid.
        account: Id,
        /// The carrier's serial number of it, for questions to the carrier; it buys nothing.
        serial: Option<String>,
        /// The code, encrypted for this payment.
        sealed: Vec<u8>,
        /// The text message that brings it.
        text: Id,
        /// When it was bought, microseconds.
        created_at: i64,
        /// Counts changes.
        version: i64,
    }
}
