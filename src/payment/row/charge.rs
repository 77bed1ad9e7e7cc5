//! The rows of charging: agents and charges.

use crate::money::Currency;
use crate::msisdn::Msisdn;
use crate::payment::row::Id;
use crate::payment::row::record::record;

record! {
    /// Somebody who sells balance.
    pub struct AgentRow in "agents" {
        key { /// The agent's payment account.
            account: Id, }
        /// The name that buyers see.
        name: String,
        /// The agent's telephone.
        phone: Msisdn,
        /// The language of texts to the agent.
        language: String,
        /// Where to pay; told only after the deposit.
        details: String,
        /// The price of a unit of balance, millionths of a unit of ordinary money.
        price_ppm: i64,
        /// The least of one charge, minor units.
        least_minor: i64,
        /// The most of one charge, minor units.
        most_minor: i64,
        /// What the agent pays the house for each deposit, minor units.
        fee_minor: i64,
        /// Whether requests are taken now.
        open: bool,
        /// Shut by staff.
        suspended: bool,
        /// Microseconds.
        created_at: i64,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// The API key of an account.
    pub struct AccountKeyRow in "account_keys" {
        key { /// Whose.
            account: Id, }
        /// SHA-256 of the secret part of the key.
        key_hash: Vec<u8>,
        /// When this key was made, microseconds.
        created_at: i64,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// One charge.
    pub struct ChargeRow in "charges" {
        key { /// Its id, made before it was asked for.
            id: Id, }
        /// What people call it by: a short number with a check digit, unique.
        number: String,
        /// Who sells.
        agent: Id,
        /// Who buys: the account that gets the amount.
        buyer: Id,
        /// Where the agent is told.
        agent_phone: Msisdn,
        /// Where the buyer is told.
        buyer_phone: Msisdn,
        /// The language of texts to the agent.
        agent_language: String,
        /// The language of texts to the buyer.
        buyer_language: String,
        /// Where to pay, as it was when it was asked for.
        details: String,
        /// Balance, minor units.
        amount_minor: i64,
        /// Ordinary money, minor units; never moves here.
        price_minor: i64,
        /// What the agent pays for the deposit, minor units.
        fee_minor: i64,
        /// Of all these.
        currency: Currency,
        /// See `payment::charge::Stage`.
        state: i16,
        /// The deposit's payment.
        deposit: Option<Id>,
        /// The certificate's MAC.
        certificate_mac: Option<Vec<u8>>,
        /// The certificate, sealed, to be shown to the buyer again.
        certificate: Option<Vec<u8>>,
        /// Wrong certificates.
        tries: i32,
        /// When time does something to it, microseconds.
        due_at: Option<i64>,
        /// Until when the buyer should pay, microseconds.
        pay_by: Option<i64>,
        /// When the buyer said that it is paid, microseconds.
        claimed_at: Option<i64>,
        /// Since when it is disputed, microseconds.
        disputed_at: Option<i64>,
        /// The first of the staff who judged.
        judged_by: Option<String>,
        /// For whom: 1 the buyer, 2 the agent.
        judged_to: Option<i16>,
        /// What the staff saw, a line for each.
        evidence: Option<String>,
        /// Microseconds.
        created_at: i64,
        /// Microseconds.
        updated_at: i64,
        /// Microseconds.
        ended_at: Option<i64>,
        /// Counts changes.
        version: i64,
    }
}

impl ChargeRow {
    /// The row that follows this one at `now`, microseconds.
    #[must_use]
    pub fn next_version(&self, now: i64) -> Self {
        Self { updated_at: now, version: self.version.saturating_add(1), ..self.clone() }
    }
}
