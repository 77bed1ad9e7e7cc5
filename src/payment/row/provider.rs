//! The rows of accounts that are held outside, and of what is reserved on them.

use crate::ledger::row::Id;
use crate::money::Currency;
use crate::payment::row::record::record;

record! {
    /// A payment account whose money an outside provider holds.
    pub struct ProviderAccountRow in "provider_accounts" {
        key { /// The account.
            account: Id, }
        /// The provider's connector.
        provider: String,
        /// What the provider calls the customer's account.
        external_id: String,
        /// Since when, microseconds.
        since: i64,
    }
}

record! {
    /// What of an outside account is kept for one payment. Written before the provider is asked; never removed.
    pub struct ReservationRow in "reservations" {
        key { /// The payment.
            payment: Id, }
        /// Who pays.
        account: Id,
        /// The provider's connector.
        provider: String,
        /// What the provider calls the customer's account.
        external_id: String,
        /// Our reference, the same in every question about it.
        reference: String,
        /// Amount and fee, minor units.
        amount_minor: i64,
        /// Of the amount.
        currency: Currency,
        /// See [`Stage`](crate::payment::saga::Stage).
        stage: i16,
        /// A request of this stage may have been taken, and nobody knows: the provider is asked how it stands before anything
        /// is asked again.
        doubt: bool,
        /// Whether it is not at its end.
        open: bool,
        /// Why it was refused, or how the provider contradicted itself.
        class: Option<String>,
        /// The provider's reference.
        their_reference: Option<String>,
        /// Questions of this stage that settled nothing.
        tries: i32,
        /// Microseconds.
        created_at: i64,
        /// Microseconds.
        updated_at: i64,
        /// When it is to be looked after next, microseconds.
        due_at: Option<i64>,
        /// Counts changes.
        version: i64,
    }
}
